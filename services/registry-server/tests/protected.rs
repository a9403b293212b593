//! Protected people, children and their parents: what each channel tells of them. What it must tell is the table in
//! `docs/population-register.md`.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::country::{Country, POLICE, READER, ZAGS, country, error, names, newcomer, resident};
use common::{Answer, ask, headers};
use id_registry::{
    Address, Citizenship, Document, DocumentKind, Event, Name, Names, ParentalRights,
    PersonalNumber, ProtectionKind, Records, Register, Residence,
};
use registry_server::POPULATION_NAMESPACE;
use serde_json::{Value, json};
use time::OffsetDateTime;

const PAGE: &str = include_str!("../../../docs/population-register.md");
const WITNESS: &str = "of a protected witness";
const VICTIM: &str = "of a victim, to the one named";
const WHEREABOUTS: &str = "of whereabouts that are hidden";
const ADOPTION: &str = "of the time before a secret adoption";

/// A question about a number, over one channel.
type Ask<'f> = Box<dyn Fn(PersonalNumber) -> Answer + 'f>;

/// A father, a mother and a child too young for secrets, in a country.
struct Family {
    country: Country,
    father: PersonalNumber,
    mother: PersonalNumber,
    child: PersonalNumber,
}

impl Family {
    fn new() -> Self {
        let place = (0..400)
            .filter(|place| place % 4 > 1)
            .find(|place| resident(*place).born_on.year() >= 2014)
            .expect("a child");
        let first = place - place % 4;
        Self {
            country: country(),
            father: resident(first).number,
            mother: resident(first + 1).number,
            child: resident(place).number,
        }
    }

    fn names(&self, number: PersonalNumber) -> Names {
        let register = self.country.running.register();
        let record = register.record(number).expect("read").expect("there");
        record.names().expect("names").clone()
    }

