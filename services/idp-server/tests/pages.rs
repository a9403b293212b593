//! The pages as browsers use them, without a script: forms with their tokens, cookies, redirections; and what is refused.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;
mod site;

use common::*;
use http::{Method, StatusCode, header};
use idp_server::oauth::SESSION_COOKIE;
use oidc_provider::*;
use site::*;

#[tokio::test(flavor = "multi_thread")]
async fn somebody_opens_an_account_signs_in_by_password_and_freezes_it() {
    tokio::task::spawn_blocking(|| {
        let site = Site::new();
        let mut browser = site.browser();
        assert!(
            browser
                .get("/account")
                .body()
                .contains("Sign in with a passkey")
        );
        let reply = browser.post("/sign-up", "address=Aida%40example.kg");
        let attempt = hidden(&reply, "attempt");
        let reply = browser.post("/sign-in/code", &format!("attempt={attempt}&code=WRONG"));
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
        assert!(reply.body().contains("These do not belong together"));
        let code = site.code();
        let reply = browser.post("/sign-in/code", &format!("attempt={attempt}&code={code}"));
        assert_eq!(sent_to(&reply), "/account");
        let page = browser.get("/account");
        assert!(page.body().contains("It was not yet found out who you are"));
        assert!(
            browser
                .get("/account?language=ru")
                .body()
                .contains("Моя учётная запись")
        );
        assert!(
            browser
                .get("/account")
                .body()
                .contains("Моя учётная запись")
        );
        browser.get("/account?language=en");

        let reply = browser.post("/account/password", "password=short");
        assert!(reply.body().contains("at least 12 characters"));
        let reply = browser.post("/account/password", "password=correct+horse+battery");
        assert_eq!(sent_to(&reply), "/account?done");
        browser.post("/sign-out", "");
        assert!(
            browser
                .get("/account")
                .body()
                .contains("Sign in with a passkey")
        );

        // A wrong password, and an account that there is not, give one and the same page.
        let wrong = browser.post("/sign-in/password", "name=aida%40example.kg&password=x");
        let nobody = browser.post("/sign-in/password", "name=nobody%40example.kg&password=x");
        assert_eq!(wrong.status(), nobody.status());
        assert_eq!(wrong.body(), nobody.body());
        let fields = "name=aida%40example.kg&password=correct+horse+battery";
        let reply = browser.post("/sign-in/password", fields);
        let attempt = hidden(&reply, "attempt");
        let code = site.code();
        let reply = browser.post("/sign-in/code", &format!("attempt={attempt}&code={code}"));
        assert_eq!(sent_to(&reply), "/account");

        // Freezing asks first, and ends this session too.
        assert!(
            browser
                .get("/account/freeze")
                .body()
                .contains("All sessions end now")
        );
        let session = browser.cookies[SESSION_COOKIE].clone();
        let reply = browser.post("/account/freeze", "");
        assert!(reply.body().contains("Your account is frozen"));
        browser.cookies.insert(SESSION_COOKIE.to_owned(), session);
        assert!(
            browser
                .get("/account")
                .body()
                .contains("Sign in with a passkey")
        );
    })
    .await
    .unwrap();
}

#[test]
fn forms_from_elsewhere_change_nothing() {
    let site = Site::new();
    let mut browser = site.persons_browser();
    browser.get("/account");
    let token = browser.cookies["__Host-csrf"].clone();
    // Another site's form: its origin, or no token, or a token of its own making.
    browser.origin = Some("https://evil.example");
    assert_eq!(
        browser.post("/account/freeze", "").status(),
        StatusCode::FORBIDDEN
    );
    browser.origin = Some("null");
    assert_eq!(
        browser.post("/account/freeze", "").status(),
        StatusCode::FORBIDDEN
    );
    browser.origin = None;
    for body in [
        "",
        "csrf=",
        "csrf=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let reply = browser.call(&Method::POST, "/account/freeze", body);
        assert_eq!(reply.status(), StatusCode::FORBIDDEN, "{body}");
    }
    // Without the cookie the field alone is worth nothing.
    browser.cookies.remove("__Host-csrf");
    let body = format!("csrf={token}");
    let reply = browser.call(&Method::POST, "/account/freeze", &body);
    assert_eq!(reply.status(), StatusCode::FORBIDDEN);
    assert!(browser.get("/account").body().contains("Freeze my account"));
    // Nothing but a form changes anything.
    browser.get("/sign-out");
    browser.get("/account/freeze");
    assert!(site.provider.session(&site.session, now()).is_ok());
}

