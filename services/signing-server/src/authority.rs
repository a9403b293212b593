//! The certification authority, asked over HTTP by signed orders.

use std::time::Duration;

use ca::{PersonOrder, RevocationReason, Sender, SignatureKind};
use http::Request;
use http::header::CONTENT_TYPE;
use jose::SigningKey;
use pki::Certificate;
use server_signing::Order;
use time::OffsetDateTime;
use tokio::runtime::Handle;
use transport::{Body, HttpClient, RequestOptions};

/// Longest answer, in bytes: a certificate.
const LONGEST_ANSWER: usize = 64 * 1024;
/// How often a call is made before it has failed. The same order gives the same certificate.
const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_millis(300);
/// Media type of a JWS (RFC 7515 section 9.2.1).
const JOSE: &str = "application/jose";

/// Why there is no certificate. The fault is not the person's.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthorityError {
    /// The key that signs orders failed.
    #[error("the key for orders of certificates failed: {0}")]
    Key(String),
    /// It does not answer, or refuses.
    #[error("the certification authority gives no answer that is of use: {0}")]
    Answer(String),
}

/// Whoever certifies people's keys. Called from threads that may block.
pub trait Authority: Send + Sync {
    /// The certificate of an order. `id` names the order for ever.
    ///
    /// # Errors
    /// See [`AuthorityError`].
    fn certify(
        &self,
        order: &Order,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<Certificate, AuthorityError>;

    /// Revokes a certificate.
    ///
    /// # Errors
    /// See [`AuthorityError`].
    fn revoke(
        &self,
        certificate: &Certificate,
        reason: RevocationReason,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<(), AuthorityError>;
}

/// An authority over HTTP.
pub struct RemoteAuthority {
    /// Where it is, without a slash at the end.
    pub url: String,
    /// What this service is called there.
    pub name: String,
    /// The key that signs orders.
    pub key: SigningKey,
    /// The authority's own certificate.
    pub certificate: Certificate,
    /// How it is reached.
    pub http: HttpClient,
    /// Time limits and TLS.
    pub options: RequestOptions,
    /// Drives the calls.
    pub runtime: Handle,
}

impl std::fmt::Debug for RemoteAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteAuthority")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl RemoteAuthority {
    fn sender(&self) -> Sender<'_> {
        Sender {
            name: &self.name,
            key: &self.key,
            authority: &self.certificate,
        }
    }

    fn post(&self, path: &str, body: &str) -> Result<Vec<u8>, AuthorityError> {
        self.runtime.block_on(async {
            let mut last = String::new();
            for attempt in 0..ATTEMPTS {
                if attempt > 0 {
                    tokio::time::sleep(PAUSE).await;
                }
                match self.posted(path, body).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => last = error,
                }
            }
            Err(AuthorityError::Answer(last))
        })
    }

    async fn posted(&self, path: &str, body: &str) -> Result<Vec<u8>, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let request = Request::post(format!("{}{path}", self.url))
            .header(CONTENT_TYPE, JOSE)
            .body(Body::full(body.to_owned()))
            .map_err(|error| words(&error))?;
        let answer = self
            .http
            .request(request, &self.options)
            .await
            .map_err(|error| words(&error))?;
        let status = answer.status();
        let body = answer
            .into_body()
            .collect(LONGEST_ANSWER)
            .await
            .map_err(|error| words(&error))?;
        if status.is_success() {
            Ok(body.to_vec())
        } else {
            Err(format!("status {status}"))
        }
    }
}

impl Authority for RemoteAuthority {
    fn certify(
        &self,
        order: &Order,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<Certificate, AuthorityError> {
        let wish = PersonOrder {
            request: &order.request,
            kind: SignatureKind::from(order.kind),
            number: order.holder.as_str(),
            surname: &order.surname,
            given_name: &order.given_name,
        };
        let signed = self
            .sender()
            .order(&wish, id, now)
            .map_err(|error| AuthorityError::Key(error.to_string()))?;
        let answer = self.post("/people/certificates", &signed)?;
        Certificate::decode(&answer).map_err(|error| AuthorityError::Answer(error.to_string()))
    }

    fn revoke(
        &self,
        certificate: &Certificate,
        reason: RevocationReason,
        id: &str,
        now: OffsetDateTime,
    ) -> Result<(), AuthorityError> {
        let signed = self
            .sender()
            .revocation(certificate, reason, id, now)
            .map_err(|error| AuthorityError::Key(error.to_string()))?;
        self.post("/people/revocations", &signed).map(drop)
    }
}
