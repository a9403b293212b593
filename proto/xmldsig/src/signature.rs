//! A signature document, decoded.

use crate::base64_text;
use crate::c14n::{self, Method};
use crate::error::SignatureError;
use crate::frame::{ChainText, Frame, Policy, Unsigned};
use crate::names::{ASIC, ASIC_OTHERS, DS, SIGNED_PROPERTIES_TYPE, XADES};
use crate::xml::{Document, Element, Limits};
use pki::{Certificate, Digest, DigestAlgorithm, SignatureAlgorithm};
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The largest signature document that is read, in bytes.
pub const MAXIMUM_SIZE: usize = 256 * 1024;

pub(crate) const LIMITS: Limits = Limits {
    bytes: MAXIMUM_SIZE,
    depth: 32,
    elements: 8192,
    attributes: 32,
};

/// A reference to a part of the message, or to the result of the hash chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// What is referenced, for instance `/message.xml`.
    pub uri: String,
    /// The algorithm of the digest.
    pub algorithm: DigestAlgorithm,
    /// The signed digest of the bytes of the part.
    pub digest: Digest,
}

/// Which of the two profiles a signature follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// X-Road's own, with `xades:SigningCertificate`.
    XRoad,
    /// The newer one of X-Road 8, with `xades:SigningCertificateV2`.
    Baseline,
}

/// A decoded signature: structure checked, nothing verified.
///
/// Decoding already refuses every document in which it could be unclear what is signed: a second
/// signature, an Id that occurs twice, a reference to anything inside the document except the
/// signed properties of this signature, references with transforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// What stays the same from one signature of a signer to the next.
    pub(crate) frame: Arc<Frame>,
    pub(crate) references: Vec<Reference>,
    /// Canonical form of SignedInfo.
    pub(crate) signed_info: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) properties: Properties,
    pub(crate) signing_time: Option<OffsetDateTime>,
}

/// The digest of the signed properties: the one that is signed, and the one they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) signed: Digest,
    pub(crate) computed: Digest,
}

pub(crate) type Malformed<T> = Result<T, SignatureError>;

pub(crate) fn malformed<T>(what: &'static str) -> Malformed<T> {
    Err(SignatureError::Malformed(what))
}

/// The only child `local` of `namespace`; refuses a second one.
pub(crate) fn only<'d, 'a>(
    parent: Element<'d, 'a>,
    namespace: &str,
    local: &str,
    absent: &'static str,
) -> Malformed<Element<'d, 'a>> {
    optional(parent, namespace, local)?.ok_or(SignatureError::Malformed(absent))
}

pub(crate) fn optional<'d, 'a>(
    parent: Element<'d, 'a>,
    namespace: &str,
    local: &str,
) -> Malformed<Option<Element<'d, 'a>>> {
    let mut found = parent.children().filter(|e| e.is(namespace, local));
    let first = found.next();
    if found.next().is_some() {
        return malformed("an element that may occur once occurs twice");
    }
    Ok(first)
}

fn leaf<'a>(element: Element<'_, 'a>) -> Malformed<Cow<'a, str>> {
    element
        .value()
        .ok_or(SignatureError::Malformed("markup in a value"))
}

pub(crate) fn binary(element: Element<'_, '_>) -> Malformed<Vec<u8>> {
    base64_text::decode(element.raw_content())
        .ok_or(SignatureError::Malformed("a value is not base64"))
}

/// Algorithm of an element without parameters.
fn algorithm<'a>(element: Element<'_, 'a>) -> Malformed<Cow<'a, str>> {
    element
        .attribute("Algorithm")
        .ok_or(SignatureError::Malformed("an algorithm is missing"))
}

fn digest_method(parent: Element<'_, '_>) -> Malformed<DigestAlgorithm> {
    let method = only(parent, DS, "DigestMethod", "DigestMethod is missing")?;
    if method.children().next().is_some() {
        return malformed("DigestMethod has parameters");
    }
    let uri = algorithm(method)?;
    DigestAlgorithm::from_uri(&uri).ok_or_else(|| SignatureError::Algorithm(uri.into_owned()))
}

