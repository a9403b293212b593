//! Who the clients are: what each may ask, how its tokens end, and what becomes of one that is withdrawn.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use common::*;
use http::Method;
use oauth2::form;
use serde_json::json;
use signing_server::SigningServer;

#[test]
fn clients_prove_who_they_are_and_ask_only_what_they_may() {
    let world = World::new();
    let credentials = [("grant_type", "client_credentials")];
    // Somebody else's key, another audience, a replay.
    let forged = Peer {
        id: "bank",
        key: key(),
    };
    assert_eq!(
        world.post(&forged, "/oauth2/token", &credentials).status(),
        401
    );
    let proof = |audience: &str| {
        let bank = &world.bank;
        let proof =
            oauth2::client_authentication(&bank.key, bank.id, audience, &unique(), world.now());
        let proof = proof.unwrap();
        let mut all: Vec<_> = proof
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        all.extend(credentials);
        form(&all)
    };
    let elsewhere = proof("https://id.example.kg");
    assert_eq!(
        world.post_form("/oauth2/token", &[], &elsewhere).status(),
        401
    );
    let good = proof(ORIGIN);
    assert_eq!(world.post_form("/oauth2/token", &[], &good).status(), 200);
    let replayed = world.post_form("/oauth2/token", &[], &good);
    assert!(words(&replayed).contains("used before"));
    assert_eq!(
        world
            .post_form("/oauth2/token", &[], &form(&credentials))
            .status(),
        401
    );
    for grant in ["password", "refresh_token", "implicit"] {
        let reply = world.post(
            &world.bank,
            "/oauth2/token",
            &[("grant_type", grant), ("refresh_token", "x")],
        );
        assert_eq!(value(&reply)["error"], "unsupported_grant_type", "{grant}");
    }
    // The identity provider asks nobody to sign; a bank freezes nobody.
    let details = world.details(&["contract"]);
    let asked = world.asked(&world.idp, &details, &[("client_id", "")]);
    let reply = world.post(&world.idp, "/oauth2/pushed_authorize", &asked);
    assert_eq!(value(&reply)["error"], "unauthorized_client");
    let freeze = |peer: &Peer| {
        let bearer = format!("Bearer {}", world.service_token(peer));
        let headers = [("authorization", bearer.as_str())];
        let body = json!({ "number": PERSON }).to_string();
        world.call(&Method::POST, "/people/freeze", &headers, &body)
    };
    assert_eq!(freeze(&world.bank).status(), 403);
    // Requests that are wrong: to the client if it is one, never to an address that is not registered.
    for (name, to, words) in [
        ("redirect_uri", "https://evil.example/", None),
        ("redirect_uri", &format!("{REDIRECT}x"), None),
        ("client_id", "nobody", None),
        ("response_type", "token", Some("unsupported_response_type")),
        ("code_challenge_method", "plain", Some("invalid_request")),
        ("code_challenge", "short", Some("invalid_request")),
        ("authorization_details", "[]", Some("invalid_request")),
        ("authorization_details", "", Some("invalid_scope")),
    ] {
        let asked = world.asked(&world.bank, &details, &[(name, to)]);
        let reply = Browser::new(&world).get(&format!("/oauth2/authorize?{}", form(&asked)));
        match words {
            None => assert_eq!(reply.status(), 400, "{name}={to}"),
            Some(words) => {
                let answer = location(&reply);
                assert!(answer.starts_with(REDIRECT), "{answer}");
                assert_eq!(parameter(&answer, "error").unwrap(), words, "{name}={to}");
            }
        }
    }
    // Names that deceive, hashes that are none.
    for (from, to) in [
        ("contract.pdf", "fdp.\u{202e}exe"),
        (csc::SHA256, "1.3.14.3.2.26"),
    ] {
        let details = details.replace(from, to);
        let asked = world.asked(&world.bank, &details, &[("client_id", "")]);
        let reply = world.post(&world.bank, "/oauth2/pushed_authorize", &asked);
        assert_eq!(value(&reply)["error"], "invalid_request", "{to}");
    }
    // A pushed request is its client's.
    let asked = world.asked(&world.bank, &details, &[("client_id", "")]);
    let pushed = value(&world.post(&world.bank, "/oauth2/pushed_authorize", &asked));
    let uri = pushed["request_uri"].as_str().unwrap();
    let query = form(&[("client_id", "portal"), ("request_uri", uri)]);
    let reply = Browser::new(&world).get(&format!("/oauth2/authorize?{query}"));
    assert_eq!(reply.status(), 400);
}

