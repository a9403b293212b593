//! `tunduk bench exchange`: speed and size of the exchange, as ratios to what this machine could do at best at the same
//! moment. docs/bench.md explains the figures.

mod crypto;
mod history;
mod hops;
mod identity;
mod journal;
mod load;
mod logs;
mod message;
mod processes;
mod programs;
mod register;
mod report;
mod rounds;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;

pub use hops::HopOptions;
pub use identity::IdentityOptions;
pub use register::RegisterOptions;

/// What can be measured, and the programs that measuring needs.
#[derive(Debug, clap::Subcommand)]
pub enum Bench {
    /// Measure the signed exchange; the table goes to standard error.
    Exchange(ExchangeOptions),
    /// Measure the population register: taking people over, look-ups and searches.
    Register(RegisterOptions),
    /// Measure the identity provider: sign-ins by password and passkey, token refreshes.
    Identity(IdentityOptions),
    /// Load generator.
    #[command(hide = true)]
    Load,
    /// Information system that answers.
    #[command(hide = true)]
    Provider(HopOptions),
    /// Plain proxy on the consumer's side.
    #[command(hide = true)]
    ConsumerHop(HopOptions),
    /// Plain proxy on the provider's side.
    #[command(hide = true)]
    ProviderHop(HopOptions),
}

/// How to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct ExchangeOptions {
    /// Write the figures as one JSON object to standard output.
    #[arg(long)]
    json: bool,
    /// Folder for keys and logs while measuring, of this run alone; must be on a disk, and is emptied.
    #[arg(long, default_value = "target/bench")]
    state: PathBuf,
    /// Rounds of each figure. Fewer are faster and less certain.
    #[arg(long, default_value_t = 8)]
    rounds: usize,
    /// Only these parts: speed, latency, bulk, memory, start, past, table.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these ways to sign: rsa2048, p256, rsa2048_batch, p256_batch.
    #[arg(long, value_delimiter = ',')]
    modes: Vec<String>,
    /// Compare with servers whose logs hold so many records each (about 0.5 KB of disk a record).
    #[arg(long, default_value_t = 0)]
    history: u64,
    /// Compare with servers in a configuration of so many subsystems.
    #[arg(long, default_value_t = 0)]
    subsystems: u32,
}

/// Runs a subcommand of `tunduk bench`.
pub fn run(bench: Bench) -> ExitCode {
    let outcome = match &bench {
        Bench::Exchange(options) => rounds::exchange(options),
        Bench::Register(options) => register::run(options),
        Bench::Identity(options) => identity::run(options),
        Bench::Load => load::run(),
        Bench::Provider(options) => hops::provider(options),
        Bench::ConsumerHop(options) => hops::consumer_side(options),
        Bench::ProviderHop(options) => hops::provider_side(options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {}", failure.0);
            ExitCode::FAILURE
        }
    }
}

/// Why measuring stopped, for a person.
#[derive(Debug)]
struct Failure(String);

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// One thread: what is compared with must not pay for moving work between threads.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| format!("no asynchronous runtime: {error}").into())
}
