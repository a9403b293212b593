//! Two servers of each kind over one PostgreSQL, the real binary over real HTTPS: one is killed every second or two under
//! load, and nothing that was accepted is lost or done twice; servers of the version before (`TUNDUK_EARLIER`) are
//! replaced one after another, and nobody notices.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod cluster;
mod identity;
mod register;
mod signing;
mod token;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use cluster::{Ground, NODES, Service};

/// How many servers are killed.
fn kills() -> usize {
    std::env::var("TUNDUK_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(6)
}

/// All servers, and what the load needs.
struct Country {
    identity: Service,
    people: identity::World,
    signing: Service,
    signers: signing::World,
    register: Service,
    ground: Ground,
}

/// What the load counted.
struct Counted {
    people: Vec<identity::Ledger>,
    signers: signing::Ledger,
    looks: register::Ledger,
    acts: register::Acts,
}

impl Country {
    fn new(ground: Ground) -> Self {
        let register = register::start(&ground);
        let identity = identity::start(&ground);
        let people = identity::World::new(&ground, &identity, 2);
        let (signing, signers) = signing::start(&ground);
        Self {
            identity,
            people,
            signing,
            signers,
            register,
            ground,
        }
    }

    fn services(&self) -> [&Service; 3] {
        [&self.identity, &self.signing, &self.register]
    }

    /// Does something while people sign in and sign and are looked up.
    fn under_load(&self, work: impl FnOnce()) -> Counted {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let stop = &stop;
            let people: Vec<_> = (0..self.people.people.len())
                .map(|place| scope.spawn(move || self.people.load(&self.identity, place, stop)))
                .collect();
            let signers = scope.spawn(|| self.signers.load(&self.signing, stop));
            let looks = scope.spawn(|| register::load(&self.register, stop));
            let acts = scope.spawn(|| register::enter(&self.register, stop));
            // Whoever fails must not leave the others running.
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            stop.store(true, Ordering::Relaxed);
            let counted = Counted {
                people: people
                    .into_iter()
                    .map(|worker| worker.join().unwrap())
                    .collect(),
                signers: signers.join().unwrap(),
                looks: looks.join().unwrap(),
                acts: acts.join().unwrap(),
            };
            if let Err(panic) = done {
                std::panic::resume_unwind(panic);
            }
            counted
        })
    }

    fn check(&self, counted: &Counted) {
        self.people.check(&self.identity, &counted.people);
        self.signers.check(&self.signing, &counted.signers);
        register::check(&self.ground, &counted.looks);
        register::check_acts(&self.ground, &counted.acts);
        let sum = |count: fn(&identity::Ledger) -> usize| -> usize {
            counted.people.iter().map(count).sum()
        };
        let (signed_in, codes, refreshed) = (
            sum(|ledger| ledger.signed_in),
            sum(|ledger| ledger.codes),
            sum(|ledger| ledger.refreshed),
        );
        let (signatures, looks) = (counted.signers.signatures(), counted.looks.answered());
        let acts = counted.acts.entered();
        println!(
            "{signed_in} sign-ins, {codes} codes, {refreshed} refreshes, {signatures} signatures, {looks} look-ups, {acts} acts \
             were accepted; all are there, once"
        );
        for (what, count) in [
            ("sign-ins", signed_in),
            ("codes", codes),
            ("refreshes", refreshed),
            ("signatures", signatures),
            ("look-ups", looks),
            ("acts", acts),
        ] {
            assert!(count > 3, "{count} {what}: that was no load");
        }
    }
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn servers_are_killed_and_nothing_accepted_is_lost_or_doubled() {
    let country = Country::new(Ground::new("killed"));
    let counted = country.under_load(|| {
        for kill in 0..kills() {
            for (place, service) in country.services().into_iter().enumerate() {
                sleep(Duration::from_millis(400));
                service.kill(kill + place);
                sleep(Duration::from_millis(200));
                service.start_again(kill + place);
            }
        }
        sleep(Duration::from_millis(500));
    });
    country.check(&counted);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn connections_to_the_database_break_and_nothing_accepted_is_lost_or_doubled() {
    let country = Country::new(Ground::new("broken"));
    for service in country.services() {
        service.lenient.store(true, Ordering::Relaxed);
    }
    let counted = country.under_load(|| {
        for _ in 0..kills() {
            sleep(Duration::from_millis(700));
            country.ground.break_connections();
        }
        sleep(Duration::from_millis(700));
    });
    for service in country.services() {
        service.lenient.store(false, Ordering::Relaxed);
    }
    country.check(&counted);
    country.people.all_are_signed_in(&country.identity);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn servers_are_replaced_one_after_another_and_sessions_live_on() {
    let before = cluster::earlier();
    let what = if before.is_some() {
        "the version before"
    } else {
        "this version"
    };
    let program = before.unwrap_or_else(cluster::current);
    let country = Country::new(Ground::begun_by(program, "upgraded"));
    let counted = country.under_load(|| {
        sleep(Duration::from_millis(500));
        for node in 0..NODES {
            for service in country.services() {
                service.end(node);
                sleep(Duration::from_millis(200));
                service.start_again(node);
                // Servers of both versions, side by side.
                sleep(Duration::from_millis(500));
                country.people.all_are_signed_in(&country.identity);
            }
        }
        // The version after this one has brought the schema up; servers of this version run on until it is their turn.
        country.ground.execute(
            "ALTER TABLE identity_item ADD COLUMN later TEXT; UPDATE identity_schema_version SET version = version + 1; \
             ALTER TABLE signing_item ADD COLUMN later TEXT; UPDATE signing_schema_version SET version = version + 1",
        );
        sleep(Duration::from_millis(1000));
    });
    println!("servers of {what} were replaced");
    country.people.all_are_signed_in(&country.identity);
    let unknown: usize = counted.people.iter().map(identity::Ledger::unknown).sum();
    let unknown = unknown + counted.signers.unknown() + counted.looks.unknown();
    // A request that leaves in the moment in which an idle connection is closed is lost with it: HTTP/1.1 has no remedy.
    assert!(
        unknown <= 1,
        "{unknown} requests broke off, though servers answer before they end"
    );
    country.ground.execute(
        "UPDATE identity_schema_version SET version = version - 1; \
         UPDATE signing_schema_version SET version = version - 1",
    );
    country.check(&counted);
    for service in country.services() {
        let logs = service.logs();
        assert!(!logs.contains("ERROR"), "{logs}");
    }
}
