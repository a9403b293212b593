//! Paths of REST services in access rights: one rule to decode and normalise a path
//! (T-RE-2 to T-RE-4), one to match it against a pattern (B3, B4).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::fault::code;

/// Longest path that is read, in bytes.
pub const MAX_PATH_LENGTH: usize = 16 * 1024;

/// Why a path cannot be matched without doubt. The fault is the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Longer than [`MAX_PATH_LENGTH`].
    #[error("the path is longer than {MAX_PATH_LENGTH} bytes")]
    TooLong,
    /// Does not begin with a slash.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// `//`, which some take for the beginning of a host name.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// A segment `.` or `..`, plain or encoded.
    #[error("the path has a segment that leads elsewhere")]
    DotSegment,
    /// A slash or backslash within a segment.
    #[error("the path has an encoded slash or a backslash")]
    Slash,
    /// A blank, a control character, or one that a path cannot have.
    #[error("the path has a character that is not allowed")]
    Character,
    /// A percent sign without two digits, or bytes that are not UTF-8.
    #[error("the path has a malformed escape")]
    Escape,
}

impl PathError {
    /// The leaf of the fault code.
    pub fn code(&self) -> &'static str {
        code::BAD_REQUEST
    }
}

/// The path by which access rights are matched: `raw`, the part of the request's
/// path behind the service code without query, decoded once. An empty path is `/`.
///
/// What is forwarded is `raw`, unchanged; so anything is refused that the service
/// could understand as another path than the one matched: `//`, `.` and `..`, encoded
/// slashes, backslashes, blanks and control characters.
///
/// # Errors
/// The path is one of those.
///
/// ```
/// use xroad_message::path::{access_path, PathError};
/// assert_eq!(access_path("/persons/%D0%AF").unwrap(), "/persons/Я");
/// assert_eq!(access_path("/a/%2e%2e/b"), Err(PathError::DotSegment));
/// ```
pub fn access_path(raw: &str) -> Result<String, PathError> {
    if raw.len() > MAX_PATH_LENGTH {
        return Err(PathError::TooLong);
    }
    if raw.is_empty() {
        return Ok("/".to_owned());
    }
    let rest = raw.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
    let mut path = String::with_capacity(raw.len());
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        path.push('/');
        if segment.is_empty() && segments.peek().is_some() {
            return Err(PathError::EmptySegment);
        }
        path.push_str(&decode_segment(segment)?);
    }
    Ok(path)
}

fn decode_segment(raw: &str) -> Result<Cow<'_, str>, PathError> {
    for (at, b) in raw.bytes().enumerate() {
        match b {
            b'\\' => return Err(PathError::Slash),
            b'%' => {
                let digits = raw
                    .as_bytes()
                    .get(at + 1..at + 3)
                    .ok_or(PathError::Escape)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(PathError::Escape);
                }
            }
            // RFC 3986 s.3.3 pchar, and what clients are known to leave unescaped
            b if b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@|{}[]^`".contains(&b) => {}
            _ => return Err(PathError::Character),
        }
    }
    let decoded = percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| PathError::Escape)?;
    if decoded.contains(['/', '\\']) {
        return Err(PathError::Slash);
    }
    if decoded
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{200B}' | '\u{FEFF}' | '\u{2028}' | '\u{2029}'))
    {
        return Err(PathError::Character);
    }
    // `.;x` and `..;x` are dot segments to servers that cut path parameters off
    let name = decoded.split(';').next().unwrap_or("");
    if matches!(name, "." | "..") {
        return Err(PathError::DotSegment);
    }
    if !raw.is_empty() && decoded.trim().is_empty() {
        return Err(PathError::Character);
    }
    Ok(decoded)
}

/// A pattern of paths in an access right: `*` stands for any characters of one
/// segment, `**` for any characters at any depth, `\*` and `\\` for themselves (B3).
///
/// ```
/// use xroad_message::path::PathGlob;
/// let pattern = PathGlob::new("/persons/*/documents/**");
/// assert!(pattern.matches("/persons/1/documents/a/b"));
/// assert!(!pattern.matches("/persons/1/2/documents/a"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathGlob(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Token {
    Text(String),
    /// Any characters but slashes.
    Segment,
    /// Any characters.
    Any,
}

