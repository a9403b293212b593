//! Fills a log and says what it cost:
//! `append DIRECTORY RECORDS WRITERS [BODY_BYTES [SHARING [MESSAGE_BYTES [SIGNATURE_BYTES]]]]`.
//!
//! Records have a message of 1 KiB and a signature document of 7 KiB in X-Road's
//! shape, which differs from the one before as a real one does; SHARING records in a
//! row have the same one, as those of a signed batch do. Batches of time-stamps come
//! with them. One line of JSON on standard output.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use messagelog::{
    Attachment, ConfigurationId, Direction, INLINE_LIMIT, LogError, LogKey, LogKeys, MessageKind,
    NewRecord, RecordQuery, Side, SpoolOwner, StampForm,
};
use store_segments::{LogSettings, MessageLog};
use xroad_id::{ClientId, ServiceId};

const CONFIGURATION: ConfigurationId = ConfigurationId([1; 32]);

fn cpu_seconds() -> f64 {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    usage.tv_sec as f64 + usage.tv_nsec as f64 / 1e9
}

fn resident_mib() -> f64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        })
        .map_or(0.0, |kib| kib / 1024.0)
}

/// What all records share.
struct Form {
    template: String,
    message: Bytes,
    sharing: u64,
}

fn record(number: u64, form: &Form, body: Option<Attachment>) -> NewRecord {
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let signed = (number / form.sharing).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let value: String = (0..40_u64)
        .map(|i| format!("{:016x}", signed.rotate_left(i as u32).wrapping_mul(i + 1)))
        .collect();
    let signature = form.template.replace("VALUE", &value);
    let client = ClientId {
        instance: "KG".into(),
        member_class: "COM".into(),
        member_code: "80000001".into(),
        subsystem_code: Some("bank".into()),
    };
    NewRecord {
        direction: if number.is_multiple_of(2) {
            Direction::Request
        } else {
            Direction::Response
        },
        side: Side::Provider,
        kind: MessageKind::Soap,
        query_id: format!("{spread:016x}-{}", number / 2),
        request_id: None,
        service: ServiceId {
            client: ClientId {
                member_code: "70000001".into(),
                ..client.clone()
            },
            service_code: "personByNumber".into(),
            service_version: Some("v1".into()),
        },
        client,
        time: 1_790_000_000_000 + number,
        message: form.message.clone(),
        attachments: body.into_iter().collect(),
        signature: signature.into(),
        hash_chain: (form.sharing > 1).then(|| {
            let chain = Bytes::from(vec![b'c'; 900]);
            (chain.slice(..400), chain)
        }),
        configuration: CONFIGURATION,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), LogError> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize, default: u64| {
        arguments
            .get(at)
            .and_then(|argument| argument.parse().ok())
            .unwrap_or(default)
    };
    let directory = arguments
        .get(1)
        .cloned()
        .unwrap_or_else(|| "target/append".into());
    let (records, writers, body_bytes) = (number(2, 20_000), number(3, 64), number(4, 0));
    let opened = Instant::now();
    let log = MessageLog::open(
        LogSettings::new(&directory),
        LogKeys::only(LogKey::new([7; 32])),
    )?;
    let open_ms = opened.elapsed().as_secs_f64() * 1e3;
    log.keep_configuration(
        CONFIGURATION,
        vec![("conf".into(), Bytes::from_static(b"c"))],
    )
    .await?;
    let form = Arc::new(Form {
        template: format!(
            "<signature><value>VALUE</value><rest>{}</rest></signature>",
            (0..number(7, 6_500))
                .map(|i| char::from(b'A' + (i.wrapping_mul(i) >> 3) as u8 % 26))
                .collect::<String>()
        ),
        message: vec![b'm'; number(6, 1024) as usize].into(),
        sharing: number(5, 1).max(1),
    });
    let next = Arc::new(AtomicU64::new(0));
    // What the test itself costs, to be taken off.
    let before = cpu_seconds();
    let mut made = 0;
    for i in 0..2000 {
        made += record(i, &form, None).signature.len();
    }
    let making = (cpu_seconds() - before) / 2000.0;
    assert!(made > 0);
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let mut tasks = Vec::new();
    let base = log.store().record_count();
    for _ in 0..writers {
        let (log, next, form) = (log.clone(), Arc::clone(&next), Arc::clone(&form));
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= records {
                    return Ok::<_, LogError>(latencies);
                }
                let body = if body_bytes > INLINE_LIMIT as u64 {
                    let mut writer = log.body(SpoolOwner::Own);
                    let piece = Bytes::from(vec![3; INLINE_LIMIT]);
                    let mut left = body_bytes as usize;
                    while left > 0 {
                        let length = left.min(piece.len());
                        writer.write(piece.slice(..length)).await?;
                        left -= length;
                    }
                    Some(Attachment::Sealed(writer.finish().await?))
                } else {
                    (body_bytes > 0).then(|| Bytes::from(vec![3; body_bytes as usize]).into())
                };
                let record = record(base + number, &form, body);
                let begun = Instant::now();
                log.commit(record).await?;
                latencies.push(begun.elapsed().as_micros() as u64);
                if log.pending_count() >= 10_000 && number.is_multiple_of(1000) {
                    let pending = log.pending(10_000).await?;
                    if !pending.records.is_empty() {
                        log.commit_timestamp(pending, StampForm::Batch, vec![0; 2000].into(), None)
                            .await?;
                    }
                }
            }
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(
            task.await
                .map_err(|error| LogError::Io(error.to_string()))??,
        );
    }
    let (cpu, wall) = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
    latencies.sort_unstable();
    let at = |part: usize| {
        latencies
            .get(latencies.len() * part / 100)
            .copied()
            .unwrap_or(0)
    };
    let in_log = log.store().record_count();
    let mut lookups = Vec::new();
    let mut found = 0;
    for i in 0..500_u64.min(in_log) {
        let number = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % in_log;
        let search = Instant::now();
        found += log
            .find(RecordQuery {
                query_id: Some(record(number, &form, None).query_id),
                ..RecordQuery::default()
            })
            .await?
            .len();
        lookups.push(search.elapsed().as_micros() as u64);
    }
    lookups.sort_unstable();
    let lookup = |part: usize| {
        lookups
            .get(lookups.len() * part / 100)
            .copied()
            .unwrap_or(0)
    };
    println!(
        "{{\"records\": {records}, \"in_log\": {}, \"writers\": {writers}, \"per_second\": {:.0}, \"cpu_us_per_record\": {:.2}, \"of_which_the_test\": {:.2}, \"p50_us\": {}, \"p99_us\": {}, \"open_ms\": {open_ms:.1}, \"lookup_p50_us\": {}, \"lookup_p99_us\": {}, \"found\": {found}, \"rss_mib\": {:.1}}}",
        log.store().record_count(),
        records as f64 / wall,
        cpu * 1e6 / records as f64,
        making * 1e6,
        at(50),
        at(99),
        lookup(50),
        lookup(99),
        resident_mib(),
    );
    log.close().await
}
