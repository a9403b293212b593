//! The flat index of a document's elements.

use super::tokens::{RawAttribute, Token, Tokens, check_characters, decode_reference};
use super::{XML_NAMESPACE, XMLNS_NAMESPACE, XmlError};
use memchr::{memchr, memchr3};
use std::borrow::Cow;
use std::ops::Range;

/// Bounds that a document must keep to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the whole document.
    pub bytes: usize,
    /// Elements nested in one another.
    pub depth: usize,
    /// Elements of the whole document.
    pub elements: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
}

const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Node<'a> {
    parent: u32,
    first_child: u32,
    next_sibling: u32,
    name: &'a str,
    /// Index into `uris`, or NONE for no namespace.
    uri: u32,
    attributes: Range<u32>,
    start: u32,
    content_start: u32,
    content_end: u32,
    end: u32,
}

/// A parsed document: an index over a text that it borrows.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
    nodes: Vec<Node<'a>>,
    attributes: Vec<RawAttribute<'a>>,
    uris: Vec<Cow<'a, str>>,
    maximum_attributes: usize,
}

/// One element of a [`Document`].
#[derive(Debug, Clone, Copy)]
pub struct Element<'d, 'a> {
    document: &'d Document<'a>,
    index: u32,
}

/// The child elements of an element, in document order.
pub struct Elements<'d, 'a> {
    document: &'d Document<'a>,
    next: u32,
}

/// Splits a qualified name into prefix (empty: none) and local part.
pub(crate) fn split_name(name: &str) -> Result<(&str, &str), XmlError> {
    match memchr(b':', name.as_bytes()) {
        None => Ok(("", name)),
        Some(colon) => {
            let (prefix, local) = (&name[..colon], &name[colon + 1..]);
            let starts_well = local
                .chars()
                .next()
                .is_some_and(|c| !c.is_ascii_digit() && !matches!(c, '-' | '.'));
            if prefix.is_empty() || !starts_well || local.contains(':') {
                return Err(XmlError::Namespace("a name has a misplaced colon"));
            }
            Ok((prefix, local))
        }
    }
}

/// An attribute's value as XML 1.0 section 3.3.3 normalises it.
pub(crate) fn attribute_value(raw: &str) -> Cow<'_, str> {
    if !raw
        .bytes()
        .any(|b| matches!(b, b'&' | b'\t' | b'\n' | b'\r'))
    {
        return Cow::Borrowed(raw);
    }
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(first) = rest.chars().next() {
        match first {
            '&' => {
                // Every reference was checked when the tag was read.
                let (character, length) = decode_reference(rest).unwrap_or(('&', 1));
                value.push(character);
                rest = &rest[length..];
            }
            '\r' => {
                value.push(' ');
                rest = rest[1..].strip_prefix('\n').unwrap_or(&rest[1..]);
            }
            '\t' | '\n' => {
                value.push(' ');
                rest = &rest[1..];
            }
            other => {
                value.push(other);
                rest = &rest[other.len_utf8()..];
            }
        }
    }
    Cow::Owned(value)
}

impl<'a> Document<'a> {
    /// Reads a whole document: exactly one root element, around it only white space, comments
    /// and instructions.
    ///
    /// # Errors
    /// [`XmlError`] says which rule or limit the text breaks.
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, XmlError> {
        if bytes.len() > limits.bytes || bytes.len() >= NONE as usize {
            return Err(XmlError::TooLarge(bytes.len()));
        }
        let text = check_characters(bytes)?;
        let from = if text.starts_with('\u{FEFF}') { 3 } else { 0 };
        let mut builder = Builder {
            document: Document {
                text,
                nodes: Vec::with_capacity(96),
                attributes: Vec::with_capacity(64),
                uris: Vec::with_capacity(8),
                maximum_attributes: limits.attributes,
            },
            bindings: Vec::with_capacity(8),
            open: Vec::with_capacity(16),
        };
        let mut tokens = Tokens::new(text, from, text.len(), limits.attributes);
        let mut seen_root = false;
        loop {
            let start = tokens.position();
            let Some(token) = tokens.next()? else { break };
            match token {
                Token::Start { name, empty } => {
                    if builder.open.is_empty() && seen_root {
                        return Err(XmlError::NotWellFormed {
                            rule: "a second root element",
                            at: start,
                        });
                    }
                    seen_root = true;
                    if builder.open.len() >= limits.depth {
                        return Err(XmlError::TooDeep);
                    }
                    if builder.document.nodes.len() >= limits.elements {
                        return Err(XmlError::TooManyElements);
                    }
                    builder.open(name, &tokens.attributes, start, tokens.position())?;
                    if empty {
                        let end = tokens.position();
                        builder.close(name, end, end, end)?;
                    }
                }
                Token::End { name } => builder.close(name, start, start, tokens.position())?,
                Token::Text(raw) => {
                    if builder.open.is_empty()
                        && raw
                            .bytes()
                            .any(|b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
                    {
                        return Err(XmlError::NotWellFormed {
                            rule: "text outside of the root element",
                            at: start,
                        });
                    }
                }
                Token::CharacterData(_) if builder.open.is_empty() => {
                    return Err(XmlError::NotWellFormed {
                        rule: "text outside of the root element",
                        at: start,
                    });
                }
                Token::CharacterData(_)
                | Token::Comment
                | Token::Instruction { .. }
                | Token::Declaration => {}
            }
        }
        if !builder.open.is_empty() || !seen_root {
            return Err(XmlError::NotWellFormed {
                rule: "the document ends too early",
                at: text.len(),
            });
        }
        Ok(builder.document)
    }

    /// The root element.
    #[must_use]
    pub fn root(&self) -> Element<'_, 'a> {
        Element {
            document: self,
            index: 0,
        }
    }

    /// Every element, in document order.
    pub fn elements(&self) -> impl Iterator<Item = Element<'_, 'a>> {
        (0..self.nodes.len() as u32).map(|index| Element {
            document: self,
            index,
        })
    }

    /// The text that the positions of the elements refer to.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    pub(crate) fn maximum_attributes(&self) -> usize {
        self.maximum_attributes
    }
}

