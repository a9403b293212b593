//! X.509 certificates (RFC 5280).

use std::net::IpAddr;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use time::OffsetDateTime;

use crate::algorithm::SignatureAlgorithm;
use crate::der::{self, DerError, Reader};
use crate::digest::{Digest, DigestAlgorithm};
use crate::key::{PublicKey, VerifyError};
use crate::name::Name;
use crate::pem::{self, PemError};

/// Longest certificate that is decoded, in bytes.
pub const MAX_CERTIFICATE_LENGTH: usize = 64 * 1024;
/// Most extensions that a certificate may have.
pub const MAX_EXTENSIONS: usize = 64;
/// Longest serial number in bytes: RFC 5280 has 20, some authorities one or two more.
pub const MAX_SERIAL_LENGTH: usize = 40;

/// Most certificate policies that a certificate may name.
pub const MAX_POLICIES: usize = 32;

/// id-ce-* that end in these octets behind `2.5.29`.
pub(crate) mod extension {
    pub(crate) const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
    pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
    pub(crate) const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
    pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
    pub(crate) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
    pub(crate) const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 0x20];
    pub(crate) const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
    pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
    pub(crate) const AUTHORITY_INFORMATION_ACCESS: &[u8] =
        &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];
    /// id-ad-ocsp.
    pub(crate) const ACCESS_OCSP: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];
    pub(crate) const OCSP_NO_CHECK: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x05];
}

/// Why bytes are not a certificate. The fault is the writer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not DER, or not the structure of RFC 5280.
    #[error("not a certificate: {0}")]
    Der(#[from] DerError),
    /// Not a PEM text with a certificate.
    #[error("not a certificate: {0}")]
    Pem(#[from] PemError),
    /// Longer than [`MAX_CERTIFICATE_LENGTH`].
    #[error("the certificate is longer than {MAX_CERTIFICATE_LENGTH} bytes")]
    TooLong,
    /// The algorithm inside the signed part is not the one outside.
    #[error("the certificate names two different signature algorithms")]
    AlgorithmMismatch,
    /// An extension occurs twice (RFC 5280 section 4.2), or there are too many.
    #[error("an extension of the certificate occurs twice, or there are too many")]
    Extensions,
}

/// Whether signatures over SHA-1 are accepted. Nothing online ever accepts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LegacyDigests {
    /// SHA-1 is refused.
    #[default]
    Refuse,
    /// SHA-1 is accepted: only for verifying old archives offline.
    AllowSha1,
}

impl LegacyDigests {
    /// Whether a signature of this algorithm may be accepted.
    pub fn accept(self, algorithm: SignatureAlgorithm) -> bool {
        self == LegacyDigests::AllowSha1 || !algorithm.digest().is_weak()
    }
}

/// The keyUsage extension (RFC 5280 section 4.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// Bit 0: signatures that authenticate.
    pub const DIGITAL_SIGNATURE: KeyUsage = KeyUsage(1 << 15);
    /// Bit 1: signatures that commit to content (formerly nonRepudiation).
    pub const CONTENT_COMMITMENT: KeyUsage = KeyUsage(1 << 14);
    /// Bit 2.
    pub const KEY_ENCIPHERMENT: KeyUsage = KeyUsage(1 << 13);
    /// Bit 3.
    pub const DATA_ENCIPHERMENT: KeyUsage = KeyUsage(1 << 12);
    /// Bit 4.
    pub const KEY_AGREEMENT: KeyUsage = KeyUsage(1 << 11);
    /// Bit 5: signatures over certificates.
    pub const KEY_CERT_SIGN: KeyUsage = KeyUsage(1 << 10);
    /// Bit 6: signatures over revocation lists.
    pub const CRL_SIGN: KeyUsage = KeyUsage(1 << 9);

    /// Both sets together.
    pub const fn with(self, other: KeyUsage) -> KeyUsage {
        KeyUsage(self.0 | other.0)
    }

    /// Whether every bit of `other` is set.
    pub const fn contains(self, other: KeyUsage) -> bool {
        self.0 & other.0 == other.0
    }

    fn read(bit_string: &[u8]) -> Result<Self, DerError> {
        let mut reader = Reader::new(bit_string);
        let contents = reader.expect(der::BIT_STRING)?.contents;
        reader.finish()?;
        match contents {
            [unused, bits @ ..] if *unused < 8 && bits.len() <= 2 => Ok(KeyUsage(
                u16::from(bits.first().copied().unwrap_or(0)) << 8
                    | u16::from(bits.get(1).copied().unwrap_or(0)),
            )),
            _ => Err(DerError::Contents),
        }
    }

    /// The BIT STRING's contents: unused-bit count and the bits, no trailing zero bits.
    pub(crate) fn contents(self) -> Vec<u8> {
        let bits = self.0.to_be_bytes();
        let octets: &[u8] = if bits[1] == 0 { &bits[..1] } else { &bits };
        let unused = octets.last().map_or(0, |last| last.trailing_zeros().min(7));
        let mut contents = vec![unused as u8];
        contents.extend_from_slice(octets);
        contents
    }
}

