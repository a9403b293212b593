//! Clients of the exchange: one looks people up, and who looked is on record before anybody gets an answer, and once. An
//! office enters civil acts: each once, however often it is sent, and no number is issued twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use id_registry::demonstration::territory;
use id_registry::{
    ActId, Nobody, OpaqueSerial, PersonalNumber, Population, Records as _, Register as _, Rules,
    decide,
};
use serde_json::json;
use store_postgres::PostgresRegister;
use time::OffsetDateTime;

use crate::cluster::{Again, Ground, Service, unique};

const CLIENT: &str = "KG/COM/80000001/bank";
const OFFICE: &str = "KG/GOV/70000001/zags";
const HOUSEHOLDS: u32 = 100;
/// People who are looked up.
const LOOKED_UP: u32 = 20;

pub fn start(ground: &Ground) -> Service {
    let access = ground.path("access.toml");
    let text = format!(
        "[[client]]\nid = \"{CLIENT}\"\ndetails = [\"names\"]\n\n\
         [[client]]\nid = \"{OFFICE}\"\nacts = [\"enrolment\", \"documentIssued\"]\n"
    );
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
    let service = Service::start(ground, "register", 21, "http", 8445, configure);
    fill(ground);
    service
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
        let (target, question) = ("/population/persons", json!({ "number": number }));
        let question = question.to_string();
        let answer = client.send(Again::No, &Method::POST, target, &headers, &question);
        if let Some(answer) = &answer {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.body.contains(number.as_str()), "{answer:?}");
        }
        ledger.looks.push((number, id, answer.is_some()));
    }
    ledger
}

/// An act that the register answered for.
#[derive(Debug, PartialEq, Eq)]
struct Act {
    reference: String,
    id: u64,
    number: Option<String>,
}

/// Acts that an office entered.
#[derive(Debug, Default)]
pub struct Acts(Vec<Act>);

impl Acts {
    pub fn entered(&self) -> usize {
        self.0.len()
    }
}

/// Enters people and issues documents to them. An act whose answer was lost is sent again.
pub fn enter(service: &Service, stop: &AtomicBool) -> Acts {
    let mut acts = Acts::default();
    let mut client = service.client();
    let today = id_registry::day_of(OffsetDateTime::now_utc()).to_string();
    let mut send = |event: serde_json::Value| {
        let reference = unique("act");
        let body = json!({ "effective": today, "reference": reference, "event": event });
        let id = unique("enter");
        let headers = [
            ("x-road-client", OFFICE),
            ("x-road-id", id.as_str()),
            ("x-road-userid", "officer 8"),
            ("content-type", "application/json"),
        ];
        let target = "/population/acts";
        let answer = client
            .send(
                Again::Yes,
                &Method::POST,
                target,
                &headers,
                &body.to_string(),
            )
            .unwrap();
        assert_eq!(answer.status, 200, "an act was refused: {answer:?}");
        let told = answer.json();
        acts.0.push(Act {
            reference,
            id: told["act"]
                .as_u64()
                .or_else(|| told["act"].as_str()?.parse().ok())
                .unwrap_or_else(|| panic!("{told}")),
            number: told["number"].as_str().map(str::to_owned),
        });
        told["number"].as_str().map(str::to_owned)
    };
    while !stop.load(Ordering::Relaxed) {
        // All of one birthday and sex, so that their numbers are drawn from one lot.
        let person = json!({
            "names": {
                "familyName": { "cyrillic": "Асанов", "latin": "Asanov" },
                "givenName": { "cyrillic": "Үсөн", "latin": "Usen" },
            },
            "sex": "M", "bornOn": "1990-05-17", "birthPlace": "Ош", "citizenship": "KGZ",
        });
        let number = send(json!({ "kind": "enrolment", "person": person })).unwrap();
        send(json!({
            "kind": "documentIssued", "person": number,
            "document": {
                "kind": "passport", "number": unique("AC")[..12].to_uppercase(),
                "issuedOn": today, "authority": "MKK 1",
            },
        }));
    }
    acts
}

/// Every act is there once, in an order without gaps, and no two people have one number.
pub fn check_acts(ground: &Ground, entered: &Acts) {
    let register = PostgresRegister::open(&ground.parameters).unwrap();
    let mut all = Vec::new();
    loop {
        let page = register.acts_after(ActId(all.len() as u64), 1000).unwrap();
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    for (place, act) in all.iter().enumerate() {
        assert_eq!(act.id, ActId(place as u64 + 1), "no gaps");
    }
    let of_office = all.iter().filter(|act| act.entry.officer.office == OFFICE);
    assert_eq!(
        of_office.count(),
        entered.0.len(),
        "acts that nobody entered, or entered twice"
    );
    let mut numbers = BTreeMap::new();
    for act in &entered.0 {
        let kept = &all[usize::try_from(act.id).unwrap() - 1];
        assert_eq!(kept.entry.reference, act.reference);
        if let Some(number) = &act.number {
            assert_eq!(
                numbers.insert(number, act),
                None,
                "a number was issued twice"
            );
            let number = number.parse().unwrap();
            let record = register.record(number).unwrap().unwrap();
            assert!(record.is_alive());
        }
    }
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
