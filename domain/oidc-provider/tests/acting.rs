//! Acting for another, subjects, and the sandbox: who is who at a relying party.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "suite/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use id_registry::Theme;
use oidc_provider::*;
use time::Duration;
use world::*;

fn world() -> World {
    World::new(Arc::new(MemoryStore::default()))
}

#[test]
fn a_parent_acts_for_a_child_until_the_right_is_gone() {
    let world = world();
    let bank = world.bank(&bank_form());
    let parent = world.person(10);
    let child = number(60);
    let ask = asked(Level::Low, &["openid", "number", "offline_access"]);
    let who = world.who(&parent);
    assert_eq!(
        refusal(world.allow(&bank, &who, &ask, Some(child))),
        Refusal::NotAvailable
    );
    assert_eq!(
        refusal(world.provider.account_of_person(child, Tenant::People)),
        Refusal::NoAccount,
        "nothing is left of it"
    );
    world.families.set(number(10), child, true);
    let code = world.allow(&bank, &who, &ask, Some(child)).unwrap();
    let tokens = world.redeem(&bank, &code).unwrap();
    let own = world.tokens(&bank, &parent);
    let about = &tokens.about;
    assert_eq!(about.person, Some(child));
    assert_eq!(about.acting_person, Some(number(10)));
    assert_eq!(about.actor.as_ref(), Some(&own.about.subject));
    assert_ne!(about.subject, own.about.subject);
    assert_eq!(about.theme, Some(Theme::Benefits));
    assert_eq!(tokens.access_lasts, ACTING_ACCESS_LASTS);
    assert!(tokens.access_lasts <= Duration::MINUTE);
    let events = world.events();
    let issued = events
        .iter()
        .find(|event| event.event == EventKind::TokensIssued && event.actor.is_some())
        .unwrap();
    assert_eq!(issued.actor.as_ref(), Some(&parent.account));
    assert_ne!(issued.account.as_ref(), Some(&parent.account));

    world.families.set(number(10), child, false);
    assert_eq!(
        refusal(world.provider.access(&tokens.access, None, NOON)),
        Refusal::Access
    );
    assert_eq!(
        refusal(world.refresh(&bank, &tokens.refresh.unwrap())),
        Refusal::Refresh
    );
    assert_eq!(
        refusal(world.allow(&bank, &who, &ask, Some(child))),
        Refusal::NotAvailable
    );
    // What is confidential is the child's own.
    let clinic = world.bank(&ClientForm {
        theme: Some(Theme::Confidential),
        ..bank_form()
    });
    world.families.set(number(10), child, true);
    assert_eq!(
        refusal(world.allow(&clinic, &who, &ask, Some(child))),
        Refusal::NotAvailable
    );
    let nobody_acts = world.bank(&ClientForm {
        theme: None,
        ..bank_form()
    });
    assert_eq!(
        refusal(world.allow(&nobody_acts, &who, &ask, Some(child))),
        Refusal::NotAvailable
    );
    // The child grows up and comes to the desk: it is the same account, and the same subject.
    let adult = world.person(60);
    assert_eq!(world.tokens(&bank, &adult).about.subject, about.subject);
}

