//! `server.toml`: one Security Server.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serverconf::{
    AccessRight, Client, Connection, Endpoint, ServerConfiguration, Service, ServiceKind, Subject,
};
use xroad_id::{ClientId, GlobalGroupId, LocalGroupId, SecurityServerId, ServiceId};

use crate::{ConfigError, read, read_certificates};

/// Language of the fault texts that this server writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Kyrgyz.
    Ky,
    /// Russian.
    Ru,
    /// English.
    #[default]
    En,
}

/// Spelling of the fault codes that this server makes (reference 1.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum FaultStyle {
    /// `server.serverproxy.access_denied`, as X-Road from 7.8.
    #[default]
    #[serde(rename = "7.8")]
    V78,
    /// `Server.ServerProxy.AccessDenied`, as X-Road up to 7.7.
    #[serde(rename = "7.7")]
    V77,
}

/// Where and how messages are logged.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Directory of the segments.
    pub directory: PathBuf,
    /// File with the 32 byte key in hexadecimal that wraps the data keys. Keep it outside `directory`.
    pub key: PathBuf,
    /// Wrap the data keys under a key of the token instead of `key`: the log then opens with the
    /// token alone, and without the token only with the recovery twin.
    pub key_from_token: bool,
    /// PEM file with the public key of an offline recovery twin, if there is one.
    pub recovery_key: Option<PathBuf>,
    /// Seconds between batches of time-stamps; default: what the global configuration says, at least 60.
    pub timestamp_interval_seconds: Option<u64>,
    /// Time-stamp every message before it goes on, instead of in batches.
    pub timestamp_immediately: bool,
    /// Seconds for which messages are exchanged while no time-stamp can be had; default 14,400 (X-Road).
    pub timestamp_grace_seconds: u64,
    /// Days for which records are kept after their time-stamp; default 30 (X-Road).
    pub retention_days: u32,
    /// Most bytes of unverified bodies from one peer, default 4 GiB.
    pub spool_bytes_per_peer: u64,
    /// Most bytes of unverified bodies in all, default 16 GiB.
    pub spool_bytes: u64,
    /// Bytes of disk that stay free for the log when bodies are spooled, default 256 MiB.
    pub reserved_bytes: u64,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            directory: "log".into(),
            key: "log.key".into(),
            key_from_token: false,
            recovery_key: None,
            timestamp_interval_seconds: None,
            timestamp_immediately: false,
            timestamp_grace_seconds: 14_400,
            retention_days: 30,
            spool_bytes_per_peer: 4 << 30,
            spool_bytes: 16 << 30,
            reserved_bytes: 256 << 20,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: String,
    address: IpAddr,
    #[serde(default = "message_port")]
    message_port: u16,
    #[serde(default = "ocsp_port")]
    ocsp_port: u16,
    #[serde(default = "http_port")]
    http_port: u16,
    #[serde(default = "https_port")]
    https_port: u16,
    #[serde(default = "message_port")]
    peer_message_port: u16,
    #[serde(default = "ocsp_port")]
    peer_ocsp_port: u16,
    #[serde(default)]
    language: Language,
    #[serde(default)]
    fault_style: FaultStyle,
    minimum_peer_version: Option<String>,
    #[serde(default = "anchor")]
    anchor: PathBuf,
    #[serde(default = "globalconf")]
    globalconf: PathBuf,
    #[serde(default)]
    allowed_federations: String,
    #[serde(default = "token")]
    token: PathBuf,
    sealed_key: Option<PathBuf>,
    #[serde(default)]
    batch_signing: bool,
    #[serde(default = "soap_limit")]
    soap_limit_bytes: usize,
    #[serde(default = "message_memory")]
    message_memory_bytes: usize,
    #[serde(default)]
    log: LogSettings,
    #[serde(default, rename = "client")]
    clients: Vec<FileClient>,
    #[serde(default, rename = "service")]
    services: Vec<FileService>,
    #[serde(default, rename = "local_group")]
    local_groups: Vec<FileGroup>,
}

