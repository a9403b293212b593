//! Calling the information system that provides a service. Whoever calls here holds
//! the proof that the request is verified, permitted and logged.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use proxy::provider::RequestLogged;
use proxy::{Refusal, Request as Call};
use serverconf::Service;
use transport::{Body, ClientError, ReasonPhrase};
use xroad_id::ServiceId;
use xroad_message::multipart::{boundary_of, is_type};
use xroad_message::rest::{RestRequest, RestResponse};
use xroad_message::soap::{Expect, Soap, SoapLimits, decode_charset};
use xroad_message::soap_stream::{
    SoapStreamDecoder, SoapStreamError, SoapStreamEvent, SoapStreamLimits, transport_content_type,
};
use xroad_message::transport::{CONTENT_TYPE_SOAP, TYPE_RELATED};

use crate::attachment::open;
use crate::outgoing::{AttachmentSource, Payload, WriteError};
use crate::provider::{Forwarded, ServiceAnswer};
use crate::random::new_boundaries;
use crate::relay::{related_body, rest_body};
use crate::server::Server;

/// Bodies up to this length are taken whole.
const WHOLE: usize = 64 * 1024;

/// A defect of a service's SOAP answer.
pub fn form_refusal(service: &ServiceId, error: &SoapStreamError) -> Refusal {
    let leaf = match error {
        SoapStreamError::NoContentType => "invalid_content_type",
        error => error.code(),
    };
    Refusal::ServiceAnswer {
        service: service.clone(),
        leaf: leaf.to_owned(),
        detail: error.to_string(),
    }
}

fn call_refusal(service: &ServiceId, error: &ClientError) -> Refusal {
    tracing::warn!(%service, %error, "an information system could not be called");
    let service = service.clone();
    match error {
        ClientError::Connect { source, .. } => Refusal::ServiceUnreachable {
            service,
            // The resolver's failures have no kind of their own.
            unknown_host: source.to_string().contains("lookup"),
        },
        ClientError::Request { .. } => Refusal::ServiceUnreachable {
            service,
            unknown_host: false,
        },
        ClientError::Tls { .. } => Refusal::ServiceAuthentication(service),
        ClientError::Timeout {
            phase: transport::Phase::Connect,
            ..
        } => Refusal::ServiceUnreachable {
            service,
            unknown_host: false,
        },
        ClientError::Timeout { .. } => Refusal::ServiceTimeout(service),
        _ => Refusal::ServiceBroken(service),
    }
}

/// Forwards a logged request and takes the answer, whose body may still be under way.
///
/// # Errors
/// The information system cannot be reached, answers in time or answers correctly.
pub async fn call(
    server: &Server,
    logged: &RequestLogged,
    service: &Service,
    forwarded: &Forwarded,
) -> Result<ServiceAnswer, Refusal> {
    let hash = forwarded.request_hash(logged);
    match logged.request() {
        Call::Soap { .. } => soap(server, logged, service, forwarded, &hash).await,
        Call::Rest { head, .. } => rest(server, head, service, forwarded, &hash).await,
    }
}

async fn send(
    server: &Server,
    service: &Service,
    request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let options = server.service_tls.options(service).map_err(|error| {
        tracing::error!(service = %service.id, %error, "the TLS certificates of a service cannot be used");
        Refusal::ServiceAuthentication(service.id.clone())
    })?;
    server
        .http
        .request(request, &options)
        .await
        .map_err(|error| call_refusal(&service.id, &error))
}

