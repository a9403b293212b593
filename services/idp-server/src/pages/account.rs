//! One's own account.

use http::StatusCode;
use oauth2::Parameters;
use oidc_provider::{
    ChannelKind, ClientId, CredentialId, Duty, Event, EventKind, Ground, Secret, SessionId,
};
use passwords::Password;
use tokio::runtime::Handle;
use web_ui::{ConfirmPage, see_other, set_cookie};

use super::view::{
    AccountPage, EventRow, EventsPage, GroundField, InvestigationPage, PrintedPage, Row,
};
use super::{Pages, Problem, Reply, Visit, desk, field, level_text, shown};
use crate::oauth::SESSION_COOKIE;

/// Events on the account page.
const LATEST_EVENTS: usize = 10;
/// Events on a page of their own.
const ON_A_PAGE: usize = 100;
/// Events that are looked through for one page or officer.
const MOST_EVENTS: usize = 10_000;
/// Shortest password, in characters.
const SHORTEST_PASSWORD: usize = 12;

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
        other => match other.name().split('.').next() {
            Some("account") => "event-account",
            Some("credential" | "channel" | "ticket") => "event-credential",
            Some("recovery") => "event-recovery",
            Some("session") => "event-session",
            Some("consent") => "event-consent",
            Some("token" | "device") => "event-token",
            Some("mandate") => "event-mandate",
            _ => "event-other",
        },
    }
}

