//! The signed directory of a configuration: which parts there are, with their
//! digests, until when, signed (PR-GCONF section 2.3, reference G8 to G17).

use std::ops::{Deref, Range};

use pki::{Certificate, Digest, DigestAlgorithm, SignError, SignatureAlgorithm, Signer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::configuration::Outdated;
use crate::mime;
use crate::parameters::FormatVersion;
use crate::xml::{decode_base64, encode_base64};

/// Largest directory that is read, in bytes; real ones have about 3 KB.
pub const MAX_DIRECTORY_LENGTH: usize = 1 << 20;
/// Most parts that a directory may list.
pub const MAX_ENTRIES: usize = 256;
/// Identifier of shared parameters (reference G18).
pub const SHARED_PARAMETERS: &str = "SHARED-PARAMETERS";
/// Identifier of private parameters.
pub const PRIVATE_PARAMETERS: &str = "PRIVATE-PARAMETERS";
/// Identifier of the monitoring parameters.
pub const MONITORING: &str = "MONITORING";
/// Identifier of the interval at which OCSP answers are fetched.
pub const FETCH_INTERVAL: &str = "FETCHINTERVAL";
/// Identifier of the check of `nextUpdate`.
pub const NEXT_UPDATE: &str = "NEXTUPDATE";

/// Why a signed directory, or a part named by it, is not accepted. The fault is the
/// configuration server's or of somebody between it and us. [`DirectoryError::code`]
/// is X-Road's name for it (reference G17).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// Not the multipart document it should be.
    #[error("the signed directory cannot be read: {0}")]
    Malformed(&'static str),
    /// There is no signed part.
    #[error("the signed directory has no signed part")]
    NoSignedData,
    /// There is no signature part, so not even the expiry can be relied on.
    #[error("the signed directory has no signature part")]
    NoSignature,
    /// A mandatory header is absent.
    #[error("header {0} is missing")]
    MissingHeader(&'static str),
    /// A mandatory parameter of a header is absent.
    #[error("header {header} has no parameter {parameter}")]
    MissingParameter {
        /// The header.
        header: &'static str,
        /// The parameter.
        parameter: &'static str,
    },
    /// A header has a value that cannot be used.
    #[error("header {header} has the unusable value {value:?}")]
    WrongValue {
        /// The header.
        header: &'static str,
        /// Its value.
        value: String,
    },
    /// The signature is not base64.
    #[error("the signature is not base64")]
    SignatureEncoding,
    /// None of the certificates that may verify it has the hash in the signature part.
    #[error("no trusted certificate has the hash {0} that the signature names")]
    MissingVerificationCertificate(String),
    /// The signature does not verify, or uses a broken algorithm.
    #[error("the signature of the directory is not valid")]
    BadSignature,
    /// A part has other bytes than the directory says.
    #[error("part {location} has not the digest that the signed directory gives")]
    PartIntegrity {
        /// Location of the part.
        location: String,
    },
    /// A part belongs to another instance than the directory says.
    #[error("part {location} is of instance {found:?}, not {expected:?}")]
    WrongInstance {
        /// Location of the part.
        location: String,
        /// Instance wanted.
        expected: String,
        /// Instance found.
        found: String,
    },
    /// Expired.
    #[error(transparent)]
    Outdated(#[from] Outdated),
}

impl DirectoryError {
    /// X-Road's error code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "global_conf_parsing_downloaded_conf_directory_failure",
            Self::NoSignedData => "global_conf_missing_signed_data",
            Self::NoSignature => "global_conf_missing_signed_data_expiration_date",
            Self::MissingHeader(_) => "global_conf_header_field_missing",
            Self::MissingParameter { .. } => "global_conf_header_field_missing_parameter",
            Self::WrongValue { .. } => "global_conf_header_field_wrong_value",
            Self::SignatureEncoding => "global_conf_signature_decode_failure",
            Self::MissingVerificationCertificate(_) => "global_conf_missing_verification_cert",
            Self::BadSignature => "global_conf_signature_verification_failure",
            Self::PartIntegrity { .. } => "global_conf_part_downloaded_file_integrity_failure",
            Self::WrongInstance { .. } => "global_conf_part_invalid_instance_identifier",
            Self::Outdated(_) => "global_conf_outdated",
        }
    }
}

/// A part as the directory lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `SHARED-PARAMETERS` and so on; empty if not given.
    pub content_identifier: String,
    /// Instance to which the part belongs; empty if not given.
    pub instance: String,
    /// Path on the configuration server.
    pub location: String,
    /// Name under which it is to be stored, if it is not the last segment of the path.
    pub file_name: Option<String>,
    /// Algorithm of the digest.
    pub digest_algorithm: DigestAlgorithm,
    /// Digest of the part's bytes.
    pub digest: Digest,
}

