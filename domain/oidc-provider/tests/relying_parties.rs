//! Relying parties: requests, levels, codes, tokens, consents, devices, acting for another, subjects.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "suite/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use oidc_provider::*;
use time::Duration;
use world::*;

fn world() -> World {
    World::new(Arc::new(MemoryStore::default()))
}

fn jkt(of: &str) -> Binding {
    Binding::Dpop { jkt: of.to_owned() }
}

#[test]
fn a_relying_party_gets_no_lower_level_than_it_asked_for() {
    let mut world = world();
    let bank = world.bank(&bank_form());
    let person = world.person(10);
    let high = asked(Level::High, &["openid"]);
    world.later(HIGH_LASTS);
    let who = world.who(&person);
    assert_eq!(who.level(), Level::Substantial);
    let interaction = world.interaction(&bank, &high);
    let seen = world
        .provider
        .interaction(&interaction, Some(&who), world.now)
        .unwrap();
    assert_eq!(
        seen.step,
        Step::StepUp {
            level: Level::High,
            reachable: Level::High
        }
    );
    // A page that forgets to look is refused here.
    let forgot = world
        .provider
        .allow(&interaction, &who, &high.scopes, None, world.now, &seed());
    assert_eq!(
        refusal(forgot),
        Refusal::LevelTooLow {
            needed: Level::High,
            has: Level::Substantial
        }
    );
    let up = world
        .provider
        .sign_in_with_key(
            &assertion(10, 0),
            &origin("home"),
            Some(&person.session),
            world.now,
            &seed(),
        )
        .unwrap();
    let who = world.who(&up);
    let answer = world
        .provider
        .allow(&interaction, &who, &high.scopes, None, world.now, &seed())
        .unwrap();
    assert_eq!(answer.state.as_deref(), Some("state"));
    let tokens = world.redeem(&bank, &answer.code.unwrap()).unwrap();
    assert_eq!(tokens.about.level, Level::High);
    assert_eq!(tokens.about.nonce.as_deref(), Some("nonce"));
    assert_eq!(tokens.about.proved_at, world.now);
    assert_eq!(tokens.about.amr, ["hwk", "user", "mfa"]);
    assert!(tokens.refresh.is_none(), "offline_access was not asked for");
    assert!(tokens.about.person.is_none(), "no scope tells who it is");
    // The client's own level holds where the request says less.
    let strict = world.bank(&ClientForm {
        level: Level::High,
        device_flow: false,
        ..bank_form()
    });
    world.later(HIGH_LASTS);
    let who = world.who(&up);
    let interaction = world.interaction(&strict, &asked(Level::Low, &["openid"]));
    let seen = world
        .provider
        .interaction(&interaction, Some(&who), world.now)
        .unwrap();
    assert!(matches!(
        seen.step,
        Step::StepUp {
            level: Level::High,
            ..
        }
    ));
}

#[test]
fn a_request_is_used_once_by_its_own_client_within_its_time() {
    let mut world = world();
    let bank = world.bank(&bank_form());
    let other = world.bank(&bank_form());
    let ask = asked(Level::Low, &["openid"]);
    let provider = world.provider.clone();
    let begin = |request: &Secret, client: &ActiveClient, now| {
        provider.begin(request, &client.client().id, now, &seed())
    };
    let (request, lasts) = provider.push(&bank, &ask, NOON, &seed()).unwrap();
    assert!(matches!(
        refusal(begin(&request, &other, NOON)),
        Refusal::Request(_)
    ));
    assert!(matches!(
        refusal(begin(&request, &bank, NOON + lasts)),
        Refusal::Request(_)
    ));
    let interaction = begin(&request, &bank, NOON).unwrap();
    assert!(matches!(
        refusal(begin(&request, &bank, NOON)),
        Refusal::Request(_)
    ));
    let refused = provider.refuse(&interaction, None, NOON).unwrap();
    assert!(refused.code.is_none());
    assert_eq!(refused.redirect_uri, REDIRECT);
    assert_eq!(
        refusal(provider.refuse(&interaction, None, NOON)),
        Refusal::Over
    );
    let interaction = world.interaction(&bank, &ask);
    world.later(INTERACTION_LASTS);
    assert_eq!(
        refusal(provider.interaction(&interaction, None, world.now)),
        Refusal::Over
    );
}

