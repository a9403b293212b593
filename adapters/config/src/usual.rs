//! Where servers for people have their files if the settings do not say, beside the settings.

use std::path::PathBuf;

/// Certificate chain of HTTPS.
pub(crate) fn certificate() -> PathBuf {
    "tls.pem".into()
}

/// Its private key.
pub(crate) fn key() -> PathBuf {
    "tls.key".into()
}

/// What the server keeps.
pub(crate) fn state() -> PathBuf {
    "state".into()
}

/// The list of authorities for signatures on documents.
pub(crate) fn trust() -> PathBuf {
    "trust.toml".into()
}
