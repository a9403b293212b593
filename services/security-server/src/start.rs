//! Starting, keeping alive and stopping a Security Server.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use config::{ConfigError, SecurityServerSettings};
use evidence::SIGNED_DIRECTORY;
use globalconf::{ConfigurationId, GlobalConfiguration};
use http::{Method, Request, Response};
use keystore::{OpenToken, Pin, PinDerivation, SealedKey, SoftwareToken};
use messagelog::{LogError, LogKey, LogKeys, SpoolLimits};
use pki::Certificate;
use proxy::{Judge, Language, Texts};
use store_segments::{LogSettings, MessageLog};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::watch;
use transport::{
    Body, ClientCertificates, Connection, HttpClient, PeerClient, PeerClientSettings, PeerTls,
    PoolLimits, ServeLimits, ServerTls, TlsIdentity, serve_http, serve_https, serve_peers,
};
use xroad_message::metadata::PATH_LIST_CLIENTS;

use crate::configuration_client::{ConfigurationClient, ConfigurationClientSettings, Federation};
use crate::identity::{authentication, internal, signers};
use crate::known_hosts::{KnownHosts, registered};
use crate::memory::MessageMemory;
use crate::readiness::{follow_readiness, health};
use crate::refusals::FaultWriter;
use crate::server::{AuthenticationStatus, Server};
use crate::signing::Signers;
use crate::status::{ChainStatus, OwnStatus, PeerStatus, directory, intermediates, serve};
use crate::timestamper::{Authorities, SHORTEST_INTERVAL, Timestamper};
use crate::tls_options::ServiceTls;
use crate::{consumer, control, downloads, metadata, provider};

/// How often the global configuration is downloaded (G6).
const CONFIGURATION_PERIOD: Duration = Duration::from_secs(60);

/// Open files below which busy times end in refused connections: each exchange may need three.
const FEW_FILES: u64 = 8192;

/// How long connections are kept waiting at the start while something is still missing.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Purpose of the key that a token gives for the message log; it must never change.
const LOG_KEY_PURPOSE: &str = "message log";

/// Why a Security Server could not start or had to stop. The fault is the
/// administrator's or the machine's, and the text names the file or port.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration file cannot be used.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// A key or certificate cannot be used.
    #[error("keys: {0}")]
    Key(String),
    /// The message log cannot be opened.
    #[error("message log in {path}: {source}", path = path.display())]
    Log {
        /// Its directory.
        path: PathBuf,
        /// What is wrong.
        source: LogError,
    },
    /// The global configuration cannot be used.
    #[error("global configuration: {0}")]
    GlobalConfiguration(String),
    /// A port cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] transport::TlsSetupError),
}

/// Where the PIN of the token comes from when there is no sealed key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinSource {
    /// The systemd credential `token-pin`, else the terminal.
    CredentialOrPrompt,
    /// The first line of standard input.
    StandardInput,
}

/// Runs the Security Server described by the file `config_path` until it is told to stop
/// (SIGTERM or SIGINT); SIGHUP reads clients, services and rights again. Prints `ready` on
/// standard output once messages can be exchanged.
///
/// # Errors
/// The configuration, a key or a port cannot be used.
pub async fn run(config_path: &Path) -> Result<(), RunError> {
    run_with(config_path, PinSource::CredentialOrPrompt).await
}

