//! What the server says about itself (RFC 8414, OpenID Connect Discovery 1.0 section 3).

use serde_json::{Value, json};

/// How clients prove who they are by certificates in TLS (RFC 8705).
#[derive(Debug, Clone, Copy)]
pub struct CertificatesOffered<'a> {
    /// The address at which they are asked for (section 5).
    pub at: &'a str,
    /// Whether those of known authorities are taken by a name in them (section 2.1), beside those of registered keys.
    pub by_name: bool,
}

/// The metadata of an issuer with these scopes and levels, which asks clients for certificates or does not. Only what is
/// offered is in it.
#[must_use]
pub fn metadata(
    issuer: &str,
    certificates: Option<CertificatesOffered<'_>>,
    scopes: &[&str],
    acr_values: &[&str],
) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    let signed = ["ES256", "EdDSA", "PS256"];
    let mut methods = vec!["private_key_jwt"];
    if let Some(offered) = certificates {
        methods.push("self_signed_tls_client_auth");
        if offered.by_name {
            methods.push("tls_client_auth");
        }
    }
    let mut value = json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth2/authorize"),
        "token_endpoint": at("/oauth2/token"),
        "pushed_authorization_request_endpoint": at("/oauth2/par"),
        "userinfo_endpoint": at("/oauth2/userinfo"),
        "introspection_endpoint": at("/oauth2/introspect"),
        "revocation_endpoint": at("/oauth2/revoke"),
        "device_authorization_endpoint": at("/oauth2/device"),
        "end_session_endpoint": at("/oauth2/logout"),
        "jwks_uri": at("/jwks"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"
        ],
        "acr_values_supported": acr_values,
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "userinfo_signing_alg_values_supported": ["ES256"],
        "request_object_signing_alg_values_supported": signed,
        "request_parameter_supported": true,
        "request_uri_parameter_supported": false,
        "require_pushed_authorization_requests": true,
        "require_signed_request_object": false,
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": signed,
        "tls_client_certificate_bound_access_tokens": certificates.is_some(),
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "claims_parameter_supported": false,
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash", "act", "number",
            "organisation", "name", "family_name", "given_name", "middle_name", "birthdate", "gender", "address",
            "email", "email_verified", "phone_number", "phone_number_verified"
        ],
        "ui_locales_supported": ["ky", "ru", "en"],
    });
    for endpoint in ["token", "introspection", "revocation"] {
        value[format!("{endpoint}_endpoint_auth_methods_supported")] = json!(methods);
        value[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")] = json!(signed);
    }
    if let Some(CertificatesOffered { at: address, .. }) = certificates {
        let at = |path: &str| format!("{address}{path}");
        value["mtls_endpoint_aliases"] = json!({
            "token_endpoint": at("/oauth2/token"),
            "pushed_authorization_request_endpoint": at("/oauth2/par"),
            "userinfo_endpoint": at("/oauth2/userinfo"),
            "introspection_endpoint": at("/oauth2/introspect"),
            "revocation_endpoint": at("/oauth2/revoke"),
            "device_authorization_endpoint": at("/oauth2/device"),
        });
    }
    value
}