    /// What is asked about nobody in particular.
    fn get(&self, path: &'static str) -> Ask<'_> {
        Box::new(move |_| self.country.get(READER, path))
    }

    fn about(&self, service: &'static str) -> Ask<'_> {
        Box::new(move |number| self.country.about(READER, service, number))
    }

    fn soap(&self, operation: &'static str, content: &'static str) -> Ask<'_> {
        Box::new(move |number| {
            let content = content.replace("NUMBER", number.as_str());
            soap(&self.country, operation, &content)
        })
    }

    /// Somebody who is signed in asks.
    fn own(&self, viewer: PersonalNumber, service: &'static str) -> Ask<'_> {
        let token = self.country.token(&json!({ "number": viewer }));
        Box::new(move |number| self.country.own(&token, service, number))
    }

    fn act(&self, event: &Value) -> Ask<'_> {
        let event = event.to_string();
        Box::new(move |number| {
            let event = event.replace("NUMBER", number.as_str());
            self.country.act(
                ZAGS,
                &reference(),
                serde_json::from_str(&event).expect("JSON"),
            )
        })
    }

    fn verify(&self, names: Names, document: Option<&'static str>) -> Ask<'_> {
        Box::new(move |number| {
            let mut given = json!({
                "number": number,
                "familyName": names.family.cyrillic,
                "givenName": names.given.cyrillic,
            });
            if let Some(document) = document {
                given["documentNumber"] = document.into();
            }
            ask(
                self.country.running.address,
                "POST /population/verifications",
                &headers(READER, "1"),
                given.to_string().as_bytes(),
            )
        })
    }

    /// All channels, each with the questions that it knows about a number. `viewer` is the person who asks, where a
    /// person does.
    fn channels(&self, viewer: PersonalNumber) -> Vec<(&'static str, Vec<Ask<'_>>)> {
        let names = [self.father, self.mother, self.child].map(|number| self.names(number));
        let mut verifications: Vec<Ask<'_>> = Vec::new();
        for names in names {
            verifications.push(self.verify(names, None));
        }
        let represented: Ask<'_> =
            Box::new(move |number| self.country.represented(READER, number, viewer, "identity"));
        let over_soap: Ask<'_> = Box::new(move |number| {
            let content =
                format!("<number>{number}</number><actor>{viewer}</actor><theme>health</theme>");
            soap(&self.country, "mayAct", &content)
        });
        let relatives = [self.father, self.mother, self.child].map(|relative| {
            let of_relative = self.about("/relations");
            let ask = move |number| {
                of_relative(if relative == number {
                    self.child
                } else {
                    relative
                })
            };
            Box::new(ask) as Ask<'_>
        });
        let (other, elder) = (resident(8).number, resident(9).number);
        let acts = [
            json!({ "kind": "death", "person": "NUMBER" }),
            json!({ "kind": "nameChange", "person": "NUMBER", "names": names_of("Асанова") }),
            json!({ "kind": "marriage", "spouses": [other, "NUMBER"] }),
            json!({ "kind": "divorce", "spouses": [self.mother, "NUMBER"] }),
            json!({ "kind": "merge", "kept": elder, "givenUp": "NUMBER" }),
            json!({ "kind": "distinct", "numbers": ["NUMBER", elder] }),
            json!({ "kind": "correction", "person": "NUMBER", "act": 2, "facts": [{ "birthPlace": "Ош" }] }),
            json!({ "kind": "moved", "person": "NUMBER", "residence": "actual" }),
            // A guess who somebody's father is, and one that would be an act if it were right.
            json!({ "kind": "paternity", "child": self.child, "father": other, "insteadOf": "NUMBER" }),
            json!({ "kind": "parentalRights", "child": self.child, "parent": "NUMBER", "rights": "lost" }),
        ];
        vec![
            (
                "person by number",
                vec![
                    self.about(""),
                    self.soap("personByNumber", "<number>NUMBER</number>"),
                ],
            ),
            (
                "relations",
                vec![
                    self.about("/relations"),
                    self.soap("relationsByNumber", "<number>NUMBER</number>"),
                ],
            ),
            (
                "address",
                vec![
                    self.about("/address"),
                    self.soap("addressByNumber", "<number>NUMBER</number>"),
                ],
            ),
            (
                "portrait, signature image",
                vec![
                    self.about("/portrait"),
                    self.about("/signature-image"),
                    self.soap("portraitByNumber", "<number>NUMBER</number>"),
                    self.soap("signatureImageByNumber", "<number>NUMBER</number>"),
                ],
            ),
            ("verification", verifications),
            ("who may act", vec![represented, over_soap]),
            ("double numbers of one", vec![self.about("/doubles")]),
            (
                "changes, notices, work list",
                vec![
                    self.get("changes?after=1"),
                    self.get("notices?after=0"),
                    self.get("doubles?after=0"),
                    self.soap("changesSince", "<after>1</after>"),
                    self.soap("noticesSince", "<after>0</after>"),
                ],
            ),
            ("relations of relatives", relatives.into()),
            (
                "own view of another",
                vec![
                    self.own(viewer, ""),
                    self.own(viewer, "/look-ups"),
                    self.own(viewer, "/portrait"),
                    self.own(viewer, "/signature-image"),
                    self.own(viewer, "/locks/set"),
                    self.own(viewer, "/locks/lift"),
                ],
            ),
            (
                "own view of oneself",
                vec![Box::new(move |_| self.own(viewer, "")(viewer))],
            ),
            (
                "entering acts",
                acts.iter().map(|act| self.act(act)).collect(),
            ),
        ]
    }
}

fn names_of(family: &str) -> Value {
    names(family, "Айжан")
}

