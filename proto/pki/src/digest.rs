//! Message digests (FIPS 180-4).

use aws_lc_rs::digest as engine;

/// A digest algorithm of X-Road's list (S9). SHA-1 and SHA-224 exist in the
/// field only for identifiers and old archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// SHA-1: OCSP's CertID, certificate hashes of old servers. Never for signatures of today.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512: what X-Road signs messages with.
    Sha512,
}

impl DigestAlgorithm {
    /// Every algorithm.
    pub const ALL: [DigestAlgorithm; 5] = [
        DigestAlgorithm::Sha1,
        DigestAlgorithm::Sha224,
        DigestAlgorithm::Sha256,
        DigestAlgorithm::Sha384,
        DigestAlgorithm::Sha512,
    ];

    /// The identifier that XML signatures use (RFC 9231, XML Encryption).
    pub const fn uri(self) -> &'static str {
        match self {
            DigestAlgorithm::Sha1 => "http://www.w3.org/2000/09/xmldsig#sha1",
            DigestAlgorithm::Sha224 => "http://www.w3.org/2001/04/xmldsig-more#sha224",
            DigestAlgorithm::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
            DigestAlgorithm::Sha384 => "http://www.w3.org/2001/04/xmldsig-more#sha384",
            DigestAlgorithm::Sha512 => "http://www.w3.org/2001/04/xmlenc#sha512",
        }
    }

    /// The algorithm of an XML identifier.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.uri() == uri)
    }

    /// The name with a hyphen, as X-Road's headers write it: `SHA-512`.
    pub const fn name(self) -> &'static str {
        match self {
            DigestAlgorithm::Sha1 => "SHA-1",
            DigestAlgorithm::Sha224 => "SHA-224",
            DigestAlgorithm::Sha256 => "SHA-256",
            DigestAlgorithm::Sha384 => "SHA-384",
            DigestAlgorithm::Sha512 => "SHA-512",
        }
    }

    /// The algorithm of a name in any case, with or without the hyphen, or of an XML identifier.
    ///
    /// ```
    /// use pki::DigestAlgorithm;
    /// assert_eq!(DigestAlgorithm::from_name("sha-512"), Some(DigestAlgorithm::Sha512));
    /// assert_eq!(DigestAlgorithm::from_name("MD5"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        let matches = |algorithm: &Self| {
            let with_hyphen = algorithm.name();
            name.eq_ignore_ascii_case(with_hyphen)
                || (name.len() + 1 == with_hyphen.len()
                    && name.is_char_boundary(3)
                    && name[..3].eq_ignore_ascii_case("SHA")
                    && name[3..] == with_hyphen[4..])
        };
        Self::ALL
            .into_iter()
            .find(matches)
            .or_else(|| Self::from_uri(name))
    }

    /// Length of a digest in bytes.
    pub const fn length(self) -> usize {
        match self {
            DigestAlgorithm::Sha1 => 20,
            DigestAlgorithm::Sha224 => 28,
            DigestAlgorithm::Sha256 => 32,
            DigestAlgorithm::Sha384 => 48,
            DigestAlgorithm::Sha512 => 64,
        }
    }

    /// Whether collisions are known or near: not for signatures of today.
    pub const fn is_weak(self) -> bool {
        matches!(self, DigestAlgorithm::Sha1)
    }

    pub(crate) fn engine(self) -> &'static engine::Algorithm {
        match self {
            DigestAlgorithm::Sha1 => &engine::SHA1_FOR_LEGACY_USE_ONLY,
            DigestAlgorithm::Sha224 => &engine::SHA224,
            DigestAlgorithm::Sha256 => &engine::SHA256,
            DigestAlgorithm::Sha384 => &engine::SHA384,
            DigestAlgorithm::Sha512 => &engine::SHA512,
        }
    }

    /// The contents octets of the algorithm's OBJECT IDENTIFIER.
    pub(crate) const fn oid(self) -> &'static [u8] {
        match self {
            DigestAlgorithm::Sha1 => &[0x2b, 0x0e, 0x03, 0x02, 0x1a],
            DigestAlgorithm::Sha224 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04],
            DigestAlgorithm::Sha256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
            DigestAlgorithm::Sha384 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
            DigestAlgorithm::Sha512 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
        }
    }

    pub(crate) fn from_oid(contents: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.oid() == contents)
    }

    /// The digest of `data`.
    pub fn digest(self, data: &[u8]) -> Digest {
        Digest::from_engine(&engine::digest(self.engine(), data))
    }

    /// A digest over data that comes in pieces.
    pub fn hasher(self) -> Hasher {
        Hasher {
            algorithm: self,
            context: engine::Context::new(self.engine()),
        }
    }
}

/// A digest value of up to 64 bytes. Digests are public values: equality is not constant-time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest {
    length: u8,
    // Zero behind `length`, so that the derived equality holds.
    bytes: [u8; 64],
}

impl Digest {
    /// A digest that came from outside; `None` if it is longer than 64 bytes.
    pub fn from_bytes(value: &[u8]) -> Option<Self> {
        let mut bytes = [0u8; 64];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Digest {
            length: value.len() as u8,
            bytes,
        })
    }

    fn from_engine(value: &engine::Digest) -> Self {
        let value = value.as_ref();
        let mut bytes = [0u8; 64];
        bytes[..value.len()].copy_from_slice(value);
        Digest {
            length: value.len() as u8,
            bytes,
        }
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(")?;
        for byte in self.as_ref() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// A digest in the making; cloning keeps the state so far.
#[derive(Clone)]
pub struct Hasher {
    algorithm: DigestAlgorithm,
    context: engine::Context,
}

impl Hasher {
    /// The algorithm.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Adds data.
    pub fn update(&mut self, data: &[u8]) {
        self.context.update(data);
    }

    /// The digest of all data added.
    pub fn finish(self) -> Digest {
        Digest::from_engine(&self.context.finish())
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hasher({})", self.algorithm.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        assert_eq!(
            hex::encode(DigestAlgorithm::Sha1.digest(b"abc")),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            hex::encode(DigestAlgorithm::Sha256.digest(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        for algorithm in DigestAlgorithm::ALL {
            let mut hasher = algorithm.hasher();
            hasher.update(b"a");
            let fork = hasher.clone();
            hasher.update(b"bc");
            assert_eq!(hasher.finish(), algorithm.digest(b"abc"));
            assert_eq!(fork.finish(), algorithm.digest(b"a"));
            assert_eq!(algorithm.digest(b"").as_ref().len(), algorithm.length());
            assert_eq!(DigestAlgorithm::from_uri(algorithm.uri()), Some(algorithm));
            assert_eq!(DigestAlgorithm::from_name(algorithm.uri()), Some(algorithm));
            assert_eq!(DigestAlgorithm::from_oid(algorithm.oid()), Some(algorithm));
        }
        assert_eq!(
            DigestAlgorithm::from_name("SHA512"),
            Some(DigestAlgorithm::Sha512)
        );
        assert_eq!(
            DigestAlgorithm::from_name("SHA1"),
            Some(DigestAlgorithm::Sha1)
        );
        assert_eq!(DigestAlgorithm::from_name("SHA-2"), None);
    }
}
