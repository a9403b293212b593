//! Message bodies: empty, whole in memory, or streamed with back-pressure.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::connection::{Connection, ResponseGuard};
use crate::exchange::DrivenBody;

/// Why a body could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The side that produces the body gave up (or dropped its [`BodySender`] without
    /// [`BodySender::finish`]).
    #[error("the body was aborted by its sender")]
    Aborted,
    /// The connection ended before the body did.
    #[error("the connection ended in the middle of the body")]
    Incomplete,
    /// No byte arrived within the time allowed.
    #[error("no byte of the body arrived in time")]
    Timeout,
    /// The body is longer than the reader allows.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit that was exceeded, in bytes.
        limit: usize,
    },
    /// The body's framing is not HTTP, or another failure of the connection.
    #[error("the body cannot be read: {0}")]
    Protocol(String),
}

impl From<hyper::Error> for BodyError {
    fn from(error: hyper::Error) -> Self {
        if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            return Self::Incomplete;
        }
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(current) = source {
            // Framing errors are of these two kinds; any other is the connection's end.
            if let Some(io) = current.downcast_ref::<std::io::Error>()
                && !matches!(
                    io.kind(),
                    std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput
                )
            {
                return Self::Incomplete;
            }
            source = current.source();
        }
        Self::Protocol(error.to_string())
    }
}

/// What both ends of a channel know.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    finished: AtomicBool,
    // Pieces that the reader has taken.
    taken: AtomicU64,
}

impl Shared {
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

enum Inner {
    Empty,
    Full(Bytes),
    Channel {
        chunks: mpsc::Receiver<Bytes>,
        shared: Arc<Shared>,
        left: Option<u64>,
    },
    Server {
        incoming: Incoming,
        connection: Arc<Connection>,
    },
    Driven(Box<DrivenBody>),
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>),
}

/// The body of a request or response, in either direction.
///
/// Implements [`http_body::Body`] and [`Stream`] of [`Bytes`]. A body that is dropped before its
/// end breaks the connection it comes from.
pub struct Body {
    inner: Inner,
    // Tells the connection, when the body is done with, that the response is written.
    guard: Option<ResponseGuard>,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &self.inner {
            Inner::Empty => "empty",
            Inner::Full(bytes) => return write!(formatter, "Body(full, {} bytes)", bytes.len()),
            Inner::Channel { .. } => "channel",
            Inner::Server { .. } | Inner::Driven(_) => "incoming",
            Inner::Stream(_) => "stream",
        };
        write!(formatter, "Body({kind})")
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::full(bytes)
    }
}

impl Body {
    fn of(inner: Inner) -> Self {
        Self { inner, guard: None }
    }

    /// A body without a byte.
    pub fn empty() -> Self {
        Self::of(Inner::Empty)
    }

