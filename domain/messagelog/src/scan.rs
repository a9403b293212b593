//! Reading a segment from its start, when its index is missing or damaged.

use crate::error::LogError;
use crate::frame::{
    FRAME_HEADER, FrameHeader, FrameKind, RecordHead, SEGMENT_HEADER, SegmentHeader,
};
use crate::index::{Entry, StampEntry, Summary};
use crate::port::SegmentFile;

/// What a segment holds, as an index needs it.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Records in order of number.
    pub entries: Vec<Entry>,
    /// Time-stamp frames in order of number.
    pub stamps: Vec<StampEntry>,
    /// The oldest segment in which a body of a record has chunks.
    pub oldest_segment: u32,
    /// End of the last frame.
    pub end: u32,
}

impl Contents {
    /// Of a segment without frames.
    pub fn empty(segment: u32) -> Self {
        Self {
            entries: Vec::new(),
            stamps: Vec::new(),
            oldest_segment: segment,
            end: SEGMENT_HEADER as u32,
        }
    }

    /// The summary for the index file.
    pub fn summary(&self, segment: u32) -> Summary {
        let times = || self.entries.iter().map(|entry| entry.time);
        Summary {
            segment,
            end: self.end,
            records: self.entries.len() as u32,
            stamps: self.stamps.len() as u32,
            oldest_segment: self.oldest_segment,
            earliest: times().min().unwrap_or(u64::MAX),
            latest: times().max().unwrap_or(0),
        }
    }
}

/// The result of a scan.
#[derive(Debug, Clone)]
pub struct Scan {
    /// What was found.
    pub contents: Contents,
    /// Stretches (from, to) that had been durable and are damaged now. The torn
    /// end that a crash leaves is not among them.
    pub damaged: Vec<(u64, u64)>,
    /// Up to here the segment had been durable, as its frames say. What follows
    /// may be in the page cache alone, if a sync of an earlier run failed.
    pub durable: u64,
    /// Whether nothing was ever written behind the header (or not even that).
    pub empty: bool,
}

const PIECE: usize = 1 << 20;

fn read_full<F: SegmentFile>(file: &F, offset: u64, buffer: &mut [u8]) -> Result<bool, LogError> {
    Ok(file.read_at(offset, buffer)? == buffer.len())
}

/// Reads a frame whole; `None` when there is no valid one at `offset`.
pub fn frame_at<F: SegmentFile>(
    file: &F,
    segment: u32,
    offset: u64,
    payload: &mut Vec<u8>,
) -> Result<Option<FrameHeader>, LogError> {
    let mut header = [0; FRAME_HEADER];
    if !read_full(file, offset, &mut header)? {
        return Ok(None);
    }
    let Some(header) = FrameHeader::decode(&header, segment) else {
        return Ok(None);
    };
    if offset + FRAME_HEADER as u64 + u64::from(header.length) > file.len()? {
        return Ok(None);
    }
    if header.kind == FrameKind::Dead {
        return Ok(Some(header));
    }
    payload.resize(header.length as usize, 0);
    let whole = read_full(file, offset + FRAME_HEADER as u64, payload)?;
    Ok((whole && header.fits(payload)).then_some(header))
}

/// Finds the next frame after a damaged place that proves, by its watermark,
/// that the place had been durable: then it is decay and not the torn end of a crash.
fn resume_after<F: SegmentFile>(
    file: &F,
    segment: u32,
    damaged: u64,
) -> Result<Option<u64>, LogError> {
    let mut piece = vec![0; PIECE + FRAME_HEADER];
    let mut payload = Vec::new();
    let mut at = damaged + 1;
    loop {
        let read = file.read_at(at, &mut piece)?;
        if read < FRAME_HEADER {
            return Ok(None);
        }
        for found in memchr::memmem::find_iter(&piece[..read], b"TLF1") {
            let place = at + found as u64;
            if let Some(header) = FrameHeader::decode(&piece[found..read], segment)
                && u64::from(header.watermark) > damaged
                && frame_at(file, segment, place, &mut payload)?.is_some()
            {
                return Ok(Some(place));
            }
        }
        if read < piece.len() {
            return Ok(None);
        }
        at += PIECE as u64;
    }
}

/// Scans a segment. Needs no key.
///
/// # Errors
/// The file cannot be read.
pub fn scan<F: SegmentFile>(file: &F, segment: u32) -> Result<Scan, LogError> {
    let mut scan = Scan {
        contents: Contents::empty(segment),
        damaged: Vec::new(),
        durable: SEGMENT_HEADER as u64,
        empty: true,
    };
    let mut header = [0; SEGMENT_HEADER];
    let has_header = read_full(file, 0, &mut header)?
        && SegmentHeader::decode(&header).is_some_and(|header| header.segment == segment);
    let mut offset = SEGMENT_HEADER as u64;
    let mut payload = Vec::new();
    loop {
        let Some(header) = frame_at(file, segment, offset, &mut payload)? else {
            match resume_after(file, segment, offset)? {
                Some(next) => {
                    scan.damaged.push((offset, next));
                    offset = next;
                    continue;
                }
                None => break,
            }
        };
        scan.empty = false;
        scan.durable = scan.durable.max(u64::from(header.watermark));
        let place = offset as u32;
        match header.kind {
            FrameKind::Record => {
                if let Some(head) = RecordHead::decode(&payload) {
                    scan.contents.entries.push(Entry {
                        hash: head.query_hash,
                        number: header.number,
                        offset: place,
                        time: head.time,
                    });
                    scan.contents.oldest_segment =
                        scan.contents.oldest_segment.min(head.oldest_segment);
                }
            }
            FrameKind::Stamp => scan.contents.stamps.push(StampEntry {
                number: header.number,
                offset: place,
            }),
            FrameKind::Chunk | FrameKind::Dead => {}
        }
        offset += FRAME_HEADER as u64 + u64::from(header.length);
    }
    scan.contents.end = offset as u32;
    if !has_header && !scan.empty {
        scan.damaged.insert(0, (0, SEGMENT_HEADER as u64));
    }
    Ok(scan)
}

/// Writes what may be in the page cache alone again, and makes it durable: after
/// a sync that failed, the kernel holds pages that it believes to be on disk.
///
/// # Errors
/// The file cannot be read, written or synced.
pub fn make_durable<F: SegmentFile>(file: &F, scan: &Scan) -> Result<(), LogError> {
    let end = u64::from(scan.contents.end);
    let mut offset = scan.durable.min(end);
    let mut piece = vec![0; PIECE];
    while offset < end {
        let length = (end - offset).min(PIECE as u64) as usize;
        let read = file.read_at(offset, &mut piece[..length])?;
        if read == 0 {
            break;
        }
        file.write_at(offset, &piece[..read])?;
        offset += read as u64;
    }
    let mut header = [0; SEGMENT_HEADER];
    if read_full(file, 0, &mut header)? {
        file.write_at(0, &header)?;
    }
    file.sync()?;
    Ok(())
}
