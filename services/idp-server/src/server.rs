//! The listeners and what happens beside requests: logout tokens, notices, forgetting, new keys.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderValue, STRICT_TRANSPORT_SECURITY};
use http::{Method, StatusCode};
use oidc_provider::{Failure, Heard};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use transport::{
    Body, Connection, HttpClient, PeerCertificate, Request, RequestOptions, Response, ServeLimits,
    ServerTls,
};

use crate::card::Cards;
use crate::oauth::{Oauth, answered};
use crate::pages::{CARD_PATH, Pages};
use crate::register::ExchangeRegister;
use crate::signing::SigningService;
use crate::spool::Spool;
use crate::token_keys::TokenKeys;

/// How often it is looked whether something waits.
const ROUND: Duration = Duration::from_secs(1);
/// How often the signing service and the population register are asked what changed.
const HEARING: Duration = Duration::from_secs(10);
/// Between two parts of the register's past.
const CATCHING_UP: Duration = Duration::from_millis(200);
/// How often what expired is forgotten.
const FORGETTING: Duration = Duration::from_secs(30);
/// Notices of one round.
const NOTICES: usize = 100;
/// Items and events that are forgotten in one commit.
const FORGOTTEN_TOGETHER: usize = 1000;
/// How long a relying party has to take a logout token.
const LOGOUT_PATIENCE: Duration = Duration::from_secs(5);

/// Words to the signing service of one round.
const WORDS: usize = 100;
const ALWAYS_HTTPS: &str = "max-age=31536000";
/// What clients with certificates call at the other address (RFC 8705 section 5).
const MTLS_ENDPOINTS: &[&str] = &[
    "/oauth2/token",
    "/oauth2/par",
    "/oauth2/userinfo",
    "/oauth2/introspect",
    "/oauth2/revoke",
    "/oauth2/device",
];

/// A listener with its TLS.
#[derive(Debug)]
pub struct Listening {
    /// The socket.
    pub listener: TcpListener,
    /// Its TLS.
    pub tls: ServerTls,
}

/// One identity provider: its endpoints and pages, and what they need.
#[derive(Debug, Clone)]
pub struct Server {
    /// The endpoints.
    pub oauth: Arc<Oauth>,
    /// The pages.
    pub pages: Arc<Pages>,
    /// Where messages to people wait.
    pub spool: Arc<Spool>,
    /// The keys that sign tokens.
    pub keys: TokenKeys,
    /// Calls relying parties.
    pub http: HttpClient,
    /// With this TLS.
    pub options: RequestOptions,
    /// The population register, if there is one.
    pub register: Option<Arc<ExchangeRegister>>,
    /// The signing service, if there is one.
    pub signing: Option<SigningService>,
    /// Authorities of identity cards, if cards are taken.
    pub cards: Option<Arc<Cards>>,
}

impl Server {
    /// Serves until `stop` completes, and ends what it has begun. `certificates` is the listener that asks for
    /// certificates.
    pub async fn serve(
        self,
        main: Listening,
        certificates: Option<Listening>,
        stop: impl Future<Output = ()>,
    ) {
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(ended(&stopped, self.clone().send_logouts()));
        tasks.spawn(ended(&stopped, self.clone().deliver_notices()));
        tasks.spawn(ended(&stopped, self.clone().forget()));
        tasks.spawn(ended(&stopped, self.clone().follow_keys()));
        if let Some(signing) = self.signing.clone() {
            tasks.spawn(ended(&stopped, self.clone().tell_signing(signing.clone())));
            tasks.spawn(ended(&stopped, self.clone().hear_signing(signing)));
        }
        if let Some(register) = self.register.clone() {
            tasks.spawn(ended(&stopped, self.clone().follow_register(register)));
        }
        if let Some(listening) = certificates {
            tasks.spawn(
                self.clone()
                    .listen_for_certificates(listening, stopped.clone()),
            );
        }
        tasks.spawn(self.listen(main, stopped.clone()));
        stop.await;
        let _ = stopping.send(true);
        while tasks.join_next().await.is_some() {}
    }

    async fn listen(self, listening: Listening, stopped: watch::Receiver<bool>) {
        let handler = move |request: Request<Body>, connection: Arc<Connection>| {
            let server = self.clone();
            async move { server.answer(request, &connection).await }
        };
        let stop = until(stopped);
        transport::serve_https(listening.listener, listening.tls, handler, limits(), stop).await;
    }

