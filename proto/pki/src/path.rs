//! Certification paths (RFC 5280 section 6), without revocation: X-Road has no
//! revocation lists, and OCSP is checked apart (C1, C4).

use time::OffsetDateTime;

use crate::certificate::{Certificate, KeyUsage, LegacyDigests};
use crate::key::VerifyError;

/// Longest path in certificates, with the end entity and without the anchor.
pub const MAX_PATH_LENGTH: usize = 8;
/// Most signatures that one validation verifies: bounds the work that a crafted set of intermediates can cause.
pub const MAX_SIGNATURES: usize = 32;

/// Why there is no valid path. The fault is the certificate holder's or their authority's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No anchor and no intermediate has the issuer's name.
    #[error("the issuer is not an approved authority: {issuer}")]
    UnknownIssuer {
        /// Issuer of the certificate at which the search ended.
        issuer: String,
    },
    /// A certificate's validity has not begun.
    #[error("the certificate of {subject} is not valid yet")]
    NotYetValid {
        /// Its subject.
        subject: String,
    },
    /// A certificate's validity is over.
    #[error("the certificate of {subject} has expired")]
    Expired {
        /// Its subject.
        subject: String,
    },
    /// A signature on a certificate is wrong, or of an algorithm or key that is refused.
    #[error("the signature on the certificate of {subject}: {reason}")]
    Signature {
        /// Subject of the certificate whose signature it is.
        subject: String,
        /// What is wrong.
        reason: VerifyError,
    },
    /// An intermediate certificate is not a CA's: basicConstraints or keyCertSign is missing.
    #[error("the certificate of {subject} may not issue certificates")]
    NotAnAuthority {
        /// Its subject.
        subject: String,
    },
    /// A pathLenConstraint is exceeded, or the path is longer than [`MAX_PATH_LENGTH`].
    #[error("the certification path is too long")]
    TooLong,
    /// A certificate has a critical extension that we do not process.
    #[error("the certificate of {subject} has a critical extension that is not supported")]
    CriticalExtension {
        /// Its subject.
        subject: String,
    },
    /// The search met its limit [`MAX_SIGNATURES`].
    #[error("there are too many certificates to search for a path")]
    TooComplex,
}

/// A path that was validated: signatures, names, validity and constraints. Made only here.
#[derive(Debug, Clone)]
pub struct ValidPath {
    certificates: Vec<Certificate>,
    valid_until: OffsetDateTime,
}

impl ValidPath {
    /// End entity first, anchor last; at least two.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The certificate that was asked about.
    pub fn end_entity(&self) -> &Certificate {
        &self.certificates[0]
    }

    /// The certificate that issued the end entity's: the one its OCSP answers name.
    pub fn issuer(&self) -> &Certificate {
        &self.certificates[1]
    }

    /// The authorities between end entity and anchor.
    pub fn intermediates(&self) -> &[Certificate] {
        &self.certificates[1..self.certificates.len() - 1]
    }

    /// The anchor.
    pub fn anchor(&self) -> &Certificate {
        &self.certificates[self.certificates.len() - 1]
    }

    /// When the first certificate of the path (without the anchor) expires.
    pub fn valid_until(&self) -> OffsetDateTime {
        self.valid_until
    }
}

/// Validates a path from `certificate` over `intermediates` to one of `anchors`.
/// Anchors are trusted as given: neither their validity nor their extensions are
/// looked at except the path length, as in Java's PKIX. SHA-1 is refused.
///
/// # Errors
/// See [`PathError`].
pub fn validate_path(
    certificate: &Certificate,
    intermediates: &[Certificate],
    anchors: &[Certificate],
    now: OffsetDateTime,
) -> Result<ValidPath, PathError> {
    validate_path_with(
        certificate,
        intermediates,
        anchors,
        now,
        LegacyDigests::Refuse,
    )
}

