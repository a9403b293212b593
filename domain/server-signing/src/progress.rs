//! Confirmations that come one after another, from several devices: the person's phone, the officers' terminals.

use time::OffsetDateTime;

use crate::authenticator::{Form, Proof, confirm};
use crate::certificates::Completion;
use crate::people::forms_of;
use crate::port::Changes;
use crate::random::Seed;
use crate::refusal::{Failure, Refusal};
use crate::signing::{Signing, retried};
use crate::statement::{Matter, Statement};

/// How far a statement that several confirm has come.
#[derive(Debug)]
pub enum Progress {
    /// So many have yet to confirm.
    Waiting(usize),
    /// All confirmed.
    Completed(Completion),
}

impl Signing {
    /// Who must confirm a statement: one of each group.
    pub(crate) fn who_confirms(&self, statement: &Statement) -> Result<Vec<Vec<Form>>, Failure> {
        let desk = statement.desk.as_ref();
        let officers = |needed: usize| -> Result<Vec<Vec<Form>>, Failure> {
            let Some(desk) = desk else {
                return Ok(Vec::new());
            };
            let officers = self.officers(statement.holder, desk, needed)?;
            Ok(forms_of(officers)
                .into_iter()
                .map(|form| vec![form])
                .collect())
        };
        let own = |forms: &[Form]| -> Vec<Vec<Form>> {
            forms
                .iter()
                .filter(|form| **form != Form::Desk)
                .map(|form| vec![form.clone()])
                .collect()
        };
        match &statement.matter {
            Matter::Sign { .. } | Matter::Renew { .. } => {
                let holder = self.holder(statement.holder)?;
                Ok(vec![self.forms_for(&holder.value, desk)?])
            }
            Matter::Revoke { .. } => match desk {
                None => Ok(vec![self.holder(statement.holder)?.value.forms()]),
                Some(_) => officers(1),
            },
            Matter::Enrol { authenticators, .. } => {
                let mut groups = own(authenticators);
                groups.extend(officers(1)?);
                Ok(groups)
            }
            Matter::Replace { authenticators } => {
                if desk.is_none() {
                    return Err(Refusal::Desk("a recovery is done at one").into());
                }
                let mut groups = own(authenticators);
                groups.extend(officers(2)?);
                Ok(groups)
            }
            Matter::Lift {} => {
                if desk.is_none() {
                    return Err(Refusal::Desk("a freeze is lifted at one").into());
                }
                officers(1)
            }
        }
    }

    /// Takes the confirmation of one of those who must confirm, and does what was confirmed once all have.
    ///
    /// # Errors
    /// See [`Failure`]; a refused proof changes nothing. After a failure to complete, [`Signing::resume`] tries again.
    pub fn prove(
        &self,
        handle: &str,
        proof: &Proof,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Progress, Failure> {
        retried(|| {
            let (mut authorisation, statement) = self.waiting(handle, now)?;
            if matches!(statement.matter, Matter::Sign { .. }) {
                return Err(Refusal::UnknownAuthorisation.into());
            }
            let mut refusal = Refusal::Proof("none of those who must confirm made it");
            for (place, group) in self.who_confirms(&statement)?.iter().enumerate() {
                match confirm(&authorisation.value.text, proof, group, &self.place, now) {
                    Ok(_) => {
                        authorisation.value.proofs.insert(place, proof.clone());
                        let mut changes = Changes::default();
                        changes.replace(&authorisation)?;
                        return Ok(self.store.commit(&changes)?);
                    }
                    // What is wrong with a proof of another group says nothing.
                    Err(Refusal::Proof(_)) => {}
                    Err(other) => refusal = other,
                }
            }
            Err(refusal.into())
        })?;
        self.resume(handle, seed, now)
    }

    /// Does what was confirmed, if all have confirmed.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn resume(
        &self,
        handle: &str,
        seed: &Seed,
        now: OffsetDateTime,
    ) -> Result<Progress, Failure> {
        let (authorisation, statement) = self.waiting(handle, now)?;
        let needed = self.who_confirms(&statement)?.len();
        let proofs: Vec<Proof> = authorisation.value.proofs.into_values().collect();
        if proofs.len() < needed {
            return Ok(Progress::Waiting(needed - proofs.len()));
        }
        self.complete(handle, &proofs, seed, now)
            .map(Progress::Completed)
    }
}
