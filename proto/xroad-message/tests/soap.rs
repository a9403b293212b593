//! SOAP messages: every case of X-Road's proxy suite that decoding decides, the
//! identifiers, and what must be refused.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

#[path = "../../../testkit/vectors.rs"]
mod vectors;

use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use xroad_message::fault::{FaultCode, Source};
use xroad_message::soap::*;
use xroad_message::soap_stream::*;

type Attachments = Vec<(Option<String>, Vec<u8>)>;

/// Decodes a body as a proxy does: SOAP first, then attachments.
fn decode(
    expect: Expect,
    content_type: Option<&str>,
    pieces: impl IntoIterator<Item = Bytes>,
) -> Result<(Soap, Attachments), String> {
    let mut decoder = SoapStreamDecoder::new(expect, content_type, SoapStreamLimits::default())
        .map_err(|e| e.code().to_owned())?;
    let mut soap = None;
    let mut attachments: Attachments = Vec::new();
    let mut pieces = pieces.into_iter();
    loop {
        match pieces.next() {
            Some(piece) => decoder.feed(piece).map_err(|e| e.code().to_owned())?,
            None => decoder.end_of_input(),
        }
        while let Some(event) = decoder.next().map_err(|e| e.code().to_owned())? {
            match event {
                SoapStreamEvent::Message {
                    content_type,
                    bytes,
                    ..
                } => {
                    let bytes = match expect {
                        Expect::Request => bytes,
                        Expect::Response => {
                            decode_charset(&content_type, bytes).map_err(|e| e.code().to_owned())?
                        }
                    };
                    let found = Soap::decode(&bytes, &SoapLimits::default(), expect)
                        .map_err(|e| e.code().to_owned())?;
                    if let (Expect::Request, Soap::Fault(fault, _)) = (expect, &found) {
                        return Err(fault.code.clone());
                    }
                    soap = Some(found);
                }
                SoapStreamEvent::AttachmentStart(headers) => {
                    attachments.push((headers.content_type().map(str::to_owned), Vec::new()));
                }
                SoapStreamEvent::AttachmentData(data) => {
                    attachments.last_mut().unwrap().1.extend_from_slice(&data)
                }
                SoapStreamEvent::AttachmentEnd => {}
                SoapStreamEvent::End => return Ok((soap.unwrap(), attachments)),
            }
        }
    }
}

fn chunks(bytes: &[u8], size: usize) -> Vec<Bytes> {
    bytes
        .chunks(size.max(1))
        .map(Bytes::copy_from_slice)
        .collect()
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join("queries").join(name)).unwrap()
}

fn message(soap: &Soap) -> &SoapMessage {
    match soap {
        Soap::Message(message) => message,
        Soap::Fault(..) => panic!("a fault"),
    }
}

fn hash(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(pki::DigestAlgorithm::Sha512.digest(bytes))
}

#[test]
fn every_case_of_the_proxy_suite() {
    let Some(folder) = vectors::vectors() else {
        return;
    };
    let list = std::fs::read_to_string(folder.join("queries/expected.tsv")).unwrap();
    let mut cases = 0;
    for line in list
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let fields: Vec<&str> = line.split('\t').collect();
        let [case, request, request_type, answer, answer_type, expected] = fields[..] else {
            panic!("{line}")
        };
        cases += 1;
        let soap = |text: &'static str| {
            move |given: &str| {
                if given == "-" {
                    text.to_owned()
                } else {
                    given.to_owned()
                }
            }
        };
        let content_type = soap("text/xml");
        for size in [1, 13, 1 << 20] {
            let bytes = read(&folder, request);
            let got = decode(
                Expect::Request,
                Some(&content_type(request_type)),
                chunks(&bytes, size),
            );
            let (sent, attachments) = match got {
                Ok(good) => good,
                Err(code) => {
                    let code = FaultCode::new(Source::Client, &code);
                    assert_eq!(code.as_str(), expected, "{case}");
                    continue;
                }
            };
            assert!(!expected.starts_with("client."), "{case} was read");
            if expected == "server.clientproxy.unknown_member" {
                continue;
            }
            match case {
                "Attachment" | "Attachment2" => assert_eq!(attachments[0].1, b"blaah", "{case}"),
                _ => assert!(attachments.is_empty(), "{case}"),
            }
            let answer_bytes = read(&folder, answer);
            let got = decode(
                Expect::Response,
                Some(&content_type(answer_type)),
                chunks(&answer_bytes, size),
            );
            let answered = match got {
                Ok((answered, _)) => answered,
                Err(code) => {
                    let code = FaultCode::service_failed(Source::ServerServerProxy, &code);
                    assert_eq!(code.as_str(), expected, "{case}");
                    continue;
                }
            };
            if let Soap::Fault(fault, bytes) = &answered {
                assert_eq!(fault.code, expected, "{case}");
                assert_eq!(
                    bytes, &answer_bytes,
                    "{case}: a service's fault passes unchanged"
                );
                continue;
            }
            let (sent, answered) = (message(&sent), message(&answered));
            assert_eq!(expected, "ok", "{case}");
            assert_eq!(check_consistent(sent, answered), Ok(()), "{case}");
            // what the provider's server sends back is read again with the hash
            let hashed = answered.with_request_hash(&hash(sent.bytes()));
            let again = SoapMessage::decode(
                &Bytes::from(hashed),
                &SoapLimits::default(),
                Expect::Response,
            )
            .unwrap();
            let found = again.request_hash.clone().unwrap();
            assert_eq!(
                (found.algorithm.as_str(), found.value),
                (REQUEST_HASH_ALGORITHM, hash(sent.bytes())),
                "{case}"
            );
            assert_eq!(check_consistent(sent, &again), Ok(()), "{case}");
            assert!(again.is_response(), "{case}");
        }
    }
    assert_eq!(cases, 31);
}

