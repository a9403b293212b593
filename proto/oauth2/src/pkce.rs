//! Proof key for code exchange (RFC 7636), by S256 only.

use jose::{same_secret, sha256_base64url};

use crate::error::{ErrorCode, OauthError};
use crate::parameters::Parameters;

/// A challenge by S256: 43 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge(String);

impl Challenge {
    /// Reads `code_challenge` and `code_challenge_method` (section 4.3).
    ///
    /// # Errors
    /// `invalid_request` if there is none, or it is by another method than S256.
    pub fn decode(parameters: &Parameters) -> Result<Self, OauthError> {
        let challenge = parameters.require("code_challenge")?;
        let refuse = |why: &str| OauthError::new(ErrorCode::InvalidRequest, why);
        if parameters.get("code_challenge_method") != Some("S256") {
            return Err(refuse("code_challenge_method must be S256"));
        }
        if challenge.len() != 43 || !challenge.bytes().all(is_url_safe) {
            return Err(refuse(
                "code_challenge by S256 has 43 characters of base64url",
            ));
        }
        Ok(Self(challenge.to_owned()))
    }

    /// The challenge of a verifier (section 4.2).
    #[must_use]
    pub fn of(verifier: &str) -> Self {
        Self(sha256_base64url(verifier.as_bytes()))
    }

    /// Its characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Whether a verifier of 43 to 128 unreserved characters (section 4.1) fits a challenge (section 4.6).
#[must_use]
pub fn fits(challenge: &Challenge, verifier: &str) -> bool {
    let well_formed = (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|byte| is_url_safe(byte) || byte == b'.' || byte == b'~');
    well_formed
        && same_secret(
            sha256_base64url(verifier.as_bytes()).as_bytes(),
            challenge.0.as_bytes(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let form = |method: &str| {
            let text = format!(
                "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method={method}"
            );
            Challenge::decode(&Parameters::decode(&text).unwrap())
        };
        let challenge = form("S256").unwrap();
        assert!(fits(&challenge, verifier));
        assert_eq!(Challenge::of(verifier), challenge);
        assert!(!fits(&challenge, &verifier.replace('d', "e")));
        assert!(!fits(&challenge, "short"));
        for method in ["plain", "s256", ""] {
            assert_eq!(form(method).unwrap_err().code, ErrorCode::InvalidRequest);
        }
        let none = Parameters::decode("code_challenge_method=S256").unwrap();
        assert!(Challenge::decode(&none).is_err());
    }
}
