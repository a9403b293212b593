//! A country with one Security Server of another make in it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Block, Country, Kind};

use crate::run;

/// The Security Server of ours that provides services.
pub const PROVIDER_SERVER: &str = "KG/GOV/70000010/ss1";
/// Its owner, who is also the provider.
pub const PROVIDER_MEMBER: &str = "KG/GOV/70000010";
/// The provider's subsystem.
pub const PROVIDER: &str = "KG/GOV/70000010/services";
/// The Security Server of ours that consumes.
pub const CONSUMER_SERVER: &str = "KG/COM/80000010/ss2";
/// Its owner.
pub const CONSUMER_MEMBER: &str = "KG/COM/80000010";
/// The consumer's subsystem; its information system may use plain HTTP.
pub const CONSUMER: &str = "KG/COM/80000010/bank";
/// The outside Security Server.
pub const OUTSIDE_SERVER: &str = "KG/COM/90000001/outside";
/// The outside server's owner.
pub const OUTSIDE_MEMBER: &str = "KG/COM/90000001";
/// Another member that it hosts.
pub const OTHER_MEMBER: &str = "KG/COM/90000002";
/// The owner's subsystem, consumer and provider.
pub const OUTSIDE: &str = "KG/COM/90000001/app";
/// Namespace of the SOAP services.
pub const NAMESPACE: &str = "urn:tunduk:interop";

/// Last bytes of the addresses of the block.
pub const PROVIDER_ADDRESS: u8 = 11;
/// See [`PROVIDER_ADDRESS`].
pub const CONSUMER_ADDRESS: u8 = 12;
/// See [`PROVIDER_ADDRESS`].
pub const OUTSIDE_ADDRESS: u8 = 50;
/// Where information systems of a test listen, at ports of its choice.
pub const SYSTEM_ADDRESS: u8 = 60;

/// A running country and the block of addresses it uses.
#[derive(Debug)]
pub struct Stand {
    /// The country.
    pub country: Country,
    /// Its addresses.
    pub block: Block,
    kind: Kind,
}

/// A service of the provider: code, version, and where its information system is; without a URL the demo's own echo.
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// `soap` or `rest`.
    pub kind: &'a str,
    /// Service code.
    pub code: &'a str,
    /// Service version, may be empty.
    pub version: &'a str,
    /// Where its information system is; empty: the demo's own echo.
    pub url: &'a str,
}

impl Stand {
    /// Starts two Security Servers of ours and registers the outside one, for which keys and certificate requests are
    /// made with `openssl`.
    pub fn start(kind: Kind, block: Block, services: &[Service<'_>]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["auth", "sign", "other"] {
            // An RSA authentication key, so that DHE_RSA is tried as well.
            let kind = if name == "auth" { Kind::Rsa } else { kind };
            request(folder.path(), kind, name);
        }
        let country = Country::start_in(folder, &instance(kind, block, services));
        Self {
            country,
            block,
            kind,
        }
    }

    /// Writes a `peer.json` for a run of xrpeer beside the state folder: with the outside server as consumer or as
    /// provider. Gives the file.
    pub fn peer_json(&self, name: &str, as_consumer: bool) -> std::path::PathBuf {
        let folder = self.country.state().parent().expect("the stand's folder");
        let state = |path: &str| self.country.state().join(path);
        let certificate = |value: Option<&Value>| {
            state(
                value
                    .and_then(Value::as_str)
                    .expect("endpoints.json names the outside server's certificates"),
            )
        };
        let outside = self.country.server(OUTSIDE_SERVER);
        let sign_cert =
            |member| certificate(self.country.member(OUTSIDE_SERVER, member).get("sign_cert"));
        let (client, provider, signer) = if as_consumer {
            (
                OUTSIDE,
                PROVIDER,
                self.country.member(PROVIDER_SERVER, PROVIDER_MEMBER),
            )
        } else {
            (
                CONSUMER,
                OUTSIDE,
                self.country.member(CONSUMER_SERVER, CONSUMER_MEMBER),
            )
        };
        let peer = json!({
            "ca": self.country.path("/ca/cert"),
            "sign": {"key": folder.join("sign.key"), "cert": sign_cert(OUTSIDE_MEMBER)},
            "other_sign": {"key": folder.join("other.key"), "cert": sign_cert(OTHER_MEMBER)},
            "auth": {"key": folder.join("auth.key"), "cert": certificate(outside.get("auth_cert"))},
            "ocsp": {"key": self.country.path("/ocsp/key"), "cert": self.country.path("/ocsp/cert")},
            "tsa": {"url": self.country.text("/tsa/url")},
            "client": client,
            "soap_service": {"provider": provider, "code": "echo", "version": "v1", "namespace": NAMESPACE},
            "rest_service": {"provider": provider, "code": "echorest", "path": "/a"},
            "expect_signer": signer.get("sign_subject").expect("endpoints.json names the signer's subject"),
        });
        let file = folder.join(name);
        fs::write(&file, format!("{peer:#}")).expect("peer.json");
        file
    }

