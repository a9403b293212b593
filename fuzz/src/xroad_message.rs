//! Targets of the crate `xroad-message`.

use bytes::Bytes;
use xroad_message::asic_request::AsicRequest;
use xroad_message::fault::{Fault, FaultCode, Style};
use xroad_message::metadata::{WsdlRequest, neutralise_open_api, neutralise_wsdl};
use xroad_message::multipart::{MultipartDecoder, MultipartEvent, MultipartLimits, boundary_of};
use xroad_message::path::{PathGlob, access_path};
use xroad_message::rest::{RestRequest, RestResponse};
use xroad_message::soap::{
    Expect, Soap, SoapLimits, SoapMessage, check_consistent, decode_charset, decode_identifier,
    encode_identifier,
};
use xroad_message::soap_stream::{SoapStreamDecoder, SoapStreamEvent, SoapStreamLimits};
use xroad_message::transport::{
    Direction, Protocol, TransportDecoder, TransportEvent, TransportLimits,
};

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[
    ("multipart", multipart),
    ("transport", transport),
    ("soap", soap),
    ("soap_stream", soap_stream),
    ("rest_request", rest_request),
    ("rest_response", rest_response),
    ("path", path),
    ("fault", fault),
    ("wsdl", wsdl),
    ("open_api", open_api),
    ("asic_request", asic_request),
    ("identifier", identifier),
];

/// First byte: size of the chunks. The rest: the bytes.
fn chunks(data: &[u8]) -> Vec<Bytes> {
    let Some((first, rest)) = data.split_first() else {
        return Vec::new();
    };
    let size = usize::from(*first).max(1);
    rest.chunks(size).map(Bytes::copy_from_slice).collect()
}

/// A multipart with boundary `b` in chunks and whole: the parts are the same.
pub fn multipart(data: &[u8]) {
    let pieces = chunks(data);
    let split = multipart_parts(&pieces);
    let whole = multipart_parts(&[Bytes::from(pieces.concat())]);
    assert_eq!(split, whole);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = boundary_of(text);
    }
}

fn multipart_parts(pieces: &[Bytes]) -> Option<Vec<Vec<u8>>> {
    let mut decoder = MultipartDecoder::new("b", MultipartLimits::default()).ok()?;
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for piece in pieces {
        decoder.feed(piece.clone());
        loop {
            match decoder.next().ok()? {
                Some(MultipartEvent::PartStart(_)) => parts.push(Vec::new()),
                Some(MultipartEvent::Data(data)) => parts.last_mut()?.extend_from_slice(&data),
                Some(_) => {}
                None => break,
            }
        }
    }
    decoder.finish().ok()?;
    Some(parts)
}

/// A transport message with boundary `b` of every direction and protocol, in chunks
/// and whole: it is the same message.
pub fn transport(data: &[u8]) {
    let pieces = chunks(data);
    let whole = [Bytes::from(pieces.concat())];
    for direction in [Direction::Request, Direction::Response] {
        for protocol in [Protocol::Soap, Protocol::Rest] {
            let split = transport_events(direction, protocol, &pieces);
            assert_eq!(split, transport_events(direction, protocol, &whole));
        }
    }
}

fn transport_events(
    direction: Direction,
    protocol: Protocol,
    pieces: &[Bytes],
) -> Option<(Vec<TransportEvent>, Vec<u8>)> {
    let content_type = "multipart/mixed; boundary=b";
    let mut decoder = TransportDecoder::new(
        direction,
        protocol,
        content_type,
        TransportLimits::default(),
    )
    .ok()?;
    let mut events = Vec::new();
    let mut streamed = Vec::new();
    for piece in pieces {
        decoder.feed(piece.clone());
        while let Some(event) = decoder.next().ok()? {
            match event {
                TransportEvent::AttachmentData(data) | TransportEvent::RestBodyData(data) => {
                    streamed.extend_from_slice(&data);
                }
                other => events.push(other),
            }
        }
    }
    decoder.finish().ok()?;
    Some((events, streamed))
}

