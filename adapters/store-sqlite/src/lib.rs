//! The population register in an SQLite file: for tests, the demonstration and small registers.
//!
//! One connection writes, up to [`READERS`] read beside it (write-ahead log). Every commit is flushed before it is
//! acknowledged (`synchronous = FULL`). The schema is a list of numbered files; a file that a newer program wrote is
//! refused. `store-postgres` fulfils the same port, and one suite of tests holds for both.

mod copy;
mod load;
mod names;
mod schema;

mod items;

pub use self::copy::{CopyError, contents, copy};
pub use self::items::{SqliteIdentity, SqliteItems, SqliteSigning};
pub use schema::READERS;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use id_registry::{
    Act, ActId, Decided, Entry, Hit, Image, ImageId, Issued, LookUp, NameQuery, Notice,
    PersonalNumber, Record, Records, Register, Sex, StoreError, USERS_ARE_TOLD_FOR, Vocabulary,
    keys_of_record, merge_of, stored_image,
};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use time::{Date, OffsetDateTime};

use crate::names::Words;
use crate::schema::{Readers, unavailable};

/// How often a load tells its progress, in acts.
const PROGRESS_STEP: u64 = 1000;

/// The register in one file.
pub struct SqliteRegister {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Readers,
    /// The names of the register, as far as a search has needed them.
    vocabulary: RwLock<Vocabulary>,
}

impl std::fmt::Debug for SqliteRegister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteRegister")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl SqliteRegister {
    /// Opens the register in a file, which is made if it is not there.
    ///
    /// # Errors
    /// The file cannot be used, or a newer program wrote it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut writer = schema::connect(path)?;
        schema::migrate(&mut writer)?;
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Readers::new(path),
            vocabulary: RwLock::default(),
        })
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        // Whoever panicked left no transaction behind: a dropped one is rolled back.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.readers.read(work)
    }
}

impl Records for SqliteRegister {
    type Error = StoreError;

    fn record(&self, number: PersonalNumber) -> Result<Option<Record>, StoreError> {
        let rows = self.read(|connection| acts_about(connection, number))?;
        record(number, rows)
    }

    fn act(&self, id: ActId) -> Result<Option<Act>, StoreError> {
        let row = self.read(|connection| {
            connection
                .prepare_cached("SELECT id, entered_at, entry FROM act WHERE id = ?")?
                .query_row([integer(id.0)], stored_act)
                .optional()
        })?;
        row.map(read_act).transpose()
    }
}

impl Register for SqliteRegister {
    fn enter(&self, decided: &Decided) -> Result<Act, StoreError> {
        let mut writer = self.writer();
        let transaction = begin(&mut writer)?;
        let act = enter(&transaction, decided)?;
        transaction.commit().map_err(unavailable)?;
        Ok(act)
    }

