//! A strict, bounded reader for PDF files, and a writer of incremental updates.
//!
//! Viewers repair damaged files, each in its own way, and attacks on signed documents live on that: what one program
//! verifies is not what another shows. So this reader repairs nothing. It takes a file only as its cross-reference
//! sections describe it, remembers which revision each object came with, and refuses whatever two readers could
//! understand differently: dictionaries with a key twice, data in front of the header or behind the end.

mod document;
mod object;
mod parse;
mod update;

pub use document::{Document, Entry, Revision, View};
pub use object::{Dictionary, Indirect, Object, ObjectId, Text};
pub use update::Update;

/// Largest file that is read, in bytes.
pub const MAX_LENGTH: usize = 256 << 20;
/// Most bytes that streams are decompressed to, over all that is read of one file.
pub const MAX_DECOMPRESSED: usize = 256 << 20;
/// Largest object number (ISO 32000-2 annex C).
pub const MAX_OBJECT_NUMBER: u32 = 8_388_607;
/// Deepest nesting of arrays and dictionaries, of page trees and form fields.
pub const MAX_DEPTH: usize = 48;
/// Most values in one indirect object.
pub const MAX_VALUES: usize = 1 << 20;
/// Most cross-reference sections, hence revisions: a signature and its renewal in each of a hundred years.
pub const MAX_REVISIONS: usize = 256;
/// Most bytes of objects that are read of one file, each time they are read: bounds the work that a crafted file can
/// cause by many revisions of large forms. An ordinary file is read some ten times over.
pub const MAX_READ: usize = 256 << 20;

/// Why a file is not read, or not signed. Whoever wrote the file is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PdfError {
    /// Larger than a limit of this module.
    #[error("the PDF file is larger than the limits: {0}")]
    TooLarge(&'static str),
    /// Not the syntax of PDF, or one that readers repair differently.
    #[error("not a sound PDF file: {what} (byte {at})")]
    Malformed {
        /// The rule that is broken.
        what: &'static str,
        /// Where, in bytes from the start of the file or of the decompressed stream.
        at: usize,
    },
    /// The document is encrypted.
    #[error("the PDF file is encrypted; it can neither be signed nor verified here")]
    Encrypted,
    /// Something that is not supported.
    #[error("the PDF file uses something that is not supported: {0}")]
    Unsupported(&'static str),
}

pub(crate) type Result<T> = std::result::Result<T, PdfError>;

pub(crate) fn malformed<T>(what: &'static str, at: usize) -> Result<T> {
    Err(PdfError::Malformed { what, at })
}
