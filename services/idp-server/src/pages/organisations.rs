//! Organisations: the register at the officers' side, and the people who act for one.

use http::StatusCode;
use id_registry::{OrganisationNumber, Theme};
use oauth2::Parameters;
use oidc_provider::{Duty, MandateId, Organisation, OrganisationForm, Refusal, Representative};
use time::Duration;
use web_ui::see_other;

use super::acting::{HERE, LATEST, day, form_of, theme_text, themes, written};
use super::clients::in_languages;
use super::sign_in::in_language;
use super::view::{OrganisationRow, OrganisationsPage, RecordPage, RepresentativeRow};
use super::{Pages, Problem, Reply, Visit, desk, field};

fn organisation(form: &Parameters) -> Result<OrganisationNumber, Problem> {
    field(form, "organisation")?
        .trim()
        .parse()
        .map_err(|_| Problem::Text("error-organisation"))
}

/// What cannot be taken back by oneself is said twice.
fn sure(form: &Parameters) -> Result<(), Problem> {
    match form.get("sure") {
        Some("yes") => Ok(()),
        _ => Err(Problem::Text("error-sure")),
    }
}

fn appointed(found: &Representative) -> RepresentativeRow {
    RepresentativeRow {
        id: found.id.as_str().to_owned(),
        number: found.person.as_str().to_owned(),
        themes: found
            .themes
            .iter()
            .map(|theme| theme_text(*theme).to_owned())
            .collect(),
        until: written((found.until - Duration::SECOND).to_offset(HERE).date()),
    }
}

impl Pages {
    pub(super) fn organisations_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let who = visit.who()?;
        let row = |organisation: &Organisation, people: Vec<RepresentativeRow>| OrganisationRow {
            number: organisation.number.as_str().to_owned(),
            name: in_language(&organisation.names, visit.language().code()).unwrap_or_default(),
            people,
        };
        let headed: Vec<OrganisationRow> = provider
            .headed_organisations(who)?
            .iter()
            .map(|(organisation, people)| row(organisation, people.iter().map(appointed).collect()))
            .collect();
        let represented: Vec<OrganisationRow> = provider
            .represented_organisations(who)?
            .iter()
            .map(|(organisation, own)| row(organisation, vec![appointed(own)]))
            .collect();
        let today = visit.now().to_offset(HERE).date();
        let page = OrganisationsPage {
            frame: self.frame(visit, error),
            places: &self.places(visit, "/organisations"),
            done: (visit.call.query == "done").then_some("done-changed"),
            headed: &headed,
            represented: &represented,
            themes: &themes(),
            days: (&day(today), &day(today + Duration::days(LATEST))),
        };
        Ok(Self::page(visit, status, &page))
    }

    pub(super) fn change_organisations(
        &self,
        visit: &Visit<'_>,
        what: &str,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let who = visit.who()?;
        let number = organisation(form)?;
        let id = || field(form, "id").map(MandateId::new);
        match what {
            "appoint" => {
                provider.appoint_representative(who, number, &form_of(form)?, visit.seed())?;
            }
            "dismiss" => provider.dismiss_representative(who, number, &id()?, visit.seed())?,
            "resign" => provider.resign_as_representative(who, &id()?, visit.seed())?,
            "resign-as-head" => {
                sure(form)?;
                provider.resign_as_head(who, number, visit.seed())?;
            }
            _ => return Err(Problem::Form),
        }
        Ok(see_other("/organisations?done"))
    }

    pub(super) fn record_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        provider.on_duty(visit.who()?, Duty::Organisations)?;
        let page = RecordPage {
            frame: self.frame(visit, error),
            places: &self.places(visit, "/record"),
            done: (visit.call.query == "done").then_some("done-changed"),
        };
        Ok(Self::page(visit, status, &page))
    }

    pub(super) fn record(&self, visit: &Visit<'_>, form: &Parameters) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let by = provider.on_duty(visit.who()?, Duty::Organisations)?;
        let recorded = OrganisationForm {
            number: organisation(form)?,
            names: in_languages(form, "name"),
            head: desk::number(form)?,
        };
        provider.record_organisation(&by, self.tenant, &recorded, visit.seed())?;
        Ok(see_other("/record?done"))
    }

    pub(super) fn strike_off(
        &self,
        visit: &Visit<'_>,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let by = provider.on_duty(visit.who()?, Duty::Organisations)?;
        let number = organisation(form)?;
        sure(form)?;
        match provider.strike_off(&by, self.tenant, number, visit.seed()) {
            Err(oidc_provider::Failure::Refused(Refusal::Nothing)) => {
                Err(Problem::Text("error-no-organisation"))
            }
            struck => Ok(struck.map(|()| see_other("/record?done"))?),
        }
    }

    /// Numbers of the organisations for which the person may act in a theme.
    pub(super) fn organisations_in(
        &self,
        visit: &Visit<'_>,
        theme: Theme,
    ) -> Result<Vec<String>, Problem> {
        let provider = self.oauth.provider();
        let who = visit.who()?;
        let headed = provider.headed_organisations(who)?;
        let represented = provider.represented_organisations(who)?;
        let represented = represented
            .iter()
            .filter(|(_, own)| own.themes.contains(&theme))
            .map(|(organisation, _)| organisation);
        Ok(headed
            .iter()
            .map(|(organisation, _)| organisation)
            .chain(represented)
            .map(|organisation| organisation.number.as_str().to_owned())
            .collect())
    }
}
