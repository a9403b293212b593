//! Transport messages: X-Road's own, recorded ones, and our own at random chunk
//! boundaries.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

#[path = "../../../testkit/vectors.rs"]
mod vectors;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use xroad_message::multipart::Headers;
use xroad_message::transport::*;

/// Parts of a message, gathered.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Parts {
    ocsp: Vec<Bytes>,
    message: Option<(String, Headers, Bytes)>,
    attachments: Vec<(Headers, Vec<u8>)>,
    body: Option<Vec<u8>>,
    chain: Vec<Bytes>,
    signature: Option<Bytes>,
    fault: Option<Bytes>,
}

fn decode(
    direction: Direction,
    protocol: Protocol,
    content_type: &str,
    pieces: impl IntoIterator<Item = Bytes>,
) -> Result<Parts, TransportError> {
    let mut decoder = TransportDecoder::new(
        direction,
        protocol,
        content_type,
        TransportLimits::default(),
    )?;
    let mut parts = Parts::default();
    let mut ended = false;
    for piece in pieces {
        decoder.feed(piece);
        while let Some(event) = decoder.next()? {
            match event {
                TransportEvent::OcspResponse(bytes) => parts.ocsp.push(bytes),
                TransportEvent::Message {
                    content_type,
                    headers,
                    bytes,
                } => parts.message = Some((content_type, headers, bytes)),
                TransportEvent::AttachmentStart(headers) => {
                    parts.attachments.push((headers, Vec::new()))
                }
                TransportEvent::AttachmentData(data) => {
                    parts
                        .attachments
                        .last_mut()
                        .unwrap()
                        .1
                        .extend_from_slice(&data);
                }
                TransportEvent::AttachmentEnd | TransportEvent::RestBodyEnd => {}
                TransportEvent::RestBodyStart => parts.body = Some(Vec::new()),
                TransportEvent::RestBodyData(data) => {
                    parts.body.as_mut().unwrap().extend_from_slice(&data)
                }
                TransportEvent::HashChainResult(bytes) | TransportEvent::HashChain(bytes) => {
                    parts.chain.push(bytes)
                }
                TransportEvent::Signature(bytes) => parts.signature = Some(bytes),
                TransportEvent::Fault(bytes) => parts.fault = Some(bytes),
                TransportEvent::End => ended = true,
            }
        }
    }
    decoder.finish()?;
    assert!(ended);
    Ok(parts)
}

fn chunks(bytes: &[u8], size: usize) -> Vec<Bytes> {
    bytes
        .chunks(size.max(1))
        .map(Bytes::copy_from_slice)
        .collect()
}

/// Content type, headers and body of a recorded HTTP message.
fn recorded(bytes: &[u8]) -> (String, Vec<u8>) {
    let split = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..split]).unwrap();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let mut rest = &bytes[split + 4..];
    let mut body = Vec::new();
    if header("transfer-encoding").is_some() {
        loop {
            let line = rest.iter().position(|b| *b == b'\n').unwrap();
            let size = std::str::from_utf8(&rest[..line]).unwrap().trim();
            let size = usize::from_str_radix(size, 16).unwrap();
            rest = &rest[line + 1..];
            if size == 0 {
                break;
            }
            body.extend_from_slice(&rest[..size]);
            rest = &rest[size + 2..];
        }
    } else {
        body = rest.to_vec();
    }
    (header("content-type").unwrap(), body)
}

