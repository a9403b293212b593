//! A signing service with an enrolled person, two officers, a bank, a portal and an identity provider; the clock and the
//! dice are in the tests' hands.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ca::{CertificateAuthority, Entry, Register, RegisterError, Serial, SignatureKind};
use http::{HeaderMap, HeaderValue, Method, header};
use jose::{JwkSet, SigningKey};
use oauth2::form;
use pki::csr::CertificateRequest;
use pki::{
    AttributeType, Certificate, DigestAlgorithm, KeyType, Name, SignatureAlgorithm, SoftwareKey,
};
use serde_json::{Value, json};
use server_signing::*;
use signing_server::{AuthorityError, Call, Client, Clients, Duty, Reply, SigningServer};
use time::{Duration, OffsetDateTime};
use webauthn::SoftwareAuthenticator;
use zeroize::Zeroizing;

pub const SITE: &str = "sign.example.kg";
pub const ORIGIN: &str = "https://sign.example.kg";
pub const REDIRECT: &str = "https://bank.example/signed?from=sign";
pub const PERSON: &str = "20101199000011";
pub const OFFICER: &str = "10202198000022";
pub const OTHER_OFFICER: &str = "10303198000033";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

static DICE: AtomicU64 = AtomicU64::new(1);

pub fn seed() -> Seed {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&DICE.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Seed::new(bytes)
}

pub fn unique() -> String {
    format!("id-{}", DICE.fetch_add(1, Ordering::Relaxed))
}

pub fn key() -> SigningKey {
    let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    SigningKey::new(Arc::new(key.with_algorithm(algorithm).unwrap())).unwrap()
}

pub fn hash(text: &str) -> Vec<u8> {
    DigestAlgorithm::Sha256
        .digest(text.as_bytes())
        .as_ref()
        .to_vec()
}

pub fn passkey(authenticator: &SoftwareAuthenticator) -> Form {
    Form::Passkey {
        id: authenticator.credential_id(),
        public_key: authenticator.public_key(),
        algorithm: -7,
        label: "phone".into(),
    }
}

pub fn authenticator(name: &str) -> SoftwareAuthenticator {
    SoftwareAuthenticator::generate(SITE, name.as_bytes().to_vec(), false).unwrap()
}

pub fn vault(master: u8) -> Arc<dyn Vault> {
    Arc::new(SoftwareVault::new(
        Zeroizing::new([master; 32]),
        &[master; 32],
    ))
}

pub fn signing(store: Arc<Memory>, master: u8, card_issuers: Vec<Certificate>) -> Signing {
    let place = Place {
        relying_party: SITE.into(),
        origins: vec![ORIGIN.into()],
        card_issuers,
    };
    Signing::new(store, vault(master), place)
}

/// A client of the service.
pub struct Peer {
    pub id: &'static str,
    pub key: SigningKey,
}

impl Peer {
    fn new(id: &'static str) -> Self {
        Self { id, key: key() }
    }

    fn client(&self, duty: Duty) -> Client {
        Client {
            id: self.id.to_owned(),
            names: BTreeMap::from([("en".to_owned(), format!("The {}", self.id))]),
            keys: JwkSet::new(vec![self.key.public().clone()]),
            redirect_uris: BTreeSet::from([REDIRECT.to_owned()]),
            duties: BTreeSet::from([duty]),
        }
    }
}

struct NoRegister;

impl Register for NoRegister {
    fn find(&self, _: &Serial) -> Result<Option<Entry>, RegisterError> {
        Ok(None)
    }
    fn store(&self, _: &Entry) -> Result<(), RegisterError> {
        Ok(())
    }
}

/// A certification authority.
pub struct Authority {
    authority: CertificateAuthority,
    key: SoftwareKey,
    /// Whether it answers.
    pub away: AtomicBool,
    /// How often it certified, and the serial numbers that it revoked.
    pub issued: AtomicU64,
    pub revoked: Mutex<Vec<Vec<u8>>>,
}

impl signing_server::Authority for Authority {
    fn certify(
        &self,
        order: &Order,
        _: &str,
        now: OffsetDateTime,
    ) -> Result<Certificate, AuthorityError> {
        self.answers()?;
        self.issued.fetch_add(1, Ordering::Relaxed);
        Ok(self.issue(order, now))
    }

