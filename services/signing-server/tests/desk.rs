//! The desk and the person's own device: enrolment, recovery, revocation, signing without a key of one's own; and all
//! pages in all languages.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use std::sync::atomic::Ordering;

use common::*;
use http::Method;
use serde_json::json;
use server_signing::{DESK_CLIENT, EventPlace, ItemKind, Published, What};
use webauthn::SoftwareAuthenticator;

const NEW: &str = "20202199000022";

fn officer(world: &World, place: usize) -> Browser<'_> {
    let browser = Browser::new(world);
    assert_eq!(browser.sign_in(&world.officers[place].1), "/desk");
    browser
}

const NAMES: [(&str, &str); 4] = [
    ("surname", "Кадырова"),
    ("given_name", "Айгүл"),
    ("reference", "portrait 7/26"),
    ("compared", "yes"),
];

fn enrol_fields<'a>(number: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![("number", number), ("simple", "yes"), ("qualified", "yes")];
    fields.extend(NAMES);
    fields.extend(more);
    fields
}

/// What a person's history says, the latest first.
fn history(world: &World, number: &str) -> Vec<What> {
    let signing = world.server.signing();
    let events = signing.history(number.parse().unwrap(), 100).unwrap();
    events.into_iter().map(|event| event.what).collect()
}

#[test]
fn an_officer_and_a_phone_enrol_a_person() {
    let world = World::new();
    let desk = officer(&world, 0);
    let opened = desk.post("/desk/enrol", &enrol_fields(NEW, &[]));
    let code = shown_code(&opened);
    assert_eq!(code.len(), 11);
    // Without the comparison, without kinds, for oneself, for somebody who is here: no.
    for (fields, words) in [
        (
            enrol_fields(NEW, &[])
                .into_iter()
                .filter(|(name, _)| *name != "compared")
                .collect::<Vec<_>>(),
            "First compare",
        ),
        (enrol_fields("1", &[]), "14 digits"),
        (enrol_fields(OFFICER, &[]), "needs an officer"),
        (enrol_fields(PERSON, &[]), "has a signature already"),
    ] {
        let reply = desk.post("/desk/enrol", &fields);
        assert_eq!(reply.status(), 400);
        assert!(reply.body().contains(words), "{words}: {}", reply.body());
    }
    // The phone: another code opens nothing, this one shows the name and takes a new passkey.
    let phone = Browser::new(&world);
    phone.get("/enrol");
    let wrong = phone.post("/enrol", &[("code", "AAAAA-AAAAA")]);
    assert!(wrong.body().contains("There is no such code"));
    let key = authenticator("new person");
    let shown = phone.post("/enrol", &[("code", &code.to_lowercase())]);
    assert!(shown.body().contains("Кадырова Айгүл"), "{}", shown.body());
    let page = location(&phone.open_case(&code, &key));
    // A second device cannot take the code over.
    let thief = Browser::new(&world);
    let taken = thief.open_case(&code, &authenticator("thief"));
    assert!(taken.body().contains("Another device has begun"));
    // The phone confirms, then the officer, who sees the same digits; each alone is not enough.
    assert!(phone.get(&page).body().contains("My phone"));
    let one = phone.approve(&page, &key);
    assert!(
        one.body().contains("Others have yet to confirm"),
        "{}",
        one.body()
    );
    let stranger = phone.approve(&page, &authenticator("stranger"));
    assert_eq!(stranger.status(), 400);
    let other_officer = phone.approve(&page, &world.officers[1].1);
    assert_eq!(other_officer.status(), 400);
    // The certification authority is away: nothing is lost, and it goes on when it is back.
    world.authority.away.store(true, Ordering::Relaxed);
    let failed = desk.approve(&page, &world.officers[0].1);
    assert_eq!(failed.status(), 503);
    assert!(failed.body().contains("No certificate could be made"));
    world.authority.away.store(false, Ordering::Relaxed);
    let done = desk.post(&format!("{page}/again"), &[]);
    assert!(done.body().contains("<h1>Done</h1>"), "{}", done.body());
    assert_eq!(
        world.authority.issued.load(Ordering::Relaxed),
        2,
        "one of each kind"
    );
    assert!(world.authority.revoked.lock().unwrap().is_empty());
    // The person signs in with the new passkey and sees it.
    assert_eq!(phone.sign_in(&key), "/me");
    let me = phone.get("/me");
    for words in [
        "Кадырова Айгүл",
        "My phone",
        "Signature set up",
        "simple electronic signature",
    ] {
        assert!(me.body().contains(words), "{words}");
    }
    assert_eq!(history(&world, NEW), [What::Enrolled]);
    // An officer's pages are not a person's, nor the other way round.
    assert_eq!(phone.get("/desk").status(), 404);
    assert_eq!(desk.get("/me").status(), 404);
    assert!(Browser::new(&world).get("/desk").body().contains("Sign in"));
    // The visit ends by itself, and at once when the officer is dismissed.
    world
        .server
        .signing()
        .dismiss_officer(&world.officers[0].0)
        .unwrap();
    assert!(
        desk.get("/desk")
            .body()
            .contains("Sign in with the passkey")
    );
    world.wait(15 * 60);
    assert!(phone.get("/me").body().contains("Sign in with the passkey"));
}

