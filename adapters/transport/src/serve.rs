//! HTTP/1.1 servers: plain, HTTPS for information systems, and mutual TLS for peers.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use openssl::ssl::Ssl;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::body::Body;
use crate::connection::{Connection, ResponseGuard, TickLimits};
use crate::error::TlsSetupError;
use crate::exchange::MAX_BUFFER;
use crate::stream::TlsStream;
use crate::tls::{self, PeerTls, ServerTls};

/// Says whether a client's address should be served even when connections or file handles are
/// scarce (T9: hosts of the global configuration are preferred).
pub type Preference = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Limits of a server. The defaults are safe for a public port.
#[derive(Clone)]
pub struct ServeLimits {
    /// Most bytes of a request's head; a longer one gets 431.
    pub max_head_bytes: usize,
    /// Most header fields of a request; more get 431.
    pub max_headers: usize,
    /// Time for the TLS handshake.
    pub handshake_timeout: Duration,
    /// Time from the first byte of a head (or from the connect) to its last.
    pub head_timeout: Duration,
    /// Time that a kept-alive connection may wait for its next request.
    pub idle_timeout: Duration,
    /// Longest silence while the handler waits for the request's body.
    pub body_timeout: Duration,
    /// Longest time that the client may refuse to take bytes of a response.
    pub write_timeout: Duration,
    /// Beyond this number of connections, or when fewer than 100 file handles are free, the one that
    /// waits longest for its next request gives way to a new one. If none waits the new one is closed
    /// at once, unless `preference` says yes.
    pub max_connections: usize,
    /// See [`Preference`]; preferred clients, and those for which another gave way, may take up to a
    /// tenth more connections.
    pub preference: Option<Preference>,
    /// How long requests under way may take to end after the shutdown began.
    pub shutdown_deadline: Duration,
}

impl std::fmt::Debug for ServeLimits {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ServeLimits")
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            max_head_bytes: 64 * 1024,
            max_headers: 100,
            handshake_timeout: Duration::from_secs(30),
            head_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            max_connections: 5000,
            preference: None,
            shutdown_deadline: Duration::from_secs(10),
        }
    }
}

/// Lets this process open as many files and connections as the system allows it to ask for: the
/// usual 1024 are fewer than [`ServeLimits::max_connections`]. Returns the limit now in force.
pub fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    now.unwrap_or(u64::MAX)
}

/// Serves plain HTTP/1.1 until `shutdown` completes and the requests under way have ended (or the
/// deadline passed).
///
/// A client that disconnects drops the handler's future, and breaks the [`crate::BodySender`] of a
/// response under way: work that must not stop half-way belongs into a task of its own.
pub async fn serve_http<H, F>(
    listener: TcpListener,
    handler: H,
    limits: ServeLimits,
    shutdown: impl Future<Output = ()>,
) where
    H: Fn(Request<Body>, Arc<Connection>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    serve(
        listener,
        None::<fn() -> Result<Ssl, TlsSetupError>>,
        handler,
        limits,
        shutdown,
    )
    .await;
}

/// Serves HTTPS to information systems (8443). As [`serve_http`].
pub async fn serve_https<H, F>(
    listener: TcpListener,
    tls: ServerTls,
    handler: H,
    limits: ServeLimits,
    shutdown: impl Future<Output = ()>,
) where
    H: Fn(Request<Body>, Arc<Connection>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    serve(
        listener,
        Some(move || tls.session()),
        handler,
        limits,
        shutdown,
    )
    .await;
}

/// Serves the message port (5500): the handler's connection always has a certificate. As
/// [`serve_http`].
pub async fn serve_peers<H, F>(
    listener: TcpListener,
    tls: PeerTls,
    handler: H,
    limits: ServeLimits,
    shutdown: impl Future<Output = ()>,
) where
    H: Fn(Request<Body>, Arc<Connection>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    serve(
        listener,
        Some(move || tls.session()),
        handler,
        limits,
        shutdown,
    )
    .await;
}

/// File handles that are kept for preferred clients and for our own files (T9).
const SPARE_FILES: u64 = 100;

const TICK: Duration = Duration::from_millis(250);

/// A connection that ends before its request was read whole stays open for this long: closed at once
/// it would be reset by the bytes under way, and the client would lose the answer.
const LINGER: Duration = Duration::from_secs(5);
/// Most bytes that are thrown away in that time.
const LINGER_BYTES: usize = 256 << 20;

fn ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX)
}

/// The open connections of one listener.
struct Room {
    clock: Arc<AtomicU32>,
    // A slot per connection; free slots are reused.
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    taken: Vec<Option<Arc<Connection>>>,
    free: Vec<usize>,
    open: usize,
}

