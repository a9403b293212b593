//! The index of a sealed segment (`<number>.index`).
//!
//! A header block and tables of 4096-byte blocks, each of up to 255 entries of
//! 16 bytes and, at its end, a CRC-32: one look-up reads a few blocks and can
//! trust them. All integers are little-endian. Tables in order:
//!
//! 1. records by hash of the query id: hash (8), segment (4), offset (4);
//! 2. records by number: number (4), offset (4), time in ms since 1970 (8);
//! 3. time-stamp frames by number: number (4), offset (4), zero (8).
//!
//! Everything in it comes from the segment, from which a damaged one is rebuilt.

use crate::error::LogError;
use crate::port::SegmentFile;

/// Length of a block.
pub const BLOCK: usize = 4096;
const ENTRY: usize = 16;
/// Rows of a block.
pub const PER_BLOCK: usize = 255;
const MAGIC: &[u8; 4] = b"TLI2";
/// Length of a summary in an index file's header or in the manifest.
pub const SUMMARY: usize = 36;

/// A record's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Keyed hash of the query id.
    pub hash: u64,
    /// Number within the segment.
    pub number: u32,
    /// Offset of the frame.
    pub offset: u32,
    /// The record's time, ms since 1970.
    pub time: u64,
}

/// A time-stamp frame's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StampEntry {
    /// Number within the segment.
    pub number: u32,
    /// Offset of the frame.
    pub offset: u32,
}

/// What is known of a sealed segment without reading its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Number of the segment.
    pub segment: u32,
    /// End of the last frame.
    pub end: u32,
    /// How many records.
    pub records: u32,
    /// How many time-stamp frames.
    pub stamps: u32,
    /// The oldest segment in which a body of a record has chunks.
    pub oldest_segment: u32,
    /// Earliest time of a record; `u64::MAX` without records.
    pub earliest: u64,
    /// Latest time of a record; 0 without records.
    pub latest: u64,
}

fn blocks(rows: u64) -> u64 {
    rows.div_ceil(PER_BLOCK as u64)
}

/// A file's first block: magic, content, and a CRC-32 of both.
pub fn header_block(magic: &[u8; 4], content: &[u8; SUMMARY]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..4].copy_from_slice(magic);
    block[4..4 + SUMMARY].copy_from_slice(content);
    let crc = crc32fast::hash(&block[..60]);
    block[60..64].copy_from_slice(&crc.to_le_bytes());
    block
}

/// The content of such a block; `None` when it is not one with this magic.
pub fn header<'a>(magic: &[u8; 4], bytes: &'a [u8]) -> Option<&'a [u8; SUMMARY]> {
    let (covered, crc) = bytes.first_chunk::<64>()?.split_last_chunk::<4>()?;
    if crc32fast::hash(covered) != u32::from_le_bytes(*crc) {
        return None;
    }
    covered.strip_prefix(magic)?.first_chunk()
}

