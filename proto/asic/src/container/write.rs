//! Writing a container.

use super::{MEDIA_TYPE, entry};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki::DigestAlgorithm;
use std::io::{Seek, Write};
use thiserror::Error;
use time::OffsetDateTime;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The time stamp of a batch (A4).
#[derive(Debug, Clone, Copy)]
pub struct BatchTimeStamp<'a> {
    /// `ts-hashchainresult.xml`: the bytes that were stamped.
    pub result: &'a [u8],
    /// `ts-hashchain.xml`: from this signature document to the result.
    pub chain: &'a [u8],
    /// DER of the token.
    pub token: &'a [u8],
}

/// Everything of a container except its attachments.
#[derive(Debug, Clone, Copy)]
pub struct ContainerParts<'a> {
    /// Bytes of the message part.
    pub message: &'a [u8],
    /// Bytes of the signature document; with an embedded time stamp (A3) unless there is one of a
    /// batch.
    pub signature: &'a [u8],
    /// Result and chain that came with the signature.
    pub signature_chain: Option<(&'a [u8], &'a [u8])>,
    /// The time stamp, if it is one of a batch.
    pub batch_time_stamp: Option<BatchTimeStamp<'a>>,
}

/// Why a container could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The sink failed.
    #[error("the container could not be written: {0}")]
    Sink(#[from] std::io::Error),
    /// The zip writer refused.
    #[error("the container could not be written: {0}")]
    Zip(#[from] zip::result::ZipError),
}

/// Writes one container, in X-Road's order of entries, `mimetype` first and stored.
///
/// The sink is sought back into after each entry: X-Road's reader does not accept stored entries
/// whose length follows them.
pub struct ContainerWriter<W: Write + Seek> {
    zip: ZipWriter<W>,
    options: SimpleFileOptions,
    attachments: u32,
}

impl<W: Write + Seek> ContainerWriter<W> {
    /// Begins a container and writes everything but the attachments. `time` is the time of the
    /// entries.
    ///
    /// # Errors
    /// [`WriteError`] from the sink.
    pub fn new(
        sink: W,
        parts: &ContainerParts<'_>,
        time: OffsetDateTime,
    ) -> Result<ContainerWriter<W>, WriteError> {
        let mut zip = ZipWriter::new(sink);
        zip.set_comment(format!("mimetype={MEDIA_TYPE}"))?;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip_time(time));
        zip.start_file(
            entry::MIMETYPE,
            options.compression_method(CompressionMethod::Stored),
        )?;
        zip.write_all(MEDIA_TYPE.as_bytes())?;
        let mut writer = ContainerWriter {
            zip,
            options,
            attachments: 0,
        };
        writer.document(entry::MESSAGE, parts.message)?;
        writer.document(entry::SIGNATURE, parts.signature)?;
        let mut listed = vec![entry::MESSAGE];
        if let Some((result, chain)) = parts.signature_chain {
            writer.document(entry::SIGNATURE_CHAIN_RESULT, result)?;
            writer.document(entry::SIGNATURE_CHAIN, chain)?;
            listed.extend([entry::SIGNATURE_CHAIN_RESULT, entry::SIGNATURE_CHAIN]);
        }
        if let Some(stamp) = &parts.batch_time_stamp {
            writer.document(entry::TIME_STAMP_CHAIN_RESULT, stamp.result)?;
            writer.document(entry::TIME_STAMP_CHAIN, stamp.chain)?;
            listed.extend([entry::TIME_STAMP_CHAIN_RESULT, entry::TIME_STAMP_CHAIN]);
        }
        writer.document(entry::MANIFEST, manifest(&listed).as_bytes())?;
        if let Some(stamp) = &parts.batch_time_stamp {
            writer.document(entry::ASIC_MANIFEST, asic_manifest(stamp.result).as_bytes())?;
            writer.document(entry::TIME_STAMP, stamp.token)?;
        }
        Ok(writer)
    }

    fn document(&mut self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let options = self
            .options
            .large_file(bytes.len() as u64 >= u64::from(u32::MAX));
        self.zip.start_file(name, options)?;
        self.zip.write_all(bytes)?;
        Ok(())
    }

    /// Begins the next attachment; its bytes follow through [`Self::write`]. `length` in bytes
    /// may be more than what follows, never less.
    ///
    /// # Errors
    /// [`WriteError`] from the sink.
    pub fn start_attachment(&mut self, length: u64) -> Result<(), WriteError> {
        self.attachments += 1;
        let name = format!("{}{}", entry::ATTACHMENT, self.attachments);
        let options = self
            .options
            .compression_level(Some(1))
            // Deflate may make incompressible data a little longer.
            .large_file(length >= 0xFF00_0000);
        self.zip.start_file(name, options)?;
        Ok(())
    }

    /// Writes bytes of the attachment that was begun last.
    ///
    /// # Errors
    /// [`WriteError`] from the sink.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.zip.write_all(bytes)?;
        Ok(())
    }

    /// Writes the directory of the archive and gives the sink back.
    ///
    /// # Errors
    /// [`WriteError`] from the sink.
    pub fn finish(self) -> Result<W, WriteError> {
        Ok(self.zip.finish()?)
    }
}

/// The time in zip's form; 1980 if it cannot be written.
pub(crate) fn zip_time(time: OffsetDateTime) -> DateTime {
    let time = time.to_offset(time::UtcOffset::UTC);
    u16::try_from(time.year())
        .ok()
        .and_then(|year| {
            DateTime::from_date_and_time(
                year,
                u8::from(time.month()),
                time.day(),
                time.hour(),
                time.minute(),
                time.second(),
            )
            .ok()
        })
        .unwrap_or_default()
}

fn manifest(entries: &[&str]) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <manifest:manifest xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\" \
         manifest:version=\"1.2\">\n  <manifest:file-entry manifest:full-path=\"/\" \
         manifest:media-type=\"{MEDIA_TYPE}\"/>\n"
    );
    for name in entries {
        out.push_str(&format!(
            "  <manifest:file-entry manifest:full-path=\"{name}\" manifest:media-type=\"text/xml\"/>\n"
        ));
    }
    out.push_str("</manifest:manifest>\n");
    out
}

/// `META-INF/ASiCManifest.xml`: the token of a batch is over the chain result with this digest.
#[must_use]
pub fn asic_manifest(time_stamp_chain_result: &[u8]) -> String {
    let algorithm = DigestAlgorithm::Sha512;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <asic:ASiCManifest xmlns:asic=\"http://uri.etsi.org/2918/v1.2.1#\" \
         xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">\n\
         <asic:SigReference MimeType=\"application/vnd.etsi.timestamp-token\" \
         URI=\"{}\"/>\n<asic:DataObjectReference MimeType=\"text/xml\" URI=\"{}\">\
         <ds:DigestMethod Algorithm=\"{}\"/><ds:DigestValue>{}</ds:DigestValue>\
         </asic:DataObjectReference>\n</asic:ASiCManifest>\n",
        entry::TIME_STAMP,
        entry::TIME_STAMP_CHAIN_RESULT,
        algorithm.uri(),
        STANDARD.encode(algorithm.digest(time_stamp_chain_result)),
    )
}