/// As [`validate_path`], with a choice about SHA-1.
///
/// # Errors
/// See [`PathError`].
pub fn validate_path_with(
    certificate: &Certificate,
    intermediates: &[Certificate],
    anchors: &[Certificate],
    now: OffsetDateTime,
    legacy: LegacyDigests,
) -> Result<ValidPath, PathError> {
    let mut search = Search {
        intermediates,
        anchors,
        now,
        legacy,
        signatures: 0,
    };
    let mut path = vec![certificate.clone()];
    check_certificate(certificate, now)?;
    search.extend(&mut path)?;
    let valid_until = path[..path.len() - 1]
        .iter()
        .map(Certificate::not_after)
        .min()
        .unwrap_or(certificate.not_after());
    Ok(ValidPath {
        certificates: path,
        valid_until,
    })
}

fn check_certificate(certificate: &Certificate, now: OffsetDateTime) -> Result<(), PathError> {
    let subject = || certificate.subject().to_string();
    if now < certificate.not_before() {
        return Err(PathError::NotYetValid { subject: subject() });
    }
    if now > certificate.not_after() {
        return Err(PathError::Expired { subject: subject() });
    }
    if certificate.has_unprocessed_extension() {
        return Err(PathError::CriticalExtension { subject: subject() });
    }
    Ok(())
}

struct Search<'a> {
    intermediates: &'a [Certificate],
    anchors: &'a [Certificate],
    now: OffsetDateTime,
    legacy: LegacyDigests,
    signatures: usize,
}

impl Search<'_> {
    /// Adds issuers to `path` until an anchor ends it; on failure `path` is as it was.
    fn extend(&mut self, path: &mut Vec<Certificate>) -> Result<(), PathError> {
        let last = path[path.len() - 1].clone();
        let mut failure = None;
        for anchor in self.anchors {
            if !anchor.subject().matches(last.issuer()) {
                continue;
            }
            match self
                .check_issued(&last, anchor)
                .and_then(|()| check_length(anchor, path))
            {
                Ok(()) => {
                    path.push(anchor.clone());
                    return Ok(());
                }
                Err(PathError::TooComplex) => return Err(PathError::TooComplex),
                Err(reason) => failure = Some(reason),
            }
        }
        for intermediate in self.intermediates {
            if !intermediate.subject().matches(last.issuer()) || path.contains(intermediate) {
                continue;
            }
            if path.len() >= MAX_PATH_LENGTH {
                return Err(PathError::TooLong);
            }
            let result = self
                .check_authority(intermediate)
                .and_then(|()| check_length(intermediate, path))
                .and_then(|()| self.check_issued(&last, intermediate))
                .and_then(|()| {
                    path.push(intermediate.clone());
                    self.extend(path).inspect_err(|_| {
                        path.pop();
                    })
                });
            match result {
                Ok(()) => return Ok(()),
                Err(PathError::TooComplex) => return Err(PathError::TooComplex),
                Err(reason) => failure = Some(reason),
            }
        }
        Err(failure.unwrap_or_else(|| PathError::UnknownIssuer {
            issuer: last.issuer().to_string(),
        }))
    }

    fn check_authority(&self, authority: &Certificate) -> Result<(), PathError> {
        check_certificate(authority, self.now)?;
        let may_sign = authority
            .key_usage()
            .is_none_or(|usage| usage.contains(KeyUsage::KEY_CERT_SIGN));
        if authority.is_ca() && may_sign {
            Ok(())
        } else {
            Err(PathError::NotAnAuthority {
                subject: authority.subject().to_string(),
            })
        }
    }

    fn check_issued(
        &mut self,
        certificate: &Certificate,
        issuer: &Certificate,
    ) -> Result<(), PathError> {
        self.signatures += 1;
        if self.signatures > MAX_SIGNATURES {
            return Err(PathError::TooComplex);
        }
        certificate
            .verify_signature(issuer.public_key(), self.legacy)
            .map_err(|reason| PathError::Signature {
                subject: certificate.subject().to_string(),
                reason,
            })
    }
}

/// Whether `authority` may stand above `path`: its pathLenConstraint counts the
/// intermediates below it that are not self-issued.
fn check_length(authority: &Certificate, path: &[Certificate]) -> Result<(), PathError> {
    let below = path[1..]
        .iter()
        .filter(|certificate| !certificate.is_self_issued())
        .count() as u64;
    match authority.path_length() {
        Some(most) if below > most => Err(PathError::TooLong),
        _ => Ok(()),
    }
}
