//! Organisations: who heads one, and whom the head appoints to act for it.

use std::collections::{BTreeMap, BTreeSet};

use id_registry::{OrganisationNumber, PersonalNumber, Theme};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::acting::{LONGEST_MANDATE, MandateForm};
use super::support::Duty;
use super::{Decision, OnDuty, Provider};
use crate::account::{Account, Login, LoginName, Tenant};
use crate::event::{Event, EventKind};
use crate::grant::Right;
use crate::level::{Level, Operation, Proofing};
use crate::port::{By, Changes, Item, Kind, Loaded, list};
use crate::refusal::{Failure, Refusal};
use crate::secret::{AccountId, Digest, MandateId, Seed};
use crate::session::Authenticated;

/// Languages in which an organisation has a name.
const LANGUAGES: [&str; 3] = ["ky", "ru", "en"];
/// Longest name of an organisation, in characters.
const LONGEST_NAME: usize = 200;
/// Organisations of one head, and appointments of one person, that are looked at.
const MOST_ORGANISATIONS: usize = 200;
/// Most representatives of one organisation.
const MOST_REPRESENTATIVES: usize = 200;

/// A legal entity. It has an account of its own, without any way in, which tokens are about when somebody acts for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// Its account.
    pub account: AccountId,
    /// Its number.
    pub number: OrganisationNumber,
    /// Whom it is for.
    pub tenant: Tenant,
    /// Its names by language.
    pub names: BTreeMap<String, String>,
    /// The account of its head.
    pub head: AccountId,
    /// When it was recorded, or last changed.
    pub at: OffsetDateTime,
}

impl Item for Organisation {
    type Kind = Kind;

    const KIND: Kind = Kind::Organisation;

    fn key(&self) -> String {
        self.account.0.clone()
    }

    fn owner(&self) -> Option<String> {
        Some(self.head.0.clone())
    }
}

/// What an officer records of an organisation.
#[derive(Debug, Clone)]
pub struct OrganisationForm {
    /// Its number.
    pub number: OrganisationNumber,
    /// Its names in `ky`, `ru` and `en`, each of at most 200 characters; one at least.
    pub names: BTreeMap<String, String>,
    /// Its head.
    pub head: PersonalNumber,
}

impl OrganisationForm {
    fn check(&self) -> Result<(), Refusal> {
        let good = |(language, name): (&String, &String)| {
            LANGUAGES.contains(&language.as_str())
                && !name.trim().is_empty()
                && name.chars().count() <= LONGEST_NAME
        };
        if self.names.is_empty() || !self.names.iter().all(good) {
            return Err(Refusal::TooLong);
        }
        Ok(())
    }
}

/// Somebody whom the head of an organisation appointed to act for it. Kept by the number, whether or not there is an
/// account: so nobody learns by it who has one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Representative {
    /// The appointment's identifier.
    pub id: MandateId,
    /// The organisation's account.
    pub organisation: AccountId,
    /// Whom it is for.
    pub tenant: Tenant,
    /// The person.
    pub person: PersonalNumber,
    /// In which themes.
    pub themes: BTreeSet<Theme>,
    /// Until when.
    pub until: OffsetDateTime,
}

impl std::fmt::Debug for Representative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The number is personal.
        f.debug_struct("Representative")
            .field("id", &self.id)
            .field("organisation", &self.organisation)
            .finish_non_exhaustive()
    }
}

impl Item for Representative {
    type Kind = Kind;

    const KIND: Kind = Kind::Representative;

    fn key(&self) -> String {
        self.id.0.clone()
    }

    fn owner(&self) -> Option<String> {
        Some(self.organisation.0.clone())
    }

    fn other(&self) -> Option<String> {
        Some(LoginName::Number(self.person, self.tenant).key())
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.until)
    }
}

/// The key under which the account of an organisation is found.
fn key_of(number: OrganisationNumber, tenant: Tenant) -> String {
    let tenant = match tenant {
        Tenant::People => "p",
        Tenant::Sandbox => "s",
    };
    format!(
        "{tenant}o{}",
        Digest::of(&[number.as_str().as_bytes()]).as_str()
    )
}

impl Provider {
    fn organisation(
        &self,
        number: OrganisationNumber,
        tenant: Tenant,
    ) -> Result<Option<Loaded<Organisation>>, Failure> {
        match self.load::<Login>(&key_of(number, tenant))? {
            Some(login) => Ok(self.load(login.value.account.as_str())?),
            None => Ok(None),
        }
    }

    /// The organisation, if the person heads it.
    fn headed(
        &self,
        who: &Authenticated,
        number: OrganisationNumber,
    ) -> Result<Loaded<Organisation>, Failure> {
        self.organisation(number, who.account.tenant)?
            .filter(|organisation| organisation.value.head == who.account.id)
            .ok_or_else(|| Refusal::NotAvailable.into())
    }

