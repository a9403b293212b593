//! A strict single-pass scanner of the XML that this crate reads: no document type,
//! no processing instructions, no entities but the five predefined ones and
//! character references, well-formed tags, bound prefixes, bounded depth and number
//! of attributes. It keeps byte positions and copies nothing.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem};

/// Attributes of one element, namespace declarations among them.
const MAX_ATTRIBUTES: usize = 128;

/// Why a text is not the XML that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// Not well-formed.
    #[error("the XML is not well-formed near byte {0}")]
    Malformed(usize),
    /// A document type declaration.
    #[error("a document type is not allowed")]
    DocumentType,
    /// A processing instruction.
    #[error("a processing instruction is not allowed")]
    ProcessingInstruction,
    /// The XML declaration names another encoding or version.
    #[error("the XML declaration does not name version 1.0 and UTF-8")]
    Declaration,
    /// An entity that is not predefined.
    #[error("an entity that is not predefined")]
    Entity,
    /// A prefix without namespace.
    #[error("a prefix is not bound to a namespace")]
    UnboundPrefix,
    /// Deeper than the limit.
    #[error("the XML is nested too deeply")]
    TooDeep,
    /// More attributes than the limit.
    #[error("an element has too many attributes")]
    TooManyAttributes,
}

/// What was found next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A start tag, or an empty element, which gives an `End` too.
    Start(&'a str),
    /// The end of the element with this name.
    End(&'a str),
    /// Text with references as written.
    Text(&'a str),
    /// The text of a CDATA section.
    CData(&'a str),
    /// The end of the document.
    Eof,
}

/// The scanner.
pub struct Scanner<'a> {
    text: &'a str,
    position: usize,
    event_start: usize,
    open: Vec<&'a str>,
    attributes: Vec<(&'a str, &'a str)>,
    /// Where their values begin.
    values: Vec<usize>,
    /// Depth, prefix, namespace.
    bindings: Vec<(usize, &'a str, &'a str)>,
    max_depth: usize,
    resolved: (&'a str, &'a str),
    /// An empty element whose end is still to be told.
    pending_end: bool,
    root_seen: bool,
    started: bool,
}

type Scanned<T> = Result<T, XmlError>;

impl<'a> Scanner<'a> {
    /// A scanner of `bytes`, a byte order mark in front is skipped.
    pub fn new(bytes: &'a [u8], max_depth: usize) -> Scanned<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
        let mut bad = false;
        for b in bytes {
            bad |= *b < 0x20 && !matches!(*b, b'\t' | b'\n' | b'\r');
        }
        if bad {
            return Err(XmlError::Malformed(0));
        }
        let position = if text.starts_with('\u{FEFF}') { 3 } else { 0 };
        Ok(Self {
            text,
            position,
            event_start: position,
            open: Vec::with_capacity(16),
            attributes: Vec::with_capacity(8),
            values: Vec::with_capacity(8),
            bindings: Vec::with_capacity(8),
            max_depth,
            resolved: ("", ""),
            pending_end: false,
            root_seen: false,
            started: false,
        })
    }

    /// Byte at which the last event began.
    pub fn event_start(&self) -> usize {
        self.event_start
    }

    /// Byte after the last event.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Open elements; after a `Start` the new one is among them.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Name, first and last byte (exclusive) of the value of each attribute of the last `Start`.
    pub fn attribute_positions(&self) -> impl Iterator<Item = (&'a str, usize, usize)> {
        self.attributes
            .iter()
            .zip(&self.values)
            .map(|((name, value), start)| (*name, *start, start + value.len()))
    }

    /// The attribute `local` in `namespace` (empty: in none) of the last `Start`.
    pub fn attribute(&self, namespace: &str, local: &str) -> Option<Cow<'a, str>> {
        for (name, value) in &self.attributes {
            let (prefix, own) = split(name);
            if own != local || prefix == "xmlns" {
                continue;
            }
            let bound = if prefix.is_empty() {
                Some("")
            } else {
                self.namespace(prefix)
            };
            if bound == Some(namespace) {
                return Some(unescape(value));
            }
        }
        None
    }

    /// The namespace that a prefix (empty: none) is bound to here.
    pub fn namespace(&self, prefix: &str) -> Option<&'a str> {
        if prefix == "xml" {
            return Some("http://www.w3.org/XML/1998/namespace");
        }
        self.bindings
            .iter()
            .rev()
            .find(|(_, p, _)| *p == prefix)
            .map(|(_, _, uri)| *uri)
    }

    /// Namespace and local name of the element that the last `Start` told of.
    pub fn resolved(&self) -> (&'a str, &'a str) {
        self.resolved
    }

    fn resolve(&self, name: &'a str) -> Scanned<(&'a str, &'a str)> {
        let (prefix, local) = split(name);
        match self.namespace(prefix) {
            Some(uri) if prefix.is_empty() || !uri.is_empty() => Ok((uri, local)),
            None if prefix.is_empty() => Ok(("", local)),
            _ => Err(XmlError::UnboundPrefix),
        }
    }

    /// The next event. Comments are skipped.
    pub fn next(&mut self) -> Scanned<Event<'a>> {
        if self.pending_end {
            self.pending_end = false;
            self.event_start = self.position;
            return self.close();
        }
        if !self.started {
            self.started = true;
            self.declaration()?;
        }
        let bytes = self.text.as_bytes();
        loop {
            self.event_start = self.position;
            let here = &bytes[self.position..];
            if here.is_empty() {
                return if self.open.is_empty() && self.root_seen {
                    Ok(Event::Eof)
                } else {
                    Err(self.malformed())
                };
            }
            if here[0] != b'<' {
                let length = memchr(b'<', here).unwrap_or(here.len());
                let raw = &self.text[self.position..self.position + length];
                if self.open.is_empty() {
                    if !raw.bytes().all(is_blank) {
                        return Err(self.malformed());
                    }
                    self.position += length;
                    continue;
                }
                check_text(raw).map_err(|error| error.unwrap_or_else(|| self.malformed()))?;
                self.position += length;
                return Ok(Event::Text(raw));
            }
            match here.get(1) {
                Some(b'/') => return self.end_tag(),
                Some(b'!') => {
                    if here.starts_with(b"<!--") {
                        let body = &here[4..];
                        let dashes = memmem::find(body, b"--").ok_or_else(|| self.malformed())?;
                        if body.get(dashes + 2) != Some(&b'>') {
                            return Err(self.malformed());
                        }
                        self.position += 4 + dashes + 3;
                        continue;
                    }
                    if here.starts_with(b"<![CDATA[") && !self.open.is_empty() {
                        let length =
                            memmem::find(&here[9..], b"]]>").ok_or_else(|| self.malformed())?;
                        let start = self.position + 9;
                        self.position = start + length + 3;
                        return Ok(Event::CData(&self.text[start..start + length]));
                    }
                    return Err(if here.starts_with(b"<!DOCTYPE") {
                        XmlError::DocumentType
                    } else {
                        self.malformed()
                    });
                }
                Some(b'?') => return Err(XmlError::ProcessingInstruction),
                _ => return self.start_tag(),
            }
        }
    }

    fn malformed(&self) -> XmlError {
        XmlError::Malformed(self.position)
    }

    /// Reads the XML declaration, if there is one.
    fn declaration(&mut self) -> Scanned<()> {
        let here = &self.text[self.position..];
        let Some(body) = here.strip_prefix("<?xml") else {
            return Ok(());
        };
        if !body.starts_with([' ', '\t', '\r', '\n']) {
            return Err(XmlError::ProcessingInstruction);
        }
        let end = body.find("?>").ok_or_else(|| self.malformed())?;
        let mut version = false;
        let mut rest = body[..end].trim_matches(is_blank_char);
        while !rest.is_empty() {
            let equals = rest.find('=').ok_or(XmlError::Declaration)?;
            let key = rest[..equals].trim_matches(is_blank_char);
            let value = rest[equals + 1..].trim_start_matches(is_blank_char);
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let quote = quote.ok_or(XmlError::Declaration)?;
            let close = value[1..].find(quote).ok_or(XmlError::Declaration)?;
            let text = &value[1..=close];
            match key {
                "version" if text == "1.0" => version = true,
                "encoding" if text.eq_ignore_ascii_case("UTF-8") => {}
                "standalone" => {}
                _ => return Err(XmlError::Declaration),
            }
            rest = value[close + 2..].trim_start_matches(is_blank_char);
        }
        if !version {
            return Err(XmlError::Declaration);
        }
        self.position += "<?xml".len() + end + 2;
        Ok(())
    }

    fn name(&mut self) -> Scanned<&'a str> {
        let start = self.position;
        let bytes = self.text.as_bytes();
        match bytes.get(start) {
            Some(b) if is_name_start(*b) => {}
            _ => return Err(self.malformed()),
        }
        let mut end = start + 1;
        let mut colons = 0;
        while let Some(b) = bytes.get(end) {
            if !NAME[usize::from(*b)] {
                break;
            }
            colons += usize::from(*b == b':');
            end += 1;
        }
        let name = &self.text[start..end];
        if colons > 1 || name.starts_with(':') || name.ends_with(':') {
            return Err(self.malformed());
        }
        self.position = end;
        Ok(name)
    }

    fn blanks(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let start = self.position;
        while bytes.get(self.position).is_some_and(|b| is_blank(*b)) {
            self.position += 1;
        }
        self.position > start
    }

    fn expect(&mut self, wanted: u8) -> Scanned<()> {
        if self.text.as_bytes().get(self.position) == Some(&wanted) {
            self.position += 1;
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    fn start_tag(&mut self) -> Scanned<Event<'a>> {
        if self.open.is_empty() && self.root_seen {
            return Err(self.malformed());
        }
        if self.open.len() == self.max_depth {
            return Err(XmlError::TooDeep);
        }
        let text = self.text;
        let bytes = text.as_bytes();
        self.position += 1;
        let name = self.name()?;
        self.attributes.clear();
        self.values.clear();
        let depth = self.open.len() + 1;
        loop {
            let blank = self.blanks();
            match bytes.get(self.position) {
                Some(b'>') => {
                    self.position += 1;
                    break;
                }
                Some(b'/') => {
                    self.position += 1;
                    self.expect(b'>')?;
                    self.pending_end = true;
                    break;
                }
                Some(_) if blank => {}
                _ => return Err(self.malformed()),
            }
            let key = self.name()?;
            self.blanks();
            self.expect(b'=')?;
            self.blanks();
            let quote = match bytes.get(self.position) {
                Some(q @ (b'"' | b'\'')) => *q,
                _ => return Err(self.malformed()),
            };
            self.position += 1;
            let rest = &bytes[self.position..];
            let length = memchr2(quote, b'<', rest).ok_or_else(|| self.malformed())?;
            if rest[length] == b'<' {
                return Err(self.malformed());
            }
            let value = &text[self.position..self.position + length];
            check_references(value)?;
            self.values.push(self.position);
            self.position += length + 1;
            if self.attributes.len() == MAX_ATTRIBUTES {
                return Err(XmlError::TooManyAttributes);
            }
            if self.attributes.iter().any(|(k, _)| *k == key) {
                return Err(self.malformed());
            }
            self.attributes.push((key, value));
            let declared = if key == "xmlns" {
                Some("")
            } else {
                key.strip_prefix("xmlns:")
            };
            if let Some(prefix) = declared {
                // a namespace spelt with references would hide from comparison
                if value.contains('&')
                    || (!prefix.is_empty() && value.is_empty())
                    || prefix == "xml"
                {
                    return Err(self.malformed());
                }
                self.bindings.push((depth, prefix, value));
            }
        }
        self.root_seen = true;
        self.open.push(name);
        self.resolved = self.resolve(name)?;
        Ok(Event::Start(name))
    }

    fn end_tag(&mut self) -> Scanned<Event<'a>> {
        self.position += 2;
        let name = self.name()?;
        self.blanks();
        self.expect(b'>')?;
        if self.open.last() != Some(&name) {
            return Err(self.malformed());
        }
        self.close()
    }

    fn close(&mut self) -> Scanned<Event<'a>> {
        let depth = self.open.len();
        let name = self.open.pop().ok_or_else(|| self.malformed())?;
        while self.bindings.last().is_some_and(|(d, _, _)| *d >= depth) {
            self.bindings.pop();
        }
        Ok(Event::End(name))
    }
}