#[test]
fn other_messages_of_the_proxy_suite() {
    let Some(folder) = vectors::vectors() else {
        return;
    };
    let limits = SoapLimits::default();
    let one =
        |name| SoapMessage::decode(&Bytes::from(read(&folder, name)), &limits, Expect::Request);
    assert_eq!(
        one("inconsistent-headers.query").unwrap_err().code(),
        "inconsistent_headers"
    );
    assert_eq!(one("attachm.query").unwrap_err().code(), "invalid_soap");
    let suffix = one("request-suffix.query").unwrap();
    assert!(!suffix.is_wrapper_exact(Expect::Request));
    assert!(
        one("simple.query")
            .unwrap()
            .is_wrapper_exact(Expect::Request)
    );
    let party = one("simple-representedparty.query")
        .unwrap()
        .represented_party
        .unwrap();
    assert_eq!(
        (party.class.as_deref(), party.code.as_str()),
        (Some("COM"), "MEMBER3")
    );
    let default = one("getstate-defaultnamespace.query").unwrap();
    assert_eq!(
        default.service.to_string(),
        "SERVICE:EE/BUSINESS/producer/getState"
    );
    assert_eq!(default.issue.as_deref(), Some(""));
    let other = one("xml.query").unwrap();
    let answer = SoapMessage::decode(
        &Bytes::from(read(&folder, "getstate.answer")),
        &limits,
        Expect::Response,
    )
    .unwrap();
    assert_eq!(check_consistent(&other, &answer), Err(Field::Service));
    let (soap, attachments) = decode(
        Expect::Response,
        Some("multipart/related; boundary=MIMEBoundaryurn_uuid_0FE43E4D025F0BF3DC11582467646812"),
        chunks(&read(&folder, "xop.answer"), 50),
    )
    .unwrap();
    assert_eq!(
        (message(&soap).body_name.as_str(), attachments.len()),
        ("testResponse", 1)
    );
    for (name, code) in [
        ("customfault.answer", "foo:FOOCODE"),
        ("customsoapenv.answer", "soapenv:Server.CODE"),
    ] {
        let Soap::Fault(fault, _) =
            Soap::decode(&Bytes::from(read(&folder, name)), &limits, Expect::Response).unwrap()
        else {
            panic!("{name}")
        };
        assert_eq!(
            (fault.code.as_str(), fault.detail.as_deref()),
            (code, Some("DETAIL"))
        );
    }
    // whatever else is there decodes or is refused, also cut off anywhere
    for entry in std::fs::read_dir(folder.join("queries")).unwrap() {
        let bytes = Bytes::from(std::fs::read(entry.unwrap().path()).unwrap());
        let whole = Soap::decode(&bytes, &limits, Expect::Request);
        for length in (0..bytes.len()).step_by(bytes.len() / 300 + 1) {
            let cut = Soap::decode(&bytes.slice(..length), &limits, Expect::Request);
            if whole.is_ok() && bytes[length..].iter().any(|b| !b.is_ascii_whitespace()) {
                assert!(cut.is_err());
            }
        }
    }
}

