//! Frames: what a segment consists of.
//!
//! A segment begins with a header of [`SEGMENT_HEADER`] bytes:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 12 | `TUNDUK-LOG-1` |
//! | 12 | 4 | number of the segment |
//! | 16 | 8 | time of creation, ms since 1970 |
//! | 24 | 8 | check value of the data key |
//! | 60 | 4 | CRC-32 of the 60 bytes before |
//!
//! Frames follow without gaps up to the first one that is not valid (the rest
//! of the reserved file is zeros). A frame is a header of [`FRAME_HEADER`] bytes
//! and a payload:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `TLF1` |
//! | 4 | 1 | kind: 1 record, 2 chunk of a body, 3 time-stamp, 4 dead space |
//! | 5 | 3 | zero |
//! | 8 | 4 | length of the payload |
//! | 12 | 4 | number within the segment (a chunk: its number within the body) |
//! | 16 | 4 | offset up to which the segment was durable when this was written |
//! | 20 | 4 | number of the segment |
//! | 24 | 4 | CRC-32 of the payload |
//! | 28 | 4 | CRC-32 of the 28 bytes before |
//!
//! A record's payload begins with [`RecordHead`] in the clear, which is all that
//! an index needs, so that one can be rebuilt without keys. What follows, and a
//! time-stamp's whole payload, is sealed with AES-256-GCM under the segment's
//! data key; the nonce is eight zero bytes and the frame's number, the additional
//! data are kind, segment, number and head. All integers are little-endian.
//!
//! Dead space stands where chunks of bodies were that no record holds; its payload
//! is not looked at and has mostly been given back to the disk.

/// Length of a segment's header.
pub const SEGMENT_HEADER: usize = 64;
/// Length of a frame's header.
pub const FRAME_HEADER: usize = 32;
/// Largest payload of a frame.
pub const MAX_PAYLOAD: usize = 64 << 20;

const SEGMENT_MAGIC: &[u8; 12] = b"TUNDUK-LOG-1";
const FRAME_MAGIC: &[u8; 4] = b"TLF1";

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// A record.
    Record = 1,
    /// A chunk of a body.
    Chunk = 2,
    /// A time-stamp over records.
    Stamp = 3,
    /// What chunks left that no record holds.
    Dead = 4,
}

