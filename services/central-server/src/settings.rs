//! Settings of a Central Server, from a TOML file:
//!
//! ```toml
//! description = "instance.toml"    # see central::file
//! directory = "central"            # keys, anchors, what is published
//! listen = "127.0.0.10:8888"
//! validity_seconds = 600           # default
//! interval_seconds = 60            # default: how often everything is signed anew
//! key_type = "rsa-2048"            # default; of new signing keys
//!
//! # [https]
//! # listen = "127.0.0.10:8443"
//! # certificate = "tls.pem"
//! # key = "tls.key.pem"            # PKCS#8
//! ```
//!
//! Paths are relative to the file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pki::KeyType;
use serde::Deserialize;

use crate::CentralServerError;

/// HTTPS beside HTTP.
#[derive(Debug, Clone)]
pub struct HttpsSettings {
    /// Address to serve at.
    pub listen: SocketAddr,
    /// PEM file with the certificate and those above it.
    pub certificate: PathBuf,
    /// PEM file with the key, PKCS#8.
    pub key: PathBuf,
}

/// Settings of a Central Server.
#[derive(Debug, Clone)]
pub struct CentralServerSettings {
    /// File with the description of the instance.
    pub description: PathBuf,
    /// Directory for keys, anchors and what is published.
    pub directory: PathBuf,
    /// Address to serve at.
    pub listen: SocketAddr,
    /// HTTPS beside it.
    pub https: Option<HttpsSettings>,
    /// How long a configuration is valid.
    pub validity: Duration,
    /// How often everything is signed anew; well below the validity.
    pub interval: Duration,
    /// Type of new signing keys. Peers older than X-Road 7.6 read RSA only.
    pub key_type: KeyType,
}

/// Validity of a configuration as X-Road's generator has it.
pub const DEFAULT_VALIDITY: Duration = Duration::from_secs(600);
/// Interval of generation as X-Road has it.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

impl CentralServerSettings {
    /// Settings with the usual times and keys.
    pub fn new(description: PathBuf, directory: PathBuf, listen: SocketAddr) -> Self {
        Self {
            description,
            directory,
            listen,
            https: None,
            validity: DEFAULT_VALIDITY,
            interval: DEFAULT_INTERVAL,
            key_type: KeyType::Rsa2048,
        }
    }

    /// Reads the settings from a file.
    ///
    /// # Errors
    /// The file cannot be read or is not as documented.
    pub fn load(path: &Path) -> Result<Self, CentralServerError> {
        let text = std::fs::read_to_string(path).map_err(|error| CentralServerError::File {
            path: path.to_owned(),
            error,
        })?;
        let wrong = |reason: String| CentralServerError::Settings {
            path: path.to_owned(),
            reason,
        };
        let file: SettingsFile = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let settings = Self {
            description: folder.join(file.description),
            directory: folder.join(file.directory),
            listen: file.listen,
            https: file.https.map(|https| HttpsSettings {
                listen: https.listen,
                certificate: folder.join(https.certificate),
                key: folder.join(https.key),
            }),
            validity: Duration::from_secs(file.validity_seconds),
            interval: Duration::from_secs(file.interval_seconds),
            key_type: KeyType::from_name(&file.key_type)
                .ok_or_else(|| wrong(format!("key_type {:?} is not known", file.key_type)))?,
        };
        if settings.interval.is_zero() || settings.interval >= settings.validity {
            return Err(wrong(
                "interval_seconds must be above 0 and below validity_seconds".to_owned(),
            ));
        }
        Ok(settings)
    }
}

fn default_validity() -> u64 {
    DEFAULT_VALIDITY.as_secs()
}
fn default_interval() -> u64 {
    DEFAULT_INTERVAL.as_secs()
}
fn default_key_type() -> String {
    KeyType::Rsa2048.name().to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsFile {
    description: PathBuf,
    directory: PathBuf,
    listen: SocketAddr,
    #[serde(default = "default_validity")]
    validity_seconds: u64,
    #[serde(default = "default_interval")]
    interval_seconds: u64,
    #[serde(default = "default_key_type")]
    key_type: String,
    https: Option<HttpsFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpsFile {
    listen: SocketAddr,
    certificate: PathBuf,
    key: PathBuf,
}
