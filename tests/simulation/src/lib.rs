//! A disk that forgets, for tests of the message log.
//!
//! [`ForgetfulDisk`] fulfils the log's port in memory and keeps two truths: what
//! the running program sees (the page cache) and what a power cut would leave.
//! Bytes, lengths and directory entries reach the second only by the matching
//! sync. At a cut every unsynced write survives whole, in part or not at all, by
//! sectors and out of order, and unsynced directory changes survive up to a
//! random one. A sync can be told to fail once; what it covered is then marked
//! clean in the cache and is never written, as Linux does.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use messagelog::{LogError, Randomness, SegmentDirectory, SegmentFile};

/// A small deterministic generator (xorshift64*); the same seed gives the same run.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next value.
    pub fn value(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    /// A value below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.value() % bound.max(1)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// So many bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.value() as u8).collect()
    }
}

impl Randomness for Random {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), LogError> {
        for byte in buffer {
            *byte = self.value() as u8;
        }
        Ok(())
    }
}

const SECTOR: usize = 512;

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Debug, Default)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

fn apply(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

impl Inode {
    fn forget(&mut self, random: &mut Random) {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Length(length) => {
                    if random.one_in(2) {
                        self.durable.resize(length, 0);
                    }
                }
                Change::Write { offset, bytes } => match random.below(4) {
                    0 => {}
                    1 => apply(&mut self.durable, offset, &bytes),
                    2 => {
                        let kept = random.below(bytes.len() as u64 + 1) as usize;
                        apply(&mut self.durable, offset, &bytes[..kept]);
                    }
                    _ => {
                        for (at, sector) in bytes.chunks(SECTOR).enumerate() {
                            if random.one_in(2) {
                                apply(&mut self.durable, offset + at * SECTOR, sector);
                            }
                        }
                    }
                },
            }
        }
        self.seen = self.durable.clone();
    }
}

type Names = BTreeMap<String, usize>;

#[derive(Debug, Default)]
struct Disk {
    inodes: Vec<Inode>,
    seen: Names,
    durable: Names,
    /// The directory after each unsynced change.
    unsynced: Vec<Names>,
    capacity: u64,
    failing_sync: Option<u64>,
    syncs: u64,
    failed: u64,
}

impl Disk {
    fn used(&self) -> u64 {
        self.seen
            .values()
            .map(|inode| self.inodes[*inode].seen.len() as u64)
            .sum()
    }

    fn count_sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        if self.failing_sync == Some(self.syncs) {
            self.failing_sync = None;
            self.failed += 1;
            return Err(io::Error::other("the disk reported an error"));
        }
        Ok(())
    }

    fn changed(&mut self) {
        let names = self.seen.clone();
        self.unsynced.push(names);
    }
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct ForgetfulDisk(Arc<Mutex<Disk>>);

/// A file on it.
#[derive(Debug)]
pub struct ForgetfulFile {
    disk: ForgetfulDisk,
    inode: usize,
}