/// As [`run`], with another source of the PIN.
///
/// # Errors
/// As [`run`].
pub async fn run_with(config_path: &Path, pin: PinSource) -> Result<(), RunError> {
    let settings = SecurityServerSettings::read(config_path)?;
    let files = transport::raise_file_limit();
    if files < FEW_FILES {
        tracing::warn!(
            files,
            "the system lets this server open few files: many connections at once will be refused"
        );
    }
    let token = open_token(&settings, pin)?;
    let log = open_log(&settings, Some(&token))?;
    let (stop, stopped) = watch::channel(false);
    let started = Arc::new(start(config_path, settings, token, log)?);
    let sockets = Sockets::bind(&started.server.settings).await?;
    started.adopt().await;
    started.use_stored_status();
    let (ready, mut is_ready) = watch::channel(false);
    let loops = [
        tokio::spawn(Arc::clone(&started).follow_configuration()),
        tokio::spawn(Arc::clone(&started).follow_status()),
        tokio::spawn(started.server.timestamper.clone().run()),
        tokio::spawn(follow_readiness(Arc::clone(&started.server), ready)),
    ];
    let control = control::serve(config_path, Arc::clone(&started.server))
        .inspect_err(|error| tracing::error!(%error, "administrators cannot connect"));
    // Whoever connects in the first moments waits rather than gets a fault; but a server that
    // lacks something for longer says so to everybody.
    let _ = tokio::time::timeout(READY_WITHIN, is_ready.wait_for(|ready| *ready)).await;
    let ports = listen(&started, sockets, &stopped)?;
    let announced = tokio::spawn(async move {
        if is_ready.wait_for(|ready| *ready).await.is_ok() {
            println!("ready");
        }
    });
    wait_for_signals(config_path, &started).await;
    if let Ok(control) = control {
        control.abort();
    }
    tracing::info!("stopping: exchanges under way may end");
    let _ = stop.send(true);
    for port in ports {
        let _ = port.await;
    }
    announced.abort();
    for task in loops {
        task.abort();
    }
    if let Err(error) = started.server.log.close().await {
        tracing::error!(%error, "the message log could not be closed");
    }
    Ok(())
}

fn open_token(settings: &SecurityServerSettings, pin: PinSource) -> Result<OpenToken, RunError> {
    let failed = |error: keystore::TokenError| RunError::Key(error.to_string());
    let token = SoftwareToken::load(&settings.token).map_err(failed)?;
    if let Some(path) = &settings.sealed_key {
        return token
            .open_sealed(&SealedKey::read(path).map_err(failed)?)
            .map_err(failed);
    }
    let pin = match pin {
        PinSource::StandardInput => Pin::from_stdin(),
        PinSource::CredentialOrPrompt => Pin::from_credential("token-pin")
            .or_else(|_| Pin::from_prompt(&format!("PIN of the token {}: ", token.label()))),
    }
    .map_err(failed)?;
    token
        .open(&pin, &PinDerivation::Helper { program: None })
        .map_err(failed)
}

/// Opens the message log; `token` is the open token, if the caller has it.
pub(crate) fn open_log(
    settings: &SecurityServerSettings,
    token: Option<&OpenToken>,
) -> Result<MessageLog, RunError> {
    let log = &settings.log;
    let failed = |source| RunError::Log {
        path: log.directory.clone(),
        source,
    };
    let mut keys = LogKeys::only(log_key(settings, token)?);
    keys.previous = crate::log_tasks::further_keys(&log.key);
    if let Some(path) = &log.recovery_key {
        let pem = std::fs::read(path)
            .map_err(|error| RunError::Key(format!("{}: {error}", path.display())))?;
        let der = pki::pem::decode(&pem, "PUBLIC KEY")
            .map_err(|error| RunError::Key(format!("{}: {error}", path.display())))?;
        keys.recovery = Some(der);
    }
    let mut wanted = LogSettings::new(&log.directory);
    wanted.reserve = log.reserved_bytes;
    wanted.spool = SpoolLimits {
        per_peer: log.spool_bytes_per_peer,
        total: log.spool_bytes,
    };
    wanted.retention = Some(Duration::from_secs(u64::from(log.retention_days) * 86_400));
    wanted.acceptable_timestamp_failure = Duration::from_secs(log.timestamp_grace_seconds);
    MessageLog::open(wanted, keys).map_err(failed)
}

/// The key that wraps the log's data keys: of the token, or from a credential or file.
fn log_key(
    settings: &SecurityServerSettings,
    token: Option<&OpenToken>,
) -> Result<LogKey, RunError> {
    if !settings.log.key_from_token {
        return read_log_key(&settings.log.key).map(LogKey::new);
    }
    let derived = match token {
        Some(token) => token.derive_key(LOG_KEY_PURPOSE),
        None => open_token(settings, PinSource::CredentialOrPrompt)?.derive_key(LOG_KEY_PURPOSE),
    };
    derived
        .map(|key| LogKey::new(*key))
        .map_err(|error| RunError::Key(error.to_string()))
}

