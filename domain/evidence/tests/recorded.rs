//! Messages that a real pair of X-Road's servers exchanged, and signatures of X-Road's own tests,
//! judged to the end: value, coverage, certificate, its status, and the member.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod common;

use asic::{Content, cover, cover_available};
use base64::Engine as _;
use bytes::Bytes;
use evidence::{MessageParties, SignerVerified, verify_signer, verify_signer_with};
use globalconf::certificate_profile::{CertificateProfile, MemberRule, Part};
use globalconf::{CertificateProfiles, GlobalConfiguration, StoredDirectory};
use pki::ocsp::Freshness;
use pki::{Certificate, Digest, DigestAlgorithm};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use time::{Duration, OffsetDateTime};
use xmldsig::{Signature, SignatureError, SignaturePolicyRule, ValueVerified};
use xroad_id::ClientId;
use xroad_message::transport::{
    Direction, Protocol, TransportDecoder, TransportEvent, TransportLimits,
};

/// What X-Road's tests read from subjects: the code in CN, all else is the same for all.
const CLASS: &str =
    "ee.ria.xroad.common.certificateprofile.impl.TestCertificateProfileInfoProvider";

fn profiles() -> CertificateProfiles {
    CertificateProfiles::default().with(CertificateProfile {
        class: Cow::Borrowed(CLASS),
        member: Cow::Owned(vec![MemberRule {
            when: Cow::Borrowed(&[]),
            demand: Cow::Borrowed(&[]),
            instance: Part::ExpectedInstance,
            member_class: Part::Constant(Cow::Borrowed("BUSINESS")),
            member_code: Part::Attribute(Cow::Borrowed("CN")),
        }]),
        signing_subject: Cow::Borrowed(&[]),
        authentication_subject: Cow::Borrowed(&[]),
    })
}

#[derive(Default)]
struct Message {
    parts: HashMap<String, Vec<u8>>,
    chain: Vec<Bytes>,
    signature: Option<Bytes>,
}

impl Content for Message {
    fn digest(&self, name: &str, algorithm: DigestAlgorithm) -> Option<Digest> {
        self.parts.get(name).map(|bytes| algorithm.digest(bytes))
    }
}

/// Content type and body of a recorded HTTP message.
fn body(http: &[u8]) -> (String, Vec<u8>) {
    let split = http.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&http[..split])
        .unwrap()
        .to_ascii_lowercase();
    let original = std::str::from_utf8(&http[..split]).unwrap();
    let at = head.find("\ncontent-type:").unwrap() + 14;
    let content_type = original[at..].lines().next().unwrap().trim().to_owned();
    let mut rest = &http[split + 4..];
    if !head.contains("transfer-encoding: chunked") {
        return (content_type, rest.to_vec());
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|w| w == b"\r\n").unwrap();
        let length = std::str::from_utf8(&rest[..line]).unwrap().trim();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return (content_type, body);
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + length]);
        rest = &rest[line + 2 + length + 2..];
    }
}

fn decode(path: &Path) -> Message {
    let name = path.file_name().unwrap().to_str().unwrap();
    let direction = match name.ends_with(".request") {
        true => Direction::Request,
        false => Direction::Response,
    };
    let protocol = match name.starts_with("rest") {
        true => Protocol::Rest,
        false => Protocol::Soap,
    };
    let (content_type, body) = body(&std::fs::read(path).unwrap());
    let limits = TransportLimits::default();
    let mut decoder = TransportDecoder::new(direction, protocol, &content_type, limits).unwrap();
    decoder.feed(Bytes::from(body));
    let mut message = Message::default();
    let mut attachments = 0;
    while let Some(event) = decoder.next().unwrap() {
        match event {
            TransportEvent::Message { bytes, .. } => {
                message
                    .parts
                    .insert("/message.xml".to_owned(), bytes.to_vec());
            }
            TransportEvent::AttachmentStart(_) | TransportEvent::RestBodyStart => {
                attachments += 1;
                message
                    .parts
                    .insert(format!("/attachment{attachments}"), Vec::new());
            }
            TransportEvent::AttachmentData(data) | TransportEvent::RestBodyData(data) => {
                let name = format!("/attachment{attachments}");
                message
                    .parts
                    .get_mut(&name)
                    .unwrap()
                    .extend_from_slice(&data);
            }
            TransportEvent::HashChainResult(bytes) | TransportEvent::HashChain(bytes) => {
                message.chain.push(bytes);
            }
            TransportEvent::Signature(bytes) => message.signature = Some(bytes),
            _ => {}
        }
    }
    decoder.finish().unwrap();
    message
}

