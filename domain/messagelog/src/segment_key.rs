//! Data keys of segments and how they are wrapped.
//!
//! The key file of a segment (`<number>.key`) is all that changes when the
//! operator's log key does:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `TLK1` |
//! | 4 | 4 | number of the segment |
//! | 8 | 8 | check value of the data key |
//! | 16 | 8 | identifier of the log key |
//! | 24 | 12 | nonce |
//! | 36 | 48 | data key sealed with AES-256-GCM under the log key; additional data: the 16 bytes from 0 |
//! | 84 | 2 | length of the recovery part |
//! | 86 | n | data key encrypted for the recovery twin (module `twin`) |
//! | | 4 | CRC-32 of everything before |

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::error::LogError;
use crate::frame::{FrameKind, RecordHead};
use crate::keys::{LogKey, LogKeys};

const MAGIC: &[u8; 4] = b"TLK1";

/// Where random bytes come from.
pub trait Randomness: Send {
    /// Fills the buffer with bytes fit for keys.
    ///
    /// # Errors
    /// The generator failed.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), LogError>;
}

fn labelled(label: &[u8], key: &[u8; 32]) -> [u8; 32] {
    let mut input = Zeroizing::new(Vec::with_capacity(label.len() + 32));
    input.extend_from_slice(label);
    input.extend_from_slice(key);
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, &input).as_ref());
    out
}

fn first_eight(bytes: &[u8]) -> [u8; 8] {
    let mut out = [0; 8];
    out.copy_from_slice(&bytes[..8]);
    out
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, LogError> {
    UnboundKey::new(&AES_256_GCM, key)
        .map(LessSafeKey::new)
        .map_err(|_| LogError::BadKey("a key has 32 bytes"))
}

fn log_key_id(key: &LogKey) -> [u8; 8] {
    first_eight(&labelled(b"tunduk log key identifier", key.bytes()))
}

/// The data key of one segment, ready for use.
pub struct SegmentKey {
    segment: u32,
    key: Zeroizing<[u8; 32]>,
    cipher: LessSafeKey,
    index_key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentKey(segment {})", self.segment)
    }
}

impl SegmentKey {
    /// A fresh key.
    ///
    /// # Errors
    /// The generator's.
    pub fn generate(segment: u32, randomness: &mut dyn Randomness) -> Result<Self, LogError> {
        let mut key = Zeroizing::new([0; 32]);
        randomness.fill(key.as_mut())?;
        Self::new(segment, key)
    }

    fn new(segment: u32, key: Zeroizing<[u8; 32]>) -> Result<Self, LogError> {
        Ok(Self {
            segment,
            cipher: cipher(&key)?,
            index_key: Zeroizing::new(labelled(b"tunduk log index", &key)),
            key,
        })
    }

    /// Tells whether a key is this segment's.
    pub fn check(&self) -> [u8; 8] {
        first_eight(&labelled(b"tunduk log data key check", &self.key))
    }

    /// Keyed hash of a query id, under which the record is indexed.
    pub fn query_hash(&self, query_id: &str) -> u64 {
        let mut context = aws_lc_rs::digest::Context::new(&SHA256);
        context.update(self.index_key.as_ref());
        context.update(query_id.as_bytes());
        u64::from_le_bytes(first_eight(context.finish().as_ref()))
    }

    fn additional(&self, kind: FrameKind, number: u32, head: &[u8]) -> ([u8; 65], usize) {
        let mut data = [0; 65];
        data[0] = kind as u8;
        data[1..5].copy_from_slice(&self.segment.to_le_bytes());
        data[5..9].copy_from_slice(&number.to_le_bytes());
        data[9..9 + head.len()].copy_from_slice(head);
        (data, 9 + head.len())
    }