    /// Where the consumer's server takes requests of its information systems over HTTP.
    pub fn consumer_url(&self) -> String {
        format!("http://{}:8080/", self.block.address(CONSUMER_ADDRESS))
    }

    /// The kind of keys of the instance.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// Makes a key and a certificate request, `NAME.key` and `NAME.csr`.
fn request(folder: &Path, kind: Kind, name: &str) {
    let mut command = Command::new("openssl");
    command
        .args(["req", "-new", "-nodes", "-batch", "-subj"])
        .arg(format!("/CN=asked for by {name}"));
    match kind {
        Kind::Rsa => command.args(["-newkey", "rsa:2048"]),
        Kind::P256 => command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    };
    command
        .arg("-keyout")
        .arg(folder.join(format!("{name}.key")))
        .arg("-out")
        .arg(folder.join(format!("{name}.csr")));
    run(&mut command);
}

fn instance(kind: Kind, block: Block, services: &[Service<'_>]) -> String {
    let mut text = format!(
        r#"instance = "KG"
key_type = "{key_type}"
address = "{central}"

[[member]]
id = "{PROVIDER_MEMBER}"
name = "Provider of the test"

[[member]]
id = "{CONSUMER_MEMBER}"
name = "Consumer of the test"

[[member]]
id = "{OUTSIDE_MEMBER}"
name = "Outside member"

[[member]]
id = "{OTHER_MEMBER}"
name = "Other outside member"

[[server]]
id = "{PROVIDER_SERVER}"
address = "{provider}"
[[server.client]]
id = "{PROVIDER}"
connection = "http"

[[server]]
id = "{CONSUMER_SERVER}"
address = "{consumer}"
[[server.client]]
id = "{CONSUMER}"
connection = "http"

[[outside_server]]
owner = "{OUTSIDE_MEMBER}"
code = "outside"
address = "{outside}"
auth_csr = "auth.csr"
members = [
    {{ id = "{OUTSIDE_MEMBER}", sign_csr = "sign.csr" }},
    {{ id = "{OTHER_MEMBER}", sign_csr = "other.csr" }},
]
clients = ["{OUTSIDE}"]
"#,
        key_type = kind.key_type(),
        central = block.address(1),
        provider = block.address(PROVIDER_ADDRESS),
        consumer = block.address(CONSUMER_ADDRESS),
        outside = block.address(OUTSIDE_ADDRESS),
    );
    let own = [
        Service {
            kind: "soap",
            code: "echo",
            version: "v1",
            url: "",
        },
        Service {
            kind: "rest",
            code: "echorest",
            version: "",
            url: "",
        },
    ];
    for service in own.iter().chain(services) {
        let Service {
            kind,
            code,
            version,
            url,
        } = service;
        let url = if url.is_empty() {
            format!("echo:{kind}")
        } else {
            (*url).to_owned()
        };
        let _ = write!(
            text,
            r#"
[[service]]
provider = "{PROVIDER}"
code = "{code}"
type = "{kind}"
url = "{url}"
"#
        );
        if !version.is_empty() {
            let _ = writeln!(text, "version = \"{version}\"");
        }
        if *kind == "soap" {
            let _ = writeln!(text, "namespace = \"{NAMESPACE}\"");
        }
        for subject in [OUTSIDE, CONSUMER] {
            let _ = write!(text, "[[service.allowed]]\nsubject = \"{subject}\"\n");
        }
    }
    text
}
