//! Random civil events against a model that knows nothing of facts, fields or withdrawals: it replays the events that
//! were not taken back, in order, and must come to the same people.
//!
//! `TUNDUK_CIVIL_EVENTS` says how many events are entered (1,000,000 in a proving run).

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the test reads its size and tells what it did"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use common::{Memory, entry, names};
use id_registry::*;
use time::{Date, Duration, OffsetDateTime};

const VARIABLE: &str = "TUNDUK_CIVIL_EVENTS";
const FEW: usize = 20_000;
/// How often the model is replayed and compared as a whole.
const COMPARISONS: usize = 8;

/// SplitMix: the same events everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound.max(1) as u64).unwrap()
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A person of the model.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Plain {
    names: BTreeMap<(Date, u64), Names>,
    homes: BTreeMap<(Date, u64), Option<Address>>,
    status: Option<CivilStatus>,
    spouse: Option<PersonalNumber>,
    parents: [Option<PersonalNumber>; 2],
    children: BTreeSet<PersonalNumber>,
    alive: bool,
    merged_into: Option<PersonalNumber>,
}

type Corrections = HashMap<ActId, (ActId, Names)>;
type World = HashMap<PersonalNumber, Plain>;

fn replay(acts: &[Act]) -> World {
    let reversed: BTreeSet<ActId> = acts
        .iter()
        .filter_map(|act| match act.entry.event {
            Event::Reversal { act, .. } => Some(act),
            _ => None,
        })
        .collect();
    // The correction of the names that an act gave, with the right ones; it may be corrected in its turn.
    let mut right = Corrections::new();
    for act in acts.iter().filter(|act| !reversed.contains(&act.id)) {
        if let Event::Correction {
            corrects, facts, ..
        } = &act.entry.event
            && let [
                Corrected {
                    fact: Fact::Names(names),
                    ..
                },
            ] = facts.as_slice()
        {
            right.insert(*corrects, (act.id, names.clone()));
        }
    }
    let mut world = World::new();
    for act in acts.iter().filter(|act| !reversed.contains(&act.id)) {
        live(&mut world, act, &right);
    }
    world
}

fn live(world: &mut World, act: &Act, right: &Corrections) {
    let day = act.entry.effective;
    let key = (day, act.id.0);
    let spelled = |names: &Names| {
        let (mut act, mut names) = (act.id, names);
        while let Some((by, corrected)) = right.get(&act) {
            (act, names) = (*by, corrected);
        }
        names.clone()
    };
    fn at(world: &mut World, number: PersonalNumber) -> &mut Plain {
        world.entry(number).or_default()
    }
    let arrive = |person: &NewPerson, world: &mut World| {
        let new = at(world, person.number);
        new.alive = true;
        new.status = Some(CivilStatus::Single);
        new.names
            .insert((person.born_on, act.id.0), spelled(&person.names));
    };
    match &act.entry.event {
        Event::Birth {
            child,
            mother,
            father,
        } => {
            arrive(child, world);
            at(world, child.number).parents = [*mother, *father];
            for parent in [mother, father].into_iter().flatten() {
                at(world, *parent).children.insert(child.number);
            }
        }
        Event::Enrolment { person } => arrive(person, world),
        Event::Marriage {
            spouses: [one, other],
            names,
        } => {
            for (me, you, new) in [(one, other, &names[0]), (other, one, &names[1])] {
                let person = at(world, *me);
                person.status = Some(CivilStatus::Married);
                person.spouse = Some(*you);
                if let Some(new) = new {
                    person.names.insert(key, spelled(new));
                }
            }
        }
        Event::Divorce { spouses, .. } => {
            for spouse in spouses {
                let person = at(world, *spouse);
                person.status = Some(CivilStatus::Divorced);
                person.spouse = None;
            }
        }
        Event::Death { person, .. } => {
            let dead = at(world, *person);
            dead.alive = false;
            if let Some(spouse) = dead.spouse.take() {
                let left = at(world, spouse);
                left.spouse = None;
                left.status = Some(CivilStatus::Widowed);
            }
        }
        Event::NameChange { person, names } => {
            at(world, *person).names.insert(key, spelled(names));
        }
        Event::Moved {
            person, address, ..
        } => {
            at(world, *person).homes.insert(key, address.clone());
        }
        Event::Paternity { child, father, .. } => {
            if let Some(before) = at(world, *child).parents[1].take() {
                at(world, before).children.remove(child);
            }
            at(world, *child).parents[1] = *father;
            if let Some(father) = father {
                at(world, *father).children.insert(*child);
            }
        }
        Event::Adoption {
            child,
            mother,
            father,
            names,
            ..
        } => {
            for parent in at(world, *child).parents.into_iter().flatten() {
                at(world, parent).children.remove(child);
            }
            at(world, *child).parents = [*mother, *father];
            for parent in [mother, father].into_iter().flatten() {
                at(world, *parent).children.insert(*child);
            }
            if let Some(names) = names {
                at(world, *child).names.insert(key, spelled(names));
            }
        }
        Event::Merge { kept, given_up, .. } => merge(world, *kept, *given_up, key),
        Event::Correction { .. } | Event::Reversal { .. } => {}
        other => panic!("the model does not know {}", other.kind()),
    }
}

