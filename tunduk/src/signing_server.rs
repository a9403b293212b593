//! `tunduk signing-server`: the service that holds people's keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::signing_server::{Authority, Client, Clients, Duty, RemoteAuthority, SigningServer, Stamps};
use clap::{Args, Subcommand};
use config::{
    AuthoritySettings, ClientDuty, SigningClientSettings, SigningServerSettings, make_secret,
    read_secret,
};
use id_registry::PersonalNumber;
use jose::JwkSet;
use pkcs11::TokenVault;
use pki::{Certificate, Signer as _, SoftwareKey, pem};
use server_signing::{Form, Place, Seed, Signing, SoftwareVault, Store, Vault};
use store_postgres::PostgresSigning;
use store_sqlite::SqliteSigning;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use transport::validation_data::Sources;
use transport::{
    ClientCertificates, HttpClient, PoolLimits, RequestOptions, ServeLimits, raise_file_limit,
    serve_https,
};
use zeroize::Zeroizing;

use crate::events::EventsArguments;
use crate::serving::{self, in_file};

/// The service's file in the state directory.
const DATABASE: &str = "signing.sqlite";
/// What the master key's file says that it is.
const MASTER_LABEL: &str = "TUNDUK SIGNING MASTER KEY";
/// Two keys of 32 bytes: what seals, and what tags.
const MASTER_LENGTH: usize = 64;

/// What `tunduk signing-server` takes.
#[derive(Debug, Args)]
pub struct SigningServerArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The settings (docs/signature.md)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl ConfigFile {
    fn read(&self) -> Result<SigningServerSettings, String> {
        SigningServerSettings::read(&self.config).map_err(text)
    }
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serve until told to stop
    Run(ConfigFile),
    /// The service's own keys
    #[command(subcommand)]
    Key(KeyAction),
    /// Those who serve people at desks
    #[command(subcommand)]
    Officer(OfficerAction),
    /// Print what happened, one JSON object a line (docs/events.md)
    Events(EventsArguments),
}

#[derive(Debug, Subcommand)]
enum KeyAction {
    /// Make the master key, or the keys in the token, and the key that signs orders of certificates, as far as they are
    /// missing; print the public key for the certification authority
    Create(ConfigFile),
}

#[derive(Debug, Subcommand)]
enum OfficerAction {
    /// Add an officer, whose passkey was seen to be theirs; print the officer's id
    Add {
        #[command(flatten)]
        config: ConfigFile,
        /// Their own personal number: nobody decides about themselves
        #[arg(long)]
        number: PersonalNumber,
        /// Where they serve
        #[arg(long)]
        office: String,
        /// The text that the page /officer gave them
        #[arg(long, value_name = "FILE")]
        passkey: PathBuf,
    },
    /// Say who the officers are: id, number, office, and whether they were dismissed
    List(ConfigFile),
    /// Take an officer's right away, at once
    Dismiss {
        #[command(flatten)]
        config: ConfigFile,
        /// The officer's id
        id: String,
    },
}

