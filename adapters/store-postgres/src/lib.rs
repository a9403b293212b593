//! The population register in PostgreSQL: for registers of a country, and several servers over one database.
//!
//! Transactions that enter acts take one lock of the database, so that acts have an order without gaps; reading needs
//! no lock. A commit is acknowledged as `synchronous_commit` of the database says: its default is durable. The
//! connection is not encrypted by this program: reach the database over its Unix socket, or over a network that is
//! protected otherwise. `store-sqlite` fulfils the same port, and one suite of tests holds for both.

mod backup;
mod connections;
mod load;
mod names;

mod items;

pub use self::backup::{Contents, CopyError, Place, Scratch};
pub use self::items::{PostgresIdentity, PostgresItems, PostgresSigning};

use std::collections::BTreeSet;
use std::sync::RwLock;

use id_registry::{
    Act, ActId, Decided, Entry, Hit, Image, ImageId, Issued, LookUp, NameQuery, Notice,
    PersonalNumber, Record, Records, Register, Sex, StoreError, USERS_ARE_TOLD_FOR, Vocabulary,
    keys_of_record, merge_of, stored_image,
};
use postgres::{Config, Row, Transaction};
use time::{Date, OffsetDateTime};

use crate::connections::{Connection, Connections, WRITERS, unavailable};
use crate::names::Words;

const ACTS_ABOUT: &str = "SELECT act.id, act.entered_at, act.entry FROM act_person \
     JOIN act ON act.id = act_person.act WHERE act_person.number = $1 ORDER BY act.id";
const ACT: &str = "SELECT id, entered_at, entry FROM act WHERE id = $1";
const ACTS_AFTER: &str = "SELECT id, entered_at, entry FROM act WHERE id > $1 ORDER BY id LIMIT $2";
const ISSUED: &str = "SELECT DISTINCT number FROM act_person WHERE number BETWEEN $1 AND $2";
const ISSUED_OF: &str = "SELECT wanted.number, taken_over.digest FROM unnest($1::bigint[]) AS wanted (number) \
     LEFT JOIN taken_over ON taken_over.number = wanted.number \
     WHERE EXISTS (SELECT 1 FROM act_person WHERE act_person.number = wanted.number)";
const LAST_ACT: &str = "SELECT coalesce(max(id), 0) FROM act";
const KEEP_LOOK_UP: &str = "INSERT INTO look_up (number, at, client, officer, purpose, service, query_id, released) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const LOOK_UPS: &str = "SELECT at, client, officer, purpose, service, query_id, released FROM look_up \
     WHERE number = $1 ORDER BY id DESC LIMIT $2";
const KEEP_IMAGE: &str = "INSERT INTO image (id, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const IMAGE: &str = "SELECT bytes FROM image WHERE id = $1";
const ENTERED: &str = "SELECT act, digest FROM entered WHERE office = $1 AND reference = $2";
const TAKE_TURN: &str = "INSERT INTO subscriber (client, told, holder, held_until) \
     VALUES ($1, (SELECT coalesce(max(id), 0) FROM act), $2, $4) \
     ON CONFLICT (client) DO UPDATE SET holder = $2, held_until = $4 \
     WHERE subscriber.holder = $2 OR subscriber.held_until <= $3 RETURNING told";
const TOLD: &str =
    "UPDATE subscriber SET told = $3 WHERE client = $1 AND holder = $2 RETURNING told";
const NOTICES: &str = "SELECT id, act, given_up, kept FROM notice \
     WHERE client = $1 AND id > $2 ORDER BY id LIMIT $3";

/// The register in a database.
pub struct PostgresRegister {
    connections: Connections,
    /// The names of the register, as far as a search has needed them.
    vocabulary: RwLock<Vocabulary>,
}

impl std::fmt::Debug for PostgresRegister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connection's parameters may hold a password.
        f.debug_struct("PostgresRegister").finish_non_exhaustive()
    }
}

