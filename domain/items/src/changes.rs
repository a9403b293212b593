//! What a decision changes.

use time::OffsetDateTime;

use crate::{Item, Kind, Loaded, StoreError};

/// What becomes of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write<K> {
    /// Its kind.
    pub kind: K,
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

/// What a decision changes. A store makes all of it so or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes<K, E> {
    writes: Vec<Write<K>>,
    events: Vec<E>,
}

impl<K, E> Default for Changes<K, E> {
    fn default() -> Self {
        Self {
            writes: Vec::new(),
            events: Vec::new(),
        }
    }
}

impl<K: Kind, E> Changes<K, E> {
    /// What becomes of which items. Sorted, each item at most once, so that two servers take their locks in one order.
    #[must_use]
    pub fn writes(&self) -> &[Write<K>] {
        &self.writes
    }

    /// What happened.
    #[must_use]
    pub fn events(&self) -> &[E] {
        &self.events
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty()
    }

    fn write(&mut self, kind: K, key: String, expected: Option<u64>, content: Content) {
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

    fn put<T: Item<Kind = K>>(
        &mut self,
        value: &T,
        expected: Option<u64>,
    ) -> Result<(), StoreError> {
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
    ///
    /// # Errors
    /// The value has no JSON.
    pub fn insert<T: Item<Kind = K>>(&mut self, value: &T) -> Result<(), StoreError> {
        self.put(value, None)
    }

    /// An item that was read becomes another.
    ///
    /// # Errors
    /// The value has no JSON.
    pub fn replace<T: Item<Kind = K>>(&mut self, loaded: &Loaded<T>) -> Result<(), StoreError> {
        self.put(&loaded.value, Some(loaded.version))
    }

    /// An item that was read is gone.
    pub fn remove<T: Item<Kind = K>>(&mut self, loaded: &Loaded<T>) {
        let key = loaded.value.key();
        self.write(T::KIND, key, Some(loaded.version), Content::Gone);
    }

    /// The decision rests on an item as it was read.
    pub fn rests_on<T: Item<Kind = K>>(&mut self, loaded: &Loaded<T>) {
        let key = loaded.value.key();
        self.write(T::KIND, key, Some(loaded.version), Content::Same);
    }

    /// Something happened.
    pub fn event(&mut self, event: E) {
        self.events.push(event);
    }
}
