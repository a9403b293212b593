//! What the endpoints refuse: the table of `docs/refused.md`, tried row by row.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use common::*;
use http::Method;
use idp_server::oauth::Reply;
use oidc_provider::{Profile, Secret};
use serde_json::{Value, json};

/// A kiosk of the bank that has begun to ask.
struct Kiosk {
    device_code: String,
    user_code: Secret,
    number: u8,
}

/// What only these rows need.
trait Tries {
    fn push_signed(&self, changes: &[(&str, Value)]) -> Reply;
    fn token_with_nonce(&self, nonce: Value) -> Reply;
    fn kiosk(&self) -> Kiosk;
    fn answer_kiosk(&self, kiosk: &Kiosk, yes: bool);
    fn poll(&self, peer: &Peer, kiosk: &Kiosk) -> Reply;
}

impl Tries for World {
    /// Pushes what the bank asks for as a request object, with other claims; a good redirect URI stands beside it.
    fn push_signed(&self, changes: &[(&str, Value)]) -> Reply {
        let now = self.now().unix_timestamp();
        let mut claims = json!({ "iss": self.bank.id, "aud": ISSUER, "nbf": now, "exp": now + 60 });
        for (name, value) in self.asked(&self.bank, &[]) {
            claims[name] = value.into();
        }
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        // What is nothing is not there.
        if let Some(claims) = claims.as_object_mut() {
            claims.retain(|_, value| !value.is_null());
        }
        let object = self.bank.key.sign("oauth-authz-req+jwt", &claims).unwrap();
        let pushed = [("request", object.as_str()), ("redirect_uri", REDIRECT)];
        self.post(&self.bank, "/oauth2/par", &pushed, false)
    }

    /// Redeems a code with a proof that holds a nonce, or none.
    fn token_with_nonce(&self, nonce: Value) -> Reply {
        let (code, assertion) = (self.code(&self.bank, &[]), self.assertion(&self.bank, &[]));
        let changes = [("nonce", nonce)];
        let proof = self.proof(&self.bank.dpop, "POST", "/oauth2/token", &changes);
        let body = encode(&[
            ("client_id", self.bank.id.as_str()),
            ("client_assertion", &assertion),
            ("client_assertion_type", ASSERTION_TYPE),
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ]);
        self.call(&Method::POST, "/oauth2/token", &[("dpop", &proof)], &body)
    }

    fn kiosk(&self) -> Kiosk {
        let begun = value(&self.post(&self.bank, "/oauth2/device", &[("scope", "openid")], false));
        let text = |name: &str| begun[name].as_str().unwrap().to_owned();
        Kiosk {
            device_code: text("device_code"),
            user_code: Secret::new(text("user_code")),
            number: begun["number"].as_u64().unwrap().try_into().unwrap(),
        }
    }

    /// The person chooses the number that the kiosk shows, or says no.
    fn answer_kiosk(&self, kiosk: &Kiosk, yes: bool) {
        let provider = self.oauth.provider();
        let who = provider.session(&self.session, self.now()).unwrap();
        let chosen = yes.then_some(kiosk.number);
        provider
            .answer_crossing(&who, &kiosk.user_code, chosen)
            .unwrap();
    }

    fn poll(&self, peer: &Peer, kiosk: &Kiosk) -> Reply {
        let grant = oauth2::TokenRequest::DEVICE;
        let asked = [
            ("grant_type", grant),
            ("device_code", kiosk.device_code.as_str()),
        ];
        self.post(peer, "/oauth2/token", &asked, true)
    }
}

