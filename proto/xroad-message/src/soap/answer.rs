//! What is special about the answers of services: other charsets, and that they
//! must repeat the request's header.

use bytes::Bytes;

use super::{Field, SoapMessage};
use crate::fault::code;
use crate::multipart::parameter;

/// How far into an answer its XML declaration is looked for, in bytes.
pub const MAX_DECLARED_CHARSET: usize = 256;

/// Why an answer cannot be read as text. The fault is the service's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// A charset that we do not know.
    #[error("the answer is in a charset that is not known")]
    UnknownCharset,
    /// The bytes are not in the charset that is declared.
    #[error("the answer is not in the charset that it declares")]
    Malformed,
}

impl AnswerError {
    /// The leaf of the fault code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownCharset => code::INVALID_CONTENT_TYPE,
            Self::Malformed => code::INVALID_SOAP,
        }
    }
}

/// A service's answer as UTF-8 (M8). The charset is that of the content type of its
/// part, else that of the XML declaration, else UTF-8. UTF-8 is given back as it
/// came; anything else is decoded and its XML declaration made to say UTF-8.
///
/// # Errors
/// The charset is not known or the bytes do not fit it.
pub fn decode_charset(content_type: &str, bytes: Bytes) -> Result<Bytes, AnswerError> {
    let declared = parameter(content_type, "charset").or_else(|| declared_charset(&bytes));
    let Some(label) = declared else {
        return Ok(bytes);
    };
    let encoding = encoding_rs::Encoding::for_label(label.trim().as_bytes())
        .ok_or(AnswerError::UnknownCharset)?;
    if encoding == encoding_rs::UTF_8 {
        // the declaration may still name the charset that the service's file once had
        return match declared_charset(&bytes) {
            Some(inner) if !is_utf8(&inner) => {
                let text = std::str::from_utf8(&bytes).map_err(|_| AnswerError::Malformed)?;
                Ok(Bytes::from(with_utf8_declaration(text)))
            }
            _ => Ok(bytes),
        };
    }
    let (text, _, malformed) = encoding.decode(&bytes);
    if malformed {
        return Err(AnswerError::Malformed);
    }
    Ok(Bytes::from(with_utf8_declaration(&text)))
}

fn is_utf8(label: &str) -> bool {
    encoding_rs::Encoding::for_label(label.as_bytes()) == Some(encoding_rs::UTF_8)
}

/// The encoding that the XML declaration names.
fn declared_charset(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(MAX_DECLARED_CHARSET)];
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    if !head.starts_with(b"<?xml") {
        return None;
    }
    let end = memchr::memmem::find(head, b"?>")?;
    let declaration = std::str::from_utf8(&head[..end]).ok()?;
    let (start, end) = encoding_value(declaration)?;
    Some(declaration[start..end].to_owned())
}

/// Where the value of `encoding` stands in an XML declaration.
fn encoding_value(declaration: &str) -> Option<(usize, usize)> {
    let key = declaration.find("encoding")?;
    let after = &declaration[key + "encoding".len()..];
    let quote_at = after.find(['"', '\''])?;
    if !after[..quote_at].trim().eq("=") {
        return None;
    }
    let quote = after.as_bytes()[quote_at];
    let value = &after[quote_at + 1..];
    let length = value.bytes().position(|b| b == quote)?;
    let start = key + "encoding".len() + quote_at + 1;
    Some((start, start + length))
}

fn with_utf8_declaration(text: &str) -> String {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if let Some(end) = text.strip_prefix("<?xml").and_then(|rest| rest.find("?>"))
        && let Some((start, stop)) = encoding_value(&text[..end + "<?xml".len()])
    {
        let mut out = String::with_capacity(text.len());
        out.push_str(&text[..start]);
        out.push_str("UTF-8");
        out.push_str(&text[stop..]);
        return out;
    }
    text.to_owned()
}

/// Says whether an answer belongs to its request: client, service with version,
/// user, issue, id and represented party must be the same (M13). The hash of the
/// request is checked apart (M12).
///
/// # Errors
/// The first field that differs; its fault code is `inconsistent_response`.
pub fn check_consistent(request: &SoapMessage, response: &SoapMessage) -> Result<(), Field> {
    let same = |equal: bool, field| if equal { Ok(()) } else { Err(field) };
    same(request.client == response.client, Field::Client)?;
    same(request.service == response.service, Field::Service)?;
    same(request.user_id == response.user_id, Field::UserId)?;
    same(request.issue == response.issue, Field::Issue)?;
    same(request.id == response.id, Field::Id)?;
    same(
        request.represented_party == response.represented_party,
        Field::RepresentedParty,
    )
}
