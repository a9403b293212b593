//! What signing a message yields.

use bytes::Bytes;

/// The signature document and, when it is over a hash chain, the chain.
#[derive(Debug, Clone)]
pub struct SignedParts {
    /// The XAdES document.
    pub signature: Bytes,
    /// Hash chain result and hash chain.
    pub hash_chain: Option<(Bytes, Bytes)>,
}
