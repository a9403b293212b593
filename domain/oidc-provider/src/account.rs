//! Accounts: who they belong to, the ways in, and what state they are in.

use std::fmt;

use id_registry::PersonalNumber;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::level::{Factor, Level, Proofing, Recovery, level_of};
use crate::port::{Item, Kind};
use crate::refusal::Refusal;
use crate::secret::{AccountId, CredentialId, Digest};

/// Most keys of one account.
pub const MOST_CREDENTIALS: usize = 20;
/// Most addresses of one account.
pub const MOST_CHANNELS: usize = 5;
/// Most known devices of one account; the one unused for longest gives way.
pub const MOST_DEVICES: usize = 20;
/// Codes on one printed list.
pub const PRINTED_CODES: usize = 10;
/// Longest label, address or stored key, in bytes.
const LONGEST_LABEL: usize = 100;
const LONGEST_KEY: usize = 4096;
/// How long signing and issuing wait after a recovery.
pub const CARE_AFTER_RECOVERY: Duration = Duration::hours(24);

/// Whom an account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Tenant {
    /// People, and relying parties that were approved.
    People,
    /// Test people, and relying parties that are being built. Nothing crosses over.
    Sandbox,
}

/// A passkey or security key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passkey {
    /// Its credential id.
    pub id: CredentialId,
    /// The public key and what else verifies assertions, in the form of the verifier that made it.
    pub key: String,
    /// What its holder calls it.
    pub label: String,
    /// Whether its maker copies it between devices (backup eligible).
    pub synced: bool,
    /// The signature counter of the last assertion; 0 for keys that do not count.
    pub counter: u32,
    /// The level of the session or desk at which it was added: signing in with it never exceeds that.
    pub added_at_level: Level,
    /// When it was added.
    pub added_at: OffsetDateTime,
    /// When it was last used.
    pub used_at: Option<OffsetDateTime>,
}

impl Passkey {
    /// What signing in with it is.
    #[must_use]
    pub const fn factor(&self) -> Factor {
        if self.synced {
            Factor::SyncedPasskey
        } else {
            Factor::BoundPasskey
        }
    }
}

/// A new key, after the verifier checked its registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPasskey {
    /// Its credential id.
    pub id: CredentialId,
    /// The public key, in the form of the verifier that made it. At most 4 KiB.
    pub key: String,
    /// What its holder calls it. At most 100 bytes.
    pub label: String,
    /// Whether its maker copies it between devices (backup eligible).
    pub synced: bool,
    /// The signature counter at registration.
    pub counter: u32,
}

impl NewPasskey {
    pub(crate) fn added(self, level: Level, at: OffsetDateTime) -> Result<Passkey, Refusal> {
        if self.id.as_str().is_empty()
            || self.id.as_str().len() > 1400
            || self.key.is_empty()
            || self.key.len() > LONGEST_KEY
            || self.label.len() > LONGEST_LABEL
        {
            return Err(Refusal::TooLong);
        }
        Ok(Passkey {
            id: self.id,
            key: self.key,
            label: self.label,
            synced: self.synced,
            counter: self.counter,
            added_at_level: level,
            added_at: at,
            used_at: None,
        })
    }
}

/// A password's hash in the PHC form, by the hasher of the service. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// How an address is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChannelKind {
    /// E-mail.
    Email,
    /// Text message.
    Phone,
}

/// An address for notices and codes, confirmed by its holder.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// How it is reached.
    pub kind: ChannelKind,
    /// The address.
    pub address: String,
    /// When its holder confirmed it.
    pub confirmed_at: OffsetDateTime,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address is personal.
        f.debug_struct("Channel")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A device from which somebody signed in before; it holds a cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Of the cookie's secret.
    pub digest: Digest,
    /// What it calls itself.
    pub label: String,
    /// When it was first seen.
    pub first_seen: OffsetDateTime,
    /// When it was last seen.
    pub last_seen: OffsetDateTime,
}

/// Over which way a freeze came or is lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// The person's own browser or phone, signed in.
    Browser,
    /// A call; an officer asked who it is.
    Call,
    /// A counter; an officer compared the person.
    Counter,
}

/// What state an account is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Standing {
    /// In use.
    Open,
    /// Frozen: nobody signs in, no token is issued or accepted.
    Frozen {
        /// Since when.
        at: OffsetDateTime,
        /// Over which way.
        way: Way,
    },
}