fn merge(world: &mut World, kept: PersonalNumber, given_up: PersonalNumber, key: (Date, u64)) {
    let goes = world[&given_up].clone();
    let mut stays = world[&kept].clone();
    if let Some(spouse) = goes.spouse {
        stays.spouse = Some(spouse);
        stays.status = Some(CivilStatus::Married);
        world.get_mut(&spouse).unwrap().spouse = Some(kept);
    }
    for place in 0..2 {
        if let Some(parent) = goes.parents[place] {
            let children = &mut world.get_mut(&parent).unwrap().children;
            children.remove(&given_up);
            children.insert(kept);
            stays.parents[place] = Some(parent);
        }
    }
    for child in &goes.children {
        for parent in &mut world.get_mut(child).unwrap().parents {
            if *parent == Some(given_up) {
                *parent = Some(kept);
            }
        }
        stays.children.insert(*child);
    }
    let home = |person: &Plain| {
        person
            .homes
            .last_key_value()
            .and_then(|(_, home)| home.clone())
    };
    if home(&stays).is_none() && home(&goes).is_some() {
        stays.homes.insert(key, home(&goes));
    }
    world.insert(kept, stays);
    let left = world.get_mut(&given_up).unwrap();
    left.merged_into = Some(kept);
    left.spouse = None;
    left.children.clear();
}

fn same(record: &Record, plain: &Plain) {
    let number = record.number();
    assert!(record.is_held(), "{number}");
    assert_eq!(record.is_alive(), plain.alive, "{number}");
    assert_eq!(record.merged_into(), plain.merged_into, "{number}");
    assert_eq!(record.spouse(), plain.spouse, "{number}");
    assert_eq!(record.civil_status(), plain.status, "{number}");
    assert_eq!(record.children(), plain.children, "{number}");
    let parents = [record.parent(Parent::Mother), record.parent(Parent::Father)];
    assert_eq!(parents, plain.parents, "{number}");
    let home = plain
        .homes
        .last_key_value()
        .and_then(|(_, home)| home.as_ref());
    assert_eq!(record.address(Residence::Registered), home, "{number}");
    let history: Vec<&Names> = record
        .history(Field::Names)
        .into_iter()
        .filter_map(|known| match &known.fact {
            Fact::Names(names) => Some(names),
            _ => None,
        })
        .collect();
    assert_eq!(
        history,
        plain.names.values().collect::<Vec<_>>(),
        "{number}"
    );
}

