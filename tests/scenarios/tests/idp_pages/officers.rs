//! What officers do.

use oidc_provider::*;
use time::OffsetDateTime;

use crate::common::{number, seed};
use crate::people::{FRIEND, HELPER, open_account};
use crate::site::{PARENT, Story, TENANT};

const BOSS: u32 = 8;
const OFFICE: &str = "Бишкек, Чүй проспектиси 114, №3 тейлөө борбору";
const BAKERY: &str = "00101199410123";
/// Somebody who comes without an account, and one whose account the register tells nothing of.
const VISITOR: u32 = 10;
const UNKNOWN: u32 = 404;

/// The first officer, whom the operator appointed, appoints two.
pub fn appointed(story: &Story<'_>) {
    story.enter(1);
    story.enter(2);
    story.enter(BOSS);
    let now = OffsetDateTime::now_utc();
    story
        .site
        .provider
        .appoint_first(number(BOSS), TENANT, "Министрлик", now)
        .unwrap();
    story.open("/officers");
    story.see("officers-title");
    story.write("#number", number(1).as_str());
    story.write("#office", OFFICE);
    story.send("/officers/appoint");
    story.see("error-duties");
    for serial in [1, 2, 9] {
        if serial == 9 {
            let _ = story.site.elsewhere(9);
        }
        story.write("#number", number(serial).as_str());
        story.write("#office", OFFICE);
        for duty in ["desk", "clients", "investigation", "organisations"] {
            story.click(&format!("#duty-{duty}"));
        }
        story.send("/officers/appoint");
        story.wait(number(serial).as_str());
    }
    story.see_as("done-changed", "officers-appointed");
    let last = format!(
        "form[action='/officers/dismiss']:has([value='{}']) button",
        number(9).as_str()
    );
    story.press(&last);
    story.wait(&story.say("done-changed"));
    assert!(!story.shows(number(9).as_str()));
}

/// Opens what the desk knows of somebody.
fn at_desk(story: &Story<'_>, serial: u32) {
    story.open("/desk");
    story.write("#number", number(serial).as_str());
    story.send("/desk/person");
    story.wait(number(serial).as_str());
}

/// Does something for the person at the desk, who was compared.
fn compared(story: &Story<'_>, task: &str) {
    if task != "freeze" {
        story.click(&format!("#{task}-compared"));
    }
    story.send(&format!("/desk/{task}"));
}

/// The second officer opens the case of the first one and confirms it.
fn second(story: &Story<'_>, task: &str) {
    story.enter(2);
    story.open("/desk");
    story.see_as("desk-cases-title", &format!("desk-cases-{task}"));
    story.send("/desk/case");
    story.see_as("desk-compared", &format!("desk-case-{task}"));
    story.click("#compared");
    story.send(&format!("/desk/{task}"));
}

/// A day at the desk.
pub fn serve_people(story: &Story<'_>) {
    story.enter(1);
    story.open("/desk");
    story.see("desk-title");
    story.write("#number", "123");
    story.send("/desk/person");
    story.see("error-number");
    at_desk(story, UNKNOWN);
    story.see("portrait-none");
    at_desk(story, 1);
    compared(story, "recovery");
    story.see("error-own-case");

    // A first key for somebody without an account.
    at_desk(story, VISITOR);
    let drawn = story
        .browser
        .run("return document.querySelector('.portrait img').naturalWidth");
    assert!(drawn.as_i64() > Some(0), "no portrait: {drawn}");
    story.see("desk-no-account");
    compared(story, "ticket");
    story.see("desk-code-text");
    let ticket = story.shown_code();
    story.leave();
    story.open("/first-key");
    story.write("#ticket", &ticket);
    story.send("/first-key");
    story.wait(&story.say("account-level"));
    assert!(story.shows(&story.say("level-high")));

    // Frozen at the counter; lifted with the key; frozen again, and lifted by two officers.
    story.enter(1);
    at_desk(story, VISITOR);
    story.see("desk-has-account");
    compared(story, "freeze");
    story.see("desk-done-text");
    story.leave();
    story.open("/unfreeze");
    story.send("/unfreeze");
    story.see("unfrozen-title");
    story.enter(1);
    at_desk(story, VISITOR);
    compared(story, "freeze");
    story.wait(&story.say("desk-done-text"));
    at_desk(story, VISITOR);
    story.see("desk-frozen-counter");
    compared(story, "open-unfreeze");
    story.see_as("desk-second-text", "desk-open-unfreeze");
    second(story, "confirm-unfreeze");
    story.see_as("desk-done-text", "desk-confirm-unfreeze");
    // Frozen in a browser: one officer lifts it.
    let friend = story.site.elsewhere(FRIEND);
    story.site.provider.freeze(&friend, &seed()).unwrap();
    at_desk(story, FRIEND);
    story.see("desk-frozen");
    compared(story, "unfreeze");
    story.see_as("desk-done-text", "desk-unfreeze");

    // Who opened an account by e-mail brings its code.
    open_account(story, "bakyt@example.kg");
    story.send("/account/binding");
    story.wait(&story.say("binding-title"));
    let code = story.shown_code();
    story.enter(1);
    at_desk(story, 11);
    story.write("#bind-code", &code);
    compared(story, "bind");
    story.see_as("desk-done-text", "desk-bind");

    // Without phone, card and key: a code of the printed list, and a clerk.
    story.enter(PARENT);
    story.send("/account/print-codes");
    story.wait(&story.say("printed-title"));
    let code = story
        .browser
        .run("return document.querySelector('.codes li').innerText.trim()");
    story.enter(1);
    at_desk(story, PARENT);
    story.write("#admit-code", code.as_str().unwrap());
    compared(story, "admit");
    story.see("desk-counter-text");
    let ticket = story.shown_code();
    story.leave();
    story.open("/counter");
    story.write("#ticket", &ticket);
    story.send("/counter");
    story.wait(&story.say("account-level"));
    assert!(story.shows(&story.say("level-substantial")));

    // Two officers recover an account.
    story.enter(1);
    at_desk(story, HELPER);
    compared(story, "recovery");
    story.see("desk-second-text");
    second(story, "confirm");
    story.see_as("desk-code-text", "desk-recovery-code");
    at_desk(story, HELPER);
    story.see_as("desk-person-title", "desk-recovered");
}