struct Builder<'a> {
    document: Document<'a>,
    /// Namespace declarations in force: (prefix, index into `uris` or NONE, element depth).
    bindings: Vec<(&'a str, u32, usize)>,
    /// Open elements with their last child so far.
    open: Vec<(u32, u32)>,
}

impl<'a> Builder<'a> {
    fn resolve(&self, prefix: &str) -> Option<u32> {
        self.bindings
            .iter()
            .rev()
            .find(|(bound, ..)| *bound == prefix)
            .map(|&(_, uri, _)| uri)
    }

    fn intern(&mut self, uri: Cow<'a, str>) -> u32 {
        if uri.is_empty() {
            return NONE;
        }
        let known = self.document.uris.iter().position(|known| *known == uri);
        known.unwrap_or_else(|| {
            self.document.uris.push(uri);
            self.document.uris.len() - 1
        }) as u32
    }

    fn declare(&mut self, prefix: &'a str, raw: &'a str) -> Result<(), XmlError> {
        let uri = attribute_value(raw);
        let allowed = match prefix {
            "xml" => uri == XML_NAMESPACE,
            "xmlns" => false,
            "" => uri != XML_NAMESPACE && uri != XMLNS_NAMESPACE,
            _ => !uri.is_empty() && uri != XML_NAMESPACE && uri != XMLNS_NAMESPACE,
        };
        if !allowed {
            return Err(XmlError::Namespace("a declaration that is not allowed"));
        }
        let uri = self.intern(uri);
        self.bindings.push((prefix, uri, self.open.len()));
        Ok(())
    }

    fn open(
        &mut self,
        name: &'a str,
        attributes: &[RawAttribute<'a>],
        start: usize,
        content_start: usize,
    ) -> Result<(), XmlError> {
        let mut prefixed = false;
        for attribute in attributes {
            if attribute.name == "xmlns" {
                self.declare("", attribute.value)?;
            } else if let Some(prefix) = attribute.name.strip_prefix("xmlns:") {
                split_name(attribute.name)?;
                self.declare(prefix, attribute.value)?;
            } else {
                let (prefix, _) = split_name(attribute.name)?;
                prefixed |= !prefix.is_empty();
            }
        }
        if prefixed {
            self.check_prefixed(attributes)?;
        }
        let (prefix, _) = split_name(name)?;
        let uri = match (self.resolve(prefix), prefix) {
            (Some(uri), _) => uri,
            (None, "") => NONE,
            (None, "xml") => self.intern(Cow::Borrowed(XML_NAMESPACE)),
            (None, _) => return Err(XmlError::Namespace("a prefix is not declared")),
        };
        let index = self.document.nodes.len() as u32;
        let first = self.document.attributes.len() as u32;
        self.document.attributes.extend_from_slice(attributes);
        let mut parent = NONE;
        if let Some((above, last_child)) = self.open.last_mut() {
            parent = *above;
            if *last_child == NONE {
                self.document.nodes[*above as usize].first_child = index;
            } else {
                self.document.nodes[*last_child as usize].next_sibling = index;
            }
            *last_child = index;
        }
        self.document.nodes.push(Node {
            parent,
            first_child: NONE,
            next_sibling: NONE,
            name,
            uri,
            attributes: first..self.document.attributes.len() as u32,
            start: start as u32,
            content_start: content_start as u32,
            content_end: content_start as u32,
            end: content_start as u32,
        });
        self.open.push((index, NONE));
        Ok(())
    }

    /// Prefixes of attributes are declared, and no two attributes are the same once resolved.
    fn check_prefixed(&self, attributes: &[RawAttribute<'a>]) -> Result<(), XmlError> {
        let mut seen: Vec<(u32, &str)> = Vec::new();
        for attribute in attributes {
            let (prefix, local) = split_name(attribute.name)?;
            if matches!(prefix, "" | "xmlns" | "xml") {
                continue;
            }
            let Some(uri) = self.resolve(prefix) else {
                return Err(XmlError::Namespace("a prefix is not declared"));
            };
            if seen.contains(&(uri, local)) {
                return Err(XmlError::Namespace("an attribute occurs twice"));
            }
            seen.push((uri, local));
        }
        Ok(())
    }

    fn close(
        &mut self,
        name: &str,
        content_end: usize,
        at: usize,
        end: usize,
    ) -> Result<(), XmlError> {
        let Some((index, _)) = self.open.pop() else {
            return Err(XmlError::NotWellFormed {
                rule: "an end tag without a start",
                at,
            });
        };
        let node = &mut self.document.nodes[index as usize];
        if node.name != name {
            return Err(XmlError::NotWellFormed {
                rule: "an end tag of another element",
                at,
            });
        }
        node.content_end = content_end as u32;
        node.end = end as u32;
        let depth = self.open.len();
        while self.bindings.last().is_some_and(|&(.., at)| at >= depth) {
            self.bindings.pop();
        }
        Ok(())
    }
}

impl<'d, 'a> Element<'d, 'a> {
    fn node(&self) -> &'d Node<'a> {
        &self.document.nodes[self.index as usize]
    }

    /// The document that this element belongs to.
    #[must_use]
    pub fn document(&self) -> &'d Document<'a> {
        self.document
    }

    /// The name as written, with its prefix.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.node().name
    }

    /// The name without its prefix.
    #[must_use]
    pub fn local_name(&self) -> &'a str {
        let name = self.node().name;
        name.split_once(':').map_or(name, |(_, local)| local)
    }

