//! Enrolment, renewal, revocation, recovery, freeze.

use std::collections::BTreeSet;

use id_registry::PersonalNumber;
use pki::Certificate;
use time::{Duration, OffsetDateTime};

use crate::authenticator::{Confirmed, Form, MOST_AUTHENTICATORS, Proof, confirm};
use crate::certificates::{Completion, PendingCertificates, PendingHolder, know};
use crate::port::{By, Changes, Event, Loaded, StoreError, What, list, load};
use crate::random::Seed;
use crate::record::{
    Authenticator, Authorisation, Credential, CredentialState, Holder, KnownPasskey, Officer,
    Owner, State, UNTOLD, binding,
};
use crate::refusal::{Failure, Refusal};
use crate::signing::{Asked, Signing, check_may_sign, count, event, retried};
use crate::statement::{Desk, Kind, Matter, Statement};

/// How long nothing is signed after a recovery.
pub const CARE_AFTER_RECOVERY: Duration = Duration::hours(24);
/// In its last days a certificate is renewed.
pub const RENEWAL_BEFORE_END: Duration = Duration::days(60);
/// Most credentials of one person that are sealed anew at a recovery.
const MOST_CREDENTIALS: usize = 1000;

/// Most officers that are listed.
const MOST_OFFICERS: usize = 100_000;

/// An officer, as the operator sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfficerOnRecord {
    /// The id.
    pub id: String,
    /// Their own number.
    pub number: PersonalNumber,
    /// Where they serve.
    pub office: String,
    /// Whether their right was taken away.
    pub dismissed: bool,
}

/// What a person is enrolled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Surname, for the certificate.
    pub surname: String,
    /// Given name, for the certificate.
    pub given_name: String,
    /// Which kinds of signatures.
    pub kinds: Vec<Kind>,
    /// With what the person confirms from now on.
    pub authenticators: Vec<Form>,
}

/// A revoked certificate of which the certification authority was not told.
#[derive(Debug, Clone)]
pub struct Untold {
    credential: String,
    /// The certificate.
    pub certificate: Certificate,
}