impl Room {
    fn seats(&self) -> std::sync::MutexGuard<'_, Seats> {
        self.seats
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn reserve(&self) {
        self.seats().open += 1;
    }

    fn open(&self) -> usize {
        self.seats().open
    }

    fn sit(&self, connection: Arc<Connection>) -> usize {
        let mut seats = self.seats();
        if let Some(seat) = seats.free.pop()
            && let Some(place) = seats.taken.get_mut(seat)
        {
            *place = Some(connection);
            return seat;
        }
        seats.taken.push(Some(connection));
        seats.taken.len() - 1
    }

    /// Ends the connection that waits longest for its next request: somebody who keeps connections
    /// open for nothing keeps nobody out. False if none waits.
    fn one_gives_way(&self) -> bool {
        let seats = self.seats();
        let waiting = seats.taken.iter().flatten().filter_map(|connection| {
            let since = connection.idle_since()?;
            Some((since, connection))
        });
        match waiting.min_by_key(|(since, _)| *since) {
            Some((_, connection)) => {
                connection.finish_soon();
                true
            }
            None => false,
        }
    }

    fn each(&self, act: impl Fn(&Connection)) {
        for connection in self.seats().taken.iter().flatten() {
            act(connection);
        }
    }
}

/// Counts a connection from accept to end.
struct Place {
    room: Arc<Room>,
    seat: Option<usize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut seats = self.room.seats();
        seats.open -= 1;
        if let Some(seat) = self.seat
            && let Some(place) = seats.taken.get_mut(seat)
        {
            *place = None;
            seats.free.push(seat);
        }
    }
}

async fn serve<T, H, F>(
    listener: TcpListener,
    tls: Option<T>,
    handler: H,
    limits: ServeLimits,
    shutdown: impl Future<Output = ()>,
) where
    T: Fn() -> Result<Ssl, TlsSetupError>,
    H: Fn(Request<Body>, Arc<Connection>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let room = Arc::new(Room {
        clock: Arc::new(AtomicU32::new(1)),
        seats: Mutex::new(Seats::default()),
    });
    let mut builder = http1::Builder::new();
    builder.max_header_size(limits.max_head_bytes);
    builder.max_buf_size(limits.max_head_bytes.max(MAX_BUFFER));
    // Naming hyper's own default number would cost an allocation per request.
    if limits.max_headers != 100 {
        builder.max_headers(limits.max_headers);
    }
    let ticks = TickLimits {
        head: ticks(limits.head_timeout),
        idle: ticks(limits.idle_timeout),
        body: ticks(limits.body_timeout),
        write: ticks(limits.write_timeout),
        linger: ticks(LINGER),
    };
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files.unwrap_or(u64::MAX);
    let mut shutdown = pin!(shutdown);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            _ = tick.tick() => {
                room.clock.fetch_add(1, Ordering::Relaxed);
                room.each(|connection| connection.sweep(&ticks));
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, remote)) => {
                    // The system hands out the lowest free handle, so a high one says that few are left.
                    let is_last = u64::try_from(stream.as_raw_fd())
                        .is_ok_and(|handle| handle.saturating_add(SPARE_FILES) >= files);
                    let gave_way = || room.one_gives_way();
                    if !admitted(room.open(), is_last, &limits, remote.ip(), gave_way) {
                        tracing::warn!(%remote, "too many connections, closing this one");
                        continue;
                    }
                    let session = match tls.as_ref().map(|session| session()).transpose() {
                        Ok(session) => session,
                        Err(error) => {
                            tracing::error!(%error, "no TLS session for a connection");
                            continue;
                        }
                    };
                    room.reserve();
                    let place = Place { room: room.clone(), seat: None };
                    tokio::spawn(connection_task(
                        stream,
                        remote,
                        session,
                        builder.clone(),
                        handler.clone(),
                        place,
                        limits.handshake_timeout,
                    ));
                }
                Err(error) => {
                    // Out of file handles, most likely: the connection stays in the queue.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    let deadline = tokio::time::Instant::now() + limits.shutdown_deadline;
    while room.open() > 0 {
        if tokio::time::Instant::now() >= deadline {
            room.each(Connection::kill);
            break;
        }
        room.clock.fetch_add(1, Ordering::Relaxed);
        room.each(Connection::finish_soon);
        room.each(|connection| connection.sweep(&ticks));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn admitted(
    open: usize,
    few_files: bool,
    limits: &ServeLimits,
    address: IpAddr,
    gave_way: impl FnOnce() -> bool,
) -> bool {
    if open < limits.max_connections && !few_files {
        return true;
    }
    let preferred = |preferred: &Preference| preferred(address);
    open < limits.max_connections + limits.max_connections / 10
        && (gave_way() || limits.preference.as_ref().is_some_and(preferred))
}

async fn connection_task<H, F>(
    stream: TcpStream,
    remote: SocketAddr,
    session: Option<Ssl>,
    builder: http1::Builder,
    handler: H,
    mut place: Place,
    handshake_timeout: Duration,
) where
    H: Fn(Request<Body>, Arc<Connection>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%remote, %error, "the connection ended at once");
        return;
    }
    let local = match stream.local_addr() {
        Ok(local) => local,
        Err(_) => return,
    };
    let clock = place.room.clock.clone();
    match session {
        None => {
            let connection = Arc::new(Connection::new(remote, local, None, None, clock));
            place.seat = Some(place.room.sit(connection.clone()));
            run(stream, connection, builder, handler).await;
        }
        Some(session) => {
            let mut stream = match TlsStream::new(session, stream) {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::error!(%remote, %error, "no TLS for a connection");
                    return;
                }
            };
            match tokio::time::timeout(handshake_timeout, stream.accept()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::info!(%remote, %error, "TLS handshake with a client failed");
                    return;
                }
                Err(_) => {
                    tracing::info!(%remote, "TLS handshake with a client took too long");
                    return;
                }
            }
            let certificate = tls::peer_certificate(stream.ssl());
            let description = tls::description(stream.ssl());
            let connection = Arc::new(Connection::new(
                remote,
                local,
                certificate,
                Some(description),
                clock,
            ));
            place.seat = Some(place.room.sit(connection.clone()));
            run(stream, connection, builder, handler).await;
        }
    }
}

