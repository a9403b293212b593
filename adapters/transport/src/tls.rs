//! TLS by OpenSSL: identities and the contexts of our servers and clients.

use std::sync::{Arc, RwLock};

use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    Ssl, SslAcceptor, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslRef,
    SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509CheckFlags;

use crate::connection::{PeerCertificate, TlsDescription};
use crate::error::TlsSetupError;

/// What an unmodified X-Road 7 server accepts (T2): CBC suites of TLS 1.2.
const PEER_CBC: &str = "ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA384:DHE-RSA-AES256-SHA256";
const PEER_GCM: &str = "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:\
ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256";
/// M26: what information systems may use with TLS 1.2.
const INFORMATION_SYSTEM: &str = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:\
DHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:\
ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:DHE-RSA-AES256-SHA256:DHE-RSA-AES128-SHA256";
const TLS13: &str = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
const GROUPS: &str = "X25519:P-256:P-384:P-521";

/// A certificate (with the intermediates to send along, without the root) and its private key.
/// `Debug` shows nothing of the key.
#[derive(Clone)]
pub struct TlsIdentity {
    chain: Vec<X509>,
    key: PKey<Private>,
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TlsIdentity({} certificates)", self.chain.len())
    }
}

impl TlsIdentity {
    /// From certificates in DER, the end entity's first, and its key as PKCS#8 DER.
    ///
    /// # Errors
    /// Where one of them cannot be decoded or the key belongs to another certificate.
    pub fn new(
        chain_der: &[impl AsRef<[u8]>],
        private_key_pkcs8_der: &[u8],
    ) -> Result<Self, TlsSetupError> {
        let mut chain = Vec::with_capacity(chain_der.len());
        for (index, der) in chain_der.iter().enumerate() {
            chain.push(
                X509::from_der(der.as_ref()).map_err(|_| TlsSetupError::Certificate {
                    position: index + 1,
                })?,
            );
        }
        let key =
            PKey::private_key_from_der(private_key_pkcs8_der).map_err(|_| TlsSetupError::Key)?;
        Self::checked(chain, key)
    }

    /// From PEM text: one or more certificates, and a key (PKCS#8, PKCS#1 or SEC 1, not encrypted).
    ///
    /// # Errors
    /// As [`TlsIdentity::new`].
    pub fn from_pem(certificates: &[u8], private_key: &[u8]) -> Result<Self, TlsSetupError> {
        let chain = X509::stack_from_pem(certificates)
            .map_err(|_| TlsSetupError::Certificate { position: 1 })?;
        let key = PKey::private_key_from_pem_callback(private_key, |_| Ok(0))
            .map_err(|_| TlsSetupError::Key)?;
        Self::checked(chain, key)
    }

    fn checked(chain: Vec<X509>, key: PKey<Private>) -> Result<Self, TlsSetupError> {
        let own = chain.first().ok_or(TlsSetupError::NoCertificate)?;
        let public = own
            .public_key()
            .map_err(|_| TlsSetupError::Certificate { position: 1 })?;
        if !public.public_eq(&key) {
            return Err(TlsSetupError::Mismatch);
        }
        Ok(Self { chain, key })
    }

    fn install(&self, builder: &mut SslContextBuilder) -> Result<(), TlsSetupError> {
        let own = self.chain.first().ok_or(TlsSetupError::NoCertificate)?;
        builder.set_certificate(own)?;
        builder.set_private_key(&self.key)?;
        for intermediate in self.chain.iter().skip(1) {
            builder.add_extra_chain_cert(intermediate.clone())?;
        }
        Ok(())
    }
}

fn common(builder: &mut SslContextBuilder) -> Result<(), TlsSetupError> {
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_ciphersuites(TLS13)?;
    builder.set_groups_list(GROUPS)?;
    builder.set_options(
        SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_COMPRESSION
            | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    // Idle connections give their record buffers back; a record is read in one system call.
    builder.set_mode(
        SslMode::RELEASE_BUFFERS
            | SslMode::AUTO_RETRY
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER,
    );
    builder.set_read_ahead(true);
    Ok(())
}

fn server_context(
    identity: &TlsIdentity,
    suites: &str,
    verify: SslVerifyMode,
    session_context: &[u8],
) -> Result<SslContext, TlsSetupError> {
    // Brings the parameters ffdhe2048 of RFC 7919 along, which the DHE suites need.
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    common(&mut builder)?;
    builder.set_cipher_list(suites)?;
    identity.install(&mut builder)?;
    if verify == SslVerifyMode::NONE {
        builder.set_verify(verify);
    } else {
        // Whose certificate it is, is judged per message by the caller. What OpenSSL finds wrong
        // with it is taken off the thread's list of errors, where the next connection that this
        // thread serves would take it for its own failure.
        builder.set_verify_callback(verify, |_, _| {
            drop(openssl::error::ErrorStack::get());
            true
        });
    }
    // Resumption is by ticket; the memory of sessions is for clients without tickets, and small.
    builder.set_session_id_context(session_context)?;
    builder.set_session_cache_mode(SslSessionCacheMode::SERVER);
    builder.set_session_cache_size(1024);
    builder.set_num_tickets(1)?;
    Ok(builder.build().into_context())
}

/// Whether a server for information systems asks for client certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Not asked for.
    NotRequested,
    /// Asked for; any certificate, or none, is accepted, and handed to the caller.
    Optional,
}

