//! The public page that verifies signatures: the real binary over HTTPS, with documents of every kind and fate.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

#[path = "../../domain/document-signature/tests/common/mod.rs"]
mod world;

use document_signature::extend;
use http::header::{ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};
use pki::issue::{Profile, Template, issue};
use pki::ocsp::CertificateStatus;
use pki::{AttributeType, KeyType, Name, Signer as _, SoftwareKey};
use time::OffsetDateTime;
use transport::{
    Body, ClientTls, HttpClient, PoolLimits, Request, RequestOptions, ServerVerification,
};
use web_ui::{Language, faults, text_faults};
use world::{QUALIFIED, SHA256, SIMPLE, World, files, minutes, page};

const NAME: &str = "verify.localhost";

struct Server {
    process: Child,
    log: std::path::PathBuf,
    http: HttpClient,
    options: RequestOptions,
    origin: String,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write(folder: &Path, name: &str, content: &[u8], mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Calls of a client that trusts this world's authority alone.
fn trusting(world: &World) -> RequestOptions {
    let authorities = vec![world.root.certificate.der().to_vec()];
    let verification = ServerVerification::Authorities(authorities);
    RequestOptions::default().with_tls(ClientTls::new(&verification, None).unwrap())
}

/// Makes the site's key and its certificate by this world's authority.
fn certified(folder: &Path, world: &World) {
    let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
    let key = key.with_algorithm(SHA256).unwrap();
    let subject = Name::builder().push(AttributeType::CommonName, NAME);
    let template = Template {
        subject: subject.build().unwrap(),
        public_key: key.public_key().clone(),
        serial: vec![99],
        not_before: OffsetDateTime::now_utc() - time::Duration::hours(1),
        not_after: OffsetDateTime::now_utc() + time::Duration::hours(1),
        profile: Profile::TlsServer {
            dns_names: vec![NAME.to_owned()],
            addresses: Vec::new(),
        },
        ocsp_url: None,
    };
    let certificate = issue(&template, &world.root.certificate, &world.root.key).unwrap();
    let pem = pki::pem::encode(&key.to_pkcs8_der().unwrap(), "PRIVATE KEY");
    write(folder, "tls.pem", certificate.to_pem().as_bytes(), 0o644);
    write(folder, "tls.key", pem.as_bytes(), 0o600);
}

impl Server {
    fn start(world: &World, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        certified(at, world);
        write(
            at,
            "root.pem",
            world.root.certificate.to_pem().as_bytes(),
            0o644,
        );
        let trust = format!(
            "[[authority]]\ncertificate = \"root.pem\"\nsimple = [\"{SIMPLE}\"]\n\
             qualified = [\"{QUALIFIED}\"]\n[[time_stamping]]\ncertificate = \"root.pem\"\n"
        );
        write(at, "trust.toml", trust.as_bytes(), 0o644);
        // A block of loopback for each process, so that tests beside each other do not meet.
        let [third, second, ..] = std::process::id().to_le_bytes();
        let address: IpAddr = format!("127.{}.{third}.9", second % 200 + 20)
            .parse()
            .unwrap();
        let port = TcpListener::bind((address, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let settings = format!("listen = \"{address}:{port}\"\n{more}");
        write(at, "verification.toml", settings.as_bytes(), 0o644);
        let log = at.join("log");
        let mut process = Command::new(env!("CARGO_BIN_EXE_tunduk"))
            .args(["verification-server", "run", "--config"])
            .arg(at.join("verification.toml"))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert_eq!(
            line,
            "ready\n",
            "{}",
            std::fs::read_to_string(&log).unwrap()
        );
        let hosts = BTreeMap::from([(NAME.to_owned(), address)]);
        Self {
            process,
            log,
            http: HttpClient::new(PoolLimits::default())
                .unwrap()
                .with_hosts(hosts),
            options: trusting(world),
            origin: format!("https://{NAME}:{port}"),
            folder,
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(http::HeaderName, &str)],
        body: Vec<u8>,
    ) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.origin));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::full(body)).unwrap();
        let answer = self.http.request(request, &self.options).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect(16 << 20).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        (head.status, head.headers, text)
    }

