//! Hash chains (reference 1.6): how one signature or one time stamp covers several parts, or
//! several messages.
//!
//! A chain document has steps; the digest of a step is over the list of the digests of its
//! values, and each value is a constant, another step, or a part of the message. A result
//! document names the step that everything leads to and holds its digest; the result document is
//! what is signed or time-stamped, as bytes.

mod build;
mod scan;
mod verify;

pub use build::{BatchChains, BatchTree, ChainDocuments, MAXIMUM_BATCH, Names, single};
pub use verify::{ChainUse, MAXIMUM_DOCUMENT, verify};

use pki::{Digest, DigestAlgorithm};

/// The namespace of hash chains (H1).
pub const NAMESPACE: &str = "http://cyber.ee/hashchain";

/// Appends the DER of one element of a step's digest list (H3): a SEQUENCE of the digest, the URI
/// of its algorithm, and an empty SEQUENCE for "no transforms".
fn push_digest(digest: &[u8], algorithm_uri: &str, list: &mut Vec<u8>) {
    let inner =
        header(digest.len()) + digest.len() + header(algorithm_uri.len()) + algorithm_uri.len() + 2;
    push_header(0x30, inner, list);
    push_header(0x04, digest.len(), list);
    list.extend_from_slice(digest);
    push_header(0x0C, algorithm_uri.len(), list);
    list.extend_from_slice(algorithm_uri.as_bytes());
    push_header(0x30, 0, list);
}

/// The DER of a whole digest list around its elements.
fn digest_list(elements: &[u8]) -> Vec<u8> {
    let mut list = Vec::with_capacity(elements.len() + 6);
    push_header(0x30, elements.len(), &mut list);
    list.extend_from_slice(elements);
    list
}

/// Bytes that tag and length take.
fn header(length: usize) -> usize {
    match length {
        0..=0x7F => 2,
        0x80..=0xFF => 3,
        0x100..=0xFFFF => 4,
        0x1_0000..=0xFF_FFFF => 5,
        _ => 6,
    }
}

fn push_header(tag: u8, length: usize, out: &mut Vec<u8>) {
    out.push(tag);
    let bytes = (length as u32).to_be_bytes();
    match header(length) {
        2 => out.push(bytes[3]),
        3 => out.extend_from_slice(&[0x81, bytes[3]]),
        4 => out.extend_from_slice(&[0x82, bytes[2], bytes[3]]),
        5 => out.extend_from_slice(&[0x83, bytes[1], bytes[2], bytes[3]]),
        _ => out.extend_from_slice(&[0x84, bytes[0], bytes[1], bytes[2], bytes[3]]),
    }
}

/// The digest of a step over digests that all have the same algorithm.
fn step_digest<'d>(
    algorithm: DigestAlgorithm,
    digests: impl IntoIterator<Item = &'d [u8]>,
) -> Digest {
    let mut elements = Vec::with_capacity(256);
    for digest in digests {
        push_digest(digest, algorithm.uri(), &mut elements);
    }
    algorithm.digest(&digest_list(&elements))
}