/// A purpose of the extendedKeyUsage extension (RFC 5280 section 4.2.1.12).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyPurpose {
    /// id-kp-serverAuth.
    ServerAuth,
    /// id-kp-clientAuth.
    ClientAuth,
    /// id-kp-timeStamping.
    TimeStamping,
    /// id-kp-OCSPSigning.
    OcspSigning,
    /// Any other purpose, dotted.
    Other(String),
}

impl KeyPurpose {
    pub(crate) fn oid(&self) -> Vec<u8> {
        let last = match self {
            KeyPurpose::ServerAuth => 1,
            KeyPurpose::ClientAuth => 2,
            KeyPurpose::TimeStamping => 8,
            KeyPurpose::OcspSigning => 9,
            KeyPurpose::Other(text) => return der::oid_from_text(text).unwrap_or_default(),
        };
        vec![0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, last]
    }

    fn from_oid(contents: &[u8]) -> Self {
        match contents {
            [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 1] => KeyPurpose::ServerAuth,
            [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 2] => KeyPurpose::ClientAuth,
            [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 8] => KeyPurpose::TimeStamping,
            [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 9] => KeyPurpose::OcspSigning,
            other => KeyPurpose::Other(der::oid_text(other)),
        }
    }
}

/// A name of the subjectAltName extension (RFC 5280 section 4.2.1.6), of the kinds that clients and servers are known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AlternativeName {
    /// rfc822Name.
    Email(String),
    /// dNSName.
    Dns(String),
    /// uniformResourceIdentifier.
    Uri(String),
    /// iPAddress.
    Address(IpAddr),
}

impl AlternativeName {
    /// A GeneralName; none if it is of another kind, or damaged.
    fn read(tag: u8, contents: &[u8]) -> Option<Self> {
        let text = || {
            let text = std::str::from_utf8(contents).ok()?;
            text.is_ascii().then(|| text.to_owned())
        };
        match tag {
            tag if tag == der::context_primitive(1) => text().map(Self::Email),
            tag if tag == der::context_primitive(2) => text().map(Self::Dns),
            tag if tag == der::context_primitive(6) => text().map(Self::Uri),
            tag if tag == der::context_primitive(7) => {
                let four = <[u8; 4]>::try_from(contents).map(IpAddr::from);
                let sixteen = || <[u8; 16]>::try_from(contents).map(IpAddr::from);
                four.or_else(|_| sixteen()).ok().map(Self::Address)
            }
            _ => None,
        }
    }
}

#[derive(Default)]
struct Extensions {
    key_usage: Option<KeyUsage>,
    purposes: Vec<KeyPurpose>,
    purposes_critical: bool,
    is_ca: bool,
    path_length: Option<u64>,
    subject_key_identifier: Option<Box<[u8]>>,
    authority_key_identifier: Option<Box<[u8]>>,
    alternative_names: Vec<AlternativeName>,
    policies: Vec<String>,
    ocsp_url: Option<String>,
    // A critical extension, or name constraints, that we do not process.
    unprocessed: bool,
}

