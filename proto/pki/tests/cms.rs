//! Detached signatures in CMS: made here and read by `openssl cms`, changed and cut ones refused.

// Tests may use files and programs.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used
)]

use std::process::Command;

use pki::cms::{CmsError, Signature, SignedAttributes, build};
use pki::issue::{Profile, Template, issue, self_signed};
use pki::tsp::{self, Stamp};
use pki::{
    AttributeType, Certificate, DigestAlgorithm, KeyType, Name, SignatureAlgorithm, Signer as _,
    SoftwareKey,
};
use time::OffsetDateTime;
use time::macros::datetime;

const START: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);
const END: OffsetDateTime = datetime!(2036-01-01 0:00 UTC);
const POLICY: &str = "1.3.6.1.4.1.99999.1.2";

fn template(name: &str, key: &SoftwareKey, serial: u8, profile: Profile) -> Template {
    Template {
        subject: Name::builder()
            .push(AttributeType::CommonName, name)
            .build()
            .unwrap(),
        public_key: key.public_key().clone(),
        serial: vec![serial],
        not_before: START,
        not_after: END,
        profile,
        ocsp_url: Some("http://ocsp.example/".to_owned()),
    }
}

struct Person {
    root: Certificate,
    certificate: Certificate,
    key: SoftwareKey,
}

fn person(key_type: KeyType, algorithm: SignatureAlgorithm) -> Person {
    let ca = SoftwareKey::generate(KeyType::EcP256).unwrap();
    let root = self_signed(&template("Root", &ca, 1, Profile::Authority), &ca).unwrap();
    let key = SoftwareKey::generate(key_type)
        .unwrap()
        .with_algorithm(algorithm)
        .unwrap();
    let profile = Profile::Person {
        policies: vec![POLICY.to_owned()],
    };
    let certificate = issue(&template("Person", &key, 2, profile), &root, &ca).unwrap();
    Person {
        root,
        certificate,
        key,
    }
}

fn sign(person: &Person, content: &[u8]) -> Vec<u8> {
    let algorithm = person.key.algorithm();
    let attributes = SignedAttributes::new(
        &algorithm.digest().digest(content),
        &person.certificate,
        algorithm,
    )
    .unwrap();
    let value = person.key.sign(attributes.to_be_signed()).unwrap();
    build(
        &attributes,
        &person.certificate,
        std::slice::from_ref(&person.root),
        &value,
    )
    .unwrap()
}

#[test]
fn policies_are_written_and_read() {
    let person = person(
        KeyType::EcP256,
        SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
    );
    assert_eq!(person.certificate.policies(), [POLICY]);
    assert!(person.root.policies().is_empty());
    assert!(person.certificate.allows_signing());
    assert_eq!(person.certificate.ocsp_url(), Some("http://ocsp.example/"));
    let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
    let nonsense = Profile::Person {
        policies: vec!["no identifier".to_owned()],
    };
    assert!(self_signed(&template("x", &key, 3, nonsense), &key).is_err());
}

#[test]
fn openssl_verifies_what_is_made_here_and_changed_content_fails_in_both() {
    for (key_type, algorithm) in [
        (
            KeyType::EcP256,
            SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256),
        ),
        (
            KeyType::Rsa2048,
            SignatureAlgorithm::RsaPkcs1(DigestAlgorithm::Sha512),
        ),
        (
            KeyType::Rsa2048,
            SignatureAlgorithm::RsaPss(DigestAlgorithm::Sha256),
        ),
    ] {
        let person = person(key_type, algorithm);
        let folder = tempfile::tempdir().unwrap();
        let content = b"what is signed";
        let signature = sign(&person, content);
        std::fs::write(folder.path().join("signature"), &signature).unwrap();
        std::fs::write(folder.path().join("root.pem"), person.root.to_pem()).unwrap();
        for (name, content, holds) in [
            ("same", &content[..], true),
            ("changed", &b"what was signed"[..], false),
        ] {
            std::fs::write(folder.path().join(name), content).unwrap();
            let output = Command::new("openssl")
                .args("cms -verify -binary -inform DER -in signature -CAfile root.pem -purpose any -cades -out out -content".split(' '))
                .arg(name)
                .current_dir(folder.path())
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.success(),
                holds,
                "{algorithm:?} {name}: {text}"
            );
            let decoded = Signature::decode(&signature).unwrap();
            let verified = decoded.verify(&algorithm.digest().digest(content));
            assert_eq!(verified.is_ok(), holds, "{algorithm:?} {name}");
        }
        let verified = Signature::decode(&signature)
            .unwrap()
            .verify(&algorithm.digest().digest(content))
            .unwrap();
        assert_eq!(verified.certificate(), &person.certificate);
        assert_eq!(verified.algorithm(), algorithm);
        assert_eq!(verified.claimed_time(), None);
    }
}

