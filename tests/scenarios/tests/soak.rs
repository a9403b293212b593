//! Two servers under a steady load of good and bad requests: nothing is lost, nothing piles up.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use testkit::http::Request;
use testkit::pair::{CONSUMER, CONSUMER_SERVER, PROVIDER, PROVIDER_SERVER, Pair};
use testkit::soap::{SoapCall, fresh_id};
use testkit::{Kind, OwnServer};

/// Clients that ask at the same time.
const CLIENTS: usize = 4;

/// What a server may occupy more at the end than after the first third, in KiB: caches that fill, not leaks.
const GROWTH: u64 = 16 * 1024;

/// `TUNDUK_SOAK_SECONDS`, or a few.
fn duration() -> Duration {
    let seconds = std::env::var("TUNDUK_SOAK_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(6))
}

/// One exchange of several sorts; its identifier where it leaves evidence.
fn exchange(url: &str, number: usize) -> Option<String> {
    let id = fresh_id();
    let (service, body, expected) = match number % 5 {
        // Seldom, so that minutes of it do not fill a disk.
        2 if number % 50 == 2 => ("rest", vec![b'y'; 300_000], 200),
        0 => {
            let call = SoapCall::new(CONSUMER, PROVIDER, "echo");
            let answer = call.send(url).expect("an answer");
            assert!(call.is_answered_by(&answer), "{}", answer.text());
            return Some(call.id);
        }
        1 | 2 => ("rest", vec![b'x'; 100], 200),
        3 => ("rest", Vec::new(), 200),
        // Refused by the provider's server; the refusal costs no more than an exchange.
        _ => ("no-such-service", vec![b'z'; 1000], 500),
    };
    let address = format!("{url}r1/{PROVIDER}/{service}/a");
    let headers = [
        ("X-Road-Client", CONSUMER),
        ("X-Road-Id", id.as_str()),
        ("Content-Type", "application/octet-stream"),
    ];
    let request = Request {
        url: &address,
        method: "POST",
        headers: &headers,
        body: &body,
    };
    let answer = request.send().expect("an answer");
    assert_eq!(answer.status, expected, "{}", answer.text());
    if expected != 200 {
        return None;
    }
    assert_eq!(answer.body, body);
    Some(id)
}

/// Memory in KiB and open file descriptors.
fn occupied(server: &OwnServer) -> (u64, usize) {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", server.id())).expect("descriptors");
    (server.observe_memory(), descriptors.count())
}

#[test]
fn a_steady_load_loses_nothing_and_piles_nothing_up() {
    let pair = Pair::start(Kind::P256, "");
    pair.must_work();
    let names = [PROVIDER_SERVER, CONSUMER_SERVER];
    let servers = names.map(|name| pair.country.take_over(name));
    for name in names {
        pair.until_ready(name);
    }
    let url = pair.url();
    let duration = duration();
    let start = Instant::now();
    let over = AtomicBool::new(false);
    let done = AtomicU64::new(0);
    let (last, early) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (url, over, done) = (&url, &over, &done);
                scope.spawn(move || {
                    // What is still in hand when a client fails must not keep the others going.
                    struct Over<'a>(&'a AtomicBool);
                    impl Drop for Over<'_> {
                        fn drop(&mut self) {
                            self.0.store(true, Ordering::Relaxed);
                        }
                    }
                    let over = Over(over);
                    let mut last = None;
                    for number in client.. {
                        if over.0.load(Ordering::Relaxed) {
                            break;
                        }
                        last = exchange(url, number).or(last);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    last
                })
            })
            .collect();
        let mut early = None;
        while start.elapsed() < duration && !over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
            if early.is_none() && start.elapsed() > duration / 3 {
                early = Some(servers.each_ref().map(occupied));
            }
        }
        over.store(true, Ordering::Relaxed);
        let last: Vec<String> = clients
            .into_iter()
            .filter_map(|client| client.join().expect("a client without failures"))
            .collect();
        (last, early.expect("a third of the time has passed"))
    });
    let late = servers.each_ref().map(occupied);
    println!(
        "prove: soak of {} s: {} requests, none wrong; memory and descriptors after a third {early:?}, at the end {late:?}",
        duration.as_secs(),
        done.load(Ordering::Relaxed),
    );
    for (name, ((memory, files), (memory_then, files_then))) in
        names.iter().zip(late.iter().zip(early.iter()))
    {
        assert!(
            *memory <= memory_then + GROWTH,
            "{name}: {memory_then} KiB became {memory}"
        );
        // Segments of the log are opened as it grows, connections are not more than clients.
        assert!(
            *files <= files_then + 32,
            "{name}: {files_then} descriptors became {files}"
        );
    }
    // The last exchanges are provable like the first.
    assert_eq!(last.len(), CLIENTS);
    for (name, server) in names.iter().zip(&servers) {
        for id in &last {
            let file = pair.country.export(name, &["--query-id", id]);
            let file = file.unwrap_or_else(|error| panic!("{name}: {id}: {error}"));
            let judged = pair.country.judge(&file);
            assert!(
                judged.valid,
                "{name}: {id}:\n{}\n{}",
                judged.text,
                server.printed()
            );
        }
    }
}
