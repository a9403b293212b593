//! `tunduk bank-site`: the site of the demonstration country's bank.

use std::path::PathBuf;
use std::sync::Arc;

use ::bank_site::{BankSite, Parts};
use clap::{Args, Subcommand};
use config::{BankSiteSettings, read_trust_list};
use jose::JwkSet;
use tokio::net::TcpListener;
use transport::{ClientCertificates, HttpClient, PoolLimits, ServeLimits, serve_https};

use crate::serving;

/// What `tunduk bank-site` takes.
#[derive(Debug, Args)]
pub struct BankSiteArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serve the site until told to stop
    Run {
        /// Its settings
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Make a key by which the site proves who it is, and print the public key for its registration
    Key {
        /// Where the private key goes; the file must not be there yet
        file: PathBuf,
    },
}

impl BankSiteArguments {
    /// Whether it is a server that runs on: then its log tells what it does.
    pub(crate) const fn runs(&self) -> bool {
        matches!(self.action, Action::Run { .. })
    }
}

/// Runs `tunduk bank-site`; a server ends when `stop` completes.
///
/// # Errors
/// In words, why it cannot.
pub async fn run(
    arguments: BankSiteArguments,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    match arguments.action {
        Action::Run { config } => {
            let settings = BankSiteSettings::load(&config).map_err(|error| error.to_string())?;
            serve(settings, stop).await
        }
        Action::Key { file } => {
            let key = serving::make_signing_key(&file)?;
            println!("{}", JwkSet::new(vec![key.public().clone()]).to_value());
            Ok(())
        }
    }
}

async fn serve(settings: BankSiteSettings, stop: impl Future<Output = ()>) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let http = HttpClient::new(PoolLimits::default())
        .map_err(|error| text(&error))?
        .with_hosts(settings.hosts);
    let site = BankSite::new(Parts {
        origin: settings.origin,
        contracts: settings.state.join("contracts"),
        http,
        options: serving::calls(&settings.authorities)?,
        issuer: settings.identity_provider.url,
        identity_client: settings.identity_provider.client_id,
        identity_key: serving::signing_key(&settings.identity_provider.key)?,
        dpop_key: serving::passing_key()?,
        signing_service: settings.signing_service.url,
        signing_client: settings.signing_service.client_id,
        signing_key: serving::signing_key(&settings.signing_service.key)?,
        trust: read_trust_list(&settings.trust).map_err(|error| text(&error))?,
        time_stamping: settings.time_stamping,
        verification: settings.verification,
    })
    .map_err(|error| text(&error))?;
    let site = Arc::new(site);
    let tls = serving::https(
        &settings.certificate,
        &settings.key,
        ClientCertificates::NotRequested,
    )?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|error| format!("cannot listen at {}: {error}", settings.listen))?;
    println!("ready");
    let house = tokio::spawn(Arc::clone(&site).keep_house());
    let handler = move |request, connection| Arc::clone(&site).handle(request, connection);
    serve_https(listener, tls, handler, ServeLimits::default(), stop).await;
    house.abort();
    Ok(())
}
