//! The officers' desk: finding out who people are, recovering, freezing for somebody who asks.

use super::view::{DeskPage, DeskTask};
use super::{Pages, Problem, Reply, Visit, field};
use http::StatusCode;
use id_registry::PersonalNumber;
use oauth2::Parameters;
use oidc_provider::{Duty, RecoveryId, Secret, Way};

fn number(form: &Parameters) -> Result<PersonalNumber, Problem> {
    field(form, "number")?
        .trim()
        .parse()
        .map_err(|_| Problem::Text("error-other"))
}

impl Pages {
    pub(super) fn desk_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let duty = self.oauth.provider().on_duty(visit.who()?, Duty::Desk)?;
        let page = DeskPage {
            frame: self.frame(visit, error),
            office: &duty.officer().office,
        };
        Ok(Self::page(visit, status, &page))
    }

    pub(super) fn desk_task(
        &self,
        visit: &Visit<'_>,
        task: &str,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let duty = provider.on_duty(visit.who()?, Duty::Desk)?;
        let task = DeskTask::ALL
            .into_iter()
            .find(|known| known.name() == task)
            .ok_or(Problem::Form)?;
        if task.needs_comparison() && form.get("compared") != Some("yes") {
            return Err(Problem::Text("desk-compare"));
        }
        let (tenant, seed) = (self.tenant, visit.seed());
        let (text, code) = match task {
            DeskTask::Ticket => {
                let ticket = provider.issue_ticket(&duty, number(form)?, tenant, seed)?;
                ("desk-code-text", Some(ticket.code.expose().to_owned()))
            }
            DeskTask::Bind => {
                let code = Secret::new(field(form, "code")?);
                provider.bind(&duty, &code, number(form)?, seed)?;
                ("desk-done-text", None)
            }
            DeskTask::Recovery => {
                let opened = provider.open_recovery(&duty, number(form)?, tenant, seed)?;
                ("desk-recovery-text", Some(opened.id.as_str().to_owned()))
            }
            DeskTask::Confirm => {
                let id = RecoveryId::new(field(form, "code")?.trim());
                let ticket = provider.confirm_recovery(&duty, &id, seed)?;
                ("desk-code-text", Some(ticket.code.expose().to_owned()))
            }
            DeskTask::Freeze => {
                provider.freeze_for(&duty, number(form)?, tenant, Way::Counter, seed)?;
                ("desk-done-text", None)
            }
            DeskTask::Unfreeze => {
                provider.unfreeze_for(&duty, None, number(form)?, tenant, seed)?;
                ("desk-done-text", None)
            }
        };
        let next = Some(("/desk", "desk-title"));
        Ok(self.message(visit, "desk-done", text, code.as_deref(), next))
    }
}
