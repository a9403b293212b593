//! The certification authority of a test network: what it issues, and what it says about it.
//!
//! Two rules hold by construction. A certificate is signed only from a
//! [`Intended`], which exists only when a linted [`Prepared`] has been stored:
//! so the register knows of every certificate before it can exist. And an OCSP
//! answer is built only from [`Statuses`], which come only from the register.
//!
//! The subject of a certificate is decided here by the caller's [`Order`], never
//! by the certification request, of which only the key is taken.

mod order;
mod people;

use std::fmt;

use pki::issue::{IssueError, Profile, Template, issue, self_signed};
use pki::ocsp::{self, CertificateStatus, ResponseStatus, SingleResponse};
use pki::{Certificate, KeyKind, Name, PublicKey, SignError, Signer};
use time::{Duration, OffsetDateTime};

pub use order::{
    AcceptedOrder, AcceptedRevocation, LONGEST_ORDER_ID, ORDER_LASTS, ORDER_TYPE, OrderError,
    PersonOrder, REVOCATION_TYPE, RegistrationAuthority, Sender, audience,
};
pub use people::{
    MAX_NAME_PART, PERSON_VALIDITY_DAYS, PersonNameError, SignatureKind, person_number,
    person_subject, person_validity,
};

/// Longest validity that is ordered, in days. The demo's certificates last as long as its CA.
pub const MAX_VALIDITY_DAYS: i64 = 20 * 366;

/// A serial number: 16 octets, the first between 0x01 and 0x7f, so that it is
/// positive and always of the same length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial([u8; 16]);

impl Serial {
    /// A serial number from random octets (RFC 5280 demands uniqueness, CA/B-Forum 64 random bits; this has more than 120).
    pub fn from_random(mut random: [u8; 16]) -> Self {
        random[0] &= 0x7f;
        if random[0] == 0 {
            random[0] = 1;
        }
        Serial(random)
    }

    /// The serial number with these octets, if it can be one of ours.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let octets: [u8; 16] = octets.try_into().ok()?;
        (1..0x80).contains(&octets[0]).then_some(Serial(octets))
    }

    /// The octets, which are also the contents octets of the INTEGER.
    pub fn octets(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Hexadecimal, 32 characters.
impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Why a certificate is revoked (RFC 5280 section 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationReason {
    /// No reason given.
    Unspecified,
    /// The private key is no longer secret.
    KeyCompromise,
    /// The holder's data have changed.
    AffiliationChanged,
    /// Another certificate has taken its place.
    Superseded,
    /// The holder needs it no more.
    CessationOfOperation,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [RevocationReason; 5] = [
        RevocationReason::Unspecified,
        RevocationReason::KeyCompromise,
        RevocationReason::AffiliationChanged,
        RevocationReason::Superseded,
        RevocationReason::CessationOfOperation,
    ];

    /// The number of CRLReason.
    pub const fn number(self) -> u8 {
        match self {
            RevocationReason::Unspecified => 0,
            RevocationReason::KeyCompromise => 1,
            RevocationReason::AffiliationChanged => 3,
            RevocationReason::Superseded => 4,
            RevocationReason::CessationOfOperation => 5,
        }
    }

    /// The reason of a number of CRLReason, if we use it.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.number() == number)
    }
}

/// What the register says about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is going to be signed, or the signing was interrupted: nobody may rely on it.
    Intended,
    /// It was issued.
    Issued,
    /// It was revoked, for ever.
    Revoked {
        /// When, in whole seconds.
        at: OffsetDateTime,
        /// Why.
        reason: RevocationReason,
    },
}

/// One certificate in the register.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its serial number.
    pub serial: Serial,
    /// Its subject.
    pub subject: Name,
    /// Its status.
    pub status: Status,
    /// The certificate, once it is signed.
    pub certificate: Option<Certificate>,
}

/// The register failed: disk, permissions, a damaged entry. The fault is ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the register of certificates failed: {0}")]
pub struct RegisterError(pub String);

/// The port to the register of certificates.
pub trait Register {
    /// The entry of a serial number.
    ///
    /// # Errors
    /// See [`RegisterError`].
    fn find(&self, serial: &Serial) -> Result<Option<Entry>, RegisterError>;

    /// Stores an entry, replacing an older one. When this returns, the entry survives a crash.
    ///
    /// # Errors
    /// See [`RegisterError`].
    fn store(&self, entry: &Entry) -> Result<(), RegisterError>;
}

