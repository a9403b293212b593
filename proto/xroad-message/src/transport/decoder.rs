//! Reading a transport message piece by piece.

use bytes::{Bytes, BytesMut};

use super::{
    Direction, Protocol, TYPE_HASH_CHAIN, TYPE_HASH_CHAIN_RESULT, TYPE_MIXED, TYPE_OCSP,
    TYPE_REST_BODY, TYPE_REST_REQUEST, TYPE_REST_RESPONSE, TYPE_SIGNATURE, TYPE_SOAP, TYPE_XOP,
};
use crate::fault::{Fault, code};
use crate::multipart::{
    Headers, MultipartDecoder, MultipartError, MultipartEvent, MultipartLimits, boundary_of,
    essence, is_type,
};

/// Bounds of what a [`TransportDecoder`] holds in memory, in bytes unless said otherwise.
#[derive(Debug, Clone, Copy)]
pub struct TransportLimits {
    /// OCSP responses, how many.
    pub ocsp_responses: usize,
    /// One OCSP response.
    pub ocsp_response: usize,
    /// The SOAP message.
    pub soap: usize,
    /// The head of a REST message.
    pub rest_head: usize,
    /// The result of the hash chain.
    pub hash_chain_result: usize,
    /// The hash chain; it has some 200 bytes per attachment.
    pub hash_chain: usize,
    /// The signature.
    pub signature: usize,
    /// A fault.
    pub fault: usize,
    /// Attachments, how many.
    pub attachments: usize,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            ocsp_responses: 10,
            ocsp_response: 64 * 1024,
            soap: 10 * 1024 * 1024,
            rest_head: 256 * 1024,
            hash_chain_result: 64 * 1024,
            hash_chain: 1024 * 1024,
            signature: 256 * 1024,
            fault: 256 * 1024,
            attachments: 4096,
        }
    }
}

/// Why a transport message is refused. The fault is the peer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The content type of the message or of a part is not the one expected there
    /// (T16, T-TR-3): also if parts come in another order.
    #[error("the content type of {0} is not expected there")]
    ContentType(&'static str),
    /// REST where SOAP is expected, or no message part at all (T15).
    #[error("the message has no SOAP part")]
    MissingSoap,
    /// SOAP where REST is expected, or no message part at all.
    #[error("the message has no REST part")]
    MissingRest,
    /// The multipart ends without signature (T21).
    #[error("the message has no signature")]
    MissingSignature,
    /// Something follows the signature or fault (T19).
    #[error("a part follows the end of the message")]
    ExtraPart,
    /// A part is not DER as an OCSP response must be.
    #[error("an OCSP response is not DER")]
    Ocsp,
    /// A part that is kept in memory exceeds its limit.
    #[error("{0} is too long")]
    TooLong(&'static str),
    /// Too many parts of a kind.
    #[error("the message has too many {0}")]
    TooMany(&'static str),
    /// Not a multipart.
    #[error(transparent)]
    Multipart(#[from] MultipartError),
}

impl TransportError {
    /// The leaf of the fault code. X-Road puts `service_failed` in front of all but
    /// `missing_soap` and `missing_signature`; see [`TransportError::is_service_failed`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::ContentType(_) => code::INVALID_CONTENT_TYPE,
            Self::MissingSoap => code::MISSING_SOAP,
            Self::MissingRest => code::MISSING_REST,
            Self::MissingSignature => code::MISSING_SIGNATURE,
            Self::Ocsp => code::IO_ERROR,
            Self::ExtraPart | Self::TooLong(_) | Self::TooMany(_) => code::INVALID_MESSAGE,
            Self::Multipart(error) => match error {
                MultipartError::Boundary => code::INVALID_CONTENT_TYPE,
                MultipartError::Truncated => code::IO_ERROR,
                _ => code::MIME_PARSING_FAILED,
            },
        }
    }

    /// Whether X-Road writes `service_failed` before the leaf.
    pub fn is_service_failed(&self) -> bool {
        !matches!(
            self,
            Self::MissingSoap | Self::MissingRest | Self::MissingSignature
        )
    }
}

/// What a [`TransportDecoder`] found, in X-Road's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    /// An OCSP response in DER; all come before the message (T6).
    OcspResponse(Bytes),
    /// The SOAP message or the head of the REST message, whole.
    Message {
        /// The content type of its part.
        content_type: String,
        /// The other headers of its part, in order.
        headers: Headers,
        /// Its bytes, as they are signed.
        bytes: Bytes,
    },
    /// An attachment of a SOAP message begins.
    AttachmentStart(Headers),
    /// The next bytes of the attachment, as they are signed.
    AttachmentData(Bytes),
    /// The attachment is complete.
    AttachmentEnd,
    /// The REST message has a body, which begins; it may be empty.
    RestBodyStart,
    /// The next bytes of the REST body.
    RestBodyData(Bytes),
    /// The REST body is complete.
    RestBodyEnd,
    /// The result of the hash chain.
    HashChainResult(Bytes),
    /// The hash chain.
    HashChain(Bytes),
    /// The signature; nothing may follow but `End`.
    Signature(Bytes),
    /// A SOAP fault in place of a signature: the sender gave up, and all that came
    /// before is void (T20). In a request it means that the signature is missing (T21).
    Fault(Bytes),
    /// The message is complete.
    End,
}

