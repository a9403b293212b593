//! A Security Server's stored configuration (reference G24), read from its directory.

use std::path::Path;
use std::{fs, io};

use globalconf::{GlobalConfiguration, StoredDirectory};

/// Reads a stored configuration (reference G24) from a directory; `None` if there is
/// no such directory or it says no instance.
///
/// # Errors
/// A file cannot be read, or metadata are damaged.
pub fn read_stored(directory: &Path) -> io::Result<Option<StoredDirectory>> {
    let mut files = Vec::new();
    // One generation for the whole reading, also if the link is moved meanwhile.
    let root = match fs::canonicalize(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    for entry in fs::read_dir(&root)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = entry.path();
        if path.is_file() {
            files.push((name, fs::read(&path)?));
        } else if path.is_dir() {
            for inner in fs::read_dir(&path)? {
                let inner = inner?;
                if let Ok(file_name) = inner.file_name().into_string()
                    && inner.path().is_file()
                {
                    files.push((format!("{name}/{file_name}"), fs::read(inner.path())?));
                }
            }
        }
    }
    match StoredDirectory::decode(files) {
        Ok(stored) => Ok(Some(stored)),
        Err(globalconf::StoredError::NoInstance) => Ok(None),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// Reads and indexes a stored configuration, trusted as given: expiry and a missing
/// private part are not judged.
///
/// # Errors
/// In plain words.
pub fn load_directory(directory: &Path) -> Result<GlobalConfiguration, String> {
    let stored = read_stored(directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?
        .ok_or_else(|| {
            format!(
                "{} is not a directory with a stored configuration",
                directory.display()
            )
        })?;
    stored
        .load()
        .map_err(|error| format!("{}: {error}", directory.display()))
}
