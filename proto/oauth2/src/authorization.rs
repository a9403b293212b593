//! Authorization requests (RFC 6749 section 4.1.1, OpenID Connect Core 3.1.2.1) and their answers.

use std::collections::BTreeSet;

use jose::{Expected, JwkSet, Jws};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use time::{Duration, OffsetDateTime};

use crate::error::{ErrorCode, OauthError};
use crate::parameters::Parameters;
use crate::pkce::Challenge;
use crate::token::scopes;

/// What may stand as it is in a query value (RFC 3986 section 2.3).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// How long a request object may last from its beginning (FAPI 2.0 message signing 5.3.1: at most 60 minutes).
const REQUEST_OBJECT_LASTS: Duration = Duration::minutes(60);

/// `prompt` (OpenID Connect Core 3.1.2.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prompt {
    /// `none`: no page is shown.
    pub none: bool,
    /// `login`: the person proves again to be there.
    pub login: bool,
    /// `consent`: the person is asked again.
    pub consent: bool,
}

/// A request for a code. Whether the client may ask so is for others to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// `client_id`.
    pub client: String,
    /// `redirect_uri`.
    pub redirect_uri: String,
    /// `scope`, with `openid` in it.
    pub scopes: BTreeSet<String>,
    /// `state`.
    pub state: Option<String>,
    /// `nonce`.
    pub nonce: Option<String>,
    /// `code_challenge`, by S256.
    pub challenge: Challenge,
    /// `acr_values` in the order of preference.
    pub acr_values: Vec<String>,
    /// `max_age`.
    pub max_age: Option<Duration>,
    /// `prompt`.
    pub prompt: Prompt,
    /// `dpop_jkt` (RFC 9449 section 10): the key to which the code is bound.
    pub dpop_thumbprint: Option<String>,
}

impl AuthorizationRequest {
    /// Decodes a request.
    ///
    /// # Errors
    /// `invalid_request`, `unsupported_response_type` for anything but the code flow, `invalid_scope` without
    /// `openid`.
    pub fn decode(parameters: &Parameters) -> Result<Self, OauthError> {
        let refuse = |code, why: &str| Err(OauthError::new(code, why));
        if parameters.require("response_type")? != "code" {
            return refuse(
                ErrorCode::UnsupportedResponseType,
                "response_type must be code",
            );
        }
        if parameters
            .get("response_mode")
            .is_some_and(|mode| mode != "query")
        {
            return refuse(ErrorCode::InvalidRequest, "response_mode must be query");
        }
        if parameters.get("claims").is_some() || parameters.get("registration").is_some() {
            return refuse(
                ErrorCode::InvalidRequest,
                "claims are asked for by scope and levels by acr_values",
            );
        }
        let scopes = scopes(parameters.require("scope")?)?;
        if !scopes.contains("openid") {
            return refuse(ErrorCode::InvalidScope, "the scope openid is needed");
        }
        let mut prompt = Prompt::default();
        for value in parameters.get("prompt").unwrap_or_default().split(' ') {
            match value {
                "" | "select_account" => {}
                "none" => prompt.none = true,
                "login" => prompt.login = true,
                "consent" => prompt.consent = true,
                _ => return refuse(ErrorCode::InvalidRequest, "prompt has an unknown value"),
            }
        }
        let max_age = match parameters.get("max_age") {
            None => None,
            Some(text) => match text.parse::<u32>() {
                Ok(seconds) => Some(Duration::seconds(i64::from(seconds))),
                Err(_) => return refuse(ErrorCode::InvalidRequest, "max_age is in seconds"),
            },
        };
        let thumbprint = parameters.get("dpop_jkt").map(str::to_owned);
        if thumbprint.as_ref().is_some_and(|text| text.len() != 43) {
            return refuse(ErrorCode::InvalidRequest, "dpop_jkt has 43 characters");
        }
        Ok(Self {
            client: parameters.require("client_id")?.to_owned(),
            redirect_uri: parameters.require("redirect_uri")?.to_owned(),
            scopes,
            state: parameters.get("state").map(str::to_owned),
            nonce: parameters.get("nonce").map(str::to_owned),
            challenge: Challenge::decode(parameters)?,
            acr_values: parameters
                .get("acr_values")
                .unwrap_or_default()
                .split(' ')
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .collect(),
            max_age,
            prompt,
            dpop_thumbprint: thumbprint,
        })
    }
}

