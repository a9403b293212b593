//! The public page that verifies signatures in a real browser, as a phone and as a desk sees it, without a script: every
//! page reflows at 320 pixels, has targets of 24 pixels, and axe-core finds nothing wrong.
//!
//! With `TUNDUK_SCREENSHOTS` set to a folder it leaves pictures there.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

#[path = "../../../domain/document-signature/tests/common/mod.rs"]
mod world;

use pki::issue::{Profile, Template, issue};
use pki::{AttributeType, KeyType, Name, Signer as _, SoftwareKey};
use testkit::{Browser, binary};
use time::OffsetDateTime;
use world::{QUALIFIED, SHA256, SIMPLE, World, files, minutes, page};

const NAME: &str = "verify.localhost";

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How the verdict looks, once the page with it is there.
fn verdict_of(browser: &Browser) -> String {
    for _ in 0..100 {
        let class = browser.run("return document.querySelector('.verdict')?.className ?? ''");
        match class.as_str() {
            Some(class) if !class.is_empty() => return class.to_owned(),
            _ => std::thread::sleep(std::time::Duration::from_millis(100)),
        }
    }
    panic!("no verdict in {}", browser.text());
}

#[test]
#[ignore = "needs Chromium and ChromeDriver: cargo xtask test"]
fn anybody_checks_a_file_on_a_phone() {
    let world = World::new(&[QUALIFIED]);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
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
    write("tls.pem", certificate.to_pem().as_bytes());
    write("tls.key", pem.as_bytes());
    write("root.pem", world.root.certificate.to_pem().as_bytes());
    let trust = format!(
        "[[authority]]\ncertificate = \"root.pem\"\nsimple = [\"{SIMPLE}\"]\nqualified = [\"{QUALIFIED}\"]\n\
         [[time_stamping]]\ncertificate = \"root.pem\"\n"
    );
    write("trust.toml", trust.as_bytes());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let settings = format!("listen = \"127.0.0.1:{port}\"\n");
    let settings = write("verification.toml", settings.as_bytes());
    let mut process = Command::new(binary())
        .args(["verification-server", "run", "--config", &settings])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let _server = Server(process);
    assert_eq!(line, "ready\n");

    let lasting = |document: &[u8]| {
        let extended = world.extended(document, minutes(2));
        world.archived(&extended, &world.tsa, minutes(3))
    };
    let pdf = lasting(&world.stamped_pdf(&page(), minutes(1)));
    let mut changed = pdf.clone();
    let at = changed.windows(8).position(|part| part == b"Contract");
    changed[at.unwrap()] = b'c';
    let container = lasting(&world.stamped_container(files(), minutes(1)));
    let documents = [
        ("valid", write("contract.pdf", &pdf), "verdict good"),
        (
            "container",
            write("files.asice", &container),
            "verdict good",
        ),
        ("changed", write("changed.pdf", &changed), "verdict bad"),
        (
            "open",
            write("stamped.pdf", &world.stamped_pdf(&page(), minutes(1))),
            "verdict open",
        ),
        ("unsigned", write("letter.pdf", &page()), "verdict bad"),
        (
            "other",
            write("photo.jpg", b"\xff\xd8\xff\xe0 a picture"),
            "verdict open",
        ),
    ];
    let rule = format!("--host-resolver-rules=MAP {NAME} 127.0.0.1");
    // The page is for browsers without a script too; axe-core itself is injected by the driver.
    let browser = Browser::start(&[&rule]);
    for language in ["ky", "ru", "en"] {
        let address = format!("https://{NAME}:{port}/?language={language}");
        browser.open(&address);
        assert_eq!(browser.run("return document.scripts.length"), 0);
        browser.look(&format!("verify-{language}"));
        for (name, file, verdict) in &documents {
            browser.open(&address);
            browser.write("#file", file);
            browser.click("form button");
            assert_eq!(verdict_of(&browser), *verdict, "{name} in {language}");
            browser.look(&format!("verify-{name}-{language}"));
        }
        let text = browser.text();
        assert!(!text.contains("contract"), "nothing is kept: {text}");
    }
}
