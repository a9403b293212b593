//! The provider's side: a peer's request is verified, permitted, logged and only
//! then forwarded to the information system; its answer goes back signed.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use config::SecurityServerSettings;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use messagelog::SpoolOwner;
use pki::{Certificate, DigestAlgorithm};
use proxy::provider::{Grant, Received, RequestLogged};
use proxy::{Refusal, Request as Call, Side};
use time::OffsetDateTime;
use transport::{Body, Connection};
use xroad_message::multipart::Headers;
use xroad_message::rest::RestRequest;
use xroad_message::soap::{Expect, SoapError, SoapLimits, SoapMessage};
use xroad_message::transport::{
    CONTENT_TYPE_SOAP, Direction, HEADER_HASH_ALGORITHM, HEADER_MESSAGE_TYPE,
    HEADER_ORIGINAL_CONTENT_TYPE, HEADER_ORIGINAL_SOAP_ACTION, HEADER_PROXY_VERSION,
    HEADER_REQUEST_ID, Protocol, TYPE_REST_RESPONSE, TransportEncoder,
};

use crate::consumer::text;
use crate::incoming::{Incoming, IncomingError, IncomingHead, IncomingRest};
use crate::metadata;
use crate::outgoing::{
    MessagePart, Payload, Sink, WriteError, write_fault, write_parts, write_signature,
};
use crate::random::new_boundaries;
use crate::refusals::log_refusal;
use crate::server::{Server, now_ms};
use crate::service;
use crate::signing::MemberSigner;

/// Answers a peer's message.
pub async fn handle(
    server: Arc<Server>,
    request: Request<Body>,
    connection: Arc<Connection>,
) -> Response<Body> {
    // What the information system was asked to do must end in a logged answer, whether
    // or not the peer still waits for it.
    let task = tokio::spawn(async move {
        match exchange(&server, request, &connection).await {
            Ok(response) => response,
            Err(refusal) => {
                // The rest of a refused message is not read, and a peer whose standing has
                // changed must connect anew.
                connection.close_after_response();
                server.faults.soap(&refusal, Side::Provider)
            }
        }
    });
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an exchange ended in a defect of ours");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

fn check_version(settings: &SecurityServerSettings, given: Option<&str>) -> Result<(), Refusal> {
    let Some(minimum) = settings.minimum_peer_version else {
        return Ok(());
    };
    match given.and_then(config::version) {
        Some(version) if version >= minimum => Ok(()),
        _ => Err(Refusal::PeerVersion {
            found: given
                .unwrap_or("(none)")
                .chars()
                .filter(|c| c.is_ascii_graphic())
                .take(40)
                .collect(),
            minimum: format!("{}.{}.{}", minimum.0, minimum.1, minimum.2),
        }),
    }
}

async fn exchange(
    server: &Arc<Server>,
    request: Request<Body>,
    connection: &Connection,
) -> Result<Response<Body>, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::HttpMethod(request.method().to_string()));
    }
    let configuration = server.current(OffsetDateTime::now_utc())?;
    let (head, body) = request.into_parts();
    check_version(&server.settings, text(&head.headers, HEADER_PROXY_VERSION))?;
    let shown = connection
        .peer_certificate()
        .ok_or_else(|| Refusal::PeerAuthentication("it showed no certificate".into()))?
        .memo(|der| Certificate::decode(der).ok());
    let Some(certificate) = shown.as_ref() else {
        return Err(Refusal::PeerAuthentication(
            "its certificate cannot be read".into(),
        ));
    };
    // Strangers are not read at all (T6): what they send would fill our memory.
    if configuration
        .server_by_auth_certificate(certificate)
        .is_none()
    {
        return Err(Refusal::PeerAuthentication(
            "its certificate is not registered for any Security Server".into(),
        ));
    }
    let content_type = text(&head.headers, "content-type").unwrap_or_default();
    let protocol = Protocol::of_header(text(&head.headers, HEADER_MESSAGE_TYPE));
    let mut incoming = Incoming::new(
        Direction::Request,
        protocol,
        content_type,
        body,
        server.settings.soap_limit_bytes,
        server.memory.request(),
    )?;
    let first = incoming.head().await.map_err(refused)?;
    let algorithm = text(&head.headers, HEADER_HASH_ALGORITHM)
        .and_then(DigestAlgorithm::from_name)
        .filter(|algorithm| !matches!(algorithm, DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224))
        .ok_or_else(|| Refusal::PeerForm {
            leaf: "internal_error".into(),
            detail: "it does not name a digest algorithm (x-hash-algorithm)".into(),
        })?;
    let call = decode(
        server,
        protocol,
        &first,
        text(&head.headers, HEADER_REQUEST_ID),
    )?;
    let own = server.own.load_full();
    let authenticated = Received::new(call).authenticate(
        &server.judge,
        &configuration,
        &own,
        certificate,
        &first.status,
        OffsetDateTime::now_utc(),
    )?;
    authenticated.check_early(&own)?;
    server.check_log()?;
    // What could not be answered with a signature is not carried out either.
    server
        .signers
        .load()
        .of(&authenticated.request().service().client)?
        .check_ready(OffsetDateTime::now_utc())?;
    let owner = SpoolOwner::Peer(authenticated.peer().server().path());
    let rest = incoming
        .rest(&server.log, &owner, algorithm)
        .await
        .map_err(refused)?;
    let now = OffsetDateTime::now_utc();
    let configuration = server.current(now)?;
    let own = server.own.load_full();
    let authenticated = authenticated.again(
        &server.judge,
        &configuration,
        &own,
        certificate,
        &first.status,
        now,
    )?;
    let permitted = rest
        .with_parts(&first.message, |parts| {
            authenticated.verify(&server.judge, parts, now)
        })?
        .permit(&own)?;
    let signature = rest.signature.clone().ok_or(Refusal::MissingSignature)?;
    let record = permitted.record(rest.contents(), signature, rest.chain(), now_ms());
    let committed = server.commit(record).await?;
    let logged = permitted.logged(committed);
    let forwarded = Forwarded {
        content_type: text(&head.headers, HEADER_ORIGINAL_CONTENT_TYPE).map(str::to_owned),
        soap_action: head.headers.get(HEADER_ORIGINAL_SOAP_ACTION).cloned(),
        part_type: first.content_type,
        part_headers: first.headers,
        rest,
    };
    let answer = match logged.grant() {
        Grant::Metadata => metadata::answer(server, &logged, &forwarded).await?,
        Grant::Service(permit) => {
            service::call(server, &logged, permit.service(), &forwarded).await?
        }
    };
    respond(server, logged, answer).await
}

