//! Signed JSON as OpenID Connect uses it: JWS in the compact form (RFC 7515), public keys as JWK and JWK Set
//! (RFC 7517), their thumbprints (RFC 7638) and the claims of a JWT (RFC 7519).
//!
//! Four verbs are kept apart. *Decode* ([`Jws::decode`]) bounds the text and takes it apart. *Inspect* ([`Jws::header`],
//! [`Jws::unverified_claims`]) tells what is needed to find the key; nothing may be decided on it. *Verify*
//! ([`Jws::verify`]) checks the signature and gives a [`Verified`]. *Validate* ([`Verified::validate`]) checks type,
//! issuer, audience and time and gives a [`ValidClaims`]. Neither type can be made in another way.
//!
//! Which algorithm verifies is decided by the key alone; the header's `alg` must agree with it. So `none`, or a public
//! key taken for the secret of an HMAC, cannot even be asked for (RFC 8725 sections 3.1 and 3.2). Encryption, keys by
//! address (`jku`, `x5u`) and critical extensions are not supported: a text that needs one is refused.

mod claims;
mod encoding;
mod jwk;
mod jws;
mod sign;

pub use claims::{Claims, ClaimsError, Expected, LEEWAY, ValidClaims};
pub use encoding::{from_base64url, same_secret, sha256, sha256_base64url, to_base64url};
pub use jwk::{Algorithm, Jwk, JwkError, JwkSet, MAX_KEYS, MAX_SET_LENGTH};
pub use jws::{DecodeError, Header, Jws, MAX_LENGTH, Verified, VerifyError};
pub use sign::{SigningKey, SigningKeyError};
