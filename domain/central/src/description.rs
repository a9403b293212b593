//! What an instance of X-Road consists of, and the rules it must follow before it
//! is published.

use std::collections::HashSet;

use globalconf::parameters::{AcmeServer, CostType, CsrFormat, MemberClass, Subsystem};
use globalconf::{Anchor, CertificateProfile};
use pki::Certificate;
use xroad_id::{ClientId, SecurityServerId, is_safe_part};

/// Code of the group whose members are the owners of all Security Servers. It is
/// kept by the Central Server itself, as X-Road's does.
pub const OWNERS_GROUP: &str = "security-server-owners";

/// An OCSP responder.
#[derive(Debug, Clone)]
pub struct OcspService {
    /// URL that takes POST of `application/ocsp-request`.
    pub url: String,
    /// The responder's certificate.
    pub certificate: Option<Certificate>,
    /// What it costs.
    pub cost: Option<CostType>,
}

/// A CA certificate with the responders for what it issues.
#[derive(Debug, Clone)]
pub struct Authority {
    /// The certificate.
    pub certificate: Certificate,
    /// Responders.
    pub ocsp: Vec<OcspService>,
}

/// A certification service that the instance approves.
#[derive(Debug, Clone)]
pub struct CertificationService {
    /// Name for people.
    pub name: String,
    /// Its certificates may not be used for signatures.
    pub authentication_only: bool,
    /// Full name of the Java class of its certificate profile, see
    /// [`CertificateProfile::class_name`].
    pub profile: String,
    /// The trust anchor.
    pub top: Authority,
    /// Authorities below it.
    pub intermediates: Vec<Authority>,
    /// Preferred form of certificate requests.
    pub default_csr_format: Option<CsrFormat>,
    /// Automatic ordering of certificates.
    pub acme: Option<AcmeServer>,
}

/// A time-stamping authority that the instance approves.
#[derive(Debug, Clone)]
pub struct TimeStampingService {
    /// Name for people.
    pub name: String,
    /// URL that takes POST of `application/timestamp-query`.
    pub url: String,
    /// Certificate of its signing key.
    pub certificate: Certificate,
    /// What it costs.
    pub cost: Option<CostType>,
}

/// A member with its subsystems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its identifier, without subsystem.
    pub id: ClientId,
    /// Full name for people.
    pub name: String,
    /// Its subsystems.
    pub subsystems: Vec<Subsystem>,
}

/// A registered Security Server.
#[derive(Debug, Clone)]
pub struct RegisteredServer {
    /// Its identifier; the owner is [`SecurityServerId::owner`].
    pub id: SecurityServerId,
    /// Host name or IP address, never with a port: peers add their own.
    pub address: Option<String>,
    /// Its authentication certificates.
    pub authentication_certificates: Vec<Certificate>,
    /// Members and subsystems registered as its clients.
    pub clients: Vec<ClientId>,
    /// Notice while it is being maintained (empty: no text), `None` otherwise.
    pub maintenance: Option<String>,
}

/// A group of members and subsystems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Code, unique in the instance.
    pub code: String,
    /// Text for people.
    pub description: String,
    /// Who belongs to it.
    pub members: Vec<ClientId>,
}

/// Where management requests go.
#[derive(Debug, Clone)]
pub struct Management {
    /// Member or subsystem that provides the management services.
    pub provider: ClientId,
    /// HTTPS URL for the registration of authentication certificates.
    pub registration_address: String,
    /// TLS certificate of that URL.
    pub registration_certificate: Option<Certificate>,
}

