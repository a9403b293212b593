//! From a relying party's request to its answer: pushed, brought by a browser, signed in, consented.

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use super::acting::Represented;
use super::clients::Consent;
use super::{Decision, Provider};
use crate::client::{ActiveClient, Client, Profile, tells_who};
use crate::event::{Event, EventKind};
use crate::grant::{
    Acting, Asked, CODE_WAITS, CodeState, Grant, REQUEST_WAITS, Request, RequestState,
};
use crate::level::Level;
use crate::port::{Changes, Loaded};
use crate::refusal::{Failure, Refusal};
use crate::secret::{ClientId, GrantId, Secret, Seed, TokenKind};
use crate::session::Authenticated;

/// Longest `state`, `nonce` or other text of a request, in bytes.
const LONGEST: usize = 1000;

/// What has to happen next for a request to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The person signs in, or proves again to be there, and reaches this level.
    SignIn {
        /// The level that is needed.
        level: Level,
    },
    /// The person is signed in, but has to go higher.
    StepUp {
        /// The level that is needed.
        level: Level,
        /// The highest that this person can reach now; below what is needed, the way is to a desk or a card.
        reachable: Level,
    },
    /// It was not found out yet who the person is, and the relying party asks for it.
    Proofing,
    /// The person is asked for these scopes.
    Consent {
        /// The scopes that were not allowed before.
        scopes: BTreeSet<String>,
    },
    /// Nothing more: the answer may go back.
    Ready,
}

/// A request in a browser.
#[derive(Debug, Clone)]
pub struct Interaction {
    /// The relying party.
    pub client: Client,
    /// What it asks for.
    pub asked: Asked,
    /// What has to happen next.
    pub step: Step,
}

/// The answer to a request, to go back by the browser.
#[derive(Debug)]
pub struct Answer {
    /// Where to.
    pub redirect_uri: String,
    /// As it was asked.
    pub state: Option<String>,
    /// The code; none: the person refused, or what was asked for cannot be.
    pub code: Option<Secret>,
}

