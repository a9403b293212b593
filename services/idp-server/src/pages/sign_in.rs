//! Signing in, and what a relying party's request needs of the person.

use std::collections::BTreeSet;

use http::StatusCode;
use oauth2::Parameters;
use oidc_provider::{Assertion, CodeSent, Failure, LoginName, Refusal, Represented, Secret, Step};
use passkeys::{PasskeyError, Passkeys, Question};
use passwords::Password;
use tokio::runtime::Handle;
use web_ui::{bare, see_other, set_cookie};

use super::acting::theme_text;
use super::view::{
    CodePage, ConsentPage, CounterPage, DeviceChoosePage, DevicePage, FirstKeyPage, ScopeRow,
    ScreenPage, SignInPage, UnfreezePage,
};
use super::{INTERACTION_COOKIE, Pages, Problem, Reply, SCREEN_COOKIE, Visit, field, level_text};
use crate::oauth::{DEVICE_PAGE, SESSION_COOKIE};

/// Seconds between two questions of a screen that waits for a phone.
const SCREEN_ASKS_EVERY: i64 = 5;

/// A name in the person's language, or in any.
pub(super) fn in_language(
    names: &std::collections::BTreeMap<String, String>,
    code: &str,
) -> Option<String> {
    names.get(code).or_else(|| names.values().next()).cloned()
}

/// A new salt for the hash of a password.
pub(super) fn salt() -> Result<[u8; 16], Problem> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| Problem::Text("failed-text"))?;
    Ok(salt)
}

impl Pages {
    /// The name of the relying party that asks, in the person's language.
    fn asking_name(visit: &Visit<'_>) -> Option<String> {
        let (_, asking) = visit.asking.as_ref()?;
        Some(asking.client.name(visit.language().code()).to_owned())
    }

    pub(super) fn sign_in_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Reply {
        let client = Self::asking_name(visit);
        let level = visit
            .asking
            .as_ref()
            .and_then(|(_, asking)| match asking.step {
                Step::SignIn { level } | Step::StepUp { level, .. } => Some(level_text(level)),
                _ => None,
            });
        let page = SignInPage {
            frame: self.frame(visit, error),
            client: client.as_deref(),
            level,
            card: self.card_address.as_ref().map(|_| "/sign-in/card"),
        };
        Self::page(visit, status, &page)
    }

    /// A browser's question for a passkey: kept here until it is answered.
    pub(super) fn question(&self, visit: &Visit<'_>, asked: Question) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let token = provider.keep_ceremony(asked.state, visit.now(), visit.seed())?;
        let options: serde_json::Value =
            serde_json::from_str(&asked.options).map_err(|_| Problem::Text("failed-text"))?;
        let body = serde_json::json!({ "options": options, "ceremony": token.expose() });
        Ok(bare(StatusCode::OK, "application/json", body.to_string()))
    }

    pub(super) fn ask_for_key(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        self.question(visit, self.passkeys.ask_to_sign_in()?)
    }

    /// Verifies a passkey's answer. A key that nobody has looks like a wrong one.
    fn assertion(&self, visit: &Visit<'_>, form: &Parameters) -> Result<Assertion, Problem> {
        let provider = self.oauth.provider();
        let token = Secret::new(field(form, "ceremony")?);
        let state = provider.take_ceremony(&token, visit.now())?;
        let answer = field(form, "answer")?;
        let (_, key) = provider
            .passkey(&Passkeys::named(answer)?)?
            .ok_or_else(|| PasskeyError::Refused("nobody has this key".to_owned()))?;
        Ok(self.passkeys.signed_in(&state, answer, &key)?)
    }

    pub(super) fn sign_in_with_key(
        &self,
        visit: &Visit<'_>,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let assertion = self.assertion(visit, form)?;
        let current = self.current(visit);
        let signed_in = self.oauth.provider().sign_in_with_key(
            &assertion,
            &visit.origin,
            current.as_ref(),
            visit.now(),
            visit.seed(),
        )?;
        Ok(Self::entered(visit, &signed_in))
    }

    /// The session that is stepped up; none if nobody is signed in.
    pub(super) fn current(&self, visit: &Visit<'_>) -> Option<Secret> {
        visit.who.as_ref()?;
        visit.call.cookie(SESSION_COOKIE)
    }

