//! The writer thread and what it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use messagelog::{
    CHUNK_ROOM, Committed, DeadRun, DeadSpace, Journal, LogError, LogKeys, NewRecord, RecordId,
    Spare, SpareJob, Stamp, Store,
};
use tokio::sync::oneshot;

use crate::files::{FileDirectory, LogFile};
use crate::merge::Merger;

/// A reply to whoever waits.
pub type Reply<T> = oneshot::Sender<Result<T, LogError>>;

/// A commit and the moment of the answer.
pub type Answered = (Committed, Instant);

/// What a chunk's writer gets back: where it is, and the buffer for the next one.
pub struct Written {
    /// Number of the segment.
    pub segment: u32,
    /// Offset of the sealed bytes.
    pub offset: u32,
    /// Length of the whole frame.
    pub length: u32,
    /// The buffer that was written.
    pub frame: Vec<u8>,
}

/// What the writer thread is asked to do.
pub enum Command {
    /// Append a record, reply when it is durable.
    Commit(Box<NewRecord>, Reply<Answered>),
    /// Write a sealed chunk, reply when it is written (not synced).
    Chunk {
        frame: Vec<u8>,
        number: u32,
        reply: Reply<Written>,
    },
    /// Append a time-stamp, reply when it is durable.
    Stamp(Stamp, Reply<()>),
    /// Wrap the data keys of new segments under other keys.
    Rotate(LogKeys, Reply<()>),
    /// Chunks that no record will hold.
    Dead(Vec<DeadRun>),
    /// Much was written by senders of bodies themselves: there is work after that.
    Wrote,
    /// The helper prepared a segment, or failed to.
    Spare(Option<Spare<LogFile>>),
    /// Flush, seal and end.
    Close(Option<Reply<()>>),
}

#[derive(Default)]
struct Inner {
    commands: VecDeque<Command>,
    /// The writer waits without an end: it must be woken.
    idle: bool,
    /// The writer gathers commits; only something urgent wakes it.
    gathering: bool,
    urgent: bool,
    closed: bool,
}

/// The queue before the writer thread.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
    /// Those who wait for commits.
    pub committers: Committers,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a command over; false when the writer has ended.
    pub fn push(&self, command: Command) -> bool {
        let urgent = !matches!(
            command,
            Command::Commit(..) | Command::Wrote | Command::Spare(_) | Command::Dead(_)
        );
        let mut inner = self.lock();
        if inner.closed {
            return false;
        }
        inner.commands.push_back(command);
        inner.urgent |= urgent;
        let wake = inner.idle || (inner.gathering && urgent);
        drop(inner);
        if wake {
            self.wake.notify_one();
        }
        true
    }

    /// Whether the writer sleeps and nobody waits for it.
    fn is_idle(&self) -> bool {
        let inner = self.lock();
        inner.idle && inner.commands.is_empty() && !inner.closed
    }

    fn take(&self, patience: Duration, into: &mut VecDeque<Command>) {
        let mut inner = self.lock();
        if inner.commands.is_empty() {
            inner.idle = true;
            inner = self
                .wake
                .wait_timeout_while(inner, patience, |inner| inner.commands.is_empty())
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            inner.idle = false;
        }
        inner.urgent = false;
        into.append(&mut inner.commands);
    }

    fn gather(&self, window: Duration, into: &mut VecDeque<Command>) {
        let mut inner = self.lock();
        inner.gathering = true;
        inner = self
            .wake
            .wait_timeout_while(inner, window, |inner| !inner.urgent)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        inner.gathering = false;
        inner.urgent = false;
        into.append(&mut inner.commands);
    }

    fn close(&self) -> VecDeque<Command> {
        let mut inner = self.lock();
        inner.closed = true;
        std::mem::take(&mut inner.commands)
    }
}

