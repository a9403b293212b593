//! Who may use what, what an administrator sets, and what passes through unchanged.

use std::time::Duration;

use testkit::http::{Answer, Request};
use testkit::pair::{CONSUMER, CONSUMER_SERVER, More, PROVIDER, PROVIDER_SERVER, Pair, STRANGER};
use testkit::soap::SoapCall;
use testkit::{Kind, eventually};

fn rest(pair: &Pair, client: &str, method: &str, service_and_path: &str) -> Answer {
    let url = format!("{}r1/{PROVIDER}/{service_and_path}", pair.url());
    let headers = [("X-Road-Client", client), ("Accept", "application/json")];
    Request {
        url: &url,
        method,
        headers: &headers,
        body: &[],
    }
    .send()
    .expect("an answer")
}

fn get(url: &str, headers: &[(&str, &str)]) -> Answer {
    Request {
        url,
        method: "GET",
        headers,
        body: &[],
    }
    .send()
    .expect("an answer")
}

/// Panics unless the call is answered with this fault and the information system heard nothing of it.
fn refused(pair: &Pair, call: &SoapCall, code: &str) -> Answer {
    let asked = pair.provider.asked();
    let answer = pair.ask(call);
    assert_eq!(
        answer.fault_code().as_deref(),
        Some(code),
        "{}: {}",
        call.code,
        answer.text()
    );
    assert_eq!(
        pair.provider.asked(),
        asked,
        "{code}: it reached the information system"
    );
    answer
}

const GROUPS_AND_ENDPOINTS: &str = r#"
[[global_group]]
code = "guests"
members = ["KG/COM/80000001/stranger"]

[[service]]
provider = "KG/GOV/70000001/register"
code = "forFriends"
type = "soap"
url = "{provider}/echo"
allowed = ["LOCALGROUP:friends"]

[[service]]
provider = "KG/GOV/70000001/register"
code = "forGuests"
type = "soap"
url = "{provider}/echo"
allowed = ["GLOBALGROUP:KG/guests"]

[[service]]
provider = "KG/GOV/70000001/register"
code = "persons"
type = "openapi"
url = "{provider}/echo"
description = "{provider}/description"
[[service.allowed]]
subject = "KG/COM/80000001/bank"
method = "GET"
path = "/persons/*"
[[service.allowed]]
subject = "KG/COM/80000001/stranger"
method = "*"
path = "/public/**"
"#;

const FRIENDS: &str = r#"
[[server.local_group]]
code = "friends"
client = "KG/GOV/70000001/register"
members = ["KG/COM/80000001/bank"]
"#;

#[test]
fn groups_and_endpoints_give_rights() {
    let pair = Pair::start_with(
        Kind::P256,
        &More {
            provider_server: FRIENDS,
            end: GROUPS_AND_ENDPOINTS,
            ..More::default()
        },
    );
    let denied = "server.serverproxy.access_denied";
    for (code, member, other) in [
        ("forFriends", CONSUMER, STRANGER),
        ("forGuests", STRANGER, CONSUMER),
    ] {
        let call = SoapCall::new(member, PROVIDER, code);
        let answer = pair.ask(&call);
        assert!(call.is_answered_by(&answer), "{code}: {}", answer.text());
        refused(&pair, &SoapCall::new(other, PROVIDER, code), denied);
    }
    for (client, method, path, may) in [
        (CONSUMER, "GET", "persons/persons/1", true),
        (CONSUMER, "GET", "persons/persons/1?a=b", true),
        (CONSUMER, "GET", "persons/persons/1/2", false),
        (CONSUMER, "GET", "persons/persons", false),
        (CONSUMER, "POST", "persons/persons/1", false),
        (CONSUMER, "DELETE", "persons/persons/1", false),
        (CONSUMER, "GET", "persons/public/a", false),
        (CONSUMER, "GET", "persons/persons/../public/a", false),
        (CONSUMER, "GET", "persons/persons/%2e%2e", false),
        (STRANGER, "GET", "persons/public/a", true),
        (STRANGER, "PUT", "persons/public/a/b/c", true),
        (STRANGER, "GET", "persons/persons/1", false),
    ] {
        let asked = pair.provider.asked();
        let answer = rest(&pair, client, method, path);
        let reached = pair.provider.asked() != asked;
        if may {
            assert_eq!(
                (answer.status, reached),
                (200, true),
                "{client} {method} {path}: {}",
                answer.text()
            );
        } else {
            assert_ne!(answer.status, 200, "{client} {method} {path}");
            assert!(!reached, "{client} {method} {path} reached the register");
            if !path.contains("..") && !path.contains("%2e") {
                assert_eq!(
                    answer.header("x-road-error"),
                    Some(denied),
                    "{client} {method} {path}"
                );
            }
        }
    }
}

