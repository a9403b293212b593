//! The whole source: who is in it once, twice, or related to whom.

use std::collections::HashMap;

use id_registry::{CivilStatus, PersonalNumber, Rules, Sex, age_on};
use time::Date;

use crate::alike::{Alike, Features, Likeness, Vocabulary, pairs};
use crate::profile::Profile;
use crate::row::{Finding, Reason, check, unreadable};
use crate::source::{Column, LONGEST_ROW, Layout, Place};

/// Least years between parent and child, as the register demands.
const PARENT_AGE: i32 = 12;

/// What has become of a row that tells of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It may come in.
    Waiting,
    /// It came in by this import.
    Entered,
    /// It was in the register before, from the same row.
    There,
    /// It is kept out.
    KeptOut,
}

/// What is kept of a row between the two readings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slim {
    pub(crate) number: PersonalNumber,
    pub(crate) spouse: Option<PersonalNumber>,
    pub(crate) mother: Option<PersonalNumber>,
    pub(crate) father: Option<PersonalNumber>,
    pub(crate) born_on: Date,
    pub(crate) may_be_married: bool,
    pub(crate) row: u64,
    pub(crate) place: Place,
    pub(crate) digest: u64,
    pub(crate) state: State,
    /// The last act about the person, where this import knows it.
    pub(crate) act: u64,
    /// Whether something of the row was left out.
    pub(crate) incomplete: bool,
}

/// A source that is being read.
#[derive(Debug)]
pub struct Survey<'r> {
    layout: Layout,
    rules: RulesHolder<'r>,
    today: Date,
    profile: Profile,
    people: Vec<Slim>,
    by_number: HashMap<PersonalNumber, u32>,
    /// Numbers that rows share which differ.
    disputed: Vec<u32>,
    repeated: u64,
    unread: u64,
    names: Vocabulary,
    features: Vec<(u32, Features)>,
}

struct RulesHolder<'r>(Rules<'r>);

impl std::fmt::Debug for RulesHolder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rules")
    }
}

/// A source that was read whole: who may come in.
#[derive(Debug)]
pub struct Plan {
    pub(crate) layout: Layout,
    pub(crate) people: Vec<Slim>,
    pub(crate) by_number: HashMap<PersonalNumber, u32>,
    pub(crate) rows: u64,
    pub(crate) repeated: u64,
    /// Rows that tell of nobody or contradict another row.
    pub(crate) kept_out: u64,
}

impl<'r> Survey<'r> {
    /// A source of this layout, read on a day.
    #[must_use]
    pub fn new(layout: Layout, rules: Rules<'r>, today: Date) -> Self {
        Self {
            layout,
            rules: RulesHolder(rules),
            today,
            profile: Profile::new(),
            people: Vec::new(),
            by_number: HashMap::new(),
            disputed: Vec::new(),
            repeated: 0,
            unread: 0,
            names: Vocabulary::default(),
            features: Vec::new(),
        }
    }