impl Signing {
    /// An operator adds an officer, whose passkey was seen to be theirs. Gives the officer's id.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn add_officer(
        &self,
        number: PersonalNumber,
        office: &str,
        passkey: Form,
        seed: &Seed,
    ) -> Result<String, Failure> {
        if passkey.passkey_id().is_none() {
            return Err(Refusal::Authenticator("an officer confirms with a passkey").into());
        }
        passkey.check()?;
        let officer = Officer::new(
            seed.id("officer"),
            number,
            office.to_owned(),
            passkey,
            &*self.vault,
        );
        let mut changes = Changes::default();
        changes.insert(&officer)?;
        know(
            &mut changes,
            &officer.form,
            Owner::Officer(officer.id.clone()),
        )?;
        self.store.commit(&changes)?;
        Ok(officer.id)
    }

    /// All officers that this service made, dismissed ones too.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn officers_on_record(&self) -> Result<Vec<OfficerOnRecord>, Failure> {
        let found = list::<Officer>(&*self.store, By::KeysAfter(""), MOST_OFFICERS)?;
        Ok(found
            .into_iter()
            .map(|loaded| loaded.value)
            .filter(|officer| officer.is_ours(&*self.vault))
            .map(|officer| OfficerOnRecord {
                id: officer.id,
                number: officer.number,
                office: officer.office,
                dismissed: officer.dismissed,
            })
            .collect())
    }

    /// An operator takes an officer's right away, at once.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn dismiss_officer(&self, id: &str) -> Result<(), Failure> {
        retried(|| {
            let mut officer = load::<Officer>(&*self.store, id)?
                .ok_or(Refusal::Desk("there is no such officer"))?;
            officer.value.dismissed = true;
            officer.value.seal(&*self.vault);
            let mut changes = Changes::default();
            changes.replace(&officer)?;
            Ok(self.store.commit(&changes)?)
        })
    }

    /// Asks for the first keys of a person. Who they are is proven by an officer, or by an identity card among the
    /// authenticators.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn ask_to_enrol(
        &self,
        client: &str,
        holder: PersonalNumber,
        enrolment: Enrolment,
        desk: Option<Desk>,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Asked, Failure> {
        let Enrolment {
            surname,
            given_name,
            kinds,
            authenticators,
        } = enrolment;
        if load::<Holder>(&*self.store, holder.as_str())?.is_some() {
            return Err(Refusal::Enrolled.into());
        }
        ca::person_subject(holder.as_str(), &surname, &given_name)
            .map_err(|_| Refusal::Request("the name does not fit into a certificate"))?;
        let distinct: BTreeSet<Kind> = kinds.iter().copied().collect();
        if kinds.is_empty() || distinct.len() != kinds.len() {
            return Err(Refusal::Request("there is no kind of signature, or one twice").into());
        }
        check_forms(&authenticators)?;
        let card = authenticators
            .iter()
            .any(|form| form.names(holder, &self.place, now));
        self.check_cards(&authenticators, holder, now)?;
        match &desk {
            Some(desk) => {
                self.officers(holder, desk, 1)?;
            }
            None if card => {}
            None => {
                return Err(Refusal::Desk("nothing proves who this is; or use a card").into());
            }
        }
        let matter = Matter::Enrol {
            surname,
            given_name,
            kinds,
            authenticators: authenticators.clone(),
        };
        self.ask_for(client, holder, matter, desk, authenticators, seed, now)
    }

    /// Asks for a new key and certificate in place of a credential's.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn ask_to_renew(
        &self,
        client: &str,
        credential: &str,
        desk: Option<Desk>,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Asked, Failure> {
        let credential = self.active(credential)?;
        if now < credential.certificate.0.not_after() - RENEWAL_BEFORE_END {
            return Err(Refusal::TooEarly.into());
        }
        let holder = self.holder(credential.holder)?;
        check_may_sign(&holder.value, now)?;
        let forms = self.forms_for(&holder.value, desk.as_ref())?;
        let matter = Matter::Renew {
            credential: credential.id,
        };
        self.ask_for(client, credential.holder, matter, desk, forms, seed, now)
    }

    /// Asks to revoke a credential: by its holder, or at a desk. Also while the account is frozen.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn ask_to_revoke(
        &self,
        client: &str,
        credential: &str,
        desk: Option<Desk>,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Asked, Failure> {
        let credential = self.active(credential)?;
        let holder = self.holder(credential.holder)?;
        let forms = match &desk {
            None => holder.value.forms(),
            Some(desk) => forms_of(self.officers(credential.holder, desk, 1)?),
        };
        let matter = Matter::Revoke {
            credential: credential.id,
        };
        self.ask_for(client, credential.holder, matter, desk, forms, seed, now)
    }

    /// Asks to give a person other authenticators, because the old ones are gone: two officers confirm it, and nothing
    /// is signed for [`CARE_AFTER_RECOVERY`].
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn ask_to_replace(
        &self,
        client: &str,
        holder: PersonalNumber,
        authenticators: Vec<Form>,
        desk: Desk,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Asked, Failure> {
        self.holder(holder)?;
        check_forms(&authenticators)?;
        self.check_cards(&authenticators, holder, now)?;
        self.officers(holder, &desk, 2)?;
        let matter = Matter::Replace {
            authenticators: authenticators.clone(),
        };
        self.ask_for(
            client,
            holder,
            matter,
            Some(desk),
            authenticators,
            seed,
            now,
        )
    }

    /// Asks to lift a freeze, which only a desk does.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn ask_to_lift(
        &self,
        client: &str,
        holder: PersonalNumber,
        desk: Desk,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Asked, Failure> {
        if self.holder(holder)?.value.frozen_by.is_none() {
            return Err(Refusal::NotFrozen.into());
        }
        self.officers(holder, &desk, 1)?;
        self.ask_for(
            client,
            holder,
            Matter::Lift {},
            Some(desk),
            Vec::new(),
            seed,
            now,
        )
    }

    /// Freezes a person's account: from this moment nothing is signed, also what was confirmed before. A client that has
    /// found out who the person is asks for it; no proof is needed. Freezing again changes nothing.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn freeze(
        &self,
        client: &str,
        number: PersonalNumber,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        retried(|| {
            let mut holder = self.holder(number)?;
            if holder.value.frozen_by.is_some() {
                return Ok(());
            }
            holder.value.frozen_by = Some(client.to_owned());
            self.commit_about(client, &holder, What::Frozen, now)
        })
    }

    /// The identity provider says that the person's account was recovered at a moment: nothing is signed for
    /// [`CARE_AFTER_RECOVERY`] after it. An earlier end never replaces a later one.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn recovered(
        &self,
        client: &str,
        number: PersonalNumber,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        retried(|| {
            let mut holder = self.holder(number)?;
            let until = now + CARE_AFTER_RECOVERY;
            holder.value.careful_until = holder.value.careful_until.max(Some(until));
            self.commit_about(client, &holder, What::Recovered, now)
        })
    }

    fn commit_about(
        &self,
        client: &str,
        holder: &Loaded<Holder>,
        what: What,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let mut changes = Changes::default();
        changes.replace(holder)?;
        changes.event(Event {
            at: now,
            holder: holder.value.number,
            what,
            client: client.to_owned(),
            credential: None,
            authorisation: None,
            documents: Vec::new(),
            desk: None,
        });
        Ok(self.store.commit(&changes)?)
    }

    fn active(&self, credential: &str) -> Result<Credential, Failure> {
        let credential = self.loaded_credential(credential)?.value;
        if matches!(credential.state, CredentialState::Active { .. }) {
            Ok(credential)
        } else {
            Err(Refusal::NotActive.into())
        }
    }

    /// A card must name the person and come from where cards come from; otherwise it is somebody else's.
    fn check_cards(
        &self,
        forms: &[Form],
        holder: PersonalNumber,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        for form in forms {
            if matches!(form, Form::Card { .. }) && !form.names(holder, &self.place, now) {
                return Err(Refusal::Authenticator(
                    "the card is not this person's, not valid, or its issuer is not known",
                ));
            }
        }
        Ok(())
    }

    /// Confirms a statement that is not about signing, with all proofs that it needs: of each new authenticator, of the
    /// person, of the officers.
    ///
    /// # Errors
    /// See [`Failure`]; a refused proof changes nothing.
    pub fn complete(
        &self,
        handle: &str,
        proofs: &[Proof],
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Completion, Failure> {
        retried(|| {
            let (authorisation, statement) = self.waiting(handle, now)?;
            match statement.matter.clone() {
                Matter::Sign { .. } => Err(Refusal::UnknownAuthorisation.into()),
                Matter::Enrol {
                    surname,
                    given_name,
                    kinds,
                    authenticators,
                } => {
                    let holder = Holder {
                        number: statement.holder,
                        surname,
                        given_name,
                        authenticators: Vec::new(),
                        frozen_by: None,
                        careful_until: None,
                    };
                    self.enrol(
                        authorisation,
                        statement,
                        proofs,
                        holder,
                        &kinds,
                        &authenticators,
                        seed,
                        now,
                    )
                }
                Matter::Renew { credential } => {
                    self.renew(authorisation, statement, proofs, &credential, seed, now)
                }
                Matter::Revoke { credential } => {
                    self.revoke(authorisation, &statement, proofs, &credential, now)
                }
                Matter::Replace { authenticators } => {
                    self.replace(authorisation, &statement, proofs, &authenticators, now)
                }
                Matter::Lift {} => self.lift(authorisation, &statement, proofs, now),
            }
        })
    }

    /// Each group of authenticators must have confirmed the text, by one of its members.
    fn all_confirmed(
        &self,
        authorisation: &Authorisation,
        proofs: &[Proof],
        groups: &[Vec<Form>],
        now: OffsetDateTime,
    ) -> Result<Vec<Confirmed>, Refusal> {
        if proofs.len() != groups.len() {
            return Err(Refusal::Proof("another number of proofs is needed"));
        }
        groups
            .iter()
            .map(|group| {
                let mut refusal = Refusal::Proof("one of those who must confirm did not");
                for proof in proofs {
                    match confirm(&authorisation.text, proof, group, &self.place, now) {
                        Ok(confirmed) => return Ok(confirmed),
                        // What is wrong with a proof of another group says nothing.
                        Err(Refusal::Proof(_)) => {}
                        Err(other) => refusal = other,
                    }
                }
                Err(refusal)
            })
            .collect()
    }

    /// The new authenticators, each of which confirmed, and the officers of the desk, if there is one.
    fn new_authenticators(
        &self,
        authorisation: &Authorisation,
        statement: &Statement,
        proofs: &[Proof],
        forms: &[Form],
        now: OffsetDateTime,
    ) -> Result<(Vec<Authenticator>, bool), Failure> {
        let own: Vec<&Form> = forms.iter().filter(|form| **form != Form::Desk).collect();
        let groups = self.who_confirms(statement)?;
        let confirmed = self.all_confirmed(authorisation, proofs, &groups, now)?;
        let mut synced = false;
        let mut authenticators = Vec::with_capacity(forms.len());
        for (form, confirmed) in own.iter().zip(&confirmed) {
            synced |= confirmed.synced();
            authenticators.push(Authenticator {
                form: (*form).clone(),
                counter: confirmed.counter().unwrap_or_default(),
            });
        }
        if forms.contains(&Form::Desk) {
            authenticators.push(Authenticator {
                form: Form::Desk,
                counter: 0,
            });
        }
        Ok((authenticators, synced))
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of the statement, once each"
    )]
    fn enrol(
        &self,
        authorisation: Loaded<Authorisation>,
        statement: Statement,
        proofs: &[Proof],
        mut holder: Holder,
        kinds: &[Kind],
        forms: &[Form],
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Completion, Failure> {
        if load::<Holder>(&*self.store, holder.number.as_str())?.is_some() {
            return Err(Refusal::Enrolled.into());
        }
        let (authenticators, synced) =
            self.new_authenticators(&authorisation.value, &statement, proofs, forms, now)?;
        if synced && kinds.contains(&Kind::Qualified) {
            return Err(Refusal::Synced.into());
        }
        holder.authenticators = authenticators;
        let keys = kinds
            .iter()
            .map(|kind| self.new_key(&holder, *kind, seed))
            .collect::<Result<_, _>>()?;
        Ok(Completion::Certificates(Box::new(PendingCertificates {
            authorisation,
            statement,
            holder: PendingHolder::New(holder),
            replaced: None,
            keys,
        })))
    }

    fn renew(
        &self,
        authorisation: Loaded<Authorisation>,
        statement: Statement,
        proofs: &[Proof],
        credential: &str,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Completion, Failure> {
        let credential = self.loaded_credential(credential)?;
        if !matches!(credential.value.state, CredentialState::Active { .. }) {
            return Err(Refusal::NotActive.into());
        }
        let mut holder = self.holder(statement.holder)?;
        check_may_sign(&holder.value, now)?;
        let groups = self.who_confirms(&statement)?;
        let confirmed = self.all_confirmed(&authorisation.value, proofs, &groups, now)?;
        for confirmed in &confirmed {
            if credential.value.kind == Kind::Qualified && confirmed.synced() {
                return Err(Refusal::Synced.into());
            }
            if statement.desk.is_none() {
                count(&mut holder.value, confirmed)?;
            }
        }
        let keys = vec![self.new_key(&holder.value, credential.value.kind, seed)?];
        Ok(Completion::Certificates(Box::new(PendingCertificates {
            authorisation,
            statement,
            holder: PendingHolder::Known(holder),
            replaced: Some(credential),
            keys,
        })))
    }

    fn revoke(
        &self,
        mut authorisation: Loaded<Authorisation>,
        statement: &Statement,
        proofs: &[Proof],
        credential: &str,
        now: OffsetDateTime,
    ) -> Result<Completion, Failure> {
        let mut credential = self.loaded_credential(credential)?;
        if !matches!(credential.value.state, CredentialState::Active { .. }) {
            return Err(Refusal::NotActive.into());
        }
        let holder = self.holder(statement.holder)?;
        let groups = self.who_confirms(statement)?;
        self.all_confirmed(&authorisation.value, proofs, &groups, now)?;
        credential.value.state = CredentialState::Revoked {
            at: now,
            told: false,
        };
        let handle = authorisation.value.id.clone();
        authorisation.value.state = State::Done;
        let mut changes = Changes::default();
        changes.replace(&authorisation)?;
        changes.replace(&credential)?;
        changes.rests_on(&holder);
        changes.event(event(statement, &handle, What::Revoked, now));
        self.store.commit(&changes)?;
        Ok(Completion::Done)
    }

    fn replace(
        &self,
        mut authorisation: Loaded<Authorisation>,
        statement: &Statement,
        proofs: &[Proof],
        forms: &[Form],
        now: OffsetDateTime,
    ) -> Result<Completion, Failure> {
        let mut holder = self.holder(statement.holder)?;
        let (authenticators, _) =
            self.new_authenticators(&authorisation.value, statement, proofs, forms, now)?;
        let before = holder.value.forms();
        holder.value.authenticators = authenticators;
        holder.value.careful_until = holder
            .value
            .careful_until
            .max(Some(now + CARE_AFTER_RECOVERY));
        let after = holder.value.forms();
        let mut changes = Changes::default();
        for form in before.iter().filter(|form| !after.contains(form)) {
            let Some(id) = form.passkey_id() else {
                continue;
            };
            if let Some(mut known) = load::<KnownPasskey>(&*self.store, id)? {
                known.value.owner = Owner::Nobody {};
                changes.replace(&known)?;
            }
        }
        for form in after.iter().filter(|form| !before.contains(form)) {
            know(&mut changes, form, Owner::Person(statement.holder))?;
        }
        let owned = list::<Credential>(
            &*self.store,
            By::Owner(statement.holder.as_str()),
            MOST_CREDENTIALS,
        )?;
        for mut credential in owned {
            let value = &mut credential.value;
            if let CredentialState::Active { key } = &mut value.state {
                let (old, new) = (
                    binding(&value.id, value.holder, value.kind, &before),
                    binding(&value.id, value.holder, value.kind, &after),
                );
                *key = self.vault.rebind(key, &old, &new)?;
                changes.replace(&credential)?;
            }
        }
        let handle = authorisation.value.id.clone();
        authorisation.value.state = State::Done;
        changes.replace(&authorisation)?;
        changes.replace(&holder)?;
        changes.event(event(statement, &handle, What::AuthenticatorsReplaced, now));
        self.store.commit(&changes)?;
        Ok(Completion::Done)
    }

    fn lift(
        &self,
        mut authorisation: Loaded<Authorisation>,
        statement: &Statement,
        proofs: &[Proof],
        now: OffsetDateTime,
    ) -> Result<Completion, Failure> {
        let mut holder = self.holder(statement.holder)?;
        if holder.value.frozen_by.is_none() {
            return Err(Refusal::NotFrozen.into());
        }
        let groups = self.who_confirms(statement)?;
        self.all_confirmed(&authorisation.value, proofs, &groups, now)?;
        holder.value.frozen_by = None;
        let handle = authorisation.value.id.clone();
        authorisation.value.state = State::Done;
        let mut changes = Changes::default();
        changes.replace(&authorisation)?;
        changes.replace(&holder)?;
        changes.event(event(statement, &handle, What::FreezeLifted, now));
        self.store.commit(&changes)?;
        Ok(Completion::Done)
    }

    /// Revoked certificates of which the certification authority was not told.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn untold(&self, most: usize) -> Result<Vec<Untold>, StoreError> {
        let found = list::<Credential>(&*self.store, By::Owner(UNTOLD), most)?;
        Ok(found
            .into_iter()
            .map(|loaded| Untold {
                credential: loaded.value.id,
                certificate: loaded.value.certificate.0,
            })
            .collect())
    }

    /// The certification authority knows.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn told(&self, untold: &Untold) -> Result<(), Failure> {
        retried(|| {
            let mut credential = self.loaded_credential(&untold.credential)?;
            if let CredentialState::Revoked { told, .. } = &mut credential.value.state {
                *told = true;
            }
            let mut changes = Changes::default();
            changes.replace(&credential)?;
            Ok(self.store.commit(&changes)?)
        })
    }
}

pub(crate) fn forms_of(officers: Vec<Officer>) -> Vec<Form> {
    officers.into_iter().map(|officer| officer.form).collect()
}

fn check_forms(forms: &[Form]) -> Result<(), Refusal> {
    if forms.is_empty() || forms.len() > MOST_AUTHENTICATORS {
        return Err(Refusal::Authenticator("there are none, or too many"));
    }
    if forms.contains(&Form::Desk) && forms.len() > 1 {
        return Err(Refusal::Authenticator(
            "whoever has a key of their own does not sign at a desk",
        ));
    }
    let distinct: BTreeSet<&Form> = forms.iter().collect();
    if distinct.len() != forms.len() {
        return Err(Refusal::Authenticator("one is named twice"));
    }
    forms.iter().try_for_each(Form::check)
}
