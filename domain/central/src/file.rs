//! The written form of an instance description, see [`InstanceDescription::decode`]. It is TOML:
//!
//! ```toml
//! instance = "KG"
//! central_addresses = ["127.0.0.10:8888"]   # host, with a port unless 80 and 443
//! timestamping_interval_seconds = 60        # default 60
//! ocsp_freshness_seconds = 3600             # default 3600
//! # next_update_check = true                # optional parts, left out by default
//! # ocsp_fetch_interval_seconds = 1200
//! # monitoring_client = "KG/GOV/70000001/monitoring"
//! # federation = ["other-anchor.xml"]       # anchors of federated instances
//!
//! [management]
//! provider = "KG/GOV/70000001/management"
//! registration_address = "https://127.0.0.10:4001/managementservice/"
//! # registration_certificate = "management.pem"
//!
//! [[member_class]]
//! code = "GOV"
//! description = "State bodies"
//!
//! [[ca]]
//! name = "Test CA"
//! profile = "Ejbca"              # or the full name of the Java class
//! certificate = "ca.pem"         # a file beside this one, or the PEM text itself
//! ocsp = [{ url = "http://127.0.0.10:8889/ocsp", certificate = "ocsp.pem" }]
//! # authentication_only = true
//! # intermediates = [{ certificate = "sub.pem", ocsp = [] }]
//! # acme = { directory_url = "https://..." }
//!
//! [[tsa]]
//! name = "Test TSA"
//! url = "http://127.0.0.10:8889/tsa"
//! certificate = "tsa.pem"
//!
//! [[member]]
//! id = "KG/GOV/70000001"         # parts percent-encoded
//! name = "State Registration Service"
//! subsystems = [{ code = "population", name = "Population register" }]
//!
//! [[security_server]]
//! id = "KG/GOV/70000001/ss1"
//! address = "127.0.0.11"         # never a port
//! authentication_certificates = ["ss1-auth.pem"]
//! clients = ["KG/GOV/70000001/population"]
//! # maintenance = "back at 10:00"
//!
//! [[global_group]]
//! code = "banks"
//! description = "Commercial banks"
//! members = ["KG/COM/80000001/bank"]
//! ```

use globalconf::parameters::{AcmeServer, CostType, CsrFormat, MemberClass, Subsystem};
use globalconf::{Anchor, CertificateProfile};
use pki::Certificate;
use serde::{Deserialize, Serialize};
use xroad_id::{ClientId, IdError, SecurityServerId};

use crate::description::{
    Authority, CertificationService, Group, InstanceDescription, Management, Member, OcspService,
    RegisteredServer, TimeStampingService,
};