/// The header of a frame, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the payload is.
    pub kind: FrameKind,
    /// Length of the payload.
    pub length: u32,
    /// Number of the frame within the segment, or of the chunk within the body.
    pub number: u32,
    /// Offset up to which the segment was durable when the frame was written.
    pub watermark: u32,
    /// Number of the segment.
    pub segment: u32,
    /// CRC-32 of the payload.
    pub payload_crc: u32,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|slice| slice.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .and_then(|slice| slice.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

impl FrameHeader {
    /// Writes the header into the first [`FRAME_HEADER`] bytes of `frame`; the
    /// payload is what follows.
    pub fn seal(kind: FrameKind, segment: u32, number: u32, watermark: u32, frame: &mut [u8]) {
        let (header, payload) = frame.split_at_mut(FRAME_HEADER);
        header[..4].copy_from_slice(FRAME_MAGIC);
        header[4..8].copy_from_slice(&[kind as u8, 0, 0, 0]);
        header[8..12].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        header[12..16].copy_from_slice(&number.to_le_bytes());
        header[16..20].copy_from_slice(&watermark.to_le_bytes());
        header[20..24].copy_from_slice(&segment.to_le_bytes());
        header[24..28].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
        let crc = crc32fast::hash(&header[..28]);
        header[28..32].copy_from_slice(&crc.to_le_bytes());
    }

    /// The header of dead space with a payload of `length` bytes.
    pub fn dead(segment: u32, watermark: u32, length: u32) -> [u8; FRAME_HEADER] {
        let mut header = [0; FRAME_HEADER];
        Self::seal(FrameKind::Dead, segment, 0, watermark, &mut header);
        header[8..12].copy_from_slice(&length.to_le_bytes());
        let crc = crc32fast::hash(&header[..28]);
        header[28..32].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// Reads a header that belongs to `segment`; `None` when it is not one.
    pub fn decode(bytes: &[u8], segment: u32) -> Option<Self> {
        let header = bytes.get(..FRAME_HEADER)?;
        if header[..4] != FRAME_MAGIC[..]
            || header[5..8] != [0, 0, 0]
            || u32_at(header, 28) != crc32fast::hash(&header[..28])
            || u32_at(header, 20) != segment
        {
            return None;
        }
        let kind = match header[4] {
            1 => FrameKind::Record,
            2 => FrameKind::Chunk,
            3 => FrameKind::Stamp,
            4 => FrameKind::Dead,
            _ => return None,
        };
        let length = u32_at(header, 8);
        if length as usize > MAX_PAYLOAD {
            return None;
        }
        Some(Self {
            kind,
            length,
            number: u32_at(header, 12),
            watermark: u32_at(header, 16),
            segment,
            payload_crc: u32_at(header, 24),
        })
    }

    /// Whether the payload is the one that was written.
    pub fn fits(&self, payload: &[u8]) -> bool {
        payload.len() == self.length as usize && crc32fast::hash(payload) == self.payload_crc
    }
}

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Number of the segment.
    pub segment: u32,
    /// When it was created, ms since 1970.
    pub created: u64,
    /// Tells whether a data key is this segment's.
    pub key_check: [u8; 8],
}

impl SegmentHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0_u8; SEGMENT_HEADER];
        bytes[..12].copy_from_slice(SEGMENT_MAGIC);
        bytes[12..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.created.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.key_check);
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` when it is not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..SEGMENT_HEADER)?;
        if &header[..12] != SEGMENT_MAGIC || u32_at(header, 60) != crc32fast::hash(&header[..60]) {
            return None;
        }
        Some(Self {
            segment: u32_at(header, 12),
            created: u64_at(header, 16),
            key_check: header[24..32].try_into().ok()?,
        })
    }
}

/// The part of a record that is not sealed, only authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHead {
    /// The record's time, ms since 1970.
    pub time: u64,
    /// Keyed hash of the query id (the key is the segment's).
    pub query_hash: u64,
    /// SHA-256 of the signature document, which time-stamps cover.
    pub signature_digest: [u8; 32],
    /// The oldest segment that holds chunks of the record's bodies, or the record's own.
    pub oldest_segment: u32,
}

impl RecordHead {
    /// Length in bytes.
    pub const LENGTH: usize = 56;

    /// The head's bytes.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0_u8; Self::LENGTH];
        bytes[..8].copy_from_slice(&self.time.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.query_hash.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.signature_digest);
        bytes[48..52].copy_from_slice(&self.oldest_segment.to_le_bytes());
        bytes
    }

    /// Reads the head from a record's payload.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let head = payload.get(..Self::LENGTH)?;
        Some(Self {
            time: u64_at(head, 0),
            query_hash: u64_at(head, 8),
            signature_digest: head[16..48].try_into().ok()?,
            oldest_segment: u32_at(head, 48),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_round_trip_and_every_changed_header_byte_is_noticed() {
        let mut frame = vec![0_u8; FRAME_HEADER];
        frame.extend_from_slice(b"payload");
        FrameHeader::seal(FrameKind::Stamp, 7, 3, 64, &mut frame);
        let header = FrameHeader::decode(&frame, 7).unwrap();
        assert!(header.fits(b"payload") && !header.fits(b"payloae") && !header.fits(b""));
        assert_eq!((header.number, header.watermark, header.length), (3, 64, 7));
        assert!(FrameHeader::decode(&frame, 8).is_none());
        for at in 0..FRAME_HEADER {
            let mut bad = frame.clone();
            bad[at] ^= 0x10;
            assert!(FrameHeader::decode(&bad, 7).is_none(), "byte {at}");
            assert!(FrameHeader::decode(&frame[..at], 7).is_none());
        }
        let segment = SegmentHeader {
            segment: 9,
            created: 1,
            key_check: [3; 8],
        };
        assert_eq!(SegmentHeader::decode(&segment.encode()), Some(segment));
        assert!(SegmentHeader::decode(&[0; SEGMENT_HEADER]).is_none());
    }
}
