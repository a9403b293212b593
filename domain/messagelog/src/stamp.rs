//! Time-stamps over records: their stored form and which records they cover.

use asic::hash_chain::{BatchTree, ChainDocuments, Names};
use bytes::Bytes;
use pki::{Digest, DigestAlgorithm};

use crate::error::LogError;
use crate::record::{ConfigurationId, RecordId};

const VERSION: u8 = 1;

/// Most records that one time-stamp covers (X-Road's limit).
pub const MAX_BATCH: usize = 10_000;
/// Longest token that is stored, in bytes.
pub const MAX_TOKEN: usize = 64 << 10;

/// The tree over signature documents. SHA-256 and not X-Road's usual SHA-512: each
/// record's document of eleven thousand bytes is hashed for this, which costs a
/// third so; a chain names its algorithm, and X-Road's verifier follows it.
fn tree(digests: &[[u8; 32]]) -> Option<BatchTree> {
    let mut tree = BatchTree::with_algorithm(Names::TimeStamp, DigestAlgorithm::Sha256);
    for digest in digests {
        tree.add(&[Digest::from_bytes(digest)?]);
    }
    Some(tree)
}

/// `ts-hashchainresult.xml` over signature documents with these SHA-256 digests:
/// what a time-stamping authority is asked to stamp. `None` for no digest or
/// more than [`MAX_BATCH`].
pub fn hash_chain_result(digests: &[[u8; 32]]) -> Option<Vec<u8>> {
    if digests.len() > MAX_BATCH {
        return None;
    }
    tree(digests)?
        .finish_one(0)
        .map(|documents| documents.result)
}

/// What a token covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StampForm {
    /// The result of a hash chain over the signature documents (reference A4).
    Batch = 1,
    /// The signature value of the only record (reference A3).
    Single = 2,
}

/// A time-stamp with what is needed to prove which records it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// What the token covers.
    pub form: StampForm,
    /// The records in ascending order.
    pub records: Vec<RecordId>,
    /// SHA-256 of each record's signature document, in the same order.
    pub digests: Vec<[u8; 32]>,
    /// The RFC 3161 token (a CMS `ContentInfo` in DER).
    pub token: Bytes,
    /// The signed configuration in force when the token was fetched, against
    /// which the evidence is judged.
    pub configuration: Option<ConfigurationId>,
}

/// Where a time-stamp frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StampPlace {
    /// Number of the segment.
    pub segment: u32,
    /// Offset of the frame.
    pub offset: u32,
}

impl Stamp {
    /// Checks the limits of the format.
    ///
    /// # Errors
    /// Too many records, too long a token, or records that are not ascending.
    pub fn check(&self) -> Result<(), LogError> {
        if self.records.is_empty()
            || self.records.len() > MAX_BATCH
            || self.records.len() != self.digests.len()
            || self.records.windows(2).any(|pair| pair[0] >= pair[1])
        {
            return Err(LogError::TooLarge {
                what: "a batch of records to time-stamp (or it is empty or not in order)",
                limit: MAX_BATCH as u64,
            });
        }
        if self.token.len() > MAX_TOKEN {
            return Err(LogError::TooLarge {
                what: "a time-stamp token",
                limit: MAX_TOKEN as u64,
            });
        }
        Ok(())
    }

    /// Appends the stored form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.push(self.form as u8);
        out.extend_from_slice(&(self.records.len() as u32).to_le_bytes());
        for record in &self.records {
            out.extend_from_slice(&record.0.to_le_bytes());
        }
        for digest in &self.digests {
            out.extend_from_slice(digest);
        }
        out.push(u8::from(self.configuration.is_some()));
        out.extend_from_slice(&self.configuration.map_or([0; 32], |id| id.0));
        out.extend_from_slice(&(self.token.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.token);
    }

    /// `ts-hashchainresult.xml`, whose bytes a batch's token covers, and
    /// `ts-hashchain.xml` of the record (reference A4); `None` when the
    /// time-stamp is not one of a batch or does not cover the record.
    pub fn hash_chain(&self, record: RecordId) -> Option<ChainDocuments> {
        if self.form != StampForm::Batch {
            return None;
        }
        let index = self.records.binary_search(&record).ok()?;
        tree(&self.digests)?.finish_one(index)
    }

    /// Reads the stored form; `None` when it is not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<6>()?;
        let form = match (head[0], head[1]) {
            (VERSION, 1) => StampForm::Batch,
            (VERSION, 2) => StampForm::Single,
            _ => return None,
        };
        let count = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
        if count > MAX_BATCH {
            return None;
        }
        let (ids, rest) = rest.split_at_checked(count * 8)?;
        let (digests, rest) = rest.split_at_checked(count * 32)?;
        let (configuration, rest) = rest.split_first_chunk::<33>()?;
        let configuration = match configuration.split_first()? {
            (0, _) => None,
            (1, id) => Some(ConfigurationId(id.try_into().ok()?)),
            _ => return None,
        };
        let (length, token) = rest.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*length) as usize != token.len() {
            return None;
        }
        let stamp = Self {
            form,
            records: ids
                .as_chunks::<8>()
                .0
                .iter()
                .map(|id| RecordId(u64::from_le_bytes(*id)))
                .collect(),
            digests: digests.as_chunks::<32>().0.to_vec(),
            token: Bytes::copy_from_slice(token),
            configuration,
        };
        stamp.check().ok()?;
        Some(stamp)
    }
}

