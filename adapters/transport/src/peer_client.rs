//! The client of other Security Servers' message ports: mutual TLS, judged per message.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{Request, Response};
use openssl::ssl::{Ssl, SslContext};
use tokio::time::Instant;

use crate::body::Body;
use crate::connect;
use crate::connection::{PeerCertificate, TlsDescription};
use crate::error::{ClientError, PeerError, TlsSetupError};
use crate::exchange::{Exchange, Patience, SendFailure};
use crate::http_client::PoolLimits;
use crate::pool::Pool;
use crate::tls::{self, TlsIdentity};

/// An address of a Security Server: host name or IP address, and port.
#[derive(Debug, Clone)]
pub struct Target {
    address: Arc<str>,
    host_length: usize,
    port: u16,
}

impl Target {
    /// `host` is a name, an IPv4 or IPv6 address (no brackets, no port).
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            address: Arc::from(format!("{host}:{port}")),
            host_length: host.len(),
            port,
        }
    }

    /// The host alone.
    pub fn host(&self) -> &str {
        self.address.get(..self.host_length).unwrap_or_default()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.address)
    }
}

/// Settings of a [`PeerClient`].
#[derive(Debug, Clone, Copy)]
pub struct PeerClientSettings {
    /// TCP connect and TLS handshake with one address (T8: 30 s).
    pub connect_timeout: Option<Duration>,
    /// From sending to the head of the response (T8: unlimited).
    pub response_timeout: Option<Duration>,
    /// Between two pieces of the response's body.
    pub read_timeout: Option<Duration>,
    /// Kept connections, per address.
    pub pool: PoolLimits,
    /// How long the fastest of several addresses is preferred (T8: 3600 s).
    pub fastest_for: Duration,
    /// Most addresses tried at the same time.
    pub parallel_connects: usize,
}

impl Default for PeerClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Some(Duration::from_secs(30)),
            response_timeout: None,
            read_timeout: None,
            pool: PoolLimits::default(),
            fastest_for: Duration::from_secs(3600),
            parallel_connects: 8,
        }
    }
}

/// A client of other Security Servers. Clones share the connections.
#[derive(Clone)]
pub struct PeerClient {
    inner: Arc<Inner>,
}

struct Inner {
    context: RwLock<SslContext>,
    settings: PeerClientSettings,
    pool: Arc<Pool<Target>>,
    // By the first address of the list, which stands for the whole list.
    fastest: Mutex<HashMap<Target, Fastest>>,
}

struct Fastest {
    candidates: Vec<Target>,
    winner: Target,
    until: Instant,
}

impl std::fmt::Debug for PeerClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PeerClient")
    }
}

/// A connection to a peer whose certificate the caller has accepted for one message. `V` is what the
/// caller's check returned: the proof of it.
pub struct PeerConnection<V> {
    exchange: Box<Exchange>,
    certificate: PeerCertificate,
    patience: Patience,
    verdict: V,
    // With several addresses: whose preference ends when the exchange fails.
    preference: Option<(PeerClient, Target)>,
}

impl<V: std::fmt::Debug> std::fmt::Debug for PeerConnection<V> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PeerConnection")
            .field("address", &self.exchange.address)
            .field("verdict", &self.verdict)
            .finish()
    }
}

/// Which connection carried an exchange.
#[derive(Debug, Clone)]
pub struct PeerConnectionInfo {
    /// The certificate that the server presented.
    pub certificate: PeerCertificate,
    /// `host:port`.
    pub address: Arc<str>,
    /// True where the connection had carried an earlier message.
    pub reused: bool,
    /// Version and suite.
    pub tls: Option<TlsDescription>,
}

/// A request that did not leave because the connection had ended: nothing was sent, so it may be sent
/// on another connection.
#[derive(Debug)]
pub struct NotSent(pub Request<Body>);

/// Why [`PeerConnection::send`] has no response.
#[derive(Debug)]
pub enum PeerSendError {
    /// Nothing was sent; here is the request.
    NotSent(Box<NotSent>),
    /// The exchange failed.
    Failed(ClientError),
}

impl<V> PeerConnection<V> {
    /// What the caller's check returned.
    pub fn verdict(&self) -> &V {
        &self.verdict
    }