struct Inner {
    der: Box<[u8]>,
    tbs: Range<usize>,
    signature: Range<usize>,
    signature_algorithm: Option<SignatureAlgorithm>,
    serial: Range<usize>,
    issuer: Name,
    subject: Name,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    public_key: PublicKey,
    extensions: Extensions,
    sha1: OnceLock<Digest>,
    sha256: OnceLock<Digest>,
    sha512: OnceLock<Digest>,
}

/// A decoded certificate, nothing of it verified. Cloning shares it.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

fn range_of(part: &[u8], whole: &[u8]) -> Range<usize> {
    // Both come from one buffer, `part` within `whole`; a difference of addresses is its offset.
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

impl Certificate {
    /// Decodes a certificate.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn decode(certificate: &[u8]) -> Result<Self, CertificateError> {
        if certificate.len() > MAX_CERTIFICATE_LENGTH {
            return Err(CertificateError::TooLong);
        }
        // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }
        let mut outer = Reader::new(certificate);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        let tbs = fields.expect(der::SEQUENCE)?;
        let outer_algorithm = fields.expect(der::SEQUENCE)?;
        let signature = fields.bit_string()?;
        fields.finish()?;

        let mut fields = tbs.reader();
        // version [0] EXPLICIT INTEGER DEFAULT v1
        if let Some(version) = fields.optional(der::context(0))? {
            let mut version = version.reader();
            if version.small_integer()? > 2 {
                return Err(DerError::Contents.into());
            }
            version.finish()?;
        }
        // serialNumber
        let serial = fields.integer()?;
        if serial.len() > MAX_SERIAL_LENGTH {
            return Err(DerError::Contents.into());
        }
        // signature
        let inner_algorithm = fields.expect(der::SEQUENCE)?;
        if inner_algorithm.whole != outer_algorithm.whole {
            return Err(CertificateError::AlgorithmMismatch);
        }
        // issuer
        let issuer = fields.expect(der::SEQUENCE)?;
        // validity
        let mut validity = fields.sequence()?;
        let not_before = validity.time()?;
        let not_after = validity.time()?;
        validity.finish()?;
        // subject
        let subject = fields.expect(der::SEQUENCE)?;
        // subjectPublicKeyInfo
        let public_key = fields.expect(der::SEQUENCE)?;
        // issuerUniqueID [1], subjectUniqueID [2]: nobody uses them
        fields.optional(der::context_primitive(1))?;
        fields.optional(der::context_primitive(2))?;
        // extensions [3] EXPLICIT
        let extensions = match fields.optional(der::context(3))? {
            Some(tagged) => {
                let mut tagged = tagged.reader();
                let list = tagged.sequence()?;
                tagged.finish()?;
                read_extensions(list)?
            }
            None => Extensions::default(),
        };
        fields.finish()?;

        Ok(Certificate(Arc::new(Inner {
            tbs: range_of(tbs.whole, certificate),
            signature: range_of(signature, certificate),
            signature_algorithm: SignatureAlgorithm::read(outer_algorithm.reader()).unwrap_or(None),
            serial: range_of(serial, certificate),
            issuer: Name::decode(issuer.whole)?,
            subject: Name::decode(subject.whole)?,
            not_before,
            not_after,
            public_key: PublicKey::from_spki_der(public_key.whole)?,
            extensions,
            der: certificate.into(),
            sha1: OnceLock::new(),
            sha256: OnceLock::new(),
            sha512: OnceLock::new(),
        })))
    }

    /// Decodes the first certificate of a PEM text.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn from_pem(text: impl AsRef<[u8]>) -> Result<Self, CertificateError> {
        Self::decode(&pem::decode(text.as_ref(), "CERTIFICATE")?)
    }

    /// Decodes every certificate of a PEM text.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn all_from_pem(text: impl AsRef<[u8]>) -> Result<Vec<Self>, CertificateError> {
        pem::decode_all(text.as_ref(), "CERTIFICATE")?
            .iter()
            .map(|der| Self::decode(der))
            .collect()
    }

    /// The certificate as PEM.
    pub fn to_pem(&self) -> String {
        pem::encode(self.der(), "CERTIFICATE")
    }

    /// The bytes as received.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The subject.
    pub fn subject(&self) -> &Name {
        &self.0.subject
    }

    /// The issuer.
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// The issuer as X-Road's IssuerSerial has it; see [`Name::rfc2253`].
    pub fn issuer_rfc2253(&self) -> String {
        self.0.issuer.rfc2253()
    }

    /// The serial number's contents octets: two's complement, shortest form.
    pub fn serial(&self) -> &[u8] {
        &self.0.der[self.0.serial.clone()]
    }

    /// The serial number in decimal, as X-Road's IssuerSerial has it.
    pub fn serial_decimal(&self) -> String {
        decimal(self.serial())
    }

    /// Start of the validity.
    pub fn not_before(&self) -> OffsetDateTime {
        self.0.not_before
    }

    /// End of the validity, inclusive.
    pub fn not_after(&self) -> OffsetDateTime {
        self.0.not_after
    }

    /// Whether `now` lies in the validity.
    pub fn valid_at(&self, now: OffsetDateTime) -> bool {
        self.0.not_before <= now && now <= self.0.not_after
    }

    /// The keyUsage extension, if present.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.extensions.key_usage
    }

    /// The purposes of the extendedKeyUsage extension; empty if absent.
    pub fn extended_key_usages(&self) -> &[KeyPurpose] {
        &self.0.extensions.purposes
    }

    /// Whether the extendedKeyUsage extension is critical.
    pub fn extended_key_usage_is_critical(&self) -> bool {
        self.0.extensions.purposes_critical
    }

    /// Whether basicConstraints says that this is a CA.
    pub fn is_ca(&self) -> bool {
        self.0.extensions.is_ca
    }

    /// The pathLenConstraint: how many intermediate CAs may follow.
    pub fn path_length(&self) -> Option<u64> {
        self.0.extensions.path_length
    }

    /// Whether it is self-issued: subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.0.issuer.matches(&self.0.subject)
    }

    /// Whether it has a critical extension, or name constraints, that we do not process.
    pub fn has_unprocessed_extension(&self) -> bool {
        self.0.extensions.unprocessed
    }

    /// The subjectKeyIdentifier, if present.
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_identifier.as_deref()
    }

    /// The keyIdentifier of the authorityKeyIdentifier, if present.
    pub fn authority_key_identifier(&self) -> Option<&[u8]> {
        self.0.extensions.authority_key_identifier.as_deref()
    }

    /// The names of the subjectAltName extension, as far as [`AlternativeName`] has their kind.
    pub fn alternative_names(&self) -> &[AlternativeName] {
        &self.0.extensions.alternative_names
    }

    /// Where its issuer answers OCSP requests, if the authorityInfoAccess extension says so (RFC 5280 section 4.2.2.1).
    pub fn ocsp_url(&self) -> Option<&str> {
        self.0.extensions.ocsp_url.as_deref()
    }

    /// The policies under which it was issued, dotted; empty if the extension is absent. What one of them means is
    /// for the caller to judge, and only as far as the caller lets the issuer say it.
    pub fn policies(&self) -> &[String] {
        &self.0.extensions.policies
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// How the issuer signed it; `None` if we do not know the algorithm.
    pub fn signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        self.0.signature_algorithm
    }

    /// Whether it may sign messages: contentCommitment (S13).
    pub fn allows_signing(&self) -> bool {
        self.key_usage()
            .is_some_and(|usage| usage.contains(KeyUsage::CONTENT_COMMITMENT))
    }

    /// Whether it is an authentication certificate: EKU clientAuth, or keyUsage
    /// digitalSignature, keyEncipherment or dataEncipherment (T7).
    pub fn is_authentication(&self) -> bool {
        self.extended_key_usages().contains(&KeyPurpose::ClientAuth)
            || self.key_usage().is_some_and(|usage| {
                [
                    KeyUsage::DIGITAL_SIGNATURE,
                    KeyUsage::KEY_ENCIPHERMENT,
                    KeyUsage::DATA_ENCIPHERMENT,
                ]
                .into_iter()
                .any(|bit| usage.contains(bit))
            })
    }

    /// SHA-1 of the certificate, computed once.
    pub fn sha1(&self) -> &Digest {
        self.0
            .sha1
            .get_or_init(|| DigestAlgorithm::Sha1.digest(self.der()))
    }

    /// SHA-256 of the certificate, computed once.
    pub fn sha256(&self) -> &Digest {
        self.0
            .sha256
            .get_or_init(|| DigestAlgorithm::Sha256.digest(self.der()))
    }

    /// SHA-512 of the certificate, computed once.
    pub fn sha512(&self) -> &Digest {
        self.0
            .sha512
            .get_or_init(|| DigestAlgorithm::Sha512.digest(self.der()))
    }

    /// Verifies the signature on this certificate with the issuer's key.
    ///
    /// # Errors
    /// See [`VerifyError`]; [`VerifyError::Algorithm`] also for SHA-1 when it is refused.
    pub fn verify_signature(
        &self,
        issuer_key: &PublicKey,
        legacy: LegacyDigests,
    ) -> Result<(), VerifyError> {
        let algorithm = self
            .0
            .signature_algorithm
            .filter(|algorithm| legacy.accept(*algorithm))
            .ok_or(VerifyError::Algorithm)?;
        issuer_key.verify(
            algorithm,
            &self.0.der[self.0.tbs.clone()],
            &self.0.der[self.0.signature.clone()],
        )
    }

    /// Whether `issuer` issued this certificate: its subject is our issuer and its key made our signature. SHA-1 is refused.
    pub fn is_issued_by(&self, issuer: &Certificate) -> bool {
        self.is_issued_by_with(issuer, LegacyDigests::Refuse)
    }

    /// As [`Self::is_issued_by`], with a choice about SHA-1.
    pub fn is_issued_by_with(&self, issuer: &Certificate, legacy: LegacyDigests) -> bool {
        self.issuer().matches(issuer.subject())
            && self.verify_signature(issuer.public_key(), legacy).is_ok()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl std::hash::Hash for Certificate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.der.hash(state);
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Certificate(subject {}, issuer {}, serial {})",
            self.subject(),
            self.issuer(),
            self.serial_decimal()
        )
    }
}

