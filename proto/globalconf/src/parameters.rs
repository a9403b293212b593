//! The contents of `shared-params.xml` and `private-params.xml` (PR-GCONF sections
//! 3 and 4, schema versions 2 to 6): plain data, as written by a Central Server.
//!
//! One set of types holds every version. What a version does not know is absent
//! after reading and left out when writing, see [`FormatVersion`].

use xroad_id::{ClientId, GlobalGroupId, SecurityServerId};

use crate::anchor::Anchor;

/// Version of the format of a configuration (reference 1.0): 2 (X-Road up to 7.3),
/// 3 (7.4), 4 (7.5, 7.6), 5 (7.7) or 6 (7.8, 8.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FormatVersion(u8);

impl FormatVersion {
    /// The oldest version that is read and written.
    pub const OLDEST: Self = Self(2);
    /// The newest version that is read and written.
    pub const NEWEST: Self = Self(6);

    /// The version with this number, `None` unless 2 to 6.
    pub fn new(number: u8) -> Option<Self> {
        (2..=6).contains(&number).then_some(Self(number))
    }

    /// All versions, oldest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (2..=6).map(Self)
    }

    /// The number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Algorithm of `authCertHash` where the main instance has this version
    /// (reference G26): SHA-1 in version 2, SHA-256 from 3.
    pub fn authentication_certificate_hash(self) -> pki::DigestAlgorithm {
        if self.0 == 2 {
            pki::DigestAlgorithm::Sha1
        } else {
            pki::DigestAlgorithm::Sha256
        }
    }
}

impl std::fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Where the configuration can be fetched from (`source`, from version 3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// Host of the Central Server, without scheme or path.
    pub address: String,
    /// Certificates that verify the internal configuration, DER.
    pub internal_verification_certificates: Vec<Vec<u8>>,
    /// Certificates that verify the external configuration, DER.
    pub external_verification_certificates: Vec<Vec<u8>>,
}

/// Whether a trust service costs money (`CostType`, from version 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CostType {
    /// `FREE`
    Free,
    /// `PAID`
    Paid,
    /// `UNDEFINED`
    Undefined,
}

impl CostType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Free => "FREE",
            Self::Paid => "PAID",
            Self::Undefined => "UNDEFINED",
        }
    }
}

/// Form in which a CA wants certificate requests (`CsrFormat`, from version 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CsrFormat {
    /// Base64 with header lines.
    Pem,
    /// Binary.
    Der,
}

/// An OCSP responder (`ocsp`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspDescription {
    /// URL that takes POST of `application/ocsp-request`.
    pub url: String,
    /// The responder's certificate, DER.
    pub certificate: Option<Vec<u8>>,
    /// What it costs; written from version 6.
    pub cost: Option<CostType>,
}

/// A CA certificate and its OCSP responders (`topCA`, `intermediateCA`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaDescription {
    /// The CA's certificate, DER.
    pub certificate: Vec<u8>,
    /// Responders that know the certificates it issued.
    pub ocsp: Vec<OcspDescription>,
}

/// Where certificates are ordered automatically (`acmeServer`, from version 3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcmeServer {
    /// URL of the ACME directory.
    pub directory_url: String,
    /// Addresses that the server calls from, separated by commas.
    pub ip_address: Option<String>,
    /// Profile of authentication certificates; written from version 4.
    pub authentication_certificate_profile: Option<String>,
    /// Profile of signing certificates; written from version 4.
    pub signing_certificate_profile: Option<String>,
}

/// A certification service approved in the instance (`approvedCA`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedCaDescription {
    /// Name for people.
    pub name: String,
    /// Its certificates may not be used for signatures (reference C2).
    pub authentication_only: bool,
    /// The trust anchor.
    pub top: CaDescription,
    /// Authorities below the anchor.
    pub intermediates: Vec<CaDescription>,
    /// Java class that names the certificate profile, see [`crate::certificate_profile`].
    pub certificate_profile: String,
    /// Preferred form of requests; written from version 6.
    pub default_csr_format: Option<CsrFormat>,
    /// Automatic ordering; written from version 3.
    pub acme: Option<AcmeServer>,
}