    /// Records an organisation, or another head or other names of one. Who headed it before does so no longer, at once;
    /// its representatives stay until the new head dismisses them.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`], [`Refusal::TooLong`] for names, [`Refusal::NoAccount`], [`Refusal::NotProofed`] if the
    /// head was not proofed, [`Refusal::OwnCase`].
    pub fn record_organisation(
        &self,
        by: &OnDuty,
        tenant: Tenant,
        form: &OrganisationForm,
        seed: &Seed,
    ) -> Result<(), Failure> {
        by.has(Duty::Organisations)?;
        form.check()?;
        self.decide(|| {
            let head = self.person(form.head, tenant)?;
            by.not_about(&head.value.id)?;
            if !matches!(
                head.value.proofing,
                Proofing::InPerson | Proofing::CardCertificate
            ) {
                return Err(Refusal::NotProofed.into());
            }
            let mut changes = Changes::default();
            changes.rests_on(&head);
            let mut organisation = Organisation {
                account: AccountId(seed.id("organisation")),
                number: form.number,
                tenant,
                names: form.names.clone(),
                head: head.value.id.clone(),
                at: by.now(),
            };
            let mut before = None;
            match self.organisation(form.number, tenant)? {
                Some(mut found) => {
                    by.not_about(&found.value.head)?;
                    before = Some(found.value.head.clone());
                    organisation.account = found.value.account.clone();
                    found.value = organisation.clone();
                    changes.replace(&found)?;
                }
                None => {
                    changes.insert(&Account::open(
                        organisation.account.clone(),
                        tenant,
                        by.now(),
                    ))?;
                    changes.insert(&Login {
                        key: key_of(form.number, tenant),
                        account: organisation.account.clone(),
                    })?;
                    changes.insert(&organisation)?;
                }
            }
            changes.event(
                by.event(EventKind::OrganisationRecorded)
                    .account(&organisation.account),
            );
            if before.as_ref() != Some(&organisation.head) {
                changes.event(
                    by.event(EventKind::OrganisationHeaded)
                        .account(&organisation.head),
                );
            }
            Ok(Decision::yes(changes, ()))
        })
    }

    /// The head appoints somebody to act for the organisation. It cannot be passed on. Whether the other has an account
    /// is not told.
    ///
    /// # Errors
    /// [`Refusal::LevelTooLow`], [`Refusal::Careful`], [`Refusal::MandateForm`], also for the head's own number;
    /// [`Refusal::NotAvailable`] for who is not the head, [`Refusal::TooMany`].
    pub fn appoint_representative(
        &self,
        who: &Authenticated,
        number: OrganisationNumber,
        form: &MandateForm,
        seed: &Seed,
    ) -> Result<MandateId, Failure> {
        who.may(Operation::Mandate)?;
        form.check(who.now)?;
        if form.may_pass_on
            || form.themes.contains(&Theme::Confidential)
            || who.account.person == Some(form.other)
        {
            return Err(Refusal::MandateForm(LONGEST_MANDATE).into());
        }
        self.decide(|| {
            let organisation = self.headed(who, number)?;
            let by = By::Owner(organisation.value.account.as_str());
            let all = list::<Representative>(self.store.as_ref(), by, MOST_REPRESENTATIVES)?;
            if all.len() >= MOST_REPRESENTATIVES {
                return Err(Refusal::TooMany("representatives").into());
            }
            let representative = Representative {
                id: MandateId(seed.id("representative")),
                organisation: organisation.value.account.clone(),
                tenant: organisation.value.tenant,
                person: form.other,
                themes: form.themes.clone(),
                until: form.until,
            };
            let mut changes = Changes::default();
            changes.rests_on(&organisation);
            changes.insert(&representative)?;
            let kind = EventKind::MandateGranted;
            changes.event(self.by_head(kind, &representative, who)?);
            Ok(Decision::yes(changes, representative.id))
        })
    }

    /// The head dismisses a representative: at once, no token for the organisation is accepted that came of it.
    ///
    /// # Errors
    /// [`Refusal::LevelTooLow`]; [`Refusal::NotAvailable`] for who is not the head, [`Refusal::Nothing`].
    pub fn dismiss_representative(
        &self,
        who: &Authenticated,
        number: OrganisationNumber,
        id: &MandateId,
    ) -> Result<(), Failure> {
        who.may(Operation::TakeBack)?;
        if who.level() < Level::High {
            let (needed, has) = (Level::High, who.level());
            return Err(Refusal::LevelTooLow { needed, has }.into());
        }
        self.decide(|| {
            let organisation = self.headed(who, number)?;
            let representative = self
                .load::<Representative>(id.as_str())?
                .filter(|found| found.value.organisation == organisation.value.account)
                .ok_or(Refusal::Nothing)?;
            let mut changes = Changes::default();
            changes.rests_on(&organisation);
            changes.remove(&representative);
            let kind = EventKind::MandateRevoked;
            changes.event(self.by_head(kind, &representative.value, who)?);
            Ok(Decision::yes(changes, ()))
        })
    }

