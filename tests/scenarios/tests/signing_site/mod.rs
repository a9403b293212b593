//! A signing server of the real binary beside a certification authority of the real binary, with a bank and an identity
//! provider as its clients.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode, header};
use jose::{JwkSet, SigningKey};
use oauth2::form;
use pki::{
    AttributeType, Certificate, DigestAlgorithm, KeyType, Name, SignatureAlgorithm, Signer as _,
    SoftwareKey,
};
use serde_json::{Value, json};
use testkit::binary;
use time::OffsetDateTime;
use transport::{
    Body, ClientTls, HttpClient, PoolLimits, Request, RequestOptions, ServerVerification,
};
use trust_server::{NewTrustStore, TrustStore};
use webauthn::SoftwareAuthenticator;

pub const NAME: &str = "sign.localhost";
pub const PERSON: &str = "20101199000011";
pub const OFFICER: &str = "10202198000022";
pub const REDIRECT: &str = "https://bank.localhost/signed";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A process that ends with the test.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    pub fn start(mut command: Command, log: &PathBuf) -> Self {
        let file = std::fs::File::options().create(true).append(true).open(log);
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(file.unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        let said = std::fs::read_to_string(log).unwrap_or_default();
        assert_eq!(line, "ready\n", "{said}");
        Self(process)
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Asks it to end.
    pub fn stop(mut self) {
        let id = self.0.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

/// The folder of a signing server, its certification authority, a bank and an identity provider.
pub struct Site {
    pub folder: tempfile::TempDir,
    pub address: IpAddr,
    pub port: u16,
    pub trust: TrustStore,
    /// Where the authority, its responder and its time-stamps are.
    pub authority: String,
    bank: SigningKey,
    idp: SigningKey,
    _authority_process: Server,
    pub server: Option<Server>,
    /// For the environment of the server's processes.
    pub environment: Vec<(&'static str, PathBuf)>,
}

fn free(address: IpAddr) -> u16 {
    TcpListener::bind((address, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl Site {
    pub fn new() -> Self {
        let [third, second, ..] = std::process::id().to_le_bytes();
        let address: IpAddr = format!("127.{}.{third}.8", second % 200 + 20)
            .parse()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (port, authority_port) = (free(address), free(address));
        let new = NewTrustStore {
            ocsp_url: Some(format!("http://{address}:{authority_port}/ocsp")),
            ..NewTrustStore::for_instance("TEST", KeyType::EcP256).unwrap()
        };
        let trust = TrustStore::create(&path("trust"), &new).unwrap();
        std::fs::write(path("ca.pem"), trust.ca_certificate().to_pem()).unwrap();
        let key = p256();
        let subject = named(NAME);
        let names = vec![NAME.to_owned()];
        let tls = trust
            .issue_tls_server(subject, key.public_key(), names, Vec::new())
            .unwrap();
        std::fs::write(path("tls.pem"), tls.to_pem()).unwrap();
        secret(&path("tls.key"), &pem(&key));
        let [bank, idp] = ["bank", "idp"].map(|name| {
            let key = p256();
            // For programs outside, which play the client.
            secret(&path(&format!("{name}.key")), &pem(&key));
            let key = SigningKey::new(Arc::new(key)).unwrap();
            let set = JwkSet::new(vec![key.public().clone()]).to_value();
            std::fs::write(path(&format!("{name}.jwks")), set.to_string()).unwrap();
            key
        });
        let text = format!(
            "origin = \"https://{NAME}:{port}\"\nlisten = \"{address}:{port}\"\nauthorities = \"ca.pem\"\n\
             time_stamping = \"http://{address}:{authority_port}/tsa\"\n\
             [authority]\nurl = \"http://{address}:{authority_port}\"\nname = \"signing\"\nkey = \"orders.key\"\n\
             [[client]]\nid = \"bank\"\nnames = {{ en = \"The bank\" }}\nkeys = \"bank.jwks\"\n\
             redirect_uris = [\"{REDIRECT}\"]\nduties = [\"sign\"]\n\
             [[client]]\nid = \"idp\"\nnames = {{ en = \"Sign-in\" }}\nkeys = \"idp.jwks\"\nduties = [\"freeze\"]\n"
        );
        std::fs::write(path("signing.toml"), text).unwrap();
        let mut command = Command::new(binary());
        command
            .args(["trust-server", "run", "--state"])
            .arg(path("trust"))
            .args([
                "--listen",
                &SocketAddr::from((address, authority_port)).to_string(),
            ]);
        let authority = Server::start(command, &path("trust.log"));
        Self {
            address,
            port,
            trust,
            authority: format!("http://{address}:{authority_port}"),
            bank,
            idp,
            _authority_process: authority,
            server: None,
            environment: Vec::new(),
            folder,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("signing-server").args(words);
        command.arg("--config").arg(self.path("signing.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn said(&self, words: &[&str]) -> Result<String, String> {
        let output = self.command(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }

    pub fn start(&mut self) {
        self.server = Some(Server::start(self.command(&["run"]), &self.path("log")));
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub fn origin(&self) -> String {
        format!("https://{NAME}:{}", self.port)
    }
}

/// An HTTP client with cookies, for browsers and clients alike.
pub struct Peer<'a> {
    site: &'a Site,
    http: HttpClient,
    options: RequestOptions,
    pub cookies: BTreeMap<String, String>,
}

impl<'a> Peer<'a> {
    pub fn new(site: &'a Site) -> Self {
        let authorities = vec![site.trust.ca_certificate().der().to_vec()];
        let tls = ClientTls::new(&ServerVerification::Authorities(authorities), None).unwrap();
        let hosts = BTreeMap::from([(NAME.to_owned(), site.address)]);
        Self {
            site,
            http: HttpClient::new(PoolLimits::default())
                .unwrap()
                .with_hosts(hosts),
            options: RequestOptions::default()
                .with_tls(tls)
                .with_total(Duration::from_secs(20)),
            cookies: BTreeMap::new(),
        }
    }

    pub async fn send(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let url = format!("{}{target}", self.site.origin());
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("accept-language", "en")
            .header(header::COOKIE, pairs.join("; "));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::full(body)).unwrap();
        let answer = self.http.request(request, &self.options).await.unwrap();
        let (head, body) = answer.into_parts();
        for cookie in head.headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let body = body.collect(1 << 20).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    pub async fn get(&mut self, target: &str) -> Answer {
        self.send(Method::GET, target, &[], String::new()).await
    }

    pub async fn post(&mut self, target: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.cookies.get("__Host-csrf").cloned().unwrap_or_default();
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        let origin = self.site.origin();
        let headers = [
            ("origin", origin.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send(Method::POST, target, &headers, form(&all)).await
    }

    /// What the script asks for, and the challenge in it.
    pub async fn question(&mut self, target: &str) -> (Value, Vec<u8>) {
        let answer = self.post(target, &[]).await.json();
        let challenge = answer["options"]["challenge"].as_str().unwrap();
        let challenge = jose::from_base64url(challenge).unwrap();
        (answer, challenge)
    }

    pub async fn sign_in(&mut self, key: &SoftwareAuthenticator) -> String {
        self.get("/sign-in").await;
        let (question, challenge) = self.question("/sign-in/options").await;
        let answer = key.assert(&self.site.origin(), &challenge).unwrap();
        let ceremony = question["ceremony"].as_str().unwrap();
        let fields = [("ceremony", ceremony), ("answer", answer.as_str())];
        self.post("/sign-in", &fields).await.location().to_owned()
    }

    pub async fn approve(&mut self, page: &str, key: &SoftwareAuthenticator) -> Answer {
        self.get(page).await;
        let (_, challenge) = self.question(&format!("{page}/options")).await;
        let answer = key.assert(&self.site.origin(), &challenge).unwrap();
        self.post(page, &[("answer", &answer)]).await
    }

    /// A call of a client, with a fresh assertion.
    pub async fn client(&mut self, id: &str, target: &str, parameters: &[(&str, &str)]) -> Answer {
        let key = if id == "bank" {
            &self.site.bank
        } else {
            &self.site.idp
        };
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).unwrap();
        let (unique, now) = (jose::to_base64url(&random), OffsetDateTime::now_utc());
        let proof =
            oauth2::client_authentication(key, id, &self.site.origin(), &unique, now).unwrap();
        let mut all: Vec<_> = proof
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        all.extend(parameters);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(Method::POST, target, &headers, form(&all)).await
    }

    pub async fn service_token(&mut self, id: &str) -> String {
        let parameters = [("grant_type", "client_credentials"), ("scope", "service")];
        let token = self.client(id, "/oauth2/token", &parameters).await;
        token.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub async fn bearer(&mut self, token: &str, target: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        self.send(Method::POST, target, &headers, body.to_string())
            .await
    }
}

pub fn code_of(page: &Answer) -> String {
    let rest = page.body.split("shown-code\"><strong>").nth(1);
    let rest = rest.unwrap_or_else(|| panic!("{page:?}"));
    rest.split('<').next().unwrap().to_owned()
}

pub fn after(uri: &str, name: &str) -> String {
    let query = uri.split_once('?').unwrap().1;
    let parameters = oauth2::Parameters::decode(query).unwrap();
    parameters
        .get(name)
        .unwrap_or_else(|| panic!("{uri}"))
        .to_owned()
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
}

pub fn p256() -> SoftwareKey {
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
    key.with_algorithm(algorithm).unwrap()
}

fn named(name: &str) -> Name {
    let builder = Name::builder().push(AttributeType::CommonName, name);
    builder.build().unwrap()
}

/// Writes a file that only its owner can read.
pub fn secret(path: &PathBuf, content: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

pub fn pem(key: &SoftwareKey) -> String {
    pki::pem::encode(&key.to_pkcs8_der().unwrap(), "PRIVATE KEY")
}

/// An authenticator for this site.
pub fn authenticator(name: &str) -> SoftwareAuthenticator {
    SoftwareAuthenticator::generate(NAME, name.as_bytes().to_vec(), false).unwrap()
}

/// Tries until it holds, for ten seconds.
pub async fn eventually(what: &str, mut attempt: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !attempt().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Site {
    /// Makes the keys, lets the authority take orders, and makes somebody an officer with this passkey. Gives the officer's
    /// id.
    pub fn set_up(&self, officer: &SoftwareAuthenticator) -> String {
        let public = self.said(&["key", "create"]).unwrap();
        let der = pki::pem::decode(public.as_bytes(), "PUBLIC KEY").unwrap();
        let key = pki::PublicKey::from_spki_der(&der).unwrap();
        self.trust.admit("signing", &key).unwrap();
        let passkey = json!({ "passkey": {
            "id": officer.credential_id(), "publicKey": officer.public_key(), "algorithm": -7, "label": "desk",
        }});
        let file = self.path("officer.json");
        std::fs::write(&file, passkey.to_string()).unwrap();
        let file = file.to_str().unwrap();
        let add = [
            "officer",
            "add",
            "--number",
            OFFICER,
            "--office",
            "Bishkek 1",
            "--passkey",
            file,
        ];
        self.said(&add).unwrap().trim().to_owned()
    }
}

impl Site {
    /// An officer and a person's phone enrol the person; gives the phone.
    pub async fn enrolled(
        &self,
        officer: &SoftwareAuthenticator,
        person: &SoftwareAuthenticator,
    ) -> Peer<'_> {
        let (mut desk, mut phone) = (Peer::new(self), Peer::new(self));
        assert_eq!(desk.sign_in(officer).await, "/desk");
        let fields = [
            ("number", PERSON),
            ("surname", "Асанова"),
            ("given_name", "Айгүл"),
            ("qualified", "yes"),
            ("reference", "portrait 5/26"),
            ("compared", "yes"),
        ];
        let code = code_of(&desk.post("/desk/enrol", &fields).await);
        phone.get("/enrol").await;
        phone.post("/enrol", &[("code", &code)]).await;
        let (_, challenge) = phone.question("/enrol/options").await;
        let created = person.register(&self.origin(), &challenge);
        let fields = [
            ("code", code.as_str()),
            ("answer", &created),
            ("label", "My phone"),
        ];
        let page = phone.post("/enrol/key", &fields).await;
        let page = page.location().to_owned();
        assert!(phone.approve(&page, person).await.body.contains("Others"));
        let done = desk.approve(&page, officer).await;
        assert!(
            done.body.contains("<h1>Done</h1>"),
            "{done:?}\n{}",
            self.log()
        );
        phone
    }
}

impl Peer<'_> {
    /// The bank finds the person's credential: its id and certificate.
    pub async fn credential(&mut self) -> (String, Certificate) {
        let token = self.service_token("bank").await;
        let wanted = json!({ "userID": PERSON, "onlyValid": true });
        let listed = self
            .bearer(&token, "/csc/v2/credentials/list", &wanted)
            .await
            .json();
        let credential = listed["credentialIDs"][0].as_str().unwrap().to_owned();
        let info = json!({ "credentialID": credential, "certificates": "chain" });
        let info = self
            .bearer(&token, "/csc/v2/credentials/info", &info)
            .await
            .json();
        let certificate = info["cert"]["certificates"][0].as_str().unwrap();
        let certificate = Certificate::decode(&csc::from_base64(certificate).unwrap()).unwrap();
        (credential, certificate)
    }

    /// The bank asks for a signature over a document; gives where the browser is sent.
    pub async fn ask(&mut self, credential: &str, hash: &str, label: &str) -> String {
        let details = json!([{
            "type": "credential", "credentialID": credential, "hashAlgorithmOID": csc::SHA256,
            "documentDigests": [{ "hash": hash, "label": label }],
        }])
        .to_string();
        let asked = [
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("state", "s"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("authorization_details", &details),
        ];
        let pushed = self
            .client("bank", "/oauth2/pushed_authorize", &asked)
            .await
            .json();
        let uri = pushed["request_uri"].as_str().unwrap();
        let query = form(&[("client_id", "bank"), ("request_uri", uri)]);
        format!("/oauth2/authorize?{query}")
    }

    /// The bank redeems the code that came back with the browser; gives the credential token.
    pub async fn redeem(&mut self, code: &str) -> String {
        let redeem = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        let token = self.client("bank", "/oauth2/token", &redeem).await.json();
        token["access_token"].as_str().unwrap().to_owned()
    }

    /// The person confirms in this browser what the bank asked for; gives the code.
    pub async fn confirm(&mut self, address: &str, person: &SoftwareAuthenticator) -> String {
        let page = self.get(address).await.location().to_owned();
        let back = self.approve(&page, person).await.location().to_owned();
        after(&back, "code")
    }
}

/// What the bank sends for a signature over one hash.
pub fn sign_hash(credential: &str, hash: &str) -> Value {
    json!({ "credentialID": credential, "hashes": [hash], "signAlgo": csc::ECDSA_WITH_SHA256 })
}
