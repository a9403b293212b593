//! Random operations against a model that knows the rules and nothing else: no code is redeemed twice, a refresh token
//! that comes again ends its family, a frozen account yields no session and no token, what ended stays ended.
//!
//! `TUNDUK_IDENTITY_CASES` says how many histories are tried (64 otherwise).

#![allow(clippy::disallowed_methods, reason = "the environment says how many")]

#[path = "suite/world.rs"]
mod world;

use std::sync::Arc;

use oidc_provider::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use time::{Duration, OffsetDateTime};
use world::*;

const PEOPLE: usize = 3;
const BANKS: usize = 2;

#[derive(Debug, Clone)]
enum Operation {
    SignIn {
        person: usize,
    },
    Look {
        session: usize,
    },
    StepUp {
        session: usize,
    },
    EndSession {
        session: usize,
    },
    EndEverything {
        session: usize,
    },
    Allow {
        session: usize,
        bank: usize,
        offline: bool,
    },
    Redeem {
        family: usize,
        right_bank: bool,
        right_verifier: bool,
    },
    Refresh {
        family: usize,
        back: usize,
    },
    Access {
        family: usize,
        back: usize,
    },
    Withdraw {
        session: usize,
        bank: usize,
    },
    Freeze {
        session: usize,
    },
    Unfreeze {
        person: usize,
    },
    Wait {
        seconds: i64,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    let which = 0..64_usize;
    prop_oneof![
        4 => (0..PEOPLE).prop_map(|person| Operation::SignIn { person }),
        1 => which.clone().prop_map(|session| Operation::Look { session }),
        1 => which.clone().prop_map(|session| Operation::StepUp { session }),
        1 => which.clone().prop_map(|session| Operation::EndSession { session }),
        1 => which.clone().prop_map(|session| Operation::EndEverything { session }),
        6 => (which.clone(), 0..BANKS, any::<bool>())
            .prop_map(|(session, bank, offline)| Operation::Allow { session, bank, offline }),
        8 => (which.clone(), prop::bool::weighted(0.9), prop::bool::weighted(0.9)).prop_map(
            |(family, right_bank, right_verifier)| Operation::Redeem {
                family,
                right_bank,
                right_verifier,
            }
        ),
        8 => (which.clone(), prop_oneof![4 => Just(0), 1 => 1..3_usize])
            .prop_map(|(family, back)| Operation::Refresh { family, back }),
        6 => (which.clone(), 0..3_usize).prop_map(|(family, back)| Operation::Access { family, back }),
        1 => (which.clone(), 0..BANKS).prop_map(|(session, bank)| Operation::Withdraw { session, bank }),
        1 => which.prop_map(|session| Operation::Freeze { session }),
        2 => (0..PEOPLE).prop_map(|person| Operation::Unfreeze { person }),
        3 => prop_oneof![8 => 1..200_i64, 2 => 200..2000_i64, 1 => Just(15 * 86_400_i64)]
            .prop_map(|seconds| Operation::Wait { seconds }),
    ]
}

#[derive(Debug, Default, Clone)]
struct Person {
    frozen: bool,
    epoch: u64,
    consents: [bool; BANKS],
}

#[derive(Debug)]
struct Seat {
    token: Secret,
    id: SessionId,
    person: usize,
    epoch: u64,
    ended: bool,
    begun: OffsetDateTime,
    used: OffsetDateTime,
}

#[derive(Debug)]
struct Family {
    person: usize,
    bank: usize,
    session: SessionId,
    epoch: u64,
    offline: bool,
    dead: bool,
    at: OffsetDateTime,
    code: Secret,
    code_used: bool,
    refreshes: Vec<Secret>,
    refreshed: OffsetDateTime,
    accesses: Vec<(Secret, OffsetDateTime)>,
}

struct Model {
    world: World,
    banks: Vec<ActiveClient>,
    people: Vec<Person>,
    sessions: Vec<Seat>,
    families: Vec<Family>,
}

fn serial(person: usize) -> u32 {
    10 + u32::try_from(person).unwrap_or(0)
}

impl Model {
    fn new() -> Self {
        let world = World::new(Arc::new(MemoryStore::default()));
        let banks = (0..BANKS).map(|_| world.bank(&bank_form())).collect();
        for person in 0..PEOPLE {
            world.person(serial(person));
        }
        Self {
            world,
            banks,
            people: vec![Person::default(); PEOPLE],
            sessions: Vec::new(),
            families: Vec::new(),
        }
    }

