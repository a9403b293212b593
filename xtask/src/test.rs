//! `cargo xtask test`: every test there is, with the outside tools they need.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::postgres;
use crate::tools::Tools;
use crate::{Outcome, fail};

/// Overrides the place of the X-Road vectors.
pub(crate) const VECTORS_VARIABLE: &str = "TUNDUK_XROAD_VECTORS";
/// Overrides the folder of `xrpeer.py`.
pub(crate) const XRPEER_VARIABLE: &str = "TUNDUK_XRPEER";
/// Tells the tests which Python has the packages of `tests/interop/requirements.txt`.
pub(crate) const PYTHON_VARIABLE: &str = "TUNDUK_PYTHON";
/// Tells the tests which folder has the packages of `tests/interop/node`.
pub(crate) const NODE_VARIABLE: &str = "TUNDUK_NODE";

/// Runs the tests whose names contain the filter, or all.
pub(crate) fn run(root: &Path, filter: &[String]) -> Outcome {
    let start = Instant::now();
    let tools = Tools::prepare(root)?;
    let material = material(root)?;
    // Interoperability tests start the real binary.
    build(root, &["build", "--package", "tunduk"])?;
    let mut command = cargo(root, &tools, &material);
    command
        .args([
            "test",
            "--workspace",
            "--no-fail-fast",
            "--",
            "--include-ignored",
        ])
        .args(filter);
    let passed = command
        .status()
        .map_err(|error| vec![format!("cargo test: {error}")])?
        .success();
    println!("tests: {} s in all", start.elapsed().as_secs());
    if passed {
        Ok(())
    } else {
        fail("some tests failed: see above")
    }
}

/// Material that is not part of the project and that the tests need.
#[derive(Debug)]
pub(crate) struct Material {
    vectors: PathBuf,
    xrpeer: PathBuf,
}

/// Finds the material beside the project or where the environment says; a lack is a failure, not a skipped test.
pub(crate) fn material(root: &Path) -> Outcome<Material> {
    let mut problems = Vec::new();
    let mut find = |variable: &str, beside: &str, what: &str| {
        let path = std::env::var_os(variable).map_or_else(|| root.join(beside), PathBuf::from);
        match path.canonicalize() {
            Ok(path) => path,
            Err(_) => {
                problems.push(format!(
                    "{what} not found at {}; set {variable} to its folder",
                    path.display()
                ));
                path
            }
        }
    };
    let vectors = find(
        VECTORS_VARIABLE,
        "../shared/vectors/xroad",
        "the X-Road test vectors are",
    );
    let xrpeer = find(
        XRPEER_VARIABLE,
        "../shared/tools/xrpeer",
        "the independent peer xrpeer is",
    );
    if problems.is_empty() {
        Ok(Material { vectors, xrpeer })
    } else {
        Err(problems)
    }
}

/// Cargo in the workspace, with the tools and the material in its environment and no standard input.
pub(crate) fn cargo(root: &Path, tools: &Tools, material: &Material) -> Command {
    let mut command = plain_cargo(root);
    command
        .env(PYTHON_VARIABLE, &tools.python)
        .env(NODE_VARIABLE, &tools.node)
        .env(postgres::VARIABLE, tools.postgres.parameters())
        .env(VECTORS_VARIABLE, &material.vectors)
        .env(XRPEER_VARIABLE, &material.xrpeer);
    command
}

/// Builds, or says that it failed.
pub(crate) fn build(root: &Path, arguments: &[&str]) -> Outcome {
    match plain_cargo(root).args(arguments).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => fail(format!("cargo {} failed: see above", arguments.join(" "))),
        Err(error) => fail(format!("cargo: {error}")),
    }
}

fn plain_cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).stdin(Stdio::null());
    command
}
