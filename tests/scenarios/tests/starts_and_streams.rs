//! How a server starts, signs in batches, and carries what does not fit into memory.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::http::{Request, read_answer};
use testkit::pair::{CONSUMER, CONSUMER_SERVER, More, PROVIDER, PROVIDER_SERVER, Pair};
use testkit::{Kind, OwnServer, binary};

#[test]
fn the_pin_comes_from_standard_input() {
    let pair = Pair::start(Kind::P256, "");
    pair.must_work();
    let mut server = pair.country.take_over(PROVIDER_SERVER);
    server.kill();
    server.edit(|text| {
        text.lines()
            .filter(|line| !line.starts_with("sealed_key"))
            .fold(String::new(), |text, line| text + line + "\n")
    });
    let folder = server
        .configuration()
        .parent()
        .expect("a folder")
        .to_owned();
    let pin = std::fs::read_to_string(folder.join("pin.txt")).expect("the PIN");
    let start = |pin: &str| {
        let mut child = Command::new(binary())
            .args(["security-server", "run", "--pin-stdin", "--config"])
            .arg(server.configuration())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tunduk runs");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(pin.as_bytes()).expect("written");
        input.write_all(b"\n").expect("written");
        child
    };
    let wrong = start("not this one").wait_with_output().expect("an end");
    assert_eq!(wrong.status.code(), Some(1));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(
        said.contains("PIN") && !said.contains("not this one"),
        "{said}"
    );
    assert!(said.contains("next attempt is possible in"), "{said}");
    // Wrong PINs slow the right one down too, also across starts.
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut child = start(pin.trim());
    while pair.not_ready(PROVIDER_SERVER).is_some() {
        assert!(Instant::now() < deadline, "it does not start");
        if child.try_wait().expect("a status").is_some() {
            let ended = child.wait_with_output().expect("an end");
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(said.contains("next attempt is possible in"), "{said}");
            std::thread::sleep(Duration::from_millis(300));
            child = start(pin.trim());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    pair.must_work();
    child.kill().expect("killed");
    child.wait().expect("ended");
}

#[test]
fn messages_that_wait_are_signed_together() {
    let pair = Pair::start(Kind::Rsa, "");
    pair.must_work();
    let mut servers = [PROVIDER_SERVER, CONSUMER_SERVER].map(|name| pair.country.take_over(name));
    for server in &mut servers {
        server.kill();
        server.edit(|text| text.replace("batch_signing = false", "batch_signing = true"));
        server.start();
    }
    for name in [PROVIDER_SERVER, CONSUMER_SERVER] {
        pair.until_ready(name);
    }
    let ids: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..12)
            .map(|client| {
                let pair = &pair;
                scope.spawn(move || {
                    let mut ids = Vec::new();
                    for _ in 0..4 {
                        let call = pair.call("echo");
                        let answer = pair.ask(&call);
                        assert!(call.is_answered_by(&answer), "{}", answer.text());
                        ids.push(call.id);
                        let body = vec![client; 100_000];
                        let answer = pair.post("rest", &body).expect("an answer");
                        assert!(
                            answer.status == 200 && answer.body == body,
                            "{}",
                            answer.text()
                        );
                        ids.push(answer.header("x-road-id").expect("x-road-id").to_owned());
                    }
                    ids
                })
            })
            .collect();
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client"))
            .collect()
    });
    for name in [PROVIDER_SERVER, CONSUMER_SERVER] {
        let judged = pair.country.judged(name);
        assert!(judged.valid, "{name}:\n{}", judged.text);
        for id in &ids {
            assert!(
                judged.has(id, "request") && judged.has(id, "response"),
                "{name}: {id}"
            );
        }
    }
}

/// `TUNDUK_STREAM_MIB`, or little.
fn mebibytes() -> usize {
    std::env::var("TUNDUK_STREAM_MIB")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(48)
}

