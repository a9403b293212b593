//! Certificate status (OCSP): of our own certificates, which travels with our
//! messages, and of our peers', which we fetch when they do not send it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use globalconf::{Current, GlobalConfiguration};
use http::{Method, Request, Response, StatusCode, header};
use pki::Certificate;
use pki::ocsp::{Freshness, Response as OcspResponse};
use time::OffsetDateTime;
use transport::{Body, HttpClient, RequestOptions};
use xroad_message::certificate_status::{
    CertificateHash, decode_answer, decode_query, encode_answer, encode_query,
};

/// Longest status answer that is taken from a responder or peer.
const LONGEST: usize = 64 * 1024;

/// Status answers of one certificate's chain, that of the certificate first.
#[derive(Debug, Clone)]
pub struct ChainStatus {
    /// The answers in DER.
    pub answers: Vec<Bytes>,
    /// The last moment for which all are fresh.
    pub until: OffsetDateTime,
    /// When they were made, the oldest counting.
    pub made: OffsetDateTime,
}

fn freshness(configuration: &GlobalConfiguration) -> Freshness {
    Freshness {
        max_age_seconds: configuration.ocsp_freshness_seconds(),
        check_next_update: configuration.next_update_check(),
        ..Freshness::default()
    }
}

/// A certificate with the authorities above it, each with the responders of its issuer.
struct Link<'a> {
    subject: Certificate,
    issuer: Certificate,
    responders: Vec<Certificate>,
    urls: Vec<&'a str>,
}

fn chain<'a>(
    configuration: &'a GlobalConfiguration,
    instance: &str,
    certificate: &Certificate,
) -> Result<Vec<Link<'a>>, String> {
    let mut links = Vec::new();
    let mut subject = certificate.clone();
    for _ in 0..8 {
        let issuer = configuration
            .approved_ca_for(instance, &subject)
            .ok_or("no approved certification authority issued the certificate")?;
        links.push(Link {
            subject: subject.clone(),
            issuer: issuer.authority.certificate.clone(),
            responders: issuer.authority.responder_certificates().cloned().collect(),
            urls: issuer
                .authority
                .ocsp
                .iter()
                .map(|responder| responder.url.as_str())
                .filter(|url| !url.is_empty())
                .collect(),
        });
        if issuer.authority.certificate.der() == issuer.ca.top().der() {
            return Ok(links);
        }
        subject = issuer.authority.certificate.clone();
    }
    Err("the certificate's chain is too long".into())
}

/// The intermediate authorities between a certificate and its approved top.
///
/// # Errors
/// No approved authority issued it.
pub fn intermediates(
    configuration: &GlobalConfiguration,
    instance: &str,
    certificate: &Certificate,
) -> Result<Vec<Certificate>, String> {
    Ok(chain(configuration, instance, certificate)?
        .into_iter()
        .skip(1)
        .map(|link| link.subject)
        .collect())
}

/// Fetches and keeps the status of our own certificates.
pub struct OwnStatus {
    directory: PathBuf,
    http: HttpClient,
}

impl OwnStatus {
    /// Answers are kept in `directory`, so that a restart needs no responder.
    pub fn new(directory: PathBuf, http: HttpClient) -> Self {
        Self { directory, http }
    }

    /// The status of `certificate` from what is kept on disk, if it is all there and fresh.
    pub fn stored(
        &self,
        configuration: &GlobalConfiguration,
        instance: &str,
        certificate: &Certificate,
        now: OffsetDateTime,
    ) -> Option<ChainStatus> {
        let mut status = ChainStatus {
            answers: Vec::new(),
            until: certificate.not_after(),
            made: now,
        };
        for link in chain(configuration, instance, certificate).ok()? {
            let answer = std::fs::read(self.file(&link.subject)).ok()?;
            add(&mut status, &link, answer.into(), configuration, now).ok()?;
        }
        Some(status)
    }

    /// Asks the responders for the status of `certificate` and of the authorities above it (C3).
    ///
    /// # Errors
    /// No responder gave a good and fresh answer.
    pub async fn fetch(
        &self,
        configuration: &GlobalConfiguration,
        instance: &str,
        certificate: &Certificate,
        now: OffsetDateTime,
    ) -> Result<ChainStatus, String> {
        let mut status = ChainStatus {
            answers: Vec::new(),
            until: certificate.not_after(),
            made: now,
        };
        for link in chain(configuration, instance, certificate)? {
            let mut failure =
                "the certification authority has no OCSP responder in the global configuration"
                    .to_owned();
            let mut done = false;
            for url in &link.urls {
                match self.ask(url, &link).await {
                    Ok(answer) => match add(&mut status, &link, answer.clone(), configuration, now)
                    {
                        Ok(()) => {
                            if let Err(error) = self.keep(&link.subject, &answer) {
                                tracing::warn!(%error, "a certificate status could not be kept on disk");
                            }
                            done = true;
                            break;
                        }
                        Err(error) => failure = format!("{url}: {error}"),
                    },
                    Err(error) => failure = format!("{url}: {error}"),
                }
            }
            if !done {
                return Err(failure);
            }
        }
        Ok(status)
    }

    async fn ask(&self, url: &str, link: &Link<'_>) -> Result<Bytes, String> {
        let body = pki::ocsp::Request::for_certificate(&link.subject, &link.issuer).encode();
        let options = RequestOptions::default()
            .with_timeouts(Duration::from_secs(20), Duration::from_secs(60));
        let types = ("application/ocsp-request", "application/ocsp-response");
        self.http
            .post(url, types, body, &options, LONGEST)
            .await
            .map_err(|error| error.to_string())
    }

