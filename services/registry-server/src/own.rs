//! What people see and decide themselves: their record, who looked at it, what was released, and their locks.
//!
//! A system that people use (a portal) brings what the identity provider says of the person who is signed in: the signed
//! answer of its UserInfo endpoint (OpenID Connect Core 5.3.2). The register takes it only from the system that the access
//! file names for its audience, and judges it by the identity provider's keys. An ID token says no number and is none.

use config::{IdentityProviderKeys, PopulationClient};
use id_registry::{
    ActOnRecord, DecideError, Entry, Event, Fact, ImageKind, LockState, LookUp, Officer,
    PersonalNumber, Purpose, StoreError, View, Viewer, answering, day_of, decide,
};
use jose::{JwkSet, Jws};
use time::{Duration, OffsetDateTime};

use crate::population::{ATTEMPTS, Inner};
use crate::question::{Answer, Asker};
use crate::record::{Record, moment, person};
use crate::registers::Refusal;

/// Longest token that is judged, in bytes.
const LONGEST_TOKEN: usize = 8192;
/// Longest validity of a token.
const TOKEN_LASTS: Duration = Duration::minutes(10);
/// Most look-ups that are told at once, the latest first.
const MOST_LOOK_UPS: usize = 500;
/// How `acr` begins (Commission Implementing Regulation (EU) 2015/1502).
const LEVELS: &str = "http://eidas.europa.eu/LoA/";

/// How sure it is who the person is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Low,
    Substantial,
    High,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Substantial => "substantial",
            Self::High => "high",
        }
    }
}

/// What a person asks.
#[derive(Debug)]
pub(crate) struct OwnQuestion {
    /// What the identity provider says, as it came.
    pub(crate) token: String,
    /// About whom: oneself, or a child or ward.
    pub(crate) about: PersonalNumber,
    /// What.
    pub(crate) what: Own,
}

/// What a person asks about a record.
#[derive(Debug)]
pub(crate) enum Own {
    /// All that is known.
    Record,
    /// Who looked at it and what was released.
    LookUps,
    /// A picture.
    Image(ImageKind),
    /// To lock the number for a purpose, or to open the lock.
    Lock(Purpose, bool),
}

impl Own {
    /// The level that is needed: who locks need only be identified, who opens must be surely the person.
    const fn needs(&self) -> Level {
        match self {
            Self::Lock(_, true) => Level::Low,
            Self::Record | Self::LookUps | Self::Image(_) => Level::Substantial,
            Self::Lock(_, false) => Level::High,
        }
    }

    const fn service(&self) -> &'static str {
        match self {
            Self::Record => "ownRecord",
            Self::LookUps => "ownLookUps",
            Self::Image(_) => "ownImage",
            Self::Lock(..) => "ownLock",
        }
    }
}

impl Inner {
    /// Answers a person.
    pub(crate) fn own(
        &self,
        asker: &Asker,
        client: &PopulationClient,
        question: &OwnQuestion,
    ) -> Result<Answer, Refusal> {
        let now = OffsetDateTime::now_utc();
        let audience = client.own.as_deref();
        let provider = self.identity_provider.as_ref();
        let (audience, provider) = audience
            .zip(provider)
            .ok_or_else(|| Refusal::NotAllowed(asker.client.clone()))?;
        let (number, level) = judge(&question.token, provider, audience, now)?;
        let needed = question.what.needs();
        if level < needed {
            return Err(Refusal::Level(needed.as_str()));
        }
        let nobody = || Refusal::NobodyHolds(question.about);
        let viewer = answering(self.register.as_ref(), number)?.ok_or(Refusal::Token)?;
        let oneself =
            question.about == viewer.number() || viewer.aliases().contains(&question.about);
        if !oneself {
            // A child sees in its own list that its parent looked. Kept for every number, also one that nobody holds: so
            // an answer takes as long and tells as little.
            self.keep_look_up(asker, question.what.service(), question.about, now, number)?;
        }
        let subject = answering(self.register.as_ref(), question.about)?;
        let today = day_of(now);
        let subject = subject.ok_or_else(nobody)?;
        let view = View::of(Viewer::Person(&viewer), &subject, today)
            .ok_or_else(nobody)?
            .with_family(|number| self.register.record(number))?;
        let sees = |detail| view.shows(detail);
        match &question.what {
            Own::Record if sees(id_registry::Detail::Names) => {
                self.own_record(&view, &subject).map(Answer::Record)
            }
            Own::LookUps if sees(id_registry::Detail::LookUps) => {
                self.own_look_ups(&subject).map(Answer::Record)
            }
            Own::Image(kind) => {
                let image = view.image(*kind).ok_or_else(|| {
                    if sees(id_registry::Detail::Names) {
                        Refusal::NoImage(question.about)
                    } else {
                        nobody()
                    }
                })?;
                let image = self.register.image(image)?;
                let image = image.ok_or(Refusal::NoImage(question.about))?;
                Ok(Answer::Image(view.number(), image))
            }
            Own::Lock(purpose, locked) if oneself => self
                .lock(asker, subject.number(), purpose, *locked)
                .map(Answer::Record),
            // What is withheld looks like what is not there.
            _ => Err(nobody()),
        }
    }