#[test]
fn requests_that_are_not_acceptable_are_refused() {
    let world = world();
    let bank = world.bank(&bank_form());
    let good = asked(Level::Low, &["openid"]);
    let push = |ask: Asked| refusal(world.provider.push(&bank, &ask, NOON, &seed()));
    for uri in [
        "https://bank.example/back/",
        "https://bank.example/back?x=1",
        "https://bank.example/BACK",
        "https://evil.example/back",
        "https://bank.example/back/../back",
    ] {
        let ask = Asked {
            redirect_uri: uri.to_owned(),
            ..good.clone()
        };
        assert_eq!(push(ask), Refusal::RedirectUri, "{uri}");
    }
    let scopes = |scopes: &[&str]| asked(Level::Low, scopes);
    assert!(matches!(push(scopes(&["profile"])), Refusal::Scope(_)));
    assert_eq!(
        push(scopes(&["openid", "address"])),
        Refusal::Scope("address".to_owned())
    );
    for challenge in ["", "short", VERIFIER.repeat(2).as_str(), &"+".repeat(43)] {
        let ask = Asked {
            challenge: challenge.to_owned(),
            ..good.clone()
        };
        assert!(matches!(push(ask), Refusal::Request(_)), "{challenge}");
    }
    let ask = Asked {
        state: Some("x".repeat(1001)),
        ..good.clone()
    };
    assert!(matches!(push(ask), Refusal::Request(_)));
    let ask = Asked {
        prompt_none: true,
        prompt_login: true,
        ..good
    };
    assert!(matches!(push(ask), Refusal::Request(_)));
}

#[test]
fn a_stolen_code_is_worth_nothing() {
    let mut world = world();
    let bank = world.bank(&bank_form());
    let other = world.bank(&bank_form());
    let person = world.person(10);
    let ask = asked(Level::Low, &["openid", "offline_access"]);
    let code = |world: &World| world.allow(&bank, &world.who(&person), &ask, None).unwrap();
    let verifier = Secret::new(VERIFIER);
    let short = Secret::new("short");
    let first = code(&world);
    let given = Redemption {
        code: &first,
        redirect_uri: REDIRECT,
        verifier: &verifier,
        binding: None,
    };
    let provider = world.provider.clone();
    let redeem = |client: &ActiveClient, given: Redemption<'_>, now| {
        provider.redeem(client, given, now, &seed())
    };
    assert_eq!(refusal(redeem(&other, given, NOON)), Refusal::Code);
    let elsewhere = Redemption {
        redirect_uri: "https://evil.example/",
        ..given
    };
    assert_eq!(
        refusal(redeem(&bank, elsewhere, NOON)),
        Refusal::RedirectUri
    );
    assert_eq!(
        refusal(redeem(&bank, given, NOON + CODE_WAITS)),
        Refusal::Code
    );
    let tokens = redeem(&bank, given, NOON).unwrap();
    assert_eq!(refusal(redeem(&bank, given, NOON)), Refusal::Code);
    assert_eq!(
        refusal(provider.access(&tokens.access, None, NOON)),
        Refusal::Access
    );

    let second = code(&world);
    let guessed = Redemption {
        code: &second,
        verifier: &short,
        ..given
    };
    assert_eq!(refusal(redeem(&bank, guessed, NOON)), Refusal::Verifier);
    let late = Redemption {
        code: &second,
        ..given
    };
    assert_eq!(
        refusal(redeem(&bank, late, NOON)),
        Refusal::Code,
        "it is void after a guess"
    );
    world.later(Duration::MINUTE);
    assert_eq!(world.count(EventKind::CodeReplayed), 2);
}

