//! A strict, bounded reader for the small XML documents of signatures.
//!
//! The documents read here (signatures, hash chains, ASiC manifests) are checked byte for byte
//! later on, so the reader keeps positions instead of copies: [`Document`] is a flat index of the
//! elements of a text that stays where it is. It refuses everything such documents never need:
//! DOCTYPE (and with it every entity except the five predefined ones), other encodings than
//! UTF-8, undeclared prefixes, and anything larger than the [`Limits`] it was given.

mod document;
mod tokens;

pub(crate) use document::attribute_value;
pub use document::{Document, Element, Elements, Limits};
pub(crate) use tokens::{RawAttribute, Token, Tokens, decode_reference};

use thiserror::Error;

/// The namespace that the prefix `xml` always stands for.
pub const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace that the prefix `xmlns` always stands for.
pub const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// Why a text is not a document this reader accepts. The sender of the document is at fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum XmlError {
    /// More bytes than the limit.
    #[error("the document has {0} bytes, more than the limit")]
    TooLarge(usize),
    /// Elements nested deeper than the limit.
    #[error("elements are nested too deeply")]
    TooDeep,
    /// More elements than the limit.
    #[error("too many elements")]
    TooManyElements,
    /// More attributes on one element than the limit.
    #[error("too many attributes on one element")]
    TooManyAttributes,
    /// The bytes are not UTF-8, or the declaration names another encoding.
    #[error("the document is not UTF-8")]
    NotUtf8,
    /// The document has a DOCTYPE; none is accepted.
    #[error("a DOCTYPE is not accepted")]
    Doctype,
    /// A reference to an entity that is not one of the five predefined ones, or to a character
    /// that XML forbids.
    #[error("an entity or character reference is not accepted (byte {0})")]
    Reference(usize),
    /// The text breaks a rule of XML 1.0 at this byte.
    #[error("not well-formed: {rule} (byte {at})")]
    NotWellFormed {
        /// The rule that is broken.
        rule: &'static str,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// The text breaks a rule of Namespaces in XML 1.0.
    #[error("namespaces: {0}")]
    Namespace(&'static str),
}
