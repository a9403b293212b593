//! The handle that services hold.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use messagelog::{
    BodyKey, BodyReader, CHUNK_ROOM, ChunkSealer, ChunkSource, Committed, ConfigurationId, DeadRun,
    DeadSpace, Extent, INLINE_LIMIT, Journal, JournalSettings, LogError, LogKeys, NewRecord,
    Pending, Randomness, RecordId, RecordQuery, Recovery, SealedBody, Spool, SpoolLimits,
    SpoolOwner, SpoolShare, Stamp, StampForm, Store, StoredRecord, TAG_LENGTH, UnderWay,
};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::oneshot;

use crate::export::{Exported, export_archive, export_one};
use crate::files::FileDirectory;
use crate::queue::{
    Command, Queue, Reply, Writing, Written, chunk_here, commit_here, help_loop, now, write_loop,
};

/// Chunks of one body that may be under way to the writer.
const CHUNKS_UNDER_WAY: usize = 2;
/// Chunks that are read at once.
const CHUNKS_READ: usize = 4;

/// How the log is kept.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The directory, which belongs to the log alone; created if absent.
    pub directory: PathBuf,
    /// Size of a segment in bytes.
    pub segment_size: u64,
    /// Bytes of the disk that unverified bodies never take.
    pub reserve: u64,
    /// Quotas of bodies whose record is not committed.
    pub spool: SpoolLimits,
    /// Longest time that commits are gathered for one flush; they are only while the machine is too busy
    /// to let committers go on at once.
    pub commit_window: Duration,
    /// How long records are kept once they are time-stamped; `None` is for ever.
    pub retention: Option<Duration>,
    /// How old a record without a time-stamp may become before messages are refused.
    pub acceptable_timestamp_failure: Duration,
}

impl LogSettings {
    /// The defaults for a log in `directory`: 64 MiB segments, 256 MiB reserve,
    /// 2 GiB of unverified bodies per peer and 8 GiB in all, 3 ms window, kept for
    /// ever, 14,400 s without time-stamps (X-Road's default).
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            segment_size: 64 << 20,
            reserve: 256 << 20,
            spool: SpoolLimits {
                per_peer: 2 << 30,
                total: 8 << 30,
            },
            commit_window: Duration::from_millis(3),
            retention: None,
            acceptable_timestamp_failure: Duration::from_secs(14_400),
        }
    }
}

/// Opens a log that no process writes, for reading only; for example with the
/// offline recovery twin.
///
/// # Errors
/// The directory cannot be used, or no key fits.
pub fn open_for_reading(
    directory: &Path,
    keys: LogKeys,
) -> Result<Arc<Store<FileDirectory>>, LogError> {
    if !directory.is_dir() {
        return Err(LogError::NotFound(directory.display().to_string()));
    }
    let directory = Arc::new(FileDirectory::open(directory)?);
    Store::open(&directory, keys).map(|(store, _)| store)
}

/// Wraps all data keys of a log that no process writes under `keys.current`;
/// `keys.previous` or `keys.twin` open them. The segments are not touched.
///
/// # Errors
/// The directory cannot be used, or no key fits. What was done stays done, and the
/// call can be repeated.
pub fn rotate_stopped(directory: &Path, keys: LogKeys) -> Result<(), LogError> {
    let store = open_for_reading(directory, keys.clone())?;
    store.rotate_log_key(keys, &mut SystemRandomness)
}

struct SystemRandomness;

/// Random bytes from the kernel: aws-lc would first measure the processor's jitter for
/// some 40 ms, and the log is opened while somebody waits.
impl Randomness for SystemRandomness {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), LogError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match getrandom(rest, GetRandomFlags::empty()) {
                Ok(length) => filled += length,
                Err(Errno::INTR) => {}
                Err(_) => return Err(LogError::BadKey("the random generator failed")),
            }
        }
        Ok(())
    }
}