#[test]
fn descriptions_are_given_to_whom_they_concern() {
    let pair = Pair::start_with(
        Kind::P256,
        &More {
            provider_server: FRIENDS,
            end: GROUPS_AND_ENDPOINTS,
            ..More::default()
        },
    );
    let clients = get(&format!("{}listClients", pair.url()), &[]);
    assert_eq!(clients.status, 200);
    for client in ["register", "bank", "stranger"] {
        assert!(clients.text().contains(client), "{}", clients.text());
    }
    let json = get(
        &format!("{}listClients", pair.url()),
        &[("Accept", "application/json")],
    );
    let json: serde_json::Value = serde_json::from_slice(&json.body).expect("JSON");
    assert!(json.get("member").is_some(), "{json}");
    let unknown = get(&format!("{}listClients?xRoadInstance=XX", pair.url()), &[]);
    assert_eq!(unknown.status, 500, "{}", unknown.text());

    let list = |code: &str, client: &str| {
        let call = SoapCall::new(client, PROVIDER, code);
        let answer = pair.ask(&call);
        assert!(
            answer.text().contains(&format!("{code}Response")),
            "{code}: {}",
            answer.text()
        );
        answer.text()
    };
    let asked = pair.provider.asked();
    let all = list("listMethods", STRANGER);
    assert!(
        all.contains("forFriends") && all.contains("forGuests"),
        "{all}"
    );
    assert!(
        !all.contains(">persons<"),
        "a REST service in the SOAP list: {all}"
    );
    let allowed = list("allowedMethods", STRANGER);
    assert!(!allowed.contains("forFriends"), "{allowed}");
    assert!(allowed.contains("forGuests"), "{allowed}");

    for (code, present, absent) in [
        ("listMethods", &["persons", "rest"][..], &["forFriends"][..]),
        ("allowedMethods", &["persons"], &["\"rest\"", "forFriends"]),
    ] {
        let answer = rest(&pair, STRANGER, "GET", code);
        assert_eq!(answer.status, 200, "{code}: {}", answer.text());
        for name in present {
            assert!(answer.text().contains(name), "{code}: {}", answer.text());
        }
        for name in absent {
            assert!(!answer.text().contains(name), "{code}: {}", answer.text());
        }
    }
    assert_eq!(pair.provider.asked(), asked);

    // Lists over REST echo the headers of their request (reference D6).
    let answer = Request {
        url: &format!("{}r1/{PROVIDER}/listMethods", pair.url()),
        method: "GET",
        headers: &[
            ("X-Road-Client", STRANGER),
            ("X-Road-Id", "list-1"),
            ("X-Road-UserId", "KG42"),
            ("X-Road-Issue", "case 7"),
            ("X-Trace", "abc"),
            ("Content-Type", "text/plain"),
            ("User-Agent", "a test"),
        ],
        body: &[],
    }
    .send()
    .expect("an answer");
    let service = format!("{PROVIDER}/listMethods");
    for (name, value) in [
        ("x-road-client", Some(STRANGER)),
        ("x-road-service", Some(service.as_str())),
        ("x-road-id", Some("list-1")),
        ("x-road-userid", Some("KG42")),
        ("x-road-issue", Some("case 7")),
        ("x-trace", Some("abc")),
        ("content-type", Some("application/json")),
        ("user-agent", None),
    ] {
        let found: Vec<&str> = answer
            .headers
            .iter()
            .filter(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(found, Vec::from_iter(value), "{name}");
    }
    assert!(answer.header("x-road-request-id").is_some());
    assert!(answer.header("x-road-request-hash").is_some());

    // The description's server is not told to consumers.
    let answer = rest(&pair, STRANGER, "GET", "getOpenAPI?serviceCode=persons");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        answer.text().contains("/persons/{number}"),
        "{}",
        answer.text()
    );
    assert!(!answer.text().contains("10.1.2.3"), "{}", answer.text());
    for (query, code) in [
        ("", "server.serverproxy.bad_request"),
        ("?serviceCode=rest", "server.serverproxy.bad_request"),
        ("?serviceCode=nothing", "server.serverproxy.unknown_service"),
    ] {
        let answer = rest(&pair, STRANGER, "GET", &format!("getOpenAPI{query}"));
        assert_eq!(
            answer.header("x-road-error"),
            Some(code),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn evidence_is_downloaded_by_its_owner_alone() {
    let pair = Pair::start(Kind::P256, "");
    let call = pair.call("echo");
    assert!(call.is_answered_by(&pair.ask(&call)));
    let asic = |subsystem: &str, id: &str, more: &str| {
        get(
            &format!(
                "{}asic?xRoadInstance=KG&memberClass=COM&memberCode=80000001&subsystemCode={subsystem}&queryId={id}{more}",
                pair.url()
            ),
            &[],
        )
    };
    let answer = asic("bank", &call.id, "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/zip"));
    let one = asic("bank", &call.id, "&requestOnly&unique");
    assert_eq!(one.status, 200, "{}", one.text());
    assert_eq!(
        one.header("content-type"),
        Some("application/vnd.etsi.asic-e+zip")
    );
    let file = pair.country.state().join("one.asice");
    std::fs::write(&file, &one.body).expect("written");
    let judged = pair.country.judge(&file);
    assert!(judged.valid, "{}", judged.text);
    for (subsystem, id, status) in [
        ("stranger", call.id.as_str(), 404),
        ("bank", "another", 404),
        ("nobody", call.id.as_str(), 401),
        ("", "", 400),
    ] {
        let answer = asic(subsystem, id, "");
        assert_eq!(answer.status, status, "{subsystem} {id}: {}", answer.text());
    }
    let answer = get(&format!("{}verificationconf", pair.url()), &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.body.starts_with(b"PK"));
}

#[test]
fn extensions_pass_and_name_their_server() {
    let pair = Pair::start(Kind::P256, "");
    let server = |code: &str| {
        let mut names = code.split('/');
        let mut text = "<xro:securityServer iden:objectType=\"SERVER\">".to_owned();
        for tag in ["xRoadInstance", "memberClass", "memberCode", "serverCode"] {
            let name = names.next().unwrap_or_default();
            text.push_str(&format!("<iden:{tag}>{name}</iden:{tag}>"));
        }
        text + "</xro:securityServer>"
    };
    let mut call = pair.call("echo");
    call.more_headers = server(PROVIDER_SERVER);
    let answer = pair.ask(&call);
    assert!(call.is_answered_by(&answer), "{}", answer.text());
    for wrong in [CONSUMER_SERVER, "KG/GOV/70000001/other"] {
        let mut call = pair.call("echo");
        call.more_headers = server(wrong);
        refused(&pair, &call, "server.clientproxy.invalid_security_server");
    }

    let mut call = pair.call("echo");
    call.more_headers = "<repr:representedParty xmlns:repr=\"http://x-road.eu/xsd/representation.xsd\">\
         <repr:partyClass>COM</repr:partyClass><repr:partyCode>42</repr:partyCode></repr:representedParty>\
         <ext:securityToken xmlns:ext=\"http://x-road.eu/xsd/security-token.xsd\" tokenType=\"urn:test\">c2VjcmV0</ext:securityToken>"
        .to_owned();
    let answer = pair.ask(&call);
    assert!(call.is_answered_by(&answer), "{}", answer.text());
    let came = pair.provider.last();
    assert!(came.contains(&call.more_headers), "{came}");

    // REST: what the information system writes on its status line (the test's writes `X`) reaches
    // the client in its words.
    let answer = pair.post("rest", b"{}").expect("an answer");
    assert_eq!((answer.status, answer.reason.as_str()), (200, "X"));

    // REST: the same as header fields.
    let url = format!("{}r1/{PROVIDER}/rest/a", pair.url());
    for (server, status) in [(PROVIDER_SERVER, 200), (CONSUMER_SERVER, 500)] {
        let headers = [
            ("X-Road-Client", CONSUMER),
            ("X-Road-Security-Server", server),
            ("X-Road-Represented-Party", "COM/42"),
            ("X-Road-Security-Token", "c2VjcmV0"),
        ];
        let answer = get(&url, &headers);
        assert_eq!(answer.status, status, "{server}: {}", answer.text());
    }
    let came = pair.provider.last().to_ascii_lowercase();
    assert!(came.contains("x-road-represented-party: com/42"), "{came}");
    assert!(came.contains("x-road-security-token: c2vjcmv0"), "{came}");
}

#[test]
fn faults_are_spelt_and_worded_as_set() {
    for (language, style, code, words) in [
        ("ru", "7.7", "Server.ServerProxy.AccessDenied", "нет права"),
        ("ky", "7.8", "server.serverproxy.access_denied", "укугу жок"),
    ] {
        let head = format!("language = \"{language}\"\nfault_style = \"{style}\"");
        let pair = Pair::start(Kind::P256, &head);
        let answer = refused(&pair, &SoapCall::new(STRANGER, PROVIDER, "echo"), code);
        assert!(answer.text().contains(words), "{}", answer.text());
    }
}

#[test]
fn a_peer_that_is_too_old_is_refused() {
    let pair = Pair::start(Kind::P256, "");
    pair.must_work();
    let mut server = pair.country.take_over(PROVIDER_SERVER);
    server.kill();
    server.edit(|text| format!("minimum_peer_version = \"99.0.0\"\n{text}"));
    server.start();
    pair.until_ready(PROVIDER_SERVER);
    refused(
        &pair,
        &pair.call("echo"),
        "server.serverproxy.client_proxy_version_not_supported",
    );
    server.kill();
    server.edit(|text| text.replace("\"99.0.0\"", "\"7.0.0\""));
    server.start();
    pair.until_ready(PROVIDER_SERVER);
    pair.must_work();
}

#[test]
fn rights_are_read_again_on_sighup() {
    let pair = Pair::start(Kind::P256, "");
    pair.must_work();
    let server = pair.country.take_over(PROVIDER_SERVER);
    pair.until_ready(PROVIDER_SERVER);
    pair.must_work();
    let mut good = String::new();
    server.edit(|text| {
        good.clone_from(&text);
        text.replace(
            "subject = \"KG/COM/80000001/bank\"",
            "subject = \"KG/COM/80000001/stranger\"",
        )
    });
    server.reload();
    eventually("the right is gone", Duration::from_secs(20), || {
        pair.ask(&pair.call("echo")).fault_code().as_deref()
            == Some("server.serverproxy.access_denied")
    });
    let call = SoapCall::new(STRANGER, PROVIDER, "echo");
    let answer = pair.ask(&call);
    assert!(call.is_answered_by(&answer), "{}", answer.text());
    // A file that is wrong changes nothing.
    server.edit(|_| "id = 1".to_owned());
    server.reload();
    eventually("the wrong file is noticed", Duration::from_secs(20), || {
        server
            .printed()
            .contains("the new configuration is not used")
    });
    let call = SoapCall::new(STRANGER, PROVIDER, "echo");
    assert!(call.is_answered_by(&pair.ask(&call)));
    server.edit(|_| good);
    server.reload();
    eventually("the right is back", Duration::from_secs(20), || {
        let call = pair.call("echo");
        call.is_answered_by(&pair.ask(&call))
    });
}
