//! Verification of a signature's value: everything that the signature and its certificate can
//! prove on their own, without the message and without trust.

use crate::error::SignatureError;
use crate::names::{POLICY_DIGEST_BYTES, POLICY_IDENTIFIER};
use crate::signature::{Profile, Reference, Signature};
use pki::{Certificate, DigestAlgorithm, SignatureAlgorithm};
use std::sync::Arc;

/// What a verifier insists on.
///
/// Online there is one rule, [`SignaturePolicyRule::STRICT`]. The relaxations are for the
/// offline verification of old archives only (reference 2.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignaturePolicyRule {
    policy_required: bool,
    sha1_allowed: bool,
}

impl SignaturePolicyRule {
    /// X-Road's policy must be named and exact, SHA-1 is refused.
    pub const STRICT: SignaturePolicyRule = SignaturePolicyRule {
        policy_required: true,
        sha1_allowed: false,
    };

    /// The policy may be absent also in X-Road's profile (signatures before about 2016).
    #[must_use]
    pub const fn policy_not_required(self) -> SignaturePolicyRule {
        SignaturePolicyRule {
            policy_required: false,
            ..self
        }
    }

    /// SHA-1 digests and signatures are accepted.
    #[must_use]
    pub const fn sha1_allowed(self) -> SignaturePolicyRule {
        SignaturePolicyRule {
            sha1_allowed: true,
            ..self
        }
    }

    /// Whether SHA-1 is accepted.
    #[must_use]
    pub const fn is_sha1_allowed(self) -> bool {
        self.sha1_allowed
    }

    fn check_digest(self, algorithm: DigestAlgorithm) -> Result<(), SignatureError> {
        match algorithm {
            DigestAlgorithm::Sha256 | DigestAlgorithm::Sha384 | DigestAlgorithm::Sha512 => Ok(()),
            DigestAlgorithm::Sha1 if self.sha1_allowed => Ok(()),
            DigestAlgorithm::Sha1 | DigestAlgorithm::Sha224 => {
                Err(SignatureError::Algorithm(algorithm.name().to_owned()))
            }
        }
    }
}

impl Default for SignaturePolicyRule {
    fn default() -> Self {
        SignaturePolicyRule::STRICT
    }
}

/// A signature whose value verified with the key of its certificate, whose signed properties are
/// intact and name that certificate, and whose policy is X-Road's. Only
/// [`Signature::verify_value`] makes one.
///
/// It says nothing yet of who holds the certificate, and nothing of any message: for that, see
/// the check of coverage. It is cheap to clone, and a caller may keep it under the bytes of the
/// signature document: in a batch many messages share one signature.
#[derive(Debug, Clone)]
pub struct ValueVerified {
    inner: Arc<Verified>,
}

#[derive(Debug)]
struct Verified {
    signature: Signature,
    certificate: Certificate,
    rule: SignaturePolicyRule,
}

impl ValueVerified {
    /// The signature that was verified.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.inner.signature
    }

    /// The certificate of the signer; not judged yet.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.inner.certificate
    }

    /// The verified references to parts of the message or to the hash chain's result.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.inner.signature.references
    }

    /// The rule that was applied.
    #[must_use]
    pub fn rule(&self) -> SignaturePolicyRule {
        self.inner.rule
    }
}

impl Signature {
    /// Verifies the value of SignedInfo, the digest of the signed properties, that they name the
    /// certificate in KeyInfo, and the policy (T-SIG-2).
    ///
    /// `certificate` is the parsed form of [`Signature::certificate_der`]; a caller keeps parsed
    /// certificates, for members sign with few of them. Another certificate is refused.
    ///
    /// # Errors
    /// [`SignatureError`]; the signer is at fault.
    pub fn verify_value(
        self,
        certificate: &Certificate,
        rule: SignaturePolicyRule,
    ) -> Result<ValueVerified, SignatureError> {
        let frame = &self.frame;
        if frame.known_certificate.get() != Some(certificate) {
            if certificate.der() != frame.certificate {
                return Err(SignatureError::SigningCertificate);
            }
            let _ = frame.known_certificate.set(certificate.clone());
        }
        rule.check_digest(frame.algorithm.digest())?;
        rule.check_digest(frame.properties_algorithm)?;
        for reference in &self.references {
            rule.check_digest(reference.algorithm)?;
        }
        self.check_policy(rule)?;

        let (algorithm, digest) = &frame.certificate_digest;
        rule.check_digest(*algorithm)?;
        let computed = match algorithm {
            DigestAlgorithm::Sha512 => *certificate.sha512(),
            DigestAlgorithm::Sha256 => *certificate.sha256(),
            other => other.digest(certificate.der()),
        };
        if computed != *digest {
            return Err(SignatureError::SigningCertificate);
        }
        if self.properties.computed != self.properties.signed {
            return Err(SignatureError::Value("the signed properties were changed"));
        }
        let key = certificate.public_key();
        let verified = match frame.algorithm {
            SignatureAlgorithm::Ecdsa(_) => {
                key.verify_fixed(frame.algorithm, &self.signed_info, &self.value)
            }
            _ => key.verify(frame.algorithm, &self.signed_info, &self.value),
        };
        verified.map_err(|_| {
            SignatureError::Value("it was not made with the certificate's key over SignedInfo")
        })?;
        Ok(ValueVerified {
            inner: Arc::new(Verified {
                signature: self,
                certificate: certificate.clone(),
                rule,
            }),
        })
    }

    fn check_policy(&self, rule: SignaturePolicyRule) -> Result<(), SignatureError> {
        let Some(policy) = &self.frame.policy else {
            if self.frame.profile == Profile::XRoad && rule.policy_required {
                return Err(SignatureError::Policy("missing"));
            }
            return Ok(());
        };
        if policy.identifier != POLICY_IDENTIFIER
            || policy.algorithm != Some(DigestAlgorithm::Sha512)
            || policy.digest != POLICY_DIGEST_BYTES
        {
            return Err(SignatureError::Policy("not the one of X-Road"));
        }
        Ok(())
    }
}
