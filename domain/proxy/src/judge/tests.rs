//! Whatever a judge remembers, he decides as if he saw it for the first time.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]

use super::*;
use base64::Engine as _;
use globalconf::StoredDirectory;
use pki::issue::{Profile, Template, issue, self_signed};
use pki::ocsp::{CertificateId, CertificateStatus, SingleResponse};
use pki::{AttributeType, Digest, KeyType, Name, Signer as _, SoftwareKey};
use std::hint::black_box;
use std::time::Instant;
use time::Duration;
use xmldsig::{SignatureTarget, SignatureTemplate};

struct World {
    now: OffsetDateTime,
    bank: ClientId,
    key: SoftwareKey,
    template: SignatureTemplate,
    configuration: Current,
}

fn name(parts: &[(&str, &str)]) -> Name {
    let mut builder = Name::builder();
    for (kind, value) in parts {
        builder = builder.push(AttributeType::from_short_name(kind).unwrap(), *value);
    }
    builder.build().unwrap()
}

impl World {
    fn new(kind: KeyType) -> World {
        let now = OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap();
        let template = |subject: Name, key: &SoftwareKey, serial: u8, profile| Template {
            subject,
            public_key: key.public_key().clone(),
            serial: vec![serial],
            not_before: now - Duration::days(1),
            not_after: now + Duration::days(100),
            profile,
            ocsp_url: None,
        };
        let authority_key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let subject = name(&[("CN", "CA")]);
        let authority = self_signed(
            &template(subject, &authority_key, 1, Profile::Authority),
            &authority_key,
        )
        .unwrap();
        let key = SoftwareKey::generate(kind).unwrap();
        let subject = name(&[("C", "KG"), ("O", "COM"), ("CN", "80000001")]);
        let certificate = issue(
            &template(subject, &key, 2, Profile::Signing),
            &authority,
            &authority_key,
        )
        .unwrap();
        let this_update = now - Duration::minutes(5);
        let status = pki::ocsp::build(
            &authority,
            &authority_key,
            this_update,
            &[SingleResponse {
                certificate: CertificateId::sha1(&authority, certificate.serial()),
                status: CertificateStatus::Good,
                this_update,
                next_update: None,
            }],
            None,
        )
        .unwrap();
        let shared = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ns3:conf xmlns:ns2=\"http://x-road.eu/xsd/identifiers\" xmlns:ns3=\"http://x-road.eu/xsd/xroad.xsd\"><instanceIdentifier>KG</instanceIdentifier><approvedCA><name>CA</name><authenticationOnly>false</authenticationOnly><topCA><cert>{}</cert></topCA><certificateProfileInfo>ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider</certificateProfileInfo></approvedCA></ns3:conf>",
            base64::engine::general_purpose::STANDARD.encode(authority.der()),
        );
        let configuration = StoredDirectory::decode([
            ("instance-identifier".to_owned(), b"KG".to_vec()),
            ("KG/shared-params.xml".to_owned(), shared.into_bytes()),
        ])
        .unwrap()
        .load()
        .unwrap();
        World {
            now,
            bank: ClientId::member("KG", "COM", "80000001").unwrap(),
            template: SignatureTemplate::new(&certificate, &[status], &[], key.algorithm()),
            key,
            configuration: configuration.is_current(now).unwrap(),
        }
    }

    fn digest(text: &str) -> Digest {
        DigestAlgorithm::Sha512.digest(text.as_bytes())
    }

    fn sign(&self, text: &str, seconds: i64) -> Vec<u8> {
        let digest = World::digest(text);
        let time = self.now + Duration::seconds(seconds);
        self.template
            .sign(&self.key, &SignatureTarget::Message(&digest), time)
            .unwrap()
    }

    fn judge(&self, judge: &Judge, document: &[u8], shared: bool) -> Result<Signer, Refusal> {
        judge.signer(&self.configuration, document, &self.bank, self.now, shared)
    }
}

