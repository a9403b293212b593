//! What the tests of this crate share.
#![allow(dead_code)]

#[path = "../../../../testkit/vectors.rs"]
mod place;
#[allow(unused_imports)]
pub use place::vectors;

use pki::issue::{self, Profile, Template};
use pki::{AttributeType, Certificate, KeyType, Name, SoftwareKey};
use time::OffsetDateTime;
use time::macros::datetime;

/// A moment in which everything of [`World`] is valid.
pub const NOW: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

/// A key and the certificate for it.
pub struct Holder {
    pub key: SoftwareKey,
    pub certificate: Certificate,
}

/// An authority with one certificate of every profile.
pub struct World {
    pub authority: Holder,
    pub responder: Holder,
    pub tsa: Holder,
    pub signing: Holder,
    pub authentication: Holder,
}

pub fn name(common_name: &str) -> Name {
    Name::builder()
        .push(AttributeType::Country, "KG")
        .push(AttributeType::Organization, "Түндүк")
        .push(AttributeType::CommonName, common_name)
        .build()
        .unwrap()
}

pub fn template(subject: &str, key: &SoftwareKey, serial: u8, profile: Profile) -> Template {
    use pki::Signer as _;
    Template {
        subject: name(subject),
        public_key: key.public_key().clone(),
        serial: vec![0x9a, serial],
        not_before: datetime!(2026-01-01 0:00 UTC),
        not_after: datetime!(2056-01-01 0:00 UTC),
        profile,
        ocsp_url: Some("http://127.0.0.1:8899/ocsp".into()),
    }
}

impl World {
    pub fn new(key_type: KeyType) -> World {
        let key = SoftwareKey::generate(key_type).unwrap();
        let certificate =
            issue::self_signed(&template("Test CA", &key, 1, Profile::Authority), &key).unwrap();
        let authority = Holder { key, certificate };
        let issue = |subject: &str, serial, profile| {
            let key = SoftwareKey::generate(key_type).unwrap();
            let template = template(subject, &key, serial, profile);
            let certificate =
                issue::issue(&template, &authority.certificate, &authority.key).unwrap();
            Holder { key, certificate }
        };
        World {
            responder: issue("Test OCSP", 2, Profile::OcspResponder),
            tsa: issue("Test TSA", 3, Profile::TimeStamping),
            signing: issue("70000001", 4, Profile::Signing),
            authentication: issue("ss1", 5, Profile::Authentication),
            authority,
        }
    }
}
