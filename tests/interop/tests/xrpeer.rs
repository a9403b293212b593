//! The independent Security Server peer, in its full strict sets: as consumer, as provider and as writer of evidence.

use std::fs;
use std::process::Command;

use interop::outside::{OUTSIDE_ADDRESS, PROVIDER_ADDRESS, Stand};
use interop::{output_of, run, xrpeer};
use testkit::{Block, Kind, binary};

/// How many cases there are, per role: leaving one out would not be noticed otherwise.
struct Counts {
    client: usize,
    server: usize,
    containers: usize,
}

#[test]
#[ignore = "needs Python packages and xrpeer: cargo xtask test"]
fn rsa() {
    all(
        Kind::Rsa,
        &Counts {
            client: 61,
            server: 37,
            containers: 25,
        },
    );
}

#[test]
#[ignore = "needs Python packages and xrpeer: cargo xtask test"]
fn p256() {
    all(
        Kind::P256,
        &Counts {
            client: 62,
            server: 36,
            containers: 23,
        },
    );
}

fn all(kind: Kind, counts: &Counts) {
    let stand = Stand::start(kind, Block::new(), &[]);
    let mut wrong = Vec::new();
    wrong.extend(as_consumer(&stand, counts.client));
    for version in ["1.2", "1.3"] {
        wrong.extend(as_provider(&stand, version, counts.server));
    }
    wrong.extend(evidence(&stand, counts.containers));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// xrpeer asks our provider's server.
fn as_consumer(stand: &Stand, count: usize) -> Vec<String> {
    let server = stand.block.address(PROVIDER_ADDRESS);
    let mut command = xrpeer();
    command
        .args(["client", "--expect", "strict", "--style", "snake"])
        .args([
            "--target",
            &format!("{server}:5500"),
            "--ocsp",
            &format!("{server}:5577"),
            "--conf",
        ])
        .arg(stand.peer_json("consumer.json", true));
    judge("client", &mut command, count)
}

/// Our consumer's server asks xrpeer.
fn as_provider(stand: &Stand, version: &str, count: usize) -> Vec<String> {
    let outside = stand.block.address(OUTSIDE_ADDRESS);
    let mut command = xrpeer();
    command
        .args([
            "server", "--expect", "strict", "--style", "snake", "--tls", version,
        ])
        .args([
            "--listen",
            &format!("{outside}:5500"),
            "--ocsp",
            &format!("{outside}:5577"),
        ])
        .args(["--consumer", &stand.consumer_url(), "--conf"])
        .arg(stand.peer_json("provider.json", false));
    judge(&format!("server TLS {version}"), &mut command, count)
}

/// Lines that are wrong, and the count when it differs.
fn judge(run: &str, command: &mut Command, count: usize) -> Vec<String> {
    let (_, text) = output_of(command);
    let mut wrong: Vec<String> = text
        .lines()
        .filter(|line| line.ends_with("WRONG"))
        .map(|line| format!("{run}: {line}"))
        .collect();
    let expected = format!("{count} right, 0 wrong");
    match text.lines().find(|line| line.ends_with(" wrong")) {
        Some(line) if line == expected => println!("xrpeer {run}: {line}"),
        Some(line) => wrong.push(format!("{run}: {line}; expected {expected}")),
        None => wrong.push(format!("{run}: did not finish:\n{text}")),
    }
    wrong
}

/// `tunduk evidence verify` judges the containers that xrpeer writes.
fn evidence(stand: &Stand, count: usize) -> Vec<String> {
    let folder = stand.country.state().join("xrpeer-containers");
    run(xrpeer()
        .arg("container")
        .arg("--conf")
        .arg(stand.peer_json("containers.json", true))
        .arg("--out")
        .arg(&folder));
    let verdicts = fs::read(folder.join("verdicts.json")).expect("verdicts.json");
    let verdicts: serde_json::Value = serde_json::from_slice(&verdicts).expect("verdicts.json");
    let verdicts = verdicts.as_object().expect("verdicts.json holds an object");
    let mut wrong = Vec::new();
    if verdicts.len() != count {
        wrong.push(format!(
            "containers: {} were written, expected {count}",
            verdicts.len()
        ));
    }
    let configuration = stand.country.path("/globalconf_dir");
    for (name, verdict) in verdicts {
        let expected = match verdict.get("strict").and_then(serde_json::Value::as_str) {
            Some("valid") => 0,
            Some("invalid") => 1,
            Some("incomplete") => 2,
            other => panic!("{name}: unknown verdict {other:?}"),
        };
        let (output, text) = output_of(
            Command::new(binary())
                .args(["evidence", "verify"])
                .arg(folder.join(name))
                .arg("--globalconf")
                .arg(&configuration),
        );
        if output.status.code() != Some(expected) {
            wrong.push(format!(
                "container {name}: expected exit {expected}, got {}:\n{text}",
                output.status
            ));
        }
    }
    println!(
        "xrpeer containers: {} of {count} right",
        verdicts.len() - wrong.len().min(verdicts.len())
    );
    wrong
}
