//! Signing in, levels, the desk, freezing and recovering.

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
fn with_password(world: &World, serial: u32) -> (LoginName, PasswordHash) {
    let person = world.person(serial);
    let who = world.who(&person);
    let hash = PasswordHash(format!("$argon2id${serial}"));
    world
        .provider
        .set_password(&who, Some(&hash), &seed())
        .unwrap();
    let address = format!("{serial}@mail.example");
    let sent = world
        .provider
        .begin_channel(&who, ChannelKind::Email, &address, world.now, &seed())
        .unwrap();
    let code = sent.delivery.unwrap().code.unwrap();
    let session = &person.session;
    world
        .provider
        .finish_code(
            &sent.attempt,
            &code,
            &origin(TOWN),
            Some(session),
            world.now,
            &seed(),
        )
        .unwrap();
    (LoginName::Number(number(serial), Tenant::People), hash)
}

fn by_password(world: &World, name: &LoginName, right: bool) -> Result<CodeSent, Failure> {
    let provider = &world.provider;
    let check = provider.begin_password(name, &origin(TOWN), world.now)?;
    provider.finish_password(&check, right, &origin(TOWN), world.now, &seed())
}

fn finish(world: &World, attempt: &Secret, code: &Secret) -> Result<SignedIn, Failure> {
    world
        .provider
        .finish_code(attempt, code, &origin(TOWN), None, world.now, &seed())
}

#[test]
fn a_password_and_a_code_reach_low_and_nothing_tells_who_has_an_account() {
    let world = world();
    let (name, hash) = with_password(&world, 10);
    let nobody = LoginName::Number(number(77), Tenant::People);
    let check = world
        .provider
        .begin_password(&nobody, &origin(TOWN), NOON)
        .unwrap();
    assert!(check.hash().is_none());
    let unknown = world
        .provider
        .finish_password(&check, true, &origin(TOWN), NOON, &seed());
    let wrong = by_password(&world, &name, false);
    assert_eq!(refusal(unknown), Refusal::WrongCredentials);
    assert_eq!(refusal(wrong), Refusal::WrongCredentials);
    let check = world
        .provider
        .begin_password(&name, &origin(TOWN), NOON)
        .unwrap();
    assert_eq!(check.hash(), Some(&hash));

    let sent = by_password(&world, &name, true).unwrap();
    let code = sent.delivery.unwrap().code.unwrap();
    let signed_in = finish(&world, &sent.attempt, &code).unwrap();
    assert_eq!(signed_in.level, Level::Low);
    assert_eq!(
        refusal(finish(&world, &sent.attempt, &code)),
        Refusal::Over,
        "once"
    );
    let who = world.who(&signed_in);
    for operation in [
        Operation::Sign,
        Operation::Mandate,
        Operation::ChangeRecovery,
    ] {
        assert!(matches!(
            who.may(operation),
            Err(Refusal::LevelTooLow {
                needed: Level::High,
                has: Level::Low
            })
        ));
    }
    who.may(Operation::Freeze).unwrap();
}

#[test]
fn a_code_is_tried_five_times_within_five_minutes() {
    let mut world = world();
    let (name, _) = with_password(&world, 10);
    let sent = by_password(&world, &name, true).unwrap();
    let code = sent.delivery.unwrap().code.unwrap();
    for _ in 0..5 {
        let wrong = finish(&world, &sent.attempt, &Secret::new("wrong"));
        assert_eq!(refusal(wrong), Refusal::WrongCredentials);
    }
    assert_eq!(refusal(finish(&world, &sent.attempt, &code)), Refusal::Over);

    let sent = by_password(&world, &name, true).unwrap();
    let code = sent.delivery.unwrap().code.unwrap();
    world.later(Duration::minutes(5));
    assert_eq!(refusal(finish(&world, &sent.attempt, &code)), Refusal::Over);
}

