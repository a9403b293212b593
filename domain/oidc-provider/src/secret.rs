//! Identifiers, secrets and what is kept of them.
//!
//! A secret is 256 bits, leaves the program once and is kept as its SHA-256. Where a secret is presented, it comes
//! together with the key of the item it opens (`kind.key.secret`), so that a wrong secret for a known key can be told
//! from an unknown one: that is how a token that was used before is recognised.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Longest token in characters: more is refused before it is looked at.
const LONGEST_TOKEN: usize = 160;

/// 32 random bytes, drawn by the caller for one decision. Everything random in the decision follows from them, each
/// value by its own label, so that a decision that is taken anew after a conflict gives the same secrets.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Random bytes from the operating system's generator.
    #[must_use]
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    fn derive(&self, label: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let tag = hmac::sign(&key, label.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// A new identifier of 128 bits.
    pub(crate) fn id(&self, label: &str) -> String {
        URL_SAFE_NO_PAD.encode(&self.derive(label)[..16])
    }

    /// A new secret of 256 bits.
    pub(crate) fn secret(&self, label: &str) -> Secret {
        Secret(URL_SAFE_NO_PAD.encode(self.derive(label)))
    }

    /// A number below a bound, evenly spread to within 2^-50 of any bound in use.
    pub(crate) fn below(&self, label: &str, bound: u64) -> u64 {
        let bytes = self.derive(label);
        let mut low = [0; 16];
        low.copy_from_slice(&bytes[..16]);
        let value = u128::from_be_bytes(low) % u128::from(bound.max(1));
        u64::try_from(value).unwrap_or(0)
    }

    /// A text of an alphabet, as people type it.
    pub(crate) fn text(&self, label: &str, alphabet: &[u8], length: usize) -> String {
        let size = u64::try_from(alphabet.len()).unwrap_or(1);
        (0..length)
            .filter_map(|place| {
                let index = self.below(&format!("{label}/{place}"), size);
                usize::try_from(index)
                    .ok()
                    .and_then(|index| alphabet.get(index))
                    .map(|byte| char::from(*byte))
            })
            .collect()
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A secret text. It is never shown by `Debug` and has no `Display`: whoever needs it says so with [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret that somebody presented.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever it belongs to.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&[self.0.as_bytes()])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// SHA-256 of a secret, in base64url. Comparing takes the same time wherever two differ.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// SHA-256 over parts, each with its length before it.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        if let [part] = parts {
            context.update(part);
        } else {
            for part in parts {
                context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                context.update(part);
            }
        }
        Self(URL_SAFE_NO_PAD.encode(context.finish()))
    }

    /// The digest's 43 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// What a token opens; the first letters of the token, so that a leaked one is recognised by scanners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Session,
    Device,
    Attempt,
    Ceremony,
    RequestUri,
    Interaction,
    Code,
    Access,
    Refresh,
    DeviceCode,
    Crossing,
}

impl TokenKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "tdse",
            Self::Device => "tddv",
            Self::Attempt => "tdat",
            Self::Ceremony => "tdce",
            Self::RequestUri => "tdru",
            Self::Interaction => "tdin",
            Self::Code => "tdco",
            Self::Access => "tdac",
            Self::Refresh => "tdre",
            Self::DeviceCode => "tddc",
            Self::Crossing => "tdcr",
        }
    }

    /// The token that opens the item of a key.
    pub(crate) fn token(self, key: &str, secret: &Secret) -> Secret {
        Secret(format!("{}.{key}.{}", self.prefix(), secret.0))
    }

    /// The key and the digest of the secret in a token; none if it is not of this kind.
    pub(crate) fn open(self, token: &Secret) -> Option<(String, Digest)> {
        if token.0.len() > LONGEST_TOKEN {
            return None;
        }
        let mut parts = token.0.split('.');
        let (prefix, key, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let well_formed = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        if prefix != self.prefix()
            || parts.next().is_some()
            || !well_formed(key)
            || !well_formed(secret)
        {
            return None;
        }
        Some((key.to_owned(), Digest::of(&[secret.as_bytes()])))
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub(crate) String);

        impl $name {
            /// An identifier that somebody names; whether there is such a thing is found out by looking it up.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// Its text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// An account. Random; says nothing about the person and is never shown to a relying party.
    AccountId,
    /// A session. It opens nothing, and relying parties know it by other names ([`crate::Provider::sid`]).
    SessionId,
    /// A relying party.
    ClientId,
    /// What an account allowed a relying party: the family of the tokens that came of it.
    GrantId,
    /// One person's mandate for another.
    MandateId,
    /// A recovery at the desk.
    RecoveryId,
    /// A passkey's credential id, in base64url.
    CredentialId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_only_its_own_kind() {
        let seed = Seed::new([7; 32]);
        let secret = seed.secret("a");
        let token = TokenKind::Session.token("key", &secret);
        let (key, digest) = TokenKind::Session.open(&token).unwrap();
        assert_eq!(key, "key");
        assert_eq!(digest, secret.digest());
        assert!(TokenKind::Refresh.open(&token).is_none());
        for wrong in [
            "",
            "tdse",
            "tdse.key",
            "tdse..x",
            "tdse.key.s.x",
            "tdse.k y.s",
        ] {
            assert!(
                TokenKind::Session.open(&Secret::new(wrong)).is_none(),
                "{wrong}"
            );
        }
        let long = Secret::new(format!("tdse.key.{}", "a".repeat(200)));
        assert!(TokenKind::Session.open(&long).is_none());
    }

    #[test]
    fn labels_tell_secrets_apart_and_secrets_are_not_shown() {
        let seed = Seed::new([7; 32]);
        assert_ne!(seed.secret("a"), seed.secret("b"));
        assert_eq!(seed.secret("a"), Seed::new([7; 32]).secret("a"));
        let shown = format!(
            "{:?} {:?} {:?}",
            seed,
            seed.secret("a"),
            seed.secret("a").digest()
        );
        assert_eq!(shown, "Seed(..) Secret(..) Digest(..)");
    }

    #[test]
    fn lengths_are_part_of_a_digest_over_parts() {
        assert_ne!(Digest::of(&[b"ab", b"c"]), Digest::of(&[b"a", b"bc"]));
    }
}