fn digest_value(parent: Element<'_, '_>) -> Malformed<Digest> {
    let value = binary(only(parent, DS, "DigestValue", "DigestValue is missing")?)?;
    Digest::from_bytes(&value).ok_or(SignatureError::Malformed("a digest is too long"))
}

/// The method that an element with an Algorithm and perhaps a prefix list names.
pub(crate) fn canonicalization(element: Element<'_, '_>) -> Malformed<Method> {
    let uri = algorithm(element)?;
    let method =
        Method::from_uri(&uri).ok_or_else(|| SignatureError::Algorithm(uri.into_owned()))?;
    let mut children = element.children();
    let Some(child) = children.next() else {
        return Ok(method);
    };
    let is_list = child.is(c14n::EXCLUSIVE_URI, "InclusiveNamespaces");
    let list = child.attribute("PrefixList");
    match (method, list) {
        (Method::Exclusive(_), Some(list)) if is_list && children.next().is_none() => Ok(
            Method::Exclusive(list.split_ascii_whitespace().map(str::to_owned).collect()),
        ),
        _ => malformed("a canonicalisation method has unknown parameters"),
    }
}

/// The signature element of a document: the root itself, or the only child of ASiC's wrapper
/// (S1; T-SIG-5).
fn signature_element<'d, 'a>(document: &'d Document<'a>) -> Malformed<Element<'d, 'a>> {
    let root = document.root();
    if root.is(DS, "Signature") {
        return Ok(root);
    }
    let wrapper = root.local_name() == "XAdESSignatures"
        && (root.namespace() == ASIC || ASIC_OTHERS.contains(&root.namespace()));
    if !wrapper {
        return malformed("the root element is neither XAdESSignatures nor Signature");
    }
    let mut children = root.children();
    match (children.next(), children.next()) {
        (Some(signature), None) if signature.is(DS, "Signature") => Ok(signature),
        (None, _) => malformed("there is no signature"),
        _ => malformed("there is something else beside the signature"),
    }
}

/// No Id occurs twice, and there is one signature: a reference can mean one thing only.
fn check_unambiguous(document: &Document<'_>) -> Malformed<()> {
    let mut ids: Vec<Cow<'_, str>> = Vec::with_capacity(16);
    let mut signatures = 0;
    for element in document.elements() {
        if element.is(DS, "Signature") {
            signatures += 1;
        }
        for attribute in element.raw_attributes() {
            let local = attribute.name.rsplit(':').next().unwrap_or_default();
            if local.eq_ignore_ascii_case("id") && !attribute.name.starts_with("xmlns") {
                ids.push(crate::xml::attribute_value(attribute.value));
            }
        }
    }
    if signatures != 1 {
        return malformed("there is more than one signature");
    }
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return malformed("an Id occurs twice");
    }
    Ok(())
}

/// The parts of a signature document.
pub(crate) struct Places<'d, 'a> {
    pub(crate) signed_info: Element<'d, 'a>,
    pub(crate) value: Element<'d, 'a>,
    pub(crate) key_info: Element<'d, 'a>,
    pub(crate) qualifying: Element<'d, 'a>,
    pub(crate) properties: Element<'d, 'a>,
}

