//! Many acts in one transaction.

use id_registry::{Act, ActId, Decided, Issued, PersonalNumber, StoreError, name_keys};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::names::Words;
use crate::{digits, last_act, last_act_about, stored_moment, unavailable, write_act};

/// Acts that are written one after the other.
pub(crate) struct Load<'t> {
    transaction: &'t Transaction<'t>,
    words: Words,
    before: ActId,
    written: u64,
}

impl<'t> Load<'t> {
    pub(crate) fn begin(transaction: &'t Transaction<'t>) -> Result<Self, StoreError> {
        Ok(Self {
            transaction,
            words: Words::default(),
            before: last_act(transaction).map_err(unavailable)?,
            written: 0,
        })
    }

    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// The place of the act that is written next.
    pub(crate) const fn next(&self) -> ActId {
        ActId(self.before.0 + self.written + 1)
    }

    /// Writes an act about newcomers, if the records that it was decided on have not changed.
    pub(crate) fn write(&mut self, decided: Decided) -> Result<(), StoreError> {
        let act = Act {
            id: self.next(),
            entered_at: stored_moment(decided.at()),
            entry: decided.entry().clone(),
        };
        for (number, last) in decided.basis() {
            let found = last_act_about(self.transaction, *number).map_err(unavailable)?;
            if found != *last {
                return Err(StoreError::Conflict(*number));
            }
        }
        write_act(self.transaction, &act, &act.entry.people())?;
        for new in act.entry.event.newcomers() {
            self.words
                .add(self.transaction, new.number, &name_keys(&new.names))
                .map_err(unavailable)?;
        }
        self.written += 1;
        Ok(())
    }

    /// Keeps from which rows people were taken over.
    pub(crate) fn keep_rows(&self, rows: &[(PersonalNumber, u64)]) -> Result<(), StoreError> {
        let keep = || -> rusqlite::Result<()> {
            let mut statement = self
                .transaction
                .prepare_cached("INSERT INTO taken_over (number, digest) VALUES (?, ?)")?;
            for (number, digest) in rows {
                statement.execute([digits(*number), digest.cast_signed()])?;
            }
            Ok(())
        };
        keep().map_err(unavailable)
    }
}

pub(crate) fn issued_of(
    connection: &Connection,
    numbers: &[PersonalNumber],
) -> rusqlite::Result<Vec<Issued>> {
    let mut known = connection.prepare_cached(
        "SELECT (SELECT digest FROM taken_over WHERE number = ?1) FROM act_person WHERE number = ?1 LIMIT 1",
    )?;
    let mut issued = Vec::new();
    for number in numbers {
        let digest: Option<Option<i64>> = known
            .query_row(params![digits(*number)], |row| row.get(0))
            .optional()?;
        if let Some(digest) = digest {
            issued.push(Issued {
                number: *number,
                digest: digest.map(i64::cast_unsigned),
            });
        }
    }
    Ok(issued)
}