impl PostgresRegister {
    /// Opens the register in a database, given as a connection string or URL of `libpq`'s form, and brings its schema
    /// up to this program's.
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
        Ok(Self {
            connections: Connections::open(config)?,
            vocabulary: RwLock::default(),
        })
    }

    fn query(
        &self,
        sql: &'static str,
        values: &[&(dyn postgres::types::ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.connections.with(|connection| {
            let statement = connection.statement(sql).map_err(unavailable)?;
            connection
                .client
                .query(&statement, values)
                .map_err(unavailable)
        })
    }
}

impl Records for PostgresRegister {
    type Error = StoreError;

    fn record(&self, number: PersonalNumber) -> Result<Option<Record>, StoreError> {
        record(number, &self.query(ACTS_ABOUT, &[&digits(number)])?)
    }

    fn act(&self, id: ActId) -> Result<Option<Act>, StoreError> {
        let rows = self.query(ACT, &[&integer(id.0)])?;
        rows.first().map(read_act).transpose()
    }
}

impl Register for PostgresRegister {
    fn enter(&self, decided: &Decided) -> Result<Act, StoreError> {
        self.connections
            .with(|connection| enter(connection, decided))
    }

    fn enter_once(&self, decided: &Decided, digest: [u8; 32]) -> Result<Option<Act>, StoreError> {
        self.connections
            .with(|connection| enter_once(connection, decided, &digest))
    }

    fn entered(
        &self,
        office: &str,
        reference: &str,
    ) -> Result<Option<(ActId, Vec<u8>)>, StoreError> {
        let rows = self.query(ENTERED, &[&office, &reference])?;
        Ok(rows
            .first()
            .map(|row| (ActId(unsigned(row.get(0))), row.get(1))))
    }

    fn take_turn(
        &self,
        subscriber: &str,
        server: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<ActId>, StoreError> {
        let values = (microseconds(now), microseconds(until));
        let rows = self.query(TAKE_TURN, &[&subscriber, &server, &values.0, &values.1])?;
        Ok(rows.first().map(|row| ActId(unsigned(row.get(0)))))
    }

    fn told(&self, subscriber: &str, server: &str, up_to: ActId) -> Result<bool, StoreError> {
        let rows = self.query(TOLD, &[&subscriber, &server, &integer(up_to.0)])?;
        Ok(rows.len() == 1)
    }

    fn load(
        &self,
        decided: &mut dyn Iterator<Item = Decided>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, StoreError> {
        self.connections
            .with(|connection| load::load(connection, decided, progress))
    }

    fn take_over(
        &self,
        decided: &[Decided],
        rows: &[(PersonalNumber, u64)],
    ) -> Result<ActId, StoreError> {
        self.connections
            .with(|connection| load::take_over(connection, decided, rows))
    }

    fn issued_of(&self, numbers: &[PersonalNumber]) -> Result<Vec<Issued>, StoreError> {
        let wanted: Vec<i64> = numbers.iter().copied().map(digits).collect();
        let rows = self.query(ISSUED_OF, &[&wanted])?;
        rows.iter()
            .map(|row| {
                Ok(Issued {
                    number: number(row.get(0))?,
                    digest: row.get::<_, Option<i64>>(1).map(i64::cast_unsigned),
                })
            })
            .collect()
    }

    fn issued(&self, sex: Sex, born: Date) -> Result<BTreeSet<PersonalNumber>, StoreError> {
        let first = digits(PersonalNumber::compose(sex, born, 0));
        let last = digits(PersonalNumber::compose(sex, born, 99_999));
        let rows = self.query(ISSUED, &[&first, &last])?;
        rows.iter().map(|row| number(row.get(0))).collect()
    }

    fn search(&self, query: &NameQuery, most: usize) -> Result<Vec<Hit>, StoreError> {
        let found = self.connections.with(|connection| {
            names::search(connection, &self.vocabulary, query, most).map_err(unavailable)
        })?;
        found
            .into_iter()
            .map(|(digits, likeness)| number(digits).map(|number| Hit { number, likeness }))
            .collect()
    }

    fn acts_after(&self, after: ActId, most: usize) -> Result<Vec<Act>, StoreError> {
        let rows = self.query(ACTS_AFTER, &[&integer(after.0), &count(most)])?;
        rows.iter().map(read_act).collect()
    }

    fn last_act(&self) -> Result<ActId, StoreError> {
        let rows = self.query(LAST_ACT, &[])?;
        Ok(ActId(
            rows.first()
                .map(|row| unsigned(row.get(0)))
                .unwrap_or_default(),
        ))
    }

    fn keep_look_up(&self, look_up: &LookUp) -> Result<(), StoreError> {
        self.query(
            KEEP_LOOK_UP,
            &[
                &digits(look_up.number),
                &microseconds(look_up.at),
                &look_up.client,
                &look_up.user,
                &look_up.purpose,
                &look_up.service,
                &look_up.query_id,
                &look_up.released.as_ref().map(|id| id.as_bytes().as_slice()),
            ],
        )
        .map(|_| ())
    }

    fn look_ups(&self, asked: PersonalNumber, most: usize) -> Result<Vec<LookUp>, StoreError> {
        let rows = self.query(LOOK_UPS, &[&digits(asked), &count(most)])?;
        rows.iter()
            .map(|row| {
                Ok(LookUp {
                    number: asked,
                    at: moment(row.get(0))?,
                    client: row.get(1),
                    user: row.get(2),
                    purpose: row.get(3),
                    service: row.get(4),
                    query_id: row.get(5),
                    released: row.get::<_, Option<&[u8]>>(6).and_then(ImageId::from_bytes),
                })
            })
            .collect()
    }

    fn keep_image(&self, image: &Image) -> Result<(), StoreError> {
        let id = image.id();
        self.query(KEEP_IMAGE, &[&id.as_bytes().as_slice(), &image.bytes()])
            .map(|_| ())
    }

    fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        let rows = self.query(IMAGE, &[&id.as_bytes().as_slice()])?;
        rows.first()
            .map(|row| stored_image(id, row.get(0)))
            .transpose()
    }

    fn notices(&self, client: &str, after: u64, most: usize) -> Result<Vec<Notice>, StoreError> {
        let rows = self.query(NOTICES, &[&client, &integer(after), &count(most)])?;
        rows.iter()
            .map(|row| {
                Ok(Notice {
                    id: unsigned(row.get(0)),
                    act: ActId(unsigned(row.get(1))),
                    given_up: number(row.get(2))?,
                    kept: number(row.get(3))?,
                })
            })
            .collect()
    }
}

fn enter(connection: &mut Connection, decided: &Decided) -> Result<Act, StoreError> {
    let mut transaction = connection.client.transaction().map_err(unavailable)?;
    let last = lock(&mut transaction).map_err(unavailable)?;
    let act = write(&mut transaction, last, decided)?;
    transaction.commit().map_err(unavailable)?;
    Ok(act)
}

fn enter_once(
    connection: &mut Connection,
    decided: &Decided,
    digest: &[u8],
) -> Result<Option<Act>, StoreError> {
    let entry = decided.entry();
    let (office, reference) = (&entry.officer.office, &entry.reference);
    let mut transaction = connection.client.transaction().map_err(unavailable)?;
    let last = lock(&mut transaction).map_err(unavailable)?;
    let used = transaction
        .query(ENTERED, &[office, reference])
        .map_err(unavailable)?;
    if !used.is_empty() {
        return Ok(None);
    }
    let act = write(&mut transaction, last, decided)?;
    transaction
        .execute(
            "INSERT INTO entered (office, reference, act, digest) VALUES ($1, $2, $3, $4)",
            &[office, reference, &integer(act.id.0), &digest],
        )
        .map_err(unavailable)?;
    transaction.commit().map_err(unavailable)?;
    Ok(Some(act))
}

/// Writes an act after the last one, if the records that it was decided on have not changed.
fn write(
    transaction: &mut Transaction<'_>,
    last: u64,
    decided: &Decided,
) -> Result<Act, StoreError> {
    check_basis(transaction, decided)?;
    let act = Act {
        id: ActId(last + 1),
        entered_at: stored_moment(decided.at()),
        entry: decided.entry().clone(),
    };
    let entry = to_json(&act.entry)?;
    let people = act.entry.people();
    let id = integer(act.id.0);
    let numbers: Vec<i64> = people.iter().copied().map(digits).collect();
    transaction
        .execute(
            "INSERT INTO act (id, entered_at, entry) VALUES ($1, $2, $3)",
            &[&id, &microseconds(act.entered_at), &entry],
        )
        .and_then(|_| {
            transaction.execute(
                "INSERT INTO act_person (number, act) SELECT unnest($1::bigint[]), $2",
                &[&numbers, &id],
            )
        })
        .map_err(unavailable)?;
    let mut words = Words::default();
    for number in people {
        let rows = transaction
            .query(ACTS_ABOUT, &[&digits(number)])
            .map_err(unavailable)?;
        let keys = record(number, &rows)?
            .map(|record| keys_of_record(&record))
            .unwrap_or_default();
        let pairs = words.pairs(transaction, &keys).map_err(unavailable)?;
        find_under(transaction, digits(number), &pairs).map_err(unavailable)?;
    }
    if let Some((kept, given_up)) = merge_of(&act.entry) {
        tell_users(transaction, &act, kept, given_up).map_err(unavailable)?;
    }
    Ok(act)
}

/// Takes the writers' lock until the transaction ends; gives the last act.
fn lock(transaction: &mut Transaction<'_>) -> Result<u64, postgres::Error> {
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&WRITERS])?;
    let row = transaction.query_one(LAST_ACT, &[])?;
    Ok(unsigned(row.get(0)))
}

