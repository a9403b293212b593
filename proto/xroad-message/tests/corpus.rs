//! The corpora of the fuzz targets as ordinary tests: every input, and changed forms
//! of it, through the functions that the targets run.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

#[path = "../../../fuzz/src/xroad_message.rs"]
mod targets;

/// A small generator of numbers (xorshift), so that every run is the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end.max(1) as u64)).unwrap()
    }
}

fn change(input: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut out = input.to_vec();
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(out.len() + 1);
        let end = (at + numbers.below(12)).min(out.len());
        match numbers.below(5) {
            0 => out.truncate(at),
            1 => drop(out.drain(at..end)),
            2 => {
                let copy = out[at..end].to_vec();
                let to = numbers.below(out.len() + 1);
                out.splice(to..to, copy);
            }
            3 => {
                let pieces: [&[u8]; 8] = [
                    b"\r\n", b"\n--b", b"--", b"<a>", b"&#1;", b"/..", b":", b"\xff",
                ];
                out.splice(at..end, pieces[numbers.below(8)].iter().copied());
            }
            _ => {
                if let Some(byte) = out.get_mut(at) {
                    *byte ^= 1 << numbers.below(8);
                }
            }
        }
    }
    out
}

#[test]
fn corpora_and_changed_forms_of_them() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
    let mut numbers = Numbers(0x7475_6e64_756b);
    for (name, run) in targets::TARGETS {
        let mut inputs = 0;
        for entry in std::fs::read_dir(format!("{folder}/{name}")).unwrap() {
            let input = std::fs::read(entry.unwrap().path()).unwrap();
            run(&input);
            for length in 0..input.len() {
                run(&input[..length]);
            }
            for _ in 0..300 {
                run(&change(&input, &mut numbers));
            }
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
}
