//! Requests of information systems for containers and configuration (A14):
//! `GET /asic?...` and `GET /verificationconf`.

use percent_encoding::percent_decode_str;
use xroad_id::{ClientId, IdError};

use crate::fault::code;

/// Path at which containers are asked for.
pub const PATH_ASIC: &str = "/asic";
/// Path at which the configuration for verifying them is asked for.
pub const PATH_VERIFICATION_CONFIGURATION: &str = "/verificationconf";

/// Longest query that is read, in bytes.
const MAX_QUERY_LENGTH: usize = 8 * 1024;

/// Which records of an exchange are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Wanted {
    /// Request and response.
    #[default]
    Both,
    /// `requestOnly`.
    RequestOnly,
    /// `responseOnly`.
    ResponseOnly,
}

/// Why a query is refused. The fault is the client's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AsicRequestError {
    /// Longer than 8 KiB.
    #[error("the query is too long")]
    TooLong,
    /// Not UTF-8 once decoded.
    #[error("the query is malformed")]
    Malformed,
    /// A parameter that must be there is not.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// A parameter twice.
    #[error("a parameter is there twice")]
    Duplicate,
    /// `requestOnly` and `responseOnly` at once.
    #[error("requestOnly and responseOnly exclude one another")]
    Contradiction,
    /// The client cannot be read.
    #[error(transparent)]
    Client(#[from] IdError),
}

impl AsicRequestError {
    /// The leaf of the fault code.
    pub fn code(&self) -> &'static str {
        code::BAD_REQUEST
    }
}

/// A request for the containers of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsicRequest {
    /// The client whose exchange it was and who asks.
    pub client: ClientId,
    /// The id of its message.
    pub query_id: String,
    /// Which records.
    pub wanted: Wanted,
    /// Only one record each; several are an error.
    pub unique: bool,
    /// Also records without time-stamp: they are stamped at once.
    pub force: bool,
}

impl AsicRequest {
    /// Reads the query of `/asic`.
    ///
    /// # Errors
    /// A parameter is missing, repeated or malformed.
    pub fn decode(query: Option<&str>) -> Result<Self, AsicRequestError> {
        let query = query.unwrap_or("");
        if query.len() > MAX_QUERY_LENGTH {
            return Err(AsicRequestError::TooLong);
        }
        let mut found: Vec<(String, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = decode_form(key)?;
            if found.iter().any(|(other, _)| *other == key) {
                return Err(AsicRequestError::Duplicate);
            }
            found.push((key, decode_form(value)?));
        }
        let get = |name: &str| {
            found
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let required = |name: &'static str| {
            get(name)
                .filter(|value| !value.is_empty())
                .ok_or(AsicRequestError::Missing(name))
        };
        // a flag counts as soon as it is named, but for `=false`
        let flag = |name: &str| get(name).is_some_and(|value| !value.eq_ignore_ascii_case("false"));
        let mut client = ClientId::member(
            required("xRoadInstance")?,
            required("memberClass")?,
            required("memberCode")?,
        )?;
        if let Some(code) = get("subsystemCode").filter(|code| !code.is_empty()) {
            client = client.with_subsystem(code)?;
        }
        let wanted = match (flag("requestOnly"), flag("responseOnly")) {
            (true, true) => return Err(AsicRequestError::Contradiction),
            (true, false) => Wanted::RequestOnly,
            (false, true) => Wanted::ResponseOnly,
            (false, false) => Wanted::Both,
        };
        Ok(Self {
            client,
            query_id: required("queryId")?.to_owned(),
            wanted,
            unique: flag("unique"),
            force: flag("force"),
        })
    }
}

/// One parameter of `application/x-www-form-urlencoded`, the first time it is named.
///
/// # Errors
/// The query is too long or not UTF-8 once decoded.
pub fn query_parameter(
    query: Option<&str>,
    name: &str,
) -> Result<Option<String>, AsicRequestError> {
    let query = query.unwrap_or("");
    if query.len() > MAX_QUERY_LENGTH {
        return Err(AsicRequestError::TooLong);
    }
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode_form(key)? == name {
            return decode_form(value).map(Some);
        }
    }
    Ok(None)
}

fn decode_form(text: &str) -> Result<String, AsicRequestError> {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| AsicRequestError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let request = AsicRequest::decode(Some(
            "xRoadInstance=KG&memberClass=COM&memberCode=80000001&subsystemCode=%D0%B1ank&queryId=a+b%2Fc&requestOnly&unique=true&force=false",
        ))
        .unwrap();
        assert_eq!(request.client.to_string(), "SUBSYSTEM:KG/COM/80000001/бank");
        assert_eq!(request.query_id, "a b/c");
        assert_eq!(request.wanted, Wanted::RequestOnly);
        assert!(request.unique && !request.force);
        for bad in [
            None,
            Some("xRoadInstance=KG&memberClass=COM&memberCode=1"),
            Some("xRoadInstance=KG&memberClass=COM&memberCode=1&queryId=1&queryId=2"),
            Some(
                "xRoadInstance=KG&memberClass=COM&memberCode=1&queryId=1&requestOnly&responseOnly",
            ),
            Some("xRoadInstance=KG&memberClass=COM&memberCode=%FF&queryId=1"),
            Some("xRoadInstance=KG&memberClass=COM&memberCode=%00&queryId=1"),
        ] {
            assert_eq!(
                AsicRequest::decode(bad).unwrap_err().code(),
                "bad_request",
                "{bad:?}"
            );
        }
        assert_eq!(
            query_parameter(Some("a=1&xRoadInstance=K%47"), "xRoadInstance")
                .unwrap()
                .as_deref(),
            Some("KG")
        );
    }
}
