//! Statements that are not about signing, or are confirmed at a desk: what they say, and who has yet to confirm.

use askama::Template;
use ca::RevocationReason;
use http::StatusCode;
use server_signing::{
    Completion, Failure, Form, Kind, Matter, PendingCertificates, Progress, Shown, ShownState,
    comparison,
};
use web_ui::Frame;

use crate::SigningServer;
use crate::call::Reply;
use crate::confirm::{DocumentRow, assertion_options, grouped, kind_text};
use crate::pages::{Problem, Visit, for_script, shown};
use crate::visits::proof;

/// What is to be confirmed.
#[derive(Debug, Template)]
#[template(path = "approve.html")]
pub struct ApprovePage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Key of the title.
    pub title: &'a str,
    /// Keys of texts, and values.
    pub rows: &'a [(&'static str, String)],
    /// Documents that are to be signed.
    pub documents: &'a [DocumentRow<'a>],
    /// The digits to compare.
    pub digits: &'a str,
    /// Names the statement.
    pub handle: &'a str,
    /// Whether a card may confirm.
    pub card: bool,
    /// Key of what is said of the others who must confirm.
    pub others: Option<&'a str>,
}

impl SigningServer {
    /// Orders the certificates of what was proven, and ends it. What was ordered in vain is revoked.
    pub(crate) fn certify(
        &self,
        pending: PendingCertificates,
        visit: &Visit<'_>,
    ) -> Result<Vec<String>, Problem> {
        let authority = self.authority.as_deref().ok_or(Problem::Authority)?;
        let now = visit.call.now;
        let mut certificates = Vec::new();
        let mut problem = None;
        for (place, order) in pending.orders().into_iter().enumerate() {
            let id = visit.call.seed.id(&format!("order {place}"));
            match authority.certify(order, &id, now) {
                Ok(certificate) => certificates.push(certificate),
                Err(error) => {
                    tracing::error!(%error, "a certificate was not issued");
                    problem = Some(Problem::Authority);
                    break;
                }
            }
        }
        let ordered = certificates.clone();
        let done = match problem {
            Some(problem) => Err(problem),
            None => self
                .signing
                .certified(pending, certificates, now)
                .map_err(Problem::from),
        };
        if done.is_err() {
            for (place, certificate) in ordered.iter().enumerate() {
                let id = visit.call.seed.id(&format!("revocation {place}"));
                let reason = RevocationReason::CessationOfOperation;
                if let Err(error) = authority.revoke(certificate, reason, &id, now) {
                    tracing::error!(%error, "a certificate that is of no use was not revoked");
                }
            }
        }
        done
    }
}

/// What an authenticator is called.
pub(crate) fn form_name(frame: &Frame<'_>, form: &Form) -> String {
    match form {
        Form::Passkey { label, .. } => frame.say_of("form-passkey", label),
        Form::Card { .. } => frame.say("form-card"),
        Form::Desk => frame.say("form-desk"),
    }
}

fn kinds(frame: &Frame<'_>, kinds: &[Kind]) -> String {
    let names: Vec<String> = kinds
        .iter()
        .map(|kind| frame.say(kind_text(*kind)))
        .collect();
    names.join(", ")
}

