//! What an administrator does with the message log: look at its state, change the
//! operator's key, and read it with the offline recovery twin when that key is lost.
//!
//! A new operator's key is first put beside the old one (`<key>.next`), where a start
//! finds it too; then every data key is wrapped under it; only then does it take the
//! old one's place. So the log can be opened whatever happens in between, and the
//! change can be repeated.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use config::SecurityServerSettings;
use messagelog::{LogKey, LogKeys, RecoveryTwin};
use serde::{Deserialize, Serialize};
use store_segments::{FileDirectory, open_for_reading, rotate_stopped, write_archive};
use zeroize::Zeroizing;

use crate::control::{Answer, ExportRequest, ExportSummary, Request, SecretText, ask_server};

/// The state of a message log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogStatus {
    /// Where it is.
    pub directory: PathBuf,
    /// Whether its server runs.
    pub running: bool,
    /// Segments.
    pub segments: u64,
    /// Records.
    pub records: u64,
    /// Records without a time-stamp.
    pub without_timestamp: u64,
    /// Time of the oldest of them, ms since 1970.
    pub oldest_without_timestamp: Option<u64>,
    /// Bytes that it takes of its disk.
    pub bytes: u64,
    /// Bytes that are free there.
    pub free_bytes: u64,
    /// Why it takes no messages now, if it does not.
    pub refuses: Option<String>,
}

impl LogStatus {
    pub(crate) fn of(
        store: &messagelog::Store<FileDirectory>,
        directory: &Path,
        refuses: Option<String>,
        running: bool,
    ) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        let bytes = std::fs::read_dir(directory).map_or(0, |entries| {
            entries
                .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.blocks() * 512))
                .sum()
        });
        Self {
            directory: directory.to_owned(),
            running,
            segments: store.segments().len() as u64,
            records: store.record_count(),
            without_timestamp: store.pending_count(),
            oldest_without_timestamp: store.oldest_pending(),
            bytes,
            free_bytes: store.free_space().unwrap_or(0),
            refuses,
        }
    }
}

fn settings(config_path: &Path) -> Result<SecurityServerSettings, String> {
    SecurityServerSettings::read(config_path).map_err(|error| error.to_string())
}

fn read_key(path: &Path) -> Result<[u8; 32], String> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let mut key = [0; 32];
    hex::decode_to_slice(text.trim(), &mut key)
        .map_err(|_| format!("{}: it must be 64 hexadecimal digits", path.display()))?;
    Ok(key)
}