#[test]
fn bodies_without_soap() {
    let related = Some("multipart/related; boundary=b");
    for (expect, content_type, body, expected) in [
        (Expect::Request, related, &b""[..], "missing_soap"),
        (Expect::Request, related, b"--b--\r\n", "missing_soap"),
        (Expect::Response, related, b"--b--\r\n", "invalid_message"),
        (Expect::Response, related, b"", "invalid_message"),
        (
            Expect::Request,
            related,
            b"--b\r\ncontent-type: text/xml\r\n\r\n<a",
            "mime_parsing_failed",
        ),
        (
            Expect::Request,
            related,
            b"--b\ncontent-type: text/xml\n\n--b--",
            "invalid_soap",
        ),
        (
            Expect::Request,
            related,
            b"--b\nx: y\n\n<a/>\n--b--",
            "invalid_content_type",
        ),
        (
            Expect::Request,
            Some("multipart/related"),
            b"",
            "invalid_content_type",
        ),
        (
            Expect::Request,
            Some("text/html"),
            b"<a/>",
            "invalid_content_type",
        ),
        (
            Expect::Request,
            Some("text/xml; charset=ISO-8859-1"),
            b"<a/>",
            "invalid_content_type",
        ),
        (
            Expect::Response,
            Some("application/json"),
            b"{}",
            "invalid_content_type",
        ),
        (
            Expect::Response,
            Some("text/xml; charset=klingon"),
            b"<a/>",
            "invalid_content_type",
        ),
        (Expect::Request, None, b"<a/>", "invalid_request"),
        (Expect::Response, None, b"<a/>", "invalid_content_type"),
    ] {
        assert_eq!(
            decode(expect, content_type, chunks(body, 3)).unwrap_err(),
            expected,
            "{content_type:?} {body:?}"
        );
    }
    for (action, good) in [
        (None, true),
        (Some(""), true),
        (Some("\"\""), true),
        (Some("\"urn:x\""), true),
        (Some("\"http://x.y/z?a=%20\""), true),
        (Some("urn:x"), false),
        (Some("\"urn:x"), false),
        (Some("\"a b\""), false),
        (Some("\"a%zz\""), false),
        (Some("\""), false),
    ] {
        assert_eq!(check_soap_action(action).is_ok(), good, "{action:?}");
    }
    assert_eq!(
        check_soap_action(Some("x")).unwrap_err().code(),
        "invalid_soap_action"
    );
}

const HEADER: &str = r#"<x:client i:objectType="SUBSYSTEM"><i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass><i:memberCode>a&amp;b</i:memberCode><i:subsystemCode>Тест</i:subsystemCode></x:client><x:service i:objectType="SERVICE"><i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass><i:memberCode>2</i:memberCode><i:serviceCode>get</i:serviceCode></x:service><x:id>1</x:id><x:protocolVersion>4.0</x:protocolVersion>"#;

fn envelope(header: &str, body: &str) -> Bytes {
    Bytes::from(format!(
        r#"<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:x="http://x-road.eu/xsd/xroad.xsd" xmlns:i="http://x-road.eu/xsd/identifiers"><e:Header>{header}</e:Header><e:Body>{body}</e:Body></e:Envelope>"#
    ))
}