impl Visit<'_> {
    /// `/approve/HANDLE` and what is below it.
    pub(crate) fn approve(&self, handle: &str, rest: Option<&str>) -> Result<Reply, Problem> {
        if self.call.is_get() && matches!(rest, None | Some("again")) {
            let found = self.server.signing.show(handle, self.call.now)?;
            return self.approve_page(&found, StatusCode::OK, None, None);
        }
        if !self.call.is_post() {
            return Err(Problem::NotFound);
        }
        let form = self.form()?;
        let found = self.server.signing.show(handle, self.call.now)?;
        let progress = match rest {
            Some("options") => {
                let asked = &found.asked;
                let relying_party = &self.server.signing.place().relying_party;
                return Ok(for_script(&assertion_options(
                    relying_party,
                    &asked.challenge,
                    &asked.passkeys,
                )));
            }
            Some("again") => self
                .server
                .signing
                .resume(handle, &self.call.seed, self.call.now),
            None => self.taken(&found, &proof(&form)?),
            _ => return Err(Problem::NotFound),
        };
        match progress.map_err(Problem::from).and_then(|progress| {
            if let Progress::Completed(Completion::Certificates(pending)) = progress {
                self.server.certify(*pending, self)?;
                return Ok(Progress::Completed(Completion::Done));
            }
            Ok(progress)
        }) {
            Ok(Progress::Waiting(_)) => {
                self.approve_page(&found, StatusCode::OK, None, Some("approve-others"))
            }
            Ok(Progress::Completed(_)) => Ok(self.message(
                StatusCode::OK,
                "done-title",
                "done-text",
                Some(("/", "back-link")),
            )),
            Err(problem) => {
                let (status, text) = (problem.status(), problem.text());
                let others = matches!(problem, Problem::Authority).then_some("approve-again");
                self.approve_page(&found, status, Some(text), others)
            }
        }
    }

    fn taken(&self, found: &Shown, proof: &server_signing::Proof) -> Result<Progress, Failure> {
        let (signing, call) = (&self.server.signing, self.call);
        let handle = &found.asked.handle;
        if matches!(found.statement.matter, Matter::Sign { .. }) {
            // Only at a desk: people with keys of their own confirm where their client sent them. And for a client that is
            // still here.
            let asks = self.server.clients.find(&found.statement.client);
            if found.statement.desk.is_none() || asks.is_none() {
                return Err(server_signing::Refusal::UnknownAuthorisation.into());
            }
            signing.confirm_signing(handle, proof, call.now)?;
            return Ok(Progress::Completed(Completion::Done));
        }
        signing.prove(handle, proof, &call.seed, call.now)
    }

    fn approve_page(
        &self,
        found: &Shown,
        status: StatusCode,
        error: Option<&str>,
        others: Option<&str>,
    ) -> Result<Reply, Problem> {
        match found.state {
            ShownState::Waiting => {}
            ShownState::Confirmed | ShownState::Done => {
                return Ok(self.message(
                    StatusCode::OK,
                    "done-title",
                    "done-text",
                    Some(("/", "back-link")),
                ));
            }
            ShownState::Denied => {
                return Ok(self.message(StatusCode::OK, "denied-title", "denied-text", None));
            }
        }
        let statement = &found.statement;
        let frame = self.frame(error);
        let mut rows = vec![("row-number", statement.holder.as_str().to_owned())];
        let mut documents = Vec::new();
        let title = match &statement.matter {
            Matter::Sign {
                kind,
                documents: listed,
                ..
            } => {
                let client = self.server.clients.find(&statement.client);
                let name = client.map_or(statement.client.as_str(), |client| {
                    client.name(self.visitor.language)
                });
                rows.push(("row-client", name.to_owned()));
                rows.push(("row-kind", frame.say(kind_text(*kind))));
                documents.extend(listed.iter().map(|document| DocumentRow {
                    name: &document.name,
                    hash: grouped(&document.hash),
                }));
                "sign-title"
            }
            Matter::Enrol {
                surname,
                given_name,
                kinds: wanted,
                authenticators,
            } => {
                rows.push(("row-name", format!("{surname} {given_name}")));
                rows.push(("row-kind", kinds(&frame, wanted)));
                for form in authenticators {
                    rows.push(("row-form", form_name(&frame, form)));
                }
                "enrol-title"
            }
            Matter::Renew { credential } | Matter::Revoke { credential } => {
                let view = self.server.signing.credential(credential)?;
                rows.push(("row-kind", frame.say(kind_text(view.kind))));
                rows.push(("row-until", shown(view.certificate.not_after())));
                if matches!(statement.matter, Matter::Renew { .. }) {
                    "renew-title"
                } else {
                    "revoke-title"
                }
            }
            Matter::Replace { authenticators } => {
                for form in authenticators {
                    rows.push(("row-form", form_name(&frame, form)));
                }
                "replace-title"
            }
            Matter::Lift {} => "lift-title",
        };
        if let Some(desk) = &statement.desk {
            rows.push(("row-reference", desk.reference.clone()));
        }
        let page = ApprovePage {
            frame,
            title,
            rows: &rows,
            documents: &documents,
            digits: &comparison(&found.asked.challenge),
            handle: &found.asked.handle,
            card: !self.server.signing.place().card_issuers.is_empty(),
            others,
        };
        Ok(self.render(status, &page, ""))
    }
}