    fn revoke(
        &self,
        certificate: &Certificate,
        _: ca::RevocationReason,
        _: &str,
        _: OffsetDateTime,
    ) -> Result<(), AuthorityError> {
        self.answers()?;
        let mut revoked = self.revoked.lock().unwrap();
        revoked.push(certificate.serial().to_vec());
        Ok(())
    }
}

impl Authority {
    fn new(now: OffsetDateTime) -> Self {
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let name = Name::builder()
            .push(AttributeType::CommonName, "CA")
            .build()
            .unwrap();
        let (start, end) = (now - Duration::DAY, now + Duration::days(3650));
        let root = ca::new_root(name, Serial::from_random([1; 16]), start, end, &key).unwrap();
        Self {
            authority: CertificateAuthority::new(root, None),
            key,
            away: AtomicBool::new(false),
            issued: AtomicU64::new(0),
            revoked: Mutex::default(),
        }
    }

    fn answers(&self) -> Result<(), AuthorityError> {
        if self.away.load(Ordering::Relaxed) {
            Err(AuthorityError::Answer("away".to_owned()))
        } else {
            Ok(())
        }
    }

    pub fn certificate(&self) -> &Certificate {
        self.authority.certificate()
    }

    pub fn issue(&self, order: &Order, now: OffsetDateTime) -> Certificate {
        let request = CertificateRequest::decode(&order.request)
            .unwrap()
            .verify()
            .unwrap();
        let (not_before, not_after) =
            ca::person_validity(now, self.authority.certificate().not_after());
        let subject =
            ca::person_subject(order.holder.as_str(), &order.surname, &order.given_name).unwrap();
        let order = ca::Order {
            profile: SignatureKind::from(order.kind).profile(),
            subject,
            public_key: request.public_key().clone(),
            not_before,
            not_after,
        };
        let mut serial = [3; 16];
        serial[..8].copy_from_slice(&DICE.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let prepared = self
            .authority
            .prepare(order, Serial::from_random(serial))
            .unwrap();
        let intended = self.authority.intend(prepared, &NoRegister).unwrap();
        self.authority
            .sign(intended, &self.key, &NoRegister)
            .unwrap()
    }
}

pub struct World {
    pub store: Arc<Memory>,
    pub server: SigningServer,
    pub person: SoftwareAuthenticator,
    pub officers: Vec<(String, SoftwareAuthenticator)>,
    pub authority: Arc<Authority>,
    pub bank: Peer,
    pub portal: Peer,
    pub idp: Peer,
    pub credential: String,
    now: AtomicI64,
}

impl World {
    pub fn new() -> Self {
        let store = Arc::new(Memory::default());
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let (bank, portal, idp) = (Peer::new("bank"), Peer::new("portal"), Peer::new("idp"));
        let authority = Arc::new(Authority::new(now));
        let mut world = Self {
            server: server(&store, 7, &authority, [&bank, &portal, &idp]),
            store,
            person: authenticator("person"),
            officers: Vec::new(),
            authority,
            bank,
            portal,
            idp,
            credential: String::new(),
            now: AtomicI64::new(now.unix_timestamp()),
        };
        for number in [OFFICER, OTHER_OFFICER] {
            let key = authenticator(number);
            let number = number.parse().unwrap();
            let signing = world.server.signing();
            let id = signing
                .add_officer(number, "Bishkek 1", passkey(&key), &seed())
                .unwrap();
            world.officers.push((id, key));
        }
        world.credential = world.enrol(PERSON, &world.person);
        world
    }

    /// Another node over the same database, or over a copy of it.
    pub fn node(&self, store: &Arc<Memory>, master: u8) -> SigningServer {
        let peers = [&self.bank, &self.portal, &self.idp];
        server(store, master, &self.authority, peers)
    }

    /// The bank is taken out of the settings, and the server is started again.
    pub fn withdraw_bank(&mut self) {
        let clients = vec![
            self.portal.client(Duty::Sign),
            self.idp.client(Duty::Freeze),
        ];
        self.server = server_of(&self.store, 7, &self.authority, clients);
    }

