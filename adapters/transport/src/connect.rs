//! TCP and TLS connects of our clients.

use std::sync::Arc;
use std::time::Duration;

use openssl::ssl::Ssl;
use tokio::net::TcpStream;

use crate::error::{ClientError, Phase, describe};
use crate::exchange::{ClientStream, Exchange};
use crate::stream::TlsStream;
use crate::tls;

/// Connects to `host:port` and, with a session, does the TLS handshake.
pub(crate) async fn open(
    address: &Arc<str>,
    host: &str,
    port: u16,
    session: Option<Ssl>,
    limit: Option<Duration>,
) -> Result<Box<Exchange>, ClientError> {
    let opening = open_unlimited(address, host, port, session);
    match limit {
        None => opening.await,
        Some(limit) => tokio::time::timeout(limit, opening)
            .await
            .unwrap_or_else(|_| {
                Err(ClientError::Timeout {
                    address: address.to_string(),
                    phase: Phase::Connect,
                })
            }),
    }
}

/// An exchange may wait for its answer without limit, but not for a machine that is gone.
fn notice_death(stream: &TcpStream) -> rustix::io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(stream, 4)?;
    sockopt::set_socket_keepalive(stream, true)
}

async fn open_unlimited(
    address: &Arc<str>,
    host: &str,
    port: u16,
    session: Option<Ssl>,
) -> Result<Box<Exchange>, ClientError> {
    let failed = |source| ClientError::Connect {
        address: address.to_string(),
        source,
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = match bare.parse::<std::net::IpAddr>() {
        Ok(ip) => TcpStream::connect((ip, port)).await,
        Err(_) => TcpStream::connect((bare, port)).await,
    }
    .map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    notice_death(&stream).map_err(|error| failed(error.into()))?;
    match session {
        None => Exchange::open(ClientStream::Plain(stream), address.clone(), None, None).await,
        Some(session) => {
            let mut stream = TlsStream::new(session, stream).map_err(|error| ClientError::Tls {
                address: address.to_string(),
                reason: error.to_string(),
            })?;
            stream.connect().await.map_err(|error| ClientError::Tls {
                address: address.to_string(),
                reason: describe(&error),
            })?;
            let certificate = tls::peer_certificate(stream.ssl());
            let description = tls::description(stream.ssl());
            Exchange::open(
                ClientStream::Tls(stream),
                address.clone(),
                certificate,
                Some(description),
            )
            .await
        }
    }
}