/// What must hold of everybody an act was about, right after it.
fn invariants(memory: &Memory, act: &Act, before: &HashMap<PersonalNumber, (usize, usize)>) {
    for number in act.entry.people() {
        let record = memory.of(number);
        let (acts, facts) = before.get(&number).copied().unwrap_or((0, 0));
        assert_eq!(record.acts().len(), acts + 1, "no act is lost");
        assert!(record.facts().len() >= facts, "no fact is lost");
        if record.merged_into().is_some() || !record.is_held() {
            continue;
        }
        if let Some(spouse) = record.spouse() {
            let other = memory.of(spouse);
            assert_eq!(other.spouse(), Some(number), "marriages have two sides");
            assert!(other.is_alive() && record.is_alive());
            assert_eq!(other.merged_into(), None);
            assert_eq!(record.civil_status(), Some(CivilStatus::Married));
        }
        for child in record.children() {
            let child = memory.of(child);
            let parents = [child.parent(Parent::Mother), child.parent(Parent::Father)];
            assert!(parents.contains(&Some(number)), "a child knows its parent");
        }
        for place in [Parent::Mother, Parent::Father] {
            if let Some(parent) = record.parent(place) {
                assert!(memory.of(parent).children().contains(&number));
            }
        }
        for alias in record.aliases() {
            assert_eq!(memory.of(alias).merged_into(), Some(number));
        }
    }
}

/// The number that answers in the end.
fn answering(memory: &Memory, number: PersonalNumber) -> PersonalNumber {
    let mut current = number;
    let mut steps = 0;
    while let Some(next) = memory.of(current).merged_into() {
        current = next;
        steps += 1;
        assert!(steps < 1000, "aliases lead in a circle");
    }
    current
}

/// Something that was known at a moment and must be known of that moment for ever.
struct Memento {
    number: PersonalNumber,
    as_of: AsOf,
    names: Option<Fact>,
    status: Option<Fact>,
}

impl Memento {
    fn take(memory: &Memory, number: PersonalNumber, as_of: AsOf) -> Self {
        let fact = |field| {
            memory
                .of(number)
                .at(field, as_of)
                .map(|known| known.fact.clone())
        };
        Self {
            number,
            as_of,
            names: fact(Field::Names),
            status: fact(Field::CivilStatus),
        }
    }
}

struct Town {
    dice: Dice,
    memory: Memory,
    today: Date,
    now: OffsetDateTime,
    /// Every number, with the body that bears it: some bodies bear two.
    bodies: Vec<(PersonalNumber, usize)>,
    count: usize,
}

const FAMILIES: [&str; 6] = [
    "Асанов",
    "Жээнбеков",
    "Өмүралиев",
    "Касымов",
    "Бакиров",
    "Усенов",
];
const GIVEN: [&str; 6] = ["Азамат", "Жеңиш", "Айгүл", "Бермет", "Нурлан", "Чолпон"];

impl Town {
    fn names(&mut self) -> Names {
        names(self.dice.pick(&FAMILIES), self.dice.pick(&GIVEN))
    }

    fn anybody(&mut self) -> PersonalNumber {
        // Mostly the young: the old are dead.
        let many = self.bodies.len();
        let place = if self.dice.below(3) == 0 {
            self.dice.below(many)
        } else {
            many - 1 - self.dice.below(many.min(3000))
        };
        self.bodies[place].0
    }

    fn newcomer(&mut self, born: Date) -> NewPerson {
        let sex = self.dice.pick(&[Sex::Female, Sex::Male]);
        let random = u32::try_from(self.dice.roll() >> 32).unwrap();
        let taken = |number: &PersonalNumber| self.memory.records.contains_key(number);
        let number = next_number(&OpaqueSerial, sex, born, random, taken).expect("room");
        NewPerson {
            number,
            names: self.names(),
            sex,
            born_on: born,
            birth_place: "Токмок".into(),
            citizenship: Citizenship::Stateless,
        }
    }

    fn partner(&mut self, person: PersonalNumber) -> PersonalNumber {
        let spouse = self.memory.of(person).spouse();
        spouse.unwrap_or_else(|| self.anybody())
    }