fn read_log_key(path: &Path) -> Result<[u8; 32], RunError> {
    // A systemd credential of the file's name comes first.
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY")
        .zip(path.file_name())
        .map(|(directory, name)| Path::new(&directory).join(name))
        .filter(|path| path.is_file());
    let path = credential.as_deref().unwrap_or(path);
    let wrong = |reason: &dyn std::fmt::Display| {
        RunError::Key(format!("log key {}: {reason}", path.display()))
    };
    let text =
        zeroize::Zeroizing::new(std::fs::read_to_string(path).map_err(|error| wrong(&error))?);
    let mut key = [0; 32];
    hex::decode_to_slice(text.trim(), &mut key)
        .map_err(|_| wrong(&"it must be 64 hexadecimal digits"))?;
    Ok(key)
}

struct Started {
    server: Arc<Server>,
    client: Arc<ConfigurationClient>,
    status: Arc<OwnStatus>,
    token: Arc<Mutex<OpenToken>>,
    authentication: ArcSwap<Certificate>,
    internal: TlsIdentity,
    peer_tls: PeerTls,
    known_hosts: KnownHosts,
}

fn start(
    config_path: &Path,
    settings: SecurityServerSettings,
    token: OpenToken,
    log: MessageLog,
) -> Result<Started, RunError> {
    let now = OffsetDateTime::now_utc();
    let folder = config_path.parent().unwrap_or(Path::new("."));
    let mut client_settings =
        ConfigurationClientSettings::new(settings.anchor.clone(), settings.globalconf.clone());
    client_settings.federation = Federation::parse(&settings.allowed_federations);
    let client = ConfigurationClient::open(client_settings)
        .map_err(|error| RunError::GlobalConfiguration(error.to_string()))?;
    let known = client.configuration();
    let own = settings.configuration.clone();
    let authentication = authentication(&token, known.as_deref(), &own, now)?;
    let signers = signers(&token, known.as_deref(), &own, settings.batch_signing, now)?;
    let (internal_certificate, internal) = internal(folder, settings.address)?;
    let http = HttpClient::new(PoolLimits::default())?;
    let peers = PeerClient::new(&authentication.identity, PeerClientSettings::default())?;
    let language = match settings.language {
        config::Language::Ky => Language::Kyrgyz,
        config::Language::Ru => Language::Russian,
        config::Language::En => Language::English,
    };
    let configuration = Arc::new(ArcSwapOption::<GlobalConfiguration>::empty());
    let timestamper = timestamper(&settings, &configuration, log.clone(), http.clone());
    let server = Arc::new(Server {
        own: ArcSwap::from_pointee(own),
        configuration,
        judge: Judge::default(),
        memory: MessageMemory::new(settings.message_memory_bytes),
        signers: ArcSwap::from_pointee(signers),
        authentication: ArcSwap::from_pointee(AuthenticationStatus::default()),
        internal_certificate,
        peers,
        peer_status: PeerStatus::default(),
        service_tls: ServiceTls::new(internal.clone()),
        faults: FaultWriter::new(Texts::new(language), settings.fault_style),
        http: http.clone(),
        log,
        timestamper,
        settings,
    });
    let status = Arc::new(OwnStatus::new(directory(&server.settings.globalconf), http));
    Ok(Started {
        peer_tls: PeerTls::new(&authentication.identity)?,
        server,
        client: Arc::new(client),
        status,
        token: Arc::new(Mutex::new(token)),
        authentication: ArcSwap::from_pointee(authentication.certificate),
        internal,
        known_hosts: KnownHosts::default(),
    })
}

fn timestamper(
    settings: &SecurityServerSettings,
    configuration: &Arc<ArcSwapOption<GlobalConfiguration>>,
    log: MessageLog,
    http: HttpClient,
) -> Timestamper {
    let configuration = Arc::clone(configuration);
    let interval = settings.log.timestamp_interval_seconds;
    Timestamper::new(log, http, move || {
        Some(authorities(&*configuration.load_full()?, interval))
    })
}

