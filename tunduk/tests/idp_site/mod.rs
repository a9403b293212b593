//! An identity provider of the real binary, in a folder and at an address of its own, and a browser without a screen.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode, header};
use pki::issue::{Profile, Template, issue, self_signed};
use pki::{
    AttributeType, Certificate, DigestAlgorithm, KeyType, Name, SignatureAlgorithm, Signer,
    SoftwareKey,
};
use serde_json::Value;
use time::OffsetDateTime;
use transport::{
    Body, ClientTls, HttpClient, PoolLimits, Request, RequestOptions, ServerVerification,
    TlsIdentity,
};

pub const NAME: &str = "id.localhost";
pub const CARD_NAME: &str = "card.id.localhost";
pub const SIGN_NAME: &str = "sign.localhost";

/// An authority of a test, and what it issues.
pub struct Authority {
    pub certificate: Certificate,
    key: SoftwareKey,
}

pub fn p256() -> SoftwareKey {
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
    key.with_algorithm(algorithm).unwrap()
}

pub fn pem(key: &SoftwareKey) -> String {
    pki::pem::encode(&key.to_pkcs8_der().unwrap(), "PRIVATE KEY")
}

pub fn named(name: &str) -> Name {
    let builder = Name::builder().push(AttributeType::CommonName, name);
    builder.build().unwrap()
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = p256();
        let template = template(named(name), &key, Profile::Authority);
        Self {
            certificate: self_signed(&template, &key).unwrap(),
            key,
        }
    }

    pub fn issue(&self, subject: Name, key: &SoftwareKey, profile: Profile) -> Certificate {
        self.sign(&template(subject, key, profile))
    }

    pub fn sign(&self, template: &Template) -> Certificate {
        issue(template, &self.certificate, &self.key).unwrap()
    }
}

fn template(subject: Name, key: &SoftwareKey, profile: Profile) -> Template {
    let now = OffsetDateTime::now_utc();
    let mut serial = vec![0; 15];
    aws_lc_rs::rand::fill(&mut serial).unwrap();
    serial.insert(0, 1);
    Template {
        subject,
        public_key: key.public_key().clone(),
        serial,
        not_before: now - time::Duration::hours(1),
        not_after: now + time::Duration::days(30),
        profile,
        ocsp_url: None,
    }
}

