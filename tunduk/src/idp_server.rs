//! `tunduk idp-server`: the identity provider.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::idp_server::card::Cards;
use ::idp_server::oauth::{Oauth, PersonClaims};
use ::idp_server::pages::{Pages, Register};
use ::idp_server::register::ExchangeRegister;
use ::idp_server::server::{Listening, Server};
use ::idp_server::signing::SigningService;
use ::idp_server::spool::Spool;
use ::idp_server::token_keys::TokenKeys;
use clap::{Args, Subcommand};
use config::{CardSettings, IdpSettings, RegisterSettings, SigningSettings, read_certificates};
use id_registry::{PersonalNumber, Theme};
use oidc_provider::{KeyStanding, Provider, Relations, Ring, Store, StoreError, Tenant};
use passwords::Hasher;
use pki::Certificate;
use serde_json::{Map, Value};
use store_postgres::PostgresIdentity;
use store_sqlite::SqliteIdentity;
use time::{Date, OffsetDateTime};
use tokio::net::TcpListener;
use transport::{
    ClientCertificates, ClientTls, HttpClient, PoolLimits, RequestOptions, ServerVerification,
    raise_file_limit,
};

use crate::events::EventsArguments;
use crate::idp_accounts::AccountAction;
use crate::idp_operator::{ClientAction, OfficerAction, SandboxAction};
use crate::serving::{identity, in_file};

/// The identity provider's file in the state directory.
const DATABASE: &str = "identity.sqlite";
/// Authorities of Debian and its relatives.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Passwords that wait to be checked, for each thread: at 20 a second and thread, somebody waits 3 seconds at most.
const PASSWORDS_WAITING: usize = 64;
/// How long the responder for cards may take: somebody waits.
const RESPONDER_PATIENCE: Duration = Duration::from_secs(5);
/// How long the signing service may take; what it does not take is said again.
const SIGNING_PATIENCE: Duration = Duration::from_secs(10);

/// What `tunduk idp-server` takes.
#[derive(Debug, Args)]
pub struct IdpServerArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The settings (docs/identity-provider.md)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl ConfigFile {
    fn read(&self) -> Result<IdpSettings, String> {
        IdpSettings::read(&self.config).map_err(text)
    }
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serve until told to stop
    Run(ConfigFile),
    /// The keys that sign tokens
    #[command(subcommand)]
    Keys(KeysAction),
    /// Those who serve people at desks, and approve relying parties
    #[command(subcommand)]
    Officer(OfficerAction),
    /// Relying parties
    #[command(subcommand)]
    Client(ClientAction),
    /// Accounts of an earlier provider
    #[command(subcommand)]
    Account(AccountAction),
    /// Test people
    #[command(subcommand)]
    Sandbox(SandboxAction),
    /// Print what happened, one JSON object a line (docs/events.md)
    Events(EventsArguments),
}

#[derive(Debug, Subcommand)]
enum KeysAction {
    /// Make the first keys: one signs, the other is the next
    Create(ConfigFile),
    /// Say which key is active, next, old or withdrawn
    List(ConfigFile),
    /// Let the next key sign from now on; it was published for an hour at least
    Rotate(ConfigFile),
    /// Take a key out that somebody else may know; servers follow within seconds
    Withdraw {
        #[command(flatten)]
        config: ConfigFile,
        /// Its name
        kid: String,
    },
    /// The drill for a leaked key: forge with a copy of the active key, withdraw it, and measure until every server
    /// refuses the forgery. The next key signs from then on
    Drill {
        #[command(flatten)]
        config: ConfigFile,
        /// Where a server of the issuer listens; without any: where the settings say
        #[arg(long = "node", value_name = "ADDRESS")]
        nodes: Vec<SocketAddr>,
    },
}

