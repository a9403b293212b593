//! Servers that end at once, at any moment, under load: what a client received is provable from both logs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use testkit::http::Request;
use testkit::pair::{CONSUMER, CONSUMER_SERVER, PROVIDER, PROVIDER_SERVER, Pair};
use testkit::soap::{SoapCall, fresh_id};
use testkit::{Kind, eventually};

/// Clients that ask at the same time.
const CLIENTS: usize = 4;

/// `TUNDUK_KILLS`, or a few.
fn kills() -> usize {
    std::env::var("TUNDUK_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4)
}

/// Milliseconds in this range, other ones at each call.
fn some_milliseconds(from: u64, to: u64) -> Duration {
    use std::hash::{BuildHasher, Hasher};
    let random = std::hash::RandomState::new().build_hasher().finish();
    Duration::from_millis(from + random % (to - from))
}

/// One exchange; its identifier, if the whole answer came and was right.
fn exchange(url: &str, number: usize) -> Option<String> {
    if number.is_multiple_of(2) {
        let call = SoapCall::new(CONSUMER, PROVIDER, "echo");
        let answer = call.send(url).ok()?;
        return call.is_answered_by(&answer).then_some(call.id);
    }
    // Small bodies lie in the record, large ones beside it.
    let body = vec![b'x'; if number % 4 == 1 { 100 } else { 200_000 }];
    let id = fresh_id();
    let url = format!("{url}r1/{PROVIDER}/rest/a");
    let headers = [
        ("X-Road-Client", CONSUMER),
        ("X-Road-Id", id.as_str()),
        ("Content-Type", "application/octet-stream"),
    ];
    let request = Request {
        url: &url,
        method: "POST",
        headers: &headers,
        body: &body,
    };
    let answer = request.send().ok()?;
    (answer.status == 200 && answer.body == body).then_some(id)
}

#[test]
fn what_a_client_received_is_in_both_logs_whoever_was_killed() {
    kill_under_load(kills(), false);
}

#[test]
fn servers_that_sign_in_batches_may_be_killed_too() {
    kill_under_load(kills().div_ceil(2), true);
}

/// Kills the servers in turn, so many times.
fn kill_under_load(kills: usize, batches: bool) {
    let pair = Pair::start(Kind::P256, "");
    pair.must_work();
    let names = [PROVIDER_SERVER, CONSUMER_SERVER];
    let mut servers = names.map(|name| pair.country.take_over(name));
    if batches {
        for server in &mut servers {
            server.kill();
            server.edit(|text| text.replace("batch_signing = false", "batch_signing = true"));
            server.start();
        }
    }
    for name in names {
        pair.until_ready(name);
    }
    let url = pair.url();
    let received = Mutex::new(Vec::new());
    let count = || {
        received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (url, received, over) = (&url, &received, &over);
            scope.spawn(move || {
                for number in client.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    match exchange(url, number) {
                        Some(id) => received
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(id),
                        None => std::thread::sleep(Duration::from_millis(20)),
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for kill in 0..kills {
                let before = count();
                eventually(
                    "exchanges between two kills",
                    Duration::from_secs(60),
                    || count() >= before + CLIENTS,
                );
                std::thread::sleep(some_milliseconds(0, 500));
                let victim = kill % 2;
                if let (Some(server), Some(name)) = (servers.get_mut(victim), names.get(victim)) {
                    server.kill_and_start();
                    pair.until_ready(name);
                }
            }
        }));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
    pair.must_work();

    let received = received
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    for name in names {
        let judged = pair.country.judged(name);
        assert!(judged.valid, "{name}:\n{}", judged.text);
        let lost: Vec<_> = received
            .iter()
            .filter(|id| !judged.has(id, "request") || !judged.has(id, "response"))
            .collect();
        assert!(
            lost.is_empty(),
            "{name}: of {} answers received, these are not in the log: {lost:?}",
            received.len()
        );
    }
    println!(
        "prove: {} kills (batches: {batches}), {} answers received, all in both logs and valid",
        kills,
        received.len()
    );
}