    pub(super) fn sign_in_with_password(
        &self,
        visit: &Visit<'_>,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let name = field(form, "name")?.trim();
        let name = name.parse().map_or_else(
            |_| LoginName::Email(name.to_lowercase(), self.tenant),
            |number| LoginName::Number(number, self.tenant),
        );
        // First of all, so that a flood costs nothing more and nobody's attempt is counted that is not judged.
        let place = self.passwords.place()?;
        let check = provider.begin_password(&name, &visit.origin, visit.now())?;
        let password = Password::new(field(form, "password")?.to_owned());
        let (matches, renewed) = match password {
            Ok(password) => {
                let verified = place.verify(password, check.hash(), salt()?);
                let verdict = Handle::current().block_on(verified)?;
                (verdict.fits, verdict.renewed)
            }
            Err(_) => (false, None),
        };
        let sent =
            provider.finish_password(&check, matches, &visit.origin, visit.now(), visit.seed())?;
        if let Some(renewed) = renewed {
            provider.renew_password(&check, &renewed)?;
        }
        // Who uses the printed list needs nothing sent.
        self.code_sent(visit, &sent, form.get("printed").is_none())
    }

    pub(super) fn sign_up(&self, visit: &Visit<'_>, form: &Parameters) -> Result<Reply, Problem> {
        let sent = self.oauth.provider().begin_sign_up(
            field(form, "address")?.trim(),
            self.tenant,
            &visit.origin,
            visit.now(),
            visit.seed(),
        )?;
        self.code_sent(visit, &sent, true)
    }

    /// Sends a code and asks for it.
    pub(super) fn code_sent(
        &self,
        visit: &Visit<'_>,
        sent: &CodeSent,
        send: bool,
    ) -> Result<Reply, Problem> {
        if let Some(delivery) = sent.delivery.as_ref().filter(|_| send) {
            self.post.post(delivery).map_err(|error| {
                tracing::error!(%error, "a one-time code could not be handed to its delivery");
                Problem::Text("failed-text")
            })?;
        }
        let page = CodePage {
            frame: self.frame(visit, None),
            attempt: sent.attempt.expose(),
        };
        Ok(Self::page(visit, StatusCode::OK, &page))
    }