impl Provider {
    /// Takes a request from a relying party that proved who it is (RFC 9126), or whose signed request object was
    /// checked. Gives the secret part of the `request_uri` and how long it waits.
    ///
    /// # Errors
    /// [`Refusal::RedirectUri`], [`Refusal::Scope`], [`Refusal::Request`], [`Refusal::Unbound`].
    pub fn push(
        &self,
        client: &ActiveClient,
        asked: &Asked,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<(Secret, Duration), Failure> {
        let form = &client.0.form;
        if !form.redirect_uris.contains(&asked.redirect_uri) {
            return Err(Refusal::RedirectUri.into());
        }
        check_scopes(&client.0, &asked.scopes)?;
        if asked.challenge.len() != 43
            || !asked
                .challenge
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        {
            return Err(Refusal::Request("a code challenge by S256 has 43 characters").into());
        }
        let texts = [&asked.state, &asked.nonce];
        if texts.into_iter().flatten().any(|text| text.len() > LONGEST) {
            return Err(Refusal::Request("state and nonce have at most 1000 bytes").into());
        }
        if asked.prompt_none && (asked.prompt_login || asked.prompt_consent) {
            return Err(Refusal::Request("prompt none stands alone").into());
        }
        if asked.max_age.is_some_and(|age| age.is_negative()) {
            return Err(Refusal::Request("max_age is not negative").into());
        }
        let secret = seed.secret("request");
        let request = Request {
            key: seed.id("request key"),
            digest: secret.digest(),
            client: client.0.id.clone(),
            asked: asked.clone(),
            at: now,
            state: RequestState::Pushed,
        };
        let mut changes = Changes::default();
        changes.insert(&request)?;
        self.store.commit(&changes)?;
        Ok((
            TokenKind::RequestUri.token(&request.key, &secret),
            REQUEST_WAITS,
        ))
    }

    /// A browser brought a `request_uri`: once. Gives the secret that ties the interaction to that browser.
    ///
    /// # Errors
    /// [`Refusal::Request`] if it is unknown, was used, expired or is another client's.
    pub fn begin(
        &self,
        request: &Secret,
        client: &ClientId,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Secret, Failure> {
        const NONE: Refusal =
            Refusal::Request("the request URI is unknown, was used or expired; push a new one");
        let (key, digest) = TokenKind::RequestUri.open(request).ok_or(NONE)?;
        let secret = seed.secret("interaction");
        self.decide(|| {
            let mut found = self.load::<Request>(&key)?.ok_or(NONE)?;
            if found.value.digest != digest
                || found.value.state != RequestState::Pushed
                || found.value.client != *client
                || now >= found.value.ends_at()
            {
                return Err(NONE.into());
            }
            found.value.state = RequestState::Under { since: now };
            found.value.digest = secret.digest();
            let mut changes = Changes::default();
            changes.replace(&found)?;
            Ok(Decision::yes(
                changes,
                TokenKind::Interaction.token(&key, &secret),
            ))
        })
    }

    fn under(&self, interaction: &Secret, now: OffsetDateTime) -> Result<Loaded<Request>, Failure> {
        let (key, digest) = TokenKind::Interaction
            .open(interaction)
            .ok_or(Refusal::Over)?;
        let found = self.load::<Request>(&key)?.ok_or(Refusal::Over)?;
        let under = matches!(found.value.state, RequestState::Under { .. });
        if found.value.digest != digest || !under || now >= found.value.ends_at() {
            return Err(Refusal::Over.into());
        }
        Ok(found)
    }

    /// A request in a browser, and what has to happen next.
    ///
    /// # Errors
    /// [`Refusal::Over`], [`Refusal::UnknownClient`].
    pub fn interaction(
        &self,
        interaction: &Secret,
        who: Option<&Authenticated>,
        now: OffsetDateTime,
    ) -> Result<Interaction, Failure> {
        let request = self.under(interaction, now)?.value;
        let client = self.client(&request.client)?.0;
        let step = self.step(&request, &client, who, now)?;
        Ok(Interaction {
            client,
            asked: request.asked,
            step,
        })
    }

    fn step(
        &self,
        request: &Request,
        client: &Client,
        who: Option<&Authenticated>,
        now: OffsetDateTime,
    ) -> Result<Step, Failure> {
        let asked = &request.asked;
        let level = asked
            .level
            .map_or(client.form.level, |level| level.max(client.form.level));
        let Some(who) = who.filter(|who| who.account.tenant == client.tenant) else {
            return Ok(Step::SignIn { level });
        };
        let since = request.proofs_since(now);
        let Some((_, has)) = who.session.best_since(now, since) else {
            return Ok(Step::SignIn { level });
        };
        if asked.scopes.iter().any(|scope| tells_who(scope)) && who.account.person.is_none() {
            return Ok(Step::Proofing);
        }
        if has < level {
            return Ok(Step::StepUp {
                level,
                reachable: who.account.reachable(),
            });
        }
        let allowed = self
            .load::<Consent>(&Consent::key_of(&who.account.id, &client.id))?
            .map(|consent| consent.value.scopes)
            .unwrap_or_default();
        let missing: BTreeSet<String> = if asked.prompt_consent {
            asked.scopes.clone()
        } else {
            asked.scopes.difference(&allowed).cloned().collect()
        };
        Ok(if missing.is_empty() {
            Step::Ready
        } else {
            Step::Consent { scopes: missing }
        })
    }

    /// The person allows what is asked for, or part of it: a code goes back. Everything that has to be is checked
    /// again here, the level above all. Acting for somebody else, `subject` says for whom.
    ///
    /// # Errors
    /// [`Refusal::Over`], [`Refusal::NotSignedIn`], [`Refusal::LevelTooLow`], [`Refusal::NotProofed`],
    /// [`Refusal::Scope`], [`Refusal::NotAvailable`] for somebody whom this person may not act for.
    pub fn allow(
        &self,
        interaction: &Secret,
        who: &Authenticated,
        scopes: &BTreeSet<String>,
        subject: Option<Represented>,
        now: OffsetDateTime,
        seed: &Seed,
    ) -> Result<Answer, Failure> {
        self.decide(|| {
            let request = self.under(interaction, now)?;
            let client = self.client(&request.value.client)?.0;
            let asked = &request.value.asked;
            match self.step(&request.value, &client, Some(who), now)? {
                Step::SignIn { .. } => return Err(Refusal::NotSignedIn.into()),
                Step::StepUp { level: needed, .. } => {
                    let has = who.session.level(now);
                    return Err(Refusal::LevelTooLow { needed, has }.into());
                }
                Step::Proofing => return Err(Refusal::NotProofed.into()),
                Step::Consent { .. } | Step::Ready => {}
            }
            let stranger = scopes.iter().find(|scope| !asked.scopes.contains(*scope));
            if let Some(scope) = stranger {
                return Err(Refusal::Scope(scope.clone()).into());
            }
            if !scopes.contains("openid") {
                return Err(Refusal::Scope("openid".to_owned()).into());
            }
            let account = self.account(&who.account.id)?;
            if !who.session.holds(&account.value, now) {
                return Err(Refusal::NotSignedIn.into());
            }
            let mut changes = Changes::default();
            changes.remove(&request);
            changes.rests_on(&account);
            let represented = match subject {
                None => None,
                Some(Represented::Person(number)) if account.value.person == Some(number) => None,
                Some(represented) => {
                    let theme = client.form.theme.ok_or(Refusal::NotAvailable)?;
                    let actor = &account.value;
                    let (subject, right) = match represented {
                        Represented::Person(number) => {
                            self.represent(&mut changes, actor, number, theme, now, seed)?
                        }
                        Represented::Organisation(number) => {
                            self.represent_organisation(&mut changes, actor, number, theme, now)?
                        }
                    };
                    let acting = Acting {
                        actor: account.value.id.clone(),
                        theme,
                        right,
                    };
                    Some((subject, acting))
                }
            };
            self.remember(&mut changes, who, &client.id, scopes, now)?;
            let secret = seed.secret("code");
            let id = GrantId(seed.id("grant"));
            let since = request.value.proofs_since(now);
            let (proof, level) = who
                .session
                .best_since(now, since)
                .ok_or(Refusal::NotSignedIn)?;
            let (subject, acting) = match represented {
                Some((subject, acting)) => (subject, Some(acting)),
                None => (account.value.id.clone(), None),
            };
            let grant = Grant {
                id: id.clone(),
                client: client.id.clone(),
                subject,
                acting,
                session: who.session.id.clone(),
                scopes: scopes.clone(),
                level,
                amr: texts(proof.factor.amr()),
                proved_at: proof.at,
                at: now,
                nonce: asked.nonce.clone(),
                redirect_uri: asked.redirect_uri.clone(),
                challenge: asked.challenge.clone(),
                binding: asked.binding.clone(),
                epoch: account.value.epoch,
                code: CodeState::Waits {
                    digest: secret.digest(),
                    until: now + CODE_WAITS,
                },
                refresh: None,
                access: Vec::new(),
                revoked_at: None,
            };
            changes.insert(&grant)?;
            changes.event(
                of_grant(EventKind::ConsentGiven, &grant, now)
                    .session(&who.session.id)
                    .level(level),
            );
            Ok(Decision::yes(
                changes,
                Answer {
                    redirect_uri: asked.redirect_uri.clone(),
                    state: asked.state.clone(),
                    code: Some(TokenKind::Code.token(id.as_str(), &secret)),
                },
            ))
        })
    }

    /// Keeps what the person allowed, on top of what was allowed before.
    pub(super) fn remember(
        &self,
        changes: &mut Changes,
        who: &Authenticated,
        client: &ClientId,
        scopes: &BTreeSet<String>,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        match self.load::<Consent>(&Consent::key_of(&who.account.id, client))? {
            Some(mut consent) => {
                let before = consent.value.scopes.len();
                consent.value.scopes.extend(scopes.iter().cloned());
                if consent.value.scopes.len() == before {
                    changes.rests_on(&consent);
                } else {
                    consent.value.at = now;
                    changes.replace(&consent)?;
                }
            }
            None => changes.insert(&Consent {
                account: who.account.id.clone(),
                client: client.clone(),
                scopes: scopes.clone(),
                at: now,
            })?,
        }
        Ok(())
    }

    /// The person refuses, or what is asked for cannot be: the request is over, and the answer says so.
    ///
    /// # Errors
    /// [`Refusal::Over`].
    pub fn refuse(
        &self,
        interaction: &Secret,
        who: Option<&Authenticated>,
        now: OffsetDateTime,
    ) -> Result<Answer, Failure> {
        self.decide(|| {
            let request = self.under(interaction, now)?;
            let mut changes = Changes::default();
            changes.remove(&request);
            let mut event =
                Event::new(EventKind::ConsentRefused, now).client(&request.value.client);
            if let Some(who) = who {
                event = event.account(&who.account.id).session(&who.session.id);
            }
            changes.event(event);
            Ok(Decision::yes(
                changes,
                Answer {
                    redirect_uri: request.value.asked.redirect_uri.clone(),
                    state: request.value.asked.state.clone(),
                    code: None,
                },
            ))
        })
    }
}

/// An event of a family of tokens: both people are in it, where one acts for the other.
pub(super) fn of_grant(kind: EventKind, grant: &Grant, now: OffsetDateTime) -> Event {
    let event = Event::new(kind, now)
        .account(&grant.subject)
        .client(&grant.client)
        .grant(&grant.id);
    let Some(acting) = &grant.acting else {
        return event;
    };
    let event = event.actor(&acting.actor);
    match &acting.right {
        crate::grant::Right::Mandate { mandate: id }
        | crate::grant::Right::Representative { appointment: id } => event.mandate(id),
        crate::grant::Right::Register | crate::grant::Right::Head => event,
    }
}

/// Values of `amr` as a family keeps them.
pub(super) fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// Whether a client may ask for scopes.
pub(super) fn check_scopes(client: &Client, scopes: &BTreeSet<String>) -> Result<(), Refusal> {
    if !scopes.contains("openid") {
        return Err(Refusal::Scope("openid is missing, not".to_owned()));
    }
    match scopes
        .iter()
        .find(|scope| !client.form.purposes.contains_key(*scope))
    {
        Some(scope) => Err(Refusal::Scope(scope.chars().take(50).collect())),
        None => Ok(()),
    }
}

/// Whether tokens must be bound.
pub(super) fn must_be_bound(client: &Client) -> bool {
    client.form.profile == Profile::Fapi2
}