impl DeadSpace for Queue {
    fn report(&self, runs: Vec<DeadRun>) {
        self.push(Command::Dead(runs));
    }
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Work for the helper thread.
pub enum Chore {
    /// Write a segment's index.
    Seal(u32),
    /// Prepare a segment.
    Spare(SpareJob),
    /// Give the room of chunks back that no record holds.
    Reclaim(Vec<DeadRun>),
    /// Let what is written of bodies be on its way to the disk.
    Writeback,
}

/// Those who wait for commits, and how soon they go on once they are answered.
#[derive(Debug, Default)]
pub struct Committers {
    waiting: AtomicUsize,
    /// Nanoseconds from an answer to its reader's next step, smoothed.
    lag: AtomicU64,
}

/// Somebody who waits for a commit, until it is dropped.
#[derive(Debug)]
pub struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Committers {
    /// One more who waits.
    pub fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// An answer given at `answered` was read just now.
    pub fn resumed(&self, answered: Instant) {
        let lag = answered.elapsed().as_nanos() as u64;
        let smoothed = self.lag.load(Ordering::Relaxed);
        // Samples that get lost between the two steps do no harm.
        self.lag
            .store(smoothed - smoothed / 8 + lag / 8, Ordering::Relaxed);
    }

    fn alone(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) <= 1
    }

    /// How long commits are gathered before a flush: a part of what committers wait for
    /// a processor anyway. With time to spare that is nothing, since gathering would only
    /// delay them; on a busy machine a flush less is time for all.
    fn window(&self, most: Duration) -> Duration {
        Duration::from_nanos(self.lag.load(Ordering::Relaxed) / 2).min(most)
    }
}

/// A window shorter than this is none: to sleep for so long takes longer.
const SHORTEST_WINDOW: Duration = Duration::from_micros(50);

/// The longest flush or write that somebody else may wait for in place of the writer.
const SHORT: Duration = Duration::from_millis(1);

/// Bytes of bodies after which they are to be on their way to the disk.
const WRITEBACK: usize = 8 << 20;

/// An open journal and how long its flushes and writes took.
struct Open {
    journal: Journal<FileDirectory>,
    last_flush: Duration,
    last_chunk: Duration,
    /// Bytes of bodies since the last hint.
    since_hint: usize,
}

impl Open {
    fn flush(&mut self) -> Result<(), LogError> {
        let started = Instant::now();
        let result = self.journal.flush();
        self.last_flush = started.elapsed();
        result
    }

    fn chunk(&mut self, mut frame: Vec<u8>, number: u32) -> Result<Written, LogError> {
        let length = frame.len() as u32;
        let started = Instant::now();
        let placed = self.journal.append_chunk(&mut frame, number, now());
        self.last_chunk = started.elapsed();
        self.since_hint += length as usize;
        placed.map(|(segment, offset)| Written {
            segment,
            offset,
            length,
            frame,
        })
    }
}

/// The journal, until the log is closed: the writer's, but for a lone committer and for
/// chunks of bodies.
pub struct Writing(Option<Open>);

impl Writing {
    /// An open journal.
    pub fn new(journal: Journal<FileDirectory>) -> Self {
        Self(Some(Open {
            journal,
            last_flush: Duration::ZERO,
            last_chunk: Duration::ZERO,
            since_hint: 0,
        }))
    }
}

/// Commits a record on the caller's own thread while nobody else is there, the writer
/// sleeps and the disk is quick: to wake the writer and be woken by it would take as
/// long as the flush itself. `None`: hand it to the writer.
pub fn commit_here(
    queue: &Queue,
    writing: &Mutex<Writing>,
    record: &NewRecord,
) -> Option<Result<Committed, LogError>> {
    if !queue.committers.alone() || !queue.is_idle() {
        return None;
    }
    let mut writing = writing.try_lock().ok()?;
    let open = writing.0.as_mut()?;
    if open.last_flush > SHORT {
        return None;
    }
    let id = match open.journal.append(record, now()) {
        Ok(id) => id,
        Err(error) => return Some(Err(error)),
    };
    let result = open.flush();
    let proof = open
        .journal
        .take_committed()
        .into_iter()
        .find(|proof| proof.record_id() == id);
    Some(proof.ok_or_else(|| result.err().unwrap_or(LogError::Closed)))
}

