//! The index of a sealed segment (`<number>.index`).
//!
//! A header block and tables of 4096-byte blocks, each of up to 255 entries of
//! 16 bytes and, at its end, a CRC-32: one look-up reads a few blocks and can
//! trust them. All integers are little-endian. Tables in order:
//!
//! 1. records by hash of the query id: hash (8), number (4), offset (4);
//! 2. records by number: number (4), offset (4), time in ms since 1970 (8);
//! 3. time-stamp frames by number: number (4), offset (4), zero (8).
//!
//! Everything in it comes from the segment, from which a damaged one is rebuilt.

use crate::error::LogError;
use crate::port::SegmentFile;

/// Length of a block.
pub const BLOCK: usize = 4096;
const ENTRY: usize = 16;
const PER_BLOCK: usize = 255;
const MAGIC: &[u8; 4] = b"TLI1";

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

fn blocks(entries: u32) -> u64 {
    u64::from(entries).div_ceil(PER_BLOCK as u64)
}

impl Summary {
    fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[..4].copy_from_slice(MAGIC);
        for (at, value) in [
            (4, self.segment),
            (8, self.end),
            (12, self.records),
            (16, self.stamps),
            (20, self.oldest_segment),
        ] {
            block[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        block[24..32].copy_from_slice(&self.earliest.to_le_bytes());
        block[32..40].copy_from_slice(&self.latest.to_le_bytes());
        let crc = crc32fast::hash(&block[..60]);
        block[60..64].copy_from_slice(&crc.to_le_bytes());
        block
    }

    /// Reads the header of an index file; `None` when it is not one of `segment`.
    pub fn decode(bytes: &[u8], segment: u32) -> Option<Self> {
        let header: &[u8; 64] = bytes.first_chunk()?;
        let u32_at = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if &header[..4] != MAGIC
            || u32_at(60) != crc32fast::hash(&header[..60])
            || u32_at(4) != segment
        {
            return None;
        }
        Some(Self {
            segment,
            end: u32_at(8),
            records: u32_at(12),
            stamps: u32_at(16),
            oldest_segment: u32_at(20),
            earliest: u64_at(24),
            latest: u64_at(32),
        })
    }

    fn by_hash(&self) -> u64 {
        1
    }

    fn by_number(&self) -> u64 {
        self.by_hash() + blocks(self.records)
    }

    fn stamp_table(&self) -> u64 {
        self.by_number() + blocks(self.records)
    }
}

fn table(out: &mut Vec<u8>, entries: impl Iterator<Item = [u8; ENTRY]>) {
    let mut entries = entries.peekable();
    while entries.peek().is_some() {
        let start = out.len();
        for entry in entries.by_ref().take(PER_BLOCK) {
            out.extend_from_slice(&entry);
        }
        out.resize(start + BLOCK - 4, 0);
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }
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
    sorted.sort_unstable_by_key(|entry| (entry.hash, entry.number));
    let mut out = summary.encode().to_vec();
    table(
        &mut out,
        sorted.iter().map(|entry| {
            let mut packed = [0; ENTRY];
            packed[..8].copy_from_slice(&entry.hash.to_le_bytes());
            packed[8..12].copy_from_slice(&entry.number.to_le_bytes());
            packed[12..].copy_from_slice(&entry.offset.to_le_bytes());
            packed
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
    /// For the file whose header said `summary`.
    pub fn new(file: &'a F, summary: Summary) -> Self {
        Self { file, summary }
    }

    fn block(&self, block: u64) -> Result<[u8; BLOCK], LogError> {
        let mut bytes = [0; BLOCK];
        let read = self.file.read_at(block * BLOCK as u64, &mut bytes)?;
        let crc = u32::from_le_bytes([
            bytes[BLOCK - 4],
            bytes[BLOCK - 3],
            bytes[BLOCK - 2],
            bytes[BLOCK - 1],
        ]);
        if read != BLOCK || crc32fast::hash(&bytes[..BLOCK - 4]) != crc {
            return Err(LogError::Damaged {
                segment: self.summary.segment,
                offset: block * BLOCK as u64,
                what: "a block of its index",
            });
        }
        Ok(bytes)
    }

    fn entries(
        &self,
        first_block: u64,
        count: u32,
    ) -> impl Iterator<Item = Result<(u32, u32, u64), LogError>> {
        (0..blocks(count)).flat_map(move |block| {
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
        let (mut low, mut high) = (0, blocks(self.summary.records));
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

    /// Number and offset of every record whose query id has this hash. Hashes are
    /// spread evenly, so the first guess is nearly always the right block.
    ///
    /// # Errors
    /// A block is damaged.
    pub fn with_hash(&self, hash: u64) -> Result<Vec<(u32, u32)>, LogError> {
        let mut found = Vec::new();
        let count = blocks(self.summary.records);
        let (mut low, mut high) = (0, count);
        let mut probe = ((u128::from(hash) * u128::from(count)) >> 64) as u64;
        let (mut step, mut upwards, mut downwards) = (1, false, false);
        // The first block that does not end before the hash.
        while low < high {
            probe = probe.clamp(low, high - 1);
            let bytes = self.block(self.summary.by_hash() + probe)?;
            if hash_at(&bytes, self.entries_in(probe) - 1) < hash {
                low = probe + 1;
                upwards = true;
                probe = low + step - 1;
            } else {
                high = probe;
                downwards = true;
                probe = high.saturating_sub(step);
            }
            if upwards && downwards {
                probe = low + (high - low) / 2;
            }
            step *= 2;
        }
        for block in low..count {
            let bytes = self.block(self.summary.by_hash() + block)?;
            let here = self.entries_in(block);
            for at in 0..here {
                let entry = hash_at(&bytes, at);
                if entry == hash {
                    let (_, _, place) = unpack(&bytes, at);
                    found.push((place as u32, (place >> 32) as u32));
                } else if entry > hash {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    fn entries_in(&self, block: u64) -> usize {
        (u64::from(self.summary.records) - block * PER_BLOCK as u64).min(PER_BLOCK as u64) as usize
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

fn hash_at(block: &[u8; BLOCK], at: usize) -> u64 {
    let (low, high, _) = unpack(block, at);
    u64::from(low) | u64::from(high) << 32
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
        let reader = IndexReader::new(&file, summary);
        assert_eq!(reader.stamps().unwrap(), stamps);
        assert_eq!(reader.records().count(), count as usize);
        for entry in &entries {
            let mut expected: Vec<_> = entries
                .iter()
                .filter(|other| other.hash == entry.hash)
                .map(|other| (other.number, other.offset))
                .collect();
            expected.sort_unstable();
            assert_eq!(reader.with_hash(entry.hash).unwrap(), expected);
            assert_eq!(reader.offset_of(entry.number).unwrap(), Some(entry.offset));
            assert_eq!(reader.offset_of(entry.number + 1).unwrap(), None);
        }
        assert_eq!(reader.with_hash(12345).unwrap(), []);
        assert_eq!(reader.with_hash(u64::MAX).unwrap(), []);
        if count > 0 {
            let mut bad = Memory(file.0.clone());
            bad.0[BLOCK + 9] ^= 1;
            let lowest = entries.iter().map(|entry| entry.hash).min().unwrap();
            assert!(IndexReader::new(&bad, summary).with_hash(lowest).is_err());
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
