//! The choice of key and certificate, and readiness.

use pki::Certificate;
use time::OffsetDateTime;
use xroad_id::ClientId;

use crate::key::{KeyDescription, KeyId, KeyUsage};

/// A key with one certificate that could be used now.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The key.
    pub key: KeyId,
    /// The certificate.
    pub certificate: Certificate,
}

/// Why nothing can be signed, or the server cannot authenticate. The operator of this server has to
/// act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// A token waits for its PIN.
    #[error("the token {token} is not open")]
    TokenClosed {
        /// Label of the token.
        token: String,
    },
    /// There is no signing key of a member.
    #[error("no signing key for {member}")]
    NoSigningKey {
        /// The member.
        member: ClientId,
    },
    /// There is no key for TLS.
    #[error("no authentication key")]
    NoAuthenticationKey,
    /// There are keys, but no certificate that is active and within its validity.
    #[error("no active and valid certificate for {}", whose(.member.as_ref()))]
    NoCertificate {
        /// The member, or `None` for the server's own authentication.
        member: Option<ClientId>,
    },
    /// There are certificates, but none whose status is known to be good (OCSP).
    #[error("no certificate with a good and fresh status for {}", whose(.member.as_ref()))]
    NoGoodStatus {
        /// The member, or `None` for the server's own authentication.
        member: Option<ClientId>,
    },
}

fn whose(member: Option<&ClientId>) -> String {
    member.map_or_else(|| "authentication".to_owned(), ClientId::to_string)
}

fn candidates<'a>(
    keys: impl Iterator<Item = &'a KeyDescription>,
    now: OffsetDateTime,
    fits: impl Fn(&Certificate) -> bool,
) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for key in keys {
        for held in &key.certificates {
            let certificate = &held.certificate;
            if held.active
                && certificate.valid_at(now)
                && *certificate.public_key() == key.public_key
                && fits(certificate)
            {
                found.push(Candidate {
                    key: key.id.clone(),
                    certificate: certificate.clone(),
                });
            }
        }
    }
    // The newest first: a renewed certificate takes over as soon as it is active and good.
    found.sort_by(|a, b| {
        (b.certificate.not_before(), b.certificate.not_after())
            .cmp(&(a.certificate.not_before(), a.certificate.not_after()))
    });
    found
}

fn signing_keys<'a>(
    keys: &'a [KeyDescription],
    member: &'a ClientId,
) -> impl Iterator<Item = &'a KeyDescription> {
    keys.iter().filter(move |key| {
        key.usage == KeyUsage::Sign
            && key
                .member
                .as_ref()
                .is_some_and(|owner| owner.is_same_member(member))
    })
}

fn authentication_keys(keys: &[KeyDescription]) -> impl Iterator<Item = &KeyDescription> {
    keys.iter()
        .filter(|key| key.usage == KeyUsage::Authentication)
}

/// Active certificates within their validity with which `member` (or the member of a subsystem) may
/// sign, the newest first. Their status is not looked at.
pub fn signing_candidates(
    keys: &[KeyDescription],
    member: &ClientId,
    now: OffsetDateTime,
) -> Vec<Candidate> {
    candidates(signing_keys(keys, member), now, Certificate::allows_signing)
}

/// Active certificates within their validity with which the server may authenticate (T7), the newest
/// first. Their status is not looked at.
pub fn authentication_candidates(keys: &[KeyDescription], now: OffsetDateTime) -> Vec<Candidate> {
    candidates(
        authentication_keys(keys),
        now,
        Certificate::is_authentication,
    )
}

/// The key and certificate with which `member` signs now. `is_good` says whether a certificate's
/// status is known to be good and fresh.
///
/// # Errors
/// [`NotReady`].
pub fn choose_signing(
    keys: &[KeyDescription],
    member: &ClientId,
    now: OffsetDateTime,
    is_good: impl Fn(&Certificate) -> bool,
) -> Result<Candidate, NotReady> {
    let member_only = || member.to_member();
    if signing_keys(keys, member).next().is_none() {
        return Err(NotReady::NoSigningKey {
            member: member_only(),
        });
    }
    let candidates = signing_candidates(keys, member, now);
    choose(candidates, is_good, || Some(member_only()))
}

