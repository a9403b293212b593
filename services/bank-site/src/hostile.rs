//! The site between an identity provider and a signing service that lie, and beside others that attack: each lie must
//! show, and none may sign anybody in or put an agreement in force.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ca::{SignatureKind, person_subject};
use document_signature::Authority;
use http::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use jose::Jws;
use pki::issue::{Profile, Template, issue, self_signed};
use pki::{
    AttributeType, Certificate, DigestAlgorithm, KeyType, Name, SignatureAlgorithm, Signer as _,
    SoftwareKey,
};
use serde_json::{Value, json};
use time::Duration;
use transport::{PoolLimits, ServeLimits, serve_http};

use super::*;
use crate::identity::{HIGH, SUBSTANTIAL};

const HERE: &str = "https://bank.example";
const NUMBER: &str = "20101199000011";
/// What proofs must hold.
const NONCE: &str = "given";

fn p256() -> SoftwareKey {
    let key = SoftwareKey::generate(KeyType::EcP256).expect("a key");
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    key.with_algorithm(algorithm).expect("ES256")
}

fn signing_key(key: SoftwareKey) -> SigningKey {
    SigningKey::new(Arc::new(key)).expect("a signing key")
}

/// What the servers behind are told to say.
#[derive(Default)]
struct Script {
    /// What was pushed last.
    pushed: BTreeMap<String, String>,
    /// Claims of the ID token that differ, and of userinfo.
    id_token: Vec<(&'static str, Value)>,
    user_info: Vec<(&'static str, Value)>,
    /// Whether the ID token is signed with a key that is not published.
    forged: bool,
    /// Whether access tokens come as bearer tokens.
    bearer: bool,
    /// Whose certificate the signing service names, for what kind, and whose key signs.
    number: &'static str,
    kind: Option<SignatureKind>,
    other_key: bool,
}

/// Both servers at one address.
struct Liar {
    origin: String,
    script: Arc<Mutex<Script>>,
    authority: Certificate,
}

fn template(subject: Name, key: &SoftwareKey, profile: Profile, serial: u8) -> Template {
    let now = OffsetDateTime::now_utc();
    Template {
        subject,
        public_key: key.public_key().clone(),
        serial: vec![serial],
        not_before: now - Duration::hours(1),
        not_after: now + Duration::days(30),
        profile,
        ocsp_url: None,
    }
}

impl Liar {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let script = Arc::new(Mutex::new(Script {
            number: NUMBER,
            kind: Some(SignatureKind::Qualified),
            ..Script::default()
        }));
        let authority_key = p256();
        let name = Name::builder().push(AttributeType::CommonName, "Authority");
        let subject = name.build().expect("a name");
        let authority = template(subject, &authority_key, Profile::Authority, 1);
        let authority = self_signed(&authority, &authority_key).expect("a certificate");
        let world = Arc::new(World {
            origin: origin.clone(),
            script: Arc::clone(&script),
            token_key: signing_key(p256()),
            other_key: signing_key(p256()),
            person_key: p256(),
            stolen_key: p256(),
            authority: authority.clone(),
            authority_key,
        });
        let handler = move |request: Request<Body>, _| {
            let world = Arc::clone(&world);
            async move { world.answer(request).await }
        };
        let never = std::future::pending::<()>();
        tokio::spawn(serve_http(listener, handler, ServeLimits::default(), never));
        Self {
            origin,
            script,
            authority,
        }
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().expect("the script")
    }
}

/// What the servers are made of.
struct World {
    origin: String,
    script: Arc<Mutex<Script>>,
    token_key: SigningKey,
    other_key: SigningKey,
    person_key: SoftwareKey,
    stolen_key: SoftwareKey,
    authority: Certificate,
    authority_key: SoftwareKey,
}

impl World {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect(1 << 20).await.expect("a body");
        let text = String::from_utf8(body.to_vec()).expect("text");
        if let Some(proof) = head.headers.get("dpop") {
            let proof = proof.to_str().expect("ASCII");
            let proof = Jws::decode(proof).expect("a proof").unverified_claims();
            if proof.expect("claims").text("nonce") != Some(NONCE) {
                let refusal = json!({ "error": "use_dpop_nonce" }).to_string();
                let answer = Response::builder().status(400).header("dpop-nonce", NONCE);
                return answer.body(Body::full(refusal)).expect("an answer");
            }
        }
        let at = |path: &str| format!("{}{path}", self.origin);
        let mut script = self.script.lock().expect("the script");
        let now = OffsetDateTime::now_utc();
        let answer = match head.uri.path() {
            "/.well-known/openid-configuration" => json!({
                "issuer": self.origin,
                "authorization_endpoint": at("/authorize"),
                "token_endpoint": at("/oauth2/token"),
                "pushed_authorization_request_endpoint": at("/par"),
                "userinfo_endpoint": at("/userinfo"),
                "end_session_endpoint": at("/end"),
                "jwks_uri": at("/jwks"),
            }),
            "/jwks" => json!({ "keys": [self.token_key.public().to_value()] }),
            "/par" | "/oauth2/pushed_authorize" => {
                let form = Parameters::decode(&text).expect("a form");
                let names = ["state", "nonce", "acr_values", "authorization_details"];
                script.pushed = names
                    .iter()
                    .filter_map(|name| Some(((*name).to_owned(), form.get(name)?.to_owned())))
                    .collect();
                json!({ "request_uri": "urn:x", "expires_in": 60 })
            }
            "/oauth2/token" if text.contains("client_credentials") => {
                json!({ "access_token": "service", "token_type": "Bearer" })
            }
            "/oauth2/token" => {
                let mut claims = json!({
                    "iss": self.origin, "sub": "aida", "aud": "bank", "iat": now.unix_timestamp(),
                    "exp": (now + Duration::minutes(5)).unix_timestamp(), "sid": "1",
                    "auth_time": now.unix_timestamp(), "nonce": script.pushed.get("nonce"),
                    "acr": script.pushed.get("acr_values"), "at_hash": oauth2::id_token_hash("access"),
                });
                for (name, value) in &script.id_token {
                    claims[*name] = value.clone();
                }
                let key = if script.forged {
                    &self.other_key
                } else {
                    &self.token_key
                };
                json!({
                    "access_token": "access",
                    "id_token": key.sign("JWT", &claims).expect("signed"),
                    "token_type": if script.bearer { "Bearer" } else { "DPoP" },
                })
            }
            "/userinfo" => {
                let mut claims =
                    json!({ "sub": "aida", "number": NUMBER, "name": "Асанова Айгүл" });
                for (name, value) in &script.user_info {
                    claims[*name] = value.clone();
                }
                claims
            }
            "/csc/v2/credentials/list" => self.credentials(&script),
            "/csc/v2/signatures/signHash" => self.signature(&script, &text),
            path => panic!("nobody answers {path}"),
        };
        Response::new(Body::full(answer.to_string()))
    }