struct Inner {
    store: Arc<Store<FileDirectory>>,
    queue: Arc<Queue>,
    writing: Arc<Mutex<Writing>>,
    spool: Spool,
    acceptable_ms: u64,
    recovery: Recovery,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.push(Command::Close(None));
    }
}

/// The message log. Cheap to clone; the last clone's end flushes and closes it.
#[derive(Clone)]
pub struct MessageLog(Arc<Inner>);

impl fmt::Debug for MessageLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MessageLog").field(&self.0.store).finish()
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), LogError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map(drop)
        .map_err(|error| LogError::Io(error.to_string()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(LogError::Closed))
}

impl MessageLog {
    /// Opens the log, recovering what an earlier run left, and starts its threads.
    ///
    /// # Errors
    /// The directory cannot be used, or a key does not fit.
    pub fn open(settings: LogSettings, keys: LogKeys) -> Result<Self, LogError> {
        // Whoever commits signs as well: aws-lc gathers its first entropy while the log is
        // opened, so that the first signature need not wait for it.
        thread("entropy", || {
            let _ = aws_lc_rs::rand::fill(&mut [0]);
        })?;
        let directory = Arc::new(FileDirectory::open(&settings.directory)?);
        let (journal, recovery) = Journal::open(
            directory,
            JournalSettings {
                segment_size: settings.segment_size,
                first_segment_size: settings.segment_size.min(4 << 20),
                reserve: settings.reserve,
            },
            keys,
            Box::new(SystemRandomness),
            now(),
        )?;
        if !recovery.scanned.is_empty() || !recovery.damaged.is_empty() {
            tracing::info!(?recovery, "the message log was not closed cleanly");
        }
        let store = Arc::clone(journal.store());
        let queue = Arc::new(Queue::default());
        let (chores, todo) = sync_channel(64);
        let helper = (Arc::clone(&store), Arc::clone(&queue), settings.retention);
        thread("log-helper", move || {
            let (store, queue, retention) = helper;
            help_loop(&store, &queue, &todo, retention);
        })?;
        let writing = Arc::new(Mutex::new(Writing::new(journal)));
        let writer = (Arc::clone(&writing), Arc::clone(&queue));
        let window = settings.commit_window;
        thread("log-writer", move || {
            write_loop(&writer.0, &writer.1, &chores, window);
        })?;
        Ok(Self(Arc::new(Inner {
            store,
            queue,
            writing,
            spool: Spool::new(settings.spool),
            acceptable_ms: settings.acceptable_timestamp_failure.as_millis() as u64,
            recovery,
        })))
    }

    /// What opening found.
    pub fn recovery(&self) -> &Recovery {
        &self.0.recovery
    }

    /// The reading side without async, for exports and tools.
    pub fn store(&self) -> &Arc<Store<FileDirectory>> {
        &self.0.store
    }

    /// Whether messages may be taken at `now` (ms since 1970): asked before each exchange.
    ///
    /// # Errors
    /// The log stopped, is full, or time-stamps fail for too long.
    pub fn accepts(&self, now: u64) -> Result<(), LogError> {
        self.0.store.accepts(now, self.0.acceptable_ms)
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        if !self.0.queue.push(command(reply)) {
            return Err(LogError::Closed);
        }
        answer.await.unwrap_or(Err(LogError::Closed))
    }

    /// Appends a record and returns once it is on disk. When the future is
    /// dropped meanwhile, the record may be committed all the same.
    ///
    /// # Errors
    /// It is not on disk, for the reason given.
    pub async fn commit(&self, record: NewRecord) -> Result<Committed, LogError> {
        let committers = &self.0.queue.committers;
        let _waiting = committers.wait();
        if let Some(result) = commit_here(&self.0.queue, &self.0.writing, &record) {
            return result;
        }
        let record = Box::new(record);
        let (committed, answered) = self.ask(|reply| Command::Commit(record, reply)).await?;
        committers.resumed(answered);
        Ok(committed)
    }

