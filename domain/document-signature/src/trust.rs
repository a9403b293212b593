//! Whom a verifier trusts, and for what.

use pki::{Certificate, DigestAlgorithm, KeyKind};
use time::OffsetDateTime;

use crate::report::Class;

/// A certification authority for people's signatures.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Its certificate: the anchor.
    pub certificate: Certificate,
    /// Certificate policies, dotted, under which it issues for simple signatures.
    pub simple: Vec<String>,
    /// Certificate policies, dotted, under which it issues for qualified signatures.
    pub qualified: Vec<String>,
}

impl Authority {
    /// What a certificate of this authority that names these policies makes signatures of. One that names policies of
    /// both classes is not clear, and of neither.
    pub(crate) fn class(&self, policies: &[String]) -> Class {
        let names = |list: &[String]| policies.iter().any(|policy| list.contains(policy));
        match (names(&self.qualified), names(&self.simple)) {
            (true, false) => Class::Qualified,
            (false, true) => Class::Simple,
            _ => Class::Other,
        }
    }
}

/// An algorithm that can be relied on only until some time: cryptography ages, archive time-stamps renew it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weakened {
    /// A digest algorithm.
    Digest(DigestAlgorithm, OffsetDateTime),
    /// RSA keys of fewer bits than these.
    RsaBelow(usize, OffsetDateTime),
    /// Keys on curves of fewer bits than these.
    CurveBelow(usize, OffsetDateTime),
}

impl Weakened {
    /// In words, if it concerns a signature with this digest and key at `time`.
    fn concerns(
        &self,
        digest: DigestAlgorithm,
        key: KeyKind,
        time: OffsetDateTime,
    ) -> Option<String> {
        let curve = key.coordinate_length().map(|length| match length {
            66 => 521,
            bytes => bytes * 8,
        });
        let (concerned, end, what) = match self {
            Weakened::Digest(weak, end) => (digest == *weak, end, weak.name().to_owned()),
            Weakened::RsaBelow(bits, end) => {
                let is_short = matches!(key, KeyKind::Rsa { bits: found } if found < *bits);
                (is_short, end, format!("RSA below {bits} bits"))
            }
            Weakened::CurveBelow(bits, end) => (
                curve.is_some_and(|found| found < *bits),
                end,
                format!("curves below {bits} bits"),
            ),
        };
        (concerned && time >= *end)
            .then(|| format!("{what} cannot be relied on since {}", end.date()))
    }
}

/// What a verifier judges by.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Authorities for signers.
    pub authorities: Vec<Authority>,
    /// Time-stamping authorities, or the certification authorities that issue for them.
    pub time_stampers: Vec<Certificate>,
    /// Algorithms with an end.
    pub weakened: Vec<Weakened>,
}

impl Trust {
    /// Why a signature with this digest and key could not be relied on at `time`, if so.
    pub(crate) fn weakness(
        &self,
        digest: DigestAlgorithm,
        key: KeyKind,
        time: OffsetDateTime,
    ) -> Option<String> {
        if digest.is_weak() {
            return Some(format!("{} cannot be relied on", digest.name()));
        }
        self.weakened
            .iter()
            .find_map(|weakened| weakened.concerns(digest, key, time))
    }

    pub(crate) fn anchors(&self) -> Vec<Certificate> {
        self.authorities
            .iter()
            .map(|authority| authority.certificate.clone())
            .collect()
    }
}