fn refused(error: IncomingError) -> Refusal {
    match error {
        IncomingError::Refused(refusal) => *refusal,
        IncomingError::Fault(_) => Refusal::MissingSignature,
    }
}

fn decode(
    server: &Server,
    protocol: Protocol,
    head: &IncomingHead,
    request_id: Option<&str>,
) -> Result<Call, Refusal> {
    match protocol {
        Protocol::Soap => {
            let limits = SoapLimits {
                bytes: server.settings.soap_limit_bytes,
                ..SoapLimits::default()
            };
            let message =
                SoapMessage::decode(&head.message, &limits, Expect::Request).map_err(|error| {
                    match error {
                        SoapError::TooLong(limit) => Refusal::TooLarge(limit),
                        error => Refusal::PeerMessage {
                            leaf: error.code().to_owned(),
                            detail: error.to_string(),
                        },
                    }
                })?;
            Ok(Call::Soap {
                message: Box::new(message),
                request_id: request_id.map(str::to_owned),
            })
        }
        Protocol::Rest => {
            let rest =
                RestRequest::decode(&head.message).map_err(|error| Refusal::PeerMessage {
                    leaf: error.code().to_owned(),
                    detail: error.to_string(),
                })?;
            Ok(Call::Rest {
                head: Box::new(rest),
                bytes: head.message.clone(),
            })
        }
    }
}

/// What of a request is needed to forward it, beside its message.
pub struct Forwarded {
    /// The consumer's content type.
    pub content_type: Option<String>,
    /// The consumer's `SOAPAction`.
    pub soap_action: Option<HeaderValue>,
    /// Content type of the message part.
    pub part_type: String,
    /// Other headers of the message part.
    pub part_headers: Headers,
    /// Attachments or REST body.
    pub rest: IncomingRest,
}

impl Forwarded {
    /// The hash of the request for its answer (M11, R7), base64.
    pub fn request_hash(&self, logged: &RequestLogged) -> String {
        let message = DigestAlgorithm::Sha512.digest(logged.request().bytes());
        let body = match logged.request() {
            Call::Soap { .. } => None,
            Call::Rest { .. } => self
                .rest
                .attachments
                .first()
                .map(|attachment| attachment.sha512),
        };
        xroad_message::rest::request_hash(message.as_ref(), body.as_ref().map(AsRef::as_ref))
    }
}

/// An answer that is ready to be signed.
pub struct ServiceAnswer {
    /// The message: SOAP with its request hash, or the head of a REST response.
    pub message: Bytes,
    /// Content type of its part.
    pub part_type: String,
    /// Other headers of its part.
    pub part_headers: Headers,
    /// Content type that the consumer's information system is to see.
    pub content_type: Option<String>,
    /// Attachments or REST body.
    pub payload: Payload,
}

