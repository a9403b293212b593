//! The officers' desk: finding out who people are, recovering, freezing for somebody who asks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use id_registry::PersonalNumber;
use oauth2::Parameters;
use oidc_provider::{AtDesk, CaseFor, Duty, OnDuty, RecoveryId, Refusal, Secret, Way};

use super::view::{CasePage, CaseRow, DeskPage, DeskTask, PersonPage};
use super::{Pages, Problem, Reply, Visit, field, shown};

pub(super) fn number(form: &Parameters) -> Result<PersonalNumber, Problem> {
    field(form, "number")?
        .trim()
        .parse()
        .map_err(|_| Problem::Text("error-number"))
}

/// What the register shows an officer of a person.
struct Shown {
    name: Option<String>,
    portrait: Option<String>,
}

/// Key of how an account is, and what can be done at a counter.
fn state(account: Option<&AtDesk>) -> (&'static str, Vec<DeskTask>) {
    let Some(account) = account else {
        return ("desk-no-account", vec![DeskTask::Ticket, DeskTask::Bind]);
    };
    match account.frozen {
        Some(Way::Counter) => ("desk-frozen-counter", vec![DeskTask::OpenUnfreeze]),
        Some(_) => ("desk-frozen", vec![DeskTask::Unfreeze]),
        None => {
            let mut tasks = vec![DeskTask::Bind, DeskTask::Freeze];
            if account.has_printed_codes {
                tasks.insert(0, DeskTask::Admit);
            }
            if account.needs_first_key {
                tasks.insert(0, DeskTask::Ticket);
                ("desk-no-way-in", tasks)
            } else {
                tasks.push(DeskTask::Recovery);
                ("desk-has-account", tasks)
            }
        }
    }
}

const fn case_task(what: CaseFor) -> DeskTask {
    match what {
        CaseFor::Recovery => DeskTask::Confirm,
        CaseFor::Unfreeze => DeskTask::ConfirmUnfreeze,
    }
}

impl Pages {
    fn duty(&self, visit: &Visit<'_>) -> Result<OnDuty, Problem> {
        Ok(self.oauth.provider().on_duty(visit.who()?, Duty::Desk)?)
    }

    pub(super) fn desk_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let duty = self.duty(visit)?;
        let cases: Vec<CaseRow> = self
            .oauth
            .provider()
            .cases(&duty)?
            .into_iter()
            .map(|case| CaseRow {
                id: case.id.as_str().to_owned(),
                text: case_task(case.what).title(),
                number: case.person.as_str().to_owned(),
                since: shown(case.at),
            })
            .collect();
        let page = DeskPage {
            frame: self.frame(visit, error),
            places: &self.places(visit, "/desk"),
            office: &duty.officer().office,
            cases: &cases,
        };
        Ok(Self::page(visit, status, &page))
    }

    /// Asks the register, which notes the officer. Somebody protected looks like nobody.
    fn of_register(&self, visit: &Visit<'_>, person: &PersonalNumber) -> Result<Shown, Problem> {
        let officer = visit.who()?.account().person.ok_or(Refusal::NotOnDuty)?;
        let silent = |error| {
            tracing::error!(%error, "the population register does not answer");
            Problem::Text("error-register")
        };
        let name = self.register.name(person, &officer).map_err(silent)?;
        let portrait = self.register.portrait(person, &officer).map_err(silent)?;
        Ok(Shown {
            name,
            portrait: portrait
                .map(|jpeg| format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg))),
        })
    }

    fn person_page(
        &self,
        visit: &Visit<'_>,
        duty: &OnDuty,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let number = number(form)?;
        let shown_of = self.of_register(visit, &number)?;
        let account = self.oauth.provider().at_desk(duty, number, self.tenant)?;
        let (state, tasks) = state(account.as_ref());
        let page = PersonPage {
            frame: self.frame(visit, None),
            places: &self.places(visit, "/desk"),
            number: number.as_str(),
            name: shown_of.name.as_deref(),
            portrait: shown_of.portrait.as_deref(),
            state,
            careful_until: account.and_then(|account| account.careful_until).map(shown),
            tasks: &tasks,
        };
        Ok(Self::page_with_images(visit, StatusCode::OK, &page))
    }

    fn case_page(
        &self,
        visit: &Visit<'_>,
        duty: &OnDuty,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let id = field(form, "code")?;
        let cases = self.oauth.provider().cases(duty)?;
        let case = cases
            .into_iter()
            .find(|case| case.id.as_str() == id)
            .ok_or(Refusal::Over)?;
        let shown_of = self.of_register(visit, &case.person)?;
        let page = CasePage {
            frame: self.frame(visit, None),
            places: &self.places(visit, "/desk"),
            id,
            number: case.person.as_str(),
            name: shown_of.name.as_deref(),
            portrait: shown_of.portrait.as_deref(),
            task: case_task(case.what),
        };
        Ok(Self::page_with_images(visit, StatusCode::OK, &page))
    }

    pub(super) fn desk_task(
        &self,
        visit: &Visit<'_>,
        task: &str,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let duty = self.duty(visit)?;
        match task {
            "person" => return self.person_page(visit, &duty, form),
            "case" => return self.case_page(visit, &duty, form),
            _ => {}
        }
        let task = DeskTask::ALL
            .into_iter()
            .find(|known| known.name() == task)
            .ok_or(Problem::Form)?;
        if task.needs_comparison() && form.get("compared") != Some("yes") {
            return Err(Problem::Text("desk-compare"));
        }
        let (tenant, seed) = (self.tenant, visit.seed());
        let case = || field(form, "code").map(|code| RecoveryId::new(code.trim()));
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
            DeskTask::Admit => {
                let code = Secret::new(field(form, "code")?);
                let ticket = provider.admit(&duty, number(form)?, tenant, &code, seed)?;
                ("desk-counter-text", Some(ticket.code.expose().to_owned()))
            }
            DeskTask::Recovery => {
                provider.open_recovery(&duty, number(form)?, tenant, seed)?;
                ("desk-second-text", None)
            }
            DeskTask::Confirm => {
                let ticket = provider.confirm_recovery(&duty, &case()?, seed)?;
                ("desk-code-text", Some(ticket.code.expose().to_owned()))
            }
            DeskTask::Freeze => {
                provider.freeze_for(&duty, number(form)?, tenant, Way::Counter, seed)?;
                ("desk-done-text", None)
            }
            DeskTask::Unfreeze => {
                provider.unfreeze_for(&duty, number(form)?, tenant, seed)?;
                ("desk-done-text", None)
            }
            DeskTask::OpenUnfreeze => {
                provider.open_unfreeze(&duty, number(form)?, tenant, seed)?;
                ("desk-second-text", None)
            }
            DeskTask::ConfirmUnfreeze => {
                provider.confirm_unfreeze(&duty, &case()?, seed)?;
                ("desk-done-text", None)
            }
        };
        let next = Some(("/desk", "desk-title"));
        Ok(self.message(visit, "desk-done", text, code.as_deref(), next))
    }
}
