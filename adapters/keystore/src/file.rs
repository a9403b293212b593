//! Files that are whole or not there, and secret where they must be.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::TokenError;

/// Largest file that is read, bytes.
const MAX_LENGTH: u64 = 4 * 1024 * 1024;

pub(crate) fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> TokenError + '_ {
    move |source| TokenError::File {
        path: path.to_owned(),
        source,
    }
}

/// `path` with `suffix` appended to its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TokenError> {
    let file = File::open(path).map_err(failed(path))?;
    let mut bytes = Vec::new();
    file.take(MAX_LENGTH + 1)
        .read_to_end(&mut bytes)
        .map_err(failed(path))?;
    if bytes.len() as u64 > MAX_LENGTH {
        return Err(TokenError::Malformed {
            path: path.to_owned(),
            reason: format!("longer than {MAX_LENGTH} bytes"),
        });
    }
    Ok(bytes)
}

/// Refuses a secret file that group or others may read.
pub(crate) fn check_private(path: &Path) -> Result<(), TokenError> {
    let mode = std::fs::metadata(path)
        .map_err(failed(path))?
        .permissions()
        .mode();
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(TokenError::Exposed {
            path: path.to_owned(),
        })
    }
}

/// Writes a file with mode 0600 so that after a crash either the old or the new content is there.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), TokenError> {
    let temporary = beside(path, ".new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(failed(&temporary))?;
    // An earlier crash may have left the file with other permissions.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .map_err(failed(&temporary))?;
    drop(file);
    std::fs::rename(&temporary, path).map_err(failed(path))?;
    sync_directory(path)
}

/// Removes a file, durably; a file that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<(), TokenError> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_directory(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(path)(error)),
    }
}

fn sync_directory(path: &Path) -> Result<(), TokenError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed(directory))
}

/// Held while a token's files are changed, against other processes.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn of(token: &Path) -> Result<Self, TokenError> {
        let path = beside(token, ".lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed(&path))?;
        file.lock().map_err(failed(&path))?;
        Ok(Self { _file: file })
    }
}
