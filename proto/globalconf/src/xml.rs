//! A forward-only reader of the small XML vocabulary of global configuration,
//! and the escaping its writers need. Bounded in size and depth; a document type
//! declaration is refused, so there are no entities to expand.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace as XmlNamespace, ResolveResult};
use quick_xml::reader::NsReader;

/// Namespace of the root elements (`xroad.xsd`).
pub const XROAD_NAMESPACE: &str = "http://x-road.eu/xsd/xroad.xsd";
/// Namespace of identifiers (`identifiers.xsd`).
pub const IDENTIFIERS_NAMESPACE: &str = "http://x-road.eu/xsd/identifiers";
/// Largest document that is read, in bytes. The configuration of a country with
/// 10,000 subsystems has about 4 MB.
pub const MAX_DOCUMENT_LENGTH: usize = 64 << 20;
const MAX_DEPTH: usize = 32;

/// Why a document of global configuration cannot be read. The fault is the
/// configuration server's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// Larger than [`MAX_DOCUMENT_LENGTH`].
    #[error("the document has {0} bytes, more than the {MAX_DOCUMENT_LENGTH} allowed")]
    TooLarge(usize),
    /// Not UTF-8, or declared in another encoding.
    #[error("the document is not in UTF-8")]
    NotUtf8,
    /// Not well-formed, nested too deeply, or with a document type declaration.
    #[error("the document is not acceptable XML near byte {position}: {reason}")]
    Xml {
        /// Offset of the offending place, in bytes.
        position: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The root is another element than expected.
    #[error("the document's root is not {0} in the namespace of X-Road")]
    WrongRoot(&'static str),
    /// A mandatory element is absent.
    #[error("element {0} is missing")]
    Missing(&'static str),
    /// The value of an element is not of its type.
    #[error("element {element} has an unusable value: {reason}")]
    Value {
        /// Name of the element.
        element: String,
        /// What is wrong with the value.
        reason: String,
    },
    /// An owner or client refers to a member or subsystem that the document does not have.
    #[error("a security server refers to {0:?}, which no member or subsystem has as its id")]
    DanglingReference(String),
}

/// Namespace of an element, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// Unqualified.
    None,
    XRoad,
    Identifiers,
    Other,
}

/// A start tag.
pub(crate) struct Element<'a> {
    pub namespace: Namespace,
    start: BytesStart<'a>,
}

impl Element<'_> {
    /// The local name of an unqualified element, `""` for any other: those are
    /// extensions, to be skipped.
    pub fn unqualified(&self) -> &str {
        if self.namespace == Namespace::None {
            self.start.local_name().into_inner()
        } else {
            ""
        }
    }

    /// The local name if the element belongs to the namespace of identifiers, else `""`.
    pub fn identifier(&self) -> &str {
        if self.namespace == Namespace::Identifiers {
            self.start.local_name().into_inner()
        } else {
            ""
        }
    }

    /// The value of the attribute with this local name.
    pub fn attribute(&self, local_name: &str) -> Option<String> {
        self.start
            .attributes()
            .flatten()
            .find(|a| a.key.local_name().into_inner() == local_name)
            .and_then(|a| {
                a.normalized_value(XmlVersion::Explicit1_0)
                    .ok()
                    .map(|v| v.into_owned())
            })
    }
}

/// The document being read. After [`Document::open`] the root is the open element;
/// [`Document::child`] opens the next child of the open element, and every opened
/// child must be closed by reading its children to the end, [`Document::text`] or
/// [`Document::skip`].
pub(crate) struct Document<'a> {
    reader: NsReader<&'a [u8]>,
    depth: usize,
}

