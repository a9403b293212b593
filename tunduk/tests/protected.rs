//! The identity provider over a real population register: what it tells of people who are protected, who acts for whom,
//! and people with two numbers. Between the two stands a plain relay in the place of the exchange.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

#[path = "../../services/registry-server/tests/common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use common::country::{Country, READER, country, resident};
use id_registry::{
    Address, Event, Names, NewPerson, ParentalRights, PersonalNumber, ProtectionKind, Records,
    Residence, Theme,
};
use idp_server::oauth::PersonClaims as _;
use idp_server::pages::Register as _;
use idp_server::register::ExchangeRegister;
use oidc_provider::{MemoryStore, Provider, Relations, Tenant};
use time::OffsetDateTime;
use transport::{HttpClient, PoolLimits, RequestOptions};
use xroad_id::{ClientId, ServiceId};

const SERVICE: &str = "KG/GOV/70000001/population/register";

/// Hands requests on as a Security Server does: under the path of the service, with a number, one a connection.
fn relay(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read(&mut byte).unwrap() == 0 {
                        return;
                    }
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                let head = head
                    .replacen(&format!("/r1/{SERVICE}"), "/population", 1)
                    .replacen("\r\n", "\r\nX-Road-Id: relayed\r\nConnection: close\r\n", 1);
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    let is_length = name.eq_ignore_ascii_case("content-length");
                    is_length.then(|| value.parse::<usize>().unwrap())
                });
                let mut body = vec![0; length.unwrap_or_default()];
                stream.read_exact(&mut body).unwrap();
                let line = head.lines().next().unwrap();
                let digits = line.split(|c: char| !c.is_ascii_digit());
                for number in digits {
                    assert!(number.len() < 14, "a number in {line}");
                }
                let mut server = TcpStream::connect(to).unwrap();
                server.write_all(head.as_bytes()).unwrap();
                server.write_all(&body).unwrap();
                let _ = std::io::copy(&mut server, &mut stream);
                let _ = stream.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

/// A family, the register's own view of it, and the register as the identity provider asks it.
struct World {
    country: Country,
    register: Arc<ExchangeRegister>,
    father: PersonalNumber,
    mother: PersonalNumber,
    child: PersonalNumber,
    _runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        let country = country();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let entered = runtime.enter();
        let register = ExchangeRegister::new(
            HttpClient::new(PoolLimits::default()).unwrap(),
            RequestOptions::default(),
            &format!("http://{}", relay(country.running.address)),
            &ClientId::from_path(READER).unwrap(),
            &ServiceId::from_path(SERVICE).unwrap(),
        );
        drop(entered);
        let place = (0..400)
            .filter(|place| place % 4 > 1)
            .find(|place| resident(*place).born_on.year() >= 2014)
            .unwrap();
        let first = place - place % 4;
        let world = Self {
            country,
            register: Arc::new(register),
            father: resident(first).number,
            mother: resident(first + 1).number,
            child: resident(place).number,
            _runtime: runtime,
        };
        for person in [world.father, world.mother, world.child] {
            world.country.running.enter(Event::Moved {
                person,
                residence: Residence::Registered,
                address: Some(Address {
                    unit: "KG-GB-01-01".parse().unwrap(),
                    street: "Көмүскө".into(),
                    house: "77".into(),
                    flat: None,
                }),
            });
        }
        world
    }

    /// Everything that a relying party can be told of somebody at userinfo, whatever was asked for.
    fn claims(&self, person: PersonalNumber) -> String {
        let scopes = ["profile", "number", "address", "phone", "email"];
        let scopes: BTreeSet<String> = scopes.map(str::to_owned).into();
        let claims = self.register.claims(&person, &scopes).unwrap();
        serde_json::Value::from(claims).to_string()
    }

    /// What an officer at the desk sees of somebody, and the consent page of somebody who is acted for.
    fn seen(&self, person: PersonalNumber) -> (Option<String>, Option<Vec<u8>>) {
        let name = self.register.name(&person, &self.father).unwrap();
        (
            name,
            self.register
                .portrait(&person, self.father.as_str())
                .unwrap(),
        )
    }

    fn acts(&self, actor: PersonalNumber, subject: PersonalNumber, theme: Theme) -> bool {
        let today = id_registry::day_of(OffsetDateTime::now_utc());
        self.register.may_act(actor, subject, theme, today).unwrap()
    }

    fn mandate(&self, holder: PersonalNumber, giver: PersonalNumber) -> bool {
        self.register.may_hold_mandate(holder, giver).unwrap()
    }
}

