//! The record of one number: everything that acts ever stated about it.

use std::collections::BTreeSet;

use time::{Date, OffsetDateTime};

use crate::act::{Act, ActId, Event, Officer};
use crate::fact::{Fact, Field, Known, LockState, Purpose};
use crate::image::{ImageId, ImageKind};
use crate::number::{PersonalNumber, Sex};
use crate::person::{
    Address, Citizenship, CivilStatus, Document, DocumentKind, Names, Parent, ParentalRights,
    ProtectionKind, Residence,
};

/// An act as a record remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActOnRecord {
    /// Its place among all acts.
    pub id: ActId,
    /// The kind of its event.
    pub kind: &'static str,
    /// When the register learnt of it.
    pub entered_at: OffsetDateTime,
    /// The day from which it holds.
    pub effective: Date,
    /// Its number in its office.
    pub reference: String,
    /// Who entered it.
    pub officer: Officer,
    /// The act that took it back.
    pub reversed_by: Option<ActId>,
    /// Whether it is an adoption whose secrecy is in force.
    pub secret: bool,
}

/// Everything about one number. It is never stored: it is what its acts amount to, so that nothing can be in a record
/// that no act put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    number: PersonalNumber,
    acts: Vec<ActOnRecord>,
    facts: Vec<Known>,
}

/// What the register knew, and about which day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    /// The day in the world.
    pub valid_on: Date,
    /// The moment up to which the register's knowledge counts.
    pub known_at: OffsetDateTime,
}

