//! What people do with their accounts.

use std::collections::BTreeMap;

use oidc_provider::*;
use serde_json::json;
use time::OffsetDateTime;

use crate::common::{REDIRECT, form, key, number, seed};
use crate::site::{CHILD, PARENT, Story};

const ADDRESS: &str = "aida@example.kg";
const PASSWORD: &str = "correct horse battery staple";
/// Somebody who acts for the parent, and somebody to whom it is passed on.
pub const HELPER: u32 = 4;
pub const FRIEND: u32 = 6;
/// The card that makes an account its holder's.
const HOLDER: u32 = 12;
/// Longer than most names: it must not break a page.
pub const BANK: &str = "Эл банкы: акча которуу жана насыя берүү боюнча ачык акционердик коом";

/// Nobody in particular: what is open to all, and what goes wrong there.
pub fn strangers(story: &Story<'_>) {
    for (path, key) in [
        ("/", "sign-in-title"),
        ("/first-key", "first-key-title"),
        ("/counter", "counter-title"),
        ("/unfreeze", "unfreeze-title"),
        ("/nothing", "not-found-title"),
        // What answered a form is asked for again in another language: the form is there.
        ("/sign-up", "sign-in-title"),
        ("/consent", "sign-in-title"),
    ] {
        story.open(path);
        story.see(key);
    }
    // No cognitive test (WCAG 3.3.8): what stands in one field can be put into the other by the keyboard.
    story.open("/sign-in");
    story.see_as("sign-in-title", "sign-in");
    story.write("#email", ADDRESS);
    story.browser.write("#email", "\u{e009}ac");
    story.browser.write("#password", "\u{e009}v");
    let pasted = story
        .browser
        .run("return document.querySelector('#password').value");
    assert_eq!(pasted, ADDRESS);

    story.open("/counter");
    story.write("#ticket", "WRONG");
    story.send("/counter");
    story.see_as("error-over", "counter-wrong");
    story.site.insert_card(None);
    story.open("/sign-in");
    story.press("a[href='/sign-in/card']");
    story.see("error-card");
    // Somebody guesses.
    let origin = Origin {
        network: "127.0.0.0/24".to_owned(),
        device: None,
        label: "Firefox, Windows".to_owned(),
    };
    let name = LoginName::Number(number(99), crate::site::TENANT);
    let begun = |_| {
        let now = OffsetDateTime::now_utc();
        story
            .site
            .provider
            .begin_password(&name, &origin, now)
            .is_ok()
    };
    assert!((0..1000).any(|at| !begun(at)), "guessing goes on");
    story.open("/sign-in");
    story.write("#name", number(99).as_str());
    story.write("#password", PASSWORD);
    story.send("/sign-in/password");
    story.see("error-throttled");
}

/// Somebody opens an account, which belongs to nobody yet, and gives it a password.
pub fn sign_up(story: &Story<'_>) {
    story.leave();
    story.open("/sign-in");
    story.write("#email", ADDRESS);
    story.send("/sign-up");
    story.see("code-title");
    story.write("#code", "WRONG");
    story.send("/sign-in/code");
    story.see("error-credentials");
    story.write("#code", &story.site.code());
    story.send("/sign-in/code");
    story.see_as("account-not-proofed", "account-new");
    story.write("#new-password", "short");
    story.send_wrong("/account/password");
    story.see("error-password");
    story.write("#new-password", PASSWORD);
    story.send("/account/password");
    story.see("done-changed");
    story.send("/account/print-codes");
    story.see("printed-title");
    let codes = story.browser.run(
        "return [...document.querySelectorAll('.codes li')].map(code => code.innerText.trim())",
    );
    let code = codes[0].as_str().unwrap();

    story.open("/sign-out");
    story.see("sign-out-title");
    story.send("/sign-out");
    story.see("signed-out-title");
    // Back by the password, and a code of the list that was printed.
    story.open("/sign-in");
    story.write("#name", ADDRESS);
    story.write("#password", PASSWORD);
    story.click("#printed");
    story.send("/sign-in/password");
    story.see_as("code-title", "code-printed");
    story.write("#code", code);
    story.send("/sign-in/code");
    story.wait(&story.say("account-level"));
}

/// An account by an e-mail address, without more.
pub fn open_account(story: &Story<'_>, address: &str) {
    story.leave();
    story.open("/sign-in");
    story.write("#email", address);
    story.send("/sign-up");
    story.wait(&story.say("code-title"));
    story.write("#code", &story.site.code());
    story.send("/sign-in/code");
    story.wait(&story.say("account-level"));
}

/// The account gets a passkey, another address, and a code for the desk.
pub fn add_ways_in(story: &Story<'_>) {
    story.write("#label", "Aida's phone");
    story.send("/account/add-key");
    story.see_as("done-changed", "account-with-key");
    story.write("#address", "asanova@example.kg");
    story.send("/account/add-address");
    story.see_as("code-title", "code-address");
    story.write("#code", &story.site.code());
    story.send("/sign-in/code");
    story.wait(&story.say("account-level"));
    story.send("/account/binding");
    story.see("binding-title");
}

