//! Many acts at once, by `COPY`.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;

use id_registry::{Act, ActId, Decided, PersonalNumber, StoreError, name_keys};
use postgres::Transaction;

use crate::connections::{Connection, unavailable};
use crate::names::Words;
use crate::{digits, integer, lock, microseconds, stored_moment, to_json, unsigned};

/// Acts that are copied together.
const TOGETHER: usize = 2000;

pub(crate) fn load(
    connection: &mut Connection,
    decided: &mut dyn Iterator<Item = Decided>,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, StoreError> {
    let mut transaction = connection.client.transaction().map_err(unavailable)?;
    let first = lock(&mut transaction).map_err(unavailable)?;
    let mut words = Words::default();
    let mut written = 0;
    loop {
        let together: Vec<Decided> = decided.take(TOGETHER).collect();
        if together.is_empty() {
            break;
        }
        check(&mut transaction, &together, first + written)?;
        copy(&mut transaction, &together, first + written, &mut words)?;
        written += together.len() as u64;
        progress(written);
    }
    transaction.commit().map_err(unavailable)?;
    Ok(written)
}

/// Acts of an import, with the rows that they come from.
pub(crate) fn take_over(
    connection: &mut Connection,
    decided: &[Decided],
    rows: &[(PersonalNumber, u64)],
) -> Result<ActId, StoreError> {
    let words = std::mem::take(&mut connection.words);
    let mut transaction = connection.client.transaction().map_err(unavailable)?;
    let before = lock(&mut transaction).map_err(unavailable)?;
    let mut words = words;
    let mut written = before;
    for together in decided.chunks(TOGETHER) {
        check(&mut transaction, together, written)?;
        copy(&mut transaction, together, written, &mut words)?;
        written += together.len() as u64;
    }
    let mut kept = String::new();
    for (number, digest) in rows {
        let _ = writeln!(kept, "{}\t{}", digits(*number), digest.cast_signed());
    }
    send(
        &mut transaction,
        "COPY taken_over (number, digest) FROM STDIN",
        &kept,
    )?;
    transaction.commit().map_err(unavailable)?;
    // What was rolled back is not remembered.
    connection.words = words;
    Ok(ActId(before + 1))
}

/// Whether the records are those that the acts were decided on, counting what is copied together.
fn check(
    transaction: &mut Transaction<'_>,
    together: &[Decided],
    before: u64,
) -> Result<(), StoreError> {
    let numbers: Vec<i64> = together
        .iter()
        .flat_map(|decided| decided.basis().keys().copied().map(digits))
        .collect();
    let rows = transaction
        .query(
            "SELECT number, max(act) FROM act_person WHERE number = ANY($1) GROUP BY number",
            &[&numbers],
        )
        .map_err(unavailable)?;
    let mut last: HashMap<i64, ActId> = rows
        .iter()
        .map(|row| (row.get(0), ActId(unsigned(row.get(1)))))
        .collect();
    for (place, decided) in (1..).zip(together) {
        for (number, expected) in decided.basis() {
            if last.get(&digits(*number)) != expected.as_ref() {
                return Err(StoreError::Conflict(*number));
            }
        }
        for number in decided.entry().people() {
            last.insert(digits(number), ActId(before + place));
        }
    }
    Ok(())
}

fn copy(
    transaction: &mut Transaction<'_>,
    together: &[Decided],
    before: u64,
    words: &mut Words,
) -> Result<(), StoreError> {
    let (mut acts, mut people, mut bearers) = (String::new(), String::new(), String::new());
    for (place, decided) in (1..).zip(together) {
        let act = Act {
            id: ActId(before + place),
            entered_at: stored_moment(decided.at()),
            entry: decided.entry().clone(),
        };
        let id = integer(act.id.0);
        let _ = write!(acts, "{id}\t{}\t", microseconds(act.entered_at));
        escape(&to_json(&act.entry)?, &mut acts);
        acts.push('\n');
        for number in act.entry.people() {
            let _ = writeln!(people, "{}\t{id}", digits(number));
        }
        for new in act.entry.event.newcomers() {
            let pairs = words
                .pairs(transaction, &name_keys(&new.names))
                .map_err(unavailable)?;
            write_bearers(new.number, &pairs, &mut bearers);
        }
    }
    send(
        transaction,
        "COPY act (id, entered_at, entry) FROM STDIN",
        &acts,
    )?;
    send(
        transaction,
        "COPY act_person (number, act) FROM STDIN",
        &people,
    )?;
    send(
        transaction,
        "COPY bearer (family, given, number) FROM STDIN",
        &bearers,
    )
}

fn write_bearers(number: PersonalNumber, pairs: &BTreeSet<(i64, i64)>, to: &mut String) {
    for (family, given) in pairs {
        let _ = writeln!(to, "{family}\t{given}\t{}", digits(number));
    }
}

/// As PostgreSQL's text format of `COPY` wants it.
fn escape(text: &str, to: &mut String) {
    for letter in text.chars() {
        match letter {
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            other => to.push(other),
        }
    }
}

fn send(transaction: &mut Transaction<'_>, sql: &str, rows: &str) -> Result<(), StoreError> {
    let mut writer = transaction.copy_in(sql).map_err(unavailable)?;
    writer
        .write_all(rows.as_bytes())
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
    writer.finish().map(|_| ()).map_err(unavailable)
}
