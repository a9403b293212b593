//! Reading a container.

use super::{MEDIA_TYPE, entry};
use crate::cover::{Content, DigestSource};
use crate::layout;
use pki::{Digest, DigestAlgorithm};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Read, Seek, Write};
use thiserror::Error;
use xmldsig::MESSAGE;
use zip::ZipArchive;
use zip::result::ZipError;

/// Bounds that a container must keep to.
#[derive(Debug, Clone, Copy)]
pub struct ContainerLimits {
    /// Number of entries.
    pub entries: usize,
    /// Bytes of `message.xml`.
    pub message: u64,
    /// Bytes of any other entry that is read into memory.
    pub document: u64,
    /// Bytes of one attachment, which is never read into memory.
    pub attachment: u64,
}

impl Default for ContainerLimits {
    fn default() -> Self {
        ContainerLimits {
            entries: 10_000,
            message: 256 << 20,
            document: 1 << 20,
            attachment: 1 << 40,
        }
    }
}

/// Why a file is not a container. Whoever wrote the file is at fault, except for
/// [`ContainerError::Read`].
#[derive(Debug, Error)]
pub enum ContainerError {
    /// The file could not be read at all.
    #[error("the file cannot be read: {0}")]
    Read(std::io::Error),
    /// Not a zip archive, or one without `mimetype`.
    #[error("not an ASiC-E container: there is no entry named mimetype")]
    NoMimeType,
    /// `mimetype` says something else.
    #[error("the entry mimetype does not say that this is an ASiC-E container")]
    OtherMimeType,
    /// There is no message.
    #[error("the container has no message.xml")]
    NoMessage,
    /// There is no signature.
    #[error("the container has no META-INF/signatures.xml")]
    NoSignature,
    /// Only one half of a hash chain is there.
    #[error("the container lacks {0}")]
    HalfChain(&'static str),
    /// Two readers could see different things.
    #[error("the container can be understood in two ways: {0}")]
    Ambiguous(&'static str),
    /// More or larger entries than the limits allow.
    #[error("the container is larger than the limits: {0}")]
    TooLarge(String),
    /// An entry is damaged.
    #[error("the container's entry {0} is damaged")]
    Damaged(String),
}

impl ContainerError {
    /// X-Road's code, spelling of 7.8.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ContainerError::Read(_) | ContainerError::Damaged(_) | ContainerError::TooLarge(_) => {
                "io_error"
            }
            ContainerError::NoMimeType => "asic_mime_type_not_found",
            ContainerError::OtherMimeType => "asic_invalid_mime_type",
            ContainerError::NoMessage => "asic_message_not_found",
            ContainerError::NoSignature => "asic_signature_not_found",
            ContainerError::HalfChain(name) if name.ends_with("result.xml") => {
                "asic_hash_chain_result_not_found"
            }
            ContainerError::HalfChain(_) => "asic_hash_chain_not_found",
            ContainerError::Ambiguous(_) => "malformed_signature",
        }
    }
}

/// A hash chain's result, and the chain.
type Documents = (Vec<u8>, Vec<u8>);

struct Attachment {
    name: String,
    index: usize,
    size: u64,
}

/// An opened container. The small documents are in memory, attachments are read when their digest
/// is asked for.
pub struct Container<R> {
    archive: RefCell<ZipArchive<R>>,
    message: Vec<u8>,
    signature: Vec<u8>,
    signature_chain: Option<Documents>,
    time_stamp_chain: Option<Documents>,
    asic_manifest: Option<Vec<u8>>,
    time_stamp: Option<Vec<u8>>,
    attachments: Vec<Attachment>,
    unknown: Vec<String>,
    digests: RefCell<HashMap<(String, DigestAlgorithm), Digest>>,
    damaged: RefCell<Option<String>>,
}

fn archive_error(error: ZipError) -> ContainerError {
    match error {
        ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            ContainerError::Read(error)
        }
        _ => ContainerError::NoMimeType,
    }
}

