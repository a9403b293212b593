//! Acting for an organisation: its head, whom the head appoints, and when that is over.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "suite/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use id_registry::{OrganisationNumber, Theme};
use oidc_provider::*;
use time::Duration;
use world::*;

const BAKERY: &str = "00101199410123";

fn bakery() -> OrganisationNumber {
    BAKERY.parse().unwrap()
}

fn form(head: u32) -> OrganisationForm {
    OrganisationForm {
        number: bakery(),
        names: BTreeMap::from([("en".to_owned(), "Bakery".to_owned())]),
        head: number(head),
    }
}

fn appointment(other: u32, theme: Theme, days: i64) -> MandateForm {
    MandateForm {
        other: number(other),
        themes: [theme].into(),
        until: NOON + Duration::days(days),
        may_pass_on: false,
    }
}

/// A world in which person 3 keeps the register of organisations, and that officer on duty.
fn world() -> (World, OnDuty) {
    let world = World::new(Arc::new(MemoryStore::default()));
    let boss = world.officer(900, Duty::Appointment);
    let card = CardHolder {
        number: number(3),
        tenant: Tenant::People,
    };
    world
        .provider
        .sign_in_with_card(card, &origin("desk"), None, NOON, &seed())
        .unwrap();
    world
        .provider
        .appoint(
            &boss,
            number(3),
            Tenant::People,
            "justice",
            &[Duty::Organisations],
        )
        .unwrap();
    let registrar = world.officer(3, Duty::Organisations);
    (world, registrar)
}

fn acts(world: &World, bank: &ActiveClient, who: &SignedIn) -> Result<Tokens, Failure> {
    let ask = asked(Level::Low, &["openid", "number", "offline_access"]);
    let subject = Some(Represented::Organisation(bakery()));
    let code = world.allow_for(bank, &world.who(who), &ask, subject)?;
    world.redeem(bank, &code)
}

#[test]
fn a_head_acts_for_an_organisation_until_another_is_recorded() {
    let (world, registrar) = world();
    let bank = world.bank(&bank_form());
    let [head, next] = [10, 11].map(|serial| world.person(serial));
    assert_eq!(refusal(acts(&world, &bank, &head)), Refusal::NotAvailable);
    let record = |form: &OrganisationForm| {
        world
            .provider
            .record_organisation(&registrar, Tenant::People, form, &seed())
    };
    record(&form(10)).unwrap();
    assert_eq!(refusal(acts(&world, &bank, &next)), Refusal::NotAvailable);
    let tokens = acts(&world, &bank, &head).unwrap();
    let own = world.tokens(&bank, &head);
    let about = &tokens.about;
    assert_eq!(about.right, Some(Right::Head));
    assert_eq!(about.organisation, Some(bakery()));
    assert_eq!(
        (about.person, about.acting_person),
        (None, Some(number(10)))
    );
    assert_eq!(about.actor.as_ref(), Some(&own.about.subject));
    assert_ne!(about.subject, own.about.subject);
    assert_eq!((&about.email, &about.phone), (&None, &None));
    assert_eq!(tokens.access_lasts, ACTING_ACCESS_LASTS);
    let quiet = asked(Level::Low, &["openid"]);
    let subject = Some(Represented::Organisation(bakery()));
    let code = world.allow_for(&bank, &world.who(&head), &quiet, subject);
    let quiet = world.redeem(&bank, &code.unwrap()).unwrap().about;
    assert_eq!((quiet.organisation, quiet.acting_person), (None, None));
    assert_eq!(quiet.subject, about.subject);
    let shop = world.bank(&ClientForm {
        sector: "shop.example".to_owned(),
        ..bank_form()
    });
    let elsewhere = acts(&world, &shop, &head).unwrap().about;
    assert_ne!(elsewhere.subject, about.subject, "subjects are pairwise");
    for kind in [EventKind::ConsentGiven, EventKind::TokensIssued] {
        let events = world.events();
        let event = events
            .iter()
            .find(|event| event.event == kind && event.actor.is_some())
            .unwrap();
        assert_eq!(event.actor.as_ref(), Some(&head.account), "{kind:?}");
        assert!(event.account.is_some() && event.account.as_ref() != Some(&head.account));
    }

    record(&form(11)).unwrap();
    assert_eq!(
        refusal(world.provider.access(&tokens.access, None, NOON)),
        Refusal::Access
    );
    assert_eq!(
        refusal(world.refresh(&bank, &tokens.refresh.unwrap())),
        Refusal::Refresh
    );
    assert_eq!(refusal(acts(&world, &bank, &head)), Refusal::NotAvailable);
    let after = acts(&world, &bank, &next).unwrap().about;
    assert_eq!(after.subject, about.subject, "the same organisation");
    for closed in [None, Some(Theme::Confidential)] {
        let other = world.bank(&ClientForm {
            theme: closed,
            ..bank_form()
        });
        assert_eq!(refusal(acts(&world, &other, &next)), Refusal::NotAvailable);
    }
}