#[test]
fn a_person_shares_what_they_choose_or_nothing() {
    let site = Site::new();
    let mut browser = site.persons_browser();
    site.ask(&mut browser, &["openid", "profile", "number"]);
    let page = browser.get("/continue");
    assert!(
        page.body().contains("Share your data with Bank?"),
        "{}",
        page.body()
    );
    assert!(page.body().contains("Purpose: to open an account"));
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(
        policy.contains("form-action 'self' https://bank.example;"),
        "{policy}"
    );
    let answer = format!("request={}", hidden(&page, "request"));
    let fields = format!("decision=allow&scope-profile=yes&{answer}");
    let reply = browser.post("/consent", &fields);
    assert!(sent_to(&reply).starts_with(&format!("{REDIRECT}&code=")));
    let who = site.provider.session(&site.session, now()).unwrap();
    let consents = site.provider.consents(&who).unwrap();
    let scopes: Vec<&str> = consents[0].scopes.iter().map(String::as_str).collect();
    assert_eq!(scopes, ["openid", "profile"]);
    assert!(
        browser
            .get("/account")
            .body()
            .contains("<strong>Bank</strong>")
    );
    // It is over: the same form again goes nowhere.
    let reply = browser.post("/consent", &fields);
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);

    site.ask(&mut browser, &["openid", "number"]);
    let answer = hidden(&browser.get("/continue"), "request");
    let reply = browser.post("/consent", &format!("decision=refuse&request={answer}"));
    assert!(sent_to(&reply).starts_with(&format!("{REDIRECT}&error=access_denied")));
    let reply = browser.post("/account/withdraw", &format!("id={}", site.bank));
    assert_eq!(sent_to(&reply), "/account?done");
    assert!(
        browser
            .get("/account")
            .body()
            .contains("You gave no consents")
    );
}

