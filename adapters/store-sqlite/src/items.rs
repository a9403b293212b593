//! Items with versions and events in an SQLite file: the identity provider's, the signing service's.
//!
//! One thread writes. It takes all changes that wait, makes each so or not, and flushes once for all of them: so that
//! many sign-ins at one time cost one flush. Readers are beside it (write-ahead log).

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use items::{
    By, Changes, Content, Event as _, EventPlace, Kind as _, Store, StoreError, Stored, Write,
};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use time::OffsetDateTime;

use crate::schema::{self, Readers};

/// The schema, in the order in which it grew. A file is never changed once it was released; a change is a new file.
const MIGRATIONS: &[&str] = &[include_str!("migrations/items_0001.sql")];

/// Whose items.
pub trait Kept: 'static {
    /// The kinds of items.
    type Kind: items::Kind;
    /// What happens.
    type Event: items::Event;
    /// Whose database it is, in words.
    const WHOSE: &'static str;
    /// Which kind of database a file is (`PRAGMA application_id`).
    const APPLICATION: i32;
}

/// The identity provider's items.
#[derive(Debug)]
pub enum Identity {}

impl Kept for Identity {
    type Kind = oidc_provider::Kind;
    type Event = oidc_provider::Event;
    const WHOSE: &'static str = "the identity provider's";
    const APPLICATION: i32 = 0;
}

/// The identity provider's database in one file.
pub type SqliteIdentity = SqliteItems<Identity>;

/// The signing service's items.
#[derive(Debug)]
pub enum Signing {}

impl Kept for Signing {
    type Kind = server_signing::ItemKind;
    type Event = server_signing::Event;
    const WHOSE: &'static str = "the signing service's";
    /// "sign" in ASCII.
    const APPLICATION: i32 = 0x7369_676e;
}

/// The signing service's database in one file.
pub type SqliteSigning = SqliteItems<Signing>;

/// Changes that share one flush.
const MOST_TOGETHER: usize = 256;
/// Changes that wait; whoever brings more waits too.
const MOST_WAITING: usize = 1024;

type Reply = SyncSender<Result<(), StoreError>>;
type Job<D> = (Work<D>, Reply);
type ChangesOf<D> = Changes<<D as Kept>::Kind, <D as Kept>::Event>;

enum Work<D: Kept> {
    Commit(ChangesOf<D>),
    Forget(i64, i64, i64, SyncSender<u64>),
}

/// Items and events in one file.
pub struct SqliteItems<D: Kept> {
    path: PathBuf,
    jobs: Option<SyncSender<Job<D>>>,
    writer: Option<JoinHandle<()>>,
    readers: Readers,
}

