//! The search by name.
//!
//! There are few different names and many people: a misspelt name is looked for among the names, which are kept in
//! memory, and only then the people who bear one of those that are like it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock};

use id_registry::{Meant, NameKey, NameQuery, PersonalNumber, Vocabulary};
use rusqlite::Connection;

use crate::{count, digits};

/// Names that are taken to be meant, the likest.
const MEANT: usize = 20;
/// Least likeness of a name to be meant, of 100.
const LEAST: u32 = 60;

const BY_BOTH: &str =
    "SELECT number FROM bearer WHERE family = ? AND given = ? ORDER BY number LIMIT ?";
const BY_FAMILY: &str = "SELECT number FROM bearer WHERE family = ? ORDER BY given, number LIMIT ?";
const BY_GIVEN: &str = "SELECT number FROM bearer WHERE given = ? ORDER BY family, number LIMIT ?";

/// The names that a transaction has seen already.
#[derive(Default)]
pub(crate) struct Words(HashMap<String, i64>);

impl Words {
    /// Finds somebody under these keys and no others.
    pub(crate) fn replace(
        &mut self,
        connection: &Connection,
        number: PersonalNumber,
        keys: &BTreeSet<NameKey>,
    ) -> rusqlite::Result<()> {
        connection
            .prepare_cached("DELETE FROM bearer WHERE number = ?")?
            .execute([digits(number)])?;
        self.add(connection, number, keys)
    }

    /// Finds somebody under these keys too.
    pub(crate) fn add(
        &mut self,
        connection: &Connection,
        number: PersonalNumber,
        keys: &BTreeSet<NameKey>,
    ) -> rusqlite::Result<()> {
        for (family, given) in keys {
            let (family, given) = (
                self.word(connection, family)?,
                self.word(connection, given)?,
            );
            connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO bearer (family, given, number) VALUES (?, ?, ?)",
                )?
                .execute([family, given, digits(number)])?;
        }
        Ok(())
    }

    fn word(&mut self, connection: &Connection, bones: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.0.get(bones) {
            return Ok(*id);
        }
        connection
            .prepare_cached("INSERT OR IGNORE INTO word (bones) VALUES (?)")?
            .execute([bones])?;
        let id = connection
            .prepare_cached("SELECT id FROM word WHERE bones = ?")?
            .query_row([bones], |row| row.get(0))?;
        self.0.insert(bones.to_owned(), id);
        Ok(id)
    }
}

/// Numbers and likeness, the likest first.
pub(crate) fn search(
    connection: &Connection,
    vocabulary: &RwLock<Vocabulary>,
    query: &NameQuery,
    most: usize,
) -> rusqlite::Result<Vec<(i64, u32)>> {
    learn(connection, vocabulary)?;
    let (families, givens) = {
        let known = vocabulary.read().unwrap_or_else(PoisonError::into_inner);
        (meant(&known, &query.family), meant(&known, &query.given))
    };
    let (sql, mut names): (_, Vec<(Vec<i64>, u32)>) = match (families, givens) {
        (Some(families), Some(givens)) => {
            let pairs = families.iter().flat_map(|family| {
                givens.iter().map(|given| {
                    let likeness = family.likeness.min(given.likeness);
                    (vec![family.id, given.id], likeness)
                })
            });
            (BY_BOTH, pairs.collect())
        }
        (Some(families), None) => (BY_FAMILY, alone(&families)),
        (None, Some(givens)) => (BY_GIVEN, alone(&givens)),
        (None, None) => return Ok(Vec::new()),
    };
    names.sort_by_key(|(_, likeness)| std::cmp::Reverse(*likeness));
    let mut found: Vec<(i64, u32)> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut bearers = connection.prepare_cached(sql)?;
    for (mut values, likeness) in names {
        if found.len() >= most {
            break;
        }
        values.push(count(most));
        let numbers: Vec<i64> = bearers
            .query_map(rusqlite::params_from_iter(values), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let new = numbers.into_iter().filter(|number| seen.insert(*number));
        found.extend(new.map(|number| (number, likeness)));
    }
    found.truncate(most);
    Ok(found)
}

fn alone(words: &[Meant]) -> Vec<(Vec<i64>, u32)> {
    words
        .iter()
        .map(|word| (vec![word.id], word.likeness))
        .collect()
}

/// Takes in the names that came in since it was asked last.
fn learn(connection: &Connection, vocabulary: &RwLock<Vocabulary>) -> rusqlite::Result<()> {
    let newest = vocabulary
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .newest();
    let mut statement =
        connection.prepare_cached("SELECT id, bones FROM word WHERE id > ? ORDER BY id")?;
    let mut rows = statement.query([newest])?;
    let mut known = None;
    while let Some(row) = rows.next()? {
        let known =
            known.get_or_insert_with(|| vocabulary.write().unwrap_or_else(PoisonError::into_inner));
        known.add(row.get(0)?, row.get_ref(1)?.as_str()?);
    }
    Ok(())
}

/// The names that may be meant by a skeleton, the likest first; none for an empty one, by which any is meant.
fn meant(vocabulary: &Vocabulary, skeleton: &str) -> Option<Vec<Meant>> {
    (!skeleton.is_empty()).then(|| vocabulary.meant(skeleton, LEAST, MEANT))
}
