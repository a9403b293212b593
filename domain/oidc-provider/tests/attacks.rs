//! Attacks that need somebody else's credentials for a moment, or many requests: what they gain, and what they leave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "suite/world.rs"]
mod world;

use std::sync::Arc;

use oidc_provider::*;
use time::Duration;
use world::*;

const TOWN: &str = "192.0.2.0/24";

fn world() -> World {
    World::new(Arc::new(MemoryStore::default()))
}

/// A person with a password and an e-mail address.
fn with_password(world: &World, serial: u32) -> LoginName {
    let person = world.person(serial);
    let who = world.who(&person);
    let (provider, now) = (&world.provider, world.now);
    let hash = PasswordHash("$argon2id$".to_owned());
    provider.set_password(&who, Some(&hash), &seed()).unwrap();
    let address = format!("{serial}@mail.example");
    let sent = provider
        .begin_channel(&who, ChannelKind::Email, &address, now, &seed())
        .unwrap();
    let code = sent.delivery.unwrap().code.unwrap();
    let session = Some(&person.session);
    provider
        .finish_code(&sent.attempt, &code, &origin(TOWN), session, now, &seed())
        .unwrap();
    LoginName::Number(number(serial), Tenant::People)
}

fn card(serial: u32) -> CardHolder {
    CardHolder {
        number: number(serial),
        tenant: Tenant::People,
    }
}

#[test]
fn a_new_proof_lends_nothing_from_an_older_one() {
    let mut world = world();
    let bank = world.bank(&bank_form());
    let name = with_password(&world, 10);
    // Signed in by key, at high, and away from the screen.
    let mut session = world.sign_in(10, 0).unwrap().session;
    world.later(Duration::minutes(5));
    let login = Asked {
        prompt_login: true,
        ..asked(Level::High, &["openid"])
    };
    let fresh = Asked {
        max_age: Some(Duration::MINUTE),
        ..asked(Level::High, &["openid"])
    };
    for high in [login, fresh] {
        let low = Asked {
            level: Some(Level::Low),
            ..high.clone()
        };
        let [needs_high, needs_low] = [&high, &low].map(|ask| world.interaction(&bank, ask));
        // Whoever sits there now knows the password and gets the code.
        let (provider, now) = (&world.provider, world.now);
        let check = provider.begin_password(&name, &origin(TOWN), now).unwrap();
        let sent = provider
            .finish_password(&check, true, &origin(TOWN), now, &seed())
            .unwrap();
        let code = sent.delivery.unwrap().code.unwrap();
        let current = Some(&session);
        let again = provider
            .finish_code(&sent.attempt, &code, &origin(TOWN), current, now, &seed())
            .unwrap();
        let who = world.who(&again);
        assert_eq!(who.level(), Level::High, "the session as a whole");
        let found = provider.interaction(&needs_high, Some(&who), now).unwrap();
        assert!(
            matches!(found.step, Step::StepUp { .. }),
            "{:?}",
            found.step
        );
        let forced = provider.allow(&needs_high, &who, &high.scopes, None, now, &seed());
        assert!(matches!(refusal(forced), Refusal::LevelTooLow { .. }));
        // Where low is enough, low is what is said, and when.
        let answer = provider.allow(&needs_low, &who, &low.scopes, None, now, &seed());
        let code = answer.unwrap().code.unwrap();
        let about = world.redeem(&bank, &code).unwrap().about;
        assert_eq!(about.level, Level::Low);
        assert_eq!(about.proved_at, now);
        assert_eq!(about.amr, Factor::SentCode.amr());
        session = again.session;
        world.later(Duration::minutes(2));
    }
}

#[test]
fn a_sign_in_that_was_begun_before_a_freeze_or_recovery_is_not_ended_after_it() {
    let world = world();
    let name = with_password(&world, 10);
    let provider = &world.provider;
    let begin = || {
        let check = provider.begin_password(&name, &origin(TOWN), NOON)?;
        provider.finish_password(&check, true, &origin(TOWN), NOON, &seed())
    };
    let end = |sent: CodeSent| {
        let code = sent.delivery.unwrap().code.unwrap();
        provider.finish_code(&sent.attempt, &code, &origin(TOWN), None, NOON, &seed())
    };
    end(begin().unwrap()).unwrap();
    let thiefs = begin().unwrap();
    let [first, second] = [1, 2].map(|serial| world.officer(serial, Duty::Desk));
    let opened = provider
        .open_recovery(&first, number(10), Tenant::People, &seed())
        .unwrap();
    let ticket = provider
        .confirm_recovery(&second, &opened.id, &seed())
        .unwrap();
    provider
        .use_ticket(&ticket.code, &key_of(10, 9), &origin(TOWN), NOON, &seed())
        .unwrap();
    assert_eq!(refusal(end(thiefs)), Refusal::Over);
}