#[test]
fn a_sign_in_is_answered_once_and_opens_nothing_else() {
    let world = World::new();
    let browser = Browser::new(&world);
    browser.get("/sign-in");
    let question = value(&browser.post("/sign-in/options", &[]));
    let challenge = question["options"]["challenge"].as_str().unwrap();
    let challenge = jose::from_base64url(challenge).unwrap();
    let ceremony = question["ceremony"].as_str().unwrap();
    let answer = world.person.assert(ORIGIN, &challenge).unwrap();
    let fields = [("ceremony", ceremony), ("answer", answer.as_str())];
    assert_eq!(location(&browser.post("/sign-in", &fields)), "/me");
    let again = Browser::new(&world);
    again.get("/sign-in");
    assert_eq!(again.post("/sign-in", &fields).status(), 400, "replayed");
    // What confirms a signature signs nobody in, and what signs in confirms no signature.
    let waiting = world.brought(&world.bank, &["contract"]);
    waiting.get(&waiting.page);
    assert_eq!(
        waiting.post(&waiting.page, &[("answer", &answer)]).status(),
        400
    );
    let options = waiting.options(&format!("{}/options", waiting.page));
    let asked = jose::from_base64url(options["challenge"].as_str().unwrap()).unwrap();
    let signature = world.person.assert(ORIGIN, &asked).unwrap();
    let fields = [("ceremony", ceremony), ("answer", signature.as_str())];
    assert_eq!(again.post("/sign-in", &fields).status(), 400);
    for key in [authenticator("nobody"), authenticator("person")] {
        let answer = key.assert(ORIGIN, &challenge).unwrap();
        let fields = [("ceremony", ceremony), ("answer", answer.as_str())];
        assert_eq!(again.post("/sign-in", &fields).status(), 400);
    }
    assert!(
        world
            .server
            .signing()
            .signed_in("x.y", world.now())
            .is_err()
    );
}

fn recovered(world: &World) -> SoftwareAuthenticator {
    let (first, second) = (officer(world, 0), officer(world, 1));
    let fields = [
        ("number", PERSON),
        ("reference", "portrait 9/26"),
        ("compared", "yes"),
    ];
    let opened = first.post("/desk/recover", &fields);
    let code = shown_code(&opened);
    assert!(opened.body().contains("the second officer"));
    let phone = Browser::new(world);
    let key = authenticator("new phone");
    // One officer is not enough, and the same one twice is one.
    assert_eq!(phone.open_case(&code, &key).status(), 400);
    let join = [("code", code.as_str()), ("compared", "yes")];
    assert_eq!(first.post("/desk/join", &join).status(), 400);
    let case = location(&second.post("/desk/join", &join));
    let page = location(&phone.open_case(&code, &key));
    assert_eq!(location(&second.get(&case)), page);
    phone.approve(&page, &key);
    assert!(
        first
            .approve(&page, &world.officers[0].1)
            .body()
            .contains("Others")
    );
    let done = second.approve(&page, &world.officers[1].1);
    assert!(done.body().contains("<h1>Done</h1>"), "{}", done.body());
    key
}