impl Entry {
    /// Name under which X-Road stores the part (reference G18, G24).
    pub fn stored_name(&self) -> &str {
        match self.content_identifier.as_str() {
            SHARED_PARAMETERS => "shared-params.xml",
            PRIVATE_PARAMETERS => "private-params.xml",
            MONITORING => "monitoring-params.xml",
            FETCH_INTERVAL => "ocsp-fetchinterval-params.xml",
            NEXT_UPDATE => "ocsp-nextupdate-params.xml",
            _ => self
                .file_name
                .as_deref()
                .unwrap_or_else(|| self.location.rsplit('/').next().unwrap_or_default()),
        }
    }

    /// Whether `content` is the part.
    ///
    /// # Errors
    /// [`DirectoryError::PartIntegrity`].
    pub fn verify(&self, content: &[u8]) -> Result<(), DirectoryError> {
        if self.is(content) {
            Ok(())
        } else {
            Err(DirectoryError::PartIntegrity {
                location: self.location.clone(),
            })
        }
    }

    /// Whether `content` has the digest of the part.
    pub fn is(&self, content: &[u8]) -> bool {
        self.digest_algorithm.digest(content) == self.digest
    }
}

/// A signed directory whose signature has not been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedDirectory {
    bytes: Vec<u8>,
    signed: Range<usize>,
    expires: OffsetDateTime,
    version: FormatVersion,
    entries: Vec<Entry>,
    signature_algorithm: SignatureAlgorithm,
    certificate_digest_algorithm: DigestAlgorithm,
    certificate_digest: Digest,
    signature: Vec<u8>,
}

impl SignedDirectory {
    /// Reads a signed directory.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DirectoryError> {
        if bytes.len() > MAX_DIRECTORY_LENGTH {
            return Err(DirectoryError::Malformed("too large"));
        }
        let malformed = DirectoryError::Malformed;
        let (headers, body) =
            mime::headers(bytes).ok_or(malformed("unreadable headers of the document"))?;
        let boundary = headers
            .get("content-type")
            .and_then(mime::boundary)
            .ok_or(malformed("no boundary of the document"))?;
        let outer = mime::parts(&bytes[body..], &boundary, 2)
            .ok_or(malformed("more than a signed part and a signature"))?;
        let mut parts = outer
            .ranges
            .iter()
            .map(|range| body + range.start..body + range.end);
        let data = parts.next().ok_or(DirectoryError::NoSignedData)?;
        let signature_part = parts.next().ok_or(DirectoryError::NoSignature)?;
        if !outer.closed {
            return Err(malformed("the document is cut short"));
        }

        let (headers, data_body) =
            mime::headers(&bytes[data.clone()]).ok_or(malformed("unreadable headers"))?;
        let signed = data.start + data_body..data.end;
        let inner_boundary = headers
            .get("content-type")
            .and_then(mime::boundary)
            .ok_or(malformed("no boundary of the signed part"))?;
        let content = &bytes[signed.clone()];
        let inner = mime::parts(content, &inner_boundary, MAX_ENTRIES + 1)
            .ok_or(malformed("too many parts listed"))?;
        let mut entries = inner.ranges.into_iter();
        let (expires, version) = entries
            .next()
            .ok_or(DirectoryError::MissingHeader("Expire-date"))
            .and_then(|range| header_entry(&content[range]))?;
        let entries = entries
            .map(|range| entry(&content[range]))
            .collect::<Result<_, _>>()?;

