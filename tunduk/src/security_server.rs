//! `tunduk security-server`: one Security Server.

use std::path::PathBuf;

use ::security_server::{PinSource, run_with};
use clap::{Args, Subcommand};

/// What `tunduk security-server` takes.
#[derive(Debug, Args)]
pub struct SecurityServerArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the Security Server that a file describes (docs/operating.md)
    Run {
        /// The file, server.toml
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Read the token's PIN from the first line of standard input; otherwise the sealed key, the
        /// systemd credential `token-pin` or the terminal is used
        #[arg(long)]
        pin_stdin: bool,
    },
}

/// Runs `tunduk security-server`.
///
/// # Errors
/// In words, why it cannot run.
pub async fn run(arguments: SecurityServerArguments) -> Result<(), String> {
    let Action::Run { config, pin_stdin } = arguments.action;
    let pin = if pin_stdin {
        PinSource::StandardInput
    } else {
        PinSource::CredentialOrPrompt
    };
    run_with(&config, pin)
        .await
        .map_err(|error| error.to_string())
}
