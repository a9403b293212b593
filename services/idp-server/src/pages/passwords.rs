//! Passwords: hashed by Argon2id, a bounded number at a time.

use std::sync::{Condvar, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use oidc_provider::{PasswordHash, Secret};

/// Memory of one hash in KiB (OWASP's second choice for Argon2id: 19 MiB, two passes, one lane).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Longest password in bytes: more is refused before it is hashed.
const LONGEST: usize = 1024;
/// Hashes computed at one time, so many times [`MEMORY_KIB`] are taken.
const AT_ONE_TIME: usize = 2;
/// Sign-ins that may wait for their turn.
const MAY_WAIT: usize = 64;

/// Too many wait; the person tries again or uses a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be checked; try again in a moment")]
pub struct Busy;

#[derive(Debug, Default)]
struct Gate {
    running: usize,
    waiting: usize,
}

/// The hasher.
#[derive(Debug, Default)]
pub struct Passwords {
    gate: Mutex<Gate>,
    freed: Condvar,
}

struct Turn<'a>(&'a Passwords);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut gate = self.0.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.running -= 1;
        drop(gate);
        self.0.freed.notify_one();
    }
}

impl Passwords {
    fn turn(&self) -> Result<Turn<'_>, Busy> {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if gate.running >= AT_ONE_TIME {
            if gate.waiting >= MAY_WAIT {
                return Err(Busy);
            }
            gate.waiting += 1;
            while gate.running >= AT_ONE_TIME {
                gate = self
                    .freed
                    .wait(gate)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            gate.waiting -= 1;
        }
        gate.running += 1;
        drop(gate);
        Ok(Turn(self))
    }

    fn derive(&self, password: &str, salt: &[u8]) -> Result<Option<String>, Busy> {
        if password.len() > LONGEST {
            return Ok(None);
        }
        let _turn = self.turn()?;
        let mut out = [0; 32];
        let done = Params::new(MEMORY_KIB, PASSES, LANES, Some(out.len()))
            .map(|params| Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
            .and_then(|argon2| argon2.hash_password_into(password.as_bytes(), salt, &mut out));
        Ok(done.ok().map(|()| {
            format!(
                "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
                STANDARD_NO_PAD.encode(salt),
                STANDARD_NO_PAD.encode(out)
            )
        }))
    }

    /// Hashes a new password with a new salt. None: it is too long.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn hash(&self, password: &str, salt: &[u8; 16]) -> Result<Option<PasswordHash>, Busy> {
        Ok(self.derive(password, salt)?.map(PasswordHash))
    }

    /// Whether a password is the one of a hash. Without a hash it takes as long and is not.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn matches(&self, password: &str, hash: Option<&PasswordHash>) -> Result<bool, Busy> {
        let salt = hash
            .and_then(|hash| hash.0.split('$').nth(4))
            .and_then(|salt| STANDARD_NO_PAD.decode(salt).ok())
            .unwrap_or_else(|| vec![0; 16]);
        let derived = self.derive(password, &salt)?;
        // Digests are compared in constant time.
        Ok(match (derived, hash) {
            (Some(derived), Some(hash)) => {
                Secret::new(derived).digest() == Secret::new(hash.0.as_str()).digest()
            }
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_matches() {
        let passwords = Passwords::default();
        let hash = passwords
            .hash("correct horse battery", &[7; 16])
            .expect("free")
            .expect("short");
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(passwords.matches("correct horse battery", Some(&hash)), Ok(true));
        assert_eq!(passwords.matches("correct horse batterx", Some(&hash)), Ok(false));
        assert_eq!(passwords.matches("correct horse battery", None), Ok(false));
        assert_eq!(passwords.hash(&"x".repeat(1025), &[7; 16]), Ok(None));
    }

    #[test]
    fn more_than_may_wait_are_told_at_once() {
        let passwords = Passwords::default();
        let running: Vec<_> = (0..AT_ONE_TIME).map(|_| passwords.turn()).collect();
        passwords.gate.lock().expect("no panic before").waiting = MAY_WAIT;
        assert_eq!(passwords.matches("x", None), Err(Busy));
        passwords.gate.lock().expect("no panic before").waiting = 0;
        drop(running);
        assert_eq!(passwords.matches("x", None), Ok(false));
    }
}
