//! One's own account.

use http::StatusCode;
use oauth2::Parameters;
use oidc_provider::{ChannelKind, ClientId, CredentialId, Secret, SessionId};
use passwords::Password;
use tokio::runtime::Handle;
use web_ui::{ConfirmPage, see_other, set_cookie};

use super::sign_in::salt;
use super::view::{AccountPage, PrintedPage, Row};
use super::{Pages, Problem, Reply, Visit, field, level_text, shown};
use crate::oauth::SESSION_COOKIE;

/// Events on the account page.
const LATEST_EVENTS: usize = 10;
/// Shortest password, in characters.
const SHORTEST_PASSWORD: usize = 12;

impl Pages {
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
                label: self.client_name(visit, &consent.client),
                id: consent.client.as_str().to_owned(),
                since: shown(consent.at),
                current: false,
            })
            .collect();
        let events = provider.history(who, None, LATEST_EVENTS)?;
        let events = self.event_rows(visit, &account.id, events);
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
                let password = Password::new(password.to_owned())?;
                let hash = Handle::current().block_on(self.passwords.hash(password, salt()?))?;
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
