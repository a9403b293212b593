//! The little of MIME (RFC 2045, RFC 2046) that signed directories need, over bytes
//! whose exact extent matters. Lines may end in CRLF or LF (reference G16).

use std::ops::Range;

const MAX_HEADERS: usize = 64;
const MAX_HEADER_BLOCK: usize = 32 << 10;

/// Header fields with lower-case names.
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    pub fn get(&self, lower_case_name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == lower_case_name)
            .map(|(_, value)| value.as_str())
    }
}

/// Splits `bytes` at the blank line after its header fields: the fields, and where
/// the body begins. Without a blank line all is header.
pub(crate) fn headers(bytes: &[u8]) -> Option<(Headers, usize)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut position = 0;
    while position < bytes.len() {
        let (line, next) = line_at(bytes, position);
        position = next;
        if line.is_empty() {
            break;
        }
        if position > MAX_HEADER_BLOCK || fields.len() >= MAX_HEADERS {
            return None;
        }
        let line = std::str::from_utf8(line).ok()?;
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut()?;
            value.push(' ');
            value.push_str(line.trim());
            continue;
        }
        let (name, value) = line.split_once(':')?;
        fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some((Headers(fields), position))
}

/// The line at `position` without its end, and where the next begins.
fn line_at(bytes: &[u8], position: usize) -> (&[u8], usize) {
    let rest = &bytes[position..];
    match rest.iter().position(|&b| b == b'\n') {
        Some(end) => {
            let line = &rest[..end];
            (line.strip_suffix(b"\r").unwrap_or(line), position + end + 1)
        }
        None => (rest, bytes.len()),
    }
}

/// The parts of a multipart body, as ranges of `bytes`, each without the line end
/// that belongs to the delimiter after it (RFC 2046 section 5.1.1); and whether the
/// closing delimiter is there.
pub(crate) struct Parts {
    pub ranges: Vec<Range<usize>>,
    pub closed: bool,
}

pub(crate) fn parts(bytes: &[u8], boundary: &str, most: usize) -> Option<Parts> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut start: Option<usize> = None;
    let mut position = 0;
    while position < bytes.len() {
        let begin = position;
        let (line, next) = line_at(bytes, position);
        position = next;
        let Some(rest) = line.strip_prefix(delimiter.as_slice()) else {
            continue;
        };
        let closing = rest.starts_with(b"--");
        let padding = if closing { &rest[2..] } else { rest };
        if !padding.iter().all(|b| matches!(b, b' ' | b'\t')) {
            continue;
        }
        if let Some(start) = start {
            let mut end = begin.max(start);
            if bytes[start..end].ends_with(b"\r\n") {
                end -= 2;
            } else if bytes[start..end].ends_with(b"\n") {
                end -= 1;
            }
            ranges.push(start..end);
            if ranges.len() > most {
                return None;
            }
        }
        if closing {
            return Some(Parts {
                ranges,
                closed: true,
            });
        }
        start = Some(position);
    }
    if let Some(start) = start {
        ranges.push(start..bytes.len());
    }
    Some(Parts {
        ranges,
        closed: false,
    })
}

/// A field's value with parameters: `value; name=token; name="quoted"; name='quoted'`.
/// Parameter names come in lower case.
pub(crate) fn value_with_parameters(text: &str) -> (String, Vec<(String, String)>) {
    let mut pieces = Vec::new();
    let mut current = String::new();
    let mut quote: Option<char> = None;
    for character in text.chars() {
        match (quote, character) {
            (Some(open), c) if c == open => {
                quote = None;
                current.push(c);
            }
            (None, '"' | '\'') => {
                quote = Some(character);
                current.push(character);
            }
            (None, ';') => pieces.push(std::mem::take(&mut current)),
            (_, c) => current.push(c),
        }
    }
    pieces.push(current);
    let mut pieces = pieces.into_iter();
    let value = pieces.next().unwrap_or_default().trim().to_owned();
    let parameters = pieces
        .filter_map(|piece| {
            let (name, value) = piece.split_once('=')?;
            Some((
                name.trim().to_ascii_lowercase(),
                unquoted(value.trim()).to_owned(),
            ))
        })
        .collect();
    (value, parameters)
}

fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    text
}

/// The boundary in a `Content-Type` of some multipart type.
pub(crate) fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = value_with_parameters(content_type);
    if !kind.to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    parameters
        .into_iter()
        .find(|(name, value)| name == "boundary" && (1..=70).contains(&value.len()))
        .map(|(_, value)| value)
}