    /// Certificate, address, suite.
    pub fn info(&self) -> PeerConnectionInfo {
        PeerConnectionInfo {
            certificate: self.certificate.clone(),
            address: self.exchange.address.clone(),
            reused: self.exchange.used,
            tls: self.exchange.tls,
        }
    }

    /// Sends one message. The URI may be `/`; `Host` is added where it is missing. The awaiting task
    /// drives the connection, as with [`crate::HttpClient::request`].
    ///
    /// # Errors
    /// [`PeerSendError`].
    pub async fn send(
        self,
        mut request: Request<Body>,
    ) -> Result<(Response<Body>, V), PeerSendError> {
        if !request.headers().contains_key(http::header::HOST)
            && let Ok(host) = http::HeaderValue::from_str(&self.exchange.address)
        {
            request.headers_mut().insert(http::header::HOST, host);
        }
        match self.exchange.send(request, self.patience).await {
            Ok(response) => Ok((response, self.verdict)),
            Err(SendFailure::NotSent(request)) => {
                Err(PeerSendError::NotSent(Box::new(NotSent(*request))))
            }
            Err(SendFailure::Failed(error)) => {
                if let Some((client, first)) = self.preference {
                    client.forget(&first);
                }
                Err(PeerSendError::Failed(error))
            }
        }
    }
}

impl PeerClient {
    /// A client that presents `identity`, the server's authentication certificate.
    ///
    /// # Errors
    /// Where OpenSSL refuses the identity.
    pub fn new(
        identity: &TlsIdentity,
        settings: PeerClientSettings,
    ) -> Result<Self, TlsSetupError> {
        Ok(Self {
            inner: Arc::new(Inner {
                context: RwLock::new(tls::peer_client_context(identity)?),
                pool: Pool::new(settings.pool.max_idle, settings.pool.idle_timeout),
                settings,
                fastest: Mutex::default(),
            }),
        })
    }

    /// Presents another certificate from now on; kept connections are ended.
    ///
    /// # Errors
    /// Where OpenSSL refuses the identity; the old one stays.
    pub fn replace_identity(&self, identity: &TlsIdentity) -> Result<(), TlsSetupError> {
        let context = tls::peer_client_context(identity)?;
        *self
            .inner
            .context
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = context;
        self.inner.pool.clear();
        Ok(())
    }

    /// Ends all idle connections.
    pub fn close_idle(&self) {
        self.inner.pool.clear();
    }

