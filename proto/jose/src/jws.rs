//! JWS in the compact form (RFC 7515 section 7.1).

use serde::Deserialize;
use serde_json::Value;

use crate::claims::{Claims, ClaimsError};
use crate::encoding::from_base64url;
use crate::jwk::{Algorithm, Jwk, JwkSet};

/// Longest compact JWS, in bytes.
pub const MAX_LENGTH: usize = 32 * 1024;

/// Why a text is not taken for a JWS. The fault is of whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`MAX_LENGTH`].
    #[error("the JWS is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// Not three parts of base64url with dots between.
    #[error("not a JWS in compact form (RFC 7515 section 7.1)")]
    Form,
    /// The header is not JSON with the members of RFC 7515 section 4.1, or repeats one.
    #[error("the JWS header is malformed")]
    Header,
    /// The header's `alg` is none that we verify; `none` is not one either.
    #[error("the JWS algorithm is not one of ES256, EdDSA, PS256, RS256")]
    Algorithm,
    /// The header names extensions that must be understood (`crit`), or a payload that is not encoded (`b64`).
    #[error("the JWS needs extensions that are not supported (crit)")]
    Critical,
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The header's `alg` is not the algorithm of the key.
    #[error("the JWS algorithm is not the one of the key")]
    OtherAlgorithm,
    /// No key of the set fits the header's `alg` and `kid`.
    #[error("no key of the set fits the JWS header")]
    NoKey,
    /// The value was not made by the key over this text.
    #[error("the JWS signature does not verify")]
    BadSignature,
}

#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    jwk: Option<Value>,
    crit: Option<Value>,
    b64: Option<Value>,
}

/// The protected header (RFC 7515 section 4.1), as sent. `jku`, `x5u`, `x5c` and `x5t` are not read.
#[derive(Debug, Clone)]
pub struct Header {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`: which key, by the sender's word.
    pub kid: Option<String>,
    /// `typ` in lower case and without `application/` (RFC 7515 section 4.1.9); empty if there is none.
    pub typ: String,
    /// `jwk`: a key that the sender brings along, which proves nothing about who that is.
    pub jwk: Option<Value>,
}

/// A decoded JWS, not verified.
#[derive(Debug, Clone)]
pub struct Jws<'a> {
    header: Header,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a compact JWS apart.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode(text: &'a str) -> Result<Self, DecodeError> {
        if text.len() > MAX_LENGTH {
            return Err(DecodeError::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(DecodeError::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(DecodeError::Form)?;
        let part = |text| from_base64url(text).ok_or(DecodeError::Form);
        let (header, payload, signature) = (part(header)?, part(payload)?, part(signature)?);
        let raw: RawHeader = serde_json::from_slice(&header).map_err(|_| DecodeError::Header)?;
        if raw.crit.is_some() || raw.b64.is_some() {
            return Err(DecodeError::Critical);
        }
        let algorithm = Algorithm::from_name(&raw.alg).ok_or(DecodeError::Algorithm)?;
        let typ = raw.typ.unwrap_or_default().to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ).to_owned();
        Ok(Self {
            header: Header {
                algorithm,
                kid: raw.kid,
                typ,
                jwk: raw.jwk,
            },
            signed,
            payload,
            signature,
        })
    }

    /// The header, to find the key by.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The claims before anything was verified: to find out whose keys to verify with, and for nothing else.
    ///
    /// # Errors
    /// The payload is not a set of claims.
    pub fn unverified_claims(&self) -> Result<Claims, ClaimsError> {
        Claims::decode(&self.payload)
    }

    /// Verifies the signature with one key.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify(self, key: &Jwk) -> Result<Verified, VerifyError> {
        if self.header.algorithm != key.algorithm() {
            return Err(VerifyError::OtherAlgorithm);
        }
        if !key.verify(self.signed.as_bytes(), &self.signature) {
            return Err(VerifyError::BadSignature);
        }
        Ok(Verified {
            header: self.header,
            payload: self.payload,
            key: key.clone(),
        })
    }

    /// Verifies the signature with the key of a set that the header names by `kid`, or any of the algorithm if it
    /// names none.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify_with_set(self, set: &JwkSet) -> Result<Verified, VerifyError> {
        let (algorithm, kid) = (self.header.algorithm, self.header.kid.clone());
        let mut error = VerifyError::NoKey;
        for key in set.candidates(algorithm, kid.as_deref()) {
            if key.verify(self.signed.as_bytes(), &self.signature) {
                let key = key.clone();
                return Ok(Verified {
                    header: self.header,
                    payload: self.payload,
                    key,
                });
            }
            error = VerifyError::BadSignature;
        }
        Err(error)
    }
}

/// A JWS whose signature verified. Only [`Jws::verify`] and [`Jws::verify_with_set`] make one.
#[derive(Debug, Clone)]
pub struct Verified {
    header: Header,
    payload: Vec<u8>,
    key: Jwk,
}

impl Verified {
    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The key that verified it.
    #[must_use]
    pub const fn key(&self) -> &Jwk {
        &self.key
    }

    /// What was signed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}
