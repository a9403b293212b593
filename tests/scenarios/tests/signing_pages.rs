//! The signing server's pages in a real browser: an officer at one, a person's phone as another, each with an authenticator
//! of its own. Every page reflows at 320 pixels, has targets of 24 pixels, and axe-core finds nothing wrong.
//!
//! With `TUNDUK_SCREENSHOTS` set to a folder it leaves pictures there.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod signing_site;

use signing_site::*;
use testkit::Browser;

fn all_languages(browser: &Browser, address: &str, name: &str) {
    for language in ["ky", "ru", "en"] {
        browser.open(&format!("{address}?language={language}"));
        browser.look(&format!("{name}-{language}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and ChromeDriver: cargo xtask test"]
async fn a_person_is_enrolled_signs_and_stops_in_a_browser() {
    let mut site = Site::new();
    let first = authenticator("first officer");
    site.set_up(&first);
    site.start();
    let rule = format!("--host-resolver-rules=MAP {NAME} {}", site.address);
    let origin = site.origin();

    // The officer's own passkey is made in the browser; the operator takes its text.
    let desk = Browser::start(&[&rule]);
    desk.add_authenticator("usb");
    all_languages(&desk, &format!("{origin}/officer"), "officer");
    desk.click("form[action='/officer'] button");
    desk.wait_for("Give this text to the operator");
    let passkey = desk.run("return document.querySelector('main code').textContent");
    std::fs::write(site.path("second.json"), passkey.as_str().unwrap()).unwrap();
    let file = site.path("second.json");
    let file = file.to_str().unwrap();
    let number = "10303198000033";
    site.said(&[
        "officer",
        "add",
        "--number",
        number,
        "--office",
        "Ош 1",
        "--passkey",
        file,
    ])
    .unwrap();
    all_languages(&desk, &format!("{origin}/sign-in"), "sign-in");
    desk.click("form[action='/sign-in'] button");
    desk.wait_for("Ош 1");
    all_languages(&desk, &format!("{origin}/desk"), "desk");

    // The officer opens a case; the phone takes the code and makes a passkey.
    desk.write("#enrol-number", PERSON);
    desk.write("#surname", "Асанова");
    desk.write("#given-name", "Айгүл");
    desk.write("#enrol-reference", "portrait 5/26");
    desk.click("#enrol-compared");
    desk.click("form[action='/desk/enrol'] button");
    desk.wait_for("The code, shown once");
    desk.look("case");
    let code = desk.run("return document.querySelector('.shown-code').innerText");
    let phone = Browser::start(&[&rule]);
    phone.add_authenticator("internal");
    all_languages(&phone, &format!("{origin}/enrol"), "enrol");
    phone.write("#code", code.as_str().unwrap());
    phone.click("form[action='/enrol'] button");
    phone.wait_for("Асанова Айгүл");
    phone.look("enrol-key");
    phone.click("form[action='/enrol/key'] button");
    phone.wait_for("Do you confirm this?");
    phone.look("approve");
    let digits = "return document.querySelector('.shown-code').innerText";
    let on_phone = phone.run(digits);
    phone.click("form[data-passkey] button");
    phone.wait_for("Others have yet to confirm");
    desk.click("main .card a[href^='/desk/case']");
    desk.wait_for("Do you confirm this?");
    assert_eq!(desk.run(digits), on_phone, "both see the same");
    desk.click("form[data-passkey] button");
    desk.wait_for("What you confirmed was done");

    // The person looks at what is theirs, then signs where the bank sends the browser.
    phone.open(&format!("{origin}/sign-in"));
    phone.click("form[action='/sign-in'] button");
    phone.wait_for("Certificates");
    all_languages(&phone, &format!("{origin}/me"), "me");
    let mut bank = Peer::new(&site);
    let (credential, _) = bank.credential().await;
    let hash = csc::to_base64(&[7; 32]);
    let address = bank.ask(&credential, &hash, "Насыя келишими № 5.pdf").await;
    phone.open(&format!("{origin}{address}"));
    phone.wait_for("Насыя келишими № 5.pdf");
    let place = phone.address();
    all_languages(&phone, place.split('?').next().unwrap(), "sign");
    phone.click("form[data-passkey] button");
    // The bank's site is not there; the address says that the browser went back.
    let mut back = String::new();
    for _ in 0..100 {
        back = phone.address();
        if back.starts_with(REDIRECT) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(
        back.starts_with(REDIRECT) && back.contains("code="),
        "{back}"
    );

    // The person stops everything; from then on the page says so.
    phone.open(&format!("{origin}/me/freeze?language=en"));
    phone.look("freeze");
    phone.click("form[action='/me/freeze'] button");
    phone.wait_for("Your signature is frozen");
    phone.look("frozen");
}
