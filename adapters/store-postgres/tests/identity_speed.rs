//! How many sign-ins by key and token refreshes one server decides in a second over PostgreSQL, on sixteen threads.
//! `TUNDUK_IDENTITY_SECONDS` says for how long, and then the stated rates must be reached; without it a moment shows that
//! all goes well side by side.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../../domain/oidc-provider/tests/suite/world.rs"]
mod world;

mod database;

use std::sync::Arc;
use std::time::{Duration, Instant};

use database::with_a_database;
use oidc_provider::{ActiveClient, Secret};
use store_postgres::PostgresIdentity;
use world::{World, bank_form};

const THREADS: u32 = 16;
/// Sign-ins and refreshes that must be reached in a second, on two cores.
const STATED: (f64, f64) = (500.0, 2000.0);

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn sign_ins_and_refreshes_in_a_second() {
    with_a_database("identity_speed", measure);
}

fn measure(parameters: &str) {
    let store = PostgresIdentity::open(parameters).unwrap();
    let world = World::new(Arc::new(store));
    let bank = world.bank(&bank_form());
    let refreshes: Vec<Secret> = (0..THREADS)
        .map(|serial| {
            let person = world.person(100 + serial);
            world.tokens(&bank, &person).refresh.unwrap()
        })
        .collect();
    let seconds: Option<f64> = std::env::var("TUNDUK_IDENTITY_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    let time = Duration::from_secs_f64(seconds.unwrap_or(0.3));
    let sign_ins = rate(time, |thread| {
        world.sign_in(100 + thread, 0).unwrap();
    });
    println!("{sign_ins:.0} sign-ins by key in a second");
    let refreshed = refresh_rate(time, &world, &bank, refreshes);
    println!("{refreshed:.0} token refreshes in a second");
    if seconds.is_some() {
        assert!(sign_ins >= STATED.0, "{sign_ins}");
        assert!(refreshed >= STATED.1, "{refreshed}");
    }
}

fn rate(time: Duration, work: impl Fn(u32) + Sync) -> f64 {
    let begun = Instant::now();
    let done: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let work = &work;
                scope.spawn(move || {
                    let mut done = 0;
                    while begun.elapsed() < time {
                        work(thread);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    f64::from(done) / begun.elapsed().as_secs_f64()
}

fn refresh_rate(time: Duration, world: &World, bank: &ActiveClient, tokens: Vec<Secret>) -> f64 {
    let tokens: Vec<_> = tokens.into_iter().map(std::sync::Mutex::new).collect();
    rate(time, |thread| {
        let mut token = tokens[usize::try_from(thread).unwrap()].lock().unwrap();
        let next = world.refresh(bank, &token).unwrap();
        *token = next.refresh.unwrap();
    })
}
