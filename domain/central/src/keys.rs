//! Certificates of the keys that sign configurations.

use pki::issue::{self, IssueError};
use pki::{AttributeType, Certificate, Name, Signer};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::publication::Audience;

/// A self-signed certificate for a signing key: only a wrapper of the public key,
/// trusted through the anchor that holds it. `serial` is random.
///
/// # Errors
/// The signer's.
pub fn signing_certificate(
    audience: Audience,
    signer: &dyn Signer,
    serial: [u8; 16],
    now: OffsetDateTime,
) -> Result<Certificate, IssueError> {
    let common_name = match audience {
        Audience::Internal => "internalSigningKey",
        Audience::External => "externalSigningKey",
    };
    let subject = Name::builder()
        .push(AttributeType::CommonName, common_name)
        .build()
        .map_err(pki::CertificateError::from)?;
    issue::self_signed(
        &issue::Template {
            subject,
            public_key: signer.public_key().clone(),
            serial: serial.to_vec(),
            not_before: now,
            // Nothing judges the dates: the key is replaced through a new anchor.
            not_after: datetime!(2049-12-31 23:59:59 UTC),
            profile: issue::Profile::Authority,
            ocsp_url: None,
        },
        signer,
    )
}
