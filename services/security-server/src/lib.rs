//! The Security Server: it signs, sends, receives, verifies, permits, logs and
//! forwards the messages of its clients (X-Road's `proxy`, `signer`,
//! `configuration-client` and `messagelog` in one process).

pub mod configuration_client;

use std::path::Path;

/// Why a Security Server could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration file cannot be used.
    #[error("{0}")]
    Configuration(String),
}

/// Runs the Security Server described by the file `config_path` until it is told to stop.
///
/// # Errors
/// The configuration, a key or a port cannot be used.
pub async fn run(config_path: &Path) -> Result<(), RunError> {
    let _ = config_path;
    Err(RunError::Configuration("not built yet".into()))
}
