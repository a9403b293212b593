//! Stories about single people: what each kind of act does, what it refuses, and how it is taken back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeSet;

use common::{Memory, address, entry, names, newcomer, noon};
use id_registry::*;
use time::macros::date;
use time::{Date, Duration};

const MOTHER: &str = "11505198500001";
const FATHER: &str = "20107198300002";
const CHILD: &str = "21003201400003";
const DAY: Date = date!(2020 - 06 - 01);

fn family(memory: &mut Memory) -> [PersonalNumber; 3] {
    let mother = memory.adult(MOTHER, "Асанова", "Айгүл");
    let father = memory.adult(FATHER, "Касымов", "Нурлан");
    let child = newcomer(CHILD, "Касымов", "Эмил");
    let number = child.number;
    let born = child.born_on;
    memory.must(
        Event::Birth {
            child,
            mother: Some(mother),
            father: Some(father),
        },
        born,
    );
    [mother, father, number]
}

fn reversal(act: ActId) -> Event {
    Event::Reversal {
        act,
        people: BTreeSet::new(),
    }
}

#[test]
fn a_birth_gives_a_number_and_parents() {
    let mut memory = Memory::new();
    let [mother, father, child] = family(&mut memory);
    let record = memory.of(child);
    assert_eq!(record.parent(Parent::Mother), Some(mother));
    assert_eq!(record.names().unwrap().family.latin, "Kasymov");
    assert_eq!(record.civil_status(), Some(CivilStatus::Single));
    assert_eq!(memory.of(father).children(), [child].into());
    let known = record.now(Field::Names).unwrap();
    let act = record
        .acts()
        .iter()
        .find(|act| act.id == known.act)
        .unwrap();
    assert_eq!(
        (act.kind, act.officer.office.as_str()),
        ("birth", "zags-bishkek-1")
    );

    let again = newcomer(CHILD, "Касымов", "Эмил");
    let born = again.born_on;
    let twice = Event::Birth {
        child: again.clone(),
        mother: None,
        father: None,
    };
    assert_eq!(memory.refused(twice.clone(), born), Refusal::Issued(child));
    let birth = memory.of(child).acts()[0].id;
    memory.must(reversal(birth), DAY);
    assert!(!memory.of(child).is_held());
    assert!(memory.of(mother).children().is_empty());
    // Not even now: a number is never issued twice.
    assert_eq!(memory.refused(twice, born), Refusal::Issued(child));
    let other = NewPerson {
        sex: Sex::Female,
        ..newcomer("21003201400004", "Касымова", "Айжан")
    };
    let number = other.number;
    let wrong = Event::Birth {
        child: other,
        mother: None,
        father: None,
    };
    assert_eq!(memory.refused(wrong, born), Refusal::NotByRule(number));
}

#[test]
fn what_was_known_when_is_known_for_ever() {
    let mut memory = Memory::new();
    let [_, _, child] = family(&mut memory);
    let wrong = memory.of(child).now(Field::Names).unwrap().act;
    let right = names("Касымов", "Эмиль");
    let court = Event::Correction {
        person: child,
        corrects: wrong,
        facts: vec![Corrected {
            fact: Fact::Names(right.clone()),
            valid_from: DAY,
        }],
    };
    let correction = memory.must(court, DAY);
    let record = memory.of(child);
    assert_eq!(record.names(), Some(&right));
    let given = |valid_on, known_at| {
        let known = memory
            .of(child)
            .at(Field::Names, AsOf { valid_on, known_at });
        match &known?.fact {
            Fact::Names(names) => Some(names.given.cyrillic.clone()),
            _ => None,
        }
    };
    let before = noon(DAY) - Duration::SECOND;
    // Before the court spoke, the register held the wrong name to be true; since then, that the right one always was.
    assert_eq!(
        given(date!(2015 - 01 - 01), before).as_deref(),
        Some("Эмил")
    );
    assert_eq!(
        given(date!(2015 - 01 - 01), noon(DAY)).as_deref(),
        Some("Эмиль")
    );
    assert_eq!(given(date!(2014 - 03 - 09), noon(DAY)), None);
    assert_eq!(
        record
            .facts()
            .iter()
            .filter(|known| known.act == wrong && !known.stands())
            .count(),
        1
    );

    // The correction is taken back, and that is known from then on only.
    let later = DAY + Duration::DAY;
    memory.must(reversal(correction), later);
    let given = |known_at| match &memory
        .of(child)
        .at(
            Field::Names,
            AsOf {
                valid_on: DAY,
                known_at,
            },
        )
        .unwrap()
        .fact
    {
        Fact::Names(names) => names.given.cyrillic.clone(),
        _ => unreachable!("a name"),
    };
    assert_eq!(given(noon(DAY)), "Эмиль");
    assert_eq!(given(noon(later)), "Эмил");
    let event = Event::NameChange {
        person: child,
        names: right,
    };
    memory.must(event, later);
    assert_eq!(
        memory.refused(reversal(wrong), later),
        Refusal::RestedOn {
            act: wrong,
            later: ActId(6),
            person: child
        }
    );
}