/// Reads a SEQUENCE OF Extension (RFC 5280 section 4.1).
fn read_extensions(mut list: Reader<'_>) -> Result<Extensions, CertificateError> {
    let mut extensions = Extensions::default();
    let mut seen: Vec<&[u8]> = Vec::with_capacity(8);
    while !list.is_empty() {
        let mut fields = list.sequence()?;
        let oid = fields.oid()?;
        let critical = match fields.optional(der::BOOLEAN)? {
            Some(value) => der::boolean(value.contents)?,
            None => false,
        };
        let value = fields.octet_string()?;
        fields.finish()?;
        if seen.contains(&oid) || seen.len() >= MAX_EXTENSIONS {
            return Err(CertificateError::Extensions);
        }
        seen.push(oid);
        read_extension(oid, critical, value, &mut extensions)?;
    }
    Ok(extensions)
}

fn read_extension(
    oid: &[u8],
    critical: bool,
    value: &[u8],
    extensions: &mut Extensions,
) -> Result<(), DerError> {
    let mut reader = Reader::new(value);
    match oid {
        extension::KEY_USAGE => extensions.key_usage = Some(KeyUsage::read(value)?),
        extension::BASIC_CONSTRAINTS => {
            // BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL }
            let mut fields = reader.sequence()?;
            if let Some(value) = fields.optional(der::BOOLEAN)? {
                extensions.is_ca = der::boolean(value.contents)?;
            }
            if !fields.is_empty() {
                extensions.path_length = Some(fields.small_integer()?);
            }
            fields.finish()?;
            reader.finish()?;
        }
        extension::EXTENDED_KEY_USAGE => {
            let mut purposes = reader.sequence()?;
            reader.finish()?;
            while !purposes.is_empty() {
                let purpose = KeyPurpose::from_oid(purposes.oid()?);
                extensions.purposes.push(purpose);
            }
            extensions.purposes_critical = critical;
        }
        extension::SUBJECT_KEY_IDENTIFIER => {
            extensions.subject_key_identifier = Some(reader.octet_string()?.into());
        }
        extension::AUTHORITY_KEY_IDENTIFIER => {
            let mut fields = reader.sequence()?;
            extensions.authority_key_identifier = fields
                .optional(der::context_primitive(0))?
                .map(|identifier| identifier.contents.into());
        }
        extension::SUBJECT_ALTERNATIVE_NAME => {
            let mut names = reader.sequence()?;
            while !names.is_empty() {
                let name = names.element()?;
                let read = AlternativeName::read(name.tag, name.contents);
                extensions.alternative_names.extend(read);
            }
        }
        extension::AUTHORITY_INFORMATION_ACCESS => {
            // SEQUENCE OF AccessDescription { accessMethod, accessLocation GeneralName }
            let mut descriptions = reader.sequence()?;
            while !descriptions.is_empty() {
                let mut description = descriptions.sequence()?;
                let method = description.oid()?;
                let location = description.element()?;
                if extensions.ocsp_url.is_none()
                    && method == extension::ACCESS_OCSP
                    // uniformResourceIdentifier [6] IA5String
                    && location.tag == der::context_primitive(6)
                    && let Ok(url) = std::str::from_utf8(location.contents)
                {
                    extensions.ocsp_url = Some(url.to_owned());
                }
            }
        }
        extension::CERTIFICATE_POLICIES => {
            // certificatePolicies ::= SEQUENCE OF PolicyInformation { policyIdentifier, policyQualifiers OPTIONAL }
            let mut policies = reader.sequence()?;
            reader.finish()?;
            while !policies.is_empty() {
                if extensions.policies.len() >= MAX_POLICIES {
                    return Err(DerError::Contents);
                }
                let policy = der::oid_text(policies.sequence()?.oid()?);
                extensions.policies.push(policy);
            }
        }
        extension::NAME_CONSTRAINTS => extensions.unprocessed = true,
        _ => extensions.unprocessed |= critical,
    }
    Ok(())
}

