//! The pages that people use: signing in, consent, one's own account, other screens, the officers' desk.
//!
//! [`Pages::answer`] is a function from a [`Call`] to a reply; [`Pages::handle`] is the rim. Every form carries the token
//! of its browser and is taken only from this site; no address that a request names is ever redirected to, but those
//! that a relying party registered.

mod account;
mod acting;
mod card;
mod clients;
mod desk;
mod events;
mod officers;
mod organisations;
mod sign_in;
pub mod view;

use std::net::IpAddr;
use std::sync::Arc;

use http::header::USER_AGENT;
use http::{Method, Request, Response, StatusCode};
use id_registry::PersonalNumber;
use oauth2::Parameters;
use oidc_provider::{
    Authenticated, ClientId, Delivery, Duty, Failure, Interaction, Level, Origin, Refusal, Secret,
    Seed, SignedIn, StoreError, Tenant, network_of,
};
use passkeys::{PasskeyError, Passkeys};
use passwords::{Hasher, PasswordError};
use time::OffsetDateTime;
use transport::{Body, Connection};
use web_ui::{
    Frame, Language, MessagePage, Page, Sources, Texts, Visitor, asset, bare, page_policy,
    see_other, set_cookie, shown,
};

use self::view::Place;
use crate::oauth::{Call, INTERACTION_COOKIE, Oauth, Reply, SESSION_COOKIE, answered};

pub use card::CARD_PATH;

/// Cookie that makes a device known.
pub const DEVICE_COOKIE: &str = "__Host-device";
const SCREEN_COOKIE: &str = "__Host-screen";
/// How long a device stays known without signing in from it, in seconds.
const DEVICE_LASTS: u32 = 365 * 24 * 3600;

/// The texts of these pages.
pub const TEXTS: Sources = web_ui::sources!();

/// Delivers one-time codes to addresses.
pub trait CodePost: Send + Sync {
    /// Delivers, or keeps until it can be delivered.
    ///
    /// # Errors
    /// It could do neither.
    fn post(&self, delivery: &Delivery) -> Result<(), std::io::Error>;
}

/// What the pages show of people out of the population register, which is told who caused each question.
pub trait Register: Send + Sync {
    /// The full name of a person; none if there is nobody of that number, or somebody who is protected.
    ///
    /// # Errors
    /// The register does not answer.
    fn name(
        &self,
        person: &PersonalNumber,
        by: &PersonalNumber,
    ) -> Result<Option<String>, StoreError>;

    /// The portrait of a person, JPEG, for the officer `by` who compares it; none if there is none.
    ///
    /// # Errors
    /// The register does not answer.
    fn portrait(
        &self,
        person: &PersonalNumber,
        by: &PersonalNumber,
    ) -> Result<Option<Vec<u8>>, StoreError>;
}

/// The pages of one issuer.
pub struct Pages {
    oauth: Arc<Oauth>,
    passkeys: Passkeys,
    passwords: Arc<Hasher>,
    texts: Texts,
    post: Arc<dyn CodePost>,
    register: Arc<dyn Register>,
    tenant: Tenant,
    card_address: Option<String>,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

/// Why a form is not carried out.
#[derive(Debug)]
enum Problem {
    Failure(Failure),
    /// The form is not of this site and browser, or lacks a field.
    Form,
    Key(PasskeyError),
    Busy,
    /// Another text, by its key.
    Text(&'static str),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Failure(refusal.into())
    }
}

impl From<PasskeyError> for Problem {
    fn from(error: PasskeyError) -> Self {
        Self::Key(error)
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy,
            PasswordError::Length => Self::Text("error-password"),
            PasswordError::Unreadable => {
                tracing::error!(%error, "a stored password cannot be read");
                Self::Text("failed-text")
            }
        }
    }
}

