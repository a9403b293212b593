//! What does not go through, and that everything else still does.

use std::io::Write;
use std::time::{Duration, Instant};

use testkit::http::{Request, read_answer};
use testkit::pair::{CONSUMER, PROVIDER, Pair, STRANGER};
use testkit::{Kind, soap::SoapCall};

#[test]
fn each_refusal_says_whose_fault_it_is() {
    let pair = Pair::start(Kind::P256, "");
    pair.must_work();
    let asked = pair.provider.asked();

    let cases: &[(&str, SoapCall, &str)] = &[
        (
            "unknown service",
            pair.call("nothing"),
            "server.serverproxy.unknown_service",
        ),
        (
            "no right",
            SoapCall::new(STRANGER, PROVIDER, "echo"),
            "server.serverproxy.access_denied",
        ),
        (
            "disabled",
            pair.call("off"),
            "server.serverproxy.service_disabled",
        ),
        (
            "unknown provider",
            SoapCall::new(CONSUMER, "KG/GOV/1/x", "echo"),
            "server.clientproxy.unknown_member",
        ),
        (
            "unknown client",
            SoapCall::new("KG/COM/1/x", PROVIDER, "echo"),
            "server.clientproxy.unknown_member",
        ),
        (
            "a member is no subsystem",
            SoapCall::new("KG/COM/80000001", PROVIDER, "echo"),
            "server.clientproxy.unknown_member",
        ),
    ];
    for (what, call, code) in cases {
        let answer = pair.ask(call);
        assert_eq!(answer.status, 200, "{what}");
        assert_eq!(
            answer.fault_code().as_deref(),
            Some(*code),
            "{what}: {}",
            answer.text()
        );
    }
    assert_eq!(
        pair.provider.asked(),
        asked,
        "a refused call reached the information system"
    );

    // Words for people say nothing of how the provider's side is built.
    let cases = [
        ("nobody", "server.serverproxy.service_failed.network_error"),
        ("hangUp", "server.serverproxy.service_failed"),
        ("cut", "server.serverproxy.service_failed"),
        ("tooSlow", "server.serverproxy.service_failed"),
        ("error", "server.serverproxy.service_failed"),
        (
            "text",
            "server.serverproxy.service_failed.invalid_content_type",
        ),
        (
            "otherId",
            "server.clientproxy.service_failed.inconsistent_response",
        ),
    ];
    for (service, code) in cases {
        let answer = pair.ask(&pair.call(service));
        let got = answer
            .fault_code()
            .unwrap_or_else(|| panic!("{service}: {}", answer.text()));
        assert!(got.starts_with(code), "{service}: {got}: {}", answer.text());
        for secret in [
            pair.block.prefix().as_str(),
            "127.",
            "http://",
            "/tmp",
            "BEGIN CERT",
        ] {
            let text = answer.text().replace("http://schemas.xmlsoap.org", "");
            assert!(
                !text.contains(secret),
                "{service}: the fault tells {secret}: {text}"
            );
        }
    }
    assert!(
        pair.post("restCut", b"body")
            .map_or(true, |answer| answer.status == 500),
        "a cut answer was given as whole"
    );
    pair.must_work();
}

