//! From a description to what is published: parameters in every version, signed
//! directories, anchors.

use globalconf::parameters::{
    ApprovedCaDescription, ApprovedTsaDescription, CaDescription, GlobalGroup, Maintenance,
    ManagementService, MemberClass, OcspDescription, SecurityServer, Source,
};
use globalconf::{
    Anchor, AnchorSource, EncodeError, FormatVersion, NewDirectory, NewPart, PrivateParameters,
    SharedParameters, directory, optional,
};
use pki::{Certificate, SignError, Signer};
use time::macros::format_description;
use time::{Duration, OffsetDateTime, UtcOffset};
use xroad_id::GlobalGroupId;

use crate::description::{Authority, OWNERS_GROUP, ValidInstance};

/// Which of the two configurations of an instance (PR-GCONF section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// For the members of the instance: all parts.
    Internal,
    /// For federated instances: shared parameters only.
    External,
}

impl Audience {
    /// Last segment of the URL: `internalconf` or `externalconf`.
    pub fn path_segment(self) -> &'static str {
        match self {
            Self::Internal => "internalconf",
            Self::External => "externalconf",
        }
    }
}

/// The keys of one of the two configurations.
#[derive(Clone, Copy)]
pub struct SigningKey<'a> {
    /// The key that signs now.
    pub signer: &'a dyn Signer,
    /// Its certificate.
    pub certificate: &'a Certificate,
    /// Certificates of keys that will sign or have signed: announced, so that a
    /// change of keys needs no new anchor (reference G7).
    pub announced: &'a [Certificate],
}

impl SigningKey<'_> {
    fn certificates(&self) -> Vec<Vec<u8>> {
        std::iter::once(self.certificate)
            .chain(self.announced)
            .map(|c| c.der().to_vec())
            .collect()
    }
}

/// The keys of both configurations.
#[derive(Clone, Copy)]
pub struct SigningKeys<'a> {
    /// Of the internal configuration.
    pub internal: SigningKey<'a>,
    /// Of the external configuration.
    pub external: SigningKey<'a>,
}

/// Why nothing could be published. The fault is ours.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The parameters could not be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The signing key did not sign.
    #[error("the configuration could not be signed: {0}")]
    Sign(#[from] SignError),
}

/// A file of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedFile {
    /// Path below the root of the server, for example
    /// `/V6/20251110170000548026000/shared-params.xml` or `/V6/internalconf`.
    pub path: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// The signed directory of one version for one audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedDirectory {
    /// Version of the format.
    pub version: FormatVersion,
    /// For whom.
    pub audience: Audience,
    /// Path and bytes.
    pub file: PublishedFile,
}

/// Everything that is published at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// When it expires.
    pub expires: OffsetDateTime,
    /// Name of the directory with the parts, a time in digits.
    pub moment: String,
    /// The parts of all versions.
    pub parts: Vec<PublishedFile>,
    /// The signed directories; to be put in place after the parts.
    pub directories: Vec<PublishedDirectory>,
}

