//! Global configuration as it is used: parsed once, indexed, immutable and shared.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use pki::{Certificate, DigestAlgorithm, Name};
use time::OffsetDateTime;
use xroad_id::{ClientId, GlobalGroupId, SecurityServerId};

use crate::certificate_profile::{CertificateProfile, CertificateProfiles, ProfileError};
use crate::parameters::{
    ApprovedCaDescription, CaDescription, CostType, FormatVersion, Maintenance, ManagementService,
    PrivateParameters, SecurityServer, SharedParameters, Source,
};

/// What applies where a configuration does not say how old an OCSP answer may be:
/// one hour, as every configuration seen in the field has (reference T-GC-10).
pub const DEFAULT_OCSP_FRESHNESS_SECONDS: u64 = 3600;
/// What applies where a configuration does not say how often OCSP answers are
/// fetched (reference C3).
pub const DEFAULT_OCSP_FETCH_INTERVAL_SECONDS: u64 = 1200;
/// What applies where there are no private parameters (a stored configuration of
/// evidence); X-Road's own default.
pub const DEFAULT_TIMESTAMPING_INTERVAL_SECONDS: u64 = 60;

/// Identity of a configuration: SHA-256 over its parts, see
/// [`crate::StoredDirectory::identity`]. Two downloads that differ only in their
/// expiry have the same identity.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ConfigurationId(pub [u8; 32]);

impl ConfigurationId {
    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for ConfigurationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ConfigurationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The parameters of one instance with what their signed directory said of them.
#[derive(Debug, Clone)]
pub struct InstanceParameters {
    /// Shared parameters.
    pub shared: SharedParameters,
    /// Private parameters; only the own instance has them.
    pub private: Option<PrivateParameters>,
    /// Version of the format of the shared parameters.
    pub version: FormatVersion,
    /// When the first of the parts expires; `None`: never.
    pub expires: Option<OffsetDateTime>,
    /// Whether `nextUpdate` of OCSP answers is checked (`ocsp-nextupdate-params.xml`).
    pub next_update_check: Option<bool>,
    /// Seconds between fetches of OCSP answers (`ocsp-fetchinterval-params.xml`).
    pub ocsp_fetch_interval_seconds: Option<u64>,
    /// Who may query the monitoring data of every server (`monitoring-params.xml`, G29).
    pub monitoring_client: Option<ClientId>,
}

impl InstanceParameters {
    /// Shared parameters alone, without expiry.
    pub fn new(shared: SharedParameters, version: FormatVersion) -> Self {
        Self {
            shared,
            private: None,
            version,
            expires: None,
            next_update_check: None,
            ocsp_fetch_interval_seconds: None,
            monitoring_client: None,
        }
    }
}

/// An OCSP responder of a CA.
#[derive(Debug, Clone)]
pub struct OcspResponder {
    /// URL, empty if only the certificate is known.
    pub url: String,
    /// Its certificate: an answer it signed needs no further authorisation (T-OC-5).
    pub certificate: Option<Certificate>,
    /// What it costs.
    pub cost: Option<CostType>,
}

/// One CA certificate of an approved certification service.
#[derive(Debug, Clone)]
pub struct CaCertificate {
    /// The certificate.
    pub certificate: Certificate,
    /// Responders that know what it issued.
    pub ocsp: Vec<OcspResponder>,
}

impl CaCertificate {
    /// Certificates of the responders of this CA.
    pub fn responder_certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.ocsp.iter().filter_map(|r| r.certificate.as_ref())
    }
}

/// A certification service approved in an instance.
#[derive(Debug, Clone)]
pub struct ApprovedCa {
    /// Name for people.
    pub name: String,
    /// Its certificates may not be used for signatures (reference C2).
    pub authentication_only: bool,
    /// The trust anchor, first, and the authorities below it.
    pub authorities: Vec<CaCertificate>,
    /// How its certificates name members.
    pub profile: Result<CertificateProfile, ProfileError>,
    /// The entry as written, with what concerns ordering of certificates only.
    pub description: ApprovedCaDescription,
}

impl ApprovedCa {
    /// The trust anchor.
    pub fn top(&self) -> &Certificate {
        &self.authorities[0].certificate
    }

