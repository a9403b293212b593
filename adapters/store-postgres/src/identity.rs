//! The identity provider's items and events in PostgreSQL: for a country, and several servers over one database.
//!
//! A commit is one statement and so one round trip. Two commits that touch the same item wait for each other; the
//! second finds that the item changed. `synchronous_commit` of the database says how durable a commit is; its default
//! is durable.

use oidc_provider::{
    AccountId, By, Changes, Content, Event, EventPlace, Kind, Store, StoreError, Stored,
};
use postgres::types::ToSql;
use postgres::{Config, Row};
use time::OffsetDateTime;

use crate::connections::{Connection, Connections, bring_up};

/// The schema, in the order in which it grew. A file is never changed once it was released; a change is a new file.
const MIGRATIONS: &[&str] = &[include_str!("migrations/identity_0001.sql")];
/// Key of the lock under which one server at a time brings the schema up. ("identity" in ASCII.)
const MIGRATING: i64 = 0x6964_656e_7469_7479;

/// Key of the lock that commits share and that whoever reads events in order takes alone. ("events" in ASCII.)
const COMMITTING: i64 = 0x6576_656e_7473;

const LOAD: &str = "SELECT key, version, body FROM identity_item WHERE kind = $1 AND key = $2";
const OF_OWNER: &str = "SELECT key, version, body FROM identity_item \
     WHERE kind = $1 AND owner = $2 ORDER BY key LIMIT $3";
const OF_OTHER: &str = "SELECT key, version, body FROM identity_item \
     WHERE kind = $1 AND other = $2 ORDER BY key LIMIT $3";
const KEYS_AFTER: &str = "SELECT key, version, body FROM identity_item \
     WHERE kind = $1 AND key > $2 ORDER BY key LIMIT $3";
const COMMIT: &str = "SELECT identity_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const EVENTS_OF: &str = "SELECT id, body FROM identity_event WHERE account = $1 \
     UNION SELECT id, body FROM identity_event WHERE actor = $1 ORDER BY id DESC LIMIT $2";
const LAST_EVENT: &str = "SELECT coalesce(max(id), 0) FROM identity_event";
const EVENTS_AFTER: &str =
    "SELECT id, body FROM identity_event WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3";
const FORGET_ITEMS: &str = "DELETE FROM identity_item WHERE (kind, key) IN \
     (SELECT kind, key FROM identity_item WHERE expires < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";
const FORGET_EVENTS: &str = "DELETE FROM identity_event WHERE id IN \
     (SELECT id FROM identity_event WHERE at < $1 LIMIT $2)";

/// The identity provider's database.
pub struct PostgresIdentity {
    connections: Connections,
}

impl std::fmt::Debug for PostgresIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connection's parameters may hold a password.
        f.debug_struct("PostgresIdentity").finish_non_exhaustive()
    }
}

impl PostgresIdentity {
    /// Opens the identity provider's tables in a database, given as a connection string or URL of `libpq`'s form, and
    /// brings them up to this program's. The register may be in the same database.
    ///
    /// # Errors
    /// The string is none, the database cannot be used, or a newer program wrote it.
    pub fn open(parameters: &str) -> Result<Self, StoreError> {
        // What is wrong with the parameters is not repeated: they may hold a password.
        let config: Config = parameters.parse().map_err(|_| {
            StoreError::Unavailable("the connection string cannot be read".to_owned())
        })?;
        let identity = Self {
            connections: Connections::new(config),
        };
        let version = identity.with(|connection| {
            let client = &mut connection.client;
            bring_up(client, "identity_schema_version", MIGRATING, MIGRATIONS)
        })?;
        if usize::try_from(version) != Ok(MIGRATIONS.len()) {
            return Err(StoreError::Unreadable(format!(
                "its schema has version {version}, this program knows {}; use a newer program",
                MIGRATIONS.len()
            )));
        }
        Ok(identity)
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, postgres::Error>,
    ) -> Result<T, StoreError> {
        self.connections.with_open(work).map_err(failed)
    }

    fn query(
        &self,
        sql: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.with(|connection| {
            let statement = connection.statement(sql)?;
            connection.client.query(&statement, values)
        })
    }
}

impl Store for PostgresIdentity {
    fn load(&self, kind: Kind, key: &str) -> Result<Option<Stored>, StoreError> {
        let rows = self.query(LOAD, &[&kind.number(), &key])?;
        Ok(rows.first().map(stored))
    }

    fn list(&self, kind: Kind, by: By<'_>, most: usize) -> Result<Vec<Stored>, StoreError> {
        let (sql, value) = match by {
            By::Owner(owner) => (OF_OWNER, owner),
            By::Other(other) => (OF_OTHER, other),
            By::KeysAfter(after) => (KEYS_AFTER, after),
        };
        let rows = self.query(sql, &[&kind.number(), &value, &count(most)])?;
        Ok(rows.iter().map(stored).collect())
    }

