//! The desk: finding out who people are, recovering accounts, freezing them for callers.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use id_registry::PersonalNumber;

use super::officers::OnDuty;
use super::sign_in::proof;
use super::support::{Duty, NoticeKind};
use super::{Decision, Provider};
use crate::account::{Account, Login, LoginName, NewPasskey, Standing, Tenant, Way};
use crate::event::{Event, EventKind};
use crate::level::{Level, Proofing};
use crate::port::{Changes, Item, Kind, Loaded};
use crate::refusal::{Failure, Refusal};
use crate::secret::{AccountId, Digest, Secret, Seed};
use crate::session::{Authenticated, Origin, SignedIn};
use crate::throttle::Counted;

/// How long a printed ticket is good.
const TICKET_LASTS: Duration = Duration::minutes(30);
/// How long a ticket for a screen of the counter is good.
const COUNTER_TICKET_LASTS: Duration = Duration::minutes(5);
/// Letters of tickets: none looks like another.
const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Letters of a ticket: 60 bits.
const TICKET_LETTERS: usize = 12;

/// What a ticket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TicketFor {
    /// The first key of an account.
    FirstKey,
    /// A new key after every other was lost.
    Recovery,
    /// A session at a screen of the counter, for somebody whom a clerk compared.
    Counter,
    /// Not printed by a desk but shown by the person's account page: binds the account to the person at the desk.
    Binding,
}

/// What somebody at a desk holds for a moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TicketItem {
    key: String,
    account: AccountId,
    ticket: TicketFor,
    /// The account's epoch.
    epoch: u64,
    /// For a binding: the key with which the session was begun, if it was one.
    with: Option<crate::secret::CredentialId>,
    until: OffsetDateTime,
}

impl TicketFor {
    /// Whether a key comes of it.
    const fn is_for_a_key(self) -> bool {
        matches!(self, Self::FirstKey | Self::Recovery)
    }

    /// How long it is good.
    const fn lasts(self) -> Duration {
        match self {
            Self::Counter => COUNTER_TICKET_LASTS,
            Self::FirstKey | Self::Recovery | Self::Binding => TICKET_LASTS,
        }
    }
}

impl Item for TicketItem {
    type Kind = Kind;

    const KIND: Kind = Kind::Ticket;

    fn key(&self) -> String {
        self.key.clone()
    }

    fn owner(&self) -> Option<String> {
        Some(self.account.0.clone())
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.until)
    }
}

/// An account as an officer at a desk sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtDesk {
    /// Whether its holder gets a first key: there is no way in yet that counts.
    pub needs_first_key: bool,
    /// Over which way it was frozen, if it is.
    pub frozen: Option<Way>,
    /// Until when signing and issuing wait after a recovery.
    pub careful_until: Option<OffsetDateTime>,
    /// Whether codes of a printed list are left.
    pub has_printed_codes: bool,
}

/// A ticket to print or show: twelve letters and digits, good for half an hour, once.
#[derive(Debug)]
pub struct Ticket {
    /// The letters.
    pub code: Secret,
    /// Until when it is good.
    pub until: OffsetDateTime,
}

fn ticket_key(code: &Secret) -> String {
    let letters: String = code
        .expose()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_uppercase())
        .take(64)
        .collect();
    Digest::of(&[b"ticket", letters.as_bytes()])
        .as_str()
        .to_owned()
}

impl Provider {
    /// The account of a person.
    pub(super) fn person(
        &self,
        number: PersonalNumber,
        tenant: Tenant,
    ) -> Result<Loaded<Account>, Failure> {
        self.account_of(&LoginName::Number(number, tenant))?
            .ok_or_else(|| Refusal::NoAccount.into())
    }

