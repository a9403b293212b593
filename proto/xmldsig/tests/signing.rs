//! What is signed here verifies here, and stops to as soon as anything is changed.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod common;

use common::World;
use pki::{Certificate, DigestAlgorithm, KeyType, SignatureAlgorithm, Signer, SoftwareKey};
use time::Duration;
use xmldsig::{
    Profile, SignError, Signature, SignatureError, SignaturePolicyRule, SignatureTarget,
    SignatureTemplate, ValueVerified, with_time_stamp,
};

const STRICT: SignaturePolicyRule = SignaturePolicyRule::STRICT;

fn verify(document: &[u8]) -> Result<ValueVerified, SignatureError> {
    let signature = Signature::decode(document)?;
    let certificate = Certificate::decode(signature.certificate_der())
        .map_err(|_| SignatureError::Malformed("certificate"))?;
    signature.verify_value(&certificate, STRICT)
}

fn signed(world: &World) -> Vec<u8> {
    let digest = DigestAlgorithm::Sha512.digest(b"message");
    let target = SignatureTarget::Message(&digest);
    world
        .template()
        .sign(&world.member_key, &target, world.now)
        .unwrap()
}

#[test]
fn both_key_types_and_both_targets() {
    for kind in [KeyType::Rsa2048, KeyType::EcP256] {
        let world = World::new(kind);
        let template = world.template();
        let digest = DigestAlgorithm::Sha512.digest(b"message");
        for (target, uri) in [
            (SignatureTarget::Message(&digest), "/message.xml"),
            (
                SignatureTarget::HashChainResult(&digest),
                "/sig-hashchainresult.xml",
            ),
        ] {
            for seconds in [0, 0, 1] {
                let time = world.now + Duration::seconds(seconds);
                let document = template.sign(&world.member_key, &target, time).unwrap();
                let verified = verify(&document).unwrap();
                assert_eq!(verified.references().len(), 1);
                assert_eq!(verified.references()[0].uri, uri);
                assert_eq!(verified.references()[0].digest, digest);
                let signature = verified.signature();
                assert_eq!(signature.profile(), Profile::XRoad);
                assert_eq!(signature.signing_time(), Some(time));
                assert_eq!(
                    signature.ocsp_responses().unwrap(),
                    vec![world.ocsp.clone()]
                );
                assert_eq!(verified.certificate().der(), world.member.der());
            }
        }
    }
}

#[test]
fn other_algorithms_are_read() {
    let world = World::new(KeyType::Rsa2048);
    for algorithm in [
        SignatureAlgorithm::RsaPkcs1(DigestAlgorithm::Sha256),
        SignatureAlgorithm::RsaPkcs1(DigestAlgorithm::Sha384),
        SignatureAlgorithm::RsaPss(DigestAlgorithm::Sha256),
        SignatureAlgorithm::RsaPss(DigestAlgorithm::Sha512),
    ] {
        let key = SoftwareKey::from_pkcs8_der(&world.member_key.to_pkcs8_der().unwrap())
            .unwrap()
            .with_algorithm(algorithm)
            .unwrap();
        let template = SignatureTemplate::new(&world.member, &[&world.ocsp], &[], algorithm);
        let digest = DigestAlgorithm::Sha512.digest(b"message");
        let target = SignatureTarget::Message(&digest);
        let document = template.sign(&key, &target, world.now).unwrap();
        assert_eq!(
            verify(&document).unwrap().signature().algorithm(),
            algorithm
        );
    }
}

#[test]
fn intermediates_come_along() {
    let world = World::new(KeyType::EcP256);
    let template = SignatureTemplate::new(
        &world.member,
        &[&world.ocsp, &world.ocsp],
        std::slice::from_ref(&world.authority),
        world.member_key.algorithm(),
    );
    let digest = DigestAlgorithm::Sha512.digest(b"message");
    let document = template
        .sign(
            &world.member_key,
            &SignatureTarget::Message(&digest),
            world.now,
        )
        .unwrap();
    let verified = verify(&document).unwrap();
    assert_eq!(
        verified.signature().certificates().unwrap(),
        [world.authority.der()]
    );
    assert_eq!(verified.signature().ocsp_responses().unwrap().len(), 2);
}

#[test]
fn a_key_of_somebody_else_is_not_used() {
    let world = World::new(KeyType::EcP256);
    let other = SoftwareKey::generate(KeyType::EcP256).unwrap();
    let digest = DigestAlgorithm::Sha512.digest(b"message");
    let error = world
        .template()
        .sign(&other, &SignatureTarget::Message(&digest), world.now);
    assert!(matches!(error, Err(SignError::OtherKey)));
    let short = DigestAlgorithm::Sha256.digest(b"message");
    let target = SignatureTarget::Message(&short);
    let error = world.template().sign(&world.member_key, &target, world.now);
    assert!(matches!(error, Err(SignError::Digest)));
}

#[test]
fn another_certificate_is_not_taken() {
    let world = World::new(KeyType::EcP256);
    let signature = Signature::decode(&signed(&world)).unwrap();
    assert_eq!(
        signature
            .verify_value(&world.authority, STRICT)
            .unwrap_err(),
        SignatureError::SigningCertificate
    );
}

#[test]
fn a_time_stamp_is_put_in_without_harm() {
    let world = World::new(KeyType::EcP256);
    let document = signed(&world);
    let stamped = with_time_stamp(&document, b"token").unwrap();
    let verified = verify(&stamped).unwrap();
    assert_eq!(
        verified.signature().time_stamp().unwrap().unwrap(),
        b"token"
    );
    assert!(with_time_stamp(&stamped, b"token").is_err());
}

#[test]
fn every_prefix_is_refused() {
    let document = signed(&World::new(KeyType::EcP256));
    for length in 0..document.len() {
        assert!(Signature::decode(&document[..length]).is_err(), "{length}");
    }
}

/// A changed byte is refused unless it stands outside of SignedInfo, the signature value, the
/// certificate and the signed properties.
#[test]
fn every_changed_byte_is_noticed() {
    let world = World::new(KeyType::EcP256);
    let document = signed(&world);
    let text = std::str::from_utf8(&document).unwrap();
    let signed: Vec<_> = [
        ("<ds:SignedInfo>", "</ds:SignedInfo>"),
        ("signature-value\">", "</ds:SignatureValue>"),
        ("<ds:X509Certificate>", "</ds:X509Certificate>"),
        ("<xades:SignedProperties ", "</xades:SignedProperties>"),
    ]
    .into_iter()
    .map(|(from, to)| text.find(from).unwrap() + from.len()..text.find(to).unwrap())
    .collect();
    let original = verify(&document).unwrap();
    for at in 0..document.len() {
        for change in [1u8, 0x20, 0x80] {
            let mut changed = document.clone();
            changed[at] ^= change;
            if let Ok(verified) = verify(&changed) {
                assert!(!signed.iter().any(|range| range.contains(&at)), "byte {at}");
                assert_eq!(verified.references(), original.references(), "byte {at}");
                assert_eq!(verified.certificate().der(), original.certificate().der());
            }
        }
    }
}
