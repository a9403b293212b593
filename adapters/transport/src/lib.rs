//! Everything with sockets: HTTP/1.1 over TCP and TLS, as server and as client.
//!
//! - [`serve_http`], [`serve_https`] (information systems) and [`serve_peers`] (message port 5500)
//!   call a handler `Fn(Request<Body>, Arc<Connection>) -> impl Future<Output = Response<Body>>`.
//! - [`PeerClient`] talks to other Security Servers over mutual TLS; whose certificate is good is
//!   decided by the caller for every message.
//! - [`HttpClient`] talks to information systems, OCSP responders, time-stamping authorities and
//!   configuration sources.
//! - [`validation_data`] asks responders and time-stamping authorities for what makes signed documents last.
//!
//! This is the only crate that names OpenSSL: X-Road 7 servers accept TLS 1.2 with CBC suites only
//! (reference T2), which other TLS libraries do not speak.

mod body;
mod connect;
mod connection;
mod error;
mod exchange;
mod follow;
mod http_client;
mod peer_client;
mod pool;
mod serve;
mod stream;
mod tls;
pub mod validation_data;

pub use body::{Body, BodyError, BodySender, ReaderGone};
pub use connection::{Connection, PeerCertificate, TlsDescription};
pub use error::{ClientError, PeerError, Phase, PostError, TlsSetupError};
pub use http::{Request, Response};
pub use http_client::{HttpClient, PoolLimits, RequestOptions};
pub use hyper::ext::ReasonPhrase;
pub use peer_client::{
    NotSent, PeerClient, PeerClientSettings, PeerConnection, PeerConnectionInfo, PeerSendError,
    Target,
};
pub use serve::{Preference, ServeLimits, raise_file_limit, serve_http, serve_https, serve_peers};
pub use tls::{ClientCertificates, ClientTls, PeerTls, ServerTls, ServerVerification, TlsIdentity};
