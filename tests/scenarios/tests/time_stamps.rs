//! The message log, the time-stamping loop and a real time-stamping authority over
//! HTTP: what is exported afterwards is evidence.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use asic::hash_chain::{BatchTree, Names};
use base64::Engine as _;
use bytes::Bytes;
use evidence::{
    Options, StoredMessage, StoredTimeStamp, Verdict, verify_container, write_container,
};
use globalconf::{GlobalConfiguration, StoredDirectory};
use messagelog::{
    Attachment, ConfigurationId, Direction, LogKey, LogKeys, MessageKind, NewRecord, RecordQuery,
    Side, SpoolOwner,
};
use pki::{
    AttributeType, Certificate, Digest, DigestAlgorithm, KeyType, Name, Signer, SoftwareKey, ocsp,
};
use security_server::timestamper::{Authorities, TimestampError, Timestamper};
use store_segments::{LogSettings, MessageLog};
use time::OffsetDateTime;
use tokio::sync::oneshot;
use transport::{Body, HttpClient, PoolLimits, RequestOptions};
use trust_server::{NewTrustStore, TrustServerSettings, TrustStore};
use xmldsig::{SignatureTarget, SignatureTemplate};
use xroad_id::{ClientId, ServiceId};

const CONFIGURATION: ConfigurationId = ConfigurationId([7; 32]);

fn sha512(data: &[u8]) -> Digest {
    DigestAlgorithm::Sha512.digest(data)
}

/// An authority of its own that listens, and a bank that signs.
struct World {
    _folder: tempfile::TempDir,
    url: String,
    tsa: Certificate,
    configuration: GlobalConfiguration,
    key: SoftwareKey,
    template: SignatureTemplate,
    client: HttpClient,
    _stop: oneshot::Sender<()>,
    log: MessageLog,
}

async fn listen(directory: &Path) -> (SocketAddr, oneshot::Sender<()>) {
    let settings = TrustServerSettings::new(directory.to_owned(), "127.0.0.1:0".parse().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, address) = oneshot::channel();
    tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        trust_server::run(settings, stopped, |address| {
            let _ = ready.send(address);
        })
        .await
        .unwrap();
    });
    (address.await.unwrap(), stop)
}

fn configuration(ca: &Certificate, tsa: &Certificate) -> GlobalConfiguration {
    let base64 = base64::engine::general_purpose::STANDARD;
    let shared = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ns3:conf xmlns:ns2=\"http://x-road.eu/xsd/identifiers\" xmlns:ns3=\"http://x-road.eu/xsd/xroad.xsd\"><instanceIdentifier>KG</instanceIdentifier><approvedCA><name>CA</name><authenticationOnly>false</authenticationOnly><topCA><cert>{}</cert></topCA><certificateProfileInfo>ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider</certificateProfileInfo></approvedCA><approvedTSA><name>TSA</name><url>http://tsa</url><cert>{}</cert></approvedTSA><member id=\"m1\"><memberClass><code>COM</code><description>c</description></memberClass><memberCode>80000001</memberCode><name>Bank</name></member></ns3:conf>",
        base64.encode(ca.der()),
        base64.encode(tsa.der()),
    );
    StoredDirectory::decode([
        ("instance-identifier".to_owned(), b"KG".to_vec()),
        ("KG/shared-params.xml".to_owned(), shared.into_bytes()),
    ])
    .unwrap()
    .load()
    .unwrap()
}