#[test]
fn codes_of_refusal() {
    let limits = SoapLimits::default();
    let code = |bytes: &Bytes| match SoapMessage::decode(bytes, &limits, Expect::Request) {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.code().to_owned(),
    };
    let good = envelope(HEADER, "<get/>");
    let decoded = SoapMessage::decode(&good, &limits, Expect::Request).unwrap();
    assert_eq!(decoded.client.to_string(), "SUBSYSTEM:KG/GOV/a&b/Тест");
    let deep = format!("<get>{}{}</get>", "<a>".repeat(200), "</a>".repeat(200));
    let with = |from: &str, to: &str| envelope(&HEADER.replacen(from, to, 1), "<get/>");
    for (bytes, expected) in [
        (good.clone(), "ok"),
        (Bytes::from([b"\xEF\xBB\xBF", good.as_ref()].concat()), "ok"),
        (envelope(HEADER, "<getResponse/>"), "ok"),
        (envelope(HEADER, "<ge/>"), "inconsistent_headers"),
        (envelope(HEADER, "<get/><get/>"), "invalid_body"),
        (envelope(HEADER, "text"), "invalid_body"),
        (envelope(HEADER, &deep), "invalid_soap"),
        (envelope("", "<get/>"), "missing_header_field"),
        (with("<x:id>1</x:id>", ""), "missing_header_field"),
        (
            with("<x:id>1</x:id>", "<x:id>1</x:id><x:id>1</x:id>"),
            "duplicate_header_field",
        ),
        (
            with("<x:id>", "<x:userId/><x:userId/><x:id>"),
            "duplicate_header_field",
        ),
        (with(" i:objectType=\"SERVICE\"", ""), "invalid_xml"),
        (
            with(" i:objectType=\"SERVICE\"", " objectType=\"SERVICE\""),
            "invalid_xml",
        ),
        (with("SUBSYSTEM", "MEMBER"), "invalid_xml"),
        (with("SUBSYSTEM", "SERVER"), "invalid_xml"),
        (with("SUBSYSTEM", "GODOWN"), "invalid_xml"),
        (with("<i:memberCode>2</i:memberCode>", ""), "invalid_xml"),
        (
            with("<i:memberCode>2</i:memberCode>", "<i:memberCode/>"),
            "invalid_xml",
        ),
        (with("4.0", "3.0"), "invalid_protocol_version"),
        (with("4.0", "4.1"), "ok"),
        (with("4.0", "4<!-- c -->.0"), "ok"),
        (with("4.0", "<![CDATA[4.0]]>"), "ok"),
        (
            with(
                "<x:id>1",
                "<other xmlns='urn:token'><x:id>7</x:id></other><x:id>1",
            ),
            "ok",
        ),
        (with("<x:id>1", "<x:id>&xxe;"), "invalid_soap"),
        (Bytes::from_static(b""), "invalid_soap"),
        (Bytes::from_static(b"<a/>"), "invalid_soap"),
        (
            Bytes::from([b"<!DOCTYPE a [<!ENTITY x 'y'>]>", good.as_ref()].concat()),
            "invalid_soap",
        ),
        (
            Bytes::from(
                [
                    b"<?xml version='1.0' encoding='windows-1251'?>",
                    good.as_ref(),
                ]
                .concat(),
            ),
            "invalid_soap",
        ),
        (
            Bytes::from([b"<?pi?>", good.as_ref()].concat()),
            "invalid_soap",
        ),
        (
            Bytes::from(String::from_utf8_lossy(&good).replace("soap/envelope", "soap12")),
            "invalid_soap",
        ),
        (
            Bytes::from(
                String::from_utf8_lossy(&good).replace("</e:Header>", "</e:Header><e:Header/>"),
            ),
            "invalid_soap",
        ),
        (
            Bytes::from(String::from_utf8_lossy(&good).replace("Тест", "\u{7f}")),
            "invalid_xml",
        ),
    ] {
        assert_eq!(
            code(&bytes),
            expected,
            "{}",
            String::from_utf8_lossy(&bytes)
        );
    }
    let small = SoapLimits {
        bytes: good.len() - 1,
        ..limits
    };
    assert_eq!(
        Soap::decode(&good, &small, Expect::Request)
            .unwrap_err()
            .code(),
        "invalid_soap"
    );
    for length in 0..good.len() {
        assert!(
            Soap::decode(&good.slice(..length), &limits, Expect::Request).is_err(),
            "{length}"
        );
    }
}

#[test]
fn request_hash_stands_after_id() {
    let limits = SoapLimits::default();
    let element = |prefix: &str| {
        format!(
            "<{prefix}requestHash algorithmId=\"{REQUEST_HASH_ALGORITHM}\">aGFzaA==</{prefix}requestHash>"
        )
    };
    let id = "<x:id>1</x:id>";
    let expected = envelope(
        &HEADER.replace(id, &format!("{id}{}", element("x:"))),
        "<getResponse/>",
    );
    for old in [
        "",
        "<x:requestHash>foo</x:requestHash>",
        "<x:requestHash algorithmId='q'/>",
    ] {
        for header in [
            HEADER.replace(id, &format!("{id}{old}")),
            HEADER.replace(id, &format!("{old}{id}")),
        ] {
            let answer = SoapMessage::decode(
                &envelope(&header, "<getResponse/>"),
                &limits,
                Expect::Response,
            )
            .unwrap();
            assert_eq!(answer.with_request_hash("aGFzaA=="), expected);
        }
    }
    let unprefixed = HEADER.replace(id, "<id xmlns='http://x-road.eu/xsd/xroad.xsd'/>");
    let answer = SoapMessage::decode(
        &envelope(&unprefixed, "<getResponse/>"),
        &limits,
        Expect::Response,
    );
    // the default namespace ends with the element, so that ours must be bound again
    let hashed = answer.unwrap().with_request_hash("aGFzaA==");
    let again = SoapMessage::decode(&Bytes::from(hashed), &limits, Expect::Response).unwrap();
    assert_eq!(again.request_hash.unwrap().value, "aGFzaA==");
}