#[test]
fn tokens_are_bound_to_a_key() {
    let world = world();
    let fapi = ClientForm {
        profile: Profile::Fapi2,
        ..bank_form()
    };
    let bank = world.bank(&fapi);
    let person = world.person(10);
    let provider = &world.provider;
    let verifier = Secret::new(VERIFIER);
    let redeem = |code: &Secret, binding: Option<&Binding>| {
        let given = Redemption {
            code,
            redirect_uri: REDIRECT,
            verifier: &verifier,
            binding,
        };
        provider.redeem(&bank, given, NOON, &seed())
    };
    let mut ask = asked(Level::Low, &["openid", "offline_access"]);
    ask.binding = Some(jkt("right"));
    let code = world.allow(&bank, &world.who(&person), &ask, None).unwrap();
    let (right, wrong) = (jkt("right"), jkt("wrong"));
    assert_eq!(refusal(redeem(&code, None)), Refusal::Unbound);
    assert_eq!(refusal(redeem(&code, Some(&wrong))), Refusal::OtherKey);
    let tokens = redeem(&code, Some(&right)).unwrap();
    assert_eq!(tokens.binding, Some(right.clone()));
    let access = |binding| provider.access(&tokens.access, binding, NOON);
    assert_eq!(refusal(access(None)), Refusal::OtherKey);
    assert_eq!(refusal(access(Some(&wrong))), Refusal::OtherKey);
    let certificate = Binding::Certificate {
        thumbprint: "right".to_owned(),
    };
    assert_eq!(refusal(access(Some(&certificate))), Refusal::OtherKey);
    access(Some(&right)).unwrap();
    assert_eq!(
        provider.introspect(&tokens.access, NOON).unwrap().binding(),
        Some(&right)
    );
    let refresh = tokens.refresh.unwrap();
    let unbound = provider.refresh(&bank, &refresh, None, None, NOON, &seed());
    assert_eq!(refusal(unbound), Refusal::Unbound);
    provider
        .refresh(&bank, &refresh, None, Some(&wrong), NOON, &seed())
        .unwrap();
}

#[test]
fn a_refresh_may_ask_for_less_and_never_for_more() {
    let world = world();
    let bank = world.bank(&bank_form());
    let person = world.person(10);
    let ask = asked(Level::Low, &["openid", "number", "offline_access"]);
    let code = world.allow(&bank, &world.who(&person), &ask, None).unwrap();
    let tokens = world.redeem(&bank, &code).unwrap();
    assert_eq!(tokens.about.person, Some(number(10)));
    let refresh = tokens.refresh.unwrap();
    let with = |scopes: &[&str]| {
        let scopes: BTreeSet<String> = scopes.iter().map(|s| (*s).to_owned()).collect();
        world
            .provider
            .refresh(&bank, &refresh, Some(&scopes), None, NOON, &seed())
    };
    assert_eq!(
        refusal(with(&["openid", "email"])),
        Refusal::Scope("email".to_owned())
    );
    let less = with(&["openid"]).unwrap();
    assert!(less.about.person.is_none());
    let about = world.provider.access(&less.access, None, NOON).unwrap();
    assert!(about.about().person.is_none());
}

