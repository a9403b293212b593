//! Certification requests (PKCS#10, RFC 2986).

use crate::algorithm::SignatureAlgorithm;
use crate::certificate::{LegacyDigests, MAX_CERTIFICATE_LENGTH};
use crate::der::{self, DerError, Reader, Writer};
use crate::key::{PublicKey, VerifyError};
use crate::name::Name;
use crate::pem::{self, PemError};
use crate::signer::{SignError, Signer};

/// Why a certification request is refused. The fault is the requester's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Not DER, or not the structure of RFC 2986.
    #[error("not a certification request: {0}")]
    Der(#[from] DerError),
    /// Neither DER nor a PEM text with a certification request.
    #[error("not a certification request: {0}")]
    Pem(#[from] PemError),
    /// Longer than a certificate may be.
    #[error("the certification request is longer than {MAX_CERTIFICATE_LENGTH} bytes")]
    TooLong,
    /// The requester does not hold the private key, or the key or algorithm is refused.
    #[error("the signature of the certification request: {0}")]
    Signature(#[from] VerifyError),
}

/// A decoded certification request, not verified.
#[derive(Debug, Clone)]
pub struct CertificateRequest {
    info: Vec<u8>,
    subject: Name,
    public_key: PublicKey,
    algorithm: Option<SignatureAlgorithm>,
    signature: Vec<u8>,
}

/// A certification request whose signature was made with the key it asks a certificate for. Made only by [`CertificateRequest::verify`].
#[derive(Debug, Clone)]
pub struct VerifiedRequest {
    subject: Name,
    public_key: PublicKey,
}

impl VerifiedRequest {
    /// The subject that the requester wants.
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// The requester's key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}

impl CertificateRequest {
    /// Decodes a request in DER or PEM.
    ///
    /// # Errors
    /// See [`CsrError`].
    pub fn decode(request: &[u8]) -> Result<Self, CsrError> {
        if request.first() == Some(&der::SEQUENCE) {
            return Self::decode_der(request);
        }
        let der = match pem::decode(request, "CERTIFICATE REQUEST") {
            Err(PemError::NotFound) => pem::decode(request, "NEW CERTIFICATE REQUEST"),
            other => other,
        }?;
        Self::decode_der(&der)
    }

    fn decode_der(request: &[u8]) -> Result<Self, CsrError> {
        if request.len() > MAX_CERTIFICATE_LENGTH {
            return Err(CsrError::TooLong);
        }
        // CertificationRequest ::= SEQUENCE { certificationRequestInfo, signatureAlgorithm, signature }
        let mut outer = Reader::new(request);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        let info = fields.expect(der::SEQUENCE)?;
        let algorithm = SignatureAlgorithm::read(fields.sequence()?)?;
        let signature = fields.bit_string()?;
        fields.finish()?;
        // CertificationRequestInfo ::= SEQUENCE { version, subject, subjectPKInfo, attributes [0] }
        let mut fields = info.reader();
        if fields.small_integer()? != 0 {
            return Err(DerError::Contents.into());
        }
        let subject = fields.expect(der::SEQUENCE)?;
        let public_key = fields.expect(der::SEQUENCE)?;
        // Attributes are mandatory in the standard, yet some tools leave an empty set out.
        fields.optional(der::context(0))?;
        fields.finish()?;
        Ok(CertificateRequest {
            subject: Name::decode(subject.whole)?,
            public_key: PublicKey::from_spki_der(public_key.whole)?,
            info: info.whole.to_vec(),
            algorithm,
            signature: signature.to_vec(),
        })
    }

    /// The subject that the requester wants.
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// Verifies that the requester holds the private key.
    ///
    /// # Errors
    /// [`CsrError::Signature`].
    pub fn verify(self) -> Result<VerifiedRequest, CsrError> {
        let algorithm = self
            .algorithm
            .filter(|algorithm| LegacyDigests::Refuse.accept(*algorithm))
            .ok_or(VerifyError::Algorithm)?;
        self.public_key
            .verify(algorithm, &self.info, &self.signature)?;
        Ok(VerifiedRequest {
            subject: self.subject,
            public_key: self.public_key,
        })
    }
}

/// Makes a request for `subject` with the key of `signer`, in DER.
///
/// # Errors
/// If the signer fails.
pub fn build(subject: &Name, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
    let info = Writer::sequence_of(|writer| {
        writer.small_integer(0);
        writer.raw(subject.der());
        writer.raw(signer.public_key().spki_der());
        writer.constructed(der::context(0), |_| {});
    });
    let signature = signer.sign(&info)?;
    Ok(Writer::sequence_of(|writer| {
        writer.raw(&info);
        signer.algorithm().write(writer);
        writer.bit_string(&signature);
    }))
}

/// As [`build`], in PEM.
///
/// # Errors
/// If the signer fails.
pub fn build_pem(subject: &Name, signer: &dyn Signer) -> Result<String, SignError> {
    Ok(pem::encode(&build(subject, signer)?, "CERTIFICATE REQUEST"))
}