    fn credentials(&self, script: &Script) -> Value {
        let Some(kind) = script.kind else {
            return json!({ "credentialIDs": [], "credentialInfos": [] });
        };
        let subject = person_subject(script.number, "Асанова", "Айгүл").expect("a name");
        let template = template(subject, &self.person_key, kind.profile(), 7);
        let certificate = issue(&template, &self.authority, &self.authority_key);
        let certificate = csc::to_base64(certificate.expect("a certificate").der());
        json!({
            "credentialIDs": ["c"],
            "credentialInfos": [{
                "credentialID": "c", "SCAL": "2", "multisign": 1, "auth": { "mode": "oauth2code" },
                "key": { "status": "enabled", "algo": [csc::ECDSA_WITH_SHA256], "len": 256 },
                "cert": { "status": "valid", "certificates": [certificate] },
            }],
        })
    }

    fn signature(&self, script: &Script, question: &str) -> Value {
        let asked: Value = serde_json::from_str(question).expect("JSON");
        let hash = asked["hashes"][0].as_str().and_then(csc::from_base64);
        let key = if script.other_key {
            &self.stolen_key
        } else {
            &self.person_key
        };
        let digest = pki::Digest::from_bytes(&hash.expect("a hash")).expect("a digest");
        let value = key.sign_digest(&digest).expect("signed");
        json!({ "signatures": [csc::to_base64(&value)] })
    }
}

