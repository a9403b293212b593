//! The token key for an unattended start.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::error::TokenError;
use crate::{file, pin};

const FORMAT: &str = "tunduk-sealed-key-1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: String,
    token: String,
    key: String,
}

/// The key that opens a token without its PIN: as secret as the private keys themselves.
pub struct SealedKey {
    pub(crate) token: String,
    pub(crate) key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealedKey(of token {})", self.token)
    }
}

impl SealedKey {
    /// Reads the file at `path`, which only its owner may read; where it is not there, the systemd
    /// credential with the same file name (`$CREDENTIALS_DIRECTORY`).
    ///
    /// # Errors
    /// [`TokenError::Exposed`] where others may read the file, [`TokenError::Malformed`],
    /// [`TokenError::File`].
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let credential = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(pin::credential);
        let bytes = match credential {
            Some(credential) if !path.exists() => file::read(&credential)?,
            _ => {
                file::check_private(path)?;
                file::read(path)?
            }
        };
        Self::decode(path, &Zeroizing::new(bytes))
    }

    fn decode(path: &Path, bytes: &[u8]) -> Result<Self, TokenError> {
        let malformed = |reason: &str| TokenError::Malformed {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        // The parser's own message could quote the secret.
        let mut record: Record =
            serde_json::from_slice(bytes).map_err(|_| malformed("not a sealed key"))?;
        let decoded = STANDARD.decode(&record.key).map(Zeroizing::new);
        record.key.zeroize();
        if record.format != FORMAT {
            return Err(malformed("not a sealed key of this format"));
        }
        let key = decoded
            .ok()
            .and_then(|key| <[u8; 32]>::try_from(key.as_slice()).ok())
            .ok_or_else(|| malformed("the key has not 32 bytes"))?;
        Ok(Self {
            token: record.token,
            key: Zeroizing::new(key),
        })
    }

    /// Writes the sealed key with mode 0600.
    ///
    /// # Errors
    /// [`TokenError::File`].
    pub fn write(&self, path: &Path) -> Result<(), TokenError> {
        let mut record = Record {
            format: FORMAT.to_owned(),
            token: self.token.clone(),
            key: STANDARD.encode(self.key.as_ref()),
        };
        let text = serde_json::to_vec_pretty(&record).map(Zeroizing::new);
        record.key.zeroize();
        file::write_private(path, &text.map_err(|_| TokenError::Engine)?)
    }
}
