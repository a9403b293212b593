//! The search by name.
//!
//! There are few different names and many people: a misspelt name is looked for among the names, by pieces of three
//! letters, and only then the people who bear one of those that are like it.

use std::collections::{BTreeSet, HashMap};

use id_registry::{NameKey, NameQuery, grams, likeness};
use postgres::{Error, GenericClient};

use crate::connections::Connection;

/// Names that are compared letter by letter, those with the most pieces in common.
const COMPARED: i64 = 200;
/// Names that are taken to be meant, the likest.
const MEANT: usize = 20;
/// Least likeness of a name to be meant, of 100.
const LEAST: u32 = 60;

const COMMON_GRAMS: &str = "SELECT word.id, word.bones FROM \
     (SELECT word, count(*) AS common FROM gram WHERE gram = ANY($1) \
      GROUP BY word ORDER BY common DESC LIMIT $2) AS near JOIN word ON word.id = near.word";
const BY_BOTH: &str =
    "SELECT number FROM bearer WHERE family = $1 AND given = $2 ORDER BY number LIMIT $3";
const BY_FAMILY: &str = "SELECT number FROM bearer WHERE family = $1 LIMIT $2";
const BY_GIVEN: &str = "SELECT number FROM bearer WHERE given = $1 LIMIT $2";

/// The names that a transaction has seen already.
#[derive(Default)]
pub(crate) struct Words(HashMap<String, i64>);

impl Words {
    /// The id of a name, which is added if nobody bore it before.
    pub(crate) fn word(
        &mut self,
        client: &mut impl GenericClient,
        bones: &str,
    ) -> Result<i64, Error> {
        if let Some(id) = self.0.get(bones) {
            return Ok(*id);
        }
        let new = client.query_opt(
            "INSERT INTO word (bones) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id",
            &[&bones],
        )?;
        let id = match new {
            Some(row) => {
                let id: i64 = row.get(0);
                let grams: Vec<String> = grams(bones).into_iter().collect();
                client.execute(
                    "INSERT INTO gram (gram, word) SELECT unnest($1::text[]), $2",
                    &[&grams, &id],
                )?;
                id
            }
            None => client
                .query_one("SELECT id FROM word WHERE bones = $1", &[&bones])?
                .get(0),
        };
        self.0.insert(bones.to_owned(), id);
        Ok(id)
    }

    /// The ids of keys.
    pub(crate) fn pairs(
        &mut self,
        client: &mut impl GenericClient,
        keys: &BTreeSet<NameKey>,
    ) -> Result<BTreeSet<(i64, i64)>, Error> {
        keys.iter()
            .map(|(family, given)| Ok((self.word(client, family)?, self.word(client, given)?)))
            .collect()
    }
}

/// Numbers and likeness, the likest first.
pub(crate) fn search(
    connection: &mut Connection,
    query: &NameQuery,
    most: usize,
) -> Result<Vec<(i64, u32)>, Error> {
    let families = meant(connection, &query.family)?;
    let givens = meant(connection, &query.given)?;
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
        let missing = i64::try_from(most - found.len()).unwrap_or(i64::MAX);
        let rows = match (family, given) {
            (Some(family), Some(given)) => {
                let statement = connection.statement(BY_BOTH)?;
                connection
                    .client
                    .query(&statement, &[&family, &given, &missing])?
            }
            (Some(family), None) => {
                let statement = connection.statement(BY_FAMILY)?;
                connection.client.query(&statement, &[&family, &missing])?
            }
            (None, Some(given)) => {
                let statement = connection.statement(BY_GIVEN)?;
                connection.client.query(&statement, &[&given, &missing])?
            }
            (None, None) => Vec::new(),
        };
        let numbers = rows.iter().map(|row| row.get::<_, i64>(0));
        found.extend(
            numbers
                .filter(|number| seen.insert(*number))
                .map(|number| (number, like)),
        );
    }
    Ok(found)
}

/// The names that may be meant by a skeleton, the likest first; any name by an empty one.
fn meant(connection: &mut Connection, bones: &str) -> Result<Vec<(Option<i64>, u32)>, Error> {
    if bones.is_empty() {
        return Ok(vec![(None, 100)]);
    }
    let grams: Vec<String> = grams(bones).into_iter().collect();
    let statement = connection.statement(COMMON_GRAMS)?;
    let mut words: Vec<(Option<i64>, u32)> = connection
        .client
        .query(&statement, &[&grams, &COMPARED])?
        .iter()
        .map(|row| (Some(row.get(0)), likeness(bones, row.get(1))))
        .filter(|(_, like)| *like >= LEAST)
        .collect();
    words.sort_by_key(|(id, like)| (std::cmp::Reverse(*like), *id));
    words.truncate(MEANT);
    Ok(words)
}
