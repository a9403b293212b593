//! The corpora of the fuzz targets as ordinary tests: every input, every prefix and changed octets of it, through the
//! functions that the targets run.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

#[path = "../../../fuzz/src/asic.rs"]
mod containers;
#[path = "../../../fuzz/src/xmldsig.rs"]
mod signatures;

/// Places of one input that are tried; all of a small one.
const PLACES: usize = 1_000;

#[test]
fn corpora_and_changed_forms_of_them() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
    for (name, run) in containers::TARGETS.iter().chain(signatures::TARGETS) {
        let mut inputs = 0;
        for entry in std::fs::read_dir(format!("{folder}/{name}")).unwrap() {
            let mut input = std::fs::read(entry.unwrap().path()).unwrap();
            run(&input);
            let step = input.len() / PLACES + 1;
            for position in (0..input.len()).step_by(step) {
                run(&input[..position]);
                for other in [b'<', b'"', 0, input[position] ^ 1, input[position] ^ 0x80] {
                    let before = std::mem::replace(&mut input[position], other);
                    run(&input);
                    input[position] = before;
                }
                let octet = input.remove(position);
                run(&input);
                input.insert(position, octet);
            }
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
}
