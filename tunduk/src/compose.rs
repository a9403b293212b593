//! Builds a country: keys, certificates, tokens and configuration files of
//! every server, in one state directory.
//!
//! Keys and certificates are made once and kept; everything that follows from
//! the instance file is written anew at every start.
//!
//! ```text
//! STATE/instance.toml          what the country is
//!       endpoints.json         where everything is
//!       anchor.xml             the configuration anchor
//!       trust/                 certification authority, OCSP responder, time-stamping
//!       central/               Central Server
//!       servers/<id>/          one Security Server each: server.toml, token, log, certificates
//!       outside/<id>/          certificates for servers that somebody else runs
//!       sites/                 what the sites that people use need: certificates, settings, databases
//!       descriptions/          WSDL and OpenAPI files of the registers
//!       logs/                  what the processes say
//!       evidence/              what the story exports
//! ```

mod central;
mod population;
mod server_file;
pub(crate) mod sites;
mod token;
mod trust;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::central_server::CentralServerSettings;
use pki::csr::CertificateRequest;
use pki::{Certificate, PublicKey, Signer};
use transport::TlsIdentity;
use xroad_id::{ClientId, SecurityServerId};

use crate::endpoints::{self, Endpoints};
use crate::instance::{ALL_SITES, Instance, OutsideServer, Server, Site, Sites, owner_of};
use crate::narrator::{Busy, Narrator};
use crate::parties::{self, bracketed};
use crate::random;
use crate::tampered::PeerKeys;

use central::{Registered, TrustServices};
use token::Token;
use trust::Trust;

/// Port at which every Security Server takes messages of others.
pub const MESSAGE_PORT: u16 = 5500;
const OCSP_PORT: u16 = 5577;
const HTTP_PORT: u16 = 8080;
const HTTPS_PORT: u16 = 8443;
const CENTRAL_PORT: u16 = 80;
const CENTRAL_PORT_WITHOUT_RIGHTS: u16 = 8888;

const ANCHOR: &str = "anchor.xml";
/// Where a Security Server keeps the certificate that it shows to information systems.
const INTERNAL_CERTIFICATE: &str = "internal-tls.pem";

/// A country on disk, ready to be started.
#[derive(Debug)]
pub struct Country {
    /// What it is.
    pub instance: Instance,
    /// Its directory.
    pub state: PathBuf,
    authority: Certificate,
}

/// A server's certificates.
struct Certified {
    id: SecurityServerId,
    folder: PathBuf,
    authentication: Certificate,
    members: Vec<(ClientId, Certificate)>,
}

impl Country {
    /// Makes or resumes the country of `instance` in `state`.
    ///
    /// # Errors
    /// In words, what is in the way.
    pub fn compose(instance: Instance, state: &Path, narrator: &Narrator) -> Result<Self, String> {
        let central_port = central_port(&instance, narrator)?;
        for folder in [
            "central",
            "descriptions",
            "logs",
            "servers",
            "outside",
            "evidence",
            "registry",
        ] {
            make_folder(&state.join(folder))?;
        }
        for (name, text) in registry_server::DESCRIPTIONS {
            write(&state.join("descriptions").join(name), text.as_bytes())?;
        }
        let keys = instance
            .servers
            .iter()
            .map(|server| members_of(server).len() + 1)
            .sum::<usize>();
        let busy = narrator.counting("making keys", keys + 3);
        let trust = Trust::open(&state.join("trust"), &instance)?;
        (0..3).for_each(|_| busy.one_more());
        let mut servers = Vec::new();
        for server in &instance.servers {
            servers.push(own_server(&instance, server, state, &trust, &busy)?);
        }
        let mut outside = Vec::new();
        for server in &instance.outside_servers {
            outside.push(outside_server(server, state, &trust)?);
        }
        drop(busy);
        let country = Self {
            authority: trust.authority().clone(),
            instance,
            state: state.to_owned(),
        };
        write(
            &country.population_access(),
            population::access(&country.instance).as_bytes(),
        )?;
        if let Some(found) = &country.instance.sites {
            sites::write_all(&country.instance, found, state, &trust)?;
        }
        country.write_central(&trust, &servers, &outside, central_port)?;
        country.write_servers(&servers)?;
        country.write_endpoints(&trust, &servers, &outside, central_port)?;
        Ok(country)
    }

    /// The authority of everything in the country.
    #[must_use]
    pub const fn authority(&self) -> &Certificate {
        &self.authority
    }

