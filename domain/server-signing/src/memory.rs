//! A database in memory, for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use id_registry::PersonalNumber;
use time::OffsetDateTime;

use crate::port::{Changes, Content, Event, Kind, Store, StoreError, Stored};

#[derive(Debug, Clone, Default)]
struct Contents {
    items: BTreeMap<(Kind, String), (u64, Content)>,
    events: Vec<Event>,
    full: bool,
}

/// A database in memory, for tests: it can be copied, changed by a thief, and full.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Contents>);

impl Memory {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy, as a thief takes one.
    #[must_use]
    pub fn stolen(&self) -> Self {
        Self(Mutex::new(self.contents().clone()))
    }

    /// From now on, whether every change fails.
    pub fn set_full(&self, full: bool) {
        self.contents().full = full;
    }

    /// Changes the stored texts of a kind, as somebody with the right to write would. Gives how many became others.
    pub fn tamper(&self, kind: Kind, change: impl Fn(&str) -> String) -> usize {
        let mut changed = 0;
        for ((found, _), (_, content)) in &mut self.contents().items {
            if *found == kind {
                let body = change(&content.body);
                changed += usize::from(body != content.body);
                content.body = body;
            }
        }
        changed
    }

    /// Everything that is stored of a kind, as JSON.
    pub fn bodies(&self, kind: Kind) -> Vec<String> {
        self.contents()
            .items
            .iter()
            .filter(|((found, _), _)| *found == kind)
            .map(|(_, (_, content))| content.body.clone())
            .collect()
    }
}

impl Store for Memory {
    fn load(&self, kind: Kind, key: &str) -> Result<Option<Stored>, StoreError> {
        let contents = self.contents();
        Ok(contents
            .items
            .get(&(kind, key.to_owned()))
            .map(|(version, content)| Stored {
                key: key.to_owned(),
                version: *version,
                body: content.body.clone(),
            }))
    }

    fn list(&self, kind: Kind, owner: &str, most: usize) -> Result<Vec<Stored>, StoreError> {
        Ok(self
            .contents()
            .items
            .iter()
            .filter(|((found, _), (_, content))| {
                *found == kind && content.owner.as_deref() == Some(owner)
            })
            .take(most)
            .map(|((_, key), (version, content))| Stored {
                key: key.clone(),
                version: *version,
                body: content.body.clone(),
            })
            .collect())
    }

    fn commit(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut contents = self.contents();
        if contents.full {
            return Err(StoreError::Unavailable("it is full".to_owned()));
        }
        let held = changes.writes().iter().all(|write| {
            let found = contents.items.get(&(write.kind, write.key.clone()));
            found.map(|(version, _)| *version) == write.expected
        });
        if !held {
            return Err(StoreError::Conflict);
        }
        for write in changes.writes() {
            if let Some(content) = &write.content {
                let version = write.expected.unwrap_or(0) + 1;
                let place = (write.kind, write.key.clone());
                contents.items.insert(place, (version, content.clone()));
            }
        }
        contents.events.extend_from_slice(changes.events());
        Ok(())
    }

    fn events_of(&self, holder: PersonalNumber, most: usize) -> Result<Vec<Event>, StoreError> {
        Ok(self
            .contents()
            .events
            .iter()
            .rev()
            .filter(|event| event.holder == holder)
            .take(most)
            .cloned()
            .collect())
    }

    fn forget(&self, expired_before: OffsetDateTime, most: usize) -> Result<u64, StoreError> {
        let mut contents = self.contents();
        let over: Vec<_> = contents
            .items
            .iter()
            .filter(|(_, (_, content))| content.expires.is_some_and(|at| at < expired_before))
            .map(|(place, _)| place.clone())
            .take(most)
            .collect();
        for place in &over {
            contents.items.remove(place);
        }
        Ok(over.len() as u64)
    }
}