#[test]
fn a_phone_lets_a_screen_in_only_with_the_number_that_it_shows_and_only_low() {
    let site = Site::new();
    let mut phone = site.persons_browser();
    phone.get("/device");
    let mut screen = site.browser();
    screen.get("/sign-in");
    for right in [false, true] {
        screen.post("/sign-in/phone", "");
        let kept = screen.cookies["__Host-screen"].clone();
        let parts: Vec<&str> = kept.split('/').collect();
        let (letters, number) = (parts[1], parts[2]);
        let page = phone.post("/device", &format!("user_code={letters}"));
        assert!(
            page.body().contains("Another screen asks to sign in"),
            "{}",
            page.body()
        );
        assert!(page.body().contains("192.0.2.0/24"));
        let choices: Vec<&str> = page
            .body()
            .split("name=\"number\" value=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .filter(|choice| *choice != "none")
            .collect();
        assert!(choices.contains(&number) && choices.len() > 2);
        let chosen = choices
            .into_iter()
            .find(|choice| (*choice == number) == right)
            .unwrap();
        let answer = format!("user_code={letters}&number={chosen}");
        let reply = phone.post("/device/answer", &answer);
        assert_eq!(reply.status() == StatusCode::OK, right);
        let reply = screen.get("/sign-in/phone/wait");
        if right {
            assert_eq!(sent_to(&reply), "/account");
            let session = Secret::new(screen.cookies[SESSION_COOKIE].clone());
            let who = site.provider.session(&session, now()).unwrap();
            assert_eq!(who.level(), Level::Low);
        } else {
            assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
            assert!(!screen.cookies.contains_key(SESSION_COOKIE));
        }
    }
}

#[test]
fn pages_of_officers_and_accounts_are_shown_to_nobody_else() {
    let site = Site::new();
    let mut person = site.persons_browser();
    let page = person.get("/desk");
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    assert!(!page.body().contains("Office:") && page.body().contains("for officers only"));
    let fields = format!("number={}&compared=yes", number(9).as_str());
    let page = person.post("/desk/ticket", &fields);
    assert!(page.body().contains("for officers only"), "{}", page.body());
    let mut stranger = site.browser();
    for path in ["/account", "/account/freeze", "/device", "/desk"] {
        assert!(
            stranger.get(path).body().contains("Sign in with a passkey"),
            "{path}"
        );
    }
    for path in [
        "/account/freeze",
        "/account/password",
        "/desk/ticket",
        "/device",
    ] {
        assert_eq!(
            sent_to(&stranger.post(path, "user_code=x&password=x")),
            "/sign-in"
        );
    }
    let page = stranger.get("//evil.example/%0d%0aSet-Cookie:x");
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    assert_eq!(stranger.call(&Method::PUT, "/account", "").status(), 405);
}

#[test]
fn a_passkey_question_is_answered_once_and_by_a_key() {
    let site = Site::new();
    let mut browser = site.browser();
    browser.get("/sign-in");
    let reply = browser.post("/sign-in/options", "");
    let asked: serde_json::Value = serde_json::from_str(reply.body()).unwrap();
    assert_eq!(asked["options"]["rpId"], "id.example");
    let ceremony = asked["ceremony"].as_str().unwrap();
    let fields = format!("ceremony={ceremony}&answer=%7B%7D");
    let reply = browser.post("/sign-in/passkey", &fields);
    assert!(reply.body().contains("The passkey could not be verified"));
    let reply = browser.post("/sign-in/passkey", &fields);
    assert!(reply.body().contains("This was used already"));
}

#[test]
fn officers_are_appointed_and_two_of_them_recover_an_account() {
    let site = Site::new();
    let mut boss = site.card(7);
    site.provider
        .appoint_first(number(7), Tenant::Sandbox, "ministry", now())
        .unwrap();
    let mut officers = [site.card(1), site.card(2)];
    for serial in [1, 2] {
        let fields = format!(
            "number={}&office=Osh+1&duty-desk=yes",
            number(serial).as_str()
        );
        assert_eq!(
            sent_to(&boss.post("/officers/appoint", &fields)),
            "/officers?done"
        );
    }
    let page = boss.get("/officers?done");
    assert!(
        page.body().contains("Osh 1; finds out who people are"),
        "{}",
        page.body()
    );
    let own = format!("number={}&office=Osh+1&duty-desk=yes", number(7).as_str());
    assert!(
        boss.post("/officers/appoint", &own)
            .body()
            .contains("Another officer has to do this")
    );

    // The officer sees face and name before anything else, and the person's own case is for somebody else.
    let mut person = site.card(3);
    let of_person = format!("number={}", number(3).as_str());
    let page = officers[0].post("/desk/person", &of_person);
    assert!(
        page.body().contains("src=\"data:image/jpeg;base64,"),
        "{}",
        page.body()
    );
    assert!(page.body().contains("Aida Asanova"));
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(policy.contains("img-src 'self' data:;"), "{policy}");
    let page = officers[0].post("/desk/person", &format!("number={}", number(404).as_str()));
    assert!(page.body().contains("gives no portrait"), "{}", page.body());

    let page = officers[0].post("/desk/recovery", &of_person);
    assert!(
        page.body().contains("First compare the person"),
        "{}",
        page.body()
    );
    let compared = format!("{of_person}&compared=yes");
    let page = officers[0].post("/desk/recovery", &compared);
    assert!(
        page.body()
            .contains("a second officer of the office finds the case")
    );
    assert!(
        officers[0].get("/desk").body().contains("None so far"),
        "not the first one's"
    );
    let page = officers[1].get("/desk");
    let case = hidden(&page, "code");
    let page = officers[1].post("/desk/case", &format!("code={case}"));
    assert!(
        page.body().contains("Another officer opened")
            || page.body().contains("another officer opened")
    );
    assert!(
        officers[0]
            .post("/desk/confirm", &format!("code={case}&compared=yes"))
            .status()
            == 400
    );
    let page = officers[1].post("/desk/confirm", &format!("code={case}&compared=yes"));
    assert!(
        page.body().contains("Give this code to the person"),
        "{}",
        page.body()
    );
    let page = officers[1].post("/desk/confirm", &format!("code={case}&compared=yes"));
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);

    // Frozen over a counter: one officer does not lift it, two do.
    officers[0].post("/desk/freeze", &of_person);
    assert!(
        person
            .get("/account")
            .body()
            .contains("Sign in with a passkey")
    );
    let page = officers[1].post("/desk/unfreeze", &compared);
    assert!(
        page.body().contains("not lifted over the way it came"),
        "{}",
        page.body()
    );
    officers[1].post("/desk/open-unfreeze", &compared);
    let case = hidden(&officers[0].get("/desk"), "code");
    let page = officers[1].post(
        "/desk/confirm-unfreeze",
        &format!("code={case}&compared=yes"),
    );
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    let page = officers[0].post(
        "/desk/confirm-unfreeze",
        &format!("code={case}&compared=yes"),
    );
    assert!(
        page.body().contains("The person is told"),
        "{}",
        page.body()
    );

    // Dismissed: nothing is shown from then on.
    let fields = format!("number={}", number(1).as_str());
    assert_eq!(
        sent_to(&boss.post("/officers/dismiss", &fields)),
        "/officers?done"
    );
    assert!(
        officers[0]
            .get("/desk")
            .body()
            .contains("for officers only")
    );
    assert!(
        officers[0]
            .post("/desk/person", &of_person)
            .body()
            .contains("for officers only")
    );
}