    fn enter_once(&self, decided: &Decided, digest: [u8; 32]) -> Result<Option<Act>, StoreError> {
        let (office, reference) = once(decided);
        let mut writer = self.writer();
        let transaction = begin(&mut writer)?;
        if entered(&transaction, office, reference)
            .map_err(unavailable)?
            .is_some()
        {
            return Ok(None);
        }
        let act = enter(&transaction, decided)?;
        transaction
            .prepare_cached(
                "INSERT INTO entered (office, reference, act, digest) VALUES (?, ?, ?, ?)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    office,
                    reference,
                    integer(act.id.0),
                    digest.as_slice()
                ])
            })
            .map_err(unavailable)?;
        transaction.commit().map_err(unavailable)?;
        Ok(Some(act))
    }

    fn entered(
        &self,
        office: &str,
        reference: &str,
    ) -> Result<Option<(ActId, Vec<u8>)>, StoreError> {
        self.read(|connection| entered(connection, office, reference))
    }

    fn take_turn(
        &self,
        subscriber: &str,
        server: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<ActId>, StoreError> {
        let writer = self.writer();
        let taken = writer
            .prepare_cached(
                "INSERT INTO subscriber (client, told, holder, held_until) \
                 VALUES (?1, (SELECT coalesce(max(id), 0) FROM act), ?2, ?4) \
                 ON CONFLICT (client) DO UPDATE SET holder = ?2, held_until = ?4 \
                 WHERE holder = ?2 OR held_until <= ?3 RETURNING told",
            )
            .and_then(|mut statement| {
                let values = params![subscriber, server, microseconds(now), microseconds(until)];
                statement
                    .query_row(values, |row| row.get::<_, i64>(0))
                    .optional()
            })
            .map_err(unavailable)?;
        Ok(taken.map(|act| ActId(unsigned(act))))
    }

    fn told(&self, subscriber: &str, server: &str, up_to: ActId) -> Result<bool, StoreError> {
        self.writer()
            .prepare_cached("UPDATE subscriber SET told = ?3 WHERE client = ?1 AND holder = ?2")
            .and_then(|mut statement| {
                statement.execute(params![subscriber, server, integer(up_to.0)])
            })
            .map(|changed| changed == 1)
            .map_err(unavailable)
    }

    fn load(
        &self,
        decided: &mut dyn Iterator<Item = Decided>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, StoreError> {
        let mut writer = self.writer();
        let transaction = begin(&mut writer)?;
        let mut load = load::Load::begin(&transaction)?;
        for decided in decided {
            load.write(decided)?;
            if load.written() % PROGRESS_STEP == 0 {
                progress(load.written());
            }
        }
        let written = load.written();
        transaction.commit().map_err(unavailable)?;
        progress(written);
        Ok(written)
    }

    fn take_over(
        &self,
        decided: &[Decided],
        rows: &[(PersonalNumber, u64)],
    ) -> Result<ActId, StoreError> {
        let mut writer = self.writer();
        let transaction = begin(&mut writer)?;
        let mut load = load::Load::begin(&transaction)?;
        let first = load.next();
        for decided in decided {
            load.write(decided.clone())?;
        }
        load.keep_rows(rows)?;
        transaction.commit().map_err(unavailable)?;
        Ok(first)
    }

    fn issued_of(&self, numbers: &[PersonalNumber]) -> Result<Vec<Issued>, StoreError> {
        self.read(|connection| load::issued_of(connection, numbers))
    }

    fn issued(&self, sex: Sex, born: Date) -> Result<BTreeSet<PersonalNumber>, StoreError> {
        let (first, last) = (
            PersonalNumber::compose(sex, born, 0),
            PersonalNumber::compose(sex, born, 99_999),
        );
        let numbers = self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT DISTINCT number FROM act_person WHERE number BETWEEN ? AND ?",
                )?
                .query_map([digits(first), digits(last)], |row| row.get::<_, i64>(0))?
                .collect::<rusqlite::Result<Vec<i64>>>()
        })?;
        numbers.into_iter().map(number).collect()
    }

    fn search(&self, query: &NameQuery, most: usize) -> Result<Vec<Hit>, StoreError> {
        let found =
            self.read(|connection| names::search(connection, &self.vocabulary, query, most))?;
        found
            .into_iter()
            .map(|(digits, likeness)| number(digits).map(|number| Hit { number, likeness }))
            .collect()
    }

    fn acts_after(&self, after: ActId, most: usize) -> Result<Vec<Act>, StoreError> {
        let rows = self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, entered_at, entry FROM act WHERE id > ? ORDER BY id LIMIT ?",
                )?
                .query_map([integer(after.0), count(most)], stored_act)?
                .collect::<rusqlite::Result<Vec<StoredAct>>>()
        })?;
        rows.into_iter().map(read_act).collect()
    }

    fn last_act(&self) -> Result<ActId, StoreError> {
        self.read(last_act)
    }

    fn keep_look_up(&self, look_up: &LookUp) -> Result<(), StoreError> {
        let writer = self.writer();
        let kept = writer
            .prepare_cached(
                "INSERT INTO look_up (number, at, client, user, purpose, service, query_id, released) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    digits(look_up.number),
                    microseconds(look_up.at),
                    look_up.client,
                    look_up.user,
                    look_up.purpose,
                    look_up.service,
                    look_up.query_id,
                    look_up.released.as_ref().map(|id| id.as_bytes().as_slice()),
                ])
            });
        kept.map(|_| ()).map_err(unavailable)
    }

    fn look_ups(&self, asked: PersonalNumber, most: usize) -> Result<Vec<LookUp>, StoreError> {
        let rows = self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT at, client, user, purpose, service, query_id, released FROM look_up \
                     WHERE number = ? ORDER BY id DESC LIMIT ?",
                )?
                .query_map([digits(asked), count(most)], |row| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        LookUp {
                            number: asked,
                            at: OffsetDateTime::UNIX_EPOCH,
                            client: row.get(1)?,
                            user: row.get(2)?,
                            purpose: row.get(3)?,
                            service: row.get(4)?,
                            query_id: row.get(5)?,
                            released: row
                                .get::<_, Option<Vec<u8>>>(6)?
                                .and_then(|id| ImageId::from_bytes(&id)),
                        },
                    ))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.into_iter()
            .map(|(at, look_up)| {
                Ok(LookUp {
                    at: moment(at)?,
                    ..look_up
                })
            })
            .collect()
    }

    fn keep_image(&self, image: &Image) -> Result<(), StoreError> {
        let kept = self
            .writer()
            .prepare_cached("INSERT OR IGNORE INTO image (id, bytes) VALUES (?, ?)")
            .and_then(|mut statement| {
                statement.execute(params![image.id().as_bytes().as_slice(), image.bytes()])
            });
        kept.map(|_| ()).map_err(unavailable)
    }

    fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        let bytes = self.read(|connection| {
            connection
                .prepare_cached("SELECT bytes FROM image WHERE id = ?")?
                .query_row([id.as_bytes().as_slice()], |row| row.get::<_, Vec<u8>>(0))
                .optional()
        })?;
        bytes.map(|bytes| stored_image(id, bytes)).transpose()
    }

    fn notices(&self, client: &str, after: u64, most: usize) -> Result<Vec<Notice>, StoreError> {
        let rows = self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, act, given_up, kept FROM notice \
                     WHERE client = ? AND id > ? ORDER BY id LIMIT ?",
                )?
                .query_map(params![client, integer(after), count(most)], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?
                .collect::<rusqlite::Result<Vec<(i64, i64, i64, i64)>>>()
        })?;
        rows.into_iter()
            .map(|(id, act, given_up, kept)| {
                Ok(Notice {
                    id: unsigned(id),
                    act: ActId(unsigned(act)),
                    given_up: number(given_up)?,
                    kept: number(kept)?,
                })
            })
            .collect()
    }
}

