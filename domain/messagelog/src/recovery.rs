//! Opening a log: finding out what an earlier run left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::configurations::configuration_of;
use crate::error::LogError;
use crate::journal::{Journal, JournalSettings};
use crate::keys::LogKeys;
use crate::manifest::SegmentNote;
use crate::port::SegmentDirectory;
use crate::scan::{make_durable, scan};
use crate::segment_key::{IndexKey, Randomness};
use crate::stamp::{Coverage, StampPlace};
use crate::store::{
    Segment, SegmentStamping, State, Store, index_name, key_name, lock, read, segment_name,
    segment_of, stamped_name, write,
};

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments that had to be read from their start.
    pub scanned: Vec<u32>,
    /// Stretches (segment, from, to) that had been durable and are damaged now.
    pub damaged: Vec<(u32, u64, u64)>,
    /// Segments whose data key cannot be opened with the keys given.
    pub unreadable: Vec<u32>,
    /// Records found.
    pub records: u64,
    /// Records without a time-stamp.
    pub pending: u64,
}

impl<D: SegmentDirectory> Journal<D> {
    /// Opens the log in a directory and begins a new segment. What was sealed is
    /// known from the manifest. Only segments
    /// without an index, which a crash leaves one or two of, are read; time-stamps
    /// are read from the oldest segment on that is not fully time-stamped.
    ///
    /// # Errors
    /// The directory cannot be used, or a key does not fit the newest segment.
    pub fn open(
        directory: Arc<D>,
        settings: JournalSettings,
        keys: LogKeys,
        mut randomness: Box<dyn Randomness>,
        now: u64,
    ) -> Result<(Self, Recovery), LogError> {
        let settings = JournalSettings {
            // Offsets have 32 bits, and one entry may extend a segment.
            segment_size: settings.segment_size.clamp(64 << 10, 2 << 30),
            first_segment_size: settings
                .first_segment_size
                .clamp(64 << 10, settings.segment_size.clamp(64 << 10, 2 << 30)),
            ..settings
        };
        let (store, recovery, last) = recover(&directory, keys)?;
        let next = last.checked_add(1).ok_or(LogError::TooLarge {
            what: "the number of segments",
            limit: u64::from(u32::MAX),
        })?;
        if store.index_key.get().is_none() {
            let _ = store.index_key.set(IndexKey::generate(&mut *randomness)?);
        }
        let mut journal = Self::new(store, settings, randomness, next);
        match journal.begin(now) {
            Ok(()) | Err(LogError::NoSpace) => Ok((journal, recovery)),
            Err(error) => Err(error),
        }
    }
}

impl<D: SegmentDirectory> Store<D> {
    /// Opens the log in a directory for reading only: nothing can be appended.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open(directory: &Arc<D>, keys: LogKeys) -> Result<(Arc<Self>, Recovery), LogError> {
        recover(directory, keys).map(|(store, recovery, _)| (store, recovery))
    }
}

impl<D: SegmentDirectory> Store<D> {
    /// Finds the time-stamps of a segment's records anew, when its list of them is
    /// lost, and writes the list again.
    pub(crate) fn coverage_again(&self, number: u32) -> Result<Coverage, LogError> {
        let mut coverage = Coverage::default();
        let segments = self.all_segments();
        let mut records = 0;
        // A time-stamp stands behind what it covers.
        for segment in segments.iter().filter(|segment| segment.number >= number) {
            if segment.number == number
                && let State::Sealed(summary) = *read(&segment.state)
            {
                records = summary.records;
            }
            if coverage.covered() >= records {
                break;
            }
            for entry in self.stamp_frames(segment)? {
                let place = StampPlace {
                    segment: segment.number,
                    offset: entry.offset,
                };
                let Ok(stamp) = self.stamp(place) else {
                    continue;
                };
                for record in &stamp.records {
                    if record.segment() == number {
                        coverage.add(record.number(), place);
                    }
                }
            }
        }
        if coverage.covered() >= records {
            // Without it the same is found once more.
            let _ = self.write_whole(&stamped_name(number), &coverage.encode(number));
        }
        Ok(coverage)
    }
}

