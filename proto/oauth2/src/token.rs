//! The token endpoint (RFC 6749 sections 4.1.3 and 6, RFC 8628 section 3.4).

use std::collections::BTreeSet;

use jose::{sha256, to_base64url};

use crate::error::{ErrorCode, OauthError};
use crate::parameters::Parameters;

/// Most scopes of a request.
const MAX_SCOPES: usize = 32;

/// What a client asks for. Secrets are borrowed from the request and not shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TokenRequest<'a> {
    /// `authorization_code`.
    Code {
        /// `code`.
        code: &'a str,
        /// `redirect_uri`, as it was in the request for the code.
        redirect_uri: &'a str,
        /// `code_verifier`.
        verifier: &'a str,
    },
    /// `refresh_token`.
    Refresh {
        /// `refresh_token`.
        token: &'a str,
        /// `scope`: less than before.
        scope: Option<&'a str>,
    },
    /// `urn:ietf:params:oauth:grant-type:device_code`.
    Device {
        /// `device_code`.
        code: &'a str,
    },
}

impl std::fmt::Debug for TokenRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Code { .. } => "Code",
            Self::Refresh { .. } => "Refresh",
            Self::Device { .. } => "Device",
        })
    }
}

impl<'a> TokenRequest<'a> {
    /// `grant_type` of the device flow (RFC 8628 section 3.4).
    pub const DEVICE: &'static str = "urn:ietf:params:oauth:grant-type:device_code";

    /// Decodes a request.
    ///
    /// # Errors
    /// `unsupported_grant_type` for any other, passwords among them; `invalid_request`.
    pub fn decode(parameters: &'a Parameters) -> Result<Self, OauthError> {
        Ok(match parameters.require("grant_type")? {
            "authorization_code" => Self::Code {
                code: parameters.require("code")?,
                redirect_uri: parameters.require("redirect_uri")?,
                verifier: parameters.require("code_verifier")?,
            },
            "refresh_token" => Self::Refresh {
                token: parameters.require("refresh_token")?,
                scope: parameters.get("scope"),
            },
            Self::DEVICE => Self::Device {
                code: parameters.require("device_code")?,
            },
            _ => {
                return Err(OauthError::new(
                    ErrorCode::UnsupportedGrantType,
                    "grant_type must be authorization_code, refresh_token or device_code",
                ));
            }
        })
    }
}

/// Scopes of a `scope` parameter (RFC 6749 section 3.3).
///
/// # Errors
/// `invalid_scope` if there are too many or one has characters that it may not.
pub fn scopes(text: &str) -> Result<BTreeSet<String>, OauthError> {
    let refuse = |why: &str| Err(OauthError::new(ErrorCode::InvalidScope, why));
    let found: BTreeSet<String> = text
        .split(' ')
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    if found.is_empty() || found.len() > MAX_SCOPES {
        return refuse("between 1 and 32 scopes are asked for at a time");
    }
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if !found.iter().all(|scope| scope.bytes().all(allowed)) {
        return refuse("a scope has characters that it may not have");
    }
    Ok(found)
}

/// `at_hash` of an ID token signed with SHA-256 (OpenID Connect Core 3.1.3.6): the left half of the hash.
#[must_use]
pub fn id_token_hash(token: &str) -> String {
    to_base64url(&sha256(token.as_bytes())[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_grants_are_read() {
        let decode = |text: &str| {
            let parameters = Parameters::decode(text).unwrap();
            TokenRequest::decode(&parameters).map(|request| format!("{request:?}"))
        };
        let code = "grant_type=authorization_code&code=a&redirect_uri=b&code_verifier=secret";
        assert_eq!(decode(code).unwrap(), "Code");
        assert!(decode("grant_type=authorization_code&code=a&redirect_uri=b").is_err());
        for grant in [
            "password",
            "implicit",
            "client_credentials",
            "Refresh_Token",
        ] {
            let error = decode(&format!("grant_type={grant}&code=a")).unwrap_err();
            assert_eq!(error.code, ErrorCode::UnsupportedGrantType);
        }
        assert_eq!(scopes("openid  profile openid").unwrap().len(), 2);
        assert!(scopes("a\u{7f}").is_err() && scopes(" ").is_err());
    }

    // The example of OpenID Connect Core appendix A.3 (access token and at_hash of the code id_token token response).
    #[test]
    fn the_hash_of_an_id_token_is_the_standards() {
        assert_eq!(
            id_token_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
            "77QmUPtjPfzWtF2AnpK9RQ"
        );
    }
}
