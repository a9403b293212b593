//! The port to the disk: what the journal needs of files and a directory.
//!
//! The rules a fulfilment must keep are POSIX's: bytes, lengths and directory
//! entries are durable only after the matching `sync`; after a failed `sync`
//! nothing is known about what it covered.

use std::io;
use std::sync::Arc;

/// One directory that belongs to the log alone. Names are plain file names.
pub trait SegmentDirectory: Send + Sync + 'static {
    /// An open file.
    type File: SegmentFile;

    /// Names of all files.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates a file with `size` bytes of zeros reserved on disk; it must not exist.
    ///
    /// # Errors
    /// `StorageFull` when there is no room, `AlreadyExists`, or another one.
    fn create(&self, name: &str, size: u64) -> io::Result<Arc<Self::File>>;

    /// Opens a file that exists.
    ///
    /// # Errors
    /// `NotFound`, or another one.
    fn open(&self, name: &str) -> io::Result<Arc<Self::File>>;

    /// Renames a file over another one, atomically.
    ///
    /// # Errors
    /// The operating system's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The operating system's.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals durable.
    ///
    /// # Errors
    /// The operating system's; then nothing is known about them.
    fn sync(&self) -> io::Result<()>;

    /// Bytes that can still be reserved.
    ///
    /// # Errors
    /// The operating system's.
    fn free_space(&self) -> io::Result<u64>;
}

/// One file, read and written at offsets by several threads.
pub trait SegmentFile: Send + Sync + 'static {
    /// Writes all bytes at `offset`.
    ///
    /// # Errors
    /// The operating system's; then any part may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads at `offset` as much as there is, up to the buffer's length.
    ///
    /// # Errors
    /// The operating system's.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Makes content and length durable (`fdatasync`).
    ///
    /// # Errors
    /// The operating system's; it must not be retried as if nothing had happened.
    fn sync(&self) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Cuts the file after `len` bytes, giving back what was reserved.
    ///
    /// # Errors
    /// The operating system's.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Gives back the room of a stretch, which reads as zeros afterwards; the length
    /// stays. Where that is not possible nothing happens.
    ///
    /// # Errors
    /// The operating system's.
    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        let _ = (offset, length);
        Ok(())
    }

    /// Asks for the bytes written so far to be on their way to the disk, so that
    /// a later `sync` has less to do. Never an error, never a promise.
    fn hint_writeback(&self) {}
}
