//! The endpoints of OAuth 2.0 and OpenID Connect.
//!
//! | path | what | standard |
//! |---|---|---|
//! | `/.well-known/openid-configuration`, `/.well-known/oauth-authorization-server` | what is offered | OpenID Connect Discovery 4, RFC 8414 |
//! | `/jwks` | the keys that sign tokens, the next and the last among them | RFC 7517 |
//! | `/oauth2/par` | a relying party pushes what it asks for; the only way to ask | RFC 9126 |
//! | `/oauth2/authorize` | a browser brings it | OpenID Connect Core 3.1.2 |
//! | `/oauth2/token` | codes, refresh tokens, device codes | RFC 6749, RFC 8628 |
//! | `/oauth2/userinfo` | claims by scope | OpenID Connect Core 5.3 |
//! | `/oauth2/introspect`, `/oauth2/revoke` | a relying party's own tokens | RFC 7662, RFC 7009 |
//! | `/oauth2/device` | a kiosk begins | RFC 8628 |
//! | `/oauth2/logout` | a relying party signs the person out | OpenID Connect RP-Initiated Logout |
//!
//! [`Oauth::answer`] is a plain function from a [`Call`] to a reply, with the time and random bytes in the call;
//! [`Oauth::handle`] is the rim.

mod authorize;
mod client;
mod logout;
mod reply;
mod resource;
mod token;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderMap, Method, Request, Response, StatusCode};
use id_registry::PersonalNumber;
use jose::{Jwk, JwkSet, SigningKey};
use oauth2::{CertificatesOffered, DpopNonces, ErrorCode, OauthError, Parameters, metadata};
use oidc_provider::{Authenticated, Level, Provider, SCOPES, Secret, Seed, StoreError};
use pki::Certificate;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use transport::{Body, Connection};

pub use logout::LOGOUT_TOKEN_LASTS;
pub use reply::Reply;
pub use token::ID_TOKEN_LASTS;

/// Cookie that holds the session's secret. The prefix binds it to this host and to HTTPS (RFC 6265bis 4.1.3.2).
pub const SESSION_COOKIE: &str = "__Host-session";
/// Cookie that ties a request to the browser that brought it.
pub const INTERACTION_COOKIE: &str = "__Host-interaction";
/// The page that continues a request that needs the person.
pub const CONTINUE_PAGE: &str = "/continue";
/// The page that asks before it signs out.
pub const SIGN_OUT_PAGE: &str = "/sign-out";
/// The page on which the code of a kiosk is typed.
pub const DEVICE_PAGE: &str = "/device";
/// How long a form may take to arrive, however steadily it trickles in: so nobody holds a place for long.
const BODY_TAKES: std::time::Duration = std::time::Duration::from_secs(20);
/// How a pushed request is named (RFC 9126 section 2.2).
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:";

/// Claims of a person from the population register, for the scopes that tell who somebody is.
pub trait PersonClaims: Send + Sync {
    /// The claims of `profile` and `address` (OpenID Connect Core 5.1 and 5.4), as far as they were asked for. Somebody
    /// protected looks like somebody of whom nothing is known.
    ///
    /// # Errors
    /// The register does not answer.
    fn claims(
        &self,
        person: &PersonalNumber,
        scopes: &BTreeSet<String>,
    ) -> Result<Map<String, Value>, StoreError>;
}

/// The keys that sign tokens. A new key is published before it signs, and an old one as long as its tokens last, so
/// that relying parties that keep the set for a while never meet an unknown key.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Signs.
    pub active: SigningKey,
    /// Published only: the next key, and earlier ones.
    pub published: Vec<Jwk>,
}

impl Keys {
    fn set(&self) -> JwkSet {
        let mut keys = vec![self.active.public().clone()];
        keys.extend(self.published.iter().cloned());
        JwkSet::new(keys)
    }
}

/// One request, with everything that a decision may depend on.
#[derive(Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path.
    pub path: &'a str,
    /// The query, without `?`.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a str,
    /// The certificate in DER that the client presented in TLS.
    pub certificate: Option<&'a [u8]>,
    /// The time now.
    pub now: OffsetDateTime,
    /// Random bytes, drawn for this call.
    pub seed: Seed,
}

