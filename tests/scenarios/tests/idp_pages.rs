//! The pages in a real browser: Chromium with its virtual authenticator, driven over WebDriver. A person signs up, adds a
//! passkey and comes back with the passkey alone; officers find somebody, see the portrait, and recover the account. Every
//! page is looked at in every language (`testkit::Browser::look`).
//!
//! Needs Debian's `chromium` and `chromium-driver`. With `TUNDUK_SCREENSHOTS` set to a folder it leaves pictures there.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

#[path = "../../../services/idp-server/tests/common/mod.rs"]
mod common;

use std::sync::{Arc, Mutex};

use common::*;
use idp_server::oauth::{Keys, Oauth};
use idp_server::pages::{CodePost, Pages};
use oidc_provider::*;
use serde_json::{Value, json};
use testkit::Browser;
use time::OffsetDateTime;

#[derive(Default)]
struct Letters(Mutex<Vec<String>>);

impl CodePost for Letters {
    fn post(&self, delivery: &Delivery) -> Result<(), std::io::Error> {
        let code = delivery.code.as_ref().map_or("none", Secret::expose);
        self.0.lock().unwrap().push(code.to_owned());
        Ok(())
    }
}

struct NoNames;

impl idp_server::oauth::PersonClaims for NoNames {
    fn claims(
        &self,
        _: &id_registry::PersonalNumber,
        _: &std::collections::BTreeSet<String>,
    ) -> Result<serde_json::Map<String, Value>, StoreError> {
        Ok(serde_json::Map::new())
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and ChromeDriver: cargo xtask test"]
async fn a_person_signs_up_and_comes_back_with_a_passkey_alone_and_officers_see_faces() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let provider = World::new(Profile::Standard).oauth.provider().clone();
    let keys = Keys {
        active: key(),
        published: Vec::new(),
    };
    let oauth = Arc::new(Oauth::new(
        provider.clone(),
        Arc::new(NoNames),
        issuer.clone(),
        keys,
    ));
    let letters = Arc::new(Letters::default());
    let hasher = Arc::new(passwords::Hasher::start(1, 8).unwrap());
    let pages = Pages::new(
        oauth,
        hasher,
        letters.clone(),
        Arc::new(Faces),
        Tenant::Sandbox,
    )
    .unwrap();
    let pages = Arc::new(pages);
    let handler = move |request, connection: Arc<transport::Connection>| {
        let pages = Arc::clone(&pages);
        async move { pages.handle(request, &connection).await }
    };
    let limits = transport::ServeLimits::default();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(transport::serve_http(listener, handler, limits, async {
        let _ = stopped.await;
    }));
    tokio::task::spawn_blocking(move || {
        let browser = Browser::start(&[]);
        browser.add_authenticator("internal");
        person(&browser, &issuer, &letters);
        officer(&browser, &issuer, &provider);
    })
    .await
    .unwrap();
    drop(stop);
    server.await.unwrap();
}

fn in_all_languages(browser: &Browser, issuer: &str, path: &str) {
    for language in ["ky", "ru", "en"] {
        browser.open(&format!("{issuer}{path}?language={language}"));
        let name = path.trim_matches('/').replace('/', "-");
        browser.look(&format!("{name}-{language}"));
    }
}

fn person(browser: &Browser, issuer: &str, letters: &Letters) {
    for path in [
        "/sign-in",
        "/first-key",
        "/counter",
        "/unfreeze",
        "/nothing",
    ] {
        in_all_languages(browser, issuer, path);
    }
    browser.open(&format!("{issuer}/sign-in?language=en"));
    browser.write("#email", "aida@example.kg");
    browser.click("form[action='/sign-up'] button");
    browser.wait_for("Enter the code");
    browser.look("code");
    browser.write("#code", "WRONG");
    browser.click("form[action='/sign-in/code'] button");
    browser.wait_for("These do not belong together");
    browser.look("code-wrong");
    let code = letters.0.lock().unwrap().pop().unwrap();
    browser.write("#code", &code);
    browser.click("form[action='/sign-in/code'] button");
    browser.wait_for("My account");

    browser.write("#label", "Phone");
    browser.click("form[action='/account/add-key'] button");
    browser.wait_for("It was changed");
    browser.wait_for("Phone");
    browser.click("form[action='/sign-out'] button");
    browser.wait_for("You are signed out");

    browser.open(&format!("{issuer}/sign-in"));
    browser.click("form[action='/sign-in/phone'] button");
    browser.wait_for("The phone asks you to choose");
    browser.look("screen");
    browser.open(&format!("{issuer}/sign-in"));
    browser.click("form[action='/sign-in/passkey'] button");
    browser.wait_for("My account");
    for path in [
        "/account",
        "/acting",
        "/clients",
        "/device",
        "/account/events",
        "/account/freeze",
        "/sign-out",
    ] {
        in_all_languages(browser, issuer, path);
    }
    browser.open(&format!("{issuer}/clients"));
    browser.click("form[action='/clients/form'] button");
    browser.wait_for("Registration of a service");
    browser.look("client-form");
    // Without a script all but passkeys works: the forms are plain ones.
    let scripted = browser
        .run("return [...document.querySelectorAll('form')].every(f => f.getAttribute('method') === 'post')");
    assert_eq!(scripted, true);
}

/// An officer and the minister, with cards; their sessions are put into the browser.
fn officer(browser: &Browser, issuer: &str, provider: &Provider) {
    let card = |serial| {
        let holder = CardHolder {
            number: number(serial),
            tenant: Tenant::Sandbox,
        };
        let origin = Origin {
            network: "127.0.0.0/24".to_owned(),
            device: None,
            label: "Firefox".to_owned(),
        };
        let now = OffsetDateTime::now_utc();
        let signed_in = provider.sign_in_with_card(holder, &origin, None, now, &seed());
        signed_in.unwrap().session
    };
    let enter = |session: &Secret| {
        browser.open(&format!("{issuer}/assets/emblem.svg"));
        let cookie = json!({ "cookie": {
            "name": "__Host-session", "value": session.expose(), "path": "/", "secure": true, "httpOnly": true,
        }});
        browser.ask("POST", "/cookie", Some(&cookie));
    };
    let boss = card(8);
    let now = OffsetDateTime::now_utc();
    provider
        .appoint_first(number(8), Tenant::Sandbox, "ministry", now)
        .unwrap();
    let (first, second, _) = (card(1), card(2), card(3));
    let who = provider.session(&boss, OffsetDateTime::now_utc()).unwrap();
    let duty = provider.on_duty(&who, Duty::Appointment).unwrap();
    for serial in [1, 2] {
        let duties = [Duty::Desk, Duty::Clients];
        let appointed = provider.appoint(&duty, number(serial), Tenant::Sandbox, "Ош 1", &duties);
        appointed.unwrap();
    }
    enter(&boss);
    in_all_languages(browser, issuer, "/officers");
    enter(&first);
    for path in ["/desk", "/approvals"] {
        in_all_languages(browser, issuer, path);
    }
    browser.open(&format!("{issuer}/desk"));
    browser.write("#number", number(3).as_str());
    browser.click("form[action='/desk/person'] button");
    browser.wait_for("Aida Asanova");
    let drawn = browser.run("return document.querySelector('.portrait img').naturalWidth");
    assert!(
        drawn.as_i64() > Some(0),
        "the portrait is not drawn: {drawn}"
    );
    browser.look("desk-person");
    browser.click("#recovery-compared");
    browser.click("form[action='/desk/recovery'] button");
    browser.wait_for("a second officer of the office finds the case");
    enter(&second);
    browser.open(&format!("{issuer}/desk"));
    browser.click("form[action='/desk/case'] button");
    browser.wait_for("Aida Asanova");
    browser.look("desk-case");
    browser.click("#compared");
    browser.click("form[action='/desk/confirm'] button");
    browser.wait_for("Give this code to the person");
    browser.look("desk-code");
}