impl Summary {
    /// The summary's bytes.
    pub fn bytes(&self) -> [u8; SUMMARY] {
        let mut bytes = [0; SUMMARY];
        for (at, value) in [
            (0, self.segment),
            (4, self.end),
            (8, self.records),
            (12, self.stamps),
            (16, self.oldest_segment),
        ] {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes[20..28].copy_from_slice(&self.earliest.to_le_bytes());
        bytes[28..].copy_from_slice(&self.latest.to_le_bytes());
        bytes
    }

    /// Reads a summary's bytes.
    pub fn from_bytes(bytes: &[u8; SUMMARY]) -> Self {
        let u32_at = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        Self {
            segment: u32_at(0),
            end: u32_at(4),
            records: u32_at(8),
            stamps: u32_at(12),
            oldest_segment: u32_at(16),
            earliest: u64_at(20),
            latest: u64_at(28),
        }
    }

    /// Reads the header of an index file; `None` when it is not one of `segment`.
    pub fn decode(bytes: &[u8], segment: u32) -> Option<Self> {
        let summary = Self::from_bytes(header(MAGIC, bytes)?);
        (summary.segment == segment).then_some(summary)
    }

    fn by_hash(&self) -> u64 {
        1
    }

    fn by_number(&self) -> u64 {
        self.by_hash() + blocks(u64::from(self.records))
    }

    fn stamp_table(&self) -> u64 {
        self.by_number() + blocks(u64::from(self.records))
    }
}

fn table(out: &mut Vec<u8>, entries: impl Iterator<Item = [u8; ENTRY]>) {
    let mut entries = entries.peekable();
    while entries.peek().is_some() {
        let start = out.len();
        for entry in entries.by_ref().take(PER_BLOCK) {
            out.extend_from_slice(&entry);
        }
        end_block(out, start);
    }
}

/// Fills the block that begins at `start` of `out` up and puts its CRC-32 at its end.
pub fn end_block(out: &mut Vec<u8>, start: usize) {
    out.resize(start + BLOCK - 4, 0);
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

fn pack(a: u32, b: u32, c: u64) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[..4].copy_from_slice(&a.to_le_bytes());
    entry[4..8].copy_from_slice(&b.to_le_bytes());
    entry[8..].copy_from_slice(&c.to_le_bytes());
    entry
}

/// Builds the index file of a segment from its records in order of number.
pub fn build(summary: &Summary, entries: &[Entry], stamps: &[StampEntry]) -> Vec<u8> {
    let mut sorted = entries.to_vec();
    sorted.sort_unstable_by_key(|entry| (entry.hash, entry.offset));
    let mut out = header_block(MAGIC, &summary.bytes()).to_vec();
    table(
        &mut out,
        sorted.iter().map(|entry| {
            let row = HashRow {
                hash: entry.hash,
                segment: summary.segment,
                offset: entry.offset,
            };
            row.bytes()
        }),
    );
    table(
        &mut out,
        entries
            .iter()
            .map(|entry| pack(entry.number, entry.offset, entry.time)),
    );
    table(
        &mut out,
        stamps
            .iter()
            .map(|stamp| pack(stamp.number, stamp.offset, 0)),
    );
    out
}

/// Reads an index file by blocks.
pub struct IndexReader<'a, F> {
    file: &'a F,
    summary: Summary,
}

impl<'a, F: SegmentFile> IndexReader<'a, F> {
    /// For the file whose header must say `summary`.
    ///
    /// # Errors
    /// It says something else.
    pub fn open(file: &'a F, summary: Summary) -> Result<Self, LogError> {
        let mut header = [0; 64];
        let read = file.read_at(0, &mut header)?;
        if Summary::decode(&header[..read], summary.segment) == Some(summary) {
            return Ok(Self { file, summary });
        }
        Err(LogError::Damaged {
            segment: summary.segment,
            offset: 0,
            what: "the header of its index",
        })
    }

    fn block(&self, block: u64) -> Result<[u8; BLOCK], LogError> {
        read_block(self.file, self.summary.segment, block)
    }

    /// The records by hash of the query id.
    pub fn by_hash(&self) -> HashRows<'a, F> {
        HashRows {
            file: self.file,
            segment: self.summary.segment,
            first_block: self.summary.by_hash(),
            rows: u64::from(self.summary.records),
        }
    }

    fn entries(
        &self,
        first_block: u64,
        count: u32,
    ) -> impl Iterator<Item = Result<(u32, u32, u64), LogError>> {
        (0..blocks(u64::from(count))).flat_map(move |block| {
            let here = (u64::from(count) - block * PER_BLOCK as u64).min(PER_BLOCK as u64) as usize;
            let bytes = self.block(first_block + block);
            (0..here).map(move |at| {
                let bytes = bytes.as_ref().map_err(Clone::clone)?;
                Ok(unpack(bytes, at))
            })
        })
    }

    /// All records in order of number: number, offset, time.
    pub fn records(&self) -> impl Iterator<Item = Result<(u32, u32, u64), LogError>> {
        self.entries(self.summary.by_number(), self.summary.records)
    }

    /// All time-stamp frames.
    ///
    /// # Errors
    /// A block is damaged.
    pub fn stamps(&self) -> Result<Vec<StampEntry>, LogError> {
        self.entries(self.summary.stamp_table(), self.summary.stamps)
            .map(|entry| entry.map(|(number, offset, _)| StampEntry { number, offset }))
            .collect()
    }

    /// Offset of the record with this number.
    ///
    /// # Errors
    /// A block is damaged.
    pub fn offset_of(&self, number: u32) -> Result<Option<u32>, LogError> {
        let (mut low, mut high) = (0, blocks(u64::from(self.summary.records)));
        while low < high {
            let middle = low + (high - low) / 2;
            let bytes = self.block(self.summary.by_number() + middle)?;
            let here = (u64::from(self.summary.records) - middle * PER_BLOCK as u64)
                .min(PER_BLOCK as u64) as usize;
            if number < unpack(&bytes, 0).0 {
                high = middle;
            } else if number > unpack(&bytes, here - 1).0 {
                low = middle + 1;
            } else {
                return Ok((0..here)
                    .map(|at| unpack(&bytes, at))
                    .find(|entry| entry.0 == number)
                    .map(|entry| entry.1));
            }
        }
        Ok(None)
    }
}

