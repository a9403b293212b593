//! A store in memory, for tests and for trying things out: it forgets everything when the program ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;

use crate::{By, Changes, Content, Event, EventPlace, Kind, Store, StoreError, Stored};

#[derive(Debug, Clone)]
struct Row {
    version: u64,
    owner: Option<String>,
    other: Option<String>,
    expires: Option<OffsetDateTime>,
    body: String,
}

#[derive(Debug, Clone)]
struct Inside<K, E> {
    items: BTreeMap<(K, String), Row>,
    events: Vec<(EventPlace, E)>,
    last: u64,
    full: bool,
}

/// Everything in memory, under one lock. It can be copied and changed as a thief would, and be full.
#[derive(Debug)]
pub struct Memory<K, E>(Mutex<Inside<K, E>>);

impl<K, E> Default for Memory<K, E> {
    fn default() -> Self {
        Self(Mutex::new(Inside {
            items: BTreeMap::new(),
            events: Vec::new(),
            last: 0,
            full: false,
        }))
    }
}

impl<K: Kind, E: Event> Memory<K, E> {
    fn inside(&self) -> MutexGuard<'_, Inside<K, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy, as a thief takes one.
    #[must_use]
    pub fn stolen(&self) -> Self {
        Self(Mutex::new(self.inside().clone()))
    }

    /// From now on, whether every change fails.
    pub fn set_full(&self, full: bool) {
        self.inside().full = full;
    }

    /// Changes the stored texts of a kind, as somebody with the right to write would. Gives how many became others.
    pub fn tamper(&self, kind: K, change: impl Fn(&str) -> String) -> usize {
        let mut changed = 0;
        for ((found, _), row) in &mut self.inside().items {
            if *found == kind {
                let body = change(&row.body);
                changed += usize::from(body != row.body);
                row.body = body;
            }
        }
        changed
    }

    /// Everything that is stored of a kind, as JSON.
    pub fn bodies(&self, kind: K) -> Vec<String> {
        self.inside()
            .items
            .iter()
            .filter(|((found, _), _)| *found == kind)
            .map(|(_, row)| row.body.clone())
            .collect()
    }
}

impl<K: Kind, E: Event> Store for Memory<K, E> {
    type Kind = K;
    type Event = E;

    fn load(&self, kind: K, key: &str) -> Result<Option<Stored>, StoreError> {
        let inside = self.inside();
        let row = inside.items.get(&(kind, key.to_owned()));
        Ok(row.map(|row| stored(key, row)))
    }

    fn list(&self, kind: K, by: By<'_>, most: usize) -> Result<Vec<Stored>, StoreError> {
        Ok(self
            .inside()
            .items
            .range((kind, String::new())..)
            .take_while(|((found, _), _)| *found == kind)
            .filter(|((_, key), row)| match by {
                By::Owner(owner) => row.owner.as_deref() == Some(owner),
                By::Other(other) => row.other.as_deref() == Some(other),
                By::OwnerAfter(owner, after) => {
                    row.owner.as_deref() == Some(owner) && key.as_str() > after
                }
                By::KeysAfter(after) => key.as_str() > after,
            })
            .take(most)
            .map(|((_, key), row)| stored(key, row))
            .collect())
    }

    fn commit(&self, changes: &Changes<K, E>) -> Result<(), StoreError> {
        let mut inside = self.inside();
        if inside.full {
            return Err(StoreError::Unavailable("it is full".to_owned()));
        }
        for write in changes.writes() {
            let found = inside.items.get(&(write.kind, write.key.clone()));
            if found.map(|row| row.version) != write.expected {
                return Err(StoreError::Conflict);
            }
        }
        for write in changes.writes() {
            let place = (write.kind, write.key.clone());
            match &write.content {
                Content::Same => {}
                Content::Gone => {
                    inside.items.remove(&place);
                }
                Content::Put {
                    owner,
                    other,
                    expires,
                    body,
                } => {
                    let row = Row {
                        version: write.expected.unwrap_or(0) + 1,
                        owner: owner.clone(),
                        other: other.clone(),
                        expires: *expires,
                        body: body.clone(),
                    };
                    inside.items.insert(place, row);
                }
            }
        }
        for event in changes.events() {
            inside.last += 1;
            let place = EventPlace(inside.last);
            inside.events.push((place, event.clone()));
        }
        Ok(())
    }

    fn events_of(
        &self,
        person: &str,
        before: Option<EventPlace>,
        most: usize,
    ) -> Result<Vec<(EventPlace, E)>, StoreError> {
        Ok(self
            .inside()
            .events
            .iter()
            .rev()
            .filter(|(at, _)| before.is_none_or(|before| *at < before))
            .filter(|(_, event)| event.people().contains(&Some(person)))
            .take(most)
            .cloned()
            .collect())
    }

    fn events_after(
        &self,
        place: EventPlace,
        most: usize,
    ) -> Result<Vec<(EventPlace, E)>, StoreError> {
        Ok(self
            .inside()
            .events
            .iter()
            .filter(|(at, _)| *at > place)
            .take(most)
            .cloned()
            .collect())
    }

    fn forget(
        &self,
        expired_before: OffsetDateTime,
        events_before: OffsetDateTime,
        most: usize,
    ) -> Result<u64, StoreError> {
        let mut inside = self.inside();
        let expired: Vec<_> = inside
            .items
            .iter()
            .filter(|(_, row)| row.expires.is_some_and(|at| at < expired_before))
            .take(most)
            .map(|(place, _)| place.clone())
            .collect();
        for place in &expired {
            inside.items.remove(place);
        }
        let before = inside.events.len();
        let mut left = most;
        inside.events.retain(|(_, event)| {
            let goes = left > 0 && event.at() < events_before;
            left -= usize::from(goes);
            !goes
        });
        let gone = expired.len() + before - inside.events.len();
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }
}

fn stored(key: &str, row: &Row) -> Stored {
    Stored {
        key: key.to_owned(),
        version: row.version,
        body: row.body.clone(),
    }
}
