//! The operator's key of the log.

use std::fmt;

use zeroize::Zeroizing;

use crate::twin::RecoveryTwin;

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
    /// Public key (DER `SubjectPublicKeyInfo`, RSA of at least 2048 bits or P-256)
    /// whose private twin, kept offline, can open every segment as well.
    pub recovery: Option<Vec<u8>>,
    /// The private twin itself, brought out when the operator's key is lost. Opens
    /// the segments that were written while its public key was `recovery`.
    pub twin: Option<RecoveryTwin>,
}

impl LogKeys {
    /// One key, no earlier ones, no recovery twin.
    pub fn only(current: LogKey) -> Self {
        Self {
            current,
            previous: Vec::new(),
            recovery: None,
            twin: None,
        }
    }

    /// The keys after a rotation to `new`: those in use so far come behind it.
    #[must_use]
    pub fn rotated_to(&self, new: LogKey) -> Self {
        let mut previous = vec![self.current.clone()];
        previous.extend(self.previous.iter().cloned());
        Self {
            current: new,
            previous,
            recovery: self.recovery.clone(),
            twin: self.twin.clone(),
        }
    }
}