#[test]
fn answers_in_other_charsets_become_utf8() {
    let text = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<a>\u{e4}</a>";
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let expected = text.replace("ISO-8859-1", "UTF-8");
    for content_type in ["text/xml; charset=iso-8859-1", "text/xml"] {
        assert_eq!(
            decode_charset(content_type, Bytes::from(latin.clone())).unwrap(),
            expected
        );
    }
    // UTF-8 by its content type, whatever the declaration says
    let lying = Bytes::from(text.to_owned());
    assert_eq!(
        decode_charset("text/xml;charset=UTF-8", lying).unwrap(),
        expected
    );
    let untouched = Bytes::from_static(b"\xEF\xBB\xBF<a/>");
    assert_eq!(
        decode_charset("text/xml;charset=UTF-8", untouched.clone()).unwrap(),
        untouched
    );
    assert_eq!(
        decode_charset("text/xml", untouched.clone()).unwrap(),
        untouched
    );
    let cyrillic = Bytes::from_static(b"<a>\xc6</a>");
    assert_eq!(
        decode_charset("text/xml; charset=windows-1251", cyrillic).unwrap(),
        "<a>Ж</a>"
    );
    let sixteen: Vec<u8> = "\u{FEFF}<a>Ж</a>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(
        decode_charset("text/xml; charset=UTF-16", Bytes::from(sixteen)).unwrap(),
        "<a>Ж</a>"
    );
    assert_eq!(
        decode_charset("text/xml; charset=x", Bytes::new())
            .unwrap_err()
            .code(),
        "invalid_content_type"
    );
}

#[test]
fn identifiers_of_x_road() {
    let Some(folder) = vectors::vectors() else {
        return;
    };
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(folder.join("identifiers")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let decoded = decode_identifier(&std::fs::read(&path).unwrap());
        assert_eq!(
            decoded.is_err(),
            name.starts_with("invalid-"),
            "{name}: {decoded:?}"
        );
        if let Ok(identifier) = decoded {
            let text = match &identifier {
                Identifier::Client(id) => id.to_string(),
                Identifier::Service(id) => id.to_string(),
                Identifier::Server(id) => id.to_string(),
                Identifier::GlobalGroup(id) => id.to_string(),
                Identifier::LocalGroup(id) => id.to_string(),
            };
            let mut written = String::new();
            encode_identifier("a", &identifier, &mut written);
            let written = written.replacen(
                "<a ",
                "<a xmlns:id=\"http://x-road.eu/xsd/identifiers\" ",
                1,
            );
            assert_eq!(
                decode_identifier(written.as_bytes()).as_ref(),
                Ok(&identifier)
            );
            seen.push(text);
        }
    }
    seen.sort();
    assert_eq!(
        seen,
        [
            "GLOBALGROUP:EE/perearstid",
            "LOCALGROUP:lokaalgrupp",
            "MEMBER:EE/COMPANY/FOOBAR",
            "SERVER:EE/BUSINESS/123456789/bambi",
            "SERVICE:EE/BUSINESS/JODA/getState",
            "SERVICE:EE/BUSINESS/JODA/getState/v1",
            "SUBSYSTEM:EE/COMPANY/FOOBAR/SUBSYSTEM",
        ]
    );
}

proptest! {
    #[test]
    fn mangled_messages_never_panic(at in 0usize..900, with in ".{0,6}", size in 1usize..100) {
        let mut bytes = envelope(HEADER, "<get><a b='c'>d</a></get>").to_vec();
        let at = at.min(bytes.len());
        bytes.splice(at..(at + 3).min(bytes.len()), with.bytes());
        let body = Bytes::from(bytes);
        let direct = Soap::decode(&body, &SoapLimits::default(), Expect::Response);
        let streamed = decode(Expect::Response, Some("text/xml"), chunks(&body, size));
        prop_assert_eq!(direct.is_ok(), streamed.is_ok());
        if let Ok(Soap::Message(message)) = direct {
            let hashed = Bytes::from(message.with_request_hash("aGFzaA=="));
            let again = SoapMessage::decode(&hashed, &SoapLimits::default(), Expect::Response);
            prop_assert!(again.is_ok());
        }
    }
}
