//! A real browser: Chromium, driven over WebDriver through ChromeDriver.

use std::cell::{Cell, RefCell};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::process::workspace;

/// ChromeDriver with one session; both end with this value. Every failure ends the test.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    port: u16,
    session: String,
    authenticators: RefCell<Vec<String>>,
    has_scripts: Cell<bool>,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.raw("DELETE", &format!("/session/{}", self.session), None);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// Starts a browser without a screen, with more arguments for Chromium. It takes every certificate.
    ///
    /// # Panics
    /// Chromium or ChromeDriver is not installed.
    pub fn start(more: &[&str]) -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("ChromeDriver; install it: apt-get install chromium chromium-driver");
        let output = process.stdout.take().expect("its output");
        let mut lines = BufReader::new(output).lines();
        let port = lines
            .find_map(|line| {
                let line = line.ok()?;
                let text = line.split("successfully on port ").nth(1)?;
                text.trim_end_matches('.').parse().ok()
            })
            .expect("ChromeDriver says its port");
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().expect("a folder");
        let profile_argument = format!("--user-data-dir={}", profile.path().display());
        let mut arguments = vec![
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--ignore-certificate-errors",
            "--lang=en",
            &profile_argument,
        ];
        arguments.extend(more);
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "webauthn:virtualAuthenticators": true,
            "goog:chromeOptions": { "args": arguments },
        }}});
        let mut browser = Self {
            process,
            port,
            session: String::new(),
            authenticators: RefCell::default(),
            has_scripts: Cell::new(true),
            _profile: profile,
        };
        let answer = browser.raw("POST", "/session", Some(&wanted));
        let session = answer["sessionId"].as_str();
        session
            .unwrap_or_else(|| panic!("{answer}"))
            .clone_into(&mut browser.session);
        browser
    }

    fn raw(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("ChromeDriver");
        let limit = Some(Duration::from_secs(60));
        stream.set_read_timeout(limit).expect("a limit");
        let body = body.map(Value::to_string).unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .expect("a request");
        // ChromeDriver keeps its connections open, so the length says where the answer ends.
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a header");
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("an answer");
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        answer["value"].take()
    }

    /// A command of WebDriver in this session.
    ///
    /// # Panics
    /// It fails.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.raw(method, &format!("/session/{}{path}", self.session), body);
        assert!(answer.get("error").is_none(), "{method} {path}: {answer}");
        answer
    }

    /// Plugs an authenticator in that says yes: a phone's own (`internal`) or a security key (`usb`).
    pub fn add_authenticator(&self, transport: &str) {
        let authenticator = json!({
            "protocol": "ctap2", "transport": transport, "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true, "isUserConsenting": true,
        });
        let added = self.ask("POST", "/webauthn/authenticator", Some(&authenticator));
        let id = added.as_str().expect("an authenticator").to_owned();
        self.authenticators.borrow_mut().push(id);
    }

    /// Takes all passkeys out of the authenticators.
    pub fn forget_passkeys(&self) {
        for id in self.authenticators.borrow().iter() {
            let path = format!("/webauthn/authenticator/{id}/credentials");
            self.ask("DELETE", &path, None);
        }
    }

    /// From here on no page runs a script of its own. What a test runs is not the page's.
    pub fn without_scripts(&self) {
        self.has_scripts.set(false);
        self.let_scripts_run(false);
    }

    fn let_scripts_run(&self, run: bool) {
        let command =
            json!({ "cmd": "Emulation.setScriptExecutionDisabled", "params": { "value": !run } });
        self.ask("POST", "/goog/cdp/execute", Some(&command));
    }

    /// Goes to an address.
    pub fn open(&self, url: &str) {
        self.ask("POST", "/url", Some(&json!({ "url": url })));
    }

    /// The address where it is.
    pub fn address(&self) -> String {
        let address = self.ask("GET", "/url", None);
        address.as_str().unwrap_or_default().to_owned()
    }

    fn find(&self, selector: &str) -> String {
        let by = json!({ "using": "css selector", "value": selector });
        let found = self.ask("POST", "/element", Some(&by));
        let id = found.as_object().and_then(|found| found.values().next());
        id.and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{selector}: {found}"))
            .to_owned()
    }

    /// Clicks an element.
    pub fn click(&self, selector: &str) {
        let path = format!("/element/{}/click", self.find(selector));
        self.ask("POST", &path, Some(&json!({})));
    }

    /// Types into a field.
    pub fn write(&self, selector: &str, text: &str) {
        let path = format!("/element/{}/value", self.find(selector));
        self.ask("POST", &path, Some(&json!({ "text": text })));
    }

    /// Runs a script and gives what it returns.
    pub fn run(&self, script: &str) -> Value {
        let script = json!({ "script": script, "args": [] });
        self.ask("POST", "/execute/sync", Some(&script))
    }

    /// What the page says.
    pub fn text(&self) -> String {
        let text = self.run("return document.body ? document.body.innerText : ''");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page holds a text.
    ///
    /// # Panics
    /// It does not within ten seconds.
    pub fn wait_for(&self, text: &str) {
        let mut page = String::new();
        for _ in 0..100 {
            page = self.text();
            if page.contains(text) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no {text:?} in {page}");
    }

    /// The size of the window in CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false } });
        self.ask("POST", "/goog/cdp/execute", Some(&size));
    }

    /// Whether the page must be scrolled sideways (WCAG 1.4.10), and which targets are smaller than 24 pixels (2.5.8).
    ///
    /// # Panics
    /// Something is wrong, with `place` for a name.
    pub fn must_reflow(&self, place: &str) {
        let wide = self.run("return document.documentElement.scrollWidth - window.innerWidth");
        assert!(
            wide.as_i64().is_some_and(|wide| wide <= 0),
            "{place}: {wide} too wide"
        );
        let small = self.run(
            "return [...document.querySelectorAll('button, header a, .button, summary, input:not([type=hidden])')]\
             .filter(e => { const b = e.getBoundingClientRect(); return b.width > 0 && (b.width < 24 || b.height < 24); })\
             .map(e => e.outerHTML)",
        );
        assert_eq!(small, json!([]), "{place}: targets are too small");
    }

    /// What axe-core finds wrong with the page.
    ///
    /// # Panics
    /// axe-core is not installed (`cargo xtask test` installs it).
    #[must_use]
    pub fn axe(&self) -> Vec<String> {
        let file = workspace().join("target/node/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; `cargo xtask test` installs it",
                file.display()
            )
        });
        // axe-core waits for timers, which are scripts of the page.
        self.let_scripts_run(true);
        self.run(&axe);
        let script = json!({
            "script": "const done = arguments[0]; axe.run().then(r => done(r.violations.map(v => \
                       v.id + ': ' + v.nodes.map(n => n.html).join(' | '))));",
            "args": [],
        });
        let found = self.ask("POST", "/execute/async", Some(&script));
        self.let_scripts_run(self.has_scripts.get());
        let found = found.as_array().expect("axe-core answers").iter();
        found
            .map(|text| text.as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// What keeps people and their programs from filling fields in (WCAG 2.2, 1.3.5 and 3.3.8), which is a cognitive test.
    ///
    /// # Panics
    /// Something is wrong, with `place` for a name.
    pub fn must_be_easy_to_fill_in(&self, place: &str) {
        let hard = self.run(
            "const own = 'input:not([type=hidden], [type=checkbox], [type=radio], [type=file], [type=date])';\
             return [...document.querySelectorAll(own)].filter(field => {\
               const pasted = new ClipboardEvent('paste', { bubbles: true, cancelable: true });\
               const kept = !field.dispatchEvent(pasted);\
               const secret = field.type === 'password' && !/^(current|new)-password$/.test(field.autocomplete);\
               return kept || secret || field.readOnly || !field.hasAttribute('autocomplete');\
             }).map(field => field.outerHTML)",
        );
        assert_eq!(hard, json!([]), "{place}: fields are hard to fill in");
    }

    /// Looks at the page as everybody does: on a desk, on a phone, at 320 pixels (which is also 1280 at 400 %), with
    /// forced colours, by a machine. Leaves pictures.
    ///
    /// # Panics
    /// Something is wrong, with `name` for a name.
    pub fn look(&self, name: &str) {
        self.resize(1280, 900);
        self.picture(&format!("{name}.png"));
        self.must_be_easy_to_fill_in(name);
        self.resize(320, 640);
        self.must_reflow(name);
        self.media("forced-colors", "active");
        self.must_reflow(name);
        self.picture(&format!("{name}-forced.png"));
        self.media("forced-colors", "none");
        self.resize(390, 844);
        self.picture(&format!("{name}-phone.png"));
        let faults = self.axe();
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }

    /// Lets the browser say that its person wants it so: a media feature and its value.
    pub fn media(&self, feature: &str, value: &str) {
        let media = json!({ "cmd": "Emulation.setEmulatedMedia", "params": {
            "features": [{ "name": feature, "value": value }] } });
        self.ask("POST", "/goog/cdp/execute", Some(&media));
    }

    /// Leaves a picture of the window in the folder that `TUNDUK_SCREENSHOTS` names, if it names one.
    pub fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("TUNDUK_SCREENSHOTS") else {
            return;
        };
        let picture = self.ask("GET", "/screenshot", None);
        let bytes = STANDARD.decode(picture.as_str().unwrap_or_default());
        let path = Path::new(&folder).join(name);
        std::fs::write(path, bytes.expect("base64")).expect("a picture");
    }
}