/// Whom a configuration lets us ask for time-stamps, and how often.
pub(crate) fn authorities(
    configuration: &GlobalConfiguration,
    interval: Option<u64>,
) -> Authorities {
    let asked = Duration::from_secs(configuration.timestamping_interval_seconds());
    Authorities {
        urls: configuration
            .approved_tsas()
            .iter()
            .map(|tsa| tsa.url.clone())
            .collect(),
        certificates: configuration.tsa_certificates().cloned().collect(),
        interval: interval.map_or(asked.max(SHORTEST_INTERVAL), Duration::from_secs),
        configuration: messagelog::ConfigurationId(configuration.identity().0),
    }
}

impl Started {
    /// Puts a configuration in force once the log keeps it: evidence is judged by it
    /// years later.
    async fn adopt(&self) {
        let Some(configuration) = self.client.configuration() else {
            return;
        };
        let before = self.server.configuration.load_full();
        if before
            .as_ref()
            .is_some_and(|before| Arc::ptr_eq(before, &configuration))
        {
            return;
        }
        let identity = configuration.identity();
        if let Err(error) = self.keep(identity).await {
            tracing::error!(%error, "a global configuration could not be kept in the message log, so it is not used");
            return;
        }
        for problem in configuration.problems() {
            tracing::warn!(problem, "global configuration");
        }
        self.server
            .configuration
            .store(Some(Arc::clone(&configuration)));
        if before.is_none_or(|before| before.identity() != identity) {
            let (known_hosts, addresses) = (self.known_hosts.clone(), registered(&configuration));
            tokio::spawn(async move { known_hosts.learn(addresses).await });
            // Chains above our certificates are known only now, or have changed.
            self.renew_authentication();
            self.renew_signers();
        }
    }

    async fn keep(&self, identity: ConfigurationId) -> Result<(), String> {
        let id = messagelog::ConfigurationId(identity.0);
        if self.server.log.has_configuration(id) {
            return Ok(());
        }
        let archived = self
            .client
            .archived(identity)
            .map_err(|error| error.to_string())?
            .ok_or("it is not in the archive")?;
        let mut files: Vec<(String, Bytes)> = archived
            .stored
            .encode()
            .into_iter()
            .map(|(path, bytes)| (path, Bytes::from(bytes)))
            .collect();
        files.extend(archived.directories.into_iter().map(|directory| {
            let folder = globalconf::stored::encode_segment(&directory.instance);
            (
                format!("{folder}/{SIGNED_DIRECTORY}"),
                Bytes::from(directory.bytes),
            )
        }));
        self.server
            .log
            .keep_configuration(id, files)
            .await
            .map_err(|error| error.to_string())
    }

    /// Makes the signers again, from the token and the clients as they are now.
    fn renew_signers(&self) {
        let configuration = self.client.configuration();
        let own = self.server.own.load_full();
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let now = OffsetDateTime::now_utc();
        match signers(
            &token,
            configuration.as_deref(),
            &own,
            self.server.settings.batch_signing,
            now,
        ) {
            Ok(signers) => {
                // With their status, else messages between two lines would find none.
                self.use_stored_status_of(&signers);
                self.server.signers.store(Arc::new(signers));
            }
            Err(error) => tracing::error!(%error, "the signing keys could not be read again"),
        }
    }

    /// Chooses the authentication certificate again: another one may be registered now, or
    /// the chain above it known or changed.
    fn renew_authentication(&self) {
        let configuration = self.client.configuration();
        let own = self.server.own.load_full();
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let now = OffsetDateTime::now_utc();
        let renewed = authentication(&token, configuration.as_deref(), &own, now)
            .map_err(|error| error.to_string())
            .and_then(|renewed| {
                self.server
                    .peers
                    .replace_identity(&renewed.identity)
                    .and_then(|()| self.peer_tls.replace(&renewed.identity))
                    .map_err(|error| error.to_string())?;
                Ok(renewed.certificate)
            });
        drop(token);
        match renewed {
            Ok(certificate) => {
                let changed = self.authentication.load().der() != certificate.der();
                self.authentication.store(Arc::new(certificate));
                if changed {
                    tracing::info!("another authentication certificate is used from now on");
                    self.server
                        .authentication
                        .store(Arc::new(AuthenticationStatus::default()));
                }
                self.use_stored_status();
            }
            Err(error) => {
                tracing::error!(error, "the authentication key could not be read again");
            }
        }
    }

