//! Writing signatures in X-Road's profile (reference 1.7).
//!
//! Of the eight or so kilobytes of a signature only four values differ between two messages of
//! one member: two digests, the time and the signature value. Everything else is computed when
//! the certificate or its OCSP response changes. What is signed is written in canonical form to
//! begin with, so signing never canonicalises.

use crate::base64_text::encode_into;
use crate::c14n::{INCLUSIVE_URI, escape_text};
use crate::names::{
    HASH_CHAIN_RESULT, MESSAGE, POLICY_DESCRIPTION, POLICY_DIGEST, POLICY_IDENTIFIER,
    POLICY_LOCATION,
};
use pki::{Certificate, Digest, DigestAlgorithm, PublicKey, SignatureAlgorithm, Signer};
use std::sync::{Mutex, PoisonError};
use thiserror::Error;
use time::OffsetDateTime;

/// What is signed. Digests are SHA-512 of the bytes as transferred.
#[derive(Debug, Clone, Copy)]
pub enum SignatureTarget<'a> {
    /// `/message.xml` alone: a message without attachments or body (T32).
    Message(&'a Digest),
    /// `/sig-hashchainresult.xml`: a message of several parts, or a batch (T33).
    HashChainResult(&'a Digest),
}

/// Why no signature could be made. We ourselves are at fault.
#[derive(Debug, Error)]
pub enum SignError {
    /// The key refused.
    #[error("the signing key could not be used: {0}")]
    Key(#[from] pki::SignError),
    /// The signer's key is not that of the template's certificate, or it uses another algorithm.
    #[error("the signing key does not belong to the signing certificate")]
    OtherKey,
    /// The digest given is not a SHA-512 digest.
    #[error("a message is signed by its SHA-512 digest")]
    Digest,
    /// The time cannot be written.
    #[error("the signing time is out of range")]
    Time,
}

/// Everything constant of the signatures of one certificate with its OCSP responses.
#[derive(Debug)]
pub struct SignatureTemplate {
    key: PublicKey,
    algorithm: SignatureAlgorithm,
    /// Canonical SignedInfo up to the digest of the target.
    message: Target,
    hash_chain: Target,
    /// From KeyInfo up to the signing time.
    key_info: Vec<u8>,
    /// SignedProperties, canonical, up to the signing time.
    properties_start: Vec<u8>,
    /// From OCSP responses and certificates to the end of the document.
    end: Vec<u8>,
    size: usize,
}

#[derive(Debug)]
struct Target {
    /// SignedInfo after its start tag, up to the digest of the target.
    info: Vec<u8>,
    /// SignedProperties after the signing time, to its end tag.
    properties_end: Vec<u8>,
    /// Time and digest of the signed properties of the second they were last written in: they do
    /// not depend on the message.
    last: Mutex<Option<Stamped>>,
}

#[derive(Debug, Clone)]
struct Stamped {
    second: i64,
    time: [u8; 20],
    digest: Digest,
}

/// The declarations of the root element, in canonical order.
const NAMESPACES: &str = concat!(
    " xmlns:asic=\"http://uri.etsi.org/02918/v1.2.1#\"",
    " xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"",
    " xmlns:xades=\"http://uri.etsi.org/01903/v1.3.2#\""
);

const SHA512: &str =
    "<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\"></ds:DigestMethod>";

const BETWEEN_DIGESTS: &str = "</ds:DigestValue></ds:Reference><ds:Reference Id=\"signature-reference-1\" Type=\"http://uri.etsi.org/01903#SignedProperties\" URI=\"#signed-properties\"><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\"></ds:DigestMethod><ds:DigestValue>";

const AFTER_DIGESTS: &str = "</ds:DigestValue></ds:Reference></ds:SignedInfo>";

fn base64(data: &[u8]) -> String {
    let mut out = Vec::new();
    encode_into(data, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// `CertDigest` and `IssuerSerial` of a certificate.
fn certificate_id(certificate: &Certificate) -> String {
    let mut issuer = Vec::new();
    escape_text(&certificate.issuer_rfc2253(), &mut issuer);
    format!(
        "<xades:CertDigest>{SHA512}<ds:DigestValue>{}</ds:DigestValue></xades:CertDigest>\
         <xades:IssuerSerial><ds:X509IssuerName>{}</ds:X509IssuerName>\
         <ds:X509SerialNumber>{}</ds:X509SerialNumber></xades:IssuerSerial>",
        base64(certificate.sha512().as_ref()),
        String::from_utf8_lossy(&issuer),
        certificate.serial_decimal(),
    )
}

fn target(algorithm: SignatureAlgorithm, certificate_id: &str, uri: &str, kind: &str) -> Target {
    Target {
        info: format!(
            "<ds:CanonicalizationMethod Algorithm=\"{INCLUSIVE_URI}\"></ds:CanonicalizationMethod>\
             <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>\
             <ds:Reference Id=\"signature-reference-0\" URI=\"{uri}\">{SHA512}<ds:DigestValue>",
            algorithm.uri()
        )
        .into_bytes(),
        properties_end: format!(
            "</xades:SigningTime><xades:SigningCertificate><xades:Cert>{certificate_id}\
             </xades:Cert></xades:SigningCertificate><xades:SignaturePolicyIdentifier>\
             <xades:SignaturePolicyId><xades:SigPolicyId><xades:Identifier Qualifier=\"OIDAsURN\">\
             {POLICY_IDENTIFIER}</xades:Identifier><xades:Description>{POLICY_DESCRIPTION}\
             </xades:Description></xades:SigPolicyId><xades:SigPolicyHash>{SHA512}<ds:DigestValue>\
             {POLICY_DIGEST}</ds:DigestValue></xades:SigPolicyHash><xades:SigPolicyQualifiers>\
             <xades:SigPolicyQualifier><xades:SPURI>{POLICY_LOCATION}</xades:SPURI>\
             </xades:SigPolicyQualifier></xades:SigPolicyQualifiers></xades:SignaturePolicyId>\
             </xades:SignaturePolicyIdentifier></xades:SignedSignatureProperties>\
             <xades:SignedDataObjectProperties>\
             <xades:DataObjectFormat ObjectReference=\"#signature-reference-0\">\
             <xades:MimeType>{kind}</xades:MimeType></xades:DataObjectFormat>\
             </xades:SignedDataObjectProperties></xades:SignedProperties>"
        )
        .into_bytes(),
        last: Mutex::new(None),
    }
}

fn unsigned_properties(ocsp: &[impl AsRef<[u8]>], intermediates: &[Certificate]) -> String {
    let mut out = String::from("<xades:UnsignedProperties><xades:UnsignedSignatureProperties>");
    if !intermediates.is_empty() {
        out.push_str(
            "<xades:CompleteCertificateRefs Id=\"complete-certificate-refs\"><xades:CertRefs>",
        );
        for (index, certificate) in intermediates.iter().enumerate() {
            out.push_str(&format!(
                "<xades:Cert URI=\"#encapsulated-cert-{}\">{}</xades:Cert>",
                index + 1,
                certificate_id(certificate)
            ));
        }
        out.push_str("</xades:CertRefs></xades:CompleteCertificateRefs><xades:CertificateValues>");
        for (index, certificate) in intermediates.iter().enumerate() {
            out.push_str(&format!(
                "<xades:EncapsulatedX509Certificate Id=\"encapsulated-cert-{}\">{}\
                 </xades:EncapsulatedX509Certificate>",
                index + 1,
                base64(certificate.der())
            ));
        }
        out.push_str("</xades:CertificateValues>");
    }
    out.push_str("<xades:RevocationValues><xades:OCSPValues>");
    for (index, response) in ocsp.iter().enumerate() {
        out.push_str(&format!(
            "<xades:EncapsulatedOCSPValue Id=\"ocsp-response-{}\">{}\
             </xades:EncapsulatedOCSPValue>",
            index + 1,
            base64(response.as_ref())
        ));
    }
    out.push_str(
        "</xades:OCSPValues></xades:RevocationValues></xades:UnsignedSignatureProperties>\
         </xades:UnsignedProperties></xades:QualifyingProperties></ds:Object></ds:Signature>\
         </asic:XAdESSignatures>",
    );
    out
}

/// `2026-11-23T13:39:34Z`.
fn write_time(time: OffsetDateTime) -> Option<[u8; 20]> {
    let time = time.to_offset(time::UtcOffset::UTC);
    let year = u32::try_from(time.year())
        .ok()
        .filter(|&year| year <= 9999)?;
    let mut out = *b"0000-00-00T00:00:00Z";
    let mut put = |at: usize, length: usize, mut value: u32| {
        for position in (at..at + length).rev() {
            out[position] = b'0' + (value % 10) as u8;
            value /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, u32::from(u8::from(time.month())));
    put(8, 2, u32::from(time.day()));
    put(11, 2, u32::from(time.hour()));
    put(14, 2, u32::from(time.minute()));
    put(17, 2, u32::from(time.second()));
    Some(out)
}

impl SignatureTemplate {
    /// Prepares signatures with this certificate. `ocsp_responses` are DER, the signing
    /// certificate's first, then those of the intermediates (S7).
    #[must_use]
    pub fn new(
        certificate: &Certificate,
        ocsp_responses: &[impl AsRef<[u8]>],
        intermediates: &[Certificate],
        algorithm: SignatureAlgorithm,
    ) -> SignatureTemplate {
        let id = certificate_id(certificate);
        let key_info = format!(
            "</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}\
             </ds:X509Certificate></ds:X509Data></ds:KeyInfo><ds:Object>\
             <xades:QualifyingProperties Target=\"#signature\">\
             <xades:SignedProperties Id=\"signed-properties\"><xades:SignedSignatureProperties>\
             <xades:SigningTime>",
            base64(certificate.der())
        )
        .into_bytes();
        let properties_start = format!(
            "<xades:SignedProperties{NAMESPACES} Id=\"signed-properties\">\
             <xades:SignedSignatureProperties><xades:SigningTime>"
        )
        .into_bytes();
        let end = unsigned_properties(ocsp_responses, intermediates).into_bytes();
        let message = target(algorithm, &id, MESSAGE, "text/xml");
        let hash_chain = target(
            algorithm,
            &id,
            HASH_CHAIN_RESULT,
            "application/hash-chain-result",
        );
        let size = key_info.len() + end.len() + hash_chain.properties_end.len() + 2560;
        SignatureTemplate {
            key: certificate.public_key().clone(),
            algorithm,
            message,
            hash_chain,
            key_info,
            properties_start,
            end,
            size,
        }
    }

    /// Signs one message or one hash chain result. The time is written to the second.
    ///
    /// # Errors
    /// [`SignError`]; we ourselves are at fault.
    pub fn sign(
        &self,
        signer: &dyn Signer,
        target: &SignatureTarget<'_>,
        signing_time: OffsetDateTime,
    ) -> Result<Vec<u8>, SignError> {
        if signer.algorithm() != self.algorithm
            || signer.public_key().spki_der() != self.key.spki_der()
        {
            return Err(SignError::OtherKey);
        }
        let (parts, digest) = match target {
            SignatureTarget::Message(digest) => (&self.message, *digest),
            SignatureTarget::HashChainResult(digest) => (&self.hash_chain, *digest),
        };
        if digest.as_ref().len() != DigestAlgorithm::Sha512.length() {
            return Err(SignError::Digest);
        }
        let stamped = self.stamp(parts, signing_time)?;

        let namespaces = NAMESPACES.as_bytes();
        let mut signed_info = Vec::with_capacity(1400);
        signed_info.extend_from_slice(b"<ds:SignedInfo");
        signed_info.extend_from_slice(namespaces);
        signed_info.push(b'>');
        let content = signed_info.len();
        signed_info.extend_from_slice(&parts.info);
        encode_into(digest.as_ref(), &mut signed_info);
        signed_info.extend_from_slice(BETWEEN_DIGESTS.as_bytes());
        encode_into(stamped.digest.as_ref(), &mut signed_info);
        signed_info.extend_from_slice(AFTER_DIGESTS.as_bytes());

        let value = match self.algorithm {
            SignatureAlgorithm::Ecdsa(_) => signer.sign_fixed(&signed_info)?,
            _ => signer.sign(&signed_info)?,
        };

        let mut document = Vec::with_capacity(self.size + value.len() * 4 / 3);
        document.extend_from_slice(
            b"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?><asic:XAdESSignatures",
        );
        document.extend_from_slice(namespaces);
        document.extend_from_slice(b"><ds:Signature Id=\"signature\"><ds:SignedInfo>");
        document.extend_from_slice(&signed_info[content..]);
        document.extend_from_slice(b"<ds:SignatureValue Id=\"signature-value\">");
        encode_into(&value, &mut document);
        document.extend_from_slice(&self.key_info);
        document.extend_from_slice(&stamped.time);
        document.extend_from_slice(&parts.properties_end);
        document.extend_from_slice(&self.end);
        Ok(document)
    }

    /// The algorithm of the signatures.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn stamp(&self, parts: &Target, time: OffsetDateTime) -> Result<Stamped, SignError> {
        let second = time.unix_timestamp();
        let mut last = parts.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stamped) = last.as_ref().filter(|stamped| stamped.second == second) {
            return Ok(stamped.clone());
        }
        let written = write_time(time).ok_or(SignError::Time)?;
        let mut hasher = DigestAlgorithm::Sha512.hasher();
        hasher.update(&self.properties_start);
        hasher.update(&written);
        hasher.update(&parts.properties_end);
        let stamped = Stamped {
            second,
            time: written,
            digest: hasher.finish(),
        };
        *last = Some(stamped.clone());
        Ok(stamped)
    }
}
