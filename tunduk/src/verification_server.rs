//! `tunduk verification-server`: the public page that says who signed a file, when, and whether it holds.

use std::path::PathBuf;
use std::sync::Arc;

use ::verification_server::{Checker, Site};
use clap::{Args, Subcommand};
use config::VerificationSettings;
use tokio::net::TcpListener;
use transport::{ClientCertificates, ServeLimits, serve_https};

use crate::serving;

/// What `tunduk verification-server` takes.
#[derive(Debug, Args)]
pub struct VerificationServerArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serve the page until told to stop
    Run {
        /// Its settings (docs/signature.md)
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Runs `tunduk verification-server`; ends when `stop` completes.
///
/// # Errors
/// In words, why it cannot serve.
pub async fn run(
    arguments: VerificationServerArguments,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let Action::Run { config } = arguments.action;
    let settings = VerificationSettings::load(&config).map_err(|error| error.to_string())?;
    let checker = Checker::new(&settings).map_err(|error| error.to_string())?;
    let site = Arc::new(Site::new(checker).map_err(|error| error.to_string())?);
    let tls = serving::https(
        &settings.certificate,
        &settings.key,
        ClientCertificates::NotRequested,
    )?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|error| format!("cannot listen at {}: {error}", settings.listen))?;
    println!("ready");
    let handler = move |request, connection: Arc<transport::Connection>| {
        let site = Arc::clone(&site);
        async move { site.handle(request, &connection).await }
    };
    serve_https(listener, tls, handler, ServeLimits::default(), stop).await;
    Ok(())
}
