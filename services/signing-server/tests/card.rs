//! People with an identity card: they enrol without a desk, sign in and sign with the card, and nobody else's card does.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use common::*;
use http::Method;
use oauth2::form;
use pki::{Certificate, DigestAlgorithm, KeyType, SignatureAlgorithm, Signer as _, SoftwareKey};
use server_signing::{Kind, Order, What};

const HOLDER: &str = "20303199000044";

/// An identity card, as its reader and program use it.
struct Card {
    key: SoftwareKey,
    certificate: Certificate,
}

impl Card {
    fn new(authority: &Authority, number: &str, now: time::OffsetDateTime) -> Self {
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
        let key = key.with_algorithm(algorithm).unwrap();
        let (surname, given_name) = ("Садыков", "Эмил");
        let subject = ca::person_subject(number, surname, given_name).unwrap();
        let order = Order {
            request: pki::csr::build(&subject, &key).unwrap(),
            holder: number.parse().unwrap(),
            surname: surname.into(),
            given_name: given_name.into(),
            kind: Kind::Simple,
        };
        let certificate = authority.issue(&order, now);
        Self { key, certificate }
    }

    fn sign(&self, text: &str) -> String {
        csc::to_base64(&self.key.sign(text.as_bytes()).unwrap())
    }
}

/// Somebody enrols with their card alone; gives the browser.
fn enrolled<'a>(world: &'a World, card: &Card) -> Browser<'a> {
    let browser = Browser::new(world);
    browser.get("/enrol");
    let pem = card.certificate.to_pem();
    let page = browser.post(
        "/enrol/self",
        &[("certificate", &pem), ("qualified", "yes")],
    );
    let page = location(&page);
    let shown = browser.get(&page);
    assert!(shown.body().contains("Садыков Эмил") && shown.body().contains("Identity card"));
    let text = browser
        .get(&page.replace("approve", "statement"))
        .into_body();
    let other = Card::new(&world.authority, HOLDER, world.now());
    for wrong in [card.sign("another text"), other.sign(&text), "x".to_owned()] {
        assert_eq!(browser.post(&page, &[("card", &wrong)]).status(), 400);
    }
    let done = browser.post(&page, &[("card", &card.sign(&text))]);
    assert!(done.body().contains("<h1>Done</h1>"), "{}", done.body());
    browser
}

#[test]
fn a_card_enrols_signs_in_and_signs() {
    let world = World::new();
    let card = Card::new(&world.authority, HOLDER, world.now());
    let browser = enrolled(&world, &card);
    // The page holds the question; the card signs it.
    let page = browser.get("/sign-in").into_body();
    let question = page.split("name=\"ceremony\" value=\"").nth(2).unwrap();
    let question = question.split('"').next().unwrap().to_owned();
    let fields = |number: &str, signature: &str| {
        let fields = [
            ("ceremony", question.as_str()),
            ("number", number),
            ("card", signature),
        ];
        browser.post("/sign-in", &fields)
    };
    let signature = card.sign(&question);
    assert_eq!(fields(PERSON, &signature).status(), 400, "another's number");
    let wrapped = format!("{}\n {}", &signature[..20], &signature[20..]);
    assert_eq!(location(&fields(HOLDER, &wrapped)), "/me");
    assert_eq!(fields(HOLDER, &signature).status(), 400, "replayed");
    // The bank asks; the card confirms the text of the statement.
    let token = world.service_token(&world.bank);
    let body = serde_json::json!({ "userID": HOLDER });
    let listed = value(&world.csc(&token, "credentials/list", &body));
    let credential = listed["credentialIDs"][0].as_str().unwrap();
    let details = world
        .details(&["contract"])
        .replace(&world.credential, credential);
    let asked = world.asked(&world.bank, &details, &[]);
    let page = location(&browser.get(&format!("/oauth2/authorize?{}", form(&asked))));
    let html = browser.get(&page).into_body();
    assert!(
        html.contains("identity card") && !html.contains("data-passkey"),
        "{html}"
    );
    let text = browser
        .get(&page.replace("confirm", "statement"))
        .into_body();
    assert!(text.contains("contract.pdf"));
    let answer = location(&browser.post(&page, &[("card", &card.sign(&text))]));
    let code = parameter(&answer, "code").unwrap();
    let token = value(&world.redeem(&world.bank, &code, &[]));
    let mut sign = world.sign_body(&["contract"]);
    sign["credentialID"] = credential.into();
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(world.csc(token, "signatures/signHash", &sign).status(), 200);
    let events = world
        .server
        .signing()
        .history(HOLDER.parse().unwrap(), 10)
        .unwrap();
    assert_eq!(events[0].what, What::Signed);
}

#[test]
fn cards_that_prove_nothing_are_refused() {
    let world = World::new();
    let enrol = |certificate: &Certificate| {
        let browser = Browser::new(&world);
        browser.get("/enrol");
        let der = csc::to_base64(certificate.der());
        browser.post(
            "/enrol/self",
            &[("certificate", &der), ("qualified", "yes")],
        )
    };
    // Issued by somebody else; over; somebody's who is here already; no person's at all.
    let elsewhere = World::new();
    let foreign = Card::new(&elsewhere.authority, HOLDER, world.now());
    assert_eq!(enrol(&foreign.certificate).status(), 400);
    let known = Card::new(&world.authority, PERSON, world.now());
    assert!(
        enrol(&known.certificate)
            .body()
            .contains("has a signature already")
    );
    assert_eq!(enrol(world.authority.certificate()).status(), 400);
    let card = Card::new(&world.authority, HOLDER, world.now());
    world.wait(366 * 24 * 3600);
    assert_eq!(enrol(&card.certificate).status(), 400);
    let browser = Browser::new(&world);
    browser.get("/enrol");
    for wrong in [
        "",
        "x",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    ] {
        let reply = browser.post(
            "/enrol/self",
            &[("certificate", wrong), ("qualified", "yes")],
        );
        assert!(
            reply.status() == 400 || reply.status() == 403,
            "{wrong}: {}",
            reply.status()
        );
    }
    assert_eq!(world.call(&Method::PUT, "/enrol", &[], "").status(), 403);
}