#[test]
fn a_recovery_takes_two_officers_and_stops_signing_for_a_day() {
    let world = World::new();
    let old = Browser::new(&world);
    old.sign_in(&world.person);
    let key = recovered(&world);
    assert!(history(&world, PERSON).contains(&What::AuthenticatorsReplaced));
    // Who was signed in with the old key is not any more, and the old key signs nobody in.
    assert!(old.get("/me").body().contains("Sign in with the passkey"));
    let details = world.details(&["contract"]);
    let asked = world.asked(&world.bank, &details, &[("client_id", "")]);
    let pushed = world.post(&world.bank, "/oauth2/pushed_authorize", &asked);
    assert_eq!(value(&pushed)["error"], "access_denied");
    world.wait(24 * 3600);
    let browser = world.brought(&world.bank, &["contract"]);
    assert_eq!(browser.confirm(&world.person).status(), 400);
    assert!(browser.sign(&key).contains("code="));
}

#[test]
fn people_stop_and_revoke_by_themselves_and_a_desk_lifts() {
    let world = World::new();
    let browser = Browser::new(&world);
    browser.sign_in(&world.person);
    assert_eq!(location(&browser.post("/me/freeze", &[])), "/me");
    assert!(
        browser
            .get("/me")
            .body()
            .contains("Your signature is frozen")
    );
    // Revoking works while frozen; another's credential is not theirs.
    let not_theirs = browser.post("/me/revoke", &[("credential", "other")]);
    assert_eq!(not_theirs.status(), 403);
    let page = location(&browser.post("/me/revoke", &[("credential", &world.credential)]));
    let done = browser.approve(&page, &world.person);
    assert!(done.body().contains("<h1>Done</h1>"));
    // The certification authority is told, however often it is away.
    world.authority.away.store(true, Ordering::Relaxed);
    let told = || world.server.housekeeping(&seed(), world.now()).unwrap();
    assert_eq!(told(), 0);
    world.authority.away.store(false, Ordering::Relaxed);
    assert_eq!((told(), told()), (1, 0));
    assert_eq!(world.authority.revoked.lock().unwrap().len(), 1);
    // A desk lifts the freeze, with the officer's passkey.
    let desk = officer(&world, 0);
    let fields = [
        ("number", PERSON),
        ("reference", "portrait 1/26"),
        ("compared", "yes"),
    ];
    let page = location(&desk.post("/desk/lift", &fields));
    assert_eq!(desk.approve(&page, &world.person).status(), 400);
    assert!(
        desk.approve(&page, &world.officers[0].1)
            .body()
            .contains("<h1>Done</h1>")
    );
    let shown = desk.post("/desk/person", &[("number", PERSON)]);
    assert!(shown.body().contains("revoked") && !shown.body().contains("Frozen"));
    let happened = history(&world, PERSON);
    assert_eq!(
        happened[..3],
        [What::FreezeLifted, What::Revoked, What::Frozen]
    );
}

#[test]
fn a_certificate_is_renewed_in_its_last_days() {
    let world = World::new();
    let browser = Browser::new(&world);
    browser.sign_in(&world.person);
    let early = browser.post("/me/renew", &[("credential", &world.credential)]);
    assert!(early.body().contains("last 60 days"));
    world.wait(310 * 24 * 3600);
    browser.sign_in(&world.person);
    let page = location(&browser.post("/me/renew", &[("credential", &world.credential)]));
    assert!(
        browser
            .approve(&page, &world.person)
            .body()
            .contains("<h1>Done</h1>")
    );
    let signing = world.server.signing();
    let credentials = signing.credentials(PERSON.parse().unwrap()).unwrap();
    assert_eq!(credentials.len(), 2);
    let pushed = |credential: &str| {
        let details = world
            .details(&["contract"])
            .replace(&world.credential, credential);
        let asked = world.asked(&world.bank, &details, &[("client_id", "")]);
        world
            .post(&world.bank, "/oauth2/pushed_authorize", &asked)
            .status()
            .as_u16()
    };
    let new = credentials
        .iter()
        .find(|view| view.id != world.credential)
        .unwrap();
    assert_eq!((pushed(&world.credential), pushed(&new.id)), (400, 201));
}

