//! A register in memory, and short ways to write entries.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::collections::HashMap;
use std::convert::Infallible;

use id_registry::demonstration::territory;
use id_registry::*;
use time::{Date, Duration, OffsetDateTime};

pub struct Memory {
    pub acts: Vec<Act>,
    pub records: HashMap<PersonalNumber, Record>,
    pub territory: Territory,
    pub cooling_off: Duration,
}

impl Records for Memory {
    type Error = Infallible;

    fn record(&self, number: PersonalNumber) -> Result<Option<Record>, Infallible> {
        Ok(self.records.get(&number).cloned())
    }

    fn act(&self, id: ActId) -> Result<Option<Act>, Infallible> {
        let place = usize::try_from(id.0).unwrap().checked_sub(1);
        Ok(place.and_then(|place| self.acts.get(place)).cloned())
    }
}

impl Memory {
    pub fn new() -> Self {
        Self {
            acts: Vec::new(),
            records: HashMap::new(),
            territory: territory(),
            cooling_off: Duration::hours(24),
        }
    }

    pub fn decide(&self, entry: Entry, at: OffsetDateTime) -> Result<Decided, Refusal> {
        let rules = Rules {
            numbers: &OpaqueSerial,
            territory: &self.territory,
            cooling_off: self.cooling_off,
        };
        decide(entry, at, rules, self).map_err(|error| match error {
            DecideError::Refused(refusal) => refusal,
            DecideError::Records(never) => match never {},
        })
    }

    /// Decides and enters.
    pub fn enter(&mut self, entry: Entry, at: OffsetDateTime) -> Result<ActId, Refusal> {
        let decided = self.decide(entry, at)?;
        for (number, last) in decided.basis() {
            assert_eq!(self.records.get(number).map(Record::last_act), *last);
        }
        let id = ActId(self.acts.len() as u64 + 1);
        let act = Act {
            id,
            entered_at: decided.at(),
            entry: decided.entry().clone(),
        };
        for number in act.entry.people() {
            match self.records.get_mut(&number) {
                Some(record) => record.add(&act),
                None => {
                    let record = Record::from_acts(number, [&act]).expect("the act is about it");
                    self.records.insert(number, record);
                }
            }
        }
        self.acts.push(act);
        Ok(id)
    }

    /// Enters what must be right, at noon of its day.
    pub fn must(&mut self, event: Event, effective: Date) -> ActId {
        let kind = event.kind();
        self.enter(entry(event, effective), noon(effective))
            .unwrap_or_else(|refusal| panic!("{kind}: {refusal}"))
    }

    pub fn refused(&mut self, event: Event, effective: Date) -> Refusal {
        let kind = event.kind();
        match self.enter(entry(event, effective), noon(effective)) {
            Ok(_) => panic!("{kind} was entered"),
            Err(refusal) => refusal,
        }
    }

    pub fn of(&self, number: PersonalNumber) -> &Record {
        &self.records[&number]
    }

    /// Enters an adult.
    pub fn adult(&mut self, number: &str, family: &str, given: &str) -> PersonalNumber {
        let person = newcomer(number, family, given);
        let number = person.number;
        self.must(
            Event::Enrolment { person },
            time::macros::date!(2010 - 01 - 01),
        );
        number
    }
}

pub fn noon(day: Date) -> OffsetDateTime {
    day.with_hms(12, 0, 0).unwrap().assume_utc()
}

pub fn entry(event: Event, effective: Date) -> Entry {
    Entry {
        event,
        effective,
        reference: "KG-1/26".into(),
        officer: Officer {
            office: "zags-bishkek-1".into(),
            name: "officer-7".into(),
        },
    }
}

pub fn names(family: &str, given: &str) -> Names {
    Names {
        family: Name::new(family).expect("a name"),
        given: Name::new(given).expect("a name"),
        patronymic: None,
    }
}

pub fn newcomer(number: &str, family: &str, given: &str) -> NewPerson {
    let number: PersonalNumber = number.parse().expect("a number");
    NewPerson {
        number,
        names: names(family, given),
        sex: number.sex(),
        born_on: number.birth_date().expect("a date"),
        birth_place: "Токмок".into(),
        citizenship: Citizenship::Of("KGZ".into()),
    }
}

pub fn address(unit: &str, house: &str) -> Address {
    Address {
        unit: unit.parse().expect("a unit"),
        street: "Манас".into(),
        house: house.into(),
        flat: None,
    }
}
