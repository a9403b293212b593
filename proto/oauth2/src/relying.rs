//! The relying party's side: what it sends, and how it judges what it gets.

use jose::{Claims, Expected, JwkSet, Jws, SigningKey};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pki::SignError;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::client::JWT_BEARER;
use crate::dpop::access_token_hash;
use crate::token::id_token_hash;

/// What stays as it is in a form (WHATWG URL, application/x-www-form-urlencoded percent-encode set).
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*');
/// How long an assertion of ours may be taken: it is used at once.
const OWN_ASSERTION_LASTS: Duration = Duration::minutes(1);
/// How long an ID token may last: longer ones are made by somebody who does not mean one sign-in.
const ID_TOKEN_LASTS: Duration = Duration::hours(1);
/// How long a logout token may last (OpenID Connect Back-Channel Logout 1.0 section 2.4 recommends two minutes).
const LOGOUT_TOKEN_LASTS: Duration = Duration::minutes(10);
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Longest identifier in a token, in bytes.
const MAX_TEXT: usize = 256;

/// Why a token of an identity provider is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each says what it is in its message")]
pub enum TokenError {
    #[error("the token is not a signed JWT")]
    Form,
    #[error("the token does not verify with the provider's keys: {0}")]
    Signature(jose::VerifyError),
    #[error("the token's claims are not valid: {0}")]
    Claims(jose::ClaimsError),
    #[error("the token answers another request (nonce)")]
    Nonce,
    #[error("the ID token belongs to another access token (at_hash)")]
    AccessToken,
    #[error("the person did not sign in at the level that was asked for (acr)")]
    Level,
    #[error("the person signed in too long ago (auth_time)")]
    TooOld,
    #[error("the token lacks a claim that it must have, or holds one that it must not have")]
    Missing,
}

/// Parameters as a form or a query.
#[must_use]
pub fn form(parameters: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        if !text.is_empty() {
            text.push('&');
        }
        text.extend(utf8_percent_encode(name, FORM));
        text.push('=');
        text.extend(utf8_percent_encode(value, FORM));
    }
    text
}

/// The parameters by which a client proves who it is (`private_key_jwt`, RFC 7523 section 2.2) to an authorization
/// server whose issuer is `issuer`. `id` is random and used once.
///
/// # Errors
/// The key does not sign.
pub fn client_authentication(
    key: &SigningKey,
    client: &str,
    issuer: &str,
    id: &str,
    now: OffsetDateTime,
) -> Result<[(&'static str, String); 3], SignError> {
    let claims = json!({
        "iss": client,
        "sub": client,
        "aud": issuer,
        "jti": id,
        "iat": now.unix_timestamp(),
        "exp": (now + OWN_ASSERTION_LASTS).unix_timestamp(),
    });
    Ok([
        ("client_id", client.to_owned()),
        ("client_assertion_type", JWT_BEARER.to_owned()),
        ("client_assertion", key.sign("JWT", &claims)?),
    ])
}

/// A DPoP proof (RFC 9449 section 4.2) for a request to `uri`, with the access token that goes along if one does, and
/// the last nonce that the server gave in `DPoP-Nonce` (section 8). `id` is random and used once.
///
/// # Errors
/// The key does not sign.
pub fn dpop_proof(
    key: &SigningKey,
    method: &str,
    uri: &str,
    access_token: Option<&str>,
    nonce: Option<&str>,
    id: &str,
    now: OffsetDateTime,
) -> Result<String, SignError> {
    let mut claims = json!({
        "jti": id,
        "htm": method,
        "htu": uri,
        "iat": now.unix_timestamp(),
    });
    if let Some(token) = access_token {
        claims["ath"] = access_token_hash(token).into();
    }
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    key.sign_with_jwk("dpop+jwt", &claims)
}

/// What an ID token must say.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedIdToken<'a> {
    /// The issuer that was asked.
    pub issuer: &'a str,
    /// The client that asked.
    pub client: &'a str,
    /// The nonce that was sent; none where the token did not come for a request of the verifier's own.
    pub nonce: Option<&'a str>,
    /// The access token that came along, if one did.
    pub access_token: Option<&'a str>,
    /// Values of `acr` that are enough; empty: any.
    pub levels: &'a [&'a str],
    /// How long ago the person may have signed in.
    pub max_age: Option<Duration>,
    /// The time now.
    pub now: OffsetDateTime,
}

