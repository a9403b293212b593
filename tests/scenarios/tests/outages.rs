//! What a server needs goes away: configuration, certificate status, time-stamps, disk. It refuses, loses nothing, and
//! goes on when it is back.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::pair::{CONSUMER_SERVER, PROVIDER_SERVER, Pair};
use testkit::{Kind, Process, binary, eventually};

/// The fault that a call to the echo gets now; `None` when it is answered. A fault must come without the information
/// system having been asked.
fn fault(pair: &Pair) -> Option<String> {
    let asked = pair.provider.asked();
    let call = pair.call("echo");
    let answer = pair.ask(&call);
    if call.is_answered_by(&answer) {
        return None;
    }
    let code = answer.fault_code();
    assert!(code.is_some(), "{} {}", answer.status, answer.text());
    assert_eq!(
        pair.provider.asked(),
        asked,
        "{code:?}: it reached the information system"
    );
    code
}

fn until_fault(pair: &Pair, code: &str) {
    let mut last = None;
    let end = std::time::Instant::now() + Duration::from_secs(120);
    while last.as_deref() != Some(code) {
        assert!(
            std::time::Instant::now() < end,
            "expected {code}, still {last:?}"
        );
        std::thread::sleep(Duration::from_millis(200));
        last = fault(pair);
    }
}

/// Ends the trust services or the Central Server, and gives what is needed to start it again.
fn end(pair: &Pair, server: &str) -> Process {
    pair.country.freeze();
    let process = pair.country.processes(server);
    let process = process
        .first()
        .cloned()
        .unwrap_or_else(|| panic!("no {server}"));
    process.kill();
    process
}

#[test]
fn without_the_central_server_up_to_the_expiry_and_not_longer() {
    let pair = Pair::start(Kind::P256, "configuration_lifetime_seconds = 45");
    pair.must_work();
    let central = end(&pair, "central-server");
    let mut servers = [PROVIDER_SERVER, CONSUMER_SERVER].map(|name| pair.country.take_over(name));
    for name in [PROVIDER_SERVER, CONSUMER_SERVER] {
        pair.until_ready(name);
    }
    pair.must_work();
    until_fault(&pair, "server.clientproxy.global_conf_outdated");
    let missing = pair.missing(CONSUMER_SERVER);
    assert!(missing.contains("global configuration"), "{missing}");
    let _central = central.begin();
    for server in &mut servers {
        server.kill_and_start();
    }
    for name in [PROVIDER_SERVER, CONSUMER_SERVER] {
        pair.until_ready(name);
    }
    pair.must_work();
}

#[test]
fn a_server_in_maintenance_is_not_asked() {
    let pair = Pair::start(Kind::P256, "");
    pair.must_work();
    let central = end(&pair, "central-server");
    let description = pair.country.state().join("central/instance.toml");
    let text = std::fs::read_to_string(&description).expect("the description");
    let line = format!("id = \"{PROVIDER_SERVER}\"\n");
    assert!(text.contains(&line), "{text}");
    let text = text.replace(&line, &format!("{line}maintenance = \"back at ten\"\n"));
    std::fs::write(&description, text).expect("written");
    let _central = central.begin();
    let mut consumer = pair.country.take_over(CONSUMER_SERVER);
    pair.until_ready(CONSUMER_SERVER);
    // A second start, should the first have come before the Central Server was back.
    std::thread::sleep(Duration::from_secs(3));
    consumer.kill_and_start();
    pair.until_ready(CONSUMER_SERVER);
    until_fault(&pair, "server.clientproxy.maintenance_mode");
    let answer = pair.ask(&pair.call("echo"));
    assert!(answer.text().contains("back at ten"), "{}", answer.text());
}

#[test]
fn without_fresh_certificate_status_nothing_is_sent() {
    let pair = Pair::start(Kind::P256, "ocsp_freshness_seconds = 12");
    pair.must_work();
    let trust = end(&pair, "trust-server");
    until_fault(&pair, "server.clientproxy.cannot_create_signature");
    let missing = pair.missing(CONSUMER_SERVER);
    assert!(missing.contains("status"), "{missing}");
    // Whoever reaches the port is not told whose keys it has.
    let told = pair.not_ready(CONSUMER_SERVER);
    assert_eq!(told.as_deref(), Some("not ready\n"));
    let _trust = trust.begin();
    eventually("messages pass again", Duration::from_secs(60), || {
        fault(&pair).is_none()
    });
}

/// Revokes a certificate of a server, with the trust services running.
fn revoke(pair: &Pair, certificate: &Path) {
    let status = Command::new(binary())
        .args(["trust-server", "revoke", "--state"])
        .arg(pair.country.state().join("trust"))
        .arg(certificate)
        .status()
        .expect("tunduk runs");
    assert!(status.success());
}

