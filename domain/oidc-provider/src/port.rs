//! What the identity provider needs of a database, and of the population register.
//!
//! Everything is an [`Item`]: a value of some kind under a key, with a version. A decision reads items and says in
//! [`Changes`] what becomes of them and which events happened; the database makes all of it so or nothing, and only if
//! every item is still at the version that was read. So a code is redeemed once and a session ended once, also with
//! many servers over one database, and a database needs to know nothing about codes and sessions.

use serde::Serialize;
use serde::de::DeserializeOwned;
use time::{Date, OffsetDateTime};

use id_registry::{PersonalNumber, Theme};

use crate::event::{Event, EventPlace};
use crate::secret::AccountId;

/// Kinds of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the type of that name")]
pub enum Kind {
    Account,
    Login,
    Session,
    Client,
    Request,
    Grant,
    Crossing,
    Attempt,
    Ceremony,
    Consent,
    Mandate,
    Ticket,
    Recovery,
    Officer,
    Throttle,
    Notice,
    Logout,
    Subject,
    UsedOnce,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 19] = [
        Self::Account,
        Self::Login,
        Self::Session,
        Self::Client,
        Self::Request,
        Self::Grant,
        Self::Crossing,
        Self::Attempt,
        Self::Ceremony,
        Self::Consent,
        Self::Mandate,
        Self::Ticket,
        Self::Recovery,
        Self::Officer,
        Self::Throttle,
        Self::Notice,
        Self::Logout,
        Self::Subject,
        Self::UsedOnce,
    ];

    /// Its number in the database; never changed.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::Account => 1,
            Self::Login => 2,
            Self::Session => 3,
            Self::Client => 4,
            Self::Request => 5,
            Self::Grant => 6,
            Self::Crossing => 8,
            Self::Attempt => 9,
            Self::Ceremony => 10,
            Self::Consent => 11,
            Self::Mandate => 12,
            Self::Ticket => 13,
            Self::Recovery => 14,
            Self::Officer => 15,
            Self::Throttle => 16,
            Self::Notice => 17,
            Self::Logout => 18,
            Self::Subject => 19,
            Self::UsedOnce => 20,
        }
    }
}

/// Why a store has no answer. The fault is the server's own, except [`StoreError::Conflict`], after which the decision
/// is taken anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or used.
    #[error("the identity provider's database does not answer: {0}")]
    Unavailable(String),
    /// What is stored cannot be read.
    #[error("the identity provider's database holds what this program cannot read: {0}")]
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

/// A value that is stored as an item.
pub(crate) trait Item: Serialize + DeserializeOwned {
    const KIND: Kind;

    fn key(&self) -> String;

    /// The account, mostly, that it belongs to: items are listed by it.
    fn owner(&self) -> Option<String> {
        None
    }

    /// The client, mostly, that it has to do with: items are listed by it.
    fn other(&self) -> Option<String> {
        None
    }

    /// After this moment nobody reads it and it may be forgotten.
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

/// By what items are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By<'a> {
    /// The owner.
    Owner(&'a str),
    /// The other party.
    Other(&'a str),
    /// Nothing: all of the kind, in the order of their keys, after a key (empty: from the first).
    KeysAfter(&'a str),
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
    /// What becomes of it.
    pub content: Content,
}

/// What becomes of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// It is this from now on; its version grows by one.
    Put {
        /// Its owner.
        owner: Option<String>,
        /// The other party.
        other: Option<String>,
        /// When it may be forgotten.
        expires: Option<OffsetDateTime>,
        /// The value as JSON.
        body: String,
    },
    /// It is gone.
    Gone,
    /// It stays as it is; the decision rests on it.
    Same,
}

/// What a decision changes. Only decisions of this crate make one; a store makes all of it so or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    writes: Vec<Write>,
    events: Vec<Event>,
}

impl Changes {
    /// What becomes of which items. Sorted, each item at most once, so that two servers take their locks in one order.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// What happened.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty()
    }

