//! What the population register did to people who have accounts: deaths, and numbers that were given up.
//!
//! The rim reads the register's changes from a place on, asks what became of each person with an account, and says it
//! here. Everything may be said again: so a server that ends half-way leaves nothing out.

use id_registry::PersonalNumber;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::support::NoticeKind;
use super::{Decision, Provider};
use crate::account::{Account, Login, LoginName, Tenant};
use crate::event::{Event, EventKind};
use crate::port::{Changes, Item, Kind, Loaded};
use crate::refusal::Failure;
use crate::secret::Seed;

/// What became of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Died.
    Died,
    /// The number was given up; this one is kept. Both are the same person.
    Kept(PersonalNumber),
}

/// A record elsewhere, up to a place of which everything was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The acts of the population register.
    Register,
    /// The record of the signing service.
    Signing,
}

impl Heard {
    const fn key(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Signing => "signing",
        }
    }
}

/// Up to which place.
#[derive(Serialize, Deserialize)]
pub(super) struct Place {
    of: String,
    place: u64,
}

impl Item for Place {
    type Kind = Kind;

    const KIND: Kind = Kind::Place;

    fn key(&self) -> String {
        self.of.clone()
    }
}

impl Provider {
    /// Up to which place of a record everything was heard; 0 before the first.
    ///
    /// # Errors
    /// The database fails.
    pub fn heard_up_to(&self, of: Heard) -> Result<u64, Failure> {
        let kept = self.load::<Place>(of.key())?;
        Ok(kept.map_or(0, |kept| kept.value.place))
    }

    /// A decision on what came after the place up to which everything was heard, and up to which that is all. Nothing is
    /// decided twice, however many nodes hear of it.
    pub(super) fn hear(
        &self,
        of: Heard,
        up_to: u64,
        decision: impl Fn(&mut Changes, u64) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.decide(|| {
            let mut changes = Changes::default();
            let kept = self.load::<Place>(of.key())?;
            let heard = kept.as_ref().map_or(0, |kept| kept.value.place);
            if up_to > heard {
                decision(&mut changes, heard)?;
                match kept {
                    Some(mut kept) => {
                        kept.value.place = up_to;
                        changes.replace(&kept)?;
                    }
                    None => changes.insert(&Place {
                        of: of.key().to_owned(),
                        place: up_to,
                    })?,
                }
            }
            Ok(Decision::yes(changes, ()))
        })
    }

    /// Whether there is an account to which a number leads.
    ///
    /// # Errors
    /// The database fails.
    pub fn has_account(&self, number: PersonalNumber) -> Result<bool, Failure> {
        let login = LoginName::Number(number, Tenant::People).key();
        Ok(self.load::<Login>(&login)?.is_some())
    }

    /// What became of somebody.
    ///
    /// - Died: every way into the account ends, and it is frozen. Two officers open it again, if that was wrong.
    /// - A number was given up: both numbers lead to one account. If each had its own, that of the number given up ends as
    ///   after a death, so that a freeze of one is a freeze of the person.
    ///
    /// # Errors
    /// The database fails.
    pub fn became(
        &self,
        person: PersonalNumber,
        fate: Fate,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<(), Failure> {
        let key = |number| LoginName::Number(number, Tenant::People).key();
        self.decide(|| {
            let mut changes = Changes::default();
            let found = self.account_of_login(&key(person))?;
            match (fate, found) {
                (Fate::Died, Some(account)) => {
                    self.close(&mut changes, account, "died", now, seed)?;
                }
                (Fate::Died, None) => {}
                (Fate::Kept(kept), found) => {
                    let (given_up, kept) = (key(person), key(kept));
                    match (found, self.account_of_login(&kept)?) {
                        (Some(account), None) => changes.insert(&Login {
                            key: kept,
                            account: account.value.id,
                        })?,
                        (None, Some(account)) => changes.insert(&Login {
                            key: given_up,
                            account: account.value.id,
                        })?,
                        (Some(old), Some(new)) if old.value.id != new.value.id => {
                            if let Some(mut login) = self.load::<Login>(&given_up)? {
                                login.value.account = new.value.id;
                                changes.replace(&login)?;
                            }
                            self.close(&mut changes, old, "numberGivenUp", now, seed)?;
                        }
                        _ => {}
                    }
                }
            }
            Ok(Decision::yes(changes, ()))
        })
    }

    /// Everything up to a place of the register was said by [`Provider::became`].
    ///
    /// # Errors
    /// The database fails.
    pub fn heard_register(&self, place: u64) -> Result<(), Failure> {
        self.hear(Heard::Register, place, |_, _| Ok(()))
    }

    fn close(
        &self,
        changes: &mut Changes,
        mut account: Loaded<Account>,
        why: &'static str,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<(), Failure> {
        if account.value.is_closed() {
            return Ok(());
        }
        self.tell_clients(changes, &account.value.id, now)?;
        account.value.close(now);
        changes.replace(&account)?;
        self.notify(changes, &account.value, NoticeKind::Frozen, now, seed)?;
        changes.event(
            Event::new(EventKind::AccountFrozen, now)
                .account(&account.value.id)
                .because(why),
        );
        Ok(())
    }
}
