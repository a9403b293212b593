//! What takes two officers: recovering an account, and lifting at a counter a freeze that came over a counter.

use id_registry::PersonalNumber;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::desk::{Ticket, TicketFor, give_ticket};
use super::officers::OnDuty;
use super::support::{Duty, NoticeKind};
use super::{Decision, Provider};
use crate::account::{Tenant, Way};
use crate::event::EventKind;
use crate::port::{By, Changes, Item, Kind, Loaded, list};
use crate::refusal::{Failure, Refusal};
use crate::secret::{AccountId, RecoveryId, Seed};

/// How long a recovery waits for the second officer.
const RECOVERY_WAITS: Duration = Duration::hours(24);
/// Cases that are looked through for one officer.
const MOST_CASES: usize = 500;

/// What a second officer is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CaseFor {
    /// The person lost every way in.
    #[default]
    Recovery,
    /// A freeze that came over a counter is lifted over a counter.
    Unfreeze,
}

/// A recovery, or the lifting of a freeze, that waits for the second officer.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct RecoveryCase {
    id: RecoveryId,
    account: AccountId,
    /// Whose account it is or, for one of an earlier provider, is said to be.
    #[serde(default)]
    number: Option<PersonalNumber>,
    epoch: u64,
    opened_by: AccountId,
    #[serde(default)]
    office: String,
    #[serde(default)]
    what: CaseFor,
    at: OffsetDateTime,
}

impl Item for RecoveryCase {
    type Kind = Kind;

    const KIND: Kind = Kind::Recovery;

    fn key(&self) -> String {
        self.id.0.clone()
    }

    fn owner(&self) -> Option<String> {
        Some(self.account.0.clone())
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.at + RECOVERY_WAITS)
    }
}

/// A case that waits for a second officer, as that officer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its identifier.
    pub id: RecoveryId,
    /// What it is for.
    pub what: CaseFor,
    /// The person whom it is about.
    pub person: PersonalNumber,
    /// When it was opened.
    pub at: OffsetDateTime,
}

/// A recovery was opened.
#[derive(Debug)]
pub struct Opened {
    /// By this the second officer finds it.
    pub id: RecoveryId,
    /// Until when it waits.
    pub until: OffsetDateTime,
}

impl Provider {
    /// A person who lost every way in came to the desk; the first officer compared the portrait. Every earlier address
    /// is told.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`], [`Refusal::NoAccount`], [`Refusal::OwnCase`].
    pub fn open_recovery(
        &self,
        by: &OnDuty,
        number: PersonalNumber,
        tenant: Tenant,
        seed: &Seed,
    ) -> Result<Opened, Failure> {
        self.open_case(by, CaseFor::Recovery, number, tenant, seed)
    }

    /// A person came to the desk whose account was frozen over a counter; the first officer compared the portrait.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`], [`Refusal::NoAccount`], [`Refusal::OwnCase`], [`Refusal::NotFrozen`].
    pub fn open_unfreeze(
        &self,
        by: &OnDuty,
        number: PersonalNumber,
        tenant: Tenant,
        seed: &Seed,
    ) -> Result<Opened, Failure> {
        self.open_case(by, CaseFor::Unfreeze, number, tenant, seed)
    }

    fn open_case(
        &self,
        by: &OnDuty,
        what: CaseFor,
        number: PersonalNumber,
        tenant: Tenant,
        seed: &Seed,
    ) -> Result<Opened, Failure> {
        by.has(Duty::Desk)?;
        self.decide(|| {
            let account = self.person(number, tenant)?;
            by.not_about(&account.value.id)?;
            if what == CaseFor::Unfreeze && account.value.is_open() {
                return Err(Refusal::NotFrozen.into());
            }
            let mut changes = Changes::default();
            let case = RecoveryCase {
                id: RecoveryId(seed.id("recovery")),
                account: account.value.id.clone(),
                number: Some(number),
                epoch: account.value.epoch,
                opened_by: by.officer.account.clone(),
                office: by.officer.office.clone(),
                what,
                at: by.now(),
            };
            changes.insert(&case)?;
            changes.rests_on(&account);
            if what == CaseFor::Recovery {
                let kind = NoticeKind::RecoveryOpened;
                self.notify(&mut changes, &account.value, kind, by.now(), seed)?;
                changes.event(by.event(EventKind::RecoveryOpened).account(&case.account));
            }
            Ok(Decision::yes(
                changes,
                Opened {
                    id: case.id,
                    until: by.now() + RECOVERY_WAITS,
                },
            ))
        })
    }