impl Record {
    /// The record of a number: all acts about it, in the order in which they were entered. None if there is none.
    pub fn from_acts<'a>(
        number: PersonalNumber,
        acts: impl IntoIterator<Item = &'a Act>,
    ) -> Option<Self> {
        let mut record = Self {
            number,
            acts: Vec::new(),
            facts: Vec::new(),
        };
        for act in acts {
            record.add(act);
        }
        (!record.acts.is_empty()).then_some(record)
    }

    /// As much of the record of somebody who was just taken over as decisions about relatives rest on: that the number
    /// is held, since when, and the last act about it. An import knows this of everybody whom it entered itself.
    #[must_use]
    pub fn of_taken_over(
        number: PersonalNumber,
        born_on: Date,
        last: ActId,
        at: OffsetDateTime,
    ) -> Self {
        let known = |fact| Known {
            fact,
            valid_from: born_on,
            act: last,
            entered_at: at,
            withdrawn: None,
            sealed_by: None,
        };
        Self {
            number,
            acts: vec![ActOnRecord {
                id: last,
                kind: "takenOver",
                entered_at: at,
                effective: born_on,
                reference: String::new(),
                officer: Officer {
                    office: String::new(),
                    name: String::new(),
                },
                reversed_by: None,
                secret: false,
            }],
            facts: vec![known(Fact::Lives), known(Fact::BornOn(born_on))],
        }
    }

    /// Adds a later act. Acts about other people leave no trace.
    pub fn add(&mut self, act: &Act) {
        let entry = &act.entry;
        let mut concerned = false;
        for said in entry.statements_about(self.number) {
            if said.about == self.number {
                concerned = true;
                self.facts.push(Known {
                    fact: said.fact,
                    valid_from: said.valid_from,
                    act: act.id,
                    entered_at: act.entered_at,
                    withdrawn: None,
                    sealed_by: None,
                });
            }
        }
        let mut secret = false;
        match &entry.event {
            Event::Reversal {
                act: reversed,
                people,
            } if people.contains(&self.number) => {
                concerned = true;
                self.reverse(*reversed, act);
            }
            Event::Correction {
                person,
                corrects,
                facts,
            } if *person == self.number => {
                for corrected in facts {
                    self.withdraw(*corrects, Some(corrected.fact.field()), act);
                }
            }
            Event::Adoption {
                child,
                secret: true,
                ..
            } if concerned => {
                secret = true;
                self.seal(*child, act.id);
            }
            _ => {}
        }
        if concerned {
            self.acts.push(ActOnRecord {
                id: act.id,
                kind: entry.event.kind(),
                entered_at: act.entered_at,
                effective: entry.effective,
                reference: entry.reference.clone(),
                officer: entry.officer.clone(),
                reversed_by: None,
                secret,
            });
        }
    }

    fn reverse(&mut self, reversed: ActId, by: &Act) {
        self.withdraw(reversed, None, by);
        for act in self.acts.iter_mut().filter(|act| act.id == reversed) {
            act.reversed_by = Some(by.id);
            act.secret = false;
        }
        // What a reversed correction had withdrawn is known again, from now on: for the time between it stays withdrawn.
        let again: Vec<Known> = self
            .facts
            .iter()
            .filter(|known| known.withdrawn.is_some_and(|(act, _)| act == reversed))
            .map(|known| Known {
                entered_at: by.entered_at,
                withdrawn: None,
                ..known.clone()
            })
            .collect();
        self.facts.extend(again);
        // So is what a reversed adoption had sealed.
        for known in &mut self.facts {
            if known.sealed_by == Some(reversed) {
                known.sealed_by = None;
            }
        }
    }

    fn withdraw(&mut self, act: ActId, field: Option<Field<'_>>, by: &Act) {
        for known in &mut self.facts {
            let meant = known.act == act && field.is_none_or(|field| known.fact.field() == field);
            if meant && known.withdrawn.is_none() {
                known.withdrawn = Some((by.id, by.entered_at));
            }
        }
    }

    /// Covers what was known of a child's descent before the adoption: on the child's record name, birth place, parents
    /// and birth certificates, on others' records that it was their child.
    fn seal(&mut self, child: PersonalNumber, adoption: ActId) {
        let on_child = self.number == child;
        for known in self.facts.iter_mut().filter(|known| known.act < adoption) {
            let covered = match &known.fact {
                Fact::Names(_) | Fact::BirthPlace(_) | Fact::Parent(..) => on_child,
                Fact::Document(document) => {
                    on_child && document.kind == DocumentKind::BirthCertificate
                }
                Fact::Child(number, _) => !on_child && *number == child,
                _ => false,
            };
            if covered && known.sealed_by.is_none() {
                known.sealed_by = Some(adoption);
            }
        }
        // That it is no longer their child is told by the adoption itself.
        for known in self.facts.iter_mut().filter(|known| known.act == adoption) {
            if known.fact == Fact::Child(child, false) {
                known.sealed_by = Some(adoption);
            }
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(&self) -> PersonalNumber {
        self.number
    }

    /// All acts about the number, reversed ones too, in the order in which they were entered.
    #[must_use]
    pub fn acts(&self) -> &[ActOnRecord] {
        &self.acts
    }

    /// The last act about the number.
    #[must_use]
    pub fn last_act(&self) -> ActId {
        self.acts.last().map(|act| act.id).unwrap_or_default()
    }

    /// Everything ever stated, withdrawn facts too, in the order in which it was entered.
    #[must_use]
    pub fn facts(&self) -> &[Known] {
        &self.facts
    }

    /// What was known of a field about a day.
    #[must_use]
    pub fn at(&self, field: Field<'_>, as_of: AsOf) -> Option<&Known> {
        self.facts
            .iter()
            .filter(|known| known.stood_at(as_of.known_at) && known.valid_from <= as_of.valid_on)
            .filter(|known| known.fact.field() == field)
            .max_by_key(|known| (known.valid_from, known.act))
    }

    /// What is known of a field today. Nothing is entered that begins in the future.
    #[must_use]
    pub fn now(&self, field: Field<'_>) -> Option<&Known> {
        self.facts
            .iter()
            .filter(|known| known.stands() && known.fact.field() == field)
            .max_by_key(|known| (known.valid_from, known.act))
    }

    /// The history of a field as it is known today, oldest first.
    pub fn history(&self, field: Field<'_>) -> Vec<&Known> {
        let mut history: Vec<&Known> = self
            .facts
            .iter()
            .filter(|known| known.stands() && known.fact.field() == field)
            .collect();
        history.sort_by_key(|known| (known.valid_from, known.act));
        history
    }

    /// What is known of each field today.
    fn current_known(&self) -> impl Iterator<Item = &Known> {
        self.facts.iter().filter(|known| {
            known.stands()
                && self
                    .now(known.fact.field())
                    .is_some_and(|now| std::ptr::eq(now, *known))
        })
    }

    /// The facts that hold today, one of each field.
    fn current(&self) -> impl Iterator<Item = &Fact> {
        self.current_known().map(|known| &known.fact)
    }

    /// Whether anybody holds the number: it was issued, and the act that issued it stands.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.now(Field::Life).is_some()
    }

    /// Whether the holder lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.now(Field::Life)
            .is_some_and(|known| known.fact == Fact::Lives)
    }

    /// Day of death.
    #[must_use]
    pub fn died_on(&self) -> Option<Date> {
        let known = self.now(Field::Life)?;
        (known.fact == Fact::Dead).then_some(known.valid_from)
    }

    /// Name.
    #[must_use]
    pub fn names(&self) -> Option<&Names> {
        match &self.now(Field::Names)?.fact {
            Fact::Names(names) => Some(names),
            _ => None,
        }
    }

    /// Sex; the number's where nothing is stated.
    #[must_use]
    pub fn sex(&self) -> Sex {
        match self.now(Field::Sex).map(|known| &known.fact) {
            Some(Fact::Sex(sex)) => *sex,
            _ => self.number.sex(),
        }
    }

    /// Date of birth.
    #[must_use]
    pub fn born_on(&self) -> Option<Date> {
        match self.now(Field::BornOn)?.fact {
            Fact::BornOn(day) => Some(day),
            _ => None,
        }
    }

    /// Place of birth.
    #[must_use]
    pub fn birth_place(&self) -> Option<&str> {
        match &self.now(Field::BirthPlace)?.fact {
            Fact::BirthPlace(place) => Some(place),
            _ => None,
        }
    }

    /// Citizenship.
    #[must_use]
    pub fn citizenship(&self) -> Option<&Citizenship> {
        match &self.now(Field::Citizenship)?.fact {
            Fact::Citizenship(citizenship) => Some(citizenship),
            _ => None,
        }
    }

    /// Marital status.
    #[must_use]
    pub fn civil_status(&self) -> Option<CivilStatus> {
        match self.now(Field::CivilStatus)?.fact {
            Fact::CivilStatus(status) => Some(status),
            _ => None,
        }
    }

    /// Husband or wife.
    #[must_use]
    pub fn spouse(&self) -> Option<PersonalNumber> {
        match self.now(Field::Spouse)?.fact {
            Fact::Spouse(spouse) => spouse,
            _ => None,
        }
    }

    /// A parent.
    #[must_use]
    pub fn parent(&self, place: Parent) -> Option<PersonalNumber> {
        match self.now(Field::Parent(place))?.fact {
            Fact::Parent(_, parent) => parent,
            _ => None,
        }
    }

    /// Children.
    #[must_use]
    pub fn children(&self) -> BTreeSet<PersonalNumber> {
        self.current()
            .filter_map(|fact| match fact {
                Fact::Child(number, true) => Some(*number),
                _ => None,
            })
            .collect()
    }

    /// Guardians.
    #[must_use]
    pub fn guardians(&self) -> BTreeSet<PersonalNumber> {
        self.current()
            .filter_map(|fact| match fact {
                Fact::Guardian(number, true) => Some(*number),
                _ => None,
            })
            .collect()
    }

    /// Wards.
    #[must_use]
    pub fn wards(&self) -> BTreeSet<PersonalNumber> {
        self.current()
            .filter_map(|fact| match fact {
                Fact::Ward(number, true) => Some(*number),
                _ => None,
            })
            .collect()
    }

    /// What a parent may decide; full rights where no court said otherwise.
    #[must_use]
    pub fn rights_of(&self, parent: PersonalNumber) -> ParentalRights {
        match self
            .now(Field::ParentalRights(parent))
            .map(|known| &known.fact)
        {
            Some(Fact::ParentalRights(_, rights)) => *rights,
            _ => ParentalRights::Full,
        }
    }

    /// An address.
    #[must_use]
    pub fn address(&self, residence: Residence) -> Option<&Address> {
        match &self.now(Field::Residence(residence))?.fact {
            Fact::Residence(_, address) => address.as_ref(),
            _ => None,
        }
    }

    /// Documents that count: not a birth certificate from before a secret adoption.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.current_known().filter_map(|known| match &known.fact {
            Fact::Document(document) if known.sealed_by.is_none() => Some(document),
            _ => None,
        })
    }

    /// The portrait or signature image.
    #[must_use]
    pub fn image(&self, kind: ImageKind) -> Option<ImageId> {
        match self.now(Field::Image(kind))?.fact {
            Fact::Image(_, image) => Some(image),
            _ => None,
        }
    }

    /// The protections in force, with the person they are against.
    pub fn protections(&self) -> impl Iterator<Item = (ProtectionKind, Option<PersonalNumber>)> {
        self.current().filter_map(|fact| match fact {
            Fact::Protection(kind, true, against) => Some((*kind, *against)),
            _ => None,
        })
    }

    /// Whether any protection is in force.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.protections().next().is_some()
    }

    /// Whether the number may not be used for a purpose at a moment.
    #[must_use]
    pub fn is_locked(&self, purpose: &Purpose, now: OffsetDateTime) -> bool {
        match self
            .now(Field::Lock(purpose.as_str()))
            .map(|known| &known.fact)
        {
            Some(Fact::Lock(_, LockState::Locked)) => true,
            Some(Fact::Lock(_, LockState::OpensAt(moment))) => now < *moment,
            _ => false,
        }
    }

    /// The number that answers for this one.
    #[must_use]
    pub fn merged_into(&self) -> Option<PersonalNumber> {
        match self.now(Field::MergedInto)?.fact {
            Fact::MergedInto(number) => Some(number),
            _ => None,
        }
    }

    /// Whether an officer found that another number is somebody else's.
    #[must_use]
    pub fn is_distinct_from(&self, number: PersonalNumber) -> bool {
        self.now(Field::Distinct(number)).is_some()
    }

    /// The numbers that this one answers for.
    #[must_use]
    pub fn aliases(&self) -> BTreeSet<PersonalNumber> {
        self.current()
            .filter_map(|fact| match fact {
                Fact::Alias(number) => Some(*number),
                _ => None,
            })
            .collect()
    }
}
