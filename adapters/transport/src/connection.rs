//! What a server knows of one accepted connection, and the bookkeeping of its time limits.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

/// The certificate that the other side of a TLS connection presented. Nothing is known of it but
/// that the other side has its private key: who that is, is the caller's judgement.
#[derive(Clone)]
pub struct PeerCertificate {
    inner: Arc<PeerCertificateInner>,
}

struct PeerCertificateInner {
    der: Box<[u8]>,
    memo: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl std::fmt::Debug for PeerCertificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PeerCertificate({} bytes)", self.inner.der.len())
    }
}

impl PeerCertificate {
    pub(crate) fn new(der: Vec<u8>) -> Self {
        Self {
            inner: Arc::new(PeerCertificateInner {
                der: der.into_boxed_slice(),
                memo: OnceLock::new(),
            }),
        }
    }

    /// The end-entity certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.inner.der
    }

    /// What the caller derives from the certificate alone (typically the decoded form), computed at
    /// most once per connection. Judgements do not belong here: they are made per message.
    ///
    /// A second call with another type computes without keeping.
    pub fn memo<T: Any + Send + Sync>(&self, make: impl FnOnce(&[u8]) -> T) -> Arc<T> {
        if let Some(kept) = self.inner.memo.get()
            && let Ok(kept) = kept.clone().downcast::<T>()
        {
            return kept;
        }
        let made = Arc::new(make(&self.inner.der));
        // Another task may have been first, with the same result: either will do.
        let _ = self.inner.memo.set(made.clone());
        made
    }
}

const IDLE: u8 = 0;
const READING_HEAD: u8 = 1;
const HANDLING: u8 = 2;
const LINGERING: u8 = 3;

const KEEP: u8 = 0;
const FINISH: u8 = 1;
const KILL: u8 = 2;

/// One accepted connection: who is at the other end, and how to end it.
#[derive(Debug)]
pub struct Connection {
    remote: SocketAddr,
    local: SocketAddr,
    certificate: Option<PeerCertificate>,
    tls: Option<TlsDescription>,
    close_after_response: AtomicBool,
    // Coarse time (ticks of the listener's sweeper) keeps clock reads off the request path.
    clock: Arc<AtomicU32>,
    state: AtomicU8,
    since: AtomicU32,
    body_wanted_since: AtomicU32,
    write_blocked_since: AtomicU32,
    // The request's body has not been read to its end.
    unread: AtomicBool,
    command: AtomicU8,
    // Set once: the task of a connection keeps its waker.
    waker: OnceLock<Waker>,
}

/// The TLS version and cipher suite of a connection, as OpenSSL names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsDescription {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// For example `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// True where an earlier session was resumed.
    pub resumed: bool,
}

impl Connection {
    pub(crate) fn new(
        remote: SocketAddr,
        local: SocketAddr,
        certificate: Option<PeerCertificate>,
        tls: Option<TlsDescription>,
        clock: Arc<AtomicU32>,
    ) -> Self {
        let now = clock.load(Ordering::Relaxed);
        Self {
            remote,
            local,
            certificate,
            tls,
            close_after_response: AtomicBool::new(false),
            clock,
            state: AtomicU8::new(READING_HEAD),
            since: AtomicU32::new(now),
            body_wanted_since: AtomicU32::new(0),
            write_blocked_since: AtomicU32::new(0),
            unread: AtomicBool::new(false),
            command: AtomicU8::new(KEEP),
            waker: OnceLock::new(),
        }
    }