#[test]
fn somebody_without_a_phone_is_let_in_at_the_counter() {
    let site = Site::new();
    let mut boss = site.card(7);
    site.provider
        .appoint_first(number(7), Tenant::Sandbox, "ministry", now())
        .unwrap();
    let mut clerk = site.card(1);
    let fields = format!("number={}&office=Osh+1&duty-desk=yes", number(1).as_str());
    boss.post("/officers/appoint", &fields);
    let page = site.card(3).post("/account/print-codes", "");
    let code = page
        .body()
        .split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit())
        .find(|word| word.len() >= 8)
        .unwrap()
        .to_owned();
    let page = clerk.post("/desk/person", &format!("number={}", number(3).as_str()));
    assert!(
        page.body().contains("Let in at a screen"),
        "{}",
        page.body()
    );
    let fields = format!("number={}&compared=yes&code={code}", number(3).as_str());
    let page = clerk.post("/desk/admit", &fields);
    let rest = page.body().split("shown-code\"><strong>").nth(1);
    let rest = rest.unwrap_or_else(|| panic!("{}", page.body()));
    let ticket = rest.split('<').next().unwrap().to_owned();
    assert_eq!(
        clerk.post("/desk/admit", &fields).status(),
        StatusCode::BAD_REQUEST
    );
    let mut screen = site.browser();
    assert!(
        screen
            .get("/counter")
            .body()
            .contains("Code from the clerk")
    );
    assert_eq!(
        screen.post("/counter", "ticket=WRONG").status(),
        StatusCode::BAD_REQUEST
    );
    let reply = screen.post("/counter", &format!("ticket={ticket}"));
    assert_eq!(location(&reply), "/account");
    assert!(screen.get("/account").body().contains("substantial"));
    let reply = site.browser().post("/counter", &format!("ticket={ticket}"));
    assert_ne!(reply.status(), StatusCode::SEE_OTHER);
}