impl<R: Read + Seek> Container<R> {
    /// Opens a container: entries in any order, `mimetype` stored or deflated (A1, A2, T-ML-3).
    ///
    /// # Errors
    /// [`ContainerError`].
    pub fn open(mut reader: R, limits: &ContainerLimits) -> Result<Container<R>, ContainerError> {
        let layout = layout::check(&mut reader, limits.entries).map_err(archive_error)?;
        layout.map_err(ContainerError::Ambiguous)?;
        let mut archive = ZipArchive::new(reader).map_err(archive_error)?;
        if archive.has_duplicate_names() {
            return Err(ContainerError::Ambiguous("two entries have the same name"));
        }
        if archive.len() > limits.entries {
            return Err(ContainerError::TooLarge("number of entries".to_owned()));
        }
        let names: Vec<String> = archive
            .file_names()
            .map(|name| name.map(std::borrow::Cow::into_owned).unwrap_or_default())
            .collect();
        let mut document = |name: &'static str, limit: u64| {
            names
                .iter()
                .position(|known| known == name)
                .map(|index| read_entry(&mut archive, index, name, limit))
                .transpose()
        };
        let mimetype =
            document(entry::MIMETYPE, limits.document)?.ok_or(ContainerError::NoMimeType)?;
        if mimetype.trim_ascii() != MEDIA_TYPE.as_bytes() {
            return Err(ContainerError::OtherMimeType);
        }
        let message = document(entry::MESSAGE, limits.message)?.ok_or(ContainerError::NoMessage)?;
        let signature =
            document(entry::SIGNATURE, limits.document)?.ok_or(ContainerError::NoSignature)?;
        let signature_chain = pair(
            entry::SIGNATURE_CHAIN_RESULT,
            document(entry::SIGNATURE_CHAIN_RESULT, limits.document)?,
            entry::SIGNATURE_CHAIN,
            document(entry::SIGNATURE_CHAIN, limits.document)?,
        )?;
        let time_stamp_chain = pair(
            entry::TIME_STAMP_CHAIN_RESULT,
            document(entry::TIME_STAMP_CHAIN_RESULT, limits.document)?,
            entry::TIME_STAMP_CHAIN,
            document(entry::TIME_STAMP_CHAIN, limits.document)?,
        )?;
        let asic_manifest = document(entry::ASIC_MANIFEST, limits.document)?;
        let time_stamp = document(entry::TIME_STAMP, limits.document)?;

        let mut attachments = Vec::new();
        let mut unknown = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let number = name.strip_prefix(entry::ATTACHMENT).and_then(|number| {
                number
                    .parse::<u32>()
                    .ok()
                    .filter(|n| n.to_string() == number)
            });
            if let Some(number) = number.filter(|&number| number > 0) {
                let size = archive
                    .by_index(index)
                    .map_err(|e| damaged(name, e))?
                    .size();
                if size > limits.attachment {
                    return Err(ContainerError::TooLarge(name.clone()));
                }
                attachments.push((
                    number,
                    Attachment {
                        name: format!("/{name}"),
                        index,
                        size,
                    },
                ));
            } else if !is_known(name) && !name.ends_with('/') {
                unknown.push(name.clone());
            }
        }
        attachments.sort_by_key(|(number, _)| *number);
        Ok(Container {
            archive: RefCell::new(archive),
            message,
            signature,
            signature_chain,
            time_stamp_chain,
            asic_manifest,
            time_stamp,
            attachments: attachments
                .into_iter()
                .map(|(_, attachment)| attachment)
                .collect(),
            unknown,
            digests: RefCell::new(HashMap::new()),
            damaged: RefCell::new(None),
        })
    }

    /// Copies an attachment (`/attachment1` ...) out of the container; `false` if it is not there.
    ///
    /// # Errors
    /// [`ContainerError::Damaged`] if the entry is damaged or the sink refuses.
    pub fn copy_attachment(
        &self,
        name: &str,
        sink: &mut dyn Write,
    ) -> Result<bool, ContainerError> {
        let Some(attachment) = self.attachments.iter().find(|a| a.name == name) else {
            return Ok(false);
        };
        let mut archive = self.archive.borrow_mut();
        let file = archive
            .by_index(attachment.index)
            .map_err(|error| damaged(name, error))?;
        let copied = std::io::copy(&mut file.take(attachment.size.saturating_add(1)), sink)
            .map_err(|_| ContainerError::Damaged(name.to_owned()))?;
        if copied != attachment.size {
            return Err(ContainerError::Damaged(name.to_owned()));
        }
        Ok(true)
    }

    /// Bytes of the message part.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Bytes of the signature document.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Result and chain under the signature.
    #[must_use]
    pub fn signature_chain(&self) -> Option<(&[u8], &[u8])> {
        self.signature_chain
            .as_ref()
            .map(|(result, chain)| (&result[..], &chain[..]))
    }

    /// Result and chain between a batch time stamp and the signature.
    #[must_use]
    pub fn time_stamp_chain(&self) -> Option<(&[u8], &[u8])> {
        self.time_stamp_chain
            .as_ref()
            .map(|(result, chain)| (&result[..], &chain[..]))
    }

    /// `META-INF/ASiCManifest.xml`.
    #[must_use]
    pub fn asic_manifest(&self) -> Option<&[u8]> {
        self.asic_manifest.as_deref()
    }

    /// DER of the token of a batch time stamp.
    #[must_use]
    pub fn time_stamp(&self) -> Option<&[u8]> {
        self.time_stamp.as_deref()
    }

    /// Names of the parts that are there, as a signature writes them: `/message.xml`,
    /// `/attachment1` ...
    #[must_use]
    pub fn parts(&self) -> Vec<&str> {
        let mut parts = vec![MESSAGE];
        parts.extend(
            self.attachments
                .iter()
                .map(|attachment| attachment.name.as_str()),
        );
        parts
    }

    /// Names and sizes in bytes of the attachments.
    pub fn attachments(&self) -> impl Iterator<Item = (&str, u64)> {
        self.attachments
            .iter()
            .map(|attachment| (attachment.name.as_str(), attachment.size))
    }

    /// Entries that are nothing X-Road knows; no signature covers them.
    #[must_use]
    pub fn unknown_entries(&self) -> &[String] {
        &self.unknown
    }

    /// The first attachment that turned out to be damaged when its digest was asked for.
    #[must_use]
    pub fn damaged(&self) -> Option<String> {
        self.damaged.borrow().clone()
    }
}

