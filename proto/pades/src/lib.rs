//! Signatures in PDF files: PAdES baseline B-B, B-T, B-LT and B-LTA (ETSI EN 319 142-1, ISO 32000-2).
//!
//! Signing has two steps, because the key is elsewhere: [`sign::Prepared`] is a document with room for a signature and
//! the bytes to be signed; the value completes it. Whatever is added to a document is added behind it, in incremental
//! updates ([`pdf::Update`]).
//!
//! Reading keeps three questions apart. [`signature::find`]: which signatures are there, and do they cover their
//! revisions without a gap? [`changes::since`]: did anything but signatures, time-stamps and validation data come
//! later? [`pki::cms`] and [`pki::tsp`]: do the values hold? Who signed and whether that counts is judged above.

pub mod changes;
pub mod pdf;
pub mod sign;
pub mod signature;
pub mod store;
mod text;
