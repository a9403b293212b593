//! ASiC-E containers as X-Road keeps them (PR-SIGDOC; reference 1.15, A1 to A5).

mod read;
mod write;

pub use read::{Container, ContainerError, ContainerLimits};
pub(crate) use write::zip_time;
pub use write::{BatchTimeStamp, ContainerParts, ContainerWriter, WriteError, asic_manifest};

/// The media type of a container.
pub const MEDIA_TYPE: &str = "application/vnd.etsi.asic-e+zip";

/// Names of the entries.
pub mod entry {
    /// The media type, first and stored.
    pub const MIMETYPE: &str = "mimetype";
    /// The message part.
    pub const MESSAGE: &str = "message.xml";
    /// The signature document.
    pub const SIGNATURE: &str = "META-INF/signatures.xml";
    /// The signed hash chain result.
    pub const SIGNATURE_CHAIN_RESULT: &str = "sig-hashchainresult.xml";
    /// The hash chain under the signature.
    pub const SIGNATURE_CHAIN: &str = "sig-hashchain.xml";
    /// The time-stamped hash chain result of a batch.
    pub const TIME_STAMP_CHAIN_RESULT: &str = "ts-hashchainresult.xml";
    /// The hash chain from the signature to the time stamp of a batch.
    pub const TIME_STAMP_CHAIN: &str = "ts-hashchain.xml";
    /// The OpenDocument manifest; informative.
    pub const MANIFEST: &str = "META-INF/manifest.xml";
    /// The manifest that ties the token of a batch to its chain result.
    pub const ASIC_MANIFEST: &str = "META-INF/ASiCManifest.xml";
    /// The token of a batch.
    pub const TIME_STAMP: &str = "META-INF/timestamp.tst";
    /// Prefix of the attachments' names; a number from 1 follows.
    pub const ATTACHMENT: &str = "attachment";
}