    /// A session by any number, and who is signed in by it, as the model says; checked against the provider.
    fn look(&mut self, session: usize) -> Option<(usize, Authenticated)> {
        let now = self.world.now;
        if self.sessions.is_empty() {
            return None;
        }
        let place = session % self.sessions.len();
        let seat = &mut self.sessions[place];
        let person = &self.people[seat.person];
        let holds = !seat.ended
            && !person.frozen
            && person.epoch == seat.epoch
            && now < seat.begun + Duration::hours(12)
            && now < seat.used + Duration::minutes(30);
        let found = self.world.provider.session(&seat.token, now);
        assert_eq!(found.is_ok(), holds, "session {place}: {found:?}");
        if now >= seat.used + Duration::MINUTE && holds {
            seat.used = now;
        }
        found.ok().map(|who| (place, who))
    }

    fn family(&self, family: usize) -> Option<usize> {
        (!self.families.is_empty()).then(|| family % self.families.len())
    }

    fn accepted(&self, family: &Family) -> bool {
        let person = &self.people[family.person];
        !family.dead && !person.frozen && person.epoch == family.epoch
    }

    fn seat(&mut self, person: usize, signed_in: SignedIn) {
        self.sessions.push(Seat {
            token: signed_in.session,
            id: signed_in.id,
            person,
            epoch: self.people[person].epoch,
            ended: false,
            begun: self.world.now,
            used: self.world.now,
        });
    }

    fn apply(&mut self, operation: &Operation) {
        let now = self.world.now;
        match *operation {
            Operation::Wait { seconds } => self.world.later(Duration::seconds(seconds)),
            Operation::SignIn { person } => {
                let signed_in = self.world.sign_in(serial(person), 0);
                assert_eq!(
                    signed_in.is_ok(),
                    !self.people[person].frozen,
                    "{signed_in:?}"
                );
                if let Ok(signed_in) = signed_in {
                    self.seat(person, signed_in);
                }
            }
            Operation::Look { session } => {
                self.look(session);
            }
            Operation::StepUp { session } => {
                let Some((place, who)) = self.look(session) else {
                    return;
                };
                let old = self.sessions[place].token.clone();
                let person = self.sessions[place].person;
                let up = self
                    .world
                    .provider
                    .sign_in_with_key(
                        &assertion(serial(person), 0),
                        &origin("home"),
                        Some(&old),
                        now,
                        &seed(),
                    )
                    .expect("stepped up");
                assert_eq!(up.id, who.session().id);
                assert!(
                    self.world.provider.session(&old, now).is_err(),
                    "the old secret holds"
                );
                self.sessions[place].token = up.session;
                self.sessions[place].used = now;
            }
            Operation::EndSession { session } => {
                let Some((place, who)) = self.look(session) else {
                    return;
                };
                let id = self.sessions[place].id.clone();
                self.world.provider.end_session(&who, &id).expect("ended");
                self.sessions[place].ended = true;
                for family in &mut self.families {
                    family.dead |= family.session == id && !family.offline;
                }
            }
            Operation::EndEverything { session } => {
                let Some((place, who)) = self.look(session) else {
                    return;
                };
                self.world.provider.end_everything(&who).expect("ended");
                let person = self.sessions[place].person;
                self.people[person].epoch += 1;
            }
            Operation::Allow {
                session,
                bank,
                offline,
            } => {
                let Some((place, who)) = self.look(session) else {
                    return;
                };
                let scopes: &[&str] = if offline {
                    &["openid", "offline_access"]
                } else {
                    &["openid"]
                };
                let asked = asked(Level::Low, scopes);
                let code = self
                    .world
                    .allow(&self.banks[bank], &who, &asked, None)
                    .expect("allowed");
                let person = self.sessions[place].person;
                self.people[person].consents[bank] = true;
                self.families.push(Family {
                    person,
                    bank,
                    session: self.sessions[place].id.clone(),
                    epoch: self.people[person].epoch,
                    offline,
                    dead: false,
                    at: now,
                    code,
                    code_used: false,
                    refreshes: Vec::new(),
                    refreshed: now,
                    accesses: Vec::new(),
                });
            }
            Operation::Redeem {
                family,
                right_bank,
                right_verifier,
            } => {
                let Some(place) = self.family(family) else {
                    return;
                };
                self.redeem(place, right_bank, right_verifier);
            }
            Operation::Refresh { family, back } => {
                let Some(place) = self.family(family) else {
                    return;
                };
                self.refresh(place, back);
            }
            Operation::Access { family, back } => {
                let Some(place) = self.family(family) else {
                    return;
                };
                let family = &self.families[place];
                let Some(index) = family.accesses.len().checked_sub(1 + back) else {
                    return;
                };
                let (token, until) = &family.accesses[index];
                let expected = self.accepted(family) && now < *until;
                let found = self.world.provider.access(token, None, now);
                assert_eq!(found.is_ok(), expected, "access {place}/{index}: {found:?}");
            }
            Operation::Withdraw { session, bank } => {
                let Some((place, who)) = self.look(session) else {
                    return;
                };
                let person = self.sessions[place].person;
                let id = &self.banks[bank].client().id;
                let done = self.world.provider.withdraw(&who, id);
                assert_eq!(done.is_ok(), self.people[person].consents[bank], "{done:?}");
                self.people[person].consents[bank] = false;
                for family in &mut self.families {
                    family.dead |= done.is_ok() && family.person == person && family.bank == bank;
                }
            }
            Operation::Freeze { session } => {
                let Some((place, who)) = self.look(session) else {
                    return;
                };
                self.world.provider.freeze(&who, &seed()).expect("frozen");
                let person = self.sessions[place].person;
                self.people[person].frozen = true;
                self.people[person].epoch += 1;
            }
            Operation::Unfreeze { person } => {
                let officer = self.world.officer(2, Duty::Desk);
                let number = number(serial(person));
                let provider = &self.world.provider;
                let done = provider.unfreeze_for(&officer, number, Tenant::People, &seed());
                assert_eq!(done.is_ok(), self.people[person].frozen, "{done:?}");
                if done.is_ok() {
                    self.people[person].frozen = false;
                    self.people[person].epoch += 1;
                }
            }
        }
    }