#[test]
fn revoked_certificates_end_the_exchange() {
    // Whose certificate, which one, and what the consumer's information system is told.
    for (server, which, code) in [
        (
            CONSUMER_SERVER,
            "sign",
            "server.clientproxy.cannot_create_signature",
        ),
        (
            PROVIDER_SERVER,
            "auth",
            "server.clientproxy.ssl_authentication_failed",
        ),
        (
            PROVIDER_SERVER,
            "sign",
            "server.serverproxy.cannot_create_signature",
        ),
    ] {
        let pair = Pair::start(Kind::P256, "ocsp_freshness_seconds = 8");
        pair.must_work();
        let entry = pair.country.server(server);
        let path = if which == "auth" {
            entry.pointer("/auth_cert")
        } else {
            entry.pointer("/members/0/sign_cert")
        };
        let path = path.and_then(serde_json::Value::as_str).expect("a path");
        revoke(&pair, &pair.country.state().join(path));
        until_fault(&pair, code);
    }
}

#[test]
fn without_time_stamps_up_to_the_grace_period_and_not_longer() {
    for (name, code) in [
        (
            CONSUMER_SERVER,
            "server.clientproxy.logging_failed.timestamping_failed",
        ),
        (
            PROVIDER_SERVER,
            "server.serverproxy.logging_failed.timestamping_failed",
        ),
    ] {
        let pair = Pair::start(Kind::P256, "");
        pair.must_work();
        let mut server = pair.country.take_over(name);
        server.kill();
        server.edit(|text| {
            text.replace(
                "[log]",
                "[log]\ntimestamp_interval_seconds = 1\ntimestamp_grace_seconds = 5",
            )
        });
        server.start();
        pair.until_ready(name);
        let trust = end(&pair, "trust-server");
        pair.must_work();
        until_fault(&pair, code);
        let missing = pair.missing(name);
        assert!(missing.contains("message log"), "{missing}");
        let _trust = trust.begin();
        // Whoever exports evidence does not wait for the next attempt.
        eventually("all is time-stamped", Duration::from_secs(60), || {
            pair.country
                .export(name, &[])
                .is_ok_and(|file| pair.country.judge(&file).valid)
        });
        eventually("messages pass again", Duration::from_secs(30), || {
            fault(&pair).is_none()
        });
    }
}

/// A small file system in memory, until this value goes.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(folder: &'a Path, options: &str) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(folder)
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }

    fn grow(&self, options: &str) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,{options}"), "none"])
            .arg(self.0)
            .status()
            .expect("mount runs");
        assert!(status.success());
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    for (name, code) in [
        (
            CONSUMER_SERVER,
            "server.clientproxy.logging_failed.io_error",
        ),
        (
            PROVIDER_SERVER,
            "server.serverproxy.logging_failed.io_error",
        ),
    ] {
        let pair = Pair::start(Kind::P256, "");
        pair.must_work();
        let mut server = pair.country.take_over(name);
        server.kill();
        let disk = pair.country.state().join("small-disk");
        std::fs::create_dir(&disk).expect("a folder");
        let Some(mounted) = SmallDisk::mount(&disk, "size=64m") else {
            // Past the test harness, which would keep it to itself.
            let _ = std::io::stderr().write_all(
                b"NOT TESTED: a full disk, because this user may not mount a small file system; run it as root\n",
            );
            return;
        };
        server.edit(|text| {
            text.replace(
                "directory = \"log\"",
                &format!(
                    "directory = \"{}\"\nreserved_bytes = 1048576",
                    disk.display()
                ),
            )
        });
        server.start();
        pair.until_ready(name);
        let body = vec![b'x'; 500_000];
        let mut received = Vec::new();
        let refused = loop {
            let asked = pair.provider.asked();
            let answer = pair.post("rest", &body).expect("an answer");
            if answer.status != 200 {
                let code = answer.header("x-road-error").unwrap_or_default().to_owned();
                // An answer that the log has no room for comes after the question: it is not given.
                break (code, pair.provider.asked() - asked);
            }
            let id = answer.header("x-road-id").expect("x-road-id").to_owned();
            received.push(id);
            assert!(received.len() < 200, "the disk does not fill");
        };
        assert_eq!(refused.0, code, "after {} exchanges", received.len());
        assert!(received.len() > 3, "{} exchanges", received.len());
        // Full is full, also after a restart; what was answered is there.
        server.kill_and_start();
        eventually("the server listens", Duration::from_secs(30), || {
            pair.not_ready(name)
                .is_none_or(|told| told.starts_with("not ready"))
        });
        mounted.grow("size=400m");
        eventually("messages pass again", Duration::from_secs(60), || {
            fault(&pair).is_none()
        });
        let judged = pair.country.judged(name);
        assert!(judged.valid, "{name}:\n{}", judged.text);
        for id in &received {
            assert!(
                judged.has(id, "request") && judged.has(id, "response"),
                "{name}: {id} is lost"
            );
        }
        server.kill();
    }
}