#[test]
fn a_mandate_is_bounded_by_theme_and_time_and_not_passed_on_unless_allowed() {
    let mut world = world();
    let bank = world.bank(&bank_form());
    let [giver, holder, third] = [10, 11, 12].map(|serial| world.person(serial));
    let provider = world.provider.clone();
    let form = |other, themes: &[Theme], days| MandateForm {
        other: number(other),
        themes: themes.iter().copied().collect(),
        until: NOON + Duration::days(days),
        may_pass_on: false,
    };
    let ask = asked(Level::Low, &["openid"]);
    let acts = |world: &World, who: &SignedIn| {
        let code = world.allow(&bank, &world.who(who), &ask, Some(number(10)))?;
        world.redeem(&bank, &code)
    };
    for bad in [
        form(11, &[], 1),
        form(11, &[Theme::Benefits], 0),
        form(11, &[Theme::Benefits], 2000),
    ] {
        let refused = provider.give_mandate(&world.who(&giver), &bad, &seed());
        assert!(matches!(refusal(refused), Refusal::MandateForm(_)));
    }
    let other_theme = form(11, &[Theme::Education], 300);
    provider
        .give_mandate(&world.who(&giver), &other_theme, &seed())
        .unwrap();
    assert_eq!(refusal(acts(&world, &holder)), Refusal::NotAvailable);

    let asks = provider
        .request_mandate(
            &world.who(&holder),
            &form(10, &[Theme::Benefits], 1),
            &seed(),
        )
        .unwrap();
    assert_eq!(
        refusal(acts(&world, &holder)),
        Refusal::NotAvailable,
        "it was only asked for"
    );
    assert_eq!(
        refusal(provider.answer_mandate(&world.who(&holder), &asks, true)),
        Refusal::Nothing
    );
    provider
        .answer_mandate(&world.who(&giver), &asks, true)
        .unwrap();
    let tokens = acts(&world, &holder).unwrap();
    assert_eq!(
        tokens.about.right,
        Some(Right::Mandate {
            mandate: asks.clone()
        })
    );
    let further = provider.pass_on(
        &world.who(&holder),
        &asks,
        &form(12, &[Theme::Benefits], 1),
        &seed(),
    );
    assert_eq!(refusal(further), Refusal::NotAvailable);
    provider.revoke_mandate(&world.who(&giver), &asks).unwrap();
    assert_eq!(
        refusal(provider.access(&tokens.access, None, NOON)),
        Refusal::Access
    );
    assert_eq!(refusal(acts(&world, &holder)), Refusal::NotAvailable);

    let open = MandateForm {
        may_pass_on: true,
        ..form(11, &[Theme::Benefits], 1)
    };
    let open = provider
        .give_mandate(&world.who(&giver), &open, &seed())
        .unwrap();
    for bad in [
        form(12, &[Theme::Health], 1),
        form(12, &[Theme::Benefits], 2),
    ] {
        let refused = provider.pass_on(&world.who(&holder), &open, &bad, &seed());
        assert_eq!(refusal(refused), Refusal::NotAvailable);
    }
    let passed = provider
        .pass_on(
            &world.who(&holder),
            &open,
            &form(12, &[Theme::Benefits], 1),
            &seed(),
        )
        .unwrap();
    let again = provider.pass_on(
        &world.who(&third),
        &passed,
        &form(11, &[Theme::Benefits], 1),
        &seed(),
    );
    assert_eq!(refusal(again), Refusal::NotAvailable);
    acts(&world, &third).unwrap();
    provider.revoke_mandate(&world.who(&giver), &open).unwrap();
    assert_eq!(
        refusal(acts(&world, &third)),
        Refusal::NotAvailable,
        "what was passed on ends too"
    );
    // Whether a number has an account is not told.
    provider
        .request_mandate(
            &world.who(&holder),
            &form(99, &[Theme::Benefits], 1),
            &seed(),
        )
        .unwrap();
    let last = provider
        .give_mandate(
            &world.who(&giver),
            &form(11, &[Theme::Benefits], 1),
            &seed(),
        )
        .unwrap();
    acts(&world, &holder).unwrap();
    world.later(Duration::DAY);
    let late = world.sign_in(11, 0).unwrap();
    assert_eq!(
        refusal(acts(&world, &late)),
        Refusal::NotAvailable,
        "its time is over"
    );
    assert!(
        provider
            .mandates(&world.who(&late))
            .unwrap()
            .iter()
            .any(|mandate| mandate.id == last)
    );
}

#[test]
fn subjects_are_different_in_each_sector_and_survive_a_move() {
    let world = world();
    let bank = world.bank(&bank_form());
    let sister = world.bank(&bank_form());
    let shop = world.bank(&ClientForm {
        sector: "shop.example".to_owned(),
        ..bank_form()
    });
    let [one, two] = [world.person(10), world.person(11)];
    let subject = |client, person| world.tokens(client, person).about.subject;
    assert_eq!(subject(&bank, &one), subject(&sister, &one));
    let all = [
        subject(&bank, &one),
        subject(&shop, &one),
        subject(&bank, &two),
        subject(&shop, &two),
    ];
    assert_eq!(BTreeSet::from_iter(&all).len(), 4);
    assert!(all.iter().all(|subject| subject.len() == 43));

    let old = Earlier {
        subjects: vec![("bank.example".to_owned(), "old-4711".to_owned())],
        ..Earlier::default()
    };
    let take = |serial, tenant| {
        let provider = &world.provider;
        provider.take_over(number(serial), tenant, &old, NOON, &seed())
    };
    let people = Tenant::People;
    let id = take(30, people).unwrap();
    assert_eq!(take(30, people).unwrap(), id, "again, it changes nothing");
    assert_eq!(refusal(take(31, people)), Refusal::Bound);
    // The person comes with a card, and the bank knows who it is.
    let card = CardHolder {
        number: number(30),
        tenant: Tenant::People,
    };
    let signed_in = world
        .provider
        .sign_in_with_card(card, &origin("home"), None, NOON, &seed())
        .unwrap();
    assert_eq!(
        (signed_in.account.clone(), signed_in.level),
        (id, Level::High)
    );
    assert_eq!(subject(&bank, &signed_in), "old-4711");
    assert_ne!(subject(&shop, &signed_in), "old-4711");
}