fn read_block<F: SegmentFile>(file: &F, segment: u32, block: u64) -> Result<[u8; BLOCK], LogError> {
    let mut bytes = [0; BLOCK];
    let read = file.read_at(block * BLOCK as u64, &mut bytes)?;
    if read == BLOCK && is_whole(&bytes) {
        return Ok(bytes);
    }
    Err(LogError::Damaged {
        segment,
        offset: block * BLOCK as u64,
        what: "a block of its index",
    })
}

/// Whether a block's CRC-32 is right.
pub fn is_whole(block: &[u8]) -> bool {
    block
        .split_last_chunk::<4>()
        .is_some_and(|(rows, crc)| crc32fast::hash(rows) == u32::from_le_bytes(*crc))
}

/// A row of a table by hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashRow {
    /// Keyed hash of the query id.
    pub hash: u64,
    /// The record's segment.
    pub segment: u32,
    /// Offset of its frame.
    pub offset: u32,
}

impl HashRow {
    /// The row's bytes.
    pub fn bytes(&self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..8].copy_from_slice(&self.hash.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.segment.to_le_bytes());
        bytes[12..].copy_from_slice(&self.offset.to_le_bytes());
        bytes
    }

    /// The row `at` of a block.
    pub fn of(block: &[u8; BLOCK], at: usize) -> Self {
        let (low, high, place) = unpack(block, at);
        Self {
            hash: u64::from(low) | u64::from(high) << 32,
            segment: place as u32,
            offset: (place >> 32) as u32,
        }
    }
}

/// A table by hash, whose rows ascend: that of one segment, or of many.
pub struct HashRows<'a, F> {
    /// The file.
    pub file: &'a F,
    /// The segment to name when a block is damaged.
    pub segment: u32,
    /// Where in the file the table begins.
    pub first_block: u64,
    /// How many rows it has.
    pub rows: u64,
}

impl<F: SegmentFile> HashRows<'_, F> {
    /// How many blocks the table has.
    pub fn blocks(&self) -> u64 {
        blocks(self.rows)
    }

    /// How many rows a block of the table has.
    pub fn rows_in(&self, block: u64) -> usize {
        (self.rows - block * PER_BLOCK as u64).min(PER_BLOCK as u64) as usize
    }

    fn block(&self, block: u64) -> Result<[u8; BLOCK], LogError> {
        read_block(self.file, self.segment, self.first_block + block)
    }

    /// Every row with this hash. Hashes are spread evenly: a guess from the distance
    /// to the block before is right after two or three, whatever the table's size.
    ///
    /// # Errors
    /// A block is damaged.
    pub fn with_hash(&self, hash: u64) -> Result<Vec<HashRow>, LogError> {
        /// Guesses before the search goes on by halves.
        const GUESSES: usize = 8;
        let count = self.blocks();
        let apart = |hashes: u64| ((u128::from(hashes) * u128::from(count)) >> 64) as u64;
        // The first block that does not end before the hash is among these.
        let (mut low, mut high) = (0, count);
        let mut probe = apart(hash);
        let mut start = None;
        let mut guesses = 0;
        while low < high {
            probe = probe.clamp(low, high - 1);
            let bytes = self.block(probe)?;
            let first = HashRow::of(&bytes, 0).hash;
            let last = HashRow::of(&bytes, self.rows_in(probe) - 1).hash;
            if last < hash {
                low = probe + 1;
                probe = low + apart(hash - last);
            } else if first < hash || probe == low {
                start = Some((probe, bytes));
                break;
            } else {
                high = probe;
                probe = probe.saturating_sub(1 + apart(first - hash));
            }
            guesses += 1;
            if guesses > GUESSES {
                probe = low + (high - low) / 2;
            }
        }
        let mut found = Vec::new();
        let (mut at, mut bytes) = match start {
            Some((at, bytes)) => (at, bytes),
            None if low < count => (low, self.block(low)?),
            None => return Ok(found),
        };
        loop {
            for row in (0..self.rows_in(at)).map(|row| HashRow::of(&bytes, row)) {
                if row.hash > hash {
                    return Ok(found);
                }
                if row.hash == hash {
                    found.push(row);
                }
            }
            at += 1;
            if at == count {
                return Ok(found);
            }
            bytes = self.block(at)?;
        }
    }
}