    /// Rows read so far.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.profile.rows
    }

    /// Reads the next row. One longer than [`LONGEST_ROW`] may be given cut off, as long as its length is the true one.
    pub fn read(&mut self, place: Place, row: &[u8], found: &mut dyn FnMut(Finding)) {
        self.profile.rows += 1;
        let number_of_row = self.profile.rows;
        let mut tell = |profile: &mut Profile, column, reason: Reason, keeps_out| {
            profile.wrong(column, &reason, keeps_out);
            found(Finding {
                row: number_of_row,
                column,
                reason,
                keeps_out,
            });
        };
        if place.length as usize > LONGEST_ROW {
            self.unread += 1;
            return tell(&mut self.profile, None, Reason::TooLong, true);
        }
        let cells = match self.layout.cells(row) {
            Ok(cells) => cells,
            Err(why) => {
                self.unread += 1;
                return tell(&mut self.profile, None, unreadable(why), true);
            }
        };
        self.profile.see(&cells);
        let checked = match check(&cells, self.rules.0, self.today) {
            Ok(checked) => checked,
            Err(reasons) => {
                self.unread += 1;
                for (column, reason) in reasons {
                    tell(&mut self.profile, Some(column), reason, true);
                }
                return;
            }
        };
        let digest = cells.digest();
        let person = &checked.person;
        let number = person.person.number;
        if let Some(place) = self.by_number.get(&number) {
            let first = &mut self.people[*place as usize];
            if first.digest == digest {
                self.repeated += 1;
                self.profile.contradictions.rows_repeated += 1;
                return;
            }
            if first.state != State::KeptOut {
                first.state = State::KeptOut;
                self.disputed.push(*place);
                self.profile.contradictions.rows_sharing_a_number += 1;
            }
            self.profile.contradictions.rows_sharing_a_number += 1;
            self.unread += 1;
            return tell(
                &mut self.profile,
                Some(Column::Number),
                Reason::OtherRow,
                true,
            );
        }
        let incomplete = !checked.left_out.is_empty();
        for (column, reason) in checked.left_out {
            tell(&mut self.profile, Some(column), reason, false);
        }
        let at = u32::try_from(self.people.len()).unwrap_or(u32::MAX);
        self.by_number.insert(number, at);
        let names = &person.person.names;
        let features = self.names.features(
            person.person.born_on,
            &names.family.cyrillic,
            &names.given.cyrillic,
            person
                .documents
                .first()
                .map(|document| document.number.as_str()),
        );
        self.features.push((at, features));
        self.people.push(Slim {
            number,
            spouse: person.spouse,
            mother: person.mother,
            father: person.father,
            born_on: person.person.born_on,
            may_be_married: person.civil_status == CivilStatus::Married && person.died_on.is_none(),
            row: number_of_row,
            place,
            digest,
            state: State::Waiting,
            act: 0,
            incomplete,
        });
    }

    /// Ends the reading: relations are judged, and numbers that may be one person's are found.
    pub fn finish(mut self, found: &mut dyn FnMut(Finding)) -> (Profile, Vec<Alike>, Plan) {
        for place in std::mem::take(&mut self.disputed) {
            self.tell(place, Column::Number, Reason::OtherRow, true, found);
        }
        for place in 0..u32::try_from(self.people.len()).unwrap_or(u32::MAX) {
            self.judge_relations(place, found);
        }
        let alike = self.alike();
        let kept_out = self.unread
            + self
                .people
                .iter()
                .filter(|one| one.state == State::KeptOut)
                .count() as u64;
        self.profile.people = self.people.len() as u64;
        self.profile.finish();
        let plan = Plan {
            layout: self.layout,
            people: self.people,
            by_number: self.by_number,
            rows: self.profile.rows,
            repeated: self.repeated,
            kept_out,
        };
        (self.profile, alike, plan)
    }

    fn tell(
        &mut self,
        place: u32,
        column: Column,
        reason: Reason,
        keeps_out: bool,
        found: &mut dyn FnMut(Finding),
    ) {
        self.profile.wrong(Some(column), &reason, keeps_out);
        let one = &mut self.people[place as usize];
        one.incomplete |= !keeps_out;
        found(Finding {
            row: one.row,
            column: Some(column),
            reason,
            keeps_out,
        });
    }

    fn judge_relations(&mut self, place: u32, found: &mut dyn FnMut(Finding)) {
        let one = self.people[place as usize];
        if one.state != State::Waiting {
            return;
        }
        if let Some(spouse) = one.spouse
            && let Some(reason) = self.wrong_spouse(&one, spouse)
        {
            self.people[place as usize].spouse = None;
            self.tell(place, Column::Spouse, reason, false, found);
        }
        if let Some(mother) = one.mother
            && let Some(reason) = self.wrong_parent(&one, mother, Sex::Female)
        {
            self.people[place as usize].mother = None;
            self.tell(place, Column::Mother, reason, false, found);
        }
        if let Some(father) = one.father
            && let Some(reason) = self.wrong_parent(&one, father, Sex::Male)
        {
            self.people[place as usize].father = None;
            self.tell(place, Column::Father, reason, false, found);
        }
    }

    fn wrong_spouse(&self, one: &Slim, spouse: PersonalNumber) -> Option<Reason> {
        let Some(other) = self.by_number.get(&spouse) else {
            return Some(Reason::NotThere);
        };
        let other = &self.people[*other as usize];
        if other.state != State::Waiting {
            return Some(Reason::HeldBack);
        }
        // The other row may have been judged before: then it says nobody where it did not fit.
        let mutual = other.spouse == Some(one.number) && one.may_be_married && other.may_be_married;
        (!mutual).then_some(Reason::OneSided)
    }

    fn wrong_parent(&self, one: &Slim, parent: PersonalNumber, sex: Sex) -> Option<Reason> {
        if parent.sex() != sex {
            return Some(Reason::ParentSex);
        }
        // Whoever is not in the source may be in the register: that is looked up when the child comes in.
        let other = &self.people[*self.by_number.get(&parent)? as usize];
        if other.state != State::Waiting {
            return Some(Reason::HeldBack);
        }
        (age_on(other.born_on, one.born_on) < PARENT_AGE).then_some(Reason::Young)
    }

    fn alike(&mut self) -> Vec<Alike> {
        self.features
            .retain(|(place, _)| self.people[*place as usize].state == State::Waiting);
        let mut pairs: Vec<((u32, u32), Likeness)> =
            pairs(&self.features, &self.names).into_iter().collect();
        pairs.sort_unstable();
        let counts = &mut self.profile.contradictions;
        let mut alike = Vec::with_capacity(pairs.len());
        for ((one, other), likeness) in pairs {
            *match likeness {
                Likeness::SameDocument => &mut counts.pairs_same_document,
                Likeness::SameName => &mut counts.pairs_same_name,
                Likeness::SameNameAcrossScripts => &mut counts.pairs_same_name_across_scripts,
                Likeness::AlikeName => &mut counts.pairs_alike_name,
                Likeness::BirthdaySwapped => &mut counts.pairs_birthday_swapped,
            } += 1;
            let (one, other) = (&self.people[one as usize], &self.people[other as usize]);
            alike.push(Alike {
                numbers: [one.number, other.number],
                rows: [one.row, other.row],
                likeness,
            });
        }
        alike
    }
}
