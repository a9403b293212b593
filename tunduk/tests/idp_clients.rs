//! Relying parties that prove themselves by certificates (RFC 8705), and a kiosk: the real binary over real HTTPS, from the
//! pushed request to userinfo. The certificates are made by `openssl`, as a bank's own authority would make them.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod idp_site;

use std::process::Command;

use http::{Method, StatusCode};
use idp_site::{Answer, Browser, CARD_NAME, Site, encode, named, p256, signing_key};
use pki::issue::{Profile, Template};
use pki::{Certificate, Signer as _, SoftwareKey};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use transport::TlsIdentity;

const REDIRECT: &str = "https://bank.example/back";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const SUBJECT: &str = "/C=KG/O=Банк, ЖЧК/CN=client";
/// What the certificates of clients hold beside the subject.
const NAMES: &str =
    "DNS:client.bank.example,URI:https://bank.example/client,IP:192.0.2.7,email:it@bank.example";

fn openssl(site: &Site, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    let output = command
        .args(arguments)
        .current_dir(site.folder.path())
        .output()
        .expect("the program `openssl` is needed: install the package openssl");
    assert!(output.status.success(), "{arguments:?} {output:?}");
}

const NEW_KEY: [&str; 7] = [
    "req", "-x509", "-utf8", "-nodes", "-newkey", "ec", "-pkeyopt",
];

/// An authority of banks, in `NAME.pem` and `NAME.key`.
fn authority(site: &Site, name: &str) {
    let config = "[req]\ndistinguished_name = dn\n[dn]\n";
    std::fs::write(site.path("openssl.cnf"), config).unwrap();
    let (pem, key, subject) = (
        format!("{name}.pem"),
        format!("{name}.key"),
        "/C=KG/CN=Authority of banks",
    );
    let rest = [
        "ec_paramgen_curve:P-256",
        "-config",
        "openssl.cnf",
        "-subj",
        subject,
        "-out",
        &pem,
        "-keyout",
        &key,
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign",
    ];
    openssl(site, &[&NEW_KEY[..], &rest].concat());
}

/// A certificate for TLS clients from an authority, with these names.
fn client_certificate(
    site: &Site,
    by: &str,
    subject: &str,
    names: &str,
    purpose: &str,
) -> (TlsIdentity, Certificate) {
    let (ca, ca_key) = (format!("{by}.pem"), format!("{by}.key"));
    let names = format!("subjectAltName={names}");
    let purpose = format!("extendedKeyUsage={purpose}");
    let rest = [
        "ec_paramgen_curve:P-256",
        "-config",
        "openssl.cnf",
        "-subj",
        subject,
        "-out",
        "c.pem",
        "-keyout",
        "c.key",
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-days",
        "30",
        "-addext",
        &names,
        "-addext",
        &purpose,
        "-addext",
        "basicConstraints=CA:FALSE",
        "-addext",
        "keyUsage=critical,digitalSignature",
    ];
    openssl(site, &[&NEW_KEY[..], &rest].concat());
    let pem = std::fs::read(site.path("c.pem")).unwrap();
    let key = std::fs::read(site.path("c.key")).unwrap();
    (
        TlsIdentity::from_pem(&pem, &key).unwrap(),
        Certificate::from_pem(pem).unwrap(),
    )
}

fn bound_to(certificate: &Certificate) -> Value {
    json!({ "x5t#S256": jose::sha256_base64url(certificate.der()) })
}

fn site_for_certificates(more: &str) -> Site {
    let site = Site::new("sandbox", "");
    let settings = format!(
        "[card]\naddress = \"https://{CARD_NAME}:{port}\"\nlisten = \"{address}:{port}\"\n{more}",
        port = site.card_port,
        address = site.address,
    );
    site.configure("sandbox", &settings);
    site
}

