//! X-Road's signatures: single files, and the whole HTTP messages that a real pair exchanged.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

#[path = "../../../testkit/vectors.rs"]
mod vectors;

use asic::{Content, Covered, cover, cover_available};
use pki::{Certificate, Digest, DigestAlgorithm};
use std::collections::HashMap;
use std::path::Path;
use xmldsig::{Signature, SignatureError, SignaturePolicyRule, ValueVerified};

#[derive(Default)]
struct Parts(HashMap<String, Vec<u8>>);

impl Parts {
    fn message(message: &[u8]) -> Parts {
        Parts(HashMap::from([(
            "/message.xml".to_owned(),
            message.to_vec(),
        )]))
    }
}

impl Content for Parts {
    fn digest(&self, name: &str, algorithm: DigestAlgorithm) -> Option<Digest> {
        self.0.get(name).map(|bytes| algorithm.digest(bytes))
    }
}

fn verify(signature: &[u8], rule: SignaturePolicyRule) -> Result<ValueVerified, SignatureError> {
    let signature = Signature::decode(signature)?;
    let certificate = Certificate::decode(signature.certificate_der()).unwrap();
    signature.verify_value(&certificate, rule)
}

#[test]
fn single_signatures() {
    let Some(folder) = vectors::vectors() else {
        return;
    };
    let read = |name: &str| std::fs::read(folder.join("signatures").join(name)).unwrap();
    let strict = SignaturePolicyRule::STRICT;

    let good = verify(&read("sign-0.xml"), strict).unwrap();
    let message = Parts::message(&read("message-0.xml"));
    let covered = cover(&good, &["/message.xml"], &message, None).unwrap();
    assert_eq!(covered.parts(), ["/message.xml"]);
    assert!(!covered.through_chain());
    assert_eq!(good.certificate().subject().get("CN"), Some("consumer"));
    let other = Parts::message(&read("message-1.xml"));
    let error = cover(&good, &["/message.xml"], &other, None).unwrap_err();
    assert_eq!(error.code(), "invalid_signature_value");

    for (name, code) in [
        ("sign-0-no-signature.xml", "malformed_signature"),
        ("sign-0-no-signing-cert.xml", "malformed_signature"),
        (
            "sign-0-invalid-signature-value.xml",
            "invalid_signature_value",
        ),
    ] {
        let error = verify(&read(name), strict).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
    }

    let batch = read("batch-sig.xml");
    assert_eq!(
        verify(&batch, strict).unwrap_err(),
        SignatureError::Policy("missing")
    );
    let batch = verify(&batch, strict.policy_not_required()).unwrap();
    let message = Parts::message(&read("message-1.xml"));
    let (result, chain) = (read("hash-chain-result.xml"), read("hash-chain-1.xml"));
    let coverage =
        cover_available(&batch, &["/message.xml"], &message, Some((&result, &chain))).unwrap();
    assert_eq!(coverage.parts(), ["/message.xml"]);
    assert_eq!(coverage.absent(), ["/attachment1"]);
    let error = cover(&batch, &["/message.xml"], &other, Some((&result, &chain))).unwrap_err();
    assert_eq!(error, SignatureError::Absent("/attachment1".to_owned()));
    let error = cover(&batch, &["/message.xml"], &message, None).unwrap_err();
    assert_eq!(error.code(), "invalid_reference");
}

/// The body of an HTTP message and its Content-Type.
fn body(http: &[u8]) -> (String, Vec<u8>) {
    let split = http.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&http[..split]).unwrap();
    let content_type = head
        .lines()
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-type")
                .then(|| value.trim().to_owned())
        })
        .unwrap();
    let mut rest = &http[split + 4..];
    if !head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        // Answers end with the connection.
        return (content_type, rest.to_vec());
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|w| w == b"\r\n").unwrap();
        let length =
            usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap().trim(), 16).unwrap();
        if length == 0 {
            return (content_type, body);
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + length]);
        rest = &rest[line + 2 + length + 2..];
    }
}

