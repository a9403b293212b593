//! Who is an officer, and with which duties.

use http::StatusCode;
use oauth2::Parameters;
use oidc_provider::Duty;
use web_ui::see_other;

use super::view::{DutyField, OfficerRow, OfficersPage};
use super::{Pages, Problem, Reply, Visit, desk, field};

/// Longest name of an office, in characters.
const LONGEST_OFFICE: usize = 100;
const DUTIES: [(Duty, DutyField); 5] = [
    (Duty::Desk, duty("duty-desk")),
    (Duty::Clients, duty("duty-clients")),
    (Duty::Investigation, duty("duty-investigation")),
    (Duty::Appointment, duty("duty-appointment")),
    (Duty::Organisations, duty("duty-organisations")),
];

const fn duty(text: &'static str) -> DutyField {
    DutyField { name: text, text }
}

impl Pages {
    pub(super) fn officers_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let by = provider.on_duty(visit.who()?, Duty::Appointment)?;
        let officers: Vec<OfficerRow> = provider
            .officers(&by)?
            .into_iter()
            .map(|(officer, number)| OfficerRow {
                number: number.map_or_else(|| "–".to_owned(), |number| number.as_str().to_owned()),
                office: officer.office,
                duties: DUTIES
                    .iter()
                    .filter(|(duty, _)| officer.duties.contains(duty))
                    .map(|(_, field)| field.text)
                    .collect(),
            })
            .collect();
        let page = OfficersPage {
            frame: self.frame(visit, error),
            places: &self.places(visit, "/officers"),
            done: (visit.call.query == "done").then_some("done-changed"),
            officers: &officers,
            duties: &DUTIES.map(|(_, field)| field),
        };
        Ok(Self::page(visit, status, &page))
    }

    pub(super) fn change_officers(
        &self,
        visit: &Visit<'_>,
        what: &str,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let by = provider.on_duty(visit.who()?, Duty::Appointment)?;
        let number = desk::number(form)?;
        match what {
            "appoint" => {
                let office = field(form, "office")?.trim();
                if office.is_empty() || office.chars().count() > LONGEST_OFFICE {
                    return Err(Problem::Form);
                }
                let duties: Vec<Duty> = DUTIES
                    .iter()
                    .filter(|(_, field)| form.get(field.name) == Some("yes"))
                    .map(|(duty, _)| *duty)
                    .collect();
                if duties.is_empty() {
                    return Err(Problem::Text("error-duties"));
                }
                provider.appoint(&by, number, self.tenant, office, &duties)?;
            }
            "dismiss" => provider.appoint(&by, number, self.tenant, "", &[])?,
            _ => return Err(Problem::Form),
        }
        Ok(see_other("/officers?done"))
    }
}
