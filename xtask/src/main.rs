//! Chores for developers: `cargo xtask CHORE`.
//!
//! Each chore prints what it does and why it fails in words that say what to do next. None of them passes by
//! skipping: what could not run is named in the last lines and makes the chore fail.

mod docs;
mod layers;
mod postgres;
mod prove;
mod test;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask CHORE

  test [FILTER]   run every test, also those that need outside tools (installed when missing and allowed)
  prove [STEP]... run the tests at the sizes of the issues and the benchmarks, or some of these steps; writes a record to
                  docs/prove
  layers          check the layer rule over every Cargo.toml
  docs            check that every path named in the documentation exists
  tools           only install what `test` needs (as root: Debian packages; always: target/python)";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let chore = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let root = root();
    let outcome = match chore.as_deref() {
        Some("test") => test::run(&root, &rest),
        Some("prove") => prove::run(&root, &rest),
        Some("layers") => layers::run(&root),
        Some("docs") => docs::run(&root),
        Some("tools") => tools::Tools::prepare(&root).map(|_| ()),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(64);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            ExitCode::FAILURE
        }
    }
}

/// What a chore says when it fails: one line per problem, each telling what to do.
type Outcome<T = ()> = Result<T, Vec<String>>;

/// The folder of the workspace, wherever the command was started.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// One failure as an outcome.
fn fail<T>(text: impl Into<String>) -> Outcome<T> {
    Err(vec![text.into()])
}
