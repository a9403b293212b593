//! Copying a database as it was at one moment, and bringing a copy back.
//!
//! `pg_dump` and `pg_restore` do the work. What was copied is described within the same snapshot: rows and a sum over
//! them by table. So a restored copy can be compared with what there was, row for row, without keeping any.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use postgres::config::Host;
use postgres::{Client, Config, IsolationLevel, NoTls, Transaction};

use crate::PostgresRegister;
use crate::items::{PostgresIdentity, PostgresSigning};

/// What is in a database: by table its rows, and a sum over all of them whatever their order.
pub type Contents = BTreeMap<String, (u64, String)>;

/// Why a database is not copied or brought back.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The parameters cannot be read. They are not repeated: they may hold a password.
    #[error("the connection string cannot be read")]
    Parameters,
    /// The database does not answer.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// A program is missing or failed.
    #[error("{program}: {said}")]
    Program {
        /// Which.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// A copy is brought back only into an empty database.
    #[error("the database is not empty: it has a table {0}; name a new one")]
    NotEmpty(String),
    /// What was brought back, this program does not open.
    #[error("this program does not open what was brought back: {0}")]
    Unreadable(String),
}

fn unavailable(error: postgres::Error) -> CopyError {
    CopyError::Unavailable(match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => error.to_string(),
    })
}

/// Where a database is.
#[derive(Clone)]
pub struct Place(Config);

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

impl Place {
    /// A place, given as a connection string or URL of `libpq`'s form.
    ///
    /// # Errors
    /// It is none.
    pub fn new(parameters: &str) -> Result<Self, CopyError> {
        parameters
            .parse()
            .map(Self)
            .map_err(|_| CopyError::Parameters)
    }

    fn connect(&self) -> Result<Client, CopyError> {
        self.0.connect(NoTls).map_err(unavailable)
    }

    /// A program of PostgreSQL that reaches the same place. What is secret is in its environment, not in its arguments,
    /// which everybody on the machine can read.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        let config = &self.0;
        if let Some(host) = config.get_hosts().first() {
            let host: &Path = match host {
                Host::Tcp(name) => Path::new(name),
                Host::Unix(folder) => folder,
            };
            command.env("PGHOST", host);
        }
        if let Some(port) = config.get_ports().first() {
            command.env("PGPORT", port.to_string());
        }
        if let Some(user) = config.get_user() {
            command.env("PGUSER", user);
        }
        if let Some(password) = config.get_password() {
            command.env("PGPASSWORD", String::from_utf8_lossy(password).into_owned());
        }
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn database(&self) -> String {
        let config = &self.0;
        let named = config.get_dbname().or_else(|| config.get_user());
        named.unwrap_or("postgres").to_owned()
    }

    /// What is in the database now.
    ///
    /// # Errors
    /// See [`CopyError`].
    pub fn contents(&self) -> Result<Contents, CopyError> {
        let mut client = self.connect()?;
        let mut transaction = client.transaction().map_err(unavailable)?;
        contents(&mut transaction).map_err(unavailable)
    }

    /// Copies the database as it is at this moment: `take` gets what `pg_dump` writes, in its custom form. Gives what
    /// was in it at the same moment, and what `take` gave.
    ///
    /// # Errors
    /// See [`CopyError`]; those of `take`, as it gave them.
    pub fn copy<T, E: From<CopyError>>(
        &self,
        take: impl FnOnce(ChildStdout) -> Result<T, E>,
    ) -> Result<(Contents, T), E> {
        let mut client = self.connect()?;
        let mut transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .map_err(unavailable)?;
        let snapshot: String = transaction
            .query_one("SELECT pg_export_snapshot()", &[])
            .map_err(unavailable)?
            .get(0);
        let mut dump = start(
            "pg_dump",
            self.program("pg_dump")
                .args(["--format=custom", "--compress=1"])
                .arg(format!("--snapshot={snapshot}"))
                .arg(format!("--dbname={}", self.database()))
                .stdout(Stdio::piped()),
        )?;
        let taken = match dump.stdout.take() {
            Some(plain) => take(plain),
            None => Err(failed("pg_dump", "it gives nothing").into()),
        };
        let ended = ended("pg_dump", dump);
        // If it was cut off because nobody took it, that is what is told.
        let taken = taken?;
        ended?;
        let contents = contents(&mut transaction).map_err(unavailable)?;
        Ok((contents, taken))
    }

