//! Interoperability with programs that nobody here wrote. The tests are in `tests/` and run with `cargo xtask test`,
//! which provides the programs.

pub mod outside;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The Python that has the packages of `requirements.txt`: `TUNDUK_PYTHON`, or `target/python`.
///
/// # Panics
/// When it is not there.
pub fn python() -> Command {
    let path = place("TUNDUK_PYTHON", "target/python/bin/python");
    assert!(
        path.is_file(),
        "no Python at {}; run these tests with: cargo xtask test",
        path.display()
    );
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).env("PYTHONUNBUFFERED", "1");
    command
}

/// The script of the independent peer: in `TUNDUK_XRPEER`, or beside the project.
///
/// # Panics
/// When it is not there.
pub fn xrpeer() -> Command {
    let path = xrpeer_folder().join("xrpeer.py");
    assert!(
        path.is_file(),
        "no xrpeer at {}; set TUNDUK_XRPEER to its folder",
        path.display()
    );
    let mut command = python();
    // The script's folder may be read-only.
    command.arg("-B").arg(path);
    command
}

/// Where the independent peer is.
pub fn xrpeer_folder() -> PathBuf {
    place("TUNDUK_XRPEER", "../shared/tools/xrpeer")
}

/// A script of `python/`.
pub fn script(name: &str) -> Command {
    let mut command = python();
    command.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("python")
            .join(name),
    );
    command
}

/// A script of `node/`, run where its packages are: `TUNDUK_NODE`, or `target/node`.
///
/// # Panics
/// When the packages are not there.
pub fn node(name: &str) -> Command {
    let folder = place("TUNDUK_NODE", "target/node");
    assert!(
        folder.join("node_modules").is_dir(),
        "no packages at {}; run these tests with: cargo xtask test",
        folder.display()
    );
    // Node looks for packages beside the script.
    let script = folder.join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("node")
        .join(name);
    std::fs::copy(source, &script).expect("a copy of the script");
    let mut command = Command::new("node");
    command.arg(script);
    command
}

/// Runs the program to its end and gives what it printed, standard error included.
///
/// # Panics
/// When it cannot be started.
pub fn output_of(command: &mut Command) -> (Output, String) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output, text)
}

/// Runs the program and gives what it printed.
///
/// # Panics
/// When it fails, with what it printed.
pub fn run(command: &mut Command) -> String {
    let (output, text) = output_of(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}",
        output.status
    );
    text
}

fn place(variable: &str, below_workspace: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::var_os(variable).map_or_else(|| workspace.join(below_workspace), PathBuf::from)
}
