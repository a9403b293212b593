//! Protected people, children and their parents: what each service tells of them.

mod common;

use common::country::{POLICE, READER, ZAGS, country, error, names, resident};
use common::{Answer, ask, headers};
use id_registry::{Event, PersonalNumber, ProtectionKind, Register};
use serde_json::json;

/// Parents see what the theme allows; who lost the rights sees nothing from the act on; from 14 a child's confidential
/// matters are its own. A child sees that the parent looked.
#[test]
fn parents_see_their_child_as_far_as_the_law_allows() {
    let country = country();
    let child_born_in = |years: std::ops::Range<i32>| {
        (0..400)
            .filter(|place| place % 4 > 1)
            .find(|place| years.contains(&resident(*place).born_on.year()))
            .expect("a child")
    };
    let young = child_born_in(2014..2027);
    let (child, parent) = (
        resident(young).number,
        resident(young - young % 4 + 1).number,
    );
    let token = country.token(&json!({ "number": parent }));
    assert_eq!(country.own("GET", &token, child.as_str()).status, 200);
    let looks = country.own("GET", &token, &format!("{child}/look-ups"));
    assert_eq!(looks.status, 200);
    assert_eq!(looks.json()["lookUps"][0]["service"], "ownLookUps");
    let older = child_born_in(2009..2012);
    let (teen, of_teen) = (
        resident(older).number,
        resident(older - older % 4 + 1).number,
    );
    let second = country.token(&json!({ "number": of_teen }));
    let seen = country.own("GET", &second, teen.as_str());
    assert_eq!(seen.status, 200);
    assert_eq!(seen.json()["acts"], json!([]));
    let confidential = country.own("GET", &second, &format!("{teen}/look-ups"));
    assert_eq!(confidential.status, 404);
    country.running.enter(Event::ParentalRights {
        child,
        parent,
        rights: id_registry::ParentalRights::Lost,
    });
    for path in ["", "/look-ups", "/portrait"] {
        let gone = country.own("GET", &token, &format!("{child}{path}"));
        assert_eq!(error(&gone), (404, "PersonNotFound".into()), "{path}");
    }
}