    /// By what a Chromium can be told to trust it: SHA-256 of the authority's key, in base64.
    #[must_use]
    pub fn authority_pin(&self) -> String {
        let key = self.authority.public_key().spki_der();
        csc::to_base64(pki::DigestAlgorithm::Sha256.digest(key).as_ref())
    }

    /// Where the processes' logs are.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The log of a process.
    #[must_use]
    pub fn log_of(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{}.log", file_name(name)))
    }

    /// The configuration anchor.
    #[must_use]
    pub fn anchor(&self) -> PathBuf {
        self.state.join(ANCHOR)
    }

    /// The directory of a Security Server.
    #[must_use]
    pub fn server_folder(&self, id: &str) -> PathBuf {
        self.state.join("servers").join(file_name(id))
    }

    /// The directory of the trust services.
    #[must_use]
    pub fn trust_folder(&self) -> PathBuf {
        self.state.join("trust")
    }

    /// The directory of the Central Server.
    #[must_use]
    pub fn central_folder(&self) -> PathBuf {
        self.state.join("central")
    }

    /// The directory of the registers.
    #[must_use]
    pub fn registry_folder(&self) -> PathBuf {
        self.state.join("registry")
    }

    /// What each client may see of the population register.
    #[must_use]
    pub fn population_access(&self) -> PathBuf {
        self.registry_folder().join("population-access.toml")
    }

    /// Whether anybody offers the population register.
    #[must_use]
    pub fn has_population_register(&self) -> bool {
        population::is_offered(&self.instance)
    }

    /// Where the trust services listen.
    #[must_use]
    pub fn trust_address(&self) -> SocketAddr {
        SocketAddr::new(self.instance.address, self.instance.trust_port)
    }

    /// Where the registers listen.
    #[must_use]
    pub fn registry_address(&self) -> SocketAddr {
        SocketAddr::new(self.instance.address, self.instance.registry_port)
    }

    /// Whether the whole story can be told.
    #[must_use]
    pub fn has_all_parties(&self) -> bool {
        let allowed = |word, code| parties::allowed(&self.instance, word, code).is_some();
        allowed("population:soap", Some("personByNumber"))
            && allowed("population:rest", None)
            && allowed("licences:soap", Some("licenceDocument"))
            && parties::not_allowed(&self.instance).is_some()
    }

    /// The keys of a server and of the member of one of its clients.
    ///
    /// # Errors
    /// In words: the token cannot be opened.
    pub fn keys_of(&self, server: &Server, client: &ClientId) -> Result<OwnKeys, String> {
        let token = Token::open(&self.server_folder(&server.id.path()))?;
        let (authentication, key) = token.authentication()?;
        let (signing, signer) = token.signing(&client.to_member())?;
        let identity = TlsIdentity::new(&[authentication.der()], key.as_ref())
            .map_err(|error| error.to_string())?;
        Ok(OwnKeys {
            identity,
            authentication,
            signing,
            signer,
            authority: self.authority.clone(),
            ocsp_url: ocsp_url(&self.instance),
        })
    }

    fn write_central(
        &self,
        trust: &Trust,
        servers: &[Certified],
        outside: &[Certified],
        port: u16,
    ) -> Result<(), String> {
        let instance = &self.instance;
        let own = instance
            .servers
            .iter()
            .zip(servers)
            .map(|(server, certified)| Registered {
                id: certified.id.clone(),
                address: registered_address(server),
                authentication: &certified.authentication,
                clients: server
                    .clients
                    .iter()
                    .map(|client| client.id.clone())
                    .collect(),
            });
        let others = instance
            .outside_servers
            .iter()
            .zip(outside)
            .map(|(server, certified)| Registered {
                id: certified.id.clone(),
                address: server.address.clone(),
                authentication: &certified.authentication,
                clients: server.clients.clone(),
            });
        let services = TrustServices {
            authority: trust.authority(),
            responder: trust.responder(),
            ocsp_url: ocsp_url(instance),
            time_stamping: trust.time_stamping(),
            tsa_url: tsa_url(instance),
        };
        let address = central_address(instance, port);
        let description =
            central::describe(instance, &address, &services, own.chain(others).collect())?;
        let folder = self.central_folder();
        write(
            &folder.join("instance.toml"),
            description.encode().as_bytes(),
        )?;
        let settings = format!(
            "description = \"instance.toml\"\ndirectory = \".\"\nlisten = \"{}\"\n\
             validity_seconds = {}\ninterval_seconds = {}\nkey_type = \"{}\"\n",
            SocketAddr::new(instance.address, port),
            instance.configuration_lifetime_seconds,
            (instance.configuration_lifetime_seconds / 4).clamp(1, 60),
            token::key_type(instance.key_type).name(),
        );
        let file = folder.join("central.toml");
        write(&file, settings.as_bytes())?;
        let settings = CentralServerSettings::load(&file).map_err(|error| error.to_string())?;
        let anchors = ::central_server::prepare(&settings).map_err(|error| error.to_string())?;
        copy(&anchors.internal, &self.anchor())
    }

