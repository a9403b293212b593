//! An instance for tests, with keys and certificates made on the spot.
#![allow(dead_code)]

use central::{
    Authority, CertificationService, Group, InstanceDescription, Management, Member, OcspService,
    RegisteredServer, SigningKey, SigningKeys, TimeStampingService, signing_certificate,
};
use globalconf::CertificateProfile;
use globalconf::certificate_profile::SubjectOf;
use globalconf::parameters::{MemberClass, Subsystem};
use pki::issue::{self, Profile, Template};
use pki::{AttributeType, Certificate, KeyType, Name, Signer as _, SoftwareKey};
use time::OffsetDateTime;
use time::macros::datetime;
use xroad_id::{ClientId, SecurityServerId};

pub const NOW: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

pub struct Keys {
    internal: (SoftwareKey, Certificate),
    external: (SoftwareKey, Certificate),
}

impl Keys {
    pub fn generate(key_type: KeyType) -> Self {
        let make = |audience| {
            let key = SoftwareKey::generate(key_type).unwrap();
            let certificate = signing_certificate(audience, &key, [7; 16], NOW).unwrap();
            (key, certificate)
        };
        Self {
            internal: make(central::Audience::Internal),
            external: make(central::Audience::External),
        }
    }

    pub fn borrow(&self) -> SigningKeys<'_> {
        SigningKeys {
            internal: SigningKey {
                signer: &self.internal.0,
                certificate: &self.internal.1,
                announced: &[],
            },
            external: SigningKey {
                signer: &self.external.0,
                certificate: &self.external.1,
                announced: &[],
            },
        }
    }
}

fn of<'a>(member: &'a ClientId, server: &'a SecurityServerId) -> SubjectOf<'a> {
    SubjectOf {
        member,
        server,
        member_name: "Мамлекеттик каттоо кызматы",
        dns_name: "ss1.example.kg",
        country: "KG",
    }
}

pub fn name(fields: &[(String, String)]) -> Name {
    fields
        .iter()
        .fold(Name::builder(), |builder, (kind, value)| {
            builder.push(AttributeType::from_short_name(kind).unwrap(), value.clone())
        })
        .build()
        .unwrap()
}

fn template(subject: Name, key: &SoftwareKey, profile: Profile) -> Template {
    Template {
        subject,
        public_key: key.public_key().clone(),
        serial: vec![1; 16],
        not_before: NOW,
        not_after: datetime!(2036-01-01 00:00 UTC),
        profile,
        ocsp_url: None,
    }
}

/// An instance of two members, each with a server, after the profile with this
/// short name; and the signing certificate of the first member.
pub fn instance(profile: &str) -> (InstanceDescription, Certificate) {
    let ca_key = SoftwareKey::generate(KeyType::EcP256).unwrap();
    let ca = issue::self_signed(
        &template(
            name(&[("O".into(), "Test".into()), ("CN".into(), "Test CA".into())]),
            &ca_key,
            Profile::Authority,
        ),
        &ca_key,
    )
    .unwrap();
    let issued = |subject: Name, profile: Profile| {
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        issue::issue(&template(subject, &key, profile), &ca, &ca_key).unwrap()
    };
    let profile_class = CertificateProfile::class_name(profile);
    let profile = CertificateProfile::from_class(&profile_class).unwrap();
    let state = ClientId::member("KG", "GOV", "70000001").unwrap();
    let bank = ClientId::member("KG", "COM", "80000001").unwrap();
    let server = |member: &ClientId, code: &str| SecurityServerId {
        instance: member.instance.clone(),
        member_class: member.member_class.clone(),
        member_code: member.member_code.clone(),
        server_code: code.to_owned(),
    };
    let (first, second) = (server(&state, "ss1"), server(&bank, "ss2"));
    let authentication = |member: &ClientId, server: &SecurityServerId| {
        issued(
            name(&profile.new_authentication_subject(&of(member, server))),
            Profile::Authentication,
        )
    };
    let signing = issued(
        name(&profile.new_signing_subject(&of(&state, &first))),
        Profile::Signing,
    );
    let description = InstanceDescription {
        instance: "KG".to_owned(),
        central_addresses: vec!["127.0.0.10:8888".to_owned()],
        member_classes: vec![
            MemberClass {
                code: "GOV".to_owned(),
                description: "State bodies".to_owned(),
            },
            MemberClass {
                code: "COM".to_owned(),
                description: "Companies & others <>".to_owned(),
            },
        ],
        certification_services: vec![CertificationService {
            name: "Test CA".to_owned(),
            authentication_only: false,
            profile: profile_class,
            top: Authority {
                certificate: ca.clone(),
                ocsp: vec![OcspService {
                    url: "http://127.0.0.10:8889/ocsp".to_owned(),
                    certificate: Some(issued(
                        name(&[("CN".into(), "OCSP".into())]),
                        Profile::OcspResponder,
                    )),
                    cost: None,
                }],
            },
            intermediates: Vec::new(),
            default_csr_format: None,
            acme: None,
        }],
        time_stamping_services: vec![TimeStampingService {
            name: "Test TSA".to_owned(),
            url: "http://127.0.0.10:8889/tsa".to_owned(),
            certificate: issued(name(&[("CN".into(), "TSA".into())]), Profile::TimeStamping),
            cost: None,
        }],
        members: vec![
            Member {
                id: state.clone(),
                name: "Мамлекеттик каттоо кызматы".to_owned(),
                subsystems: vec![
                    Subsystem {
                        code: "population".to_owned(),
                        name: Some("Population register".to_owned()),
                    },
                    Subsystem {
                        code: "management".to_owned(),
                        name: None,
                    },
                ],
            },
            Member {
                id: bank.clone(),
                name: "Bank".to_owned(),
                subsystems: vec![Subsystem {
                    code: "bank".to_owned(),
                    name: None,
                }],
            },
        ],
        security_servers: vec![
            RegisteredServer {
                id: first.clone(),
                address: Some("127.0.0.11".to_owned()),
                authentication_certificates: vec![authentication(&state, &first)],
                clients: vec![state.with_subsystem("population").unwrap()],
                maintenance: None,
            },
            RegisteredServer {
                id: second.clone(),
                address: Some("127.0.0.12".to_owned()),
                authentication_certificates: vec![authentication(&bank, &second)],
                clients: vec![bank.with_subsystem("bank").unwrap()],
                maintenance: Some("until 10:00".to_owned()),
            },
        ],
        global_groups: vec![Group {
            code: "banks".to_owned(),
            description: "Banks".to_owned(),
            members: vec![bank.with_subsystem("bank").unwrap()],
        }],
        management: Management {
            provider: state.with_subsystem("management").unwrap(),
            registration_address: "https://127.0.0.10:4001/managementservice/".to_owned(),
            registration_certificate: None,
        },
        timestamping_interval_seconds: 60,
        ocsp_freshness_seconds: 3600,
        federation: Vec::new(),
        next_update_check: Some(false),
        ocsp_fetch_interval_seconds: Some(300),
        monitoring_client: Some(state.with_subsystem("management").unwrap()),
    };
    (description, signing)
}

/// Different bytes at each call.
pub fn random() -> impl FnMut() -> [u8; 20] {
    let mut count = 0u8;
    move || {
        count += 1;
        std::array::from_fn(|i| count.wrapping_mul(31).wrapping_add(i as u8))
    }
}
