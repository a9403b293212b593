//! The manifest (`manifest`): what opening needs to know of sealed segments, in one
//! file, so that it reads neither their indexes nor their lists of time-stamps.
//!
//! Magic `TLM1`, number of segments (4) and of tables (4). For each segment: its
//! summary as in its index (36), 1 when all its records have a time-stamp (4), the
//! table that holds its rows or 0 (4). For each table: identifier (4), level (4), rows
//! (8). At the end a CRC-32. All integers are little-endian.
//!
//! It may be older than the directory: what it says of a segment stays true as long as
//! the segment is there. Without it, the same is found in the segments' own files.

use std::sync::atomic::Ordering;

use crate::error::LogError;
use crate::index::{SUMMARY, Summary};
use crate::port::SegmentDirectory;
use crate::store::{State, Store, lock, read};

const NAME: &str = "manifest";
const MAGIC: &[u8; 4] = b"TLM1";
const SEGMENT: usize = SUMMARY + 8;
const TABLE: usize = 16;
/// Largest manifest that is read: some 20 million segments.
const LIMIT: u64 = 1 << 30;

/// A sealed segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentNote {
    /// What its index says.
    pub summary: Summary,
    /// Whether its list of time-stamps is complete.
    pub stamped: bool,
    /// The merged table that holds its rows; 0 for its own index.
    pub table: u32,
}

/// A merged table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableNote {
    /// Its identifier, from 1.
    pub id: u32,
    /// How often its rows were merged.
    pub level: u32,
    /// How many rows it has.
    pub rows: u64,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Segments in order of number.
    pub segments: Vec<SegmentNote>,
    /// Tables.
    pub tables: Vec<TableNote>,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl Manifest {
    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&(self.segments.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.tables.len() as u32).to_le_bytes());
        for note in &self.segments {
            out.extend_from_slice(&note.summary.bytes());
            out.extend_from_slice(&u32::from(note.stamped).to_le_bytes());
            out.extend_from_slice(&note.table.to_le_bytes());
        }
        for table in &self.tables {
            out.extend_from_slice(&table.id.to_le_bytes());
            out.extend_from_slice(&table.level.to_le_bytes());
            out.extend_from_slice(&table.rows.to_le_bytes());
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (counts, rest) = content.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
        let (segments, tables) =
            rest.split_at_checked(SEGMENT.checked_mul(u32_at(counts, 0) as usize)?)?;
        if tables.len() != TABLE.checked_mul(u32_at(counts, 4) as usize)? {
            return None;
        }
        Some(Self {
            segments: segments
                .as_chunks::<SEGMENT>()
                .0
                .iter()
                .map(|note| {
                    Some(SegmentNote {
                        summary: Summary::from_bytes(note.first_chunk()?),
                        stamped: u32_at(note, SUMMARY) == 1,
                        table: u32_at(note, SUMMARY + 4),
                    })
                })
                .collect::<Option<_>>()?,
            tables: tables
                .as_chunks::<TABLE>()
                .0
                .iter()
                .map(|table| TableNote {
                    id: u32_at(table, 0),
                    level: u32_at(table, 4),
                    rows: u64::from(u32_at(table, 8)) | u64::from(u32_at(table, 12)) << 32,
                })
                .collect(),
        })
    }
}

impl<D: SegmentDirectory> Store<D> {
    /// The manifest as it was written last; `None` without one that can be read.
    pub(crate) fn manifest(&self) -> Option<Manifest> {
        Manifest::decode(&self.read_whole(NAME, LIMIT).ok()?)
    }

    /// Writes the manifest. When it cannot be written the one before stays, and the
    /// next opening finds what is missing there itself.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn write_manifest(&self) -> Result<(), LogError> {
        // Whoever writes later knows more.
        let _alone = lock(&self.noting);
        let tables = read(&self.tables).merged.clone();
        let table_of = |segment: u32| {
            let holds = |held: &[u32]| held.binary_search(&segment).is_ok();
            let table = tables.iter().find(|table| holds(&table.segments));
            table.map_or(0, |table| table.note().id)
        };
        let mut manifest = Manifest::default();
        for segment in self.all_segments() {
            if let State::Sealed(summary) = *read(&segment.state) {
                manifest.segments.push(SegmentNote {
                    summary,
                    stamped: segment.stamped.load(Ordering::Acquire),
                    table: table_of(segment.number),
                });
            }
        }
        manifest.tables = tables.iter().map(|table| table.note()).collect();
        self.write_whole(NAME, &manifest.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_round_trip_and_no_prefix_is_one() {
        let note = |segment| SegmentNote {
            summary: Summary {
                segment,
                end: 70,
                records: 3,
                stamps: 1,
                oldest_segment: 1,
                earliest: 5,
                latest: 1 << 40,
            },
            stamped: segment == 2,
            table: 9,
        };
        let manifest = Manifest {
            segments: vec![note(2), note(3)],
            tables: vec![TableNote {
                id: 9,
                level: 2,
                rows: 1 << 33,
            }],
        };
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes), Some(manifest));
        for cut in 0..bytes.len() {
            assert_eq!(Manifest::decode(&bytes[..cut]), None);
        }
        let mut longer = bytes[..bytes.len() - 4].to_vec();
        longer.push(0);
        longer.extend_from_slice(&crc32fast::hash(&longer).to_le_bytes());
        assert_eq!(Manifest::decode(&longer), None);
        let empty = Manifest::default();
        assert_eq!(Manifest::decode(&empty.encode()), Some(empty));
    }
}
