//! MIME multipart (RFC 2046 s.5.1) as a push decoder with bounded memory.
//!
//! Lines may end in CRLF or bare LF (M20), headers may be folded, parts may have no
//! headers, and text may stand before the first and after the last delimiter. The
//! line break in front of a delimiter belongs to the delimiter. A nested multipart
//! is read by a second [`MultipartDecoder`] over the data of a part.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::{memchr, memmem, memrchr};

use crate::fault::code;

/// Longest boundary that is read; RFC 2046 allows 70.
pub const MAX_BOUNDARY_LENGTH: usize = 200;

/// Bounds of what a [`MultipartDecoder`] reads.
#[derive(Debug, Clone, Copy)]
pub struct MultipartLimits {
    /// Parts of one multipart.
    pub parts: usize,
    /// Bytes of the headers of one part.
    pub header_bytes: usize,
    /// Headers of one part.
    pub headers: usize,
    /// Bytes in front of the first delimiter.
    pub preamble_bytes: usize,
}

impl Default for MultipartLimits {
    fn default() -> Self {
        Self {
            parts: 4096,
            header_bytes: 16 * 1024,
            headers: 64,
            preamble_bytes: 16 * 1024,
        }
    }
}

/// Why bytes are not a multipart. The fault is the writer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// The boundary is empty, too long or has a character that is not allowed.
    #[error("the multipart boundary is not usable")]
    Boundary,
    /// The headers of a part cannot be read.
    #[error("a header of a part is malformed")]
    Header,
    /// A limit of [`MultipartLimits`] is exceeded.
    #[error("the multipart has too many {0}")]
    TooMany(&'static str),
    /// The bytes end before the closing delimiter.
    #[error("the multipart ends before its closing delimiter")]
    Truncated,
}

impl MultipartError {
    /// The leaf of the fault code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Boundary => code::INVALID_CONTENT_TYPE,
            _ => code::MIME_PARSING_FAILED,
        }
    }
}

/// The headers of a part, in order, names as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Bytes)>);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header. The caller vouches that neither has a line break.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// The first value of `name`, whatever its case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_ref())
    }

    /// The content type, if there is one and it is UTF-8.
    pub fn content_type(&self) -> Option<&str> {
        self.get("content-type")
            .and_then(|v| std::str::from_utf8(v).ok())
    }

    /// The headers but for the content type.
    pub fn without_content_type(mut self) -> Self {
        self.0
            .retain(|(n, _)| !n.eq_ignore_ascii_case("content-type"));
        self
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_ref()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a block of header lines without the blank line that ends it.
    fn decode(block: &[u8], limits: &MultipartLimits) -> Result<Self, MultipartError> {
        let mut fields: Vec<(String, Bytes)> = Vec::new();
        for line in block.split(|b| *b == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            if line.iter().any(|b| matches!(b, 0..=8 | 10..=31 | 127)) {
                return Err(MultipartError::Header);
            }
            if matches!(line[0], b' ' | b'\t') {
                let (_, value) = fields.last_mut().ok_or(MultipartError::Header)?;
                let more = line.trim_ascii();
                let mut joined = BytesMut::with_capacity(value.len() + 1 + more.len());
                joined.put_slice(value);
                if !value.is_empty() && !more.is_empty() {
                    joined.put_u8(b' ');
                }
                joined.put_slice(more);
                *value = joined.freeze();
                continue;
            }
            let colon = memchr(b':', line).ok_or(MultipartError::Header)?;
            let name = line[..colon].trim_ascii_end();
            if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
                return Err(MultipartError::Header);
            }
            if fields.len() == limits.headers {
                return Err(MultipartError::TooMany("headers"));
            }
            fields.push((
                String::from_utf8_lossy(name).into_owned(),
                Bytes::copy_from_slice(line[colon + 1..].trim_ascii()),
            ));
        }
        Ok(Self(fields))
    }
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// The type of a content type without its parameters, for example `text/xml`.
/// Compare it with [`str::eq_ignore_ascii_case`].
pub fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or("").trim()
}

/// Whether `content_type` is of the type `wanted`, whatever its parameters and case.
pub fn is_type(content_type: &str, wanted: &str) -> bool {
    essence(content_type).eq_ignore_ascii_case(wanted)
}

