//! What an administrator asks a running server for, over a socket in the file system
//! that only the server's user can open: what it lacks to be ready, evidence, time-stamped at
//! once, the state of the message log, another key for it.
//!
//! A request is one line of JSON. The answer is one line of JSON and, for an export,
//! the bytes of the archive.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::SecurityServerSettings;
use messagelog::{Direction, LogKey, RecordQuery};
use serde::{Deserialize, Serialize};
use store_segments::{Exported, MessageLog};
use time::OffsetDateTime;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use transport::{HttpClient, PoolLimits};
use xroad_id::ClientId;
use zeroize::{Zeroize, Zeroizing};

use crate::configuration_client::load_directory;
use crate::log_tasks::LogStatus;
use crate::server::Server;
use crate::start::{RunError, authorities, open_log};
use crate::timestamper::Timestamper;

/// Name of the socket, beside `server.toml`.
const SOCKET: &str = "control.sock";

/// Longest request line in bytes.
const LONGEST: u64 = 64 * 1024;

/// Which records an administrator wants.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExportRequest {
    /// Exactly this identifier of the message.
    pub query_id: Option<String>,
    /// Messages of this client, or of a service of it, in path form.
    pub party: Option<String>,
    /// From this time on, ms since 1970.
    pub from: Option<u64>,
    /// Before this time, ms since 1970.
    pub until: Option<u64>,
    /// Requests only.
    pub request_only: bool,
    /// Responses only.
    pub response_only: bool,
}

/// What was exported.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportSummary {
    /// Length of the archive in bytes.
    pub len: u64,
    /// Containers in it.
    pub containers: u64,
    /// Containers without a time-stamp, because none could be had.
    pub without_timestamp: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Export(ExportSummary),
    Status(LogStatus),
    Missing(Vec<String>),
    Done,
    Error(String),
}

/// Text that is wiped when it is dropped.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretText(pub(crate) String);

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What the server is asked for.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Export(ExportRequest),
    Status,
    Readiness,
    RotateLogKey {
        /// The new key in hexadecimal; the socket is the administrator's alone.
        key: SecretText,
    },
}

impl ExportRequest {
    pub(crate) fn query(&self) -> Result<RecordQuery, String> {
        Ok(RecordQuery {
            query_id: self.query_id.clone(),
            party: self
                .party
                .as_deref()
                .map(|text| ClientId::from_path(text).map_err(|error| format!("{text}: {error}")))
                .transpose()?,
            from: self.from,
            until: self.until,
            direction: match (self.request_only, self.response_only) {
                (true, false) => Some(Direction::Request),
                (false, true) => Some(Direction::Response),
                _ => None,
            },
            limit: Some(usize::MAX),
            ..RecordQuery::default()
        })
    }
}

async fn export(
    log: &MessageLog,
    timestamper: &Timestamper,
    request: &ExportRequest,
) -> Result<Exported, String> {
    let query = request.query()?;
    // An export is not kept waiting for the next batch.
    if let Err(error) = timestamper.stamp_pending().await {
        tracing::warn!(%error, "no time-stamp for an export");
    }
    let exported = log
        .export_archive(query)
        .await
        .map_err(|error| error.to_string())?;
    if exported.summary.containers == 0 {
        return Err("no record matches".into());
    }
    Ok(exported)
}

fn summary(exported: &Exported) -> ExportSummary {
    ExportSummary {
        len: exported.len,
        containers: exported.summary.containers,
        without_timestamp: exported.summary.without_timestamp,
    }
}

/// The socket's address by way of the open folder: a path in the file system may be
/// longer than the 107 bytes that a socket's address has.
fn address(folder: &std::fs::File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()))
}

fn folder_of(config_path: &Path) -> std::io::Result<std::fs::File> {
    let folder = config_path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))
}

/// Serves administrators until the process ends.
///
/// # Errors
/// The socket cannot be made.
pub fn serve(
    config_path: &Path,
    server: Arc<Server>,
) -> std::io::Result<tokio::task::JoinHandle<()>> {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder_of(config_path)?;
    let address = address(&folder);
    match std::fs::remove_file(&address) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&address)?;
    std::fs::set_permissions(&address, std::fs::Permissions::from_mode(0o600))?;
    Ok(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                if let Err(error) = answer(stream, &server).await {
                    tracing::debug!(%error, "an administrator's connection");
                }
            });
        }
    }))
}

async fn answer(stream: UnixStream, server: &Server) -> std::io::Result<()> {
    let log = &server.log;
    let (read, mut write) = stream.into_split();
    let mut line = Zeroizing::new(String::new());
    BufReader::new(read.take(LONGEST))
        .read_line(&mut line)
        .await?;
    let (answer, exported) = match serde_json::from_str(&line) {
        Ok(Request::Export(request)) => match export(log, &server.timestamper, &request).await {
            Ok(exported) => (Answer::Export(summary(&exported)), Some(exported)),
            Err(error) => (Answer::Error(error), None),
        },
        Ok(Request::Status) => {
            let directory = &server.settings.log.directory;
            (Answer::Status(status(log, directory)), None)
        }
        Ok(Request::Readiness) => (
            Answer::Missing(server.missing(OffsetDateTime::now_utc())),
            None,
        ),
        Ok(Request::RotateLogKey { key }) => match rotate(log, &key.0).await {
            Ok(()) => (Answer::Done, None),
            Err(error) => (Answer::Error(error), None),
        },
        Err(error) => (Answer::Error(error.to_string()), None),
    };
    let mut line = serde_json::to_vec(&answer).map_err(std::io::Error::other)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    if let Some(mut exported) = exported {
        loop {
            let (back, piece) = tokio::task::spawn_blocking(move || {
                let piece = exported.next_piece();
                (exported, piece)
            })
            .await?;
            exported = back;
            match piece.map_err(std::io::Error::other)? {
                Some(piece) => write.write_all(&piece).await?,
                None => break,
            }
        }
    }
    write.shutdown().await
}

