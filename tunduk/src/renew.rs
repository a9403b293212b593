//! `tunduk renew`: the job that lets signed documents outlive their certificates and algorithms.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use config::read_trust_list;
use document_signature::{Level, Report, Trust, Verdict, is_renewal_due, verify};
use time::OffsetDateTime;
use transport::validation_data::Sources;
use transport::{HttpClient, PoolLimits};

use crate::cli::USAGE;

/// Exit code when a document could not be renewed, or must not be.
const FAILED: u8 = 1;

/// Which documents to renew, and by whom. Exit status: 0 all of them are good for longer than the margin, 1 one of them
/// is not (the others are done all the same), 64 the arguments cannot be used.
#[derive(Debug, Args)]
pub struct RenewArguments {
    /// Signed PDF files and containers (.asice); each is replaced once its renewed form was verified
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The list of authorities to trust (docs/signature.md)
    #[arg(long)]
    trust: PathBuf,
    /// URL of the time-stamping authority
    #[arg(long)]
    tsa: String,
    /// Days before the end of the youngest time-stamp's certificate in which it is renewed
    #[arg(long, default_value_t = 180)]
    margin_days: u32,
}

struct Job {
    arguments: RenewArguments,
    trust: Trust,
    sources: Sources,
}

/// Runs the subcommand and says how to exit.
pub async fn run(arguments: RenewArguments) -> u8 {
    let trust = match read_trust_list(&arguments.trust) {
        Ok(trust) => trust,
        Err(error) => {
            eprintln!("tunduk: {error}");
            return USAGE;
        }
    };
    let client = match HttpClient::new(PoolLimits::default()) {
        Ok(client) => client,
        Err(error) => {
            eprintln!("tunduk: {error}");
            return FAILED;
        }
    };
    let sources = Sources::new(client, arguments.tsa.as_str());
    let job = Job {
        arguments,
        trust,
        sources,
    };
    let mut status = 0;
    for file in &job.arguments.files {
        match job.renew(file).await {
            Ok(done) => println!("{}: {done}", file.display()),
            Err(error) => {
                eprintln!("tunduk: {}: {error}", file.display());
                status = FAILED;
            }
        }
    }
    status
}

impl Job {
    async fn renew(&self, file: &Path) -> Result<String, String> {
        let document = std::fs::read(file).map_err(|error| error.to_string())?;
        let now = OffsetDateTime::now_utc();
        let report = verify(&document, Some(&self.trust), now);
        if let Verdict::Invalid { reason } = &report.verdict {
            return Err(format!("it is not valid and is left alone: {reason}"));
        }
        let margin = time::Duration::days(i64::from(self.arguments.margin_days));
        let is_archived = report
            .signatures
            .iter()
            .all(|signature| signature.level == Level::LTA);
        if is_archived && !is_renewal_due(&report, now, margin) {
            return Ok(format!("nothing to do {}", until(&report)));
        }
        let renewed = self
            .sources
            .archived(&document, &self.trust, now)
            .await
            .map_err(|error| error.to_string())?;
        // What is written has been judged; the old form stays until then.
        let now = OffsetDateTime::now_utc();
        let report = verify(&renewed, Some(&self.trust), now);
        match &report.verdict {
            Verdict::Valid if !is_renewal_due(&report, now, margin) => {}
            Verdict::Valid => {
                return Err(
                    "the time-stamping authority's certificate ends within the margin, too"
                        .to_owned(),
                );
            }
            verdict => return Err(format!("its renewed form would be {verdict}")),
        }
        replace(file, &renewed).map_err(|error| error.to_string())?;
        Ok(format!("renewed {}", until(&report)))
    }
}

/// Until when all signatures of a document can be relied on.
fn until(report: &Report) -> String {
    let end = report
        .signatures
        .iter()
        .filter_map(|signature| signature.renew_before)
        .min();
    end.map_or_else(String::new, |end| format!("(good until {})", end.date()))
}

/// Puts the new form in the place of the old one, never half of it.
fn replace(file: &Path, document: &[u8]) -> std::io::Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(document)?;
    let permissions = std::fs::metadata(file)?.permissions();
    std::fs::set_permissions(new.path(), permissions)?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    std::fs::File::open(folder)?.sync_all()
}
