//! The corpora of the fuzz targets as ordinary tests: every input, every prefix
//! and every changed bit of it, through the functions that the targets run.

// Tests may use files, programs and the clock.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]
#![allow(clippy::unwrap_used)]

#[path = "../../../fuzz/src/pki.rs"]
mod targets;

#[test]
fn corpora_and_changed_forms_of_them() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
    for (name, run) in targets::TARGETS {
        let mut inputs = 0;
        for entry in std::fs::read_dir(format!("{folder}/{name}")).unwrap() {
            let mut input = std::fs::read(entry.unwrap().path()).unwrap();
            run(&input);
            for length in 0..input.len() {
                run(&input[..length]);
            }
            for position in 0..input.len() {
                for bit in 0..8 {
                    input[position] ^= 1 << bit;
                    run(&input);
                    input[position] ^= 1 << bit;
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
