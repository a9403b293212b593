//! Signing in, stepping up, signing up.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use id_registry::PersonalNumber;

use super::support::NoticeKind;
use super::{Decision, Provider};
use crate::account::{
    Account, Channel, ChannelKind, Login, LoginName, Passkey, PasswordHash, Tenant,
};
use crate::event::{Event, EventKind};
use crate::level::{Factor, Level, Proofing};
use crate::port::{Changes, Item, Kind, Loaded};
use crate::refusal::{Failure, Refusal};
use crate::secret::{AccountId, CredentialId, Digest, Secret, Seed, SessionId, TokenKind};
use crate::session::{Authenticated, Authentication, Origin, Session, SignedIn};
use crate::throttle::{Counted, Throttle};

/// How long a code that was sent is accepted.
const CODE_LASTS: Duration = Duration::minutes(5);
/// How often a code may be mistyped.
const CODE_TRIES: u32 = 5;
/// How long the answer of a key is waited for.
const CEREMONY_LASTS: Duration = Duration::minutes(5);
/// Largest state of a verifier that is kept, in bytes.
const LARGEST_CEREMONY: usize = 16 * 1024;
/// Proofs that a session keeps.
const MOST_PROOFS: usize = 8;
/// A known device's last use is known to the day: not every sign-in writes the account.
const DEVICE_STEP: Duration = Duration::days(1);
/// Longest address, in bytes (RFC 5321 4.5.3.1.3).
const LONGEST_ADDRESS: usize = 254;

/// A password that waits to be verified by the service's hasher. Where there is no such account or password, the
/// service verifies against a hash of its own making, so that it takes as long, and reports what came out.
#[derive(Debug)]
pub struct PasswordCheck {
    account: Option<AccountId>,
    hash: Option<PasswordHash>,
}

impl PasswordCheck {
    /// The hash to verify against; none: any.
    #[must_use]
    pub const fn hash(&self) -> Option<&PasswordHash> {
        self.hash.as_ref()
    }
}

/// A code is on its way; the browser keeps the attempt.
#[derive(Debug)]
pub struct CodeSent {
    /// Opens the attempt, together with the code.
    pub attempt: Secret,
    /// What to deliver. None: a code of the printed list is asked for. The answer to the browser is the same.
    pub delivery: Option<Delivery>,
}

/// What to deliver to an address.
#[derive(Debug)]
pub struct Delivery {
    /// The address.
    pub channel: Channel,
    /// The code; none: that this address has an account already.
    pub code: Option<Secret>,
}

/// The answer of a key, after the verifier checked its signature, origin and challenge.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// The credential id.
    pub id: CredentialId,
    /// Whether the key asked who holds it (user verification).
    pub user_verified: bool,
    /// Its signature counter.
    pub counter: u32,
}

/// The holder of an identity card, after TLS and the certificate's chain, status and purpose were checked.
#[derive(Debug, Clone, Copy)]
pub struct CardHolder {
    /// The number in the certificate.
    pub number: PersonalNumber,
    /// Whom the certificate's authority serves.
    pub tenant: Tenant,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "for")]
enum Purpose {
    /// After the right password; nobody's if there is no such account.
    SignIn { account: AccountId },
    /// For a new account.
    SignUp { address: String, tenant: Tenant },
    /// For a new address of an account.
    Channel {
        account: AccountId,
        kind: ChannelKind,
        address: String,
    },
}

/// A code that is waited for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Attempt {
    key: String,
    purpose: Purpose,
    /// Over the attempt's token and the code: who steals the database has neither.
    code: Option<Digest>,
    digest: Digest,
    tries: u32,
    until: OffsetDateTime,
}

impl Item for Attempt {
    const KIND: Kind = Kind::Attempt;

    fn key(&self) -> String {
        self.key.clone()
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.until)
    }
}

/// What the verifier of keys keeps between question and answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ceremony {
    key: String,
    digest: Digest,
    state: String,
    until: OffsetDateTime,
}