    /// A person without an account came to the desk; the officer compared document, portrait and person. Opens the
    /// account and gives out a ticket for its first key. An account that was opened for somebody represented, or whose
    /// ticket was lost, gets a new one.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`], [`Refusal::HasAccount`], [`Refusal::OwnCase`], [`Refusal::Frozen`].
    pub fn issue_ticket(
        &self,
        by: &OnDuty,
        number: PersonalNumber,
        tenant: Tenant,
        seed: &Seed,
    ) -> Result<Ticket, Failure> {
        by.has(Duty::Desk)?;
        let now = by.now();
        let login = LoginName::Number(number, tenant).key();
        self.decide(|| {
            let mut changes = Changes::default();
            let (id, epoch) = match self.account_of_login(&login)? {
                Some(mut account) => {
                    if !account.value.needs_first_key() {
                        return Err(Refusal::HasAccount.into());
                    }
                    if !account.value.is_open() {
                        return Err(Refusal::Frozen.into());
                    }
                    by.not_about(&account.value.id)?;
                    account.value.found_out(number, Proofing::InPerson, now);
                    changes.replace(&account)?;
                    self.notify(
                        &mut changes,
                        &account.value,
                        NoticeKind::WaysChanged,
                        now,
                        seed,
                    )?;
                    (account.value.id, account.value.epoch)
                }
                None => {
                    let opened = by.event(EventKind::AccountOpened);
                    open_proofed(&mut changes, number, tenant, opened, seed)?
                }
            };
            changes.event(
                by.event(EventKind::AccountProofed)
                    .account(&id)
                    .because("desk"),
            );
            changes.event(by.event(EventKind::TicketIssued).account(&id));
            let ticket = give_ticket(
                &mut changes,
                id,
                TicketFor::FirstKey,
                epoch,
                None,
                now,
                seed,
            )?;
            Ok(Decision::yes(changes, ticket))
        })
    }

    /// Whose ticket it is, before the key is made. Typed tickets are counted by network.
    ///
    /// # Errors
    /// [`Refusal::Over`], [`Refusal::TooManyAttempts`].
    pub fn ticket(
        &self,
        code: &Secret,
        origin: &Origin,
        now: OffsetDateTime,
    ) -> Result<AccountId, Failure> {
        let key = ticket_key(code);
        self.decide(|| match self.load::<TicketItem>(&key)? {
            Some(ticket) if ticket.value.ticket.is_for_a_key() && now < ticket.value.until => {
                Ok(Decision::yes(Changes::default(), ticket.value.account))
            }
            _ => self.wrong_ticket(origin, now),
        })
    }

    /// A ticket that is none is counted. A right one is not held up by others' wrong ones: 60 bits are not guessed.
    pub(super) fn wrong_ticket<T>(
        &self,
        origin: &Origin,
        now: OffsetDateTime,
    ) -> Result<Decision<T>, Failure> {
        let mut changes = Changes::default();
        let counted = [Counted::Typed(&origin.network)];
        Ok(match self.count(&mut changes, &counted, now)? {
            Ok(()) => Decision::no(changes, Refusal::Over),
            Err(until) => Decision::no(Changes::default(), Refusal::TooManyAttempts(until)),
        })
    }

