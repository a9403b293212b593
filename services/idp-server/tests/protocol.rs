//! The endpoints, called as relying parties and browsers call them: what they give.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use common::*;
use http::{Method, header};
use idp_server::oauth::SESSION_COOKIE;
use oidc_provider::{Profile, Secret};
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
fn a_kiosk_gets_tokens_once_the_person_chose_its_number() {
    let world = World::new(Profile::Standard);
    let bank = &world.bank;
    let scope = [("scope", "openid offline_access number")];
    let begun = value(&world.post(bank, "/oauth2/device", &scope, false));
    assert_eq!(begun["verification_uri"], format!("{ISSUER}/device"));
    let poll = || {
        let grant = oauth2::TokenRequest::DEVICE;
        let code = begun["device_code"].as_str().unwrap();
        let asked = [("grant_type", grant), ("device_code", code)];
        world.post(bank, "/oauth2/token", &asked, true)
    };
    world.wait(6);
    assert_eq!(error(&poll()), "authorization_pending");
    let provider = world.oauth.provider();
    let who = provider.session(&world.session, world.now()).unwrap();
    let user_code = Secret::new(begun["user_code"].as_str().unwrap());
    let number = begun["number"].as_u64().unwrap().try_into().unwrap();
    provider
        .answer_crossing(&who, &user_code, Some(number))
        .unwrap();
    world.wait(6);
    let tokens = value(&poll());
    assert_eq!(tokens["token_type"], "DPoP");
    let claims = id_token(&world, tokens["id_token"].as_str().unwrap());
    // However the person signed in on the phone: whoever stands before the kiosk may be somebody else.
    assert_eq!(claims["acr"], "http://eidas.europa.eu/LoA/low");
    let access = tokens["access_token"].as_str().unwrap();
    let info = value(&world.userinfo(bank, access, true));
    assert_eq!(info["number"], self::number(7).as_str());
    let newer = value(&world.refresh(bank, tokens["refresh_token"].as_str().unwrap(), true));
    assert!(newer["access_token"].is_string(), "{newer}");
}

#[test]
fn a_relying_party_learns_the_next_nonce_from_each_answer() {
    let world = World::new(Profile::Fapi2);
    let tokens = world.tokens(&world.bank, &[], true);
    let access = tokens["access_token"].as_str().unwrap();
    let info = world.userinfo(&world.bank, access, true);
    assert_eq!(info.headers()["dpop-nonce"], world.nonce().as_str());
    // Without one, a relying party learns it from the refusal and is served with it.
    let hash = ("ath", json!(oauth2::access_token_hash(access)));
    let ask = |nonce: Value| {
        let changes = [hash.clone(), ("nonce", nonce)];
        let proof = world.proof(&world.bank.dpop, "GET", "/oauth2/userinfo", &changes);
        let header = format!("DPoP {access}");
        let headers = [("authorization", header.as_str()), ("dpop", &proof)];
        world.call(&Method::GET, "/oauth2/userinfo", &headers, "")
    };
    let first = ask(Value::Null);
    assert_eq!(first.status(), 401);
    let challenge = first.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(
        challenge.contains("error=\"use_dpop_nonce\""),
        "{challenge}"
    );
    let given = first.headers()["dpop-nonce"].to_str().unwrap();
    assert_eq!(ask(json!(given)).status(), 200);
    // One given lately is still taken, and the answer brings the newer.
    world.wait(300);
    let later = ask(json!(given));
    assert_eq!(later.status(), 200);
    assert_ne!(later.headers()["dpop-nonce"], given);
    // Who sends no proof needs none.
    let keys = world.call(&Method::GET, "/jwks", &[], "");
    assert!(!keys.headers().contains_key("dpop-nonce"));
}