fn is_known(name: &str) -> bool {
    [
        entry::MIMETYPE,
        entry::MESSAGE,
        entry::SIGNATURE,
        entry::SIGNATURE_CHAIN_RESULT,
        entry::SIGNATURE_CHAIN,
        entry::TIME_STAMP_CHAIN_RESULT,
        entry::TIME_STAMP_CHAIN,
        entry::MANIFEST,
        entry::ASIC_MANIFEST,
        entry::TIME_STAMP,
    ]
    .contains(&name)
}

fn damaged(name: &str, error: ZipError) -> ContainerError {
    match error {
        ZipError::Io(error) if error.kind() == std::io::ErrorKind::Other => {
            ContainerError::Read(error)
        }
        _ => ContainerError::Damaged(name.to_owned()),
    }
}

fn pair(
    result_name: &'static str,
    result: Option<Vec<u8>>,
    chain_name: &'static str,
    chain: Option<Vec<u8>>,
) -> Result<Option<Documents>, ContainerError> {
    match (result, chain) {
        (Some(result), Some(chain)) => Ok(Some((result, chain))),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(ContainerError::HalfChain(result_name)),
        (Some(_), None) => Err(ContainerError::HalfChain(chain_name)),
    }
}

fn read_entry<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    name: &str,
    limit: u64,
) -> Result<Vec<u8>, ContainerError> {
    let file = archive
        .by_index(index)
        .map_err(|error| damaged(name, error))?;
    if file.size() > limit {
        return Err(ContainerError::TooLarge(name.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| ContainerError::Damaged(name.to_owned()))?;
    if bytes.len() as u64 > limit {
        return Err(ContainerError::TooLarge(name.to_owned()));
    }
    Ok(bytes)
}

struct HashingSink(pki::Hasher);

impl Write for HashingSink {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<R: Read + Seek> Content for Container<R> {
    fn digest(&self, name: &str, algorithm: DigestAlgorithm) -> Option<Digest> {
        if name == MESSAGE {
            return Some(algorithm.digest(&self.message));
        }
        let key = (name.to_owned(), algorithm);
        if let Some(known) = self.digests.borrow().get(&key) {
            return Some(*known);
        }
        let mut sink = HashingSink(algorithm.hasher());
        match self.copy_attachment(name, &mut sink) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(_) => {
                self.damaged
                    .borrow_mut()
                    .get_or_insert_with(|| name.to_owned());
                return None;
            }
        }
        let digest = sink.0.finish();
        self.digests.borrow_mut().insert(key, digest);
        Some(digest)
    }

    fn contains(&self, name: &str) -> bool {
        name == MESSAGE
            || self
                .attachments
                .iter()
                .any(|attachment| attachment.name == name)
    }

    fn source(&self) -> DigestSource {
        DigestSource::Resolved
    }
}