    pub(super) fn sign_in_with_code(
        &self,
        visit: &Visit<'_>,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let attempt = field(form, "attempt")?;
        let current = self.current(visit);
        let done = self.oauth.provider().finish_code(
            &Secret::new(attempt),
            &Secret::new(field(form, "code")?),
            &visit.origin,
            current.as_ref(),
            visit.now(),
            visit.seed(),
        );
        match done {
            Ok(signed_in) => Ok(Self::entered(visit, &signed_in)),
            // Another try with the same attempt.
            Err(Failure::Refused(Refusal::WrongCredentials)) => {
                let page = CodePage {
                    frame: self.frame(visit, Some("error-credentials")),
                    attempt,
                };
                Ok(Self::page(visit, StatusCode::BAD_REQUEST, &page))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    pub(super) fn counter_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Reply {
        let page = CounterPage {
            frame: self.frame(visit, error),
        };
        Self::page(visit, status, &page)
    }

    /// A ticket of a clerk signs in at this screen.
    pub(super) fn enter_at_counter(
        &self,
        visit: &Visit<'_>,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let signed_in = self.oauth.provider().enter_at_counter(
            &Secret::new(field(form, "ticket")?),
            &visit.origin,
            visit.now(),
            visit.seed(),
        )?;
        Ok(Self::entered(visit, &signed_in))
    }

    pub(super) fn unfreeze_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Reply {
        let page = UnfreezePage {
            frame: self.frame(visit, error),
        };
        Self::page(visit, status, &page)
    }

    /// Lifts a freeze that came over a call or a counter; nobody is signed in by it.
    pub(super) fn unfreeze(&self, visit: &Visit<'_>, form: &Parameters) -> Result<Reply, Problem> {
        let assertion = self.assertion(visit, form)?;
        self.oauth
            .provider()
            .unfreeze(&assertion, &visit.origin, visit.now(), visit.seed())?;
        let next = Some(("/sign-in", "sign-in-link"));
        Ok(self.message(visit, "unfrozen-title", "unfrozen-text", None, next))
    }

    pub(super) fn first_key_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Reply {
        let page = FirstKeyPage {
            frame: self.frame(visit, error),
        };
        Self::page(visit, status, &page)
    }

    pub(super) fn ask_for_first_key(
        &self,
        visit: &Visit<'_>,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let code = Secret::new(field(form, "ticket")?);
        let account = self
            .oauth
            .provider()
            .ticket(&code, &visit.origin, visit.now())?;
        let host = self.host();
        self.question(visit, self.passkeys.ask_to_register(&account, host, &[])?)
    }

    pub(super) fn first_key(&self, visit: &Visit<'_>, form: &Parameters) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let token = Secret::new(field(form, "ceremony")?);
        let state = provider.take_ceremony(&token, visit.now())?;
        let key = self
            .passkeys
            .registered(&state, field(form, "answer")?, &visit.origin.label)?;
        let signed_in = provider.use_ticket(
            &Secret::new(field(form, "ticket")?),
            &key,
            &visit.origin,
            visit.now(),
            visit.seed(),
        )?;
        Ok(Self::entered(visit, &signed_in))
    }

    /// What the authenticator calls the account: nothing personal, for it shows it to whoever holds it.
    pub(super) fn host(&self) -> &str {
        let issuer = self.oauth.issuer();
        issuer.strip_prefix("https://").unwrap_or(issuer)
    }

    /// Goes on with a relying party's request.
    pub(super) fn go_on(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        let Some((token, asking)) = &visit.asking else {
            return Ok(see_other("/account"));
        };
        let refuse = Some(("/account", "account-title"));
        match (&asking.step, &visit.who) {
            // Where one acts for others, the person says each time for whom.
            (Step::Ready, Some(who)) if asking.client.form.theme.is_none() => {
                self.allowed(visit, token, who, &asking.asked.scopes.clone(), None)
            }
            (Step::Ready, Some(_)) => self.consent_page(visit, &BTreeSet::new(), None),
            (Step::Consent { scopes }, Some(_)) => self.consent_page(visit, scopes, None),
            (Step::Proofing, _) => {
                Ok(self.message(visit, "proofing-title", "proofing-text", None, refuse))
            }
            (Step::StepUp { level, reachable }, _) if reachable < level => {
                Ok(self.message(visit, "step-up-title", "step-up-text", None, refuse))
            }
            _ => Ok(self.sign_in_page(visit, StatusCode::OK, None)),
        }
    }

    fn consent_page(
        &self,
        visit: &Visit<'_>,
        scopes: &BTreeSet<String>,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let Some((token, asking)) = &visit.asking else {
            return Ok(see_other("/account"));
        };
        let form = &asking.client.form;
        let code = visit.language().code();
        let scopes: Vec<ScopeRow> = scopes
            .iter()
            .map(|scope| ScopeRow {
                name: scope.clone(),
                text: format!("scope-{scope}"),
                purpose: form
                    .purposes
                    .get(scope)
                    .and_then(|words| in_language(words, code)),
            })
            .collect();
        let represented = match form.theme {
            Some(theme) => {
                let mut numbers = self.represented_in(visit, theme)?;
                numbers.extend(self.organisations_in(visit, theme)?);
                numbers
            }
            None => Vec::new(),
        };
        let request = token.digest();
        let page = ConsentPage {
            frame: self.frame(visit, error),
            client: &Self::asking_name(visit).unwrap_or_default(),
            organisation: &form.organisation,
            request: request.as_str(),
            scopes: &scopes,
            theme: form.theme.map(theme_text),
            represented: &represented,
        };
        let status = if error.is_some() {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::OK
        };
        Ok(Self::page(visit, status, &page))
    }

    fn allowed(
        &self,
        visit: &Visit<'_>,
        token: &Secret,
        who: &oidc_provider::Authenticated,
        scopes: &BTreeSet<String>,
        subject: Option<Represented>,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let answer = provider.allow(token, who, scopes, subject, visit.now(), visit.seed())?;
        Ok(self.answered(&answer))
    }

    fn answered(&self, answer: &oidc_provider::Answer) -> Reply {
        let mut reply = see_other(&self.oauth.answer_location(answer));
        set_cookie(&mut reply, INTERACTION_COOKIE, "", Some(0));
        reply
    }

    pub(super) fn consent(&self, visit: &Visit<'_>, form: &Parameters) -> Result<Reply, Problem> {
        let (token, asking) = visit.asking.as_ref().ok_or(Refusal::Over)?;
        let who = visit.who()?;
        // Another page may have brought another request into this browser since: what was read is what is answered.
        if field(form, "request")? != token.digest().as_str() {
            return self.consent_again(visit, &asking.step, "error-other-request");
        }
        if field(form, "decision")? != "allow" {
            let answer = self
                .oauth
                .provider()
                .refuse(token, Some(who), visit.now())?;
            return Ok(self.answered(&answer));
        }
        let mut scopes = asking.asked.scopes.clone();
        if let Step::Consent { scopes: open } = &asking.step {
            // `openid` is what makes it a sign-in; who does not want it refuses.
            scopes.retain(|scope| {
                scope == "openid"
                    || !open.contains(scope)
                    || form.get(&format!("scope-{scope}")) == Some("yes")
            });
        }
        let subject = match form.get("subject").map(str::trim) {
            None | Some("") => None,
            // The first digit says which of the two it is.
            Some(number) => match (number.parse(), number.parse()) {
                (Ok(person), _) => Some(Represented::Person(person)),
                (_, Ok(organisation)) => Some(Represented::Organisation(organisation)),
                _ => return self.consent_again(visit, &asking.step, "error-number"),
            },
        };
        match self.allowed(visit, token, who, &scopes, subject) {
            // Whether there is such a person, and why not, is not told.
            Err(Problem::Failure(Failure::Refused(Refusal::NotAvailable))) => {
                self.consent_again(visit, &asking.step, "error-not-available")
            }
            done => done,
        }
    }

    /// The same page once more, with what went wrong.
    fn consent_again(
        &self,
        visit: &Visit<'_>,
        step: &Step,
        error: &'static str,
    ) -> Result<Reply, Problem> {
        let none = BTreeSet::new();
        let scopes = match step {
            Step::Consent { scopes } => scopes,
            _ => &none,
        };
        self.consent_page(visit, scopes, Some(error))
    }

    pub(super) fn sign_in_with_phone(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        let begun = self.oauth.provider().begin_screen(
            self.tenant,
            &visit.origin,
            visit.now(),
            visit.seed(),
        )?;
        let page = ScreenPage {
            frame: self.frame(visit, None),
            address: &format!("{}{DEVICE_PAGE}", self.oauth.issuer()),
            user_code: begun.user_code.expose(),
            number: begun.number,
            interval: SCREEN_ASKS_EVERY,
        };
        let mut reply = Self::page(visit, StatusCode::OK, &page);
        let shown = format!(
            "{}/{}/{}",
            begun.poll.expose(),
            begun.user_code.expose(),
            begun.number
        );
        let lasts = u32::try_from(begun.lasts.whole_seconds()).ok();
        set_cookie(&mut reply, SCREEN_COOKIE, &shown, lasts);
        Ok(reply)
    }

    /// The screen asks whether the phone answered.
    pub(super) fn wait_for_phone(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        let kept = visit.call.cookie(SCREEN_COOKIE).ok_or(Refusal::Over)?;
        let mut parts = kept.expose().split('/');
        let (Some(poll), Some(user_code), Some(number)) = (
            parts.next(),
            parts.next(),
            parts.next().and_then(|number| number.parse().ok()),
        ) else {
            return Err(Refusal::Over.into());
        };
        let asked = self.oauth.provider().poll_screen(
            &Secret::new(poll),
            &visit.origin,
            visit.now(),
            visit.seed(),
        );
        match asked {
            Ok(signed_in) => {
                let mut reply = Self::entered(visit, &signed_in);
                set_cookie(&mut reply, SCREEN_COOKIE, "", Some(0));
                Ok(reply)
            }
            Err(Failure::Refused(Refusal::Pending | Refusal::SlowDown)) => {
                let page = ScreenPage {
                    frame: self.frame(visit, None),
                    address: &format!("{}{DEVICE_PAGE}", self.oauth.issuer()),
                    user_code,
                    number,
                    interval: SCREEN_ASKS_EVERY,
                };
                Ok(Self::page(visit, StatusCode::OK, &page))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    pub(super) fn device_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        visit.who()?;
        let page = DevicePage {
            frame: self.frame(visit, error),
        };
        Ok(Self::page(visit, status, &page))
    }

    pub(super) fn device_letters(
        &self,
        visit: &Visit<'_>,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let user_code = field(form, "user_code")?;
        let view = self
            .oauth
            .provider()
            .crossing(visit.who()?, &Secret::new(user_code))?;
        let client = view
            .client
            .as_ref()
            .map(|client| client.name(visit.language().code()).to_owned());
        let scopes: Vec<String> = view
            .scopes
            .iter()
            .map(|scope| format!("scope-{scope}"))
            .collect();
        let page = DeviceChoosePage {
            frame: self.frame(visit, None),
            client: client.as_deref(),
            place: view.network.as_deref(),
            browser: view.label.as_deref(),
            scopes: &scopes,
            choices: &view.choices,
            user_code,
        };
        Ok(Self::page(visit, StatusCode::OK, &page))
    }

    pub(super) fn device_answer(
        &self,
        visit: &Visit<'_>,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let chosen = match field(form, "number")? {
            "none" => None,
            number => Some(number.parse().map_err(|_| Problem::Form)?),
        };
        self.oauth.provider().answer_crossing(
            visit.who()?,
            &Secret::new(field(form, "user_code")?),
            chosen,
        )?;
        Ok(self.message(visit, "answered-title", "answered-text", None, None))
    }
}
