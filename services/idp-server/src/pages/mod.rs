//! The pages that people use: signing in, consent, one's own account, other screens, the officers' desk.
//!
//! [`Pages::answer`] is a function from a [`Call`] to a reply; [`Pages::handle`] is the rim. Every form carries the token
//! of its browser and is taken only from this site; no address that a request names is ever redirected to, but those
//! that a relying party registered.

mod account;
mod desk;
mod sign_in;

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION,
    ORIGIN, REFERRER_POLICY, SET_COOKIE, USER_AGENT, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use oauth2::Parameters;
use oidc_provider::{
    Authenticated, Delivery, Failure, Interaction, Level, Origin, Refusal, Secret, Seed, SignedIn,
    Tenant, network_of,
};
use passkeys::{PasskeyError, Passkeys};
use passwords::{Hasher, PasswordError};
use time::OffsetDateTime;
use transport::{Body, Connection};
use web_ui::{ASSETS, Frame, Language, MessagePage, Page, Texts};

use crate::oauth::{Call, INTERACTION_COOKIE, Oauth, Reply, SESSION_COOKIE, answered};

/// Cookie that makes a device known.
pub const DEVICE_COOKIE: &str = "__Host-device";
const CSRF_COOKIE: &str = "__Host-csrf";
const LANGUAGE_COOKIE: &str = "__Host-language";
const SCREEN_COOKIE: &str = "__Host-screen";
/// How long a device stays known without signing in from it, in seconds.
const DEVICE_LASTS: u32 = 365 * 24 * 3600;

/// Delivers one-time codes to addresses.
pub trait CodePost: Send + Sync {
    /// Delivers, or keeps until it can be delivered.
    ///
    /// # Errors
    /// It could do neither.
    fn post(&self, delivery: &Delivery) -> Result<(), std::io::Error>;
}