    fn event(&mut self) -> Event {
        let one = self.anybody();
        match self.dice.below(100) {
            0..24 => {
                let child = self.newcomer(self.today);
                let other = self.partner(one);
                let father = (self.dice.below(4) > 0).then_some(other);
                Event::Birth {
                    child,
                    mother: Some(one),
                    father,
                }
            }
            24..28 => {
                let age = i64::try_from(self.dice.below(50 * 365)).unwrap();
                Event::Enrolment {
                    person: self.newcomer(self.today - Duration::days(age)),
                }
            }
            28..48 => {
                let other = self.anybody();
                let new = self.names();
                Event::Marriage {
                    spouses: [one, other],
                    names: [None, (self.dice.below(2) == 0).then_some(new)],
                }
            }
            48..56 => Event::Divorce {
                spouses: [one, self.partner(one)],
                names: [None, None],
            },
            56..61 => Event::Death {
                person: one,
                widowed: None,
            },
            61..69 => Event::NameChange {
                person: one,
                names: self.names(),
            },
            69..79 => Event::Moved {
                person: one,
                residence: Residence::Registered,
                address: (self.dice.below(10) > 0).then(|| {
                    let house = self.dice.below(90) + 1;
                    common::address("KG-GB-01-01", &house.to_string())
                }),
            },
            79..83 => {
                let before = self.memory.of(one).parent(Parent::Father);
                let father = Some(self.anybody());
                Event::Paternity {
                    child: one,
                    father,
                    instead_of: before,
                }
            }
            83..86 => {
                let mother = self.anybody();
                let names = Some(self.names());
                Event::Adoption {
                    child: one,
                    mother: Some(mother),
                    father: Some(self.partner(mother)),
                    instead_of: [None, None],
                    names,
                    birth_place: None,
                    secret: self.dice.below(2) == 0,
                }
            }
            86..89 => {
                let record = self.memory.of(one);
                let known = record.now(Field::Names).map(|known| known.act);
                Event::Correction {
                    person: one,
                    corrects: known.unwrap_or_default(),
                    facts: vec![Corrected {
                        fact: Fact::Names(self.names()),
                        valid_from: self.today,
                    }],
                }
            }
            89..93 => {
                let (given_up, body) = self.bodies[self.dice.below(self.bodies.len())];
                let kept = self
                    .bodies
                    .iter()
                    .rev()
                    .take(5000)
                    .find(|(number, other)| *other == body && *number != given_up);
                let kept = kept.map_or(given_up, |(number, _)| *number);
                Event::Merge {
                    kept,
                    given_up,
                    carried: vec![],
                }
            }
            _ => {
                let many = self.memory.acts.len();
                let back = self.dice.below(many.min(400));
                Event::Reversal {
                    act: ActId((many - back) as u64),
                    people: BTreeSet::new(),
                }
            }
        }
    }

    /// The body of a newcomer: now and then one that has a number.
    fn body(&mut self, event: &Event) {
        let new: Vec<PersonalNumber> = event.newcomers().map(|new| new.number).collect();
        for number in new {
            let enrolled = matches!(event, Event::Enrolment { .. });
            let body = if enrolled && self.dice.below(2) == 0 && !self.bodies.is_empty() {
                let place = self.bodies.len() - 1 - self.dice.below(self.bodies.len().min(2000));
                self.bodies[place].1
            } else {
                self.count += 1;
                self.count
            };
            self.bodies.push((number, body));
        }
    }
}