    fn commit(&self, changes: &Changes) -> Result<(), StoreError> {
        let writes = changes.writes();
        let kinds: Vec<i16> = writes.iter().map(|write| write.kind.number()).collect();
        let keys: Vec<&str> = writes.iter().map(|write| write.key.as_str()).collect();
        let expected: Vec<Option<i64>> = writes
            .iter()
            .map(|write| write.expected.map(integer))
            .collect();
        let mut contents: Vec<i16> = Vec::with_capacity(writes.len());
        let mut owners: Vec<Option<&str>> = Vec::with_capacity(writes.len());
        let mut others: Vec<Option<&str>> = Vec::with_capacity(writes.len());
        let mut expiries: Vec<Option<i64>> = Vec::with_capacity(writes.len());
        let mut bodies: Vec<Option<&str>> = Vec::with_capacity(writes.len());
        for write in writes {
            let (content, owner, other, expires, body) = match &write.content {
                Content::Same => (0, None, None, None, None),
                Content::Put {
                    owner,
                    other,
                    expires,
                    body,
                } => (
                    1,
                    owner.as_deref(),
                    other.as_deref(),
                    expires.map(microseconds),
                    Some(body.as_str()),
                ),
                Content::Gone => (2, None, None, None, None),
            };
            contents.push(content);
            owners.push(owner);
            others.push(other);
            expiries.push(expires);
            bodies.push(body);
        }
        let events = changes.events();
        let ats: Vec<i64> = events.iter().map(|event| microseconds(event.at)).collect();
        let accounts: Vec<Option<&str>> = events
            .iter()
            .map(|event| event.account.as_ref().map(AccountId::as_str))
            .collect();
        let actors: Vec<Option<&str>> = events
            .iter()
            .map(|event| event.actor.as_ref().map(AccountId::as_str))
            .collect();
        let texts: Vec<String> = events
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        self.query(
            COMMIT,
            &[
                &kinds, &keys, &expected, &contents, &owners, &others, &expiries, &bodies, &ats,
                &accounts, &actors, &texts,
            ],
        )
        .map(|_| ())
    }

    fn events_of(&self, account: &AccountId, most: usize) -> Result<Vec<Event>, StoreError> {
        let rows = self.query(EVENTS_OF, &[&account.as_str(), &count(most)])?;
        rows.iter().map(|row| event(row.get(1))).collect()
    }

    fn events_after(
        &self,
        place: EventPlace,
        most: usize,
    ) -> Result<Vec<(EventPlace, Event)>, StoreError> {
        // Commits hold this lock shared. Having it alone for a moment means that none is under way, so whatever is
        // committed later has a later place.
        let last: i64 = self.with(|connection| {
            let mut transaction = connection.client.transaction()?;
            transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&COMMITTING])?;
            let last = transaction.query_one(LAST_EVENT, &[])?.get(0);
            transaction.commit()?;
            Ok(last)
        })?;
        let rows = self.query(EVENTS_AFTER, &[&integer(place.0), &last, &count(most)])?;
        rows.iter()
            .map(|row| Ok((EventPlace(unsigned(row.get(0))), event(row.get(1))?)))
            .collect()
    }

    fn forget(
        &self,
        expired_before: OffsetDateTime,
        events_before: OffsetDateTime,
        most: usize,
    ) -> Result<u64, StoreError> {
        let (expired, events) = (microseconds(expired_before), microseconds(events_before));
        let most = count(most);
        self.with(|connection| {
            let items = connection.statement(FORGET_ITEMS)?;
            let items = connection.client.execute(&items, &[&expired, &most])?;
            let gone = connection.statement(FORGET_EVENTS)?;
            Ok(items + connection.client.execute(&gone, &[&events, &most])?)
        })
    }
}

/// A conflict, or the database's own words without what a statement was given.
fn failed(error: postgres::Error) -> StoreError {
    let Some(said) = error.as_db_error() else {
        return StoreError::Unavailable(error.to_string());
    };
    match said.code().code() {
        // Ours; a deadlock; two transactions that cannot both be: decide again.
        "TD001" | "40P01" | "40001" => StoreError::Conflict,
        code => StoreError::Unavailable(format!("{} ({code})", said.message())),
    }
}

fn stored(row: &Row) -> Stored {
    Stored {
        key: row.get(0),
        version: unsigned(row.get(1)),
        body: row.get(2),
    }
}

fn event(body: &str) -> Result<Event, StoreError> {
    serde_json::from_str(body).map_err(|error| StoreError::Unreadable(format!("an event: {error}")))
}

fn microseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

fn count(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