    /// The authorities below the anchor.
    pub fn intermediates(&self) -> impl Iterator<Item = &Certificate> {
        self.authorities.iter().skip(1).map(|a| &a.certificate)
    }

    /// All CA certificates, the anchor first.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.authorities.iter().map(|a| &a.certificate)
    }
}

/// The authority that issued a certificate, within its certification service.
#[derive(Debug, Clone, Copy)]
pub struct Issuer<'a> {
    /// The certification service.
    pub ca: &'a ApprovedCa,
    /// The certificate of the authority.
    pub authority: &'a CaCertificate,
}

/// A time-stamping authority approved in an instance.
#[derive(Debug, Clone)]
pub struct ApprovedTsa {
    /// Name for people.
    pub name: String,
    /// URL.
    pub url: String,
    /// Certificate of its signing key.
    pub certificate: Certificate,
    /// What it costs.
    pub cost: Option<CostType>,
}

/// A member or subsystem in a list (`listClients`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientListing<'a> {
    /// Its identifier.
    pub id: ClientId,
    /// Name of the member.
    pub member_name: &'a str,
    /// Name of the subsystem, if it is one and the configuration has names.
    pub subsystem_name: Option<&'a str>,
}

/// The configuration is too old to exchange messages (`global_conf_outdated`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the global configuration of instance {instance} expired at {expired}")]
pub struct Outdated {
    /// The instance.
    pub instance: String,
    /// When it expired.
    pub expired: OffsetDateTime,
}

struct ClientEntry {
    member: u32,
    subsystem: Option<u32>,
    servers: Vec<u32>,
}

/// One instance with its indexes.
struct Instance {
    parameters: InstanceParameters,
    approved_cas: Vec<ApprovedCa>,
    approved_tsas: Vec<ApprovedTsa>,
    /// DER of a CA's subject name to (approved CA, authority).
    authorities: HashMap<Vec<u8>, Vec<(u32, u32)>>,
    clients: HashMap<ClientId, ClientEntry>,
    servers: HashMap<SecurityServerId, u32>,
    servers_by_hash: HashMap<Box<[u8]>, u32>,
    groups: HashMap<String, HashSet<ClientId>>,
    problems: Vec<String>,
}

impl Instance {
    fn new(parameters: InstanceParameters, profiles: &CertificateProfiles) -> Self {
        let shared = &parameters.shared;
        let mut problems = Vec::new();
        let mut approved_cas = Vec::new();
        for description in &shared.approved_cas {
            match approved_ca(description, profiles, &mut problems) {
                Some(ca) => approved_cas.push(ca),
                None => problems.push(format!(
                    "approved CA {:?} is left out: its top certificate cannot be used",
                    description.name
                )),
            }
        }
        let mut authorities: HashMap<Vec<u8>, Vec<(u32, u32)>> = HashMap::new();
        for (i, ca) in approved_cas.iter().enumerate() {
            for (j, authority) in ca.authorities.iter().enumerate() {
                authorities
                    .entry(authority.certificate.subject().der().to_vec())
                    .or_default()
                    .push((i as u32, j as u32));
            }
        }
        let mut approved_tsas = Vec::new();
        for tsa in &shared.approved_tsas {
            match Certificate::decode(&tsa.certificate) {
                Ok(certificate) => approved_tsas.push(ApprovedTsa {
                    name: tsa.name.clone(),
                    url: tsa.url.clone(),
                    certificate,
                    cost: tsa.cost,
                }),
                Err(error) => {
                    problems.push(format!("approved TSA {:?} is left out: {error}", tsa.name));
                }
            }
        }

        let mut clients: HashMap<ClientId, ClientEntry> = HashMap::with_capacity(
            shared.members.len()
                + shared
                    .members
                    .iter()
                    .map(|m| m.subsystems.len())
                    .sum::<usize>(),
        );
        for (i, member) in shared.members.iter().enumerate() {
            let mut entry = |id: ClientId, subsystem: Option<u32>| {
                clients.entry(id).or_insert(ClientEntry {
                    member: i as u32,
                    subsystem,
                    servers: Vec::new(),
                });
            };
            entry(member.id.clone(), None);
            for (j, subsystem) in member.subsystems.iter().enumerate() {
                let id = ClientId {
                    subsystem_code: Some(subsystem.code.clone()),
                    ..member.id.clone()
                };
                entry(id, Some(j as u32));
            }
        }
        let mut servers = HashMap::with_capacity(shared.security_servers.len());
        let mut servers_by_hash = HashMap::with_capacity(shared.security_servers.len());
        for (i, server) in shared.security_servers.iter().enumerate() {
            let i = i as u32;
            servers.insert(server.id.clone(), i);
            for hash in &server.authentication_certificate_hashes {
                servers_by_hash.insert(hash.clone().into_boxed_slice(), i);
            }
            let owner = server.id.owner();
            for client in std::iter::once(&owner).chain(&server.clients) {
                if let Some(entry) = clients.get_mut(client)
                    && entry.servers.last() != Some(&i)
                    && !entry.servers.contains(&i)
                {
                    entry.servers.push(i);
                }
            }
        }
        let groups = shared
            .global_groups
            .iter()
            .map(|group| {
                (
                    group.id.group_code.clone(),
                    group.members.iter().cloned().collect(),
                )
            })
            .collect();
        Self {
            approved_cas,
            approved_tsas,
            authorities,
            clients,
            servers,
            servers_by_hash,
            groups,
            problems,
            parameters,
        }
    }

