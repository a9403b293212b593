//! The identity provider's pages behind a listener, and a story that somebody plays on them in a browser and a language.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use http::{Request, Response, header};
use id_registry::{PersonalNumber, Theme};
use idp_server::card::CardError;
use idp_server::oauth::{Call, Keys, Oauth};
use idp_server::pages::{CARD_PATH, CodePost, Pages, TEXTS};
use oidc_provider::*;
use serde_json::{Map, Value, json};
use testkit::Browser;
use time::{Date, OffsetDateTime};
use tokio::sync::oneshot;
use transport::{Body, Connection};
use web_ui::{Language, Texts};

use crate::common::{CHALLENGE, Faces, REDIRECT, key, number, seed};

pub const TENANT: Tenant = Tenant::People;
/// The parent and the child of the register.
pub const PARENT: u32 = 3;
pub const CHILD: u32 = 5;

#[derive(Default)]
struct Letters(Mutex<Vec<String>>);

impl CodePost for Letters {
    fn post(&self, delivery: &Delivery) -> Result<(), std::io::Error> {
        let code = delivery.code.as_ref().map_or("none", Secret::expose);
        self.0.lock().unwrap().push(code.to_owned());
        Ok(())
    }
}

struct Register;

impl idp_server::oauth::PersonClaims for Register {
    fn claims(
        &self,
        _: &PersonalNumber,
        _: &BTreeSet<String>,
    ) -> Result<Map<String, Value>, StoreError> {
        Ok(Map::new())
    }
}

impl Relations for Register {
    fn may_act(
        &self,
        actor: PersonalNumber,
        subject: PersonalNumber,
        _: Theme,
        _: Date,
    ) -> Result<bool, StoreError> {
        Ok(actor == number(PARENT) && subject == number(CHILD))
    }
}

/// What the server was asked for: each path, and whether a page answered it.
type Asked = Arc<Mutex<BTreeMap<String, bool>>>;

/// The server, until this value ends.
pub struct Site {
    pub issuer: String,
    pub provider: Provider,
    letters: Arc<Letters>,
    /// Whose identity card is in the reader. Cards and their certificates are `tunduk/tests/idp_card.rs`.
    card: Arc<Mutex<Option<PersonalNumber>>>,
    asked: Asked,
    _stop: oneshot::Sender<()>,
}

impl Site {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let store = Arc::new(MemoryStore::default());
        let provider = Provider::new(store, Arc::new(Register), &[3; 32]);
        let keys = Keys {
            active: key(),
            published: Vec::new(),
        };
        let oauth = Oauth::new(provider.clone(), Arc::new(Register), issuer.clone(), keys);
        let letters = Arc::new(Letters::default());
        let hasher = Arc::new(passwords::Hasher::start(1, 8).unwrap());
        let pages = Pages::new(
            Arc::new(oauth),
            hasher,
            letters.clone(),
            Arc::new(Faces),
            TENANT,
        );
        let pages = Arc::new(pages.unwrap().with_cards_at(issuer.clone()));
        let (asked, card) = (Asked::default(), Arc::new(Mutex::new(None)));
        let (noted, reader) = (asked.clone(), card.clone());
        let handler = move |request: Request<Body>, connection: Arc<Connection>| {
            let (pages, noted, reader) = (pages.clone(), noted.clone(), reader.clone());
            async move {
                let path = request.uri().path().to_owned();
                if path == CARD_PATH {
                    return show_card(&pages, &request, *reader.lock().unwrap());
                }
                let reply = pages.handle(request, &connection).await;
                let kind = reply.headers().get(header::CONTENT_TYPE);
                let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
                *noted.lock().unwrap().entry(path).or_default() |= is_page;
                reply
            }
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let limits = transport::ServeLimits::default();
        tokio::spawn(transport::serve_http(
            listener,
            handler,
            limits,
            async move {
                let _ = stopped.await;
            },
        ));
        Self {
            issuer,
            provider,
            letters,
            card,
            asked,
            _stop: stop,
        }
    }