/// Finds out what an earlier run left behind; also the highest number of a segment.
fn recover<D: SegmentDirectory>(
    directory: &Arc<D>,
    keys: LogKeys,
) -> Result<(Arc<Store<D>>, Recovery, u32), LogError> {
    let store = Store::new(Arc::clone(directory), keys);
    let mut recovery = Recovery::default();
    let names = directory.list()?;
    let manifest = store.manifest().unwrap_or_default();
    // Whether the manifest says all that it could.
    let mut complete = true;
    let noted: BTreeMap<u32, SegmentNote> = manifest
        .segments
        .iter()
        .map(|note| (note.summary.segment, *note))
        .collect();
    // No number is given twice, also when the last segments were deleted.
    let mut last = noted.keys().next_back().copied().unwrap_or(0);
    let mut segments = BTreeSet::new();
    for name in &names {
        if name.ends_with(".tmp") {
            directory.remove(name)?;
        } else if let Some(id) = configuration_of(name) {
            write(&store.configurations).insert(id);
        } else if let Some((number, ending)) = segment_of(name) {
            last = last.max(number);
            if ending == "segment" {
                segments.insert(number);
            }
        }
    }
    for name in &names {
        if let Some((number, ending)) = segment_of(name)
            && ending != "segment"
            && !segments.contains(&number)
            && !name.ends_with(".tmp")
        {
            directory.remove(name)?;
        }
    }
    let mut to_seal = Vec::new();
    let mut held: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for number in segments {
        let note = noted.get(&number);
        complete &= note.is_some();
        let summary = note.map(|note| note.summary);
        if let Some(summary) = summary.or_else(|| store.stored_summary(number)) {
            store.add(Segment {
                number,
                key: Default::default(),
                state: State::Sealed(summary).into(),
                stamped: note.is_some_and(|note| note.stamped).into(),
            });
            if let Some(note) = note {
                held.entry(note.table).or_default().push(number);
            }
            continue;
        }
        let file = directory.open(&segment_name(number))?;
        let found = scan(&*file, number)?;
        if found.empty {
            drop(file);
            for name in [
                index_name(number),
                stamped_name(number),
                key_name(number),
                segment_name(number),
            ] {
                if names.contains(&name) {
                    directory.remove(&name)?;
                }
            }
            continue;
        }
        make_durable(&*file, &found)?;
        recovery.scanned.push(number);
        recovery
            .damaged
            .extend(found.damaged.iter().map(|(from, to)| (number, *from, *to)));
        store.add_live(number, file, None, found.contents);
        to_seal.push(number);
    }
    let tables = manifest
        .tables
        .iter()
        .map(|note| (*note, held.remove(&note.id).unwrap_or_default()))
        .collect();
    store.adopt_tables(tables, &names)?;
    directory.sync()?;
    // A wrong key is an operator's slip: better noticed before anything is
    // written under it.
    for segment in store.all_segments().iter().rev() {
        match store.key(segment) {
            Ok(key) => {
                let _ = store.index_key.set(key.index_key().clone());
                break;
            }
            Err(LogError::NotFound(_) | LogError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    complete &= !read_coverage(&store, &mut recovery)?;
    for number in to_seal {
        // Without room for the index the segment stays in memory.
        match store.seal(number) {
            Ok(()) | Err(LogError::NoSpace) => {}
            Err(error) => return Err(error),
        }
    }
    match store.note_fully_stamped() {
        Ok(()) | Err(LogError::NoSpace) => {}
        Err(error) => return Err(error),
    }
    if !complete {
        match store.write_manifest() {
            Ok(()) | Err(LogError::NoSpace) => {}
            Err(error) => return Err(error),
        }
    }
    store.renew_oldest_pending()?;
    recovery.records = store.record_count();
    recovery.pending = store.pending_count();
    Ok((store, recovery, last))
}

/// Reads which records have time-stamps, for the segments that have no list of
/// their own yet; says whether one was found to have a list.
fn read_coverage<D: SegmentDirectory>(
    store: &Store<D>,
    recovery: &mut Recovery,
) -> Result<bool, LogError> {
    let segments = store.all_segments();
    let (mut pending, mut news) = (0, false);
    for segment in &segments {
        let records = match &*read(&segment.state) {
            State::Live { contents, .. } => contents.entries.len() as u32,
            State::Sealed(summary) => summary.records,
        };
        if segment.stamped.load(Ordering::Acquire) {
            continue;
        }
        let listed = store
            .listed_coverage(segment.number)
            .is_some_and(|coverage| coverage.covered() >= records);
        segment.stamped.store(listed, Ordering::Release);
        news |= listed;
        if !listed {
            pending += u64::from(records);
            lock(&store.stamping).open.insert(
                segment.number,
                SegmentStamping {
                    records,
                    coverage: Coverage::default(),
                },
            );
        }
    }
    store.pending.store(pending, Ordering::Release);
    let Some(oldest) = lock(&store.stamping).open.keys().next().copied() else {
        return Ok(news);
    };
    for segment in segments.iter().filter(|segment| segment.number >= oldest) {
        for entry in store.stamp_frames(segment)? {
            let place = StampPlace {
                segment: segment.number,
                offset: entry.offset,
            };
            match store.stamp(place) {
                Ok(stamp) => {
                    let mut stamping = lock(&store.stamping);
                    let mut newly = 0;
                    for record in &stamp.records {
                        if let Some(open) = stamping.open.get_mut(&record.segment())
                            && open.coverage.add(record.number(), place)
                        {
                            newly += 1;
                        }
                    }
                    store.pending.fetch_sub(newly, Ordering::AcqRel);
                }
                Err(LogError::Damaged { offset, .. }) => {
                    recovery.damaged.push((segment.number, offset, offset));
                }
                Err(LogError::WrongLogKey { .. } | LogError::NotFound(_)) => {
                    recovery.unreadable.push(segment.number);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(news)
}
