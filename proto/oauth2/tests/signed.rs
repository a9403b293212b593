//! What clients sign: assertions, request objects and proofs, and what is wrong with others.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::sync::Arc;

use jose::{JwkSet, SigningKey};
use oauth2::{
    ClientAssertion, DpopError, DpopNonces, DpopProof, ErrorCode, Parameters, access_token_hash,
    request_object,
};
use pki::{DigestAlgorithm, KeyType, SignatureAlgorithm, SoftwareKey};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

const ISSUER: &str = "https://id.example";

fn key() -> SigningKey {
    let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    SigningKey::new(Arc::new(key.with_algorithm(algorithm).unwrap())).unwrap()
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn changed(good: &Value, name: &str, value: Value) -> Value {
    let mut claims = good.clone();
    claims[name] = value;
    claims
}

#[test]
fn an_assertion_proves_one_client_to_one_server() {
    let key = key();
    let keys = JwkSet::new(vec![key.public().clone()]);
    let at = |seconds: i64| now().unix_timestamp() + seconds;
    let good =
        json!({"iss": "c", "sub": "c", "aud": ISSUER, "exp": at(60), "iat": at(0), "jti": "1"});
    let check = |typ: &str, claims: &Value, by: &SigningKey, client: &str| {
        let assertion = by.sign(typ, claims).unwrap();
        let text = format!(
            "client_id={client}&client_assertion={assertion}&client_assertion_type=\
             urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        );
        let parameters = Parameters::decode(&text).unwrap();
        let found = ClientAssertion::decode(&parameters)?.unwrap();
        found
            .verify(&keys, ISSUER, now())
            .map_err(oauth2::OauthError::from)
    };
    let proven = check("JWT", &good, &key, "c").unwrap();
    assert_eq!((proven.client(), proven.id()), ("c", "1"));
    assert!(proven.expires() > now());
    for (name, value) in [
        ("iss", json!("other")),
        ("sub", json!("other")),
        ("aud", json!("https://id.example/oauth2/token")),
        ("aud", json!([ISSUER])),
        ("aud", json!([ISSUER, "https://other.example"])),
        ("aud", json!(null)),
        ("exp", json!(at(-60))),
        ("exp", json!(null)),
        ("exp", json!(at(7200))),
        ("jti", json!(null)),
        ("jti", json!("x".repeat(257))),
        ("nbf", json!(at(120))),
    ] {
        let error = check("JWT", &changed(&good, name, value.clone()), &key, "c").unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidClient, "{name} {value}");
    }
    assert!(check("dpop+jwt", &good, &key, "c").is_err());
    assert!(check("JWT", &good, &key, "d").is_err());
    assert!(check("JWT", &good, &self::key(), "c").is_err());
    let without = Parameters::decode("client_id=c&client_secret=s").unwrap();
    assert!(ClientAssertion::decode(&without).unwrap().is_none());
    let other = Parameters::decode("client_assertion=a.b.c&client_assertion_type=saml").unwrap();
    assert!(ClientAssertion::decode(&other).is_err());
}

#[test]
fn a_request_object_is_its_clients_and_for_this_server() {
    let key = key();
    let keys = JwkSet::new(vec![key.public().clone()]);
    let at = |seconds| now().unix_timestamp() + seconds;
    let good = json!({
        "iss": "c", "aud": ISSUER, "nbf": at(0), "exp": at(60), "client_id": "c", "scope": "openid", "max_age": 60,
    });
    let check = |claims: &Value, by: &SigningKey| {
        let text = by.sign("oauth-authz-req+jwt", claims).unwrap();
        request_object(&text, "c", &keys, ISSUER, now())
    };
    let parameters = check(&good, &key).unwrap();
    assert_eq!(parameters.get("scope"), Some("openid"));
    assert_eq!(parameters.get("max_age"), Some("60"));
    for (name, value) in [
        ("iss", json!("other")),
        ("aud", json!("https://other.example")),
        ("exp", json!(null)),
        ("exp", json!(at(3700))),
        ("nbf", json!(null)),
        ("nbf", json!(at(-3700))),
        ("nbf", json!(at(61))),
        ("client_id", json!("other")),
        ("request", json!("a.b.c")),
        ("request_uri", json!("urn:x")),
    ] {
        let error = check(&changed(&good, name, value), &key).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequestObject, "{name}");
    }
    assert!(check(&good, &self::key()).is_err());
    assert!(request_object("eyJhbGciOiJub25lIn0.e30.", "c", &keys, ISSUER, now()).is_err());
}

#[test]
fn a_proof_goes_with_its_token() {
    let key = key();
    let uri = "https://id.example/oauth2/userinfo";
    let nonces = DpopNonces::new(&[1; 32]);
    let claims = json!({
        "htm": "GET", "htu": uri, "iat": now().unix_timestamp(), "jti": "1", "ath": access_token_hash("token"),
        "nonce": nonces.current(now()),
    });
    let check = |claims: &Value, token: &str| {
        let text = key.sign_with_jwk("dpop+jwt", claims).unwrap();
        DpopProof::verify(&text, "GET", &[uri], Some(token), &nonces, now())
    };
    let proof = check(&claims, "token").unwrap();
    assert_eq!(proof.thumbprint(), key.public().thumbprint());
    assert_eq!(check(&claims, "other").unwrap_err(), DpopError::Token);
    let without = check(&changed(&claims, "ath", json!(null)), "token");
    assert_eq!(without.unwrap_err(), DpopError::Token);
    assert_eq!(
        check(&changed(&claims, "jti", json!("")), "token").unwrap_err(),
        DpopError::Id
    );
    for nonce in [
        json!(null),
        json!("x"),
        json!(nonces.current(now() - Duration::minutes(11))),
    ] {
        let found = check(&changed(&claims, "nonce", nonce), "token");
        assert_eq!(found.unwrap_err(), DpopError::Nonce);
    }
    // A key that only the header's kid names brings nothing along.
    let text = key.sign("dpop+jwt", &claims).unwrap();
    let found = DpopProof::verify(&text, "GET", &[uri], Some("token"), &nonces, now());
    assert_eq!(found.unwrap_err(), DpopError::Form);
}
