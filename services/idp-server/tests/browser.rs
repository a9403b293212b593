//! The pages in a real browser: Chromium with its virtual authenticator, driven over WebDriver. A person signs up, adds a
//! passkey, signs out and comes back with the passkey alone; the pages reflow at 320 pixels.
//!
//! Needs Debian's `chromium` and `chromium-driver`. With `TUNDUK_SCREENSHOTS` set to a folder it leaves pictures there.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::*;
use idp_server::oauth::{Keys, Oauth};
use idp_server::pages::{CodePost, Pages};
use oidc_provider::*;
use serde_json::{Value, json};

#[derive(Default)]
struct Letters(Mutex<Vec<String>>);

impl CodePost for Letters {
    fn post(&self, delivery: &Delivery) -> Result<(), std::io::Error> {
        let code = delivery.code.as_ref().map_or("none", Secret::expose);
        self.0.lock().unwrap().push(code.to_owned());
        Ok(())
    }
}

/// ChromeDriver with one session; both end with it.
struct Driver {
    process: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.ask("DELETE", "", None);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Driver {
    fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("ChromeDriver; install it: apt-get install chromium chromium-driver");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines
            .find_map(|line| {
                let line = line.unwrap();
                let text = line.split("successfully on port ").nth(1)?;
                text.trim_end_matches('.').parse().ok()
            })
            .expect("ChromeDriver says its port");
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Self {
            process,
            port,
            session: String::new(),
            _profile: profile,
        };
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--lang=en",
            &format!("--user-data-dir={}", driver._profile.path().display()),
        ]
        .map(str::to_owned);
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "webauthn:virtualAuthenticators": true,
            "goog:chromeOptions": { "args": arguments },
        }}});
        let answer = driver.raw("POST", "/session", Some(&wanted));
        answer["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .clone_into(&mut driver.session);
        driver
    }

    fn raw(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let body = body.map(Value::to_string).unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        // ChromeDriver keeps its connections.
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut answer: Value = serde_json::from_slice(&body).unwrap();
        answer["value"].take()
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.raw(method, &format!("/session/{}{path}", self.session), body);
        assert!(answer.get("error").is_none(), "{method} {path}: {answer}");
        answer
    }

    fn open(&self, url: &str) {
        self.ask("POST", "/url", Some(&json!({ "url": url })));
    }

    fn find(&self, selector: &str) -> String {
        let by = json!({ "using": "css selector", "value": selector });
        let found = self.ask("POST", "/element", Some(&by));
        found
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.ask(
            "POST",
            &format!("/element/{element}/click"),
            Some(&json!({})),
        );
    }

    fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        let text = json!({ "text": text });
        self.ask("POST", &format!("/element/{element}/value"), Some(&text));
    }

    fn run(&self, script: &str) -> Value {
        let script = json!({ "script": script, "args": [] });
        self.ask("POST", "/execute/sync", Some(&script))
    }

    /// Waits until the page is another and holds a text.
    fn wait_for(&self, text: &str) {
        let mut page = String::new();
        for _ in 0..100 {
            page = self
                .run("return document.body ? document.body.innerText : ''")
                .to_string();
            if page.contains(text) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no {text:?} in {page}");
    }

    fn picture(&self, name: &str) {
        use base64::Engine as _;
        if let Some(folder) = std::env::var_os("TUNDUK_SCREENSHOTS") {
            let picture = self.ask("GET", "/screenshot", None);
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(picture.as_str().unwrap())
                .unwrap();
            std::fs::write(std::path::Path::new(&folder).join(name), bytes).unwrap();
        }
    }
}

struct NoNames;

impl idp_server::oauth::PersonClaims for NoNames {
    fn claims(
        &self,
        _: &id_registry::PersonalNumber,
        _: &std::collections::BTreeSet<String>,
    ) -> Result<serde_json::Map<String, Value>, StoreError> {
        Ok(serde_json::Map::new())
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and ChromeDriver: cargo xtask test"]
async fn a_person_signs_up_adds_a_passkey_and_comes_back_with_it_alone() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let provider = World::new(Profile::Standard).oauth.provider().clone();
    let keys = Keys {
        active: key(),
        published: Vec::new(),
    };
    let oauth = Arc::new(Oauth::new(
        provider,
        Arc::new(NoNames),
        issuer.clone(),
        keys,
    ));
    let letters = Arc::new(Letters::default());
    let hasher = Arc::new(passwords::Hasher::start(1, 8).unwrap());
    let pages = Pages::new(
        oauth,
        hasher,
        letters.clone(),
        Arc::new(Faces),
        Tenant::Sandbox,
    )
    .unwrap();
    let pages = Arc::new(pages);
    let handler = move |request, connection: Arc<transport::Connection>| {
        let pages = Arc::clone(&pages);
        async move { pages.handle(request, &connection).await }
    };
    let limits = transport::ServeLimits::default();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(transport::serve_http(listener, handler, limits, async {
        let _ = stopped.await;
    }));
    tokio::task::spawn_blocking(move || story(&issuer, &letters))
        .await
        .unwrap();
    drop(stop);
    server.await.unwrap();
}

fn story(issuer: &str, letters: &Letters) {
    let driver = Driver::start();
    let authenticator = json!({
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
        "hasUserVerification": true, "isUserVerified": true, "isUserConsenting": true,
    });
    driver.ask("POST", "/webauthn/authenticator", Some(&authenticator));
    driver.open(&format!("{issuer}/sign-in?language=en"));
    driver.picture("sign-in.png");
    driver.write("#email", "aida@example.kg");
    driver.click("form[action='/sign-up'] button");
    driver.wait_for("Enter the code");
    let code = letters.0.lock().unwrap().pop().unwrap();
    driver.write("#code", &code);
    driver.click("form[action='/sign-in/code'] button");
    driver.wait_for("My account");

    driver.write("#label", "Phone");
    driver.click("form[action='/account/add-key'] button");
    driver.wait_for("It was changed");
    driver.wait_for("Phone");
    driver.picture("account.png");
    driver.click("form[action='/sign-out'] button");
    driver.wait_for("You are signed out");

    driver.open(&format!("{issuer}/sign-in"));
    driver.click("form[action='/sign-in/passkey'] button");
    driver.wait_for("My account");

    // 320 CSS pixels, which is also 1280 at 400 % (WCAG 1.4.10), without scrolling sideways; targets of 24 pixels (2.5.8).
    let narrow = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": {
        "width": 320, "height": 640, "deviceScaleFactor": 1, "mobile": false } });
    driver.ask("POST", "/goog/cdp/execute", Some(&narrow));
    for path in [
        "/account",
        "/sign-in",
        "/device",
        "/account/freeze",
        "/first-key",
    ] {
        for language in ["ky", "ru", "en"] {
            driver.open(&format!("{issuer}{path}?language={language}"));
            let wide = driver.run("return document.documentElement.scrollWidth");
            assert!(
                wide.as_u64().unwrap() <= 320,
                "{path} in {language}: {wide}"
            );
            let small = driver.run(
                "return [...document.querySelectorAll('button, header a, .button, input:not([type=hidden])')]\
                 .map(e => e.getBoundingClientRect()).filter(r => r.width < 24 || r.height < 24).length",
            );
            assert_eq!(small, 0, "{path} in {language}");
        }
        driver.picture(&format!("narrow{}.png", path.replace('/', "-")));
    }
}
