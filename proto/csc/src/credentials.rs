//! `credentials/list` (section 11.4) and `credentials/info` (section 11.5).

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Which certificates are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certificates {
    /// None.
    None,
    /// The signer's.
    #[default]
    Single,
    /// The signer's and those of its authorities.
    Chain,
}

/// Which credentials there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialsListRequest {
    /// Whose.
    #[serde(default, rename = "userID", skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether everything about them is wanted, not their identifiers alone.
    #[serde(default, rename = "credentialInfo")]
    pub credential_info: bool,
    /// Which certificates.
    #[serde(default)]
    pub certificates: Certificates,
    /// Whether subject, issuer and validity are wanted.
    #[serde(default, rename = "certInfo")]
    pub cert_info: bool,
    /// Whether the way to authorise is wanted.
    #[serde(default, rename = "authInfo")]
    pub auth_info: bool,
    /// Only those that sign.
    #[serde(default, rename = "onlyValid")]
    pub only_valid: bool,
}

/// The credentials there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialsListResponse {
    /// Their identifiers.
    #[serde(rename = "credentialIDs")]
    pub ids: Vec<String>,
    /// Everything about them, in the same order, if it was wanted.
    #[serde(
        default,
        rename = "credentialInfos",
        skip_serializing_if = "Option::is_none"
    )]
    pub infos: Option<Vec<CredentialInfo>>,
    /// Whether only those that sign are listed; there if it was wanted.
    #[serde(default, rename = "onlyValid", skip_serializing_if = "Option::is_none")]
    pub only_valid: Option<bool>,
}

/// What is wanted of one credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialsInfoRequest {
    /// Its identifier.
    #[serde(rename = "credentialID")]
    pub credential: String,
    /// Which certificates.
    #[serde(default)]
    pub certificates: Certificates,
    /// Whether subject, issuer and validity are wanted.
    #[serde(default, rename = "certInfo")]
    pub cert_info: bool,
    /// Whether the way to authorise is wanted.
    #[serde(default, rename = "authInfo")]
    pub auth_info: bool,
}

/// A credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialInfo {
    /// Its identifier; in lists only.
    #[serde(
        default,
        rename = "credentialID",
        skip_serializing_if = "Option::is_none"
    )]
    pub credential: Option<String>,
    /// The kind of its signatures.
    #[serde(
        default,
        rename = "signatureQualifier",
        skip_serializing_if = "Option::is_none"
    )]
    pub signature_qualifier: Option<String>,
    /// Its key.
    pub key: Key,
    /// Its certificate.
    pub cert: Cert,
    /// How its use is authorised.
    pub auth: Auth,
    /// `2`: an authorisation is bound to the hashes.
    #[serde(rename = "SCAL")]
    pub scal: String,
    /// Most signatures under one authorisation.
    pub multisign: usize,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `enabled` or `disabled`.
    pub status: String,
    /// Algorithms, as object identifiers.
    pub algo: Vec<String>,
    /// Its length in bits.
    pub len: u32,
    /// The curve's object identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curve: Option<String>,
}

/// A certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cert {
    /// `valid`, `expired` or `revoked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The signer's certificate first, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<Vec<String>>,
    /// Issuer (RFC 4514).
    #[serde(default, rename = "issuerDN", skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Serial number in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// Subject (RFC 4514).
    #[serde(default, rename = "subjectDN", skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Begin, as [`generalized_time`] writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// End, as [`generalized_time`] writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<String>,
}

/// How the use of a credential is authorised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auth {
    /// `oauth2code`: by the person on the service's own page.
    pub mode: String,
}

/// A time as `YYYYMMDDHHmmssZ`.
#[must_use]
pub fn generalized_time(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    at.format(time::macros::format_description!(
        "[year][month][day][hour][minute][second]Z"
    ))
    .unwrap_or_default()
}
