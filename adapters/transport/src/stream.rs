//! The TLS stream over TCP, made for bulk: few and large reads and writes.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use openssl::error::ErrorStack;
use openssl::ssl::{self, Ssl, SslRef};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// What one TLS record carries at most.
const RECORD: usize = 16 * 1024;
/// Records are gathered up to this length before they are handed to the kernel.
const GATHER: usize = 64 * 1024;

/// A TCP socket that gathers the records of one flush into one write.
struct Socket {
    tcp: TcpStream,
    gathered: Vec<u8>,
    sent: usize,
    // Off during the handshake, where OpenSSL cannot wait for a flush.
    gathers: bool,
}

impl Socket {
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while let Some(rest) = self.gathered.get(self.sent..)
            && !rest.is_empty()
        {
            let written = ready!(Pin::new(&mut self.tcp).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
        }
        self.gathered.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.gathered.is_empty() && (!self.gathers || bytes.len() < RECORD) {
            // A small message leaves at once; the buffer of an earlier large one is given back.
            if self.gathered.capacity() != 0 {
                self.gathered = Vec::new();
            }
            return Pin::new(&mut self.tcp).poll_write(context, bytes);
        }
        if self.gathered.len() + bytes.len() > GATHER {
            ready!(self.poll_send(context))?;
        }
        self.gathered.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.poll_send(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

/// A TLS connection.
pub(crate) struct TlsStream {
    tls: SslStream<Socket>,
    /// Small pieces that become one record.
    small: Vec<u8>,
}

impl TlsStream {
    pub(crate) fn new(session: Ssl, tcp: TcpStream) -> Result<Self, ErrorStack> {
        let socket = Socket {
            tcp,
            gathered: Vec::new(),
            sent: 0,
            gathers: false,
        };
        SslStream::new(session, socket).map(|tls| Self {
            tls,
            small: Vec::new(),
        })
    }

    pub(crate) async fn connect(&mut self) -> Result<(), ssl::Error> {
        Pin::new(&mut self.tls).connect().await?;
        self.tls.get_mut().gathers = true;
        Ok(())
    }

    pub(crate) async fn accept(&mut self) -> Result<(), ssl::Error> {
        Pin::new(&mut self.tls).accept().await?;
        self.tls.get_mut().gathers = true;
        Ok(())
    }

    pub(crate) fn ssl(&self) -> &SslRef {
        self.tls.ssl()
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let mut before = buffer.filled().len();
        ready!(Pin::new(&mut self.tls).poll_read(context, buffer))?;
        // A full record is one of many: the rest of what has arrived goes along, so that a large
        // body travels in large pieces.
        while buffer.filled().len() - before >= RECORD && buffer.remaining() != 0 {
            before = buffer.filled().len();
            match Pin::new(&mut self.tls).poll_read(context, buffer) {
                Poll::Ready(Ok(())) => {}
                // An error shows again at the next read.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(context, bytes)
    }

    // So that whoever writes does not copy large pieces together first.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let mut pieces = pieces.iter().filter(|piece| !piece.is_empty());
        let Some(first) = pieces.next() else {
            return Poll::Ready(Ok(0));
        };
        if first.len() >= RECORD {
            return Pin::new(&mut self.tls).poll_write(context, first);
        }
        let Self { tls, small } = &mut *self;
        small.clear();
        small.extend_from_slice(first);
        for piece in pieces {
            let room = RECORD - small.len();
            small.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if small.len() == RECORD {
                break;
            }
        }
        Pin::new(tls).poll_write(context, small)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(context)
    }
}
