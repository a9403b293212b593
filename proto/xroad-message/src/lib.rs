//! The messages of X-Road as bytes: SOAP (PR-MESS), REST (PR-REST), the transport
//! between Security Servers (PR-MESSTRANSP), faults and metadata (PR-META, PR-MREST).
//!
//! Everything here is pure: bytes come in, values or bytes go out. Whatever may be
//! large (attachments, REST bodies) passes through push decoders piece by piece and
//! is never gathered; whatever is gathered has a limit.
//!
//! Every error has a method `code` with the leaf of X-Road's fault code in the
//! spelling of 7.8 (`invalid_soap`); the caller adds the prefix that says whose
//! side failed ([`fault::FaultCode::new`]).

pub mod asic_request;
pub mod certificate_status;
pub mod fault;
pub mod metadata;
pub mod multipart;
pub mod path;
pub mod rest;
pub mod soap;
pub mod soap_stream;
pub mod transport;
mod xml;

pub use xml::XmlError;

/// Namespace of SOAP 1.1 envelopes.
pub const NS_SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Namespace of X-Road's header fields and metadata.
pub const NS_XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";
/// Namespace of X-Road's identifiers.
pub const NS_IDENTIFIERS: &str = "http://x-road.eu/xsd/identifiers";
/// Namespace of the represented party.
pub const NS_REPRESENTATION: &str = "http://x-road.eu/xsd/representation.xsd";