/// The parameter `name` of a content type, quotes taken off (RFC 2045 s.5.1).
///
/// ```
/// use xroad_message::multipart::parameter;
/// let text = r#"multipart/mixed; charset=UTF-8; boundary="a;b""#;
/// assert_eq!(parameter(text, "Boundary").as_deref(), Some("a;b"));
/// ```
pub fn parameter(content_type: &str, name: &str) -> Option<String> {
    let mut rest = &content_type[content_type.find(';')?..];
    while let Some(tail) = rest.trim_start().strip_prefix(';') {
        let tail = tail.trim_start();
        let end = tail.find(['=', ';']).unwrap_or(tail.len());
        let key = tail[..end].trim();
        let Some(value) = tail[end..].strip_prefix('=') else {
            rest = &tail[end..];
            continue;
        };
        let value = value.trim_start();
        let found;
        if let Some(quoted) = value.strip_prefix('"') {
            let mut text = String::new();
            let mut escaped = false;
            let mut close = None;
            for (at, c) in quoted.char_indices() {
                match c {
                    _ if escaped => {
                        text.push(c);
                        escaped = false;
                    }
                    '\\' => escaped = true,
                    '"' => {
                        close = Some(at);
                        break;
                    }
                    _ => text.push(c),
                }
            }
            let after = &quoted[close? + 1..];
            rest = &after[after.find(';').unwrap_or(after.len())..];
            found = text;
        } else {
            let end = value.find(';').unwrap_or(value.len());
            found = value[..end].trim().to_owned();
            rest = &value[end..];
        }
        if key.eq_ignore_ascii_case(name) {
            return Some(found);
        }
    }
    None
}

/// The boundary of a multipart content type.
///
/// # Errors
/// [`MultipartError::Boundary`] if there is none that can be used.
pub fn boundary_of(content_type: &str) -> Result<String, MultipartError> {
    let boundary = parameter(content_type, "boundary").ok_or(MultipartError::Boundary)?;
    check_boundary(&boundary)?;
    Ok(boundary)
}

fn check_boundary(boundary: &str) -> Result<(), MultipartError> {
    let good = !boundary.is_empty()
        && boundary.len() <= MAX_BOUNDARY_LENGTH
        && boundary.bytes().all(|b| matches!(b, 32..=126))
        && !boundary.ends_with(' ');
    if good {
        Ok(())
    } else {
        Err(MultipartError::Boundary)
    }
}

/// Makes a boundary `prefix` and one letter for each byte of `random`, as X-Road's
/// are made: `xtop` or `xatt` and 30 letters.
pub fn boundary_from(prefix: &str, random: &[u8]) -> String {
    const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut out = String::with_capacity(prefix.len() + random.len());
    out.push_str(prefix);
    out.extend(
        random
            .iter()
            .map(|b| char::from(LETTERS[usize::from(*b) % 52])),
    );
    out
}

/// What a [`MultipartDecoder`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultipartEvent {
    /// A part begins.
    PartStart(Headers),
    /// The next bytes of the part, never empty.
    Data(Bytes),
    /// The part is complete.
    PartEnd,
    /// The closing delimiter was read; whatever follows is ignored.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Preamble,
    Headers,
    /// The first bytes of a part: a delimiter may follow without a line break.
    DataStart,
    Data,
    /// The part is over; the flag says whether the multipart is too.
    PartOver(bool),
    Epilogue,
}

enum Delimiter {
    /// It is one: its length, and whether it is the closing one.
    Yes(usize, bool),
    No,
    /// More bytes are needed to tell.
    Unsure,
}

/// A push decoder: [`MultipartDecoder::feed`] takes the next bytes,
/// [`MultipartDecoder::next`] is then called until it gives `None`, and
/// [`MultipartDecoder::finish`] says whether the multipart was complete. Data are
/// slices of the bytes fed in, not copies, but for the few that a delimiter might
/// straddle.
#[derive(Debug)]
pub struct MultipartDecoder {
    /// LF `--boundary`.
    needle: memmem::Finder<'static>,
    limits: MultipartLimits,
    state: State,
    buffer: Bytes,
    /// Bytes at the start of `buffer` already searched without success.
    searched: usize,
    parts: usize,
    preamble: usize,
}

impl MultipartDecoder {
    /// A decoder for the given boundary.
    ///
    /// # Errors
    /// The boundary is not usable.
    pub fn new(boundary: &str, limits: MultipartLimits) -> Result<Self, MultipartError> {
        check_boundary(boundary)?;
        let needle = format!("\n--{boundary}");
        Ok(Self {
            needle: memmem::Finder::new(needle.as_bytes()).into_owned(),
            limits,
            state: State::Preamble,
            buffer: Bytes::new(),
            searched: 0,
            parts: 0,
            preamble: 0,
        })
    }

