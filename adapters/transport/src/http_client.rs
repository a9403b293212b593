//! Requests to information systems, OCSP responders, time-stamping authorities and downloads.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri};
use tokio::time::Instant;

use crate::body::Body;
use crate::connect;
use crate::error::{ClientError, PostError, TlsSetupError};
use crate::exchange::{Patience, SendFailure};
use crate::pool::Pool;
use crate::tls::{ClientTls, ServerVerification};

/// Time limits and TLS of one request. Without a limit the request waits for as long as it takes.
#[derive(Debug, Clone)]
pub struct RequestOptions {
    /// Name resolution, connect and TLS handshake together.
    pub connect_timeout: Option<Duration>,
    /// From sending (of a streamed body: from its last piece that left) to the head of the response,
    /// and then between two pieces of its body.
    pub read_timeout: Option<Duration>,
    /// From the call to the end of the response's body.
    pub total_timeout: Option<Duration>,
    /// TLS for `https` URLs; `None` takes any server certificate and presents none.
    pub tls: Option<ClientTls>,
}

impl Default for RequestOptions {
    /// 30 s to connect, 60 s to read, nothing in all, any server certificate.
    fn default() -> Self {
        Self {
            connect_timeout: Some(Duration::from_secs(30)),
            read_timeout: Some(Duration::from_secs(60)),
            total_timeout: None,
            tls: None,
        }
    }
}

impl RequestOptions {
    /// The same limits with another TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Both a connect and a read limit.
    #[must_use]
    pub fn with_timeouts(mut self, connect: Duration, read: Duration) -> Self {
        self.connect_timeout = Some(connect);
        self.read_timeout = Some(read);
        self
    }

    /// A limit for the whole request, its body included.
    #[must_use]
    pub fn with_total(mut self, total: Duration) -> Self {
        self.total_timeout = Some(total);
        self
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Destination {
    authority: Authority,
    // 0 is plain HTTP.
    tls: usize,
}

/// An HTTP/1.1 client with kept-alive connections per destination. It follows no redirect and
/// repeats nothing, except on a kept connection that turns out to have been closed before a byte was
/// sent. Clones share the connections.
#[derive(Clone)]
pub struct HttpClient {
    pool: Arc<Pool<Destination>>,
    any: ClientTls,
    hosts: Arc<BTreeMap<String, IpAddr>>,
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("HttpClient")
    }
}

/// How many connections an [`HttpClient`] or [`crate::PeerClient`] keeps, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Most idle connections per destination.
    pub max_idle: usize,
    /// An idle connection is closed after this time; below the idle time of servers, so that it is
    /// seldom the server that closes.
    pub idle_timeout: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            max_idle: 256,
            idle_timeout: Duration::from_secs(25),
        }
    }
}

impl HttpClient {
    /// A client with its own pool.
    ///
    /// # Errors
    /// Where OpenSSL cannot be set up.
    pub fn new(limits: PoolLimits) -> Result<Self, TlsSetupError> {
        Ok(Self {
            pool: Pool::new(limits.max_idle, limits.idle_timeout),
            any: ClientTls::new(&ServerVerification::Off, None)?,
            hosts: Arc::default(),
        })
    }

    /// The same client, which connects to these hosts at the given addresses and asks nobody for them. The server's
    /// certificate and `Host` are of the name all the same.
    #[must_use]
    pub fn with_hosts(self, hosts: BTreeMap<String, IpAddr>) -> Self {
        Self {
            hosts: Arc::new(hosts),
            ..self
        }
    }

    /// Posts `body` as the media type `sent` and gives the whole answer, of at most `limit` bytes: how OCSP responders
    /// (RFC 6960 appendix A) and time-stamping authorities (RFC 3161 section 3.4) are asked.
    ///
    /// # Errors
    /// [`PostError`]; here a status other than 200 is one.
    pub async fn post(
        &self,
        url: &str,
        (sent, wanted): (&'static str, &'static str),
        body: Vec<u8>,
        options: &RequestOptions,
        limit: usize,
    ) -> Result<Bytes, PostError> {
        let request = Request::post(url)
            .header(CONTENT_TYPE, sent)
            .header(ACCEPT, wanted)
            .body(Body::full(body))?;
        let response = self.request(request, options).await?;
        if response.status() != StatusCode::OK {
            return Err(PostError::Status(response.status()));
        }
        Ok(response.into_body().collect(limit).await?)
    }

