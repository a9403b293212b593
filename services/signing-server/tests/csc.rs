//! The full way of a signature as a client and a browser go it, and everything on it that must be refused.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use std::sync::Arc;

use common::*;
use http::{Method, header};
use oauth2::form;
use serde_json::{Value, json};
use server_signing::{ALGORITHM, ItemKind, What};

fn certificate(world: &World, token: &str) -> pki::Certificate {
    let body =
        json!({ "credentialID": world.credential, "certificates": "chain", "certInfo": true });
    let info = value(&world.csc(token, "credentials/info", &body));
    let chain = info["cert"]["certificates"].as_array().unwrap();
    let decode = |text: &Value| {
        pki::Certificate::decode(&csc::from_base64(text.as_str().unwrap()).unwrap()).unwrap()
    };
    let certificate = decode(&chain[0]);
    assert!(certificate.is_issued_by(&decode(&chain[1])));
    certificate
}

#[test]
fn a_bank_gets_the_signatures_that_the_person_confirmed() {
    let world = World::new();
    let bank = &world.bank;
    let service = world.service_token(bank);
    // The bank finds the person's credential.
    let listed = value(&world.csc(
        &service,
        "credentials/list",
        &json!({ "userID": PERSON, "credentialInfo": true, "certInfo": true, "onlyValid": true }),
    ));
    assert_eq!(listed["credentialIDs"], json!([world.credential]));
    let info = &listed["credentialInfos"][0];
    assert_eq!(info["credentialID"], world.credential);
    assert_eq!(info["SCAL"], "2");
    assert_eq!(info["auth"]["mode"], "oauth2code");
    assert_eq!(info["signatureQualifier"], "kg_es_qualified");
    assert_eq!(info["key"]["algo"], json!([csc::ECDSA_WITH_SHA256]));
    assert!(
        info["cert"]["subjectDN"]
            .as_str()
            .unwrap()
            .contains("Асанов")
    );
    // The person reads on the service's own page who asks for what, and confirms.
    let browser = world.brought(bank, &["contract", "annex"]);
    let page = browser.get(&browser.page);
    let html = page.body();
    for shown in [
        "The bank",
        "contract.pdf",
        "annex.pdf",
        "qualified electronic signature",
    ] {
        assert!(html.contains(shown), "{shown}");
    }
    let hex = hex::encode(hash("contract"));
    assert!(html.contains(&hex[..8]) && html.contains(&hex[56..]));
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(
        policy.contains("form-action 'self' https://bank.example;"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"));
    let answer = browser.sign(&world.person);
    assert!(answer.starts_with(&format!("{REDIRECT}&code=")), "{answer}");
    assert_eq!(parameter(&answer, "state").unwrap(), "s&s");
    assert_eq!(parameter(&answer, "iss").unwrap(), ORIGIN);
    let reply = world.redeem(bank, &parameter(&answer, "code").unwrap(), &[]);
    assert_eq!(reply.headers()[header::CACHE_CONTROL], "no-store");
    let token = value(&reply);
    assert_eq!(token["credentialID"], world.credential);
    let details: Value = serde_json::from_str(&world.details(&["contract", "annex"])).unwrap();
    assert_eq!(token["authorization_details"], details);
    let token = token["access_token"].as_str().unwrap();
    // By the credential token alone, or as SAD beside the service token: the same signatures.
    let body = world.sign_body(&["contract", "annex"]);
    let signed = value(&world.csc(token, "signatures/signHash", &body));
    let mut with_sad = body;
    with_sad["SAD"] = token.into();
    assert_eq!(
        value(&world.csc(&service, "signatures/signHash", &with_sad)),
        signed
    );
    let certificate = certificate(&world, token);
    let signatures = signed["signatures"].as_array().unwrap();
    assert_eq!(signatures.len(), 2);
    for (signature, text) in signatures.iter().zip(["contract", "annex"]) {
        let signature = csc::from_base64(signature.as_str().unwrap()).unwrap();
        let key = certificate.public_key();
        key.verify(ALGORITHM, text.as_bytes(), &signature).unwrap();
    }
    // It happened once, and the person's record says so.
    let history = world
        .server
        .signing()
        .history(PERSON.parse().unwrap(), 50)
        .unwrap();
    let signed: Vec<_> = history
        .iter()
        .filter(|event| event.what == What::Signed)
        .collect();
    assert_eq!(signed.len(), 1);
    assert_eq!(signed[0].client, "bank");
    assert_eq!(signed[0].documents[0].name, "contract.pdf");
}

#[test]
fn the_classical_request_works_and_the_second_device_shows_the_same_digits() {
    let world = World::new();
    let hashes = jose::to_base64url(&hash("contract"));
    let asked = world.asked(
        &world.bank,
        "",
        &[
            ("authorization_details", ""),
            ("scope", "credential"),
            ("credentialID", &world.credential),
            ("numSignatures", "1"),
            ("hashes", &hashes),
            ("hashAlgorithmOID", csc::SHA256),
            ("description", "Loan contract 5"),
            ("lang", "ru-RU"),
        ],
    );
    let mut browser = Browser::new(&world);
    let reply = browser.get(&format!("/oauth2/authorize?{}", form(&asked)));
    browser.page = location(&reply);
    assert!(browser.page.ends_with("?language=ru"), "{}", browser.page);
    let html = browser.get(&browser.page).into_body();
    assert!(html.contains("Подписание документов") && html.contains("Loan contract 5"));
    browser.page = browser.page.split('?').next().unwrap().to_owned();
    // Another browser under either address sees the same digits, and no way to confirm.
    let digits = |html: &str| html.split("shown-code\"><strong>").nth(1).unwrap()[..23].to_owned();
    let other = Browser::new(&world);
    let compared = other
        .get(&browser.page.replace("confirm", "compare"))
        .into_body();
    assert_eq!(digits(&compared), digits(&html));
    assert!(!compared.contains("<form"));
    assert!(!other.get(&browser.page).into_body().contains("<form"));
    let answer = other.post(&browser.page, &[("answer", "{}")]);
    assert_eq!(
        answer.status(),
        404,
        "a browser that did not bring the request"
    );
    // Whoever has the text can compute the challenge.
    let text = other
        .get(&browser.page.replace("confirm", "statement"))
        .into_body();
    let challenge = server_signing::challenge(&text);
    assert_eq!(server_signing::comparison(&challenge), digits(&html));
    let answer = browser.sign(&world.person);
    let code = parameter(&answer, "code").unwrap();
    let token = value(&world.redeem(&world.bank, &code, &[]));
    assert!(token.get("authorization_details").is_none());
    let reply = world.csc(
        token["access_token"].as_str().unwrap(),
        "signatures/signHash",
        &world.sign_body(&["contract"]),
    );
    assert_eq!(reply.status(), 200, "{}", reply.body());
}

#[test]
fn whoever_refuses_signs_nothing() {
    let world = World::new();
    let browser = world.brought(&world.bank, &["contract"]);
    browser.get(&browser.page);
    let answer = location(&browser.post(&format!("{}/refuse", browser.page), &[]));
    assert!(answer.starts_with(&format!("{REDIRECT}&error=access_denied")));
    assert_eq!(parameter(&answer, "state").unwrap(), "s&s");
    let later = browser.get(&browser.page).into_body();
    assert!(later.contains("You did not sign") && !later.contains("<form"));
    let confirmed = browser.confirm(&world.person);
    assert!(confirmed.body().contains("You did not sign"));
}

/// A hostile portal or bank: everything that it can try with what it is given.
#[test]
fn a_hostile_portal_gets_no_signature() {
    let world = World::new();
    let token = world.credential_token(&world.bank, &["contract"]);
    let service = world.service_token(&world.bank);
    let foreign = world.service_token(&world.portal);
    let sign = |token: &str, body: &Value| {
        let reply = world.csc(token, "signatures/signHash", body);
        assert_ne!(reply.status(), 200, "{}", reply.body());
        assert!(!reply.body().contains("signatures\""));
        words(&reply)
    };
    let good = world.sign_body(&["contract"]);
    let changed = |name: &str, to: Value| {
        let mut body = good.clone();
        body[name] = to;
        body
    };
    // Other hashes, more, fewer, another order, another credential.
    for texts in [
        &["other"][..],
        &["contract", "other"],
        &["contract", "contract"],
    ] {
        let refused = sign(&token, &world.sign_body(texts));
        assert_eq!(refused, "Hash is not authorized by the SAD", "{texts:?}");
    }
    assert_eq!(
        sign(&token, &changed("hashes", json!([]))),
        "Empty hash array"
    );
    assert_eq!(
        sign(&token, &changed("credentialID", "other".into())),
        "Invalid parameter credentialID"
    );
    // A service token signs nothing, nor does another client's with this client's activation data.
    assert_eq!(
        sign(&service, &good),
        "Missing (or invalid type) string parameter SAD"
    );
    assert_eq!(
        sign(&foreign, &changed("SAD", token.as_str().into())),
        "Invalid parameter SAD"
    );
    assert_eq!(
        sign(&service, &changed("SAD", service.as_str().into())),
        "Invalid parameter SAD"
    );
    for wrong in [
        "",
        "x",
        "a.b",
        &token[..token.len() - 1],
        &format!("{token}A"),
    ] {
        assert_eq!(
            sign(wrong, &good),
            "The access token is not valid",
            "{wrong:?}"
        );
    }
    // An assertion made on the portal's own page, over another request, or by somebody else confirms nothing.
    let browser = world.brought(&world.portal, &["contract"]);
    let other = world.brought(&world.portal, &["contract"]);
    browser.get(&browser.page);
    let challenge = |page: &str, browser: &Browser<'_>| {
        let options = browser.options(&format!("{page}/options"));
        jose::from_base64url(options["challenge"].as_str().unwrap()).unwrap()
    };
    let asked = challenge(&browser.page, &browser);
    other.get(&other.page);
    let elsewhere = challenge(&other.page, &other);
    let stranger = authenticator("person");
    for answer in [
        world
            .person
            .assert("https://portal.example.kg", &asked)
            .unwrap(),
        world.person.assert(ORIGIN, &elsewhere).unwrap(),
        stranger.assert(ORIGIN, &asked).unwrap(),
        world.officers[0].1.assert(ORIGIN, &asked).unwrap(),
    ] {
        let reply = browser.post(&browser.page, &[("answer", &answer)]);
        assert_eq!(reply.status(), 400);
        assert!(reply.body().contains("There is a problem"));
    }
    // A form from the portal's page is not ours, nor is one without the browser's token.
    let good_answer = world.person.assert(ORIGIN, &asked).unwrap();
    let reply = world.post_form(
        &browser.page,
        &[("origin", "https://portal.example.kg")],
        &form(&[("answer", &good_answer)]),
    );
    assert_eq!(reply.status(), 403);
    // What is redeemed too late, by another, with another verifier or twice is not given.
    let answer = browser.sign(&world.person);
    let code = parameter(&answer, "code").unwrap();
    for (peer, changes) in [
        (&world.bank, &[][..]),
        (
            &world.portal,
            &[("redirect_uri", "https://bank.example/other")],
        ),
        (
            &world.portal,
            &[("code_verifier", &VERIFIER.replace('d', "e"))],
        ),
        (&world.portal, &[("code", "x.y")]),
        (&world.portal, &[("code", token.as_str())]),
    ] {
        let reply = world.redeem(peer, &code, changes);
        assert_eq!(value(&reply)["error"], "invalid_grant", "{changes:?}");
    }
    assert_eq!(world.redeem(&world.portal, &code, &[]).status(), 200);
    let replayed = world.redeem(&world.portal, &code, &[]);
    assert_eq!(value(&replayed)["error"], "invalid_grant");
    // After five minutes even what was confirmed gives nothing.
    world.wait(300);
    assert_eq!(sign(&token, &good), "The access token is not valid");
}

#[test]
fn a_freeze_holds_at_once_and_a_recovery_for_a_day() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.service_token(&world.idp));
    let tell = |path: &str, body: Value| {
        let headers = [("authorization", bearer.as_str())];
        let body = body.to_string();
        let reply = world.call(&Method::POST, path, &headers, &body);
        reply.status().as_u16()
    };
    let token = world.credential_token(&world.bank, &["contract"]);
    let at = |seconds: i64| {
        let format = &time::format_description::well_known::Rfc3339;
        let at = world.now() + time::Duration::seconds(seconds);
        json!({ "number": PERSON, "at": at.format(format).unwrap() })
    };
    assert_eq!(tell("/people/recovered", at(-3600)), 204);
    let sign = |token: &str| {
        world.csc(
            token,
            "signatures/signHash",
            &world.sign_body(&["contract"]),
        )
    };
    assert_eq!(value(&sign(&token))["error"], "access_denied");
    assert_eq!(tell("/people/recovered", at(3600)), 400);
    // 23 hours later it is over, unless frozen. Nobody learns who has keys here.
    world.wait(23 * 3600);
    let bearer_now = format!("Bearer {}", world.service_token(&world.idp));
    let token = world.credential_token(&world.bank, &["contract"]);
    let freeze = |number: &str| {
        let headers = [("authorization", bearer_now.as_str())];
        let body = json!({ "number": number }).to_string();
        world
            .call(&Method::POST, "/people/freeze", &headers, &body)
            .status()
            .as_u16()
    };
    assert_eq!(
        (freeze(PERSON), freeze(OFFICER), freeze("1")),
        (204, 204, 400)
    );
    assert_eq!(value(&sign(&token))["error"], "access_denied");
    let details = world.details(&["contract"]);
    let asked = world.asked(&world.bank, &details, &[("client_id", "")]);
    let reply = world.post(&world.bank, "/oauth2/pushed_authorize", &asked);
    assert_eq!(value(&reply)["error"], "access_denied");
}

