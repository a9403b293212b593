//! Public keys and the verification of signatures.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::signature::{self as engine, ParsedPublicKey, VerificationAlgorithm};

use crate::algorithm::{RSA_ENCRYPTION, SignatureAlgorithm};
use crate::der::{self, DerError, Reader, Writer};
use crate::digest::{Digest, DigestAlgorithm};

/// Smallest RSA modulus that verifies, in bits (NIST SP 800-131A).
pub const MIN_RSA_BITS: usize = 2048;
/// Largest RSA modulus that verifies, in bits: bounds the work a stranger's key can cause.
pub const MAX_RSA_BITS: usize = 8192;

const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

/// What kind of key a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA with a modulus of this many bits.
    Rsa {
        /// Length of the modulus in bits.
        bits: usize,
    },
    /// NIST P-256 (secp256r1).
    EcP256,
    /// NIST P-384 (secp384r1).
    EcP384,
    /// NIST P-521 (secp521r1).
    EcP521,
    /// A kind that we cannot verify with.
    Other,
}

impl KeyKind {
    /// Bytes of one coordinate, hence of `r` and of `s` in a raw ECDSA signature; `None` for other keys.
    pub const fn coordinate_length(self) -> Option<usize> {
        match self {
            KeyKind::EcP256 => Some(32),
            KeyKind::EcP384 => Some(48),
            KeyKind::EcP521 => Some(66),
            KeyKind::Rsa { .. } | KeyKind::Other => None,
        }
    }
}

/// Why a signature does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The value was not made by this key over this message: it was changed, or the signer is another one.
    #[error("the signature was not made with this key over this data")]
    BadSignature,
    /// The key is shorter than [`MIN_RSA_BITS`], longer than [`MAX_RSA_BITS`] or not a valid key.
    #[error("the public key is refused: too short, too long or not a valid key")]
    KeyRefused,
    /// The algorithm does not fit the key, or we do not know the combination.
    #[error("the signature algorithm does not fit the public key or is not supported")]
    Algorithm,
}

struct Inner {
    spki: Box<[u8]>,
    // Where the subjectPublicKey's octets are within `spki`.
    key_start: usize,
    kind: KeyKind,
    // One per algorithm, because the engine binds a parsed key to its algorithm.
    parsed: [OnceLock<Option<ParsedPublicKey>>; 8],
}

/// A public key, decoded from a SubjectPublicKeyInfo. Parsed for the engine at
/// the first use of an algorithm and kept; cloning shares it. A key that we
/// refuse still decodes (it can be shown and compared), it just never verifies.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

