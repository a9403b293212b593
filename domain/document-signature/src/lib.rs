//! Judging signed documents: PDF files (PAdES) and containers with any files (ASiC-E with XAdES).
//!
//! [`verify`] answers four questions about each signature, apart from one another: who signed, when at the latest,
//! whether the document is whole or was changed, and whether the signer's certificate was valid when it was signed.
//! It needs no network: everything it judges by is in the document or in the [`Trust`] that the caller brings.
//!
//! Making them goes the other way: [`PreparedDocument`] gives the hash for a key that is elsewhere, [`SignedDocument`]
//! takes the time-stamp, [`needs`] and [`extend`] add the proof that the certificate was good, [`Archiving`] the
//! time-stamp over everything, and again whenever [`is_renewal_due`].
//!
//! A signature is *qualified* or *simple* by the policy of its certificate, and only if the trust list lets the
//! certificate's authority issue under that policy ([`Class`]). Which class a service accepts is for the service to
//! say: [`SignatureReport::is`].

mod asice;
mod extend;
mod judge;
mod pdf;
mod report;
mod sign;
mod trust;

pub use extend::{Archiving, ExtendError, Needs, extend, is_renewal_due, needs};
pub use report::{
    Addition, Class, Format, Integrity, Level, Refusal, Report, SignatureReport, Signer, Validity,
    Verdict, When, clean,
};
pub use sign::{PreparedDocument, SignedDocument, SigningCertificate};
pub use trust::{Authority, Trust, Weakened};

use time::OffsetDateTime;

/// Largest document that is judged, in bytes.
pub const MAXIMUM_LENGTH: usize = 256 << 20;

/// Judges a document as of `now`. Without a trust list everything is judged that needs none, and a document in which
/// nothing is wrong is [`Verdict::Incomplete`].
#[must_use]
pub fn verify(document: &[u8], trust: Option<&Trust>, now: OffsetDateTime) -> Report {
    if document.len() > MAXIMUM_LENGTH {
        return Report::refused(
            Format::Unknown,
            Refusal::TooLarge,
            "it is larger than what is judged here",
        );
    }
    match Format::of(document) {
        Format::Pdf => pdf::verify(document, trust, now),
        Format::Container => asice::verify(document, trust, now),
        Format::Unknown => Report::refused(
            Format::Unknown,
            Refusal::OtherKind,
            "it is neither a PDF file nor a container with signatures",
        ),
    }
}
