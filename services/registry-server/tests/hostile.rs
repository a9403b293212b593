//! What a client tries that wants more than it was granted.

mod common;

use common::{Answer, Running, ask, client, envelope};
use config::{PopulationAccess, PopulationClient};
use id_registry::{Detail, Event, LockState, Population, Resident};
use registry_server::POPULATION_NAMESPACE;
use serde_json::json;

const BANK: &str = "KG/COM/80000001/bank";

/// A bank that sees names, and an authority that sees more.
fn start() -> Running {
    common::start(PopulationAccess {
        clients: vec![
            PopulationClient {
                verify: true,
                purpose: Some("credit".parse().expect("a purpose")),
                ..client(BANK, &[Detail::Names])
            },
            client(
                "KG/GOV/70000009/social",
                &[Detail::Names, Detail::BornOn, Detail::Address],
            ),
        ],
        ..PopulationAccess::default()
    })
}

fn somebody() -> Resident {
    Population::demonstration().person(4).expect("somebody")
}

fn over_soap(running: &Running, request: &str) -> String {
    let head = "Content-Type: text/xml\r\n";
    let line = "POST /population/soap";
    ask(running.address, line, head, request.as_bytes()).text()
}

/// The bank verifies a resident's name together with something more.
fn verify(running: &Running, family_name: &str, more: &str) -> Answer {
    let person = somebody();
    let body = format!(
        "{{\"number\":\"{}\",\"familyName\":\"{family_name}\",\"givenName\":\"{}\"{more}}}",
        person.number, person.given_name.cyrillic
    );
    ask(
        running.address,
        "POST /population/verifications",
        &format!("X-Road-Client: {BANK}\r\nX-Road-Id: 1\r\n"),
        body.as_bytes(),
    )
}

#[test]
fn nobody_asks_as_another_client_by_a_header_that_two_programs_read_differently() {
    let running = start();
    let number = somebody().number;
    let content = format!("<number>{number}</number>");
    let honest = envelope(POPULATION_NAMESPACE, "personByNumber", &content);
    assert!(over_soap(&running, &honest).contains("<familyName>"));
    // What the Security Server reads is the bank; parts of other namespaces, elements within a part or a second field
    // would make it an authority for a reader that is less strict.
    let other = "<memberClass xmlns=\"urn:x\">GOV</memberClass><memberCode xmlns=\"urn:x\">70000009</memberCode>\
                 <subsystemCode xmlns=\"urn:x\">social</subsystemCode>";
    let first = "<i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>COM";
    let parts = honest.replace(first, &format!("{other}{first}"));
    assert_ne!(parts, honest);
    let answer = over_soap(&running, &parts);
    assert!(
        answer.contains("<familyName>") && !answer.contains("<bornOn>"),
        "{answer}"
    );
    let second =
        format!("<x:client i:objectType=\"SUBSYSTEM\">{other}</x:client><x:client i:objectType");
    let twice = honest.replace("<x:client i:objectType", &second);
    assert_ne!(twice, honest);
    let answer = over_soap(&running, &twice);
    assert!(answer.contains("UnreadableRequest"), "{answer}");
    let looks = running.looks(number);
    assert!(looks.iter().all(|look| look.client == BANK), "{looks:?}");
    assert_eq!(looks.len(), 2);
}

#[test]
fn what_cannot_be_compared_is_never_called_right() {
    let running = start();
    let person = somebody();
    let family = person.family_name.cyrillic.as_str();
    assert_eq!(verify(&running, family, "").json()["matches"], true);
    for more in [
        ",\"bornOn\":19700101",
        ",\"birthDate\":\"1970-01-01\"",
        ",\"bornOn\":[]",
        ",\"givenName\":\"Nobody\"",
    ] {
        assert_eq!(verify(&running, family, more).status, 400, "{more}");
    }
    for more in [
        "<birthDate>1970-01-01</birthDate>",
        "<givenName>Nobody</givenName>",
    ] {
        let content = format!(
            "<number>{}</number><familyName>{family}</familyName><givenName>{}</givenName>{more}",
            person.number, person.given_name.cyrillic
        );
        let request = envelope(POPULATION_NAMESPACE, "verifyPerson", &content);
        let answer = over_soap(&running, &request);
        assert!(answer.contains("UnreadableRequest"), "{more}: {answer}");
    }
}

#[test]
fn a_lock_tells_nothing_of_the_data_that_were_to_be_verified() {
    let running = start();
    let family = somebody().family_name.cyrillic;
    assert_eq!(verify(&running, &family, "").json()["matches"], true);
    running.enter(Event::Lock {
        person: somebody().number,
        purpose: "credit".parse().expect("a purpose"),
        state: LockState::Locked,
    });
    let told = |family_name: &str| {
        let answer = verify(&running, family_name, "");
        (answer.status, answer.text())
    };
    let right = told(&family);
    assert_eq!(right.0, 409, "{}", right.1);
    assert_eq!(told("Башкача"), right);
}

/// A question is taken whole or not at all, and one that is not understood looks at nobody.
#[test]
fn a_question_about_somebody_that_is_not_understood_is_refused() {
    let running = start();
    let number = somebody().number;
    let send = |path: &str, body: &str| {
        ask(
            running.address,
            &format!("POST /population/{path}"),
            &format!("X-Road-Client: {BANK}\r\nX-Road-Id: 1\r\nAuthorization: Bearer x\r\n"),
            body.as_bytes(),
        )
    };
    let known = format!("\"number\":\"{number}\"");
    let long = " ".repeat(5000);
    let wrong = [
        String::new(),
        "{}".to_owned(),
        "null".to_owned(),
        format!("\"{number}\""),
        format!("[\"{number}\"]"),
        format!("[\"{number}\",\"{number}\",\"health\"]"),
        format!("{{\"number\":{number}}}"),
        "{\"number\":null}".to_owned(),
        format!("{{\"number\":[\"{number}\"]}}"),
        format!("{{{known},{known}}}"),
        format!("{{{known},\"since\":1}}"),
        format!("{{{known}}}{{{known}}}"),
        format!("{{{known}{long}}}"),
        format!("{{{known}"),
        "{\"number\":\"1\"}".to_owned(),
        format!("{{\"number\":\" {number}\"}}"),
    ];
    for path in [
        "persons",
        "persons/relations",
        "persons/address",
        "persons/portrait",
        "persons/signature-image",
        "persons/represented-by",
        "persons/doubles",
        "own",
        "own/look-ups",
        "own/portrait",
        "own/signature-image",
        "own/locks/set",
        "own/locks/lift",
        "verifications",
    ] {
        for body in &wrong {
            let answer = send(path, body);
            assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
        }
    }
    for (path, more) in [
        ("persons/represented-by", "\"actor\":1,\"theme\":\"health\""),
        (
            "persons/represented-by",
            "\"actor\":\"1\",\"theme\":\"health\"",
        ),
        ("persons/represented-by", "\"theme\":\"health\""),
        ("own/locks/set", "\"purpose\":\"No purpose\""),
        ("own/locks/lift", "\"purpose\":[]"),
    ] {
        let body = format!("{{{known},{more}}}");
        assert_eq!(send(path, &body).status, 400, "{path} {body}");
    }
    assert!(running.looks(number).is_empty());
    let right = json!({ "number": number }).to_string();
    assert_eq!(send("persons", &right).status, 200);
    assert_eq!(running.looks(number).len(), 1);
}
