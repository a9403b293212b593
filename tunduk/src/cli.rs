//! Arguments and exit codes of the binary.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use telemetry::Format;

use crate::backup;
use crate::{
    bank_site, bench, call, central_server, children, demo, evidence, globalconf, idp_server, log,
    register, registry_server, renew, security_server, signing_server, token, trust_server,
    verification_server, verify,
};

/// Exit code for arguments that cannot be used (sysexits' `EX_USAGE`).
pub const USAGE: u8 = 64;

/// X-Road in one binary: the exchange of data between the registers of a state.
#[derive(Debug, Parser)]
#[command(name = "tunduk", version, propagate_version = true)]
struct Arguments {
    /// End when standard input ends: set for the servers that another process starts
    #[arg(long, global = true, hide = true)]
    with_parent: bool,
    /// What is logged to standard error: a level, or levels by crate (`warn,transport=debug`)
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// Log one JSON object a line
    #[arg(long, global = true)]
    log_json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole country on this machine and tell its story
    Demo(demo::DemoArguments),
    /// Ask a service through a Security Server
    Call(call::CallArguments),
    /// Take evidence out of a message log, and judge it
    #[command(subcommand)]
    Evidence(evidence::Evidence),
    /// Say who signed a document, when, and whether it holds: a PDF file, a container (.asice), or evidence
    Verify(verify::VerifyArguments),
    /// Let signed documents outlive their certificates: add statuses and time-stamps, and renew these in time
    Renew(renew::RenewArguments),
    /// Download, verify and show the signed description of an instance
    #[command(subcommand)]
    Globalconf(globalconf::Configuration),
    /// Measure speed and size (docs/bench.md)
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Keys, certificate requests, certificates and the PIN
    Token(token::TokenArguments),
    /// The helper that derives a key from a PIN
    #[command(name = keystore::HELPER_SUBCOMMAND, hide = true)]
    TokenUnlockHelper,
    /// The message log of a Security Server
    #[command(subcommand)]
    Log(log::Log),
    /// Encrypted copies of databases, bringing one back, and the drill that shows that it can be done
    Backup(backup::BackupArguments),
    /// Run a Security Server, or ask a running one whether it is ready
    SecurityServer(security_server::SecurityServerArguments),
    /// Run a Central Server
    CentralServer(central_server::CentralServerArguments),
    /// Run the trust services of a test network, or revoke a certificate
    TrustServer(trust_server::TrustServerArguments),
    /// Judge the data of an earlier population register, and take them over
    #[command(subcommand)]
    Register(register::Register),
    /// Run the site of the demonstration country's bank, or make its keys
    BankSite(bank_site::BankSiteArguments),
    /// Run the public page that says who signed a file, when, and whether it holds
    VerificationServer(verification_server::VerificationServerArguments),
    /// Run the registers of the demonstration country
    RegistryServer(registry_server::RegistryServerArguments),
    /// Run the identity provider; its keys, officers, and what is taken over from an earlier one
    IdpServer(idp_server::IdpServerArguments),
    /// Run the signing service; its keys and officers
    SigningServer(signing_server::SigningServerArguments),
}

/// Runs the binary.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    // These need no runtime, or have their own.
    let command = match arguments.command {
        Command::Bench(bench) => return bench::run(bench),
        Command::Token(arguments) => return printed(token::run(&arguments)),
        Command::Register(register) => return printed(register::run(&register)),
        Command::Backup(arguments) => return printed(backup::run(arguments)),
        Command::TokenUnlockHelper => return keystore::helper_main(),
        command => command,
    };
    let format = if arguments.log_json {
        Format::Json
    } else {
        Format::Text
    };
    let filter = arguments.log.as_deref().unwrap_or(command.usual_log());
    if let Err(error) = telemetry::init(format, filter) {
        eprintln!("tunduk: {error}");
        return ExitCode::from(USAGE);
    }
    let mut builder = if matches!(command, Command::SecurityServer(_) | Command::IdpServer(_)) {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tunduk: the runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        if arguments.with_parent {
            tokio::spawn(children::end_with_parent());
        }
        run(command).await
    })
}

impl Command {
    /// What is logged if nobody says otherwise: servers tell what they do, commands only what is wrong.
    const fn usual_log(&self) -> &'static str {
        match self {
            Self::SecurityServer(_)
            | Self::CentralServer(_)
            | Self::TrustServer(_)
            | Self::RegistryServer(_)
            | Self::VerificationServer(_) => "info",
            Self::IdpServer(arguments) if arguments.runs() => "info",
            Self::SigningServer(arguments) if arguments.runs() => "info",
            Self::BankSite(arguments) if arguments.runs() => "info",
            _ => "error",
        }
    }
}

async fn run(command: Command) -> ExitCode {
    match command {
        Command::Bench(bench) => bench::run(bench),
        Command::Token(arguments) => printed(token::run(&arguments)),
        Command::Register(register) => printed(register::run(&register)),
        Command::Backup(arguments) => printed(backup::run(arguments)),
        Command::TokenUnlockHelper => keystore::helper_main(),
        Command::Call(arguments) => match call::run(arguments).await {
            call::Outcome::Answered => ExitCode::SUCCESS,
            call::Outcome::Fault => ExitCode::from(1),
            call::Outcome::NoAnswer => ExitCode::from(2),
            call::Outcome::Usage => ExitCode::from(USAGE),
        },
        Command::Globalconf(arguments) => match globalconf::run(arguments).await {
            Ok(text) => printed(Ok(text)),
            Err(globalconf::Failure::Failed(error)) => ended(Err(error)),
            Err(globalconf::Failure::NoProof(error)) => {
                eprintln!("tunduk: {error}");
                ExitCode::from(2)
            }
            Err(globalconf::Failure::Usage(error)) => {
                eprintln!("tunduk: {error}");
                ExitCode::from(USAGE)
            }
        },
        Command::Log(arguments) => printed(log::run(arguments).await),
        Command::Evidence(arguments) => ExitCode::from(evidence::run(arguments).await),
        Command::Renew(arguments) => ExitCode::from(renew::run(arguments).await),
        Command::Verify(arguments) => ExitCode::from(verify::run(arguments).await),
        Command::Demo(arguments) => match demo::run(arguments, interrupted()).await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(demo::DemoError::Usage(error)) => {
                eprintln!("tunduk: {error}");
                ExitCode::from(USAGE)
            }
            Err(demo::DemoError::Failed(error)) => ended(Err(error)),
        },
        Command::CentralServer(arguments) => {
            ended(central_server::run(arguments, interrupted()).await)
        }
        Command::TrustServer(arguments) => ended(trust_server::run(arguments, interrupted()).await),
        Command::SecurityServer(arguments) => ended(security_server::run(arguments).await),
        Command::VerificationServer(arguments) => {
            ended(verification_server::run(arguments, interrupted()).await)
        }
        Command::BankSite(arguments) => ended(bank_site::run(arguments, interrupted()).await),
        Command::RegistryServer(arguments) => {
            ended(registry_server::run(arguments, interrupted()).await)
        }
        Command::IdpServer(arguments) => ended(idp_server::run(arguments, interrupted()).await),
        Command::SigningServer(arguments) => {
            ended(signing_server::run(arguments, interrupted()).await)
        }
    }
}

/// Completes when the process is told to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn ended(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tunduk: {error}");
            ExitCode::FAILURE
        }
    }
}

fn printed(result: Result<String, String>) -> ExitCode {
    ended(result.map(|text| print!("{text}")))
}
