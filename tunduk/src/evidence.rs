//! `tunduk evidence`: take evidence out of a message log, and judge it.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use evidence::{Archive, ArchiveLimits, JudgedBy, Options, Verdict, gravest, verify_container};
use globalconf::{Anchor, GlobalConfiguration};
use security_server::configuration_client::{
    ConfigurationClient, ConfigurationClientSettings, load_directory,
};
use security_server::{ExportRequest, export_evidence};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use xmldsig::SignaturePolicyRule;

use crate::cli::USAGE;

/// Exit code of evidence that cannot be judged for lack of a part or of the configuration.
const INCOMPLETE: u8 = 2;

/// Take evidence out of a message log, and judge it.
#[derive(Debug, Subcommand)]
pub enum Evidence {
    /// Write a zip of ASiC-E containers with the signed configurations they are judged against
    Export(ExportArguments),
    /// Say who signed, when, what, and whether it holds: exit 0 valid, 1 invalid, 2 not everything is there
    Verify(VerifyArguments),
}

/// What to export.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// The Security Server's server.toml
    #[arg(long)]
    config: PathBuf,
    /// Only messages with this id
    #[arg(long)]
    query_id: Option<String>,
    /// Only messages of this member or subsystem, INST/CLASS/CODE[/SUBSYSTEM]
    #[arg(long)]
    client: Option<String>,
    /// From this time on, as 2026-11-24T00:00:00Z
    #[arg(long, value_parser = moment)]
    from: Option<u64>,
    /// Before this time
    #[arg(long, value_parser = moment)]
    until: Option<u64>,
    /// Requests only
    #[arg(long, conflicts_with = "response_only")]
    request_only: bool,
    /// Responses only
    #[arg(long)]
    response_only: bool,
    /// The zip to write
    #[arg(long, short)]
    output: PathBuf,
}

fn moment(text: &str) -> Result<u64, String> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "expected a time such as 2026-11-24T00:00:00Z".to_owned())?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000)
        .map_err(|_| "the time is before 1970".to_owned())
}

/// What to judge, and by what.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// One container (.asice), or a zip that `evidence export` wrote
    pub(crate) file: PathBuf,
    /// A configuration anchor: for a zip its signed configurations are verified up to it, for one
    /// container the configuration is downloaded
    #[arg(
        long,
        required_unless_present = "globalconf",
        conflicts_with = "globalconf"
    )]
    pub(crate) anchor: Option<PathBuf>,
    /// A Security Server's stored configuration, trusted as given
    #[arg(long)]
    pub(crate) globalconf: Option<PathBuf>,
    /// Accept signatures without the signature policy (archives from before it was demanded)
    #[arg(long)]
    pub(crate) policy_not_required: bool,
    /// Accept SHA-1 (old archives)
    #[arg(long)]
    pub(crate) sha1_allowed: bool,
}

/// Why nothing could be judged.
enum Unjudged {
    /// The arguments or the file cannot be used: exit 64.
    Usage(String),
    /// The configuration to judge by cannot be had: exit 2.
    NoConfiguration(String),
}

/// Runs the subcommand and says how to exit.
pub async fn run(arguments: Evidence) -> u8 {
    match arguments {
        Evidence::Export(arguments) => export(arguments).await,
        Evidence::Verify(arguments) => judge(&arguments).await,
    }
}

/// Judges evidence, prints what was found and says how to exit.
pub(crate) async fn judge(arguments: &VerifyArguments) -> u8 {
    match verify(arguments).await {
        Ok(code) => code,
        Err(Unjudged::Usage(error)) => {
            eprintln!("tunduk: {error}");
            USAGE
        }
        Err(Unjudged::NoConfiguration(error)) => {
            println!("verdict:    incomplete: the configuration to judge by is not there: {error}");
            INCOMPLETE
        }
    }
}

async fn export(arguments: ExportArguments) -> u8 {
    let request = ExportRequest {
        query_id: arguments.query_id,
        party: arguments.client,
        from: arguments.from,
        until: arguments.until,
        request_only: arguments.request_only,
        response_only: arguments.response_only,
    };
    match export_evidence(&arguments.config, &request, &arguments.output).await {
        Ok(summary) => {
            println!(
                "{}: {} containers, {} bytes{}",
                arguments.output.display(),
                summary.containers,
                summary.len,
                if summary.without_timestamp == 0 {
                    String::new()
                } else {
                    format!(
                        "; {} of them have no time-stamp yet, because no authority could be reached, and prove nothing without it: export them again later",
                        summary.without_timestamp
                    )
                }
            );
            0
        }
        Err(error) => {
            eprintln!("tunduk: {error}");
            1
        }
    }
}

