//! REST messages: recorded ones, the rules of the parts, and metadata.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

#[path = "../../../testkit/vectors.rs"]
mod vectors;

use bytes::Bytes;
use pki::DigestAlgorithm;
use proptest::prelude::*;
use xroad_message::metadata::*;
use xroad_message::rest::*;
use xroad_message::soap::{Expect, SoapLimits, SoapMessage, check_consistent};

fn headers<'a>(list: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    list.iter().map(|(n, v)| (*n, v.as_bytes()))
}

/// The bytes of the part with this content type in a recorded HTTP message.
fn part(message: &[u8], content_type: &str) -> Vec<u8> {
    let mark = format!("content-type: {content_type}\r\n\r\n");
    let start = message
        .windows(mark.len())
        .position(|w| w == mark.as_bytes())
        .unwrap()
        + mark.len();
    let length = message[start..]
        .windows(8)
        .position(|w| w == b"\r\n--xtop")
        .unwrap();
    message[start..start + length].to_vec()
}

#[test]
fn recorded_parts_and_hashes() {
    let Some(folder) = vectors::vectors() else {
        return;
    };
    let sha = |bytes: &[u8]| DigestAlgorithm::Sha512.digest(bytes);
    for name in ["rest-get", "rest-post"] {
        let message =
            std::fs::read(folder.join("recorded").join(format!("{name}.request"))).unwrap();
        let head = part(&message, "application/x-road-rest-request");
        let request = RestRequest::decode(&head).unwrap();
        assert_eq!(request.encode(), head);
        assert_eq!(request.client.path(), "EE/BUSINESS/consumer/sub");
        assert_eq!(request.service.path(), "EE/BUSINESS/producer/sub/svc");
        assert!(request.request_id.is_some() && request.id.is_some());
        let body = (name == "rest-post").then(|| part(&message, "application/x-road-rest-body"));
        let body_digest = body.as_ref().map(|body| sha(body));
        let hash = request_hash(sha(&head).as_ref(), body_digest.as_ref().map(AsRef::as_ref));
        let message =
            std::fs::read(folder.join("recorded").join(format!("{name}.response"))).unwrap();
        let answer = part(&message, "application/x-road-rest-response");
        let response = RestResponse::decode(&answer).unwrap();
        assert_eq!(response.encode(), answer);
        assert_eq!(response.check_consistent(&request, &hash), Ok(()));
        assert_eq!(
            response.check_consistent(&request, "x"),
            Err(RestField::RequestHash)
        );
        // the provider's server makes the same response of the service's answer
        let own = response
            .headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_slice()));
        let made = RestResponse::from_service(&request, 200, "OK", own, &hash).unwrap();
        assert_eq!(made.encode(), answer);
        for length in 0..head.len() {
            if let Ok(cut) = RestRequest::decode(&head[..length]) {
                assert_ne!(cut, request);
            }
        }
        if name == "rest-get" {
            assert_eq!(
                (request.service_path(), request.query()),
                ("/a/b", Some("x=1"))
            );
        }
    }
}

