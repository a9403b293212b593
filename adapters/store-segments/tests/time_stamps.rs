//! Time-stamps of records that come in while others are stamped, segments are sealed and
//! tables merged: each record gets one, and what is counted is what is there.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use messagelog::{
    Committed, ConfigurationId, Direction, LogKey, LogKeys, MessageKind, NewRecord, RecordQuery,
    Side, StampForm,
};
use store_segments::{LogSettings, MessageLog};
use xroad_id::{ClientId, ServiceId};

const CONFIGURATION: ConfigurationId = ConfigurationId([1; 32]);
const WRITERS: u64 = 8;
/// Records under one time-stamp.
const BATCH: usize = 700;

/// `TUNDUK_STAMPED_RECORDS`, or some segments full.
fn records() -> u64 {
    std::env::var("TUNDUK_STAMPED_RECORDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(12_000)
}

fn record(number: u64) -> NewRecord {
    let bank = ClientId::from_path("KG/COM/80000001/bank").unwrap();
    let register = ClientId::from_path("KG/GOV/70000001/population").unwrap();
    NewRecord {
        direction: Direction::Request,
        side: Side::Provider,
        kind: MessageKind::Rest,
        query_id: format!("{number}"),
        request_id: None,
        client: bank,
        service: ServiceId::new(register, "person", None).unwrap(),
        time: 1_790_000_000_000 + number,
        message: Bytes::from_static(b"message"),
        attachments: Vec::new(),
        signature: format!("<signature>{number}{}</signature>", "s".repeat(300)).into(),
        hash_chain: None,
        configuration: CONFIGURATION,
    }
}

/// Stamps what is pending as a server does: what was there when it began, and what fills batches.
async fn stamp(log: &MessageLog) -> usize {
    let (mut left, mut stamped) = (log.pending_count(), 0);
    while left > 0 {
        let pending = log.pending(BATCH).await.unwrap();
        let count = pending.records.len();
        if count == 0 {
            break;
        }
        let token = Bytes::from_static(b"token");
        log.commit_timestamp(pending, StampForm::Batch, token, None)
            .await
            .unwrap();
        stamped += count;
        left = left.saturating_sub(count as u64);
    }
    stamped
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_gets_a_time_stamp_while_the_log_grows() {
    let folder = tempfile::tempdir().unwrap();
    let settings = LogSettings {
        segment_size: 1 << 20,
        ..LogSettings::new(folder.path())
    };
    let log = MessageLog::open(settings, LogKeys::only(LogKey::new([7; 32]))).unwrap();
    log.keep_configuration(
        CONFIGURATION,
        vec![("conf".into(), Bytes::from_static(b"c"))],
    )
    .await
    .unwrap();
    let (next, over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (log, next) = (log.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= records() {
                        break;
                    }
                    let _: Committed = log.commit(record(number)).await.unwrap();
                }
            })
        })
        .collect();
    let stamper = {
        let (log, over) = (log.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            let mut stamped = 0;
            while !over.load(Ordering::Relaxed) {
                stamped += stamp(&log).await;
            }
            stamped
        })
    };
    for writer in writers {
        writer.await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    let stamped = stamper.await.unwrap() + stamp(&log).await;
    assert_eq!(log.pending_count(), 0);
    assert_eq!(log.oldest_pending(), None);
    // Some of all ages, each found by its query identifier as an export does it.
    let step = (records() / 500).max(1) as usize;
    for number in (0..records()).step_by(step).chain([records() - 1]) {
        let query = RecordQuery {
            query_id: Some(number.to_string()),
            ..RecordQuery::default()
        };
        let found = log.find(query).await.unwrap();
        assert_eq!(found.len(), 1, "record {number}");
        assert!(found[0].timestamp.is_some(), "record {number}");
    }
    assert_eq!(stamped as u64, records(), "a record is stamped once");
}
