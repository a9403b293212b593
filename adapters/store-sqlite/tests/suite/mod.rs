//! What every fulfilment of the register's port must do. `store-sqlite` and `store-postgres` run it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::sync::Barrier;

use id_registry::demonstration::territory;
use id_registry::*;
use time::macros::{date, datetime};
use time::{Date, Duration, OffsetDateTime};

/// Opens the database under test; again and again the same one.
pub type Open<'a> = &'a dyn Fn() -> Box<dyn Register>;

const DAY: Date = date!(2026 - 06 - 01);
/// The least that is a picture: a frame of 16 by 16 grey pixels.
const PICTURE: &[u8] = &[
    0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, 0, 16, 0, 16, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 8, 1, 1, 0, 0,
    63, 0, 0x2A, 0xFF, 0xD9,
];
const NOON: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);

fn decided(register: &dyn Register, event: Event, at: OffsetDateTime) -> Result<Decided, Refusal> {
    let territory = territory();
    let rules = Rules {
        numbers: &OpaqueSerial,
        territory: &territory,
        cooling_off: Duration::DAY,
    };
    let entry = Entry {
        event,
        effective: day_of(at),
        reference: "KG-1/26".into(),
        officer: Officer {
            office: "zags-1".into(),
            name: "7".into(),
        },
    };
    decide(entry, at, rules, register).map_err(|error| match error {
        DecideError::Refused(refusal) => refusal,
        DecideError::Records(error) => panic!("{error}"),
    })
}

fn enter(register: &dyn Register, event: Event) -> Act {
    let decided = decided(register, event, NOON).unwrap();
    register.enter(&decided).unwrap()
}

fn names(family: &str, given: &str) -> Names {
    Names {
        family: Name::new(family).unwrap(),
        given: Name::new(given).unwrap(),
        patronymic: None,
    }
}

fn newcomer(number: &str, family: &str, given: &str) -> NewPerson {
    let number: PersonalNumber = number.parse().unwrap();
    NewPerson {
        number,
        names: names(family, given),
        sex: number.sex(),
        born_on: number.birth_date().unwrap(),
        birth_place: "Ысык-Көл \\ \"а б\"".into(),
        citizenship: Citizenship::Stateless,
    }
}

fn adult(register: &dyn Register, number: &str, family: &str, given: &str) -> PersonalNumber {
    let person = newcomer(number, family, given);
    let number = person.number;
    enter(register, Event::Enrolment { person });
    number
}

fn found(register: &dyn Register, family: &str, given: &str) -> Vec<PersonalNumber> {
    let query = NameQuery::new(family, given).unwrap();
    let hits = register.search(&query, 50).unwrap();
    assert!(
        hits.windows(2)
            .all(|two| two[0].likeness >= two[1].likeness)
    );
    hits.iter().map(|hit| hit.number).collect()
}

/// Records are what their acts amount to, also after the database was closed and opened.
pub fn acts_are_kept(open: Open<'_>) {
    let register = open();
    let register = register.as_ref();
    assert_eq!(register.last_act().unwrap(), ActId(0));
    let mother = adult(register, "11505198500001", "Асанова", "Айгүл");
    let father = adult(register, "20107198300002", "Касымов", "Нурлан");
    let wedding = enter(
        register,
        Event::Marriage {
            spouses: [mother, father],
            names: [Some(names("Касымова", "Айгүл")), None],
        },
    );
    let at = datetime!(2026-06-01 12:00:00.123456789 UTC);
    let reversal = Event::Reversal {
        act: wedding.id,
        people: BTreeSet::new(),
    };
    let reversal = decided(register, reversal, at).unwrap();
    let reversal = register.enter(&reversal).unwrap();
    assert_eq!((wedding.id, reversal.id), (ActId(3), ActId(4)));
    let again = open();
    for register in [register, again.as_ref()] {
        let record = register.record(mother).unwrap().unwrap();
        assert_eq!(record.spouse(), None);
        assert_eq!(record.acts().len(), 3);
        assert_eq!(record.acts()[1].reversed_by, Some(reversal.id));
        assert_eq!(register.act(reversal.id).unwrap().unwrap(), reversal);
        assert_eq!(register.act(ActId(5)).unwrap(), None);
        let nobody = newcomer("11505198500009", "Асанова", "Айгүл").number;
        assert_eq!(register.record(nobody).unwrap(), None);
        let acts = register.acts_after(ActId(0), 100).unwrap();
        assert_eq!(record, Record::from_acts(mother, &acts).unwrap());
        assert_eq!(register.acts_after(ActId(1), 2).unwrap(), acts[1..3]);
        assert_eq!(register.acts_after(ActId(4), 2).unwrap(), []);
        assert_eq!(register.last_act().unwrap(), ActId(4));
        assert_eq!(
            register.issued(Sex::Female, date!(1985 - 05 - 15)).unwrap(),
            [mother].into()
        );
        assert_eq!(
            register.issued(Sex::Male, date!(1985 - 05 - 15)).unwrap(),
            [].into()
        );
    }
}

