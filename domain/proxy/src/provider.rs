//! The provider's side of an exchange, one type per step.
//!
//! `Received` -> [`PeerAuthenticated`] -> [`SignatureVerified`] -> [`Permitted`] ->
//! [`RequestLogged`] -> (the information system answers) -> [`ResponseSigned`] ->
//! [`ResponseLogged`]. Each step consumes the one before and only the check makes it,
//! so that what is not verified cannot be permitted, what is not permitted cannot be
//! logged as accepted, and what is not logged cannot be forwarded: whoever calls the
//! information system takes a [`RequestLogged`].

use asic::Content;
use bytes::Bytes;
use globalconf::Current;
use messagelog::{Attachment, Committed, Direction, NewRecord, Side as LogSide};
use pki::Certificate;
use serverconf::{AccessRefused, Permit, ServerConfiguration, ServiceKind};
use time::OffsetDateTime;

use crate::groups::InstanceGroups;
use crate::judge::{Judge, Peer, PeerDoubt, signature_refusal};
use crate::message::Request;
use crate::refusal::Refusal;
use crate::signed::SignedParts;

/// The head of a request has been read from a peer; nothing is known of it yet.
#[derive(Debug)]
pub struct Received {
    request: Request,
}

/// The parts of a message beside its head, as they were read.
pub struct MessageParts<'a> {
    /// Names of all parts in order: `/message.xml`, `/attachment1`, ...
    pub names: &'a [&'a str],
    /// Their digests.
    pub content: &'a dyn Content,
    /// The signature document, if there was one.
    pub signature: Option<&'a [u8]>,
    /// Hash chain result and hash chain, if there were.
    pub hash_chain: Option<(&'a [u8], &'a [u8])>,
}

impl Received {
    /// A request as decoded.
    pub fn new(request: Request) -> Self {
        Self { request }
    }

    /// Checks that this server is the one addressed and that the TLS certificate is that of
    /// a server of the client, with good status (order of checks, step 4).
    ///
    /// # Errors
    /// The provider is not registered here, another server is addressed, or the peer is not authenticated.
    pub fn authenticate(
        self,
        judge: &Judge,
        configuration: &Current,
        own: &ServerConfiguration,
        certificate: &Certificate,
        status: &[Bytes],
        now: OffsetDateTime,
    ) -> Result<PeerAuthenticated, Refusal> {
        let service = self.request.service();
        let provider = &service.client;
        if let Some(server) = self.request.security_server()
            && server != own.id()
        {
            return Err(Refusal::UnknownSecurityServer {
                server: server.clone(),
                provider: provider.clone(),
            });
        }
        if !is_served_here(configuration, own, provider) {
            return Err(Refusal::UnknownProviderHere(provider.clone()));
        }
        if status.is_empty() {
            return Err(Refusal::PeerAuthentication(
                "the OCSP response is missing: its certificate status did not come before the message".into(),
            ));
        }
        let peer = judge
            .peer(
                configuration,
                certificate,
                status,
                self.request.client(),
                now,
            )
            .map_err(|doubt| match doubt {
                PeerDoubt::Refused(refusal) | PeerDoubt::BadStatus(refusal) => *refusal,
                PeerDoubt::NeedsStatus => Refusal::PeerAuthentication(
                    "its certificate status is absent or too old".into(),
                ),
            })?;
        Ok(PeerAuthenticated {
            request: self.request,
            peer,
            configuration: configuration.clone(),
        })
    }
}

fn is_served_here(
    configuration: &Current,
    own: &ServerConfiguration,
    provider: &xroad_id::ClientId,
) -> bool {
    (own.client(provider).is_some() || *provider == own.id().owner())
        && configuration.is_client_of_server(provider, own.id())
}

/// The peer is a Security Server of the client.
#[derive(Debug)]
pub struct PeerAuthenticated {
    request: Request,
    peer: Peer,
    configuration: Current,
}

impl PeerAuthenticated {
    /// The request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Who the peer is.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Refuses at once what would be refused later anyway, before a large body has been
    /// taken. It can only refuse and proves nothing. Metadata has no access right (D6).
    ///
    /// # Errors
    /// As [`SignatureVerified::permit`].
    pub fn check_early(&self, own: &ServerConfiguration) -> Result<(), Refusal> {
        if self.request.is_metadata() {
            return Ok(());
        }
        permit(own, &self.configuration, &self.request).map(|_| ())
    }

    /// Judges the peer again, by the configuration of now: a body may have been under way
    /// for hours.
    ///
    /// # Errors
    /// As [`Received::authenticate`].
    pub fn again(
        self,
        judge: &Judge,
        configuration: &Current,
        own: &ServerConfiguration,
        certificate: &Certificate,
        status: &[Bytes],
        now: OffsetDateTime,
    ) -> Result<Self, Refusal> {
        if configuration.identity() == self.peer.configuration() && now <= self.peer.until() {
            return Ok(self);
        }
        Received::new(self.request).authenticate(
            judge,
            configuration,
            own,
            certificate,
            status,
            now,
        )
    }

