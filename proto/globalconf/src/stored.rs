//! A configuration as a Security Server keeps it on disk (reference G24), as paths
//! with their contents: reading and writing files is the caller's.
//!
//! ```text
//! instance-identifier              code of the own instance
//! KG/shared-params.xml             one directory per instance, its name URL-encoded
//! KG/shared-params.xml.metadata    JSON
//! KG/private-params.xml            ...
//! ```

use pki::DigestAlgorithm;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::certificate_profile::CertificateProfiles;
use crate::configuration::{ConfigurationId, GlobalConfiguration, InstanceParameters};
use crate::directory;
use crate::optional;
use crate::parameters::{FormatVersion, PrivateParameters, SharedParameters};
use crate::xml::ParametersError;

/// Name of the file with the code of the own instance.
pub const INSTANCE_FILE: &str = "instance-identifier";
/// Name of the file with the shared parameters of an instance.
pub const SHARED_FILE: &str = "shared-params.xml";
/// Name of the file with the private parameters of the own instance.
pub const PRIVATE_FILE: &str = "private-params.xml";
const METADATA_SUFFIX: &str = ".metadata";
const MONITORING_FILE: &str = "monitoring-params.xml";
const FETCH_INTERVAL_FILE: &str = "ocsp-fetchinterval-params.xml";
const NEXT_UPDATE_FILE: &str = "ocsp-nextupdate-params.xml";

/// Why a stored configuration cannot be read. The fault is ours, or of whoever wrote
/// the directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// There is no `instance-identifier`, or nothing in it.
    #[error("the stored configuration does not say which instance is its own")]
    NoInstance,
    /// The shared parameters of the own instance are not there.
    #[error("the stored configuration has no shared parameters of instance {0:?}")]
    NoSharedParameters(String),
    /// The metadata of a part are not the JSON they should be.
    #[error("the metadata of {path} cannot be read: {reason}")]
    Metadata {
        /// Path of the part.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A part cannot be read.
    #[error("{path} cannot be read: {error}")]
    Part {
        /// Path of the part.
        path: String,
        /// What is wrong.
        error: ParametersError,
    },
    /// A part is of another instance than its directory (reference G19).
    #[error("{path} is of instance {found:?}")]
    WrongInstance {
        /// Path of the part.
        path: String,
        /// Instance in the part.
        found: String,
    },
}

/// What a signed directory said of a stored part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartMetadata {
    /// `SHARED-PARAMETERS` and so on.
    pub content_identifier: Option<String>,
    /// Instance, as the signed directory has it.
    pub instance: Option<String>,
    /// When the part expires; `None`: never. New parts always have a date (T-GC-5).
    pub expires: Option<OffsetDateTime>,
    /// Name to store it under, where the configuration server gave one.
    pub file_name: Option<String>,
    /// Path on the configuration server.
    pub location: Option<String>,
    /// Version of the format; 2 where the file does not say.
    pub version: FormatVersion,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetadataJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_identifier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance_identifier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiration_date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_file_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    configuration_version: Option<String>,
}

impl PartMetadata {
    /// Metadata that a file lacks (reference G24).
    const ABSENT: Self = Self {
        content_identifier: None,
        instance: None,
        expires: None,
        file_name: None,
        location: None,
        version: FormatVersion::OLDEST,
    };

    fn decode(path: &str, bytes: &[u8]) -> Result<Self, StoredError> {
        let wrong = |reason: String| StoredError::Metadata {
            path: path.to_owned(),
            reason,
        };
        let json: MetadataJson =
            serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let expires = json
            .expiration_date
            .map(|text| {
                OffsetDateTime::parse(&text, &Rfc3339)
                    .map_err(|_| wrong(format!("{text:?} is not a time")))
            })
            .transpose()?;
        let version = json
            .configuration_version
            .map(|text| {
                text.parse()
                    .ok()
                    .and_then(FormatVersion::new)
                    .ok_or_else(|| wrong(format!("version {text:?} is not known")))
            })
            .transpose()?;
        Ok(Self {
            content_identifier: json.content_identifier,
            instance: json.instance_identifier,
            expires,
            file_name: json.content_file_name,
            location: json.content_location,
            version: version.unwrap_or(FormatVersion::OLDEST),
        })
    }

    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&MetadataJson {
            content_identifier: self.content_identifier.clone(),
            instance_identifier: self.instance.clone(),
            expiration_date: self.expires.map(directory::expire_date),
            content_file_name: self.file_name.clone(),
            content_location: self.location.clone(),
            configuration_version: Some(self.version.to_string()),
        })
        .unwrap_or_default()
    }
}

