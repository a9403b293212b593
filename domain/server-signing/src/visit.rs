//! Somebody signs in to look at what is theirs, or to serve people at a desk. It opens no key: whatever is done is
//! confirmed by a statement of its own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use id_registry::PersonalNumber;
use pki::DigestAlgorithm;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use webauthn::Assertion;

use crate::authenticator::{Form, Proof, confirm};
use crate::port::{Changes, Loaded, load};
use crate::random::Seed;
use crate::record::{Holder, KnownPasskey, Officer, Owner, UsedOnce};
use crate::refusal::{Failure, Refusal};
use crate::signing::{Signing, count, retried};
use crate::statement::challenge;
use crate::ticket::Purpose;

/// How long a question to whoever signs in may be answered.
const QUESTION_LASTS: Duration = Duration::minutes(5);
/// How long somebody stays signed in.
pub const VISIT_LASTS: Duration = Duration::minutes(15);

/// What whoever signs in is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Comes back with the answer; a card signs it.
    pub text: String,
    /// The challenge for an assertion.
    pub challenge: [u8; 32],
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A person.
    Person(PersonalNumber),
    /// An officer.
    Officer(OfficerView),
}

/// An officer, as far as others are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfficerView {
    /// The id.
    pub id: String,
    /// The office.
    pub office: String,
}

/// What a visit's ticket says.
#[derive(Serialize, Deserialize)]
struct Visit {
    owner: Owner,
    /// The digest of the authenticator: when it goes, the visit ends.
    with: String,
}

fn digest(form: &Form) -> String {
    let text = serde_json::to_vec(form).unwrap_or_default();
    hex::encode(DigestAlgorithm::Sha256.digest(&text).as_ref())
}

/// A person or an officer, as it was read.
enum Found {
    Person(Loaded<Holder>),
    Officer(Officer),
}

impl Signing {
    /// The question for whoever signs in.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn question(&self, seed: &Seed, now: OffsetDateTime) -> Result<Question, Failure> {
        let text = self.ticket(
            Purpose::Challenge,
            &seed.id("question"),
            now + QUESTION_LASTS,
        )?;
        Ok(Question {
            challenge: challenge(&text),
            text,
        })
    }

    fn found(&self, owner: &Owner) -> Result<Found, Failure> {
        match owner {
            Owner::Person(number) => Ok(Found::Person(self.holder(*number)?)),
            Owner::Officer(id) => Ok(Found::Officer(
                load::<Officer>(&*self.store, id)?
                    .map(|loaded| loaded.value)
                    .filter(|officer| officer.is_ours(&*self.vault) && !officer.dismissed)
                    .ok_or(Refusal::Desk("there is no such officer"))?,
            )),
            Owner::Nobody {} => Err(Refusal::Proof("nobody's passkey made it").into()),
        }
    }

    /// Somebody answers the question: with a passkey, which says whose it is, or with a card, then under a number. Gives the
    /// ticket of the visit.
    ///
    /// # Errors
    /// See [`Failure`]. A question is answered once.
    pub fn sign_in(
        &self,
        question: &str,
        proof: &Proof,
        number: Option<PersonalNumber>,
        now: OffsetDateTime,
    ) -> Result<String, Failure> {
        let id: String = self.opened(Purpose::Challenge, question, now)?;
        let owner = match (proof, number) {
            (Proof::Passkey(json), _) => {
                let assertion = Assertion::from_json(json.as_bytes())?;
                let id = known_id(assertion.credential_id());
                load::<KnownPasskey>(&*self.store, &id)?
                    .ok_or(Refusal::Proof("it was made with a key that is nobody's"))?
                    .value
                    .owner
            }
            (Proof::Card(_), Some(number)) => Owner::Person(number),
            (Proof::Card(_), None) => {
                return Err(Refusal::Proof("with a card the number is needed").into());
            }
        };
        let with = retried(|| {
            let used = UsedOnce {
                id: format!("question {id}"),
                expires_at: now + QUESTION_LASTS,
            };
            if load::<UsedOnce>(&*self.store, &used.id)?.is_some() {
                return Err(Refusal::Replay.into());
            }
            let mut changes = Changes::default();
            changes.insert(&used)?;
            let form = match self.found(&owner)? {
                Found::Person(mut holder) => {
                    let forms = holder.value.forms();
                    let confirmed = confirm(question, proof, &forms, &self.place, now)?;
                    count(&mut holder.value, &confirmed)?;
                    changes.replace(&holder)?;
                    forms.get(confirmed.place()).cloned()
                }
                Found::Officer(officer) => {
                    let forms = [officer.form];
                    confirm(question, proof, &forms, &self.place, now)?;
                    forms.first().cloned()
                }
            };
            self.store.commit(&changes)?;
            Ok(form.as_ref().map(digest).unwrap_or_default())
        })?;
        self.ticket(Purpose::Session, &Visit { owner, with }, now + VISIT_LASTS)
    }

    /// Who is signed in by a ticket, if they still may.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn signed_in(&self, ticket: &str, now: OffsetDateTime) -> Result<Who, Failure> {
        let Visit { owner, with } = self.opened(Purpose::Session, ticket, now)?;
        let gone = || Failure::from(Refusal::Ticket);
        match self.found(&owner)? {
            Found::Person(holder) => {
                let theirs = holder.value.forms().iter().any(|form| digest(form) == with);
                theirs
                    .then_some(Who::Person(holder.value.number))
                    .ok_or_else(gone)
            }
            Found::Officer(officer) => (digest(&officer.form) == with)
                .then_some(Who::Officer(OfficerView {
                    id: officer.id,
                    office: officer.office,
                }))
                .ok_or_else(gone),
        }
    }
}

/// A credential id as passkeys are known by it.
fn known_id(id: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(id)
}
