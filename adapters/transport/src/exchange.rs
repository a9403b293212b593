//! One client connection, driven by the task that uses it: no task, channel or wake-up besides.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::body::{Body, BodyError};
use crate::connection::{PeerCertificate, TlsDescription};
use crate::error::{ClientError, Phase};
use crate::stream::TlsStream;

/// A client's socket, with or without TLS.
pub(crate) enum ClientStream {
    Plain(TcpStream),
    Tls(TlsStream),
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// Where a connection goes when its response is read to the end.
pub(crate) trait Home: Send + Sync {
    fn take_back(&self, exchange: Box<Exchange>);
}

/// Time limits of one request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Patience {
    /// From the start of sending, or from the last piece of a streamed body that left, to the head
    /// of the response.
    pub(crate) response: Option<Duration>,
    /// Between two pieces of the response's body.
    pub(crate) read: Option<Duration>,
    /// The moment at which all must be over, the body included.
    pub(crate) end: Option<Instant>,
}

/// One connection of ours, idle or with a request under way.
pub(crate) struct Exchange {
    sender: SendRequest<Body>,
    connection: Connection<TokioIo<ClientStream>, Body>,
    ended: bool,
    pub(crate) address: Arc<str>,
    pub(crate) certificate: Option<PeerCertificate>,
    pub(crate) tls: Option<TlsDescription>,
    pub(crate) used: bool,
    pub(crate) idle_since: Instant,
    pub(crate) home: Option<Arc<dyn Home>>,
}

/// Why a request got no response on this connection.
pub(crate) enum SendFailure {
    /// The connection had ended before the request left: here it is again.
    NotSent(Box<Request<Body>>),
    Failed(ClientError),
}

fn quiet() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Exchange {
    pub(crate) async fn open(
        stream: ClientStream,
        address: Arc<str>,
        certificate: Option<PeerCertificate>,
        tls: Option<TlsDescription>,
    ) -> Result<Box<Self>, ClientError> {
        let (sender, connection) = Builder::new()
            .max_buf_size(MAX_BUFFER)
            .max_header_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ClientError::from_hyper(&address, &error))?;
        Ok(Box::new(Self {
            sender,
            connection,
            ended: false,
            address,
            certificate,
            tls,
            used: false,
            idle_since: Instant::now(),
            home: None,
        }))
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        if !self.ended && Pin::new(&mut self.connection).poll(context).is_ready() {
            self.ended = true;
        }
    }

    /// True where the connection is open and waits for a request. Notices a close by the peer that
    /// has arrived.
    pub(crate) fn is_usable(&mut self) -> bool {
        self.drive(&mut quiet());
        !self.ended && self.sender.is_ready()
    }

    pub(crate) async fn send(
        mut self: Box<Self>,
        request: Request<Body>,
        patience: Patience,
    ) -> Result<Response<Body>, SendFailure> {
        self.used = true;
        let progress = request.body().progress();
        let mut taken = 0;
        let mut answer = pin!(self.sender.try_send_request(request));
        let mut timer = Timer::default();
        let limit_from_now = || match (patience.response, patience.end) {
            (Some(response), Some(end)) => Some((Instant::now() + response).min(end)),
            (Some(response), None) => Some(Instant::now() + response),
            (None, end) => end,
        };
        let mut limit = limit_from_now();
        let result = std::future::poll_fn(|context| {
            self.drive(context);
            // The answer comes from the connection alone, so its own wake-up is not needed.
            if let Poll::Ready(answer) = answer.as_mut().poll(&mut quiet()) {
                return Poll::Ready(Ok(answer));
            }
            if let Some(progress) = &progress
                && progress.taken() != taken
            {
                taken = progress.taken();
                limit = limit_from_now();
            }
            match limit {
                Some(limit) if timer.is_over(limit, context) => Poll::Ready(Err(())),
                _ => Poll::Pending,
            }
        })
        .await;
        match result {
            Ok(Ok(response)) => {
                let (head, incoming) = response.into_parts();
                let body = if incoming.is_end_stream() {
                    self.go_home();
                    Body::empty()
                } else {
                    Body::from_driven(DrivenBody {
                        incoming,
                        exchange: Some(self),
                        patience,
                        timer: Timer::default(),
                        limit: None,
                    })
                };
                Ok(Response::from_parts(head, body))
            }
            Ok(Err(mut error)) => match error.take_message() {
                Some(request) => Err(SendFailure::NotSent(Box::new(request))),
                None => Err(SendFailure::Failed(ClientError::from_hyper(
                    &self.address,
                    error.error(),
                ))),
            },
            Err(()) => Err(SendFailure::Failed(ClientError::Timeout {
                address: self.address.to_string(),
                phase: match patience.end {
                    Some(end) if end <= Instant::now() => Phase::Total,
                    _ => Phase::Response,
                },
            })),
        }
    }

    /// Gives the connection back to its pool if it can serve another request.
    fn go_home(mut self: Box<Self>) {
        if let Some(home) = self.home.clone()
            && self.is_usable()
        {
            self.idle_since = Instant::now();
            home.take_back(self);
        }
    }
}

/// What hyper buffers of a body in either direction, at most, bytes.
pub(crate) const MAX_BUFFER: usize = 128 * 1024;
/// Largest head of an answer, bytes.
const MAX_HEAD: usize = 64 * 1024;

#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    // Created at the first wait: answers that are there already cost no timer.
    fn is_over(&mut self, limit: Instant, context: &mut Context<'_>) -> bool {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(limit)));
        if sleep.deadline() != limit {
            sleep.as_mut().reset(limit);
        }
        sleep.as_mut().poll(context).is_ready()
    }
}

/// The body of a response that drives its connection while it is read.
pub(crate) struct DrivenBody {
    incoming: Incoming,
    exchange: Option<Box<Exchange>>,
    patience: Patience,
    timer: Timer,
    limit: Option<Instant>,
}

impl DrivenBody {
    fn poll_incoming(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let piece = std::task::ready!(Pin::new(&mut self.incoming).poll_frame(&mut quiet()));
        self.limit = None;
        match piece {
            None => {
                self.release();
                Poll::Ready(None)
            }
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(Err(error)) => {
                self.exchange = None;
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let piece @ Poll::Ready(_) = self.poll_incoming() {
            return piece;
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.drive(context);
        }
        if let piece @ Poll::Ready(_) = self.poll_incoming() {
            return piece;
        }
        if self.exchange.as_ref().is_none_or(|exchange| exchange.ended) {
            self.exchange = None;
            return Poll::Ready(Some(Err(BodyError::Incomplete)));
        }
        if self.limit.is_none() {
            self.limit = match (self.patience.read, self.patience.end) {
                (Some(read), Some(end)) => Some((Instant::now() + read).min(end)),
                (Some(read), None) => Some(Instant::now() + read),
                (None, end) => end,
            };
        }
        match self.limit {
            Some(limit) if self.timer.is_over(limit, context) => {
                self.exchange = None;
                Poll::Ready(Some(Err(BodyError::Timeout)))
            }
            _ => Poll::Pending,
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }

    fn release(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.go_home();
        }
    }
}

impl Drop for DrivenBody {
    fn drop(&mut self) {
        // A reader that knows the length stops before the end is reported.
        if self.incoming.is_end_stream() {
            self.release();
        }
    }
}
