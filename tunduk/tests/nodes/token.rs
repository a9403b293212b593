//! The signing service with people's keys behind a token: SoftHSM.

use std::path::Path;
use std::process::{Command, Output};

use crate::cluster::{Ground, secret};

const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/libsofthsm2.so",
];
const PIN: &str = "2468013579";

#[test]
#[ignore = "needs PostgreSQL and SoftHSM: cargo xtask test"]
fn the_signing_service_keeps_its_keys_in_a_token() {
    let ground = Ground::new("token");
    let module = MODULES
        .into_iter()
        .find(|path| Path::new(path).is_file())
        .expect("SoftHSM's library; run: cargo xtask test");
    std::fs::create_dir(ground.path("tokens")).unwrap();
    let tokens = format!(
        "directories.tokendir = {}\n",
        ground.path("tokens").display()
    );
    std::fs::write(ground.path("softhsm2.conf"), tokens).unwrap();
    let made = Command::new("softhsm2-util")
        .env("SOFTHSM2_CONF", ground.path("softhsm2.conf"))
        .args(["--init-token", "--free", "--label", "people"])
        .args(["--pin", PIN, "--so-pin", "97531"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    std::fs::copy(ground.path("ca.pem"), ground.path("people-ca.pem")).unwrap();
    secret(&ground.path("pin"), PIN);
    let file = ground.path("signing.toml");
    let text = format!(
        "origin = \"https://sign.localhost:8444\"\nlisten = \"127.0.0.1:0\"\npostgres = \"db.conn\"\n\
         authorities = \"people-ca.pem\"\n\n[pkcs11]\nmodule = \"{module}\"\ntoken = \"people\"\npin = \"pin\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let command = |words: &[&str]| {
        let mut command = ground.tunduk(words);
        command
            .arg("--config")
            .arg(&file)
            .env("SOFTHSM2_CONF", ground.path("softhsm2.conf"));
        command
    };
    let run = |words: &[&str]| command(words).output().unwrap();
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    // Without its keys it does not start, and says what to do.
    let early = run(&["signing-server", "run"]);
    assert!(
        !early.status.success() && said(&early).contains("keys"),
        "{early:?}"
    );
    let made = run(&["signing-server", "key", "create"]);
    assert!(made.status.success(), "{made:?}");
    let again = run(&["signing-server", "key", "create"]);
    assert!(said(&again).contains("already"), "{again:?}");
    assert!(!ground.path("master.key").exists(), "there is no other key");
    let mut server = command(&["signing-server", "run"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut lines = std::io::BufReader::new(server.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
    let _ = server.kill();
    let _ = server.wait();
    assert_eq!(line, "ready\n");
    // A wrong PIN is refused and not told.
    secret(&ground.path("pin"), "11112222");
    let wrong = run(&["signing-server", "run"]);
    assert!(!wrong.status.success(), "{wrong:?}");
    assert!(!said(&wrong).contains("11112222"), "{wrong:?}");
}