impl<'a> Document<'a> {
    pub fn open(bytes: &'a [u8], root: &'static str) -> Result<Self, ParametersError> {
        if bytes.len() > MAX_DOCUMENT_LENGTH {
            return Err(ParametersError::TooLarge(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ParametersError::NotUtf8)?;
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut document = Self { reader, depth: 0 };
        match document.child()? {
            Some(element)
                if element.namespace == Namespace::XRoad
                    && element.start.local_name().into_inner() == root =>
            {
                Ok(document)
            }
            _ => Err(ParametersError::WrongRoot(root)),
        }
    }

    /// Reads past the end of the root: anything but blanks and comments is refused.
    pub fn finish(mut self) -> Result<(), ParametersError> {
        match self.child()? {
            None => Ok(()),
            Some(_) => Err(self.error("a second root element")),
        }
    }

    fn error(&self, reason: impl ToString) -> ParametersError {
        ParametersError::Xml {
            position: self.reader.buffer_position(),
            reason: reason.to_string(),
        }
    }

    fn next(&mut self) -> Result<(Namespace, Event<'a>), ParametersError> {
        let position = self.reader.buffer_position();
        let (resolved, event) =
            self.reader
                .read_resolved_event()
                .map_err(|error| ParametersError::Xml {
                    position,
                    reason: error.to_string(),
                })?;
        let namespace = match resolved {
            ResolveResult::Unbound => Namespace::None,
            ResolveResult::Bound(XmlNamespace(XROAD_NAMESPACE)) => Namespace::XRoad,
            ResolveResult::Bound(XmlNamespace(IDENTIFIERS_NAMESPACE)) => Namespace::Identifiers,
            ResolveResult::Bound(_) => Namespace::Other,
            ResolveResult::Unknown(_) => {
                return Err(ParametersError::Xml {
                    position,
                    reason: "a prefix without a namespace".to_owned(),
                });
            }
        };
        match &event {
            Event::Start(_) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(self.error("nested too deeply"));
                }
            }
            Event::End(_) => self.depth -= 1,
            Event::DocType(_) => return Err(self.error("a document type declaration")),
            Event::Decl(declaration) => {
                if let Some(Ok(encoding)) = declaration.encoding()
                    && !encoding.eq_ignore_ascii_case("utf-8")
                    && !encoding.eq_ignore_ascii_case("us-ascii")
                {
                    return Err(ParametersError::NotUtf8);
                }
            }
            Event::Eof if self.depth > 0 => return Err(self.error("the document ends too early")),
            _ => {}
        }
        Ok((namespace, event))
    }

    /// Opens the next child of the open element. `None`: there is none left, and
    /// the open element is closed.
    pub fn child(&mut self) -> Result<Option<Element<'a>>, ParametersError> {
        loop {
            let (namespace, event) = self.next()?;
            match event {
                Event::Start(start) => return Ok(Some(Element { namespace, start })),
                Event::End(_) | Event::Eof => return Ok(None),
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
                // Mixed content has no place in this vocabulary; inside the open
                // element it is ignored as JAXB does, outside the root it is an error.
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) if self.depth > 0 => {}
                _ => return Err(self.error("text outside the root element")),
            }
        }
    }

    /// Reads the text of the open element and closes it. Child elements are refused.
    pub fn text(&mut self) -> Result<String, ParametersError> {
        let mut out = String::new();
        loop {
            match self.next()?.1 {
                Event::Text(text) => out.push_str(&text.xml10_content()),
                Event::CData(text) => out.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    if let Some(character) = reference
                        .resolve_char_ref()
                        .map_err(|error| self.error(error))?
                    {
                        out.push(character);
                    } else {
                        out.push(match &*reference {
                            "lt" => '<',
                            "gt" => '>',
                            "amp" => '&',
                            "apos" => '\'',
                            "quot" => '"',
                            _ => return Err(self.error("an undeclared entity")),
                        });
                    }
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::End(_) => return Ok(out),
                _ => return Err(self.error("an element where text is expected")),
            }
        }
    }

    /// Closes the open element, whatever it holds.
    pub fn skip(&mut self) -> Result<(), ParametersError> {
        let outer = self.depth - 1;
        while self.depth > outer {
            self.next()?;
        }
        Ok(())
    }

    /// Reads a value of a type with a textual form and closes the element.
    pub fn value<T: std::str::FromStr>(
        &mut self,
        element: &str,
        expected: &str,
    ) -> Result<T, ParametersError> {
        let text = self.text()?;
        text.trim().parse().map_err(|_| ParametersError::Value {
            element: element.to_owned(),
            reason: format!("{text:?} is not {expected}"),
        })
    }

    /// Reads `xs:boolean` and closes the element.
    pub fn boolean(&mut self, element: &str) -> Result<bool, ParametersError> {
        match self.text()?.trim() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(ParametersError::Value {
                element: element.to_owned(),
                reason: format!("{other:?} is neither true nor false"),
            }),
        }
    }

    /// Reads `xs:base64Binary` and closes the element.
    pub fn binary(&mut self, element: &str) -> Result<Vec<u8>, ParametersError> {
        let text = self.text()?;
        decode_base64(&text).ok_or_else(|| ParametersError::Value {
            element: element.to_owned(),
            reason: "not base64".to_owned(),
        })
    }

    /// Reads a certificate and closes the element. The content is base64 of DER or
    /// of a PEM text (reference G25); the result is DER. It is not parsed here: one
    /// entry that is no certificate must not make the rest of a country unreadable.
    pub fn certificate(&mut self, element: &str) -> Result<Vec<u8>, ParametersError> {
        let bytes = self.binary(element)?;
        Ok(der_of_pem(&bytes).unwrap_or(bytes))
    }
}

