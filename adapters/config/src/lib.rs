//! Configuration files, read whole and judged before anything starts. An unknown
//! key stops the start: a misspelt safety setting must not be ignored.

mod bank;
mod identity;
mod population;
mod secret;
mod server;
mod signing;
mod stored_configuration;
mod trust_list;
mod usual;
mod verification;

pub use bank::{BankSiteSettings, PeerSettings};
pub use identity::{CardSettings, IdpSettings, RegisterSettings, SigningSettings};
pub use population::{
    IdentityProviderKeys, PopulationAccess, PopulationClient, PushSettings, read_population_access,
};
pub use secret::{make_secret, read_secret};
pub use server::{FaultStyle, Language, LogSettings, SecurityServerSettings, version};
pub use signing::{
    AuthoritySettings, ClientDuty, SigningClientSettings, SigningServerSettings, TokenSettings,
};
pub use stored_configuration::{load_directory, read_stored};
pub use trust_list::read_trust_list;
pub use verification::VerificationSettings;

use std::path::{Path, PathBuf};

/// Why a configuration file cannot be used. The fault is the administrator's,
/// and the text names the file and the place in it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML of the documented form.
    #[error("{path}: {source}")]
    Form {
        /// The file.
        path: PathBuf,
        /// Place and reason.
        source: Box<toml::de::Error>,
    },
    /// A secret that others of the machine could read.
    #[error(
        "{path}: others can read it; it holds a secret, take their rights away: chmod 600 {path}"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// A value is of the right form but means nothing.
    #[error("{path}: {message}")]
    Value {
        /// The file.
        path: PathBuf,
        /// What is wrong and what is expected.
        message: String,
    },
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.into(),
        source,
    })
}

/// Reads the certificates of a PEM file as DER.
///
/// # Errors
/// The file cannot be read, or holds no certificate or a damaged one.
pub fn read_certificates(path: &Path) -> Result<Vec<Vec<u8>>, ConfigError> {
    use base64::Engine;
    let text = read(path)?;
    let damaged = |message: &str| ConfigError::Value {
        path: path.into(),
        message: message.into(),
    };
    let mut certificates = Vec::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find("-----BEGIN CERTIFICATE-----") {
        let body = &rest[start + "-----BEGIN CERTIFICATE-----".len()..];
        let end = body
            .find("-----END CERTIFICATE-----")
            .ok_or_else(|| damaged("a certificate begins but does not end"))?;
        let base64: String = body[..end].chars().filter(|c| !c.is_whitespace()).collect();
        let der = base64::engine::general_purpose::STANDARD
            .decode(base64)
            .map_err(|_| damaged("a certificate is not base64"))?;
        certificates.push(der);
        rest = &body[end..];
    }
    if certificates.is_empty() {
        return Err(damaged("the file holds no certificate in PEM form"));
    }
    Ok(certificates)
}
