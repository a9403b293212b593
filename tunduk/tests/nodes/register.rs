//! Clients of the exchange that look people up: who looked is on record before anybody gets an answer, and once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use id_registry::demonstration::territory;
use id_registry::{Nobody, OpaqueSerial, PersonalNumber, Population, Register as _, Rules, decide};
use store_postgres::PostgresRegister;
use time::OffsetDateTime;

use crate::cluster::{Again, Ground, Service, unique};

const CLIENT: &str = "KG/COM/80000001/bank";
const HOUSEHOLDS: u32 = 100;
/// People who are looked up.
const LOOKED_UP: u32 = 20;

pub fn start(ground: &Ground) -> Service {
    fill(ground);
    let access = ground.path("access.toml");
    let text = format!("[[client]]\nid = \"{CLIENT}\"\ndetails = [\"names\"]\n");
    std::fs::write(&access, text).unwrap();
    let configure = |node: usize, listen: &str, _: &str| {
        let state = ground.path(&format!("register-{node}"));
        let paths = [&state, &ground.path("db.conn"), &access];
        let [state, postgres, access] = paths.map(|path| path.to_str().unwrap().to_owned());
        let mut words = ["registry-server", "run", "--listen", listen]
            .map(str::to_owned)
            .to_vec();
        for (name, value) in [
            ("--state", state),
            ("--postgres", postgres),
            ("--access", access),
        ] {
            words.extend([name.to_owned(), value]);
        }
        words
    };
    Service::start(ground, "register", 21, "http", 8445, configure)
}

/// The first residents, entered by a command beside the servers.
fn fill(ground: &Ground) {
    let register = PostgresRegister::open(&ground.parameters).unwrap();
    let territory = territory();
    let rules = Rules {
        numbers: &OpaqueSerial,
        territory: &territory,
        cooling_off: time::Duration::DAY,
    };
    let population = Population::demonstration();
    let now = OffsetDateTime::now_utc();
    let mut decided = (0..HOUSEHOLDS).map(|place| {
        let entry = population.household_entry(place).unwrap();
        decide(entry, now, rules, &Nobody).unwrap()
    });
    register.load(&mut decided, &mut |_| {}).unwrap();
}

/// Look-ups by their identifiers, with whether they were answered.
#[derive(Debug, Default)]
pub struct Ledger {
    looks: Vec<(PersonalNumber, String, bool)>,
}

impl Ledger {
    pub fn unknown(&self) -> usize {
        self.looks.len() - self.answered()
    }

    pub fn answered(&self) -> usize {
        self.looks
            .iter()
            .filter(|(_, _, answered)| *answered)
            .count()
    }
}

pub fn load(service: &Service, stop: &AtomicBool) -> Ledger {
    let mut ledger = Ledger::default();
    let mut client = service.client();
    let population = Population::demonstration();
    for place in (0..LOOKED_UP).cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let number = population.person(place).unwrap().number;
        let id = unique("look");
        let headers = [
            ("x-road-client", CLIENT),
            ("x-road-id", id.as_str()),
            ("x-road-userid", "officer 7"),
        ];
        let target = format!("/population/persons/{number}");
        let answer = client.send(Again::No, &Method::GET, &target, &headers, "");
        if let Some(answer) = &answer {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.body.contains(number.as_str()), "{answer:?}");
        }
        ledger.looks.push((number, id, answer.is_some()));
    }
    ledger
}

/// Each answered look-up is on record once; of the others, some.
pub fn check(ground: &Ground, ledger: &Ledger) {
    let register = PostgresRegister::open(&ground.parameters).unwrap();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for place in 0..LOOKED_UP {
        let number = Population::demonstration().person(place).unwrap().number;
        for look in register.look_ups(number, 1_000_000).unwrap() {
            assert_eq!(
                (look.client.as_str(), look.user.as_str()),
                (CLIENT, "officer 7")
            );
            *found.entry(look.query_id).or_default() += 1;
        }
    }
    for (number, id, answered) in &ledger.looks {
        match found.remove(id) {
            Some(1) => {}
            None if !answered => {}
            other => panic!("the look-up {id} of {number}: answered {answered}, kept {other:?}"),
        }
    }
    assert_eq!(found.len(), 0, "look-ups that nobody made");
}
