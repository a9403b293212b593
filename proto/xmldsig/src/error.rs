//! Why a signature does not count.

use crate::xml::XmlError;
use thiserror::Error;

/// Why a signature is refused. Except for [`SignatureError::Certificates`] and
/// [`SignatureError::UnknownIssuer`], which may also come from our own configuration, the signer
/// is at fault.
///
/// The text never holds bytes of the message, only names of parts and rules.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The document is not XML that the reader accepts.
    #[error("the signature is not acceptable XML: {0}")]
    Xml(#[from] XmlError),
    /// The document breaks the signature profile: something is missing, doubled or misplaced.
    #[error("malformed signature: {0}")]
    Malformed(&'static str),
    /// An algorithm that is unknown, or too weak for signatures of today.
    #[error("the signature uses an algorithm that is not accepted: {0}")]
    Algorithm(String),
    /// The signature policy is not X-Road's.
    #[error("the signature policy is {0}")]
    Policy(&'static str),
    /// `SigningCertificate` names another certificate than KeyInfo holds, or the certificate
    /// given for verification is not the one of the signature.
    #[error("the signed properties name another certificate than the one in the signature")]
    SigningCertificate,
    /// The value does not verify with the certificate's key, or a digest is not that of the data.
    #[error("the signature value does not fit: {0}")]
    Value(&'static str),
    /// The digest in a reference is not that of the part.
    #[error("the signed digest of {0} is not that of the data")]
    Reference(String),
    /// A part of the message is not covered by the signature.
    #[error("the signature does not cover {0}")]
    NotCovered(String),
    /// The signature or its hash chain names something that is not there.
    #[error("the signature covers {0}, which is not there")]
    Absent(String),
    /// The digest method of a reference to a part is not the one that the message announced.
    #[error("the digest of {0} cannot be computed with the algorithm that the signature names")]
    Unresolvable(String),
    /// A hash chain or its result does not follow the schema.
    #[error("malformed hash chain: {0}")]
    MalformedHashChain(&'static str),
    /// The hash chain does not lead to its result.
    #[error("the hash chain does not lead to the signed result")]
    HashChain,
    /// A reference of the hash chain does not fit its data.
    #[error("the hash chain's digest of {0} is not that of the data")]
    HashChainReference(String),
    /// Parts that the hash chain does not use.
    #[error("the hash chain leaves out {0}")]
    UnusedInputs(String),
    /// The certificate is not one for signing (no contentCommitment).
    #[error("the certificate is not a signing certificate")]
    NotASigningCertificate,
    /// The subject of the certificate is another member than the one who must have signed.
    #[error("the signer is {found}, but the message is from {expected}")]
    Signer {
        /// Who must have signed.
        expected: String,
        /// Whom the certificate names.
        found: String,
    },
    /// The subject of the certificate cannot be read as a member's name.
    #[error("the certificate's subject does not name a member: {0}")]
    Subject(String),
    /// No certification service of the signer's instance issued the certificate.
    #[error("the certificate was not issued by an approved certification service")]
    UnknownIssuer,
    /// The certificate chain does not hold, or the certificate is revoked.
    #[error("the signer's certificate is not valid: {0}")]
    Certificates(String),
    /// The OCSP response does not prove that the certificate was good.
    #[error("the signer's OCSP response is not acceptable: {0}")]
    Ocsp(String),
    /// The time stamp is missing, over something else or from somebody else.
    #[error("time stamp: {0}")]
    TimeStamp(String),
}

impl SignatureError {
    /// X-Road's code (spelling of 7.8) as it follows `signature_verification.`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            SignatureError::Xml(_)
            | SignatureError::Malformed(_)
            | SignatureError::Algorithm(_)
            | SignatureError::Policy(_)
            | SignatureError::SigningCertificate
            | SignatureError::NotCovered(_)
            | SignatureError::NotASigningCertificate
            | SignatureError::TimeStamp(_) => "malformed_signature",
            SignatureError::Value(_) | SignatureError::Reference(_) => "invalid_signature_value",
            SignatureError::Absent(_) | SignatureError::Unresolvable(_) => "invalid_reference",
            SignatureError::MalformedHashChain(_) => "malformed_signature.malformed_hash_chain",
            SignatureError::HashChain => "malformed_signature.invalid_hash_chain",
            SignatureError::HashChainReference(_) => "malformed_signature.invalid_hash_chain_ref",
            SignatureError::UnusedInputs(_) => "malformed_signature.hashchain_unused_inputs",
            SignatureError::Signer { .. } | SignatureError::Subject(_) => "incorrect_certificate",
            SignatureError::UnknownIssuer => "internal_error",
            SignatureError::Certificates(_) => "invalid_cert_path.cert_validation",
            SignatureError::Ocsp(_) => "invalid_cert_path.incorrect_validation_info",
        }
    }
}