impl<'d, 'a> Places<'d, 'a> {
    pub(crate) fn find(document: &'d Document<'a>) -> Malformed<Places<'d, 'a>> {
        let signature = signature_element(document)?;
        check_unambiguous(document)?;

        let children: Vec<_> = signature.children().collect();
        let [signed_info, value, key_info, object] = children[..] else {
            return malformed(
                "Signature must hold SignedInfo, SignatureValue, KeyInfo and one Object",
            );
        };
        if !signed_info.is(DS, "SignedInfo")
            || !value.is(DS, "SignatureValue")
            || !key_info.is(DS, "KeyInfo")
            || !object.is(DS, "Object")
        {
            return malformed(
                "Signature must hold SignedInfo, SignatureValue, KeyInfo and one Object",
            );
        }

        let mut objects = object.children();
        let qualifying = match (objects.next(), objects.next()) {
            (Some(qualifying), None) if qualifying.is(XADES, "QualifyingProperties") => qualifying,
            _ => return malformed("Object must hold QualifyingProperties and nothing else"),
        };
        let target = qualifying.attribute("Target");
        let own_id = signature.attribute("Id");
        if target
            .as_deref()
            .and_then(|target| target.strip_prefix('#'))
            != own_id.as_deref()
        {
            return malformed("the qualifying properties are those of another signature");
        }
        let properties = only(
            qualifying,
            XADES,
            "SignedProperties",
            "SignedProperties is missing",
        )?;
        Ok(Places {
            signed_info,
            value,
            key_info,
            qualifying,
            properties,
        })
    }
}

impl Signature {
    /// Decodes a signature document of either profile (reference 1.7, T-SIG-2, T-SIG-4).
    ///
    /// # Errors
    /// [`SignatureError::Xml`], [`SignatureError::Malformed`] or [`SignatureError::Algorithm`];
    /// the signer is at fault.
    pub fn decode(bytes: &[u8]) -> Result<Signature, SignatureError> {
        let document = Document::parse(bytes, &LIMITS)?;
        let places = Places::find(&document)?;
        Signature::from_places(&places, |unsigned| unsigned.decode(places.qualifying))
    }

    /// What both forms of signatures have in common; `read` takes the unsigned properties.
    pub(crate) fn from_places(
        places: &Places<'_, '_>,
        read: impl FnOnce(&mut Unsigned) -> Malformed<()>,
    ) -> Malformed<Signature> {
        let info = SignedInfo::decode(places.signed_info, places.properties)?;
        let mut canonical = Vec::with_capacity(places.signed_info.range().len() + 256);
        c14n::canonicalize_element(places.signed_info, &info.method, &mut canonical);

        let mut unsigned = Unsigned::default();
        let certificate = key_info_certificates(places.key_info, &mut unsigned)?;
        let signed = SignedProperties::decode(places.properties)?;
        read(&mut unsigned)?;

        Ok(Signature {
            references: info.references,
            signed_info: canonical,
            value: binary(places.value)?,
            properties: info.properties,
            signing_time: signed.signing_time,
            frame: Arc::new(Frame {
                algorithm: info.algorithm,
                properties_algorithm: info.properties_algorithm,
                profile: signed.profile,
                policy: signed.policy,
                certificate,
                certificate_digest: signed.certificate_digest,
                unsigned,
                known_certificate: OnceLock::new(),
                chain_hash: OnceLock::new(),
            }),
        })
    }