impl Item for Ceremony {
    const KIND: Kind = Kind::Ceremony;

    fn key(&self) -> String {
        self.key.clone()
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.until)
    }
}

/// Whose key it is, what it gives, and as what.
type Judged = (Loaded<Account>, Level, Factor);

impl Provider {
    /// Begins a sign-in by password. The attempt is counted before it is judged.
    ///
    /// # Errors
    /// [`Refusal::TooManyAttempts`].
    pub fn begin_password(
        &self,
        name: &LoginName,
        origin: &Origin,
        now: OffsetDateTime,
    ) -> Result<PasswordCheck, Failure> {
        self.decide(|| {
            let account = self.account_of(name)?;
            let login = name.key();
            let device = origin
                .device
                .as_ref()
                .and_then(|token| TokenKind::Device.open(token));
            let known = account
                .as_ref()
                .zip(device)
                .and_then(|(account, (of, digest))| {
                    (of == account.value.id.0 && account.value.known_device(&digest))
                        .then_some(digest)
                });
            let mut changes = Changes::default();
            let counted: &[Counted<'_>] = match &known {
                Some(digest) => &[Counted::Device(digest)],
                None => &[
                    Counted::LoginFromNetwork(&login, &origin.network),
                    Counted::Login(&login),
                    Counted::Network(&origin.network),
                ],
            };
            if let Err(until) = self.count(&mut changes, counted, now)? {
                let mut event =
                    Event::new(EventKind::SignInThrottled, now).network(&origin.network);
                if let Some(account) = &account {
                    event = event.account(&account.value.id);
                }
                let mut changes = Changes::default();
                changes.event(event);
                return Ok(Decision::no(changes, Refusal::TooManyAttempts(until)));
            }
            let account = account.map(|account| account.value);
            let check = PasswordCheck {
                hash: account
                    .as_ref()
                    .and_then(|account| account.password.clone()),
                account: account.map(|account| account.id),
            };
            Ok(Decision::yes(changes, check))
        })
    }