    /// Gives the decoder the next bytes.
    pub fn feed(&mut self, chunk: Bytes) {
        if self.state == State::Epilogue || chunk.is_empty() {
            return;
        }
        if self.buffer.is_empty() {
            self.buffer = chunk;
            return;
        }
        let held = std::mem::take(&mut self.buffer);
        let mut joined = held.try_into_mut().unwrap_or_else(|held| {
            let mut copy = BytesMut::with_capacity(held.len() + chunk.len());
            copy.extend_from_slice(&held);
            copy
        });
        joined.extend_from_slice(&chunk);
        self.buffer = joined.freeze();
    }

    /// Whether the closing delimiter was read.
    pub fn is_complete(&self) -> bool {
        self.state == State::Epilogue
    }

    /// The next event, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// The bytes are not a multipart or exceed a limit.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<MultipartEvent>, MultipartError> {
        loop {
            match self.state {
                State::Preamble => match self.skip_preamble()? {
                    Some(true) => {
                        self.state = State::Epilogue;
                        self.buffer = Bytes::new();
                        return Ok(Some(MultipartEvent::End));
                    }
                    Some(false) => self.begin_part()?,
                    None => return Ok(None),
                },
                State::Headers => {
                    let Some(headers) = self.read_headers()? else {
                        return Ok(None);
                    };
                    self.state = State::DataStart;
                    return Ok(Some(MultipartEvent::PartStart(headers)));
                }
                State::DataStart => match self.delimiter_at(0, 1) {
                    Delimiter::Yes(length, last) => {
                        self.consume(length);
                        self.state = State::PartOver(last);
                    }
                    Delimiter::No => self.state = State::Data,
                    Delimiter::Unsure => return Ok(None),
                },
                State::Data => return Ok(self.read_data()),
                State::PartOver(last) => {
                    if last {
                        self.state = State::Epilogue;
                        self.buffer = Bytes::new();
                        return Ok(Some(MultipartEvent::End));
                    }
                    self.begin_part()?;
                }
                State::Epilogue => return Ok(None),
            }
            if matches!(self.state, State::PartOver(_)) {
                return Ok(Some(MultipartEvent::PartEnd));
            }
        }
    }

    /// Says whether the multipart was complete, once all bytes were fed and all
    /// events read.
    ///
    /// # Errors
    /// The closing delimiter is missing.
    pub fn finish(&self) -> Result<(), MultipartError> {
        if self.is_complete() {
            Ok(())
        } else {
            Err(MultipartError::Truncated)
        }
    }

    fn begin_part(&mut self) -> Result<(), MultipartError> {
        self.parts += 1;
        if self.parts > self.limits.parts {
            return Err(MultipartError::TooMany("parts"));
        }
        self.state = State::Headers;
        Ok(())
    }

    fn consume(&mut self, length: usize) {
        self.buffer.advance(length);
        self.searched = 0;
    }

    /// Whether the bytes at `at` are `--boundary` and the end of a line; `skip` is 1
    /// if the needle's line feed is not among them.
    fn delimiter_at(&self, at: usize, skip: usize) -> Delimiter {
        let needle = &self.needle.needle()[skip..];
        let here = &self.buffer[at..];
        let common = here.len().min(needle.len());
        if here[..common] != needle[..common] {
            return Delimiter::No;
        }
        let Some(tail) = here.get(needle.len()..) else {
            return Delimiter::Unsure;
        };
        match tail {
            [b'-', b'-', ..] => return Delimiter::Yes(needle.len() + 2, true),
            [] | [b'-'] => return Delimiter::Unsure,
            _ => {}
        }
        let padding = tail
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t'))
            .count();
        // a delimiter is not padded without end
        if padding > 64 {
            return Delimiter::No;
        }
        match &tail[padding..] {
            [b'\n', ..] => Delimiter::Yes(needle.len() + padding + 1, false),
            [b'\r', b'\n', ..] => Delimiter::Yes(needle.len() + padding + 2, false),
            [] | [b'\r'] => Delimiter::Unsure,
            _ => Delimiter::No,
        }
    }

    /// Skips to behind the first delimiter; says whether it was the closing one.
    fn skip_preamble(&mut self) -> Result<Option<bool>, MultipartError> {
        if self.preamble == 0 && self.searched == 0 {
            match self.delimiter_at(0, 1) {
                Delimiter::Yes(length, last) => {
                    self.consume(length);
                    return Ok(Some(last));
                }
                Delimiter::Unsure => return Ok(None),
                Delimiter::No => {}
            }
        }
        loop {
            let Some(found) = self.needle.find(&self.buffer[self.searched..]) else {
                let keep = self.partial_needle();
                let skipped = self.buffer.len() - keep;
                self.skip(skipped)?;
                return Ok(None);
            };
            let at = self.searched + found;
            match self.delimiter_at(at, 0) {
                Delimiter::Yes(length, last) => {
                    self.consume(at + length);
                    return Ok(Some(last));
                }
                Delimiter::No => self.searched = at + 1,
                Delimiter::Unsure => {
                    self.skip(at)?;
                    return Ok(None);
                }
            }
        }
    }

    fn skip(&mut self, length: usize) -> Result<(), MultipartError> {
        self.preamble += length.max(1);
        self.consume(length);
        if self.preamble > self.limits.preamble_bytes {
            return Err(MultipartError::TooMany("bytes before the first part"));
        }
        Ok(())
    }

    /// How many bytes at the end of the buffer may be the beginning of a delimiter
    /// with its line break.
    fn partial_needle(&self) -> usize {
        let needle = self.needle.needle();
        let from = self.buffer.len().saturating_sub(needle.len());
        let tail = &self.buffer[from..];
        // a boundary has no line feed, so only the last one can begin a delimiter
        if let Some(at) = memrchr(b'\n', tail)
            && needle.starts_with(&tail[at..])
        {
            let at = from + at;
            let break_start = if at > 0 && self.buffer[at - 1] == b'\r' {
                at - 1
            } else {
                at
            };
            return self.buffer.len() - break_start;
        }
        usize::from(self.buffer.last() == Some(&b'\r'))
    }

    fn read_headers(&mut self) -> Result<Option<Headers>, MultipartError> {
        // the end of the header block is a blank line
        let mut line_start = match memrchr(b'\n', &self.buffer[..self.searched]) {
            Some(at) => at + 1,
            None => 0,
        };
        loop {
            let Some(length) = memchr(b'\n', &self.buffer[line_start..]) else {
                if self.buffer.len() > self.limits.header_bytes {
                    return Err(MultipartError::TooMany("bytes of headers"));
                }
                self.searched = line_start;
                return Ok(None);
            };
            let line = &self.buffer[line_start..line_start + length];
            if line.is_empty() || line == b"\r" {
                if line_start > self.limits.header_bytes {
                    return Err(MultipartError::TooMany("bytes of headers"));
                }
                let headers = Headers::decode(&self.buffer[..line_start], &self.limits)?;
                self.consume(line_start + length + 1);
                return Ok(Some(headers));
            }
            line_start += length + 1;
        }
    }

    fn read_data(&mut self) -> Option<MultipartEvent> {
        loop {
            if self.buffer.is_empty() {
                return None;
            }
            let Some(found) = self.needle.find(&self.buffer[self.searched..]) else {
                let keep = self.partial_needle();
                return self.give(self.buffer.len() - keep);
            };
            let at = self.searched + found;
            // the line break in front belongs to the delimiter
            let end = if at > 0 && self.buffer[at - 1] == b'\r' {
                at - 1
            } else {
                at
            };
            match self.delimiter_at(at, 0) {
                Delimiter::Yes(length, last) => {
                    if end > 0 {
                        return self.give(end);
                    }
                    self.consume(at + length);
                    self.state = State::PartOver(last);
                    return Some(MultipartEvent::PartEnd);
                }
                Delimiter::Unsure => return self.give(end),
                Delimiter::No => self.searched = at + 1,
            }
        }
    }

    fn give(&mut self, length: usize) -> Option<MultipartEvent> {
        if length == 0 {
            return None;
        }
        self.searched = 0;
        Some(MultipartEvent::Data(self.buffer.split_to(length)))
    }
}

