//! The endpoints, called as relying parties and browsers call them: what they give, and the table of what they refuse.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use common::*;
use http::{Method, header};
use idp_server::oauth::{Reply, SESSION_COOKIE};
use oidc_provider::Profile;
use serde_json::{Value, json};

#[test]
fn a_bank_gets_tokens_bound_to_its_key_and_the_person_signs_out_everywhere() {
    let world = World::new(Profile::Fapi2);
    let bank = &world.bank;
    let answer = world.answer(bank, &[("acr_values", "http://eidas.europa.eu/LoA/high")]);
    assert!(answer.starts_with(&format!("{REDIRECT}&code=")), "{answer}");
    assert_eq!(parameter(&answer, "state").unwrap(), "s&s");
    assert_eq!(parameter(&answer, "iss").unwrap(), ISSUER);
    let reply = world.redeem(bank, &parameter(&answer, "code").unwrap(), &[], true);
    assert_eq!(reply.headers()[header::CACHE_CONTROL], "no-store");
    let tokens = value(&reply);
    assert_eq!(tokens["token_type"], "DPoP");
    let claims = id_token(&world, tokens["id_token"].as_str().unwrap());
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["aud"], bank.id.as_str());
    assert_eq!(claims["nonce"], "n");
    assert_eq!(claims["acr"], "http://eidas.europa.eu/LoA/high");
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(claims["at_hash"], oauth2::id_token_hash(access));
    // Who it is, is said to whoever holds the key, and only that.
    assert!(claims.get("number").is_none() && claims.get("family_name").is_none());
    let info = value(&world.userinfo(bank, access, true));
    assert_eq!(info["sub"], claims["sub"]);
    assert_eq!(info["number"], number(7).as_str());
    assert_eq!(info["family_name"], "Asanova");
    // Signed, it can be shown to whoever trusts the provider; it is no ID token.
    let signed = world.signed_userinfo(bank, access);
    let shown = jose::Jws::decode(&signed).unwrap();
    let shown = shown.verify_with_set(&world.key_set()).unwrap();
    assert_eq!(shown.header().typ, "userinfo+jwt");
    let shown: Value = serde_json::from_slice(shown.payload()).unwrap();
    for (name, value) in info.as_object().unwrap() {
        assert_eq!(&shown[name], value);
    }
    assert_eq!(
        (&shown["aud"], &shown["acr"]),
        (&claims["aud"], &claims["acr"])
    );
    assert_eq!(shown["iss"], ISSUER);
    // Another relying party of the same sector knows the same subject, and only what it asked for.
    let other = world.tokens(&world.other, &[("scope", "openid")], true);
    let others = id_token(&world, other["id_token"].as_str().unwrap());
    assert_eq!(others["sub"], claims["sub"], "one sector, one subject");
    let about = value(&world.userinfo(&world.other, other["access_token"].as_str().unwrap(), true));
    assert_eq!(about, json!({ "sub": claims["sub"] }));
    // Its own tokens it may ask about; the other's are nothing to it.
    let asked =
        |peer, token| value(&world.post(peer, "/oauth2/introspect", &[("token", token)], false));
    assert_eq!(
        asked(bank, access)["cnf"]["jkt"],
        bank.dpop.public().thumbprint()
    );
    assert_eq!(asked(&world.other, access), json!({ "active": false }));
    // A refresh gives new ones for the same family.
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let newer = value(&world.refresh(bank, refresh, true));
    assert_eq!(
        id_token(&world, newer["id_token"].as_str().unwrap())["sub"],
        claims["sub"]
    );
    // Signing out goes back to the registered address and tells both.
    let query = encode(&[
        ("id_token_hint", tokens["id_token"].as_str().unwrap()),
        ("post_logout_redirect_uri", AFTER_LOGOUT),
    ]);
    let cookie = format!("{SESSION_COOKIE}={}", world.session.expose());
    let headers = [("cookie", cookie.as_str())];
    let out = world.call(
        &Method::GET,
        &format!("/oauth2/logout?{query}"),
        &headers,
        "",
    );
    assert_eq!(location(&out), AFTER_LOGOUT);
    assert!(
        out.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert!(
        world
            .oauth
            .provider()
            .session(&world.session, world.now())
            .is_err()
    );
    let waiting = world.oauth.provider().logouts(10).unwrap();
    assert_eq!(waiting.len(), 2);
    let told = waiting
        .iter()
        .find(|logout| logout.client.as_str() == bank.id)
        .unwrap();
    let token = world.oauth.logout_token(told, "1", world.now()).unwrap();
    let told = id_token(&world, &token);
    assert_eq!(
        (&told["sid"], &told["sub"]),
        (&claims["sid"], &claims["sub"])
    );
    assert!(told["events"]["http://schemas.openid.net/event/backchannel-logout"].is_object());
    assert!(told.get("nonce").is_none());
}

