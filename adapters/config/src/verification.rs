//! `verification.toml`: the public page that verifies signatures.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{ConfigError, read, usual};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "listen")]
    listen: SocketAddr,
    #[serde(default = "usual::certificate")]
    certificate: PathBuf,
    #[serde(default = "usual::key")]
    key: PathBuf,
    #[serde(default = "usual::trust")]
    trust: PathBuf,
    anchor: Option<PathBuf>,
    globalconf: Option<PathBuf>,
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8885))
}

/// Everything that `verification.toml` says, paths made absolute against its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate chain of HTTPS, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The list of authorities to trust for signatures on documents ([`crate::read_trust_list`]).
    pub trust: PathBuf,
    /// Configuration anchor, up to which the configurations in exported evidence are verified.
    pub anchor: Option<PathBuf>,
    /// Directory of a stored configuration, by which single messages of X-Road are judged.
    pub globalconf: Option<PathBuf>,
}

impl VerificationSettings {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The file cannot be read or says something that cannot be used.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(&read(path)?).map_err(|source| ConfigError::Form {
            path: path.into(),
            source: Box::new(source),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            listen: file.listen,
            certificate: folder.join(file.certificate),
            key: folder.join(file.key),
            trust: folder.join(file.trust),
            anchor: file.anchor.map(|path| folder.join(path)),
            globalconf: file.globalconf.map(|path| folder.join(path)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<VerificationSettings, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("verification.toml");
        std::fs::write(&path, text).unwrap();
        VerificationSettings::load(&path)
    }

    #[test]
    fn an_empty_file_is_safe_and_mistakes_are_told() {
        let settings = load("").unwrap();
        assert!(settings.listen.ip().is_loopback());
        assert!(settings.trust.ends_with("trust.toml") && settings.trust.is_absolute());
        assert!(settings.anchor.is_none() && settings.globalconf.is_none());
        let settings = load("listen = \"127.0.0.9:443\"\nanchor = \"/a/anchor.xml\"\n").unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.9:443");
        assert_eq!(settings.anchor, Some("/a/anchor.xml".into()));
        for (text, place) in [
            ("listen = \"somewhere\"", "listen"),
            ("trsut = \"trust.toml\"", "trsut"),
        ] {
            let error = load(text).unwrap_err().to_string();
            assert!(
                error.contains("verification.toml") && error.contains(place),
                "{error}"
            );
        }
    }
}
