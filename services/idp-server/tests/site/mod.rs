//! The pages over a world of the tests, and browsers without a script that keep cookies and check every reply's headers.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method, StatusCode, header};
use idp_server::oauth::{Call, INTERACTION_COOKIE, Reply, SESSION_COOKIE};
use idp_server::pages::{CodePost, Pages};
use oidc_provider::*;
use time::OffsetDateTime;

use crate::common::*;

/// Codes as they would be delivered.
#[derive(Default)]
pub struct Letters(Mutex<Vec<String>>);

impl CodePost for Letters {
    fn post(&self, delivery: &Delivery) -> Result<(), std::io::Error> {
        let code = delivery.code.as_ref().map_or("none", Secret::expose);
        self.0.lock().unwrap().push(code.to_owned());
        Ok(())
    }
}

pub struct Site {
    pub pages: Pages,
    pub letters: Arc<Letters>,
    pub provider: Provider,
    pub session: Secret,
    pub bank: String,
}

pub fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

impl Site {
    pub fn new() -> Self {
        let world = World::new(Profile::Standard);
        let letters = Arc::new(Letters::default());
        let provider = world.oauth.provider().clone();
        let hasher = Arc::new(passwords::Hasher::start(1, 8).unwrap());
        let oauth = Arc::new(world.oauth);
        let pages = Pages::new(
            oauth,
            hasher,
            letters.clone(),
            Arc::new(Faces),
            Tenant::Sandbox,
        )
        .unwrap();
        Self {
            pages,
            letters,
            provider,
            session: world.session,
            bank: world.bank.id,
        }
    }

    pub fn code(&self) -> String {
        self.letters.0.lock().unwrap().pop().unwrap()
    }

    pub fn browser(&self) -> Browser<'_> {
        Browser {
            site: self,
            cookies: BTreeMap::new(),
            origin: Some(ISSUER),
            address: "192.0.2.7",
        }
    }

    /// A browser in which the person with the card is signed in.
    pub fn persons_browser(&self) -> Browser<'_> {
        let mut browser = self.browser();
        let session = self.session.expose().to_owned();
        browser.cookies.insert(SESSION_COOKIE.to_owned(), session);
        browser
    }

    /// A browser in which somebody signed in with an identity card.
    pub fn card(&self, serial: u32) -> Browser<'_> {
        let card = CardHolder {
            number: number(serial),
            tenant: Tenant::Sandbox,
        };
        let origin = Origin {
            network: "192.0.2.0/24".to_owned(),
            device: None,
            label: "Firefox".to_owned(),
        };
        let signed_in = self
            .provider
            .sign_in_with_card(card, &origin, None, now(), &seed());
        let session = signed_in.unwrap().session.expose().to_owned();
        let mut browser = self.browser();
        browser.cookies.insert(SESSION_COOKIE.to_owned(), session);
        browser.get("/account");
        browser
    }

    /// A request of the bank, brought by a browser.
    pub fn ask(&self, browser: &mut Browser<'_>, scopes: &[&str]) {
        let client = self.provider.client(&ClientId::new(&*self.bank)).unwrap();
        let asked = Asked {
            redirect_uri: REDIRECT.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            state: Some("s".to_owned()),
            nonce: Some("n".to_owned()),
            challenge: CHALLENGE.to_owned(),
            level: Some(Level::Low),
            max_age: None,
            prompt_login: false,
            prompt_consent: false,
            prompt_none: false,
            binding: None,
        };
        let (secret, _) = self.provider.push(&client, &asked, now(), &seed()).unwrap();
        let id = ClientId::new(&*self.bank);
        let token = self.provider.begin(&secret, &id, now(), &seed()).unwrap();
        let token = token.expose().to_owned();
        browser.cookies.insert(INTERACTION_COOKIE.to_owned(), token);
    }
}

pub struct Browser<'a> {
    pub site: &'a Site,
    pub cookies: BTreeMap<String, String>,
    pub origin: Option<&'static str>,
    pub address: &'static str,
}

impl Browser<'_> {
    pub fn call(&mut self, method: &Method, path: &str, body: &str) -> Reply {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut headers = HeaderMap::new();
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        headers.insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        headers.insert(header::ACCEPT_LANGUAGE, "en".parse().unwrap());
        if let Some(origin) = self.origin.filter(|_| *method == Method::POST) {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let call = Call {
            method,
            path,
            query,
            headers: &headers,
            body,
            certificate: None,
            now: now(),
            seed: seed(),
        };
        let reply = self.site.pages.answer(&call, self.address.parse().unwrap());
        for cookie in reply.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.starts_with("__Host-"), "{cookie}");
            assert!(
                cookie.contains("; Path=/; Secure; HttpOnly; SameSite=Lax"),
                "{cookie}"
            );
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        if reply.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/html")
        {
            let policy = reply.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap();
            assert!(policy.starts_with("default-src 'none'; "), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(
                !policy.contains("unsafe") && !policy.contains('*'),
                "{policy}"
            );
            assert_eq!(reply.headers()[header::CACHE_CONTROL], "no-store");
            assert_eq!(reply.headers()[header::REFERRER_POLICY], "same-origin");
            assert_eq!(web_ui::telling_addresses(reply.body()), [""; 0], "{path}");
        }
        // Nowhere does anybody's number, name or address go into the address of a page.
        let to = reply.headers().get(header::LOCATION);
        let to = to.map_or("", |to| to.to_str().unwrap());
        assert!(!web_ui::tells_of_a_person(to), "{path} leads to {to}");
        reply
    }

    pub fn get(&mut self, path: &str) -> Reply {
        self.call(&Method::GET, path, "")
    }

    /// Sends a form with the token of this browser.
    pub fn post(&mut self, path: &str, fields: &str) -> Reply {
        let token = self.cookies.get("__Host-csrf").cloned().unwrap_or_default();
        self.call(&Method::POST, path, &format!("csrf={token}&{fields}"))
    }
}

pub fn sent_to(reply: &Reply) -> &str {
    assert_eq!(reply.status(), StatusCode::SEE_OTHER, "{}", reply.body());
    reply.headers()[header::LOCATION].to_str().unwrap()
}

/// The value of a hidden field.
pub fn hidden(reply: &Reply, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let rest = reply.body().split(start.as_str()).nth(1).expect(name);
    rest.split('"').next().unwrap().to_owned()
}