#[test]
fn nothing_tells_who_somebody_is_before_that_was_found_out() {
    let world = world();
    let bank = world.bank(&bank_form());
    let provider = &world.provider;
    let sent = provider
        .begin_sign_up(
            "a@mail.example",
            Tenant::People,
            &origin("home"),
            NOON,
            &seed(),
        )
        .unwrap();
    let code = sent.delivery.unwrap().code.unwrap();
    let low = provider
        .finish_code(&sent.attempt, &code, &origin("home"), None, NOON, &seed())
        .unwrap();
    let who = world.who(&low);
    let ask = asked(Level::Low, &["openid", "number"]);
    let interaction = world.interaction(&bank, &ask);
    let seen = provider
        .interaction(&interaction, Some(&who), NOON)
        .unwrap();
    assert_eq!(seen.step, Step::Proofing);
    let forgot = provider.allow(&interaction, &who, &ask.scopes, None, NOON, &seed());
    assert_eq!(refusal(forgot), Refusal::NotProofed);
    let plain = asked(Level::Low, &["openid", "email"]);
    let code = world.allow(&bank, &who, &plain, None).unwrap();
    let tokens = world.redeem(&bank, &code).unwrap();
    assert_eq!(tokens.about.email.as_deref(), Some("a@mail.example"));
    assert!(tokens.about.person.is_none());
}

#[test]
fn consent_is_asked_for_what_is_new_and_may_be_withdrawn() {
    let world = world();
    let bank = world.bank(&bank_form());
    let person = world.person(10);
    let who = world.who(&person);
    let step = |ask: &Asked| {
        let interaction = world.interaction(&bank, ask);
        world
            .provider
            .interaction(&interaction, Some(&who), NOON)
            .unwrap()
            .step
    };
    let plain = asked(Level::Low, &["openid"]);
    assert!(matches!(step(&plain), Step::Consent { .. }));
    let tokens = world.tokens(&bank, &person);
    assert_eq!(step(&plain), Step::Ready);
    let more = asked(Level::Low, &["openid", "email"]);
    assert_eq!(
        step(&more),
        Step::Consent {
            scopes: BTreeSet::from(["email".to_owned()])
        }
    );
    assert!(matches!(
        step(&Asked {
            prompt_consent: true,
            ..plain.clone()
        }),
        Step::Consent { .. }
    ));
    assert!(matches!(
        step(&Asked {
            max_age: Some(Duration::ZERO),
            ..plain.clone()
        }),
        Step::Ready
    ));
    world.provider.withdraw(&who, &bank.client().id).unwrap();
    assert_eq!(
        refusal(world.provider.access(&tokens.access, None, NOON)),
        Refusal::Access
    );
    assert_eq!(
        refusal(world.refresh(&bank, &tokens.refresh.unwrap())),
        Refusal::Refresh
    );
    assert!(matches!(step(&plain), Step::Consent { .. }));
    assert_eq!(
        refusal(world.provider.withdraw(&who, &bank.client().id)),
        Refusal::Nothing
    );
}

#[test]
fn who_asks_for_a_new_proof_gets_one() {
    let mut world = world();
    let bank = world.bank(&bank_form());
    let person = world.person(10);
    world.later(Duration::minutes(5));
    let fresh = Asked {
        max_age: Some(Duration::MINUTE),
        ..asked(Level::Low, &["openid"])
    };
    let login = Asked {
        prompt_login: true,
        ..asked(Level::Low, &["openid"])
    };
    for ask in [fresh, login] {
        let interaction = world.interaction(&bank, &ask);
        let step = |who: &Authenticated, now| {
            world
                .provider
                .interaction(&interaction, Some(who), now)
                .unwrap()
                .step
        };
        let who = world.who(&person);
        assert!(matches!(step(&who, world.now), Step::SignIn { .. }));
        let allowed =
            world
                .provider
                .allow(&interaction, &who, &ask.scopes, None, world.now, &seed());
        assert_eq!(refusal(allowed), Refusal::NotSignedIn);
        let again = world.sign_in(10, 0).unwrap();
        assert!(matches!(
            step(&world.who(&again), world.now),
            Step::Consent { .. }
        ));
    }
}

