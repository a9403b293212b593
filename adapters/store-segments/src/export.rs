//! Evidence for others: containers of single records, and archives of many with
//! the signed configurations that they are judged against.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use evidence::{StoredMessage, StoredTimeStamp};
use messagelog::{
    Attachment, ConfigurationId, Direction, LogError, RecordId, RecordQuery, SegmentDirectory,
    Stamp, StampForm, StampPlace, Store, StoredRecord,
};
use time::OffsetDateTime;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::secret_file::SecretFile;

fn failed(error: impl std::fmt::Display) -> LogError {
    LogError::Export(error.to_string())
}

/// The name of a record's container (reference A13).
pub fn container_name(record: &StoredRecord) -> String {
    evidence::container_name(
        &record.record.query_id,
        match record.record.direction {
            Direction::Request => evidence::Direction::Request,
            Direction::Response => evidence::Direction::Response,
        },
        record.id,
    )
}

/// The last time-stamp that was read: records of a range mostly share it.
#[derive(Default)]
struct Stamps(Option<(StampPlace, Stamp)>);

impl Stamps {
    fn get<D: SegmentDirectory>(
        &mut self,
        store: &Store<D>,
        place: StampPlace,
    ) -> Result<&Stamp, LogError> {
        if self.0.as_ref().is_none_or(|(known, _)| *known != place) {
            self.0 = Some((place, store.stamp(place)?));
        }
        self.0
            .as_ref()
            .map(|(_, stamp)| stamp)
            .ok_or(LogError::Closed)
    }
}

fn write_one<D: SegmentDirectory, W: Write + Seek>(
    store: &Store<D>,
    record: &StoredRecord,
    stamps: &mut Stamps,
    sink: W,
) -> Result<(W, ConfigurationId), LogError> {
    let stored = &record.record;
    let mut configuration = stored.configuration;
    let mut chain = None;
    let mut token = None;
    if let Some(place) = record.timestamp.filter(|place| place.offset > 0) {
        let stamp = stamps.get(store, place)?;
        configuration = stamp.configuration.unwrap_or(configuration);
        token = Some((stamp.form, stamp.token.clone()));
        chain = stamp.hash_chain(record.id);
    }
    let time_stamp = match (&token, &chain) {
        (Some((StampForm::Single, token)), _) => Some(StoredTimeStamp::Single(token)),
        (Some((StampForm::Batch, token)), Some(chain)) => Some(StoredTimeStamp::Batch {
            result: &chain.result,
            chain: &chain.chain,
            token,
        }),
        (Some(_), None) => return Err(failed("the time-stamp does not cover its record")),
        (None, _) => None,
    };
    let seconds = i64::try_from(stored.time / 1000).unwrap_or(0);
    let mut writer = evidence::write_container(
        sink,
        &StoredMessage {
            message: &stored.message,
            signature: &stored.signature,
            hash_chain: stored
                .hash_chain
                .as_ref()
                .map(|(result, chain)| (&result[..], &chain[..])),
            time_stamp,
            time: OffsetDateTime::from_unix_timestamp(seconds)
                .unwrap_or(OffsetDateTime::UNIX_EPOCH),
        },
    )
    .map_err(failed)?;
    for attachment in &stored.attachments {
        writer.start_attachment(attachment.len()).map_err(failed)?;
        match attachment {
            Attachment::Inline(bytes) => writer.write(bytes).map_err(failed)?,
            Attachment::Sealed(body) => {
                for chunk in body.read() {
                    writer.write(&chunk?).map_err(failed)?;
                }
            }
        }
    }
    Ok((writer.finish().map_err(failed)?, configuration))
}

/// Writes the ASiC-E container of one record and gives the sink back. Without a
/// time-stamp it is written all the same, but proves nothing (reference A5).
///
/// # Errors
/// The record's parts cannot be read, or the sink failed.
pub fn write_container<D: SegmentDirectory, W: Write + Seek>(
    store: &Store<D>,
    record: &StoredRecord,
    sink: W,
) -> Result<W, LogError> {
    write_one(store, record, &mut Stamps::default(), sink).map(|(sink, _)| sink)
}

