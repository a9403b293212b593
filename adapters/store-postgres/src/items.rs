//! Items with versions and events in PostgreSQL, the identity provider's and the signing service's: for a country, and
//! several servers over one database.
//!
//! A commit is one statement and so one round trip. Two commits that touch the same item wait for each other; the
//! second finds that the item changed. `synchronous_commit` of the database says how durable a commit is; its default
//! is durable.

use items::{By, Changes, Content, Event as _, EventPlace, Kind as _, Store, StoreError, Stored};
use std::marker::PhantomData;

use postgres::types::ToSql;
use postgres::{Config, Row};
use time::OffsetDateTime;

use crate::connections::{Connection, Connections, bring_up};

/// What is asked of the tables of one service.
#[derive(Debug)]
pub struct Statements {
    load: &'static str,
    of_owner: &'static str,
    of_owner_after: &'static str,
    of_other: &'static str,
    keys_after: &'static str,
    commit: &'static str,
    events_of: &'static str,
    last_event: &'static str,
    events_after: &'static str,
    forget_items: &'static str,
    forget_events: &'static str,
}

/// The statements over the tables whose names begin so.
macro_rules! statements {
    ($prefix:literal) => {
        Statements {
            load: concat!(
                "SELECT key, version, body FROM ",
                $prefix,
                "_item WHERE kind = $1 AND key = $2"
            ),
            of_owner: concat!(
                "SELECT key, version, body FROM ",
                $prefix,
                "_item WHERE kind = $1 AND owner = $2 ORDER BY key LIMIT $3"
            ),
            of_owner_after: concat!(
                "SELECT key, version, body FROM ",
                $prefix,
                "_item WHERE kind = $1 AND owner = $2 AND key > $4 ORDER BY key LIMIT $3"
            ),
            of_other: concat!(
                "SELECT key, version, body FROM ",
                $prefix,
                "_item WHERE kind = $1 AND other = $2 ORDER BY key LIMIT $3"
            ),
            keys_after: concat!(
                "SELECT key, version, body FROM ",
                $prefix,
                "_item WHERE kind = $1 AND key > $2 ORDER BY key LIMIT $3"
            ),
            commit: concat!(
                "SELECT ",
                $prefix,
                "_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
            ),
            // Each half ends by itself, so that a page costs the same however long somebody's past is.
            events_of: concat!(
                "(SELECT id, body FROM ",
                $prefix,
                "_event WHERE account = $1 AND id < $2 ORDER BY id DESC LIMIT $3) \
                 UNION ALL (SELECT id, body FROM ",
                $prefix,
                "_event WHERE actor = $1 AND account IS DISTINCT FROM $1 AND id < $2 \
                 ORDER BY id DESC LIMIT $3) ORDER BY id DESC LIMIT $3"
            ),
            last_event: concat!("SELECT coalesce(max(id), 0) FROM ", $prefix, "_event"),
            events_after: concat!(
                "SELECT id, body FROM ",
                $prefix,
                "_event WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3"
            ),
            forget_items: concat!(
                "DELETE FROM ",
                $prefix,
                "_item WHERE (kind, key) IN \
                 (SELECT kind, key FROM ",
                $prefix,
                "_item WHERE expires < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)"
            ),
            forget_events: concat!(
                "DELETE FROM ",
                $prefix,
                "_event WHERE id IN \
                 (SELECT id FROM ",
                $prefix,
                "_event WHERE at < $1 LIMIT $2)"
            ),
        }
    };
}

/// The schema, in the order in which it grew; PREFIX and COMMITTING stand for whose it is. A file is never changed once
/// it was released; a change is a new file.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/items_0001.sql")];

/// Whose items.
pub trait Kept: 'static {
    /// The kinds of items.
    type Kind: items::Kind;
    /// What happens.
    type Event: items::Event;
    /// The table that holds the schema's version.
    const VERSION: &'static str;
    /// With what the names of its tables begin.
    const PREFIX: &'static str;
    /// Key of the lock under which one server at a time brings the schema up.
    const MIGRATING: i64;
    /// Key of the lock that commits share and that whoever reads events in order takes alone; also in the schema.
    const COMMITTING: i64;
    /// What is asked of its tables.
    const STATEMENTS: Statements;
}

/// The identity provider's items.
#[derive(Debug)]
pub enum Identity {}

impl Kept for Identity {
    type Kind = oidc_provider::Kind;
    type Event = oidc_provider::Event;
    const VERSION: &'static str = "identity_schema_version";
    const PREFIX: &'static str = "identity";
    /// "identity" in ASCII.
    const MIGRATING: i64 = 0x6964_656e_7469_7479;
    /// "events" in ASCII.
    const COMMITTING: i64 = 0x6576_656e_7473;
    const STATEMENTS: Statements = statements!("identity");
}

/// The identity provider's database.
pub type PostgresIdentity = PostgresItems<Identity>;

/// The signing service's items.
#[derive(Debug)]
pub enum Signing {}

impl Kept for Signing {
    type Kind = server_signing::ItemKind;
    type Event = server_signing::Event;
    const VERSION: &'static str = "signing_schema_version";
    const PREFIX: &'static str = "signing";
    /// "signing" in ASCII.
    const MIGRATING: i64 = 0x73_6967_6e69_6e67;
    /// "signed" in ASCII.
    const COMMITTING: i64 = 0x7369_676e_6564;
    const STATEMENTS: Statements = statements!("signing");
}

