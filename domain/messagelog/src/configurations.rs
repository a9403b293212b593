//! Signed configurations that were in force, kept so that evidence can be judged later.
//!
//! Parts are stored once each by their SHA-256 (`part-<hex>`), because a Central
//! Server signs the same parts again and again; a configuration
//! (`configuration-<hex>`) lists them: magic `TLD1`, then for each file length of
//! the path (2 bytes), path, SHA-256 of the content, and at the end a CRC-32.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

use crate::error::LogError;
use crate::port::SegmentDirectory;
use crate::record::ConfigurationId;
use crate::store::{Store, read, write};

const MAGIC: &[u8; 4] = b"TLD1";
const PREFIX: &str = "configuration-";
/// Most files of a configuration.
const MAX_FILES: usize = 4096;
/// Largest file of a configuration, in bytes.
const MAX_FILE: u64 = 256 << 20;

fn list_name(id: ConfigurationId) -> String {
    format!("{PREFIX}{id}")
}

fn part_name(hash: [u8; 32]) -> String {
    format!("part-{}", ConfigurationId(hash))
}

pub(crate) fn configuration_of(name: &str) -> Option<ConfigurationId> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

fn decode(bytes: &[u8]) -> Option<Vec<(String, [u8; 32])>> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut rest = content.strip_prefix(MAGIC)?;
    let mut files = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (path, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let (hash, after) = after.split_first_chunk::<32>()?;
        files.push((String::from_utf8(path.to_vec()).ok()?, *hash));
        rest = after;
    }
    Some(files)
}

impl<D: SegmentDirectory> Store<D> {
    /// Keeps a signed configuration durably, once: paths relative to it, and bytes.
    ///
    /// # Errors
    /// It is not on disk.
    pub fn keep_configuration(
        &self,
        id: ConfigurationId,
        files: &[(String, Bytes)],
    ) -> Result<(), LogError> {
        if self.has_configuration(id) {
            return Ok(());
        }
        if files.len() > MAX_FILES {
            return Err(LogError::TooLarge {
                what: "the number of files of a configuration",
                limit: MAX_FILES as u64,
            });
        }
        let mut list = MAGIC.to_vec();
        for (path, content) in files {
            if path.len() > usize::from(u16::MAX) || content.len() as u64 > MAX_FILE {
                return Err(LogError::TooLarge {
                    what: "a file of a configuration",
                    limit: MAX_FILE,
                });
            }
            let mut hash = [0; 32];
            hash.copy_from_slice(digest(&SHA256, content).as_ref());
            let name = part_name(hash);
            // A part that is there under its name was complete before it got it.
            if self.directory.open(&name).is_err() {
                self.write_whole(&name, content)?;
            }
            list.extend_from_slice(&(path.len() as u16).to_le_bytes());
            list.extend_from_slice(path.as_bytes());
            list.extend_from_slice(&hash);
        }
        let crc = crc32fast::hash(&list);
        list.extend_from_slice(&crc.to_le_bytes());
        self.write_whole(&list_name(id), &list)?;
        write(&self.configurations).insert(id);
        Ok(())
    }

    /// Whether a signed configuration is kept.
    pub fn has_configuration(&self, id: ConfigurationId) -> bool {
        read(&self.configurations).contains(&id)
    }

    /// Reads a kept configuration back: paths relative to it, and bytes.
    ///
    /// # Errors
    /// It was never kept, or a file of it is damaged.
    pub fn configuration(&self, id: ConfigurationId) -> Result<Vec<(String, Bytes)>, LogError> {
        let list = self.read_whole(&list_name(id), 64 << 20)?;
        let damaged = || LogError::Export(format!("the kept configuration {id} is damaged"));
        decode(&list)
            .ok_or_else(damaged)?
            .into_iter()
            .map(|(path, hash)| {
                let content = self.read_whole(&part_name(hash), MAX_FILE)?;
                if digest(&SHA256, &content).as_ref() != hash {
                    return Err(damaged());
                }
                Ok((path, Bytes::from(content)))
            })
            .collect()
    }
}
