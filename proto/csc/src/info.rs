//! `info` (section 11.1).

use serde::{Deserialize, Serialize};

/// What `info` may be asked with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoRequest {
    /// The language of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
}

/// What the service says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoResponse {
    /// Version of the specification.
    pub specs: String,
    /// Name of the service.
    pub name: String,
    /// Address of a logo, PNG or JPEG.
    pub logo: String,
    /// Country (ISO 3166-1 alpha 2).
    pub region: String,
    /// Language of the answer.
    pub lang: String,
    /// What the service is.
    pub description: String,
    /// How clients may call: `oauth2client` by client credentials.
    #[serde(rename = "authType")]
    pub auth_type: Vec<String>,
    /// Base of the authorization server's addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<String>,
    /// Whether signatures may be fetched later.
    #[serde(default, rename = "asynchronousOperationMode")]
    pub asynchronous: bool,
    /// The methods that are there.
    pub methods: Vec<String>,
    /// Whether `signDoc` gives what is needed to validate.
    #[serde(default, rename = "validationInfo")]
    pub validation_info: bool,
    /// Algorithms of signatures.
    #[serde(rename = "signAlgorithms")]
    pub sign_algorithms: SignAlgorithms,
    /// Formats of signed documents.
    pub signature_formats: SignatureFormats,
    /// Levels of signed documents.
    pub conformance_levels: Vec<String>,
}

/// Algorithms of signatures, as object identifiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignAlgorithms {
    /// The algorithms.
    pub algos: Vec<String>,
}

/// Formats of signed documents, and for each how a signature may be put into them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureFormats {
    /// `P` for PAdES, `C` for CAdES, `X` for XAdES, `J` for JAdES.
    pub formats: Vec<String>,
    /// A list for each format.
    #[serde(default)]
    pub envelope_properties: Vec<Vec<String>>,
}