fn unpack(block: &[u8; BLOCK], at: usize) -> (u32, u32, u64) {
    let u32_at =
        |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    let at = at * ENTRY;
    (
        u32_at(at),
        u32_at(at + 4),
        u64::from(u32_at(at + 8)) | u64::from(u32_at(at + 12)) << 32,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    struct Memory(Vec<u8>);
    impl SegmentFile for Memory {
        fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = self.0.get(offset as usize..).unwrap_or(&[]);
            let n = rest.len().min(buffer.len());
            buffer[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }
        fn truncate(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
    }

    fn check(count: u32, hash: impl Fn(u32) -> u64) {
        let entries: Vec<Entry> = (0..count)
            .map(|i| Entry {
                hash: hash(i),
                number: i * 2 + 1,
                offset: i * 100 + 64,
                time: u64::from(i),
            })
            .collect();
        let stamps = [StampEntry {
            number: 2,
            offset: 5,
        }];
        let summary = Summary {
            segment: 3,
            end: 1,
            records: count,
            stamps: 1,
            oldest_segment: 2,
            earliest: 0,
            latest: 9,
        };
        let file = Memory(build(&summary, &entries, &stamps));
        assert_eq!(Summary::decode(&file.0, 3), Some(summary));
        assert_eq!(Summary::decode(&file.0, 4), None);
        let reader = IndexReader::open(&file, summary).unwrap();
        assert_eq!(reader.stamps().unwrap(), stamps);
        assert_eq!(reader.records().count(), count as usize);
        for entry in &entries {
            let mut expected: Vec<_> = entries
                .iter()
                .filter(|other| other.hash == entry.hash)
                .map(|other| HashRow {
                    hash: other.hash,
                    segment: 3,
                    offset: other.offset,
                })
                .collect();
            expected.sort_unstable();
            assert_eq!(reader.by_hash().with_hash(entry.hash).unwrap(), expected);
            assert_eq!(reader.offset_of(entry.number).unwrap(), Some(entry.offset));
            assert_eq!(reader.offset_of(entry.number + 1).unwrap(), None);
        }
        assert_eq!(reader.by_hash().with_hash(12345).unwrap(), []);
        assert_eq!(reader.by_hash().with_hash(u64::MAX).unwrap(), []);
        if count > 0 {
            let mut bad = Memory(file.0.clone());
            bad.0[BLOCK + 9] ^= 1;
            let lowest = entries.iter().map(|entry| entry.hash).min().unwrap();
            assert!(
                IndexReader::open(&bad, summary)
                    .unwrap()
                    .by_hash()
                    .with_hash(lowest)
                    .is_err()
            );
        }
    }

    #[test]
    fn look_ups_agree_with_a_list() {
        let spread = |i: u32| u64::from(i).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 << 20;
        for count in [0, 1, 2, 254, 255, 256, 511, 1300] {
            check(count, spread);
        }
        check(600, |i| 7 + u64::from(i / 300));
        check(600, |i| u64::MAX - 7 - u64::from(i));
        check(900, |i| if i < 800 { 1 << 63 } else { spread(i) });
    }
}
