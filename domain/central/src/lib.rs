//! The Central Server's part of an X-Road instance: from the description of an
//! instance to the signed global configuration in versions 2 to 6 (PR-GCONF).
//! Keys, the time and randomness are arguments.

mod description;
pub mod file;
mod keys;
mod publication;

pub use description::{
    Authority, CertificationService, Group, InstanceDescription, Management, Member, OWNERS_GROUP,
    OcspService, Problem, RegisteredServer, TimeStampingService, ValidInstance,
};
pub use file::FileError;
pub use keys::signing_certificate;
pub use publication::{
    Audience, Publication, PublishError, PublishedDirectory, PublishedFile, SigningKey, SigningKeys,
};
