//! A world of our own: containers written from stored parts are valid, and every way to be
//! wrong is told apart.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

use asic::hash_chain::{BatchTree, ChainDocuments, Names, single};
use base64::Engine as _;
use evidence::{
    Archive, ArchiveLimits, Direction, EvidenceKind, JudgedBy, Options, Report, StoredMessage,
    StoredTimeStamp, Verdict, container_name, signer_key, verify_container, verify_signer,
    write_container,
};
use globalconf::{GlobalConfiguration, StoredDirectory};
use pki::issue::{Profile, Template, issue, self_signed};
use pki::ocsp::{CertificateId, CertificateStatus, SingleResponse};
use pki::tsp::{Request, Stamp, build_token};
use pki::{
    AttributeType, Certificate, Digest, DigestAlgorithm, KeyType, Name, Signer, SoftwareKey,
};
use std::io::Cursor;
use time::{Duration, OffsetDateTime};
use xmldsig::{Signature, SignatureError, SignaturePolicyRule, SignatureTarget, SignatureTemplate};
use xroad_id::ClientId;

const MESSAGE: &[u8] = b"GET\r\n/r1/KG/GOV/70000001/population/persons\r\nX-Road-Client:KG/COM/80000001/bank\r\nx-road-id:KG-1\r\nx-road-request-id:11111111-2222-3333-4444-555555555555\r\n";

struct Identity {
    key: SoftwareKey,
    certificate: Certificate,
}

struct World {
    now: OffsetDateTime,
    authority: Identity,
    bank: Identity,
    stamper: Identity,
}

fn name(parts: &[(&str, &str)]) -> Name {
    let mut builder = Name::builder();
    for (kind, value) in parts {
        builder = builder.push(AttributeType::from_short_name(kind).unwrap(), *value);
    }
    builder.build().unwrap()
}

impl World {
    fn new() -> World {
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
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let certificate = self_signed(
            &template(name(&[("CN", "CA")]), &key, 1, Profile::Authority),
            &key,
        )
        .unwrap();
        let authority = Identity { key, certificate };
        let identity = |subject, serial, kind, profile| {
            let key = SoftwareKey::generate(kind).unwrap();
            let certificate = issue(
                &template(subject, &key, serial, profile),
                &authority.certificate,
                &authority.key,
            )
            .unwrap();
            Identity { key, certificate }
        };
        let member = name(&[("C", "KG"), ("O", "COM"), ("CN", "80000001")]);
        World {
            now,
            bank: identity(member, 2, KeyType::EcP256, Profile::Signing),
            stamper: identity(
                name(&[("CN", "TSA")]),
                3,
                KeyType::Rsa2048,
                Profile::TimeStamping,
            ),
            authority,
        }
    }