#[test]
fn recorded_messages_of_x_road() {
    let Some(folder) = vectors::vectors() else {
        return;
    };
    use Direction::{Request, Response};
    use Protocol::{Rest, Soap};
    for (file, direction, protocol, ocsp, attachments, body, chain) in [
        ("rest-get.request", Request, Rest, 1, 0, false, 0),
        ("rest-get.response", Response, Rest, 0, 0, true, 2),
        ("rest-post.request", Request, Rest, 1, 0, true, 2),
        ("rest-post.response", Response, Rest, 0, 0, true, 2),
        ("soap.request", Request, Soap, 0, 0, false, 0),
        ("soap.response", Response, Soap, 0, 0, false, 0),
        ("soap-attachment.request", Request, Soap, 0, 2, false, 2),
    ] {
        let (content_type, bytes) =
            recorded(&std::fs::read(folder.join("recorded").join(file)).unwrap());
        let whole = decode(
            direction,
            protocol,
            &content_type,
            [Bytes::from(bytes.clone())],
        )
        .unwrap();
        assert_eq!(whole.ocsp.len(), ocsp, "{file}");
        assert_eq!(whole.attachments.len(), attachments, "{file}");
        assert_eq!(whole.body.is_some(), body, "{file}");
        assert_eq!(whole.chain.len(), chain, "{file}");
        assert!(
            whole.signature.is_some() && whole.fault.is_none() && whole.message.is_some(),
            "{file}"
        );
        for size in [1, 2, 3, 7, 64, 1000] {
            assert_eq!(
                decode(direction, protocol, &content_type, chunks(&bytes, size)).unwrap(),
                whole,
                "{file}"
            );
        }
        let end = bytes.windows(4).rposition(|w| w == b"--\r\n").unwrap() + 2;
        for length in (0..end).step_by(11) {
            assert!(
                decode(
                    direction,
                    protocol,
                    &content_type,
                    [Bytes::copy_from_slice(&bytes[..length])]
                )
                .is_err(),
                "{file} cut at {length}"
            );
        }
        // what we write from it has the same bytes as X-Road wrote
        let boundary = xroad_message::multipart::boundary_of(&content_type).unwrap();
        let nested = boundary.replacen("xtop", "xatt", 1);
        let written = encode(&whole, boundary, nested);
        assert_eq!(
            written,
            bytes,
            "{file}: {}",
            String::from_utf8_lossy(&written)
        );
    }
}

#[test]
fn a_lone_fault_part_is_a_fault() {
    let Some(folder) = vectors::vectors() else {
        return;
    };
    let (content_type, bytes) =
        recorded(&std::fs::read(folder.join("recorded/soap-fault.response")).unwrap());
    for protocol in [Protocol::Soap, Protocol::Rest] {
        let parts = decode(
            Direction::Response,
            protocol,
            &content_type,
            chunks(&bytes, 5),
        )
        .unwrap();
        let fault = xroad_message::fault::Fault::decode(&parts.fault.unwrap()).unwrap();
        assert_eq!(
            fault.code,
            "Server.ServerProxy.ServiceFailed.InvalidContentType"
        );
        assert_eq!(fault.encode(), parts.message.unwrap().2);
    }
    let error = decode(
        Direction::Request,
        Protocol::Soap,
        &content_type,
        chunks(&bytes, 5),
    )
    .unwrap_err();
    assert_eq!(error.code(), "missing_signature");
}

#[test]
fn proxy_messages_of_x_road() {
    let Some(folder) = vectors::vectors() else {
        return;
    };
    for (file, expected) in [
        ("normal.request", "ok"),
        ("normal.response", "ok"),
        ("normal-soapfault.request", "ok"),
        ("attachment.request", "ok"),
        ("ocsp.request", "ok"),
        ("fault-signature.request", "ok"),
        ("extracontent.request", "invalid_message"),
        ("invalid-ocsp.request", "io_error"),
        ("invalid-soap-contenttype.request", "invalid_content_type"),
        (
            "invalid-contenttype-signature.request",
            "invalid_content_type",
        ),
    ] {
        let bytes = std::fs::read(folder.join("proxymessages").join(file)).unwrap();
        let line = bytes.split(|b| *b == b'\n').next().unwrap();
        let boundary = std::str::from_utf8(&line[2..]).unwrap().trim();
        let content_type = content_type(boundary);
        let direction = if file.ends_with("request") {
            Direction::Request
        } else {
            Direction::Response
        };
        for size in [1, 10, 100_000] {
            let got = decode(
                direction,
                Protocol::Soap,
                &content_type,
                chunks(&bytes, size),
            );
            let code = got.as_ref().map_or_else(TransportError::code, |_| "ok");
            assert_eq!(code, expected, "{file}");
            match (file, got) {
                ("fault-signature.request", Ok(parts)) => {
                    assert!(parts.fault.is_some() && parts.signature.is_none())
                }
                ("attachment.request", Ok(parts)) => assert_eq!(parts.attachments[0].1, b"blaah"),
                ("ocsp.request", Ok(parts)) => assert_eq!(parts.ocsp.len(), 1),
                _ => {}
            }
        }
    }
}

