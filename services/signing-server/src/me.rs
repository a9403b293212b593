//! What is somebody's own: certificates, what was signed, and stopping it.

use askama::Template;
use http::StatusCode;
use server_signing::{
    CredentialStatus, CredentialView, EventPlace, RENEWAL_BEFORE_END, What, page_of_events,
};
use time::OffsetDateTime;
use web_ui::{ConfirmPage, Frame, see_other};

use crate::call::Reply;
use crate::confirm::kind_text;
use crate::pages::{Problem, Visit, field, shown};

/// Events on one page.
const MOST_EVENTS: usize = 100;
/// The client in statements that people make themselves.
const SELF: &str = "self";

/// One certificate.
#[derive(Debug)]
pub struct CredentialRow {
    /// Its id.
    pub id: String,
    /// Key of its kind.
    pub kind: &'static str,
    /// Key of its state.
    pub status: &'static str,
    /// When it ends.
    pub until: String,
    /// Whether it signs.
    pub active: bool,
    /// Whether it is time to renew it.
    pub renewable: bool,
}

impl CredentialRow {
    pub(crate) fn of(view: &CredentialView, now: OffsetDateTime) -> Self {
        let end = view.certificate.not_after();
        let active = view.status == CredentialStatus::Active;
        Self {
            id: view.id.clone(),
            kind: kind_text(view.kind),
            status: match view.status {
                CredentialStatus::Active if now < end => "status-valid",
                CredentialStatus::Active => "status-expired",
                CredentialStatus::Retired => "status-renewed",
                CredentialStatus::Revoked => "status-revoked",
            },
            until: shown(end),
            active,
            renewable: active && now >= end - RENEWAL_BEFORE_END,
        }
    }
}

/// One event.
#[derive(Debug)]
pub struct EventRow {
    /// When.
    pub at: String,
    /// Key of what happened.
    pub what: &'static str,
    /// Who asked.
    pub client: String,
    /// Documents.
    pub documents: Vec<String>,
}

/// What is somebody's own.
#[derive(Debug, Template)]
#[template(path = "me.html")]
pub struct MePage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The name.
    pub name: &'a str,
    /// Key of what stops signing now.
    pub stopped: Option<&'a str>,
    /// With what is confirmed.
    pub forms: &'a [String],
    /// The certificates.
    pub credentials: &'a [CredentialRow],
    /// What happened, the latest first.
    pub events: &'a [EventRow],
    /// Whether these are the latest.
    pub latest: bool,
    /// Before which place earlier ones are, if there are any.
    pub older: Option<u64>,
}

const fn what_text(what: What) -> &'static str {
    match what {
        What::Enrolled => "event-enrolled",
        What::Confirmed => "event-confirmed",
        What::Signed => "event-signed",
        What::Denied => "event-denied",
        What::Frozen => "event-frozen",
        What::FreezeLifted => "event-lifted",
        What::Recovered => "event-recovered",
        What::AuthenticatorsReplaced => "event-replaced",
        What::Renewed => "event-renewed",
        What::Revoked => "event-revoked",
    }
}

impl Visit<'_> {
    /// What a client is called.
    pub(crate) fn client_name(&self, id: &str) -> String {
        match id {
            SELF => self.frame(None).say("client-self"),
            server_signing::DESK_CLIENT => self.frame(None).say("client-desk"),
            id => self.server.clients.find(id).map_or_else(
                || id.to_owned(),
                |client| client.name(self.visitor.language).to_owned(),
            ),
        }
    }

    pub(crate) fn me_page(
        &self,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let number = self.person()?;
        let signing = &self.server.signing;
        let person = signing.person(number)?;
        let credentials: Vec<CredentialRow> = signing
            .credentials(number)?
            .iter()
            .map(|view| CredentialRow::of(view, self.call.now))
            .collect();
        let before = web_ui::before(self.call.query).map(EventPlace);
        let mut events = signing.history_before(number, before, MOST_EVENTS + 1)?;
        let older = page_of_events(&mut events, MOST_EVENTS).map(|place| place.0);
        let events: Vec<EventRow> = events
            .into_iter()
            .map(|(_, event)| EventRow {
                at: shown(event.at),
                what: what_text(event.what),
                client: self.client_name(&event.client),
                documents: event
                    .documents
                    .into_iter()
                    .map(|document| document.name)
                    .collect(),
            })
            .collect();
        let frame = self.frame(error);
        let forms: Vec<String> = person
            .forms
            .iter()
            .map(|form| crate::approve::form_name(&frame, form))
            .collect();
        let stopped = if person.frozen {
            Some("error-frozen")
        } else {
            person
                .careful_until
                .filter(|until| self.call.now < *until)
                .map(|_| "error-careful")
        };
        let page = MePage {
            frame,
            name: &format!("{} {}", person.surname, person.given_name),
            stopped,
            forms: &forms,
            credentials: &credentials,
            events: &events,
            latest: before.is_none(),
            older,
        };
        Ok(self.render(status, &page, ""))
    }

    /// `/me` and what is below it.
    pub(crate) fn me(&self, rest: Option<&str>) -> Result<Reply, Problem> {
        match (self.call.is_get(), rest) {
            (true, Some("freeze")) => {
                self.person()?;
                let page = ConfirmPage {
                    frame: self.frame(None),
                    title: "freeze-title",
                    text: "freeze-text",
                    button: "freeze-button",
                    action: "/me/freeze",
                    grave: true,
                    back: ("/me", "back-link"),
                };
                Ok(self.render(StatusCode::OK, &page, ""))
            }
            (true, _) => self.me_page(StatusCode::OK, None),
            (false, Some(what)) => {
                let number = self.person()?;
                self.own(what, number)
                    .or_else(|problem| self.me_page(problem.status(), Some(problem.text())))
            }
            _ => Err(Problem::NotFound),
        }
    }

    fn own(&self, what: &str, number: id_registry::PersonalNumber) -> Result<Reply, Problem> {
        let form = self.form()?;
        let (signing, call) = (&self.server.signing, self.call);
        let credential = || -> Result<String, Problem> {
            let id = field(&form, "credential")?.to_owned();
            let theirs = signing
                .credentials(number)?
                .iter()
                .any(|view| view.id == id);
            theirs.then_some(id).ok_or(Problem::Form)
        };
        let asked = match what {
            "freeze" => {
                signing.freeze(SELF, number, call.now)?;
                return Ok(see_other("/me"));
            }
            "revoke" => signing.ask_to_revoke(SELF, &credential()?, None, &call.seed, call.now)?,
            "renew" => signing.ask_to_renew(SELF, &credential()?, None, &call.seed, call.now)?,
            _ => return Err(Problem::NotFound),
        };
        Ok(see_other(&format!("/approve/{}", asked.handle)))
    }
}