/// The bank and a browser at it.
struct Visitor {
    site: BankSite,
    liar: Liar,
    cookie: String,
    _folder: tempfile::TempDir,
}

impl Visitor {
    async fn new() -> Self {
        let liar = Liar::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let trust = Trust {
            authorities: vec![Authority {
                certificate: liar.authority.clone(),
                simple: vec![SignatureKind::Simple.policy().to_owned()],
                qualified: vec![SignatureKind::Qualified.policy().to_owned()],
            }],
            ..Trust::default()
        };
        let site = BankSite::new(Parts {
            origin: HERE.to_owned(),
            contracts: folder.path().join("contracts"),
            http: HttpClient::new(PoolLimits::default()).expect("a client"),
            options: RequestOptions::default(),
            issuer: liar.origin.clone(),
            identity_client: "bank".to_owned(),
            identity_key: signing_key(p256()),
            dpop_key: signing_key(p256()),
            signing_service: liar.origin.clone(),
            signing_client: "bank".to_owned(),
            signing_key: signing_key(p256()),
            trust,
            // Nobody listens there.
            time_stamping: "http://127.0.0.1:1".to_owned(),
            verification: "https://verify.example/".to_owned(),
        });
        Self {
            site: site.expect("a site"),
            liar,
            cookie: String::new(),
            _folder: folder,
        }
    }

    async fn send(&mut self, request: http::request::Builder, body: String) -> Reply {
        let token = "t".repeat(43);
        let cookies = format!("{VISIT_COOKIE}={}; __Host-csrf={token}", self.cookie);
        let request = request.header(COOKIE, cookies).body(Body::full(body));
        let reply = self.site.answered(request.expect("a request")).await;
        for cookie in reply.headers().get_all(SET_COOKIE) {
            let text = cookie.to_str().expect("text");
            if let Some(rest) = text.strip_prefix(&format!("{VISIT_COOKIE}=")) {
                self.cookie = rest.split(';').next().unwrap_or_default().to_owned();
            }
        }
        reply
    }

    async fn get(&mut self, path: &str) -> Reply {
        self.send(Request::get(path), String::new()).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let token = "t".repeat(43);
        let mut all = vec![("csrf", token.as_str())];
        all.extend(fields);
        let body = oauth2::form(&all);
        self.send(Request::post(path).header(ORIGIN, HERE), body)
            .await
    }

    /// The answer that the identity provider or the signing service would send the browser back with.
    fn answer(&self, path: &str) -> String {
        let state = self.liar.script().pushed.get("state").cloned();
        let query = oauth2::form(&[
            ("code", "code"),
            ("state", &state.expect("a state")),
            ("iss", &self.liar.origin),
        ]);
        format!("{path}?{query}")
    }

    /// Signs in, while the provider says what the script says.
    async fn sign_in(&mut self) -> Reply {
        let sent = self.post("/sign-in", &[]).await;
        assert_eq!(sent.status(), StatusCode::SEE_OTHER);
        let back = self.answer(REDIRECT_PATH);
        self.get(&back).await
    }

    fn is_signed_in(&self) -> bool {
        let visit = self
            .site
            .visits
            .find(&self.cookie, OffsetDateTime::now_utc());
        visit.is_some_and(|visit| visit.person.is_some())
    }
}

fn location(reply: &Reply) -> String {
    assert_eq!(reply.status(), StatusCode::SEE_OTHER);
    let location = reply.headers()[LOCATION].to_str();
    location.expect("an address").to_owned()
}