#[test]
fn a_printed_code_is_used_once_and_with_a_clerk_reaches_substantial() {
    let world = world();
    let (name, _) = with_password(&world, 10);
    let person = world.sign_in(10, 0).unwrap();
    let codes = world
        .provider
        .print_codes(&world.who(&person), &seed())
        .unwrap();
    assert_eq!(codes.len(), PRINTED_CODES);
    let typed = Secret::new(codes[0].expose().to_lowercase());
    let first = by_password(&world, &name, true).unwrap();
    assert_eq!(
        finish(&world, &first.attempt, &typed).unwrap().level,
        Level::Low
    );
    let second = by_password(&world, &name, true).unwrap();
    assert_eq!(
        refusal(finish(&world, &second.attempt, &typed)),
        Refusal::WrongCredentials
    );

    let clerk = world.officer(1, Duty::Desk);
    let admit = |code: &Secret| {
        let tenant = Tenant::People;
        world
            .provider
            .admit(&clerk, number(10), tenant, code, &seed())
    };
    let enter = |ticket: &Secret, place: &str| {
        let origin = origin(place);
        world
            .provider
            .enter_at_counter(ticket, &origin, world.now, &seed())
    };
    assert_eq!(refusal(admit(&codes[0])), Refusal::WrongCredentials);
    let ticket = admit(&codes[1]).unwrap().code;
    assert_eq!(refusal(admit(&codes[1])), Refusal::WrongCredentials);
    // The ticket gives no key, and a ticket for a key no session.
    let screen = origin("counter");
    assert_eq!(
        refusal(world.provider.ticket(&ticket, &screen, world.now)),
        Refusal::Over
    );
    let key = key_of(10, 5);
    let used = world
        .provider
        .use_ticket(&ticket, &key, &screen, world.now, &seed());
    assert_eq!(refusal(used), Refusal::Over);
    // Others' wrong tickets do not hold up a right one.
    let wrong = Secret::new("AAAABBBBCCCC");
    while refusal(enter(&wrong, "counter")) == Refusal::Over {}
    assert_eq!(enter(&ticket, "counter").unwrap().level, Level::Substantial);
    assert_ne!(enter(&ticket, "elsewhere").map(|_| ()), Ok(()));
    // Frozen meanwhile: neither step goes on.
    let ticket = admit(&codes[2]).unwrap().code;
    world
        .provider
        .freeze_for(&clerk, number(10), Tenant::People, Way::Call, &seed())
        .unwrap();
    assert!(enter(&ticket, "elsewhere").is_err());
    assert_eq!(refusal(admit(&codes[3])), Refusal::Frozen);
}