#[test]
fn sex_is_corrected_and_the_number_stays() {
    let mut memory = Memory::new();
    let [_, _, child] = family(&mut memory);
    let birth = memory.of(child).acts()[0].id;
    let corrected = |fact| Event::Correction {
        person: child,
        corrects: birth,
        facts: vec![Corrected {
            fact,
            valid_from: DAY,
        }],
    };
    memory.must(corrected(Fact::Sex(Sex::Female)), DAY);
    assert_eq!(memory.of(child).sex(), Sex::Female);
    assert_eq!(memory.of(child).number().sex(), Sex::Male);
    for fact in [Fact::Dead, Fact::Spouse(None), Fact::Child(child, true)] {
        assert_eq!(
            memory.refused(corrected(fact), DAY),
            Refusal::NotCorrectable(birth, child)
        );
    }
}

#[test]
fn marriage_divorce_and_death() {
    let mut memory = Memory::new();
    let [mother, father, child] = family(&mut memory);
    let wed = |one, other| Event::Marriage {
        spouses: [one, other],
        names: [Some(names("Касымова", "Айгүл")), None],
    };
    assert_eq!(
        memory.refused(wed(mother, mother), DAY),
        Refusal::Same(mother, mother)
    );
    assert_eq!(
        memory.refused(wed(mother, child), DAY),
        Refusal::TooYoung(child)
    );
    let grown = date!(2035 - 01 - 01);
    assert_eq!(
        memory.refused(wed(mother, child), grown),
        Refusal::Related(mother, child)
    );
    let marriage = memory.must(wed(mother, father), DAY);
    assert_eq!(memory.of(mother).spouse(), Some(father));
    assert_eq!(
        memory.of(mother).names().unwrap().family.cyrillic,
        "Касымова"
    );
    assert_eq!(
        memory.refused(wed(mother, father), DAY),
        Refusal::Married(mother)
    );

    let part = Event::Divorce {
        spouses: [father, mother],
        names: [None, None],
    };
    assert_eq!(
        memory.refused(part.clone(), DAY - Duration::DAY),
        Refusal::StatusIsLater(father, DAY)
    );
    let divorce = memory.must(part.clone(), DAY + Duration::DAY);
    assert_eq!(
        memory.refused(part, DAY + Duration::DAY),
        Refusal::NotMarried(father, mother)
    );
    assert!(matches!(
        memory.refused(reversal(marriage), DAY + Duration::DAY),
        Refusal::RestedOn { later, .. } if later == divorce
    ));
    memory.must(reversal(divorce), DAY + Duration::DAY);
    let death = memory.must(
        Event::Death {
            person: father,
            widowed: None,
        },
        DAY + Duration::DAY,
    );
    assert_eq!(memory.of(mother).civil_status(), Some(CivilStatus::Widowed));
    assert_eq!(memory.of(father).died_on(), Some(DAY + Duration::DAY));
    let late = DAY + Duration::days(9);
    let moved = Event::Moved {
        person: father,
        residence: Residence::Actual,
        address: None,
    };
    assert_eq!(memory.refused(moved, late), Refusal::Dead(father));
    // He was mistaken for somebody else.
    memory.must(reversal(death), late);
    assert_eq!(memory.of(mother).spouse(), Some(father));
    assert_eq!(memory.of(father).spouse(), Some(mother));
    assert_eq!(memory.refused(reversal(death), late), Refusal::NoAct(death));
}