    /// DER of the signing certificate in KeyInfo. Nothing is known of it yet.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.frame.certificate
    }

    /// The parsed form of [`Signature::certificate_der`], if a signature with which this one
    /// shares its constant parts was verified with it ([`crate::SignatureMemory`]).
    #[must_use]
    pub fn known_certificate(&self) -> Option<&Certificate> {
        self.frame.known_certificate.get()
    }

    /// The raw signature value. Time stamps of single signatures are over these bytes (A3).
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// References to parts, without the one to the signed properties.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// DER of the OCSP responses, the signing certificate's first in X-Road's profile.
    ///
    /// Decoded from base64 anew by each call: whoever has judged them keeps the result under
    /// [`Signature::chain`].
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] if one is not base64.
    pub fn ocsp_responses(&self) -> Result<Vec<Vec<u8>>, SignatureError> {
        let unsigned = &self.frame.unsigned;
        unsigned.all(&unsigned.ocsp_responses)
    }

    /// DER of further certificates: intermediate certification authorities. Decoded by each call.
    ///
    /// # Errors
    /// As [`Signature::ocsp_responses`].
    pub fn certificates(&self) -> Result<Vec<Vec<u8>>, SignatureError> {
        let unsigned = &self.frame.unsigned;
        unsigned.all(&unsigned.certificates)
    }

    /// The OCSP responses and further certificates as the document writes them, to compare with
    /// those of another signature.
    #[must_use]
    pub fn chain(&self) -> ChainText {
        ChainText(Arc::clone(&self.frame))
    }

    /// DER of the time-stamp token, if one is embedded. Decoded by each call.
    ///
    /// # Errors
    /// As [`Signature::ocsp_responses`].
    pub fn time_stamp(&self) -> Result<Option<Vec<u8>>, SignatureError> {
        let unsigned = &self.frame.unsigned;
        let token = unsigned.time_stamp.as_ref();
        token.map(|range| unsigned.one(range)).transpose()
    }

    /// Whether a time-stamp token is embedded.
    #[must_use]
    pub fn has_time_stamp(&self) -> bool {
        self.frame.unsigned.time_stamp.is_some()
    }

    /// The time that the signer claims.
    #[must_use]
    pub fn signing_time(&self) -> Option<OffsetDateTime> {
        self.signing_time
    }

    /// Which profile the document follows.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.frame.profile
    }

    /// The algorithm of the signature value.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.frame.algorithm
    }
}

/// Where a document has the values that differ between two signatures of one signer, and how
/// what is signed is written.
pub(crate) struct Variable<'d, 'a> {
    pub(crate) signed_info: Element<'d, 'a>,
    pub(crate) signed_info_method: Method,
    pub(crate) properties: Element<'d, 'a>,
    pub(crate) properties_method: Method,
    /// Digests of the references to parts, in order.
    pub(crate) digests: Vec<Element<'d, 'a>>,
    /// The signed digest of the signed properties.
    pub(crate) properties_digest: Element<'d, 'a>,
    pub(crate) value: Element<'d, 'a>,
    pub(crate) signing_time: Option<Element<'d, 'a>>,
}

impl<'d, 'a> Variable<'d, 'a> {
    /// Finds them in a document that [`Signature::decode`] accepted; by the same rules.
    pub(crate) fn find(document: &'d Document<'a>) -> Malformed<Variable<'d, 'a>> {
        let places = Places::find(document)?;
        let mut digests = Vec::new();
        let mut own = None;
        let mut children = places.signed_info.children();
        let method = children
            .next()
            .ok_or(SignatureError::Malformed("SignedInfo is incomplete"))?;
        for reference in children.skip(1) {
            let digest = only(reference, DS, "DigestValue", "DigestValue is missing")?;
            if reference.attribute("Type").as_deref() == Some(SIGNED_PROPERTIES_TYPE) {
                let transforms = optional(reference, DS, "Transforms")?;
                own = Some((digest, properties_method(transforms)?));
            } else {
                digests.push(digest);
            }
        }
        let (properties_digest, properties_method) = own.ok_or(SignatureError::Malformed(
            "the signed properties are not referenced",
        ))?;
        let signed = only(
            places.properties,
            XADES,
            "SignedSignatureProperties",
            "SignedSignatureProperties is missing",
        )?;
        Ok(Variable {
            signed_info: places.signed_info,
            signed_info_method: canonicalization(method)?,
            properties: places.properties,
            properties_method,
            digests,
            properties_digest,
            value: places.value,
            signing_time: optional(signed, XADES, "SigningTime")?,
        })
    }
}

struct SignedInfo {
    method: Method,
    algorithm: SignatureAlgorithm,
    references: Vec<Reference>,
    properties_algorithm: DigestAlgorithm,
    properties: Properties,
}