#[test]
fn only_an_officer_with_the_duty_records_and_only_somebody_proofed_heads() {
    let (world, registrar) = world();
    world.person(10);
    let record = |by: &OnDuty, form: &OrganisationForm| {
        let recorded = world
            .provider
            .record_organisation(by, Tenant::People, form, &seed());
        refusal(recorded)
    };
    let desk = world.officer(1, Duty::Desk);
    assert_eq!(record(&desk, &form(10)), Refusal::NotOnDuty);
    assert_eq!(record(&registrar, &form(3)), Refusal::OwnCase);
    assert_eq!(record(&registrar, &form(77)), Refusal::NoAccount);
    world
        .provider
        .take_over(
            number(30),
            Tenant::People,
            &Earlier::default(),
            NOON,
            &seed(),
        )
        .unwrap();
    assert_eq!(record(&registrar, &form(30)), Refusal::NotProofed);
    for (language, name) in [("en", " "), ("xx", "Bakery"), ("en", &*"a".repeat(201))] {
        let bad = OrganisationForm {
            names: BTreeMap::from([(language.to_owned(), name.to_owned())]),
            ..form(10)
        };
        assert_eq!(record(&registrar, &bad), Refusal::TooLong);
    }
    let unnamed = OrganisationForm {
        names: BTreeMap::new(),
        ..form(10)
    };
    assert_eq!(record(&registrar, &unnamed), Refusal::TooLong);
    assert_eq!(world.count(EventKind::OrganisationRecorded), 0);
}

#[test]
fn a_representative_acts_in_the_themes_and_time_given_until_dismissed() {
    let (mut world, registrar) = world();
    let bank = world.bank(&bank_form());
    let [head, clerk, stranger] = [10, 11, 12].map(|serial| world.person(serial));
    let provider = world.provider.clone();
    provider
        .record_organisation(&registrar, Tenant::People, &form(10), &seed())
        .unwrap();
    let appoint = |world: &World, who: &SignedIn, form: &MandateForm| {
        provider.appoint_representative(&world.who(who), bakery(), form, &seed())
    };
    let good = appointment(11, Theme::Benefits, 2);
    assert_eq!(
        refusal(appoint(&world, &stranger, &good)),
        Refusal::NotAvailable
    );
    for bad in [
        appointment(11, Theme::Benefits, 0),
        appointment(11, Theme::Benefits, 2000),
        appointment(11, Theme::Confidential, 2),
        appointment(10, Theme::Benefits, 2),
        MandateForm {
            may_pass_on: true,
            ..good.clone()
        },
    ] {
        let refused = refusal(appoint(&world, &head, &bad));
        assert!(matches!(refused, Refusal::MandateForm(_)), "{bad:?}");
    }
    // Whether the other has an account is not told.
    appoint(&world, &head, &appointment(99, Theme::Benefits, 2)).unwrap();
    appoint(&world, &head, &appointment(11, Theme::Education, 2)).unwrap();
    assert_eq!(refusal(acts(&world, &bank, &clerk)), Refusal::NotAvailable);
    appoint(&world, &head, &good).unwrap();
    assert_eq!(
        refusal(acts(&world, &bank, &stranger)),
        Refusal::NotAvailable
    );
    let tokens = acts(&world, &bank, &clerk).unwrap();
    let as_head = acts(&world, &bank, &head).unwrap();
    assert_eq!(tokens.about.subject, as_head.about.subject);
    assert_ne!(tokens.about.actor, as_head.about.actor);
    assert_eq!(tokens.access_lasts, ACTING_ACCESS_LASTS);
    let Some(Right::Representative {
        appointment: mandate,
    }) = tokens.about.right.clone()
    else {
        panic!("{:?}", tokens.about.right);
    };
    let further = provider.pass_on(
        &world.who(&clerk),
        &mandate,
        &appointment(12, Theme::Benefits, 1),
        &seed(),
    );
    assert_eq!(refusal(further), Refusal::NotAvailable);
    // The representative appoints nobody; nobody but the head sees who else there is.
    assert_eq!(
        refusal(appoint(
            &world,
            &clerk,
            &appointment(12, Theme::Benefits, 1)
        )),
        Refusal::NotAvailable
    );
    let seen = provider.headed_organisations(&world.who(&head)).unwrap();
    assert_eq!(seen[0].1.len(), 3, "also the one who has no account yet");
    for (who, count) in [(&head, 0), (&clerk, 2), (&stranger, 0)] {
        let seen = provider.represented_organisations(&world.who(who));
        assert_eq!(seen.unwrap().len(), count);
    }
    for who in [&clerk, &stranger] {
        let seen = provider.headed_organisations(&world.who(who)).unwrap();
        assert!(seen.is_empty());
    }
    let newcomer = world.person(99);
    acts(&world, &bank, &newcomer).unwrap();

    let dismiss = |who: &SignedIn| {
        provider.dismiss_representative(&world.who(who), bakery(), &mandate, &seed())
    };
    assert_eq!(refusal(dismiss(&stranger)), Refusal::NotAvailable);
    assert_eq!(refusal(dismiss(&clerk)), Refusal::NotAvailable);
    dismiss(&head).unwrap();
    assert_eq!(refusal(dismiss(&head)), Refusal::Nothing);
    assert_eq!(
        refusal(provider.access(&tokens.access, None, NOON)),
        Refusal::Access
    );
    assert_eq!(
        refusal(world.refresh(&bank, &tokens.refresh.unwrap())),
        Refusal::Refresh
    );
    assert_eq!(refusal(acts(&world, &bank, &clerk)), Refusal::NotAvailable);
    provider.access(&as_head.access, None, NOON).unwrap();
    let events = world.events();
    for kind in [EventKind::MandateGranted, EventKind::MandateRevoked] {
        let event = events
            .iter()
            .find(|event| event.event == kind && event.mandate.as_ref() == Some(&mandate))
            .unwrap();
        let people = (event.account.as_ref(), event.actor.as_ref());
        assert_eq!(people, (Some(&clerk.account), Some(&head.account)));
    }

    appoint(&world, &head, &appointment(11, Theme::Benefits, 1)).unwrap();
    acts(&world, &bank, &clerk).unwrap();
    world.later(Duration::DAY);
    let late = world.sign_in(11, 0).unwrap();
    assert_eq!(
        refusal(acts(&world, &bank, &late)),
        Refusal::NotAvailable,
        "its time is over"
    );
}