    /// A body whole in memory; it leaves together with the head in one write, with
    /// `Content-Length`.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Self::empty();
        }
        Self::of(Inner::Full(bytes))
    }

    /// A streamed body of unknown length (`Transfer-Encoding: chunked`), of which at most
    /// `capacity` pieces (at least one) wait for the reader; then [`BodySender::send`] waits.
    ///
    /// The sender must call [`BodySender::finish`]: a sender that is merely dropped aborts the
    /// body, so that a failure half-way is never taken for the end.
    pub fn channel(capacity: usize) -> (BodySender, Self) {
        Self::channel_of(capacity, None)
    }

    /// Like [`Body::channel`] with a length known beforehand (`Content-Length`), in bytes. Sending
    /// more or less than `length` breaks the connection.
    pub fn channel_with_length(capacity: usize, length: u64) -> (BodySender, Self) {
        Self::channel_of(capacity, Some(length))
    }

    fn channel_of(capacity: usize, left: Option<u64>) -> (BodySender, Self) {
        let (sender, chunks) = mpsc::channel(capacity.max(1));
        let shared = Arc::new(Shared::default());
        (
            BodySender {
                chunks: sender,
                shared: shared.clone(),
            },
            Self::of(Inner::Channel {
                chunks,
                shared,
                left,
            }),
        )
    }

    /// How far the reader of a channel has come.
    pub(crate) fn progress(&self) -> Option<Arc<Shared>> {
        match &self.inner {
            Inner::Channel { shared, .. } => Some(shared.clone()),
            _ => None,
        }
    }

    /// A body drawn from a stream; an error of the stream breaks the connection.
    pub fn from_stream(
        stream: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
    ) -> Self {
        Self::of(Inner::Stream(Box::pin(stream)))
    }

    pub(crate) fn from_server(incoming: Incoming, connection: &Arc<Connection>) -> Self {
        if http_body::Body::is_end_stream(&incoming) {
            return Self::empty();
        }
        connection.body_begins();
        Self::of(Inner::Server {
            incoming,
            connection: connection.clone(),
        })
    }

    pub(crate) fn from_driven(body: DrivenBody) -> Self {
        Self::of(Inner::Driven(Box::new(body)))
    }

    pub(crate) fn guarded(mut self, guard: ResponseGuard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// The exact length in bytes, where it is known before reading.
    pub fn length(&self) -> Option<u64> {
        http_body::Body::size_hint(self).exact()
    }

    /// The next piece of the body, `None` at its end. Trailers are skipped.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        std::future::poll_fn(|context| self.poll_next_piece(context)).await
    }

    /// Reads the whole body, which may have at most `limit` bytes. A body that arrived in one piece
    /// is returned without a copy.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] as soon as the length is known or reached to be above `limit`, and
    /// what the connection says.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, BodyError> {
        if let Inner::Full(bytes) = &mut self.inner {
            if bytes.len() > limit {
                return Err(BodyError::TooLarge { limit });
            }
            let bytes = std::mem::take(bytes);
            self.inner = Inner::Empty;
            return Ok(bytes);
        }
        let hint = http_body::Body::size_hint(&self);
        if hint.lower() > limit as u64 {
            return Err(BodyError::TooLarge { limit });
        }
        let first = match self.next().await {
            None => return Ok(Bytes::new()),
            Some(piece) => piece?,
        };
        if first.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        let second = match self.next().await {
            None => return Ok(first),
            Some(piece) => piece?,
        };
        let expected = hint.exact().and_then(|n| usize::try_from(n).ok());
        let capacity = expected.unwrap_or((first.len() + second.len()) * 2);
        let mut whole = BytesMut::with_capacity(capacity.min(limit).min(1 << 20));
        whole.extend_from_slice(&first);
        let mut piece = second;
        loop {
            if whole.len() + piece.len() > limit {
                return Err(BodyError::TooLarge { limit });
            }
            whole.extend_from_slice(&piece);
            match self.next().await {
                None => return Ok(whole.freeze()),
                Some(next) => piece = next?,
            }
        }
    }

    fn poll_next_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            match std::task::ready!(http_body::Body::poll_frame(Pin::new(&mut *self), context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data()
                        && !bytes.is_empty()
                    {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match &mut this.inner {
            Inner::Empty => Poll::Ready(None),
            Inner::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.inner = Inner::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Inner::Channel {
                chunks,
                shared,
                left,
            } => match std::task::ready!(chunks.poll_recv(context)) {
                Some(bytes) => {
                    shared.taken.fetch_add(1, Ordering::Relaxed);
                    if let Some(left) = left {
                        *left = left.saturating_sub(bytes.len() as u64);
                    }
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                None => {
                    let finished = shared.finished.load(Ordering::Acquire);
                    this.inner = Inner::Empty;
                    if finished {
                        Poll::Ready(None)
                    } else {
                        Poll::Ready(Some(Err(BodyError::Aborted)))
                    }
                }
            },
            Inner::Server {
                incoming,
                connection,
            } => match Pin::new(&mut *incoming).poll_frame(context) {
                Poll::Pending => {
                    connection.body_wanted();
                    Poll::Pending
                }
                Poll::Ready(piece) => {
                    connection.body_arrived();
                    if piece.is_none() || http_body::Body::is_end_stream(&*incoming) {
                        connection.body_ends();
                    }
                    Poll::Ready(piece.map(|piece| piece.map_err(BodyError::from)))
                }
            },
            Inner::Driven(driven) => driven.poll_frame(context),
            Inner::Stream(stream) => match std::task::ready!(stream.as_mut().poll_next(context)) {
                Some(piece) => Poll::Ready(Some(piece.map(Frame::data))),
                None => {
                    this.inner = Inner::Empty;
                    Poll::Ready(None)
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Empty => true,
            Inner::Server { incoming, .. } => incoming.is_end_stream(),
            Inner::Driven(driven) => driven.is_end_stream(),
            _ => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Channel { left, .. } => left.map_or_else(SizeHint::new, SizeHint::with_exact),
            Inner::Server { incoming, .. } => incoming.size_hint(),
            Inner::Driven(driven) => driven.size_hint(),
            Inner::Stream(_) => SizeHint::new(),
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_piece(context)
    }
}

/// The reader of a [`Body::channel`] is gone: the client disconnected or the exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reader of the body is gone")]
pub struct ReaderGone;

/// The writing end of [`Body::channel`]. Dropped without [`BodySender::finish`] it aborts the body.
#[derive(Debug)]
#[must_use = "a body whose sender is dropped without finish() is aborted"]
pub struct BodySender {
    chunks: mpsc::Sender<Bytes>,
    shared: Arc<Shared>,
}

impl BodySender {
    /// Hands over one piece; waits while `capacity` pieces are unread.
    ///
    /// # Errors
    /// [`ReaderGone`] where nobody reads any more: the other side disconnected.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<(), ReaderGone> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Ok(());
        }
        self.chunks.send(bytes).await.map_err(|_| ReaderGone)
    }

    /// Completes when the reader is gone (the other side disconnected or the body is no longer
    /// wanted).
    pub async fn closed(&self) {
        self.chunks.closed().await;
    }

    /// True once the reader is gone.
    pub fn is_closed(&self) -> bool {
        self.chunks.is_closed()
    }

    /// Ends the body well.
    pub fn finish(self) {
        self.shared.finished.store(true, Ordering::Release);
    }

    /// Ends the body badly: the peer sees a broken message (no last chunk, connection closed).
    pub fn abort(self) {}
}