#[test]
fn somebody_without_a_key_signs_at_a_desk() {
    let world = World::new();
    let desk = officer(&world, 0);
    let page = location(&desk.post("/desk/enrol", &enrol_fields(NEW, &[("at_desk", "yes")])));
    assert!(
        desk.approve(&page, &world.officers[0].1)
            .body()
            .contains("<h1>Done</h1>")
    );
    let token = world.service_token(&world.bank);
    let body = serde_json::json!({ "userID": NEW });
    let listed = value(&world.csc(&token, "credentials/list", &body));
    let credential = listed["credentialIDs"][0].as_str().unwrap();
    // The client's page shows a code; the officer takes it up, compares and confirms.
    let details = world
        .details(&["contract"])
        .replace(&world.credential, credential);
    let asked = world.asked(&world.bank, &details, &[]);
    let browser = Browser::new(&world);
    let waiting = location(&browser.get(&format!("/oauth2/authorize?{}", oauth2::form(&asked))));
    let code = shown_code(&browser.get(&waiting));
    // An officer cannot sign for themselves, and says where the proof is on record.
    let join = [
        ("code", code.as_str()),
        ("compared", "yes"),
        ("reference", "portrait 3/26"),
    ];
    assert_eq!(desk.post("/desk/join", &join[..2]).status(), 400);
    let case = location(&desk.post("/desk/join", &join));
    let page = location(&desk.get(&case));
    assert!(desk.get(&page).body().contains("contract.pdf"));
    assert!(shown_code(&browser.get(&waiting)) == code, "it waits");
    assert_eq!(desk.approve(&page, &world.officers[1].1).status(), 400);
    assert!(
        desk.approve(&page, &world.officers[0].1)
            .body()
            .contains("<h1>Done</h1>")
    );
    let answer = location(&browser.get(&waiting));
    let redeemed = world.redeem(&world.bank, &parameter(&answer, "code").unwrap(), &[]);
    let token = value(&redeemed);
    let mut sign = world.sign_body(&["contract"]);
    sign["credentialID"] = credential.into();
    let token = token["access_token"].as_str().unwrap();
    let signed = world.csc(token, "signatures/signHash", &sign);
    assert_eq!(signed.status(), 200, "{}", signed.body());
    let events = world
        .server
        .signing()
        .history(NEW.parse().unwrap(), 10)
        .unwrap();
    let signed = events
        .iter()
        .find(|event| event.what == What::Signed)
        .unwrap();
    assert_eq!(signed.desk.as_ref().unwrap().reference, "portrait 3/26");
}

/// A form is taken from this site and this browser only, whatever the browser is signed in as.
#[test]
fn forms_of_other_sites_and_browsers_are_not_taken() {
    let world = World::new();
    let desk = officer(&world, 0);
    let person = Browser::new(&world);
    person.sign_in(&world.person);
    let waiting = world.brought(&world.bank, &["contract"]);
    waiting.get(&waiting.page);
    let approve = location(&person.post("/me/revoke", &[("credential", &world.credential)]));
    let mut forms: Vec<(&Browser<'_>, String)> = vec![
        (&waiting, waiting.page.clone()),
        (&waiting, format!("{}/options", waiting.page)),
        (&waiting, format!("{}/refuse", waiting.page)),
        (&person, approve.clone()),
        (&person, format!("{approve}/again")),
    ];
    for path in [
        "/sign-in",
        "/sign-in/options",
        "/sign-out",
        "/me/freeze",
        "/me/revoke",
        "/me/renew",
    ] {
        forms.push((&person, path.to_owned()));
    }
    for path in [
        "/enrol",
        "/enrol/options",
        "/enrol/key",
        "/enrol/card",
        "/enrol/self",
        "/officer",
    ] {
        forms.push((&person, path.to_owned()));
    }
    for task in [
        "enrol", "recover", "join", "lift", "freeze", "person", "revoke", "renew",
    ] {
        forms.push((&desk, format!("/desk/{task}")));
    }
    let others = Browser::new(&world);
    others.get("/sign-in");
    for (browser, path) in &forms {
        let (own, foreign) = (browser.csrf(), others.csrf());
        for (origin, token) in [
            ("https://portal.example.kg", Some(own.as_str())),
            ("null", Some(own.as_str())),
            ("http://sign.example.kg", Some(own.as_str())),
            (ORIGIN, Some(foreign.as_str())),
            (ORIGIN, None),
        ] {
            let reply = browser.post_from(origin, path, token);
            assert_eq!(
                reply.status(),
                403,
                "{path} from {origin}: {}",
                reply.body()
            );
        }
    }
    let signing = world.server.signing();
    assert!(!signing.person(PERSON.parse().unwrap()).unwrap().frozen);
    assert!(
        waiting.sign(&world.person).contains("code="),
        "nothing was refused or used up"
    );
}