fn check_basis(transaction: &mut Transaction<'_>, decided: &Decided) -> Result<(), StoreError> {
    let numbers: Vec<i64> = decided.basis().keys().copied().map(digits).collect();
    let rows = transaction
        .query(
            "SELECT number, max(act) FROM act_person WHERE number = ANY($1) GROUP BY number",
            &[&numbers],
        )
        .map_err(unavailable)?;
    let found: std::collections::HashMap<i64, i64> =
        rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (number, last) in decided.basis() {
        let found = found.get(&digits(*number)).map(|act| ActId(unsigned(*act)));
        if found != *last {
            return Err(StoreError::Conflict(*number));
        }
    }
    Ok(())
}

fn find_under(
    transaction: &mut Transaction<'_>,
    number: i64,
    pairs: &BTreeSet<(i64, i64)>,
) -> Result<(), postgres::Error> {
    transaction.execute("DELETE FROM bearer WHERE number = $1", &[&number])?;
    for (family, given) in pairs {
        transaction.execute(
            "INSERT INTO bearer (family, given, number) VALUES ($1, $2, $3)",
            &[family, given, &number],
        )?;
    }
    Ok(())
}

/// Whoever looked the number up in the last year is told that it was given up.
fn tell_users(
    transaction: &mut Transaction<'_>,
    act: &Act,
    kept: PersonalNumber,
    given_up: PersonalNumber,
) -> Result<(), postgres::Error> {
    let since = microseconds(act.entered_at - USERS_ARE_TOLD_FOR);
    transaction
        .execute(
            "INSERT INTO notice (client, act, given_up, kept) \
             SELECT DISTINCT client, $1::bigint, $2::bigint, $3::bigint FROM look_up \
             WHERE number = $2 AND at >= $4 ORDER BY client",
            &[&integer(act.id.0), &digits(given_up), &digits(kept), &since],
        )
        .map(|_| ())
}

fn to_json(entry: &Entry) -> Result<String, StoreError> {
    serde_json::to_string(entry).map_err(|error| StoreError::Unreadable(error.to_string()))
}

fn read_act(row: &Row) -> Result<Act, StoreError> {
    let id: i64 = row.get(0);
    let entry: Entry = serde_json::from_str(row.get(2))
        .map_err(|error| StoreError::Unreadable(format!("act {id}: {error}")))?;
    Ok(Act {
        id: ActId(unsigned(id)),
        entered_at: moment(row.get(1))?,
        entry,
    })
}

fn record(number: PersonalNumber, rows: &[Row]) -> Result<Option<Record>, StoreError> {
    let acts: Vec<Act> = rows.iter().map(read_act).collect::<Result<_, _>>()?;
    Ok(Record::from_acts(number, &acts))
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
