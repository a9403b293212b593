//! The services over their real port, asked with nothing but a socket.

mod common;

use common::{Answer, Running, ask, client, envelope};
use config::{PopulationAccess, PopulationClient};
use id_registry::{
    Detail, Event, Image, ImageKind, LicenceRegister, LockState, PersonalNumber, Population,
    ProtectionKind,
};
use registry_server::{DESCRIPTIONS, ECHO_NAMESPACE, LICENCES_NAMESPACE, POPULATION_NAMESPACE};
use serde_json::json;

const BANK: &str = "KG/COM/80000001/bank";
const AUTHORITY: &str = "KG/GOV/70000009/social";

fn access() -> PopulationAccess {
    let seen = [
        Detail::Names,
        Detail::BornOn,
        Detail::Address,
        Detail::Relations,
    ];
    let clients = vec![
        PopulationClient {
            verify: true,
            purpose: Some("credit".parse().expect("a purpose")),
            ..client(BANK, &[Detail::Names])
        },
        PopulationClient {
            verify: true,
            changes: true,
            ..client(AUTHORITY, &seen)
        },
        PopulationClient {
            may_act: true,
            ..client(
                "KG/GOV/70000010/idp",
                &[Detail::Names, Detail::BornOn, Detail::Portrait],
            )
        },
    ];
    PopulationAccess {
        clients,
        ..PopulationAccess::default()
    }
}

fn start() -> Running {
    common::start(access())
}

const XROAD: &str = "X-Road-Client: KG/COM/80000001/bank\r\nX-Road-Id: 1\r\n";

#[test]
fn population_over_rest_and_soap() {
    let running = start();
    let address = running.address;
    let person = Population::demonstration().person(123).expect("somebody");
    let number = person.number;
    let answer = about(&running, "", number, XROAD);
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json()["familyName"]["cyrillic"],
        person.family_name.cyrillic
    );

    let request = envelope(
        POPULATION_NAMESPACE,
        "personByNumber",
        &format!("<number>{number}</number>"),
    );
    let answer = ask(
        address,
        "POST /population/soap",
        "Content-Type: text/xml\r\n",
        request.as_bytes(),
    );
    assert_eq!(answer.status, 200);
    assert!(
        answer.text().contains("<r:personByNumberResponse"),
        "{}",
        answer.text()
    );
    assert!(
        answer
            .text()
            .contains(&format!("<latin>{}</latin>", person.given_name.latin))
    );
    assert!(answer.text().contains("<x:id>4</x:id>"));

    let names = format!(
        "<familyName>{}</familyName><givenName>{}</givenName>",
        person.family_name.latin, person.given_name.cyrillic
    );
    let request = envelope(
        POPULATION_NAMESPACE,
        "verifyPerson",
        &format!("<number>{number}</number>{names}"),
    );
    let answer = ask(
        address,
        "POST /population/soap",
        "Content-Type: text/xml\r\n",
        request.as_bytes(),
    );
    assert!(
        answer.text().contains("<matches>true</matches>"),
        "{}",
        answer.text()
    );
    let body =
        format!("{{\"number\":\"{number}\",\"familyName\":\"Nobody\",\"givenName\":\"No\"}}");
    let answer = ask(
        address,
        "POST /population/verifications",
        XROAD,
        body.as_bytes(),
    );
    assert_eq!(answer.json()["matches"], false);
}

const SOCIAL: &str = "X-Road-Client: KG/GOV/70000009/social\r\nX-Road-Id: q7\r\nX-Road-UserId: KG34\r\n\
     X-Road-Issue: benefit\r\n";

/// A mother, a father and a child: residents 4, 5 and 6.
fn household() -> [PersonalNumber; 3] {
    let number = |place| {
        Population::demonstration()
            .person(place)
            .expect("somebody")
            .number
    };
    [number(5), number(4), number(6)]
}

/// Asks about somebody; `service` is what follows `/persons`.
fn about(running: &Running, service: &str, number: PersonalNumber, headers: &str) -> Answer {
    let line = format!("POST /population/persons{service}");
    let question = json!({ "number": number }).to_string();
    ask(running.address, &line, headers, question.as_bytes())
}