    /// Puts the kept status answers to use, so that a restart needs no responder.
    fn use_stored_status(&self) {
        self.use_stored_status_of(&self.server.signers.load());
        let Some(configuration) = self.client.configuration() else {
            return;
        };
        let now = OffsetDateTime::now_utc();
        let instance = self.server.own.load().id().instance.clone();
        if let Some(status) =
            self.status
                .stored(&configuration, &instance, &self.authentication.load(), now)
        {
            self.set_authentication(&configuration, status);
        }
    }

    fn use_stored_status_of(&self, signers: &Signers) {
        let Some(configuration) = self.client.configuration() else {
            return;
        };
        let now = OffsetDateTime::now_utc();
        for signer in signers.all() {
            let stored = self.status.stored(
                &configuration,
                &signer.member().instance,
                signer.certificate(),
                now,
            );
            if let Some(status) = stored {
                signer.set_status(&status.answers, status.until);
            }
        }
    }

    fn set_authentication(&self, configuration: &GlobalConfiguration, status: ChainStatus) {
        let instance = self.server.own.load().id().instance.clone();
        let certificate = self.authentication.load_full();
        let mut chain = vec![Certificate::clone(&certificate)];
        chain.extend(intermediates(configuration, &instance, &certificate).unwrap_or_default());
        self.server
            .authentication
            .store(Arc::new(AuthenticationStatus {
                chain: chain
                    .into_iter()
                    .zip(status.answers.iter().cloned())
                    .collect(),
                answers: status.answers,
                until: Some(status.until),
            }));
    }

