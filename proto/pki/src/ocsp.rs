//! Online certificate status (RFC 6960) as X-Road uses it (C3, C4): one
//! certificate a request, SHA-1 CertIDs, no nonce needed.

use std::ops::Range;

use time::{Duration, OffsetDateTime};

use crate::algorithm::{SignatureAlgorithm, read_digest};
use crate::certificate::{
    Certificate, CertificateError, KeyPurpose, LegacyDigests, MAX_SERIAL_LENGTH,
};
use crate::der::{self, DerError, Reader, Writer};
use crate::digest::{Digest, DigestAlgorithm};
use crate::name::Name;

mod build;

pub use build::{build, build_refusal};

/// Longest request that is decoded, in bytes.
pub const MAX_REQUEST_LENGTH: usize = 16 * 1024;
/// Longest response that is decoded, in bytes.
pub const MAX_RESPONSE_LENGTH: usize = 128 * 1024;
/// Most certificates that one request or response may be about.
pub const MAX_CERTIFICATES: usize = 64;
/// Longest nonce (RFC 9654 section 2.1).
pub const MAX_NONCE_LENGTH: usize = 128;

/// id-pkix-ocsp-basic.
const BASIC_RESPONSE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// id-pkix-ocsp-nonce.
const NONCE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];

/// Names a certificate by hashes of its issuer's name and key and its serial number (RFC 6960 section 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateId {
    algorithm: Option<DigestAlgorithm>,
    issuer_name_hash: Vec<u8>,
    issuer_key_hash: Vec<u8>,
    serial: Vec<u8>,
    // As received, because a response repeats it.
    der: Vec<u8>,
}

impl CertificateId {
    /// The identifier with SHA-1, which X-Road demands (T-OC-3). `serial` is the contents octets of the INTEGER.
    pub fn sha1(issuer: &Certificate, serial: &[u8]) -> Self {
        let algorithm = DigestAlgorithm::Sha1;
        let name_hash = algorithm.digest(issuer.subject().der());
        let key_hash = issuer.public_key().key_identifier();
        let der = Writer::sequence_of(|writer| {
            writer.sequence(|writer| {
                writer.oid(algorithm.oid());
                writer.null();
            });
            writer.octet_string(name_hash.as_ref());
            writer.octet_string(key_hash.as_ref());
            writer.primitive(der::INTEGER, serial);
        });
        CertificateId {
            algorithm: Some(algorithm),
            issuer_name_hash: name_hash.as_ref().to_vec(),
            issuer_key_hash: key_hash.as_ref().to_vec(),
            serial: serial.to_vec(),
            der,
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DerError> {
        let element = reader.expect(der::SEQUENCE)?;
        let mut fields = element.reader();
        let algorithm = read_digest(&mut fields)?;
        let issuer_name_hash = fields.octet_string()?.to_vec();
        let issuer_key_hash = fields.octet_string()?.to_vec();
        let serial = fields.integer()?.to_vec();
        fields.finish()?;
        if serial.len() > MAX_SERIAL_LENGTH {
            return Err(DerError::Contents);
        }
        Ok(CertificateId {
            algorithm,
            issuer_name_hash,
            issuer_key_hash,
            serial,
            der: element.whole.to_vec(),
        })
    }

    /// The serial number's contents octets.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Whether `issuer` is the issuer that is named.
    pub fn is_issuer(&self, issuer: &Certificate) -> bool {
        self.algorithm.is_some_and(|algorithm| {
            algorithm.digest(issuer.subject().der()).as_ref() == self.issuer_name_hash
                && algorithm.digest(issuer.public_key().key_octets()).as_ref()
                    == self.issuer_key_hash
        })
    }

    /// Whether `certificate`, issued by `issuer`, is the one that is named.
    pub fn names(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        self.serial == certificate.serial() && self.is_issuer(issuer)
    }
}

/// A request for the status of certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The certificates asked about.
    pub certificates: Vec<CertificateId>,
    /// A nonce that the response shall repeat; X-Road sends none.
    pub nonce: Option<Vec<u8>>,
}

impl Request {
    /// The request that X-Road makes for one certificate.
    pub fn for_certificate(certificate: &Certificate, issuer: &Certificate) -> Self {
        Request {
            certificates: vec![CertificateId::sha1(issuer, certificate.serial())],
            nonce: None,
        }
    }

