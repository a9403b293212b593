//! Organisations: who heads one, and whom the head appoints to act for it.

use std::collections::{BTreeMap, BTreeSet};

use id_registry::{OrganisationNumber, PersonalNumber, Theme};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::acting::{LONGEST_MANDATE, MandateForm};
use super::support::{Duty, NoticeKind};
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
    /// The account of its head; nobody's if the head resigned or it was struck off.
    pub head: AccountId,
    /// When it was recorded, or last changed.
    pub at: OffsetDateTime,
    /// Whether it was struck off: it is there no longer, and nobody acts for it.
    #[serde(default)]
    pub struck_off: bool,
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

/// What a head does about others, or gives up, needs the level high.
fn high(who: &Authenticated) -> Result<(), Failure> {
    who.may(Operation::TakeBack)?;
    if who.level() < Level::High {
        let (needed, has) = (Level::High, who.level());
        return Err(Refusal::LevelTooLow { needed, has }.into());
    }
    Ok(())
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

    /// Records an organisation, or another head or other names of one, also one that was struck off or has no head. Who
    /// headed it before does so no longer, at once; its representatives stay until the new head dismisses them. Both heads
    /// are told.
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
                struck_off: false,
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
                self.tell_of_organisation(&mut changes, &organisation.head, by.now(), seed)?;
                if let Some(before) = before {
                    let event = by.event(EventKind::OrganisationHeaded);
                    changes.event(event.account(&before).because("replaced"));
                    self.tell_of_organisation(&mut changes, &before, by.now(), seed)?;
                }
            }
            Ok(Decision::yes(changes, ()))
        })
    }

    /// Strikes an organisation off: its head and its representatives act for it no longer, at once, and are told.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`], [`Refusal::Nothing`] if no such organisation is recorded, [`Refusal::OwnCase`].
    pub fn strike_off(
        &self,
        by: &OnDuty,
        tenant: Tenant,
        number: OrganisationNumber,
        seed: &Seed,
    ) -> Result<(), Failure> {
        by.has(Duty::Organisations)?;
        self.decide(|| {
            let mut organisation = self
                .organisation(number, tenant)?
                .filter(|organisation| !organisation.value.struck_off)
                .ok_or(Refusal::Nothing)?;
            let nobody = AccountId(seed.id("nobody"));
            let head = std::mem::replace(&mut organisation.value.head, nobody);
            by.not_about(&head)?;
            organisation.value.struck_off = true;
            organisation.value.at = by.now();
            let mut changes = Changes::default();
            changes.replace(&organisation)?;
            let organisation = &organisation.value.account;
            let event = by.event(EventKind::OrganisationRecorded);
            changes.event(event.account(organisation).because("struckOff"));
            let event = by.event(EventKind::OrganisationHeaded);
            changes.event(event.account(&head).because("struckOff"));
            self.tell_of_organisation(&mut changes, &head, by.now(), seed)?;
            let all = By::Owner(organisation.as_str());
            for found in list::<Representative>(self.store.as_ref(), all, MOST_REPRESENTATIVES)? {
                let account = self.account_of_representative(&found.value)?;
                let event = by.event(EventKind::MandateRevoked).mandate(&found.value.id);
                let event = event.account(account.as_ref().unwrap_or(organisation));
                changes.event(event.because("struckOff"));
                if let Some(account) = &account {
                    self.tell_of_organisation(&mut changes, account, by.now(), seed)?;
                }
                changes.remove(&found);
            }
            Ok(Decision::yes(changes, ()))
        })
    }

    /// The head resigns: nobody heads the organisation until an officer records the next one. Its representatives stay, and
    /// all are told.
    ///
    /// # Errors
    /// [`Refusal::LevelTooLow`]; [`Refusal::NotAvailable`] for who is not the head.
    pub fn resign_as_head(
        &self,
        who: &Authenticated,
        number: OrganisationNumber,
        seed: &Seed,
    ) -> Result<(), Failure> {
        high(who)?;
        self.decide(|| {
            let mut organisation = self.headed(who, number)?;
            organisation.value.head = AccountId(seed.id("nobody"));
            organisation.value.at = who.now;
            let mut changes = Changes::default();
            changes.replace(&organisation)?;
            let organisation = &organisation.value.account;
            changes.event(
                Event::new(EventKind::OrganisationHeaded, who.now)
                    .account(&who.account.id)
                    .session(&who.session.id)
                    .because("resigned"),
            );
            self.tell_of_organisation(&mut changes, &who.account.id, who.now, seed)?;
            let all = By::Owner(organisation.as_str());
            for found in list::<Representative>(self.store.as_ref(), all, MOST_REPRESENTATIVES)? {
                if let Some(account) = self.account_of_representative(&found.value)? {
                    self.tell_of_organisation(&mut changes, &account, who.now, seed)?;
                }
            }
            Ok(Decision::yes(changes, ()))
        })
    }

    /// A representative resigns; the head is told too.
    ///
    /// # Errors
    /// [`Refusal::Nothing`] for an appointment that is not the person's own, or over.
    pub fn resign_as_representative(
        &self,
        who: &Authenticated,
        id: &MandateId,
        seed: &Seed,
    ) -> Result<(), Failure> {
        who.may(Operation::TakeBack)?;
        self.decide(|| {
            let own = self.appointments(&who.account, who.now)?;
            let found = own.into_iter().find(|found| found.value.id == *id);
            let found = found.ok_or(Refusal::Nothing)?;
            let mut changes = Changes::default();
            changes.remove(&found);
            let mut event = Event::new(EventKind::MandateRevoked, who.now)
                .account(&who.account.id)
                .mandate(id)
                .session(&who.session.id)
                .because("resigned");
            self.tell_of_organisation(&mut changes, &who.account.id, who.now, seed)?;
            let organisation = self.load::<Organisation>(found.value.organisation.as_str())?;
            if let Some(organisation) = organisation {
                let head = &organisation.value.head;
                self.tell_of_organisation(&mut changes, head, who.now, seed)?;
                event = event.actor(head);
            }
            changes.event(event);
            Ok(Decision::yes(changes, ()))
        })
    }

    /// Writes to somebody who heads or represents an organisation, or did, if there is such an account.
    fn tell_of_organisation(
        &self,
        changes: &mut Changes,
        account: &AccountId,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<(), Failure> {
        if let Some(account) = self.load::<Account>(account.as_str())? {
            self.notify(changes, &account.value, NoticeKind::Organisation, now, seed)?;
        }
        Ok(())
    }

    fn account_of_representative(
        &self,
        representative: &Representative,
    ) -> Result<Option<AccountId>, Failure> {
        let name = LoginName::Number(representative.person, representative.tenant);
        Ok(self.account_of(&name)?.map(|account| account.value.id))
    }

    /// The head appoints somebody to act for the organisation, who is told. It cannot be passed on. Whether the other has an
    /// account is not told.
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
            self.by_head(
                &mut changes,
                EventKind::MandateGranted,
                &representative,
                who,
                seed,
            )?;
            Ok(Decision::yes(changes, representative.id))
        })
    }

    /// The head dismisses a representative, who is told: at once, no token for the organisation is accepted that came of it.
    ///
    /// # Errors
    /// [`Refusal::LevelTooLow`]; [`Refusal::NotAvailable`] for who is not the head, [`Refusal::Nothing`].
    pub fn dismiss_representative(
        &self,
        who: &Authenticated,
        number: OrganisationNumber,
        id: &MandateId,
        seed: &Seed,
    ) -> Result<(), Failure> {
        high(who)?;
        self.decide(|| {
            let organisation = self.headed(who, number)?;
            let representative = self
                .load::<Representative>(id.as_str())?
                .filter(|found| found.value.organisation == organisation.value.account)
                .ok_or(Refusal::Nothing)?;
            let mut changes = Changes::default();
            changes.rests_on(&organisation);
            changes.remove(&representative);
            self.by_head(
                &mut changes,
                EventKind::MandateRevoked,
                &representative.value,
                who,
                seed,
            )?;
            Ok(Decision::yes(changes, ()))
        })
    }

    /// What an appointment leaves: an event with the head and the representative in it, and word to the latter, if there
    /// is an account.
    fn by_head(
        &self,
        changes: &mut Changes,
        kind: EventKind,
        representative: &Representative,
        who: &Authenticated,
        seed: &Seed,
    ) -> Result<(), Failure> {
        let account = self.account_of_representative(representative)?;
        if let Some(account) = &account {
            self.tell_of_organisation(changes, account, who.now, seed)?;
        }
        changes.event(
            Event::new(kind, who.now)
                .account(account.as_ref().unwrap_or(&representative.organisation))
                .actor(&who.account.id)
                .mandate(&representative.id)
                .session(&who.session.id),
        );
        Ok(())
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
