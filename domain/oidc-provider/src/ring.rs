//! The keys that sign tokens: which one signs, which is published before it does, which are published after it did.
//!
//! A relying party keeps the published set for a while. So a key is published some time before it signs, and one that
//! signed stays published as long as somebody may come with what it signed. A key that somebody else may know is
//! withdrawn at once: the next one, which everybody knows already, signs in its place.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// How long a key is published before it signs, unless an earlier one was withdrawn: relying parties keep the set for
/// minutes, and at most for as long as this.
pub const PUBLISHED_BEFORE: Duration = Duration::hours(1);
/// How long a key stays published after it signed: relying parties come back with its ID tokens to sign out, as long as
/// a session lasts.
pub const PUBLISHED_AFTER: Duration = Duration::days(1);
/// How long the ring remembers a withdrawn key.
const REMEMBERED: Duration = Duration::days(365);

/// What a key is for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyStanding {
    /// Published; signs when it is its turn.
    Next,
    /// Signs.
    Active,
    /// Signed until then; published until nobody comes with what it signed.
    Old,
    /// Somebody else may know it: neither published nor accepted.
    Withdrawn,
}

/// A key of the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingKey {
    /// Its name (`kid`): the thumbprint of the public key.
    pub kid: String,
    /// The public key, a JWK as JSON.
    pub public: String,
    /// What it is for.
    pub standing: KeyStanding,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
}

/// The name of a new key and its public key.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its name (`kid`).
    pub kid: String,
    /// The public key, a JWK as JSON.
    pub public: String,
}

/// Why the ring stays as it is. The fault is of whoever turns it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingRefusal {
    /// The next key is not known everywhere yet.
    #[error(
        "the next key was published less than an hour ago and is not known everywhere yet; wait until {0}"
    )]
    TooSoon(OffsetDateTime),
    /// There is no such key.
    #[error("no key of this name is in use; `tunduk idp-server keys list` names them")]
    Unknown,
    /// The ring has no active or no next key.
    #[error("the ring holds no active and next key; it was changed by hand, restore it")]
    Broken,
}

/// The keys, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    keys: Vec<RingKey>,
}

impl Ring {
    /// A ring of a new issuer: one key signs, the other is the next.
    #[must_use]
    pub fn new(active: NewKey, next: NewKey, now: OffsetDateTime) -> Self {
        let mut ring = Self { keys: Vec::new() };
        ring.add(active, KeyStanding::Active, now);
        ring.add(next, KeyStanding::Next, now);
        ring
    }

