//! Bodies sealed chunk by chunk with a key of their own.
//!
//! Chunks are [`INLINE_LIMIT`] bytes of content (the last one shorter), each
//! sealed with AES-256-GCM under the body's random key. The nonce is seven zero
//! bytes, the chunk's number (32 bits, big-endian) and 1 for the last chunk,
//! else 0: so chunks cannot be reordered, dropped or cut off. The key lives in
//! memory until a record that carries it commits; without it the chunks are
//! dead bytes.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::dead_space::{DeadRun, UnderWay};
use crate::error::LogError;
use crate::frame::FRAME_HEADER;
use crate::record::INLINE_LIMIT;

/// Length of the authentication tag behind each sealed chunk.
pub const TAG_LENGTH: usize = 16;

/// Where sealed bytes are read back from.
pub trait ChunkSource: Send + Sync {
    /// Fills the buffer from `offset` of `segment`.
    ///
    /// # Errors
    /// The segment is gone, or shorter than that.
    fn read_exact_at(&self, segment: u32, offset: u64, buffer: &mut [u8]) -> Result<(), LogError>;
}

/// Chunks that lie at equal distances in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Number of the segment.
    pub segment: u32,
    /// Offset of the first chunk's sealed bytes.
    pub offset: u32,
    /// How many chunks.
    pub count: u32,
}

/// The key of one body. Wiped when dropped; never printed.
#[derive(Clone)]
pub struct BodyKey(Zeroizing<[u8; 32]>);

impl BodyKey {
    /// A key from 32 random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self) -> Result<LessSafeKey, LogError> {
        UnboundKey::new(&AES_256_GCM, self.0.as_ref())
            .map(LessSafeKey::new)
            .map_err(|_| LogError::BadKey("a body key has 32 bytes"))
    }
}

impl fmt::Debug for BodyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyKey(..)")
    }
}

fn nonce(chunk: u32, last: bool) -> Nonce {
    let mut bytes = [0_u8; 12];
    bytes[7..11].copy_from_slice(&chunk.to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

/// Seals a body's chunks in order.
pub struct ChunkSealer {
    cipher: LessSafeKey,
    next: u32,
    finished: bool,
}

impl fmt::Debug for ChunkSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkSealer(next chunk {})", self.next)
    }
}

impl ChunkSealer {
    /// For a body with this key, which must seal no other body.
    ///
    /// # Errors
    /// Never for a [`BodyKey`].
    pub fn new(key: &BodyKey) -> Result<Self, LogError> {
        Ok(Self {
            cipher: key.cipher()?,
            next: 0,
            finished: false,
        })
    }

    /// Number of the chunk that comes next.
    pub fn next_chunk(&self) -> u32 {
        self.next
    }

    /// Seals `content[start..]` in place as the next chunk and appends its tag.
    ///
    /// # Errors
    /// The body has 2^32 chunks, or its last one was sealed already.
    pub fn seal(
        &mut self,
        content: &mut Vec<u8>,
        start: usize,
        last: bool,
    ) -> Result<(), LogError> {
        if self.finished || self.next == u32::MAX {
            return Err(LogError::TooLarge {
                what: "a body",
                limit: u64::from(u32::MAX) * INLINE_LIMIT as u64,
            });
        }
        let tag = self
            .cipher
            .seal_in_place_separate_tag(nonce(self.next, last), Aad::empty(), &mut content[start..])
            .map_err(|_| LogError::BadKey("sealing failed"))?;
        content.extend_from_slice(tag.as_ref());
        self.next += 1;
        self.finished = last;
        Ok(())
    }
}

pub(crate) struct Inner {
    pub(crate) key: BodyKey,
    pub(crate) len: u64,
    pub(crate) extents: Vec<Extent>,
    pub(crate) stride: u32,
    source: Arc<dyn ChunkSource>,
    under_way: Option<UnderWay>,
}

impl Inner {
    fn runs(&self) -> Vec<DeadRun> {
        let frame = FRAME_HEADER as u64;
        let chunks = chunk_count(self.len);
        let short = chunks * INLINE_LIMIT as u64 - self.len;
        let mut seen = 0;
        self.extents
            .iter()
            .map(|extent| {
                seen += u64::from(extent.count);
                let start = u64::from(extent.offset).saturating_sub(frame);
                let whole = start + u64::from(extent.count) * u64::from(self.stride);
                // The last chunk is as much shorter as it holds less.
                let end = if seen == chunks { whole - short } else { whole };
                DeadRun {
                    segment: extent.segment,
                    start: start as u32,
                    end: end as u32,
                }
            })
            .collect()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(under_way) = &self.under_way {
            under_way.end(|| self.runs());
        }
    }
}

