//! An issuer with one person and one relying party, and a clock and dice that tests hold in their hands.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use http::{HeaderMap, HeaderValue, Method, header};
use id_registry::{PersonalNumber, Sex, Theme};
use idp_server::oauth::{
    Call, INTERACTION_COOKIE, Keys, Oauth, PersonClaims, Reply, SESSION_COOKIE,
};
use jose::{Jws, SigningKey};
use oidc_provider::*;
use pki::{DigestAlgorithm, KeyType, SignatureAlgorithm, SoftwareKey};
use serde_json::{Map, Value, json};
use time::{Date, OffsetDateTime};

pub const ISSUER: &str = "https://id.example";
pub const REDIRECT: &str = "https://bank.example/back?from=id";
pub const AFTER_LOGOUT: &str = "https://bank.example/bye";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

static DICE: AtomicU64 = AtomicU64::new(1);

pub fn seed() -> Seed {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&DICE.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Seed::new(bytes)
}

pub fn number(serial: u32) -> PersonalNumber {
    let born = Date::from_calendar_date(1990, time::Month::May, 17).unwrap();
    PersonalNumber::compose(Sex::Female, born, serial)
}

pub fn key() -> SigningKey {
    let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    SigningKey::new(Arc::new(key.with_algorithm(algorithm).unwrap())).unwrap()
}

struct Nobody;

impl Relations for Nobody {
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

struct Names;

impl PersonClaims for Names {
    fn claims(
        &self,
        _: &PersonalNumber,
        scopes: &BTreeSet<String>,
    ) -> Result<Map<String, Value>, StoreError> {
        let mut claims = Map::new();
        if scopes.contains("profile") {
            claims.insert("family_name".to_owned(), "Asanova".into());
        }
        Ok(claims)
    }
}

/// A small picture, JPEG.
fn picture() -> Vec<u8> {
    let mut jpeg = Vec::new();
    let grey: Vec<u8> = (0..24 * 32u32).map(|at| (at / 4) as u8).collect();
    jpeg_encoder::Encoder::new(&mut jpeg, 60)
        .encode(&grey, 24, 32, jpeg_encoder::ColorType::Luma)
        .unwrap();
    jpeg
}

/// The register as the pages see it: everybody is Aida, and has one and the same portrait.
pub struct Faces;

impl idp_server::pages::Register for Faces {
    fn name(
        &self,
        person: &PersonalNumber,
        _: &PersonalNumber,
    ) -> Result<Option<String>, StoreError> {
        Ok((*person != number(404)).then(|| "Aida Asanova".to_owned()))
    }

    fn portrait(
        &self,
        person: &PersonalNumber,
        _: &PersonalNumber,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        Ok((*person != number(404)).then(picture))
    }
}

pub fn form(keys: &[&SigningKey], profile: Profile) -> ClientForm {
    let words = |text: &str| BTreeMap::from([("en".to_owned(), text.to_owned())]);
    let scopes = ["openid", "offline_access", "profile", "number"];
    let keys: Vec<Value> = keys.iter().map(|key| key.public().to_value()).collect();
    ClientForm {
        names: words("Bank"),
        organisation: "Bank of Examples".to_owned(),
        contact: "admin@bank.example".to_owned(),
        sector: "bank.example".to_owned(),
        redirect_uris: BTreeSet::from([REDIRECT.to_owned()]),
        after_logout_uris: BTreeSet::from([AFTER_LOGOUT.to_owned()]),
        logout_uri: Some("https://bank.example/logout".to_owned()),
        authentication: ClientAuthentication::PrivateKeyJwt,
        keys: json!({ "keys": keys }).to_string(),
        profile,
        purposes: scopes
            .iter()
            .map(|scope| ((*scope).to_owned(), words("to open an account")))
            .collect(),
        level: Level::Low,
        device_flow: true,
        theme: None,
    }
}

/// The issuer, a person with an identity card, and two relying parties.
pub struct World {
    pub oauth: Oauth,
    pub session: Secret,
    pub bank: Peer,
    pub other: Peer,
    now: AtomicI64,
}

/// A relying party.
pub struct Peer {
    pub id: String,
    pub key: SigningKey,
    pub dpop: SigningKey,
}

impl World {
    pub fn new(profile: Profile) -> Self {
        let store = Arc::new(MemoryStore::default());
        let provider = Provider::new(store, Arc::new(Nobody), &[3; 32]);
        let keys = Keys {
            active: key(),
            published: vec![key().public().clone()],
        };
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let card = CardHolder {
            number: number(7),
            tenant: Tenant::Sandbox,
        };
        let origin = Origin {
            network: "192.0.2.0/24".to_owned(),
            device: None,
            label: "Firefox".to_owned(),
        };
        let session = provider
            .sign_in_with_card(card, &origin, None, now, &seed())
            .unwrap()
            .session;
        let who = provider.session(&session, now).unwrap();
        let peer = |profile| {
            let key = key();
            let id = provider
                .register_client(&who, &form(&[&key], profile), &seed())
                .unwrap();
            Peer {
                id: id.as_str().to_owned(),
                key,
                dpop: self::key(),
            }
        };
        let (bank, other) = (peer(profile), peer(profile));
        World {
            oauth: Oauth::new(provider, Arc::new(Names), ISSUER, keys),
            session,
            bank,
            other,
            now: AtomicI64::new(now.unix_timestamp()),
        }
    }

