//! Detached signatures in CMS (RFC 5652), in the profile of CAdES baseline
//! (ETSI EN 319 122-1 section 6): one signer, the signed attributes content
//! type, message digest and signing certificate (version 2), and perhaps a
//! time-stamp over the signature value among the unsigned ones.
//!
//! Signing has two steps, for the key may be elsewhere: [`SignedAttributes`]
//! are what is signed, [`build`] takes the value.

use std::ops::Range;

use time::OffsetDateTime;

use crate::algorithm::{RSA_ENCRYPTION, SignatureAlgorithm, read_digest};
use crate::certificate::{Certificate, CertificateError, LegacyDigests};
use crate::der::{self, DerError, Reader, Writer};
use crate::digest::{Digest, DigestAlgorithm};
use crate::signed_data::{self, SignerInfo};
use crate::tsp::{
    CONTENT_TYPE, MESSAGE_DIGEST, SIGNED_DATA, SIGNING_CERTIFICATE_V2, SIGNING_TIME, SignerId,
    write_issuer_and_serial,
};

/// Longest signature that is decoded, in bytes.
pub const MAX_LENGTH: usize = 1024 * 1024;
/// Most certificates in a signature.
pub const MAX_CERTIFICATES: usize = 64;
/// Most signed or unsigned attributes.
pub const MAX_ATTRIBUTES: usize = 32;

/// id-data.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// id-aa-signatureTimeStampToken (ETSI EN 319 122-1 section 5.3).
const TIME_STAMP: &[u8] = &[
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0e,
];

