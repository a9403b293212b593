//! Servers of one kind over one database, and clients that reach them as through a load balancer.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode, header};
use pki::issue::{Profile, Template, issue, self_signed};
use pki::{
    AttributeType, Certificate, DigestAlgorithm, KeyType, Name, SignatureAlgorithm, Signer as _,
    SoftwareKey,
};
use store_postgres::{Place, Scratch};
use time::OffsetDateTime;
use transport::{
    Body, ClientError, ClientTls, HttpClient, PoolLimits, Request, RequestOptions,
    ServerVerification,
};

/// Connection string of a server on which tests may make databases.
const VARIABLE: &str = "TUNDUK_POSTGRES";
/// The binary of the version before: `cargo xtask prove` builds it.
const EARLIER_VARIABLE: &str = "TUNDUK_EARLIER";
/// What the servers call themselves at the database.
const NODE: &str = "node";
/// Servers of each kind.
pub const NODES: usize = 2;
/// How long a client tries to reach any server.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn p256() -> SoftwareKey {
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
    key.with_algorithm(algorithm).unwrap()
}

/// Writes a file that only its owner can read.
pub fn secret(path: &Path, content: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The binary of this version.
pub fn current() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_tunduk"))
}

/// The binary of the version before, if there is one to upgrade from.
pub fn earlier() -> Option<PathBuf> {
    std::env::var_os(EARLIER_VARIABLE).map(PathBuf::from)
}

fn template(name: &str, key: &SoftwareKey, profile: Profile) -> Template {
    let now = OffsetDateTime::now_utc();
    Template {
        subject: Name::builder()
            .push(AttributeType::CommonName, name)
            .build()
            .unwrap(),
        public_key: key.public_key().clone(),
        serial: vec![1, name.len() as u8],
        not_before: now - time::Duration::HOUR,
        not_after: now + time::Duration::days(30),
        profile,
        ocsp_url: None,
    }
}

/// A folder, a database, and a certificate for every name.
pub struct Ground {
    /// What servers are of when they first start. One that starts again is of this version.
    program: PathBuf,
    pub folder: tempfile::TempDir,
    pub parameters: String,
    pub authority: Certificate,
    // Gone with the value.
    _database: Mutex<Scratch>,
    second: u8,
    third: u8,
}

impl Ground {
    pub fn new(name: &str) -> Self {
        Self::begun_by(current(), name)
    }

    /// With servers of another version.
    pub fn begun_by(program: PathBuf, name: &str) -> Self {
        let server = std::env::var(VARIABLE)
            .unwrap_or_else(|_| panic!("{VARIABLE} names no PostgreSQL; run: cargo xtask test"));
        let database = format!("tunduk_nodes_{name}_{}", std::process::id());
        let admin = Place::new(&format!("{server} dbname=postgres")).unwrap();
        let scratch = admin.scratch(&database).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let parameters = format!("{server} dbname={database}");
        let of_servers = format!("{parameters} application_name={NODE}");
        secret(&folder.path().join("db.conn"), &of_servers);
        let (root, key) = (p256(), p256());
        let authority = self_signed(&template("CA", &root, Profile::Authority), &root).unwrap();
        let names = ["id.localhost", "sign.localhost"];
        let profile = Profile::TlsServer {
            dns_names: names.map(str::to_owned).to_vec(),
            addresses: Vec::new(),
        };
        let leaf = issue(&template("servers", &key, profile), &authority, &root).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.to_pem()).unwrap();
        std::fs::write(folder.path().join("tls.pem"), leaf.to_pem()).unwrap();
        let pem = pki::pem::encode(&key.to_pkcs8_der().unwrap(), "PRIVATE KEY");
        secret(&folder.path().join("tls.key"), &pem);
        static PLACES: AtomicU8 = AtomicU8::new(0);
        // A block of loopback for each process and test, so that tests beside each other do not meet.
        let [low, high, ..] = std::process::id().to_le_bytes();
        Self {
            program,
            folder,
            parameters,
            authority,
            _database: Mutex::new(scratch),
            second: 100 + high % 32 * 4 + PLACES.fetch_add(1, Ordering::Relaxed) % 4,
            third: low,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn address(&self, fourth: usize) -> IpAddr {
        IpAddr::from([127, self.second, self.third, fourth as u8])
    }

    /// The binary with which this began.
    pub fn tunduk(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words);
        command
    }

