//! What whoever operates the server does beside it: the first officers, and the first relying parties. Whoever can call
//! this holds the database; it leaves the same events as everything else.

use id_registry::PersonalNumber;
use time::OffsetDateTime;

use super::desk::{Ticket, TicketFor, give_ticket, open_proofed};
use super::support::{Duty, Officer};
use super::{Decision, Provider};
use crate::account::{LoginName, Tenant};
use crate::client::{Client, ClientForm, ClientStanding};
use crate::event::{Event, EventKind};
use crate::level::Proofing;
use crate::port::Changes;
use crate::refusal::{Failure, Refusal};
use crate::secret::{AccountId, ClientId, Seed};

/// Why, in events.
pub(super) const OPERATOR: &str = "operator";

/// An account that the operator opened or found.
struct Opened {
    id: AccountId,
    epoch: u64,
    needs_key: bool,
}

/// A ticket for a first key, after the operator compared the person.
fn first_ticket(
    changes: &mut Changes,
    id: AccountId,
    epoch: u64,
    now: OffsetDateTime,
    seed: &Seed,
) -> Result<Ticket, Failure> {
    for kind in [EventKind::AccountProofed, EventKind::TicketIssued] {
        changes.event(Event::new(kind, now).because(OPERATOR).account(&id));
    }
    let first = TicketFor::FirstKey;
    give_ticket(changes, id, first, epoch, None, now, seed)
}

impl Provider {
    /// Makes somebody an officer with these duties. Who has no way in yet gets a ticket for a first key: whoever operates
    /// the server has compared the person.
    ///
    /// # Errors
    /// The database fails.
    pub fn appoint_by_operator(
        &self,
        number: PersonalNumber,
        tenant: Tenant,
        office: &str,
        duties: &[Duty],
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Option<Ticket>, Failure> {
        self.decide(|| {
            let mut changes = Changes::default();
            let event = |kind| Event::new(kind, now).because(OPERATOR);
            let Opened {
                id,
                epoch,
                needs_key,
            } = self.open_by_operator(&mut changes, number, tenant, now, seed)?;
            let officer = Officer {
                account: id.clone(),
                office: office.to_owned(),
                duties: duties.to_vec(),
            };
            match self.load::<Officer>(id.as_str())? {
                Some(mut found) => {
                    found.value = officer;
                    changes.replace(&found)?;
                }
                None => changes.insert(&officer)?,
            }
            changes.event(event(EventKind::OfficerAppointed).account(&id));
            if !needs_key {
                return Ok(Decision::yes(changes, None));
            }
            let ticket = first_ticket(&mut changes, id, epoch, now, seed)?;
            Ok(Decision::yes(changes, Some(ticket)))
        })
    }

    /// Makes a test person of the sandbox: an account as if somebody had been compared at a desk, and a ticket for its
    /// first key; none for one that has a way in already. There is no such thing for people.
    ///
    /// # Errors
    /// The database fails.
    pub fn test_person(
        &self,
        number: PersonalNumber,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Option<Ticket>, Failure> {
        self.decide(|| {
            let mut changes = Changes::default();
            let opened = self.open_by_operator(&mut changes, number, Tenant::Sandbox, now, seed)?;
            if !opened.needs_key {
                return Ok(Decision::yes(changes, None));
            }
            let ticket = first_ticket(&mut changes, opened.id, opened.epoch, now, seed)?;
            Ok(Decision::yes(changes, Some(ticket)))
        })
    }

    /// The account of a number, opened if there is none, bound if it has no way in yet.
    fn open_by_operator(
        &self,
        changes: &mut Changes,
        number: PersonalNumber,
        tenant: Tenant,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Opened, Failure> {
        let login = LoginName::Number(number, tenant).key();
        let event = |kind| Event::new(kind, now).because(OPERATOR);
        let (id, epoch, needs_key) = match self.account_of_login(&login)? {
            Some(mut account) => {
                let needs_key = account.value.needs_first_key();
                if needs_key {
                    account.value.found_out(number, Proofing::InPerson, now);
                    changes.replace(&account)?;
                }
                (account.value.id, account.value.epoch, needs_key)
            }
            None => {
                let opened = event(EventKind::AccountOpened);
                let (id, epoch) = open_proofed(changes, number, tenant, opened, seed)?;
                (id, epoch, true)
            }
        };
        Ok(Opened {
            id,
            epoch,
            needs_key,
        })
    }

    /// Takes an officer's duties away, at once.
    ///
    /// # Errors
    /// [`Refusal::NoAccount`], [`Refusal::Nothing`] if it is no officer.
    pub fn dismiss_by_operator(
        &self,
        number: PersonalNumber,
        tenant: Tenant,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        self.decide(|| {
            let id = self.person(number, tenant)?.value.id;
            let officer = self.load::<Officer>(id.as_str())?;
            let mut changes = Changes::default();
            changes.remove(&officer.ok_or(Refusal::Nothing)?);
            let event = Event::new(EventKind::OfficerDismissed, now);
            changes.event(event.account(&id).because(OPERATOR));
            Ok(Decision::yes(changes, ()))
        })
    }

    /// Takes a relying party in, approved as it stands: a first one, or one of an earlier provider, which keeps its
    /// identifier. Again with the same identifier, its form is replaced.
    ///
    /// # Errors
    /// [`Refusal::ClientForm`].
    pub fn admit_client(
        &self,
        id: Option<&ClientId>,
        form: &ClientForm,
        tenant: Tenant,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<ClientId, Failure> {
        form.check(tenant)?;
        let id = id.cloned().unwrap_or_else(|| ClientId(seed.id("client")));
        self.decide(|| {
            let standing = ClientStanding::Approved { by: None, at: now };
            let mut changes = Changes::default();
            match self.load::<Client>(id.as_str())? {
                Some(mut found) => {
                    if found.value.tenant != tenant {
                        return Err(Refusal::OtherAccount.into());
                    }
                    found.value.form = form.clone();
                    found.value.standing = standing;
                    changes.replace(&found)?;
                }
                None => changes.insert(&Client {
                    id: id.clone(),
                    tenant,
                    form: form.clone(),
                    registered_by: AccountId(OPERATOR.to_owned()),
                    registered_at: now,
                    standing,
                })?,
            }
            let event = Event::new(EventKind::ClientApproved, now);
            changes.event(event.client(&id).because(OPERATOR));
            Ok(Decision::yes(changes, id.clone()))
        })
    }
}