    pub fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.now.load(Ordering::Relaxed)).unwrap()
    }

    pub fn wait(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Enrols somebody at the desk, by the decisions alone.
    pub fn enrol(&self, number: &str, person: &SoftwareAuthenticator) -> String {
        let signing = self.server.signing();
        let enrolment = Enrolment {
            surname: "Асанов".into(),
            given_name: "Үсөн".into(),
            kinds: vec![Kind::Qualified],
            authenticators: vec![passkey(person)],
        };
        let desk = Desk {
            officers: vec![self.officers[0].0.clone()],
            reference: "portrait 5/26".into(),
        };
        let number = number.parse().unwrap();
        let asked = signing
            .ask_to_enrol("desk", number, enrolment, Some(desk), &seed(), self.now())
            .unwrap();
        let proofs = [person, &self.officers[0].1]
            .map(|key| Proof::Passkey(key.assert(ORIGIN, &asked.challenge).unwrap()));
        let completion = signing
            .complete(&asked.handle, &proofs, &seed(), self.now())
            .unwrap();
        let Completion::Certificates(pending) = completion else {
            panic!("{completion:?}")
        };
        let certificates = pending
            .orders()
            .iter()
            .map(|order| self.authority.issue(order, self.now()))
            .collect();
        signing
            .certified(*pending, certificates, self.now())
            .unwrap()
            .remove(0)
    }

    pub fn call(
        &self,
        method: &Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        self.call_at(&self.server, method, target, headers, body)
    }

    pub fn call_at(
        &self,
        server: &SigningServer,
        method: &Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        server.answer(&Call {
            method,
            path,
            query,
            headers: &map,
            body,
            now: self.now(),
            seed: seed(),
        })
    }

    pub fn post_form(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.call(&Method::POST, path, &all, body)
    }

    /// A call to an endpoint of clients, with a fresh assertion.
    pub fn post(&self, peer: &Peer, path: &str, parameters: &[(&str, &str)]) -> Reply {
        let proof =
            oauth2::client_authentication(&peer.key, peer.id, ORIGIN, &unique(), self.now())
                .unwrap();
        let mut all: Vec<(&str, &str)> = proof
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        all.extend(parameters);
        self.post_form(path, &[], &form(&all))
    }

    pub fn service_token(&self, peer: &Peer) -> String {
        let parameters = [("grant_type", "client_credentials"), ("scope", "service")];
        let reply = self.post(peer, "/oauth2/token", &parameters);
        assert_eq!(reply.status(), 200, "{}", reply.body());
        value(&reply)["access_token"].as_str().unwrap().to_owned()
    }

    /// A method of the API with a token.
    pub fn csc(&self, token: &str, method: &str, body: &Value) -> Reply {
        self.csc_at(&self.server, token, method, body)
    }

    pub fn csc_at(&self, server: &SigningServer, token: &str, method: &str, body: &Value) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        let path = format!("/csc/v2/{method}");
        self.call_at(server, &Method::POST, &path, &headers, &body.to_string())
    }

    /// What is asked for documents of these texts, with changes; an empty value leaves a parameter out.
    pub fn asked<'a>(
        &self,
        peer: &'a Peer,
        details: &'a str,
        changes: &[(&'a str, &'a str)],
    ) -> Vec<(&'a str, &'a str)> {
        let mut all = vec![
            ("client_id", peer.id),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("state", "s&s"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("authorization_details", details),
        ];
        for (name, value) in changes {
            all.retain(|(known, _)| known != name);
            if !value.is_empty() {
                all.push((name, value));
            }
        }
        all
    }

    pub fn details(&self, texts: &[&str]) -> String {
        let documents: Vec<Value> = texts
            .iter()
            .map(|text| json!({ "hash": csc::to_base64(&hash(text)), "label": format!("{text}.pdf") }))
            .collect();
        json!([{
            "type": "credential",
            "credentialID": self.credential,
            "documentDigests": documents,
            "hashAlgorithmOID": csc::SHA256,
        }])
        .to_string()
    }

    /// The request is pushed and brought by a browser, which comes to the page.
    pub fn brought(&self, peer: &Peer, texts: &[&str]) -> Browser<'_> {
        let details = self.details(texts);
        let asked = self.asked(peer, &details, &[("client_id", "")]);
        let reply = self.post(peer, "/oauth2/pushed_authorize", &asked);
        assert_eq!(reply.status(), 201, "{}", reply.body());
        let uri = value(&reply)["request_uri"].as_str().unwrap().to_owned();
        let mut browser = Browser::new(self);
        let query = form(&[("client_id", peer.id), ("request_uri", &uri)]);
        let reply = browser.get(&format!("/oauth2/authorize?{query}"));
        browser.page = location(&reply);
        browser
    }

    /// The person confirms; gives the credential token.
    pub fn credential_token(&self, peer: &Peer, texts: &[&str]) -> String {
        let answer = self.brought(peer, texts).sign(&self.person);
        let reply = self.redeem(peer, &parameter(&answer, "code").unwrap(), &[]);
        assert_eq!(reply.status(), 200, "{}", reply.body());
        value(&reply)["access_token"].as_str().unwrap().to_owned()
    }

    pub fn redeem(&self, peer: &Peer, code: &str, changes: &[(&str, &str)]) -> Reply {
        let mut all = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        for (name, value) in changes {
            all.retain(|(known, _)| known != name);
            all.push((name, value));
        }
        self.post(peer, "/oauth2/token", &all)
    }

    pub fn sign_body(&self, texts: &[&str]) -> Value {
        let hashes: Vec<String> = texts
            .iter()
            .map(|text| csc::to_base64(&hash(text)))
            .collect();
        json!({
            "credentialID": self.credential,
            "hashes": hashes,
            "hashAlgorithmOID": csc::SHA256,
            "signAlgo": csc::ECDSA_WITH_SHA256,
        })
    }
}

