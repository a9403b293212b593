//! The trust services over HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use time::{Duration, OffsetDateTime};
use tokio::net::TcpListener;
use transport::{Body, Request, Response, ServeLimits, serve_http};

use crate::responder::{MAX_BODY_LENGTH, Reply, Responder};
use crate::store::{TrustError, TrustStore};

/// Settings of the trust services.
#[derive(Debug, Clone)]
pub struct TrustServerSettings {
    /// Directory that [`TrustStore::create`] made.
    pub directory: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Policy of the time-stamps, dotted OBJECT IDENTIFIER.
    pub policy: String,
    /// Seconds from an OCSP answer's thisUpdate to its nextUpdate.
    pub answer_validity_seconds: u32,
}

impl TrustServerSettings {
    /// The shipped defaults: an example policy, and a nextUpdate a day ahead, so that
    /// containers stamped hours later still verify; freshness is the verifier's rule.
    pub fn new(directory: PathBuf, listen: SocketAddr) -> Self {
        TrustServerSettings {
            directory,
            listen,
            policy: "1.2.3.4.1".into(),
            answer_validity_seconds: 86_400,
        }
    }
}

/// Why the trust services do not run.
#[derive(Debug, thiserror::Error)]
pub enum TrustServerError {
    /// The directory is not usable.
    #[error(transparent)]
    Store(#[from] TrustError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What happened.
        error: std::io::Error,
    },
    /// The policy is not an OBJECT IDENTIFIER.
    #[error("the time-stamping policy {0:?} is not an object identifier")]
    Policy(String),
}

/// Serves the trust services until `shutdown` completes. `ready` is called with
/// the address once requests are accepted.
///
/// # Errors
/// See [`TrustServerError`].
pub async fn run(
    settings: TrustServerSettings,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), TrustServerError> {
    if pki::der::oid_from_text(&settings.policy).is_none() {
        return Err(TrustServerError::Policy(settings.policy));
    }
    let store = TrustStore::open(&settings.directory)?;
    let valid_for = Duration::seconds(i64::from(settings.answer_validity_seconds));
    let responder = Arc::new(Responder::new(store, settings.policy, valid_for));
    let failed = |error| TrustServerError::Listen {
        address: settings.listen,
        error,
    };
    let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
    ready(listener.local_addr().map_err(failed)?);
    let handler = move |request: Request<Body>, _| {
        let responder = Arc::clone(&responder);
        async move { handle(responder, request).await }
    };
    serve_http(listener, handler, ServeLimits::default(), shutdown).await;
    Ok(())
}

async fn handle(responder: Arc<Responder>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect(MAX_BODY_LENGTH).await else {
        let text = "the request is too long or was cut off\n";
        return respond(
            Reply::refused(StatusCode::PAYLOAD_TOO_LARGE, text),
            &head.method,
        );
    };
    let method = head.method.clone();
    // Signing and reading the register block for up to milliseconds.
    let reply = tokio::task::spawn_blocking(move || {
        let content_type = head
            .headers
            .get(CONTENT_TYPE)
            .map(|value| value.to_str().unwrap_or_default());
        responder.answer(
            &head.method,
            head.uri.path(),
            content_type,
            &body,
            OffsetDateTime::now_utc(),
        )
    })
    .await
    .unwrap_or_else(|_| Reply::refused(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n"));
    respond(reply, &method)
}

fn respond(reply: Reply, method: &Method) -> Response<Body> {
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        Body::full(reply.body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    response
}