    /// Breaks off every connection that a server has, whatever it is doing.
    pub fn break_connections(&self) {
        self.execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = '{NODE}'"
        ));
    }

    /// Does something to the database that no server does.
    pub fn execute(&self, sql: &str) {
        let done = Command::new("psql")
            .args([
                "--no-psqlrc",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                "--command",
                sql,
            ])
            .arg(&self.parameters)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

struct Node {
    words: Vec<String>,
    log: PathBuf,
    process: Mutex<Option<Child>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Node {
    fn start(&self, program: &Path) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let mut process = Command::new(program)
            .args(&self.words)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n", "{}", self.said());
        *self.process.lock().unwrap() = Some(process);
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn kill(&self) {
        let mut process = self.process.lock().unwrap().take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Asks it to end, as an upgrade does; it finishes what it has begun.
    fn end(&self) {
        let mut process = self.process.lock().unwrap().take().unwrap();
        let id = process.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(asked.success());
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Some(status) = process.try_wait().unwrap() {
                assert!(status.success(), "{status}: {}", self.said());
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = process.kill();
        let _ = process.wait();
        panic!("it does not end: {}", self.said());
    }
}

/// Servers of one kind.
pub struct Service {
    /// See [`Balanced::lenient`].
    pub lenient: AtomicBool,
    pub origin: String,
    host: String,
    addresses: [IpAddr; NODES],
    nodes: [Node; NODES],
    authority: Vec<u8>,
}

impl Service {
    /// Servers that are started with these words; `configure` writes the settings of one for its place and address, and
    /// gives the words.
    pub fn start(
        ground: &Ground,
        name: &str,
        place: usize,
        scheme: &str,
        port: u16,
        configure: impl Fn(usize, &str, &str) -> Vec<String>,
    ) -> Self {
        let addresses = [0, 1].map(|node| ground.address(place + node));
        let host = format!("{name}.localhost");
        let origin = format!("{scheme}://{host}:{port}");
        let nodes = [0, 1].map(|node| Node {
            words: configure(node, &format!("{}:{port}", addresses[node]), &origin),
            log: ground.path(&format!("{name}-{node}.log")),
            process: Mutex::new(None),
        });
        let service = Self {
            lenient: AtomicBool::new(false),
            origin,
            host,
            addresses,
            nodes,
            authority: ground.authority.der().to_vec(),
        };
        for node in &service.nodes {
            node.start(&ground.program);
        }
        service
    }

    pub fn kill(&self, node: usize) {
        self.nodes[node % NODES].kill();
    }

    pub fn end(&self, node: usize) {
        self.nodes[node % NODES].end();
    }

    /// Starts a server of this version in the place of one that ended.
    pub fn start_again(&self, node: usize) {
        self.nodes[node % NODES].start(&current());
    }

    pub fn logs(&self) -> String {
        self.nodes.iter().map(Node::said).collect()
    }

    pub fn client(&self) -> Balanced {
        static FIRST: AtomicUsize = AtomicUsize::new(0);
        let authorities = ServerVerification::Authorities(vec![self.authority.clone()]);
        let tls = ClientTls::new(&authorities, None).unwrap();
        let http = self.addresses.map(|address| {
            let hosts = BTreeMap::from([(self.host.clone(), address)]);
            HttpClient::new(PoolLimits::default())
                .unwrap()
                .with_hosts(hosts)
        });
        Balanced {
            runtime: runtime(),
            http,
            options: RequestOptions::default().with_tls(tls),
            origin: self.origin.clone(),
            turn: FIRST.fetch_add(1, Ordering::Relaxed),
            lenient: self.lenient.load(Ordering::Relaxed),
            cookies: BTreeMap::new(),
        }
    }
}

/// All browsers share one: thousands of them would run out of files. Threads of its own see between requests that a server
/// closed a kept connection.
fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    })
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub fn location(&self) -> &str {
        let place = self.headers.get(header::LOCATION);
        place
            .unwrap_or_else(|| panic!("{self:?}"))
            .to_str()
            .unwrap()
    }
}

/// Whether a request may be sent again when it is not known whether it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    Yes,
    No,
}

