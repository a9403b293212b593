//! What is signed here, verified by others: `xmlsec1` (C) and `signxml` (Python).
//!
//! Ignored by a bare `cargo test`, because they need programs that are not part of the project.
//! `cargo xtask test` runs them.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod common;

use common::World;
use pki::{DigestAlgorithm, KeyType};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use xmldsig::SignatureTarget;

const PART: &[u8] = b"<message>\r\n  every byte counts &amp; is kept\t</message>";

struct Signed {
    folder: tempfile::TempDir,
    uri: &'static str,
    verification_time: String,
}

impl Signed {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Signed documents with both kinds of key and both kinds of target.
fn documents() -> Vec<Signed> {
    let mut all = Vec::new();
    for kind in [KeyType::Rsa2048, KeyType::Rsa3072, KeyType::EcP256] {
        let world = World::new(kind);
        let digest = DigestAlgorithm::Sha512.digest(PART);
        for (target, uri) in [
            (SignatureTarget::Message(&digest), "/message.xml"),
            (
                SignatureTarget::HashChainResult(&digest),
                "/sig-hashchainresult.xml",
            ),
        ] {
            let document = world
                .template()
                .sign(&world.member_key, &target, world.now)
                .unwrap();
            let time = world.now;
            let signed = Signed {
                folder: tempfile::tempdir().unwrap(),
                uri,
                verification_time: format!(
                    "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
                    time.year(),
                    u8::from(time.month()),
                    time.day(),
                    time.hour(),
                    time.minute(),
                    time.second()
                ),
            };
            std::fs::write(signed.path("signatures.xml"), document).unwrap();
            std::fs::write(signed.path("part"), PART).unwrap();
            std::fs::write(signed.path("changed"), [PART, b" "].concat()).unwrap();
            std::fs::write(signed.path("ca.pem"), world.authority.to_pem()).unwrap();
            std::fs::write(signed.path("member.pem"), world.member.to_pem()).unwrap();
            all.push(signed);
        }
    }
    all
}

fn run(command: &mut Command, missing: &str) -> Output {
    command.output().unwrap_or_else(|_| panic!("{missing}"))
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn xmlsec1(signed: &Signed, part: &str) -> Output {
    run(
        Command::new("xmlsec1")
            .env("TZ", "UTC")
            .args(["--verify", "--id-attr:Id", "SignedProperties"])
            .arg("--verification-time")
            .arg(&signed.verification_time)
            .arg(format!("--url-map:{}", signed.uri))
            .arg(signed.path(part))
            .arg("--trusted-pem")
            .arg(signed.path("ca.pem"))
            .arg(signed.path("signatures.xml")),
        "xmlsec1 is missing: apt-get install --yes xmlsec1",
    )
}

#[test]
#[ignore = "needs xmlsec1; run by cargo xtask test"]
fn xmlsec1_verifies() {
    for signed in documents() {
        let good = xmlsec1(&signed, "part");
        assert!(good.status.success(), "{}: {}", signed.uri, said(&good));
        let changed = xmlsec1(&signed, "changed");
        assert!(
            !changed.status.success(),
            "{}: {}",
            signed.uri,
            said(&changed)
        );
    }
}

/// The Python that has the packages of `tests/interop/requirements.txt`.
fn python() -> PathBuf {
    if let Some(named) = std::env::var_os("TUNDUK_PYTHON") {
        return PathBuf::from(named);
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python");
    if own.is_file() {
        return own;
    }
    PathBuf::from("python3")
}

#[test]
#[ignore = "needs the Python package signxml; run by cargo xtask test"]
fn signxml_verifies() {
    const MISSING: &str = "signxml is missing: python3 -m venv target/python && target/python/bin/pip install -r tests/interop/requirements.txt";
    let python = python();
    let probe = run(
        Command::new(&python).args(["-c", "import signxml"]),
        MISSING,
    );
    assert!(probe.status.success(), "{MISSING}");
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/python/verify_signature.py"
    );
    for signed in documents() {
        let verify = |part: &str| {
            run(
                Command::new(&python)
                    .arg(script)
                    .arg(signed.path("signatures.xml"))
                    .arg(signed.path("member.pem"))
                    .arg(signed.uri)
                    .arg(signed.path(part)),
                MISSING,
            )
        };
        let good = verify("part");
        assert!(good.status.success(), "{}: {}", signed.uri, said(&good));
        let changed = verify("changed");
        assert!(
            !changed.status.success(),
            "{}: {}",
            signed.uri,
            said(&changed)
        );
        assert!(
            said(&changed).contains("InvalidDigest"),
            "{}",
            said(&changed)
        );
    }
}
