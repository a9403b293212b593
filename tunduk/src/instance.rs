//! The description of an instance: members, servers, services and rights, in
//! TOML (`tunduk demo --instance FILE`; docs/instance.md).

mod ids;
mod sites;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xroad_id::{ClientId, SecurityServerId, is_safe_part};

use ids::{client_text, client_texts, server_text};
pub use sites::{ALL_SITES, BANK, CARD, IDENTITY, SIGNING, Site, Sites, VERIFICATION};

/// The default instance, as `--print-instance` prints it.
pub const DEFAULT: &str = include_str!("default-instance.toml");

/// The global group that every registered client of the instance is in.
pub const ALL_CLIENTS: &str = "all-clients";

/// Why a description cannot be used. The fault is its writer's.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not TOML of the schema.
    #[error("the instance file is not of the right form: {0}")]
    Form(#[from] Box<toml::de::Error>),
    /// It contradicts itself.
    #[error("the instance file: {0}")]
    Content(String),
}

/// Type of the keys that the instance's members and servers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KeyKind {
    /// RSA with 2048 bits: every X-Road 7 loads these.
    #[default]
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// ECDSA on P-256: X-Road 7.6 and later.
    #[serde(rename = "ec-p256")]
    EcP256,
}

/// A whole instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Identifier of the instance.
    pub instance: String,
    /// Type of the signing keys and of the trust services' keys.
    #[serde(default)]
    pub key_type: KeyKind,
    /// Type of the servers' TLS keys. RSA unless said otherwise: a peer that offers only DHE_RSA
    /// suites could not connect to another.
    #[serde(default)]
    pub authentication_key_type: KeyKind,
    /// Address of the Central Server, the trust services and the registers.
    #[serde(default = "central_address")]
    pub address: IpAddr,
    /// Port of the Central Server; without it 80, or 8888 where 80 may not be bound.
    pub central_port: Option<u16>,
    /// Port of OCSP responder and time-stamping authority.
    #[serde(default = "trust_port")]
    pub trust_port: u16,
    /// Port of the registers.
    #[serde(default = "registry_port")]
    pub registry_port: u16,
    /// Spelling of fault codes of all servers: `"7.8"` or `"7.7"`.
    #[serde(default = "fault_style")]
    pub fault_style: String,
    /// Lowest version of a peer that the servers accept; default none.
    pub minimum_peer_version: Option<String>,
    /// Language of fault texts of all servers: `ky`, `ru` or `en`.
    #[serde(default = "language")]
    pub language: String,
    /// Seconds for which an OCSP answer is fresh.
    #[serde(default = "ocsp_freshness")]
    pub ocsp_freshness_seconds: u32,
    /// Seconds between batches of time-stamps.
    #[serde(default = "timestamping_interval")]
    pub timestamping_interval_seconds: u32,
    /// Seconds for which a signed configuration is valid.
    #[serde(default = "configuration_lifetime")]
    pub configuration_lifetime_seconds: u32,
    /// The sites that people use; without them there are none.
    pub sites: Option<Sites>,
    /// Member classes; those used by members are added.
    #[serde(default, rename = "member_class")]
    pub member_classes: Vec<MemberClass>,
    /// Members; owners of servers and members with clients are added.
    #[serde(default, rename = "member")]
    pub members: Vec<Member>,
    /// Global groups, beside [`ALL_CLIENTS`] and `security-server-owners`, which are kept by themselves.
    #[serde(default, rename = "global_group")]
    pub global_groups: Vec<GlobalGroup>,
    /// Servers that the demo runs.
    #[serde(default, rename = "server")]
    pub servers: Vec<Server>,
    /// Services of the clients of these servers.
    #[serde(default, rename = "service")]
    pub services: Vec<Service>,
    /// Servers that somebody else runs.
    #[serde(default, rename = "outside_server")]
    pub outside_servers: Vec<OutsideServer>,
}

/// A class of members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberClass {
    /// Code, for example `GOV`.
    pub code: String,
    /// What it means.
    pub description: String,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// `INSTANCE/CLASS/CODE`.
    #[serde(with = "client_text")]
    pub id: ClientId,
    /// Name for people; default the code.
    pub name: Option<String>,
}

/// A global group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalGroup {
    /// Code.
    pub code: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Members or subsystems.
    #[serde(default, with = "client_texts")]
    pub members: Vec<ClientId>,
}

/// A Security Server that the demo runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// `INSTANCE/CLASS/CODE/SERVER`.
    #[serde(with = "server_text")]
    pub id: SecurityServerId,
    /// Address that all its ports are bound to.
    pub address: IpAddr,
    /// Address in the global configuration; default `address`.
    pub registered_address: Option<String>,
    /// Whether messages that wait are signed together.
    #[serde(default)]
    pub batch_signing: bool,
    /// Its clients.
    #[serde(default, rename = "client")]
    pub clients: Vec<Client>,
    /// Groups of its clients' own.
    #[serde(default, rename = "local_group")]
    pub local_groups: Vec<LocalGroup>,
}

