//! Writing baseline signatures, and adding to them.

use super::{LIMITS, archived, unsigned_properties};
use crate::base64_text::encode_into;
use crate::c14n::{self, EXCLUSIVE_URI, Method, escape_attribute, escape_text};
use crate::error::SignatureError;
use crate::names::{ASIC, DS, SIGNED_PROPERTIES_TYPE, XADES, XADES141};
use crate::signature::{Places, malformed};
use crate::xml::Document;
use pki::{Certificate, Digest, DigestAlgorithm, Hasher, SignatureAlgorithm, ecdsa_der_to_fixed};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A file to be signed.
#[derive(Debug, Clone)]
pub struct SignedFile<'a> {
    /// What the signature calls it: a relative URI, percent-encoded where needed.
    pub uri: &'a str,
    /// Its media type.
    pub media_type: &'a str,
    /// Its digest.
    pub digest: Digest,
}

/// A signature without its value, and what is to be signed.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The document up to where the value goes, and from there on.
    start: String,
    end: String,
    to_be_signed: Vec<u8>,
    algorithm: SignatureAlgorithm,
    certificate: Certificate,
}

/// Where the value of a digest or of the signature goes.
const HOLE: &str = "\u{FFFD}";

fn base64(data: &[u8]) -> String {
    let mut out = Vec::new();
    encode_into(data, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn escaped(text: &str, escape: impl FnOnce(&str, &mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    escape(text, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Seconds are what a claimed time is good for.
fn written(time: OffsetDateTime) -> Result<String, SignatureError> {
    time.to_offset(time::UtcOffset::UTC)
        .replace_nanosecond(0)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .ok_or(SignatureError::Malformed(
            "the signing time is out of range",
        ))
}

fn canonical(
    text: &str,
    pick: impl for<'d, 'a> Fn(&Places<'d, 'a>) -> crate::xml::Element<'d, 'a>,
) -> Result<Vec<u8>, SignatureError> {
    let document = Document::parse(text.as_bytes(), &LIMITS)?;
    let places = Places::find(&document)?;
    let mut out = Vec::new();
    c14n::canonicalize_element(pick(&places), &Method::Exclusive(Vec::new()), &mut out);
    Ok(out)
}

impl Prepared {
    /// Prepares a signature over files by the holder of `certificate`, made with `algorithm`; `chain` are certificates of
    /// its issuers that go along. The digests of the files are in `digest`. `time` is what the signature claims as its
    /// time.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] if there is no file, a name twice, or a digest of another algorithm;
    /// [`SignatureError::Algorithm`] for a weak one.
    pub fn new(
        files: &[SignedFile<'_>],
        digest: DigestAlgorithm,
        certificate: &Certificate,
        chain: &[Certificate],
        algorithm: SignatureAlgorithm,
        time: OffsetDateTime,
    ) -> Result<Self, SignatureError> {
        if digest.is_weak() || algorithm.digest().is_weak() {
            return Err(SignatureError::Algorithm(digest.name().to_owned()));
        }
        if files
            .iter()
            .any(|file| file.digest.as_ref().len() != digest.length())
        {
            return malformed("a digest has another length than its algorithm");
        }
        let digest_method = format!("<ds:DigestMethod Algorithm=\"{}\"/>", digest.uri());
        let mut references = String::new();
        let mut formats = String::new();
        for (index, file) in files.iter().enumerate() {
            references.push_str(&format!(
                "<ds:Reference Id=\"reference-{index}\" URI=\"{}\">{digest_method}\
                 <ds:DigestValue>{}</ds:DigestValue></ds:Reference>",
                escaped(file.uri, escape_attribute),
                base64(file.digest.as_ref()),
            ));
            formats.push_str(&format!(
                "<xades:DataObjectFormat ObjectReference=\"#reference-{index}\"><xades:MimeType>{}\
                 </xades:MimeType></xades:DataObjectFormat>",
                escaped(file.media_type, escape_text),
            ));
        }
        // The signer's first, for that is the one a verifier takes.
        let certificates: String = std::iter::once(certificate)
            .chain(chain.iter().filter(|one| *one != certificate))
            .map(|one| {
                format!(
                    "<ds:X509Certificate>{}</ds:X509Certificate>",
                    base64(one.der())
                )
            })
            .collect();
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <asic:XAdESSignatures xmlns:asic=\"{ASIC}\" xmlns:ds=\"{DS}\" xmlns:xades=\"{XADES}\">\
             <ds:Signature Id=\"signature\"><ds:SignedInfo>\
             <ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE_URI}\"/>\
             <ds:SignatureMethod Algorithm=\"{}\"/>{references}\
             <ds:Reference Id=\"reference-properties\" Type=\"{SIGNED_PROPERTIES_TYPE}\" URI=\"#signed-properties\">\
             <ds:Transforms><ds:Transform Algorithm=\"{EXCLUSIVE_URI}\"/></ds:Transforms>{digest_method}\
             <ds:DigestValue>{HOLE}</ds:DigestValue></ds:Reference></ds:SignedInfo>\
             <ds:SignatureValue Id=\"signature-value\">{HOLE}</ds:SignatureValue>\
             <ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo>\
             <ds:Object><xades:QualifyingProperties Target=\"#signature\">\
             <xades:SignedProperties Id=\"signed-properties\"><xades:SignedSignatureProperties>\
             <xades:SigningTime>{}</xades:SigningTime><xades:SigningCertificateV2><xades:Cert><xades:CertDigest>\
             <ds:DigestMethod Algorithm=\"{}\"/><ds:DigestValue>{}</ds:DigestValue></xades:CertDigest></xades:Cert>\
             </xades:SigningCertificateV2></xades:SignedSignatureProperties><xades:SignedDataObjectProperties>{formats}\
             </xades:SignedDataObjectProperties></xades:SignedProperties></xades:QualifyingProperties></ds:Object>\
             </ds:Signature></asic:XAdESSignatures>",
            algorithm.uri(),
            written(time)?,
            DigestAlgorithm::Sha256.uri(),
            base64(certificate.sha256().as_ref()),
        );
        let properties = canonical(&text, |places| places.properties)?;
        let text = text.replacen(HOLE, &base64(digest.digest(&properties).as_ref()), 1);
        let Some((start, end)) = text.split_once(HOLE) else {
            return malformed("a name holds a character that nobody can write");
        };
        if end.contains(HOLE) {
            return malformed("a name holds a character that nobody can write");
        }
        let to_be_signed = canonical(&text, |places| places.signed_info)?;
        let prepared = Prepared {
            start: start.to_owned(),
            end: end.to_owned(),
            to_be_signed,
            algorithm,
            certificate: certificate.clone(),
        };
        // The decoder's rules are the writer's: names once, at least one file.
        super::Baseline::decode(prepared.document(&[0]).as_bytes())?;
        Ok(prepared)
    }

    fn document(&self, value: &[u8]) -> String {
        format!("{}{}{}", self.start, base64(value), self.end)
    }

    /// The bytes that the key signs.
    #[must_use]
    pub fn to_be_signed(&self) -> &[u8] {
        &self.to_be_signed
    }

    /// Their digest, in the digest algorithm of the signature: what a signing service takes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.algorithm.digest().digest(&self.to_be_signed)
    }

    /// Takes the signature value, ECDSA in ASN.1 DER, and checks it with the certificate's key; gives the signature
    /// document, level B-B.
    ///
    /// # Errors
    /// [`SignatureError::Value`] if it is not that key's over these bytes.
    pub fn finish(&self, value: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let wrong =
            SignatureError::Value("it was not made with the certificate's key over SignedInfo");
        let key = self.certificate.public_key();
        key.verify(self.algorithm, &self.to_be_signed, value)
            .map_err(|_| wrong.clone())?;
        let value = match key.kind().coordinate_length() {
            Some(length) => ecdsa_der_to_fixed(value, length).ok_or(wrong)?,
            None => value.to_vec(),
        };
        Ok(self.document(&value).into_bytes())
    }
}

/// Adds an unsigned property behind those that are there. What is signed or time-stamped keeps its bytes.
fn with_property(signature: &[u8], property: &str) -> Result<Vec<u8>, SignatureError> {
    let (at, text) = {
        let document = Document::parse(signature, &LIMITS)?;
        let places = Places::find(&document)?;
        let find = |name: &str| document.elements().find(|e| e.is(XADES, name));
        match (
            find("UnsignedSignatureProperties"),
            find("UnsignedProperties"),
        ) {
            (Some(list), _) if !list.content_range().is_empty() => {
                (list.content_range().end, property.to_owned())
            }
            (None, None) => (
                places.properties.range().end,
                format!(
                    "<xades:UnsignedProperties xmlns:xades=\"{XADES}\"><xades:UnsignedSignatureProperties>\
                     {property}</xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
                ),
            ),
            _ => return malformed("the unsigned properties are empty"),
        }
    };
    let mut out = Vec::with_capacity(signature.len() + text.len());
    out.extend_from_slice(&signature[..at]);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(&signature[at..]);
    super::Baseline::decode(&out)?;
    Ok(out)
}

fn time_stamp_element(prefix: &str, name: &str, token: &[u8]) -> String {
    format!(
        "<{prefix}:{name} xmlns:{prefix}=\"{}\"><ds:CanonicalizationMethod xmlns:ds=\"{DS}\" \
         Algorithm=\"{EXCLUSIVE_URI}\"/><xades:EncapsulatedTimeStamp xmlns:xades=\"{XADES}\">{}\
         </xades:EncapsulatedTimeStamp></{prefix}:{name}>",
        if prefix == "xades" { XADES } else { XADES141 },
        base64(token),
    )
}

/// The digest that a time-stamp over the signature value is asked for.
///
/// # Errors
/// As [`super::Baseline::decode`].
pub fn value_digest(
    signature: &[u8],
    algorithm: DigestAlgorithm,
) -> Result<Digest, SignatureError> {
    let document = Document::parse(signature, &LIMITS)?;
    let places = Places::find(&document)?;
    let mut out = Vec::new();
    c14n::canonicalize_element(places.value, &Method::Exclusive(Vec::new()), &mut out);
    Ok(algorithm.digest(&out))
}

/// Adds a time-stamp token over [`value_digest`]: level B-T. Whether it holds is for whoever asked for it to verify.
///
/// # Errors
/// As [`super::Baseline::decode`].
pub fn with_time_stamp(signature: &[u8], token: &[u8]) -> Result<Vec<u8>, SignatureError> {
    with_property(
        signature,
        &time_stamp_element("xades", "SignatureTimeStamp", token),
    )
}

/// Adds certificates and OCSP responses (DER) that a verifier needs: level B-LT. Called again, for what a time-stamp
/// needs that was added since.
///
/// # Errors
/// As [`super::Baseline::decode`].
pub fn with_validation_data(
    signature: &[u8],
    certificates: &[Vec<u8>],
    ocsp_responses: &[Vec<u8>],
) -> Result<Vec<u8>, SignatureError> {
    let list = |name: &str, values: &[Vec<u8>]| {
        values
            .iter()
            .map(|value| format!("<xades:{name}>{}</xades:{name}>", base64(value)))
            .collect::<String>()
    };
    let mut data = String::new();
    if !certificates.is_empty() {
        data.push_str(&format!(
            "<xades:CertificateValues xmlns:xades=\"{XADES}\">{}</xades:CertificateValues>",
            list("EncapsulatedX509Certificate", certificates)
        ));
    }
    if !ocsp_responses.is_empty() {
        data.push_str(&format!(
            "<xades:RevocationValues xmlns:xades=\"{XADES}\"><xades:OCSPValues>{}</xades:OCSPValues>\
             </xades:RevocationValues>",
            list("EncapsulatedOCSPValue", ocsp_responses)
        ));
    }
    if data.is_empty() {
        return Ok(signature.to_vec());
    }
    let has_data = {
        let document = Document::parse(signature, &LIMITS)?;
        let places = Places::find(&document)?;
        unsigned_properties(&places)?.iter().any(|property| {
            property.is(XADES, "CertificateValues") || property.is(XADES, "RevocationValues")
        })
    };
    if has_data {
        // Each of the two may occur once (ETSI EN 319 132-1 section 5.4.1); later ones have an element of their own.
        data = format!(
            "<xades141:TimeStampValidationData xmlns:xades141=\"{XADES141}\">{data}\
             </xades141:TimeStampValidationData>"
        );
    }
    with_property(signature, &data)
}

/// The digest that an archive time-stamp is asked for: over the files, the signature and everything added so far.
/// `file` adds the bytes of the file with this URI to a hasher, or says that there is none.
///
/// # Errors
/// As [`super::Baseline::decode`]; [`SignatureError::Absent`] if a file is not there.
pub fn archive_digest(
    signature: &[u8],
    algorithm: DigestAlgorithm,
    file: &dyn Fn(&str, &mut Hasher) -> bool,
) -> Result<Digest, SignatureError> {
    let document = Document::parse(signature, &LIMITS)?;
    let places = Places::find(&document)?;
    let properties = unsigned_properties(&places)?;
    archived(&places, &properties, &Method::Exclusive(Vec::new()))?
        .digest(algorithm, file)
        .ok_or_else(|| SignatureError::Absent("a signed file".to_owned()))
}

/// Adds a time-stamp token over [`archive_digest`]: level B-LTA, or renewed.
///
/// # Errors
/// As [`super::Baseline::decode`].
pub fn with_archive_time_stamp(signature: &[u8], token: &[u8]) -> Result<Vec<u8>, SignatureError> {
    with_property(
        signature,
        &time_stamp_element("xades141", "ArchiveTimeStamp", token),
    )
}