impl ServiceAnswer {
    /// A SOAP answer without attachments.
    pub fn soap(message: Bytes) -> Self {
        Self {
            message,
            part_type: CONTENT_TYPE_SOAP.to_owned(),
            part_headers: Headers::new(),
            content_type: Some(CONTENT_TYPE_SOAP.to_owned()),
            payload: Payload::None,
        }
    }

    /// The head of a REST response and its body.
    pub fn rest(message: Bytes, payload: Payload) -> Self {
        Self {
            message,
            part_type: TYPE_REST_RESPONSE.to_owned(),
            part_headers: Headers::new(),
            content_type: None,
            payload,
        }
    }
}

async fn respond(
    server: &Arc<Server>,
    logged: RequestLogged,
    answer: ServiceAnswer,
) -> Result<Response<Body>, Refusal> {
    let signer = Arc::clone(
        server
            .signers
            .load()
            .of(&logged.request().service().client)?,
    );
    let (boundary, attachment_boundary) = new_boundaries();
    let encoder = TransportEncoder::new(boundary, attachment_boundary);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&encoder.content_type()) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    headers.insert(
        HeaderName::from_static(HEADER_HASH_ALGORITHM),
        HeaderValue::from_static("SHA-512"),
    );
    if let Some(value) = answer
        .content_type
        .as_deref()
        .and_then(|value| HeaderValue::from_str(value).ok())
    {
        headers.insert(HeaderName::from_static(HEADER_ORIGINAL_CONTENT_TYPE), value);
    }
    if answer.payload.is_small() {
        let sink = Sink::Memory(BytesMut::with_capacity(answer.message.len() + 16 * 1024));
        let body = match produce(server, logged, answer, &signer, encoder, sink).await {
            Ok(body) => body,
            Err((refusal, _)) => return Err(refusal),
        };
        *response.body_mut() = Body::full(body);
    } else {
        let (sender, body) = Body::channel(4);
        let sink = Sink::Stream {
            sender,
            buffer: BytesMut::with_capacity(64 * 1024),
        };
        let server = Arc::clone(server);
        tokio::spawn(async move {
            if let Err((refusal, unfinished)) =
                produce(&server, logged, answer, &signer, encoder, sink).await
            {
                let fault = server.faults.soap_bytes(&refusal, Side::Provider);
                if let Some((mut encoder, sink)) = unfinished {
                    let _ = write_fault(&mut encoder, sink, &fault).await;
                }
            }
        });
        *response.body_mut() = body;
    }
    Ok(response)
}

type Unfinished = Option<(TransportEncoder, Sink)>;

async fn produce(
    server: &Server,
    logged: RequestLogged,
    answer: ServiceAnswer,
    signer: &MemberSigner,
    mut encoder: TransportEncoder,
    mut sink: Sink,
) -> Result<Bytes, (Refusal, Unfinished)> {
    let service = logged.request().service().clone();
    let part = MessagePart {
        status: &[],
        content_type: &answer.part_type,
        headers: &answer.part_headers,
        bytes: &answer.message,
    };
    let written = match write_parts(
        &server.log,
        SpoolOwner::Own,
        &mut encoder,
        &mut sink,
        part,
        answer.payload,
    )
    .await
    {
        Ok(written) => written,
        Err(error) => {
            let refusal = match error {
                WriteError::Log(error) => log_refusal(&error),
                WriteError::Source(error) => {
                    tracing::warn!(%error, %service, "an information system broke off in its answer");
                    Refusal::ServiceBroken(service)
                }
                WriteError::Form(error) => service::form_refusal(&service, &error),
                WriteError::Crowded => Refusal::Crowded,
                WriteError::Receiver => return Err((Refusal::PeerBroken, None)),
            };
            // Between two parts a fault can still be told; within one it would be taken for data.
            return Err((refusal, None));
        }
    };
    let signed = match signer.sign(&written.digests).await {
        Ok(parts) => logged.signed(answer.message, parts),
        Err(refusal) => return Err((refusal, Some((encoder, sink)))),
    };
    let contents = written
        .attachments
        .iter()
        .map(|attachment| attachment.content.clone())
        .collect();
    let committed = match server.commit(signed.record(contents, now_ms())).await {
        Ok(committed) => committed,
        Err(refusal) => return Err((refusal, Some((encoder, sink)))),
    };
    let ready = signed.logged(committed);
    write_signature(&mut encoder, sink, ready.parts())
        .await
        .map_err(|_| (Refusal::PeerBroken, None))
}
