//! A store in memory, for tests and for trying things out: it forgets everything when the program ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;

use crate::event::{Event, EventPlace};
use crate::port::{By, Changes, Content, Kind, Store, StoreError, Stored};
use crate::secret::AccountId;

#[derive(Debug)]
struct Row {
    version: u64,
    owner: Option<String>,
    other: Option<String>,
    expires: Option<OffsetDateTime>,
    body: String,
}

#[derive(Debug, Default)]
struct Inside {
    items: BTreeMap<(Kind, String), Row>,
    events: Vec<(EventPlace, Event)>,
    last: u64,
}

/// Everything in memory, under one lock.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Inside>);

impl MemoryStore {
    fn with<T>(&self, work: impl FnOnce(&mut Inside) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for MemoryStore {
    fn load(&self, kind: Kind, key: &str) -> Result<Option<Stored>, StoreError> {
        Ok(self.with(|inside| {
            inside
                .items
                .get(&(kind, key.to_owned()))
                .map(|row| stored(key, row))
        }))
    }

    fn list(&self, kind: Kind, by: By<'_>, most: usize) -> Result<Vec<Stored>, StoreError> {
        Ok(self.with(|inside| {
            inside
                .items
                .range((kind, String::new())..)
                .take_while(|((found, _), _)| *found == kind)
                .filter(|((_, key), row)| match by {
                    By::Owner(owner) => row.owner.as_deref() == Some(owner),
                    By::Other(other) => row.other.as_deref() == Some(other),
                    By::KeysAfter(after) => key.as_str() > after,
                })
                .take(most)
                .map(|((_, key), row)| stored(key, row))
                .collect()
        }))
    }

    fn commit(&self, changes: &Changes) -> Result<(), StoreError> {
        self.with(|inside| {
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
        })
    }

    fn events_of(&self, account: &AccountId, most: usize) -> Result<Vec<Event>, StoreError> {
        Ok(self.with(|inside| {
            inside
                .events
                .iter()
                .rev()
                .filter(|(_, event)| concerns(event, account))
                .take(most)
                .map(|(_, event)| event.clone())
                .collect()
        }))
    }

    fn events_after(
        &self,
        place: EventPlace,
        most: usize,
    ) -> Result<Vec<(EventPlace, Event)>, StoreError> {
        Ok(self.with(|inside| {
            inside
                .events
                .iter()
                .filter(|(at, _)| *at > place)
                .take(most)
                .cloned()
                .collect()
        }))
    }

    fn forget(
        &self,
        expired_before: OffsetDateTime,
        events_before: OffsetDateTime,
        most: usize,
    ) -> Result<u64, StoreError> {
        Ok(self.with(|inside| {
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
                let goes = left > 0 && event.at < events_before;
                left -= usize::from(goes);
                !goes
            });
            let gone = expired.len() + before - inside.events.len();
            u64::try_from(gone).unwrap_or(u64::MAX)
        }))
    }
}

/// Whether an event belongs to somebody's list: it happened to the account, or its holder acted.
fn concerns(event: &Event, account: &AccountId) -> bool {
    event.account.as_ref() == Some(account) || event.actor.as_ref() == Some(account)
}

fn stored(key: &str, row: &Row) -> Stored {
    Stored {
        key: key.to_owned(),
        version: row.version,
        body: row.body.clone(),
    }
}