        let signature_bytes = &bytes[signature_part];
        let (headers, signature_body) =
            mime::headers(signature_bytes).ok_or(malformed("unreadable headers"))?;
        let algorithm = headers
            .get("signature-algorithm-id")
            .ok_or(DirectoryError::MissingHeader("Signature-Algorithm-Id"))?;
        let signature_algorithm =
            SignatureAlgorithm::from_uri(algorithm).ok_or_else(|| DirectoryError::WrongValue {
                header: "Signature-Algorithm-Id",
                value: algorithm.to_owned(),
            })?;
        const HASH: &str = "Verification-certificate-hash";
        let hash = headers
            .get("verification-certificate-hash")
            .ok_or(DirectoryError::MissingHeader(HASH))?;
        let (digest, parameters) = mime::value_with_parameters(hash);
        let uri = parameters
            .iter()
            .find(|(name, _)| name == "hash-algorithm-id")
            .map(|(_, value)| value)
            .ok_or(DirectoryError::MissingParameter {
                header: HASH,
                parameter: "hash-algorithm-id",
            })?;
        let wrong_hash = || DirectoryError::WrongValue {
            header: HASH,
            value: hash.to_owned(),
        };
        let signature = std::str::from_utf8(&signature_bytes[signature_body..])
            .ok()
            .and_then(decode_base64)
            .ok_or(DirectoryError::SignatureEncoding)?;
        Ok(Self {
            signed,
            expires,
            version,
            entries,
            signature_algorithm,
            certificate_digest_algorithm: DigestAlgorithm::from_uri(uri).ok_or_else(wrong_hash)?,
            certificate_digest: decode_base64(&digest)
                .and_then(|bytes| Digest::from_bytes(&bytes))
                .ok_or_else(wrong_hash)?,
            signature,
            bytes: bytes.to_vec(),
        })
    }

    /// Verifies the signature with that of the candidates whose hash it names
    /// (reference G7). Certificates are trusted as given: an anchor, or parameters
    /// already trusted, vouch for them, and their validity dates mean nothing.
    ///
    /// # Errors
    /// [`DirectoryError::MissingVerificationCertificate`], [`DirectoryError::BadSignature`].
    pub fn verify<'a>(
        &self,
        candidates: impl IntoIterator<Item = &'a Certificate>,
    ) -> Result<SignedBy, DirectoryError> {
        let certificate = candidates
            .into_iter()
            .find(|certificate| {
                self.certificate_digest_algorithm.digest(certificate.der())
                    == self.certificate_digest
            })
            .ok_or_else(|| {
                DirectoryError::MissingVerificationCertificate(encode_base64(
                    self.certificate_digest.as_ref(),
                ))
            })?;
        let weak = self.signature_algorithm.digest().is_weak()
            || self.certificate_digest_algorithm.is_weak()
            || self.entries.iter().any(|e| e.digest_algorithm.is_weak());
        if weak {
            return Err(DirectoryError::BadSignature);
        }
        let message = &self.bytes[self.signed.clone()];
        let key = certificate.public_key();
        let good = key
            .verify(self.signature_algorithm, message, &self.signature)
            // A configuration proxy leaves ECDSA values as its token made them (G16).
            .or_else(|_| key.verify_fixed(self.signature_algorithm, message, &self.signature));
        match good {
            Ok(()) => Ok(SignedBy {
                directory: self.clone(),
                certificate: certificate.clone(),
            }),
            Err(_) => Err(DirectoryError::BadSignature),
        }
    }

    /// The document as received.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The signed bytes: the body of the first part (reference G10).
    pub fn signed_bytes(&self) -> &[u8] {
        &self.bytes[self.signed.clone()]
    }

    /// The signature value.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// When the configuration expires.
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }

    /// Version of the format of the parts; 2 if the directory does not say.
    pub fn version(&self) -> FormatVersion {
        self.version
    }

    /// The parts.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The part with this identifier of this instance.
    pub fn entry(&self, content_identifier: &str, instance: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|e| e.content_identifier == content_identifier && e.instance == instance)
    }
}