    /// Cards, and the endpoints that clients with certificates call. No page is here, and no cookie.
    async fn listen_for_certificates(self, listening: Listening, stopped: watch::Receiver<bool>) {
        let handler = move |request: Request<Body>, connection: Arc<Connection>| {
            let server = self.clone();
            async move { server.answer_to_certificate(request, &connection).await }
        };
        let stop = until(stopped);
        transport::serve_https(listening.listener, listening.tls, handler, limits(), stop).await;
    }

    async fn answer_to_certificate(
        self,
        request: Request<Body>,
        connection: &Connection,
    ) -> Response<Body> {
        let mut response = match (request.uri().path(), &self.cards) {
            (CARD_PATH, Some(cards)) if *request.method() == Method::GET => {
                let certificate = connection.peer_certificate().map(PeerCertificate::der);
                let holder = cards.holder(certificate, OffsetDateTime::now_utc()).await;
                let pages = Arc::clone(&self.pages);
                answered(request, None, move |call| pages.card_shown(call, holder)).await
            }
            (path, _) if MTLS_ENDPOINTS.contains(&path) => {
                match self.oauth.handle(request, connection).await {
                    Ok(response) => response,
                    Err(_) => status(StatusCode::NOT_FOUND),
                }
            }
            _ => status(StatusCode::NOT_FOUND),
        };
        let always = HeaderValue::from_static(ALWAYS_HTTPS);
        response
            .headers_mut()
            .insert(STRICT_TRANSPORT_SECURITY, always);
        response
    }

    /// Word that the signing service takes is done with; what it does not take is said again.
    async fn tell_signing(self, signing: SigningService) {
        loop {
            tokio::time::sleep(ROUND).await;
            let oauth = Arc::clone(&self.oauth);
            let words = match blocking(move || oauth.provider().signing_words(WORDS)).await {
                Ok(words) => words,
                Err(error) => {
                    tracing::warn!(%error, "word to the signing service waits");
                    continue;
                }
            };
            if words.is_empty() {
                continue;
            }
            let token = match signing.token().await {
                Ok(token) => token,
                Err(error) => {
                    tracing::warn!(%error, "the signing service does not hear of frozen accounts yet");
                    continue;
                }
            };
            for word in words {
                // One that is refused does not hold up the others.
                if let Err(error) = signing.tell(&token, &word).await {
                    tracing::error!(%error, "the signing service did not take word of an account");
                    continue;
                }
                let oauth = Arc::clone(&self.oauth);
                if let Err(error) = blocking(move || oauth.provider().signing_told(&word)).await {
                    tracing::warn!(%error, "word to the signing service will be said again");
                }
            }
        }
    }

    /// People hear of what changed at the signing service by the addresses of their account.
    async fn hear_signing(self, signing: SigningService) {
        loop {
            tokio::time::sleep(HEARING).await;
            if let Err(error) = self.hear(&signing).await {
                tracing::warn!(%error, "what changed at the signing service is told later");
            }
        }
    }

    async fn hear(&self, signing: &SigningService) -> Result<(), String> {
        let token = signing.token().await?;
        loop {
            let oauth = Arc::clone(&self.oauth);
            let told = blocking(move || oauth.provider().heard_up_to(Heard::Signing)).await?;
            let (changes, up_to) = signing.changes(&token, told).await?;
            if up_to <= told {
                return Ok(());
            }
            let oauth = Arc::clone(&self.oauth);
            let now = OffsetDateTime::now_utc();
            blocking(move || oauth.provider().signing_changed(&changes, up_to, now)).await?;
        }
    }

