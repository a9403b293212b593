//! `tunduk security-server`: one Security Server.

use std::path::PathBuf;

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
    },
}

/// Runs `tunduk security-server`.
///
/// # Errors
/// In words, why it cannot run.
pub async fn run(arguments: SecurityServerArguments) -> Result<(), String> {
    let Action::Run { config } = arguments.action;
    ::security_server::run(&config)
        .await
        .map_err(|error| error.to_string())
}
