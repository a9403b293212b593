//! The import of a dirty register is killed again and again: nobody is lost, nobody comes twice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use id_registry::demonstration::{DirtySource, Planted};

/// Kills of the import, each a little later.
const KILLS: u32 = 4;

fn import(folder: &Path, state: &str) -> Command {
    let mut command = Command::new(testkit::binary());
    command
        .args(["register", "import"])
        .arg(folder.join("source.csv"))
        .arg("--report")
        .arg(folder.join("report"))
        .arg("--state")
        .arg(folder.join(state))
        .args(["--as-of", "2026-01-01", "--reference", "old register"])
        .args(["--office", "registry", "--officer", "7"]);
    command
}

fn count(folder: &Path, name: &str) -> u64 {
    let text = std::fs::read(folder.join("report/reconciliation.json")).unwrap();
    let counts: serde_json::Value = serde_json::from_slice(&text).unwrap();
    counts[name].as_u64().unwrap()
}

fn succeeded(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_killed_import_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = DirtySource::new(3, 40_000);
    let (mut text, mut planted) = (DirtySource::HEADER.to_owned(), Planted::default());
    for household in 0..source.households() {
        source.write_household(household, &mut text, &mut planted);
    }
    std::fs::write(folder.join("source.csv"), text).unwrap();
    succeeded(&import(folder, "whole").output().unwrap());
    let expected = count(folder, "imported");
    assert!(expected > 39_000, "{expected}");

    let mut killed = 0;
    for kill in 0..KILLS {
        let mut child = import(folder, "killed")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(1200 + 500 * u64::from(kill)));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
    }
    succeeded(&import(folder, "killed").output().unwrap());
    let (imported, there) = (count(folder, "imported"), count(folder, "already_there"));
    assert_eq!(imported + there, expected);
    let accounted = imported + there + count(folder, "repeated") + count(folder, "quarantined");
    assert_eq!(accounted, planted.rows);
    assert_eq!(count(folder, "quarantined"), planted.kept_out());
    println!("killed {killed} times, {there} people were there before the last run");

    // Once more: nothing is left to do.
    succeeded(&import(folder, "killed").output().unwrap());
    assert_eq!(count(folder, "imported"), 0);
    assert_eq!(count(folder, "already_there"), expected);
}
