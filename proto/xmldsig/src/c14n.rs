//! Canonical XML 1.0 and Exclusive Canonical XML 1.0, both without comments.
//!
//! The canonical form is written straight from the text of a [`Document`], tag by tag. Only what
//! signatures need is here: a whole document, or one element with everything in it. Sets of
//! single nodes (XPath) and the variants with comments are not accepted anywhere in X-Road.

use crate::xml::{Document, Element, RawAttribute, Token, Tokens, XML_NAMESPACE, decode_reference};
use memchr::{memchr3, memchr3_iter};
use std::borrow::Cow;

/// Canonical XML 1.0 (W3C recommendation of 2001-03-15).
pub const INCLUSIVE_URI: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
/// Exclusive Canonical XML 1.0 (W3C recommendation of 2002-07-18).
pub const EXCLUSIVE_URI: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// A canonicalisation method, with what it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// Canonical XML 1.0: the element carries every namespace in scope around it.
    Inclusive,
    /// Exclusive Canonical XML 1.0: only the namespaces that are used, and besides those the
    /// prefixes listed here (`#default` stands for the default namespace).
    Exclusive(Vec<String>),
}

impl Method {
    /// The method that an algorithm URI names, without a prefix list.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Method> {
        match uri {
            INCLUSIVE_URI => Some(Method::Inclusive),
            EXCLUSIVE_URI => Some(Method::Exclusive(Vec::new())),
            _ => None,
        }
    }
}

/// Appends the canonical form of one element and everything in it.
pub fn canonicalize_element(element: Element<'_, '_>, method: &Method, out: &mut Vec<u8>) {
    let document = element.document();
    let mut writer = Writer::new(document, method, out);
    writer.enter_scope_of(element);
    let range = element.range();
    writer.run(range.start, range.end, true);
}

/// Appends the canonical form of the whole document.
pub fn canonicalize_document(document: &Document<'_>, method: &Method, out: &mut Vec<u8>) {
    let mut writer = Writer::new(document, method, out);
    let text = document.text();
    let from = if text.starts_with('\u{FEFF}') { 3 } else { 0 };
    writer.run(from, text.len(), false);
}

struct Binding<'a> {
    prefix: &'a str,
    uri: Cow<'a, str>,
}

struct Writer<'o, 'a> {
    text: &'a str,
    maximum_attributes: usize,
    method: &'o Method,
    out: &'o mut Vec<u8>,
    /// Declarations in force in the text, innermost last.
    scope: Vec<Binding<'a>>,
    /// Declarations in force in what was written, innermost last.
    rendered: Vec<Binding<'a>>,
    /// Sizes of the two lists above before each open element.
    marks: Vec<(usize, usize)>,
    /// Attributes `xml:...` that the first element inherits.
    inherited: Vec<RawAttribute<'a>>,
}

fn find<'s, 'a>(bindings: &'s [Binding<'a>], prefix: &str) -> &'s str {
    bindings
        .iter()
        .rev()
        .find(|binding| binding.prefix == prefix)
        .map_or("", |binding| &binding.uri)
}

fn split(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}

impl<'o, 'a> Writer<'o, 'a> {
    fn new(document: &Document<'a>, method: &'o Method, out: &'o mut Vec<u8>) -> Self {
        Writer {
            text: document.text(),
            maximum_attributes: document.maximum_attributes(),
            method,
            out,
            scope: Vec::with_capacity(8),
            rendered: Vec::with_capacity(8),
            marks: Vec::with_capacity(16),
            inherited: Vec::new(),
        }
    }

    /// Takes over what the ancestors of an element declare.
    fn enter_scope_of(&mut self, element: Element<'_, 'a>) {
        let mut ancestors = Vec::with_capacity(8);
        let mut above = element.parent();
        while let Some(ancestor) = above {
            ancestors.push(ancestor);
            above = ancestor.parent();
        }
        for ancestor in ancestors.iter().rev() {
            self.declare(ancestor.raw_attributes());
            if *self.method == Method::Inclusive {
                for attribute in ancestor.raw_attributes() {
                    if attribute.name.starts_with("xml:") {
                        self.inherited.retain(|other| other.name != attribute.name);
                        self.inherited.push(*attribute);
                    }
                }
            }
        }
    }

