//! Clients that prove who they are with a signed assertion: `private_key_jwt` (RFC 7523, OpenID Connect Core 9).

use jose::{Claims, Expected, JwkSet, Jws};
use time::{Duration, OffsetDateTime};

use crate::error::{ErrorCode, OauthError};
use crate::parameters::Parameters;

/// How long an assertion may last (RFC 7523 section 3, item 4: unreasonably far ends are refused). Common libraries make
/// them for an hour; each is taken once all the same.
pub const ASSERTION_LASTS: Duration = Duration::hours(1);
/// Longest `jti`, in bytes.
const MAX_ID: usize = 256;
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Whether what a client signed is signed well enough: RSASSA-PKCS1-v1_5 is not (FAPI 2.0 security profile 5.4.1).
pub(crate) fn is_strong(verified: &jose::Verified) -> bool {
    verified.header().algorithm != jose::Algorithm::Rs256
}

/// Why an assertion proves nothing. The fault is the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each says what it is in its message")]
pub enum AssertionError {
    #[error("the client assertion is not a JWT signed with ES256, EdDSA or PS256")]
    Form,
    #[error("the client assertion's iss and sub must both be the client_id")]
    Client,
    #[error("the client assertion's aud must be the issuer as a string, not a list")]
    Audience,
    #[error("the client assertion needs a jti of at most {MAX_ID} bytes")]
    Id,
    #[error("the client assertion does not verify: {0}")]
    Signature(jose::VerifyError),
    #[error("the client assertion is not valid: {0}")]
    Claims(jose::ClaimsError),
}

impl From<AssertionError> for OauthError {
    fn from(error: AssertionError) -> Self {
        Self::new(ErrorCode::InvalidClient, error)
    }
}

/// An assertion as it was sent, and whom it names; nothing is proved.
#[derive(Debug, Clone)]
pub struct ClientAssertion<'a> {
    jws: Jws<'a>,
    client: String,
}

impl<'a> ClientAssertion<'a> {
    /// Finds the assertion in a request and the client that it names, to look up its keys; `None` if there is none.
    ///
    /// # Errors
    /// `invalid_client` if it is malformed, of another type, or names another client than `client_id`.
    pub fn decode(parameters: &'a Parameters) -> Result<Option<Self>, OauthError> {
        let Some(text) = parameters.get("client_assertion") else {
            return Ok(None);
        };
        if parameters.get("client_assertion_type") != Some(JWT_BEARER) {
            return Err(AssertionError::Form.into());
        }
        let jws = Jws::decode(text).map_err(|_| AssertionError::Form)?;
        let claims: Claims = jws.unverified_claims().map_err(|_| AssertionError::Form)?;
        let client = claims.subject.ok_or(AssertionError::Client)?;
        let named = parameters.get("client_id");
        if claims.issuer.as_ref() != Some(&client) || named.is_some_and(|named| named != client) {
            return Err(AssertionError::Client.into());
        }
        Ok(Some(Self { jws, client }))
    }

    /// The client that it claims to come from.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Verifies it with the client's keys and validates it. Its only audience is the issuer, as a string, so that an
    /// assertion made for one endpoint or server opens no other (FAPI 2.0 security profile 5.3.2.1).
    ///
    /// # Errors
    /// See [`AssertionError`].
    pub fn verify(
        self,
        keys: &JwkSet,
        issuer: &str,
        now: OffsetDateTime,
    ) -> Result<ProvenClient, AssertionError> {
        let verified = self
            .jws
            .verify_with_set(keys)
            .map_err(AssertionError::Signature)?;
        if !is_strong(&verified) {
            return Err(AssertionError::Form);
        }
        let valid = verified
            .validate(&Expected {
                types: &["", "jwt", "client-authentication+jwt"],
                issuer: Some(&self.client),
                audience: Some(issuer),
                now,
                lasts: ASSERTION_LASTS,
                needs_expiry: true,
            })
            .map_err(AssertionError::Claims)?;
        let claims = valid.claims();
        if claims.audience_is_list {
            return Err(AssertionError::Audience);
        }
        let id = claims.id.clone().ok_or(AssertionError::Id)?;
        if claims.subject.as_ref() != Some(&self.client) {
            return Err(AssertionError::Client);
        }
        if id.is_empty() || id.len() > MAX_ID {
            return Err(AssertionError::Id);
        }
        Ok(ProvenClient {
            client: self.client,
            id,
            expires: claims.expires.unwrap_or(now) + jose::LEEWAY,
        })
    }
}

/// A client that proved who it is, if `id` was not used before. Only [`ClientAssertion::verify`] makes one.
#[derive(Debug, Clone)]
pub struct ProvenClient {
    client: String,
    id: String,
    expires: OffsetDateTime,
}

impl ProvenClient {
    /// The client.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// The assertion's `jti`: whoever takes it remembers it until [`Self::expires`] and takes it once.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When the assertion can be forgotten.
    #[must_use]
    pub const fn expires(&self) -> OffsetDateTime {
        self.expires
    }
}
