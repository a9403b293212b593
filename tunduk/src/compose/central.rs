//! What the Central Server is told about the country.

use central::{
    Authority, CertificationService, Group, InstanceDescription, Management, Member, OcspService,
    RegisteredServer, TimeStampingService,
};
use globalconf::CertificateProfile;
use globalconf::parameters::{MemberClass, Subsystem};
use pki::Certificate;
use xroad_id::{ClientId, SecurityServerId};

use crate::instance::{ALL_CLIENTS, Instance};

/// The trust services, as the Central Server approves them.
pub(super) struct TrustServices<'a> {
    pub(super) authority: &'a Certificate,
    pub(super) responder: &'a Certificate,
    pub(super) ocsp_url: String,
    pub(super) time_stamping: &'a Certificate,
    pub(super) tsa_url: String,
}

/// A Security Server with what it is registered with.
pub(super) struct Registered<'a> {
    pub(super) id: SecurityServerId,
    pub(super) address: String,
    pub(super) authentication: &'a Certificate,
    pub(super) clients: Vec<ClientId>,
}

/// Describes the instance. `central_address` is the Central Server's host, with its port unless 80.
pub(super) fn describe(
    instance: &Instance,
    central_address: &str,
    trust: &TrustServices<'_>,
    servers: Vec<Registered<'_>>,
) -> Result<InstanceDescription, String> {
    let all_clients: Vec<ClientId> = instance.clients().cloned().collect();
    let mut groups = vec![Group {
        code: ALL_CLIENTS.to_owned(),
        description: "Every registered client".to_owned(),
        members: all_clients.clone(),
    }];
    groups.extend(instance.global_groups.iter().map(|group| Group {
        code: group.code.clone(),
        description: group.description.clone(),
        members: group.members.clone(),
    }));
    let manager = instance
        .members
        .first()
        .ok_or("the instance has no member")?;
    Ok(InstanceDescription {
        instance: instance.instance.clone(),
        central_addresses: vec![central_address.to_owned()],
        member_classes: instance
            .member_classes
            .iter()
            .map(|class| MemberClass {
                code: class.code.clone(),
                description: class.description.clone(),
            })
            .collect(),
        certification_services: vec![CertificationService {
            name: format!("Test CA of {}", instance.instance),
            authentication_only: false,
            profile: CertificateProfile::class_name("Ejbca"),
            top: Authority {
                certificate: trust.authority.clone(),
                ocsp: vec![OcspService {
                    url: trust.ocsp_url.clone(),
                    certificate: Some(trust.responder.clone()),
                    cost: None,
                }],
            },
            intermediates: Vec::new(),
            default_csr_format: None,
            acme: None,
        }],
        time_stamping_services: vec![TimeStampingService {
            name: format!("Test time-stamping of {}", instance.instance),
            url: trust.tsa_url.clone(),
            certificate: trust.time_stamping.clone(),
            cost: None,
        }],
        members: instance
            .members
            .iter()
            .map(|member| Member {
                id: member.id.clone(),
                name: member
                    .name
                    .clone()
                    .unwrap_or_else(|| member.id.member_code.clone()),
                subsystems: subsystems_of(&member.id, &all_clients),
            })
            .collect(),
        security_servers: servers
            .into_iter()
            .map(|server| RegisteredServer {
                id: server.id,
                address: Some(server.address),
                authentication_certificates: vec![server.authentication.clone()],
                clients: server.clients,
                maintenance: None,
            })
            .collect(),
        global_groups: groups,
        management: Management {
            provider: manager.id.clone(),
            // Nobody serves it yet: members are registered by the instance file.
            registration_address: format!(
                "https://{}:4001/managementservice/",
                host(central_address)
            ),
            registration_certificate: None,
        },
        timestamping_interval_seconds: instance.timestamping_interval_seconds.into(),
        ocsp_freshness_seconds: instance.ocsp_freshness_seconds.into(),
        federation: Vec::new(),
        next_update_check: None,
        ocsp_fetch_interval_seconds: None,
        monitoring_client: None,
    })
}

fn host(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') =>
        {
            host
        }
        _ => address,
    }
}

fn subsystems_of(member: &ClientId, clients: &[ClientId]) -> Vec<Subsystem> {
    let mut codes: Vec<&String> = clients
        .iter()
        .filter(|client| client.is_same_member(member))
        .filter_map(|client| client.subsystem_code.as_ref())
        .collect();
    codes.sort();
    codes.dedup();
    codes
        .into_iter()
        .map(|code| Subsystem {
            code: code.clone(),
            name: None,
        })
        .collect()
}
