//! Data keys of segments and how they are wrapped.
//!
//! The key file of a segment (`<number>.key`) is all that changes when the
//! operator's log key does:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `TLK2` |
//! | 4 | 4 | number of the segment |
//! | 8 | 8 | check value of the data key |
//! | 16 | 8 | identifier of the log key |
//! | 24 | 12 | nonce |
//! | 36 | 80 | data key and index key sealed with AES-256-GCM under the log key; additional data: the 16 bytes from 0 |
//! | 116 | 2 | length of the recovery part |
//! | 118 | n | data key and index key encrypted for the recovery twin (module `twin`) |
//! | | 4 | CRC-32 of everything before |
//!
//! The index key is one for the whole log, handed on from segment to segment: a
//! query id has one hash, under which the tables of many segments can be merged, and
//! any key file that is left is enough to find records again.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::error::LogError;
use crate::frame::{FrameKind, RecordHead};
use crate::keys::{LogKey, LogKeys};
use crate::twin::KEYS;

const MAGIC: &[u8; 4] = b"TLK2";

/// Offset of the recovery part's length.
const RECOVERY: usize = 36 + KEYS + 16;

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

/// The key of the log's index. Wiped when dropped; never printed.
#[derive(Clone)]
pub struct IndexKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey(..)")
    }
}

impl IndexKey {
    /// A fresh key, for a log without segments.
    ///
    /// # Errors
    /// The generator's.
    pub fn generate(randomness: &mut dyn Randomness) -> Result<Self, LogError> {
        let mut key = Zeroizing::new([0; 32]);
        randomness.fill(key.as_mut())?;
        Ok(Self(key))
    }

    /// Keyed hash of a query id, under which the record is indexed.
    pub fn query_hash(&self, query_id: &str) -> u64 {
        let mut context = aws_lc_rs::digest::Context::new(&SHA256);
        context.update(b"tunduk log index");
        context.update(self.0.as_ref());
        context.update(query_id.as_bytes());
        u64::from_le_bytes(first_eight(context.finish().as_ref()))
    }
}

/// The data key of one segment, ready for use, and the log's index key.
pub struct SegmentKey {
    segment: u32,
    key: Zeroizing<[u8; 32]>,
    cipher: LessSafeKey,
    index_key: IndexKey,
}

impl fmt::Debug for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentKey(segment {})", self.segment)
    }
}

impl SegmentKey {
    /// A fresh data key beside the log's index key.
    ///
    /// # Errors
    /// The generator's.
    pub fn generate(
        segment: u32,
        index_key: IndexKey,
        randomness: &mut dyn Randomness,
    ) -> Result<Self, LogError> {
        let mut key = Zeroizing::new([0; 32]);
        randomness.fill(key.as_mut())?;
        Self::new(segment, key, index_key)
    }

    fn new(segment: u32, key: Zeroizing<[u8; 32]>, index_key: IndexKey) -> Result<Self, LogError> {
        Ok(Self {
            segment,
            cipher: cipher(&key)?,
            index_key,
            key,
        })
    }

    /// From the sealed part of the key file `content`; `None` when it is another segment's.
    fn opened(segment: u32, content: &[u8], keys: &[u8]) -> Result<Option<Self>, LogError> {
        let Some((data_key, index_key)) = keys.split_first_chunk::<32>() else {
            return Ok(None);
        };
        let Ok(index_key) = <[u8; 32]>::try_from(index_key).map(Zeroizing::new) else {
            return Ok(None);
        };
        let opened = Self::new(segment, Zeroizing::new(*data_key), IndexKey(index_key))?;
        Ok((opened.check()[..] == content[8..16]).then_some(opened))
    }

    /// The log's index key.
    pub fn index_key(&self) -> &IndexKey {
        &self.index_key
    }

    /// Data key and index key, as they are wrapped.
    fn both(&self) -> Zeroizing<[u8; KEYS]> {
        let mut both = Zeroizing::new([0; KEYS]);
        both[..32].copy_from_slice(self.key.as_ref());
        both[32..].copy_from_slice(self.index_key.0.as_ref());
        both
    }

    /// Tells whether a key is this segment's.
    pub fn check(&self) -> [u8; 8] {
        first_eight(&labelled(b"tunduk log data key check", &self.key))
    }

    /// Keyed hash of a query id, under which the record is indexed.
    pub fn query_hash(&self, query_id: &str) -> u64 {
        self.index_key.query_hash(query_id)
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
        let mut wrapped = self.both();
        let tag = cipher(keys.current.bytes())?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&file[..16]),
                wrapped.as_mut_slice(),
            )
            .map_err(|_| LogError::BadKey("sealing failed"))?;
        file.extend_from_slice(&log_key_id(&keys.current));
        file.extend_from_slice(&nonce);
        file.extend_from_slice(wrapped.as_slice());
        file.extend_from_slice(tag.as_ref());
        let recovery = match &keys.recovery {
            Some(spki) => crate::twin::encrypt(spki, &self.both())?,
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
        if content.len() < RECOVERY + 2
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
            let mut wrapped = Zeroizing::new(content[36..RECOVERY].to_vec());
            let opened = cipher(key.bytes())?.open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(&content[..16]),
                wrapped.as_mut_slice(),
            );
            if let Ok(opened) = opened
                && let Some(unwrapped) = Self::opened(segment, content, opened)?
            {
                return Ok(unwrapped);
            }
        }
        if let Some(twin) = &keys.twin
            && let Some(part) = recovery_part(content).filter(|part| !part.is_empty())
            && let Some(both) = twin.decrypt(part)
            && let Some(unwrapped) = Self::opened(segment, content, both.as_slice())?
        {
            return Ok(unwrapped);
        }
        Err(LogError::WrongLogKey { segment })
    }
}

/// The recovery part of a key file: the data key of the segment and the index key, encrypted for
/// the offline twin (RSA-OAEP with SHA-256, or over P-256). Empty without a twin.
pub fn recovery_part(file: &[u8]) -> Option<&[u8]> {
    let length = u16::from_le_bytes([*file.get(RECOVERY)?, *file.get(RECOVERY + 1)?]);
    file.get(RECOVERY + 2..RECOVERY + 2 + usize::from(length))
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
        let index_key = IndexKey::generate(&mut random).unwrap();
        let hash = index_key.query_hash("q1");
        let key = SegmentKey::generate(4, index_key, &mut random).unwrap();
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
        assert_eq!(opened.query_hash("q1"), hash);
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
        assert_eq!(opened.query_hash("q1"), hash);
        assert_ne!(opened.query_hash("q2"), hash);
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