    /// Begins a body that is too large to be kept in a record.
    pub fn body(&self, owner: SpoolOwner) -> BodyWriter {
        BodyWriter {
            log: self.clone(),
            share: Some(self.0.spool.share(owner)),
            sealing: None,
            frame: Vec::new(),
            len: 0,
            under_way: VecDeque::new(),
            extents: Vec::new(),
        }
    }

    /// Keeps a signed configuration (paths within it and bytes) durably, once.
    /// Must have returned before the first record that names it is committed.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn keep_configuration(
        &self,
        id: ConfigurationId,
        files: Vec<(String, Bytes)>,
    ) -> Result<(), LogError> {
        let store = Arc::clone(&self.0.store);
        blocking(move || store.keep_configuration(id, &files)).await
    }

    /// Whether a signed configuration is kept.
    pub fn has_configuration(&self, id: ConfigurationId) -> bool {
        self.0.store.has_configuration(id)
    }

    /// Reads a kept configuration back.
    ///
    /// # Errors
    /// It was never kept, or is damaged.
    pub async fn configuration(
        &self,
        id: ConfigurationId,
    ) -> Result<Vec<(String, Bytes)>, LogError> {
        let store = Arc::clone(&self.0.store);
        blocking(move || store.configuration(id)).await
    }

    /// The records that match, oldest first.
    ///
    /// # Errors
    /// A segment cannot be read or opened.
    pub async fn find(&self, query: RecordQuery) -> Result<Vec<StoredRecord>, LogError> {
        let store = Arc::clone(&self.0.store);
        blocking(move || store.find(&query)).await
    }

    /// One record.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn get(&self, id: RecordId) -> Result<StoredRecord, LogError> {
        let store = Arc::clone(&self.0.store);
        blocking(move || store.get(id)).await
    }

    /// The ASiC-E container of one record.
    ///
    /// # Errors
    /// There is no such record, or a part of it cannot be read.
    pub async fn export(&self, id: RecordId) -> Result<Exported, LogError> {
        let store = Arc::clone(&self.0.store);
        blocking(move || export_one(&store, id)).await
    }

    /// A zip of the containers of all matching records, with the signed
    /// configurations that they are judged against.
    ///
    /// # Errors
    /// A record or configuration cannot be read.
    pub async fn export_archive(&self, query: RecordQuery) -> Result<Exported, LogError> {
        let store = Arc::clone(&self.0.store);
        blocking(move || export_archive(&store, &query)).await
    }

    /// Up to `max` of the oldest records without a time-stamp.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub async fn pending(&self, max: usize) -> Result<Pending, LogError> {
        let store = Arc::clone(&self.0.store);
        blocking(move || store.pending(max)).await
    }

    /// The same for given records; those that have a time-stamp are left out.
    ///
    /// # Errors
    /// A record cannot be read.
    pub async fn pending_of(&self, records: Vec<RecordId>) -> Result<Pending, LogError> {
        let store = Arc::clone(&self.0.store);
        blocking(move || store.pending_of(&records)).await
    }

    /// Stores a verified token (DER `ContentInfo`) over pending records, durably,
    /// with the signed configuration in force, which must be kept.
    ///
    /// # Errors
    /// It is not on disk.
    pub async fn commit_timestamp(
        &self,
        pending: Pending,
        form: StampForm,
        token: Bytes,
        configuration: Option<ConfigurationId>,
    ) -> Result<(), LogError> {
        if let Some(id) = configuration.filter(|id| !self.has_configuration(*id)) {
            return Err(LogError::UnknownConfiguration(id.to_string()));
        }
        let stamp = Stamp {
            form,
            records: pending.records,
            digests: pending.digests,
            token,
            configuration,
        };
        self.ask(|reply| Command::Stamp(stamp, reply)).await
    }

    /// Time of the oldest record without a time-stamp, ms since 1970.
    pub fn oldest_pending(&self) -> Option<u64> {
        self.0.store.oldest_pending()
    }

    /// How many records have no time-stamp.
    pub fn pending_count(&self) -> u64 {
        self.0.store.pending_count()
    }

    /// Bytes of bodies under way whose record is not committed.
    pub fn spool_used(&self) -> u64 {
        self.0.spool.used()
    }

    /// Wraps all data keys under `keys.current`; `keys.previous` holds those in use so far.
    ///
    /// # Errors
    /// A key file cannot be opened or written; the call can be repeated.
    pub async fn rotate_log_key(&self, keys: LogKeys) -> Result<(), LogError> {
        let for_new = keys.clone();
        self.ask(|reply| Command::Rotate(for_new, reply)).await?;
        // Not on the writer's time: there may be thousands of segments.
        let store = Arc::clone(&self.0.store);
        blocking(move || store.rotate_log_key(keys, &mut SystemRandomness)).await
    }

    /// Flushes, seals and ends the log; afterwards everything is refused.
    ///
    /// # Errors
    /// The last flush failed.
    pub async fn close(&self) -> Result<(), LogError> {
        self.ask(|reply| Command::Close(Some(reply))).await
    }
}

