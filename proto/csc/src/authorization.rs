//! What a person is asked to authorise (section 8.4.2).

use serde::{Deserialize, Serialize};

use crate::error::CscError;
use crate::signatures::decode_hash;
use crate::{MAX_HASHES, SHA256};

/// `type` of the authorization details that ask for signatures.
pub const CREDENTIAL: &str = "credential";

/// Authorization details of the type [`CREDENTIAL`] (RFC 9396).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationDetail {
    /// [`CREDENTIAL`].
    #[serde(rename = "type")]
    pub kind: String,
    /// The credential.
    #[serde(
        default,
        rename = "credentialID",
        skip_serializing_if = "Option::is_none"
    )]
    pub credential: Option<String>,
    /// What is to be signed.
    #[serde(rename = "documentDigests")]
    pub documents: Vec<DocumentDigest>,
    /// Algorithm of the hashes.
    #[serde(rename = "hashAlgorithmOID")]
    pub hash_algorithm: String,
}

/// A hash and the name that the person is shown.
pub type NamedHash<'a> = (Vec<u8>, Option<&'a str>);

/// A document by its hash and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentDigest {
    /// The hash in base64.
    pub hash: String,
    /// The name that the person is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl AuthorizationDetail {
    /// Reads the parameter `authorization_details`: one request for signatures.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn decode(text: &str) -> Result<Self, CscError> {
        let invalid = || CscError::invalid("Invalid parameter authorization_details");
        let mut details: Vec<Self> = serde_json::from_str(text).map_err(|_| invalid())?;
        let detail = details.pop().ok_or_else(invalid)?;
        if !details.is_empty() || detail.kind != CREDENTIAL {
            return Err(invalid());
        }
        Ok(detail)
    }

    /// Hashes and names, if they are of SHA-256.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn documents(&self) -> Result<Vec<NamedHash<'_>>, CscError> {
        if self.hash_algorithm != SHA256 {
            return Err(CscError::invalid("Invalid parameter hashAlgorithmOID"));
        }
        if self.documents.is_empty() || self.documents.len() > MAX_HASHES {
            return Err(CscError::invalid("Invalid parameter authorization_details"));
        }
        self.documents
            .iter()
            .map(|document| Ok((decode_hash(&document.hash)?, document.label.as_deref())))
            .collect()
    }
}

/// The hashes of the parameter `hashes`, with commas between them.
///
/// # Errors
/// `invalid_request`.
pub fn decode_hashes(text: &str) -> Result<Vec<Vec<u8>>, CscError> {
    if text.split(',').count() > MAX_HASHES {
        return Err(CscError::invalid("Numbers of signatures is too high"));
    }
    text.split(',').map(decode_hash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The sample of section 8.4.2, with a credential.
    const SAMPLE: &str = r#"[{ "type": "credential", "credentialID": "GX0112348", "documentDigests": [
        { "hash": "sTOgwOm+474gFj0q0x1iSNspKqbcse4IeiqlDg/HWuI=", "label": "Example Contract" },
        { "hash": "HZQzZmMAIWekfGH0/ZKW1nsdt0xg3H6bZYztgsMTLw0=", "label": "Example Terms of Service" }],
        "hashAlgorithmOID": "2.16.840.1.101.3.4.2.1" }]"#;

    #[test]
    fn the_sample_is_read_and_nothing_beside_it() {
        let detail = AuthorizationDetail::decode(SAMPLE).unwrap();
        let documents = detail.documents().unwrap();
        assert_eq!(documents[1].1, Some("Example Terms of Service"));
        let again = serde_json::to_string(&[&detail]).unwrap();
        assert_eq!(AuthorizationDetail::decode(&again).unwrap(), detail);
        for wrong in [
            "[]",
            "{}",
            &SAMPLE.replace("\"credential\"", "\"payment\""),
            &format!(
                "[{0},{0}]",
                &SAMPLE[1..SAMPLE.len() - 1].trim_end_matches(']')
            ),
        ] {
            assert!(AuthorizationDetail::decode(wrong).is_err(), "{wrong}");
        }
        for end in 0..SAMPLE.len() {
            assert!(AuthorizationDetail::decode(&SAMPLE[..end]).is_err());
        }
        let other = SAMPLE.replace("4.2.1\"", "4.2.3\"");
        assert!(
            AuthorizationDetail::decode(&other)
                .unwrap()
                .documents()
                .is_err()
        );
    }

    #[test]
    fn hashes_in_a_query_are_read() {
        let hash = "sTOgwOm-474gFj0q0x1iSNspKqbcse4IeiqlDg_HWuI";
        assert_eq!(decode_hashes(&format!("{hash},{hash}")).unwrap().len(), 2);
        for wrong in ["", ",", hash.trim_end_matches('I'), &format!("{hash},")] {
            assert!(decode_hashes(wrong).is_err(), "{wrong}");
        }
        assert!(decode_hashes(&vec![hash; MAX_HASHES + 1].join(",")).is_err());
    }
}