fn encode(parts: &Parts, boundary: String, nested: String) -> Vec<u8> {
    let mut encoder = TransportEncoder::new(boundary, nested);
    let mut out = BytesMut::new();
    for ocsp in &parts.ocsp {
        encoder.ocsp_response(&mut out, ocsp);
    }
    let (kind, headers, bytes) = parts.message.as_ref().unwrap();
    encoder.message(&mut out, kind, headers, bytes);
    for (index, (headers, data)) in parts.attachments.iter().enumerate() {
        encoder.attachment_start(&mut out, index == 0, headers);
        out.extend_from_slice(data);
    }
    if !parts.attachments.is_empty() {
        encoder.attachments_end(&mut out);
    }
    if let Some(body) = &parts.body {
        encoder.rest_body_start(&mut out);
        out.extend_from_slice(body);
    }
    if let [result, chain] = parts.chain.as_slice() {
        encoder.hash_chain(&mut out, result, chain);
    }
    if let Some(signature) = &parts.signature {
        encoder.signature(&mut out, signature);
    }
    if let Some(fault) = &parts.fault {
        encoder.fault(&mut out, fault);
    }
    encoder.end(&mut out);
    out.to_vec()
}

/// Bytes that like to look like delimiters.
fn awkward() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n--xto".to_vec()),
        Just(b"\n--xtopA".to_vec()),
        Just(b"--xatt".to_vec()),
        Just(b"\r\n--xattA-".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        message in awkward(),
        attachments in proptest::collection::vec(awkward(), 0..4),
        body in proptest::option::of(awkward()),
        rest in any::<bool>(),
        chain in any::<bool>(),
        fault in any::<bool>(),
        size in 1usize..200,
    ) {
        let mut headers = Headers::new();
        headers.push("Content-ID", Bytes::from_static(b"<1@x>"));
        let mut part_headers = Headers::new();
        part_headers.push("content-type", Bytes::from_static(b"image/png; name=\"a\""));
        part_headers.push("Content-ID", Bytes::from_static(b"<2@x>"));
        let parts = Parts {
            ocsp: vec![Bytes::from_static(&[0x30, 1, 5])],
            message: Some((if rest { TYPE_REST_REQUEST } else { CONTENT_TYPE_SOAP }.to_owned(), headers, Bytes::from(message))),
            attachments: if rest { vec![] } else { attachments.into_iter().map(|a| (part_headers.clone(), a)).collect() },
            body: if rest { body } else { None },
            chain: if chain { vec![Bytes::from_static(b"<r/>"), Bytes::from_static(b"<c/>")] } else { vec![] },
            signature: (!fault).then(|| Bytes::from_static(b"<s/>")),
            fault: fault.then(|| Bytes::from_static(b"<f/>")),
        };
        let boundary = "xtopAqwertyuiopasdfgh".to_owned();
        let bytes = encode(&parts, boundary.clone(), "xattAqwertyuiopasdfgh".to_owned());
        let protocol = if rest { Protocol::Rest } else { Protocol::Soap };
        let read = decode(Direction::Request, protocol, &content_type(&boundary), chunks(&bytes, size)).unwrap();
        prop_assert_eq!(read, parts);
    }

    #[test]
    fn nothing_panics(bytes in awkward(), size in 1usize..50) {
        let mut input = b"--xtop\r\ncontent-type: text/xml\r\n\r\n".to_vec();
        input.extend_from_slice(&bytes);
        let _ = decode(Direction::Response, Protocol::Soap, "multipart/mixed; boundary=xtop", chunks(&input, size));
    }
}

