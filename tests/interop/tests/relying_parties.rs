//! The identity provider, used by relying parties that are made with libraries of other people. The provider answers on
//! loopback; its pages, which are not part of the protocol, are played by a page that says yes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use id_registry::{PersonalNumber, Sex, Theme};
use idp_server::oauth::{
    CONTINUE_PAGE, Call, INTERACTION_COOKIE, Keys, Oauth, PersonClaims, SESSION_COOKIE,
};
use interop::{node, run, script};
use jose::SigningKey;
use oidc_provider::*;
use pki::{DigestAlgorithm, KeyType, SignatureAlgorithm, SoftwareKey};
use serde_json::{Map, Value, json};
use time::{Date, OffsetDateTime};
use transport::{Body, HttpClient, PoolLimits, RequestOptions, ServeLimits};

const REDIRECT: &str = "https://bank.example/back";
const AFTER_LOGOUT: &str = "https://bank.example/bye";

struct Nothing;

impl Relations for Nothing {
    fn may_act(
        &self,
        _: PersonalNumber,
        _: PersonalNumber,
        _: Theme,
        _: Date,
    ) -> Result<bool, StoreError> {
        Ok(false)
    }
}

impl PersonClaims for Nothing {
    fn claims(
        &self,
        _: &PersonalNumber,
        _: &BTreeSet<String>,
    ) -> Result<Map<String, Value>, StoreError> {
        Ok(Map::new())
    }
}

fn seed() -> Seed {
    let mut random = [0; 32];
    getrandom::fill(&mut random).expect("random bytes");
    Seed::new(random)
}

fn key() -> (SigningKey, String) {
    let key = SoftwareKey::generate(KeyType::EcP256).expect("a key");
    let pkcs8 = key.to_pkcs8_der().expect("its form");
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    let key = key.with_algorithm(algorithm).expect("ES256");
    let text = padded_base64(&pkcs8);
    (SigningKey::new(Arc::new(key)).expect("a signing key"), text)
}

fn padded_base64(bytes: &[u8]) -> String {
    let url_safe = jose::to_base64url(bytes)
        .replace('-', "+")
        .replace('_', "/");
    let padding = (4 - url_safe.len() % 4) % 4;
    format!("{url_safe}{}", "=".repeat(padding))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .expect("a free port")
}

/// The page on which the person allows everything.
fn allow(oauth: &Oauth, request: &Request<Body>) -> Response<Body> {
    let call = Call {
        method: request.method(),
        path: CONTINUE_PAGE,
        query: "",
        headers: request.headers(),
        body: "",
        certificate: None,
        now: OffsetDateTime::now_utc(),
        seed: seed(),
    };
    let provider = oauth.provider();
    let session = call.cookie(SESSION_COOKIE).expect("a session");
    let secret = call.cookie(INTERACTION_COOKIE).expect("an interaction");
    let who = provider.session(&session, call.now).expect("signed in");
    let found = provider
        .interaction(&secret, Some(&who), call.now)
        .expect("a request");
    let answer = provider
        .allow(
            &secret,
            &who,
            &found.asked.scopes,
            None,
            call.now,
            &call.seed,
        )
        .expect("allowed");
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, oauth.answer_location(&answer))
        .body(Body::empty())
        .expect("an answer")
}