/// Writes a delimiter and the headers of the next part, with CRLF line ends. The
/// first delimiter of a multipart has no line break before it.
pub fn write_part_start<'a>(
    out: &mut BytesMut,
    boundary: &str,
    first: bool,
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) {
    if !first {
        out.put_slice(b"\r\n");
    }
    out.put_slice(b"--");
    out.put_slice(boundary.as_bytes());
    out.put_slice(b"\r\n");
    for (name, value) in headers {
        out.put_slice(name.as_bytes());
        out.put_slice(b": ");
        out.put_slice(value);
        out.put_slice(b"\r\n");
    }
    out.put_slice(b"\r\n");
}

/// Writes the closing delimiter.
pub fn write_end(out: &mut BytesMut, boundary: &str) {
    out.put_slice(b"\r\n--");
    out.put_slice(boundary.as_bytes());
    out.put_slice(b"--\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        boundary: &str,
        input: &[u8],
        chunk: usize,
    ) -> Result<Vec<(Headers, Vec<u8>)>, MultipartError> {
        let mut decoder = MultipartDecoder::new(boundary, MultipartLimits::default())?;
        let mut parts = Vec::new();
        let mut ended = false;
        for piece in input.chunks(chunk.max(1)) {
            decoder.feed(Bytes::copy_from_slice(piece));
            while let Some(event) = decoder.next()? {
                match event {
                    MultipartEvent::PartStart(headers) => parts.push((headers, Vec::new())),
                    MultipartEvent::Data(data) => {
                        assert!(!data.is_empty());
                        parts.last_mut().unwrap().1.extend_from_slice(&data);
                    }
                    MultipartEvent::PartEnd => {}
                    MultipartEvent::End => ended = true,
                }
            }
        }
        decoder.finish()?;
        assert!(ended);
        Ok(parts)
    }

    const MESSAGE: &[u8] = b"before\r\n--b\r\nA: 1\r\nB:\r\n  two\r\n\tthree\r\n\r\nx\r\n--bb\r\n--b-\r\n\r\n--b  \r\n\r\n\n--c\n--b\nC: 3\n\n--b--\r\nafter --b\r\n";

    #[test]
    fn every_chunk_size_gives_the_same_parts() {
        let whole = run("b", MESSAGE, MESSAGE.len()).unwrap();
        assert_eq!(whole.len(), 3);
        assert_eq!(whole[0].0.get("b"), Some(&b"two three"[..]));
        assert_eq!(whole[0].1, b"x\r\n--bb\r\n--b-\r\n");
        assert_eq!(whole[1].1, b"\n--c");
        assert_eq!(whole[2].0.get("C"), Some(&b"3"[..]));
        assert_eq!(whole[2].1, b"");
        for chunk in 1..MESSAGE.len() {
            assert_eq!(
                run("b", MESSAGE, chunk).unwrap(),
                whole,
                "chunks of {chunk}"
            );
        }
    }

    #[test]
    fn every_prefix_is_truncated() {
        let end = MESSAGE.len() - "\r\nafter --b\r\n".len();
        for length in 0..end {
            assert_eq!(
                run("b", &MESSAGE[..length], 7),
                Err(MultipartError::Truncated),
                "{length}"
            );
        }
    }

    #[test]
    fn limits_hold() {
        let mut many = Vec::new();
        for _ in 0..5000 {
            many.extend_from_slice(b"--b\n\n\n");
        }
        assert_eq!(run("b", &many, 100), Err(MultipartError::TooMany("parts")));
        let mut long = b"--b\nX: ".to_vec();
        long.resize(40_000, b'x');
        assert_eq!(
            run("b", &long, 1000),
            Err(MultipartError::TooMany("bytes of headers"))
        );
        let preamble = vec![b'x'; 40_000];
        assert!(run("b", &preamble, 1000).is_err());
        assert_eq!(
            run("b", b"--b\nno colon\n\n", 3),
            Err(MultipartError::Header)
        );
        assert!(MultipartDecoder::new("", MultipartLimits::default()).is_err());
    }

    #[test]
    fn parameters_of_content_types() {
        assert_eq!(
            boundary_of("multipart/mixed; boundary=\"x y\"; z=1").unwrap(),
            "x y"
        );
        assert_eq!(
            boundary_of("multipart/mixed;charset=UTF-8;BOUNDARY=xtop").unwrap(),
            "xtop"
        );
        assert!(boundary_of("multipart/mixed; boundary").is_err());
        assert!(boundary_of("multipart/mixed; boundary=\"open").is_err());
        assert_eq!(
            parameter("text/xml; a; charset=\"ut\\\"f\"", "charset").unwrap(),
            "ut\"f"
        );
        assert!(is_type(" TEXT/xml ; q", "text/xml"));
    }
}