    /// Deaths, and numbers that were given up, are heard of people who have accounts.
    async fn follow_register(self, register: Arc<ExchangeRegister>) {
        loop {
            let (oauth, register) = (Arc::clone(&self.oauth), Arc::clone(&register));
            let followed = blocking(move || register.follow(oauth.provider())).await;
            let wait = match followed {
                // The register's past is read gently: others ask it too.
                Ok(true) => CATCHING_UP,
                Ok(false) => HEARING,
                Err(error) => {
                    tracing::warn!(%error, "deaths in the population register are heard of later");
                    HEARING
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn answer(self, request: Request<Body>, connection: &Connection) -> Response<Body> {
        let mut response = if request.uri().path() == "/health" {
            self.health(request.method()).await
        } else {
            match self.oauth.handle(request, connection).await {
                Ok(response) => response,
                Err(request) => self.pages.handle(request, connection).await,
            }
        };
        // Nobody comes here without HTTPS, for a year.
        let always = HeaderValue::from_static(ALWAYS_HTTPS);
        response
            .headers_mut()
            .insert(STRICT_TRANSPORT_SECURITY, always);
        response
    }

    /// Whether the database answers.
    async fn health(self, method: &Method) -> Response<Body> {
        let status = if *method != Method::GET {
            StatusCode::METHOD_NOT_ALLOWED
        } else {
            match blocking(move || self.oauth.provider().logouts(1)).await {
                Ok(_) => StatusCode::OK,
                Err(error) => {
                    tracing::error!(%error, "not healthy");
                    StatusCode::SERVICE_UNAVAILABLE
                }
            }
        };
        let mut response = Response::new(Body::full(if status == StatusCode::OK {
            "ok\n"
        } else {
            "not healthy\n"
        }));
        *response.status_mut() = status;
        response
    }

    async fn send_logouts(self) {
        let options = self
            .options
            .clone()
            .with_timeouts(LOGOUT_PATIENCE, LOGOUT_PATIENCE)
            .with_total(LOGOUT_PATIENCE);
        loop {
            tokio::time::sleep(ROUND).await;
            let oauth = Arc::clone(&self.oauth);
            if let Err(error) = oauth.send_logouts(&self.http, &options).await {
                tracing::warn!(%error, "logout tokens wait");
            }
        }
    }

    async fn deliver_notices(self) {
        loop {
            tokio::time::sleep(ROUND).await;
            let server = self.clone();
            let delivered = blocking(move || {
                let provider = server.oauth.provider();
                for notice in provider.notices(NOTICES)? {
                    // What cannot be kept waits in the database.
                    if let Err(error) = server.spool.notice(&notice) {
                        tracing::error!(%error, "notices wait");
                        break;
                    }
                    provider.delivered(&notice)?;
                }
                Ok(())
            });
            if let Err(error) = delivered.await {
                tracing::warn!(%error, "notices wait");
            }
        }
    }

    async fn forget(self) {
        loop {
            tokio::time::sleep(FORGETTING).await;
            loop {
                let server = self.clone();
                let forgotten = blocking(move || {
                    let now = OffsetDateTime::now_utc();
                    server.oauth.provider().forget(now, FORGOTTEN_TOGETHER)
                });
                match forgotten.await {
                    // More may be left. Others come in between.
                    Ok(gone)
                        if usize::try_from(gone).is_ok_and(|gone| gone >= FORGOTTEN_TOGETHER) => {}
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, "what expired is not forgotten yet");
                        break;
                    }
                }
            }
        }
    }

    /// Keys that the operator rotated or withdrew are followed within a second or two; and old ones end.
    async fn follow_keys(self) {
        let mut known = None;
        loop {
            let (keys, before) = (self.keys.clone(), known.clone());
            let loaded = tokio::task::spawn_blocking(move || {
                let now = OffsetDateTime::now_utc();
                // The time ends old keys also where the ring stays as it is.
                let state = keys.state(now)?;
                if before.as_ref() == Some(&state) {
                    return Ok(None);
                }
                Ok::<_, crate::token_keys::TokenKeysError>(Some((state, keys.load(now)?)))
            });
            match loaded.await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some((state, keys)))) => {
                    if known.is_some() {
                        let kid = keys.active.public().kid().unwrap_or_default();
                        tracing::warn!(kid, "the keys that sign tokens changed");
                    }
                    known = Some(state);
                    self.oauth.replace_keys(keys);
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "the keys that sign tokens cannot be read; the earlier ones stay in use");
                }
                Err(error) => tracing::error!(%error, "reading the keys was interrupted"),
            }
            tokio::time::sleep(ROUND).await;
        }
    }
}

fn limits() -> ServeLimits {
    ServeLimits {
        handshake_timeout: Duration::from_secs(10),
        head_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(10),
        shutdown_deadline: Duration::from_secs(5),
        ..ServeLimits::default()
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The work, until the server stops.
fn ended(
    stopped: &watch::Receiver<bool>,
    work: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let stopped = stopped.clone();
    async move {
        tokio::select! {
            () = until(stopped) => {}
            () = work => {}
        }
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Asks the database on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(|failure| failure.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