    async fn check(&self, language: Language, name: &str, file: &[u8]) -> (StatusCode, String) {
        let mut form = format!(
            "--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        )
        .into_bytes();
        form.extend(file);
        form.extend(b"\r\n--cut--\r\n");
        let kind = (CONTENT_TYPE, "multipart/form-data; boundary=cut");
        let path = format!("/?language={}", language.code());
        let (status, headers, html) = self.ask(Method::POST, &path, &[kind], form).await;
        let policy = headers.get(CONTENT_SECURITY_POLICY).unwrap();
        assert!(policy.to_str().unwrap().contains("frame-ancestors 'none'"));
        // Nobody is signed in here, so a form needs no token of a browser.
        let wrong: Vec<String> = faults(&html, language, "", verification_server::TEXTS)
            .into_iter()
            .filter(|fault| !fault.contains("with the token"))
            .collect();
        assert_eq!(wrong, Vec::<String>::new(), "{html}");
        (status, html)
    }
}

#[test]
fn every_language_has_the_same_texts() {
    assert_eq!(
        text_faults(verification_server::TEXTS),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn documents_of_every_fate() {
    let world = World::new(&[QUALIFIED]);
    let server = Server::start(&world, "");
    let lasting = |document: &[u8]| {
        world.archived(
            &world.extended(document, minutes(2)),
            &world.tsa,
            minutes(3),
        )
    };
    let pdf = lasting(&world.stamped_pdf(&page(), minutes(1)));
    let container = lasting(&world.stamped_container(files(), minutes(1)));
    let mut changed = pdf.clone();
    let at = changed
        .windows(8)
        .position(|part| part == b"Contract")
        .unwrap();
    changed[at] = b'c';
    let stamped = world.stamped_pdf(&page(), minutes(1));
    // The person revoked the certificate, after or before a time-stamp proves that it was signed.
    let [revoked_later, revoked_before] = [5, 0].map(|minute| {
        let revoked = CertificateStatus::Revoked {
            at: minutes(minute),
            reason: Some(1),
        };
        let person = &world.person.certificate;
        let statuses = [
            world.status(person, revoked, minutes(6)),
            world.status(&world.tsa.certificate, CertificateStatus::Good, minutes(6)),
        ];
        let certificates = std::slice::from_ref(&world.tsa.certificate);
        extend(&stamped, certificates, &statuses, minutes(6)).unwrap()
    });
    let stranger = World::new(&[QUALIFIED]);
    let strangers = stranger.extended(&stranger.stamped_pdf(&page(), minutes(1)), minutes(2));

    for language in Language::ALL {
        for name in ["contract.pdf", "<img src=x onerror=alert(1)>.pdf"] {
            let (status, html) = server.check(language, name, &pdf).await;
            assert_eq!(status, StatusCode::OK);
            assert!(html.contains("class=\"verdict good\""), "{html}");
            assert!(html.contains("<strong>Асан Үсөнов</strong>"), "{html}");
            assert!(html.contains("<dd>20101199012345</dd>"), "{html}");
            assert!(html.contains("25.11.2026 14:01:00"), "{html}");
            assert!(!html.contains("<img src=x"), "{html}");
        }
        let (_, html) = server.check(language, "files.asice", &container).await;
        assert!(
            html.contains("class=\"verdict good\"") && html.contains("annex.txt"),
            "{html}"
        );
        let (_, html) = server.check(language, "contract.pdf", &changed).await;
        assert!(html.contains("class=\"verdict bad\""), "{html}");
        assert!(!html.contains("class=\"good\""), "{html}");
        // Without proof that the certificate was good then, nothing is confirmed.
        let (_, html) = server.check(language, "contract.pdf", &stamped).await;
        assert!(html.contains("class=\"verdict open\""), "{html}");
        let (_, html) = server.check(language, "contract.pdf", &revoked_later).await;
        assert!(html.contains("class=\"verdict good\""), "{html}");
        assert!(html.contains("25.11.2026 14:05:00"), "{html}");
        let (_, html) = server
            .check(language, "contract.pdf", &revoked_before)
            .await;
        assert!(html.contains("class=\"verdict bad\""), "{html}");
        // A name in a certificate that nobody vouches for is never shown as established.
        let (_, html) = server.check(language, "contract.pdf", &strangers).await;
        assert!(!html.contains("class=\"verdict good\""), "{html}");
        assert!(!html.contains("<strong>Асан Үсөнов</strong>"), "{html}");
        let (_, html) = server.check(language, "letter.pdf", &page()).await;
        assert!(html.contains("class=\"verdict bad\""), "{html}");
        let (_, html) = server
            .check(language, "photo.jpg", b"\xff\xd8\xff\xe0 a picture")
            .await;
        assert!(html.contains("class=\"verdict open\""), "{html}");
        let (status, html) = server.check(language, "", b"").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(html.contains("role=\"alert\""), "{html}");
    }
    let (_, html) = server
        .check(Language::English, "contract.pdf", &changed)
        .await;
    assert!(html.contains("The document was changed"), "{html}");
    let (_, html) = server.check(Language::English, "contract.pdf", &pdf).await;
    assert!(html.contains("Qualified electronic signature"), "{html}");

    // The log says that files were judged, and nothing of what was in them.
    let log = std::fs::read_to_string(&server.log).unwrap();
    assert!(log.contains("a file was judged"), "{log}");
    for secret in ["contract", "20101199012345", "Асан", "annex"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn what_is_not_asked_right() {
    let world = World::new(&[SIMPLE]);
    let server = Server::start(&world, "");

    let (status, headers, html) = server.ask(Method::GET, "/", &[], Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
    assert!(html.contains("enctype=\"multipart/form-data\"") && !html.contains("<script"));
    let cookies = headers.get_all(SET_COOKIE).iter();
    assert!(cookies.into_iter().all(|cookie| {
        let cookie = cookie.to_str().unwrap();
        cookie.starts_with("__Host-") && cookie.contains("Secure; HttpOnly; SameSite=Lax")
    }));
    let (status, _, text) = server.ask(Method::GET, "/health", &[], Vec::new()).await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, "ok\n"));
    let (status, headers, _) = server.ask(Method::DELETE, "/", &[], Vec::new()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers.get(ALLOW).unwrap(), "GET, HEAD, POST");
    let (status, _, _) = server.ask(Method::GET, "/nothing", &[], Vec::new()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for (kind, body) in [
        ("application/pdf", page()),
        ("multipart/form-data", page()),
        ("multipart/form-data; boundary=cut", b"--cut\r\n".to_vec()),
    ] {
        let headers = [(CONTENT_TYPE, kind)];
        let (status, _, html) = server.ask(Method::POST, "/", &headers, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{kind}");
        assert!(html.contains("role=\"alert\""));
    }
    let large = vec![b' '; usize::try_from(verification_server::LARGEST_UPLOAD).unwrap() + 1];
    let (status, _) = server.check(Language::Kyrgyz, "large.pdf", &large).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn evidence_is_judged_as_the_command_does() {
    let vectors = std::env::var_os("TUNDUK_XROAD_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/xroad"),
        std::path::PathBuf::from,
    );
    if !vectors.is_dir() {
        let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!is_ci, "X-Road's vectors are absent");
        println!(
            "not tested: X-Road's vectors are absent: {}",
            vectors.display()
        );
        return;
    }
    let world = World::new(&[SIMPLE]);
    let stored = vectors.join("made/globalconf");
    let judging = Server::start(&world, &format!("globalconf = {stored:?}\n"));
    let trusting_nobody = Server::start(&world, "");
    for (name, tone) in [
        ("made/soap-ok.asice", "good"),
        ("made/batch.asice", "good"),
        ("made/ocsp-revoked.asice", "bad"),
        ("made/no-timestamp.asice", "bad"),
    ] {
        let file = vectors.join(name);
        let status = Command::new(env!("CARGO_BIN_EXE_tunduk"))
            .args(["verify", file.to_str().unwrap(), "--globalconf"])
            .arg(&stored)
            .output()
            .unwrap();
        assert_eq!(status.status.success(), tone == "good", "{name}");
        let content = std::fs::read(&file).unwrap();
        for language in Language::ALL {
            let (status, html) = judging.check(language, "message.asice", &content).await;
            assert_eq!(status, StatusCode::OK);
            assert!(
                html.contains(&format!("class=\"verdict {tone}\"")),
                "{name}: {html}"
            );
            // Without a configuration to judge by, nothing is genuine.
            let (_, told) = trusting_nobody
                .check(language, "message.asice", &content)
                .await;
            assert!(!told.contains("class=\"verdict good\""), "{name}: {told}");
        }
        // No changed octet makes the page fail, and none of the message's makes another message genuine.
        let step = content.len() / 40 + 1;
        for at in (0..content.len()).step_by(step) {
            let mut changed = content.clone();
            changed[at] ^= 1;
            let (status, _) = judging
                .check(Language::English, "message.asice", &changed)
                .await;
            assert_eq!(status, StatusCode::OK, "{name}: {at}");
        }
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_presented_without_a_restart() {
    let (world, next) = (World::new(&[SIMPLE]), World::new(&[SIMPLE]));
    let server = Server::start(&world, "");
    let options = trusting(&next);
    let greeted = async |options: &RequestOptions| {
        let request = Request::get(format!("{}/", server.origin));
        let request = request.body(Body::empty()).unwrap();
        server.http.request(request, options).await.is_ok()
    };
    assert!(greeted(&server.options).await && !greeted(&options).await);
    certified(server.folder.path(), &next);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !greeted(&options).await {
        assert!(
            std::time::Instant::now() < deadline,
            "the earlier one stays"
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
