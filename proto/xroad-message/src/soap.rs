//! SOAP messages of PR-MESS: the envelope is read in a single pass over its bytes
//! and never written again, so that what is signed is what was received (M9).

mod answer;
mod identifier;
mod scan;

use bytes::Bytes;
use xroad_id::{ClientId, SecurityServerId, ServiceId};

pub use answer::{AnswerError, MAX_DECLARED_CHARSET, check_consistent, decode_charset};
pub use identifier::{Identifier, IdentifierError, decode_identifier, encode_identifier};

use crate::NS_XROAD;
use crate::fault::{Fault, code};
use crate::xml::XmlError;

/// Algorithm of request hashes (M11).
pub const REQUEST_HASH_ALGORITHM: &str = "http://www.w3.org/2001/04/xmlenc#sha512";

/// Bounds of what is read.
#[derive(Debug, Clone, Copy)]
pub struct SoapLimits {
    /// Bytes of the message.
    pub bytes: usize,
    /// Depth of elements, the envelope being 1.
    pub depth: usize,
}

impl Default for SoapLimits {
    fn default() -> Self {
        Self {
            bytes: 10 * 1024 * 1024,
            depth: 128,
        }
    }
}

/// What kind of message is expected; the rules of both are the same but for the
/// fields that only an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// A request from an information system or a consumer's Security Server.
    Request,
    /// An answer of a service or of a provider's Security Server.
    Response,
}

/// A field of the SOAP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// `client`.
    Client,
    /// `service`.
    Service,
    /// `id`.
    Id,
    /// `userId`.
    UserId,
    /// `issue`.
    Issue,
    /// `protocolVersion`.
    ProtocolVersion,
    /// `securityServer`.
    SecurityServer,
    /// `representedParty`.
    RepresentedParty,
    /// `requestHash`.
    RequestHash,
}

impl Field {
    /// The local name of its element.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Service => "service",
            Self::Id => "id",
            Self::UserId => "userId",
            Self::Issue => "issue",
            Self::ProtocolVersion => "protocolVersion",
            Self::SecurityServer => "securityServer",
            Self::RepresentedParty => "representedParty",
            Self::RequestHash => "requestHash",
        }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes are not a SOAP message of PR-MESS (M4). The fault is the writer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SoapError {
    /// Longer than [`SoapLimits::bytes`].
    #[error("the SOAP message is longer than {0} bytes")]
    TooLong(usize),
    /// Not well-formed XML, or XML with what we refuse.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// The root is not the envelope of SOAP 1.1.
    #[error("the message is not a SOAP 1.1 envelope")]
    Envelope,
    /// No header.
    #[error("the SOAP header is missing")]
    MissingHeader,
    /// A header field that must be there is not.
    #[error("the SOAP header has no field {0}")]
    MissingField(Field),
    /// A header field twice.
    #[error("the SOAP header has the field {0} twice")]
    DuplicateField(Field),
    /// Header or body twice.
    #[error("the SOAP envelope has two headers or bodies")]
    DuplicateSection,
    /// An identifier that cannot be read.
    #[error("the field {0} is not an identifier: {1}")]
    Identifier(Field, IdentifierError),
    /// Not version 4 of the protocol (M1).
    #[error("the protocol version is not 4.x")]
    ProtocolVersion,
    /// No body.
    #[error("the SOAP body is missing")]
    MissingBody,
    /// None or several elements in the body.
    #[error("the SOAP body must hold one element")]
    Body,
    /// The element in the body does not begin with the service's code (M5).
    #[error("the element in the SOAP body is not that of the service")]
    Wrapper,
    /// A fault where a message is expected.
    #[error("a SOAP fault where a message is expected")]
    Fault(Box<Fault>),
}

impl SoapError {
    /// The leaf of the fault code. For a fault in place of a message it is the
    /// fault's own code.
    pub fn code(&self) -> &str {
        match self {
            Self::TooLong(_) | Self::Xml(_) | Self::Envelope | Self::DuplicateSection => {
                code::INVALID_SOAP
            }
            Self::MissingHeader => code::MISSING_HEADER,
            Self::MissingField(_) => code::MISSING_HEADER_FIELD,
            Self::DuplicateField(_) => code::DUPLICATE_HEADER_FIELD,
            Self::Identifier(..) => code::INVALID_XML,
            Self::ProtocolVersion => code::INVALID_PROTOCOL_VERSION,
            Self::MissingBody => code::MISSING_BODY,
            Self::Body => code::INVALID_BODY,
            Self::Wrapper => code::INCONSISTENT_HEADERS,
            Self::Fault(fault) => &fault.code,
        }
    }
}

/// The party on whose behalf the client asks (X2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepresentedParty {
    /// Class of the party.
    pub class: Option<String>,
    /// Code of the party.
    pub code: String,
}

/// The hash of the request in an answer (M11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHash {
    /// URI of the digest algorithm.
    pub algorithm: String,
    /// The digest in base64, as written.
    pub value: String,
}