/// A SOAP message; an answer that was read is read again with the request's hash.
pub fn soap(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let limits = SoapLimits::default();
    let _ = Soap::decode(&bytes, &limits, Expect::Request);
    if let Ok(message) = SoapMessage::decode(&bytes, &limits, Expect::Response) {
        let hashed = Bytes::from(message.with_request_hash("aGFzaA=="));
        let again = SoapMessage::decode(&hashed, &limits, Expect::Response);
        let Ok(again) = again else {
            panic!("the answer with its hash is not read: {again:?}");
        };
        assert_eq!(
            again.request_hash.as_ref().map(|hash| hash.value.as_str()),
            Some("aGFzaA==")
        );
        assert_eq!(check_consistent(&message, &again), Ok(()));
        let _ = WsdlRequest::decode(&message);
    }
    for content_type in [
        "text/xml",
        "text/xml; charset=utf-16",
        "text/xml; charset=koi8-r",
    ] {
        if let Ok(text) = decode_charset(content_type, bytes.clone()) {
            let _ = Soap::decode(&text, &limits, Expect::Response);
        }
    }
}

/// An information system's multipart with boundary `b`, in chunks and whole.
pub fn soap_stream(data: &[u8]) {
    let pieces = chunks(data);
    let split = soap_stream_events(&pieces);
    assert_eq!(split, soap_stream_events(&[Bytes::from(pieces.concat())]));
}

fn soap_stream_events(pieces: &[Bytes]) -> Option<(Vec<SoapStreamEvent>, Vec<u8>)> {
    let content_type = Some("multipart/related; boundary=b");
    let mut decoder =
        SoapStreamDecoder::new(Expect::Request, content_type, SoapStreamLimits::default()).ok()?;
    let mut events = Vec::new();
    let mut streamed = Vec::new();
    for piece in pieces.iter().map(Some).chain([None]) {
        match piece {
            Some(piece) => decoder.feed(piece.clone()).ok()?,
            None => decoder.end_of_input(),
        }
        while let Some(event) = decoder.next().ok()? {
            match event {
                SoapStreamEvent::AttachmentData(data) => streamed.extend_from_slice(&data),
                other => events.push(other),
            }
        }
    }
    Some((events, streamed))
}

/// A REST request part; what was read is written with the same bytes.
pub fn rest_request(data: &[u8]) {
    if let Ok(request) = RestRequest::decode(data) {
        assert_eq!(request.encode(), data);
        let _ = request.access_path();
        let made = RestRequest::from_http(
            request.verb,
            &request.path,
            request
                .headers
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_slice())),
        );
        let Ok(mut made) = made else {
            panic!("a part that was read is not a request: {made:?}");
        };
        made.set_ids("r", || "m".to_owned());
        assert_eq!(RestRequest::decode(&made.encode()), Ok(made));
    }
}

/// A REST response part.
pub fn rest_response(data: &[u8]) {
    if let Ok(response) = RestResponse::decode(data) {
        assert_eq!(RestResponse::decode(&response.encode()), Ok(response));
    }
}

/// First line: a pattern. The rest: a path.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (pattern, raw) = text.split_once('\n').unwrap_or(("**", text));
    if let Ok(path) = access_path(raw) {
        assert!(
            path.starts_with('/')
                && !path.contains("//")
                && !path.split('/').any(|s| s == ".." || s == ".")
        );
        let _ = PathGlob::new(pattern).matches(&path);
        assert!(PathGlob::new("**").matches(&path));
        let literal = path.replace('\\', "\\\\").replace('*', "\\*");
        assert!(PathGlob::new(&literal).matches(&path));
    }
}

/// A SOAP fault; what was read is read again from what is written.
pub fn fault(data: &[u8]) {
    if let Ok(fault) = Fault::decode(data) {
        assert_eq!(Fault::decode(&fault.encode()).as_ref(), Ok(&fault));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let code = FaultCode::parse(text);
        let _ = code.render(Style::V77);
        let _ = code.rest_status();
    }
}

/// A WSDL.
pub fn wsdl(data: &[u8]) {
    if let Ok(neutral) = neutralise_wsdl(data) {
        assert_eq!(neutralise_wsdl(&neutral), Ok(neutral));
    }
}

/// An OpenAPI description.
pub fn open_api(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = neutralise_open_api(text);
    }
}

/// The query of a request for containers.
pub fn asic_request(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = AsicRequest::decode(Some(text));
    }
}

/// An identifier; what was read is read again from what is written.
pub fn identifier(data: &[u8]) {
    if let Ok(identifier) = decode_identifier(data) {
        let mut text = String::new();
        encode_identifier("a", &identifier, &mut text);
        let text = text.replacen(
            "<a ",
            "<a xmlns:id=\"http://x-road.eu/xsd/identifiers\" ",
            1,
        );
        assert_eq!(decode_identifier(text.as_bytes()), Ok(identifier));
    }
}
