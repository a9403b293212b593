//! A small world of keys and certificates.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

use pki::issue::{Profile, Template, issue, self_signed};
use pki::ocsp::{CertificateId, CertificateStatus, SingleResponse};
use pki::{AttributeType, Certificate, KeyType, Name, Signer, SoftwareKey};
use time::{Duration, OffsetDateTime};
use xmldsig::SignatureTemplate;

pub struct World {
    pub authority: Certificate,
    pub authority_key: SoftwareKey,
    pub member: Certificate,
    pub member_key: SoftwareKey,
    pub ocsp: Vec<u8>,
    pub now: OffsetDateTime,
}

fn name(common: &str) -> Name {
    Name::builder()
        .push(AttributeType::from_short_name("C").unwrap(), "KG")
        .push(
            AttributeType::from_short_name("O").unwrap(),
            "GOV & \"Co\" <1>",
        )
        .push(AttributeType::from_short_name("CN").unwrap(), common)
        .build()
        .unwrap()
}

impl World {
    pub fn new(kind: KeyType) -> World {
        let now = OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
        let authority_key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let member_key = SoftwareKey::generate(kind).unwrap();
        let template = |subject: &str, key: &SoftwareKey, serial: u8, profile| Template {
            subject: name(subject),
            public_key: key.public_key().clone(),
            serial: vec![serial],
            not_before: now - Duration::days(1),
            not_after: now + Duration::days(3650),
            profile,
            ocsp_url: None,
        };
        let authority = self_signed(
            &template("Test CA", &authority_key, 1, Profile::Authority),
            &authority_key,
        )
        .unwrap();
        let member = issue(
            &template("70000001", &member_key, 2, Profile::Signing),
            &authority,
            &authority_key,
        )
        .unwrap();
        let ocsp = pki::ocsp::build(
            &authority,
            &authority_key,
            now,
            &[SingleResponse {
                certificate: CertificateId::sha1(&authority, member.serial()),
                status: CertificateStatus::Good,
                this_update: now,
                next_update: None,
            }],
            None,
        )
        .unwrap();
        World {
            authority,
            authority_key,
            member,
            member_key,
            ocsp,
            now,
        }
    }

    pub fn template(&self) -> SignatureTemplate {
        SignatureTemplate::new(
            &self.member,
            &[&self.ocsp],
            &[],
            self.member_key.algorithm(),
        )
    }
}
