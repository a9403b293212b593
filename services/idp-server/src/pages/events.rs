//! What happened to an account: the person's own list, and an officer who reads somebody's on a declared ground.

use std::collections::BTreeMap;

use http::StatusCode;
use oauth2::Parameters;
use oidc_provider::{
    AccountId, ClientId, Declared, Duty, Event, EventKind, EventPlace, Events, Factor, Ground,
    Reference, page_of_events,
};

use super::view::{EventRow, EventsPage, FoundEvents, GroundField, InvestigationPage};
use super::{Pages, Problem, Reply, Visit, desk, field, level_text, shown};

/// Events on a page.
const ON_A_PAGE: usize = 100;

/// Key of the text of an event.
fn event_text(kind: EventKind) -> &'static str {
    match kind {
        EventKind::AccountFrozen => "event-frozen",
        EventKind::AccountUnfrozen => "event-unfrozen",
        EventKind::SignedIn | EventKind::SteppedUp => "event-signed-in",
        EventKind::SignedInFromNewDevice => "event-new-device",
        EventKind::SignInFailed
        | EventKind::SignInThrottled
        | EventKind::KeyCopied
        | EventKind::CrossingMismatched => "event-sign-in-failed",
        EventKind::EventsRead => "event-read",
        EventKind::ConsentGiven => "event-consent",
        EventKind::ConsentWithdrawn => "event-consent-withdrawn",
        EventKind::ConsentRefused => "event-consent-refused",
        EventKind::TokensRevoked => "event-token-ended",
        other => match other.name().split('.').next() {
            Some("account") => "event-account",
            Some("credential" | "channel" | "ticket") => "event-credential",
            Some("recovery") => "event-recovery",
            Some("session") => "event-session",
            Some("token" | "device") => "event-token",
            Some("mandate") => "event-mandate",
            Some("organisation") => "event-organisation",
            _ => "event-other",
        },
    }
}

/// Key of the text that says whose it was, where it is not just the holder's of the account.
fn whose(event: &Event, own: &AccountId) -> Option<&'static str> {
    let is_own = |account: &Option<AccountId>| account.as_ref() == Some(own);
    let alone = event.actor.is_none() || event.account.is_none();
    let same = is_own(&event.account) && is_own(&event.actor);
    if (alone && event.office.is_none()) || same {
        None
    } else if event.office.is_some() {
        (!is_own(&event.account)).then_some("whose-officer")
    } else if event.mandate.is_some() && event.event.name().starts_with("mandate") {
        Some("whose-both")
    } else if is_own(&event.actor) {
        Some("whose-acting")
    } else {
        Some("whose-acted")
    }
}

const fn factor_text(factor: Factor) -> &'static str {
    match factor {
        Factor::BoundPasskey | Factor::SyncedPasskey => "factor-passkey",
        Factor::Card => "factor-card",
        Factor::Clerk => "factor-clerk",
        Factor::SentCode => "factor-sent-code",
        Factor::PrintedCode => "factor-printed-code",
        Factor::CrossDevice => "factor-phone",
    }
}

const GROUNDS: [(Ground, GroundField); 3] = [
    (Ground::Asked, ground("ground-asked")),
    (Ground::Court, ground("ground-court")),
    (Ground::Crime, ground("ground-crime")),
];

const fn ground(text: &'static str) -> GroundField {
    GroundField { name: text, text }
}

impl Pages {
    /// The events of an account as its holder reads them.
    pub(super) fn event_rows(
        &self,
        visit: &Visit<'_>,
        own: &AccountId,
        events: Events,
    ) -> Vec<EventRow> {
        let mut names: BTreeMap<ClientId, String> = BTreeMap::new();
        let mut named = |client: ClientId| {
            let name = names.entry(client.clone());
            name.or_insert_with(|| self.client_name(visit, &client))
                .clone()
        };
        events
            .into_iter()
            .map(|(_, event)| {
                let read = event.event == EventKind::EventsRead;
                let word = event.reason.as_deref().filter(|_| read);
                EventRow {
                    at: shown(event.at),
                    text: event_text(event.event),
                    whose: whose(&event, own),
                    factor: event.factor.map(factor_text),
                    level: event.level.map(level_text),
                    ground: GROUNDS
                        .iter()
                        .find(|(ground, _)| word == Some(ground.word()))
                        .map(|(_, field)| field.text),
                    client: event.client.map(&mut named),
                    network: event.network,
                    office: event.office,
                    reference: event.reference,
                }
            })
            .collect()
    }

    pub(super) fn events_page(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        let who = visit.who()?;
        let before = web_ui::before(visit.call.query).map(EventPlace);
        let provider = self.oauth.provider();
        let mut events = provider.history(who, before, ON_A_PAGE + 1)?;
        let older = page_of_events(&mut events, ON_A_PAGE).map(|place| place.0);
        let page = EventsPage {
            frame: self.frame(visit, None),
            places: &self.places(visit, "/account"),
            events: &self.event_rows(visit, &who.account().id, events),
            latest: before.is_none(),
            older,
        };
        Ok(Self::page(visit, StatusCode::OK, &page))
    }

    pub(super) fn investigation_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        provider.on_duty(visit.who()?, Duty::Investigation)?;
        Ok(self.investigation(visit, status, error, None))
    }

    fn investigation(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
        found: Option<FoundEvents<'_>>,
    ) -> Reply {
        let page = InvestigationPage {
            frame: self.frame(visit, error),
            places: &self.places(visit, "/investigation"),
            grounds: &GROUNDS.map(|(_, field)| field),
            found,
        };
        Self::page(visit, status, &page)
    }

    /// An officer reads somebody's events; that it was read, and why, is in the person's own list.
    pub(super) fn investigate(
        &self,
        visit: &Visit<'_>,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let by = provider.on_duty(visit.who()?, Duty::Investigation)?;
        let number = desk::number(form)?;
        let named = field(form, "ground")?;
        // An empty field is none: what is wrong with it is said all the same.
        let reference = form.get("reference").unwrap_or_default();
        let (ground, _) = GROUNDS
            .into_iter()
            .find(|(_, field)| field.name == named)
            .ok_or(Problem::Form)?;
        let why = Declared {
            ground,
            reference: Reference::new(reference)?,
        };
        let before = match form.get("before") {
            None => None,
            Some(place) => Some(EventPlace(place.parse().map_err(|_| Problem::Form)?)),
        };
        let (whose, mut events) =
            provider.history_for(&by, number, self.tenant, &why, before, ON_A_PAGE + 1)?;
        let older = page_of_events(&mut events, ON_A_PAGE).map(|place| place.0);
        let found = FoundEvents {
            number: number.as_str(),
            ground: named,
            reference,
            events: &self.event_rows(visit, &whose, events),
            older,
        };
        Ok(self.investigation(visit, StatusCode::OK, None, Some(found)))
    }
}