/// A time-stamping authority approved in the instance (`approvedTSA`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedTsaDescription {
    /// Name for people.
    pub name: String,
    /// URL that takes POST of `application/timestamp-query`.
    pub url: String,
    /// Certificate of its signing key, DER.
    pub certificate: Vec<u8>,
    /// What it costs; written from version 6.
    pub cost: Option<CostType>,
}

/// A class of members (`memberClass`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberClass {
    /// Code, as in identifiers.
    pub code: String,
    /// Text for people.
    pub description: String,
}

/// A subsystem of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subsystem {
    /// Code, unique for the member.
    pub code: String,
    /// Name for people; written from version 5.
    pub name: Option<String>,
}

/// A member of the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its identifier, without subsystem.
    pub id: ClientId,
    /// Description of its class.
    pub class_description: String,
    /// Full name for people.
    pub name: String,
    /// Its subsystems.
    pub subsystems: Vec<Subsystem>,
}

/// A Security Server that is being maintained (`inMaintenanceMode`, from version 5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Maintenance {
    /// Notice for those who want to call it.
    pub message: Option<String>,
}

/// A registered Security Server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityServer {
    /// Its identifier; the owner is [`SecurityServerId::owner`].
    pub id: SecurityServerId,
    /// Host name or IP address, without a port.
    pub address: Option<String>,
    /// Digests of its authentication certificates; the algorithm follows the
    /// version of the main instance, see [`FormatVersion::authentication_certificate_hash`].
    pub authentication_certificate_hashes: Vec<Vec<u8>>,
    /// Members and subsystems registered as its clients, the owner not among them
    /// unless registered so.
    pub clients: Vec<ClientId>,
    /// Set while it is maintained.
    pub maintenance: Option<Maintenance>,
}

/// A group of members and subsystems kept by the instance (`globalGroup`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalGroup {
    /// Its identifier.
    pub id: GlobalGroupId,
    /// Text for people.
    pub description: String,
    /// Who belongs to it.
    pub members: Vec<ClientId>,
}

/// `shared-params.xml`: what an instance tells its members and those of federated
/// instances.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SharedParameters {
    /// Code of the instance.
    pub instance: String,
    /// Where it is published; written from version 3.
    pub sources: Vec<Source>,
    /// Approved certification services.
    pub approved_cas: Vec<ApprovedCaDescription>,
    /// Approved time-stamping authorities.
    pub approved_tsas: Vec<ApprovedTsaDescription>,
    /// Members.
    pub members: Vec<Member>,
    /// Security Servers.
    pub security_servers: Vec<SecurityServer>,
    /// Global groups.
    pub global_groups: Vec<GlobalGroup>,
    /// Classes of members in use.
    pub member_classes: Vec<MemberClass>,
    /// Oldest acceptable `thisUpdate` of an OCSP answer, seconds before now;
    /// see [`crate::DEFAULT_OCSP_FRESHNESS_SECONDS`] for what absence means.
    pub ocsp_freshness_seconds: Option<u64>,
}

/// Where Security Servers send management requests (`managementService`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagementService {
    /// HTTPS URL for the registration of authentication certificates.
    pub registration_address: String,
    /// TLS certificate of that URL, DER.
    pub registration_certificate: Option<Vec<u8>>,
    /// Provider of the other management services.
    pub provider: ClientId,
}

/// `private-params.xml`: what an instance tells its own members only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateParameters {
    /// Code of the instance.
    pub instance: String,
    /// Anchors of federated instances (reference G21).
    pub federation: Vec<Anchor>,
    /// Where management requests go.
    pub management_service: ManagementService,
    /// Longest time from logging a signature to its time stamp, in seconds.
    pub timestamping_interval_seconds: u64,
}
