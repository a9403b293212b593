//! `tunduk idp-server officer` and `client`: what the operator of the identity provider does beside the server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use id_registry::{PersonalNumber, Population, Theme};
use jose::JwkSet;
use oidc_provider::{
    CertificateName, ClientAuthentication, ClientForm, ClientId, Duty, Level, Profile, Provider,
    Seed, Tenant,
};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::idp_metadata::Metadata;

/// Officers.
#[derive(Debug, Subcommand)]
pub enum OfficerAction {
    /// Make somebody an officer; prints a code for a first passkey, good for half an hour, if there is none yet
    Add {
        /// The settings (docs/identity-provider.md)
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Where they serve
        #[arg(long)]
        office: String,
        /// What they do; without any: desk
        #[arg(long = "duty", value_name = "DUTY")]
        duties: Vec<OfficerDuty>,
        /// Their own personal number: nobody decides about themselves
        number: PersonalNumber,
    },
    /// Take an officer's duties away, at once
    Dismiss {
        /// The settings
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The personal number
        number: PersonalNumber,
    },
}

/// What an officer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OfficerDuty {
    /// Find out who people are, and recover their accounts
    Desk,
    /// Approve and stop relying parties
    Clients,
    /// Read an account's events with a declared ground
    Investigation,
    /// Appoint and dismiss officers
    Appointment,
    /// Keep the register of organisations and of who heads them
    Organisations,
}

/// The sandbox.
#[derive(Debug, Subcommand)]
pub enum SandboxAction {
    /// Make test people, the first of the demonstration's residents, and print number, name and a code for a first
    /// passkey of each, good for half an hour; who has a passkey already gets no code
    People {
        /// The settings, of the tenant `sandbox`
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// How many
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
        count: u32,
    },
}

impl SandboxAction {
    /// The settings' file.
    #[must_use]
    pub fn config(&self) -> &Path {
        match self {
            Self::People { config, .. } => config,
        }
    }

    /// Does it; gives what is printed.
    ///
    /// # Errors
    /// In words; among them that this is no sandbox.
    pub fn run(self, provider: &Provider, tenant: Tenant) -> Result<String, String> {
        let Self::People { count, .. } = self;
        if tenant != Tenant::Sandbox {
            return Err("test people are made where the settings say tenant = \"sandbox\"".into());
        }
        let residents = Population::demonstration();
        let mut printed = String::new();
        for index in 0..count {
            let Some(resident) = residents.person(index) else {
                break;
            };
            let ticket = provider
                .test_person(resident.number, OffsetDateTime::now_utc(), &seed())
                .map_err(|error| error.to_string())?;
            let code = ticket.map_or_else(|| "-".to_owned(), |it| it.code.expose().to_owned());
            let (family, given) = (
                &resident.family_name.cyrillic,
                &resident.given_name.cyrillic,
            );
            printed.push_str(&format!(
                "{}\t{family} {given}\t{code}\n",
                resident.number.as_str()
            ));
        }
        Ok(printed)
    }
}

/// Relying parties.
#[derive(Debug, Subcommand)]
pub enum ClientAction {
    /// Take a relying party in, approved as it stands, and print its client_id. Again with the same client_id, its
    /// registration is replaced
    Add {
        /// The settings
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Its registration, TOML (docs/relying-parties.md)
        registration: PathBuf,
    },
}

impl OfficerAction {
    /// The settings' file.
    #[must_use]
    pub fn config(&self) -> &Path {
        match self {
            Self::Add { config, .. } | Self::Dismiss { config, .. } => config,
        }
    }

    /// Does it; gives what is printed.
    ///
    /// # Errors
    /// In words.
    pub fn run(self, provider: &Provider, tenant: Tenant) -> Result<String, String> {
        let now = OffsetDateTime::now_utc();
        match self {
            Self::Add {
                office,
                duties,
                number,
                ..
            } => {
                let mut duties: Vec<Duty> = duties.into_iter().map(Duty::from).collect();
                if duties.is_empty() {
                    duties.push(Duty::Desk);
                }
                let ticket = provider
                    .appoint_by_operator(number, tenant, &office, &duties, now, &seed())
                    .map_err(|error| error.to_string())?;
                Ok(ticket.map_or_else(String::new, |ticket| format!("{}\n", ticket.code.expose())))
            }
            Self::Dismiss { number, .. } => provider
                .dismiss_by_operator(number, tenant, now)
                .map(|()| String::new())
                .map_err(|error| error.to_string()),
        }
    }
}

impl ClientAction {
    /// The settings' file.
    #[must_use]
    pub fn config(&self) -> &Path {
        match self {
            Self::Add { config, .. } => config,
        }
    }

    /// Does it; gives what is printed.
    ///
    /// # Errors
    /// In words.
    pub fn run(self, provider: &Provider, tenant: Tenant) -> Result<String, String> {
        let Self::Add { registration, .. } = self;
        let id = admit(provider, tenant, &registration)?;
        Ok(format!("{id}\n"))
    }
}