/// A two's complement number in decimal.
pub(crate) fn decimal(number: &[u8]) -> String {
    let negative = number.first().is_some_and(|first| first & 0x80 != 0);
    let mut magnitude = number.to_vec();
    if negative {
        let mut carry = true;
        for octet in magnitude.iter_mut().rev() {
            let (value, overflow) = (!*octet).overflowing_add(u8::from(carry));
            *octet = value;
            carry = overflow;
        }
    }
    // Repeated division by 10^9 gives the digits from the right.
    let mut groups = Vec::new();
    while magnitude.iter().any(|octet| *octet != 0) {
        let mut remainder = 0u64;
        for octet in &mut magnitude {
            let value = remainder << 8 | u64::from(*octet);
            *octet = (value / 1_000_000_000) as u8;
            remainder = value % 1_000_000_000;
        }
        groups.push(remainder);
    }
    let mut text = String::from(if negative { "-" } else { "" });
    match groups.pop() {
        None => text.push('0'),
        Some(first) => text.push_str(&first.to_string()),
    }
    for group in groups.iter().rev() {
        text.push_str(&format!("{group:09}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_in_decimal() {
        assert_eq!(decimal(&[0]), "0");
        assert_eq!(decimal(&[0x7f]), "127");
        assert_eq!(decimal(&[0x00, 0x80]), "128");
        assert_eq!(decimal(&[0xff]), "-1");
        assert_eq!(decimal(&[0x80]), "-128");
        assert_eq!(
            decimal(&[0x01, 0, 0, 0, 0, 0, 0, 0, 0]),
            "18446744073709551616"
        );
        assert_eq!(decimal(&1_000_000_000u64.to_be_bytes()), "1000000000");
    }

    #[test]
    fn key_usage_bits() {
        let usage = KeyUsage::DIGITAL_SIGNATURE.with(KeyUsage::KEY_ENCIPHERMENT);
        assert_eq!(usage.contents(), [5, 0xa0]);
        assert!(usage.contains(KeyUsage::DIGITAL_SIGNATURE));
        assert!(!usage.contains(KeyUsage::CONTENT_COMMITMENT));
        assert_eq!(KeyUsage::read(&[0x03, 0x02, 5, 0xa0]), Ok(usage));
        assert!(KeyUsage::read(&[0x03, 0x01]).is_err());
    }
}
