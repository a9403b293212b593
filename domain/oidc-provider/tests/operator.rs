//! What the operator does beside the server: the first officers and relying parties.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "suite/world.rs"]
mod world;

use std::sync::Arc;

use oidc_provider::*;
use world::*;

const TOWN: &str = "192.0.2.0/24";

fn world() -> World {
    World::new(Arc::new(MemoryStore::default()))
}

#[test]
fn an_officer_comes_to_be_serves_and_is_dismissed() {
    let world = world();
    let appoint = |duties: &[Duty]| {
        let (number, people) = (number(4711), Tenant::People);
        world
            .provider
            .appoint_by_operator(number, people, "Osh", duties, NOON, &seed())
            .unwrap()
    };
    let ticket = appoint(&[Duty::Desk]).expect("a ticket for somebody without a key");
    let again = appoint(&[Duty::Desk]).expect("the first one may be lost");
    let used = |code: &Secret| {
        let origin = origin(TOWN);
        let key = key_of(4711, 0);
        let provider = &world.provider;
        provider.use_ticket(code, &key, &origin, NOON, &seed())
    };
    let signed_in = used(&again.code).unwrap();
    assert_eq!(signed_in.level, Level::High);
    assert!(used(&ticket.code).is_err(), "the key is there already");
    let who = world.who(&signed_in);
    assert!(world.provider.on_duty(&who, Duty::Desk).is_ok());
    assert!(world.provider.on_duty(&who, Duty::Clients).is_err());
    assert!(appoint(&[Duty::Desk, Duty::Clients]).is_none());
    let duty = world.provider.on_duty(&who, Duty::Clients).unwrap();
    assert_eq!(duty.officer().office, "Osh");

    let dismiss = || {
        let provider = &world.provider;
        provider.dismiss_by_operator(number(4711), Tenant::People, NOON)
    };
    dismiss().unwrap();
    assert!(world.provider.on_duty(&who, Duty::Desk).is_err());
    assert_eq!(refusal(dismiss()), Refusal::Nothing);
    let nobody = world
        .provider
        .dismiss_by_operator(number(4712), Tenant::People, NOON);
    assert_eq!(refusal(nobody), Refusal::NoAccount);
}

#[test]
fn test_people_are_of_the_sandbox_only() {
    let world = world();
    let made = || {
        let made = world.provider.test_person(number(4713), NOON, &seed());
        made.unwrap()
    };
    let lost = made().expect("a ticket");
    let ticket = made().expect("the first one may be lost");
    let (origin, key) = (origin(TOWN), key_of(4713, 0));
    let used = world
        .provider
        .use_ticket(&ticket.code, &key, &origin, NOON, &seed());
    let who = world.who(&used.unwrap());
    assert_eq!(who.account().tenant, Tenant::Sandbox);
    assert_eq!(who.level(), Level::High);
    assert!(made().is_none(), "there is a key already");
    let key = key_of(4713, 1);
    let late = world
        .provider
        .use_ticket(&lost.code, &key, &origin, NOON, &seed());
    assert!(late.is_ok_and(|signed_in| world.who(&signed_in).account().id == who.account().id));
    // The same number among people is somebody else: nobody.
    let nobody = world
        .provider
        .dismiss_by_operator(number(4713), Tenant::People, NOON);
    assert_eq!(refusal(nobody), Refusal::NoAccount);
}

#[test]
fn a_relying_party_is_taken_in_as_it_stands() {
    let world = world();
    let admit = |id: Option<&ClientId>, form: &ClientForm, tenant| {
        world.provider.admit_client(id, form, tenant, NOON, &seed())
    };
    let mut form = bank_form();
    let new = admit(None, &form, Tenant::People).unwrap();
    assert_eq!(world.provider.client(&new).unwrap().client().form, form);
    let earlier = ClientId::new("bank-of-before");
    for organisation in ["Before", "After"] {
        organisation.clone_into(&mut form.organisation);
        let id = admit(Some(&earlier), &form, Tenant::People).unwrap();
        assert_eq!(id, earlier);
        let found = world.provider.client(&id).unwrap();
        assert_eq!(found.client().form.organisation, organisation);
    }
    assert!(admit(Some(&earlier), &form, Tenant::Sandbox).is_err());
    form.redirect_uris = ["http://bank.example/back".to_owned()].into();
    assert!(matches!(
        refusal(admit(None, &form, Tenant::People)),
        Refusal::ClientForm(_)
    ));
}

/// An account of an earlier provider, with addresses and a password.
fn taken_over(world: &World, serial: u32) -> PasswordHash {
    let password = PasswordHash(format!("password {serial}"));
    let earlier = Earlier {
        subjects: Vec::new(),
        email: Some(format!("Citizen{serial}@mail.example")),
        phone: Some("+996 555 123456".to_owned()),
        password: Some(password.clone()),
    };
    world
        .provider
        .take_over(number(serial), Tenant::People, &earlier, NOON, &seed())
        .unwrap();
    password
}

fn check(world: &World, serial: u32) -> PasswordCheck {
    let name = LoginName::Number(number(serial), Tenant::People);
    world
        .provider
        .begin_password(&name, &origin(TOWN), NOON)
        .unwrap()
}

fn by_password(world: &World, serial: u32) -> Result<SignedIn, Failure> {
    let check = check(world, serial);
    let provider = &world.provider;
    let matches = check.hash().is_some();
    let sent = provider.finish_password(&check, matches, &origin(TOWN), NOON, &seed())?;
    let delivery = sent.delivery.unwrap();
    assert_eq!(delivery.channel.address, "+996555123456");
    let code = delivery.code.unwrap();
    provider.finish_code(&sent.attempt, &code, &origin(TOWN), None, NOON, &seed())
}