    /// Seals `buffer[start..]` in place as frame `number` and appends the tag. A
    /// number must not be used for a second frame.
    ///
    /// # Errors
    /// The cipher's, never for sizes that the format allows.
    pub fn seal(
        &self,
        kind: FrameKind,
        number: u32,
        head: Option<&RecordHead>,
        buffer: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), LogError> {
        let head = head.map(RecordHead::encode);
        let (data, length) = self.additional(
            kind,
            number,
            head.as_ref().map_or(&[][..], |head| &head[..]),
        );
        let tag = self
            .cipher
            .seal_in_place_separate_tag(
                frame_nonce(number),
                Aad::from(&data[..length]),
                &mut buffer[start..],
            )
            .map_err(|_| LogError::BadKey("sealing failed"))?;
        buffer.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens the sealed part of frame `number` in place; `None` when it is not what was sealed.
    pub fn open(
        &self,
        kind: FrameKind,
        number: u32,
        head: Option<&RecordHead>,
        mut sealed: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let head = head.map(RecordHead::encode);
        let (data, length) = self.additional(
            kind,
            number,
            head.as_ref().map_or(&[][..], |head| &head[..]),
        );
        let content = self
            .cipher
            .open_in_place(frame_nonce(number), Aad::from(&data[..length]), &mut sealed)
            .ok()?
            .len();
        sealed.truncate(content);
        Some(sealed)
    }

    /// The segment's key file under the current log key.
    ///
    /// # Errors
    /// The recovery key is not a usable one, or the generator failed.
    pub fn wrap(
        &self,
        keys: &LogKeys,
        randomness: &mut dyn Randomness,
    ) -> Result<Vec<u8>, LogError> {
        let mut file = Vec::with_capacity(512);
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(&self.segment.to_le_bytes());
        file.extend_from_slice(&self.check());
        let mut nonce = [0; 12];
        randomness.fill(&mut nonce)?;
        let mut wrapped = Zeroizing::new(self.key.to_vec());
        let tag = cipher(keys.current.bytes())?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&file[..16]),
                wrapped.as_mut_slice(),
            )
            .map_err(|_| LogError::BadKey("sealing failed"))?;
        file.extend_from_slice(&log_key_id(&keys.current));
        file.extend_from_slice(&nonce);
        file.extend_from_slice(&wrapped);
        file.extend_from_slice(tag.as_ref());
        let recovery = match &keys.recovery {
            Some(spki) => crate::twin::encrypt(spki, &self.key)?,
            None => Vec::new(),
        };
        file.extend_from_slice(&(recovery.len() as u16).to_le_bytes());
        file.extend_from_slice(&recovery);
        let crc = crc32fast::hash(&file);
        file.extend_from_slice(&crc.to_le_bytes());
        Ok(file)
    }

    /// Reads a key file with whichever of the keys fits.
    ///
    /// # Errors
    /// [`LogError::WrongLogKey`] when none does, [`LogError::Damaged`] when it is not a key file.
    pub fn unwrap(file: &[u8], segment: u32, keys: &LogKeys) -> Result<Self, LogError> {
        let damaged = LogError::Damaged {
            segment,
            offset: 0,
            what: "its key file is not one",
        };
        let Some((content, crc)) = file.split_last_chunk::<4>() else {
            return Err(damaged);
        };
        if content.len() < 86
            || &content[..4] != MAGIC
            || crc32fast::hash(content) != u32::from_le_bytes(*crc)
            || content[4..8] != segment.to_le_bytes()
        {
            return Err(damaged);
        }
        for key in std::iter::once(&keys.current).chain(&keys.previous) {
            if log_key_id(key)[..] != content[16..24] {
                continue;
            }
            let mut nonce = [0; 12];
            nonce.copy_from_slice(&content[24..36]);
            let mut wrapped = Zeroizing::new(content[36..84].to_vec());
            let opened = cipher(key.bytes())?.open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&content[..16]),
                wrapped.as_mut_slice(),
            );
            if let Ok(opened) = opened {
                let mut data_key = Zeroizing::new([0; 32]);
                data_key.copy_from_slice(opened);
                let unwrapped = Self::new(segment, data_key)?;
                if unwrapped.check()[..] == content[8..16] {
                    return Ok(unwrapped);
                }
            }
        }
        if let Some(twin) = &keys.twin
            && let Some(part) = recovery_part(content).filter(|part| !part.is_empty())
            && let Some(data_key) = twin.decrypt(part)
        {
            let unwrapped = Self::new(segment, data_key)?;
            if unwrapped.check()[..] == content[8..16] {
                return Ok(unwrapped);
            }
        }
        Err(LogError::WrongLogKey { segment })
    }
}