fn represented(
    running: &Running,
    number: PersonalNumber,
    actor: PersonalNumber,
    theme: &str,
    headers: &str,
) -> Answer {
    let question = json!({ "number": number, "actor": actor, "theme": theme }).to_string();
    let line = "POST /population/persons/represented-by";
    ask(running.address, line, headers, question.as_bytes())
}

fn get(running: &Running, path: &str, headers: &str) -> Answer {
    ask(
        running.address,
        &format!("GET /population/{path}"),
        headers,
        b"",
    )
}

#[test]
fn a_client_sees_what_it_was_granted_and_every_look_is_kept() {
    let running = start();
    let [mother, father, child] = household();
    let bank = about(&running, "", child, XROAD).json();
    let names: Vec<&String> = bank.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["familyName", "givenName", "number", "patronymic"]);
    let social = about(&running, "", child, SOCIAL).json();
    assert!(social["bornOn"].is_string() && social["address"]["oblast"].is_string());
    assert!(social["document"].is_null() && social["sex"].is_null());

    let relations = about(&running, "/relations", child, SOCIAL).json();
    let all: Vec<(&str, &str)> = relations["relations"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| Some((one["relation"].as_str()?, one["number"].as_str()?)))
        .collect();
    assert_eq!(
        all,
        [("mother", mother.as_str()), ("father", father.as_str())]
    );
    let refused = about(&running, "/relations", child, XROAD);
    assert_eq!(
        (refused.status, refused.json()["error"].as_str()),
        (403, Some("NotAllowed"))
    );
    let address = about(&running, "/address", child, SOCIAL).json();
    assert_eq!(address["address"], social["address"]);
    let stranger = "X-Road-Client: KG/COM/1/a\r\nX-Road-Id: 1\r\n";
    assert_eq!(about(&running, "", child, stranger).status, 403);
    assert_eq!(get(&running, "changes?after=0", XROAD).status, 403);

    let looks = running.looks(child);
    assert_eq!(looks.len(), 4, "{looks:?}");
    let last = &looks[0];
    assert_eq!(
        (
            last.client.as_str(),
            last.user.as_str(),
            last.purpose.as_str(),
            last.service.as_str(),
            last.query_id.as_str()
        ),
        (AUTHORITY, "KG34", "benefit", "address", "q7")
    );
    assert_eq!(looks[3].client, BANK);
}

#[test]
fn acts_are_seen_at_once_in_every_service() {
    let running = start();
    let [mother, father, child] = household();
    assert_eq!(about(&running, "", father, XROAD).status, 200);
    let before = get(&running, "changes?after=0", SOCIAL).json();
    assert_eq!(before["changes"].as_array().map(Vec::len), Some(400));
    let after = format!("changes?after={}", before["last"]);
    assert_eq!(
        get(&running, &after, SOCIAL).json()["changes"]
            .as_array()
            .map(Vec::len),
        Some(0)
    );

    // A locked number is not used for what it was locked for.
    let lock = |state| Event::Lock {
        person: father,
        purpose: "credit".parse().expect("a purpose"),
        state,
    };
    running.enter(lock(LockState::Locked));
    let locked = about(&running, "", father, XROAD);
    assert_eq!(
        (locked.status, locked.json()["error"].as_str()),
        (409, Some("NumberLocked"))
    );
    assert_eq!(about(&running, "", father, SOCIAL).status, 200);
    let for_credit = SOCIAL.replace("benefit", "credit");
    assert_eq!(about(&running, "", father, &for_credit).status, 409);

    // A protected witness is nobody, in every service and in the same words.
    let protect = |person, kind| Event::Protection {
        person,
        kind,
        against: None,
        active: true,
    };
    running.enter(protect(mother, ProtectionKind::Witness));
    let nobody = PersonalNumber::compose(mother.sex(), mother.birth_date().expect("a day"), 1);
    for service in ["", "/relations", "/address"] {
        let hidden = about(&running, service, mother, SOCIAL);
        let unknown = about(&running, service, nobody, SOCIAL);
        assert_eq!((hidden.status, unknown.status), (404, 404));
        let same = hidden.text().replace(mother.as_str(), nobody.as_str());
        assert_eq!(same, unknown.text());
    }
    let relations = about(&running, "/relations", child, SOCIAL).text();
    assert!(!relations.contains(mother.as_str()) && relations.contains(father.as_str()));
    let changes = get(&running, &after, SOCIAL).text();
    assert!(
        changes.contains(father.as_str()) && !changes.contains(mother.as_str()),
        "{changes}"
    );
    let names = Population::demonstration().person(5).expect("the mother");
    let given = format!(
        "{{\"number\":\"{mother}\",\"familyName\":\"{}\",\"givenName\":\"{}\"}}",
        names.family_name.cyrillic, names.given_name.cyrillic
    );
    let verdict = ask(
        running.address,
        "POST /population/verifications",
        SOCIAL,
        given.as_bytes(),
    );
    assert_eq!(verdict.json()["matches"], false);

    running.enter(protect(child, ProtectionKind::HiddenWhereabouts));
    let hidden = about(&running, "", child, SOCIAL).json();
    assert!(hidden["address"].is_null() && hidden["bornOn"].is_string());
    let address = about(&running, "/address", child, SOCIAL).json();
    assert!(address["address"].is_null());
}