/// Every page that there is, in every language, has no fault in its markup and shows no key of a text.
#[test]
fn every_page_holds_in_every_language() {
    const SOURCES: web_ui::Sources = web_ui::sources!();
    assert_eq!(web_ui::text_faults(SOURCES), Vec::<String>::new());
    let world = World::new();
    let desk = officer(&world, 0);
    let person = Browser::new(&world);
    person.sign_in(&world.person);
    let waiting = world.brought(&world.bank, &["<script>alert(1)</script>"]);
    let opened = desk.post(
        "/desk/recover",
        &[("number", PERSON), ("reference", "r"), ("compared", "yes")],
    );
    let case = opened.body().split("/desk/case/").nth(1).unwrap()[..32].to_owned();
    let approve = location(&person.post("/me/revoke", &[("credential", &world.credential)]));
    let pages = [
        (&desk, "/desk".to_owned()),
        (&desk, format!("/desk/case/{case}")),
        (&person, "/me".to_owned()),
        (&person, "/me/freeze".to_owned()),
        (&person, approve),
        (&person, "/enrol".to_owned()),
        (&person, "/officer".to_owned()),
        (&person, "/sign-in".to_owned()),
        (&person, "/nothing".to_owned()),
        (&waiting, waiting.page.clone()),
        (&waiting, waiting.page.replace("confirm", "compare")),
    ];
    for language in web_ui::Language::ALL {
        let code = language.code();
        for (browser, path) in &pages {
            let reply = browser.get(&format!("{path}?language={code}"));
            let html = reply.body();
            let csrf = browser.csrf();
            let faults = web_ui::faults(html, language, &csrf, SOURCES);
            assert!(faults.is_empty(), "{path} in {code}: {faults:?}\n{html}");
            assert!(!html.contains("<script>alert"), "{path}");
            let policy = reply.headers()["content-security-policy"].to_str().unwrap();
            assert!(
                policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'")
            );
        }
        let shown = desk.post("/desk/person", &[("number", PERSON)]);
        let faults = web_ui::faults(shown.body(), language, &desk.csrf(), SOURCES);
        assert!(faults.is_empty(), "{faults:?}");
    }
}

/// What is over is forgotten; what happened stays.
#[test]
fn what_is_over_is_forgotten() {
    let world = World::new();
    world.credential_token(&world.bank, &["contract"]);
    let kept = || {
        [
            ItemKind::Authorisation,
            ItemKind::UsedOnce,
            ItemKind::Holder,
        ]
        .map(|kind| world.store.bodies(kind).len())
    };
    let before = history(&world, PERSON);
    assert!(kept().iter().all(|count| *count > 0));
    world.server.housekeeping(&seed(), world.now()).unwrap();
    assert!(kept()[0] > 0, "its time is not over");
    world.wait(2 * 3600);
    world.server.housekeeping(&seed(), world.now()).unwrap();
    assert_eq!(kept(), [0, 0, 1]);
    assert_eq!(history(&world, PERSON), before);
}