/// Writes a chunk on the caller's own thread while nobody else writes and writing is
/// quick, as it is into the page cache. Otherwise the frame comes back, for the writer.
pub fn chunk_here(
    queue: &Queue,
    writing: &Mutex<Writing>,
    frame: Vec<u8>,
    number: u32,
) -> Result<Result<Written, LogError>, Vec<u8>> {
    let Ok(mut writing) = writing.try_lock() else {
        return Err(frame);
    };
    let Some(open) = writing.0.as_mut().filter(|open| open.last_chunk <= SHORT) else {
        return Err(frame);
    };
    let written = open.chunk(frame, number);
    let much = open.since_hint > WRITEBACK;
    drop(writing);
    if much {
        queue.push(Command::Wrote);
    }
    Ok(written)
}

/// Runs the writer until it is closed.
///
/// On a busy machine commits are gathered for at most `most`.
pub fn write_loop(
    writing: &Mutex<Writing>,
    queue: &Queue,
    chores: &SyncSender<Chore>,
    most: Duration,
) {
    let lock = || writing.lock().unwrap_or_else(PoisonError::into_inner);
    let mut commands = VecDeque::new();
    let mut commits: Vec<(RecordId, Reply<Answered>)> = Vec::new();
    let mut others: Vec<Reply<()>> = Vec::new();
    let mut unsealed: VecDeque<u32> = VecDeque::new();
    let mut dead: Vec<DeadRun> = Vec::new();
    loop {
        queue.take(Duration::from_secs(1), &mut commands);
        if commands
            .iter()
            .all(|command| matches!(command, Command::Commit(..) | Command::Dead(_)))
            && commands
                .iter()
                .any(|command| matches!(command, Command::Commit(..)))
        {
            let length = queue.committers.window(most);
            if length > SHORTEST_WINDOW {
                queue.gather(length, &mut commands);
            }
        }
        let mut writing = lock();
        let Some(open) = writing.0.as_mut() else {
            return;
        };
        let time = now();
        let mut closing = None;
        let mut durable_needed = false;
        for command in commands.drain(..) {
            match command {
                Command::Commit(record, reply) => match open.journal.append(&record, time) {
                    Ok(id) => {
                        commits.push((id, reply));
                        durable_needed = true;
                    }
                    Err(error) => {
                        let _ = reply.send(Err(error));
                    }
                },
                Command::Chunk {
                    frame,
                    number,
                    reply,
                } => {
                    let answer = reply.send(open.chunk(frame, number));
                    if let Err(Ok(written)) = answer {
                        // Nobody waits for it any more: its body was given up.
                        let start = written.offset - CHUNK_ROOM as u32;
                        dead.push(DeadRun {
                            segment: written.segment,
                            start,
                            end: start + written.length,
                        });
                    }
                }
                Command::Stamp(stamp, reply) => match open.journal.append_stamp(stamp, time) {
                    Ok(()) => {
                        others.push(reply);
                        durable_needed = true;
                    }
                    Err(error) => {
                        let _ = reply.send(Err(error));
                    }
                },
                Command::Rotate(keys, reply) => {
                    open.journal.use_keys(keys);
                    let _ = reply.send(Ok(()));
                }
                Command::Spare(spare) => open.journal.offer_spare(spare),
                Command::Wrote => {}
                Command::Dead(runs) => dead.extend(runs),
                Command::Close(reply) => closing = Some(reply),
            }
        }
        if durable_needed {
            let result = open.flush();
            answer(&mut open.journal, &mut commits, result.as_ref().err());
            for reply in others.drain(..) {
                let _ = reply.send(result.clone());
            }
        }
        if let Some(reply) = closing {
            let result = writing.0.take().map_or(Ok(()), |open| open.journal.close());
            for command in queue.close() {
                refuse(command);
            }
            if let Some(reply) = reply {
                let _ = reply.send(result);
            }
            return;
        }
        if open.since_hint > WRITEBACK {
            open.since_hint = 0;
            // Bodies wait for no flush; without this the next one would wait for them.
            let _ = chores.try_send(Chore::Writeback);
        }
        open.journal.retry_space(time);
        unsealed.extend(open.journal.take_unsealed());
        while let Some(segment) = unsealed.pop_front() {
            if let Err(TrySendError::Full(_)) = chores.try_send(Chore::Seal(segment)) {
                unsealed.push_front(segment);
                break;
            }
        }
        if !dead.is_empty()
            && let Err(TrySendError::Full(Chore::Reclaim(runs))) =
                chores.try_send(Chore::Reclaim(std::mem::take(&mut dead)))
        {
            dead = runs;
        }
        match open.journal.wants_spare(time) {
            Ok(Some(job)) => {
                if chores.try_send(Chore::Spare(job)).is_err() {
                    open.journal.offer_spare(None);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "no further segment can be prepared"),
        }
    }
}

fn answer(
    journal: &mut Journal<FileDirectory>,
    commits: &mut Vec<(RecordId, Reply<Answered>)>,
    error: Option<&LogError>,
) {
    let time = Instant::now();
    let mut proofs = journal.take_committed().into_iter().peekable();
    for (id, reply) in commits.drain(..) {
        let proof = proofs.next_if(|proof| proof.record_id() == id);
        let result = match (proof, error) {
            (Some(proof), _) => Ok((proof, time)),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err(LogError::Closed),
        };
        let _ = reply.send(result);
    }
}

fn refuse(command: Command) {
    match command {
        Command::Commit(_, reply) => {
            let _ = reply.send(Err(LogError::Closed));
        }
        Command::Chunk { reply, .. } => {
            let _ = reply.send(Err(LogError::Closed));
        }
        Command::Stamp(_, reply) | Command::Rotate(_, reply) => {
            let _ = reply.send(Err(LogError::Closed));
        }
        Command::Close(Some(reply)) => {
            let _ = reply.send(Ok(()));
        }
        Command::Close(None) | Command::Wrote | Command::Spare(_) | Command::Dead(_) => {}
    }
}

/// Runs the helper: indexes, preparation of segments, retention.
pub fn help_loop(
    store: &Arc<Store<FileDirectory>>,
    queue: &Queue,
    chores: &Receiver<Chore>,
    retention: Option<Duration>,
) {
    let mut unsealed: Vec<u32> = Vec::new();
    let mut dead: BTreeMap<u32, Vec<DeadRun>> = BTreeMap::new();
    let mut merger = Merger::default();
    loop {
        let chore = chores.recv_timeout(Duration::from_secs(60));
        let may_merge = matches!(chore, Ok(Chore::Seal(_)) | Err(RecvTimeoutError::Timeout));
        match chore {
            Ok(Chore::Seal(segment)) => unsealed.push(segment),
            Ok(Chore::Reclaim(runs)) => {
                for run in runs {
                    dead.entry(run.segment).or_default().push(run);
                }
            }
            Ok(Chore::Writeback) => store.hint_writeback(),
            Ok(Chore::Spare(job)) => {
                let spare = job.run(store);
                if let Err(error) = &spare {
                    tracing::warn!(%error, "the next segment of the message log cannot be prepared");
                }
                queue.push(Command::Spare(spare.ok()));
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(retention) = retention {
                    let before = now().saturating_sub(retention.as_millis() as u64);
                    match store.expire(before) {
                        Ok(0) => {}
                        Ok(segments) => {
                            tracing::info!(segments, "deleted after the retention period");
                        }
                        Err(error) => tracing::error!(%error, "retention of the message log"),
                    }
                }
            }
            Err(RecvTimeoutError::Disconnected) => return merger.end(store),
        }
        unsealed.retain(|segment| match store.seal(*segment) {
            Ok(()) => false,
            Err(error) => {
                tracing::warn!(%error, segment, "a segment's index cannot be written yet");
                true
            }
        });
        if may_merge {
            merger.begin(store);
        }
        dead.retain(|segment, runs| match store.is_sealed(*segment) {
            Some(false) => true,
            None => false,
            Some(true) => {
                match store.reclaim(*segment, std::mem::take(runs)) {
                    Ok(bytes) => tracing::debug!(segment, bytes, "dead space given back"),
                    Err(error) => tracing::warn!(%error, segment, "dead space"),
                }
                false
            }
        });
    }
}
