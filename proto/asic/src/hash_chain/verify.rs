//! Reading and verifying hash chains (H2, H3, H6).

use super::{NAMESPACE, digest_list, push_digest};
use crate::cover::{Content, DigestSource};
use pki::DigestAlgorithm;
use std::collections::{HashMap, HashSet};
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

const DS: &str = "http://www.w3.org/2000/09/xmldsig#";

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

enum Value {
    Constant(Vec<u8>),
    Step(String),
    Part { name: String, digest: Vec<u8> },
}

struct Chain {
    steps: HashMap<String, Vec<(DigestAlgorithm, Value)>>,
}

struct ChainResult {
    file: String,
    step: String,
    algorithm: DigestAlgorithm,
    digest: Vec<u8>,
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

fn digest_value(element: Element<'_, '_>) -> Result<Vec<u8>, SignatureError> {
    xmldsig::decode_base64(element.raw_content())
        .filter(|digest| digest.len() <= 64)
        .ok_or(SignatureError::MalformedHashChain("a digest value"))
}

/// Only white space between the elements.
fn check_element_content(element: Element<'_, '_>) -> Result<(), SignatureError> {
    let document = element.document();
    let mut position = element.content_range().start;
    let mut gaps = Vec::new();
    for child in element.children() {
        gaps.push(position..child.range().start);
        position = child.range().end;
    }
    gaps.push(position..element.content_range().end);
    for gap in gaps {
        if !document.text()[gap].trim_ascii().is_empty() {
            return malformed("text or markup between the elements");
        }
    }
    Ok(())
}

fn check_attributes(element: Element<'_, '_>, allowed: Option<&str>) -> Result<(), SignatureError> {
    if element.attribute_names().any(|name| Some(name) != allowed) {
        return malformed("an unknown attribute");
    }
    Ok(())
}

impl ChainResult {
    fn decode(bytes: &[u8]) -> Result<ChainResult, SignatureError> {
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
        let Some((file, step)) = uri.split_once('#') else {
            return malformed("the result does not name a step");
        };
        Ok(ChainResult {
            file: file.to_owned(),
            step: step.to_owned(),
            algorithm: digest_method(method)?,
            digest: digest_value(value)?,
        })
    }
}

impl Chain {
    fn decode(bytes: &[u8]) -> Result<Chain, SignatureError> {
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
        for step in children {
            if !step.is(NAMESPACE, "HashStep") {
                return malformed("HashChain holds something else than steps");
            }
            check_element_content(step)?;
            check_attributes(step, Some("id"))?;
            let mut values = Vec::new();
            for value in step.children() {
                values.push(Self::value(value, default)?);
            }
            let id = step.attribute("id").unwrap_or_default().into_owned();
            if steps.insert(id, values).is_some() {
                return malformed("two steps have the same id");
            }
        }
        Ok(Chain { steps })
    }

    fn value(
        element: Element<'_, '_>,
        default: Option<DigestAlgorithm>,
    ) -> Result<(DigestAlgorithm, Value), SignatureError> {
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
            (None, Some(uri)) if element.is(NAMESPACE, "StepRef") => match uri.strip_prefix('#') {
                Some(step) => Value::Step(step.to_owned()),
                None => return malformed("a step of another document"),
            },
            (Some(digest), Some(name)) if element.is(NAMESPACE, "DataRef") => Value::Part {
                name: name.into_owned(),
                digest,
            },
            _ => return malformed("a step holds an unknown or incomplete value"),
        };
        Ok((algorithm, value))
    }
}

struct Walk<'c> {
    chain: &'c Chain,
    content: &'c dyn Content,
    usage: ChainUse,
    named: HashSet<String>,
}

impl Walk<'_> {
    /// The digest list of a step. Each step may be reached once: chains are trees, and so the
    /// work is bounded by the size of the document.
    fn step(
        &mut self,
        id: &str,
        depth: usize,
        visited: &mut HashSet<String>,
    ) -> Result<Vec<u8>, SignatureError> {
        let chain = self.chain;
        let Some(values) = chain.steps.get(id) else {
            return malformed("a step that is referenced does not exist");
        };
        if !visited.insert(id.to_owned()) {
            return malformed("a step is referenced twice");
        }
        if depth >= MAXIMUM_DEPTH {
            return malformed("steps are nested too deeply");
        }
        let mut elements = Vec::with_capacity(values.len() * 128);
        for (algorithm, value) in values {
            let digest = match value {
                Value::Constant(digest) => digest.clone(),
                Value::Step(next) => {
                    let list = self.step(next, depth + 1, visited)?;
                    algorithm.digest(&list).as_ref().to_vec()
                }
                Value::Part { name, digest } => self.part(*algorithm, name, digest)?,
            };
            push_digest(&digest, algorithm.uri(), &mut elements);
        }
        Ok(digest_list(&elements))
    }

    fn part(
        &mut self,
        algorithm: DigestAlgorithm,
        name: &str,
        written: &[u8],
    ) -> Result<Vec<u8>, SignatureError> {
        if !self.named.insert(name.to_owned()) {
            return malformed("a part is referenced twice");
        }
        let Some(digest) = self.content.digest(name, algorithm) else {
            if self.content.contains(name) {
                return Err(SignatureError::Unresolvable(name.to_owned()));
            }
            self.usage.absent.push(name.to_owned());
            return Ok(written.to_vec());
        };
        self.usage.present.push(name.to_owned());
        if digest.as_ref() != written {
            return Err(match self.content.source() {
                DigestSource::Given => SignatureError::HashChain,
                DigestSource::Resolved => SignatureError::HashChainReference(name.to_owned()),
            });
        }
        Ok(written.to_vec())
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
    let result = ChainResult::decode(result)?;
    let chain = Chain::decode(chain)?;
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
    };
    let list = walk.step(&result.step, 0, &mut HashSet::new())?;
    if result.algorithm.digest(&list).as_ref() != result.digest {
        return Err(SignatureError::HashChain);
    }
    Ok(walk.usage)
}
