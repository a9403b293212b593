//! Signatures of signers that were seen before.
//!
//! A signer's next signature document differs from the one before in a few values only: the
//! digests, the time and the signature value. A [`SignatureMemory`] keeps verified documents with
//! the exact places of these values. Where a new document has the same length, the same bytes
//! everywhere else, and in these places nothing but base64 or the characters of a time, decoding
//! it would give the remembered signature with these values put in; so that is what it gives.
//!
//! Why this is the same as decoding: the places are contents of elements without markup, and no
//! character that may stand there ends, begins or changes markup. So both documents have the same
//! elements with the same attributes, every check of the decoder that looks at anything else has
//! the same outcome, and a canonical form differs in the same characters, which canonicalisation
//! copies. `tests/memory.rs` holds it against the decoder.

use crate::base64_text;
use crate::c14n;
use crate::error::SignatureError;
use crate::frame::Frame;
use crate::signature::{LIMITS, Properties, Reference, Signature, Variable, read_time};
use crate::verify::ValueVerified;
use crate::xml::{Document, Element};
use memchr::memmem;
use pki::Digest;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use time::OffsetDateTime;

/// The most signers whose documents are remembered.
const MAXIMUM_SIGNERS: usize = 256;
/// The most documents of one signer: servers of one member may have OCSP responses of their own.
const MAXIMUM_OF_SIGNER: usize = 4;
/// Larger documents are not remembered, in bytes.
const MAXIMUM_REMEMBERED: usize = 32 * 1024;
/// The most places in which a remembered document may vary.
const MAXIMUM_PLACES: usize = 128;

static CERTIFICATE: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new("X509Certificate>"));

/// Bytes of the certificate, in base64, that tell signers apart: its number is in the first ones.
const CERTIFICATE_START: usize = 512;

/// One value of a document: the runs of characters that may differ, between line breaks that may
/// not.
#[derive(Debug)]
struct Value {
    runs: Vec<Range<usize>>,
    length: usize,
}

/// Bytes of a document that go to a place in a canonical form.
#[derive(Debug)]
struct Copy {
    from: Range<usize>,
    to: usize,
}

/// A canonical form with the places of the values in it.
#[derive(Debug)]
struct Canonical {
    bytes: Vec<u8>,
    copies: Vec<Copy>,
}

impl Canonical {
    fn fill(&self, document: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for Copy { from, to } in &self.copies {
            bytes[*to..*to + from.len()].copy_from_slice(&document[from.clone()]);
        }
        bytes
    }
}

/// What follows from the signing time alone.
#[derive(Debug, Clone)]
struct Stamped {
    text: Vec<u8>,
    computed: Digest,
    signing_time: Option<OffsetDateTime>,
}

#[derive(Debug)]
struct Template {
    frame: Arc<Frame>,
    document: Vec<u8>,
    /// What has to be the same, byte by byte.
    fixed: Vec<Range<usize>>,
    references: Vec<Reference>,
    /// One for each reference.
    digests: Vec<Value>,
    properties_digest: Value,
    value: Value,
    signing_time: Option<Range<usize>>,
    signed_info: Canonical,
    properties: Canonical,
    stamped: Mutex<Stamped>,
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn is_of_time(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'+' | b'.')
}

impl Value {
    fn of(element: Element<'_, '_>) -> Option<Value> {
        let start = element.content_range().start;
        let raw = element.raw_content().as_bytes();
        let mut runs: Vec<Range<usize>> = Vec::new();
        let mut length = 0;
        let mut at = 0;
        while at < raw.len() {
            match raw[at] {
                // The characters of a reference (`&#13;`) are no base64.
                b'&' => at += memchr::memchr(b';', &raw[at..])?,
                b' ' | b'\t' | b'\r' | b'\n' => {}
                byte if is_base64(byte) => {
                    let place = start + at;
                    match runs.last_mut() {
                        Some(run) if run.end == place => run.end += 1,
                        _ => runs.push(place..place + 1),
                    }
                    length += 1;
                }
                _ => return None,
            }
            at += 1;
        }
        Some(Value { runs, length })
    }

    /// The decoder of base64 knows no characters but its own, so it is also the check of them.
    fn decode(&self, document: &[u8]) -> Option<Vec<u8>> {
        if let [run] = self.runs.as_slice() {
            return base64_text::decode_dense(&document[run.clone()]);
        }
        let mut dense = Vec::with_capacity(self.length);
        for run in &self.runs {
            dense.extend_from_slice(&document[run.clone()]);
        }
        base64_text::decode_dense(&dense)
    }

    fn digest(&self, document: &[u8]) -> Option<Digest> {
        Digest::from_bytes(&self.decode(document)?)
    }
}

