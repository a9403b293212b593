//! Judging evidence: who signed a message, when, and whether that holds against a global
//! configuration. The same rules serve a Security Server at work ([`verify_signer`]) and anyone
//! who opens a container ([`verify_container`]) or an exported archive ([`Archive`]) years later.

mod archive;
mod container;
mod export;
mod message;
mod report;
mod signer;
mod time_stamp;

pub use archive::{
    Archive, ArchiveError, ArchiveLimits, ContainerFinding, EvidenceKind, JudgedBy,
    SIGNED_DIRECTORY, gravest,
};
pub use container::{Options, verify_container};
pub use export::{ExportError, StoredMessage, StoredTimeStamp, container_name, write_container};
pub use message::{Direction, MessageError, MessageKind, MessageParties};
pub use report::{PartReport, PartState, Report, SignerReport, TimeStampReport, Verdict};
pub use signer::{SignerKey, SignerVerified, signer_key, verify_signer, verify_signer_with};
pub use time_stamp::{Stamped, verify_batch_time_stamp, verify_single_time_stamp};
