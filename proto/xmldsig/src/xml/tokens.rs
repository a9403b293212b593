//! Splits a text into tags, text and the rest, checking well-formedness as it goes.

use super::XmlError;
use memchr::{memchr, memchr2, memmem};

/// An attribute as written: the value still holds its references.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawAttribute<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

/// One piece of a document. The attributes of a start tag are in [`Tokens::attributes`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Token<'a> {
    Start { name: &'a str, empty: bool },
    End { name: &'a str },
    Text(&'a str),
    CharacterData(&'a str),
    Comment,
    Instruction { target: &'a str, data: &'a str },
    Declaration,
}

/// The tokenizer: a cursor over the text.
pub(crate) struct Tokens<'a> {
    text: &'a str,
    position: usize,
    limit: usize,
    maximum_attributes: usize,
    /// Attributes of the last start tag, in the order written.
    pub(crate) attributes: Vec<RawAttribute<'a>>,
}

const NAME_START: u8 = 1;
const NAME: u8 = 2;
const SPACE: u8 = 4;

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut index = 0usize;
    while index < 256 {
        let byte = index as u8;
        table[index] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':' => NAME_START | NAME,
            b'0'..=b'9' | b'-' | b'.' => NAME,
            b' ' | b'\t' | b'\n' | b'\r' => SPACE,
            _ => 0,
        };
        index += 1;
    }
    table
}

static CLASS: [u8; 256] = classes();

fn is_space(byte: u8) -> bool {
    CLASS[usize::from(byte)] & SPACE != 0
}

/// XML 1.0 (fifth edition) production 4, above ASCII.
fn is_wide_name_start(character: char) -> bool {
    matches!(u32::from(character),
        0xC0..=0xD6 | 0xD8..=0xF6 | 0xF8..=0x2FF | 0x370..=0x37D | 0x37F..=0x1FFF
        | 0x200C..=0x200D | 0x2070..=0x218F | 0x2C00..=0x2FEF | 0x3001..=0xD7FF
        | 0xF900..=0xFDCF | 0xFDF0..=0xFFFD | 0x10000..=0xEFFFF)
}

/// XML 1.0 (fifth edition) production 4a, above ASCII.
fn is_wide_name(character: char) -> bool {
    is_wide_name_start(character)
        || matches!(u32::from(character), 0xB7 | 0x300..=0x36F | 0x203F..=0x2040)
}

/// XML 1.0 production 2.
fn is_allowed(character: char) -> bool {
    matches!(u32::from(character),
        0x9 | 0xA | 0xD | 0x20..=0xD7FF | 0xE000..=0xFFFD | 0x10000..=0x10FFFF)
}

/// Decodes the reference at the start of `text` (which begins with `&`): the character and the
/// number of bytes that the reference takes.
pub(crate) fn decode_reference(text: &str) -> Option<(char, usize)> {
    let end = text.as_bytes().iter().take(12).position(|&b| b == b';')?;
    let body = text.get(1..end)?;
    let character = match body {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let digits = body.strip_prefix('#')?;
            let (digits, radix) = match digits.strip_prefix('x') {
                Some(hexadecimal) => (hexadecimal, 16),
                None => (digits, 10),
            };
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            let code = u32::from_str_radix(digits, radix).ok()?;
            char::from_u32(code).filter(|&c| is_allowed(c))?
        }
    };
    Some((character, end + 1))
}

/// Checks the characters of a whole text once: UTF-8, and only characters that XML allows.
pub(crate) fn check_characters(bytes: &[u8]) -> Result<&str, XmlError> {
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
    let control = bytes.iter().fold(false, |bad, &b| {
        bad | (b < 0x20 && b != 9 && b != 10 && b != 13)
    });
    if control || (!text.is_ascii() && text.contains(['\u{FFFE}', '\u{FFFF}'])) {
        let at = text.find(|c: char| !is_allowed(c)).unwrap_or(0);
        return Err(XmlError::NotWellFormed {
            rule: "a character that XML does not allow",
            at,
        });
    }
    Ok(text)
}

impl<'a> Tokens<'a> {
    /// Over `text[from..to]`; the characters must have been checked.
    pub(crate) fn new(text: &'a str, from: usize, to: usize, maximum_attributes: usize) -> Self {
        Tokens {
            text,
            position: from,
            limit: to,
            maximum_attributes,
            attributes: Vec::new(),
        }
    }

