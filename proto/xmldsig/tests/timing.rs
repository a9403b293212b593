//! What signing and verifying cost beyond the cryptography. Not a test of anything: it prints.
//! Run with `cargo test -p xmldsig --test timing -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]
#![allow(clippy::disallowed_types, clippy::disallowed_macros)]

mod common;

use common::World;
use pki::{DigestAlgorithm, KeyType, SignError, SignatureAlgorithm, Signer};
use std::hint::black_box;
use std::time::Instant;
use xmldsig::{Signature, SignatureMemory, SignaturePolicyRule, SignatureTarget};

/// Answers at once with a value that was made before.
struct Replay<'w> {
    world: &'w World,
    value: Vec<u8>,
}

impl Signer for Replay<'_> {
    fn public_key(&self) -> &pki::PublicKey {
        self.world.member_key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.world.member_key.algorithm()
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.value.clone())
    }
}

/// Median of the microseconds that one call takes, over slices.
fn measure(mut call: impl FnMut()) -> f64 {
    let mut slices: Vec<f64> = (0..21)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..500 {
                call();
            }
            start.elapsed().as_secs_f64() * 1e6 / 500.0
        })
        .collect();
    slices.sort_by(f64::total_cmp);
    slices[slices.len() / 2]
}

#[test]
#[ignore = "prints timings"]
fn overhead() {
    let world = World::new(KeyType::Rsa2048);
    let template = world.template();
    let digest = DigestAlgorithm::Sha512.digest(b"message");
    let target = SignatureTarget::Message(&digest);
    let replay = Replay {
        world: &world,
        value: vec![7; 256],
    };
    let sign = measure(|| {
        black_box(template.sign(&replay, &target, world.now).unwrap());
    });
    println!("sign: {sign:.1} us without the key");

    let mut documents = vec![(
        "own".to_owned(),
        template
            .sign(&world.member_key, &target, world.now)
            .unwrap(),
    )];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/vectors/xroad/signatures/sign-0.xml");
    if let Ok(bytes) = std::fs::read(folder) {
        documents.push(("X-Road's, broken lines".to_owned(), bytes));
    }
    let big_ocsp = vec![0x30; 4200];
    let big = xmldsig::SignatureTemplate::new(
        &world.member,
        &[&world.ocsp, &big_ocsp],
        &[],
        world.member_key.algorithm(),
    );
    documents.push((
        "larger".to_owned(),
        big.sign(&world.member_key, &target, world.now).unwrap(),
    ));
    for (name, document) in documents {
        let decoded = Signature::decode(&document).unwrap();
        let certificate = pki::Certificate::decode(decoded.certificate_der()).unwrap();
        let decode = measure(|| {
            black_box(Signature::decode(black_box(&document)).unwrap());
        });
        let all = measure(|| {
            let signature = Signature::decode(black_box(&document)).unwrap();
            black_box(
                signature
                    .verify_value(&certificate, SignaturePolicyRule::STRICT)
                    .unwrap(),
            );
        });
        let memory = SignatureMemory::new();
        let rule = SignaturePolicyRule::STRICT.policy_not_required();
        let verified = decoded.verify_value(&certificate, rule).unwrap();
        assert!(memory.remember(&document, &verified));
        let recall = measure(|| {
            black_box(memory.recall(black_box(&document)).unwrap());
        });
        let again = measure(|| {
            let signature = memory.recall(black_box(&document)).unwrap();
            let certificate = signature.known_certificate().unwrap().clone();
            black_box(signature.verify_value(&certificate, rule).unwrap());
        });
        // What differs from one document to the next: a new second, each time.
        let text = String::from_utf8(document.clone()).unwrap();
        let time = text.find("SigningTime>").unwrap() + 12;
        let mut seconds = document.clone();
        let mut count = 0u32;
        let second = measure(|| {
            count += 1;
            seconds[time + 17] = b'0' + (count % 6) as u8;
            black_box(memory.recall(black_box(&seconds)).unwrap());
        });
        let info = vec![b'x'; 1100];
        let value = world.member_key.sign(&info).unwrap();
        let bare = measure(|| {
            world
                .member_key
                .public_key()
                .verify(world.member_key.algorithm(), black_box(&info), &value)
                .unwrap();
        });
        println!(
            "{name} ({} bytes): decode {decode:.1} us, decode and verify {all:.1} us, bare RSA-2048 verification {bare:.1} us; \
             recall {recall:.1} us, recall and verify {again:.1} us, recall in a new second {second:.1} us",
            document.len()
        );
    }
}
