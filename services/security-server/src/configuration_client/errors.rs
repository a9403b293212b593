//! What can go wrong with the configuration client.

use std::path::PathBuf;

use globalconf::DirectoryError;

/// Why a configuration client cannot work at all. The fault is the operator's or the
/// machine's.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The anchor cannot be read.
    #[error("the configuration anchor {path} cannot be used: {reason}", path = path.display())]
    Anchor {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The stored configuration cannot be read.
    #[error("the stored configuration {path} cannot be read: {reason}", path = path.display())]
    Stored {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS for downloads cannot be set up: {0}")]
    Tls(String),
}

/// Why one attempt to download a configuration failed.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server cannot be reached, or answers with something else than the file.
    #[error("{url} cannot be downloaded: {reason}")]
    Transfer {
        /// The URL.
        url: String,
        /// What happened.
        reason: String,
    },
    /// What the server has is not acceptable.
    #[error("the configuration at {url} is refused ({code}): {error}", code = error.code())]
    Refused {
        /// The URL.
        url: String,
        /// Why.
        error: DirectoryError,
    },
    /// A part that is as signed cannot be read all the same.
    #[error("{url} cannot be read: {reason}")]
    Part {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// An earlier configuration than the stored one, which has not expired.
    #[error("{url} has an older configuration than the stored one, which stays in force")]
    Older {
        /// The URL.
        url: String,
    },
    /// The new configuration could not be stored.
    #[error("the configuration could not be stored: {0}")]
    Store(std::io::Error),
    /// No location of the instance worked.
    #[error("no configuration of {instance} from any of its {} locations: {}", .errors.len(), join(.errors))]
    NoLocation {
        /// The instance.
        instance: String,
        /// What happened at each, in the order of trial.
        errors: Vec<DownloadError>,
    },
}

fn join(errors: &[DownloadError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
