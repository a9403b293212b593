//! `signing.toml`: the signing service.

use std::collections::{BTreeMap, BTreeSet};
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
    postgres: Option<PathBuf>,
    #[serde(default = "master")]
    master: PathBuf,
    pkcs11: Option<FileToken>,
    authorities: PathBuf,
    card_authorities: Option<PathBuf>,
    authority: Option<FileAuthority>,
    time_stamping: Option<String>,
    #[serde(default)]
    hosts: BTreeMap<String, IpAddr>,
    #[serde(default, rename = "client")]
    clients: Vec<FileClient>,
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8884))
}
fn master() -> PathBuf {
    "master.key".into()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToken {
    module: PathBuf,
    token: String,
    pin: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAuthority {
    url: String,
    name: String,
    key: PathBuf,
    authorities: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileClient {
    id: String,
    names: BTreeMap<String, String>,
    keys: PathBuf,
    #[serde(default)]
    redirect_uris: BTreeSet<String>,
    duties: BTreeSet<ClientDuty>,
}

/// Names under which the service itself asks.
const RESERVED: [&str; 2] = ["desk", "self"];

/// What a client of the signing service may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientDuty {
    /// Ask people for signatures.
    Sign,
    /// Say that somebody's account is frozen or was recovered.
    Freeze,
}

/// Everything that `signing.toml` says, paths made absolute against its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningServerSettings {
    /// The address under which clients and people know the service: `https`, without a slash at the end. Passkeys are
    /// bound to its host.
    pub origin: String,
    /// The host of the origin.
    pub host: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate chain of HTTPS, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Directory of the database, unless that is PostgreSQL.
    pub state: PathBuf,
    /// File with the parameters of a connection to PostgreSQL.
    pub postgres: Option<PathBuf>,
    /// File with the master key of people's keys, unless these are in a token. The same on every node, never beside the
    /// database.
    pub master: PathBuf,
    /// The PKCS#11 token that holds people's keys.
    pub token: Option<TokenSettings>,
    /// The certificates above people's, from the issuer up, PEM.
    pub authorities: PathBuf,
    /// Who issues identity cards, PEM; none: cards confirm nothing.
    pub card_authorities: Option<PathBuf>,
    /// Who certifies people's keys; none: nobody is enrolled here.
    pub authority: Option<AuthoritySettings>,
    /// Address of the time-stamping authority; none: signatures get no time-stamps here.
    pub time_stamping: Option<String>,
    /// Addresses of hosts that are called, where the system's names are not to be asked.
    pub hosts: BTreeMap<String, IpAddr>,
    /// Who may call.
    pub clients: Vec<SigningClientSettings>,
}

/// A PKCS#11 token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// The library of its maker.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// File with the user's PIN.
    pub pin: PathBuf,
}

/// The certification authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthoritySettings {
    /// Its address, without a slash at the end.
    pub url: String,
    /// What this service is called there.
    pub name: String,
    /// The key that signs orders, PEM.
    pub key: PathBuf,
    /// With `https`: authorities of its server, PEM.
    pub authorities: Option<PathBuf>,
}

/// A client of the signing service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningClientSettings {
    /// Its identifier.
    pub id: String,
    /// What people know it as, by language: `ky`, `ru`, `en`.
    pub names: BTreeMap<String, String>,
    /// File with its public keys, a JWK Set.
    pub keys: PathBuf,
    /// Where its browsers come back to.
    pub redirect_uris: BTreeSet<String>,
    /// What it may do.
    pub duties: BTreeSet<ClientDuty>,
}

