//! Errors (section 10.2, table 3).

use serde::{Deserialize, Serialize};

/// An error as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{error}: {error_description}")]
pub struct CscError {
    /// The code: `invalid_request`, `access_denied` and so on.
    pub error: String,
    /// What happened and what to do, for the application's developers.
    #[serde(default)]
    pub error_description: String,
    /// The HTTP status. It is not in the body.
    #[serde(skip, default = "bad_request")]
    pub status: u16,
}

const fn bad_request() -> u16 {
    400
}

impl CscError {
    /// An error with its status.
    #[must_use]
    pub fn new(status: u16, error: &str, description: impl ToString) -> Self {
        Self {
            error: error.to_owned(),
            error_description: description.to_string(),
            status,
        }
    }

    /// `invalid_request`: a parameter is missing or means nothing.
    #[must_use]
    pub fn invalid(description: impl ToString) -> Self {
        Self::new(400, "invalid_request", description)
    }

    /// Reads a body of a call.
    ///
    /// # Errors
    /// `invalid_request`: it is not JSON of this message.
    pub fn reading<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Self> {
        serde_json::from_slice(body).map_err(|error| {
            // What the application sent is not repeated: it may hold what no log should.
            Self::invalid(format!(
                "the body is not JSON of this method, at line {} column {}",
                error.line(),
                error.column()
            ))
        })
    }
}
