//! Time-stamps (RFC 3161, RFC 5816), client and authority.
//!
//! A token is a CMS SignedData (RFC 5652). Authorities' libraries write it in
//! BER with indefinite lengths too, so it is brought into definite form first.

use std::ops::Range;

use time::OffsetDateTime;

use crate::algorithm::{RSA_ENCRYPTION, SignatureAlgorithm, read_digest};
use crate::certificate::{
    Certificate, CertificateError, LegacyDigests, MAX_SERIAL_LENGTH, decimal,
};
use crate::der::{self, DerError, Reader, Writer};
use crate::digest::{Digest, DigestAlgorithm};
use crate::name::Name;
use crate::signed_data::{self, SignerInfo};

mod build;

pub(crate) use build::write_issuer_and_serial;
pub use build::{Failure, Stamp, StampError, build_refusal, build_response, build_token};

/// Longest request that is decoded, in bytes.
pub const MAX_REQUEST_LENGTH: usize = 4 * 1024;
/// Longest response or token that is decoded, in bytes.
pub const MAX_TOKEN_LENGTH: usize = 256 * 1024;
/// Most certificates in a token.
pub const MAX_CERTIFICATES: usize = 32;

/// id-signedData.
pub(crate) const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// id-ct-TSTInfo.
const TST_INFO: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04,
];
/// id-contentType.
pub(crate) const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
/// id-messageDigest.
pub(crate) const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
/// id-signingTime.
pub(crate) const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];
/// id-aa-signingCertificate, SHA-1 (RFC 2634).
const SIGNING_CERTIFICATE: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0c,
];
/// id-aa-signingCertificateV2 (RFC 5035).
pub(crate) const SIGNING_CERTIFICATE_V2: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f,
];

/// Why bytes are not a time-stamp request or token, or a token does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TspError {
    /// Not the ASN.1 of this structure, or beyond the limits.
    #[error("not a time-stamp: {0}")]
    Malformed(#[from] DerError),
    /// A certificate within the token does not decode.
    #[error("a certificate in the time-stamp: {0}")]
    Certificate(#[from] CertificateError),
    /// The authority refused; nothing is stamped.
    #[error("the time-stamping authority refused with status {status}: {text}")]
    Refused {
        /// PKIStatus (RFC 3161 section 2.4.2).
        status: u64,
        /// What the authority says about it.
        text: String,
    },
    /// The token stamps other data.
    #[error("the time-stamp is over other data")]
    WrongImprint,
    /// The token's nonce is not the request's.
    #[error("the time-stamp has another nonce than the request")]
    WrongNonce,
    /// The signer is not among the approved authorities.
    #[error("the signer of the time-stamp is not an approved authority")]
    UnknownSigner,
    /// The signature or a digest in it is wrong, or of an algorithm or key that is refused.
    #[error("the signature of the time-stamp is not valid")]
    BadSignature,
    /// A signed attribute that must be there is missing or says something else.
    #[error("a signed attribute of the time-stamp is missing or wrong")]
    Attributes,
    /// The authority's certificate was not valid at the stamped time.
    #[error("the time-stamping authority's certificate was not valid at the stamped time")]
    SignerNotValid,
}

/// A request for a time-stamp (RFC 3161 section 2.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Digest algorithm of the imprint; `None` if we do not know it.
    pub algorithm: Option<DigestAlgorithm>,
    /// Digest of the data.
    pub imprint: Digest,
    /// The policy asked for, dotted.
    pub policy: Option<String>,
    /// A number that the token shall repeat, contents octets of the INTEGER.
    pub nonce: Option<Vec<u8>>,
    /// Whether the token shall hold the authority's certificate.
    pub certificate_wanted: bool,
}

impl Request {
    /// The request that X-Road makes (A6): certificate wanted, no policy.
    pub fn new(algorithm: DigestAlgorithm, imprint: Digest) -> Self {
        Request {
            algorithm: Some(algorithm),
            imprint,
            policy: None,
            nonce: None,
            certificate_wanted: true,
        }
    }

