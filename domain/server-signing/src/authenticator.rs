//! With what a person confirms, and whether they did.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use id_registry::PersonalNumber;
use pki::{Certificate, DigestAlgorithm, KeyKind, SignatureAlgorithm};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use webauthn::{Assertion, Expected, PasskeyKey};

use crate::refusal::Refusal;
use crate::statement::{challenge, check_text};

/// Most authenticators of one person.
pub const MOST_AUTHENTICATORS: usize = 3;
const LONGEST_LABEL: usize = 100;
/// Longest encoded part of an authenticator, in bytes: a certificate.
const LONGEST_PART: usize = 16 * 1024;

/// One thing that a person confirms with, as it was fixed at enrolment. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Form {
    /// A passkey or security key.
    #[serde(rename_all = "camelCase")]
    Passkey {
        /// Credential id, in base64url.
        id: String,
        /// SubjectPublicKeyInfo, in base64url.
        public_key: String,
        /// COSE algorithm: -7 or -257.
        algorithm: i64,
        /// What its holder calls it.
        label: String,
    },
    /// The key of an identity card, which signs the statement's text.
    #[serde(rename_all = "camelCase")]
    Card {
        /// The card's certificate, in base64.
        certificate: String,
    },
    /// Nothing of their own: the person comes to a desk each time, and their proof goes on record.
    Desk,
}

/// What a person or an officer sends to confirm a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Proof {
    /// An assertion over the statement's challenge, in JSON.
    Passkey(String),
    /// A card's signature over the statement's text, in base64. With SHA-256 for RSA and P-256, SHA-384 for P-384.
    Card(String),
}

/// The place of the verifier: whose assertions it takes.
#[derive(Debug, Clone)]
pub struct Place {
    /// The relying party's id of all passkeys: the signing service's own domain.
    pub relying_party: String,
    /// Origins on which a person confirms: the signing service's own pages.
    pub origins: Vec<String>,
    /// Who issues identity cards.
    pub card_issuers: Vec<Certificate>,
}

impl Form {
    /// Whether it is one that can be verified.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        match self {
            Self::Passkey { id, label, .. } => {
                check_text(label, LONGEST_LABEL).map_err(Refusal::Authenticator)?;
                let id = decoded(id)?;
                if id.is_empty() || id.len() > webauthn::MAX_CREDENTIAL_ID_LENGTH {
                    return Err(Refusal::Authenticator("its id has no usable length"));
                }
                self.passkey_key().map(|_| ())
            }
            Self::Card { .. } => card_algorithm(&self.card_certificate()?).map(|_| ()),
            Self::Desk => Ok(()),
        }
    }

    fn passkey_key(&self) -> Result<PasskeyKey, Refusal> {
        let Self::Passkey {
            public_key,
            algorithm,
            ..
        } = self
        else {
            return Err(Refusal::Authenticator("it is not a passkey"));
        };
        PasskeyKey::new(&decoded(public_key)?, *algorithm)
            .map_err(|_| Refusal::Authenticator("its key is not ES256 or RS256"))
    }

    fn card_certificate(&self) -> Result<Certificate, Refusal> {
        let Self::Card { certificate } = self else {
            return Err(Refusal::Authenticator("it is not a card"));
        };
        if certificate.len() > LONGEST_PART {
            return Err(Refusal::Authenticator("its certificate is too long"));
        }
        STANDARD
            .decode(certificate)
            .ok()
            .and_then(|der| Certificate::decode(&der).ok())
            .ok_or(Refusal::Authenticator("its certificate cannot be read"))
    }

    /// Whether it is a card that names this person and was issued by one of these, so that it proves who they are.
    pub(crate) fn names(&self, number: PersonalNumber, place: &Place, now: OffsetDateTime) -> bool {
        let Ok(certificate) = self.card_certificate() else {
            return false;
        };
        ca::person_number(certificate.subject()) == Some(number.as_str())
            && certificate.valid_at(now)
            && place
                .card_issuers
                .iter()
                .any(|issuer| certificate.is_issued_by(issuer))
    }

    fn is_passkey(&self, credential_id: &[u8]) -> bool {
        matches!(self, Self::Passkey { id, .. } if decoded(id).is_ok_and(|id| id == credential_id))
    }

    /// The passkey's credential id in base64url.
    #[must_use]
    pub fn passkey_id(&self) -> Option<&str> {
        match self {
            Self::Passkey { id, .. } => Some(id),
            _ => None,
        }
    }
}

