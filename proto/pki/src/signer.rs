//! The port through which everything is signed, and the key held in memory.

use aws_lc_rs::digest as engine_digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as engine, EcdsaKeyPair, KeyPair, RsaKeyPair};
use zeroize::Zeroizing;

use crate::algorithm::SignatureAlgorithm;
use crate::der::DerError;
use crate::digest::{Digest, DigestAlgorithm};
use crate::key::{KeyKind, MIN_RSA_BITS, PublicKey, ecdsa_der_to_fixed};

/// Why nothing was signed. The fault is ours: the key's holder or its device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key is not there, or its token is not open.
    #[error("the signing key is not available: {0}")]
    KeyUnavailable(String),
    /// The device that holds the key failed.
    #[error("the device that holds the signing key failed: {0}")]
    Device(String),
    /// The key cannot make signatures of this algorithm.
    #[error("the signing key cannot make signatures of the wanted algorithm")]
    Algorithm,
}

/// Something that signs with one key and one algorithm: a key in memory, or a handle to a token.
pub trait Signer: Send + Sync {
    /// The public half of the key.
    fn public_key(&self) -> &PublicKey;

    /// The algorithm of the signatures.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// Signs `message`; an ECDSA value is in ASN.1 DER.
    ///
    /// # Errors
    /// See [`SignError`].
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;

    /// Signs what somebody else computed the digest of, with the digest of [`Self::algorithm`]; an ECDSA value is in
    /// ASN.1 DER. Only what signs for others needs it: a signing service that is given hashes.
    ///
    /// # Errors
    /// [`SignError::Algorithm`] if the digest has another length than the algorithm's, or this signer takes messages
    /// only; otherwise see [`SignError`].
    fn sign_digest(&self, _digest: &Digest) -> Result<Vec<u8>, SignError> {
        Err(SignError::Algorithm)
    }

    /// As [`Self::sign`], but an ECDSA value is the raw `r || s` of XML signatures (S11).
    ///
    /// # Errors
    /// See [`SignError`].
    fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.sign(message)?;
        match self.public_key().kind().coordinate_length() {
            Some(length) => ecdsa_der_to_fixed(&signature, length).ok_or_else(|| {
                SignError::Device("the signature value is not an ECDSA-Sig-Value".into())
            }),
            None => Ok(signature),
        }
    }
}

impl<S: Signer + ?Sized> Signer for std::sync::Arc<S> {
    fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, SignError> {
        (**self).sign_digest(digest)
    }
    fn public_key(&self) -> &PublicKey {
        (**self).public_key()
    }
    fn algorithm(&self) -> SignatureAlgorithm {
        (**self).algorithm()
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        (**self).sign(message)
    }
    fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        (**self).sign_fixed(message)
    }
}

/// The keys that we generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// RSA, 2048 bits: what every X-Road version loads.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
    /// ECDSA on P-256: peers from 7.6.
    EcP256,
}

impl KeyType {
    /// The spelling of settings: `rsa-2048`, `ec-p256`, ...
    pub const fn name(self) -> &'static str {
        match self {
            KeyType::Rsa2048 => "rsa-2048",
            KeyType::Rsa3072 => "rsa-3072",
            KeyType::Rsa4096 => "rsa-4096",
            KeyType::EcP256 => "ec-p256",
        }
    }

    /// The type of a name as settings spell it.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            KeyType::Rsa2048,
            KeyType::Rsa3072,
            KeyType::Rsa4096,
            KeyType::EcP256,
        ]
        .into_iter()
        .find(|key_type| key_type.name() == name)
    }
}

/// Why a private key is not loaded or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are not an unencrypted PKCS#8 key of RSA or P-256, or the key is not consistent.
    #[error("not a PKCS#8 private key of RSA or P-256")]
    NotAKey,
    /// The RSA modulus is shorter than 2048 bits.
    #[error("the RSA key is shorter than {MIN_RSA_BITS} bits")]
    TooShort,
    /// The library could not generate or export a key.
    #[error("the cryptographic library failed to generate or export a key")]
    Engine,
    /// The key cannot make signatures of this algorithm.
    #[error("the key cannot make signatures of this algorithm")]
    Algorithm,
}

impl From<DerError> for KeyError {
    fn from(_: DerError) -> Self {
        KeyError::NotAKey
    }
}

enum Pair {
    Rsa(RsaKeyPair),
    EcP256(EcdsaKeyPair),
}

/// A private key in memory. Its debug output names the kind of key only.
pub struct SoftwareKey {
    pair: Pair,
    public_key: PublicKey,
    algorithm: SignatureAlgorithm,
}

