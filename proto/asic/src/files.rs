//! Containers for any files (ETSI EN 319 162-1, ASiC-E with XAdES): the files, and signatures over them in `META-INF`.
//!
//! X-Road's containers of messages are another profile: [`crate::container`].

use crate::container::MEDIA_TYPE;
use crate::layout;
use pki::{DigestAlgorithm, Hasher};
use std::collections::HashSet;
use std::io::{Cursor, Read, Write};
use thiserror::Error;
use time::OffsetDateTime;
use xmldsig::SignatureError;
use xmldsig::baseline::{Baseline, SignedFile};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Most entries of a container.
pub const MAXIMUM_ENTRIES: usize = 1_000;
/// Most bytes of one file, and of all files together.
pub const MAXIMUM_BYTES: u64 = 256 << 20;
/// Longest name of a file, in bytes.
pub const MAXIMUM_NAME: usize = 255;

const MIMETYPE: &str = "mimetype";
const FOLDER: &str = "META-INF/";
const MANIFEST: &str = "META-INF/manifest.xml";

/// Why bytes are not a container, or none can be made. Whoever wrote it, or chose the names, is at fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilesError {
    /// Not a zip archive, or a damaged one.
    #[error("not an ASiC-E container, or a damaged one: {0}")]
    Damaged(String),
    /// `mimetype` is missing, not first, or says something else.
    #[error("not an ASiC-E container: the first entry is not a mimetype that says so")]
    MimeType,
    /// A name that programs understand differently.
    #[error("the name {0:?} of a file is not accepted in a container")]
    Name(String),
    /// Two readers could see different files.
    #[error("the container can be understood in two ways: {0}")]
    Ambiguous(&'static str),
    /// Larger than a limit.
    #[error("the container is larger than the limits: {0}")]
    TooLarge(&'static str),
    /// There is no file to sign.
    #[error("the container holds no file")]
    Empty,
    /// A signature in it, or one that is made.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// A file of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name in the container: a relative path with `/`.
    pub name: String,
    /// Its media type; `application/octet-stream` where a container does not say.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Files and the signature documents over them. Nothing is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    files: Vec<File>,
    signatures: Vec<(String, Vec<u8>)>,
}

/// Whether every program finds the same file under this name.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAXIMUM_NAME
        && name != MIMETYPE
        && !name.to_ascii_uppercase().starts_with(FOLDER)
        && !name.contains(['\\', ':'])
        && !name.chars().any(|c| c.is_control() || c == '\u{FFFD}')
        && name
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

/// The URI by which signatures refer to a file (RFC 3986): everything but unreserved characters is percent-encoded.
#[must_use]
pub fn uri_of(name: &str) -> String {
    let mut uri = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// The name that a URI refers to; `None` if it leads out of the container.
fn name_of(uri: &str) -> Option<String> {
    let uri = uri.strip_prefix('/').unwrap_or(uri);
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push((digit()? << 4 | digit()?) as u8);
    }
    String::from_utf8(bytes).ok().filter(|name| is_plain(name))
}

fn damaged(error: impl std::fmt::Display) -> FilesError {
    FilesError::Damaged(error.to_string())
}

impl Files {
    /// Files to be signed.
    ///
    /// # Errors
    /// [`FilesError::Name`], [`FilesError::Ambiguous`] for a name twice, [`FilesError::TooLarge`],
    /// [`FilesError::Empty`].
    pub fn new(files: Vec<File>) -> Result<Files, FilesError> {
        let mut names = HashSet::new();
        let mut bytes = 0u64;
        for file in &files {
            if !is_plain(&file.name) {
                return Err(FilesError::Name(file.name.clone()));
            }
            // File systems that do not tell cases apart would see one file.
            if !names.insert(file.name.to_lowercase()) {
                return Err(FilesError::Ambiguous("two files have the same name"));
            }
            bytes = bytes.saturating_add(file.bytes.len() as u64);
        }
        if files.len() > MAXIMUM_ENTRIES {
            return Err(FilesError::TooLarge("number of files"));
        }
        if bytes > MAXIMUM_BYTES {
            return Err(FilesError::TooLarge("bytes of the files"));
        }
        if files.is_empty() {
            return Err(FilesError::Empty);
        }
        Ok(Files {
            files,
            signatures: Vec::new(),
        })
    }

    /// Opens a container.
    ///
    /// # Errors
    /// See [`FilesError`].
    pub fn open(container: &[u8]) -> Result<Files, FilesError> {
        let layout = layout::check(&mut Cursor::new(container), MAXIMUM_ENTRIES);
        layout.map_err(damaged)?.map_err(FilesError::Ambiguous)?;
        let mut archive = ZipArchive::new(Cursor::new(container)).map_err(damaged)?;
        if archive.has_duplicate_names() {
            return Err(FilesError::Ambiguous("two entries have the same name"));
        }
        if archive.len() > MAXIMUM_ENTRIES {
            return Err(FilesError::TooLarge("number of entries"));
        }
        let mut files = Vec::new();
        let mut signatures = Vec::new();
        let mut types = Vec::new();
        let mut has_type = false;
        let mut left = MAXIMUM_BYTES;
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(damaged)?;
            let name = entry.name().map_err(damaged)?.into_owned();
            let start = entry.header_start();
            if entry.is_dir() {
                continue;
            }
            if entry.size() > left {
                return Err(FilesError::TooLarge("bytes of the files"));
            }
            let mut bytes = Vec::new();
            entry
                .take(left + 1)
                .read_to_end(&mut bytes)
                .map_err(damaged)?;
            left = left
                .checked_sub(bytes.len() as u64)
                .ok_or(FilesError::TooLarge("bytes of the files"))?;
            if name == MIMETYPE {
                has_type = start == 0 && bytes.trim_ascii() == MEDIA_TYPE.as_bytes();
            } else if name == MANIFEST {
                types = media_types(&bytes);
            } else if let Some(inner) = name.strip_prefix(FOLDER) {
                if !inner.contains("signatures") || !inner.ends_with(".xml") || inner.contains('/')
                {
                    return Err(FilesError::Name(name));
                }
                signatures.push((name, bytes));
            } else {
                files.push(File {
                    name,
                    media_type: String::new(),
                    bytes,
                });
            }
        }
        if !has_type {
            return Err(FilesError::MimeType);
        }
        for file in &mut files {
            file.media_type = types
                .iter()
                .find(|(name, _)| *name == file.name)
                .map_or("application/octet-stream", |(_, kind)| kind)
                .to_owned();
        }
        signatures.sort();
        Ok(Files {
            signatures,
            ..Files::new(files)?
        })
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The signature documents with their names, sorted by these.
    pub fn signatures(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.signatures
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// Adds a signature document.
    pub fn add_signature(&mut self, signature: Vec<u8>) {
        let name = (0..=self.signatures.len())
            .map(|number| format!("{FOLDER}signatures{number}.xml"))
            .find(|name| !self.signatures.iter().any(|(known, _)| known == name));
        self.signatures.push((name.unwrap_or_default(), signature));
        self.signatures.sort();
    }

    /// Changes each signature document, in order.
    ///
    /// # Errors
    /// The first error of `change`.
    pub fn change_signatures<E>(
        &mut self,
        mut change: impl FnMut(&Files, &[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        let changed = self
            .signatures
            .iter()
            .map(|(name, bytes)| Ok((name.clone(), change(self, bytes)?)))
            .collect::<Result<Vec<_>, E>>()?;
        self.signatures = changed;
        Ok(())
    }

    /// Prepares a signature over all files. See [`xmldsig::baseline::Prepared`].
    ///
    /// # Errors
    /// [`FilesError::Signature`].
    pub fn prepare(
        &self,
        digest: DigestAlgorithm,
        certificate: &pki::Certificate,
        chain: &[pki::Certificate],
        algorithm: pki::SignatureAlgorithm,
        time: OffsetDateTime,
    ) -> Result<xmldsig::baseline::Prepared, FilesError> {
        let uris: Vec<String> = self.files.iter().map(|file| uri_of(&file.name)).collect();
        let files: Vec<SignedFile<'_>> = self
            .files
            .iter()
            .zip(&uris)
            .map(|(file, uri)| SignedFile {
                uri,
                media_type: &file.media_type,
                digest: digest.digest(&file.bytes),
            })
            .collect();
        Ok(xmldsig::baseline::Prepared::new(
            &files,
            digest,
            certificate,
            chain,
            algorithm,
            time,
        )?)
    }

    /// Adds the bytes of the file that a URI refers to to a hasher; `false` if there is none.
    pub fn hash(&self, uri: &str, hasher: &mut Hasher) -> bool {
        match self.find(uri) {
            Some(file) => {
                hasher.update(&file.bytes);
                true
            }
            None => false,
        }
    }

    fn find(&self, uri: &str) -> Option<&File> {
        let name = name_of(uri)?;
        self.files.iter().find(|file| file.name == name)
    }

    /// Checks that a signature covers every file, each once, and that each is what was signed.
    ///
    /// # Errors
    /// [`SignatureError::Reference`] for a file that was changed, [`SignatureError::Absent`] for one that is not there,
    /// [`SignatureError::NotCovered`] for one that is not signed.
    pub fn check_covered(&self, signature: &Baseline) -> Result<(), SignatureError> {
        let mut covered = HashSet::new();
        for reference in signature.signature().references() {
            let file = self
                .find(&reference.uri)
                .ok_or_else(|| SignatureError::Absent(reference.uri.clone()))?;
            if reference.algorithm.is_weak() {
                return Err(SignatureError::Algorithm(
                    reference.algorithm.name().to_owned(),
                ));
            }
            if reference.algorithm.digest(&file.bytes) != reference.digest {
                return Err(SignatureError::Reference(file.name.clone()));
            }
            if !covered.insert(&file.name) {
                return Err(SignatureError::Malformed("a file is referenced twice"));
            }
        }
        match self.files.iter().find(|file| !covered.contains(&file.name)) {
            Some(file) => Err(SignatureError::NotCovered(file.name.clone())),
            None => Ok(()),
        }
    }

    /// Writes the container: `mimetype` first and stored, the files, a manifest, the signatures. `time` is the time of
    /// the entries.
    ///
    /// # Errors
    /// [`FilesError::Damaged`] should the writer fail.
    pub fn write(&self, time: OffsetDateTime) -> Result<Vec<u8>, FilesError> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(crate::container::zip_time(time));
        let mut put = |name: &str, bytes: &[u8], options: SimpleFileOptions| {
            zip.start_file(name, options)
                .and_then(|()| zip.write_all(bytes).map_err(Into::into))
                .map_err(damaged)
        };
        let stored = options.compression_method(CompressionMethod::Stored);
        put(MIMETYPE, MEDIA_TYPE.as_bytes(), stored)?;
        for file in &self.files {
            put(&file.name, &file.bytes, options)?;
        }
        put(MANIFEST, self.manifest().as_bytes(), options)?;
        for (name, signature) in &self.signatures {
            put(name, signature, options)?;
        }
        Ok(zip.finish().map_err(damaged)?.into_inner())
    }

    fn manifest(&self) -> String {
        let escaped = |text: &str| {
            let mut out = Vec::new();
            xmldsig::c14n::escape_attribute(text, &mut out);
            String::from_utf8(out).unwrap_or_default()
        };
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <manifest:manifest xmlns:manifest=\"{MANIFEST_NAMESPACE}\" manifest:version=\"1.2\">\n  \
             <manifest:file-entry manifest:full-path=\"/\" manifest:media-type=\"{MEDIA_TYPE}\"/>\n"
        );
        for file in &self.files {
            out.push_str(&format!(
                "  <manifest:file-entry manifest:full-path=\"{}\" manifest:media-type=\"{}\"/>\n",
                escaped(&file.name),
                escaped(&file.media_type)
            ));
        }
        out.push_str("</manifest:manifest>\n");
        out
    }
}

const MANIFEST_NAMESPACE: &str = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0";

/// Names and media types of a manifest. It is not signed, so it only informs; one that cannot be read says nothing.
fn media_types(manifest: &[u8]) -> Vec<(String, String)> {
    let limits = xmldsig::xml::Limits {
        bytes: 1 << 20,
        depth: 4,
        elements: MAXIMUM_ENTRIES * 2,
        attributes: 8,
    };
    let Ok(document) = xmldsig::xml::Document::parse(manifest, &limits) else {
        return Vec::new();
    };
    document
        .elements()
        .filter(|element| element.is(MANIFEST_NAMESPACE, "file-entry"))
        .filter_map(|element| {
            let prefix = element.prefix();
            let attribute = |name: &str| element.attribute(&format!("{prefix}:{name}"));
            Some((
                attribute("full-path")?.into_owned(),
                attribute("media-type")?.into_owned(),
            ))
        })
        .collect()
}