impl PathGlob {
    /// Reads a pattern; every text is one.
    pub fn new(pattern: &str) -> Self {
        let mut tokens: Vec<Token> = Vec::new();
        let mut text = String::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => text.push(match chars.peek() {
                    Some('*' | '\\') => chars.next().unwrap_or(c),
                    _ => c,
                }),
                '*' => {
                    if !text.is_empty() {
                        tokens.push(Token::Text(std::mem::take(&mut text)));
                    }
                    let mut stars = 1;
                    while chars.next_if_eq(&'*').is_some() {
                        stars += 1;
                    }
                    tokens.push(if stars == 1 {
                        Token::Segment
                    } else {
                        Token::Any
                    });
                }
                c => text.push(c),
            }
        }
        if !text.is_empty() {
            tokens.push(Token::Text(text));
        }
        Self(tokens)
    }

    /// Whether the whole of `path`, as [`access_path`] gives it, fits the pattern.
    /// The time is bounded by the product of both lengths.
    pub fn matches(&self, path: &str) -> bool {
        let bytes = path.as_bytes();
        // reached[i]: the tokens so far can match the first i bytes
        let mut reached = vec![false; bytes.len() + 1];
        reached[0] = true;
        for token in &self.0 {
            match token {
                Token::Text(text) => {
                    let text = text.as_bytes();
                    for end in (0..=bytes.len()).rev() {
                        reached[end] = end >= text.len()
                            && reached[end - text.len()]
                            && &bytes[end - text.len()..end] == text;
                    }
                }
                Token::Segment | Token::Any => {
                    for end in 1..=bytes.len() {
                        let across = *token == Token::Any || bytes[end - 1] != b'/';
                        reached[end] |= across && reached[end - 1];
                    }
                }
            }
        }
        reached[bytes.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once() {
        for (raw, expected) in [
            ("", "/"),
            ("/", "/"),
            ("/a", "/a"),
            ("/a/", "/a/"),
            ("/a/b%20c", "/a/b c"),
            ("/%C3%A4/%41", "/ä/A"),
            ("/a%2541", "/a%41"),
            ("/a.b/..c/...", "/a.b/..c/..."),
            ("/a;x=1/b:c@d", "/a;x=1/b:c@d"),
        ] {
            assert_eq!(access_path(raw).as_deref(), Ok(expected), "{raw:?}");
        }
    }

    #[test]
    fn doubtful_paths_are_refused() {
        for (raw, expected) in [
            ("a", PathError::NotAbsolute),
            ("//a", PathError::EmptySegment),
            ("/a//b", PathError::EmptySegment),
            ("/a//", PathError::EmptySegment),
            ("//", PathError::EmptySegment),
            ("/..", PathError::DotSegment),
            ("/a/../b", PathError::DotSegment),
            ("/a/b/../../%2e%2e/c/d", PathError::DotSegment),
            ("/a/./b", PathError::DotSegment),
            ("/%2E%2e/b", PathError::DotSegment),
            ("/a/.%2e;x/b", PathError::DotSegment),
            ("/a%2fb", PathError::Slash),
            ("/a%2Fb", PathError::Slash),
            ("/a%5cb", PathError::Slash),
            ("/a\\b", PathError::Slash),
            ("/a b", PathError::Character),
            ("/%20/b", PathError::Character),
            ("/a%00", PathError::Character),
            ("/a%0d%0ab", PathError::Character),
            ("/a?b", PathError::Character),
            ("/a#b", PathError::Character),
            ("/ä", PathError::Character),
            ("/a%", PathError::Escape),
            ("/a%4", PathError::Escape),
            ("/a%zz", PathError::Escape),
            ("/a%ff", PathError::Escape),
        ] {
            assert_eq!(access_path(raw), Err(expected), "{raw:?}");
        }
        assert_eq!(
            access_path(&"/a".repeat(MAX_PATH_LENGTH)),
            Err(PathError::TooLong)
        );
    }

    #[test]
    fn patterns() {
        for (pattern, path, expected) in [
            ("**", "/a/b", true),
            ("**", "/", true),
            ("/**", "/", true),
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a", "/b", false),
            ("/*", "/a", true),
            ("/*", "/", true),
            ("/*", "/a/b", false),
            ("/*/b", "/a/b", true),
            ("/*/b", "/a/c/b", false),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*c/d", "/a/bc/d", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/a", false),
            ("/a/**/d", "/a/b/c/d", true),
            ("/a/**/d", "/a/b/c/e", false),
            ("/**/d", "/a/d", true),
            ("/a\\*", "/a*", true),
            ("/a\\*", "/ab", false),
            ("/a.b", "/axb", false),
            ("/a[b]", "/a[b]", true),
            ("/a(b)+", "/ab", false),
            ("/A", "/a", false),
            ("/*/*", "/a/b", true),
            ("/x*y*z", "/xaybz", true),
            ("/x*y*z", "/xayb", false),
            ("", "/", false),
            ("/Я/*", "/Я/б", true),
        ] {
            assert_eq!(
                PathGlob::new(pattern).matches(path),
                expected,
                "{pattern} {path}"
            );
        }
        // no pattern makes matching slow
        let pattern = PathGlob::new(&"*a".repeat(200));
        assert!(pattern.matches(&"a".repeat(4000)));
        assert!(!pattern.matches(&"ab".repeat(2000)));
    }
}
