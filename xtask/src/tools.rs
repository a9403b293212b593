//! Outside tools that tests need: found, installed when this machine allows it, or named in one line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::postgres::Postgres;
use crate::{Outcome, fail};

/// A program that tests call, with the Debian package that brings it.
const PROGRAMS: &[(&str, &str)] = &[
    ("openssl", "openssl"),
    ("xmlsec1", "xmlsec1"),
    ("xmllint", "libxml2-utils"),
    ("pdfsig", "poppler-utils"),
    ("unzip", "unzip"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("python3", "python3"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("softhsm2-util", "softhsm2"),
    ("age", "age"),
];

/// Python packages of the interoperability tests, relative to the workspace.
const REQUIREMENTS: &str = "tests/interop/requirements.txt";

/// Node packages of the interoperability tests, relative to the workspace: what is wanted, and exactly which.
const NODE_PACKAGES: &[&str] = &[
    "tests/interop/node/package.json",
    "tests/interop/node/package-lock.json",
];

/// Where the tools are.
#[derive(Debug)]
pub(crate) struct Tools {
    /// The interpreter of the virtual environment with the packages of [`REQUIREMENTS`].
    pub(crate) python: PathBuf,
    /// The folder with the Node packages of [`NODE_PACKAGES`].
    pub(crate) node: PathBuf,
    /// A running PostgreSQL.
    pub(crate) postgres: Postgres,
}

impl Tools {
    /// Finds every tool, installing what is missing: Debian packages when running as root, Python packages always
    /// (into `target/python`).
    pub(crate) fn prepare(root: &Path) -> Outcome<Self> {
        let missing: Vec<&str> = PROGRAMS
            .iter()
            .filter(|(program, _)| !on_path(program))
            .map(|(_, package)| *package)
            .collect();
        install(&missing)?;
        let python = python(root)?;
        let node = node(root)?;
        let postgres = Postgres::start()?;
        Ok(Self {
            python,
            node,
            postgres,
        })
    }
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

/// Installs Debian packages without asking, or says in one line which command does it.
pub(crate) fn install(packages: &[&str]) -> Outcome {
    if packages.is_empty() {
        return Ok(());
    }
    let wanted = packages.join(" ");
    if !is_root() || !on_path("apt-get") {
        return fail(format!(
            "missing tools; install them with: sudo apt-get install --yes {wanted}"
        ));
    }
    println!("tools: installing {wanted}");
    for arguments in [vec!["update", "--quiet=2"], {
        let mut install = vec!["install", "--yes", "--quiet=2", "--no-install-recommends"];
        install.extend(packages);
        install
    }] {
        let status = Command::new("apt-get")
            .args(&arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        if !status.is_ok_and(|status| status.success()) {
            return fail(format!(
                "apt-get {} failed; install by hand: apt-get install --yes {wanted}",
                arguments.first().copied().unwrap_or_default()
            ));
        }
    }
    Ok(())
}

pub(crate) fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The virtual environment, made again whenever the requirements or the interpreter change.
fn python(root: &Path) -> Outcome<PathBuf> {
    let requirements = root.join(REQUIREMENTS);
    let wanted = fs::read_to_string(&requirements)
        .map_err(|error| vec![format!("{REQUIREMENTS}: {error}")])?;
    let version = Command::new("python3")
        .arg("--version")
        .output()
        .map_err(|error| vec![format!("python3: {error}")])?;
    let wanted = format!("{}{wanted}", String::from_utf8_lossy(&version.stdout));
    let folder = root.join("target/python");
    let stamp = folder.join("requirements.stamp");
    let python = folder.join("bin/python");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) && python.is_file() {
        return Ok(python);
    }
    println!("tools: installing Python packages into target/python");
    let venv = |folder: &Path| {
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !venv(&folder) {
        // Debian ships the module that fills a virtual environment in a package of its own.
        install(&["python3-venv"])?;
        if !venv(&folder) {
            return fail("python3 -m venv target/python failed; install python3-venv");
        }
    }
    let installed = Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--requirement",
        ])
        .arg(&requirements)
        .stdin(Stdio::null())
        .status();
    if !installed.is_ok_and(|status| status.success()) {
        return fail(format!(
            "pip could not install {REQUIREMENTS}; reach a Python package index (PIP_INDEX_URL), then run again"
        ));
    }
    fs::write(&stamp, wanted).map_err(|error| vec![format!("{}: {error}", stamp.display())])?;
    Ok(python)
}

/// The folder with the Node packages, filled again whenever they change. No script of a package is run.
fn node(root: &Path) -> Outcome<PathBuf> {
    let folder = root.join("target/node");
    fs::create_dir_all(&folder).map_err(|error| vec![format!("{}: {error}", folder.display())])?;
    let mut wanted = String::new();
    for path in NODE_PACKAGES {
        let from = root.join(path);
        let text = fs::read_to_string(&from).map_err(|error| vec![format!("{path}: {error}")])?;
        let to = folder.join(from.file_name().unwrap_or_default());
        fs::write(&to, &text).map_err(|error| vec![format!("{}: {error}", to.display())])?;
        wanted.push_str(&text);
    }
    let stamp = folder.join("packages.stamp");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted)
        && folder.join("node_modules").is_dir()
    {
        return Ok(folder);
    }
    println!("tools: installing Node packages into target/node");
    let installed = Command::new("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--silent",
        ])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .status();
    if !installed.is_ok_and(|status| status.success()) {
        return fail(
            "npm could not install the packages of tests/interop/node; reach a Node package registry, then run again",
        );
    }
    fs::write(&stamp, wanted).map_err(|error| vec![format!("{}: {error}", stamp.display())])?;
    Ok(folder)
}