/// An account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its identifier.
    pub id: AccountId,
    /// Whom it is for.
    pub tenant: Tenant,
    /// The number of the person it belongs to; none before proofing.
    pub person: Option<PersonalNumber>,
    /// How it was found out who that is.
    pub proofing: Proofing,
    /// When that was.
    pub proofed_at: Option<OffsetDateTime>,
    /// How its holder gets back in.
    pub recovery: Recovery,
    /// The keys.
    pub passkeys: Vec<Passkey>,
    /// The password.
    pub password: Option<PasswordHash>,
    /// Codes of the printed list that were not used.
    pub printed_codes: Vec<Digest>,
    /// Whether the card certificate is a way in.
    pub card: bool,
    /// Addresses.
    pub channels: Vec<Channel>,
    /// Devices that are known.
    pub devices: Vec<Device>,
    /// What state it is in.
    pub standing: Standing,
    /// Grows with everything that ends all sessions and tokens at once. They hold the one they were made in.
    pub epoch: u64,
    /// Until then signing and issuing wait.
    pub careful_until: Option<OffsetDateTime>,
    /// When it was opened.
    pub opened_at: OffsetDateTime,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Number and addresses are personal.
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("proofing", &self.proofing)
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}

impl Account {
    pub(crate) const fn open(id: AccountId, tenant: Tenant, at: OffsetDateTime) -> Self {
        Self {
            id,
            tenant,
            person: None,
            proofing: Proofing::None,
            proofed_at: None,
            recovery: Recovery::SentCode,
            passkeys: Vec::new(),
            password: None,
            printed_codes: Vec::new(),
            card: false,
            channels: Vec::new(),
            devices: Vec::new(),
            standing: Standing::Open,
            epoch: 1,
            careful_until: None,
            opened_at: at,
        }
    }

    /// Whether it is in use; otherwise nobody signs in and no token is accepted.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.standing, Standing::Open)
    }

    /// Whether it has any way in.
    #[must_use]
    pub fn has_a_way_in(&self) -> bool {
        self.card || !self.passkeys.is_empty() || self.password.is_some()
    }

    /// Whether a person who was compared gets a first key. What lets somebody in at an earlier provider's account does not
    /// count: whoever has it was never compared.
    #[must_use]
    pub fn needs_first_key(&self) -> bool {
        !self.has_a_way_in() || self.proofing == Proofing::TakenOver
    }

    /// The level that a factor gives on this account.
    #[must_use]
    pub fn level(&self, factor: Factor) -> Level {
        level_of(self.proofing, factor, self.recovery)
    }

    /// The level that a key gives on this account: never above that at which it was added.
    #[must_use]
    pub fn level_of_key(&self, key: &Passkey) -> Level {
        self.level(key.factor()).min(key.added_at_level)
    }

    /// The highest level that its holder can reach now.
    #[must_use]
    pub fn reachable(&self) -> Level {
        let keys = self.passkeys.iter().map(|key| self.level_of_key(key));
        let card = self.card.then(|| self.level(Factor::Card));
        keys.chain(card).max().unwrap_or(Level::Low)
    }

    /// Whether signing and issuing wait, after a recovery.
    #[must_use]
    pub fn is_careful(&self, now: OffsetDateTime) -> bool {
        self.careful_until.is_some_and(|until| now < until)
    }

    /// The key of a credential id.
    #[must_use]
    pub fn passkey(&self, id: &CredentialId) -> Option<&Passkey> {
        self.passkeys.iter().find(|key| key.id == *id)
    }

    pub(crate) fn bind(&mut self, person: PersonalNumber, proofing: Proofing, at: OffsetDateTime) {
        self.person = Some(person);
        self.proofing = proofing;
        self.proofed_at = Some(at);
        self.recovery = Recovery::Desk;
    }

    /// As [`Account::bind`], for a person who did not come in by the account's own ways: those of an earlier provider end,
    /// because whoever knows its password need not be the person. Its addresses hear of it.
    pub(crate) fn found_out(
        &mut self,
        person: PersonalNumber,
        proofing: Proofing,
        at: OffsetDateTime,
    ) {
        if self.proofing == Proofing::TakenOver {
            self.password = None;
            self.devices.clear();
            self.end_everything();
        }
        self.bind(person, proofing, at);
    }

    pub(crate) fn add_key(&mut self, key: Passkey) -> Result<(), Refusal> {
        if self.passkeys.len() >= MOST_CREDENTIALS {
            return Err(Refusal::TooMany("keys"));
        }
        if self.passkey(&key.id).is_some() {
            return Err(Refusal::KeyInUse);
        }
        self.passkeys.push(key);
        Ok(())
    }

    /// Ends all sessions and tokens.
    pub(crate) const fn end_everything(&mut self) {
        self.epoch += 1;
    }

    pub(crate) const fn freeze(&mut self, way: Way, at: OffsetDateTime) {
        self.standing = Standing::Frozen { at, way };
        self.end_everything();
    }

    /// Nothing that let somebody in before does so now.
    fn end_ways_in(&mut self) {
        self.passkeys.clear();
        self.password = None;
        self.printed_codes.clear();
        self.card = false;
        self.devices.clear();
    }

    /// Ends every way in, and freezes: nobody lifts that but two officers at a counter, and then the person gets back in
    /// as after a loss.
    pub(crate) fn close(&mut self, at: OffsetDateTime) {
        self.end_ways_in();
        self.freeze(Way::Counter, at);
    }

    pub(crate) fn is_closed(&self) -> bool {
        !self.is_open() && !self.has_a_way_in()
    }

    /// Lifts a freeze over another way, or over the same counter if two officers do.
    pub(crate) fn unfreeze(&mut self, over: Way, officers: usize) -> Result<(), Refusal> {
        let Standing::Frozen { way, .. } = self.standing else {
            return Err(Refusal::NotFrozen);
        };
        let lifts = match over {
            // A call proves too little to open what somebody closed.
            Way::Call => false,
            Way::Browser => way != Way::Browser,
            Way::Counter => way != Way::Counter || officers >= 2,
        };
        if !lifts {
            return Err(Refusal::SameWay);
        }
        self.standing = Standing::Open;
        self.end_everything();
        Ok(())
    }

    pub(crate) fn known_device(&self, digest: &Digest) -> bool {
        self.devices.iter().any(|device| device.digest == *digest)
    }

    pub(crate) fn see_device(&mut self, digest: Digest, label: &str, at: OffsetDateTime) {
        if let Some(device) = self.devices.iter_mut().find(|known| known.digest == digest) {
            device.last_seen = at;
            return;
        }
        if self.devices.len() >= MOST_DEVICES
            && let Some(oldest) = (0..self.devices.len())
                .min_by_key(|index| self.devices.get(*index).map(|device| device.last_seen))
        {
            self.devices.remove(oldest);
        }
        self.devices.push(Device {
            digest,
            label: bounded(label),
            first_seen: at,
            last_seen: at,
        });
    }

    /// After a recovery the new key is the only way in.
    pub(crate) fn recover(&mut self, key: Passkey, at: OffsetDateTime) {
        self.end_ways_in();
        self.passkeys.push(key);
        self.standing = Standing::Open;
        self.careful_until = Some(at + CARE_AFTER_RECOVERY);
        self.end_everything();
    }
}