/// Content types and bodies of the parts of a multipart.
fn parts(content_type: &str, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let boundary = content_type
        .split("boundary=")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let delimiter = format!("--{}", boundary.trim_matches('"')).into_bytes();
    let mut starts: Vec<usize> = Vec::new();
    for at in 0..body.len() {
        if body[at..].starts_with(&delimiter) {
            starts.push(at);
        }
    }
    starts
        .windows(2)
        .map(|pair| {
            let part = &body[pair[0] + delimiter.len() + 2..pair[1] - 2];
            let split = part.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
            let head = std::str::from_utf8(&part[..split]).unwrap();
            let kind = head
                .lines()
                .next()
                .unwrap()
                .split_once(':')
                .unwrap()
                .1
                .trim();
            (kind.to_owned(), part[split + 4..].to_vec())
        })
        .collect()
}

/// Verifies value and coverage of a recorded message.
fn recorded(path: &Path) -> (ValueVerified, Covered) {
    let (content_type, body) = body(&std::fs::read(path).unwrap());
    let mut content = Parts::default();
    let mut names = Vec::new();
    let (mut result, mut chain, mut signature) = (None, None, None);
    for (kind, bytes) in parts(&content_type, &body) {
        match kind.split(';').next().unwrap() {
            "application/ocsp-response" => {}
            "application/hash-chain-result" => result = Some(bytes),
            "application/hash-chain" => chain = Some(bytes),
            "signature/bdoc-1.0/ts" => signature = Some(bytes),
            "multipart/mixed" => {
                for (index, (_, attachment)) in parts(&kind, &bytes).into_iter().enumerate() {
                    names.push(format!("/attachment{}", index + 1));
                    content
                        .0
                        .insert(format!("/attachment{}", index + 1), attachment);
                }
            }
            "application/x-road-rest-body" => {
                names.push("/attachment1".to_owned());
                content.0.insert("/attachment1".to_owned(), bytes);
            }
            _ => {
                names.push("/message.xml".to_owned());
                content.0.insert("/message.xml".to_owned(), bytes);
            }
        }
    }
    let value = verify(&signature.unwrap(), SignaturePolicyRule::STRICT).unwrap();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let chain = result.as_deref().zip(chain.as_deref());
    let covered = cover(&value, &names, &content, chain)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // Every part that was there must be needed: without one the signature covers too much.
    for left_out in &names {
        let fewer: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| name != left_out)
            .collect();
        assert!(cover(&value, &fewer, &content, chain).is_err());
    }
    // One part more is not covered.
    let mut more = names.clone();
    more.push("/attachment9");
    assert!(cover(&value, &more, &content, chain).is_err());
    for name in &names {
        let mut changed = Parts(content.0.clone());
        changed.0.get_mut(*name).unwrap().push(b' ');
        let error = cover(&value, &names, &changed, chain).unwrap_err();
        let code = if chain.is_some() {
            "malformed_signature.invalid_hash_chain"
        } else {
            "invalid_signature_value"
        };
        assert_eq!(error.code(), code);
    }
    (value, covered)
}

#[test]
fn recorded_messages() {
    let Some(folder) = vectors::vectors() else {
        return;
    };
    let folder = folder.join("recorded");
    let member = |name: &str| {
        Certificate::from_pem(std::fs::read(folder.join("certificates").join(name)).unwrap())
            .unwrap()
    };
    for (name, signer, count, through_chain) in [
        ("rest-get.request", "consumer.pem", 1, false),
        ("rest-get.response", "producer.pem", 2, true),
        ("rest-post.request", "consumer.pem", 2, true),
        ("rest-post.response", "producer.pem", 2, true),
        ("soap.request", "consumer.pem", 1, false),
        ("soap.response", "producer.pem", 1, false),
        ("soap-attachment.request", "consumer.pem", 3, true),
    ] {
        let (value, covered) = recorded(&folder.join(name));
        assert_eq!(value.certificate().der(), member(signer).der(), "{name}");
        assert_eq!(covered.parts().len(), count, "{name}");
        assert_eq!(covered.through_chain(), through_chain, "{name}");
    }
    let (_, fault) = {
        let bytes = std::fs::read(folder.join("soap-fault.response")).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (bytes, text)
    };
    assert!(fault.contains("Fault") && !fault.contains("XAdESSignatures"));
}
