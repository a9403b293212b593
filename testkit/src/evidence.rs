//! Evidence: exported with the binary from a server's log, and judged by it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Country;
use crate::process::binary;
use crate::soap::fresh_id;

/// What `tunduk evidence verify` said of an exported archive.
#[derive(Debug)]
pub struct Judged {
    /// Exit status 0: all containers are valid.
    pub valid: bool,
    /// All that it printed.
    pub text: String,
    /// Names of the containers, `ID-request-NUMBER.asice`.
    pub containers: Vec<String>,
}

impl Judged {
    /// Whether there is a container of this message in this direction, `request` or `response`.
    pub fn has(&self, id: &str, direction: &str) -> bool {
        let start = format!("{id}-{direction}-");
        self.containers.iter().any(|name| name.starts_with(&start))
    }

    /// What was said of one container: the lines below its name.
    pub fn about(&self, container: &str) -> &str {
        self.text
            .split("\n\n")
            .find(|section| section.trim_start().starts_with(container))
            .unwrap_or_default()
    }
}

impl Country {
    /// Exports evidence of a server, with further arguments for the selection; gives the archive.
    ///
    /// # Errors
    /// What the command printed, when it failed.
    pub fn export(&self, server: &str, selection: &[&str]) -> Result<PathBuf, String> {
        let file = self.state().join(format!("evidence-{}.zip", fresh_id()));
        let output = Command::new(binary())
            .args(["evidence", "export", "--config"])
            .arg(self.configuration(server))
            .args(selection)
            .arg("--output")
            .arg(&file)
            .output()
            .expect("tunduk runs");
        if output.status.success() {
            return Ok(file);
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Judges an archive or container by the country's anchor.
    ///
    /// # Panics
    /// When the binary cannot be run.
    pub fn judge(&self, file: &Path) -> Judged {
        let output = Command::new(binary())
            .args(["evidence", "verify"])
            .arg(file)
            .arg("--anchor")
            .arg(self.path("/anchor"))
            .output()
            .expect("tunduk runs");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        let names = text.lines().filter(|line| {
            Path::new(line)
                .extension()
                .is_some_and(|extension| extension == "asice")
        });
        Judged {
            valid: output.status.success(),
            containers: names.map(str::to_owned).collect(),
            text,
        }
    }

    /// Exports all evidence of a server and judges it.
    ///
    /// # Panics
    /// When there is none.
    pub fn judged(&self, server: &str) -> Judged {
        let file = self
            .export(server, &[])
            .unwrap_or_else(|error| panic!("{server}: {error}"));
        self.judge(&file)
    }
}
