//! What the trust services answer, without a socket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use pki::ocsp::{self, ResponseStatus};
use time::{Duration, OffsetDateTime};
use tsa::TimeStampingAuthority;

use ca::{CaError, OrderError};

use crate::people::PeopleError;
use crate::store::{TrustError, TrustStore, new_serial};

/// Longest request body that is read, in bytes.
pub const MAX_BODY_LENGTH: usize = ocsp::MAX_REQUEST_LENGTH;

const OCSP_REQUEST: &str = "application/ocsp-request";
const OCSP_RESPONSE: &str = "application/ocsp-response";
const TIMESTAMP_QUERY: &str = "application/timestamp-query";
const TIMESTAMP_REPLY: &str = "application/timestamp-reply";
const JOSE: &str = "application/jose";
const CERTIFICATE: &str = "application/pkix-cert";
const TEXT: &str = "text/plain; charset=utf-8";
const PEM: &str = "application/x-pem-file";

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Content type.
    pub content_type: &'static str,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    fn ok(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Reply {
            status: StatusCode::OK,
            content_type,
            body: body.into(),
        }
    }

    pub(crate) fn refused(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Reply {
            status,
            content_type: TEXT,
            body: text.into(),
        }
    }
}

/// Answers the requests of one [`TrustStore`].
#[derive(Debug)]
pub struct Responder {
    store: TrustStore,
    time_stamping: TimeStampingAuthority,
    valid_for: Duration,
}

impl Responder {
    /// A responder whose OCSP answers announce newer ones after `valid_for`, and
    /// whose time-stamps are under `policy` (dotted OBJECT IDENTIFIER).
    pub fn new(store: TrustStore, policy: String, valid_for: Duration) -> Self {
        let certificate = store.tsa_certificate().clone();
        Responder {
            time_stamping: TimeStampingAuthority::new(certificate, policy, 1),
            store,
            valid_for,
        }
    }

    /// The directory.
    pub fn store(&self) -> &TrustStore {
        &self.store
    }

    /// Answers one request at `now`. `path` is raw, without query. A missing
    /// content type is taken for the right one.
    pub fn answer(
        &self,
        method: &Method,
        path: &str,
        content_type: Option<&str>,
        body: &[u8],
        now: OffsetDateTime,
    ) -> Reply {
        let is = |wanted: &str| {
            content_type.is_none_or(|found| {
                let essence = found.split(';').next().unwrap_or_default();
                essence.trim().eq_ignore_ascii_case(wanted)
            })
        };
        match (method, path) {
            (&Method::POST, "/ocsp" | "/ocsp/") if is(OCSP_REQUEST) => self.ocsp(body, now),
            (&Method::POST, "/tsa" | "/tsa/") if is(TIMESTAMP_QUERY) => self.time_stamp(body, now),
            (&Method::POST, "/people/certificates") if is(JOSE) => self.certify(body, now),
            (&Method::POST, "/people/revocations") if is(JOSE) => self.revoke(body, now),
            (
                &Method::POST,
                "/ocsp"
                | "/ocsp/"
                | "/tsa"
                | "/tsa/"
                | "/people/certificates"
                | "/people/revocations",
            ) => Reply::refused(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the content type does not fit the address\n",
            ),
            (&Method::GET | &Method::HEAD, "/ca.pem") => {
                Reply::ok(PEM, self.store.ca_certificate().to_pem())
            }
            (&Method::GET | &Method::HEAD, "/ocsp.pem") => {
                Reply::ok(PEM, self.store.ocsp_certificate().to_pem())
            }
            (&Method::GET | &Method::HEAD, "/tsa.pem") => {
                Reply::ok(PEM, self.store.tsa_certificate().to_pem())
            }
            (&Method::GET | &Method::HEAD, "/health") => Reply::ok(TEXT, "ok\n"),
            (&Method::GET, path) => match path.strip_prefix("/ocsp/") {
                // RFC 6960 appendix A.1: the request in Base64, percent-encoded.
                Some(request) => {
                    let decoded: Vec<u8> = percent_encoding::percent_decode_str(request).collect();
                    let request = STANDARD.decode(decoded).unwrap_or_default();
                    self.ocsp(&request, now)
                }
                None => Reply::refused(StatusCode::NOT_FOUND, "nothing is here\n"),
            },
            (
                _,
                "/ocsp"
                | "/tsa"
                | "/ca.pem"
                | "/ocsp.pem"
                | "/tsa.pem"
                | "/health"
                | "/people/certificates"
                | "/people/revocations",
            ) => Reply::refused(
                StatusCode::METHOD_NOT_ALLOWED,
                "the method does not fit the address\n",
            ),
            _ => Reply::refused(StatusCode::NOT_FOUND, "nothing is here\n"),
        }
    }

