//! What stays the same from one signature of a signer to the next.

use crate::base64_text;
use crate::error::SignatureError;
use crate::names::XADES;
use crate::signature::{Malformed, Profile, malformed, only, optional};
use crate::xml::Element;
use pki::{Certificate, Digest, DigestAlgorithm, SignatureAlgorithm};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Everything of a signature that does not depend on the message or the time. Signatures that
/// came out of one [`crate::SignatureMemory`] share it.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) algorithm: SignatureAlgorithm,
    /// The digest algorithm of the reference to the signed properties.
    pub(crate) properties_algorithm: DigestAlgorithm,
    pub(crate) profile: Profile,
    pub(crate) policy: Option<Policy>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) certificate_digest: (DigestAlgorithm, Digest),
    pub(crate) unsigned: Unsigned,
    /// The parsed form of `certificate`, once a signature was verified with it.
    pub(crate) known_certificate: OnceLock<Certificate>,
    pub(crate) chain_hash: OnceLock<u64>,
}

impl PartialEq for Frame {
    fn eq(&self, other: &Frame) -> bool {
        // What was only computed from the rest does not count.
        self.algorithm == other.algorithm
            && self.properties_algorithm == other.properties_algorithm
            && self.profile == other.profile
            && self.policy == other.policy
            && self.certificate == other.certificate
            && self.certificate_digest == other.certificate_digest
            && self.unsigned == other.unsigned
    }
}

impl Eq for Frame {}

/// The OCSP responses and further certificates of a signature, as its document writes them. Two
/// signatures with the same certificate and the same text have the same chain and status.
///
/// Cheap to clone, to hash and, between signatures of one [`crate::SignatureMemory`], to compare.
#[derive(Clone)]
pub struct ChainText(pub(crate) Arc<Frame>);

impl ChainText {
    /// The text: values in base64, separated by `<`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.unsigned.chain_text()
    }
}

impl PartialEq for ChainText {
    fn eq(&self, other: &ChainText) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ChainText {}

impl Hash for ChainText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let hash = self.0.chain_hash.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            self.as_bytes().hash(&mut hasher);
            hasher.finish()
        });
        state.write_u64(*hash);
    }
}

impl std::fmt::Debug for ChainText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChainText({} bytes)", self.as_bytes().len())
    }
}

/// The signature policy that a signature names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) identifier: String,
    pub(crate) algorithm: Option<DigestAlgorithm>,
    pub(crate) digest: Vec<u8>,
}

/// What is not signed: most of the bytes of a document, and for most messages the same as
/// before. It is kept as written, and only what is new gets decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unsigned {
    /// Certificates, OCSP responses and the time stamp, in base64.
    text: String,
    /// Where the time stamp begins.
    chain_length: usize,
    pub(crate) certificates: Vec<Range<usize>>,
    pub(crate) ocsp_responses: Vec<Range<usize>>,
    pub(crate) time_stamp: Option<Range<usize>>,
}

impl Unsigned {
    fn chain_text(&self) -> &[u8] {
        &self.text.as_bytes()[..self.chain_length]
    }

    pub(crate) fn keep(&mut self, element: Element<'_, '_>) -> Malformed<Range<usize>> {
        let raw = element.raw_content();
        if memchr::memchr(b'<', raw.as_bytes()).is_some() {
            return malformed("markup in a value");
        }
        let start = self.text.len();
        self.text.push_str(raw);
        let range = start..self.text.len();
        // No base64 has it: values cannot run into one another.
        self.text.push('<');
        Ok(range)
    }

    pub(crate) fn one(&self, range: &Range<usize>) -> Malformed<Vec<u8>> {
        base64_text::decode(&self.text[range.clone()])
            .ok_or(SignatureError::Malformed("a value is not base64"))
    }

    pub(crate) fn all(&self, ranges: &[Range<usize>]) -> Malformed<Vec<Vec<u8>>> {
        ranges.iter().map(|range| self.one(range)).collect()
    }

    pub(crate) fn decode(&mut self, qualifying: Element<'_, '_>) -> Malformed<()> {
        let absent = "there is no OCSP response";
        let unsigned = only(qualifying, XADES, "UnsignedProperties", absent)?;
        let unsigned = only(unsigned, XADES, "UnsignedSignatureProperties", absent)?;
        self.text.reserve(unsigned.range().len());
        if let Some(values) = optional(unsigned, XADES, "CertificateValues")? {
            let name = "EncapsulatedX509Certificate";
            for element in values.children().filter(|e| e.is(XADES, name)) {
                let range = self.keep(element)?;
                self.certificates.push(range);
            }
        }
        self.text.push('<');
        let values = only(unsigned, XADES, "RevocationValues", absent)?;
        let values = only(values, XADES, "OCSPValues", absent)?;
        let name = "EncapsulatedOCSPValue";
        for element in values.children().filter(|e| e.is(XADES, name)) {
            let range = self.keep(element)?;
            self.ocsp_responses.push(range);
        }
        if self.ocsp_responses.is_empty() {
            return malformed(absent);
        }
        self.chain_length = self.text.len();
        if let Some(stamp) = optional(unsigned, XADES, "SignatureTimeStamp")? {
            let absent = "the time stamp is empty";
            let token = only(stamp, XADES, "EncapsulatedTimeStamp", absent)?;
            self.time_stamp = Some(self.keep(token)?);
        }
        Ok(())
    }
}
