//! Signing, with whatever holds the key.

use std::sync::Arc;

use pki::{DigestAlgorithm, SignError, SignatureAlgorithm, Signer};
use serde_json::{Value, json};

use crate::encoding::to_base64url;
use crate::jwk::{Algorithm, Jwk, JwkError};

/// Why a key does not sign tokens. The fault is of whoever chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Tokens are signed with ECDSA on P-256 or RSA-PSS, both over SHA-256.
    #[error("tokens are signed with ES256 or PS256; choose a P-256 or RSA key with SHA-256")]
    Algorithm,
    /// The public key cannot be written as a JWK.
    #[error(transparent)]
    Key(#[from] JwkError),
}

/// A key that signs tokens: in memory or in a device. Its name (`kid`) is its thumbprint.
#[derive(Clone)]
pub struct SigningKey {
    signer: Arc<dyn Signer>,
    public: Jwk,
}

impl SigningKey {
    /// A key behind a signer.
    ///
    /// # Errors
    /// See [`SigningKeyError`].
    pub fn new(signer: Arc<dyn Signer>) -> Result<Self, SigningKeyError> {
        let algorithm = match signer.algorithm() {
            SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256) => Algorithm::Es256,
            SignatureAlgorithm::RsaPss(DigestAlgorithm::Sha256) => Algorithm::Ps256,
            _ => return Err(SigningKeyError::Algorithm),
        };
        let public = Jwk::from_public_key(signer.public_key())?;
        if public.algorithm() != algorithm {
            return Err(SigningKeyError::Algorithm);
        }
        let kid = public.thumbprint();
        Ok(Self {
            signer,
            public: public.with_kid(kid),
        })
    }

    /// The public key, as it is published.
    #[must_use]
    pub const fn public(&self) -> &Jwk {
        &self.public
    }

    /// Signs claims as a compact JWS whose header holds `typ`, `alg` and `kid`.
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn sign(&self, typ: &str, claims: &Value) -> Result<String, SignError> {
        let header = json!({
            "typ": typ,
            "alg": self.public.algorithm().name(),
            "kid": self.public.kid(),
        });
        self.sign_with_header(&header, claims)
    }

    /// Signs claims under a header with the key itself in it (`jwk`), as DPoP proofs have it (RFC 9449 section 4.2).
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn sign_with_jwk(&self, typ: &str, claims: &Value) -> Result<String, SignError> {
        let header = json!({
            "typ": typ,
            "alg": self.public.algorithm().name(),
            "jwk": self.public.to_value(),
        });
        self.sign_with_header(&header, claims)
    }

    fn sign_with_header(&self, header: &Value, claims: &Value) -> Result<String, SignError> {
        let mut text = format!(
            "{}.{}",
            to_base64url(header.to_string().as_bytes()),
            to_base64url(claims.to_string().as_bytes())
        );
        let signature = self.signer.sign_fixed(text.as_bytes())?;
        text.push('.');
        text.push_str(&to_base64url(&signature));
        Ok(text)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.public.kid())
            .finish_non_exhaustive()
    }
}
