//! Relying parties: registered by whoever builds them, approved by an officer; consents that people gave them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::support::Duty;
use super::{Decision, OnDuty, Provider};
use crate::account::Tenant;
use crate::client::{ActiveClient, Client, ClientForm, ClientStanding};
use crate::event::{Event, EventKind};
use crate::level::Operation;
use crate::port::{self, By, Changes, Item, Kind};
use crate::refusal::{Failure, Refusal};
use crate::secret::{AccountId, ClientId, Digest, Seed};
use crate::session::Authenticated;

/// Relying parties that one account may have registered.
const MOST_CLIENTS: usize = 50;
/// Consents of one account that are listed.
const MOST_CONSENTS: usize = 500;

/// What a person allowed a relying party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Who.
    pub account: AccountId,
    /// Whom.
    pub client: ClientId,
    /// The scopes.
    pub scopes: BTreeSet<String>,
    /// When it was given, the last time.
    pub at: OffsetDateTime,
}

impl Consent {
    pub(super) fn key_of(account: &AccountId, client: &ClientId) -> String {
        Digest::of(&[account.as_str().as_bytes(), client.as_str().as_bytes()])
            .as_str()
            .to_owned()
    }
}

impl Item for Consent {
    type Kind = Kind;

    const KIND: Kind = Kind::Consent;

    fn key(&self) -> String {
        Self::key_of(&self.account, &self.client)
    }

    fn owner(&self) -> Option<String> {
        Some(self.account.0.clone())
    }

    fn other(&self) -> Option<String> {
        Some(self.client.0.clone())
    }
}

impl Provider {
    /// Registers a relying party. In the sandbox it is in use at once; for people it waits for approval.
    ///
    /// # Errors
    /// [`Refusal::ClientForm`], [`Refusal::TooMany`], [`Refusal::OtherAccount`] across tenants.
    pub fn register_client(
        &self,
        who: &Authenticated,
        form: &ClientForm,
        seed: &Seed,
    ) -> Result<ClientId, Failure> {
        let tenant = who.account.tenant;
        form.check(tenant)?;
        self.decide(|| {
            if self.clients_of(&who.account.id)?.len() >= MOST_CLIENTS {
                return Err(Refusal::TooMany("relying parties").into());
            }
            let client = Client {
                id: ClientId(seed.id("client")),
                tenant,
                form: form.clone(),
                registered_by: who.account.id.clone(),
                registered_at: who.now,
                standing: first_standing(tenant, who.now),
            };
            let mut changes = Changes::default();
            changes.insert(&client)?;
            changes.event(
                Event::new(EventKind::ClientRegistered, who.now)
                    .account(&who.account.id)
                    .client(&client.id),
            );
            Ok(Decision::yes(changes, client.id))
        })
    }

    /// Changes a registration. For people it waits for approval again.
    ///
    /// # Errors
    /// [`Refusal::ClientForm`], [`Refusal::Nothing`] if it is somebody else's.
    pub fn change_client(
        &self,
        who: &Authenticated,
        id: &ClientId,
        form: &ClientForm,
    ) -> Result<(), Failure> {
        self.decide(|| {
            let mut client = self
                .load::<Client>(id.as_str())?
                .filter(|client| client.value.registered_by == who.account.id)
                .ok_or(Refusal::Nothing)?;
            if matches!(client.value.standing, ClientStanding::Stopped { .. }) {
                return Err(Refusal::UnknownClient.into());
            }
            form.check(client.value.tenant)?;
            client.value.form = form.clone();
            client.value.standing = first_standing(client.value.tenant, who.now);
            let mut changes = Changes::default();
            changes.replace(&client)?;
            changes.event(
                Event::new(EventKind::ClientRegistered, who.now)
                    .account(&who.account.id)
                    .client(id)
                    .because("changed"),
            );
            Ok(Decision::yes(changes, ()))
        })
    }

    /// The relying parties that an account registered.
    ///
    /// # Errors
    /// The database fails.
    pub fn clients_of(&self, account: &AccountId) -> Result<Vec<Client>, Failure> {
        let by = By::Owner(account.as_str());
        let found = port::list::<Client>(self.store.as_ref(), by, MOST_CLIENTS)?;
        Ok(found.into_iter().map(|client| client.value).collect())
    }

