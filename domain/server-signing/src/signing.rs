//! Asking, confirming and releasing.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use id_registry::PersonalNumber;
use pki::cms::SignedAttributes;
use pki::{Certificate, Digest};
use time::{Duration, OffsetDateTime};

use crate::authenticator::{Confirmed, Form, Place, Proof, confirm};
use crate::port::{
    By, Changes, Event, EventPlace, Loaded, Published, Store, StoreError, What, list, load,
};
use crate::random::{Sad, SadDigest, Seed};
use crate::record::{
    Authorisation, Credential, CredentialState, Holder, Officer, SignedForm, State, binding,
};
use crate::refusal::{Failure, Refusal};
use crate::statement::{
    Desk, Document, Kind, LONGEST_REFERENCE, MOST_DOCUMENTS, Matter, Statement, challenge,
    check_text,
};
use crate::vault::{ALGORITHM, Vault, belongs};

/// How long a person has to confirm, and the client to fetch the signatures.
pub const TIME_TO_CONFIRM: Duration = Duration::minutes(5);
/// Open authorisations of one client for one person.
pub const MOST_OPEN: usize = 20;
/// How often a decision is taken anew when somebody else changed what it rests on.
const ATTEMPTS: usize = 5;
/// Most items of one person that are looked at.
const MOST_LISTED: usize = 1000;

/// The signing service's decisions over a database and a vault.
#[derive(Clone)]
pub struct Signing {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) place: Arc<Place>,
}

/// A statement that waits to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Names it; hard to guess.
    pub handle: String,
    /// The text.
    pub text: String,
    /// The challenge for an assertion: the text's SHA-256.
    pub challenge: [u8; 32],
    /// Credential ids of the passkeys that may confirm it, in base64url.
    pub passkeys: Vec<String>,
    /// After this moment it is worth nothing.
    pub expires_at: OffsetDateTime,
}

/// What anybody who knows the handle is shown, so that it can be compared on a second device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The statement with its text and challenge.
    pub asked: Asked,
    /// The statement.
    pub statement: Statement,
    /// What became of it.
    pub state: ShownState,
}

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownState {
    /// It waits for the person.
    Waiting,
    /// It was confirmed.
    Confirmed,
    /// It was signed or done.
    Done,
    /// The person said no.
    Denied,
}

/// What is told of a credential.
#[derive(Debug, Clone)]
pub struct CredentialView {
    /// Its id.
    pub id: String,
    /// The kind of its signatures.
    pub kind: Kind,
    /// Its certificate.
    pub certificate: Certificate,
    /// Whether it signs.
    pub status: CredentialStatus,
}

/// What a person is told of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonView {
    /// Surname.
    pub surname: String,
    /// Given name.
    pub given_name: String,
    /// With what the person confirms.
    pub forms: Vec<Form>,
    /// Whether the account is frozen.
    pub frozen: bool,
    /// Until when nothing is signed after a recovery.
    pub careful_until: Option<OffsetDateTime>,
}

/// Whether a credential signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialStatus {
    /// It does.
    Active,
    /// It was renewed; another signs.
    Retired,
    /// It was revoked.
    Revoked,
}

impl From<&Credential> for CredentialView {
    fn from(credential: &Credential) -> Self {
        Self {
            id: credential.id.clone(),
            kind: credential.kind,
            certificate: credential.certificate.0.clone(),
            status: match credential.state {
                CredentialState::Active { .. } => CredentialStatus::Active,
                CredentialState::Retired {} => CredentialStatus::Retired,
                CredentialState::Revoked { .. } => CredentialStatus::Revoked,
            },
        }
    }
}

/// Takes a decision anew as long as somebody else changed what it rests on.
pub(crate) fn retried<T>(mut decide: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    for _ in 1..ATTEMPTS {
        match decide() {
            Err(Failure::Store(StoreError::Conflict)) => {}
            decided => return decided,
        }
    }
    decide()
}

/// A person who may sign now, with the version the decision rests on.
pub(crate) fn check_may_sign(holder: &Holder, now: OffsetDateTime) -> Result<(), Refusal> {
    if holder.frozen_by.is_some() {
        return Err(Refusal::Frozen);
    }
    match holder.careful_until {
        Some(until) if now < until => Err(Refusal::Careful(until)),
        _ => Ok(()),
    }
}

