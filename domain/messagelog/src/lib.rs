//! The message log: every message with its signature, durable before it goes on.
//!
//! This crate is pure: it holds the formats, the cryptography of records and the
//! journal over the port [`SegmentDirectory`]; the adapter `store-segments`
//! fulfils the port with files and gives the journal its thread.

mod body;
mod error;
mod keys;
mod port;
mod record;
mod spool;

pub use body::{
    BodyKey, BodyReader, ChunkSealer, ChunkSource, Extent, SealedBody, TAG_LENGTH, chunk_count,
};
pub use error::LogError;
pub use keys::{LogKey, LogKeys};
pub use port::{SegmentDirectory, SegmentFile};
pub use record::{
    Attachment, Committed, ConfigurationId, Direction, INLINE_LIMIT, MessageKind, NewRecord,
    NotAConfigurationId, RecordId, RecordQuery, RecordTimestamp, Side, StoredRecord,
};
pub use spool::{Spool, SpoolLimits, SpoolOwner, SpoolShare};