impl Problem {
    /// Key of the text that says it.
    fn text(&self) -> &'static str {
        match self {
            Self::Form => "error-form",
            Self::Key(error) => {
                tracing::info!(%error, "a passkey's answer was refused");
                "error-key"
            }
            Self::Busy => "error-busy",
            Self::Text(text) => text,
            Self::Failure(Failure::Store(error)) => {
                tracing::error!(%error, "the identity provider's database failed");
                "failed-text"
            }
            Self::Failure(Failure::Refused(refusal)) => match refusal {
                Refusal::WrongCredentials => "error-credentials",
                Refusal::TooManyAttempts(_) => "error-throttled",
                Refusal::Over => "error-over",
                Refusal::Frozen => "error-frozen",
                Refusal::LevelTooLow { .. } | Refusal::Careful(_) => "error-level",
                Refusal::LastWayIn => "error-last-way",
                Refusal::NotVerified | Refusal::KeyCopied | Refusal::KeyInUse => "error-key",
                Refusal::NotOnDuty => "error-officer",
                Refusal::OwnCase | Refusal::SameOfficer => "error-own-case",
                Refusal::SameWay => "error-same-way",
                Refusal::Reference => "error-reference",
                Refusal::MandateForm(_) => "error-mandate",
                Refusal::ClientForm(_) => "error-client-form",
                Refusal::NotProofed => "error-not-proofed",
                _ => "error-other",
            },
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Busy | Self::Failure(Failure::Store(_)) | Self::Text("failed-text") => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Form => StatusCode::FORBIDDEN,
            Self::Failure(Failure::Refused(Refusal::TooManyAttempts(_))) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// One visit: the call with what every page needs of it.
struct Visit<'a> {
    call: &'a Call<'a>,
    origin: Origin,
    visitor: Visitor,
    who: Option<Authenticated>,
    asking: Option<(Secret, Interaction)>,
}

impl Visit<'_> {
    fn who(&self) -> Result<&Authenticated, Problem> {
        self.who
            .as_ref()
            .ok_or(Problem::Failure(Refusal::NotSignedIn.into()))
    }

    fn seed(&self) -> &Seed {
        &self.call.seed
    }

    fn now(&self) -> OffsetDateTime {
        self.call.now
    }

    const fn language(&self) -> Language {
        self.visitor.language
    }

    /// The form, if it carries this browser's token and comes from this site.
    fn form(&self, issuer: &str) -> Result<Parameters, Problem> {
        let form = Parameters::decode(self.call.body).map_err(|_| Problem::Form)?;
        if self
            .visitor
            .sent(form.get("csrf"), self.call.headers, issuer)
        {
            Ok(form)
        } else {
            Err(Problem::Form)
        }
    }
}

fn field<'a>(form: &'a Parameters, name: &str) -> Result<&'a str, Problem> {
    form.get(name).ok_or(Problem::Form)
}

/// Key of the text of a level.
const fn level_text(level: Level) -> &'static str {
    match level {
        Level::Low => "level-low",
        Level::Substantial => "level-substantial",
        Level::High => "level-high",
    }
}