/// Why a description cannot be read. The fault is that of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Not TOML, or not of the documented form.
    #[error("the instance description is not as documented: {0}")]
    Toml(String),
    /// An identifier cannot be read.
    #[error("the instance description has the unusable identifier {id:?}: {error}")]
    Identifier {
        /// The text.
        id: String,
        /// What is wrong.
        error: IdError,
    },
    /// A certificate cannot be read.
    #[error("the certificate {what:?} of the instance description cannot be read: {reason}")]
    Certificate {
        /// Name of the file, or the beginning of the text.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// An anchor of a federated instance cannot be read.
    #[error("the anchor {file:?} cannot be read: {reason}")]
    Anchor {
        /// Name of the file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A word is none of those allowed.
    #[error("{value:?} is not one of {allowed}")]
    Word {
        /// What is written.
        value: String,
        /// What may be written.
        allowed: &'static str,
    },
}

const fn default_timestamping_interval() -> u64 {
    60
}
const fn default_freshness() -> u64 {
    globalconf::DEFAULT_OCSP_FRESHNESS_SECONDS
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DescriptionFile {
    instance: String,
    central_addresses: Vec<String>,
    #[serde(default = "default_timestamping_interval")]
    timestamping_interval_seconds: u64,
    #[serde(default = "default_freshness")]
    ocsp_freshness_seconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_update_check: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ocsp_fetch_interval_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    monitoring_client: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    federation: Vec<String>,
    management: ManagementEntry,
    #[serde(default, rename = "member_class")]
    member_classes: Vec<MemberClassEntry>,
    #[serde(default, rename = "ca")]
    cas: Vec<CaEntry>,
    #[serde(default, rename = "tsa")]
    tsas: Vec<TsaEntry>,
    #[serde(default, rename = "member")]
    members: Vec<MemberEntry>,
    #[serde(default, rename = "security_server")]
    security_servers: Vec<ServerEntry>,
    #[serde(default, rename = "global_group")]
    global_groups: Vec<GroupEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManagementEntry {
    provider: String,
    registration_address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registration_certificate: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberClassEntry {
    code: String,
    #[serde(default)]
    description: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OcspEntry {
    url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorityEntry {
    certificate: String,
    #[serde(default)]
    ocsp: Vec<OcspEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AcmeEntry {
    directory_url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authentication_certificate_profile: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signing_certificate_profile: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaEntry {
    name: String,
    profile: String,
    #[serde(default)]
    authentication_only: bool,
    certificate: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_csr_format: Option<String>,
    #[serde(default)]
    ocsp: Vec<OcspEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    intermediates: Vec<AuthorityEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acme: Option<AcmeEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TsaEntry {
    name: String,
    url: String,
    certificate: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubsystemEntry {
    code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberEntry {
    id: String,
    name: String,
    #[serde(default)]
    subsystems: Vec<SubsystemEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerEntry {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maintenance: Option<String>,
    #[serde(default)]
    clients: Vec<String>,
    #[serde(default)]
    authentication_certificates: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupEntry {
    code: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    members: Vec<String>,
}

/// Reads files that a description names.
type Files<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, String>;

fn client(text: &str) -> Result<ClientId, FileError> {
    ClientId::from_path(text).map_err(|error| FileError::Identifier {
        id: text.to_owned(),
        error,
    })
}

fn clients(texts: &[String]) -> Result<Vec<ClientId>, FileError> {
    texts.iter().map(|text| client(text)).collect()
}

fn certificate(text: &str, files: Files) -> Result<Certificate, FileError> {
    let error = |reason: String| FileError::Certificate {
        what: text.chars().take(80).collect(),
        reason,
    };
    let pem = if text.trim_start().starts_with("-----BEGIN") {
        text.as_bytes().to_vec()
    } else {
        files(text).map_err(error)?
    };
    Certificate::from_pem(&pem).map_err(|e| error(e.to_string()))
}

fn optional_certificate(
    text: Option<&str>,
    files: Files,
) -> Result<Option<Certificate>, FileError> {
    text.map(|text| certificate(text, files)).transpose()
}

fn cost(text: Option<&str>) -> Result<Option<CostType>, FileError> {
    match text {
        None => Ok(None),
        Some("FREE") => Ok(Some(CostType::Free)),
        Some("PAID") => Ok(Some(CostType::Paid)),
        Some("UNDEFINED") => Ok(Some(CostType::Undefined)),
        Some(other) => Err(FileError::Word {
            value: other.to_owned(),
            allowed: "FREE, PAID, UNDEFINED",
        }),
    }
}

fn cost_text(cost: Option<CostType>) -> Option<String> {
    cost.map(|cost| {
        match cost {
            CostType::Free => "FREE",
            CostType::Paid => "PAID",
            CostType::Undefined => "UNDEFINED",
        }
        .to_owned()
    })
}

fn authority(pem: &str, ocsp: &[OcspEntry], files: Files) -> Result<Authority, FileError> {
    Ok(Authority {
        certificate: certificate(pem, files)?,
        ocsp: ocsp
            .iter()
            .map(|entry| {
                Ok(OcspService {
                    url: entry.url.clone(),
                    certificate: optional_certificate(entry.certificate.as_deref(), files)?,
                    cost: cost(entry.cost.as_deref())?,
                })
            })
            .collect::<Result<_, FileError>>()?,
    })
}

fn certification_service(entry: &CaEntry, files: Files) -> Result<CertificationService, FileError> {
    let profile = if entry.profile.contains('.') {
        entry.profile.clone()
    } else {
        CertificateProfile::class_name(&entry.profile)
    };
    Ok(CertificationService {
        name: entry.name.clone(),
        authentication_only: entry.authentication_only,
        profile,
        top: authority(&entry.certificate, &entry.ocsp, files)?,
        intermediates: entry
            .intermediates
            .iter()
            .map(|i| authority(&i.certificate, &i.ocsp, files))
            .collect::<Result<_, _>>()?,
        default_csr_format: match entry.default_csr_format.as_deref() {
            None => None,
            Some("PEM") => Some(CsrFormat::Pem),
            Some("DER") => Some(CsrFormat::Der),
            Some(other) => {
                return Err(FileError::Word {
                    value: other.to_owned(),
                    allowed: "PEM, DER",
                });
            }
        },
        acme: entry.acme.as_ref().map(|acme| AcmeServer {
            directory_url: acme.directory_url.clone(),
            ip_address: acme.ip_address.clone(),
            authentication_certificate_profile: acme.authentication_certificate_profile.clone(),
            signing_certificate_profile: acme.signing_certificate_profile.clone(),
        }),
    })
}

impl InstanceDescription {
    /// Reads the written form. `files` gives the content of a file named in it.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn decode(
        text: &str,
        files: &dyn Fn(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Self, FileError> {
        let file: DescriptionFile =
            toml::from_str(text).map_err(|error| FileError::Toml(error.to_string()))?;
        Ok(Self {
            instance: file.instance,
            central_addresses: file.central_addresses,
            member_classes: file
                .member_classes
                .into_iter()
                .map(|class| MemberClass {
                    code: class.code,
                    description: class.description,
                })
                .collect(),
            certification_services: file
                .cas
                .iter()
                .map(|entry| certification_service(entry, files))
                .collect::<Result<_, _>>()?,
            time_stamping_services: file
                .tsas
                .iter()
                .map(|entry| {
                    Ok(TimeStampingService {
                        name: entry.name.clone(),
                        url: entry.url.clone(),
                        certificate: certificate(&entry.certificate, files)?,
                        cost: cost(entry.cost.as_deref())?,
                    })
                })
                .collect::<Result<_, FileError>>()?,
            members: file
                .members
                .into_iter()
                .map(|entry| {
                    Ok(Member {
                        id: client(&entry.id)?,
                        name: entry.name,
                        subsystems: entry
                            .subsystems
                            .into_iter()
                            .map(|s| Subsystem {
                                code: s.code,
                                name: s.name,
                            })
                            .collect(),
                    })
                })
                .collect::<Result<_, FileError>>()?,
            security_servers: file
                .security_servers
                .into_iter()
                .map(|entry| server(entry, files))
                .collect::<Result<_, _>>()?,
            global_groups: file
                .global_groups
                .into_iter()
                .map(|entry| {
                    Ok(Group {
                        code: entry.code,
                        description: entry.description,
                        members: clients(&entry.members)?,
                    })
                })
                .collect::<Result<_, FileError>>()?,
            management: Management {
                provider: client(&file.management.provider)?,
                registration_address: file.management.registration_address,
                registration_certificate: optional_certificate(
                    file.management.registration_certificate.as_deref(),
                    files,
                )?,
            },
            timestamping_interval_seconds: file.timestamping_interval_seconds,
            ocsp_freshness_seconds: file.ocsp_freshness_seconds,
            federation: file
                .federation
                .iter()
                .map(|name| anchor(name, files))
                .collect::<Result<_, _>>()?,
            next_update_check: file.next_update_check,
            ocsp_fetch_interval_seconds: file.ocsp_fetch_interval_seconds,
            monitoring_client: file.monitoring_client.as_deref().map(client).transpose()?,
        })
    }

    /// Writes the description, certificates inline. Anchors of federated instances
    /// are written inline as well.
    pub fn encode(&self) -> String {
        let ocsp = |services: &[OcspService]| -> Vec<OcspEntry> {
            services
                .iter()
                .map(|service| OcspEntry {
                    url: service.url.clone(),
                    certificate: service.certificate.as_ref().map(Certificate::to_pem),
                    cost: cost_text(service.cost),
                })
                .collect()
        };
        let file = DescriptionFile {
            instance: self.instance.clone(),
            central_addresses: self.central_addresses.clone(),
            timestamping_interval_seconds: self.timestamping_interval_seconds,
            ocsp_freshness_seconds: self.ocsp_freshness_seconds,
            next_update_check: self.next_update_check,
            ocsp_fetch_interval_seconds: self.ocsp_fetch_interval_seconds,
            monitoring_client: self.monitoring_client.as_ref().map(ClientId::path),
            federation: self
                .federation
                .iter()
                .map(|anchor| String::from_utf8_lossy(&anchor.encode()).into_owned())
                .collect(),
            management: ManagementEntry {
                provider: self.management.provider.path(),
                registration_address: self.management.registration_address.clone(),
                registration_certificate: self
                    .management
                    .registration_certificate
                    .as_ref()
                    .map(Certificate::to_pem),
            },
            member_classes: self
                .member_classes
                .iter()
                .map(|class| MemberClassEntry {
                    code: class.code.clone(),
                    description: class.description.clone(),
                })
                .collect(),
            cas: self
                .certification_services
                .iter()
                .map(|service| CaEntry {
                    name: service.name.clone(),
                    profile: service.profile.clone(),
                    authentication_only: service.authentication_only,
                    certificate: service.top.certificate.to_pem(),
                    default_csr_format: service.default_csr_format.map(|format| {
                        match format {
                            CsrFormat::Pem => "PEM",
                            CsrFormat::Der => "DER",
                        }
                        .to_owned()
                    }),
                    ocsp: ocsp(&service.top.ocsp),
                    intermediates: service
                        .intermediates
                        .iter()
                        .map(|authority| AuthorityEntry {
                            certificate: authority.certificate.to_pem(),
                            ocsp: ocsp(&authority.ocsp),
                        })
                        .collect(),
                    acme: service.acme.as_ref().map(|acme| AcmeEntry {
                        directory_url: acme.directory_url.clone(),
                        ip_address: acme.ip_address.clone(),
                        authentication_certificate_profile: acme
                            .authentication_certificate_profile
                            .clone(),
                        signing_certificate_profile: acme.signing_certificate_profile.clone(),
                    }),
                })
                .collect(),
            tsas: self
                .time_stamping_services
                .iter()
                .map(|service| TsaEntry {
                    name: service.name.clone(),
                    url: service.url.clone(),
                    certificate: service.certificate.to_pem(),
                    cost: cost_text(service.cost),
                })
                .collect(),
            members: self
                .members
                .iter()
                .map(|member| MemberEntry {
                    id: member.id.path(),
                    name: member.name.clone(),
                    subsystems: member
                        .subsystems
                        .iter()
                        .map(|s| SubsystemEntry {
                            code: s.code.clone(),
                            name: s.name.clone(),
                        })
                        .collect(),
                })
                .collect(),
            security_servers: self
                .security_servers
                .iter()
                .map(|server| ServerEntry {
                    id: server.id.path(),
                    address: server.address.clone(),
                    maintenance: server.maintenance.clone(),
                    clients: server.clients.iter().map(ClientId::path).collect(),
                    authentication_certificates: server
                        .authentication_certificates
                        .iter()
                        .map(Certificate::to_pem)
                        .collect(),
                })
                .collect(),
            global_groups: self
                .global_groups
                .iter()
                .map(|group| GroupEntry {
                    code: group.code.clone(),
                    description: group.description.clone(),
                    members: group.members.iter().map(ClientId::path).collect(),
                })
                .collect(),
        };
        // Cannot fail: every value is a string, number, boolean, list or table.
        toml::to_string_pretty(&file).unwrap_or_default()
    }
}

fn server(entry: ServerEntry, files: Files) -> Result<RegisteredServer, FileError> {
    Ok(RegisteredServer {
        id: SecurityServerId::from_path(&entry.id).map_err(|error| FileError::Identifier {
            id: entry.id.clone(),
            error,
        })?,
        address: entry.address,
        authentication_certificates: entry
            .authentication_certificates
            .iter()
            .map(|text| certificate(text, files))
            .collect::<Result<_, _>>()?,
        clients: clients(&entry.clients)?,
        maintenance: entry.maintenance,
    })
}

fn anchor(name: &str, files: Files) -> Result<Anchor, FileError> {
    let inline = name.trim_start().starts_with('<');
    let error = |reason: String| FileError::Anchor {
        file: name.chars().take(80).collect(),
        reason,
    };
    let bytes = if inline {
        name.as_bytes().to_vec()
    } else {
        files(name).map_err(error)?
    };
    Anchor::decode(&bytes).map_err(|e| error(e.to_string()))
}