/// A protected witness is nobody in every service there is, in the words in which nobody is nobody.
#[test]
fn a_protected_witness_is_nobody_in_every_service() {
    let country = country();
    let (father, mother, child) = (resident(4).number, resident(5).number, resident(6).number);
    let born = mother.birth_date().expect("a day");
    let nobody = PersonalNumber::compose(mother.sex(), born, (mother.serial() + 1) % 100_000);
    country.protect(mother, ProtectionKind::Witness, None);
    let before = country.running.register().last_act().expect("an act").0;
    country.running.enter(Event::CitizenshipChange {
        person: mother,
        citizenship: id_registry::Citizenship::Of("KAZ".into()),
    });
    let token = country.token(&json!({ "number": child }));
    let same = |ask: &dyn Fn(PersonalNumber) -> Answer, what: &str| {
        let (hidden, unknown) = (ask(mother), ask(nobody));
        assert_eq!(hidden.status, unknown.status, "{what}: {}", hidden.text());
        let text = hidden.text().replace(mother.as_str(), nobody.as_str());
        assert_eq!(text, unknown.text(), "{what}");
    };
    for path in [
        "",
        "/relations",
        "/address",
        "/portrait",
        "/signature-image",
        "/doubles",
        "/represented-by/11505198500001?theme=health",
    ] {
        same(
            &|number| country.get(READER, &format!("persons/{number}{path}")),
            path,
        );
    }
    same(
        &|number| {
            let path = format!("persons/{child}/represented-by/{number}?theme=identity");
            country.get(READER, &path)
        },
        "as the one who acts",
    );
    same(
        &|number| {
            let given = json!({
                "number": number,
                "familyName": resident(5).family_name.cyrillic,
                "givenName": resident(5).given_name.cyrillic,
            });
            ask(
                country.running.address,
                "POST /population/verifications",
                &headers(READER, "1"),
                given.to_string().as_bytes(),
            )
        },
        "verification",
    );
    for path in ["", "/look-ups", "/portrait"] {
        same(
            &|number| country.own("GET", &token, &format!("{number}{path}")),
            "own",
        );
    }
    let place = std::cell::Cell::new(0);
    for event in [
        |number: PersonalNumber| json!({ "kind": "death", "person": number }),
        |number| json!({ "kind": "nameChange", "person": number, "names": names("Асанова", "Айжан") }),
        |number| json!({ "kind": "marriage", "spouses": [resident(8).number, number] }),
        |number| json!({ "kind": "merge", "kept": resident(9).number, "givenUp": number }),
        |number| json!({ "kind": "distinct", "numbers": [number, resident(9).number] }),
        |number| json!({ "kind": "correction", "person": number, "act": 2, "facts": [{ "birthPlace": "Ош" }] }),
        |number| json!({ "kind": "moved", "person": number, "residence": "actual" }),
    ] {
        same(
            &|number| {
                place.set(place.get() + 1);
                country.act(ZAGS, &format!("w{}", place.get()), event(number))
            },
            "acts",
        );
    }
    // Nor is an act about her one that could be taken back.
    let reverse = |act: u64| json!({ "kind": "reversal", "act": act });
    let hidden = country.act(ZAGS, "r1", reverse(before + 1));
    assert_eq!(error(&hidden), (422, "ActRefused".into()));
    let unknown = country.act(ZAGS, "r2", reverse(before + 1000));
    assert_eq!(
        hidden.text().replace(&(before + 1).to_string(), "N"),
        unknown.text().replace(&(before + 1000).to_string(), "N")
    );

    // She is in nobody's lists.
    for path in [
        format!("persons/{father}/relations"),
        format!("persons/{child}/relations"),
        format!("changes?after={before}"),
        "doubles?after=0".to_owned(),
    ] {
        let answer = country.get(READER, &path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains(mother.as_str()), "{path}");
    }
    let own = country.own("GET", &token, child.as_str());
    assert!(!own.text().contains(mother.as_str()), "{}", own.text());
    // She herself is somebody, and so she is to those whom a law names.
    let herself = country.token(&json!({ "number": mother }));
    assert_eq!(country.own("GET", &herself, mother.as_str()).status, 200);
    assert_eq!(
        country.get(POLICE, &format!("persons/{mother}")).status,
        200
    );
}

/// Against violence: whereabouts are hidden everywhere, and the one whom the court names learns nothing.
#[test]
fn a_victim_is_hidden_from_the_one_whom_the_court_names() {
    let country = country();
    let young = (0..400)
        .filter(|place| place % 4 > 1)
        .find(|place| resident(*place).born_on.year() >= 2014)
        .expect("a child");
    let (child, father) = (resident(young).number, resident(young - young % 4).number);
    let token = country.token(&json!({ "number": father }));
    assert_eq!(country.own("GET", &token, child.as_str()).status, 200);
    country.protect(child, ProtectionKind::Violence, Some(father));
    for path in ["", "/look-ups", "/portrait"] {
        let hidden = country.own("GET", &token, &format!("{child}{path}"));
        assert_eq!(error(&hidden), (404, "PersonNotFound".into()), "{path}");
    }
    let own = country.own("GET", &token, father.as_str());
    assert!(!own.text().contains(child.as_str()), "{}", own.text());
    let act = format!("persons/{child}/represented-by/{father}?theme=health");
    assert_eq!(country.get(READER, &act).json()["mayAct"], false);
    for path in ["", "/address"] {
        let seen = country
            .get(READER, &format!("persons/{child}{path}"))
            .json();
        assert!(seen["address"].is_null() && seen["actualAddress"].is_null());
    }
    let police = country
        .get(POLICE, &format!("persons/{child}/address"))
        .json();
    assert!(police["address"].is_object());
}