/// A whole instance, as it is described to the Central Server.
#[derive(Debug, Clone)]
pub struct InstanceDescription {
    /// Code of the instance.
    pub instance: String,
    /// Hosts of the Central Server, with a port where it is not the usual one
    /// (`127.0.0.10:8888`); at least one.
    pub central_addresses: Vec<String>,
    /// Classes of members.
    pub member_classes: Vec<MemberClass>,
    /// Approved certification services.
    pub certification_services: Vec<CertificationService>,
    /// Approved time-stamping authorities.
    pub time_stamping_services: Vec<TimeStampingService>,
    /// Members.
    pub members: Vec<Member>,
    /// Security Servers.
    pub security_servers: Vec<RegisteredServer>,
    /// Global groups beside [`OWNERS_GROUP`].
    pub global_groups: Vec<Group>,
    /// Where management requests go.
    pub management: Management,
    /// Longest time from logging a signature to its time stamp, in seconds.
    pub timestamping_interval_seconds: u64,
    /// Oldest acceptable `thisUpdate` of an OCSP answer, in seconds.
    pub ocsp_freshness_seconds: u64,
    /// Anchors of federated instances.
    pub federation: Vec<Anchor>,
    /// Whether `nextUpdate` of OCSP answers is checked; `None` leaves the part out.
    pub next_update_check: Option<bool>,
    /// Seconds between fetches of OCSP answers; `None` leaves the part out.
    pub ocsp_fetch_interval_seconds: Option<u64>,
    /// Who may query the monitoring data of every server; `None` leaves the part out.
    pub monitoring_client: Option<ClientId>,
}

/// A rule that a description breaks. The fault is that of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A code has characters that X-Road does not allow, or is empty or too long.
    #[error(
        "{what} {code:?} is not a code that may be registered (characters : ; / \\ % and control characters are not allowed, at most 255)"
    )]
    Code {
        /// What the code is of.
        what: &'static str,
        /// The code.
        code: String,
    },
    /// Something is there twice.
    #[error("{0} is described twice")]
    Twice(String),
    /// An identifier is of another instance.
    #[error("{0} is not of this instance")]
    ForeignInstance(String),
    /// A member has a class that is not described.
    #[error("{0} has a member class that is not described")]
    MemberClass(String),
    /// A reference to a member or subsystem that is not described.
    #[error("{user} names {missing}, which is not described")]
    Unknown {
        /// Who refers to it.
        user: String,
        /// What is missing.
        missing: String,
    },
    /// The address of a Security Server has a port, or is not a host.
    #[error("the address {address:?} of {server} is not a host name or IP address without a port")]
    Address {
        /// The server.
        server: String,
        /// The address.
        address: String,
    },
    /// The certificate profile is not one that ships with X-Road.
    #[error(
        "certification service {service:?}: {profile:?} is not a certificate profile that ships with X-Road"
    )]
    Profile {
        /// The service.
        service: String,
        /// The class.
        profile: String,
    },
    /// Two Security Servers have the same authentication certificate.
    #[error("{0} has an authentication certificate that another Security Server has too")]
    SharedCertificate(String),
    /// The Central Server has no address.
    #[error("the Central Server has no address")]
    NoCentralAddress,
    /// The Central Server's address is not `host` or `host:port`.
    #[error("the Central Server's address {0:?} is not a host with or without a port")]
    CentralAddress(String),
    /// Text that XML cannot carry.
    #[error("{0} has a control character in a text")]
    Text(String),
}

/// A description that follows the rules; only [`InstanceDescription::validate`] makes it.
#[derive(Debug, Clone)]
pub struct ValidInstance(InstanceDescription);

impl ValidInstance {
    /// The description.
    pub fn description(&self) -> &InstanceDescription {
        &self.0
    }
}

