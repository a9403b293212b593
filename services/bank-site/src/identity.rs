//! Signing in with the state's identity provider: OpenID Connect with pushed requests, PKCE, `private_key_jwt` and DPoP, as
//! the FAPI 2.0 security profile wants it of a bank.

use std::sync::Mutex;
use std::time::{Duration as Wait, Instant};

use http::{Request, StatusCode};
use id_registry::PersonalNumber;
use jose::{JwkSet, Jws, SigningKey, same_secret};
use oauth2::{
    Challenge, ExpectedIdToken, IdToken, LogoutToken, Parameters, client_authentication,
    dpop_proof, form,
};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use transport::{Body, HttpClient, RequestOptions};

use crate::asking::ask;
use crate::random::{NoRandomness, random_text};

/// The level that a contract needs.
pub const HIGH: &str = "http://eidas.europa.eu/LoA/high";
/// The level that is enough to look at one's own contracts.
pub const SUBSTANTIAL: &str = "http://eidas.europa.eu/LoA/substantial";
/// For how long the level high holds after the person proved who they are, as the provider itself has it.
pub const HIGH_LASTS: Duration = Duration::minutes(15);

const SCOPES: &str = "openid profile number";
const FORM: &str = "application/x-www-form-urlencoded";
/// How long the provider's keys are used before they are asked for again.
const KEYS_LAST: Wait = Wait::from_secs(300);
/// What the provider says where a proof lacks its newest nonce (RFC 9449 sections 8 and 9).
const NONCE_WANTED: &str = "use_dpop_nonce";
/// No sooner are they asked for again because of a token with a key that is not among them: anybody can make one up.
const KEYS_REST: Wait = Wait::from_secs(10);