/// Nothing is entered that was decided on a record that has changed.
pub fn a_decision_on_an_old_record_is_refused(open: Open<'_>) {
    let register = open();
    let register = register.as_ref();
    let one = adult(register, "11505198500001", "Асанова", "Айгүл");
    let event = |given| Event::NameChange {
        person: one,
        names: names("Асанова", given),
    };
    let first = decided(register, event("Айжан"), NOON).unwrap();
    let second = decided(register, event("Бермет"), NOON).unwrap();
    register.enter(&first).unwrap();
    assert!(matches!(register.enter(&second), Err(StoreError::Conflict(number)) if number == one));
    assert_eq!(register.last_act().unwrap(), ActId(2));
    // The same birth twice: the number is there already.
    let event = Event::Enrolment {
        person: newcomer("20107198300002", "Касымов", "Нурлан"),
    };
    let first = decided(register, event.clone(), NOON).unwrap();
    let second = decided(register, event, NOON).unwrap();
    register.enter(&first).unwrap();
    assert!(matches!(
        register.enter(&second),
        Err(StoreError::Conflict(_))
    ));
    assert_eq!(register.acts_after(ActId(0), 10).unwrap().len(), 3);
}

/// Acts of several writers have an order without gaps, and each is decided on what came before it.
pub fn writers_take_turns(open: Open<'_>) {
    const WRITERS: usize = 4;
    const EACH: usize = 15;
    let register = open();
    let common = adult(register.as_ref(), "11505198500001", "Асанова", "Айгүл");
    let start = Barrier::new(WRITERS);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (register, start) = (register.as_ref(), &start);
            scope.spawn(move || {
                start.wait();
                for turn in 0..EACH {
                    loop {
                        let issued_on = DAY - Duration::days(1);
                        let document = Document {
                            kind: DocumentKind::Passport,
                            number: format!("AC{writer}-{turn}"),
                            issued_on,
                            expires_on: None,
                            authority: "1".into(),
                        };
                        let event = Event::DocumentIssued {
                            person: common,
                            document,
                        };
                        let decided = decided(register, event, NOON).unwrap();
                        match register.enter(&decided) {
                            Ok(_) => break,
                            Err(StoreError::Conflict(_)) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
    });
    let acts = register.acts_after(ActId(0), 1000).unwrap();
    let ids: Vec<u64> = acts.iter().map(|act| act.id.0).collect();
    assert_eq!(ids, (1..=(1 + WRITERS * EACH) as u64).collect::<Vec<_>>());
    let record = register.record(common).unwrap().unwrap();
    assert_eq!(record.documents().count(), WRITERS * EACH);
}

/// People are found by names that are like theirs, in any script; not by those that nobody may know.
pub fn people_are_found_by_name(open: Open<'_>) {
    let register = open();
    let register = register.as_ref();
    let one = adult(register, "20512198500001", "Жээнбеков", "Чыңгыз");
    let other = adult(register, "20512199000002", "Жаныбеков", "Чынар");
    let third = adult(register, "11505198500003", "Өмүралиева", "Үмүт");
    for (family, given) in [
        ("Жээнбеков", "Чыңгыз"),
        ("Jeenbekov", "Chingiz"),
        ("ЖЕНБЕКОВ", "Чингис"),
        ("Zheenbekov", ""),
        ("", "чынгыз"),
    ] {
        assert_eq!(found(register, family, given)[0], one, "{family} {given}");
    }
    assert_eq!(found(register, "Omuralieva", "Umut"), [third]);
    assert_eq!(found(register, "Ivanov", "Ivan"), []);
    assert!(found(register, "Жаныбеков", "Чынар").contains(&other));
    let query = NameQuery::new("Жээнбеков", "").unwrap();
    assert_eq!(register.search(&query, 1).unwrap().len(), 1);
    assert_eq!(NameQuery::new(" 1", "-"), None);

    // An earlier name finds; one that was taken back does not.
    let change = Event::NameChange {
        person: third,
        names: names("Сыдыкова", "Үмүт"),
    };
    let change = enter(register, change);
    assert_eq!(found(register, "Сыдыкова", "Үмүт"), [third]);
    assert_eq!(found(register, "Сыдыкоав", ""), [third]);

    // So does a name that another server entered after this one was asked.
    let fourth = adult(open().as_ref(), "11505198500006", "Түлөбердиева", "Үмүт");
    assert_eq!(found(register, "Тулебердиева", "Умут"), [fourth]);
    // Whoever bears several of the names that may be meant is one hit.
    let hits: BTreeSet<_> = found(register, "", "Үмүт").into_iter().collect();
    assert_eq!(hits, BTreeSet::from([third, fourth]));
    assert_eq!(found(register, "", "Үмүт").len(), 2);
    assert_eq!(found(register, "Өмүралиева", "Үмүт"), [third]);
    enter(
        register,
        Event::Reversal {
            act: change.id,
            people: BTreeSet::new(),
        },
    );
    assert_eq!(found(register, "Сыдыкова", "Үмүт"), []);

    // Nobody finds an adopted child by the name it was born with.
    let child = newcomer("21003202000004", "Өмүралиев", "Эмил");
    let number = child.number;
    enter(register, Event::Enrolment { person: child });
    let adoption = Event::Adoption {
        child: number,
        mother: Some(third),
        father: None,
        instead_of: [None, None],
        names: Some(names("Бакиров", "Арстан")),
        birth_place: None,
        secret: true,
    };
    enter(register, adoption);
    assert_eq!(found(register, "Бакиров", "Арстан"), [number]);
    assert_eq!(found(register, "Өмүралиев", "Эмил"), []);
}

/// Looks at a record are kept; whoever looked a number up in the last year is told when it is given up.
pub fn users_of_a_number_are_told(open: Open<'_>) {
    let register = open();
    let register = register.as_ref();
    let kept = adult(register, "11505198500001", "Асанова", "Айгүл");
    let given_up = adult(register, "11505198500002", "Асанова", "Айгул");
    let look = |client: &str, number, at| LookUp {
        number,
        at,
        client: client.into(),
        user: "officer".into(),
        purpose: "credit".into(),
        service: "personByNumber".into(),
        query_id: format!("q-{client}"),
        released: None,
    };
    let old = look("KG/GOV/old", given_up, NOON - Duration::days(366));
    let bank = look("KG/COM/bank", given_up, NOON - Duration::days(364));
    let twice = look("KG/COM/bank", given_up, NOON - Duration::days(1));
    let other = look("KG/GOV/other", kept, NOON - Duration::days(1));
    for look_up in [&old, &bank, &twice, &other] {
        register.keep_look_up(look_up).unwrap();
    }
    assert_eq!(
        register.look_ups(given_up, 2).unwrap(),
        [twice.clone(), bank.clone()]
    );
    assert_eq!(open().look_ups(given_up, 9).unwrap(), [twice, bank, old]);
    assert_eq!(register.look_ups(kept, 9).unwrap(), [other]);

    let act = enter(
        register,
        Event::Merge {
            kept,
            given_up,
            carried: vec![],
        },
    );
    let told = register.notices("KG/COM/bank", 0, 9).unwrap();
    let [notice] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(
        (notice.act, notice.given_up, notice.kept),
        (act.id, given_up, kept)
    );
    assert_eq!(register.notices("KG/COM/bank", notice.id, 9).unwrap(), []);
    for client in ["KG/GOV/old", "KG/GOV/other"] {
        assert_eq!(register.notices(client, 0, 9).unwrap(), []);
    }
    let answer = answering(register, given_up).unwrap().unwrap();
    assert_eq!(answer.number(), kept);
}

/// Pictures are kept once under their name, and that one was released is on the look-up.
pub fn pictures_are_kept(open: Open<'_>) {
    let register = open();
    let register = register.as_ref();
    let image = Image::check(PICTURE.to_vec()).unwrap();
    assert_eq!(register.image(image.id()).unwrap(), None);
    register.keep_image(&image).unwrap();
    register.keep_image(&image).unwrap();
    let person = adult(register, "11505198500001", "Асанова", "Айгүл");
    enter(
        register,
        Event::ImageTaken {
            person,
            kind: ImageKind::Portrait,
            image: image.id(),
        },
    );
    let look_up = LookUp {
        number: person,
        at: NOON,
        client: "KG/GOV/1/desk".into(),
        user: "officer".into(),
        purpose: String::new(),
        service: "portrait".into(),
        query_id: "1".into(),
        released: Some(image.id()),
    };
    register.keep_look_up(&look_up).unwrap();
    let again = open();
    let record = again.record(person).unwrap().unwrap();
    let id = record.image(ImageKind::Portrait).unwrap();
    assert_eq!(again.image(id).unwrap(), Some(image));
    assert_eq!(record.image(ImageKind::Signature), None);
    assert_eq!(again.look_ups(person, 9).unwrap(), [look_up]);
}

/// An office's act is entered once under its number, also when several servers get the message at one time.
pub fn an_office_enters_an_act_once(open: Open<'_>) {
    const SERVERS: usize = 4;
    let register = open();
    let register = register.as_ref();
    let person = adult(register, "11505198500001", "Асанова", "Айгүл");
    let event = Event::NameChange {
        person,
        names: names("Асанова", "Айжан"),
    };
    let decided = decided(register, event, NOON).unwrap();
    let (office, reference) = ("zags-1", "KG-1/26");
    assert_eq!(register.entered(office, reference).unwrap(), None);
    let start = Barrier::new(SERVERS);
    let acts: Vec<Act> = std::thread::scope(|scope| {
        let servers: Vec<_> = (0..SERVERS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    register.enter_once(&decided, [7; 32]).unwrap()
                })
            })
            .collect();
        let all = servers.into_iter().filter_map(|one| one.join().unwrap());
        all.collect()
    });
    assert_eq!(acts.len(), 1);
    let expected = Some((acts[0].id, vec![7; 32]));
    assert_eq!(open().entered(office, reference).unwrap(), expected);
    assert_eq!(open().entered("zags-2", reference).unwrap(), None);
    assert_eq!(register.last_act().unwrap(), ActId(2));
}