impl Call<'_> {
    /// The value of a cookie; none if it is there twice.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<Secret> {
        let mut found = self
            .headers
            .get_all(http::header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split("; "))
            .filter_map(|pair| pair.split_once('='))
            .filter(|(cookie, _)| *cookie == name)
            .map(|(_, value)| Secret::new(value));
        match (found.next(), found.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }

    fn header(&self, name: &str) -> Result<Option<&str>, OauthError> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().map(Some).map_err(|_| {
                OauthError::new(ErrorCode::InvalidRequest, format!("{name} is not ASCII"))
            }),
            _ => Err(OauthError::new(
                ErrorCode::InvalidRequest,
                format!("{name} is there twice"),
            )),
        }
    }

    /// The form of a POST, or the query of a GET.
    fn parameters(&self) -> Result<Parameters, OauthError> {
        if *self.method == Method::GET {
            return Parameters::decode(self.query);
        }
        self.form()
    }

    fn form(&self) -> Result<Parameters, OauthError> {
        let kind = self.header("content-type")?.unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OauthError::new(
                ErrorCode::InvalidRequest,
                "the body must be application/x-www-form-urlencoded",
            ));
        }
        Parameters::decode(self.body)
    }
}

/// The protocol endpoints of one issuer.
pub struct Oauth {
    provider: Provider,
    people: Arc<dyn PersonClaims>,
    issuer: String,
    keys: RwLock<Arc<Keys>>,
    nonces: DpopNonces,
    /// Address of the listener that asks for certificates.
    certificates_at: Option<String>,
    /// Authorities of the certificates that clients are known by.
    client_authorities: Vec<Certificate>,
}