    /// Verifies that the client's member signed every part of the message.
    ///
    /// # Errors
    /// No signature, or one that does not hold.
    pub fn verify(
        self,
        judge: &Judge,
        parts: &MessageParts<'_>,
        now: OffsetDateTime,
    ) -> Result<SignatureVerified, Refusal> {
        let signature = parts.signature.ok_or(Refusal::MissingSignature)?;
        let signer = judge.signer(
            &self.configuration,
            signature,
            self.request.client(),
            now,
            parts.hash_chain.is_some(),
        )?;
        asic::cover(&signer.value, parts.names, parts.content, parts.hash_chain)
            .map_err(signature_refusal)?;
        Ok(SignatureVerified {
            request: self.request,
            peer: self.peer,
            configuration: self.configuration,
        })
    }
}

/// The whole request is signed by the client's member.
#[derive(Debug)]
pub struct SignatureVerified {
    request: Request,
    peer: Peer,
    configuration: Current,
}

/// What the request may do here.
#[derive(Debug, Clone)]
pub enum Grant {
    /// Call this service.
    Service(Permit),
    /// Read descriptions of the provider's services, which needs no right (D6).
    Metadata,
}

fn permit(
    own: &ServerConfiguration,
    configuration: &Current,
    request: &Request,
) -> Result<Permit, Refusal> {
    let service = request.service();
    let client = request.client();
    let endpoint = request.endpoint()?;
    own.permit(
        client,
        service,
        endpoint.as_ref().map(|(method, path)| (&**method, &**path)),
        &InstanceGroups(configuration),
    )
    .map_err(|refused| match refused {
        AccessRefused::UnknownService => Refusal::UnknownService(service.clone()),
        AccessRefused::ServiceType { expected } => Refusal::ServiceType {
            service: service.clone(),
            expected: match expected {
                ServiceKind::Soap => "SOAP",
                ServiceKind::Rest | ServiceKind::OpenApi => "REST",
            },
        },
        AccessRefused::AccessDenied => Refusal::AccessDenied {
            client: client.clone(),
            service: service.clone(),
        },
        AccessRefused::ServiceDisabled(notice) => Refusal::ServiceDisabled {
            service: service.clone(),
            notice,
        },
    })
}

impl SignatureVerified {
    /// Decides whether the client may do what it asks for.
    ///
    /// # Errors
    /// Unknown service, wrong type, no right or switched off, in this order.
    pub fn permit(self, own: &ServerConfiguration) -> Result<Permitted, Refusal> {
        let grant = if self.request.is_metadata() {
            Grant::Metadata
        } else {
            Grant::Service(permit(own, &self.configuration, &self.request)?)
        };
        Ok(Permitted {
            request: self.request,
            peer: self.peer,
            configuration: self.configuration,
            grant,
        })
    }
}

/// The request is verified and permitted, and not yet logged.
#[derive(Debug)]
pub struct Permitted {
    request: Request,
    peer: Peer,
    configuration: Current,
    grant: Grant,
}

impl Permitted {
    /// The record of the request.
    pub fn record(
        &self,
        attachments: Vec<Attachment>,
        signature: Bytes,
        hash_chain: Option<(Bytes, Bytes)>,
        time: u64,
    ) -> NewRecord {
        self.request.record(
            Direction::Request,
            LogSide::Provider,
            self.request.bytes().clone(),
            attachments,
            signature,
            hash_chain,
            &self.configuration,
            time,
        )
    }

    /// Goes on, now that the record is on disk.
    pub fn logged(self, committed: Committed) -> RequestLogged {
        RequestLogged {
            request: self.request,
            peer: self.peer,
            configuration: self.configuration,
            grant: self.grant,
            committed,
        }
    }
}

/// The request is verified, permitted and on disk: it may be forwarded.
#[derive(Debug)]
pub struct RequestLogged {
    request: Request,
    peer: Peer,
    configuration: Current,
    grant: Grant,
    committed: Committed,
}

impl RequestLogged {
    /// The request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Where it came from.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What it may do.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The configuration that it was judged by.
    pub fn configuration(&self) -> &Current {
        &self.configuration
    }

    /// Its record.
    pub fn committed(&self) -> &Committed {
        &self.committed
    }

    /// Joins the signed answer to the request.
    pub fn signed(self, message: Bytes, parts: SignedParts) -> ResponseSigned {
        ResponseSigned {
            request: self.request,
            configuration: self.configuration,
            message,
            parts,
        }
    }
}

/// The answer is signed, and not yet logged.
#[derive(Debug)]
pub struct ResponseSigned {
    request: Request,
    configuration: Current,
    message: Bytes,
    parts: SignedParts,
}

impl ResponseSigned {
    /// The record of the answer.
    pub fn record(&self, attachments: Vec<Attachment>, time: u64) -> NewRecord {
        self.request.record(
            Direction::Response,
            LogSide::Provider,
            self.message.clone(),
            attachments,
            self.parts.signature.clone(),
            self.parts.hash_chain.clone(),
            &self.configuration,
            time,
        )
    }

    /// Goes on, now that the record is on disk.
    pub fn logged(self, committed: Committed) -> ResponseLogged {
        ResponseLogged {
            parts: self.parts,
            committed,
        }
    }
}

/// The answer is on disk: its signature, without which the consumer can do nothing, may leave.
#[derive(Debug)]
pub struct ResponseLogged {
    parts: SignedParts,
    committed: Committed,
}

impl ResponseLogged {
    /// The signature parts to send.
    pub fn parts(&self) -> &SignedParts {
        &self.parts
    }

    /// The record.
    pub fn committed(&self) -> &Committed {
        &self.committed
    }
}