/// Why nothing is issued or revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// The key is too short, too long, or of a kind that X-Road's peers do not load.
    #[error("the key is refused: {0:?}; RSA of 2048 to 4096 bits or P-256 is accepted")]
    Key(KeyKind),
    /// The key is the authority's own.
    #[error("the key is the authority's own")]
    OwnKey,
    /// The subject is empty, or names the authority itself.
    #[error("the subject is empty or is the authority's own")]
    Subject,
    /// The validity is not positive, too long or outlasts the authority.
    #[error("the validity is not positive, longer than allowed or outlasts the authority")]
    Validity,
    /// This authority issues no authorities.
    #[error("this authority issues no certificates of authorities")]
    Profile,
    /// The serial number exists: the randomness is bad.
    #[error("the serial number {0} exists already")]
    SerialExists(Serial),
    /// The serial number is not in the register.
    #[error("no certificate with the serial number {0} was issued")]
    NotIssued(Serial),
    /// An order of this name was carried out before, with other contents.
    #[error("an order of this name (jti) had other contents")]
    OrderDiffers,
    /// The order's certificate was revoked.
    #[error("the certificate of this order was revoked")]
    Revoked,
    /// The register failed.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The signer or the template failed.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// A wish for a certificate.
#[derive(Debug, Clone)]
pub struct Order {
    /// What it is for; not [`Profile::Authority`].
    pub profile: Profile,
    /// The subject as the certificate profile of the instance wants it.
    pub subject: Name,
    /// The holder's key, usually from a verified certification request.
    pub public_key: PublicKey,
    /// Start of the validity.
    pub not_before: OffsetDateTime,
    /// End of the validity.
    pub not_after: OffsetDateTime,
}

/// An order that passed every rule. Nothing is stored or signed yet.
#[derive(Debug)]
pub struct Prepared {
    serial: Serial,
    template: Template,
}

/// A prepared order that the register knows. Consumed by [`CertificateAuthority::sign`].
#[derive(Debug)]
pub struct Intended(Prepared);

/// Statuses read from the register, in the order of the request. Made only by [`CertificateAuthority::statuses`].
#[derive(Debug)]
pub struct Statuses(Vec<SingleResponse>);

/// A certification authority: its certificate and its rules.
#[derive(Debug, Clone)]
pub struct CertificateAuthority {
    certificate: Certificate,
    ocsp_url: Option<String>,
}

/// Makes the self-signed certificate of a new authority.
///
/// # Errors
/// See [`CaError`].
pub fn new_root(
    subject: Name,
    serial: Serial,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    signer: &dyn Signer,
) -> Result<Certificate, CaError> {
    check_key(signer.public_key())?;
    if subject.attributes().is_empty() {
        return Err(CaError::Subject);
    }
    if not_after <= not_before {
        return Err(CaError::Validity);
    }
    let template = Template {
        subject,
        public_key: signer.public_key().clone(),
        serial: serial.octets().to_vec(),
        not_before,
        not_after,
        profile: Profile::Authority,
        ocsp_url: None,
    };
    Ok(self_signed(&template, signer)?)
}

fn check_key(key: &PublicKey) -> Result<(), CaError> {
    match key.kind() {
        KeyKind::Rsa { bits: 2048..=4096 } | KeyKind::EcP256 => Ok(()),
        kind => Err(CaError::Key(kind)),
    }
}

