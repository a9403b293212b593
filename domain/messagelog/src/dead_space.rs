//! Room of bodies that no record holds: found, and given back to the disk.
//!
//! A body whose message is refused, or whose sender breaks off, leaves chunks that
//! nothing can open any more, since its key is gone. Whoever holds such a body tells
//! a [`DeadSpace`] when it ends; once the segment is sealed, [`Store::reclaim`]
//! joins neighbouring dead chunks to one frame and punches a hole into it. What a
//! crash leaves unreported stays until its segment is deleted after the retention
//! period.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::LogError;
use crate::frame::{FRAME_HEADER, FrameHeader, FrameKind, MAX_PAYLOAD};
use crate::port::{SegmentDirectory, SegmentFile};
use crate::spool::SpoolShare;
use crate::store::{State, Store, read};

/// What a disk writes whole or not at all.
const SECTOR: u32 = 512;
/// What can be given back.
const BLOCK: u64 = 4096;

/// Whole frames, one behind the other, of chunks that no record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadRun {
    /// Number of the segment.
    pub segment: u32,
    /// Offset of the first frame's header.
    pub start: u32,
    /// Offset behind the last frame.
    pub end: u32,
}

/// Learns of chunks that no record will ever hold.
pub trait DeadSpace: Send + Sync {
    /// These stretches are dead.
    fn report(&self, runs: Vec<DeadRun>);
}

/// What a body needs as long as no record holds it: its share of the quota, and
/// whom to tell when it ends without a record.
pub struct UnderWay {
    _share: SpoolShare,
    dead_space: Arc<dyn DeadSpace>,
    kept: AtomicBool,
}

impl fmt::Debug for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnderWay")
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl UnderWay {
    /// For a body that was written under `share`.
    pub fn new(share: SpoolShare, dead_space: Arc<dyn DeadSpace>) -> Self {
        Self {
            _share: share,
            dead_space,
            kept: AtomicBool::new(false),
        }
    }

    /// A record that holds the body is on its way to the disk.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Release);
    }

    pub(crate) fn end(&self, runs: impl FnOnce() -> Vec<DeadRun>) {
        if !self.kept.load(Ordering::Acquire) {
            self.dead_space.report(runs());
        }
    }
}

impl<D: SegmentDirectory> Store<D> {
    /// Whether a segment is sealed, so that its dead space can be reclaimed; `None`
    /// when there is no such segment.
    pub fn is_sealed(&self, segment: u32) -> Option<bool> {
        let segment = self.segment(segment)?;
        let sealed = matches!(*read(&segment.state), State::Sealed(_));
        Some(sealed)
    }

    /// Gives the room of dead chunks of a sealed segment back and returns how many
    /// bytes. `runs` are frames that no record holds and nobody will read.
    ///
    /// # Errors
    /// The disk's; the segment stays as readable as it was.
    pub fn reclaim(&self, number: u32, mut runs: Vec<DeadRun>) -> Result<u64, LogError> {
        let Some(segment) = self.segment(number) else {
            return Ok(0);
        };
        let State::Sealed(summary) = *read(&segment.state) else {
            return Ok(0);
        };
        runs.retain(|run| {
            run.segment == number
                && u64::from(run.start) + FRAME_HEADER as u64 <= u64::from(run.end)
                && run.end <= summary.end
        });
        runs.sort_unstable();
        let file = self.file(&segment)?;
        let mut joined: Vec<DeadRun> = Vec::new();
        for run in runs {
            let mut header = [0; FRAME_HEADER];
            let read = file.read_at(u64::from(run.start), &mut header)?;
            let is_chunk = FrameHeader::decode(&header[..read], number)
                .is_some_and(|header| header.kind == FrameKind::Chunk);
            if !is_chunk {
                continue;
            }
            match joined.last_mut() {
                Some(last)
                    if last.end == run.start && (run.end - last.start) as usize <= MAX_PAYLOAD =>
                {
                    last.end = run.end;
                }
                // A header over two sectors could be torn, and what follows it not be
                // found any more: such a run is only reclaimed behind another one.
                _ if run.start % SECTOR > SECTOR - FRAME_HEADER as u32 => {}
                _ => joined.push(run),
            }
        }
        let mut holes = Vec::new();
        for run in joined {
            let from = (u64::from(run.start) + FRAME_HEADER as u64).next_multiple_of(BLOCK);
            let to = u64::from(run.end) / BLOCK * BLOCK;
            if from >= to {
                continue;
            }
            let length = run.end - run.start - FRAME_HEADER as u32;
            let header = FrameHeader::dead(number, summary.end, length);
            file.write_at(u64::from(run.start), &header)?;
            holes.push((from, to - from));
        }
        if holes.is_empty() {
            return Ok(0);
        }
        // The holes must not be there before the frames that explain them.
        file.sync()?;
        let mut bytes = 0;
        for (offset, length) in holes {
            file.punch(offset, length)?;
            bytes += length;
        }
        Ok(bytes)
    }
}