    /// The certificate that the client presented in the handshake, if it did.
    pub fn peer_certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.as_ref()
    }

    /// The client's address.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// The address at which the client reached us.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Version and suite of a TLS connection, `None` for plain TCP.
    pub fn tls(&self) -> Option<TlsDescription> {
        self.tls
    }

    /// Ends the connection once the response under way is written (`Connection: close`).
    pub fn close_after_response(&self) {
        self.close_after_response.store(true, Ordering::Relaxed);
    }

    pub(crate) fn closes_after_response(&self) -> bool {
        self.close_after_response.load(Ordering::Relaxed)
    }

    // Ticks start at 1, so that 0 means "not waiting".
    fn now(&self) -> u32 {
        self.clock.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_arrived(&self) {
        if self.state.load(Ordering::Relaxed) == IDLE {
            self.since.store(self.now(), Ordering::Relaxed);
            self.state.store(READING_HEAD, Ordering::Relaxed);
        }
    }

    pub(crate) fn handling(&self) {
        // A reader that gave up in the middle of the body before this one waits no longer.
        self.body_arrived();
        self.unread.store(false, Ordering::Relaxed);
        self.state.store(HANDLING, Ordering::Relaxed);
    }

    pub(crate) fn body_begins(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    pub(crate) fn body_ends(&self) {
        self.unread.store(false, Ordering::Relaxed);
    }

    /// Says whether bytes of a request may still arrive that nobody will read, and if so begins the
    /// time in which they are thrown away.
    pub(crate) fn lingers(&self) -> bool {
        let lingers = self.unread.load(Ordering::Relaxed);
        if lingers {
            self.since.store(self.now(), Ordering::Relaxed);
            self.state.store(LINGERING, Ordering::Relaxed);
        }
        lingers
    }

    fn responded(&self) {
        self.since.store(self.now(), Ordering::Relaxed);
        self.state.store(IDLE, Ordering::Relaxed);
    }

    pub(crate) fn body_wanted(&self) {
        if self.body_wanted_since.load(Ordering::Relaxed) == 0 {
            self.body_wanted_since.store(self.now(), Ordering::Relaxed);
        }
    }

    pub(crate) fn body_arrived(&self) {
        if self.body_wanted_since.load(Ordering::Relaxed) != 0 {
            self.body_wanted_since.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn write_blocked(&self) {
        if self.write_blocked_since.load(Ordering::Relaxed) == 0 {
            self.write_blocked_since
                .store(self.now(), Ordering::Relaxed);
        }
    }

    pub(crate) fn write_advanced(&self) {
        if self.write_blocked_since.load(Ordering::Relaxed) != 0 {
            self.write_blocked_since.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn register(&self, waker: &Waker) {
        let _ = self.waker.set(waker.clone());
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Since when it waits for its next request, if it does and was not told to end.
    pub(crate) fn idle_since(&self) -> Option<u32> {
        let waits = self.state.load(Ordering::Relaxed) == IDLE
            && self.command.load(Ordering::Relaxed) == KEEP;
        waits.then(|| self.since.load(Ordering::Relaxed))
    }

    pub(crate) fn finish_soon(&self) {
        if self
            .command
            .compare_exchange(KEEP, FINISH, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
        {
            self.wake();
        }
    }

    pub(crate) fn kill(&self) {
        self.command.store(KILL, Ordering::Relaxed);
        self.wake();
    }

    pub(crate) fn must_finish(&self) -> bool {
        self.command.load(Ordering::Relaxed) == FINISH
    }

    pub(crate) fn must_die(&self) -> bool {
        self.command.load(Ordering::Relaxed) == KILL
    }

    /// Ends the connection if one of its time limits (in ticks) is over.
    pub(crate) fn sweep(&self, limits: &TickLimits) {
        let now = self.now();
        let over = |since: u32, limit: u32| now.saturating_sub(since) > limit;
        let body = self.body_wanted_since.load(Ordering::Relaxed);
        let write = self.write_blocked_since.load(Ordering::Relaxed);
        if (body != 0 && over(body, limits.body)) || (write != 0 && over(write, limits.write)) {
            self.kill();
            return;
        }
        let since = self.since.load(Ordering::Relaxed);
        match self.state.load(Ordering::Relaxed) {
            IDLE if over(since, limits.idle) => self.finish_soon(),
            READING_HEAD if over(since, limits.head) => self.kill(),
            LINGERING if over(since, limits.linger) => self.kill(),
            _ => {}
        }
    }
}

pub(crate) struct TickLimits {
    pub(crate) head: u32,
    pub(crate) idle: u32,
    pub(crate) body: u32,
    pub(crate) write: u32,
    pub(crate) linger: u32,
}

/// Marks its connection idle when the response's body is done with.
pub(crate) struct ResponseGuard(pub(crate) Arc<Connection>);

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        self.0.responded();
    }
}