    fn name(&self) -> &str {
        &self.parameters.shared.instance
    }

    fn server(&self, index: u32) -> &SecurityServer {
        &self.parameters.shared.security_servers[index as usize]
    }

    fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.parameters.expires.is_some_and(|expires| now > expires)
    }
}

fn approved_ca(
    description: &ApprovedCaDescription,
    profiles: &CertificateProfiles,
    problems: &mut Vec<String>,
) -> Option<ApprovedCa> {
    let mut read = |ca: &CaDescription| -> Option<CaCertificate> {
        let certificate = match Certificate::decode(&ca.certificate) {
            Ok(certificate) => certificate,
            Err(error) => {
                problems.push(format!(
                    "a certificate of approved CA {:?} cannot be used: {error}",
                    description.name
                ));
                return None;
            }
        };
        let ocsp = ca
            .ocsp
            .iter()
            .map(|responder| OcspResponder {
                url: responder.url.clone(),
                certificate: responder.certificate.as_deref().and_then(|der| {
                    Certificate::decode(der)
                        .inspect_err(|error| {
                            problems.push(format!(
                                "the certificate of OCSP responder {} cannot be used: {error}",
                                responder.url
                            ));
                        })
                        .ok()
                }),
                cost: responder.cost,
            })
            .collect();
        Some(CaCertificate { certificate, ocsp })
    };
    let mut authorities = vec![read(&description.top)?];
    authorities.extend(description.intermediates.iter().filter_map(&mut read));
    let profile = profiles.get(&description.certificate_profile).cloned();
    if let Err(error) = &profile {
        problems.push(format!("approved CA {:?}: {error}", description.name));
    }
    Some(ApprovedCa {
        name: description.name.clone(),
        authentication_only: description.authentication_only,
        authorities,
        profile,
        description: description.clone(),
    })
}

/// The global configuration of an instance and of those federated with it.
/// Immutable; a clone shares everything.
#[derive(Clone)]
pub struct GlobalConfiguration {
    /// The own instance first.
    instances: Vec<Arc<Instance>>,
    identity: ConfigurationId,
    hash_algorithm: DigestAlgorithm,
}

