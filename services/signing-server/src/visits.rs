//! Signing in to look, and signing out.

use askama::Template;
use http::StatusCode;
use id_registry::PersonalNumber;
use oauth2::Parameters;
use server_signing::{OfficerView, Proof, VISIT_LASTS, Who};
use web_ui::{Frame, cookie, see_other, set_cookie};

use crate::call::Reply;
use crate::confirm::assertion_options;
use crate::pages::{Problem, Visit, field, for_script};

/// Cookie of somebody who is signed in.
const VISIT_COOKIE: &str = "__Host-visit";

/// Ways to sign in.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The question for a card, if cards sign in.
    pub card: Option<&'a str>,
}

/// A personal number of a form.
pub(crate) fn number(form: &Parameters) -> Result<PersonalNumber, Problem> {
    field(form, "number")?
        .trim()
        .parse()
        .map_err(|_| Problem::Text("error-number"))
}

/// The proof of a form: a passkey's answer or a card's signature.
pub(crate) fn proof(form: &Parameters) -> Result<Proof, Problem> {
    Ok(match form.get("card") {
        Some(signature) => Proof::Card(signature.split_whitespace().collect()),
        None => Proof::Passkey(field(form, "answer")?.to_owned()),
    })
}

impl Visit<'_> {
    /// Who is signed in in this browser.
    pub(crate) fn who(&self) -> Result<Who, Problem> {
        let ticket = cookie(self.call.headers, VISIT_COOKIE).ok_or(Problem::SignIn)?;
        self.server
            .signing
            .signed_in(ticket, self.call.now)
            .map_err(|_| Problem::SignIn)
    }

    pub(crate) fn officer(&self) -> Result<OfficerView, Problem> {
        match self.who()? {
            Who::Officer(officer) => Ok(officer),
            Who::Person(_) => Err(Problem::NotFound),
        }
    }

    pub(crate) fn person(&self) -> Result<PersonalNumber, Problem> {
        match self.who()? {
            Who::Person(number) => Ok(number),
            Who::Officer(_) => Err(Problem::NotFound),
        }
    }

    pub(crate) fn sign_in_page(
        &self,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let place = self.server.signing.place();
        let question = if place.card_issuers.is_empty() {
            None
        } else {
            let question = self
                .server
                .signing
                .question(&self.call.seed, self.call.now)?;
            Some(question.text)
        };
        let page = SignInPage {
            frame: self.frame(error),
            card: question.as_deref(),
        };
        Ok(self.render(status, &page, ""))
    }

    /// `/sign-in` and what is below it.
    pub(crate) fn sign_in(&self, rest: Option<&str>) -> Result<Reply, Problem> {
        if self.call.is_get() && rest.is_none() {
            return self.sign_in_page(StatusCode::OK, None);
        }
        let form = self.form()?;
        if rest == Some("options") {
            let question = self
                .server
                .signing
                .question(&self.call.seed, self.call.now)?;
            let relying_party = &self.server.signing.place().relying_party;
            let mut options = assertion_options(relying_party, &question.challenge, &[]);
            options["ceremony"] = question.text.into();
            return Ok(for_script(&options));
        }
        let claimed = match form.get("number") {
            Some(_) => Some(number(&form)?),
            None => None,
        };
        let question = field(&form, "ceremony")?;
        let ticket = self
            .server
            .signing
            .sign_in(question, &proof(&form)?, claimed, self.call.now);
        let ticket = match ticket {
            Ok(ticket) => ticket,
            Err(failure) => {
                let problem = Problem::from(failure);
                return self.sign_in_page(problem.status(), Some(problem.text()));
            }
        };
        let next = match self.server.signing.signed_in(&ticket, self.call.now)? {
            Who::Person(_) => "/me",
            Who::Officer(_) => "/desk",
        };
        let mut reply = see_other(next);
        let lasts = u32::try_from(VISIT_LASTS.whole_seconds()).ok();
        set_cookie(&mut reply, VISIT_COOKIE, &ticket, lasts);
        Ok(reply)
    }

    pub(crate) fn sign_out(&self) -> Result<Reply, Problem> {
        self.form()?;
        let mut reply = see_other("/sign-in");
        set_cookie(&mut reply, VISIT_COOKIE, "", Some(0));
        Ok(reply)
    }
}
