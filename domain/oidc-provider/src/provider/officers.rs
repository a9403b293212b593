//! Officers: who is one, with which duties, and who appointed them.

use id_registry::PersonalNumber;
use time::OffsetDateTime;

use super::support::{Duty, Officer};
use super::{Decision, Provider};
use crate::account::Tenant;
use crate::event::{Event, EventKind};
use crate::level::Operation;
use crate::port::{By, Changes, list};
use crate::refusal::{Failure, Refusal};
use crate::secret::AccountId;
use crate::session::Authenticated;

/// Officers that are listed.
const MOST_OFFICERS: usize = 1000;
/// An officer on duty. Only [`Provider::on_duty`] makes one.
#[derive(Debug, Clone)]
pub struct OnDuty {
    pub(super) officer: Officer,
    duty: Duty,
    now: OffsetDateTime,
}

impl OnDuty {
    /// The officer.
    #[must_use]
    pub const fn officer(&self) -> &Officer {
        &self.officer
    }

    pub(super) const fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// An event that this officer caused.
    pub(super) fn event(&self, kind: EventKind) -> Event {
        let mut event = Event::new(kind, self.now).actor(&self.officer.account);
        event.office = Some(self.officer.office.clone());
        event
    }

    pub(super) fn has(&self, duty: Duty) -> Result<(), Refusal> {
        if self.duty == duty {
            Ok(())
        } else {
            Err(Refusal::NotOnDuty)
        }
    }

    pub(super) fn not_about(&self, account: &AccountId) -> Result<(), Refusal> {
        if self.officer.account == *account {
            Err(Refusal::OwnCase)
        } else {
            Ok(())
        }
    }
}

impl Provider {
    /// Whether somebody who is signed in is an officer with a duty, at the level that this needs.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`], [`Refusal::LevelTooLow`], [`Refusal::Careful`].
    pub fn on_duty(&self, who: &Authenticated, duty: Duty) -> Result<OnDuty, Failure> {
        who.may(Operation::Officer)?;
        let officer = self
            .load::<Officer>(who.account.id.as_str())?
            .filter(|officer| officer.value.duties.contains(&duty))
            .ok_or(Refusal::NotOnDuty)?;
        Ok(OnDuty {
            officer: officer.value,
            duty,
            now: who.now,
        })
    }

    /// Makes the first officer, who appoints the others: for the operator, when there is none yet.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`] if there is an officer already, [`Refusal::NoAccount`].
    pub fn appoint_first(
        &self,
        number: PersonalNumber,
        tenant: Tenant,
        office: &str,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        self.decide(|| {
            let any = list::<Officer>(self.store.as_ref(), By::KeysAfter(""), 1)?;
            if !any.is_empty() {
                return Err(Refusal::NotOnDuty.into());
            }
            let account = self.person(number, tenant)?;
            let mut changes = Changes::default();
            changes.insert(&Officer {
                account: account.value.id.clone(),
                office: office.to_owned(),
                duties: vec![Duty::Appointment],
            })?;
            changes.event(
                Event::new(EventKind::OfficerAppointed, now)
                    .account(&account.value.id)
                    .because("first"),
            );
            Ok(Decision::yes(changes, ()))
        })
    }

    /// Appoints somebody with these duties, or dismisses who gets none. Nobody changes his or her own.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`], [`Refusal::NoAccount`], [`Refusal::OwnCase`].
    pub fn appoint(
        &self,
        by: &OnDuty,
        number: PersonalNumber,
        tenant: Tenant,
        office: &str,
        duties: &[Duty],
    ) -> Result<(), Failure> {
        by.has(Duty::Appointment)?;
        self.decide(|| {
            let account = self.person(number, tenant)?;
            by.not_about(&account.value.id)?;
            let found = self.load::<Officer>(account.value.id.as_str())?;
            let officer = Officer {
                account: account.value.id.clone(),
                office: office.to_owned(),
                duties: duties.to_vec(),
            };
            let mut changes = Changes::default();
            let kind = match (found, duties.is_empty()) {
                (Some(found), true) => {
                    changes.remove(&found);
                    EventKind::OfficerDismissed
                }
                (None, true) => return Err(Refusal::Nothing.into()),
                (Some(mut found), false) => {
                    found.value = officer;
                    changes.replace(&found)?;
                    EventKind::OfficerAppointed
                }
                (None, false) => {
                    changes.insert(&officer)?;
                    EventKind::OfficerAppointed
                }
            };
            changes.event(by.event(kind).account(&account.value.id));
            Ok(Decision::yes(changes, ()))
        })
    }

    /// The officers, each with the number of the person who is one.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`].
    pub fn officers(&self, by: &OnDuty) -> Result<Vec<(Officer, Option<PersonalNumber>)>, Failure> {
        by.has(Duty::Appointment)?;
        let found = list::<Officer>(self.store.as_ref(), By::KeysAfter(""), MOST_OFFICERS)?;
        let mut officers = Vec::new();
        for officer in found {
            let person = self.account(&officer.value.account)?.value.person;
            officers.push((officer.value, person));
        }
        Ok(officers)
    }

    /// The duties of somebody who is signed in; none for who is no officer. That they may be done now, only
    /// [`Provider::on_duty`] says.
    ///
    /// # Errors
    /// The database fails.
    pub fn duties(&self, who: &Authenticated) -> Result<Vec<Duty>, Failure> {
        let officer = self.load::<Officer>(who.account.id.as_str())?;
        Ok(officer.map_or_else(Vec::new, |officer| officer.value.duties))
    }
}