/// The recovery part of a key file: the data key of the segment, encrypted for
/// the offline twin (RSA-OAEP with SHA-256, or over P-256). Empty without a twin.
pub fn recovery_part(file: &[u8]) -> Option<&[u8]> {
    let length = u16::from_le_bytes([*file.get(84)?, *file.get(85)?]);
    file.get(86..86 + usize::from(length))
}

fn frame_nonce(number: u32) -> Nonce {
    let mut bytes = [0; 12];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twin::RecoveryTwin;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
    use pki::{KeyType, Signer, SoftwareKey};

    struct Counting(u8);
    impl Randomness for Counting {
        fn fill(&mut self, buffer: &mut [u8]) -> Result<(), LogError> {
            for byte in buffer {
                self.0 = self.0.wrapping_add(1);
                *byte = self.0;
            }
            Ok(())
        }
    }

    #[test]
    fn data_keys_are_opened_by_the_log_key_its_successor_and_the_twin() {
        let twin = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let spki = twin.public_key().as_der().unwrap();
        let old = LogKeys {
            current: LogKey::new([1; 32]),
            previous: Vec::new(),
            recovery: Some(spki.as_ref().to_vec()),
            twin: None,
        };
        let mut random = Counting(0);
        let key = SegmentKey::generate(4, &mut random).unwrap();
        let file = key.wrap(&old, &mut random).unwrap();
        let mut sealed = vec![9, 9];
        sealed.extend_from_slice(b"secret");
        key.seal(FrameKind::Stamp, 7, None, &mut sealed, 2).unwrap();
        let sealed = sealed.split_off(2);

        let opened = SegmentKey::unwrap(&file, 4, &old).unwrap();
        assert_eq!(
            opened
                .open(FrameKind::Stamp, 7, None, sealed.clone())
                .unwrap(),
            b"secret"
        );
        assert!(
            opened
                .open(FrameKind::Stamp, 8, None, sealed.clone())
                .is_none()
        );
        assert!(
            opened
                .open(FrameKind::Record, 7, None, sealed.clone())
                .is_none()
        );

        let new = LogKeys {
            current: LogKey::new([2; 32]),
            previous: vec![LogKey::new([1; 32])],
            recovery: None,
            twin: None,
        };
        let rotated = SegmentKey::unwrap(&file, 4, &new)
            .unwrap()
            .wrap(&new, &mut random)
            .unwrap();
        let alone = LogKeys::only(LogKey::new([2; 32]));
        let opened = SegmentKey::unwrap(&rotated, 4, &alone).unwrap();
        assert!(opened.open(FrameKind::Stamp, 7, None, sealed).is_some());
        assert!(matches!(
            SegmentKey::unwrap(&file, 4, &alone),
            Err(LogError::WrongLogKey { segment: 4 })
        ));
        assert!(SegmentKey::unwrap(&file, 5, &old).is_err());
        for cut in 0..file.len() {
            assert!(SegmentKey::unwrap(&file[..cut], 4, &old).is_err());
        }

        let lost = |twin: RecoveryTwin| LogKeys {
            twin: Some(twin),
            ..LogKeys::only(LogKey::new([9; 32]))
        };
        let twin = RecoveryTwin::from_pkcs8_der(twin.as_der().unwrap().as_ref()).unwrap();
        let opened = SegmentKey::unwrap(&file, 4, &lost(twin.clone())).unwrap();
        assert_eq!(opened.key, key.key);
        let other = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let other = RecoveryTwin::from_pkcs8_der(other.as_der().unwrap().as_ref()).unwrap();
        assert!(SegmentKey::unwrap(&file, 4, &lost(other)).is_err());

        let curve = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let with_curve = LogKeys {
            recovery: Some(curve.public_key().spki_der().to_vec()),
            ..LogKeys::only(LogKey::new([1; 32]))
        };
        let file = key.wrap(&with_curve, &mut random).unwrap();
        let curve = RecoveryTwin::from_pkcs8_der(&curve.to_pkcs8_der().unwrap()).unwrap();
        let opened = SegmentKey::unwrap(&file, 4, &lost(curve)).unwrap();
        assert_eq!(opened.key, key.key);
        assert!(SegmentKey::unwrap(&file, 4, &lost(twin)).is_err());
    }
}