impl PublicKey {
    /// Decodes a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    ///
    /// # Errors
    /// If it is not DER of that structure.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, DerError> {
        let mut outer = Reader::new(spki);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        let mut algorithm = fields.sequence()?;
        let oid = algorithm.oid()?;
        let key = fields.bit_string()?;
        fields.finish()?;
        let kind = if oid == RSA_ENCRYPTION {
            KeyKind::Rsa {
                bits: rsa_bits(key)?,
            }
        } else if oid == EC_PUBLIC_KEY && algorithm.peek() == Some(der::OID) {
            match algorithm.oid()? {
                P256 => KeyKind::EcP256,
                P384 => KeyKind::EcP384,
                P521 => KeyKind::EcP521,
                _ => KeyKind::Other,
            }
        } else {
            KeyKind::Other
        };
        Ok(PublicKey(Arc::new(Inner {
            key_start: spki.len() - key.len(),
            spki: spki.into(),
            kind,
            parsed: Default::default(),
        })))
    }

    /// A key from the RSAPublicKey structure of RFC 8017.
    pub(crate) fn from_rsa_public_key(pkcs1: &[u8]) -> Result<Self, DerError> {
        let mut writer = Writer::new();
        writer.sequence(|writer| {
            writer.sequence(|writer| {
                writer.oid(RSA_ENCRYPTION);
                writer.null();
            });
            writer.bit_string(pkcs1);
        });
        Self::from_spki_der(&writer.into_bytes())
    }

    /// A key from an uncompressed point on P-256.
    pub(crate) fn from_p256_point(point: &[u8]) -> Result<Self, DerError> {
        let mut writer = Writer::new();
        writer.sequence(|writer| {
            writer.sequence(|writer| {
                writer.oid(EC_PUBLIC_KEY);
                writer.oid(P256);
            });
            writer.bit_string(point);
        });
        Self::from_spki_der(&writer.into_bytes())
    }

    /// The SubjectPublicKeyInfo as received.
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki
    }

    /// The octets of the subjectPublicKey BIT STRING, which key identifiers are made of.
    pub fn key_octets(&self) -> &[u8] {
        &self.0.spki[self.0.key_start..]
    }

    /// SHA-1 of [`Self::key_octets`]: the usual key identifier (RFC 5280 section
    /// 4.2.1.2, method 1) and OCSP's issuerKeyHash (RFC 6960 section 4.1.1).
    pub fn key_identifier(&self) -> Digest {
        DigestAlgorithm::Sha1.digest(self.key_octets())
    }

    /// The kind of key.
    pub fn kind(&self) -> KeyKind {
        self.0.kind
    }

    /// Verifies a signature over `message`; an ECDSA value is in ASN.1 DER.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        let key = self.parsed_for(algorithm)?;
        key.verify_sig(message, signature)
            .map_err(|_| VerifyError::BadSignature)
    }

    /// As [`Self::verify`], but an ECDSA value is the raw `r || s` of XML signatures (S11).
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify_fixed(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        if !matches!(algorithm, SignatureAlgorithm::Ecdsa(_)) {
            return self.verify(algorithm, message, signature);
        }
        let length = self
            .0
            .kind
            .coordinate_length()
            .ok_or(VerifyError::Algorithm)?;
        let der = ecdsa_fixed_to_der(signature, length).ok_or(VerifyError::BadSignature)?;
        self.verify(algorithm, message, &der)
    }

    fn parsed_for(&self, algorithm: SignatureAlgorithm) -> Result<&ParsedPublicKey, VerifyError> {
        let (slot, engine) = match self.0.kind {
            KeyKind::Rsa { bits } => {
                if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
                    return Err(VerifyError::KeyRefused);
                }
                rsa_engine(algorithm)
            }
            KeyKind::EcP256 => p256_engine(algorithm),
            KeyKind::EcP384 => p384_engine(algorithm),
            KeyKind::EcP521 => p521_engine(algorithm),
            KeyKind::Other => return Err(VerifyError::KeyRefused),
        }
        .ok_or(VerifyError::Algorithm)?;
        self.0.parsed[slot]
            .get_or_init(|| ParsedPublicKey::new(engine, &self.0.spki).ok())
            .as_ref()
            .ok_or(VerifyError::KeyRefused)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.spki == other.0.spki
    }
}

impl Eq for PublicKey {}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({:?})", self.0.kind)
    }
}

