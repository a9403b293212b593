//! Slice F: what a durable append costs at best: records of the product's size in a plain file, one committer that
//! flushes for all who wait.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

use super::{Failure, message, runtime};

/// Bytes that are written over and over.
const FILE: u64 = 64 * 1024 * 1024;

/// Bytes of the append whose flush is timed.
const PAGE: usize = 4096;

/// The longest that a record waits for others to share a flush with.
const WINDOW: Duration = Duration::from_millis(1);

/// Where records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// The end of a file that grows: what the model's limit is made of.
    Growing,
    /// A file that is written over: cheaper, since the file system allocates nothing.
    Preallocated,
}

/// Files to append to, for as many slices as there are.
#[derive(Debug)]
pub(super) struct Journal {
    preallocated: File,
    growing: File,
    /// Pages that [`Journal::single`] has written.
    pages: AtomicU64,
}

impl Journal {
    /// Makes the files in this folder; one is written once through, so that later writes allocate nothing.
    pub(super) fn create(folder: &Path) -> Result<Self, Failure> {
        let create = |name: &str| {
            let path = folder.join(name);
            File::create(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let (file, growing) = (create("journal")?, create("journal-growing")?);
        let zeros = vec![0; 1024 * 1024];
        for place in 0..FILE / zeros.len() as u64 {
            file.write_all_at(&zeros, place * zeros.len() as u64)
                .map_err(|error| error.to_string())?;
        }
        file.sync_all().map_err(|error| error.to_string())?;
        Ok(Self {
            preallocated: file,
            growing,
            pages: AtomicU64::new(0),
        })
    }

    /// Microseconds of CPU of one record of this many bytes with this many writers, each of which waits for its record.
    pub(super) fn grouped(
        &self,
        ground: Ground,
        record: usize,
        writers: usize,
        time: Duration,
    ) -> Result<f64, Failure> {
        let text = |error: std::io::Error| error.to_string();
        let file = match ground {
            Ground::Growing => {
                self.growing.set_len(0).map_err(text)?;
                self.growing.sync_all().map_err(text)?;
                self.growing.try_clone().map_err(text)?
            }
            Ground::Preallocated => self.preallocated.try_clone().map_err(text)?,
        };
        let limit = match ground {
            Ground::Growing => u64::MAX,
            Ground::Preallocated => FILE,
        };
        let record = message::block(record);
        let (sender, receiver) = mpsc::channel::<oneshot::Sender<()>>();
        let before = cpu();
        let committer = std::thread::spawn(move || commit(&file, limit, &record, &receiver));
        let written = runtime()?.block_on(async {
            let end = Instant::now() + time;
            let tasks: Vec<_> = (0..writers)
                .map(|_| {
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        let mut written = 0_u64;
                        while Instant::now() < end {
                            let (done, wait) = oneshot::channel();
                            if sender.send(done).is_err() || wait.await.is_err() {
                                break;
                            }
                            written += 1;
                        }
                        written
                    })
                })
                .collect();
            drop(sender);
            let mut written = 0;
            for task in tasks {
                written += task.await.unwrap_or(0);
            }
            written
        });
        committer
            .join()
            .map_err(|_| "the committer failed")?
            .map_err(|error| error.to_string())?;
        Ok((cpu() - before).as_secs_f64() * 1e6 / written.max(1) as f64)
    }

    /// The times in nanoseconds of appends of one page, each with its flush, when nobody else here writes.
    pub(super) fn single(&self, appends: usize) -> Result<Vec<u64>, Failure> {
        let file = &self.preallocated;
        let record = message::block(PAGE);
        let mut times = Vec::with_capacity(appends);
        for _ in 0..appends {
            // As a log does: a page that was written a moment ago takes longer.
            let place = self.pages.fetch_add(1, Ordering::Relaxed) * PAGE as u64 % FILE;
            let start = Instant::now();
            file.write_all_at(&record, place)
                .and_then(|()| file.sync_data())
                .map_err(|error| error.to_string())?;
            times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
        Ok(times)
    }

    /// Microseconds of CPU of writing one MB (a million bytes) in sequence, flushed at the end.
    pub(super) fn sequential(&self, megabytes: u64) -> Result<f64, Failure> {
        let file = &self.preallocated;
        let piece = message::block(64 * 1024);
        let before = cpu();
        let pieces = megabytes * 1_000_000 / piece.len() as u64;
        for number in 0..pieces {
            let place = number * piece.len() as u64 % FILE;
            file.write_all_at(&piece, place)
                .map_err(|error| error.to_string())?;
        }
        file.sync_data().map_err(|error| error.to_string())?;
        Ok((cpu() - before).as_secs_f64() * 1e6 / megabytes.max(1) as f64)
    }
}

fn commit(
    file: &File,
    limit: u64,
    record: &[u8],
    receiver: &mpsc::Receiver<oneshot::Sender<()>>,
) -> std::io::Result<()> {
    let mut place = 0_u64;
    let mut batch = Vec::new();
    let mut waiting = Vec::new();
    while let Ok(first) = receiver.recv() {
        waiting.push(first);
        waiting.extend(receiver.try_iter());
        if waiting.len() > 1 {
            std::thread::sleep(WINDOW);
            waiting.extend(receiver.try_iter());
        }
        batch.clear();
        for _ in &waiting {
            batch.extend_from_slice(record);
        }
        if place + batch.len() as u64 > limit {
            place = 0;
        }
        file.write_all_at(&batch, place)?;
        file.sync_data()?;
        place += batch.len() as u64;
        for done in waiting.drain(..) {
            let _ = done.send(());
        }
    }
    Ok(())
}

/// CPU time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::create(folder.path()).unwrap();
        for ground in [Ground::Growing, Ground::Preallocated] {
            let cost = journal.grouped(ground, 4096, 16, Duration::from_millis(50));
            assert!(cost.unwrap() > 0.0);
        }
        assert_eq!(journal.single(5).unwrap().len(), 5);
        assert!(journal.sequential(2).unwrap() > 0.0);
    }
}