/// The pages of one issuer.
pub struct Pages {
    oauth: Arc<Oauth>,
    passkeys: Passkeys,
    passwords: Arc<Hasher>,
    texts: Texts,
    post: Arc<dyn CodePost>,
    tenant: Tenant,
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
                _ => "error-other",
            },
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Busy | Self::Failure(Failure::Store(_)) => StatusCode::SERVICE_UNAVAILABLE,
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
    language: Language,
    /// The value of the browser's token; a new one if it had none.
    csrf: String,
    new_csrf: bool,
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

    /// The form, if it carries this browser's token and comes from this site.
    fn form(&self, issuer: &str) -> Result<Parameters, Problem> {
        let form = Parameters::decode(self.call.body).map_err(|_| Problem::Form)?;
        let token = form.get("csrf").map(Secret::new);
        let same = !self.new_csrf
            && token
                .is_some_and(|token| token.digest() == Secret::new(self.csrf.as_str()).digest());
        let from = self.call.headers.get(ORIGIN);
        let here = from.is_none_or(|from| from.as_bytes() == issuer.as_bytes());
        if same && here {
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

/// A moment as pages show it: Bishkek's time.
fn shown(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::macros::offset!(+6));
    at.format(time::macros::format_description!(
        "[year]-[month]-[day] [hour]:[minute]"
    ))
    .unwrap_or_default()
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

fn bare(status: StatusCode, kind: &'static str, body: String) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let set: [(HeaderName, &'static str); 4] = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer` browsers send `Origin: null` with our own forms.
        (REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in set {
        reply
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    reply
}

fn see_other(location: &str) -> Reply {
    let mut reply = bare(
        StatusCode::SEE_OTHER,
        "text/plain; charset=utf-8",
        String::new(),
    );
    match HeaderValue::from_str(location) {
        Ok(value) => {
            reply.headers_mut().insert(LOCATION, value);
        }
        Err(_) => *reply.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    reply
}

/// Sets a cookie for this host alone; for so many seconds, or as long as the browser is open.
fn set_cookie(reply: &mut Reply, name: &str, value: &str, lasts: Option<u32>) {
    let lasts = lasts.map_or_else(String::new, |lasts| format!("; Max-Age={lasts}"));
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{lasts}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        reply.headers_mut().append(SET_COOKIE, value);
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
        tenant: Tenant,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let host: http::Uri = oauth.issuer().parse()?;
        let host = host.host().ok_or("the issuer names no host")?.to_owned();
        Ok(Self {
            passkeys: Passkeys::new(&host, oauth.issuer())?,
            passwords,
            texts: Texts::new()?,
            post,
            tenant,
            oauth,
        })
    }

    fn visit<'a>(&self, call: &'a Call<'a>, address: IpAddr) -> Result<Visit<'a>, Problem> {
        let provider = self.oauth.provider();
        let text = |name: HeaderName| {
            call.headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let asked = call
            .query
            .split('&')
            .find_map(|pair| pair.strip_prefix("language="))
            .and_then(Language::of_code);
        let kept = call
            .cookie(LANGUAGE_COOKIE)
            .and_then(|code| Language::of_code(code.expose()));
        let known = call
            .cookie(CSRF_COOKIE)
            .filter(|token| token.expose().len() == 43);
        let csrf = match &known {
            Some(token) => token.expose().to_owned(),
            None => {
                let mut random = [0; 32];
                getrandom::fill(&mut random).map_err(|_| Problem::Text("failed-text"))?;
                jose::sha256_base64url(&random)
            }
        };
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
                label: label(text(USER_AGENT)),
            },
            language: asked
                .or(kept)
                .unwrap_or_else(|| Language::accepted(text(ACCEPT_LANGUAGE))),
            csrf,
            new_csrf: known.is_none(),
            who,
            asking,
        })
    }

    fn frame<'a>(&'a self, visit: &'a Visit<'_>, error: Option<&'a str>) -> Frame<'a> {
        Frame {
            texts: &self.texts,
            language: visit.language,
            csrf: &visit.csrf,
            error,
        }
    }

    fn page(visit: &Visit<'_>, status: StatusCode, page: &dyn Page) -> Reply {
        let Ok(html) = page.html() else {
            return bare(
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/plain; charset=utf-8",
                String::new(),
            );
        };
        let mut reply = bare(status, "text/html; charset=utf-8", html);
        let place = visit
            .asking
            .as_ref()
            .and_then(|(_, asking)| place_of(&asking.asked.redirect_uri))
            .map_or_else(String::new, |place| format!(" {place}"));
        let policy = format!(
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
             form-action 'self'{place}; base-uri 'none'; frame-ancestors 'none'"
        );
        if let Ok(value) = HeaderValue::from_str(&policy) {
            reply.headers_mut().insert(CONTENT_SECURITY_POLICY, value);
        }
        if visit.new_csrf {
            set_cookie(&mut reply, CSRF_COOKIE, &visit.csrf, None);
        }
        if visit.call.query.contains("language=") {
            let code = visit.language.code();
            set_cookie(&mut reply, LANGUAGE_COOKIE, code, Some(DEVICE_LASTS));
        }
        reply
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
        if let Some((_, kind, content)) = ASSETS.iter().find(|(path, ..)| *path == call.path) {
            let mut reply = bare(StatusCode::OK, kind, (*content).to_owned());
            let kept = HeaderValue::from_static("public, max-age=3600");
            reply.headers_mut().insert(CACHE_CONTROL, kept);
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
            "/" => Ok(see_other("/account")),
            "/sign-in" => Ok(self.sign_in_page(visit, StatusCode::OK, None)),
            "/first-key" => Ok(self.first_key_page(visit, StatusCode::OK, None)),
            "/continue" => self.go_on(visit),
            "/sign-in/phone/wait" => self.wait_for_phone(visit),
            "/device" => self.device_page(visit, StatusCode::OK, None),
            "/account" => self.account_page(visit, StatusCode::OK, None),
            "/account/freeze" => self.ask_to_freeze(visit),
            "/sign-out" => Ok(self.ask_to_sign_out(visit)),
            "/desk" => self.desk_page(visit, StatusCode::OK, None),
            _ => {
                let mut reply = self.message(
                    visit,
                    "not-found-title",
                    "not-found-text",
                    None,
                    Some(("/account", "account-title")),
                );
                *reply.status_mut() = StatusCode::NOT_FOUND;
                Ok(reply)
            }
        }
    }

    fn does(&self, visit: &Visit<'_>) -> Result<Reply, Problem> {
        let form = visit.form(self.oauth.issuer())?;
        match visit.call.path {
            "/sign-in/options" => self.ask_for_key(visit),
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
            path => match (path.strip_prefix("/account/"), path.strip_prefix("/desk/")) {
                (Some(what), _) => self.change_account(visit, what, &form),
                (_, Some(task)) => self.desk_task(visit, task, &form),
                _ => Err(Problem::Form),
            },
        }
    }

    /// The page from which a form came, with what went wrong.
    fn refused(&self, visit: &Visit<'_>, problem: &Problem) -> Reply {
        let path = visit.call.path;
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
        if path.ends_with("options") {
            return bare(status, "text/plain; charset=utf-8", String::new());
        }
        let reply = if path.starts_with("/account") {
            self.account_page(visit, status, text)
        } else if path.starts_with("/desk") {
            self.desk_page(visit, status, text)
        } else if path.starts_with("/device") {
            self.device_page(visit, status, text)
        } else if path.starts_with("/first-key") {
            Ok(self.first_key_page(visit, status, text))
        } else {
            Ok(self.sign_in_page(visit, status, text))
        };
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