    fn add(&mut self, key: NewKey, standing: KeyStanding, since: OffsetDateTime) {
        self.keys.push(RingKey {
            kid: key.kid,
            public: key.public,
            standing,
            since,
        });
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    fn place(&self, standing: KeyStanding) -> Result<usize, RingRefusal> {
        self.keys
            .iter()
            .position(|key| key.standing == standing)
            .ok_or(RingRefusal::Broken)
    }

    /// The key that signs.
    ///
    /// # Errors
    /// [`RingRefusal::Broken`].
    pub fn active(&self) -> Result<&RingKey, RingRefusal> {
        self.keys
            .get(self.place(KeyStanding::Active)?)
            .ok_or(RingRefusal::Broken)
    }

    /// The keys that are published beside the active one: the next, and those that signed until lately.
    pub fn published(&self, now: OffsetDateTime) -> impl Iterator<Item = &RingKey> {
        self.keys.iter().filter(move |key| match key.standing {
            KeyStanding::Next => true,
            KeyStanding::Old => now < key.since + PUBLISHED_AFTER,
            KeyStanding::Active | KeyStanding::Withdrawn => false,
        })
    }

    fn turn(
        &mut self,
        becomes: KeyStanding,
        next: NewKey,
        now: OffsetDateTime,
    ) -> Result<(), RingRefusal> {
        let (active, coming) = (
            self.place(KeyStanding::Active)?,
            self.place(KeyStanding::Next)?,
        );
        for (place, standing) in [(active, becomes), (coming, KeyStanding::Active)] {
            if let Some(key) = self.keys.get_mut(place) {
                key.standing = standing;
                key.since = now;
            }
        }
        self.add(next, KeyStanding::Next, now);
        self.keys.retain(|key| match key.standing {
            KeyStanding::Old => now < key.since + PUBLISHED_AFTER,
            KeyStanding::Withdrawn => now < key.since + REMEMBERED,
            KeyStanding::Next | KeyStanding::Active => true,
        });
        Ok(())
    }

    /// The next key signs from now on, the one that did stays published for a day, and a new one is the next.
    ///
    /// # Errors
    /// [`RingRefusal::TooSoon`], [`RingRefusal::Broken`].
    pub fn rotate(&mut self, next: NewKey, now: OffsetDateTime) -> Result<(), RingRefusal> {
        let coming = self.place(KeyStanding::Next)?;
        if let Some(key) = self.keys.get(coming)
            && now < key.since + PUBLISHED_BEFORE
        {
            return Err(RingRefusal::TooSoon(key.since + PUBLISHED_BEFORE));
        }
        self.turn(KeyStanding::Old, next, now)
    }

    /// Takes a key out that somebody else may know. If it signed, the next one signs from now on.
    ///
    /// # Errors
    /// [`RingRefusal::Unknown`], [`RingRefusal::Broken`].
    pub fn withdraw(
        &mut self,
        kid: &str,
        replacement: NewKey,
        now: OffsetDateTime,
    ) -> Result<(), RingRefusal> {
        let found = self
            .keys
            .iter_mut()
            .find(|key| key.kid == kid && key.standing != KeyStanding::Withdrawn)
            .ok_or(RingRefusal::Unknown)?;
        match found.standing {
            KeyStanding::Active => self.turn(KeyStanding::Withdrawn, replacement, now),
            KeyStanding::Next => {
                found.standing = KeyStanding::Withdrawn;
                found.since = now;
                self.add(replacement, KeyStanding::Next, now);
                Ok(())
            }
            KeyStanding::Old | KeyStanding::Withdrawn => {
                found.standing = KeyStanding::Withdrawn;
                found.since = now;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> NewKey {
        NewKey {
            kid: name.to_owned(),
            public: format!("{{\"kid\":\"{name}\"}}"),
        }
    }

    fn at(hours: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000 + hours * 3600).unwrap()
    }

    fn published(ring: &Ring, now: OffsetDateTime) -> Vec<&str> {
        ring.published(now).map(|key| key.kid.as_str()).collect()
    }

    #[test]
    fn a_key_is_known_before_it_signs_and_after_it_signed() {
        let mut ring = Ring::new(key("a"), key("b"), at(0));
        assert_eq!(ring.active().unwrap().kid, "a");
        assert_eq!(published(&ring, at(0)), ["b"]);
        assert_eq!(
            ring.rotate(key("c"), at(0)),
            Err(RingRefusal::TooSoon(at(1)))
        );
        ring.rotate(key("c"), at(1)).unwrap();
        assert_eq!(ring.active().unwrap().kid, "b");
        assert_eq!(published(&ring, at(1)), ["a", "c"]);
        assert_eq!(published(&ring, at(26)), ["c"], "a day later nobody comes");
        ring.rotate(key("d"), at(30)).unwrap();
        let names: Vec<&str> = ring.keys().iter().map(|key| key.kid.as_str()).collect();
        assert_eq!(names, ["b", "c", "d"], "what is over is forgotten");
    }

    #[test]
    fn a_leaked_key_is_gone_at_once_and_the_known_next_one_signs() {
        let mut ring = Ring::new(key("a"), key("b"), at(0));
        ring.withdraw("a", key("c"), at(0)).unwrap();
        assert_eq!(ring.active().unwrap().kid, "b");
        assert_eq!(published(&ring, at(0)), ["c"]);
        assert_eq!(
            ring.withdraw("a", key("x"), at(0)),
            Err(RingRefusal::Unknown),
            "once"
        );
        // The next one leaks too, before it ever signed.
        ring.withdraw("c", key("d"), at(0)).unwrap();
        assert_eq!(ring.active().unwrap().kid, "b");
        assert_eq!(published(&ring, at(0)), ["d"]);
        // And one that signed until lately.
        ring.rotate(key("e"), at(2)).unwrap();
        assert_eq!(published(&ring, at(2)), ["b", "e"]);
        ring.withdraw("b", key("unused"), at(2)).unwrap();
        assert_eq!(published(&ring, at(2)), ["e"]);
        assert!(!ring.keys().iter().any(|key| key.kid == "unused"));
    }

    #[test]
    fn a_ring_is_kept_as_json() {
        let ring = Ring::new(key("a"), key("b"), at(0));
        let text = serde_json::to_string(&ring).unwrap();
        assert_eq!(serde_json::from_str::<Ring>(&text).unwrap(), ring);
        let broken: Ring = serde_json::from_str("{\"keys\":[]}").unwrap();
        assert_eq!(broken.active(), Err(RingRefusal::Broken));
    }
}
