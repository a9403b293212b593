//! From a description to what members download.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::unwrap_used
)]

mod common;

use central::{Audience, InstanceDescription, Problem, Publication};
use common::{Keys, NOW, instance, random};
use globalconf::{
    Anchor, FormatVersion, GlobalConfiguration, PartMetadata, SignedDirectory, StoredDirectory,
    StoredPart,
};
use pki::{Certificate, DigestAlgorithm, KeyType};
use time::Duration;
use xroad_id::{ClientId, GlobalGroupId};

/// Follows a publication from an anchor as a configuration client does.
fn download(
    publication: &Publication,
    anchor: &Anchor,
    audience: Audience,
    version: FormatVersion,
) -> StoredDirectory {
    let trusted: Vec<Certificate> = anchor
        .sources
        .iter()
        .flat_map(|s| &s.verification_certificates)
        .map(|der| Certificate::decode(der).unwrap())
        .collect();
    let published = publication
        .directories
        .iter()
        .find(|d| d.version == version && d.audience == audience)
        .unwrap();
    let directory = SignedDirectory::decode(&published.file.content)
        .unwrap()
        .verify(&trusted)
        .unwrap();
    assert_eq!(directory.version(), version);
    assert_eq!(directory.expires(), NOW + Duration::seconds(600));
    StoredDirectory {
        instance: anchor.instance.clone(),
        parts: directory
            .entries()
            .iter()
            .map(|entry| {
                let file = publication
                    .parts
                    .iter()
                    .find(|part| part.path == entry.location)
                    .unwrap();
                entry.verify(&file.content).unwrap();
                StoredPart {
                    instance: entry.instance.clone(),
                    file_name: entry.stored_name().to_owned(),
                    content: file.content.clone(),
                    metadata: PartMetadata {
                        content_identifier: Some(entry.content_identifier.clone()),
                        instance: Some(entry.instance.clone()),
                        expires: Some(directory.expires()),
                        file_name: None,
                        location: Some(entry.location.clone()),
                        version,
                    },
                }
            })
            .collect(),
    }
}

#[test]
fn every_version_can_be_followed_from_the_anchor() {
    for key_type in [KeyType::Rsa2048, KeyType::EcP256] {
        let (description, signing) = instance("Ejbca");
        let valid = description.clone().validate().unwrap();
        let keys = Keys::generate(key_type);
        let publication = valid
            .publish(&keys.borrow(), NOW, Duration::seconds(600), None, random())
            .unwrap();
        assert_eq!(publication.moment, "20261124120000000000000");
        for version in FormatVersion::all() {
            let anchor = valid.anchor(Audience::External, &keys.borrow(), false, NOW);
            let external = download(&publication, &anchor, Audience::External, version);
            assert_eq!(external.parts.len(), 1);
            let anchor = valid.anchor(Audience::Internal, &keys.borrow(), true, NOW);
            let anchor = Anchor::decode(&anchor.encode()).unwrap();
            assert_eq!(
                anchor.sources[0].download_url,
                "http://127.0.0.10:8888/internalconf"
            );
            let internal = download(&publication, &anchor, Audience::Internal, version);
            assert_eq!(internal.parts.len(), 5);
            check(&internal.load().unwrap(), &description, &signing, version);
        }
    }
}

fn check(
    configuration: &GlobalConfiguration,
    description: &InstanceDescription,
    signing: &Certificate,
    version: FormatVersion,
) {
    assert_eq!(configuration.problems().count(), 0);
    assert!(!configuration.next_update_check());
    assert_eq!(configuration.ocsp_fetch_interval_seconds(), 300);
    assert_eq!(
        configuration.monitoring_client(),
        description.monitoring_client.as_ref()
    );
    for server in &description.security_servers {
        let certificate = &server.authentication_certificates[0];
        let found = configuration
            .server_by_auth_certificate(certificate)
            .unwrap();
        assert_eq!(found.id, server.id);
        let hash = if version.number() == 2 {
            DigestAlgorithm::Sha1
        } else {
            DigestAlgorithm::Sha256
        };
        assert_eq!(
            found.authentication_certificate_hashes[0],
            hash.digest(certificate.der()).as_ref()
        );
        assert_eq!(
            configuration.maintenance(&server.id).is_some(),
            server.maintenance.is_some() && version.number() >= 5
        );
    }
    let bank = ClientId::from_path("KG/COM/80000001/bank").unwrap();
    let group = |code: &str| GlobalGroupId {
        instance: "KG".to_owned(),
        group_code: code.to_owned(),
    };
    assert!(configuration.in_global_group(&bank, &group("banks")));
    assert!(configuration.in_global_group(&bank.to_member(), &group(central::OWNERS_GROUP)));
    let population = ClientId::from_path("KG/GOV/70000001/population").unwrap();
    assert_eq!(
        configuration.subsystem_name(&population).is_some(),
        version.number() >= 5
    );
    let issuer = configuration.approved_ca_for("KG", signing).unwrap();
    let member = issuer
        .ca
        .profile
        .as_ref()
        .unwrap()
        .member_of(signing.subject(), "KG")
        .unwrap();
    assert_eq!(member, population.to_member());
}

