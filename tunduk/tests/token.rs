//! `tunduk token`, as an operator uses it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn token(arguments: &[&str], file: &Path, input: &str) -> Output {
    let (action, more) = arguments.split_first().expect("an action");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tunduk"))
        .args(["token", action])
        .arg(file)
        .args(more)
        .arg("--pin-stdin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("standard input");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn succeeds(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_pin_is_changed_and_everything_else_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token.json");
    let sealed = folder.path().join("sealed");
    let output = sealed.to_str().expect("UTF-8");
    succeeds(&token(&["init"], &file, "first-pin-1\n"));
    let key = ["key", "--usage", "authentication", "--key-type", "ec-p256"];
    succeeds(&token(&key, &file, "first-pin-1\n"));
    succeeds(&token(
        &["seal", "--output", output],
        &file,
        "first-pin-1\n",
    ));
    let before = std::fs::read(&sealed).expect("a sealed key");
    let keys = |file: &Path| {
        let text = std::fs::read_to_string(file).expect("a token");
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(!text.contains("-pin-"));
        document["keys"].clone()
    };
    let kept = keys(&file);

    // A new PIN that is too short, or none, changes nothing.
    assert!(
        !token(&["pin"], &file, "first-pin-1\nshort\n")
            .status
            .success()
    );
    assert!(!token(&["pin"], &file, "first-pin-1\n").status.success());
    succeeds(&token(&["unlock"], &file, "first-pin-1\n"));

    succeeds(&token(&["pin"], &file, "first-pin-1\nsecond-pin-2\n"));
    succeeds(&token(&["unlock"], &file, "second-pin-2\n"));
    assert_eq!(keys(&file), kept);
    std::fs::remove_file(&sealed).expect("removed");
    succeeds(&token(
        &["seal", "--output", output],
        &file,
        "second-pin-2\n",
    ));
    assert_eq!(std::fs::read(&sealed).expect("a sealed key"), before);
    // Last, because a wrong PIN makes the next attempt wait.
    assert!(!token(&["unlock"], &file, "first-pin-1\n").status.success());
}
