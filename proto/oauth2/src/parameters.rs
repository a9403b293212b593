//! Forms and queries.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::error::{ErrorCode, OauthError};

/// Longest form or query, in bytes.
pub const MAX_PARAMETERS_LENGTH: usize = 64 * 1024;
/// Most parameters.
pub const MAX_PARAMETERS: usize = 64;

/// Parameters by name, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Decodes `application/x-www-form-urlencoded`. A parameter without a value counts as left out (RFC 6749 section
    /// 3.1).
    ///
    /// # Errors
    /// `invalid_request` if there is too much, a parameter is repeated, or it is not UTF-8.
    pub fn decode(text: &str) -> Result<Self, OauthError> {
        let refuse = |why: &str| OauthError::new(ErrorCode::InvalidRequest, why);
        if text.len() > MAX_PARAMETERS_LENGTH {
            return Err(refuse("the request is too long"));
        }
        let mut found = BTreeMap::new();
        for (count, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            if count >= MAX_PARAMETERS {
                return Err(refuse("the request has too many parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let part = |part: &str| {
                let spaced = part.replace('+', " ");
                percent_decode_str(&spaced)
                    .decode_utf8()
                    .map(std::borrow::Cow::into_owned)
                    .map_err(|_| refuse("a parameter is not UTF-8"))
            };
            if found.insert(part(name)?, part(value)?).is_some() {
                return Err(refuse("a parameter is repeated"));
            }
        }
        found.retain(|_, value| !value.is_empty());
        Ok(Self(found))
    }

    /// Parameters from the claims of a signed request object (RFC 9101 section 4): texts as they are, numbers as
    /// their digits, others as JSON.
    #[must_use]
    pub fn from_claims(claims: &serde_json::Map<String, Value>) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Self(
            claims
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .filter(|(_, value)| !value.is_empty())
                .collect(),
        )
    }

    /// A parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn require(&self, name: &'static str) -> Result<&str, OauthError> {
        self.get(name)
            .ok_or_else(|| OauthError::new(ErrorCode::InvalidRequest, format!("{name} is missing")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded_and_bounded() {
        let form = Parameters::decode("a=b+c&d=%D1%8F&empty=&&flag").unwrap();
        assert_eq!(form.get("a"), Some("b c"));
        assert_eq!(form.get("d"), Some("\u{44f}"));
        assert_eq!((form.get("empty"), form.get("flag")), (None, None));
        assert!(form.require("empty").is_err());
        for wrong in ["a=1&a=2", "a=&a=1", "a=%ff", &"a=b&".repeat(70)] {
            let error = Parameters::decode(wrong).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest);
        }
        let long = "a".repeat(MAX_PARAMETERS_LENGTH + 1);
        assert!(Parameters::decode(&long).is_err());
    }
}
