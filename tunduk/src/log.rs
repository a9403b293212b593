//! `tunduk log`: the message log of a Security Server.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use security_server::{ExportRequest, export_with_twin, log_status, rotate_log_key};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The message log of a Security Server.
#[derive(Debug, Subcommand)]
pub enum Log {
    /// Say how many messages it holds, what waits for a time-stamp, and how much room there is
    Status {
        /// The Security Server's server.toml
        #[arg(long)]
        config: PathBuf,
    },
    /// Change the key that opens the log, also while the server runs; the segments stay as they are
    RotateKey {
        /// The Security Server's server.toml
        #[arg(long)]
        config: PathBuf,
        /// A file with the new key: 64 hexadecimal digits, as `openssl rand -hex 32` writes them
        #[arg(long)]
        new_key: PathBuf,
        /// The private recovery key (PEM), when the old key is lost; the server must be stopped
        #[arg(long, value_name = "PEM")]
        recovery_key: Option<PathBuf>,
    },
    /// Export evidence with the private recovery key from the log of a stopped server
    Export(TwinArguments),
}

/// What to export, and with which key.
#[derive(Debug, Args)]
pub struct TwinArguments {
    /// The Security Server's server.toml
    #[arg(long)]
    config: PathBuf,
    /// The private recovery key (PEM, RSA or P-256), whose public half is the setting `recovery_key`
    #[arg(long, value_name = "PEM")]
    recovery_key: PathBuf,
    /// Only messages with this id
    #[arg(long)]
    query_id: Option<String>,
    /// The zip to write
    #[arg(long, short)]
    output: PathBuf,
}

/// Runs `tunduk log` and gives what it prints.
///
/// # Errors
/// In words, why not.
pub async fn run(arguments: Log) -> Result<String, String> {
    match arguments {
        Log::Status { config } => log_status(&config).await.map(|status| shown(&status)),
        Log::RotateKey {
            config,
            new_key,
            recovery_key,
        } => {
            rotate_log_key(&config, &new_key, recovery_key.as_deref()).await?;
            Ok(format!(
                "the log opens with the new key, which is in the key file of {} now; if the key is \
                 kept elsewhere (a credential), replace it there and delete {}\n",
                config.display(),
                new_key.display()
            ))
        }
        Log::Export(arguments) => {
            let request = ExportRequest {
                query_id: arguments.query_id,
                ..ExportRequest::default()
            };
            let summary = export_with_twin(
                &arguments.config,
                &arguments.recovery_key,
                &request,
                &arguments.output,
            )
            .await?;
            Ok(format!(
                "{}: {} containers, {} bytes; {} without a time-stamp\n",
                arguments.output.display(),
                summary.containers,
                summary.len,
                summary.without_timestamp
            ))
        }
    }
}

fn shown(status: &security_server::LogStatus) -> String {
    let mut text = format!(
        "directory:          {}\nserver:             {}\nrecords:            {} in {} segments\n\
         without time-stamp: {}{}\nroom:               {} MiB taken, {} MiB free\n",
        status.directory.display(),
        if status.running { "running" } else { "stopped" },
        status.records,
        status.segments,
        status.without_timestamp,
        status
            .oldest_without_timestamp
            .and_then(time_of)
            .map(|time| format!(", the oldest of {time}"))
            .unwrap_or_default(),
        status.bytes >> 20,
        status.free_bytes >> 20,
    );
    if let Some(reason) = &status.refuses {
        text.push_str(&format!("takes no messages:  {reason}\n"));
    }
    text
}

fn time_of(milliseconds: u64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(i64::try_from(milliseconds / 1000).ok()?)
        .ok()?
        .format(&Rfc3339)
        .ok()
}