/// An ID token that was verified. Only [`IdToken::verify`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct IdToken {
    subject: String,
    session: Option<String>,
    level: Option<String>,
    signed_in: Option<OffsetDateTime>,
    actor: Option<Value>,
}

impl IdToken {
    /// Verifies an ID token (OpenID Connect Core 3.1.3.7): signature by the provider's keys, issuer, audience, times,
    /// nonce, access token; and the level, which it is for the relying party to check.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(
        text: &str,
        keys: &JwkSet,
        expected: &ExpectedIdToken<'_>,
    ) -> Result<Self, TokenError> {
        let claims = verified(
            text,
            keys,
            &["", "jwt"],
            expected.issuer,
            expected.client,
            ID_TOKEN_LASTS,
            expected.now,
        )?;
        if expected.nonce.is_some() && claims.text("nonce") != expected.nonce {
            return Err(TokenError::Nonce);
        }
        if let Some(token) = expected.access_token
            && claims.text("at_hash") != Some(id_token_hash(token).as_str())
        {
            return Err(TokenError::AccessToken);
        }
        let level = claims.text("acr");
        if !expected.levels.is_empty() && !level.is_some_and(|acr| expected.levels.contains(&acr)) {
            return Err(TokenError::Level);
        }
        let signed_in = claims
            .rest
            .get("auth_time")
            .and_then(Value::as_i64)
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        if let Some(age) = expected.max_age {
            let at = signed_in.ok_or(TokenError::Missing)?;
            if at + age + jose::LEEWAY < expected.now {
                return Err(TokenError::TooOld);
            }
        }
        Ok(Self {
            subject: bounded(claims.subject.as_deref())?,
            session: claims.text("sid").map(str::to_owned),
            level: level.map(str::to_owned),
            signed_in,
            actor: claims.rest.get("act").cloned(),
        })
    }

    /// Who signed in, as this client knows them (`sub`).
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The session at the provider (`sid`), by which it tells of its end.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The level (`acr`).
    #[must_use]
    pub fn level(&self) -> Option<&str> {
        self.level.as_deref()
    }

    /// When the person last proved who they are (`auth_time`).
    #[must_use]
    pub const fn signed_in(&self) -> Option<OffsetDateTime> {
        self.signed_in
    }

    /// Who acts for the subject (`act`), if somebody does.
    #[must_use]
    pub const fn actor(&self) -> Option<&Value> {
        self.actor.as_ref()
    }
}

/// A logout token that was verified. Only [`LogoutToken::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutToken {
    subject: Option<String>,
    session: Option<String>,
    id: String,
}

impl LogoutToken {
    /// Verifies a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.6).
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(
        text: &str,
        keys: &JwkSet,
        issuer: &str,
        client: &str,
        now: OffsetDateTime,
    ) -> Result<Self, TokenError> {
        let types = ["logout+jwt"];
        let claims = verified(text, keys, &types, issuer, client, LOGOUT_TOKEN_LASTS, now)?;
        let is_logout = claims
            .rest
            .get("events")
            .and_then(|events| events.get(LOGOUT_EVENT))
            .is_some_and(Value::is_object);
        let session = claims.text("sid").map(str::to_owned);
        if !is_logout
            || claims.rest.contains_key("nonce")
            || (session.is_none() && claims.subject.is_none())
        {
            return Err(TokenError::Missing);
        }
        Ok(Self {
            id: bounded(claims.id.as_deref())?,
            subject: claims.subject,
            session,
        })
    }