fn leaf(result: Result<Signer, Refusal>) -> String {
    match result {
        Err(Refusal::Signature { leaf, .. }) => leaf.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_remembered_is_judged_like_what_is_new() {
    let world = World::new(KeyType::EcP256);
    let warm = Judge::default();
    for (number, text) in ["one", "two", "three", "four"].iter().enumerate() {
        let document = world.sign(text, number as i64 / 2);
        let value = world.judge(&warm, &document, false).unwrap().value;
        let cold = world.judge(&Judge::default(), &document, false).unwrap();
        assert_eq!(value.signature(), cold.value.signature());
        assert_eq!(value.references()[0].digest, World::digest(text));
    }
    assert_eq!(warm.documents.signers(), 1);
    let document = world.sign("five", 9);
    assert!(warm.documents.recall(&document).is_some());

    let other = ClientId::member("KG", "COM", "80000002").unwrap();
    let later = world.now + Duration::hours(2);
    let at = |judge: &Judge, member, now| {
        leaf(judge.signer(&world.configuration, &document, member, now, false))
    };
    // A value of one document in another one.
    let digest = |document: &[u8]| {
        let text = std::str::from_utf8(document).unwrap();
        let start = text.find("<ds:DigestValue>").unwrap() + 16;
        start..start + 88
    };
    let donor = world.sign("six", 9);
    let mut mixed = document.clone();
    mixed[digest(&document)].copy_from_slice(&donor[digest(&donor)]);
    for judge in [&warm, &Judge::default()] {
        assert_eq!(at(judge, &other, world.now), "incorrect_certificate");
        assert_eq!(
            at(judge, &world.bank, later),
            "invalid_cert_path.incorrect_validation_info"
        );
        assert_eq!(
            leaf(world.judge(judge, &mixed, false)),
            "invalid_signature_value"
        );
    }
}

#[test]
fn a_batch_is_verified_once() {
    let world = World::new(KeyType::EcP256);
    let judge = Judge::default();
    let document = world.sign("batch", 0);
    let first = world.judge(&judge, &document, true).unwrap().value;
    let second = world.judge(&judge, &document, true).unwrap().value;
    assert!(std::ptr::eq(first.signature(), second.signature()));
    // The same start, and something else behind it.
    let text = String::from_utf8(document.clone()).unwrap();
    for place in [
        "<ds:X509Certificate>",
        "EncapsulatedOCSPValue Id=\"ocsp-response-1\">",
    ] {
        let at = text.find(place).unwrap() + place.len() + 100;
        assert!(at > TELLING || place.starts_with("<ds"));
        let mut changed = document.clone();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        leaf(world.judge(&judge, &changed, true));
    }
    // Neither time nor member are those of the first message.
    let later = world.now + Duration::hours(2);
    let late = judge.signer(&world.configuration, &document, &world.bank, later, true);
    assert_eq!(leaf(late), "invalid_cert_path.incorrect_validation_info");
    let other = ClientId::member("KG", "COM", "80000002").unwrap();
    let wrong = judge.signer(&world.configuration, &document, &other, world.now, true);
    assert_eq!(leaf(wrong), "incorrect_certificate");
}

#[test]
fn strangers_are_not_remembered() {
    let world = World::new(KeyType::EcP256);
    let stranger = World::new(KeyType::EcP256);
    let judge = Judge::default();
    for shared in [false, true] {
        let document = stranger.sign("message", 0);
        assert!(world.judge(&judge, &document, shared).is_err());
    }
    assert_eq!(judge.documents.signers(), 0);
    assert!(judge.batches.entries.lock().unwrap().is_empty());
}

#[test]
#[ignore = "prints timings"]
fn timing() {
    for kind in [KeyType::EcP256, KeyType::Rsa2048] {
        let world = World::new(kind);
        let judge = Judge::default();
        let documents: Vec<Vec<u8>> = (0..200)
            .map(|number| world.sign(&number.to_string(), number / 100))
            .collect();
        let measure = |call: &dyn Fn(&[u8])| {
            let mut slices: Vec<f64> = (0..21)
                .map(|_| {
                    let start = Instant::now();
                    documents.iter().for_each(|document| call(document));
                    start.elapsed().as_secs_f64() * 1e6 / documents.len() as f64
                })
                .collect();
            slices.sort_by(f64::total_cmp);
            slices[slices.len() / 2]
        };
        let judged = measure(&|document| {
            black_box(world.judge(&judge, document, false).unwrap());
        });
        let value = world.judge(&judge, &documents[0], false).unwrap().value;
        let key = value.certificate().public_key().clone();
        let info = vec![b'x'; 1100];
        let algorithm = world.key.algorithm();
        let made = match kind {
            KeyType::EcP256 => world.key.sign_fixed(&info).unwrap(),
            _ => world.key.sign(&info).unwrap(),
        };
        let bare = measure(&|_| {
            match kind {
                KeyType::EcP256 => key.verify_fixed(algorithm, black_box(&info), &made),
                _ => key.verify(algorithm, black_box(&info), &made),
            }
            .unwrap();
        });
        let batch = measure(&|_| {
            black_box(world.judge(&judge, &documents[0], true).unwrap());
        });
        println!(
            "{kind:?}, {} bytes: judged {judged:.1} us, of it {bare:.1} us for the value; \
             as one of a batch {batch:.1} us",
            documents[0].len()
        );
    }
}
