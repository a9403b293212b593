//! What goes wrong with a token. The operator of this server reads these texts.

use std::path::PathBuf;
use std::time::Duration;

/// Why a token operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is a token already where one should be created.
    #[error("{path} exists already", path = .path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The file is not a token of this format, or was damaged.
    #[error("{path} is not a sound token file: {reason}", path = .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A secret file can be read by others than its owner.
    #[error("{path} may be read by others: set its mode to 0600", path = .path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// The PIN is not the token's.
    #[error("wrong PIN; the next attempt is possible in {} s", .retry_after.as_secs_f64().ceil())]
    WrongPin {
        /// The pause that this failure has earned.
        retry_after: Duration,
    },
    /// The pause after a wrong PIN is not over.
    #[error("too many wrong PINs; the next attempt is possible in {} s", .retry_after.as_secs_f64().ceil())]
    TooSoon {
        /// What is left of the pause.
        retry_after: Duration,
    },
    /// A new PIN is too short or too long.
    #[error("a PIN has {min} to {max} bytes", min = crate::MIN_PIN_LENGTH, max = crate::MAX_PIN_LENGTH)]
    PinLength,
    /// No PIN could be read.
    #[error("no PIN could be read: {0}")]
    NoPin(String),
    /// The sealed key belongs to another token, or to this one before it was made anew.
    #[error("the sealed key belongs to another token")]
    OtherToken,
    /// The helper process failed.
    #[error("the helper process for the PIN failed: {0}")]
    Helper(String),
    /// There is no key with this identifier.
    #[error("the token has no key {0}")]
    NoSuchKey(String),
    /// There is no such certificate.
    #[error("the token has no such certificate")]
    NoSuchCertificate,
    /// A signing key needs a member, an authentication key has none.
    #[error("a signing key belongs to a member, an authentication key to none")]
    Member,
    /// The key is not for this.
    #[error("the key {0} is not an authentication key")]
    NotForTls(String),
    /// A certificate does not fit.
    #[error(transparent)]
    Import(#[from] signer::ImportError),
    /// A certificate cannot be decoded.
    #[error("the certificate cannot be decoded: {0}")]
    Certificate(#[from] pki::CertificateError),
    /// A key cannot be generated, loaded or exported.
    #[error(transparent)]
    Key(#[from] pki::KeyError),
    /// A request was not signed.
    #[error(transparent)]
    Sign(#[from] pki::SignError),
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Engine,
}
