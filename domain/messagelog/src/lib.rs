//! The message log: every message with its signature, durable before it goes on.
//!
//! This crate is pure: it holds the formats, the cryptography of records and the
//! journal over the port [`SegmentDirectory`]; the adapter `store-segments`
//! fulfils the port with files and gives the journal its thread.

mod body;
mod codec;
mod configurations;
mod dead_space;
mod delta;
mod error;
mod find;
mod frame;
mod index;
mod journal;
mod keys;
mod manifest;
mod port;
mod record;
mod recovery;
mod scan;
mod segment_key;
mod spool;
mod stamp;
mod store;
mod tables;
mod twin;

pub use body::{
    BodyKey, BodyReader, ChunkSealer, ChunkSource, Extent, SealedBody, TAG_LENGTH, chunk_count,
};
pub use dead_space::{DeadRun, DeadSpace, UnderWay};
pub use error::LogError;
pub use find::Pending;
pub use frame::FRAME_HEADER as CHUNK_ROOM;
pub use journal::{Journal, JournalSettings, Spare, SpareJob};
pub use keys::{LogKey, LogKeys};
pub use port::{SegmentDirectory, SegmentFile};
pub use record::{
    Attachment, Committed, ConfigurationId, Direction, INLINE_LIMIT, MessageKind, NewRecord,
    NotAConfigurationId, RecordId, RecordQuery, Side, StoredRecord,
};
pub use recovery::Recovery;
pub use segment_key::{Randomness, recovery_part};
pub use spool::{Spool, SpoolLimits, SpoolOwner, SpoolShare};
pub use stamp::{MAX_BATCH, Stamp, StampForm, StampPlace, hash_chain_result};
pub use store::Store;
pub use twin::RecoveryTwin;
