//! What the servers' message logs hold: counted from their segment files, without the code that wrote them, so that a
//! record which is not on disk is not counted.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Failure;

/// Bytes before a segment's first frame.
const SEGMENT_HEADER: u64 = 64;
/// Bytes of a frame before its payload.
const FRAME_HEADER: usize = 32;
/// Where a record's payload holds the digest of its signature document.
const DIGEST: std::ops::Range<usize> = FRAME_HEADER + 16..FRAME_HEADER + 48;

/// A log that is read on from where it was left.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    /// Up to where each segment has been read.
    read: BTreeMap<u32, u64>,
}

/// What a log has gained.
#[derive(Debug, Default)]
pub(super) struct Gained {
    /// Records.
    pub(super) records: u64,
    /// Bytes of them, with the headers of their frames.
    pub(super) bytes: u64,
    /// SHA-256 digests of their signature documents.
    pub(super) signatures: HashSet<[u8; 32]>,
}

/// What one exchange left in the two logs.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub(super) struct Traces {
    /// Records of an exchange, in both logs.
    pub(super) records: f64,
    /// Bytes of a record.
    pub(super) record_bytes: f64,
    /// Signatures of an exchange.
    pub(super) signatures: f64,
    /// Signatures of an exchange that the other side verified: it logs no others.
    pub(super) verifications: f64,
    /// Messages under one signature.
    pub(super) batch: f64,
}

impl Log {
    /// The log in this folder; what is there already counts for the first [`Log::gained`].
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            read: BTreeMap::new(),
        }
    }

    /// What was added since the last call.
    pub(super) fn gained(&mut self) -> Result<Gained, Failure> {
        let mut gained = Gained::default();
        self.read_all(&mut gained)
            .map_err(|error| format!("{}: {error}", self.folder.display()))?;
        Ok(gained)
    }

    fn read_all(&mut self, gained: &mut Gained) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".segment"));
            if let Some(segment) = number.and_then(|number| number.parse().ok()) {
                let offset = self.read.entry(segment).or_insert(SEGMENT_HEADER);
                *offset = read_segment(&File::open(entry.path())?, segment, *offset, gained)?;
            }
        }
        Ok(())
    }
}

/// Reads on from this offset; gives the offset behind the last frame.
fn read_segment(
    file: &File,
    segment: u32,
    mut offset: u64,
    gained: &mut Gained,
) -> io::Result<u64> {
    let mut head = [0; DIGEST.end];
    loop {
        let mut read = 0;
        while let Some(room) = head.get_mut(read..).filter(|room| !room.is_empty()) {
            match file.read_at(room, offset + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        let Some(frame) = head
            .get(..read)
            .and_then(|head| Frame::decode(head, segment))
        else {
            return Ok(offset);
        };
        offset += frame.length;
        if frame.is_record
            && let Some(Ok(digest)) = head.get(DIGEST).map(TryInto::try_into)
        {
            gained.records += 1;
            gained.bytes += frame.length;
            gained.signatures.insert(digest);
        }
    }
}

struct Frame {
    is_record: bool,
    /// With its header.
    length: u64,
}

impl Frame {
    fn decode(bytes: &[u8], segment: u32) -> Option<Self> {
        let number = |at: usize| -> Option<u32> {
            let bytes = bytes.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        (bytes.starts_with(b"TLF1") && number(20)? == segment).then_some(())?;
        Some(Self {
            is_record: bytes.get(4) == Some(&1),
            length: FRAME_HEADER as u64 + u64::from(number(8)?),
        })
    }
}

/// Whether both logs hold what so many exchanges must leave: two records each, and every signature in both of them.
pub(super) fn judge(
    exchanges: u64,
    [consumer, provider]: &[Gained; 2],
    batch: bool,
) -> Result<Traces, Failure> {
    if consumer.records != 2 * exchanges || provider.records != 2 * exchanges {
        return Err(format!(
            "{exchanges} exchanges left {} and {} records on disk instead of {} each",
            consumer.records,
            provider.records,
            2 * exchanges
        )
        .into());
    }
    let all = consumer.signatures.union(&provider.signatures).count() as u64;
    let both = consumer
        .signatures
        .intersection(&provider.signatures)
        .count() as u64;
    let fine = if batch {
        all > 0 && all <= 2 * exchanges && both == all
    } else {
        all == 2 * exchanges && both == all
    };
    if !fine {
        return Err(format!(
            "{exchanges} exchanges left {all} signatures in the logs, of which {both} were verified by the other side"
        )
        .into());
    }
    let per_exchange = |count: u64| count as f64 / exchanges.max(1) as f64;
    Ok(Traces {
        records: per_exchange(consumer.records + provider.records),
        record_bytes: (consumer.bytes + provider.bytes) as f64
            / (consumer.records + provider.records).max(1) as f64,
        signatures: per_exchange(all),
        verifications: per_exchange(both),
        batch: 2.0 * exchanges as f64 / all.max(1) as f64,
    })
}

/// The folder of the log of the server with this configuration file.
pub(super) fn folder_of(configuration: &Path) -> PathBuf {
    configuration.with_file_name("log")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(segment: u32, kind: u8, signature: u8) -> Vec<u8> {
        let mut bytes = b"TLF1".to_vec();
        bytes.extend([kind, 0, 0, 0]);
        bytes.extend(100_u32.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(segment.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend([0; 16]);
        bytes.extend([signature; 32]);
        bytes.resize(FRAME_HEADER + 100, 0);
        bytes
    }

    #[test]
    fn records_are_counted_over_segments() {
        let folder = tempfile::tempdir().unwrap();
        let write = |segment: u32, frames: &[Vec<u8>]| {
            let mut bytes = vec![0; 64];
            bytes.extend(frames.concat());
            bytes.resize(bytes.len() + 4096, 0);
            fs::write(folder.path().join(format!("{segment:010}.segment")), bytes).unwrap();
        };
        write(1, &[frame(1, 1, 1)]);
        write(2, &[]);
        let mut log = Log::new(folder.path().into());
        assert_eq!(log.gained().unwrap().records, 1);
        assert_eq!(log.gained().unwrap().records, 0);
        write(1, &[frame(1, 1, 1), frame(1, 1, 2)]);
        write(2, &[frame(2, 3, 0), frame(2, 1, 3), frame(1, 1, 9)]);
        let consumer = log.gained().unwrap();
        assert_eq!((consumer.records, consumer.bytes), (2, 264));
        let provider = Gained {
            records: 2,
            bytes: 264,
            signatures: consumer.signatures.clone(),
        };
        let both = [consumer, provider];
        let traces = judge(1, &both, false).unwrap();
        assert_eq!((traces.records, traces.record_bytes), (4.0, 132.0));
        assert_eq!((traces.signatures, traces.verifications), (2.0, 2.0));
        assert!(judge(2, &both, false).is_err());
        let shared = || Gained {
            records: 2,
            bytes: 264,
            signatures: HashSet::from([[1; 32]]),
        };
        assert!(judge(1, &[shared(), shared()], false).is_err());
        assert_eq!(judge(1, &[shared(), shared()], true).unwrap().batch, 2.0);
    }
}
