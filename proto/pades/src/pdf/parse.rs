//! Syntax (ISO 32000-2 sections 7.2 and 7.3).

use super::object::{Dictionary, Object, ObjectId, Text};
use super::{MAX_DEPTH, MAX_OBJECT_NUMBER, MAX_VALUES, PdfError, Result, malformed};

/// A cursor over a file or a decompressed stream.
#[derive(Debug, Clone)]
pub(crate) struct Parser<'a> {
    bytes: &'a [u8],
    pub(crate) at: usize,
    values: usize,
    /// Whether `bytes` is the file, so that places mean something.
    in_file: bool,
}

pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn is_delimiter(byte: u8) -> bool {
    b"()<>[]{}/%".contains(&byte)
}

fn hexadecimal(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

impl<'a> Parser<'a> {
    pub(crate) fn in_file(bytes: &'a [u8], at: usize) -> Self {
        Parser {
            bytes,
            at,
            values: 0,
            in_file: true,
        }
    }

    pub(crate) fn in_stream(bytes: &'a [u8], at: usize) -> Self {
        Parser {
            in_file: false,
            ..Parser::in_file(bytes, at)
        }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn fail<T>(&self, what: &'static str) -> Result<T> {
        malformed(what, self.at)
    }

    /// Skips white space only.
    pub(crate) fn skip_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// Skips white space and comments.
    pub(crate) fn skip(&mut self) {
        loop {
            self.skip_space();
            if self.peek() != Some(b'%') {
                return;
            }
            while self
                .peek()
                .is_some_and(|byte| byte != b'\n' && byte != b'\r')
            {
                self.at += 1;
            }
        }
    }

    /// Whether a word stands here, and nothing that would make it a longer one.
    pub(crate) fn is_word(&self, word: &[u8]) -> bool {
        self.bytes.get(self.at..).is_some_and(|rest| {
            rest.starts_with(word)
                && rest
                    .get(word.len())
                    .is_none_or(|next| is_space(*next) || is_delimiter(*next))
        })
    }

    pub(crate) fn word(&mut self, word: &'static [u8], what: &'static str) -> Result<()> {
        if !self.is_word(word) {
            return self.fail(what);
        }
        self.at += word.len();
        Ok(())
    }

    /// Decimal digits and nothing else, at most ten.
    pub(crate) fn unsigned(&mut self, what: &'static str) -> Result<u64> {
        let start = self.at;
        let mut value = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if self.at - start >= 10 {
                return self.fail("a number is too long");
            }
            value = value * 10 + u64::from(digit - b'0');
            self.at += 1;
        }
        if self.at == start {
            return self.fail(what);
        }
        Ok(value)
    }

    /// `12 0 obj`.
    pub(crate) fn object_header(&mut self) -> Result<ObjectId> {
        let what = "an indirect object does not begin here";
        let start = self.at;
        let number = self.unsigned(what)?;
        self.skip();
        let generation = self.unsigned(what)?;
        self.skip();
        self.word(b"obj", what)?;
        match (u32::try_from(number), u16::try_from(generation)) {
            (Ok(number), Ok(generation)) if number <= MAX_OBJECT_NUMBER => {
                Ok(ObjectId { number, generation })
            }
            _ => malformed("an object number is out of range", start),
        }
    }

    /// A direct object.
    pub(crate) fn object(&mut self) -> Result<Object> {
        self.values = 0;
        self.nested(0)
    }

    fn nested(&mut self, depth: usize) -> Result<Object> {
        if depth > MAX_DEPTH {
            return Err(PdfError::TooLarge("nesting of an object"));
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(PdfError::TooLarge("values of an object"));
        }
        self.skip();
        match self.peek() {
            None => self.fail("the file ends within an object"),
            Some(b'/') => Ok(Object::Name(self.name()?)),
            Some(b'(') => self.literal_string(),
            Some(b'<') if self.bytes.get(self.at + 1) == Some(&b'<') => {
                self.at += 2;
                self.dictionary(depth).map(Object::Dictionary)
            }
            Some(b'<') => self.hexadecimal_string(),
            Some(b'[') => {
                self.at += 1;
                let mut elements = Vec::new();
                loop {
                    self.skip();
                    if self.peek() == Some(b']') {
                        self.at += 1;
                        return Ok(Object::Array(elements));
                    }
                    elements.push(self.nested(depth + 1)?);
                }
            }
            Some(b'0'..=b'9' | b'+' | b'-' | b'.') => self.number_or_reference(),
            Some(_) => {
                for (word, value) in [
                    (&b"true"[..], Object::Boolean(true)),
                    (b"false", Object::Boolean(false)),
                    (b"null", Object::Null),
                ] {
                    if self.is_word(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                self.fail("an object was expected")
            }
        }
    }

    fn dictionary(&mut self, depth: usize) -> Result<Dictionary> {
        let start = self.at;
        let mut entries = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                Some(b'>') if self.bytes.get(self.at + 1) == Some(&b'>') => {
                    self.at += 2;
                    return match Dictionary::from_entries(entries) {
                        Some(dictionary) => Ok(dictionary),
                        None => malformed("a key occurs twice in a dictionary", start),
                    };
                }
                Some(b'/') => {
                    let key = self.name()?;
                    entries.push((key, self.nested(depth + 1)?));
                }
                _ => return self.fail("a dictionary is not closed"),
            }
        }
    }

    fn name(&mut self) -> Result<Vec<u8>> {
        self.at += 1;
        let mut name = Vec::new();
        while let Some(byte) = self.peek() {
            if is_space(byte) || is_delimiter(byte) {
                break;
            }
            self.at += 1;
            if byte != b'#' {
                name.push(byte);
                continue;
            }
            let digits = (
                self.peek().and_then(hexadecimal),
                self.bytes.get(self.at + 1).copied().and_then(hexadecimal),
            );
            let (Some(high), Some(low)) = digits else {
                return self.fail("a name has a wrong escape");
            };
            name.push(high << 4 | low);
            self.at += 2;
        }
        Ok(name)
    }

    fn text(&self, bytes: Vec<u8>, start: usize) -> Object {
        let at = if self.in_file { start..self.at } else { 0..0 };
        Object::String(Text { bytes, at })
    }

    fn hexadecimal_string(&mut self) -> Result<Object> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        let mut high = None;
        loop {
            let Some(byte) = self.peek() else {
                return self.fail("a string is not closed");
            };
            self.at += 1;
            if byte == b'>' {
                break;
            }
            if is_space(byte) {
                continue;
            }
            let Some(digit) = hexadecimal(byte) else {
                return self.fail("a string has a wrong digit");
            };
            match high.take() {
                None => high = Some(digit),
                Some(high) => bytes.push(high << 4 | digit),
            }
        }
        if let Some(high) = high {
            bytes.push(high << 4);
        }
        Ok(self.text(bytes, start))
    }

    fn literal_string(&mut self) -> Result<Object> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        let mut open = 1usize;
        loop {
            let Some(byte) = self.peek() else {
                return self.fail("a string is not closed");
            };
            self.at += 1;
            match byte {
                b'(' => open += 1,
                b')' => {
                    open -= 1;
                    if open == 0 {
                        return Ok(self.text(bytes, start));
                    }
                }
                b'\\' => {
                    let Some(escaped) = self.peek() else {
                        return self.fail("a string is not closed");
                    };
                    self.at += 1;
                    match escaped {
                        b'n' => bytes.push(b'\n'),
                        b'r' => bytes.push(b'\r'),
                        b't' => bytes.push(b'\t'),
                        b'b' => bytes.push(8),
                        b'f' => bytes.push(0x0c),
                        b'0'..=b'7' => {
                            let mut value = u32::from(escaped - b'0');
                            for _ in 0..2 {
                                if let Some(digit @ b'0'..=b'7') = self.peek() {
                                    value = value << 3 | u32::from(digit - b'0');
                                    self.at += 1;
                                }
                            }
                            bytes.push(value as u8);
                        }
                        b'\r' => {
                            if self.peek() == Some(b'\n') {
                                self.at += 1;
                            }
                        }
                        b'\n' => {}
                        other => bytes.push(other),
                    }
                    continue;
                }
                b'\r' => {
                    if self.peek() == Some(b'\n') {
                        self.at += 1;
                    }
                    bytes.push(b'\n');
                    continue;
                }
                _ => {}
            }
            bytes.push(byte);
        }
    }

    fn number_or_reference(&mut self) -> Result<Object> {
        let start = self.at;
        let mut fraction = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'0'..=b'9' => {}
                b'+' | b'-' if self.at == start => {}
                b'.' if !fraction => fraction = true,
                _ if is_space(byte) || is_delimiter(byte) => break,
                _ => return self.fail("a number is wrong"),
            }
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        if fraction {
            let digits = text.trim_start_matches(['+', '-']);
            if digits == "." || text.len() > 64 {
                return malformed("a number is wrong", start);
            }
            return match text.parse::<f64>() {
                Ok(value) => Ok(Object::Real(value)),
                Err(_) => malformed("a number is wrong", start),
            };
        }
        let Ok(value) = text.parse::<i64>() else {
            return malformed("a number is wrong", start);
        };
        // `12 0 R`, perhaps.
        let mut ahead = self.clone();
        if text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            ahead.skip();
            if let Ok(generation) = ahead.unsigned("") {
                ahead.skip();
                if ahead.is_word(b"R") {
                    let number = u32::try_from(value)
                        .ok()
                        .filter(|number| *number <= MAX_OBJECT_NUMBER);
                    let generation = u16::try_from(generation).ok();
                    let (Some(number), Some(generation)) = (number, generation) else {
                        return malformed("a reference is out of range", start);
                    };
                    self.at = ahead.at + 1;
                    return Ok(Object::Reference(ObjectId { number, generation }));
                }
            }
        }
        Ok(Object::Integer(value))
    }
}
