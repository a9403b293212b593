//! Writing of files so that a reader, or a crash, sees the old or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readable {
    /// Everybody.
    Public,
    /// The owner alone.
    Secret,
}

/// Replaces a file through a rename. With `durable`, it is on disk when this returns.
pub(crate) fn replace(
    path: &Path,
    content: &[u8],
    readable: Readable,
    durable: bool,
) -> io::Result<()> {
    let folder = path
        .parent()
        .ok_or_else(|| io::Error::other("a file without a folder"))?;
    fs::create_dir_all(folder)?;
    let mut name = path
        .file_name()
        .ok_or_else(|| io::Error::other("a path without a name"))?
        .to_owned();
    name.push(".new");
    let temporary = folder.join(name);
    // A file that a crash left behind may have other rights.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(match readable {
            Readable::Public => 0o644,
            Readable::Secret => 0o600,
        })
        .open(&temporary)?;
    file.write_all(content)?;
    if durable {
        file.sync_all()?;
    }
    drop(file);
    fs::rename(&temporary, path)?;
    if durable {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
