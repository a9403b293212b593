//! Connections to the database and its schema.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::names::Words;
use id_registry::StoreError;
use postgres::{Client, Config, NoTls, Statement};

/// The schema, in the order in which it grew. A file is never changed once it was released; a change is a new file.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_register.sql"),
    include_str!("migrations/0002_import.sql"),
    include_str!("migrations/0003_names.sql"),
    include_str!("migrations/0004_images.sql"),
    include_str!("migrations/0005_exchange.sql"),
];

/// Connections of one server; more readers wait.
const MOST: usize = 16;

/// Key of the lock that lets one transaction at a time enter acts, on all servers of one database: so that ids have no
/// gaps and whoever asks for changes after one misses none. ("tunduk" in ASCII.)
pub(crate) const WRITERS: i64 = 0x7475_6e64_756b;

/// A connection with its prepared statements.
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// The names that committed transactions of this connection have seen. Names are never removed. Only the register
    /// has any.
    pub(crate) words: Words,
    statements: HashMap<&'static str, Statement>,
}

impl Connection {
    /// A statement, prepared the first time.
    pub(crate) fn statement(&mut self, sql: &'static str) -> Result<Statement, postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }
}

/// The connections of a server.
pub(crate) struct Connections {
    config: Config,
    idle: Mutex<Idle>,
    returned: Condvar,
}

struct Idle {
    free: Vec<Connection>,
    out: usize,
}

impl Connections {
    /// Connects to nothing yet.
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            idle: Mutex::new(Idle {
                free: Vec::new(),
                out: 0,
            }),
            returned: Condvar::new(),
        }
    }

    /// Connects and brings the register's schema up.
    pub(crate) fn open(config: Config) -> Result<Self, StoreError> {
        let connections = Self::new(config);
        connections.with(migrate)?;
        Ok(connections)
    }

    /// Works with a connection. One that failed is not used again.
    pub(crate) fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut taken = self.take().map_err(unavailable)?;
        let result = work(&mut taken);
        let keep = !matches!(result, Err(StoreError::Unavailable(_))) && !taken.client.is_closed();
        self.give_back(keep.then_some(taken));
        result
    }

    /// Works with a connection, whatever it fails with. One that broke is not used again.
    pub(crate) fn with_open<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, postgres::Error>,
    ) -> Result<T, postgres::Error> {
        let mut taken = self.take()?;
        let result = work(&mut taken);
        let broken = taken.client.is_closed();
        self.give_back((!broken).then_some(taken));
        result
    }

    /// A connection that is free and has not broken meanwhile, or another one.
    fn take(&self) -> Result<Connection, postgres::Error> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while idle.free.is_empty() && idle.out >= MOST {
            idle = self
                .returned
                .wait(idle)
                .unwrap_or_else(PoisonError::into_inner);
        }
        idle.out += 1;
        while let Some(connection) = idle.free.pop() {
            if !connection.client.is_closed() {
                return Ok(connection);
            }
        }
        drop(idle);
        match self.config.connect(NoTls) {
            Ok(client) => Ok(Connection {
                client,
                words: Words::default(),
                statements: HashMap::new(),
            }),
            Err(error) => {
                self.give_back(None);
                Err(error)
            }
        }
    }

    fn give_back(&self, connection: Option<Connection>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.out -= 1;
        idle.free.extend(connection);
        self.returned.notify_one();
    }
}

impl Drop for Connections {
    /// Closing a connection blocks, which a thread of an asynchronous server may not.
    fn drop(&mut self) {
        let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
        let free = std::mem::take(&mut idle.free);
        if free.is_empty() {
            return;
        }
        let closing = std::thread::Builder::new()
            .name("closing connections".to_owned())
            .spawn(move || drop(free));
        if let Ok(closing) = closing {
            let _ = closing.join();
        }
    }
}

/// Brings a schema up to these migrations; one server at a time, by a lock of this key. Gives the version that it has
/// then, which is higher than ours if a newer program made it.
pub(crate) fn bring_up(
    client: &mut Client,
    table: &str,
    lock: i64,
    migrations: &[impl AsRef<str>],
) -> Result<i32, postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&lock])?;
    transaction.batch_execute(&format!(
        "SET LOCAL client_min_messages = warning; CREATE TABLE IF NOT EXISTS {table} (version INT NOT NULL); \
         INSERT INTO {table} SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM {table})",
    ))?;
    let version: i32 = transaction
        .query_one(&format!("SELECT version FROM {table}"), &[])?
        .get(0);
    let known = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(missing) = migrations.get(known..) else {
        return Ok(version);
    };
    for migration in missing {
        transaction.batch_execute(migration.as_ref())?;
    }
    let newest = i32::try_from(migrations.len()).unwrap_or(i32::MAX);
    transaction.execute(&format!("UPDATE {table} SET version = $1"), &[&newest])?;
    transaction.commit()?;
    Ok(newest)
}

/// Brings the schema up to this program's; one server at a time.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let version = bring_up(
        &mut connection.client,
        "schema_version",
        WRITERS,
        MIGRATIONS,
    )
    .map_err(unavailable)?;
    if usize::try_from(version) == Ok(MIGRATIONS.len()) {
        return Ok(());
    }
    Err(StoreError::Unreadable(format!(
        "its schema has version {version}, this program knows {}; use a newer program",
        MIGRATIONS.len()
    )))
}

/// The database's own words, without what a statement was given.
pub(crate) fn unavailable(error: postgres::Error) -> StoreError {
    let said = match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => error.to_string(),
    };
    StoreError::Unavailable(said)
}