/// Writes an act, if the records that it was decided on have not changed.
fn enter(transaction: &Transaction<'_>, decided: &Decided) -> Result<Act, StoreError> {
    for (number, last) in decided.basis() {
        let found = last_act_about(transaction, *number).map_err(unavailable)?;
        if found != *last {
            return Err(StoreError::Conflict(*number));
        }
    }
    let id = last_act(transaction).map_err(unavailable)?;
    let act = Act {
        id: ActId(id.0 + 1),
        entered_at: stored_moment(decided.at()),
        entry: decided.entry().clone(),
    };
    let people = act.entry.people();
    write_act(transaction, &act, &people)?;
    let mut words = Words::default();
    for number in people {
        let rows = acts_about(transaction, number).map_err(unavailable)?;
        let keys = record(number, rows)?.map(|record| keys_of_record(&record));
        words
            .replace(transaction, number, &keys.unwrap_or_default())
            .map_err(unavailable)?;
    }
    if let Some((kept, given_up)) = merge_of(&act.entry) {
        tell_users(transaction, &act, kept, given_up).map_err(unavailable)?;
    }
    Ok(act)
}

/// The office and the reference of an entry, by which it is entered once.
fn once(decided: &Decided) -> (&str, &str) {
    let entry = decided.entry();
    (&entry.officer.office, &entry.reference)
}

fn entered(
    connection: &Connection,
    office: &str,
    reference: &str,
) -> rusqlite::Result<Option<(ActId, Vec<u8>)>> {
    connection
        .prepare_cached("SELECT act, digest FROM entered WHERE office = ? AND reference = ?")?
        .query_row([office, reference], |row| {
            Ok((ActId(unsigned(row.get(0)?)), row.get(1)?))
        })
        .optional()
}