    /// An event of an appointment: the head is in it, and the representative, if there is an account to tell.
    fn by_head(
        &self,
        kind: EventKind,
        representative: &Representative,
        who: &Authenticated,
    ) -> Result<Event, Failure> {
        let name = LoginName::Number(representative.person, representative.tenant);
        let account = self.account_of(&name)?.map(|account| account.value.id);
        Ok(Event::new(kind, who.now)
            .account(account.as_ref().unwrap_or(&representative.organisation))
            .actor(&who.account.id)
            .mandate(&representative.id)
            .session(&who.session.id))
    }

    /// The organisations that a person heads, each with its representatives now.
    ///
    /// # Errors
    /// The database fails.
    pub fn headed_organisations(
        &self,
        who: &Authenticated,
    ) -> Result<Vec<(Organisation, Vec<Representative>)>, Failure> {
        let by = By::Owner(who.account.id.as_str());
        let mut all = Vec::new();
        for found in list::<Organisation>(self.store.as_ref(), by, MOST_ORGANISATIONS)? {
            let by = By::Owner(found.value.account.as_str());
            let people = list::<Representative>(self.store.as_ref(), by, MOST_REPRESENTATIVES)?
                .into_iter()
                .map(|found| found.value)
                .filter(|representative| who.now < representative.until)
                .collect();
            all.push((found.value, people));
        }
        Ok(all)
    }

    /// The organisations that a person represents now, each with the appointment.
    ///
    /// # Errors
    /// The database fails.
    pub fn represented_organisations(
        &self,
        who: &Authenticated,
    ) -> Result<Vec<(Organisation, Representative)>, Failure> {
        let mut all = Vec::new();
        for representative in self.appointments(&who.account, who.now)? {
            let organisation = &representative.value.organisation;
            if let Some(found) = self.load::<Organisation>(organisation.as_str())? {
                all.push((found.value, representative.value));
            }
        }
        Ok(all)
    }

    fn appointments(
        &self,
        actor: &Account,
        now: OffsetDateTime,
    ) -> Result<Vec<Loaded<Representative>>, Failure> {
        let Some(person) = actor.person else {
            return Ok(Vec::new());
        };
        let key = LoginName::Number(person, actor.tenant).key();
        let by = By::Other(&key);
        let mut found = list::<Representative>(self.store.as_ref(), by, MOST_ORGANISATIONS)?;
        found.retain(|representative| now < representative.value.until);
        Ok(found)
    }

    /// The account of an organisation for which an account's holder may act in a theme, and by what right.
    pub(super) fn represent_organisation(
        &self,
        changes: &mut Changes,
        actor: &Account,
        number: OrganisationNumber,
        theme: Theme,
        now: OffsetDateTime,
    ) -> Result<(AccountId, Right), Failure> {
        let organisation = self
            .organisation(number, actor.tenant)?
            .filter(|_| actor.person.is_some() && theme != Theme::Confidential)
            .ok_or(Refusal::NotAvailable)?;
        if !self.account(&organisation.value.account)?.value.is_open() {
            return Err(Refusal::NotAvailable.into());
        }
        if organisation.value.head == actor.id {
            changes.rests_on(&organisation);
            return Ok((organisation.value.account, Right::Head));
        }
        for found in self.appointments(actor, now)? {
            if found.value.organisation == organisation.value.account
                && found.value.themes.contains(&theme)
            {
                changes.rests_on(&found);
                let appointment = found.value.id;
                return Ok((
                    organisation.value.account,
                    Right::Representative { appointment },
                ));
            }
        }
        Err(Refusal::NotAvailable.into())
    }

    /// Whether an appointment is still there, with this theme and in its time.
    pub(super) fn still_represents(
        &self,
        actor: &Account,
        subject: &Account,
        appointment: &MandateId,
        theme: Theme,
        now: OffsetDateTime,
    ) -> Result<bool, Failure> {
        let found = self.load::<Representative>(appointment.as_str())?;
        Ok(found.is_some_and(|found| {
            actor.person == Some(found.value.person)
                && found.value.organisation == subject.id
                && found.value.themes.contains(&theme)
                && now < found.value.until
        }))
    }

    /// Whether somebody heads the organisation of an account.
    pub(super) fn heads(&self, actor: &Account, subject: &Account) -> Result<bool, Failure> {
        let organisation = self.load::<Organisation>(subject.id.as_str())?;
        Ok(organisation.is_some_and(|organisation| organisation.value.head == actor.id))
    }
}