fn check_certificate(credential: &Credential, now: OffsetDateTime) -> Result<(), Refusal> {
    if credential.certificate.0.valid_at(now) {
        Ok(())
    } else {
        Err(Refusal::CertificateOver)
    }
}

impl Signing {
    /// The decisions over a database and a vault, for a place.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, vault: Arc<dyn Vault>, place: Place) -> Self {
        Self {
            store,
            vault,
            place: Arc::new(place),
        }
    }

    /// Where people confirm.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn holder(&self, number: PersonalNumber) -> Result<Loaded<Holder>, Failure> {
        load::<Holder>(&*self.store, number.as_str())?.ok_or(Refusal::UnknownHolder.into())
    }

    pub(crate) fn loaded_credential(&self, id: &str) -> Result<Loaded<Credential>, Failure> {
        load::<Credential>(&*self.store, id)?.ok_or(Refusal::UnknownCredential.into())
    }

    pub(crate) fn authorisation(&self, handle: &str) -> Result<Loaded<Authorisation>, Failure> {
        load::<Authorisation>(&*self.store, handle)?.ok_or(Refusal::UnknownAuthorisation.into())
    }

    /// Whether a person has keys here.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn is_enrolled(&self, number: PersonalNumber) -> Result<bool, Failure> {
        Ok(load::<Holder>(&*self.store, number.as_str())?.is_some())
    }

    /// What a person is told of themselves.
    ///
    /// # Errors
    /// [`Refusal::UnknownHolder`]; see [`Failure`].
    pub fn person(&self, number: PersonalNumber) -> Result<PersonView, Failure> {
        let holder = self.holder(number)?.value;
        Ok(PersonView {
            frozen: holder.frozen_by.is_some(),
            careful_until: holder.careful_until,
            forms: holder.forms(),
            surname: holder.surname,
            given_name: holder.given_name,
        })
    }

    /// The credentials of a person that were not revoked, none if there is no such person.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn credentials(&self, number: PersonalNumber) -> Result<Vec<CredentialView>, Failure> {
        let found = list::<Credential>(&*self.store, By::Owner(number.as_str()), MOST_LISTED)?;
        Ok(found
            .iter()
            .map(|loaded| CredentialView::from(&loaded.value))
            .collect())
    }

    /// One credential.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn credential(&self, id: &str) -> Result<CredentialView, Failure> {
        Ok(CredentialView::from(&self.loaded_credential(id)?.value))
    }

    /// What happened to a person, the latest first.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn history(&self, number: PersonalNumber, most: usize) -> Result<Vec<Event>, Failure> {
        let events = self.history_before(number, None, most)?;
        Ok(events.into_iter().map(|(_, event)| event).collect())
    }

    /// The same with the places, before a place or up to now.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn history_before(
        &self,
        number: PersonalNumber,
        before: Option<EventPlace>,
        most: usize,
    ) -> Result<Vec<(EventPlace, Event)>, Failure> {
        Ok(self.store.events_of(number.as_str(), before, most)?)
    }

    /// What happened after a place, in order, for monitoring.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn published_after(
        &self,
        place: EventPlace,
        most: usize,
    ) -> Result<Vec<(EventPlace, Published)>, Failure> {
        let events = self.store.events_after(place, most)?;
        Ok(events
            .into_iter()
            .map(|(place, event)| (place, event.published(|number| self.sign_of(number))))
            .collect())
    }

    /// What happened after a place, in order, for the identity provider: it tells the people.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn happened_after(
        &self,
        place: EventPlace,
        most: usize,
    ) -> Result<Vec<(EventPlace, Event)>, Failure> {
        Ok(self.store.events_after(place, most)?)
    }

    /// What stands for a person in what is published: the same for one person, and nobody else can make it.
    fn sign_of(&self, number: PersonalNumber) -> String {
        let text = format!("tunduk event person 1 {}", number.as_str());
        hex::encode(&self.vault.tag(text.as_bytes())[..16])
    }

    /// Asks a person to confirm that exactly these hashes are signed, in this order. With a desk, an officer confirms for
    /// somebody who has nothing to confirm with.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn ask_to_sign(
        &self,
        client: &str,
        credential: &str,
        documents: Vec<Document>,
        desk: Option<Desk>,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Asked, Failure> {
        if documents.is_empty() || documents.len() > MOST_DOCUMENTS {
            return Err(Refusal::Request("there are no documents, or too many").into());
        }
        let credential = self.loaded_credential(credential)?;
        if !matches!(credential.value.state, CredentialState::Active { .. }) {
            return Err(Refusal::NotActive.into());
        }
        check_certificate(&credential.value, now)?;
        let holder = self.holder(credential.value.holder)?;
        check_may_sign(&holder.value, now)?;
        let matter = Matter::Sign {
            credential: credential.value.id.clone(),
            kind: credential.value.kind,
            documents,
        };
        let forms = self.forms_for(&holder.value, desk.as_ref())?;
        self.ask_for(client, holder.value.number, matter, desk, forms, seed, now)
    }

    /// The authenticators that may confirm for a person: their own or, at a desk and for those who have none, the
    /// officer's.
    pub(crate) fn forms_for(
        &self,
        holder: &Holder,
        desk: Option<&Desk>,
    ) -> Result<Vec<Form>, Failure> {
        let forms = holder.forms();
        match (forms.contains(&Form::Desk), desk) {
            (false, None) => Ok(forms),
            (true, Some(desk)) => Ok(self
                .officers(holder.number, desk, 1)?
                .into_iter()
                .map(|officer| officer.form)
                .collect()),
            (true, None) => Err(Refusal::Desk("this person has nothing to confirm with").into()),
            (false, Some(_)) => {
                Err(Refusal::Desk("this person confirms with their own key").into())
            }
        }
    }

    /// The officers of a desk, if they are there, ours, as many as needed, different people, and not the person
    /// themselves.
    pub(crate) fn officers(
        &self,
        holder: PersonalNumber,
        desk: &Desk,
        needed: usize,
    ) -> Result<Vec<Officer>, Failure> {
        check_text(&desk.reference, LONGEST_REFERENCE)
            .map_err(|_| Refusal::Desk("the reference to the proof on record is missing"))?;
        if desk.officers.len() != needed {
            return Err(Refusal::Desk("another number of officers is needed").into());
        }
        let mut officers: Vec<Officer> = Vec::with_capacity(needed);
        for id in &desk.officers {
            let officer = load::<Officer>(&*self.store, id)?
                .map(|loaded| loaded.value)
                .filter(|officer| officer.is_ours(&*self.vault) && !officer.dismissed)
                .ok_or(Refusal::Desk("there is no such officer"))?;
            if officer.number == holder {
                return Err(Refusal::Desk("officers do not decide about themselves").into());
            }
            if officers.iter().any(|other| other.number == officer.number) {
                return Err(Refusal::Desk("the officers are the same person").into());
            }
            officers.push(officer);
        }
        Ok(officers)
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "each is a part of the statement or of the decision"
    )]
    pub(crate) fn ask_for(
        &self,
        client: &str,
        holder: PersonalNumber,
        matter: Matter,
        desk: Option<Desk>,
        forms: Vec<Form>,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Asked, Failure> {
        let open = list::<Authorisation>(&*self.store, By::Owner(holder.as_str()), MOST_LISTED)?;
        let of_client = open
            .iter()
            .filter_map(|loaded| loaded.value.statement().ok())
            .filter(|statement| statement.client == client && statement.expires_at > now)
            .count();
        if of_client >= MOST_OPEN {
            return Err(Refusal::TooMany.into());
        }
        let now = now.replace_nanosecond(0).unwrap_or(now);
        let statement = Statement {
            matter,
            holder,
            client: client.to_owned(),
            desk,
            nonce: seed.secret("nonce"),
            expires_at: now + TIME_TO_CONFIRM,
        };
        let authorisation = Authorisation {
            id: seed.id("authorisation"),
            text: statement.text(),
            state: State::Asked,
            proofs: std::collections::BTreeMap::new(),
        };
        let mut changes = Changes::default();
        changes.insert(&authorisation)?;
        self.store.commit(&changes)?;
        Ok(asked(&authorisation, &statement, &forms))
    }

    /// What a handle stands for.
    ///
    /// # Errors
    /// [`Refusal::UnknownAuthorisation`] also for one that is over.
    pub fn show(&self, handle: &str, now: OffsetDateTime) -> Result<Shown, Failure> {
        let authorisation = self.authorisation(handle)?.value;
        let statement = authorisation.statement()?;
        if now >= statement.expires_at {
            return Err(Refusal::UnknownAuthorisation.into());
        }
        let forms: Vec<Form> = self
            .who_confirms(&statement)?
            .into_iter()
            .flatten()
            .collect();
        Ok(Shown {
            asked: asked(&authorisation, &statement, &forms),
            state: match authorisation.state {
                State::Asked => ShownState::Waiting,
                State::Confirmed { .. } => ShownState::Confirmed,
                State::Released { .. } | State::Done => ShownState::Done,
                State::Denied => ShownState::Denied,
            },
            statement,
        })
    }

    /// A statement that still waits.
    pub(crate) fn waiting(
        &self,
        handle: &str,
        now: OffsetDateTime,
    ) -> Result<(Loaded<Authorisation>, Statement), Failure> {
        let authorisation = self.authorisation(handle)?;
        let statement = authorisation.value.statement()?;
        if authorisation.value.state != State::Asked {
            return Err(Refusal::UnknownAuthorisation.into());
        }
        if now >= statement.expires_at {
            return Err(Refusal::Expired.into());
        }
        Ok((authorisation, statement))
    }

    /// The person confirms what is to be signed.
    ///
    /// # Errors
    /// See [`Failure`]; a refused proof changes nothing.
    pub fn confirm_signing(
        &self,
        handle: &str,
        proof: &Proof,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        retried(|| {
            let (mut authorisation, statement) = self.waiting(handle, now)?;
            let Matter::Sign { credential, .. } = &statement.matter else {
                return Err(Refusal::UnknownAuthorisation.into());
            };
            let credential = self.loaded_credential(credential)?;
            let mut holder = self.holder(statement.holder)?;
            let confirmed = self.proven(
                &authorisation.value.text,
                &statement,
                &credential.value,
                &holder.value,
                proof,
                now,
            )?;
            let mut changes = Changes::default();
            if statement.desk.is_none() {
                count(&mut holder.value, &confirmed)?;
                changes.replace(&holder)?;
            } else {
                changes.rests_on(&holder);
            }
            authorisation.value.state = State::Confirmed {
                proof: proof.clone(),
                sad: None,
            };
            changes.replace(&authorisation)?;
            changes.rests_on(&credential);
            changes.event(event(&statement, handle, What::Confirmed, now));
            Ok(self.store.commit(&changes)?)
        })
    }

    /// Whether everything that signing demands holds: the person may sign, the credential signs, and the proof is theirs
    /// over this text.
    fn proven(
        &self,
        text: &str,
        statement: &Statement,
        credential: &Credential,
        holder: &Holder,
        proof: &Proof,
        now: OffsetDateTime,
    ) -> Result<Confirmed, Failure> {
        if credential.holder != holder.number || statement.holder != holder.number {
            return Err(Refusal::UnknownCredential.into());
        }
        if now >= statement.expires_at {
            return Err(Refusal::Expired.into());
        }
        check_may_sign(holder, now)?;
        check_certificate(credential, now)?;
        let forms = self.forms_for(holder, statement.desk.as_ref())?;
        let confirmed = confirm(text, proof, &forms, &self.place, now)?;
        if credential.kind == Kind::Qualified && confirmed.synced() {
            return Err(Refusal::Synced.into());
        }
        Ok(confirmed)
    }

    /// The person says no.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn deny(&self, handle: &str, now: OffsetDateTime) -> Result<(), Failure> {
        retried(|| {
            let (mut authorisation, statement) = self.waiting(handle, now)?;
            authorisation.value.state = State::Denied;
            let mut changes = Changes::default();
            changes.replace(&authorisation)?;
            changes.event(event(&statement, handle, What::Denied, now));
            Ok(self.store.commit(&changes)?)
        })
    }

    /// The activation data of what was confirmed, for the client that asked, once.
    ///
    /// # Errors
    /// [`Refusal::Pending`] while the person has not decided; see [`Failure`].
    pub fn take_sad(
        &self,
        client: &str,
        handle: &str,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<(Sad, OffsetDateTime), Failure> {
        retried(|| {
            let mut authorisation = self.authorisation(handle)?;
            let statement = authorisation.value.statement()?;
            if statement.client != client {
                return Err(Refusal::UnknownAuthorisation.into());
            }
            if now >= statement.expires_at {
                return Err(Refusal::Expired.into());
            }
            let proof = match &authorisation.value.state {
                State::Asked => return Err(Refusal::Pending.into()),
                State::Denied => return Err(Refusal::Denied.into()),
                State::Confirmed { proof, sad: None } => proof.clone(),
                _ => return Err(Refusal::UnknownAuthorisation.into()),
            };
            let secret = seed.secret("sad");
            authorisation.value.state = State::Confirmed {
                proof,
                sad: Some(SadDigest::of(&secret)),
            };
            let mut changes = Changes::default();
            changes.replace(&authorisation)?;
            self.store.commit(&changes)?;
            Ok((Sad::new(handle, &secret), statement.expires_at))
        })
    }

    /// Releases the signatures over exactly the hashes that were confirmed, in their order (ECDSA-Sig-Value in DER).
    /// Asked again within the time, the same values come out; no others ever do.
    ///
    /// # Errors
    /// See [`Failure`]; then no signature left.
    pub fn release(
        &self,
        client: &str,
        sad: &Sad,
        credential: &str,
        hashes: &[Vec<u8>],
        now: OffsetDateTime,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        retried(|| self.release_once(client, sad, credential, hashes, SignedForm::Hash, now))
    }

    /// As [`Signing::release`], for hashes of documents: what is signed over each are the attributes of a CMS signature
    /// that hold this hash and the certificate (ETSI EN 319 122-1, level B-B), so the values fit such signatures.
    ///
    /// # Errors
    /// As [`Signing::release`]. An authorisation gives values of one form, the first that is asked for.
    pub fn release_for_cms(
        &self,
        client: &str,
        sad: &Sad,
        credential: &str,
        hashes: &[Vec<u8>],
        now: OffsetDateTime,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        retried(|| self.release_once(client, sad, credential, hashes, SignedForm::Cms, now))
    }

    fn release_once(
        &self,
        client: &str,
        presented: &Sad,
        wanted: &str,
        hashes: &[Vec<u8>],
        form: SignedForm,
        now: OffsetDateTime,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let (handle, digest) = presented.open().ok_or(Refusal::Sad)?;
        let mut authorisation = load::<Authorisation>(&*self.store, handle)?.ok_or(Refusal::Sad)?;
        let statement = authorisation.value.statement()?;
        let opens = match &authorisation.value.state {
            State::Confirmed { sad: Some(sad), .. } | State::Released { sad, .. } => *sad == digest,
            _ => false,
        };
        if !opens || statement.client != client {
            return Err(Refusal::Sad.into());
        }
        if now >= statement.expires_at {
            return Err(Refusal::Expired.into());
        }
        let Matter::Sign {
            credential,
            documents,
            ..
        } = &statement.matter
        else {
            return Err(Refusal::Sad.into());
        };
        let same = documents.len() == hashes.len()
            && documents
                .iter()
                .zip(hashes)
                .all(|(document, hash)| document.hash == hex::encode(hash));
        if !same || credential != wanted {
            return Err(Refusal::OtherHashes.into());
        }
        let proof = match &authorisation.value.state {
            State::Released {
                signatures,
                form: released,
                ..
            } if *released == form => return decoded(signatures),
            State::Released { .. } => return Err(Refusal::OtherHashes.into()),
            State::Confirmed { proof, .. } => proof.clone(),
            _ => return Err(Refusal::Sad.into()),
        };
        let credential = self.loaded_credential(credential)?;
        let holder = self.holder(statement.holder)?;
        // Not what the database says was confirmed counts, but the proof.
        let confirmed = self.proven(
            &authorisation.value.text,
            &statement,
            &credential.value,
            &holder.value,
            &proof,
            now,
        )?;
        let signatures = self.sign(&confirmed, &credential.value, &holder.value, hashes, form)?;
        authorisation.value.state = State::Released {
            sad: digest,
            form,
            signatures: signatures
                .iter()
                .map(|signature| STANDARD.encode(signature))
                .collect(),
        };
        let mut changes = Changes::default();
        changes.replace(&authorisation)?;
        changes.rests_on(&credential);
        changes.rests_on(&holder);
        changes.event(event(&statement, handle, What::Signed, now));
        self.store.commit(&changes)?;
        Ok(signatures)
    }

    /// Uses a key. Takes the proof that its owner confirmed.
    fn sign(
        &self,
        _confirmed: &Confirmed,
        credential: &Credential,
        holder: &Holder,
        hashes: &[Vec<u8>],
        form: SignedForm,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let CredentialState::Active { key } = &credential.state else {
            return Err(Refusal::NotActive.into());
        };
        let bound = binding(
            &credential.id,
            holder.number,
            credential.kind,
            &holder.forms(),
        );
        let signer = self.vault.open(key, &bound)?;
        let certificate = &credential.certificate.0;
        belongs(&*signer, certificate.public_key())?;
        let failed = |error: &dyn std::fmt::Display| crate::VaultError::Device(error.to_string());
        hashes
            .iter()
            .map(|hash| {
                let digest = Digest::from_bytes(hash)
                    .ok_or(Refusal::Document("a hash is not one of SHA-256"))?;
                let digest = match form {
                    SignedForm::Hash => digest,
                    SignedForm::Cms => SignedAttributes::new(&digest, certificate, ALGORITHM)
                        .map_err(|error| failed(&error))?
                        .digest(),
                };
                signer
                    .sign_digest(&digest)
                    .map_err(|error| failed(&error).into())
            })
            .collect()
    }

    /// Forgets what is over, up to so many. Gives how many. What happened stays: it is the record of what was signed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn forget(&self, now: OffsetDateTime, most: usize) -> Result<u64, StoreError> {
        self.store.forget(now, OffsetDateTime::UNIX_EPOCH, most)
    }
}