    /// A case that waits for this officer's confirmation: one of the own office, where the person is.
    fn case(&self, by: &OnDuty, id: &RecoveryId) -> Result<Loaded<RecoveryCase>, Failure> {
        by.has(Duty::Desk)?;
        let case = self
            .load::<RecoveryCase>(id.as_str())?
            .filter(|case| by.now() < case.value.at + RECOVERY_WAITS)
            .filter(|case| case.value.office == by.officer.office)
            .ok_or(Refusal::Over)?;
        if case.value.opened_by == by.officer.account {
            return Err(Refusal::SameOfficer.into());
        }
        by.not_about(&case.value.account)?;
        Ok(case)
    }

    /// The cases of the officer's office that another officer opened and that wait for confirmation.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`].
    pub fn cases(&self, by: &OnDuty) -> Result<Vec<Case>, Failure> {
        by.has(Duty::Desk)?;
        let all = list::<RecoveryCase>(self.store.as_ref(), By::KeysAfter(""), MOST_CASES)?;
        let mut cases = Vec::new();
        for case in all.into_iter().map(|case| case.value) {
            let account = self.account(&case.account)?.value;
            let waits = by.now() < case.at + RECOVERY_WAITS && account.epoch == case.epoch;
            let others = case.opened_by != by.officer.account && case.account != by.officer.account;
            if let Some(person) = account.person.or(case.number)
                && waits
                && others
                && case.office == by.officer.office
            {
                cases.push(Case {
                    id: case.id,
                    what: case.what,
                    person,
                    at: case.at,
                });
            }
        }
        Ok(cases)
    }

    /// The second officer compared the portrait too: the freeze is lifted.
    ///
    /// # Errors
    /// As [`Provider::confirm_recovery`], and [`Refusal::NotFrozen`].
    pub fn confirm_unfreeze(
        &self,
        by: &OnDuty,
        id: &RecoveryId,
        seed: &Seed,
    ) -> Result<(), Failure> {
        self.decide(|| {
            let case = self.case(by, id)?;
            let mut account = self.account(&case.value.account)?;
            if case.value.what != CaseFor::Unfreeze || account.value.epoch != case.value.epoch {
                return Err(Refusal::Over.into());
            }
            account.value.unfreeze(Way::Counter, 2)?;
            let mut changes = Changes::default();
            changes.remove(&case);
            changes.replace(&account)?;
            let kind = NoticeKind::Unfrozen;
            self.notify(&mut changes, &account.value, kind, by.now(), seed)?;
            let lifted = by.event(EventKind::AccountUnfrozen);
            let mut opened = lifted.clone();
            opened.actor = Some(case.value.opened_by.clone());
            for event in [opened, lifted] {
                changes.event(event.account(&account.value.id));
            }
            Ok(Decision::yes(changes, ()))
        })
    }

    /// The second officer compared the portrait too: the person gets a ticket for a new key.
    ///
    /// # Errors
    /// [`Refusal::SameOfficer`], [`Refusal::Over`], [`Refusal::OwnCase`], [`Refusal::NotOnDuty`].
    pub fn confirm_recovery(
        &self,
        by: &OnDuty,
        id: &RecoveryId,
        seed: &Seed,
    ) -> Result<Ticket, Failure> {
        self.decide(|| {
            let case = self.case(by, id)?;
            let account = self.account(&case.value.account)?;
            if case.value.what != CaseFor::Recovery || account.value.epoch != case.value.epoch {
                return Err(Refusal::Over.into());
            }
            let mut changes = Changes::default();
            changes.remove(&case);
            changes.event(
                by.event(EventKind::RecoveryConfirmed)
                    .account(&case.value.account),
            );
            let ticket = give_ticket(
                &mut changes,
                case.value.account.clone(),
                TicketFor::Recovery,
                case.value.epoch,
                None,
                by.now(),
                seed,
            )?;
            Ok(Decision::yes(changes, ticket))
        })
    }
}
