//! What every SignedData of CMS has alike (RFC 5652 sections 3 and 5): time-stamps and detached signatures are read
//! through it.

use crate::algorithm::{SignatureAlgorithm, read_digest};
use crate::certificate::{Certificate, CertificateError};
use crate::der::{self, DerError, Element, Reader};
use crate::digest::DigestAlgorithm;
use crate::tsp::{SIGNED_DATA, SignerId, read_signature_algorithm};

/// `encapContentInfo` of a ContentInfo that holds SignedData, and the fields behind it.
pub(crate) fn open(content_info: &[u8]) -> Result<(Reader<'_>, Reader<'_>), DerError> {
    // ContentInfo ::= SEQUENCE { contentType, content [0] EXPLICIT SignedData }
    let mut outer = Reader::new(content_info);
    let mut fields = outer.sequence()?;
    outer.finish()?;
    if fields.oid()? != SIGNED_DATA {
        return Err(DerError::Contents);
    }
    let mut tagged = fields.expect(der::context(0))?.reader();
    fields.finish()?;
    // SignedData ::= SEQUENCE { version, digestAlgorithms, encapContentInfo, certificates [0], crls [1], signerInfos }
    let mut fields = tagged.sequence()?;
    tagged.finish()?;
    fields.small_integer()?;
    fields.expect(der::SET)?;
    let content = fields.sequence()?;
    Ok((content, fields))
}

/// The certificates, at most so many, and the fields of the one SignerInfo, from what stands behind the content.
pub(crate) fn certificates_and_signer<E>(
    mut fields: Reader<'_>,
    most: usize,
) -> Result<(Vec<Certificate>, Reader<'_>), E>
where
    E: From<DerError> + From<CertificateError>,
{
    let mut certificates = Vec::new();
    if let Some(list) = fields.optional(der::context(0))? {
        let mut list = list.reader();
        while !list.is_empty() {
            let choice = list.element()?;
            // Other choices are attribute certificates, which say nothing to us.
            if choice.tag == der::SEQUENCE {
                if certificates.len() >= most {
                    return Err(DerError::Contents.into());
                }
                certificates.push(Certificate::decode(choice.whole)?);
            }
        }
    }
    fields.optional(der::context(1))?;
    let mut signers = fields.expect(der::SET)?.reader();
    fields.finish()?;
    let signer = signers.sequence()?;
    signers.finish()?;
    Ok((certificates, signer))
}

/// The fields of a SignerInfo up to its unsigned attributes.
pub(crate) struct SignerInfo<'a> {
    pub(crate) signer: SignerId,
    pub(crate) digest: Option<DigestAlgorithm>,
    /// The signed attributes, with the tag `[0]`.
    pub(crate) attributes: Element<'a>,
    pub(crate) algorithm: Option<SignatureAlgorithm>,
    pub(crate) value: &'a [u8],
}

impl<'a> SignerInfo<'a> {
    /// Reads them; what is left are the unsigned attributes.
    pub(crate) fn read(fields: &mut Reader<'a>) -> Result<Self, DerError> {
        // SignerInfo ::= SEQUENCE { version, sid, digestAlgorithm, signedAttrs [0], signatureAlgorithm, signature, unsignedAttrs [1] }
        fields.small_integer()?;
        let signer = SignerId::read(fields)?;
        let digest = read_digest(fields)?;
        Ok(Self {
            signer,
            digest,
            attributes: fields.expect(der::context(0))?,
            algorithm: read_signature_algorithm(fields.sequence()?, digest)?,
            value: fields.octet_string()?,
        })
    }
}
