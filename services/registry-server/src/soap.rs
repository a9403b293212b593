//! What an information system needs of SOAP 1.1: to find its parameters and to
//! answer inside the envelope that came.
//!
//! An answer is the request with another content of `Body`: so every header,
//! known or not, comes back as it was sent, which is what X-Road asks of a
//! service (PR-MESS section 2.2).

use std::ops::Range;

use quick_xml::NsReader;
use quick_xml::XmlVersion;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const XROAD: &str = "http://x-road.eu/xsd/xroad.xsd";

/// Deepest nesting of elements that is read.
const MAX_DEPTH: usize = 64;
/// Most values that are kept of one request.
const MAX_VALUES: usize = 1000;
/// Byte order mark, which PR-MESS allows in front of the envelope.
const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// A SOAP request, as far as a service has to understand it.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    bytes: &'a [u8],
    body_content: Range<usize>,
    wrapper_name_ends: Vec<usize>,
    namespace: String,
    local_name: String,
    headers: Vec<String>,
    values: Vec<(String, String)>,
}

/// Why bytes are not a SOAP request. The fault is the sender's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SoapError {
    /// Not well-formed XML in UTF-8, or with a DOCTYPE, which SOAP forbids.
    #[error("the request is not well-formed XML: {0}")]
    NotXml(String),
    /// Another root element.
    #[error("the request is not a SOAP 1.1 envelope")]
    NotSoap,
    /// No `Body`, or none with exactly one element.
    #[error("the SOAP body must hold exactly one element")]
    Body,
    /// Deeper or longer than any request of these services.
    #[error("the request is nested too deeply or has too many values")]
    TooLarge,
}

#[derive(Default)]
struct Scan {
    depth: usize,
    part: Part,
    headers: Vec<String>,
    values: Vec<(String, String)>,
    text: String,
    body_starts: Option<usize>,
    body_ends: Option<usize>,
    wrapper: Option<(String, String)>,
    wrapper_name_ends: Vec<usize>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Outside,
    Header,
    Body,
}

impl<'a> Envelope<'a> {
    /// Reads a request.
    ///
    /// # Errors
    /// See [`SoapError`].
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, SoapError> {
        let skipped = if bytes.starts_with(BYTE_ORDER_MARK) {
            BYTE_ORDER_MARK.len()
        } else {
            0
        };
        let text = std::str::from_utf8(&bytes[skipped..])
            .map_err(|_| SoapError::NotXml("it is not UTF-8".into()))?;
        let mut reader = NsReader::from_str(text);
        let mut scan = Scan::default();
        loop {
            let from = position(skipped, reader.buffer_position());
            let (namespace, event) = reader
                .read_resolved_event()
                .map_err(|error| SoapError::NotXml(error.to_string()))?;
            let namespace = match namespace {
                ResolveResult::Bound(name) => name.into_inner().to_owned(),
                ResolveResult::Unbound => String::new(),
                ResolveResult::Unknown(prefix) => {
                    return Err(SoapError::NotXml(format!(
                        "prefix {prefix} is not declared"
                    )));
                }
            };
            match event {
                Event::Start(tag) => {
                    let to = position(skipped, reader.buffer_position());
                    scan.start(&namespace, &tag, from, to)?;
                }
                Event::Empty(tag) => {
                    let to = position(skipped, reader.buffer_position());
                    scan.start(&namespace, &tag, from, to)?;
                    scan.end(from, 0, tag.local_name().as_ref())?;
                }
                Event::End(tag) => {
                    scan.end(
                        from,
                        from + 2 + tag.name().as_ref().len(),
                        tag.local_name().as_ref(),
                    )?;
                }
                Event::Text(text) => scan
                    .text
                    .push_str(&text.xml_content(XmlVersion::Implicit1_0)),
                Event::CData(text) => scan
                    .text
                    .push_str(&text.xml_content(XmlVersion::Implicit1_0)),
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(character)) => scan.text.push(character),
                    Ok(None) => scan.text.push_str(
                        resolve_predefined_entity(&reference)
                            .ok_or_else(|| SoapError::NotXml("unknown entity".into()))?,
                    ),
                    Err(error) => return Err(SoapError::NotXml(error.to_string())),
                },
                Event::DocType(_) => return Err(SoapError::NotXml("it has a DOCTYPE".into())),
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
        if scan.depth != 0 {
            return Err(SoapError::NotXml("it ends too early".into()));
        }
        scan.into_envelope(bytes)
    }

