//! The tampered message: a genuine one, signed with a Security Server's own
//! keys, in which one digit changes on its way to the peer.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{Method, Request};
use pki::{Certificate, DigestAlgorithm, Signer, ocsp};
use time::OffsetDateTime;
use transport::{
    Body, HttpClient, PeerCertificate, PeerClient, PeerClientSettings, PoolLimits, RequestOptions,
    Target, TlsIdentity,
};
use xmldsig::{SignatureTarget, SignatureTemplate};
use xroad_message::multipart::{Headers, boundary_from};
use xroad_message::transport::{
    CONTENT_TYPE_SOAP, HEADER_HASH_ALGORITHM, HEADER_ORIGINAL_CONTENT_TYPE, HEADER_PROXY_VERSION,
    HEADER_REQUEST_ID, PROXY_VERSION, TransportEncoder,
};

use crate::random;

/// Largest answer that is read.
const LARGEST_ANSWER: usize = 1 << 20;

/// The keys of a Security Server and of one of its members.
pub struct PeerKeys<'a> {
    /// Certificate and key with which it opens connections.
    pub identity: TlsIdentity,
    /// The same certificate.
    pub authentication: &'a Certificate,
    /// The member's signing certificate.
    pub signing: &'a Certificate,
    /// The member's signing key.
    pub signer: &'a dyn Signer,
    /// Who issued both certificates.
    pub authority: &'a Certificate,
    /// Where their status is asked.
    pub ocsp_url: &'a str,
}

/// A client of the message port that does what a Security Server does, and then less.
pub struct Interceptor<'a> {
    keys: PeerKeys<'a>,
    peer: PeerClient,
    authentication_status: Bytes,
    template: SignatureTemplate,
}

impl<'a> Interceptor<'a> {
    /// Prepares to send as the owner of `keys`.
    ///
    /// # Errors
    /// In words: the status of a certificate cannot be had, or TLS refuses the identity.
    pub async fn new(keys: PeerKeys<'a>) -> Result<Self, String> {
        let http = HttpClient::new(PoolLimits::default()).map_err(|error| error.to_string())?;
        let authentication_status = status(&http, &keys, keys.authentication).await?;
        let signing_status = status(&http, &keys, keys.signing).await?;
        let template = SignatureTemplate::new(
            keys.signing,
            &[signing_status],
            &[],
            keys.signer.algorithm(),
        );
        let peer = PeerClient::new(&keys.identity, PeerClientSettings::default())
            .map_err(|error| error.to_string())?;
        Ok(Self {
            keys,
            peer,
            authentication_status,
            template,
        })
    }

    /// Signs `message` and sends it to the Security Server `target`, after `change` has changed its
    /// bytes. Gives the body of the peer's answer.
    ///
    /// # Errors
    /// In words: the message cannot be signed, or the peer does not answer.
    pub async fn send(
        &self,
        target: &Target,
        message: &str,
        change: impl Fn(&str) -> String,
    ) -> Result<Bytes, String> {
        let digest = DigestAlgorithm::Sha512.digest(message.as_bytes());
        let signature = self
            .template
            .sign(
                self.keys.signer,
                &SignatureTarget::Message(&digest),
                OffsetDateTime::now_utc(),
            )
            .map_err(|error| error.to_string())?;
        let altered = change(message);
        let boundary = boundary_from("xtop", &random::bytes::<30>());
        let mut encoder =
            TransportEncoder::new(boundary, boundary_from("xatt", &random::bytes::<30>()));
        let mut body = BytesMut::new();
        encoder.ocsp_response(&mut body, &self.authentication_status);
        encoder.message(
            &mut body,
            CONTENT_TYPE_SOAP,
            &Headers::new(),
            altered.as_bytes(),
        );
        encoder.signature(&mut body, &signature);
        encoder.end(&mut body);
        let request = Request::builder()
            .method(Method::POST)
            .uri("/")
            .header(CONTENT_TYPE, encoder.content_type())
            .header(
                HeaderName::from_static(HEADER_HASH_ALGORITHM),
                DigestAlgorithm::Sha512.name(),
            )
            .header(HeaderName::from_static(HEADER_PROXY_VERSION), PROXY_VERSION)
            .header(
                HeaderName::from_static(HEADER_ORIGINAL_CONTENT_TYPE),
                CONTENT_TYPE_SOAP,
            )
            .header(HeaderName::from_static(HEADER_REQUEST_ID), random::uuid())
            .body(Body::full(body.freeze()))
            .map_err(|error| error.to_string())?;
        let anybody = |_: PeerCertificate| async { Ok::<(), std::convert::Infallible>(()) };
        let (response, (), _) = self
            .peer
            .request(std::slice::from_ref(target), request, anybody)
            .await
            .map_err(|error| format!("{target}: {error}"))?;
        response
            .into_body()
            .collect(LARGEST_ANSWER)
            .await
            .map_err(|error| format!("{target}: {error}"))
    }
}

async fn status(
    http: &HttpClient,
    keys: &PeerKeys<'_>,
    certificate: &Certificate,
) -> Result<Bytes, String> {
    let question = ocsp::Request::for_certificate(certificate, keys.authority).encode();
    let request = Request::builder()
        .method(Method::POST)
        .uri(keys.ocsp_url)
        .header(CONTENT_TYPE, "application/ocsp-request")
        .body(Body::full(question))
        .map_err(|error| error.to_string())?;
    let response = http
        .request(request, &RequestOptions::default())
        .await
        .map_err(|error| format!("{}: {error}", keys.ocsp_url))?;
    response
        .into_body()
        .collect(ocsp::MAX_RESPONSE_LENGTH)
        .await
        .map_err(|error| format!("{}: {error}", keys.ocsp_url))
}
