//! Identity cards: whose certificate it is that a browser presented in TLS.
//!
//! The certificate's own authority is among the named ones and signed it; it is in its time, for TLS clients and for
//! digital signatures; the authority's responder says that it is good; and its subject holds the number as
//! `PNOKG-` and 14 digits (ETSI EN 319 412-1, 5.1.3). That the card's PIN was typed, the card's own key says by TLS.

use id_registry::PersonalNumber;
use pki::Certificate;
use pki::ocsp::{self, Freshness};
use time::OffsetDateTime;
use transport::{HttpClient, RequestOptions};

use crate::certificates::for_clients;

/// How numbers of this country begin in `serialNumber`.
const NUMBER: &str = "PNOKG-";
/// Longest answer of a responder, in bytes.
const LONGEST_STATUS: usize = 64 * 1024;

/// Why a certificate is no identity card.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// There is none, or another kind of certificate. The fault is the person's.
    #[error("this is not the certificate of an identity card: {0}")]
    Not(&'static str),
    /// It was revoked.
    #[error("the card was revoked")]
    Revoked,
    /// Whether it is good cannot be found out. The fault is the server's, or of the authority's responder.
    #[error("whether the card is good cannot be found out: {0}")]
    Status(String),
}

/// The authorities that issue identity cards, and their responder.
#[derive(Debug, Clone)]
pub struct Cards {
    /// The issuing authorities.
    pub authorities: Vec<Certificate>,
    /// A responder instead of the one that a card names.
    pub responder: Option<String>,
    /// Asks responders.
    pub http: HttpClient,
    /// With these limits.
    pub options: RequestOptions,
}

impl Cards {
    /// The number of the card's holder.
    ///
    /// # Errors
    /// See [`CardError`].
    pub async fn holder(
        &self,
        certificate: Option<&[u8]>,
        now: OffsetDateTime,
    ) -> Result<PersonalNumber, CardError> {
        let der = certificate.ok_or(CardError::Not("none was presented"))?;
        let (card, issuer) = for_clients(der, &self.authorities, now).map_err(CardError::Not)?;
        let number = card
            .subject()
            .get("serialNumber")
            .and_then(|text| text.strip_prefix(NUMBER))
            .and_then(|digits| digits.parse().ok())
            .ok_or(CardError::Not("it holds no personal number"))?;
        self.status(&card, issuer, now).await?;
        Ok(number)
    }

    async fn status(
        &self,
        card: &Certificate,
        issuer: &Certificate,
        now: OffsetDateTime,
    ) -> Result<(), CardError> {
        let url = self.responder.as_deref().or(card.ocsp_url());
        let url = url.ok_or_else(|| CardError::Status("no responder is named".to_owned()))?;
        let request = ocsp::Request::for_certificate(card, issuer).encode();
        let types = ("application/ocsp-request", "application/ocsp-response");
        let unknown = |error: &dyn std::fmt::Display| CardError::Status(error.to_string());
        let answer = self
            .http
            .post(url, types, request, &self.options, LONGEST_STATUS)
            .await
            .map_err(|error| unknown(&error))?;
        let response = ocsp::Response::decode(&answer).map_err(|error| unknown(&error))?;
        match response.verify(card, issuer, &[], now, &Freshness::default()) {
            Ok(_) => Ok(()),
            Err(ocsp::OcspError::Revoked { .. }) => Err(CardError::Revoked),
            Err(error) => Err(unknown(&error)),
        }
    }
}