    /// Adds a nonce from random octets.
    #[must_use]
    pub fn with_nonce(mut self, random: &[u8]) -> Self {
        let mut writer = Writer::new();
        writer.unsigned(random);
        self.nonce = Reader::new(&writer.into_bytes())
            .integer()
            .ok()
            .map(<[u8]>::to_vec);
        self
    }

    /// The request in DER.
    pub fn encode(&self) -> Vec<u8> {
        // TimeStampReq ::= SEQUENCE { version 1, messageImprint, reqPolicy, nonce, certReq DEFAULT FALSE, extensions [0] }
        Writer::sequence_of(|writer| {
            writer.small_integer(1);
            write_imprint(writer, self.algorithm, &self.imprint);
            if let Some(policy) = self.policy.as_deref().and_then(der::oid_from_text) {
                writer.oid(&policy);
            }
            if let Some(nonce) = &self.nonce {
                writer.primitive(der::INTEGER, nonce);
            }
            if self.certificate_wanted {
                writer.boolean(true);
            }
        })
    }

    /// Decodes a request.
    ///
    /// # Errors
    /// [`TspError::Malformed`].
    pub fn decode(request: &[u8]) -> Result<Self, TspError> {
        if request.len() > MAX_REQUEST_LENGTH {
            return Err(DerError::Length.into());
        }
        let mut outer = Reader::new(request);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        if fields.small_integer()? != 1 {
            return Err(DerError::Contents.into());
        }
        let (algorithm, imprint) = read_imprint(&mut fields)?;
        let policy = match fields.peek() {
            Some(der::OID) => Some(der::oid_text(fields.oid()?)),
            _ => None,
        };
        let nonce = match fields.peek() {
            Some(der::INTEGER) => Some(fields.integer()?.to_vec()),
            _ => None,
        };
        let certificate_wanted = match fields.peek() {
            Some(der::BOOLEAN) => fields.boolean()?,
            _ => false,
        };
        // An extension that we do not know may be refused (section 2.4.1); nobody sends any.
        fields.finish()?;
        Ok(Request {
            algorithm,
            imprint,
            policy,
            nonce,
            certificate_wanted,
        })
    }
}

fn write_imprint(writer: &mut Writer, algorithm: Option<DigestAlgorithm>, imprint: &Digest) {
    writer.sequence(|writer| {
        writer.sequence(|writer| {
            writer.oid(algorithm.unwrap_or(DigestAlgorithm::Sha512).oid());
            writer.null();
        });
        writer.octet_string(imprint.as_ref());
    });
}

fn read_imprint(fields: &mut Reader<'_>) -> Result<(Option<DigestAlgorithm>, Digest), DerError> {
    let mut imprint = fields.sequence()?;
    let algorithm = read_digest(&mut imprint)?;
    let value = imprint.octet_string()?;
    imprint.finish()?;
    if algorithm.is_some_and(|algorithm| algorithm.length() != value.len()) {
        return Err(DerError::Contents);
    }
    let digest = Digest::from_bytes(value).ok_or(DerError::Contents)?;
    Ok((algorithm, digest))
}

