//! The configuration anchor: what a member has in hand before it trusts anything
//! (PR-GCONF section 2.2, reference G1, G2).

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::xml::{Document, ParametersError, Writer};

/// A place from which signed configuration is downloaded, and who may sign it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorSource {
    /// HTTP or HTTPS URL (`downloadURL`).
    pub download_url: String,
    /// Certificates of the keys that sign there, DER (`verificationCert`).
    pub verification_certificates: Vec<Vec<u8>>,
}

/// A configuration anchor (`configurationAnchor`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// When it was made.
    pub generated_at: Option<OffsetDateTime>,
    /// Code of the instance whose configuration it leads to.
    pub instance: String,
    /// Places to download from; at least one.
    pub sources: Vec<AnchorSource>,
}

impl Anchor {
    /// Reads an anchor file.
    ///
    /// # Errors
    /// Not an anchor, or one without a source or certificate.
    pub fn decode(bytes: &[u8]) -> Result<Self, ParametersError> {
        let mut document = Document::open(bytes, "configurationAnchor")?;
        let anchor = read(&mut document)?;
        document.finish()?;
        Ok(anchor)
    }

    /// Writes an anchor file.
    pub fn encode(&self) -> Vec<u8> {
        let mut xml = Writer::new("configurationAnchor", 4096);
        write(&mut xml, self);
        xml.finish().into_bytes()
    }
}

/// The hash by which people compare an anchor file: SHA-224 of its bytes in
/// upper-case hexadecimal with colons (reference G2).
pub fn displayed_hash(anchor_file: &[u8]) -> String {
    let digest = pki::DigestAlgorithm::Sha224.digest(anchor_file);
    let pairs: Vec<String> = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    pairs.join(":")
}

/// Reads the content of the open element and closes it.
pub(crate) fn read(document: &mut Document) -> Result<Anchor, ParametersError> {
    let mut generated_at = None;
    let mut instance = None;
    let mut sources = Vec::new();
    while let Some(element) = document.child()? {
        match element.unqualified() {
            "generatedAt" => {
                let text = document.text()?;
                // For people only, and `xs:dateTime` allows forms without a zone.
                generated_at = OffsetDateTime::parse(text.trim(), &Rfc3339).ok();
            }
            "instanceIdentifier" => instance = Some(document.text()?),
            "source" => sources.push(source(document)?),
            _ => document.skip()?,
        }
    }
    if sources.is_empty() {
        return Err(ParametersError::Missing("configurationAnchor/source"));
    }
    Ok(Anchor {
        generated_at,
        instance: instance.ok_or(ParametersError::Missing("instanceIdentifier"))?,
        sources,
    })
}

fn source(document: &mut Document) -> Result<AnchorSource, ParametersError> {
    let mut download_url = None;
    let mut verification_certificates = Vec::new();
    while let Some(element) = document.child()? {
        match element.unqualified() {
            "downloadURL" => download_url = Some(document.text()?.trim().to_owned()),
            "verificationCert" => {
                verification_certificates.push(document.certificate("verificationCert")?);
            }
            _ => document.skip()?,
        }
    }
    if verification_certificates.is_empty() {
        return Err(ParametersError::Missing("source/verificationCert"));
    }
    Ok(AnchorSource {
        download_url: download_url.ok_or(ParametersError::Missing("source/downloadURL"))?,
        verification_certificates,
    })
}

/// Writes the content of the open element.
pub(crate) fn write(xml: &mut Writer, anchor: &Anchor) {
    if let Some(time) = anchor.generated_at.and_then(|t| t.format(&Rfc3339).ok()) {
        xml.text("generatedAt", &time);
    }
    xml.text("instanceIdentifier", &anchor.instance);
    for source in &anchor.sources {
        xml.start("source", None);
        xml.text("downloadURL", &source.download_url);
        for certificate in &source.verification_certificates {
            xml.binary("verificationCert", certificate);
        }
        xml.end();
    }
}