#[tokio::test]
async fn a_provider_that_lies_signs_nobody_in() {
    let mut visitor = Visitor::new().await;
    let now = OffsetDateTime::now_utc();
    let past = (now - Duration::hours(1)).unix_timestamp();
    type Lie = fn(&mut Script, i64);
    let lies: [(&str, Lie); 12] = [
        ("a level that was not asked for", |script, _| {
            let low = "http://eidas.europa.eu/LoA/low";
            script.id_token.push(("acr", low.into()));
        }),
        ("no level", |script, _| {
            script.id_token.push(("acr", Value::Null));
        }),
        ("another nonce", |script, _| {
            script.id_token.push(("nonce", "other".into()));
        }),
        ("another audience", |script, _| {
            script.id_token.push(("aud", json!(["bank", "evil"])));
        }),
        ("another issuer", |script, _| {
            script.id_token.push(("iss", "https://evil".into()));
        }),
        ("a token that is over", |script, past| {
            script.id_token.push(("exp", past.into()));
        }),
        ("another access token", |script, _| {
            script.id_token.push(("at_hash", "other".into()));
        }),
        ("a key that is not published", |script, _| {
            script.forged = true
        }),
        ("a token that is bound to nothing", |script, _| {
            script.bearer = true
        }),
        ("claims of somebody else", |script, _| {
            script.user_info.push(("sub", "bakyt".into()));
        }),
        ("no number", |script, _| {
            script.user_info.push(("number", Value::Null));
        }),
        ("somebody who acts for another", |script, _| {
            script.user_info.push(("act", json!({ "sub": "bakyt" })));
        }),
    ];
    for (name, lie) in lies {
        lie(&mut visitor.liar.script(), past);
        let reply = visitor.sign_in().await;
        assert_ne!(reply.status(), StatusCode::SEE_OTHER, "{name}");
        assert!(!visitor.is_signed_in(), "{name}");
        let mut script = visitor.liar.script();
        script.id_token.clear();
        script.user_info.clear();
        (script.forged, script.bearer) = (false, false);
    }
    let reply = visitor.sign_in().await;
    assert_eq!(location(&reply), "/");
    assert!(visitor.is_signed_in());
}

#[tokio::test]
async fn an_answer_is_taken_once_by_the_browser_that_asked() {
    let mut visitor = Visitor::new().await;
    visitor.post("/sign-in", &[]).await;
    let good = visitor.answer(REDIRECT_PATH);
    let mine = visitor.cookie.clone();
    // Another browser, an attacker's code in the victim's browser, an answer of another provider.
    visitor.cookie = String::new();
    assert_eq!(visitor.get(&good).await.status(), StatusCode::BAD_REQUEST);
    for changed in [
        good.replace("state=", "state=x"),
        good.replace("iss=", "iss=x"),
        good.split("&iss").next().expect("a beginning").to_owned(),
    ] {
        visitor.cookie.clone_from(&mine);
        let reply = visitor.get(&changed).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST, "{changed}");
        // Whatever came, the question is answered now.
        let reply = visitor.get(&good).await;
        assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
        visitor.post("/sign-in", &[]).await;
    }
    let before = visitor.cookie.clone();
    let good = visitor.answer(REDIRECT_PATH);
    assert_eq!(location(&visitor.get(&good).await), "/");
    assert_ne!(visitor.cookie, before, "a new cookie for who is signed in");
    let now = OffsetDateTime::now_utc();
    assert!(visitor.site.visits.find(&before, now).is_none());
    assert_eq!(visitor.get(&good).await.status(), StatusCode::BAD_REQUEST);
}

/// Signs in at a level and draws up an agreement; gives its address.
async fn agreement_of(visitor: &mut Visitor, level: &'static str) -> String {
    visitor.liar.script().id_token = vec![("acr", level.into())];
    assert_eq!(location(&visitor.sign_in().await), "/");
    visitor.liar.script().id_token.clear();
    let fields = [("amount", "75 000"), ("months", "24")];
    location(&visitor.post("/loan", &fields).await)
}

