//! Targets of the crate `oauth2`.

use ::oauth2::{
    AuthorizationRequest, Challenge, ClientAssertion, DpopNonces, DpopProof, ExpectedIdToken,
    IdToken, LogoutToken, Parameters, TokenRequest, form, request_object, scopes,
};
use jose::JwkSet;
use time::OffsetDateTime;

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[("oauth_form", oauth_form), ("oauth_token", oauth_token)];

const ISSUER: &str = "https://id.example";

/// A form: read into parameters, and these into every request that there is. What was read and is written is the same
/// when it is read again.
pub fn oauth_form(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = scopes(text);
    let Ok(parameters) = Parameters::decode(text) else {
        return;
    };
    if let Ok(request) = AuthorizationRequest::decode(&parameters) {
        for name in ["client_id", "redirect_uri", "scope", "state", "nonce"] {
            let Some(value) = parameters.get(name) else {
                continue;
            };
            let again = form(&[(name, value)]);
            let again = Parameters::decode(&again).expect("what is written can be read");
            assert_eq!(again.get(name), Some(value));
        }
        drop(request);
    }
    let _ = TokenRequest::decode(&parameters);
    let _ = Challenge::decode(&parameters);
    if let Ok(Some(assertion)) = ClientAssertion::decode(&parameters) {
        // Nobody's keys: nothing may prove anybody.
        let keys = JwkSet::new(Vec::new());
        assert!(
            assertion
                .verify(&keys, ISSUER, OffsetDateTime::UNIX_EPOCH)
                .is_err()
        );
    }
}

/// A signed token of every kind, by keys that nobody has; and a proof, which brings its key along.
pub fn oauth_token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let keys = JwkSet::new(Vec::new());
    let now = OffsetDateTime::UNIX_EPOCH;
    let expected = ExpectedIdToken {
        issuer: ISSUER,
        client: "client",
        nonce: None,
        access_token: None,
        levels: &[],
        max_age: None,
        now,
    };
    assert!(IdToken::verify(text, &keys, &expected).is_err());
    assert!(LogoutToken::verify(text, &keys, ISSUER, "client", now).is_err());
    assert!(request_object(text, "client", &keys, ISSUER, now).is_err());
    for now in [
        now,
        OffsetDateTime::from_unix_timestamp(1_562_262_616).unwrap_or(now),
    ] {
        let uris = ["https://server.example.com/token"];
        let nonces = DpopNonces::new(&[1; 32]);
        if let Ok(proof) = DpopProof::verify(text, "POST", &uris, None, &nonces, now) {
            assert_eq!(proof.thumbprint().len(), 43);
            assert!(!proof.id().is_empty());
        }
    }
}
