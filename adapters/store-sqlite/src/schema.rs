//! The file, its settings and its schema.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use id_registry::StoreError;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

/// The schema, in the order in which it grew. A file is never changed once it was released; a change is a new file.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_register.sql"),
    include_str!("migrations/0002_import.sql"),
    include_str!("migrations/0003_names.sql"),
    include_str!("migrations/0004_images.sql"),
    include_str!("migrations/0005_exchange.sql"),
];

/// Connections that read at one time; more readers wait.
pub const READERS: usize = 8;
/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 64;

/// How long is waited for others who use the file.
const WAIT: Duration = Duration::from_secs(10);

pub(crate) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let failed =
        |error: rusqlite::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
    // What is kept is personal: nobody else on the machine reads it. SQLite gives its journals the rights of the file. Only
    // a new file is opened here, as closing one that SQLite has open would give up the locks of this process.
    let new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    drop(new);
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(WAIT).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // While another program opens the same new file, SQLite gives up at once here instead of waiting.
    let begun = Instant::now();
    while let Err(error) = connection.execute_batch("PRAGMA journal_mode = WAL") {
        if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) || begun.elapsed() > WAIT {
            return Err(failed(error));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA cache_size = -16384; PRAGMA trusted_schema = OFF;",
        )
        .map_err(failed)?;
    Ok(connection)
}

/// Connections that read beside the one that writes, each made when it is first needed.
pub(crate) struct Readers {
    path: PathBuf,
    places: Vec<Mutex<Option<Connection>>>,
}

impl Readers {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            places: (0..READERS).map(|_| Mutex::new(None)).collect(),
        }
    }

    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let free = self.places.iter().find_map(|place| place.try_lock().ok());
        let mut place = free.unwrap_or_else(|| {
            self.places[0]
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        });
        if place.is_none() {
            *place = Some(connect(&self.path)?);
        }
        match place.as_ref() {
            Some(connection) => work(connection).map_err(unavailable),
            None => Err(StoreError::Unavailable("no connection".to_owned())),
        }
    }
}

pub(crate) fn unavailable(error: rusqlite::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// Brings the schema up to this program's.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let failed = unavailable;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let version: usize = transaction
        .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
        .map_err(failed)?
        .try_into()
        .unwrap_or(usize::MAX);
    let missing = MIGRATIONS.get(version..).ok_or_else(|| {
        StoreError::Unreadable(format!(
            "its schema has version {version}, this program knows {}; use a newer program",
            MIGRATIONS.len()
        ))
    })?;
    for migration in missing {
        transaction.execute_batch(migration).map_err(failed)?;
    }
    transaction
        .pragma_update(
            None,
            "user_version",
            i64::try_from(MIGRATIONS.len()).unwrap_or(0),
        )
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test says where")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_file_and_its_journals_are_for_their_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let connection = connect(&directory.path().join("register.sqlite")).unwrap();
        connection
            .execute_batch("CREATE TABLE person (number)")
            .unwrap();
        let files: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|file| file.unwrap())
            .collect();
        assert_eq!(files.len(), 3, "{files:?}");
        for file in files {
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file:?}");
        }
    }
}
