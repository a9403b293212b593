//! Chains and results in the form in which Security Servers write them, read without an index of
//! their elements. Every message of a batch brings a chain of its own, so this counts.
//!
//! What is read here is a part of what [`super::verify`] reads, with the same outcome: elements
//! of fixed names in a fixed order, white space between them, attributes in double quotes with
//! plain values. `None` says nothing of a document; then it is read properly.

use super::NAMESPACE;
use super::verify::{Chain, ChainResult, DS, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki::{Digest, DigestAlgorithm};
use std::borrow::Cow;
use std::collections::HashMap;

/// Longer documents are read the other way, in bytes.
const MAXIMUM: usize = 16 * 1024;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>";

struct Scanner<'a> {
    rest: &'a str,
    /// The prefix of the namespace of hash chains.
    prefix: &'a str,
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'/' | b'#' | b':' | b'.' | b'-' | b'_' | b'+' | b'=')
}

impl<'a> Scanner<'a> {
    /// After the start tag of the root element, and the root's `URI` if it has one.
    fn open(bytes: &'a [u8], root: &str) -> Option<(Scanner<'a>, Option<&'a str>)> {
        if bytes.len() > MAXIMUM || !bytes.is_ascii() {
            return None;
        }
        let mut scanner = Scanner {
            rest: std::str::from_utf8(bytes).ok()?,
            prefix: "",
        };
        scanner.skip(DECLARATION);
        scanner.space();
        scanner.take("<")?;
        let name = scanner.plain();
        let (prefix, local) = name.split_once(':')?;
        let good = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && prefix.starts_with(|c: char| c.is_ascii_lowercase())
            && !prefix.starts_with("xml");
        if !good || local != root {
            return None;
        }
        let (mut default, mut own, mut uri) = (None, None, None);
        while scanner.skip(" ") {
            let attribute = scanner.plain_name();
            scanner.take("=\"")?;
            let value = scanner.plain();
            scanner.take("\"")?;
            let known = match attribute {
                "xmlns" => &mut default,
                "URI" => &mut uri,
                other if other.strip_prefix("xmlns:") == Some(prefix) => &mut own,
                _ => return None,
            };
            if known.replace(value).is_some() {
                return None;
            }
        }
        scanner.take(">")?;
        scanner.space();
        scanner.prefix = prefix;
        (default == Some(DS) && own == Some(NAMESPACE)).then_some((scanner, uri))
    }

    fn skip(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take(&mut self, text: &str) -> Option<()> {
        self.skip(text).then_some(())
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn run(&mut self, accepted: impl Fn(u8) -> bool) -> &'a str {
        let bytes = self.rest.as_bytes();
        let end = bytes.iter().position(|&byte| !accepted(byte));
        let (run, rest) = self.rest.split_at(end.unwrap_or(bytes.len()));
        self.rest = rest;
        run
    }

    fn plain(&mut self) -> &'a str {
        self.run(is_plain)
    }

    fn plain_name(&mut self) -> &'a str {
        self.run(|byte| byte.is_ascii_alphanumeric() || byte == b':')
    }

    /// `<prefix:local`, or nothing at all.
    fn start(&mut self, local: &str) -> bool {
        let tag = self
            .rest
            .strip_prefix('<')
            .and_then(|rest| rest.strip_prefix(self.prefix))
            .and_then(|rest| rest.strip_prefix(':'))
            .and_then(|rest| rest.strip_prefix(local))
            // The name ends here.
            .filter(|rest| rest.starts_with([' ', '>', '/']));
        if let Some(rest) = tag {
            self.rest = rest;
        }
        tag.is_some()
    }

    /// `</prefix:local>` with white space around.
    fn end(&mut self, local: &str) -> Option<()> {
        self.space();
        self.take("</")?;
        self.take(self.prefix)?;
        self.take(":")?;
        self.take(local)?;
        self.take(">")?;
        self.space();
        Some(())
    }

    fn attribute(&mut self, name: &str) -> Option<&'a str> {
        self.take(" ")?;
        self.take(name)?;
        self.take("=\"")?;
        let value = self.plain();
        self.take("\"")?;
        Some(value)
    }

    /// The rest of an empty element that names a digest algorithm.
    fn algorithm(&mut self) -> Option<DigestAlgorithm> {
        let uri = self.attribute("Algorithm")?;
        self.take("/>")?;
        self.space();
        DigestAlgorithm::from_uri(uri).filter(|algorithm| !algorithm.is_weak())
    }

    fn digest_value(&mut self) -> Option<Digest> {
        self.space();
        self.take("<DigestValue>")?;
        let end = self.rest.find('<')?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.take("</DigestValue>")?;
        // As much as 64 bytes take.
        if text.len() > 88 {
            return None;
        }
        let mut bytes = [0; 66];
        let length = STANDARD.decode_slice(text, &mut bytes).ok()?;
        Digest::from_bytes(&bytes[..length])
    }
}

/// A chain document, if it has the usual form.
pub(super) fn chain(bytes: &[u8]) -> Option<Chain<'_>> {
    let (mut scanner, None) = Scanner::open(bytes, "HashChain")? else {
        return None;
    };
    if !scanner.start("DefaultDigestMethod") {
        return None;
    }
    let algorithm = scanner.algorithm()?;
    let mut steps = HashMap::with_capacity(8);
    let mut values = Vec::with_capacity(16);
    while scanner.start("HashStep") {
        let id = scanner.attribute("id")?;
        scanner.take(">")?;
        scanner.space();
        let first = values.len();
        loop {
            let value = if scanner.start("HashValue") {
                scanner.take(">")?;
                let digest = scanner.digest_value()?;
                scanner.end("HashValue")?;
                Value::Constant(digest)
            } else if scanner.start("StepRef") {
                let step = scanner.attribute("URI")?.strip_prefix('#')?;
                scanner.take("/>")?;
                scanner.space();
                Value::Step(Cow::Borrowed(step))
            } else if scanner.start("DataRef") {
                let name = scanner.attribute("URI")?;
                scanner.take(">")?;
                let digest = scanner.digest_value()?;
                scanner.end("DataRef")?;
                Value::Part {
                    name: Cow::Borrowed(name),
                    digest,
                }
            } else {
                break;
            };
            values.push((algorithm, value));
        }
        scanner.end("HashStep")?;
        let range = first..values.len();
        if steps.insert(Cow::Borrowed(id), range).is_some() {
            return None;
        }
    }
    scanner.end("HashChain")?;
    scanner.rest.is_empty().then_some(Chain { steps, values })
}

/// A result document, if it has the usual form.
pub(super) fn result(bytes: &[u8]) -> Option<ChainResult<'_>> {
    let (mut scanner, Some(uri)) = Scanner::open(bytes, "HashChainResult")? else {
        return None;
    };
    let (file, step) = uri.split_once('#')?;
    scanner.take("<DigestMethod")?;
    let algorithm = scanner.algorithm()?;
    let digest = scanner.digest_value()?;
    scanner.end("HashChainResult")?;
    scanner.rest.is_empty().then_some(ChainResult {
        file: Cow::Borrowed(file),
        step: Cow::Borrowed(step),
        algorithm,
        digest,
    })
}