#[test]
fn requests_from_http() {
    let list = [
        ("Host", "ss"),
        ("X-Road-Client", "KG/COM/1/old"),
        ("Accept", "*/*"),
        ("x-road-client", "KG/COM/1/sub%2Fsystem"),
        ("X-Road-Id", "m-1"),
        ("X-Road-Request-Id", "theirs"),
        ("X-Road-UserId", "KG123"),
        ("X-Road-Issue", "42"),
        ("X-Road-Security-Server", "KG/GOV/2/ss1"),
        ("X-Road-Represented-Party", "COM/%D0%AF"),
        ("Connection", "close"),
        ("Content-Length", "0"),
    ];
    let mut request = RestRequest::from_http(
        "PATCH",
        "/r1/KG/GOV/2/pop/persons/a%20b?x=%2F&y",
        headers(&list),
    )
    .unwrap();
    assert_eq!(request.client.subsystem_code.as_deref(), Some("sub/system"));
    assert_eq!(request.access_path().unwrap(), "/a b");
    assert_eq!(request.query(), Some("x=%2F&y"));
    assert_eq!(
        request.security_server.as_ref().unwrap().to_string(),
        "SERVER:KG/GOV/2/ss1"
    );
    let party = request.represented_party.clone().unwrap();
    assert_eq!(
        (party.class.as_deref(), party.code.as_str()),
        (Some("COM"), "Я")
    );
    request.set_ids("r-1", || unreachable!());
    let expected = "PATCH\r\n/r1/KG/GOV/2/pop/persons/a%20b?x=%2F&y\r\nAccept:*/*\r\nx-road-client:KG/COM/1/sub%2Fsystem\r\nX-Road-Id:m-1\r\nX-Road-UserId:KG123\r\nX-Road-Issue:42\r\nX-Road-Security-Server:KG/GOV/2/ss1\r\nX-Road-Represented-Party:COM/%D0%AF\r\nx-road-request-id:r-1\r\n";
    assert_eq!(String::from_utf8(request.encode()).unwrap(), expected);
    assert_eq!(RestRequest::decode(expected.as_bytes()).unwrap(), request);

    let mut plain = RestRequest::from_http(
        "GET",
        "/r1/KG/GOV/2/pop/persons",
        headers(&[("X-Road-Client", "KG/COM/1")]),
    )
    .unwrap();
    plain.set_ids("r-2", || generated_id("KG", [0xff; 16]));
    let text = String::from_utf8(plain.encode()).unwrap();
    assert!(
        text.ends_with(
            "x-road-request-id:r-2\r\nx-road-id:KG-ffffffff-ffff-4fff-bfff-ffffffffffff\r\n"
        ),
        "{text}"
    );
    assert_eq!(
        (
            plain.service_path(),
            plain.query(),
            plain.access_path().unwrap().as_str()
        ),
        ("", None, "/")
    );
}

#[test]
fn refused_requests() {
    let client = [("X-Road-Client", "KG/COM/1")];
    let code = |method, target, list: &[(&'static str, &'static str)]| {
        RestRequest::from_http(method, target, headers(list))
            .unwrap_err()
            .code()
    };
    let good = "/r1/KG/GOV/2/pop/persons";
    assert_eq!(code("GET", good, &[]), "missing_header_field");
    assert_eq!(
        code("GET", good, &[("X-Road-Client", "KG/COM")]),
        "invalid_client_identifier"
    );
    assert_eq!(
        code("GET", good, &[("X-Road-Client", " KG/COM/1")]),
        "bad_request"
    );
    assert_eq!(code("CONNECT", good, &client), "invalid_http_method");
    assert_eq!(code("get", good, &client), "invalid_http_method");
    for target in [
        "/r1/KG/GOV/2/persons",
        "/r1/",
        "/r2/a/b/c/d/e",
        "r1",
        "/r1/KG/GOV//pop/x",
        "/r1/KG/GOV/2/pop/%zz%ff",
        "/r1/KG/GOV/2/pop/persons/a b",
        "/r1/KG/GOV/2/pop/persons/#x",
    ] {
        assert_eq!(code("GET", target, &client), "bad_request", "{target}");
    }
    for (name, value) in [
        ("X-Road-Security-Server", "KG/GOV/2"),
        ("X-Road-Represented-Party", "a/b/c"),
        ("X-Road-Represented-Party", ""),
    ] {
        let list = [("X-Road-Client", "KG/COM/1"), (name, value)];
        let error = RestRequest::from_http("GET", good, headers(&list)).unwrap_err();
        assert_eq!(error.code(), "bad_request");
    }
    let many: Vec<(&str, &str)> = (0..300).map(|_| ("a", "b")).collect();
    assert_eq!(code("GET", good, &many), "invalid_message");

    let part = "GET\r\n/r1/KG/GOV/2/pop/persons\r\nX-Road-Client:KG/COM/1\r\nx-road-id:1\r\n";
    assert!(RestRequest::decode(part.as_bytes()).is_ok());
    for (from, to, expected) in [
        ("x-road-id:1\r\n", "", "internal_error"),
        ("x-road-id:1", "x-road-id:1\r\nHost:x", "invalid_message"),
        ("X-Road-Client:", "X-Road-Client: ", "bad_request"),
        ("\r\n", "\n", "invalid_message"),
        ("x-road-id:1\r\n", "x-road-id:1", "invalid_message"),
        ("x-road-id:1\r\n", "x-road-id:1\r\n\r\n", "invalid_message"),
        ("x-road-id:1", "x-road-id:1\r\nno colon", "invalid_message"),
        ("x-road-id:1", "x-road-id:1\u{0}", "invalid_message"),
        ("GET", "", "invalid_http_method"),
    ] {
        let bad = part.replace(from, to);
        assert_eq!(
            RestRequest::decode(bad.as_bytes()).unwrap_err().code(),
            expected,
            "{bad:?}"
        );
    }
    let response = "200\r\nOK\r\nx-road-id:1\r\nx-road-client:KG/COM/1\r\nx-road-service:KG/GOV/2/pop/persons\r\nx-road-request-hash:aa\r\n";
    assert!(RestResponse::decode(response.as_bytes()).is_ok());
    for missing in [
        "x-road-request-hash:aa\r\n",
        "x-road-id:1\r\n",
        "x-road-client:KG/COM/1\r\n",
        "200\r\n",
    ] {
        assert_eq!(
            RestResponse::decode(response.replace(missing, "").as_bytes())
                .unwrap_err()
                .code(),
            "internal_error"
        );
    }
}