impl From<OfficerDuty> for Duty {
    fn from(duty: OfficerDuty) -> Self {
        match duty {
            OfficerDuty::Desk => Self::Desk,
            OfficerDuty::Clients => Self::Clients,
            OfficerDuty::Investigation => Self::Investigation,
            OfficerDuty::Appointment => Self::Appointment,
            OfficerDuty::Organisations => Self::Organisations,
        }
    }
}

fn seed() -> Seed {
    Seed::new(crate::random::bytes())
}

/// A relying party's registration as its operator writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    client_id: Option<String>,
    /// The registration at an earlier provider, from which everything comes that is not said here.
    metadata: Option<PathBuf>,
    #[serde(default)]
    names: BTreeMap<String, String>,
    organisation: Option<String>,
    contact: Option<String>,
    sector: Option<String>,
    #[serde(default)]
    redirect_uris: BTreeSet<String>,
    #[serde(default)]
    after_logout_uris: BTreeSet<String>,
    logout_uri: Option<String>,
    tls_key: Option<bool>,
    tls_name: Option<CertificateName>,
    keys: Option<PathBuf>,
    #[serde(default)]
    fapi: bool,
    level: Option<String>,
    device_flow: Option<bool>,
    theme: Option<Theme>,
    purposes: BTreeMap<String, BTreeMap<String, String>>,
}

/// Takes the relying party of a registration file in; gives its client_id.
///
/// # Errors
/// In words, what is wrong with the file.
pub fn admit(provider: &Provider, tenant: Tenant, path: &Path) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    let read: Registration = toml::from_str(&text).map_err(|error| failed(&error))?;
    let beside = |file: &Path| path.parent().unwrap_or(Path::new("")).join(file);
    let earlier = match &read.metadata {
        Some(file) => Metadata::read(&beside(file), read.client_id.as_deref())?,
        None => Metadata::default(),
    };
    let tls_key = read.tls_key.unwrap_or_else(|| earlier.has_tls_key());
    let keys = match &read.keys {
        None if read.metadata.is_none() || read.tls_name.is_some() => String::new(),
        None => jwk_set(&earlier.keys().map_err(|error| failed(&error))?)
            .map_err(|error| failed(&error))?,
        Some(file) => {
            let file = beside(file);
            let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
            let text = std::fs::read_to_string(&file).map_err(|error| failed(&error))?;
            jwk_set(&text).map_err(|error| failed(&error))?
        }
    };
    let authentication = match (tls_key, read.tls_name) {
        (false, None) => ClientAuthentication::PrivateKeyJwt,
        (true, None) => ClientAuthentication::TlsKey,
        (false, Some(name)) => ClientAuthentication::TlsName { name },
        (true, Some(_)) => return Err(failed(&"tls_key and tls_name exclude each other")),
    };
    let level = match read.level.as_deref() {
        None => earlier.level().unwrap_or(Level::Low),
        Some("low") => Level::Low,
        Some("substantial") => Level::Substantial,
        Some("high") => Level::High,
        Some(_) => return Err(failed(&"level is low, substantial or high")),
    };
    let said = |said: Option<String>, earlier: Option<String>, what: &str| {
        said.or(earlier)
            .ok_or_else(|| failed(&format!("{what} is missing")))
    };
    let form = ClientForm {
        organisation: said(read.organisation, earlier.organisation(), "organisation")?,
        contact: said(read.contact, earlier.contact(), "contact")?,
        sector: said(read.sector, earlier.sector(), "sector")?,
        names: or_else(read.names, BTreeMap::is_empty, || earlier.names()),
        device_flow: read.device_flow.unwrap_or_else(|| earlier.device_flow()),
        redirect_uris: or_else(read.redirect_uris, BTreeSet::is_empty, || {
            earlier.redirect_uris.clone()
        }),
        after_logout_uris: or_else(read.after_logout_uris, BTreeSet::is_empty, || {
            earlier.post_logout_redirect_uris.clone()
        }),
        logout_uri: read.logout_uri.or(earlier.backchannel_logout_uri),
        authentication,
        keys,
        profile: if read.fapi {
            Profile::Fapi2
        } else {
            Profile::Standard
        },
        purposes: read.purposes,
        level,
        theme: read.theme,
    };
    let id = read.client_id.or(earlier.client_id).map(ClientId::new);
    let id = provider
        .admit_client(
            id.as_ref(),
            &form,
            tenant,
            OffsetDateTime::now_utc(),
            &seed(),
        )
        .map_err(|error| failed(&error))?;
    Ok(id.as_str().to_owned())
}

/// What is said, or else something other.
fn or_else<T>(said: T, is_empty: fn(&T) -> bool, other: impl FnOnce() -> T) -> T {
    if is_empty(&said) { other() } else { said }
}

fn jwk_set(text: &str) -> Result<String, jose::JwkError> {
    Ok(JwkSet::decode(text)?.to_value().to_string())
}