    /// The code that was sent last.
    pub fn code(&self) -> String {
        self.letters.0.lock().unwrap().pop().unwrap()
    }

    /// Puts somebody's identity card into the reader; nobody's takes it out.
    pub fn insert_card(&self, serial: Option<u32>) {
        *self.card.lock().unwrap() = serial.map(number);
    }

    /// A session of somebody at another place, for what is not played in the browser.
    pub fn elsewhere(&self, serial: u32) -> Authenticated {
        let holder = CardHolder {
            number: number(serial),
            tenant: TENANT,
        };
        let origin = Origin {
            network: "192.0.2.0/24".to_owned(),
            device: None,
            label: "Firefox, Windows".to_owned(),
        };
        let now = OffsetDateTime::now_utc();
        let signed_in = self
            .provider
            .sign_in_with_card(holder, &origin, None, now, &seed());
        let session = signed_in.unwrap().session;
        self.provider.session(&session, now).unwrap()
    }

    /// The relying party of a name.
    pub fn client(&self, owner: u32, name: &str) -> ClientId {
        let owner = self.elsewhere(owner);
        let all = self.provider.clients_of(&owner.account().id).unwrap();
        let found = all.into_iter().find(|client| client.name("en") == name);
        found.expect(name).id
    }

    /// Every path that was asked for, and those of them that answered with a page.
    pub fn asked(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let asked = self.asked.lock().unwrap();
        let pages = asked.iter().filter(|(_, is_page)| **is_page);
        let pages = pages.map(|(path, _)| path.clone()).collect();
        (asked.keys().cloned().collect(), pages)
    }
}

fn show_card(
    pages: &Pages,
    request: &Request<Body>,
    card: Option<PersonalNumber>,
) -> Response<Body> {
    let call = Call {
        method: request.method(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        headers: request.headers(),
        body: "",
        certificate: None,
        now: OffsetDateTime::now_utc(),
        seed: seed(),
    };
    let holder = card.ok_or(CardError::Not("there is none"));
    pages.card_shown(&call, holder).map(Body::full)
}

/// Somebody at a browser, in a language.
pub struct Story<'a> {
    pub browser: &'a Browser,
    pub site: &'a Site,
    language: Language,
    texts: Texts,
    looked: RefCell<BTreeSet<String>>,
}

impl<'a> Story<'a> {
    pub fn new(browser: &'a Browser, site: &'a Site, language: Language) -> Self {
        Self {
            browser,
            site,
            language,
            texts: Texts::new(TEXTS).unwrap(),
            looked: RefCell::default(),
        }
    }

    /// A text of the pages.
    pub fn say(&self, key: &str) -> String {
        let text = self.texts.find(self.language, key, None);
        text.unwrap_or_else(|| panic!("no text {key}"))
    }

    pub fn say_of(&self, key: &str, value: &str) -> String {
        let text = self.texts.find(self.language, key, Some(value));
        text.unwrap_or_else(|| panic!("no text {key}"))
    }

    pub fn open(&self, path: &str) {
        let sign = if path.contains('?') { '&' } else { '?' };
        let code = self.language.code();
        let address = format!("{}{path}{sign}language={code}", self.site.issuer);
        self.browser.open(&address);
    }

    /// Opens what is folded up.
    pub fn unfold(&self) {
        self.browser
            .run("document.querySelectorAll('details').forEach(part => part.open = true)");
    }

    /// Types into a field instead of what is there.
    pub fn write(&self, selector: &str, text: &str) {
        self.unfold();
        self.browser.run(&format!(
            "document.querySelector({}).value = ''",
            json!(selector)
        ));
        self.browser.write(selector, text);
    }

    pub fn click(&self, selector: &str) {
        self.unfold();
        self.browser.click(selector);
    }

