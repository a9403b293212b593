//! A corpus as an ordinary test: every input, prefixes and changed forms of it, through the functions that the targets
//! run. The crates' tests take this file in.

/// Runs each target over its corpus, `fuzz/corpus/<target>`. At so many places of an input - all of a small one - it is
/// cut off, an octet is left out, changed to each of `octets`, and changed in the bits of each of `flips`.
///
/// # Panics
/// A target panics, or has no corpus.
pub fn replay<'t>(
    targets: impl IntoIterator<Item = &'t (&'t str, fn(&[u8]))>,
    places: usize,
    octets: &[u8],
    flips: &[u8],
) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
    for (name, run) in targets {
        let mut inputs = 0;
        for entry in std::fs::read_dir(format!("{folder}/{name}")).unwrap() {
            let mut input = std::fs::read(entry.unwrap().path()).unwrap();
            run(&input);
            let step = input.len() / places + 1;
            for position in (0..input.len()).step_by(step) {
                run(&input[..position]);
                let before = input[position];
                for other in octets
                    .iter()
                    .copied()
                    .chain(flips.iter().map(|flip| before ^ flip))
                {
                    input[position] = other;
                    run(&input);
                }
                input.remove(position);
                run(&input);
                input.insert(position, before);
            }
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
}