impl<D: Kept> std::fmt::Debug for SqliteItems<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteItems")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<D: Kept> SqliteItems<D> {
    /// Opens the database in a file, which is made if it is not there. It is nobody else's file.
    ///
    /// # Errors
    /// The file cannot be used, is another kind of database, or a newer program wrote it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = schema::connect(path).map_err(failed)?;
        migrate::<D>(&mut connection)?;
        let (jobs, waiting) = sync_channel(MOST_WAITING);
        let writer = std::thread::Builder::new()
            .name("items-writer".to_owned())
            .spawn(move || write::<D>(&mut connection, &waiting))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            jobs: Some(jobs),
            writer: Some(writer),
            readers: Readers::new(path),
        })
    }

    fn work(&self, work: Work<D>) -> Result<(), StoreError> {
        let gone = || StoreError::Unavailable("the writer ended".to_owned());
        let (reply, answer) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send((work, reply)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.readers.read(work).map_err(failed)
    }

    /// The events that a query gives with their places.
    fn events(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<(EventPlace, D::Event)>, StoreError> {
        let rows = self.read(|connection| {
            connection
                .prepare_cached(sql)?
                .query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<(i64, String)>>>()
        })?;
        rows.iter()
            .map(|(id, body)| {
                let place = u64::try_from(*id).unwrap_or_default();
                Ok((EventPlace(place), event(body)?))
            })
            .collect()
    }
}

impl<D: Kept> Drop for SqliteItems<D> {
    fn drop(&mut self) {
        // Without senders the writer ends after what it has taken.
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl<D: Kept> Store for SqliteItems<D> {
    type Kind = D::Kind;
    type Event = D::Event;

    fn load(&self, kind: D::Kind, key: &str) -> Result<Option<Stored>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT key, version, body FROM item WHERE kind = ? AND key = ?")?
                .query_row(params![kind.number(), key], stored)
                .optional()
        })
    }

    fn list(&self, kind: D::Kind, by: By<'_>, most: usize) -> Result<Vec<Stored>, StoreError> {
        let (sql, value) = match by {
            By::OwnerAfter(owner, after) => {
                return self.read(|connection| {
                    connection
                        .prepare_cached(
                            "SELECT key, version, body FROM item \
                             WHERE kind = ? AND owner = ? AND key > ? ORDER BY key LIMIT ?",
                        )?
                        .query_map(params![kind.number(), owner, after, count(most)], stored)?
                        .collect()
                });
            }
            By::Owner(owner) => (
                "SELECT key, version, body FROM item WHERE kind = ? AND owner = ? ORDER BY key LIMIT ?",
                owner,
            ),
            By::Other(other) => (
                "SELECT key, version, body FROM item WHERE kind = ? AND other = ? ORDER BY key LIMIT ?",
                other,
            ),
            By::KeysAfter(after) => (
                "SELECT key, version, body FROM item WHERE kind = ? AND key > ? ORDER BY key LIMIT ?",
                after,
            ),
        };
        self.read(|connection| {
            connection
                .prepare_cached(sql)?
                .query_map(params![kind.number(), value, count(most)], stored)?
                .collect()
        })
    }

    fn commit(&self, changes: &ChangesOf<D>) -> Result<(), StoreError> {
        self.work(Work::Commit(changes.clone()))
    }

    fn events_of(
        &self,
        person: &str,
        before: Option<EventPlace>,
        most: usize,
    ) -> Result<Vec<(EventPlace, D::Event)>, StoreError> {
        // Each half ends by itself, so that a page costs the same however long somebody's past is.
        let sql = "SELECT * FROM (SELECT id, body FROM event WHERE account = ?1 AND id < ?2 \
                   ORDER BY id DESC LIMIT ?3) \
                   UNION ALL SELECT * FROM (SELECT id, body FROM event \
                   WHERE actor = ?1 AND account IS NOT ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3) \
                   ORDER BY id DESC LIMIT ?3";
        let before = before.map_or(i64::MAX, integer);
        self.events(sql, params![person, before, count(most)])
    }

    fn events_after(
        &self,
        place: EventPlace,
        most: usize,
    ) -> Result<Vec<(EventPlace, D::Event)>, StoreError> {
        self.events(
            "SELECT id, body FROM event WHERE id > ? ORDER BY id LIMIT ?",
            params![integer(place), count(most)],
        )
    }

    fn forget(
        &self,
        expired_before: OffsetDateTime,
        events_before: OffsetDateTime,
        most: usize,
    ) -> Result<u64, StoreError> {
        let (tell, told) = sync_channel(1);
        self.work(Work::Forget(
            microseconds(expired_before),
            microseconds(events_before),
            count(most),
            tell,
        ))?;
        Ok(told.try_recv().unwrap_or_default())
    }
}

/// Works until nobody brings anything any more.
fn write<D: Kept>(connection: &mut Connection, jobs: &Receiver<Job<D>>) {
    while let Ok(first) = jobs.recv() {
        let mut together = vec![first];
        together.extend(jobs.try_iter().take(MOST_TOGETHER - 1));
        let (works, replies): (Vec<Work<D>>, Vec<Reply>) = together.into_iter().unzip();
        let outcomes = match make(connection, &works) {
            Ok(outcomes) => outcomes,
            // The flush failed: nothing of all this is so.
            Err(error) => works.iter().map(|_| Err(error.clone())).collect(),
        };
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // Whoever asked may be gone.
            let _ = reply.send(outcome);
        }
    }
}

/// Makes each of these so, or not, and flushes once.
fn make<D: Kept>(
    connection: &mut Connection,
    works: &[Work<D>],
) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let mut transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(unavailable)?;
    let mut outcomes = Vec::with_capacity(works.len());
    for work in works {
        let point = transaction.savepoint().map_err(unavailable)?;
        let outcome = match work {
            Work::Commit(changes) => commit::<D>(&point, changes),
            Work::Forget(expired, events, most, tell) => forget(&point, *expired, *events, *most)
                .map_err(unavailable)
                .map(|gone| {
                    let _ = tell.try_send(gone);
                }),
        };
        if outcome.is_ok() {
            point.commit().map_err(unavailable)?;
        } else {
            // A dropped savepoint is rolled back.
            drop(point);
        }
        outcomes.push(outcome);
    }
    transaction.commit().map_err(unavailable)?;
    Ok(outcomes)
}

fn commit<D: Kept>(connection: &Connection, changes: &ChangesOf<D>) -> Result<(), StoreError> {
    for write in changes.writes() {
        if !write_item(connection, write).map_err(unavailable)? {
            return Err(StoreError::Conflict);
        }
    }
    for event in changes.events() {
        let body = serde_json::to_string(event)
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let [account, actor] = event.people();
        connection
            .prepare_cached("INSERT INTO event (at, account, actor, body) VALUES (?, ?, ?, ?)")
            .and_then(|mut statement| {
                statement.execute(params![microseconds(event.at()), account, actor, body])
            })
            .map_err(unavailable)?;
    }
    Ok(())
}