    pub fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.now.load(Ordering::Relaxed)).unwrap()
    }

    pub fn wait(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    pub fn call(
        &self,
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
        if *method == Method::POST {
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            map.insert(header::CONTENT_TYPE, kind);
        }
        let call = Call {
            method,
            path,
            query,
            headers: &map,
            body,
            certificate: None,
            now: self.now(),
            seed: seed(),
        };
        self.oauth.answer(&call).unwrap()
    }

    pub fn assertion(&self, peer: &Peer, changes: &[(&str, Value)]) -> String {
        let mut claims = json!({
            "iss": peer.id, "sub": peer.id, "aud": ISSUER, "jti": seed_text(),
            "iat": self.now().unix_timestamp(), "exp": self.now().unix_timestamp() + 60,
        });
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        peer.key.sign("JWT", &claims).unwrap()
    }

    /// The nonce that the server gives to whoever comes with a proof, a wrong one too.
    pub fn nonce(&self) -> String {
        let reply = self.call(&Method::GET, "/oauth2/userinfo", &[("dpop", "?")], "");
        reply.headers()["dpop-nonce"].to_str().unwrap().to_owned()
    }

    pub fn proof(
        &self,
        key: &SigningKey,
        method: &str,
        path: &str,
        changes: &[(&str, Value)],
    ) -> String {
        let mut claims = json!({
            "htm": method, "htu": format!("{ISSUER}{path}"), "iat": self.now().unix_timestamp(), "jti": seed_text(),
            "nonce": self.nonce(),
        });
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        key.sign_with_jwk("dpop+jwt", &claims).unwrap()
    }

    /// A call to an endpoint of relying parties, with a fresh assertion and proof.
    pub fn post(&self, peer: &Peer, path: &str, parameters: &[(&str, &str)], dpop: bool) -> Reply {
        let assertion = self.assertion(peer, &[]);
        self.post_with(
            peer,
            path,
            parameters,
            &assertion,
            dpop.then_some(&peer.dpop),
        )
    }

    pub fn post_with(
        &self,
        peer: &Peer,
        path: &str,
        parameters: &[(&str, &str)],
        assertion: &str,
        dpop: Option<&SigningKey>,
    ) -> Reply {
        let mut all = vec![
            ("client_id", peer.id.as_str()),
            ("client_assertion", assertion),
            ("client_assertion_type", ASSERTION_TYPE),
        ];
        all.extend(parameters);
        let proof = dpop.map(|key| self.proof(key, "POST", path, &[]));
        let headers: Vec<_> = proof.iter().map(|proof| ("dpop", proof.as_str())).collect();
        self.call(&Method::POST, path, &headers, &encode(&all))
    }

    /// What the bank asks for, with changes; an empty value leaves a parameter out.
    pub fn asked<'a>(
        &self,
        peer: &'a Peer,
        changes: &[(&'a str, &'a str)],
    ) -> Vec<(&'a str, &'a str)> {
        let mut all = vec![
            ("client_id", peer.id.as_str()),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("scope", "openid offline_access number profile"),
            ("state", "s&s"),
            ("nonce", "n"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in changes {
            all.retain(|(known, _)| known != name);
            all.push((name, value));
        }
        all
    }

    pub fn push(&self, peer: &Peer, changes: &[(&str, &str)]) -> Reply {
        let asked = self.asked(peer, changes);
        self.post(peer, "/oauth2/par", &asked[1..], false)
    }

    pub fn request_uri(&self, peer: &Peer, changes: &[(&str, &str)]) -> String {
        let reply = self.push(peer, changes);
        assert_eq!(reply.status(), 201, "{}", reply.body());
        value(&reply)["request_uri"].as_str().unwrap().to_owned()
    }

    pub fn bring(&self, client: &str, request_uri: &str, signed_in: bool) -> Reply {
        let query = encode(&[("client_id", client), ("request_uri", request_uri)]);
        let cookie = format!("{SESSION_COOKIE}={}", self.session.expose());
        let headers: &[(&str, &str)] = if signed_in {
            &[("cookie", &cookie)]
        } else {
            &[]
        };
        self.call(
            &Method::GET,
            &format!("/oauth2/authorize?{query}"),
            headers,
            "",
        )
    }

    /// The person allows everything; gives the address with the answer.
    pub fn answer(&self, peer: &Peer, changes: &[(&str, &str)]) -> String {
        let reply = self.bring(&peer.id, &self.request_uri(peer, changes), true);
        let place = location(&reply);
        if place != "/continue" {
            return place;
        }
        let cookie = reply.headers()[header::SET_COOKIE].to_str().unwrap();
        let secret = cookie
            .strip_prefix(&format!("{INTERACTION_COOKIE}="))
            .and_then(|rest| rest.split(';').next())
            .unwrap();
        let provider = self.oauth.provider();
        let who = provider.session(&self.session, self.now()).unwrap();
        let secret = Secret::new(secret);
        let found = provider
            .interaction(&secret, Some(&who), self.now())
            .unwrap();
        let scopes = found.asked.scopes;
        let answer = provider.allow(&secret, &who, &scopes, None, self.now(), &seed());
        self.oauth.answer_location(&answer.unwrap())
    }

    pub fn code(&self, peer: &Peer, changes: &[(&str, &str)]) -> String {
        let answer = self.answer(peer, changes);
        parameter(&answer, "code").unwrap_or_else(|| panic!("{answer}"))
    }

    pub fn redeem(&self, peer: &Peer, code: &str, changes: &[(&str, &str)], dpop: bool) -> Reply {
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
        self.post(peer, "/oauth2/token", &all, dpop)
    }

    /// Tokens of a full flow.
    pub fn tokens(&self, peer: &Peer, changes: &[(&str, &str)], dpop: bool) -> Value {
        let reply = self.redeem(peer, &self.code(peer, changes), &[], dpop);
        assert_eq!(reply.status(), 200, "{}", reply.body());
        value(&reply)
    }

    pub fn refresh(&self, peer: &Peer, token: &str, dpop: bool) -> Reply {
        let parameters = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post(peer, "/oauth2/token", &parameters, dpop)
    }

    /// The keys that are published.
    pub fn key_set(&self) -> jose::JwkSet {
        let keys = self.call(&Method::GET, "/jwks", &[], "");
        jose::JwkSet::decode(keys.body()).unwrap()
    }

    /// What the access token opens, signed.
    pub fn signed_userinfo(&self, peer: &Peer, token: &str) -> String {
        let hash = json!(oauth2::access_token_hash(token));
        let proof = self.proof(&peer.dpop, "GET", "/oauth2/userinfo", &[("ath", hash)]);
        let header = format!("DPoP {token}");
        let headers = [
            ("authorization", header.as_str()),
            ("dpop", &proof),
            ("accept", "application/jwt"),
        ];
        let reply = self.call(&Method::GET, "/oauth2/userinfo", &headers, "");
        assert_eq!(reply.headers()["content-type"], "application/jwt");
        reply.body().clone()
    }

    pub fn userinfo(&self, peer: &Peer, token: &str, dpop: bool) -> Reply {
        if !dpop {
            let header = format!("Bearer {token}");
            return self.call(
                &Method::GET,
                "/oauth2/userinfo",
                &[("authorization", &header)],
                "",
            );
        }
        let hash = json!(oauth2::access_token_hash(token));
        let proof = self.proof(&peer.dpop, "GET", "/oauth2/userinfo", &[("ath", hash)]);
        let header = format!("DPoP {token}");
        let headers = [("authorization", header.as_str()), ("dpop", &proof)];
        self.call(&Method::GET, "/oauth2/userinfo", &headers, "")
    }
}

pub fn seed_text() -> String {
    format!("id-{}", DICE.fetch_add(1, Ordering::Relaxed))
}

pub fn encode(parameters: &[(&str, &str)]) -> String {
    parameters
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| {
            let value =
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            format!("{name}={value}")
        })
        .collect::<Vec<_>>()
        .join("&")
}

pub fn value(reply: &Reply) -> Value {
    serde_json::from_str(reply.body()).unwrap()
}

/// The error of a JSON answer; empty if it is none.
pub fn error(reply: &Reply) -> String {
    let value: Value = serde_json::from_str(reply.body()).unwrap_or_default();
    value["error"].as_str().unwrap_or_default().to_owned()
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

/// The claims of an ID token, verified with the published keys.
pub fn id_token(world: &World, text: &str) -> Value {
    let keys = world.key_set();
    let verified = Jws::decode(text).unwrap().verify_with_set(&keys).unwrap();
    serde_json::from_slice(verified.payload()).unwrap()
}
