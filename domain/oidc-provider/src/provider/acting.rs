//! Acting for another: as parent or guardian by the register, or by a mandate.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use id_registry::{OrganisationNumber, PersonalNumber, Theme, day_of};

use super::support::NoticeKind;
use super::{Decision, Provider};
use crate::account::{Account, Login, LoginName};
use crate::event::{Event, EventKind};
use crate::grant::{Acting, Right};
use crate::level::Operation;
use crate::port::{self, By, Changes, Item, Kind};
use crate::refusal::{Failure, Refusal};
use crate::secret::{AccountId, MandateId, Seed};
use crate::session::Authenticated;

/// How long a mandate holds at most.
pub(super) const LONGEST_MANDATE: i64 = 3 * 366;
/// How long a request for one waits.
const REQUEST_WAITS: Duration = Duration::days(30);
/// Mandates of one account that are looked at.
const MOST_MANDATES: usize = 200;
/// How often a mandate may have been passed on.
const LONGEST_CHAIN: usize = 4;

/// In what state a mandate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum MandateStanding {
    /// The one who would act asked for it.
    Requested,
    /// It holds until its time is over.
    Granted,
    /// Refused, or revoked by either.
    Ended,
}

/// A mandate: one person acts for another in themes, for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mandate {
    /// Its identifier.
    pub id: MandateId,
    /// Who is represented.
    pub giver: AccountId,
    /// Who acts.
    pub holder: AccountId,
    /// In which themes.
    pub themes: BTreeSet<Theme>,
    /// Until when.
    pub until: OffsetDateTime,
    /// Whether the one who acts may pass it on.
    pub may_pass_on: bool,
    /// The mandate of which this one was passed on.
    pub passed_on_from: Option<MandateId>,
    /// When it was asked for or given.
    pub at: OffsetDateTime,
    /// In what state it is.
    pub standing: MandateStanding,
    /// The number that was typed. It stands here so that a list looks the same whether or not that number has an account.
    #[serde(default)]
    pub named: Option<PersonalNumber>,
}

impl Item for Mandate {
    type Kind = Kind;

    const KIND: Kind = Kind::Mandate;

    fn key(&self) -> String {
        self.id.0.clone()
    }

    fn owner(&self) -> Option<String> {
        Some(self.giver.0.clone())
    }

    fn other(&self) -> Option<String> {
        Some(self.holder.0.clone())
    }
}

/// For whom somebody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Represented {
    /// A person.
    Person(PersonalNumber),
    /// An organisation.
    Organisation(OrganisationNumber),
}

/// What a mandate is to cover.
#[derive(Debug, Clone)]
pub struct MandateForm {
    /// The other person.
    pub other: PersonalNumber,
    /// In which themes.
    pub themes: BTreeSet<Theme>,
    /// Until when, at most three years.
    pub until: OffsetDateTime,
    /// Whether it may be passed on.
    pub may_pass_on: bool,
}

impl MandateForm {
    pub(super) fn check(&self, now: OffsetDateTime) -> Result<(), Refusal> {
        let longest = now + Duration::days(LONGEST_MANDATE);
        if self.themes.is_empty() || self.until <= now || self.until > longest {
            return Err(Refusal::MandateForm(LONGEST_MANDATE));
        }
        Ok(())
    }

    fn mandate(
        &self,
        id: MandateId,
        giver: AccountId,
        holder: AccountId,
        at: OffsetDateTime,
        standing: MandateStanding,
    ) -> Mandate {
        Mandate {
            id,
            giver,
            holder,
            themes: self.themes.clone(),
            until: self.until,
            may_pass_on: self.may_pass_on,
            passed_on_from: None,
            at,
            standing,
            named: Some(self.other),
        }
    }
}

impl Provider {
    /// Gives somebody a mandate. Whether the other has an account is not told: if not, it looks the same
    /// and comes to nothing.
    ///
    /// # Errors
    /// [`Refusal::LevelTooLow`], [`Refusal::Careful`], [`Refusal::MandateForm`], [`Refusal::NotProofed`].
    pub fn give_mandate(
        &self,
        who: &Authenticated,
        form: &MandateForm,
        seed: &Seed,
    ) -> Result<MandateId, Failure> {
        self.new_mandate(who, form, MandateStanding::Granted, None, seed)
    }