#[test]
fn a_number_that_was_given_up_still_answers_and_its_users_are_told() {
    let running = start();
    let [_, father, _] = household();
    assert_eq!(about(&running, "", father, XROAD).status, 200);
    let double = PersonalNumber::compose(father.sex(), father.birth_date().expect("a day"), 7);
    let record = id_registry::Records::record(&running.register(), father)
        .expect("read")
        .expect("there");
    running.enter(Event::Enrolment {
        person: id_registry::NewPerson {
            number: double,
            names: record.names().expect("a name").clone(),
            sex: double.sex(),
            born_on: double.birth_date().expect("a day"),
            birth_place: "Ош".into(),
            citizenship: id_registry::Citizenship::Of("KGZ".into()),
        },
    });
    running.enter(Event::Merge {
        kept: double,
        given_up: father,
        carried: vec![],
    });
    let answer = about(&running, "", father, XROAD).json();
    assert_eq!(answer["number"], double.as_str());
    let notices = get(&running, "notices?after=0", XROAD).json();
    assert_eq!(notices["notices"][0]["givenUp"], father.as_str());
    assert_eq!(notices["notices"][0]["kept"], double.as_str());
    let told = get(&running, "notices?after=0", SOCIAL).json();
    assert_eq!(told["notices"].as_array().map(Vec::len), Some(0));
}

#[test]
fn every_operation_over_soap() {
    let running = start();
    let [_, _, child] = household();
    for (operation, content, expected) in [
        (
            "relationsByNumber",
            format!("<number>{child}</number>"),
            "Client.NotAllowed",
        ),
        (
            "addressByNumber",
            format!("<number>{child}</number>"),
            "Client.NotAllowed",
        ),
        (
            "changesSince",
            "<after>0</after>".into(),
            "Client.NotAllowed",
        ),
        (
            "noticesSince",
            "<after>0</after>".into(),
            "<notices></notices>",
        ),
        (
            "noticesSince",
            "<after>x</after>".into(),
            "Client.MissingValue",
        ),
    ] {
        let mut request = envelope(POPULATION_NAMESPACE, operation, &content);
        let bank = ask(
            running.address,
            "POST /population/soap",
            "Content-Type: text/xml\r\n",
            request.as_bytes(),
        );
        assert!(
            bank.text().contains(expected),
            "{operation}: {}",
            bank.text()
        );
        if expected != "Client.NotAllowed" {
            continue;
        }
        request = request
            .replace(">COM<", ">GOV<")
            .replace(">80000001<", ">70000009<")
            .replace(">bank<", ">social<");
        let social = ask(
            running.address,
            "POST /population/soap",
            "Content-Type: text/xml\r\n",
            request.as_bytes(),
        );
        assert_eq!(social.status, 200, "{}", social.text());
        assert!(
            social.text().contains(&format!("<r:{operation}Response")),
            "{}",
            social.text()
        );
    }
    assert_eq!(running.looks(child)[0].user, "KG12");
}

const DESK: &str =
    "X-Road-Client: KG/GOV/70000010/idp\r\nX-Road-Id: q8\r\nX-Road-UserId: officer-7\r\n";

