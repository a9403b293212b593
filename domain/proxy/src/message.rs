//! Requests and answers of both message protocols under one face.

use bytes::Bytes;
use globalconf::Current;
use messagelog::{Attachment, ConfigurationId, Direction, MessageKind, NewRecord, Side as LogSide};
use xroad_id::{ClientId, SecurityServerId, ServiceId};
use xroad_message::rest::{RestRequest, RestResponse};
use xroad_message::soap::{Field, REQUEST_HASH_ALGORITHM, SoapMessage, check_consistent};

use crate::consumer::RequestHash;
use crate::refusal::Refusal;

/// Codes of the services that describe services (D2, D3).
const SOAP_METADATA: [&str; 3] = ["listMethods", "allowedMethods", "getWsdl"];
/// The same for REST (D4, D5).
const REST_METADATA: [&str; 3] = ["listMethods", "allowedMethods", "getOpenAPI"];

/// A request as its first part says it.
#[derive(Debug, Clone)]
pub enum Request {
    /// PR-MESS.
    Soap {
        /// The envelope.
        message: Box<SoapMessage>,
        /// `x-road-request-id` of the exchange (T13).
        request_id: Option<String>,
    },
    /// PR-REST.
    Rest {
        /// Request line and headers.
        head: Box<RestRequest>,
        /// The bytes of the part, as signed.
        bytes: Bytes,
    },
}

impl Request {
    /// Who asks.
    pub fn client(&self) -> &ClientId {
        match self {
            Self::Soap { message, .. } => &message.client,
            Self::Rest { head, .. } => &head.client,
        }
    }

    /// What is asked for.
    pub fn service(&self) -> &ServiceId {
        match self {
            Self::Soap { message, .. } => &message.service,
            Self::Rest { head, .. } => &head.service,
        }
    }

    /// The client's id of the message.
    pub fn id(&self) -> &str {
        match self {
            Self::Soap { message, .. } => &message.id,
            Self::Rest { head, .. } => head.id.as_deref().unwrap_or_default(),
        }
    }

    /// The id of the exchange.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Soap { request_id, .. } => request_id.as_deref(),
            Self::Rest { head, .. } => head.request_id.as_deref(),
        }
    }

    /// The Security Server that the client wants to answer (X1).
    pub fn security_server(&self) -> Option<&SecurityServerId> {
        match self {
            Self::Soap { message, .. } => message.security_server.as_ref(),
            Self::Rest { head, .. } => head.security_server.as_ref(),
        }
    }

    /// The bytes that are signed as `/message.xml`.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Soap { message, .. } => message.bytes(),
            Self::Rest { bytes, .. } => bytes,
        }
    }

    /// The message protocol.
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::Soap { .. } => MessageKind::Soap,
            Self::Rest { .. } => MessageKind::Rest,
        }
    }

    /// The REST head, if it is REST.
    pub fn rest(&self) -> Option<&RestRequest> {
        match self {
            Self::Soap { .. } => None,
            Self::Rest { head, .. } => Some(head),
        }
    }

    /// The SOAP message, if it is SOAP.
    pub fn soap(&self) -> Option<&SoapMessage> {
        match self {
            Self::Soap { message, .. } => Some(message),
            Self::Rest { .. } => None,
        }
    }

    /// Method and access path of a REST call (B3, B4); `None` for SOAP.
    ///
    /// # Errors
    /// The path cannot be matched without doubt.
    pub fn endpoint(&self) -> Result<Option<(String, String)>, Refusal> {
        let Self::Rest { head, .. } = self else {
            return Ok(None);
        };
        let path = head.access_path().map_err(|error| Refusal::RestRequest {
            detail: error.to_string(),
        })?;
        Ok(Some((head.verb.to_owned(), path)))
    }

    /// Whether it asks for descriptions of services, which every Security Server answers itself;
    /// over REST with GET alone, as in X-Road (`RestMetadataServiceHandlerImpl`).
    pub fn is_metadata(&self) -> bool {
        let code = &*self.service().service_code;
        match self {
            Self::Soap { .. } => SOAP_METADATA.contains(&code),
            Self::Rest { head, .. } => head.verb == "GET" && REST_METADATA.contains(&code),
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the fields of a record, most of them the caller's"
    )]
    pub(crate) fn record(
        &self,
        direction: Direction,
        side: LogSide,
        message: Bytes,
        attachments: Vec<Attachment>,
        signature: Bytes,
        hash_chain: Option<(Bytes, Bytes)>,
        configuration: &Current,
        time: u64,
    ) -> NewRecord {
        NewRecord {
            direction,
            side,
            kind: self.kind(),
            query_id: self.id().to_owned(),
            request_id: self.request_id().map(str::to_owned),
            client: self.client().clone(),
            service: self.service().clone(),
            time,
            message,
            attachments,
            signature,
            hash_chain,
            configuration: ConfigurationId(configuration.identity().0),
        }
    }
}

/// An answer as its first part says it.
#[derive(Debug, Clone)]
pub enum Response {
    /// A SOAP message that is not a fault.
    Soap(Box<SoapMessage>),
    /// A SOAP fault of the service, signed like any answer; it repeats no header (M23).
    SoapFault(Bytes),
    /// A REST response.
    Rest {
        /// Status line and headers.
        head: Box<RestResponse>,
        /// The bytes of the part, as signed.
        bytes: Bytes,
    },
}

impl Response {
    /// The bytes that are signed as `/message.xml`.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Soap(message) => message.bytes(),
            Self::SoapFault(bytes) | Self::Rest { bytes, .. } => bytes,
        }
    }

    /// Checks that the answer belongs to the request: its hash and the fields that it must
    /// repeat (M12, M13, T29).
    pub(crate) fn check_belongs_to(
        &self,
        request: &Request,
        hash: &RequestHash,
    ) -> Result<(), Refusal> {
        use xroad_message::rest::RestField;
        let hash = base64(hash.0.as_ref());
        match (self, request) {
            (Self::Soap(response), Request::Soap { message, .. }) => {
                let given = response.request_hash.as_ref().ok_or(Refusal::RequestHash)?;
                let value: String = given
                    .value
                    .chars()
                    .filter(|c| !c.is_ascii_whitespace())
                    .collect();
                if given.algorithm != REQUEST_HASH_ALGORITHM || value != hash {
                    return Err(Refusal::RequestHash);
                }
                check_consistent(message, response)
                    .map_err(|field: Field| Refusal::InconsistentResponse(field.name()))
            }
            (Self::SoapFault(_), Request::Soap { .. }) => Ok(()),
            (Self::Rest { head, .. }, Request::Rest { head: asked, .. }) => head
                .check_consistent(asked, &hash)
                .map_err(|field| match field {
                    RestField::RequestHash => Refusal::RequestHash,
                    RestField::Client => Refusal::InconsistentResponse("client"),
                    RestField::Service => Refusal::InconsistentResponse("service"),
                    RestField::Id => Refusal::InconsistentResponse("id"),
                    RestField::RequestId => Refusal::InconsistentResponse("request id"),
                }),
            _ => Err(Refusal::PeerMessage {
                leaf: "invalid_message".into(),
                detail: "the answer is of another message protocol than the request".into(),
            }),
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