/// The key and certificate with which the server authenticates now. `is_good` as in
/// [`choose_signing`].
///
/// # Errors
/// [`NotReady`].
pub fn choose_authentication(
    keys: &[KeyDescription],
    now: OffsetDateTime,
    is_good: impl Fn(&Certificate) -> bool,
) -> Result<Candidate, NotReady> {
    if authentication_keys(keys).next().is_none() {
        return Err(NotReady::NoAuthenticationKey);
    }
    choose(authentication_candidates(keys, now), is_good, || None)
}

fn choose(
    candidates: Vec<Candidate>,
    is_good: impl Fn(&Certificate) -> bool,
    member: impl Fn() -> Option<ClientId>,
) -> Result<Candidate, NotReady> {
    if candidates.is_empty() {
        return Err(NotReady::NoCertificate { member: member() });
    }
    candidates
        .into_iter()
        .find(|candidate| is_good(&candidate.certificate))
        .ok_or_else(|| NotReady::NoGoodStatus { member: member() })
}

/// What is missing before a server can sign for all its members; ready where nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    missing: Vec<NotReady>,
}

impl Readiness {
    /// True where every needed token is open and every member can sign.
    pub fn is_ready(&self) -> bool {
        self.missing.is_empty()
    }

    /// What is missing, in the order: tokens, authentication, members.
    pub fn missing(&self) -> &[NotReady] {
        &self.missing
    }
}

/// Whether a server that serves `clients` is ready. `closed_tokens` are the labels of tokens that are
/// not open; keys of closed tokens still count as keys.
pub fn readiness<'a>(
    closed_tokens: impl IntoIterator<Item = &'a str>,
    keys: &[KeyDescription],
    clients: &[ClientId],
    now: OffsetDateTime,
    is_good: impl Fn(&Certificate) -> bool,
) -> Readiness {
    let mut missing: Vec<NotReady> = closed_tokens
        .into_iter()
        .map(|token| NotReady::TokenClosed {
            token: token.to_owned(),
        })
        .collect();
    missing.extend(choose_authentication(keys, now, &is_good).err());
    let mut members: Vec<ClientId> = clients.iter().map(ClientId::to_member).collect();
    members.sort();
    members.dedup();
    for member in &members {
        missing.extend(choose_signing(keys, member, now, &is_good).err());
    }
    Readiness { missing }
}

#[cfg(test)]
mod tests {
    use pki::{KeyType, Name, Signer, SoftwareKey};
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::key::{HeldCertificate, ImportError, check_import};

    const NOW: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

    fn name(text: &str) -> Name {
        Name::builder()
            .push(pki::AttributeType::from_short_name("CN").unwrap(), text)
            .build()
            .unwrap()
    }

    fn member(code: &str) -> ClientId {
        ClientId::member("KG", "GOV", code).unwrap()
    }

    fn certificate(key: &SoftwareKey, usage: KeyUsage, start: OffsetDateTime) -> Certificate {
        let profile = match usage {
            KeyUsage::Sign => pki::issue::Profile::Signing,
            KeyUsage::Authentication => pki::issue::Profile::Authentication,
        };
        let template = pki::issue::Template {
            subject: name("subject"),
            public_key: key.public_key().clone(),
            serial: vec![1],
            not_before: start,
            not_after: start + Duration::days(10),
            profile,
            ocsp_url: None,
        };
        pki::issue::self_signed(&template, key).unwrap()
    }

    fn key(usage: KeyUsage, owner: Option<&ClientId>) -> (SoftwareKey, KeyDescription) {
        let key = SoftwareKey::generate(KeyType::EcP256).unwrap();
        let description = KeyDescription {
            id: KeyId::of(key.public_key()),
            label: "a key".to_owned(),
            usage,
            member: owner.cloned(),
            public_key: key.public_key().clone(),
            certificates: Vec::new(),
        };
        (key, description)
    }

    fn hold(description: &mut KeyDescription, certificate: Certificate, active: bool) {
        description.certificates.push(HeldCertificate {
            certificate,
            active,
        });
    }