    /// Where the next token begins, in bytes.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    fn bytes(&self) -> &'a [u8] {
        &self.text.as_bytes()[..self.limit]
    }

    fn wrong<T>(&self, rule: &'static str, at: usize) -> Result<T, XmlError> {
        Err(XmlError::NotWellFormed { rule, at })
    }

    /// The next token, or `None` at the end of the range.
    pub(crate) fn next(&mut self) -> Result<Option<Token<'a>>, XmlError> {
        let bytes = self.bytes();
        let start = self.position;
        let Some(&first) = bytes.get(start) else {
            return Ok(None);
        };
        if first != b'<' {
            let end = memchr(b'<', &bytes[start..]).map_or(self.limit, |n| start + n);
            self.position = end;
            let raw = &self.text[start..end];
            self.check_text(raw, start)?;
            return Ok(Some(Token::Text(raw)));
        }
        match bytes.get(start + 1) {
            Some(b'/') => self.end_tag(start).map(Some),
            Some(b'!') => self.markup(start).map(Some),
            Some(b'?') => self.instruction(start).map(Some),
            Some(_) => self.start_tag(start).map(Some),
            None => self.wrong("a tag is cut off", start),
        }
    }

    fn check_text(&self, raw: &str, at: usize) -> Result<(), XmlError> {
        let bytes = raw.as_bytes();
        let mut from = 0;
        while let Some(found) = memchr2(b'&', b'>', &bytes[from..]) {
            let index = from + found;
            if bytes[index] == b'&' {
                let (_, length) =
                    decode_reference(&raw[index..]).ok_or(XmlError::Reference(at + index))?;
                from = index + length;
            } else if bytes[..index].ends_with(b"]]") {
                return self.wrong("]]> in text", at + index);
            } else {
                from = index + 1;
            }
        }
        Ok(())
    }

    fn name(&self, from: usize) -> Result<(&'a str, usize), XmlError> {
        let bytes = self.bytes();
        let mut at = from;
        while let Some(&byte) = bytes.get(at) {
            if byte < 0x80 {
                let wanted = if at == from { NAME_START } else { NAME };
                if CLASS[usize::from(byte)] & wanted == 0 {
                    break;
                }
                at += 1;
            } else {
                let Some(character) = self.text[at..].chars().next() else {
                    break;
                };
                let fits = if at == from {
                    is_wide_name_start(character)
                } else {
                    is_wide_name(character)
                };
                if !fits {
                    break;
                }
                at += character.len_utf8();
            }
        }
        if at == from {
            return self.wrong("a name was expected", from);
        }
        Ok((&self.text[from..at], at))
    }

    fn skip_space(&self, mut at: usize) -> usize {
        let bytes = self.bytes();
        while bytes.get(at).is_some_and(|&b| is_space(b)) {
            at += 1;
        }
        at
    }

    fn end_tag(&mut self, start: usize) -> Result<Token<'a>, XmlError> {
        let (name, at) = self.name(start + 2)?;
        let at = self.skip_space(at);
        if self.bytes().get(at) != Some(&b'>') {
            return self.wrong("an end tag does not end", at);
        }
        self.position = at + 1;
        Ok(Token::End { name })
    }

    fn start_tag(&mut self, start: usize) -> Result<Token<'a>, XmlError> {
        self.attributes.clear();
        let bytes = self.bytes();
        let (name, mut at) = self.name(start + 1)?;
        loop {
            let after_space = self.skip_space(at);
            match bytes.get(after_space) {
                Some(b'>') => {
                    self.position = after_space + 1;
                    return Ok(Token::Start { name, empty: false });
                }
                Some(b'/') => {
                    if bytes.get(after_space + 1) != Some(&b'>') {
                        return self.wrong("a start tag does not end", after_space);
                    }
                    self.position = after_space + 2;
                    return Ok(Token::Start { name, empty: true });
                }
                Some(_) if after_space > at => {
                    at = self.attribute(after_space)?;
                }
                _ => return self.wrong("a start tag does not end", after_space),
            }
        }
    }

    fn attribute(&mut self, from: usize) -> Result<usize, XmlError> {
        let bytes = self.bytes();
        let (name, at) = self.name(from)?;
        let at = self.skip_space(at);
        if bytes.get(at) != Some(&b'=') {
            return self.wrong("an attribute has no value", at);
        }
        let at = self.skip_space(at + 1);
        let quote = match bytes.get(at) {
            Some(&quote @ (b'"' | b'\'')) => quote,
            _ => return self.wrong("an attribute value is not quoted", at),
        };
        let begin = at + 1;
        let Some(length) = memchr(quote, &bytes[begin..]) else {
            return self.wrong("an attribute value does not end", at);
        };
        let value = &self.text[begin..begin + length];
        let mut rest = 0;
        while let Some(found) = memchr2(b'&', b'<', &value.as_bytes()[rest..]) {
            let index = rest + found;
            if value.as_bytes()[index] == b'<' {
                return self.wrong("< in an attribute value", begin + index);
            }
            let (_, taken) =
                decode_reference(&value[index..]).ok_or(XmlError::Reference(begin + index))?;
            rest = index + taken;
        }
        if self.attributes.iter().any(|other| other.name == name) {
            return self.wrong("an attribute occurs twice", from);
        }
        if self.attributes.len() >= self.maximum_attributes {
            return Err(XmlError::TooManyAttributes);
        }
        self.attributes.push(RawAttribute { name, value });
        Ok(begin + length + 1)
    }

    fn markup(&mut self, start: usize) -> Result<Token<'a>, XmlError> {
        let rest = &self.text[start..self.limit];
        if let Some(comment) = rest.strip_prefix("<!--") {
            let Some(dashes) = memmem::find(comment.as_bytes(), b"--") else {
                return self.wrong("a comment does not end", start);
            };
            if comment.as_bytes().get(dashes + 2) != Some(&b'>') {
                return self.wrong("-- in a comment", start + 4 + dashes);
            }
            self.position = start + 4 + dashes + 3;
            return Ok(Token::Comment);
        }
        if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let Some(length) = memmem::find(data.as_bytes(), b"]]>") else {
                return self.wrong("a CDATA section does not end", start);
            };
            self.position = start + 9 + length + 3;
            return Ok(Token::CharacterData(&data[..length]));
        }
        if rest.starts_with("<!DOCTYPE") {
            return Err(XmlError::Doctype);
        }
        self.wrong("unknown markup", start)
    }

    fn instruction(&mut self, start: usize) -> Result<Token<'a>, XmlError> {
        let (target, after) = self.name(start + 2)?;
        let bytes = self.bytes();
        let Some(length) = memmem::find(&bytes[after..], b"?>") else {
            return self.wrong("an instruction does not end", start);
        };
        let end = after + length;
        if length > 0 && !is_space(bytes[after]) {
            return self.wrong("an instruction's target does not end", after);
        }
        let data = &self.text[self.skip_space(after).min(end)..end];
        self.position = end + 2;
        if target.eq_ignore_ascii_case("xml") {
            let at_start = start == 0 || &self.text[..start] == "\u{FEFF}";
            if target != "xml" || !at_start {
                return self.wrong("an XML declaration is not at the start", start);
            }
            self.check_declaration(data, start)?;
            return Ok(Token::Declaration);
        }
        if target.contains(':') {
            return self.wrong("a colon in an instruction's target", start);
        }
        Ok(Token::Instruction { target, data })
    }

    /// `version="1.0" [encoding="UTF-8"] [standalone="yes|no"]`, in this order.
    fn check_declaration(&mut self, data: &'a str, at: usize) -> Result<(), XmlError> {
        let mut inner = Tokens::new(data, 0, data.len(), 3);
        let mut position = 0;
        loop {
            let next = inner.skip_space(position);
            if next == data.len() {
                break;
            }
            if position > 0 && next == position {
                return self.wrong("the XML declaration", at);
            }
            position = inner
                .attribute(next)
                .or_else(|_| self.wrong("the XML declaration", at))?;
        }
        let mut expected = ["version", "encoding", "standalone"].iter();
        for (index, attribute) in inner.attributes.iter().enumerate() {
            if !expected.any(|name| *name == attribute.name)
                || (index == 0 && attribute.name != "version")
            {
                return self.wrong("the XML declaration", at);
            }
            let fits = match attribute.name {
                "version" => attribute.value == "1.0",
                "encoding" => {
                    if !attribute.value.eq_ignore_ascii_case("utf-8") {
                        return Err(XmlError::NotUtf8);
                    }
                    true
                }
                _ => matches!(attribute.value, "yes" | "no"),
            };
            if !fits {
                return self.wrong("the XML declaration", at);
            }
        }
        if inner.attributes.is_empty() {
            return self.wrong("the XML declaration", at);
        }
        Ok(())
    }
}