/// The most that a server may grow while a body passes, in KiB.
const GROWTH: u64 = 16 * 1024;

/// Sends a head and so many bytes between a begin and an end, and gives the length of the answer's body.
fn stream(url: &str, headers: &[(&str, &str)], begin: &[u8], bytes: usize, end: &[u8]) -> usize {
    let request = Request {
        url,
        method: if begin.len() + bytes > 0 {
            "POST"
        } else {
            "GET"
        },
        headers,
        body: &[],
    };
    let mut stream = request
        .begin(begin.len() + bytes + end.len())
        .expect("a connection");
    stream.write_all(begin).expect("written");
    let piece = vec![b'y'; 1 << 16];
    for _ in 0..bytes / piece.len() {
        stream.write_all(&piece).expect("written");
    }
    stream.write_all(end).expect("written");
    let answer = read_answer(&mut stream).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.body.len()
}

#[test]
fn memory_does_not_grow_with_bodies() {
    let length = mebibytes() << 20;
    let services = format!(
        r#"
[[service]]
provider = "{PROVIDER}"
code = "give"
type = "rest"
url = "{{provider}}/give/{length}"
allowed = ["{CONSUMER}"]

[[service]]
provider = "{PROVIDER}"
code = "attachments"
type = "soap"
url = "{{provider}}/soap-swallow/{length}"
timeout_seconds = 300
allowed = ["{CONSUMER}"]
"#
    );
    let pair = Pair::start_with(
        Kind::P256,
        &More {
            end: &services,
            ..More::default()
        },
    );
    let servers = [PROVIDER_SERVER, CONSUMER_SERVER].map(|name| pair.country.take_over(name));
    for name in [PROVIDER_SERVER, CONSUMER_SERVER] {
        pair.until_ready(name);
    }
    let rest = |code: &str| format!("{}r1/{PROVIDER}/{code}", pair.url());
    let client = [("X-Road-Client", CONSUMER)];
    let up = |bytes: usize| {
        stream(&rest("swallow"), &client, b"", bytes, b"");
    };
    let down = |_: usize| {
        assert_eq!(stream(&rest("give"), &client, b"", 0, b""), length);
    };
    let attachments = |bytes: usize| {
        let call = pair.call("attachments");
        let begin = format!(
            "--b\r\nContent-Type: text/xml; charset=UTF-8\r\n\r\n{}\r\n--b\r\n\
             Content-Type: application/octet-stream\r\nContent-ID: <a>\r\n\r\n",
            call.message()
        );
        let headers = [(
            "Content-Type",
            "multipart/related; boundary=b; type=\"text/xml\"",
        )];
        let came = stream(
            &pair.url(),
            &headers,
            begin.as_bytes(),
            bytes,
            b"\r\n--b--\r\n",
        );
        assert!(came > length, "{came}");
    };
    // What a first exchange of each kind needs once is not growth.
    for _ in 0..3 {
        up(4 << 20);
        pair.must_work();
        assert_eq!(
            pair.post("rest", &vec![1; 300_000])
                .expect("an answer")
                .status,
            200
        );
    }
    let observe = |what: &str, exchange: &dyn Fn(usize)| {
        let before = servers.each_ref().map(OwnServer::observe_memory);
        let start = Instant::now();
        exchange(length);
        let took = start.elapsed();
        for (name, (server, before)) in [PROVIDER_SERVER, CONSUMER_SERVER]
            .iter()
            .zip(servers.iter().zip(before))
        {
            let most = server.most_memory();
            let grown = most.saturating_sub(before);
            println!(
                "prove: {what}, {} MiB in {took:.1?}: {name} grew by {} KiB of {before} KiB",
                mebibytes(),
                grown
            );
            assert!(
                grown <= GROWTH,
                "{what}: {name} grew from {before} to {most} KiB"
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    observe("REST body to the provider", &up);
    observe("REST body from the provider", &down);
    observe("SOAP attachments both ways", &attachments);
}
