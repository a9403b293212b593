//! `tunduk globalconf`: the signed description of an instance.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ::globalconf::{GlobalConfiguration, verify_historical};
use clap::Subcommand;
use security_server::configuration_client::{
    ConfigurationClient, ConfigurationClientSettings, OpenError, Update, load_directory,
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
    /// Verify a stored configuration up to the anchor, and that it has not expired. Exit status: 0
    /// verified; 1 not as signed, or expired; 2 the signatures cannot be had; 64 wrong use
    Verify {
        /// The configuration anchor
        #[arg(long, value_name = "FILE")]
        anchor: PathBuf,
        /// A directory that `fetch` or any Security Server wrote; where the signed directories are
        /// not beside it, they are downloaded from the anchor's addresses
        #[arg(long, value_name = "DIR")]
        directory: PathBuf,
    },
    /// Show what a stored configuration says, trusted as given
    Show {
        /// The stored configuration
        directory: PathBuf,
    },
}

/// Why a command failed, in words.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The configuration is not good, or something else went wrong.
    Failed(String),
    /// What would prove the configuration cannot be had.
    NoProof(String),
    /// The anchor or directory cannot be read.
    Usage(String),
}

/// Runs `tunduk globalconf`; gives what to print.
///
/// # Errors
/// See [`Failure`].
pub async fn run(arguments: Configuration) -> Result<String, Failure> {
    match arguments {
        Configuration::Fetch { anchor, directory } => {
            fetch(&anchor, &directory).await.map_err(Failure::Failed)
        }
        Configuration::Verify { anchor, directory } => verify(&anchor, &directory).await,
        Configuration::Show { directory } => load_directory(&directory)
            .map(|configuration| described(&configuration))
            .map_err(Failure::Failed),
    }
}

fn open(anchor: &Path, directory: &Path) -> Result<ConfigurationClient, OpenError> {
    let settings = ConfigurationClientSettings::new(anchor.to_owned(), directory.to_owned());
    ConfigurationClient::open(settings)
}

async fn fetch(anchor: &Path, directory: &Path) -> Result<String, String> {
    let client = open(anchor, directory).map_err(|error| error.to_string())?;
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

async fn verify(anchor: &Path, directory: &Path) -> Result<String, Failure> {
    let client = open(anchor, directory).map_err(|error| match error {
        OpenError::Stored { .. } => Failure::Failed(error.to_string()),
        _ => Failure::Usage(error.to_string()),
    })?;
    let stored = client.stored().ok_or_else(|| {
        Failure::Usage(format!(
            "{} has no stored configuration",
            directory.display()
        ))
    })?;
    let archived = client.archived(stored.identity()).map_err(|error| {
        Failure::Failed(format!(
            "the archive beside {}: {error}",
            directory.display()
        ))
    })?;
    let (directories, source) = match archived {
        Some(archived) => (
            archived
                .directories
                .into_iter()
                .map(|directory| (directory.instance, directory.bytes))
                .collect::<HashMap<_, _>>(),
            "with which it was downloaded",
        ),
        None => (
            client.published(&stored).await.map_err(|error| {
                Failure::NoProof(format!(
                    "the signed directories are not beside {} and cannot be downloaded: {error}",
                    directory.display()
                ))
            })?,
            "that are published now",
        ),
    };
    let invalid = |error: &dyn std::fmt::Display| {
        Failure::Failed(format!(
            "{} is not as the signed directories {source} say: {error}",
            directory.display()
        ))
    };
    let configuration = verify_historical(&stored, &directories, client.anchor(), &[])
        .map_err(|error| invalid(&error))?;
    // Instances without proof are left out of what was verified, but they are in the directory.
    for instance in stored.instances() {
        if configuration.clients(instance).is_none() {
            return Err(invalid(&format!("nothing proves instance {instance}")));
        }
    }
    configuration
        .is_current(OffsetDateTime::now_utc())
        .map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(format!(
        "every signature and digest is right up to the anchor, by the signed directories {source}\n{}",
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
