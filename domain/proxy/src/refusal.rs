//! Why an exchange is refused, whose fault that is, and the wire's code for it.

use xroad_id::{ClientId, SecurityServerId, ServiceId};

/// Which of the two pipelines refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The caller's Security Server (X-Road's `clientproxy`).
    Consumer,
    /// The provider's Security Server (X-Road's `serverproxy`).
    Provider,
}

impl Side {
    /// The source prefix of fault codes made on this side (reference F1).
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Consumer => "server.clientproxy",
            Self::Provider => "server.serverproxy",
        }
    }
}

/// Whose fault a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The calling information system.
    Client,
    /// The Security Server at the other end.
    Peer,
    /// This Security Server.
    Own,
    /// The information system that provides the service.
    Service,
}

/// A reason to stop an exchange. Leaf codes are X-Road's, 7.8 spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The information system used another method than POST for SOAP.
    HttpMethod(String),
    /// The content type of the information system's or the peer's message is not understood.
    ContentType(String),
    /// `SOAPAction` is neither absent, empty nor a quoted URI (M18).
    SoapAction,
    /// The calling information system's SOAP message is not correct.
    Request {
        /// Leaf code, for example `missing_header_field`.
        leaf: String,
        /// What is wrong.
        detail: String,
    },
    /// The calling information system's REST request is not correct; X-Road blames
    /// the client proxy for it (T-RE-5).
    RestRequest {
        /// What is wrong.
        detail: String,
    },
    /// The SOAP message is a fault: X-Road answers with `client.` and the fault's own code.
    ClientFault {
        /// The fault's code.
        code: String,
        /// The fault's text.
        text: String,
    },
    /// The envelope is over the limit in bytes.
    TooLarge(usize),
    /// All messages under way together hold as much memory as they may.
    Crowded,
    /// The client is not served here.
    UnknownClient(ClientId),
    /// The information system did not authenticate as the client's connection type demands (M25).
    ClientAuthentication {
        /// The client it wants to act for.
        client: ClientId,
        /// What is missing.
        detail: String,
    },
    /// The provider is not in the global configuration.
    UnknownProvider(ClientId),
    /// The provider is not registered at this Security Server.
    UnknownProviderHere(ClientId),
    /// The Security Server named by `securityServer` does not serve the provider, or is not this one (X1).
    UnknownSecurityServer {
        /// The server that was named.
        server: SecurityServerId,
        /// The provider.
        provider: ClientId,
    },
    /// All servers of the provider are in maintenance mode.
    Maintenance {
        /// The provider.
        provider: ClientId,
        /// The operator's notice, perhaps empty.
        notice: String,
    },
    /// The own global configuration is out of date since the given time (RFC 3339).
    ConfigurationOutdated(String),
    /// No Security Server of the provider can be reached.
    NoPeer(ClientId),
    /// The TLS certificate of the peer is not that of a server it may be, or its status is not good.
    PeerAuthentication(String),
    /// The peer's `x-proxy-version` is under the minimum.
    PeerVersion {
        /// What the peer said.
        found: String,
        /// What is demanded.
        minimum: String,
    },
    /// The peer's transport message is not correct.
    PeerMessage {
        /// Leaf code.
        leaf: String,
        /// What is wrong.
        detail: String,
    },
    /// The peer's transport message lacks what makes it a message of its protocol: a part, or
    /// the HTTP status.
    PeerForm {
        /// Leaf code, which has no `service_failed` before it.
        leaf: String,
        /// What is wrong.
        detail: String,
    },
    /// The connection to the peer broke before its message was complete.
    PeerBroken,
    /// The connection to the peer broke before its answer began.
    PeerSilent,
    /// No signature part.
    MissingSignature,
    /// The signature does not hold.
    Signature {
        /// Leaf codes below `signature_verification`.
        leaf: String,
        /// What is wrong.
        detail: String,
    },
    /// The answer's request hash is absent or different (M12, R7).
    RequestHash,
    /// The answer's header differs from the request's (M13).
    InconsistentResponse(&'static str),
    /// No such service here.
    UnknownService(ServiceId),
    /// The service is of another kind than the call.
    ServiceType {
        /// The service.
        service: ServiceId,
        /// `SOAP` or `REST`: what it is.
        expected: &'static str,
    },
    /// No right.
    AccessDenied {
        /// Who called.
        client: ClientId,
        /// What was called.
        service: ServiceId,
    },
    /// Switched off with a notice.
    ServiceDisabled {
        /// The service.
        service: ServiceId,
        /// The notice.
        notice: String,
    },
    /// The service's information system cannot be reached.
    ServiceUnreachable {
        /// The service.
        service: ServiceId,
        /// Whether its host name is unknown.
        unknown_host: bool,
    },
    /// The service's TLS certificate is not one of those configured.
    ServiceAuthentication(ServiceId),
    /// The service did not begin its answer in time.
    ServiceTimeout(ServiceId),
    /// A SOAP service answered with another status than 200 or 500 (M23).
    ServiceStatus {
        /// The service.
        service: ServiceId,
        /// The status.
        status: u16,
    },
    /// The service's answer is not correct.
    ServiceAnswer {
        /// The service.
        service: ServiceId,
        /// Leaf code.
        leaf: String,
        /// What is wrong.
        detail: String,
    },
    /// The connection to the service broke in its answer.
    ServiceBroken(ServiceId),
    /// The own message could not be signed.
    Signing(String),
    /// The own log could not be written.
    Logging(String),
    /// No time-stamp for longer than the grace period.
    Timestamping,
    /// A token, key or other need is not there yet.
    NotReady(String),
    /// A service description cannot be given.
    Metadata {
        /// The service.
        service: String,
        /// Leaf code.
        leaf: String,
        /// Why.
        detail: String,
    },
    /// Evidence asked for by a client cannot be given.
    Evidence(String),
    /// A fault that the peer reported, passed on letter by letter (F5).
    Relayed(Box<RelayedFault>),
    /// A defect of ours.
    Internal(String),
}

