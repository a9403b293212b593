//! Descriptions of services without the addresses of the information systems.

use serde_json::{Value, json};

use super::ENDPOINT;
use crate::fault::code;
use crate::xml::{Event, Scanner, XmlError, split};

/// Longest description that is read, in bytes.
pub const MAX_DESCRIPTION_LENGTH: usize = 16 * 1024 * 1024;

/// Why a description cannot be handed out. The fault is the provider's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// Longer than [`MAX_DESCRIPTION_LENGTH`].
    #[error("the description is longer than {MAX_DESCRIPTION_LENGTH} bytes")]
    TooLong,
    /// A WSDL that is not the XML we read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Neither JSON nor YAML text, or without the field that names an OpenAPI version.
    #[error("the description is not OpenAPI")]
    NotOpenApi,
}

impl DescriptionError {
    /// The leaf of the fault code.
    pub fn code(&self) -> &'static str {
        code::INTERNAL_ERROR
    }
}

/// Namespaces of the elements `address` in WSDL 1.1: SOAP 1.1, SOAP 1.2, HTTP.
const ADDRESSES: [&str; 3] = [
    "http://schemas.xmlsoap.org/wsdl/soap/",
    "http://schemas.xmlsoap.org/wsdl/soap12/",
    "http://schemas.xmlsoap.org/wsdl/http/",
];

/// A WSDL in UTF-8 with every address replaced by [`ENDPOINT`] (D3); all other bytes
/// stay.
///
/// # Errors
/// The document is too long or not XML that we read.
pub fn neutralise_wsdl(document: &[u8]) -> Result<Vec<u8>, DescriptionError> {
    if document.len() > MAX_DESCRIPTION_LENGTH {
        return Err(DescriptionError::TooLong);
    }
    let mut scanner = Scanner::new(document, 128)?;
    let mut out = Vec::with_capacity(document.len());
    let mut copied = 0;
    loop {
        match scanner.next()? {
            Event::Start(_) => {
                let (namespace, local) = scanner.resolved();
                if local != "address" || !ADDRESSES.contains(&namespace) {
                    continue;
                }
                for (name, start, end) in scanner.attribute_positions() {
                    if split(name) == ("", "location") {
                        out.extend_from_slice(document.get(copied..start).unwrap_or_default());
                        out.extend_from_slice(ENDPOINT.as_bytes());
                        copied = end;
                    }
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    out.extend_from_slice(document.get(copied..).unwrap_or_default());
    Ok(out)
}

/// An OpenAPI description, JSON or YAML, with every list of servers replaced by one
/// that names [`ENDPOINT`] (D5).
///
/// # Errors
/// The text is too long or not an OpenAPI description.
pub fn neutralise_open_api(text: &str) -> Result<String, DescriptionError> {
    if text.len() > MAX_DESCRIPTION_LENGTH {
        return Err(DescriptionError::TooLong);
    }
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        let mut value: Value =
            serde_json::from_str(text).map_err(|_| DescriptionError::NotOpenApi)?;
        let root = value.as_object_mut().ok_or(DescriptionError::NotOpenApi)?;
        if !root.contains_key("openapi") {
            return Err(DescriptionError::NotOpenApi);
        }
        root.insert("servers".into(), json!([{ "url": ENDPOINT }]));
        if let Some(paths) = root.get_mut("paths").and_then(Value::as_object_mut) {
            for path in paths.values_mut().filter_map(Value::as_object_mut) {
                path.remove("servers");
                for operation in path.values_mut().filter_map(Value::as_object_mut) {
                    operation.remove("servers");
                }
            }
        }
        return serde_json::to_string_pretty(&value).map_err(|_| DescriptionError::NotOpenApi);
    }
    neutralise_yaml(text)
}

/// Drops every block under a key `servers` of a YAML text and puts ours before the
/// version. Works by lines: indentation tells where a block ends.
fn neutralise_yaml(text: &str) -> Result<String, DescriptionError> {
    let mut out = String::with_capacity(text.len() + 80);
    let mut is_open_api = false;
    // indentation of a `servers` key whose block is being dropped
    let mut dropping: Option<usize> = None;
    // indentation of the key of a block text, whose lines are no keys
    let mut literal: Option<usize> = None;
    // brackets still open of a list of servers written in one piece
    let mut brackets = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        let content = content.trim_end();
        if brackets > 0 {
            brackets += bracket_balance(content);
            continue;
        }
        let is_blank = content.is_empty() || content.starts_with('#');
        if let Some(parent) = dropping {
            if is_blank
                || indent > parent
                || (indent == parent && (content == "-" || content.starts_with("- ")))
            {
                continue;
            }
            dropping = None;
        }
        if let Some(parent) = literal {
            if content.is_empty() || indent > parent {
                out.push_str(line);
                continue;
            }
            literal = None;
        }
        let key_at = indent + leading_dashes(content);
        let entry = content.get(key_at - indent..).unwrap_or("");
        if let Some(value) = value_of(entry, "servers") {
            let value = value.split(" #").next().unwrap_or("").trim();
            brackets = bracket_balance(value).max(0);
            if value.is_empty() || value.starts_with(['&', '!', '*']) {
                dropping = Some(key_at);
            }
            continue;
        }
        if indent == 0 && value_of(content, "openapi").is_some() && !is_open_api {
            is_open_api = true;
            out.push_str("servers:\n  - url: ");
            out.push_str(ENDPOINT);
            out.push('\n');
        }
        if !is_blank && starts_block_text(entry) {
            literal = Some(key_at);
        }
        out.push_str(line);
    }
    if is_open_api {
        Ok(out)
    } else {
        Err(DescriptionError::NotOpenApi)
    }
}

/// Length of the list marks before an entry.
fn leading_dashes(content: &str) -> usize {
    let mut rest = content;
    while let Some(tail) = rest.strip_prefix("- ") {
        rest = tail.trim_start_matches(' ');
    }
    content.len() - rest.len()
}

/// The value of the line `key: value`, whichever way the key is quoted.
fn value_of<'a>(entry: &'a str, key: &str) -> Option<&'a str> {
    let rest = entry
        .strip_prefix(key)
        .or_else(|| {
            entry
                .strip_prefix('"')?
                .strip_prefix(key)?
                .strip_prefix('"')
        })
        .or_else(|| {
            entry
                .strip_prefix('\'')?
                .strip_prefix(key)?
                .strip_prefix('\'')
        })?;
    let value = rest.trim_start().strip_prefix(':')?;
    (value.is_empty() || value.starts_with([' ', '\t'])).then(|| value.trim())
}

fn starts_block_text(entry: &str) -> bool {
    let last = entry.split(" #").next().unwrap_or("").trim_end();
    let mark = last.rsplit([' ', ':']).next().unwrap_or("");
    let mut chars = mark.chars();
    matches!(chars.next(), Some('|' | '>')) && chars.all(|c| matches!(c, '+' | '-' | '0'..='9'))
}

fn bracket_balance(text: &str) -> i64 {
    text.chars().fold(0, |open, c| match c {
        '[' | '{' => open + 1,
        ']' | '}' => open - 1,
        _ => open,
    })
}
