//! `tunduk demo`, as a person starts it, on addresses of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const STEPS: [&str; 15] = [
    "soap",
    "rest",
    "attachment",
    "refused",
    "central-server-down",
    "tampered",
    "evidence-exported",
    "evidence-verified",
    "proofed",
    "sign-in",
    "consent",
    "contract-signed",
    "contract-verified",
    "card-sign-in",
    "frozen",
];

fn tunduk(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tunduk"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The default instance in the block `127.98.N.0/24`.
fn default_instance(block: u8) -> String {
    let printed = tunduk(&["demo", "--print-instance"]);
    assert!(printed.status.success());
    text(&printed.stdout).replace("127.0.0.", &format!("127.98.{block}."))
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(instance: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("instance.toml"), instance).expect("written");
        Self { folder }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn once(&self, more: &[&str]) -> Output {
        let state = self.state();
        let mut arguments = vec!["demo", "--once", "--state", state.to_str().expect("UTF-8")];
        arguments.extend(more);
        tunduk(&arguments)
    }

    fn with_instance(&self) -> Output {
        let file = self.folder.path().join("instance.toml");
        self.once(&["--instance", file.to_str().expect("UTF-8")])
    }

    fn endpoints(&self) -> serde_json::Value {
        let text = std::fs::read(self.state().join("endpoints.json")).expect("endpoints.json");
        serde_json::from_slice(&text).expect("JSON")
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_story_is_told_and_told_again_with_the_same_keys() {
    let place = Place::new(&default_instance(1));
    let wanted: String = STEPS.iter().map(|step| format!("ok {step}\n")).collect();
    let told = place.with_instance();
    assert_eq!(text(&told.stdout), wanted, "{}", text(&told.stderr));
    assert_eq!(told.status.code(), Some(0));

    let endpoints = place.endpoints();
    for key in [
        "instance",
        "anchor",
        "globalconf_dir",
        "globalconf_url",
        "ca",
        "ocsp",
        "tsa",
        "security_servers",
        "services",
        "credentials",
        "sites",
    ] {
        assert!(!endpoints[key].is_null(), "{key} is missing");
    }
    let certificate = |endpoints: &serde_json::Value| {
        let file = endpoints["security_servers"][0]["members"][0]["sign_cert"]
            .as_str()
            .expect("a path")
            .to_owned();
        read(&place.state().join(file))
    };
    let (anchor, signing) = (
        read(&place.state().join("anchor.xml")),
        certificate(&endpoints),
    );
    let exported = std::fs::read_dir(place.state().join("evidence"))
        .expect("evidence")
        .count();
    assert_eq!(exported, 1);

    // The state knows its instance.
    let again = place.once(&[]);
    assert_eq!(text(&again.stdout), wanted, "{}", text(&again.stderr));
    assert_eq!(read(&place.state().join("anchor.xml")), anchor);
    assert_eq!(certificate(&place.endpoints()), signing);
    assert_eq!(
        std::fs::read_dir(place.state().join("evidence"))
            .expect("evidence")
            .count(),
        2
    );
}

#[test]
fn a_country_without_the_parties_runs_and_says_what_was_left_out() {
    let instance = default_instance(2);
    let place = Place::new(instance.split("[[service]]").next().expect("a beginning"));
    let told = place.with_instance();
    let said = text(&told.stdout);
    assert_eq!(told.status.code(), Some(0), "{said}{}", text(&told.stderr));
    for server in [
        "KG/GOV/70000001/ss1",
        "KG/GOV/70000002/ss2",
        "KG/GOV/70000003/ss4",
        "KG/COM/80000001/ss3",
    ] {
        assert!(
            said.lines()
                .any(|line| line.starts_with(&format!("ready {server} "))),
            "{said}"
        );
    }
    for step in STEPS {
        assert!(
            said.lines()
                .any(|line| line.starts_with(&format!("left out step {step}: "))),
            "{said}"
        );
    }
    assert!(
        said.contains("the instance has no such service at all"),
        "{said}"
    );
    assert!(said.contains("url = \"population:soap\""), "{said}");
}

#[test]
fn an_instance_file_that_is_wrong_is_a_matter_of_usage() {
    let place = Place::new("instance = \"KG\"\nserver = 1\n");
    let told = place.with_instance();
    assert_eq!(told.status.code(), Some(64), "{}", text(&told.stderr));
    assert!(text(&told.stderr).contains("instance file"));
}

#[test]
fn servers_end_when_the_demo_is_killed() {
    let place = Place::new(&default_instance(3));
    let file = place.folder.path().join("instance.toml");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_tunduk"))
        .args(["demo", "--instance"])
        .arg(&file)
        .arg("--state")
        .arg(place.state())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let listens = |listening: bool| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect("127.98.3.13:8080").is_ok() != listening {
            assert!(
                Instant::now() < deadline,
                "listening must become {listening}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    listens(true);
    demo.kill().expect("killed");
    let _ = demo.wait();
    listens(false);
}

#[test]
fn outside_servers_get_certificates_for_their_requests() {
    let place = Place::new("");
    let request = |name: &str| {
        let key = pki::SoftwareKey::generate(pki::KeyType::EcP256).expect("a key");
        let subject = pki::Name::builder()
            .push(pki::AttributeType::CommonName, "whatever is asked for")
            .build()
            .expect("a name");
        let pem = pki::csr::build_pem(&subject, &key).expect("a request");
        std::fs::write(place.folder.path().join(name), pem).expect("written");
        key
    };
    let (authentication, signing, other) = (
        request("auth.csr"),
        request("sign.csr"),
        request("other.csr"),
    );
    let instance = format!(
        "{}\n[[outside_server]]\nowner = \"KG/COM/90000001\"\ncode = \"out\"\naddress = \"127.98.4.50\"\n\
         auth_csr = \"auth.csr\"\nclients = [\"KG/COM/90000001/app\", \"KG/COM/90000002/app\"]\n\
         members = [{{ id = \"KG/COM/90000001\", sign_csr = \"sign.csr\" }}, {{ id = \"KG/COM/90000002\", sign_csr = \"other.csr\" }}]\n",
        default_instance(4)
    );
    std::fs::write(place.folder.path().join("instance.toml"), instance).expect("written");
    let told = place.with_instance();
    assert_eq!(
        told.status.code(),
        Some(0),
        "{}{}",
        text(&told.stdout),
        text(&told.stderr)
    );

    let endpoints = place.endpoints();
    let servers = endpoints["security_servers"].as_array().expect("servers");
    let outside = servers
        .iter()
        .find(|server| server["outside"] == true)
        .expect("the outside server");
    assert_eq!(outside["id"], "KG/COM/90000001/out");
    assert_eq!(outside["members"][1]["sign_subject"]["CN"], "90000002");
    let key_of = |path: &serde_json::Value| {
        let pem = read(&place.state().join(path.as_str().expect("a path")));
        pki::Certificate::from_pem(&pem)
            .expect("a certificate")
            .public_key()
            .clone()
    };
    use pki::Signer as _;
    assert_eq!(key_of(&outside["auth_cert"]), *authentication.public_key());
    assert_eq!(
        key_of(&outside["members"][0]["sign_cert"]),
        *signing.public_key()
    );
    assert_eq!(
        key_of(&outside["members"][1]["sign_cert"]),
        *other.public_key()
    );
}
