//! The token file: JSON, binary values in base64, private keys wrapped.
//!
//! ```json
//! { "format": "tunduk-token-1", "id": "<32 hex digits>", "label": "...",
//!   "pin": { "kdf": "argon2id", "memory_kib": 65536, "passes": 3, "lanes": 1, "salt": "...",
//!            "wrapped": "<nonce, token key under the PIN's key, tag>" },
//!   "check": "<nonce, nothing under the token key, tag>",
//!   "keys": [ { "id": "<40 hex digits>", "label": "...", "usage": "sign", "member": "KG/GOV/1",
//!               "public": "<SPKI>", "wrapped": "<nonce, PKCS#8 under the token key, tag>",
//!               "certificates": [ { "der": "...", "active": true } ] } ] }
//! ```

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::{Certificate, PublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use signer::{HeldCertificate, KeyDescription, KeyId, KeyUsage};
use xroad_id::ClientId;
use zeroize::Zeroizing;

use crate::error::TokenError;
use crate::file;
use crate::pin::Cost;

pub(crate) const FORMAT: &str = "tunduk-token-1";
const MAX_KEYS: usize = 10_000;
const MAX_CERTIFICATES: usize = 100;

/// Bytes that are base64 in JSON.
#[derive(Clone)]
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) format: String,
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) pin: PinRecord,
    pub(crate) check: Base64,
    pub(crate) keys: Vec<KeyRecord>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinRecord {
    pub(crate) kdf: String,
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
    pub(crate) salt: Base64,
    pub(crate) wrapped: Base64,
}

impl PinRecord {
    pub(crate) fn cost(&self) -> Cost {
        Cost {
            memory_kib: self.memory_kib,
            passes: self.passes,
            lanes: self.lanes,
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRecord {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) usage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<String>,
    pub(crate) public: Base64,
    pub(crate) wrapped: Base64,
    pub(crate) certificates: Vec<CertificateRecord>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateRecord {
    pub(crate) der: Base64,
    pub(crate) active: bool,
}

impl Document {
    pub(crate) fn read(path: &Path) -> Result<(Self, Vec<KeyDescription>), TokenError> {
        let bytes = file::read(path)?;
        let malformed = |reason: String| TokenError::Malformed {
            path: path.to_owned(),
            reason,
        };
        let document: Self =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        if document.format != FORMAT {
            return Err(malformed(format!("the format is not {FORMAT}")));
        }
        if document.pin.kdf != "argon2id" || !document.pin.cost().is_reasonable() {
            return Err(malformed(
                "the derivation of the PIN is not one of ours".to_owned(),
            ));
        }
        if document.keys.len() > MAX_KEYS {
            return Err(malformed(format!("more than {MAX_KEYS} keys")));
        }
        let keys = document
            .keys
            .iter()
            .map(|key| {
                key.describe()
                    .map_err(|reason| malformed(format!("key {}: {reason}", key.id)))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok((document, keys))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), TokenError> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|_| TokenError::Engine)?;
        text.push(b'\n');
        file::write_private(path, &text)
    }
}

impl KeyRecord {
    fn describe(&self) -> Result<KeyDescription, String> {
        let public_key =
            PublicKey::from_spki_der(&self.public.0).map_err(|error| error.to_string())?;
        let id = KeyId::of(&public_key);
        if id.as_str() != self.id {
            return Err("the identifier is not that of the public key".to_owned());
        }
        let usage = KeyUsage::from_name(&self.usage).ok_or("the usage is unknown")?;
        let member = self
            .member
            .as_deref()
            .map(ClientId::from_path)
            .transpose()
            .map_err(|error| error.to_string())?;
        if self.certificates.len() > MAX_CERTIFICATES {
            return Err(format!("more than {MAX_CERTIFICATES} certificates"));
        }
        let certificates = self
            .certificates
            .iter()
            .map(|held| {
                let certificate =
                    Certificate::decode(&held.der.0).map_err(|error| error.to_string())?;
                if *certificate.public_key() != public_key {
                    return Err("a certificate belongs to another key".to_owned());
                }
                Ok(HeldCertificate {
                    certificate,
                    active: held.active,
                })
            })
            .collect::<Result<Vec<_>, String>>()?;
        Ok(KeyDescription {
            id,
            label: self.label.clone(),
            usage,
            member,
            public_key,
            certificates,
        })
    }

    /// What the wrapping of this key is bound to: its record cannot be given another purpose.
    pub(crate) fn binding(&self, token: &str) -> Vec<u8> {
        let member = self.member.as_deref().unwrap_or_default();
        format!("key {token} {} {} {member}", self.id, self.usage).into_bytes()
    }
}

pub(crate) fn check_binding(token: &str) -> Vec<u8> {
    format!("check {token}").into_bytes()
}

pub(crate) fn pin_binding(token: &str) -> Vec<u8> {
    format!("token key {token}").into_bytes()
}

/// AES-256-GCM with a random nonce in front.
pub(crate) fn wrap(key: &[u8; 32], binding: &[u8], secret: &[u8]) -> Result<Base64, TokenError> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| TokenError::Engine)?;
    // Room for the tag, so that the plain text is never moved.
    let mut sealed = Zeroizing::new(Vec::with_capacity(secret.len() + 16));
    sealed.extend_from_slice(secret);
    let nonce = key
        .seal_in_place_append_tag(Aad::from(binding), &mut *sealed)
        .map_err(|_| TokenError::Engine)?;
    let mut out = Vec::with_capacity(NONCE_LEN + sealed.len());
    out.extend_from_slice(nonce.as_ref());
    out.extend_from_slice(&sealed);
    Ok(Base64(out))
}

/// `None` where the key is not the right one or the bytes were changed.
pub(crate) fn unwrap(
    key: &[u8; 32],
    binding: &[u8],
    wrapped: &Base64,
) -> Option<Zeroizing<Vec<u8>>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let (nonce, sealed) = wrapped.0.split_first_chunk::<NONCE_LEN>()?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    let length = key
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(binding),
            &mut plain,
        )
        .ok()?
        .len();
    plain.truncate(length);
    Some(plain)
}
