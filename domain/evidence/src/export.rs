//! Containers from what a message log has stored.

use asic::container::{BatchTimeStamp, ContainerParts, ContainerWriter, WriteError};
use std::fmt::Write as _;
use std::io::{Seek, Write};
use thiserror::Error;
use time::OffsetDateTime;
use xmldsig::SignatureError;

/// The time stamp of a stored signature.
#[derive(Debug, Clone, Copy)]
pub enum StoredTimeStamp<'a> {
    /// Over the signature value alone (A3): the token's DER.
    Single(&'a [u8]),
    /// Over a batch of signatures (A4).
    Batch {
        /// `ts-hashchainresult.xml`, whose bytes the token stamps.
        result: &'a [u8],
        /// `ts-hashchain.xml` of this signature document.
        chain: &'a [u8],
        /// The token's DER.
        token: &'a [u8],
    },
}

/// A stored message, without its attachments.
#[derive(Debug, Clone, Copy)]
pub struct StoredMessage<'a> {
    /// The message part as transferred.
    pub message: &'a [u8],
    /// The signature document as transferred.
    pub signature: &'a [u8],
    /// Hash chain result and hash chain as transferred.
    pub hash_chain: Option<(&'a [u8], &'a [u8])>,
    /// The time stamp; without one a container proves nothing (A5).
    pub time_stamp: Option<StoredTimeStamp<'a>>,
    /// When the record was stored: the time of the container's entries.
    pub time: OffsetDateTime,
}

/// Why no container could be written.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The sink failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The stored signature does not take the time stamp.
    #[error("the stored signature cannot carry its time stamp: {0}")]
    Signature(#[from] SignatureError),
}

/// Begins the container of a stored message; the caller writes the attachments, each with
/// [`ContainerWriter::start_attachment`] and [`ContainerWriter::write`], and finishes it.
///
/// # Errors
/// [`ExportError`].
pub fn write_container<W: Write + Seek>(
    sink: W,
    stored: &StoredMessage<'_>,
) -> Result<ContainerWriter<W>, ExportError> {
    let stamped;
    let mut signature = stored.signature;
    let mut batch_time_stamp = None;
    match stored.time_stamp {
        Some(StoredTimeStamp::Single(token)) => {
            stamped = xmldsig::with_time_stamp(stored.signature, token)?;
            signature = &stamped;
        }
        Some(StoredTimeStamp::Batch {
            result,
            chain,
            token,
        }) => {
            batch_time_stamp = Some(BatchTimeStamp {
                result,
                chain,
                token,
            });
        }
        None => {}
    }
    let parts = ContainerParts {
        message: stored.message,
        signature,
        signature_chain: stored.hash_chain,
        batch_time_stamp,
    };
    Ok(ContainerWriter::new(sink, &parts, stored.time)?)
}

/// The longest encoded query id in a container's name.
const MAXIMUM_QUERY_ID: usize = 226;

/// The file name of a container (A13): `<query id, URL-encoded>-<request|response>-<id>.asice`.
#[must_use]
pub fn container_name(
    query_id: &str,
    direction: crate::message::Direction,
    record_id: impl std::fmt::Display,
) -> String {
    let mut name = String::with_capacity(query_id.len() + 32);
    for byte in query_id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                name.push(char::from(byte));
            }
            b' ' => name.push('+'),
            other => {
                let _ = write!(name, "%{other:02X}");
            }
        }
    }
    name.truncate(MAXIMUM_QUERY_ID);
    let direction = match direction {
        crate::message::Direction::Request => "request",
        crate::message::Direction::Response => "response",
    };
    let _ = write!(name, "-{direction}-{record_id}.asice");
    name
}
