//! What the population register did to people who have accounts: deaths, and numbers that were given up.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

#[path = "suite/world.rs"]
mod world;

use std::sync::Arc;

use oidc_provider::*;
use world::*;

fn world() -> World {
    World::new(Arc::new(MemoryStore::default()))
}

fn by_card(world: &World, serial: u32) -> Result<SignedIn, Failure> {
    let card = CardHolder {
        number: number(serial),
        tenant: Tenant::People,
    };
    let provider = &world.provider;
    provider.sign_in_with_card(card, &origin("home"), None, world.now, &seed())
}

fn became(world: &World, serial: u32, fate: Fate) {
    let provider = &world.provider;
    provider
        .became(number(serial), fate, world.now, &seed())
        .unwrap();
}

#[test]
fn nobody_comes_in_as_somebody_who_died() {
    let world = world();
    let person = world.person(10);
    let bank = world.bank(&bank_form());
    let tokens = world.tokens(&bank, &person);
    let provider = world.provider.clone().with_signing_service();
    assert!(provider.has_account(number(10)).unwrap());
    provider
        .became(number(10), Fate::Died, world.now, &seed())
        .unwrap();
    assert!(provider.session(&person.session, world.now).is_err());
    assert!(provider.access(&tokens.access, None, world.now).is_err());
    assert!(world.refresh(&bank, &tokens.refresh.unwrap()).is_err());
    assert!(world.sign_in(10, 0).is_err());
    assert!(by_card(&world, 10).is_err());
    let words = provider.signing_words(10).unwrap();
    assert!(words.iter().any(|word| word.word == Word::Frozen));
    assert_eq!(provider.logouts(10).unwrap().len(), 1, "the bank is told");
    // Neither a key nor one officer opens it.
    let by_key = provider.unfreeze(&assertion(10, 0), &origin("home"), world.now, &seed());
    assert!(by_key.is_err());
    let desk = world.officer(1, Duty::Desk);
    let at_desk = || provider.unfreeze_for(&desk, number(10), Tenant::People, &seed());
    assert_eq!(refusal(at_desk()), Refusal::SameWay);
    let ticket = provider.issue_ticket(&desk, number(10), Tenant::People, &seed());
    assert_eq!(refusal(ticket), Refusal::Frozen);
    // Heard again, or of somebody without an account: nothing more happens.
    became(&world, 10, Fate::Died);
    became(&world, 77, Fate::Died);
    let events = world.events();
    let frozen: Vec<_> = events
        .iter()
        .filter(|event| event.event == EventKind::AccountFrozen)
        .collect();
    assert_eq!(frozen.len(), 1);
    assert_eq!(frozen[0].reason.as_deref(), Some("died"));
}

#[test]
fn a_death_that_was_none_is_undone_by_two_officers() {
    let world = world();
    world.person(10);
    became(&world, 10, Fate::Died);
    let [first, second] = [1, 2].map(|serial| world.officer(serial, Duty::Desk));
    let provider = &world.provider;
    let case = provider
        .open_recovery(&first, number(10), Tenant::People, &seed())
        .unwrap();
    let ticket = provider
        .confirm_recovery(&second, &case.id, &seed())
        .unwrap();
    provider
        .use_ticket(
            &ticket.code,
            &key_of(10, 1),
            &origin("home"),
            world.now,
            &seed(),
        )
        .unwrap();
    world.sign_in(10, 1).unwrap();
}

#[test]
fn both_numbers_of_a_person_lead_to_one_account() {
    let world = world();
    let account = by_card(&world, 10).unwrap().account;
    became(&world, 10, Fate::Kept(number(11)));
    assert_eq!(by_card(&world, 11).unwrap().account, account);
    assert_eq!(by_card(&world, 10).unwrap().account, account);
    // Whichever number is said at a desk, the person is frozen.
    let desk = world.officer(1, Duty::Desk);
    let provider = &world.provider;
    provider
        .freeze_for(&desk, number(11), Tenant::People, Way::Call, &seed())
        .unwrap();
    assert_eq!(refusal(by_card(&world, 10)), Refusal::Frozen);
    assert_eq!(world.count(EventKind::AccountFrozen), 1);
}

#[test]
fn of_two_accounts_of_a_person_one_stays() {
    let world = world();
    world.person(10);
    let kept = by_card(&world, 11).unwrap().account;
    became(&world, 10, Fate::Kept(number(11)));
    assert!(world.sign_in(10, 0).is_err(), "the other account has ended");
    for serial in [10, 11] {
        assert_eq!(by_card(&world, serial).unwrap().account, kept);
    }
    became(&world, 10, Fate::Kept(number(11)));
    assert_eq!(world.count(EventKind::AccountFrozen), 1);
}

#[test]
fn the_place_only_grows() {
    let world = world();
    let provider = &world.provider;
    assert_eq!(provider.heard_up_to(Heard::Register).unwrap(), 0);
    for (said, kept) in [(5, 5), (3, 5), (9, 9)] {
        provider.heard_register(said).unwrap();
        assert_eq!(provider.heard_up_to(Heard::Register).unwrap(), kept);
    }
    assert_eq!(provider.heard_up_to(Heard::Signing).unwrap(), 0);
}
