//! Keys with their certificates: what is ordered, and what of what comes is taken.

use id_registry::PersonalNumber;
use pki::Certificate;
use time::OffsetDateTime;

use crate::authenticator::Form;
use crate::port::{Changes, Loaded, StoreError, What};
use crate::random::Seed;
use crate::record::{
    Authorisation, Credential, CredentialState, Holder, KnownPasskey, Owner, State,
    StoredCertificate, binding,
};
use crate::refusal::{Failure, Refusal};
use crate::signing::{Signing, event};
use crate::statement::{Kind, Statement};
use crate::vault::{SealedKey, VaultError};

/// A certificate to be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The certification request, in DER.
    pub request: Vec<u8>,
    /// Whose.
    pub holder: PersonalNumber,
    /// Surname, for the subject.
    pub surname: String,
    /// Given name, for the subject.
    pub given_name: String,
    /// The kind of signatures.
    pub kind: Kind,
}

#[derive(Debug)]
pub(crate) struct NewKey {
    id: String,
    kind: Kind,
    key: SealedKey,
    public_key: pki::PublicKey,
    order: Order,
}

/// What was proven and waits for its certificates. It is not in the database: a crash here means to start anew.
#[derive(Debug)]
pub struct PendingCertificates {
    pub(crate) authorisation: Loaded<Authorisation>,
    pub(crate) statement: Statement,
    pub(crate) holder: PendingHolder,
    pub(crate) replaced: Option<Loaded<Credential>>,
    pub(crate) keys: Vec<NewKey>,
}

#[derive(Debug)]
pub(crate) enum PendingHolder {
    New(Holder),
    Known(Loaded<Holder>),
}

impl PendingCertificates {
    /// What to order, in this order.
    #[must_use]
    pub fn orders(&self) -> Vec<&Order> {
        self.keys.iter().map(|key| &key.order).collect()
    }
}

/// What came of a confirmed statement.
#[derive(Debug)]
pub enum Completion {
    /// It is done.
    Done,
    /// Certificates are to be ordered, then [`Signing::certified`] ends it.
    Certificates(Box<PendingCertificates>),
}

impl Signing {
    pub(crate) fn new_key(
        &self,
        holder: &Holder,
        kind: Kind,
        seed: &Seed,
    ) -> Result<NewKey, Failure> {
        let id = seed.id(ca::SignatureKind::from(kind).name());
        let bound = binding(&id, holder.number, kind, &holder.forms());
        let (signer, key) = self.vault.generate(&bound)?;
        let subject = subject(holder)?;
        let request = pki::csr::build(&subject, &*signer)
            .map_err(|error| VaultError::Device(error.to_string()))?;
        Ok(NewKey {
            id,
            kind,
            key,
            public_key: signer.public_key().clone(),
            order: Order {
                request,
                holder: holder.number,
                surname: holder.surname.clone(),
                given_name: holder.given_name.clone(),
                kind,
            },
        })
    }

    /// Ends an enrolment or a renewal with the certificates that came, in the order of the orders. Gives the new
    /// credentials' ids.
    ///
    /// # Errors
    /// See [`Failure`]; then the certificates are of no use and are to be revoked.
    pub fn certified(
        &self,
        pending: PendingCertificates,
        certificates: Vec<Certificate>,
        now: OffsetDateTime,
    ) -> Result<Vec<String>, Failure> {
        let PendingCertificates {
            mut authorisation,
            statement,
            holder,
            replaced,
            keys,
        } = pending;
        if certificates.len() != keys.len() {
            return Err(Refusal::Certificate("there is another number of them").into());
        }
        let mut changes = Changes::default();
        let owner = match &holder {
            PendingHolder::New(holder) => {
                changes.insert(holder)?;
                for form in holder.forms() {
                    know(&mut changes, &form, Owner::Person(holder.number))?;
                }
                holder
            }
            PendingHolder::Known(loaded) => {
                changes.replace(loaded)?;
                &loaded.value
            }
        };
        let mut ids = Vec::with_capacity(keys.len());
        for (key, certificate) in keys.into_iter().zip(certificates) {
            check_certificate(&key, owner, &certificate, now)?;
            ids.push(key.id.clone());
            changes.insert(&Credential {
                id: key.id,
                holder: owner.number,
                kind: key.kind,
                certificate: StoredCertificate(certificate),
                state: CredentialState::Active { key: key.key },
            })?;
        }
        let what = match replaced {
            Some(mut replaced) => {
                replaced.value.state = CredentialState::Retired {};
                changes.replace(&replaced)?;
                What::Renewed
            }
            None => What::Enrolled,
        };
        let handle = authorisation.value.id.clone();
        authorisation.value.state = State::Done;
        changes.replace(&authorisation)?;
        changes.event(event(&statement, &handle, what, now));
        self.store.commit(&changes)?;
        Ok(ids)
    }
}

/// From now on a passkey is known to be somebody's.
pub(crate) fn know(changes: &mut Changes, form: &Form, owner: Owner) -> Result<(), StoreError> {
    match form.passkey_id() {
        Some(id) => changes.insert(&KnownPasskey {
            id: id.to_owned(),
            owner,
        }),
        None => Ok(()),
    }
}

pub(crate) fn subject(holder: &Holder) -> Result<pki::Name, Refusal> {
    ca::person_subject(holder.number.as_str(), &holder.surname, &holder.given_name)
        .map_err(|_| Refusal::Request("the name does not fit into a certificate"))
}

/// The certification authority must have certified what was ordered and nothing else.
fn check_certificate(
    key: &NewKey,
    holder: &Holder,
    certificate: &Certificate,
    now: OffsetDateTime,
) -> Result<(), Refusal> {
    let wrong = Refusal::Certificate;
    if *certificate.public_key() != key.public_key {
        return Err(wrong("it is for another key"));
    }
    if !certificate.subject().matches(&subject(holder)?) {
        return Err(wrong("its subject is another"));
    }
    let policy = ca::SignatureKind::from(key.kind).policy();
    if certificate.policies() != [policy.to_owned()] {
        return Err(wrong("its policy is another"));
    }
    if !certificate.allows_signing() || certificate.is_ca() {
        return Err(wrong("it is not one for signing"));
    }
    if !certificate.valid_at(now) {
        return Err(wrong("it is not valid now"));
    }
    Ok(())
}
