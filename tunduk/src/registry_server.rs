//! `tunduk registry-server`: the registers of the demonstration country.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use id_registry::{DEFAULT_SEED, LARGEST_POPULATION, Population, Register, demonstration};
use registry_server::{PopulationRegister, Registers};
use store_postgres::PostgresRegister;
use store_sqlite::SqliteRegister;
use transport::{HttpClient, PoolLimits};

/// The population register's file in the state directory.
const DATABASE: &str = "population.sqlite";

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
        /// Where the population register keeps its database
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// Keep it in PostgreSQL instead: a file with the connection's parameters, as libpq writes them
        #[arg(long, value_name = "FILE")]
        postgres: Option<PathBuf>,
        /// What each client may see of the population register; without it, nobody anything
        #[arg(long, value_name = "FILE")]
        access: Option<PathBuf>,
        /// Fill an empty population register at once, not when it is first asked
        #[arg(long)]
        fill: bool,
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
        state,
        postgres,
        access,
        fill,
        seed,
        residents,
    } = arguments.action;
    let residents = Population::new(seed, residents).map_err(|error| error.to_string())?;
    let access = match access {
        Some(file) => config::read_population_access(&file).map_err(|error| error.to_string())?,
        None => config::PopulationAccess::default(),
    };
    let push = match access.push.clone() {
        Some(settings) => {
            let http = HttpClient::new(PoolLimits::default()).map_err(|error| error.to_string())?;
            // Another name after each start: a turn that an earlier process had runs out first.
            let server = format!(
                "{listen} {:016x}",
                u64::from_be_bytes(crate::random::bytes())
            );
            Some((settings, server, http))
        }
        None => None,
    };
    let register = tokio::task::spawn_blocking(move || open(&state, postgres.as_deref()))
        .await
        .map_err(|error| error.to_string())??;
    let territory = demonstration::territory();
    let population = PopulationRegister::new(register, access, territory, Some(residents));
    let listener = registry_server::listen(listen)
        .await
        .map_err(|error| error.to_string())?;
    println!("ready");
    if fill {
        let population = population.clone();
        tokio::spawn(async move {
            if let Err(error) = population.fill().await {
                tracing::error!(%error, "the population register could not be filled");
            }
        });
    }
    let telling = population.clone();
    let told = async move {
        match push {
            Some((settings, server, http)) => telling.push(settings, &server, http).await,
            None => std::future::pending().await,
        }
    };
    let serving = registry_server::serve(listener, Registers::new(population, residents), stop);
    tokio::select! {
        () = serving => {}
        () = told => {}
    }
    Ok(())
}

/// Opens the population register: a file in the state directory, or a database of PostgreSQL.
pub(crate) fn open(state: &Path, postgres: Option<&Path>) -> Result<Box<dyn Register>, String> {
    if let Some(file) = postgres {
        let parameters = std::fs::read_to_string(file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let register = PostgresRegister::open(parameters.trim());
        return Ok(Box::new(register.map_err(|error| error.to_string())?));
    }
    std::fs::create_dir_all(state).map_err(|error| format!("{}: {error}", state.display()))?;
    let register = SqliteRegister::open(&state.join(DATABASE));
    Ok(Box::new(register.map_err(|error| error.to_string())?))
}
