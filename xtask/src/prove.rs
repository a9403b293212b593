//! `cargo xtask prove`: the sizes that the issues name. It takes hours and writes a dated record, on which an issue
//! is closed; the daily checks run the same code at small sizes.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::test::{build, cargo, material};
use crate::tools::Tools;
use crate::{Outcome, fail};

/// Sizes that tests read from the environment, with the value of a proving run. Without them the tests use small
/// values of their own.
const SIZES: &[(&str, &str)] = &[
    ("TUNDUK_KILLS", "50"),
    ("TUNDUK_CIVIL_EVENTS", "1000000"),
    ("TUNDUK_IDENTITY_CASES", "100000"),
    ("TUNDUK_IDENTITY_SECONDS", "5"),
    ("TUNDUK_STREAM_MIB", "200"),
    ("TUNDUK_LOG_RECORDS", "10000000"),
    ("TUNDUK_SOAK_SECONDS", "600"),
];

/// The version before, from which servers are upgraded: whoever releases a version names its commit here afterwards.
const EARLIER: &str = "cbc0d10db2dc78094ba76489bbea97058a10a78c";
/// Tells the tests where the binary of that version is. Who sets it has one, and none is built.
const EARLIER_VARIABLE: &str = "TUNDUK_EARLIER";

/// Runs all steps, or those whose names are given, and writes a new file in `docs/prove`.
pub(crate) fn run(root: &Path, only: &[String]) -> Outcome {
    let tools = Tools::prepare(root)?;
    let material = material(root)?;
    let earlier = earlier(root)?;
    build(root, &["build", "--release", "--package", "tunduk"])?;
    let date = output_of(Command::new("date").args(["-u", "+%Y-%m-%d"]));
    let mut record = String::new();
    let _ = writeln!(record, "# Proving run of {date}\n");
    let _ = writeln!(
        record,
        "Commit `{}`. Sizes:",
        output_of(
            Command::new("git")
                .args(["rev-parse", "HEAD"])
                .current_dir(root)
        )
    );
    for (name, _) in SIZES {
        let _ = writeln!(record, "- {name}={}", size(name));
    }
    let _ = writeln!(record, "- the version before: `{EARLIER}`");
    let _ = writeln!(
        record,
        "\nMachine: {}, {}\n",
        output_of(Command::new("uname").arg("-srm")),
        processor()
    );
    let mut failed = Vec::new();
    let records = size("TUNDUK_LOG_RECORDS");
    let register = tools.postgres.database("prove_register")?;
    let identity = tools.postgres.database("prove_identity")?;
    let (register, identity) = (register.to_string_lossy(), identity.to_string_lossy());
    let steps: [(&str, Vec<&str>); 6] = [
        (
            "tests",
            vec![
                "test",
                "--workspace",
                "--no-fail-fast",
                "--",
                "--include-ignored",
                "--nocapture",
            ],
        ),
        ("bench", vec!["bench", "exchange"]),
        (
            "past",
            vec![
                "bench",
                "exchange",
                "--only",
                "past",
                "--modes",
                "p256",
                "--history",
                &records,
                "--subsystems",
                "10000",
            ],
        ),
        (
            "register",
            vec!["bench", "register", "--postgres", &register],
        ),
        ("identity", vec!["bench", "identity"]),
        (
            "identity-postgres",
            vec!["bench", "identity", "--postgres", &identity],
        ),
    ];
    // What was built of the commit that is recorded, whatever becomes of the sources meanwhile.
    let binary = root.join("target/release/tunduk");
    for (name, arguments) in steps {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("prove: {name}");
        let start = Instant::now();
        let is_bench = arguments.first() == Some(&"bench");
        let mut command = if is_bench {
            let mut command = Command::new(&binary);
            command.current_dir(root).stdin(Stdio::null());
            command
        } else {
            cargo(root, &tools, &material)
        };
        command.env(EARLIER_VARIABLE, &earlier);
        for (variable, value) in SIZES {
            if std::env::var_os(variable).is_none() {
                command.env(variable, value);
            }
        }
        let output = command
            .args(&arguments)
            .output()
            .map_err(|error| vec![format!("{name}: {error}")])?;
        let verdict = if output.status.success() {
            "ok"
        } else {
            "FAILED"
        };
        let _ = writeln!(
            record,
            "## {name}: {verdict} after {} s\n\n`{} {}`\n",
            start.elapsed().as_secs(),
            if is_bench { "tunduk" } else { "cargo" },
            shown(&arguments)
        );
        let _ = writeln!(
            record,
            "```text\n{}```\n",
            telling_lines(&output.stdout, &output.stderr)
        );
        if !output.status.success() {
            failed.push(format!("prove: {name} failed"));
        }
        println!("prove: {name}: {verdict}");
    }
    let folder = root.join("docs/prove");
    // What was recorded earlier on the day stays.
    let name = (1..)
        .map(|run| match run {
            1 => format!("{date}.md"),
            _ => format!("{date}-{run}.md"),
        })
        .find(|name| !folder.join(name).exists())
        .unwrap_or_default();
    let file = folder.join(&name);
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, record));
    if let Err(error) = written {
        return fail(format!("{}: {error}", file.display()));
    }
    println!("prove: recorded in docs/prove/{name}");
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed)
    }
}