fn event_row(event: Event) -> EventRow {
    EventRow {
        at: shown(event.at),
        text: event_text(event.event),
        network: event.network,
        office: event.office,
        ground: match event.reason.as_deref() {
            Some("asked") => Some("ground-asked"),
            Some("court") => Some("ground-court"),
            Some("crime") => Some("ground-crime"),
            _ => None,
        },
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
    pub(super) fn events_page(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        let page = visit.call.query.split('&').find_map(|pair| {
            let page = pair.strip_prefix("page=")?;
            page.parse::<usize>().ok()
        });
        let page = page.unwrap_or(1).clamp(1, MOST_EVENTS / ON_A_PAGE);
        // No more than this page and whether there is another.
        let events = self
            .oauth
            .provider()
            .history(visit.who()?, page * ON_A_PAGE + 1)?;
        let older = (events.len() > page * ON_A_PAGE).then_some(page + 1);
        let events: Vec<EventRow> = events
            .into_iter()
            .skip((page - 1) * ON_A_PAGE)
            .take(ON_A_PAGE)
            .map(event_row)
            .collect();
        let page = EventsPage {
            frame: self.frame(visit, None),
            places: &self.places(visit, "/account"),
            events: &events,
            newer: (page > 1).then(|| page - 1),
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
        found: Option<(&str, &[EventRow])>,
    ) -> Reply {
        let page = InvestigationPage {
            frame: self.frame(visit, error),
            places: &self.places(visit, "/investigation"),
            grounds: &GROUNDS.map(|(_, field)| field),
            found,
        };
        Self::page(visit, status, &page)
    }

    /// An officer reads somebody's events; that it was read, and on which ground, is in the person's own list.
    pub(super) fn investigate(
        &self,
        visit: &Visit<'_>,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let by = provider.on_duty(visit.who()?, Duty::Investigation)?;
        let number = desk::number(form)?;
        let named = field(form, "ground")?;
        let (ground, _) = GROUNDS
            .into_iter()
            .find(|(_, field)| field.name == named)
            .ok_or(Problem::Form)?;
        let events = provider.history_for(&by, number, self.tenant, ground, MOST_EVENTS)?;
        let events: Vec<EventRow> = events.into_iter().map(event_row).collect();
        let found = Some((number.as_str(), events.as_slice()));
        Ok(self.investigation(visit, StatusCode::OK, None, found))
    }

    pub(super) fn account_page(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let who = visit.who()?;
        let account = who.account();
        let keys: Vec<Row> = account
            .passkeys
            .iter()
            .map(|key| Row {
                id: key.id.as_str().to_owned(),
                label: key.label.clone(),
                since: shown(key.added_at),
                current: false,
            })
            .collect();
        let sessions: Vec<Row> = provider
            .sessions(who)?
            .into_iter()
            .map(|session| Row {
                current: session.id == who.session().id,
                id: session.id.as_str().to_owned(),
                label: format!("{} ({})", session.label, session.network),
                since: shown(session.used_at),
            })
            .collect();
        let devices: Vec<Row> = account
            .devices
            .iter()
            .map(|device| Row {
                id: device.digest.as_str().to_owned(),
                label: device.label.clone(),
                since: shown(device.last_seen),
                current: false,
            })
            .collect();
        let consents: Vec<Row> = provider
            .consents(who)?
            .into_iter()
            .map(|consent| Row {
                label: provider.client(&consent.client).map_or_else(
                    |_| consent.client.as_str().to_owned(),
                    |client| client.client().name(visit.language().code()).to_owned(),
                ),
                id: consent.client.as_str().to_owned(),
                since: shown(consent.at),
                current: false,
            })
            .collect();
        let events: Vec<EventRow> = provider
            .history(who, LATEST_EVENTS)?
            .into_iter()
            .map(event_row)
            .collect();
        let page = AccountPage {
            frame: self.frame(visit, error),
            places: &self.places(visit, "/account"),
            done: (visit.call.query == "done").then_some("done-changed"),
            level: level_text(who.level()),
            number: account.person.as_ref().map(|number| number.as_str()),
            keys: &keys,
            sessions: &sessions,
            devices: &devices,
            consents: &consents,
            events: &events,
        };
        Ok(Self::page(visit, status, &page))
    }

    pub(super) fn ask_to_freeze(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        visit.who()?;
        let page = ConfirmPage {
            frame: self.frame(visit, None),
            title: "freeze-title",
            text: "freeze-confirm",
            button: "freeze-link",
            action: "/account/freeze",
            grave: true,
            back: ("/account", "back-to-account"),
        };
        Ok(Self::page(visit, StatusCode::OK, &page))
    }

    pub(super) fn ask_to_sign_out(&self, visit: &Visit<'_>) -> Reply {
        let page = ConfirmPage {
            frame: self.frame(visit, None),
            title: "sign-out-title",
            text: "sign-out-text",
            button: "sign-out-button",
            action: "/sign-out",
            grave: false,
            back: ("/account", "back-to-account"),
        };
        Self::page(visit, StatusCode::OK, &page)
    }

    pub(super) fn sign_out(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        if let Some(who) = &visit.who {
            self.oauth.provider().end_session(who, &who.session().id)?;
        }
        let mut reply = self.message(
            visit,
            "signed-out-title",
            "signed-out-text",
            None,
            Some(("/sign-in", "sign-in-link")),
        );
        set_cookie(&mut reply, SESSION_COOKIE, "", Some(0));
        Ok(reply)
    }

    pub(super) fn change_account(
        &self,
        visit: &Visit<'_>,
        what: &str,
        form: &Parameters,
    ) -> Result<Reply, Problem> {
        let provider = self.oauth.provider();
        let who = visit.who()?;
        let seed = visit.seed();
        match what {
            "key-options" => {
                let account = who.account();
                let asked =
                    self.passkeys
                        .ask_to_register(&account.id, self.host(), &account.passkeys)?;
                return self.question(visit, asked);
            }
            "add-key" => {
                let token = Secret::new(field(form, "ceremony")?);
                let state = provider.take_ceremony(&token, visit.now())?;
                let label = field(form, "label")?.trim();
                let key = self
                    .passkeys
                    .registered(&state, field(form, "answer")?, label)?;
                provider.add_key(who, &key, seed)?;
            }
            "remove-key" => {
                provider.remove_key(who, &CredentialId::new(field(form, "id")?), seed)?;
            }
            "password" => {
                let password = field(form, "password")?;
                if password.chars().count() < SHORTEST_PASSWORD {
                    return Err(Problem::Text("error-password"));
                }
                // Before the hash is computed: it is not computed for those who may not.
                who.may(oidc_provider::Operation::ChangeRecovery)?;
                let mut salt = [0; 16];
                getrandom::fill(&mut salt).map_err(|_| Problem::Text("failed-text"))?;
                let password = Password::new(password.to_owned())?;
                let hash = Handle::current().block_on(self.passwords.hash(password, salt))?;
                provider.set_password(who, Some(&hash), seed)?;
            }
            "print-codes" => {
                let codes = provider.print_codes(who, seed)?;
                let codes: Vec<&str> = codes.iter().map(Secret::expose).collect();
                let page = PrintedPage {
                    frame: self.frame(visit, None),
                    places: &self.places(visit, "/account"),
                    codes: &codes,
                };
                return Ok(Self::page(visit, StatusCode::OK, &page));
            }
            "add-address" => {
                let address = field(form, "address")?.trim();
                let kind = ChannelKind::Email;
                let sent = provider.begin_channel(who, kind, address, visit.now(), seed)?;
                return self.code_sent(visit, &sent, true);
            }
            "binding" => {
                let ticket = provider.binding_ticket(who, seed)?;
                return Ok(self.message(
                    visit,
                    "binding-title",
                    "binding-text",
                    Some(ticket.code.expose()),
                    Some(("/account", "back-to-account")),
                ));
            }
            "end-session" => {
                provider.end_session(who, &SessionId::new(field(form, "id")?))?;
            }
            "end-everything" => provider.end_everything(who)?,
            "forget-device" => {
                let id = field(form, "id")?;
                let devices = &who.account().devices;
                let device = devices.iter().find(|device| device.digest.as_str() == id);
                let device = device.ok_or(oidc_provider::Refusal::Nothing)?;
                provider.forget_device(who, &device.digest)?;
            }
            "withdraw" => provider.withdraw(who, &ClientId::new(field(form, "id")?))?,
            "freeze" => {
                provider.freeze(who, seed)?;
                let mut reply = self.message(visit, "frozen-title", "frozen-text", None, None);
                set_cookie(&mut reply, SESSION_COOKIE, "", Some(0));
                return Ok(reply);
            }
            _ => return Err(Problem::Form),
        }
        Ok(see_other("/account?done"))
    }
}
