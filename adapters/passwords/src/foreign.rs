//! Hashes that other programs made: bcrypt, and PBKDF2 (RFC 8018 5.2) in the PHC string form
//! (`$pbkdf2-sha256$i=600000$salt$hash`). They are verified, never made.

use std::num::NonZeroU32;
use std::str::FromStr as _;

use aws_lc_rs::pbkdf2;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Dearer ones take longer than a wrong answer waits ([`crate::WRONG_AFTER`]).
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=12;
const MOST_SHA256: u32 = 1_000_000;
const MOST_SHA512: u32 = 400_000;
/// The length of every bcrypt hash.
const BCRYPT_LENGTH: usize = 60;

/// A hash of another program, with what it was made with.
pub(crate) enum Foreign {
    Bcrypt(String),
    Pbkdf2 {
        algorithm: pbkdf2::Algorithm,
        iterations: NonZeroU32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
}

impl Foreign {
    /// Reads a hash of at most 256 bytes; none if it is of no known form, or dearer than is accepted.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.strip_prefix('$')?.split_once('$')?;
        let (algorithm, most) = match kind {
            "2a" | "2b" | "2y" => {
                let parts = bcrypt::HashParts::from_str(text).ok()?;
                let fits = text.len() == BCRYPT_LENGTH && BCRYPT_COSTS.contains(&parts.get_cost());
                return fits.then(|| Self::Bcrypt(text.to_owned()));
            }
            "pbkdf2-sha256" => (pbkdf2::PBKDF2_HMAC_SHA256, MOST_SHA256),
            "pbkdf2-sha512" => (pbkdf2::PBKDF2_HMAC_SHA512, MOST_SHA512),
            _ => return None,
        };
        let mut parts = rest.split('$');
        let (costs, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let (iterations, length) = match costs.split_once(",l=") {
            Some((iterations, length)) => (iterations, Some(length)),
            None => (costs, None),
        };
        let iterations: NonZeroU32 = iterations.strip_prefix("i=")?.parse().ok()?;
        let salt = STANDARD_NO_PAD.decode(salt).ok()?;
        let hash = STANDARD_NO_PAD.decode(hash).ok()?;
        let fits = iterations.get() <= most
            && (8..=64).contains(&salt.len())
            && (16..=64).contains(&hash.len())
            && length.is_none_or(|length| length.parse() == Ok(hash.len()));
        fits.then_some(Self::Pbkdf2 {
            algorithm,
            iterations,
            salt,
            hash,
        })
    }

    /// Whether a password fits.
    pub(crate) fn fits(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Pbkdf2 {
                algorithm,
                iterations,
                salt,
                hash,
            } => pbkdf2::verify(*algorithm, *iterations, salt, password, hash).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    /// Of the tests of OpenBSD's bcrypt, as jBCrypt has them.
    const BCRYPT: (&str, &str) = (
        "abcdefghijklmnopqrstuvwxyz",
        "$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC",
    );
    /// By Python's `hashlib.pbkdf2_hmac("sha256", b"password", b"NaClNaCl", 80000)`.
    const PBKDF2: (&str, &str) = (
        "password",
        "$pbkdf2-sha256$i=80000,l=32$TmFDbE5hQ2w$88j31OcHlAv5Uobl97LYpEZv6DhSYcI2XGVwF4ATUsg",
    );

    #[test]
    fn hashes_of_other_programs_are_verified() {
        for (password, hash) in [BCRYPT, PBKDF2] {
            let read = Foreign::parse(hash).unwrap();
            assert!(read.fits(password.as_bytes()), "{hash}");
            assert!(!read.fits(password.to_uppercase().as_bytes()), "{hash}");
            assert!(!read.fits(b""), "{hash}");
            for end in 0..hash.len() {
                // A cut hash is none, or a shorter one that the password does not fit.
                if let Some(cut) = Foreign::parse(&hash[..end]) {
                    assert!(!cut.fits(password.as_bytes()), "{end}");
                }
            }
        }
    }

    #[test]
    fn what_is_dear_or_no_hash_is_refused() {
        let refused = |of: &str, from: &str, to: &str| {
            assert!(of.contains(from));
            assert!(Foreign::parse(&of.replace(from, to)).is_none(), "{to}");
        };
        refused(BCRYPT.1, "$06$", "$13$");
        refused(BCRYPT.1, "$06$", "$03$");
        refused(BCRYPT.1, "$2a$", "$2x$");
        refused(BCRYPT.1, "stC", "stC=");
        refused(PBKDF2.1, "i=80000", "i=1000001");
        refused(PBKDF2.1, "i=80000", "i=0");
        refused(PBKDF2.1, "i=80000", "i=99999999999");
        refused(PBKDF2.1, "l=32", "l=33");
        refused(PBKDF2.1, "sha256", "sha1");
        refused(PBKDF2.1, "TmFDbE5hQ2w", "TmFD");
        assert!(Foreign::parse("$").is_none());
        assert!(Foreign::parse("$2a$06$").is_none());
    }
}