/// By the passkey alone; then what is no longer wanted is taken away, and a card makes the account its holder's.
pub fn come_back(story: &Story<'_>) {
    story.leave();
    story.open("/sign-in");
    story.send("/sign-in/passkey");
    story.wait(&story.say("account-level"));
    for action in ["/account/forget-device", "/account/remove-key"] {
        story.send(action);
        story.wait(&story.say("done-changed"));
    }
    story.browser.forget_passkeys();
    story.send("/account/end-session");
    story.open("/account");
    // It may have been this one.
    if !story.shows(&story.say("account-level")) {
        sign_in_by_password(story);
    }
    story.send("/account/end-everything");
    story.wait(&story.say("sign-in-title"));
    sign_in_by_password(story);
    story.site.insert_card(Some(HOLDER));
    story.open("/sign-in/card");
    story.see("card-bind-title");
    story.send("/sign-in/card");
    story.wait(number(HOLDER).as_str());
    // An account that is somebody's, over ways that give the level low only.
    story.leave();
    sign_in_by_password(story);
}

fn sign_in_by_password(story: &Story<'_>) {
    story.open("/sign-in");
    story.write("#name", ADDRESS);
    story.write("#password", PASSWORD);
    story.send("/sign-in/password");
    story.wait(&story.say("code-title"));
    story.write("#code", &story.site.code());
    story.send("/sign-in/code");
    story.wait(&story.say("account-level"));
}

/// A screen is let in by a phone on which somebody is signed in; both are this browser.
pub fn lend_a_screen(story: &Story<'_>) {
    story.enter(PARENT);
    story.open("/device");
    story.see("device-title");
    story.write("#user-code", "WRONGWRO");
    story.send("/device");
    story.wait(&story.say("error-title"));
    story.open("/sign-in");
    story.send("/sign-in/phone");
    story.see("screen-title");
    let shown = story.browser.run(
        "return [...document.querySelectorAll('.shown-code')].map(code => code.innerText.trim())",
    );
    let (letters, right) = (shown[0].as_str().unwrap(), shown[1].as_str().unwrap());
    story.open("/sign-in/phone/wait");
    story.see_as("screen-title", "screen-waits");
    story.open("/device");
    story.write("#user-code", letters);
    story.send("/device");
    story.see("choose-title");
    story.press(&format!("button[name=number][value='{right}']"));
    story.see("answered-title");
    // The server may say that it is asked too often.
    for _ in 0..10 {
        std::thread::sleep(std::time::Duration::from_secs(1));
        story.open("/sign-in/phone/wait");
        if story.shows(&story.say("account-level")) {
            break;
        }
    }
    story.wait(&story.say("account-level"));
    assert!(story.shows(&story.say("level-low")));
}

/// Fills the form of a relying party in.
fn fill_service(story: &Story<'_>, name: &str) {
    for (field, text) in [
        ("#name-ky", name),
        ("#name-ru", name),
        ("#name-en", name),
        ("#organisation", "Эл банкы"),
        ("#contact", "admin@bank.example"),
        ("#redirect-uris", REDIRECT),
        ("#purpose-openid-ky", "эсеп ачуу үчүн"),
        ("#purpose-openid-ru", "чтобы открыть счёт"),
        ("#purpose-openid-en", "to open an account"),
        ("#purpose-number-ky", "келишим түзүү үчүн"),
        ("#purpose-number-ru", "чтобы заключить договор"),
        ("#purpose-number-en", "to draw up the contract"),
    ] {
        story.write(field, text);
    }
    for choice in [
        "#method-private_key_jwt",
        "#profile-standard",
        "#level-low",
        "#device-flow",
    ] {
        story.click(choice);
    }
    for scope in ["openid", "number"] {
        let is_wanted = format!("return document.querySelector('#scope-{scope}').checked");
        if story.browser.run(&is_wanted) != true {
            story.click(&format!("#scope-{scope}"));
        }
    }
}

/// A relying party is registered, and an officer who did not register it approves it.
pub fn register_services(story: &Story<'_>) {
    story.enter(PARENT);
    story.open("/clients");
    story.see("clients-title");
    story.send("/clients/form");
    story.see("client-form-title");
    fill_service(story, BANK);
    story.send("/clients/save");
    story.see("error-client-form");
    let keys = json!({ "keys": [key().public().to_value()] }).to_string();
    story.write("#keys", &keys);
    story.send("/clients/save");
    story.see("clients-done");
    story.enter(1);
    story.open("/approvals");
    story.see("approvals-title");
    story.send("/approvals/approve");
    story.see_as("done-changed", "approved");
}

