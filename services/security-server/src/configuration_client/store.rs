//! The stored configuration and the archive of those that were in force.
//!
//! The directory in X-Road's form (reference G24) is a symbolic link to one of the
//! *generations* beside it, so that a reader, or a crash, sees the parts of one
//! moment and never a mixture:
//!
//! ```text
//! globalconf -> globalconf.generations/1763999999000000000
//! globalconf.generations/...        the newest and the one before it
//! globalconf.archive/blobs/<hash>   parts and signed directories by SHA-256
//! globalconf.archive/<identity>.json
//! globalconf.archive/history        one line for each change: time and identity
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use config::read_stored;
use globalconf::{ConfigurationId, StoredDirectory};
use pki::DigestAlgorithm;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The signed directory of an instance, as downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceDirectory {
    /// Code of the instance.
    pub instance: String,
    /// The document.
    pub bytes: Vec<u8>,
}

/// A configuration that is or was in force, from the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedConfiguration {
    /// Its identity.
    pub identity: ConfigurationId,
    /// Its parts.
    pub stored: StoredDirectory,
    /// The signed directories with which it was first downloaded: that of the own
    /// instance and those of federated ones.
    pub directories: Vec<InstanceDirectory>,
}

/// Where a client's files are.
#[derive(Debug, Clone)]
pub(super) struct Store {
    directory: PathBuf,
    generations: PathBuf,
    archive: PathBuf,
}

const KEPT_GENERATIONS: usize = 2;

#[derive(Serialize, Deserialize)]
struct ArchiveEntry {
    instance: String,
    files: Vec<(String, String)>,
    directories: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct HistoryLine {
    /// Seconds since 1970.
    from: i64,
    identity: String,
}

impl Store {
    pub(super) fn new(directory: &Path) -> Self {
        let beside = |suffix: &str| {
            let mut name = directory.file_name().unwrap_or_default().to_owned();
            name.push(suffix);
            directory.with_file_name(name)
        };
        Self {
            directory: directory.to_owned(),
            generations: beside(".generations"),
            archive: beside(".archive"),
        }
    }

    /// Reads the stored configuration; `None` if there is none yet.
    pub(super) fn read(&self) -> io::Result<Option<StoredDirectory>> {
        read_stored(&self.directory)
    }

    /// Writes a configuration and puts it in place of the stored one. When this
    /// returns it is on disk.
    pub(super) fn replace(
        &self,
        new: &StoredDirectory,
        old: Option<&StoredDirectory>,
        now: OffsetDateTime,
    ) -> io::Result<()> {
        fs::create_dir_all(&self.generations)?;
        let name = now.unix_timestamp_nanos().to_string();
        let folder = self.generations.join(&name);
        fs::create_dir(&folder)?;
        let mut folders = vec![folder.clone()];
        for (path, content) in new.encode() {
            let target = folder.join(&path);
            if let Some(parent) = target.parent()
                && !folders.iter().any(|known| known == parent)
            {
                fs::create_dir(parent)?;
                folders.push(parent.to_owned());
            }
            let unchanged = old.is_some_and(|old| {
                old.parts
                    .iter()
                    .any(|part| part.path() == path && part.content == content)
            });
            // Stored files are never changed in place, so an unchanged part can be
            // the same file.
            if unchanged && fs::hard_link(self.directory.join(&path), &target).is_ok() {
                continue;
            }
            let mut file = File::create_new(&target)?;
            file.write_all(&content)?;
            file.sync_all()?;
        }
        for folder in folders.iter().rev() {
            File::open(folder)?.sync_all()?;
        }
        File::open(&self.generations)?.sync_all()?;
        self.point_to(&name)?;
        self.remove_old_generations(&name);
        Ok(())
    }