fn verify(signature: &[u8], rule: SignaturePolicyRule) -> Result<ValueVerified, SignatureError> {
    let signature = Signature::decode(signature)?;
    let certificate = Certificate::decode(signature.certificate_der()).unwrap();
    signature.verify_value(&certificate, rule)
}

fn freshness(max_ahead_seconds: u64) -> Freshness {
    Freshness {
        max_ahead_seconds,
        ..Freshness::default()
    }
}

/// The configuration under which the messages were recorded, as far as signers go.
fn recorded_configuration(folder: &Path) -> GlobalConfiguration {
    let certificate = |name: &str| {
        let pem = std::fs::read(folder.join("certificates").join(name)).unwrap();
        let certificate = Certificate::from_pem(pem).unwrap();
        base64::engine::general_purpose::STANDARD.encode(certificate.der())
    };
    let shared = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ns3:conf xmlns:ns2=\"http://x-road.eu/xsd/identifiers\" xmlns:ns3=\"http://x-road.eu/xsd/xroad.xsd\"><instanceIdentifier>EE</instanceIdentifier><approvedCA><name>Cyber</name><authenticationOnly>false</authenticationOnly><topCA><cert>{}</cert><ocsp><url>http://ocsp</url><cert>{}</cert></ocsp></topCA><certificateProfileInfo>{CLASS}</certificateProfileInfo></approvedCA></ns3:conf>",
        certificate("ca.pem"),
        certificate("ocsp.pem"),
    );
    StoredDirectory::decode([
        ("instance-identifier".to_owned(), b"EE".to_vec()),
        ("EE/shared-params.xml".to_owned(), shared.into_bytes()),
    ])
    .unwrap()
    .load_with(&profiles())
    .unwrap()
}

#[test]
fn recorded_messages_are_valid_to_the_end() {
    let Some(folder) = common::vectors() else {
        return;
    };
    let folder = folder.join("recorded");
    let configuration = recorded_configuration(&folder);
    // 2026-11-23T13:36Z
    let now = OffsetDateTime::from_unix_timestamp(1_795_440_960).unwrap();
    for (name, member) in [
        ("rest-get.request", "EE/BUSINESS/consumer"),
        ("rest-get.response", "EE/BUSINESS/producer"),
        ("rest-post.request", "EE/BUSINESS/consumer"),
        ("rest-post.response", "EE/BUSINESS/producer"),
        ("soap.request", "EE/BUSINESS/consumer"),
        ("soap.response", "EE/BUSINESS/producer"),
        ("soap-attachment.request", "EE/BUSINESS/consumer"),
    ] {
        let message = decode(&folder.join(name));
        let value = verify(
            message.signature.as_ref().unwrap(),
            SignaturePolicyRule::STRICT,
        )
        .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut names: Vec<&str> = message.parts.keys().map(String::as_str).collect();
        names.sort_unstable_by_key(|name| (*name != "/message.xml", *name));
        let chain = match message.chain.as_slice() {
            [] => None,
            [result, chain] => Some((&result[..], &chain[..])),
            other => panic!("{name}: {} chain documents", other.len()),
        };
        let covered = cover(&value, &names, &message, chain)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(covered.parts(), names, "{name}");

        // The member whom the message itself names.
        let parties = MessageParties::read(&message.parts["/message.xml"]).unwrap();
        assert_eq!(parties.signer().to_member().path(), member, "{name}");
        // Its responder dates its answers a day ahead; only here is that let pass.
        let judge = |expected: &ClientId, now, ahead| {
            verify_signer_with(&configuration, expected, &value, now, &freshness(ahead))
        };
        let signer: SignerVerified =
            judge(parties.signer(), now, 86_400).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(signer.member().path(), member, "{name}");
        let strict = verify_signer(&configuration, parties.signer(), &value, now).unwrap_err();
        assert!(
            matches!(strict, SignatureError::Ocsp(_)),
            "{name}: {strict}"
        );
        let other = ClientId::member("EE", "BUSINESS", "other").unwrap();
        let wrong = judge(&other, now, 86_400).unwrap_err();
        assert_eq!(wrong.code(), "incorrect_certificate", "{name}: {wrong}");
        let late = judge(parties.signer(), now + Duration::days(3), 86_400).unwrap_err();
        assert!(matches!(late, SignatureError::Ocsp(_)), "{name}: {late}");
    }
}