/// One server at a time tells a subscriber; what it was told is remembered.
pub fn subscribers_are_told_in_turn(open: Open<'_>) {
    let (register, other) = (open(), open());
    adult(register.as_ref(), "11505198500001", "Асанова", "Айгүл");
    let minute = Duration::minutes(1);
    let turn = |register: &dyn Register, server: &str, now| {
        register
            .take_turn("KG/GOV/1/a", server, now, now + minute)
            .unwrap()
    };
    let (register, other) = (register.as_ref(), other.as_ref());
    assert_eq!(turn(register, "one", NOON), Some(ActId(1)));
    assert_eq!(turn(other, "two", NOON), None);
    assert!(register.told("KG/GOV/1/a", "one", ActId(5)).unwrap());
    assert!(!other.told("KG/GOV/1/a", "two", ActId(9)).unwrap());
    assert_eq!(turn(register, "one", NOON + minute / 2), Some(ActId(5)));
    assert_eq!(turn(other, "two", NOON + minute), None);
    // The first server is gone.
    assert_eq!(turn(other, "two", NOON + minute * 2), Some(ActId(5)));
    assert!(!register.told("KG/GOV/1/a", "one", ActId(6)).unwrap());
}

/// Many people come at once: all or none.
pub fn many_are_loaded(open: Open<'_>) {
    const HOUSEHOLDS: u32 = 2100;
    let register = open();
    let register = register.as_ref();
    let territory = territory();
    let rules = Rules {
        numbers: &OpaqueSerial,
        territory: &territory,
        cooling_off: Duration::DAY,
    };
    let population = Population::demonstration();
    let household = |place: u32| {
        let entry = population.household_entry(place % HOUSEHOLDS).unwrap();
        decide(entry, NOON, rules, &Nobody).unwrap()
    };
    // The last household is the first one again.
    let mut twice = (0..=HOUSEHOLDS).map(household);
    let refused = register.load(&mut twice, &mut |_| {});
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    assert_eq!(register.last_act().unwrap(), ActId(0));
    let mut told = Vec::new();
    let mut once = (0..HOUSEHOLDS).map(household);
    let written = register
        .load(&mut once, &mut |count| told.push(count))
        .unwrap();
    assert_eq!((written, told.last()), (2100, Some(&2100)));
    assert!(told.len() > 1);
    assert_eq!(register.last_act().unwrap(), ActId(2100));
    for place in [0, 17, 8399] {
        let resident = population.person(place).unwrap();
        let record = register.record(resident.number).unwrap().unwrap();
        let names = record.names().unwrap();
        assert_eq!(
            (&names.family, &names.given),
            (&resident.family_name, &resident.given_name)
        );
        assert_eq!(
            record.address(Residence::Registered),
            Some(&resident.address)
        );
        let query = NameQuery::new(&names.family.latin, &names.given.latin).unwrap();
        let hits = register.search(&query, 1000).unwrap();
        assert!(
            hits.iter()
                .any(|hit| hit.number == resident.number && hit.likeness == 100)
        );
    }
    // Life goes on after a load.
    let resident = population.person(5).unwrap().number;
    enter(
        register,
        Event::Death {
            person: resident,
            widowed: None,
        },
    );
    assert!(!register.record(resident).unwrap().unwrap().is_alive());
}

