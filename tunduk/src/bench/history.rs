//! A past for the servers: logs full of records, so that what an exchange costs can be compared with and without.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use messagelog::{
    ConfigurationId, Direction, LogError, LogKey, LogKeys, MessageKind, NewRecord, Side, StampForm,
};
use store_segments::{LogSettings, MessageLog};
use xroad_id::{ClientId, ServiceId};

use super::{Failure, logs, runtime};

/// Records that are appended at the same time.
const WRITERS: u64 = 256;
/// Records under one time-stamp.
const STAMPED: usize = 10_000;
const CONFIGURATION: ConfigurationId = ConfigurationId([1; 32]);

/// Appends so many time-stamped records to the log of a server that does not run, given its configuration file.
pub(super) fn fill(configuration: &Path, records: u64) -> Result<(), Failure> {
    let folder = logs::folder_of(configuration);
    let failed = |error: &dyn std::fmt::Display| Failure(format!("{}: {error}", folder.display()));
    let text = fs::read_to_string(configuration.with_file_name("log.key"))
        .map_err(|error| failed(&error))?;
    let mut key = [0; 32];
    for (byte, digits) in key.iter_mut().zip(text.trim().as_bytes().chunks(2)) {
        let digits = str::from_utf8(digits).map_err(|error| failed(&error))?;
        *byte = u8::from_str_radix(digits, 16).map_err(|error| failed(&error))?;
    }
    let log = MessageLog::open(LogSettings::new(&folder), LogKeys::only(LogKey::new(key)))
        .map_err(|error| failed(&error))?;
    runtime()?
        .block_on(append(&log, records))
        .map_err(|error| failed(&error))
}

async fn append(log: &MessageLog, records: u64) -> Result<(), LogError> {
    let files = vec![("conf".to_owned(), Bytes::from_static(b"c"))];
    log.keep_configuration(CONFIGURATION, files).await?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let log = log.clone();
        tasks.push(tokio::spawn(async move {
            for number in (writer..records).step_by(WRITERS as usize) {
                log.commit(record(number, now)).await?;
                if writer == 0 && log.pending_count() >= STAMPED as u64 {
                    stamp(&log).await?;
                }
            }
            Ok::<_, LogError>(())
        }));
    }
    for task in tasks {
        task.await
            .map_err(|error| LogError::Io(error.to_string()))??;
    }
    while log.pending_count() > 0 {
        stamp(log).await?;
    }
    log.close().await
}

async fn stamp(log: &MessageLog) -> Result<(), LogError> {
    let pending = log.pending(STAMPED).await?;
    if pending.records.is_empty() {
        return Ok(());
    }
    log.commit_timestamp(pending, StampForm::Batch, vec![0; 2000].into(), None)
        .await
}

fn record(number: u64, time: u64) -> NewRecord {
    let client = ClientId {
        instance: "KG".into(),
        member_class: "COM".into(),
        member_code: "80000001".into(),
        subsystem_code: Some("bench".into()),
    };
    NewRecord {
        direction: if number.is_multiple_of(2) {
            Direction::Request
        } else {
            Direction::Response
        },
        side: Side::Provider,
        kind: MessageKind::Soap,
        query_id: format!("past-{}", number / 2),
        request_id: None,
        service: ServiceId {
            client: ClientId {
                member_class: "GOV".into(),
                member_code: "70000001".into(),
                ..client.clone()
            },
            service_code: "echo".into(),
            service_version: None,
        },
        client,
        time,
        message: Bytes::from_static(b"<past/>"),
        attachments: Vec::new(),
        signature: Bytes::from(format!("<signature>{number}</signature>")),
        hash_chain: None,
        configuration: CONFIGURATION,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_filled() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log.key"), "07".repeat(32)).unwrap();
        let configuration = folder.path().join("server.toml");
        fill(&configuration, 3000).unwrap();
        let mut log = logs::Log::new(logs::folder_of(&configuration));
        assert_eq!(log.gained().unwrap().records, 3000);
    }
}
