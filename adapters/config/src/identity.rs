//! `idp.toml`: the identity provider.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use oidc_provider::Tenant;
use serde::Deserialize;
use xroad_id::{ClientId, ServiceId};

use crate::{ConfigError, read, usual};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    issuer: String,
    #[serde(default = "listen")]
    listen: SocketAddr,
    #[serde(default = "usual::certificate")]
    certificate: PathBuf,
    #[serde(default = "usual::key")]
    key: PathBuf,
    #[serde(default)]
    tenant: FileTenant,
    #[serde(default = "usual::state")]
    state: PathBuf,
    postgres: Option<PathBuf>,
    keys: Option<PathBuf>,
    spool: Option<PathBuf>,
    authorities: Option<PathBuf>,
    #[serde(default)]
    password_threads: Option<usize>,
    #[serde(default)]
    hosts: BTreeMap<String, IpAddr>,
    card: Option<FileCard>,
    register: Option<FileRegister>,
    signing: Option<FileSigning>,
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8883))
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FileTenant {
    #[default]
    People,
    Sandbox,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileCard {
    address: String,
    listen: SocketAddr,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    authorities: Option<PathBuf>,
    ocsp: Option<String>,
    client_authorities: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRegister {
    security_server: String,
    client: String,
    service: String,
    security_server_certificate: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSigning {
    url: String,
    client_id: String,
    key: PathBuf,
    authorities: Option<PathBuf>,
}

/// Everything that `idp.toml` says, paths made absolute against its folder.
#[derive(Debug, Clone)]
pub struct IdpSettings {
    /// The address under which relying parties and people know the server: `https`, without a slash at the end.
    pub issuer: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate chain of HTTPS, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Whom it serves: people, or test people only.
    pub tenant: Tenant,
    /// Directory of the database, unless that is PostgreSQL, and of what is kept beside it.
    pub state: PathBuf,
    /// File with the parameters of a connection to PostgreSQL.
    pub postgres: Option<PathBuf>,
    /// Directory of the keys that sign tokens and make subjects. The same on every node.
    pub keys: PathBuf,
    /// Directory where messages to people wait for the gateway that sends them.
    pub spool: PathBuf,
    /// Authorities of the servers that are called (relying parties' logout addresses), PEM; none: the system's.
    pub authorities: Option<PathBuf>,
    /// Threads that check passwords, each with 19 MiB; none: half of the processors.
    pub password_threads: Option<usize>,
    /// Addresses of hosts that are called, where the system's names are not to be asked.
    pub hosts: BTreeMap<String, IpAddr>,
    /// The listener that asks for certificates.
    pub card: Option<CardSettings>,
    /// The population register; none: nobody's details are told and nobody acts by it.
    pub register: Option<RegisterSettings>,
    /// The signing service that is told of frozen and recovered accounts.
    pub signing: Option<SigningSettings>,
}

/// The listener for identity cards and for clients with certificates.
#[derive(Debug, Clone)]
pub struct CardSettings {
    /// Its address as browsers and clients know it: `https`, of a name below the issuer's or beside it.
    pub address: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate chain of HTTPS, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Authorities that issue identity cards, PEM; none: the listener is for clients only.
    pub authorities: Option<PathBuf>,
    /// Responder for the status of cards, instead of the one that a card names.
    pub ocsp: Option<String>,
    /// Authorities that issue relying parties' certificates, PEM; none: those are known by registered keys only.
    pub client_authorities: Option<PathBuf>,
}

/// The population register over the exchange.
#[derive(Debug, Clone)]
pub struct RegisterSettings {
    /// The identity provider's own Security Server, `http` or `https`.
    pub security_server: String,
    /// The client of the exchange that the identity provider is.
    pub client: ClientId,
    /// The register's service.
    pub service: ServiceId,
    /// The Security Server's own certificate, PEM: with `https`, no other is talked to.
    pub security_server_certificate: Option<PathBuf>,
    /// Certificate that is presented to it, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
}

/// The signing service.
#[derive(Debug, Clone)]
pub struct SigningSettings {
    /// Its address, without a slash at the end.
    pub url: String,
    /// The client of it that the identity provider is.
    pub client_id: String,
    /// The key that proves it, PEM.
    pub key: PathBuf,
    /// Authorities of its server, PEM; none: as for other servers.
    pub authorities: Option<PathBuf>,
}

impl IdpSettings {
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
        let address = |field: &str, text: &str| {
            if is_origin(text) {
                Ok(text.to_owned())
            } else {
                Err(wrong(format!(
                    "{field} {text:?} is not an address like https://id.example.kg, without path and slash at the end"
                )))
            }
        };
        let state = at(file.state);
        let (certificate, key) = (at(file.certificate), at(file.key));
        let card = match file.card {
            None => None,
            Some(card) => {
                if card.certificate.is_some() != card.key.is_some() {
                    return Err(wrong(
                        "card.certificate and card.key belong together".into(),
                    ));
                }
                if card.address == file.issuer {
                    return Err(wrong(
                        "card.address is the issuer's own; the listener that asks for certificates has another".into(),
                    ));
                }
                Some(CardSettings {
                    address: address("card.address", &card.address)?,
                    listen: card.listen,
                    certificate: card.certificate.map_or_else(|| certificate.clone(), at),
                    key: card.key.map_or_else(|| key.clone(), at),
                    authorities: card.authorities.map(at),
                    ocsp: card.ocsp,
                    client_authorities: card.client_authorities.map(at),
                })
            }
        };
        let register = match file.register {
            None => None,
            Some(register) => {
                let server = register.security_server.trim_end_matches('/').to_owned();
                if !server.starts_with("http://") && !server.starts_with("https://") {
                    return Err(wrong(format!(
                        "register.security_server {server:?} is no http or https address"
                    )));
                }
                if server.starts_with("https://") && register.security_server_certificate.is_none()
                {
                    return Err(wrong(
                        "register.security_server_certificate is missing: with https the server's own certificate is named"
                            .into(),
                    ));
                }
                if register.certificate.is_some() != register.key.is_some() {
                    return Err(wrong(
                        "register.certificate and register.key belong together".into(),
                    ));
                }
                Some(RegisterSettings {
                    security_server: server,
                    client: ClientId::from_path(&register.client).map_err(|error| {
                        wrong(format!("register.client {:?}: {error}", register.client))
                    })?,
                    service: ServiceId::from_path(&register.service).map_err(|error| {
                        wrong(format!("register.service {:?}: {error}", register.service))
                    })?,
                    security_server_certificate: register.security_server_certificate.map(at),
                    certificate: register.certificate.map(at),
                    key: register.key.map(at),
                })
            }
        };
        let signing = match file.signing {
            None => None,
            Some(signing) => Some(SigningSettings {
                url: address("signing.url", &signing.url)?,
                client_id: signing.client_id,
                key: at(signing.key),
                authorities: signing.authorities.map(at),
            }),
        };
        if file.password_threads == Some(0) {
            return Err(wrong("password_threads is at least 1".into()));
        }
        Ok(Self {
            issuer: address("issuer", &file.issuer)?,
            listen: file.listen,
            certificate,
            key,
            tenant: match file.tenant {
                FileTenant::People => Tenant::People,
                FileTenant::Sandbox => Tenant::Sandbox,
            },
            keys: file.keys.map_or_else(|| state.join("keys"), at),
            spool: file.spool.map_or_else(|| state.join("spool"), at),
            state,
            postgres: file.postgres.map(at),
            authorities: file.authorities.map(at),
            password_threads: file.password_threads,
            hosts: file.hosts,
            card,
            register,
            signing,
        })
    }
}

/// Whether a text is `https://` and a host, with a port or without.
fn is_origin(text: &str) -> bool {
    text.strip_prefix("https://").is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<IdpSettings, ConfigError> {
        IdpSettings::of(Path::new("/etc/tunduk/idp.toml"), text)
    }

    const REGISTER: &str = "[register]\nsecurity_server = \"http://127.0.0.1:8080\"\n\
         client = \"KG/GOV/70000001/idp\"\nservice = \"KG/GOV/70000002/register/population\"\n";

    #[test]
    fn an_issuer_is_enough() {
        let settings = of("issuer = \"https://id.example.kg\"").unwrap();
        assert_eq!(settings.tenant, Tenant::People);
        assert_eq!(settings.state, Path::new("/etc/tunduk/state"));
        assert_eq!(settings.keys, Path::new("/etc/tunduk/state/keys"));
        assert_eq!(settings.spool, Path::new("/etc/tunduk/state/spool"));
        assert!(settings.card.is_none() && settings.register.is_none());
    }

    #[test]
    fn the_card_listener_has_the_certificate_of_the_other_if_none_is_named() {
        let text = "issuer = \"https://id.example.kg\"\ncertificate = \"a.pem\"\n\
             [card]\naddress = \"https://card.id.example.kg\"\nlisten = \"127.0.0.1:8887\"\n";
        let card = of(text).unwrap().card.unwrap();
        assert_eq!(card.certificate, Path::new("/etc/tunduk/a.pem"));
        assert!(card.authorities.is_none() && card.client_authorities.is_none());
    }

    #[test]
    fn the_register_is_a_service_of_the_exchange() {
        let text = format!("issuer = \"https://id.example.kg\"\n{REGISTER}");
        let register = of(&text).unwrap().register.unwrap();
        assert_eq!(register.client.path(), "KG/GOV/70000001/idp");
        assert_eq!(
            register.service.path(),
            "KG/GOV/70000002/register/population"
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("issuer = \"http://id.example.kg\"", "issuer"),
            ("issuer = \"https://id.example.kg/\"", "issuer"),
            ("issuer = \"https://\"", "issuer"),
            ("issuer = \"https://id.kg\"\nisuer = 1", "isuer"),
            ("issuer = \"https://id.kg\"\ntenant = \"all\"", "tenant"),
            (
                "issuer = \"https://id.kg\"\npassword_threads = 0",
                "password_threads",
            ),
            (
                "issuer = \"https://id.kg\"\n[card]\naddress = \"https://id.kg\"\nlisten = \"127.0.0.1:1\"",
                "card.address",
            ),
            (
                "issuer = \"https://id.kg\"\n[card]\naddress = \"https://c.kg\"\nlisten = \"127.0.0.1:1\"\nkey = \"k\"",
                "card.key",
            ),
            (
                "issuer = \"https://id.kg\"\n[register]\nsecurity_server = \"https://s\"\nclient = \"KG/GOV/1/a\"\nservice = \"KG/GOV/1/b/c\"",
                "security_server_certificate",
            ),
            (
                "issuer = \"https://id.kg\"\n[register]\nsecurity_server = \"http://s\"\nclient = \"KG\"\nservice = \"KG/GOV/1/b/c\"",
                "register.client",
            ),
        ] {
            let error = of(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
            assert!(error.contains("/etc/tunduk/idp.toml"), "{error}");
        }
    }
}