    /// Makes the directory a link to a generation.
    fn point_to(&self, generation: &str) -> io::Result<()> {
        let mut new_link = self.generations.join("current");
        new_link.set_extension("new");
        match fs::remove_file(&new_link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let target = Path::new(self.generations.file_name().unwrap_or_default()).join(generation);
        std::os::unix::fs::symlink(&target, &new_link)?;
        // A directory that somebody copied here by hand gives way to the link.
        if fs::symlink_metadata(&self.directory).is_ok_and(|m| m.is_dir()) {
            fs::rename(
                &self.directory,
                self.generations.join(format!("{generation}-before")),
            )?;
        }
        fs::rename(&new_link, &self.directory)?;
        if let Some(parent) = self.directory.parent() {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            File::open(parent)?.sync_all()?;
        }
        Ok(())
    }

    fn remove_old_generations(&self, current: &str) {
        let mut names: Vec<String> = fs::read_dir(&self.generations)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.bytes().all(|b| b.is_ascii_digit()) && name != current)
            .collect();
        names.sort();
        let old = names.len().saturating_sub(KEPT_GENERATIONS - 1);
        for name in &names[..old] {
            if let Err(error) = fs::remove_dir_all(self.generations.join(name)) {
                tracing::warn!(%error, "an old generation of the global configuration stays");
            }
        }
    }

    /// Keeps a configuration for good, and notes that it is in force from `now`.
    /// When this returns it is on disk.
    pub(super) fn keep(
        &self,
        stored: &StoredDirectory,
        directories: &[InstanceDirectory],
        now: OffsetDateTime,
    ) -> io::Result<()> {
        let blobs = self.archive.join("blobs");
        fs::create_dir_all(&blobs)?;
        let identity = stored.identity().to_string();
        let entry_path = self.archive.join(format!("{identity}.json"));
        if !entry_path.exists() {
            let blob = |content: &[u8]| -> io::Result<String> {
                let name = hex(DigestAlgorithm::Sha256.digest(content).as_ref());
                let path = blobs.join(&name);
                if !path.exists() {
                    write_durably(&path, content)?;
                }
                Ok(name)
            };
            let entry = ArchiveEntry {
                instance: stored.instance.clone(),
                files: stored
                    .encode()
                    .iter()
                    .map(|(path, content)| Ok((path.clone(), blob(content)?)))
                    .collect::<io::Result<_>>()?,
                directories: directories
                    .iter()
                    .map(|d| Ok((d.instance.clone(), blob(&d.bytes)?)))
                    .collect::<io::Result<_>>()?,
            };
            File::open(&blobs)?.sync_all()?;
            write_durably(&entry_path, &serde_json::to_vec(&entry)?)?;
        }
        let last = self.history()?.pop();
        if last.is_none_or(|line| line.identity != identity) {
            let line = HistoryLine {
                from: now.unix_timestamp(),
                identity,
            };
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(self.archive.join("history"))?;
            // A line cut short by a crash is ended here, and ignored when read.
            let mut text = if file.metadata()?.len() > 0 { "\n" } else { "" }.to_owned();
            text.push_str(&serde_json::to_string(&line)?);
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
        }
        File::open(&self.archive)?.sync_all()
    }

    fn history(&self) -> io::Result<Vec<HistoryLine>> {
        let text = match fs::read_to_string(self.archive.join("history")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Identity of the configuration in force at a time: the last one that came into
    /// force before it. `None` if the archive begins later.
    pub(super) fn in_force_at(&self, at: OffsetDateTime) -> io::Result<Option<ConfigurationId>> {
        let at = at.unix_timestamp();
        Ok(self
            .history()?
            .iter()
            .rev()
            .find(|line| line.from <= at)
            .and_then(|line| ConfigurationId::from_hex(&line.identity)))
    }

    /// A configuration of the archive by its identity.
    pub(super) fn archived(
        &self,
        identity: ConfigurationId,
    ) -> io::Result<Option<ArchivedConfiguration>> {
        let path = self.archive.join(format!("{identity}.json"));
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let entry: ArchiveEntry = serde_json::from_slice(&bytes)?;
        let blob = |name: &str| -> io::Result<Vec<u8>> {
            let content = fs::read(self.archive.join("blobs").join(name))?;
            if hex(DigestAlgorithm::Sha256.digest(&content).as_ref()) == name {
                Ok(content)
            } else {
                Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the archived file {name} has changed"),
                ))
            }
        };
        let files = entry
            .files
            .iter()
            .map(|(path, name)| Ok((path.clone(), blob(name)?)))
            .collect::<io::Result<Vec<_>>>()?;
        let stored = StoredDirectory::decode(files)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let directories = entry
            .directories
            .iter()
            .map(|(instance, name)| {
                Ok(InstanceDirectory {
                    instance: instance.clone(),
                    bytes: blob(name)?,
                })
            })
            .collect::<io::Result<_>>()?;
        Ok(Some(ArchivedConfiguration {
            identity,
            stored,
            directories,
        }))
    }
}

fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