    fn declare(&mut self, attributes: &[RawAttribute<'a>]) -> bool {
        let before = self.scope.len();
        for attribute in attributes {
            let prefix = if attribute.name == "xmlns" {
                ""
            } else if let Some(prefix) = attribute.name.strip_prefix("xmlns:") {
                prefix
            } else {
                continue;
            };
            self.scope.push(Binding {
                prefix,
                uri: crate::xml::attribute_value(attribute.value),
            });
        }
        self.scope.len() > before
    }

    /// The range was read once already, so the tokenizer has no more errors to report; should it
    /// ever have one, the output ends early and no digest matches.
    fn run(&mut self, from: usize, to: usize, one_element: bool) {
        let mut tokens = Tokens::new(self.text, from, to, self.maximum_attributes);
        let mut seen_root = false;
        while let Ok(Some(token)) = tokens.next() {
            match token {
                Token::Start { name, empty } => {
                    let first = !seen_root;
                    seen_root = true;
                    self.start(name, &mut tokens.attributes, first);
                    if empty {
                        self.end(name);
                    }
                }
                Token::End { name } => self.end(name),
                Token::Text(raw) if !self.marks.is_empty() => self.text(raw),
                Token::CharacterData(raw) => self.character_data(raw),
                Token::Instruction { target, data } => {
                    let outside = self.marks.is_empty() && !one_element;
                    if outside && seen_root {
                        self.out.push(b'\n');
                    }
                    self.instruction(target, data);
                    if outside && !seen_root {
                        self.out.push(b'\n');
                    }
                }
                Token::Text(_) | Token::Comment | Token::Declaration => {}
            }
        }
    }

    fn start(&mut self, name: &'a str, attributes: &mut Vec<RawAttribute<'a>>, first: bool) {
        let mark = (self.scope.len(), self.rendered.len());
        self.marks.push(mark);
        let declares = self.declare(attributes);
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        match self.method {
            Method::Inclusive if first || declares => self.render_inclusive(mark.0, first),
            Method::Inclusive => {}
            Method::Exclusive(listed) => self.render_exclusive(name, attributes, listed),
        }
        attributes.retain(|a| a.name != "xmlns" && !a.name.starts_with("xmlns:"));
        if first {
            for attribute in std::mem::take(&mut self.inherited) {
                if !attributes.iter().any(|own| own.name == attribute.name) {
                    attributes.push(attribute);
                }
            }
        }
        if attributes.len() > 1 {
            let scope = &self.scope;
            let key = |name: &'a str| {
                let (prefix, local) = split(name);
                let uri = match prefix {
                    "" => "",
                    "xml" => XML_NAMESPACE,
                    prefix => find(scope, prefix),
                };
                (uri, local)
            };
            attributes.sort_by(|one, other| key(one.name).cmp(&key(other.name)));
        }
        for attribute in attributes.iter() {
            self.out.push(b' ');
            self.out.extend_from_slice(attribute.name.as_bytes());
            self.out.extend_from_slice(b"=\"");
            write_value(attribute.value, self.out);
            self.out.push(b'"');
        }
        self.out.push(b'>');
    }