/// Why bytes are not a signature, or it does not hold. The signer is at fault, or whoever changed the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CmsError {
    /// Not the ASN.1 of this structure, or beyond the limits.
    #[error("not a CMS signature: {0}")]
    Malformed(#[from] DerError),
    /// A certificate within does not decode.
    #[error("a certificate in the signature: {0}")]
    Certificate(#[from] CertificateError),
    /// It holds the content, or signs something else than plain data.
    #[error("the signature is not detached from plain data")]
    NotDetached,
    /// None of the certificates within is the one that the signature names.
    #[error("the signature does not hold the signer's certificate")]
    NoSigner,
    /// A signed attribute that must be there once is missing, doubled or wrong.
    #[error("the signed attribute {0} is missing, doubled or wrong")]
    Attribute(&'static str),
    /// The digest is not that of the content.
    #[error("the content was changed after it was signed")]
    Changed,
    /// A digest or signature algorithm that is not known, too weak, or does not fit the other.
    #[error("the signature uses an algorithm that is not accepted")]
    Algorithm,
    /// The value was not made with the key of the certificate.
    #[error("the signature value was not made with the certificate's key")]
    Value,
}

/// What a signer's key signs: the DER of the signed attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAttributes {
    contents: Vec<u8>,
    to_be_signed: Vec<u8>,
    algorithm: SignatureAlgorithm,
}

fn attribute(oid: &[u8], value: impl FnOnce(&mut Writer)) -> Vec<u8> {
    Writer::sequence_of(|writer| {
        writer.oid(oid);
        writer.constructed(der::SET, value);
    })
}

/// AlgorithmIdentifier of a digest, parameters absent (RFC 5754 section 2).
fn write_digest_identifier(writer: &mut Writer, digest: DigestAlgorithm) {
    writer.sequence(|writer| writer.oid(digest.oid()));
}

impl SignedAttributes {
    /// Attributes over content with this digest, which must be one in `algorithm.digest()`, for a
    /// signer with this certificate. There is no signing time: PAdES keeps it elsewhere
    /// (ETSI EN 319 142-1 table 1).
    ///
    /// # Errors
    /// [`CmsError::Algorithm`] if the digest has another length than the algorithm's.
    pub fn new(
        content: &Digest,
        certificate: &Certificate,
        algorithm: SignatureAlgorithm,
    ) -> Result<Self, CmsError> {
        if content.as_ref().len() != algorithm.digest().length() || algorithm.digest().is_weak() {
            return Err(CmsError::Algorithm);
        }
        let mut attributes = [
            attribute(CONTENT_TYPE, |writer| writer.oid(DATA)),
            attribute(MESSAGE_DIGEST, |writer| {
                writer.octet_string(content.as_ref());
            }),
            attribute(SIGNING_CERTIFICATE_V2, |writer| {
                // SigningCertificateV2 { certs { ESSCertIDv2 { hashAlgorithm DEFAULT sha256, certHash } } }
                writer.sequence(|writer| {
                    writer.sequence(|writer| {
                        writer.sequence(|writer| {
                            writer.octet_string(certificate.sha256().as_ref());
                        });
                    });
                });
            }),
        ];
        attributes.sort();
        let contents = attributes.concat();
        let mut to_be_signed = Vec::with_capacity(contents.len() + 4);
        der::write_element(&mut to_be_signed, der::SET, &contents);
        Ok(SignedAttributes {
            contents,
            to_be_signed,
            algorithm,
        })
    }

    /// The bytes that the key signs.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// Their digest, for a signing service that takes hashes.
    pub fn digest(&self) -> Digest {
        self.algorithm.digest().digest(&self.to_be_signed)
    }

    /// The algorithm of the signature.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}

/// Puts a detached signature together. The value must be one over [`SignedAttributes::to_be_signed`] by the
/// certificate's key (ECDSA in ASN.1 DER); `chain` are certificates of its issuers.
///
/// # Errors
/// [`CmsError::Value`] if it is not.
pub fn build(
    attributes: &SignedAttributes,
    certificate: &Certificate,
    chain: &[Certificate],
    value: &[u8],
) -> Result<Vec<u8>, CmsError> {
    let algorithm = attributes.algorithm;
    certificate
        .public_key()
        .verify(algorithm, &attributes.to_be_signed, value)
        .map_err(|_| CmsError::Value)?;
    let digest = algorithm.digest();
    Ok(Writer::sequence_of(|writer| {
        writer.oid(SIGNED_DATA);
        writer.constructed(der::context(0), |writer| {
            writer.sequence(|writer| {
                // Version 1: plain data, signer by issuer and serial (RFC 5652 section 5.1).
                writer.small_integer(1);
                writer.constructed(der::SET, |writer| write_digest_identifier(writer, digest));
                writer.sequence(|writer| writer.oid(DATA));
                writer.constructed(der::context(0), |writer| {
                    // A SET OF in DER is sorted by its encodings (X.690 section 11.6).
                    let mut all: Vec<&Certificate> = Vec::with_capacity(chain.len() + 1);
                    for one in std::iter::once(certificate).chain(chain) {
                        if !all.contains(&one) {
                            all.push(one);
                        }
                    }
                    all.sort_by(|a, b| a.der().cmp(b.der()));
                    for one in all {
                        writer.raw(one.der());
                    }
                });
                writer.constructed(der::SET, |writer| {
                    writer.sequence(|writer| {
                        writer.small_integer(1);
                        write_issuer_and_serial(writer, certificate.issuer(), certificate.serial());
                        write_digest_identifier(writer, digest);
                        writer.constructed(der::context(0), |writer| {
                            writer.raw(&attributes.contents);
                        });
                        match algorithm {
                            // The spelling that every CMS reader knows (RFC 3370 section 3.2).
                            SignatureAlgorithm::RsaPkcs1(_) => writer.sequence(|writer| {
                                writer.oid(RSA_ENCRYPTION);
                                writer.null();
                            }),
                            other => other.write(writer),
                        }
                        writer.octet_string(value);
                    });
                });
            });
        });
    }))
}

fn range_of(part: &[u8], whole: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

/// A decoded detached signature, nothing of it verified.
#[derive(Debug, Clone)]
pub struct Signature {
    der: Vec<u8>,
    certificates: Vec<Certificate>,
    signer: SignerId,
    digest: Option<DigestAlgorithm>,
    attributes: Range<usize>,
    algorithm: Option<SignatureAlgorithm>,
    value: Range<usize>,
    // Everything of the SignerInfo that precedes the unsigned attributes.
    signer_info: Range<usize>,
    unsigned: Vec<(Vec<u8>, Range<usize>)>,
    time_stamps: Vec<Vec<u8>>,
}

/// A signature that holds over its content with the key of the certificate that it names. Who
/// holds the certificate is not judged yet. Made only by [`Signature::verify`].
#[derive(Debug, Clone)]
pub struct Verified {
    certificate: Certificate,
    algorithm: SignatureAlgorithm,
    claimed_time: Option<OffsetDateTime>,
}

impl Verified {
    /// The signer's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The algorithm of the value; its digest is the one over the content, too.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The time that the signer claims in a signed attribute; baseline signatures in PDF have none there.
    pub fn claimed_time(&self) -> Option<OffsetDateTime> {
        self.claimed_time
    }
}

impl Signature {
    /// Decodes a ContentInfo with SignedData of one signer, in DER.
    ///
    /// # Errors
    /// [`CmsError::Malformed`], [`CmsError::Certificate`], [`CmsError::NotDetached`].
    pub fn decode(signature: &[u8]) -> Result<Self, CmsError> {
        if signature.len() > MAX_LENGTH {
            return Err(DerError::Length.into());
        }
        let parsed = parse(signature)?;
        Ok(Signature {
            der: signature.to_vec(),
            ..parsed
        })
    }

    /// The bytes as received.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// All certificates within.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The signature value: what the time-stamps are over.
    pub fn value(&self) -> &[u8] {
        &self.der[self.value.clone()]
    }

    /// The digest algorithm over content and attributes; `None` if we do not know it.
    pub fn digest_algorithm(&self) -> Option<DigestAlgorithm> {
        self.digest
    }

    /// Time-stamp tokens over the value, each a ContentInfo, not decoded.
    pub fn time_stamps(&self) -> &[Vec<u8>] {
        &self.time_stamps
    }

    /// Verifies the signature over content with this digest, in [`Self::digest_algorithm`]. SHA-1 is refused.
    ///
    /// # Errors
    /// See [`CmsError`].
    pub fn verify(&self, content: &Digest) -> Result<Verified, CmsError> {
        let digest = self
            .digest
            .filter(|digest| !digest.is_weak())
            .ok_or(CmsError::Algorithm)?;
        let algorithm = self
            .algorithm
            .filter(|algorithm| algorithm.digest() == digest)
            .filter(|algorithm| LegacyDigests::Refuse.accept(*algorithm))
            .ok_or(CmsError::Algorithm)?;
        let certificate = self
            .certificates
            .iter()
            .find(|certificate| self.signer.names(certificate))
            .ok_or(CmsError::NoSigner)?;
        let attributes = &self.der[self.attributes.clone()];
        let claimed_time = check_attributes(Reader::new(attributes), content, certificate)?;
        // The signature covers the attributes as SET OF, not as the [0] that carries them (RFC 5652 section 5.4).
        let mut signed = Vec::with_capacity(attributes.len() + 4);
        der::write_element(&mut signed, der::SET, attributes);
        certificate
            .public_key()
            .verify(algorithm, &signed, self.value())
            .map_err(|_| CmsError::Value)?;
        Ok(Verified {
            certificate: certificate.clone(),
            algorithm,
            claimed_time,
        })
    }

    /// The signature with a time-stamp token among its unsigned attributes. Nothing that is signed changes.
    ///
    /// # Errors
    /// [`CmsError::Malformed`] should the result not decode.
    pub fn with_time_stamp(&self, token: &[u8]) -> Result<Self, CmsError> {
        let mut unsigned: Vec<Vec<u8>> = self
            .unsigned
            .iter()
            .map(|(_, range)| self.der[range.clone()].to_vec())
            .collect();
        unsigned.push(attribute(TIME_STAMP, |writer| writer.raw(token)));
        unsigned.sort();
        let mut outer = Reader::new(&self.der).sequence()?;
        let content_type = outer.oid()?;
        let mut fields = outer.expect(der::context(0))?.reader().sequence()?;
        let head = fields.rest();
        fields.expect(der::INTEGER)?;
        fields.expect(der::SET)?;
        fields.expect(der::SEQUENCE)?;
        fields.optional(der::context(0))?;
        fields.optional(der::context(1))?;
        let head = &head[..head.len() - fields.rest().len()];
        let der = Writer::sequence_of(|writer| {
            writer.oid(content_type);
            writer.constructed(der::context(0), |writer| {
                writer.sequence(|writer| {
                    writer.raw(head);
                    writer.constructed(der::SET, |writer| {
                        writer.sequence(|writer| {
                            writer.raw(&self.der[self.signer_info.clone()]);
                            writer.constructed(der::context(1), |writer| {
                                for attribute in &unsigned {
                                    writer.raw(attribute);
                                }
                            });
                        });
                    });
                });
            });
        });
        Signature::decode(&der)
    }
}

fn parse(signature: &[u8]) -> Result<Signature, CmsError> {
    let (mut content, rest) = signed_data::open(signature)?;
    if content.oid()? != DATA || !content.is_empty() {
        return Err(CmsError::NotDetached);
    }
    // One signer (ETSI EN 319 142-1 section 6.2.1 g).
    let (certificates, mut fields) =
        signed_data::certificates_and_signer::<CmsError>(rest, MAX_CERTIFICATES)?;
    let whole = fields.rest();
    let SignerInfo {
        signer,
        digest,
        attributes,
        algorithm,
        value,
    } = SignerInfo::read(&mut fields)?;
    let signer_info = &whole[..whole.len() - fields.rest().len()];
    let mut unsigned = Vec::new();
    let mut time_stamps = Vec::new();
    if let Some(list) = fields.optional(der::context(1))? {
        let mut list = list.reader();
        while !list.is_empty() {
            if unsigned.len() >= MAX_ATTRIBUTES {
                return Err(DerError::Contents.into());
            }
            let attribute = list.expect(der::SEQUENCE)?;
            let mut parts = attribute.reader();
            let oid = parts.oid()?;
            let mut values = parts.expect(der::SET)?.reader();
            parts.finish()?;
            if oid == TIME_STAMP {
                while !values.is_empty() {
                    if time_stamps.len() >= MAX_ATTRIBUTES {
                        return Err(DerError::Contents.into());
                    }
                    time_stamps.push(values.element()?.whole.to_vec());
                }
            }
            unsigned.push((oid.to_vec(), range_of(attribute.whole, signature)));
        }
    }
    fields.finish()?;
    Ok(Signature {
        der: Vec::new(),
        certificates,
        signer,
        digest,
        attributes: range_of(attributes.contents, signature),
        algorithm,
        value: range_of(value, signature),
        signer_info: range_of(signer_info, signature),
        unsigned,
        time_stamps,
    })
}

/// Content type, digest and signing certificate, each once; gives the claimed time, if there is one.
fn check_attributes(
    mut attributes: Reader<'_>,
    content: &Digest,
    certificate: &Certificate,
) -> Result<Option<OffsetDateTime>, CmsError> {
    let mut seen: Vec<&[u8]> = Vec::new();
    let mut time = None;
    while !attributes.is_empty() {
        let mut parts = attributes.sequence()?;
        let oid = parts.oid()?;
        let mut values = parts.expect(der::SET)?.reader();
        parts.finish()?;
        if seen.contains(&oid) || seen.len() >= MAX_ATTRIBUTES {
            return Err(CmsError::Attribute("that occurs twice"));
        }
        seen.push(oid);
        match oid {
            CONTENT_TYPE if values.oid()? != DATA => {
                return Err(CmsError::Attribute("content type"));
            }
            MESSAGE_DIGEST if values.octet_string()? != content.as_ref() => {
                return Err(CmsError::Changed);
            }
            SIGNING_TIME => time = Some(values.time()?),
            SIGNING_CERTIFICATE_V2 => {
                let mut list = values.sequence()?.sequence()?;
                let mut first = list.sequence()?;
                let algorithm = if first.peek() == Some(der::SEQUENCE) {
                    read_digest(&mut first)?.ok_or(CmsError::Algorithm)?
                } else {
                    DigestAlgorithm::Sha256
                };
                if algorithm.is_weak()
                    || first.octet_string()? != algorithm.digest(certificate.der()).as_ref()
                {
                    return Err(CmsError::Attribute("signing certificate"));
                }
            }
            _ => {}
        }
    }
    for (oid, name) in [
        (CONTENT_TYPE, "content type"),
        (MESSAGE_DIGEST, "message digest"),
        (SIGNING_CERTIFICATE_V2, "signing certificate"),
    ] {
        if !seen.contains(&oid) {
            return Err(CmsError::Attribute(name));
        }
    }
    Ok(time)
}