    /// Sends a request with an absolute `http` or `https` URL. `Host` is added where it is missing;
    /// all other headers are the caller's.
    ///
    /// The task that awaits this, and then reads the response's body, drives the connection: the rest
    /// of a request body that is still on its way leaves while the response's body is read.
    ///
    /// # Errors
    /// [`ClientError`]; statuses of the server are no errors.
    pub async fn request(
        &self,
        request: Request<Body>,
        options: &RequestOptions,
    ) -> Result<Response<Body>, ClientError> {
        let started = Instant::now();
        let (mut head, body) = request.into_parts();
        let parts = head.uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(ClientError::Request {
                reason: "the URL is not absolute".to_owned(),
            });
        };
        let path = parts
            .path_and_query
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        head.uri = Uri::from(path);
        let (tls, default_port) = if scheme == Scheme::HTTPS {
            (Some(options.tls.as_ref().unwrap_or(&self.any)), 443)
        } else if scheme == Scheme::HTTP {
            (None, 80)
        } else {
            return Err(ClientError::Request {
                reason: "the URL is neither http nor https".to_owned(),
            });
        };
        if !head.headers.contains_key(HOST) {
            let host = authority
                .as_str()
                .rsplit_once('@')
                .map_or(authority.as_str(), |(_, host)| host);
            let host = HeaderValue::from_str(host).map_err(|error| ClientError::Request {
                reason: error.to_string(),
            })?;
            head.headers.insert(HOST, host);
        }
        let destination = Destination {
            authority,
            tls: tls.map_or(0, ClientTls::id),
        };
        let patience = Patience {
            response: options.read_timeout,
            read: options.read_timeout,
            end: options.total_timeout.map(|total| started + total),
        };
        let shelf = self.pool.shelf(&destination);
        let mut request = Request::from_parts(head, body);
        while let Some(exchange) = shelf.take() {
            match exchange.send(request, patience).await {
                Ok(response) => return Ok(response),
                Err(SendFailure::NotSent(unsent)) => request = *unsent,
                Err(SendFailure::Failed(error)) => return Err(error),
            }
        }
        let host = destination.authority.host();
        let port = destination.authority.port_u16().unwrap_or(default_port);
        let address: Arc<str> = Arc::from(format!("{host}:{port}"));
        let tls_failed = |reason| ClientError::Tls {
            address: address.to_string(),
            reason,
        };
        let session = tls
            .map(|tls| tls.session(host.trim_start_matches('[').trim_end_matches(']')))
            .transpose()
            .map_err(|error| tls_failed(error.to_string()))?;
        let limit = match (options.connect_timeout, options.total_timeout) {
            (Some(connect), Some(total)) => Some(connect.min(total)),
            (connect, total) => connect.or(total),
        };
        let known = self.hosts.get(host).map(ToString::to_string);
        let place = known.as_deref().unwrap_or(host);
        let mut exchange = connect::open(&address, place, port, session, limit).await?;
        if let Some(tls) = tls
            && !tls.accepts(exchange.certificate.as_ref())
        {
            return Err(tls_failed(
                "the server's certificate is not the pinned one".to_owned(),
            ));
        }
        exchange.home = Some(shelf);
        match exchange.send(request, patience).await {
            Ok(response) => Ok(response),
            Err(SendFailure::NotSent(_)) => Err(ClientError::Io {
                address: address.to_string(),
                reason: "the connection ended before the request was sent".to_owned(),
            }),
            Err(SendFailure::Failed(error)) => Err(error),
        }
    }

    /// Ends all idle connections.
    pub fn close_idle(&self) {
        self.pool.clear();
    }
}
