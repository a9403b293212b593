//! The journal's port on a directory of files.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use messagelog::{SegmentDirectory, SegmentFile};
use rustix::fs::{FallocateFlags, OFlags, fallocate, statvfs};

/// Files at least this large are segments, for which ground is prepared.
const SEGMENT: u64 = 1 << 20;
/// Zeros written at once while ground is prepared.
const PIECE: usize = 1 << 20;
/// What direct writes must be aligned to on any usual disk.
const ALIGNMENT: usize = 4096;
const LOCK: &str = "lock";

/// A directory that belongs to one log of one process.
#[derive(Debug)]
pub struct FileDirectory {
    path: PathBuf,
    directory: File,
    /// Held as long as the directory is in use.
    _lock: File,
}

impl FileDirectory {
    /// Opens the directory, creating it (mode 0700) if it is absent.
    ///
    /// # Errors
    /// It cannot be created, or another process uses it.
    pub fn open(path: &Path) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).recursive(true).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if let Some(parent) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            File::open(parent)?.sync_all()?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))?;
        lock.try_lock().map_err(|_| {
            io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("{} is in use by another process", path.display()),
            )
        })?;
        Ok(Self {
            path: path.to_owned(),
            directory: File::open(path)?,
            _lock: lock,
        })
    }
}

/// Writes zeros over the whole file: overwriting written blocks syncs faster than
/// filling reserved ones. Past the page cache where the file system lets us, since
/// nobody will read them; and in pieces, so that no flush of the log waits for long.
fn fill_with_zeros(file: &File, path: &Path, size: u64) -> io::Result<()> {
    let room = vec![0; PIECE + ALIGNMENT];
    let start = room.as_ptr().align_offset(ALIGNMENT);
    let zeros = room.get(start..start + PIECE).unwrap_or(&room[..PIECE]);
    let direct = OpenOptions::new()
        .write(true)
        .custom_flags(OFlags::DIRECT.bits() as i32)
        .open(path);
    let mut offset = 0;
    if let Ok(direct) = direct {
        while offset + PIECE as u64 <= size {
            match direct.write_at(zeros, offset) {
                // A part that is not whole blocks: the rest is for the cache.
                Ok(written) if written != PIECE => break,
                Ok(_) => offset += PIECE as u64,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(error),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Refused here though it could be opened.
                Err(_) => break,
            }
        }
    }
    while offset < size {
        let length = (size - offset).min(PIECE as u64) as usize;
        file.write_all_at(&zeros[..length], offset)?;
        file.sync_data()?;
        offset += length as u64;
    }
    Ok(())
}

/// An open file of the log.
#[derive(Debug)]
pub struct LogFile {
    file: File,
    /// A second description of the same file: an error that a background flush
    /// meets there is still reported to the flush that counts.
    background: Option<File>,
}

impl SegmentDirectory for FileDirectory {
    type File = LogFile;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string()
                && name != LOCK
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str, size: u64) -> io::Result<Arc<LogFile>> {
        let path = self.path.join(name);
        let file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)?;
        if size < SEGMENT {
            return Ok(Arc::new(LogFile {
                file,
                background: None,
            }));
        }
        let prepared = fallocate(&file, FallocateFlags::empty(), 0, size)
            .or_else(|error| match error {
                rustix::io::Errno::OPNOTSUPP => Ok(()),
                error => Err(io::Error::from(error)),
            })
            .and_then(|()| file.set_len(size))
            .and_then(|()| fill_with_zeros(&file, &path, size))
            .and_then(|()| {
                file.sync_all()?;
                File::open(&path)
            });
        match prepared {
            Ok(background) => Ok(Arc::new(LogFile {
                file,
                background: Some(background),
            })),
            Err(error) => {
                let _ = std::fs::remove_file(&path);
                Err(error)
            }
        }
    }

    fn open(&self, name: &str) -> io::Result<Arc<LogFile>> {
        let path = self.path.join(name);
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Arc::new(LogFile {
            file,
            background: None,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.directory.sync_all()
    }

    fn free_space(&self) -> io::Result<u64> {
        let space = statvfs(&self.path)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

impl SegmentFile for LogFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, hole, offset, length) {
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            other => other.map_err(io::Error::from),
        }
    }

    fn hint_writeback(&self) {
        if let Some(file) = &self.background {
            let _ = file.sync_data();
        }
    }
}
