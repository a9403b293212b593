//! XML signatures as X-Road uses them: XML-DSig with XAdES (X-Road's profile and the newer one of
//! X-Road 8), the canonical XML they need, and the strict reader underneath.
//!
//! A signature passes three gates, each of which makes the value that the next one takes:
//! [`Signature::decode`] (structure), [`Signature::verify_value`] (keys) and, in the crates above,
//! the check that it covers every part of a message and that the signer is whom the message names.
//!
//! [`baseline`] has the same for signatures over any files: XAdES baseline, B-B to B-LTA.
//!
//! [`SignatureMemory`] passes the first gate faster where a signer's signatures come one after
//! the other.

mod base64_text;
pub mod baseline;
pub mod c14n;
mod error;
mod frame;
mod memory;
mod names;
mod signature;
mod template;
mod verify;
pub mod xml;

pub use error::SignatureError;
pub use frame::ChainText;
pub use memory::SignatureMemory;
pub use names::{HASH_CHAIN_RESULT, MESSAGE};
pub use signature::{MAXIMUM_SIZE, Profile, Reference, Signature, with_time_stamp};
pub use template::{SignError, SignatureTarget, SignatureTemplate};
pub use verify::{SignaturePolicyRule, ValueVerified};

/// Base64 of an element's raw content, with the line breaks that X-Road's writers put in it;
/// `None` if it is anything else.
#[must_use]
pub fn decode_base64(raw: &str) -> Option<Vec<u8>> {
    base64_text::decode(raw)
}
