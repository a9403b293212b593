//! `endpoints.json`: where everything of a running country is.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Name of the file in the state directory.
pub const FILE: &str = "endpoints.json";

/// The file's content. Identifiers are `INSTANCE/CLASS/CODE[/SUBSYSTEM]`, paths are
/// relative to the directory of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoints {
    /// Identifier of the instance.
    pub instance: String,
    /// The configuration anchor.
    pub anchor: String,
    /// A stored copy of the global configuration (one server's).
    pub globalconf_dir: String,
    /// Where the global configuration is downloaded.
    pub globalconf_url: String,
    /// The certification authority.
    pub ca: Authority,
    /// The OCSP responder.
    pub ocsp: Responder,
    /// The time-stamping authority.
    pub tsa: TimeStamping,
    /// All Security Servers, outside ones too.
    pub security_servers: Vec<SecurityServer>,
    /// All services of the demo's own servers.
    pub services: Vec<Service>,
    /// What is needed to call, beside the above.
    pub credentials: Vec<Credential>,
    /// The sites that people use.
    #[serde(default)]
    pub sites: Vec<Site>,
}

/// A site that people use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Site {
    /// Its address in a browser.
    pub url: String,
    /// Address and port where it listens, for programs that do not look its name up.
    pub listen: String,
    /// Its certificate, PEM, and the authority's.
    pub cert: String,
}

/// The certification authority.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Authority {
    /// Its certificate, PEM.
    pub cert: String,
}

/// The OCSP responder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Responder {
    /// Where it answers.
    pub url: String,
    /// Its certificate, PEM.
    pub cert: String,
    /// Its private key, PEM (PKCS #8): for test peers that make answers of their own.
    pub key: String,
}

/// The time-stamping authority.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TimeStamping {
    /// Where it answers.
    pub url: String,
    /// Its certificate, PEM.
    pub cert: String,
}

/// A Security Server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecurityServer {
    /// `INSTANCE/CLASS/CODE/SERVER`.
    pub id: String,
    /// Whether somebody else runs it.
    pub outside: bool,
    /// Its registered address.
    pub address: String,
    /// Port for messages of other servers.
    pub message_port: u16,
    /// Port for certificate status.
    pub ocsp_port: u16,
    /// Where information systems call over HTTP; none for an outside server.
    pub http: Option<String>,
    /// Where information systems call over HTTPS; none for an outside server.
    pub https: Option<String>,
    /// Its authentication certificate, PEM.
    pub auth_cert: String,
    /// The members whose signing keys it holds.
    pub members: Vec<Member>,
    /// Its clients.
    pub clients: Vec<String>,
}

/// A member with a signing certificate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    /// Its identifier.
    pub id: String,
    /// Its signing certificate, PEM.
    pub sign_cert: String,
    /// Subject of the certificate: short name of an attribute to its value.
    pub sign_subject: std::collections::BTreeMap<String, String>,
}

/// A service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    /// Who provides it.
    pub provider: String,
    /// Its code.
    pub code: String,
    /// Its version.
    pub version: Option<String>,
    /// `soap`, `rest` or `openapi`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Namespace of the SOAP operation.
    pub namespace: Option<String>,
    /// A path below the service that may be called, for REST services.
    pub path: Option<String>,
    /// What is sent there with POST; without it, the path is called with GET.
    #[serde(default)]
    pub post: Option<serde_json::Value>,
    /// Who may use it.
    pub allowed: Vec<String>,
}

/// Something that is needed to call or to look into a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Credential {
    /// What it is for, in words.
    pub purpose: String,
    /// Whose it is.
    pub owner: String,
    /// Where it is.
    pub path: String,
}

impl Endpoints {
    /// Reads the file of a state directory.
    ///
    /// # Errors
    /// There is none, or it is not one; in words.
    pub fn read(state: &Path) -> Result<Self, String> {
        let path = state.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            format!(
                "{}: {error} (start the country with `tunduk demo` first)",
                path.display()
            )
        })?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }
}