#[test]
fn a_long_past_comes_in_pages() {
    let world = World::new();
    for place in 0..101 {
        world.credential_token(&world.bank, &[&format!("paper {place}")]);
        // Until it is over: only some wait for one person at a time.
        world.wait(301);
    }
    let person = Browser::new(&world);
    person.sign_in(&world.person);
    let latest = person.get("/me");
    assert!(
        !latest.body().contains("Signature set up"),
        "{}",
        latest.body()
    );
    let place = latest.body().split("/me?before=").nth(1).unwrap();
    let place = place.split('"').next().unwrap();
    let first = person.get(&format!("/me?before={place}"));
    assert!(
        first.body().contains("Signature set up"),
        "{}",
        first.body()
    );
    assert!(first.body().contains("href=\"/me\"") && !first.body().contains("before="));
}

/// docs/events.md names every event and field, and what is published tells of nobody.
#[test]
fn the_published_events_are_the_events() {
    let page = include_str!("../../../docs/events.md");
    let quoted = |heading: &str, fits: fn(&str) -> bool| -> Vec<String> {
        page.lines()
            .skip_while(|line| *line != heading)
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .filter(|row| fits(row))
            .flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
            .map(str::to_owned)
            .collect()
    };
    let names = quoted("| the signing service's events | |", |_| true);
    let all = What::ALL.map(What::name);
    assert_eq!(names, all);
    let mut fields = quoted("| field | what it holds | in whose events |", |row| {
        row.ends_with("| all |") || row.ends_with("| signing service |")
    });
    fields.sort();

    let world = World::new();
    world.enrol(NEW, &authenticator("neighbour"));
    world.credential_token(&world.bank, &["a"]);
    let signing = world.server.signing();
    let published = signing.published_after(EventPlace::default(), 100).unwrap();
    let (first, enrolled) = &published[0];
    assert_eq!(enrolled.event, What::Enrolled.name());
    assert_eq!(
        signing.published_after(*first, 100).unwrap(),
        published[1..]
    );
    for (_, event) in &published {
        let value = serde_json::to_value(event).unwrap();
        for field in value.as_object().unwrap().keys() {
            assert!(fields.contains(field), "{field}");
        }
        assert!(
            ![NEW, PERSON, OFFICER]
                .iter()
                .any(|number| value.to_string().contains(number))
        );
    }
    // Without any of these it is no event.
    let whole = Published {
        actor: Some("a b".to_owned()),
        credential: Some("c".to_owned()),
        authorisation: Some("d".to_owned()),
        documents: Some(2),
        ..enrolled.clone()
    };
    let value = serde_json::to_value(whole).unwrap();
    let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(keys, fields.iter().collect::<Vec<_>>());
    // Another person has another sign, the same one always the same.
    let signs: std::collections::BTreeSet<&str> = published
        .iter()
        .map(|(_, event)| event.account.as_str())
        .collect();
    assert!(
        signs.len() > 1 && signs.len() < published.len(),
        "{signs:?}"
    );
}

#[test]
fn the_identity_provider_hears_whom_to_write_to_and_nobody_else_does() {
    let world = World::new();
    let changes = |peer: &Peer, after: u64| {
        let bearer = format!("Bearer {}", world.service_token(peer));
        let headers = [("authorization", bearer.as_str())];
        let body = json!({ "after": after }).to_string();
        world.call(&Method::POST, "/people/changes", &headers, &body)
    };
    assert_eq!(changes(&world.bank, 0).status(), 403);
    let before = value(&changes(&world.idp, 0))["after"].as_u64().unwrap();
    // Nothing new: the place stays.
    assert_eq!(
        value(&changes(&world.idp, before)),
        json!({ "changes": [], "after": before })
    );
    recovered(&world);
    let signing = world.server.signing();
    let person = PERSON.parse().unwrap();
    // What the desk did is news; what the identity provider said itself is none to it.
    signing.freeze(DESK_CLIENT, person, world.now()).unwrap();
    let other = NEW.parse().unwrap();
    world.enrol(NEW, &authenticator("neighbour"));
    signing.freeze("idp", other, world.now()).unwrap();
    let heard = value(&changes(&world.idp, before));
    let heard: Vec<[&str; 2]> = heard["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            assert_eq!(change["at"], world.now().unix_timestamp());
            ["number", "changed"].map(|field| change[field].as_str().unwrap())
        })
        .collect();
    let expected = [
        [PERSON, "device"],
        [PERSON, "certificates"],
        [NEW, "certificates"],
    ];
    assert_eq!(heard, expected);
}