/// Base64 with blanks and line breaks anywhere.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let trimmed = text.trim();
    if trimmed.bytes().any(|b| b.is_ascii_whitespace()) {
        let compact: Vec<u8> = trimmed
            .bytes()
            .filter(|b| !b.is_ascii_whitespace())
            .collect();
        STANDARD.decode(compact).ok()
    } else {
        STANDARD.decode(trimmed).ok()
    }
}

/// Base64 in one line.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The DER in a PEM text with one certificate, `None` if the bytes are not one.
fn der_of_pem(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let body = text.split_once("-----BEGIN CERTIFICATE-----")?.1;
    decode_base64(body.split_once("-----END CERTIFICATE-----")?.0)
}

/// Writes indented XML with the prefixes that X-Road's own generator uses.
pub(crate) struct Writer {
    out: String,
    open: Vec<&'static str>,
}

impl Writer {
    /// Starts a document with the given root in the namespace of X-Road.
    pub fn new(root: &'static str, capacity: usize) -> Self {
        let mut out = String::with_capacity(capacity);
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<ns3:");
        out.push_str(root);
        out.push_str(" xmlns:ns2=\"");
        out.push_str(IDENTIFIERS_NAMESPACE);
        out.push_str("\" xmlns:ns3=\"");
        out.push_str(XROAD_NAMESPACE);
        out.push_str("\">\n");
        Self {
            out,
            open: vec![root],
        }
    }

    fn indent(&mut self) {
        for _ in 0..self.open.len() {
            self.out.push_str("    ");
        }
    }

    /// Opens an element; `attribute` is written as it is, so it must be safe.
    pub fn start(&mut self, name: &'static str, attribute: Option<(&str, &str)>) {
        self.indent();
        self.out.push('<');
        self.out.push_str(name);
        if let Some((key, value)) = attribute {
            self.out.push(' ');
            self.out.push_str(key);
            self.out.push_str("=\"");
            self.out.push_str(value);
            self.out.push('"');
        }
        self.out.push_str(">\n");
        self.open.push(name);
    }

    pub fn end(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push_str(">\n");
        }
    }

    /// An element with text.
    pub fn text(&mut self, name: &'static str, text: &str) {
        self.indent();
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
        for character in text.chars() {
            match character {
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '&' => self.out.push_str("&amp;"),
                // A literal carriage return would be read back as a line feed.
                '\r' => self.out.push_str("&#13;"),
                // Characters that no XML 1.0 document may have.
                '\0'..='\u{8}'
                | '\u{B}'
                | '\u{C}'
                | '\u{E}'..='\u{1F}'
                | '\u{FFFE}'
                | '\u{FFFF}' => self.out.push('\u{FFFD}'),
                other => self.out.push(other),
            }
        }
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push_str(">\n");
    }

    pub fn optional(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub fn binary(&mut self, name: &'static str, bytes: &[u8]) {
        self.text(name, &encode_base64(bytes));
    }

    /// Closes the root and gives the document.
    pub fn finish(mut self) -> String {
        while self.open.len() > 1 {
            self.end();
        }
        if let Some(root) = self.open.pop() {
            self.out.push_str("</ns3:");
            self.out.push_str(root);
            self.out.push_str(">\n");
        }
        self.out
    }
}
