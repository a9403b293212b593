//! The journal: the one writer of the log.
//!
//! Records gather in a buffer until [`Journal::flush`] writes and syncs it;
//! only then do they exist for readers, and only then is there a [`Committed`]
//! for them. A failed write or sync stops the journal for good: what it covered
//! may or may not be on disk, and a later sync that succeeds proves nothing.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_lc_rs::digest::{SHA256, digest};

use crate::error::LogError;
use crate::frame::{
    FRAME_HEADER, FrameHeader, FrameKind, MAX_PAYLOAD, RecordHead, SEGMENT_HEADER, SegmentHeader,
};
use crate::index::{Entry, StampEntry};
use crate::keys::LogKeys;
use crate::port::{SegmentDirectory, SegmentFile};
use crate::record::{Attachment, Committed, Direction, NewRecord, RecordId};
use crate::scan::Contents;
use crate::segment_key::{Randomness, SegmentKey};
use crate::stamp::{Stamp, StampPlace};
use crate::store::{State, Store, key_name, lock, read, segment_name, write};

/// Signers whose last whole signature document is remembered.
const MAX_BASES: usize = 256;
/// How many documents are told from one before the next is stored whole again:
/// so one damaged frame never costs more.
const USES_OF_A_BASE: u32 = 1024;
/// Documents of signed batches that are remembered for each signer: those of the
/// batches that are under way at the same time.
const MAX_SHARED: usize = 4;
/// Writes end on a page's border, filled up with the zeros that are there already:
/// so no page is ever read from the disk before a part of it is written.
const PAGE: u64 = 4096;
/// The buffer is written (not synced) when it has grown to this.
const WRITE_EARLY: usize = 4 << 20;

/// How segments are made.
#[derive(Debug, Clone, Copy)]
pub struct JournalSettings {
    /// Size of a segment in bytes; one larger entry extends its segment.
    pub segment_size: u64,
    /// Size of the first segment after a start, which is made while somebody waits.
    pub first_segment_size: u64,
    /// Bytes of free space that bodies never take.
    pub reserve: u64,
}

/// A signature document that is stored whole, from which others of its signer are told.
struct Base {
    offset: u32,
    document: Vec<u8>,
    digest: [u8; 32],
    uses: u32,
    /// Documents of signed batches told lately, which other messages share.
    shared: VecDeque<Shared>,
}

struct Shared {
    document: Vec<u8>,
    digest: [u8; 32],
    steps: Vec<u8>,
}

struct Waiting {
    entry: Entry,
    time: u64,
    oldest_segment: u32,
}

/// A segment that is ready to be written.
pub struct Spare<F> {
    number: u32,
    rotations: u64,
    file: Arc<F>,
    key: Arc<SegmentKey>,
    size: u64,
}

/// The work of preparing a segment ahead of its use; can run on any thread.
pub struct SpareJob {
    number: u32,
    rotations: u64,
    key: SegmentKey,
    key_file: Vec<u8>,
    size: u64,
    created: u64,
}

impl SpareJob {
    /// Creates the segment's files, durably.
    ///
    /// # Errors
    /// The disk's; nothing stays behind that would matter.
    pub fn run<D: SegmentDirectory>(self, store: &Store<D>) -> Result<Spare<D::File>, LogError> {
        let name = segment_name(self.number);
        let created = store.directory.create(&name, self.size).and_then(|file| {
            let header = SegmentHeader {
                segment: self.number,
                created: self.created,
                key_check: self.key.check(),
            };
            file.write_at(0, &header.encode())?;
            file.sync()?;
            Ok(file)
        });
        let prepared = created.map_err(LogError::from).and_then(|file| {
            store.write_whole(&key_name(self.number), &self.key_file)?;
            Ok(file)
        });
        match prepared {
            Ok(file) => Ok(Spare {
                number: self.number,
                rotations: self.rotations,
                file,
                key: Arc::new(self.key),
                size: self.size,
            }),
            Err(error) => {
                // Left-overs are empty segments, which the next start removes.
                let _ = store.directory.remove(&name);
                let _ = store.directory.remove(&key_name(self.number));
                Err(error)
            }
        }
    }
}