    /// OCSP refuses within its own response, always with HTTP 200 (RFC 6960 section 4.2.1).
    fn ocsp(&self, request: &[u8], now: OffsetDateTime) -> Reply {
        let response = match self.ocsp_response(request, now) {
            Ok(response) => response,
            Err(status) => ocsp::build_refusal(status),
        };
        Reply::ok(OCSP_RESPONSE, response)
    }

    fn ocsp_response(
        &self,
        request: &[u8],
        now: OffsetDateTime,
    ) -> Result<Vec<u8>, ResponseStatus> {
        let request = ocsp::Request::decode(request).map_err(|error| {
            tracing::debug!(%error, "malformed OCSP request");
            ResponseStatus::MalformedRequest
        })?;
        let statuses = self
            .store
            .authority()
            .statuses(&request, now, self.valid_for, self.store.register())
            .inspect_err(|status| tracing::warn!(?status, "OCSP request refused"))?;
        let responder = &self.store.responder;
        ca::respond(
            &statuses,
            &responder.certificate,
            &responder.key,
            now,
            request.nonce.as_deref(),
        )
        .map_err(|error| {
            tracing::error!(%error, "OCSP response not signed");
            ResponseStatus::InternalError
        })
    }

    fn certify(&self, order: &[u8], now: OffsetDateTime) -> Reply {
        let certified = jws(order).and_then(|order| self.store.certify(order, now));
        match certified {
            Ok(certificate) => Reply::ok(CERTIFICATE, certificate.der().to_vec()),
            Err(error) => refusal(&error),
        }
    }

    fn revoke(&self, revocation: &[u8], now: OffsetDateTime) -> Reply {
        let revoked = jws(revocation).and_then(|text| self.store.revoke_ordered(text, now));
        match revoked {
            Ok(()) => Reply {
                status: StatusCode::NO_CONTENT,
                ..Reply::ok(TEXT, Bytes::new())
            },
            Err(error) => refusal(&error),
        }
    }

    fn time_stamp(&self, request: &[u8], now: OffsetDateTime) -> Reply {
        let serial = new_serial();
        let key = &self.store.time_stamping.key;
        let answer = self
            .time_stamping
            .answer(request, key, now, serial.octets());
        if let tsa::Answer::Refused(failure, _) = &answer {
            tracing::warn!(?failure, "time-stamp refused");
        }
        Reply::ok(TIMESTAMP_REPLY, answer.into_der())
    }
}

fn jws(body: &[u8]) -> Result<&str, PeopleError> {
    std::str::from_utf8(body).map_err(|_| OrderError::Form("it is not a JWS").into())
}

/// Says whose fault it is. What is ours is not told in detail.
fn refusal(error: &PeopleError) -> Reply {
    let status = match error {
        PeopleError::Order(OrderError::Signature | OrderError::Claims(_)) => StatusCode::FORBIDDEN,
        PeopleError::Order(_) => StatusCode::BAD_REQUEST,
        PeopleError::NotOrdered(_)
        | PeopleError::Trust(TrustError::Authority(CaError::NotIssued(_))) => StatusCode::NOT_FOUND,
        PeopleError::Trust(TrustError::Authority(CaError::OrderDiffers)) => StatusCode::CONFLICT,
        PeopleError::Trust(TrustError::Authority(CaError::Revoked)) => StatusCode::GONE,
        PeopleError::Trust(TrustError::Authority(
            CaError::Key(_) | CaError::OwnKey | CaError::Subject | CaError::Validity,
        )) => StatusCode::BAD_REQUEST,
        PeopleError::Trust(_) => {
            tracing::error!(%error, "an order was not carried out");
            return Reply::refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "the authority fails; repeat it later\n",
            );
        }
    };
    tracing::warn!(%error, "an order was refused");
    Reply::refused(status, format!("{error}\n"))
}