#[test]
fn events_are_read_by_the_person_and_on_a_ground() {
    let site = Site::new();
    let mut boss = site.card(7);
    site.provider
        .appoint_first(number(7), Tenant::Sandbox, "ministry", now())
        .unwrap();
    let (mut officer, mut person) = (site.card(1), site.card(3));
    let of_person = format!("number={}", number(3).as_str());
    let fields = format!("{of_person}&ground=ground-court&reference=UD-12%2F26");
    let page = officer.post("/investigation/read", &fields);
    assert!(page.body().contains("for officers only"), "{}", page.body());
    let appoint = format!(
        "number={}&office=Court&duty-investigation=yes",
        number(1).as_str()
    );
    boss.post("/officers/appoint", &appoint);
    assert!(officer.get("/investigation").body().contains("Ground"));
    let reference = "&reference=UD-12%2F26";
    for (why, status) in [
        (reference.to_owned(), StatusCode::FORBIDDEN),
        (
            format!("&ground=curiosity{reference}"),
            StatusCode::FORBIDDEN,
        ),
        ("&ground=ground-court".to_owned(), StatusCode::BAD_REQUEST),
        (
            "&ground=ground-court&reference=".to_owned(),
            StatusCode::BAD_REQUEST,
        ),
        (
            "&ground=ground-court&reference=Asanova+5".to_owned(),
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let page = officer.post("/investigation/read", &format!("{of_person}{why}"));
        assert_eq!(page.status(), status, "{why}");
        assert!(!page.body().contains("Signed in"), "{why}");
    }
    assert!(
        !person
            .get("/account/events")
            .body()
            .contains("An officer read this list")
    );
    let page = officer.post("/investigation/read", &fields);
    assert!(page.body().contains("Signed in"), "{}", page.body());
    let page = person.get("/account/events");
    assert!(
        page.body().contains("An officer read this list"),
        "{}",
        page.body()
    );
    let why = "Court: a court\u{2019}s decision, UD-12/26";
    let body = page
        .body()
        .replace("&#39;", "\u{2019}")
        .replace('\'', "\u{2019}");
    assert!(body.contains(why), "{body}");
    // The officer's own list says that this was about others; the person's does not.
    let others = "Done as an officer, about others";
    assert!(officer.get("/account/events").body().contains(others));
    assert!(!page.body().contains(others));
    // Many events come in pages, for both.
    for _ in 0..120 {
        officer.post("/investigation/read", &fields);
    }
    let page = person.get("/account/events");
    assert!(!page.body().contains("Signed in"), "{}", page.body());
    let place = page.body().split("/account/events?before=").nth(1).unwrap();
    let place = place.split('"').next().unwrap();
    let page = person.get(&format!("/account/events?before={place}"));
    assert!(page.body().contains("Signed in"), "{}", page.body());
    assert!(page.body().contains("href=\"/account/events\"") && !page.body().contains("before="));
    let page = officer.post("/investigation/read", &fields);
    assert!(!page.body().contains("Signed in"), "{}", page.body());
    let place = hidden(&page, "before");
    let page = officer.post("/investigation/read", &format!("{fields}&before={place}"));
    assert!(page.body().contains("Signed in"), "{}", page.body());
    // What was read was read: each page is in the list.
    let page = person.get("/account/events");
    assert_eq!(
        page.body().matches("An officer read this list").count(),
        100
    );
    let mut stranger = site.browser();
    assert!(
        stranger
            .get("/account/events")
            .body()
            .contains("Sign in with a passkey")
    );
}

#[test]
fn mandates_are_given_asked_for_and_ended() {
    let site = Site::new();
    let (mut mother, mut son) = (site.card(3), site.card(4));
    let to_son = format!("number={}", number(4).as_str());
    let page = mother.post("/acting/give", &format!("{to_son}&until=2027-06-01"));
    assert!(page.body().contains("Choose one theme"), "{}", page.body());
    for until in ["2031-01-01", "2026-01-01", "soon"] {
        let fields = format!("{to_son}&until={until}&theme-health=yes");
        assert_eq!(
            mother.post("/acting/give", &fields).status(),
            StatusCode::BAD_REQUEST,
            "{until}"
        );
    }
    let fields = format!("{to_son}&until=2027-06-01&theme-health=yes&pass=yes");
    assert_eq!(
        sent_to(&mother.post("/acting/give", &fields)),
        "/acting?done"
    );
    // Whoever types a number learns no name by it; whoever was trusted knows by whom.
    let page = mother.get("/acting?done");
    assert!(page.body().contains(number(4).as_str()) && !page.body().contains("Aida Asanova"));
    let page = son.get("/acting");
    assert!(page.body().contains("Aida Asanova"), "{}", page.body());
    assert!(
        page.body().contains("health; until 01.06.2027"),
        "{}",
        page.body()
    );
    let id = hidden(&page, "id");
    let passed = format!("id={id}&number={}", number(5).as_str());
    let mut friend = site.card(5);
    assert_eq!(
        sent_to(&son.post("/acting/pass-on", &passed)),
        "/acting?done"
    );
    assert!(friend.get("/acting").body().contains("in force"));
    let further = format!(
        "id={}&number={}",
        hidden(&friend.get("/acting"), "id"),
        number(7).as_str()
    );
    assert_eq!(
        friend.post("/acting/pass-on", &further).status(),
        StatusCode::BAD_REQUEST
    );

    // Asked for: the other one sees who asks and decides.
    let fields = format!(
        "number={}&until=2027-06-01&theme-family=yes",
        number(3).as_str()
    );
    son.post("/acting/ask", &fields);
    let page = mother.get("/acting");
    assert!(
        page.body().contains("Grant the request of Aida Asanova"),
        "{}",
        page.body()
    );
    let rest = page
        .body()
        .split("action=\"/acting/answer\"")
        .nth(1)
        .unwrap();
    let id = rest
        .split("name=\"id\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let answer = format!("id={id}&grant=no");
    assert_eq!(
        son.post("/acting/answer", &answer).status(),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        sent_to(&mother.post("/acting/answer", &answer)),
        "/acting?done"
    );
    assert_eq!(
        mother.post("/acting/answer", &answer).status(),
        StatusCode::BAD_REQUEST
    );
    let stranger = format!("id={id}");
    assert_eq!(
        friend.post("/acting/revoke", &stranger).status(),
        StatusCode::BAD_REQUEST
    );
    // Nobody is told whether a number has an account.
    let nobody = format!(
        "number={}&until=2027-06-01&theme-health=yes",
        number(77).as_str()
    );
    assert_eq!(
        sent_to(&mother.post("/acting/give", &nobody)),
        "/acting?done"
    );
}

#[test]
fn a_service_is_registered_and_an_officer_stops_it() {
    let site = Site::new();
    let mut builder = site.card(3);
    let keys = jose::JwkSet::new(vec![key().public().clone()])
        .to_value()
        .to_string();
    let keys: String = url(&keys);
    let page = builder.post("/clients/form", "id=");
    assert!(page.body().contains("private_key_jwt"), "{}", page.body());
    let fields = |uris: &str, purpose: &str| {
        format!(
            "id=&name-en=Pharmacy&organisation=Ministry&contact=a%40b.kg&redirect-uris={}&method=private_key_jwt\
             &keys={keys}&profile=fapi2&level=high&scope-openid=yes&purpose-openid-en={purpose}&theme=theme-health",
            url(uris)
        )
    };
    for (uris, purpose, problem) in [
        (
            "http://dari.kg/back",
            "to+know+you",
            "The form is not complete",
        ),
        ("https://dari.kg/back", "", "The form is not complete"),
        (
            "https://dari.kg/back\nhttps://other.kg/",
            "x",
            "must be on one host",
        ),
    ] {
        let page = builder.post("/clients/save", &fields(uris, purpose));
        assert!(page.body().contains(problem), "{uris}: {}", page.body());
    }
    // What was filled in is not lost.
    let page = builder.post("/clients/save", &fields("http://dari.kg/back", "x"));
    assert!(
        page.body().contains("value=\"Pharmacy\"") && page.body().contains("http://dari.kg/back")
    );
    let reply = builder.post(
        "/clients/save",
        &fields("https://dari.kg/back", "to+know+you"),
    );
    assert_eq!(sent_to(&reply), "/clients?done");
    let page = builder.get("/clients");
    assert!(
        page.body().contains("Pharmacy") && page.body().contains("in use"),
        "{}",
        page.body()
    );
    let id = hidden(&page, "id");
    let page = builder.post("/clients/form", &format!("id={id}"));
    assert!(
        page.body().contains("https://dari.kg/back"),
        "{}",
        page.body()
    );
    let mut other = site.card(4);
    assert_eq!(
        other.post("/clients/form", &format!("id={id}")).status(),
        StatusCode::BAD_REQUEST
    );

    site.provider
        .appoint_first(number(7), Tenant::Sandbox, "ministry", now())
        .unwrap();
    let mut boss = site.card(7);
    assert!(boss.get("/approvals").body().contains("for officers only"));
    let fields = format!(
        "number={}&office=Ministry&duty-clients=yes",
        number(5).as_str()
    );
    let mut officer = site.card(5);
    boss.post("/officers/appoint", &fields);
    let page = officer.get("/approvals");
    assert!(page.body().contains("openid: to know you") && page.body().contains("Pharmacy"));
    assert_eq!(
        sent_to(&officer.post("/approvals/stop", &format!("id={id}"))),
        "/approvals?done"
    );
    assert!(builder.get("/clients").body().contains("stopped"));
    assert!(site.provider.client(&ClientId::new(id.as_str())).is_err());
}

fn url(text: &str) -> String {
    text.bytes().fold(String::new(), |mut url, byte| {
        use std::fmt::Write as _;
        write!(url, "%{byte:02X}").unwrap();
        url
    })
}