    /// Uses a ticket: the key that the person made is added at the level high, and the person is signed in. After a
    /// recovery no earlier way in, session or token is accepted, and signing and issuing wait for a day.
    ///
    /// # Errors
    /// [`Refusal::Over`], [`Refusal::KeyInUse`].
    pub fn use_ticket(
        &self,
        code: &Secret,
        key: &NewPasskey,
        origin: &Origin,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<SignedIn, Failure> {
        let ticket_key = ticket_key(code);
        self.decide(|| {
            let ticket = self.load::<TicketItem>(&ticket_key)?.ok_or(Refusal::Over)?;
            let mut account = self.account(&ticket.value.account)?;
            if now >= ticket.value.until
                || !ticket.value.ticket.is_for_a_key()
                || ticket.value.epoch != account.value.epoch
            {
                return Err(Refusal::Over.into());
            }
            let mut changes = Changes::default();
            changes.remove(&ticket);
            let added = key.clone().added(Level::High, now)?;
            let login = LoginName::of_key(&added.id);
            if self.load::<Login>(&login)?.is_some() {
                return Err(Refusal::KeyInUse.into());
            }
            changes.insert(&Login {
                key: login,
                account: account.value.id.clone(),
            })?;
            let level = account.value.level(added.factor());
            let proof = proof(added.factor(), level, Some(added.id.clone()), now);
            if ticket.value.ticket == TicketFor::Recovery {
                for old in &account.value.passkeys {
                    if let Some(login) = self.load::<Login>(&LoginName::of_key(&old.id))? {
                        changes.remove(&login);
                    }
                }
                self.notify(
                    &mut changes,
                    &account.value,
                    NoticeKind::Recovered,
                    now,
                    seed,
                )?;
                self.tell_clients(&mut changes, &account.value.id, now)?;
                account.value.recover(added, now);
                changes.event(Event::new(EventKind::RecoveryUsed, now).account(&account.value.id));
            } else {
                account.value.add_key(added)?;
            }
            changes.replace(&account)?;
            changes.event(Event::new(EventKind::CredentialAdded, now).account(&account.value.id));
            self.enter(changes, &mut account, proof, origin, None, now, seed)
        })
    }

    /// A ticket that the person shows to the officer, who binds the account to the person.
    ///
    /// # Errors
    /// [`Refusal::Bound`] if the account is bound already.
    pub fn binding_ticket(&self, who: &Authenticated, seed: &Seed) -> Result<Ticket, Failure> {
        if who.account.person.is_some() {
            return Err(Refusal::Bound.into());
        }
        let with = who
            .session
            .authentications
            .iter()
            .rev()
            .find_map(|proof| proof.key.clone());
        let mut changes = Changes::default();
        let ticket = give_ticket(
            &mut changes,
            who.account.id.clone(),
            TicketFor::Binding,
            who.account.epoch,
            with,
            who.now,
            seed,
        )?;
        self.store.commit(&changes)?;
        Ok(ticket)
    }

    /// The person showed a binding ticket; the officer compared document, portrait and person, and binds the account.
    /// The key with which the person was signed in when the ticket was made counts from now on as added at the desk.
    ///
    /// # Errors
    /// [`Refusal::Over`], [`Refusal::Bound`], [`Refusal::HasAccount`], [`Refusal::OwnCase`], [`Refusal::NotOnDuty`].
    pub fn bind(
        &self,
        by: &OnDuty,
        code: &Secret,
        number: PersonalNumber,
        seed: &Seed,
    ) -> Result<AccountId, Failure> {
        by.has(Duty::Desk)?;
        let key = ticket_key(code);
        self.decide(|| {
            let ticket = self.load::<TicketItem>(&key)?.ok_or(Refusal::Over)?;
            let mut account = self.account(&ticket.value.account)?;
            if by.now() >= ticket.value.until
                || ticket.value.ticket != TicketFor::Binding
                || ticket.value.epoch != account.value.epoch
                || !account.value.is_open()
            {
                return Err(Refusal::Over.into());
            }
            by.not_about(&account.value.id)?;
            let mut changes = Changes::default();
            match account.value.person {
                Some(person) if person != number => return Err(Refusal::Bound.into()),
                Some(_) => {}
                None => {
                    let login = LoginName::Number(number, account.value.tenant).key();
                    match self.load::<Login>(&login)? {
                        // The number by which an earlier provider named it.
                        Some(found) if found.value.account == account.value.id => {}
                        Some(_) => return Err(Refusal::HasAccount.into()),
                        None if account.value.proofing == Proofing::TakenOver => {
                            return Err(Refusal::Bound.into());
                        }
                        None => changes.insert(&Login {
                            key: login,
                            account: account.value.id.clone(),
                        })?,
                    }
                }
            }
            changes.remove(&ticket);
            account.value.bind(number, Proofing::InPerson, by.now());
            for key in &mut account.value.passkeys {
                if ticket.value.with.as_ref() == Some(&key.id) {
                    key.added_at_level = Level::High;
                }
            }
            changes.replace(&account)?;
            self.notify(
                &mut changes,
                &account.value,
                NoticeKind::WaysChanged,
                by.now(),
                seed,
            )?;
            changes.event(
                by.event(EventKind::AccountProofed)
                    .account(&account.value.id)
                    .because("desk"),
            );
            Ok(Decision::yes(changes, account.value.id.clone()))
        })
    }

    /// What an officer at a desk has to know of somebody's account before doing anything; none if there is none.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`].
    pub fn at_desk(
        &self,
        by: &OnDuty,
        number: PersonalNumber,
        tenant: Tenant,
    ) -> Result<Option<AtDesk>, Failure> {
        by.has(Duty::Desk)?;
        let account = self.account_of(&LoginName::Number(number, tenant))?;
        Ok(account.map(|account| AtDesk {
            has_printed_codes: !account.value.printed_codes.is_empty(),
            needs_first_key: account.value.needs_first_key(),
            frozen: match account.value.standing {
                Standing::Open => None,
                Standing::Frozen { way, .. } => Some(way),
            },
            careful_until: account
                .value
                .careful_until
                .filter(|until| by.now() < *until),
        }))
    }

    /// Freezes an account for somebody who called or came, after the officer found out who that is.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`], [`Refusal::NoAccount`].
    pub fn freeze_for(
        &self,
        by: &OnDuty,
        number: PersonalNumber,
        tenant: Tenant,
        way: Way,
        seed: &Seed,
    ) -> Result<(), Failure> {
        by.has(Duty::Desk)?;
        self.decide(|| {
            let mut account = self.person(number, tenant)?;
            let mut changes = Changes::default();
            if !account.value.is_open() {
                return Ok(Decision::yes(changes, ()));
            }
            self.tell_clients(&mut changes, &account.value.id, by.now())?;
            account.value.freeze(way, by.now());
            changes.replace(&account)?;
            self.notify(
                &mut changes,
                &account.value,
                NoticeKind::Frozen,
                by.now(),
                seed,
            )?;
            changes.event(
                by.event(EventKind::AccountFrozen)
                    .account(&account.value.id),
            );
            Ok(Decision::yes(changes, ()))
        })
    }

    /// Lifts a freeze at a counter, where the officer compared the person. One that came over a counter takes two officers:
    /// [`Provider::open_unfreeze`].
    ///
    /// # Errors
    /// [`Refusal::SameWay`], [`Refusal::NotFrozen`], [`Refusal::OwnCase`].
    pub fn unfreeze_for(
        &self,
        by: &OnDuty,
        number: PersonalNumber,
        tenant: Tenant,
        seed: &Seed,
    ) -> Result<(), Failure> {
        by.has(Duty::Desk)?;
        self.decide(|| {
            let mut account = self.person(number, tenant)?;
            by.not_about(&account.value.id)?;
            account.value.unfreeze(Way::Counter, 1)?;
            let mut changes = Changes::default();
            changes.replace(&account)?;
            self.notify(
                &mut changes,
                &account.value,
                NoticeKind::Unfrozen,
                by.now(),
                seed,
            )?;
            changes.event(
                by.event(EventKind::AccountUnfrozen)
                    .account(&account.value.id),
            );
            Ok(Decision::yes(changes, ()))
        })
    }
}

/// Opens the account of a person whom somebody compared, as `opened` says who and when; gives its epoch too.
pub(super) fn open_proofed(
    changes: &mut Changes,
    number: PersonalNumber,
    tenant: Tenant,
    opened: Event,
    seed: &Seed,
) -> Result<(AccountId, u64), Failure> {
    let id = AccountId(seed.id("account"));
    let mut account = Account::open(id.clone(), tenant, opened.at);
    account.bind(number, Proofing::InPerson, opened.at);
    changes.insert(&account)?;
    changes.insert(&Login {
        key: LoginName::Number(number, tenant).key(),
        account: id.clone(),
    })?;
    changes.event(opened.account(&id));
    Ok((id, account.epoch))
}

/// A ticket, and the account of whom it was given to.
type Admitted = (Loaded<TicketItem>, Loaded<Account>);

/// The ticket of these letters that is for a screen of the counter.
pub(super) fn counter_ticket(
    provider: &Provider,
    code: &Secret,
    now: OffsetDateTime,
) -> Result<Option<Admitted>, Failure> {
    let Some(ticket) = provider.load::<TicketItem>(&ticket_key(code))? else {
        return Ok(None);
    };
    if ticket.value.ticket != TicketFor::Counter || now >= ticket.value.until {
        return Ok(None);
    }
    let account = provider.account(&ticket.value.account)?;
    Ok((ticket.value.epoch == account.value.epoch).then_some((ticket, account)))
}

pub(super) fn give_ticket(
    changes: &mut Changes,
    account: AccountId,
    ticket: TicketFor,
    epoch: u64,
    with: Option<crate::secret::CredentialId>,
    now: OffsetDateTime,
    seed: &Seed,
) -> Result<Ticket, Failure> {
    let code = Secret::new(seed.text("ticket", LETTERS, TICKET_LETTERS));
    let until = now + ticket.lasts();
    changes.insert(&TicketItem {
        key: ticket_key(&code),
        account,
        ticket,
        epoch,
        with,
        until,
    })?;
    Ok(Ticket { code, until })
}