fn server(
    store: &Arc<Memory>,
    master: u8,
    authority: &Arc<Authority>,
    [bank, portal, idp]: [&Peer; 3],
) -> SigningServer {
    let clients = vec![
        bank.client(Duty::Sign),
        portal.client(Duty::Sign),
        idp.client(Duty::Freeze),
    ];
    server_of(store, master, authority, clients)
}

fn server_of(
    store: &Arc<Memory>,
    master: u8,
    authority: &Arc<Authority>,
    clients: Vec<Client>,
) -> SigningServer {
    let clients = Clients::new(clients);
    let chain = vec![authority.certificate().clone()];
    // The same authority issues identity cards, but for those who ask for none.
    let signing = signing(store.clone(), master, chain.clone());
    SigningServer::new(signing, clients, ORIGIN, chain, Some(authority.clone())).unwrap()
}

/// A browser: it keeps cookies and sends forms back.
pub struct Browser<'a> {
    pub world: &'a World,
    pub page: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl<'a> Browser<'a> {
    pub fn new(world: &'a World) -> Self {
        Self {
            world,
            page: String::new(),
            cookies: Mutex::default(),
        }
    }

    /// What stays of a browser while servers come and go: its page and its cookies.
    pub fn closed(self) -> (String, BTreeMap<String, String>) {
        (self.page, self.cookies.into_inner().unwrap())
    }

    /// The browser again.
    pub fn opened(world: &'a World, (page, cookies): (String, BTreeMap<String, String>)) -> Self {
        let cookies = Mutex::new(cookies);
        Self {
            world,
            page,
            cookies,
        }
    }

    fn header(&self) -> String {
        let cookies = self.cookies.lock().unwrap();
        let pairs: Vec<String> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn keep(&self, reply: &Reply) {
        // Nowhere does anybody's number, name or address go into the address of a page.
        assert_eq!(web_ui::telling_addresses(reply.body()), [""; 0]);
        let to = reply.headers().get(header::LOCATION);
        let to = to.map_or("", |to| to.to_str().unwrap());
        assert!(!web_ui::tells_of_a_person(to), "{to}");
        for cookie in reply.headers().get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            assert!(text.contains("; Secure; HttpOnly; SameSite=Lax"), "{text}");
            let (name, rest) = text.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// The token of this browser's forms.
    pub fn csrf(&self) -> String {
        let cookies = self.cookies.lock().unwrap();
        cookies.get("__Host-csrf").cloned().unwrap_or_default()
    }

    pub fn get(&self, target: &str) -> Reply {
        let cookies = self.header();
        let headers = [("cookie", cookies.as_str()), ("accept-language", "en")];
        let reply = self.world.call(&Method::GET, target, &headers, "");
        self.keep(&reply);
        reply
    }

    /// Sends a form of the page with this browser's token.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let cookies = self.header();
        let csrf = self.csrf();
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        let headers = [
            ("cookie", cookies.as_str()),
            ("origin", ORIGIN),
            ("accept-language", "en"),
        ];
        let reply = self.world.post_form(path, &headers, &form(&all));
        self.keep(&reply);
        reply
    }

    /// Sends a form as a page of `origin` would make this browser send it, with a token or without.
    pub fn post_from(&self, origin: &str, path: &str, csrf: Option<&str>) -> Reply {
        let cookies = self.header();
        let headers = [("cookie", cookies.as_str()), ("origin", origin)];
        let fields: Vec<_> = csrf.iter().map(|csrf| ("csrf", *csrf)).collect();
        self.world.post_form(path, &headers, &form(&fields))
    }

    /// What the script asks for before the passkey answers.
    pub fn options(&self, path: &str) -> Value {
        let reply = self.post(path, &[]);
        assert_eq!(reply.status(), 200, "{}", reply.body());
        value(&reply)["options"].clone()
    }

    /// Somebody signs in with a passkey; gives where the browser goes.
    pub fn sign_in(&self, key: &SoftwareAuthenticator) -> String {
        let page = self.get("/sign-in");
        assert_eq!(page.status(), 200);
        let question = value(&self.post("/sign-in/options", &[]));
        let challenge = question["options"]["challenge"].as_str().unwrap();
        let challenge = jose::from_base64url(challenge).unwrap();
        let answer = key.assert(ORIGIN, &challenge).unwrap();
        let ceremony = question["ceremony"].as_str().unwrap();
        location(&self.post("/sign-in", &[("ceremony", ceremony), ("answer", &answer)]))
    }

    /// Confirms a statement with a passkey.
    pub fn approve(&self, page: &str, key: &SoftwareAuthenticator) -> Reply {
        let shown = self.get(page);
        assert_eq!(shown.status(), 200, "{}", shown.body());
        let options = self.options(&format!("{page}/options"));
        let challenge = jose::from_base64url(options["challenge"].as_str().unwrap()).unwrap();
        let answer = key.assert(ORIGIN, &challenge).unwrap();
        self.post(page, &[("answer", &answer)])
    }

    /// The person's device opens a case with the code and creates a passkey; gives the page of the statement.
    pub fn open_case(&self, code: &str, key: &SoftwareAuthenticator) -> Reply {
        self.get("/enrol");
        let page = self.post("/enrol", &[("code", code)]);
        assert_eq!(page.status(), 200, "{}", page.body());
        let options = self.options("/enrol/options");
        assert_eq!(options["rp"]["id"], SITE);
        let challenge = jose::from_base64url(options["challenge"].as_str().unwrap()).unwrap();
        let answer = key.register(ORIGIN, &challenge);
        let fields = [
            ("code", code),
            ("answer", answer.as_str()),
            ("label", "My phone"),
        ];
        self.post("/enrol/key", &fields)
    }

    /// The person reads the page and signs with the passkey; gives the address to which the browser goes.
    pub fn sign(&self, key: &SoftwareAuthenticator) -> String {
        let reply = self.confirm(key);
        location(&reply)
    }

    pub fn confirm(&self, key: &SoftwareAuthenticator) -> Reply {
        let page = self.get(&self.page);
        assert_eq!(page.status(), 200, "{}", page.body());
        let options = self.options(&format!("{}/options", self.page));
        assert_eq!(options["rpId"], SITE);
        assert_eq!(options["userVerification"], "required");
        let challenge = jose::from_base64url(options["challenge"].as_str().unwrap()).unwrap();
        let answer = key.assert(ORIGIN, &challenge).unwrap();
        self.post(&self.page, &[("ceremony", ""), ("answer", &answer)])
    }
}

pub fn value(reply: &Reply) -> Value {
    serde_json::from_str(reply.body()).unwrap()
}

pub fn location(reply: &Reply) -> String {
    assert_eq!(reply.status(), 303, "{}", reply.body());
    reply.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned()
}

pub fn parameter(uri: &str, name: &str) -> Option<String> {
    let query = uri.split_once('?')?.1;
    oauth2::Parameters::decode(query)
        .unwrap()
        .get(name)
        .map(str::to_owned)
}

/// What went wrong, in the words of the answer.
pub fn words(reply: &Reply) -> String {
    let value: Value = serde_json::from_str(reply.body()).unwrap_or_default();
    value["error_description"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The code that a page shows.
pub fn shown_code(reply: &Reply) -> String {
    assert_eq!(reply.status(), 200, "{}", reply.body());
    let rest = reply.body().split("shown-code\"><strong>").nth(1);
    let rest = rest.unwrap_or_else(|| panic!("{}", reply.body()));
    rest.split('<').next().unwrap().to_owned()
}
