//! `tunduk idp-server account`: accounts of an earlier provider, one by one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use id_registry::PersonalNumber;
use oidc_provider::{Earlier, PasswordHash, Provider, Seed, Tenant};
use serde::Deserialize;
use time::OffsetDateTime;

/// Longest line, in bytes.
const LONGEST_LINE: u64 = 64 * 1024;
/// Lines that are refused by name; of more, only their count is told.
const MOST_NAMED: usize = 100;

/// Accounts.
#[derive(Debug, Subcommand)]
pub enum AccountAction {
    /// Take accounts over, each with the subjects by which relying parties know the person. Again, it goes on where it
    /// was
    Import {
        /// The settings (docs/identity-provider.md)
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// One JSON object a line: number, subjects, email, phone, password (docs/taking-over.md)
        source: PathBuf,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    number: PersonalNumber,
    #[serde(default)]
    subjects: BTreeMap<String, String>,
    email: Option<String>,
    phone: Option<String>,
    password: Option<PasswordHash>,
}

impl AccountAction {
    /// The settings' file.
    #[must_use]
    pub fn config(&self) -> &Path {
        match self {
            Self::Import { config, .. } => config,
        }
    }

    /// Does it; gives what is printed.
    ///
    /// # Errors
    /// In words: the lines that were refused. The others were taken.
    pub fn run(self, provider: &Provider, tenant: Tenant) -> Result<String, String> {
        let Self::Import { source, .. } = self;
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", source.display());
        let mut reader = BufReader::new(File::open(&source).map_err(|error| failed(&error))?);
        let (mut taken, mut refused, mut named) = (0_u64, 0_u64, Vec::new());
        for place in 1_u64.. {
            let mut line = Vec::new();
            let read = reader
                .by_ref()
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut line)
                .map_err(|error| failed(&error))?;
            if read == 0 {
                break;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match take_over(provider, tenant, &line) {
                Ok(()) => taken += 1,
                Err(reason) => {
                    refused += 1;
                    if named.len() < MOST_NAMED {
                        // Not what the line holds: it is personal.
                        named.push(format!("line {place}: {reason}"));
                    }
                }
            }
        }
        if refused == 0 {
            return Ok(format!("{taken} accounts are here\n"));
        }
        named.push(format!(
            "{taken} accounts are here, {refused} lines were refused"
        ));
        Err(failed(&named.join("\n")))
    }
}

fn take_over(provider: &Provider, tenant: Tenant, line: &[u8]) -> Result<(), String> {
    if line.len() as u64 == LONGEST_LINE {
        return Err(format!("it is longer than {LONGEST_LINE} bytes"));
    }
    let row: Row = serde_json::from_slice(line)
        .map_err(|error| format!("it is no account, at column {}", error.column()))?;
    let subjects: Vec<(String, String)> = row.subjects.into_iter().collect();
    // A subject is at most 255 ASCII characters (OpenID Connect Core 2).
    let is_subject = |text: &str| (1..=255).contains(&text.len()) && text.is_ascii();
    if !subjects
        .iter()
        .all(|(sector, subject)| !sector.is_empty() && is_subject(subject))
    {
        return Err("a subject is 1 to 255 ASCII characters, of a named sector".to_owned());
    }
    if !row.password.as_ref().is_none_or(passwords::can_verify) {
        return Err("the hash of its password is not one that is verified here".to_owned());
    }
    let earlier = Earlier {
        subjects,
        email: row.email,
        phone: row.phone,
        password: row.password,
    };
    let seed = Seed::new(crate::random::bytes());
    provider
        .take_over(
            row.number,
            tenant,
            &earlier,
            OffsetDateTime::now_utc(),
            &seed,
        )
        .map(|_| ())
        .map_err(|error| error.to_string())
}