#[test]
fn the_sandbox_is_a_world_of_its_own() {
    let world = world();
    let provider = &world.provider;
    let card = CardHolder {
        number: number(10),
        tenant: Tenant::Sandbox,
    };
    let test = provider
        .sign_in_with_card(card, &origin("home"), None, NOON, &seed())
        .unwrap();
    let local = "http://127.0.0.1:8080/back".to_owned();
    let form = ClientForm {
        redirect_uris: BTreeSet::from([local.clone()]),
        ..bank_form()
    };
    let id = provider
        .register_client(&world.who(&test), &form, &seed())
        .unwrap();
    let client = provider.client(&id).expect("in use at once");
    let ask = Asked {
        redirect_uri: local,
        ..asked(Level::Low, &["openid"])
    };
    let real = world.person(10);
    let interaction = world.interaction(&client, &ask);
    let who = world.who(&real);
    assert_ne!(who.account().id, test.account);
    let seen = provider
        .interaction(&interaction, Some(&who), NOON)
        .unwrap();
    assert!(matches!(seen.step, Step::SignIn { .. }));
    let allowed = provider.allow(&interaction, &who, &ask.scopes, None, NOON, &seed());
    assert_eq!(refusal(allowed), Refusal::NotSignedIn);
    let refused = provider.register_client(&who, &form, &seed());
    assert!(
        matches!(refusal(refused), Refusal::ClientForm(_)),
        "loopback is for the sandbox"
    );
}

/// Whom a court protects from somebody is nobody to that one: a mandate given before lets nobody act, in no token, and the
/// list says no more of the giver than of a number without an account.
#[test]
fn a_mandate_ends_when_the_giver_is_protected_from_the_holder() {
    let world = world();
    let bank = world.bank(&bank_form());
    let [giver, holder, third] = [10, 11, 12].map(|serial| world.person(serial));
    let provider = world.provider.clone();
    let form = |other| MandateForm {
        other: number(other),
        themes: [Theme::Benefits].into(),
        until: NOON + Duration::days(20),
        may_pass_on: true,
    };
    let given = provider
        .give_mandate(&world.who(&giver), &form(11), &seed())
        .unwrap();
    provider
        .pass_on(
            &world.who(&holder),
            &given,
            &MandateForm {
                may_pass_on: false,
                ..form(12)
            },
            &seed(),
        )
        .unwrap();
    let ask = asked(Level::Low, &["openid", "offline_access"]);
    let acts = |who: &SignedIn| {
        let code = world.allow(&bank, &world.who(who), &ask, Some(number(10)))?;
        world.redeem(&bank, &code)
    };
    let tokens = acts(&holder).unwrap();
    let of_third = acts(&third).unwrap();
    let listed = |who: &SignedIn| {
        let all = provider.mandates_with_numbers(&world.who(who)).unwrap();
        all.into_iter()
            .filter(|(mandate, _)| mandate.holder == who.account)
            .map(|(_, number)| number)
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&holder), [Some(number(10))]);
    world.families.protect(number(11), number(10));
    assert_eq!(listed(&holder), [None]);
    // Nor does it let anybody act to whom the holder passed it on.
    for (who, tokens) in [(&holder, tokens), (&third, of_third)] {
        assert_eq!(refusal(acts(who)), Refusal::NotAvailable);
        assert_eq!(
            refusal(provider.access(&tokens.access, None, NOON)),
            Refusal::Access
        );
        assert_eq!(
            refusal(world.refresh(&bank, &tokens.refresh.unwrap())),
            Refusal::Refresh
        );
    }
    let own = provider.mandates_with_numbers(&world.who(&giver)).unwrap();
    assert!(own.iter().any(|(_, other)| *other == Some(number(11))));
    // What somebody typed is shown as before, whether or not it is the number of anybody.
    let asking = world.person(13);
    world.families.protect(number(13), number(10));
    for other in [10, 99] {
        provider
            .request_mandate(&world.who(&asking), &form(other), &seed())
            .unwrap();
    }
    let typed = BTreeSet::from([Some(number(10)), Some(number(99))]);
    assert_eq!(BTreeSet::from_iter(listed(&asking)), typed);
    // But whom the victim asks is not told who asks.
    provider
        .request_mandate(&world.who(&giver), &form(13), &seed())
        .unwrap();
    let asked = provider.mandates_with_numbers(&world.who(&asking)).unwrap();
    let of_giver = asked
        .iter()
        .find(|(mandate, _)| mandate.giver == asking.account)
        .unwrap();
    assert_eq!(of_giver.1, None);
}
