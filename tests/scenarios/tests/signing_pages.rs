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
    // What the person refuses is over, also for whoever comes back.
    let address = bank.ask(&credential, &hash, "Насыя келишими № 4.pdf").await;
    phone.open(&format!("{origin}{address}"));
    phone.wait_for("Насыя келишими № 4.pdf");
    let refused = phone.address();
    phone.click("form[action$='/refuse'] button");
    let refused = refused.split('?').next().unwrap();
    all_languages(&phone, refused, "sign-refused");
    phone.wait_for("You did not sign");
    let address = bank.ask(&credential, &hash, "Насыя келишими № 5.pdf").await;
    phone.open(&format!("{origin}{address}"));
    phone.wait_for("Насыя келишими № 5.pdf");
    let place = phone.address();
    let place = place.split('?').next().unwrap();
    all_languages(&phone, place, "sign");
    // Another device compares, and can do no more.
    all_languages(&desk, place, "sign-compare");
    desk.wait_for("Насыя келишими № 5.pdf");
    assert_eq!(desk.run(digits), phone.run(digits));
    assert_eq!(
        desk.run("return document.querySelectorAll('main form').length"),
        0
    );
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

    // At the desk: what is known of the person, stopped there too, taken back, and what goes wrong.
    desk.open(&format!("{origin}/desk?language=en"));
    desk.write("#person-number", PERSON);
    desk.click("form[action='/desk/person'] button");
    desk.wait_for("Асанова");
    desk.look("desk-person");
    // In another language nobody is sent to an address that leads nowhere.
    desk.click("a[hreflang=ky]");
    desk.click("a[hreflang=en]");
    desk.write("#freeze-number", PERSON);
    desk.click("form[action='/desk/freeze'] button");
    desk.wait_for("frozen");
    desk.look("desk-frozen");
    desk.open(&format!("{origin}/desk"));
    desk.write("#join-code", "AAAA-AAAA");
    desk.click("#join-compared");
    desk.click("form[action='/desk/join'] button");
    desk.wait_for("There is a problem");
    desk.look("desk-join-wrong");
    desk.write("#recover-number", PERSON);
    desk.write("#recover-reference", "portrait 6/26");
    desk.click("#recover-compared");
    desk.click("form[action='/desk/recover'] button");
    desk.wait_for("First the second officer");
    desk.look("case-second-officer");
    desk.open(&format!("{origin}/desk"));
    desk.write("#lift-number", PERSON);
    desk.write("#lift-reference", "portrait 7/26");
    desk.click("#lift-compared");
    desk.click("form[action='/desk/lift'] button");
    desk.wait_for("Do you confirm this?");
    all_languages(&desk, &desk.address(), "approve-lift");
    desk.open(&format!("{origin}/desk"));
    desk.write("#enrol-number", "20202199900022");
    desk.write("#surname", "Бакиров");
    desk.write("#given-name", "Бакыт");
    desk.click("#at-desk");
    desk.write("#enrol-reference", "portrait 8/26");
    desk.click("#enrol-compared");
    desk.click("form[action='/desk/enrol'] button");
    desk.wait_for("Do you confirm this?");
    all_languages(&desk, &desk.address(), "approve-at-desk");
    all_languages(&desk, &format!("{origin}/nothing"), "nothing");
    desk.open(&format!("{origin}/desk"));
    desk.click("form[action='/sign-out'] button");
    desk.wait_for("Sign in");

    // The person looks again, and is asked before a certificate is revoked.
    phone.open(&format!("{origin}/me?language=en"));
    phone.look("me-frozen");
}
