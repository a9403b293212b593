//! How many attempts are taken, so that guessing does not pay and nobody is locked out by others.
//!
//! Attempts are counted before they are judged, so that many at once gain nothing. A known device has a count of its
//! own that strangers cannot fill; a passkey or a card needs no password and is never held up by attempts at one.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::port::{Item, Kind};
use crate::secret::Digest;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted<'a> {
    /// Attempts at one account's password from one known device.
    Device(&'a Digest),
    /// Attempts at one account's password from one network, unknown devices.
    LoginFromNetwork(&'a str, &'a str),
    /// Attempts at one account's password from unknown devices everywhere.
    Login(&'a str),
    /// Attempts at any password from one network, unknown devices. Many people share a network.
    Network(&'a str),
    /// User codes of the device flow, and tickets, that were tried by one session or network.
    Typed(&'a str),
}

impl Counted<'_> {
    /// Most attempts, and in what time.
    const fn limit(self) -> (u32, Duration) {
        match self {
            Self::Device(_) | Self::LoginFromNetwork(..) | Self::Typed(_) => {
                (10, Duration::minutes(15))
            }
            Self::Login(_) => (50, Duration::hours(1)),
            Self::Network(_) => (300, Duration::hours(1)),
        }
    }

    pub(crate) fn key(self) -> String {
        let (kind, first, second) = match self {
            Self::Device(digest) => ("d", digest.as_str(), ""),
            Self::LoginFromNetwork(login, network) => ("b", login, network),
            Self::Login(login) => ("l", login, ""),
            Self::Network(network) => ("n", network, ""),
            Self::Typed(by) => ("t", by, ""),
        };
        Digest::of(&[kind.as_bytes(), first.as_bytes(), second.as_bytes()])
            .as_str()
            .to_owned()
    }
}

/// No more attempts are taken.
pub(crate) struct Full {
    pub(crate) until: OffsetDateTime,
    /// Whether it is the first attempt of its time that is not taken: only this one is worth an event, or a flood would
    /// hide in somebody's list what else happened, and fill the database.
    pub(crate) is_news: bool,
}

/// Attempts counted in a window of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Throttle {
    key: String,
    since: OffsetDateTime,
    until: OffsetDateTime,
    attempts: u32,
}

impl Throttle {
    pub(crate) fn new(counted: Counted<'_>, now: OffsetDateTime) -> Self {
        Self {
            key: counted.key(),
            since: now,
            until: now + counted.limit().1,
            attempts: 0,
        }
    }

    /// Counts one more, if there is room; otherwise says until when there is none, and whether this is the first one too
    /// many.
    pub(crate) fn take(&mut self, counted: Counted<'_>, now: OffsetDateTime) -> Result<(), Full> {
        if now >= self.until {
            *self = Self::new(counted, now);
        }
        let most = counted.limit().0;
        if self.attempts > most {
            return Err(Full {
                until: self.until,
                is_news: false,
            });
        }
        self.attempts += 1;
        if self.attempts > most {
            return Err(Full {
                until: self.until,
                is_news: true,
            });
        }
        Ok(())
    }
}

impl Item for Throttle {
    type Kind = Kind;

    const KIND: Kind = Kind::Throttle;

    fn key(&self) -> String {
        self.key.clone()
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.until)
    }
}