impl SoftwareKey {
    /// Generates a key with the library's own random generator. It signs with SHA-512.
    ///
    /// # Errors
    /// [`KeyError::Engine`].
    pub fn generate(key_type: KeyType) -> Result<Self, KeyError> {
        let rsa = |size| {
            RsaKeyPair::generate(size)
                .map(Pair::Rsa)
                .map_err(|_| KeyError::Engine)
        };
        let pair = match key_type {
            KeyType::Rsa2048 => rsa(KeySize::Rsa2048)?,
            KeyType::Rsa3072 => rsa(KeySize::Rsa3072)?,
            KeyType::Rsa4096 => rsa(KeySize::Rsa4096)?,
            KeyType::EcP256 => EcdsaKeyPair::generate(&engine::ECDSA_P256_SHA256_ASN1_SIGNING)
                .map(Pair::EcP256)
                .map_err(|_| KeyError::Engine)?,
        };
        Self::from_pair(pair)
    }

    /// Loads an unencrypted PKCS#8 key (RFC 5958). It signs with SHA-512.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = if let Ok(pair) = RsaKeyPair::from_pkcs8(pkcs8) {
            Pair::Rsa(pair)
        } else if let Ok(pair) =
            EcdsaKeyPair::from_pkcs8(&engine::ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8)
        {
            Pair::EcP256(pair)
        } else {
            return Err(KeyError::NotAKey);
        };
        Self::from_pair(pair)
    }

    fn from_pair(pair: Pair) -> Result<Self, KeyError> {
        let (public_key, algorithm) = match &pair {
            Pair::Rsa(pair) => (
                PublicKey::from_rsa_public_key(pair.public_key().as_ref())?,
                SignatureAlgorithm::RsaPkcs1(DigestAlgorithm::Sha512),
            ),
            Pair::EcP256(pair) => (
                PublicKey::from_p256_point(pair.public_key().as_ref())?,
                SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha512),
            ),
        };
        if matches!(public_key.kind(), KeyKind::Rsa { bits } if bits < MIN_RSA_BITS) {
            return Err(KeyError::TooShort);
        }
        Ok(SoftwareKey {
            pair,
            public_key,
            algorithm,
        })
    }

    /// The same key, signing with another algorithm: RSA PKCS#1 or PSS, or ECDSA, over SHA-256, SHA-384 or SHA-512.
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] for another digest or another kind of key.
    pub fn with_algorithm(self, algorithm: SignatureAlgorithm) -> Result<Self, KeyError> {
        let fits = match &self.pair {
            Pair::Rsa(_) => rsa_encoding(algorithm).is_some(),
            Pair::EcP256(_) => {
                matches!(algorithm, SignatureAlgorithm::Ecdsa(digest) if digest.length() >= 32)
            }
        };
        if fits {
            Ok(SoftwareKey { algorithm, ..self })
        } else {
            Err(KeyError::Algorithm)
        }
    }

    /// The key as PKCS#8 in the clear, wiped from memory when dropped.
    ///
    /// # Errors
    /// [`KeyError::Engine`].
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let document: Pkcs8V1Der<'static> = pair.as_der().map_err(|_| KeyError::Engine)?;
                Ok(Zeroizing::new(document.as_ref().to_vec()))
            }
            Pair::EcP256(pair) => {
                let document = pair.to_pkcs8v1().map_err(|_| KeyError::Engine)?;
                Ok(Zeroizing::new(document.as_ref().to_vec()))
            }
        }
    }
}

fn rsa_encoding(algorithm: SignatureAlgorithm) -> Option<&'static dyn engine::RsaEncoding> {
    use DigestAlgorithm::*;
    Some(match algorithm {
        SignatureAlgorithm::RsaPkcs1(Sha256) => &engine::RSA_PKCS1_SHA256,
        SignatureAlgorithm::RsaPkcs1(Sha384) => &engine::RSA_PKCS1_SHA384,
        SignatureAlgorithm::RsaPkcs1(Sha512) => &engine::RSA_PKCS1_SHA512,
        SignatureAlgorithm::RsaPss(Sha256) => &engine::RSA_PSS_SHA256,
        SignatureAlgorithm::RsaPss(Sha384) => &engine::RSA_PSS_SHA384,
        SignatureAlgorithm::RsaPss(Sha512) => &engine::RSA_PSS_SHA512,
        _ => return None,
    })
}

