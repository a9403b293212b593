//! What offices, portals and subscribers do with the register, over its real port.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::country::{
    AUDIENCE, ISSUER, POLICE, PORTAL, READER, ZAGS, country, country_with, error, names, newcomer,
    resident,
};
use common::{ask, headers};
use config::PushSettings;
use id_registry::{Event, ImageKind, PersonalNumber, ProtectionKind, Records, Register};
use serde_json::{Value, json};
use time::OffsetDateTime;
use xroad_id::{ClientId, ServiceId};

#[test]
fn an_office_registers_a_birth_and_the_register_issues_the_number_once() {
    let country = country();
    let (father, mother) = (resident(4).number, resident(5).number);
    let today = id_registry::day_of(OffsetDateTime::now_utc()).to_string();
    let birth = json!({
        "kind": "birth",
        "child": {
            "names": names("Асанова", "Бермет"),
            "sex": "F",
            "bornOn": today,
            "birthPlace": "Бишкек",
            "citizenship": "KGZ",
        },
        "mother": mother,
        "father": father,
    });
    let first = country.act(ZAGS, "ЗАГС-1/26", birth.clone());
    assert_eq!(first.status, 200, "{}", first.text());
    let child: PersonalNumber = first.json()["number"]
        .as_str()
        .expect("a number")
        .parse()
        .expect("a number");
    // The same message again is the same act; the same reference for something else is refused.
    let again = country.act(ZAGS, "ЗАГС-1/26", birth.clone());
    assert_eq!(again.json(), first.json());
    let mut other = birth.clone();
    other["child"]["names"] = names("Асанова", "Айзада");
    let refused = country.act(ZAGS, "ЗАГС-1/26", other);
    assert_eq!(error(&refused), (409, "ReferenceUsed".into()));
    let record = country.running.register().record(child);
    let record = record.expect("read").expect("there");
    let act = &record.acts()[0];
    assert_eq!(
        (act.officer.office.as_str(), act.officer.name.as_str()),
        (ZAGS, "officer 1")
    );
    assert_eq!(record.parent(id_registry::Parent::Mother), Some(mother));
    // Another office has references of its own.
    let other = country.act(POLICE, "ЗАГС-1/26", birth);
    assert_eq!(other.status, 200);
    assert_ne!(other.json()["number"], child.as_str());
}

#[test]
fn only_listed_acts_by_a_named_officer_and_what_the_law_allows() {
    let country = country();
    let person = resident(4).number;
    let guardianship = json!({
        "kind": "guardianship", "ward": resident(6).number, "guardian": person, "appointed": true,
    });
    let refused = country.act(ZAGS, "1", guardianship.clone());
    assert_eq!(error(&refused), (403, "NotAllowed".into()));
    let refused = country.act(READER, "1", json!({ "kind": "death", "person": person }));
    assert_eq!(error(&refused), (403, "NotAllowed".into()));
    // Nor does an office take back what it may not enter.
    let done = country.act(
        POLICE,
        "2",
        json!({ "kind": "citizenshipChange", "person": person, "citizenship": "KAZ" }),
    );
    assert_eq!(done.status, 200, "{}", done.text());
    let taken_back = json!({ "kind": "reversal", "act": done.json()["act"] });
    let refused = country.act(ZAGS, "3", taken_back.clone());
    assert_eq!(error(&refused), (403, "NotAllowed".into()));
    assert_eq!(country.act(POLICE, "3", taken_back).status, 200);

    let nameless = ask(
        country.running.address,
        "POST /population/acts",
        &format!("X-Road-Client: {ZAGS}\r\nX-Road-Id: 1\r\n"),
        json!({
            "effective": "2026-01-01", "reference": "4",
            "event": { "kind": "death", "person": person },
        })
        .to_string()
        .as_bytes(),
    );
    assert_eq!(error(&nameless), (400, "MissingValue".into()));
    // Refused by the register's rules, in words.
    let refused = country.act(
        ZAGS,
        "5",
        json!({ "kind": "marriage", "spouses": [person, resident(8).number] }),
    );
    assert_eq!(error(&refused), (422, "ActRefused".into()));
    // What no description lists is refused, whatever else is right.
    for body in [
        "",
        "{}",
        "[]",
        "{\"effective\":\"2026-01-01\",\"reference\":\"6\",\"event\":{\"kind\":\"takenOver\",\"people\":[]}}",
        &format!(
            "{{\"effective\":\"2026-01-01\",\"reference\":\"6\",\"event\":{{\"kind\":\"death\",\"person\":\"{person}\",\"more\":1}}}}"
        ),
        &format!(
            "{{\"effective\":\"yesterday\",\"reference\":\"6\",\"event\":{{\"kind\":\"death\",\"person\":\"{person}\"}}}}"
        ),
    ] {
        let refused = country.send(ZAGS, body);
        assert_eq!(error(&refused), (400, "UnreadableRequest".into()), "{body}");
    }
    let picture = json!({
        "kind": "imageTaken", "person": person, "shows": "portrait", "image": "R0lGODlhAQABAAAAACw=",
    });
    let refused = country.act(ZAGS, "7", picture);
    assert_eq!(error(&refused), (400, "ImageRefused".into()));
}