type Engine = Option<(usize, &'static dyn VerificationAlgorithm)>;

fn rsa_engine(algorithm: SignatureAlgorithm) -> Engine {
    use DigestAlgorithm::*;
    Some(match algorithm {
        SignatureAlgorithm::RsaPkcs1(Sha1) => {
            (0, &engine::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY)
        }
        SignatureAlgorithm::RsaPkcs1(Sha256) => (1, &engine::RSA_PKCS1_2048_8192_SHA256),
        SignatureAlgorithm::RsaPkcs1(Sha384) => (2, &engine::RSA_PKCS1_2048_8192_SHA384),
        SignatureAlgorithm::RsaPkcs1(Sha512) => (3, &engine::RSA_PKCS1_2048_8192_SHA512),
        SignatureAlgorithm::RsaPss(Sha256) => (4, &engine::RSA_PSS_2048_8192_SHA256),
        SignatureAlgorithm::RsaPss(Sha384) => (5, &engine::RSA_PSS_2048_8192_SHA384),
        SignatureAlgorithm::RsaPss(Sha512) => (6, &engine::RSA_PSS_2048_8192_SHA512),
        _ => return None,
    })
}

fn p256_engine(algorithm: SignatureAlgorithm) -> Engine {
    use DigestAlgorithm::*;
    Some(match algorithm {
        SignatureAlgorithm::Ecdsa(Sha1) => (0, &engine::ECDSA_P256_SHA1_ASN1),
        SignatureAlgorithm::Ecdsa(Sha256) => (1, &engine::ECDSA_P256_SHA256_ASN1),
        SignatureAlgorithm::Ecdsa(Sha384) => (2, &engine::ECDSA_P256_SHA384_ASN1),
        SignatureAlgorithm::Ecdsa(Sha512) => (3, &engine::ECDSA_P256_SHA512_ASN1),
        _ => return None,
    })
}

fn p384_engine(algorithm: SignatureAlgorithm) -> Engine {
    use DigestAlgorithm::*;
    Some(match algorithm {
        SignatureAlgorithm::Ecdsa(Sha256) => (1, &engine::ECDSA_P384_SHA256_ASN1),
        SignatureAlgorithm::Ecdsa(Sha384) => (2, &engine::ECDSA_P384_SHA384_ASN1),
        SignatureAlgorithm::Ecdsa(Sha512) => (3, &engine::ECDSA_P384_SHA512_ASN1),
        _ => return None,
    })
}

fn p521_engine(algorithm: SignatureAlgorithm) -> Engine {
    use DigestAlgorithm::*;
    Some(match algorithm {
        SignatureAlgorithm::Ecdsa(Sha1) => (0, &engine::ECDSA_P521_SHA1_ASN1),
        SignatureAlgorithm::Ecdsa(Sha224) => (4, &engine::ECDSA_P521_SHA224_ASN1),
        SignatureAlgorithm::Ecdsa(Sha256) => (1, &engine::ECDSA_P521_SHA256_ASN1),
        SignatureAlgorithm::Ecdsa(Sha384) => (2, &engine::ECDSA_P521_SHA384_ASN1),
        SignatureAlgorithm::Ecdsa(Sha512) => (3, &engine::ECDSA_P521_SHA512_ASN1),
        _ => return None,
    })
}

/// Length of the modulus of an RSAPublicKey (RFC 8017 appendix A.1.1).
fn rsa_bits(pkcs1: &[u8]) -> Result<usize, DerError> {
    let mut outer = Reader::new(pkcs1);
    let mut fields = outer.sequence()?;
    outer.finish()?;
    let modulus = fields.integer()?;
    let _exponent = fields.integer()?;
    fields.finish()?;
    let skip = usize::from(modulus[0] == 0);
    let modulus = &modulus[skip..];
    Ok(match modulus.first() {
        Some(first) => modulus.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    })
}

/// ECDSA-Sig-Value (RFC 3279 section 2.2.3) from raw `r || s`; `None` if the length does not fit.
pub fn ecdsa_fixed_to_der(fixed: &[u8], coordinate_length: usize) -> Option<Vec<u8>> {
    if fixed.len() != 2 * coordinate_length {
        return None;
    }
    let (r, s) = fixed.split_at(coordinate_length);
    Some(Writer::sequence_of(|writer| {
        writer.unsigned(r);
        writer.unsigned(s);
    }))
}

/// Raw `r || s` from an ECDSA-Sig-Value; `None` if it is not one or a number is too long.
pub fn ecdsa_der_to_fixed(signature: &[u8], coordinate_length: usize) -> Option<Vec<u8>> {
    let mut outer = Reader::new(signature);
    let mut fields = outer.sequence().ok()?;
    outer.finish().ok()?;
    let mut fixed = vec![0u8; 2 * coordinate_length];
    for half in fixed.chunks_exact_mut(coordinate_length) {
        let number = fields.integer().ok()?;
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        let start = coordinate_length.checked_sub(number.len())?;
        half[start..].copy_from_slice(number);
    }
    fields.finish().ok()?;
    Some(fixed)
}
