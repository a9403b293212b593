//! Reading of shared and private parameters. Elements that are not known, and
//! elements in foreign namespaces, are extensions and skipped.

use std::collections::HashMap;

use xroad_id::{ClientId, GlobalGroupId, SecurityServerId};

use crate::anchor::{self, Anchor};
use crate::parameters::{
    AcmeServer, ApprovedCaDescription, ApprovedTsaDescription, CaDescription, CostType, CsrFormat,
    GlobalGroup, Maintenance, ManagementService, Member, MemberClass, OcspDescription,
    PrivateParameters, SecurityServer, SharedParameters, Source, Subsystem,
};
use crate::xml::{Document, ParametersError};

fn required<T>(value: Option<T>, element: &'static str) -> Result<T, ParametersError> {
    value.ok_or(ParametersError::Missing(element))
}

fn identifier_error(element: &str, error: &xroad_id::IdError) -> ParametersError {
    ParametersError::Value {
        element: element.to_owned(),
        reason: error.to_string(),
    }
}

/// A server as written, its references not resolved yet.
struct ServerReferences {
    owner: String,
    code: String,
    clients: Vec<String>,
    address: Option<String>,
    hashes: Vec<Vec<u8>>,
    maintenance: Option<Maintenance>,
}

impl SharedParameters {
    /// Reads `shared-params.xml` of any version from 2 to 6.
    ///
    /// # Errors
    /// See [`ParametersError`]; the fault is the configuration server's.
    pub fn decode(bytes: &[u8]) -> Result<Self, ParametersError> {
        let mut document = Document::open(bytes, "conf")?;
        let mut instance = None;
        let mut shared = Self::default();
        let mut servers = Vec::new();
        let mut groups = Vec::new();
        let mut ids: HashMap<String, ClientId> = HashMap::new();
        // Identifiers need the instance, which the schema puts first.
        while let Some(element) = document.child()? {
            match element.unqualified() {
                "instanceIdentifier" => instance = Some(document.text()?),
                "source" => shared.sources.push(source(&mut document)?),
                "approvedCA" => shared.approved_cas.push(approved_ca(&mut document)?),
                "approvedTSA" => shared.approved_tsas.push(approved_tsa(&mut document)?),
                "member" => {
                    let instance = required(instance.as_deref(), "instanceIdentifier")?;
                    let id = element.attribute("id");
                    shared
                        .members
                        .push(member(&mut document, instance, id, &mut ids)?);
                }
                "securityServer" => servers.push(server(&mut document)?),
                "globalGroup" => groups.push(group(&mut document)?),
                "globalSettings" => {
                    while let Some(setting) = document.child()? {
                        match setting.unqualified() {
                            "memberClass" => {
                                shared.member_classes.push(member_class(&mut document)?);
                            }
                            "ocspFreshnessSeconds" => {
                                shared.ocsp_freshness_seconds =
                                    Some(document.value("ocspFreshnessSeconds", "seconds")?);
                            }
                            _ => document.skip()?,
                        }
                    }
                }
                _ => document.skip()?,
            }
        }
        document.finish()?;
        shared.instance = required(instance, "instanceIdentifier")?;
        shared.security_servers = servers
            .into_iter()
            .map(|server| resolve(server, &ids))
            .collect::<Result<_, _>>()?;
        shared.global_groups = groups
            .into_iter()
            .map(|(group_code, description, members)| GlobalGroup {
                id: GlobalGroupId {
                    instance: shared.instance.clone(),
                    group_code,
                },
                description,
                members,
            })
            .collect();
        Ok(shared)
    }
}

fn resolve(
    server: ServerReferences,
    ids: &HashMap<String, ClientId>,
) -> Result<SecurityServer, ParametersError> {
    let find = |reference: &String| {
        ids.get(reference.as_str())
            .cloned()
            .ok_or_else(|| ParametersError::DanglingReference(reference.clone()))
    };
    let owner = find(&server.owner)?;
    Ok(SecurityServer {
        id: SecurityServerId {
            instance: owner.instance,
            member_class: owner.member_class,
            member_code: owner.member_code,
            server_code: server.code,
        },
        address: server.address,
        authentication_certificate_hashes: server.hashes,
        clients: server.clients.iter().map(find).collect::<Result<_, _>>()?,
        maintenance: server.maintenance,
    })
}