/// Why a person is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The person, or the provider for them, said no.
    #[error("the provider answered {0}")]
    Refused(String),
    /// The browser's answer is not one to our question: forged, replayed, or of another provider.
    #[error("the answer is to no question of this browser: {0}")]
    Foreign(&'static str),
    /// The provider's tokens are not what they must be.
    #[error(transparent)]
    Token(#[from] oauth2::TokenError),
    /// The provider says nothing usable.
    #[error("the identity provider's {what}: {reason}")]
    Provider {
        /// Which endpoint.
        what: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// The system gives no randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// Our own key does not sign.
    #[error(transparent)]
    Key(#[from] pki::SignError),
}

/// What a browser was sent away with, to be found again when it comes back.
#[derive(Clone)]
pub struct Asked {
    state: String,
    nonce: String,
    verifier: String,
    high: bool,
}

/// Who signed in. Only [`IdentityProvider::signed_in`] makes one.
#[derive(Clone)]
pub struct Person {
    subject: String,
    session: Option<String>,
    id_token: String,
    level: String,
    signed_in: OffsetDateTime,
    name: String,
    number: PersonalNumber,
}

impl Person {
    /// Who it is at this bank.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Their name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Their number.
    #[must_use]
    pub const fn number(&self) -> PersonalNumber {
        self.number
    }

    /// Whether the level high still holds.
    #[must_use]
    pub fn is_high(&self, now: OffsetDateTime) -> bool {
        self.level == HIGH && now < self.signed_in + HIGH_LASTS
    }

    /// Somebody who signed in, for tests of the pages.
    #[cfg(test)]
    pub fn invented(subject: &str, level: &str, at: OffsetDateTime) -> Self {
        Self {
            subject: subject.to_owned(),
            session: Some("session".to_owned()),
            id_token: String::new(),
            level: level.to_owned(),
            signed_in: at,
            name: "Асанова <b>Айгүл</b>".to_owned(),
            number: "20101199000011".parse().expect("a number"),
        }
    }

    /// Whether a logout token is about this sign-in.
    #[must_use]
    pub fn ends_with(&self, token: &LogoutToken) -> bool {
        match token.session() {
            Some(session) => self.session.as_deref() == Some(session),
            None => token.subject() == Some(&self.subject),
        }
    }
}

/// What the provider publishes about itself, as far as it is needed.
#[derive(Debug, Clone, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    pushed_authorization_request_endpoint: String,
    userinfo_endpoint: String,
    end_session_endpoint: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Pushed {
    request_uri: String,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    id_token: String,
    token_type: String,
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    number: Option<String>,
    name: Option<String>,
    family_name: Option<String>,
    given_name: Option<String>,
    act: Option<serde_json::Value>,
}

impl UserInfo {
    fn name(&self) -> Option<String> {
        let parts = [self.family_name.as_deref(), self.given_name.as_deref()];
        let joined = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        self.name
            .clone()
            .or((!joined.is_empty()).then_some(joined))
            .filter(|name| !name.trim().is_empty())
    }
}

/// The identity provider, seen from this relying party.
pub struct IdentityProvider {
    http: HttpClient,
    options: RequestOptions,
    issuer: String,
    client: String,
    redirect_uri: String,
    key: SigningKey,
    /// Tokens are bound to it.
    dpop: SigningKey,
    /// What the provider wants to see in proofs.
    dpop_nonce: Mutex<Option<String>>,
    metadata: Mutex<Option<Metadata>>,
    keys: Mutex<Option<(JwkSet, Instant)>>,
}

impl std::fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityProvider")
            .field("issuer", &self.issuer)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl IdentityProvider {
    /// The provider of this issuer, where this site is the client `client` with a key and a redirect URI.
    #[must_use]
    pub const fn new(
        http: HttpClient,
        options: RequestOptions,
        issuer: String,
        client: String,
        redirect_uri: String,
        key: SigningKey,
        dpop: SigningKey,
    ) -> Self {
        Self {
            http,
            options,
            issuer,
            client,
            redirect_uri,
            key,
            dpop,
            dpop_nonce: Mutex::new(None),
            metadata: Mutex::new(None),
            keys: Mutex::new(None),
        }
    }

    async fn answer<T: for<'a> Deserialize<'a>>(
        &self,
        what: &'static str,
        request: Request<Body>,
    ) -> Result<T, SignInError> {
        let failed = |reason: String| SignInError::Provider { what, reason };
        let answer = ask(&self.http, &self.options, request)
            .await
            .map_err(failed)?;
        let given = answer.headers().get("dpop-nonce");
        if let Some(nonce) = given.and_then(|value| value.to_str().ok()) {
            *locked(&self.dpop_nonce) = Some(nonce.to_owned());
        }
        let (status, body) = (answer.status(), answer.into_body());
        if !status.is_success() {
            #[derive(Deserialize)]
            struct Error {
                error: String,
            }
            let named = serde_json::from_slice::<Error>(&body).map(|error| error.error);
            return Err(match named {
                Ok(error) if status.is_client_error() => SignInError::Refused(error),
                _ => failed(status.to_string()),
            });
        }
        serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
    }

    fn get(url: &str) -> Result<Request<Body>, SignInError> {
        Request::get(url)
            .body(Body::empty())
            .map_err(|error| SignInError::Provider {
                what: "address",
                reason: error.to_string(),
            })
    }

    /// Asks with a proof of our key; once more, with a new proof, if the provider wants its newest nonce in it.
    async fn prove<T: for<'a> Deserialize<'a>>(
        &self,
        what: &'static str,
        request: impl Fn(Option<&str>) -> Result<Request<Body>, SignInError>,
    ) -> Result<T, SignInError> {
        let known = locked(&self.dpop_nonce).clone();
        match self.answer(what, request(known.as_deref())?).await {
            Err(SignInError::Refused(error)) if error == NONCE_WANTED => {
                let given = locked(&self.dpop_nonce).clone();
                self.answer(what, request(given.as_deref())?).await
            }
            answer => answer,
        }
    }

    /// Calls an endpoint of clients, proving who we are and which key we hold.
    async fn call<T: for<'a> Deserialize<'a>>(
        &self,
        what: &'static str,
        url: &str,
        parameters: &[(&str, &str)],
        now: OffsetDateTime,
    ) -> Result<T, SignInError> {
        let request = |nonce: Option<&str>| {
            let id = random_text()?;
            let proof = client_authentication(&self.key, &self.client, &self.issuer, &id, now)?;
            let mut all: Vec<(&str, &str)> = parameters.to_vec();
            all.extend(proof.iter().map(|(name, value)| (*name, value.as_str())));
            let dpop = dpop_proof(&self.dpop, "POST", url, None, nonce, &random_text()?, now)?;
            Request::post(url)
                .header("content-type", FORM)
                .header("dpop", dpop)
                .body(Body::full(form(&all)))
                .map_err(|error| SignInError::Provider {
                    what: "address",
                    reason: error.to_string(),
                })
        };
        self.prove(what, request).await
    }

    /// What the provider publishes; asked for once. It must be of the issuer that was configured, and so must everything
    /// that it names (OpenID Connect Discovery 4.3).
    async fn metadata(&self) -> Result<Metadata, SignInError> {
        if let Some(known) = locked(&self.metadata).clone() {
            return Ok(known);
        }
        let url = format!("{}/.well-known/openid-configuration", self.issuer);
        let found: Metadata = self.answer("metadata", Self::get(&url)?).await?;
        let below = format!("{}/", self.issuer);
        let endpoints = [
            &found.authorization_endpoint,
            &found.token_endpoint,
            &found.pushed_authorization_request_endpoint,
            &found.userinfo_endpoint,
            &found.end_session_endpoint,
            &found.jwks_uri,
        ];
        if found.issuer != self.issuer || !endpoints.iter().all(|url| url.starts_with(&below)) {
            return Err(SignInError::Provider {
                what: "metadata",
                reason: "they are of another issuer".to_owned(),
            });
        }
        *locked(&self.metadata) = Some(found.clone());
        Ok(found)
    }

    /// The provider's keys for a token, asked for again where they are old or do not hold the one that the token names.
    async fn keys(&self, token: &str) -> Result<JwkSet, SignInError> {
        let kid = Jws::decode(token)
            .ok()
            .and_then(|jws| jws.header().kid.clone());
        if let Some((keys, since)) = locked(&self.keys).as_ref() {
            let known = kid
                .as_deref()
                .is_some_and(|kid| keys.keys().iter().any(|key| key.kid() == Some(kid)));
            let age = since.elapsed();
            if (known && age < KEYS_LAST) || age < KEYS_REST {
                return Ok(keys.clone());
            }
        }
        let metadata = self.metadata().await?;
        let found: serde_json::Value = self.answer("keys", Self::get(&metadata.jwks_uri)?).await?;
        let keys = JwkSet::decode(&found.to_string()).map_err(|error| SignInError::Provider {
            what: "keys",
            reason: error.to_string(),
        })?;
        *locked(&self.keys) = Some((keys.clone(), Instant::now()));
        Ok(keys)
    }

    /// Pushes a request; gives where to send the browser, and what to remember for when it comes back.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn ask(
        &self,
        high: bool,
        language: &str,
        now: OffsetDateTime,
    ) -> Result<(String, Asked), SignInError> {
        let metadata = self.metadata().await?;
        let asked = Asked {
            state: random_text()?,
            nonce: random_text()?,
            verifier: random_text()?,
            high,
        };
        let challenge = Challenge::of(&asked.verifier);
        let age = HIGH_LASTS.whole_seconds().to_string();
        let mut parameters = vec![
            ("response_type", "code"),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("scope", SCOPES),
            ("state", asked.state.as_str()),
            ("nonce", asked.nonce.as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("acr_values", if high { HIGH } else { SUBSTANTIAL }),
            ("ui_locales", language),
        ];
        if high {
            parameters.push(("max_age", age.as_str()));
        }
        let url = &metadata.pushed_authorization_request_endpoint;
        let pushed: Pushed = self.call("pushed request", url, &parameters, now).await?;
        let query = form(&[
            ("client_id", self.client.as_str()),
            ("request_uri", pushed.request_uri.as_str()),
        ]);
        Ok((
            format!("{}?{query}", metadata.authorization_endpoint),
            asked,
        ))
    }

    /// Takes the answer that a browser brings back: checks that it is to what this browser was sent away with, redeems the
    /// code, verifies the ID token with the level that was asked for, and asks who it is.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn signed_in(
        &self,
        asked: &Asked,
        answer: &Parameters,
        now: OffsetDateTime,
    ) -> Result<Person, SignInError> {
        let same = |name: &str, wanted: &str| {
            answer
                .get(name)
                .is_some_and(|value| same_secret(value.as_bytes(), wanted.as_bytes()))
        };
        if !same("state", &asked.state) {
            return Err(SignInError::Foreign("state"));
        }
        // RFC 9207: an answer of another provider is not taken to this one.
        if !same("iss", &self.issuer) {
            return Err(SignInError::Foreign("iss"));
        }
        if let Some(error) = answer.get("error") {
            return Err(SignInError::Refused(error.chars().take(100).collect()));
        }
        let code = answer.get("code").ok_or(SignInError::Foreign("code"))?;
        let metadata = self.metadata().await?;
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("code_verifier", asked.verifier.as_str()),
        ];
        let url = &metadata.token_endpoint;
        let tokens: Tokens = self.call("token endpoint", url, &parameters, now).await?;
        if !tokens.token_type.eq_ignore_ascii_case("DPoP") {
            return Err(SignInError::Provider {
                what: "token endpoint",
                reason: "the token is not bound to our key".to_owned(),
            });
        }
        let keys = self.keys(&tokens.id_token).await?;
        let enough = [HIGH, SUBSTANTIAL];
        let verified = IdToken::verify(
            &tokens.id_token,
            &keys,
            &ExpectedIdToken {
                issuer: &self.issuer,
                client: &self.client,
                nonce: Some(&asked.nonce),
                access_token: Some(&tokens.access_token),
                levels: if asked.high { &enough[..1] } else { &enough },
                max_age: asked.high.then_some(HIGH_LASTS),
                now,
            },
        )?;
        let info = self.user_info(&metadata, &tokens.access_token, now).await?;
        // OpenID Connect Core 5.3.2: of another person it says nothing about this one.
        if info.sub != verified.subject() {
            return Err(SignInError::Foreign("sub"));
        }
        // The bank deals with the person only, not with somebody who acts for them.
        if verified.actor().is_some() || info.act.is_some() {
            return Err(SignInError::Refused("access_denied".to_owned()));
        }
        let number = info.number.as_deref().and_then(|text| text.parse().ok());
        let (Some(number), Some(name)) = (number, info.name()) else {
            return Err(SignInError::Refused("consent_required".to_owned()));
        };
        Ok(Person {
            subject: verified.subject().to_owned(),
            session: verified.session().map(str::to_owned),
            level: verified.level().unwrap_or_default().to_owned(),
            signed_in: verified.signed_in().unwrap_or(now),
            id_token: tokens.id_token,
            name,
            number,
        })
    }

    async fn user_info(
        &self,
        metadata: &Metadata,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<UserInfo, SignInError> {
        let url = metadata.userinfo_endpoint.as_str();
        let request = |nonce: Option<&str>| {
            let id = random_text()?;
            let proof = dpop_proof(&self.dpop, "GET", url, Some(token), nonce, &id, now)?;
            let mut request = Self::get(url)?;
            for (name, value) in [("authorization", format!("DPoP {token}")), ("dpop", proof)] {
                if let Ok(value) = http::HeaderValue::from_str(&value) {
                    request.headers_mut().insert(name, value);
                }
            }
            Ok(request)
        };
        self.prove("userinfo", request).await
    }

    /// Where a browser goes to end the session at the provider too (OpenID Connect RP-Initiated Logout 2).
    ///
    /// # Errors
    /// The provider is not reached.
    pub async fn sign_out(&self, person: &Person, back: &str) -> Result<String, SignInError> {
        let metadata = self.metadata().await?;
        let query = form(&[
            ("id_token_hint", person.id_token.as_str()),
            ("client_id", self.client.as_str()),
            ("post_logout_redirect_uri", back),
        ]);
        Ok(format!("{}?{query}", metadata.end_session_endpoint))
    }

    /// Verifies a logout token that the provider sent.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn logout_token(
        &self,
        text: &str,
        now: OffsetDateTime,
    ) -> Result<LogoutToken, SignInError> {
        let keys = self.keys(text).await?;
        Ok(LogoutToken::verify(
            text,
            &keys,
            &self.issuer,
            &self.client,
            now,
        )?)
    }
}

impl SignInError {
    /// The status of an answer that says so.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Provider { .. } => StatusCode::BAD_GATEWAY,
            Self::Random(_) | Self::Key(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Key of the text for the person.
    #[must_use]
    pub fn text(&self) -> &'static str {
        match self {
            Self::Refused(code) if code == "access_denied" => "error-refused",
            Self::Refused(code) if code == "consent_required" => "error-consent",
            Self::Refused(code) if code == "unmet_authentication_requirements" => "error-level",
            Self::Token(oauth2::TokenError::Level | oauth2::TokenError::TooOld) => "error-level",
            Self::Refused(_) | Self::Foreign(_) | Self::Token(_) => "error-sign-in",
            Self::Provider { .. } | Self::Random(_) | Self::Key(_) => "failed-text",
        }
    }
}
