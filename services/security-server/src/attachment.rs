//! Attachments and REST bodies on their way through: hashed, and kept for the
//! log, piece by piece and with bounded memory.

use bytes::{Bytes, BytesMut};
use messagelog::{Attachment, INLINE_LIMIT, LogError, SpoolOwner};
use pki::{Digest, DigestAlgorithm, Hasher};
use store_segments::{BodyStream, BodyWriter, MessageLog};
use transport::{Body, BodyError};
use xroad_message::multipart::Headers;

use crate::memory::{Account, Crowded};

/// Most bytes of the attachments of one message that stay in memory; what is beyond goes
/// into the log at once, however short it is.
pub const MEMORY_OF_MESSAGE: usize = 512 * 1024;

/// An attachment that has passed in whole: its digests and where its bytes are.
#[derive(Debug, Clone)]
pub struct RecordedAttachment {
    /// MIME part headers as they came, in order; empty for a REST body.
    pub headers: Headers,
    /// SHA-512 of the bytes, which request hashes always use (R7).
    pub sha512: Digest,
    /// Digest by the sender's algorithm, when that is another.
    pub other: Option<(DigestAlgorithm, Digest)>,
    /// The bytes, in memory or sealed in the log.
    pub content: Attachment,
}

impl RecordedAttachment {
    /// The digest by `algorithm`: computed while the bytes passed or, where they are
    /// still in memory, now. `None` for a large one under an algorithm that nobody announced.
    pub fn digest(&self, algorithm: DigestAlgorithm) -> Option<Digest> {
        if algorithm == DigestAlgorithm::Sha512 {
            return Some(self.sha512);
        }
        match (&self.other, &self.content) {
            (Some((known, digest)), _) if *known == algorithm => Some(*digest),
            (_, Attachment::Inline(bytes)) => Some(algorithm.digest(bytes)),
            _ => None,
        }
    }

    /// How many bytes of it are in memory.
    pub fn held(&self) -> usize {
        match &self.content {
            Attachment::Inline(bytes) => bytes.len(),
            Attachment::Sealed(_) => 0,
        }
    }

    /// The same, with the bytes that are in memory counted in `account`.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn counted(mut self, account: &mut Account) -> Result<Self, Crowded> {
        if let Attachment::Inline(bytes) = &mut self.content {
            *bytes = account.keep(std::mem::take(bytes))?;
        }
        Ok(self)
    }

    /// The bytes again, from memory or opened chunk by chunk.
    pub fn reader(&self) -> AttachmentReader {
        match &self.content {
            Attachment::Inline(bytes) => AttachmentReader::Inline(Some(bytes.clone())),
            Attachment::Sealed(body) => AttachmentReader::Sealed(BodyStream::new(body)),
        }
    }
}

/// Reads a recorded attachment.
pub enum AttachmentReader {
    /// What is left in memory.
    Inline(Option<Bytes>),
    /// Chunks of the log.
    Sealed(BodyStream),
}

impl AttachmentReader {
    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, LogError>> {
        match self {
            Self::Inline(bytes) => bytes.take().filter(|bytes| !bytes.is_empty()).map(Ok),
            Self::Sealed(stream) => stream.next().await,
        }
    }
}

enum Place {
    Memory(BytesMut),
    Log(BodyWriter),
}

/// Takes one attachment piece by piece.
pub struct AttachmentRecorder<'a> {
    log: &'a MessageLog,
    owner: SpoolOwner,
    headers: Headers,
    sha512: Hasher,
    other: Option<(DigestAlgorithm, Hasher)>,
    place: Place,
    memory: usize,
}

impl<'a> AttachmentRecorder<'a> {
    /// Begins an attachment of `owner`; `algorithm` is the digest that its sender announced.
    pub fn new(
        log: &'a MessageLog,
        owner: SpoolOwner,
        headers: Headers,
        algorithm: DigestAlgorithm,
    ) -> Self {
        Self {
            log,
            owner,
            headers,
            sha512: DigestAlgorithm::Sha512.hasher(),
            other: (algorithm != DigestAlgorithm::Sha512).then(|| (algorithm, algorithm.hasher())),
            place: Place::Memory(BytesMut::new()),
            memory: INLINE_LIMIT,
        }
    }

    /// Keeps at most `left` bytes in memory: what is left of [`MEMORY_OF_MESSAGE`].
    pub fn within(mut self, left: usize) -> Self {
        self.memory = self.memory.min(left);
        self
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// The log has no room or the sender's quota is used up.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), LogError> {
        self.sha512.update(&bytes);
        if let Some((_, hasher)) = &mut self.other {
            hasher.update(&bytes);
        }
        match &mut self.place {
            Place::Memory(held) if held.len() + bytes.len() <= self.memory => {
                held.extend_from_slice(&bytes)
            }
            Place::Memory(held) => {
                let held = std::mem::take(held).freeze();
                let mut writer = self.log.body(self.owner.clone());
                if !held.is_empty() {
                    writer.write(held).await?;
                }
                writer.write(bytes).await?;
                self.place = Place::Log(writer);
            }
            Place::Log(writer) => writer.write(bytes).await?,
        }
        Ok(())
    }

    /// Ends the attachment.
    ///
    /// # Errors
    /// The log has no room.
    pub async fn finish(self) -> Result<RecordedAttachment, LogError> {
        let content = match self.place {
            Place::Memory(held) => Attachment::Inline(held.freeze()),
            Place::Log(writer) => Attachment::Sealed(writer.finish().await?),
        };
        Ok(RecordedAttachment {
            headers: self.headers,
            sha512: self.sha512.finish(),
            other: self
                .other
                .map(|(algorithm, hasher)| (algorithm, hasher.finish())),
            content,
        })
    }
}

/// The first bytes of a body and the rest of it, if there is more.
pub struct Opened {
    /// At most a little over the limit that was asked for.
    pub start: Bytes,
    /// The unread remainder; `None` when `start` is all.
    pub rest: Option<Body>,
}

/// Reads a body until it ends or more than `limit` bytes are there, so that small
/// messages need no streaming.
///
/// # Errors
/// The sender broke off.
pub async fn open(mut body: Body, limit: usize) -> Result<Opened, BodyError> {
    let Some(first) = body.next().await else {
        return Ok(Opened {
            start: Bytes::new(),
            rest: None,
        });
    };
    let first = first?;
    if first.len() > limit {
        return Ok(Opened {
            start: first,
            rest: Some(body),
        });
    }
    let Some(second) = body.next().await else {
        return Ok(Opened {
            start: first,
            rest: None,
        });
    };
    let mut held = BytesMut::with_capacity(limit.min(first.len() * 4));
    held.extend_from_slice(&first);
    held.extend_from_slice(&second?);
    while held.len() <= limit {
        match body.next().await {
            Some(piece) => held.extend_from_slice(&piece?),
            None => {
                return Ok(Opened {
                    start: held.freeze(),
                    rest: None,
                });
            }
        }
    }
    Ok(Opened {
        start: held.freeze(),
        rest: Some(body),
    })
}

impl Opened {
    /// The next piece of the whole body.
    ///
    /// # Errors
    /// The sender broke off.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        if !self.start.is_empty() {
            return Some(Ok(std::mem::take(&mut self.start)));
        }
        self.rest.as_mut()?.next().await
    }
}