proptest! {
    #[test]
    fn parts_never_panic(text in "[ -~\r\n:/]{0,120}") {
        if let Ok(request) = RestRequest::decode(text.as_bytes()) {
            prop_assert_eq!(request.encode(), text.as_bytes());
        }
        let _ = RestResponse::decode(text.as_bytes());
    }

    #[test]
    fn requests_round_trip(names in proptest::collection::vec("[A-Za-z-]{1,10}", 0..6), value in "[ -~]{0,20}", path in "(/[a-z0-9%]{0,5}){0,4}") {
        let client = [("X-Road-Client".to_owned(), "KG/COM/1".to_owned())];
        let list: Vec<(String, String)> = names.into_iter().map(|n| (format!("h-{n}"), value.clone())).chain(client).collect();
        let target = format!("/r1/KG/GOV/2/pop/persons{path}");
        let made = RestRequest::from_http("PUT", &target, list.iter().map(|(n, v)| (n.as_str(), v.as_bytes())));
        if let Ok(mut request) = made {
            request.set_ids("r", || "m".to_owned());
            prop_assert_eq!(RestRequest::decode(&request.encode()).unwrap(), request);
        }
    }
}

#[test]
fn soap_metadata() {
    let Some(folder) = vectors::vectors() else {
        return;
    };
    let bytes = Bytes::from(std::fs::read(folder.join("queries/listMethods.query")).unwrap());
    let limits = SoapLimits::default();
    let request = SoapMessage::decode(&bytes, &limits, Expect::Request).unwrap();
    let list = MethodList::from_service_code(&request.service.service_code).unwrap();
    let services = [request.service.clone()];
    let answer = SoapMessage::decode(
        &Bytes::from(encode_method_list(&request, "aGFzaA==", list, &services)),
        &limits,
        Expect::Response,
    )
    .unwrap();
    assert_eq!(check_consistent(&request, &answer), Ok(()));
    assert!(answer.is_wrapper_exact(Expect::Response));
    assert_eq!(answer.request_hash.as_ref().unwrap().value, "aGFzaA==");
    assert!(String::from_utf8_lossy(answer.bytes()).contains("<xroad:listMethodsResponse><xroad:service id:objectType=\"SERVICE\"><id:xRoadInstance>EE</id:xRoadInstance>"));
    assert_eq!(
        WsdlRequest::decode(&request).unwrap_err().code(),
        "invalid_request"
    );

    let text = String::from_utf8_lossy(&bytes)
        .replace("listMethods />", "getWsdl><xroad:serviceCode> a&amp;b </xroad:serviceCode><xroad:serviceVersion>v1</xroad:serviceVersion></xroad:getWsdl>")
        .replace("listMethods", "getWsdl");
    let request = SoapMessage::decode(&Bytes::from(text), &limits, Expect::Request).unwrap();
    let wanted = WsdlRequest::decode(&request).unwrap();
    assert_eq!(
        (
            wanted.service_code.as_str(),
            wanted.service_version.as_deref()
        ),
        ("a&b", Some("v1"))
    );
    let answer = Bytes::from(encode_wsdl_answer(&request, "aGFzaA==", &wanted));
    let answer = SoapMessage::decode(&answer, &limits, Expect::Response).unwrap();
    assert_eq!(WsdlRequest::decode(&answer).unwrap(), wanted);
}

