//! The HTTP body of an information system's SOAP request or of a service's answer,
//! read piece by piece: SOAP alone (`text/xml`, `application/xop+xml`) or with
//! attachments (`multipart/related`, M17, M19).

use bytes::{Bytes, BytesMut};

use crate::fault::code;
use crate::multipart::{
    Headers, MultipartDecoder, MultipartError, MultipartEvent, MultipartLimits, boundary_of,
    essence, is_type, parameter,
};
use crate::soap::Expect;
use crate::transport::{CONTENT_TYPE_SOAP, TYPE_RELATED, TYPE_SOAP, TYPE_XOP};

/// Multiparts within multiparts.
const MAX_NESTING: usize = 4;

/// Bounds of what a [`SoapStreamDecoder`] reads.
#[derive(Debug, Clone, Copy)]
pub struct SoapStreamLimits {
    /// Bytes of the SOAP message.
    pub soap: usize,
    /// Attachments, how many.
    pub attachments: usize,
}

impl Default for SoapStreamLimits {
    fn default() -> Self {
        Self {
            soap: 10 * 1024 * 1024,
            attachments: 4096,
        }
    }
}

/// Why a body is refused. The fault is the information system's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SoapStreamError {
    /// The request has no content type.
    #[error("the message has no content type")]
    NoContentType,
    /// The content type is not one that SOAP may have (M17).
    #[error("the content type is not text/xml, application/xop+xml or multipart/related")]
    ContentType,
    /// A part without content type.
    #[error("a part of the message has no content type")]
    PartContentType,
    /// The first part is not SOAP.
    #[error("the first part of the message is not SOAP")]
    FirstPart,
    /// A request in another charset than UTF-8.
    #[error("the request is not in UTF-8")]
    Charset,
    /// A request without a SOAP part.
    #[error("the message has no SOAP part")]
    MissingSoap,
    /// An answer without a SOAP part.
    #[error("the answer has no SOAP part")]
    EmptyAnswer,
    /// The SOAP message exceeds the limit.
    #[error("the SOAP message is longer than {0} bytes")]
    TooLong(usize),
    /// Too many attachments, or multiparts nested too deeply.
    #[error("the message has too many {0}")]
    TooMany(&'static str),
    /// Not a multipart.
    #[error(transparent)]
    Multipart(#[from] MultipartError),
}

impl SoapStreamError {
    /// The leaf of the fault code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoContentType => code::INVALID_REQUEST,
            Self::ContentType | Self::PartContentType | Self::FirstPart | Self::Charset => {
                code::INVALID_CONTENT_TYPE
            }
            Self::MissingSoap => code::MISSING_SOAP,
            Self::EmptyAnswer | Self::TooMany(_) => code::INVALID_MESSAGE,
            Self::TooLong(_) => code::INVALID_SOAP,
            Self::Multipart(error) => error.code(),
        }
    }
}

/// What a [`SoapStreamDecoder`] found, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SoapStreamEvent {
    /// The SOAP message, whole: read it with [`crate::soap::Soap::decode`] before
    /// going on.
    Message {
        /// The content type of its part, or of the HTTP message.
        content_type: String,
        /// The other headers of its part, in order; none if it stands alone.
        headers: Headers,
        /// Its bytes.
        bytes: Bytes,
    },
    /// An attachment begins, with its headers; it has a content type.
    AttachmentStart(Headers),
    /// The next bytes of the attachment, as they came: a transfer encoding is kept (M19).
    AttachmentData(Bytes),
    /// The attachment is complete.
    AttachmentEnd,
    /// The message is complete.
    End,
}

#[derive(Debug)]
enum Form {
    Alone,
    /// Open multiparts, the innermost last. X-Road takes the parts of a nested
    /// multipart for attachments, and so do we: both must count the same ones.
    Multipart(Vec<MultipartDecoder>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    None,
    Soap,
    Attachment,
    /// A part that is itself a multipart.
    Container,
}

/// A push decoder: [`SoapStreamDecoder::feed`] takes the next bytes,
/// [`SoapStreamDecoder::next`] is called until it gives `None`; once the body is
/// over [`SoapStreamDecoder::end_of_input`] is called and `next` again until `End`.
#[derive(Debug)]
pub struct SoapStreamDecoder {
    form: Form,
    expect: Expect,
    limits: SoapStreamLimits,
    content_type: String,
    headers: Headers,
    part: Part,
    soap_seen: bool,
    held: BytesMut,
    whole: Bytes,
    attachments: usize,
    input_over: bool,
    done: bool,
    pending_end: bool,
}

impl SoapStreamDecoder {
    /// A decoder for a body with the given HTTP content type.
    ///
    /// # Errors
    /// The content type is missing or not one that SOAP may have.
    pub fn new(
        expect: Expect,
        content_type: Option<&str>,
        limits: SoapStreamLimits,
    ) -> Result<Self, SoapStreamError> {
        let content_type = content_type
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .ok_or(match expect {
                Expect::Request => SoapStreamError::NoContentType,
                Expect::Response => SoapStreamError::ContentType,
            })?;
        let form = if is_soap(content_type) {
            check_charset(expect, content_type)?;
            Form::Alone
        } else if is_type(content_type, TYPE_RELATED) {
            let boundary = boundary_of(content_type)?;
            Form::Multipart(vec![MultipartDecoder::new(
                &boundary,
                part_limits(&limits),
            )?])
        } else {
            return Err(SoapStreamError::ContentType);
        };
        Ok(Self {
            form,
            expect,
            limits,
            content_type: content_type.to_owned(),
            headers: Headers::new(),
            part: Part::None,
            soap_seen: false,
            held: BytesMut::new(),
            whole: Bytes::new(),
            attachments: 0,
            input_over: false,
            done: false,
            pending_end: false,
        })
    }

