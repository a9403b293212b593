//! Slice F: what a durable append costs at best: records of the product's size, preallocated file, one committer that
//! flushes for all who wait.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

use super::{Failure, message, runtime};

/// Bytes that are written over and over.
const FILE: u64 = 64 * 1024 * 1024;

/// The longest that a record waits for others to share a flush with.
const WINDOW: Duration = Duration::from_millis(1);

/// A file to append to, for as many slices as there are.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    record: usize,
}

impl Journal {
    /// Writes the file in this folder once through, so that later writes allocate nothing.
    pub(super) fn create(folder: &Path, record: usize) -> Result<Self, Failure> {
        let path = folder.join("journal");
        let file = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let zeros = vec![0; 1024 * 1024];
        for place in 0..FILE / zeros.len() as u64 {
            file.write_all_at(&zeros, place * zeros.len() as u64)
                .map_err(|error| error.to_string())?;
        }
        file.sync_all().map_err(|error| error.to_string())?;
        Ok(Self { path, record })
    }

    /// Microseconds of CPU of one record with this many writers, each of which waits for its record.
    pub(super) fn grouped(&self, writers: usize, time: Duration) -> Result<f64, Failure> {
        let file = self.open()?;
        let record = message::block(self.record);
        let (sender, receiver) = mpsc::channel::<oneshot::Sender<()>>();
        let before = cpu();
        let committer = std::thread::spawn(move || commit(&file, &record, &receiver));
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

    /// The median time in microseconds of one append with its flush, when nobody else writes.
    pub(super) fn single(&self, appends: usize) -> Result<f64, Failure> {
        let file = self.open()?;
        let record = message::block(self.record);
        let mut times = Vec::with_capacity(appends);
        for number in 0..appends {
            let start = Instant::now();
            let place = (number * record.len()) as u64 % (FILE - record.len() as u64);
            file.write_all_at(&record, place)
                .and_then(|()| file.sync_data())
                .map_err(|error| error.to_string())?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        times.sort_by(f64::total_cmp);
        Ok(times.get(times.len() / 2).copied().unwrap_or(0.0))
    }

    /// Microseconds of CPU of writing one MB (a million bytes) in sequence, flushed at the end.
    pub(super) fn sequential(&self, megabytes: u64) -> Result<f64, Failure> {
        let file = self.open()?;
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

    fn open(&self) -> Result<File, Failure> {
        let opened = OpenOptions::new().write(true).open(&self.path);
        opened.map_err(|error| format!("{}: {error}", self.path.display()).into())
    }
}

fn commit(
    file: &File,
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
        if place + batch.len() as u64 > FILE {
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
        let journal = Journal::create(folder.path(), 4096).unwrap();
        assert!(journal.grouped(16, Duration::from_millis(50)).unwrap() > 0.0);
        assert!(journal.single(5).unwrap() > 0.0);
        assert!(journal.sequential(2).unwrap() > 0.0);
    }
}