impl Signer for SoftwareKey {
    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.sign_digest(&self.algorithm.digest().digest(message))
    }

    fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, SignError> {
        let failed = |_| SignError::Device("the cryptographic library refused to sign".into());
        let imported = |digest: &[u8], algorithm| {
            engine_digest::Digest::import_less_safe(digest, algorithm).map_err(failed)
        };
        if digest.as_ref().len() != self.algorithm.digest().length() {
            return Err(SignError::Algorithm);
        }
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding = rsa_encoding(self.algorithm).ok_or(SignError::Algorithm)?;
                let digest = imported(digest.as_ref(), self.algorithm.digest().engine())?;
                let mut signature = vec![0u8; pair.public_modulus_len()];
                pair.sign_digest(encoding, &digest, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Pair::EcP256(pair) => {
                // ECDSA uses the leftmost 256 bits of a longer digest (FIPS 186-5
                // section 6.4.1), so they can be handed over as if SHA-256 had made them.
                let leftmost = digest.as_ref().get(..32).ok_or(SignError::Algorithm)?;
                let leftmost = imported(leftmost, &engine_digest::SHA256)?;
                Ok(pair
                    .sign_digest(&leftmost)
                    .map_err(failed)?
                    .as_ref()
                    .to_vec())
            }
        }
    }
}

impl std::fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SoftwareKey({:?})", self.public_key.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::VerifyError;

    #[test]
    fn what_is_signed_verifies_and_nothing_else() {
        for key_type in [KeyType::Rsa2048, KeyType::EcP256] {
            let key = SoftwareKey::generate(key_type).unwrap();
            let key = SoftwareKey::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
            assert_eq!(key.algorithm().digest(), DigestAlgorithm::Sha512);
            let public_key = PublicKey::from_spki_der(key.public_key().spki_der()).unwrap();
            let algorithm = key.algorithm();
            let der = key.sign(b"message").unwrap();
            let fixed = key.sign_fixed(b"message").unwrap();
            public_key.verify(algorithm, b"message", &der).unwrap();
            public_key
                .verify_fixed(algorithm, b"message", &fixed)
                .unwrap();
            assert_eq!(
                public_key.verify(algorithm, b"messagE", &der),
                Err(VerifyError::BadSignature)
            );
            assert_eq!(
                public_key.verify_fixed(algorithm, b"message", &fixed[1..]),
                Err(VerifyError::BadSignature)
            );
            assert_eq!(KeyType::from_name(key_type.name()), Some(key_type));
        }
    }

    #[test]
    fn other_algorithms_sign_too() {
        use DigestAlgorithm::*;
        let rsa = SoftwareKey::generate(KeyType::Rsa2048).unwrap();
        let pkcs8 = rsa.to_pkcs8_der().unwrap();
        for algorithm in [
            SignatureAlgorithm::RsaPss(Sha512),
            SignatureAlgorithm::RsaPkcs1(Sha256),
        ] {
            let key = SoftwareKey::from_pkcs8_der(&pkcs8)
                .unwrap()
                .with_algorithm(algorithm)
                .unwrap();
            let signature = key.sign(b"m").unwrap();
            key.public_key()
                .verify(algorithm, b"m", &signature)
                .unwrap();
            assert_eq!(
                key.public_key()
                    .verify(SignatureAlgorithm::Ecdsa(Sha512), b"m", &signature),
                Err(VerifyError::Algorithm)
            );
        }
        assert_eq!(
            rsa.with_algorithm(SignatureAlgorithm::RsaPkcs1(Sha1)).err(),
            Some(KeyError::Algorithm)
        );
        for digest in [Sha256, Sha384] {
            let algorithm = SignatureAlgorithm::Ecdsa(digest);
            let key = SoftwareKey::generate(KeyType::EcP256)
                .unwrap()
                .with_algorithm(algorithm)
                .unwrap();
            let signature = key.sign(b"m").unwrap();
            key.public_key()
                .verify(algorithm, b"m", &signature)
                .unwrap();
        }
    }

    #[test]
    fn a_digest_is_signed_as_its_message() {
        use DigestAlgorithm::*;
        for key_type in [KeyType::Rsa2048, KeyType::EcP256] {
            let key = SoftwareKey::generate(key_type).unwrap();
            let signature = key.sign_digest(&Sha512.digest(b"message")).unwrap();
            key.public_key()
                .verify(key.algorithm(), b"message", &signature)
                .unwrap();
            assert_eq!(
                key.sign_digest(&Sha256.digest(b"message")),
                Err(SignError::Algorithm)
            );
        }
    }

    #[test]
    fn debug_output_is_not_secret() {
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        assert_eq!(format!("{key:?}"), "SoftwareKey(EcP256)");
    }
}
