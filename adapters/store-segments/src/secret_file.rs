//! A temporary file whose content nobody else can read: what an export is put
//! together in before it goes to whoever asked for it.
//!
//! Messages are sealed in the log, so they must not lie on a disk in the clear on
//! their way out. Blocks of [`BLOCK`] bytes are sealed with AES-256-GCM under a key
//! that exists in memory only; each writing of a block has a fresh nonce, which is
//! kept in memory with the tag. The file has no name from the start, and is not even
//! made as long as one block is enough.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes that are sealed together.
const BLOCK: usize = 256 << 10;

#[derive(Clone, Copy)]
struct Sealed {
    nonce: u64,
    tag: [u8; 16],
}

/// The file.
pub struct SecretFile {
    key: Option<LessSafeKey>,
    file: Option<File>,
    /// Blocks that are in the file; `None` was never written and reads as zeros.
    sealed: Vec<Option<Sealed>>,
    next_nonce: u64,
    /// The block in memory.
    current: usize,
    block: Zeroizing<Vec<u8>>,
    changed: bool,
    position: u64,
    len: u64,
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretFile({} bytes)", self.len)
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a temporary file is not what was written",
    )
}

impl SecretFile {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            key: None,
            file: None,
            sealed: Vec::new(),
            next_nonce: 0,
            current: 0,
            block: Zeroizing::new(Vec::new()),
            changed: false,
            position: 0,
            len: 0,
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    fn key(&mut self) -> io::Result<&LessSafeKey> {
        match &mut self.key {
            Some(key) => Ok(key),
            empty => {
                let mut bytes = Zeroizing::new([0; 32]);
                aws_lc_rs::rand::fill(bytes.as_mut())
                    .map_err(|_| io::Error::other("the random generator failed"))?;
                let key = UnboundKey::new(&AES_256_GCM, bytes.as_ref())
                    .map_err(|_| io::Error::other("a key has 32 bytes"))?;
                Ok(empty.insert(LessSafeKey::new(key)))
            }
        }
    }

    /// Brings the block that holds `position` into memory.
    fn turn_to(&mut self, position: u64) -> io::Result<()> {
        let wanted = (position / BLOCK as u64) as usize;
        if wanted == self.current {
            return Ok(());
        }
        if self.changed {
            let number = self.next_nonce;
            self.next_nonce += 1;
            let mut block = std::mem::take(&mut self.block);
            block.resize(BLOCK, 0);
            let tag = self
                .key()?
                .seal_in_place_separate_tag(nonce(number), Aad::empty(), block.as_mut_slice())
                .map_err(|_| broken())?;
            let mut sealed = Sealed {
                nonce: number,
                tag: [0; 16],
            };
            sealed.tag.copy_from_slice(tag.as_ref());
            let file = match &mut self.file {
                Some(file) => file,
                empty => empty.insert(tempfile::tempfile()?),
            };
            file.write_all_at(&block, self.current as u64 * BLOCK as u64)?;
            if self.sealed.len() <= self.current {
                self.sealed.resize(self.current + 1, None);
            }
            self.sealed[self.current] = Some(sealed);
            self.block = block;
            self.changed = false;
        }
        self.current = wanted;
        self.block.clear();
        if let Some(sealed) = self.sealed.get(wanted).copied().flatten() {
            let mut block = std::mem::take(&mut self.block);
            block.resize(BLOCK, 0);
            let file = self.file.as_ref().ok_or_else(broken)?;
            file.read_exact_at(&mut block, wanted as u64 * BLOCK as u64)?;
            block.extend_from_slice(&sealed.tag);
            self.key()?
                .open_in_place(nonce(sealed.nonce), Aad::empty(), &mut block)
                .map_err(|_| broken())?;
            block.truncate(BLOCK);
            self.block = block;
        }
        Ok(())
    }
}

impl Write for SecretFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.turn_to(self.position)?;
        let within = (self.position % BLOCK as u64) as usize;
        let length = bytes.len().min(BLOCK - within);
        if self.block.len() < within + length {
            self.block.resize(within + length, 0);
        }
        self.block[within..within + length].copy_from_slice(&bytes[..length]);
        self.changed = true;
        self.position += length as u64;
        self.len = self.len.max(self.position);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for SecretFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.position);
        if left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        self.turn_to(self.position)?;
        let within = (self.position % BLOCK as u64) as usize;
        let length = (BLOCK - within)
            .min(buffer.len())
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let there = self.block.get(within..).unwrap_or(&[]);
        let copied = there.len().min(length);
        buffer[..copied].copy_from_slice(&there[..copied]);
        // What was jumped over and never written.
        buffer[copied..length].fill(0);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for SecretFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, offset) = match to {
            SeekFrom::Start(position) => {
                self.position = position;
                return Ok(position);
            }
            SeekFrom::End(offset) => (self.len, offset),
            SeekFrom::Current(offset) => (self.position, offset),
        };
        self.position = from
            .checked_add_signed(offset)
            .ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_written_and_the_disk_has_no_plain_text() {
        let mut file = SecretFile::new();
        let mut model = vec![0_u8; 1_000_000];
        for (at, length, byte) in [
            (0, 700_000, b'a'),
            (30, 4, b'h'),
            (262_140, 10, b'x'),
            (900_000, 100_000, b'z'),
            (0, 1, b'!'),
        ] {
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&vec![byte; length]).unwrap();
            model[at..at + length].fill(byte);
        }
        assert_eq!(file.len(), 1_000_000);
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut back = Vec::new();
        file.read_to_end(&mut back).unwrap();
        assert!(back == model);
        assert_eq!(file.seek(SeekFrom::End(-5)).unwrap(), 999_995);
        let mut raw = vec![0; 524_288];
        file.file
            .as_ref()
            .unwrap()
            .read_exact_at(&mut raw, 0)
            .unwrap();
        assert!(!raw.windows(16).any(|window| window == [b'a'; 16]));
        assert!(SecretFile::new().file.is_none());
    }
}