/// A fault as another party wrote it; never respelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayedFault {
    /// `faultcode`.
    pub code: String,
    /// `faultstring`.
    pub string: String,
    /// `faultactor`.
    pub actor: String,
    /// `faultDetail`.
    pub detail: String,
}

impl Refusal {
    /// The fault code in the spelling of X-Road 7.8, for example
    /// `server.serverproxy.access_denied`; a relayed fault keeps its own.
    pub fn code(&self, side: Side) -> String {
        let leaf = match self {
            Self::HttpMethod(_) => return self.on_clients_side(side, "invalid_http_method"),
            Self::ContentType(_) => return self.on_clients_side(side, "invalid_content_type"),
            Self::SoapAction => return self.on_clients_side(side, "invalid_soap_action"),
            Self::Request { leaf, .. } => return self.on_clients_side(side, leaf),
            Self::ClientFault { code, .. } => return format!("client.{code}"),
            Self::TooLarge(_) => return self.on_clients_side(side, "invalid_soap"),
            Self::Relayed(fault) => return fault.code.clone(),
            Self::RestRequest { .. } => "bad_request",
            Self::UnknownClient(_) | Self::UnknownProvider(_) | Self::UnknownProviderHere(_) => {
                "unknown_member"
            }
            Self::ClientAuthentication { .. } => "ssl_authentication_failed",
            Self::UnknownSecurityServer { .. } => "invalid_security_server",
            Self::Maintenance { .. } => "maintenance_mode",
            Self::ConfigurationOutdated(_) => "global_conf_outdated",
            Self::NoPeer(_) => "network_error",
            Self::PeerAuthentication(_) => match side {
                Side::Consumer => "ssl_authentication_failed",
                Side::Provider => "service_failed.ssl_authentication_failed",
            },
            Self::PeerVersion { .. } => "client_proxy_version_not_supported",
            Self::PeerMessage { leaf, .. } => {
                return format!("{}.service_failed.{leaf}", side.prefix());
            }
            Self::PeerForm { leaf, .. } => leaf,
            Self::PeerBroken => "service_failed.io_error",
            Self::PeerSilent => "network_error",
            Self::MissingSignature => "missing_signature",
            Self::Signature { leaf, .. } => {
                return format!("{}.signature_verification.{leaf}", side.prefix());
            }
            Self::RequestHash => "inconsistent_response",
            Self::InconsistentResponse(_) => "service_failed.inconsistent_response",
            Self::UnknownService(_) => "unknown_service",
            Self::ServiceType { .. } => "service_type",
            Self::AccessDenied { .. } => "access_denied",
            Self::ServiceDisabled { .. } => "service_disabled",
            Self::ServiceUnreachable {
                unknown_host: true, ..
            } => "service_failed.unknown_host",
            Self::ServiceUnreachable { .. } => "service_failed.network_error",
            Self::ServiceAuthentication(_) => "service_failed.ssl_authentication_failed",
            Self::ServiceTimeout(_) => "service_failed.network_error",
            Self::ServiceStatus { .. } => "service_failed.http_error",
            Self::ServiceAnswer { leaf, .. } => {
                return format!("{}.service_failed.{leaf}", side.prefix());
            }
            Self::ServiceBroken(_) => "service_failed.io_error",
            Self::Signing(_) => "cannot_create_signature",
            Self::Logging(_) => "logging_failed.io_error",
            Self::Timestamping => "logging_failed.timestamping_failed",
            Self::NotReady(_) => "cannot_create_signature",
            Self::Metadata { leaf, .. } => leaf,
            Self::Evidence(_) => "not_found",
            // As X-Road calls it when it has run out of memory.
            Self::Crowded | Self::Internal(_) => "internal_error",
        };
        format!("{}.{leaf}", side.prefix())
    }