/// A double number is found when it comes in, listed for the officer, merged, and the merge taken back.
#[test]
fn double_numbers_are_found_merged_and_parted_again() {
    let country = country();
    let enrol = |reference: &str, given: &str| {
        let person = newcomer("Жээнбекова", given);
        let event = json!({ "kind": "enrolment", "person": person });
        let answer = country.act(ZAGS, reference, event);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let before = country.get(READER, "changes?after=0").json()["last"]
        .as_u64()
        .expect("an act");
    let first = enrol("1", "Чынара");
    assert_eq!(first["candidates"], json!([]));
    let second = enrol("2", "Чинара");
    let candidate = &second["candidates"][0];
    assert_eq!(candidate["number"], first["number"]);
    assert_eq!(candidate["grounds"], json!(["alikeName", "sameBirthday"]));
    let (kept, given_up) = (&first["number"], &second["number"]);
    let list = country.get(ZAGS, &format!("doubles?after={before}")).json();
    let pairs = list["pairs"].as_array().expect("pairs");
    assert_eq!((pairs.len(), list["more"].as_bool()), (1, Some(false)));
    let text = given_up.as_str().expect("a number");
    let of_one = country.about(ZAGS, "/doubles", text).json();
    assert_eq!(&of_one["candidates"][0]["number"], kept);
    assert_eq!(country.about(PORTAL, "/doubles", text).status, 403);

    let merge = json!({ "kind": "merge", "kept": kept, "givenUp": given_up });
    let merged = country.act(ZAGS, "3", merge);
    assert_eq!(merged.status, 200, "{}", merged.text());
    let answer = country.about(ZAGS, "", text).json();
    assert_eq!(&answer["number"], kept);
    let list = country.get(ZAGS, &format!("doubles?after={before}")).json();
    assert_eq!(list["pairs"], json!([]));
    let undo = json!({ "kind": "reversal", "act": merged.json()["act"] });
    assert_eq!(country.act(ZAGS, "4", undo).status, 200);
    let answer = country.about(ZAGS, "", text).json();
    assert_eq!(&answer["number"], given_up);
    let distinct = json!({ "kind": "distinct", "numbers": [kept, given_up] });
    assert_eq!(country.act(ZAGS, "5", distinct).status, 200);
    let list = country.get(ZAGS, &format!("doubles?after={before}")).json();
    assert_eq!(list["pairs"], json!([]));
}

#[test]
fn people_see_their_record_and_who_looked_and_lock_their_number() {
    let country = country();
    let (person, other) = (resident(4).number, resident(8).number);
    let token = country.token(&json!({ "number": person }));
    country.about(READER, "/portrait", person);
    let record = country.own(&token, "", person);
    assert_eq!(record.status, 200, "{}", record.text());
    let record = record.json();
    assert!(record["bornOn"].is_string() && record["address"]["oblast"].is_string());
    assert_eq!(record["acts"][0]["kind"], "takenOver");
    let portrait = country.own(&token, "/portrait", person);
    assert!(portrait.head.contains("image/jpeg") && portrait.body.len() > 1000);
    let looks = country.own(&token, "/look-ups", person).json();
    let look = &looks["lookUps"][0];
    assert_eq!(
        (look["client"].as_str(), look["released"].as_bool()),
        (Some(READER), Some(true))
    );
    assert!(!looks.to_string().contains("officer 1"));

    // Others' records are not there.
    for path in ["", "/look-ups", "/portrait"] {
        let others = country.own(&token, path, other);
        assert_eq!(error(&others), (404, "PersonNotFound".into()), "{path}");
    }
    let foreign = country.own(&token, "/locks/set", other);
    assert_eq!(foreign.status, 404);

    // Whoever locks needs only be identified; whoever opens must be surely the person, and then it takes a day.
    let low = country.token(&json!({ "number": person, "acr": "http://eidas.europa.eu/LoA/low" }));
    assert_eq!(
        error(&country.own(&low, "", person)),
        (403, "LevelTooLow".into())
    );
    assert_eq!(country.own(&low, "/locks/set", person).status, 200);
    assert_eq!(
        country.own(&low, "/locks/set", person).status,
        200,
        "once more changes nothing"
    );
    let locks = country.own(&token, "", person).json()["locks"].clone();
    assert_eq!(locks, json!([{ "purpose": "credit" }]));
    assert_eq!(
        error(&country.own(&low, "/locks/lift", person)),
        (403, "LevelTooLow".into())
    );
    let substantial = country
        .token(&json!({ "number": person, "acr": "http://eidas.europa.eu/LoA/substantial" }));
    assert_eq!(country.own(&substantial, "/locks/lift", person).status, 403);
    let opening = country.own(&token, "/locks/lift", person);
    assert_eq!(opening.status, 200, "{}", opening.text());
    assert!(opening.json()["locks"][0]["opensAt"].is_string());
    let for_credit = format!("{}X-Road-Issue: credit\r\n", headers(READER, "1"));
    let asked = ask(
        country.running.address,
        "POST /population/persons",
        &for_credit,
        json!({ "number": person }).to_string().as_bytes(),
    );
    assert_eq!(error(&asked), (409, "NumberLocked".into()));
}

#[test]
fn a_sign_in_that_is_not_the_persons_own_opens_nothing() {
    let country = country();
    let person = resident(4).number;
    let good = country.token(&json!({ "number": person }));
    assert_eq!(country.own(&good, "", person).status, 200);
    let now = OffsetDateTime::now_utc().unix_timestamp();
    for claims in [
        json!({}),
        json!({ "number": "1" }),
        json!({ "number": person, "iss": "https://elsewhere.localhost" }),
        json!({ "number": person, "aud": "bank" }),
        json!({ "number": person, "aud": ["portal", "bank"] }),
        json!({ "number": person, "exp": now - 120 }),
        json!({ "number": person, "exp": now + 100_000 }),
        json!({ "number": person, "iat": now + 1000 }),
        json!({ "number": person, "acr": "urn:high" }),
        json!({ "number": person, "act": { "sub": "somebody" } }),
    ] {
        let refused = country.own(&country.token(&claims), "", person);
        assert_eq!(
            error(&refused),
            (401, "SignInNotAccepted".into()),
            "{claims}"
        );
    }
    // An ID token, were a number in it, is no answer about the person.
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let id_token = json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 300, "number": person,
        "acr": "http://eidas.europa.eu/LoA/high",
    });
    let id_token = country.key.sign("JWT", &id_token).expect("signed");
    assert_eq!(country.own(&id_token, "", person).status, 401);
    let (head, signature) = good.rsplit_once('.').expect("a token");
    let none = format!(
        "eyJhbGciOiJub25lIn0.{}.",
        head.split('.').nth(1).expect("claims")
    );
    let changed = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for token in ["", "x", &none, &changed, &good[..good.len() - 1]] {
        assert_eq!(country.own(token, "", person).status, 401);
    }
    // Another client of the exchange cannot use it, and keys that were taken back count no longer.
    let more = format!("{}Authorization: Bearer {good}\r\n", headers(READER, "1"));
    let line = "POST /population/own";
    let body = json!({ "number": person }).to_string();
    let foreign = ask(country.running.address, line, &more, body.as_bytes());
    assert_eq!(foreign.status, 403);
    std::fs::write(country.keys.path().join("keys.json"), "{\"keys\":[]}").expect("written");
    let refused = country.own(&good, "", person);
    assert!(matches!(refused.status, 401 | 503), "{}", refused.text());
}