    fn keep_look_up(
        &self,
        asker: &Asker,
        service: &str,
        number: PersonalNumber,
        at: OffsetDateTime,
        by: PersonalNumber,
    ) -> Result<(), StoreError> {
        self.register.keep_look_up(&LookUp {
            number,
            at,
            client: asker.client.clone(),
            user: by.to_string(),
            purpose: String::new(),
            service: service.to_owned(),
            query_id: asker.query_id.chars().take(200).collect(),
            released: None,
        })
    }

    fn own_record(
        &self,
        view: &View<'_>,
        subject: &id_registry::Record,
    ) -> Result<Record, Refusal> {
        let found = view.relations(|number| self.register.record(number))?;
        // Of relatives a person learns what the own papers say: who they are, not where.
        let relatives: Vec<_> = found
            .iter()
            .map(|(kind, record)| {
                let item = Record::default()
                    .text("relation", kind.as_str())
                    .text("number", record.number().as_str());
                match record.names() {
                    Some(names) => item
                        .name("familyName", &names.family)
                        .name("givenName", &names.given),
                    None => item,
                }
            })
            .collect();
        let acts = view.acts().into_iter().map(act).collect();
        let mut record = person(view, &self.territory)
            .list("relations", "relative", relatives)
            .list("acts", "act", acts);
        if view.shows(id_registry::Detail::LookUps) {
            record = record.list("locks", "lock", locks(subject));
        }
        Ok(record)
    }

    fn own_look_ups(&self, subject: &id_registry::Record) -> Result<Record, Refusal> {
        let mut all = self.register.look_ups(subject.number(), MOST_LOOK_UPS)?;
        for alias in subject.aliases() {
            all.extend(self.register.look_ups(alias, MOST_LOOK_UPS)?);
        }
        all.sort_by_key(|look| std::cmp::Reverse(look.at));
        all.truncate(MOST_LOOK_UPS);
        let items = all
            .iter()
            .map(|look| {
                // Which official it was is known to the agency, which answers for it.
                Record::default()
                    .text("at", moment(look.at))
                    .text("number", look.number.as_str())
                    .text("client", look.client.as_str())
                    .text("service", look.service.as_str())
                    .text("purpose", look.purpose.as_str())
                    .text("queryId", look.query_id.as_str())
                    .truth("released", look.released.is_some())
            })
            .collect();
        Ok(Record::default()
            .text("number", subject.number().as_str())
            .list("lookUps", "lookUp", items))
    }

