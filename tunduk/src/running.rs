//! The running country: one process for each server.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::children::{ChildError, Server};
use crate::compose::{Country, sites};
use crate::instance::{BANK, IDENTITY, SIGNING, Site, VERIFICATION};
use crate::narrator::Narrator;

const PATIENCE: Duration = Duration::from_secs(60);

/// The servers of the sites: name, subcommand, site, and the file of its settings.
const SITES: [(&str, &str, Site, &str); 4] = [
    ("identity provider", "idp-server", IDENTITY, "idp.toml"),
    ("signing service", "signing-server", SIGNING, "signing.toml"),
    (
        "verification page",
        "verification-server",
        VERIFICATION,
        "verification.toml",
    ),
    ("bank", "bank-site", BANK, "bank.toml"),
];

/// The processes of a country. They end with this value.
#[derive(Debug)]
pub struct Running {
    /// The trust services of the exchange; with sites, those of identity cards too.
    trust: Vec<Server>,
    registry: Server,
    central: Option<Server>,
    security: Vec<Server>,
    sites: Vec<Server>,
}

impl Running {
    /// Starts everything, in the order in which one needs the other, and waits until it serves.
    ///
    /// # Errors
    /// A server does not start.
    pub async fn start(country: &Country, narrator: &Narrator) -> Result<Self, ChildError> {
        let sites = if country.instance.sites.is_some() {
            SITES.len() + 1
        } else {
            0
        };
        let count = 3 + country.instance.servers.len() + sites;
        let busy = narrator.counting("starting servers", count);
        let mut trust = vec![start_trust_server(
            "trust services",
            &country.trust_folder(),
            country.trust_address(),
            &country.log_of("trust-server"),
        )?];
        if let Some(sites) = &country.instance.sites {
            trust.push(start_trust_server(
                "authority of identity cards",
                &sites::card_folder(&country.state),
                sites.card_authority(),
                &country.log_of("card-authority"),
            )?);
        }
        let mut registry = start_registry_server(country)?;
        for server in &mut trust {
            server.ready(PATIENCE).await?;
            busy.one_more();
        }
        registry.ready(PATIENCE).await?;
        busy.one_more();
        let mut central = start_central_server(country)?;
        central.ready(PATIENCE).await?;
        busy.one_more();
        let mut security = Vec::new();
        for server in &country.instance.servers {
            let id = server.id.path();
            let folder = country.server_folder(&id);
            let arguments = [
                "security-server".into(),
                "run".into(),
                "--config".into(),
                folder.join("server.toml").into_os_string(),
            ];
            security.push(Server::start(
                &format!("Security Server {id}"),
                arguments,
                &country.log_of(&id),
            )?);
        }
        let mut sites = Vec::new();
        if country.instance.sites.is_some() {
            for (name, subcommand, site, file) in SITES {
                let folder = sites::folder(&country.state, site);
                let arguments = [
                    subcommand.into(),
                    "run".into(),
                    "--config".into(),
                    folder.join(file).into_os_string(),
                ];
                let log = country.log_of(subcommand);
                sites.push(Server::start(name, arguments, &log)?);
            }
        }
        for server in security.iter_mut().chain(&mut sites) {
            server.ready(PATIENCE).await?;
            busy.one_more();
        }
        Ok(Self {
            trust,
            registry,
            central: Some(central),
            security,
            sites,
        })
    }

    /// Switches the Central Server off.
    pub async fn stop_central_server(&mut self) {
        if let Some(central) = self.central.take() {
            central.stop().await;
        }
    }

    /// Switches the Central Server on again.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_central_server(&mut self, country: &Country) -> Result<(), ChildError> {
        let mut central = start_central_server(country)?;
        central.ready(PATIENCE).await?;
        self.central = Some(central);
        Ok(())
    }

    /// Waits until one of the servers ends by itself; gives what happened, in words.
    pub async fn broken(&mut self) -> String {
        let Self {
            trust,
            registry,
            central,
            security,
            sites,
        } = self;
        let mut all: Vec<&mut Server> = vec![registry];
        all.extend(trust.iter_mut());
        all.extend(central.as_mut());
        all.extend(security.iter_mut());
        all.extend(sites.iter_mut());
        let ends = all.into_iter().map(|server| {
            Box::pin(async move {
                let status = server.ended().await;
                format!("{} ended ({status})", server.name())
            })
        });
        futures_util::future::select_all(ends).await.0
    }

    /// Ends all servers, those first that ask others.
    pub async fn stop(self) {
        let stops = self.sites.into_iter().map(Server::stop);
        futures_util::future::join_all(stops).await;
        let stops = self.security.into_iter().map(Server::stop);
        futures_util::future::join_all(stops).await;
        if let Some(central) = self.central {
            central.stop().await;
        }
        self.registry.stop().await;
        let stops = self.trust.into_iter().map(Server::stop);
        futures_util::future::join_all(stops).await;
    }
}

fn start_trust_server(
    name: &str,
    folder: &Path,
    listen: SocketAddr,
    log: &Path,
) -> Result<Server, ChildError> {
    let arguments = [
        "trust-server".into(),
        "run".into(),
        "--state".into(),
        folder.as_os_str().to_owned(),
        "--listen".into(),
        listen.to_string().into(),
    ];
    Server::start(name, arguments, log)
}

fn start_registry_server(country: &Country) -> Result<Server, ChildError> {
    let mut arguments: Vec<std::ffi::OsString> = vec![
        "registry-server".into(),
        "run".into(),
        "--listen".into(),
        country.registry_address().to_string().into(),
        "--state".into(),
        country.registry_folder().into_os_string(),
        "--access".into(),
        country.population_access().into_os_string(),
    ];
    if country.has_population_register() {
        arguments.push("--fill".into());
    }
    Server::start("registers", arguments, &country.log_of("registry-server"))
}

fn start_central_server(country: &Country) -> Result<Server, ChildError> {
    let arguments = [
        "central-server".into(),
        "run".into(),
        "--config".into(),
        country
            .central_folder()
            .join("central.toml")
            .into_os_string(),
    ];
    Server::start(
        "Central Server",
        arguments,
        &country.log_of("central-server"),
    )
}