/// A client behind a load balancer: each request goes to another server; one that cannot be reached gets none. It keeps
/// cookies.
pub struct Balanced {
    runtime: &'static tokio::runtime::Runtime,
    http: [HttpClient; NODES],
    options: RequestOptions,
    pub origin: String,
    turn: usize,
    /// Whether servers may say that they cannot just now: then nobody knows whether a request was done.
    pub lenient: bool,
    pub cookies: BTreeMap<String, String>,
}

impl Balanced {
    /// Sends a request; none if the server broke off and nobody knows whether it did it.
    pub fn send(
        &mut self,
        again: Again,
        method: &Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let url = format!("{}{target}", self.origin);
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.turn += 1;
            let mut request = Request::builder().method(method.clone()).uri(&url);
            if !self.cookies.is_empty() {
                let pairs: Vec<String> = self
                    .cookies
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                request = request.header(header::COOKIE, pairs.join("; "));
            }
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(Body::full(body.to_owned())).unwrap();
            let http = &self.http[self.turn % NODES];
            let options = &self.options;
            let sent = self.runtime.block_on(async {
                let (head, body) = http.request(request, options).await?.into_parts();
                // A body that breaks off is an answer that did not arrive.
                let body = body.collect(1 << 20).await.ok();
                Ok::<_, ClientError>((head, body))
            });
            match sent {
                Ok((head, _)) if self.lenient && head.status.is_server_error() => {
                    if again == Again::No {
                        return None;
                    }
                }
                Ok((head, Some(body))) => {
                    self.keep(&head.headers);
                    return Some(Answer {
                        status: head.status,
                        headers: head.headers,
                        body: String::from_utf8_lossy(&body).into_owned(),
                    });
                }
                Err(ClientError::Connect { .. } | ClientError::Tls { .. }) => {
                    // Nothing was sent.
                }
                Ok((_, None)) | Err(_) if again == Again::No => return None,
                Ok((_, None)) | Err(_) => {}
            }
            assert!(Instant::now() < deadline, "no server of {url} answers");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn keep(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let pair = text.split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub fn get(&mut self, target: &str) -> Answer {
        let english = [("accept-language", "en")];
        self.send(Again::Yes, &Method::GET, target, &english, "")
            .unwrap()
    }

    /// Sends a form of a page, with this browser's token.
    pub fn post(&mut self, again: Again, target: &str, fields: &[(&str, &str)]) -> Option<Answer> {
        let csrf = self.cookies.get("__Host-csrf").cloned().unwrap_or_default();
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        let origin = self.origin.clone();
        let headers = [
            ("accept-language", "en"),
            ("origin", origin.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send(again, &Method::POST, target, &headers, &oauth2::form(&all))
    }

    /// A call of a client that proves itself with an assertion: a fresh one each time, as it is taken once.
    pub fn call(
        &mut self,
        again: Again,
        peer: &Peer,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Option<Answer> {
        for _ in 0..if again == Again::Yes { 20 } else { 1 } {
            let id = unique("jti");
            let now = OffsetDateTime::now_utc();
            let proof =
                oauth2::client_authentication(&peer.key, &peer.id, &self.origin, &id, now).unwrap();
            let mut all: Vec<(&str, &str)> = proof
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            all.extend(parameters);
            let form = [("content-type", "application/x-www-form-urlencoded")];
            let body = oauth2::form(&all);
            let answer = self.send(Again::No, &Method::POST, path, &form, &body);
            if answer.is_some() {
                return answer;
            }
        }
        None
    }
}

/// A relying party or client.
pub struct Peer {
    pub id: String,
    pub key: jose::SigningKey,
}

pub fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

pub fn unique(what: &str) -> String {
    format!("{what}-{}", hex::encode(&random()[..12]))
}

pub fn parameter(uri: &str, name: &str) -> Option<String> {
    let query = uri.split_once('?')?.1;
    oauth2::Parameters::decode(query)
        .unwrap()
        .get(name)
        .map(str::to_owned)
}
