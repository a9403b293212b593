//! The claims of a JWT (RFC 7519) and their validation.

use serde::Deserialize;
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};

use crate::jws::Verified;

/// How far the peer's clock may be off (FAPI 2.0 security profile section 5.3.2.1: at least 10 seconds).
pub const LEEWAY: Duration = Duration::seconds(30);

/// Why claims are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// The payload is not a JSON object, or a registered claim has the wrong type or is repeated.
    #[error("the payload is not a set of JWT claims (RFC 7519 section 4)")]
    Form,
    /// The header's `typ` names another kind of JWT: one made for something else (RFC 8725 section 3.11).
    #[error("the JWT is of another type")]
    Type,
    /// `iss` is missing or another.
    #[error("the JWT is from another issuer")]
    Issuer,
    /// `aud` does not name the recipient, or others too.
    #[error("the JWT is for somebody else (aud)")]
    Audience,
    /// `exp` is missing or over.
    #[error("the JWT has expired, or does not say when it does")]
    Expired,
    /// `iat` or `nbf` is in the future, or `iat` is missing where it must be there.
    #[error("the JWT is not valid yet, or does not say since when")]
    NotYet,
    /// It lasts, or has lasted, longer than it may.
    #[error("the JWT lasts longer than it may")]
    TooLong,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Raw {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<OneOrMany>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    jti: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The claims of a JWT.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `aud`; empty if there is none.
    pub audiences: Vec<String>,
    /// Whether `aud` is a list, be it of one.
    pub audience_is_list: bool,
    /// `exp`.
    pub expires: Option<OffsetDateTime>,
    /// `nbf`.
    pub not_before: Option<OffsetDateTime>,
    /// `iat`.
    pub issued: Option<OffsetDateTime>,
    /// `jti`.
    pub id: Option<String>,
    /// Everything else.
    pub rest: Map<String, Value>,
}

/// NumericDate (RFC 7519 section 2), to the second below.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the range is checked before, and fractions of a second are dropped on purpose"
)]
fn moment(seconds: Option<f64>) -> Result<Option<OffsetDateTime>, ClaimsError> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    if !(0.0..=99_999_999_999.0).contains(&seconds) {
        return Err(ClaimsError::Form);
    }
    OffsetDateTime::from_unix_timestamp(seconds.floor() as i64)
        .map(Some)
        .map_err(|_| ClaimsError::Form)
}

impl Claims {
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, ClaimsError> {
        let raw: Raw = serde_json::from_slice(payload).map_err(|_| ClaimsError::Form)?;
        Ok(Self {
            issuer: raw.iss,
            subject: raw.sub,
            audience_is_list: matches!(raw.aud, Some(OneOrMany::Many(_))),
            audiences: match raw.aud {
                None => Vec::new(),
                Some(OneOrMany::One(one)) => vec![one],
                Some(OneOrMany::Many(many)) => many,
            },
            expires: moment(raw.exp)?,
            not_before: moment(raw.nbf)?,
            issued: moment(raw.iat)?,
            id: raw.jti,
            rest: raw.rest,
        })
    }

    /// Another claim that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.rest.get(name).and_then(Value::as_str)
    }
}

/// What a JWT must say to be accepted.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Values of `typ` that are accepted, in lower case and without `application/`; an empty one stands for none.
    pub types: &'a [&'a str],
    /// `iss`; `None` where the kind of JWT has none.
    pub issuer: Option<&'a str>,
    /// The only value of `aud`; `None` where the kind of JWT has none.
    pub audience: Option<&'a str>,
    /// The time now.
    pub now: OffsetDateTime,
    /// How long it may last, counted from now to `exp`; a kind of JWT without `exp` is accepted for so long after its
    /// `iat`.
    pub lasts: Duration,
    /// Whether `exp` is needed; otherwise `iat` is.
    pub needs_expiry: bool,
}

/// Claims that were validated. Only [`Verified::validate`] makes them.
#[derive(Debug, Clone)]
pub struct ValidClaims(Claims);

impl ValidClaims {
    /// The claims.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.0
    }
}

impl Verified {
    /// Validates the claims.
    ///
    /// # Errors
    /// See [`ClaimsError`].
    pub fn validate(&self, expected: &Expected<'_>) -> Result<ValidClaims, ClaimsError> {
        if !expected.types.contains(&self.header().typ.as_str()) {
            return Err(ClaimsError::Type);
        }
        let claims = Claims::decode(self.payload())?;
        if expected.issuer.is_some() && claims.issuer.as_deref() != expected.issuer {
            return Err(ClaimsError::Issuer);
        }
        if let Some(audience) = expected.audience
            && claims.audiences != [audience]
        {
            return Err(ClaimsError::Audience);
        }
        let now = expected.now;
        let early = |moment: Option<OffsetDateTime>| moment.is_some_and(|at| at > now + LEEWAY);
        if early(claims.not_before) || early(claims.issued) {
            return Err(ClaimsError::NotYet);
        }
        match (claims.expires, claims.issued) {
            (Some(expires), _) if expires + LEEWAY <= now => return Err(ClaimsError::Expired),
            (Some(expires), _) if expires > now + expected.lasts + LEEWAY => {
                return Err(ClaimsError::TooLong);
            }
            (None, _) if expected.needs_expiry => return Err(ClaimsError::Expired),
            (_, None) if !expected.needs_expiry => return Err(ClaimsError::NotYet),
            (_, Some(issued))
                if !expected.needs_expiry && issued + expected.lasts + LEEWAY <= now =>
            {
                return Err(ClaimsError::TooLong);
            }
            _ => {}
        }
        Ok(ValidClaims(claims))
    }
}
