//! Sessions: who is signed in, with what, and how high that reaches now.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::account::{Account, Tenant};
use crate::level::{Factor, Level, Operation};
use crate::port::{Item, Kind};
use crate::refusal::Refusal;
use crate::secret::{AccountId, CredentialId, Digest, Secret, SessionId};

/// How long a session lasts at most.
pub const SESSION_LASTS: Duration = Duration::hours(12);
/// How long a session lasts unused.
pub const SESSION_IDLES: Duration = Duration::minutes(30);
/// How long a sign-in counts as high; then the key is asked for again.
pub const HIGH_LASTS: Duration = Duration::minutes(15);
/// How exactly it is known when a session was last used: not every request writes.
const USE_STEP: Duration = Duration::minutes(1);

/// One proof of who it is, within a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    /// With what.
    pub factor: Factor,
    /// What it gave.
    pub level: Level,
    /// The key, if it was one.
    pub key: Option<CredentialId>,
    /// When.
    pub at: OffsetDateTime,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its identifier.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// Whom the account is for.
    pub tenant: Tenant,
    /// Of the secret that opens it; a new one with every step up.
    pub(crate) digest: Digest,
    /// The account's epoch in which it was made.
    pub(crate) epoch: u64,
    /// The proofs, the first first.
    pub authentications: Vec<Authentication>,
    /// What the device calls itself.
    pub label: String,
    /// The network it was begun from.
    pub network: String,
    /// When it was begun.
    pub begun_at: OffsetDateTime,
    /// When it was last used, to the minute.
    pub used_at: OffsetDateTime,
}

impl Session {
    /// When it ends if it is not used again.
    #[must_use]
    pub fn ends_at(&self) -> OffsetDateTime {
        (self.begun_at + SESSION_LASTS).min(self.used_at + SESSION_IDLES)
    }

    /// Whether it holds: within its time, and the account open and in the epoch in which it was made.
    #[must_use]
    pub fn holds(&self, account: &Account, now: OffsetDateTime) -> bool {
        account.is_open() && account.epoch == self.epoch && now < self.ends_at()
    }

    /// The proof that counts now: the highest that is fresh enough, of these the latest.
    #[must_use]
    pub fn best(&self, now: OffsetDateTime) -> Option<(&Authentication, Level)> {
        self.best_since(now, self.begun_at)
    }

    /// The proof that counts now among those from a moment on: earlier ones do not lend their level to it.
    #[must_use]
    pub fn best_since(
        &self,
        now: OffsetDateTime,
        since: OffsetDateTime,
    ) -> Option<(&Authentication, Level)> {
        self.authentications
            .iter()
            .filter(|proof| proof.at >= since)
            .map(|proof| {
                let fresh = now < proof.at + HIGH_LASTS;
                let level = if fresh {
                    proof.level
                } else {
                    proof.level.min(Level::Substantial)
                };
                (proof, level)
            })
            .max_by_key(|(proof, level)| (*level, proof.at))
    }

    /// The level now.
    #[must_use]
    pub fn level(&self, now: OffsetDateTime) -> Level {
        self.best(now).map_or(Level::Low, |(_, level)| level)
    }

    /// When somebody last proved to be there (`auth_time`).
    #[must_use]
    pub fn last_proof(&self) -> OffsetDateTime {
        self.authentications
            .iter()
            .map(|proof| proof.at)
            .max()
            .unwrap_or(self.begun_at)
    }

    pub(crate) fn needs_writing(&self, now: OffsetDateTime) -> bool {
        now >= self.used_at + USE_STEP
    }
}

impl Item for Session {
    type Kind = Kind;

    const KIND: Kind = Kind::Session;

    fn key(&self) -> String {
        self.id.0.clone()
    }

    fn owner(&self) -> Option<String> {
        Some(self.account.0.clone())
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.ends_at())
    }
}

/// Somebody who is signed in now. Only [`crate::Provider::session`] makes one.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub(crate) session: Session,
    pub(crate) account: Account,
    pub(crate) level: Level,
    pub(crate) now: OffsetDateTime,
}

impl Authenticated {
    /// The session.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The account, as it was read.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// The level now.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Whether the person may do something now. An account that is bound to nobody changes its own ways in at low:
    /// there is nothing yet that a higher level would protect.
    ///
    /// # Errors
    /// The level is too low, or it waits after a recovery.
    pub fn may(&self, operation: Operation) -> Result<Permitted, Refusal> {
        let unbound = self.account.person.is_none()
            && self.account.proofing != crate::level::Proofing::TakenOver;
        let needed = if unbound && operation == Operation::ChangeRecovery {
            Level::Low
        } else {
            operation.level()
        };
        if self.level < needed {
            return Err(Refusal::LevelTooLow {
                needed,
                has: self.level,
            });
        }
        match self.account.careful_until {
            Some(until) if operation.waits_after_recovery() && self.now < until => {
                Err(Refusal::Careful(until))
            }
            _ => Ok(Permitted {
                operation,
                account: self.account.id.clone(),
            }),
        }
    }
}

/// That a person may do something now. Only [`Authenticated::may`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permitted {
    operation: Operation,
    account: AccountId,
}

impl Permitted {
    /// What.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// Who.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        &self.account
    }
}

/// Somebody just signed in or stepped up.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Opens the session: the value of the session cookie. An older one of the same session no longer does.
    pub session: Secret,
    /// Makes the device known: the value of a long-lived cookie.
    pub device: Secret,
    /// Whose account.
    pub account: AccountId,
    /// The session's identifier.
    pub id: SessionId,
    /// The level of the session now.
    pub level: Level,
    /// Whether the device was not known before.
    pub new_device: bool,
}

/// Where an attempt comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The network: [`network_of`] of the address.
    pub network: String,
    /// The cookie that makes the device known.
    pub device: Option<Secret>,
    /// What the device calls itself, for the person's list.
    pub label: String,
}

/// The network of an address, as far as events and throttling know it: IPv4 /24, IPv6 /48.
#[must_use]
pub fn network_of(address: std::net::IpAddr) -> String {
    match address.to_canonical() {
        std::net::IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        std::net::IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hide_the_last_part_of_an_address() {
        assert_eq!(network_of("192.0.2.77".parse().unwrap()), "192.0.2.0/24");
        assert_eq!(
            network_of("::ffff:192.0.2.77".parse().unwrap()),
            "192.0.2.0/24"
        );
        assert_eq!(
            network_of("2001:db8:1:2::7".parse().unwrap()),
            "2001:db8:1::/48"
        );
    }
}
