//! Codes, refresh tokens and access tokens of a family.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::authorize::{must_be_bound, of_grant};
use super::organisations::Organisation;
use super::support::NoticeKind;
use super::{Decision, Provider};
use crate::account::{Account, ChannelKind};
use crate::client::{ActiveClient, Client, tells_who};
use crate::event::EventKind;
use crate::grant::{
    About, Access, AccessState, Binding, CodeState, Grant, MOST_ACCESS, REFRESH_IDLES,
    REFRESH_LASTS, RefreshState, Tokens,
};
use crate::port::{Changes, Loaded};
use crate::refusal::{Failure, Refusal};
use crate::secret::{GrantId, Secret, Seed, TokenKind};

/// What a relying party presents with a code.
#[derive(Debug, Clone, Copy)]
pub struct Redemption<'a> {
    /// The code.
    pub code: &'a Secret,
    /// The redirect URI to which it came.
    pub redirect_uri: &'a str,
    /// The verifier of PKCE (RFC 7636 4.1).
    pub verifier: &'a Secret,
    /// The key that it proved to hold, to which the tokens are bound.
    pub binding: Option<&'a Binding>,
}

impl Provider {
    /// Redeems a code, once. A code that comes again, or with a wrong verifier, was stolen: its family ends.
    ///
    /// # Errors
    /// [`Refusal::Code`], [`Refusal::RedirectUri`], [`Refusal::Verifier`], [`Refusal::Unbound`], [`Refusal::OtherKey`].
    pub fn redeem(
        &self,
        client: &ActiveClient,
        given: Redemption<'_>,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Tokens, Failure> {
        let (key, digest) = TokenKind::Code.open(given.code).ok_or(Refusal::Code)?;
        self.decide(|| {
            let mut grant = self.load::<Grant>(&key)?.ok_or(Refusal::Code)?;
            if grant.value.client != client.0.id {
                return Err(Refusal::Code.into());
            }
            match &grant.value.code {
                CodeState::Used { digest: used } if *used == digest => {
                    return self.stolen(grant, EventKind::CodeReplayed, Refusal::Code, now, seed);
                }
                CodeState::Waits {
                    digest: waits,
                    until,
                } if *waits == digest && now < *until => {}
                _ => return Err(Refusal::Code.into()),
            }
            if !grant.value.lives(now) {
                return Err(Refusal::Code.into());
            }
            if grant.value.redirect_uri != given.redirect_uri {
                return Err(Refusal::RedirectUri.into());
            }
            if !fits(&grant.value.challenge, given.verifier) {
                return self.stolen(grant, EventKind::CodeReplayed, Refusal::Verifier, now, seed);
            }
            let binding = given.binding.cloned();
            if must_be_bound(&client.0) && binding.is_none() {
                return Err(Refusal::Unbound.into());
            }
            if grant.value.binding.is_some() && grant.value.binding != binding {
                return Err(Refusal::OtherKey.into());
            }
            let people = self.people(&grant.value, now)?.map_err(|_| Refusal::Code)?;
            grant.value.code = CodeState::Used {
                digest: digest.clone(),
            };
            grant.value.binding = binding;
            let mut changes = Changes::default();
            people.rest(&mut changes);
            let tokens = self.issue(&mut grant.value, &client.0, &people, None, now, seed)?;
            changes.replace(&grant)?;
            changes.event(
                of_grant(EventKind::TokensIssued, &grant.value, now).level(grant.value.level),
            );
            Ok(Decision::yes(changes, tokens))
        })
    }