fn source(document: &mut Document) -> Result<Source, ParametersError> {
    let mut address = None;
    let mut source = Source::default();
    while let Some(element) = document.child()? {
        match element.unqualified() {
            "address" => address = Some(document.text()?.trim().to_owned()),
            name @ "internalVerificationCert" => {
                let certificate = document.certificate(name)?;
                source.internal_verification_certificates.push(certificate);
            }
            name @ "externalVerificationCert" => {
                let certificate = document.certificate(name)?;
                source.external_verification_certificates.push(certificate);
            }
            _ => document.skip()?,
        }
    }
    source.address = required(address, "source/address")?;
    Ok(source)
}

fn cost(document: &mut Document) -> Result<CostType, ParametersError> {
    Ok(match document.text()?.trim() {
        "FREE" => CostType::Free,
        "PAID" => CostType::Paid,
        "UNDEFINED" => CostType::Undefined,
        other => {
            return Err(ParametersError::Value {
                element: "costType".to_owned(),
                reason: format!("{other:?} is none of FREE, PAID, UNDEFINED"),
            });
        }
    })
}

fn ca(document: &mut Document) -> Result<CaDescription, ParametersError> {
    let mut certificate = None;
    let mut ocsp = Vec::new();
    while let Some(element) = document.child()? {
        match element.unqualified() {
            "cert" => certificate = Some(document.certificate("cert")?),
            "ocsp" => {
                let mut url = None;
                let mut responder = None;
                let mut price = None;
                while let Some(element) = document.child()? {
                    match element.unqualified() {
                        "url" => url = Some(document.text()?.trim().to_owned()),
                        "cert" => responder = Some(document.certificate("cert")?),
                        "costType" => price = Some(cost(document)?),
                        _ => document.skip()?,
                    }
                }
                ocsp.push(OcspDescription {
                    url: required(url, "ocsp/url")?,
                    certificate: responder,
                    cost: price,
                });
            }
            _ => document.skip()?,
        }
    }
    Ok(CaDescription {
        certificate: required(certificate, "cert")?,
        ocsp,
    })
}

fn approved_ca(document: &mut Document) -> Result<ApprovedCaDescription, ParametersError> {
    let mut name = None;
    let mut authentication_only = false;
    let mut top = None;
    let mut intermediates = Vec::new();
    let mut profile = None;
    let mut default_csr_format = None;
    let mut acme = None;
    while let Some(element) = document.child()? {
        match element.unqualified() {
            "name" => name = Some(document.text()?),
            "authenticationOnly" => {
                authentication_only = document.boolean("authenticationOnly")?;
            }
            "topCA" => top = Some(ca(document)?),
            "intermediateCA" => intermediates.push(ca(document)?),
            "certificateProfileInfo" => profile = Some(document.text()?.trim().to_owned()),
            "defaultCsrFormat" => {
                default_csr_format = match document.text()?.trim() {
                    "PEM" => Some(CsrFormat::Pem),
                    "DER" => Some(CsrFormat::Der),
                    other => {
                        return Err(ParametersError::Value {
                            element: "defaultCsrFormat".to_owned(),
                            reason: format!("{other:?} is neither PEM nor DER"),
                        });
                    }
                };
            }
            "acmeServer" => acme = Some(acme_server(document)?),
            _ => document.skip()?,
        }
    }
    Ok(ApprovedCaDescription {
        name: required(name, "approvedCA/name")?,
        authentication_only,
        top: required(top, "approvedCA/topCA")?,
        intermediates,
        certificate_profile: required(profile, "approvedCA/certificateProfileInfo")?,
        default_csr_format,
        acme,
    })
}