#[test]
fn what_a_consumer_sends_wrong_is_its_own_fault() {
    let pair = Pair::start(Kind::P256, "");
    let asked = pair.provider.asked();
    let url = pair.url();
    let call = pair.call("echo");
    let good = call.message();
    let post = |content_type: &str, body: &str| {
        let headers = [("Content-Type", content_type)];
        Request {
            url: &url,
            method: "POST",
            headers: &headers,
            body: body.as_bytes(),
        }
        .send()
        .expect("an answer")
    };
    let xml = "text/xml; charset=UTF-8";
    for (what, content_type, body) in [
        ("no SOAP", xml, "<html/>".to_owned()),
        ("no XML", xml, "hello".to_owned()),
        ("empty", xml, String::new()),
        ("another content type", "application/json", good.clone()),
        (
            "no identifier",
            xml,
            good.replace(&format!("<xro:id>{}</xro:id>", call.id), ""),
        ),
        (
            "two identifiers",
            xml,
            good.replace("</xro:id>", "</xro:id><xro:id>2</xro:id>"),
        ),
        (
            "no protocol version",
            xml,
            good.replace("<xro:protocolVersion>4.0</xro:protocolVersion>", ""),
        ),
        (
            "a document type",
            xml,
            good.replace("?>", "?><!DOCTYPE a [<!ENTITY b \"c\">]>"),
        ),
        (
            "another charset",
            "text/xml; charset=ISO-8859-1",
            good.clone(),
        ),
        (
            "cut short",
            xml,
            good.get(..good.len() / 2).unwrap_or_default().to_owned(),
        ),
        (
            "an attachment without end",
            "multipart/related; boundary=b",
            format!("--b\r\n\r\n{good}"),
        ),
    ] {
        let answer = post(content_type, &body);
        let code = answer
            .fault_code()
            .unwrap_or_else(|| panic!("{what}: {} {}", answer.status, answer.text()));
        assert!(
            code.starts_with("client."),
            "{what}: {code}: {}",
            answer.text()
        );
    }
    let deep = "<a>".repeat(100_000);
    let answer = post(
        xml,
        &good.replace("<t:payload>", &format!("<t:payload>{deep}")),
    );
    assert!(
        answer
            .fault_code()
            .is_some_and(|code| code.starts_with("client.")),
        "{}",
        answer.text()
    );
    assert_eq!(
        pair.provider.asked(),
        asked,
        "a wrong message reached the information system"
    );

    let rest = |url: &str, headers: &[(&str, &str)]| {
        Request {
            url,
            method: "GET",
            headers,
            body: &[],
        }
        .send()
        .expect("an answer")
    };
    let base = format!("{url}r1/{PROVIDER}/rest");
    for (what, url, headers) in [
        ("no client", base.clone(), vec![]),
        (
            "a client that is none",
            base.clone(),
            vec![("X-Road-Client", "bank")],
        ),
        (
            "a service that is none",
            format!("{url}r1/KG/GOV"),
            vec![("X-Road-Client", CONSUMER)],
        ),
    ] {
        let answer = rest(&url, &headers);
        assert!(
            (400..=500).contains(&answer.status),
            "{what}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(
            answer.header("x-road-error").is_some(),
            "{what}: no X-Road-Error: {}",
            answer.text()
        );
    }
    pair.must_work();
}

#[test]
fn a_consumer_that_leaves_disturbs_nobody() {
    let pair = Pair::start(Kind::P256, "");
    pair.must_work();
    let url = pair.url();
    let message = pair.call("slow").message();
    let headers = [("Content-Type", "text/xml; charset=UTF-8")];
    let request = Request {
        url: &url,
        method: "POST",
        headers: &headers,
        body: &[],
    };
    let asked = pair.provider.asked();
    for length in [0, 1, message.len() / 2, message.len() - 1] {
        let mut stream = request.begin(message.len()).expect("a connection");
        stream
            .write_all(message.as_bytes().get(..length).unwrap_or_default())
            .expect("written");
    }
    // Gone while the provider works.
    let mut stream = request.begin(message.len()).expect("a connection");
    stream.write_all(message.as_bytes()).expect("written");
    let deadline = Instant::now() + Duration::from_secs(20);
    while pair.provider.asked() == asked {
        assert!(
            Instant::now() < deadline,
            "the whole request did not reach the provider"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(stream);
    assert_eq!(
        pair.provider.asked(),
        asked + 1,
        "half a request reached the information system"
    );
    pair.must_work();
    // A slow answer is an answer.
    let call = pair.call("slow");
    let mut stream = request.begin(call.message().len()).expect("a connection");
    stream
        .write_all(call.message().as_bytes())
        .expect("written");
    let answer = read_answer(&mut stream).expect("an answer");
    assert!(call.is_answered_by(&answer), "{}", answer.text());
}

#[test]
fn large_bodies_pass() {
    let pair = Pair::start(Kind::P256, "");
    for length in [0, 1, 65_535, 65_536, 65_537, 3_000_000] {
        let body = vec![b'x'; length];
        let answer = pair.post("rest", &body).expect("an answer");
        assert_eq!(answer.status, 200, "{length}: {}", answer.text());
        assert!(answer.body == body, "{length}: another body came back");
    }
    let answer = pair
        .post("swallow", &vec![7; 40_000_000])
        .expect("an answer");
    assert_eq!(answer.text(), "{\"length\":40000000}");
}