/// Every case of the OpenID conformance suite's negative tests that concerns this flow, and more of our own: what is
/// tried, and the error that must come.
#[test]
fn what_must_be_refused_is_refused() {
    type Case = (&'static str, fn(&World) -> Reply, &'static str);
    let cases: &[Case] = &[
        (
            "redirect URI with a suffix",
            |w| {
                w.push(
                    &w.bank,
                    &[("redirect_uri", "https://bank.example/back?from=id&x")],
                )
            },
            "invalid_grant",
        ),
        (
            "redirect URI of another host",
            |w| w.push(&w.bank, &[("redirect_uri", "https://evil.example/back")]),
            "invalid_grant",
        ),
        (
            "redirect URI in other case",
            |w| {
                w.push(
                    &w.bank,
                    &[("redirect_uri", "https://BANK.example/back?from=id")],
                )
            },
            "invalid_grant",
        ),
        (
            "no redirect URI",
            |w| w.push(&w.bank, &[("redirect_uri", "")]),
            "invalid_request",
        ),
        (
            "implicit flow",
            |w| w.push(&w.bank, &[("response_type", "token")]),
            "unsupported_response_type",
        ),
        (
            "hybrid flow",
            |w| w.push(&w.bank, &[("response_type", "code id_token")]),
            "unsupported_response_type",
        ),
        (
            "no PKCE",
            |w| w.push(&w.bank, &[("code_challenge", "")]),
            "invalid_request",
        ),
        (
            "plain PKCE",
            |w| w.push(&w.bank, &[("code_challenge_method", "plain")]),
            "invalid_request",
        ),
        (
            "PKCE without method",
            |w| w.push(&w.bank, &[("code_challenge_method", "")]),
            "invalid_request",
        ),
        (
            "scope that was not registered",
            |w| w.push(&w.bank, &[("scope", "openid address")]),
            "invalid_scope",
        ),
        (
            "no openid",
            |w| w.push(&w.bank, &[("scope", "profile")]),
            "invalid_scope",
        ),
        (
            "unknown level",
            |w| w.push(&w.bank, &[("acr_values", "urn:mace:incommon:iap:silver")]),
            "invalid_request",
        ),
        (
            "request URI pushed",
            |w| w.push(&w.bank, &[("request_uri", "https://evil.example/r")]),
            "invalid_request",
        ),
        (
            "unsigned request object",
            |w| w.push(&w.bank, &[("request", "eyJhbGciOiJub25lIn0.e30.")]),
            "invalid_request_object",
        ),
        (
            "request object of another client",
            |w| {
                let claims = json!({"iss": w.bank.id, "aud": ISSUER, "exp": w.now().unix_timestamp() + 60, "client_id": w.bank.id});
                let object = w.other.key.sign("oauth-authz-req+jwt", &claims).unwrap();
                w.push(&w.bank, &[("request", &object)])
            },
            "invalid_request_object",
        ),
        (
            "request object for another server",
            |w| w.push_signed(&[("aud", json!("https://evil.example"))]),
            "invalid_request_object",
        ),
        (
            "request object that expired",
            |w| w.push_signed(&[("exp", json!(w.now().unix_timestamp() - 60))]),
            "invalid_request_object",
        ),
        (
            "request object without an end",
            |w| w.push_signed(&[("exp", Value::Null)]),
            "invalid_request_object",
        ),
        (
            "request object without a beginning",
            |w| w.push_signed(&[("nbf", Value::Null)]),
            "invalid_request_object",
        ),
        (
            "request object that has not begun",
            |w| w.push_signed(&[("nbf", json!(w.now().unix_timestamp() + 61))]),
            "invalid_request_object",
        ),
        (
            "request object that began more than an hour ago",
            |w| w.push_signed(&[("nbf", json!(w.now().unix_timestamp() - 3700))]),
            "invalid_request_object",
        ),
        (
            "request object that lasts more than an hour",
            |w| w.push_signed(&[("exp", json!(w.now().unix_timestamp() + 3700))]),
            "invalid_request_object",
        ),
        (
            "wish beside a request object",
            |w| w.push_signed(&[("redirect_uri", Value::Null)]),
            "invalid_request",
        ),
        (
            "no client authentication",
            |w| {
                w.call(
                    &Method::POST,
                    "/oauth2/token",
                    &[],
                    &encode(&[
                        ("client_id", &w.bank.id),
                        ("grant_type", "refresh_token"),
                        ("refresh_token", "x"),
                    ]),
                )
            },
            "invalid_client",
        ),
        (
            "client secret",
            |w| {
                w.call(
                    &Method::POST,
                    "/oauth2/par",
                    &[],
                    &encode(&[("client_id", &w.bank.id), ("client_secret", "x")]),
                )
            },
            "invalid_client",
        ),
        (
            "assertion with alg none",
            |w| {
                let payload = w
                    .assertion(&w.bank, &[])
                    .split('.')
                    .nth(1)
                    .unwrap()
                    .to_owned();
                w.post_with(
                    &w.bank,
                    "/oauth2/par",
                    &[],
                    &format!("eyJhbGciOiJub25lIn0.{payload}."),
                    None,
                )
            },
            "invalid_client",
        ),
        (
            "assertion by another key",
            |w| {
                let forged = w.other.key.sign("JWT", &json!({"iss": w.bank.id, "sub": w.bank.id, "aud": ISSUER, "jti": "f", "exp": w.now().unix_timestamp() + 60})).unwrap();
                w.post_with(&w.bank, "/oauth2/par", &[], &forged, None)
            },
            "invalid_client",
        ),
        (
            "assertion for another server",
            |w| {
                w.post_with(
                    &w.bank,
                    "/oauth2/par",
                    &[],
                    &w.assertion(&w.bank, &[("aud", json!("https://evil.example"))]),
                    None,
                )
            },
            "invalid_client",
        ),
        (
            "assertion for the endpoint, not the issuer",
            |w| {
                w.post_with(
                    &w.bank,
                    "/oauth2/token",
                    &[],
                    &w.assertion(&w.bank, &[("aud", json!(format!("{ISSUER}/oauth2/token")))]),
                    None,
                )
            },
            "invalid_client",
        ),
        (
            "assertion whose audience is a list",
            |w| {
                let list = json!([ISSUER]);
                let assertion = w.assertion(&w.bank, &[("aud", list)]);
                w.post_with(&w.bank, "/oauth2/par", &[], &assertion, None)
            },
            "invalid_client",
        ),
        (
            "assertion made in the future",
            |w| {
                let later = json!(w.now().unix_timestamp() + 61);
                let assertion = w.assertion(&w.bank, &[("iat", later)]);
                w.post_with(&w.bank, "/oauth2/par", &[], &assertion, None)
            },
            "invalid_client",
        ),
        (
            "assertion that expired",
            |w| {
                w.post_with(
                    &w.bank,
                    "/oauth2/par",
                    &[],
                    &w.assertion(&w.bank, &[("exp", json!(w.now().unix_timestamp() - 60))]),
                    None,
                )
            },
            "invalid_client",
        ),
        (
            "assertion used twice",
            |w| {
                let assertion = w.assertion(&w.bank, &[]);
                let asked = w.asked(&w.bank, &[]);
                assert_eq!(
                    w.post_with(&w.bank, "/oauth2/par", &asked[1..], &assertion, None)
                        .status(),
                    201
                );
                w.post_with(&w.bank, "/oauth2/par", &asked[1..], &assertion, None)
            },
            "invalid_client",
        ),
        (
            "password grant",
            |w| {
                w.post(
                    &w.bank,
                    "/oauth2/token",
                    &[
                        ("grant_type", "password"),
                        ("username", "a"),
                        ("password", "b"),
                    ],
                    true,
                )
            },
            "unsupported_grant_type",
        ),
        (
            "client credentials",
            |w| {
                w.post(
                    &w.bank,
                    "/oauth2/token",
                    &[("grant_type", "client_credentials")],
                    true,
                )
            },
            "unsupported_grant_type",
        ),
        (
            "parameter twice",
            |w| {
                w.call(
                    &Method::POST,
                    "/oauth2/token",
                    &[],
                    "grant_type=refresh_token&grant_type=password",
                )
            },
            "invalid_request",
        ),
        (
            "code used twice",
            |w| {
                let code = w.code(&w.bank, &[]);
                assert_eq!(w.redeem(&w.bank, &code, &[], true).status(), 200);
                w.redeem(&w.bank, &code, &[], true)
            },
            "invalid_grant",
        ),
        (
            "tokens of a code that came twice",
            |w| {
                let code = w.code(&w.bank, &[]);
                let tokens = value(&w.redeem(&w.bank, &code, &[], true));
                w.redeem(&w.bank, &code, &[], true);
                w.userinfo(&w.bank, tokens["access_token"].as_str().unwrap(), true)
            },
            "invalid_token",
        ),
        (
            "code after a minute",
            |w| {
                let code = w.code(&w.bank, &[]);
                w.wait(61);
                w.redeem(&w.bank, &code, &[], true)
            },
            "invalid_grant",
        ),
        (
            "code of another client",
            |w| w.redeem(&w.other, &w.code(&w.bank, &[]), &[], true),
            "invalid_grant",
        ),
        (
            "wrong verifier",
            |w| {
                w.redeem(
                    &w.bank,
                    &w.code(&w.bank, &[]),
                    &[("code_verifier", &VERIFIER.replace('d', "e"))],
                    true,
                )
            },
            "invalid_grant",
        ),
        (
            "no verifier",
            |w| {
                w.redeem(
                    &w.bank,
                    &w.code(&w.bank, &[]),
                    &[("code_verifier", "")],
                    true,
                )
            },
            "invalid_request",
        ),
        (
            "other redirect URI with the code",
            |w| {
                w.redeem(
                    &w.bank,
                    &w.code(&w.bank, &[]),
                    &[("redirect_uri", "https://bank.example/")],
                    true,
                )
            },
            "invalid_grant",
        ),
        (
            "bank without a key",
            |w| w.redeem(&w.bank, &w.code(&w.bank, &[]), &[], false),
            "invalid_dpop_proof",
        ),
        (
            "code bound to another key",
            |w| {
                let jkt = w.other.dpop.public().thumbprint();
                w.redeem(&w.bank, &w.code(&w.bank, &[("dpop_jkt", &jkt)]), &[], true)
            },
            "invalid_grant",
        ),
        (
            "proof used twice",
            |w| {
                let proof = w.proof(&w.bank.dpop, "POST", "/oauth2/token", &[]);
                let again = |code: &str| {
                    let assertion = w.assertion(&w.bank, &[]);
                    let body = encode(&[
                        ("client_id", &w.bank.id),
                        ("client_assertion", &assertion),
                        ("client_assertion_type", ASSERTION_TYPE),
                        ("grant_type", "authorization_code"),
                        ("code", code),
                        ("redirect_uri", REDIRECT),
                        ("code_verifier", VERIFIER),
                    ]);
                    w.call(&Method::POST, "/oauth2/token", &[("dpop", &proof)], &body)
                };
                assert_eq!(again(&w.code(&w.bank, &[])).status(), 200);
                again(&w.code(&w.bank, &[]))
            },
            "invalid_dpop_proof",
        ),
        (
            "proof without the server's nonce",
            |w| w.token_with_nonce(Value::Null),
            "use_dpop_nonce",
        ),
        (
            "proof with a nonce of the client's own",
            |w| w.token_with_nonce(json!("n-0S6_WzA2Mj")),
            "use_dpop_nonce",
        ),
        (
            "proof with a nonce of ten minutes ago",
            |w| {
                let old = w.nonce();
                w.wait(601);
                w.token_with_nonce(json!(old))
            },
            "use_dpop_nonce",
        ),
        (
            "access token with a proof without nonce",
            |w| {
                let tokens = w.tokens(&w.bank, &[], true);
                let access = tokens["access_token"].as_str().unwrap();
                let hash = json!(oauth2::access_token_hash(access));
                let changes = [("ath", hash), ("nonce", Value::Null)];
                let proof = w.proof(&w.bank.dpop, "GET", "/oauth2/userinfo", &changes);
                let header = format!("DPoP {access}");
                let headers = [("authorization", header.as_str()), ("dpop", &proof)];
                w.call(&Method::GET, "/oauth2/userinfo", &headers, "")
            },
            "use_dpop_nonce",
        ),
        (
            "two proofs",
            |w| {
                let (one, two) = (
                    w.proof(&w.bank.dpop, "POST", "/oauth2/par", &[]),
                    w.proof(&w.bank.dpop, "POST", "/oauth2/par", &[]),
                );
                let assertion = w.assertion(&w.bank, &[]);
                let mut asked = w.asked(&w.bank, &[]);
                asked.extend([
                    ("client_assertion", assertion.as_str()),
                    ("client_assertion_type", ASSERTION_TYPE),
                ]);
                w.call(
                    &Method::POST,
                    "/oauth2/par",
                    &[("dpop", &one), ("dpop", &two)],
                    &encode(&asked),
                )
            },
            "invalid_request",
        ),
        (
            "stolen refresh token, used by the thief first",
            |w| {
                let tokens = w.tokens(&w.bank, &[], true);
                let stolen = tokens["refresh_token"].as_str().unwrap();
                assert_eq!(w.refresh(&w.bank, stolen, true).status(), 200);
                w.refresh(&w.bank, stolen, true)
            },
            "invalid_grant",
        ),
        (
            "the newer refresh token, after the older came again",
            |w| {
                let tokens = w.tokens(&w.bank, &[], true);
                let old = tokens["refresh_token"].as_str().unwrap();
                let newer = value(&w.refresh(&w.bank, old, true));
                w.refresh(&w.bank, old, true);
                w.refresh(&w.bank, newer["refresh_token"].as_str().unwrap(), true)
            },
            "invalid_grant",
        ),
        (
            "refresh token of another client",
            |w| {
                let tokens = w.tokens(&w.bank, &[], true);
                w.refresh(&w.other, tokens["refresh_token"].as_str().unwrap(), true)
            },
            "invalid_grant",
        ),
        (
            "more scope by refresh",
            |w| {
                let tokens = w.tokens(&w.bank, &[("scope", "openid offline_access")], true);
                let refresh = tokens["refresh_token"].as_str().unwrap();
                w.post(
                    &w.bank,
                    "/oauth2/token",
                    &[
                        ("grant_type", "refresh_token"),
                        ("refresh_token", refresh),
                        ("scope", "openid number"),
                    ],
                    true,
                )
            },
            "invalid_scope",
        ),
        (
            "device code before the person allowed it",
            |w| w.poll(&w.bank, &w.kiosk()),
            "authorization_pending",
        ),
        (
            "device code asked for too soon",
            |w| {
                let kiosk = w.kiosk();
                w.poll(&w.bank, &kiosk);
                w.poll(&w.bank, &kiosk)
            },
            "slow_down",
        ),
        (
            "device code of another client",
            |w| {
                let kiosk = w.kiosk();
                w.answer_kiosk(&kiosk, true);
                w.poll(&w.other, &kiosk)
            },
            "expired_token",
        ),
        (
            "device code used twice",
            |w| {
                let kiosk = w.kiosk();
                w.answer_kiosk(&kiosk, true);
                assert_eq!(w.poll(&w.bank, &kiosk).status(), 200);
                w.poll(&w.bank, &kiosk)
            },
            "expired_token",
        ),
        (
            "device code that the person refused",
            |w| {
                let kiosk = w.kiosk();
                w.answer_kiosk(&kiosk, false);
                w.poll(&w.bank, &kiosk)
            },
            "access_denied",
        ),
        (
            "device code after ten minutes",
            |w| {
                let kiosk = w.kiosk();
                w.answer_kiosk(&kiosk, true);
                w.wait(601);
                w.poll(&w.bank, &kiosk)
            },
            "expired_token",
        ),
        (
            "device code without a key",
            |w| {
                let kiosk = w.kiosk();
                w.answer_kiosk(&kiosk, true);
                let grant = oauth2::TokenRequest::DEVICE;
                let asked = [
                    ("grant_type", grant),
                    ("device_code", kiosk.device_code.as_str()),
                ];
                w.post(&w.bank, "/oauth2/token", &asked, false)
            },
            "invalid_dpop_proof",
        ),
        (
            "bound token as a bearer token",
            |w| {
                let tokens = w.tokens(&w.bank, &[], true);
                w.userinfo(&w.bank, tokens["access_token"].as_str().unwrap(), false)
            },
            "invalid_token",
        ),
        (
            "stolen access token with the thief's key",
            |w| {
                let tokens = w.tokens(&w.bank, &[], true);
                w.userinfo(&w.other, tokens["access_token"].as_str().unwrap(), true)
            },
            "invalid_token",
        ),
        (
            "access token after its time",
            |w| {
                let tokens = w.tokens(&w.bank, &[], true);
                w.wait(601);
                w.userinfo(&w.bank, tokens["access_token"].as_str().unwrap(), true)
            },
            "invalid_token",
        ),
        (
            "revoked access token",
            |w| {
                let tokens = w.tokens(&w.bank, &[], true);
                let access = tokens["access_token"].as_str().unwrap();
                assert_eq!(
                    w.post(&w.bank, "/oauth2/revoke", &[("token", access)], false)
                        .status(),
                    200
                );
                w.userinfo(&w.bank, access, true)
            },
            "invalid_token",
        ),
        (
            "ID token as an access token",
            |w| {
                let tokens = w.tokens(&w.bank, &[], true);
                w.userinfo(&w.bank, tokens["id_token"].as_str().unwrap(), true)
            },
            "invalid_token",
        ),
        (
            "no token",
            |w| w.call(&Method::GET, "/oauth2/userinfo", &[], ""),
            "invalid_token",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, case, expected) in cases {
        let world = World::new(Profile::Fapi2);
        let reply = case(&world);
        let found = error(&reply);
        if found != *expected || reply.status().is_success() {
            wrong.push(format!("{name}: {} {}", reply.status(), reply.body()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let tried: Vec<String> = cases
        .iter()
        .map(|(name, _, answer)| format!("| {name} | `{answer}` |"))
        .collect();
    assert_eq!(published("| what is tried | answer |"), tried);
}

/// The rows of the table of `docs/refused.md` under this heading.
fn published(heading: &str) -> Vec<String> {
    include_str!("../../../docs/refused.md")
        .lines()
        .skip_while(|line| *line != heading)
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_tests_of_published_attacks_are_there() {
    let rows = published("| attack | test |");
    assert!(rows.len() >= 8);
    for row in rows {
        let names: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let [.., file, test] = names.as_slice() else {
            panic!("{row}");
        };
        let file = format!("{}/../../{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(&format!("fn {test}(")), "{row}");
    }
}