fn acme_server(document: &mut Document) -> Result<AcmeServer, ParametersError> {
    let mut directory_url = None;
    let mut acme = AcmeServer::default();
    while let Some(element) = document.child()? {
        match element.unqualified() {
            "directoryURL" => directory_url = Some(document.text()?.trim().to_owned()),
            "ipAddress" => acme.ip_address = Some(document.text()?),
            "authenticationCertificateProfileId" => {
                acme.authentication_certificate_profile = Some(document.text()?);
            }
            "signingCertificateProfileId" => {
                acme.signing_certificate_profile = Some(document.text()?);
            }
            _ => document.skip()?,
        }
    }
    acme.directory_url = required(directory_url, "acmeServer/directoryURL")?;
    Ok(acme)
}

fn approved_tsa(document: &mut Document) -> Result<ApprovedTsaDescription, ParametersError> {
    let mut name = None;
    let mut url = None;
    let mut certificate = None;
    let mut price = None;
    while let Some(element) = document.child()? {
        match element.unqualified() {
            "name" => name = Some(document.text()?),
            "url" => url = Some(document.text()?.trim().to_owned()),
            "cert" => certificate = Some(document.certificate("cert")?),
            "costType" => price = Some(cost(document)?),
            _ => document.skip()?,
        }
    }
    Ok(ApprovedTsaDescription {
        name: required(name, "approvedTSA/name")?,
        url: required(url, "approvedTSA/url")?,
        certificate: required(certificate, "approvedTSA/cert")?,
        cost: price,
    })
}

fn member_class(document: &mut Document) -> Result<MemberClass, ParametersError> {
    let mut code = None;
    let mut description = None;
    while let Some(element) = document.child()? {
        match element.unqualified() {
            "code" => code = Some(document.text()?),
            "description" => description = Some(document.text()?),
            _ => document.skip()?,
        }
    }
    Ok(MemberClass {
        code: required(code, "memberClass/code")?,
        description: description.unwrap_or_default(),
    })
}

fn member(
    document: &mut Document,
    instance: &str,
    reference: Option<String>,
    ids: &mut HashMap<String, ClientId>,
) -> Result<Member, ParametersError> {
    let mut class = None;
    let mut code = None;
    let mut name = None;
    let mut subsystems = Vec::new();
    let mut references = Vec::new();
    while let Some(element) = document.child()? {
        match element.unqualified() {
            "memberClass" => class = Some(member_class(document)?),
            "memberCode" => code = Some(document.text()?),
            "name" => name = Some(document.text()?),
            "subsystem" => {
                let mut code = None;
                let mut name = None;
                references.push(element.attribute("id"));
                while let Some(element) = document.child()? {
                    match element.unqualified() {
                        "subsystemCode" => code = Some(document.text()?),
                        "subsystemName" => name = Some(document.text()?),
                        _ => document.skip()?,
                    }
                }
                subsystems.push(Subsystem {
                    code: required(code, "subsystem/subsystemCode")?,
                    name,
                });
            }
            _ => document.skip()?,
        }
    }
    let class = required(class, "member/memberClass")?;
    let id = ClientId::member(instance, &class.code, &required(code, "member/memberCode")?)
        .map_err(|error| identifier_error("member", &error))?;
    for (subsystem, reference) in subsystems.iter().zip(references) {
        let subsystem_id = id
            .with_subsystem(&subsystem.code)
            .map_err(|error| identifier_error("subsystem", &error))?;
        if let Some(reference) = reference {
            ids.insert(reference, subsystem_id);
        }
    }
    if let Some(reference) = reference {
        ids.insert(reference, id.clone());
    }
    Ok(Member {
        id,
        class_description: class.description,
        name: name.unwrap_or_default(),
        subsystems,
    })
}

fn server(document: &mut Document) -> Result<ServerReferences, ParametersError> {
    let mut owner = None;
    let mut code = None;
    let mut address = None;
    let mut hashes = Vec::new();
    let mut clients = Vec::new();
    let mut maintenance = None;
    while let Some(element) = document.child()? {
        match element.unqualified() {
            "owner" => owner = Some(document.text()?.trim().to_owned()),
            "serverCode" => code = Some(document.text()?),
            "address" => {
                let text = document.text()?.trim().to_owned();
                address = (!text.is_empty()).then_some(text);
            }
            "authCertHash" => hashes.push(document.binary("authCertHash")?),
            "client" => clients.push(document.text()?.trim().to_owned()),
            "inMaintenanceMode" => {
                let mut message = None;
                while let Some(element) = document.child()? {
                    match element.unqualified() {
                        "message" => message = Some(document.text()?),
                        _ => document.skip()?,
                    }
                }
                maintenance = Some(Maintenance { message });
            }
            _ => document.skip()?,
        }
    }
    Ok(ServerReferences {
        owner: required(owner, "securityServer/owner")?,
        code: required(code, "securityServer/serverCode")?,
        clients,
        address,
        hashes,
        maintenance,
    })
}