fn nobody(like: PersonalNumber) -> PersonalNumber {
    let born = like.birth_date().unwrap();
    PersonalNumber::compose(like.sex(), born, (like.serial() + 1) % 100_000)
}

#[test]
fn of_a_protected_witness_the_identity_provider_knows_as_much_as_of_nobody() {
    let world = World::new();
    let (father, mother, child) = (world.father, world.mother, world.child);
    assert!(world.claims(mother).contains("Көмүскө"));
    assert!(world.seen(mother).0.is_some() && world.seen(mother).1.is_some());
    assert!(world.acts(mother, child, Theme::Health) && world.mandate(father, mother));
    world.country.protect(mother, ProtectionKind::Witness, None);
    let nobody = nobody(mother);
    assert_eq!(world.claims(mother), world.claims(nobody));
    assert_eq!(world.claims(mother), "{}");
    assert_eq!(world.seen(mother), world.seen(nobody));
    assert_eq!(world.seen(mother), (None, None));
    for (actor, subject) in [(mother, child), (father, mother), (mother, father)] {
        assert!(!world.acts(actor, subject, Theme::Identity));
        assert!(!world.mandate(actor, subject));
    }
    // Where her child is, she is.
    let claims = world.claims(child);
    assert!(claims.contains("family_name") && !claims.contains("Көмүскө"));
}

#[test]
fn to_the_one_whom_a_court_names_the_victim_is_nobody_and_nobody_gets_the_address() {
    let world = World::new();
    let (father, mother, child) = (world.father, world.mother, world.child);
    let kind = ProtectionKind::Violence;
    world.country.protect(mother, kind, Some(father));
    assert!(!world.mandate(father, mother) && world.mandate(mother, father));
    for hidden in [mother, child] {
        let claims = world.claims(hidden);
        assert!(claims.contains("family_name"), "{claims}");
        assert!(!claims.contains("Көмүскө") && !claims.contains("\"address\""));
    }
    assert!(world.claims(father).contains("Көмүскө"));
    // He is the child's father until a court says otherwise; for the child it does.
    assert!(world.acts(father, child, Theme::Education));
    world.country.protect(child, kind, Some(father));
    for theme in [Theme::Education, Theme::Identity, Theme::Confidential] {
        assert!(!world.acts(father, child, theme));
        assert!(world.acts(mother, child, theme));
    }
}

/// The identity provider asks at each decision and each use of a token: so a right is gone with the act that takes it.
#[test]
fn who_lost_the_rights_acts_no_longer_at_once_and_secrets_are_the_childs_own_from_fourteen() {
    let world = World::new();
    let (father, child) = (world.father, world.child);
    assert!(world.acts(father, child, Theme::Benefits));
    for rights in [ParentalRights::Limited, ParentalRights::Lost] {
        world.country.running.enter(Event::ParentalRights {
            child,
            parent: father,
            rights,
        });
        assert!(!world.acts(father, child, Theme::Benefits), "{rights:?}");
    }
    assert!(world.acts(world.mother, child, Theme::Confidential));
    let older = (0..400)
        .filter(|place| place % 4 > 1)
        .find(|place| (2009..2012).contains(&resident(*place).born_on.year()))
        .unwrap();
    let (teen, parent) = (resident(older).number, resident(older - older % 4).number);
    assert!(world.acts(parent, teen, Theme::Health));
    assert!(!world.acts(parent, teen, Theme::Confidential));
}