#[test]
fn a_session_takes_with_it_what_it_gave() {
    let world = world();
    let bank = world.bank(&bank_form());
    let person = world.person(10);
    let who = world.who(&person);
    let code = world
        .allow(&bank, &who, &asked(Level::Low, &["openid"]), None)
        .unwrap();
    let online = world.redeem(&bank, &code).unwrap();
    let offline = world.tokens(&bank, &person);
    world.provider.end_session(&who, &person.id).unwrap();
    assert_eq!(
        refusal(world.provider.access(&online.access, None, NOON)),
        Refusal::Access
    );
    world.refresh(&bank, &offline.refresh.unwrap()).unwrap();
    let logouts = world.provider.logouts(10).unwrap();
    assert_eq!(logouts.len(), 1);
    assert_eq!(logouts[0].subject, online.about.subject);
    assert_eq!(logouts[0].session, person.id);
    assert_eq!(logouts[0].uri, "https://bank.example/logout");
    world.provider.logout_sent(&logouts[0], NOON).unwrap();
    assert!(world.provider.logouts(10).unwrap().is_empty());
    // Somebody else's session is not ended.
    let [mine, other] = [world.sign_in(10, 0).unwrap(), world.person(11)];
    let ended = world.provider.end_session(&world.who(&other), &mine.id);
    assert_eq!(refusal(ended), Refusal::Nothing);
}

#[test]
fn a_relying_party_is_approved_by_another_and_may_be_stopped() {
    let world = world();
    let bank = world.bank(&bank_form());
    let tokens = world.tokens(&bank, &world.person(10));
    let officer = world.officer(1, Duty::Clients);
    let provider = &world.provider;
    let own = world.sign_in(50, 0).unwrap();
    let changed = ClientForm {
        sector: "evil.example".to_owned(),
        ..bank_form()
    };
    provider
        .change_client(&world.who(&own), &bank.client().id, &changed)
        .unwrap();
    assert_eq!(
        refusal(provider.client(&bank.client().id)),
        Refusal::UnknownClient
    );
    assert_eq!(
        refusal(provider.approve_client(&officer, bank.client())),
        Refusal::Over,
        "the officer saw another form"
    );
    provider.stop_client(&officer, &bank.client().id).unwrap();
    assert_eq!(
        refusal(provider.access(&tokens.access, None, NOON)),
        Refusal::Access
    );
    assert_eq!(
        refusal(provider.change_client(&world.who(&own), &bank.client().id, &bank_form())),
        Refusal::UnknownClient
    );
    let other = world.person(11);
    assert_eq!(
        refusal(provider.change_client(&world.who(&other), &bank.client().id, &bank_form())),
        Refusal::Nothing
    );
    for uri in [
        "http://bank.example/",
        "https://b.example/#x",
        "https://*.example/",
        "javascript:x",
    ] {
        let form = ClientForm {
            redirect_uris: BTreeSet::from([uri.to_owned()]),
            ..bank_form()
        };
        let refused = provider.register_client(&world.who(&own), &form, &seed());
        assert!(matches!(refusal(refused), Refusal::ClientForm(_)), "{uri}");
    }
}

#[test]
fn a_device_gets_tokens_once_at_low() {
    let mut world = world();
    let bank = world.bank(&bank_form());
    let other = world.bank(&bank_form());
    let person = world.person(10);
    let who = world.who(&person);
    let scopes: BTreeSet<String> = ["openid".to_owned()].into();
    let provider = world.provider.clone();
    let begun = provider
        .begin_device(&bank, &scopes, NOON, &seed())
        .unwrap();
    let poll = |client, now| provider.poll_device(client, &begun.poll, None, now, &seed());
    // Whoever else has the code learns nothing, and does not make the one that asked wait longer.
    for _ in 0..3 {
        assert_eq!(refusal(poll(&other, NOON)), Refusal::Over);
    }
    assert_eq!(refusal(poll(&bank, NOON)), Refusal::Pending);
    let typed = Secret::new(format!(
        "{}-{}",
        &begun.user_code.expose()[..4],
        begun.user_code.expose()[4..].to_lowercase()
    ));
    let view = provider.crossing(&who, &typed).unwrap();
    assert_eq!(view.client.unwrap().id, bank.client().id);
    provider
        .answer_crossing(&who, &typed, Some(begun.number))
        .unwrap();
    world.later(Duration::seconds(5));
    assert_eq!(refusal(poll(&other, world.now)), Refusal::Over);
    let tokens = poll(&bank, world.now).unwrap();
    assert_eq!(tokens.about.level, Level::Low);
    assert_eq!(refusal(poll(&bank, world.now)), Refusal::Over);
    // Codes are not guessed.
    for _ in 0..10 {
        let guess = provider.crossing(&who, &Secret::new("BBBBBBBB"));
        assert_eq!(refusal(guess), Refusal::Over);
    }
    let guess = provider.crossing(&who, &Secret::new("BBBBBBBB"));
    assert!(matches!(refusal(guess), Refusal::TooManyAttempts(_)));
    let strict = world.bank(&ClientForm {
        level: Level::High,
        ..bank_form()
    });
    let refused = provider.begin_device(&strict, &scopes, world.now, &seed());
    assert!(matches!(refusal(refused), Refusal::Request(_)));
}

