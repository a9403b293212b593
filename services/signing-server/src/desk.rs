//! The officers' desk.

use askama::Template;
use http::StatusCode;
use oauth2::Parameters;
use server_signing::{CaseMatter, DESK_CLIENT, Desk, Form, OfficerView, OpenedCase};
use web_ui::{Frame, see_other};

use crate::call::Reply;
use crate::confirm::Picture;
use crate::enrol::chosen;
use crate::me::CredentialRow;
use crate::pages::{Problem, Visit, field};
use crate::visits::number;

/// The desk.
#[derive(Debug, Template)]
#[template(path = "desk.html")]
pub struct DeskPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The officer's office.
    pub office: &'a str,
}

/// A case that waits for the person's device.
#[derive(Debug, Template)]
#[template(path = "case.html")]
pub struct CasePage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Names the case.
    pub id: &'a str,
    /// The code, shown once.
    pub code: Option<&'a str>,
    /// Key of what comes next.
    pub text: &'a str,
    /// Where the person enters it.
    pub address: &'a str,
    /// The same as a picture.
    pub picture: Option<Picture>,
}

/// A person's certificates.
#[derive(Debug, Template)]
#[template(path = "person.html")]
pub struct PersonPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The personal number.
    pub number: &'a str,
    /// The name.
    pub name: &'a str,
    /// Whether the account is frozen.
    pub frozen: bool,
    /// The certificates.
    pub credentials: &'a [CredentialRow],
}

/// A code as it is read out: in two groups.
pub(crate) fn spaced(code: &str) -> String {
    match code.split_at_checked(code.len() / 2) {
        Some((first, second)) => format!("{first}-{second}"),
        None => code.to_owned(),
    }
}

fn compared(form: &Parameters) -> Result<(), Problem> {
    if form.get("compared") == Some("yes") {
        Ok(())
    } else {
        Err(Problem::Text("desk-compare"))
    }
}

impl Visit<'_> {
    pub(crate) fn desk_page(
        &self,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let officer = self.officer()?;
        let page = DeskPage {
            frame: self.frame(error),
            office: &officer.office,
        };
        Ok(self.render(status, &page, ""))
    }

    /// `/desk` and what is below it.
    pub(crate) fn desk(&self, rest: Option<&str>) -> Result<Reply, Problem> {
        let officer = self.officer()?;
        if self.call.is_get() {
            return match rest.and_then(|rest| rest.strip_prefix("case/")) {
                Some(id) => self.case_page(&officer, id, None),
                // Also what answered a form, asked for again in another language.
                None => self.desk_page(StatusCode::OK, None),
            };
        }
        let form = self.form()?;
        self.task(&officer, rest.unwrap_or_default(), &form)
            .or_else(|problem| self.desk_page(problem.status(), Some(problem.text())))
    }

    fn task(&self, officer: &OfficerView, task: &str, form: &Parameters) -> Result<Reply, Problem> {
        let (signing, call) = (&self.server.signing, self.call);
        let (seed, now) = (&call.seed, call.now);
        let desk = || -> Result<Desk, Problem> {
            compared(form)?;
            Ok(Desk {
                officers: vec![officer.id.clone()],
                reference: field(form, "reference")?.trim().to_owned(),
            })
        };
        let asked = match task {
            "enrol" | "recover" => {
                compared(form)?;
                let matter = if task == "enrol" {
                    CaseMatter::Enrol {
                        surname: field(form, "surname")?.trim().to_owned(),
                        given_name: field(form, "given_name")?.trim().to_owned(),
                        kinds: chosen(form),
                    }
                } else {
                    CaseMatter::Replace {}
                };
                let reference = field(form, "reference")?.trim();
                let opened =
                    signing.open_case(&officer.id, reference, number(form)?, matter, seed, now)?;
                if task == "enrol" && form.get("at_desk") == Some("yes") {
                    let forms = vec![Form::Desk];
                    signing.begin_case(&opened.code, forms, seed, now)?
                } else {
                    return self.case_page(officer, &opened.id.clone(), Some(&opened));
                }
            }
            "join" => {
                compared(form)?;
                let code = field(form, "code")?;
                let reference = form.get("reference").unwrap_or_default().trim();
                let case = signing.join_case(code, &officer.id, reference, seed, now)?;
                return Ok(see_other(&format!("/desk/case/{}", case.id)));
            }
            "lift" => signing.ask_to_lift(DESK_CLIENT, number(form)?, desk()?, seed, now)?,
            "freeze" => {
                signing.freeze(DESK_CLIENT, number(form)?, now)?;
                return Ok(self.message(
                    StatusCode::OK,
                    "done-title",
                    "frozen-text",
                    Some(("/desk", "desk-title")),
                ));
            }
            "person" => return self.person_page(form),
            "revoke" => {
                let credential = field(form, "credential")?;
                signing.ask_to_revoke(DESK_CLIENT, credential, Some(desk()?), seed, now)?
            }
            "renew" => {
                let credential = field(form, "credential")?;
                signing.ask_to_renew(DESK_CLIENT, credential, Some(desk()?), seed, now)?
            }
            _ => return Err(Problem::NotFound),
        };
        Ok(see_other(&format!("/approve/{}", asked.handle)))
    }

    fn person_page(&self, form: &Parameters) -> Result<Reply, Problem> {
        let number = number(form)?;
        let person = self.server.signing.person(number)?;
        let rows: Vec<CredentialRow> = self
            .server
            .signing
            .credentials(number)?
            .iter()
            .map(|view| CredentialRow::of(view, self.call.now))
            .collect();
        let page = PersonPage {
            frame: self.frame(None),
            number: number.as_str(),
            name: &format!("{} {}", person.surname, person.given_name),
            frozen: person.frozen,
            credentials: &rows,
        };
        Ok(self.render(StatusCode::OK, &page, ""))
    }

    fn case_page(
        &self,
        officer: &OfficerView,
        id: &str,
        opened: Option<&OpenedCase>,
    ) -> Result<Reply, Problem> {
        let case = self.server.signing.case(id, self.call.now)?;
        // A case is its officers' own.
        if !case.officers.contains(&officer.id) {
            return Err(Problem::NotFound);
        }
        if let Some(handle) = &case.authorisation {
            return Ok(see_other(&format!("/approve/{handle}")));
        }
        let second = matches!(case.matter, CaseMatter::Replace {}) && case.officers.len() < 2;
        let code = opened.map(|opened| spaced(&opened.code));
        let address = self.server.at("/enrol");
        let page = CasePage {
            frame: self.frame(None),
            id,
            code: code.as_deref(),
            text: if second {
                "case-second-officer"
            } else {
                "case-person"
            },
            picture: Picture::of(&address),
            address: &address,
        };
        Ok(self.render(StatusCode::OK, &page, ""))
    }
}
