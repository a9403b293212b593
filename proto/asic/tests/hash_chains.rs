//! Hash chains: X-Road's vectors, and what is written here is read here.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

#[path = "../../../testkit/vectors.rs"]
mod vectors;

use asic::Content;
use asic::hash_chain::{BatchTree, Names, single, verify};
use pki::{Digest, DigestAlgorithm};
use std::collections::HashMap;
use xmldsig::SignatureError;

#[derive(Default, Clone)]
struct Parts(HashMap<String, Digest>);

impl Parts {
    fn with(mut self, name: &str, digest: Digest) -> Parts {
        self.0.insert(name.to_owned(), digest);
        self
    }
}

impl Content for Parts {
    fn digest(&self, name: &str, _: DigestAlgorithm) -> Option<Digest> {
        self.0.get(name).copied()
    }
}

#[test]
fn vectors_of_x_road() {
    let Some(folder) = vectors::vectors() else {
        return;
    };
    let read = |name: &str| std::fs::read(folder.join("hash-chains").join(name)).unwrap();
    let sha256 = |data: &[u8]| DigestAlgorithm::Sha256.digest(data);

    let result = read("hc-verifier1-hashchainresult.xml");
    let chain = read("hc-verifier1-hashchain.xml");
    let message = read("hc-verifier1-message.xml");
    let good = Parts::default().with("/message.xml", sha256(&message));
    let usage = verify(&result, &chain, Some("/hashchain.xml"), &good).unwrap();
    assert_eq!(usage.present, ["/message.xml"]);
    assert!(usage.absent.is_empty());
    let wrong = Parts::default().with("/message.xml", sha256(b"other"));
    let error = verify(&result, &chain, None, &wrong).unwrap_err();
    assert_eq!(error.code(), "malformed_signature.invalid_hash_chain");
    let more = good.with("/attachment1", sha256(b"more"));
    let usage = verify(&result, &chain, None, &more).unwrap();
    let error = usage
        .require(&["/message.xml", "/attachment1"])
        .unwrap_err();
    assert_eq!(error.code(), "malformed_signature.hashchain_unused_inputs");

    let result = read("hc-verifier2-hashchainresult.xml");
    let chain = read("hc-verifier2-hashchain.xml");
    let byte = |value: u8| Digest::from_bytes(&[value]).unwrap();
    let all = Parts::default()
        .with("/message.xml", byte(0x0B))
        .with("/attachment1", byte(0x0C))
        .with("/attachment2", byte(0x0D))
        .with("/attachment3", byte(0x0E));
    let usage = verify(&result, &chain, None, &all).unwrap();
    assert_eq!(usage.present.len(), 4);
    let some = Parts::default().with("/message.xml", byte(0x0B));
    let usage = verify(&result, &chain, None, &some).unwrap();
    assert_eq!(
        usage.absent,
        ["/attachment1", "/attachment2", "/attachment3"]
    );

    let result = read("hc-verifier1-hashchainresult.xml");
    let chain = read("hc-verifier5-hashchain-invalid-schema.xml");
    let error = verify(&result, &chain, None, &some).unwrap_err();
    assert_eq!(error.code(), "malformed_signature.malformed_hash_chain");
}

fn digest(text: &str) -> Digest {
    DigestAlgorithm::Sha512.digest(text.as_bytes())
}

#[test]
fn one_message_with_attachments() {
    let parts = [digest("message"), digest("one"), digest("two")];
    let documents = single(&parts);
    let content = Parts::default()
        .with("/message.xml", parts[0])
        .with("/attachment1", parts[1])
        .with("/attachment2", parts[2]);
    let usage = verify(
        &documents.result,
        &documents.chain,
        Some("/sig-hashchain.xml"),
        &content,
    )
    .unwrap();
    assert_eq!(
        usage.present,
        ["/message.xml", "/attachment1", "/attachment2"]
    );
    let swapped = content
        .with("/attachment1", parts[2])
        .with("/attachment2", parts[1]);
    assert_eq!(
        verify(&documents.result, &documents.chain, None, &swapped),
        Err(SignatureError::HashChain)
    );
}