    /// Namespace and local name of the element inside the body.
    pub(crate) fn operation(&self) -> (&str, &str) {
        (&self.namespace, &self.local_name)
    }

    /// The text of the first element with this local name inside the body.
    pub(crate) fn value(&self, local_name: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|(name, _)| name == local_name)
            .map(|(_, value)| value.trim())
    }

    /// Whether the elements below the operation are of these names, each once at most.
    pub(crate) fn has_only(&self, names: &[&str]) -> bool {
        let mut seen = Vec::with_capacity(names.len());
        self.values.iter().all(|(name, _)| {
            let is_first = names.contains(&name.as_str()) && !seen.contains(&name);
            seen.push(name);
            is_first
        })
    }

    /// The request as it came.
    pub(crate) const fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// The X-Road header fields that a request must have (PR-MESS section 2.2)
    /// and this one has not.
    pub(crate) fn missing_headers(&self) -> Vec<&'static str> {
        ["client", "service", "id", "protocolVersion"]
            .into_iter()
            .filter(|name| !self.headers.iter().any(|header| header == name))
            .collect()
    }

    /// The answer: this envelope with `content` inside the body. `content` is
    /// XML that declares the namespaces it uses.
    pub(crate) fn answer(&self, content: &str) -> Vec<u8> {
        let (before, after) = (
            &self.bytes[..self.body_content.start],
            &self.bytes[self.body_content.end..],
        );
        [before, content.as_bytes(), after].concat()
    }

    /// The answer of an echo: this envelope, its operation renamed to
    /// `…Response`.
    pub(crate) fn echo(&self) -> Vec<u8> {
        let mut answer = Vec::with_capacity(self.bytes.len() + 16);
        let mut copied = 0;
        for &end in &self.wrapper_name_ends {
            answer.extend_from_slice(&self.bytes[copied..end]);
            answer.extend_from_slice(b"Response");
            copied = end;
        }
        answer.extend_from_slice(&self.bytes[copied..]);
        answer
    }
}

impl Scan {
    fn start(
        &mut self,
        namespace: &str,
        tag: &BytesStart<'_>,
        from: usize,
        to: usize,
    ) -> Result<(), SoapError> {
        let local = tag.local_name();
        let local: &str = local.as_ref();
        let name_end = from + 1 + tag.name().as_ref().len();
        match self.depth {
            0 if namespace != ENVELOPE || local != "Envelope" => return Err(SoapError::NotSoap),
            1 if namespace == ENVELOPE && local == "Header" && self.part == Part::Outside => {
                self.part = Part::Header;
            }
            1 if namespace == ENVELOPE && local == "Body" && self.body_starts.is_none() => {
                self.part = Part::Body;
                self.body_starts = Some(to);
            }
            1 => return Err(SoapError::Body),
            2 if self.part == Part::Header && namespace == XROAD => {
                self.headers.push(local.to_owned());
            }
            2 if self.part == Part::Body => {
                if self.wrapper.is_some() {
                    return Err(SoapError::Body);
                }
                self.wrapper = Some((namespace.to_owned(), local.to_owned()));
                self.wrapper_name_ends.push(name_end);
            }
            _ => {}
        }
        self.text.clear();
        self.depth += 1;
        if self.depth > MAX_DEPTH || self.headers.len() > MAX_VALUES {
            return Err(SoapError::TooLarge);
        }
        Ok(())
    }

    fn end(&mut self, from: usize, name_end: usize, local: &str) -> Result<(), SoapError> {
        self.depth = self.depth.saturating_sub(1);
        match self.depth {
            1 if self.part == Part::Body => {
                self.body_ends = Some(from);
                self.part = Part::Outside;
            }
            1 => self.part = Part::Outside,
            2 if self.part == Part::Body && name_end > 0 => self.wrapper_name_ends.push(name_end),
            depth if depth > 2 && self.part == Part::Body => {
                if self.values.len() == MAX_VALUES {
                    return Err(SoapError::TooLarge);
                }
                self.values
                    .push((local.to_owned(), std::mem::take(&mut self.text)));
            }
            _ => {}
        }
        self.text.clear();
        Ok(())
    }