/// An organisation is recorded; its head appoints somebody and dismisses them.
pub fn keep_organisations(story: &Story<'_>) {
    story.enter(1);
    story.open("/record");
    story.see("record-title");
    for (number_of, done) in [("123", "error-organisation"), (BAKERY, "done-changed")] {
        story.write("#organisation", number_of);
        story.write("#name-ky", "«Нан» наабайканасы");
        story.write("#name-ru", "Пекарня «Нан»");
        story.write("#name-en", "Nan Bakery");
        story.write("#number", number(PARENT).as_str());
        story.send("/record");
        story.see_as(done, &format!("record-{done}"));
    }
    // Its head appoints somebody, who resigns, and once more, who is dismissed.
    let appoint = || {
        story.enter(PARENT);
        story.open("/organisations");
        story.write(&format!("#number-{BAKERY}"), number(FRIEND).as_str());
        story.click(&format!("[id='{BAKERY}-theme-benefits']"));
        story.browser.run(&format!(
            "const field = document.getElementById('until-{BAKERY}'); field.value = field.max"
        ));
        story.send("/organisations/appoint");
        story.wait(&story.say("done-changed"));
    };
    story.enter(PARENT);
    story.open("/organisations");
    story.unfold();
    story.see("organisations-appoint-hint");
    appoint();
    story.see_as("done-changed", "organisations-appointed");
    story.enter(FRIEND);
    story.open("/organisations");
    story.see_as("organisations-represented", "organisations-representative");
    story.send("/organisations/resign");
    story.wait(&story.say("done-changed"));
    appoint();
    story.send("/organisations/dismiss");
    story.wait(&story.say("done-changed"));
    story.click(&format!("#sure-{BAKERY}"));
    story.send("/organisations/resign-as-head");
    story.wait(&story.say("done-changed"));
    story.enter(1);
    story.open("/record");
    story.write("#struck-off", BAKERY);
    story.click("#sure");
    story.send("/record/strike-off");
    story.wait(&story.say("done-changed"));
}

/// An officer reads somebody's events, on a ground, again and again.
pub fn read_events(story: &Story<'_>) {
    story.enter(1);
    story.open("/investigation");
    story.see("investigation-title");
    for (reference, seen) in [
        ("Asanova 5", "error-reference"),
        ("УД-12/26", "event-signed-in"),
    ] {
        story.write("#number", number(PARENT).as_str());
        story.click("#ground-court");
        story.write("#reference", reference);
        story.send("/investigation/read");
        story.see_as(seen, &format!("investigation-{seen}"));
    }
    let officer = story.site.elsewhere(1);
    let duty = story
        .site
        .provider
        .on_duty(&officer, Duty::Investigation)
        .unwrap();
    let why = Declared {
        ground: Ground::Court,
        reference: Reference::new("УД-12/26").unwrap(),
    };
    for _ in 0..101 {
        story
            .site
            .provider
            .history_for(&duty, number(PARENT), TENANT, &why, None, 1)
            .unwrap();
    }
    story.enter(1);
    story.open("/approvals");
    story.send("/approvals/stop");
    story.wait(&story.say("done-changed"));
}