type StoredAct = (i64, i64, String);

fn stored_act(row: &Row<'_>) -> rusqlite::Result<StoredAct> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn read_act((id, entered_at, entry): StoredAct) -> Result<Act, StoreError> {
    let entry: Entry = serde_json::from_str(&entry)
        .map_err(|error| StoreError::Unreadable(format!("act {id}: {error}")))?;
    Ok(Act {
        id: ActId(unsigned(id)),
        entered_at: moment(entered_at)?,
        entry,
    })
}

fn begin(writer: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    writer
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(unavailable)
}

fn write_act(
    transaction: &Transaction<'_>,
    act: &Act,
    people: &BTreeSet<PersonalNumber>,
) -> Result<(), StoreError> {
    let entry = serde_json::to_string(&act.entry)
        .map_err(|error| StoreError::Unreadable(error.to_string()))?;
    let written = || -> rusqlite::Result<()> {
        let id = integer(act.id.0);
        transaction
            .prepare_cached("INSERT INTO act (id, entered_at, entry) VALUES (?, ?, ?)")?
            .execute(params![id, microseconds(act.entered_at), entry])?;
        let mut about =
            transaction.prepare_cached("INSERT INTO act_person (number, act) VALUES (?, ?)")?;
        for number in people {
            about.execute([digits(*number), id])?;
        }
        Ok(())
    };
    written().map_err(unavailable)
}

/// Whoever looked the number up in the last year is told that it was given up.
fn tell_users(
    transaction: &Transaction<'_>,
    act: &Act,
    kept: PersonalNumber,
    given_up: PersonalNumber,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO notice (client, act, given_up, kept) \
             SELECT DISTINCT client, ?1, ?2, ?3 FROM look_up WHERE number = ?2 AND at >= ?4 ORDER BY client",
        )?
        .execute([
            integer(act.id.0),
            digits(given_up),
            digits(kept),
            microseconds(act.entered_at - USERS_ARE_TOLD_FOR),
        ])
        .map(|_| ())
}

fn acts_about(connection: &Connection, number: PersonalNumber) -> rusqlite::Result<Vec<StoredAct>> {
    connection
        .prepare_cached(
            "SELECT act.id, act.entered_at, act.entry FROM act_person JOIN act ON act.id = act_person.act \
             WHERE act_person.number = ? ORDER BY act.id",
        )?
        .query_map([digits(number)], stored_act)?
        .collect()
}

fn record(number: PersonalNumber, rows: Vec<StoredAct>) -> Result<Option<Record>, StoreError> {
    let acts: Vec<Act> = rows.into_iter().map(read_act).collect::<Result<_, _>>()?;
    Ok(Record::from_acts(number, &acts))
}

fn last_act(connection: &Connection) -> rusqlite::Result<ActId> {
    connection
        .prepare_cached("SELECT coalesce(max(id), 0) FROM act")?
        .query_row([], |row| Ok(ActId(unsigned(row.get(0)?))))
}

fn last_act_about(
    connection: &Connection,
    number: PersonalNumber,
) -> rusqlite::Result<Option<ActId>> {
    connection
        .prepare_cached("SELECT max(act) FROM act_person WHERE number = ?")?
        .query_row([digits(number)], |row| {
            Ok(row
                .get::<_, Option<i64>>(0)?
                .map(|act| ActId(unsigned(act))))
        })
}

/// The 14 digits as a number.
fn digits(number: PersonalNumber) -> i64 {
    number.as_str().parse().unwrap_or_default()
}

fn number(digits: i64) -> Result<PersonalNumber, StoreError> {
    format!("{digits:014}")
        .parse()
        .map_err(|error| StoreError::Unreadable(format!("a stored number: {error}")))
}

fn microseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

fn moment(microseconds: i64) -> Result<OffsetDateTime, StoreError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(microseconds) * 1000)
        .map_err(|error| StoreError::Unreadable(format!("a stored moment: {error}")))
}

/// A moment as it is read back.
fn stored_moment(at: OffsetDateTime) -> OffsetDateTime {
    moment(microseconds(at)).unwrap_or(at)
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