    fn write_servers(&self, servers: &[Certified]) -> Result<(), String> {
        let descriptions = self.state.join("descriptions");
        for (server, certified) in self.instance.servers.iter().zip(servers) {
            let text = server_file::write(&self.instance, server, &descriptions)?;
            write(&certified.folder.join("server.toml"), text.as_bytes())?;
            copy(&self.anchor(), &certified.folder.join("anchor.xml"))?;
        }
        Ok(())
    }

    fn write_endpoints(
        &self,
        trust: &Trust,
        servers: &[Certified],
        outside: &[Certified],
        port: u16,
    ) -> Result<(), String> {
        let instance = &self.instance;
        let first = servers
            .first()
            .map(|server| server.folder.join("globalconf"));
        let own = instance
            .servers
            .iter()
            .zip(servers)
            .map(|(server, certified)| {
                let host = bracketed(&server.address.to_string());
                self.listed(
                    certified,
                    registered_address(server),
                    Some((
                        format!("http://{host}:{HTTP_PORT}"),
                        format!("https://{host}:{HTTPS_PORT}"),
                    )),
                    server
                        .clients
                        .iter()
                        .map(|client| client.id.path())
                        .collect(),
                )
            });
        let others = instance
            .outside_servers
            .iter()
            .zip(outside)
            .map(|(server, certified)| {
                let clients = server.clients.iter().map(ClientId::path).collect();
                self.listed(certified, server.address.clone(), None, clients)
            });
        let content = Endpoints {
            instance: instance.instance.clone(),
            anchor: ANCHOR.to_owned(),
            globalconf_dir: first
                .map_or_else(|| "globalconf".to_owned(), |folder| self.relative(&folder)),
            globalconf_url: format!("http://{}/internalconf", central_address(instance, port)),
            ca: endpoints::Authority {
                cert: self.relative(&trust.authority_file()),
            },
            ocsp: endpoints::Responder {
                url: ocsp_url(instance),
                cert: self.relative(&trust.responder_file()),
                key: self.relative(&trust.responder_key_file()),
            },
            tsa: endpoints::TimeStamping {
                url: tsa_url(instance),
                cert: self.relative(&trust.time_stamping_file()),
            },
            security_servers: own.chain(others).collect(),
            services: instance
                .services
                .iter()
                .map(|found| service(instance, found))
                .collect(),
            credentials: servers
                .iter()
                .flat_map(|server| self.credentials(server))
                .collect(),
            sites: instance
                .sites
                .iter()
                .flat_map(|sites| ALL_SITES.map(|site| self.site(sites, site)))
                .collect(),
        };
        let text = serde_json::to_string_pretty(&content).map_err(|error| error.to_string())?;
        write(
            &self.state.join(endpoints::FILE),
            format!("{text}\n").as_bytes(),
        )
    }

    fn site(&self, sites: &Sites, site: Site) -> endpoints::Site {
        endpoints::Site {
            url: site.origin(),
            listen: sites.listen(site).to_string(),
            cert: self.relative(&sites::folder(&self.state, site).join("tls.pem")),
        }
    }

    fn credentials(&self, server: &Certified) -> [endpoints::Credential; 2] {
        let credential = |purpose: &str, file: &str| endpoints::Credential {
            purpose: purpose.to_owned(),
            owner: server.id.path(),
            path: self.relative(&server.folder.join(file)),
        };
        [
            credential(
                "certificate of its HTTPS port, there once it has started",
                INTERNAL_CERTIFICATE,
            ),
            credential(
                "PIN of its token, not needed: it starts with the sealed key",
                token::PIN_FILE,
            ),
        ]
    }

    fn listed(
        &self,
        certified: &Certified,
        address: String,
        urls: Option<(String, String)>,
        clients: Vec<String>,
    ) -> endpoints::SecurityServer {
        let outside = urls.is_none();
        let (http, https) = urls.unzip();
        endpoints::SecurityServer {
            id: certified.id.path(),
            outside,
            address,
            message_port: MESSAGE_PORT,
            ocsp_port: OCSP_PORT,
            http,
            https,
            auth_cert: self.relative(&authentication_file(&certified.folder)),
            members: certified
                .members
                .iter()
                .map(|(id, certificate)| endpoints::Member {
                    id: id.path(),
                    sign_cert: self.relative(&signing_file(&certified.folder, id)),
                    sign_subject: certificate
                        .subject()
                        .attributes()
                        .iter()
                        .map(|attribute| {
                            (
                                attribute.kind.short_name().to_owned(),
                                attribute.value.clone(),
                            )
                        })
                        .collect(),
                })
                .collect(),
            clients,
        }
    }

    fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.state)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned()
    }
}

/// Keys of a server of the demo, taken out of its token.
pub struct OwnKeys {
    identity: TlsIdentity,
    authentication: Certificate,
    signing: Certificate,
    signer: Arc<dyn Signer>,
    authority: Certificate,
    ocsp_url: String,
}

impl OwnKeys {
    /// The keys as the interceptor takes them.
    #[must_use]
    pub fn as_peer_keys(&self) -> PeerKeys<'_> {
        PeerKeys {
            identity: self.identity.clone(),
            authentication: &self.authentication,
            signing: &self.signing,
            signer: self.signer.as_ref(),
            authority: &self.authority,
            ocsp_url: &self.ocsp_url,
        }
    }
}

/// The members whose signing keys a server holds: its owner first.
fn members_of(server: &Server) -> Vec<ClientId> {
    let mut members = vec![owner_of(&server.id)];
    for client in &server.clients {
        let member = client.id.to_member();
        if !members.contains(&member) {
            members.push(member);
        }
    }
    members
}

fn own_server(
    instance: &Instance,
    server: &Server,
    state: &Path,
    trust: &Trust,
    busy: &Busy,
) -> Result<Certified, String> {
    let folder = state.join("servers").join(file_name(&server.id.path()));
    make_folder(&folder.join("log"))?;
    let log_key = folder.join("log.key");
    if !log_key.exists() {
        write_secret(&log_key, random::hexadecimal::<32>().as_bytes())?;
    }
    let mut token = Token::open_or_create(&folder, &server.id.path())?;
    let authentication = token
        .authentication_certificate(instance.authentication_key_type, |key| {
            trust.authentication(&server.id, &registered_address(server), key)
        })?;
    busy.one_more();
    let mut members = Vec::new();
    for member in members_of(server) {
        let certificate = token.signing_certificate(&member, instance.key_type, |key| {
            trust.signing(&server.id, &member, key)
        })?;
        write(
            &signing_file(&folder, &member),
            certificate.to_pem().as_bytes(),
        )?;
        members.push((member, certificate));
        busy.one_more();
    }
    write(
        &authentication_file(&folder),
        authentication.to_pem().as_bytes(),
    )?;
    Ok(Certified {
        id: server.id.clone(),
        folder,
        authentication,
        members,
    })
}

fn outside_server(
    server: &OutsideServer,
    state: &Path,
    trust: &Trust,
) -> Result<Certified, String> {
    let id = server.id();
    let folder = state.join("outside").join(file_name(&id.path()));
    make_folder(&folder)?;
    let authentication = certified(&server.auth_csr, &authentication_file(&folder), |key| {
        trust.authentication(&id, &server.address, key)
    })?;
    let mut members = Vec::new();
    for member in &server.members {
        let certificate = certified(
            &member.sign_csr,
            &signing_file(&folder, &member.id),
            |key| trust.signing(&id, &member.id, key),
        )?;
        members.push((member.id.clone(), certificate));
    }
    Ok(Certified {
        id,
        folder,
        authentication,
        members,
    })
}

/// The certificate in `file` if it is for the key of the request, else a new one.
fn certified(
    request: &Path,
    file: &Path,
    issue: impl FnOnce(&PublicKey) -> Result<Certificate, String>,
) -> Result<Certificate, String> {
    let bytes = fs::read(request).map_err(|error| at(request, error))?;
    let verified = CertificateRequest::decode(&bytes)
        .and_then(CertificateRequest::verify)
        .map_err(|error| at(request, error))?;
    let key = verified.public_key();
    if let Ok(pem) = fs::read(file)
        && let Ok(kept) = Certificate::from_pem(&pem)
        && kept.public_key() == key
    {
        return Ok(kept);
    }
    let certificate = issue(key)?;
    write(file, certificate.to_pem().as_bytes())?;
    Ok(certificate)
}

