//! Documents signed here are read here; other programs read them in `tests/interop`.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod common;

use common::{ALGORITHM, NOW, World, with_stream, with_table};
use pades::changes::{Addition, since};
use pades::pdf::Document;
use pades::sign::{PadesError, Prepared};
use pades::signature::{Kind, find};
use pades::store;
use pki::{DigestAlgorithm, Signer as _, cms, tsp};

/// The subjects of the signers, in order, after everything was verified that this crate can.
fn signers(file: &[u8]) -> Vec<String> {
    let document = Document::open(file).unwrap();
    let fields = find(&document).unwrap();
    fields
        .iter()
        .map(|field| {
            let found = field.signature.as_ref().unwrap();
            match found.kind() {
                Kind::Signature => {
                    let signature = cms::Signature::decode(found.value()).unwrap();
                    let digest = found.digest(file, signature.digest_algorithm().unwrap());
                    let verified = signature.verify(&digest).unwrap();
                    verified.certificate().subject().rfc2253()
                }
                Kind::TimeStamp => {
                    let token = tsp::Token::decode(found.value()).unwrap();
                    let (algorithm, imprint) = token.imprint();
                    assert_eq!(found.digest(file, algorithm.unwrap()), *imprint);
                    format!("{}: {}", field.name, token.time())
                }
            }
        })
        .collect()
}

#[test]
fn every_level_of_every_kind_of_file() {
    let world = World::new();
    let person = [world.person.certificate.subject().rfc2253()];
    for file in [
        with_table(),
        with_stream(),
        // Made by qpdf, with their cross-references in two sections.
        include_bytes!("../../../fuzz/corpus/pdf/linearised-table").to_vec(),
        include_bytes!("../../../fuzz/corpus/pdf/linearised-stream").to_vec(),
    ] {
        let signed = world.signed(&file);
        assert!(signed.starts_with(&file), "the document keeps its bytes");
        assert_eq!(signers(&signed), person);

        let long = world.long_term(&file);
        assert_eq!(signers(&long), person);
        let document = Document::open(&long).unwrap();
        let data = store::read(&document.newest()).unwrap();
        assert_eq!((data.certificates.len(), data.ocsp_responses.len()), (3, 2));
        // What is there is not added again.
        assert_eq!(store::add(&long, &data).unwrap(), long);

        let archived = world.archived(&long, NOW + time::Duration::days(1));
        let renewed = store::add(
            &archived,
            &world.validation_data(NOW + time::Duration::days(2)),
        );
        let renewed = world.archived(&renewed.unwrap(), NOW + time::Duration::days(3000));
        assert_eq!(signers(&renewed).len(), 3);
        let document = Document::open(&renewed).unwrap();
        let fields = find(&document).unwrap();
        let first = fields[0].signature.as_ref().unwrap();
        let additions: Vec<Addition> = since(&document, first.revision())
            .unwrap()
            .into_iter()
            .flat_map(Result::unwrap)
            .collect();
        assert_eq!(
            additions,
            [
                Addition::ValidationData,
                Addition::TimeStamp("Timestamp1".to_owned()),
                Addition::ValidationData,
                Addition::TimeStamp("Timestamp2".to_owned()),
            ]
        );
    }
}

#[test]
fn several_people_sign_one_after_the_other() {
    let (one, two) = (World::new(), World::new());
    let file = two.stamped(&one.archived(&one.long_term(&with_stream()), NOW));
    assert_eq!(signers(&file).len(), 3);
    let document = Document::open(&file).unwrap();
    let fields = find(&document).unwrap();
    let transitions = since(&document, fields[0].signature.as_ref().unwrap().revision()).unwrap();
    assert!(transitions.iter().all(Result::is_ok), "{transitions:?}");
    let last = fields[2].signature.as_ref().unwrap();
    assert_eq!(fields[2].name, "Signature2");
    assert_eq!(last.end(), file.len());
    assert_eq!(last.reason(), Some("Макулмун"));
    assert_eq!(last.location(), Some("Bishkek"));
    assert_eq!(last.name(), Some("Асан Үсөнов"));
    assert_eq!(last.claimed_time(), Some(NOW));
    assert!(last.is_modern());
}

#[test]
fn the_hash_goes_out_and_the_signature_comes_in_later() {
    let world = World::new();
    let chain = std::slice::from_ref(&world.root.certificate);
    let prepared = world.prepare(&with_table());
    let (bytes, hash) = (prepared.bytes().to_vec(), prepared.digest());
    drop(prepared);
    let resumed = Prepared::resume(bytes, &world.person.certificate, chain, ALGORITHM).unwrap();
    assert_eq!(resumed.digest(), hash);
    assert_eq!(hash, DigestAlgorithm::Sha256.digest(resumed.to_be_signed()));
    // The value of another key, or over something else, completes nothing.
    let stranger = World::new();
    let wrong = stranger.person.key.sign(resumed.to_be_signed()).unwrap();
    let refused = resumed.clone().finish(&wrong);
    assert!(matches!(refused, Err(PadesError::Signature(_))));
    let other = world.person.key.sign(b"something else").unwrap();
    assert!(resumed.clone().finish(&other).is_err());

    let value = world.person.key.sign(resumed.to_be_signed()).unwrap();
    let signed = resumed.finish(&value).unwrap();
    assert_eq!(signers(signed.bytes()).len(), 1);
    // A document that is signed already has no room; neither has one that was never prepared.
    for bytes in [signed.bytes().to_vec(), with_table()] {
        let again = Prepared::resume(bytes, &world.person.certificate, chain, ALGORITHM);
        assert!(matches!(again, Err(PadesError::NotPrepared)));
    }
    // A time-stamp over another signature is not taken.
    let foreign = stranger.prepare(&with_table()).sign(&stranger.person.key);
    let request = foreign.unwrap().time_stamp_request(DigestAlgorithm::Sha256);
    let token = world.stamp(&request, NOW);
    assert!(matches!(
        signed.with_time_stamp(&token),
        Err(PadesError::TimeStamp(_))
    ));
}