#[test]
fn profiles_lead_from_a_new_subject_back_to_the_member() {
    for profile in ["Ejbca", "FiVRK", "Basic", "BasicACME", "Is", "Fo"] {
        let (description, signing) = instance(profile);
        let class = &description.certification_services[0].profile;
        let profile = globalconf::CertificateProfile::from_class(class).unwrap();
        assert_eq!(
            profile.member_of(signing.subject(), "KG").unwrap().path(),
            "KG/GOV/70000001",
            "{class}"
        );
    }
}

#[test]
fn unchanged_parts_stay_where_they_are() {
    let (description, _) = instance("Ejbca");
    let keys = Keys::generate(KeyType::EcP256);
    let valid = description.clone().validate().unwrap();
    let publish = |valid: &central::ValidInstance, seconds, previous: Option<&Publication>| {
        valid
            .publish(
                &keys.borrow(),
                NOW + Duration::seconds(seconds),
                Duration::seconds(600),
                previous,
                random(),
            )
            .unwrap()
    };
    let first = publish(&valid, 0, None);
    let second = publish(&valid, 60, Some(&first));
    assert_eq!(first.moment, second.moment);
    assert_eq!(first.parts, second.parts);
    assert_ne!(first.directories, second.directories);
    let mut changed = description;
    changed.members[1].name.push('!');
    let third = publish(&changed.validate().unwrap(), 120, Some(&second));
    assert_ne!(third.moment, second.moment);
}

#[test]
fn the_written_form_survives_a_round_trip() {
    let (description, _) = instance("FiVRK");
    let text = description.encode();
    let again = InstanceDescription::decode(&text, &|_| Err("no files".to_owned())).unwrap();
    assert_eq!(again.encode(), text);
    assert_eq!(
        format!("{:?}", again.security_servers),
        format!("{:?}", description.security_servers)
    );
    assert!(InstanceDescription::decode("instance = 1", &|_| Err(String::new())).is_err());
    // A certificate that is a file beside the description.
    let pem = description.certification_services[0]
        .top
        .certificate
        .to_pem();
    let with_file = text.replacen(&format!("\"\"\"\n{pem}\"\"\""), "\"ca.pem\"", 1);
    assert_ne!(with_file, text);
    let from_file = InstanceDescription::decode(&with_file, &|file| {
        assert_eq!(file, "ca.pem");
        Ok(pem.clone().into_bytes())
    })
    .unwrap();
    assert_eq!(from_file.encode(), text);
}

#[test]
fn broken_rules_are_named() {
    let broken = |change: &dyn Fn(&mut InstanceDescription)| -> Vec<Problem> {
        let (mut description, _) = instance("Ejbca");
        change(&mut description);
        description.validate().err().unwrap_or_default()
    };
    assert_eq!(broken(&|_| {}), []);
    type Change<'a> = &'a dyn Fn(&mut InstanceDescription);
    let cases: [(Change, &str); 9] = [
        (
            &|d| d.security_servers[0].address = Some("127.0.0.11:5500".into()),
            "Address",
        ),
        (&|d| d.members[0].id.member_code = "7/1".into(), "Code"),
        (
            &|d| d.members[0].id.member_class = "NGO".into(),
            "MemberClass",
        ),
        (
            &|d| d.members[0].id.instance = "EE".into(),
            "ForeignInstance",
        ),
        (
            &|d| {
                d.members.pop();
            },
            "Unknown",
        ),
        (
            &|d| {
                let again = d.members[0].clone();
                d.members.push(again);
            },
            "Twice",
        ),
        (
            &|d| d.certification_services[0].profile = "kg.Unknown".into(),
            "Profile",
        ),
        (&|d| d.central_addresses.clear(), "NoCentralAddress"),
        (
            &|d| {
                let other = d.security_servers[0].authentication_certificates.clone();
                d.security_servers[1].authentication_certificates = other;
            },
            "SharedCertificate",
        ),
    ];
    for (change, name) in cases {
        let problems = broken(change);
        assert!(
            problems.iter().any(|p| format!("{p:?}").starts_with(name)),
            "{name}: {problems:?}"
        );
    }
}