    /// Fetches the configuration again and again.
    async fn follow_configuration(self: Arc<Self>) {
        let mut wait = Duration::from_secs(1);
        loop {
            if let Err(error) = self.client.update().await {
                let until = self
                    .client
                    .configuration()
                    .and_then(|known| known.expires());
                tracing::warn!(%error, stored_until = ?until, "the global configuration could not be downloaded");
            }
            self.adopt().await;
            let has_one = self.server.current(OffsetDateTime::now_utc()).is_ok();
            wait = if has_one {
                CONFIGURATION_PERIOD
            } else {
                (wait * 2).min(CONFIGURATION_PERIOD)
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Keeps the status of our own certificates fresh (C3): fetched at the interval of the
    /// configuration, after a failure from a minute on, growing.
    async fn follow_status(self: Arc<Self>) {
        let mut failures: u32 = 0;
        let mut next = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let Some(configuration) = self.server.configuration.load_full() else {
                continue;
            };
            let now = OffsetDateTime::now_utc();
            let missing = self.server.own_status(now).is_err()
                || self
                    .server
                    .signers
                    .load()
                    .all()
                    .any(|signer| !signer.is_ready(now));
            let is_due = tokio::time::Instant::now() >= next;
            // What is missing stops exchanges, so it is tried more often than what is merely old.
            if !(is_due || missing && failures < 10) {
                continue;
            }
            let freshness = configuration.ocsp_freshness_seconds();
            if self.fetch_status(&configuration).await {
                failures = 0;
                let interval = configuration
                    .ocsp_fetch_interval_seconds()
                    .min((freshness / 3).max(1));
                next = tokio::time::Instant::now() + Duration::from_secs(interval);
            } else {
                failures = failures.saturating_add(1);
                let wait = Duration::from_secs(60).saturating_mul(1 << failures.min(4));
                // One certificate that is not good must not let the status of the others
                // grow old, nor an outage last longer than it does.
                let longest = Duration::from_secs((freshness / 3).clamp(1, 300));
                next = tokio::time::Instant::now() + wait.min(longest);
            }
        }
    }

    async fn fetch_status(&self, configuration: &GlobalConfiguration) -> bool {
        let now = OffsetDateTime::now_utc();
        let mut all = true;
        let instance = self.server.own.load().id().instance.clone();
        let certificate = self.authentication.load_full();
        match self
            .status
            .fetch(configuration, &instance, &certificate, now)
            .await
        {
            Ok(status) => self.set_authentication(configuration, status),
            Err(error) => {
                all = false;
                tracing::warn!(%error, "status of the authentication certificate");
            }
        }
        let signers = self.server.signers.load_full();
        for signer in signers.all() {
            let member = signer.member();
            match self
                .status
                .fetch(configuration, &member.instance, signer.certificate(), now)
                .await
            {
                Ok(status) => signer.set_status(&status.answers, status.until),
                Err(error) => {
                    all = false;
                    tracing::warn!(%member, %error, "status of a signing certificate");
                }
            }
        }
        all
    }

    /// Reads clients, services, rights and the token's public side again.
    fn reload(&self, config_path: &Path) {
        match SecurityServerSettings::read(config_path) {
            Ok(settings) => {
                self.server.own.store(Arc::new(settings.configuration));
                let reloaded = self
                    .token
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .reload();
                if let Err(error) = reloaded {
                    tracing::error!(%error, "the token could not be read again");
                }
                self.renew_authentication();
                self.renew_signers();
                tracing::info!("clients, services, rights and keys were read again");
            }
            Err(error) => tracing::error!(%error, "the new configuration is not used"),
        }
    }
}

async fn bind(address: IpAddr, port: u16) -> Result<TcpListener, RunError> {
    let address = SocketAddr::new(address, port);
    TcpListener::bind(address)
        .await
        .map_err(|source| RunError::Listen { address, source })
}

async fn when(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

type Task = tokio::task::JoinHandle<()>;

/// The ports, bound before anything else is done, so that a taken one is told at once.
struct Sockets {
    messages: TcpListener,
    status: TcpListener,
    plain: TcpListener,
    tls: TcpListener,
}

impl Sockets {
    async fn bind(settings: &SecurityServerSettings) -> Result<Self, RunError> {
        Ok(Self {
            messages: bind(settings.address, settings.message_port).await?,
            status: bind(settings.address, settings.ocsp_port).await?,
            plain: bind(settings.address, settings.http_port).await?,
            tls: bind(settings.address, settings.https_port).await?,
        })
    }
}

fn listen(
    started: &Arc<Started>,
    sockets: Sockets,
    stopped: &watch::Receiver<bool>,
) -> Result<Vec<Task>, RunError> {
    let Sockets {
        messages,
        status,
        plain,
        tls,
    } = sockets;
    let server_tls = ServerTls::new(&started.internal, ClientCertificates::Optional)?;
    let limits = ServeLimits::default;
    let peer_limits = ServeLimits {
        preference: Some(started.known_hosts.preference()),
        ..limits()
    };
    let server = Arc::clone(&started.server);
    let peers =
        move |request, connection| provider::handle(Arc::clone(&server), request, connection);
    let server = Arc::clone(&started.server);
    let answers = move |request: Request<Body>, _| {
        let response = serve(&request, &server.authentication.load().chain);
        async move { response }
    };
    let one = Arc::clone(started);
    let systems =
        move |request, connection| information_system(Arc::clone(&one), request, connection);
    Ok(vec![
        tokio::spawn(serve_peers(
            messages,
            started.peer_tls.clone(),
            peers,
            peer_limits.clone(),
            when(stopped.clone()),
        )),
        tokio::spawn(serve_http(
            status,
            answers,
            peer_limits,
            when(stopped.clone()),
        )),
        tokio::spawn(serve_http(
            plain,
            systems.clone(),
            limits(),
            when(stopped.clone()),
        )),
        tokio::spawn(serve_https(
            tls,
            server_tls,
            systems,
            limits(),
            when(stopped.clone()),
        )),
    ])
}

async fn information_system(
    started: Arc<Started>,
    request: Request<Body>,
    connection: Arc<Connection>,
) -> Response<Body> {
    let server = &started.server;
    if request.method() == Method::GET {
        match request.uri().path() {
            PATH_LIST_CLIENTS => return metadata::list_clients(server, &request),
            "/asic" => return downloads::asic(server, request.uri().query(), &connection).await,
            "/verificationconf" => {
                return downloads::verification_configuration(
                    server,
                    started.client.stored().as_deref(),
                );
            }
            "/health/live" => return health(true),
            "/health/ready" => {
                return health(server.missing(OffsetDateTime::now_utc()).is_empty());
            }
            _ => {}
        }
    }
    consumer::handle(Arc::clone(server), request, connection).await
}

async fn wait_for_signals(config_path: &Path, started: &Started) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) else {
        tracing::error!("signals cannot be received");
        return;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = hangup.recv() => started.reload(config_path),
        }
    }
}
