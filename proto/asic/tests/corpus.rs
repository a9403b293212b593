//! The corpora of the fuzz targets as ordinary tests: every input, every prefix and changed octets of it, through the
//! functions that the targets run.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

#[path = "../../../fuzz/src/asic.rs"]
mod containers;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/xmldsig.rs"]
mod signatures;

#[test]
fn corpora_and_changed_forms_of_them() {
    let targets = containers::TARGETS.iter().chain(signatures::TARGETS);
    replay::replay(targets, 1_000, b"<\"\0", &[1, 0x80]);
}