/// A bank asks for data; a clinic asks for whom.
pub fn share(story: &Story<'_>) {
    let site = story.site;
    let bank = site.client(PARENT, BANK);
    let owner = site.elsewhere(PARENT);
    let clinic = ClientForm {
        names: BTreeMap::from([("en".to_owned(), "Clinic".to_owned())]),
        theme: Some(id_registry::Theme::Health),
        ..form(&[&key()], Profile::Standard)
    };
    let clinic = site
        .provider
        .register_client(&owner, &clinic, &seed())
        .unwrap();
    let officer = site.elsewhere(1);
    let duty = site.provider.on_duty(&officer, Duty::Clients).unwrap();
    let seen = site.provider.clients_of(&owner.account().id).unwrap();
    let seen = seen.iter().find(|client| client.id == clinic).unwrap();
    site.provider.approve_client(&duty, seen).unwrap();

    // Before anybody is signed in the page says who asks, and how sure it has to be.
    story.leave();
    story.open("/sign-in");
    story.bring(&bank, &["openid"], Level::High);
    story.open("/continue");
    story.see_of("sign-in-for", BANK);

    // Who nobody knows yet cannot share a number.
    open_account(story, "nobody@example.kg");
    story.bring(&bank, &["openid", "number"], Level::Low);
    story.open("/continue");
    story.see("proofing-title");

    story.enter(PARENT);
    story.bring(&bank, &["openid", "number"], Level::Low);
    story.open("/continue");
    story.see_of("consent-question", BANK);
    assert!(
        story.shows("эсеп ачуу үчүн")
            || story.shows("чтобы открыть счёт")
            || story.shows("to open an account")
    );
    story.press("button[value=allow]");
    story.goes_to(REDIRECT);
    story.open("/account");
    story.wait(BANK);
    story.see_as("account-title", "account-full");
    story.send("/account/withdraw");
    story.wait(&story.say("done-changed"));

    // A code that has to be read off a kiosk.
    let active = site.provider.client(&bank).unwrap();
    let scopes = ["openid".to_owned(), "number".to_owned()].into();
    for right in [true, false] {
        let now = OffsetDateTime::now_utc();
        let begun = site.provider.begin_device(&active, &scopes, now, &seed());
        let begun = begun.unwrap();
        story.open("/device");
        story.write("#user-code", begun.user_code.expose());
        story.send("/device");
        story.see_of("choose-client", BANK);
        let number = if right {
            begun.number.to_string()
        } else {
            "none".to_owned()
        };
        story.press(&format!("button[name=number][value='{number}']"));
        story.wait(&story.say("answered-title"));
    }

    story.bring(&clinic, &["openid", "profile"], Level::Low);
    story.open("/continue");
    story.see("consent-for");
    for (subject, error) in [
        ("123", "error-number"),
        (number(9).as_str(), "error-not-available"),
    ] {
        story.write("#subject", subject);
        story.press("button[value=allow]");
        story.see(error);
    }
    story.write("#subject", number(CHILD).as_str());
    story.press("button[value=allow]");
    story.goes_to(REDIRECT);
    story.open("/account");
    story.wait("Clinic");
}

/// Mandates: given, passed on, asked for, granted, ended.
pub fn act_for_others(story: &Story<'_>) {
    let until = |task: &str| {
        story.browser.run(&format!(
            "const field = document.querySelector('#{task}-until'); field.value = field.max"
        ));
    };
    story.enter(FRIEND);
    story.enter(HELPER);
    story.enter(PARENT);
    story.open("/acting");
    story.see("acting-title");
    story.write("#give-number", number(HELPER).as_str());
    until("give");
    story.send("/acting/give");
    story.see("error-mandate");
    story.write("#give-number", number(HELPER).as_str());
    story.click("#give-theme-health");
    story.click("#give-theme-benefits");
    story.click("#give-pass");
    until("give");
    story.send("/acting/give");
    story.see("acting-done");

    story.enter(HELPER);
    story.open("/acting");
    story.unfold();
    story.see_as("acting-pass-on-hint", "acting-held");
    story
        .browser
        .write("details input[name=number]", number(FRIEND).as_str());
    story.send("/acting/pass-on");
    story.wait(&story.say("acting-done"));
    story.write("#ask-number", number(PARENT).as_str());
    story.click("#ask-theme-family");
    until("ask");
    story.send("/acting/ask");
    story.wait(&story.say("acting-done"));

    story.enter(PARENT);
    story.open("/acting");
    story.see_as("mandate-requested", "acting-asked");
    story.send("/acting/answer");
    story.wait(&story.say("acting-done"));
    story.send("/acting/revoke");
    story.see_as("mandate-ended", "acting-ended");
    // A form that is not of this browser.
    story
        .browser
        .run("document.querySelectorAll('[name=csrf]').forEach(field => field.value = 'x')");
    story.write("#ask-number", number(HELPER).as_str());
    until("ask");
    story.send("/acting/ask");
    story.see("error-form");
    // What is for officers only.
    story.open("/desk");
    story.see_as("error-officer", "desk-refused");
}

/// The events of an account; then it is frozen, and lets nobody in.
pub fn leave_for_good(story: &Story<'_>) {
    story.enter(PARENT);
    story.open("/account/events");
    story.see("events-title");
    story.press("a[href*='before=']");
    story.wait(&story.say("events-newer"));
    story.enter(FRIEND);
    story.open("/account/freeze");
    story.see("freeze-confirm");
    story.send("/account/freeze");
    story.see("frozen-title");
    story.site.insert_card(Some(FRIEND));
    story.open("/sign-in");
    story.press("a[href='/sign-in/card']");
    story.see("error-frozen");
}
