//! What relying parties and other sites can do with a session: know it, and end it.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use common::*;
use http::{Method, header};
use idp_server::oauth::{Reply, SESSION_COOKIE};
use oidc_provider::Profile;
use serde_json::Value;

fn claims(world: &World, text: &str) -> Value {
    let token = jose::Jws::decode(text).unwrap();
    let token = token.verify_with_set(&world.key_set()).unwrap();
    serde_json::from_slice(token.payload()).unwrap()
}

#[test]
fn no_two_relying_parties_find_out_by_the_session_that_they_have_the_same_person() {
    let world = World::new(Profile::Standard);
    let session = |peer| {
        let tokens = world.tokens(peer, &[], false);
        let claims = claims(&world, tokens["id_token"].as_str().unwrap());
        claims["sid"].as_str().unwrap().to_owned()
    };
    let [bank, again, other] = [&world.bank, &world.bank, &world.other].map(session);
    assert_eq!(bank, again, "one session, one name at one relying party");
    assert_ne!(bank, other);
    let provider = world.oauth.provider();
    let who = provider.session(&world.session, world.now()).unwrap();
    assert!(![&bank, &other].contains(&&who.session().id.as_str().to_owned()));
    // Each hears of the end by the name that it knows.
    provider.end_session(&who, &who.session().id).unwrap();
    for logout in provider.logouts(9).unwrap() {
        let token = world.oauth.logout_token(&logout, "1", world.now()).unwrap();
        let known = if logout.client.as_str() == world.bank.id {
            &bank
        } else {
            &other
        };
        assert_eq!(claims(&world, &token)["sid"], known.as_str());
    }
}

#[test]
fn a_form_of_another_site_signs_out_by_the_same_rules_as_its_link() {
    let world = World::new(Profile::Standard);
    let holds = || {
        let provider = world.oauth.provider();
        provider.session(&world.session, world.now()).is_ok()
    };
    let keeps_cookie = |reply: &Reply| !reply.headers().contains_key(header::SET_COOKIE);
    // Browsers do not send the cookie with another site's form.
    let post = |body: &str| world.call(&Method::POST, "/oauth2/logout", &[], body);
    let cookie = format!("{SESSION_COOKIE}={}", world.session.expose());
    let get = |target: &str| world.call(&Method::GET, target, &[("cookie", &cookie)], "");
    let reply = post("");
    assert!(keeps_cookie(&reply), "anybody could sign anybody out");
    let reply = get(&location(&reply));
    assert_eq!(location(&reply), "/sign-out");
    assert!(keeps_cookie(&reply) && holds());
    let reply = world.call(&Method::GET, "/oauth2/logout", &[], "");
    assert!(
        keeps_cookie(&reply),
        "nobody is signed in, nothing is ended"
    );
    // A relying party's form ends its own session all the same, and goes back to it.
    let tokens = world.tokens(&world.bank, &[], false);
    let form = encode(&[
        ("id_token_hint", tokens["id_token"].as_str().unwrap()),
        ("post_logout_redirect_uri", AFTER_LOGOUT),
        ("state", "a b&c"),
        ("ui_locales", "ky"),
    ]);
    let reply = post(&form);
    assert!(keeps_cookie(&reply) && holds());
    let reply = get(&location(&reply));
    let back = location(&reply);
    assert!(
        back.starts_with(&format!("{AFTER_LOGOUT}?state=a%20b%26c")),
        "{back}"
    );
    assert!(!keeps_cookie(&reply) && !holds());
}