    /// Gives the decoder the next bytes of the body.
    ///
    /// # Errors
    /// A SOAP message that stands alone exceeds the limit.
    pub fn feed(&mut self, chunk: Bytes) -> Result<(), SoapStreamError> {
        match &mut self.form {
            Form::Alone => self.hold(chunk),
            Form::Multipart(open) => {
                if let Some(outer) = open.first_mut() {
                    outer.feed(chunk);
                }
                Ok(())
            }
        }
    }

    /// How many bytes of the SOAP message are in memory until it is whole.
    pub fn held(&self) -> usize {
        self.whole.len() + self.held.len()
    }

    /// Says that the body is over.
    pub fn end_of_input(&mut self) {
        self.input_over = true;
    }

    /// The next event, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// The body is not in order; the decoder must not be used any further.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<SoapStreamEvent>, SoapStreamError> {
        if self.pending_end {
            self.pending_end = false;
            self.done = true;
            return Ok(Some(SoapStreamEvent::End));
        }
        if self.done {
            return Ok(None);
        }
        if matches!(self.form, Form::Alone) {
            if !self.input_over {
                return Ok(None);
            }
            self.pending_end = true;
            return Ok(Some(SoapStreamEvent::Message {
                content_type: self.content_type.clone(),
                headers: Headers::new(),
                bytes: self.take_held(),
            }));
        }
        loop {
            let Some((event, depth)) = self.next_part_event()? else {
                if !self.input_over {
                    return Ok(None);
                }
                // nothing at all is a message without SOAP, a part of one is cut off
                return Err(if self.soap_seen || self.part != Part::None {
                    MultipartError::Truncated.into()
                } else {
                    self.no_soap()
                });
            };
            if let Some(event) = self.handle(event, depth)? {
                return Ok(Some(event));
            }
        }
    }

    fn no_soap(&self) -> SoapStreamError {
        match self.expect {
            Expect::Request => SoapStreamError::MissingSoap,
            Expect::Response => SoapStreamError::EmptyAnswer,
        }
    }

    /// The next event of the innermost multipart that has one, and its depth.
    fn next_part_event(&mut self) -> Result<Option<(MultipartEvent, usize)>, SoapStreamError> {
        let Form::Multipart(open) = &mut self.form else {
            return Ok(None);
        };
        for depth in (0..open.len()).rev() {
            if let Some(event) = open[depth].next()? {
                return Ok(Some((event, depth)));
            }
        }
        Ok(None)
    }

    fn handle(
        &mut self,
        event: MultipartEvent,
        depth: usize,
    ) -> Result<Option<SoapStreamEvent>, SoapStreamError> {
        let Form::Multipart(open) = &mut self.form else {
            return Ok(None);
        };
        let innermost = depth + 1 == open.len();
        match event {
            MultipartEvent::PartStart(headers) => self.start_part(headers),
            MultipartEvent::Data(data) if !innermost => {
                open[depth + 1].feed(data);
                Ok(None)
            }
            MultipartEvent::Data(data) => match self.part {
                Part::Soap => {
                    self.hold(data)?;
                    Ok(None)
                }
                Part::Attachment => Ok(Some(SoapStreamEvent::AttachmentData(data))),
                Part::Container | Part::None => Ok(None),
            },
            MultipartEvent::PartEnd if !innermost => {
                // the part that holds the nested multipart is over
                if let Some(inner) = open.pop() {
                    inner.finish()?;
                }
                self.part = Part::None;
                Ok(None)
            }
            MultipartEvent::PartEnd => match std::mem::replace(&mut self.part, Part::None) {
                Part::Soap => {
                    self.soap_seen = true;
                    let headers = std::mem::take(&mut self.headers);
                    Ok(Some(SoapStreamEvent::Message {
                        content_type: headers.content_type().unwrap_or(TYPE_SOAP).to_owned(),
                        headers: headers.without_content_type(),
                        bytes: self.take_held(),
                    }))
                }
                Part::Attachment => Ok(Some(SoapStreamEvent::AttachmentEnd)),
                Part::Container | Part::None => Ok(None),
            },
            MultipartEvent::End if depth == 0 => {
                if !self.soap_seen {
                    return Err(self.no_soap());
                }
                self.done = true;
                Ok(Some(SoapStreamEvent::End))
            }
            MultipartEvent::End => Ok(None),
        }
    }

