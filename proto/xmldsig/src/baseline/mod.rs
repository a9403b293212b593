//! XAdES baseline signatures over files (ETSI EN 319 132-1), levels B-B, B-T, B-LT and B-LTA.
//!
//! The files are apart from the signature and named by URIs, as in ASiC-E containers. The first two gates are those of
//! every signature here: [`Baseline::decode`] gives a [`Signature`] whose value is verified as usual. What comes on
//! top are the time-stamps: [`Stamp`] says which bytes each of them covers.

mod write;

pub use write::{
    Prepared, SignedFile, archive_digest, value_digest, with_archive_time_stamp, with_time_stamp,
    with_validation_data,
};

use crate::c14n::{self, Method};
use crate::error::SignatureError;
use crate::names::{DS, SIGNED_PROPERTIES_TYPE, XADES, XADES141};
use crate::signature::{
    Malformed, Places, Signature, binary, canonicalization, malformed, only, optional,
    properties_method,
};
use crate::xml::{Document, Element, Limits};
use pki::{Digest, DigestAlgorithm, Hasher};

/// The largest signature document that is read, in bytes.
pub const MAXIMUM_SIZE: usize = 4 << 20;
/// The most time-stamps of one signature.
pub const MAXIMUM_STAMPS: usize = 64;
/// The most certificates or OCSP responses of one signature.
pub const MAXIMUM_VALUES: usize = 1_000;

const LIMITS: Limits = Limits {
    bytes: MAXIMUM_SIZE,
    depth: 32,
    elements: 1 << 16,
    attributes: 32,
};

/// What a time-stamp covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StampKind {
    /// The signature value: the signature existed at that time.
    Signature,
    /// Everything: the files, the signature, and the validation data in front of the time-stamp.
    Archive,
}

/// A time-stamp of a signature; nothing of it is verified.
#[derive(Debug, Clone)]
pub struct Stamp {
    kind: StampKind,
    token: Vec<u8>,
    covered: Covered,
    statuses: usize,
}

#[derive(Debug, Clone)]
struct Covered {
    /// What the references of SignedInfo stand for, in order; empty for a stamp of the value alone.
    references: Vec<Part>,
    /// The elements that follow them, in canonical form.
    elements: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Part {
    /// A file, by its URI.
    File(String),
    /// The signed properties, in canonical form.
    Properties(Vec<u8>),
}

impl Stamp {
    /// What it covers.
    #[must_use]
    pub fn kind(&self) -> StampKind {
        self.kind
    }

    /// The token, DER.
    #[must_use]
    pub fn token(&self) -> &[u8] {
        &self.token
    }

    /// How many of the signature's OCSP responses it covers, the first ones.
    #[must_use]
    pub fn covered_ocsp_responses(&self) -> usize {
        self.statuses
    }

    /// The digest of what it covers; `file` adds the bytes of the file with this URI to a hasher, or says that there is
    /// none. `None` if a file is not there.
    pub fn digest(
        &self,
        algorithm: DigestAlgorithm,
        file: &dyn Fn(&str, &mut Hasher) -> bool,
    ) -> Option<Digest> {
        self.covered.digest(algorithm, file)
    }
}

impl Covered {
    fn digest(
        &self,
        algorithm: DigestAlgorithm,
        file: &dyn Fn(&str, &mut Hasher) -> bool,
    ) -> Option<Digest> {
        let mut hasher = algorithm.hasher();
        for part in &self.references {
            match part {
                Part::File(uri) => {
                    if !file(uri, &mut hasher) {
                        return None;
                    }
                }
                Part::Properties(canonical) => hasher.update(canonical),
            }
        }
        hasher.update(&self.elements);
        Some(hasher.finish())
    }
}

/// A decoded baseline signature: structure checked, nothing verified.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// The signature itself; its certificates are those in KeyInfo.
    signature: Signature,
    stamps: Vec<Stamp>,
    certificates: Vec<Vec<u8>>,
    ocsp_responses: Vec<Vec<u8>>,
}