impl ForgetfulDisk {
    /// An empty disk with room for `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        let disk = Self::default();
        disk.lock().capacity = capacity;
        disk
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how many bytes fit.
    pub fn set_capacity(&self, capacity: u64) {
        self.lock().capacity = capacity;
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// Lets the sync after `syncs` more of them fail, once.
    pub fn fail_sync_after(&self, syncs: u64) {
        let mut disk = self.lock();
        disk.failing_sync = Some(disk.syncs + 1 + syncs);
    }

    /// How many syncs have failed.
    pub fn failed_syncs(&self) -> u64 {
        self.lock().failed
    }

    /// How many syncs were asked for.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// The power fails: all that was not synced is forgotten, or torn. Whoever
    /// used the disk must not use it any longer.
    pub fn cut(&self, random: &mut Random) {
        let mut disk = self.lock();
        let disk = &mut *disk;
        let mut states = std::mem::take(&mut disk.unsynced);
        let kept = random.below(states.len() as u64 + 1) as usize;
        if kept > 0 {
            disk.durable = states.swap_remove(kept - 1);
        }
        disk.seen = disk.durable.clone();
        for inode in &mut disk.inodes {
            inode.forget(random);
        }
        disk.failing_sync = None;
    }

    /// Changes a byte of a file for good, as decay of the medium does.
    pub fn decay(&self, name: &str, offset: usize) {
        let mut disk = self.lock();
        if let Some(inode) = disk.seen.get(name).copied() {
            let inode = &mut disk.inodes[inode];
            for content in [&mut inode.seen, &mut inode.durable] {
                if let Some(byte) = content.get_mut(offset) {
                    *byte ^= 0x40;
                }
            }
        }
    }

    /// Length of a file.
    pub fn length_of(&self, name: &str) -> Option<usize> {
        let disk = self.lock();
        disk.seen
            .get(name)
            .map(|inode| disk.inodes[*inode].seen.len())
    }
}

impl SegmentDirectory for ForgetfulDisk {
    type File = ForgetfulFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().seen.keys().cloned().collect())
    }

    fn create(&self, name: &str, size: u64) -> io::Result<Arc<ForgetfulFile>> {
        let mut disk = self.lock();
        if disk.seen.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if disk.used() + size > disk.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = disk.inodes.len();
        disk.inodes.push(Inode {
            seen: vec![0; size as usize],
            durable: Vec::new(),
            unsynced: vec![Change::Length(size as usize)],
        });
        disk.seen.insert(name.to_owned(), inode);
        disk.changed();
        Ok(Arc::new(ForgetfulFile {
            disk: self.clone(),
            inode,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<ForgetfulFile>> {
        let disk = self.lock();
        let inode = *disk.seen.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(ForgetfulFile {
            disk: self.clone(),
            inode,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.lock();
        let inode = disk.seen.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.seen.insert(to.to_owned(), inode);
        disk.changed();
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.lock();
        disk.seen.remove(name).ok_or(io::ErrorKind::NotFound)?;
        disk.changed();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.lock();
        disk.count_sync()?;
        disk.durable = disk.seen.clone();
        disk.unsynced.clear();
        Ok(())
    }

    fn free_space(&self) -> io::Result<u64> {
        let disk = self.lock();
        Ok(disk.capacity.saturating_sub(disk.used()))
    }
}

impl SegmentFile for ForgetfulFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let end = offset + bytes.len() as u64;
        let grows = end.saturating_sub(disk.inodes[self.inode].seen.len() as u64);
        if grows > 0 && disk.used() + grows > disk.capacity {
            // Part of it is written all the same.
            let some = bytes[..bytes.len() / 2].to_vec();
            apply(&mut disk.inodes[self.inode].seen, offset as usize, &some);
            disk.inodes[self.inode].unsynced.push(Change::Write {
                offset: offset as usize,
                bytes: some,
            });
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = &mut disk.inodes[self.inode];
        apply(&mut inode.seen, offset as usize, bytes);
        inode.unsynced.push(Change::Write {
            offset: offset as usize,
            bytes: bytes.to_vec(),
        });
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let disk = self.disk.lock();
        let content = &disk.inodes[self.inode].seen;
        let rest = content.get(offset as usize..).unwrap_or(&[]);
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if let Err(error) = disk.count_sync() {
            // Linux marks the pages clean: nothing will write them.
            disk.inodes[self.inode].unsynced.clear();
            return Err(error);
        }
        let inode = &mut disk.inodes[self.inode];
        for change in std::mem::take(&mut inode.unsynced) {
            match change {
                Change::Length(length) => inode.durable.resize(length, 0),
                Change::Write { offset, bytes } => apply(&mut inode.durable, offset, &bytes),
            }
        }
        Ok(())
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        self.write_at(offset, &vec![0; length as usize])
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().inodes[self.inode].seen.len() as u64)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let inode = &mut disk.inodes[self.inode];
        inode.seen.resize(len as usize, 0);
        inode.unsynced.push(Change::Length(len as usize));
        Ok(())
    }
}