    fn redeem(&mut self, place: usize, right_bank: bool, right_verifier: bool) {
        let now = self.world.now;
        let family = &self.families[place];
        let bank = if right_bank {
            family.bank
        } else {
            (family.bank + 1) % BANKS
        };
        let code = family.code.clone();
        let verifier = if right_verifier { VERIFIER } else { CHALLENGE };
        let given = Redemption {
            code: &code,
            redirect_uri: REDIRECT,
            verifier: &Secret::new(verifier),
            binding: None,
        };
        let waits = now < family.at + CODE_WAITS && !family.code_used && !family.dead;
        let expected = right_bank && right_verifier && waits && self.accepted(family);
        let outcome = self
            .world
            .provider
            .redeem(&self.banks[bank], given, now, &seed());
        assert_eq!(outcome.is_ok(), expected, "code {place}: {outcome:?}");
        let family = &mut self.families[place];
        if let Ok(tokens) = outcome {
            assert_eq!(tokens.refresh.is_some(), family.offline);
            family.code_used = true;
            family.refreshed = now;
            family.refreshes.extend(tokens.refresh);
            family
                .accesses
                .push((tokens.access, now + tokens.access_lasts));
        } else if right_bank && (family.code_used || (waits && !right_verifier)) {
            family.dead = true;
        }
    }

    fn refresh(&mut self, place: usize, back: usize) {
        let now = self.world.now;
        let family = &self.families[place];
        let Some(index) = family.refreshes.len().checked_sub(1 + back) else {
            return;
        };
        let token = family.refreshes[index].clone();
        let expected = back == 0
            && self.accepted(family)
            && now < family.refreshed + REFRESH_IDLES
            && now < family.at + REFRESH_LASTS;
        let outcome = self.world.refresh(&self.banks[family.bank], &token);
        assert_eq!(
            outcome.is_ok(),
            expected,
            "refresh {place}/{index}: {outcome:?}"
        );
        let family = &mut self.families[place];
        if let Ok(tokens) = outcome {
            family.refreshed = now;
            family.refreshes.extend(tokens.refresh);
            family
                .accesses
                .push((tokens.access, now + tokens.access_lasts));
        } else if back > 0 {
            family.dead = true;
        }
    }
}

#[test]
fn random_histories_are_as_the_model_says() {
    let cases = std::env::var("TUNDUK_IDENTITY_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(64);
    let mut runner = TestRunner::new_with_rng(
        Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        },
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let histories = prop::collection::vec(operation(), 1..150);
    runner
        .run(&histories, |operations| {
            let mut model = Model::new();
            for operation in &operations {
                model.apply(operation);
            }
            Ok(())
        })
        .expect("as the model says");
}