fn next_of(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

/// Keys under which segments may be wrapped besides the one in use: the file's own
/// when the one in use is a credential, and one that a change of the key was not
/// finished with.
pub(crate) fn further_keys(key: &Path) -> Vec<LogKey> {
    [key.to_owned(), next_of(key)]
        .iter()
        .filter_map(|path| read_key(path).ok())
        .map(LogKey::new)
        .collect()
}

fn recovery(settings: &SecurityServerSettings) -> Result<Option<Vec<u8>>, String> {
    let Some(path) = &settings.log.recovery_key else {
        return Ok(None);
    };
    let shown = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let pem = std::fs::read(path).map_err(|error| shown(&error))?;
    pki::pem::decode(&pem, "PUBLIC KEY")
        .map(Some)
        .map_err(|error| shown(&error))
}

fn read_twin(path: &Path) -> Result<RecoveryTwin, String> {
    let shown = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let pem = std::fs::read(path)
        .map(Zeroizing::new)
        .map_err(|error| shown(&error))?;
    let der = pki::pem::decode(&pem, "PRIVATE KEY")
        .map(Zeroizing::new)
        .map_err(|error| shown(&error))?;
    RecoveryTwin::from_pkcs8_der(&der).map_err(|error| shown(&error))
}

/// The keys for a stopped server's log.
fn stopped_keys(settings: &SecurityServerSettings) -> Result<LogKeys, String> {
    if settings.log.key_from_token {
        return Err(
            "the log's key is in the token (key_from_token), which only the server opens: start it"
                .into(),
        );
    }
    let mut keys = LogKeys::only(LogKey::new(read_key(&settings.log.key)?));
    keys.previous = further_keys(&settings.log.key);
    keys.recovery = recovery(settings)?;
    Ok(keys)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
}

/// The state of the message log of the server that `config_path` describes: from the
/// running server, or else from its files.
///
/// # Errors
/// In plain words, why it cannot be told.
pub async fn log_status(config_path: &Path) -> Result<LogStatus, String> {
    match ask_server(config_path, &Request::Status).await? {
        Some(Answer::Status(status)) => return Ok(status),
        Some(Answer::Error(error)) => return Err(error),
        Some(_) => return Err("the Security Server answered something else".into()),
        None => {}
    }
    let settings = settings(config_path)?;
    let keys = stopped_keys(&settings)?;
    blocking(move || {
        let directory = &settings.log.directory;
        let store = open_for_reading(directory, keys).map_err(|error| error.to_string())?;
        Ok(LogStatus::of(&store, directory, None, false))
    })
    .await
}

/// Wraps the data keys of the log under the key in the file `new_key` and puts it in
/// the old one's place, also while the server runs. `twin` is the private recovery
/// key (PEM), when the old key is lost; then the server must be stopped.
///
/// # Errors
/// In plain words; the old key stays valid, and the call can be repeated.
pub async fn rotate_log_key(
    config_path: &Path,
    new_key: &Path,
    twin: Option<&Path>,
) -> Result<(), String> {
    let settings = settings(config_path)?;
    if settings.log.key_from_token {
        return Err("the log's key comes from the token (key_from_token)".into());
    }
    let new = Zeroizing::new(read_key(new_key)?);
    let next = next_of(&settings.log.key);
    write_secret(&next, &new)?;
    let asked = Request::RotateLogKey {
        key: SecretText(hex::encode(*new)),
    };
    match ask_server(config_path, &asked).await? {
        Some(Answer::Done) => {}
        Some(Answer::Error(error)) => return Err(error),
        Some(_) => return Err("the Security Server answered something else".into()),
        None => {
            let current = LogKey::new(*new);
            let keys = match twin {
                Some(path) => LogKeys {
                    previous: further_keys(&settings.log.key),
                    recovery: recovery(&settings)?,
                    twin: Some(read_twin(path)?),
                    ..LogKeys::only(current)
                },
                None => stopped_keys(&settings)?.rotated_to(current),
            };
            let directory = settings.log.directory.clone();
            blocking(move || rotate_stopped(&directory, keys).map_err(|error| error.to_string()))
                .await?;
        }
    }
    let shown = |error: std::io::Error| format!("{}: {error}", settings.log.key.display());
    std::fs::rename(&next, &settings.log.key).map_err(shown)?;
    sync_folder(&settings.log.key).map_err(shown)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        Some(parent) => std::fs::File::open(parent)?.sync_all(),
        None => std::fs::File::open(".")?.sync_all(),
    }
}

fn write_secret(path: &Path, key: &[u8; 32]) -> Result<(), String> {
    let write = || {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        let text = Zeroizing::new(format!("{}\n", hex::encode(key)));
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        sync_folder(path)
    };
    write().map_err(|error| format!("{}: {error}", path.display()))
}

/// Exports evidence of a stopped server's log with the private recovery key (PEM),
/// when the operator's key is lost. Nothing is time-stamped.
///
/// # Errors
/// Nothing matches, or the log, the key or the file cannot be used; in plain words.
pub async fn export_with_twin(
    config_path: &Path,
    twin: &Path,
    request: &ExportRequest,
    file: &Path,
) -> Result<ExportSummary, String> {
    let settings = settings(config_path)?;
    let query = request.query()?;
    let keys = LogKeys {
        twin: Some(read_twin(twin)?),
        // It opens nothing and wraps nothing: nothing is written under it.
        ..LogKeys::only(LogKey::new([0; 32]))
    };
    let file = file.to_owned();
    blocking(move || {
        let store =
            open_for_reading(&settings.log.directory, keys).map_err(|error| error.to_string())?;
        let shown = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let output = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&file)
            .map_err(|error| shown(&error))?;
        let (output, summary) =
            write_archive(&store, &query, output).map_err(|error| error.to_string())?;
        output.sync_all().map_err(|error| shown(&error))?;
        if summary.containers == 0 {
            let _ = std::fs::remove_file(&file);
            return Err("no record matches".into());
        }
        Ok(ExportSummary {
            len: output.metadata().map_err(|error| shown(&error))?.len(),
            containers: summary.containers,
            without_timestamp: summary.without_timestamp,
        })
    })
    .await
}