#[test]
fn every_message_of_a_batch_is_led_to_the_same_result() {
    for size in 1..=50usize {
        let mut tree = BatchTree::new(Names::Signature);
        let parts = |n: usize| -> Vec<Digest> {
            (0..=(n % 3))
                .map(|part| digest(&format!("{n}/{part}")))
                .collect()
        };
        for n in 0..size {
            tree.add(&parts(n));
        }
        assert_eq!(tree.len(), size);
        let chains = tree.finish().unwrap();
        assert_eq!(chains.chains.len(), size);
        for n in 0..size {
            let mut content = Parts::default();
            for (index, digest) in parts(n).into_iter().enumerate() {
                let name = match index {
                    0 => "/message.xml".to_owned(),
                    k => format!("/attachment{k}"),
                };
                content = content.with(&name, digest);
            }
            let usage = verify(
                &chains.result,
                &chains.chains[n],
                Some("/sig-hashchain.xml"),
                &content,
            )
            .unwrap_or_else(|error| panic!("{n} of {size}: {error}"));
            assert_eq!(usage.present.len(), content.0.len());
            assert!(usage.absent.is_empty());
            let other = content.with("/message.xml", digest("other"));
            assert!(verify(&chains.result, &chains.chains[n], None, &other).is_err());
        }
    }
    assert!(BatchTree::new(Names::TimeStamp).finish().is_none());
}

#[test]
fn chains_cut_anywhere_are_refused() {
    let parts = [digest("message"), digest("one")];
    let documents = single(&parts);
    let content = Parts::default()
        .with("/message.xml", parts[0])
        .with("/attachment1", parts[1]);
    let end = documents.chain.trim_ascii_end().len();
    for length in 0..end {
        assert!(
            verify(
                &documents.result,
                &documents.chain[..length],
                None,
                &content
            )
            .is_err()
        );
    }
    let end = documents.result.trim_ascii_end().len();
    for length in 0..end {
        assert!(
            verify(
                &documents.result[..length],
                &documents.chain,
                None,
                &content
            )
            .is_err()
        );
    }
}

#[test]
fn crafted_chains() {
    let result = |chain: &str| {
        let documents = single(&[digest("m")]);
        let content = Parts::default().with("/message.xml", digest("m"));
        verify(&documents.result, chain.as_bytes(), None, &content).unwrap_err()
    };
    let step = |inner: &str| {
        format!(
            "<h:HashChain xmlns:h=\"http://cyber.ee/hashchain\" xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><h:DefaultDigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\"/>{inner}</h:HashChain>"
        )
    };
    for inner in [
        "<h:HashStep id='STEP0'><h:StepRef URI='#STEP0'/></h:HashStep>",
        "<h:HashStep id='STEP0'><h:StepRef URI='#STEP1'/></h:HashStep><h:HashStep id='STEP1'><h:StepRef URI='#STEP0'/></h:HashStep>",
        "<h:HashStep id='STEP0'><h:StepRef URI='#STEP9'/></h:HashStep>",
        "<h:HashStep id='STEP0'/><h:HashStep id='STEP0'/>",
        "<h:HashStep id='STEP0'><h:StepRef URI='/other.xml#STEP0'/></h:HashStep>",
        "<h:HashStep id='STEP0'>text</h:HashStep>",
        "<h:HashStep id='STEP0'><h:DataRef URI='/message.xml'/></h:HashStep>",
        "<h:HashStep id='STEP0'><h:DataRef URI='/m'><DigestValue>AA==</DigestValue></h:DataRef><h:DataRef URI='/m'><DigestValue>AA==</DigestValue></h:DataRef></h:HashStep>",
        "<h:HashStep id='STEP0'><h:DataRef URI='/m'><Transforms/><DigestValue>AA==</DigestValue></h:DataRef></h:HashStep>",
    ] {
        assert_eq!(
            result(&step(inner)).code(),
            "malformed_signature.malformed_hash_chain",
            "{inner}"
        );
    }
    let deep: String = (0..80)
        .map(|n| {
            format!(
                "<h:HashStep id='STEP{n}'><h:StepRef URI='#STEP{}'/></h:HashStep>",
                n + 1
            )
        })
        .collect();
    assert_eq!(
        result(&step(&deep)).code(),
        "malformed_signature.malformed_hash_chain"
    );
}