#[test]
fn lists_of_clients_and_rest_services() {
    let member = xroad_id::ClientId::member("KG", "GOV", "1").unwrap();
    let subsystem = member.with_subsystem("a<b").unwrap();
    let list = || {
        [(&member, None), (&subsystem, Some("Sub & Co"))].map(|(id, subsystem_name)| ListedClient {
            id,
            name: "Member",
            subsystem_name,
        })
    };
    let xml = String::from_utf8(encode_client_list_xml(list())).unwrap();
    assert!(xml.contains("<xroad:member><xroad:id id:objectType=\"MEMBER\">") && xml.contains("<id:subsystemCode>a&lt;b</id:subsystemCode></xroad:id><xroad:name>Member</xroad:name><xroad:subsystemName>Sub &amp; Co</xroad:subsystemName></xroad:member>"), "{xml}");
    let json: serde_json::Value = serde_json::from_slice(&encode_client_list_json(list())).unwrap();
    assert_eq!(json["member"][1]["id"]["subsystem_code"], "a<b");
    assert_eq!(json["member"][0]["id"]["object_type"], "MEMBER");
    assert_eq!(json["member"][1]["subsystem_name"], "Sub & Co");
    assert!(
        wants_json(Some("text/html, application/json;q=1"))
            && !wants_json(Some("*/*"))
            && !wants_json(None)
    );
    let service = xroad_id::ServiceId::new(subsystem, "s", None).unwrap();
    let listed = ListedRestService {
        id: &service,
        service_type: RestServiceType::OpenApi,
        endpoints: vec![("GET", "/x/*")],
    };
    let json: serde_json::Value =
        serde_json::from_slice(&encode_rest_method_list([listed])).unwrap();
    assert_eq!(json["service"][0]["service_type"], "OPENAPI");
    assert_eq!(json["service"][0]["endpoint_list"][0]["path"], "/x/*");
}

#[test]
fn descriptions_without_addresses() {
    let wsdl = br#"<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"><address location="kept"/><s:address use='x' location='http://inside/a?b&amp;c'/></w:definitions>"#;
    let neutral = String::from_utf8(neutralise_wsdl(wsdl).unwrap()).unwrap();
    assert!(
        neutral.contains("<s:address use='x' location='http://example.org/xroad-endpoint'/>")
            && neutral.contains("\"kept\""),
        "{neutral}"
    );
    assert!(neutralise_wsdl(b"<!DOCTYPE a><a/>").is_err());

    let json = r#"{"openapi":"3.0.0","servers":[{"url":"http://inside"}],"paths":{"/a":{"servers":[{"url":"http://inside"}],"get":{"servers":[{"url":"http://inside"}],"summary":"s"}}}}"#;
    let neutral = neutralise_open_api(json).unwrap();
    assert!(
        !neutral.contains("inside") && neutral.contains(ENDPOINT) && neutral.contains("summary"),
        "{neutral}"
    );
    let yaml = "# c\nopenapi: 3.0.0\ninfo:\n  description: |\n    servers:\n      - kept\n  title: x\nservers:\n- url: http://inside\n  description: a\n\n# d\n- url: http://inside/2\npaths:\n  /a:\n    servers: [{url: 'http://inside',\n      x: y}]\n    get:\n      \"servers\":\n        - url: http://inside\n      summary: s\n";
    let neutral = neutralise_open_api(yaml).unwrap();
    assert_eq!(
        neutral,
        "# c\nservers:\n  - url: http://example.org/xroad-endpoint\nopenapi: 3.0.0\ninfo:\n  description: |\n    servers:\n      - kept\n  title: x\npaths:\n  /a:\n    get:\n      summary: s\n"
    );
    for bad in ["", "swagger: '2.0'\n", "{\"swagger\":\"2.0\"}", "{", "[]"] {
        assert!(neutralise_open_api(bad).is_err(), "{bad:?}");
    }
    let Some(folder) = vectors::vectors() else {
        return;
    };
    for entry in std::fs::read_dir(folder.join("wsdl-openapi")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if path.extension().unwrap() == "wsdl" {
            let neutral = String::from_utf8(neutralise_wsdl(&bytes).unwrap()).unwrap();
            assert!(neutral.contains(ENDPOINT), "{}", path.display());
        } else {
            let neutral = neutralise_open_api(std::str::from_utf8(&bytes).unwrap()).unwrap();
            assert!(neutral.contains(ENDPOINT), "{}", path.display());
        }
    }
}
