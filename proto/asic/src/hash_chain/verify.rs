//! Reading and verifying hash chains (H2, H3, H6).

use super::{NAMESPACE, digest_list, push_digest, scan};
use crate::cover::{Content, DigestSource};
use pki::{Digest, DigestAlgorithm};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use xmldsig::SignatureError;
use xmldsig::xml::{Document, Element, Limits};

/// The largest chain or result document that is read, in bytes.
pub const MAXIMUM_DOCUMENT: usize = 1 << 20;

const LIMITS: Limits = Limits {
    bytes: MAXIMUM_DOCUMENT,
    depth: 8,
    elements: 16_384,
    attributes: 16,
};

/// The deepest nesting of steps: enough for batches of 2^64 messages.
const MAXIMUM_DEPTH: usize = 64;

pub(super) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";

/// What a chain led to: which parts it used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainUse {
    /// Parts that the chain uses and that fit, in the order of the chain.
    pub present: Vec<String>,
    /// Parts that the chain uses but that are not there; their digests were taken as written.
    pub absent: Vec<String>,
}

impl ChainUse {
    /// Checks that the chain uses all of these parts.
    ///
    /// # Errors
    /// [`SignatureError::UnusedInputs`] names those that it leaves out.
    pub fn require(&self, parts: &[&str]) -> Result<(), SignatureError> {
        let unused: Vec<&str> = parts
            .iter()
            .copied()
            .filter(|part| !self.present.iter().any(|used| used == part))
            .collect();
        if unused.is_empty() {
            return Ok(());
        }
        Err(SignatureError::UnusedInputs(unused.join(", ")))
    }
}