/// Reads the parts of an identifier of a member or subsystem and closes its element.
pub(crate) fn client_id(document: &mut Document) -> Result<ClientId, ParametersError> {
    let mut instance = None;
    let mut class = None;
    let mut code = None;
    let mut subsystem = None;
    while let Some(element) = document.child()? {
        match element.identifier() {
            "xRoadInstance" => instance = Some(document.text()?),
            "memberClass" => class = Some(document.text()?),
            "memberCode" => code = Some(document.text()?),
            "subsystemCode" => subsystem = Some(document.text()?),
            _ => document.skip()?,
        }
    }
    let member = ClientId::member(
        &required(instance, "xRoadInstance")?,
        &required(class, "memberClass")?,
        &required(code, "memberCode")?,
    )
    .map_err(|error| identifier_error("identifier", &error))?;
    match subsystem {
        Some(code) => member
            .with_subsystem(&code)
            .map_err(|error| identifier_error("identifier", &error)),
        None => Ok(member),
    }
}

fn group(document: &mut Document) -> Result<(String, String, Vec<ClientId>), ParametersError> {
    let mut code = None;
    let mut description = None;
    let mut members = Vec::new();
    while let Some(element) = document.child()? {
        match element.unqualified() {
            "groupCode" => code = Some(document.text()?),
            "description" => description = Some(document.text()?),
            "groupMember" => members.push(client_id(document)?),
            _ => document.skip()?,
        }
    }
    Ok((
        required(code, "globalGroup/groupCode")?,
        description.unwrap_or_default(),
        members,
    ))
}

impl PrivateParameters {
    /// Reads `private-params.xml` of any version from 2 to 6.
    ///
    /// # Errors
    /// See [`ParametersError`]; the fault is the configuration server's.
    pub fn decode(bytes: &[u8]) -> Result<Self, ParametersError> {
        let mut document = Document::open(bytes, "conf")?;
        let mut instance = None;
        let mut federation: Vec<Anchor> = Vec::new();
        let mut management_service = None;
        let mut interval = None;
        while let Some(element) = document.child()? {
            match element.unqualified() {
                "instanceIdentifier" => instance = Some(document.text()?),
                "configurationAnchor" => federation.push(anchor::read(&mut document)?),
                "managementService" => {
                    management_service = Some(self::management_service(&mut document)?);
                }
                "timeStampingIntervalSeconds" => {
                    interval = Some(document.value("timeStampingIntervalSeconds", "seconds")?);
                }
                _ => document.skip()?,
            }
        }
        document.finish()?;
        Ok(Self {
            instance: required(instance, "instanceIdentifier")?,
            federation,
            management_service: required(management_service, "managementService")?,
            timestamping_interval_seconds: required(interval, "timeStampingIntervalSeconds")?,
        })
    }
}

fn management_service(document: &mut Document) -> Result<ManagementService, ParametersError> {
    let mut address = None;
    let mut certificate = None;
    let mut provider = None;
    while let Some(element) = document.child()? {
        match element.unqualified() {
            "authCertRegServiceAddress" => address = Some(document.text()?.trim().to_owned()),
            name @ "authCertRegServiceCert" => certificate = Some(document.certificate(name)?),
            "managementRequestServiceProviderId" => provider = Some(client_id(document)?),
            _ => document.skip()?,
        }
    }
    Ok(ManagementService {
        registration_address: required(address, "authCertRegServiceAddress")?,
        registration_certificate: certificate,
        provider: required(provider, "managementRequestServiceProviderId")?,
    })
}