    /// The request in DER.
    pub fn encode(&self) -> Vec<u8> {
        // OCSPRequest ::= SEQUENCE { tbsRequest SEQUENCE { requestList, requestExtensions [2] } }
        Writer::sequence_of(|writer| {
            writer.sequence(|writer| {
                writer.sequence(|writer| {
                    for certificate in &self.certificates {
                        writer.sequence(|writer| writer.raw(&certificate.der));
                    }
                });
                if let Some(nonce) = &self.nonce {
                    writer.constructed(der::context(2), |writer| write_nonce(writer, nonce));
                }
            });
        })
    }

    /// Decodes a request; a requester's signature is ignored.
    ///
    /// # Errors
    /// If it is not DER of a request, or beyond the limits of this module.
    pub fn decode(request: &[u8]) -> Result<Self, DerError> {
        if request.len() > MAX_REQUEST_LENGTH {
            return Err(DerError::Length);
        }
        let mut outer = Reader::new(request);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        let mut tbs = fields.sequence()?;
        fields.optional(der::context(0))?;
        fields.finish()?;
        // version [0], requestorName [1]
        tbs.optional(der::context(0))?;
        tbs.optional(der::context(1))?;
        let mut list = tbs.sequence()?;
        let mut certificates = Vec::new();
        while !list.is_empty() {
            if certificates.len() >= MAX_CERTIFICATES {
                return Err(DerError::Contents);
            }
            let mut single = list.sequence()?;
            certificates.push(CertificateId::read(&mut single)?);
            single.optional(der::context(0))?;
            single.finish()?;
        }
        let nonce = match tbs.optional(der::context(2))? {
            Some(tagged) => read_nonce(tagged.reader())?,
            None => None,
        };
        tbs.finish()?;
        if certificates.is_empty() {
            return Err(DerError::Contents);
        }
        Ok(Request {
            certificates,
            nonce,
        })
    }
}

/// Extensions ::= SEQUENCE OF Extension, with the nonce alone.
fn write_nonce(writer: &mut Writer, nonce: &[u8]) {
    writer.sequence(|writer| {
        writer.sequence(|writer| {
            writer.oid(NONCE);
            writer.octet_string_of(|writer| writer.octet_string(nonce));
        });
    });
}

fn read_nonce(mut tagged: Reader<'_>) -> Result<Option<Vec<u8>>, DerError> {
    let mut extensions = tagged.sequence()?;
    tagged.finish()?;
    let mut nonce = None;
    while !extensions.is_empty() {
        let mut fields = extensions.sequence()?;
        let oid = fields.oid()?;
        fields.optional(der::BOOLEAN)?;
        let value = fields.octet_string()?;
        fields.finish()?;
        if oid == NONCE {
            // Old clients put the bare octets there, without the inner OCTET STRING.
            let octets = Reader::new(value).octet_string().unwrap_or(value);
            if octets.is_empty() || octets.len() > MAX_NONCE_LENGTH {
                return Err(DerError::Contents);
            }
            nonce = Some(octets.to_vec());
        }
    }
    Ok(nonce)
}

/// The responder's answer as a whole (RFC 6960 section 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseStatus {
    /// There is a signed answer.
    Successful,
    /// The request was not understood.
    MalformedRequest,
    /// The responder failed.
    InternalError,
    /// The responder is busy.
    TryLater,
    /// The request must be signed.
    SignatureRequired,
    /// The responder does not answer for this authority.
    Unauthorized,
}

impl ResponseStatus {
    const fn number(self) -> u8 {
        match self {
            ResponseStatus::Successful => 0,
            ResponseStatus::MalformedRequest => 1,
            ResponseStatus::InternalError => 2,
            ResponseStatus::TryLater => 3,
            ResponseStatus::SignatureRequired => 5,
            ResponseStatus::Unauthorized => 6,
        }
    }
}