#[derive(Debug, Clone)]
struct Replaceable(Arc<RwLock<SslContext>>);

impl Replaceable {
    fn new(context: SslContext) -> Self {
        Self(Arc::new(RwLock::new(context)))
    }

    fn replace(&self, context: SslContext) {
        *self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = context;
    }

    fn session(&self) -> Result<Ssl, TlsSetupError> {
        let context = self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(Ssl::new(&context)?)
    }
}

/// TLS of a server for information systems (8443, M26): TLS 1.3 and 1.2. Clones share the
/// certificate.
#[derive(Clone)]
pub struct ServerTls {
    context: Replaceable,
    clients: ClientCertificates,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ServerTls({:?})", self.clients)
    }
}

impl ServerTls {
    /// A server that presents `identity`.
    ///
    /// # Errors
    /// Where OpenSSL refuses the identity.
    pub fn new(identity: &TlsIdentity, clients: ClientCertificates) -> Result<Self, TlsSetupError> {
        Ok(Self {
            context: Replaceable::new(Self::build(identity, clients)?),
            clients,
        })
    }

    fn build(
        identity: &TlsIdentity,
        clients: ClientCertificates,
    ) -> Result<SslContext, TlsSetupError> {
        let verify = match clients {
            ClientCertificates::NotRequested => SslVerifyMode::NONE,
            ClientCertificates::Optional => SslVerifyMode::PEER,
        };
        server_context(identity, INFORMATION_SYSTEM, verify, b"information-system")
    }

    /// New connections present `identity` from now on.
    ///
    /// # Errors
    /// Where OpenSSL refuses the identity; the old one stays.
    pub fn replace(&self, identity: &TlsIdentity) -> Result<(), TlsSetupError> {
        self.context.replace(Self::build(identity, self.clients)?);
        Ok(())
    }

    /// Gives it again for as long as somebody else holds it.
    pub(crate) fn downgrade(&self) -> impl Fn() -> Option<Self> + Send + 'static {
        let (context, clients) = (Arc::downgrade(&self.context.0), self.clients);
        move || {
            let context = Replaceable(context.upgrade()?);
            Some(Self { context, clients })
        }
    }

    #[cfg(test)]
    pub(crate) fn presented(&self) -> Vec<u8> {
        let session = self.session().expect("a session");
        let certificate = session.certificate().expect("a certificate");
        certificate.to_der().expect("DER")
    }

    pub(crate) fn session(&self) -> Result<Ssl, TlsSetupError> {
        self.context.session()
    }
}

/// TLS of the message port (5500, T2, T3): TLS 1.3, and TLS 1.2 with X-Road's suites; a client
/// without certificate is refused in the handshake. Clones share the certificate.
#[derive(Clone)]
pub struct PeerTls {
    context: Replaceable,
}

impl std::fmt::Debug for PeerTls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PeerTls")
    }
}

impl PeerTls {
    /// A server that presents `identity`, its authentication certificate.
    ///
    /// # Errors
    /// Where OpenSSL refuses the identity.
    pub fn new(identity: &TlsIdentity) -> Result<Self, TlsSetupError> {
        Ok(Self {
            context: Replaceable::new(Self::build(identity)?),
        })
    }

    fn build(identity: &TlsIdentity) -> Result<SslContext, TlsSetupError> {
        server_context(
            identity,
            &format!("{PEER_GCM}:{PEER_CBC}"),
            SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
            b"message-transport",
        )
    }

    /// New connections present `identity` from now on.
    ///
    /// # Errors
    /// Where OpenSSL refuses the identity; the old one stays.
    pub fn replace(&self, identity: &TlsIdentity) -> Result<(), TlsSetupError> {
        self.context.replace(Self::build(identity)?);
        Ok(())
    }