/// Prefix (empty if there is none) and local name.
pub fn split(name: &str) -> (&str, &str) {
    match memchr(b':', name.as_bytes()) {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => ("", name),
    }
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_blank_char(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_name_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || matches!(b, b'_' | b':') || b >= 0x80
}

/// Which bytes a name may have.
const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        table[b] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b':' | b'-' | b'.')
            || byte >= 0x80;
        b += 1;
    }
    table
};

/// The character that the reference `&name;` stands for.
fn reference(name: &str) -> Option<char> {
    let number = match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "apos" => return Some('\''),
        "quot" => return Some('"'),
        _ => name.strip_prefix('#')?,
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    if digits.is_empty() || digits.len() > 8 || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let c = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    let allowed = c >= ' ' || matches!(c, '\t' | '\n' | '\r');
    (allowed && !matches!(c, '\u{FFFE}' | '\u{FFFF}')).then_some(c)
}

/// Checks the references of an attribute's value.
fn check_references(raw: &str) -> Scanned<()> {
    let mut rest = raw;
    while let Some(at) = memchr(b'&', rest.as_bytes()) {
        rest = after_reference(&rest[at + 1..])?;
    }
    Ok(())
}

/// Checks text: its references, and that it has no `]]>` (the error is then `None`).
fn check_text(raw: &str) -> Result<(), Option<XmlError>> {
    let mut rest = raw;
    while let Some(at) = memchr2(b'&', b']', rest.as_bytes()) {
        let tail = &rest[at + 1..];
        if rest.as_bytes()[at] == b'&' {
            rest = after_reference(tail)?;
        } else if tail.starts_with("]>") {
            return Err(None);
        } else {
            rest = tail;
        }
    }
    Ok(())
}