    /// Asks somebody for a mandate. Whether the other has an account is not told.
    ///
    /// # Errors
    /// As [`Provider::give_mandate`].
    pub fn request_mandate(
        &self,
        who: &Authenticated,
        form: &MandateForm,
        seed: &Seed,
    ) -> Result<MandateId, Failure> {
        self.new_mandate(who, form, MandateStanding::Requested, None, seed)
    }

    /// Passes a mandate on, if it allows that: no more themes, not for longer, and not further.
    ///
    /// # Errors
    /// [`Refusal::NotAvailable`] if it does not allow it, otherwise as [`Provider::give_mandate`].
    pub fn pass_on(
        &self,
        who: &Authenticated,
        mandate: &MandateId,
        form: &MandateForm,
        seed: &Seed,
    ) -> Result<MandateId, Failure> {
        self.new_mandate(who, form, MandateStanding::Granted, Some(mandate), seed)
    }

    fn new_mandate(
        &self,
        who: &Authenticated,
        form: &MandateForm,
        standing: MandateStanding,
        from: Option<&MandateId>,
        seed: &Seed,
    ) -> Result<MandateId, Failure> {
        who.may(Operation::Mandate)?;
        form.check(who.now)?;
        if who.account.person.is_none() {
            return Err(Refusal::NotProofed.into());
        }
        let id = MandateId(seed.id("mandate"));
        self.decide(|| {
            let mut changes = Changes::default();
            let name = LoginName::Number(form.other, who.account.tenant);
            // Without an account the other is nobody: what is kept looks the same and gives nothing to anybody.
            let other_id = match self.account_of(&name)? {
                Some(other) => other.value.id,
                None => AccountId(seed.id("nobody")),
            };
            let me = who.account.id.clone();
            if self.mandates(who)?.len() >= MOST_MANDATES {
                return Err(Refusal::TooMany("mandates").into());
            }
            if me == other_id {
                return Err(Refusal::MandateForm(LONGEST_MANDATE).into());
            }
            let mandate = match (from, standing) {
                (Some(from), _) => {
                    let parent = self
                        .load::<Mandate>(from.as_str())?
                        .filter(|parent| parent.value.holder == me && parent.value.may_pass_on)
                        .ok_or(Refusal::NotAvailable)?;
                    if !self.holds(&parent.value, who.now)?
                        || !form.themes.is_subset(&parent.value.themes)
                        || form.until > parent.value.until
                        || parent.value.giver == other_id
                    {
                        return Err(Refusal::NotAvailable.into());
                    }
                    changes.rests_on(&parent);
                    let giver = parent.value.giver.clone();
                    let mut passed = form.mandate(id.clone(), giver, other_id, who.now, standing);
                    passed.may_pass_on = false;
                    passed.passed_on_from = Some(from.clone());
                    passed
                }
                (None, MandateStanding::Requested) => {
                    form.mandate(id.clone(), other_id, me, who.now, standing)
                }
                (None, _) => form.mandate(id.clone(), me, other_id, who.now, standing),
            };
            changes.insert(&mandate)?;
            if let Some(giver) = self.load::<Account>(mandate.giver.as_str())? {
                let kind = NoticeKind::Mandate;
                self.notify(&mut changes, &giver.value, kind, who.now, seed)?;
            }
            let kind = match standing {
                MandateStanding::Requested => EventKind::MandateRequested,
                _ => EventKind::MandateGranted,
            };
            changes.event(of_mandate(kind, &mandate, who.now));
            Ok(Decision::yes(changes, id.clone()))
        })
    }

