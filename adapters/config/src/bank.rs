//! `bank.toml`: the site of a bank.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{ConfigError, read, usual};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    origin: String,
    #[serde(default = "listen")]
    listen: SocketAddr,
    #[serde(default = "usual::certificate")]
    certificate: PathBuf,
    #[serde(default = "usual::key")]
    key: PathBuf,
    #[serde(default = "usual::state")]
    state: PathBuf,
    #[serde(default = "usual::trust")]
    trust: PathBuf,
    time_stamping: String,
    verification: String,
    authorities: PathBuf,
    #[serde(default)]
    hosts: BTreeMap<String, IpAddr>,
    identity_provider: FilePeer,
    signing_service: FilePeer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePeer {
    url: String,
    client_id: String,
    key: PathBuf,
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8886))
}

/// Everything that `bank.toml` says, paths made absolute against its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankSiteSettings {
    /// The address under which browsers know the site: `https`, without a slash at the end.
    pub origin: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate chain of HTTPS, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Directory of the contracts.
    pub state: PathBuf,
    /// The list of authorities to trust for signatures on documents ([`crate::read_trust_list`]).
    pub trust: PathBuf,
    /// Address of the time-stamping authority.
    pub time_stamping: String,
    /// Address of the page that verifies signatures, for people.
    pub verification: String,
    /// Authorities of the certificates of the servers that are called, PEM.
    pub authorities: PathBuf,
    /// Addresses of hosts that are called, where the system's names are not to be asked.
    pub hosts: BTreeMap<String, IpAddr>,
    /// The identity provider.
    pub identity_provider: PeerSettings,
    /// The signing service.
    pub signing_service: PeerSettings,
}

/// A server whose client the site is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSettings {
    /// Its address, which is also its issuer, without a slash at the end.
    pub url: String,
    /// What the site is called there.
    pub client_id: String,
    /// The key that proves it, PEM (PKCS #8, P-256).
    pub key: PathBuf,
}

impl BankSiteSettings {
    /// Reads the file. What it names is read when it is needed.
    ///
    /// # Errors
    /// The file cannot be read, has an unknown key or a value that means nothing.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(&read(path)?).map_err(|source| ConfigError::Form {
            path: path.into(),
            source: Box::new(source),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let at = |place: PathBuf| folder.join(place);
        let origin = |field: &str, text: String| {
            let rest = text.strip_prefix("https://").unwrap_or_default();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
            if !rest.is_empty() && rest.bytes().all(plain) {
                return Ok(text);
            }
            Err(ConfigError::Value {
                path: path.into(),
                message: format!(
                    "{field} {text:?} is not an address like https://bank.example.kg, without path and slash at the end"
                ),
            })
        };
        let peer = |field: &str, peer: FilePeer| {
            Ok(PeerSettings {
                url: origin(field, peer.url)?,
                client_id: peer.client_id,
                key: at(peer.key),
            })
        };
        Ok(Self {
            origin: origin("origin", file.origin)?,
            listen: file.listen,
            certificate: at(file.certificate),
            key: at(file.key),
            state: at(file.state),
            trust: at(file.trust),
            time_stamping: file.time_stamping,
            verification: file.verification,
            authorities: at(file.authorities),
            hosts: file.hosts,
            identity_provider: peer("identity_provider.url", file.identity_provider)?,
            signing_service: peer("signing_service.url", file.signing_service)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "origin = \"https://bank.example.kg\"\ntime_stamping = \"http://tsa\"\n\
        verification = \"https://verify.example.kg/\"\nauthorities = \"ca.pem\"\n\
        [identity_provider]\nurl = \"https://id.example.kg\"\nclient_id = \"a\"\nkey = \"a.key\"\n\
        [signing_service]\nurl = \"https://sign.example.kg:8884\"\nclient_id = \"b\"\nkey = \"/b.key\"\n";

    fn load(text: &str) -> Result<BankSiteSettings, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.toml");
        std::fs::write(&path, text).unwrap();
        BankSiteSettings::load(&path)
    }

    #[test]
    fn what_is_left_out_is_safe_and_mistakes_are_told() {
        let settings = load(GOOD).unwrap();
        assert!(settings.listen.ip().is_loopback());
        assert!(settings.state.ends_with("state") && settings.state.is_absolute());
        assert_eq!(settings.signing_service.key, Path::new("/b.key"));
        for (from, to, place) in [
            (
                "https://bank.example.kg",
                "http://bank.example.kg",
                "origin",
            ),
            (
                "https://bank.example.kg",
                "https://bank.example.kg/",
                "origin",
            ),
            (
                "https://id.example.kg",
                "id.example.kg",
                "identity_provider.url",
            ),
            (
                "https://sign.example.kg:8884",
                "https://",
                "signing_service.url",
            ),
            ("time_stamping", "timestamping", "timestamping"),
            ("client_id = \"a\"\n", "", "client_id"),
        ] {
            let error = load(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(
                error.contains("bank.toml") && error.contains(place),
                "{error}"
            );
        }
    }
}
