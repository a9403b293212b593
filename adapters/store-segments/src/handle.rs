//! The handle that services hold.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use messagelog::{
    Committed, ConfigurationId, LogError, LogKeys, NewRecord, RecordId, RecordQuery, SealedBody,
    SpoolLimits, SpoolOwner, StoredRecord,
};

/// How the log is kept.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The directory, which belongs to the log alone; created if absent.
    pub directory: PathBuf,
    /// Size of a segment in bytes.
    pub segment_size: u64,
    /// Bytes of the disk that unverified bodies never take.
    pub reserve: u64,
    /// Quotas of bodies whose record is not committed.
    pub spool: SpoolLimits,
    /// Longest time that commits are gathered for one flush, under load only.
    pub commit_window: Duration,
    /// How long records are kept once they are time-stamped; `None` is for ever.
    pub retention: Option<Duration>,
    /// How old a record without a time-stamp may become before messages are refused.
    pub acceptable_timestamp_failure: Duration,
}

impl LogSettings {
    /// The defaults for a log in `directory`: 64 MiB segments, 256 MiB reserve,
    /// 2 GiB of unverified bodies per peer and 8 GiB in all, 1 ms window, kept for
    /// ever, 14,400 s without time-stamps (X-Road's default).
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            segment_size: 64 << 20,
            reserve: 256 << 20,
            spool: SpoolLimits {
                per_peer: 2 << 30,
                total: 8 << 30,
            },
            commit_window: Duration::from_millis(1),
            retention: None,
            acceptable_timestamp_failure: Duration::from_secs(14_400),
        }
    }
}

/// Records to be time-stamped together.
#[derive(Debug, Clone)]
pub struct StampBatch {
    /// The records.
    pub records: Vec<RecordId>,
    /// What the authority is asked to stamp: the bytes whose digest is the imprint.
    pub imprint_of: Bytes,
}

/// The message log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MessageLog(());

impl MessageLog {
    /// Opens the log, recovering what an earlier run left, and starts its thread.
    ///
    /// # Errors
    /// The directory cannot be used, or a key does not fit.
    pub fn open(_settings: LogSettings, _keys: LogKeys) -> Result<Self, LogError> {
        Err(LogError::Closed)
    }

    /// Whether messages may be taken at `now` (ms since 1970): asked before each exchange.
    ///
    /// # Errors
    /// The log stopped, is full, or time-stamps fail for too long.
    pub fn accepts(&self, _now: u64) -> Result<(), LogError> {
        Err(LogError::Closed)
    }

    /// Appends a record and returns once it is on disk.
    ///
    /// # Errors
    /// It is not on disk, for the reason given.
    pub async fn commit(&self, _record: NewRecord) -> Result<Committed, LogError> {
        Err(LogError::Closed)
    }

    /// Begins a body that is too large to be kept in a record.
    pub fn body(&self, _owner: SpoolOwner) -> BodyWriter {
        BodyWriter(())
    }

    /// Keeps a signed configuration (paths within it and bytes) durably, once.
    /// Must have returned before the first record that names it is committed.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn keep_configuration(
        &self,
        _id: ConfigurationId,
        _files: Vec<(String, Bytes)>,
    ) -> Result<(), LogError> {
        Err(LogError::Closed)
    }

    /// Whether a signed configuration is kept.
    pub fn has_configuration(&self, _id: ConfigurationId) -> bool {
        false
    }

    /// Reads a kept configuration back.
    ///
    /// # Errors
    /// It was never kept, or is damaged.
    pub async fn configuration(
        &self,
        _id: ConfigurationId,
    ) -> Result<Vec<(String, Bytes)>, LogError> {
        Err(LogError::Closed)
    }

    /// The records that match, oldest first.
    ///
    /// # Errors
    /// A segment cannot be read or opened.
    pub async fn find(&self, _query: RecordQuery) -> Result<Vec<StoredRecord>, LogError> {
        Err(LogError::Closed)
    }

    /// One record.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn get(&self, _id: RecordId) -> Result<StoredRecord, LogError> {
        Err(LogError::Closed)
    }

    /// Up to `max` of the oldest records without a time-stamp, ready to be stamped
    /// together; `None` when there is none.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub async fn pending(&self, _max: usize) -> Result<Option<StampBatch>, LogError> {
        Err(LogError::Closed)
    }

    /// The same for given records; those that have a time-stamp are left out.
    ///
    /// # Errors
    /// A record cannot be read.
    pub async fn pending_of(&self, _records: &[RecordId]) -> Result<Option<StampBatch>, LogError> {
        Err(LogError::Closed)
    }

    /// Stores a verified token (DER `ContentInfo`) for a batch, durably.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn commit_timestamp(
        &self,
        _batch: StampBatch,
        _token: Bytes,
    ) -> Result<(), LogError> {
        Err(LogError::Closed)
    }

    /// Time of the oldest record without a time-stamp, ms since 1970.
    pub fn oldest_pending(&self) -> Option<u64> {
        None
    }

    /// How many records have no time-stamp.
    pub fn pending_count(&self) -> u64 {
        0
    }
}

/// Takes one body. Dropped before [`BodyWriter::finish`], what it wrote is dead space.
#[derive(Debug)]
pub struct BodyWriter(());

impl BodyWriter {
    /// Takes the next bytes, of any length.
    ///
    /// # Errors
    /// A quota is used up, the disk is full, or the log stopped.
    pub async fn write(&mut self, _bytes: Bytes) -> Result<(), LogError> {
        Err(LogError::Closed)
    }

    /// Ends the body.
    ///
    /// # Errors
    /// As [`BodyWriter::write`].
    pub async fn finish(self) -> Result<SealedBody, LogError> {
        Err(LogError::Closed)
    }
}

/// Reads a sealed body without holding up the async threads.
#[derive(Debug)]
pub struct BodyStream(());

impl BodyStream {
    /// From the start of a body.
    pub fn new(_body: &SealedBody) -> Self {
        Self(())
    }

    /// The next chunk; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, LogError>> {
        None
    }
}