/// A picture is told to the services that the access file names for it, over both protocols, and each release is on
/// the person's record.
#[test]
fn pictures_are_released_to_named_services_and_each_release_is_on_record() {
    let running = start();
    let [mother, father, child] = household();
    let portrait = about(&running, "/portrait", father, DESK);
    assert_eq!(portrait.status, 200, "{}", portrait.text());
    assert!(portrait.head.contains("content-type: image/jpeg"));
    let image = Image::check(portrait.body.clone()).expect("a picture");
    let again = about(&running, "/portrait", father, DESK);
    assert_eq!(again.body, portrait.body);
    let other = about(&running, "/portrait", mother, DESK);
    assert_ne!(other.body, portrait.body);

    let request = envelope(
        POPULATION_NAMESPACE,
        "portraitByNumber",
        &format!("<number>{father}</number>"),
    );
    let request = request
        .replace(">COM<", ">GOV<")
        .replace(">80000001<", ">70000010<")
        .replace(">bank<", ">idp<");
    let soap = "Content-Type: text/xml\r\n";
    let answer = ask(
        running.address,
        "POST /population/soap",
        soap,
        request.as_bytes(),
    );
    let inside = answer.text();
    let base64 = inside
        .split("<image>")
        .nth(1)
        .and_then(|rest| rest.split("</image>").next())
        .unwrap_or_else(|| panic!("{inside}"));
    use base64::Engine as _;
    let decoded = base64::engine::general_purpose::STANDARD.decode(base64);
    assert_eq!(decoded.expect("base64"), portrait.body);

    // Others are refused, and nothing about a release is on record.
    for path in ["/portrait", "/signature-image"] {
        assert_eq!(about(&running, path, father, XROAD).status, 403);
    }
    let signature = about(&running, "/signature-image", father, DESK);
    assert_eq!(
        signature.status, 403,
        "a portrait does not open the signature"
    );
    let looks = running.looks(father);
    assert_eq!(looks.len(), 3, "{looks:?}");
    for look in &looks {
        assert_eq!(look.released, Some(image.id()));
        assert_eq!(
            (look.client.as_str(), look.service.as_str()),
            ("KG/GOV/70000010/idp", "portrait")
        );
    }
    // The picture came into the register by an act.
    let record = id_registry::Records::record(&running.register(), father)
        .expect("read")
        .expect("there");
    assert_eq!(record.image(ImageKind::Portrait), Some(image.id()));
    assert_eq!(record.acts().last().map(|act| act.kind), Some("imageTaken"));

    // A witness is nobody; what is asked is kept all the same, and that nothing was released.
    running.enter(Event::Protection {
        person: child,
        kind: ProtectionKind::Witness,
        against: None,
        active: true,
    });
    let hidden = about(&running, "/portrait", child, DESK);
    assert_eq!(
        (hidden.status, hidden.json()["error"].as_str()),
        (404, Some("PersonNotFound"))
    );
    assert_eq!(running.looks(child)[0].released, None);
}

/// Parents act for their child by theme; strangers, and parents who lost their rights, do not.
#[test]
fn who_may_act_is_decided_by_the_register_as_it_is_now() {
    let running = start();
    let person = |place: u32| Population::demonstration().person(place).expect("somebody");
    let minor = (0..400)
        .filter(|place| place % 4 > 1)
        .find(|place| person(*place).born_on.year() >= 2014)
        .expect("a child");
    let (child, parent) = (person(minor).number, person(minor - minor % 4 + 1).number);
    let stranger = person((minor + 8) % 400).number;
    let may = |actor: PersonalNumber, of: PersonalNumber, theme: &str| {
        let answer = represented(&running, of, actor, theme, DESK);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["mayAct"].as_bool().expect("a verdict")
    };
    assert!(may(parent, child, "education"));
    assert!(may(child, child, "education"));
    assert!(!may(child, parent, "education"));
    assert!(!may(stranger, child, "education"));
    let looks = running.looks(child);
    assert_eq!(
        (looks[0].service.as_str(), looks[0].user.as_str()),
        ("mayAct", "officer-7")
    );
    running.enter(Event::ParentalRights {
        child,
        parent,
        rights: id_registry::ParentalRights::Lost,
    });
    assert!(!may(parent, child, "education"));

    let unknown = represented(&running, child, parent, "gossip", DESK);
    assert_eq!(
        (unknown.status, unknown.json()["error"].as_str()),
        (400, Some("InvalidValue"))
    );
    assert_eq!(
        represented(&running, child, parent, "health", SOCIAL).status,
        403
    );
    let request = envelope(
        POPULATION_NAMESPACE,
        "mayAct",
        &format!("<number>{child}</number><actor>{child}</actor><theme>health</theme>"),
    )
    .replace(">COM<", ">GOV<")
    .replace(">80000001<", ">70000010<")
    .replace(">bank<", ">idp<");
    let soap = "Content-Type: text/xml\r\n";
    let answer = ask(
        running.address,
        "POST /population/soap",
        soap,
        request.as_bytes(),
    );
    assert!(
        answer.text().contains("<mayAct>true</mayAct>"),
        "{}",
        answer.text()
    );
}