#[test]
fn the_value_of_another_key_makes_no_signature() {
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    let signer = person(KeyType::EcP256, algorithm);
    let other = person(KeyType::EcP256, algorithm);
    let digest = DigestAlgorithm::Sha256.digest(b"content");
    let attributes = SignedAttributes::new(&digest, &signer.certificate, algorithm).unwrap();
    let value = other.key.sign(attributes.to_be_signed()).unwrap();
    assert_eq!(
        build(&attributes, &signer.certificate, &[], &value),
        Err(CmsError::Value)
    );
    // A digest of another length than the algorithm's is a mistake of the caller.
    let long = DigestAlgorithm::Sha512.digest(b"content");
    assert_eq!(
        SignedAttributes::new(&long, &signer.certificate, algorithm),
        Err(CmsError::Algorithm)
    );
}

#[test]
fn a_time_stamp_goes_in_and_comes_out() {
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    let person = person(KeyType::EcP256, algorithm);
    let authority = SoftwareKey::generate(KeyType::EcP256).unwrap();
    let certificate = self_signed(
        &template("TSA", &authority, 9, Profile::TimeStamping),
        &authority,
    )
    .unwrap();
    let signature = Signature::decode(&sign(&person, b"content")).unwrap();
    let imprint = DigestAlgorithm::Sha256.digest(signature.value());
    let stamp = Stamp {
        policy: "1.2.3",
        serial: &[1],
        time: datetime!(2026-06-01 0:00 UTC),
        accuracy_seconds: 1,
    };
    let request = tsp::Request::new(DigestAlgorithm::Sha256, imprint);
    let token = tsp::build_token(&request, &stamp, &certificate, &authority).unwrap();
    let stamped = signature.with_time_stamp(&token).unwrap();
    assert_eq!(stamped.time_stamps(), std::slice::from_ref(&token));
    assert_eq!(stamped.value(), signature.value());
    let digest = DigestAlgorithm::Sha256.digest(b"content");
    assert!(stamped.verify(&digest).is_ok());
    // A second one keeps the first.
    let twice = stamped.with_time_stamp(&token).unwrap();
    assert_eq!(twice.time_stamps().len(), 2);
    assert!(twice.verify(&digest).is_ok());
    for cut in 0..twice.der().len() {
        assert!(Signature::decode(&twice.der()[..cut]).is_err(), "{cut}");
    }
    // No bit of the signed part may change without notice.
    let der = stamped.der();
    let mut accepted = Vec::new();
    for at in 0..der.len() {
        let mut changed = der.to_vec();
        changed[at] ^= 1;
        let holds = Signature::decode(&changed).is_ok_and(|signature| {
            signature
                .verify(&digest)
                .is_ok_and(|verified| verified.certificate() == &person.certificate)
        });
        if holds {
            accepted.push(at);
        }
    }
    // What may change is not signed: version numbers, the list of digest algorithms, the root, the token.
    let signed = signature.der().len();
    assert!(accepted.len() < der.len() - signed + person.root.der().len() + 32);
}