impl std::fmt::Debug for Oauth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oauth")
            .field("issuer", &self.issuer)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl Oauth {
    /// The endpoints of `issuer`, the address under which relying parties know it, without a slash at the end.
    #[must_use]
    pub fn new(
        provider: Provider,
        people: Arc<dyn PersonClaims>,
        issuer: impl Into<String>,
        keys: Keys,
    ) -> Self {
        Self {
            nonces: DpopNonces::new(&provider.key_for("DPoP nonces")),
            provider,
            people,
            issuer: issuer.into(),
            keys: RwLock::new(Arc::new(keys)),
            certificates_at: None,
            client_authorities: Vec::new(),
        }
    }

    /// Clients with certificates are served at this address, without a slash at the end (RFC 8705 section 5).
    #[must_use]
    pub fn with_certificates_at(self, address: impl Into<String>) -> Self {
        Self {
            certificates_at: Some(address.into()),
            ..self
        }
    }

    /// Clients may be known by a name in a certificate that one of these authorities issued (`tls_client_auth`).
    #[must_use]
    pub fn with_client_authorities(self, client_authorities: Vec<Certificate>) -> Self {
        Self {
            client_authorities,
            ..self
        }
    }

    /// How clients prove who they are by certificates; none: they do not.
    #[must_use]
    pub fn certificates_offered(&self) -> Option<CertificatesOffered<'_>> {
        let at = self.certificates_at.as_deref()?;
        let by_name = !self.client_authorities.is_empty();
        Some(CertificatesOffered { at, by_name })
    }

    /// Tokens are signed and published with these keys from now on.
    pub fn replace_keys(&self, keys: Keys) {
        let mut place = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(keys);
    }

    fn keys(&self) -> Arc<Keys> {
        let place = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&place)
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The decisions.
    #[must_use]
    pub const fn provider(&self) -> &Provider {
        &self.provider
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// Who is signed in in the calling browser.
    fn who(&self, call: &Call<'_>) -> Option<Authenticated> {
        let cookie = call.cookie(SESSION_COOKIE)?;
        self.provider.session(&cookie, call.now).ok()
    }

    /// Answers a call; none if its path is none of the protocol's. Whoever sends a proof of a key learns the nonce of
    /// the next one.
    #[must_use]
    pub fn answer(&self, call: &Call<'_>) -> Option<Reply> {
        let reply = self.answer_of(call)?;
        Some(if call.headers.contains_key("dpop") {
            reply::with_nonce(reply, &self.nonces.current(call.now))
        } else {
            reply
        })
    }

    fn answer_of(&self, call: &Call<'_>) -> Option<Reply> {
        let (get, post) = (*call.method == Method::GET, *call.method == Method::POST);
        let reply = match (call.path, get, post) {
            (
                "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server",
                true,
                _,
            ) => {
                let scopes: Vec<&str> = SCOPES.iter().map(|(scope, _)| *scope).collect();
                let levels = Level::ALL.map(Level::acr);
                let certificates = self.certificates_offered();
                let offered = metadata(&self.issuer, certificates, &scopes, &levels);
                Ok(reply::public(&offered))
            }
            ("/jwks", true, _) => Ok(reply::public(&self.keys().set().to_value())),
            ("/oauth2/par", _, true) => self.push(call),
            ("/oauth2/authorize", true, _) | ("/oauth2/authorize", _, true) => {
                return Some(self.authorize(call));
            }
            ("/oauth2/token", _, true) => self.token(call),
            ("/oauth2/userinfo", true, _) | ("/oauth2/userinfo", _, true) => {
                return Some(self.userinfo(call));
            }
            ("/oauth2/introspect", _, true) => self.introspect(call),
            ("/oauth2/revoke", _, true) => self.revoke(call),
            ("/oauth2/device", _, true) => self.begin_device(call),
            ("/oauth2/logout", true, _) | ("/oauth2/logout", _, true) => {
                return Some(self.logout(call));
            }
            (path, ..) if path.starts_with("/oauth2/") => {
                return Some(reply::status(StatusCode::METHOD_NOT_ALLOWED));
            }
            _ => return None,
        };
        Some(reply.unwrap_or_else(|error| reply::error(&error)))
    }

    /// Answers a request from the network. Gives the request back if its path is none of the protocol's.
    ///
    /// # Errors
    /// The request, for whoever answers other paths.
    pub async fn handle(
        self: Arc<Self>,
        request: Request<Body>,
        connection: &Connection,
    ) -> Result<Response<Body>, Request<Body>> {
        let path = request.uri().path();
        if !(path.starts_with("/oauth2/") || path.starts_with("/.well-known/o") || path == "/jwks")
        {
            return Err(request);
        }
        let certificate = connection
            .peer_certificate()
            .map(|certificate| certificate.der().to_vec());
        let answer = move |call: &Call<'_>| {
            self.answer(call)
                .unwrap_or_else(|| reply::status(StatusCode::NOT_FOUND))
        };
        Ok(answered(request, certificate, answer).await)
    }
}

/// Takes a request from the network in, draws its random bytes, reads the clock, and has it answered.
pub(crate) async fn answered(
    request: Request<Body>,
    certificate: Option<Vec<u8>>,
    answer: impl FnOnce(&Call<'_>) -> Reply + Send + 'static,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect(oauth2::MAX_PARAMETERS_LENGTH);
    let Ok(body) = tokio::time::timeout(BODY_TAKES, body).await else {
        return reply::status(StatusCode::REQUEST_TIMEOUT).map(Body::full);
    };
    let Ok(body) = body else {
        return reply::status(StatusCode::PAYLOAD_TOO_LARGE).map(Body::full);
    };
    let work = move || {
        let mut random = [0; 32];
        if getrandom::fill(&mut random).is_err() {
            return reply::status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let Ok(body) = std::str::from_utf8(&body) else {
            return reply::status(StatusCode::BAD_REQUEST);
        };
        answer(&Call {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            body,
            certificate: certificate.as_deref(),
            now: OffsetDateTime::now_utc(),
            seed: Seed::new(random),
        })
    };
    // The database and the password hasher are asked by blocking calls.
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| reply::status(StatusCode::INTERNAL_SERVER_ERROR))
        .map(Body::full)
}