/// Arguments as they are recorded: files of this machine by their names only.
fn shown(arguments: &[&str]) -> String {
    let shown = arguments.iter().map(|argument| {
        let path = Path::new(argument);
        let name = path.file_name().filter(|_| path.is_absolute());
        name.map_or_else(|| (*argument).into(), |name| name.to_string_lossy())
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// The binary of the version before, built from its commit in a folder of its own. It has a target folder of its own too:
/// cargo takes equally named packages of two checkouts for the same.
fn earlier(root: &Path) -> Outcome<PathBuf> {
    if let Some(path) = std::env::var_os(EARLIER_VARIABLE) {
        return Ok(path.into());
    }
    let folder = root.join("target/earlier");
    let git = |folder: &Path, arguments: &[&str]| {
        Command::new("git")
            .args(arguments)
            .current_dir(folder)
            .status()
            .is_ok_and(|status| status.success())
    };
    let there = folder.exists()
        || git(
            root,
            &[
                "clone",
                "--quiet",
                "--shared",
                "--no-checkout",
                ".",
                "target/earlier",
            ],
        );
    if !there || !git(&folder, &["checkout", "--quiet", "--detach", EARLIER]) {
        return fail(format!(
            "git has no commit {EARLIER} to upgrade from: fetch it, or set {EARLIER_VARIABLE} to a binary of it"
        ));
    }
    build(&folder, &["build", "--release", "--package", "tunduk"])?;
    Ok(folder.join("target/release/tunduk"))
}

/// A size of this run.
fn size(wanted: &str) -> String {
    std::env::var(wanted).unwrap_or_else(|_| {
        let known = SIZES.iter().find(|(name, _)| *name == wanted);
        known.map_or_else(String::new, |(_, value)| (*value).to_owned())
    })
}

/// The lines of a test or bench run that a reader wants: results, failures and what tests say about their sizes.
fn telling_lines(stdout: &[u8], stderr: &[u8]) -> String {
    let mut text = String::new();
    let stdout = String::from_utf8_lossy(stdout);
    if stdout.is_empty() {
        // The benchmark's table, without how far it was when.
        for line in String::from_utf8_lossy(stderr).lines() {
            if !line.ends_with(" a second)") {
                text.push_str(line);
                text.push('\n');
            }
        }
        return text;
    }
    for line in stdout.lines() {
        let telling = line.starts_with("test result")
            || line.starts_with("prove:")
            || line.contains("FAILED")
            || line.contains("panicked")
            || line.contains(" right, ");
        if telling {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut names = text.lines().filter(|line| line.starts_with("model name"));
    let name = names
        .next()
        .and_then(|line| line.split(": ").nth(1))
        .unwrap_or("unknown processor");
    format!("{} x {name}", names.count() + 1)
}

fn output_of(command: &mut Command) -> String {
    command
        .stdin(Stdio::null())
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}
