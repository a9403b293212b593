//! What people do with their own account.

use time::OffsetDateTime;

use super::support::NoticeKind;
use super::{Decision, Provider};
use crate::account::{
    Account, Login, LoginName, NewPasskey, PRINTED_CODES, PasswordHash, Standing, Way,
};
use crate::event::{EVENTS_ARE_KEPT_FOR, Event, EventKind};
use crate::level::{Level, Operation, Recovery};
use crate::port::{self, By, Changes, Loaded};
use crate::refusal::{Failure, Refusal};
use crate::secret::{AccountId, CredentialId, Secret, Seed, SessionId, TokenKind};
use crate::session::{Authenticated, Origin, Session};

/// Sessions, or other items of one account, that are looked at.
const MOST_ITEMS: usize = 500;
/// Letters of a printed code: 60 bits.
const CODE_LETTERS: usize = 12;
const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

impl Provider {
    /// Who is signed in by a session cookie.
    ///
    /// # Errors
    /// [`Refusal::NotSignedIn`].
    pub fn session(&self, token: &Secret, now: OffsetDateTime) -> Result<Authenticated, Failure> {
        let (key, digest) = TokenKind::Session.open(token).ok_or(Refusal::NotSignedIn)?;
        let mut session = self.load::<Session>(&key)?.ok_or(Refusal::NotSignedIn)?;
        let account = self.account(&session.value.account)?;
        if session.value.digest != digest || !session.value.holds(&account.value, now) {
            return Err(Refusal::NotSignedIn.into());
        }
        if session.value.needs_writing(now) {
            session.value.used_at = now;
            let mut changes = Changes::default();
            changes.replace(&session)?;
            match self.store.commit(&changes) {
                // Another request of the session wrote it, or it just ended: the next one sees that.
                Ok(()) | Err(port::StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let level = session.value.level(now);
        Ok(Authenticated {
            session: session.value,
            account: account.value,
            level,
            now,
        })
    }

    /// The sessions of the account that hold, this one among them.
    ///
    /// # Errors
    /// The database fails.
    pub fn sessions(&self, who: &Authenticated) -> Result<Vec<Session>, Failure> {
        let found = port::list::<Session>(
            self.store.as_ref(),
            By::Owner(who.account.id.as_str()),
            MOST_ITEMS,
        )?;
        Ok(found
            .into_iter()
            .map(|session| session.value)
            .filter(|session| session.holds(&who.account, who.now))
            .collect())
    }

    /// Ends a session of the account: this one, or another. What relying parties got in it without `offline_access`
    /// ends too, and they are told.
    ///
    /// # Errors
    /// [`Refusal::Nothing`].
    pub fn end_session(&self, who: &Authenticated, id: &SessionId) -> Result<(), Failure> {
        self.decide(|| {
            let session = self
                .load::<Session>(id.as_str())?
                .filter(|session| session.value.account == who.account.id)
                .ok_or(Refusal::Nothing)?;
            let mut changes = Changes::default();
            changes.remove(&session);
            changes.event(
                Event::new(EventKind::SessionEnded, who.now)
                    .account(&who.account.id)
                    .session(id),
            );
            self.end_grants_of_session(&mut changes, &who.account.id, id, who.now)?;
            Ok(Decision::yes(changes, ()))
        })
    }

    /// Ends all sessions and tokens of the account, this one among them, and forgets the devices.
    ///
    /// # Errors
    /// The database fails.
    pub fn end_everything(&self, who: &Authenticated) -> Result<(), Failure> {
        self.change(who, Operation::TakeBack, |changes, account| {
            self.tell_clients(changes, &account.id, who.now)?;
            account.end_everything();
            account.devices.clear();
            Ok(Event::new(EventKind::SessionEnded, who.now).because("all"))
        })
    }

    /// Freezes the account: no session and no token of it is accepted from now on.
    ///
    /// # Errors
    /// The database fails.
    pub fn freeze(&self, who: &Authenticated, seed: &Seed) -> Result<(), Failure> {
        self.change(who, Operation::Freeze, |changes, account| {
            self.tell_clients(changes, &account.id, who.now)?;
            account.freeze(Way::Browser, who.now);
            self.notify(changes, account, NoticeKind::Frozen, who.now, seed)?;
            Ok(Event::new(EventKind::AccountFrozen, who.now))
        })
    }

    /// Lifts a freeze from a browser, by a key that reaches the level high: only one that came over another way.
    /// Nobody is signed in by it.
    ///
    /// # Errors
    /// [`Refusal::SameWay`], [`Refusal::NotFrozen`], [`Refusal::LevelTooLow`], [`Refusal::WrongCredentials`].
    pub fn unfreeze(
        &self,
        assertion: &super::Assertion,
        origin: &Origin,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<(), Failure> {
        self.decide(|| {
            let mut changes = Changes::default();
            let (mut account, level, factor) =
                match self.judge_key(&mut changes, assertion, origin, now)? {
                    Ok(judged) => judged,
                    Err(refusal) => return Ok(Decision::no(changes, refusal)),
                };
            let needed = Operation::Unlock.level();
            if level < needed {
                return Err(Refusal::LevelTooLow { needed, has: level }.into());
            }
            account.value.unfreeze(Way::Browser, 0)?;
            changes.replace(&account)?;
            self.notify(
                &mut changes,
                &account.value,
                NoticeKind::Unfrozen,
                now,
                seed,
            )?;
            changes.event(
                Event::new(EventKind::AccountUnfrozen, now)
                    .account(&account.value.id)
                    .factor(factor)
                    .network(&origin.network),
            );
            Ok(Decision::yes(changes, ()))
        })
    }

    /// Adds a key. Signing in with it never exceeds the level of this session.
    ///
    /// # Errors
    /// [`Refusal::LevelTooLow`], [`Refusal::KeyInUse`], [`Refusal::TooMany`], [`Refusal::TooLong`].
    pub fn add_key(
        &self,
        who: &Authenticated,
        key: &NewPasskey,
        seed: &Seed,
    ) -> Result<(), Failure> {
        self.change(who, Operation::ChangeRecovery, |changes, account| {
            let login = LoginName::of_key(&key.id);
            if self.load::<Login>(&login)?.is_some() {
                return Err(Refusal::KeyInUse.into());
            }
            account.add_key(key.clone().added(who.level, who.now)?)?;
            changes.insert(&Login {
                key: login,
                account: account.id.clone(),
            })?;
            self.notify(changes, account, NoticeKind::WaysChanged, who.now, seed)?;
            Ok(Event::new(EventKind::CredentialAdded, who.now).level(who.level))
        })
    }

    /// Removes a key, not the last way in. Sessions begun with it go on; the person may end them.
    ///
    /// # Errors
    /// [`Refusal::Nothing`], [`Refusal::LastWayIn`], [`Refusal::LevelTooLow`].
    pub fn remove_key(
        &self,
        who: &Authenticated,
        id: &CredentialId,
        seed: &Seed,
    ) -> Result<(), Failure> {
        self.change(who, Operation::ChangeRecovery, |changes, account| {
            let before = account.passkeys.len();
            account.passkeys.retain(|key| key.id != *id);
            if account.passkeys.len() == before {
                return Err(Refusal::Nothing.into());
            }
            if !account.has_a_way_in() {
                return Err(Refusal::LastWayIn.into());
            }
            if let Some(login) = self.load::<Login>(&LoginName::of_key(id))? {
                changes.remove(&login);
            }
            self.notify(changes, account, NoticeKind::WaysChanged, who.now, seed)?;
            Ok(Event::new(EventKind::CredentialRemoved, who.now))
        })
    }

    /// Sets the password, by its hash, or removes it.
    ///
    /// # Errors
    /// [`Refusal::LevelTooLow`], [`Refusal::LastWayIn`].
    pub fn set_password(
        &self,
        who: &Authenticated,
        hash: Option<&PasswordHash>,
        seed: &Seed,
    ) -> Result<(), Failure> {
        self.change(who, Operation::ChangeRecovery, |changes, account| {
            account.password = hash.cloned();
            if !account.has_a_way_in() {
                return Err(Refusal::LastWayIn.into());
            }
            self.notify(changes, account, NoticeKind::WaysChanged, who.now, seed)?;
            Ok(Event::new(
                if hash.is_some() {
                    EventKind::CredentialAdded
                } else {
                    EventKind::CredentialRemoved
                },
                who.now,
            )
            .because("password"))
        })
    }

    /// Makes a new printed list of codes; the earlier one is void. Each is twelve letters and digits.
    ///
    /// # Errors
    /// [`Refusal::LevelTooLow`].
    pub fn print_codes(&self, who: &Authenticated, seed: &Seed) -> Result<Vec<Secret>, Failure> {
        let codes: Vec<Secret> = (0..PRINTED_CODES)
            .map(|place| Secret::new(seed.text(&format!("list {place}"), LETTERS, CODE_LETTERS)))
            .collect();
        self.change(who, Operation::ChangeRecovery, |changes, account| {
            account.printed_codes = codes.iter().map(Secret::digest).collect();
            self.notify(changes, account, NoticeKind::WaysChanged, who.now, seed)?;
            Ok(Event::new(EventKind::CodesPrinted, who.now))
        })?;
        Ok(codes)
    }

    /// Changes how the account is recovered. By a code, it never exceeds low again until it is changed back.
    ///
    /// # Errors
    /// [`Refusal::LevelTooLow`], [`Refusal::NotProofed`].
    pub fn set_recovery(
        &self,
        who: &Authenticated,
        recovery: Recovery,
        seed: &Seed,
    ) -> Result<(), Failure> {
        self.change(who, Operation::ChangeRecovery, |changes, account| {
            if account.person.is_none() {
                return Err(Refusal::NotProofed.into());
            }
            account.recovery = recovery;
            self.notify(changes, account, NoticeKind::WaysChanged, who.now, seed)?;
            Ok(Event::new(EventKind::RecoveryChanged, who.now))
        })
    }

    /// Removes an address. It hears of it.
    ///
    /// # Errors
    /// [`Refusal::Nothing`], [`Refusal::LevelTooLow`].
    pub fn remove_channel(
        &self,
        who: &Authenticated,
        address: &str,
        seed: &Seed,
    ) -> Result<(), Failure> {
        self.change(who, Operation::ChangeRecovery, |changes, account| {
            self.notify(changes, account, NoticeKind::WaysChanged, who.now, seed)?;
            let before = account.channels.len();
            account
                .channels
                .retain(|channel| channel.address != address);
            if account.channels.len() == before {
                return Err(Refusal::Nothing.into());
            }
            let key = LoginName::Email(address.to_owned(), account.tenant).key();
            if let Some(login) = self.load::<Login>(&key)?
                && login.value.account == account.id
            {
                changes.remove(&login);
            }
            Ok(Event::new(EventKind::ChannelRemoved, who.now))
        })
    }

    /// Forgets a device: the next sign-in from it is one from a new device.
    ///
    /// # Errors
    /// [`Refusal::Nothing`].
    pub fn forget_device(
        &self,
        who: &Authenticated,
        digest: &crate::secret::Digest,
    ) -> Result<(), Failure> {
        self.change(who, Operation::TakeBack, |_, account| {
            let before = account.devices.len();
            account.devices.retain(|device| device.digest != *digest);
            if account.devices.len() == before {
                return Err(Refusal::Nothing.into());
            }
            Ok(Event::new(EventKind::CredentialRemoved, who.now).because("device"))
        })
    }

    /// Forgets what expired, and events older than 12 months; up to so many. Gives how many.
    ///
    /// # Errors
    /// The database fails.
    pub fn forget(&self, now: OffsetDateTime, most: usize) -> Result<u64, Failure> {
        Ok(self.store.forget(now, now - EVENTS_ARE_KEPT_FOR, most)?)
    }

    /// Changes the account of somebody who is signed in, if its state and epoch are as they were then.
    pub(super) fn change(
        &self,
        who: &Authenticated,
        operation: Operation,
        change: impl Fn(&mut Changes, &mut Account) -> Result<Event, Failure>,
    ) -> Result<(), Failure> {
        who.may(operation)?;
        self.decide(|| {
            let mut account: Loaded<Account> = self.account(&who.account.id)?;
            let open = matches!(account.value.standing, Standing::Open);
            if !open || account.value.epoch != who.session.epoch {
                return Err(Refusal::NotSignedIn.into());
            }
            let mut changes = Changes::default();
            let event = change(&mut changes, &mut account.value)?;
            changes.replace(&account)?;
            changes.event(event.account(&who.account.id).session(&who.session.id));
            Ok(Decision::yes(changes, ()))
        })
    }

    /// The account's identifier of a number: for officers and the register's own services.
    ///
    /// # Errors
    /// [`Refusal::NoAccount`].
    pub fn account_of_person(
        &self,
        number: id_registry::PersonalNumber,
        tenant: crate::account::Tenant,
    ) -> Result<AccountId, Failure> {
        Ok(self.person(number, tenant)?.value.id)
    }

    /// The highest level that the holder of the account can reach now, to say what a stronger way would need.
    #[must_use]
    pub fn reachable(who: &Authenticated) -> Level {
        who.account.reachable()
    }
}
