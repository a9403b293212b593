//! Signature algorithms and their identifiers in XML, X.509 and Java.

use crate::der::{self, DerError, Reader, Writer};
use crate::digest::DigestAlgorithm;

/// How a signature is made: key type, padding and digest (S10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2).
    RsaPkcs1(DigestAlgorithm),
    /// RSASSA-PSS with MGF1 over the same digest and a salt as long as the digest (RFC 8017 section 8.1).
    RsaPss(DigestAlgorithm),
    /// ECDSA (FIPS 186-5 section 6).
    Ecdsa(DigestAlgorithm),
}

const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
/// `rsaEncryption`, which CMS signers also give as signature algorithm.
pub(crate) const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

impl SignatureAlgorithm {
    /// The digest over the message.
    pub const fn digest(self) -> DigestAlgorithm {
        match self {
            SignatureAlgorithm::RsaPkcs1(digest)
            | SignatureAlgorithm::RsaPss(digest)
            | SignatureAlgorithm::Ecdsa(digest) => digest,
        }
    }

    /// The identifier that XML signatures use (RFC 9231).
    pub const fn uri(self) -> &'static str {
        use DigestAlgorithm::*;
        match self {
            SignatureAlgorithm::RsaPkcs1(Sha1) => "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
            SignatureAlgorithm::RsaPkcs1(Sha224) => {
                "http://www.w3.org/2001/04/xmldsig-more#rsa-sha224"
            }
            SignatureAlgorithm::RsaPkcs1(Sha256) => {
                "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
            }
            SignatureAlgorithm::RsaPkcs1(Sha384) => {
                "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"
            }
            SignatureAlgorithm::RsaPkcs1(Sha512) => {
                "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
            }
            SignatureAlgorithm::RsaPss(Sha1) => {
                "http://www.w3.org/2007/05/xmldsig-more#sha1-rsa-MGF1"
            }
            SignatureAlgorithm::RsaPss(Sha224) => {
                "http://www.w3.org/2007/05/xmldsig-more#sha224-rsa-MGF1"
            }
            SignatureAlgorithm::RsaPss(Sha256) => {
                "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
            }
            SignatureAlgorithm::RsaPss(Sha384) => {
                "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1"
            }
            SignatureAlgorithm::RsaPss(Sha512) => {
                "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1"
            }
            SignatureAlgorithm::Ecdsa(Sha1) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1",
            SignatureAlgorithm::Ecdsa(Sha224) => {
                "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha224"
            }
            SignatureAlgorithm::Ecdsa(Sha256) => {
                "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
            }
            SignatureAlgorithm::Ecdsa(Sha384) => {
                "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
            }
            SignatureAlgorithm::Ecdsa(Sha512) => {
                "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"
            }
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        DigestAlgorithm::ALL.into_iter().flat_map(|digest| {
            [
                SignatureAlgorithm::RsaPkcs1(digest),
                SignatureAlgorithm::RsaPss(digest),
                SignatureAlgorithm::Ecdsa(digest),
            ]
        })
    }

