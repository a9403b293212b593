//! Files with secrets: private keys, and keys of which things are computed.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::ConfigError;

/// Most bytes of a secret.
const LONGEST: u64 = 64 * 1024;

fn failed(path: &Path, source: std::io::Error) -> ConfigError {
    ConfigError::Read {
        path: path.into(),
        source,
    }
}

/// Reads a file with a secret, at most 64 KiB.
///
/// # Errors
/// It cannot be read, is too long, or others than its owner may read it.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let file = File::open(path).map_err(|source| failed(path, source))?;
    let known = file.metadata().map_err(|source| failed(path, source))?;
    if known.permissions().mode() & 0o077 != 0 {
        return Err(ConfigError::Exposed { path: path.into() });
    }
    if known.len() > LONGEST {
        return Err(ConfigError::Value {
            path: path.into(),
            message: format!("it is longer than {LONGEST} bytes, which no key is"),
        });
    }
    let mut secret = Zeroizing::new(Vec::new());
    file.take(LONGEST)
        .read_to_end(&mut secret)
        .map_err(|source| failed(path, source))?;
    Ok(secret)
}

/// Makes a file with a secret that only its owner can read, and flushes it to the disk. One that is there stays.
///
/// # Errors
/// It is there already, or cannot be written.
pub fn make_secret(path: &Path, secret: &[u8]) -> Result<(), ConfigError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| failed(path, source))?;
    file.write_all(secret)
        .and_then(|()| file.sync_all())
        .and_then(|()| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => Ok(()),
        })
        .map_err(|source| failed(path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        make_secret(&path, b"secret").unwrap();
        assert_eq!(read_secret(&path).unwrap().as_slice(), b"secret");
        assert!(make_secret(&path, b"another").is_err(), "nothing is lost");
        let open = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&path, open).unwrap();
        let error = read_secret(&path).unwrap_err();
        assert!(matches!(error, ConfigError::Exposed { .. }));
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn what_is_too_long_for_a_key_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        make_secret(&path, &vec![b'x'; 70_000]).unwrap();
        assert!(matches!(read_secret(&path), Err(ConfigError::Value { .. })));
    }
}
