//! Large requests and many attachments: what is refused is refused in its own words, and what
//! is carried does not have to fit into memory.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use testkit::Kind;
use testkit::http::{Request, read_answer};
use testkit::pair::{CONSUMER, CONSUMER_SERVER, PROVIDER, Pair};
use testkit::soap::SoapCall;

/// Sends all of a large body before it reads, as many clients do.
fn upload(pair: &Pair, client: &str, code: &str, pieces: usize) -> (u16, String) {
    let url = format!("{}r1/{PROVIDER}/{code}", pair.url());
    let headers = [
        ("X-Road-Client", client),
        ("Content-Type", "application/octet-stream"),
    ];
    let request = Request {
        url: &url,
        method: "POST",
        headers: &headers,
        body: b"",
    };
    let piece = vec![b'x'; 1 << 20];
    let mut stream = request.begin(pieces * piece.len()).expect("a connection");
    for _ in 0..pieces {
        stream.write_all(&piece).expect("written");
    }
    let answer = read_answer(&mut stream).expect("an answer");
    let code = answer.header("x-road-error").unwrap_or_default().to_owned();
    (answer.status, code)
}

#[test]
fn a_large_request_that_is_refused_early_is_told_why() {
    let pair = Pair::start(Kind::P256, "");
    for _ in 0..3 {
        assert_eq!(
            upload(&pair, "KG/COM/80000001/nobody", "swallow", 40),
            (500, "server.clientproxy.unknown_member".to_owned())
        );
        assert_eq!(
            upload(&pair, CONSUMER, "nothing", 40),
            (500, "server.serverproxy.unknown_service".to_owned())
        );
    }
    assert_eq!(upload(&pair, CONSUMER, "swallow", 40), (200, String::new()));
}

#[test]
fn many_attachments_pass_that_are_small_each_and_large_together() {
    let pair = Pair::start(Kind::P256, "");
    let asked = pair.provider.asked();
    // The provider takes the request and answers with what is no SOAP.
    let call = SoapCall::new(CONSUMER, PROVIDER, "text");
    let mut body = format!(
        "--b\r\nContent-Type: text/xml; charset=UTF-8\r\n\r\n{}",
        call.message()
    )
    .into_bytes();
    for number in 0..1200 {
        body.extend_from_slice(
            format!("\r\n--b\r\nContent-Type: text/plain\r\nContent-ID: <{number}>\r\n\r\n")
                .as_bytes(),
        );
        body.resize(body.len() + 60_000, b'x');
    }
    body.extend_from_slice(b"\r\n--b--\r\n");
    let headers = [(
        "Content-Type",
        "multipart/related; boundary=b; type=\"text/xml\"",
    )];
    let answer = Request {
        url: &pair.url(),
        method: "POST",
        headers: &headers,
        body: &body,
    }
    .send()
    .unwrap();
    assert_eq!(
        answer.fault_code().as_deref(),
        Some("server.serverproxy.service_failed.invalid_content_type"),
        "{}",
        answer.text()
    );
    assert_eq!(pair.provider.asked(), asked + 1);
}

/// Resident memory of a process in bytes.
fn resident(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let words = line.unwrap_or_default().split_whitespace().nth(1);
    words
        .and_then(|word| word.parse::<usize>().ok())
        .expect("a number")
        * 1024
}

#[test]
fn slow_large_envelopes_share_one_memory_and_small_messages_go_on() {
    const BUDGET: usize = 80 << 20;
    const LARGE: usize = 9 << 20;
    let pair = Pair::start(Kind::P256, "");
    let mut server = pair.country.take_over(CONSUMER_SERVER);
    server.kill();
    server.edit(|text| format!("message_memory_bytes = {BUDGET}\n{text}"));
    server.start();
    pair.until_ready(CONSUMER_SERVER);
    pair.must_work();

    let mut call = pair.call("echo");
    call.payload = "x".repeat(LARGE);
    let message = call.message();
    let url = pair.url();
    let headers = [("Content-Type", "text/xml; charset=UTF-8")];
    let begin = || {
        let request = Request {
            url: &url,
            method: "POST",
            headers: &headers,
            body: b"",
        };
        request.begin(message.len()).expect("a connection")
    };
    let (first, last) = message.as_bytes().split_at(message.len() - 1000);
    let before = resident(server.id());
    // Forty times nine MiB, each held back just before its end.
    let mut waiting = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        let mut stream = begin();
        // A server that has refused may close before it has everything.
        let _ = stream.write_all(first);
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .expect("a time limit");
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {
                let answer = String::from_utf8_lossy(&answer).into_owned();
                assert!(
                    answer.contains("server.clientproxy.internal_error")
                        && answer.contains("as many large messages"),
                    "{answer}"
                );
                refused += 1;
            }
            Err(_) => waiting.push(stream),
        }
        pair.must_work();
    }
    let grown = resident(server.id()).saturating_sub(before);
    assert!(refused >= 35, "{refused} refused, {} wait", waiting.len());
    assert!(!waiting.is_empty());
    // Allocators keep some of what they were given back.
    assert!(grown < 2 * BUDGET, "{} MiB more", grown >> 20);

    // Who was there first is served, and then there is room for others.
    for mut stream in waiting {
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a time limit");
        stream.write_all(last).expect("written");
        let answer = read_answer(&mut stream).expect("an answer");
        assert!(call.is_answered_by(&answer), "{:?}", answer.fault_code());
    }
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = call.send(&url).expect("an answer");
        if call.is_answered_by(&answer) {
            break;
        }
        assert!(Instant::now() < end, "{:?}", answer.fault_code());
    }
}
