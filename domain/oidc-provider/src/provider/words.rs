//! Word to the signing service: whose keys must rest; and from it: who is told of what changed there.

use std::fmt;

use id_registry::PersonalNumber;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::following::Heard;
use super::support::{Notice, NoticeKind};
use super::{Decision, Provider};
use crate::account::{Account, LoginName, Tenant};
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

/// What is older is told nobody: at the first contact with a signing service there may be years of it.
const TOLD_FOR: Duration = Duration::days(7);

/// Something that changed at the signing service.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningChange {
    /// Its place in the signing service's record.
    pub place: u64,
    /// For whom.
    pub person: PersonalNumber,
    /// What.
    pub notice: NoticeKind,
    /// When.
    pub at: OffsetDateTime,
}

impl fmt::Debug for SigningChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The number is personal.
        f.debug_struct("SigningChange")
            .field("place", &self.place)
            .field("notice", &self.notice)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// What changed at the signing service, up to a place: whoever has an account with addresses is written to, once,
    /// however many nodes hear of it and whichever of them ends half-way.
    ///
    /// # Errors
    /// The database fails.
    pub fn signing_changed(
        &self,
        changed: &[SigningChange],
        up_to: u64,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        self.hear(Heard::Signing, up_to, |changes, told| {
            for change in changed {
                if !(told < change.place && change.place <= up_to && now - change.at < TOLD_FOR) {
                    continue;
                }
                let name = LoginName::Number(change.person, Tenant::People);
                let Some(account) = self.account_of(&name)? else {
                    continue;
                };
                if !account.value.channels.is_empty() {
                    changes.insert(&Notice {
                        id: format!("signing-{}", change.place),
                        account: account.value.id,
                        notice: change.notice,
                        channels: account.value.channels,
                        at: change.at,
                    })?;
                }
            }
            Ok(())
        })
    }

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