    /// Brings a copy back into this database, which is empty: all of it or nothing.
    ///
    /// # Errors
    /// See [`CopyError`].
    pub fn bring_back(&self, plain: ChildStdout) -> Result<(), CopyError> {
        if let Some((table, _)) = self.contents()?.pop_first() {
            return Err(CopyError::NotEmpty(table));
        }
        let restore = start(
            "pg_restore",
            self.program("pg_restore")
                .args(["--exit-on-error", "--single-transaction", "--no-owner"])
                .arg("--no-privileges")
                .arg(format!("--dbname={}", self.database()))
                // Indexes are made in memory, not on the disk.
                .env("PGOPTIONS", "-c maintenance_work_mem=512MB")
                .stdin(plain)
                .stdout(Stdio::null()),
        )?;
        ended("pg_restore", restore)
    }

    /// A new database on the same server, which is gone when the value is.
    ///
    /// # Errors
    /// See [`CopyError`].
    pub fn scratch(&self, name: &str) -> Result<Scratch, CopyError> {
        let mut admin = self.connect()?;
        admin
            .batch_execute(&format!("CREATE DATABASE \"{}\"", name.replace('"', "")))
            .map_err(unavailable)?;
        let mut config = self.0.clone();
        config.dbname(name);
        Ok(Scratch {
            place: Self(config),
            admin,
            name: name.to_owned(),
        })
    }

    /// Opens with this program whatever of its databases is here.
    ///
    /// # Errors
    /// [`CopyError::Unreadable`]; see [`CopyError`].
    pub fn opens(&self) -> Result<(), CopyError> {
        let there = self.contents()?;
        let has = |table: &str| there.contains_key(table);
        let unreadable = |error: &dyn std::fmt::Display| CopyError::Unreadable(error.to_string());
        if has("public.identity_item") {
            PostgresIdentity::over(self.0.clone()).map_err(|error| unreadable(&error))?;
        }
        if has("public.signing_item") {
            PostgresSigning::over(self.0.clone()).map_err(|error| unreadable(&error))?;
        }
        if has("public.act") {
            PostgresRegister::over(self.0.clone()).map_err(|error| unreadable(&error))?;
        }
        Ok(())
    }
}

/// A database to try something in.
pub struct Scratch {
    place: Place,
    admin: Client,
    name: String,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Scratch").field(&self.name).finish()
    }
}

impl Scratch {
    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever cannot reach the server any more finds it by its name.
        let drop = format!(
            "DROP DATABASE \"{}\" WITH (FORCE)",
            self.name.replace('"', "")
        );
        let _ = self.admin.batch_execute(&drop);
    }
}

fn contents(transaction: &mut Transaction<'_>) -> Result<Contents, postgres::Error> {
    let tables = transaction.query(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'r' AND c.relpersistence = 'p' \
         AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'",
        &[],
    )?;
    let mut found = Contents::new();
    for table in tables {
        // The server quoted it.
        let table: String = table.get(0);
        let sql = format!(
            "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text \
             FROM {table} t"
        );
        let row = transaction.query_one(&sql, &[])?;
        let rows = u64::try_from(row.get::<_, i64>(0)).unwrap_or_default();
        found.insert(table, (rows, row.get(1)));
    }
    Ok(found)
}

fn failed(program: &'static str, said: &str) -> CopyError {
    CopyError::Program {
        program,
        said: said.trim().to_owned(),
    }
}

fn start(program: &'static str, command: &mut Command) -> Result<Child, CopyError> {
    command
        .spawn()
        .map_err(|error| failed(program, &format!("{error}; install postgresql-client")))
}

fn ended(program: &'static str, mut child: Child) -> Result<(), CopyError> {
    let mut said = String::new();
    if let Some(mut wrong) = child.stderr.take() {
        // What it says is told only if it failed.
        let _ = wrong.read_to_string(&mut said);
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(failed(program, &said)),
        Err(error) => Err(failed(program, &error.to_string())),
    }
}
