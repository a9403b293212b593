//! The consumer's side of an exchange, one type per step.
//!
//! `Received` -> [`ClientAuthenticated`] -> [`Routed`] -> [`Signed`] -> [`RequestLogged`] ->
//! (the peer answers) -> [`ResponseVerified`] -> [`ResponseLogged`]. Parts of a large body may
//! leave before [`RequestLogged`], but the signature, without which the peer can do
//! nothing, is had from a [`RequestLogged`] alone.

use bytes::Bytes;
use globalconf::Current;
use messagelog::{Attachment, Committed, Direction, NewRecord, Side as LogSide};
use pki::Digest;
use serverconf::{Connection, ServerConfiguration};
use time::OffsetDateTime;
use xroad_id::{ClientId, SecurityServerId};

use crate::judge::{Judge, signature_refusal};
use crate::message::{Request, Response};
use crate::provider::MessageParts;
use crate::refusal::Refusal;
use crate::signed::SignedParts;

/// The head of a request has been read from an information system.
#[derive(Debug)]
pub struct Received {
    request: Request,
}

/// How the information system is connected.
#[derive(Debug, Clone, Copy)]
pub struct InformationSystem<'a> {
    /// Whether over TLS.
    pub tls: bool,
    /// The DER certificate that it showed.
    pub certificate: Option<&'a [u8]>,
    /// This server's own internal certificate, which passes for any client (M25).
    pub own_certificate: Option<&'a [u8]>,
}

/// Checks that an information system may act for `client` (M25, B7): for messages
/// and for the evidence that a client downloads (A14).
///
/// # Errors
/// The client is not served here or its connection type asks for more.
pub fn authenticate_client(
    client: &ClientId,
    configuration: &Current,
    own: &ServerConfiguration,
    system: &InformationSystem<'_>,
) -> Result<(), Refusal> {
    let known = own
        .client(client)
        .ok_or_else(|| Refusal::UnknownClient(client.clone()))?;
    if !configuration.is_client_of_server(client, own.id()) {
        return Err(Refusal::UnknownClient(client.clone()));
    }
    let refuse = |detail: &str| {
        Err(Refusal::ClientAuthentication {
            client: client.clone(),
            detail: detail.to_owned(),
        })
    };
    match (known.connection, system.tls, system.certificate) {
        (Connection::Http, _, _) | (Connection::HttpsNoAuth, true, _) => Ok(()),
        (Connection::HttpsNoAuth | Connection::Https, false, _) => {
            refuse("the client must be connected with HTTPS and came with HTTP")
        }
        (Connection::Https, true, None) => {
            refuse("the information system showed no TLS certificate")
        }
        (Connection::Https, true, Some(shown)) => {
            let known = known
                .certificates
                .iter()
                .any(|certificate| certificate == shown);
            if known || system.own_certificate == Some(shown) {
                Ok(())
            } else {
                refuse("the TLS certificate of the information system is not one of the client's")
            }
        }
    }
}

impl Received {
    /// A request as decoded.
    pub fn new(request: Request) -> Self {
        Self { request }
    }

    /// Checks that the client is served here and connected as its connection type demands.
    ///
    /// # Errors
    /// See [`authenticate_client`].
    pub fn authenticate(
        self,
        configuration: &Current,
        own: &ServerConfiguration,
        system: &InformationSystem<'_>,
    ) -> Result<ClientAuthenticated, Refusal> {
        authenticate_client(self.request.client(), configuration, own, system)?;
        Ok(ClientAuthenticated {
            request: self.request,
            configuration: configuration.clone(),
        })
    }
}

/// The information system acts for its client.
#[derive(Debug)]
pub struct ClientAuthenticated {
    request: Request,
    configuration: Current,
}

/// A Security Server that can be called.
#[derive(Debug, Clone)]
pub struct Route {
    /// Which server.
    pub server: SecurityServerId,
    /// Its registered address: a host without a port.
    pub address: String,
}

impl ClientAuthenticated {
    /// Finds the Security Servers that serve the provider (T8, X1): those in maintenance are left out.
    ///
    /// # Errors
    /// The provider is unknown, does not use the server that the message names, or
    /// all its servers are in maintenance.
    pub fn route(self) -> Result<Routed, Refusal> {
        let provider = &self.request.service().client;
        let named = self.request.security_server();
        let mut known = false;
        let mut notice = None;
        let mut routes = Vec::new();
        for server in self.configuration.servers_of(provider) {
            known = true;
            if named.is_some_and(|named| *named != server.id) {
                continue;
            }
            if let Some(maintenance) = &server.maintenance {
                notice = Some(maintenance.message.clone().unwrap_or_default());
                continue;
            }
            if let Some(address) = &server.address {
                routes.push(Route {
                    server: server.id.clone(),
                    address: address.clone(),
                });
            }
        }
        if !known {
            return Err(Refusal::UnknownProvider(provider.clone()));
        }
        if routes.is_empty() {
            return Err(match (named, notice) {
                (_, Some(notice)) => Refusal::Maintenance {
                    provider: provider.clone(),
                    notice,
                },
                (Some(named), None) => Refusal::UnknownSecurityServer {
                    server: named.clone(),
                    provider: provider.clone(),
                },
                (None, None) => Refusal::NoPeer(provider.clone()),
            });
        }
        Ok(Routed {
            request: self.request,
            configuration: self.configuration,
            routes,
        })
    }
}

