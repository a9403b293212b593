//! The offline recovery twin: a key pair whose public half the keys of every segment are also
//! encrypted for, and whose private half is kept where no server can read it.
//!
//! | twin | recovery part of a key file |
//! |---|---|
//! | RSA | RSA-OAEP (SHA-256, MGF1 SHA-256) of the keys |
//! | P-256 | 65 bytes of an ephemeral point, then the keys sealed with AES-256-GCM (nonce zero) under SHA-256 of `tunduk log recovery`, the ephemeral point, the twin's point and the shared secret |

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{
    ECDH_P256, EphemeralPrivateKey, PrivateKey, UnparsedPublicKey, agree, agree_ephemeral,
};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use zeroize::Zeroizing;

use crate::error::LogError;

/// Length of what is encrypted: a segment's data key and the log's index key.
pub(crate) const KEYS: usize = 64;
const POINT: usize = 65;
const TAG: usize = 16;
/// `SubjectPublicKeyInfo` of a P-256 key up to its point.
const P256_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const BAD_PUBLIC: &str =
    "the recovery key is neither an RSA public key of at least 2048 bits nor a P-256 one";

enum Private {
    Rsa(OaepPrivateDecryptingKey),
    P256(PrivateKey),
}

/// The private half. Cheap to clone; never printed.
#[derive(Clone)]
pub struct RecoveryTwin(Arc<Private>);

impl fmt::Debug for RecoveryTwin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryTwin(..)")
    }
}

fn sealing_key(ephemeral: &[u8], own: &[u8], secret: &[u8]) -> Result<LessSafeKey, LogError> {
    let mut context = Context::new(&SHA256);
    context.update(b"tunduk log recovery");
    context.update(ephemeral);
    context.update(own);
    context.update(secret);
    UnboundKey::new(&AES_256_GCM, context.finish().as_ref())
        .map(LessSafeKey::new)
        .map_err(|_| LogError::BadKey("a key has 32 bytes"))
}

fn zero_nonce() -> Nonce {
    // Each ephemeral key seals once.
    Nonce::assume_unique_for_key([0; 12])
}

/// Encrypts the keys of a segment for the twin whose public key (DER) is given.
pub(crate) fn encrypt(spki: &[u8], keys: &[u8; KEYS]) -> Result<Vec<u8>, LogError> {
    match spki.strip_prefix(&P256_INFO) {
        Some(point) => encrypt_p256(point, keys),
        None => encrypt_rsa(spki, keys),
    }
}

fn encrypt_rsa(spki: &[u8], keys: &[u8; KEYS]) -> Result<Vec<u8>, LogError> {
    let bad = |_| LogError::BadKey(BAD_PUBLIC);
    let public = PublicEncryptingKey::from_der(spki).map_err(|_| LogError::BadKey(BAD_PUBLIC))?;
    if public.key_size_bits() < 2048 {
        return Err(LogError::BadKey(BAD_PUBLIC));
    }
    let public = OaepPublicEncryptingKey::new(public).map_err(bad)?;
    let mut out = vec![0; public.ciphertext_size()];
    let length = public
        .encrypt(&OAEP_SHA256_MGF1SHA256, keys, &mut out, None)
        .map_err(bad)?
        .len();
    out.truncate(length);
    Ok(out)
}

fn encrypt_p256(point: &[u8], keys: &[u8; KEYS]) -> Result<Vec<u8>, LogError> {
    let failed = || LogError::BadKey(BAD_PUBLIC);
    let ephemeral =
        EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).map_err(|_| failed())?;
    let public = ephemeral.compute_public_key().map_err(|_| failed())?;
    let mut out = public.as_ref().to_vec();
    let sealing = agree_ephemeral(
        ephemeral,
        UnparsedPublicKey::new(&ECDH_P256, point),
        failed(),
        |secret| sealing_key(public.as_ref(), point, secret),
    )?;
    out.extend_from_slice(keys);
    let tag = sealing
        .seal_in_place_separate_tag(zero_nonce(), Aad::empty(), &mut out[POINT..])
        .map_err(|_| failed())?;
    out.extend_from_slice(tag.as_ref());
    Ok(out)
}

impl RecoveryTwin {
    /// From a private key in PKCS#8 (DER): RSA or P-256.
    ///
    /// # Errors
    /// It is neither.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, LogError> {
        let rsa = PrivateDecryptingKey::from_pkcs8(der)
            .ok()
            .and_then(|key| OaepPrivateDecryptingKey::new(key).ok());
        if let Some(key) = rsa {
            return Ok(Self(Arc::new(Private::Rsa(key))));
        }
        PrivateKey::from_private_key_der(&ECDH_P256, der)
            .map(|key| Self(Arc::new(Private::P256(key))))
            .map_err(|_| LogError::BadKey("the twin is not an RSA or P-256 private key in PKCS#8"))
    }

    /// Decrypts the recovery part of a key file; `None` when it is not for this twin.
    pub(crate) fn decrypt(&self, part: &[u8]) -> Option<Zeroizing<[u8; KEYS]>> {
        let mut keys = Zeroizing::new([0; KEYS]);
        match &*self.0 {
            Private::Rsa(private) => {
                let mut plain = Zeroizing::new(vec![0; private.min_output_size()]);
                let plain = private
                    .decrypt(&OAEP_SHA256_MGF1SHA256, part, &mut plain, None)
                    .ok()?;
                *keys = <[u8; KEYS]>::try_from(&*plain).ok()?;
            }
            Private::P256(private) => {
                let (point, sealed) = part.split_at_checked(POINT)?;
                if sealed.len() != KEYS + TAG {
                    return None;
                }
                let own = private.compute_public_key().ok()?;
                let opening = agree(
                    private,
                    UnparsedPublicKey::new(&ECDH_P256, point),
                    LogError::Closed,
                    |secret| sealing_key(point, own.as_ref(), secret),
                )
                .ok()?;
                let mut sealed = Zeroizing::new(sealed.to_vec());
                let plain = opening
                    .open_in_place(zero_nonce(), Aad::empty(), sealed.as_mut_slice())
                    .ok()?;
                *keys = <[u8; KEYS]>::try_from(&*plain).ok()?;
            }
        }
        Some(keys)
    }
}
