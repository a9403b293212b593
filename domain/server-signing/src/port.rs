//! What the signing service needs of a database: items with versions and events, see the crate `items`.

use id_registry::PersonalNumber;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use items::{By, Content, EventPlace, StoreError, Stored, page_of_events};
pub(crate) use items::{Item, Loaded, list, load};

/// Kinds of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A person.
    Holder,
    /// A key with its certificate.
    Credential,
    /// A statement and what became of it.
    Authorisation,
    /// An officer.
    Officer,
    /// Something that was taken and is not taken again: a client's assertion.
    UsedOnce,
    /// An officer's preparation of somebody's enrolment or recovery, opened by a code on the person's device.
    Invitation,
    /// A passkey, by its id: whose it is.
    Passkey,
}

impl Kind {
    /// Its number in the database; never changed.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::Holder => 1,
            Self::Credential => 2,
            Self::Authorisation => 3,
            Self::Officer => 4,
            Self::UsedOnce => 5,
            Self::Invitation => 6,
            Self::Passkey => 7,
        }
    }
}

impl items::Kind for Kind {
    fn number(self) -> i16 {
        self.number()
    }
}

/// Something that happened, for the person and for whoever looks into it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Whom it concerns.
    pub holder: PersonalNumber,
    /// What happened.
    pub what: What,
    /// Which client asked for it.
    pub client: String,
    /// The credential, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The authorisation, if it came of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorisation: Option<String>,
    /// What was signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<crate::statement::Document>,
    /// The desk, with the proof on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk: Option<crate::statement::Desk>,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "each is what it is called")]
pub enum What {
    Enrolled,
    Confirmed,
    Signed,
    Denied,
    Frozen,
    FreezeLifted,
    Recovered,
    AuthenticatorsReplaced,
    Renewed,
    Revoked,
}

impl What {
    /// All.
    pub const ALL: [Self; 10] = [
        Self::Enrolled,
        Self::Confirmed,
        Self::Signed,
        Self::Denied,
        Self::Frozen,
        Self::FreezeLifted,
        Self::Recovered,
        Self::AuthenticatorsReplaced,
        Self::Renewed,
        Self::Revoked,
    ];

    /// Its name in what is published (docs/events.md).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enrolled => "signing.enrolled",
            Self::Confirmed => "signing.confirmed",
            Self::Signed => "signing.signed",
            Self::Denied => "signing.denied",
            Self::Frozen => "signing.frozen",
            Self::FreezeLifted => "signing.freeze_lifted",
            Self::Recovered => "signing.recovered",
            Self::AuthenticatorsReplaced => "signing.authenticators_replaced",
            Self::Renewed => "signing.renewed",
            Self::Revoked => "signing.revoked",
        }
    }
}

/// An event as monitoring gets it, in the schema of docs/events.md: without the person's number, and without what was
/// signed and which proof is on record, for people typed those.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The name of what happened.
    pub event: &'static str,
    /// What stands for the person.
    pub account: String,
    /// The officers, at a desk: one, or two with a space between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Who asked.
    pub client: String,
    /// The credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The authorisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorisation: Option<String>,
    /// How many documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<usize>,
}

impl Event {
    /// As it is published, with what stands for a person.
    pub(crate) fn published(self, sign_of: impl Fn(PersonalNumber) -> String) -> Published {
        Published {
            at: self.at,
            event: self.what.name(),
            account: sign_of(self.holder),
            actor: self.desk.map(|desk| desk.officers.join(" ")),
            client: self.client,
            credential: self.credential,
            authorisation: self.authorisation,
            documents: Some(self.documents.len()).filter(|count| *count > 0),
        }
    }
}

impl items::Event for Event {
    fn at(&self) -> OffsetDateTime {
        self.at
    }

    fn people(&self) -> [Option<&str>; 2] {
        [Some(self.holder.as_str()), None]
    }
}

/// What becomes of one item.
pub type Write = items::Write<Kind>;

/// What a decision changes.
pub type Changes = items::Changes<Kind, Event>;

/// The signing service's database.
pub trait Store: items::Store<Kind = Kind, Event = Event> {}

impl<S: items::Store<Kind = Kind, Event = Event> + ?Sized> Store for S {}
