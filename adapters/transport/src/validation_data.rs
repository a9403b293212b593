//! What makes signed documents last, fetched over HTTP: time-stamps (RFC 3161) and certificate statuses (RFC 6960).
//!
//! What is needed and what is made of it is decided in `document-signature`; here authorities and responders are asked.

use std::time::Duration;

use document_signature::{Archiving, ExtendError, Needs, Trust, extend, needs};
use pki::ocsp::{self, Freshness};
use pki::tsp::{self, Token};
use pki::{Certificate, DigestAlgorithm};
use time::OffsetDateTime;

use crate::http_client::{HttpClient, RequestOptions};

/// Largest answer of a responder or authority, in bytes.
const MAXIMUM_ANSWER: usize = 256 << 10;
/// For time-stamps over everything: stronger than what signatures use today, so that it ages later.
const DIGEST: DigestAlgorithm = DigestAlgorithm::Sha512;

/// Why a document does not get what makes it last.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// An authority or responder did not answer, or not usably. Try again, or ask its operator.
    #[error("{what} from {url}: {reason}")]
    Answer {
        /// What was asked for.
        what: String,
        /// Where.
        url: String,
        /// Why there is nothing usable.
        reason: String,
    },
    /// A certificate names no responder: nothing shows later that it was good. Its authority must issue another.
    #[error(
        "the certificate of {0} names no OCSP responder, so nothing can show later that it was good; \
         its authority must issue one that does"
    )]
    NoResponder(String),
    /// The document does not take it.
    #[error(transparent)]
    Document(#[from] ExtendError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// Whom to ask.
#[derive(Debug, Clone)]
pub struct Sources {
    client: HttpClient,
    options: RequestOptions,
    time_stamping: String,
}

impl Sources {
    /// A time-stamping authority; statuses are asked of the responders that certificates name.
    #[must_use]
    pub fn new(client: HttpClient, time_stamping: impl Into<String>) -> Self {
        Self {
            client,
            options: RequestOptions::default()
                .with_timeouts(Duration::from_secs(20), Duration::from_secs(60))
                .with_total(Duration::from_secs(120)),
            time_stamping: time_stamping.into(),
        }
    }

    /// Asks for a time-stamp, with a random nonce if the request has none. It answers this request; whether its authority
    /// is one to trust is for the verifier.
    ///
    /// # Errors
    /// [`SourceError::Answer`].
    pub async fn stamp(&self, request: tsp::Request) -> Result<Token, SourceError> {
        let request = if request.nonce.is_some() {
            request
        } else {
            let mut nonce = [0; 16];
            getrandom::fill(&mut nonce).map_err(|_| SourceError::Random)?;
            request.with_nonce(&nonce)
        };
        let url = self.time_stamping.as_str();
        let failed = |reason: &dyn std::fmt::Display| SourceError::Answer {
            what: "the time-stamp".to_owned(),
            url: url.to_owned(),
            reason: reason.to_string(),
        };
        let types = ("application/timestamp-query", "application/timestamp-reply");
        let answer = self
            .client
            .post(url, types, request.encode(), &self.options, MAXIMUM_ANSWER)
            .await
            .map_err(|error| failed(&error))?;
        let token = tsp::decode_response(&answer).map_err(|error| failed(&error))?;
        token
            .check_nonce(&request)
            .map_err(|error| failed(&error))?;
        Ok(token)
    }

    /// The statuses that a document needs, each verified before it goes in.
    ///
    /// # Errors
    /// [`SourceError::Answer`], [`SourceError::NoResponder`].
    pub async fn statuses(
        &self,
        needs: &Needs,
        now: OffsetDateTime,
    ) -> Result<Vec<Vec<u8>>, SourceError> {
        let mut statuses = Vec::new();
        for (certificate, issuer) in &needs.statuses {
            let Some(url) = certificate.ocsp_url() else {
                let subject = certificate.subject().to_string();
                return Err(SourceError::NoResponder(subject));
            };
            statuses.push(self.status(url, certificate, issuer, now).await?);
        }
        Ok(statuses)
    }

    async fn status(
        &self,
        url: &str,
        certificate: &Certificate,
        issuer: &Certificate,
        now: OffsetDateTime,
    ) -> Result<Vec<u8>, SourceError> {
        let failed = |reason: &dyn std::fmt::Display| SourceError::Answer {
            what: format!("the status of {}", certificate.subject()),
            url: url.to_owned(),
            reason: reason.to_string(),
        };
        let request = ocsp::Request::for_certificate(certificate, issuer).encode();
        let types = ("application/ocsp-request", "application/ocsp-response");
        let answer = self
            .client
            .post(url, types, request, &self.options, MAXIMUM_ANSWER)
            .await
            .map_err(|error| failed(&error))?;
        let response = ocsp::Response::decode(&answer).map_err(|error| failed(&error))?;
        match response.verify(certificate, issuer, &[], now, &Freshness::default()) {
            // A signer who was revoked after signing is a matter for the verdict, not for us.
            Ok(_) | Err(ocsp::OcspError::Revoked { .. }) => Ok(answer.to_vec()),
            Err(error) => Err(failed(&error)),
        }
    }

    /// The document with the statuses of its certificates and a new time-stamp over everything (B-LTA). Whoever keeps
    /// the result verifies it first.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn archived(
        &self,
        document: &[u8],
        trust: &Trust,
        now: OffsetDateTime,
    ) -> Result<Vec<u8>, SourceError> {
        let needs = needs(document, trust)?;
        let statuses = self.statuses(&needs, now).await?;
        let extended = extend(document, &needs.certificates, &statuses, now)?;
        let archiving = Archiving::new(&extended)?;
        let mut tokens = Vec::new();
        for request in archiving.requests(DIGEST)? {
            tokens.push(self.stamp(request).await?);
        }
        Ok(archiving.finish(&tokens, now)?)
    }
}
