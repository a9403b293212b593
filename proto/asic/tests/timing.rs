//! What checking coverage costs beyond the digests of the parts. Not a test of anything: it
//! prints. Run with `cargo test --release -p asic --test timing -- --ignored --nocapture`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]

use asic::Content;
use asic::hash_chain::{BatchTree, Names, single, verify};
use pki::{Digest, DigestAlgorithm};
use std::hint::black_box;
use std::time::Instant;

struct Message(Vec<(&'static str, Digest)>);

impl Content for Message {
    fn digest(&self, name: &str, _: DigestAlgorithm) -> Option<Digest> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, digest)| *digest)
    }
}

fn digest(text: &str) -> Digest {
    DigestAlgorithm::Sha512.digest(text.as_bytes())
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
fn chains() {
    let step = vec![7u8; 2 * 118];
    let bare = measure(|| {
        black_box(DigestAlgorithm::Sha512.digest(black_box(&step)));
    });
    println!("digest of a step of two values: {bare:.2} us");

    let message = Message(vec![("/message.xml", digest("0"))]);
    let mut tree = BatchTree::new(Names::Signature);
    for index in 0..50 {
        tree.add(&[digest(&index.to_string())]);
    }
    let documents = tree.finish_one(0).unwrap();
    let chain = measure(|| {
        let (result, chain) = (&documents.result, &documents.chain);
        black_box(verify(black_box(result), chain, None, &message).unwrap());
    });
    let levels = documents
        .chain
        .windows(9)
        .filter(|w| *w == b"<hc:HashS")
        .count();
    println!(
        "batch of 50, {levels} steps, {} bytes: {chain:.1} us",
        documents.chain.len()
    );

    let parts = Message(vec![
        ("/message.xml", digest("0")),
        ("/attachment1", digest("1")),
    ]);
    let documents = single(&[digest("0"), digest("1")]);
    let chain = measure(|| {
        let (result, chain) = (&documents.result, &documents.chain);
        black_box(verify(black_box(result), chain, None, &parts).unwrap());
    });
    println!(
        "one message with an attachment, {} bytes: {chain:.1} us",
        documents.chain.len()
    );
}