#[test]
fn a_stolen_or_changed_database_gives_no_signature() {
    let world = World::new();
    let token = world.credential_token(&world.bank, &["contract"]);
    let body = world.sign_body(&["contract"]);
    // Without the master key the token itself is nothing.
    let thief = world.node(&Arc::new(world.store.stolen()), 8);
    assert_eq!(
        world
            .csc_at(&thief, &token, "signatures/signHash", &body)
            .status(),
        401
    );
    // With a node, and another hash written over what was confirmed: the proof does not fit.
    let changed = Arc::new(world.store.stolen());
    let (old, new) = (hex::encode(hash("contract")), hex::encode(hash("other")));
    assert_eq!(
        changed.tamper(ItemKind::Authorisation, |body| body.replace(&old, &new)),
        1
    );
    let node = world.node(&changed, 7);
    let other = world.sign_body(&["other"]);
    let reply = world.csc_at(&node, &token, "signatures/signHash", &other);
    assert_eq!(reply.status(), 400, "{}", reply.body());
    // The thief's passkey in place of the person's: the key does not open.
    let changed = Arc::new(world.store.stolen());
    let mine = authenticator("person");
    let (old, new) = (world.person.public_key(), mine.public_key());
    assert_eq!(
        changed.tamper(ItemKind::Holder, |body| body.replace(&old, &new)),
        1
    );
    let node = world.node(&changed, 7);
    let reply = world.csc_at(&node, &token, "signatures/signHash", &body);
    assert_ne!(reply.status(), 200);
    // Two honest nodes give the same signature, and a full disk none.
    world.store.set_full(true);
    let full = world.csc(&token, "signatures/signHash", &body);
    assert_eq!(full.status(), 503);
    world.store.set_full(false);
    let nodes: Vec<_> = (0..4).map(|_| world.node(&world.store, 7)).collect();
    let answers: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .iter()
            .map(|node| {
                let (world, token, body) = (&world, &token, &body);
                scope.spawn(move || {
                    world
                        .csc_at(node, token, "signatures/signHash", body)
                        .into_body()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(answers[0].contains("signatures"));
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "{answers:?}"
    );
}

#[test]
fn signatures_in_cms_are_over_the_digests_that_were_confirmed() {
    let world = World::new();
    let token = world.credential_token(&world.bank, &["contract", "annex"]);
    let digests = |texts: &[&str], format: &str, property: Option<&str>| {
        let hashes: Vec<String> = texts
            .iter()
            .map(|text| csc::to_base64(&hash(text)))
            .collect();
        let mut one = json!({
            "hashes": hashes,
            "hashAlgorithmOID": csc::SHA256,
            "signature_format": format,
            "conformance_level": "AdES-B-B",
            "signAlgo": csc::ECDSA_WITH_SHA256,
        });
        if let Some(property) = property {
            one["signed_envelope_property"] = property.into();
        }
        one
    };
    let sign = |digests: Vec<Value>| {
        let body = json!({ "credentialID": world.credential, "documentDigests": digests });
        world.csc(&token, "signatures/signDoc", &body)
    };
    for (wrong, words) in [
        (vec![digests(&["contract"], "P", None)], "not authorized"),
        (
            vec![digests(&["other", "annex"], "P", None)],
            "not authorized",
        ),
        (vec![digests(&["contract"], "X", None)], "signature_format"),
        (
            vec![digests(&["contract"], "C", Some("Attached"))],
            "signed_envelope_property",
        ),
        (vec![], "Empty documentDigests"),
    ] {
        let refused = words_of(&sign(wrong));
        assert!(refused.contains(words), "{words}: {refused}");
    }
    let good = || {
        vec![
            digests(&["contract"], "P", Some("Revision")),
            digests(&["annex"], "C", Some("Detached")),
        ]
    };
    let signed = value(&sign(good()));
    assert_eq!(value(&sign(good())), signed, "asked again, the same");
    let signatures = signed["SignatureObject"].as_array().unwrap();
    assert_eq!(signatures.len(), 2);
    for (signature, text) in signatures.iter().zip(["contract", "annex"]) {
        let der = csc::from_base64(signature.as_str().unwrap()).unwrap();
        let signature = pki::cms::Signature::decode(&der).unwrap();
        let digest = |text: &str| pki::Digest::from_bytes(&hash(text)).unwrap();
        let verified = signature.verify(&digest(text)).unwrap();
        assert!(signature.verify(&digest("other")).is_err());
        assert!(
            verified
                .certificate()
                .is_issued_by(world.authority.certificate())
        );
    }
    // The same authorisation gives no values of another form.
    let raw = world.csc(
        &token,
        "signatures/signHash",
        &world.sign_body(&["contract", "annex"]),
    );
    assert!(words(&raw).contains("not authorized"));
}

fn words_of(reply: &signing_server::Reply) -> String {
    assert_ne!(reply.status(), 200, "{}", reply.body());
    words(reply)
}

/// What `info` says is what is there.
#[test]
fn the_service_says_what_it_offers() {
    let world = World::new();
    let ask = |body: &str| value(&world.call(&Method::POST, "/csc/v2/info", &[], body));
    let info = ask("{}");
    assert_eq!(info["specs"], "2.0.0.2");
    assert_eq!(info["oauth2"], ORIGIN);
    assert_eq!(info["authType"], json!(["oauth2client"]));
    assert_eq!(ask("{\"lang\":\"ru-RU\"}")["name"], "Электронная подпись");
    for method in info["methods"].as_array().unwrap() {
        let method = method.as_str().unwrap();
        let path = match method.strip_prefix("oauth2/") {
            Some(_) => format!("/{method}"),
            None => format!("/csc/v2/{method}"),
        };
        let verb = if method == "oauth2/authorize" {
            Method::GET
        } else {
            Method::POST
        };
        let status = world.call(&verb, &path, &[], "{}").status();
        assert!(status == 400 || status == 401, "{method}: {status}");
    }
    let unknown = world.csc(
        &world.service_token(&world.bank),
        "credentials/sendOTP",
        &json!({}),
    );
    assert_eq!(unknown.status(), 501);
    let logo = info["logo"]
        .as_str()
        .unwrap()
        .strip_prefix(ORIGIN)
        .unwrap()
        .to_owned();
    assert_eq!(logo, "/assets/logo.png");
    let metadata = value(&world.call(
        &Method::GET,
        "/.well-known/oauth-authorization-server",
        &[],
        "",
    ));
    assert_eq!(metadata["issuer"], ORIGIN);
    assert_eq!(
        metadata["token_endpoint_auth_methods_supported"],
        json!(["private_key_jwt"])
    );
}

/// The members that the specification's tables call REQUIRED (2.0.0.2, sections 11.1, 11.4, 11.5, 11.10, 8.4.3, 8.4.4, 10.2),
/// with their types; and no member that the tables do not have.
#[test]
fn every_answer_has_the_members_of_the_specification() {
    const STRING: &str = "string";
    type Table = &'static [(&'static str, &'static str, bool)];
    const INFO: Table = &[
        ("specs", STRING, true),
        ("name", STRING, true),
        ("logo", STRING, true),
        ("region", STRING, true),
        ("lang", STRING, true),
        ("description", STRING, true),
        ("authType", "strings", true),
        ("oauth2", STRING, true),
        ("asynchronousOperationMode", "boolean", false),
        ("methods", "strings", true),
        ("validationInfo", "boolean", false),
        ("signAlgorithms", "object", true),
        ("signAlgorithms/algos", "strings", true),
        ("signature_formats", "object", true),
        ("signature_formats/formats", "strings", true),
        ("signature_formats/envelope_properties", "array", true),
        ("conformance_levels", "strings", true),
    ];
    const CREDENTIAL: Table = &[
        ("signatureQualifier", STRING, false),
        ("key", "object", true),
        ("key/status", STRING, true),
        ("key/algo", "strings", true),
        ("key/len", "number", true),
        ("key/curve", STRING, true),
        ("cert", "object", true),
        ("cert/status", STRING, false),
        ("cert/certificates", "strings", true),
        ("cert/issuerDN", STRING, true),
        ("cert/serialNumber", STRING, true),
        ("cert/subjectDN", STRING, true),
        ("cert/validFrom", STRING, true),
        ("cert/validTo", STRING, true),
        ("auth", "object", true),
        ("auth/mode", STRING, true),
        ("SCAL", STRING, false),
        ("multisign", "number", true),
    ];
    const LIST: Table = &[
        ("credentialIDs", "strings", true),
        ("credentialInfos", "array", false),
        ("onlyValid", "boolean", false),
    ];
    const TOKEN: Table = &[
        ("access_token", STRING, true),
        ("token_type", STRING, true),
        ("expires_in", "number", false),
        ("scope", STRING, false),
        ("credentialID", STRING, false),
        ("authorization_details", "array", false),
    ];
    fn is(value: &Value, kind: &str) -> bool {
        match kind {
            "string" => value.is_string(),
            "number" => value.is_u64(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            "array" => value.is_array(),
            _ => value
                .as_array()
                .is_some_and(|list| list.iter().all(Value::is_string)),
        }
    }
    fn check(value: &Value, table: Table, above: &str) {
        for (name, member) in value.as_object().unwrap() {
            let path = format!("{above}{name}");
            let row = table.iter().find(|(known, ..)| *known == path);
            let (_, kind, _) = row.unwrap_or_else(|| panic!("{path} is not in the table"));
            assert!(is(member, kind), "{path}: {member}");
            if *kind == "object" {
                check(member, table, &format!("{path}/"));
            }
        }
        if above.is_empty() {
            for (path, _, required) in table {
                let pointer = format!("/{path}");
                assert!(
                    !required || value.pointer(&pointer).is_some(),
                    "{path} is missing"
                );
            }
        }
    }
    let world = World::new();
    check(
        &value(&world.call(&Method::POST, "/csc/v2/info", &[], "{}")),
        INFO,
        "",
    );
    let service = world.service_token(&world.bank);
    let all = json!({
        "userID": PERSON, "credentialInfo": true, "certificates": "chain", "certInfo": true,
        "authInfo": true, "onlyValid": true, "clientData": "x",
    });
    let list = value(&world.csc(&service, "credentials/list", &all));
    check(&list, LIST, "");
    let mut listed = list["credentialInfos"][0].clone();
    assert_eq!(
        listed.as_object_mut().unwrap().remove("credentialID"),
        Some(world.credential.clone().into())
    );
    check(&listed, CREDENTIAL, "");
    let wanted = json!({
        "credentialID": world.credential, "certificates": "chain", "certInfo": true, "authInfo": true,
    });
    let info = value(&world.csc(&service, "credentials/info", &wanted));
    check(&info, CREDENTIAL, "");
    assert_eq!(info, listed);
    let times =
        ["validFrom", "validTo"].map(|name| info["cert"][name].as_str().unwrap().to_owned());
    assert!(
        times
            .iter()
            .all(|time| time.len() == 15 && time.ends_with('Z')),
        "{times:?}"
    );
    let answer = world
        .brought(&world.bank, &["contract"])
        .sign(&world.person);
    let code = parameter(&answer, "code").unwrap();
    check(&value(&world.redeem(&world.bank, &code, &[])), TOKEN, "");
    let parameters = [("grant_type", "client_credentials")];
    check(
        &value(&world.post(&world.bank, "/oauth2/token", &parameters)),
        TOKEN,
        "",
    );
    let error = value(&world.csc(&service, "credentials/info", &json!({})));
    check(
        &error,
        &[("error", STRING, true), ("error_description", STRING, true)],
        "",
    );
}