#[test]
fn order_of_parts_is_a_state_machine() {
    let part = |kind: &str| format!("--b\r\ncontent-type: {kind}\r\n\r\n<x/>\r\n");
    let soap = part(TYPE_SOAP);
    let rest = part(TYPE_REST_REQUEST);
    let (result, chain, signature) = (
        part(TYPE_HASH_CHAIN_RESULT),
        part(TYPE_HASH_CHAIN),
        part(TYPE_SIGNATURE),
    );
    let cases: [(Protocol, Vec<&str>, &str); 10] = [
        (Protocol::Soap, vec![&soap, &signature], "ok"),
        (
            Protocol::Soap,
            vec![&soap, &result, &chain, &signature],
            "ok",
        ),
        (
            Protocol::Soap,
            vec![&soap, &chain, &result, &signature],
            "invalid_content_type",
        ),
        (
            Protocol::Soap,
            vec![&soap, &result, &signature],
            "invalid_content_type",
        ),
        (Protocol::Soap, vec![&soap], "missing_signature"),
        (Protocol::Soap, vec![], "missing_soap"),
        (Protocol::Soap, vec![&rest, &signature], "missing_soap"),
        (Protocol::Rest, vec![&soap, &signature], "missing_rest"),
        (Protocol::Soap, vec![&signature], "invalid_content_type"),
        (
            Protocol::Soap,
            vec![&soap, &signature, &signature],
            "invalid_message",
        ),
    ];
    for (protocol, parts, expected) in cases {
        let bytes = format!("{}--b--\r\n", parts.concat());
        let got = decode(
            Direction::Request,
            protocol,
            "multipart/mixed; boundary=\"b\"",
            [Bytes::from(bytes)],
        );
        assert_eq!(
            got.map_or_else(|e| e.code(), |_| "ok"),
            expected,
            "{parts:?}"
        );
    }
    let error = decode(
        Direction::Request,
        Protocol::Soap,
        "multipart/related; boundary=b",
        [],
    )
    .unwrap_err();
    assert_eq!(
        (error.code(), error.is_service_failed()),
        ("invalid_content_type", true)
    );
    assert_eq!(
        answer_form("text/xml;charset=utf-8").unwrap(),
        AnswerForm::Fault
    );
    assert_eq!(
        answer_form("multipart/mixed; boundary=b").unwrap(),
        AnswerForm::Message
    );
    assert_eq!(
        answer_form("text/html").unwrap_err().code(),
        "invalid_content_type"
    );
}

#[test]
fn kept_parts_are_bounded_and_streamed_ones_are_not() {
    let limits = TransportLimits {
        soap: 100,
        ..TransportLimits::default()
    };
    let mut decoder = TransportDecoder::new(
        Direction::Request,
        Protocol::Soap,
        "multipart/mixed; boundary=b",
        limits,
    )
    .unwrap();
    decoder.feed(Bytes::from_static(b"--b\r\ncontent-type: text/xml\r\n\r\n"));
    decoder.feed(Bytes::from(vec![b'x'; 101]));
    assert_eq!(
        decoder.next(),
        Err(TransportError::TooLong("the SOAP message"))
    );
    let mut decoder = TransportDecoder::new(
        Direction::Request,
        Protocol::Rest,
        "multipart/mixed; boundary=b",
        limits,
    )
    .unwrap();
    decoder.feed(Bytes::from_static(b"--b\r\ncontent-type: application/x-road-rest-request\r\n\r\nx\r\n--b\r\ncontent-type: application/x-road-rest-body\r\n\r\n"));
    let chunk = Bytes::from(vec![b'x'; 1 << 16]);
    while decoder.next().unwrap().is_some() {}
    let mut seen = 0;
    for _ in 0..64 {
        decoder.feed(chunk.clone());
        while let Some(event) = decoder.next().unwrap() {
            if let TransportEvent::RestBodyData(data) = event {
                assert_eq!(data.as_ptr(), chunk.as_ptr(), "the data were copied");
                seen += data.len();
            }
        }
    }
    assert_eq!(seen, 64 << 16);
}