    #[test]
    fn the_newest_active_valid_and_good_certificate_signs() {
        let owner = member("1");
        let (secret, mut key) = key(KeyUsage::Sign, Some(&owner));
        let old = certificate(&secret, KeyUsage::Sign, NOW - Duration::days(5));
        let newer = certificate(&secret, KeyUsage::Sign, NOW - Duration::days(2));
        let inactive = certificate(&secret, KeyUsage::Sign, NOW - Duration::days(1));
        let expired = certificate(&secret, KeyUsage::Sign, NOW - Duration::days(50));
        let future = certificate(&secret, KeyUsage::Sign, NOW + Duration::days(1));
        hold(&mut key, expired, true);
        hold(&mut key, old.clone(), true);
        hold(&mut key, newer.clone(), true);
        hold(&mut key, inactive, false);
        hold(&mut key, future, true);
        let keys = [key];
        let subsystem = owner.with_subsystem("s").unwrap();
        let chosen = choose_signing(&keys, &subsystem, NOW, |_| true).unwrap();
        assert_eq!(chosen.certificate.der(), newer.der());
        let chosen = choose_signing(&keys, &subsystem, NOW, |c| c.der() != newer.der()).unwrap();
        assert_eq!(chosen.certificate.der(), old.der());
        assert_eq!(
            choose_signing(&keys, &subsystem, NOW, |_| false).unwrap_err(),
            NotReady::NoGoodStatus {
                member: Some(owner.clone())
            }
        );
        assert_eq!(
            choose_signing(&keys, &subsystem, NOW + Duration::days(100), |_| true).unwrap_err(),
            NotReady::NoCertificate {
                member: Some(owner)
            }
        );
        let other = member("2");
        assert_eq!(
            choose_signing(&keys, &other, NOW, |_| true).unwrap_err(),
            NotReady::NoSigningKey { member: other }
        );
    }

    #[test]
    fn readiness_names_all_that_is_missing() {
        let (a, b) = (member("1"), member("2"));
        let (secret, mut sign) = key(KeyUsage::Sign, Some(&a));
        let fine = certificate(&secret, KeyUsage::Sign, NOW);
        hold(&mut sign, fine, true);
        let clients = [a.with_subsystem("s").unwrap(), a.clone(), b.clone()];
        let found = readiness(["soft"], &[sign.clone()], &clients, NOW, |_| true);
        assert!(!found.is_ready());
        assert_eq!(
            found.missing(),
            [
                NotReady::TokenClosed {
                    token: "soft".to_owned()
                },
                NotReady::NoAuthenticationKey,
                NotReady::NoSigningKey { member: b }
            ]
        );
        let (secret, mut auth) = key(KeyUsage::Authentication, None);
        let fine = certificate(&secret, KeyUsage::Authentication, NOW);
        hold(&mut auth, fine, true);
        assert!(readiness([], &[sign, auth], &[a], NOW, |_| true).is_ready());
    }

    #[test]
    fn certificates_are_stored_for_their_own_key_and_use_only() {
        let owner = member("1");
        let (secret, mut sign) = key(KeyUsage::Sign, Some(&owner));
        let (auth_secret, auth) = key(KeyUsage::Authentication, None);
        let signing = certificate(&secret, KeyUsage::Sign, NOW);
        let authenticating = certificate(&secret, KeyUsage::Authentication, NOW);
        check_import(&sign, &signing).unwrap();
        assert_eq!(
            check_import(&sign, &authenticating),
            Err(ImportError::NotForSigning)
        );
        assert_eq!(check_import(&auth, &signing), Err(ImportError::NoKey));
        let wrong = certificate(&auth_secret, KeyUsage::Sign, NOW);
        assert_eq!(
            check_import(&auth, &wrong),
            Err(ImportError::NotForAuthentication)
        );
        hold(&mut sign, signing.clone(), true);
        assert_eq!(check_import(&sign, &signing), Err(ImportError::Present));
    }

    #[test]
    fn key_identifiers_are_hexadecimal() {
        let (_, key) = key(KeyUsage::Sign, None);
        assert_eq!(KeyId::parse(key.id.as_str()), Ok(key.id.clone()));
        for wrong in ["", "xyz", &"A".repeat(40), &"a".repeat(41)] {
            assert!(KeyId::parse(wrong).is_err());
        }
    }
}