fn canonical(element: Element<'_, '_>, method: &c14n::Method) -> Vec<u8> {
    let mut out = Vec::with_capacity(element.range().len() + 256);
    c14n::canonicalize_element(element, method, &mut out);
    out
}

/// Finds where the bytes of `places` (in the order of the document) went in a canonical form, by
/// how it differs from the one of `probe`, which differs from the document in all of them.
fn locate(bytes: Vec<u8>, probe: &[u8], places: &[Range<usize>]) -> Option<Canonical> {
    if bytes.len() != probe.len() {
        return None;
    }
    let mut different = (0..bytes.len()).filter(|&at| bytes[at] != probe[at]);
    let mut copies = Vec::with_capacity(places.len());
    for place in places {
        let to = different.next()?;
        for offset in 1..place.len() {
            if different.next()? != to + offset {
                return None;
            }
        }
        copies.push(Copy {
            from: place.clone(),
            to,
        });
    }
    different
        .next()
        .is_none()
        .then_some(Canonical { bytes, copies })
}

impl Template {
    fn learn(document: &[u8], signature: &Signature) -> Result<Option<Template>, SignatureError> {
        let parsed = Document::parse(document, &LIMITS)?;
        let variable = Variable::find(&parsed)?;
        let values: Option<Vec<Value>> = variable
            .digests
            .iter()
            .map(|&digest| Value::of(digest))
            .collect();
        let (Some(digests), Some(properties_digest), Some(value)) = (
            values,
            Value::of(variable.properties_digest),
            Value::of(variable.value),
        ) else {
            return Ok(None);
        };
        let signing_time = variable.signing_time.map(|time| time.content_range());
        if digests.len() != signature.references.len()
            || signing_time.as_ref().is_some_and(|time| {
                time.is_empty() || !document[time.clone()].iter().all(|&byte| is_of_time(byte))
            })
        {
            return Ok(None);
        }

        let mut in_signed_info: Vec<Range<usize>> = digests
            .iter()
            .chain([&properties_digest])
            .flat_map(|digest| digest.runs.iter().cloned())
            .collect();
        in_signed_info.sort_unstable_by_key(|place| place.start);
        let in_properties: Vec<Range<usize>> = signing_time.iter().cloned().collect();
        let mut places = [&in_signed_info[..], &value.runs, &in_properties].concat();
        places.sort_unstable_by_key(|place| place.start);
        if places.len() > MAXIMUM_PLACES {
            return Ok(None);
        }
        let mut probe = document.to_vec();
        let mut fixed = Vec::with_capacity(places.len() + 1);
        let mut position = 0;
        for place in &places {
            if place.start < position {
                return Ok(None);
            }
            fixed.push(position..place.start);
            position = place.end;
            for byte in &mut probe[place.clone()] {
                *byte = if *byte == b'0' { b'1' } else { b'0' };
            }
        }
        fixed.push(position..document.len());

        let probed = Document::parse(&probe, &LIMITS)?;
        let probed = Variable::find(&probed)?;
        let (Some(signed_info), Some(properties)) = (
            locate(
                canonical(variable.signed_info, &variable.signed_info_method),
                &canonical(probed.signed_info, &probed.signed_info_method),
                &in_signed_info,
            ),
            locate(
                canonical(variable.properties, &variable.properties_method),
                &canonical(probed.properties, &probed.properties_method),
                &in_properties,
            ),
        ) else {
            return Ok(None);
        };
        Ok(Some(Template {
            frame: Arc::clone(&signature.frame),
            document: document.to_vec(),
            fixed,
            references: signature.references.clone(),
            digests,
            properties_digest,
            value,
            stamped: Mutex::new(Stamped {
                text: signing_time
                    .as_ref()
                    .map(|time| document[time.clone()].to_vec())
                    .unwrap_or_default(),
                computed: signature.properties.computed,
                signing_time: signature.signing_time,
            }),
            signing_time,
            signed_info,
            properties,
        }))
    }

    fn recall(&self, document: &[u8]) -> Option<Signature> {
        if document.len() != self.document.len()
            || self
                .fixed
                .iter()
                .any(|range| document[range.clone()] != self.document[range.clone()])
        {
            return None;
        }
        let mut references = Vec::with_capacity(self.references.len());
        for (reference, digest) in self.references.iter().zip(&self.digests) {
            references.push(Reference {
                uri: reference.uri.clone(),
                algorithm: reference.algorithm,
                digest: digest.digest(document)?,
            });
        }
        let signed = self.properties_digest.digest(document)?;
        let value = self.value.decode(document)?;
        let (computed, signing_time) = self.stamp(document)?;
        Some(Signature {
            frame: Arc::clone(&self.frame),
            references,
            signed_info: self.signed_info.fill(document),
            value,
            properties: Properties { signed, computed },
            signing_time,
        })
    }

