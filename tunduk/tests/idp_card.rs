//! Identity cards, clients with certificates, and word to the signing service: the real binary over real HTTPS.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod idp_site;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use idp_site::{
    Authority, Browser, CARD_NAME, NAME, SIGN_NAME, Site, encode, eventually, named, p256, pem,
    secret,
};
use pki::{AttributeType, KeyType, Name, Signer as _, SoftwareKey};
use serde_json::{Value, json};
use transport::{Body, ClientCertificates, Request, Response, ServeLimits, ServerTls, TlsIdentity};
use trust_server::{NewTrustStore, Profile, RevocationReason, TrustServerSettings, TrustStore};

const NUMBER: &str = "21705199000017";

fn holder(number: &str) -> Name {
    Name::builder()
        .push(AttributeType::CommonName, "Айзада Асанова")
        .push(AttributeType::SerialNumber, format!("PNOKG-{number}"))
        .build()
        .unwrap()
}

fn identity(certificate: &pki::Certificate, key: &SoftwareKey) -> TlsIdentity {
    TlsIdentity::new(&[certificate.der()], &key.to_pkcs8_der().unwrap()).unwrap()
}

/// The authority of identity cards with its responder.
async fn cards(site: &Site) -> (TrustStore, SocketAddr) {
    let new = NewTrustStore::for_instance("KG", KeyType::EcP256).unwrap();
    let store = TrustStore::create(&site.path("cards"), &new).unwrap();
    std::fs::write(site.path("cards.pem"), store.ca_certificate().to_pem()).unwrap();
    let (started, address) = tokio::sync::oneshot::channel();
    let settings =
        TrustServerSettings::new(store.path().to_owned(), "127.0.0.1:0".parse().unwrap());
    tokio::spawn(trust_server::run(
        settings,
        std::future::pending(),
        |address| started.send(address).unwrap(),
    ));
    (store, address.await.unwrap())
}

fn with_cards(site: &Site, responder: SocketAddr) -> String {
    format!(
        "[card]\naddress = \"https://{CARD_NAME}:{port}\"\nlisten = \"{address}:{port}\"\n\
         authorities = \"cards.pem\"\nocsp = \"http://{responder}/ocsp\"\n",
        port = site.card_port,
        address = site.address,
    )
}

fn card_address(site: &Site) -> String {
    format!("https://{CARD_NAME}:{}", site.card_port)
}