/// A reference that no act has yet.
fn reference() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    format!("p{}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// A number of the same sex and birthday that nobody holds.
fn nobody(like: PersonalNumber) -> PersonalNumber {
    let born = like.birth_date().expect("a day");
    PersonalNumber::compose(like.sex(), born, (like.serial() + 1) % 100_000)
}

fn soap(country: &Country, operation: &str, content: &str) -> Answer {
    let parts: Vec<&str> = READER.split('/').collect();
    let [instance, class, member, subsystem] = parts[..] else {
        panic!("{READER}");
    };
    let request = format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\" \
         xmlns:i=\"http://x-road.eu/xsd/identifiers\"><s:Header><x:client i:objectType=\"SUBSYSTEM\">\
         <i:xRoadInstance>{instance}</i:xRoadInstance><i:memberClass>{class}</i:memberClass>\
         <i:memberCode>{member}</i:memberCode><i:subsystemCode>{subsystem}</i:subsystemCode></x:client>\
         <x:service i:objectType=\"SERVICE\"><i:xRoadInstance>{instance}</i:xRoadInstance>\
         <i:memberClass>GOV</i:memberClass><i:memberCode>70000001</i:memberCode>\
         <i:subsystemCode>population</i:subsystemCode><i:serviceCode>{operation}</i:serviceCode></x:service>\
         <x:userId>1</x:userId><x:id>4</x:id><x:protocolVersion>4.0</x:protocolVersion></s:Header>\
         <s:Body><q:{operation} xmlns:q=\"{POPULATION_NAMESPACE}\">{content}</q:{operation}></s:Body></s:Envelope>"
    );
    let head = "Content-Type: text/xml\r\n";
    let line = "POST /population/soap";
    ask(country.running.address, line, head, request.as_bytes())
}

/// What the page says that a channel tells: the cell of its row in the column of this heading.
fn published(column: &str) -> Vec<(String, String)> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let mut lines = PAGE
        .lines()
        .skip_while(|line| !line.starts_with("| what a channel tells |"))
        .take_while(|line| line.starts_with('|'));
    let heading = cells(lines.next().expect("a table"));
    let place = heading.iter().position(|cell| cell == column);
    let place = place.unwrap_or_else(|| panic!("no column {column}"));
    lines
        .skip(1)
        .map(|line| {
            let row = cells(line);
            (row[0].clone(), row[place].clone())
        })
        .collect()
}

/// Asks everything about somebody, and compares it with what the page says. `secrets` are texts that must not be in an
/// answer which tells something.
fn compare(
    family: &Family,
    viewer: PersonalNumber,
    somebody: PersonalNumber,
    column: &str,
    secrets: &[String],
) {
    let nobody = nobody(somebody);
    let channels = family.channels(viewer);
    let rows = published(column);
    let asked: Vec<&str> = channels.iter().map(|(name, _)| *name).collect();
    let listed: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(listed[..asked.len()], asked);
    for ((name, asks), (_, cell)) in channels.iter().zip(&rows) {
        if cell == "–" {
            continue;
        }
        for (place, ask) in asks.iter().enumerate() {
            let what = format!("{name}, question {place}, {column}");
            let told = ask(somebody);
            let text = told.text();
            match cell.as_str() {
                "nobody" | "no" => {
                    let unknown = ask(nobody);
                    let same = text.replace(somebody.as_str(), nobody.as_str());
                    assert_eq!(
                        (told.status, same),
                        (unknown.status, unknown.text()),
                        "{what}"
                    );
                    assert_eq!(told.status == 200, cell == "no", "{what}: {text}");
                }
                "left out" => assert!(!text.contains(somebody.as_str()), "{what}: {text}"),
                "withheld" => {}
                other => panic!("no test for {other}"),
            }
            for secret in secrets {
                assert!(!text.contains(secret), "{what}: {secret} in {text}");
            }
        }
    }
}

