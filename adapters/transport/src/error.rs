//! Failures of our own requests. They name addresses and are for OUR log, never for a peer.

/// Which part of a request took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Resolving the name, connecting, and the TLS handshake.
    Connect,
    /// Waiting for the head of the response.
    Response,
    /// The whole request, up to the head of the response.
    Total,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Connect => "connecting",
            Self::Response => "waiting for the response",
            Self::Total => "the whole request",
        })
    }
}

/// Why a request of ours got no response. `address` is `host:port` as configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL or request cannot be sent at all: our own mistake or the configuration's.
    #[error("not a request that can be sent: {reason}")]
    Request {
        /// What is wrong.
        reason: String,
    },
    /// The name does not resolve, or TCP does not connect. Nothing was sent.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The TLS handshake failed. Nothing was sent.
    #[error("TLS with {address} failed: {reason}")]
    Tls {
        /// With whom.
        address: String,
        /// What OpenSSL said.
        reason: String,
    },
    /// Too slow.
    #[error("{address} took too long: {phase}")]
    Timeout {
        /// Who.
        address: String,
        /// At what.
        phase: Phase,
    },
    /// The connection broke after the request had begun to leave: the other side may have acted on
    /// it, so it must not be repeated blindly.
    #[error("the connection to {address} broke: {reason}")]
    Io {
        /// To whom.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The answer is not HTTP/1.1 or breaks a limit.
    #[error("{address} does not answer in HTTP: {reason}")]
    Protocol {
        /// Who.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Our own request body failed ([`crate::BodySender::abort`]).
    #[error("the request to {address} was aborted by our side")]
    Aborted {
        /// To whom.
        address: String,
    },
}

impl ClientError {
    /// True where not a byte of the request had left, so that another address may be tried.
    pub fn is_before_send(&self) -> bool {
        matches!(
            self,
            Self::Request { .. }
                | Self::Connect { .. }
                | Self::Tls { .. }
                | Self::Timeout {
                    phase: Phase::Connect,
                    ..
                }
        )
    }

    pub(crate) fn from_hyper(address: &str, error: &hyper::Error) -> Self {
        let address = address.to_owned();
        let reason = describe(error);
        if error.is_parse() || error.is_parse_too_large() {
            Self::Protocol { address, reason }
        } else if error.is_user() {
            Self::Aborted { address }
        } else {
            Self::Io { address, reason }
        }
    }
}

/// The error with its causes on one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Why a message could not be sent to any of a peer's addresses. `R` is the caller's own reason to
/// refuse a certificate.
#[derive(Debug, thiserror::Error)]
pub enum PeerError<R> {
    /// No address was given.
    #[error("the peer has no address")]
    NoTarget,
    /// Connection or exchange failed; with several addresses, the failure of the last one.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Every reachable address presented a certificate that the caller refused.
    #[error("the certificate of {address} was refused")]
    Refused {
        /// Whose certificate.
        address: String,
        /// The caller's reason.
        refusal: R,
    },
}

/// Why TLS cannot be set up with this certificate and key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSetupError {
    /// A certificate cannot be decoded.
    #[error("certificate number {position} cannot be decoded")]
    Certificate {
        /// Its place in the list, from 1.
        position: usize,
    },
    /// There is no certificate.
    #[error("no certificate given")]
    NoCertificate,
    /// The private key cannot be decoded.
    #[error("the private key cannot be decoded")]
    Key,
    /// The private key does not belong to the certificate.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// OpenSSL refuses for another reason.
    #[error("OpenSSL refuses: {0}")]
    OpenSsl(String),
}

impl From<openssl::error::ErrorStack> for TlsSetupError {
    fn from(error: openssl::error::ErrorStack) -> Self {
        Self::OpenSsl(error.to_string())
    }
}

/// Why there is no answer to a [`post`](crate::HttpClient::post).
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The URL is none.
    #[error(transparent)]
    Url(#[from] http::Error),
    /// Nothing came back.
    #[error(transparent)]
    Request(#[from] ClientError),
    /// The server refused.
    #[error("HTTP status {0}")]
    Status(http::StatusCode),
    /// The answer broke off, or is too long.
    #[error(transparent)]
    Body(#[from] crate::BodyError),
}