#[test]
fn guessing_holds_up_strangers_and_not_the_person() {
    let mut world = world();
    let (name, _) = with_password(&world, 10);
    let home = world.sign_in(10, 0).unwrap();
    let mut refused = 0;
    for network in 0..20 {
        for _ in 0..12 {
            let from = origin(&format!("10.0.{network}.0/24"));
            match world.provider.begin_password(&name, &from, world.now) {
                Ok(_) => {}
                Err(Failure::Refused(Refusal::TooManyAttempts(_))) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    // Fifty guesses of an hour, from wherever.
    assert_eq!(refused, 20 * 12 - 50);
    let at_home = Origin {
        device: Some(home.device.clone()),
        ..origin("203.0.113.0/24")
    };
    world
        .provider
        .begin_password(&name, &at_home, world.now)
        .unwrap();
    world.sign_in(10, 0).unwrap();
    let other = LoginName::Number(number(11), Tenant::People);
    world
        .provider
        .begin_password(&other, &origin("10.0.0.0/24"), world.now)
        .unwrap();
    world.later(Duration::hours(1));
    world
        .provider
        .begin_password(&name, &origin("10.0.0.0/24"), world.now)
        .unwrap();
}

#[test]
fn a_key_never_exceeds_the_session_in_which_it_was_added() {
    let world = world();
    let card = CardHolder {
        number: number(10),
        tenant: Tenant::People,
    };
    let sign_up = world
        .provider
        .begin_sign_up(
            "a@mail.example",
            Tenant::People,
            &origin(TOWN),
            NOON,
            &seed(),
        )
        .unwrap();
    let code = sign_up.delivery.unwrap().code.unwrap();
    let low = finish(&world, &sign_up.attempt, &code).unwrap();
    world
        .provider
        .add_key(&world.who(&low), &key_of(10, 1), &seed())
        .unwrap();
    // The card finds out who it is, and binds the account that belonged to nobody.
    let high = world
        .provider
        .sign_in_with_card(card, &origin(TOWN), Some(&low.session), NOON, &seed())
        .unwrap();
    assert_eq!(
        (high.account.clone(), high.level),
        (low.account.clone(), Level::High)
    );
    world
        .provider
        .add_key(&world.who(&high), &key_of(10, 2), &seed())
        .unwrap();
    assert_eq!(world.sign_in(10, 1).unwrap().level, Level::Low);
    assert_eq!(world.sign_in(10, 2).unwrap().level, Level::High);
    let synced = NewPasskey {
        synced: true,
        ..key_of(10, 3)
    };
    world
        .provider
        .add_key(&world.who(&high), &synced, &seed())
        .unwrap();
    assert_eq!(world.sign_in(10, 3).unwrap().level, Level::Substantial);
    // Recovery by a code, and nothing exceeds low.
    let who = world.who(&high);
    world
        .provider
        .set_recovery(&who, Recovery::SentCode, &seed())
        .unwrap();
    assert_eq!(world.sign_in(10, 2).unwrap().level, Level::Low);
}

#[test]
fn a_step_up_changes_the_cookie_and_high_does_not_last() {
    let mut world = world();
    let (name, _) = with_password(&world, 10);
    let sent = by_password(&world, &name, true).unwrap();
    let code = sent.delivery.unwrap().code.unwrap();
    let low = finish(&world, &sent.attempt, &code).unwrap();
    let up = world
        .provider
        .sign_in_with_key(
            &assertion(10, 0),
            &origin(TOWN),
            Some(&low.session),
            NOON,
            &seed(),
        )
        .unwrap();
    assert_eq!((up.id.clone(), up.level), (low.id.clone(), Level::High));
    assert_eq!(
        refusal(world.provider.session(&low.session, NOON)),
        Refusal::NotSignedIn
    );
    world.later(HIGH_LASTS - Duration::SECOND);
    assert_eq!(world.who(&up).level(), Level::High);
    world.later(Duration::SECOND);
    assert_eq!(world.who(&up).level(), Level::Substantial);
    world.later(SESSION_IDLES);
    assert_eq!(
        refusal(world.provider.session(&up.session, world.now)),
        Refusal::NotSignedIn
    );
    // Somebody else's session is not taken up.
    world.person(11);
    let other = world.sign_in(11, 0).unwrap();
    let mixed = world.provider.sign_in_with_key(
        &assertion(10, 0),
        &origin(TOWN),
        Some(&other.session),
        world.now,
        &seed(),
    );
    assert_eq!(refusal(mixed), Refusal::OtherAccount);
}

#[test]
fn a_copied_key_and_one_that_did_not_ask_are_refused() {
    let world = world();
    let person = world.person(10);
    let counting = NewPasskey {
        counter: 5,
        ..key_of(10, 1)
    };
    world
        .provider
        .add_key(&world.who(&person), &counting, &seed())
        .unwrap();
    let with = |counter, user_verified| {
        let assertion = Assertion {
            counter,
            user_verified,
            ..assertion(10, 1)
        };
        world
            .provider
            .sign_in_with_key(&assertion, &origin(TOWN), None, NOON, &seed())
    };
    with(6, true).unwrap();
    assert_eq!(refusal(with(6, true)), Refusal::KeyCopied);
    assert_eq!(refusal(with(0, true)), Refusal::KeyCopied);
    assert_eq!(refusal(with(7, false)), Refusal::NotVerified);
    assert_eq!(world.count(EventKind::KeyCopied), 2);
}

#[test]
fn a_freeze_is_not_lifted_over_the_way_by_which_it_came() {
    let world = world();
    let person = world.person(10);
    let [first, second] = [1, 2].map(|serial| world.officer(serial, Duty::Desk));
    let provider = &world.provider;
    let by_key = || provider.unfreeze(&assertion(10, 0), &origin(TOWN), NOON, &seed());
    let at_desk = || provider.unfreeze_for(&first, number(10), Tenant::People, &seed());
    provider.freeze(&world.who(&person), &seed()).unwrap();
    assert_eq!(refusal(by_key()), Refusal::SameWay);
    at_desk().unwrap();
    assert_eq!(refusal(at_desk()), Refusal::NotFrozen);

    provider
        .freeze_for(&first, number(10), Tenant::People, Way::Counter, &seed())
        .unwrap();
    assert_eq!(refusal(at_desk()), Refusal::SameWay);
    let case = provider
        .open_unfreeze(&first, number(10), Tenant::People, &seed())
        .unwrap();
    let by = |officer: &OnDuty| provider.confirm_unfreeze(officer, &case.id, &seed());
    assert_eq!(refusal(by(&first)), Refusal::SameOfficer);
    // The second officer is where the person is.
    world
        .provider
        .sign_in_with_card(
            CardHolder {
                number: number(3),
                tenant: Tenant::People,
            },
            &origin("desk"),
            None,
            NOON,
            &seed(),
        )
        .unwrap();
    let boss = world.officer(900, Duty::Appointment);
    provider
        .appoint(&boss, number(3), Tenant::People, "Osh", &[Duty::Desk])
        .unwrap();
    let elsewhere = world.officer(3, Duty::Desk);
    assert_eq!(refusal(by(&elsewhere)), Refusal::Over);
    by(&second).unwrap();

    provider
        .freeze_for(&first, number(10), Tenant::People, Way::Call, &seed())
        .unwrap();
    assert_eq!(refusal(world.sign_in(10, 0)), Refusal::Frozen);
    by_key().unwrap();
    world.sign_in(10, 0).unwrap();
}

#[test]
fn a_recovery_takes_two_officers_ends_what_was_and_waits_a_day() {
    let mut world = world();
    with_password(&world, 10);
    let person = world.sign_in(10, 0).unwrap();
    let bank = world.bank(&bank_form());
    let tokens = world.tokens(&bank, &person);
    let [first, second] = [1, 2].map(|serial| world.officer(serial, Duty::Desk));
    let provider = world.provider.clone();
    let opened = provider
        .open_recovery(&first, number(10), Tenant::People, &seed())
        .unwrap();
    assert_eq!(
        refusal(provider.confirm_recovery(&first, &opened.id, &seed())),
        Refusal::SameOfficer
    );
    let ticket = provider
        .confirm_recovery(&second, &opened.id, &seed())
        .unwrap();
    assert_eq!(
        refusal(provider.confirm_recovery(&second, &opened.id, &seed())),
        Refusal::Over
    );
    let back = provider
        .use_ticket(&ticket.code, &key_of(10, 9), &origin(TOWN), NOON, &seed())
        .unwrap();
    assert_eq!(
        refusal(provider.use_ticket(&ticket.code, &key_of(10, 8), &origin(TOWN), NOON, &seed())),
        Refusal::Over
    );
    assert_eq!(refusal(world.sign_in(10, 0)), Refusal::WrongCredentials);
    assert_eq!(
        refusal(provider.session(&person.session, NOON)),
        Refusal::NotSignedIn
    );
    assert_eq!(
        refusal(world.refresh(&bank, &tokens.refresh.unwrap())),
        Refusal::Refresh
    );
    for kind in [NoticeKind::RecoveryOpened, NoticeKind::Recovered] {
        let notices = provider.notices(100).unwrap();
        let notice = notices.iter().find(|notice| notice.notice == kind).unwrap();
        assert_eq!(notice.channels[0].address, "10@mail.example");
        provider.delivered(notice).unwrap();
    }
    let who = world.who(&back);
    assert_eq!(who.level(), Level::High);
    let until = NOON + CARE_AFTER_RECOVERY;
    for operation in [
        Operation::Sign,
        Operation::IssueDocument,
        Operation::Mandate,
    ] {
        assert_eq!(who.may(operation), Err(Refusal::Careful(until)));
    }
    world.later(CARE_AFTER_RECOVERY);
    let later = world.sign_in(10, 9).unwrap();
    world.who(&later).may(Operation::Sign).unwrap();
}

#[test]
fn officers_do_not_decide_about_themselves_and_need_their_duty() {
    let world = world();
    let officer = world.officer(1, Duty::Desk);
    let provider = &world.provider;
    assert_eq!(
        refusal(provider.open_recovery(&officer, number(1), Tenant::People, &seed())),
        Refusal::OwnCase
    );
    assert_eq!(
        refusal(provider.issue_ticket(&officer, number(1), Tenant::People, &seed())),
        Refusal::HasAccount
    );
    let clients = world.officer(1, Duty::Clients);
    assert_eq!(
        refusal(provider.issue_ticket(&clients, number(12), Tenant::People, &seed())),
        Refusal::NotOnDuty
    );
    let person = world.person(10);
    assert_eq!(
        refusal(provider.on_duty(&world.who(&person), Duty::Desk)),
        Refusal::NotOnDuty
    );
    // Who reads somebody's events is in that person's own list.
    let reader = world.officer(2, Duty::Investigation);
    let why = Declared {
        ground: Ground::Court,
        reference: Reference::new("УД-123/26").unwrap(),
    };
    let read = |before| provider.history_for(&reader, number(10), Tenant::People, &why, before, 2);
    let (whose, latest) = read(None).unwrap();
    let account = world.who(&person).account().id.clone();
    assert_eq!(whose, account);
    let own = provider.history(&world.who(&person), None, 10).unwrap();
    assert_eq!(own[..2], latest);
    let (place, event) = &own[0];
    assert_eq!(event.event, EventKind::EventsRead);
    assert_eq!(event.office.as_deref(), Some("kyzmat-1"));
    assert_eq!(event.reason.as_deref(), Some("court"));
    assert_eq!(event.reference.as_deref(), Some("УД-123/26"));
    // An earlier part is a reading of its own.
    let (_, earlier) = read(Some(*place)).unwrap();
    assert_eq!(earlier, own[1..3]);
    let own = provider.history(&world.who(&person), None, 10).unwrap();
    let readings = own
        .iter()
        .filter(|(_, event)| event.event == EventKind::EventsRead);
    assert_eq!(readings.count(), 2);
}

#[test]
fn an_account_is_bound_at_the_desk_with_the_key_that_was_there() {
    let world = world();
    let provider = &world.provider;
    let sign_up = provider
        .begin_sign_up(
            "b@mail.example",
            Tenant::People,
            &origin(TOWN),
            NOON,
            &seed(),
        )
        .unwrap();
    let code = sign_up.delivery.unwrap().code.unwrap();
    let low = finish(&world, &sign_up.attempt, &code).unwrap();
    provider
        .add_key(&world.who(&low), &key_of(20, 1), &seed())
        .unwrap();
    provider
        .add_key(&world.who(&low), &key_of(20, 2), &seed())
        .unwrap();
    let with_key = world.sign_in(20, 1).unwrap();
    let ticket = provider
        .binding_ticket(&world.who(&with_key), &seed())
        .unwrap();
    let officer = world.officer(1, Duty::Desk);
    let typed = Secret::new(ticket.code.expose().to_lowercase());
    provider
        .bind(&officer, &typed, number(20), &seed())
        .unwrap();
    assert_eq!(
        refusal(provider.bind(&officer, &typed, number(20), &seed())),
        Refusal::Over
    );
    assert_eq!(world.sign_in(20, 1).unwrap().level, Level::High);
    assert_eq!(world.sign_in(20, 2).unwrap().level, Level::Low);
    assert_eq!(
        refusal(provider.issue_ticket(&officer, number(20), Tenant::People, &seed())),
        Refusal::HasAccount
    );
}

#[test]
fn a_sent_on_picture_reaches_low_at_most_and_a_wrong_number_ends_it() {
    let mut world = world();
    let person = world.person(10);
    let who = world.who(&person);
    let provider = world.provider.clone();
    let begin = |now| {
        provider
            .begin_screen(Tenant::People, &origin("kiosk"), now, &seed())
            .unwrap()
    };
    let screen = begin(world.now);
    let view = provider.crossing(&who, &screen.user_code).unwrap();
    assert_eq!(view.choices.len(), 3);
    assert!(view.choices.contains(&screen.number));
    assert_eq!(
        view.network.as_deref(),
        Some("kiosk"),
        "the person sees where it is"
    );
    let wrong = view
        .choices
        .iter()
        .find(|choice| **choice != screen.number)
        .unwrap();
    assert_eq!(
        refusal(provider.answer_crossing(&who, &screen.user_code, Some(*wrong))),
        Refusal::NumberMismatch
    );
    assert_eq!(
        refusal(provider.answer_crossing(&who, &screen.user_code, Some(screen.number))),
        Refusal::Over
    );
    let poll = |poll: &Secret, now| provider.poll_screen(poll, &origin("kiosk"), now, &seed());
    assert_eq!(refusal(poll(&screen.poll, world.now)), Refusal::Denied);

    let screen = begin(world.now);
    assert_eq!(refusal(poll(&screen.poll, world.now)), Refusal::Pending);
    assert_eq!(refusal(poll(&screen.poll, world.now)), Refusal::SlowDown);
    provider
        .answer_crossing(&who, &screen.user_code, Some(screen.number))
        .unwrap();
    let signed_in = poll(&screen.poll, world.now).unwrap();
    assert_eq!(signed_in.level, Level::Low);
    assert_ne!(signed_in.id, person.id);
    assert_eq!(
        refusal(poll(&screen.poll, world.now)),
        Refusal::Over,
        "once"
    );

    let screen = begin(world.now);
    world.later(screen.lasts);
    let who = world.who(&person);
    assert_eq!(
        refusal(provider.answer_crossing(&who, &screen.user_code, Some(screen.number))),
        Refusal::Over
    );
}

#[test]
fn a_ceremony_is_taken_once() {
    let world = world();
    let provider = &world.provider;
    let token = provider
        .keep_ceremony("state".to_owned(), NOON, &seed())
        .unwrap();
    let late = NOON + Duration::minutes(5);
    assert_eq!(refusal(provider.take_ceremony(&token, late)), Refusal::Over);
    assert_eq!(provider.take_ceremony(&token, NOON).unwrap(), "state");
    assert_eq!(refusal(provider.take_ceremony(&token, NOON)), Refusal::Over);
    let large = "x".repeat(16 * 1024 + 1);
    assert_eq!(
        refusal(provider.keep_ceremony(large, NOON, &seed())),
        Refusal::TooLong
    );
}

#[test]
fn what_changed_at_the_signing_service_is_told_once_and_only_while_it_is_news() {
    let world = world();
    with_password(&world, 10);
    let change = |place, person, notice, days| SigningChange {
        place,
        person: number(person),
        notice,
        at: world.now - Duration::days(days),
    };
    let changed = [
        change(3, 10, NoticeKind::SigningCertificates, 400),
        change(5, 10, NoticeKind::SigningDevice, 0),
        change(6, 99, NoticeKind::SigningDevice, 0),
        change(8, 10, NoticeKind::SigningCertificates, 1),
    ];
    assert!(!format!("{changed:?}").contains(number(10).as_str()));
    assert_eq!(world.provider.heard_up_to(Heard::Signing).unwrap(), 0);
    let told = || -> Vec<NoticeKind> {
        let waiting = world.provider.notices(100).unwrap();
        for notice in &waiting {
            assert_eq!(notice.channels[0].address, "10@mail.example");
            world.provider.delivered(notice).unwrap();
        }
        waiting.iter().map(|notice| notice.notice).collect()
    };
    told();
    let hear = |up_to| {
        world
            .provider
            .signing_changed(&changed, up_to, world.now)
            .unwrap();
    };
    hear(7);
    assert_eq!(told(), [NoticeKind::SigningDevice]);
    assert_eq!(world.provider.heard_up_to(Heard::Signing).unwrap(), 7);
    // Another node that heard the same, and one that is behind.
    hear(7);
    hear(5);
    assert!(told().is_empty());
    assert_eq!(world.provider.heard_up_to(Heard::Signing).unwrap(), 7);
    hear(9);
    assert_eq!(told(), [NoticeKind::SigningCertificates]);
}
