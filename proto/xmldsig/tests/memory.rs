//! What is remembered of a signer gives what the decoder gives, whatever a document holds.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod common;
#[path = "../../../testkit/vectors.rs"]
mod vectors;

use common::World;
use pki::{Certificate, DigestAlgorithm, KeyType};
use proptest::prelude::*;
use std::sync::LazyLock;
use time::Duration;
use xmldsig::{Signature, SignatureMemory, SignaturePolicyRule, SignatureTarget, ValueVerified};

fn verify(document: &[u8], rule: SignaturePolicyRule) -> ValueVerified {
    let signature = Signature::decode(document).unwrap();
    let certificate = Certificate::decode(signature.certificate_der()).unwrap();
    signature.verify_value(&certificate, rule).unwrap()
}

fn sign(world: &World, text: &str, seconds: i64) -> Vec<u8> {
    let digest = DigestAlgorithm::Sha512.digest(text.as_bytes());
    world
        .template()
        .sign(
            &world.member_key,
            &SignatureTarget::Message(&digest),
            world.now + Duration::seconds(seconds),
        )
        .unwrap()
}

/// A document as other writers break its lines: base64 of more than 76 characters goes on after
/// a reference and a line feed. Not a good signature any more, but one that decodes.
fn broken_lines(document: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(document).unwrap();
    let mut out = String::new();
    for piece in text.split_inclusive('>') {
        match piece.find('<') {
            Some(end) if end > 76 && !piece[..end].contains(' ') => {
                let (value, tag) = piece.split_at(end);
                for (index, character) in value.chars().enumerate() {
                    if index % 76 == 0 && index > 0 {
                        out.push_str("&#13;\n");
                    }
                    out.push(character);
                }
                out.push_str(tag);
            }
            _ => out.push_str(piece),
        }
    }
    out.into_bytes()
}

struct Remembered {
    memory: SignatureMemory,
    documents: Vec<Vec<u8>>,
}

static REMEMBERED: LazyLock<Remembered> = LazyLock::new(|| {
    let memory = SignatureMemory::new();
    let mut documents = Vec::new();
    for kind in [KeyType::EcP256, KeyType::Rsa2048] {
        let world = World::new(kind);
        let first = sign(&world, "first", 0);
        let verified = verify(&first, SignaturePolicyRule::STRICT);
        assert!(memory.remember(&first, &verified));
        documents.push(first);
        documents.push(sign(&world, "second", 1));
    }
    // One with line breaks in its values.
    if let Some(folder) = vectors::vectors() {
        let document = std::fs::read(folder.join("signatures/sign-0.xml")).unwrap();
        let rule = SignaturePolicyRule::STRICT.policy_not_required();
        assert!(memory.remember(&document, &verify(&document, rule)));
        documents.push(document);
    }
    Remembered { memory, documents }
});

/// The one property that safety rests on.
fn check(document: &[u8]) -> bool {
    match REMEMBERED.memory.recall(document) {
        Some(recalled) => {
            assert_eq!(Ok(recalled), Signature::decode(document));
            true
        }
        None => false,
    }
}

#[test]
fn the_next_signature_is_recalled() {
    for (index, document) in REMEMBERED.documents.iter().enumerate() {
        assert!(check(document), "document {index}");
        for end in 0..document.len() {
            assert!(REMEMBERED.memory.recall(&document[..end]).is_none());
        }
    }
}