/// Byte positions of what [`SoapMessage::with_request_hash`] needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Positions {
    /// Byte after the element `id`.
    id_end: usize,
    /// Prefix of the element `id` with its colon, or nothing.
    prefix: String,
    /// Whether that prefix is bound to X-Road's namespace around the element too.
    is_bound: bool,
    /// The element `requestHash`.
    request_hash: Option<(usize, usize)>,
}

/// A SOAP message: its header fields and its bytes, untouched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoapMessage {
    /// Who asks.
    pub client: ClientId,
    /// What is asked for.
    pub service: ServiceId,
    /// Id of the message, given by the client.
    pub id: String,
    /// Person on whose behalf it asks; may be empty.
    pub user_id: Option<String>,
    /// Case or document in question; may be empty.
    pub issue: Option<String>,
    /// Version of the message protocol, `4.` and more.
    pub protocol_version: String,
    /// The Security Server that is to answer (X1).
    pub security_server: Option<SecurityServerId>,
    /// The party that is represented (X2).
    pub represented_party: Option<RepresentedParty>,
    /// The hash of the request, in answers.
    pub request_hash: Option<RequestHash>,
    /// Namespace of the element in the body.
    pub body_namespace: String,
    /// Local name of the element in the body.
    pub body_name: String,
    bytes: Bytes,
    positions: Positions,
}

/// A SOAP message or a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Soap {
    /// A message with X-Road's header.
    Message(Box<SoapMessage>),
    /// A fault with its bytes, which need no header.
    Fault(Fault, Bytes),
}

impl Soap {
    /// Reads a message or fault in one pass. A byte order mark is skipped and stays
    /// in the bytes (M7).
    ///
    /// # Errors
    /// The bytes are neither.
    pub fn decode(bytes: &Bytes, limits: &SoapLimits, expect: Expect) -> Result<Self, SoapError> {
        if bytes.len() > limits.bytes {
            return Err(SoapError::TooLong(limits.bytes));
        }
        scan::decode(bytes, limits, expect)
    }

    /// The bytes as they were read.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Message(message) => &message.bytes,
            Self::Fault(_, bytes) => bytes,
        }
    }
}

impl SoapMessage {
    /// Reads a message in one pass.
    ///
    /// # Errors
    /// The bytes are not a message; a fault is [`SoapError::Fault`].
    pub fn decode(bytes: &Bytes, limits: &SoapLimits, expect: Expect) -> Result<Self, SoapError> {
        match Soap::decode(bytes, limits, expect)? {
            Soap::Message(message) => Ok(*message),
            Soap::Fault(fault, _) => Err(SoapError::Fault(Box::new(fault))),
        }
    }

    /// The bytes as they were read.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether the element in the body ends with `Response` (M5).
    pub fn is_response(&self) -> bool {
        self.body_name.ends_with("Response")
    }

    /// Whether the element in the body is exactly that of the service: its code, for
    /// an answer its code and `Response`. X-Road demands only that it begins so
    /// (T-SO-4).
    pub fn is_wrapper_exact(&self, expect: Expect) -> bool {
        match (
            self.body_name.strip_prefix(&self.service.service_code),
            expect,
        ) {
            (Some(rest), Expect::Request) => rest.is_empty(),
            (Some(rest), Expect::Response) => rest == "Response",
            (None, _) => false,
        }
    }

    /// The bytes of this answer with the hash of its request: `requestHash` right
    /// after `id` with that element's prefix, in place of one that the service may
    /// have written itself (M11).
    ///
    /// `hash` is base64(SHA-512(request bytes)).
    pub fn with_request_hash(&self, hash: &str) -> Vec<u8> {
        let Positions {
            id_end,
            prefix,
            is_bound,
            request_hash,
        } = &self.positions;
        let declaration = match prefix.strip_suffix(':') {
            _ if *is_bound => String::new(),
            Some(prefix) => format!(" xmlns:{prefix}=\"{NS_XROAD}\""),
            None => format!(" xmlns=\"{NS_XROAD}\""),
        };
        let mut out = Vec::with_capacity(self.bytes.len() + 2 * prefix.len() + hash.len() + 100);
        let insert = |out: &mut Vec<u8>| {
            for piece in [
                "<",
                prefix,
                "requestHash",
                &declaration,
                " algorithmId=\"",
                REQUEST_HASH_ALGORITHM,
                "\">",
                hash,
                "</",
                prefix,
                "requestHash>",
            ] {
                out.extend_from_slice(piece.as_bytes());
            }
        };
        let slice = |from: usize, to: usize| self.bytes.get(from..to).unwrap_or_default();
        let end = self.bytes.len();
        match *request_hash {
            Some((start, stop)) if start >= *id_end => {
                out.extend_from_slice(slice(0, *id_end));
                insert(&mut out);
                out.extend_from_slice(slice(*id_end, start));
                out.extend_from_slice(slice(stop, end));
            }
            Some((start, stop)) => {
                out.extend_from_slice(slice(0, start));
                out.extend_from_slice(slice(stop, *id_end));
                insert(&mut out);
                out.extend_from_slice(slice(*id_end, end));
            }
            None => {
                out.extend_from_slice(slice(0, *id_end));
                insert(&mut out);
                out.extend_from_slice(slice(*id_end, end));
            }
        }
        out
    }
}