/// Whether the item was as it was read.
fn write_item<K: items::Kind>(connection: &Connection, write: &Write<K>) -> rusqlite::Result<bool> {
    let kind = write.kind.number();
    let expected = write
        .expected
        .map(|version| i64::try_from(version).unwrap_or(i64::MAX));
    let touched = match (&write.content, expected) {
        (
            Content::Put {
                owner,
                other,
                expires,
                body,
            },
            None,
        ) => connection
            .prepare_cached(
                "INSERT INTO item (kind, key, version, owner, other, expires, body) \
                 VALUES (?, ?, 1, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )?
            .execute(params![kind, write.key, owner, other, expires.map(microseconds), body])?,
        (
            Content::Put {
                owner,
                other,
                expires,
                body,
            },
            Some(version),
        ) => connection
            .prepare_cached(
                "UPDATE item SET version = version + 1, owner = ?, other = ?, expires = ?, body = ? \
                 WHERE kind = ? AND key = ? AND version = ?",
            )?
            .execute(params![
                owner,
                other,
                expires.map(microseconds),
                body,
                kind,
                write.key,
                version
            ])?,
        (Content::Gone, Some(version)) => connection
            .prepare_cached("DELETE FROM item WHERE kind = ? AND key = ? AND version = ?")?
            .execute(params![kind, write.key, version])?,
        (Content::Same, Some(version)) => {
            let found = connection
                .prepare_cached("SELECT 1 FROM item WHERE kind = ? AND key = ? AND version = ?")?
                .exists(params![kind, write.key, version])?;
            usize::from(found)
        }
        (Content::Gone | Content::Same, None) => {
            let found = connection
                .prepare_cached("SELECT 1 FROM item WHERE kind = ? AND key = ?")?
                .exists(params![kind, write.key])?;
            usize::from(!found)
        }
    };
    Ok(touched == 1)
}

fn forget(connection: &Connection, expired: i64, events: i64, most: i64) -> rusqlite::Result<u64> {
    let items = connection
        .prepare_cached(
            "DELETE FROM item WHERE (kind, key) IN \
             (SELECT kind, key FROM item WHERE expires < ? LIMIT ?)",
        )?
        .execute(params![expired, most])?;
    let events = connection
        .prepare_cached(
            "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE at < ? LIMIT ?)",
        )?
        .execute(params![events, most])?;
    Ok(u64::try_from(items + events).unwrap_or(u64::MAX))
}

fn failed(error: id_registry::StoreError) -> StoreError {
    match error {
        id_registry::StoreError::Unavailable(said) => StoreError::Unavailable(said),
        id_registry::StoreError::Unreadable(said) => StoreError::Unreadable(said),
        other @ id_registry::StoreError::Conflict(_) => StoreError::Unavailable(other.to_string()),
    }
}

/// Brings the schema up to this program's.
fn migrate<D: Kept>(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(unavailable)?;
    let version: i64 = transaction
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(unavailable)?;
    let known = usize::try_from(version).unwrap_or(usize::MAX);
    let application: i32 = transaction
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(unavailable)?;
    let register: bool = transaction
        .prepare("SELECT 1 FROM sqlite_schema WHERE name = 'act'")
        .and_then(|mut statement| statement.exists([]))
        .map_err(unavailable)?;
    let ours = !register && (application == D::APPLICATION || (application == 0 && version == 0));
    let missing = MIGRATIONS.get(known..).filter(|_| ours).ok_or_else(|| {
        StoreError::Unreadable(format!(
            "it is not {}, or its schema has version {version} and this program knows {}; \
             name its own file, or use a newer program",
            D::WHOSE,
            MIGRATIONS.len()
        ))
    })?;
    transaction
        .pragma_update(None, "application_id", D::APPLICATION)
        .map_err(unavailable)?;
    for migration in missing {
        transaction.execute_batch(migration).map_err(unavailable)?;
    }
    let newest = i64::try_from(MIGRATIONS.len()).unwrap_or(0);
    transaction
        .pragma_update(None, "user_version", newest)
        .map_err(unavailable)?;
    transaction.commit().map_err(unavailable)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        key: row.get(0)?,
        version: u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
        body: row.get(2)?,
    })
}

fn event<E: items::Event>(body: &str) -> Result<E, StoreError> {
    serde_json::from_str(body).map_err(|error| StoreError::Unreadable(format!("an event: {error}")))
}

fn unavailable(error: rusqlite::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn microseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

fn integer(place: EventPlace) -> i64 {
    i64::try_from(place.0).unwrap_or(i64::MAX)
}

fn count(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
