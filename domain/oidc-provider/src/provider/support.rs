//! Small items: officers, notices, what is used once.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Decision, Provider};
use crate::account::{Account, Channel};
use crate::port::{self, By, Changes, Item, Kind};
use crate::refusal::Failure;
use crate::secret::{AccountId, Digest, Seed};

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
    /// Keep the register of organisations and of who heads them.
    Organisations,
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
    type Kind = Kind;

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
    /// Another device confirms the person's signatures.
    SigningDevice,
    /// The person's certificates for signatures changed: issued, renewed, revoked, frozen, open again.
    SigningCertificates,
    /// Who heads or represents an organisation changed, and the person is or was one of them.
    Organisation,
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
    type Kind = Kind;

    const KIND: Kind = Kind::Notice;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn owner(&self) -> Option<String> {
        Some(self.account.0.clone())
    }
}

impl Provider {
    /// Writes word to somebody. Whoever delivers it reads [`Provider::notices`].
    pub(super) fn notify(
        &self,
        changes: &mut Changes,
        account: &Account,
        notice: NoticeKind,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<(), Failure> {
        self.tell_signing(changes, account, notice, now, seed)?;
        if account.channels.is_empty() {
            return Ok(());
        }
        changes.insert(&Notice {
            id: seed.id(&format!("notice {notice:?} {}", account.id.as_str())),
            account: account.id.clone(),
            notice,
            channels: account.channels.clone(),
            at: now,
        })?;
        Ok(())
    }

    /// Word that waits to be delivered, up to so many.
    ///
    /// # Errors
    /// The database fails.
    pub fn notices(&self, most: usize) -> Result<Vec<Notice>, Failure> {
        let by = By::KeysAfter("");
        let found = port::list::<Notice>(self.store.as_ref(), by, most)?;
        Ok(found.into_iter().map(|notice| notice.value).collect())
    }

    /// The word was delivered.
    ///
    /// # Errors
    /// The database fails.
    pub fn delivered(&self, notice: &Notice) -> Result<(), Failure> {
        self.decide(|| {
            let mut changes = Changes::default();
            if let Some(found) = self.load::<Notice>(&notice.id)? {
                changes.remove(&found);
            }
            Ok(Decision::yes(changes, ()))
        })
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
    type Kind = Kind;

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
    type Kind = Kind;

    const KIND: Kind = Kind::Subject;

    fn key(&self) -> String {
        Self::key_of(&self.sector, &self.account)
    }

    fn owner(&self) -> Option<String> {
        Some(self.account.0.clone())
    }
}