/// Decodes a TimeStampResp and gives its token.
///
/// # Errors
/// [`TspError::Refused`] unless the status is granted or grantedWithMods; A6 takes only those.
pub fn decode_response(response: &[u8]) -> Result<Token, TspError> {
    if response.len() > MAX_TOKEN_LENGTH {
        return Err(DerError::Length.into());
    }
    let response = der::to_definite(response)?;
    let mut outer = Reader::new(&response);
    let mut fields = outer.sequence()?;
    outer.finish()?;
    // PKIStatusInfo ::= SEQUENCE { status INTEGER, statusString SEQUENCE OF UTF8String, failInfo BIT STRING }
    let mut information = fields.sequence()?;
    let status = information.small_integer()?;
    let mut text = String::new();
    if let Some(strings) = information.optional(der::SEQUENCE)? {
        let mut strings = strings.reader();
        while !strings.is_empty() {
            let line = strings.element()?.contents;
            text.extend(
                String::from_utf8_lossy(line)
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(200),
            );
        }
    }
    if status > 1 {
        return Err(TspError::Refused { status, text });
    }
    let token = fields.expect(der::SEQUENCE)?;
    fields.finish()?;
    Token::decode(token.whole)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignerId {
    IssuerAndSerial(Name, Vec<u8>),
    KeyIdentifier(Vec<u8>),
}

impl SignerId {
    /// SignerIdentifier ::= CHOICE { issuerAndSerialNumber, subjectKeyIdentifier [0] } (RFC 5652 section 5.3).
    pub(crate) fn read(fields: &mut Reader<'_>) -> Result<Self, DerError> {
        let sid = fields.element()?;
        match sid.tag {
            der::SEQUENCE => {
                let mut pair = sid.reader();
                let issuer = Name::decode(pair.expect(der::SEQUENCE)?.whole)?;
                let serial = pair.integer()?.to_vec();
                pair.finish()?;
                Ok(SignerId::IssuerAndSerial(issuer, serial))
            }
            tag if tag == der::context_primitive(0) => {
                Ok(SignerId::KeyIdentifier(sid.contents.to_vec()))
            }
            _ => Err(DerError::Contents),
        }
    }

    pub(crate) fn names(&self, certificate: &Certificate) -> bool {
        match self {
            SignerId::IssuerAndSerial(issuer, serial) => {
                certificate.issuer().matches(issuer) && certificate.serial() == serial
            }
            SignerId::KeyIdentifier(identifier) => {
                certificate.subject_key_identifier() == Some(identifier.as_slice())
            }
        }
    }
}

/// A decoded time-stamp token, not verified.
#[derive(Debug, Clone)]
pub struct Token {
    der: Vec<u8>,
    info: Range<usize>,
    algorithm: Option<DigestAlgorithm>,
    imprint: Digest,
    policy: String,
    serial: Vec<u8>,
    time: OffsetDateTime,
    nonce: Option<Vec<u8>>,
    certificates: Vec<Certificate>,
    signer: SignerId,
    signer_digest: Option<DigestAlgorithm>,
    attributes: Range<usize>,
    signature_algorithm: Option<SignatureAlgorithm>,
    signature: Range<usize>,
}

/// What a verified token says. Made only by [`Token::verify`].
#[derive(Debug, Clone)]
pub struct TimeStamp {
    time: OffsetDateTime,
    serial: String,
    policy: String,
    signer: Certificate,
}

impl TimeStamp {
    /// The stamped time.
    pub fn time(&self) -> OffsetDateTime {
        self.time
    }

    /// The token's serial number in decimal.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The authority's policy, dotted.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// The approved authority that signed.
    pub fn signer(&self) -> &Certificate {
        &self.signer
    }
}

fn range_of(part: &[u8], whole: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

impl Token {
    /// Decodes a token: a bare ContentInfo, as `META-INF/timestamp.tst` and the
    /// XAdES time-stamp element hold it.
    ///
    /// # Errors
    /// [`TspError::Malformed`] or [`TspError::Certificate`].
    pub fn decode(token: &[u8]) -> Result<Self, TspError> {
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(DerError::Length.into());
        }
        let der = der::to_definite(token)?;
        let parsed = parse_token(&der)?;
        Ok(Token { der, ..parsed })
    }

    /// The token in definite form; what was DER is unchanged.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The stamped time, unverified.
    pub fn time(&self) -> OffsetDateTime {
        self.time
    }

    /// The nonce, unverified.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// Digest algorithm and digest of the stamped data, unverified.
    pub fn imprint(&self) -> (Option<DigestAlgorithm>, &Digest) {
        (self.algorithm, &self.imprint)
    }

    /// The certificates within the token.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Refuses a token that does not repeat the nonce of `request`.
    ///
    /// # Errors
    /// [`TspError::WrongNonce`].
    pub fn check_nonce(&self, request: &Request) -> Result<(), TspError> {
        if request.nonce.is_none() || request.nonce == self.nonce {
            Ok(())
        } else {
            Err(TspError::WrongNonce)
        }
    }

    /// Verifies the token over data with this digest. Its signer must be one of
    /// `approved` (`approvedTSA/cert` of the shared parameters). SHA-1 is refused.
    ///
    /// # Errors
    /// See [`TspError`].
    pub fn verify(
        &self,
        algorithm: DigestAlgorithm,
        imprint: &Digest,
        approved: &[Certificate],
    ) -> Result<TimeStamp, TspError> {
        self.verify_with(algorithm, imprint, approved, LegacyDigests::Refuse)
    }

    /// As [`Self::verify`], with a choice about SHA-1.
    ///
    /// # Errors
    /// See [`TspError`].
    pub fn verify_with(
        &self,
        algorithm: DigestAlgorithm,
        imprint: &Digest,
        approved: &[Certificate],
        legacy: LegacyDigests,
    ) -> Result<TimeStamp, TspError> {
        if self.algorithm != Some(algorithm) || &self.imprint != imprint {
            return Err(TspError::WrongImprint);
        }
        let signer = approved
            .iter()
            .find(|certificate| self.signer.names(certificate))
            .ok_or(TspError::UnknownSigner)?;
        let digest = self.signer_digest.ok_or(TspError::BadSignature)?;
        let signature_algorithm = self
            .signature_algorithm
            .filter(|algorithm| algorithm.digest() == digest)
            .filter(|signature| {
                legacy.accept(*signature)
                    && (legacy == LegacyDigests::AllowSha1 || !algorithm.is_weak())
            })
            .ok_or(TspError::BadSignature)?;
        let attributes = &self.der[self.attributes.clone()];
        self.check_attributes(Reader::new(attributes), digest, signer)?;
        // The signature covers the attributes as SET OF, not as the [0] that carries them (RFC 5652 section 5.4).
        let mut signed = Vec::with_capacity(attributes.len() + 4);
        der::write_element(&mut signed, der::SET, attributes);
        signer
            .public_key()
            .verify(
                signature_algorithm,
                &signed,
                &self.der[self.signature.clone()],
            )
            .map_err(|_| TspError::BadSignature)?;
        if !signer.valid_at(self.time) {
            return Err(TspError::SignerNotValid);
        }
        Ok(TimeStamp {
            time: self.time,
            serial: decimal(&self.serial),
            policy: self.policy.clone(),
            signer: signer.clone(),
        })
    }

    /// contentType and messageDigest must bind the TSTInfo, signingCertificate the signer.
    fn check_attributes(
        &self,
        mut attributes: Reader<'_>,
        digest: DigestAlgorithm,
        signer: &Certificate,
    ) -> Result<(), TspError> {
        let mut content_type = false;
        let mut message_digest = false;
        let mut signing_certificate = false;
        while !attributes.is_empty() {
            let mut attribute = attributes.sequence()?;
            let oid = attribute.oid()?;
            let mut values = attribute.expect(der::SET)?.reader();
            attribute.finish()?;
            match oid {
                CONTENT_TYPE => content_type = values.oid()? == TST_INFO,
                MESSAGE_DIGEST => {
                    let expected = digest.digest(&self.der[self.info.clone()]);
                    if values.octet_string()? != expected.as_ref() {
                        return Err(TspError::BadSignature);
                    }
                    message_digest = true;
                }
                SIGNING_CERTIFICATE | SIGNING_CERTIFICATE_V2 => {
                    let mut list = values.sequence()?.sequence()?;
                    let mut first = list.sequence()?;
                    let algorithm = if oid == SIGNING_CERTIFICATE {
                        DigestAlgorithm::Sha1
                    } else if first.peek() == Some(der::SEQUENCE) {
                        read_digest(&mut first)?.ok_or(TspError::Attributes)?
                    } else {
                        DigestAlgorithm::Sha256
                    };
                    if first.octet_string()? != algorithm.digest(signer.der()).as_ref() {
                        return Err(TspError::Attributes);
                    }
                    signing_certificate = true;
                }
                _ => {}
            }
        }
        if content_type && message_digest && signing_certificate {
            Ok(())
        } else {
            Err(TspError::Attributes)
        }
    }

    /// The token with `certificate` in it, if it is not there yet (A6).
    ///
    /// # Errors
    /// [`TspError::Malformed`] should the token not decode any more.
    pub fn with_certificate(self, certificate: &Certificate) -> Result<Self, TspError> {
        if self.certificates.contains(certificate) {
            return Ok(self);
        }
        let mut outer = Reader::new(&self.der).sequence()?;
        let content_type = outer.oid()?;
        let mut fields = outer.expect(der::context(0))?.reader().sequence()?;
        let before = [
            fields.expect(der::INTEGER)?,
            fields.expect(der::SET)?,
            fields.expect(der::SEQUENCE)?,
        ];
        let certificates = fields.optional(der::context(0))?;
        let behind = fields.rest();
        let token = Writer::sequence_of(|writer| {
            writer.oid(content_type);
            writer.constructed(der::context(0), |writer| {
                writer.sequence(|writer| {
                    for element in before {
                        writer.raw(element.whole);
                    }
                    writer.constructed(der::context(0), |writer| {
                        if let Some(certificates) = certificates {
                            writer.raw(certificates.contents);
                        }
                        writer.raw(certificate.der());
                    });
                    writer.raw(behind);
                });
            });
        });
        Token::decode(&token)
    }
}

fn parse_token(der: &[u8]) -> Result<Token, TspError> {
    let (mut content, rest) = signed_data::open(der)?;
    if content.oid()? != TST_INFO {
        return Err(DerError::Contents.into());
    }
    let mut tagged = content.expect(der::context(0))?.reader();
    content.finish()?;
    let info = tagged.octet_string()?;
    tagged.finish()?;
    // A token has exactly one signer (RFC 3161 section 2.4.2).
    let (certificates, mut fields) =
        signed_data::certificates_and_signer::<TspError>(rest, MAX_CERTIFICATES)?;
    let SignerInfo {
        signer,
        digest: signer_digest,
        attributes,
        algorithm: signature_algorithm,
        value: signature,
    } = SignerInfo::read(&mut fields)?;
    fields.optional(der::context(1))?;
    fields.finish()?;

    // TSTInfo ::= SEQUENCE { version 1, policy, messageImprint, serialNumber, genTime, accuracy, ordering, nonce, tsa [0], extensions [1] }
    let mut outer = Reader::new(info);
    let mut fields = outer.sequence()?;
    outer.finish()?;
    if fields.small_integer()? != 1 {
        return Err(DerError::Contents.into());
    }
    let policy = der::oid_text(fields.oid()?);
    let (algorithm, imprint) = read_imprint(&mut fields)?;
    let serial = fields.integer()?.to_vec();
    if serial.len() > MAX_SERIAL_LENGTH {
        return Err(DerError::Contents.into());
    }
    let time = fields.generalized_time()?;
    fields.optional(der::SEQUENCE)?;
    fields.optional(der::BOOLEAN)?;
    let nonce = match fields.peek() {
        Some(der::INTEGER) => Some(fields.integer()?.to_vec()),
        _ => None,
    };
    fields.optional(der::context(0))?;
    fields.optional(der::context(1))?;
    fields.finish()?;

    Ok(Token {
        info: range_of(info, der),
        algorithm,
        imprint,
        policy,
        serial,
        time,
        nonce,
        certificates,
        signer,
        signer_digest,
        attributes: range_of(attributes.contents, der),
        signature_algorithm,
        signature: range_of(signature, der),
        der: Vec::new(),
    })
}

/// CMS signers may give the bare key type and leave the digest to digestAlgorithm (RFC 3370 section 3.2).
pub(crate) fn read_signature_algorithm(
    identifier: Reader<'_>,
    digest: Option<DigestAlgorithm>,
) -> Result<Option<SignatureAlgorithm>, DerError> {
    let mut peek = identifier;
    if peek.oid()? == RSA_ENCRYPTION {
        return Ok(digest.map(SignatureAlgorithm::RsaPkcs1));
    }
    SignatureAlgorithm::read(identifier)
}