fn decoded(text: &str) -> Result<Vec<u8>, Refusal> {
    if text.len() > LONGEST_PART {
        return Err(Refusal::Authenticator("a part is too long"));
    }
    URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_| Refusal::Authenticator("a part is not base64url"))
}

fn card_algorithm(certificate: &Certificate) -> Result<SignatureAlgorithm, Refusal> {
    match certificate.public_key().kind() {
        KeyKind::Rsa { bits } if (pki::MIN_RSA_BITS..=pki::MAX_RSA_BITS).contains(&bits) => {
            Ok(SignatureAlgorithm::RsaPkcs1(DigestAlgorithm::Sha256))
        }
        KeyKind::EcP256 => Ok(SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256)),
        KeyKind::EcP384 => Ok(SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha384)),
        _ => Err(Refusal::Authenticator(
            "the card's key is not RSA, P-256 or P-384",
        )),
    }
}

/// That a statement was confirmed, by which of some authenticators. Only [`confirm`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Confirmed {
    place: usize,
    passkey: Option<webauthn::Verified>,
}

impl Confirmed {
    /// The place of the authenticator among those that were given.
    pub(crate) const fn place(&self) -> usize {
        self.place
    }

    /// The authenticator's counter; none for a card.
    pub(crate) fn counter(&self) -> Option<u32> {
        self.passkey.map(|verified| verified.counter())
    }

    /// Whether the counter shows that the key was copied.
    pub(crate) fn is_copy(&self, counter_before: u32) -> bool {
        self.passkey
            .is_some_and(|verified| verified.is_copy(counter_before))
    }

    /// Whether the key may be copied between devices.
    pub(crate) fn synced(&self) -> bool {
        self.passkey.is_some_and(|verified| verified.synced())
    }
}

/// Verifies a proof over a statement's text by one of these authenticators.
///
/// # Errors
/// [`Refusal::Proof`] says why it proves nothing.
pub(crate) fn confirm(
    text: &str,
    proof: &Proof,
    forms: &[Form],
    place: &Place,
    now: OffsetDateTime,
) -> Result<Confirmed, Refusal> {
    match proof {
        Proof::Passkey(json) => {
            let assertion = Assertion::from_json(json.as_bytes())?;
            let (found, form) = forms
                .iter()
                .enumerate()
                .find(|(_, form)| form.is_passkey(assertion.credential_id()))
                .ok_or(Refusal::Proof(
                    "it was made with a key that is not this person's",
                ))?;
            let expected = Expected {
                relying_party: &place.relying_party,
                origins: &place.origins,
                challenge: &challenge(text),
            };
            let id = assertion.credential_id().to_vec();
            let verified = assertion.verify(expected, &id, &form.passkey_key()?)?;
            Ok(Confirmed {
                place: found,
                passkey: Some(verified),
            })
        }
        Proof::Card(signature) => {
            if signature.len() > LONGEST_PART {
                return Err(Refusal::Proof("the card's signature is too long"));
            }
            let signature = STANDARD
                .decode(signature)
                .map_err(|_| Refusal::Proof("the card's signature is not base64"))?;
            for (found, form) in forms.iter().enumerate() {
                let Ok(certificate) = form.card_certificate() else {
                    continue;
                };
                let algorithm = card_algorithm(&certificate)?;
                let key = certificate.public_key();
                if key.verify(algorithm, text.as_bytes(), &signature).is_err() {
                    continue;
                }
                if !certificate.valid_at(now) {
                    return Err(Refusal::Proof("the card is not valid any more"));
                }
                return Ok(Confirmed {
                    place: found,
                    passkey: None,
                });
            }
            Err(Refusal::Proof(
                "the card's signature is not this person's over this text",
            ))
        }
    }
}