impl World {
    async fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let trust = folder.path().join("trust");
        let new = NewTrustStore::for_instance("KG", KeyType::EcP256).unwrap();
        let store = TrustStore::create(&trust, &new).unwrap();
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let subject = Name::builder()
            .push(AttributeType::from_short_name("C").unwrap(), "KG")
            .push(AttributeType::Organization, "COM")
            .push(AttributeType::CommonName, "80000001")
            .build()
            .unwrap();
        let certificate = store.issue_sign(subject, key.public_key()).unwrap();
        let (address, stop) = listen(&trust).await;
        let client = HttpClient::new(PoolLimits::default()).unwrap();
        let ca = store.ca_certificate().clone();
        let asked = http::Request::post(format!("http://{address}/ocsp"))
            .header("content-type", "application/ocsp-request")
            .body(Body::full(
                ocsp::Request::for_certificate(&certificate, &ca).encode(),
            ))
            .unwrap();
        let answer = client
            .request(asked, &RequestOptions::default())
            .await
            .unwrap();
        let status = answer.into_body().collect(1 << 20).await.unwrap();
        let template = SignatureTemplate::new(&certificate, &[status], &[], key.algorithm());
        let tsa = store.tsa_certificate().clone();
        let log = MessageLog::open(
            LogSettings {
                segment_size: 1 << 20,
                ..LogSettings::new(folder.path().join("log"))
            },
            LogKeys::only(LogKey::new([1; 32])),
        )
        .unwrap();
        let kept = vec![("KG/shared-params.xml".to_owned(), Bytes::from_static(b"c"))];
        log.keep_configuration(CONFIGURATION, kept).await.unwrap();
        World {
            _folder: folder,
            url: format!("http://{address}/tsa"),
            configuration: configuration(&ca, &tsa),
            tsa,
            key,
            template,
            client,
            _stop: stop,
            log,
        }
    }

    fn timestamper(&self, urls: Vec<String>) -> Timestamper {
        let certificates = vec![self.tsa.clone()];
        Timestamper::new(self.log.clone(), self.client.clone(), move || {
            Some(Authorities {
                urls: urls.clone(),
                certificates: certificates.clone(),
                interval: Duration::from_secs(60),
                configuration: CONFIGURATION,
            })
        })
    }

    fn sign(&self, target: &SignatureTarget<'_>) -> Bytes {
        self.template
            .sign(&self.key, target, OffsetDateTime::now_utc())
            .unwrap()
            .into()
    }

    /// A message that is signed alone.
    fn alone(&self, number: u32) -> NewRecord {
        let message = message(number);
        let digest = sha512(&message);
        let signature = self.sign(&SignatureTarget::Message(&digest));
        record(number, message, signature, None)
    }

    fn is_evidence(&self, container: Vec<u8>, batch: bool) {
        let report = verify_container(
            Cursor::new(container),
            Some(&self.configuration),
            &Options::default(),
        )
        .unwrap();
        assert_eq!(report.verdict, Verdict::Valid, "{report}");
        assert_eq!(report.time_stamp.as_ref().unwrap().batch, batch);
    }
}

fn message(number: u32) -> Bytes {
    format!("GET\r\n/r1/KG/GOV/70000001/population/persons\r\nX-Road-Client:KG/COM/80000001/bank\r\nx-road-id:KG-{number}\r\nx-road-request-id:11111111-2222-3333-4444-{number:012}\r\n").into()
}