#[test]
fn paternity_takes_its_turn_only_by_court() {
    let mut memory = Memory::new();
    let [mother, father, child] = family(&mut memory);
    let other = memory.adult("20202198000009", "Усенов", "Бакыт");
    let claim = |father, instead_of| Event::Paternity {
        child,
        father,
        instead_of,
    };
    assert_eq!(
        memory.refused(claim(Some(other), None), DAY),
        Refusal::HasFather(child, father)
    );
    assert_eq!(
        memory.refused(claim(Some(other), Some(mother)), DAY),
        Refusal::OtherFather(child)
    );
    assert_eq!(
        memory.refused(claim(Some(mother), Some(father)), DAY),
        Refusal::Same(mother, mother)
    );
    let act = memory.must(claim(Some(other), Some(father)), DAY);
    assert_eq!(memory.of(other).children(), [child].into());
    assert!(memory.of(father).children().is_empty());
    memory.must(reversal(act), DAY);
    assert_eq!(memory.of(father).children(), [child].into());
    let young = memory.adult("20101200500001", "Усенов", "Талант");
    assert_eq!(
        memory.refused(claim(Some(young), Some(father)), DAY),
        Refusal::ParentTooYoung(young, child)
    );
}

#[test]
fn a_secret_adoption_covers_what_was_before() {
    let mut memory = Memory::new();
    let [mother, father, child] = family(&mut memory);
    let new_mother = memory.adult("11202198000001", "Бакирова", "Чолпон");
    let adopted = Event::Adoption {
        child,
        mother: Some(new_mother),
        father: None,
        instead_of: [None, None],
        names: Some(names("Бакиров", "Арстан")),
        birth_place: Some("Нарын".into()),
        secret: true,
    };
    let act = memory.must(adopted.clone(), DAY);
    let record = memory.of(child);
    assert_eq!(record.parent(Parent::Mother), Some(new_mother));
    assert_eq!(record.parent(Parent::Father), None);
    let sealed: Vec<Field<'_>> = record
        .facts()
        .iter()
        .filter(|known| known.sealed_by == Some(act))
        .map(|known| known.fact.field())
        .collect();
    assert_eq!(
        sealed,
        [
            Field::Names,
            Field::BirthPlace,
            Field::Parent(Parent::Mother),
            Field::Parent(Parent::Father)
        ]
    );
    for parent in [mother, father] {
        let record = memory.of(parent);
        assert!(record.children().is_empty());
        let about_child = record
            .facts()
            .iter()
            .filter(|known| known.fact.field() == Field::Child(child));
        assert!(
            about_child.clone().count() == 2
                && about_child
                    .clone()
                    .all(|known| known.sealed_by == Some(act))
        );
    }
    assert!(memory.of(child).acts().last().unwrap().secret);
    assert_eq!(memory.refused(adopted.clone(), DAY), Refusal::NothingNew);
    let grown = date!(2032 - 03 - 10);
    assert_eq!(memory.refused(adopted, grown), Refusal::OfAge(child));
    memory.must(reversal(act), DAY);
    assert_eq!(memory.of(child).parent(Parent::Father), Some(father));
    assert!(
        memory
            .of(child)
            .facts()
            .iter()
            .all(|known| known.sealed_by.is_none())
    );
}