    /// Counts an attempt in each of these, if all have room.
    pub(super) fn count(
        &self,
        changes: &mut Changes,
        counted: &[Counted<'_>],
        now: OffsetDateTime,
    ) -> Result<Result<(), OffsetDateTime>, Failure> {
        for counted in counted {
            let found = self.load::<Throttle>(&counted.key())?;
            match found {
                Some(mut throttle) => {
                    if let Err(until) = throttle.value.take(*counted, now) {
                        return Ok(Err(until));
                    }
                    changes.replace(&throttle)?;
                }
                None => {
                    let mut throttle = Throttle::new(*counted, now);
                    if let Err(until) = throttle.take(*counted, now) {
                        return Ok(Err(until));
                    }
                    changes.insert(&throttle)?;
                }
            }
        }
        Ok(Ok(()))
    }

    /// Goes on after the password was verified: `matches` says what the hasher found. A code is sent to the first
    /// address of the account, unless the person wants to use the printed list.
    ///
    /// # Errors
    /// [`Refusal::WrongCredentials`], also where there is no such account.
    pub fn finish_password(
        &self,
        check: &PasswordCheck,
        matches: bool,
        origin: &Origin,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<CodeSent, Failure> {
        self.decide(|| {
            let mut changes = Changes::default();
            let known = check
                .account
                .as_ref()
                .filter(|_| matches && check.hash.is_some());
            let Some(id) = known else {
                let mut event = Event::new(EventKind::SignInFailed, now)
                    .network(&origin.network)
                    .because("password");
                if let Some(account) = &check.account {
                    event = event.account(account);
                }
                changes.event(event);
                return Ok(Decision::no(changes, Refusal::WrongCredentials));
            };
            let account = self.account(id)?;
            if account.value.password != check.hash {
                return Ok(Decision::no(changes, Refusal::Over));
            }
            let channel = account.value.channels.first().cloned();
            let purpose = Purpose::SignIn {
                account: id.clone(),
            };
            let sent = attempt(&mut changes, purpose, channel, now, seed)?;
            Ok(Decision::yes(changes, sent))
        })
    }

    /// Begins to open an account that belongs to nobody in particular, by an e-mail address.
    ///
    /// # Errors
    /// [`Refusal::TooManyAttempts`], [`Refusal::TooLong`].
    pub fn begin_sign_up(
        &self,
        address: &str,
        tenant: Tenant,
        origin: &Origin,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<CodeSent, Failure> {
        let address = email(address)?;
        self.decide(|| {
            let mut changes = Changes::default();
            let counted = [Counted::Typed(&origin.network)];
            if let Err(until) = self.count(&mut changes, &counted, now)? {
                return Ok(Decision::no(
                    Changes::default(),
                    Refusal::TooManyAttempts(until),
                ));
            }
            let taken = self
                .account_of(&LoginName::Email(address.clone(), tenant))?
                .is_some();
            let channel = Channel {
                kind: ChannelKind::Email,
                address: address.clone(),
                confirmed_at: now,
            };
            let purpose = Purpose::SignUp {
                address: address.clone(),
                tenant,
            };
            let mut sent = attempt(&mut changes, purpose, Some(channel), now, seed)?;
            if taken && let Some(delivery) = &mut sent.delivery {
                delivery.code = None;
            }
            Ok(Decision::yes(changes, sent))
        })
    }

    /// Begins to add an address.
    ///
    /// # Errors
    /// The level is too low, the address is none, or there are too many.
    pub fn begin_channel(
        &self,
        who: &Authenticated,
        kind: ChannelKind,
        address: &str,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<CodeSent, Failure> {
        who.may(crate::level::Operation::ChangeRecovery)?;
        let address = match kind {
            ChannelKind::Email => email(address)?,
            ChannelKind::Phone => phone(address)?,
        };
        self.decide(|| {
            let mut changes = Changes::default();
            let channel = Channel {
                kind,
                address: address.clone(),
                confirmed_at: now,
            };
            let purpose = Purpose::Channel {
                account: who.account.id.clone(),
                kind,
                address: address.clone(),
            };
            let sent = attempt(&mut changes, purpose, Some(channel), now, seed)?;
            Ok(Decision::yes(changes, sent))
        })
    }

    /// Ends an attempt with the code that was sent, or one of the printed list: somebody is signed in, an account is
    /// opened, or an address added.
    ///
    /// # Errors
    /// [`Refusal::WrongCredentials`] for a wrong code, [`Refusal::Over`] after five, [`Refusal::Frozen`].
    pub fn finish_code(
        &self,
        token: &Secret,
        code: &Secret,
        origin: &Origin,
        current: Option<&Secret>,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<SignedIn, Failure> {
        let (key, digest) = TokenKind::Attempt.open(token).ok_or(Refusal::Over)?;
        self.decide(|| {
            let mut attempt = self.load::<Attempt>(&key)?.ok_or(Refusal::Over)?;
            if attempt.value.digest != digest
                || now >= attempt.value.until
                || attempt.value.tries >= CODE_TRIES
            {
                return Err(Refusal::Over.into());
            }
            let mut changes = Changes::default();
            let typed: String = code
                .expose()
                .chars()
                .filter(|c| c.is_alphanumeric())
                .collect();
            let typed = typed.to_uppercase();
            let given = Digest::of(&[token.expose().as_bytes(), typed.as_bytes()]);
            let sent = attempt.value.code.as_ref() == Some(&given);
            let printed = Secret::new(typed.as_str()).digest();
            let mut account = match &attempt.value.purpose {
                Purpose::SignIn { account } | Purpose::Channel { account, .. } => {
                    Some(self.account(account)?)
                }
                Purpose::SignUp { .. } => None,
            };
            let on_list = match (&attempt.value.purpose, &account) {
                (Purpose::SignIn { .. }, Some(account)) => account
                    .value
                    .printed_codes
                    .iter()
                    .position(|kept| *kept == printed),
                _ => None,
            };
            if !sent && on_list.is_none() {
                attempt.value.tries += 1;
                changes.replace(&attempt)?;
                let mut event = Event::new(EventKind::SignInFailed, now)
                    .network(&origin.network)
                    .because("code");
                if let Some(account) = &account {
                    event = event.account(&account.value.id);
                }
                changes.event(event);
                return Ok(Decision::no(changes, Refusal::WrongCredentials));
            }
            changes.remove(&attempt);
            match (&attempt.value.purpose, &mut account) {
                (Purpose::SignIn { .. }, Some(account)) => {
                    if let Some(place) = on_list {
                        account.value.printed_codes.remove(place);
                        // The list is shorter by the code, so the account is written.
                        changes.replace(account)?;
                    }
                    let factor = if sent {
                        Factor::SentCode
                    } else {
                        Factor::PrintedCode
                    };
                    let level = account.value.level(factor);
                    let proof = proof(factor, level, None, now);
                    self.enter(changes, account, proof, origin, current, now, seed)
                }
                (Purpose::Channel { kind, address, .. }, Some(account)) => {
                    self.confirmed(changes, account, *kind, address, origin, current, now, seed)
                }
                (Purpose::SignUp { address, tenant }, _) => {
                    let id = AccountId(seed.id("account"));
                    let mut opened = Account::open(id.clone(), *tenant, now);
                    opened.channels.push(Channel {
                        kind: ChannelKind::Email,
                        address: address.clone(),
                        confirmed_at: now,
                    });
                    let login = Login {
                        key: LoginName::Email(address.clone(), *tenant).key(),
                        account: id.clone(),
                    };
                    if self.load::<Login>(&login.key)?.is_some() {
                        return Err(Refusal::Over.into());
                    }
                    changes.insert(&login)?;
                    changes.event(Event::new(EventKind::AccountOpened, now).account(&id));
                    let proof = proof(Factor::SentCode, Level::Low, None, now);
                    self.enter_new(changes, opened, proof, origin, now, seed)
                }
                _ => Err(Refusal::Over.into()),
            }
        })
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one step of a decision, with what the decision was given"
    )]
    fn confirmed(
        &self,
        mut changes: Changes,
        account: &mut Loaded<Account>,
        kind: ChannelKind,
        address: &str,
        origin: &Origin,
        current: Option<&Secret>,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Decision<SignedIn>, Failure> {
        if account.value.channels.len() >= crate::account::MOST_CHANNELS {
            return Err(Refusal::TooMany("addresses").into());
        }
        // Earlier addresses hear of the new one.
        self.notify(
            &mut changes,
            &account.value,
            NoticeKind::WaysChanged,
            now,
            seed,
        )?;
        account.value.channels.push(Channel {
            kind,
            address: address.to_owned(),
            confirmed_at: now,
        });
        if kind == ChannelKind::Email && account.value.person.is_none() {
            let key = LoginName::Email(address.to_owned(), account.value.tenant).key();
            if self.load::<Login>(&key)?.is_none() {
                changes.insert(&Login {
                    key,
                    account: account.value.id.clone(),
                })?;
            }
        }
        changes.replace(account)?;
        changes.event(Event::new(EventKind::ChannelAdded, now).account(&account.value.id));
        let session = current.ok_or(Refusal::NotSignedIn)?;
        let who = self.session(session, now)?;
        if who.account.id != account.value.id {
            return Err(Refusal::OtherAccount.into());
        }
        who.may(crate::level::Operation::ChangeRecovery)?;
        Ok(Decision::yes(
            changes,
            SignedIn {
                session: session.clone(),
                device: origin.device.clone().unwrap_or_else(|| Secret::new("")),
                account: account.value.id.clone(),
                id: who.session.id,
                level: who.level,
                new_device: false,
            },
        ))
    }

    /// The key of a credential id and the account it belongs to, for the verifier.
    ///
    /// # Errors
    /// The database fails.
    pub fn passkey(&self, id: &CredentialId) -> Result<Option<(AccountId, Passkey)>, Failure> {
        let Some(account) = self.account_of_login(&LoginName::of_key(id))? else {
            return Ok(None);
        };
        let key = account.value.passkey(id).cloned();
        Ok(key.map(|key| (account.value.id, key)))
    }

    /// Signs in, or steps up the current session, by a key.
    ///
    /// # Errors
    /// [`Refusal::WrongCredentials`], [`Refusal::NotVerified`], [`Refusal::KeyCopied`], [`Refusal::Frozen`],
    /// [`Refusal::OtherAccount`].
    pub fn sign_in_with_key(
        &self,
        assertion: &Assertion,
        origin: &Origin,
        current: Option<&Secret>,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<SignedIn, Failure> {
        self.decide(|| {
            let mut changes = Changes::default();
            let (mut account, level, factor) =
                match self.judge_key(&mut changes, assertion, origin, now)? {
                    Ok(judged) => judged,
                    Err(refusal) => return Ok(Decision::no(changes, refusal)),
                };
            let proof = proof(factor, level, Some(assertion.id.clone()), now);
            self.enter(changes, &mut account, proof, origin, current, now, seed)
        })
    }

    /// Whose key it is and what it gives; the account with its counter moved on.
    pub(super) fn judge_key(
        &self,
        changes: &mut Changes,
        assertion: &Assertion,
        origin: &Origin,
        now: OffsetDateTime,
    ) -> Result<Result<Judged, Refusal>, Failure> {
        let Some(mut account) = self.account_of_login(&LoginName::of_key(&assertion.id))? else {
            return Ok(Err(Refusal::WrongCredentials));
        };
        let failed = |kind, why| {
            Event::new(kind, now)
                .account(&account.value.id)
                .network(&origin.network)
                .because(why)
        };
        let unverified = failed(EventKind::SignInFailed, "user verification");
        let copied = failed(EventKind::KeyCopied, "counter");
        let Some(place) = account
            .value
            .passkeys
            .iter()
            .position(|key| key.id == assertion.id)
        else {
            return Ok(Err(Refusal::WrongCredentials));
        };
        let Some(key) = account.value.passkeys.get(place).cloned() else {
            return Ok(Err(Refusal::WrongCredentials));
        };
        if !assertion.user_verified {
            changes.event(unverified);
            return Ok(Err(Refusal::NotVerified));
        }
        let counts = key.counter > 0 || assertion.counter > 0;
        if counts && assertion.counter <= key.counter {
            changes.event(copied);
            return Ok(Err(Refusal::KeyCopied));
        }
        let level = account.value.level_of_key(&key);
        let stale = key.used_at.is_none_or(|at| now >= at + DEVICE_STEP);
        if (counts || stale)
            && let Some(key) = account.value.passkeys.get_mut(place)
        {
            key.counter = assertion.counter;
            key.used_at = Some(now);
            changes.replace(&account)?;
        }
        Ok(Ok((account, level, key.factor())))
    }

    /// Signs in, or steps up the current session, by an identity card. The first time, the card also finds out who the
    /// person is: an account is opened for the number, or the current one, which belonged to nobody, is bound to it.
    ///
    /// # Errors
    /// [`Refusal::WrongCredentials`] if the account does not have the card as a way in, [`Refusal::Frozen`],
    /// [`Refusal::OtherAccount`].
    pub fn sign_in_with_card(
        &self,
        card: CardHolder,
        origin: &Origin,
        current: Option<&Secret>,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<SignedIn, Failure> {
        let name = LoginName::Number(card.number, card.tenant);
        self.decide(|| {
            let mut changes = Changes::default();
            let key = name.key();
            let with_card = |account: &mut Account| {
                account.bind(card.number, Proofing::CardCertificate, now);
                account.card = true;
            };
            if let Some(mut account) = self.account_of_login(&key)? {
                let proofed = matches!(
                    account.value.proofing,
                    Proofing::InPerson | Proofing::CardCertificate
                );
                if !account.value.card && (proofed || account.value.is_careful(now)) {
                    changes.event(
                        Event::new(EventKind::SignInFailed, now)
                            .account(&account.value.id)
                            .network(&origin.network)
                            .because("card"),
                    );
                    return Ok(Decision::no(changes, Refusal::WrongCredentials));
                }
                if !proofed {
                    with_card(&mut account.value);
                    changes.replace(&account)?;
                    changes.event(
                        Event::new(EventKind::AccountProofed, now)
                            .account(&account.value.id)
                            .because("card"),
                    );
                }
                let level = account.value.level(Factor::Card);
                let proof = proof(Factor::Card, level, None, now);
                return self.enter(changes, &mut account, proof, origin, current, now, seed);
            }
            let unbound = match current {
                Some(token) => {
                    let who = self.session(token, now)?;
                    if who.account.person.is_some() || who.account.tenant != card.tenant {
                        return Err(Refusal::OtherAccount.into());
                    }
                    Some(self.account(&who.account.id)?)
                }
                None => None,
            };
            let id = match &unbound {
                Some(account) => account.value.id.clone(),
                None => AccountId(seed.id("account")),
            };
            changes.insert(&Login {
                key,
                account: id.clone(),
            })?;
            changes.event(
                Event::new(EventKind::AccountProofed, now)
                    .account(&id)
                    .because("card"),
            );
            if let Some(mut account) = unbound {
                with_card(&mut account.value);
                changes.replace(&account)?;
                let level = account.value.level(Factor::Card);
                let proof = proof(Factor::Card, level, None, now);
                return self.enter(changes, &mut account, proof, origin, current, now, seed);
            }
            let mut account = Account::open(id.clone(), card.tenant, now);
            with_card(&mut account);
            changes.event(Event::new(EventKind::AccountOpened, now).account(&id));
            let level = account.level(Factor::Card);
            let proof = proof(Factor::Card, level, None, now);
            self.enter_new(changes, account, proof, origin, now, seed)
        })
    }

    /// Begins a session for an account that this decision opens.
    pub(super) fn enter_new(
        &self,
        mut changes: Changes,
        mut account: Account,
        proof: Authentication,
        origin: &Origin,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Decision<SignedIn>, Failure> {
        let secret = seed.secret("device");
        account.see_device(secret.digest(), &origin.label, now);
        changes.insert(&account)?;
        let device = TokenKind::Device.token(&account.id.0, &secret);
        let signed_in = begin(&mut changes, &account, proof, origin, device, now, seed)?;
        Ok(Decision::yes(changes, signed_in))
    }

    /// Begins a session, or adds a proof to the current one, which then has a new secret. The account may be written
    /// by the decision already.
    #[allow(
        clippy::too_many_arguments,
        reason = "one step of a decision, with what the decision was given"
    )]
    pub(super) fn enter(
        &self,
        mut changes: Changes,
        account: &mut Loaded<Account>,
        proof: Authentication,
        origin: &Origin,
        current: Option<&Secret>,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Decision<SignedIn>, Failure> {
        if !account.value.is_open() {
            // Nothing of the decision counts but that it was tried.
            let mut changes = Changes::default();
            changes.event(
                Event::new(EventKind::SignInFailed, now)
                    .account(&account.value.id)
                    .network(&origin.network)
                    .factor(proof.factor)
                    .because("frozen"),
            );
            return Ok(Decision::no(changes, Refusal::Frozen));
        }
        let going_on = match current {
            Some(token) => self.going_on(token, &account.value, now)?,
            None => None,
        };
        let (device, new_device) = self.recognise(&mut changes, account, origin, now, seed)?;
        if let Some(mut session) = going_on {
            let secret = seed.secret("session");
            session.value.digest = secret.digest();
            session.value.used_at = now;
            let factor = proof.factor;
            session.value.authentications.push(proof);
            if session.value.authentications.len() > MOST_PROOFS {
                session.value.authentications.remove(0);
            }
            let level = session.value.level(now);
            changes.replace(&session)?;
            changes.event(
                Event::new(EventKind::SteppedUp, now)
                    .account(&account.value.id)
                    .session(&session.value.id)
                    .factor(factor)
                    .level(level)
                    .network(&origin.network),
            );
            let signed_in = SignedIn {
                session: TokenKind::Session.token(&session.value.id.0, &secret),
                device,
                account: account.value.id.clone(),
                id: session.value.id.clone(),
                level,
                new_device,
            };
            return Ok(Decision::yes(changes, signed_in));
        }
        let mut signed_in = begin(
            &mut changes,
            &account.value,
            proof,
            origin,
            device,
            now,
            seed,
        )?;
        signed_in.new_device = new_device;
        Ok(Decision::yes(changes, signed_in))
    }

    /// The current session, if it holds and is of the same account.
    fn going_on(
        &self,
        token: &Secret,
        account: &Account,
        now: OffsetDateTime,
    ) -> Result<Option<Loaded<Session>>, Failure> {
        let Some((key, digest)) = TokenKind::Session.open(token) else {
            return Ok(None);
        };
        let Some(session) = self.load::<Session>(&key)? else {
            return Ok(None);
        };
        if session.value.digest != digest {
            return Ok(None);
        }
        if session.value.account != account.id {
            let other = self.account(&session.value.account)?;
            return if session.value.holds(&other.value, now) {
                Err(Refusal::OtherAccount.into())
            } else {
                Ok(None)
            };
        }
        Ok(session.value.holds(account, now).then_some(session))
    }

    /// The device's cookie, an old or a new one, and whether the device is new to an account that knew others. Where
    /// it is, the person is told.
    fn recognise(
        &self,
        changes: &mut Changes,
        account: &mut Loaded<Account>,
        origin: &Origin,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<(Secret, bool), Failure> {
        let shown = origin
            .device
            .as_ref()
            .and_then(|token| Some((token, TokenKind::Device.open(token)?)))
            .filter(|(_, (of, digest))| {
                *of == account.value.id.0 && account.value.known_device(digest)
            });
        if let Some((token, (_, digest))) = shown {
            let seen = account
                .value
                .devices
                .iter()
                .find(|device| device.digest == digest);
            if seen.is_some_and(|device| now >= device.last_seen + DEVICE_STEP) {
                account.value.see_device(digest, &origin.label, now);
                changes.replace(account)?;
            } else {
                changes.rests_on(account);
            }
            return Ok((token.clone(), false));
        }
        let is_new = !account.value.devices.is_empty();
        if is_new {
            self.notify(changes, &account.value, NoticeKind::NewDevice, now, seed)?;
            changes.event(
                Event::new(EventKind::SignedInFromNewDevice, now)
                    .account(&account.value.id)
                    .network(&origin.network),
            );
        }
        let secret = seed.secret("device");
        account
            .value
            .see_device(secret.digest(), &origin.label, now);
        changes.replace(account)?;
        Ok((
            TokenKind::Device.token(&account.value.id.0, &secret),
            is_new,
        ))
    }

    /// Keeps what the verifier of keys needs when the answer comes.
    ///
    /// # Errors
    /// [`Refusal::TooLong`] over 16 KiB.
    pub fn keep_ceremony(
        &self,
        state: String,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Secret, Failure> {
        if state.len() > LARGEST_CEREMONY {
            return Err(Refusal::TooLong.into());
        }
        let secret = seed.secret("ceremony");
        let ceremony = Ceremony {
            key: seed.id("ceremony key"),
            digest: secret.digest(),
            state,
            until: now + CEREMONY_LASTS,
        };
        let mut changes = Changes::default();
        changes.insert(&ceremony)?;
        self.store.commit(&changes)?;
        Ok(TokenKind::Ceremony.token(&ceremony.key, &secret))
    }

    /// Gives what was kept, once.
    ///
    /// # Errors
    /// [`Refusal::Over`].
    pub fn take_ceremony(&self, token: &Secret, now: OffsetDateTime) -> Result<String, Failure> {
        let (key, digest) = TokenKind::Ceremony.open(token).ok_or(Refusal::Over)?;
        self.decide(|| {
            let ceremony = self.load::<Ceremony>(&key)?.ok_or(Refusal::Over)?;
            if ceremony.value.digest != digest || now >= ceremony.value.until {
                return Err(Refusal::Over.into());
            }
            let mut changes = Changes::default();
            changes.remove(&ceremony);
            Ok(Decision::yes(changes, ceremony.value.state.clone()))
        })
    }
}

pub(super) fn proof(
    factor: Factor,
    level: Level,
    key: Option<CredentialId>,
    at: OffsetDateTime,
) -> Authentication {
    Authentication {
        factor,
        level,
        key,
        at,
    }
}

/// Begins a session.
fn begin(
    changes: &mut Changes,
    account: &Account,
    proof: Authentication,
    origin: &Origin,
    device: Secret,
    now: OffsetDateTime,
    seed: &Seed,
) -> Result<SignedIn, Failure> {
    let id = SessionId(seed.id("session id"));
    let secret = seed.secret("session");
    let session = Session {
        id: id.clone(),
        account: account.id.clone(),
        tenant: account.tenant,
        digest: secret.digest(),
        epoch: account.epoch,
        authentications: vec![proof.clone()],
        label: crate::account::bounded(&origin.label),
        network: origin.network.clone(),
        begun_at: now,
        used_at: now,
    };
    changes.insert(&session)?;
    changes.event(
        Event::new(EventKind::SignedIn, now)
            .account(&account.id)
            .session(&id)
            .factor(proof.factor)
            .level(proof.level)
            .network(&origin.network),
    );
    Ok(SignedIn {
        session: TokenKind::Session.token(&id.0, &secret),
        device,
        account: account.id.clone(),
        id,
        level: proof.level,
        new_device: false,
    })
}

/// Begins to wait for a code.
fn attempt(
    changes: &mut Changes,
    purpose: Purpose,
    channel: Option<Channel>,
    now: OffsetDateTime,
    seed: &Seed,
) -> Result<CodeSent, Failure> {
    let secret = seed.secret("attempt");
    let key = seed.id("attempt key");
    let token = TokenKind::Attempt.token(&key, &secret);
    let code = Secret::new(seed.text("code", b"0123456789", 8));
    let digest = Digest::of(&[token.expose().as_bytes(), code.expose().as_bytes()]);
    changes.insert(&Attempt {
        key,
        purpose,
        code: channel.as_ref().map(|_| digest),
        digest: secret.digest(),
        tries: 0,
        until: now + CODE_LASTS,
    })?;
    Ok(CodeSent {
        attempt: token,
        delivery: channel.map(|channel| Delivery {
            channel,
            code: Some(code),
        }),
    })
}

/// An e-mail address in lower case, if it may be one: what is before and after the one `@` is not empty, and nothing
/// in it ends a header. Whether it is one is found out by the code that is sent to it.
fn email(address: &str) -> Result<String, Refusal> {
    let address = address.trim().to_lowercase();
    let well_formed = address.len() <= LONGEST_ADDRESS
        && !address.chars().any(|c| c.is_whitespace() || c.is_control())
        && address.split_once('@').is_some_and(|(before, after)| {
            !before.is_empty() && after.contains('.') && !after.contains('@')
        });
    well_formed.then_some(address).ok_or(Refusal::TooLong)
}

/// A phone number in E.164 form.
fn phone(number: &str) -> Result<String, Refusal> {
    let digits: String = number
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '(' | ')'))
        .collect();
    let well_formed = digits.strip_prefix('+').is_some_and(|rest| {
        (8..=15).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_digit())
    });
    well_formed.then_some(digits).ok_or(Refusal::TooLong)
}