/// A complete body whose chunks are in the log's segments. It can be read at
/// once; it outlives a restart only when a record that holds it commits.
#[derive(Clone)]
pub struct SealedBody(pub(crate) Arc<Inner>);

impl fmt::Debug for SealedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBody({} bytes)", self.len())
    }
}

impl SealedBody {
    /// A body of `len` bytes whose sealed chunks lie in `extents`, `stride` bytes
    /// from one to the next within an extent.
    ///
    /// # Errors
    /// The extents do not hold as many chunks as the length needs.
    pub fn new(
        key: BodyKey,
        len: u64,
        extents: Vec<Extent>,
        stride: u32,
        source: Arc<dyn ChunkSource>,
        under_way: Option<UnderWay>,
    ) -> Result<Self, LogError> {
        let chunks: u64 = extents.iter().map(|extent| u64::from(extent.count)).sum();
        if chunks != chunk_count(len) || chunks > u64::from(u32::MAX) {
            return Err(LogError::Damaged {
                segment: extents.first().map_or(0, |extent| extent.segment),
                offset: extents.first().map_or(0, |extent| u64::from(extent.offset)),
                what: "the chunks of a body do not fit its length",
            });
        }
        Ok(Self(Arc::new(Inner {
            key,
            len,
            extents,
            stride,
            source,
            under_way,
        })))
    }

    /// Length in bytes of the content.
    pub fn len(&self) -> u64 {
        self.0.len
    }

    /// Whether the body is empty.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// Reads the content from its start, chunk by chunk. Each call of `next`
    /// reads the disk: not for an async thread when the body is not in the page cache.
    pub fn read(&self) -> BodyReader {
        BodyReader {
            body: self.clone(),
            cipher: None,
            extent: 0,
            within: 0,
            chunk: 0,
            left: self.len(),
            finished: false,
        }
    }

    /// A record that holds the body is on its way to the disk.
    pub(crate) fn keep(&self) {
        if let Some(under_way) = &self.0.under_way {
            under_way.keep();
        }
    }

    /// The oldest segment that holds a chunk.
    pub(crate) fn oldest_segment(&self) -> Option<u32> {
        self.0.extents.iter().map(|extent| extent.segment).min()
    }
}

/// How many chunks a body of `len` bytes has; an empty one has one empty chunk.
pub fn chunk_count(len: u64) -> u64 {
    len.div_ceil(INLINE_LIMIT as u64).max(1)
}

/// Iterates over the content of a [`SealedBody`] in chunks; ends after the last
/// chunk or after the first error.
pub struct BodyReader {
    body: SealedBody,
    cipher: Option<LessSafeKey>,
    extent: usize,
    within: u32,
    chunk: u32,
    left: u64,
    finished: bool,
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyReader({} bytes left)", self.left)
    }
}

impl BodyReader {
    fn open_next(&mut self) -> Result<Bytes, LogError> {
        let inner = &self.body.0;
        let cipher = match &self.cipher {
            Some(cipher) => cipher,
            None => self.cipher.insert(inner.key.cipher()?),
        };
        let extent = inner.extents[self.extent];
        let offset = u64::from(extent.offset) + u64::from(self.within) * u64::from(inner.stride);
        let content = self.left.min(INLINE_LIMIT as u64) as usize;
        let last = self.left <= INLINE_LIMIT as u64;
        let mut buffer = vec![0_u8; content + TAG_LENGTH];
        inner
            .source
            .read_exact_at(extent.segment, offset, &mut buffer)?;
        cipher
            .open_in_place(nonce(self.chunk, last), Aad::empty(), &mut buffer)
            .map_err(|_| LogError::Damaged {
                segment: extent.segment,
                offset,
                what: "a chunk of a body is not what was sealed",
            })?;
        buffer.truncate(content);
        self.left -= content as u64;
        self.chunk += 1;
        self.within += 1;
        if self.within == extent.count {
            self.within = 0;
            self.extent += 1;
        }
        self.finished = last;
        Ok(buffer.into())
    }
}

impl Iterator for BodyReader {
    type Item = Result<Bytes, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let chunk = self.open_next();
        if chunk.is_err() {
            self.finished = true;
        }
        Some(chunk)
    }
}
