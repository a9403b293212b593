//! Decides whether an entry becomes an act.

mod lock;
mod merge;
mod refusal;

use std::collections::BTreeMap;

use time::{Date, OffsetDateTime};

use crate::act::{Act, ActId, Corrected, Entry, Event, TakenOver};
use crate::days::{age_on, day_of};
use crate::fact::{Fact, Field};
use crate::number::{NumberRule, PersonalNumber};
use crate::person::{
    Address, CivilStatus, Document, LONGEST_TEXT, Names, NewPerson, Parent, is_printable,
};
use crate::record::{ActOnRecord, Record};
use crate::territory::Territory;

pub use refusal::Refusal;

/// Age at which the law lets people marry (Family Code of the Kyrgyz Republic, article 14; with leave of the local
/// authority one year earlier, which the act's reference then names).
const MARRIAGE_AGE: i32 = 17;
/// Least years between parent and child.
const PARENT_AGE: i32 = 12;
/// Age at which a child is one no longer.
const ADULT_AGE: i32 = 18;
/// Most people who are taken over in one act, and most facts that one act corrects.
const LARGEST_ACT: usize = 100;

/// What the register's decisions depend on besides its records.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The rule of personal numbers.
    pub numbers: &'a dyn NumberRule,
    /// The administrative tree.
    pub territory: &'a Territory,
    /// How long a lock stays after its owner asked to open it.
    pub cooling_off: time::Duration,
}

/// Where decisions read records.
pub trait Records {
    /// Why a record cannot be read.
    type Error;

    /// The record of a number under exactly this number, aliases not followed; none if it was never issued.
    ///
    /// # Errors
    /// The record cannot be read.
    fn record(&self, number: PersonalNumber) -> Result<Option<Record>, Self::Error>;

    /// An act; none if there is none with this id.
    ///
    /// # Errors
    /// The act cannot be read.
    fn act(&self, id: ActId) -> Result<Option<Act>, Self::Error>;
}

/// An entry that was decided to become an act. Only [`decide`] makes one, and only this can be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    entry: Entry,
    at: OffsetDateTime,
    basis: BTreeMap<PersonalNumber, Option<ActId>>,
}

impl Decided {
    /// The entry, with what follows from the register filled in.
    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// When it was decided; the moment at which the register learns it.
    #[must_use]
    pub const fn at(&self) -> OffsetDateTime {
        self.at
    }

    /// The records that the decision rests on, with the last act of each (none: never issued). The act may only be
    /// entered while these are still the last ones.
    #[must_use]
    pub const fn basis(&self) -> &BTreeMap<PersonalNumber, Option<ActId>> {
        &self.basis
    }
}

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
pub enum DecideError<E> {
    /// The entry is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A record could not be read.
    #[error("a record could not be read: {0}")]
    Records(E),
}

/// Decides whether an entry becomes an act, at a moment, by the rules and the records.
///
/// # Errors
/// See [`DecideError`].
pub fn decide<R: Records + ?Sized>(
    entry: Entry,
    at: OffsetDateTime,
    rules: Rules<'_>,
    records: &R,
) -> Result<Decided, DecideError<R::Error>> {
    let mut desk = Desk {
        records,
        rules,
        at,
        today: day_of(at),
        effective: entry.effective,
        basis: BTreeMap::new(),
    };
    desk.form(&entry)?;
    let event = desk.event(entry.event)?;
    Ok(Decided {
        entry: Entry { event, ..entry },
        at,
        basis: desk.basis,
    })
}

/// One decision under way.
struct Desk<'a, R: Records + ?Sized> {
    records: &'a R,
    rules: Rules<'a>,
    at: OffsetDateTime,
    today: Date,
    effective: Date,
    basis: BTreeMap<PersonalNumber, Option<ActId>>,
}

type Checked<T, R> = Result<T, DecideError<<R as Records>::Error>>;

