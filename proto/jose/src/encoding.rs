//! Base64url without padding (RFC 7515 section 2), SHA-256, and comparison of secrets.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Base64url without padding.
#[must_use]
pub fn to_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a base64url text; `None` if it has padding, other characters or stray bits, so that one value has one
/// spelling.
#[must_use]
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut value = [0; 32];
    value.copy_from_slice(digest(&SHA256, bytes).as_ref());
    value
}

/// SHA-256 in base64url: 43 characters.
#[must_use]
pub fn sha256_base64url(bytes: &[u8]) -> String {
    to_base64url(&sha256(bytes))
}

/// Whether two secrets are the same, in a time that does not tell where they differ. Their lengths are no secret.
#[must_use]
pub fn same_secret(left: &[u8], right: &[u8]) -> bool {
    verify_slices_are_equal(left, right).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_one_spelling() {
        assert_eq!(from_base64url("AQAB"), Some(vec![1, 0, 1]));
        assert_eq!(from_base64url("AQ"), Some(vec![1]));
        for wrong in ["AQ==", "AR", "A", "A Q", "+/8", "AQ\n"] {
            assert_eq!(from_base64url(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn secrets_are_compared_whole() {
        assert!(same_secret(b"abc", b"abc"));
        assert!(!same_secret(b"abc", b"abd"));
        assert!(!same_secret(b"abc", b"abcd"));
    }
}
