//! `tunduk globalconf`: the signed description of an instance.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ::globalconf::{GlobalConfiguration, verify_historical};
use clap::Subcommand;
use security_server::configuration_client::{
    ConfigurationClient, ConfigurationClientSettings, Update, load_directory,
};
use time::OffsetDateTime;

/// The signed description of an instance.
#[derive(Debug, Subcommand)]
pub enum Configuration {
    /// Download the configuration, verify it and store it
    Fetch {
        /// The configuration anchor
        #[arg(long, value_name = "FILE")]
        anchor: PathBuf,
        /// Where to store it; made if it is not there
        #[arg(long, value_name = "DIR")]
        directory: PathBuf,
    },
    /// Verify a stored configuration up to the anchor, and that it has not expired
    Verify {
        /// The configuration anchor
        #[arg(long, value_name = "FILE")]
        anchor: PathBuf,
        /// A directory that `fetch` or a Security Server of ours wrote
        #[arg(long, value_name = "DIR")]
        directory: PathBuf,
    },
    /// Show what a stored configuration says, trusted as given
    Show {
        /// The stored configuration
        directory: PathBuf,
    },
}

/// Runs `tunduk globalconf`; gives what to print.
///
/// # Errors
/// In words.
pub async fn run(arguments: Configuration) -> Result<String, String> {
    match arguments {
        Configuration::Fetch { anchor, directory } => fetch(&anchor, &directory).await,
        Configuration::Verify { anchor, directory } => verify(&anchor, &directory),
        Configuration::Show { directory } => Ok(described(&load_directory(&directory)?)),
    }
}

fn open(anchor: &Path, directory: &Path) -> Result<ConfigurationClient, String> {
    let settings = ConfigurationClientSettings::new(anchor.to_owned(), directory.to_owned());
    ConfigurationClient::open(settings).map_err(|error| error.to_string())
}

async fn fetch(anchor: &Path, directory: &Path) -> Result<String, String> {
    let client = open(anchor, directory)?;
    let update = client.update().await.map_err(|error| error.to_string())?;
    let configuration = client
        .configuration()
        .ok_or("the download left no configuration")?;
    let what = match update {
        Update::Changed(_) => "a new configuration was downloaded, verified and stored",
        Update::Renewed => "the stored configuration is the newest; it is now valid for longer",
        Update::Unchanged => "the stored configuration is the newest",
    };
    Ok(format!("{what}\n{}", summary(&configuration)))
}

fn verify(anchor: &Path, directory: &Path) -> Result<String, String> {
    let client = open(anchor, directory)?;
    let stored = client
        .stored()
        .ok_or_else(|| format!("{} has no stored configuration", directory.display()))?;
    let archived = client
        .archived(stored.identity())
        .map_err(|error| format!("the archive beside {}: {error}", directory.display()))?
        .ok_or_else(|| {
            format!(
                "the signed directories are not beside {}: only `tunduk` keeps them",
                directory.display()
            )
        })?;
    let directories: HashMap<String, Vec<u8>> = archived
        .directories
        .into_iter()
        .map(|directory| (directory.instance, directory.bytes))
        .collect();
    let configuration = verify_historical(&stored, &directories, client.anchor(), &[])
        .map_err(|error| error.to_string())?;
    configuration
        .is_current(OffsetDateTime::now_utc())
        .map_err(|error| error.to_string())?;
    Ok(format!(
        "every signature and digest is right up to the anchor\n{}",
        summary(&configuration)
    ))
}

fn summary(configuration: &GlobalConfiguration) -> String {
    let expires = configuration
        .expires()
        .map_or_else(|| "never".to_owned(), |expires| expires.to_string());
    format!(
        "instance {}, format version {}, expires {expires}, identity {}\n",
        configuration.instance(),
        configuration.version(),
        configuration.identity()
    )
}

fn described(configuration: &GlobalConfiguration) -> String {
    let mut text = summary(configuration);
    let instances: Vec<&str> = configuration.instances().collect();
    for instance in instances {
        text.push_str(&format!("\n{instance}\n"));
        for ca in configuration.approved_cas(instance) {
            text.push_str(&format!("  certification service {}\n", ca.name));
        }
        for server in configuration.servers(instance) {
            let address = server.address.as_deref().unwrap_or("without address");
            text.push_str(&format!(
                "  Security Server {} at {address}\n",
                server.id.path()
            ));
            for client in &server.clients {
                text.push_str(&format!("    client {}\n", client.path()));
            }
        }
        for listing in configuration.clients(instance).into_iter().flatten() {
            text.push_str(&format!(
                "  {} ({})\n",
                listing.id.path(),
                listing.member_name
            ));
        }
    }
    for tsa in configuration.approved_tsas() {
        text.push_str(&format!(
            "\ntime-stamping service {} at {}\n",
            tsa.name, tsa.url
        ));
    }
    text
}
