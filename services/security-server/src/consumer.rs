//! The consumer's side: an information system's request goes to the provider's
//! Security Server, and its answer comes back.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use messagelog::SpoolOwner;
use pki::DigestAlgorithm;
use proxy::consumer::{InformationSystem, Received, RequestHash, RequestLogged, Routed};
use proxy::{Refusal, RelayedFault, Request as Call, Response as Answer, Side};
use time::OffsetDateTime;
use transport::{Body, Connection, PeerError, ReasonPhrase, Target};
use xroad_message::fault::Fault;
use xroad_message::multipart::{Headers, boundary_of, is_type};
use xroad_message::rest::{RestRequest, RestResponse};
use xroad_message::soap::{Expect, Soap, SoapLimits, SoapMessage};
use xroad_message::soap_stream::{
    SoapStreamDecoder, SoapStreamError, SoapStreamEvent, SoapStreamLimits, check_soap_action,
    transport_content_type,
};
use xroad_message::transport::{
    AnswerForm, Direction, HEADER_HASH_ALGORITHM, HEADER_MESSAGE_TYPE,
    HEADER_ORIGINAL_CONTENT_TYPE, HEADER_ORIGINAL_SOAP_ACTION, HEADER_PROXY_VERSION,
    HEADER_REQUEST_ID, MESSAGE_TYPE_REST, PROXY_VERSION, Protocol, TYPE_REST_REQUEST,
    TransportEncoder, answer_form,
};

use crate::attachment::open;
use crate::incoming::{Incoming, IncomingError, IncomingHead, IncomingRest};
use crate::outgoing::{
    AttachmentSource, MessagePart, Payload, Sink, WriteError, write_parts, write_signature,
};
use crate::random::{new_boundaries, new_message_id, new_uuid};
use crate::refusals::log_refusal;
use crate::relay::{related_body, rest_body};
use crate::server::{Server, now_ms};

/// Bodies up to this length are sent whole, longer ones stream.
const WHOLE: usize = 64 * 1024;

