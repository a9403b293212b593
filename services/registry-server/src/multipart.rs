//! The first part of a multipart message: where the SOAP envelope is.
//!
//! Only this much of the format is needed here: what follows the envelope is
//! either sent back as it came or not looked at.

use std::ops::Range;

use memchr::memmem;

/// The boundary that a `multipart/…` content type names.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let lower = content_type.to_ascii_lowercase();
    if !lower.trim_start().starts_with("multipart/") {
        return None;
    }
    let mut rest = 0;
    while let Some(found) = lower[rest..].find("boundary=") {
        let name = rest + found;
        let value = &content_type[name + "boundary=".len()..];
        if matches!(
            content_type[..name].trim_end().as_bytes().last(),
            Some(b';')
        ) {
            let value = match value.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next().unwrap_or_default(),
                None => value.split([';', ' ', '\t']).next().unwrap_or_default(),
            };
            return (!value.is_empty()).then_some(value);
        }
        rest = name + 1;
    }
    None
}

/// Finds the body of the first part in the beginning of a message; none while
/// the part has not arrived whole.
pub(crate) fn first_part(beginning: &[u8], boundary: &str) -> Option<Range<usize>> {
    let delimiter = format!("--{boundary}");
    let opening = memmem::find(beginning, delimiter.as_bytes())?;
    let headers = opening + delimiter.len();
    let headers = headers + memchr::memchr(b'\n', &beginning[headers..])? + 1;
    let start = headers + end_of_headers(&beginning[headers..])?;
    let next = memmem::find(&beginning[start..], format!("\n{delimiter}").as_bytes())?;
    let mut end = start + next;
    if end > start && beginning[end - 1] == b'\r' {
        end -= 1;
    }
    Some(start..end)
}

fn end_of_headers(bytes: &[u8]) -> Option<usize> {
    let mut line = 0;
    loop {
        let end = line + memchr::memchr(b'\n', &bytes[line..])?;
        if matches!(&bytes[line..end], b"" | b"\r") {
            return Some(end + 1);
        }
        line = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries() {
        assert_eq!(
            boundary("multipart/related; type=\"a\"; boundary=\"b c\""),
            Some("b c")
        );
        assert_eq!(
            boundary("Multipart/Related;BOUNDARY=xyz; start=\"<1>\""),
            Some("xyz")
        );
        assert_eq!(boundary("text/xml; boundary=xyz"), None);
        assert_eq!(
            boundary("multipart/related; xboundary=a; boundary=b"),
            Some("b")
        );
        assert_eq!(boundary("multipart/related; boundary="), None);
    }

    #[test]
    fn the_first_part_with_both_kinds_of_lines() {
        for end in ["\r\n", "\n"] {
            let message = [
                "preamble",
                "--b",
                "Content-Type: text/xml",
                "",
                "<a",
                ">",
                "--b",
                "",
                "x",
                "--b--",
                "",
            ]
            .join(end);
            let part = first_part(message.as_bytes(), "b").expect("whole");
            assert_eq!(&message[part.clone()], format!("<a{end}>"));
            let needed = part.end + format!("{end}--b").len();
            for length in 0..needed {
                assert_eq!(first_part(&message.as_bytes()[..length], "b"), None);
            }
        }
        let message = "--b\n\n<a/>\n--b--";
        assert_eq!(
            first_part(message.as_bytes(), "b").map(|part| &message[part]),
            Some("<a/>")
        );
    }
}