#[test]
fn metadata_offers_only_what_is_there() {
    let world = World::new(Profile::Standard);
    let reply = world.call(&Method::GET, "/.well-known/openid-configuration", &[], "");
    let metadata = value(&reply);
    assert_eq!(metadata["issuer"], ISSUER);
    assert_eq!(
        metadata["code_challenge_methods_supported"],
        json!(["S256"])
    );
    assert_eq!(metadata["response_types_supported"], json!(["code"]));
    for (name, value) in metadata.as_object().unwrap() {
        if let Some(path) = value.as_str().and_then(|value| value.strip_prefix(ISSUER))
            && name != "issuer"
        {
            let found = [Method::GET, Method::POST]
                .iter()
                .any(|method| world.call(method, path, &[], "").status() != 405);
            assert!(found, "{name}");
        }
    }
    let keys = value(&world.call(&Method::GET, "/jwks", &[], ""));
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    assert!(keys["keys"][0].get("d").is_none());
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
                        (
                            "client_assertion_type",
                            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                        ),
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
                    (
                        "client_assertion_type",
                        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                    ),
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

#[test]
fn nothing_goes_back_before_it_is_known_to_whom() {
    let world = World::new(Profile::Standard);
    let bank = &world.bank;
    let pushed = world.request_uri(bank, &[]);
    for (client, uri) in [
        (world.other.id.as_str(), pushed.as_str()),
        (&bank.id, "urn:ietf:params:oauth:request_uri:tdru.a.b"),
        (&bank.id, "https://evil.example/request"),
        ("nobody", &pushed),
    ] {
        let reply = world.bring(client, uri, true);
        assert_eq!(reply.status(), 400, "{client} {uri}");
        assert!(reply.headers().get(header::LOCATION).is_none());
    }
    // A request that was not pushed has no address to go to, registered or not.
    let asked = encode(&world.asked(bank, &[]));
    let reply = world.call(&Method::GET, &format!("/oauth2/authorize?{asked}"), &[], "");
    assert_eq!(reply.status(), 400);
    // Brought once.
    assert_eq!(world.bring(&bank.id, &pushed, true).status(), 303);
    assert_eq!(world.bring(&bank.id, &pushed, true).status(), 400);
    let late = world.request_uri(bank, &[]);
    world.wait(91);
    assert_eq!(world.bring(&bank.id, &late, true).status(), 400);
}

#[test]
fn a_silent_request_shows_no_page() {
    let world = World::new(Profile::Standard);
    let bank = &world.bank;
    let ask = |changes: &[(&str, &str)], signed_in| {
        location(&world.bring(&bank.id, &world.request_uri(bank, changes), signed_in))
    };
    let silent = ("prompt", "none");
    let refused = ask(&[silent], false);
    assert_eq!(parameter(&refused, "error").unwrap(), "login_required");
    assert_eq!(parameter(&refused, "iss").unwrap(), ISSUER);
    let refused = ask(&[silent], true);
    assert_eq!(parameter(&refused, "error").unwrap(), "consent_required");
    world.code(bank, &[]);
    assert!(parameter(&ask(&[silent], true), "code").is_some());
    // The level is not ignored: after a while the session no longer reaches it, and a page is needed.
    let high = ("acr_values", "http://eidas.europa.eu/LoA/high");
    assert!(parameter(&ask(&[silent, high], true), "code").is_some());
    world.wait(16 * 60);
    let refused = ask(&[silent, high], true);
    assert_eq!(
        parameter(&refused, "error").unwrap(),
        "interaction_required"
    );
    assert_eq!(ask(&[high], true), "/continue");
    let low = ("acr_values", "http://eidas.europa.eu/LoA/low");
    let tokens = world.tokens(bank, &[low], false);
    let claims: Value = id_token(&world, tokens["id_token"].as_str().unwrap());
    assert_eq!(claims["acr"], "http://eidas.europa.eu/LoA/substantial");
    // So is the age of the sign-in.
    let refused = ask(&[silent, ("max_age", "60")], true);
    assert_eq!(parameter(&refused, "error").unwrap(), "login_required");
}

#[test]
fn signing_out_asks_whoever_is_not_known_and_goes_nowhere_else() {
    let world = World::new(Profile::Standard);
    let bank = &world.bank;
    let tokens = world.tokens(bank, &[], false);
    let hint = tokens["id_token"].as_str().unwrap();
    let cookie = format!("{SESSION_COOKIE}={}", world.session.expose());
    let out = |parameters: &[(&str, &str)]| {
        let target = format!("/oauth2/logout?{}", encode(parameters));
        world.call(&Method::GET, &target, &[("cookie", &cookie)], "")
    };
    let holds = || {
        world
            .oauth
            .provider()
            .session(&world.session, world.now())
            .is_ok()
    };
    // Any page could send this.
    assert_eq!(location(&out(&[])), "/sign-out");
    let named = [
        ("client_id", bank.id.as_str()),
        ("post_logout_redirect_uri", AFTER_LOGOUT),
    ];
    assert_eq!(location(&out(&named)), "/sign-out");
    for (name, value) in [
        ("post_logout_redirect_uri", "https://evil.example/"),
        ("post_logout_redirect_uri", "https://bank.example/bye/"),
        ("client_id", &world.other.id),
    ] {
        assert_eq!(
            out(&[("id_token_hint", hint), (name, value)]).status(),
            400,
            "{value}"
        );
    }
    // An ID token of somebody else's making.
    let forged = bank
        .key
        .sign("JWT", &json!({"iss": ISSUER, "aud": bank.id, "sid": "x"}))
        .unwrap();
    assert_eq!(out(&[("id_token_hint", &forged)]).status(), 400);
    assert!(holds());
    let done = out(&[
        ("id_token_hint", hint),
        ("post_logout_redirect_uri", AFTER_LOGOUT),
        ("state", "1"),
    ]);
    assert!(location(&done).starts_with(&format!("{AFTER_LOGOUT}?state=1")));
    assert!(!holds());
}

#[test]
fn a_kiosk_waits_for_the_person() {
    let world = World::new(Profile::Standard);
    let bank = &world.bank;
    let begun = value(&world.post(bank, "/oauth2/device", &[("scope", "openid")], false));
    assert_eq!(begun["verification_uri"], format!("{ISSUER}/device"));
    let code = begun["device_code"].as_str().unwrap();
    let poll = |peer| {
        let grant = oauth2::TokenRequest::DEVICE;
        error(&world.post(
            peer,
            "/oauth2/token",
            &[("grant_type", grant), ("device_code", code)],
            false,
        ))
    };
    world.wait(6);
    assert_eq!(poll(bank), "authorization_pending");
    assert_eq!(poll(bank), "slow_down");
    world.wait(3600);
    assert_eq!(poll(bank), "expired_token");
}