/// Nobody learns who has a signature by trying numbers.
#[test]
fn a_client_looks_up_only_so_many_people() {
    let world = World::new();
    let token = world.service_token(&world.bank);
    let list = |token: &str, number: &str| {
        let reply = world.csc(token, "credentials/list", &json!({ "userID": number }));
        (reply.status().as_u16(), reply.into_body())
    };
    // Somebody who is not here looks like somebody without a credential.
    let unknown = list(&token, "21212199012345");
    assert_eq!(unknown, (200, "{\"credentialIDs\":[]}".to_owned()));
    for serial in 1..signing_server::MOST_PEOPLE_AN_HOUR {
        let number = format!("212121990{serial:05}");
        assert_eq!(list(&token, &number).0, 200, "{number}");
    }
    assert_eq!(list(&token, PERSON).0, 429);
    assert_eq!(
        list(&token, "21212199012345").0,
        200,
        "somebody known already"
    );
    let other = world.service_token(&world.portal);
    assert_eq!(list(&other, PERSON).0, 200);
    world.wait(3600);
    assert_eq!(list(&world.service_token(&world.bank), PERSON).0, 200);
}

/// RFC 7009: at every node from the next call on, and nobody ends what is another's.
#[test]
fn a_client_ends_its_own_tokens() {
    let world = World::new();
    let bank = &world.bank;
    let token = world.credential_token(bank, &["contract"]);
    let [kept, ended] = [(); 2].map(|()| world.service_token(bank));
    let other = world.node(&world.store, 7);
    let lists = |server: &SigningServer, token: &str| {
        let wanted = json!({ "userID": PERSON });
        let reply = world.csc_at(server, token, "credentials/list", &wanted);
        reply.status().as_u16()
    };
    let revoke = |peer: &Peer, token: &str| world.post(peer, "/oauth2/revoke", &[("token", token)]);
    let stolen = revoke(&world.portal, &ended);
    assert_eq!(value(&stolen)["error"], "invalid_grant");
    let nobody = world.post_form("/oauth2/revoke", &[], &form(&[("token", &ended)]));
    assert_eq!(nobody.status(), 401);
    assert_eq!(world.post(bank, "/oauth2/revoke", &[]).status(), 400);
    assert_eq!(
        (lists(&world.server, &ended), lists(&other, &ended)),
        (200, 200)
    );
    for text in [&ended, &ended, "no token", ""] {
        let done = revoke(bank, text);
        let wanted = if text.is_empty() { 400 } else { 200 };
        assert_eq!(done.status(), wanted, "{text}: {}", done.body());
    }
    assert_eq!(
        (lists(&world.server, &ended), lists(&other, &ended)),
        (401, 401)
    );
    assert_eq!(lists(&other, &kept), 200);

    // A credential token too, alone and as SAD; what the person confirmed is signed no more.
    assert_eq!(revoke(bank, &token).status(), 200);
    let mut body = world.sign_body(&["contract"]);
    assert_eq!(
        world.csc(&token, "signatures/signHash", &body).status(),
        401
    );
    body["SAD"] = token.into();
    let refused = world.csc_at(&other, &kept, "signatures/signHash", &body);
    assert_eq!(
        value(&refused)["error_description"],
        "Invalid parameter SAD"
    );
}

/// Its operator takes a client out of the settings: whatever it had ends with it.
#[test]
fn nothing_of_a_withdrawn_client_goes_on() {
    let mut world = World::new();
    let service = world.service_token(&world.bank);
    let token = world.credential_token(&world.bank, &["contract"]);
    let waiting = world.brought(&world.bank, &["annex"]).closed();
    let answer = world.brought(&world.bank, &["other"]).sign(&world.person);
    world.withdraw_bank();
    let call = |token: &str, method: &str, body| {
        let reply = world.csc(token, method, body);
        (reply.status().as_u16(), value(&reply)["error"].clone())
    };
    let gone = (401, json!("invalid_token"));
    let wanted = json!({ "userID": PERSON });
    assert_eq!(call(&service, "credentials/list", &wanted), gone);
    let body = world.sign_body(&["contract"]);
    assert_eq!(call(&token, "signatures/signHash", &body), gone);
    let redeemed = world.redeem(&world.bank, &parameter(&answer, "code").unwrap(), &[]);
    assert_eq!(value(&redeemed)["error"], "invalid_client");
    // The person is shown nothing of it any more and confirms nothing.
    let waiting = Browser::opened(&world, waiting);
    assert_eq!(waiting.get(&waiting.page).status(), 404);
    let options = format!("{}/options", waiting.page);
    assert_eq!(waiting.post(&options, &[]).status(), 404);
    // It was the withdrawal alone: where the bank is known, its token is good.
    let before = world.node(&world.store, 7);
    let signed = world.csc_at(&before, &token, "signatures/signHash", &body);
    assert_eq!(signed.status(), 200, "{}", signed.body());
}