/// The authenticator's counter must have grown, if it counts.
pub(crate) fn count(holder: &mut Holder, confirmed: &Confirmed) -> Result<(), Refusal> {
    let Some(counter) = confirmed.counter() else {
        return Ok(());
    };
    let Some(authenticator) = holder.authenticators.get_mut(confirmed.place()) else {
        return Ok(());
    };
    if confirmed.is_copy(authenticator.counter) {
        return Err(Refusal::KeyCopied);
    }
    authenticator.counter = counter;
    Ok(())
}

fn decoded(signatures: &[String]) -> Result<Vec<Vec<u8>>, Failure> {
    signatures
        .iter()
        .map(|signature| {
            STANDARD.decode(signature).map_err(|_| {
                StoreError::Unreadable("a stored signature is not base64".to_owned()).into()
            })
        })
        .collect()
}

fn asked(authorisation: &Authorisation, statement: &Statement, forms: &[Form]) -> Asked {
    Asked {
        handle: authorisation.id.clone(),
        challenge: challenge(&authorisation.text),
        text: authorisation.text.clone(),
        passkeys: forms
            .iter()
            .filter_map(Form::passkey_id)
            .map(str::to_owned)
            .collect(),
        expires_at: statement.expires_at,
    }
}

pub(crate) fn event(statement: &Statement, handle: &str, what: What, now: OffsetDateTime) -> Event {
    let (credential, documents) = match &statement.matter {
        Matter::Sign {
            credential,
            documents,
            ..
        } => (Some(credential.clone()), documents.clone()),
        Matter::Renew { credential } | Matter::Revoke { credential } => {
            (Some(credential.clone()), Vec::new())
        }
        _ => (None, Vec::new()),
    };
    Event {
        at: now,
        holder: statement.holder,
        what,
        client: statement.client.clone(),
        credential,
        authorisation: Some(handle.to_owned()),
        documents,
        desk: statement.desk.clone(),
    }
}