/// A label cut to its longest, at a character's border.
pub(crate) fn bounded(label: &str) -> String {
    let mut end = label.len().min(LONGEST_LABEL);
    while !label.is_char_boundary(end) {
        end -= 1;
    }
    label.get(..end).unwrap_or_default().to_owned()
}

impl Item for Account {
    type Kind = Kind;

    const KIND: Kind = Kind::Account;

    fn key(&self) -> String {
        self.id.0.clone()
    }
}

/// What somebody types to say which account is meant.
#[derive(Clone, PartialEq, Eq)]
pub enum LoginName {
    /// The personal number.
    Number(PersonalNumber, Tenant),
    /// An e-mail address, in lower case.
    Email(String, Tenant),
}

impl LoginName {
    pub(crate) fn key(&self) -> String {
        let (kind, text, tenant) = match self {
            Self::Number(number, tenant) => ("n", number.as_str(), tenant),
            Self::Email(address, tenant) => ("e", address.as_str(), tenant),
        };
        let tenant = match tenant {
            Tenant::People => "p",
            Tenant::Sandbox => "s",
        };
        // Not the number itself: keys appear in messages of databases.
        format!(
            "{tenant}{kind}{}",
            Digest::of(&[text.to_lowercase().as_bytes()]).as_str()
        )
    }

    pub(crate) fn of_key(id: &CredentialId) -> String {
        format!("k{}", Digest::of(&[id.as_str().as_bytes()]).as_str())
    }
}

impl fmt::Debug for LoginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number(..) => "LoginName::Number(..)",
            Self::Email(..) => "LoginName::Email(..)",
        })
    }
}

/// Which account a number, address or key leads to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) key: String,
    pub(crate) account: AccountId,
}

impl Item for Login {
    type Kind = Kind;

    const KIND: Kind = Kind::Login;

    fn key(&self) -> String {
        self.key.clone()
    }

    fn owner(&self) -> Option<String> {
        Some(self.account.0.clone())
    }
}