async fn verify(arguments: &VerifyArguments) -> Result<u8, Unjudged> {
    let unreadable =
        |error: std::io::Error| Unjudged::Usage(format!("{}: {error}", arguments.file.display()));
    let mut file = File::open(&arguments.file).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(Unjudged::Usage(format!(
            "{} is a directory",
            arguments.file.display()
        )));
    }
    let mut rule = SignaturePolicyRule::STRICT;
    if arguments.policy_not_required {
        rule = rule.policy_not_required();
    }
    if arguments.sha1_allowed {
        rule = rule.sha1_allowed();
    }
    let options = Options {
        rule,
        ..Options::default()
    };
    match Archive::open(&file, ArchiveLimits::default()) {
        Some(archive) => verify_archive(archive, arguments, &options),
        None => {
            file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
            let configuration = configuration(arguments).await;
            let report =
                verify_container(file, configuration.as_ref().ok(), &options).map_err(|error| {
                    Unjudged::Usage(format!("{}: {error}", arguments.file.display()))
                })?;
            print!("{report}");
            if let (Err(reason), Verdict::Incomplete { .. }) = (&configuration, &report.verdict) {
                println!("            {reason}");
            }
            Ok(report.verdict.exit_status())
        }
    }
}

/// The configuration for one container: stored, or downloaded from the anchor.
async fn configuration(arguments: &VerifyArguments) -> Result<GlobalConfiguration, String> {
    if let Some(directory) = &arguments.globalconf {
        return load_directory(directory);
    }
    let anchor = arguments
        .anchor
        .as_deref()
        .ok_or("neither an anchor nor a configuration was given")?;
    let place = std::env::temp_dir().join(format!("tunduk-verify-{}", crate::random::uuid()));
    let downloaded = download(anchor, &place).await;
    for left in [
        place.clone(),
        suffixed(&place, ".generations"),
        suffixed(&place, ".archive"),
    ] {
        let _ = std::fs::remove_dir_all(left);
    }
    let _ = std::fs::remove_file(&place);
    downloaded
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

async fn download(anchor: &Path, place: &Path) -> Result<GlobalConfiguration, String> {
    let settings = ConfigurationClientSettings::new(anchor.to_owned(), place.to_owned());
    let client = ConfigurationClient::open(settings).map_err(|error| error.to_string())?;
    client.update().await.map_err(|error| error.to_string())?;
    client
        .configuration()
        .map(|configuration| (*configuration).clone())
        .ok_or_else(|| "the download left no configuration".to_owned())
}

fn verify_archive(
    archive: Archive<&File>,
    arguments: &VerifyArguments,
    options: &Options,
) -> Result<u8, Unjudged> {
    let (given, anchor);
    let by = match (&arguments.globalconf, &arguments.anchor) {
        (Some(directory), _) => {
            given = load_directory(directory).map_err(Unjudged::NoConfiguration)?;
            JudgedBy::Configuration(&given)
        }
        (None, Some(path)) => {
            anchor = std::fs::read(path)
                .map_err(|error| error.to_string())
                .and_then(|bytes| Anchor::decode(&bytes).map_err(|error| error.to_string()))
                .map_err(|error| {
                    Unjudged::NoConfiguration(format!("{}: {error}", path.display()))
                })?;
            JudgedBy::Anchor(&anchor)
        }
        (None, None) => return Err(Unjudged::Usage("give --anchor or --globalconf".into())),
    };
    let mut worst = 0;
    archive
        .judge(by, options, tempfile::tempfile, |found| {
            println!("{}", found.name);
            match &found.report {
                Ok(report) => print!("{report}"),
                Err(error) => println!("verdict:    invalid: io_error: {error}"),
            }
            if let Some(reason) = &found.no_configuration {
                println!("            the configuration to judge by: {reason}");
            }
            println!();
            worst = gravest(worst, found.exit_status());
        })
        .map_err(|error| Unjudged::Usage(error.to_string()))?;
    Ok(worst)
}