/// A directory whose signature verified; only [`SignedDirectory::verify`] makes it.
#[derive(Debug, Clone)]
pub struct SignedBy {
    directory: SignedDirectory,
    certificate: Certificate,
}

impl SignedBy {
    /// The certificate that verified it.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Whether it has not expired.
    ///
    /// # Errors
    /// It has, at the time in the error.
    pub fn check_current(&self, instance: &str, now: OffsetDateTime) -> Result<(), Outdated> {
        if now > self.directory.expires {
            return Err(Outdated {
                instance: instance.to_owned(),
                expired: self.directory.expires,
            });
        }
        Ok(())
    }
}

impl Deref for SignedBy {
    type Target = SignedDirectory;

    fn deref(&self) -> &SignedDirectory {
        &self.directory
    }
}

fn header_entry(bytes: &[u8]) -> Result<(OffsetDateTime, FormatVersion), DirectoryError> {
    let (headers, _) = mime::headers(bytes).ok_or(DirectoryError::Malformed(
        "unreadable headers of the first entry",
    ))?;
    let date = headers
        .get("expire-date")
        .filter(|date| !date.is_empty())
        .ok_or(DirectoryError::MissingHeader("Expire-date"))?;
    let expires =
        OffsetDateTime::parse(date, &Rfc3339).map_err(|_| DirectoryError::WrongValue {
            header: "Expire-date",
            value: date.to_owned(),
        })?;
    let version = match headers.get("version") {
        None => FormatVersion::OLDEST,
        Some(text) => text
            .parse()
            .ok()
            .and_then(FormatVersion::new)
            .ok_or_else(|| DirectoryError::WrongValue {
                header: "Version",
                value: text.to_owned(),
            })?,
    };
    Ok((expires, version))
}

fn entry(bytes: &[u8]) -> Result<Entry, DirectoryError> {
    let (headers, body) =
        mime::headers(bytes).ok_or(DirectoryError::Malformed("unreadable headers of an entry"))?;
    let required =
        |name: &'static str, key: &str| headers.get(key).ok_or(DirectoryError::MissingHeader(name));
    let encoding = required("Content-transfer-encoding", "content-transfer-encoding")?;
    if !encoding.eq_ignore_ascii_case("base64") {
        return Err(DirectoryError::WrongValue {
            header: "Content-transfer-encoding",
            value: encoding.to_owned(),
        });
    }
    let location = required("Content-location", "content-location")?;
    let uri = required("Hash-algorithm-id", "hash-algorithm-id")?;
    let (content_identifier, parameters) =
        mime::value_with_parameters(headers.get("content-identifier").unwrap_or_default());
    let instance = parameters
        .into_iter()
        .find(|(name, _)| name == "instance")
        .map(|(_, value)| value)
        .unwrap_or_default();
    if instance.is_empty()
        && matches!(
            content_identifier.as_str(),
            SHARED_PARAMETERS | PRIVATE_PARAMETERS
        )
    {
        return Err(DirectoryError::MissingParameter {
            header: "Content-identifier",
            parameter: "instance",
        });
    }
    let digest = std::str::from_utf8(&bytes[body..])
        .ok()
        .and_then(decode_base64)
        .and_then(|bytes| Digest::from_bytes(&bytes))
        .ok_or(DirectoryError::Malformed("a digest is not base64"))?;
    let digest_algorithm =
        DigestAlgorithm::from_uri(uri).ok_or_else(|| DirectoryError::WrongValue {
            header: "Hash-algorithm-id",
            value: uri.to_owned(),
        })?;
    if digest.as_ref().len() != digest_algorithm.length() {
        return Err(DirectoryError::Malformed("a digest has a wrong length"));
    }
    Ok(Entry {
        content_identifier,
        instance,
        location: location.to_owned(),
        file_name: headers.get("content-file-name").map(str::to_owned),
        digest_algorithm,
        digest,
    })
}