    /// Clicks what leads to another page, and waits until this one is gone.
    pub fn press(&self, selector: &str) {
        self.browser.run("window.isEarlier = true");
        self.click(selector);
        for _ in 0..100 {
            if self.browser.run("return window.isEarlier === undefined") == true {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{selector} leads nowhere: {}", self.in_main());
    }

    /// Sends the first form that goes to an address.
    pub fn send(&self, action: &str) {
        self.press(&format!("form[action='{action}'] button[type=submit]"));
    }

    /// Sends a form that the browser itself would hold back, for a field is wrong.
    pub fn send_wrong(&self, action: &str) {
        let form = json!(format!("form[action='{action}']"));
        self.browser
            .run(&format!("document.querySelector({form}).noValidate = true"));
        self.send(action);
    }

    fn in_main(&self) -> String {
        let text = self
            .browser
            .run("return document.querySelector('main')?.innerText ?? ''");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page says something.
    pub fn wait(&self, text: &str) {
        for _ in 0..100 {
            if self.in_main().contains(text) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!(
            "no {text:?} at {} in {}",
            self.browser.address(),
            self.in_main()
        );
    }

    /// Waits until the browser is sent to an address, where nobody is.
    pub fn goes_to(&self, address: &str) {
        for _ in 0..100 {
            if self.browser.address().starts_with(address) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("still at {}", self.browser.address());
    }

    pub fn shows(&self, text: &str) -> bool {
        self.in_main().contains(text)
    }

    /// Looks at the page, once it says the text of a key.
    pub fn see(&self, key: &str) {
        self.see_as(key, key);
    }

    /// The same, with a name of its own for the pictures.
    pub fn see_as(&self, key: &str, name: &str) {
        self.wait(&self.say(key));
        self.look(name);
    }

    pub fn see_of(&self, key: &str, value: &str) {
        self.wait(&self.say_of(key, value));
        self.look(key);
    }

    fn look(&self, name: &str) {
        let address = self.browser.address();
        let path = address.strip_prefix(&self.site.issuer).expect("our page");
        let path = path.split('?').next().unwrap_or_default().to_owned();
        self.looked.borrow_mut().insert(path);
        self.browser
            .look(&format!("idp-{name}-{}", self.language.code()));
    }

    /// What the page shows large, to be typed elsewhere.
    pub fn shown_code(&self) -> String {
        let code = self
            .browser
            .run("return document.querySelector('.shown-code').innerText");
        code.as_str().unwrap().trim().to_owned()
    }

    /// Somebody sits down at the browser and signs in by card.
    pub fn enter(&self, serial: u32) {
        self.leave();
        self.site.insert_card(Some(serial));
        self.open("/sign-in");
        self.press("a[href='/sign-in/card']");
        self.wait(&self.say("account-level"));
    }

    /// The browser as it was bought.
    pub fn leave(&self) {
        self.browser.ask("DELETE", "/cookie", None);
    }

    /// A relying party's request reaches the browser.
    pub fn bring(&self, client: &ClientId, scopes: &[&str], level: Level) {
        let provider = &self.site.provider;
        let now = OffsetDateTime::now_utc();
        let active = provider.client(client).unwrap();
        let asked = oidc_provider::Asked {
            redirect_uri: REDIRECT.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            state: Some("s".to_owned()),
            nonce: Some("n".to_owned()),
            challenge: CHALLENGE.to_owned(),
            level: Some(level),
            max_age: None,
            prompt_login: false,
            prompt_consent: false,
            prompt_none: false,
            binding: None,
        };
        let (request, _) = provider.push(&active, &asked, now, &seed()).unwrap();
        let token = provider.begin(&request, client, now, &seed()).unwrap();
        let cookie = json!({ "cookie": {
            "name": idp_server::oauth::INTERACTION_COOKIE, "value": token.expose(), "path": "/", "secure": true,
            "httpOnly": true,
        }});
        self.browser.ask("POST", "/cookie", Some(&cookie));
    }

    /// Whether every page that was answered was looked at, too.
    pub fn must_have_seen_all(&self) {
        let (_, pages) = self.site.asked();
        let unseen: Vec<_> = pages.difference(&self.looked.borrow()).cloned().collect();
        assert!(unseen.is_empty(), "nobody looked at {unseen:?}");
    }
}
