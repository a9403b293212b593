//! What the identity provider and the signing service keep: items with versions, and events.
//!
//! Everything is an [`Item`]: a value of some kind under a key, with a version. A decision reads items and says in
//! [`Changes`] what becomes of them and which events happened; a [`Store`] makes all of it so or nothing, and only if
//! every item is still at the version that was read. So a code is redeemed once and an authorisation released once, also
//! with many servers over one database, and a database needs to know nothing about codes and authorisations.

mod changes;
mod memory;

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use changes::{Changes, Content, Write};
pub use memory::Memory;

/// Kinds of items of one service.
pub trait Kind: Debug + Copy + Ord + Send + Sync + 'static {
    /// Its number in the database; never changed.
    fn number(self) -> i16;
}

/// Something that happened.
pub trait Event: Debug + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// When.
    fn at(&self) -> OffsetDateTime;

    /// Whom it happened to, and who did it if that is somebody else: it is in the lists of both.
    fn people(&self) -> [Option<&str>; 2];
}

/// A value that is stored as an item.
pub trait Item: Serialize + DeserializeOwned {
    /// The kinds that its service knows.
    type Kind: Kind;

    /// Its kind.
    const KIND: Self::Kind;

    /// Its key among those of its kind; follows from the value and never changes.
    fn key(&self) -> String;

    /// The account or person, mostly, that it belongs to: items are listed by it.
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

/// Why a store has no answer. The fault is the server's own, except [`StoreError::Conflict`], after which the decision
/// is taken anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or used.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// What is stored cannot be read.
    #[error("the database holds what this program cannot read: {0}")]
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

/// A value with the version it was read at.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The value.
    pub value: T,
    version: u64,
}

/// By what items are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By<'a> {
    /// The owner.
    Owner(&'a str),
    /// The other party.
    Other(&'a str),
    /// The owner, after a key (empty: from the first): the second is the key.
    OwnerAfter(&'a str, &'a str),
    /// Nothing: all of the kind, in the order of their keys, after a key (empty: from the first).
    KeysAfter(&'a str),
}

/// A place among all events, in the order in which they became visible. [`EventPlace::default`] is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventPlace(pub u64);

/// Keeps a page of events out of one more than it holds; gives the place before which earlier ones are, if there are any.
pub fn page_of_events<E>(events: &mut Vec<(EventPlace, E)>, holds: usize) -> Option<EventPlace> {
    let more = events.len() > holds;
    events.truncate(holds);
    events.last().filter(|_| more).map(|(place, _)| *place)
}

/// A service's database. Everything that returns without an error is durable.
pub trait Store: Send + Sync {
    /// The kinds of items.
    type Kind: Kind;
    /// What happens.
    type Event: Event;

    /// An item; none if there is none.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn load(&self, kind: Self::Kind, key: &str) -> Result<Option<Stored>, StoreError>;

    /// Items of a kind, in the order of their keys.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn list(&self, kind: Self::Kind, by: By<'_>, most: usize) -> Result<Vec<Stored>, StoreError>;

    /// Makes the changes, all or none, if every item is as it was read.
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing changed.
    fn commit(&self, changes: &Changes<Self::Kind, Self::Event>) -> Result<(), StoreError>;

    /// What happened to somebody or was done by them, the latest first; before a place, or up to now.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn events_of(
        &self,
        person: &str,
        before: Option<EventPlace>,
        most: usize,
    ) -> Result<Vec<(EventPlace, Self::Event)>, StoreError>;

    /// What happened after a place, in order. No event ever appears before one that was already given.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn events_after(
        &self,
        place: EventPlace,
        most: usize,
    ) -> Result<Vec<(EventPlace, Self::Event)>, StoreError>;

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

fn read<T: Item>(stored: Stored) -> Result<Loaded<T>, StoreError> {
    let wrong = |what: &dyn std::fmt::Display| {
        StoreError::Unreadable(format!("{:?} number {}: {what}", T::KIND, T::KIND.number()))
    };
    let value: T = serde_json::from_str(&stored.body).map_err(|error| wrong(&error))?;
    // Somebody may have changed the database.
    if value.key() != stored.key {
        return Err(wrong(&"it lies under another key"));
    }
    Ok(Loaded {
        value,
        version: stored.version,
    })
}

/// Reads an item.
///
/// # Errors
/// See [`StoreError`].
pub fn load<T: Item>(
    store: &(impl Store<Kind = T::Kind> + ?Sized),
    key: &str,
) -> Result<Option<Loaded<T>>, StoreError> {
    store.load(T::KIND, key)?.map(read).transpose()
}

/// Reads items, in the order of their keys.
///
/// # Errors
/// See [`StoreError`].
pub fn list<T: Item>(
    store: &(impl Store<Kind = T::Kind> + ?Sized),
    by: By<'_>,
    most: usize,
) -> Result<Vec<Loaded<T>>, StoreError> {
    store
        .list(T::KIND, by, most)?
        .into_iter()
        .map(read)
        .collect()
}