async fn run<S, H, F>(stream: S, connection: Arc<Connection>, builder: http1::Builder, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Body>, Arc<Connection>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let watched = Watched {
        stream,
        connection: connection.clone(),
        ending: None,
    };
    let service = service_fn(|request: Request<Incoming>| {
        connection.handling();
        let request = request.map(|body| Body::from_server(body, &connection));
        let handling = handler(request, connection.clone());
        let connection = connection.clone();
        async move {
            let mut response = handling.await;
            if connection.closes_after_response() {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let response = response.map(|body| body.guarded(ResponseGuard(connection)));
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(watched), service));
    let mut registered = false;
    let mut finishing = false;
    let result = std::future::poll_fn(|context| {
        if !registered {
            connection.register(context.waker());
            registered = true;
        }
        if connection.must_die() {
            return Poll::Ready(None);
        }
        if !finishing && connection.must_finish() {
            finishing = true;
            serving.as_mut().graceful_shutdown();
        }
        serving.as_mut().poll(context).map(Some)
    })
    .await;
    match result {
        None => tracing::debug!(remote = %connection.remote(), "a connection was too slow"),
        Some(Err(error)) => {
            tracing::debug!(remote = %connection.remote(), %error, "a connection broke");
        }
        Some(Ok(())) => {}
    }
}

/// Tells the connection's bookkeeping of bytes read and of writes that stall.
struct Watched<S> {
    stream: S,
    connection: Arc<Connection>,
    // Bytes thrown away since our side ended.
    ending: Option<usize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if result.is_ready() {
            self.connection.bytes_arrived();
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn noted<T>(&self, result: Poll<T>) -> Poll<T> {
        if result.is_pending() {
            self.connection.write_blocked();
        } else {
            self.connection.write_advanced();
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noted(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.noted(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.noted(result)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.ending.is_none() {
            std::task::ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            if !self.connection.lingers() {
                return Poll::Ready(Ok(()));
            }
            self.ending = Some(0);
        }
        let mut space = [0; 16 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            let read =
                std::task::ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            let thrown = self.ending.unwrap_or(0) + buffer.filled().len();
            if read.is_err() || buffer.filled().is_empty() || thrown > LINGER_BYTES {
                return Poll::Ready(Ok(()));
            }
            self.ending = Some(thrown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scarce_places_and_handles_are_for_preferred_clients() {
        let known = IpAddr::from([127, 0, 0, 1]);
        let stranger = IpAddr::from([127, 0, 0, 2]);
        let limits = ServeLimits {
            max_connections: 10,
            preference: Some(Arc::new(move |address| address == known)),
            ..ServeLimits::default()
        };
        for (open, few_files, of_known, of_stranger) in [
            (9, false, true, true),
            (10, false, true, false),
            (11, false, false, false),
            (0, true, true, false),
        ] {
            let case = (open, few_files);
            assert_eq!(
                admitted(open, few_files, &limits, known, || false),
                of_known,
                "{case:?}"
            );
            assert_eq!(
                admitted(open, few_files, &limits, stranger, || false),
                of_stranger,
                "{case:?}"
            );
            // Where another gives way, a stranger is as good as anybody.
            assert_eq!(
                admitted(open, few_files, &limits, stranger, || true),
                of_known,
                "{case:?}"
            );
        }
    }
}