    /// Digest of the signed properties, and the time in them. Many signatures have the same.
    fn stamp(&self, document: &[u8]) -> Option<(Digest, Option<OffsetDateTime>)> {
        let text = &document[self.signing_time.clone().unwrap_or_default()];
        {
            let last = self.stamped.lock().unwrap_or_else(PoisonError::into_inner);
            if last.text == text {
                return Some((last.computed, last.signing_time));
            }
        }
        if !text.iter().all(|&byte| is_of_time(byte)) {
            return None;
        }
        let stamped = Stamped {
            computed: self
                .frame
                .properties_algorithm
                .digest(&self.properties.fill(document)),
            signing_time: std::str::from_utf8(text).ok().and_then(read_time),
            text: text.to_vec(),
        };
        let found = (stamped.computed, stamped.signing_time);
        *self.stamped.lock().unwrap_or_else(PoisonError::into_inner) = stamped;
        Some(found)
    }
}

#[derive(Debug, Default)]
struct Signer {
    templates: Vec<Arc<Template>>,
    /// Documents in a row that were like none of the templates.
    missed: AtomicU32,
}

/// Remembers verified documents of signers, so that their next ones need not be read from the
/// start. Bounded: some eight megabytes at the very most for signatures of the usual size.
#[derive(Debug, Default)]
pub struct SignatureMemory {
    signers: Mutex<HashMap<u64, Arc<Signer>>>,
    hasher: RandomState,
}

impl SignatureMemory {
    /// An empty memory.
    #[must_use]
    pub fn new() -> SignatureMemory {
        SignatureMemory::default()
    }

    /// What [`Signature::decode`] would give, if this document differs from a remembered one in
    /// nothing but its digests, time and value; `None` says nothing and is an answer to any
    /// document.
    #[must_use]
    pub fn recall(&self, document: &[u8]) -> Option<Signature> {
        let key = self.key(document)?;
        let signer = {
            let signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(signers.get(&key)?)
        };
        let found = signer
            .templates
            .iter()
            .find_map(|template| template.recall(document))?;
        if signer.missed.load(Ordering::Relaxed) != 0 {
            signer.missed.store(0, Ordering::Relaxed);
        }
        Some(found)
    }

    /// Remembers a document that was verified, and of whose signer the caller knows that he is
    /// a member: strangers must not fill the memory. To be called for every such document that
    /// was not recalled. Says whether it is remembered now; not everything is.
    pub fn remember(&self, document: &[u8], verified: &ValueVerified) -> bool {
        let key = match self.key(document) {
            Some(key) if document.len() <= MAXIMUM_REMEMBERED => key,
            _ => return false,
        };
        if !self.is_worth_learning(key) {
            return false;
        }
        // That it is the document of this signature is not taken on trust.
        let signature = verified.signature();
        if Signature::decode(document).as_ref() != Ok(signature) {
            return false;
        }
        let Ok(Some(template)) = Template::learn(document, signature) else {
            return false;
        };
        let mut signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(signer) = signers.get_mut(&key) else {
            return false;
        };
        let newest = std::iter::once(Arc::new(template));
        *signer = Arc::new(Signer {
            templates: newest
                .chain(signer.templates.iter().cloned())
                .take(MAXIMUM_OF_SIGNER)
                .collect(),
            missed: AtomicU32::new(signer.missed.load(Ordering::Relaxed)),
        });
        true
    }

    /// How many signers are remembered.
    #[must_use]
    pub fn signers(&self) -> usize {
        let signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        signers.len()
    }

    /// Whoever writes each document differently is not learned from again and again: only
    /// after the first, second, fourth, eighth ... document without a template.
    fn is_worth_learning(&self, key: u64) -> bool {
        let mut signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        if signers.len() >= MAXIMUM_SIGNERS && !signers.contains_key(&key) {
            // Which one goes is as good as random, for so are the keys.
            if let Some(&oldest) = signers.keys().next() {
                signers.remove(&oldest);
            }
        }
        let signer = signers.entry(key).or_default();
        signer
            .missed
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(1)
            .is_power_of_two()
    }

    /// Names a signer cheaply: by the length of his documents and the start of his certificate.
    /// Two signers with the same key only forget each other's documents.
    fn key(&self, document: &[u8]) -> Option<u64> {
        let start = CERTIFICATE.find(document)? + CERTIFICATE.needle().len();
        let end = document.len().min(start + CERTIFICATE_START);
        Some(
            self.hasher
                .hash_one((document.len(), &document[start..end])),
        )
    }
}