/// A protected witness is nobody over every channel, in the words and in the time in which nobody is nobody, and so is a
/// number that was given up in favour of the witness's.
#[test]
fn a_protected_witness_is_nobody() {
    let family = Family::new();
    let country = &family.country;
    let event = json!({ "kind": "enrolment", "person": newcomer("Эркинова", "Бермет") });
    let other = country.act(ZAGS, "double", event).json()["number"].clone();
    let other: PersonalNumber = serde_json::from_value(other).expect("a number");
    assert_eq!(country.about(READER, "", other).status, 200);
    country.protect(family.father, ProtectionKind::Witness, None);
    country.running.enter(Event::CitizenshipChange {
        person: family.father,
        citizenship: Citizenship::Of("KAZ".into()),
    });
    let about = country.running.register().last_act().expect("an act").0;
    country.running.enter(Event::Merge {
        kept: family.father,
        given_up: other,
        carried: Vec::new(),
    });
    for number in [family.father, other] {
        compare(&family, family.child, number, WITNESS, &[]);
    }
    // Nor is an act about the witness one that could be taken back.
    let reverse = |act: u64| json!({ "kind": "reversal", "act": act });
    let hidden = country.act(ZAGS, "r1", reverse(about));
    assert_eq!(error(&hidden), (422, "ActRefused".into()));
    let unknown = country.act(ZAGS, "r2", reverse(about + 1000));
    assert_eq!(
        hidden.text().replace(&about.to_string(), "N"),
        unknown.text().replace(&(about + 1000).to_string(), "N")
    );
    // The witness is somebody to himself, and to those whom a law names.
    let himself = country.token(&json!({ "number": family.father }));
    let own = country.own(&himself, "", family.father);
    assert_eq!(own.status, 200);
    // That the witness locked the number is not told either: it would tell that somebody holds it.
    let lock = country.own(&himself, "/locks/set", family.father);
    assert_eq!(lock.status, 200);
    let for_credit = format!("{}X-Road-Issue: credit\r\n", headers(READER, "1"));
    let names = family.names(family.father);
    let told = |number: PersonalNumber| {
        let given = json!({
            "number": number,
            "familyName": names.family.cyrillic,
            "givenName": names.given.cyrillic,
        });
        let about = json!({ "number": number });
        let acting = json!({ "number": number, "actor": family.child, "theme": "health" });
        [
            ("persons", &about),
            ("persons/portrait", &about),
            ("persons/represented-by", &acting),
            ("verifications", &given),
        ]
        .map(|(path, question)| {
            let (line, body) = (format!("POST /population/{path}"), question.to_string());
            let answer = ask(country.running.address, &line, &for_credit, body.as_bytes());
            let text = answer.text().replace(number.as_str(), "N");
            (answer.status, text)
        })
    };
    assert_eq!(told(family.father), told(nobody(family.father)));
    let police = country.about(POLICE, "", other);
    assert_eq!(police.json()["number"], family.father.as_str());
    assert_eq!(country.get(POLICE, "notices?after=0").status, 200);

    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..60 {
        for (number, times) in [family.father, nobody(family.father)]
            .iter()
            .zip(&mut times)
        {
            let begun = Instant::now();
            country.about(READER, "", number);
            times.push(begun.elapsed());
        }
    }
    let [hidden, unknown] = times.map(|mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    });
    assert!(
        hidden < unknown * 2 && unknown < hidden * 2,
        "{hidden:?} and {unknown:?}"
    );
}

/// The one whom a court names learns nothing of the victim: neither as parent, nor of a victim's child where both are.
#[test]
fn a_victim_is_nobody_to_the_one_whom_the_court_names() {
    let family = Family::new();
    let country = &family.country;
    let (father, child) = (family.father, family.child);
    let token = country.token(&json!({ "number": father }));
    assert_eq!(country.own(&token, "", child).status, 200);
    country.protect(child, ProtectionKind::Violence, Some(father));
    compare(&family, father, child, VICTIM, &[]);
    let mandate = |giver, holder| country.represented(READER, giver, holder, "family").json();
    assert_eq!(
        mandate(child, father),
        json!({ "mayAct": false, "mayHoldMandate": false })
    );
    let mother = mandate(child, family.mother);
    assert_eq!(mother, json!({ "mayAct": true, "mayHoldMandate": true }));
}