fn malformed<T>(what: &'static str) -> Result<T, SignatureError> {
    Err(SignatureError::MalformedHashChain(what))
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Constant(Digest),
    Step(Cow<'a, str>),
    Part { name: Cow<'a, str>, digest: Digest },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain<'a> {
    /// The values of each step, as a range of `values`.
    pub(super) steps: HashMap<Cow<'a, str>, Range<usize>>,
    pub(super) values: Vec<(DigestAlgorithm, Value<'a>)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChainResult<'a> {
    pub(super) file: Cow<'a, str>,
    pub(super) step: Cow<'a, str>,
    pub(super) algorithm: DigestAlgorithm,
    pub(super) digest: Digest,
}

fn parse(bytes: &[u8]) -> Result<Document<'_>, SignatureError> {
    Document::parse(bytes, &LIMITS)
        .map_err(|_| SignatureError::MalformedHashChain("not acceptable XML"))
}

fn digest_method(element: Element<'_, '_>) -> Result<DigestAlgorithm, SignatureError> {
    if element.children().next().is_some() {
        return malformed("a digest method has parameters");
    }
    let uri = element
        .attribute("Algorithm")
        .ok_or(SignatureError::MalformedHashChain(
            "a digest method without a name",
        ))?;
    match DigestAlgorithm::from_uri(&uri) {
        Some(algorithm) if !algorithm.is_weak() => Ok(algorithm),
        _ => Err(SignatureError::Algorithm(uri.into_owned())),
    }
}

fn digest_value(element: Element<'_, '_>) -> Result<Digest, SignatureError> {
    xmldsig::decode_base64(element.raw_content())
        .and_then(|digest| Digest::from_bytes(&digest))
        .ok_or(SignatureError::MalformedHashChain("a digest value"))
}

/// Only white space between the elements.
fn check_element_content(element: Element<'_, '_>) -> Result<(), SignatureError> {
    let text = element.document().text();
    let mut position = element.content_range().start;
    let ends = element.children().map(|child| child.range());
    let end = element.content_range().end;
    for child in ends.chain(std::iter::once(end..end)) {
        if !text[position..child.start].trim_ascii().is_empty() {
            return malformed("text or markup between the elements");
        }
        position = child.end;
    }
    Ok(())
}

fn check_attributes(element: Element<'_, '_>, allowed: Option<&str>) -> Result<(), SignatureError> {
    if element.attribute_names().any(|name| Some(name) != allowed) {
        return malformed("an unknown attribute");
    }
    Ok(())
}

impl<'a> ChainResult<'a> {
    fn decode(bytes: &'a [u8]) -> Result<ChainResult<'a>, SignatureError> {
        let document = parse(bytes)?;
        let root = document.root();
        if !root.is(NAMESPACE, "HashChainResult") {
            return malformed("the root element is not HashChainResult");
        }
        check_element_content(root)?;
        check_attributes(root, Some("URI"))?;
        let children: Vec<_> = root.children().collect();
        let [method, value] = children[..] else {
            return malformed("HashChainResult must hold DigestMethod and DigestValue");
        };
        if !method.is(DS, "DigestMethod") || !value.is(DS, "DigestValue") {
            return malformed("HashChainResult must hold DigestMethod and DigestValue");
        }
        let uri = root
            .attribute("URI")
            .ok_or(SignatureError::MalformedHashChain(
                "HashChainResult has no URI",
            ))?;
        let split = match &uri {
            Cow::Borrowed(uri) => uri
                .split_once('#')
                .map(|(file, step)| (Cow::Borrowed(file), Cow::Borrowed(step))),
            Cow::Owned(uri) => uri
                .split_once('#')
                .map(|(file, step)| (Cow::Owned(file.to_owned()), Cow::Owned(step.to_owned()))),
        };
        let Some((file, step)) = split else {
            return malformed("the result does not name a step");
        };
        Ok(ChainResult {
            file,
            step,
            algorithm: digest_method(method)?,
            digest: digest_value(value)?,
        })
    }
}

impl<'a> Chain<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Chain<'a>, SignatureError> {
        let document = parse(bytes)?;
        let root = document.root();
        if !root.is(NAMESPACE, "HashChain") {
            return malformed("the root element is not HashChain");
        }
        check_element_content(root)?;
        check_attributes(root, None)?;
        let mut children = root.children().peekable();
        let default = match children.next_if(|e| e.is(NAMESPACE, "DefaultDigestMethod")) {
            Some(method) => Some(digest_method(method)?),
            None => None,
        };
        let mut steps = HashMap::new();
        let mut values = Vec::new();
        for step in children {
            if !step.is(NAMESPACE, "HashStep") {
                return malformed("HashChain holds something else than steps");
            }
            check_element_content(step)?;
            check_attributes(step, Some("id"))?;
            let first = values.len();
            for value in step.children() {
                values.push(Self::value(value, default)?);
            }
            let id = step.attribute("id").unwrap_or_default();
            if steps.insert(id, first..values.len()).is_some() {
                return malformed("two steps have the same id");
            }
        }
        Ok(Chain { steps, values })
    }

    fn value(
        element: Element<'_, 'a>,
        default: Option<DigestAlgorithm>,
    ) -> Result<(DigestAlgorithm, Value<'a>), SignatureError> {
        check_element_content(element)?;
        let mut children = element.children().peekable();
        let algorithm = match children.next_if(|e| e.is(DS, "DigestMethod")) {
            Some(method) => digest_method(method)?,
            None => default.ok_or(SignatureError::MalformedHashChain(
                "a value has no digest method",
            ))?,
        };
        if children.peek().is_some_and(|e| e.is(DS, "Transforms")) {
            // Only needed to verify foreign chains (H7); no X-Road server writes them.
            return malformed("transforms are not accepted");
        }
        let digest = match children.next_if(|e| e.is(DS, "DigestValue")) {
            Some(value) => Some(digest_value(value)?),
            None => None,
        };
        if children.next().is_some() {
            return malformed("a value holds an unknown element");
        }
        let uri = element.attribute("URI");
        let constant = element.is(NAMESPACE, "HashValue");
        check_attributes(element, (!constant).then_some("URI"))?;
        let value = match (digest, uri) {
            (Some(digest), None) if constant => Value::Constant(digest),
            (None, Some(uri)) if element.is(NAMESPACE, "StepRef") => {
                let step = match uri {
                    Cow::Borrowed(uri) => uri.strip_prefix('#').map(Cow::Borrowed),
                    Cow::Owned(uri) => uri.strip_prefix('#').map(|uri| Cow::Owned(uri.to_owned())),
                };
                match step {
                    Some(step) => Value::Step(step),
                    None => return malformed("a step of another document"),
                }
            }
            (Some(digest), Some(name)) if element.is(NAMESPACE, "DataRef") => {
                Value::Part { name, digest }
            }
            _ => return malformed("a step holds an unknown or incomplete value"),
        };
        Ok((algorithm, value))
    }
}

struct Walk<'c> {
    chain: &'c Chain<'c>,
    content: &'c dyn Content,
    usage: ChainUse,
    named: HashSet<&'c str>,
    visited: HashSet<&'c str>,
}

impl<'c> Walk<'c> {
    /// The digest list of a step. Each step may be reached once: chains are trees, and so the
    /// work is bounded by the size of the document.
    fn step(&mut self, id: &'c str, depth: usize) -> Result<Vec<u8>, SignatureError> {
        let chain = self.chain;
        let Some(values) = chain.steps.get(id) else {
            return malformed("a step that is referenced does not exist");
        };
        if !self.visited.insert(id) {
            return malformed("a step is referenced twice");
        }
        if depth >= MAXIMUM_DEPTH {
            return malformed("steps are nested too deeply");
        }
        let mut elements = Vec::with_capacity(values.len() * 128);
        for (algorithm, value) in &chain.values[values.clone()] {
            let digest = match value {
                Value::Constant(digest) => *digest,
                Value::Step(next) => algorithm.digest(&self.step(next, depth + 1)?),
                Value::Part { name, digest } => self.part(*algorithm, name, digest)?,
            };
            push_digest(digest.as_ref(), algorithm.uri(), &mut elements);
        }
        Ok(digest_list(&elements))
    }

    fn part(
        &mut self,
        algorithm: DigestAlgorithm,
        name: &'c str,
        written: &Digest,
    ) -> Result<Digest, SignatureError> {
        if !self.named.insert(name) {
            return malformed("a part is referenced twice");
        }
        let Some(digest) = self.content.digest(name, algorithm) else {
            if self.content.contains(name) {
                return Err(SignatureError::Unresolvable(name.to_owned()));
            }
            self.usage.absent.push(name.to_owned());
            return Ok(*written);
        };
        self.usage.present.push(name.to_owned());
        if digest != *written {
            return Err(match self.content.source() {
                DigestSource::Given => SignatureError::HashChain,
                DigestSource::Resolved => SignatureError::HashChainReference(name.to_owned()),
            });
        }
        Ok(*written)
    }
}

/// Verifies that `chain` leads to `result`, with the digests of the parts taken from `content`.
/// `chain_file` is the name under which the chain is known, for instance `/sig-hashchain.xml`;
/// `None` accepts any.
///
/// The caller still has to see that every part of the message is among those used.
///
/// # Errors
/// [`SignatureError::MalformedHashChain`], [`SignatureError::HashChain`],
/// [`SignatureError::HashChainReference`], [`SignatureError::Algorithm`]; whoever wrote the chain
/// is at fault.
pub fn verify(
    result: &[u8],
    chain: &[u8],
    chain_file: Option<&str>,
    content: &dyn Content,
) -> Result<ChainUse, SignatureError> {
    let result = match scan::result(result) {
        Some(result) => result,
        None => ChainResult::decode(result)?,
    };
    let chain = match scan::chain(chain) {
        Some(chain) => chain,
        None => Chain::decode(chain)?,
    };
    if chain_file.is_some_and(|name| name != result.file) {
        return malformed("the result names another chain");
    }
    let mut walk = Walk {
        chain: &chain,
        content,
        usage: ChainUse {
            present: Vec::new(),
            absent: Vec::new(),
        },
        named: HashSet::new(),
        visited: HashSet::with_capacity(chain.steps.len().min(16)),
    };
    let list = walk.step(&result.step, 0)?;
    if result.algorithm.digest(&list) != result.digest {
        return Err(SignatureError::HashChain);
    }
    Ok(walk.usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash_chain::{BatchTree, ChainDocuments, Names};
    use proptest::prelude::*;

    fn documents() -> ChainDocuments {
        let mut tree = BatchTree::new(Names::Signature);
        for message in 0..5u8 {
            let digest = |part: u8| DigestAlgorithm::Sha512.digest(&[message, part]);
            tree.add(&[digest(0), digest(1)][..1 + usize::from(message % 2)]);
        }
        tree.finish_one(3).unwrap()
    }

    /// As X-Road writes it: another prefix, and lines.
    fn in_lines(document: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(document.to_vec()).unwrap();
        text.replace("hc:", "ns2:")
            .replace(":hc=", ":ns2=")
            .replace("><", ">\n    <")
            .into()
    }

    /// Whatever the scanner reads, the decoder reads as well, and the same.
    fn check(bytes: &[u8]) -> (bool, bool) {
        let (chain, result) = (scan::chain(bytes), scan::result(bytes));
        if let Some(chain) = &chain {
            assert_eq!(Ok(chain), Chain::decode(bytes).as_ref());
        }
        if let Some(result) = &result {
            assert_eq!(Ok(result), ChainResult::decode(bytes).as_ref());
        }
        (chain.is_some(), result.is_some())
    }

    #[test]
    fn usual_documents_are_scanned() {
        let ChainDocuments { result, chain } = documents();
        for chain in [in_lines(&chain), chain] {
            assert_eq!(check(&chain), (true, false));
            for end in 0..chain.len() {
                check(&chain[..end]);
            }
        }
        for result in [in_lines(&result), result] {
            assert_eq!(check(&result), (false, true));
            for end in 0..result.len() {
                check(&result[..end]);
            }
        }
    }

    fn token() -> impl Strategy<Value = Vec<u8>> {
        let texts = [
            "<",
            ">",
            "/",
            "\"",
            "'",
            "&#10;",
            "=",
            " ",
            "\n",
            "#",
            "A",
            "=",
            "<!---->",
            "hc:",
            "ns2:",
            "STEP0",
            "STEP1",
            "<hc:StepRef URI=\"#STEP1\"/>",
            "<DigestMethod Algorithm=\"x\"/>",
            "</hc:HashStep>",
            "<hc:HashStep>",
            " URI=\"/message.xml\"",
            " xmlns=\"\"",
            "xmlns:hc",
            "</DigestValue>",
            "<DigestValue>",
            "\u{e4}",
            "\0",
            "<hc:HashStep id=\"STEP9\"></hc:HashStep>",
        ];
        proptest::sample::select(texts.map(|text| text.as_bytes().to_vec()).to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(4000), ..ProptestConfig::default() })]

        #[test]
        fn the_scanner_reads_nothing_that_the_decoder_does_not(
            which in 0usize..4,
            changes in proptest::collection::vec((any::<usize>(), 0usize..12, token()), 0..4),
        ) {
            let ChainDocuments { result, chain } = documents();
            let mut bytes = match which {
                0 => in_lines(&chain),
                1 => chain,
                2 => in_lines(&result),
                _ => result,
            };
            for (at, removed, inserted) in changes {
                let start = at % (bytes.len() + 1);
                let end = bytes.len().min(start + removed);
                bytes.splice(start..end, inserted);
            }
            check(&bytes);
        }

        #[test]
        fn moved_pieces_are_read_the_same(
            from in any::<usize>(), length in 0usize..300, to in any::<usize>(), lines in any::<bool>(),
        ) {
            let ChainDocuments { chain, .. } = documents();
            let mut bytes = if lines { in_lines(&chain) } else { chain };
            let tags: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] == b'<').collect();
            let start = tags[from % tags.len()];
            let end = tags.iter().copied().find(|&tag| tag >= start + length).unwrap_or(bytes.len());
            let piece = bytes[start..end].to_vec();
            let place = tags[to % tags.len()];
            bytes.splice(place..place, piece);
            check(&bytes);
        }
    }
}
