//! What somebody tries against the pages: sessions planted in a browser, redirections elsewhere, guessing which names
//! have accounts by answer or by time, lists of stolen passwords.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;
mod site;

use std::time::{Duration, Instant};

use common::*;
use http::{HeaderMap, Method, StatusCode, header};
use idp_server::oauth::{Call, SESSION_COOKIE};
use site::*;

const RIGHT: &str = "correct+horse+battery";

/// Opens an account with an address and a password; the browser is signed out.
fn open_account(site: &Site, name: &str) {
    let mut browser = site.browser();
    browser.get("/sign-in");
    let reply = browser.post("/sign-up", &format!("address={name}%40example.kg"));
    let attempt = hidden(&reply, "attempt");
    let code = site.code();
    browser.post("/sign-in/code", &format!("attempt={attempt}&code={code}"));
    let reply = browser.post("/account/password", &format!("password={RIGHT}"));
    assert_eq!(sent_to(&reply), "/account?done");
    browser.post("/sign-out", "");
}

fn password(browser: &mut Browser<'_>, name: &str, password: &str) -> idp_server::oauth::Reply {
    let fields = format!("name={name}%40example.kg&password={password}");
    browser.post("/sign-in/password", &fields)
}

/// A page without what is drawn anew for each.
fn alike(reply: &idp_server::oauth::Reply) -> String {
    let attempt = hidden(reply, "attempt");
    reply.body().replace(&attempt, "ATTEMPT")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_session_never_becomes_somebody_elses() {
    tokio::task::spawn_blocking(|| {
        let site = Site::new();
        open_account(&site, "aida");
        // One that there never was: whoever signs in gets another.
        let mut browser = site.browser();
        let planted = "A".repeat(60);
        browser
            .cookies
            .insert(SESSION_COOKIE.to_owned(), planted.clone());
        browser.get("/sign-in");
        let reply = password(&mut browser, "aida", RIGHT);
        let attempt = hidden(&reply, "attempt");
        let code = site.code();
        let fields = format!("attempt={attempt}&code={code}");
        assert_eq!(sent_to(&browser.post("/sign-in/code", &fields)), "/account");
        assert_ne!(browser.cookies[SESSION_COOKIE], planted);
        // The attacker's own: it is neither replaced unseen nor raised, and stays the attacker's.
        let mut browser = site.persons_browser();
        browser.get("/sign-in");
        let reply = password(&mut browser, "aida", RIGHT);
        let attempt = hidden(&reply, "attempt");
        let code = site.code();
        let fields = format!("attempt={attempt}&code={code}");
        let reply = browser.post("/sign-in/code", &fields);
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{}", reply.body());
        assert_eq!(browser.cookies[SESSION_COOKIE], site.session.expose());
        let page = browser.get("/account");
        assert!(page.body().contains(number(7).as_str()));
        // A session that was signed out opens nothing, though the browser keeps its cookie.
        let kept = browser.cookies[SESSION_COOKIE].clone();
        browser.post("/sign-out", "");
        browser.cookies.insert(SESSION_COOKIE.to_owned(), kept);
        let page = browser.get("/account");
        assert!(page.body().contains("Sign in with a passkey"));
    })
    .await
    .unwrap();
}

#[test]
fn no_request_says_where_a_redirection_goes() {
    let site = Site::new();
    let mut browser = site.persons_browser();
    browser.get("/account");
    let evil = "https%3A%2F%2Fevil.example";
    let names = [
        "next",
        "return",
        "redirect_uri",
        "url",
        "continue",
        "client_id",
    ];
    let query: Vec<String> = names.iter().map(|name| format!("{name}={evil}")).collect();
    let query = query.join("&");
    let paths = [
        "/",
        "/continue",
        "/sign-in",
        "/sign-in/phone/wait",
        "/sign-out",
        "/account",
        "/device",
        "/desk",
        "/consent",
        "//evil.example",
        "/%2F%2Fevil.example",
        "/\\evil.example",
    ];
    for path in paths {
        for reply in [
            browser.get(&format!("{path}?{query}")),
            browser.post(path, &query),
        ] {
            let to = reply.headers().get(header::LOCATION);
            let to = to.map_or("/", |to| to.to_str().unwrap());
            let here = to.starts_with('/') && !to.starts_with("//") && !to.contains("evil");
            assert!(here, "{path}: {to}");
            assert!(!reply.headers().contains_key("refresh"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_from_page_or_time_whether_a_name_has_an_account() {
    tokio::task::spawn_blocking(|| {
        let site = Site::new();
        open_account(&site, "aida");
        let mut browser = site.browser();
        browser.get("/sign-in");
        let mut times = [Vec::new(), Vec::new()];
        let mut pages = [Vec::new(), Vec::new()];
        for round in 0..7 {
            for (place, name) in ["aida".to_owned(), format!("nobody{round}")]
                .iter()
                .enumerate()
            {
                let start = Instant::now();
                let reply = password(&mut browser, name, "wrong-password");
                times[place].push(start.elapsed());
                assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{name}");
                pages[place].push(reply.body().clone());
            }
        }
        assert_eq!(pages[0], pages[1]);
        let [known, unknown] = times.map(|mut times| {
            times.sort();
            times[times.len() / 2]
        });
        // Without the hash it would take less than a tenth.
        assert!(
            known < unknown * 3 && unknown < known * 3 && unknown > Duration::from_micros(500),
            "{known:?} with an account, {unknown:?} without"
        );
        // Signing up with an address that is taken looks the same.
        let taken = browser.post("/sign-up", "address=aida%40example.kg");
        let free = browser.post("/sign-up", "address=free%40example.kg");
        assert_eq!(taken.status(), free.status());
        assert_eq!(alike(&taken), alike(&free));
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_stolen_passwords_locks_out_nobody_but_itself() {
    tokio::task::spawn_blocking(|| {
        let site = Site::new();
        open_account(&site, "aida");
        let mut thief = site.browser();
        thief.address = "198.51.100.9";
        thief.get("/sign-in");
        let tried = (0..30).find(|round| {
            let reply = password(&mut thief, "aida", &format!("guess-number-{round}"));
            reply.status() == StatusCode::TOO_MANY_REQUESTS
        });
        let tried = tried.expect("guessing is held up");
        assert!((5..=10).contains(&tried), "after {tried}");
        // Also with the right one now, and for a name without an account as much.
        let reply = password(&mut thief, "aida", RIGHT);
        assert_eq!(reply.status(), StatusCode::TOO_MANY_REQUESTS);
        let other = (0..30).find(|_| {
            password(&mut thief, "nobody", "guess").status() == StatusCode::TOO_MANY_REQUESTS
        });
        assert_eq!(other, Some(tried));
        // The person, from another network, gets in; a key is asked for everywhere.
        let mut person = site.browser();
        person.get("/sign-in");
        let reply = password(&mut person, "aida", RIGHT);
        let attempt = hidden(&reply, "attempt");
        let code = site.code();
        let fields = format!("attempt={attempt}&code={code}");
        assert_eq!(sent_to(&person.post("/sign-in/code", &fields)), "/account");
        assert_eq!(thief.post("/sign-in/options", "").status(), StatusCode::OK);
    })
    .await
    .unwrap();
}

#[test]
fn a_click_answers_the_request_that_was_read() {
    let site = Site::new();
    let mut browser = site.persons_browser();
    site.ask(&mut browser, &["openid"]);
    let read = browser.get("/continue");
    // Meanwhile another page sends this browser here with another request.
    site.ask(&mut browser, &["openid", "number"]);
    for decision in ["allow", "refuse"] {
        let fields = format!(
            "decision={decision}&scope-number=yes&request={}",
            hidden(&read, "request")
        );
        let reply = browser.post("/consent", &fields);
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
        assert!(reply.body().contains("Another service asks now"));
        let who = site.provider.session(&site.session, now()).unwrap();
        assert!(site.provider.consents(&who).unwrap().is_empty());
        // What is asked now can be answered on the page that came.
        assert!(reply.body().contains("scope-number"));
        assert_ne!(hidden(&reply, "request"), hidden(&read, "request"));
    }
    let reply = browser.post("/consent", "decision=allow&scope-number=yes");
    assert_eq!(reply.status(), StatusCode::FORBIDDEN);
}

#[test]
fn a_card_does_not_become_the_way_to_an_account_that_somebody_left_open() {
    let site = Site::new();
    let pages = site.pages.with_cards_at("https://card.example");
    let site = Site { pages, ..site };
    let shows_card = |sent: &str| {
        let query = sent.strip_prefix("https://card.example/card?").unwrap();
        let headers = HeaderMap::new();
        let call = Call {
            method: &Method::GET,
            path: "/card",
            query,
            headers: &headers,
            body: "",
            certificate: None,
            now: now(),
            seed: seed(),
        };
        let back = site.pages.card_shown(&call, Ok(number(20)));
        sent_to(&back).strip_prefix(ISSUER).unwrap().to_owned()
    };
    let left_open = |browser: &mut Browser<'_>, name: &str| {
        browser.get("/sign-in");
        let reply = browser.post("/sign-up", &format!("address={name}%40example.kg"));
        let (attempt, code) = (hidden(&reply, "attempt"), site.code());
        browser.post("/sign-in/code", &format!("attempt={attempt}&code={code}"));
        assert!(browser.get("/account").body().contains("Sign out"));
    };
    let is_his = |browser: &mut Browser<'_>| {
        let page = browser.get("/account");
        page.body().contains(number(20).as_str())
    };
    // Asked before the card is, and afterwards if it was not asked then.
    let mut browser = site.browser();
    let sent = sent_to(&browser.get("/sign-in/card")).to_owned();
    left_open(&mut browser, "thief");
    let page = browser.get("/sign-in/card");
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.body().contains("If somebody else signed in here"));
    let reply = browser.get(&shows_card(&sent));
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
    assert!(!is_his(&mut browser));
    // Whoever says that the account is theirs gets it.
    let sent = sent_to(&browser.post("/sign-in/card", "")).to_owned();
    assert_eq!(sent_to(&browser.get(&shows_card(&sent))), "/account");
    assert!(is_his(&mut browser));
    // To step up, nothing is asked.
    let sent = sent_to(&browser.get("/sign-in/card")).to_owned();
    assert_eq!(sent_to(&browser.get(&shows_card(&sent))), "/account");
}
