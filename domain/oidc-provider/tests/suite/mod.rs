//! What every fulfilment of the identity provider's port must do. Every store runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "world.rs"]
pub mod world;

use std::sync::{Arc, Barrier};

use oidc_provider::*;
use time::Duration;
use world::*;

/// Opens the database under test; again and again the same one, as another server would.
pub type Open<'a> = &'a (dyn Fn() -> Arc<dyn Store> + Sync);

/// Servers that do something at one time.
const NODES: usize = 6;

/// Does something on several servers over one database at the same time.
fn at_once<T: Send>(open: Open<'_>, work: impl Fn(usize, &World) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(NODES);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..NODES)
            .map(|node| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    let world = World::over(open());
                    barrier.wait();
                    work(node, &world)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// What was committed is there for whoever opens the database next.
pub fn what_was_committed_is_kept(open: Open<'_>) {
    let (session, tokens, bank) = {
        let world = World::new(open());
        let person = world.person(10);
        let bank = world.bank(&bank_form());
        let tokens = world.tokens(&bank, &person);
        (person, tokens, bank)
    };
    let world = World::over(open());
    let who = world.who(&session);
    assert_eq!(who.account().person, Some(number(10)));
    assert_eq!(who.level(), Level::High);
    assert_eq!(world.provider.consents(&who).unwrap().len(), 1);
    let bank = world.provider.client(&bank.client().id).unwrap();
    assert_eq!(bank.client().form, bank_form());
    world.refresh(&bank, &tokens.refresh.unwrap()).unwrap();
    let history = world.provider.history(&who, None, 100).unwrap();
    assert!(
        history
            .iter()
            .any(|(_, event)| event.event == EventKind::SignedIn)
    );
    assert!(history.windows(2).all(|pair| pair[0].0 > pair[1].0));
    // Two at a time, the same: nothing twice, nothing left out.
    let mut pages = Vec::new();
    while let Some(page) = Some(
        world
            .provider
            .history(&who, pages.last().map(|(place, _)| *place), 2)
            .unwrap(),
    )
    .filter(|page| !page.is_empty())
    {
        assert!(page.len() <= 2);
        pages.extend(page);
    }
    assert_eq!(pages, history);
}

/// One code, many servers at once: at most one gets tokens, and as the code came again, they do not live.
pub fn a_code_is_redeemed_once(open: Open<'_>) {
    let world = World::new(open());
    let person = world.person(10);
    let bank = world.bank(&bank_form());
    let asked = asked(Level::High, &["openid", "offline_access"]);
    let code = world
        .allow(&bank, &world.who(&person), &asked, None)
        .unwrap();
    let outcomes = at_once(open, |_, world| world.redeem(&bank, &code));
    let tokens: Vec<&Tokens> = outcomes
        .iter()
        .filter_map(|outcome| outcome.as_ref().ok())
        .collect();
    assert_eq!(tokens.len(), 1, "{outcomes:?}");
    for outcome in &outcomes {
        if let Err(failure) = outcome {
            assert_eq!(failure.refusal(), Some(&Refusal::Code));
        }
    }
    assert_eq!(
        refusal(world.refresh(&bank, tokens[0].refresh.as_ref().unwrap())),
        Refusal::Refresh
    );
    assert_eq!(
        refusal(world.provider.access(&tokens[0].access, None, NOON)),
        Refusal::Access
    );
    assert_eq!(world.count(EventKind::TokensIssued), 1);
    assert_eq!(world.count(EventKind::CodeReplayed), 1);
}

/// One refresh token, many servers at once: at most one gets tokens, and the family ends.
pub fn a_refresh_token_is_used_once(open: Open<'_>) {
    let world = World::new(open());
    let bank = world.bank(&bank_form());
    let tokens = world.tokens(&bank, &world.person(10));
    let old = tokens.refresh.unwrap();
    let outcomes = at_once(open, |_, world| world.refresh(&bank, &old));
    let new: Vec<&Tokens> = outcomes
        .iter()
        .filter_map(|outcome| outcome.as_ref().ok())
        .collect();
    assert_eq!(new.len(), 1, "{outcomes:?}");
    assert_eq!(
        refusal(world.refresh(&bank, new[0].refresh.as_ref().unwrap())),
        Refusal::Refresh
    );
    assert_eq!(world.count(EventKind::TokensRefreshed), 1);
    assert_eq!(world.count(EventKind::RefreshReplayed), 1);
}

/// An identifier is used once, whoever asks.
pub fn an_identifier_is_used_once(open: Open<'_>) {
    drop(World::new(open()));
    let until = NOON + Duration::MINUTE;
    let outcomes = at_once(open, |_, world| world.provider.use_once("jti", "a", until));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let world = World::over(open());
    assert_eq!(
        refusal(world.provider.use_once("jti", "a", until)),
        Refusal::Replay
    );
    world.provider.use_once("other", "a", until).unwrap();
    world.provider.use_once("jti", "b", until).unwrap();
}

/// Guesses are counted before they are judged, also when they come over many servers at once.
pub fn guesses_at_once_are_all_counted(open: Open<'_>) {
    let world = World::new(open());
    let person = world.person(10);
    let hash = PasswordHash("$argon2id$...".to_owned());
    world
        .provider
        .set_password(&world.who(&person), Some(&hash), &seed())
        .unwrap();
    let name = LoginName::Number(number(10), Tenant::People);
    let taken = at_once(open, |_, world| {
        let tries = 0..5;
        tries
            .filter(|_| {
                let begun = world
                    .provider
                    .begin_password(&name, &origin("192.0.2.0/24"), NOON);
                match begun {
                    Ok(_) => true,
                    Err(Failure::Refused(Refusal::TooManyAttempts(_))) => false,
                    // So many at once that this one gave up: it was not taken either.
                    Err(Failure::Store(StoreError::Conflict)) => false,
                    Err(other) => panic!("{other}"),
                }
            })
            .count()
    });
    let taken: usize = taken.iter().sum();
    assert!((1..=10).contains(&taken), "{taken}");
    // Somebody else's guesses hold up neither the key nor another network.
    world.sign_in(10, 0).unwrap();
    world
        .provider
        .begin_password(&name, &origin("198.51.100.0/24"), NOON)
        .unwrap();
}

/// A freeze comes before or after each sign-in at the same moment: afterwards no session holds.
pub fn a_freeze_leaves_no_session(open: Open<'_>) {
    let world = World::new(open());
    let person = world.person(10);
    let bank = world.bank(&bank_form());
    let tokens = world.tokens(&bank, &person);
    let sessions = at_once(open, |node, world| {
        if node == 0 {
            let who = world.who(&person);
            world.provider.freeze(&who, &seed()).unwrap();
            None
        } else {
            world.sign_in(10, 0).ok()
        }
    });
    for signed_in in sessions.iter().flatten().chain([&person]) {
        assert_eq!(
            refusal(world.provider.session(&signed_in.session, NOON)),
            Refusal::NotSignedIn
        );
    }
    assert_eq!(refusal(world.sign_in(10, 0)), Refusal::Frozen);
    assert_eq!(
        refusal(world.provider.access(&tokens.access, None, NOON)),
        Refusal::Access
    );
    assert_eq!(
        refusal(world.refresh(&bank, &tokens.refresh.unwrap())),
        Refusal::Refresh
    );
    assert_eq!(
        world.provider.logouts(10).unwrap().len(),
        1,
        "the bank is told"
    );
}

/// Lists hold what belongs to somebody, in the order of keys, page by page.
pub fn lists_are_complete(open: Open<'_>) {
    let world = World::new(open());
    let store = open();
    let person = world.person(10);
    for _ in 0..4 {
        world.sign_in(10, 0).unwrap();
    }
    world.person(11);
    let sessions = world.provider.sessions(&world.who(&person)).unwrap();
    assert_eq!(sessions.len(), 5);
    let mut ids: Vec<String> = Vec::new();
    let mut after = String::new();
    loop {
        let page = store.list(Kind::Session, By::KeysAfter(&after), 2).unwrap();
        let Some(last) = page.last() else { break };
        after = last.key.clone();
        ids.extend(page.into_iter().map(|stored| stored.key));
    }
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    for session in &sessions {
        assert!(ids.contains(&session.id.as_str().to_owned()));
    }
    assert!(store.load(Kind::Grant, ids[0].as_str()).unwrap().is_none());
    // What belongs to somebody comes page by page too, and nothing of anybody else.
    let owner = person.account.as_str();
    let (mut own, mut after) = (Vec::new(), String::new());
    loop {
        let by = By::OwnerAfter(owner, &after);
        let page = store.list(Kind::Session, by, 2).unwrap();
        let Some(last) = page.last() else { break };
        after = last.key.clone();
        own.extend(page.into_iter().map(|stored| stored.key));
    }
    let mut listed: Vec<&str> = sessions.iter().map(|session| session.id.as_str()).collect();
    listed.sort_unstable();
    assert_eq!(own, listed);
}

/// Whoever reads events in order misses none and sees none twice, while many write.
pub fn events_come_in_order(open: Open<'_>) {
    let world = World::new(open());
    world.person(10);
    let before = world.count(EventKind::SignedIn);
    at_once(open, |_, world| {
        for _ in 0..10 {
            // Sign-ins of one account wait for one another.
            while world.sign_in(10, 0).is_err() {}
        }
    });
    assert_eq!(world.count(EventKind::SignedIn), before + NODES * 10);
    let place = world
        .provider
        .events_after(EventPlace::default(), 1)
        .unwrap()[0]
        .0;
    let all = world.events().len();
    assert_eq!(
        world.provider.events_after(place, 10_000).unwrap().len(),
        all - 1
    );
}

/// What expired is forgotten, what lives is not, and events stay for a year.
pub fn what_expired_is_forgotten(open: Open<'_>) {
    let mut world = World::new(open());
    let person = world.person(10);
    let bank = world.bank(&bank_form());
    let tokens = world.tokens(&bank, &person);
    assert_eq!(world.provider.forget(NOON, 1000).unwrap(), 0);
    let events = world.events().len();
    world.later(Duration::DAY);
    assert!(world.provider.forget(world.now, 1000).unwrap() > 0);
    assert_eq!(world.events().len(), events);
    world.refresh(&bank, &tokens.refresh.unwrap()).unwrap();
    let (session, _) = person
        .session
        .expose()
        .split_once('.')
        .unwrap()
        .1
        .split_once('.')
        .unwrap();
    assert!(open().load(Kind::Session, session).unwrap().is_none());
    world.later(Duration::days(366));
    while world.provider.forget(world.now, 3).unwrap() > 0 {}
    assert!(world.events().is_empty());
    world.sign_in(10, 0).unwrap();
}
