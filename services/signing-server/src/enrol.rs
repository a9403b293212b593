//! The person's own device: a new passkey or card for signing, by a code from the officer, or by the card alone.

use askama::Template;
use http::StatusCode;
use oauth2::Parameters;
use pki::Certificate;
use serde::Deserialize;
use serde_json::json;
use server_signing::{CaseMatter, DESK_CLIENT, Enrolment, Form, Kind, Purpose};
use time::Duration;
use web_ui::{Frame, see_other};

use crate::call::Reply;
use crate::pages::{Problem, Visit, field, for_script};

/// How long an officer-to-be may take to create a passkey.
const CREATION_LASTS: Duration = Duration::minutes(10);
/// Longest answer of a browser, in bytes.
const LONGEST_ANSWER: usize = 32 * 1024;

/// A code is asked for.
#[derive(Debug, Template)]
#[template(path = "enrol.html")]
pub struct EnrolPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Whether people enrol with their card alone.
    pub card: bool,
}

/// A new passkey is created.
#[derive(Debug, Template)]
#[template(path = "enrol_key.html")]
pub struct EnrolKeyPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The code.
    pub code: &'a str,
    /// The name that the certificate will hold; none at a recovery.
    pub name: Option<&'a str>,
    /// Whether a card may be used instead.
    pub card: bool,
}

/// Somebody who is to be an officer creates a passkey.
#[derive(Debug, Template)]
#[template(path = "officer.html")]
pub struct OfficerPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// What the operator gets.
    pub text: Option<&'a str>,
}

/// What a browser gives of a new passkey (Web Authentication level 3, `RegistrationResponseJSON`).
#[derive(Deserialize)]
struct Created {
    id: String,
    response: CreatedResponse,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreatedResponse {
    public_key: String,
    public_key_algorithm: i64,
}

/// The passkey that a browser created. Whether it is this person's is shown by what it confirms next.
fn passkey(form: &Parameters) -> Result<Form, Problem> {
    let answer = field(form, "answer")?;
    if answer.len() > LONGEST_ANSWER {
        return Err(Problem::Form);
    }
    let created: Created = serde_json::from_str(answer).map_err(|_| Problem::Form)?;
    Ok(Form::Passkey {
        id: created.id,
        public_key: created.response.public_key,
        algorithm: created.response.public_key_algorithm,
        label: field(form, "label")?.trim().to_owned(),
    })
}

/// A card's certificate, as PEM or base64.
fn card(form: &Parameters) -> Result<(Form, Certificate), Problem> {
    let text = field(form, "certificate")?;
    let wrong = || Problem::Text("error-authenticator");
    let certificate = if text.contains("-----BEGIN") {
        Certificate::from_pem(text.as_bytes()).map_err(|_| wrong())?
    } else {
        let base64: String = text.split_whitespace().collect();
        let der = csc::from_base64(&base64).ok_or_else(wrong)?;
        Certificate::decode(&der).map_err(|_| wrong())?
    };
    let form = Form::Card {
        certificate: csc::to_base64(certificate.der()),
    };
    Ok((form, certificate))
}

/// The kinds of signatures that were chosen.
pub(crate) fn chosen(form: &Parameters) -> Vec<Kind> {
    [("simple", Kind::Simple), ("qualified", Kind::Qualified)]
        .into_iter()
        .filter(|(name, _)| form.get(name) == Some("yes"))
        .map(|(_, kind)| kind)
        .collect()
}

impl Visit<'_> {
    /// What a browser is asked for a new passkey (Web Authentication level 3, section 5.4).
    fn creation(&self) -> Result<Reply, Problem> {
        let server = self.server;
        let until = self.call.now + CREATION_LASTS;
        // Its answer over this challenge is not looked at: the new key shows itself by confirming the statement.
        let challenge =
            server
                .signing
                .ticket(Purpose::Challenge, &self.call.seed.id("creation"), until)?;
        let frame = self.frame(None);
        let name = frame.say("service-name");
        Ok(for_script(&json!({
            "ceremony": "",
            "options": {
                "rp": { "id": server.signing.place().relying_party, "name": name },
                "user": {
                    "id": self.call.seed.id("user"),
                    "name": server.signing.place().relying_party,
                    "displayName": name,
                },
                "challenge": jose::to_base64url(&jose::sha256(challenge.as_bytes())),
                "pubKeyCredParams": [
                    { "type": "public-key", "alg": -7 },
                    { "type": "public-key", "alg": -257 },
                ],
                "authenticatorSelection": {
                    "residentKey": "required",
                    "requireResidentKey": true,
                    "userVerification": "required",
                },
                "attestation": "none",
                "timeout": 300_000,
            },
        })))
    }