/// People of an earlier register come in with the digests of their rows: all of them or none.
pub fn people_are_taken_over_once(open: Open<'_>) {
    const HOUSEHOLDS: u32 = 700;
    let register = open();
    let register = register.as_ref();
    let territory = territory();
    let rules = Rules {
        numbers: &OpaqueSerial,
        territory: &territory,
        cooling_off: Duration::DAY,
    };
    let population = Population::demonstration();
    let household = |place: u32| {
        let entry = population.household_entry(place).unwrap();
        decide(entry, NOON, rules, &Nobody).unwrap()
    };
    let other = adult(register, "11505198500001", "Асанова", "Айгүл");
    let decided: Vec<Decided> = (0..HOUSEHOLDS).map(household).collect();
    // The highest bit too is kept.
    let digest = |number: PersonalNumber| !u64::from(number.serial());
    let rows: Vec<(PersonalNumber, u64)> = decided
        .iter()
        .flat_map(|decided| decided.entry().event.newcomers())
        .map(|new| (new.number, digest(new.number)))
        .collect();
    assert_eq!(register.take_over(&decided, &rows).unwrap(), ActId(2));
    assert_eq!(
        register.last_act().unwrap(),
        ActId(u64::from(HOUSEHOLDS) + 1)
    );
    let known = population.person(9).unwrap().number;
    let nobody = newcomer("11505198500009", "Асанова", "Айгүл").number;
    let mut issued = open().issued_of(&[other, nobody, known]).unwrap();
    issued.sort_by_key(|issued| issued.digest.is_some());
    let expected = [(other, None), (known, Some(digest(known)))];
    assert_eq!(
        issued,
        expected.map(|(number, digest)| Issued { number, digest })
    );

    // New people together with one who is there: nobody comes in, and names of nobody are not remembered.
    let mixed = [household(HOUSEHOLDS), household(0)];
    let refused = register.take_over(&mixed, &[]);
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    assert_eq!(
        register.last_act().unwrap(),
        ActId(u64::from(HOUSEHOLDS) + 1)
    );
    let alone = [household(HOUSEHOLDS)];
    register.take_over(&alone, &[]).unwrap();
    let late = population.person(HOUSEHOLDS * 4).unwrap();
    let query = NameQuery::new(&late.family_name.latin, &late.given_name.latin).unwrap();
    let hits = register.search(&query, 1000).unwrap();
    assert!(hits.iter().any(|hit| hit.number == late.number));
}
