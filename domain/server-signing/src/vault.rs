//! Where people's keys are.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use pki::{DigestAlgorithm, KeyType, PublicKey, SignatureAlgorithm, Signer, SoftwareKey};
use zeroize::Zeroizing;

/// The algorithm of all people's signatures: ECDSA on P-256 with SHA-256.
pub const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);

/// Why a key cannot be used. The fault is the service's own, or somebody changed its database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key was sealed for another person, credential or authenticators, or under another master key.
    #[error("a sealed key does not open: its record was changed, or it was sealed elsewhere")]
    Sealed,
    /// The cryptographic library or device failed.
    #[error("the keys' device failed: {0}")]
    Device(String),
}

/// A private key that only its vault opens, and only for what it was bound to.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey(pub Vec<u8>);

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedKey({} bytes)", self.0.len())
    }
}

/// What holds people's keys. A sealed key leaves it to be stored, and is bound to a text: whom it belongs to and with
/// what that person confirms. So whoever can change the database cannot give a key to somebody else.
pub trait Vault: Send + Sync {
    /// Generates a key of [`ALGORITHM`], sealed for a binding.
    ///
    /// # Errors
    /// See [`VaultError`].
    fn generate(&self, binding: &[u8]) -> Result<(Box<dyn Signer>, SealedKey), VaultError>;

    /// Opens a key for as long as the value lives.
    ///
    /// # Errors
    /// [`VaultError::Sealed`] if the binding is not the one that it was sealed for.
    fn open(&self, sealed: &SealedKey, binding: &[u8]) -> Result<Box<dyn Signer>, VaultError>;

    /// Seals a key for another binding.
    ///
    /// # Errors
    /// As [`Vault::open`].
    fn rebind(&self, sealed: &SealedKey, old: &[u8], new: &[u8]) -> Result<SealedKey, VaultError>;

    /// A tag over a record, which nobody else can make.
    fn tag(&self, record: &[u8]) -> [u8; 32];
}

/// A vault in software: AES-256-GCM over PKCS#8 under a master key that is not in the database.
pub struct SoftwareVault {
    sealing: Zeroizing<[u8; 32]>,
    tagging: hmac::Key,
}

impl fmt::Debug for SoftwareVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SoftwareVault")
    }
}

impl SoftwareVault {
    /// A vault of two independent keys: what seals, and what tags.
    #[must_use]
    pub fn new(sealing: Zeroizing<[u8; 32]>, tagging: &[u8; 32]) -> Self {
        Self {
            sealing,
            tagging: hmac::Key::new(hmac::HMAC_SHA256, tagging),
        }
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, VaultError> {
        RandomizedNonceKey::new(&AES_256_GCM, self.sealing.as_ref())
            .map_err(|_| VaultError::Device("no cipher".to_owned()))
    }

    fn seal(&self, pkcs8: &[u8], binding: &[u8]) -> Result<SealedKey, VaultError> {
        // Room for the tag, so that the plain text is never moved.
        let mut sealed = Zeroizing::new(Vec::with_capacity(pkcs8.len() + 16));
        sealed.extend_from_slice(pkcs8);
        let nonce = self
            .cipher()?
            .seal_in_place_append_tag(Aad::from(binding), &mut *sealed)
            .map_err(|_| VaultError::Device("sealing failed".to_owned()))?;
        let mut out = nonce.as_ref().to_vec();
        out.extend_from_slice(&sealed);
        Ok(SealedKey(out))
    }

    fn unseal(&self, sealed: &SealedKey, binding: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (nonce, sealed) = sealed
            .0
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(VaultError::Sealed)?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let length = self
            .cipher()?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(binding),
                &mut plain,
            )
            .map_err(|_| VaultError::Sealed)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

fn device(error: pki::KeyError) -> VaultError {
    VaultError::Device(error.to_string())
}

impl Vault for SoftwareVault {
    fn generate(&self, binding: &[u8]) -> Result<(Box<dyn Signer>, SealedKey), VaultError> {
        let key = SoftwareKey::generate(KeyType::EcP256).map_err(device)?;
        let sealed = self.seal(&key.to_pkcs8_der().map_err(device)?, binding)?;
        let key = key.with_algorithm(ALGORITHM).map_err(device)?;
        Ok((Box::new(key), sealed))
    }

    fn open(&self, sealed: &SealedKey, binding: &[u8]) -> Result<Box<dyn Signer>, VaultError> {
        let pkcs8 = self.unseal(sealed, binding)?;
        let key = SoftwareKey::from_pkcs8_der(&pkcs8)
            .and_then(|key| key.with_algorithm(ALGORITHM))
            .map_err(device)?;
        Ok(Box::new(key))
    }

    fn rebind(&self, sealed: &SealedKey, old: &[u8], new: &[u8]) -> Result<SealedKey, VaultError> {
        let pkcs8 = self.unseal(sealed, old)?;
        self.seal(&pkcs8, new)
    }

    fn tag(&self, record: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.tagging, record).as_ref());
        tag
    }
}

/// The public key of what a vault opened must be the one in the certificate.
pub(crate) fn belongs(signer: &dyn Signer, key: &PublicKey) -> Result<(), VaultError> {
    if signer.public_key() == key {
        Ok(())
    } else {
        Err(VaultError::Sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_only_for_its_binding_and_under_its_master_key() {
        let vault = SoftwareVault::new(Zeroizing::new([1; 32]), &[2; 32]);
        let (signer, sealed) = vault.generate(b"mine").unwrap();
        let opened = vault.open(&sealed, b"mine").unwrap();
        assert_eq!(opened.public_key(), signer.public_key());
        assert_eq!(
            vault.open(&sealed, b"yours").err(),
            Some(VaultError::Sealed)
        );
        let other = SoftwareVault::new(Zeroizing::new([3; 32]), &[2; 32]);
        assert_eq!(other.open(&sealed, b"mine").err(), Some(VaultError::Sealed));
        let moved = vault.rebind(&sealed, b"mine", b"new").unwrap();
        assert_eq!(vault.open(&moved, b"mine").err(), Some(VaultError::Sealed));
        assert!(vault.open(&moved, b"new").is_ok());
        for place in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[place] ^= 1;
            assert!(vault.open(&changed, b"mine").is_err());
        }
        for end in 0..sealed.0.len() {
            let cut = SealedKey(sealed.0[..end].to_vec());
            assert!(vault.open(&cut, b"mine").is_err());
        }
        assert_ne!(vault.tag(b"a"), vault.tag(b"b"));
        assert_eq!(format!("{vault:?}"), "SoftwareVault");
    }
}