    fn configuration(&self, authentication_only: bool) -> GlobalConfiguration {
        let base64 = base64::engine::general_purpose::STANDARD;
        let shared = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ns3:conf xmlns:ns2=\"http://x-road.eu/xsd/identifiers\" xmlns:ns3=\"http://x-road.eu/xsd/xroad.xsd\"><instanceIdentifier>KG</instanceIdentifier><approvedCA><name>CA</name><authenticationOnly>{authentication_only}</authenticationOnly><topCA><cert>{}</cert></topCA><certificateProfileInfo>ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider</certificateProfileInfo></approvedCA><approvedTSA><name>TSA</name><url>http://tsa</url><cert>{}</cert></approvedTSA><member id=\"m1\"><memberClass><code>COM</code><description>c</description></memberClass><memberCode>80000001</memberCode><name>Bank</name></member></ns3:conf>",
            base64.encode(self.authority.certificate.der()),
            base64.encode(self.stamper.certificate.der()),
        );
        StoredDirectory::decode([
            ("instance-identifier".to_owned(), b"KG".to_vec()),
            ("KG/shared-params.xml".to_owned(), shared.into_bytes()),
        ])
        .unwrap()
        .load()
        .unwrap()
    }

    fn ocsp(&self, status: CertificateStatus, this_update: OffsetDateTime) -> Vec<u8> {
        let certificate =
            CertificateId::sha1(&self.authority.certificate, self.bank.certificate.serial());
        pki::ocsp::build(
            &self.authority.certificate,
            &self.authority.key,
            this_update,
            &[SingleResponse {
                certificate,
                status,
                this_update,
                next_update: None,
            }],
            None,
        )
        .unwrap()
    }

    fn token(&self, data: &[u8]) -> Vec<u8> {
        let imprint = DigestAlgorithm::Sha512.digest(data);
        let request = Request::new(DigestAlgorithm::Sha512, imprint);
        let stamp = Stamp {
            policy: "1.2.3.4",
            serial: &[9],
            time: self.now,
            accuracy_seconds: 0,
        };
        build_token(
            &request,
            &stamp,
            &self.stamper.certificate,
            &self.stamper.key,
        )
        .unwrap()
    }

    fn sign(&self, target: &SignatureTarget<'_>, ocsp: &[u8]) -> Vec<u8> {
        SignatureTemplate::new(
            &self.bank.certificate,
            &[ocsp],
            &[],
            self.bank.key.algorithm(),
        )
        .sign(&self.bank.key, target, self.now)
        .unwrap()
    }

    fn good(&self) -> Vec<u8> {
        self.ocsp(CertificateStatus::Good, self.now - Duration::minutes(5))
    }

    fn single(&self, ocsp: &[u8]) -> Vec<u8> {
        let digest = sha512(MESSAGE);
        self.sign(&SignatureTarget::Message(&digest), ocsp)
    }
}

fn sha512(data: &[u8]) -> Digest {
    DigestAlgorithm::Sha512.digest(data)
}

fn container(stored: &StoredMessage<'_>, attachments: &[&[u8]]) -> Vec<u8> {
    let mut writer = write_container(Cursor::new(Vec::new()), stored).unwrap();
    for attachment in attachments {
        writer.start_attachment(attachment.len() as u64).unwrap();
        writer.write(attachment).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn judge(container: Vec<u8>, configuration: &GlobalConfiguration) -> Report {
    verify_container(
        Cursor::new(container),
        Some(configuration),
        &Options::default(),
    )
    .unwrap()
}

fn code(report: &Report) -> &str {
    match &report.verdict {
        Verdict::Invalid { code, .. } => code,
        other => panic!("{other:?}\n{report}"),
    }
}

fn stored<'a>(
    world: &World,
    signature: &'a [u8],
    chain: Option<&'a ChainDocuments>,
    time_stamp: Option<StoredTimeStamp<'a>>,
) -> StoredMessage<'a> {
    StoredMessage {
        message: MESSAGE,
        signature,
        hash_chain: chain.map(|chain| (&chain.result[..], &chain.chain[..])),
        time_stamp,
        time: world.now,
    }
}

#[test]
fn containers_with_their_own_time_stamp() {
    let world = World::new();
    let configuration = world.configuration(false);
    let signature = world.single(&world.good());
    let token = world.token(Signature::decode(&signature).unwrap().value());
    let parts = stored(
        &world,
        &signature,
        None,
        Some(StoredTimeStamp::Single(&token)),
    );
    let report = judge(container(&parts, &[]), &configuration);
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
    let signer = report.signer.as_ref().unwrap();
    assert_eq!(signer.member, "KG/COM/80000001");
    assert!(signer.verified);
    let stamp = report.time_stamp.as_ref().unwrap();
    assert_eq!((stamp.time, stamp.batch), (world.now, false));
    assert_eq!(
        report.message.as_ref().unwrap().direction,
        Direction::Request
    );

    // An attachment that nobody signed.
    let report = judge(container(&parts, &[b"more"]), &configuration);
    assert_eq!(code(&report), "malformed_signature");
    // No time stamp, one over the document instead of the value, one of nobody approved.
    let none = stored(&world, &signature, None, None);
    assert_eq!(
        code(&judge(container(&none, &[]), &configuration)),
        "malformed_signature"
    );
    let wrong = world.token(&signature);
    let wrong = stored(
        &world,
        &signature,
        None,
        Some(StoredTimeStamp::Single(&wrong)),
    );
    assert_eq!(
        code(&judge(container(&wrong, &[]), &configuration)),
        "malformed_signature"
    );
    let other = World::new();
    let token = other.token(Signature::decode(&signature).unwrap().value());
    let other = stored(
        &world,
        &signature,
        None,
        Some(StoredTimeStamp::Single(&token)),
    );
    assert_eq!(
        code(&judge(container(&other, &[]), &configuration)),
        "malformed_signature"
    );
}

