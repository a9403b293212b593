//! The messages of the Cloud Signature Consortium's API, version 2.0.0.2 ("Architectures and protocols for remote
//! signature applications"): what a signature application and a remote signing service say to each other.
//!
//! | module | section |
//! |---|---|
//! | `info` | 11.1 |
//! | `credentials` | 11.4, 11.5 |
//! | `signatures` | 11.10, 11.11, 11.13 |
//! | `authorization` | 8.4.2: what a person is asked to authorise |
//! | `error` | 10.2 |
//!
//! Both sides use these types, so that what one writes the other reads. Fields that a message does not need are left out;
//! fields that are not known are ignored, as the specification's extensions demand. What was decoded is not yet decided
//! on: lengths and counts are checked here, meaning is not.

mod authorization;
mod credentials;
mod error;
mod info;
mod signatures;

pub use authorization::{
    AuthorizationDetail, CREDENTIAL, DocumentDigest, NamedHash, decode_hashes,
};
pub use credentials::{
    Auth, Cert, Certificates, CredentialInfo, CredentialsInfoRequest, CredentialsListRequest,
    CredentialsListResponse, Key, generalized_time,
};
pub use error::CscError;
pub use info::{InfoRequest, InfoResponse, SignAlgorithms, SignatureFormats};
pub use signatures::{
    DocumentDigests, DocumentToSign, SignDocRequest, SignDocResponse, SignHashRequest,
    SignHashResponse, TimestampRequest, TimestampResponse,
};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// The version of the specification, as `info` names it.
pub const SPECS: &str = "2.0.0.2";
/// Where the methods are: `/csc/v2/credentials/list` and so on (section 7.1).
pub const BASE_PATH: &str = "/csc/v2";
/// Longest body of a call without documents, in bytes.
pub const MAX_CALL_LENGTH: usize = 64 * 1024;
/// Most hashes in a call.
pub const MAX_HASHES: usize = 100;

/// SHA-256 (RFC 5754 section 2.2).
pub const SHA256: &str = "2.16.840.1.101.3.4.2.1";
/// ECDSA with SHA-256 (RFC 5758 section 3.2).
pub const ECDSA_WITH_SHA256: &str = "1.2.840.10045.4.3.2";
/// The curve P-256 (RFC 5480 section 2.1.1.1).
pub const P256: &str = "1.2.840.10045.3.1.7";

/// Bytes in base64. Applications write the standard and the URL-safe alphabet, with and without padding (the
/// specification's own samples use both), so both are read.
#[must_use]
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let standard: String = text
        .trim_end_matches('=')
        .chars()
        .map(|character| match character {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    URL_SAFE_NO_PAD.decode(standard).ok()
}

/// Bytes in base64 as the specification writes them in JSON.
#[must_use]
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_are_read() {
        let bytes = [0xfb, 0xff, 0xfe, 0x01];
        for text in ["+//+AQ==", "-__-AQ", "-__-AQ==", "+//+AQ"] {
            assert_eq!(from_base64(text).unwrap(), bytes);
        }
        assert_eq!(from_base64(&to_base64(&bytes)).unwrap(), bytes);
        assert!(from_base64("a b").is_none() && from_base64("*").is_none());
    }
}
