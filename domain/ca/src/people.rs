//! Certificates of people: the two kinds of signatures, what a subject looks like, how long they last.

use pki::issue::Profile;
use pki::{AttributeType, Name, der};
use time::{Duration, OffsetDateTime};

/// How long a person's certificate is valid, in days: one year.
pub const PERSON_VALIDITY_DAYS: i64 = 365;
/// Longest part of a person's name in a certificate, in characters (RFC 5280, ub-surname and ub-given-name are 40 and
/// 16 there; everybody reads the 64 of ub-common-name).
pub const MAX_NAME_PART: usize = 64;

/// The two kinds of electronic signatures. They are told apart by the policy in the signer's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureKind {
    /// A simple signature: it is known who signed; services say whether that is enough.
    Simple,
    /// A qualified signature: equal to one in ink.
    Qualified,
}

impl SignatureKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Simple, Self::Qualified];

    /// The certificate policy, dotted. An arc for examples, as the test network's time-stamps have: a country puts its
    /// own here.
    #[must_use]
    pub const fn policy(self) -> &'static str {
        match self {
            Self::Simple => "1.2.3.4.2.1",
            Self::Qualified => "1.2.3.4.2.2",
        }
    }

    /// The kind that a policy stands for.
    #[must_use]
    pub fn of_policy(policy: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.policy() == policy)
    }

    /// Its name in files and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Qualified => "qualified",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The profile of a certificate for it.
    #[must_use]
    pub fn profile(self) -> Profile {
        Profile::Person {
            policies: vec![self.policy().to_owned()],
        }
    }
}

/// Why there is no subject for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a person's name in a certificate has two parts of 1 to {MAX_NAME_PART} characters each, and a number"
)]
pub struct PersonNameError;

/// The subject of a person's certificate: country, surname, given name, common name, and the personal number as
/// `PNOKG-` and digits (ETSI EN 319 412-1 section 5.1.3, EN 319 412-2 section 4.2.4).
///
/// # Errors
/// A part is empty, too long or cannot be encoded.
pub fn person_subject(
    number: &str,
    surname: &str,
    given_name: &str,
) -> Result<Name, PersonNameError> {
    let fits = |part: &str| {
        !part.trim().is_empty()
            && part.chars().count() <= MAX_NAME_PART
            && !part.chars().any(char::is_control)
    };
    let digits = number.len() == 14 && number.bytes().all(|byte| byte.is_ascii_digit());
    if !fits(surname) || !fits(given_name) || !digits {
        return Err(PersonNameError);
    }
    Name::builder()
        .push(AttributeType::Country, "KG")
        .push(AttributeType::Surname, surname)
        .push(AttributeType::GivenName, given_name)
        .push(AttributeType::SerialNumber, format!("PNOKG-{number}"))
        .push(AttributeType::CommonName, format!("{surname} {given_name}"))
        .build()
        .map_err(|_: der::DerError| PersonNameError)
}

/// The personal number in the subject of a person's certificate.
#[must_use]
pub fn person_number(subject: &Name) -> Option<&str> {
    subject
        .get(AttributeType::SerialNumber.short_name())?
        .strip_prefix("PNOKG-")
}

/// The validity of a person's certificate that is made now: a year, but not beyond its authority's.
#[must_use]
pub fn person_validity(
    now: OffsetDateTime,
    authority_ends: OffsetDateTime,
) -> (OffsetDateTime, OffsetDateTime) {
    let start = now.replace_nanosecond(0).unwrap_or(now);
    let end = start + Duration::days(PERSON_VALIDITY_DAYS);
    (start, end.min(authority_ends))
}