/// A subscriber that answers as it is told to; it keeps what it took.
fn subscriber(refuse: usize) -> (u16, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&taken);
    std::thread::spawn(move || {
        for (turn, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            let body = loop {
                let count = stream.read(&mut buffer).expect("read");
                bytes.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let head = head.to_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |length| length.parse::<usize>().expect("a length"));
                if body.len() >= length {
                    assert!(
                        head.starts_with("post /r1/kg/gov/70000023/reader/news/changes http/1.1")
                    );
                    assert!(head.contains("x-road-client: kg/gov/70000001/population"));
                    break body.to_owned();
                }
            };
            let status = if turn < refuse { "503 Later" } else { "200 OK" };
            if turn >= refuse {
                let message = serde_json::from_str(&body).expect("JSON");
                kept.lock().expect("free").push(message);
            }
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).expect("answered");
        }
    });
    (port, taken)
}

#[test]
fn subscribers_are_told_of_changes_in_order_until_they_take_them() {
    let (port, taken) = subscriber(2);
    let settings = PushSettings {
        security_server: format!("http://127.0.0.1:{port}"),
        client: ClientId::from_path("KG/GOV/70000001/population").expect("a client"),
    };
    let service = ServiceId::from_path("KG/GOV/70000023/reader/news").expect("a service");
    let country = country_with(Some((settings, service)));
    // The subscription begins with the first residents in the register.
    let begun = Instant::now();
    while country.running.register().last_act().expect("an act").0 == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(700));
    let (one, witness, other) = (resident(4).number, resident(5).number, resident(8).number);
    let change = |person| Event::CitizenshipChange {
        person,
        citizenship: id_registry::Citizenship::Of("KAZ".into()),
    };
    country.protect(witness, ProtectionKind::Witness, None);
    for person in [one, witness, other] {
        country.running.enter(change(person));
        std::thread::sleep(Duration::from_millis(100));
    }
    let last = country.running.register().last_act().expect("an act").0;
    let begun = Instant::now();
    loop {
        let messages = taken.lock().expect("free").clone();
        if messages
            .last()
            .is_some_and(|message| message["last"] == last)
        {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{messages:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let messages = taken.lock().expect("free").clone();
    let told: Vec<String> = messages
        .iter()
        .flat_map(|message| message["changes"].as_array().cloned().unwrap_or_default())
        .filter_map(|one| one["number"].as_str().map(str::to_owned))
        .collect();
    assert!(told.contains(&one.to_string()) && told.contains(&other.to_string()));
    assert!(!told.contains(&witness.to_string()), "{told:?}");
    for two in messages.windows(2) {
        assert!(
            two[1]["after"].as_u64() >= two[0]["last"].as_u64(),
            "{messages:?}"
        );
    }
}

/// Foreigners and stateless people get a number on application; it is one like any other, and a legal entity's is nobody's.
#[test]
fn foreigners_and_stateless_people_get_a_number_on_application() {
    let country = country();
    for (reference, citizenship) in [("1", "UZB"), ("2", "XXA")] {
        let mut person = newcomer("Каримова", "Дилноза");
        person["citizenship"] = citizenship.into();
        let event = json!({ "kind": "enrolment", "person": person });
        let entered = country.act(ZAGS, reference, event).json();
        let number: PersonalNumber =
            serde_json::from_value(entered["number"].clone()).expect("a number");
        assert_eq!(number.sex(), id_registry::Sex::Female);
        let born = number.birth_date().map(|day| day.to_string());
        assert_eq!(born.as_deref(), Some("1990-05-15"));
        let permit = json!({
            "kind": "residencePermit", "number": format!("RP{reference}"), "issuedOn": "2026-01-10",
            "expiresOn": "2031-01-10", "authority": "211001",
        });
        let event = json!({ "kind": "documentIssued", "person": number, "document": permit });
        let issued = country.act(POLICE, &format!("{reference}-permit"), event);
        assert_eq!(issued.status, 200, "{}", issued.text());
        let record = country.about(READER, "", number).json();
        assert_eq!(record["citizenship"], citizenship);
        assert_eq!(record["document"]["kind"], "residencePermit");
        assert!(record["patronymic"].is_null() && record["familyName"]["latin"].is_string());
    }
    let entity = country.about(READER, "", "00101199410123");
    assert_eq!(error(&entity), (400, "InvalidNumber".into()));
}

/// The picture that an office took takes the place of the one before, which stays on record.
#[test]
fn an_office_takes_a_picture() {
    let country = country();
    let (person, other) = (resident(4).number, resident(5).number);
    let first = country.about(READER, "/portrait", person);
    let second = country.about(READER, "/portrait", other);
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(&second.body);
    let taken = country.act(
        ZAGS,
        "1",
        json!({ "kind": "imageTaken", "person": person, "shows": "portrait", "image": base64 }),
    );
    assert_eq!(taken.status, 200, "{}", taken.text());
    let now = country.about(READER, "/portrait", person);
    assert_eq!(now.body, second.body);
    let record = country.running.register().record(person);
    let record = record.expect("read").expect("there");
    let history = record.history(id_registry::Field::Image(ImageKind::Portrait));
    assert_eq!(history.len(), 2);
    assert_ne!(first.body, second.body);
}

/// The description lists every kind of act that offices enter, and no other.
#[test]
fn the_description_lists_every_kind_of_act() {
    let description = registry_server::DESCRIPTIONS
        .iter()
        .find(|(name, _)| *name == "population.yaml")
        .expect("a description")
        .1;
    let listed: Vec<&str> = description
        .lines()
        .filter_map(|line| line.trim().strip_prefix("kind: {type: string, enum: ["))
        .filter_map(|rest| rest.strip_suffix("]}"))
        .filter(|kinds| !kinds.contains(','))
        .collect();
    assert_eq!(listed, Event::OFFICES_ENTER);
}
