//! The segments as readers see them, shared with the journal that writes them.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};

use crate::body::ChunkSource;
use crate::error::LogError;
use crate::frame::{FRAME_HEADER, FrameHeader, FrameKind, RecordHead};
use crate::index::{BLOCK, Entry, HashRow, IndexReader, StampEntry, Summary};
use crate::keys::LogKeys;
use crate::port::{SegmentDirectory, SegmentFile};
use crate::record::ConfigurationId;
use crate::scan::{Contents, scan};
use crate::segment_key::{IndexKey, Randomness, SegmentKey};
use crate::stamp::{Coverage, StampPlace};
use crate::tables::Tables;

/// Files of sealed segments that are kept open.
const OPEN_FILES: usize = 16;
/// How much of a frame is read at once: most records are shorter.
const FIRST_READ: usize = 8 << 10;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn segment_name(segment: u32) -> String {
    format!("{segment:010}.segment")
}

pub(crate) fn key_name(segment: u32) -> String {
    format!("{segment:010}.key")
}

pub(crate) fn index_name(segment: u32) -> String {
    format!("{segment:010}.index")
}

pub(crate) fn stamped_name(segment: u32) -> String {
    format!("{segment:010}.stamped")
}

/// The segment that a file name belongs to, and the name's ending.
pub(crate) fn segment_of(name: &str) -> Option<(u32, &str)> {
    let (number, ending) = name.split_once('.')?;
    (number.len() == 10)
        .then(|| number.parse().ok().map(|number| (number, ending)))
        .flatten()
}

pub(crate) enum State<F> {
    /// Written by this process, or not sealed yet: its contents are in memory.
    Live { file: Arc<F>, contents: Contents },
    /// Its index file is on disk.
    Sealed(Summary),
}

pub(crate) struct Segment<F> {
    pub(crate) number: u32,
    pub(crate) key: OnceLock<Arc<SegmentKey>>,
    pub(crate) state: RwLock<State<F>>,
    /// Whether its list of time-stamps is written and complete.
    pub(crate) stamped: AtomicBool,
}

/// Records without a time-stamp, by segment.
#[derive(Default)]
pub(crate) struct Stamping {
    /// Every segment that has or may get records without a time-stamp.
    pub(crate) open: BTreeMap<u32, SegmentStamping>,
}

#[derive(Default)]
pub(crate) struct SegmentStamping {
    pub(crate) records: u32,
    pub(crate) coverage: Coverage,
}

/// The log's segments for reading: finding records, their time-stamps, what
/// still needs one. Made by [`crate::Journal::open`].
pub struct Store<D: SegmentDirectory> {
    pub(crate) directory: Arc<D>,
    pub(crate) keys: RwLock<LogKeys>,
    /// The key under which query ids are hashed; set by opening.
    pub(crate) index_key: OnceLock<IndexKey>,
    pub(crate) segments: RwLock<BTreeMap<u32, Arc<Segment<D::File>>>>,
    pub(crate) tables: RwLock<Tables<D::File>>,
    /// Held while the manifest is written.
    pub(crate) noting: Mutex<()>,
    /// Held while lists of time-stamps are written.
    noting_stamped: Mutex<()>,
    /// Held while tables are merged.
    pub(crate) merging: Mutex<()>,
    pub(crate) no_merging: AtomicBool,
    pub(crate) stamping: Mutex<Stamping>,
    pub(crate) configurations: RwLock<HashSet<ConfigurationId>>,
    files: Mutex<VecDeque<(u32, Arc<D::File>)>>,
    pub(crate) poisoned: Mutex<Option<String>>,
    pub(crate) stopped: AtomicBool,
    pub(crate) full: AtomicBool,
    /// Time of the oldest record without a time-stamp; `u64::MAX` when there is none.
    pub(crate) oldest_pending: AtomicU64,
    pub(crate) pending: AtomicU64,
    this: Weak<Self>,
}

impl<D: SegmentDirectory> fmt::Debug for Store<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("pending", &self.pending)
            .field("full", &self.full)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}