/// Takes a relying party in; gives its `client_id`.
fn admit(site: &Site, more: &str) -> String {
    let registration = format!(
        "names = {{ en = \"Bank\" }}\norganisation = \"Bank\"\ncontact = \"a@bank.example\"\nsector = \"bank.example\"\n\
         redirect_uris = [\"{REDIRECT}\"]\nfapi = true\n{more}\n[purposes.openid]\nen = \"to sign in\"\n\
         [purposes.offline_access]\nen = \"to stay signed in\"\n",
    );
    std::fs::write(site.path("client.toml"), registration).unwrap();
    let path = site.path("client.toml");
    let id = site.output(&["client", "add"], &[path.to_str().unwrap()]);
    id.trim().to_owned()
}

/// What a relying party calls at the address for certificates.
async fn call(peer: &mut Browser, site: &Site, path: &str, parameters: &[(&str, &str)]) -> Answer {
    let url = format!("https://{CARD_NAME}:{}{path}", site.card_port);
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    peer.send(Method::POST, &url, &kind, encode(parameters))
        .await
}

async fn push(peer: &mut Browser, site: &Site, id: &str) -> Answer {
    let asked = [
        ("client_id", id),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid offline_access"),
        ("state", "s"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    call(peer, site, "/oauth2/par", &asked).await
}

/// The person's browser brings the request and allows what it asks for; gives the code.
async fn code(person: &mut Browser, peer: &mut Browser, site: &Site, id: &str) -> String {
    let pushed = push(peer, site, id).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    let pushed = pushed.json();
    let request = [
        ("client_id", id),
        ("request_uri", pushed["request_uri"].as_str().unwrap()),
    ];
    let brought = person
        .get(&format!("/oauth2/authorize?{}", encode(&request)))
        .await;
    let back = if brought.location() == "/continue" {
        let page = person.get("/continue").await;
        let request = page.field("request");
        let fields = [
            ("request", request.as_str()),
            ("decision", "allow"),
            ("scope-offline_access", "yes"),
        ];
        person.post("/consent", &fields).await
    } else {
        brought
    };
    let place = back.location();
    assert!(place.starts_with(&format!("{REDIRECT}?code=")), "{place}");
    let rest = place.split_once("code=").unwrap().1;
    rest.split('&').next().unwrap().to_owned()
}

async fn redeem(peer: &mut Browser, site: &Site, id: &str, code: &str) -> Answer {
    let asked = [
        ("client_id", id),
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    call(peer, site, "/oauth2/token", &asked).await
}

async fn refresh(peer: &mut Browser, site: &Site, id: &str, tokens: &Value) -> Answer {
    let asked = [
        ("client_id", id),
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    call(peer, site, "/oauth2/token", &asked).await
}

async fn userinfo(peer: &mut Browser, address: &str, tokens: &Value) -> Answer {
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let url = format!("{address}/oauth2/userinfo");
    peer.send(Method::GET, &url, &headers, String::new()).await
}

#[track_caller]
fn refused(answer: &Answer, error: &str) {
    assert!(!answer.status.is_success(), "{answer:?}");
    assert_eq!(answer.json()["error"], error, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_worth_nothing_without_the_certificate_that_got_them() {
    let mut site = site_for_certificates("client_authorities = \"banks.pem\"\n");
    authority(&site, "banks");
    let issued = |subject: &str| client_certificate(&site, "banks", subject, NAMES, "clientAuth");
    let (mine, my_certificate) = issued(SUBJECT);
    let (renewed, renewed_certificate) = issued(SUBJECT);
    let (others, _) = issued("/C=KG/O=Other/CN=client");
    // A certificate that nobody signed but the client itself, by its registered key.
    let key = p256();
    let own = idp_site::Authority::new("Bank itself");
    let self_made = own.issue(named("bank"), &key, Profile::Authentication);
    let self_signed = identity(&self_made, &key);
    let jwk = jose::Jwk::from_public_key(key.public_key()).unwrap();
    let keys = json!({ "keys": [jwk.to_value()] }).to_string();
    std::fs::write(site.path("bank.jwks"), keys).unwrap();
    let by_name = "tls_name = { subject_dn = \"CN=Client, O=банк\\\\,  жчк, C=kg\" }";
    let by_name = admit(&site, by_name);
    let by_key = admit(&site, "tls_key = true\nkeys = \"bank.jwks\"");
    let other = admit(
        &site,
        "tls_name = { subject_dn = \"CN=client,O=Other,C=KG\" }",
    );
    site.start();
    let mut person = Browser::new(&site);
    person.sign_up(&site, "aizada@example.kg").await;
    let certificates_at = format!("https://{CARD_NAME}:{}", site.card_port);
    let mut stranger = Browser::with(&site, Some(&others));
    let mut bare = Browser::new(&site);
    for (id, identity, certificate) in [
        (&by_name, &mine, &my_certificate),
        (&by_key, &self_signed, &self_made),
    ] {
        let mut bank = Browser::with(&site, Some(identity));
        let given = code(&mut person, &mut bank, &site, id).await;
        // A code that was overheard is for its own client only, which nobody else is.
        refused(
            &redeem(&mut stranger, &site, id, &given).await,
            "invalid_client",
        );
        refused(
            &redeem(&mut bare, &site, id, &given).await,
            "invalid_client",
        );
        refused(
            &redeem(&mut stranger, &site, &other, &given).await,
            "invalid_grant",
        );
        let tokens = redeem(&mut bank, &site, id, &given).await;
        assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
        let tokens = tokens.json();
        assert_eq!(tokens["token_type"], "Bearer");
        let token = tokens["access_token"].as_str().unwrap();
        let asked = [("client_id", id.as_str()), ("token", token)];
        let about = call(&mut bank, &site, "/oauth2/introspect", &asked)
            .await
            .json();
        assert_eq!(
            (&about["active"], &about["cnf"]),
            (&json!(true), &bound_to(certificate))
        );
        let info = userinfo(&mut bank, &certificates_at, &tokens).await;
        assert_eq!(info.status, StatusCode::OK, "{info:?}");
        assert_eq!(info.json()["sub"], about["sub"]);
        // A stolen access token: with another certificate, with none, and where none is asked for.
        for thief in [&mut stranger, &mut bare] {
            refused(
                &userinfo(thief, &certificates_at, &tokens).await,
                "invalid_token",
            );
            refused(
                &userinfo(thief, &site.issuer(), &tokens).await,
                "invalid_token",
            );
        }
        refused(
            &userinfo(&mut bank, &site.issuer(), &tokens).await,
            "invalid_token",
        );
        // A stolen refresh token, and that it was tried does not harm its owner.
        refused(
            &refresh(&mut stranger, &site, id, &tokens).await,
            "invalid_client",
        );
        refused(
            &refresh(&mut bare, &site, id, &tokens).await,
            "invalid_client",
        );
        refused(
            &refresh(&mut stranger, &site, &other, &tokens).await,
            "invalid_grant",
        );
        let newer = refresh(&mut bank, &site, id, &tokens).await;
        assert_eq!(newer.status, StatusCode::OK, "{newer:?}");
        let newer = newer.json();
        let info = userinfo(&mut bank, &certificates_at, &newer).await;
        assert_eq!(info.status, StatusCode::OK, "{info:?}");
        if id == &by_key {
            continue;
        }
        // With its next certificate the client is the same, and its new tokens are bound to that one.
        let mut bank = Browser::with(&site, Some(&renewed));
        refused(
            &userinfo(&mut bank, &certificates_at, &newer).await,
            "invalid_token",
        );
        let newest = refresh(&mut bank, &site, id, &newer).await.json();
        let asked = [
            ("client_id", id.as_str()),
            ("token", newest["access_token"].as_str().unwrap()),
        ];
        let about = call(&mut bank, &site, "/oauth2/introspect", &asked)
            .await
            .json();
        assert_eq!(about["cnf"], bound_to(&renewed_certificate));
        let info = userinfo(&mut bank, &certificates_at, &newest).await;
        assert_eq!(info.status, StatusCode::OK, "{info:?}");
    }
    site.stop();
}

fn identity(certificate: &Certificate, key: &SoftwareKey) -> TlsIdentity {
    TlsIdentity::new(&[certificate.der()], &key.to_pkcs8_der().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_known_by_one_name_in_a_certificate_of_a_known_authority() {
    let mut site = site_for_certificates("client_authorities = \"known.pem\"\n");
    for name in ["banks", "forged"] {
        authority(&site, name);
    }
    // Two authorities are known; the other of the same name is not.
    let ours = idp_site::Authority::new("Second authority");
    let banks = std::fs::read_to_string(site.path("banks.pem")).unwrap();
    let known = format!("{banks}{}", ours.certificate.to_pem());
    std::fs::write(site.path("known.pem"), known).unwrap();
    let names = [
        (
            "subject_dn",
            "CN=client,O=Банк\\\\, ЖЧК,C=KG",
            "CN=client2,O=Банк\\\\, ЖЧК,C=KG",
        ),
        ("san_dns", "Client.Bank.example", "bank.example"),
        (
            "san_uri",
            "https://bank.example/client",
            "https://bank.example/client/",
        ),
        ("san_ip", "192.0.2.7", "192.0.2.70"),
        ("san_email", "it@BANK.example", "IT@bank.example"),
    ];
    let mut clients = Vec::new();
    for (kind, right, wrong) in names {
        let admitted = [right, wrong]
            .map(|name| admit(&site, &format!("tls_name = {{ {kind} = \"{name}\" }}")));
        clients.push((kind, admitted));
    }
    for wrong in [
        "tls_name = { san_dns = \"*.bank.example\" }",
        "tls_name = { subject_dn = \"client\" }",
        "tls_name = { san_dns = \"a.example\", san_ip = \"192.0.2.7\" }",
        "tls_name = { san_dns = \"a.example\" }\ntls_key = true",
    ] {
        let path = site.path("client.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let (head, tail) = text.split_once("tls_name").unwrap();
        let tail = tail.split_once('\n').unwrap().1;
        std::fs::write(&path, format!("{head}{wrong}\n{tail}")).unwrap();
        let output = site.run(&["client", "add"], &[path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{wrong}");
        std::fs::write(&path, text).unwrap();
    }
    site.start();
    let (right, certificate) = client_certificate(&site, "banks", SUBJECT, NAMES, "clientAuth");
    let mut bank = Browser::with(&site, Some(&right));
    let offered = bank.get("/.well-known/openid-configuration").await.json();
    let methods = &offered["token_endpoint_auth_methods_supported"];
    assert_eq!(
        methods,
        &json!([
            "private_key_jwt",
            "self_signed_tls_client_auth",
            "tls_client_auth"
        ])
    );
    for (kind, [right, wrong]) in &clients {
        let pushed = push(&mut bank, &site, right).await;
        assert_eq!(pushed.status, StatusCode::CREATED, "{kind} {pushed:?}");
        refused(&push(&mut bank, &site, wrong).await, "invalid_client");
    }
    // The right names, in certificates that prove nothing.
    let now = OffsetDateTime::now_utc();
    let of_ours = |from: Duration, to: Duration, profile: Profile| {
        let key = p256();
        let template = Template {
            subject: certificate.subject().clone(),
            public_key: key.public_key().clone(),
            serial: vec![1; 16],
            not_before: now + from,
            not_after: now + to,
            profile,
            ocsp_url: None,
        };
        identity(&ours.sign(&template), &key)
    };
    let hour = Duration::HOUR;
    let good = of_ours(-hour, hour, Profile::Authentication);
    let by_subject = &clients[0].1[0];
    let mut peer = Browser::with(&site, Some(&good));
    assert_eq!(
        push(&mut peer, &site, by_subject).await.status,
        StatusCode::CREATED
    );
    for (what, identity) in [
        (
            "another authority",
            client_certificate(&site, "forged", SUBJECT, NAMES, "clientAuth").0,
        ),
        (
            "for servers",
            client_certificate(&site, "banks", SUBJECT, NAMES, "serverAuth").0,
        ),
        (
            "expired",
            of_ours(-hour * 2, -hour, Profile::Authentication),
        ),
        ("not yet", of_ours(hour, hour * 2, Profile::Authentication)),
        ("for signatures", of_ours(-hour, hour, Profile::Signing)),
        ("an authority", of_ours(-hour, hour, Profile::Authority)),
    ] {
        let mut peer = Browser::with(&site, Some(&identity));
        let answer = push(&mut peer, &site, by_subject).await;
        assert_eq!(answer.json()["error"], "invalid_client", "{what}");
    }
    let mut bare = Browser::new(&site);
    refused(&push(&mut bare, &site, by_subject).await, "invalid_client");
    site.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kiosk_gets_tokens_once_somebody_chose_its_number_on_a_phone() {
    let mut site = Site::new("sandbox", "");
    let (key, dpop) = (signing_key(), signing_key());
    let keys = json!({ "keys": [key.public().to_value()] }).to_string();
    std::fs::write(site.path("kiosk.jwks"), keys).unwrap();
    let id = admit(&site, "keys = \"kiosk.jwks\"\ndevice_flow = true");
    site.start();
    let mut phone = Browser::new(&site);
    phone.sign_up(&site, "aizada@example.kg").await;
    let mut kiosk = Browser::new(&site);
    let mut nonce: Option<String> = None;
    let mut count = 0;
    let issuer = site.issuer();
    let mut ask = async |path: &str, parameters: &[(&str, &str)]| {
        loop {
            count += 1;
            let now = OffsetDateTime::now_utc();
            let proof =
                oauth2::client_authentication(&key, &id, &issuer, &format!("a{count}"), now)
                    .unwrap();
            let mut all: Vec<(&str, &str)> = parameters.to_vec();
            all.extend(proof.iter().map(|(name, value)| (*name, value.as_str())));
            let url = format!("{issuer}{path}");
            let proof = oauth2::dpop_proof(
                &dpop,
                "POST",
                &url,
                None,
                nonce.as_deref(),
                &format!("d{count}"),
                now,
            );
            let proof = proof.unwrap();
            let headers = [
                ("content-type", "application/x-www-form-urlencoded"),
                ("dpop", proof.as_str()),
            ];
            let answer = kiosk.send(Method::POST, path, &headers, encode(&all)).await;
            let given = answer.headers["dpop-nonce"].to_str().unwrap().to_owned();
            if answer.json()["error"] != "use_dpop_nonce" {
                return answer;
            }
            assert_eq!(nonce.replace(given), None, "a nonce of now is taken");
        }
    };
    let begun = ask("/oauth2/device", &[("scope", "openid offline_access")])
        .await
        .json();
    let text = |name: &str| begun[name].as_str().unwrap().to_owned();
    let (code, user_code) = (text("device_code"), text("user_code"));
    let polled = [
        ("grant_type", oauth2::TokenRequest::DEVICE),
        ("device_code", code.as_str()),
    ];
    refused(
        &ask("/oauth2/token", &polled).await,
        "authorization_pending",
    );
    refused(&ask("/oauth2/token", &polled).await, "slow_down");
    // On the phone the person types the code and chooses the number that the kiosk shows.
    assert_eq!(phone.get("/device").await.status, StatusCode::OK);
    let typed = format!("{} {}", &user_code[..4], user_code[4..].to_lowercase());
    let page = phone.post("/device", &[("user_code", &typed)]).await;
    let number = begun["number"].to_string();
    assert!(
        page.body.contains(&format!("value=\"{number}\"")),
        "{}",
        page.body
    );
    assert!(page.body.contains("Bank"), "{}", page.body);
    let typed = page.field("user_code");
    let chosen = phone
        .post(
            "/device/answer",
            &[("user_code", &typed), ("number", &number)],
        )
        .await;
    assert!(
        chosen.status.is_success() || chosen.status.is_redirection(),
        "{chosen:?}"
    );
    let tokens = ask("/oauth2/token", &polled).await;
    assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
    let tokens = tokens.json();
    assert_eq!(tokens["token_type"], "DPoP");
    assert!(tokens["id_token"].is_string() && tokens["refresh_token"].is_string());
    refused(&ask("/oauth2/token", &polled).await, "expired_token");
    let about = ask(
        "/oauth2/introspect",
        &[("token", tokens["access_token"].as_str().unwrap())],
    )
    .await
    .json();
    assert_eq!(about["acr"], "http://eidas.europa.eu/LoA/low");
    assert_eq!(about["cnf"], json!({ "jkt": dpop.public().thumbprint() }));
    site.stop();
}