impl SignedInfo {
    fn decode(element: Element<'_, '_>, properties: Element<'_, '_>) -> Malformed<SignedInfo> {
        let mut children = element.children();
        let (Some(method), Some(signature_method)) = (children.next(), children.next()) else {
            return malformed("SignedInfo is incomplete");
        };
        if !method.is(DS, "CanonicalizationMethod") || !signature_method.is(DS, "SignatureMethod") {
            return malformed("SignedInfo does not begin with its methods");
        }
        if signature_method.children().next().is_some() {
            return malformed("SignatureMethod has parameters");
        }
        let uri = algorithm(signature_method)?;
        let signature_algorithm = SignatureAlgorithm::from_uri(&uri)
            .ok_or_else(|| SignatureError::Algorithm(uri.into_owned()))?;

        let mut references: Vec<Reference> = Vec::with_capacity(2);
        let mut own: Option<(DigestAlgorithm, Properties)> = None;
        for reference in children {
            if !reference.is(DS, "Reference") {
                return malformed("SignedInfo holds something else than references");
            }
            let uri = reference
                .attribute("URI")
                .ok_or(SignatureError::Malformed("a reference has no URI"))?;
            let transforms = optional(reference, DS, "Transforms")?;
            let algorithm = digest_method(reference)?;
            let digest = digest_value(reference)?;
            let is_properties =
                reference.attribute("Type").as_deref() == Some(SIGNED_PROPERTIES_TYPE);
            if !is_properties {
                if uri.is_empty() || uri.contains('#') {
                    return malformed("a reference to something inside of the document");
                }
                if transforms.is_some() {
                    return malformed("a reference to a part has transforms");
                }
                if references.iter().any(|other| other.uri == uri) {
                    return malformed("a part is referenced twice");
                }
                references.push(Reference {
                    uri: uri.into_owned(),
                    algorithm,
                    digest,
                });
                continue;
            }
            if own.is_some() {
                return malformed("the signed properties are referenced twice");
            }
            let id = properties.attribute("Id");
            if id.is_none() || uri.strip_prefix('#') != id.as_deref() {
                return malformed("the reference to the signed properties leads elsewhere");
            }
            let method = properties_method(transforms)?;
            let mut canonical = Vec::with_capacity(properties.range().len() + 256);
            c14n::canonicalize_element(properties, &method, &mut canonical);
            own = Some((
                algorithm,
                Properties {
                    signed: digest,
                    computed: algorithm.digest(&canonical),
                },
            ));
        }
        if references.is_empty() {
            return malformed("neither the message nor a hash chain is referenced");
        }
        let Some((properties_algorithm, properties)) = own else {
            return malformed("the signed properties are not referenced");
        };
        Ok(SignedInfo {
            method: canonicalization(method)?,
            algorithm: signature_algorithm,
            references,
            properties_algorithm,
            properties,
        })
    }
}

/// How the signed properties become bytes.
pub(crate) fn properties_method(transforms: Option<Element<'_, '_>>) -> Malformed<Method> {
    let Some(transforms) = transforms else {
        // Without a transform a node set is digested in its canonical form
        // (XML Signature 4.4.3.2).
        return Ok(Method::Inclusive);
    };
    let mut list = transforms.children();
    match (list.next(), list.next()) {
        (Some(transform), None) if transform.is(DS, "Transform") => canonicalization(transform),
        _ => malformed("unknown transforms of the signed properties"),
    }
}

/// The first certificate in KeyInfo is the signer's (S5); others are candidates for the chain.
pub(crate) fn key_info_certificates(
    key_info: Element<'_, '_>,
    unsigned: &mut Unsigned,
) -> Malformed<Vec<u8>> {
    let data = only(key_info, DS, "X509Data", "there is no signing certificate")?;
    let mut first = None;
    for element in data.children().filter(|e| e.is(DS, "X509Certificate")) {
        if first.is_none() {
            first = Some(binary(element)?);
        } else {
            let range = unsigned.keep(element)?;
            unsigned.certificates.push(range);
        }
    }
    first.ok_or(SignatureError::Malformed("there is no signing certificate"))
}