fn home(house: &str) -> Address {
    Address {
        unit: "KG-GB-01-01".parse().expect("a unit"),
        street: "Көмүскө".into(),
        house: house.into(),
        flat: None,
    }
}

/// Whereabouts are hidden whichever protection it is, and those of a child while a parent's are.
#[test]
fn whereabouts_are_hidden() {
    for (protected, kind) in [
        ("child", ProtectionKind::HiddenWhereabouts),
        ("child", ProtectionKind::Violence),
        ("mother", ProtectionKind::HiddenWhereabouts),
        ("mother", ProtectionKind::Violence),
        ("mother", ProtectionKind::Witness),
    ] {
        let family = Family::new();
        let country = &family.country;
        let (father, child) = (family.father, family.child);
        for residence in [Residence::Registered, Residence::Actual] {
            country.running.enter(Event::Moved {
                person: child,
                residence,
                address: Some(home("77-А")),
            });
        }
        let open = country.about(READER, "/address", child);
        assert!(open.text().contains("Көмүскө"));
        let token = country.token(&json!({ "number": father }));
        let seen = country.own(&token, "/look-ups", child);
        assert_eq!(seen.status, 200);
        let (person, against) = match protected {
            "child" => (child, None),
            _ => (
                family.mother,
                (kind == ProtectionKind::Violence).then_some(father),
            ),
        };
        country.protect(person, kind, against);
        let secrets = ["Көмүскө", "77-А", "KG-GB-01-01"].map(str::to_owned);
        compare(&family, father, child, WHEREABOUTS, &secrets);
        // Who looked would tell where the child is; that it is his child is told.
        let looks = country.own(&token, "/look-ups", child);
        assert_eq!(error(&looks), (404, "PersonNotFound".into()), "{protected}");
        let record = country.own(&token, "", child);
        assert!(record.json()["familyName"].is_object());
        assert_eq!(record.json()["acts"], json!([]));
        let police = country.about(POLICE, "/address", child);
        assert!(police.text().contains("77-А"));
        let own = country.token(&json!({ "number": child }));
        let own = country.own(&own, "", child);
        assert!(own.text().contains("77-А"), "it is the child's own");
        let mother = country.token(&json!({ "number": family.mother }));
        let mother = country.own(&mother, "", child).text();
        assert_eq!(mother.contains("77-А"), protected == "mother");
    }
}

/// What was before a secret adoption is told by no channel, and asked for it, each says no.
#[test]
fn nothing_tells_of_the_time_before_a_secret_adoption() {
    let family = Family::new();
    let country = &family.country;
    let child = family.child;
    let before = family.names(child);
    country.running.enter(Event::DocumentIssued {
        person: child,
        document: Document {
            kind: DocumentKind::BirthCertificate,
            number: "KGZ-0012345".into(),
            issued_on: id_registry::day_of(OffsetDateTime::now_utc()),
            expires_on: None,
            authority: "ZAGS".into(),
        },
    });
    let right = family.verify(before.clone(), Some("KGZ-0012345"))(child);
    assert_eq!(right.json()["matches"], true);
    let name = |cyrillic: &str, latin: &str| Name {
        cyrillic: cyrillic.into(),
        russian: None,
        latin: latin.into(),
    };
    let after = Names {
        family: name("Жаңыбаев", "Zhanybaev"),
        given: name("Жаңы", "Zhany"),
        patronymic: None,
    };
    let adopters = (0..400)
        .step_by(4)
        .find(|place| {
            let old = |place| (1960..1990).contains(&resident(place).born_on.year());
            resident(*place).number != family.father && old(*place) && old(place + 1)
        })
        .expect("a couple");
    let (father, mother) = (resident(adopters).number, resident(adopters + 1).number);
    country.running.enter(Event::Adoption {
        child,
        mother: Some(mother),
        father: Some(father),
        instead_of: [None, None],
        names: Some(after.clone()),
        birth_place: Some("Ош".into()),
        secret: true,
    });
    let secrets = [
        before.family.cyrillic.clone(),
        before.family.latin.clone(),
        before.given.cyrillic.clone(),
        "KGZ-0012345".to_owned(),
        family.father.to_string(),
        family.mother.to_string(),
        "adoption".to_owned(),
    ];
    compare(&family, father, child, ADOPTION, &secrets);
    // Not even the child's own record tells.
    let own = family.own(child, "")(child);
    for secret in &secrets {
        assert!(!own.text().contains(secret), "{secret}: {}", own.text());
    }
    for (names, document) in [
        (before.clone(), None),
        (before, Some("KGZ-0012345")),
        (after.clone(), Some("KGZ-0012345")),
    ] {
        let verdict = family.verify(names, document)(child);
        assert_eq!(verdict.json(), json!({ "matches": false }));
    }
    let right = family.verify(after, None)(child);
    assert_eq!(right.json()["matches"], true);
    // Those who were the parents have no such child, and it is nobody to them.
    for parent in [family.father, family.mother] {
        let record = family.own(parent, "");
        assert!(!record(parent).text().contains(child.as_str()));
        assert_eq!(error(&record(child)), (404, "PersonNotFound".into()));
        let relations = country.about(READER, "/relations", parent);
        assert!(!relations.text().contains(child.as_str()));
    }
    let changed = country.get(READER, "changes?after=1").text();
    assert!(changed.contains(child.as_str()));
    assert!(!changed.contains(family.father.as_str()));
    assert!(!changed.contains(family.mother.as_str()));
}