/// A part to be listed in a new directory.
#[derive(Debug, Clone, Copy)]
pub struct NewPart<'a> {
    /// `SHARED-PARAMETERS` and so on.
    pub content_identifier: &'a str,
    /// Path on the configuration server, for example
    /// `/V6/20251110170000548026000/shared-params.xml`.
    pub location: &'a str,
    /// The bytes.
    pub content: &'a [u8],
}

/// What a new directory says.
#[derive(Debug, Clone, Copy)]
pub struct NewDirectory<'a> {
    /// Instance of all parts.
    pub instance: &'a str,
    /// When it expires; written in whole seconds.
    pub expires: OffsetDateTime,
    /// Version of the format of the parts.
    pub version: FormatVersion,
    /// The parts, in order.
    pub parts: &'a [NewPart<'a>],
}

impl NewDirectory<'_> {
    /// Signs and writes the directory with the layout of X-Road's Central Server,
    /// byte for byte (reference G8 to G13). `boundaries` are two different texts of
    /// 20 random letters and digits; `certificate` is that of the signer's key.
    ///
    /// # Errors
    /// The signer's.
    pub fn sign(
        &self,
        boundaries: [&str; 2],
        signer: &dyn Signer,
        certificate: &Certificate,
    ) -> Result<Vec<u8>, SignError> {
        let [outer, inner] = boundaries;
        let content = self.content(inner);
        let signature = signer.sign(content.as_bytes())?;
        let hash = DigestAlgorithm::Sha512;
        let document = format!(
            "Content-Type: multipart/related; charset=UTF-8; boundary={outer}\r\n\r\n\
             --{outer}\r\n\
             Content-Type: multipart/mixed; charset=UTF-8; boundary={inner}\r\n\r\n\
             {content}\r\n\
             --{outer}\r\n\
             Content-Type: application/octet-stream\r\n\
             Content-Transfer-Encoding: base64\r\n\
             Signature-Algorithm-Id: {}\r\n\
             Verification-certificate-hash: {}; hash-algorithm-id=\"{}\"\r\n\r\n\
             {}\r\n\
             --{outer}--\r\n",
            signer.algorithm().uri(),
            encode_base64(hash.digest(certificate.der()).as_ref()),
            hash.uri(),
            encode_base64(&signature),
        );
        Ok(document.into_bytes())
    }

    /// The bytes that are signed.
    fn content(&self, boundary: &str) -> String {
        let hash = DigestAlgorithm::Sha512;
        let mut out = format!(
            "--{boundary}\r\nExpire-date: {}\r\nVersion: {}\r\n\r\n",
            expire_date(self.expires),
            self.version
        );
        for part in self.parts {
            out.push_str(&format!(
                "--{boundary}\r\n\
                 Content-type: application/octet-stream\r\n\
                 Content-transfer-encoding: base64\r\n\
                 Content-identifier: {}; instance='{}'\r\n\
                 Content-location: {}\r\n\
                 Hash-algorithm-id: {}\r\n\r\n\
                 {}\r\n",
                part.content_identifier,
                self.instance,
                part.location,
                hash.uri(),
                encode_base64(hash.digest(part.content).as_ref()),
            ));
        }
        out.push_str(&format!("--{boundary}--\r\n"));
        out
    }
}

/// `yyyy-MM-ddTHH:mm:ssZ`, the form of `Expire-date` (reference G11).
pub(crate) fn expire_date(time: OffsetDateTime) -> String {
    time.to_offset(time::UtcOffset::UTC)
        .format(format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second]Z"
        ))
        .unwrap_or_default()
}