struct Current<F> {
    number: u32,
    file: Arc<F>,
    key: Arc<SegmentKey>,
    size: u64,
    /// Where the buffer will be written.
    position: u64,
    /// Up to where the segment is synced.
    durable: u64,
    next_number: u32,
    /// After a write for which there was no room: nothing more is put here.
    abandoned: bool,
}

/// The writer of the log.
pub struct Journal<D: SegmentDirectory> {
    store: Arc<Store<D>>,
    settings: JournalSettings,
    randomness: Box<dyn Randomness>,
    current: Option<Current<D::File>>,
    spare: Option<Spare<D::File>>,
    spare_wanted: bool,
    /// How often the operator's key was rotated: a spare from before is wrapped anew.
    rotations: u64,
    next_segment: u32,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
    waiting: Vec<Waiting>,
    stamps: Vec<(StampEntry, Stamp)>,
    committed: Vec<Committed>,
    bases: HashMap<u64, Base>,
    to_seal: Vec<u32>,
}

impl<D: SegmentDirectory> std::fmt::Debug for Journal<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("next_segment", &self.next_segment)
            .field("buffered", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

/// How a record's signature document is stored.
struct ToldSignature {
    signer: u64,
    /// SHA-256 of the document.
    digest: [u8; 32],
    /// The frame whose document it is told from; `None` when it is stored whole.
    base_offset: Option<u32>,
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// Fills `bytes`, which are to be written at `position`, up with zeros to a page's border.
fn fill_page(position: u64, bytes: &mut Vec<u8>) {
    let end = position + bytes.len() as u64;
    bytes.resize(bytes.len() + (end.next_multiple_of(PAGE) - end) as usize, 0);
}

fn signer_of(record: &NewRecord) -> u64 {
    let signer = match record.direction {
        Direction::Request => &record.client,
        Direction::Response => &record.service.client,
    };
    let mut hasher = DefaultHasher::new();
    signer.instance.hash(&mut hasher);
    signer.member_class.hash(&mut hasher);
    signer.member_code.hash(&mut hasher);
    // Documents over a hash chain have another shape.
    record.hash_chain.is_some().hash(&mut hasher);
    hasher.finish()
}

impl<D: SegmentDirectory> Journal<D> {
    pub(crate) fn new(
        store: Arc<Store<D>>,
        settings: JournalSettings,
        randomness: Box<dyn Randomness>,
        next_segment: u32,
    ) -> Self {
        Self {
            store,
            settings,
            randomness,
            current: None,
            spare: None,
            spare_wanted: false,
            rotations: 0,
            next_segment,
            buffer: Vec::with_capacity(64 << 10),
            scratch: Vec::new(),
            waiting: Vec::new(),
            stamps: Vec::new(),
            committed: Vec::new(),
            bases: HashMap::new(),
            to_seal: Vec::new(),
        }
    }

    /// The reading side.
    pub fn store(&self) -> &Arc<Store<D>> {
        &self.store
    }

    fn check(&self) -> Result<(), LogError> {
        match &*lock(&self.store.poisoned) {
            Some(why) => Err(LogError::Poisoned(why.clone())),
            None => Ok(()),
        }
    }

    fn poison(&mut self, error: &io::Error) -> LogError {
        let why = error.to_string();
        *lock(&self.store.poisoned) = Some(why.clone());
        self.store.stopped.store(true, Ordering::Release);
        self.buffer.clear();
        self.waiting.clear();
        self.stamps.clear();
        LogError::Poisoned(why)
    }

    /// Bytes that are buffered and not yet synced.
    pub fn unsynced(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| {
            current.position + self.buffer.len() as u64 - current.durable
        })
    }

    fn spare_job(&mut self, now: u64) -> Result<SpareJob, LogError> {
        let number = self.next_segment;
        let index_key = self.store.index_key.get().ok_or(LogError::Closed)?;
        let key = SegmentKey::generate(number, index_key.clone(), &mut *self.randomness)?;
        let key_file = key.wrap(&read(&self.store.keys), &mut *self.randomness)?;
        // A number is used once, also when preparing fails.
        self.next_segment = number.checked_add(1).ok_or(LogError::TooLarge {
            what: "the number of segments",
            limit: u64::from(u32::MAX),
        })?;
        Ok(SpareJob {
            number,
            rotations: self.rotations,
            key,
            key_file,
            size: if self.current.is_some() {
                self.settings.segment_size
            } else {
                self.settings.first_segment_size
            },
            created: now,
        })
    }

    /// The preparation of the next segment, once the current one is half full and
    /// none is under way. Its result belongs into [`Journal::offer_spare`].
    ///
    /// # Errors
    /// The random generator's.
    pub fn wants_spare(&mut self, now: u64) -> Result<Option<SpareJob>, LogError> {
        let half = self
            .current
            .as_ref()
            .is_some_and(|current| current.position + self.buffer.len() as u64 > current.size / 2);
        if !half || self.spare.is_some() || self.spare_wanted {
            return Ok(None);
        }
        self.spare_wanted = true;
        self.spare_job(now).map(Some)
    }

    /// Takes a prepared segment, or notes that none could be prepared.
    pub fn offer_spare(&mut self, spare: Option<Spare<D::File>>) {
        self.spare_wanted = false;
        if spare.is_some() {
            self.store.full.store(false, Ordering::Release);
            self.spare = spare;
        }
    }

    /// Segments that are no longer written and want [`Store::seal`].
    pub fn take_unsealed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.to_seal)
    }

    /// Tries to make room again after the disk was full.
    pub fn retry_space(&mut self, now: u64) {
        if self.store.full.load(Ordering::Acquire)
            && self.spare.is_none()
            && let Ok(job) = self.spare_job(now)
            && let Ok(spare) = job.run(&self.store)
        {
            self.offer_spare(Some(spare));
        }
    }

    /// Makes sure that `length` bytes fit into the current segment.
    fn make_room(&mut self, length: u64, for_body: bool, now: u64) -> Result<(), LogError> {
        self.check()?;
        if let Some(current) = &self.current {
            let end = current.position + self.buffer.len() as u64;
            let fresh = end == SEGMENT_HEADER as u64;
            if !current.abandoned && (fresh || end + length <= current.size) {
                return Ok(());
            }
        }
        if for_body {
            let free = self.store.directory.free_space()?;
            if free
                < self
                    .settings
                    .reserve
                    .saturating_add(self.settings.segment_size)
            {
                return Err(LogError::NoSpace);
            }
        }
        let spare = match self.spare.take() {
            Some(spare) => {
                self.wrap_anew(&spare)?;
                spare
            }
            None => {
                let made = self.spare_job(now)?.run(&self.store);
                if matches!(made, Err(LogError::NoSpace)) && !for_body {
                    self.store.full.store(true, Ordering::Release);
                }
                made?
            }
        };
        self.store.full.store(false, Ordering::Release);
        self.flush_written()?;
        if let Some(old) = self.current.take() {
            self.to_seal.push(old.number);
        }
        self.bases.clear();
        self.store.add_live(
            spare.number,
            Arc::clone(&spare.file),
            Some(Arc::clone(&spare.key)),
            Contents::empty(spare.number),
        );
        lock(&self.store.stamping)
            .open
            .insert(spare.number, Default::default());
        self.current = Some(Current {
            number: spare.number,
            file: spare.file,
            key: spare.key,
            size: spare.size,
            position: SEGMENT_HEADER as u64,
            durable: SEGMENT_HEADER as u64,
            next_number: 1,
            abandoned: false,
        });
        Ok(())
    }

    /// Begins a segment, so that the first record need not wait for one.
    ///
    /// # Errors
    /// The disk's.
    pub fn begin(&mut self, now: u64) -> Result<(), LogError> {
        self.make_room(0, false, now)
    }

    /// Finds out how a signature document is stored, and leaves the steps that tell
    /// it from its base in `scratch`.
    fn tell_signature(&mut self, record: &NewRecord) -> ToldSignature {
        let document = &record.signature[..];
        let signer = signer_of(record);
        let mut told = ToldSignature {
            signer,
            digest: [0; 32],
            base_offset: None,
        };
        self.scratch.clear();
        let base = self
            .bases
            .get_mut(&signer)
            .filter(|base| base.uses < USES_OF_A_BASE);
        let Some(base) = base else {
            told.digest = sha256(document);
            return told;
        };
        let in_batch = record.hash_chain.is_some();
        let known = base
            .shared
            .iter()
            .find(|shared| shared.document == document);
        if in_batch && let Some(known) = known {
            self.scratch.extend_from_slice(&known.steps);
            told.digest = known.digest;
            told.base_offset = Some(base.offset);
        } else if crate::delta::encode(&base.document, document, &mut self.scratch) {
            told.digest = if in_batch && base.document == document {
                base.digest
            } else {
                sha256(document)
            };
            told.base_offset = Some(base.offset);
            if in_batch {
                let mut shared = match base.shared.len() {
                    MAX_SHARED => base.shared.pop_front(),
                    _ => None,
                }
                .unwrap_or(Shared {
                    document: Vec::new(),
                    digest: [0; 32],
                    steps: Vec::new(),
                });
                shared.document.clear();
                shared.document.extend_from_slice(document);
                shared.digest = told.digest;
                shared.steps.clear();
                shared.steps.extend_from_slice(&self.scratch);
                base.shared.push_back(shared);
            }
        } else {
            told.digest = sha256(document);
        }
        base.uses += u32::from(told.base_offset.is_some());
        told
    }

    /// Puts a record behind what is buffered. It exists once [`Journal::flush`] has succeeded.
    ///
    /// # Errors
    /// The record is refused and changes nothing.
    pub fn append(&mut self, record: &NewRecord, now: u64) -> Result<RecordId, LogError> {
        if !self.store.has_configuration(record.configuration) {
            return Err(LogError::UnknownConfiguration(
                record.configuration.to_string(),
            ));
        }
        let extents: usize = record
            .attachments
            .iter()
            .map(|attachment| match attachment {
                Attachment::Inline(bytes) => bytes.len() + 8,
                Attachment::Sealed(body) => body.0.extents.len() * 12 + 64,
            })
            .sum();
        let chain = record
            .hash_chain
            .as_ref()
            .map_or(0, |(result, chain)| result.len() + chain.len());
        let most = record.message.len() + record.signature.len() + extents + chain + (16 << 10);
        if most > MAX_PAYLOAD / 2 {
            return Err(LogError::TooLarge {
                what: "a record",
                limit: MAX_PAYLOAD as u64 / 2,
            });
        }
        self.make_room(most as u64, false, now)?;
        let signature = self.tell_signature(record);
        let Some(current) = &mut self.current else {
            return Err(LogError::Closed);
        };
        let number = current.next_number;
        let start = self.buffer.len();
        let offset = (current.position + start as u64) as u32;
        let head = RecordHead {
            time: record.time,
            query_hash: current.key.query_hash(&record.query_id),
            signature_digest: signature.digest,
            oldest_segment: record
                .attachments
                .iter()
                .filter_map(|attachment| match attachment {
                    Attachment::Inline(_) => None,
                    Attachment::Sealed(body) => body.oldest_segment(),
                })
                .fold(current.number, u32::min),
        };
        self.buffer.resize(start + FRAME_HEADER, 0);
        self.buffer.extend_from_slice(&head.encode());
        let sealed = self.buffer.len();
        let told = signature
            .base_offset
            .map(|base_offset| (base_offset, self.scratch.as_slice()));
        if let Err(error) = crate::codec::encode(record, told, &mut self.buffer) {
            self.buffer.truncate(start);
            return Err(error);
        }
        if signature.base_offset.is_none() {
            if self.bases.len() >= MAX_BASES {
                self.bases.clear();
            }
            self.bases.insert(
                signature.signer,
                Base {
                    offset,
                    document: record.signature.to_vec(),
                    digest: signature.digest,
                    uses: 0,
                    shared: VecDeque::new(),
                },
            );
        }
        for attachment in &record.attachments {
            if let Attachment::Sealed(body) = attachment {
                body.keep();
            }
        }
        current.next_number += 1;
        current.key.seal(
            FrameKind::Record,
            number,
            Some(&head),
            &mut self.buffer,
            sealed,
        )?;
        FrameHeader::seal(
            FrameKind::Record,
            current.number,
            number,
            current.durable as u32,
            &mut self.buffer[start..],
        );
        self.waiting.push(Waiting {
            entry: Entry {
                hash: head.query_hash,
                number,
                offset,
                time: record.time,
            },
            time: record.time,
            oldest_segment: head.oldest_segment,
        });
        let id = RecordId::new(current.number, number);
        if self.buffer.len() > WRITE_EARLY {
            self.write_buffer()?;
        }
        Ok(id)
    }

    /// Puts a time-stamp behind what is buffered; it counts once [`Journal::flush`] has succeeded.
    ///
    /// # Errors
    /// The time-stamp is refused and changes nothing.
    pub fn append_stamp(&mut self, stamp: Stamp, now: u64) -> Result<(), LogError> {
        stamp.check()?;
        let most = stamp.records.len() * 40 + stamp.token.len() + 1024;
        self.make_room(most as u64, false, now)?;
        let Some(current) = &mut self.current else {
            return Err(LogError::Closed);
        };
        let number = current.next_number;
        current.next_number += 1;
        let start = self.buffer.len();
        let offset = (current.position + start as u64) as u32;
        self.buffer.resize(start + FRAME_HEADER, 0);
        stamp.encode(&mut self.buffer);
        current.key.seal(
            FrameKind::Stamp,
            number,
            None,
            &mut self.buffer,
            start + FRAME_HEADER,
        )?;
        FrameHeader::seal(
            FrameKind::Stamp,
            current.number,
            number,
            current.durable as u32,
            &mut self.buffer[start..],
        );
        self.stamps.push((StampEntry { number, offset }, stamp));
        Ok(())
    }

    /// Writes a sealed chunk of a body at once (it is synced with the next
    /// flush). `frame` is [`CHUNK_ROOM`](crate::CHUNK_ROOM) bytes of room and
    /// the sealed chunk; afterwards its content is of no use. Returns segment and offset of the sealed bytes.
    ///
    /// # Errors
    /// There is no room, or the journal stopped.
    pub fn append_chunk(
        &mut self,
        frame: &mut Vec<u8>,
        chunk: u32,
        now: u64,
    ) -> Result<(u32, u32), LogError> {
        self.make_room(frame.len() as u64, true, now)?;
        self.write_buffer()?;
        let Some(current) = &mut self.current else {
            return Err(LogError::Closed);
        };
        FrameHeader::seal(
            FrameKind::Chunk,
            current.number,
            chunk,
            current.durable as u32,
            frame,
        );
        let place = (
            current.number,
            (current.position + FRAME_HEADER as u64) as u32,
        );
        let length = frame.len() as u64;
        fill_page(current.position, frame);
        match current.file.write_at(current.position, frame) {
            Ok(()) => {
                current.position += length;
                Ok(place)
            }
            Err(error) => Err(self.write_failed(&error)),
        }
    }

    /// A write that found no room may have left part of itself behind, so its
    /// segment is not continued; any other failure stops the journal.
    fn write_failed(&mut self, error: &io::Error) -> LogError {
        if error.kind() != io::ErrorKind::StorageFull {
            return self.poison(error);
        }
        if let Some(current) = &mut self.current {
            current.abandoned = true;
        }
        self.buffer.clear();
        self.waiting.clear();
        self.stamps.clear();
        self.bases.clear();
        LogError::NoSpace
    }

    fn write_buffer(&mut self) -> Result<(), LogError> {
        self.check()?;
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        if self.buffer.is_empty() {
            return Ok(());
        }
        let length = self.buffer.len() as u64;
        fill_page(current.position, &mut self.buffer);
        match current.file.write_at(current.position, &self.buffer) {
            Ok(()) => {
                current.position += length;
                self.buffer.clear();
                Ok(())
            }
            Err(error) => Err(self.write_failed(&error)),
        }
    }

    fn flush_written(&mut self) -> Result<(), LogError> {
        self.write_buffer()?;
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        if current.position > current.durable {
            if let Err(error) = current.file.sync() {
                return Err(self.poison(&error));
            }
            current.durable = current.position;
        }
        let (number, end) = (current.number, current.durable as u32);
        if !self.waiting.is_empty() {
            let entries: Vec<Entry> = self.waiting.iter().map(|waiting| waiting.entry).collect();
            let oldest = self
                .waiting
                .iter()
                .map(|waiting| waiting.oldest_segment)
                .fold(number, u32::min);
            if let Some(segment) = self.store.segment(number) {
                self.store.entry_published(&segment, &entries, end, oldest);
            }
            let mut stamping = lock(&self.store.stamping);
            stamping.open.entry(number).or_default().records += entries.len() as u32;
            self.store
                .pending
                .fetch_add(entries.len() as u64, Ordering::AcqRel);
            let earliest = self.waiting.iter().map(|waiting| waiting.time).min();
            if let Some(earliest) = earliest {
                // The oldest record is the first of the log's order; times of
                // records committed together may cross, so the earlier one counts.
                self.store
                    .oldest_pending
                    .fetch_min(earliest, Ordering::AcqRel);
            }
            drop(stamping);
            self.committed.extend(self.waiting.drain(..).map(|waiting| {
                Committed::proven(RecordId::new(number, waiting.entry.number), waiting.time)
            }));
        } else if let Some(segment) = self.store.segment(number)
            && let State::Live { contents, .. } = &mut *write(&segment.state)
        {
            contents.end = end;
        }
        if !self.stamps.is_empty() {
            for (entry, stamp) in std::mem::take(&mut self.stamps) {
                if let Some(segment) = self.store.segment(number)
                    && let State::Live { contents, .. } = &mut *write(&segment.state)
                {
                    contents.stamps.push(entry);
                }
                let place = StampPlace {
                    segment: number,
                    offset: entry.offset,
                };
                self.store.cover(&stamp.records, place)?;
            }
            // A derived file: when it cannot be written now, a start finds the
            // same from the time-stamps themselves.
            let _ = self.store.note_fully_stamped();
        }
        Ok(())
    }

    /// Writes and syncs everything that was appended. On success all of it is
    /// durable; on failure none of it is acknowledged, ever.
    ///
    /// # Errors
    /// [`LogError::NoSpace`] or [`LogError::Poisoned`].
    pub fn flush(&mut self) -> Result<(), LogError> {
        self.check()?;
        self.flush_written()
    }

    /// The proofs of all records that have become durable since the last call,
    /// in the order of their appending. Also after a failure: some may have been
    /// synced before it, when a segment was full.
    pub fn take_committed(&mut self) -> Vec<Committed> {
        std::mem::take(&mut self.committed)
    }

    /// Flushes and, when the segment has anything in it, seals it: a clean end.
    ///
    /// # Errors
    /// As [`Journal::flush`].
    pub fn close(mut self) -> Result<(), LogError> {
        self.flush()?;
        for number in self.take_unsealed() {
            self.store.seal(number)?;
        }
        if let Some(current) = self.current.take() {
            self.store.seal(current.number)?;
        }
        Ok(())
    }

    fn wrap_anew(&mut self, spare: &Spare<D::File>) -> Result<(), LogError> {
        if spare.rotations == self.rotations {
            return Ok(());
        }
        let wrapped = spare
            .key
            .wrap(&read(&self.store.keys), &mut *self.randomness)?;
        self.store.write_whole(&key_name(spare.number), &wrapped)
    }

    /// Wraps the data keys of segments that are put to use from now on under
    /// `keys.current`; the others are for [`Store::rotate_log_key`].
    pub fn use_keys(&mut self, keys: LogKeys) {
        self.rotations += 1;
        *write(&self.store.keys) = keys;
    }

    /// Rotates the operator's key: every key file is wrapped under `keys.current`, that
    /// of a segment under preparation before the segment is put to use.
    ///
    /// # Errors
    /// As [`Store::rotate_log_key`].
    pub fn rotate_log_key(&mut self, keys: LogKeys) -> Result<(), LogError> {
        self.use_keys(keys.clone());
        self.store.rotate_log_key(keys, &mut *self.randomness)
    }
}