/// Consecutive record numbers of a segment under one time-stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First number.
    pub first: u32,
    /// Last number.
    pub last: u32,
    /// The time-stamp; offset 0 for records that are damaged and can never have one.
    pub place: StampPlace,
}

/// Which records of one segment have a time-stamp.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    ranges: Vec<Range>,
    covered: u32,
}

const MAGIC: &[u8; 4] = b"TLC1";

impl Coverage {
    /// The time-stamp that covers a record.
    pub fn of(&self, number: u32) -> Option<StampPlace> {
        let at = self.ranges.partition_point(|range| range.last < number);
        self.ranges
            .get(at)
            .filter(|range| range.first <= number)
            .map(|range| range.place)
    }

    /// How many records have one.
    pub fn covered(&self) -> u32 {
        self.covered
    }

    /// Notes that `place` covers a record; the first time-stamp stays. Says
    /// whether the record had none.
    pub fn add(&mut self, number: u32, place: StampPlace) -> bool {
        let at = self.ranges.partition_point(|range| range.last < number);
        if self
            .ranges
            .get(at)
            .is_some_and(|range| range.first <= number)
        {
            return false;
        }
        self.covered += 1;
        if let Some(before) = at.checked_sub(1).and_then(|at| self.ranges.get_mut(at))
            && before.last + 1 == number
            && before.place == place
        {
            before.last = number;
            return true;
        }
        self.ranges.insert(
            at,
            Range {
                first: number,
                last: number,
                place,
            },
        );
        true
    }

    /// The file `<number>.stamped` of a segment whose records all have a time-stamp.
    pub fn encode(&self, segment: u32) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&segment.to_le_bytes());
        for range in &self.ranges {
            for value in [
                range.first,
                range.last,
                range.place.segment,
                range.place.offset,
            ] {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads such a file; `None` when it is not one of `segment`.
    pub fn decode(bytes: &[u8], segment: u32) -> Option<Self> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        let (head, ranges) = content.split_first_chunk::<8>()?;
        if &head[..4] != MAGIC
            || head[4..] != segment.to_le_bytes()
            || crc32fast::hash(content) != u32::from_le_bytes(*crc)
            || ranges.len() % 16 != 0
        {
            return None;
        }
        let mut coverage = Self::default();
        for range in ranges.as_chunks::<16>().0 {
            let at = |at: usize| {
                u32::from_le_bytes([range[at], range[at + 1], range[at + 2], range[at + 3]])
            };
            let range = Range {
                first: at(0),
                last: at(4),
                place: StampPlace {
                    segment: at(8),
                    offset: at(12),
                },
            };
            if range.last < range.first
                || coverage
                    .ranges
                    .last()
                    .is_some_and(|before| before.last >= range.first)
            {
                return None;
            }
            coverage.covered = coverage
                .covered
                .checked_add((range.last - range.first).checked_add(1)?)?;
            coverage.ranges.push(range);
        }
        Some(coverage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_round_trip_and_no_prefix_is_one() {
        let stamp = Stamp {
            form: StampForm::Batch,
            records: vec![RecordId(3), RecordId(9)],
            digests: vec![[1; 32], [2; 32]],
            token: Bytes::from_static(b"token"),
            configuration: Some(ConfigurationId([4; 32])),
        };
        let mut out = Vec::new();
        stamp.encode(&mut out);
        assert_eq!(Stamp::decode(&out), Some(stamp.clone()));
        for cut in 0..out.len() {
            assert_eq!(Stamp::decode(&out[..cut]), None);
        }
        let unordered = Stamp {
            records: vec![RecordId(9), RecordId(3)],
            ..stamp
        };
        assert!(unordered.check().is_err());
    }

    #[test]
    fn coverage_keeps_the_first_stamp_of_each_record() {
        let a = StampPlace {
            segment: 1,
            offset: 64,
        };
        let b = StampPlace {
            segment: 2,
            offset: 64,
        };
        let mut coverage = Coverage::default();
        for number in [5, 1, 2, 3, 9] {
            assert!(coverage.add(number, a));
        }
        assert!(!coverage.add(2, b) && coverage.add(4, b));
        assert_eq!(coverage.covered(), 6);
        assert_eq!(coverage.of(2), Some(a));
        assert_eq!(coverage.of(4), Some(b));
        assert_eq!(coverage.of(6), None);
        let file = coverage.encode(7);
        assert_eq!(Coverage::decode(&file, 7), Some(coverage));
        assert_eq!(Coverage::decode(&file, 8), None);
        for cut in 0..file.len() {
            assert_eq!(Coverage::decode(&file[..cut], 7), None);
        }
    }
}
