//! `tunduk registry-server`: the registers of the demonstration country.

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use id_registry::{DEFAULT_SEED, LARGEST_POPULATION, Population};
use registry_server::Registers;

/// What `tunduk registry-server` takes.
#[derive(Debug, Args)]
pub struct RegistryServerArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serve the registers until told to stop
    Run {
        /// Where to listen
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.10:8882")]
        listen: SocketAddr,
        /// What the population is computed from
        #[arg(long, default_value_t = DEFAULT_SEED)]
        seed: u64,
        /// How many residents there are, at most 100,000
        #[arg(long, default_value_t = LARGEST_POPULATION)]
        residents: u32,
    },
}

/// Runs `tunduk registry-server`; ends when `stop` completes.
///
/// # Errors
/// In words, why it cannot serve.
pub async fn run(
    arguments: RegistryServerArguments,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let Action::Run {
        listen,
        seed,
        residents,
    } = arguments.action;
    let population = Population::new(seed, residents).map_err(|error| error.to_string())?;
    let listener = registry_server::listen(listen)
        .await
        .map_err(|error| error.to_string())?;
    println!("ready");
    registry_server::serve(listener, Registers::new(population), stop).await;
    Ok(())
}