impl<D: SegmentDirectory> Store<D> {
    pub(crate) fn new(directory: Arc<D>, keys: LogKeys) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            directory,
            keys: RwLock::new(keys),
            index_key: OnceLock::new(),
            segments: RwLock::default(),
            tables: RwLock::default(),
            noting: Mutex::default(),
            noting_stamped: Mutex::default(),
            merging: Mutex::default(),
            no_merging: AtomicBool::new(false),
            stamping: Mutex::default(),
            configurations: RwLock::default(),
            files: Mutex::default(),
            poisoned: Mutex::default(),
            stopped: AtomicBool::new(false),
            full: AtomicBool::new(false),
            oldest_pending: AtomicU64::new(u64::MAX),
            pending: AtomicU64::new(0),
            this: this.clone(),
        })
    }

    /// Whether a record can be taken at `now` (ms since 1970), when time-stamps
    /// may be missing for `acceptable_ms`.
    ///
    /// # Errors
    /// The log stopped after a failed write, is full, or the oldest record
    /// without a time-stamp is too old.
    pub fn accepts(&self, now: u64, acceptable_ms: u64) -> Result<(), LogError> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(LogError::Poisoned(
                lock(&self.poisoned).clone().unwrap_or_default(),
            ));
        }
        if self.full.load(Ordering::Acquire) {
            return Err(LogError::NoSpace);
        }
        match self.oldest_pending() {
            Some(oldest_pending) if now.saturating_sub(oldest_pending) > acceptable_ms => {
                Err(LogError::TimestampingFailed { oldest_pending })
            }
            _ => Ok(()),
        }
    }

    /// Time of the oldest record without a time-stamp, ms since 1970.
    pub fn oldest_pending(&self) -> Option<u64> {
        match self.oldest_pending.load(Ordering::Acquire) {
            u64::MAX => None,
            time => Some(time),
        }
    }

    /// How many records have no time-stamp.
    pub fn pending_count(&self) -> u64 {
        self.pending.load(Ordering::Acquire)
    }

    /// Numbers of the segments, oldest first.
    pub fn segments(&self) -> Vec<u32> {
        self.all_segments()
            .iter()
            .map(|segment| segment.number)
            .collect()
    }

    /// How many records the log holds.
    pub fn record_count(&self) -> u64 {
        self.all_segments()
            .iter()
            .map(|segment| match &*read(&segment.state) {
                State::Live { contents, .. } => contents.entries.len() as u64,
                State::Sealed(summary) => u64::from(summary.records),
            })
            .sum()
    }

    /// Asks the disk to begin with what is written of the newest segment and not
    /// yet synced. Promises nothing.
    pub fn hint_writeback(&self) {
        let newest = read(&self.segments).values().next_back().cloned();
        let file = newest.and_then(|segment| match &*read(&segment.state) {
            State::Live { file, .. } => Some(Arc::clone(file)),
            State::Sealed(_) => None,
        });
        if let Some(file) = file {
            file.hint_writeback();
        }
    }

    pub(crate) fn source(&self) -> Result<Arc<dyn ChunkSource>, LogError> {
        let this = self.this.upgrade().ok_or(LogError::Closed)?;
        Ok(this)
    }

    pub(crate) fn all_segments(&self) -> Vec<Arc<Segment<D::File>>> {
        read(&self.segments).values().cloned().collect()
    }

    pub(crate) fn segment(&self, number: u32) -> Option<Arc<Segment<D::File>>> {
        read(&self.segments).get(&number).cloned()
    }

    pub(crate) fn add_live(
        &self,
        number: u32,
        file: Arc<D::File>,
        key: Option<Arc<SegmentKey>>,
        contents: Contents,
    ) {
        let cell = OnceLock::new();
        if let Some(key) = key {
            let _ = cell.set(key);
        }
        let segment = Segment {
            number,
            key: cell,
            state: RwLock::new(State::Live { file, contents }),
            stamped: AtomicBool::new(false),
        };
        self.add(segment);
    }

    /// Adds a segment whose rows are in no merged table.
    pub(crate) fn add(&self, segment: Segment<D::File>) {
        let number = segment.number;
        write(&self.segments).insert(number, Arc::new(segment));
        write(&self.tables).loose.insert(number);
    }

    pub(crate) fn key(&self, segment: &Segment<D::File>) -> Result<Arc<SegmentKey>, LogError> {
        if let Some(key) = segment.key.get() {
            return Ok(Arc::clone(key));
        }
        let file = self.read_whole(&key_name(segment.number), 64 << 10)?;
        let key = Arc::new(SegmentKey::unwrap(
            &file,
            segment.number,
            &read(&self.keys),
        )?);
        Ok(Arc::clone(segment.key.get_or_init(|| key)))
    }

    pub(crate) fn file(&self, segment: &Segment<D::File>) -> Result<Arc<D::File>, LogError> {
        if let State::Live { file, .. } = &*read(&segment.state) {
            return Ok(Arc::clone(file));
        }
        let mut files = lock(&self.files);
        if let Some((_, file)) = files.iter().find(|(number, _)| *number == segment.number) {
            return Ok(Arc::clone(file));
        }
        let file = self.directory.open(&segment_name(segment.number))?;
        files.truncate(OPEN_FILES - 1);
        files.push_front((segment.number, Arc::clone(&file)));
        Ok(file)
    }

    pub(crate) fn forget_file(&self, segment: u32) {
        lock(&self.files).retain(|(number, _)| *number != segment);
    }

    /// Reads a frame and checks it.
    pub(crate) fn frame(
        &self,
        segment: &Segment<D::File>,
        offset: u32,
    ) -> Result<(FrameHeader, Vec<u8>), LogError> {
        let damaged = |what| LogError::Damaged {
            segment: segment.number,
            offset: u64::from(offset),
            what,
        };
        let file = self.file(segment)?;
        let mut bytes = vec![0; FIRST_READ];
        let read = file.read_at(u64::from(offset), &mut bytes)?;
        let header = FrameHeader::decode(&bytes[..read], segment.number)
            .ok_or_else(|| damaged("no frame begins here"))?;
        let length = FRAME_HEADER + header.length as usize;
        bytes.resize(length, 0);
        if length > read {
            let rest = file.read_at(u64::from(offset) + read as u64, &mut bytes[read..])?;
            if read + rest < length {
                return Err(damaged("the frame is cut off"));
            }
        }
        bytes.drain(..FRAME_HEADER);
        if !header.fits(&bytes) {
            return Err(damaged("the frame's checksum is wrong"));
        }
        Ok((header, bytes))
    }

    /// The head of a record; `None` when the frame is damaged. The head's own bytes
    /// are not checked here: a record whose head decayed can never be opened.
    pub(crate) fn head(
        &self,
        segment: &Segment<D::File>,
        offset: u32,
    ) -> Result<Option<RecordHead>, LogError> {
        let mut bytes = [0; FRAME_HEADER + RecordHead::LENGTH];
        let read = self.file(segment)?.read_at(u64::from(offset), &mut bytes)?;
        Ok(FrameHeader::decode(&bytes[..read], segment.number)
            .filter(|header| header.kind == FrameKind::Record)
            .and_then(|_| RecordHead::decode(&bytes[FRAME_HEADER..read])))
    }

    pub(crate) fn read_whole(&self, name: &str, limit: u64) -> Result<Vec<u8>, LogError> {
        let file = self.directory.open(name)?;
        let length = file.len()?;
        if length > limit {
            return Err(LogError::TooLarge {
                what: "a file of the log",
                limit,
            });
        }
        let mut bytes = vec![0; length as usize];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Writes a small file so that after a crash it is there whole or not at
    /// all (or as it was before); its directory entry is durable on return.
    pub(crate) fn write_whole(&self, name: &str, bytes: &[u8]) -> Result<(), LogError> {
        let temporary = format!("{name}.tmp");
        match self.directory.remove(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let written = self.directory.create(&temporary, 0).and_then(|file| {
            file.write_at(0, bytes)?;
            file.sync()
        });
        if let Err(error) = written {
            // Without room for it, nothing may stay behind.
            let _ = self.directory.remove(&temporary);
            return Err(error.into());
        }
        self.directory.rename(&temporary, name)?;
        self.directory.sync()?;
        Ok(())
    }

    /// Writes the index file of a segment that is no longer written, gives back
    /// what it had reserved, and lets go of its contents in memory.
    ///
    /// # Errors
    /// The disk's; the segment stays readable, and if it is not sealed yet it can be later.
    pub fn seal(&self, number: u32) -> Result<(), LogError> {
        let Some(segment) = self.segment(number) else {
            return Ok(());
        };
        let (file, contents) = match &*read(&segment.state) {
            State::Live { file, contents } => (Arc::clone(file), contents.clone()),
            State::Sealed(_) => return Ok(()),
        };
        let summary = contents.summary(number);
        file.truncate(u64::from(contents.end))?;
        file.sync()?;
        self.write_whole(
            &index_name(number),
            &crate::index::build(&summary, &contents.entries, &contents.stamps),
        )?;
        *write(&segment.state) = State::Sealed(summary);
        drop(file);
        self.note_fully_stamped()?;
        self.write_manifest()
    }

    /// Builds the index of a sealed segment again from the segment itself.
    ///
    /// # Errors
    /// The segment cannot be read, or the index not be written.
    pub fn rebuild_index(&self, number: u32) -> Result<(), LogError> {
        let segment = self
            .segment(number)
            .ok_or_else(|| LogError::NotFound(segment_name(number)))?;
        let file = self.file(&segment)?;
        let contents = scan(&*file, number)?.contents;
        let summary = contents.summary(number);
        self.write_whole(
            &index_name(number),
            &crate::index::build(&summary, &contents.entries, &contents.stamps),
        )?;
        *write(&segment.state) = State::Sealed(summary);
        self.write_manifest()
    }

    /// Runs `look` over the index of a segment; when the index turns out to be
    /// damaged it is built again once.
    fn with_index<T>(
        &self,
        segment: &Segment<D::File>,
        summary: Summary,
        look: impl Fn(&IndexReader<'_, D::File>) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let open = || self.directory.open(&index_name(segment.number));
        let first = open()
            .map_err(LogError::from)
            .and_then(|file| look(&IndexReader::open(&*file, summary)?));
        match first {
            Err(LogError::Damaged { .. } | LogError::NotFound(_)) => {
                self.rebuild_index(segment.number)?;
                let State::Sealed(summary) = *read(&segment.state) else {
                    return Err(LogError::Closed);
                };
                look(&IndexReader::open(&*open()?, summary)?)
            }
            other => other,
        }
    }

    /// Where the records of a segment are that have this hash of the query id.
    pub(crate) fn with_hash(
        &self,
        segment: &Segment<D::File>,
        hash: u64,
    ) -> Result<Vec<HashRow>, LogError> {
        let summary = match &*read(&segment.state) {
            State::Live { contents, .. } => {
                return Ok(contents
                    .entries
                    .iter()
                    .filter(|entry| entry.hash == hash)
                    .map(|entry| HashRow {
                        hash,
                        segment: segment.number,
                        offset: entry.offset,
                    })
                    .collect());
            }
            State::Sealed(summary) => *summary,
        };
        self.with_index(segment, summary, |index| index.by_hash().with_hash(hash))
    }

    pub(crate) fn offset_of(
        &self,
        segment: &Segment<D::File>,
        number: u32,
    ) -> Result<Option<u32>, LogError> {
        let summary = match &*read(&segment.state) {
            State::Live { contents, .. } => {
                return Ok(contents
                    .entries
                    .binary_search_by_key(&number, |entry| entry.number)
                    .ok()
                    .map(|at| contents.entries[at].offset));
            }
            State::Sealed(summary) => *summary,
        };
        self.with_index(segment, summary, |index| index.offset_of(number))
    }

    /// The records of a segment in order of number, those that `wanted` picks by
    /// number and time, at most `limit`: number and offset.
    pub(crate) fn select(
        &self,
        segment: &Segment<D::File>,
        limit: usize,
        wanted: impl Fn(u32, u64) -> bool,
    ) -> Result<Vec<(u32, u32)>, LogError> {
        let summary = match &*read(&segment.state) {
            State::Live { contents, .. } => {
                return Ok(contents
                    .entries
                    .iter()
                    .filter(|entry| wanted(entry.number, entry.time))
                    .take(limit)
                    .map(|entry| (entry.number, entry.offset))
                    .collect());
            }
            State::Sealed(summary) => *summary,
        };
        self.with_index(segment, summary, |index| {
            index
                .records()
                .filter(|entry| match entry {
                    Ok((number, _, time)) => wanted(*number, *time),
                    Err(_) => true,
                })
                .take(limit)
                .map(|entry| entry.map(|(number, offset, _)| (number, offset)))
                .collect()
        })
    }

    pub(crate) fn times(&self, segment: &Segment<D::File>) -> (u64, u64) {
        match &*read(&segment.state) {
            State::Live { contents, .. } => {
                let summary = contents.summary(segment.number);
                (summary.earliest, summary.latest)
            }
            State::Sealed(summary) => (summary.earliest, summary.latest),
        }
    }

    pub(crate) fn stamp_frames(
        &self,
        segment: &Segment<D::File>,
    ) -> Result<Vec<StampEntry>, LogError> {
        let summary = match &*read(&segment.state) {
            State::Live { contents, .. } => return Ok(contents.stamps.clone()),
            State::Sealed(summary) => *summary,
        };
        self.with_index(segment, summary, |index| index.stamps())
    }

    /// The header of a segment's index file, when there is one.
    pub(crate) fn stored_summary(&self, number: u32) -> Option<Summary> {
        let file = self.directory.open(&index_name(number)).ok()?;
        let mut header = [0; 64];
        let read = file.read_at(0, &mut header).ok()?;
        let summary = Summary::decode(&header[..read], number)?;
        let tables = file.len().ok()?.checked_sub(BLOCK as u64)?;
        (tables % BLOCK as u64 == 0).then_some(summary)
    }

    /// The keys in use, followed by `new` as the current one: for a rotation.
    pub fn keys_rotated_to(&self, new: crate::keys::LogKey) -> LogKeys {
        read(&self.keys).rotated_to(new)
    }

    /// Bytes of disk that can still be reserved.
    ///
    /// # Errors
    /// The operating system's.
    pub fn free_space(&self) -> Result<u64, LogError> {
        Ok(self.directory.free_space()?)
    }

    /// Wraps every segment's data key under `keys.current`; the segments
    /// themselves are not touched. `keys.previous` must hold the keys in use so far.
    ///
    /// # Errors
    /// A key file cannot be opened or written. What was done stays done, and the
    /// call can be repeated.
    pub fn rotate_log_key(
        &self,
        keys: LogKeys,
        randomness: &mut dyn Randomness,
    ) -> Result<(), LogError> {
        *write(&self.keys) = keys.clone();
        for segment in self.all_segments() {
            let key = match self.key(&segment) {
                // Deleted meanwhile, after the retention period.
                Err(LogError::NotFound(_)) if self.segment(segment.number).is_none() => continue,
                key => key?,
            };
            self.write_whole(&key_name(segment.number), &key.wrap(&keys, randomness)?)?;
        }
        Ok(())
    }

    /// Deletes the oldest segments as long as all their records are older than
    /// `before` (ms since 1970) and time-stamped and no younger record has a body
    /// in them. Returns how many.
    ///
    /// # Errors
    /// The disk's.
    pub fn expire(&self, before: u64) -> Result<usize, LogError> {
        let segments = self.all_segments();
        let mut deleted = 0;
        for (at, segment) in segments.iter().enumerate() {
            let State::Sealed(summary) = *read(&segment.state) else {
                break;
            };
            let needed = segments[at + 1..]
                .iter()
                .any(|later| match &*read(&later.state) {
                    State::Live { contents, .. } => contents.oldest_segment <= segment.number,
                    State::Sealed(later) => later.oldest_segment <= segment.number,
                });
            if summary.latest >= before
                || needed
                || lock(&self.stamping).open.contains_key(&segment.number)
            {
                break;
            }
            write(&self.segments).remove(&segment.number);
            self.forget_file(segment.number);
            self.directory.remove(&segment_name(segment.number))?;
            for name in [
                index_name(segment.number),
                stamped_name(segment.number),
                key_name(segment.number),
            ] {
                match self.directory.remove(&name) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error.into());
                    }
                    _ => {}
                }
            }
            deleted += 1;
        }
        if deleted > 0 {
            self.directory.sync()?;
            self.forget_deleted()?;
        }
        Ok(deleted)
    }

    /// Writes `<number>.stamped` for sealed segments whose records all have a
    /// time-stamp, and stops tracking them.
    pub(crate) fn note_fully_stamped(&self) -> Result<(), LogError> {
        let _alone = lock(&self.noting_stamped);
        // Only a sealed segment gets no more records: one that is sealed between the
        // two looks would be taken for complete with what it held at the first.
        let sealed = |number: &u32| {
            self.segment(*number)
                .filter(|segment| matches!(*read(&segment.state), State::Sealed(_)))
        };
        let segments: Vec<u32> = lock(&self.stamping).open.keys().copied().collect();
        for segment in segments.iter().filter_map(sealed) {
            let number = segment.number;
            let coverage = match lock(&self.stamping).open.get(&number) {
                Some(open) if open.coverage.covered() >= open.records => open.coverage.clone(),
                _ => continue,
            };
            self.write_whole(&stamped_name(number), &coverage.encode(number))?;
            segment.stamped.store(true, Ordering::Release);
            lock(&self.stamping).open.remove(&number);
        }
        Ok(())
    }

    /// The time-stamp that covers a record.
    pub(crate) fn place_of_stamp(
        &self,
        segment: u32,
        number: u32,
    ) -> Result<Option<StampPlace>, LogError> {
        if let Some(stamping) = lock(&self.stamping).open.get(&segment) {
            return Ok(stamping.coverage.of(number));
        }
        let coverage = match self.listed_coverage(segment) {
            Some(coverage) => coverage,
            None => self.coverage_again(segment)?,
        };
        Ok(coverage.of(number))
    }

    /// The list of time-stamps of a segment whose records all have one.
    pub(crate) fn listed_coverage(&self, segment: u32) -> Option<Coverage> {
        let file = self.read_whole(&stamped_name(segment), 64 << 20).ok()?;
        Coverage::decode(&file, segment)
    }

    pub(crate) fn entry_published(
        &self,
        segment: &Segment<D::File>,
        entries: &[Entry],
        end: u32,
        oldest: u32,
    ) {
        if let State::Live { contents, .. } = &mut *write(&segment.state) {
            contents.entries.extend_from_slice(entries);
            contents.end = end;
            contents.oldest_segment = contents.oldest_segment.min(oldest);
        }
    }
}

impl<D: SegmentDirectory> ChunkSource for Store<D> {
    fn read_exact_at(&self, segment: u32, offset: u64, buffer: &mut [u8]) -> Result<(), LogError> {
        let segment = self
            .segment(segment)
            .ok_or_else(|| LogError::NotFound(segment_name(segment)))?;
        let file = self.file(&segment)?;
        if file.read_at(offset, buffer)? == buffer.len() {
            Ok(())
        } else {
            Err(LogError::Damaged {
                segment: segment.number,
                offset,
                what: "a chunk of a body is cut off",
            })
        }
    }
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