struct SignedProperties {
    profile: Profile,
    policy: Option<Policy>,
    certificate_digest: (DigestAlgorithm, Digest),
    signing_time: Option<OffsetDateTime>,
}

impl SignedProperties {
    fn decode(properties: Element<'_, '_>) -> Malformed<SignedProperties> {
        let signed = only(
            properties,
            XADES,
            "SignedSignatureProperties",
            "SignedSignatureProperties is missing",
        )?;
        let older = optional(signed, XADES, "SigningCertificate")?;
        let newer = optional(signed, XADES, "SigningCertificateV2")?;
        let (profile, signing_certificate) = match (older, newer) {
            (Some(element), None) => (Profile::XRoad, element),
            (None, Some(element)) => (Profile::Baseline, element),
            _ => return malformed("SigningCertificate must occur once"),
        };
        let certificate = only(
            signing_certificate,
            XADES,
            "Cert",
            "SigningCertificate is empty",
        )?;
        let digest = only(certificate, XADES, "CertDigest", "CertDigest is missing")?;
        let signing_time = match optional(signed, XADES, "SigningTime")? {
            Some(element) => read_time(&leaf(element)?),
            None => None,
        };
        Ok(SignedProperties {
            profile,
            policy: policy(signed)?,
            certificate_digest: (digest_method(digest)?, digest_value(digest)?),
            signing_time,
        })
    }
}

/// The time that a signer claims, if it can be read.
pub(crate) fn read_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text.trim(), &Rfc3339).ok()
}

fn policy(signed: Element<'_, '_>) -> Malformed<Option<Policy>> {
    let Some(identifier) = optional(signed, XADES, "SignaturePolicyIdentifier")? else {
        return Ok(None);
    };
    let absent = "the signature policy is incomplete";
    let policy = only(identifier, XADES, "SignaturePolicyId", absent)?;
    let id = only(policy, XADES, "SigPolicyId", absent)?;
    let name = only(id, XADES, "Identifier", absent)?;
    let hash = only(policy, XADES, "SigPolicyHash", absent)?;
    let method = only(hash, DS, "DigestMethod", absent)?;
    Ok(Some(Policy {
        identifier: leaf(name)?.trim().to_owned(),
        algorithm: DigestAlgorithm::from_uri(&algorithm(method)?),
        digest: binary(only(hash, DS, "DigestValue", absent)?)?,
    }))
}

/// Inserts a time-stamp token over the signature value (A3) into a stored signature document, as
/// first of the unsigned signature properties. Nothing that is signed changes.
///
/// # Errors
/// As [`Signature::decode`]; also if the document has a time stamp already.
pub fn with_time_stamp(signature: &[u8], token: &[u8]) -> Result<Vec<u8>, SignatureError> {
    let decoded = Signature::decode(signature)?;
    if decoded.has_time_stamp() {
        return malformed("the signature has a time stamp already");
    }
    let document = Document::parse(signature, &LIMITS)?;
    let unsigned = document
        .elements()
        .find(|e| e.is(XADES, "UnsignedSignatureProperties"))
        .ok_or(SignatureError::Malformed("there is no OCSP response"))?;
    let at = unsigned.content_range().start;
    let prefix = match unsigned.prefix() {
        "" => String::new(),
        prefix => format!("{prefix}:"),
    };
    let mut stamped = Vec::with_capacity(signature.len() + token.len() * 4 / 3 + 256);
    stamped.extend_from_slice(&signature[..at]);
    stamped.extend_from_slice(
        format!("<{prefix}SignatureTimeStamp><{prefix}EncapsulatedTimeStamp>").as_bytes(),
    );
    base64_text::encode_into(token, &mut stamped);
    stamped.extend_from_slice(
        format!("</{prefix}EncapsulatedTimeStamp></{prefix}SignatureTimeStamp>").as_bytes(),
    );
    stamped.extend_from_slice(&signature[at..]);
    Ok(stamped)
}