/// What an archive holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveSummary {
    /// How many containers.
    pub containers: u64,
    /// How many of them have no time-stamp yet.
    pub without_timestamp: u64,
}

/// The file of an archive that names, line by line, the configuration of each
/// container: its identifier, a blank, the container's name.
pub const CONFIGURATION_INDEX: &str = "globalconf/index";

/// Writes an archive (zip): the containers of all matching records at its top,
/// and below `globalconf/<identifier>/` every signed configuration that they are
/// judged against: the one in force at the time-stamp, or at the message where
/// there is none.
///
/// # Errors
/// A record or configuration cannot be read, or the sink failed.
pub fn write_archive<D: SegmentDirectory, W: Write + Seek>(
    store: &Store<D>,
    query: &RecordQuery,
    sink: W,
) -> Result<(W, ArchiveSummary), LogError> {
    let mut archive = ZipWriter::new(sink);
    // Containers are compressed already.
    let stored = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(true);
    let mut summary = ArchiveSummary::default();
    let mut configurations = BTreeSet::new();
    let mut index = String::new();
    let mut stamps = Stamps::default();
    let mut outcome: Result<(), LogError> = Ok(());
    store.search(query, &mut |record| {
        outcome = (|| {
            let container = SecretFile::new();
            let (mut container, configuration) = write_one(store, &record, &mut stamps, container)?;
            configurations.insert(configuration);
            index.push_str(&format!("{configuration} {}\n", container_name(&record)));
            container.seek(SeekFrom::Start(0)).map_err(failed)?;
            archive
                .start_file(container_name(&record), stored)
                .map_err(failed)?;
            std::io::copy(&mut container, &mut archive).map_err(failed)?;
            summary.containers += 1;
            summary.without_timestamp += u64::from(record.timestamp.is_none());
            Ok(())
        })();
        if outcome.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    outcome?;
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    archive
        .start_file(CONFIGURATION_INDEX, deflated)
        .map_err(failed)?;
    archive.write_all(index.as_bytes()).map_err(failed)?;
    for id in configurations {
        for (path, content) in store.configuration(id)? {
            archive
                .start_file(format!("globalconf/{id}/{path}"), deflated)
                .map_err(failed)?;
            archive.write_all(&content).map_err(failed)?;
        }
    }
    Ok((archive.finish().map_err(failed)?, summary))
}

/// A finished export, to be read from its start.
#[derive(Debug)]
pub struct Exported {
    /// File name: the container's, or `asic.zip`.
    pub name: String,
    /// Length in bytes.
    pub len: u64,
    /// What it holds.
    pub summary: ArchiveSummary,
    file: SecretFile,
}

impl Exported {
    fn new(name: String, summary: ArchiveSummary, mut file: SecretFile) -> Result<Self, LogError> {
        let len = file.len();
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(Self {
            name,
            len,
            summary,
            file,
        })
    }

    /// The next piece of at most 64 KiB; `None` at the end.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn next_piece(&mut self) -> Result<Option<Bytes>, LogError> {
        let mut piece = vec![0; 64 << 10];
        let read = self.file.read(&mut piece).map_err(failed)?;
        piece.truncate(read);
        Ok((read > 0).then(|| piece.into()))
    }

    /// Everything in one piece.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn into_bytes(mut self) -> Result<Bytes, LogError> {
        let mut all = Vec::new();
        self.file.read_to_end(&mut all).map_err(failed)?;
        Ok(all.into())
    }
}

/// The container of one record.
pub(crate) fn export_one<D: SegmentDirectory>(
    store: &Arc<Store<D>>,
    id: RecordId,
) -> Result<Exported, LogError> {
    let record = store.get(id)?;
    let file = write_container(store, &record, SecretFile::new())?;
    let summary = ArchiveSummary {
        containers: 1,
        without_timestamp: u64::from(record.timestamp.is_none()),
    };
    Exported::new(container_name(&record), summary, file)
}

/// The archive of all matching records.
pub(crate) fn export_archive<D: SegmentDirectory>(
    store: &Arc<Store<D>>,
    query: &RecordQuery,
) -> Result<Exported, LogError> {
    let (file, summary) = write_archive(store, query, SecretFile::new())?;
    Exported::new("asic.zip".to_owned(), summary, file)
}