#[tokio::test]
async fn nothing_is_signed_below_the_level_high() {
    let mut visitor = Visitor::new().await;
    let contract = agreement_of(&mut visitor, SUBSTANTIAL).await;
    let sent = visitor.post(&format!("{contract}/sign"), &[]).await;
    assert!(location(&sent).contains("/authorize?"), "to the provider");
    assert_eq!(visitor.liar.script().pushed["acr_values"], HIGH);
    // A provider that forgets what was asked for is not believed.
    visitor.liar.script().id_token = vec![("acr", SUBSTANTIAL.into())];
    let back = visitor.answer(REDIRECT_PATH);
    assert_eq!(visitor.get(&back).await.status(), StatusCode::BAD_REQUEST);
    let old = OffsetDateTime::now_utc() - Duration::hours(1);
    visitor.post(&format!("{contract}/sign"), &[]).await;
    visitor.liar.script().id_token = vec![("auth_time", old.unix_timestamp().into())];
    let back = visitor.answer(REDIRECT_PATH);
    assert_eq!(visitor.get(&back).await.status(), StatusCode::BAD_REQUEST);
    // With a fresh sign-in the person is back at the agreement, and confirms there that it is to be signed.
    visitor.liar.script().id_token.clear();
    visitor.post(&format!("{contract}/sign"), &[]).await;
    let back = visitor.answer(REDIRECT_PATH);
    assert_eq!(location(&visitor.get(&back).await), contract);
    let sent = visitor.post(&format!("{contract}/sign"), &[]).await;
    assert!(location(&sent).contains("/oauth2/authorize?"));
    let details = visitor.liar.script().pushed["authorization_details"].clone();
    assert!(details.contains(".pdf"), "{details}");
}

#[tokio::test]
async fn a_signature_counts_if_it_is_the_borrowers_qualified_one_over_this_agreement() {
    let mut visitor = Visitor::new().await;
    let contract = agreement_of(&mut visitor, HIGH).await;
    let sign = format!("{contract}/sign");
    // No key, or one for simple signatures only: nobody is sent anywhere.
    for kind in [None, Some(SignatureKind::Simple)] {
        visitor.liar.script().kind = kind;
        let reply = visitor.post(&sign, &[]).await;
        assert!(reply.headers().get(LOCATION).is_none());
    }
    visitor.liar.script().kind = Some(SignatureKind::Qualified);
    // A value of another key is no signature.
    visitor.liar.script().other_key = true;
    visitor.post(&sign, &[]).await;
    let back = visitor.answer(SIGNED_PATH);
    let reply = visitor.get(&back).await;
    assert!(reply.headers().get(LOCATION).is_none());
    visitor.liar.script().other_key = false;
    // An answer without a question, or of another server.
    assert!(visitor.get(&back).await.headers().get(LOCATION).is_none());
    visitor.post(&sign, &[]).await;
    let foreign = visitor.answer(SIGNED_PATH).replace("iss=", "iss=x");
    let reply = visitor.get(&foreign).await;
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
    let drawn = |visitor: &Visitor| {
        let own = visitor.site.contracts.of("aida");
        own.len() == 1 && own[0].standing == Standing::Drawn
    };
    assert!(drawn(&visitor));

    // The borrower's own signature is kept, also while there is no time-stamp to be had; in force it is not yet.
    visitor.post(&sign, &[]).await;
    let back = visitor.answer(SIGNED_PATH);
    assert_eq!(location(&visitor.get(&back).await), contract);
    let own = visitor.site.contracts.of("aida");
    assert!(matches!(own[0].standing, Standing::Signed { .. }));
    let signed = visitor.site.contracts.read(&own[0], Deeds::Signed);
    let signed = signed.expect("the file");
    let trust = visitor.site.trust.clone();
    let report = verify(&signed, Some(&trust), OffsetDateTime::now_utc());
    assert!(
        accepted(&report, &own[0].borrower).is_none(),
        "no proof yet"
    );
    assert_eq!(report.signatures.len(), 1);
    // Once signed, an agreement is not signed again.
    assert_eq!(location(&visitor.post(&sign, &[]).await), contract);
}

#[tokio::test]
async fn a_certificate_of_somebody_else_signs_nothing() {
    let mut visitor = Visitor::new().await;
    let contract = agreement_of(&mut visitor, HIGH).await;
    visitor.liar.script().number = "20101199000029";
    let reply = visitor.post(&format!("{contract}/sign"), &[]).await;
    assert!(reply.headers().get(LOCATION).is_none(), "nobody is sent");
}
