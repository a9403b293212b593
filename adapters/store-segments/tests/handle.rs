//! The log on real files: commit, read back, restart.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::time::Duration;

use bytes::Bytes;
use messagelog::{
    Attachment, ConfigurationId, Direction, LogError, LogKey, LogKeys, MessageKind, NewRecord,
    RecordQuery, Side, SpoolOwner, StampForm,
};
use store_segments::{BodyStream, LogSettings, MessageLog};
use xroad_id::{ClientId, ServiceId};

const CONFIGURATION: ConfigurationId = ConfigurationId([7; 32]);

fn keys(byte: u8) -> LogKeys {
    LogKeys::only(LogKey::new([byte; 32]))
}

fn record(id: &str, time: u64, attachments: Vec<Attachment>) -> NewRecord {
    let bank = ClientId::from_path("KG/COM/80000001/bank").unwrap();
    let register = ClientId::from_path("KG/GOV/70000001/population").unwrap();
    let signature = format!(
        "<signature><value>{id}</value>{}</signature>",
        "certificate and OCSP response ".repeat(350)
    );
    NewRecord {
        direction: Direction::Request,
        side: Side::Provider,
        kind: MessageKind::Soap,
        query_id: id.to_owned(),
        request_id: None,
        client: bank,
        service: ServiceId::new(register, "personByNumber", Some("v1")).unwrap(),
        time,
        message: Bytes::from(format!("<message>{id}</message>")),
        attachments,
        signature: signature.into(),
        hash_chain: None,
        configuration: CONFIGURATION,
    }
}

fn settings(directory: &std::path::Path) -> LogSettings {
    LogSettings {
        segment_size: 1 << 20,
        ..LogSettings::new(directory.join("log"))
    }
}

async fn content(attachment: &Attachment) -> Vec<u8> {
    match attachment {
        Attachment::Inline(bytes) => bytes.to_vec(),
        Attachment::Sealed(body) => {
            let mut stream = BodyStream::new(body);
            let mut all = Vec::new();
            while let Some(chunk) = stream.next().await {
                all.extend_from_slice(&chunk.unwrap());
            }
            all
        }
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| ((i * 31) >> 4) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_and_bodies_outlive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let log = MessageLog::open(settings(directory.path()), keys(1)).unwrap();
    assert!(matches!(
        log.commit(record("early", 1, vec![])).await,
        Err(LogError::UnknownConfiguration(_))
    ));
    let files = vec![(
        "KG/shared-params.xml".to_owned(),
        Bytes::from_static(b"<conf/>"),
    )];
    log.keep_configuration(CONFIGURATION, files.clone())
        .await
        .unwrap();
    let lengths = [0, 1, 65_535, 65_536, 65_537, 131_072, 3_000_000];
    let mut attachments = Vec::new();
    for length in lengths {
        let mut writer = log.body(SpoolOwner::Peer("peer".into()));
        for piece in pattern(length).chunks(10_000) {
            writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        let body = writer.finish().await.unwrap();
        assert_eq!(body.len(), length as u64);
        attachments.push(Attachment::Sealed(body));
    }
    assert!(log.spool_used() > 3_000_000);
    for (attachment, length) in attachments.iter().zip(lengths) {
        assert_eq!(content(attachment).await, pattern(length));
    }
    attachments.push(Attachment::Inline(Bytes::from_static(b"inline")));
    let id = log
        .commit(record("with bodies", 5, attachments))
        .await
        .unwrap()
        .record_id();
    assert_eq!(log.spool_used(), 0);
    let mut tasks = Vec::new();
    for i in 0..400_u64 {
        let log = log.clone();
        tasks.push(tokio::spawn(async move {
            log.commit(record(&format!("q{i}"), 10 + i, vec![])).await
        }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(log.pending_count(), 401);
    assert_eq!(log.oldest_pending(), Some(5));
    log.accepts(5 + 14_400_000).unwrap();
    assert!(matches!(
        log.accepts(6 + 14_400_000),
        Err(LogError::TimestampingFailed { oldest_pending: 5 })
    ));
    let batch = log.pending(300).await.unwrap();
    assert_eq!(batch.records.len(), 300);
    log.commit_timestamp(batch, StampForm::Batch, Bytes::from_static(b"token"), None)
        .await
        .unwrap();
    assert_eq!(log.pending_count(), 101);
    log.close().await.unwrap();
    assert!(matches!(
        log.commit(record("late", 1, vec![])).await,
        Err(LogError::Closed)
    ));
    drop(log);
    tokio::time::sleep(Duration::from_millis(100)).await;

    assert!(matches!(
        MessageLog::open(settings(directory.path()), keys(2)),
        Err(LogError::WrongLogKey { .. })
    ));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let log = MessageLog::open(settings(directory.path()), keys(1)).unwrap();
    assert_eq!(log.configuration(CONFIGURATION).await.unwrap(), files);
    assert_eq!(log.recovery().records, 401);
    assert_eq!(log.pending_count(), 101);
    let stored = log.get(id).await.unwrap();
    assert!(stored.timestamp.is_some());
    let expected = record("with bodies", 5, vec![]);
    assert_eq!(stored.record.signature, expected.signature);
    for (attachment, length) in stored.record.attachments.iter().zip(lengths) {
        assert_eq!(content(attachment).await, pattern(length));
    }
    for i in (0..400).step_by(13) {
        let found = log
            .find(RecordQuery {
                query_id: Some(format!("q{i}")),
                ..RecordQuery::default()
            })
            .await
            .unwrap();
        assert_eq!(found.len(), 1, "q{i}");
        let expected = record(&format!("q{i}"), 10 + i, vec![]);
        assert_eq!(found[0].record.signature, expected.signature);
        assert_eq!(found[0].record.message, expected.message);
    }
    let range = log
        .find(RecordQuery {
            from: Some(100),
            until: Some(110),
            ..RecordQuery::default()
        })
        .await
        .unwrap();
    assert_eq!(range.len(), 10);
    let rest = log.pending(10_000).await.unwrap();
    assert_eq!(rest.records.len(), 101);
    log.commit_timestamp(rest, StampForm::Batch, Bytes::from_static(b"token2"), None)
        .await
        .unwrap();
    assert_eq!((log.pending_count(), log.oldest_pending()), (0, None));
    let rotated = log.store().keys_rotated_to(LogKey::new([3; 32]));
    log.rotate_log_key(rotated).await.unwrap();
    log.close().await.unwrap();
    // Bodies hold on to the log, to be read.
    drop((log, stored, range));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let log = MessageLog::open(settings(directory.path()), keys(3)).unwrap();
    assert!(log.recovery().unreadable.is_empty());
    assert_eq!(log.pending_count(), 0);
    assert_eq!(log.get(id).await.unwrap().record.query_id, "with bodies");
}

#[tokio::test]
async fn an_unverified_body_over_the_quota_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(directory.path());
    settings.spool.per_peer = 100_000;
    let log = MessageLog::open(settings, keys(1)).unwrap();
    let mut writer = log.body(SpoolOwner::Peer("greedy".into()));
    writer.write(Bytes::from(vec![1; 90_000])).await.unwrap();
    assert!(matches!(
        writer.write(Bytes::from(vec![1; 20_000])).await,
        Err(LogError::SpoolQuota { .. })
    ));
    let mut other = log.body(SpoolOwner::Peer("other".into()));
    other.write(Bytes::from(vec![1; 90_000])).await.unwrap();
    drop(writer);
    let mut again = log.body(SpoolOwner::Peer("greedy".into()));
    again.write(Bytes::from(vec![1; 90_000])).await.unwrap();
}