    fn end(&mut self, name: &str) {
        self.out.extend_from_slice(b"</");
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'>');
        if let Some((scope, rendered)) = self.marks.pop() {
            self.scope.truncate(scope);
            self.rendered.truncate(rendered);
        }
    }

    fn render_inclusive(&mut self, own: usize, first: bool) {
        let from = if first { 0 } else { own };
        let mut wanted: Vec<&'a str> = Vec::with_capacity(self.scope.len() - from);
        for binding in &self.scope[from..] {
            if !wanted.contains(&binding.prefix) {
                wanted.push(binding.prefix);
            }
        }
        self.render(wanted);
    }

    fn render_exclusive(
        &mut self,
        name: &'a str,
        attributes: &[RawAttribute<'a>],
        listed: &[String],
    ) {
        let mut wanted: Vec<&'a str> = vec![split(name).0];
        for attribute in attributes {
            let (prefix, _) = split(attribute.name);
            if !matches!(prefix, "" | "xml" | "xmlns") && !wanted.contains(&prefix) {
                wanted.push(prefix);
            }
        }
        for prefix in listed {
            let prefix = if prefix == "#default" { "" } else { prefix };
            if let Some(binding) = self.scope.iter().find(|b| b.prefix == prefix)
                && !wanted.contains(&binding.prefix)
            {
                wanted.push(binding.prefix);
            }
        }
        self.render(wanted);
    }

    /// Writes the declarations of these prefixes that differ from what is in force in the output.
    fn render(&mut self, mut wanted: Vec<&'a str>) {
        wanted.sort_unstable();
        for prefix in wanted {
            let uri = self
                .scope
                .iter()
                .rev()
                .find(|binding| binding.prefix == prefix)
                .map_or(Cow::Borrowed(""), |binding| binding.uri.clone());
            // The prefix xml is never declared in canonical form.
            if prefix == "xml" || uri == find(&self.rendered, prefix) {
                continue;
            }
            self.out.extend_from_slice(b" xmlns");
            if !prefix.is_empty() {
                self.out.push(b':');
                self.out.extend_from_slice(prefix.as_bytes());
            }
            self.out.extend_from_slice(b"=\"");
            for character in uri.chars() {
                write_attribute_character(character, self.out);
            }
            self.out.push(b'"');
            self.rendered.push(Binding { prefix, uri });
        }
    }

    fn text(&mut self, raw: &str) {
        let bytes = raw.as_bytes();
        let mut rest = 0;
        for at in memchr3_iter(b'&', b'\r', b'>', bytes) {
            if at < rest {
                continue;
            }
            self.out.extend_from_slice(&bytes[rest..at]);
            rest = at + 1;
            match bytes[at] {
                b'>' => self.out.extend_from_slice(b"&gt;"),
                b'\r' => {
                    self.out.push(b'\n');
                    if bytes.get(rest) == Some(&b'\n') {
                        rest += 1;
                    }
                }
                _ => {
                    if let Some((character, length)) = decode_reference(&raw[at..]) {
                        write_text_character(character, self.out);
                        rest = at + length;
                    }
                }
            }
        }
        self.out.extend_from_slice(&bytes[rest..]);
    }

    fn character_data(&mut self, raw: &str) {
        let mut characters = raw.chars().peekable();
        while let Some(character) = characters.next() {
            if character == '\r' {
                self.out.push(b'\n');
                characters.next_if_eq(&'\n');
            } else {
                write_text_character(character, self.out);
            }
        }
    }

    fn instruction(&mut self, target: &str, data: &str) {
        self.out.extend_from_slice(b"<?");
        self.out.extend_from_slice(target.as_bytes());
        if !data.is_empty() {
            self.out.push(b' ');
            let mut rest = data;
            while let Some((line, after)) = rest.split_once('\r') {
                self.out.extend_from_slice(line.as_bytes());
                self.out.push(b'\n');
                rest = after.strip_prefix('\n').unwrap_or(after);
            }
            self.out.extend_from_slice(rest.as_bytes());
        }
        self.out.extend_from_slice(b"?>");
    }
}

fn push_character(character: char, out: &mut Vec<u8>) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn write_text_character(character: char, out: &mut Vec<u8>) {
    match character {
        '&' => out.extend_from_slice(b"&amp;"),
        '<' => out.extend_from_slice(b"&lt;"),
        '>' => out.extend_from_slice(b"&gt;"),
        '\r' => out.extend_from_slice(b"&#xD;"),
        other => push_character(other, out),
    }
}

fn write_attribute_character(character: char, out: &mut Vec<u8>) {
    match character {
        '&' => out.extend_from_slice(b"&amp;"),
        '<' => out.extend_from_slice(b"&lt;"),
        '"' => out.extend_from_slice(b"&quot;"),
        '\t' => out.extend_from_slice(b"&#x9;"),
        '\n' => out.extend_from_slice(b"&#xA;"),
        '\r' => out.extend_from_slice(b"&#xD;"),
        other => push_character(other, out),
    }
}

fn write_value(raw: &str, out: &mut Vec<u8>) {
    let plain = memchr3(b'&', b'\r', b'"', raw.as_bytes()).is_none()
        && memchr3(b'\t', b'\n', b'<', raw.as_bytes()).is_none();
    if plain {
        out.extend_from_slice(raw.as_bytes());
        return;
    }
    // Literal white space is normalised to spaces; the same characters from a reference stay.
    for character in crate::xml::attribute_value(raw).chars() {
        write_attribute_character(character, out);
    }
}

/// Appends `text` as character content of a canonical document.
pub fn escape_text(text: &str, out: &mut Vec<u8>) {
    for character in text.chars() {
        write_text_character(character, out);
    }
}

/// Appends `text` as an attribute value of a canonical document, without the quotes.
pub fn escape_attribute(text: &str, out: &mut Vec<u8>) {
    for character in text.chars() {
        write_attribute_character(character, out);
    }
}