fn status(log: &MessageLog, directory: &Path) -> LogStatus {
    let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    let refuses = log
        .accepts(u64::try_from(now).unwrap_or(0))
        .err()
        .map(|error| error.to_string());
    LogStatus::of(log.store(), directory, refuses, true)
}

async fn rotate(log: &MessageLog, key: &str) -> Result<(), String> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(key, bytes.as_mut())
        .map_err(|_| "the key must be 64 hexadecimal digits".to_owned())?;
    let keys = log.store().keys_rotated_to(LogKey::new(*bytes));
    log.rotate_log_key(keys)
        .await
        .map_err(|error| error.to_string())?;
    tracing::info!("the message log opens with another key now");
    Ok(())
}

/// Asks the running server; `None` when none runs.
pub(crate) async fn ask_server(
    config_path: &Path,
    request: &Request,
) -> Result<Option<Answer>, String> {
    let folder =
        folder_of(config_path).map_err(|error| format!("{}: {error}", config_path.display()))?;
    match UnixStream::connect(address(&folder)).await {
        Ok(stream) => ask(stream, request).await.map(|(answer, _)| Some(answer)),
        Err(_) => Ok(None),
    }
}

async fn ask(
    stream: UnixStream,
    request: &Request,
) -> Result<(Answer, BufReader<OwnedReadHalf>), String> {
    let broken = |error: std::io::Error| format!("the Security Server: {error}");
    let (read, mut write) = stream.into_split();
    let mut line = Zeroizing::new(serde_json::to_vec(request).map_err(|error| error.to_string())?);
    line.push(b'\n');
    write.write_all(&line).await.map_err(broken)?;
    let mut read = BufReader::new(read);
    let mut line = String::new();
    read.read_line(&mut line).await.map_err(broken)?;
    let answer =
        serde_json::from_str(&line).map_err(|error| format!("the Security Server: {error}"))?;
    Ok((answer, read))
}

/// What the running server that `config_path` describes lacks before it can exchange
/// messages, in plain words; nothing when it is ready.
///
/// # Errors
/// It does not run, or cannot be asked; in plain words.
pub async fn readiness(config_path: &Path) -> Result<Vec<String>, String> {
    match ask_server(config_path, &Request::Readiness).await? {
        Some(Answer::Missing(missing)) => Ok(missing),
        Some(Answer::Error(error)) => Err(error),
        Some(_) => Err("the Security Server answered something else".into()),
        None => Err("the Security Server does not run".into()),
    }
}

/// Makes the file for an export: only its owner reads messages.
async fn create(file: &Path) -> Result<tokio::fs::File, String> {
    tokio::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(file)
        .await
        .map_err(|error| format!("{}: {error}", file.display()))
}

/// Exports evidence of the Security Server described by `config_path` to `file`: from the
/// running server if there is one, else from its log directly.
///
/// # Errors
/// Nothing matches, or the log, the server or the file cannot be used; in plain words.
pub async fn export_evidence(
    config_path: &Path,
    request: &ExportRequest,
    file: &Path,
) -> Result<ExportSummary, String> {
    let folder =
        folder_of(config_path).map_err(|error| format!("{}: {error}", config_path.display()))?;
    match UnixStream::connect(address(&folder)).await {
        Ok(stream) => from_server(stream, request, file).await,
        Err(_) => from_log(config_path, request, file).await,
    }
}

async fn from_server(
    stream: UnixStream,
    request: &ExportRequest,
    file: &Path,
) -> Result<ExportSummary, String> {
    let (answer, mut read) = ask(stream, &Request::Export(request.clone())).await?;
    match answer {
        Answer::Error(error) => Err(error),
        Answer::Status(_) | Answer::Missing(_) | Answer::Done => {
            Err("the Security Server answered something else".into())
        }
        Answer::Export(summary) => {
            let unwritten = |error: std::io::Error| format!("{}: {error}", file.display());
            let mut output = create(file).await?;
            let copied = tokio::io::copy(&mut read, &mut output)
                .await
                .map_err(unwritten)?;
            output.sync_all().await.map_err(unwritten)?;
            if copied != summary.len {
                return Err("the Security Server broke off in the middle of the export".into());
            }
            Ok(summary)
        }
    }
}

async fn from_log(
    config_path: &Path,
    request: &ExportRequest,
    file: &Path,
) -> Result<ExportSummary, String> {
    let text = |error: RunError| error.to_string();
    let settings = SecurityServerSettings::read(config_path).map_err(|error| error.to_string())?;
    let log = open_log(&settings, None).map_err(text)?;
    let http = HttpClient::new(PoolLimits::default()).map_err(|error| error.to_string())?;
    let configuration = load_directory(&settings.globalconf).ok().map(Arc::new);
    let interval = settings.log.timestamp_interval_seconds;
    let timestamper = Timestamper::new(log.clone(), http, move || {
        configuration
            .as_deref()
            .map(|configuration| authorities(configuration, interval))
    });
    let mut exported = export(&log, &timestamper, request).await?;
    let summary = summary(&exported);
    let unwritten = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut output = create(file).await?;
    while let Some(piece) = exported.next_piece().map_err(|error| error.to_string())? {
        output
            .write_all(&piece)
            .await
            .map_err(|error| unwritten(&error))?;
    }
    output.sync_all().await.map_err(|error| unwritten(&error))?;
    log.close().await.map_err(|error| error.to_string())?;
    Ok(summary)
}