    /// Finds a connection for one message: a kept one, or a new one to the first of `targets` whose
    /// certificate `check` accepts. `check` is asked for every message, also about a kept
    /// connection; one that it refuses is closed.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn connect<V, R, C, F>(
        &self,
        targets: &[Target],
        check: C,
    ) -> Result<PeerConnection<V>, PeerError<R>>
    where
        C: Fn(PeerCertificate) -> F,
        F: Future<Output = Result<V, R>>,
    {
        match targets {
            [] => Err(PeerError::NoTarget),
            [only] => self.connect_to(only, &check).await,
            [first, ..] => {
                if let Some(winner) = self.fastest(first, targets) {
                    match self.connect_to(&winner, &check).await {
                        Ok(mut connection) => {
                            connection.preference = Some((self.clone(), first.clone()));
                            return Ok(connection);
                        }
                        Err(error) => {
                            tracing::debug!(address = %winner, "the preferred address failed");
                            self.forget(first);
                            if targets.iter().all(|target| *target == winner) {
                                return Err(error);
                            }
                        }
                    }
                }
                let (winner, mut connection) = self.race(targets, &check).await?;
                self.remember(first, targets, winner);
                connection.preference = Some((self.clone(), first.clone()));
                Ok(connection)
            }
        }
    }

    /// [`PeerClient::connect`] and [`PeerConnection::send`] in one, on another connection where the
    /// first had ended before anything was sent.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn request<V, R, C, F>(
        &self,
        targets: &[Target],
        mut request: Request<Body>,
        check: C,
    ) -> Result<(Response<Body>, V, PeerConnectionInfo), PeerError<R>>
    where
        C: Fn(PeerCertificate) -> F,
        F: Future<Output = Result<V, R>>,
    {
        // Bounded: a peer that closes every fresh connection must not keep us busy.
        for _ in 0..8 {
            let connection = self.connect(targets, &check).await?;
            let info = connection.info();
            match connection.send(request).await {
                Ok((response, verdict)) => return Ok((response, verdict, info)),
                Err(PeerSendError::NotSent(unsent)) => request = unsent.0,
                Err(PeerSendError::Failed(error)) => return Err(error.into()),
            }
        }
        Err(PeerError::Client(ClientError::Io {
            address: targets.first().map_or_else(String::new, Target::to_string),
            reason: "every connection ended before the request was sent".to_owned(),
        }))
    }

    async fn connect_to<V, R, C, F>(
        &self,
        target: &Target,
        check: &C,
    ) -> Result<PeerConnection<V>, PeerError<R>>
    where
        C: Fn(PeerCertificate) -> F,
        F: Future<Output = Result<V, R>>,
    {
        let settings = &self.inner.settings;
        let shelf = self.inner.pool.shelf(target);
        let exchange = match shelf.take() {
            Some(exchange) => exchange,
            None => {
                let session = self.session().map_err(|error| ClientError::Tls {
                    address: target.to_string(),
                    reason: error.to_string(),
                })?;
                let mut exchange = connect::open(
                    &target.address,
                    target.host(),
                    target.port,
                    Some(session),
                    settings.connect_timeout,
                )
                .await?;
                exchange.home = Some(shelf);
                exchange
            }
        };
        let Some(certificate) = exchange.certificate.clone() else {
            return Err(PeerError::Client(ClientError::Tls {
                address: target.to_string(),
                reason: "the server presented no certificate".to_owned(),
            }));
        };
        let verdict = check(certificate.clone())
            .await
            .map_err(|refusal| PeerError::Refused {
                address: target.to_string(),
                refusal,
            })?;
        Ok(PeerConnection {
            exchange,
            certificate,
            patience: Patience {
                response: settings.response_timeout,
                read: settings.read_timeout,
                end: None,
            },
            verdict,
            preference: None,
        })
    }

    async fn race<V, R, C, F>(
        &self,
        targets: &[Target],
        check: &C,
    ) -> Result<(Target, PeerConnection<V>), PeerError<R>>
    where
        C: Fn(PeerCertificate) -> F,
        F: Future<Output = Result<V, R>>,
    {
        let mut waiting = targets.iter();
        let mut running = FuturesUnordered::new();
        let attempt =
            async |target: &Target| (target.clone(), self.connect_to(target, check).await);
        let mut last = PeerError::NoTarget;
        loop {
            while running.len() < self.inner.settings.parallel_connects.max(1)
                && let Some(target) = waiting.next()
            {
                running.push(attempt(target));
            }
            match running.next().await {
                Some((target, Ok(connection))) => return Ok((target, connection)),
                Some((target, Err(error))) => {
                    tracing::debug!(address = %target, "an address of the peer failed");
                    // A refusal says more than a connection that failed.
                    if !matches!(last, PeerError::Refused { .. }) {
                        last = error;
                    }
                }
                None => return Err(last),
            }
        }
    }

    fn session(&self) -> Result<Ssl, TlsSetupError> {
        let context = self
            .inner
            .context
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(Ssl::new(&context)?)
    }

    fn fastest_map(&self) -> std::sync::MutexGuard<'_, HashMap<Target, Fastest>> {
        self.inner
            .fastest
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn fastest(&self, first: &Target, targets: &[Target]) -> Option<Target> {
        let map = self.fastest_map();
        let fastest = map.get(first)?;
        (fastest.until > Instant::now() && fastest.candidates == targets)
            .then(|| fastest.winner.clone())
    }

    fn remember(&self, first: &Target, targets: &[Target], winner: Target) {
        let until = Instant::now() + self.inner.settings.fastest_for;
        let mut map = self.fastest_map();
        // Lists change with the configuration: those that are over make room.
        if map.len() >= 4096 {
            let now = Instant::now();
            map.retain(|_, fastest| fastest.until > now);
            if map.len() >= 4096 {
                map.clear();
            }
        }
        map.insert(
            first.clone(),
            Fastest {
                candidates: targets.to_vec(),
                winner,
                until,
            },
        );
    }

    fn forget(&self, first: &Target) {
        self.fastest_map().remove(first);
    }
}