#[test]
fn a_recalled_signature_is_verified_as_any_other() {
    let world = World::new(KeyType::EcP256);
    let memory = SignatureMemory::new();
    let first = sign(&world, "first", 0);
    assert!(memory.recall(&first).is_none());
    assert!(memory.remember(&first, &verify(&first, SignaturePolicyRule::STRICT)));

    let second = sign(&world, "second", 5);
    let recalled = memory.recall(&second).unwrap();
    assert_eq!(recalled.known_certificate(), Some(&world.member));
    assert_eq!(
        recalled.signing_time(),
        Some(world.now + Duration::seconds(5))
    );
    assert_eq!(recalled.chain(), memory.recall(&first).unwrap().chain());
    recalled
        .verify_value(&world.member, SignaturePolicyRule::STRICT)
        .unwrap();

    // The value of the one in the other, and a time that was not signed.
    let text = String::from_utf8(first.clone()).unwrap();
    let other = String::from_utf8(second.clone()).unwrap();
    let value = |text: &str| {
        let start = text.find("\"signature-value\">").unwrap() + 18;
        start..start + text[start..].find('<').unwrap()
    };
    let mut mixed = other.clone();
    mixed.replace_range(value(&other), &text[value(&text)]);
    let time = other.find("SigningTime>").unwrap() + 12;
    let mut later = other;
    later.replace_range(time..time + 4, "2031");
    for changed in [mixed, later] {
        let recalled = memory.recall(changed.as_bytes()).unwrap();
        let error = recalled
            .verify_value(&world.member, SignaturePolicyRule::STRICT)
            .unwrap_err();
        assert_eq!(error.code(), "invalid_signature_value");
    }
    // Not even with the right bytes is another's signature remembered.
    let stranger = World::new(KeyType::EcP256);
    let third = sign(&stranger, "third", 0);
    let verified = verify(&second, SignaturePolicyRule::STRICT);
    assert!(!SignatureMemory::new().remember(&third, &verified));
}

#[test]
fn another_status_answer_is_another_document() {
    let world = World::new(KeyType::EcP256);
    let memory = SignatureMemory::new();
    let digest = DigestAlgorithm::Sha512.digest(b"message");
    let target = SignatureTarget::Message(&digest);
    // As often as OCSP responses change, each is learned at once, and the last ones are known.
    for round in 0..20u8 {
        let with = |ocsp: u8| {
            xmldsig::SignatureTemplate::new(
                &world.member,
                &[vec![ocsp; 900]],
                &[],
                pki::Signer::algorithm(&world.member_key),
            )
            .sign(&world.member_key, &target, world.now)
            .unwrap()
        };
        let document = with(round);
        assert!(memory.recall(&document).is_none());
        let verified = verify(&document, SignaturePolicyRule::STRICT);
        assert!(memory.remember(&document, &verified));
        let recalled = memory.recall(&with(round)).unwrap();
        assert_eq!(recalled.chain(), verified.signature().chain());
        assert_eq!(recalled.ocsp_responses().unwrap(), [vec![round; 900]]);
        if let Some(before) = round.checked_sub(1) {
            let other = memory.recall(&with(before)).unwrap();
            assert_ne!(other.chain(), recalled.chain());
        }
        assert_eq!(memory.signers(), 1);
    }
}

#[test]
fn line_breaks_may_stand_in_the_values() {
    // A broken document of ours does not verify (its canonical form is another), so it cannot be
    // remembered; X-Road's own stands in for it among REMEMBERED where the vectors are.
    let world = World::new(KeyType::EcP256);
    let broken = broken_lines(&sign(&world, "message", 0));
    let plain = sign(&world, "message", 0);
    assert_ne!(broken, plain);
    assert_eq!(
        Signature::decode(&broken).unwrap().references(),
        Signature::decode(&plain).unwrap().references()
    );
    check(&broken);
}

#[test]
fn memory_is_bounded() {
    let memory = SignatureMemory::new();
    let world = World::new(KeyType::EcP256);
    for length in 0..600 {
        let template = xmldsig::SignatureTemplate::new(
            &world.member,
            &[vec![0x30; 100 + 3 * length]],
            &[],
            pki::Signer::algorithm(&world.member_key),
        );
        let digest = DigestAlgorithm::Sha512.digest(b"message");
        let document = template
            .sign(
                &world.member_key,
                &SignatureTarget::Message(&digest),
                world.now,
            )
            .unwrap();
        assert!(memory.remember(&document, &verify(&document, SignaturePolicyRule::STRICT)));
        assert!(memory.recall(&document).is_some());
        assert!(memory.signers() <= 256);
    }
}

#[derive(Debug, Clone)]
enum Mutation {
    /// One byte is another.
    Set(usize, u8),
    /// One byte of a value (counted among those that differ between two documents).
    InValue(usize, u8),
    Swap(usize, usize),
    Insert(usize, u8),
    Remove(usize),
    /// A run of bytes is another of the same length.
    Replace(usize, Vec<u8>),
}

fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => proptest::sample::select(b"ABCXYZabcxyz0123456789+/=".to_vec()),
        2 => proptest::sample::select(b"<>&;\"' \t\r\n-:.TZ#!?[]".to_vec()),
        1 => any::<u8>(),
    ]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let text = proptest::collection::vec(byte(), 1..100);
    let markup = proptest::sample::select(vec![
        "<!---->",
        "&#65;",
        "&#13;",
        "<a></a>",
        "<![CDATA[]]>",
        "AA==",
        "====",
        "&amp;",
        "]]>",
        "</ds:DigestValue>",
        "2026-02-30T25:61:61Z",
        "2026-11-23T13:39:34.5Z",
    ]);
    prop_oneof![
        2 => (any::<usize>(), byte()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        6 => (any::<usize>(), byte()).prop_map(|(at, byte)| Mutation::InValue(at, byte)),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        1 => (any::<usize>(), byte()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        1 => any::<usize>().prop_map(Mutation::Remove),
        2 => (any::<usize>(), text).prop_map(|(at, bytes)| Mutation::Replace(at, bytes)),
        3 => (any::<usize>(), markup).prop_map(|(at, text)| {
            Mutation::Replace(at, text.as_bytes().to_vec())
        }),
    ]
}

/// Places in the values of a document: the digests, the signature value and the time.
static IN_VALUES: LazyLock<Vec<Vec<usize>>> = LazyLock::new(|| {
    let places = |document: &Vec<u8>| {
        let text = std::str::from_utf8(document).unwrap();
        let signed_info_end = text.rfind("SignedInfo>").unwrap();
        let mut places = Vec::new();
        for name in ["DigestValue", "SignatureValue", "SigningTime"] {
            for (found, _) in text.match_indices(name) {
                if name == "DigestValue" && found > signed_info_end {
                    continue;
                }
                let Some(start) = text[found..].find('>').map(|at| found + at + 1) else {
                    continue;
                };
                let end = start + text[start..].find('<').unwrap_or(0);
                places.extend(start.saturating_sub(1)..(end + 1).min(text.len()));
            }
        }
        places
    };
    REMEMBERED.documents.iter().map(places).collect()
});

fn apply(document: &mut Vec<u8>, index: usize, mutation: &Mutation) {
    let length = document.len().max(1);
    match mutation {
        Mutation::Set(at, byte) => document[at % length] = *byte,
        Mutation::InValue(at, byte) => {
            let places = &IN_VALUES[index];
            let place = places[at % places.len()] % length;
            document[place] = *byte;
        }
        Mutation::Swap(a, b) => document.swap(a % length, b % length),
        Mutation::Insert(at, byte) => document.insert(at % length, *byte),
        Mutation::Remove(at) => {
            document.remove(at % length);
        }
        Mutation::Replace(at, bytes) => {
            let places = &IN_VALUES[index];
            let start = places[at % places.len()] % length;
            let end = length.min(start + bytes.len());
            document[start..end].copy_from_slice(&bytes[..end - start]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(4000), ..ProptestConfig::default() })]

    #[test]
    fn any_change_gives_what_the_decoder_gives(
        index in any::<usize>(),
        mutations in proptest::collection::vec(mutation(), 0..4),
    ) {
        let index = index % REMEMBERED.documents.len();
        let mut document = REMEMBERED.documents[index].clone();
        for mutation in &mutations {
            apply(&mut document, index, mutation);
        }
        check(&document);
    }

    #[test]
    fn values_of_their_own_alphabet_are_recalled(
        index in 0usize..4,
        changes in proptest::collection::vec(
            (any::<usize>(), proptest::sample::select(b"ABCXYZabcxyz0123456789".to_vec())),
            1..20,
        ),
    ) {
        let mut document = REMEMBERED.documents[index].clone();
        for (at, byte) in changes {
            let places = &IN_VALUES[index];
            let place = places[at % places.len()];
            if document[place].is_ascii_alphanumeric() && document[place + 1] != b'=' {
                document[place] = byte;
            }
        }
        prop_assert!(check(&document));
    }
}