#[test]
fn a_double_number_is_merged_and_the_merge_taken_back() {
    let mut memory = Memory::new();
    let [mother, father, child] = family(&mut memory);
    let double = memory.adult("11505198500077", "Асанова", "Айгул");
    let wed = Event::Marriage {
        spouses: [double, father],
        names: [None, None],
    };
    memory.must(wed, DAY);
    let card = Document {
        kind: DocumentKind::IdentityCard,
        number: "ID1234567".into(),
        issued_on: DAY,
        expires_on: None,
        authority: "211001".into(),
    };
    memory.must(
        Event::DocumentIssued {
            person: double,
            document: card.clone(),
        },
        DAY,
    );
    let rights = Event::ParentalRights {
        child,
        parent: mother,
        rights: ParentalRights::Lost,
    };
    memory.must(rights, DAY);
    let merge = Event::Merge {
        kept: double,
        given_up: mother,
        carried: vec![],
    };
    let act = memory.must(merge, DAY);
    assert_eq!(memory.of(mother).merged_into(), Some(double));
    assert_eq!(memory.of(double).aliases(), [mother].into());
    assert_eq!(memory.of(double).children(), [child].into());
    assert_eq!(memory.of(child).parent(Parent::Mother), Some(double));
    // Rights that a court took stay taken under the other number.
    assert_eq!(memory.of(child).rights_of(double), ParentalRights::Lost);
    // Both histories are there.
    assert!(memory.of(mother).names().is_some() && memory.of(double).names().is_some());
    let moved = Event::Moved {
        person: mother,
        residence: Residence::Actual,
        address: Some(address("KG-C-01-01", "1")),
    };
    assert_eq!(memory.refused(moved, DAY), Refusal::Merged(mother, double));
    let wedding = memory.of(double).acts()[1].id;
    assert!(
        matches!(memory.refused(reversal(wedding), DAY), Refusal::RestedOn { later, .. } if later == act)
    );

    memory.must(reversal(act), DAY);
    assert_eq!(memory.of(mother).children(), [child].into());
    assert!(memory.of(double).children().is_empty() && memory.of(double).aliases().is_empty());
    assert_eq!(memory.of(child).parent(Parent::Mother), Some(mother));
    // The other way round: the marriage and the card pass on.
    memory.must(
        Event::Merge {
            kept: mother,
            given_up: double,
            carried: vec![],
        },
        DAY,
    );
    assert_eq!(memory.of(mother).spouse(), Some(father));
    assert_eq!(memory.of(father).spouse(), Some(mother));
    assert_eq!(memory.of(mother).documents().collect::<Vec<_>>(), [&card]);
    let third = memory.adult("11505198500078", "Асанова", "Айгүл");
    let suitor = memory.adult("20202198000009", "Усенов", "Бакыт");
    memory.must(
        Event::Marriage {
            spouses: [third, suitor],
            names: [None, None],
        },
        DAY,
    );
    assert_eq!(
        memory.refused(
            Event::Merge {
                kept: mother,
                given_up: third,
                carried: vec![]
            },
            DAY
        ),
        Refusal::Contradiction(mother, third, "marriage")
    );
}

#[test]
fn a_lock_opens_only_after_cooling_off() {
    let mut memory = Memory::new();
    let [mother, ..] = family(&mut memory);
    let credit: Purpose = "credit".parse().unwrap();
    let lock = |state| Event::Lock {
        person: mother,
        purpose: credit.clone(),
        state,
    };
    let now = noon(DAY);
    let ask = LockState::OpensAt(now - Duration::days(9));
    assert_eq!(memory.refused(lock(ask), DAY), Refusal::NothingNew);
    memory.must(lock(LockState::Locked), DAY);
    assert!(memory.of(mother).is_locked(&credit, now));
    assert!(!memory.of(mother).is_locked(&"sim".parse().unwrap(), now));
    // The moment that the asker names does not count.
    memory.must(lock(ask), DAY);
    assert!(
        memory
            .of(mother)
            .is_locked(&credit, now + Duration::hours(24))
    );
    assert!(
        !memory
            .of(mother)
            .is_locked(&credit, now + Duration::hours(24) + Duration::SECOND)
    );
    memory.must(lock(LockState::Locked), DAY);
    assert!(
        memory
            .of(mother)
            .is_locked(&credit, now + Duration::days(300))
    );
    assert!("Credit".parse::<Purpose>().is_err());
}

