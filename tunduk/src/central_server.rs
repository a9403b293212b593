//! `tunduk central-server`: generates, signs and serves the global configuration.

use std::path::PathBuf;

use ::central_server::CentralServerSettings;
use clap::{Args, Subcommand};

/// What `tunduk central-server` takes.
#[derive(Debug, Args)]
pub struct CentralServerArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serve the global configuration until told to stop
    Run {
        /// The settings, a TOML file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Runs `tunduk central-server`; ends when `stop` completes.
///
/// # Errors
/// In words, why it cannot serve.
pub async fn run(
    arguments: CentralServerArguments,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let Action::Run { config } = arguments.action;
    let settings = CentralServerSettings::load(&config).map_err(|error| error.to_string())?;
    let ready = |_| println!("ready");
    ::central_server::run(settings, stop, ready)
        .await
        .map_err(|error| error.to_string())
}