struct Sealing {
    key: BodyKey,
    sealer: ChunkSealer,
}

/// Takes one body. Dropped before [`BodyWriter::finish`], what it wrote is dead space.
pub struct BodyWriter {
    log: MessageLog,
    /// Gone once the body is finished.
    share: Option<SpoolShare>,
    sealing: Option<Sealing>,
    frame: Vec<u8>,
    len: u64,
    under_way: VecDeque<oneshot::Receiver<Result<Written, LogError>>>,
    extents: Vec<Extent>,
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyWriter({} bytes)", self.len)
    }
}

const FULL: usize = CHUNK_ROOM + INLINE_LIMIT;
const STRIDE: u32 = (FULL + TAG_LENGTH) as u32;

impl BodyWriter {
    /// Bytes taken so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was taken so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the next bytes, of any length.
    ///
    /// # Errors
    /// A quota is used up, the disk is full, or the log stopped.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), LogError> {
        if let Some(share) = &mut self.share {
            share.take(bytes.len() as u64)?;
        }
        self.len += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.frame.len() == FULL {
                self.send(false).await?;
            }
            if self.frame.is_empty() {
                self.frame.reserve_exact(FULL + TAG_LENGTH);
                self.frame.resize(CHUNK_ROOM, 0);
            }
            let piece = bytes.split_to(bytes.len().min(FULL - self.frame.len()));
            self.frame.extend_from_slice(&piece);
        }
        Ok(())
    }

    async fn send(&mut self, last: bool) -> Result<(), LogError> {
        let sealing = match &mut self.sealing {
            Some(sealing) => sealing,
            empty => {
                let mut random = [0; 32];
                SystemRandomness.fill(&mut random)?;
                let key = BodyKey::new(random);
                let sealer = ChunkSealer::new(&key)?;
                empty.insert(Sealing { key, sealer })
            }
        };
        let number = sealing.sealer.next_chunk();
        let mut frame = std::mem::take(&mut self.frame);
        sealing.sealer.seal(&mut frame, CHUNK_ROOM, last)?;
        while let Some(answer) = self.under_way.front_mut() {
            match answer.try_recv() {
                Ok(written) => {
                    self.under_way.pop_front();
                    self.placed(written?);
                }
                Err(_) => break,
            }
        }
        if self.under_way.is_empty() {
            let log = &self.log.0;
            match chunk_here(&log.queue, &log.writing, frame, number) {
                Ok(written) => {
                    self.placed(written?);
                    return Ok(());
                }
                Err(back) => frame = back,
            }
        }
        let (reply, answer) = oneshot::channel();
        if !self.log.0.queue.push(Command::Chunk {
            frame,
            number,
            reply,
        }) {
            return Err(LogError::Closed);
        }
        self.under_way.push_back(answer);
        while self.under_way.len() > CHUNKS_UNDER_WAY {
            self.settle().await?;
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), LogError> {
        let Some(answer) = self.under_way.front_mut() else {
            return Ok(());
        };
        let written = answer.await.unwrap_or(Err(LogError::Closed));
        self.under_way.pop_front();
        self.placed(written?);
        Ok(())
    }

    fn placed(&mut self, written: Written) {
        let Written {
            segment,
            offset,
            mut frame,
            ..
        } = written;
        if self.frame.is_empty() {
            frame.truncate(CHUNK_ROOM);
            self.frame = frame;
        }
        match self.extents.last_mut() {
            Some(extent)
                if extent.segment == segment
                    && u64::from(extent.offset) + u64::from(extent.count) * u64::from(STRIDE)
                        == u64::from(offset) =>
            {
                extent.count += 1;
            }
            _ => self.extents.push(Extent {
                segment,
                offset,
                count: 1,
            }),
        }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// As [`BodyWriter::write`].
    pub async fn finish(mut self) -> Result<SealedBody, LogError> {
        if self.frame.is_empty() {
            self.frame.resize(CHUNK_ROOM, 0);
        }
        self.send(true).await?;
        while !self.under_way.is_empty() {
            self.settle().await?;
        }
        let (Some(sealing), Some(share)) = (self.sealing.take(), self.share.take()) else {
            return Err(LogError::Closed);
        };
        let dead_space: Arc<dyn DeadSpace> = Arc::clone(&self.log.0.queue) as _;
        let source: Arc<dyn ChunkSource> = Arc::clone(&self.log.0.store) as _;
        SealedBody::new(
            sealing.key,
            self.len,
            std::mem::take(&mut self.extents),
            STRIDE,
            source,
            Some(UnderWay::new(share, dead_space)),
        )
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        // Settled chunks are whole ones; the writer itself notices those under way.
        let mut runs: Vec<DeadRun> = self
            .extents
            .iter()
            .map(|extent| {
                let start = extent.offset - CHUNK_ROOM as u32;
                DeadRun {
                    segment: extent.segment,
                    start,
                    end: start + extent.count * STRIDE,
                }
            })
            .collect();
        let answers = self.under_way.drain(..);
        runs.extend(answers.filter_map(|mut answer| match answer.try_recv() {
            Ok(Ok(written)) => {
                let start = written.offset - CHUNK_ROOM as u32;
                Some(DeadRun {
                    segment: written.segment,
                    start,
                    end: start + written.length,
                })
            }
            _ => None,
        }));
        if !runs.is_empty() {
            self.log.0.queue.report(runs);
        }
    }
}

/// Reads a sealed body without holding up the async threads.
#[derive(Debug)]
pub struct BodyStream {
    reader: Option<BodyReader>,
    ready: VecDeque<Bytes>,
    failed: Option<LogError>,
}

impl BodyStream {
    /// From the start of a body.
    pub fn new(body: &SealedBody) -> Self {
        Self {
            reader: Some(body.read()),
            ready: VecDeque::new(),
            failed: None,
        }
    }

    /// The next chunk; `None` at the end. Not to be called again after it was
    /// dropped half-way.
    pub async fn next(&mut self) -> Option<Result<Bytes, LogError>> {
        if self.ready.is_empty()
            && self.failed.is_none()
            && let Some(mut reader) = self.reader.take()
        {
            let read = tokio::task::spawn_blocking(move || {
                let chunks: Vec<_> = reader.by_ref().take(CHUNKS_READ).collect();
                (reader, chunks)
            })
            .await;
            match read {
                Ok((reader, chunks)) => {
                    if chunks.len() == CHUNKS_READ {
                        self.reader = Some(reader);
                    }
                    for chunk in chunks {
                        match chunk {
                            Ok(bytes) => self.ready.push_back(bytes),
                            Err(error) => self.failed = Some(error),
                        }
                    }
                }
                Err(_) => self.failed = Some(LogError::Closed),
            }
        }
        match self.ready.pop_front() {
            Some(bytes) => Some(Ok(bytes)),
            None => self.failed.take().map(Err),
        }
    }
}