/// Writes a file that only its owner can read.
pub fn secret(path: &std::path::Path, content: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

/// The folder of an identity provider, and its process if it runs.
pub struct Site {
    pub folder: tempfile::TempDir,
    pub authority: Authority,
    pub address: IpAddr,
    pub port: u16,
    pub card_port: u16,
    process: Option<Child>,
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free(address: IpAddr) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Site {
    /// Certificate, settings and keys of a new one, with lines of settings added at the end.
    pub fn new(tenant: &str, more: &str) -> Self {
        // A block of loopback for each process, so that tests beside each other do not meet.
        let [third, second, ..] = std::process::id().to_le_bytes();
        let address: IpAddr = format!("127.{}.{third}.7", second % 200 + 20)
            .parse()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("Test authority");
        let key = p256();
        let profile = Profile::TlsServer {
            dns_names: [NAME, CARD_NAME, SIGN_NAME].map(str::to_owned).into(),
            addresses: Vec::new(),
        };
        let certificate = authority.issue(named(NAME), &key, profile);
        let site = Self {
            port: free(address),
            card_port: free(address),
            folder,
            authority,
            address,
            process: None,
        };
        std::fs::write(site.path("tls.pem"), certificate.to_pem()).unwrap();
        std::fs::write(site.path("ca.pem"), site.authority.certificate.to_pem()).unwrap();
        secret(&site.path("tls.key"), &pem(&key));
        site.configure(tenant, more);
        let made = site.run(&["keys", "create"], &[]);
        assert!(made.status.success(), "{made:?}");
        site
    }

    pub fn configure(&self, tenant: &str, more: &str) {
        let text = format!(
            "issuer = \"{}\"\nlisten = \"{}:{}\"\ntenant = \"{tenant}\"\nauthorities = \"ca.pem\"\n\
             password_threads = 1\n{more}",
            self.issuer(),
            self.address,
            self.port,
        );
        std::fs::write(self.path("idp.toml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn issuer(&self) -> String {
        format!("https://{NAME}:{}", self.port)
    }

    pub fn command(&self, words: &[&str], rest: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tunduk"));
        command.arg("idp-server").args(words);
        command.arg("--config").arg(self.path("idp.toml"));
        command.args(rest);
        command
    }

    /// Runs a command beside the server.
    pub fn run(&self, words: &[&str], rest: &[&str]) -> Output {
        self.command(words, rest).output().unwrap()
    }

    pub fn output(&self, words: &[&str], rest: &[&str]) -> String {
        let output = self.run(words, rest);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts the server and waits until it is ready.
    pub fn start(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let mut process = self
            .command(&["run"], &[])
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        self.process = Some(process);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Asks the server to end; it does within the time and says that all is well.
    pub fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        let id = process.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(status) = process.try_wait().unwrap() {
                assert!(status.success(), "{status}: {}", self.log());
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = process.kill();
        let _ = process.wait();
        panic!("it does not end: {}", self.log());
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Messages that wait for the gateway, the oldest first.
    pub fn messages(&self) -> Vec<Value> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(self.path("state/spool"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        paths.sort();
        paths
            .iter()
            .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
            .collect()
    }

    /// The code of the last letter that holds one.
    pub fn last_code(&self) -> String {
        let mut messages = self.messages();
        messages.retain(|message| message["about"] == "code");
        let message = messages.pop().unwrap();
        let text = message["texts"]["en"]["subject"].as_str().unwrap();
        text.chars().filter(char::is_ascii_digit).collect()
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub fn location(&self) -> &str {
        let place = self.headers.get(header::LOCATION);
        place
            .unwrap_or_else(|| panic!("{self:?}"))
            .to_str()
            .unwrap()
    }

    /// The value of a hidden field.
    pub fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let rest = self.body.split(&start).nth(1);
        let rest = rest.unwrap_or_else(|| panic!("no {name} in {}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }
}

/// A browser without a screen: cookies, and a certificate if it has one.
pub struct Browser {
    http: HttpClient,
    options: RequestOptions,
    pub cookies: BTreeMap<String, BTreeMap<String, String>>,
    issuer: String,
}

impl Browser {
    pub fn new(site: &Site) -> Self {
        Self::with(site, None)
    }

    pub fn with(site: &Site, identity: Option<&TlsIdentity>) -> Self {
        let hosts = [NAME, CARD_NAME].map(|name| (name.to_owned(), site.address));
        let http = HttpClient::new(PoolLimits::default()).unwrap();
        let authorities =
            ServerVerification::Authorities(vec![site.authority.certificate.der().to_vec()]);
        let tls = ClientTls::new(&authorities, identity).unwrap();
        Self {
            http: http.with_hosts(hosts.into()),
            options: RequestOptions::default().with_tls(tls),
            cookies: BTreeMap::new(),
            issuer: site.issuer(),
        }
    }

    pub async fn send(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let url = if target.starts_with("https://") {
            target.to_owned()
        } else {
            format!("{}{target}", self.issuer)
        };
        let uri: http::Uri = url.parse().unwrap();
        let host = uri.host().unwrap().to_owned();
        let jar = self.cookies.entry(host).or_default();
        let mut request = Request::builder().method(method).uri(&url);
        if !jar.is_empty() {
            let pairs: Vec<String> = jar
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::full(body)).unwrap();
        let answer = self.http.request(request, &self.options).await.unwrap();
        let (head, body) = answer.into_parts();
        for cookie in head.headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let pair = text.split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = body.collect(1 << 20).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    pub async fn get(&mut self, target: &str) -> Answer {
        let english = [("accept-language", "en")];
        self.send(Method::GET, target, &english, String::new())
            .await
    }

    /// Sends a form of this site, with the token that the browser has.
    pub async fn post(&mut self, target: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self
            .cookies
            .get(NAME)
            .and_then(|jar| jar.get("__Host-csrf"))
            .cloned()
            .unwrap_or_default();
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        let issuer = self.issuer.clone();
        let headers = [
            ("accept-language", "en"),
            ("origin", issuer.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send(Method::POST, target, &headers, encode(&all))
            .await
    }

    /// Signs up with an address and the code that is sent there.
    pub async fn sign_up(&mut self, site: &Site, address: &str) {
        assert_eq!(self.get("/sign-in").await.status, 200);
        let asked = self.post("/sign-up", &[("address", address)]).await;
        assert_eq!(asked.status, 200, "{asked:?}");
        let (attempt, code) = (asked.field("attempt"), site.last_code());
        let entered = self
            .post("/sign-in/code", &[("attempt", &attempt), ("code", &code)])
            .await;
        assert_eq!(entered.status, 303, "{entered:?}");
        assert_eq!(entered.location(), "/account");
    }
}

pub fn encode(parameters: &[(&str, &str)]) -> String {
    let part = |text: &str| {
        text.bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect::<String>()
    };
    let pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", part(value)))
        .collect();
    pairs.join("&")
}

pub fn signing_key() -> jose::SigningKey {
    jose::SigningKey::new(Arc::new(p256())).unwrap()
}

/// Tries until it holds, for ten seconds.
pub async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