/// Verifies a signed request object (RFC 9101) of a client and gives its parameters. Only they count: what stands
/// beside it is not used (section 6.3).
///
/// # Errors
/// `invalid_request_object`.
pub fn request_object(
    text: &str,
    client: &str,
    keys: &JwkSet,
    issuer: &str,
    now: OffsetDateTime,
) -> Result<Parameters, OauthError> {
    let refuse = |why: String| OauthError::new(ErrorCode::InvalidRequestObject, why);
    let jws = Jws::decode(text).map_err(|error| refuse(error.to_string()))?;
    let verified = jws
        .verify_with_set(keys)
        .map_err(|error| refuse(error.to_string()))?;
    if !crate::client::is_strong(&verified) {
        return Err(refuse(
            "request objects are signed with ES256, EdDSA or PS256".to_owned(),
        ));
    }
    let valid = verified
        .validate(&Expected {
            types: &["", "jwt", "oauth-authz-req+jwt"],
            issuer: Some(client),
            audience: Some(issuer),
            now,
            lasts: REQUEST_OBJECT_LASTS,
            needs_expiry: true,
        })
        .map_err(|error| refuse(error.to_string()))?;
    let claims = valid.claims();
    let since = claims.not_before;
    let ends = |since| since + REQUEST_OBJECT_LASTS + jose::LEEWAY;
    if !since.is_some_and(|since| now < ends(since) && claims.expires <= Some(ends(since))) {
        return Err(refuse(
            "the request object must say nbf, and exp at most an hour after it".to_owned(),
        ));
    }
    let parameters = Parameters::from_claims(&claims.rest);
    if parameters.get("client_id") != Some(client)
        || parameters.get("request").is_some()
        || parameters.get("request_uri").is_some()
    {
        return Err(refuse(
            "the request object must hold its client_id and no other request".to_owned(),
        ));
    }
    Ok(parameters)
}

/// The address to which the browser brings an answer: the registered one with parameters appended. `iss` is always
/// among them, against mix-up (RFC 9207).
#[must_use]
pub fn answer_uri(redirect_uri: &str, issuer: &str, parameters: &[(&str, &str)]) -> String {
    let mut uri = redirect_uri.to_owned();
    let mut separator = if redirect_uri.contains('?') { '&' } else { '?' };
    for (name, value) in parameters.iter().chain(&[("iss", issuer)]) {
        uri.push(separator);
        uri.push_str(name);
        uri.push('=');
        uri.extend(utf8_percent_encode(value, VALUE));
        separator = '&';
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "response_type=code&client_id=c&redirect_uri=https%3A%2F%2Frp%2Fcb&scope=openid+profile\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&max_age=60\
        &prompt=login+consent&acr_values=a+b&state=s&nonce=n";

    #[test]
    fn a_request_for_a_code_is_read_and_nothing_else() {
        let decode = |text: &str| AuthorizationRequest::decode(&Parameters::decode(text).unwrap());
        let request = decode(GOOD).unwrap();
        assert_eq!(request.redirect_uri, "https://rp/cb");
        assert_eq!(request.acr_values, ["a", "b"]);
        assert_eq!(request.max_age, Some(Duration::MINUTE));
        assert!(request.prompt.login && request.prompt.consent && !request.prompt.none);
        for (from, to, code) in [
            ("=code&", "=token&", ErrorCode::UnsupportedResponseType),
            (
                "=code&",
                "=code+id_token&",
                ErrorCode::UnsupportedResponseType,
            ),
            ("openid+profile", "profile", ErrorCode::InvalidScope),
            ("S256", "plain", ErrorCode::InvalidRequest),
            ("code_challenge=", "other=", ErrorCode::InvalidRequest),
            ("max_age=60", "max_age=-1", ErrorCode::InvalidRequest),
            ("login", "create", ErrorCode::InvalidRequest),
            (
                "state=s",
                "response_mode=fragment",
                ErrorCode::InvalidRequest,
            ),
            ("client_id=c&", "", ErrorCode::InvalidRequest),
            ("state=s", "dpop_jkt=short", ErrorCode::InvalidRequest),
        ] {
            let error = decode(&GOOD.replace(from, to)).unwrap_err();
            assert_eq!(error.code, code, "{from} -> {to}");
        }
    }

    #[test]
    fn answers_are_escaped_and_say_who_gives_them() {
        let uri = answer_uri("https://rp/cb?a=1", "https://idp", &[("state", "x&y=z #")]);
        assert_eq!(
            uri,
            "https://rp/cb?a=1&state=x%26y%3Dz%20%23&iss=https%3A%2F%2Fidp"
        );
    }
}