impl SigningServerSettings {
    /// Reads the file. What it names is read when it is needed.
    ///
    /// # Errors
    /// The file cannot be read, has an unknown key or a value that means nothing.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::of(path, &read(path)?)
    }

    fn of(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|source| ConfigError::Form {
            path: path.into(),
            source: Box::new(source),
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let at = |place: PathBuf| folder.join(place);
        let wrong = |message: String| ConfigError::Value {
            path: path.into(),
            message,
        };
        let host = host_of(&file.origin).ok_or_else(|| {
            wrong(format!(
                "origin {:?} is not an address like https://sign.example.kg, without path and slash at the end",
                file.origin
            ))
        })?;
        let authority = match file.authority {
            None => None,
            Some(authority) => {
                let url = authority.url.trim_end_matches('/').to_owned();
                if url.starts_with("https://") && authority.authorities.is_none() {
                    return Err(wrong(
                        "authority.authorities is missing: with https it is said whose certificates are trusted".into(),
                    ));
                }
                if !url.starts_with("https://") && !url.starts_with("http://") {
                    return Err(wrong(format!(
                        "authority.url {url:?} is no http or https address"
                    )));
                }
                Some(AuthoritySettings {
                    url,
                    name: authority.name,
                    key: at(authority.key),
                    authorities: authority.authorities.map(at),
                })
            }
        };
        let mut clients: Vec<SigningClientSettings> = Vec::new();
        for client in file.clients {
            let id = client.id;
            if clients.iter().any(|known| known.id == id) {
                return Err(wrong(format!("client {id:?} is there twice")));
            }
            if RESERVED.contains(&id.as_str()) {
                return Err(wrong(format!(
                    "client {id:?}: what people do themselves or at a desk is on record under this name"
                )));
            }
            if client.names.is_empty() {
                return Err(wrong(format!(
                    "client {id:?} has no name that people are shown"
                )));
            }
            if let Some(uri) = client.redirect_uris.iter().find(|uri| !is_return(uri)) {
                return Err(wrong(format!(
                    "client {id:?}: {uri:?} is not an https address without a fragment"
                )));
            }
            if client.duties.contains(&ClientDuty::Sign) && client.redirect_uris.is_empty() {
                return Err(wrong(format!(
                    "client {id:?} asks for signatures and has no redirect_uris"
                )));
            }
            clients.push(SigningClientSettings {
                id,
                names: client.names,
                keys: at(client.keys),
                redirect_uris: client.redirect_uris,
                duties: client.duties,
            });
        }
        Ok(Self {
            host,
            origin: file.origin,
            listen: file.listen,
            certificate: at(file.certificate),
            key: at(file.key),
            state: at(file.state),
            postgres: file.postgres.map(at),
            master: at(file.master),
            token: file.pkcs11.map(|token| TokenSettings {
                module: at(token.module),
                token: token.token,
                pin: at(token.pin),
            }),
            authorities: at(file.authorities),
            card_authorities: file.card_authorities.map(at),
            authority,
            time_stamping: file.time_stamping,
            hosts: file.hosts,
            clients,
        })
    }
}

/// The host of `https://HOST` or `https://HOST:PORT`.
fn host_of(origin: &str) -> Option<String> {
    let authority = origin.strip_prefix("https://")?;
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let good = !host.is_empty() && host.bytes().all(plain) && port.parse::<u16>().is_ok();
    good.then(|| host.to_owned())
}

/// Whether a browser may be sent back there.
fn is_return(uri: &str) -> bool {
    uri.starts_with("https://")
        && !uri.contains('#')
        && uri.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<SigningServerSettings, ConfigError> {
        SigningServerSettings::of(Path::new("/etc/tunduk/signing.toml"), text)
    }

    const SMALL: &str = "origin = \"https://sign.example.kg:8884\"\nauthorities = \"ca.pem\"\n";
    const CLIENT: &str = "[[client]]\nid = \"bank\"\nnames = { en = \"The bank\" }\nkeys = \"bank.jwks\"\n\
         redirect_uris = [\"https://bank.example.kg/signed\"]\nduties = [\"sign\"]\n";

    #[test]
    fn what_is_left_out_is_safe() {
        let settings = of(&format!("{SMALL}{CLIENT}")).unwrap();
        assert_eq!(settings.host, "sign.example.kg");
        assert!(settings.listen.ip().is_loopback());
        assert_eq!(settings.master, Path::new("/etc/tunduk/master.key"));
        assert!(settings.authority.is_none() && settings.card_authorities.is_none());
        assert_eq!(settings.clients[0].keys, Path::new("/etc/tunduk/bank.jwks"));
        assert_eq!(settings.clients[0].duties, [ClientDuty::Sign].into());
    }

    #[test]
    fn mistakes_are_named() {
        let client = |from: &str, to: &str| format!("{SMALL}{}", CLIENT.replace(from, to));
        for (text, word) in [
            (SMALL.replace("https", "http"), "origin"),
            (SMALL.replace("8884", "8884/"), "origin"),
            (format!("{SMALL}orgin = 1"), "orgin"),
            (client("\"sign\"", "\"all\""), "duties"),
            (client("https://bank", "http://bank"), "bank.example.kg"),
            (client("/signed", "/signed#x"), "fragment"),
            (client("{ en = \"The bank\" }", "{}"), "no name"),
            (format!("{SMALL}{CLIENT}{CLIENT}"), "twice"),
            (client("\"bank\"", "\"desk\""), "on record"),
            (
                format!("{SMALL}[authority]\nurl = \"https://ca\"\nname = \"s\"\nkey = \"k\""),
                "authority.authorities",
            ),
            (
                format!("{SMALL}[authority]\nurl = \"ca\"\nname = \"s\"\nkey = \"k\""),
                "authority.url",
            ),
        ] {
            let error = of(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
            assert!(error.contains("/etc/tunduk/signing.toml"), "{error}");
        }
    }
}
