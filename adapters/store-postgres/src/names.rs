//! The search by name.
//!
//! There are few different names and many people: a misspelt name is looked for among the names, which each server keeps
//! in memory, and only then the people who bear one of those that are like it, all of them in one query.

use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock};

use id_registry::{Meant, NameKey, NameQuery, Vocabulary};
use postgres::types::ToSql;
use postgres::{Error, GenericClient, Row};

use crate::connections::Connection;

/// Names that are taken to be meant, the likest.
const MEANT: usize = 20;
/// Least likeness of a name to be meant, of 100.
const LEAST: u32 = 60;

/// Names are added under the writers' lock, so that they are seen in the order of their ids.
const NEW_WORDS: &str = "SELECT id, bones FROM word WHERE id > $1 ORDER BY id";
/// The pairs' places come back with the numbers. Whoever bears several of the names is found by the likest, the first.
const BY_BOTH: &str = "SELECT found.number, min(pair.place) FROM \
     unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS pair (family, given, place) CROSS JOIN LATERAL \
     (SELECT number FROM bearer WHERE family = pair.family AND given = pair.given ORDER BY number LIMIT $3) AS found \
     GROUP BY found.number ORDER BY 2, 1 LIMIT $3";
const BY_FAMILY: &str = "SELECT found.number, min(word.place) FROM \
     unnest($1::bigint[]) WITH ORDINALITY AS word (family, place) CROSS JOIN LATERAL \
     (SELECT number FROM bearer WHERE family = word.family ORDER BY given, number LIMIT $2) AS found \
     GROUP BY found.number ORDER BY 2, 1 LIMIT $2";
const BY_GIVEN: &str = "SELECT found.number, min(word.place) FROM \
     unnest($1::bigint[]) WITH ORDINALITY AS word (given, place) CROSS JOIN LATERAL \
     (SELECT number FROM bearer WHERE given = word.given ORDER BY family, number LIMIT $2) AS found \
     GROUP BY found.number ORDER BY 2, 1 LIMIT $2";

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
        let row = match new {
            Some(row) => row,
            None => client.query_one("SELECT id FROM word WHERE bones = $1", &[&bones])?,
        };
        let id = row.get(0);
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
    vocabulary: &RwLock<Vocabulary>,
    query: &NameQuery,
    most: usize,
) -> Result<Vec<(i64, u32)>, Error> {
    learn(connection, vocabulary)?;
    let (families, givens) = {
        let known = vocabulary.read().unwrap_or_else(PoisonError::into_inner);
        (meant(&known, &query.family), meant(&known, &query.given))
    };
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let ids = |words: &[Meant]| words.iter().map(|meant| meant.id).collect::<Vec<i64>>();
    let likenesses = |words: &[Meant]| words.iter().map(|meant| meant.likeness).collect();
    let mut ask = |sql, values: &[&(dyn ToSql + Sync)]| {
        let statement = connection.statement(sql)?;
        connection.client.query(&statement, values)
    };
    let (rows, likenesses): (Vec<Row>, Vec<u32>) = match (families, givens) {
        (Some(families), Some(givens)) => {
            let mut pairs: Vec<(Meant, Meant)> = families
                .iter()
                .flat_map(|family| givens.iter().map(move |given| (*family, *given)))
                .collect();
            let likeness = |(family, given): &(Meant, Meant)| family.likeness.min(given.likeness);
            pairs.sort_by_key(|pair| std::cmp::Reverse(likeness(pair)));
            let likenesses = pairs.iter().map(likeness).collect();
            let (families, givens): (Vec<Meant>, Vec<Meant>) = pairs.into_iter().unzip();
            let rows = ask(BY_BOTH, &[&ids(&families), &ids(&givens), &most])?;
            (rows, likenesses)
        }
        (Some(families), None) => (
            ask(BY_FAMILY, &[&ids(&families), &most])?,
            likenesses(&families),
        ),
        (None, Some(givens)) => (ask(BY_GIVEN, &[&ids(&givens), &most])?, likenesses(&givens)),
        (None, None) => return Ok(Vec::new()),
    };
    Ok(rows
        .iter()
        .filter_map(|row| {
            let place = usize::try_from(row.get::<_, i64>(1)).ok()?;
            let likeness = likenesses.get(place.checked_sub(1)?)?;
            Some((row.get(0), *likeness))
        })
        .collect())
}

/// Takes in the names that came in since it was asked last.
fn learn(connection: &mut Connection, vocabulary: &RwLock<Vocabulary>) -> Result<(), Error> {
    let newest = vocabulary
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .newest();
    let statement = connection.statement(NEW_WORDS)?;
    let rows = connection.client.query(&statement, &[&newest])?;
    if rows.is_empty() {
        return Ok(());
    }
    let mut known = vocabulary.write().unwrap_or_else(PoisonError::into_inner);
    for row in rows {
        known.add(row.get(0), row.get(1));
    }
    Ok(())
}

/// The names that may be meant by a skeleton, the likest first; none for an empty one, by which any is meant.
fn meant(vocabulary: &Vocabulary, skeleton: &str) -> Option<Vec<Meant>> {
    (!skeleton.is_empty()).then(|| vocabulary.meant(skeleton, LEAST, MEANT))
}