impl<R: Records + ?Sized> Desk<'_, R> {
    fn form(&self, entry: &Entry) -> Result<(), Refusal> {
        let texts = [&entry.reference, &entry.officer.office, &entry.officer.name];
        if texts.iter().any(|text| is_no_text(text)) {
            return Err(Refusal::Incomplete);
        }
        if entry.effective > self.today {
            return Err(Refusal::Future(entry.effective));
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> Checked<Event, R> {
        match event {
            Event::Birth {
                child,
                mother,
                father,
            } => {
                self.newcomer(&child)?;
                if self.effective != child.born_on {
                    return Err(Refusal::BeforeBirth(self.effective, child.number).into());
                }
                self.parents(child.number, child.born_on, [mother, father])?;
                Ok(Event::Birth {
                    child,
                    mother,
                    father,
                })
            }
            Event::Enrolment { person } => {
                self.newcomer(&person)?;
                Ok(Event::Enrolment { person })
            }
            Event::TakenOver { people } => self.taken_over(people),
            Event::Paternity {
                child,
                father,
                instead_of,
            } => self.paternity(child, father, instead_of),
            Event::Marriage { spouses, names } => {
                self.marriage(spouses, &names)?;
                Ok(Event::Marriage { spouses, names })
            }
            Event::Divorce { spouses, names } => {
                let [one, other] = spouses;
                let first = self.living(one)?;
                let second = self.living(other)?;
                if first.spouse() != Some(other) || second.spouse() != Some(one) {
                    return Err(Refusal::NotMarried(one, other).into());
                }
                self.status_in_order(&first)?;
                self.status_in_order(&second)?;
                for names in names.iter().flatten() {
                    names.check().map_err(Refusal::from)?;
                }
                Ok(Event::Divorce { spouses, names })
            }
            Event::NameChange { person, names } => {
                names.check().map_err(Refusal::from)?;
                let record = self.living(person)?;
                self.something_new(record.names() != Some(&names))?;
                Ok(Event::NameChange { person, names })
            }
            Event::Adoption {
                child,
                mother,
                father,
                names,
                birth_place,
                secret,
                instead_of: _,
            } => {
                let instead_of = self.adoption(child, [mother, father], &names, &birth_place)?;
                Ok(Event::Adoption {
                    child,
                    mother,
                    father,
                    instead_of,
                    names,
                    birth_place,
                    secret,
                })
            }
            Event::Death { person, widowed: _ } => {
                let record = self.living(person)?;
                self.status_in_order(&record)?;
                let widowed = record.spouse();
                if let Some(spouse) = widowed {
                    let spouse = self.living(spouse)?;
                    self.status_in_order(&spouse)?;
                }
                Ok(Event::Death { person, widowed })
            }
            Event::Correction {
                person,
                corrects,
                facts,
            } => self.correction(person, corrects, facts),
            Event::Reversal { act, .. } => self.reversal(act),
            Event::Moved {
                person,
                residence,
                address,
            } => {
                let record = self.living(person)?;
                if let Some(address) = &address {
                    self.address(address)?;
                }
                self.something_new(record.address(residence) != address.as_ref())?;
                Ok(Event::Moved {
                    person,
                    residence,
                    address,
                })
            }
            Event::DocumentIssued { person, document } => {
                let record = self.living(person)?;
                check_document(&document)?;
                let known = record.now(Field::Document(&document.number)).is_some();
                self.something_new(!known)?;
                Ok(Event::DocumentIssued { person, document })
            }
            Event::DocumentVoided { person, document } => {
                let record = self.held(person)?;
                if !record.documents().any(|known| known.number == document) {
                    return Err(Refusal::NoDocument(document).into());
                }
                Ok(Event::DocumentVoided { person, document })
            }
            Event::ImageTaken {
                person,
                kind,
                image,
            } => {
                let record = self.living(person)?;
                self.something_new(record.image(kind) != Some(image))?;
                Ok(Event::ImageTaken {
                    person,
                    kind,
                    image,
                })
            }
            Event::CitizenshipChange {
                person,
                citizenship,
            } => {
                let record = self.living(person)?;
                if !citizenship.is_well_formed() {
                    return Err(Refusal::Citizenship.into());
                }
                self.something_new(record.citizenship() != Some(&citizenship))?;
                Ok(Event::CitizenshipChange {
                    person,
                    citizenship,
                })
            }
            Event::Guardianship {
                ward,
                guardian,
                appointed,
            } => {
                self.apart(ward, guardian)?;
                let record = self.living(ward)?;
                let other = self.held(guardian)?;
                if appointed {
                    self.of_age(&other)?;
                }
                self.something_new(record.guardians().contains(&guardian) != appointed)?;
                Ok(Event::Guardianship {
                    ward,
                    guardian,
                    appointed,
                })
            }
            Event::ParentalRights {
                child,
                parent,
                rights,
            } => {
                let record = self.living(child)?;
                let is_parent = [Parent::Mother, Parent::Father]
                    .into_iter()
                    .any(|place| record.parent(place) == Some(parent));
                if !is_parent {
                    return Err(Refusal::NoParent(parent, child).into());
                }
                self.something_new(record.rights_of(parent) != rights)?;
                Ok(Event::ParentalRights {
                    child,
                    parent,
                    rights,
                })
            }
            Event::Protection {
                person,
                kind,
                against,
                active,
            } => {
                let record = self.held(person)?;
                if let Some(against) = against {
                    self.apart(person, against)?;
                    self.held(against)?;
                }
                let in_force = record.protections().any(|known| known == (kind, against));
                self.something_new(in_force != active)?;
                Ok(Event::Protection {
                    person,
                    kind,
                    against,
                    active,
                })
            }
            Event::Lock {
                person,
                purpose,
                state,
            } => self.lock(person, purpose, state),
            Event::Merge { kept, given_up, .. } => self.merge(kept, given_up),
            Event::Distinct { numbers } => self.distinct(numbers),
        }
    }

    /// Reads a record and remembers that the decision rests on it.
    fn read(&mut self, number: PersonalNumber) -> Checked<Option<Record>, R> {
        let record = self.records.record(number).map_err(DecideError::Records)?;
        let last = record.as_ref().map(Record::last_act);
        self.basis.insert(number, last);
        Ok(record)
    }

    fn held(&mut self, number: PersonalNumber) -> Checked<Record, R> {
        let record = self.read(number)?.filter(Record::is_held);
        let record = record.ok_or(Refusal::Unknown(number))?;
        if let Some(kept) = record.merged_into() {
            return Err(Refusal::Merged(number, kept).into());
        }
        match record.born_on() {
            Some(born) if self.effective < born => {
                Err(Refusal::BeforeBirth(self.effective, number).into())
            }
            _ => Ok(record),
        }
    }

    fn living(&mut self, number: PersonalNumber) -> Checked<Record, R> {
        let record = self.held(number)?;
        if record.is_alive() {
            Ok(record)
        } else {
            Err(Refusal::Dead(number).into())
        }
    }

    fn newcomer(&mut self, person: &NewPerson) -> Checked<(), R> {
        person.names.check().map_err(Refusal::from)?;
        if !person.citizenship.is_well_formed() {
            return Err(Refusal::Citizenship.into());
        }
        if is_no_text(&person.birth_place) {
            return Err(Refusal::Text("place of birth").into());
        }
        let number = person.number;
        let by_rule = self.rules.numbers.serial(&number).is_some()
            && number.sex() == person.sex
            && number.birth_date() == Some(person.born_on);
        if !by_rule {
            return Err(Refusal::NotByRule(number).into());
        }
        if person.born_on > self.effective {
            return Err(Refusal::BeforeBirth(self.effective, number).into());
        }
        match self.read(number)? {
            None => Ok(()),
            Some(_) => Err(Refusal::Issued(number).into()),
        }
    }

    fn parents(
        &mut self,
        child: PersonalNumber,
        born: Date,
        parents: [Option<PersonalNumber>; 2],
    ) -> Checked<(), R> {
        if let [Some(mother), Some(father)] = parents {
            self.apart(mother, father)?;
        }
        for parent in parents.into_iter().flatten() {
            self.apart(child, parent)?;
            let record = self.read(parent)?.filter(Record::is_held);
            let record = record.ok_or(Refusal::Unknown(parent))?;
            if let Some(kept) = record.merged_into() {
                return Err(Refusal::Merged(parent, kept).into());
            }
            old_enough(parent, record.born_on(), child, born)?;
        }
        Ok(())
    }

    fn taken_over(&mut self, people: Vec<TakenOver>) -> Checked<Event, R> {
        if people.is_empty() || people.len() > LARGEST_ACT {
            return Err(Refusal::Size.into());
        }
        let find = |number: PersonalNumber| people.iter().find(|one| one.person.number == number);
        for (place, taken) in people.iter().enumerate() {
            let number = taken.person.number;
            self.newcomer(&taken.person)?;
            if people[..place]
                .iter()
                .any(|one| one.person.number == number)
            {
                return Err(Refusal::Issued(number).into());
            }
            if let Some(address) = &taken.address {
                self.address(address)?;
            }
            taken.documents.iter().try_for_each(check_document)?;
            if let Some(spouse) = taken.spouse {
                let other = find(spouse).ok_or(Refusal::Unknown(spouse))?;
                let mutual = other.spouse == Some(number)
                    && taken.civil_status == CivilStatus::Married
                    && taken.died_on.is_none();
                if spouse == number || !mutual {
                    return Err(Refusal::OneSided(number, spouse).into());
                }
            }
            let born = taken.person.born_on;
            if taken
                .died_on
                .is_some_and(|day| day < born || day > self.today)
            {
                return Err(Refusal::BeforeBirth(born, number).into());
            }
            let parents = [taken.mother, taken.father];
            let elsewhere = parents.map(|parent| parent.filter(|parent| find(*parent).is_none()));
            self.parents(number, born, elsewhere)?;
            for parent in parents.into_iter().flatten() {
                self.apart(number, parent)?;
                if let Some(parent) = find(parent) {
                    let parent = &parent.person;
                    old_enough(parent.number, Some(parent.born_on), number, born)?;
                }
            }
        }
        Ok(Event::TakenOver { people })
    }

    fn paternity(
        &mut self,
        child: PersonalNumber,
        father: Option<PersonalNumber>,
        instead_of: Option<PersonalNumber>,
    ) -> Checked<Event, R> {
        let record = self.held(child)?;
        match (record.parent(Parent::Father), instead_of) {
            (Some(known), None) => return Err(Refusal::HasFather(child, known).into()),
            (known, said) if known != said => return Err(Refusal::OtherFather(child).into()),
            _ => {}
        }
        self.something_new(father != instead_of)?;
        let born = record.born_on().unwrap_or(self.effective);
        self.parents(child, born, [record.parent(Parent::Mother), father])?;
        if let Some(before) = instead_of {
            self.read(before)?;
        }
        Ok(Event::Paternity {
            child,
            father,
            instead_of,
        })
    }

    fn marriage(
        &mut self,
        [one, other]: [PersonalNumber; 2],
        names: &[Option<Names>; 2],
    ) -> Checked<(), R> {
        self.apart(one, other)?;
        for names in names.iter().flatten() {
            names.check().map_err(Refusal::from)?;
        }
        let first = self.living(one)?;
        let second = self.living(other)?;
        for record in [&first, &second] {
            if record.civil_status() == Some(CivilStatus::Married) {
                return Err(Refusal::Married(record.number()).into());
            }
            let age = record.born_on().map(|born| age_on(born, self.effective));
            if age.is_some_and(|age| age < MARRIAGE_AGE) {
                return Err(Refusal::TooYoung(record.number()).into());
            }
            self.status_in_order(record)?;
        }
        if are_related(&first, &second) {
            return Err(Refusal::Related(one, other).into());
        }
        Ok(())
    }

    fn adoption(
        &mut self,
        child: PersonalNumber,
        parents: [Option<PersonalNumber>; 2],
        names: &Option<Names>,
        birth_place: &Option<String>,
    ) -> Checked<[Option<PersonalNumber>; 2], R> {
        let record = self.living(child)?;
        let born = record.born_on().unwrap_or(self.effective);
        if age_on(born, self.effective) >= ADULT_AGE {
            return Err(Refusal::OfAge(child).into());
        }
        if let Some(names) = names {
            names.check().map_err(Refusal::from)?;
        }
        if birth_place.as_deref().is_some_and(is_no_text) {
            return Err(Refusal::Text("place of birth").into());
        }
        let before = [record.parent(Parent::Mother), record.parent(Parent::Father)];
        let changes = parents != before && parents != [None, None];
        self.something_new(changes)?;
        self.parents(child, born, parents)?;
        for parent in parents.into_iter().flatten() {
            self.living(parent)?;
        }
        for parent in before.into_iter().flatten() {
            self.read(parent)?;
        }
        Ok(before)
    }

    fn correction(
        &mut self,
        person: PersonalNumber,
        corrects: ActId,
        facts: Vec<Corrected>,
    ) -> Checked<Event, R> {
        if facts.is_empty() || facts.len() > LARGEST_ACT {
            return Err(Refusal::Size.into());
        }
        let record = self.held(person)?;
        let stands = record
            .acts()
            .iter()
            .any(|act| act.id == corrects && act.reversed_by.is_none());
        if !stands {
            return Err(Refusal::NoAct(corrects).into());
        }
        let mut right = Vec::with_capacity(facts.len());
        for corrected in facts {
            let fact = corrected.fact;
            self.correctable(&fact)?;
            let wrong = last_entered(&record, fact.field())
                .filter(|known| known.act == corrects && fact.is_correctable())
                .ok_or(Refusal::NotCorrectable(corrects, person))?;
            self.something_new(wrong.fact != fact)?;
            let again = |other: &Corrected| other.fact.field() == fact.field();
            if right.iter().any(again) {
                return Err(Refusal::NotCorrectable(corrects, person).into());
            }
            let valid_from = wrong.valid_from;
            right.push(Corrected { fact, valid_from });
        }
        Ok(Event::Correction {
            person,
            corrects,
            facts: right,
        })
    }

    fn correctable(&self, fact: &Fact) -> Result<(), Refusal> {
        match fact {
            Fact::Names(names) => Ok(names.check()?),
            Fact::Residence(_, Some(address)) => self.address(address),
            Fact::Document(document) => check_document(document),
            Fact::Citizenship(citizenship) if !citizenship.is_well_formed() => {
                Err(Refusal::Citizenship)
            }
            Fact::BirthPlace(place) if is_no_text(place) => Err(Refusal::Text("place of birth")),
            Fact::BornOn(day) if *day > self.today => Err(Refusal::Future(*day)),
            _ => Ok(()),
        }
    }

    fn reversal(&mut self, id: ActId) -> Checked<Event, R> {
        let act = self.records.act(id).map_err(DecideError::Records)?;
        let entry = act.ok_or(Refusal::NoAct(id))?.entry;
        let marital = match &entry.event {
            Event::Reversal { .. } => return Err(Refusal::ReversalOfReversal.into()),
            Event::Marriage { .. } | Event::Divorce { .. } | Event::Death { .. } => true,
            _ => false,
        };
        let people = entry.people();
        for &number in &people {
            let record = self.read(number)?.ok_or(Refusal::Unknown(number))?;
            let stands = |act: &ActOnRecord| act.id == id && act.reversed_by.is_none();
            if !record.acts().iter().any(stands) {
                return Err(Refusal::NoAct(id).into());
            }
            // A death or a merge is taken back from somebody dead or merged by it.
            let by_this = |field| last_entered(&record, field).is_some_and(|known| known.act == id);
            if let Some(kept) = record.merged_into().filter(|_| !by_this(Field::MergedInto)) {
                return Err(Refusal::Merged(number, kept).into());
            }
            if marital && !record.is_alive() && !by_this(Field::Life) {
                return Err(Refusal::Dead(number).into());
            }
            rests_nothing(&record, id)?;
        }
        Ok(Event::Reversal { act: id, people })
    }

    /// What marital status rests on is entered in the order in which it happened.
    fn status_in_order(&self, record: &Record) -> Result<(), Refusal> {
        [Field::CivilStatus, Field::Spouse]
            .into_iter()
            .filter_map(|field| record.now(field))
            .find(|known| known.valid_from > self.effective)
            .map_or(Ok(()), |known| {
                Err(Refusal::StatusIsLater(record.number(), known.valid_from))
            })
    }

    fn address(&self, address: &Address) -> Result<(), Refusal> {
        if self.rules.territory.unit(&address.unit).is_none() {
            return Err(Refusal::Unit(address.unit.to_string()));
        }
        let flat = address.flat.as_deref().unwrap_or("-");
        if is_no_text(&address.house)
            || is_no_text(flat)
            || (!address.street.is_empty() && is_no_text(&address.street))
        {
            return Err(Refusal::Text("street, house or flat"));
        }
        Ok(())
    }

    fn apart(&self, one: PersonalNumber, other: PersonalNumber) -> Result<(), Refusal> {
        if one == other {
            return Err(Refusal::Same(one, other));
        }
        Ok(())
    }

    fn of_age(&self, record: &Record) -> Result<(), Refusal> {
        let age = record.born_on().map(|born| age_on(born, self.effective));
        match age {
            Some(age) if age < ADULT_AGE => Err(Refusal::TooYoung(record.number())),
            _ => Ok(()),
        }
    }

    fn something_new(&self, new: bool) -> Result<(), Refusal> {
        if new {
            Ok(())
        } else {
            Err(Refusal::NothingNew)
        }
    }
}

fn is_no_text(text: &str) -> bool {
    text.trim().is_empty() || text.chars().count() > LONGEST_TEXT || !is_printable(text)
}

fn check_document(document: &Document) -> Result<(), Refusal> {
    if is_no_text(&document.number) || is_no_text(&document.authority) {
        return Err(Refusal::Text("number or authority of a document"));
    }
    Ok(())
}

fn old_enough(
    parent: PersonalNumber,
    parent_born: Option<Date>,
    child: PersonalNumber,
    child_born: Date,
) -> Result<(), Refusal> {
    match parent_born {
        Some(born) if age_on(born, child_born) < PARENT_AGE => {
            Err(Refusal::ParentTooYoung(parent, child))
        }
        _ => Ok(()),
    }
}

fn are_related(one: &Record, other: &Record) -> bool {
    let parents =
        |record: &Record| [Parent::Mother, Parent::Father].map(|place| record.parent(place));
    let (first, second) = (parents(one), parents(other));
    first.contains(&Some(other.number()))
        || second.contains(&Some(one.number()))
        || first
            .iter()
            .flatten()
            .any(|parent| second.contains(&Some(*parent)))
}

/// The fact of a field that was entered last and stands, whatever day it holds from.
fn last_entered<'r>(record: &'r Record, field: Field<'_>) -> Option<&'r crate::fact::Known> {
    record
        .facts()
        .iter()
        .filter(|known| known.stands() && known.fact.field() == field)
        .max_by_key(|known| known.act)
}

/// An act is taken back before those that came after it in the same fields; one that issued a number, before all
/// others about that number; and nothing from before a merge without the merge, which was decided on the records as
/// they were.
fn rests_nothing(record: &Record, act: ActId) -> Result<(), Refusal> {
    let rested_on = |later| Refusal::RestedOn {
        act,
        later,
        person: record.number(),
    };
    let merged = record
        .facts()
        .iter()
        .find(|known| known.act > act && known.stands() && matches!(known.fact, Fact::Alias(_)));
    if let Some(merged) = merged {
        return Err(rested_on(merged.act));
    }
    let reversed = |id| {
        let found = record.acts().iter().find(|known| known.id == id);
        found.is_some_and(|known| known.reversed_by.is_some())
    };
    for known in record.facts().iter().filter(|known| known.act == act) {
        match known.withdrawn {
            Some((by, _)) if reversed(by) => continue,
            Some((by, _)) => return Err(rested_on(by)),
            None => {}
        }
        let issues = known.fact == Fact::Lives;
        let later = record.acts().iter().rfind(|other| {
            other.id > act && other.reversed_by.is_none() && other.kind != "reversal"
        });
        if let Some(later) = later.filter(|_| issues) {
            return Err(rested_on(later.id));
        }
        let last = last_entered(record, known.fact.field());
        if let Some(last) = last.filter(|last| last.act > act) {
            return Err(rested_on(last.act));
        }
    }
    Ok(())
}