#[test]
fn single_signatures_of_x_road() {
    let Some(folder) = common::vectors() else {
        return;
    };
    let files = common::stored_configuration(&folder.join("globalconf/globalconf_good_v3"));
    let configuration = StoredDirectory::decode(files)
        .unwrap()
        .load_with(&profiles())
        .unwrap();
    let read = |name: &str| std::fs::read(folder.join("signatures").join(name)).unwrap();
    let consumer = ClientId::member("EE", "BUSINESS", "consumer").unwrap();
    // 2014-10-30; the status answers in the files were put in years later, and X-Road does not
    // look whether an answer is from the future.
    let now = OffsetDateTime::from_unix_timestamp(1_414_627_200).unwrap();
    let years_ahead = freshness(4 * 366 * 86_400);
    let old = SignaturePolicyRule::STRICT.sha1_allowed();
    let judge = |value: &ValueVerified, member: &ClientId| {
        verify_signer_with(&configuration, member, value, now, &years_ahead)
    };

    let single = verify(&read("sign-0.xml"), old).unwrap();
    let mut message = Message::default();
    message
        .parts
        .insert("/message.xml".to_owned(), read("message-0.xml"));
    cover(&single, &["/message.xml"], &message, None).unwrap();
    assert!(
        judge(&single, &consumer)
            .unwrap()
            .member()
            .is_same_member(&consumer)
    );
    let other = ClientId::member("EE", "BUSINESS", "producer").unwrap();
    assert_eq!(
        judge(&single, &other).unwrap_err().code(),
        "incorrect_certificate"
    );
    // Certificates of that time have SHA-1 signatures: without the rule for old evidence, no.
    let strict = verify(&read("sign-0.xml"), SignaturePolicyRule::STRICT).unwrap();
    assert!(judge(&strict, &consumer).is_err());
    assert!(verify_signer(&configuration, &consumer, &single, now).is_err());

    // Of 2014, before signatures named a policy.
    let batch = read("batch-sig.xml");
    let error = verify(&batch, old).unwrap_err();
    assert_eq!(error, SignatureError::Policy("missing"));
    assert_eq!(error.code(), "malformed_signature");
    let batch = verify(&batch, old.policy_not_required()).unwrap();
    message
        .parts
        .insert("/message.xml".to_owned(), read("message-1.xml"));
    let (result, chain) = (read("hash-chain-result.xml"), read("hash-chain-1.xml"));
    let coverage =
        cover_available(&batch, &["/message.xml"], &message, Some((&result, &chain))).unwrap();
    assert_eq!(coverage.parts(), ["/message.xml"]);
    assert!(
        judge(&batch, &consumer)
            .unwrap()
            .member()
            .is_same_member(&consumer)
    );
}
