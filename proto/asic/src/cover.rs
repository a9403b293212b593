//! Whether a verified signature covers a message: every part, each exactly once (T-SIG-1).

use crate::hash_chain;
use pki::{Digest, DigestAlgorithm};
use xmldsig::{HASH_CHAIN_RESULT, MESSAGE, SignatureError, ValueVerified};

/// The name under which a signed result knows its chain.
pub const HASH_CHAIN: &str = "/sig-hashchain.xml";

/// Where the digests of the parts come from; it decides which of X-Road's codes a difference
/// gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestSource {
    /// Digests computed while the message arrived.
    Given,
    /// Digests computed on demand from stored data, as in a container.
    Resolved,
}

/// The parts of a message, by digest. Names are as the signature writes them: `/message.xml`,
/// `/attachment1` ...
pub trait Content {
    /// The digest of a part's bytes as transferred; `None` if the part is not there, or if its
    /// digest is not known in this algorithm.
    fn digest(&self, name: &str, algorithm: DigestAlgorithm) -> Option<Digest>;

    /// Whether the part is there at all.
    fn contains(&self, name: &str) -> bool {
        DigestAlgorithm::ALL
            .iter()
            .any(|algorithm| self.digest(name, *algorithm).is_some())
    }

    /// Where the digests come from.
    fn source(&self) -> DigestSource {
        DigestSource::Given
    }
}

/// Proof that a signature covers every part of a message exactly once, and that no part that it
/// covers is absent. Only [`cover`] and [`Coverage::complete`] make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    parts: Vec<String>,
    through_chain: bool,
}

impl Covered {
    /// The parts, in the order of the message.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Whether a hash chain leads to them.
    #[must_use]
    pub fn through_chain(&self) -> bool {
        self.through_chain
    }
}

/// A signature covers every part that is there, but may cover more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    covered: Covered,
    absent: Vec<String>,
    unreferenced_chain: bool,
}

impl Coverage {
    /// The parts that are there, all of them covered.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.covered.parts
    }

    /// Parts that the signature covers but that are not there.
    #[must_use]
    pub fn absent(&self) -> &[String] {
        &self.absent
    }

    /// A hash chain came with the signature, but the signature does not refer to it (T-SIG-12).
    #[must_use]
    pub fn has_unreferenced_chain(&self) -> bool {
        self.unreferenced_chain
    }

    /// The proof, if nothing is absent.
    ///
    /// # Errors
    /// [`SignatureError::Absent`] names the first part that is not there.
    pub fn complete(self) -> Result<Covered, SignatureError> {
        match self.absent.into_iter().next() {
            Some(name) => Err(SignatureError::Absent(name)),
            None => Ok(self.covered),
        }
    }
}

/// Checks that a signature covers `parts`, each exactly once, and nothing that is absent.
///
/// `parts` are the names of all parts of the message, `/message.xml` among them; `chain` the
/// result and chain documents that came with the message.
///
/// # Errors
/// [`SignatureError`]; the signer, or whoever changed the message, is at fault.
pub fn cover(
    signature: &ValueVerified,
    parts: &[&str],
    content: &dyn Content,
    chain: Option<(&[u8], &[u8])>,
) -> Result<Covered, SignatureError> {
    cover_available(signature, parts, content, chain)?.complete()
}

/// As [`cover`], but parts that the signature covers may be absent: for offline verification,
/// where an absent attachment is not the same as a wrong one (T-ML-2). The message itself must be
/// there.
///
/// # Errors
/// As [`cover`].
pub fn cover_available(
    signature: &ValueVerified,
    parts: &[&str],
    content: &dyn Content,
    chain: Option<(&[u8], &[u8])>,
) -> Result<Coverage, SignatureError> {
    if !parts.contains(&MESSAGE) {
        return Err(SignatureError::Absent(MESSAGE.to_owned()));
    }
    let references = signature.references();
    let through_chain = references.iter().any(|r| r.uri == HASH_CHAIN_RESULT);
    let absent = if through_chain {
        if references.len() != 1 {
            return Err(SignatureError::Malformed(
                "references to parts beside a hash chain",
            ));
        }
        let (result, chain) =
            chain.ok_or_else(|| SignatureError::Absent(HASH_CHAIN_RESULT.to_owned()))?;
        let reference = &references[0];
        if reference.algorithm.digest(result) != reference.digest {
            return Err(SignatureError::Reference(HASH_CHAIN_RESULT.to_owned()));
        }
        let usage = hash_chain::verify(result, chain, Some(HASH_CHAIN), content)?;
        usage.require(parts)?;
        if usage.present.len() != parts.len() {
            return Err(SignatureError::Malformed(
                "the hash chain uses something that is not a part of the message",
            ));
        }
        usage.absent
    } else {
        let mut absent = Vec::new();
        for reference in references {
            if !parts.contains(&reference.uri.as_str()) {
                absent.push(reference.uri.clone());
                continue;
            }
            let digest = content
                .digest(&reference.uri, reference.algorithm)
                .ok_or_else(|| SignatureError::Unresolvable(reference.uri.clone()))?;
            if digest != reference.digest {
                return Err(SignatureError::Reference(reference.uri.clone()));
            }
        }
        if let Some(part) = parts
            .iter()
            .find(|part| !references.iter().any(|r| r.uri == **part))
        {
            return Err(SignatureError::NotCovered((*part).to_owned()));
        }
        absent
    };
    if absent.iter().any(|name| !is_attachment(name)) {
        let name = absent.into_iter().find(|name| !is_attachment(name));
        return Err(SignatureError::Absent(name.unwrap_or_default()));
    }
    Ok(Coverage {
        covered: Covered {
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
            through_chain,
        },
        absent,
        unreferenced_chain: chain.is_some() && !through_chain,
    })
}

/// `/attachment` and a number without leading zeros.
fn is_attachment(name: &str) -> bool {
    name.strip_prefix("/attachment").is_some_and(|number| {
        !number.is_empty()
            && number.len() <= 9
            && !number.starts_with('0')
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}
