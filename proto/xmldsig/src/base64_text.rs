//! Base64 in XML: writers break lines as they like, X-Road's even as `&#13;` and a line feed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr3;

/// Decodes the raw content of an element; `None` if it is anything but base64 with white space
/// (S4).
pub(crate) fn decode(raw: &str) -> Option<Vec<u8>> {
    let raw = raw.trim_matches([' ', '\t', '\r', '\n']);
    let bytes = raw.as_bytes();
    if memchr3(b'\n', b'&', b'\r', bytes).is_none() && !raw.contains([' ', '\t']) {
        return STANDARD.decode(bytes).ok();
    }
    let mut dense = Vec::with_capacity(bytes.len());
    let mut rest = raw;
    while let Some(at) = memchr3(b'\n', b'&', b'\r', rest.as_bytes()) {
        dense.extend_from_slice(&rest.as_bytes()[..at]);
        let length = if rest.as_bytes()[at] == b'&' {
            let (character, length) = crate::xml::decode_reference(&rest[at..])?;
            if !matches!(character, ' ' | '\t' | '\r' | '\n') {
                return None;
            }
            length
        } else {
            1
        };
        rest = &rest[at + length..];
    }
    dense.extend_from_slice(rest.as_bytes());
    dense.retain(|b| !matches!(b, b' ' | b'\t'));
    STANDARD.decode(dense).ok()
}

/// Decodes base64 without anything in between; `None` if any other character is there.
pub(crate) fn decode_dense(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Appends `data` as base64 on one line.
pub(crate) fn encode_into(data: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + data.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(data, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}
