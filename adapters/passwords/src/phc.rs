//! Hashes in the PHC string form: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::{MEMORY_KIB, PASSES, parameters};

/// Most memory and passes of a hash that was made elsewhere: more would let a stored text exhaust the server.
const MOST_MEMORY_KIB: u32 = 64 * 1024;
const MOST_PASSES: u32 = 8;
const MOST_LANES: u32 = 4;

/// A hash with what it was made with.
pub(crate) struct Phc {
    params: Params,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Phc {
    /// A new hash.
    pub(crate) fn make(password: &[u8], salt: &[u8], memory: &mut Vec<Block>) -> Option<Self> {
        let params = parameters()?;
        let hash = argon2id(password, salt, &params, 32, memory)?;
        Some(Self {
            params,
            salt: salt.to_vec(),
            hash,
        })
    }

    /// A hash that no password is known to fit, of the same cost as others.
    pub(crate) fn of_nobody() -> Self {
        Self {
            params: parameters().unwrap_or_default(),
            salt: vec![0; 16],
            hash: vec![0; 32],
        }
    }

    /// Reads a hash of at most 256 bytes; none if it is not of this form or dearer than is accepted.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let (costs, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let mut costs = costs.split(',');
        let mut cost = |name: &str, most: u32| -> Option<u32> {
            let digits = costs.next()?.strip_prefix(name)?;
            let value: u32 = digits.parse().ok()?;
            (digits == value.to_string() && (1..=most).contains(&value)).then_some(value)
        };
        let (memory, passes, lanes) = (
            cost("m=", MOST_MEMORY_KIB)?,
            cost("t=", MOST_PASSES)?,
            cost("p=", MOST_LANES)?,
        );
        if costs.next().is_some() {
            return None;
        }
        let salt = STANDARD_NO_PAD.decode(salt).ok()?;
        let hash = STANDARD_NO_PAD.decode(hash).ok()?;
        if !(8..=64).contains(&salt.len()) || !(16..=64).contains(&hash.len()) {
            return None;
        }
        let params = Params::new(memory, passes, lanes, Some(hash.len())).ok()?;
        Some(Self { params, salt, hash })
    }

    /// Whether a new hash has the same costs and lengths.
    pub(crate) fn is_current(&self) -> bool {
        parameters().is_some_and(|current| {
            self.params.m_cost() == current.m_cost()
                && self.params.t_cost() == current.t_cost()
                && self.params.p_cost() == current.p_cost()
        }) && self.salt.len() >= 16
            && self.hash.len() >= 32
    }

    /// Whether a password fits. Takes as long wherever it differs.
    pub(crate) fn fits(&self, password: &[u8], memory: &mut Vec<Block>) -> bool {
        argon2id(password, &self.salt, &self.params, self.hash.len(), memory)
            .is_some_and(|made| verify_slices_are_equal(&made, &self.hash).is_ok())
    }
}

impl fmt::Display for Phc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${}${}",
            STANDARD_NO_PAD.encode(&self.salt),
            STANDARD_NO_PAD.encode(&self.hash)
        )
    }
}

fn argon2id(
    password: &[u8],
    salt: &[u8],
    params: &Params,
    length: usize,
    memory: &mut Vec<Block>,
) -> Option<Vec<u8>> {
    let needed = params.block_count();
    if memory.len() < needed {
        memory.resize(needed, Block::new());
    }
    let mut hash = vec![0; length];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    argon
        .hash_password_into_with_memory(password, salt, &mut hash, memory.get_mut(..needed)?)
        .ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    /// Of the reference implementation's own tests (`test.c` of P-H-C/phc-winner-argon2): version 19, t=2, m=64 MiB, p=1.
    const REFERENCE: &str =
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    #[test]
    fn a_hash_of_the_reference_implementation_is_verified() {
        let mut memory = Vec::new();
        let hash = Phc::parse(REFERENCE).unwrap();
        assert!(hash.fits(b"password", &mut memory));
        assert!(!hash.fits(b"Password", &mut memory));
    }

    #[test]
    fn a_new_hash_is_read_back() {
        let mut memory = Vec::new();
        let made = Phc::make(b"correct horse", &[7; 16], &mut memory).unwrap();
        let text = made.to_string();
        assert!(
            text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{text}"
        );
        let read = Phc::parse(&text).unwrap();
        assert!(read.fits(b"correct horse", &mut memory));
        assert!(!read.fits(b"correct hors", &mut memory));
        assert!(!Phc::of_nobody().fits(b"correct horse", &mut memory));
        for end in 0..text.len() {
            // A cut hash is none, or a shorter one of at least 16 bytes, which the password does not fit.
            if let Some(cut) = Phc::parse(&text[..end]) {
                assert!(!cut.fits(b"correct horse", &mut memory), "{end}");
            }
        }
    }

    #[test]
    fn what_is_dear_or_no_hash_is_refused() {
        let with = |from: &str, to: &str| Phc::parse(&REFERENCE.replace(from, to)).is_none();
        assert!(with("m=65536", "m=65537"));
        assert!(with("m=65536", "m=4294967295"));
        assert!(with("m=65536", "m=065536"));
        assert!(with("t=2", "t=9"));
        assert!(with("t=2", "t=0"));
        assert!(with("p=1", "p=5"));
        assert!(with("p=1", "p=1,x=1"));
        assert!(with("argon2id", "argon2i"));
        assert!(with("v=19", "v=16"));
        assert!(with("c29tZXNhbHQ", "c29"));
        assert!(Phc::parse(&format!("{REFERENCE}$x")).is_none());
    }
}
