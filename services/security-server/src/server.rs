//! What all parts of a running Security Server share.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use config::SecurityServerSettings;
use globalconf::{Current, GlobalConfiguration};
use messagelog::{Committed, NewRecord};
use pki::Certificate;
use proxy::{Judge, Peer, PeerDoubt, Refusal};
use serverconf::ServerConfiguration;
use store_segments::MessageLog;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use transport::{HttpClient, PeerCertificate, PeerClient, Target};
use xroad_id::ClientId;

use crate::memory::MessageMemory;
use crate::refusals::{FaultWriter, log_refusal};
use crate::signing::Signers;
use crate::status::PeerStatus;
use crate::timestamper::Timestamper;
use crate::tls_options::ServiceTls;

/// Our authentication certificate and the authorities above it, each with its status answer.
#[derive(Default)]
pub struct AuthenticationStatus {
    /// The certificate first.
    pub chain: Vec<(Certificate, Bytes)>,
    /// The answers alone, as they go into requests.
    pub answers: Vec<Bytes>,
    /// The last moment for which all are fresh.
    pub until: Option<OffsetDateTime>,
}

/// A running Security Server.
pub struct Server {
    /// Its settings.
    pub settings: SecurityServerSettings,
    /// Clients, services and rights, replaced when the file is read again.
    pub own: ArcSwap<ServerConfiguration>,
    /// The global configuration in force; none before the first download.
    pub configuration: Arc<ArcSwapOption<GlobalConfiguration>>,
    /// What certificates and signatures are worth.
    pub judge: Judge,
    /// The memory of messages under way.
    pub memory: Arc<MessageMemory>,
    /// The message log.
    pub log: MessageLog,
    /// Time-stamps what the log holds.
    pub timestamper: Timestamper,
    /// Signing keys.
    pub signers: ArcSwap<Signers>,
    /// Status of the authentication certificate.
    pub authentication: ArcSwap<AuthenticationStatus>,
    /// DER of the internal TLS certificate shown to information systems.
    pub internal_certificate: Vec<u8>,
    /// Connections to other Security Servers.
    pub peers: PeerClient,
    /// Status of their certificates.
    pub peer_status: PeerStatus,
    /// Connections to everybody else.
    pub http: HttpClient,
    /// TLS of connections to services.
    pub service_tls: ServiceTls,
    /// How refusals are written.
    pub faults: FaultWriter,
}

/// The time, in ms since 1970, as records have it.
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

impl Server {
    /// The global configuration, if it is current (G17).
    ///
    /// # Errors
    /// It has expired, or there has never been one.
    pub fn current(&self, now: OffsetDateTime) -> Result<Current, Refusal> {
        let Some(configuration) = self.configuration.load_full() else {
            return Err(Refusal::ConfigurationOutdated("(never)".into()));
        };
        configuration.is_current(now).map_err(|outdated| {
            Refusal::ConfigurationOutdated(outdated.expired.format(&Rfc3339).unwrap_or_default())
        })
    }

    /// Whether the log takes messages.
    ///
    /// # Errors
    /// It is full, stopped, or has gone without time-stamps for too long.
    pub fn check_log(&self) -> Result<(), Refusal> {
        self.log
            .accepts(now_ms())
            .map_err(|error| log_refusal(&error))
    }

    /// Writes a record and returns once it is on disk and, where each message is
    /// time-stamped before it goes on, has its time-stamp.
    ///
    /// # Errors
    /// It is not on disk, or has no time-stamp.
    pub async fn commit(&self, record: NewRecord) -> Result<Committed, Refusal> {
        let committed = self
            .log
            .commit(record)
            .await
            .map_err(|error| log_refusal(&error))?;
        if self.settings.log.timestamp_immediately {
            self.timestamper
                .stamp_single(committed.record_id())
                .await
                .map_err(|error| {
                    tracing::error!(%error, "a message could not be time-stamped");
                    Refusal::Timestamping
                })?;
        }
        Ok(committed)
    }

    /// Our certificate status answers for a request.
    ///
    /// # Errors
    /// There are none, or they are no longer fresh.
    pub fn own_status(&self, now: OffsetDateTime) -> Result<Arc<AuthenticationStatus>, Refusal> {
        let status = self.authentication.load_full();
        if status.until.is_some_and(|until| now <= until) {
            return Ok(status);
        }
        Err(Refusal::NotReady(
            "the status of the authentication certificate is not known to be good".into(),
        ))
    }

    /// Judges the certificate of a server that we are about to send a message to: it must
    /// serve `provider` and its status be good, which is fetched when we do not have it (T5).
    ///
    /// # Errors
    /// It is not such a server.
    pub async fn check_peer(
        &self,
        configuration: &Current,
        shown: &PeerCertificate,
        provider: &ClientId,
    ) -> Result<Peer, Refusal> {
        let certificate = shown.memo(|der| Certificate::decode(der).ok());
        let Some(certificate) = certificate.as_ref() else {
            return Err(Refusal::PeerAuthentication(
                "its certificate cannot be read".into(),
            ));
        };
        let now = OffsetDateTime::now_utc();
        let known = self.peer_status.known(certificate);
        match self
            .judge
            .peer(configuration, certificate, &known, provider, now)
        {
            Ok(peer) => return Ok(peer),
            Err(PeerDoubt::Refused(refusal)) => return Err(*refusal),
            Err(PeerDoubt::NeedsStatus | PeerDoubt::BadStatus(_)) => {}
        }
        let unknown = || Refusal::PeerAuthentication("its certificate status cannot be had".into());
        let server = configuration
            .server_by_auth_certificate(certificate)
            .ok_or_else(unknown)?;
        let address = server.address.as_deref().ok_or_else(unknown)?;
        let fetched = self
            .peer_status
            .fetch(
                &self.http,
                configuration,
                certificate,
                &server.id.instance,
                address,
                self.settings.peer_ocsp_port,
            )
            .await
            .map_err(|error| {
                tracing::warn!(server = %server.id, %error, "certificate status of a peer");
                unknown()
            })?;
        let peer = self
            .judge
            .peer(
                configuration,
                certificate,
                &fetched,
                provider,
                OffsetDateTime::now_utc(),
            )
            .map_err(|doubt| match doubt {
                PeerDoubt::Refused(refusal) | PeerDoubt::BadStatus(refusal) => *refusal,
                PeerDoubt::NeedsStatus => unknown(),
            })?;
        // Only what proved good is kept: the status port is plain HTTP.
        self.peer_status.keep(certificate, fetched);
        Ok(peer)
    }

    /// The address of another server as a target of our client.
    pub fn target(&self, address: &str) -> Target {
        Target::new(address, self.settings.peer_message_port)
    }

    /// What is missing before messages can be exchanged, in plain words; empty when ready.
    pub fn missing(&self, now: OffsetDateTime) -> Vec<String> {
        let mut missing = Vec::new();
        if self.current(now).is_err() {
            missing.push("a current global configuration".to_owned());
        }
        if self.own_status(now).is_err() {
            missing.push("a good status of the authentication certificate".to_owned());
        }
        let signers = self.signers.load();
        for client in self.own.load().clients() {
            match signers.of(&client.id) {
                Ok(signer) if signer.is_ready(now) => {}
                Ok(_) => missing.push(format!(
                    "a good status of the signing certificate of {}",
                    client.id
                )),
                Err(_) => missing.push(format!("a signing key of {}", client.id.to_member())),
            }
        }
        if self.check_log().is_err() {
            missing.push("a message log that takes messages".to_owned());
        }
        missing
    }
}
