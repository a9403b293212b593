//! X-Road's global configuration (PR-GCONF): what every party of an instance
//! trusts and knows. From the outside in:
//!
//! * [`Anchor`]: where the configuration is published and who may sign it.
//! * [`SignedDirectory`]: the signed list of parts with their digests.
//! * [`SharedParameters`] and [`PrivateParameters`]: the parts, versions 2 to 6.
//! * [`StoredDirectory`]: the parts as a Security Server keeps them on disk.
//! * [`GlobalConfiguration`]: the parts indexed for use; [`Current`] is one that
//!   has not expired.
//!
//! Marks such as G10 in the comments of this crate number the observations about
//! PR-GCONF and the code in the field on which it rests.

pub mod anchor;
pub mod certificate_profile;
mod configuration;
mod decode;
pub mod directory;
mod encode;
mod historical;
mod mime;
pub mod optional;
pub mod parameters;
pub mod stored;
mod xml;

pub use anchor::{Anchor, AnchorSource};
pub use certificate_profile::{CertificateProfile, CertificateProfiles, ProfileError};
pub use configuration::{
    ApprovedCa, ApprovedTsa, CaCertificate, ClientListing, ConfigurationId, Current,
    DEFAULT_OCSP_FETCH_INTERVAL_SECONDS, DEFAULT_OCSP_FRESHNESS_SECONDS,
    DEFAULT_TIMESTAMPING_INTERVAL_SECONDS, GlobalConfiguration, InstanceParameters, Issuer,
    OcspResponder, Outdated,
};
pub use directory::{DirectoryError, Entry, NewDirectory, NewPart, SignedBy, SignedDirectory};
pub use encode::EncodeError;
pub use historical::{HistoricalError, announced_certificates, verify_historical};
pub use parameters::{FormatVersion, PrivateParameters, SecurityServer, SharedParameters};
pub use stored::{PartMetadata, StoredDirectory, StoredError, StoredPart};
pub use xml::{IDENTIFIERS_NAMESPACE, MAX_DOCUMENT_LENGTH, ParametersError, XROAD_NAMESPACE};
