//! Configurations of the past, for evidence: the chain of signatures up to the
//! anchor is verified, expiry is not, for what counts is that it was in force.

use std::collections::HashMap;

use pki::Certificate;

use crate::anchor::Anchor;
use crate::configuration::GlobalConfiguration;
use crate::directory::{DirectoryError, SignedDirectory};
use crate::stored::{StoredDirectory, StoredError};

/// Most signed directories of one configuration.
const MAX_DIRECTORIES: usize = 64;

/// Why a configuration of the past is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoricalError {
    /// The anchor is of another instance.
    #[error("the anchor is of instance {anchor}, the configuration of {configuration}")]
    OtherInstance {
        /// Instance of the anchor.
        anchor: String,
        /// Instance of the configuration.
        configuration: String,
    },
    /// The signed directory of the instance is not there.
    #[error("the signed directory of instance {0} is missing")]
    NoDirectory(String),
    /// It does not verify, or a part is not the one that was signed.
    #[error("instance {instance}: {error}")]
    Directory {
        /// The instance.
        instance: String,
        /// What is wrong.
        error: DirectoryError,
    },
    /// A stored part that no signed directory lists.
    #[error("the part {0} is not in the signed directory")]
    Unsigned(String),
    /// The parts cannot be read.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// Verifies a configuration of the past: `directories` are the signed directories by
/// instance, that of the own instance verified by the anchor's certificates or by
/// `announced`, those of federated instances by the anchors that the verified own
/// private parameters hold.
///
/// `announced` are verification certificates that configurations verified before have
/// announced (reference G7), so that evidence outlives a change of the signing key.
///
/// # Errors
/// See [`HistoricalError`].
pub fn verify_historical(
    stored: &StoredDirectory,
    directories: &HashMap<String, Vec<u8>>,
    anchor: &Anchor,
    announced: &[Certificate],
) -> Result<GlobalConfiguration, HistoricalError> {
    if stored.instance != anchor.instance {
        return Err(HistoricalError::OtherInstance {
            anchor: anchor.instance.clone(),
            configuration: stored.instance.clone(),
        });
    }
    let mut trusted = certificates_of(anchor);
    trusted.extend_from_slice(announced);
    verify_instance(stored, directories, &stored.instance, &trusted)?;
    let own = stored.load_instance(&stored.instance)?;
    let mut verified = StoredDirectory {
        instance: stored.instance.clone(),
        parts: stored.parts.clone(),
    };
    // A federated instance without proof is left out; evidence that needs it then fails.
    let federation = own
        .private
        .map(|private| private.federation)
        .unwrap_or_default();
    let proven: Vec<&str> = federation
        .iter()
        .take(MAX_DIRECTORIES)
        .filter(|anchor| {
            verify_instance(
                stored,
                directories,
                &anchor.instance,
                &certificates_of(anchor),
            )
            .is_ok()
        })
        .map(|anchor| anchor.instance.as_str())
        .collect();
    verified.parts.retain(|part| {
        part.instance == stored.instance || proven.contains(&part.instance.as_str())
    });
    Ok(verified.load()?)
}

/// Certificates that a verified configuration announces for its own later signing keys.
pub fn announced_certificates(configuration: &GlobalConfiguration) -> Vec<Certificate> {
    configuration
        .sources(configuration.instance())
        .iter()
        .flat_map(|source| &source.internal_verification_certificates)
        .filter_map(|der| Certificate::decode(der).ok())
        .collect()
}

fn certificates_of(anchor: &Anchor) -> Vec<Certificate> {
    anchor
        .sources
        .iter()
        .flat_map(|source| &source.verification_certificates)
        .filter_map(|der| Certificate::decode(der).ok())
        .collect()
}

fn verify_instance(
    stored: &StoredDirectory,
    directories: &HashMap<String, Vec<u8>>,
    instance: &str,
    trusted: &[Certificate],
) -> Result<(), HistoricalError> {
    let wrong = |error| HistoricalError::Directory {
        instance: instance.to_owned(),
        error,
    };
    let bytes = directories
        .get(instance)
        .ok_or_else(|| HistoricalError::NoDirectory(instance.to_owned()))?;
    let signed = SignedDirectory::decode(bytes)
        .and_then(|directory| directory.verify(trusted))
        .map_err(wrong)?;
    for part in stored.parts.iter().filter(|part| part.instance == instance) {
        let entry = signed
            .entries()
            .iter()
            .find(|entry| {
                entry.stored_name() == part.file_name
                    && (entry.instance.is_empty() || entry.instance == instance)
            })
            .ok_or_else(|| HistoricalError::Unsigned(part.path()))?;
        entry.verify(&part.content).map_err(wrong)?;
    }
    Ok(())
}
