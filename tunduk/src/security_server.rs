//! `tunduk security-server`: one Security Server.

use std::path::PathBuf;

use ::security_server::{PinSource, readiness, run_with};
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
    /// Say whether a running Security Server is ready, and what it lacks
    Status {
        /// The file, server.toml
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Runs `tunduk security-server`.
///
/// # Errors
/// In words, why it cannot run, or what the running one lacks.
pub async fn run(arguments: SecurityServerArguments) -> Result<(), String> {
    match arguments.action {
        Action::Run { config, pin_stdin } => {
            let pin = if pin_stdin {
                PinSource::StandardInput
            } else {
                PinSource::CredentialOrPrompt
            };
            run_with(&config, pin)
                .await
                .map_err(|error| error.to_string())
        }
        Action::Status { config } => {
            let missing = readiness(&config).await?;
            if missing.is_empty() {
                println!("ready");
                return Ok(());
            }
            Err(format!("not ready; missing: {}", missing.join("; ")))
        }
    }
}