impl fmt::Debug for GlobalConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalConfiguration")
            .field("instances", &self.instances().collect::<Vec<_>>())
            .field("version", &self.version())
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl GlobalConfiguration {
    /// Indexes the parameters of the own instance and of federated ones, with the
    /// certificate profiles that ship with X-Road. A federated instance with the
    /// name of an earlier one is left out.
    pub fn new(own: InstanceParameters, federated: Vec<InstanceParameters>) -> Self {
        Self::with_profiles(own, federated, &CertificateProfiles::default())
    }

    /// As [`GlobalConfiguration::new`], with further certificate profiles.
    pub fn with_profiles(
        own: InstanceParameters,
        federated: Vec<InstanceParameters>,
        profiles: &CertificateProfiles,
    ) -> Self {
        let hash_algorithm = own.version.authentication_certificate_hash();
        let mut instances: Vec<Arc<Instance>> = vec![Arc::new(Instance::new(own, profiles))];
        for parameters in federated {
            if !instances
                .iter()
                .any(|known| known.name() == parameters.shared.instance)
            {
                instances.push(Arc::new(Instance::new(parameters, profiles)));
            }
        }
        Self {
            instances,
            identity: ConfigurationId::default(),
            hash_algorithm,
        }
    }

    /// The same with the identity of the stored directory that it was read from.
    #[must_use]
    pub fn with_identity(mut self, identity: ConfigurationId) -> Self {
        self.identity = identity;
        self
    }

    /// Identity of the configuration; all zeros if it was not read from a stored directory.
    pub fn identity(&self) -> ConfigurationId {
        self.identity
    }

    fn own(&self) -> &Instance {
        &self.instances[0]
    }

    fn find(&self, instance: &str) -> Option<&Instance> {
        self.instances
            .iter()
            .map(|i| &**i)
            .find(|i| i.name() == instance)
    }

    /// Code of the own instance.
    pub fn instance(&self) -> &str {
        self.own().name()
    }

    /// Codes of all instances, the own first.
    pub fn instances(&self) -> impl Iterator<Item = &str> {
        self.instances.iter().map(|i| i.name())
    }

    /// Version of the format of the own instance's parameters.
    pub fn version(&self) -> FormatVersion {
        self.own().parameters.version
    }

    /// When the own instance's configuration expires; `None`: never.
    pub fn expires(&self) -> Option<OffsetDateTime> {
        self.own().parameters.expires
    }

    /// Entries that had to be left out, in plain words, for the log.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.instances
            .iter()
            .flat_map(|i| i.problems.iter().map(String::as_str))
    }

    /// The configuration for use at `now`: without federated instances that have
    /// expired (reference G23).
    ///
    /// # Errors
    /// The own instance's configuration has expired: no message may be exchanged (G17).
    pub fn is_current(&self, now: OffsetDateTime) -> Result<Current, Outdated> {
        if let Some(expired) = self.expires()
            && now > expired
        {
            return Err(Outdated {
                instance: self.instance().to_owned(),
                expired,
            });
        }
        let mut configuration = self.clone();
        configuration.instances.retain(|i| !i.is_expired(now));
        Ok(Current {
            until: self.expires(),
            configuration,
        })
    }

    // Security Servers and clients

    /// The server that registered this authentication certificate, in whatever
    /// instance (reference G26: the digest follows the own instance's version).
    pub fn server_by_auth_certificate(&self, certificate: &Certificate) -> Option<&SecurityServer> {
        let digest = match self.hash_algorithm {
            DigestAlgorithm::Sha1 => certificate.sha1(),
            _ => certificate.sha256(),
        };
        let digest: &[u8] = digest.as_ref();
        self.instances
            .iter()
            .find_map(|i| i.servers_by_hash.get(digest).map(|&index| i.server(index)))
    }

    /// Whether the certificate belongs to a server of which `client` is the owner or
    /// a registered client.
    pub fn auth_certificate_serves(&self, certificate: &Certificate, client: &ClientId) -> bool {
        self.server_by_auth_certificate(certificate)
            .is_some_and(|server| self.is_client_of_server(client, &server.id))
    }

    /// A server by its identifier.
    pub fn server(&self, id: &SecurityServerId) -> Option<&SecurityServer> {
        let instance = self.find(&id.instance)?;
        instance
            .servers
            .get(id)
            .map(|&index| instance.server(index))
    }

    /// All servers of an instance.
    pub fn servers(&self, instance: &str) -> &[SecurityServer] {
        self.find(instance)
            .map(|i| i.parameters.shared.security_servers.as_slice())
            .unwrap_or_default()
    }

    /// The servers of which `client` is the owner or a registered client.
    pub fn servers_of(&self, client: &ClientId) -> impl Iterator<Item = &SecurityServer> {
        self.find(&client.instance)
            .and_then(|i| i.clients.get(client).map(|entry| (i, entry)))
            .into_iter()
            .flat_map(|(i, entry)| entry.servers.iter().map(|&index| i.server(index)))
    }

    /// Whether `client` is the owner or a registered client of `server`.
    pub fn is_client_of_server(&self, client: &ClientId, server: &SecurityServerId) -> bool {
        let Some(instance) = self.find(&server.instance) else {
            return false;
        };
        let Some(index) = instance.servers.get(server) else {
            return false;
        };
        instance
            .clients
            .get(client)
            .is_some_and(|entry| entry.servers.contains(index))
    }

    /// Notice of a server that is being maintained, `None` if it is not.
    pub fn maintenance(&self, server: &SecurityServerId) -> Option<&Maintenance> {
        self.server(server)?.maintenance.as_ref()
    }

    /// Whether the member or subsystem is registered.
    pub fn member_exists(&self, client: &ClientId) -> bool {
        self.find(&client.instance)
            .is_some_and(|i| i.clients.contains_key(client))
    }

    /// Full name of the member, also for a subsystem.
    pub fn member_name(&self, client: &ClientId) -> Option<&str> {
        let instance = self.find(&client.instance)?;
        let entry = instance
            .clients
            .get(client)
            .or_else(|| instance.clients.get(&client.to_member()))?;
        Some(&instance.parameters.shared.members[entry.member as usize].name)
    }

    /// Name of a subsystem, if the configuration has one.
    pub fn subsystem_name(&self, client: &ClientId) -> Option<&str> {
        let instance = self.find(&client.instance)?;
        let entry = instance.clients.get(client)?;
        let member = &instance.parameters.shared.members[entry.member as usize];
        member.subsystems[entry.subsystem? as usize].name.as_deref()
    }

    /// Whether `client` belongs to the group; members and their subsystems are
    /// different subjects.
    pub fn in_global_group(&self, client: &ClientId, group: &GlobalGroupId) -> bool {
        self.find(&group.instance)
            .and_then(|i| i.groups.get(&group.group_code))
            .is_some_and(|members| members.contains(client))
    }

    /// Whether the group exists.
    pub fn global_group_exists(&self, group: &GlobalGroupId) -> bool {
        self.find(&group.instance)
            .is_some_and(|i| i.groups.contains_key(&group.group_code))
    }

    /// Members and subsystems of an instance, each member before its subsystems;
    /// `None` if the instance is not known.
    pub fn clients(&self, instance: &str) -> Option<impl Iterator<Item = ClientListing<'_>>> {
        let instance = self.find(instance)?;
        Some(
            instance
                .parameters
                .shared
                .members
                .iter()
                .flat_map(|member| {
                    std::iter::once(ClientListing {
                        id: member.id.clone(),
                        member_name: &member.name,
                        subsystem_name: None,
                    })
                    .chain(member.subsystems.iter().map(|subsystem| {
                        ClientListing {
                            id: ClientId {
                                subsystem_code: Some(subsystem.code.clone()),
                                ..member.id.clone()
                            },
                            member_name: &member.name,
                            subsystem_name: subsystem.name.as_deref(),
                        }
                    }))
                }),
        )
    }

    /// Whether the member class is in use in an instance.
    pub fn member_class_exists(&self, instance: &str, class: &str) -> bool {
        self.find(instance).is_some_and(|i| {
            i.parameters
                .shared
                .member_classes
                .iter()
                .any(|c| c.code == class)
        })
    }

    // Trust services

    /// The certification services of an instance.
    pub fn approved_cas(&self, instance: &str) -> &[ApprovedCa] {
        self.find(instance)
            .map(|i| i.approved_cas.as_slice())
            .unwrap_or_default()
    }

    /// The authorities of an instance with this name, by its encoded bytes
    /// (reference C1). There is more than one only while a CA renews its key.
    pub fn authorities_named<'a>(
        &'a self,
        instance: &str,
        name: &Name,
    ) -> impl Iterator<Item = Issuer<'a>> + use<'a> {
        self.find(instance)
            .and_then(|i| i.authorities.get(name.der()).map(|found| (i, found)))
            .into_iter()
            .flat_map(|(i, found)| {
                found.iter().map(|&(ca, authority)| {
                    let ca = &i.approved_cas[ca as usize];
                    Issuer {
                        ca,
                        authority: &ca.authorities[authority as usize],
                    }
                })
            })
    }

    /// The approved authority of an instance that is named as the issuer of a
    /// certificate. Where several have the name, that which verifies the
    /// certificate. The signature is otherwise not checked here.
    pub fn approved_ca_for(&self, instance: &str, certificate: &Certificate) -> Option<Issuer<'_>> {
        let mut candidates = self.authorities_named(instance, certificate.issuer());
        let first = candidates.next()?;
        let mut rest = candidates.peekable();
        if rest.peek().is_none() {
            return Some(first);
        }
        std::iter::once(first)
            .chain(rest)
            .find(|issuer| certificate.is_issued_by(&issuer.authority.certificate))
    }

    /// The time-stamping authorities of the own instance.
    pub fn approved_tsas(&self) -> &[ApprovedTsa] {
        &self.own().approved_tsas
    }

    /// Certificates of the time-stamping authorities of all instances: evidence may
    /// carry a time stamp of the other side.
    pub fn tsa_certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.instances
            .iter()
            .flat_map(|i| i.approved_tsas.iter().map(|tsa| &tsa.certificate))
    }

    /// How old `thisUpdate` of an OCSP answer may be, in seconds.
    pub fn ocsp_freshness_seconds(&self) -> u64 {
        self.own()
            .parameters
            .shared
            .ocsp_freshness_seconds
            .unwrap_or(DEFAULT_OCSP_FRESHNESS_SECONDS)
    }

    /// Whether `nextUpdate` of OCSP answers is checked.
    pub fn next_update_check(&self) -> bool {
        self.own().parameters.next_update_check.unwrap_or(true)
    }

    /// Seconds between two fetches of an OCSP answer.
    pub fn ocsp_fetch_interval_seconds(&self) -> u64 {
        self.own()
            .parameters
            .ocsp_fetch_interval_seconds
            .unwrap_or(DEFAULT_OCSP_FETCH_INTERVAL_SECONDS)
    }

    /// Longest time from logging a signature to its time stamp, in seconds.
    pub fn timestamping_interval_seconds(&self) -> u64 {
        self.own()
            .parameters
            .private
            .as_ref()
            .map_or(DEFAULT_TIMESTAMPING_INTERVAL_SECONDS, |p| {
                p.timestamping_interval_seconds
            })
    }

    // Administration

    /// Where management requests go; `None` in a configuration without private parameters.
    pub fn management_service(&self) -> Option<&ManagementService> {
        Some(&self.own().parameters.private.as_ref()?.management_service)
    }

    /// Who may query the monitoring data of every server.
    pub fn monitoring_client(&self) -> Option<&ClientId> {
        self.own().parameters.monitoring_client.as_ref()
    }

    /// Where an instance says that it is published.
    pub fn sources(&self, instance: &str) -> &[Source] {
        self.find(instance)
            .map(|i| i.parameters.shared.sources.as_slice())
            .unwrap_or_default()
    }

    /// The shared parameters of an instance as they were read.
    pub fn shared_parameters(&self, instance: &str) -> Option<&SharedParameters> {
        self.find(instance).map(|i| &i.parameters.shared)
    }

    /// The private parameters of the own instance.
    pub fn private_parameters(&self) -> Option<&PrivateParameters> {
        self.own().parameters.private.as_ref()
    }
}

/// A configuration that had not expired when it was asked; only
/// [`GlobalConfiguration::is_current`] makes it. Live exchange takes nothing less.
#[derive(Debug, Clone)]
pub struct Current {
    configuration: GlobalConfiguration,
    until: Option<OffsetDateTime>,
}

impl Current {
    /// When it expires; `None`: never.
    pub fn until(&self) -> Option<OffsetDateTime> {
        self.until
    }

    /// The configuration.
    pub fn configuration(&self) -> &GlobalConfiguration {
        &self.configuration
    }
}

impl Deref for Current {
    type Target = GlobalConfiguration;

    fn deref(&self) -> &GlobalConfiguration {
        &self.configuration
    }
}