/// The signing service's database.
pub type PostgresSigning = PostgresItems<Signing>;

/// Items and events in a database.
pub struct PostgresItems<D> {
    connections: Connections,
    whose: PhantomData<fn() -> D>,
}

impl<D> std::fmt::Debug for PostgresItems<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connection's parameters may hold a password.
        f.debug_struct("PostgresItems").finish_non_exhaustive()
    }
}

impl<D: Kept> PostgresItems<D> {
    /// Opens the service's tables in a database, given as a connection string or URL of `libpq`'s form, and
    /// brings them up to this program's. The register, the identity provider and the signing service
    /// may share one database.
    ///
    /// # Errors
    /// The string is none, the database cannot be used, or a newer program wrote it.
    pub fn open(parameters: &str) -> Result<Self, StoreError> {
        // What is wrong with the parameters is not repeated: they may hold a password.
        let config: Config = parameters.parse().map_err(|_| {
            StoreError::Unavailable("the connection string cannot be read".to_owned())
        })?;
        Self::over(config)
    }

    pub(crate) fn over(config: Config) -> Result<Self, StoreError> {
        let items = Self {
            connections: Connections::new(config),
            whose: PhantomData,
        };
        let committing = D::COMMITTING.to_string();
        let schema = MIGRATIONS.map(|part| {
            part.replace("PREFIX", D::PREFIX)
                .replace("COMMITTING", &committing)
        });
        let version = items.with(|connection| {
            let client = &mut connection.client;
            bring_up(client, D::VERSION, D::MIGRATING, &schema)
        })?;
        if usize::try_from(version) != Ok(MIGRATIONS.len()) {
            return Err(StoreError::Unreadable(format!(
                "its schema has version {version}, this program knows {}; use a newer program",
                MIGRATIONS.len()
            )));
        }
        Ok(items)
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

impl<D: Kept> Store for PostgresItems<D> {
    type Kind = D::Kind;
    type Event = D::Event;

    fn load(&self, kind: D::Kind, key: &str) -> Result<Option<Stored>, StoreError> {
        let rows = self.query(D::STATEMENTS.load, &[&kind.number(), &key])?;
        Ok(rows.first().map(stored))
    }

    fn list(&self, kind: D::Kind, by: By<'_>, most: usize) -> Result<Vec<Stored>, StoreError> {
        let (sql, value) = match by {
            By::OwnerAfter(owner, after) => {
                let values: [&(dyn ToSql + Sync); 4] =
                    [&kind.number(), &owner, &count(most), &after];
                let rows = self.query(D::STATEMENTS.of_owner_after, &values)?;
                return Ok(rows.iter().map(stored).collect());
            }
            By::Owner(owner) => (D::STATEMENTS.of_owner, owner),
            By::Other(other) => (D::STATEMENTS.of_other, other),
            By::KeysAfter(after) => (D::STATEMENTS.keys_after, after),
        };
        let rows = self.query(sql, &[&kind.number(), &value, &count(most)])?;
        Ok(rows.iter().map(stored).collect())
    }

    fn commit(&self, changes: &Changes<D::Kind, D::Event>) -> Result<(), StoreError> {
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
        let ats: Vec<i64> = events
            .iter()
            .map(|event| microseconds(event.at()))
            .collect();
        let (accounts, actors): (Vec<Option<&str>>, Vec<Option<&str>>) =
            events.iter().map(|event| event.people().into()).unzip();
        let texts: Vec<String> = events
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        self.query(
            D::STATEMENTS.commit,
            &[
                &kinds, &keys, &expected, &contents, &owners, &others, &expiries, &bodies, &ats,
                &accounts, &actors, &texts,
            ],
        )
        .map(|_| ())
    }

    fn events_of(
        &self,
        person: &str,
        before: Option<EventPlace>,
        most: usize,
    ) -> Result<Vec<(EventPlace, D::Event)>, StoreError> {
        let before = before.map_or(i64::MAX, |place| integer(place.0));
        let rows = self.query(D::STATEMENTS.events_of, &[&person, &before, &count(most)])?;
        rows.iter().map(placed).collect()
    }

    fn events_after(
        &self,
        place: EventPlace,
        most: usize,
    ) -> Result<Vec<(EventPlace, D::Event)>, StoreError> {
        // Commits hold this lock shared. Having it alone for a moment means that none is under way, so whatever is
        // committed later has a later place.
        let last: i64 = self.with(|connection| {
            let mut transaction = connection.client.transaction()?;
            transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&D::COMMITTING])?;
            let last = transaction.query_one(D::STATEMENTS.last_event, &[])?.get(0);
            transaction.commit()?;
            Ok(last)
        })?;
        let rows = self.query(
            D::STATEMENTS.events_after,
            &[&integer(place.0), &last, &count(most)],
        )?;
        rows.iter().map(placed).collect()
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
            let items = connection.statement(D::STATEMENTS.forget_items)?;
            let items = connection.client.execute(&items, &[&expired, &most])?;
            let gone = connection.statement(D::STATEMENTS.forget_events)?;
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

fn placed<E: items::Event>(row: &Row) -> Result<(EventPlace, E), StoreError> {
    let event = serde_json::from_str(row.get(1))
        .map_err(|error| StoreError::Unreadable(format!("an event: {error}")))?;
    Ok((EventPlace(unsigned(row.get(0))), event))
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
