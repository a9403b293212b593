//! Whether this server can exchange messages: what everybody is told, and what the log says.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use time::OffsetDateTime;
use tokio::sync::watch;
use transport::Body;

use crate::server::Server;

/// Whoever reaches the port may know that the server is not ready, but not which keys and
/// clients it lacks: that is in the log, and for administrators at the control socket.
pub fn health(is_good: bool) -> Response<Body> {
    let text = if is_good { "ready\n" } else { "not ready\n" };
    let mut response = Response::new(Body::full(text.as_bytes()));
    if !is_good {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// Says whether messages can be exchanged, and in the log what is missing: every few
/// seconds until the first time, then whenever it changes.
pub async fn follow_readiness(server: Arc<Server>, ready: watch::Sender<bool>) {
    let mut told = tokio::time::Instant::now();
    let mut last = Vec::new();
    loop {
        let missing = server.missing(OffsetDateTime::now_utc());
        let is_started = *ready.borrow();
        let is_news = if is_started {
            missing != last
        } else {
            missing.is_empty() || told.elapsed() > Duration::from_secs(5)
        };
        if is_news && missing.is_empty() {
            tracing::info!("ready");
        } else if is_news {
            tracing::warn!(missing = missing.join("; "), "not ready");
            told = tokio::time::Instant::now();
        }
        if missing.is_empty() && !is_started {
            let _ = ready.send(true);
        }
        last = missing;
        tokio::time::sleep(if *ready.borrow() {
            Duration::from_secs(1)
        } else {
            Duration::from_millis(5)
        })
        .await;
    }
}
