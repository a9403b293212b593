//! Double numbers: found across scripts, decided by a person, answered under the number that stayed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Memory, names, newcomer};
use id_registry::*;
use time::Date;
use time::macros::date;

const DAY: Date = date!(2026 - 06 - 01);

#[test]
fn doubles_are_found_across_scripts_and_slips() {
    let mut memory = Memory::new();
    let one = memory.adult("20512198500001", "Жээнбеков", "Чыңгыз");
    let russian = memory.adult("20512198500002", "Женбеков", "Чингиз");
    let swapped = memory.adult("21205198500003", "Жээнбеков", "Чыңгыз");
    let typist = memory.adult("20512198600004", "Жээнебков", "Чыңгыз");
    let brother = memory.adult("20512198500005", "Жээнбеков", "Азамат");
    let namesake = memory.adult("20101199000006", "Жээнбеков", "Чыңгыз");
    let found = |memory: &Memory| candidates(memory.of(one), memory.records.values());
    let all = found(&memory);
    let numbers: Vec<PersonalNumber> = all.iter().map(|candidate| candidate.number).collect();
    assert_eq!(numbers, [russian, swapped, typist], "{all:?}");
    assert!(!numbers.contains(&brother) && !numbers.contains(&namesake));
    assert_eq!(
        all[0].grounds,
        [Ground::AlikeName(100), Ground::SameBirthday]
    );
    assert_eq!(all[1].grounds, [Ground::SameName, Ground::BirthdaySlip]);
    assert!(all.windows(2).all(|two| two[0].score >= two[1].score));

    // An officer says of one that it is, of another that it is not.
    memory.must(
        Event::Merge {
            kept: one,
            given_up: russian,
            carried: vec![],
        },
        DAY,
    );
    let told = memory.must(
        Event::Distinct {
            numbers: [swapped, one],
        },
        DAY,
    );
    let numbers: Vec<PersonalNumber> = found(&memory)
        .iter()
        .map(|candidate| candidate.number)
        .collect();
    assert_eq!(numbers, [typist]);
    assert_eq!(
        memory.refused(
            Event::Merge {
                kept: one,
                given_up: swapped,
                carried: vec![]
            },
            DAY
        ),
        Refusal::Contradiction(one, swapped, "an officer found them to be two people")
    );
    memory.must(
        Event::Reversal {
            act: told,
            people: Default::default(),
        },
        DAY,
    );
    assert_eq!(found(&memory).len(), 2);
}

#[test]
fn one_document_is_enough() {
    let mut memory = Memory::new();
    let one = memory.adult("11505198500001", "Асанова", "Айгүл");
    let other = memory.adult("10101199900002", "Усенова", "Бермет");
    for person in [one, other] {
        let document = Document {
            kind: DocumentKind::Passport,
            number: "AC1234567".into(),
            issued_on: DAY,
            expires_on: None,
            authority: "211001".into(),
        };
        memory.must(Event::DocumentIssued { person, document }, DAY);
    }
    let found = compare(memory.of(one), memory.of(other)).unwrap();
    assert_eq!(found.grounds, [Ground::SameDocument]);
}

#[test]
fn the_old_number_still_answers() {
    let mut memory = Memory::new();
    let [a, b, c] = ["11505198500001", "11505198500002", "11505198500003"]
        .map(|number| memory.adult(number, "Асанова", "Айгүл"));
    memory.must(
        Event::Merge {
            kept: b,
            given_up: a,
            carried: vec![],
        },
        DAY,
    );
    memory.must(
        Event::Merge {
            kept: c,
            given_up: b,
            carried: vec![],
        },
        DAY,
    );
    memory.must(
        Event::NameChange {
            person: c,
            names: names("Усенова", "Айгүл"),
        },
        DAY,
    );
    for number in [a, b, c] {
        let record = answering(&memory, number).unwrap().unwrap();
        assert_eq!(record.number(), c);
        assert_eq!(record.names().unwrap().family.cyrillic, "Усенова");
    }
    // The history under the old number is where it was.
    assert_eq!(memory.of(a).names().unwrap().family.cyrillic, "Асанова");
    let nobody = newcomer("11505198500009", "Асанова", "Айгүл").number;
    assert_eq!(answering(&memory, nobody).unwrap(), None);
}