/// Starts an issuer with a person who is signed in at the level high and a bank under the rules of FAPI 2.0; runs the
/// relying party with its settings; gives what it printed.
fn with_issuer(program: impl FnOnce(&std::path::Path) -> Command) -> String {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind(SocketAddr::from((
            [127, 0, 0, 1],
            0,
        ))))
        .expect("a port");
    let issuer = format!("http://{}", listener.local_addr().expect("its address"));
    let store = Arc::new(MemoryStore::default());
    let provider = Provider::new(store, Arc::new(Nothing), &[1; 32]);
    let now = OffsetDateTime::now_utc();
    let born = Date::from_calendar_date(1990, time::Month::May, 17).expect("a date");
    let card = CardHolder {
        number: PersonalNumber::compose(Sex::Female, born, 7),
        tenant: Tenant::Sandbox,
    };
    let origin = Origin {
        network: "127.0.0.0/24".to_owned(),
        device: None,
        label: "script".to_owned(),
    };
    let session = provider
        .sign_in_with_card(card, &origin, None, now, &seed())
        .expect("signed in")
        .session;
    let who = provider.session(&session, now).expect("a session");
    let (client_key, client_pem) = key();
    let logout_port = free_port();
    let words = BTreeMap::from([("en".to_owned(), "to open an account".to_owned())]);
    let scopes = ["openid", "offline_access", "profile", "number"];
    let form = ClientForm {
        names: BTreeMap::from([("en".to_owned(), "Bank".to_owned())]),
        organisation: "Bank of Examples".to_owned(),
        contact: "admin@bank.example".to_owned(),
        sector: "bank.example".to_owned(),
        redirect_uris: BTreeSet::from([REDIRECT.to_owned()]),
        after_logout_uris: BTreeSet::from([AFTER_LOGOUT.to_owned()]),
        logout_uri: Some(format!("http://127.0.0.1:{logout_port}/logout")),
        authentication: ClientAuthentication::PrivateKeyJwt,
        keys: json!({ "keys": [client_key.public().to_value()] }).to_string(),
        profile: Profile::Fapi2,
        purposes: scopes.map(|scope| (scope.to_owned(), words.clone())).into(),
        level: Level::Low,
        device_flow: true,
        theme: None,
    };
    let client = provider
        .register_client(&who, &form, &seed())
        .expect("a client");
    let keys = Keys {
        active: key().0,
        published: vec![key().0.public().clone()],
    };
    let oauth = Arc::new(Oauth::new(
        provider,
        Arc::new(Nothing),
        issuer.clone(),
        keys,
    ));
    let server = Arc::clone(&oauth);
    runtime.spawn(transport::serve_http(
        listener,
        move |request: Request<Body>, connection: Arc<transport::Connection>| {
            let oauth = Arc::clone(&server);
            async move {
                match Arc::clone(&oauth).handle(request, &connection).await {
                    Ok(response) => response,
                    Err(request) if request.uri().path() == CONTINUE_PAGE => {
                        allow(&oauth, &request)
                    }
                    Err(_) => Response::new(Body::empty()),
                }
            }
        },
        ServeLimits::default(),
        std::future::pending::<()>(),
    ));
    let http = HttpClient::new(PoolLimits::default()).expect("a client");
    let messenger = oauth;
    runtime.spawn(async move {
        loop {
            let options = RequestOptions::default().with_total(Duration::from_secs(2));
            Arc::clone(&messenger)
                .send_logouts(&http, &options)
                .await
                .expect("the store answers");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("settings.json");
    let text = json!({
        "issuer": issuer,
        "client": client.as_str(),
        "key": client_pem,
        "kid": client_key.public().kid(),
        "redirect_uri": REDIRECT,
        "after_logout": AFTER_LOGOUT,
        "logout_port": logout_port,
        "session": session.expose(),
        "number": card.number.as_str(),
    });
    std::fs::write(&settings, text.to_string()).expect("written");
    let printed = run(&mut program(&settings));
    runtime.shutdown_background();
    printed
}

#[test]
#[ignore = "needs Node and its packages: cargo xtask test"]
fn openid_client_signs_in_and_its_attacks_fail() {
    let printed = with_issuer(|settings| {
        let mut command = node("relying_party.mjs");
        command.arg(settings);
        command
    });
    assert!(printed.ends_with("done\n"), "{printed}");
    let refused = printed
        .lines()
        .filter(|line| line.starts_with("refused "))
        .count();
    assert_eq!(refused, 13, "{printed}");
}

#[test]
#[ignore = "needs Python packages: cargo xtask test"]
fn authlib_signs_in_and_its_attacks_fail() {
    let printed = with_issuer(|settings| {
        let mut command = script("relying_party.py");
        command.arg(settings);
        command
    });
    assert!(printed.ends_with("done\n"), "{printed}");
    assert!(printed.contains("nonce wanted\n"), "{printed}");
    let refused = printed
        .lines()
        .filter(|line| line.starts_with("refused "))
        .count();
    assert_eq!(refused, 4, "{printed}");
}