#[test]
fn an_account_of_an_earlier_provider_reaches_low_and_is_nobodys_until_the_person_is_found_out() {
    let world = world();
    let provider = &world.provider;
    let earlier = taken_over(&world, 30);
    let signed_in = by_password(&world, 30).unwrap();
    assert_eq!(signed_in.level, Level::Low);
    let told = provider.notices(10).unwrap();
    let [notice] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(notice.notice, NoticeKind::NewDevice);
    assert_eq!(
        notice.channels.len(),
        2,
        "every earlier address hears of it"
    );
    // Nobody is told who it is, and the ways in stay as they are.
    let who = world.who(&signed_in);
    let bank = world.bank(&bank_form());
    let asked = world.interaction(&bank, &asked(Level::Low, &["openid", "number"]));
    let seen = provider.interaction(&asked, Some(&who), NOON).unwrap();
    assert_eq!(seen.step, Step::Proofing);
    let added = provider.add_key(&who, &key_of(30, 0), &seed());
    assert!(matches!(refusal(added), Refusal::LevelTooLow { .. }));
    let set = provider.set_password(&who, Some(&earlier), &seed());
    assert!(matches!(refusal(set), Refusal::LevelTooLow { .. }));
    // Taken over again, everything is as it was; the hash of our own stays in the place of the earlier one.
    let ours = PasswordHash("ours".to_owned());
    let before = check(&world, 30);
    provider.renew_password(&before, &ours).unwrap();
    provider
        .renew_password(&before, &PasswordHash("late".to_owned()))
        .unwrap();
    taken_over(&world, 30);
    assert_eq!(check(&world, 30).hash(), Some(&ours));
}

#[test]
fn an_earlier_providers_password_ends_when_the_desk_or_a_card_finds_out_the_person() {
    let world = world();
    let provider = &world.provider;
    let desk = world.officer(1, Duty::Desk);
    taken_over(&world, 30);
    let thief = by_password(&world, 30).unwrap();
    let at_desk = provider.at_desk(&desk, number(30), Tenant::People).unwrap();
    assert!(at_desk.unwrap().needs_first_key);
    let ticket = provider
        .issue_ticket(&desk, number(30), Tenant::People, &seed())
        .unwrap();
    let ended = |signed_in: &SignedIn| refusal(provider.session(&signed_in.session, NOON));
    assert_eq!(ended(&thief), Refusal::NotSignedIn);
    assert!(check(&world, 30).hash().is_none());
    let told = provider.notices(10).unwrap();
    let changed = told
        .iter()
        .find(|notice| notice.notice == NoticeKind::WaysChanged);
    assert_eq!(changed.unwrap().channels.len(), 2);
    let key = key_of(30, 0);
    let person = provider
        .use_ticket(&ticket.code, &key, &origin(TOWN), NOON, &seed())
        .unwrap();
    assert_eq!(person.level, Level::High);
    let again = provider.issue_ticket(&desk, number(30), Tenant::People, &seed());
    assert_eq!(refusal(again), Refusal::HasAccount);

    taken_over(&world, 31);
    let thief = by_password(&world, 31).unwrap();
    let card = |serial| CardHolder {
        number: number(serial),
        tenant: Tenant::People,
    };
    // Somebody else's card does not make the account theirs.
    let session = Some(&thief.session);
    let other = provider.sign_in_with_card(card(32), &origin(TOWN), session, NOON, &seed());
    assert_eq!(refusal(other), Refusal::OtherAccount);
    let person = provider
        .sign_in_with_card(card(31), &origin("home"), None, NOON, &seed())
        .unwrap();
    assert_eq!(
        (person.account, person.level),
        (thief.account.clone(), Level::High)
    );
    assert_eq!(ended(&thief), Refusal::NotSignedIn);
    assert!(check(&world, 31).hash().is_none());
}

#[test]
fn whoever_shows_an_earlier_providers_account_at_the_desk_keeps_its_ways_in() {
    let world = world();
    let provider = &world.provider;
    let desk = world.officer(1, Duty::Desk);
    let earlier = taken_over(&world, 30);
    let signed_in = by_password(&world, 30).unwrap();
    let who = world.who(&signed_in);
    let ticket = provider.binding_ticket(&who, &seed()).unwrap();
    let bind = |serial| provider.bind(&desk, &ticket.code, number(serial), &seed());
    assert_eq!(refusal(bind(31)), Refusal::Bound, "another person");
    assert_eq!(bind(30).unwrap(), signed_in.account);
    assert_eq!(check(&world, 30).hash(), Some(&earlier));
    let who = world.who(&signed_in);
    assert_eq!(who.account().person, Some(number(30)));
    assert_eq!(who.level(), Level::Low);
}

#[test]
fn an_earlier_providers_account_that_was_frozen_at_a_counter_is_opened_by_two_officers() {
    let world = world();
    let provider = &world.provider;
    let [first, second] = [1, 2].map(|serial| world.officer(serial, Duty::Desk));
    taken_over(&world, 30);
    provider
        .freeze_for(&first, number(30), Tenant::People, Way::Counter, &seed())
        .unwrap();
    assert_eq!(refusal(by_password(&world, 30)), Refusal::Frozen);
    provider
        .open_unfreeze(&first, number(30), Tenant::People, &seed())
        .unwrap();
    let cases = provider.cases(&second).unwrap();
    assert_eq!(cases[0].person, number(30));
    provider
        .confirm_unfreeze(&second, &cases[0].id, &seed())
        .unwrap();
    by_password(&world, 30).unwrap();
}
