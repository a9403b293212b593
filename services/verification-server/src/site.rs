//! The pages.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use askama::Template;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use transport::{Body, Connection};
use web_ui::{Frame, MessagePage, Page, TextError, Texts, Visitor, asset, bare, page_policy};

use crate::check::{Checker, Outcome};
use crate::findings::Findings;
use crate::upload::{Taken, UploadError, take_file};

/// Largest file that is taken, in bytes.
pub const LARGEST_UPLOAD: u64 = 64 << 20;
/// Most files that are taken or judged at the same time; with [`LARGEST_UPLOAD`] it bounds the temporaries.
pub const UPLOADS_AT_ONCE: usize = 32;
/// Most of them from one address (IPv6: one network of 64 bits): nobody keeps the others out.
pub const UPLOADS_OF_ONE: usize = 4;
/// How long a file may take to arrive.
pub const UPLOAD_LASTS: Duration = Duration::from_secs(300);

/// Most files that are judged at the same time: each may take as much memory as its unpacked contents.
const CHECKS_AT_ONCE: usize = 2;

#[derive(Debug, Template)]
#[template(path = "upload.html")]
struct UploadPage<'a> {
    frame: Frame<'a>,
}

#[derive(Debug, Template)]
#[template(path = "result.html")]
struct ResultPage<'a> {
    frame: Frame<'a>,
    found: &'a Findings,
    name: &'a str,
    bytes: u64,
    digest: &'a str,
}

/// Why no file was judged.
enum Problem {
    Upload(UploadError),
    Busy,
    TooLong,
    Failed,
}

impl Problem {
    const fn answer(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "error-busy"),
            Self::TooLong => (StatusCode::REQUEST_TIMEOUT, "error-upload"),
            Self::Failed | Self::Upload(UploadError::Disk(_)) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "failed-text")
            }
            Self::Upload(UploadError::NoFile) => (StatusCode::BAD_REQUEST, "error-no-file"),
            Self::Upload(UploadError::TooLarge) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "error-too-large")
            }
            Self::Upload(UploadError::Form(_) | UploadError::Body(_)) => {
                (StatusCode::BAD_REQUEST, "error-upload")
            }
        }
    }
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        Self::Upload(error)
    }
}

/// A file that was judged, with what the page says of the file itself.
struct Judged {
    outcome: Outcome,
    name: String,
    bytes: u64,
    digest: String,
}

/// A digest to be compared by eye: hexadecimal in groups of eight.
fn grouped(digest: &[u8]) -> String {
    let mut text = String::new();
    for (at, byte) in digest.iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push(' ');
        }
        for half in [byte >> 4, byte & 0x0f] {
            text.push(char::from_digit(half.into(), 16).unwrap_or_default());
        }
    }
    text
}

/// Who sends files just now.
type Senders = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One file under way from somebody; given back when dropped.
#[derive(Debug)]
struct Turn {
    senders: Senders,
    who: IpAddr,
}

impl Turn {
    fn take(senders: &Senders, address: IpAddr) -> Option<Self> {
        let who = match address {
            IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => {
                let network = u128::from(address) & (u128::MAX << 64);
                IpAddr::V6(network.into())
            }
            other => other,
        };
        let mut now = senders.lock().unwrap_or_else(PoisonError::into_inner);
        let count = now.entry(who).or_default();
        if *count >= UPLOADS_OF_ONE {
            return None;
        }
        *count += 1;
        drop(now);
        Some(Self {
            senders: Arc::clone(senders),
            who,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut now = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = now.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                now.remove(&self.who);
            }
        }
    }
}

/// The site.
#[derive(Debug)]
pub struct Site {
    checker: Arc<Checker>,
    texts: Texts,
    uploads: Arc<Semaphore>,
    checks: Arc<Semaphore>,
    senders: Senders,
}

impl Site {
    /// The site over what files are judged by.
    ///
    /// # Errors
    /// This build's texts cannot be read.
    pub fn new(checker: Checker) -> Result<Self, TextError> {
        Ok(Self {
            checker: Arc::new(checker),
            texts: Texts::new(crate::TEXTS)?,
            uploads: Arc::new(Semaphore::new(UPLOADS_AT_ONCE)),
            checks: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
            senders: Senders::default(),
        })
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Body>, connection: &Connection) -> Response<Body> {
        let (head, body) = request.into_parts();
        let is_head = head.method == Method::HEAD;
        let reply = match (&head.method, head.uri.path()) {
            (&Method::GET | &Method::HEAD, "/health") => bare(
                StatusCode::OK,
                "text/plain; charset=utf-8",
                "ok\n".to_owned(),
            ),
            (method, path) => {
                let visitor =
                    match Visitor::new(&head.headers, head.uri.query().unwrap_or_default()) {
                        Ok(visitor) => visitor,
                        Err(error) => {
                            tracing::error!(%error, "no page can be made");
                            let kind = "text/plain; charset=utf-8";
                            return bare(StatusCode::INTERNAL_SERVER_ERROR, kind, String::new())
                                .map(Body::full);
                        }
                    };
                match (method, path) {
                    (&Method::GET | &Method::HEAD, "/") => self.upload_page(&visitor, None),
                    (&Method::POST, "/") => {
                        let found = self
                            .judge(&head.headers, body, connection.remote().ip())
                            .await;
                        self.result(&visitor, found)
                    }
                    (_, "/") => {
                        let page = self.message(
                            &visitor,
                            StatusCode::METHOD_NOT_ALLOWED,
                            "refused-title",
                            "not-found-text",
                        );
                        with(page, ALLOW, "GET, HEAD, POST")
                    }
                    (&Method::GET | &Method::HEAD, path) => asset(path).unwrap_or_else(|| {
                        self.message(
                            &visitor,
                            StatusCode::NOT_FOUND,
                            "not-found-title",
                            "not-found-text",
                        )
                    }),
                    _ => self.message(
                        &visitor,
                        StatusCode::NOT_FOUND,
                        "not-found-title",
                        "not-found-text",
                    ),
                }
            }
        };
        reply.map(|text| {
            if is_head {
                Body::empty()
            } else {
                Body::full(text)
            }
        })
    }

