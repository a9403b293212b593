//! Answers, and refusals as errors of the protocol.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, SET_COOKIE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use oauth2::{ErrorCode, OauthError};
use oidc_provider::{Failure, Refusal};
use serde_json::Value;

/// An answer, whole in memory.
pub type Reply = Response<String>;

fn reply(status: StatusCode, kind: &'static str, body: String) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    let set: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

/// JSON for one client; never kept (RFC 6749 section 5.1).
pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
    reply(status, "application/json", value.to_string())
}

/// Text of another kind.
pub(super) fn text(status: StatusCode, content_type: &'static str, text: String) -> Reply {
    reply(status, content_type, text)
}

/// JSON for everybody, kept for a few minutes.
pub(super) fn public(value: &Value) -> Reply {
    let mut reply = json(StatusCode::OK, value);
    let kept = HeaderValue::from_static("public, max-age=300");
    reply.headers_mut().insert(CACHE_CONTROL, kept);
    reply
}

/// A status without a body.
pub(super) fn status(status: StatusCode) -> Reply {
    reply(status, "text/plain; charset=utf-8", String::new())
}

/// An error for a client (RFC 6749 section 5.2).
pub(super) fn error(error: &OauthError) -> Reply {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    json(status, &error.to_value())
}

/// An error for a resource request (RFC 6750 section 3, RFC 9449 section 7.1).
pub(super) fn challenge(error: &OauthError) -> Reply {
    let mut reply = self::error(error);
    if error.code != ErrorCode::TemporarilyUnavailable {
        *reply.status_mut() = StatusCode::UNAUTHORIZED;
    }
    let text = format!(
        "DPoP algs=\"ES256 EdDSA PS256\", error=\"{}\"",
        error.code.name()
    );
    if let Ok(value) = HeaderValue::from_str(&text) {
        reply.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    reply
}

/// An error that must not go back to the relying party, because it is not sure that it is one. For people, in plain
/// words.
pub(super) fn page(error: &OauthError) -> Reply {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let text = format!(
        "The page that sent you here made a mistake. Go back and try again.\n\n{}\n",
        error.description
    );
    reply(status, "text/plain; charset=utf-8", text)
}

/// Sends the browser on, by GET (FAPI 2.0 security profile 5.3.2.2: 303).
pub(super) fn redirect(location: &str) -> Reply {
    let mut reply = status(StatusCode::SEE_OTHER);
    match HeaderValue::from_str(location) {
        Ok(value) => {
            reply.headers_mut().insert(LOCATION, value);
            reply
        }
        Err(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Adds the nonce that the next proof of a key must hold (RFC 9449 section 8.2).
pub(super) fn with_nonce(mut reply: Reply, nonce: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(nonce) {
        reply.headers_mut().insert("dpop-nonce", value);
    }
    reply
}

/// Adds a cookie for this host alone, for as long as the browser is open; an empty value takes it away.
pub(super) fn with_cookie(mut reply: Reply, name: &str, value: &str) -> Reply {
    let gone = if value.is_empty() { "; Max-Age=0" } else { "" };
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{gone}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        reply.headers_mut().append(SET_COOKIE, value);
    }
    reply
}

/// The error of a failure. What the database says stays here.
pub(super) fn failed(failure: Failure) -> OauthError {
    let refusal = match failure {
        Failure::Refused(refusal) => refusal,
        Failure::Store(error) => {
            tracing::error!(%error, "the identity provider's database failed");
            return OauthError::new(
                ErrorCode::TemporarilyUnavailable,
                "the server's own database fails; try again later",
            );
        }
    };
    let code = match &refusal {
        Refusal::UnknownClient => ErrorCode::InvalidClient,
        Refusal::Scope(_) => ErrorCode::InvalidScope,
        Refusal::Unbound => ErrorCode::InvalidDpopProof,
        Refusal::Code
        | Refusal::Verifier
        | Refusal::Refresh
        | Refusal::RedirectUri
        | Refusal::OtherKey => ErrorCode::InvalidGrant,
        Refusal::Access => ErrorCode::InvalidToken,
        Refusal::Pending => ErrorCode::AuthorizationPending,
        Refusal::SlowDown => ErrorCode::SlowDown,
        Refusal::Over => ErrorCode::ExpiredToken,
        Refusal::Denied => ErrorCode::AccessDenied,
        _ => ErrorCode::InvalidRequest,
    };
    OauthError::new(code, refusal)
}
