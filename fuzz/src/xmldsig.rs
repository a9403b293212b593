//! Targets of the crate `xmldsig`.

use xmldsig::Signature;

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[("signature", signature)];

/// A signature document.
pub fn signature(data: &[u8]) {
    let _ = Signature::decode(data);
}
