//! The operator's key of the log.

use std::fmt;

use zeroize::Zeroizing;

/// The operator's 32-byte key, which wraps the data keys of the segments. Wiped
/// when dropped; never printed.
#[derive(Clone)]
pub struct LogKey(Zeroizing<[u8; 32]>);

impl LogKey {
    /// A key from 32 secret bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogKey(..)")
    }
}

/// The keys that the log is opened with.
#[derive(Debug, Clone)]
pub struct LogKeys {
    /// Wraps the data keys of new segments, and of old ones after a rotation.
    pub current: LogKey,
    /// Earlier keys under which old segments may still be wrapped.
    pub previous: Vec<LogKey>,
    /// Public key (DER `SubjectPublicKeyInfo`, RSA of at least 2048 bits) whose
    /// private twin, kept offline, can open every segment as well.
    pub recovery: Option<Vec<u8>>,
}

impl LogKeys {
    /// One key, no earlier ones, no recovery twin.
    pub fn only(current: LogKey) -> Self {
        Self {
            current,
            previous: Vec::new(),
            recovery: None,
        }
    }
}
