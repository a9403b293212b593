//! Small items: officers, notices, what is used once.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::account::Channel;
use crate::port::{Item, Kind};
use crate::secret::{AccountId, Digest};

/// What an officer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Duty {
    /// Find out who people are, and recover their accounts.
    Desk,
    /// Approve and stop relying parties.
    Clients,
    /// Read an account's events with a declared ground.
    Investigation,
    /// Appoint and dismiss officers.
    Appointment,
}

/// An officer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Officer {
    /// The officer's own account.
    pub account: AccountId,
    /// The office.
    pub office: String,
    /// What the officer may do.
    pub duties: Vec<Duty>,
}

impl Item for Officer {
    const KIND: Kind = Kind::Officer;

    fn key(&self) -> String {
        self.account.0.clone()
    }
}

/// What somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoticeKind {
    /// Somebody signed in from a device that was not known.
    NewDevice,
    /// A recovery was opened at a desk.
    RecoveryOpened,
    /// The account was recovered; signing and issuing wait for a day.
    Recovered,
    /// The account was frozen.
    Frozen,
    /// A freeze was lifted.
    Unfrozen,
    /// A way in, address or way of recovery was added, removed or changed.
    WaysChanged,
    /// Somebody acts for the person by a mandate.
    Mandate,
    /// Tokens of a relying party were presented again and are no longer accepted.
    TokensStolen,
}

/// Word to somebody, to all addresses that the account had when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its identifier.
    pub id: String,
    /// To whom.
    pub account: AccountId,
    /// What.
    pub notice: NoticeKind,
    /// The addresses.
    pub channels: Vec<Channel>,
    /// When it happened.
    pub at: OffsetDateTime,
}

impl Item for Notice {
    const KIND: Kind = Kind::Notice;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn owner(&self) -> Option<String> {
        Some(self.account.0.clone())
    }
}

/// An identifier that was used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UsedOnce {
    key: String,
    until: OffsetDateTime,
}

impl UsedOnce {
    pub(crate) fn new(space: &str, identifier: &str, until: OffsetDateTime) -> Self {
        let digest = Digest::of(&[space.as_bytes(), identifier.as_bytes()]);
        Self {
            key: digest.as_str().to_owned(),
            until,
        }
    }
}

impl Item for UsedOnce {
    const KIND: Kind = Kind::UsedOnce;

    fn key(&self) -> String {
        self.key.clone()
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.until)
    }
}

/// The subject of an account at a sector, where it is not the computed one: taken over from an earlier provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(crate) sector: String,
    pub(crate) account: AccountId,
    pub(crate) subject: String,
}

impl Subject {
    pub(crate) fn key_of(sector: &str, account: &AccountId) -> String {
        Digest::of(&[sector.as_bytes(), account.as_str().as_bytes()])
            .as_str()
            .to_owned()
    }
}

impl Item for Subject {
    const KIND: Kind = Kind::Subject;

    fn key(&self) -> String {
        Self::key_of(&self.sector, &self.account)
    }

    fn owner(&self) -> Option<String> {
        Some(self.account.0.clone())
    }
}