    /// The prefix as written, empty where there is none.
    #[must_use]
    pub fn prefix(&self) -> &'a str {
        self.node()
            .name
            .split_once(':')
            .map_or("", |(prefix, _)| prefix)
    }

    /// The namespace, empty where there is none.
    #[must_use]
    pub fn namespace(&self) -> &'d str {
        self.document
            .uris
            .get(self.node().uri as usize)
            .map_or("", |uri| uri)
    }

    /// Whether this is the element `local` of `namespace`.
    #[must_use]
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local_name() == local && self.namespace() == namespace
    }

    /// The child elements, in document order.
    #[must_use]
    pub fn children(&self) -> Elements<'d, 'a> {
        Elements {
            document: self.document,
            next: self.node().first_child,
        }
    }

    /// The element around this one; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Element<'d, 'a>> {
        let parent = self.node().parent;
        (parent != NONE).then_some(Element {
            document: self.document,
            index: parent,
        })
    }

    /// The value of an attribute without a namespace.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Cow<'a, str>> {
        self.raw_attributes()
            .iter()
            .find(|attribute| attribute.name == name)
            .map(|attribute| attribute_value(attribute.value))
    }

    /// The names of the attributes as written, without namespace declarations.
    pub fn attribute_names(&self) -> impl Iterator<Item = &'a str> + use<'a, 'd> {
        self.raw_attributes()
            .iter()
            .map(|attribute| attribute.name)
            .filter(|name| *name != "xmlns" && !name.starts_with("xmlns:"))
    }

    pub(crate) fn raw_attributes(&self) -> &'d [RawAttribute<'a>] {
        let range = &self.node().attributes;
        &self.document.attributes[range.start as usize..range.end as usize]
    }

    /// Where the element stands in the text, from `<` of its start tag to `>` of its end tag.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.node().start as usize..self.node().end as usize
    }

    /// Where the element's content stands in the text.
    #[must_use]
    pub fn content_range(&self) -> Range<usize> {
        self.node().content_start as usize..self.node().content_end as usize
    }

    /// The content exactly as written.
    #[must_use]
    pub fn raw_content(&self) -> &'a str {
        &self.document.text[self.content_range()]
    }

    /// The text of an element that holds nothing but text, references decoded and line ends
    /// normalised. `None` if it holds child elements, comments, CDATA or instructions: a value
    /// that a comment could split in two is not a value.
    #[must_use]
    pub fn value(&self) -> Option<Cow<'a, str>> {
        let raw = self.raw_content();
        let bytes = raw.as_bytes();
        match memchr3(b'<', b'&', b'\r', bytes) {
            None => return Some(Cow::Borrowed(raw)),
            Some(at) if bytes[at] == b'<' => return None,
            Some(_) if memchr(b'<', bytes).is_some() => return None,
            Some(_) => {}
        }
        let mut value = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find(['&', '\r']) {
            value.push_str(&rest[..at]);
            rest = &rest[at..];
            if rest.starts_with('\r') {
                value.push('\n');
                rest = rest[1..].strip_prefix('\n').unwrap_or(&rest[1..]);
            } else {
                let (character, length) = decode_reference(rest)?;
                value.push(character);
                rest = &rest[length..];
            }
        }
        value.push_str(rest);
        Some(Cow::Owned(value))
    }
}

impl PartialEq for Element<'_, '_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.document, other.document) && self.index == other.index
    }
}

impl<'d, 'a> Iterator for Elements<'d, 'a> {
    type Item = Element<'d, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == NONE {
            return None;
        }
        let element = Element {
            document: self.document,
            index: self.next,
        };
        self.next = element.node().next_sibling;
        Some(element)
    }
}
