//! One request, with everything that a decision may depend on, and the rim where it comes in.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use oauth2::Parameters;
use server_signing::Seed;
use time::OffsetDateTime;
use transport::{Body, Connection};
use web_ui::bare;

use crate::SigningServer;

/// An answer, whole in memory.
pub type Reply = Response<String>;

/// Longest body in bytes, but for documents.
pub const MAX_BODY: usize = csc::MAX_CALL_LENGTH;
/// Longest body with documents, in bytes.
pub const MAX_DOCUMENTS: usize = 24 * 1024 * 1024;

/// Where the logo is that `info` names: a picture, not text as all other answers are.
pub(crate) const LOGO_PATH: &str = "/assets/logo.png";
const LOGO: &[u8] = include_bytes!("../assets/logo.png");

fn logo() -> Response<Body> {
    let mut reply = Response::new(Body::full(LOGO));
    let kept = HeaderValue::from_static("public, max-age=3600");
    reply.headers_mut().insert(CACHE_CONTROL, kept);
    let kind = HeaderValue::from_static("image/png");
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

/// A request.
#[derive(Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path.
    pub path: &'a str,
    /// The query, without `?`.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a str,
    /// The time now.
    pub now: OffsetDateTime,
    /// Random bytes, drawn for this call.
    pub seed: Seed,
}

impl Call<'_> {
    pub(crate) fn is_get(&self) -> bool {
        *self.method == Method::GET || *self.method == Method::HEAD
    }

    pub(crate) fn is_post(&self) -> bool {
        *self.method == Method::POST
    }

    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }

    /// A form (`application/x-www-form-urlencoded`).
    pub(crate) fn form(&self) -> Option<Parameters> {
        let kind = self.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return None;
        }
        Parameters::decode(self.body).ok()
    }
}

/// A status with a line of text.
pub(crate) fn plain(status: StatusCode, text: &str) -> Reply {
    bare(status, "text/plain; charset=utf-8", text.to_owned())
}

impl SigningServer {
    /// Answers a request from the network: takes it in, draws its random bytes, reads the clock.
    pub async fn handle(
        self: Arc<Self>,
        request: Request<Body>,
        _: Arc<Connection>,
    ) -> Response<Body> {
        let (head, body) = request.into_parts();
        if head.uri.path() == LOGO_PATH {
            return logo();
        }
        let limit = if head.uri.path().ends_with("/signDoc") {
            MAX_DOCUMENTS
        } else {
            MAX_BODY
        };
        let Ok(body) = body.collect(limit).await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long\n").map(Body::full);
        };
        let work = move || {
            let mut random = [0; 32];
            if getrandom::fill(&mut random).is_err() {
                return plain(StatusCode::INTERNAL_SERVER_ERROR, "");
            }
            let Ok(body) = std::str::from_utf8(&body) else {
                return plain(StatusCode::BAD_REQUEST, "the body is not UTF-8\n");
            };
            self.answer(&Call {
                method: &head.method,
                path: head.uri.path(),
                query: head.uri.query().unwrap_or_default(),
                headers: &head.headers,
                body,
                now: OffsetDateTime::now_utc(),
                seed: Seed::new(random),
            })
        };
        // The database is asked by blocking calls.
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, ""))
            .map(Body::full)
    }
}