    /// The algorithm of an XML identifier.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::all().find(|algorithm| algorithm.uri() == uri)
    }

    /// The name that Java and X-Road's management requests use: `SHA512withRSA`,
    /// `SHA512withRSAandMGF1`, `SHA512withECDSA`.
    pub fn java_name(self) -> String {
        let digest = self.digest().name().replace('-', "");
        match self {
            SignatureAlgorithm::RsaPkcs1(_) => format!("{digest}withRSA"),
            SignatureAlgorithm::RsaPss(_) => format!("{digest}withRSAandMGF1"),
            SignatureAlgorithm::Ecdsa(_) => format!("{digest}withECDSA"),
        }
    }

    /// The algorithm of a Java name, in any case.
    pub fn from_java_name(name: &str) -> Option<Self> {
        Self::all().find(|algorithm| algorithm.java_name().eq_ignore_ascii_case(name))
    }

    /// Contents octets of the OBJECT IDENTIFIER in X.509 (RFC 4055, RFC 5758).
    fn oid(self) -> &'static [u8] {
        use DigestAlgorithm::*;
        match self {
            SignatureAlgorithm::RsaPkcs1(Sha1) => {
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05]
            }
            SignatureAlgorithm::RsaPkcs1(Sha224) => {
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0e]
            }
            SignatureAlgorithm::RsaPkcs1(Sha256) => {
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b]
            }
            SignatureAlgorithm::RsaPkcs1(Sha384) => {
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c]
            }
            SignatureAlgorithm::RsaPkcs1(Sha512) => {
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d]
            }
            SignatureAlgorithm::RsaPss(_) => RSA_PSS,
            SignatureAlgorithm::Ecdsa(Sha1) => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01],
            SignatureAlgorithm::Ecdsa(Sha224) => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x01],
            SignatureAlgorithm::Ecdsa(Sha256) => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
            SignatureAlgorithm::Ecdsa(Sha384) => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
            SignatureAlgorithm::Ecdsa(Sha512) => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
        }
    }

    /// Writes the X.509 AlgorithmIdentifier.
    pub(crate) fn write(self, writer: &mut Writer) {
        writer.sequence(|writer| {
            writer.oid(self.oid());
            match self {
                SignatureAlgorithm::RsaPkcs1(_) => writer.null(),
                SignatureAlgorithm::Ecdsa(_) => {}
                SignatureAlgorithm::RsaPss(digest) => writer.sequence(|writer| {
                    let digest_identifier = |writer: &mut Writer| {
                        writer.sequence(|writer| {
                            writer.oid(digest.oid());
                            writer.null();
                        });
                    };
                    writer.constructed(der::context(0), digest_identifier);
                    writer.constructed(der::context(1), |writer| {
                        writer.sequence(|writer| {
                            writer.oid(MGF1);
                            digest_identifier(writer);
                        });
                    });
                    writer.constructed(der::context(2), |writer| {
                        writer.small_integer(digest.length() as u64);
                    });
                }),
            }
        });
    }

    /// Reads an X.509 AlgorithmIdentifier (contents of the SEQUENCE); `Ok(None)` if we do not know the algorithm.
    pub(crate) fn read(mut identifier: Reader<'_>) -> Result<Option<Self>, DerError> {
        let oid = identifier.oid()?;
        if oid == RSA_PSS {
            return read_pss(identifier);
        }
        // Parameters are NULL or absent; RFC 4055 section 5 says to accept both.
        identifier.optional(der::NULL)?;
        identifier.finish()?;
        Ok(Self::all()
            .find(|algorithm| algorithm.oid() == oid && !matches!(algorithm, Self::RsaPss(_))))
    }
}

/// RSASSA-PSS-params (RFC 4055 section 3.1); only the combination that [`SignatureAlgorithm::RsaPss`] means.
fn read_pss(mut identifier: Reader<'_>) -> Result<Option<SignatureAlgorithm>, DerError> {
    let Some(parameters) = identifier.optional(der::SEQUENCE)? else {
        return Ok(None);
    };
    identifier.finish()?;
    let mut parameters = parameters.reader();
    let digest = match parameters.optional(der::context(0))? {
        Some(tagged) => read_digest(&mut tagged.reader())?,
        None => Some(DigestAlgorithm::Sha1),
    };
    let mask_digest = match parameters.optional(der::context(1))? {
        Some(tagged) => {
            let mut mask = tagged.reader().sequence()?;
            if mask.oid()? != MGF1 {
                return Ok(None);
            }
            read_digest(&mut mask)?
        }
        None => Some(DigestAlgorithm::Sha1),
    };
    let salt = match parameters.optional(der::context(2))? {
        Some(tagged) => tagged.reader().small_integer()?,
        None => 20,
    };
    if let Some(tagged) = parameters.optional(der::context(3))?
        && tagged.reader().small_integer()? != 1
    {
        return Ok(None);
    }
    parameters.finish()?;
    Ok(match (digest, mask_digest) {
        (Some(digest), Some(mask_digest))
            if digest == mask_digest && salt == digest.length() as u64 =>
        {
            Some(SignatureAlgorithm::RsaPss(digest))
        }
        _ => None,
    })
}

/// Reads a digest's AlgorithmIdentifier; `Ok(None)` if we do not know the algorithm.
pub(crate) fn read_digest(reader: &mut Reader<'_>) -> Result<Option<DigestAlgorithm>, DerError> {
    let mut identifier = reader.sequence()?;
    let oid = identifier.oid()?;
    identifier.optional(der::NULL)?;
    identifier.finish()?;
    Ok(DigestAlgorithm::from_oid(oid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identifier_survives_a_round_trip() {
        for algorithm in SignatureAlgorithm::all() {
            assert_eq!(
                SignatureAlgorithm::from_uri(algorithm.uri()),
                Some(algorithm)
            );
            assert_eq!(
                SignatureAlgorithm::from_java_name(&algorithm.java_name()),
                Some(algorithm)
            );
            let mut writer = Writer::new();
            algorithm.write(&mut writer);
            let bytes = writer.into_bytes();
            let sequence = Reader::new(&bytes).sequence().unwrap();
            assert_eq!(SignatureAlgorithm::read(sequence), Ok(Some(algorithm)));
            for cut in 0..bytes.len() {
                let _ = Reader::new(&bytes[..cut])
                    .sequence()
                    .and_then(SignatureAlgorithm::read);
            }
        }
        assert_eq!(SignatureAlgorithm::from_uri("http://example.org"), None);
    }
}