/// A stored part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// Instance in whose directory it is.
    pub instance: String,
    /// Name of its file.
    pub file_name: String,
    /// Its bytes.
    pub content: Vec<u8>,
    /// What the signed directory said of it.
    pub metadata: PartMetadata,
}

impl StoredPart {
    /// Relative path of the file.
    pub fn path(&self) -> String {
        format!("{}/{}", encode_segment(&self.instance), self.file_name)
    }
}

/// A configuration as stored: the parts of the own instance and of federated ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredDirectory {
    /// Code of the own instance.
    pub instance: String,
    /// The parts, in order of their paths.
    pub parts: Vec<StoredPart>,
}

impl StoredDirectory {
    /// Reads a stored configuration from relative paths, separated by `/`, with
    /// their contents. Files that are not two levels deep are ignored.
    ///
    /// # Errors
    /// No instance, or unreadable metadata.
    pub fn decode(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, StoredError> {
        let mut instance = None;
        let mut contents = Vec::new();
        let mut metadata = std::collections::HashMap::new();
        for (path, bytes) in files {
            if path == INSTANCE_FILE {
                instance = String::from_utf8(bytes)
                    .ok()
                    .map(|text| text.trim().to_owned())
                    .filter(|text| !text.is_empty());
            } else if let Some(part) = path.strip_suffix(METADATA_SUFFIX) {
                metadata.insert(part.to_owned(), bytes);
            } else if let Some((directory, file_name)) = path.split_once('/')
                && !file_name.contains('/')
                && !file_name.starts_with('.')
            {
                contents.push((decode_segment(directory), file_name.to_owned(), path, bytes));
            }
        }
        let mut parts = contents
            .into_iter()
            .map(|(instance, file_name, path, content)| {
                Ok(StoredPart {
                    instance,
                    file_name,
                    content,
                    metadata: match metadata.get(&path) {
                        Some(bytes) => PartMetadata::decode(&path, bytes)?,
                        None => PartMetadata::ABSENT,
                    },
                })
            })
            .collect::<Result<Vec<_>, StoredError>>()?;
        parts.sort_by_key(StoredPart::path);
        Ok(Self {
            instance: instance.ok_or(StoredError::NoInstance)?,
            parts,
        })
    }

    /// The files: relative paths with their contents.
    pub fn encode(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![(INSTANCE_FILE.to_owned(), self.instance.clone().into_bytes())];
        for part in &self.parts {
            let path = part.path();
            files.push((format!("{path}{METADATA_SUFFIX}"), part.metadata.encode()));
            files.push((path, part.content.clone()));
        }
        files
    }

    /// A stored part.
    pub fn part(&self, instance: &str, file_name: &str) -> Option<&StoredPart> {
        self.parts
            .iter()
            .find(|part| part.instance == instance && part.file_name == file_name)
    }

    /// Instances that have parts.
    pub fn instances(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.parts.iter().map(|p| p.instance.as_str()).collect();
        names.dedup();
        names
    }

    /// Identity of the configuration: SHA-256 over the own instance's code and, for
    /// each part, its path, version and digest. The expiry is not in it.
    pub fn identity(&self) -> ConfigurationId {
        let hash = DigestAlgorithm::Sha256;
        let mut hasher = hash.hasher();
        hasher.update(self.instance.as_bytes());
        for part in &self.parts {
            hasher.update(&[0]);
            hasher.update(part.path().as_bytes());
            hasher.update(&[0, part.metadata.version.number()]);
            hasher.update(hash.digest(&part.content).as_ref());
        }
        let mut identity = ConfigurationId::default();
        let digest = hasher.finish();
        for (to, from) in identity.0.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        identity
    }

    /// Reads and indexes the parts. A federated instance that cannot be read is left
    /// out. The expiry is not judged: see [`GlobalConfiguration::is_current`].
    ///
    /// # Errors
    /// The own instance's parts are absent or unreadable.
    pub fn load(&self) -> Result<GlobalConfiguration, StoredError> {
        self.load_with(&CertificateProfiles::default())
    }

    /// As [`StoredDirectory::load`], with further certificate profiles.
    ///
    /// # Errors
    /// The own instance's parts are absent or unreadable.
    pub fn load_with(
        &self,
        profiles: &CertificateProfiles,
    ) -> Result<GlobalConfiguration, StoredError> {
        let own = self.load_instance(&self.instance)?;
        let federated = self
            .instances()
            .into_iter()
            .filter(|name| *name != self.instance)
            .filter_map(|name| self.load_instance(name).ok())
            .collect();
        Ok(GlobalConfiguration::with_profiles(own, federated, profiles)
            .with_identity(self.identity()))
    }

    /// Reads the parts of one instance.
    ///
    /// # Errors
    /// They are absent or unreadable.
    pub fn load_instance(&self, instance: &str) -> Result<InstanceParameters, StoredError> {
        let shared_part = self
            .part(instance, SHARED_FILE)
            .ok_or_else(|| StoredError::NoSharedParameters(instance.to_owned()))?;
        let shared = read(shared_part, SharedParameters::decode)?;
        check_instance(shared_part, &shared.instance)?;
        let mut parameters = InstanceParameters::new(shared, shared_part.metadata.version);
        parameters.expires = shared_part.metadata.expires;
        let own = instance == self.instance;
        // Of federated instances only the shared parameters count (reference G21).
        if let Some(part) = self.part(instance, PRIVATE_FILE)
            && own
        {
            let private = read(part, PrivateParameters::decode)?;
            check_instance(part, &private.instance)?;
            parameters.private = Some(private);
            parameters.expires = match (parameters.expires, part.metadata.expires) {
                (Some(shared), Some(private)) => Some(shared.min(private)),
                (shared, private) => shared.or(private),
            };
        }
        if own {
            if let Some(part) = self.part(instance, NEXT_UPDATE_FILE) {
                parameters.next_update_check = Some(read(part, optional::decode_next_update)?);
            }
            if let Some(part) = self.part(instance, FETCH_INTERVAL_FILE) {
                parameters.ocsp_fetch_interval_seconds =
                    Some(read(part, optional::decode_fetch_interval)?);
            }
            if let Some(part) = self.part(instance, MONITORING_FILE) {
                parameters.monitoring_client = read(part, optional::decode_monitoring)?;
            }
        }
        Ok(parameters)
    }
}

fn read<T>(
    part: &StoredPart,
    decode: impl FnOnce(&[u8]) -> Result<T, ParametersError>,
) -> Result<T, StoredError> {
    decode(&part.content).map_err(|error| StoredError::Part {
        path: part.path(),
        error,
    })
}

fn check_instance(part: &StoredPart, found: &str) -> Result<(), StoredError> {
    if part.instance == found {
        Ok(())
    } else {
        Err(StoredError::WrongInstance {
            path: part.path(),
            found: found.to_owned(),
        })
    }
}

/// Name of the directory of an instance: its code as Java's `URLEncoder` writes it,
/// which leaves letters, digits and `.-*_` and turns a blank into `+`. A name that
/// would climb out of the directory is encoded as well.
pub fn encode_segment(instance: &str) -> String {
    if instance.bytes().all(|b| b == b'.') {
        return instance.bytes().map(|_| "%2E").collect();
    }
    let mut out = String::with_capacity(instance.len());
    for byte in instance.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn decode_segment(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                match hex::decode(digits) {
                    Ok(decoded) => {
                        bytes.extend(decoded);
                        rest = after;
                    }
                    Err(_) => bytes.push(b'%'),
                }
            }
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