#[test]
fn events_say_nothing_about_the_person() {
    let world = world();
    let bank = world.bank(&bank_form());
    let person = world.person(10);
    world.tokens(&bank, &person);
    let officer = world.officer(1, Duty::Desk);
    world
        .provider
        .freeze_for(&officer, number(10), Tenant::People, Way::Call, &seed())
        .unwrap();
    let events = world.events();
    assert!(events.len() > 15);
    for event in &events {
        let text = serde_json::to_string(event).unwrap();
        for serial in [1, 2, 10, 50, 900] {
            assert!(!text.contains(number(serial).as_str()), "{text}");
        }
        let read: Event = serde_json::from_str(&text).unwrap();
        assert_eq!(read, *event);
    }
    let shown = format!("{:?} {:?}", person, world.sign_in(1, 0));
    assert!(!shown.contains("tdse."), "{shown}");
    let account = format!(
        "{:?}",
        world.provider.interaction(
            &world.interaction(&bank, &asked(Level::Low, &["openid"])),
            None,
            NOON
        )
    );
    assert!(!account.contains(number(10).as_str()));
}

#[test]
fn however_many_families_of_tokens_there_are_all_of_them_end() {
    let world = world();
    let person = world.person(10);
    let (bank, shop) = (world.bank(&bank_form()), world.bank(&bank_form()));
    let of_bank: Vec<Tokens> = (0..620).map(|_| world.tokens(&bank, &person)).collect();
    let of_shop = world.tokens(&shop, &person);
    let who = world.who(&person);
    world.provider.withdraw(&who, &bank.client().id).unwrap();
    for tokens in &of_bank {
        assert_eq!(
            refusal(world.provider.access(&tokens.access, None, world.now)),
            Refusal::Access
        );
    }
    assert!(
        world
            .provider
            .access(&of_shop.access, None, world.now)
            .is_ok()
    );
}

#[test]
fn the_signing_service_is_told_what_it_has_not_taken() {
    let store = Arc::new(MemoryStore::default());
    let mut world = World::new(store);
    let frozen = world.person(10);
    let who = world.who(&frozen);
    // Where there is none, nothing waits for it.
    world.provider.freeze(&who, &seed()).unwrap();
    assert!(world.provider.signing_words(9).unwrap().is_empty());
    world.provider = world.provider.clone().with_signing_service();
    let other = world.person(11);
    world.provider.freeze(&world.who(&other), &seed()).unwrap();
    let words = world.provider.signing_words(9).unwrap();
    assert_eq!(words.len(), 1);
    assert_eq!((words[0].word, words[0].person), (Word::Frozen, number(11)));
    assert!(!format!("{words:?}").contains(number(11).as_str()));
    world.provider.signing_told(&words[0]).unwrap();
    world.provider.signing_told(&words[0]).unwrap();
    assert!(world.provider.signing_words(9).unwrap().is_empty());
}
