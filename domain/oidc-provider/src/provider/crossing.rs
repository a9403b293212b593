//! One screen asks, another answers: the device flow (RFC 8628), and signing in on one screen by a signed-in phone.
//!
//! Whoever sends somebody else's code or picture on gets at most the level low, and only if the person chooses, out of
//! three, the number that the asking screen shows: one wrong choice ends it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::authorize::{check_scopes, texts};
use super::sign_in::proof;
use super::{Decision, Provider};
use crate::account::Tenant;
use crate::client::{ActiveClient, Client};
use crate::event::{Event, EventKind};
use crate::grant::{Binding, CodeState, Grant, Tokens};
use crate::level::{Factor, Level};
use crate::port::{Changes, Item, Kind, Loaded};
use crate::refusal::{Failure, Refusal};
use crate::secret::{AccountId, ClientId, Digest, GrantId, Secret, Seed, SessionId, TokenKind};
use crate::session::{Authenticated, Origin, SignedIn};
use crate::throttle::Counted;

/// How long a user code waits.
const DEVICE_WAITS: Duration = Duration::minutes(10);
/// How long a picture waits: a screen shows a new one after it.
const PICTURE_WAITS: Duration = Duration::minutes(2);
/// How long to wait between two questions, and how much longer after one that came too soon (RFC 8628 3.5).
const INTERVAL: Duration = Duration::seconds(5);
/// Letters of user codes: consonants, so that no word comes out (RFC 8628 6.1).
const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
const CODE_LETTERS: usize = 8;
/// Numbers to choose from.
const CHOICES: usize = 3;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by")]
enum Asks {
    /// A device of a relying party.
    Device {
        client: ClientId,
        scopes: BTreeSet<String>,
    },
    /// Our own sign-in page on another screen.
    Screen {
        tenant: Tenant,
        network: String,
        label: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is")]
enum State {
    Waits,
    Allowed {
        account: AccountId,
        session: SessionId,
        epoch: u64,
        proved_at: OffsetDateTime,
    },
    Refused,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Crossing {
    /// Over the user code.
    key: String,
    /// Of the secret of the asking screen.
    digest: Digest,
    asks: Asks,
    number: u8,
    choices: Vec<u8>,
    at: OffsetDateTime,
    until: OffsetDateTime,
    asked_at: Option<OffsetDateTime>,
    interval: Duration,
    state: State,
}

impl Item for Crossing {
    type Kind = Kind;

    const KIND: Kind = Kind::Crossing;

    fn key(&self) -> String {
        self.key.clone()
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.until)
    }
}

/// What the asking screen shows and keeps.
#[derive(Debug)]
pub struct CrossingBegun {
    /// By this the screen asks how it stands (`device_code`).
    pub poll: Secret,
    /// What the person types, or what the picture holds (`user_code`): eight letters.
    pub user_code: Secret,
    /// The number that the screen shows.
    pub number: u8,
    /// How long it waits.
    pub lasts: Duration,
    /// How long to wait between two questions.
    pub interval: Duration,
}

/// What the answering screen shows.
#[derive(Debug, Clone)]
pub struct CrossingView {
    /// The relying party whose device asks; none: our own sign-in page.
    pub client: Option<Client>,
    /// The scopes.
    pub scopes: BTreeSet<String>,
    /// The network from which the screen asks, if it is our own page.
    pub network: Option<String>,
    /// What that screen calls itself.
    pub label: Option<String>,
    /// The numbers to choose from.
    pub choices: Vec<u8>,
    /// Until when.
    pub until: OffsetDateTime,
}

/// How a question is answered.
enum Standing {
    Allowed(Box<Loaded<Crossing>>, State),
    No(Changes, Refusal),
}

fn key_of(user_code: &Secret) -> String {
    let letters: String = user_code
        .expose()
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|letter| letter.to_ascii_uppercase())
        .take(64)
        .collect();
    Digest::of(&[b"crossing", letters.as_bytes()])
        .as_str()
        .to_owned()
}

impl Provider {
    /// A device of a relying party begins to ask. What comes of it is at the level low, so a relying party that needs
    /// more cannot.
    ///
    /// # Errors
    /// [`Refusal::Scope`], [`Refusal::Request`].
    pub fn begin_device(
        &self,
        client: &ActiveClient,
        scopes: &BTreeSet<String>,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<CrossingBegun, Failure> {
        if !client.0.form.device_flow {
            return Err(
                Refusal::Request("the client is not registered for the device flow").into(),
            );
        }
        if client.0.form.level > Level::Low {
            return Err(Refusal::Request("the device flow reaches the level low").into());
        }
        check_scopes(&client.0, scopes)?;
        let asks = Asks::Device {
            client: client.0.id.clone(),
            scopes: scopes.clone(),
        };
        self.begin_crossing(asks, DEVICE_WAITS, TokenKind::DeviceCode, now, seed)
    }

    /// Our own sign-in page begins to ask for a phone.
    ///
    /// # Errors
    /// The database fails.
    pub fn begin_screen(
        &self,
        tenant: Tenant,
        origin: &Origin,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<CrossingBegun, Failure> {
        let asks = Asks::Screen {
            tenant,
            network: origin.network.clone(),
            label: crate::account::bounded(&origin.label),
        };
        self.begin_crossing(asks, PICTURE_WAITS, TokenKind::Crossing, now, seed)
    }

    fn begin_crossing(
        &self,
        asks: Asks,
        lasts: Duration,
        kind: TokenKind,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<CrossingBegun, Failure> {
        let code = seed.text("user code", LETTERS, CODE_LETTERS);
        let secret = seed.secret("poll");
        let mut choices: Vec<u8> = Vec::new();
        let mut place = 0;
        while choices.len() < CHOICES {
            let drawn = seed.below(&format!("choice {place}"), 90) + 10;
            let drawn = u8::try_from(drawn).unwrap_or(10);
            if !choices.contains(&drawn) {
                choices.push(drawn);
            }
            place += 1;
        }
        let which = usize::try_from(seed.below("which", 3)).unwrap_or(0);
        let number = choices.get(which).copied().unwrap_or(10);
        let user_code = Secret::new(code);
        let crossing = Crossing {
            key: key_of(&user_code),
            digest: secret.digest(),
            asks,
            number,
            choices,
            at: now,
            until: now + lasts,
            asked_at: None,
            interval: INTERVAL,
            state: State::Waits,
        };
        let mut changes = Changes::default();
        changes.insert(&crossing)?;
        self.store.commit(&changes)?;
        Ok(CrossingBegun {
            poll: kind.token(&crossing.key, &secret),
            user_code,
            number,
            lasts,
            interval: INTERVAL,
        })
    }

    fn waiting(
        &self,
        user_code: &Secret,
        now: OffsetDateTime,
    ) -> Result<Option<Loaded<Crossing>>, Failure> {
        let found = self.load::<Crossing>(&key_of(user_code))?;
        Ok(found.filter(|found| found.value.state == State::Waits && now < found.value.until))
    }

    /// What asks, for the person who typed the code or took the picture. Wrong codes are counted by account.
    ///
    /// # Errors
    /// [`Refusal::Over`], [`Refusal::TooManyAttempts`].
    pub fn crossing(
        &self,
        who: &Authenticated,
        user_code: &Secret,
    ) -> Result<CrossingView, Failure> {
        self.decide(|| {
            if let Some(found) = self.waiting(user_code, who.now)? {
                return Ok(Decision::yes(
                    Changes::default(),
                    self.seen(who, found.value)?,
                ));
            }
            let mut changes = Changes::default();
            let counted = [Counted::Typed(who.account.id.as_str())];
            let refusal = match self.count(&mut changes, &counted, who.now)? {
                Ok(()) => Refusal::Over,
                Err(until) => {
                    changes = Changes::default();
                    Refusal::TooManyAttempts(until)
                }
            };
            Ok(Decision::no(changes, refusal))
        })
    }

    fn seen(&self, who: &Authenticated, crossing: Crossing) -> Result<CrossingView, Failure> {
        let (choices, until) = (crossing.choices, crossing.until);
        match crossing.asks {
            Asks::Device { client, scopes } => {
                let client = self.client(&client)?.0;
                if client.tenant != who.account.tenant {
                    return Err(Refusal::Over.into());
                }
                Ok(CrossingView {
                    client: Some(client),
                    scopes,
                    network: None,
                    label: None,
                    choices,
                    until,
                })
            }
            Asks::Screen {
                tenant,
                network,
                label,
            } => {
                if tenant != who.account.tenant {
                    return Err(Refusal::Over.into());
                }
                Ok(CrossingView {
                    client: None,
                    scopes: BTreeSet::new(),
                    network: Some(network),
                    label: Some(label),
                    choices,
                    until,
                })
            }
        }
    }

    /// The person chooses the number that the asking screen shows, or refuses. A wrong number ends it.
    ///
    /// # Errors
    /// [`Refusal::Over`], [`Refusal::NumberMismatch`], [`Refusal::NotProofed`].
    pub fn answer_crossing(
        &self,
        who: &Authenticated,
        user_code: &Secret,
        chosen: Option<u8>,
    ) -> Result<(), Failure> {
        self.decide(|| {
            let mut found = self.waiting(user_code, who.now)?.ok_or(Refusal::Over)?;
            let view = self.seen(who, found.value.clone())?;
            let account = self.account(&who.account.id)?;
            if !who.session.holds(&account.value, who.now) {
                return Err(Refusal::NotSignedIn.into());
            }
            let mut changes = Changes::default();
            let event = |kind| {
                let event = Event::new(kind, who.now)
                    .account(&who.account.id)
                    .session(&who.session.id);
                match &view.client {
                    Some(client) => event.client(&client.id),
                    None => event,
                }
            };
            if chosen != Some(found.value.number) {
                found.value.state = State::Refused;
                changes.replace(&found)?;
                let Some(_) = chosen else {
                    changes.event(event(EventKind::ConsentRefused));
                    return Ok(Decision::yes(changes, ()));
                };
                changes.event(event(EventKind::CrossingMismatched));
                return Ok(Decision::no(changes, Refusal::NumberMismatch));
            }
            if view
                .scopes
                .iter()
                .any(|scope| crate::client::tells_who(scope))
                && account.value.person.is_none()
            {
                return Err(Refusal::NotProofed.into());
            }
            found.value.state = State::Allowed {
                account: who.account.id.clone(),
                session: who.session.id.clone(),
                epoch: account.value.epoch,
                proved_at: who.session.last_proof(),
            };
            changes.replace(&found)?;
            changes.rests_on(&account);
            if let Some(client) = &view.client {
                self.remember(&mut changes, who, &client.id, &view.scopes, who.now)?;
            }
            changes.event(event(EventKind::DeviceAllowed).level(Level::Low));
            Ok(Decision::yes(changes, ()))
        })
    }

    /// How it stands; a question that comes too soon makes the interval longer. Whoever is not the one that asked
    /// changes nothing.
    fn ask(
        &self,
        kind: TokenKind,
        poll: &Secret,
        asked: impl Fn(&Asks) -> bool,
        now: OffsetDateTime,
    ) -> Result<Standing, Failure> {
        let (key, digest) = kind.open(poll).ok_or(Refusal::Over)?;
        let mut found = self.load::<Crossing>(&key)?.ok_or(Refusal::Over)?;
        if found.value.digest != digest || now >= found.value.until || !asked(&found.value.asks) {
            return Err(Refusal::Over.into());
        }
        let mut changes = Changes::default();
        match found.value.state.clone() {
            State::Refused => {
                changes.remove(&found);
                Ok(Standing::No(changes, Refusal::Denied))
            }
            State::Waits => {
                let last = found.value.asked_at;
                let soon = last.is_some_and(|last| now < last + found.value.interval);
                found.value.asked_at = Some(now);
                if soon {
                    found.value.interval += INTERVAL;
                }
                changes.replace(&found)?;
                let refusal = if soon {
                    Refusal::SlowDown
                } else {
                    Refusal::Pending
                };
                Ok(Standing::No(changes, refusal))
            }
            state @ State::Allowed { .. } => Ok(Standing::Allowed(Box::new(found), state)),
        }
    }

    /// A device asks how it stands (RFC 8628 3.4): tokens, once, if the person allowed it.
    ///
    /// # Errors
    /// [`Refusal::Pending`], [`Refusal::SlowDown`], [`Refusal::Denied`], [`Refusal::Over`], [`Refusal::Unbound`].
    pub fn poll_device(
        &self,
        client: &ActiveClient,
        poll: &Secret,
        binding: Option<&Binding>,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Tokens, Failure> {
        if super::authorize::must_be_bound(&client.0) && binding.is_none() {
            return Err(Refusal::Unbound.into());
        }
        let asked =
            |asks: &Asks| matches!(asks, Asks::Device { client: of, .. } if *of == client.0.id);
        self.decide(|| {
            let (found, state) = match self.ask(TokenKind::DeviceCode, poll, asked, now)? {
                Standing::Allowed(found, state) => (found, state),
                Standing::No(changes, refusal) => return Ok(Decision::no(changes, refusal)),
            };
            let Asks::Device { scopes, .. } = &found.value.asks else {
                return Err(Refusal::Over.into());
            };
            let State::Allowed {
                account,
                session,
                epoch,
                proved_at,
            } = state
            else {
                return Err(Refusal::Over.into());
            };
            let mut changes = Changes::default();
            changes.remove(&found);
            let mut grant = Grant {
                id: GrantId(seed.id("grant")),
                client: client.0.id.clone(),
                subject: account,
                acting: None,
                session,
                scopes: scopes.clone(),
                level: Level::Low,
                amr: texts(Factor::CrossDevice.amr()),
                proved_at,
                at: now,
                nonce: None,
                redirect_uri: String::new(),
                challenge: String::new(),
                binding: binding.cloned(),
                epoch,
                code: CodeState::None,
                refresh: None,
                access: Vec::new(),
                revoked_at: None,
            };
            let tokens = self.issue_first(&mut changes, &mut grant, &client.0, now, seed)?;
            Ok(Decision::yes(changes, tokens))
        })
    }

    /// Our own page asks how it stands: the person is signed in on it, at the level low, once.
    ///
    /// # Errors
    /// [`Refusal::Pending`], [`Refusal::SlowDown`], [`Refusal::Denied`], [`Refusal::Over`], [`Refusal::Frozen`].
    pub fn poll_screen(
        &self,
        poll: &Secret,
        origin: &Origin,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<SignedIn, Failure> {
        self.decide(|| {
            let asked = |asks: &Asks| matches!(asks, Asks::Screen { .. });
            let (found, state) = match self.ask(TokenKind::Crossing, poll, asked, now)? {
                Standing::Allowed(found, state) => (found, state),
                Standing::No(changes, refusal) => return Ok(Decision::no(changes, refusal)),
            };
            let State::Allowed { account, epoch, .. } = state else {
                return Err(Refusal::Over.into());
            };
            let mut changes = Changes::default();
            changes.remove(&found);
            let mut account = self.account(&account)?;
            if account.value.epoch != epoch {
                return Err(Refusal::Over.into());
            }
            let proof = proof(Factor::CrossDevice, Level::Low, None, now);
            self.enter(changes, &mut account, proof, origin, None, now, seed)
        })
    }
}