#[test]
fn random_civil_events_keep_the_register_whole() {
    let events = std::env::var(VARIABLE).map_or(FEW, |text| text.parse().expect("a number"));
    let today = time::macros::date!(1950 - 01 - 01);
    let mut town = Town {
        dice: Dice(2026),
        memory: Memory::new(),
        today,
        now: common::noon(today),
        bodies: Vec::new(),
        count: 0,
    };
    for _ in 0..300 {
        let age = i64::try_from(town.dice.below(40 * 365)).unwrap();
        let person = town.newcomer(today - Duration::days(age));
        let event = Event::Enrolment { person };
        town.body(&event);
        town.memory.must(event, today);
    }
    let (mut tried, mut kinds) = (0, BTreeMap::<&str, usize>::new());
    let mut mementos: Vec<Memento> = Vec::new();
    while town.memory.acts.len() < events {
        tried += 1;
        assert!(tried < events * 20, "hardly anything is entered: {kinds:?}");
        if town.dice.below(12) == 0 {
            town.today += Duration::DAY;
            town.now = common::noon(town.today);
        }
        town.now += Duration::SECOND;
        let event = town.event();
        let back = match event {
            // Told late, without touching what rests on order.
            Event::NameChange { .. } | Event::Moved { .. } if town.dice.below(5) == 0 => 400,
            _ => 0,
        };
        let entered = entry(event.clone(), town.today - Duration::days(back));
        let Ok(decided) = town.memory.decide(entered.clone(), town.now) else {
            continue;
        };
        let before = decided
            .entry()
            .people()
            .into_iter()
            .filter_map(|number| Some((number, town.memory.records.get(&number)?)))
            .map(|(number, record)| (number, (record.acts().len(), record.facts().len())))
            .collect();
        if town.dice.below(50) == 0
            && let Some(number) = decided.entry().people().first()
            && town.memory.records.contains_key(number)
        {
            let days = i64::try_from(town.dice.below(3000)).unwrap();
            let as_of = AsOf {
                valid_on: town.today - Duration::days(days),
                known_at: town.now - Duration::SECOND,
            };
            mementos.push(Memento::take(&town.memory, *number, as_of));
        }
        let _ = town
            .memory
            .enter(entered, town.now)
            .expect("decided a moment ago");
        town.body(&event);
        let act = town.memory.acts.last().unwrap();
        *kinds.entry(act.entry.event.kind()).or_default() += 1;
        invariants(&town.memory, act, &before);
        if town
            .memory
            .acts
            .len()
            .is_multiple_of(events.div_ceil(COMPARISONS))
        {
            compare(&town.memory);
        }
    }
    compare(&town.memory);
    for memento in &mementos {
        let again = Memento::take(&town.memory, memento.number, memento.as_of);
        assert_eq!(
            (&again.names, &again.status),
            (&memento.names, &memento.status)
        );
    }
    for kind in [
        "birth",
        "enrolment",
        "marriage",
        "divorce",
        "death",
        "nameChange",
        "moved",
        "paternity",
        "adoption",
        "correction",
        "merge",
        "reversal",
    ] {
        assert!(
            kinds.get(kind).is_some_and(|count| *count > events / 1000),
            "too few: {kinds:?}"
        );
    }
    one_number_each(&mut town);
    println!(
        "prove: civil events: {} entered of {tried} tried, {} numbers, {} looked up as of the past: {kinds:?}",
        town.memory.acts.len(),
        town.bodies.len(),
        mementos.len()
    );
}

fn compare(memory: &Memory) {
    let world = replay(&memory.acts);
    for (number, record) in &memory.records {
        match world.get(number) {
            Some(plain) => same(record, plain),
            // Its birth or enrolment was taken back: nobody holds the number, and it is not issued again.
            None => assert!(!record.is_held() && record.names().is_none()),
        }
    }
    assert!(
        world
            .keys()
            .all(|number| memory.records.contains_key(number))
    );
}

/// After every double number has come before a person who decides, each body has one number that answers, unless two
/// records contradict each other.
fn one_number_each(town: &mut Town) {
    let mut of_body: BTreeMap<usize, Vec<PersonalNumber>> = BTreeMap::new();
    for (number, body) in &town.bodies {
        if town.memory.of(*number).is_held() {
            of_body.entry(*body).or_default().push(*number);
        }
    }
    let mut doubles = 0;
    for numbers in of_body.values() {
        let mut answers: Vec<PersonalNumber> = numbers
            .iter()
            .map(|number| answering(&town.memory, *number))
            .collect();
        answers.sort();
        answers.dedup();
        while let [kept, given_up, ..] = answers[..] {
            doubles += 1;
            let event = Event::Merge {
                kept,
                given_up,
                carried: vec![],
            };
            match town.memory.enter(entry(event, town.today), town.now) {
                Ok(_) => assert_eq!(answering(&town.memory, given_up), kept),
                Err(
                    Refusal::Contradiction(..) | Refusal::StatusIsLater(..) | Refusal::Same(..),
                ) => {}
                Err(other) => panic!("{kept} and {given_up}: {other}"),
            }
            answers.remove(1);
        }
    }
    assert!(doubles > 0);
    compare(&town.memory);
}
