//! The corpus of the fuzz target as an ordinary test: every input, prefixes and changed octets of it, through the
//! function that the target runs.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used
)]

#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/jose.rs"]
mod targets;

#[test]
fn corpora_and_changed_forms_of_them() {
    replay::replay(targets::TARGETS, 250, b"09 </", &[1]);
}