/// It is known where the request goes.
#[derive(Debug)]
pub struct Routed {
    request: Request,
    configuration: Current,
    routes: Vec<Route>,
}

impl Routed {
    /// The request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The servers that may be called, at least one.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The configuration that the request is judged by.
    pub fn configuration(&self) -> &Current {
        &self.configuration
    }

    /// Joins the signature to the request.
    pub fn signed(self, parts: SignedParts) -> Signed {
        Signed {
            request: self.request,
            configuration: self.configuration,
            parts,
        }
    }
}

/// The request is signed, and not yet logged.
#[derive(Debug)]
pub struct Signed {
    request: Request,
    configuration: Current,
    parts: SignedParts,
}

impl Signed {
    /// The record of the request.
    pub fn record(&self, attachments: Vec<Attachment>, time: u64) -> NewRecord {
        self.request.record(
            Direction::Request,
            LogSide::Consumer,
            self.request.bytes().clone(),
            attachments,
            self.parts.signature.clone(),
            self.parts.hash_chain.clone(),
            &self.configuration,
            time,
        )
    }

    /// Goes on, now that the record is on disk.
    pub fn logged(self, committed: Committed) -> RequestLogged {
        RequestLogged {
            request: self.request,
            parts: self.parts,
            committed,
        }
    }
}

/// The request is on disk: its signature may leave.
#[derive(Debug)]
pub struct RequestLogged {
    request: Request,
    parts: SignedParts,
    committed: Committed,
}

impl RequestLogged {
    /// The request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The signature parts to send.
    pub fn parts(&self) -> &SignedParts {
        &self.parts
    }

    /// The record.
    pub fn committed(&self) -> &Committed {
        &self.committed
    }

    /// Judges the answer: it must be signed (order of checks: signature present, request
    /// hash, consistency, signature), belong to this request, and be the provider's.
    ///
    /// `request_hash` is the hash of this request as the consumer computes it (M11, R7).
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        self,
        judge: &Judge,
        configuration: &Current,
        response: Response,
        parts: &MessageParts<'_>,
        request_hash: &RequestHash,
        now: OffsetDateTime,
    ) -> Result<ResponseVerified, Refusal> {
        let signature = parts.signature.ok_or(Refusal::MissingSignature)?;
        response.check_belongs_to(&self.request, request_hash)?;
        let signer = judge.signer(
            configuration,
            signature,
            &self.request.service().client,
            now,
            parts.hash_chain.is_some(),
        )?;
        asic::cover(&signer.value, parts.names, parts.content, parts.hash_chain)
            .map_err(signature_refusal)?;
        Ok(ResponseVerified {
            request: self.request,
            response,
            configuration: configuration.clone(),
        })
    }
}

/// The hash of a request that its answer must repeat.
#[derive(Debug, Clone, Copy)]
pub struct RequestHash(pub Digest);

/// The answer is the provider's and belongs to the request.
#[derive(Debug)]
pub struct ResponseVerified {
    request: Request,
    response: Response,
    configuration: Current,
}

impl ResponseVerified {
    /// The record of the answer.
    pub fn record(
        &self,
        attachments: Vec<Attachment>,
        signature: Bytes,
        hash_chain: Option<(Bytes, Bytes)>,
        time: u64,
    ) -> NewRecord {
        self.request.record(
            Direction::Response,
            LogSide::Consumer,
            self.response.bytes().clone(),
            attachments,
            signature,
            hash_chain,
            &self.configuration,
            time,
        )
    }

    /// Goes on, now that the record is on disk.
    pub fn logged(self, committed: Committed) -> ResponseLogged {
        ResponseLogged {
            response: self.response,
            committed,
        }
    }
}

/// The answer is on disk and may be given to the information system.
#[derive(Debug)]
pub struct ResponseLogged {
    response: Response,
    committed: Committed,
}

impl ResponseLogged {
    /// The answer.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// The record.
    pub fn committed(&self) -> &Committed {
        &self.committed
    }
}