/// What a browser calls itself, in two words.
fn label(agent: &str) -> String {
    const BROWSERS: &[(&str, &str)] = &[
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("YaBrowser/", "Yandex"),
        ("OPR/", "Opera"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: &[(&str, &str)] = &[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ];
    let find = |list: &[(&str, &'static str)]| {
        list.iter()
            .find(|(sign, _)| agent.contains(sign))
            .map_or("?", |(_, name)| *name)
    };
    format!("{}, {}", find(BROWSERS), find(SYSTEMS))
}

/// Where a form's redirections may end (Content Security Policy 3, `form-action`): the relying party's own place.
fn place_of(redirect_uri: &str) -> Option<String> {
    let (scheme, rest) = redirect_uri.split_once(':')?;
    let plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.:[]".contains(&byte))
    };
    let authority = rest
        .strip_prefix("//")
        .and_then(|rest| rest.split('/').next());
    match authority {
        Some(authority) if plain(scheme) && plain(authority) => {
            Some(format!("{scheme}://{authority}"))
        }
        None if plain(scheme) => Some(format!("{scheme}:")),
        _ => None,
    }
}

impl Pages {
    /// The pages over the protocol's endpoints. Passkeys are bound to the issuer's host.
    ///
    /// # Errors
    /// The issuer is no address of a host, or this build's texts are broken.
    pub fn new(
        oauth: Arc<Oauth>,
        passwords: Arc<Hasher>,
        post: Arc<dyn CodePost>,
        register: Arc<dyn Register>,
        tenant: Tenant,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let host: http::Uri = oauth.issuer().parse()?;
        let host = host.host().ok_or("the issuer names no host")?.to_owned();
        Ok(Self {
            passkeys: Passkeys::new(&host, oauth.issuer())?,
            passwords,
            texts: Texts::new(TEXTS)?,
            post,
            register,
            tenant,
            oauth,
            card_address: None,
        })
    }

    /// Identity cards are asked for at this address, without a slash at the end.
    #[must_use]
    pub fn with_cards_at(self, address: impl Into<String>) -> Self {
        Self {
            card_address: Some(address.into()),
            ..self
        }
    }

    fn visit<'a>(&self, call: &'a Call<'a>, address: IpAddr) -> Result<Visit<'a>, Problem> {
        let provider = self.oauth.provider();
        let visitor = Visitor::new(call.headers, call.query).map_err(|error| {
            tracing::error!(%error, "no page can be shown");
            Problem::Text("failed-text")
        })?;
        let agent = call.headers.get(USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok());
        let who = match call.cookie(SESSION_COOKIE) {
            Some(token) => match provider.session(&token, call.now) {
                Ok(who) => Some(who),
                Err(Failure::Refused(_)) => None,
                Err(failure) => return Err(failure.into()),
            },
            None => None,
        };
        let asking = match call.cookie(INTERACTION_COOKIE) {
            Some(token) => match provider.interaction(&token, who.as_ref(), call.now) {
                Ok(found) => Some((token, found)),
                Err(Failure::Refused(_)) => None,
                Err(failure) => return Err(failure.into()),
            },
            None => None,
        };
        Ok(Visit {
            call,
            origin: Origin {
                network: network_of(address),
                device: call.cookie(DEVICE_COOKIE),
                label: label(agent.unwrap_or_default()),
            },
            visitor,
            who,
            asking,
        })
    }

    fn frame<'a>(&'a self, visit: &'a Visit<'_>, error: Option<&'a str>) -> Frame<'a> {
        Frame {
            texts: &self.texts,
            language: visit.language(),
            csrf: &visit.visitor.csrf,
            error,
        }
    }

    /// What a relying party is called, also one that is no longer in use.
    fn client_name(&self, visit: &Visit<'_>, id: &ClientId) -> String {
        self.oauth.provider().client(id).map_or_else(
            |_| id.as_str().to_owned(),
            |client| client.client().name(visit.language().code()).to_owned(),
        )
    }

    /// Where somebody who is signed in goes to: everybody to their own, officers to what they do.
    fn places(&self, visit: &Visit<'_>, current: &str) -> Vec<Place> {
        let place = |path: &'static str, text: &'static str| Place {
            path,
            text,
            current: path == current,
        };
        let mut places = vec![
            place("/account", "account-title"),
            place("/acting", "acting-title"),
            place("/organisations", "organisations-title"),
            place("/clients", "clients-title"),
        ];
        let duties = visit
            .who
            .as_ref()
            .and_then(|who| self.oauth.provider().duties(who).ok())
            .unwrap_or_default();
        for (duty, path, text) in [
            (Duty::Desk, "/desk", "desk-title"),
            (Duty::Clients, "/approvals", "approvals-title"),
            (Duty::Investigation, "/investigation", "investigation-title"),
            (Duty::Appointment, "/officers", "officers-title"),
            (Duty::Organisations, "/record", "record-title"),
        ] {
            if duties.contains(&duty) {
                places.push(place(path, text));
            }
        }
        places
    }

    fn page(visit: &Visit<'_>, status: StatusCode, page: &dyn Page) -> Reply {
        Self::page_with(visit, status, page, "")
    }

    /// A page that shows a portrait.
    fn page_with_images(visit: &Visit<'_>, status: StatusCode, page: &dyn Page) -> Reply {
        Self::page_with(visit, status, page, "data:")
    }

    fn page_with(visit: &Visit<'_>, status: StatusCode, page: &dyn Page, images: &str) -> Reply {
        let Ok(html) = page.html() else {
            return bare(
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/plain; charset=utf-8",
                String::new(),
            );
        };
        let place = visit
            .asking
            .as_ref()
            .and_then(|(_, asking)| place_of(&asking.asked.redirect_uri))
            .unwrap_or_default();
        visit
            .visitor
            .page(status, html, &page_policy(&place, images))
    }

    fn message(
        &self,
        visit: &Visit<'_>,
        title: &str,
        text: &str,
        code: Option<&str>,
        next: Option<(&str, &str)>,
    ) -> Reply {
        let page = MessagePage {
            frame: self.frame(visit, None),
            title,
            text,
            code,
            next,
        };
        Self::page(visit, StatusCode::OK, &page)
    }

    /// Somebody just signed in: the browser gets its cookies and goes on.
    fn entered(visit: &Visit<'_>, signed_in: &SignedIn) -> Reply {
        let next = if visit.asking.is_some() {
            "/continue"
        } else {
            "/account"
        };
        let mut reply = see_other(next);
        set_cookie(&mut reply, SESSION_COOKIE, signed_in.session.expose(), None);
        let device = signed_in.device.expose();
        set_cookie(&mut reply, DEVICE_COOKIE, device, Some(DEVICE_LASTS));
        reply
    }

    /// Answers a call from an address. On a thread of tokio that may block.
    #[must_use]
    pub fn answer(&self, call: &Call<'_>, address: IpAddr) -> Reply {
        if let Some(reply) = asset(call.path) {
            return reply;
        }
        let visit = match self.visit(call, address) {
            Ok(visit) => visit,
            Err(problem) => {
                let text = problem.text();
                return bare(
                    problem.status(),
                    "text/plain; charset=utf-8",
                    text.to_owned(),
                );
            }
        };
        let reply = match *call.method {
            Method::GET => self.shows(&visit),
            Method::POST => self.does(&visit),
            _ => {
                return bare(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "text/plain; charset=utf-8",
                    String::new(),
                );
            }
        };
        reply.unwrap_or_else(|problem| self.refused(&visit, &problem))
    }

    fn shows(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        match visit.call.path {
            "/" => self.account_page(visit, StatusCode::OK, None),
            "/sign-in/card" => self.ask_for_card(visit),
            "/sign-in/card/done" => self.card_done(visit),
            "/continue" | "/consent" => self.go_on(visit),
            "/sign-in/phone/wait" => self.wait_for_phone(visit),
            "/account/freeze" => self.ask_to_freeze(visit),
            "/account/events" => self.events_page(visit),
            "/sign-out" => Ok(self.ask_to_sign_out(visit)),
            // Also what answered a form, asked for again: in another language, or by the button that goes back.
            _ => self
                .page_of(visit, StatusCode::OK, None)
                .unwrap_or_else(|| Ok(self.not_found(visit))),
        }
    }

    fn not_found(&self, visit: &Visit<'_>) -> Reply {
        let next = Some(("/account", "account-title"));
        let mut reply = self.message(visit, "not-found-title", "not-found-text", None, next);
        *reply.status_mut() = StatusCode::NOT_FOUND;
        reply
    }

    /// The page of a path, or on which the form of a path stands; none if it is nobody's.
    fn page_of(
        &self,
        visit: &Visit<'_>,
        status: StatusCode,
        error: Option<&str>,
    ) -> Option<Result<Reply, Problem>> {
        Some(match visit.call.path.split('/').nth(1)? {
            "account" => self.account_page(visit, status, error),
            "desk" => self.desk_page(visit, status, error),
            "acting" => self.acting_page(visit, status, error),
            "clients" => self.clients_page(visit, status, error),
            "approvals" => self.approvals_page(visit, status, error),
            "investigation" => self.investigation_page(visit, status, error),
            "officers" => self.officers_page(visit, status, error),
            "organisations" => self.organisations_page(visit, status, error),
            "record" => self.record_page(visit, status, error),
            "counter" => Ok(self.counter_page(visit, status, error)),
            "unfreeze" => Ok(self.unfreeze_page(visit, status, error)),
            "device" => self.device_page(visit, status, error),
            "first-key" => Ok(self.first_key_page(visit, status, error)),
            "sign-in" | "sign-up" => Ok(self.sign_in_page(visit, status, error)),
            _ => return None,
        })
    }

    fn does(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        let form = visit.form(self.oauth.issuer())?;
        match visit.call.path {
            "/sign-in/options" => self.ask_for_key(visit),
            "/sign-in/card" => self.ask_for_card_to_bind(),
            "/sign-in/passkey" => self.sign_in_with_key(visit, &form),
            "/sign-in/password" => self.sign_in_with_password(visit, &form),
            "/sign-in/code" => self.sign_in_with_code(visit, &form),
            "/sign-in/phone" => self.sign_in_with_phone(visit),
            "/sign-up" => self.sign_up(visit, &form),
            "/first-key/options" => self.ask_for_first_key(visit, &form),
            "/first-key" => self.first_key(visit, &form),
            "/consent" => self.consent(visit, &form),
            "/device" => self.device_letters(visit, &form),
            "/device/answer" => self.device_answer(visit, &form),
            "/sign-out" => self.sign_out(visit),
            "/counter" => self.enter_at_counter(visit, &form),
            "/unfreeze" => self.unfreeze(visit, &form),
            "/record" => self.record(visit, &form),
            "/record/strike-off" => self.strike_off(visit, &form),
            path => {
                let path = path.trim_start_matches('/');
                match path.split_once('/') {
                    Some(("account", what)) => self.change_account(visit, what, &form),
                    Some(("desk", task)) => self.desk_task(visit, task, &form),
                    Some(("acting", what)) => self.change_acting(visit, what, &form),
                    Some(("clients", what)) => self.change_clients(visit, what, &form),
                    Some(("approvals", what)) => self.change_approvals(visit, what, &form),
                    Some(("investigation", "read")) => self.investigate(visit, &form),
                    Some(("officers", what)) => self.change_officers(visit, what, &form),
                    Some(("organisations", what)) => self.change_organisations(visit, what, &form),
                    _ => Err(Problem::Form),
                }
            }
        }
    }

    /// The page from which a form came, with what went wrong.
    fn refused(&self, visit: &Visit<'_>, problem: &Problem) -> Reply {
        if matches!(
            problem,
            Problem::Failure(Failure::Refused(Refusal::NotSignedIn))
        ) {
            return if *visit.call.method == Method::GET {
                self.sign_in_page(visit, StatusCode::OK, None)
            } else {
                see_other("/sign-in")
            };
        }
        let (status, text) = (problem.status(), Some(problem.text()));
        if visit.call.path.ends_with("options") {
            return bare(status, "text/plain; charset=utf-8", String::new());
        }
        let reply = self
            .page_of(visit, status, text)
            .unwrap_or_else(|| Ok(self.sign_in_page(visit, status, text)));
        // Not even the page can be shown: whoever asks may not see it, or the database is gone.
        reply.unwrap_or_else(|_| {
            let page = MessagePage {
                frame: self.frame(visit, None),
                title: "refused-title",
                text: text.unwrap_or("failed-text"),
                code: None,
                next: Some(("/sign-in", "sign-in-link")),
            };
            Self::page(visit, status, &page)
        })
    }

    /// Answers a request from the network.
    pub async fn handle(
        self: Arc<Self>,
        request: Request<Body>,
        connection: &Connection,
    ) -> Response<Body> {
        let address = connection.remote().ip();
        answered(request, None, move |call| self.answer(call, address)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_may_end_at_the_relying_party_only() {
        assert_eq!(
            place_of("https://bank.example:8443/back?x=1").as_deref(),
            Some("https://bank.example:8443")
        );
        assert_eq!(
            place_of("kg.example.app:/back").as_deref(),
            Some("kg.example.app:")
        );
        assert_eq!(place_of("https://bank.example; script-src *"), None);
        assert_eq!(place_of("nothing"), None);
    }

    #[test]
    fn browsers_are_named_in_two_words() {
        let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36";
        assert_eq!(label(agent), "Chrome, Linux");
        assert_eq!(label(""), "?, ?");
    }
}