    // The same defect is the information system's on the consumer side and the peer's on the other.
    fn on_clients_side(&self, side: Side, leaf: &str) -> String {
        match side {
            Side::Consumer => format!("client.{leaf}"),
            Side::Provider => format!("server.serverproxy.{leaf}"),
        }
    }

    /// Whose fault it is.
    pub fn blame(&self, side: Side) -> Blame {
        match self {
            Self::HttpMethod(_)
            | Self::ContentType(_)
            | Self::SoapAction
            | Self::Request { .. }
            | Self::TooLarge(_) => match side {
                Side::Consumer => Blame::Client,
                Side::Provider => Blame::Peer,
            },
            Self::RestRequest { .. }
            | Self::ClientFault { .. }
            | Self::UnknownClient(_)
            | Self::ClientAuthentication { .. }
            | Self::UnknownProvider(_)
            | Self::UnknownProviderHere(_)
            | Self::UnknownSecurityServer { .. }
            | Self::UnknownService(_)
            | Self::ServiceType { .. }
            | Self::AccessDenied { .. }
            | Self::Evidence(_) => Blame::Client,
            Self::Maintenance { .. }
            | Self::NoPeer(_)
            | Self::PeerAuthentication(_)
            | Self::PeerVersion { .. }
            | Self::PeerMessage { .. }
            | Self::PeerForm { .. }
            | Self::PeerBroken
            | Self::PeerSilent
            | Self::MissingSignature
            | Self::Signature { .. }
            | Self::RequestHash
            | Self::InconsistentResponse(_)
            | Self::Relayed(_) => Blame::Peer,
            Self::ServiceDisabled { .. }
            | Self::ServiceUnreachable { .. }
            | Self::ServiceAuthentication(_)
            | Self::ServiceTimeout(_)
            | Self::ServiceStatus { .. }
            | Self::ServiceAnswer { .. }
            | Self::ServiceBroken(_)
            | Self::Metadata { .. } => Blame::Service,
            Self::ConfigurationOutdated(_)
            | Self::Signing(_)
            | Self::Logging(_)
            | Self::Timestamping
            | Self::NotReady(_)
            | Self::Crowded
            | Self::Internal(_) => Blame::Own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_carry_the_side_that_made_them() {
        let service = ServiceId::from_path("KG/GOV/1/s/x").unwrap();
        let client = service.client.clone();
        let cases = [
            (
                Refusal::UnknownProvider(client.clone()),
                Side::Consumer,
                "server.clientproxy.unknown_member",
            ),
            (
                Refusal::NoPeer(client.clone()),
                Side::Consumer,
                "server.clientproxy.network_error",
            ),
            (
                Refusal::PeerSilent,
                Side::Consumer,
                "server.clientproxy.network_error",
            ),
            (
                Refusal::PeerBroken,
                Side::Consumer,
                "server.clientproxy.service_failed.io_error",
            ),
            (
                Refusal::AccessDenied {
                    client: client.clone(),
                    service: service.clone(),
                },
                Side::Provider,
                "server.serverproxy.access_denied",
            ),
            (
                Refusal::Request {
                    leaf: "missing_body".into(),
                    detail: String::new(),
                },
                Side::Consumer,
                "client.missing_body",
            ),
            (
                Refusal::Signature {
                    leaf: "invalid_signature_value".into(),
                    detail: String::new(),
                },
                Side::Provider,
                "server.serverproxy.signature_verification.invalid_signature_value",
            ),
            (
                Refusal::ServiceUnreachable {
                    service,
                    unknown_host: false,
                },
                Side::Provider,
                "server.serverproxy.service_failed.network_error",
            ),
        ];
        for (refusal, side, code) in cases {
            assert_eq!(refusal.code(side), code);
        }
        let fault = RelayedFault {
            code: "Server.ServerProxy.AccessDenied".into(),
            string: String::new(),
            actor: String::new(),
            detail: String::new(),
        };
        assert_eq!(
            Refusal::Relayed(Box::new(fault)).code(Side::Consumer),
            "Server.ServerProxy.AccessDenied"
        );
    }
}
