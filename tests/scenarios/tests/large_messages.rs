//! Large requests and many attachments: what is refused is refused in its own words, and what
//! is carried does not have to fit into memory.

use std::io::Write;

use testkit::Kind;
use testkit::http::{Request, read_answer};
use testkit::pair::{CONSUMER, PROVIDER, Pair};
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