impl Baseline {
    /// Decodes a signature document: one signature over files, with any unsigned properties.
    ///
    /// # Errors
    /// [`SignatureError`]; the signer is at fault.
    pub fn decode(bytes: &[u8]) -> Result<Baseline, SignatureError> {
        let document = Document::parse(bytes, &LIMITS)?;
        let places = Places::find(&document)?;
        let signature = Signature::from_places(&places, |_| Ok(()))?;
        let mut certificates = signature.certificates()?;
        let mut ocsp_responses = Vec::new();
        let mut stamps = Vec::new();
        let properties = unsigned_properties(&places)?;
        for (index, &property) in properties.iter().enumerate() {
            let name = property.local_name();
            if property.is(XADES, "SignatureTimeStamp") {
                let (method, token) = time_stamp(property)?;
                let mut elements = Vec::new();
                c14n::canonicalize_element(places.value, &method, &mut elements);
                stamps.push(Stamp {
                    kind: StampKind::Signature,
                    token,
                    covered: Covered {
                        references: Vec::new(),
                        elements,
                    },
                    statuses: 0,
                });
            } else if property.is(XADES141, "ArchiveTimeStamp") {
                let (method, token) = time_stamp(property)?;
                stamps.push(Stamp {
                    kind: StampKind::Archive,
                    token,
                    covered: archived(&places, &properties[..index], &method)?,
                    statuses: ocsp_responses.len(),
                });
            } else if name == "CertificateValues" || name == "RevocationValues" {
                values(property, &mut certificates, &mut ocsp_responses)?;
            } else if property.is(XADES141, "TimeStampValidationData") {
                for inner in property.children() {
                    values(inner, &mut certificates, &mut ocsp_responses)?;
                }
            }
            if stamps.len() > MAXIMUM_STAMPS
                || certificates.len() > MAXIMUM_VALUES
                || ocsp_responses.len() > MAXIMUM_VALUES
            {
                return malformed("there are too many unsigned properties");
            }
        }
        Ok(Baseline {
            signature,
            stamps,
            certificates,
            ocsp_responses,
        })
    }

    /// The signature, to be verified by its value.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The time-stamps, in the order in which they were added.
    #[must_use]
    pub fn stamps(&self) -> &[Stamp] {
        &self.stamps
    }

    /// Certificates that came along, DER, without the signer's.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// OCSP responses that came along, DER.
    #[must_use]
    pub fn ocsp_responses(&self) -> &[Vec<u8>] {
        &self.ocsp_responses
    }
}

fn unsigned_properties<'d, 'a>(places: &Places<'d, 'a>) -> Malformed<Vec<Element<'d, 'a>>> {
    let Some(unsigned) = optional(places.qualifying, XADES, "UnsignedProperties")? else {
        return Ok(Vec::new());
    };
    let Some(unsigned) = optional(unsigned, XADES, "UnsignedSignatureProperties")? else {
        return Ok(Vec::new());
    };
    Ok(unsigned.children().collect())
}

/// The canonicalisation and the one token of a time-stamp (ETSI EN 319 132-1 section 5.1.4.4). Time-stamps that list
/// what they cover belong to other profiles.
fn time_stamp(element: Element<'_, '_>) -> Malformed<(Method, Vec<u8>)> {
    let listed = element
        .children()
        .any(|child| child.is(XADES, "Include") || child.is(XADES, "ReferenceInfo"));
    if listed {
        return malformed("a time stamp lists what it covers");
    }
    let method = match optional(element, DS, "CanonicalizationMethod")? {
        Some(method) => canonicalization(method)?,
        None => Method::Inclusive,
    };
    let absent = "a time stamp must hold one token";
    let token = only(element, XADES, "EncapsulatedTimeStamp", absent)?;
    Ok((method, binary(token)?))
}

fn values(
    element: Element<'_, '_>,
    certificates: &mut Vec<Vec<u8>>,
    ocsp_responses: &mut Vec<Vec<u8>>,
) -> Malformed<()> {
    if element.is(XADES, "CertificateValues") {
        let name = "EncapsulatedX509Certificate";
        for value in element.children().filter(|e| e.is(XADES, name)) {
            certificates.push(binary(value)?);
        }
    }
    if element.is(XADES, "RevocationValues")
        && let Some(values) = optional(element, XADES, "OCSPValues")?
    {
        let name = "EncapsulatedOCSPValue";
        for value in values.children().filter(|e| e.is(XADES, name)) {
            ocsp_responses.push(binary(value)?);
        }
    }
    Ok(())
}

/// What an archive time-stamp covers that follows these unsigned properties (ETSI EN 319 132-1 section 5.5.2.2): the
/// data of the references, then SignedInfo, SignatureValue, KeyInfo and the properties, each in canonical form. The
/// only Object of our signatures holds the qualifying properties, which do not count.
fn archived(
    places: &Places<'_, '_>,
    before: &[Element<'_, '_>],
    method: &Method,
) -> Malformed<Covered> {
    let mut references = Vec::new();
    for reference in places
        .signed_info
        .children()
        .filter(|e| e.is(DS, "Reference"))
    {
        if reference.attribute("Type").as_deref() == Some(SIGNED_PROPERTIES_TYPE) {
            let transforms = optional(reference, DS, "Transforms")?;
            let mut canonical = Vec::new();
            let own = properties_method(transforms)?;
            c14n::canonicalize_element(places.properties, &own, &mut canonical);
            references.push(Part::Properties(canonical));
        } else {
            let uri = reference.attribute("URI").unwrap_or_default();
            references.push(Part::File(uri.into_owned()));
        }
    }
    let mut elements = Vec::new();
    for element in [places.signed_info, places.value, places.key_info]
        .iter()
        .chain(before)
    {
        c14n::canonicalize_element(*element, method, &mut elements);
    }
    Ok(Covered {
        references,
        elements,
    })
}