/// Answers an information system's message.
pub async fn handle(
    server: Arc<Server>,
    request: Request<Body>,
    connection: Arc<Connection>,
) -> Response<Body> {
    // A client that goes away must not leave half an exchange behind: the peer may have
    // carried the request out, and its answer is evidence that belongs into the log.
    let task = tokio::spawn(async move {
        if request
            .uri()
            .path()
            .starts_with(xroad_message::rest::PATH_PREFIX)
        {
            rest(&server, request, &connection).await
        } else {
            soap(&server, request, &connection).await
        }
    });
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an exchange ended in a defect of ours");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

async fn soap(server: &Server, request: Request<Body>, connection: &Connection) -> Response<Body> {
    match soap_exchange(server, request, connection).await {
        Ok(response) => response,
        Err(refusal) => server.faults.soap(&refusal, Side::Consumer),
    }
}

async fn rest(server: &Server, request: Request<Body>, connection: &Connection) -> Response<Body> {
    let accept = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    match rest_exchange(server, request, connection).await {
        Ok(response) => response,
        Err(refusal) => server
            .faults
            .rest(&refusal, Side::Consumer, accept.as_deref()),
    }
}

pub(crate) fn system<'a>(server: &'a Server, connection: &'a Connection) -> InformationSystem<'a> {
    InformationSystem {
        tls: connection.tls().is_some(),
        certificate: connection
            .peer_certificate()
            .map(|certificate| certificate.der()),
        own_certificate: Some(&server.internal_certificate),
    }
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn form_refusal(error: &SoapStreamError) -> Refusal {
    Refusal::Request {
        leaf: error.code().to_owned(),
        detail: error.to_string(),
    }
}

fn write_refusal(error: WriteError) -> Refusal {
    match error {
        WriteError::Log(error) => log_refusal(&error),
        WriteError::Source(error) => Refusal::Request {
            leaf: "io_error".into(),
            detail: error.to_string(),
        },
        WriteError::Form(error) => form_refusal(&error),
        WriteError::Receiver => Refusal::PeerBroken,
        WriteError::Crowded => Refusal::Crowded,
    }
}

async fn soap_exchange(
    server: &Server,
    request: Request<Body>,
    connection: &Connection,
) -> Result<Response<Body>, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::HttpMethod(request.method().to_string()));
    }
    let (head, body) = request.into_parts();
    let action = head
        .headers
        .get("soapaction")
        .map(|value| value.to_str().map_err(|_| Refusal::SoapAction))
        .transpose()?;
    check_soap_action(action).map_err(|_| Refusal::SoapAction)?;
    let content_type = text(&head.headers, "content-type");
    let limits = SoapStreamLimits {
        soap: server.settings.soap_limit_bytes,
        ..SoapStreamLimits::default()
    };
    let decoder = SoapStreamDecoder::new(Expect::Request, content_type, limits).map_err(
        |error| match error {
            SoapStreamError::ContentType | SoapStreamError::NoContentType => {
                Refusal::ContentType(content_type.unwrap_or("none").to_owned())
            }
            error => form_refusal(&error),
        },
    )?;
    let body = open(body, WHOLE).await.map_err(|error| Refusal::Request {
        leaf: "io_error".into(),
        detail: error.to_string(),
    })?;
    let account = server.memory.request();
    let mut source = AttachmentSource {
        decoder,
        body,
        account,
    };
    let SoapStreamEvent::Message {
        content_type: part_type,
        headers: part_headers,
        bytes,
    } = source.next().await.map_err(write_refusal)?
    else {
        return Err(form_refusal(&SoapStreamError::MissingSoap));
    };
    let message =
        SoapMessage::decode(&bytes, &soap_limits(server), Expect::Request).map_err(|error| {
            use xroad_message::soap::SoapError;
            match error {
                SoapError::Fault(fault) => Refusal::ClientFault {
                    code: fault.code,
                    text: fault.string,
                },
                SoapError::TooLong(limit) => Refusal::TooLarge(limit),
                error => Refusal::Request {
                    leaf: error.code().to_owned(),
                    detail: error.to_string(),
                },
            }
        })?;
    let request_id = new_uuid();
    let original = content_type.unwrap_or_default();
    let is_alone = !is_type(original, xroad_message::transport::TYPE_RELATED);
    let payload = if is_alone {
        Payload::None
    } else {
        Payload::Attachments(Box::new(source))
    };
    let call = Call::Soap {
        message: Box::new(message),
        request_id: Some(request_id.clone()),
    };
    let mut headers = HeaderMap::new();
    put(&mut headers, HEADER_ORIGINAL_CONTENT_TYPE, original);
    if let Some(action) = action {
        put(&mut headers, HEADER_ORIGINAL_SOAP_ACTION, action);
    }
    put(&mut headers, HEADER_REQUEST_ID, &request_id);
    let part = Part {
        content_type: transport_content_type(&part_type).to_owned(),
        headers: part_headers,
    };
    let exchanged = exchange(
        server,
        call,
        payload,
        part,
        headers,
        Protocol::Soap,
        connection,
    )
    .await?;
    Ok(soap_response(exchanged))
}