#[test]
fn containers_of_a_batch() {
    let world = World::new();
    let configuration = world.configuration(false);
    let attachments: [&[u8]; 2] = [b"one", b"two"];
    // Three messages signed at once, the middle one with attachments; then four signatures
    // stamped at once.
    let mut tree = BatchTree::new(Names::Signature);
    tree.add(&[sha512(b"first")]);
    tree.add(&[sha512(MESSAGE), sha512(b"one"), sha512(b"two")]);
    tree.add(&[sha512(b"third")]);
    let chains = tree.finish().unwrap();
    let digest = sha512(&chains.result);
    let signature = world.sign(&SignatureTarget::HashChainResult(&digest), &world.good());
    let chain = ChainDocuments {
        result: chains.result.clone(),
        chain: chains.chains[1].clone(),
    };
    let mut tree = BatchTree::new(Names::TimeStamp);
    for other in 0..3u8 {
        tree.add(&[sha512(&[other])]);
    }
    tree.add(&[sha512(&signature)]);
    let stamps = tree.finish().unwrap();
    let token = world.token(&stamps.result);
    let time_stamp = StoredTimeStamp::Batch {
        result: &stamps.result,
        chain: &stamps.chains[3],
        token: &token,
    };
    let parts = stored(&world, &signature, Some(&chain), Some(time_stamp));
    let report = judge(container(&parts, &attachments), &configuration);
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
    assert!(report.time_stamp.as_ref().unwrap().batch);
    assert_eq!(report.parts.len(), 3);

    let report = judge(container(&parts, &attachments[..1]), &configuration);
    assert!(
        matches!(&report.verdict, Verdict::Incomplete { missing, .. } if missing == &["attachment2"]),
        "{report}"
    );
    let report = judge(container(&parts, &[b"one", b"2"]), &configuration);
    assert_eq!(code(&report), "malformed_signature.invalid_hash_chain_ref");
    let report = judge(container(&parts, &[b"two", b"one"]), &configuration);
    assert_eq!(code(&report), "malformed_signature.invalid_hash_chain_ref");
    let report = judge(
        container(&parts, &[b"one", b"two", b"three"]),
        &configuration,
    );
    assert_eq!(code(&report), "malformed_signature.hashchain_unused_inputs");
    // The chain of a neighbour.
    let neighbour = ChainDocuments {
        result: chains.result.clone(),
        chain: chains.chains[0].clone(),
    };
    let parts = stored(&world, &signature, Some(&neighbour), Some(time_stamp));
    let report = judge(container(&parts, &[]), &configuration);
    assert_eq!(code(&report), "malformed_signature.invalid_hash_chain_ref");
    // No chain although the signature refers to one.
    let parts = stored(&world, &signature, None, Some(time_stamp));
    let report = judge(container(&parts, &attachments), &configuration);
    assert_eq!(code(&report), "invalid_reference");
    // The time stamp of another signature.
    let wrong = StoredTimeStamp::Batch {
        result: &stamps.result,
        chain: &stamps.chains[2],
        token: &token,
    };
    let parts = stored(&world, &signature, Some(&chain), Some(wrong));
    let report = judge(container(&parts, &attachments), &configuration);
    assert_eq!(code(&report), "malformed_signature");
}

