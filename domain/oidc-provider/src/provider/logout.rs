//! What ends with a session, and who is told.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Decision, Provider};
use crate::client::Client;
use crate::event::{Event, EventKind};
use crate::grant::Grant;
use crate::port::{self, By, Changes, Item, Kind, Loaded};
use crate::refusal::Failure;
use crate::secret::{AccountId, ClientId, Digest, SessionId};

/// Families of tokens that are read at one time.
const PAGE: usize = 500;

/// A logout token that waits to be sent (OpenID Connect Back-Channel Logout 2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logout {
    id: String,
    /// To which relying party.
    pub client: ClientId,
    /// Where to.
    pub uri: String,
    /// The subject as the relying party knows it.
    pub subject: String,
    /// The session that ended.
    pub session: SessionId,
    /// When it ended.
    pub at: OffsetDateTime,
}

impl Item for Logout {
    type Kind = Kind;

    const KIND: Kind = Kind::Logout;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn other(&self) -> Option<String> {
        Some(self.client.0.clone())
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.at + time::Duration::DAY)
    }
}

impl Provider {
    /// What a session gave relying parties ends with it, and they are told.
    pub(super) fn end_grants_of_session(
        &self,
        changes: &mut Changes,
        account: &AccountId,
        session: &SessionId,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        for mut grant in self.grants(account)? {
            if grant.value.session != *session {
                continue;
            }
            self.tell(changes, &grant.value, now)?;
            if grant.value.lives(now) && !grant.value.scopes.contains("offline_access") {
                grant.value.revoke(now);
                changes.replace(&grant)?;
                changes.event(
                    Event::new(EventKind::TokensRevoked, now)
                        .account(&grant.value.subject)
                        .client(&grant.value.client)
                        .grant(&grant.value.id)
                        .because("session"),
                );
            }
        }
        Ok(())
    }

    /// Tells every relying party at which the account may be signed in.
    pub(super) fn tell_clients(
        &self,
        changes: &mut Changes,
        account: &AccountId,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let epoch = self.account(account)?.value.epoch;
        for grant in self.grants(account)? {
            // What an earlier freeze or recovery ended was told then.
            if grant.value.epoch == epoch {
                self.tell(changes, &grant.value, now)?;
            }
        }
        Ok(())
    }

    /// A session as a relying party knows it (`sid`): another one at each, so that no two find out by it that they have
    /// the same person before them.
    #[must_use]
    pub fn sid(&self, client: &ClientId, session: &SessionId) -> String {
        let mut context = hmac::Context::with_key(&self.subjects);
        // Sectors of subjects are no longer than a registration allows.
        context.update(&u64::MAX.to_be_bytes());
        context.update(client.as_str().as_bytes());
        context.update(b" ");
        context.update(session.as_str().as_bytes());
        URL_SAFE_NO_PAD.encode(&context.sign().as_ref()[..16])
    }

    /// Every family of tokens of whoever is signed in of which something may still be accepted, however many there are.
    pub(super) fn living_grants(
        &self,
        holder: &AccountId,
        now: OffsetDateTime,
    ) -> Result<Vec<Loaded<Grant>>, Failure> {
        let mut grants = self.grants(holder)?;
        grants.retain(|grant| grant.value.lives(now));
        Ok(grants)
    }

    /// Every family of tokens of whoever is signed in, also those of which nothing is accepted any more: a relying party
    /// that asked once who it is may go by that for as long as the session lasts.
    fn grants(&self, holder: &AccountId) -> Result<Vec<Loaded<Grant>>, Failure> {
        let mut grants = Vec::new();
        let mut after = String::new();
        loop {
            let by = By::OwnerAfter(holder.as_str(), &after);
            let page = port::list::<Grant>(self.store.as_ref(), by, PAGE)?;
            let last = page.last().map(|grant| grant.value.key());
            let is_full = page.len() == PAGE;
            grants.extend(page);
            match last {
                Some(last) if is_full => after = last,
                _ => return Ok(grants),
            }
        }
    }

    fn tell(
        &self,
        changes: &mut Changes,
        grant: &Grant,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let Some(client) = self.load::<Client>(grant.client.as_str())? else {
            return Ok(());
        };
        let Some(uri) = client.value.form.logout_uri.clone() else {
            return Ok(());
        };
        let id = Digest::of(&[
            grant.client.as_str().as_bytes(),
            grant.session.as_str().as_bytes(),
            grant.subject.as_str().as_bytes(),
        ]);
        let logout = Logout {
            id: id.as_str().to_owned(),
            client: grant.client.clone(),
            uri,
            subject: self.pairwise(&client.value.form.sector, &grant.subject)?,
            session: grant.session.clone(),
            at: now,
        };
        match self.load::<Logout>(&logout.id)? {
            Some(waiting) => changes.rests_on(&waiting),
            None => changes.insert(&logout)?,
        }
        Ok(())
    }

    /// Logout tokens that wait to be sent, up to so many.
    ///
    /// # Errors
    /// The database fails.
    pub fn logouts(&self, most: usize) -> Result<Vec<Logout>, Failure> {
        let found = port::list::<Logout>(self.store.as_ref(), By::KeysAfter(""), most)?;
        Ok(found.into_iter().map(|logout| logout.value).collect())
    }

    /// The relying party took the logout token, or will not within a day.
    ///
    /// # Errors
    /// The database fails.
    pub fn logout_sent(&self, logout: &Logout, now: OffsetDateTime) -> Result<(), Failure> {
        self.decide(|| {
            let mut changes = Changes::default();
            if let Some(found) = self.load::<Logout>(&logout.id)? {
                changes.remove(&found);
                changes.event(
                    Event::new(EventKind::LogoutSent, now)
                        .client(&logout.client)
                        .session(&logout.session),
                );
            }
            Ok(Decision::yes(changes, ()))
        })
    }
}
