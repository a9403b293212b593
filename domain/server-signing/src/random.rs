//! What is random in a decision: all of it follows from 32 bytes that the caller drew.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// 32 random bytes for one decision. A decision that is taken anew after a conflict gives the same values.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Bytes from the operating system's generator.
    #[must_use]
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    fn derive(&self, label: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&key, label.as_bytes()).as_ref());
        bytes
    }

    /// An identifier of 128 bits: 22 characters.
    #[must_use]
    pub fn id(&self, label: &str) -> String {
        URL_SAFE_NO_PAD.encode(&self.derive(label)[..16])
    }

    /// A code that people type: so many of [`CODE_LETTERS`], 5 bits each.
    pub(crate) fn code(&self, label: &str, length: usize) -> String {
        self.derive(label)
            .iter()
            .take(length)
            .map(|byte| char::from(CODE_LETTERS[usize::from(byte % 32)]))
            .collect()
    }

    /// A secret of 256 bits: 43 characters.
    pub(crate) fn secret(&self, label: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.derive(label))
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// Letters and digits that are not taken for one another.
const CODE_LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

const SAD_PREFIX: &str = "tdsa";

/// Signature activation data: opens one authorisation, once. It is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sad(String);

impl Sad {
    pub(crate) fn new(authorisation: &str, secret: &str) -> Self {
        Self(format!("{SAD_PREFIX}.{authorisation}.{secret}"))
    }

    /// What somebody presented.
    #[must_use]
    pub fn presented(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the client that it belongs to.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Which authorisation it opens and the digest of its secret, if it is one at all.
    pub(crate) fn open(&self) -> Option<(&str, SadDigest)> {
        let mut parts = self.0.split('.');
        let (prefix, authorisation, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let whole = prefix == SAD_PREFIX
            && parts.next().is_none()
            && authorisation.len() == 22
            && secret.len() == 43;
        whole.then(|| (authorisation, SadDigest::of(secret)))
    }
}

impl fmt::Debug for Sad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sad(..)")
    }
}

/// SHA-256 of a secret, all that is kept of it. Comparing takes the same time wherever two differ.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SadDigest(String);

impl SadDigest {
    pub(crate) fn of(secret: &str) -> Self {
        Self(hex::encode(digest::digest(
            &digest::SHA256,
            secret.as_bytes(),
        )))
    }
}

impl PartialEq for SadDigest {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

impl fmt::Debug for SadDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SadDigest(..)")
    }
}