    /// Issues new tokens for a refresh token, which is used up by it. One that was used before was stolen, here or
    /// there: its family ends. `scopes` may ask for less.
    ///
    /// # Errors
    /// [`Refusal::Refresh`], [`Refusal::Scope`], [`Refusal::Unbound`].
    pub fn refresh(
        &self,
        client: &ActiveClient,
        token: &Secret,
        scopes: Option<&BTreeSet<String>>,
        binding: Option<&Binding>,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Tokens, Failure> {
        let (key, digest) = TokenKind::Refresh.open(token).ok_or(Refusal::Refresh)?;
        self.decide(|| {
            let mut grant = self.load::<Grant>(&key)?.ok_or(Refusal::Refresh)?;
            if grant.value.client != client.0.id || grant.value.revoked_at.is_some() {
                return Err(Refusal::Refresh.into());
            }
            let Some(state) = grant.value.refresh.clone() else {
                return Err(Refusal::Refresh.into());
            };
            if state.digest != digest {
                let kind = EventKind::RefreshReplayed;
                return self.stolen(grant, kind, Refusal::Refresh, now, seed);
            }
            if now >= state.at + REFRESH_IDLES || now >= grant.value.at + REFRESH_LASTS {
                return Err(Refusal::Refresh.into());
            }
            if let Some(scope) = scopes.and_then(|asked| {
                asked
                    .iter()
                    .find(|scope| !grant.value.scopes.contains(*scope))
            }) {
                return Err(Refusal::Scope(scope.chars().take(50).collect()).into());
            }
            // The client proves who it is with every refresh, so it may change its key; it may not do without.
            let bound = must_be_bound(&client.0) || grant.value.binding.is_some();
            if bound && binding.is_none() {
                return Err(Refusal::Unbound.into());
            }
            let people = self
                .people(&grant.value, now)?
                .map_err(|_| Refusal::Refresh)?;
            grant.value.binding = binding.cloned();
            let mut changes = Changes::default();
            people.rest(&mut changes);
            let tokens = self.issue(&mut grant.value, &client.0, &people, scopes, now, seed)?;
            changes.replace(&grant)?;
            changes.event(of_grant(EventKind::TokensRefreshed, &grant.value, now));
            Ok(Decision::yes(changes, tokens))
        })
    }

    /// An access token that somebody presents with proof of the key it holds.
    ///
    /// # Errors
    /// [`Refusal::Access`], [`Refusal::OtherKey`].
    pub fn access(
        &self,
        token: &Secret,
        binding: Option<&Binding>,
        now: OffsetDateTime,
    ) -> Result<Access, Failure> {
        let access = self.introspect(token, now)?;
        if access.binding.as_ref() != binding {
            return Err(Refusal::OtherKey.into());
        }
        Ok(access)
    }

    /// An access token that a resource server asks about; it checks itself who holds it (RFC 7662, RFC 9449 6.2).
    ///
    /// # Errors
    /// [`Refusal::Access`].
    pub fn introspect(&self, token: &Secret, now: OffsetDateTime) -> Result<Access, Failure> {
        let (key, digest) = TokenKind::Access.open(token).ok_or(Refusal::Access)?;
        let grant = self.load::<Grant>(&key)?.ok_or(Refusal::Access)?.value;
        let state = grant
            .access
            .iter()
            .find(|state| state.digest == digest && now < state.until)
            .ok_or(Refusal::Access)?;
        if grant.revoked_at.is_some() {
            return Err(Refusal::Access.into());
        }
        let client = self
            .client(&grant.client)
            .map_err(|failure| match failure {
                Failure::Refused(_) => Refusal::Access.into(),
                store @ Failure::Store(_) => store,
            })?;
        let people = self.people(&grant, now)?.map_err(|_| Refusal::Access)?;
        Ok(Access {
            about: self.about(&grant, &client.0, &people, &state.scopes)?,
            until: state.until,
            binding: state.binding.clone(),
        })
    }

    /// Revokes the family of a token of this relying party (RFC 7009). An unknown one is no error.
    ///
    /// # Errors
    /// The database fails.
    pub fn revoke(
        &self,
        client: &ActiveClient,
        token: &Secret,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let opened = TokenKind::Refresh
            .open(token)
            .or_else(|| TokenKind::Access.open(token));
        let Some((key, digest)) = opened else {
            return Ok(());
        };
        self.decide(|| {
            let mut changes = Changes::default();
            let Some(mut grant) = self.load::<Grant>(&key)? else {
                return Ok(Decision::yes(changes, ()));
            };
            let is_its = grant
                .value
                .refresh
                .as_ref()
                .is_some_and(|state| state.digest == digest)
                || grant
                    .value
                    .access
                    .iter()
                    .any(|state| state.digest == digest);
            if grant.value.client == client.0.id && is_its {
                grant.value.revoke(now);
                changes.replace(&grant)?;
                changes
                    .event(of_grant(EventKind::TokensRevoked, &grant.value, now).because("client"));
            }
            Ok(Decision::yes(changes, ()))
        })
    }

    /// The family ends, and the person is told.
    fn stolen<T>(
        &self,
        mut grant: Loaded<Grant>,
        kind: EventKind,
        refusal: Refusal,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Decision<T>, Failure> {
        if grant.value.revoked_at.is_some() {
            return Err(refusal.into());
        }
        let mut changes = Changes::default();
        grant.value.revoke(now);
        changes.replace(&grant)?;
        let holder = self.account(grant.value.holder())?;
        self.notify(
            &mut changes,
            &holder.value,
            NoticeKind::TokensStolen,
            now,
            seed,
        )?;
        changes.event(of_grant(kind, &grant.value, now));
        Ok(Decision::no(changes, refusal))
    }

    /// The people of a family, if tokens about them are accepted now: the accounts open, whoever is signed in still in
    /// the same epoch, and the right to act still there.
    fn people(
        &self,
        grant: &Grant,
        now: OffsetDateTime,
    ) -> Result<Result<People, Refusal>, Failure> {
        let holder = self.account(grant.holder())?;
        if !holder.value.is_open() || holder.value.epoch != grant.epoch {
            return Ok(Err(Refusal::Access));
        }
        let Some(acting) = &grant.acting else {
            return Ok(Ok(People {
                holder,
                subject: None,
            }));
        };
        let subject = self.account(&grant.subject)?;
        if !subject.value.is_open()
            || !self.still_may(&holder.value, &subject.value, acting, now)?
        {
            return Ok(Err(Refusal::Access));
        }
        Ok(Ok(People {
            holder,
            subject: Some(subject),
        }))
    }

    /// Puts new tokens into a family.
    fn issue(
        &self,
        grant: &mut Grant,
        client: &Client,
        people: &People,
        scopes: Option<&BTreeSet<String>>,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Tokens, Failure> {
        let key = grant.id.0.clone();
        let scopes = scopes.cloned().unwrap_or_else(|| grant.scopes.clone());
        let access = seed.secret("access");
        let lasts = grant.lasts();
        grant.access.retain(|state| now < state.until);
        if grant.access.len() >= MOST_ACCESS {
            grant.access.remove(0);
        }
        grant.access.push(AccessState {
            digest: access.digest(),
            until: now + lasts,
            scopes: scopes.clone(),
            binding: grant.binding.clone(),
        });
        let refresh = grant.scopes.contains("offline_access").then(|| {
            let secret = seed.secret("refresh");
            grant.refresh = Some(RefreshState {
                digest: secret.digest(),
                at: now,
                generation: grant
                    .refresh
                    .as_ref()
                    .map_or(1, |state| state.generation + 1),
            });
            TokenKind::Refresh.token(&key, &secret)
        });
        Ok(Tokens {
            access: TokenKind::Access.token(&key, &access),
            access_lasts: lasts,
            refresh,
            binding: grant.binding.clone(),
            about: self.about(grant, client, people, &scopes)?,
        })
    }

    /// Issues the first tokens of a family that came of no code.
    pub(super) fn issue_first(
        &self,
        changes: &mut Changes,
        grant: &mut Grant,
        client: &Client,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Tokens, Failure> {
        let people = self.people(grant, now)?.map_err(|_| Refusal::Denied)?;
        people.rest(changes);
        let tokens = self.issue(grant, client, &people, None, now, seed)?;
        changes.insert(grant)?;
        changes.event(of_grant(EventKind::TokensIssued, grant, now).level(grant.level));
        Ok(tokens)
    }

    fn about(
        &self,
        grant: &Grant,
        client: &Client,
        people: &People,
        scopes: &BTreeSet<String>,
    ) -> Result<About, Failure> {
        let sector = &client.form.sector;
        let subject = people.subject();
        let acting = grant.acting.as_ref();
        let actor = match acting {
            Some(acting) => Some(self.pairwise(sector, &acting.actor)?),
            None => None,
        };
        let tells = scopes.iter().any(|scope| tells_who(scope));
        let address = |kind, scope| {
            let channels = &subject.channels;
            let found = channels.iter().find(|channel| channel.kind == kind);
            // An address belongs to whoever holds the account, who is not the one that acts.
            found
                .filter(|_| acting.is_none() && scopes.contains(scope))
                .map(|channel| channel.address.clone())
        };
        let organisation = match acting {
            Some(_) if tells && subject.person.is_none() => {
                let found = self.load::<Organisation>(grant.subject.as_str())?;
                found.map(|organisation| organisation.value.number)
            }
            _ => None,
        };
        Ok(About {
            subject: self.pairwise(sector, &grant.subject)?,
            actor,
            right: acting.map(|acting| acting.right.clone()),
            theme: acting.map(|acting| acting.theme),
            person: subject.person.filter(|_| tells),
            organisation,
            acting_person: acting.and(people.holder.value.person).filter(|_| tells),
            email: address(ChannelKind::Email, "email"),
            phone: address(ChannelKind::Phone, "phone"),
            level: grant.level,
            amr: grant.amr.clone(),
            proved_at: grant.proved_at,
            nonce: grant.nonce.clone(),
            sid: self.sid(&grant.client, &grant.session),
            scopes: scopes.clone(),
            grant: GrantId(grant.id.0.clone()),
            client: grant.client.clone(),
            tenant: client.tenant,
        })
    }
}

/// The accounts that a family is about, as they were read.
struct People {
    holder: Loaded<Account>,
    subject: Option<Loaded<Account>>,
}

impl People {
    fn subject(&self) -> &Account {
        self.subject
            .as_ref()
            .map_or(&self.holder.value, |subject| &subject.value)
    }

    /// What is issued rests on the accounts being as they were read: a freeze at the same moment comes first.
    fn rest(&self, changes: &mut Changes) {
        changes.rests_on(&self.holder);
        if let Some(subject) = &self.subject {
            changes.rests_on(subject);
        }
    }
}

/// Whether a verifier fits a challenge by S256 (RFC 7636 4.6).
fn fits(challenge: &str, verifier: &Secret) -> bool {
    let length = verifier.expose().len();
    let digest = digest::digest(&digest::SHA256, verifier.expose().as_bytes());
    let made = URL_SAFE_NO_PAD.encode(digest);
    (43..=128).contains(&length)
        && verify_slices_are_equal(made.as_bytes(), challenge.as_bytes()).is_ok()
}