#[test]
fn a_hash_chain_that_is_not_signed_is_noted_and_ignored() {
    let world = World::new();
    let signature = world.single(&world.good());
    let token = world.token(Signature::decode(&signature).unwrap().value());
    let chain = single(&[sha512(b"something else")]);
    let parts = stored(
        &world,
        &signature,
        Some(&chain),
        Some(StoredTimeStamp::Single(&token)),
    );
    let report = judge(container(&parts, &[]), &world.configuration(false));
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
    assert_eq!(report.warnings.len(), 1);
}

#[test]
fn signers() {
    let world = World::new();
    let configuration = world.configuration(false);
    let bank = ClientId::from_path("KG/COM/80000001/bank").unwrap();
    let verify = |ocsp: &[u8], expected: &ClientId, configuration: &GlobalConfiguration, now| {
        let value = Signature::decode(&world.single(ocsp))
            .unwrap()
            .verify_value(&world.bank.certificate, SignaturePolicyRule::STRICT)
            .unwrap();
        verify_signer(configuration, expected, &value, now)
    };
    let good = world.good();
    let verified = verify(&good, &bank, &configuration, world.now).unwrap();
    assert_eq!(verified.member().path(), "KG/COM/80000001");
    assert_eq!(verified.valid_until(), world.now + Duration::minutes(55));
    let error = |ocsp: &[u8], expected: &ClientId, now| {
        verify(ocsp, expected, &configuration, now).unwrap_err()
    };
    let other = ClientId::from_path("KG/COM/80000002/bank").unwrap();
    assert!(matches!(
        error(&good, &other, world.now),
        SignatureError::Signer { .. }
    ));
    let foreign = ClientId::from_path("EE/COM/80000001").unwrap();
    assert_eq!(
        error(&good, &foreign, world.now),
        SignatureError::UnknownIssuer
    );
    let late = world.now + Duration::hours(2);
    assert!(matches!(error(&good, &bank, late), SignatureError::Ocsp(_)));
    let ahead = world.ocsp(CertificateStatus::Good, world.now + Duration::minutes(6));
    assert!(matches!(
        error(&ahead, &bank, world.now),
        SignatureError::Ocsp(_)
    ));
    for status in [
        CertificateStatus::Unknown,
        CertificateStatus::Revoked {
            at: world.now - Duration::days(1),
            reason: None,
        },
    ] {
        let bad = world.ocsp(status, world.now);
        assert_eq!(
            error(&bad, &bank, world.now).code(),
            "invalid_cert_path.cert_validation"
        );
    }
    assert!(matches!(
        error(b"junk", &bank, world.now),
        SignatureError::Ocsp(_)
    ));
    let expired = world.now + Duration::days(101);
    let fresh = world.ocsp(CertificateStatus::Good, expired);
    assert!(matches!(
        error(&fresh, &bank, expired),
        SignatureError::Certificates(_)
    ));
    let only = verify(&good, &bank, &world.configuration(true), world.now).unwrap_err();
    assert!(matches!(only, SignatureError::Certificates(_)));
    let stranger = World::new();
    let error = verify(&good, &bank, &stranger.configuration(false), world.now).unwrap_err();
    assert!(matches!(
        error,
        SignatureError::Certificates(_) | SignatureError::UnknownIssuer
    ));
}

#[test]
fn keys_of_signers_differ_in_everything_that_counts() {
    let world = World::new();
    let configuration = world.configuration(false);
    let value = |ocsp: &[u8]| {
        Signature::decode(&world.single(ocsp))
            .unwrap()
            .verify_value(&world.bank.certificate, SignaturePolicyRule::STRICT)
            .unwrap()
    };
    let bank = ClientId::from_path("KG/COM/80000001/bank").unwrap();
    let good = world.good();
    let key = signer_key(&configuration, &bank, &value(&good));
    assert!(key == signer_key(&configuration, &bank.to_member(), &value(&good)));
    let later = world.ocsp(CertificateStatus::Good, world.now);
    assert!(key != signer_key(&configuration, &bank, &value(&later)));
    assert!(key != signer_key(&world.configuration(true), &bank, &value(&good)));
    let other = ClientId::from_path("KG/COM/80000002").unwrap();
    assert!(key != signer_key(&configuration, &other, &value(&good)));
}

