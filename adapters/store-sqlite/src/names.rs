//! The search by name.
//!
//! There are few different names and many people: a misspelt name is looked for among the names, by pieces of three
//! letters, and only then the people who bear one of those that are like it.

use std::collections::{BTreeSet, HashMap};

use id_registry::{NameKey, NameQuery, PersonalNumber, grams, likeness};
use rusqlite::{Connection, params};

use crate::{count, digits};

/// Names that are compared letter by letter, those with the most pieces in common.
const COMPARED: usize = 200;
/// Names that are taken to be meant, the likest.
const MEANT: usize = 20;
/// Least likeness of a name to be meant, of 100.
const LEAST: u32 = 60;

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
        let new = connection
            .prepare_cached("INSERT OR IGNORE INTO word (bones) VALUES (?)")?
            .execute([bones])?;
        let id = connection
            .prepare_cached("SELECT id FROM word WHERE bones = ?")?
            .query_row([bones], |row| row.get(0))?;
        if new == 1 {
            let mut statement =
                connection.prepare_cached("INSERT INTO gram (gram, word) VALUES (?, ?)")?;
            for gram in grams(bones) {
                statement.execute(params![gram, id])?;
            }
        }
        self.0.insert(bones.to_owned(), id);
        Ok(id)
    }
}

/// Numbers and likeness, the likest first.
pub(crate) fn search(
    connection: &Connection,
    query: &NameQuery,
    most: usize,
) -> rusqlite::Result<Vec<(i64, u32)>> {
    let meant = |bones: &str| -> rusqlite::Result<Option<Vec<(i64, u32)>>> {
        if bones.is_empty() {
            return Ok(None);
        }
        meant(connection, bones).map(Some)
    };
    let (families, givens) = (meant(&query.family)?, meant(&query.given)?);
    let any = vec![(None, 100)];
    let known = |words: Option<Vec<(i64, u32)>>| {
        words.map_or_else(
            || any.clone(),
            |words| {
                words
                    .into_iter()
                    .map(|(word, like)| (Some(word), like))
                    .collect()
            },
        )
    };
    let (families, givens) = (known(families), known(givens));
    let mut pairs: Vec<(Option<i64>, Option<i64>, u32)> = families
        .iter()
        .flat_map(|(family, one)| {
            givens
                .iter()
                .map(move |(given, other)| (*family, *given, *one.min(other)))
        })
        .collect();
    pairs.sort_by_key(|(.., like)| std::cmp::Reverse(*like));
    let mut found: Vec<(i64, u32)> = Vec::new();
    let mut seen = BTreeSet::new();
    for (family, given, like) in pairs {
        if found.len() >= most {
            break;
        }
        let missing = count(most - found.len());
        let bearers = match (family, given) {
            (Some(family), Some(given)) => bearers(
                connection,
                "SELECT number FROM bearer WHERE family = ? AND given = ? ORDER BY number LIMIT ?",
                &[family, given, missing],
            )?,
            (Some(family), None) => bearers(
                connection,
                "SELECT number FROM bearer WHERE family = ? LIMIT ?",
                &[family, missing],
            )?,
            (None, Some(given)) => bearers(
                connection,
                "SELECT number FROM bearer WHERE given = ? LIMIT ?",
                &[given, missing],
            )?,
            (None, None) => Vec::new(),
        };
        found.extend(
            bearers
                .into_iter()
                .filter(|number| seen.insert(*number))
                .map(|number| (number, like)),
        );
    }
    Ok(found)
}

fn bearers(connection: &Connection, sql: &str, values: &[i64]) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached(sql)?
        .query_map(rusqlite::params_from_iter(values), |row| row.get(0))?
        .collect()
}

/// The names that may be meant by a skeleton, the likest first.
fn meant(connection: &Connection, bones: &str) -> rusqlite::Result<Vec<(i64, u32)>> {
    let grams: Vec<String> = grams(bones).into_iter().collect();
    let places = vec!["?"; grams.len()].join(", ");
    let sql = format!(
        "SELECT word.id, word.bones FROM \
         (SELECT word, count(*) AS common FROM gram WHERE gram IN ({places}) \
          GROUP BY word ORDER BY common DESC LIMIT {COMPARED}) JOIN word ON word.id = word"
    );
    let mut words: Vec<(i64, u32)> = connection
        .prepare(&sql)?
        .query_map(rusqlite::params_from_iter(grams), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?
        .map(|row| row.map(|(id, word)| (id, likeness(bones, &word))))
        .collect::<rusqlite::Result<_>>()?;
    words.retain(|(_, like)| *like >= LEAST);
    words.sort_by_key(|(id, like)| (std::cmp::Reverse(*like), *id));
    words.truncate(MEANT);
    Ok(words)
}