fn service(instance: &Instance, service: &crate::instance::Service) -> endpoints::Service {
    let residents = id_registry::Population::demonstration();
    let somebody = || residents.person(0).map(|person| person.number);
    let (path, about) = match service.url.as_str() {
        "population:rest" => (Some("/persons"), somebody()),
        "licences:rest" => {
            let register = id_registry::LicenceRegister::new(residents);
            let driver = register.first_from(0).map(|licence| licence.holder.number);
            (Some("/licences"), driver)
        }
        "bank:rest" => (Some("/customers"), somebody()),
        _ if service.kind == crate::instance::ServiceKind::Soap => (None, None),
        _ => (Some("/"), None),
    };
    endpoints::Service {
        provider: service.provider.path(),
        code: service.code.clone(),
        version: service.version.clone(),
        kind: service.kind.as_str().to_owned(),
        namespace: service.namespace.clone(),
        path: path.map(str::to_owned),
        post: about.map(|number| serde_json::json!({ "number": number })),
        allowed: allowed_clients(instance, service),
    }
}

fn allowed_clients(instance: &Instance, service: &crate::instance::Service) -> Vec<String> {
    let mut allowed: Vec<String> = Vec::new();
    for right in &service.allowed {
        for client in parties::subjects(instance, right, service) {
            let id = client.path();
            if !allowed.contains(&id) {
                allowed.push(id);
            }
        }
    }
    allowed
}

fn registered_address(server: &Server) -> String {
    server
        .registered_address
        .clone()
        .unwrap_or_else(|| server.address.to_string())
}

fn ocsp_url(instance: &Instance) -> String {
    format!("{}/ocsp", trust_url(instance))
}

fn tsa_url(instance: &Instance) -> String {
    format!("{}/tsa", trust_url(instance))
}

fn trust_url(instance: &Instance) -> String {
    format!(
        "http://{}:{}",
        bracketed(&instance.address.to_string()),
        instance.trust_port
    )
}

fn central_address(instance: &Instance, port: u16) -> String {
    let host = bracketed(&instance.address.to_string());
    if port == CENTRAL_PORT {
        host
    } else {
        format!("{host}:{port}")
    }
}

/// The Central Server's port: 80, as anchors have it, or 8888 where 80 may not be bound.
fn central_port(instance: &Instance, narrator: &Narrator) -> Result<u16, String> {
    let trial = |port| TcpListener::bind(SocketAddr::new(instance.address, port));
    let in_use = |port: u16, error: std::io::Error| {
        format!(
            "{}:{port} cannot be used: {error}; is another demo running? Another `address` in an instance file avoids it",
            instance.address
        )
    };
    for server in &instance.servers {
        for port in [MESSAGE_PORT, OCSP_PORT, HTTP_PORT, HTTPS_PORT] {
            TcpListener::bind(SocketAddr::new(server.address, port)).map_err(|error| {
                format!(
                    "{}:{port} cannot be used by {}: {error}; is another demo running?",
                    server.address,
                    server.id.path()
                )
            })?;
        }
    }
    for (sites, site) in instance
        .sites
        .iter()
        .flat_map(|sites| ALL_SITES.map(|site| (sites, site)))
    {
        let listen = sites.listen(site);
        TcpListener::bind(listen).map_err(|error| {
            format!(
                "{listen} cannot be used by {}: {error}; is another demo running? Another `address` in the table [sites] of an instance file avoids it",
                site.origin()
            )
        })?;
    }
    if let Some(port) = instance.central_port {
        return trial(port)
            .map(|_| port)
            .map_err(|error| in_use(port, error));
    }
    if trial(CENTRAL_PORT).is_ok() {
        return Ok(CENTRAL_PORT);
    }
    trial(CENTRAL_PORT_WITHOUT_RIGHTS)
        .map_err(|error| in_use(CENTRAL_PORT_WITHOUT_RIGHTS, error))?;
    narrator.say(&format!(
        "Port {CENTRAL_PORT} of {} may not be bound; the Central Server takes {CENTRAL_PORT_WITHOUT_RIGHTS}, and the anchor says so.",
        instance.address
    ));
    Ok(CENTRAL_PORT_WITHOUT_RIGHTS)
}

/// An identifier as the name of a file.
fn file_name(id: &str) -> String {
    id.replace('/', "-")
}

fn authentication_file(folder: &Path) -> PathBuf {
    folder.join("auth.pem")
}

fn signing_file(folder: &Path, member: &ClientId) -> PathBuf {
    folder.join(format!("sign-{}.pem", file_name(&member.path())))
}

fn at(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn make_folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| at(path, error))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let bytes = fs::read(from).map_err(|error| at(from, error))?;
    write(to, &bytes)
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    fs::write(&beside, bytes).map_err(|error| at(&beside, error))?;
    fs::rename(&beside, path).map_err(|error| at(path, error))
}

/// Writes a file that only its owner may read.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| at(path, error))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|error| at(path, error))
}