    /// Whose sessions end; all of them if no session is named.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The session that ends.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Its `jti`, which is taken once.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

fn bounded(text: Option<&str>) -> Result<String, TokenError> {
    text.filter(|text| !text.is_empty() && text.len() <= MAX_TEXT)
        .map(str::to_owned)
        .ok_or(TokenError::Missing)
}

fn verified(
    text: &str,
    keys: &JwkSet,
    types: &[&str],
    issuer: &str,
    client: &str,
    lasts: Duration,
    now: OffsetDateTime,
) -> Result<Claims, TokenError> {
    let jws = Jws::decode(text).map_err(|_| TokenError::Form)?;
    let verified = jws.verify_with_set(keys).map_err(TokenError::Signature)?;
    if !crate::client::is_strong(&verified) {
        return Err(TokenError::Form);
    }
    let valid = verified
        .validate(&Expected {
            types,
            issuer: Some(issuer),
            audience: Some(client),
            now,
            lasts,
            needs_expiry: true,
        })
        .map_err(TokenError::Claims)?;
    Ok(valid.claims().clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pki::{DigestAlgorithm, KeyType, SignatureAlgorithm, SoftwareKey};
    use time::macros::datetime;

    use super::*;
    use crate::{ClientAssertion, DpopError, DpopNonces, DpopProof, Parameters};

    const NOW: OffsetDateTime = datetime!(2026-11-25 12:00 UTC);
    const HIGH: &str = "http://eidas.europa.eu/LoA/high";

    fn key() -> SigningKey {
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
        SigningKey::new(Arc::new(key.with_algorithm(algorithm).unwrap())).unwrap()
    }

    fn set(key: &SigningKey) -> JwkSet {
        JwkSet::new(vec![key.public().clone()])
    }

    #[test]
    fn the_server_takes_what_the_relying_party_sends() {
        let key = key();
        let parameters = client_authentication(&key, "bank", "https://id", "a/b 1", NOW).unwrap();
        let pairs: Vec<(&str, &str)> = parameters
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let decoded = Parameters::decode(&form(&pairs)).unwrap();
        let assertion = ClientAssertion::decode(&decoded).unwrap().unwrap();
        let proven = assertion.verify(&set(&key), "https://id", NOW).unwrap();
        assert_eq!((proven.client(), proven.id()), ("bank", "a/b 1"));

        let uri = "https://id/oauth2/userinfo";
        let nonces = DpopNonces::new(&[1; 32]);
        let (given, at) = (nonces.current(NOW), Some("token"));
        let verify = |proof: &str, token| {
            DpopProof::verify(proof, "GET", &[uri], Some(token), &nonces, NOW).map(|_| ())
        };
        let proof = dpop_proof(&key, "GET", uri, at, Some(&given), "1", NOW).unwrap();
        assert_eq!(verify(&proof, "token"), Ok(()));
        assert!(verify(&proof, "other").is_err());
        let first = dpop_proof(&key, "GET", uri, at, None, "2", NOW).unwrap();
        assert_eq!(verify(&first, "token"), Err(DpopError::Nonce));
        assert_eq!(form(&[("a b", "ө&="), ("c", "")]), "a%20b=%D3%A9%26%3D&c=");
    }

    fn claims() -> Value {
        json!({
            "iss": "https://id", "sub": "s", "aud": "bank", "iat": NOW.unix_timestamp(),
            "exp": NOW.unix_timestamp() + 300, "auth_time": NOW.unix_timestamp() - 60, "acr": HIGH, "sid": "1",
            "nonce": "n", "at_hash": id_token_hash("token"),
        })
    }

    fn expected() -> ExpectedIdToken<'static> {
        ExpectedIdToken {
            issuer: "https://id",
            client: "bank",
            nonce: Some("n"),
            access_token: Some("token"),
            levels: &[HIGH],
            max_age: Some(Duration::minutes(15)),
            now: NOW,
        }
    }

    #[test]
    fn an_id_token_is_taken_as_a_whole_or_not_at_all() {
        let key = key();
        let check = |claims: &Value, typ: &str, signer: &SigningKey| {
            IdToken::verify(&signer.sign(typ, claims).unwrap(), &set(&key), &expected())
        };
        let token = check(&claims(), "JWT", &key).unwrap();
        assert_eq!((token.subject(), token.session()), ("s", Some("1")));
        assert_eq!(token.level(), Some(HIGH));
        assert!(token.actor().is_none());
        for (name, value, wanted) in [
            (
                "iss",
                json!("https://evil"),
                TokenError::Claims(jose::ClaimsError::Issuer),
            ),
            (
                "aud",
                json!(["bank", "evil"]),
                TokenError::Claims(jose::ClaimsError::Audience),
            ),
            (
                "exp",
                json!(NOW.unix_timestamp() - 60),
                TokenError::Claims(jose::ClaimsError::Expired),
            ),
            (
                "exp",
                json!(NOW.unix_timestamp() + 90_000),
                TokenError::Claims(jose::ClaimsError::TooLong),
            ),
            ("nonce", json!("other"), TokenError::Nonce),
            ("nonce", Value::Null, TokenError::Nonce),
            (
                "at_hash",
                json!(id_token_hash("other")),
                TokenError::AccessToken,
            ),
            (
                "acr",
                json!("http://eidas.europa.eu/LoA/low"),
                TokenError::Level,
            ),
            ("acr", Value::Null, TokenError::Level),
            (
                "auth_time",
                json!(NOW.unix_timestamp() - 3600),
                TokenError::TooOld,
            ),
            ("auth_time", Value::Null, TokenError::Missing),
            ("sub", json!(""), TokenError::Missing),
        ] {
            let mut changed = claims();
            changed[name] = value.clone();
            let found = check(&changed, "JWT", &key);
            assert_eq!(found.unwrap_err(), wanted, "{name} {value}");
        }
        let other = self::key();
        assert!(matches!(
            check(&claims(), "JWT", &other),
            Err(TokenError::Signature(_))
        ));
        // A token for another purpose is no ID token.
        assert!(check(&claims(), "logout+jwt", &key).is_err());
        assert!(check(&claims(), "dpop+jwt", &key).is_err());
        let text = key.sign("JWT", &claims()).unwrap();
        for end in 0..text.len() {
            assert!(IdToken::verify(&text[..end], &set(&key), &expected()).is_err());
        }
    }

    #[test]
    fn a_logout_token_is_one_and_nothing_else_is() {
        let key = key();
        let good = json!({
            "iss": "https://id", "aud": "bank", "sub": "s", "sid": "1", "iat": NOW.unix_timestamp(), "jti": "j",
            "exp": NOW.unix_timestamp() + 120, "events": { LOGOUT_EVENT: {} },
        });
        let check = |claims: &Value, typ: &str| {
            let text = key.sign(typ, claims).unwrap();
            LogoutToken::verify(&text, &set(&key), "https://id", "bank", NOW)
        };
        let token = check(&good, "logout+jwt").unwrap();
        assert_eq!((token.session(), token.id()), (Some("1"), "j"));
        assert_eq!(token.subject(), Some("s"));
        assert!(check(&good, "JWT").is_err());
        assert!(check(&claims(), "JWT").is_err());
        for (name, value) in [
            ("events", json!({})),
            ("events", json!({ LOGOUT_EVENT: 1 })),
            ("nonce", json!("n")),
            ("jti", Value::Null),
            ("aud", json!("other")),
        ] {
            let mut changed = good.clone();
            changed[name] = value;
            assert!(check(&changed, "logout+jwt").is_err(), "{name}");
        }
        let mut nobody = good.clone();
        nobody["sub"] = Value::Null;
        nobody["sid"] = Value::Null;
        assert_eq!(check(&nobody, "logout+jwt"), Err(TokenError::Missing));
    }
}
