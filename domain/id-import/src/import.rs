//! The order in which people come into the register, and the account of every row.
//!
//! Parents come before their children, husband and wife in one act. Every row of the source ends in exactly one of the
//! counts of a [`Reconciliation`]. Whoever came in before, from the same row, does not come in again: so an import that
//! was killed goes on where it was, and one that is run twice does nothing the second time.

use std::collections::BTreeSet;

use id_registry::{
    Act, ActId, DecideError, Decided, Entry, Event, Officer, PersonalNumber, Record, Records,
    Register, Rules, StoreError, TakenOver, decide,
};
use serde::Serialize;
use time::{Date, OffsetDateTime};

use crate::row::{Finding, Reason, check};
use crate::source::{Column, Place};
use crate::survey::{Plan, Slim, State};

/// Acts that are entered in one transaction.
const TOGETHER: usize = 4000;
/// Numbers that are asked for at a time.
const ASKED: usize = 5000;
/// How often a transaction is decided anew because somebody else changed what it rests on.
const MOST_CONFLICTS: usize = 20;

/// What makes the acts of an import acts.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Who answers for the import.
    pub officer: Officer,
    /// What the acts refer to: the name of the source. The row's number is added.
    pub reference: String,
    /// The day whose state the source is.
    pub effective: Date,
    /// The moment at which the register learns of it.
    pub at: OffsetDateTime,
}

/// What became of the rows of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// Rows, without the header.
    pub rows: u64,
    /// Came in now.
    pub imported: u64,
    /// Of these, without a value that could not be taken over.
    pub imported_incomplete: u64,
    /// Were in the register before, from the same row.
    pub already_there: u64,
    /// Repeat another row of the source, value by value.
    pub repeated: u64,
    /// Are kept out; the list says why.
    pub quarantined: u64,
}

impl Reconciliation {
    /// Whether every row is accounted for.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.rows == self.accounted()
    }

    /// Rows that are accounted for.
    #[must_use]
    pub const fn accounted(&self) -> u64 {
        self.imported + self.already_there + self.repeated + self.quarantined
    }
}

/// Why an import stopped. What came in before stays, and the same import goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError<E> {
    /// The register cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source cannot be read a second time.
    #[error("the source cannot be read: {0}")]
    Source(E),
    /// The source changed since it was read first.
    #[error(
        "row {0} of the source is not what it was when it was read first; start again with a source that stays"
    )]
    Changed(u64),
    /// Others change the register so fast that nothing can be entered.
    #[error(
        "other acts changed the same people {MOST_CONFLICTS} times while they were imported; try again later"
    )]
    Conflicts,
}

/// Enters everybody who may come in. `read` reads a row again; `found` is told what is wrong, `progress` how far it is,
/// after each transaction.
///
/// # Errors
/// See [`ImportError`].
pub fn import<E>(
    plan: Plan,
    register: &dyn Register,
    rules: Rules<'_>,
    origin: &Origin,
    read: &mut dyn FnMut(Place) -> Result<Vec<u8>, E>,
    found: &mut dyn FnMut(Finding),
    progress: &mut dyn FnMut(&Reconciliation),
) -> Result<Reconciliation, ImportError<E>> {
    let count = Reconciliation {
        rows: plan.rows,
        repeated: plan.repeated,
        quarantined: plan.kept_out,
        ..Reconciliation::default()
    };
    let mut work = Import {
        visited: vec![Visit::No; plan.people.len()],
        plan,
        register,
        rules,
        origin,
        read,
        found,
        progress,
        count,
        waiting: Vec::with_capacity(TOGETHER),
    };
    work.recognise()?;
    work.run()?;
    Ok(work.count)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    No,
    /// On the way: its parents come first.
    Begun,
    Done,
}

struct Import<'a, E> {
    plan: Plan,
    register: &'a dyn Register,
    rules: Rules<'a>,
    origin: &'a Origin,
    read: &'a mut dyn FnMut(Place) -> Result<Vec<u8>, E>,
    found: &'a mut dyn FnMut(Finding),
    progress: &'a mut dyn FnMut(&Reconciliation),
    count: Reconciliation,
    visited: Vec<Visit>,
    /// Units whose turn it is: one person, or husband and wife, by the first's place.
    waiting: Vec<u32>,
}