/// The status of one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateStatus {
    /// Issued and not revoked.
    Good,
    /// Revoked, for ever.
    Revoked {
        /// When.
        at: OffsetDateTime,
        /// CRLReason (RFC 5280 section 5.3.1), if given.
        reason: Option<u8>,
    },
    /// The responder does not know the certificate.
    Unknown,
}

/// The status of one certificate with its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleResponse {
    /// Which certificate.
    pub certificate: CertificateId,
    /// Its status.
    pub status: CertificateStatus,
    /// When the status was known to be correct.
    pub this_update: OffsetDateTime,
    /// When newer information will be there, if announced.
    pub next_update: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ResponderId {
    Name(Name),
    KeyHash(Vec<u8>),
}

#[derive(Debug, Clone)]
struct Basic {
    tbs: Range<usize>,
    responder: ResponderId,
    produced_at: OffsetDateTime,
    singles: Vec<SingleResponse>,
    algorithm: Option<SignatureAlgorithm>,
    signature: Range<usize>,
    certificates: Vec<Certificate>,
    nonce: Option<Vec<u8>>,
}

/// A decoded response, not verified.
#[derive(Debug, Clone)]
pub struct Response {
    der: Vec<u8>,
    status: ResponseStatus,
    basic: Option<Basic>,
}

/// How old an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// `ocspFreshnessSeconds` of the shared parameters: most seconds since thisUpdate.
    pub max_age_seconds: u64,
    /// Most seconds that thisUpdate may lie ahead of our clock (T-OC-2; we bound what X-Road does not).
    pub max_ahead_seconds: u64,
    /// Whether a nextUpdate in the past is refused (`ocsp-nextupdate-params.xml`, default true).
    pub check_next_update: bool,
}

impl Default for Freshness {
    fn default() -> Self {
        Freshness {
            max_age_seconds: 3600,
            max_ahead_seconds: 300,
            check_next_update: true,
        }
    }
}

