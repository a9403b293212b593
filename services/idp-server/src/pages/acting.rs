//! Acting for another: mandates given, asked for, answered, passed on, ended.

use std::collections::BTreeSet;

use http::StatusCode;
use id_registry::Theme;
use oauth2::Parameters;
use oidc_provider::{Mandate, MandateForm, MandateId, MandateStanding, Refusal};
use time::{Date, Duration, OffsetDateTime, Time, UtcOffset};
use web_ui::see_other;

use super::view::{ActingPage, Choice, MandateRow};
use super::{Pages, Problem, Reply, Visit, desk, field};

/// The themes for which a mandate is given: all but what the law keeps for the person alone.
pub(super) const THEMES: [(Theme, &str); 7] = [
    (Theme::Identity, "theme-identity"),
    (Theme::Family, "theme-family"),
    (Theme::Residence, "theme-residence"),
    (Theme::Documents, "theme-documents"),
    (Theme::Education, "theme-education"),
    (Theme::Benefits, "theme-benefits"),
    (Theme::Health, "theme-health"),
];
/// The time of a country that is named in dates: Bishkek's.
pub(super) const HERE: UtcOffset = time::macros::offset!(+6);
/// The latest end of a mandate that the page offers, in days.
pub(super) const LATEST: i64 = 3 * 365;

/// Key of the text of a theme.
pub(super) fn theme_text(theme: Theme) -> &'static str {
    THEMES
        .iter()
        .find(|(known, _)| *known == theme)
        .map_or("theme-confidential", |(_, text)| text)
}

/// The themes to choose from.
pub(super) fn themes() -> Vec<Choice> {
    THEMES
        .iter()
        .map(|(_, text)| Choice {
            name: (*text).to_owned(),
            text: (*text).to_owned(),
            chosen: false,
        })
        .collect()
}

/// A day as fields of forms take it.
pub(super) fn day(date: Date) -> String {
    date.format(time::macros::format_description!("[year]-[month]-[day]"))
        .unwrap_or_default()
}

/// A day as pages show it.
pub(super) fn written(date: Date) -> String {
    date.format(time::macros::format_description!("[day].[month].[year]"))
        .unwrap_or_default()
}

pub(super) fn form_of(form: &Parameters) -> Result<MandateForm, Problem> {
    let themes: BTreeSet<Theme> = THEMES
        .iter()
        .filter(|(_, text)| form.get(text) == Some("yes"))
        .map(|(theme, _)| *theme)
        .collect();
    let until = Date::parse(
        field(form, "until")?,
        time::macros::format_description!("[year]-[month]-[day]"),
    )
    .map_err(|_| Problem::Text("error-mandate"))?;
    // To the end of that day.
    let end = until.next_day().ok_or(Problem::Text("error-mandate"))?;
    Ok(MandateForm {
        other: desk::number(form)?,
        themes,
        until: end.with_time(Time::MIDNIGHT).assume_offset(HERE),
        may_pass_on: form.get("pass") == Some("yes"),
    })
}

impl Pages {
    /// How the other side of a mandate is called. A name is told only to the one who acts or would be represented:
    /// whoever merely types a number learns nothing by it.
    fn other_side(
        &self,
        visit: &Visit<'_>,
        mandate: &Mandate,
        number: Option<id_registry::PersonalNumber>,
    ) -> Result<String, Problem> {
        let Some(number) = number else {
            return Ok("–".to_owned());
        };
        let who = visit.who()?.account();
        let asked_of_me = mandate.giver == who.id && mandate.standing == MandateStanding::Requested;
        let given_to_me = mandate.holder == who.id && mandate.standing == MandateStanding::Granted;
        if let Some(own) = &who.person
            && (asked_of_me || given_to_me)
            && let Ok(Some(name)) = self.register.name(&number, own)
        {
            return Ok(format!("{name} ({})", number.as_str()));
        }
        Ok(number.as_str().to_owned())
    }

    pub(super) fn acting_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let who = visit.who()?;
        let (mut given, mut held) = (Vec::new(), Vec::new());
        for (mandate, number) in self.oauth.provider().mandates_with_numbers(who)? {
            let over = visit.now() >= mandate.until;
            let mine = mandate.giver == who.account().id;
            let state = match mandate.standing {
                MandateStanding::Ended => "mandate-ended",
                _ if over => "mandate-over",
                MandateStanding::Requested => "mandate-requested",
                MandateStanding::Granted => "mandate-granted",
            };
            let lives = !over && mandate.standing != MandateStanding::Ended;
            let row = MandateRow {
                other: self.other_side(visit, &mandate, number)?,
                id: mandate.id.as_str().to_owned(),
                themes: mandate
                    .themes
                    .iter()
                    .map(|theme| theme_text(*theme).to_owned())
                    .collect(),
                until: written((mandate.until - Duration::SECOND).to_offset(HERE).date()),
                state,
                to_answer: mine && lives && mandate.standing == MandateStanding::Requested,
                lives,
                may_pass_on: !mine
                    && lives
                    && mandate.may_pass_on
                    && mandate.standing == MandateStanding::Granted,
            };
            if mine { &mut given } else { &mut held }.push(row);
        }
        let today = visit.now().to_offset(HERE).date();
        let page = ActingPage {
            frame: self.frame(visit, error),
            places: &self.places(visit, "/acting"),
            done: (visit.call.query == "done").then_some("acting-done"),
            given: &given,
            held: &held,
            themes: &themes(),
            days: (&day(today), &day(today + Duration::days(LATEST))),
        };
        Ok(Self::page(visit, status, &page))
    }

    pub(super) fn change_acting(
        &self,
        visit: &Visit<'_>,
        what: &str,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let (who, seed) = (visit.who()?, visit.seed());
        let id = || field(form, "id").map(MandateId::new);
        match what {
            "give" => {
                provider.give_mandate(who, &form_of(form)?, seed)?;
            }
            "ask" => {
                provider.request_mandate(who, &form_of(form)?, seed)?;
            }
            "pass-on" => {
                let from = id()?;
                let mandates = provider.mandates(who)?;
                let from = mandates
                    .into_iter()
                    .find(|mandate| mandate.id == from)
                    .ok_or(Refusal::Nothing)?;
                let passed = MandateForm {
                    other: desk::number(form)?,
                    themes: from.themes,
                    until: from.until,
                    may_pass_on: false,
                };
                provider.pass_on(who, &from.id, &passed, seed)?;
            }
            "answer" => {
                provider.answer_mandate(who, &id()?, field(form, "grant")? == "yes")?;
            }
            "revoke" => provider.revoke_mandate(who, &id()?)?,
            _ => return Err(Problem::Form),
        }
        Ok(see_other("/acting?done"))
    }

    /// Numbers of those who gave the person a mandate in a theme.
    pub(super) fn represented_in(
        &self,
        visit: &Visit<'_>,
        theme: Theme,
    ) -> Result<Vec<String>, Problem> {
        let who = visit.who()?;
        let now: OffsetDateTime = visit.now();
        let all = self.oauth.provider().mandates_with_numbers(who)?;
        Ok(all
            .into_iter()
            .filter(|(mandate, _)| {
                mandate.holder == who.account().id
                    && mandate.standing == MandateStanding::Granted
                    && mandate.themes.contains(&theme)
                    && now < mandate.until
            })
            .filter_map(|(_, number)| number)
            .map(|number| number.as_str().to_owned())
            .collect())
    }
}
