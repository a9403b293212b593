//! `signatures/signHash` (section 11.10), `signatures/signDoc` (section 11.11), `signatures/timestamp` (section 11.13).

use serde::{Deserialize, Serialize};

use crate::error::CscError;
use crate::{ECDSA_WITH_SHA256, MAX_HASHES, SHA256, from_base64};

/// Hashes to be signed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignHashRequest {
    /// With which credential.
    #[serde(rename = "credentialID")]
    pub credential: String,
    /// The signature activation data, unless the access token is one for this credential.
    #[serde(default, rename = "SAD", skip_serializing_if = "Option::is_none")]
    pub sad: Option<String>,
    /// The hashes in base64, in the order in which they were authorised. Version 1 calls them `hash`, and so do clients of
    /// both versions (pyHanko).
    #[serde(alias = "hash")]
    pub hashes: Vec<String>,
    /// Algorithm of the hashes; `hashAlgo` in version 1.
    #[serde(
        default,
        rename = "hashAlgorithmOID",
        alias = "hashAlgo",
        skip_serializing_if = "Option::is_none"
    )]
    pub hash_algorithm: Option<String>,
    /// Algorithm of the signatures.
    #[serde(rename = "signAlgo")]
    pub sign_algorithm: String,
    /// `S`, or nothing: the answer holds the signatures.
    #[serde(
        default,
        rename = "operationMode",
        skip_serializing_if = "Option::is_none"
    )]
    pub operation_mode: Option<String>,
}

/// Without the signature activation data.
impl std::fmt::Debug for SignHashRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignHashRequest")
            .field("credential", &self.credential)
            .field("hashes", &self.hashes)
            .finish_non_exhaustive()
    }
}

impl SignHashRequest {
    /// The hashes, if this is a request for signatures of ECDSA with SHA-256, answered at once.
    ///
    /// # Errors
    /// `invalid_request`, in the words of section 11.10.
    pub fn hashes(&self) -> Result<Vec<Vec<u8>>, CscError> {
        check_algorithms(
            &self.sign_algorithm,
            self.hash_algorithm.as_deref(),
            self.operation_mode.as_deref(),
        )?;
        if self.hashes.is_empty() {
            return Err(CscError::invalid("Empty hash array"));
        }
        if self.hashes.len() > MAX_HASHES {
            return Err(CscError::invalid("Numbers of signatures is too high"));
        }
        self.hashes.iter().map(|hash| decode_hash(hash)).collect()
    }
}

/// A hash of SHA-256 in base64.
pub(crate) fn decode_hash(text: &str) -> Result<Vec<u8>, CscError> {
    let hash = from_base64(text)
        .ok_or_else(|| CscError::invalid("Invalid Base64 hash string parameter"))?;
    if hash.len() == 32 {
        Ok(hash)
    } else {
        Err(CscError::invalid("Invalid digest value length"))
    }
}

fn check_algorithms(
    sign: &str,
    hash: Option<&str>,
    operation_mode: Option<&str>,
) -> Result<(), CscError> {
    if sign != ECDSA_WITH_SHA256 {
        return Err(CscError::invalid("Invalid parameter signAlgo"));
    }
    if hash.is_some_and(|hash| hash != SHA256) {
        return Err(CscError::invalid("Invalid parameter hashAlgorithmOID"));
    }
    if operation_mode.is_some_and(|mode| mode != "S") {
        return Err(CscError::invalid("Invalid parameter operationMode"));
    }
    Ok(())
}

/// The signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignHashResponse {
    /// In base64, in the order of the hashes. Of ECDSA: `ECDSA-Sig-Value` in DER.
    pub signatures: Vec<String>,
}

/// Documents to be signed, or their digests.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignDocRequest {
    /// With which credential.
    #[serde(
        default,
        rename = "credentialID",
        skip_serializing_if = "Option::is_none"
    )]
    pub credential: Option<String>,
    /// The signature activation data, unless the access token is one for this credential.
    #[serde(default, rename = "SAD", skip_serializing_if = "Option::is_none")]
    pub sad: Option<String>,
    /// Digests of documents.
    #[serde(
        default,
        rename = "documentDigests",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub digests: Vec<DocumentDigests>,
    /// Documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<DocumentToSign>,
    /// `S`, or nothing: the answer holds the signatures.
    #[serde(
        default,
        rename = "operationMode",
        skip_serializing_if = "Option::is_none"
    )]
    pub operation_mode: Option<String>,
    /// Whether what is needed to validate is wanted.
    #[serde(default, rename = "returnValidationInfo")]
    pub validation_info: bool,
}

/// Without documents and activation data.
impl std::fmt::Debug for SignDocRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignDocRequest")
            .field("credential", &self.credential)
            .field("digests", &self.digests.len())
            .field("documents", &self.documents.len())
            .finish_non_exhaustive()
    }
}