#[test]
fn refusals() {
    let running = start();
    let address = running.address;
    let person = Population::demonstration().person(5).expect("somebody");
    let serial = (person.number.serial() + 1) % 100_000;
    let nobody = id_registry::PersonalNumber::compose(person.sex, person.born_on, serial);
    let asked = json!({ "number": nobody }).to_string();
    for (line, body, status) in [
        ("POST /population/persons", asked.as_str(), 404),
        ("POST /population/persons", "{\"number\":\"1\"}", 400),
        ("GET /population/persons", asked.as_str(), 404),
        ("POST /licences/licences/document", asked.as_str(), 404),
        ("POST /bank/customers", "{\"number\":\"1\"}", 400),
        ("GET /population/nothing", "", 404),
        ("GET /nothing", "", 404),
    ] {
        let answer = ask(address, line, XROAD, body.as_bytes());
        assert_eq!(answer.status, status, "{line}");
        assert!(answer.json()["message"].is_string());
    }
    let without = about(&running, "", person.number, "");
    assert_eq!(
        (without.status, without.json()["error"].as_str()),
        (400, Some("not_xroad"))
    );

    let asked = format!("<number>{nobody}</number>");
    let good = envelope(POPULATION_NAMESPACE, "personByNumber", &asked);
    for (request, code) in [
        (good.clone(), "Client.PersonNotFound"),
        (good.replace(nobody.as_str(), "12"), "Client.InvalidNumber"),
        (good.replace("<x:id>4</x:id>", ""), "Client.NotXRoad"),
        (
            good.replace(POPULATION_NAMESPACE, "urn:other"),
            "Client.UnknownOperation",
        ),
        (good.replace("number", "nummer"), "Client.MissingValue"),
        (good.replace("</soap:Body>", ""), "Client.UnreadableRequest"),
    ] {
        let answer = ask(
            address,
            "POST /population/soap",
            "Content-Type: text/xml\r\n",
            request.as_bytes(),
        );
        assert_eq!(answer.status, 500);
        assert!(
            answer
                .text()
                .contains(&format!("<faultcode>SOAP-ENV:{code}</faultcode>")),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn a_licence_and_its_document() {
    let running = start();
    let address = running.address;
    let licence = LicenceRegister::new(Population::demonstration())
        .first_from(0)
        .expect("somebody drives");
    let number = licence.holder.number;
    let asked = json!({ "number": number }).to_string();
    let asked = asked.as_bytes();
    let answer = ask(address, "POST /licences/licences", XROAD, asked);
    assert_eq!(answer.json()["number"], licence.number);
    let picture = ask(address, "POST /licences/licences/document", XROAD, asked);
    assert!(picture.head.contains("content-type: image/svg+xml"));

    let request = envelope(
        LICENCES_NAMESPACE,
        "licenceDocument",
        &format!("<number>{number}</number>"),
    );
    let answer = ask(
        address,
        "POST /licences/soap",
        "Content-Type: text/xml\r\n",
        request.as_bytes(),
    );
    assert!(answer.head.contains("multipart/related"), "{}", answer.head);
    assert!(answer.text().contains(&picture.text()));
    let request = envelope(
        LICENCES_NAMESPACE,
        "licenceByNumber",
        &format!("<number>{number}</number>"),
    );
    let answer = ask(
        address,
        "POST /licences/soap",
        "Content-Type: text/xml\r\n",
        request.as_bytes(),
    );
    assert!(
        answer
            .text()
            .contains(&format!("<number>{}</number>", licence.number))
    );
}

#[test]
fn echoes() {
    let running = start();
    let address = running.address;
    let request = envelope("urn:any", "thing", "<a>ү</a>");
    let answer = ask(
        address,
        "POST /echo/soap",
        "Content-Type: text/xml\r\n",
        request.as_bytes(),
    );
    assert_eq!(answer.text(), request.replace("q:thing", "q:thingResponse"));

    let attachment = vec![7_u8; 300_000];
    let mut message =
        format!("--b\r\nContent-Type: text/xml\r\n\r\n{request}\r\n--b\r\nContent-Id: <1>\r\n\r\n")
            .into_bytes();
    message.extend_from_slice(&attachment);
    message.extend_from_slice(b"\r\n--b--\r\n");
    let kind = "Content-Type: multipart/related; boundary=b\r\n";
    let answer = ask(address, "POST /echo/soap", kind, &message);
    assert!(
        answer
            .head
            .contains("content-type: multipart/related; boundary=b")
    );
    assert_eq!(answer.body.len(), message.len() + 2 * "Response".len());
    assert!(
        answer
            .body
            .windows(attachment.len())
            .any(|window| window == attachment)
    );

    let answer = ask(
        address,
        "PATCH /echo/rest/a/b%2Fc?d=e",
        "Content-Type: x/y\r\n",
        b"body",
    );
    assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
    assert!(answer.head.contains("content-type: x/y"));
    let answer = ask(address, "DELETE /echo/rest/a?d=e", XROAD, b"");
    assert_eq!(
        (
            answer.json()["method"].as_str(),
            answer.json()["query"].as_str()
        ),
        (Some("DELETE"), Some("d=e"))
    );
    assert_eq!(answer.json()["headers"]["x-road-id"], "1");

    let answer = ask(address, "GET /echo/rest/size/200000", "", b"");
    assert_eq!(answer.body.len(), 200_000);
    let answer = ask(address, "PUT /echo/rest/digest", "", b"abc");
    assert_eq!(answer.json()["length"], 3);
    assert!(
        answer.json()["digest"]
            .as_str()
            .is_some_and(|digest| digest.starts_with("ddaf35a1"))
    );
    assert_eq!(
        ask(address, "GET /echo/rest/status/418", "", b"").status,
        418
    );
    assert!(
        ask(address, "GET /echo/rest/cut/10", "", b"")
            .body
            .is_empty()
    );
    assert_eq!(
        ask(address, "GET /descriptions/echo.wsdl", "", b"").status,
        200
    );
    assert!(
        ask(address, "GET /descriptions/population.wsdl", "", b"")
            .text()
            .contains(POPULATION_NAMESPACE)
    );
    let wsdl = ask(address, "GET /descriptions/echo.wsdl", "", b"").text();
    assert!(wsdl.contains(ECHO_NAMESPACE));
}

/// Servers on the way keep paths and queries: what the registers take there is where a list goes on, and never whom it is
/// about.
#[test]
fn nobody_is_named_in_a_path() {
    let rest = DESCRIPTIONS
        .iter()
        .filter(|(name, _)| name.ends_with(".yaml"));
    let mut paths = 0;
    for (name, text) in rest {
        paths += text.lines().filter(|line| line.starts_with("  /")).count();
        assert!(!text.contains("in: path"), "{name}");
        let mut before = "";
        for line in text.lines() {
            if line.trim() == "in: query" {
                assert_eq!(before.trim(), "name: after", "{name}");
            }
            before = line;
        }
        assert!(!text.contains("{name: number, in"), "{name}");
    }
    assert!(paths > 15, "{paths}");
    let running = start();
    let [_, father, _] = household();
    for line in [
        format!("GET /population/persons/{father}"),
        format!("POST /population/persons/{father}"),
        format!("GET /population/persons?number={father}"),
        format!("GET /population/own/{father}"),
        format!("GET /bank/customers/{father}"),
        format!("GET /licences/licences/{father}"),
    ] {
        let answer = ask(running.address, &line, XROAD, b"");
        assert_eq!(answer.status, 404, "{line}");
        assert!(!answer.text().contains(father.as_str()), "{line}");
    }
    let line = format!("POST /population/persons?number={father}");
    assert_eq!(ask(running.address, &line, XROAD, b"{}").status, 400);
    assert!(running.looks(father).is_empty());
}