impl<E> Import<'_, E> {
    /// Finds out who is in the register already.
    fn recognise(&mut self) -> Result<(), ImportError<E>> {
        if self.register.last_act()? == ActId(0) {
            return Ok(());
        }
        let numbers: Vec<PersonalNumber> = self
            .plan
            .people
            .iter()
            .filter(|one| one.state == State::Waiting)
            .map(|one| one.number)
            .collect();
        for asked in numbers.chunks(ASKED) {
            for issued in self.register.issued_of(asked)? {
                let Some(place) = self.plan.by_number.get(&issued.number).copied() else {
                    continue;
                };
                match issued.digest {
                    Some(digest) if digest == self.plan.people[place as usize].digest => {
                        self.plan.people[place as usize].state = State::There;
                        self.count.already_there += 1;
                    }
                    Some(_) => self.keep_out(place, Reason::Differs),
                    None => self.keep_out(place, Reason::Issued),
                }
            }
        }
        (self.progress)(&self.count);
        Ok(())
    }

    fn keep_out(&mut self, place: u32, reason: Reason) {
        let one = &mut self.plan.people[place as usize];
        one.state = State::KeptOut;
        self.count.quarantined += 1;
        (self.found)(Finding {
            row: one.row,
            column: None,
            reason,
            keeps_out: true,
        });
    }

    fn leave_out(&mut self, place: u32, column: Column, reason: Reason) {
        let one = &mut self.plan.people[place as usize];
        match column {
            Column::Spouse => one.spouse = None,
            Column::Mother => one.mother = None,
            _ => one.father = None,
        }
        one.incomplete = true;
        (self.found)(Finding {
            row: one.row,
            column: Some(column),
            reason,
            keeps_out: false,
        });
    }

    fn place(&self, number: PersonalNumber) -> Option<u32> {
        self.plan.by_number.get(&number).copied()
    }

    /// The husband or wife who comes in together with somebody.
    fn together_with(&self, place: u32) -> Option<u32> {
        let spouse = self.place(self.plan.people[place as usize].spouse?)?;
        let other = &self.plan.people[spouse as usize];
        let mutual = other.spouse == Some(self.plan.people[place as usize].number);
        (other.state == State::Waiting && mutual).then_some(spouse)
    }

    fn unit_of(&self, place: u32) -> u32 {
        self.together_with(place)
            .map_or(place, |other| other.min(place))
    }

    fn members(&self, unit: u32) -> impl Iterator<Item = u32> + use<E> {
        [Some(unit), self.together_with(unit)].into_iter().flatten()
    }

    /// Goes through the source; before anybody come those of his or her parents who wait.
    fn run(&mut self) -> Result<(), ImportError<E>> {
        let all = u32::try_from(self.plan.people.len()).unwrap_or(u32::MAX);
        for place in 0..all {
            let one = &self.plan.people[place as usize];
            if one.state == State::Waiting
                && one.spouse.is_some()
                && self.together_with(place).is_none()
            {
                self.leave_out(place, Column::Spouse, Reason::HeldBack);
            }
        }
        let mut way = Vec::new();
        for place in 0..all {
            if self.plan.people[place as usize].state != State::Waiting {
                continue;
            }
            way.push(self.unit_of(place));
            while let Some(&unit) = way.last() {
                match self.visited[unit as usize] {
                    Visit::No => {
                        self.visited[unit as usize] = Visit::Begun;
                        self.parents_first(unit, &mut way);
                    }
                    Visit::Begun => {
                        way.pop();
                        self.visited[unit as usize] = Visit::Done;
                        self.waiting.push(unit);
                        if self.waiting.len() >= TOGETHER {
                            self.enter()?;
                        }
                    }
                    Visit::Done => {
                        way.pop();
                    }
                }
            }
        }
        self.enter()
    }

    fn parents_first(&mut self, unit: u32, way: &mut Vec<u32>) {
        for member in self.members(unit) {
            let one = self.plan.people[member as usize];
            for (column, parent) in [(Column::Mother, one.mother), (Column::Father, one.father)] {
                let Some(parent) = parent.and_then(|number| self.place(number)) else {
                    continue;
                };
                if self.plan.people[parent as usize].state != State::Waiting {
                    continue;
                }
                let above = self.unit_of(parent);
                match self.visited[above as usize] {
                    Visit::No => way.push(above),
                    Visit::Begun => self.leave_out(member, column, Reason::Circle),
                    Visit::Done => {}
                }
            }
        }
    }

    /// Enters the units whose turn it is, in one transaction.
    fn enter(&mut self) -> Result<(), ImportError<E>> {
        let units = std::mem::take(&mut self.waiting);
        if units.is_empty() {
            return Ok(());
        }
        for _ in 0..MOST_CONFLICTS {
            let before = self.register.last_act()?;
            let mut batch = Batch::default();
            for &unit in &units {
                self.decide(unit, before, &mut batch)?;
            }
            if batch.decided.is_empty() {
                return Ok(());
            }
            let rows: Vec<(PersonalNumber, u64)> = batch
                .people
                .iter()
                .map(|place| &self.plan.people[*place as usize])
                .map(|one| (one.number, one.digest))
                .collect();
            match self.register.take_over(&batch.decided, &rows) {
                Ok(first) => {
                    // The store compared the acts that this rests on; they stand where they were foreseen.
                    let foreseen = first.0 == before.0 + 1;
                    self.entered(&batch, foreseen);
                    return Ok(());
                }
                Err(StoreError::Conflict(_)) => self.forget(&batch),
                Err(error) => return Err(error.into()),
            }
        }
        Err(ImportError::Conflicts)
    }

    fn entered(&mut self, batch: &Batch, foreseen: bool) {
        for &place in &batch.people {
            let one = &mut self.plan.people[place as usize];
            one.state = State::Entered;
            self.count.imported += 1;
            self.count.imported_incomplete += u64::from(one.incomplete);
        }
        if !foreseen {
            self.forget(batch);
        }
        (self.progress)(&self.count);
    }

    /// What was foreseen of the last acts is not so: they are read from the register when they are needed.
    fn forget(&mut self, batch: &Batch) {
        for &place in &batch.touched {
            self.plan.people[place as usize].act = 0;
        }
    }

    /// Decides the act that takes a unit over.
    fn decide(
        &mut self,
        unit: u32,
        before: ActId,
        batch: &mut Batch,
    ) -> Result<(), ImportError<E>> {
        let members: Vec<u32> = self
            .members(unit)
            .filter(|place| self.plan.people[*place as usize].state == State::Waiting)
            .collect();
        let mut people = Vec::with_capacity(members.len());
        for &member in &members {
            self.look_for_parents(member)?;
            people.push(self.read_again(member)?);
        }
        let [first, ..] = members.as_slice() else {
            return Ok(());
        };
        let entry = Entry {
            event: Event::TakenOver { people },
            effective: self.origin.effective,
            reference: format!(
                "{} {}",
                self.origin.reference, self.plan.people[*first as usize].row
            ),
            officer: self.origin.officer.clone(),
        };
        let sight = Sight {
            plan: &self.plan,
            register: self.register,
            at: self.origin.at,
        };
        match decide(entry, self.origin.at, self.rules, &sight) {
            Ok(decided) => {
                let act = before.0 + batch.decided.len() as u64 + 1;
                for number in decided.entry().people() {
                    if let Some(place) = self.place(number) {
                        self.plan.people[place as usize].act = act;
                        batch.touched.insert(place);
                    }
                }
                batch.decided.push(decided);
                batch.people.extend(&members);
                Ok(())
            }
            Err(DecideError::Refused(refusal)) => {
                for &member in &members {
                    self.keep_out(member, Reason::Refused(refusal.to_string()));
                }
                Ok(())
            }
            Err(DecideError::Records(error)) => Err(error.into()),
        }
    }

    /// Leaves out parents whom the register would refuse.
    fn look_for_parents(&mut self, member: u32) -> Result<(), ImportError<E>> {
        let one = self.plan.people[member as usize];
        for (column, parent) in [(Column::Mother, one.mother), (Column::Father, one.father)] {
            let Some(parent) = parent else {
                continue;
            };
            let reason = match self
                .place(parent)
                .map(|place| &self.plan.people[place as usize])
            {
                Some(known) if known.act != 0 => None,
                Some(known) if known.state == State::Waiting => Some(Reason::HeldBack),
                _ => match self.register.record(parent)? {
                    Some(record) if record.is_held() && record.merged_into().is_none() => None,
                    _ => Some(Reason::NotThere),
                },
            };
            if let Some(reason) = reason {
                self.leave_out(member, column, reason);
            }
        }
        Ok(())
    }

    fn read_again(&mut self, member: u32) -> Result<TakenOver, ImportError<E>> {
        let one: Slim = self.plan.people[member as usize];
        let row = (self.read)(one.place).map_err(ImportError::Source)?;
        let cells = self.plan.layout.cells(&row);
        let cells = cells.map_err(|_| ImportError::Changed(one.row))?;
        if cells.digest() != one.digest {
            return Err(ImportError::Changed(one.row));
        }
        let today = id_registry::day_of(self.origin.at);
        let checked = check(&cells, self.rules, today);
        let checked = checked.map_err(|_| ImportError::Changed(one.row))?;
        Ok(TakenOver {
            spouse: one.spouse,
            mother: one.mother,
            father: one.father,
            ..checked.person
        })
    }
}

/// Acts that are entered in one transaction.
#[derive(Default)]
struct Batch {
    decided: Vec<Decided>,
    people: Vec<u32>,
    touched: BTreeSet<u32>,
}

/// What decisions see: those whom this import entered, by what it knows of them, everybody else in the register.
struct Sight<'a> {
    plan: &'a Plan,
    register: &'a dyn Register,
    at: OffsetDateTime,
}

impl Records for Sight<'_> {
    type Error = StoreError;

    fn record(&self, number: PersonalNumber) -> Result<Option<Record>, StoreError> {
        let known = self.plan.by_number.get(&number);
        match known.map(|place| &self.plan.people[*place as usize]) {
            Some(one) if one.act != 0 => {
                let last = ActId(one.act);
                let record = Record::of_taken_over(number, one.born_on, last, self.at);
                Ok(Some(record))
            }
            // The store compares this with what it holds.
            Some(one) if one.state == State::Waiting => Ok(None),
            _ => self.register.record(number),
        }
    }

    fn act(&self, id: ActId) -> Result<Option<Act>, StoreError> {
        self.register.act(id)
    }
}