    /// The one who would be represented answers a request.
    ///
    /// # Errors
    /// [`Refusal::Nothing`], [`Refusal::LevelTooLow`], [`Refusal::Careful`].
    pub fn answer_mandate(
        &self,
        who: &Authenticated,
        id: &MandateId,
        grant: bool,
    ) -> Result<(), Failure> {
        who.may(if grant {
            Operation::Mandate
        } else {
            Operation::TakeBack
        })?;
        self.decide(|| {
            let mut mandate = self
                .load::<Mandate>(id.as_str())?
                .filter(|mandate| {
                    mandate.value.giver == who.account.id
                        && mandate.value.standing == MandateStanding::Requested
                        && who.now < (mandate.value.at + REQUEST_WAITS).min(mandate.value.until)
                })
                .ok_or(Refusal::Nothing)?;
            let (standing, kind) = if grant {
                (MandateStanding::Granted, EventKind::MandateGranted)
            } else {
                (MandateStanding::Ended, EventKind::MandateRefused)
            };
            mandate.value.standing = standing;
            let mut changes = Changes::default();
            changes.replace(&mandate)?;
            changes.event(of_mandate(kind, &mandate.value, who.now));
            Ok(Decision::yes(changes, ()))
        })
    }

    /// Either of the two ends a mandate; what was passed on of it ends too.
    ///
    /// # Errors
    /// [`Refusal::Nothing`].
    pub fn revoke_mandate(&self, who: &Authenticated, id: &MandateId) -> Result<(), Failure> {
        who.may(Operation::TakeBack)?;
        self.decide(|| {
            let mut mandate = self
                .load::<Mandate>(id.as_str())?
                .filter(|mandate| {
                    let sides = [&mandate.value.giver, &mandate.value.holder];
                    sides.contains(&&who.account.id)
                        && mandate.value.standing != MandateStanding::Ended
                })
                .ok_or(Refusal::Nothing)?;
            mandate.value.standing = MandateStanding::Ended;
            let mut changes = Changes::default();
            changes.replace(&mandate)?;
            changes.event(
                of_mandate(EventKind::MandateRevoked, &mandate.value, who.now)
                    .session(&who.session.id),
            );
            Ok(Decision::yes(changes, ()))
        })
    }

    /// The mandates in which the person is represented or acts, in any state.
    ///
    /// # Errors
    /// The database fails.
    pub fn mandates(&self, who: &Authenticated) -> Result<Vec<Mandate>, Failure> {
        let id = who.account.id.as_str();
        let mut all = Vec::new();
        for by in [By::Owner(id), By::Other(id)] {
            let found = port::list::<Mandate>(self.store.as_ref(), by, MOST_MANDATES)?;
            all.extend(found.into_iter().map(|mandate| mandate.value));
        }
        Ok(all)
    }

    /// The mandates of a person, each with the number of the other side; none of somebody who is protected from
    /// the person.
    ///
    /// # Errors
    /// The database fails.
    pub fn mandates_with_numbers(
        &self,
        who: &Authenticated,
    ) -> Result<Vec<(Mandate, Option<PersonalNumber>)>, Failure> {
        let mut all = Vec::new();
        for mandate in self.mandates(who)? {
            let other = if mandate.giver == who.account.id {
                &mandate.holder
            } else {
                &mandate.giver
            };
            let account = self.load::<Account>(other.as_str())?;
            let mut number = account.map_or(mandate.named, |account| account.value.person);
            // Of the others it says no more than the person typed.
            let acts =
                mandate.holder == who.account.id && mandate.standing == MandateStanding::Granted;
            let is_asked =
                mandate.giver == who.account.id && mandate.standing == MandateStanding::Requested;
            if (acts || is_asked)
                && let (Some(own), Some(other)) = (who.account.person, number)
                && !self.relations.may_hold_mandate(own, other).unwrap_or(false)
            {
                number = None;
            }
            all.push((mandate, number));
        }
        Ok(all)
    }