fn record(
    number: u32,
    message: Bytes,
    signature: Bytes,
    hash_chain: Option<(Bytes, Bytes)>,
) -> NewRecord {
    NewRecord {
        direction: Direction::Request,
        side: Side::Provider,
        kind: MessageKind::Rest,
        query_id: format!("KG-{number}"),
        request_id: Some(format!("11111111-2222-3333-4444-{number:012}")),
        client: ClientId::from_path("KG/COM/80000001/bank").unwrap(),
        service: ServiceId::new(
            ClientId::from_path("KG/GOV/70000001/population").unwrap(),
            "persons",
            None,
        )
        .unwrap(),
        time: 1_795_000_000_000 + u64::from(number),
        message,
        attachments: Vec::new(),
        signature,
        hash_chain,
        configuration: CONFIGURATION,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_stamped_and_exported_as_evidence() {
    let world = World::new().await;
    for number in 0..5 {
        world.log.commit(world.alone(number)).await.unwrap();
    }
    // Three messages of one signed batch, the middle one with a body in the log.
    let body = Bytes::from(vec![b'b'; 200_000]);
    let mut tree = BatchTree::new(Names::Signature);
    for number in 5..8 {
        let mut parts = vec![sha512(&message(number))];
        if number == 6 {
            parts.push(sha512(&body));
        }
        tree.add(&parts);
    }
    let chains = tree.finish().unwrap();
    let digest = sha512(&chains.result);
    let signature = world.sign(&SignatureTarget::HashChainResult(&digest));
    for (number, chain) in (5..8).zip(&chains.chains) {
        let chain = (chains.result.clone().into(), chain.clone().into());
        let mut new = record(number, message(number), signature.clone(), Some(chain));
        if number == 6 {
            let mut writer = world.log.body(SpoolOwner::Own);
            writer.write(body.clone()).await.unwrap();
            new.attachments
                .push(Attachment::Sealed(writer.finish().await.unwrap()));
        }
        world.log.commit(new).await.unwrap();
    }
    assert_eq!(world.log.pending_count(), 8);

    let nobody = world.timestamper(vec!["http://127.0.0.1:1/tsa".into()]);
    assert!(matches!(
        nobody.stamp_pending().await,
        Err(TimestampError::Authority(_))
    ));
    assert_eq!(world.log.pending_count(), 8);
    // The second authority answers where the first does not.
    let timestamper = world.timestamper(vec!["http://127.0.0.1:1/tsa".into(), world.url.clone()]);
    assert_eq!(timestamper.stamp_pending().await.unwrap(), 8);
    assert_eq!(world.log.pending_count(), 0);

    let all = world.log.find(RecordQuery::default()).await.unwrap();
    assert_eq!(all.len(), 8);
    for stored in &all {
        let exported = world.log.export(stored.id).await.unwrap();
        assert!(exported.name.ends_with(".asice") && exported.summary.without_timestamp == 0);
        let len = exported.len;
        let bytes = exported.into_bytes().unwrap();
        assert_eq!(bytes.len() as u64, len);
        world.is_evidence(bytes.to_vec(), true);
    }

    let mut exported = world
        .log
        .export_archive(RecordQuery::default())
        .await
        .unwrap();
    assert_eq!(exported.summary.containers, 8);
    let mut archive = Vec::new();
    while let Some(piece) = exported.next_piece().unwrap() {
        archive.extend_from_slice(&piece);
    }
    assert_eq!(archive.len() as u64, exported.len);
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let names: Vec<String> = archive
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    let containers: Vec<&String> = names
        .iter()
        .filter(|name| name.ends_with(".asice"))
        .collect();
    assert_eq!(containers.len(), 8);
    let mut index = String::new();
    archive
        .by_name("globalconf/index")
        .unwrap()
        .read_to_string(&mut index)
        .unwrap();
    let index: HashMap<&str, &str> = index
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(id, name)| (name, id))
        .collect();
    for name in containers {
        let mut container = Vec::new();
        archive
            .by_name(name)
            .unwrap()
            .read_to_end(&mut container)
            .unwrap();
        world.is_evidence(container, true);
        let kept = format!("globalconf/{}/KG/shared-params.xml", index[name.as_str()]);
        assert!(names.contains(&kept), "{kept}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_alone_has_a_time_stamp_of_its_own() {
    let world = World::new().await;
    let id = world.log.commit(world.alone(1)).await.unwrap().record_id();
    let other = world.log.commit(world.alone(2)).await.unwrap().record_id();
    let unstamped = world.log.export(id).await.unwrap();
    assert_eq!(unstamped.summary.without_timestamp, 1);
    let timestamper = world.timestamper(vec![world.url.clone()]);
    timestamper.stamp_single(id).await.unwrap();
    timestamper.stamp_single(id).await.unwrap();
    assert_eq!(world.log.pending_count(), 1);
    let exported = world.log.export(id).await.unwrap();
    world.is_evidence(exported.into_bytes().unwrap().to_vec(), false);
    // On demand, in a batch of one.
    timestamper.stamp_now(vec![id, other]).await.unwrap();
    let exported = world.log.export(other).await.unwrap();
    world.is_evidence(exported.into_bytes().unwrap().to_vec(), true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loop_stamps_when_the_interval_is_over() {
    let world = World::new().await;
    world.log.commit(world.alone(1)).await.unwrap();
    let (url, tsa) = (world.url.clone(), world.tsa.clone());
    let timestamper = Timestamper::new(world.log.clone(), world.client.clone(), move || {
        Some(Authorities {
            urls: vec![url.clone()],
            certificates: vec![tsa.clone()],
            interval: Duration::from_secs(1),
            configuration: CONFIGURATION,
        })
    });
    let task = tokio::spawn(timestamper.run());
    let mut waited = 0;
    while world.log.pending_count() > 0 {
        assert!(waited < 300, "no time-stamp came");
        waited += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    task.abort();
}

/// Ours are over SHA-256, X-Road's over SHA-512: both are evidence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_of_either_algorithm_hold() {
    let world = World::new().await;
    let mine = world.alone(3);
    for algorithm in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512] {
        let mut tree = BatchTree::with_algorithm(Names::TimeStamp, algorithm);
        tree.add(&[algorithm.digest(b"the signature of another one")]);
        tree.add(&[algorithm.digest(&mine.signature)]);
        tree.add(&[algorithm.digest(b"and another one")]);
        let chain = tree.finish_one(1).unwrap();
        let imprint = sha512(&chain.result);
        let request = pki::tsp::Request::new(DigestAlgorithm::Sha512, imprint).encode();
        let asked = http::Request::post(&world.url)
            .header("content-type", "application/timestamp-query")
            .body(Body::full(request))
            .unwrap();
        let answer = world
            .client
            .request(asked, &RequestOptions::default())
            .await
            .unwrap();
        let answer = answer.into_body().collect(1 << 20).await.unwrap();
        let token = pki::tsp::decode_response(&answer).unwrap();
        let verified = token
            .verify(
                DigestAlgorithm::Sha512,
                &imprint,
                std::slice::from_ref(&world.tsa),
            )
            .unwrap();
        let token = token.with_certificate(verified.signer()).unwrap();
        let stored = StoredMessage {
            message: &mine.message,
            signature: &mine.signature,
            hash_chain: None,
            time_stamp: Some(StoredTimeStamp::Batch {
                result: &chain.result,
                chain: &chain.chain,
                token: token.der(),
            }),
            time: OffsetDateTime::now_utc(),
        };
        let container = write_container(Cursor::new(Vec::new()), &stored)
            .unwrap()
            .finish()
            .unwrap();
        world.is_evidence(container.into_inner(), true);
    }
}