    /// Takes a file and judges it. Of the file nothing is logged but its size and kind.
    async fn judge(
        &self,
        headers: &HeaderMap,
        body: Body,
        from: IpAddr,
    ) -> Result<Judged, Problem> {
        let content_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let turn = Turn::take(&self.senders, from).ok_or(Problem::Busy)?;
        let place = Arc::clone(&self.uploads)
            .try_acquire_owned()
            .map_err(|_| Problem::Busy)?;
        let taken =
            tokio::time::timeout(UPLOAD_LASTS, take_file(content_type, body, LARGEST_UPLOAD))
                .await
                .map_err(|_| Problem::TooLong)??;
        let check = Arc::clone(&self.checks)
            .acquire_owned()
            .await
            .map_err(|_| Problem::Failed)?;
        let checker = Arc::clone(&self.checker);
        let Taken {
            file,
            name,
            bytes,
            digest,
        } = taken;
        // If the sender goes away meanwhile, the places stay taken until the work is done.
        let judged = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let outcome = checker.check(file, OffsetDateTime::now_utc());
            drop((turn, place, check));
            (outcome, began.elapsed())
        });
        match judged.await {
            Ok((Ok(outcome), took)) => {
                let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                let (kind, status) = (outcome.kind(), outcome.exit_status());
                tracing::info!(kind, status, bytes, milliseconds, "a file was judged");
                Ok(Judged {
                    outcome,
                    name,
                    bytes,
                    digest: grouped(digest.as_ref()),
                })
            }
            Ok((Err(error), _)) => {
                tracing::error!(%error, "a file cannot be judged");
                Err(Problem::Failed)
            }
            Err(error) => {
                tracing::error!(%error, "judging a file failed");
                Err(Problem::Failed)
            }
        }
    }

    fn frame<'a>(&'a self, visitor: &'a Visitor, error: Option<&'a str>) -> Frame<'a> {
        Frame {
            texts: &self.texts,
            language: visitor.language,
            csrf: &visitor.csrf,
            error,
        }
    }

    fn show(visitor: &Visitor, status: StatusCode, page: &dyn Page) -> Response<String> {
        match page.html() {
            Ok(html) => visitor.page(status, html, &page_policy("", "")),
            Err(error) => {
                tracing::error!(%error, "a page cannot be made");
                let kind = "text/plain; charset=utf-8";
                bare(StatusCode::INTERNAL_SERVER_ERROR, kind, String::new())
            }
        }
    }

    fn upload_page(
        &self,
        visitor: &Visitor,
        problem: Option<(StatusCode, &'static str)>,
    ) -> Response<String> {
        let status = problem.map_or(StatusCode::OK, |(status, _)| status);
        let frame = self.frame(visitor, problem.map(|(_, error)| error));
        Self::show(visitor, status, &UploadPage { frame })
    }

    fn result(&self, visitor: &Visitor, judged: Result<Judged, Problem>) -> Response<String> {
        let judged = match judged {
            Ok(judged) => judged,
            Err(problem) => {
                let page = self.upload_page(visitor, Some(problem.answer()));
                return match problem {
                    Problem::Busy => with(page, RETRY_AFTER, "60"),
                    _ => page,
                };
            }
        };
        let page = ResultPage {
            frame: self.frame(visitor, None),
            found: &Findings::of(&judged.outcome),
            name: &document_signature::clean(&judged.name),
            bytes: judged.bytes,
            digest: &judged.digest,
        };
        Self::show(visitor, StatusCode::OK, &page)
    }

    fn message(
        &self,
        visitor: &Visitor,
        status: StatusCode,
        title: &str,
        text: &str,
    ) -> Response<String> {
        let page = MessagePage {
            frame: self.frame(visitor, None),
            title,
            text,
            code: None,
            next: Some(("/", "again-link")),
        };
        Self::show(visitor, status, &page)
    }
}

fn with(mut reply: Response<String>, name: HeaderName, value: &'static str) -> Response<String> {
    reply
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_takes_a_few_places_and_gives_them_back() {
        let senders = Senders::default();
        let take = |from: &str| Turn::take(&senders, address(from));
        let mut turns: Vec<Turn> = (0..UPLOADS_OF_ONE)
            .map(|_| take("192.0.2.1").unwrap())
            .collect();
        assert!(take("192.0.2.1").is_none());
        assert!(take("192.0.2.2").is_some(), "nobody keeps the others out");
        turns.pop();
        assert!(take("192.0.2.1").is_some());
        drop(turns);
        assert!(senders.lock().unwrap().is_empty(), "nothing is remembered");
        // Whoever has an IPv6 network has all of its addresses.
        let turns: Vec<Turn> = (0..UPLOADS_OF_ONE)
            .map(|host| take(&format!("2001:db8:1:2::{host}")).unwrap())
            .collect();
        assert!(take("2001:db8:1:2:ffff::9").is_none());
        assert!(take("2001:db8:1:3::1").is_some());
        // Addresses of IPv4 that a socket of IPv6 shows are not one network.
        assert!(take("::ffff:192.0.2.1").is_some() && turns.len() == UPLOADS_OF_ONE);
    }
}
