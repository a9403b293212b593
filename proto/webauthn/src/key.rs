//! Public keys of passkeys.

use pki::{DigestAlgorithm, KeyKind, PublicKey, SignatureAlgorithm, VerifyError};

/// COSE number of ECDSA with SHA-256 (RFC 9053 section 2.1).
const ES256: i64 = -7;
/// COSE number of RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8812 section 2).
const RS256: i64 = -257;

/// Why a key is not accepted. The fault is the authenticator's or its holder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are not a SubjectPublicKeyInfo.
    #[error("the passkey's public key is not a SubjectPublicKeyInfo")]
    Encoding,
    /// The kind of key and the algorithm do not belong together, or are not known.
    #[error(
        "the passkey's algorithm is not accepted; ES256 on P-256 (-7) and RS256 of at least 2048 bits (-257) are"
    )]
    Algorithm,
}

/// The public key of a passkey with its one algorithm: ES256 on P-256, or RS256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyKey {
    public_key: PublicKey,
    algorithm: SignatureAlgorithm,
}

impl PasskeyKey {
    /// The key of a SubjectPublicKeyInfo and a COSE algorithm (`publicKey` and `publicKeyAlgorithm` of a registration).
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn new(spki: &[u8], cose_algorithm: i64) -> Result<Self, KeyError> {
        let public_key = PublicKey::from_spki_der(spki).map_err(|_| KeyError::Encoding)?;
        let algorithm = match (cose_algorithm, public_key.kind()) {
            (ES256, KeyKind::EcP256) => SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
            (RS256, KeyKind::Rsa { bits })
                if (pki::MIN_RSA_BITS..=pki::MAX_RSA_BITS).contains(&bits) =>
            {
                SignatureAlgorithm::RsaPkcs1(DigestAlgorithm::Sha256)
            }
            _ => return Err(KeyError::Algorithm),
        };
        Ok(Self {
            public_key,
            algorithm,
        })
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        self.public_key.verify(self.algorithm, message, signature)
    }
}