impl CertificateAuthority {
    /// An authority with this certificate; `ocsp_url` goes into what it issues.
    pub fn new(certificate: Certificate, ocsp_url: Option<String>) -> Self {
        CertificateAuthority {
            certificate,
            ocsp_url,
        }
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Checks an order against every rule.
    ///
    /// # Errors
    /// See [`CaError`].
    pub fn prepare(&self, order: Order, serial: Serial) -> Result<Prepared, CaError> {
        check_key(&order.public_key)?;
        if &order.public_key == self.certificate.public_key() {
            return Err(CaError::OwnKey);
        }
        if order.profile == Profile::Authority {
            return Err(CaError::Profile);
        }
        if order.subject.attributes().is_empty()
            || order.subject.matches(self.certificate.subject())
        {
            return Err(CaError::Subject);
        }
        if order.not_after <= order.not_before
            || order.not_after - order.not_before > Duration::days(MAX_VALIDITY_DAYS)
            || order.not_after > self.certificate.not_after()
        {
            return Err(CaError::Validity);
        }
        Ok(Prepared {
            serial,
            template: Template {
                subject: order.subject,
                public_key: order.public_key,
                serial: serial.octets().to_vec(),
                not_before: order.not_before,
                not_after: order.not_after,
                profile: order.profile,
                ocsp_url: self.ocsp_url.clone(),
            },
        })
    }

    /// Stores what is going to be signed.
    ///
    /// # Errors
    /// [`CaError::SerialExists`] or [`CaError::Register`].
    pub fn intend(&self, prepared: Prepared, register: &dyn Register) -> Result<Intended, CaError> {
        if register.find(&prepared.serial)?.is_some() {
            return Err(CaError::SerialExists(prepared.serial));
        }
        register.store(&Entry {
            serial: prepared.serial,
            subject: prepared.template.subject.clone(),
            status: Status::Intended,
            certificate: None,
        })?;
        Ok(Intended(prepared))
    }

    /// Signs what was stored, and stores the certificate before anybody gets it.
    ///
    /// # Errors
    /// See [`CaError`].
    pub fn sign(
        &self,
        intended: Intended,
        signer: &dyn Signer,
        register: &dyn Register,
    ) -> Result<Certificate, CaError> {
        let Prepared { serial, template } = intended.0;
        let certificate = issue(&template, &self.certificate, signer)?;
        register.store(&Entry {
            serial,
            subject: template.subject,
            status: Status::Issued,
            certificate: Some(certificate.clone()),
        })?;
        Ok(certificate)
    }

    /// Revokes a certificate; a second revocation changes nothing.
    ///
    /// # Errors
    /// [`CaError::NotIssued`] or [`CaError::Register`].
    pub fn revoke(
        &self,
        serial: Serial,
        at: OffsetDateTime,
        reason: RevocationReason,
        register: &dyn Register,
    ) -> Result<(), CaError> {
        let entry = register.find(&serial)?.ok_or(CaError::NotIssued(serial))?;
        match entry.status {
            Status::Intended => Err(CaError::NotIssued(serial)),
            Status::Revoked { .. } => Ok(()),
            Status::Issued => {
                let at = at.replace_nanosecond(0).unwrap_or(at);
                Ok(register.store(&Entry {
                    status: Status::Revoked { at, reason },
                    ..entry
                })?)
            }
        }
    }

    /// Reads the statuses that a request asks for. `this_update` of an answer is
    /// `now`, because the register is asked now.
    ///
    /// # Errors
    /// The refusal to send: [`ResponseStatus::Unauthorized`] if the request is about
    /// another issuer's certificates, [`ResponseStatus::InternalError`] if the register failed.
    pub fn statuses(
        &self,
        request: &ocsp::Request,
        now: OffsetDateTime,
        valid_for: Duration,
        register: &dyn Register,
    ) -> Result<Statuses, ResponseStatus> {
        let mut singles = Vec::with_capacity(request.certificates.len());
        for certificate in &request.certificates {
            if !certificate.is_issuer(&self.certificate) {
                return Err(ResponseStatus::Unauthorized);
            }
            let entry = match Serial::from_octets(certificate.serial()) {
                Some(serial) => register
                    .find(&serial)
                    .map_err(|_| ResponseStatus::InternalError)?,
                None => None,
            };
            let status = match entry.map(|entry| entry.status) {
                Some(Status::Issued) => CertificateStatus::Good,
                Some(Status::Revoked { at, reason }) => CertificateStatus::Revoked {
                    at,
                    reason: Some(reason.number()),
                },
                // What was never handed out is as unknown as what was never ordered.
                Some(Status::Intended) | None => CertificateStatus::Unknown,
            };
            singles.push(SingleResponse {
                certificate: certificate.clone(),
                status,
                this_update: now,
                next_update: Some(now + valid_for),
            });
        }
        Ok(Statuses(singles))
    }
}

/// Signs an OCSP response with the responder's key and encloses its certificate.
///
/// # Errors
/// If the signer fails.
pub fn respond(
    statuses: &Statuses,
    responder: &Certificate,
    signer: &dyn Signer,
    now: OffsetDateTime,
    nonce: Option<&[u8]>,
) -> Result<Vec<u8>, SignError> {
    ocsp::build(responder, signer, now, &statuses.0, nonce)
}

#[cfg(test)]
mod tests;
