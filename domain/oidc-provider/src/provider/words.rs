//! Word to the signing service: whose keys must rest.

use std::fmt;

use id_registry::PersonalNumber;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::support::NoticeKind;
use super::{Decision, Provider};
use crate::account::Account;
use crate::port::{self, By, Changes, Item, Kind};
use crate::refusal::Failure;
use crate::secret::Seed;

/// What the signing service is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Word {
    /// The account was frozen.
    Frozen,
    /// The account was recovered: signing waits for a day.
    Recovered,
}

/// Word that waits. It is written with the freeze or recovery itself, and stays until the signing service took it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningWord {
    id: String,
    /// What.
    pub word: Word,
    /// About whom.
    pub person: PersonalNumber,
    /// When it happened.
    pub at: OffsetDateTime,
}

impl fmt::Debug for SigningWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The number is personal.
        f.debug_struct("SigningWord")
            .field("word", &self.word)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Item for SigningWord {
    type Kind = Kind;

    const KIND: Kind = Kind::SigningWord;

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Provider {
    /// Writes word to the signing service, if there is one and what happened matters to it.
    pub(super) fn tell_signing(
        &self,
        changes: &mut Changes,
        account: &Account,
        notice: NoticeKind,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<(), Failure> {
        let word = match notice {
            NoticeKind::Frozen => Word::Frozen,
            NoticeKind::Recovered => Word::Recovered,
            _ => return Ok(()),
        };
        if let Some(person) = account.person.filter(|_| self.tells_signing) {
            changes.insert(&SigningWord {
                id: seed.id(&format!("signing {word:?}")),
                word,
                person,
                at: now,
            })?;
        }
        Ok(())
    }

    /// Word that the signing service has not taken yet, up to so many.
    ///
    /// # Errors
    /// The database fails.
    pub fn signing_words(&self, most: usize) -> Result<Vec<SigningWord>, Failure> {
        let found = port::list::<SigningWord>(self.store.as_ref(), By::KeysAfter(""), most)?;
        Ok(found.into_iter().map(|word| word.value).collect())
    }

    /// The signing service took the word.
    ///
    /// # Errors
    /// The database fails.
    pub fn signing_told(&self, word: &SigningWord) -> Result<(), Failure> {
        self.decide(|| {
            let mut changes = Changes::default();
            if let Some(found) = self.load::<SigningWord>(&word.id)? {
                changes.remove(&found);
            }
            Ok(Decision::yes(changes, ()))
        })
    }
}