impl SigningServerArguments {
    /// Whether it is a server that runs on: then its log tells what it does.
    pub(crate) const fn runs(&self) -> bool {
        matches!(self.action, Action::Run(_))
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Runs `tunduk signing-server`; a server ends when `stop` completes.
///
/// # Errors
/// In words, why it cannot.
pub async fn run(
    arguments: SigningServerArguments,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    let command = match arguments.action {
        Action::Run(file) => return serve(file.read()?, stop).await,
        command => command,
    };
    // Databases and tokens are asked by blocking calls.
    let said = tokio::task::spawn_blocking(move || match command {
        Action::Run(_) => Ok(String::new()),
        Action::Key(KeyAction::Create(file)) => create_keys(&file.read()?),
        Action::Officer(action) => officer(action),
        Action::Events(events) => {
            let settings = SigningServerSettings::read(events.config()).map_err(text)?;
            let signing = signing(&settings)?;
            events.print(|place, most| signing.published_after(place, most).map_err(text))?;
            Ok(String::new())
        }
    })
    .await
    .map_err(text)??;
    print!("{said}");
    Ok(())
}

fn random() -> Result<[u8; 32], String> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(text)?;
    Ok(random)
}

fn token(settings: &config::TokenSettings) -> Result<pkcs11::Settings, String> {
    let pin = read_secret(&settings.pin).map_err(text)?;
    let pin = std::str::from_utf8(&pin).map_err(|error| in_file(&settings.pin)(&error))?;
    Ok(pkcs11::Settings {
        module: settings.module.clone(),
        token: settings.token.clone(),
        pin: Zeroizing::new(pin.trim().to_owned()),
    })
}

/// Makes the keys that the settings name and that are missing; gives the public key for the certification authority.
///
/// # Errors
/// In words, why it cannot, or that all are there.
pub(crate) fn create_keys(settings: &SigningServerSettings) -> Result<String, String> {
    let mut made = false;
    match &settings.token {
        Some(known) => match TokenVault::make_keys(token(known)?) {
            Ok(()) => made = true,
            Err(pkcs11::TokenError::Exists) => {}
            Err(error) => return Err(text(error)),
        },
        None if !settings.master.exists() => {
            let mut master = Zeroizing::new(random()?.to_vec());
            master.extend_from_slice(&random()?);
            let file = Zeroizing::new(pem::encode(&master, MASTER_LABEL));
            make_secret(&settings.master, file.as_bytes()).map_err(text)?;
            made = true;
        }
        None => {}
    }
    let Some(authority) = &settings.authority else {
        return if made {
            Ok(String::new())
        } else {
            Err("the keys are there already; nothing was changed".to_owned())
        };
    };
    let key = &authority.key;
    if !key.exists() {
        serving::make_signing_key(key)?;
    } else if !made {
        return Err("the keys are there already; nothing was changed".to_owned());
    }
    let secret = read_secret(key).map_err(text)?;
    let der = pem::decode(&secret, "PRIVATE KEY").map_err(|error| in_file(key)(&error))?;
    let public = SoftwareKey::from_pkcs8_der(&der).map_err(|error| in_file(key)(&error))?;
    Ok(pem::encode(public.public_key().spki_der(), "PUBLIC KEY"))
}

fn officer(action: OfficerAction) -> Result<String, String> {
    match action {
        OfficerAction::Add {
            config,
            number,
            office,
            passkey,
        } => {
            let signing = signing(&config.read()?)?;
            let read = std::fs::read_to_string(&passkey);
            let read = read.map_err(|error| in_file(&passkey)(&error))?;
            let form: Form =
                serde_json::from_str(&read).map_err(|error| in_file(&passkey)(&error))?;
            let id = signing
                .add_officer(number, &office, form, &Seed::new(random()?))
                .map_err(text)?;
            Ok(format!("{id}\n"))
        }
        OfficerAction::List(config) => {
            let officers = signing(&config.read()?)?
                .officers_on_record()
                .map_err(text)?;
            Ok(officers
                .iter()
                .map(|officer| {
                    let dismissed = if officer.dismissed { "  dismissed" } else { "" };
                    let (id, number, office) = (&officer.id, officer.number, &officer.office);
                    format!("{id}  {number}  {office}{dismissed}\n")
                })
                .collect())
        }
        OfficerAction::Dismiss { config, id } => {
            signing(&config.read()?)?
                .dismiss_officer(&id)
                .map_err(text)?;
            Ok(String::new())
        }
    }
}

/// Opens the database: a file in the state directory, or PostgreSQL.
fn open(settings: &SigningServerSettings) -> Result<Arc<dyn Store>, String> {
    if let Some(file) = &settings.postgres {
        let parameters = std::fs::read_to_string(file).map_err(|error| in_file(file)(&error))?;
        let store =
            PostgresSigning::open(parameters.trim()).map_err(|error| in_file(file)(&error))?;
        return Ok(Arc::new(store));
    }
    let state = &settings.state;
    std::fs::create_dir_all(state).map_err(|error| in_file(state)(&error))?;
    let store = SqliteSigning::open(&state.join(DATABASE)).map_err(text)?;
    Ok(Arc::new(store))
}

fn vault(settings: &SigningServerSettings) -> Result<Arc<dyn Vault>, String> {
    if let Some(known) = &settings.token {
        return Ok(Arc::new(TokenVault::open(token(known)?).map_err(text)?));
    }
    let path = &settings.master;
    let file = read_secret(path).map_err(|error| {
        format!("{error}; tunduk signing-server key create makes the master key")
    })?;
    let master = pem::decode(&file, MASTER_LABEL).map_err(|error| in_file(path)(&error))?;
    let master = Zeroizing::new(master);
    let (sealing, tagging) = master
        .split_first_chunk::<32>()
        .and_then(|(sealing, rest)| Some((sealing, rest.first_chunk::<32>()?)))
        .filter(|_| master.len() == MASTER_LENGTH)
        .ok_or_else(|| in_file(path)(&"it is not a master key of this service"))?;
    let vault = SoftwareVault::new(Zeroizing::new(*sealing), tagging);
    Ok(Arc::new(vault))
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let pem = std::fs::read(path).map_err(|error| in_file(path)(&error))?;
    let found = Certificate::all_from_pem(&pem).map_err(|error| in_file(path)(&error))?;
    if found.is_empty() {
        return Err(in_file(path)(&"it holds no certificate in PEM form"));
    }
    Ok(found)
}

/// The decisions over the database and the keys.
///
/// # Errors
/// In words, which file or database cannot be used.
pub(crate) fn signing(settings: &SigningServerSettings) -> Result<Signing, String> {
    let card_issuers = match &settings.card_authorities {
        Some(path) => certificates(path)?,
        None => Vec::new(),
    };
    let place = Place {
        relying_party: settings.host.clone(),
        origins: vec![settings.origin.clone()],
        card_issuers,
    };
    Ok(Signing::new(open(settings)?, vault(settings)?, place))
}

fn client(settings: &SigningClientSettings) -> Result<Client, String> {
    let path = &settings.keys;
    let keys = std::fs::read_to_string(path).map_err(|error| in_file(path)(&error))?;
    Ok(Client {
        id: settings.id.clone(),
        names: settings.names.clone(),
        keys: JwkSet::decode(&keys).map_err(|error| in_file(path)(&error))?,
        redirect_uris: settings.redirect_uris.clone(),
        duties: settings
            .duties
            .iter()
            .map(|duty| match duty {
                ClientDuty::Sign => Duty::Sign,
                ClientDuty::Freeze => Duty::Freeze,
            })
            .collect(),
    })
}

fn authority(
    settings: &AuthoritySettings,
    certificate: Certificate,
    http: HttpClient,
) -> Result<Arc<dyn Authority>, String> {
    let options = match &settings.authorities {
        Some(authorities) => serving::calls(authorities)?,
        None => RequestOptions::default(),
    };
    Ok(Arc::new(RemoteAuthority {
        url: settings.url.clone(),
        name: settings.name.clone(),
        key: serving::signing_key(&settings.key)?,
        certificate,
        http,
        options,
        runtime: Handle::current(),
    }))
}

fn compose(settings: &SigningServerSettings) -> Result<SigningServer, String> {
    let signing = signing(settings)?;
    let chain = certificates(&settings.authorities)?;
    let http = HttpClient::new(PoolLimits::default())
        .map_err(text)?
        .with_hosts(settings.hosts.clone());
    let stamps = settings.time_stamping.as_ref().map(|address| {
        let sources = Sources::new(http.clone(), address);
        Stamps::new(sources, Handle::current())
    });
    let authority = match (&settings.authority, chain.first()) {
        (Some(known), Some(issuer)) => Some(authority(known, issuer.clone(), http)?),
        _ => None,
    };
    let clients = settings
        .clients
        .iter()
        .map(client)
        .collect::<Result<Vec<_>, _>>()?;
    let server = SigningServer::new(
        signing,
        Clients::new(clients),
        &settings.origin,
        chain,
        authority,
    )
    .map_err(text)?;
    Ok(match stamps {
        Some(stamps) => server.with_time_stamps(stamps),
        None => server,
    })
}

async fn serve(
    settings: SigningServerSettings,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    raise_file_limit();
    let tls = serving::https(
        &settings.certificate,
        &settings.key,
        ClientCertificates::NotRequested,
    )?;
    let listen = settings.listen;
    let server = tokio::task::spawn_blocking(move || compose(&settings))
        .await
        .map_err(text)??;
    let server = Arc::new(server);
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen at {listen}: {error}"))?;
    println!("ready");
    let house = tokio::spawn(Arc::clone(&server).keep_house());
    let handler = move |request, connection| Arc::clone(&server).handle(request, connection);
    serve_https(listener, tls, handler, ServeLimits::default(), stop).await;
    house.abort();
    Ok(())
}