    /// Whether the register lets the holder of a mandate act for the giver.
    fn is_let(&self, mandate: &Mandate) -> Result<bool, Failure> {
        let person = |account: &AccountId| -> Result<Option<PersonalNumber>, Failure> {
            let account = self.load::<Account>(account.as_str())?;
            Ok(account.and_then(|account| account.value.person))
        };
        match (person(&mandate.holder)?, person(&mandate.giver)?) {
            (Some(holder), Some(giver)) => Ok(self.relations.may_hold_mandate(holder, giver)?),
            _ => Ok(false),
        }
    }

    /// Whether a mandate holds, and every mandate that it was passed on from.
    fn holds(&self, mandate: &Mandate, now: OffsetDateTime) -> Result<bool, Failure> {
        let mut mandate = mandate.clone();
        for _ in 0..LONGEST_CHAIN {
            if mandate.standing != MandateStanding::Granted
                || now >= mandate.until
                || !self.is_let(&mandate)?
            {
                return Ok(false);
            }
            let Some(from) = mandate.passed_on_from.clone() else {
                return Ok(true);
            };
            match self.load::<Mandate>(from.as_str())? {
                Some(parent) => mandate = parent.value,
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// The account of somebody for whom an account's holder may act in a theme, and by what right. Somebody who is
    /// represented by the register needs no account of his or her own: one without any way in is opened.
    pub(super) fn represent(
        &self,
        changes: &mut Changes,
        actor: &Account,
        number: PersonalNumber,
        theme: Theme,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<(AccountId, Right), Failure> {
        let own = actor.person.ok_or(Refusal::NotAvailable)?;
        let by_register = self.relations.may_act(own, number, theme, day_of(now))?;
        let subject = self.account_of(&LoginName::Number(number, actor.tenant))?;
        if let Some(subject) = subject {
            // An account that an earlier provider named is nobody's yet.
            if !subject.value.is_open() || subject.value.person.is_none() {
                return Err(Refusal::NotAvailable.into());
            }
            if by_register {
                return Ok((subject.value.id, Right::Register));
            }
            let by = By::Other(actor.id.as_str());
            for mandate in port::list::<Mandate>(self.store.as_ref(), by, MOST_MANDATES)? {
                if mandate.value.giver == subject.value.id
                    && mandate.value.themes.contains(&theme)
                    && self.holds(&mandate.value, now)?
                {
                    changes.rests_on(&mandate);
                    let mandate = mandate.value.id;
                    return Ok((subject.value.id, Right::Mandate { mandate }));
                }
            }
            return Err(Refusal::NotAvailable.into());
        }
        if !by_register {
            return Err(Refusal::NotAvailable.into());
        }
        let mut account = Account::open(AccountId(seed.id("represented")), actor.tenant, now);
        account.person = Some(number);
        changes.insert(&account)?;
        changes.insert(&Login {
            key: LoginName::Number(number, actor.tenant).key(),
            account: account.id.clone(),
        })?;
        changes.event(
            Event::new(EventKind::AccountOpened, now)
                .account(&account.id)
                .actor(&actor.id)
                .because("represented"),
        );
        Ok((account.id, Right::Register))
    }

    /// Whether somebody may still act for another by the right that was there before.
    pub(super) fn still_may(
        &self,
        actor: &Account,
        subject: &Account,
        acting: &Acting,
        now: OffsetDateTime,
    ) -> Result<bool, Failure> {
        match &acting.right {
            Right::Register => {
                let (Some(own), Some(number)) = (actor.person, subject.person) else {
                    return Ok(false);
                };
                Ok(self
                    .relations
                    .may_act(own, number, acting.theme, day_of(now))?)
            }
            Right::Head => self.heads(actor, subject),
            Right::Representative { appointment } => {
                self.still_represents(actor, subject, appointment, acting.theme, now)
            }
            Right::Mandate { mandate } => match self.load::<Mandate>(mandate.as_str())? {
                Some(mandate) => self.holds(&mandate.value, now),
                None => Ok(false),
            },
        }
    }
}

fn of_mandate(kind: EventKind, mandate: &Mandate, now: OffsetDateTime) -> Event {
    Event::new(kind, now)
        .account(&mandate.giver)
        .actor(&mandate.holder)
        .mandate(&mandate.id)
}