/// Parents see what the theme allows; who lost the rights is nobody to the child, over every channel and at once; from 14
/// a child's confidential matters are its own. A child sees that the parent looked.
#[test]
fn parents_see_their_child_as_far_as_the_law_allows() {
    let family = Family::new();
    let country = &family.country;
    let (father, child) = (family.father, family.child);
    let token = country.token(&json!({ "number": father }));
    assert_eq!(country.own(&token, "", child).status, 200);
    let looks = country.own(&token, "/look-ups", child);
    assert_eq!(looks.status, 200);
    assert_eq!(looks.json()["lookUps"][0]["service"], "ownLookUps");
    let older = (0..400)
        .filter(|place| place % 4 > 1)
        .find(|place| (2009..2012).contains(&resident(*place).born_on.year()))
        .expect("a child");
    let (teen, of_teen) = (
        resident(older).number,
        resident(older - older % 4 + 1).number,
    );
    let second = country.token(&json!({ "number": of_teen }));
    let seen = country.own(&second, "", teen);
    assert_eq!(seen.status, 200);
    assert_eq!(seen.json()["acts"], json!([]));
    assert!(seen.json()["locks"].is_null());
    let confidential = country.own(&second, "/look-ups", teen);
    assert_eq!(error(&confidential), (404, "PersonNotFound".into()));
    let may = |theme: &str| {
        let answer = country.represented(READER, teen, of_teen, theme);
        answer.json()["mayAct"] == true
    };
    assert!(may("health") && !may("confidential"));
    for rights in [ParentalRights::Limited, ParentalRights::Lost] {
        country.running.enter(Event::ParentalRights {
            child,
            parent: father,
            rights,
        });
        for (name, asks) in family.channels(father) {
            let asks = match name {
                "own view of another" => asks,
                "own view of oneself" => {
                    assert!(!asks[0](child).text().contains(child.as_str()));
                    continue;
                }
                "who may act" => {
                    assert_eq!(asks[0](child).json()["mayAct"], false);
                    assert!(asks[1](child).text().contains("<mayAct>false</mayAct>"));
                    continue;
                }
                _ => continue,
            };
            for (place, ask) in asks.iter().enumerate() {
                let (told, unknown) = (ask(child), ask(nobody(child)));
                let same = told.text().replace(child.as_str(), nobody(child).as_str());
                assert_eq!(same, unknown.text(), "{place}");
                assert_eq!(error(&told), (404, "PersonNotFound".into()), "{place}");
            }
        }
    }
}