async fn soap(
    server: &Server,
    logged: &RequestLogged,
    service: &Service,
    forwarded: &Forwarded,
    hash: &str,
) -> Result<ServiceAnswer, Refusal> {
    let message = logged.request().bytes();
    let attachments = &forwarded.rest.attachments;
    let (content_type, body) = if attachments.is_empty() {
        let content_type = forwarded.content_type.clone().filter(|content_type| {
            !content_type.is_empty() && !is_type(content_type, TYPE_RELATED)
        });
        (
            content_type.unwrap_or_else(|| forwarded.part_type.clone()),
            Body::full(message.clone()),
        )
    } else {
        let given = forwarded.content_type.as_deref().and_then(|content_type| {
            Some((content_type.to_owned(), boundary_of(content_type).ok()?))
        });
        let (content_type, boundary) = given.unwrap_or_else(|| {
            let (boundary, _) = new_boundaries();
            (
                format!("multipart/related; type=\"text/xml\"; boundary={boundary}"),
                boundary,
            )
        });
        let body = related_body(
            &boundary,
            &forwarded.part_type,
            &forwarded.part_headers,
            message,
            attachments,
        );
        (content_type, body)
    };
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url(service, &service.url)?;
    let headers = request.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    if let Some(action) = &forwarded.soap_action {
        headers.insert("soapaction", action.clone());
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(""));
    let response = send(server, service, request).await?;
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK && head.status != StatusCode::INTERNAL_SERVER_ERROR {
        return Err(Refusal::ServiceStatus {
            service: service.id.clone(),
            status: head.status.as_u16(),
        });
    }
    let wrong = |leaf: &str, detail: String| Refusal::ServiceAnswer {
        service: service.id.clone(),
        leaf: leaf.to_owned(),
        detail,
    };
    let content_type = crate::consumer::text(&head.headers, "content-type");
    let limits = SoapStreamLimits {
        soap: server.settings.soap_limit_bytes,
        ..SoapStreamLimits::default()
    };
    let decoder = SoapStreamDecoder::new(Expect::Response, content_type, limits)
        .map_err(|error| form_refusal(&service.id, &error))?;
    let broken = |error: WriteError| match error {
        WriteError::Form(error) => form_refusal(&service.id, &error),
        WriteError::Crowded => Refusal::Crowded,
        _ => Refusal::ServiceBroken(service.id.clone()),
    };
    let body = open(body, WHOLE)
        .await
        .map_err(|error| broken(WriteError::Source(error)))?;
    let mut source = AttachmentSource {
        decoder,
        body,
        account: server.memory.answer(),
    };
    let SoapStreamEvent::Message {
        content_type: part_type,
        headers: part_headers,
        bytes,
    } = source.next().await.map_err(broken)?
    else {
        return Err(wrong("invalid_message", "it has no SOAP part".into()));
    };
    let bytes = decode_charset(&part_type, bytes)
        .map_err(|error| wrong(error.code(), error.to_string()))?;
    let limits = SoapLimits {
        bytes: server.settings.soap_limit_bytes,
        ..SoapLimits::default()
    };
    let message = match Soap::decode(&bytes, &limits, Expect::Response) {
        Ok(Soap::Message(message)) => {
            if !message.is_wrapper_exact(Expect::Response) && !message.is_response() {
                return Err(wrong(
                    "inconsistent_headers",
                    "its body is not that of a response".into(),
                ));
            }
            Bytes::from(message.with_request_hash(hash))
        }
        Ok(Soap::Fault(_, bytes)) => bytes,
        Err(error) => return Err(wrong(error.code(), error.to_string())),
    };
    let message = source.account.stand_in(message);
    let original = content_type.unwrap_or_default();
    let is_related = is_type(original, TYPE_RELATED);
    Ok(ServiceAnswer {
        message,
        part_type: transport_content_type(&part_type).to_owned(),
        part_headers,
        content_type: Some(if is_related {
            original.to_owned()
        } else {
            CONTENT_TYPE_SOAP.to_owned()
        }),
        payload: if is_related {
            Payload::Attachments(Box::new(source))
        } else {
            Payload::None
        },
    })
}

fn url(service: &Service, text: &str) -> Result<http::Uri, Refusal> {
    text.parse().map_err(|error| {
        tracing::error!(service = %service.id, %error, "the URL of a service cannot be used");
        Refusal::ServiceUnreachable {
            service: service.id.clone(),
            unknown_host: false,
        }
    })
}

async fn rest(
    server: &Server,
    head: &RestRequest,
    service: &Service,
    forwarded: &Forwarded,
    hash: &str,
) -> Result<ServiceAnswer, Refusal> {
    let mut target = service.url.clone();
    let path = head.service_path();
    if target.ends_with('/') && path.starts_with('/') {
        target.pop();
    }
    target.push_str(path);
    if let Some(query) = head.query() {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(query);
    }
    let mut request = Request::new(rest_body(forwarded.rest.attachments.first()));
    *request.method_mut() = Method::from_bytes(head.verb.as_bytes())
        .map_err(|_| Refusal::HttpMethod(head.verb.to_owned()))?;
    *request.uri_mut() = url(service, &target)?;
    for (name, value) in &head.headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value),
        ) {
            request.headers_mut().append(name, value);
        }
    }
    let response = send(server, service, request).await?;
    let (parts, body) = response.into_parts();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    // Only a reason that is not the usual one of its status is noted (R11).
    let reason = parts.extensions.get::<ReasonPhrase>().map_or_else(
        || parts.status.canonical_reason().unwrap_or_default().into(),
        |reason| String::from_utf8_lossy(reason.as_bytes()),
    );
    let answer = RestResponse::from_service(head, parts.status.as_u16(), &reason, headers, hash)
        .map_err(|error| Refusal::ServiceAnswer {
            service: service.id.clone(),
            leaf: error.code().to_owned(),
            detail: error.to_string(),
        })?;
    let body = open(body, WHOLE).await.map_err(|error| {
        tracing::warn!(service = %service.id, %error, "an information system broke off in its answer");
        Refusal::ServiceBroken(service.id.clone())
    })?;
    let payload = if body.start.is_empty() && body.rest.is_none() {
        Payload::None
    } else {
        Payload::RestBody(body)
    };
    Ok(ServiceAnswer::rest(answer.encode().into(), payload))
}
