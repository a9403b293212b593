//! The bytes between Security Servers (PR-MESSTRANSP, section 1.5 of the protocol
//! notes): one multipart per message, whose parts follow one another in a fixed order.
//!
//! [`TransportDecoder`] reads it piece by piece, [`TransportEncoder`] writes it.

mod decoder;
mod encoder;

pub use decoder::{TransportDecoder, TransportError, TransportEvent, TransportLimits};
pub use encoder::TransportEncoder;

use crate::multipart::{is_type, parameter};

/// Request header: algorithm of the digests in hash chains (T10), `SHA-512`.
pub const HEADER_HASH_ALGORITHM: &str = "x-hash-algorithm";
/// Request header: version of the consumer's Security Server (T11).
pub const HEADER_PROXY_VERSION: &str = "x-proxy-version";
/// Content type that the information system or service used (T12, T17).
pub const HEADER_ORIGINAL_CONTENT_TYPE: &str = "x-original-content-type";
/// Request header: UUID of the exchange (T13, R5).
pub const HEADER_REQUEST_ID: &str = "x-road-request-id";
/// Request header: the consumer's SOAPAction (T14).
pub const HEADER_ORIGINAL_SOAP_ACTION: &str = "x-original-soapaction";
/// Request header: `REST`, or absent for SOAP (T15).
pub const HEADER_MESSAGE_TYPE: &str = "x-road-message-type";
/// Value of [`HEADER_MESSAGE_TYPE`] for REST.
pub const MESSAGE_TYPE_REST: &str = "REST";
/// The version we announce: peers with a minimum ask for 7.6.0 (V2).
pub const PROXY_VERSION: &str = "7.8.0";

/// The whole message.
pub const TYPE_MIXED: &str = "multipart/mixed";
/// A SOAP message or fault.
pub const TYPE_SOAP: &str = "text/xml";
/// A SOAP message with XOP (MTOM).
pub const TYPE_XOP: &str = "application/xop+xml";
/// An information system's SOAP message with attachments.
pub const TYPE_RELATED: &str = "multipart/related";
/// An OCSP response in DER.
pub const TYPE_OCSP: &str = "application/ocsp-response";
/// The head of a REST request.
pub const TYPE_REST_REQUEST: &str = "application/x-road-rest-request";
/// The head of a REST response.
pub const TYPE_REST_RESPONSE: &str = "application/x-road-rest-response";
/// The body of a REST message.
pub const TYPE_REST_BODY: &str = "application/x-road-rest-body";
/// The result of the hash chain.
pub const TYPE_HASH_CHAIN_RESULT: &str = "application/hash-chain-result";
/// The hash chain.
pub const TYPE_HASH_CHAIN: &str = "application/hash-chain";
/// The signature.
pub const TYPE_SIGNATURE: &str = "signature/bdoc-1.0/ts";
/// SOAP as X-Road writes its content type.
pub const CONTENT_TYPE_SOAP: &str = "text/xml; charset=UTF-8";

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the consumer's to the provider's Security Server.
    Request,
    /// Back.
    Response,
}

/// Which message protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// PR-MESS.
    Soap,
    /// PR-REST.
    Rest,
}

impl Protocol {
    /// The protocol that [`HEADER_MESSAGE_TYPE`] names.
    pub fn of_header(value: Option<&str>) -> Self {
        match value {
            Some(value) if value.trim().eq_ignore_ascii_case(MESSAGE_TYPE_REST) => Self::Rest,
            _ => Self::Soap,
        }
    }
}

/// The content type of a whole message with the given boundary (T16).
pub fn content_type(boundary: &str) -> String {
    format!("multipart/mixed; charset=UTF-8; boundary={boundary}")
}

/// What the HTTP answer of a peer holds (T20).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerForm {
    /// A fault alone: read it with [`crate::fault::Fault::decode`].
    Fault,
    /// A message: read it with a [`TransportDecoder`].
    Message,
}

/// Says from its content type what a peer's answer holds.
///
/// # Errors
/// Neither a fault nor a message: `invalid_content_type`.
pub fn answer_form(content_type: &str) -> Result<AnswerForm, TransportError> {
    if is_type(content_type, TYPE_SOAP) {
        Ok(AnswerForm::Fault)
    } else if is_type(content_type, TYPE_MIXED) && parameter(content_type, "boundary").is_some() {
        Ok(AnswerForm::Message)
    } else {
        Err(TransportError::ContentType("the answer"))
    }
}