#[test]
fn names_of_containers() {
    assert_eq!(
        container_name("a b/ö*", Direction::Response, 17),
        "a+b%2F%C3%B6*-response-17.asice"
    );
    let long = container_name(&"x".repeat(500), Direction::Request, 1);
    assert_eq!(long.len(), 226 + "-request-1.asice".len());
}

#[test]
fn a_fault_of_a_service_is_evidence_of_its_signer() {
    const FAULT: &[u8] = b"<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>no</faultstring></s:Fault></s:Body></s:Envelope>";
    let world = World::new();
    let configuration = world.configuration(false);
    let judge_message = |message: &'static [u8]| {
        let digest = sha512(message);
        let signature = world.sign(&SignatureTarget::Message(&digest), &world.good());
        let token = world.token(Signature::decode(&signature).unwrap().value());
        let parts = StoredMessage {
            message,
            ..stored(
                &world,
                &signature,
                None,
                Some(StoredTimeStamp::Single(&token)),
            )
        };
        judge(container(&parts, &[]), &configuration)
    };
    let report = judge_message(FAULT);
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
    assert_eq!(report.message, None);
    assert_eq!(report.signer.as_ref().unwrap().member, "KG/COM/80000001");
    assert_eq!(report.warnings.len(), 1);
    // What is no message at all still proves nothing.
    assert_eq!(code(&judge_message(b"hello")), "invalid_message");
}

/// The findings about an archive, by name, with their exit statuses.
fn findings(
    archive: Vec<u8>,
    configuration: &GlobalConfiguration,
) -> Option<Result<Vec<(String, u8)>, String>> {
    let archive = Archive::open(Cursor::new(archive), ArchiveLimits::default())?;
    let mut found = Vec::new();
    let judged = archive.judge(
        JudgedBy::Configuration(configuration),
        &Options::default(),
        || Ok(Cursor::new(Vec::new())),
        |finding| found.push((finding.name.clone(), finding.exit_status())),
    );
    Some(match judged {
        Ok(()) => Ok(found),
        Err(error) => Err(error.to_string()),
    })
}

#[test]
fn an_archive_vouches_for_nothing_but_its_containers() {
    let world = World::new();
    let configuration = world.configuration(false);
    let signature = world.single(&world.good());
    let token = world.token(Signature::decode(&signature).unwrap().value());
    let stamp = StoredTimeStamp::Single(&token);
    let parts = stored(&world, &signature, None, Some(stamp));
    let container = container(&parts, &[]);
    let zipped = |entries: &[(&str, &[u8])]| {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            zip.start_file(*name, zip::write::SimpleFileOptions::default())
                .unwrap();
            std::io::Write::write_all(&mut zip, bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let one = ("one.asice", container.as_slice());
    let archive = zipped(&[one, ("globalconf/index", b"")]);
    let judge = |archive: &[u8]| findings(archive.to_vec(), &configuration);
    let valid = ("one.asice".to_owned(), 0);
    assert_eq!(judge(&archive), Some(Ok(vec![valid.clone()])));
    assert_eq!(
        EvidenceKind::of(Cursor::new(&archive)),
        Some(EvidenceKind::Archive)
    );
    // A file beside the containers, also one that looks like them.
    for stray in ["contract.pdf", "folder/two.asice", "globalconf.txt"] {
        let found = judge(&zipped(&[one, (stray, b"evil")]));
        assert_eq!(found, Some(Ok(vec![(stray.to_owned(), 1), valid.clone()])));
    }
    // A contract in front, which is what its reader sees: that is no evidence.
    for evidence in [&archive, &container] {
        let contract = [b"%PDF-1.7\n".as_slice(), evidence].concat();
        assert_eq!(EvidenceKind::of(Cursor::new(&contract)), None);
        assert_eq!(judge(&contract), None);
    }
    // Something behind, or an entry that the directory does not name.
    let behind = [archive.as_slice(), b"%PDF-1.7"].concat();
    let refused = judge(&behind).unwrap().unwrap_err();
    assert!(refused.contains("two ways"), "{refused}");
}