#[test]
fn a_low_level_appoints_nobody_and_a_freeze_ends_acting() {
    let (mut world, registrar) = world();
    let bank = world.bank(&bank_form());
    let [head, clerk] = [10, 11].map(|serial| world.person(serial));
    let provider = world.provider.clone();
    provider
        .record_organisation(&registrar, Tenant::People, &form(10), &seed())
        .unwrap();
    let form = appointment(11, Theme::Benefits, 20);
    let who = world.who(&head);
    provider
        .appoint_representative(&who, bakery(), &form, &seed())
        .unwrap();
    let tokens = acts(&world, &bank, &clerk).unwrap();
    let Some(Right::Representative {
        appointment: mandate,
    }) = tokens.about.right.clone()
    else {
        panic!("{:?}", tokens.about.right);
    };
    world.later(HIGH_LASTS + Duration::SECOND);
    let who = world.who(&head);
    assert!(who.level() < Level::High);
    let appointed = provider.appoint_representative(&who, bakery(), &form, &seed());
    assert!(matches!(refusal(appointed), Refusal::LevelTooLow { .. }));
    let dismissed = provider.dismiss_representative(&who, bakery(), &mandate, &seed());
    assert!(matches!(refusal(dismissed), Refusal::LevelTooLow { .. }));

    // The same number in the other tenant is another organisation, which nobody recorded.
    let card = CardHolder {
        number: number(10),
        tenant: Tenant::Sandbox,
    };
    let test = provider
        .sign_in_with_card(card, &origin("home"), None, world.now, &seed())
        .unwrap();
    let test = world.who(&test);
    assert!(provider.headed_organisations(&test).unwrap().is_empty());
    let appointed = provider.appoint_representative(&test, bakery(), &form, &seed());
    assert_eq!(refusal(appointed), Refusal::NotAvailable);

    let clerk = world.sign_in(11, 0).unwrap();
    let tokens = acts(&world, &bank, &clerk).unwrap();
    provider.freeze(&world.who(&clerk), &seed()).unwrap();
    assert_eq!(
        refusal(provider.access(&tokens.access, None, world.now)),
        Refusal::Access
    );
    assert_eq!(
        refusal(world.refresh(&bank, &tokens.refresh.unwrap())),
        Refusal::Refresh
    );
    assert_eq!(refusal(world.sign_in(11, 0)), Refusal::Frozen);
}

/// An address of a person, to which notices go.
fn reachable(world: &World, serial: u32) -> SignedIn {
    let person = world.person(serial);
    let who = world.who(&person);
    let address = format!("p{serial}@example.kg");
    let provider = &world.provider;
    let sent = provider
        .begin_channel(&who, ChannelKind::Email, &address, world.now, &seed())
        .unwrap();
    let code = sent.delivery.unwrap().code.unwrap();
    let (home, session) = (origin("home"), Some(&person.session));
    provider
        .finish_code(&sent.attempt, &code, &home, session, world.now, &seed())
        .unwrap();
    person
}