    fn write(&mut self, kind: Kind, key: String, expected: Option<u64>, content: Content) {
        let place = self
            .writes
            .binary_search_by(|write| (write.kind, &write.key).cmp(&(kind, &key)));
        match place {
            // The later word counts; the version read first is the one that must still hold.
            Ok(place) => {
                if content != Content::Same
                    && let Some(write) = self.writes.get_mut(place)
                {
                    write.content = content;
                }
            }
            Err(place) => self.writes.insert(
                place,
                Write {
                    kind,
                    key,
                    expected,
                    content,
                },
            ),
        }
    }

    fn put<T: Item>(&mut self, value: &T, expected: Option<u64>) -> Result<(), StoreError> {
        let body = serde_json::to_string(value)
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let content = Content::Put {
            owner: value.owner(),
            other: value.other(),
            expires: value.expires(),
            body,
        };
        self.write(T::KIND, value.key(), expected, content);
        Ok(())
    }

    /// A new item.
    pub(crate) fn insert<T: Item>(&mut self, value: &T) -> Result<(), StoreError> {
        self.put(value, None)
    }

    /// An item that was read becomes another.
    pub(crate) fn replace<T: Item>(&mut self, loaded: &Loaded<T>) -> Result<(), StoreError> {
        self.put(&loaded.value, Some(loaded.version))
    }

    /// An item that was read is gone.
    pub(crate) fn remove<T: Item>(&mut self, loaded: &Loaded<T>) {
        let key = loaded.value.key();
        self.write(T::KIND, key, Some(loaded.version), Content::Gone);
    }

    /// The decision rests on an item as it was read.
    pub(crate) fn rests_on<T: Item>(&mut self, loaded: &Loaded<T>) {
        let key = loaded.value.key();
        self.write(T::KIND, key, Some(loaded.version), Content::Same);
    }

    /// Something happened.
    pub(crate) fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// The identity provider's database. Everything that returns without an error is durable.
pub trait Store: Send + Sync {
    /// An item; none if there is none.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn load(&self, kind: Kind, key: &str) -> Result<Option<Stored>, StoreError>;

    /// Items of a kind, in the order of their keys.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn list(&self, kind: Kind, by: By<'_>, most: usize) -> Result<Vec<Stored>, StoreError>;

    /// Makes the changes, all or none, if every item is as it was read.
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing changed.
    fn commit(&self, changes: &Changes) -> Result<(), StoreError>;

    /// What happened to an account, the latest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn events_of(&self, account: &AccountId, most: usize) -> Result<Vec<Event>, StoreError>;

    /// What happened after a place, in order. No event ever appears before one that was already given.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn events_after(
        &self,
        place: EventPlace,
        most: usize,
    ) -> Result<Vec<(EventPlace, Event)>, StoreError>;

    /// Forgets up to so many items that expired before a moment, and as many events that happened before another.
    /// Gives how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn forget(
        &self,
        expired_before: OffsetDateTime,
        events_before: OffsetDateTime,
        most: usize,
    ) -> Result<u64, StoreError>;
}

/// What the population register says of two people. Asked at every decision, so that a right that a court takes is gone
/// with the act that says so.
pub trait Relations: Send + Sync {
    /// Whether one may act for the other in a theme, as parent or guardian, on a day.
    ///
    /// # Errors
    /// The register does not answer.
    fn may_act(
        &self,
        actor: PersonalNumber,
        subject: PersonalNumber,
        theme: Theme,
        on: Date,
    ) -> Result<bool, StoreError>;
}

pub(crate) fn read<T: Item>(stored: Stored) -> Result<Loaded<T>, StoreError> {
    let value = serde_json::from_str(&stored.body).map_err(|error| {
        StoreError::Unreadable(format!(
            "{:?} number {}: {error}",
            T::KIND,
            T::KIND.number()
        ))
    })?;
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
    by: By<'_>,
    most: usize,
) -> Result<Vec<Loaded<T>>, StoreError> {
    store
        .list(T::KIND, by, most)?
        .into_iter()
        .map(read)
        .collect()
}