    fn has_cards(&self) -> bool {
        !self.server.signing.place().card_issuers.is_empty()
    }

    pub(crate) fn enrol_page(&self, status: StatusCode, error: Option<&str>) -> Reply {
        let page = EnrolPage {
            frame: self.frame(error),
            card: self.has_cards(),
        };
        self.render(status, &page, "")
    }

    /// `/enrol` and what is below it.
    pub(crate) fn enrol(&self, rest: Option<&str>) -> Result<Reply, Problem> {
        // Also what answered a form, asked for again in another language: the code is typed once more.
        if self.call.is_get() {
            return Ok(self.enrol_page(StatusCode::OK, None));
        }
        let form = self.form()?;
        let done = match rest {
            Some("options") => return self.creation(),
            Some("self") => self.enrol_with_card(&form),
            None => self.enrol_key_page(&form, StatusCode::OK, None),
            Some("key") => passkey(&form).and_then(|key| self.begin(&form, key)),
            Some("card") => card(&form).and_then(|(card, _)| self.begin(&form, card)),
            _ => return Err(Problem::NotFound),
        };
        done.or_else(|problem| {
            let (status, text) = (problem.status(), Some(problem.text()));
            match rest {
                Some("key" | "card") => self.enrol_key_page(&form, status, text),
                _ => Ok(self.enrol_page(status, text)),
            }
        })
    }

    fn enrol_key_page(
        &self,
        form: &Parameters,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let code = field(form, "code")?;
        let case = self.server.signing.case_of_code(code, self.call.now)?;
        let name = match &case.matter {
            CaseMatter::Enrol {
                surname,
                given_name,
                ..
            } => Some(format!("{surname} {given_name}")),
            CaseMatter::Replace {} => None,
            CaseMatter::Sign { .. } => return Err(server_signing::Refusal::UnknownCase.into()),
        };
        let page = EnrolKeyPage {
            frame: self.frame(error),
            code,
            name: name.as_deref(),
            card: self.has_cards(),
        };
        Ok(self.render(status, &page, ""))
    }

    fn begin(&self, form: &Parameters, authenticator: Form) -> Result<Reply, Problem> {
        let code = field(form, "code")?;
        let (seed, now) = (&self.call.seed, self.call.now);
        let asked = self
            .server
            .signing
            .begin_case(code, vec![authenticator], seed, now)?;
        Ok(see_other(&format!("/approve/{}", asked.handle)))
    }

    /// Somebody with an identity card needs no desk: the card says who they are and confirms.
    fn enrol_with_card(&self, form: &Parameters) -> Result<Reply, Problem> {
        let (card, certificate) = card(form)?;
        let wrong = || Problem::Text("error-authenticator");
        let subject = certificate.subject();
        let number = ca::person_number(subject)
            .and_then(|number| number.parse().ok())
            .ok_or_else(wrong)?;
        let enrolment = Enrolment {
            surname: subject.get("SN").ok_or_else(wrong)?.to_owned(),
            given_name: subject.get("GN").ok_or_else(wrong)?.to_owned(),
            kinds: chosen(form),
            authenticators: vec![card],
        };
        let asked = self.server.signing.ask_to_enrol(
            DESK_CLIENT,
            number,
            enrolment,
            None,
            &self.call.seed,
            self.call.now,
        )?;
        Ok(see_other(&format!("/approve/{}", asked.handle)))
    }

    /// `/officer`: a passkey for somebody whom an operator is to make an officer. Nothing is stored.
    pub(crate) fn become_officer(&self, rest: Option<&str>) -> Result<Reply, Problem> {
        let text = match (self.call.is_get(), rest) {
            (true, None) => None,
            (false, Some("options")) => {
                self.form()?;
                return self.creation();
            }
            (false, None) => {
                let key = passkey(&self.form()?)?;
                Some(serde_json::to_string(&key).unwrap_or_default())
            }
            _ => return Err(Problem::NotFound),
        };
        let page = OfficerPage {
            frame: self.frame(None),
            text: text.as_deref(),
        };
        Ok(self.render(StatusCode::OK, &page, ""))
    }
}