    fn into_envelope(self, bytes: &[u8]) -> Result<Envelope<'_>, SoapError> {
        let (namespace, local_name) = self.wrapper.ok_or(SoapError::Body)?;
        let body_content = match (self.body_starts, self.body_ends) {
            (Some(start), Some(end)) if start <= end => start..end,
            _ => return Err(SoapError::Body),
        };
        Ok(Envelope {
            bytes,
            body_content,
            wrapper_name_ends: self.wrapper_name_ends,
            namespace,
            local_name,
            headers: self.headers,
            values: self.values,
        })
    }
}

fn position(skipped: usize, read: u64) -> usize {
    skipped.saturating_add(usize::try_from(read).unwrap_or(usize::MAX))
}

/// An element with text, the text escaped; nothing for no text. What XML cannot hold is replaced, so that an old record
/// with such a character can be read.
pub(crate) fn element(name: &str, text: Option<&str>) -> String {
    text.map(|text| {
        let outside = |c: char| {
            (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{FFFE}' | '\u{FFFF}')
        };
        let text = text.replace(outside, "\u{FFFD}");
        format!("<{name}>{}</{name}>", escape(text))
    })
    .unwrap_or_default()
}

/// A SOAP 1.1 fault of the service's own. `side` is `Client` or `Server`,
/// followed by a dot and a code of the service.
pub(crate) fn fault(code: &str, text: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <SOAP-ENV:Envelope xmlns:SOAP-ENV=\"{ENVELOPE}\"><SOAP-ENV:Body><SOAP-ENV:Fault>\
         <faultcode>SOAP-ENV:{code}</faultcode><faultstring>{}</faultstring>\
         </SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>",
        escape(text)
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
        xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\"><s:Header><x:client>c</x:client><x:service/><x:id>1</x:id>\
        <x:protocolVersion>4.0</x:protocolVersion><other xmlns=\"urn:o\">kept</other></s:Header>\n\
        <s:Body> <p:find xmlns:p=\"urn:p\"><p:number> 2&#48;1 </p:number><name>A &amp; <![CDATA[B]]></name><e/></p:find ></s:Body></s:Envelope>";

    #[test]
    fn finds_operation_values_and_headers() {
        let envelope = Envelope::decode(REQUEST.as_bytes()).expect("a request");
        assert_eq!(envelope.operation(), ("urn:p", "find"));
        assert_eq!(envelope.value("number"), Some("201"));
        assert_eq!(envelope.value("name"), Some("A & B"));
        assert_eq!(envelope.value("e"), Some(""));
        assert_eq!(envelope.value("other"), None);
        assert!(envelope.missing_headers().is_empty());
    }

    #[test]
    fn answers_inside_the_same_envelope() {
        let with_mark = [BYTE_ORDER_MARK, REQUEST.as_bytes()].concat();
        for bytes in [REQUEST.as_bytes(), &with_mark] {
            let envelope = Envelope::decode(bytes).expect("a request");
            let answer = String::from_utf8(envelope.answer("<a/>")).expect("text");
            assert!(answer.contains("<other xmlns=\"urn:o\">kept</other>"));
            assert!(
                answer.ends_with("<s:Body><a/></s:Body></s:Envelope>"),
                "{answer}"
            );
            let echo = String::from_utf8(envelope.echo()).expect("text");
            assert!(
                echo.contains("<p:findResponse xmlns:p=\"urn:p\">"),
                "{echo}"
            );
            assert!(
                echo.ends_with("</p:findResponse ></s:Body></s:Envelope>"),
                "{echo}"
            );
        }
    }

    #[test]
    fn an_empty_operation_is_echoed() {
        let request = "<E xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><Body><f:ping xmlns:f='u' a='1'/></Body></E>"
            .replace("<E ", "<Envelope ").replace("</E>", "</Envelope>");
        let envelope = Envelope::decode(request.as_bytes()).expect("a request");
        let echo = String::from_utf8(envelope.echo()).expect("text");
        assert!(
            echo.contains("<f:pingResponse xmlns:f='u' a='1'/>"),
            "{echo}"
        );
        assert_eq!(envelope.missing_headers().len(), 4);
    }

    #[test]
    fn every_prefix_is_refused() {
        for length in 0..REQUEST.len() {
            assert!(
                Envelope::decode(&REQUEST.as_bytes()[..length]).is_err(),
                "{length}"
            );
        }
        let with_doctype =
            REQUEST.replace("<s:Envelope", "<!DOCTYPE a [<!ENTITY b \"c\">]><s:Envelope");
        assert!(Envelope::decode(with_doctype.as_bytes()).is_err());
    }
}
