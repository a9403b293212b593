//! Signature documents told apart from an earlier one of the same signer.
//!
//! X-Road signatures of one signer differ in the digest, the value and the
//! signing time, a few hundred bytes of some eleven thousand; certificates and
//! OCSP responses stay. So a document is told as runs that are copied from the
//! base at the same place and bytes that differ. Places shift when a part has
//! another length; then the common end of both documents is found again.
//! This costs about a microsecond, where a general compressor costs ten.
//!
//! An encoded document is a sequence of steps: length of the copied run, its
//! place in the base, length of the bytes that differ (each as LEB128), those bytes.

/// Bytes that are compared at once, and the shortest equal run that is copied.
const WORD: usize = 16;

fn word(bytes: &[u8], at: usize) -> Option<u128> {
    let word = bytes.get(at..at + WORD)?;
    word.try_into().ok().map(u128::from_le_bytes)
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let limit = a.len().min(b.len());
    let mut at = 0;
    while at + 256 <= limit && a[at..at + 256] == b[at..at + 256] {
        at += 256;
    }
    while let (Some(x), Some(y)) = (word(a, at), word(b, at)) {
        if x != y {
            return at + (x ^ y).trailing_zeros() as usize / 8;
        }
        at += WORD;
    }
    at + a[at..limit]
        .iter()
        .zip(&b[at..limit])
        .take_while(|(x, y)| x == y)
        .count()
}

fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let limit = a.len().min(b.len());
    let (a, b) = (&a[a.len() - limit..], &b[b.len() - limit..]);
    let mut n = 0;
    while n + 256 <= limit && a[limit - n - 256..limit - n] == b[limit - n - 256..limit - n] {
        n += 256;
    }
    n + a[..limit - n]
        .iter()
        .rev()
        .zip(b[..limit - n].iter().rev())
        .take_while(|(x, y)| x == y)
        .count()
}

/// Where, from `from` on, `document` and `base` (both from the same place on) agree
/// again for a word at least; runs of less than two words may be overlooked.
fn agree_again(document: &[u8], base: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let (Some(x), Some(y)) = (word(document, at), word(base, at)) {
        if x == y {
            let before = document[from..at]
                .iter()
                .rev()
                .zip(base[from..at].iter().rev())
                .take_while(|(x, y)| x == y)
                .count();
            return Some(at - before);
        }
        at += WORD;
    }
    None
}

fn put(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take(input: &mut &[u8]) -> Option<usize> {
    let mut value = 0_usize;
    for shift in (0..32).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        value |= usize::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Appends `document`, told from `base`, to `out` and says whether it came out
/// at less than half its length; if not, what was appended is of no use.
pub fn encode(base: &[u8], document: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let budget = document.len() / 2;
    let suffix = common_suffix(base, document);
    let end_shift = base.len() as isize - document.len() as isize;
    let mut shift = 0_isize;
    let mut at = 0;
    while at < document.len() {
        let from = at.saturating_add_signed(shift).min(base.len());
        let run = common_prefix(&document[at..], &base[from..]);
        let differs = at + run;
        let there = base.get(from..).unwrap_or(&[]);
        let next = match agree_again(&document[at..], there, run) {
            Some(next) => at + next,
            None => {
                shift = end_shift;
                document
                    .len()
                    .saturating_sub(suffix)
                    .clamp(differs, document.len())
            }
        };
        put(out, run);
        put(out, from);
        put(out, next - differs);
        out.extend_from_slice(&document[differs..next]);
        if out.len() - start > budget {
            return false;
        }
        at = next;
    }
    out.len() - start <= budget
}

/// The document of `length` bytes; `None` when the steps do not yield exactly that.
pub fn decode(base: &[u8], mut steps: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut document = Vec::with_capacity(length.min(base.len() + steps.len()));
    while !steps.is_empty() {
        let run = take(&mut steps)?;
        let from = take(&mut steps)?;
        let fresh = take(&mut steps)?;
        document.extend_from_slice(base.get(from..from.checked_add(run)?)?);
        document.extend_from_slice(steps.get(..fresh)?);
        steps = &steps[fresh..];
        if document.len() > length {
            return None;
        }
    }
    (document.len() == length).then_some(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(value: &str, time: &str) -> Vec<u8> {
        format!(
            "<Signature><Digest>{value}</Digest><Value>{value}{value}</Value><Cert>{}</Cert><Time>{time}</Time><Ocsp>{}</Ocsp></Signature>",
            "MIIC".repeat(900),
            "AbCd".repeat(1500)
        )
        .into_bytes()
    }

    fn check(base: &[u8], document: &[u8], most: usize) {
        let mut out = vec![1, 2, 3];
        assert!(encode(base, document, &mut out));
        assert!(out.len() - 3 <= most, "{} bytes", out.len() - 3);
        assert_eq!(
            decode(base, &out[3..], document.len()).as_deref(),
            Some(document)
        );
        for cut in 3..out.len() {
            assert!(decode(base, &out[3..cut], document.len()).is_none());
        }
    }

    #[test]
    fn documents_of_one_signer_are_told_in_few_bytes() {
        let base = document(&"q1W2".repeat(20), "2026-11-24T10:00:00.123Z");
        check(
            &base,
            &document(&"e3R4".repeat(20), "2026-11-24T10:00:00.124Z"),
            300,
        );
        check(
            &base,
            &document(&"e3R4".repeat(20), "2026-11-24T10:00:00Z"),
            300,
        );
        check(&base, &base.clone(), 16);
    }

    #[test]
    fn unlike_documents_are_refused_and_odd_lengths_do_no_harm() {
        let base = document("a", "b");
        let other: Vec<u8> = (0..8000_u32).map(|i| ((i * 7919) >> 3) as u8).collect();
        assert!(!encode(&base, &other, &mut Vec::new()));
        for (a, b) in [
            (&b""[..], &b""[..]),
            (b"", b"x"),
            (b"x", b""),
            (b"abc", b"abd"),
        ] {
            let mut out = Vec::new();
            if encode(a, b, &mut out) {
                assert_eq!(decode(a, &out, b.len()).as_deref(), Some(b));
            }
        }
        assert!(decode(b"abc", &[0xFF; 9], 3).is_none());
        assert!(decode(b"abc", &[9, 0, 0], 9).is_none());
    }
}