/// Where in the order of parts we are: the last kind that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Start,
    Message,
    Content,
    HashChainResult,
    HashChain,
    /// Signature or fault.
    Last,
}

/// The part that is being read.
#[derive(Debug)]
enum Part {
    None,
    Kept(Kept),
    Attachments(Box<MultipartDecoder>),
    RestBody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Ocsp,
    Message,
    HashChainResult,
    HashChain,
    Signature,
    Fault,
}

/// A push decoder of a transport message. [`TransportDecoder::feed`] takes the next
/// bytes of the HTTP body, [`TransportDecoder::next`] is called until it gives
/// `None`, and [`TransportDecoder::finish`] is called once the body is over.
/// Attachments and REST bodies are handed on as slices of what was fed.
#[derive(Debug)]
pub struct TransportDecoder {
    outer: MultipartDecoder,
    limits: TransportLimits,
    direction: Direction,
    protocol: Protocol,
    stage: Stage,
    part: Part,
    part_headers: Headers,
    kept: Bytes,
    gathered: BytesMut,
    ocsp_responses: usize,
    attachments: usize,
    /// The message of a response, in case it turns out to be a fault without signature.
    lone_message: Option<Bytes>,
    /// `End` is due after a fault that was found at the end.
    end_due: bool,
    nested_parts: usize,
}

impl TransportDecoder {
    /// A decoder for a message with the given HTTP content type.
    ///
    /// # Errors
    /// The content type is not `multipart/mixed` with a boundary (T16).
    pub fn new(
        direction: Direction,
        protocol: Protocol,
        content_type: &str,
        limits: TransportLimits,
    ) -> Result<Self, TransportError> {
        if !is_type(content_type, TYPE_MIXED) {
            return Err(TransportError::ContentType("the message"));
        }
        let boundary = boundary_of(content_type)?;
        let outer_limits = MultipartLimits {
            parts: limits.ocsp_responses + 8,
            ..MultipartLimits::default()
        };
        Ok(Self {
            outer: MultipartDecoder::new(&boundary, outer_limits)?,
            limits,
            direction,
            protocol,
            stage: Stage::Start,
            part: Part::None,
            part_headers: Headers::new(),
            kept: Bytes::new(),
            gathered: BytesMut::new(),
            ocsp_responses: 0,
            attachments: 0,
            lone_message: None,
            end_due: false,
            nested_parts: limits.attachments.saturating_add(1),
        })
    }

    /// How many bytes of the part that is being read are in memory until it is whole.
    pub fn held(&self) -> usize {
        self.kept.len() + self.gathered.len()
    }

    /// Gives the decoder the next bytes of the body.
    pub fn feed(&mut self, chunk: Bytes) {
        self.outer.feed(chunk);
    }