/// Who was told of an organisation since the last time.
fn told(world: &World) -> BTreeSet<AccountId> {
    let all = world.provider.notices(100).unwrap();
    let of = |notice: &&Notice| notice.notice == NoticeKind::Organisation;
    let told = all.iter().filter(of).map(|notice| notice.account.clone());
    let told = told.collect();
    for notice in &all {
        world.provider.delivered(notice).unwrap();
    }
    told
}

#[test]
fn whoever_heads_or_represents_an_organisation_resigns_and_both_sides_are_told() {
    let (world, registrar) = world();
    let bank = world.bank(&bank_form());
    let [head, clerk, next] = [10, 11, 12].map(|serial| reachable(&world, serial));
    let provider = world.provider.clone();
    let record = |serial| {
        provider
            .record_organisation(&registrar, Tenant::People, &form(serial), &seed())
            .unwrap();
    };
    let [of_head, of_clerk, of_next] = [&head, &clerk, &next].map(|who| who.account.clone());
    record(10);
    assert_eq!(told(&world), BTreeSet::from([of_head.clone()]));
    let appoint = |who: &SignedIn| {
        let form = appointment(11, Theme::Benefits, 20);
        provider.appoint_representative(&world.who(who), bakery(), &form, &seed())
    };
    let mandate = appoint(&head).unwrap();
    assert_eq!(told(&world), BTreeSet::from([of_clerk.clone()]));
    let tokens = acts(&world, &bank, &clerk).unwrap();
    let resign =
        |who: &SignedIn| provider.resign_as_representative(&world.who(who), &mandate, &seed());
    for other in [&head, &next] {
        assert_eq!(refusal(resign(other)), Refusal::Nothing);
    }
    resign(&clerk).unwrap();
    assert_eq!(refusal(resign(&clerk)), Refusal::Nothing);
    let both = BTreeSet::from([of_head.clone(), of_clerk.clone()]);
    assert_eq!(told(&world), both);
    assert_eq!(
        refusal(provider.access(&tokens.access, None, NOON)),
        Refusal::Access
    );
    let events = world.events();
    let last = events
        .iter()
        .find(|event| event.event == EventKind::MandateRevoked)
        .unwrap();
    assert_eq!(last.reason.as_deref(), Some("resigned"));
    assert_eq!(
        (last.account.as_ref(), last.actor.as_ref()),
        (Some(&of_clerk), Some(&of_head)),
        "it is in the list of both"
    );

    appoint(&head).unwrap();
    told(&world);
    let leave = |who: &SignedIn| provider.resign_as_head(&world.who(who), bakery(), &seed());
    assert_eq!(refusal(leave(&clerk)), Refusal::NotAvailable);
    let tokens = acts(&world, &bank, &head).unwrap();
    leave(&head).unwrap();
    assert_eq!(told(&world), both);
    assert_eq!(
        refusal(provider.access(&tokens.access, None, NOON)),
        Refusal::Access
    );
    assert_eq!(refusal(leave(&head)), Refusal::NotAvailable);
    assert_eq!(refusal(appoint(&head)), Refusal::NotAvailable);
    // The representatives stay until the next head dismisses them.
    let still = acts(&world, &bank, &clerk).unwrap();
    record(12);
    assert_eq!(told(&world), BTreeSet::from([of_next.clone()]));
    record(10);
    assert_eq!(told(&world), BTreeSet::from([of_next, of_head.clone()]));

    // Struck off, nobody acts for it, until it is recorded again.
    let strike = |by: &OnDuty| provider.strike_off(by, Tenant::People, bakery(), &seed());
    let desk = world.officer(1, Duty::Desk);
    assert_eq!(refusal(strike(&desk)), Refusal::NotOnDuty);
    let as_head = acts(&world, &bank, &head).unwrap();
    strike(&registrar).unwrap();
    assert_eq!(told(&world), both);
    for tokens in [still, as_head] {
        let access = provider.access(&tokens.access, None, NOON);
        assert_eq!(refusal(access), Refusal::Access);
        let refreshed = world.refresh(&bank, &tokens.refresh.unwrap());
        assert_eq!(refusal(refreshed), Refusal::Refresh);
    }
    for who in [&head, &clerk] {
        assert_eq!(refusal(acts(&world, &bank, who)), Refusal::NotAvailable);
        assert!(
            provider
                .headed_organisations(&world.who(who))
                .unwrap()
                .is_empty()
        );
        let represented = provider.represented_organisations(&world.who(who));
        assert!(represented.unwrap().is_empty());
    }
    assert_eq!(refusal(strike(&registrar)), Refusal::Nothing);
    record(10);
    let again = acts(&world, &bank, &head).unwrap();
    assert_eq!(again.about.organisation, Some(bakery()));
    assert_eq!(refusal(acts(&world, &bank, &clerk)), Refusal::NotAvailable);
}