    /// Relying parties in any state, in the order of their identifiers, after one.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`].
    pub fn clients(&self, by: &OnDuty, after: &str, most: usize) -> Result<Vec<Client>, Failure> {
        by.has(Duty::Clients)?;
        let found = port::list::<Client>(self.store.as_ref(), By::KeysAfter(after), most)?;
        Ok(found.into_iter().map(|client| client.value).collect())
    }

    /// One relying party in any state.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`], [`Refusal::UnknownClient`].
    pub fn registered(&self, by: &OnDuty, id: &ClientId) -> Result<Client, Failure> {
        by.has(Duty::Clients)?;
        let found = self.load::<Client>(id.as_str())?;
        Ok(found.ok_or(Refusal::UnknownClient)?.value)
    }

    /// Approves a relying party, not one's own, in the form that the officer saw.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`], [`Refusal::OwnCase`], [`Refusal::Over`] if the form changed, [`Refusal::UnknownClient`].
    pub fn approve_client(&self, by: &OnDuty, seen: &Client) -> Result<(), Failure> {
        by.has(Duty::Clients)?;
        self.stand(by, &seen.id, EventKind::ClientApproved, |client| {
            if client.form != seen.form || client.standing != ClientStanding::Registered {
                return Err(Refusal::Over);
            }
            client.standing = ClientStanding::Approved {
                by: Some(by.officer().account.clone()),
                at: by.now(),
            };
            Ok(())
        })
    }

    /// Rejects or suspends a relying party: its requests are refused and its tokens no longer accepted.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`], [`Refusal::UnknownClient`].
    pub fn stop_client(&self, by: &OnDuty, id: &ClientId) -> Result<(), Failure> {
        by.has(Duty::Clients)?;
        self.stand(by, id, EventKind::ClientStopped, |client| {
            client.standing = ClientStanding::Stopped {
                by: by.officer().account.clone(),
                at: by.now(),
            };
            Ok(())
        })
    }

    fn stand(
        &self,
        by: &OnDuty,
        id: &ClientId,
        kind: EventKind,
        change: impl Fn(&mut Client) -> Result<(), Refusal>,
    ) -> Result<(), Failure> {
        self.decide(|| {
            let mut client = self
                .load::<Client>(id.as_str())?
                .ok_or(Refusal::UnknownClient)?;
            if client.value.registered_by == by.officer().account {
                return Err(Refusal::OwnCase.into());
            }
            change(&mut client.value)?;
            let mut changes = Changes::default();
            changes.replace(&client)?;
            changes.event(by.event(kind).client(id));
            Ok(Decision::yes(changes, ()))
        })
    }

    /// A relying party that is approved.
    ///
    /// # Errors
    /// [`Refusal::UnknownClient`].
    pub fn client(&self, id: &ClientId) -> Result<ActiveClient, Failure> {
        let client = self
            .load::<Client>(id.as_str())?
            .filter(|client| client.value.is_approved())
            .ok_or(Refusal::UnknownClient)?;
        Ok(ActiveClient(client.value))
    }

    /// What the person allowed relying parties.
    ///
    /// # Errors
    /// The database fails.
    pub fn consents(&self, who: &Authenticated) -> Result<Vec<Consent>, Failure> {
        let by = By::Owner(who.account.id.as_str());
        let found = port::list::<Consent>(self.store.as_ref(), by, MOST_CONSENTS)?;
        Ok(found.into_iter().map(|consent| consent.value).collect())
    }

    /// Withdraws what was allowed: no token of the relying party about this person is accepted from now on.
    ///
    /// # Errors
    /// [`Refusal::Nothing`].
    pub fn withdraw(&self, who: &Authenticated, client: &ClientId) -> Result<(), Failure> {
        who.may(Operation::TakeBack)?;
        self.decide(|| {
            let consent = self
                .load::<Consent>(&Consent::key_of(&who.account.id, client))?
                .ok_or(Refusal::Nothing)?;
            let mut changes = Changes::default();
            changes.remove(&consent);
            for mut grant in self.living_grants(&who.account.id, who.now)? {
                if grant.value.client == *client {
                    grant.value.revoke(who.now);
                    changes.replace(&grant)?;
                }
            }
            changes.event(
                Event::new(EventKind::ConsentWithdrawn, who.now)
                    .account(&who.account.id)
                    .client(client),
            );
            Ok(Decision::yes(changes, ()))
        })
    }
}

const fn first_standing(tenant: Tenant, now: OffsetDateTime) -> ClientStanding {
    match tenant {
        Tenant::People => ClientStanding::Registered,
        Tenant::Sandbox => ClientStanding::Approved { by: None, at: now },
    }
}