    fn start_part(&mut self, headers: Headers) -> Result<Option<SoapStreamEvent>, SoapStreamError> {
        let content_type = headers
            .content_type()
            .ok_or(SoapStreamError::PartContentType)?;
        let kind = essence(content_type);
        if kind
            .get(..10)
            .is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
        {
            let boundary = boundary_of(content_type)?;
            if let Form::Multipart(open) = &mut self.form {
                if open.len() == MAX_NESTING {
                    return Err(SoapStreamError::TooMany("nested multiparts"));
                }
                open.push(MultipartDecoder::new(&boundary, part_limits(&self.limits))?);
            }
            self.part = Part::Container;
            return Ok(None);
        }
        if !self.soap_seen {
            if !is_soap(content_type) {
                return Err(SoapStreamError::FirstPart);
            }
            check_charset(self.expect, content_type)?;
            self.headers = headers;
            self.part = Part::Soap;
            return Ok(None);
        }
        self.attachments += 1;
        if self.attachments > self.limits.attachments {
            return Err(SoapStreamError::TooMany("attachments"));
        }
        self.part = Part::Attachment;
        Ok(Some(SoapStreamEvent::AttachmentStart(headers)))
    }

    fn hold(&mut self, data: Bytes) -> Result<(), SoapStreamError> {
        let length = self.whole.len() + self.held.len();
        if length + data.len() > self.limits.soap {
            return Err(SoapStreamError::TooLong(self.limits.soap));
        }
        if length == 0 {
            self.whole = data;
        } else {
            if self.held.is_empty() {
                self.held.extend_from_slice(&self.whole);
                self.whole = Bytes::new();
            }
            self.held.extend_from_slice(&data);
        }
        Ok(())
    }

    fn take_held(&mut self) -> Bytes {
        if self.held.is_empty() {
            std::mem::take(&mut self.whole)
        } else {
            self.held.split().freeze()
        }
    }
}

fn part_limits(limits: &SoapStreamLimits) -> MultipartLimits {
    MultipartLimits {
        parts: limits.attachments.saturating_add(2),
        ..MultipartLimits::default()
    }
}

fn is_soap(content_type: &str) -> bool {
    is_type(content_type, TYPE_SOAP) || is_type(content_type, TYPE_XOP)
}

fn check_charset(expect: Expect, content_type: &str) -> Result<(), SoapStreamError> {
    let foreign = parameter(content_type, "charset").is_some_and(|charset| {
        !charset.eq_ignore_ascii_case("UTF-8") && !charset.eq_ignore_ascii_case("US-ASCII")
    });
    if expect == Expect::Request && foreign {
        return Err(SoapStreamError::Charset);
    }
    Ok(())
}

/// The content type that the message has between Security Servers, when its part had
/// `content_type` at the information system: XOP as it was, else SOAP in UTF-8.
pub fn transport_content_type(content_type: &str) -> &str {
    if is_type(content_type, TYPE_XOP) {
        content_type
    } else {
        CONTENT_TYPE_SOAP
    }
}

/// A `SOAPAction` that is not empty and not a quoted URI (M18). The fault is the
/// information system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the SOAPAction is not a quoted URI")]
pub struct SoapActionError;

impl SoapActionError {
    /// The leaf of the fault code.
    pub fn code(&self) -> &'static str {
        code::INVALID_SOAP_ACTION
    }
}

/// Checks the value of a `SOAPAction` header: absent, empty, `""` or a quoted URI;
/// it then goes to the service unchanged (M18).
///
/// # Errors
/// Anything else.
pub fn check_soap_action(value: Option<&str>) -> Result<(), SoapActionError> {
    let Some(value) = value.map(str::trim).filter(|v| !v.is_empty()) else {
        return Ok(());
    };
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .ok_or(SoapActionError)?;
    let mut escapes = inner.split('%').skip(1);
    let good = inner.chars().all(is_uri_character)
        && escapes.all(|tail| {
            tail.as_bytes()
                .get(..2)
                .is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit))
        })
        && !inner.starts_with(':');
    if good { Ok(()) } else { Err(SoapActionError) }
}

fn is_uri_character(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "-._~:/?#[]@!$&'()*+,;=%".contains(c)
        || (!c.is_ascii() && !c.is_control())
}