#[test]
fn a_flood_of_guesses_leaves_one_line_where_it_is_no_longer_taken() {
    let mut world = world();
    let name = with_password(&world, 10);
    let guess = |world: &World| {
        let provider = &world.provider;
        let check = provider.begin_password(&name, &origin(TOWN), world.now)?;
        provider.finish_password(&check, false, &origin(TOWN), world.now, &seed())
    };
    for _ in 0..200 {
        assert!(guess(&world).is_err());
    }
    assert_eq!(world.count(EventKind::SignInThrottled), 1);
    assert_eq!(world.count(EventKind::SignInFailed), 10);
    world.later(Duration::minutes(15));
    for _ in 0..200 {
        assert!(guess(&world).is_err());
    }
    assert_eq!(world.count(EventKind::SignInThrottled), 2);
}

#[test]
fn nobodys_letter_box_is_filled_with_codes() {
    let world = world();
    let provider = &world.provider;
    let sign_up = |address: &str, network: &str| {
        provider.begin_sign_up(address, Tenant::People, &origin(network), NOON, &seed())
    };
    let taken = |network: &str| {
        let tries = (0..40).filter(|_| sign_up("a@b.example", network).is_ok());
        tries.count()
    };
    assert_eq!(taken(TOWN), 10);
    let elsewhere = (0..20).map(|n| taken(&format!("10.0.{n}.0/24")));
    assert_eq!(elsewhere.sum::<usize>(), 40, "from everywhere in an hour");
    // Others of the same network are not held up.
    for place in 0..40 {
        sign_up(&format!("{place}@b.example"), TOWN).unwrap();
    }
    // Nor by adding addresses to an account of one's own.
    let person = world.person(10);
    let who = world.who(&person);
    let add = |_: &u32| {
        provider
            .begin_channel(&who, ChannelKind::Email, "a@b.example", NOON, &seed())
            .is_ok()
    };
    assert_eq!((0..40).filter(add).count(), 10);
}

#[test]
fn every_relying_party_hears_of_the_end_however_long_ago_it_asked() {
    for way in 0..3 {
        let mut world = world();
        let bank = world.bank(&bank_form());
        let person = world.person(10);
        let ask = asked(Level::Low, &["openid"]);
        let code = world.allow(&bank, &world.who(&person), &ask, None).unwrap();
        world.redeem(&bank, &code).unwrap();
        // The access token is over, the bank's own session is not.
        world.later(Duration::minutes(25));
        let who = world.who(&person);
        let provider = &world.provider;
        match way {
            0 => provider.end_session(&who, &person.id).unwrap(),
            1 => provider.freeze(&who, &seed()).unwrap(),
            _ => {
                let officer = world.officer(1, Duty::Desk);
                provider
                    .freeze_for(&officer, number(10), Tenant::People, Way::Counter, &seed())
                    .unwrap();
            }
        }
        let logouts = provider.logouts(9).unwrap();
        assert_eq!(logouts.len(), 1, "way {way}");
        assert_eq!(logouts[0].session, person.id);
    }
}

#[test]
fn a_card_is_added_by_whoever_is_signed_in_high_and_by_nobody_else() {
    let world = world();
    let person = world.person(10);
    let provider = &world.provider;
    let show = |serial, current: Option<&Secret>| {
        provider.sign_in_with_card(card(serial), &origin(TOWN), current, NOON, &seed())
    };
    // A card that somebody found says nothing to an account that does not know it.
    assert_eq!(refusal(show(10, None)), Refusal::WrongCredentials);
    let other = world.person(11);
    assert_eq!(
        refusal(show(10, Some(&other.session))),
        Refusal::WrongCredentials
    );
    let name = with_password(&world, 12);
    let check = provider.begin_password(&name, &origin(TOWN), NOON).unwrap();
    let sent = provider
        .finish_password(&check, true, &origin(TOWN), NOON, &seed())
        .unwrap();
    let code = sent.delivery.unwrap().code.unwrap();
    let low = provider
        .finish_code(&sent.attempt, &code, &origin(TOWN), None, NOON, &seed())
        .unwrap();
    assert_eq!(
        refusal(show(12, Some(&low.session))),
        Refusal::WrongCredentials
    );
    let up = show(10, Some(&person.session)).unwrap();
    assert_eq!(up.id, person.id);
    assert_eq!(world.count(EventKind::CredentialAdded), 5);
    let alone = show(10, None).unwrap();
    assert_eq!(alone.level, Level::High);
}