fn message_port() -> u16 {
    5500
}
fn ocsp_port() -> u16 {
    5577
}
fn http_port() -> u16 {
    8080
}
fn https_port() -> u16 {
    8443
}
fn anchor() -> PathBuf {
    "anchor.xml".into()
}
fn globalconf() -> PathBuf {
    "globalconf".into()
}
fn token() -> PathBuf {
    "token.json".into()
}
fn soap_limit() -> usize {
    10 << 20
}
fn message_memory() -> usize {
    512 << 20
}
fn sixty() -> u64 {
    60
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileClient {
    id: String,
    #[serde(default)]
    connection: FileConnection,
    #[serde(default)]
    certificates: Vec<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FileConnection {
    Http,
    HttpsNoAuth,
    #[default]
    Https,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileService {
    provider: String,
    code: String,
    version: Option<String>,
    #[serde(rename = "type")]
    kind: FileKind,
    url: String,
    namespace: Option<String>,
    description: Option<String>,
    #[serde(default = "sixty")]
    timeout_seconds: u64,
    disabled: Option<String>,
    #[serde(default)]
    certificates: Vec<PathBuf>,
    #[serde(default)]
    allowed: Vec<FileRight>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FileKind {
    Soap,
    Rest,
    OpenApi,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRight {
    subject: String,
    method: Option<String>,
    path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileGroup {
    code: String,
    client: String,
    members: Vec<String>,
}

/// Everything that `server.toml` says, paths made absolute against its folder.
#[derive(Debug, Clone)]
pub struct SecurityServerSettings {
    /// Address that all ports are bound to.
    pub address: IpAddr,
    /// Port for messages from other Security Servers (X-Road: 5500).
    pub message_port: u16,
    /// Port of the certificate status answers (X-Road: 5577).
    pub ocsp_port: u16,
    /// Port for information systems over HTTP.
    pub http_port: u16,
    /// Port for information systems over HTTPS.
    pub https_port: u16,
    /// Port on which other Security Servers are called: one for the whole server.
    pub peer_message_port: u16,
    /// Port on which other Security Servers are asked for certificate status.
    pub peer_ocsp_port: u16,
    /// Language of fault texts.
    pub language: Language,
    /// Spelling of fault codes.
    pub fault_style: FaultStyle,
    /// Lowest `x-proxy-version` that is served; `None`: any, also an absent or unreadable one.
    pub minimum_peer_version: Option<(u32, u32, u32)>,
    /// Configuration anchor file.
    pub anchor: PathBuf,
    /// Directory of the stored global configuration (G24).
    pub globalconf: PathBuf,
    /// Federated instances whose members are dealt with: `none` (or nothing), `all`, or codes
    /// separated by commas (G22).
    pub allowed_federations: String,
    /// File of the software token.
    pub token: PathBuf,
    /// File with the token's sealed key, for unattended start.
    pub sealed_key: Option<PathBuf>,
    /// Whether messages that wait are signed together.
    pub batch_signing: bool,
    /// Longest SOAP envelope in bytes; attachments and REST bodies have no limit.
    pub soap_limit_bytes: usize,
    /// Most bytes of memory that all messages under way take together beyond the first 96 KiB of
    /// each, half of it for requests; default 512 MiB. At least four times `soap_limit_bytes`.
    pub message_memory_bytes: usize,
    /// The message log.
    pub log: LogSettings,
    /// Clients, services and rights.
    pub configuration: ServerConfiguration,
}

impl SecurityServerSettings {
    /// Reads `path` and everything it refers to that must exist at the start.
    ///
    /// # Errors
    /// The file or a certificate cannot be read, has an unknown key or contradicts itself.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(&read(path)?).map_err(|source| ConfigError::Form {
            path: path.into(),
            source: Box::new(source),
        })?;
        Loader {
            path,
            folder: path.parent().unwrap_or(Path::new(".")),
        }
        .settings(file)
    }
}

struct Loader<'a> {
    path: &'a Path,
    folder: &'a Path,
}

impl Loader<'_> {
    fn wrong(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::Value {
            path: self.path.into(),
            message: message.into(),
        }
    }

    fn client_id(&self, text: &str) -> Result<ClientId, ConfigError> {
        ClientId::from_path(text).map_err(|error| self.wrong(format!("{text:?}: {error}")))
    }

    fn certificates(&self, files: &[PathBuf]) -> Result<Vec<Vec<u8>>, ConfigError> {
        let mut all = Vec::new();
        for file in files {
            all.extend(read_certificates(&self.folder.join(file))?);
        }
        Ok(all)
    }

    fn settings(&self, file: File) -> Result<SecurityServerSettings, ConfigError> {
        let id = SecurityServerId::from_path(&file.id)
            .map_err(|error| self.wrong(format!("id {:?}: {error}", file.id)))?;
        let minimum_peer_version = file
            .minimum_peer_version
            .as_deref()
            .map(|text| {
                version(text).ok_or_else(|| {
                    self.wrong(format!(
                        "minimum_peer_version {text:?} is not of the form 7.6.0"
                    ))
                })
            })
            .transpose()?;
        if file.message_memory_bytes / 4 < file.soap_limit_bytes {
            return Err(self.wrong(format!(
                "message_memory_bytes = {} is less than four times soap_limit_bytes = {}",
                file.message_memory_bytes, file.soap_limit_bytes
            )));
        }
        let configuration = self.configuration(id, &file)?;
        let mut log = file.log;
        log.directory = self.folder.join(log.directory);
        log.key = self.folder.join(log.key);
        log.recovery_key = log.recovery_key.map(|path| self.folder.join(path));
        Ok(SecurityServerSettings {
            address: file.address,
            message_port: file.message_port,
            ocsp_port: file.ocsp_port,
            http_port: file.http_port,
            https_port: file.https_port,
            peer_message_port: file.peer_message_port,
            peer_ocsp_port: file.peer_ocsp_port,
            language: file.language,
            fault_style: file.fault_style,
            minimum_peer_version,
            anchor: self.folder.join(file.anchor),
            globalconf: self.folder.join(file.globalconf),
            allowed_federations: file.allowed_federations,
            token: self.folder.join(file.token),
            sealed_key: file.sealed_key.map(|path| self.folder.join(path)),
            batch_signing: file.batch_signing,
            soap_limit_bytes: file.soap_limit_bytes,
            message_memory_bytes: file.message_memory_bytes,
            log,
            configuration,
        })
    }

    fn configuration(
        &self,
        id: SecurityServerId,
        file: &File,
    ) -> Result<ServerConfiguration, ConfigError> {
        let mut clients = Vec::new();
        for client in &file.clients {
            let connection = match client.connection {
                FileConnection::Http => Connection::Http,
                FileConnection::HttpsNoAuth => Connection::HttpsNoAuth,
                FileConnection::Https => Connection::Https,
            };
            clients.push(Client {
                id: self.client_id(&client.id)?,
                connection,
                certificates: self.certificates(&client.certificates)?,
            });
        }
        let mut services = Vec::new();
        for service in &file.services {
            services.push(self.service(service)?);
        }
        let mut groups = Vec::new();
        for group in &file.local_groups {
            let members = group
                .members
                .iter()
                .map(|text| self.client_id(text))
                .collect::<Result<Vec<_>, _>>()?;
            groups.push((self.client_id(&group.client)?, group.code.clone(), members));
        }
        ServerConfiguration::new(id, clients, services, groups)
            .map_err(|error| self.wrong(error.to_string()))
    }

    fn service(&self, file: &FileService) -> Result<(Service, Vec<AccessRight>), ConfigError> {
        let provider = self.client_id(&file.provider)?;
        let id = ServiceId::new(provider, &file.code, file.version.as_deref())
            .map_err(|error| self.wrong(format!("service {:?}: {error}", file.code)))?;
        let rights = file
            .allowed
            .iter()
            .map(|right| self.right(right))
            .collect::<Result<Vec<_>, _>>()?;
        let description = file.description.as_ref().map(|text| {
            if text.starts_with("http://") || text.starts_with("https://") {
                text.clone()
            } else {
                self.folder.join(text).to_string_lossy().into_owned()
            }
        });
        let service = Service {
            id,
            kind: match file.kind {
                FileKind::Soap => ServiceKind::Soap,
                FileKind::Rest => ServiceKind::Rest,
                FileKind::OpenApi => ServiceKind::OpenApi,
            },
            url: file.url.clone(),
            namespace: file.namespace.clone(),
            timeout: Duration::from_secs(file.timeout_seconds),
            disabled: file.disabled.clone(),
            description,
            certificates: self.certificates(&file.certificates)?,
        };
        Ok((service, rights))
    }

    fn right(&self, file: &FileRight) -> Result<AccessRight, ConfigError> {
        let subject = if let Some(group) = file.subject.strip_prefix("GLOBALGROUP:") {
            let (instance, code) = group.split_once('/').ok_or_else(|| {
                self.wrong(format!(
                    "{:?} is not of the form GLOBALGROUP:INSTANCE/CODE",
                    file.subject
                ))
            })?;
            Subject::GlobalGroup(GlobalGroupId {
                instance: instance.into(),
                group_code: code.into(),
            })
        } else if let Some(code) = file.subject.strip_prefix("LOCALGROUP:") {
            Subject::LocalGroup(LocalGroupId {
                group_code: code.into(),
            })
        } else {
            Subject::Client(self.client_id(&file.subject)?)
        };
        let endpoint = match (&file.method, &file.path) {
            (None, None) => None,
            (method, path) => Some(Endpoint {
                method: method.clone().unwrap_or_else(|| "*".into()),
                path: path.clone().unwrap_or_else(|| "**".into()),
            }),
        };
        Ok(AccessRight { subject, endpoint })
    }
}

/// Reads `7.6.0`, `7.6` or `7.6.0-beta` as major, minor, patch.
pub fn version(text: &str) -> Option<(u32, u32, u32)> {
    let numbers = text.split(['-', '+']).next()?;
    let mut parts = numbers.split('.').map(|part| part.parse().ok());
    let version = (
        parts.next()??,
        parts.next()??,
        parts.next().unwrap_or(Some(0))?,
    );
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"
id = "KG/GOV/70000001/ss1"
address = "127.0.0.11"
[[client]]
id = "KG/GOV/70000001/population"
connection = "http"
[[service]]
provider = "KG/GOV/70000001/population"
code = "persons"
type = "rest"
url = "http://127.0.0.1:9000/"
[[service.allowed]]
subject = "KG/COM/80000001/bank"
method = "GET"
path = "/persons/*"
"#;

    fn parse(text: &str) -> Result<SecurityServerSettings, ConfigError> {
        let path = Path::new("/etc/tunduk/server.toml");
        let file = toml::from_str(text).map_err(|source| ConfigError::Form {
            path: path.into(),
            source: Box::new(source),
        })?;
        Loader {
            path,
            folder: Path::new("/etc/tunduk"),
        }
        .settings(file)
    }

    #[test]
    fn defaults_are_x_roads_ports_and_paths_are_beside_the_file() {
        let settings = parse(EXAMPLE).unwrap();
        assert_eq!((settings.message_port, settings.ocsp_port), (5500, 5577));
        assert_eq!(settings.log.directory, Path::new("/etc/tunduk/log"));
        assert_eq!(settings.log.timestamp_grace_seconds, 14_400);
        assert!(settings.minimum_peer_version.is_none());
        let provider = ClientId::from_path("KG/GOV/70000001/population").unwrap();
        assert_eq!(settings.configuration.services_of(&provider).len(), 1);
    }

    #[test]
    fn unknown_keys_and_wrong_values_stop_the_start() {
        assert!(matches!(
            parse(&format!("batch_singing = true\n{EXAMPLE}")),
            Err(ConfigError::Form { .. })
        ));
        assert!(matches!(
            parse(&format!("minimum_peer_version = \"new\"\n{EXAMPLE}")),
            Err(ConfigError::Value { .. })
        ));
        assert!(parse(&EXAMPLE.replace("70000001/ss1", "70000001")).is_err());
        assert!(matches!(
            parse(&format!("message_memory_bytes = 40000000\n{EXAMPLE}")),
            Err(ConfigError::Value { .. })
        ));
    }

    #[test]
    fn versions_are_semantic() {
        assert_eq!(version("7.6.0"), Some((7, 6, 0)));
        assert_eq!(version("7.8.1-SNAPSHOT"), Some((7, 8, 1)));
        assert_eq!(version("own-build-1"), None);
        assert_eq!(version("7.x.1"), None);
    }
}