/// The text behind a reference, whose ampersand was just read.
fn after_reference(tail: &str) -> Scanned<&str> {
    let end = memchr(b';', &tail.as_bytes()[..tail.len().min(12)]).ok_or(XmlError::Entity)?;
    reference(&tail[..end]).ok_or(XmlError::Entity)?;
    Ok(&tail[end + 1..])
}

/// The text that `raw` stands for: references replaced, line ends made LF.
pub fn unescape(raw: &str) -> Cow<'_, str> {
    if memchr2(b'&', b'\r', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr2(b'&', b'\r', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if rest.as_bytes()[at] == b'\r' {
            out.push('\n');
            rest = tail.strip_prefix('\n').unwrap_or(tail);
            continue;
        }
        match tail.split_once(';') {
            Some((name, after)) => {
                out.extend(reference(name));
                rest = after;
            }
            None => rest = tail,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Appends `text` as the content of an element or of a quoted attribute.
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            // characters that XML 1.0 cannot hold
            c if (c < ' ' && !matches!(c, '\t' | '\n')) || matches!(c, '\u{FFFE}' | '\u{FFFF}') => {
                out.push('\u{FFFD}');
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Result<Vec<String>, XmlError> {
        let mut scanner = Scanner::new(text.as_bytes(), 8)?;
        let mut events = Vec::new();
        loop {
            match scanner.next()? {
                Event::Start(_) => {
                    let (uri, local) = scanner.resolved();
                    events.push(format!("+{{{uri}}}{local}"));
                }
                Event::End(name) => events.push(format!("-{name}")),
                Event::Text(text) => events.push(unescape(text).into_owned()),
                Event::CData(text) => events.push(format!("[{text}]")),
                Event::Eof => return Ok(events),
            }
        }
    }

    #[test]
    fn events_of_a_document() {
        let text = "\u{FEFF}<?xml version='1.0' encoding=\"utf-8\"?>\n<!-- c --><p:a xmlns:p='u' xmlns=\"d\">\r\n&lt;&#x41;<b x = '1'/><![CDATA[<&]]></p:a>\n<!--e-->";
        assert_eq!(
            scan(text).unwrap(),
            ["+{u}a", "\n<A", "+{d}b", "-b", "[<&]", "-p:a"]
        );
    }

    #[test]
    fn what_is_refused() {
        for bad in [
            "",
            " ",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<a b/>",
            "<a b=c/>",
            "<a b='1'b='2'/>",
            "<a b='1' b='2'/>",
            "<a b='<'/>",
            "<a>&x;</a>",
            "<a>&</a>",
            "<a>&#0;</a>",
            "<a>&#xD800;</a>",
            "<p:a/>",
            "<!DOCTYPE a><a/>",
            "<a><?pi?></a>",
            "<?xml-stylesheet x?><a/>",
            "<a><!-- -- --></a>",
            "<a>]]></a>",
            "<1/>",
            "<a:b:c xmlns:a='x'/>",
            "<?xml version='1.1'?><a/>",
            "<?xml version='1.0' encoding='latin1'?><a/>",
            "<a>\u{1}</a>",
            "<![CDATA[x]]>",
            "<a xmlns:p=''/>",
            "<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>",
            "<a xmlns='&amp;'/>",
            " <?xml version='1.0'?><a/>",
        ] {
            assert!(scan(bad).is_err(), "{bad:?} was read");
        }
    }

    #[test]
    fn escaping_round_trips() {
        let mut out = String::new();
        escape("a<b>&\"'\r\n\u{1}", &mut out);
        assert_eq!(unescape(&out), "a<b>&\"'\r\n\u{FFFD}");
    }
}
