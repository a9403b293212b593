//! Signing in by password and code, signing up, adding an address: whatever waits for a code.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::sign_in::proof;
use super::support::NoticeKind;
use super::{Decision, Provider};
use crate::account::{Account, Channel, ChannelKind, Login, LoginName, PasswordHash, Tenant};
use crate::event::{Event, EventKind};
use crate::level::{Factor, Level};
use crate::port::{Changes, Item, Kind, Loaded};
use crate::refusal::{Failure, Refusal};
use crate::secret::{AccountId, Digest, Secret, Seed, TokenKind};
use crate::session::{Authenticated, Origin, SignedIn};
use crate::throttle::{Counted, Throttle};

/// How long a code that was sent is accepted.
const CODE_LASTS: Duration = Duration::minutes(5);
/// How often a code may be mistyped.
const CODE_TRIES: u32 = 5;
/// Longest address, in bytes (RFC 5321 4.5.3.1.3).
const LONGEST_ADDRESS: usize = 254;

/// A password that waits to be verified by the service's hasher. Where there is no such account or password, the
/// service verifies against a hash of its own making, so that it takes as long, and reports what came out.
#[derive(Debug)]
pub struct PasswordCheck {
    pub(super) account: Option<AccountId>,
    pub(super) hash: Option<PasswordHash>,
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

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "for")]
enum Purpose {
    /// After the right password; nobody's if there is no such account.
    SignIn {
        account: AccountId,
        /// The account's epoch: a freeze or recovery ends what was begun before.
        #[serde(default)]
        epoch: u64,
    },
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
    type Kind = Kind;

    const KIND: Kind = Kind::Attempt;

    fn key(&self) -> String {
        self.key.clone()
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.until)
    }
}

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
                // Once in its time; see `count`.
                if !changes.is_empty() {
                    let mut event =
                        Event::new(EventKind::SignInThrottled, now).network(&origin.network);
                    if let Some(account) = &account {
                        event = event.account(&account.value.id);
                    }
                    changes.event(event);
                }
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

    /// Counts an attempt in each of these, if all have room. Otherwise nothing is counted, and the changes are empty but
    /// where it is the first time.
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
                    if let Err(full) = throttle.value.take(*counted, now) {
                        *changes = Changes::default();
                        if full.is_news {
                            changes.replace(&throttle)?;
                        }
                        return Ok(Err(full.until));
                    }
                    changes.replace(&throttle)?;
                }
                None => {
                    let mut throttle = Throttle::new(*counted, now);
                    if let Err(full) = throttle.take(*counted, now) {
                        return Ok(Err(full.until));
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
                epoch: account.value.epoch,
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
            // As for attempts at a password: nobody's letter box is filled, and nobody keeps others of a network out.
            let login = LoginName::Email(address.clone(), tenant);
            let place = format!("sign-up {}", login.key());
            let counted = [
                Counted::LoginFromNetwork(&place, &origin.network),
                Counted::Login(&place),
                Counted::Network(&origin.network),
            ];
            if let Err(until) = self.count(&mut changes, &counted, now)? {
                return Ok(Decision::no(
                    Changes::default(),
                    Refusal::TooManyAttempts(until),
                ));
            }
            let taken = self.account_of(&login)?.is_some();
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
    /// The level is too low, the address is none, there are too many, or [`Refusal::TooManyAttempts`].
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
            // A code goes to an address that may be anybody's.
            let counted = [Counted::Typed(who.account.id.as_str())];
            if let Err(until) = self.count(&mut changes, &counted, now)? {
                return Ok(Decision::no(
                    Changes::default(),
                    Refusal::TooManyAttempts(until),
                ));
            }
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
                Purpose::SignIn { account, .. } | Purpose::Channel { account, .. } => {
                    Some(self.account(account)?)
                }
                Purpose::SignUp { .. } => None,
            };
            if let (Purpose::SignIn { epoch, .. }, Some(account)) =
                (&attempt.value.purpose, &account)
                && account.value.epoch != *epoch
            {
                return Err(Refusal::Over.into());
            }
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
pub(super) fn email(address: &str) -> Result<String, Refusal> {
    let address = address.trim().to_lowercase();
    let well_formed = address.len() <= LONGEST_ADDRESS
        && !address.chars().any(|c| c.is_whitespace() || c.is_control())
        && address.split_once('@').is_some_and(|(before, after)| {
            !before.is_empty() && after.contains('.') && !after.contains('@')
        });
    well_formed.then_some(address).ok_or(Refusal::TooLong)
}

/// A phone number in E.164 form.
pub(super) fn phone(number: &str) -> Result<String, Refusal> {
    let digits: String = number
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '(' | ')'))
        .collect();
    let well_formed = digits.strip_prefix('+').is_some_and(|rest| {
        (8..=15).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_digit())
    });
    well_formed.then_some(digits).ok_or(Refusal::TooLong)
}