/// Shows the card, as a browser follows the redirections; gives the last answer.
async fn show_card(browser: &mut Browser) -> idp_site::Answer {
    let sent = browser.get("/sign-in/card").await;
    assert_eq!(sent.status, 303, "{sent:?}");
    let back = browser.get(sent.location()).await;
    assert_eq!(back.status, 303, "{back:?}");
    browser.get(back.location()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_signs_its_holder_in_and_no_other_certificate_does() {
    let mut site = Site::new("people", "");
    let (store, responder) = cards(&site).await;
    site.configure("people", &with_cards(&site, responder));
    site.start();
    let key = p256();
    let card = store
        .issue(Profile::Authentication, holder(NUMBER), key.public_key())
        .unwrap();
    let mut browser = Browser::with(&site, Some(&identity(&card, &key)));
    let page = browser.get("/sign-in").await;
    assert!(page.body.contains("/sign-in/card"), "{}", page.body);
    let entered = show_card(&mut browser).await;
    assert_eq!(
        (entered.status, entered.location()),
        (StatusCode::SEE_OTHER, "/account")
    );
    let account = browser.get("/account").await;
    assert!(account.body.contains(NUMBER), "{}", account.body);

    // A code is for the browser that was sent, and once.
    let sent = browser.get("/sign-in/card").await;
    let back = browser.get(sent.location()).await;
    let mut thief = Browser::new(&site);
    thief.get("/sign-in/card").await;
    let stolen = thief.get(back.location()).await;
    assert_eq!(stolen.status, 400, "{stolen:?}");
    assert!(!thief.cookies[NAME].contains_key("__Host-session"));
    let again = browser.get(back.location()).await;
    assert_eq!(again.status, 400, "it was taken by the attempt to steal it");

    // Certificates that are no identity card of this country's authority, and cards that do not hold any more.
    let stranger = Authority::new("Stranger");
    let forged = stranger.issue(holder(NUMBER), &key, Profile::Authentication);
    let signing = store
        .issue(
            Profile::Person {
                policies: vec!["1.2.3.4.2.2".to_owned()],
            },
            holder(NUMBER),
            key.public_key(),
        )
        .unwrap();
    let nameless = store
        .issue(Profile::Authentication, named("Айзада"), key.public_key())
        .unwrap();
    let revoked = store
        .issue(
            Profile::Authentication,
            holder("21705199000025"),
            key.public_key(),
        )
        .unwrap();
    store
        .revoke(&revoked, RevocationReason::Unspecified)
        .unwrap();
    for certificate in [&forged, &signing, &nameless, &revoked] {
        let mut browser = Browser::with(&site, Some(&identity(certificate, &key)));
        let refused = show_card(&mut browser).await;
        assert_eq!(refused.status, 400, "{}", certificate.subject().rfc2253());
        assert!(
            refused.body.contains("The card was not accepted"),
            "{}",
            refused.body
        );
        assert!(!browser.cookies[NAME].contains_key("__Host-session"));
    }
    let mut bare = Browser::new(&site);
    assert_eq!(show_card(&mut bare).await.status, 400);

    // Nothing else is at the address of cards.
    let elsewhere = browser
        .get(&format!("{}/account", card_address(&site)))
        .await;
    assert_eq!(elsewhere.status, 404);
    assert!(!site.log().contains(NUMBER), "{}", site.log());
    site.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_certificate_calls_the_other_address() {
    let mut site = Site::new("people", "");
    let (_, responder) = cards(&site).await;
    site.configure("people", &with_cards(&site, responder));
    let (key, other) = (p256(), p256());
    let jwk = jose::Jwk::from_public_key(key.public_key()).unwrap();
    let keys = json!({ "keys": [jwk.to_value()] }).to_string();
    std::fs::write(site.path("bank.jwks"), keys).unwrap();
    let registration = "names = { en = \"Bank\" }\norganisation = \"Bank\"\ncontact = \"a@bank.example\"\n\
        sector = \"bank.example\"\nredirect_uris = [\"https://bank.example/back\"]\nkeys = \"bank.jwks\"\n\
        tls_key = true\nfapi = true\n[purposes.openid]\nen = \"to sign in\"\n";
    std::fs::write(site.path("bank.toml"), registration).unwrap();
    let path = site.path("bank.toml");
    let id = site.output(&["client", "add"], &[path.to_str().unwrap()]);
    site.start();
    let own = Authority::new("Bank");
    let certificate = |key: &SoftwareKey| own.issue(named("bank"), key, Profile::Authentication);
    let mut bank = Browser::with(&site, Some(&identity(&certificate(&key), &key)));
    let offered = bank.get("/.well-known/openid-configuration").await.json();
    let aliases = &offered["mtls_endpoint_aliases"];
    assert_eq!(
        aliases["token_endpoint"],
        format!("{}/oauth2/token", card_address(&site))
    );
    assert_eq!(offered["tls_client_certificate_bound_access_tokens"], true);
    let form = encode(&[
        ("client_id", id.trim()),
        ("response_type", "code"),
        ("redirect_uri", "https://bank.example/back"),
        ("scope", "openid"),
        ("state", "s"),
        (
            "code_challenge",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        ),
        ("code_challenge_method", "S256"),
    ]);
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let place = aliases["pushed_authorization_request_endpoint"]
        .as_str()
        .unwrap();
    let pushed = bank.send(Method::POST, place, &kind, form.clone()).await;
    assert_eq!(pushed.status, 201, "{pushed:?}");
    // Where no certificate is asked for, none is presented, and nobody is believed.
    let plain = bank
        .send(Method::POST, "/oauth2/par", &kind, form.clone())
        .await;
    assert_eq!(
        (plain.status, plain.json()["error"].clone()),
        (StatusCode::UNAUTHORIZED, json!("invalid_client"))
    );
    let mut thief = Browser::with(&site, Some(&identity(&certificate(&other), &other)));
    let refused = thief.send(Method::POST, place, &kind, form).await;
    assert_eq!(refused.json()["error"], "invalid_client");
    site.stop();
}

/// A signing service that notes what it is told, and is out of order until it is mended.
#[derive(Default)]
struct Noted {
    mended: bool,
    assertions: Vec<String>,
    told: Vec<(String, Value)>,
}

async fn signing_service(site: &Site, noted: Arc<Mutex<Noted>>) -> SocketAddr {
    let chain = std::fs::read(site.path("tls.pem")).unwrap();
    let key = std::fs::read(site.path("tls.key")).unwrap();
    let own = TlsIdentity::from_pem(&chain, &key).unwrap();
    let tls = ServerTls::new(&own, ClientCertificates::NotRequested).unwrap();
    let listener = tokio::net::TcpListener::bind((site.address, 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let handler = move |request: Request<Body>, _| {
        let noted = Arc::clone(&noted);
        async move {
            let path = request.uri().path().to_owned();
            let bearer = request.headers().get("authorization").cloned();
            let body = request.into_body().collect(10_000).await.unwrap();
            let mut noted = noted.lock().unwrap();
            let mut response = Response::new(Body::empty());
            if path == "/oauth2/token" {
                let body = String::from_utf8(body.to_vec()).unwrap();
                assert!(body.contains("grant_type=client_credentials"), "{body}");
                noted.assertions.push(body);
                return Response::new(Body::full(
                    "{\"access_token\":\"t\",\"token_type\":\"Bearer\"}",
                ));
            }
            assert_eq!(bearer.unwrap(), "Bearer t");
            if path == "/people/changes" {
                return Response::new(Body::full("{\"changes\":[],\"after\":0}"));
            }
            if noted.mended {
                noted
                    .told
                    .push((path, serde_json::from_slice(&body).unwrap()));
                *response.status_mut() = StatusCode::NO_CONTENT;
            } else {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            response
        }
    };
    let limits = ServeLimits::default();
    tokio::spawn(transport::serve_https(
        listener,
        tls,
        handler,
        limits,
        std::future::pending(),
    ));
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signing_service_hears_of_a_frozen_account_once_it_can() {
    let mut site = Site::new("people", "");
    let (store, responder) = cards(&site).await;
    let noted = Arc::new(Mutex::new(Noted::default()));
    let service = signing_service(&site, Arc::clone(&noted)).await;
    secret(&site.path("idp.key"), &pem(&p256()));
    let settings = format!(
        "[hosts]\n\"{SIGN_NAME}\" = \"{}\"\n{}[signing]\nurl = \"https://{SIGN_NAME}:{}\"\nclient_id = \"idp\"\n\
         key = \"idp.key\"\n",
        site.address,
        with_cards(&site, responder),
        service.port(),
    );
    site.configure("people", &settings);
    site.start();
    let key = p256();
    let card = store
        .issue(Profile::Authentication, holder(NUMBER), key.public_key())
        .unwrap();
    let mut browser = Browser::with(&site, Some(&identity(&card, &key)));
    show_card(&mut browser).await;
    assert_eq!(browser.get("/account/freeze").await.status, 200);
    let frozen = browser.post("/account/freeze", &[]).await;
    assert_eq!(frozen.status, 200, "{frozen:?}");
    eventually("it is tried", async || {
        (!noted.lock().unwrap().assertions.is_empty()).then_some(())
    })
    .await;
    // The word outlives the server.
    site.kill();
    noted.lock().unwrap().mended = true;
    site.start();
    let told = eventually("it is told", async || {
        let told = noted.lock().unwrap().told.clone();
        (!told.is_empty()).then_some(told)
    })
    .await;
    assert_eq!(
        told,
        [("/people/freeze".to_owned(), json!({ "number": NUMBER }))]
    );
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert_eq!(
        noted.lock().unwrap().told.len(),
        1,
        "what was taken is not said again"
    );
    // A new assertion for each token.
    let assertions = noted.lock().unwrap().assertions.clone();
    let distinct: std::collections::BTreeSet<_> = assertions.iter().collect();
    assert_eq!(distinct.len(), assertions.len());
    // And the account is frozen: no card opens it.
    assert_eq!(show_card(&mut browser).await.status, 400);
    site.stop();
}
