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