    pub(crate) fn session(&self) -> Result<Ssl, TlsSetupError> {
        self.context.session()
    }
}

/// The client's side of the message port: presents `identity`, offers TLS 1.3 and, for TLS 1.2, only
/// X-Road's suites (T2), takes any certificate (T4: no name check; the caller judges).
pub(crate) fn peer_client_context(identity: &TlsIdentity) -> Result<SslContext, TlsSetupError> {
    let mut builder = SslContext::builder(SslMethod::tls_client())?;
    common(&mut builder)?;
    builder.set_cipher_list(PEER_CBC)?;
    identity.install(&mut builder)?;
    builder.set_verify(SslVerifyMode::NONE);
    Ok(builder.build())
}

/// How an HTTPS server's certificate is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerVerification {
    /// Any certificate is taken: the content is signed, or the operator says so.
    Off,
    /// The server's end-entity certificate must be one of these, in DER. Name and validity are not
    /// looked at.
    Pinned(Vec<Vec<u8>>),
    /// The chain must lead to one of these authorities, in DER, and the name must match.
    Authorities(Vec<Vec<u8>>),
}

/// TLS of our requests to HTTPS servers. Connections made under one `ClientTls` are never used under
/// another. Clones are the same.
#[derive(Clone)]
pub struct ClientTls {
    inner: Arc<ClientTlsInner>,
}

struct ClientTlsInner {
    context: SslContext,
    pinned: Option<Vec<Vec<u8>>>,
    check_name: bool,
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ClientTls")
            .field("pinned", &self.inner.pinned.as_ref().map(Vec::len))
            .field("check_name", &self.inner.check_name)
            .finish()
    }
}

impl ClientTls {
    /// TLS 1.2 and 1.3 with `verification`, presenting `identity` to servers that ask for it.
    ///
    /// # Errors
    /// Where a certificate or OpenSSL's refusal stands in the way.
    pub fn new(
        verification: &ServerVerification,
        identity: Option<&TlsIdentity>,
    ) -> Result<Self, TlsSetupError> {
        let mut builder = SslContext::builder(SslMethod::tls_client())?;
        common(&mut builder)?;
        if let Some(identity) = identity {
            identity.install(&mut builder)?;
        }
        let mut pinned = None;
        let mut check_name = false;
        match verification {
            ServerVerification::Off => builder.set_verify(SslVerifyMode::NONE),
            ServerVerification::Pinned(certificates) => {
                builder.set_verify(SslVerifyMode::NONE);
                pinned = Some(certificates.clone());
            }
            ServerVerification::Authorities(authorities) => {
                let mut store = X509StoreBuilder::new()?;
                for (index, der) in authorities.iter().enumerate() {
                    store.add_cert(X509::from_der(der).map_err(|_| {
                        TlsSetupError::Certificate {
                            position: index + 1,
                        }
                    })?)?;
                }
                builder.set_cert_store(store.build());
                builder.set_verify(SslVerifyMode::PEER);
                check_name = true;
            }
        }
        Ok(Self {
            inner: Arc::new(ClientTlsInner {
                context: builder.build(),
                pinned,
                check_name,
            }),
        })
    }

    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }

    pub(crate) fn session(&self, host: &str) -> Result<Ssl, TlsSetupError> {
        let mut ssl = Ssl::new(&self.inner.context)?;
        let address: Option<std::net::IpAddr> = host.parse().ok();
        if address.is_none() {
            ssl.set_hostname(host)?;
        }
        if self.inner.check_name {
            let parameters = ssl.param_mut();
            parameters.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
            match address {
                Some(address) => parameters.set_ip(address)?,
                None => parameters.set_host(host)?,
            }
        }
        Ok(ssl)
    }

    /// True where the certificate is one that may be talked to.
    pub(crate) fn accepts(&self, certificate: Option<&PeerCertificate>) -> bool {
        match (&self.inner.pinned, certificate) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(pinned), Some(certificate)) => pinned.iter().any(|der| der == certificate.der()),
        }
    }
}

pub(crate) fn peer_certificate(ssl: &SslRef) -> Option<PeerCertificate> {
    ssl.peer_certificate()
        .and_then(|certificate| certificate.to_der().ok())
        .map(PeerCertificate::new)
}

pub(crate) fn description(ssl: &SslRef) -> TlsDescription {
    TlsDescription {
        version: ssl.version_str(),
        cipher: ssl.current_cipher().map_or("", |cipher| cipher.name()),
        resumed: ssl.session_reused(),
    }
}