fn soap_limits(server: &Server) -> SoapLimits {
    SoapLimits {
        bytes: server.settings.soap_limit_bytes,
        ..SoapLimits::default()
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

async fn rest_exchange(
    server: &Server,
    request: Request<Body>,
    connection: &Connection,
) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let mut rest =
        RestRequest::from_http(head.method.as_str(), target, headers).map_err(|error| {
            Refusal::RestRequest {
                detail: error.to_string(),
            }
        })?;
    let request_id = new_uuid();
    let instance = rest.client.instance.clone();
    rest.set_ids(&request_id, || new_message_id(&instance));
    let is_head = rest.verb == "HEAD";
    let bytes = Bytes::from(rest.encode());
    let call = Call::Rest {
        head: Box::new(rest),
        bytes,
    };
    call.endpoint()?;
    let body = open(body, WHOLE)
        .await
        .map_err(|error| Refusal::RestRequest {
            detail: error.to_string(),
        })?;
    let payload = if body.start.is_empty() && body.rest.is_none() {
        Payload::None
    } else {
        Payload::RestBody(body)
    };
    let mut headers = HeaderMap::new();
    put(&mut headers, HEADER_MESSAGE_TYPE, MESSAGE_TYPE_REST);
    put(
        &mut headers,
        HEADER_ORIGINAL_CONTENT_TYPE,
        text(&head.headers, "content-type").unwrap_or_default(),
    );
    put(&mut headers, HEADER_REQUEST_ID, &request_id);
    let part = Part {
        content_type: TYPE_REST_REQUEST.to_owned(),
        headers: Headers::new(),
    };
    let exchanged = exchange(
        server,
        call,
        payload,
        part,
        headers,
        Protocol::Rest,
        connection,
    )
    .await?;
    rest_response(exchanged, is_head)
}

struct Part {
    content_type: String,
    headers: Headers,
}

/// An answer that is verified and logged.
struct Exchanged {
    answer: proxy::consumer::ResponseLogged,
    content_type: Option<String>,
    part_type: String,
    part_headers: Headers,
    rest: IncomingRest,
}

async fn exchange(
    server: &Server,
    call: Call,
    payload: Payload,
    part: Part,
    mut headers: HeaderMap,
    protocol: Protocol,
    connection: &Connection,
) -> Result<Exchanged, Refusal> {
    let now = OffsetDateTime::now_utc();
    let configuration = server.current(now)?;
    let own = server.own.load_full();
    let routed = Received::new(call)
        .authenticate(&configuration, &own, &system(server, connection))?
        .route()?;
    server.check_log()?;
    let status = server.own_status(now)?;
    let (boundary, attachment_boundary) = new_boundaries();
    let mut encoder = TransportEncoder::new(boundary, attachment_boundary);
    put(&mut headers, HEADER_HASH_ALGORITHM, "SHA-512");
    put(&mut headers, HEADER_PROXY_VERSION, PROXY_VERSION);
    put(&mut headers, "content-type", &encoder.content_type());
    let targets: Vec<Target> = routed
        .routes()
        .iter()
        .map(|route| server.target(&route.address))
        .collect();
    let provider = routed.request().service().client.clone();
    let message = routed.request().bytes().clone();
    let part = MessagePart {
        status: &status.answers,
        content_type: &part.content_type,
        headers: &part.headers,
        bytes: &message,
    };
    let check = |shown| {
        let (configuration, provider) = (&configuration, &provider);
        async move { server.check_peer(configuration, &shown, provider).await }
    };
    let request = |body| {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers.clone();
        request
    };
    let send = |body| server.peers.request(&targets, request(body), check);
    let (logged, hash, answered) = if payload.is_small() {
        let sink = Sink::Memory(BytesMut::with_capacity(message.len() + 20 * 1024));
        let (logged, hash, body) =
            produce(server, routed, &mut encoder, sink, part, payload).await?;
        let answered = send(Body::full(body)).await;
        (Some(logged), Some(hash), answered)
    } else {
        let (sender, body) = Body::channel(4);
        let sink = Sink::Stream {
            sender,
            buffer: BytesMut::with_capacity(WHOLE),
        };
        let mut sending = std::pin::pin!(send(body));
        tokio::select! {
            biased;
            answered = &mut sending => (None, None, answered),
            produced = produce(server, routed, &mut encoder, sink, part, payload) => {
                match produced {
                    Ok((logged, hash, _)) => (Some(logged), Some(hash), sending.await),
                    // The peer stopped reading: what it has to say matters more.
                    Err(Refusal::PeerBroken) => (None, None, sending.await),
                    Err(refusal) => return Err(refusal),
                }
            }
        }
    };
    let (response, _, _) = answered.map_err(|error| match error {
        PeerError::Refused { refusal, .. } => refusal,
        PeerError::NoTarget => Refusal::NoPeer(provider.clone()),
        PeerError::Client(error) => {
            tracing::warn!(%error, %provider, "a peer could not be called");
            if error.is_before_send() {
                Refusal::NoPeer(provider.clone())
            } else {
                Refusal::PeerSilent
            }
        }
    })?;
    receive(server, logged.zip(hash), response, protocol, &provider).await
}

/// Writes the request, signs it, has it logged and only then writes the signature.
async fn produce(
    server: &Server,
    routed: Routed,
    encoder: &mut TransportEncoder,
    mut sink: Sink,
    part: MessagePart<'_>,
    payload: Payload,
) -> Result<(RequestLogged, RequestHash, Bytes), Refusal> {
    let signers = server.signers.load_full();
    let signer = Arc::clone(signers.of(routed.request().client())?);
    let is_rest = routed.request().rest().is_some();
    let written = write_parts(
        &server.log,
        SpoolOwner::Own,
        encoder,
        &mut sink,
        part,
        payload,
    )
    .await
    .map_err(write_refusal)?;
    let hash = match (is_rest, written.digests.as_slice()) {
        (true, [head, body]) => {
            let mut hasher = DigestAlgorithm::Sha512.hasher();
            hasher.update(head.as_ref());
            hasher.update(body.as_ref());
            hasher.finish()
        }
        (_, digests) => *digests
            .first()
            .ok_or_else(|| Refusal::Internal("a message without parts".into()))?,
    };
    let signed = routed.signed(signer.sign(&written.digests).await?);
    let contents = written
        .attachments
        .iter()
        .map(|attachment| attachment.content.clone())
        .collect();
    let committed = server.commit(signed.record(contents, now_ms())).await?;
    let logged = signed.logged(committed);
    let body = write_signature(encoder, sink, logged.parts())
        .await
        .map_err(write_refusal)?;
    Ok((logged, RequestHash(hash), body))
}

fn relayed(bytes: &[u8]) -> Refusal {
    match Fault::decode(bytes) {
        Ok(fault) => Refusal::Relayed(Box::new(RelayedFault {
            code: fault.code,
            string: fault.string,
            actor: fault.actor,
            detail: fault.detail.unwrap_or_default(),
        })),
        Err(error) => Refusal::PeerMessage {
            leaf: error.code().to_owned(),
            detail: error.to_string(),
        },
    }
}

async fn receive(
    server: &Server,
    logged: Option<(RequestLogged, RequestHash)>,
    response: Response<Body>,
    protocol: Protocol,
    provider: &xroad_id::ClientId,
) -> Result<Exchanged, Refusal> {
    let (head, body) = response.into_parts();
    let content_type = text(&head.headers, "content-type").unwrap_or_default();
    let broken = |error: transport::BodyError| {
        tracing::warn!(%error, "a peer's answer broke off");
        Refusal::PeerBroken
    };
    // Some X-Road servers answer with status 500 and a good message (T18).
    if head.status != StatusCode::OK && head.status != StatusCode::INTERNAL_SERVER_ERROR {
        return Err(Refusal::PeerForm {
            leaf: "http_error".into(),
            detail: format!("it answered with HTTP status {}", head.status.as_u16()),
        });
    }
    match answer_form(content_type) {
        Ok(AnswerForm::Fault) => {
            let bytes = body
                .collect(xroad_message::fault::MAX_FAULT_LENGTH)
                .await
                .map_err(broken)?;
            return Err(relayed(&bytes));
        }
        Ok(AnswerForm::Message) => {}
        Err(error) => {
            return Err(Refusal::PeerMessage {
                leaf: error.code().to_owned(),
                detail: error.to_string(),
            });
        }
    }
    let algorithm = text(&head.headers, HEADER_HASH_ALGORITHM)
        .and_then(DigestAlgorithm::from_name)
        .filter(|algorithm| !matches!(algorithm, DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224));
    let mut incoming = Incoming::new(
        Direction::Response,
        protocol,
        content_type,
        body,
        server.settings.soap_limit_bytes,
        server.memory.answer(),
    )?;
    let owner = SpoolOwner::Peer(provider.to_member().path());
    let read = async {
        let head = incoming.head().await?;
        let rest = incoming
            .rest(
                &server.log,
                &owner,
                algorithm.unwrap_or(DigestAlgorithm::Sha512),
            )
            .await?;
        Ok::<_, IncomingError>((head, rest))
    };
    let (first, rest) = read.await.map_err(|error| match error {
        IncomingError::Refused(refusal) => *refusal,
        IncomingError::Fault(fault) => relayed(&fault),
    })?;
    let Some((logged, hash)) = logged else {
        return Err(Refusal::PeerMessage {
            leaf: "invalid_message".into(),
            detail: "it answered before it had the whole request".into(),
        });
    };
    if algorithm.is_none() {
        return Err(Refusal::PeerMessage {
            leaf: "internal_error".into(),
            detail: "its answer does not name a digest algorithm (x-hash-algorithm)".into(),
        });
    }
    let answer = decode_answer(server, protocol, &first)?;
    // By the configuration of now: the answer may have taken long.
    let now = OffsetDateTime::now_utc();
    let configuration = server.current(now)?;
    let verified = rest.with_parts(&first.message, |parts| {
        logged.verify(&server.judge, &configuration, answer, parts, &hash, now)
    })?;
    let signature = rest.signature.clone().ok_or(Refusal::MissingSignature)?;
    let record = verified.record(rest.contents(), signature, rest.chain(), now_ms());
    let committed = server.commit(record).await?;
    Ok(Exchanged {
        answer: verified.logged(committed),
        content_type: text(&head.headers, HEADER_ORIGINAL_CONTENT_TYPE).map(str::to_owned),
        part_type: first.content_type,
        part_headers: first.headers,
        rest,
    })
}

fn decode_answer(
    server: &Server,
    protocol: Protocol,
    head: &IncomingHead,
) -> Result<Answer, Refusal> {
    match protocol {
        Protocol::Soap => match Soap::decode(&head.message, &soap_limits(server), Expect::Response)
        {
            Ok(Soap::Message(message)) => Ok(Answer::Soap(message)),
            Ok(Soap::Fault(_, bytes)) => Ok(Answer::SoapFault(bytes)),
            Err(error) => Err(Refusal::PeerMessage {
                leaf: error.code().to_owned(),
                detail: error.to_string(),
            }),
        },
        Protocol::Rest => match RestResponse::decode(&head.message) {
            Ok(response) => Ok(Answer::Rest {
                head: Box::new(response),
                bytes: head.message.clone(),
            }),
            Err(error) => Err(Refusal::PeerMessage {
                leaf: error.code().to_owned(),
                detail: error.to_string(),
            }),
        },
    }
}

fn soap_response(exchanged: Exchanged) -> Response<Body> {
    let Exchanged {
        answer,
        content_type,
        part_type,
        part_headers,
        rest,
    } = exchanged;
    let message = answer.response().bytes();
    let (content_type, body) = if rest.attachments.is_empty() {
        let content_type = content_type
            .filter(|content_type| !is_type(content_type, xroad_message::transport::TYPE_RELATED))
            .unwrap_or(part_type);
        (content_type, Body::full(message.clone()))
    } else {
        let given = content_type.and_then(|content_type| {
            boundary_of(&content_type)
                .ok()
                .map(|boundary| (content_type, boundary))
        });
        let (content_type, boundary) = given.unwrap_or_else(|| {
            let (boundary, _) = new_boundaries();
            (
                format!("multipart/related; type=\"text/xml\"; charset=UTF-8; boundary={boundary}"),
                boundary,
            )
        });
        let body = related_body(
            &boundary,
            &part_type,
            &part_headers,
            message,
            &rest.attachments,
        );
        (content_type, body)
    };
    let mut response = Response::new(body);
    put(response.headers_mut(), "content-type", &content_type);
    response
}

fn rest_response(exchanged: Exchanged, is_head: bool) -> Result<Response<Body>, Refusal> {
    let Answer::Rest { head, .. } = exchanged.answer.response() else {
        return Err(Refusal::Internal("a REST answer that is none".into()));
    };
    let body = if is_head {
        Body::empty()
    } else {
        rest_body(exchanged.rest.attachments.first())
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(head.status).map_err(|_| Refusal::PeerMessage {
            leaf: "invalid_message".into(),
            detail: "its answer has no usable HTTP status".into(),
        })?;
    // The service's own words for its status go on unchanged (R11).
    if response.status().canonical_reason() != Some(&head.reason)
        && let Ok(reason) = ReasonPhrase::try_from(head.reason.as_bytes())
    {
        response.extensions_mut().insert(reason);
    }
    for (name, value) in &head.headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value),
        ) {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}