    fn lock(
        &self,
        asker: &Asker,
        person: PersonalNumber,
        purpose: &Purpose,
        locked: bool,
    ) -> Result<Record, Refusal> {
        for _ in 0..ATTEMPTS {
            let now = OffsetDateTime::now_utc();
            let state = if locked {
                LockState::Locked
            } else {
                LockState::OpensAt(now)
            };
            let entry = Entry {
                event: Event::Lock {
                    person,
                    purpose: purpose.clone(),
                    state,
                },
                effective: day_of(now),
                reference: format!("own request {}", asker.query_id)
                    .chars()
                    .take(100)
                    .collect(),
                officer: Officer {
                    office: asker.client.clone(),
                    name: "the holder".to_owned(),
                },
            };
            let decided = decide(entry, now, self.rules(), self.register.as_ref());
            let decided = match decided {
                Ok(decided) => decided,
                // It is as the person wants it already.
                Err(DecideError::Refused(id_registry::Refusal::NothingNew)) => {
                    return self.locks_now(person);
                }
                Err(DecideError::Refused(refusal)) => return Err(Refusal::Act(refusal)),
                Err(DecideError::Records(error)) => return Err(error.into()),
            };
            match self.register.enter(&decided) {
                Ok(_) => return self.locks_now(person),
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict(person).into())
    }
}

impl Inner {
    fn locks_now(&self, person: PersonalNumber) -> Result<Record, Refusal> {
        let record = self.register.record(person)?;
        let locks = record.map(|record| locks(&record)).unwrap_or_default();
        Ok(Record::default().list("locks", "lock", locks))
    }
}

fn act(act: &ActOnRecord) -> Record {
    let record = Record::default()
        .number("act", act.id.0)
        .text("kind", act.kind)
        .text("effective", act.effective.to_string())
        .text("enteredAt", moment(act.entered_at))
        .text("office", act.officer.office.as_str())
        .text("reference", act.reference.as_str());
    match act.reversed_by {
        Some(by) => record.number("takenBackBy", by.0),
        None => record,
    }
}

/// The locks of a record: for what, and from when it opens, if it was asked to.
fn locks(record: &id_registry::Record) -> Vec<Record> {
    let mut purposes: Vec<&Purpose> = record
        .facts()
        .iter()
        .filter_map(|known| match &known.fact {
            Fact::Lock(purpose, _) => Some(purpose),
            _ => None,
        })
        .collect();
    purposes.sort();
    purposes.dedup();
    purposes
        .into_iter()
        .filter_map(|purpose| {
            let now = record.now(id_registry::Field::Lock(purpose.as_str()))?;
            let item = Record::default().text("purpose", purpose.as_str());
            match &now.fact {
                Fact::Lock(_, LockState::OpensAt(at)) => Some(item.text("opensAt", moment(*at))),
                _ => Some(item),
            }
        })
        .collect()
}

/// Whose token it is and how sure that is.
fn judge(
    token: &str,
    provider: &IdentityProviderKeys,
    audience: &str,
    now: OffsetDateTime,
) -> Result<(PersonalNumber, Level), Refusal> {
    if token.len() > LONGEST_TOKEN {
        return Err(Refusal::Token);
    }
    // Read anew each time: the provider's keys change while this server runs.
    let keys = std::fs::read_to_string(&provider.keys)
        .map_err(|error| error.to_string())
        .and_then(|text| JwkSet::decode(&text).map_err(|error| error.to_string()))
        .map_err(|error| {
            StoreError::Unavailable(format!("{}: {error}", provider.keys.display()))
        })?;
    let refuse = |error: &dyn std::fmt::Display| {
        tracing::info!(%error, "a sign-in was refused");
        Refusal::Token
    };
    let verified = Jws::decode(token)
        .map_err(|error| refuse(&error))?
        .verify_with_set(&keys)
        .map_err(|error| refuse(&error))?;
    let valid = verified
        .validate(&jose::Expected {
            types: &["userinfo+jwt"],
            issuer: Some(&provider.issuer),
            audience: Some(audience),
            now,
            lasts: TOKEN_LASTS,
            needs_expiry: true,
        })
        .map_err(|error| refuse(&error))?;
    let claims = valid.claims();
    // Whoever acts for somebody asks with the own token: the register itself knows for whom.
    if claims.rest.contains_key("act") {
        return Err(refuse(&"it is of somebody who acts for another"));
    }
    let number = claims
        .text("number")
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| refuse(&"it names no personal number"))?;
    let level = match claims.text("acr").and_then(|acr| acr.strip_prefix(LEVELS)) {
        Some("high") => Level::High,
        Some("substantial") => Level::Substantial,
        Some("low") => Level::Low,
        _ => return Err(refuse(&"it names no level of assurance")),
    };
    Ok((number, level))
}
