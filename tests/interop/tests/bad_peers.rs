//! A peer whose certificates are expired, not yet valid, unknown, or of an authority that nobody approved, and one whose
//! messages lack or confuse parts: nothing of it is answered, and nothing reaches the information system. Further cases
//! are in `xrpeer.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use interop::outside::{
    CONSUMER, NAMESPACE, OUTSIDE_ADDRESS, PROVIDER, PROVIDER_ADDRESS, SYSTEM_ADDRESS, Service,
    Stand,
};
use interop::{output_of, run, script, xrpeer, xrpeer_folder};
use serde_json::{Value, json};
use testkit::{Block, Kind, Provider};

/// Which certificate and what is wrong with it.
const CASES: &[(&str, &str)] = &[
    ("sign", "expired"),
    ("sign", "early"),
    ("sign", "stranger"),
    ("auth", "expired"),
    ("auth", "early"),
    ("auth", "stranger"),
    ("auth", "unregistered"),
];

/// The fault of our server on this side, `clientproxy` or `serverproxy`.
fn code(which: &str, side: &str) -> String {
    match (which, side) {
        ("sign", _) => {
            format!("server.{side}.signature_verification.invalid_cert_path.cert_validation")
        }
        (_, "serverproxy") => format!("server.{side}.service_failed.ssl_authentication_failed"),
        _ => format!("server.{side}.ssl_authentication_failed"),
    }
}

#[test]
#[ignore = "needs Python packages and xrpeer: cargo xtask test"]
fn peers_with_bad_certificates_are_refused() {
    let block = Block::new();
    let system = Provider::start(&block.address(SYSTEM_ADDRESS));
    let url = system.url("echo");
    let stand = Stand::start(
        Kind::P256,
        block,
        &[Service {
            kind: "soap",
            code: "heard",
            version: "v1",
            url: &url,
        }],
    );
    let mut wrong = Vec::new();
    // What is good first, so that a refusal is one for its reason.
    let got = as_consumer(&stand, &with(&stand, true, None));
    if got != "ok" || system.asked() == 0 {
        wrong.push(format!("a good consumer: {got}"));
    }
    let got = as_provider(&stand, &with(&stand, false, None));
    if got != "ok" {
        wrong.push(format!("a good provider: {got}"));
    }
    for (which, what) in CASES {
        let asked = system.asked();
        let got = as_consumer(&stand, &with(&stand, true, Some((which, what))));
        let expected = code(which, "serverproxy");
        if got != format!("fault:{expected}") {
            wrong.push(format!(
                "{which} {what}, as consumer: expected {expected}, got {got}"
            ));
        }
        if system.asked() != asked {
            wrong.push(format!("{which} {what}: it reached the information system"));
        }
        let got = as_provider(&stand, &with(&stand, false, Some((which, what))));
        let expected = code(which, "clientproxy");
        if !got.ends_with(&expected) {
            wrong.push(format!(
                "{which} {what}, as provider: expected {expected}, got {got}"
            ));
        }
        // With the certificate it must not even see the request.
        if *which == "auth" && !got.contains("no request came") {
            wrong.push(format!("{which} {what}: a request was sent: {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs Python packages and xrpeer: cargo xtask test"]
fn wrong_messages_are_refused_and_reach_nobody() {
    let block = Block::new();
    let system = Provider::start(&block.address(SYSTEM_ADDRESS));
    let (soap, rest) = (system.url("echo"), system.url("echo"));
    let service = |kind, code, version, url| Service {
        kind,
        code,
        version,
        url,
    };
    let stand = Stand::start(
        Kind::Rsa,
        block,
        &[
            service("soap", "heard", "v1", soap.as_str()),
            service("rest", "heardrest", "", rest.as_str()),
        ],
    );
    let mut wrong = Vec::new();
    let mut run_cases = |peer: &Path, only: &[&str]| {
        let mut command = script("more_cases.py");
        command
            .arg(xrpeer_folder())
            .args(["client", "--style", "snake", "--target"])
            .arg(format!("{}:5500", stand.block.address(PROVIDER_ADDRESS)))
            .arg("--conf")
            .arg(peer);
        if !only.is_empty() {
            command.args(["--only", &only.join(",")]);
        }
        let (_, text) = output_of(&mut command);
        wrong.extend(
            text.lines()
                .filter(|line| line.ends_with("WRONG"))
                .map(str::to_owned),
        );
        text.lines()
            .find(|line| line.ends_with(" wrong"))
            .unwrap_or(&text)
            .to_owned()
    };
    let outcome = run_cases(&stand.peer_json("echo.json", true), &["good", "good-again"]);
    assert_eq!(outcome, "2 right, 0 wrong");
    let outcome = run_cases(&with(&stand, true, None), &[]);
    assert_eq!(outcome, "15 right, 0 wrong", "{}", wrong.join("\n"));
    assert_eq!(
        system.asked(),
        2,
        "a wrong message reached the information system"
    );
}

/// A `peer.json` in which one certificate is not as it should be.
fn with(stand: &Stand, as_consumer: bool, bad: Option<(&str, &str)>) -> PathBuf {
    let file = stand.peer_json("good.json", as_consumer);
    let mut peer: Value =
        serde_json::from_slice(&fs::read(&file).expect("peer.json")).expect("peer.json");
    if as_consumer {
        peer["soap_service"] = json!({
            "provider": PROVIDER, "code": "heard", "version": "v1", "namespace": NAMESPACE,
        });
        peer["rest_service"] = json!({"provider": PROVIDER, "code": "heardrest", "path": "/a"});
    }
    let folder = file.parent().unwrap_or(Path::new("."));
    if let Some((which, what)) = bad {
        let good = PathBuf::from(peer[which]["cert"].as_str().expect("a certificate"));
        let out = folder.join(format!("bad-{which}"));
        run(script("certificates.py")
            .arg(stand.country.path("/ca/cert"))
            .arg(stand.country.path("/ca/cert").with_extension("key"))
            .arg(&good)
            .arg(&out));
        peer[which]["cert"] = json!(folder.join(format!("bad-{which}-{what}.pem")));
    }
    let file = folder.join("bad.json");
    fs::write(&file, peer.to_string()).expect("written");
    file
}

fn as_consumer(stand: &Stand, peer: &Path) -> String {
    let server = format!("{}:5500", stand.block.address(PROVIDER_ADDRESS));
    let mut command = xrpeer();
    command
        .args([
            "client", "--only", "soap", "--style", "snake", "--target", &server, "--conf",
        ])
        .arg(peer);
    got(&output_of(&mut command).1)
}

fn as_provider(stand: &Stand, peer: &Path) -> String {
    let address = stand.block.address(OUTSIDE_ADDRESS);
    let mut command = xrpeer();
    command
        .args(["server", "--only", "soap", "--style", "snake"])
        .args(["--listen", &format!("{address}:5500")])
        .args(["--ocsp", &format!("{address}:5577")])
        .args(["--consumer", &stand.consumer_url(), "--conf"])
        .arg(peer);
    got(&output_of(&mut command).1)
}

/// What xrpeer got in its one case.
fn got(text: &str) -> String {
    text.lines()
        .find_map(|line| line.split_once(" got "))
        .map_or_else(
            || format!("no case was run for {CONSUMER}: {text}"),
            |(_, got)| {
                got.trim_end_matches("WRONG")
                    .trim_end_matches("ok ")
                    .trim()
                    .trim_end_matches(" ok")
                    .trim()
                    .to_owned()
            },
        )
}