#[test]
fn people_are_taken_over_together() {
    let mut memory = Memory::new();
    let taken = |number: &str, family: &str, given: &str| TakenOver {
        person: newcomer(number, family, given),
        civil_status: CivilStatus::Single,
        spouse: None,
        mother: None,
        father: None,
        address: Some(address("KG-GB-01-01", "12а")),
        documents: vec![],
        died_on: None,
    };
    let (mut wife, mut husband) = (
        taken(MOTHER, "Асанова", "Айгүл"),
        taken(FATHER, "Касымов", "Нурлан"),
    );
    let (mother, father) = (wife.person.number, husband.person.number);
    (wife.spouse, wife.civil_status) = (Some(father), CivilStatus::Married);
    let all = |people: &[&TakenOver]| Event::TakenOver {
        people: people.iter().map(|one| (*one).clone()).collect(),
    };
    assert_eq!(memory.refused(all(&[&wife]), DAY), Refusal::Unknown(father));
    assert_eq!(
        memory.refused(all(&[&wife, &husband]), DAY),
        Refusal::OneSided(mother, father)
    );
    (husband.spouse, husband.civil_status) = (Some(mother), CivilStatus::Married);
    let mut child = taken(CHILD, "Касымов", "Эмил");
    (child.mother, child.father, child.died_on) = (Some(mother), Some(father), Some(DAY));
    assert_eq!(
        memory.refused(all(&[&wife, &husband, &wife]), DAY),
        Refusal::Issued(mother)
    );
    memory.must(all(&[&wife, &husband, &child]), DAY);
    let number = child.person.number;
    assert_eq!(memory.of(mother).children(), [number].into());
    assert_eq!(memory.of(father).spouse(), Some(mother));
    assert_eq!(memory.of(number).died_on(), Some(DAY));
    assert_eq!(
        memory
            .of(mother)
            .address(Residence::Registered)
            .unwrap()
            .house,
        "12а"
    );
    assert_eq!(memory.refused(all(&[]), DAY), Refusal::Size);
    // A brother found later refers to people who are there.
    let mut brother = taken("20505201600001", "Касымов", "Тимур");
    brother.father = Some(father);
    memory.must(all(&[&brother]), DAY);
    assert_eq!(memory.of(father).children().len(), 2);
}

#[test]
fn an_entry_needs_its_form() {
    let mut memory = Memory::new();
    let [mother, ..] = family(&mut memory);
    let event = || Event::NameChange {
        person: mother,
        names: names("Асанова", "Айжан"),
    };
    let good = entry(event(), DAY);
    for (bad, refusal) in [
        (
            Entry {
                reference: " ".into(),
                ..good.clone()
            },
            Refusal::Incomplete,
        ),
        (
            Entry {
                reference: "1".repeat(101),
                ..good.clone()
            },
            Refusal::Incomplete,
        ),
        (
            Entry {
                effective: DAY + Duration::DAY,
                ..good.clone()
            },
            Refusal::Future(DAY + Duration::DAY),
        ),
        (
            Entry {
                effective: date!(1985 - 05 - 14),
                ..good.clone()
            },
            Refusal::BeforeBirth(date!(1985 - 05 - 14), mother),
        ),
    ] {
        assert_eq!(memory.enter(bad, noon(DAY)), Err(refusal));
    }
    let nobody: PersonalNumber = "20101199000001".parse().unwrap();
    let strange = Event::NameChange {
        person: nobody,
        names: names("А", "Б"),
    };
    assert_eq!(memory.refused(strange, DAY), Refusal::Unknown(nobody));
    let nowhere = Event::Moved {
        person: mother,
        residence: Residence::Actual,
        address: Some(address("KG-C-99", "1")),
    };
    assert_eq!(
        memory.refused(nowhere, DAY),
        Refusal::Unit("KG-C-99".into())
    );
    assert!(memory.enter(good, noon(DAY)).is_ok());
}

