//! `tunduk verify`: one command for every kind of signed thing. It reaches for nothing on the network.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use config::read_trust_list;
use document_signature::{MAXIMUM_LENGTH, Verdict, verify};
use evidence::EvidenceKind;
use time::OffsetDateTime;

use crate::cli::USAGE;
use crate::evidence as command;

/// What to judge, and by what. Exit status: 0 valid, 1 invalid, 2 not everything is there that a verdict needs, 64 the
/// arguments cannot be used.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// A PDF file, a container with any files (.asice), or X-Road evidence
    file: PathBuf,
    /// The list of authorities to trust for signatures on documents (docs/signature.md)
    #[arg(long)]
    trust: Option<PathBuf>,
    /// For evidence that `evidence export` wrote: a configuration anchor, up to which its signed configurations are
    /// verified
    #[arg(long, conflicts_with = "globalconf")]
    anchor: Option<PathBuf>,
    /// For evidence: a Security Server's stored configuration, trusted as given
    #[arg(long)]
    globalconf: Option<PathBuf>,
    /// For evidence: accept signatures without the signature policy (archives from before it was demanded)
    #[arg(long)]
    policy_not_required: bool,
    /// For evidence: accept SHA-1 (old archives)
    #[arg(long)]
    sha1_allowed: bool,
}

/// Runs the subcommand and says how to exit.
pub async fn run(arguments: VerifyArguments) -> u8 {
    let usage = |error: &dyn std::fmt::Display| {
        eprintln!("tunduk: {error}");
        USAGE
    };
    let name = arguments.file.display().to_string();
    let mut file = match File::open(&arguments.file) {
        Ok(file) => file,
        Err(error) => return usage(&format!("{name}: {error}")),
    };
    match EvidenceKind::of(&file) {
        None => {}
        Some(EvidenceKind::Container) if arguments.globalconf.is_none() => {
            return usage(&format!(
                "{name} is a message of X-Road: give --globalconf to judge it by, or let `tunduk evidence verify --anchor` download it"
            ));
        }
        Some(EvidenceKind::Archive)
            if arguments.globalconf.is_none() && arguments.anchor.is_none() =>
        {
            return usage(&format!(
                "{name} holds messages of X-Road: give --anchor or --globalconf to judge them by"
            ));
        }
        Some(_) => {
            return command::judge(&command::VerifyArguments {
                file: arguments.file,
                anchor: arguments.anchor,
                globalconf: arguments.globalconf,
                policy_not_required: arguments.policy_not_required,
                sha1_allowed: arguments.sha1_allowed,
            })
            .await;
        }
    }
    let trust = match arguments.trust.as_deref().map(read_trust_list).transpose() {
        Ok(trust) => trust,
        Err(error) => return usage(&error),
    };
    let mut document = Vec::new();
    let limit = u64::try_from(MAXIMUM_LENGTH)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let read =
        std::io::Seek::rewind(&mut file).and_then(|()| file.take(limit).read_to_end(&mut document));
    if let Err(error) = read {
        return usage(&format!("{name}: {error}"));
    }
    let report = verify(&document, trust.as_ref(), OffsetDateTime::now_utc());
    print!("{report}");
    if trust.is_none() && matches!(report.verdict, Verdict::Incomplete { .. }) {
        println!("            give --trust to say whose signatures count");
    }
    report.verdict.exit_status()
}