fn seconds(count: u64) -> Duration {
    Duration::seconds(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Why a response does not show that a certificate is good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OcspError {
    /// Not DER, not a basic response, or beyond the limits.
    #[error("not an OCSP response: {0}")]
    Malformed(#[from] DerError),
    /// A certificate within the response does not decode.
    #[error("a certificate in the OCSP response: {0}")]
    Certificate(#[from] CertificateError),
    /// The responder refused to answer.
    #[error("the OCSP responder answered {0:?}")]
    NotSuccessful(ResponseStatus),
    /// The response is about other certificates.
    #[error("the OCSP response is about another certificate")]
    WrongCertificate,
    /// The responder is neither configured, nor the issuer, nor delegated by the issuer.
    #[error("the OCSP responder is not authorised to answer for the issuer")]
    Unauthorised,
    /// The signature is wrong, or of an algorithm or key that is refused.
    #[error("the signature of the OCSP response is not valid")]
    BadSignature,
    /// thisUpdate is older than the freshness allows.
    #[error("the OCSP response is too old (thisUpdate {this_update})")]
    NotFresh {
        /// thisUpdate of the response.
        this_update: OffsetDateTime,
    },
    /// nextUpdate is over.
    #[error("a newer OCSP response should exist (nextUpdate {next_update})")]
    Outdated {
        /// nextUpdate of the response.
        next_update: OffsetDateTime,
    },
    /// thisUpdate is too far in the future: a clock is wrong.
    #[error("the OCSP response is from the future (thisUpdate {this_update})")]
    Ahead {
        /// thisUpdate of the response.
        this_update: OffsetDateTime,
    },
    /// The certificate is revoked.
    #[error("the certificate was revoked at {at}")]
    Revoked {
        /// When.
        at: OffsetDateTime,
    },
    /// The responder does not know the certificate.
    #[error("the OCSP responder does not know the certificate")]
    Unknown,
}

impl OcspError {
    /// Whether the status itself is bad (X-Road's `cert_validation`); otherwise the
    /// response is unusable (`incorrect_validation_info`).
    pub fn is_bad_status(&self) -> bool {
        matches!(self, OcspError::Revoked { .. } | OcspError::Unknown)
    }
}

/// Proof that a certificate was good: made only by [`Response::verify`]. It is
/// small and may be kept, so that later messages need no signature check:
/// ask [`Good::fresh_until`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Good {
    this_update: OffsetDateTime,
    next_update: Option<OffsetDateTime>,
}

impl Good {
    /// When the status was known to be correct.
    pub fn this_update(&self) -> OffsetDateTime {
        self.this_update
    }

    /// When newer information will be there, if announced.
    pub fn next_update(&self) -> Option<OffsetDateTime> {
        self.next_update
    }

    /// The last moment at which the proof is fresh.
    pub fn fresh_until(&self, freshness: &Freshness) -> OffsetDateTime {
        let by_age = self
            .this_update
            .saturating_add(seconds(freshness.max_age_seconds));
        match self.next_update {
            Some(next_update) if freshness.check_next_update => by_age.min(next_update),
            _ => by_age,
        }
    }

    /// Whether the proof is fresh at `now`.
    ///
    /// # Errors
    /// [`OcspError::NotFresh`], [`OcspError::Outdated`] or [`OcspError::Ahead`].
    pub fn check_fresh(&self, now: OffsetDateTime, freshness: &Freshness) -> Result<(), OcspError> {
        let this_update = self.this_update;
        if this_update > now.saturating_add(seconds(freshness.max_ahead_seconds)) {
            return Err(OcspError::Ahead { this_update });
        }
        if this_update.saturating_add(seconds(freshness.max_age_seconds)) < now {
            return Err(OcspError::NotFresh { this_update });
        }
        match self.next_update {
            Some(next_update) if freshness.check_next_update && next_update < now => {
                Err(OcspError::Outdated { next_update })
            }
            _ => Ok(()),
        }
    }
}

fn range_of(part: &[u8], whole: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

impl Response {
    /// Decodes a response.
    ///
    /// # Errors
    /// [`OcspError::Malformed`] or [`OcspError::Certificate`].
    pub fn decode(response: &[u8]) -> Result<Self, OcspError> {
        if response.len() > MAX_RESPONSE_LENGTH {
            return Err(DerError::Length.into());
        }
        // OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED, responseBytes [0] EXPLICIT OPTIONAL }
        let mut outer = Reader::new(response);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        let status = match fields.expect(der::ENUMERATED)?.contents {
            [0] => ResponseStatus::Successful,
            [1] => ResponseStatus::MalformedRequest,
            [2] => ResponseStatus::InternalError,
            [3] => ResponseStatus::TryLater,
            [5] => ResponseStatus::SignatureRequired,
            [6] => ResponseStatus::Unauthorized,
            _ => return Err(DerError::Contents.into()),
        };
        let bytes = fields.optional(der::context(0))?;
        fields.finish()?;
        let basic = match (status, bytes) {
            (ResponseStatus::Successful, Some(tagged)) => {
                // ResponseBytes ::= SEQUENCE { responseType, response OCTET STRING }
                let mut tagged = tagged.reader();
                let mut fields = tagged.sequence()?;
                tagged.finish()?;
                if fields.oid()? != BASIC_RESPONSE {
                    return Err(DerError::Contents.into());
                }
                let basic = fields.octet_string()?;
                fields.finish()?;
                Some(read_basic(basic, response)?)
            }
            (ResponseStatus::Successful, None) => return Err(DerError::Contents.into()),
            (_, _) => None,
        };
        Ok(Response {
            der: response.to_vec(),
            status,
            basic,
        })
    }

    /// The bytes as received.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The responder's answer as a whole.
    pub fn status(&self) -> ResponseStatus {
        self.status
    }

    /// The statuses in the response, unverified.
    pub fn singles(&self) -> &[SingleResponse] {
        self.basic.as_ref().map_or(&[], |basic| &basic.singles)
    }

    /// When the response was signed, unverified.
    pub fn produced_at(&self) -> Option<OffsetDateTime> {
        self.basic.as_ref().map(|basic| basic.produced_at)
    }

    /// The nonce, unverified.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.basic.as_ref()?.nonce.as_deref()
    }

    /// The certificates that the responder sent along.
    pub fn certificates(&self) -> &[Certificate] {
        self.basic.as_ref().map_or(&[], |basic| &basic.certificates)
    }

    /// Whether the response is about `certificate`, issued by `issuer` (T-OC-4).
    pub fn names(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        self.singles()
            .iter()
            .any(|single| single.certificate.names(certificate, issuer))
    }

    /// Verifies that the response shows `certificate`, issued by `issuer`, to be
    /// good at `now`. `responders` are the certificates configured for this
    /// authority; they need no OCSPSigning purpose (T-OC-5). SHA-1 is refused.
    ///
    /// # Errors
    /// See [`OcspError`].
    pub fn verify(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        responders: &[Certificate],
        now: OffsetDateTime,
        freshness: &Freshness,
    ) -> Result<Good, OcspError> {
        self.verify_with(
            certificate,
            issuer,
            responders,
            now,
            freshness,
            LegacyDigests::Refuse,
        )
    }

    /// As [`Self::verify`], with a choice about SHA-1 in the signature.
    ///
    /// # Errors
    /// See [`OcspError`].
    pub fn verify_with(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        responders: &[Certificate],
        now: OffsetDateTime,
        freshness: &Freshness,
        legacy: LegacyDigests,
    ) -> Result<Good, OcspError> {
        let basic = self
            .basic
            .as_ref()
            .ok_or(OcspError::NotSuccessful(self.status))?;
        let single = basic
            .singles
            .iter()
            .find(|single| single.certificate.names(certificate, issuer))
            .ok_or(OcspError::WrongCertificate)?;
        self.verify_signature(basic, issuer, responders, now, legacy)?;
        let good = Good {
            this_update: single.this_update,
            next_update: single.next_update,
        };
        good.check_fresh(now, freshness)?;
        match single.status {
            CertificateStatus::Good => Ok(good),
            CertificateStatus::Revoked { at, .. } => Err(OcspError::Revoked { at }),
            CertificateStatus::Unknown => Err(OcspError::Unknown),
        }
    }

    fn verify_signature(
        &self,
        basic: &Basic,
        issuer: &Certificate,
        responders: &[Certificate],
        now: OffsetDateTime,
        legacy: LegacyDigests,
    ) -> Result<(), OcspError> {
        let algorithm = basic
            .algorithm
            .filter(|algorithm| legacy.accept(*algorithm))
            .ok_or(OcspError::BadSignature)?;
        let names_responder = |candidate: &&Certificate| match &basic.responder {
            ResponderId::Name(name) => candidate.subject().matches_in_any_order(name),
            ResponderId::KeyHash(hash) => candidate.public_key().key_identifier().as_ref() == hash,
        };
        let mut failure = OcspError::Unauthorised;
        let trusted = responders.iter().chain([issuer]);
        let delegated = basic.certificates.iter();
        for (candidate, is_trusted) in trusted
            .map(|candidate| (candidate, true))
            .chain(delegated.map(|candidate| (candidate, false)))
            .filter(|(candidate, _)| names_responder(candidate))
        {
            let signed = candidate
                .public_key()
                .verify(
                    algorithm,
                    &self.der[basic.tbs.clone()],
                    &self.der[basic.signature.clone()],
                )
                .is_ok();
            if !signed {
                failure = OcspError::BadSignature;
                continue;
            }
            if is_trusted || is_delegated(candidate, issuer, now, legacy) {
                return Ok(());
            }
            failure = OcspError::Unauthorised;
        }
        Err(failure)
    }
}

/// Whether the issuer delegated its answers (RFC 6960 section 4.2.2.2).
fn is_delegated(
    responder: &Certificate,
    issuer: &Certificate,
    now: OffsetDateTime,
    legacy: LegacyDigests,
) -> bool {
    responder == issuer
        || (responder
            .extended_key_usages()
            .contains(&KeyPurpose::OcspSigning)
            && responder.valid_at(now)
            && !responder.has_unprocessed_extension()
            && responder.is_issued_by_with(issuer, legacy))
}

fn read_basic(basic: &[u8], whole: &[u8]) -> Result<Basic, OcspError> {
    // BasicOCSPResponse ::= SEQUENCE { tbsResponseData, signatureAlgorithm, signature, certs [0] }
    let mut outer = Reader::new(basic);
    let mut fields = outer.sequence()?;
    outer.finish()?;
    let tbs = fields.expect(der::SEQUENCE)?;
    let algorithm = SignatureAlgorithm::read(fields.sequence()?)?;
    let signature = fields.bit_string()?;
    let mut certificates = Vec::new();
    if let Some(tagged) = fields.optional(der::context(0))? {
        let mut tagged = tagged.reader();
        let mut list = tagged.sequence()?;
        tagged.finish()?;
        while !list.is_empty() {
            if certificates.len() >= MAX_CERTIFICATES {
                return Err(DerError::Contents.into());
            }
            certificates.push(Certificate::decode(list.expect(der::SEQUENCE)?.whole)?);
        }
    }
    fields.finish()?;

    // ResponseData ::= SEQUENCE { version [0], responderID, producedAt, responses, responseExtensions [1] }
    let mut fields = tbs.reader();
    fields.optional(der::context(0))?;
    let responder = fields.element()?;
    let responder = match responder.tag {
        tag if tag == der::context(1) => ResponderId::Name(Name::decode(responder.contents)?),
        tag if tag == der::context(2) => {
            ResponderId::KeyHash(responder.reader().octet_string()?.to_vec())
        }
        found => {
            return Err(DerError::UnexpectedTag {
                expected: der::context(1),
                found,
            }
            .into());
        }
    };
    let produced_at = fields.generalized_time()?;
    let mut list = fields.sequence()?;
    let mut singles = Vec::new();
    while !list.is_empty() {
        if singles.len() >= MAX_CERTIFICATES {
            return Err(DerError::Contents.into());
        }
        singles.push(read_single(list.sequence()?)?);
    }
    let nonce = match fields.optional(der::context(1))? {
        Some(tagged) => read_nonce(tagged.reader())?,
        None => None,
    };
    fields.finish()?;
    Ok(Basic {
        tbs: range_of(tbs.whole, whole),
        responder,
        produced_at,
        singles,
        algorithm,
        signature: range_of(signature, whole),
        certificates,
        nonce,
    })
}

fn read_single(mut fields: Reader<'_>) -> Result<SingleResponse, DerError> {
    // SingleResponse ::= SEQUENCE { certID, certStatus, thisUpdate, nextUpdate [0], singleExtensions [1] }
    let certificate = CertificateId::read(&mut fields)?;
    let status = fields.element()?;
    let status = match status.tag {
        tag if tag == der::context_primitive(0) => CertificateStatus::Good,
        tag if tag == der::context(1) => {
            let mut revoked = status.reader();
            let at = revoked.generalized_time()?;
            let reason = match revoked.optional(der::context(0))? {
                Some(tagged) => tagged
                    .reader()
                    .expect(der::ENUMERATED)?
                    .contents
                    .first()
                    .copied(),
                None => None,
            };
            revoked.finish()?;
            CertificateStatus::Revoked { at, reason }
        }
        tag if tag == der::context_primitive(2) => CertificateStatus::Unknown,
        _ => return Err(DerError::Contents),
    };
    let this_update = fields.generalized_time()?;
    let next_update = match fields.optional(der::context(0))? {
        Some(tagged) => Some(tagged.reader().generalized_time()?),
        None => None,
    };
    fields.optional(der::context(1))?;
    fields.finish()?;
    Ok(SingleResponse {
        certificate,
        status,
        this_update,
        next_update,
    })
}

/// The key under which a verified response may be kept: SHA-256 over response,
/// certificate and issuer. What verified once verifies again until
/// [`Good::fresh_until`], as long as the configured responders stay the same.
pub fn cache_key(response: &[u8], certificate: &Certificate, issuer: &Certificate) -> Digest {
    let mut hasher = DigestAlgorithm::Sha256.hasher();
    hasher.update(certificate.sha256().as_ref());
    hasher.update(issuer.sha256().as_ref());
    hasher.update(response);
    hasher.finish()
}