impl ValidInstance {
    /// The shared parameters in a version: the digests of authentication
    /// certificates depend on it (reference G26).
    pub fn shared_parameters(
        &self,
        version: FormatVersion,
        keys: &SigningKeys,
    ) -> SharedParameters {
        let description = self.description();
        let authority = |authority: &Authority| CaDescription {
            certificate: authority.certificate.der().to_vec(),
            ocsp: authority
                .ocsp
                .iter()
                .map(|ocsp| OcspDescription {
                    url: ocsp.url.clone(),
                    certificate: ocsp.certificate.as_ref().map(|c| c.der().to_vec()),
                    cost: Some(
                        ocsp.cost
                            .unwrap_or(globalconf::parameters::CostType::Undefined),
                    ),
                })
                .collect(),
        };
        let hash = version.authentication_certificate_hash();
        let class_description = |code: &str| {
            description
                .member_classes
                .iter()
                .find(|class| class.code == code)
                .map(|class| class.description.clone())
                .unwrap_or_default()
        };
        SharedParameters {
            instance: description.instance.clone(),
            sources: description
                .central_addresses
                .iter()
                .map(|address| Source {
                    address: address.clone(),
                    internal_verification_certificates: keys.internal.certificates(),
                    external_verification_certificates: keys.external.certificates(),
                })
                .collect(),
            approved_cas: description
                .certification_services
                .iter()
                .map(|service| ApprovedCaDescription {
                    name: service.name.clone(),
                    authentication_only: service.authentication_only,
                    top: authority(&service.top),
                    intermediates: service.intermediates.iter().map(authority).collect(),
                    certificate_profile: service.profile.clone(),
                    default_csr_format: service.default_csr_format,
                    acme: service.acme.clone(),
                })
                .collect(),
            approved_tsas: description
                .time_stamping_services
                .iter()
                .map(|service| ApprovedTsaDescription {
                    name: service.name.clone(),
                    url: service.url.clone(),
                    certificate: service.certificate.der().to_vec(),
                    cost: Some(
                        service
                            .cost
                            .unwrap_or(globalconf::parameters::CostType::Undefined),
                    ),
                })
                .collect(),
            members: description
                .members
                .iter()
                .map(|member| globalconf::parameters::Member {
                    id: member.id.clone(),
                    class_description: class_description(&member.id.member_class),
                    name: member.name.clone(),
                    subsystems: member.subsystems.clone(),
                })
                .collect(),
            security_servers: description
                .security_servers
                .iter()
                .map(|server| SecurityServer {
                    id: server.id.clone(),
                    address: server.address.clone(),
                    authentication_certificate_hashes: server
                        .authentication_certificates
                        .iter()
                        .map(|certificate| hash.digest(certificate.der()).as_ref().to_vec())
                        .collect(),
                    clients: server.clients.clone(),
                    maintenance: server.maintenance.as_ref().map(|text| Maintenance {
                        message: (!text.is_empty()).then(|| text.clone()),
                    }),
                })
                .collect(),
            global_groups: self.groups(),
            member_classes: description
                .member_classes
                .iter()
                .map(|class| MemberClass {
                    code: class.code.clone(),
                    description: class.description.clone(),
                })
                .collect(),
            ocsp_freshness_seconds: Some(description.ocsp_freshness_seconds),
        }
    }

    fn groups(&self) -> Vec<GlobalGroup> {
        let description = self.description();
        let id = |code: &str| GlobalGroupId {
            instance: description.instance.clone(),
            group_code: code.to_owned(),
        };
        let mut owners: Vec<_> = description
            .security_servers
            .iter()
            .map(|server| server.id.owner())
            .collect();
        owners.sort();
        owners.dedup();
        let mut groups: Vec<GlobalGroup> = description
            .global_groups
            .iter()
            .filter(|group| group.code != OWNERS_GROUP)
            .map(|group| GlobalGroup {
                id: id(&group.code),
                description: group.description.clone(),
                members: group.members.clone(),
            })
            .collect();
        groups.insert(
            0,
            GlobalGroup {
                id: id(OWNERS_GROUP),
                description: "Security server owners".to_owned(),
                members: owners,
            },
        );
        groups
    }

    /// The private parameters.
    pub fn private_parameters(&self) -> PrivateParameters {
        let description = self.description();
        let management = &description.management;
        PrivateParameters {
            instance: description.instance.clone(),
            federation: description.federation.clone(),
            management_service: ManagementService {
                registration_address: management.registration_address.clone(),
                registration_certificate: management
                    .registration_certificate
                    .as_ref()
                    .map(|c| c.der().to_vec()),
                provider: management.provider.clone(),
            },
            timestamping_interval_seconds: description.timestamping_interval_seconds,
        }
    }

    /// The anchor of one of the two configurations: one source for each address of
    /// the Central Server, over HTTP, and over HTTPS too if `https`.
    pub fn anchor(
        &self,
        audience: Audience,
        keys: &SigningKeys,
        https: bool,
        now: OffsetDateTime,
    ) -> Anchor {
        let key = match audience {
            Audience::Internal => &keys.internal,
            Audience::External => &keys.external,
        };
        let schemes: &[&str] = if https { &["http", "https"] } else { &["http"] };
        Anchor {
            generated_at: now.replace_nanosecond(0).ok(),
            instance: self.description().instance.clone(),
            sources: self
                .description()
                .central_addresses
                .iter()
                .flat_map(|address| {
                    schemes.iter().map(move |scheme| AnchorSource {
                        download_url: format!("{scheme}://{address}/{}", audience.path_segment()),
                        verification_certificates: key.certificates(),
                    })
                })
                .collect(),
        }
    }

