//! Signing in and stepping up, by a key or a card.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use id_registry::PersonalNumber;

use super::support::NoticeKind;
use super::{Decision, Provider};
use crate::account::{Account, Login, LoginName, Passkey, Tenant};
use crate::event::{Event, EventKind};
use crate::level::{Factor, Level, Operation, Proofing};
use crate::port::{Changes, Item, Kind, Loaded};
use crate::refusal::{Failure, Refusal};
use crate::secret::{AccountId, CredentialId, Digest, Secret, Seed, SessionId, TokenKind};
use crate::session::{Authentication, Origin, Session, SignedIn};

/// How long the answer of a key is waited for.
const CEREMONY_LASTS: Duration = Duration::minutes(5);
/// Largest state of a verifier that is kept, in bytes.
const LARGEST_CEREMONY: usize = 16 * 1024;
/// Proofs that a session keeps.
const MOST_PROOFS: usize = 8;
/// A known device's last use is known to the day: not every sign-in writes the account.
const DEVICE_STEP: Duration = Duration::days(1);

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

/// What the verifier of keys keeps between question and answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ceremony {
    key: String,
    digest: Digest,
    state: String,
    until: OffsetDateTime,
}

impl Item for Ceremony {
    type Kind = Kind;

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
    /// person is: an account is opened for the number, or the current one, which belonged to nobody, is bound to it. Who
    /// was proofed otherwise shows the card while signed in at the level high: from then on it is a way in.
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
                account.found_out(card.number, Proofing::CardCertificate, now);
                account.card = true;
            };
            if let Some(mut account) = self.account_of_login(&key)? {
                let proofed = matches!(
                    account.value.proofing,
                    Proofing::InPerson | Proofing::CardCertificate
                );
                if proofed
                    && !account.value.card
                    && self.may_add_card(&account.value, current, now)?
                {
                    account.value.card = true;
                    changes.replace(&account)?;
                    let kind = NoticeKind::WaysChanged;
                    self.notify(&mut changes, &account.value, kind, now, seed)?;
                    changes.event(
                        Event::new(EventKind::CredentialAdded, now)
                            .account(&account.value.id)
                            .because("card"),
                    );
                }
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
                    self.notify(
                        &mut changes,
                        &account.value,
                        NoticeKind::WaysChanged,
                        now,
                        seed,
                    )?;
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
                    if who.account.person.is_some()
                        || who.account.proofing == Proofing::TakenOver
                        || who.account.tenant != card.tenant
                    {
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

    /// Whether the current session adds the card of the account's own person as a way in, as it would a key.
    fn may_add_card(
        &self,
        account: &Account,
        current: Option<&Secret>,
        now: OffsetDateTime,
    ) -> Result<bool, Failure> {
        let Some(token) = current.filter(|_| !account.is_careful(now)) else {
            return Ok(false);
        };
        match self.session(token, now) {
            Ok(who) => Ok(who.account.id == account.id
                && who.account.epoch == account.epoch
                && who.may(Operation::ChangeRecovery).is_ok()),
            Err(Failure::Refused(_)) => Ok(false),
            Err(failure) => Err(failure),
        }
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
        // Somebody whose account was taken over has never been here.
        let is_new =
            !account.value.devices.is_empty() || account.value.proofing == Proofing::TakenOver;
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
