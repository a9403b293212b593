//! Targets of the crate `globalconf`.

use globalconf::{Anchor, PrivateParameters, SharedParameters, SignedDirectory};

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[
    ("anchor", anchor),
    ("signed_directory", signed_directory),
    ("shared_parameters", shared_parameters),
    ("private_parameters", private_parameters),
];

/// A configuration anchor.
pub fn anchor(data: &[u8]) {
    let _ = Anchor::decode(data);
}

/// A signed directory.
pub fn signed_directory(data: &[u8]) {
    let _ = SignedDirectory::decode(data);
}

/// Shared parameters of any version.
pub fn shared_parameters(data: &[u8]) {
    let _ = SharedParameters::decode(data);
}

/// Private parameters of any version.
pub fn private_parameters(data: &[u8]) {
    let _ = PrivateParameters::decode(data);
}
