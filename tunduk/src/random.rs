//! Randomness for the composition: identifiers, PINs, serial numbers.

use aws_lc_rs::rand::fill;

/// `N` random bytes.
///
/// # Panics
/// The system has no randomness, without which nothing here may go on.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    assert!(
        fill(&mut bytes).is_ok(),
        "the system's random generator does not work"
    );
    bytes
}

/// Random bytes as lower-case hexadecimal digits, two each.
#[must_use]
pub fn hexadecimal<const N: usize>() -> String {
    bytes::<N>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A random UUID (RFC 9562 version 4).
#[must_use]
pub fn uuid() -> String {
    uuid::Builder::from_random_bytes(bytes())
        .into_uuid()
        .to_string()
}