    fn file(&self, certificate: &Certificate) -> PathBuf {
        self.directory.join(format!(
            "{}.der",
            hex::encode(certificate.sha256().as_ref())
        ))
    }

    fn keep(&self, certificate: &Certificate, answer: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let file = self.file(certificate);
        let new = file.with_extension("new");
        std::fs::write(&new, answer)?;
        std::fs::rename(&new, &file)
    }
}

fn add(
    status: &mut ChainStatus,
    link: &Link<'_>,
    answer: Bytes,
    configuration: &GlobalConfiguration,
    now: OffsetDateTime,
) -> Result<(), String> {
    let freshness = freshness(configuration);
    let good = OcspResponse::decode(&answer)
        .and_then(|response| {
            response.verify(
                &link.subject,
                &link.issuer,
                &link.responders,
                now,
                &freshness,
            )
        })
        .map_err(|error| error.to_string())?;
    status.until = status.until.min(good.fresh_until(&freshness));
    status.made = status.made.min(good.this_update());
    status.answers.push(answer);
    Ok(())
}

/// Status answers of peers, by the SHA-256 of their certificate.
#[derive(Default)]
pub struct PeerStatus {
    known: Mutex<HashMap<Vec<u8>, Arc<Vec<Bytes>>>>,
}

impl PeerStatus {
    /// What is known of a certificate's chain, fresh or not.
    pub fn known(&self, certificate: &Certificate) -> Arc<Vec<Bytes>> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(certificate.sha256().as_ref())
            .cloned()
            .unwrap_or_default()
    }

    /// Keeps answers that proved good.
    pub fn keep(&self, certificate: &Certificate, answers: Arc<Vec<Bytes>>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= 4096 {
            known.clear();
        }
        known.insert(certificate.sha256().as_ref().to_vec(), answers);
    }

    /// Asks the peer's status port for the chain of its certificate (O1, O2). Both
    /// hashes are sent, since servers up to 7.x read the one and from 8 the other.
    ///
    /// # Errors
    /// The peer gave no usable answer; the text is for our log.
    pub async fn fetch(
        &self,
        http: &HttpClient,
        configuration: &Current,
        certificate: &Certificate,
        instance: &str,
        address: &str,
        port: u16,
    ) -> Result<Arc<Vec<Bytes>>, String> {
        let subjects: Vec<Certificate> = chain(configuration, instance, certificate)?
            .into_iter()
            .map(|link| link.subject)
            .collect();
        let hashes: Vec<([u8; 20], [u8; 32])> = subjects
            .iter()
            .map(|subject| {
                (
                    array(subject.sha1().as_ref()),
                    array(subject.sha256().as_ref()),
                )
            })
            .collect();
        let query = encode_query(hashes.iter().map(|(short, long)| (short, long)));
        let request = Request::builder()
            .uri(format!("http://{}:{port}{query}", host(address)))
            .body(Body::empty())
            .map_err(|error| error.to_string())?;
        let options = RequestOptions::default()
            .with_timeouts(Duration::from_secs(20), Duration::from_secs(30));
        let response = http
            .request(request, &options)
            .await
            .map_err(|error| error.to_string())?;
        if response.status() != StatusCode::OK {
            return Err(format!("HTTP status {}", response.status()));
        }
        let content_type = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let body = response
            .into_body()
            .collect(LONGEST * 8)
            .await
            .map_err(|error| error.to_string())?;
        decode_answer(&content_type, body, subjects.len())
            .map(Arc::new)
            .map_err(|error| error.to_string())
    }
}

/// A registered address as the host of a URL: an IPv6 address stands in brackets.
fn host(address: &str) -> String {
    if address.contains(':') && !address.starts_with('[') {
        format!("[{address}]")
    } else {
        address.to_owned()
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    let length = N.min(bytes.len());
    array[..length].copy_from_slice(&bytes[..length]);
    array
}

/// Answers a request to the status port (O2, O3): `chain` are our authentication
/// certificate and the authorities above it with their status answers.
pub fn serve(request: &Request<Body>, chain: &[(Certificate, Bytes)]) -> Response<Body> {
    if request.method() == Method::HEAD {
        return Response::new(Body::empty());
    }
    if request.method() != Method::GET {
        return plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "Only GET and HEAD can be used here.",
        );
    }
    let asked = match decode_query(request.uri().query()) {
        Ok(asked) => asked,
        Err(error) => return plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    let mut found = Vec::with_capacity(asked.len());
    for hash in &asked {
        let known = chain.iter().find(|(certificate, _)| match hash {
            CertificateHash::Sha1(hash) => certificate.sha1().as_ref() == hash,
            CertificateHash::Sha256(hash) => certificate.sha256().as_ref() == hash,
        });
        let Some((_, answer)) = known else {
            return plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "This server has no status of that certificate.",
            );
        };
        found.push(&answer[..]);
    }
    let (boundary, _) = crate::random::new_boundaries();
    let (content_type, body) = encode_answer(&boundary, found);
    let mut response = Response::new(Body::full(body));
    if let Ok(value) = content_type.parse() {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::full(
        format!("<html><body>{text}</body></html>").into_bytes(),
    ));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

/// Where status answers of a server are kept, beside its global configuration.
pub fn directory(globalconf: &Path) -> PathBuf {
    let mut name = globalconf.file_name().unwrap_or_default().to_owned();
    name.push("-status");
    globalconf.with_file_name(name)
}