#[test]
fn a_text_holds_nothing_that_some_channel_cannot_show() {
    let mut memory = Memory::new();
    let [mother, ..] = family(&mut memory);
    let moved = |street: &str, house: &str| Event::Moved {
        person: mother,
        residence: Residence::Actual,
        address: Some(Address {
            street: street.into(),
            ..address("KG-C-07-01", house)
        }),
    };
    let issued = |number: &str, authority: &str| Document {
        kind: DocumentKind::Passport,
        number: number.into(),
        issued_on: DAY,
        expires_on: None,
        authority: authority.into(),
    };
    for bad in [
        "\u{0}",
        "a\u{1}",
        "a\nb",
        "\u{202E}21",
        "O\u{FFFD}",
        "a\u{FFFF}",
        "\u{85}",
    ] {
        let street = Refusal::Text("street, house or flat");
        assert_eq!(memory.refused(moved(bad, "1"), DAY), street, "{bad:?}");
        assert_eq!(memory.refused(moved("", bad), DAY), street, "{bad:?}");
        for document in [issued(bad, "211041"), issued("AC1", bad)] {
            let event = Event::DocumentIssued {
                person: mother,
                document,
            };
            let refusal = memory.refused(event, DAY);
            assert_eq!(refusal, Refusal::Text("number or authority of a document"));
        }
        let reference = Entry {
            reference: bad.into(),
            ..entry(moved("", "1"), DAY)
        };
        assert_eq!(memory.enter(reference, noon(DAY)), Err(Refusal::Incomplete));
    }
    memory.must(moved("Ыбраимов көчөсү, «12-участок»", "1/2"), DAY);
    let document = issued("AC1234567", "211041");
    let act = memory.must(
        Event::DocumentIssued {
            person: mother,
            document,
        },
        DAY,
    );
    // A correction says it no worse than the act that it corrects.
    for authority in ["", "\u{1}", &"1".repeat(101)] {
        let correction = Event::Correction {
            person: mother,
            corrects: act,
            facts: vec![Corrected {
                fact: Fact::Document(issued("AC1234567", authority)),
                valid_from: DAY,
            }],
        };
        assert_eq!(
            memory.refused(correction, DAY),
            Refusal::Text("number or authority of a document")
        );
    }
}

#[test]
fn acts_are_stored_and_read_back() {
    let mut memory = Memory::new();
    let [mother, father, child] = family(&mut memory);
    memory.must(
        Event::Marriage {
            spouses: [mother, father],
            names: [None, Some(names("Асанов", "Нурлан"))],
        },
        DAY,
    );
    let lock = Event::Lock {
        person: mother,
        purpose: "credit".parse().unwrap(),
        state: LockState::Locked,
    };
    memory.must(lock, DAY);
    memory.must(
        Event::Guardianship {
            ward: child,
            guardian: father,
            appointed: true,
        },
        DAY,
    );
    memory.must(
        Event::Protection {
            person: child,
            kind: ProtectionKind::Violence,
            against: Some(father),
            active: true,
        },
        DAY,
    );
    for act in &memory.acts {
        let text = serde_json::to_string(&act.entry).unwrap();
        assert_eq!(
            serde_json::from_str::<Entry>(&text).unwrap(),
            act.entry,
            "{text}"
        );
    }
    assert_eq!(
        memory.of(child).protections().collect::<Vec<_>>(),
        [(ProtectionKind::Violence, Some(father))]
    );
    assert_eq!(memory.of(father).wards(), [child].into());
}
