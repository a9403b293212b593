//! The corpus of the fuzz targets as an ordinary test: every input, prefixes and changed octets of it, through the
//! function that the target runs.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used
)]

#[path = "../../../fuzz/src/oauth2.rs"]
mod targets;

/// Places of one input that are tried; all of a small one.
const PLACES: usize = 250;

#[test]
fn corpora_and_changed_forms_of_them() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
    for (name, run) in targets::TARGETS {
        let mut inputs = 0;
        for entry in std::fs::read_dir(format!("{folder}/{name}")).unwrap() {
            let mut input = std::fs::read(entry.unwrap().path()).unwrap();
            run(&input);
            let step = input.len() / PLACES + 1;
            for position in (0..input.len()).step_by(step) {
                run(&input[..position]);
                for other in [b'0', b'9', b' ', b'<', b'/', input[position] ^ 1] {
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