/// A client of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// `INSTANCE/CLASS/CODE/SUBSYSTEM`.
    #[serde(with = "client_text")]
    pub id: ClientId,
    /// `http`, `https-no-auth` or `https`.
    #[serde(default = "https")]
    pub connection: String,
    /// PEM files of its information systems' certificates.
    #[serde(default)]
    pub certificates: Vec<PathBuf>,
}

/// A local group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalGroup {
    /// Code.
    pub code: String,
    /// Whose group it is.
    #[serde(with = "client_text")]
    pub client: ClientId,
    /// Members.
    #[serde(default, with = "client_texts")]
    pub members: Vec<ClientId>,
}

/// A service of a client of a server that the demo runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The client that provides it.
    #[serde(with = "client_text")]
    pub provider: ClientId,
    /// Service code.
    pub code: String,
    /// Version; REST services have none.
    pub version: Option<String>,
    /// `soap`, `rest` or `openapi`.
    #[serde(rename = "type")]
    pub kind: ServiceKind,
    /// `http(s)://…`, or a service of the demo's own registers: [`OWN_SERVICES`].
    pub url: String,
    /// Namespace of the SOAP operation.
    pub namespace: Option<String>,
    /// WSDL or OpenAPI file or URL; the demo's own services have theirs.
    pub description: Option<String>,
    /// Seconds that the information system may take.
    #[serde(default = "sixty")]
    pub timeout_seconds: u64,
    /// A notice: the service is switched off.
    pub disabled: Option<String>,
    /// PEM files of certificates one of which the information system must show over HTTPS.
    #[serde(default)]
    pub certificates: Vec<PathBuf>,
    /// Who may use it.
    #[serde(default)]
    pub allowed: Vec<Right>,
}

/// What kind of service a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceKind {
    /// A SOAP operation.
    Soap,
    /// A REST base path.
    Rest,
    /// A REST base path with an OpenAPI description.
    OpenApi,
}

impl ServiceKind {
    /// The word of the instance file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Soap => "soap",
            Self::Rest => "rest",
            Self::OpenApi => "openapi",
        }
    }
}

/// A right to use a service: a subject, or a subject with an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Right {
    /// The subject alone: the whole service.
    Subject(String),
    /// The subject and, of a REST service, method and path pattern.
    Endpoint(EndpointRight),
}

/// A right with its fields named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointRight {
    /// A client, `GLOBALGROUP:INSTANCE/CODE` or `LOCALGROUP:CODE`.
    pub subject: String,
    /// HTTP method, `*` for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Path pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Right {
    /// Who has the right.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Subject(subject) => subject,
            Self::Endpoint(right) => &right.subject,
        }
    }
}

/// A Security Server that the demo does not run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideServer {
    /// Its owner.
    #[serde(with = "client_text")]
    pub owner: ClientId,
    /// Its code.
    pub code: String,
    /// Its address, without port.
    pub address: String,
    /// File with the request for its authentication certificate.
    pub auth_csr: PathBuf,
    /// The members it hosts, the owner among them.
    pub members: Vec<OutsideMember>,
    /// Its clients.
    #[serde(default, with = "client_texts")]
    pub clients: Vec<ClientId>,
}

/// A member hosted by an outside server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideMember {
    /// Its identifier.
    #[serde(with = "client_text")]
    pub id: ClientId,
    /// File with the request for its signing certificate.
    pub sign_csr: PathBuf,
}

impl OutsideServer {
    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> SecurityServerId {
        SecurityServerId {
            instance: self.owner.instance.clone(),
            member_class: self.owner.member_class.clone(),
            member_code: self.owner.member_code.clone(),
            server_code: self.code.clone(),
        }
    }
}

/// A service of the demo's own registers.
pub struct OwnService {
    /// The word for it in `url`.
    pub name: &'static str,
    /// Its path on the registers' port.
    pub path: &'static str,
    /// Its description, among those of the registers.
    pub description: Option<&'static str>,
}

const fn own(
    name: &'static str,
    path: &'static str,
    description: Option<&'static str>,
) -> OwnService {
    OwnService {
        name,
        path,
        description,
    }
}

/// The words that `url` takes instead of a URL.
pub const OWN_SERVICES: &[OwnService] = &[
    own(
        "population:soap",
        "/population/soap",
        Some("population.wsdl"),
    ),
    own("population:rest", "/population", Some("population.yaml")),
    own("licences:soap", "/licences/soap", Some("licences.wsdl")),
    own("licences:rest", "/licences", Some("licences.yaml")),
    own("bank:rest", "/bank", Some("bank.yaml")),
    own("echo:soap", "/echo/soap", Some("echo.wsdl")),
    own("echo:rest", "/echo/rest", None),
];