/// Whether a text is a host without a port: letters, digits, `-`, `.`, or an IPv6
/// address (with or without brackets).
fn is_host(text: &str) -> bool {
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    if bare.parse::<std::net::Ipv6Addr>().is_ok() {
        return true;
    }
    !text.is_empty()
        && text.len() <= 255
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

impl InstanceDescription {
    /// Checks the description against the rules.
    ///
    /// # Errors
    /// Every rule that is broken.
    pub fn validate(self) -> Result<ValidInstance, Vec<Problem>> {
        let mut problems = Vec::new();
        self.check_codes(&mut problems);
        let clients = self.check_members(&mut problems);
        self.check_servers(&clients, &mut problems);
        self.check_services(&mut problems);
        let known = |user: &str, id: &ClientId, problems: &mut Vec<Problem>| {
            if !clients.contains(id) {
                problems.push(Problem::Unknown {
                    user: user.to_owned(),
                    missing: id.to_string(),
                });
            }
        };
        let mut codes = HashSet::new();
        for group in &self.global_groups {
            if !codes.insert(&group.code) {
                problems.push(Problem::Twice(format!("global group {:?}", group.code)));
            }
            for member in &group.members {
                known(
                    &format!("global group {:?}", group.code),
                    member,
                    &mut problems,
                );
            }
        }
        known("management", &self.management.provider, &mut problems);
        if let Some(client) = &self.monitoring_client {
            known("monitoring", client, &mut problems);
        }
        if problems.is_empty() {
            Ok(ValidInstance(self))
        } else {
            Err(problems)
        }
    }

    fn check_codes(&self, problems: &mut Vec<Problem>) {
        let mut code = |what: &'static str, code: &str| {
            if !is_safe_part(code) {
                problems.push(Problem::Code {
                    what,
                    code: code.to_owned(),
                });
            }
        };
        code("instance", &self.instance);
        for class in &self.member_classes {
            code("member class", &class.code);
        }
        for member in &self.members {
            code("member class", &member.id.member_class);
            code("member code", &member.id.member_code);
            for subsystem in &member.subsystems {
                code("subsystem code", &subsystem.code);
            }
        }
        for server in &self.security_servers {
            code("server code", &server.id.server_code);
        }
        for group in &self.global_groups {
            code("global group", &group.code);
        }
        let texts = self
            .members
            .iter()
            .flat_map(|m| {
                std::iter::once((&m.id, &m.name)).chain(
                    m.subsystems
                        .iter()
                        .filter_map(|s| Some((&m.id, s.name.as_ref()?))),
                )
            })
            .filter(|(_, text)| text.chars().any(char::is_control));
        problems.extend(texts.map(|(id, _)| Problem::Text(id.to_string())));
    }

    fn check_members(&self, problems: &mut Vec<Problem>) -> HashSet<ClientId> {
        let mut clients = HashSet::new();
        for member in &self.members {
            let member_id = member.id.to_member();
            if member.id.subsystem_code.is_some() {
                problems.push(Problem::Unknown {
                    user: "member".to_owned(),
                    missing: member.id.to_string(),
                });
            }
            if member.id.instance != self.instance {
                problems.push(Problem::ForeignInstance(member.id.to_string()));
            }
            if !self
                .member_classes
                .iter()
                .any(|class| class.code == member.id.member_class)
            {
                problems.push(Problem::MemberClass(member.id.to_string()));
            }
            for subsystem in &member.subsystems {
                let id = ClientId {
                    subsystem_code: Some(subsystem.code.clone()),
                    ..member_id.clone()
                };
                if !clients.insert(id.clone()) {
                    problems.push(Problem::Twice(id.to_string()));
                }
            }
            if !clients.insert(member_id) {
                problems.push(Problem::Twice(member.id.to_string()));
            }
        }
        clients
    }

    fn check_servers(&self, clients: &HashSet<ClientId>, problems: &mut Vec<Problem>) {
        let mut ids = HashSet::new();
        let mut certificates = HashSet::new();
        for server in &self.security_servers {
            let name = server.id.to_string();
            if !ids.insert(&server.id) {
                problems.push(Problem::Twice(name.clone()));
            }
            let owner = server.id.owner();
            for client in std::iter::once(&owner).chain(&server.clients) {
                if !clients.contains(client) {
                    problems.push(Problem::Unknown {
                        user: name.clone(),
                        missing: client.to_string(),
                    });
                }
            }
            if let Some(address) = &server.address
                && !is_host(address)
            {
                problems.push(Problem::Address {
                    server: name.clone(),
                    address: address.clone(),
                });
            }
            for certificate in &server.authentication_certificates {
                if !certificates.insert(certificate.der().to_vec()) {
                    problems.push(Problem::SharedCertificate(name.clone()));
                }
            }
        }
    }

    fn check_services(&self, problems: &mut Vec<Problem>) {
        for service in &self.certification_services {
            if CertificateProfile::from_class(&service.profile).is_err() {
                problems.push(Problem::Profile {
                    service: service.name.clone(),
                    profile: service.profile.clone(),
                });
            }
        }
        if self.central_addresses.is_empty() {
            problems.push(Problem::NoCentralAddress);
        }
        for address in &self.central_addresses {
            let good = is_host(address)
                || address
                    .rsplit_once(':')
                    .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok());
            if !good {
                problems.push(Problem::CentralAddress(address.clone()));
            }
        }
    }
}