    /// The next event, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// The message is not in order; the decoder must not be used any further.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<TransportEvent>, TransportError> {
        if self.end_due {
            self.end_due = false;
            return Ok(Some(TransportEvent::End));
        }
        loop {
            if let Part::Attachments(inner) = &mut self.part {
                match inner.next()? {
                    Some(MultipartEvent::PartStart(headers)) => {
                        self.attachments += 1;
                        if self.attachments > self.limits.attachments {
                            return Err(TransportError::TooMany("attachments"));
                        }
                        return Ok(Some(TransportEvent::AttachmentStart(headers)));
                    }
                    Some(MultipartEvent::Data(data)) => {
                        return Ok(Some(TransportEvent::AttachmentData(data)));
                    }
                    Some(MultipartEvent::PartEnd) => {
                        return Ok(Some(TransportEvent::AttachmentEnd));
                    }
                    Some(MultipartEvent::End) | None => {}
                }
            }
            let Some(event) = self.outer.next()? else {
                return Ok(None);
            };
            let found = match event {
                MultipartEvent::PartStart(headers) => self.start_part(headers)?,
                MultipartEvent::Data(data) => self.take_data(data)?,
                MultipartEvent::PartEnd => self.end_part()?,
                MultipartEvent::End => Some(self.end()?),
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// Says whether the message was complete, once the body is over and all events
    /// were read.
    ///
    /// # Errors
    /// The body ended before the closing delimiter (T24: we do not rely on peers
    /// that leave it out).
    pub fn finish(&self) -> Result<(), TransportError> {
        Ok(self.outer.finish()?)
    }

    fn missing_message(&self) -> TransportError {
        match self.protocol {
            Protocol::Soap => TransportError::MissingSoap,
            Protocol::Rest => TransportError::MissingRest,
        }
    }

    /// Decides from the content type what the next part is, which must fit the order.
    fn start_part(&mut self, headers: Headers) -> Result<Option<TransportEvent>, TransportError> {
        if self.stage == Stage::Last {
            return Err(TransportError::ExtraPart);
        }
        let content_type = headers.content_type().unwrap_or("");
        let is = |wanted| is_type(content_type, wanted);
        let mut event = None;
        // only a message that nothing follows can be a fault alone
        self.lone_message = None;
        let (stage, part) = match self.stage {
            Stage::Start if is(TYPE_OCSP) => {
                self.ocsp_responses += 1;
                if self.ocsp_responses > self.limits.ocsp_responses {
                    return Err(TransportError::TooMany("OCSP responses"));
                }
                (Stage::Start, Part::Kept(Kept::Ocsp))
            }
            Stage::Start => {
                self.check_message_type(content_type)?;
                (Stage::Message, Part::Kept(Kept::Message))
            }
            Stage::Message if is(TYPE_MIXED) && self.protocol == Protocol::Soap => {
                let boundary = boundary_of(content_type)?;
                let limits = MultipartLimits {
                    parts: self.nested_parts,
                    ..MultipartLimits::default()
                };
                let inner = MultipartDecoder::new(&boundary, limits)?;
                (Stage::Content, Part::Attachments(Box::new(inner)))
            }
            Stage::Message if is(TYPE_REST_BODY) && self.protocol == Protocol::Rest => {
                event = Some(TransportEvent::RestBodyStart);
                (Stage::Content, Part::RestBody)
            }
            Stage::Message | Stage::Content if is(TYPE_HASH_CHAIN_RESULT) => {
                (Stage::HashChainResult, Part::Kept(Kept::HashChainResult))
            }
            Stage::HashChainResult if is(TYPE_HASH_CHAIN) => {
                (Stage::HashChain, Part::Kept(Kept::HashChain))
            }
            Stage::Message | Stage::Content | Stage::HashChain if is(TYPE_SIGNATURE) => {
                (Stage::Last, Part::Kept(Kept::Signature))
            }
            _ if is(TYPE_SOAP) => (Stage::Last, Part::Kept(Kept::Fault)),
            _ => return Err(TransportError::ContentType("a part")),
        };
        self.stage = stage;
        self.part = part;
        self.part_headers = headers;
        Ok(event)
    }

    fn check_message_type(&self, content_type: &str) -> Result<(), TransportError> {
        let rest = match self.direction {
            Direction::Request => TYPE_REST_REQUEST,
            Direction::Response => TYPE_REST_RESPONSE,
        };
        let is_soap = is_type(content_type, TYPE_SOAP) || is_type(content_type, TYPE_XOP);
        let is_rest = is_type(content_type, rest);
        match self.protocol {
            Protocol::Soap if is_soap => Ok(()),
            Protocol::Soap if is_rest => Err(TransportError::MissingSoap),
            Protocol::Rest if is_rest => Ok(()),
            // a provider that cannot even read the request answers with a fault part (T-TR-4)
            Protocol::Rest if is_soap && self.direction == Direction::Response => Ok(()),
            Protocol::Rest if is_soap => Err(TransportError::MissingRest),
            _ => Err(TransportError::ContentType("the message part")),
        }
    }

    fn limit(&self, kept: Kept) -> (usize, &'static str) {
        match kept {
            Kept::Ocsp => (self.limits.ocsp_response, "an OCSP response"),
            Kept::Message => match self.protocol {
                Protocol::Soap => (self.limits.soap, "the SOAP message"),
                Protocol::Rest => (self.limits.rest_head, "the REST message's head"),
            },
            Kept::HashChainResult => (self.limits.hash_chain_result, "the hash chain result"),
            Kept::HashChain => (self.limits.hash_chain, "the hash chain"),
            Kept::Signature => (self.limits.signature, "the signature"),
            Kept::Fault => (self.limits.fault, "the fault"),
        }
    }

    fn take_data(&mut self, data: Bytes) -> Result<Option<TransportEvent>, TransportError> {
        match &mut self.part {
            Part::None => Ok(None),
            Part::RestBody => Ok(Some(TransportEvent::RestBodyData(data))),
            Part::Attachments(inner) => {
                inner.feed(data);
                Ok(None)
            }
            Part::Kept(kept) => {
                let (limit, what) = {
                    let kept = *kept;
                    self.limit(kept)
                };
                let held = self.kept.len() + self.gathered.len();
                if held + data.len() > limit {
                    return Err(TransportError::TooLong(what));
                }
                if held == 0 {
                    self.kept = data;
                } else {
                    if self.gathered.is_empty() {
                        self.gathered.reserve(self.kept.len() + data.len());
                        self.gathered.extend_from_slice(&self.kept);
                        self.kept = Bytes::new();
                    }
                    self.gathered.extend_from_slice(&data);
                }
                Ok(None)
            }
        }
    }

    fn end_part(&mut self) -> Result<Option<TransportEvent>, TransportError> {
        let part = std::mem::replace(&mut self.part, Part::None);
        let kept = match part {
            Part::None => return Ok(None),
            Part::RestBody => return Ok(Some(TransportEvent::RestBodyEnd)),
            Part::Attachments(inner) => {
                inner.finish()?;
                return Ok(None);
            }
            Part::Kept(kept) => kept,
        };
        let bytes = if self.gathered.is_empty() {
            std::mem::take(&mut self.kept)
        } else {
            self.gathered.split().freeze()
        };
        Ok(Some(match kept {
            Kept::Ocsp => {
                if !is_der_sequence(&bytes) {
                    return Err(TransportError::Ocsp);
                }
                TransportEvent::OcspResponse(bytes)
            }
            Kept::Message => {
                let headers = std::mem::take(&mut self.part_headers);
                let content_type = headers.content_type().unwrap_or("").to_owned();
                if self.direction == Direction::Response
                    && essence(&content_type).eq_ignore_ascii_case(TYPE_SOAP)
                {
                    self.lone_message = Some(bytes.clone());
                }
                TransportEvent::Message {
                    content_type,
                    headers: headers.without_content_type(),
                    bytes,
                }
            }
            Kept::HashChainResult => TransportEvent::HashChainResult(bytes),
            Kept::HashChain => TransportEvent::HashChain(bytes),
            Kept::Signature => TransportEvent::Signature(bytes),
            Kept::Fault => TransportEvent::Fault(bytes),
        }))
    }

    fn end(&mut self) -> Result<TransportEvent, TransportError> {
        match self.stage {
            Stage::Last => Ok(TransportEvent::End),
            Stage::Start => Err(self.missing_message()),
            _ => match self.lone_message.take() {
                Some(bytes) if Fault::decode(&bytes).is_ok() => {
                    self.end_due = true;
                    Ok(TransportEvent::Fault(bytes))
                }
                _ => Err(TransportError::MissingSignature),
            },
        }
    }
}

/// Whether the bytes are one DER SEQUENCE; what is in it is for others to read.
fn is_der_sequence(bytes: &[u8]) -> bool {
    let (length, rest) = match bytes {
        [0x30, short @ 0..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [0x30, 0x81, a, rest @ ..] => (usize::from(*a), rest),
        [0x30, 0x82, a, b, rest @ ..] => (usize::from(*a) << 8 | usize::from(*b), rest),
        _ => return false,
    };
    length == rest.len()
}
