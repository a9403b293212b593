//! What can go wrong in the log, and whose fault it is.

use std::io;

/// Why the log refuses, or cannot find or read, something. Everything here is
/// the fault of this server or its operator, but [`LogError::SpoolQuota`],
/// which is the peer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The disk has no room for the record or the body. Nothing that was
    /// acknowledged is lost; the log takes records again once there is room.
    #[error("the disk of the message log is full")]
    NoSpace,
    /// A sender has too many bytes under way whose signature is not verified yet,
    /// or all senders together have.
    #[error("too many unverified bytes are under way ({who})")]
    SpoolQuota {
        /// `all senders together`, or the name under which the sender is counted.
        who: String,
    },
    /// An earlier write or flush failed: what it covered may or may not be on
    /// disk, so nothing more is accepted until the log is opened again.
    #[error("the message log stopped after a failed write: {0}")]
    Poisoned(String),
    /// The oldest record without a time-stamp is older than the acceptable period
    /// (X-Road's `timestamping_failed`).
    #[error("no time-stamp since {oldest_pending} (ms since 1970): the acceptable period is over")]
    TimestampingFailed {
        /// Time of the oldest record without a time-stamp, ms since 1970.
        oldest_pending: u64,
    },
    /// A part of the record is larger than the format allows.
    #[error("{what} is larger than the log allows ({limit})")]
    TooLarge {
        /// The part that is too large.
        what: &'static str,
        /// Its limit in bytes or in number.
        limit: u64,
    },
    /// The record names a configuration that [`keep_configuration`] was not
    /// given, so that its evidence could not be judged later.
    ///
    /// [`keep_configuration`]: crate::ConfigurationId
    #[error("the signed configuration {0} is not kept in the log")]
    UnknownConfiguration(String),
    /// Nothing with this identifier is in the log.
    #[error("{0} is not in the log")]
    NotFound(String),
    /// Stored bytes are not what was written.
    #[error("segment {segment}, offset {offset}: {what}")]
    Damaged {
        /// Number of the segment.
        segment: u32,
        /// Byte offset in the segment.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The data key of a segment cannot be unwrapped with the keys given.
    #[error("segment {segment}: its data key cannot be opened with the log keys given")]
    WrongLogKey {
        /// Number of the segment.
        segment: u32,
    },
    /// A key that was given is not usable.
    #[error("key for the log: {0}")]
    BadKey(&'static str),
    /// The operating system refused an operation that has no better name here.
    #[error("message log: {0}")]
    Io(String),
    /// The log was closed.
    #[error("the message log is closed")]
    Closed,
    /// A container or an archive could not be built from what is stored.
    #[error("export: {0}")]
    Export(String),
}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            io::ErrorKind::NotFound => Self::NotFound(error.to_string()),
            _ => Self::Io(error.to_string()),
        }
    }
}
