//! A configuration of 10,000 subsystems: read, written, looked up.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::unwrap_used
)]

use std::time::Instant;

use globalconf::parameters::{GlobalGroup, Member, MemberClass, Source, Subsystem};
use globalconf::{
    FormatVersion, GlobalConfiguration, InstanceParameters, SecurityServer, SharedParameters,
};
use xroad_id::{ClientId, GlobalGroupId, SecurityServerId};

fn country() -> SharedParameters {
    let members: Vec<Member> = (0..2_500)
        .map(|m| Member {
            id: ClientId::member("KG", "GOV", &format!("{:08}", 70_000_000 + m)).unwrap(),
            class_description: "State bodies".to_owned(),
            name: format!("Member {m}"),
            subsystems: (0..4)
                .map(|s| Subsystem {
                    code: format!("subsystem-{s}"),
                    name: Some(format!("Subsystem {s} of {m}")),
                })
                .collect(),
        })
        .collect();
    let security_servers = members
        .iter()
        .step_by(5)
        .enumerate()
        .map(|(i, owner)| SecurityServer {
            id: SecurityServerId {
                instance: "KG".to_owned(),
                member_class: owner.id.member_class.clone(),
                member_code: owner.id.member_code.clone(),
                server_code: "ss1".to_owned(),
            },
            address: Some(format!("ss{i}.example.kg")),
            authentication_certificate_hashes: vec![
                pki::DigestAlgorithm::Sha256
                    .digest(&i.to_be_bytes())
                    .as_ref()
                    .to_vec(),
            ],
            clients: members[i * 5..i * 5 + 5]
                .iter()
                .flat_map(|m| {
                    m.subsystems
                        .iter()
                        .map(|s| m.id.with_subsystem(&s.code).unwrap())
                })
                .collect(),
            maintenance: None,
        })
        .collect();
    SharedParameters {
        instance: "KG".to_owned(),
        sources: vec![Source {
            address: "cs".to_owned(),
            ..Source::default()
        }],
        global_groups: vec![GlobalGroup {
            id: GlobalGroupId {
                instance: "KG".to_owned(),
                group_code: "all".to_owned(),
            },
            description: "All".to_owned(),
            members: members.iter().map(|m| m.id.clone()).collect(),
        }],
        members,
        security_servers,
        member_classes: vec![MemberClass {
            code: "GOV".to_owned(),
            description: "State bodies".to_owned(),
        }],
        ocsp_freshness_seconds: Some(3600),
        ..SharedParameters::default()
    }
}

#[test]
fn ten_thousand_subsystems() {
    let country = country();
    let written = country.encode(FormatVersion::NEWEST).unwrap();
    let start = Instant::now();
    let read = SharedParameters::decode(&written).unwrap();
    let decoded = start.elapsed();
    assert_eq!(read, country);
    let configuration = GlobalConfiguration::new(
        InstanceParameters::new(read, FormatVersion::NEWEST),
        Vec::new(),
    );
    println!(
        "{} bytes decoded in {decoded:?}, decoded and indexed in {:?}",
        written.len(),
        start.elapsed()
    );
    assert_eq!(configuration.clients("KG").unwrap().count(), 12_500);
    let client = ClientId::from_path("KG/GOV/70002499/subsystem-3").unwrap();
    let servers: Vec<_> = configuration.servers_of(&client).collect();
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].address.as_deref(), Some("ss499.example.kg"));
    assert!(configuration.is_client_of_server(&client, &servers[0].id));
    assert!(!configuration.is_client_of_server(&client, &configuration.servers("KG")[0].id));
}