/// Digests of documents that are signed in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentDigests {
    /// In base64.
    pub hashes: Vec<String>,
    /// Algorithm of the digests.
    #[serde(
        default,
        rename = "hashAlgorithmOID",
        skip_serializing_if = "Option::is_none"
    )]
    pub hash_algorithm: Option<String>,
    /// `P`, `C`, `X` or `J`.
    pub signature_format: String,
    /// The level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conformance_level: Option<String>,
    /// Algorithm of the signatures.
    #[serde(rename = "signAlgo")]
    pub sign_algorithm: String,
    /// How the signature is put into the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_envelope_property: Option<String>,
}

impl DocumentDigests {
    /// The digests, if they are of SHA-256 for signatures of ECDSA with SHA-256.
    ///
    /// # Errors
    /// `invalid_request`, in the words of section 11.11.
    pub fn hashes(&self) -> Result<Vec<Vec<u8>>, CscError> {
        check_algorithms(&self.sign_algorithm, self.hash_algorithm.as_deref(), None)?;
        if self.hashes.is_empty() || self.hashes.len() > MAX_HASHES {
            return Err(CscError::invalid(
                "Invalid object parameter documentDigests",
            ));
        }
        self.hashes.iter().map(|hash| decode_hash(hash)).collect()
    }
}

/// A document to be signed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentToSign {
    /// In base64.
    pub document: String,
    /// `P`, `C`, `X` or `J`.
    pub signature_format: String,
    /// The level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conformance_level: Option<String>,
    /// Algorithm of the signature.
    #[serde(rename = "signAlgo")]
    pub sign_algorithm: String,
    /// How the signature is put into the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_envelope_property: Option<String>,
}

/// Without the document.
impl std::fmt::Debug for DocumentToSign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DocumentToSign({} characters)", self.document.len())
    }
}

impl DocumentToSign {
    /// The document, if it is to be signed with ECDSA and SHA-256.
    ///
    /// # Errors
    /// `invalid_request`, in the words of section 11.11.
    pub fn document(&self) -> Result<Vec<u8>, CscError> {
        check_algorithms(&self.sign_algorithm, None, None)?;
        from_base64(&self.document)
            .ok_or_else(|| CscError::invalid("Invalid Base64 documents string parameter"))
    }
}

/// Signed documents or signatures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignDocResponse {
    /// Documents with their signatures in them, in base64.
    #[serde(
        default,
        rename = "DocumentWithSignature",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub documents: Vec<String>,
    /// Signatures alone, in base64.
    #[serde(
        default,
        rename = "SignatureObject",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub signatures: Vec<String>,
}

/// A hash to be stamped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimestampRequest {
    /// In base64.
    pub hash: String,
    /// Its algorithm.
    #[serde(rename = "hashAlgo")]
    pub hash_algorithm: String,
    /// A number in hexadecimal that the stamp repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}

/// A time-stamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimestampResponse {
    /// The token (RFC 3161) in base64.
    pub timestamp: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    // The sample request of section 11.10, with our algorithm and a hash of its length.
    const SAMPLE: &str = r#"{ "credentialID": "GX0112348", "SAD": "_TiHRG-bAH3XlFQZ3ndFhkXf9P24/CKN69L8gdSYp5_pw",
        "hashes": ["sTOgwOm+474gFj0q0x1iSNspKqbcse4IeiqlDg/HWuI="], "hashAlgorithmOID": "2.16.840.1.101.3.4.2.1",
        "signAlgo": "1.2.840.10045.4.3.2", "clientData": "12345678" }"#;

    #[test]
    fn the_sample_is_read_and_what_it_may_not_say_is_refused() {
        let request: SignHashRequest = serde_json::from_str(SAMPLE).unwrap();
        assert_eq!(request.hashes().unwrap()[0].len(), 32);
        assert!(!format!("{request:?}").contains("_TiHRG"));
        for (from, to, words) in [
            ("4.3.2\"", "4.3.3\"", "Invalid parameter signAlgo"),
            ("4.2.1\"", "4.2.2\"", "Invalid parameter hashAlgorithmOID"),
            ("sTOg", "sTO*", "Invalid Base64 hash string parameter"),
            ("sTOgwOm", "sTO", "Invalid digest value length"),
            (
                "[\"sTOgwOm+474gFj0q0x1iSNspKqbcse4IeiqlDg/HWuI=\"]",
                "[]",
                "Empty hash array",
            ),
            (
                "\"clientData\": \"12345678\"",
                "\"operationMode\": \"A\"",
                "Invalid parameter operationMode",
            ),
        ] {
            let request: SignHashRequest =
                serde_json::from_str(&SAMPLE.replacen(from, to, 1)).unwrap();
            let error = request.hashes().unwrap_err();
            assert!(error.error_description.contains(words), "{from}: {error}");
        }
    }
}