/// Whether it is a server that runs on: then its log tells what it does.
impl IdpServerArguments {
    pub(crate) const fn runs(&self) -> bool {
        matches!(self.action, Action::Run(_))
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Runs `tunduk idp-server`; a server ends when `stop` completes.
///
/// # Errors
/// In words, why it cannot.
pub async fn run(
    arguments: IdpServerArguments,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    match arguments.action {
        Action::Run(file) => serve(file.read()?, stop).await,
        Action::Keys(KeysAction::Drill { config, nodes }) => {
            println!("{}", crate::idp_drill::run(&config.read()?, &nodes).await?);
            Ok(())
        }
        Action::Keys(action) => {
            println!("{}", keys(action)?);
            Ok(())
        }
        Action::Officer(action) => {
            let config = action.config().to_owned();
            beside(&config, move |provider, tenant| {
                action.run(provider, tenant)
            })
            .await
        }
        Action::Events(events) => {
            let config = events.config().to_owned();
            beside(&config, move |provider, _| {
                events.print(|place, most| provider.events_after(place, most).map_err(text))?;
                Ok(String::new())
            })
            .await
        }
        Action::Sandbox(action) => {
            let config = action.config().to_owned();
            beside(&config, move |provider, tenant| {
                action.run(provider, tenant)
            })
            .await
        }
        Action::Account(action) => {
            let config = action.config().to_owned();
            beside(&config, move |provider, tenant| {
                action.run(provider, tenant)
            })
            .await
        }
        Action::Client(action) => {
            let config = action.config().to_owned();
            beside(&config, move |provider, tenant| {
                action.run(provider, tenant)
            })
            .await
        }
    }
}

fn keys(action: KeysAction) -> Result<String, String> {
    let now = OffsetDateTime::now_utc();
    let of = |file: &ConfigFile| Ok::<_, String>(TokenKeys::at(&file.read()?.keys));
    let ring = match action {
        KeysAction::Create(file) => of(&file)?.create(now),
        KeysAction::List(file) => of(&file)?.ring(),
        KeysAction::Rotate(file) => of(&file)?.rotate(now),
        KeysAction::Withdraw { config, kid } => of(&config)?.withdraw(&kid, now),
        KeysAction::Drill { config, .. } => of(&config)?.ring(),
    };
    Ok(listed(&ring.map_err(text)?))
}

fn listed(ring: &Ring) -> String {
    let lines: Vec<String> = ring
        .keys()
        .iter()
        .map(|key| {
            let standing = match key.standing {
                KeyStanding::Next => "next",
                KeyStanding::Active => "active",
                KeyStanding::Old => "old",
                KeyStanding::Withdrawn => "withdrawn",
            };
            format!("{}  {standing:<9}  since {}", key.kid, key.since)
        })
        .collect();
    lines.join("\n")
}

/// Opens the database: a file in the state directory, or PostgreSQL.
fn open(settings: &IdpSettings) -> Result<Arc<dyn Store>, String> {
    if let Some(file) = &settings.postgres {
        let parameters = std::fs::read_to_string(file).map_err(|error| in_file(file)(&error))?;
        let store =
            PostgresIdentity::open(parameters.trim()).map_err(|error| in_file(file)(&error))?;
        return Ok(Arc::new(store));
    }
    let state = &settings.state;
    std::fs::create_dir_all(state).map_err(|error| in_file(state)(&error))?;
    let store = SqliteIdentity::open(&state.join(DATABASE)).map_err(text)?;
    Ok(Arc::new(store))
}

/// Makes the keys of tokens if there are none, and takes a relying party in; gives its client_id. Before the server runs.
///
/// # Errors
/// In words, what is in the way.
pub(crate) fn prepare(config: &Path, registration: &Path) -> Result<String, String> {
    let settings = IdpSettings::read(config).map_err(text)?;
    let keys = TokenKeys::at(&settings.keys);
    if !settings.keys.exists() {
        keys.create(OffsetDateTime::now_utc()).map_err(text)?;
    }
    let provider = provider(&settings, Arc::new(NoRegister))?;
    crate::idp_operator::admit(&provider, settings.tenant, registration)
}

/// Does something beside a running server, and prints what comes of it.
async fn beside(
    config: &Path,
    work: impl FnOnce(&Provider, Tenant) -> Result<String, String> + Send + 'static,
) -> Result<(), String> {
    let settings = IdpSettings::read(config).map_err(text)?;
    let tenant = settings.tenant;
    // SQLite and PostgreSQL are opened by blocking calls.
    let said = tokio::task::spawn_blocking(move || {
        let provider = provider(&settings, Arc::new(NoRegister))?;
        work(&provider, tenant)
    })
    .await
    .map_err(text)??;
    print!("{said}");
    Ok(())
}

/// The decisions over the database, for commands beside a running server: nobody is asked about relatives.
fn provider(settings: &IdpSettings, relations: Arc<dyn Relations>) -> Result<Provider, String> {
    let subjects = TokenKeys::at(&settings.keys).subjects().map_err(text)?;
    Ok(Provider::new(open(settings)?, relations, &subjects))
}

/// Without a register nobody's details are told, and nobody acts by it.
pub(crate) struct NoRegister;

impl Relations for NoRegister {
    fn may_act(
        &self,
        _: PersonalNumber,
        _: PersonalNumber,
        _: Theme,
        _: Date,
    ) -> Result<bool, StoreError> {
        Ok(false)
    }
}

impl PersonClaims for NoRegister {
    fn claims(
        &self,
        _: &PersonalNumber,
        _: &BTreeSet<String>,
    ) -> Result<Map<String, Value>, StoreError> {
        Ok(Map::new())
    }
}

impl Register for NoRegister {
    fn name(&self, _: &PersonalNumber, _: &PersonalNumber) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    fn portrait(
        &self,
        _: &PersonalNumber,
        _: &PersonalNumber,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}

/// TLS towards servers of these authorities; of the system's if none are named.
pub(crate) fn outgoing(authorities: Option<&Path>) -> Result<RequestOptions, String> {
    let file = authorities.unwrap_or(Path::new(SYSTEM_AUTHORITIES));
    let authorities = match read_certificates(file) {
        Ok(found) => found,
        // A machine without any trusts nobody.
        Err(_) if authorities.is_none() => Vec::new(),
        Err(error) => return Err(error.to_string()),
    };
    let tls = ClientTls::new(&ServerVerification::Authorities(authorities), None).map_err(text)?;
    Ok(RequestOptions::default().with_tls(tls))
}

fn register(
    settings: &RegisterSettings,
    http: &HttpClient,
) -> Result<Arc<ExchangeRegister>, String> {
    let mut options = RequestOptions::default();
    if let Some(pinned) = &settings.security_server_certificate {
        let pinned = ServerVerification::Pinned(read_certificates(pinned).map_err(text)?);
        let own = match (&settings.certificate, &settings.key) {
            (Some(certificate), Some(key)) => Some(identity(certificate, key)?),
            _ => None,
        };
        options = options.with_tls(ClientTls::new(&pinned, own.as_ref()).map_err(text)?);
    }
    Ok(Arc::new(ExchangeRegister::new(
        http.clone(),
        options,
        &settings.security_server,
        &settings.client,
        &settings.service,
    )))
}

async fn serve(settings: IdpSettings, stop: impl Future<Output = ()>) -> Result<(), String> {
    raise_file_limit();
    let http = HttpClient::new(PoolLimits::default())
        .map_err(text)?
        .with_hosts(settings.hosts.clone());
    type Asked = (Arc<dyn Relations>, Arc<dyn PersonClaims>, Arc<dyn Register>);
    let exchange = match &settings.register {
        Some(found) => Some(register(found, &http)?),
        None => None,
    };
    let (relations, people, shown): Asked = match &exchange {
        Some(register) => (
            Arc::clone(register) as _,
            Arc::clone(register) as _,
            Arc::clone(register) as _,
        ),
        None => (
            Arc::new(NoRegister),
            Arc::new(NoRegister),
            Arc::new(NoRegister),
        ),
    };
    let own = settings.clone();
    // SQLite and PostgreSQL are opened by blocking calls.
    let provider = tokio::task::spawn_blocking(move || provider(&own, relations))
        .await
        .map_err(text)??;
    let keys = TokenKeys::at(&settings.keys);
    let provider = match &settings.signing {
        Some(_) => provider.with_signing_service(),
        None => provider,
    };
    let loaded = keys.load(OffsetDateTime::now_utc()).map_err(text)?;
    let mut oauth = Oauth::new(provider, people, &settings.issuer, loaded);
    if let Some(card) = &settings.card {
        oauth = oauth.with_certificates_at(&card.address);
        if let Some(file) = &card.client_authorities {
            oauth = oauth.with_client_authorities(authorities(file)?);
        }
    }
    let oauth = Arc::new(oauth);
    let spool = Spool::open(&settings.spool, &settings.issuer)
        .map_err(|error| in_file(&settings.spool)(&error))?;
    let spool = Arc::new(spool);
    let threads = settings
        .password_threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let hasher = Hasher::start(threads, threads * PASSWORDS_WAITING).map_err(text)?;
    let mut pages = Pages::new(
        Arc::clone(&oauth),
        Arc::new(hasher),
        Arc::clone(&spool) as _,
        shown,
        settings.tenant,
    )
    .map_err(text)?;
    let cards = match &settings.card {
        Some(card) => cards(card, &http)?,
        None => None,
    };
    if let (Some(card), Some(_)) = (&settings.card, &cards) {
        pages = pages.with_cards_at(&card.address);
    }
    let main = listening(
        settings.listen,
        (&settings.certificate, &settings.key),
        ClientCertificates::NotRequested,
    )
    .await?;
    let certificates = match &settings.card {
        Some(card) => {
            let files = (card.certificate.as_path(), card.key.as_path());
            Some(listening(card.listen, files, ClientCertificates::Optional).await?)
        }
        None => None,
    };
    let signing = match &settings.signing {
        Some(found) => Some(signing(found, settings.authorities.as_deref(), &http)?),
        None => None,
    };
    let server = Server {
        oauth,
        pages: Arc::new(pages),
        spool,
        keys,
        options: outgoing(settings.authorities.as_deref())?,
        http,
        register: exchange,
        signing,
        cards: cards.map(Arc::new),
    };
    println!("ready");
    server.serve(main, certificates, stop).await;
    Ok(())
}

async fn listening(
    address: SocketAddr,
    (certificate, key): (&Path, &Path),
    clients: ClientCertificates,
) -> Result<Listening, String> {
    let tls = crate::serving::https(certificate, key, clients)?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen at {address}: {error}"))?;
    Ok(Listening { listener, tls })
}

fn authorities(file: &Path) -> Result<Vec<Certificate>, String> {
    read_certificates(file)
        .map_err(text)?
        .iter()
        .map(|der| Certificate::decode(der).map_err(|error| in_file(file)(&error)))
        .collect()
}

/// The authorities of identity cards; none: the listener is for clients only.
fn cards(settings: &CardSettings, http: &HttpClient) -> Result<Option<Cards>, String> {
    let Some(file) = &settings.authorities else {
        return Ok(None);
    };
    Ok(Some(Cards {
        authorities: authorities(file)?,
        responder: settings.ocsp.clone(),
        http: http.clone(),
        options: RequestOptions::default().with_total(RESPONDER_PATIENCE),
    }))
}

fn signing(
    settings: &SigningSettings,
    authorities: Option<&Path>,
    http: &HttpClient,
) -> Result<SigningService, String> {
    Ok(SigningService {
        http: http.clone(),
        options: outgoing(settings.authorities.as_deref().or(authorities))?
            .with_total(SIGNING_PATIENCE),
        url: settings.url.clone(),
        client: settings.client_id.clone(),
        key: crate::serving::signing_key(&settings.key)?,
    })
}
