//! What the log keeps: records, their identifiers and their attachments.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use xroad_id::{ClientId, ServiceId};

use crate::body::SealedBody;
use crate::stamp::StampPlace;

/// Largest attachment or REST body that is kept inside its record, in bytes;
/// a larger one is a [`SealedBody`]. Also the size of a body's chunks.
pub const INLINE_LIMIT: usize = 64 * 1024;

/// Whether a record holds a request or a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the consumer to the provider.
    Request,
    /// From the provider to the consumer.
    Response,
}

/// On which side of the exchange this server stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client's Security Server.
    Consumer,
    /// The service's Security Server.
    Provider,
}

/// Message protocol of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// PR-MESS.
    Soap,
    /// PR-REST.
    Rest,
}

/// A record's place in the log: the segment's number in the upper 32 bits, the
/// number within it in the lower. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(pub u64);

impl RecordId {
    /// The record `number` of `segment`.
    pub fn new(segment: u32, number: u32) -> Self {
        Self(u64::from(segment) << 32 | u64::from(number))
    }

    /// Number of the segment.
    pub fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Number within the segment.
    pub fn number(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for RecordId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// SHA-256 that names a signed configuration (the bytes of the signed directory
/// of the main instance, or whatever the caller hashes; the log only compares).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigurationId(pub [u8; 32]);

impl fmt::Display for ConfigurationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ConfigurationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigurationId({self})")
    }
}

impl FromStr for ConfigurationId {
    type Err = NotAConfigurationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.as_bytes();
        let mut id = [0_u8; 32];
        if text.len() != 64 {
            return Err(NotAConfigurationId);
        }
        for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16).ok_or(NotAConfigurationId);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Ok(Self(id))
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a configuration identifier is 64 hexadecimal digits")]
pub struct NotAConfigurationId;

/// An attachment of a SOAP message, or the body of a REST message.
#[derive(Debug, Clone)]
pub enum Attachment {
    /// At most [`INLINE_LIMIT`] bytes, sealed with the record.
    Inline(Bytes),
    /// Sealed chunk by chunk in a segment before the record.
    Sealed(SealedBody),
}

impl Attachment {
    /// Length in bytes of the content.
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Sealed(body) => body.len(),
        }
    }

    /// Whether the content is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Attachment {
    fn from(bytes: Bytes) -> Self {
        Self::Inline(bytes)
    }
}

/// A message with its signature, as it is logged before it goes on.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Request or response.
    pub direction: Direction,
    /// Consumer's or provider's side.
    pub side: Side,
    /// Message protocol.
    pub kind: MessageKind,
    /// The message's query id (`xrd:id`, `X-Road-Id`).
    pub query_id: String,
    /// `x-road-request-id` of the exchange, if known.
    pub request_id: Option<String>,
    /// The client of the exchange.
    pub client: ClientId,
    /// The service of the exchange.
    pub service: ServiceId,
    /// When the message was taken, ms since 1970.
    pub time: u64,
    /// The exact bytes that the signature covers as `/message.xml`.
    pub message: Bytes,
    /// The parts `/attachment1`, `/attachment2`, ... in order (a REST body is the first).
    pub attachments: Vec<Attachment>,
    /// The signature document (`META-INF/signatures.xml`).
    pub signature: Bytes,
    /// `sig-hashchainresult.xml` and `sig-hashchain.xml`, when the signature is over a hash chain.
    pub hash_chain: Option<(Bytes, Bytes)>,
    /// The signed configuration in force.
    pub configuration: ConfigurationId,
}

/// Proof that a record is on disk; only the journal makes it, after the flush
/// that covers the record has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    record_id: RecordId,
    time: u64,
}

impl Committed {
    pub(crate) fn proven(record_id: RecordId, time: u64) -> Self {
        Self { record_id, time }
    }

    /// A proof without a log, for tests and tools: whoever calls this asserts
    /// that the record is durable by other means.
    pub fn assertion(record_id: RecordId, time: u64) -> Self {
        Self { record_id, time }
    }

    /// Where the record is.
    pub fn record_id(&self) -> RecordId {
        self.record_id
    }

    /// The record's own time, ms since 1970.
    pub fn time(&self) -> u64 {
        self.time
    }
}

/// A record read back.
#[derive(Debug, Clone)]
pub struct StoredRecord {
    /// Its identifier.
    pub id: RecordId,
    /// What was logged.
    pub record: NewRecord,
    /// Where the time-stamp is that covers it, if there is one by now.
    pub timestamp: Option<StampPlace>,
}

/// Which records are wanted. Every field that is given must match.
#[derive(Debug, Clone, Default)]
pub struct RecordQuery {
    /// Exactly this query id.
    pub query_id: Option<String>,
    /// Exactly this client (subsystem included).
    pub client: Option<ClientId>,
    /// Client or service of this member or subsystem, whichever side it stood on.
    pub party: Option<ClientId>,
    /// Requests or responses only.
    pub direction: Option<Direction>,
    /// One side only.
    pub side: Option<Side>,
    /// From this time on, ms since 1970.
    pub from: Option<u64>,
    /// Before this time, ms since 1970.
    pub until: Option<u64>,
    /// At most so many records; `None` is 10,000.
    pub limit: Option<usize>,
}