    /// Writes and signs everything in versions 2 to 6, valid from `now` for
    /// `validity`. Where no part differs from the `previous` publication its
    /// directory of parts stays, and only the signed directories are new. `random`
    /// gives random bytes for the boundaries, which need only be unlike each other
    /// and anything in the text.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn publish(
        &self,
        keys: &SigningKeys,
        now: OffsetDateTime,
        validity: Duration,
        previous: Option<&Publication>,
        mut random: impl FnMut() -> [u8; 20],
    ) -> Result<Publication, PublishError> {
        let now = now.to_offset(UtcOffset::UTC);
        let expires = now + validity;
        let mut versions = Vec::new();
        for version in FormatVersion::all() {
            versions.push((version, self.contents(version, keys)?));
        }
        let unchanged = previous.filter(|previous| {
            versions
                .iter()
                .flat_map(|(_, contents)| contents.iter().map(|(_, _, content)| content))
                .eq(previous.parts.iter().map(|part| &part.content))
        });
        let moment = unchanged.map_or_else(|| moment_directory(now), |p| p.moment.clone());
        let mut parts = Vec::new();
        let mut directories = Vec::new();
        for (version, contents) in versions {
            let files: Vec<(&str, PublishedFile)> = contents
                .into_iter()
                .map(|(identifier, name, content)| {
                    (
                        identifier,
                        PublishedFile {
                            path: format!("/V{version}/{moment}/{name}"),
                            content,
                        },
                    )
                })
                .collect();
            for audience in [Audience::Internal, Audience::External] {
                let (key, listed) = match audience {
                    Audience::Internal => (&keys.internal, files.len()),
                    Audience::External => (&keys.external, 1),
                };
                let listed: Vec<NewPart> = files
                    .iter()
                    .take(listed)
                    .map(|(identifier, file)| NewPart {
                        content_identifier: identifier,
                        location: &file.path,
                        content: &file.content,
                    })
                    .collect();
                let outer = boundary(random());
                let inner = boundary(random());
                let content = NewDirectory {
                    instance: &self.description().instance,
                    expires,
                    version,
                    parts: &listed,
                }
                .sign([&outer, &inner], key.signer, key.certificate)?;
                directories.push(PublishedDirectory {
                    version,
                    audience,
                    file: PublishedFile {
                        path: format!("/V{version}/{}", audience.path_segment()),
                        content,
                    },
                });
            }
            parts.extend(files.into_iter().map(|(_, file)| file));
        }
        Ok(Publication {
            expires,
            moment,
            parts,
            directories,
        })
    }

    /// The parts of a version: identifier, file name, bytes; shared parameters first.
    fn contents(
        &self,
        version: FormatVersion,
        keys: &SigningKeys,
    ) -> Result<Vec<NewContent>, EncodeError> {
        let description = self.description();
        let mut contents = vec![
            (
                directory::SHARED_PARAMETERS,
                "shared-params.xml",
                self.shared_parameters(version, keys).encode(version)?,
            ),
            (
                directory::PRIVATE_PARAMETERS,
                "private-params.xml",
                self.private_parameters().encode(),
            ),
        ];
        if let Some(check) = description.next_update_check {
            contents.push((
                directory::NEXT_UPDATE,
                "ocsp-nextupdate-params.xml",
                optional::encode_next_update(check),
            ));
        }
        if let Some(seconds) = description.ocsp_fetch_interval_seconds {
            contents.push((
                directory::FETCH_INTERVAL,
                "ocsp-fetchinterval-params.xml",
                optional::encode_fetch_interval(seconds),
            ));
        }
        if let Some(client) = &description.monitoring_client {
            contents.push((
                directory::MONITORING,
                "monitoring-params.xml",
                optional::encode_monitoring(Some(client)),
            ));
        }
        Ok(contents)
    }
}

/// Identifier, file name and bytes of a part.
type NewContent = (&'static str, &'static str, Vec<u8>);

/// Name of the directory of parts made at a time: digits down to the nanosecond
/// (reference G15).
fn moment_directory(time: OffsetDateTime) -> String {
    time.format(format_description!(
        "[year][month][day][hour][minute][second][subsecond digits:9]"
    ))
    .unwrap_or_default()
}

/// 20 letters and digits (reference G8).
fn boundary(random: [u8; 20]) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect()
}