impl Instance {
    /// Reads the description in `text`; relative paths in it are taken from `folder`.
    ///
    /// # Errors
    /// It is not TOML of the schema, or contradicts itself.
    pub fn read(text: &str, folder: &Path) -> Result<Self, InstanceError> {
        let mut instance: Self = toml::from_str(text).map_err(Box::new)?;
        instance.make_absolute(folder);
        instance.add_what_is_implied();
        instance.check().map_err(InstanceError::Content)?;
        Ok(instance)
    }

    /// Reads a description from a file.
    ///
    /// # Errors
    /// As [`Instance::read`], or the file cannot be read.
    pub fn read_file(path: &Path) -> Result<Self, InstanceError> {
        let text = std::fs::read_to_string(path).map_err(|source| InstanceError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::read(&text, path.parent().unwrap_or(Path::new(".")))
    }

    /// All registered clients: of own servers and of outside ones.
    pub fn clients(&self) -> impl Iterator<Item = &ClientId> {
        let own = self
            .servers
            .iter()
            .flat_map(|server| server.clients.iter().map(|client| &client.id));
        own.chain(
            self.outside_servers
                .iter()
                .flat_map(|server| &server.clients),
        )
    }

    /// The server of the demo that serves a client.
    #[must_use]
    pub fn server_of(&self, client: &ClientId) -> Option<&Server> {
        self.servers
            .iter()
            .find(|server| server.clients.iter().any(|own| own.id == *client))
    }

    fn make_absolute(&mut self, folder: &Path) {
        for server in &mut self.servers {
            for client in &mut server.clients {
                client
                    .certificates
                    .iter_mut()
                    .for_each(|path| *path = folder.join(&*path));
            }
        }
        for service in &mut self.services {
            service
                .certificates
                .iter_mut()
                .for_each(|path| *path = folder.join(&*path));
            if let Some(description) = &mut service.description
                && !description.contains("://")
            {
                *description = folder.join(&*description).to_string_lossy().into_owned();
            }
        }
        for server in &mut self.outside_servers {
            server.auth_csr = folder.join(&server.auth_csr);
            for member in &mut server.members {
                member.sign_csr = folder.join(&member.sign_csr);
            }
        }
    }

    fn add_what_is_implied(&mut self) {
        let mut implied: Vec<ClientId> = self.clients().map(ClientId::to_member).collect();
        implied.extend(self.servers.iter().map(|server| owner_of(&server.id)));
        implied.extend(
            self.outside_servers
                .iter()
                .map(|server| server.owner.to_member()),
        );
        let hosted = self
            .outside_servers
            .iter()
            .flat_map(|server| &server.members);
        implied.extend(hosted.map(|member| member.id.to_member()));
        for id in implied {
            if !self.members.iter().any(|member| member.id == id) {
                self.members.push(Member { id, name: None });
            }
        }
        for member in &self.members {
            let code = &member.id.member_class;
            if !self.member_classes.iter().any(|class| class.code == *code) {
                self.member_classes.push(MemberClass {
                    code: code.clone(),
                    description: code.clone(),
                });
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        if !is_safe_part(&self.instance) {
            return Err(format!(
                "{:?} cannot be the identifier of an instance",
                self.instance
            ));
        }
        if !matches!(self.fault_style.as_str(), "7.8" | "7.7") {
            return Err(format!(
                "fault_style is \"7.8\" or \"7.7\", not {:?}",
                self.fault_style
            ));
        }
        if !matches!(self.language.as_str(), "ky" | "ru" | "en") {
            return Err(format!(
                "language is \"ky\", \"ru\" or \"en\", not {:?}",
                self.language
            ));
        }
        let mut members = BTreeSet::new();
        for member in &self.members {
            self.check_id(&member.id, false)?;
            if !members.insert(&member.id) {
                return Err(format!("the member {} stands twice", member.id.path()));
            }
        }
        self.check_servers()?;
        self.check_services()?;
        self.check_sites()
    }

    fn check_sites(&self) -> Result<(), String> {
        let Some(sites) = &self.sites else {
            return Ok(());
        };
        let id = &sites.identity_provider;
        let own = self.servers.iter().flat_map(|server| &server.clients);
        match own.into_iter().find(|client| client.id == *id) {
            Some(client) if client.connection == "http" => Ok(()),
            _ => Err(format!(
                "the identity provider {} is not a client with connection = \"http\" of a server of the demo",
                id.path()
            )),
        }
    }

    fn check_id(&self, id: &ClientId, subsystem: bool) -> Result<(), String> {
        if id.instance != self.instance {
            return Err(format!(
                "{} is not of the instance {}",
                id.path(),
                self.instance
            ));
        }
        if let Some(part) = id.parts().into_iter().find(|part| !is_safe_part(part)) {
            return Err(format!("{part:?} cannot be a part of an identifier"));
        }
        if id.subsystem_code.is_some() != subsystem {
            let wanted = if subsystem {
                "a subsystem"
            } else {
                "a member, without subsystem"
            };
            return Err(format!("{} must be {wanted}", id.path()));
        }
        Ok(())
    }

    fn check_servers(&self) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        let mut addresses = BTreeMap::new();
        let mut clients = BTreeSet::new();
        let own = self
            .servers
            .iter()
            .map(|server| (server.id.clone(), server.address.to_string()));
        let outside = self
            .outside_servers
            .iter()
            .map(|server| (server.id(), server.address.clone()));
        for (id, address) in own.chain(outside) {
            let text = id.path();
            self.check_id(&owner_of(&id), false)?;
            if !is_safe_part(&id.server_code) {
                return Err(format!(
                    "{:?} cannot be the code of a server",
                    id.server_code
                ));
            }
            if !ids.insert(text.clone()) {
                return Err(format!("the server {text} stands twice"));
            }
            if let Some(other) = addresses.insert(address.clone(), text.clone()) {
                return Err(format!(
                    "the servers {other} and {text} have the same address {address}"
                ));
            }
        }
        for client in self.servers.iter().flat_map(|server| &server.clients) {
            self.check_id(&client.id, true)?;
            if !matches!(
                client.connection.as_str(),
                "http" | "https-no-auth" | "https"
            ) {
                return Err(format!(
                    "connection of {} is \"http\", \"https-no-auth\" or \"https\", not {:?}",
                    client.id.path(),
                    client.connection
                ));
            }
            if !clients.insert(&client.id) {
                return Err(format!(
                    "the client {} is on two servers of the demo",
                    client.id.path()
                ));
            }
        }
        for server in &self.outside_servers {
            let hosts = |id: &ClientId| {
                server
                    .members
                    .iter()
                    .any(|member| member.id.is_same_member(id))
            };
            if !hosts(&server.owner) {
                return Err(format!(
                    "the outside server {} does not host its owner",
                    server.id().path()
                ));
            }
            for member in &server.members {
                self.check_id(&member.id, false)?;
            }
            for client in &server.clients {
                self.check_id(client, client.subsystem_code.is_some())?;
                if !hosts(client) {
                    return Err(format!(
                        "{} has a client of a member that it does not host: {}",
                        server.id().path(),
                        client.path()
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_services(&self) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        for service in &self.services {
            let name = format!("{}/{}", service.provider.path(), service.code);
            if self.server_of(&service.provider).is_none() {
                return Err(format!(
                    "the provider of {name} is not a client of a server of the demo"
                ));
            }
            if !is_safe_part(&service.code)
                || service
                    .version
                    .as_deref()
                    .is_some_and(|version| !is_safe_part(version))
            {
                return Err(format!("{name} has a code or version that cannot be one"));
            }
            if !ids.insert((name.clone(), &service.version)) {
                return Err(format!("the service {name} stands twice"));
            }
            if service.kind != ServiceKind::Soap && service.version.is_some() {
                return Err(format!("{name} has a version; REST services have none"));
            }
            let is_url = service.url.starts_with("http://") || service.url.starts_with("https://");
            if !is_url && own_service(&service.url).is_none() {
                let words: Vec<&str> = OWN_SERVICES.iter().map(|own| own.name).collect();
                return Err(format!(
                    "the url of {name} is an http(s) URL or one of {}",
                    words.join(", ")
                ));
            }
        }
        Ok(())
    }
}

/// The service of the demo's own registers with this word.
#[must_use]
pub fn own_service(word: &str) -> Option<&'static OwnService> {
    OWN_SERVICES.iter().find(|own| own.name == word)
}

/// The member that owns a server.
#[must_use]
pub fn owner_of(server: &SecurityServerId) -> ClientId {
    ClientId {
        instance: server.instance.clone(),
        member_class: server.member_class.clone(),
        member_code: server.member_code.clone(),
        subsystem_code: None,
    }
}

fn central_address() -> IpAddr {
    IpAddr::from([127, 0, 0, 10])
}

const fn trust_port() -> u16 {
    8881
}

const fn registry_port() -> u16 {
    8882
}

fn fault_style() -> String {
    "7.8".into()
}

fn language() -> String {
    "en".into()
}

const fn ocsp_freshness() -> u32 {
    3600
}

const fn timestamping_interval() -> u32 {
    60
}

const fn configuration_lifetime() -> u32 {
    3600
}

const fn sixty() -> u64 {
    60
}

fn https() -> String {
    "https".into()
}

#[cfg(test)]
mod tests;