/// After a secret adoption the claims are those of after, and those who were the parents are strangers.
#[test]
fn a_secret_adoption_is_in_no_claim() {
    let world = World::new();
    let (father, mother, child) = (world.father, world.mother, world.child);
    let before = world.claims(child);
    let adopters = (0..400)
        .step_by(4)
        .find(|place| {
            let old = |place| (1960..1990).contains(&resident(place).born_on.year());
            resident(*place).number != father && old(*place) && old(place + 1)
        })
        .unwrap();
    let (second_father, second_mother) = (resident(adopters).number, resident(adopters + 1).number);
    let name = |cyrillic: &str, latin: &str| id_registry::Name {
        cyrillic: cyrillic.into(),
        russian: None,
        latin: latin.into(),
    };
    world.country.running.enter(Event::Adoption {
        child,
        mother: Some(second_mother),
        father: Some(second_father),
        instead_of: [None, None],
        names: Some(Names {
            family: name("Жаңыбаев", "Zhanybaev"),
            given: name("Жаңы", "Zhany"),
            patronymic: None,
        }),
        birth_place: None,
        secret: true,
    });
    let after = world.claims(child);
    assert!(after.contains("Жаңыбаев") && before != after);
    let old = resident_names(&world, father);
    assert!(before.contains(&old) && !after.contains(&old));
    for stranger in [father, mother] {
        assert!(!world.acts(stranger, child, Theme::Education));
    }
    assert!(world.acts(second_mother, child, Theme::Education));
}

fn resident_names(world: &World, number: PersonalNumber) -> String {
    let record = world.country.running.register().record(number).unwrap();
    record.unwrap().names().unwrap().family.cyrillic.clone()
}

/// Somebody who signs in under a number that was given up is the same person: names, portrait, children and mandates.
#[test]
fn an_account_of_a_number_that_was_given_up_is_still_the_persons() {
    let world = World::new();
    let (old, child) = (world.father, world.child);
    let record = world
        .country
        .running
        .register()
        .record(old)
        .unwrap()
        .unwrap();
    let kept = PersonalNumber::compose(old.sex(), old.birth_date().unwrap(), 7);
    world.country.running.enter(Event::Enrolment {
        person: NewPerson {
            number: kept,
            names: record.names().unwrap().clone(),
            sex: kept.sex(),
            born_on: kept.birth_date().unwrap(),
            birth_place: "Ош".into(),
            citizenship: id_registry::Citizenship::Of("KGZ".into()),
        },
    });
    let provider = Provider::new(
        Arc::new(MemoryStore::default()),
        world.register.clone(),
        &[3; 32],
    );
    let now = OffsetDateTime::now_utc();
    let sign_in = |seed: u8, number: PersonalNumber| {
        let holder = oidc_provider::CardHolder {
            number,
            tenant: Tenant::People,
        };
        let origin = oidc_provider::Origin {
            network: "192.0.2.0/24".to_owned(),
            device: None,
            label: "Firefox".to_owned(),
        };
        let seed = oidc_provider::Seed::new([seed; 32]);
        provider
            .sign_in_with_card(holder, &origin, None, now, &seed)
            .map(|signed_in| signed_in.account)
    };
    let follow = || while world.register.follow(&provider).unwrap() {};
    let account = sign_in(1, old).unwrap();
    follow();
    let (claims, seen) = (world.claims(old), world.seen(old));
    world.country.running.enter(Event::Merge {
        kept,
        given_up: old,
        carried: Vec::new(),
    });
    follow();
    for (seed, number) in [(2, old), (3, kept)] {
        let signed_in = sign_in(seed, number).unwrap();
        assert_eq!(signed_in, account, "it is the same account");
    }
    assert_eq!(world.claims(old), claims);
    assert_eq!(world.claims(kept), claims);
    assert_eq!(world.seen(old), seen);
    for number in [old, kept] {
        assert!(world.acts(number, child, Theme::Education), "{number}");
        assert!(world.mandate(number, world.mother));
        assert!(world.mandate(world.mother, number));
    }
    // What is entered about the one number holds for both.
    world.country.running.enter(Event::ParentalRights {
        child,
        parent: kept,
        rights: ParentalRights::Lost,
    });
    assert!(!world.acts(old, child, Theme::Education));
    // And who died is in front of nobody.
    world.country.running.enter(Event::Death {
        person: kept,
        widowed: None,
    });
    follow();
    assert_eq!(world.claims(kept), "{}");
    for (seed, number) in [(4, old), (5, kept)] {
        assert!(sign_in(seed, number).is_err());
    }
}
