//! What the signing service needs of a database.
//!
//! Everything is an item: a value of some kind under a key, with a version. A decision says in [`Changes`] what becomes of
//! which items and what happened; the database makes all of it so or nothing, and only if every item is still at the
//! version that was read. That is why an authorisation is used once, also with several nodes over one database.

use id_registry::PersonalNumber;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

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
        }
    }
}

/// Why a store has no answer. The fault is the server's own, except [`StoreError::Conflict`], after which the decision
/// is taken anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or used.
    #[error("the signing service's database does not answer: {0}")]
    Unavailable(String),
    /// What is stored cannot be read.
    #[error("the signing service's database holds what this program cannot read: {0}")]
    Unreadable(String),
    /// Something that the decision rests on changed.
    #[error("what the decision rests on changed in the meantime; decide again")]
    Conflict,
}

/// An item as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its key.
    pub key: String,
    /// Its version, from 1.
    pub version: u64,
    /// The value as JSON.
    pub body: String,
}

/// What becomes of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Its kind.
    pub kind: Kind,
    /// Its key.
    pub key: String,
    /// The version at which it was read; none: there must be none.
    pub expected: Option<u64>,
    /// What becomes of it; none: it stays, the decision rests on it.
    pub content: Option<Content>,
}

/// A new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Whom it belongs to: items are listed by it.
    pub owner: Option<String>,
    /// When it may be forgotten.
    pub expires: Option<OffsetDateTime>,
    /// The value as JSON.
    pub body: String,
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

/// What a decision changes. Only decisions of this crate make one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    writes: Vec<Write>,
    events: Vec<Event>,
}

impl Changes {
    /// What becomes of which items. Sorted, each item once, so that two nodes take their locks in one order.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// What happened.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    fn write(&mut self, write: Write) {
        let place = self
            .writes
            .binary_search_by(|other| (other.kind, &other.key).cmp(&(write.kind, &write.key)));
        match place {
            // A decision touches an item once, or rests on it and then changes it.
            Ok(place) => {
                if write.content.is_some() {
                    self.writes[place] = write;
                }
            }
            Err(place) => self.writes.insert(place, write),
        }
    }

    fn put<T: Item>(&mut self, value: &T, expected: Option<u64>) -> Result<(), StoreError> {
        let body = serde_json::to_string(value)
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        self.write(Write {
            kind: T::KIND,
            key: value.key(),
            expected,
            content: Some(Content {
                owner: value.owner(),
                expires: value.expires(),
                body,
            }),
        });
        Ok(())
    }

    pub(crate) fn insert<T: Item>(&mut self, value: &T) -> Result<(), StoreError> {
        self.put(value, None)
    }

    pub(crate) fn replace<T: Item>(&mut self, loaded: &Loaded<T>) -> Result<(), StoreError> {
        self.put(&loaded.value, Some(loaded.version))
    }

    pub(crate) fn rests_on<T: Item>(&mut self, loaded: &Loaded<T>) {
        self.write(Write {
            kind: T::KIND,
            key: loaded.value.key(),
            expected: Some(loaded.version),
            content: None,
        });
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// The signing service's database. Everything that returns without an error is durable.
pub trait Store: Send + Sync {
    /// An item; none if there is none.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn load(&self, kind: Kind, key: &str) -> Result<Option<Stored>, StoreError>;

    /// Items of a kind and an owner, in the order of their keys.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn list(&self, kind: Kind, owner: &str, most: usize) -> Result<Vec<Stored>, StoreError>;

    /// Makes the changes, all or none, if every item is as it was read.
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing changed.
    fn commit(&self, changes: &Changes) -> Result<(), StoreError>;

    /// What happened to a person, the latest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn events_of(&self, holder: PersonalNumber, most: usize) -> Result<Vec<Event>, StoreError>;

    /// Forgets up to so many items that expired before a moment. Gives how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn forget(&self, expired_before: OffsetDateTime, most: usize) -> Result<u64, StoreError>;
}

/// A value that is stored as an item.
pub(crate) trait Item: Serialize + DeserializeOwned {
    const KIND: Kind;

    fn key(&self) -> String;

    fn owner(&self) -> Option<String> {
        None
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        None
    }
}

/// A value with the version it was read at.
#[derive(Debug, Clone)]
pub(crate) struct Loaded<T> {
    pub(crate) value: T,
    version: u64,
}

fn read<T: Item>(stored: Stored) -> Result<Loaded<T>, StoreError> {
    let value: T = serde_json::from_str(&stored.body)
        .map_err(|error| StoreError::Unreadable(format!("{:?}: {error}", T::KIND)))?;
    if value.key() != stored.key {
        return Err(StoreError::Unreadable(format!(
            "{:?}: it lies under another key",
            T::KIND
        )));
    }
    Ok(Loaded {
        value,
        version: stored.version,
    })
}

pub(crate) fn load<T: Item>(store: &dyn Store, key: &str) -> Result<Option<Loaded<T>>, StoreError> {
    store.load(T::KIND, key)?.map(read).transpose()
}

pub(crate) fn list<T: Item>(
    store: &dyn Store,
    owner: &str,
    most: usize,
) -> Result<Vec<Loaded<T>>, StoreError> {
    store
        .list(T::KIND, owner, most)?
        .into_iter()
        .map(read)
        .collect()
}
