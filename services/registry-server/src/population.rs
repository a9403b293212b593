//! The population register as a service: who asks what, what of it may be told, and that it was asked.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use config::{IdentityProviderKeys, PopulationAccess, PopulationClient};
use id_registry::demonstration::HOUSEHOLD;
use id_registry::{
    Act, ActId, DecideError, Decided, Detail, Entry, Event, Grant, Image, ImageId, ImageKind,
    LookUp, Nobody, Officer, OpaqueSerial, PersonalNumber, Population, Purpose, Register, Rules,
    StoreError, Territory, View, Viewer, answering, day_of, decide, is_hidden_from, may_act,
    may_hold_mandate,
};
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use xroad_id::ServiceId;

use crate::face;
use crate::question::{Answer, Asker, Given, Question, detail_of};
use crate::record::{Record, addresses, person, relations};
use crate::registers::Refusal;

/// Most acts and notices that are told at once.
const MOST: usize = 1000;
/// How often an entry is decided anew when a record changed in the meantime.
pub(crate) const ATTEMPTS: u32 = 10;
/// Longest text of a header that is kept with a look-up, in characters.
const LONGEST_KEPT: usize = 200;

/// Whose records changed.
pub(crate) struct Changes {
    /// The act up to which these are all.
    pub(crate) last: ActId,
    /// Whether later ones are there.
    pub(crate) more: bool,
    /// The people.
    pub(crate) people: Vec<PersonalNumber>,
}

/// The population register with its database, its clients and, in the demonstration, its first residents.
#[derive(Clone)]
pub struct PopulationRegister(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) register: Box<dyn Register>,
    pub(crate) clients: HashMap<String, PopulationClient>,
    pub(crate) identity_provider: Option<IdentityProviderKeys>,
    pub(crate) territory: Territory,
    residents: Option<Population>,
    filled: OnceCell<()>,
}

impl std::fmt::Debug for PopulationRegister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PopulationRegister")
            .field("clients", &self.0.clients.len())
            .finish_non_exhaustive()
    }
}

impl PopulationRegister {
    /// The register in a database, for the clients of an access file. An empty database is filled with `residents` when it is first
    /// asked, or by [`PopulationRegister::fill`].
    #[must_use]
    pub fn new(
        register: Box<dyn Register>,
        access: PopulationAccess,
        territory: Territory,
        residents: Option<Population>,
    ) -> Self {
        let clients = access
            .clients
            .into_iter()
            .map(|client| (client.client.path(), client))
            .collect();
        Self(Arc::new(Inner {
            register,
            clients,
            identity_provider: access.identity_provider,
            territory,
            residents,
            filled: OnceCell::new(),
        }))
    }

    /// Takes the residents over, if there are any and nobody is in the register yet: all of them or none.
    ///
    /// # Errors
    /// The database cannot be used.
    pub async fn fill(&self) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.0);
        let filling = || async move {
            tokio::task::spawn_blocking(move || inner.fill())
                .await
                .map_err(|error| StoreError::Unavailable(error.to_string()))?
        };
        self.0.filled.get_or_try_init(filling).await.map(|_| ())
    }

    /// Who is told of changes, and at which service.
    pub(crate) fn subscribers(&self) -> Vec<(String, ServiceId)> {
        let clients = self.0.clients.iter();
        clients
            .filter_map(|(name, client)| Some((name.clone(), client.push.clone()?)))
            .collect()
    }

    /// Does work on the database, on a thread that may wait.
    pub(crate) async fn on_database<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.fill().await?;
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    /// Answers a question, after it was kept who asked it.
    pub(crate) async fn ask(&self, asker: Asker, question: Question) -> Result<Answer, Refusal> {
        self.fill().await?;
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || inner.answer(&asker, &question))
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

impl Inner {
    fn fill(&self) -> Result<(), StoreError> {
        let Some(residents) = self.residents else {
            return Ok(());
        };
        if self.register.last_act()? != ActId(0) {
            return Ok(());
        }
        let now = OffsetDateTime::now_utc();
        let rules = self.rules();
        // All are decided before the first is written: one that is refused keeps the register empty.
        let decided: Vec<Decided> = (0..)
            .map_while(|household| residents.household_entry(household))
            .map(|entry| decide(entry, now, rules, &Nobody))
            .collect::<Result<_, _>>()
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let mut progress = |acts: u64| {
            let people = acts.saturating_mul(u64::from(HOUSEHOLD));
            tracing::info!(people, of = residents.size(), "residents are taken over");
        };
        self.register
            .load(&mut decided.into_iter(), &mut progress)
            .map(|_| ())
    }

    pub(crate) fn rules(&self) -> Rules<'_> {
        Rules {
            numbers: &OpaqueSerial,
            territory: &self.territory,
            cooling_off: time::Duration::DAY,
        }
    }

    fn answer(&self, asker: &Asker, question: &Question) -> Result<Answer, Refusal> {
        let client = self
            .clients
            .get(&asker.client)
            .ok_or_else(|| Refusal::NotAllowed(asker.client.clone()))?;
        let denied = || Refusal::NotAllowed(asker.client.clone());
        let Some(number) = question.subject() else {
            let told = match question {
                Question::Changes(after) if client.changes => self.changes(client, *after),
                Question::Act(entered) => self.enter(asker, client, entered),
                Question::WorkList(after) if client.doubles => self.work_list(client, *after),
                Question::Own(question) => return self.own(asker, client, question),
                Question::Notices(after) => self.notices(client, *after),
                _ => Err(denied()),
            };
            return told.map(Answer::Record);
        };
        if !is_allowed(client, question) {
            return Err(denied());
        }
        let now = OffsetDateTime::now_utc();
        if let Question::Image(_, kind) = question {
            return self.image(asker, client, question, (number, *kind), now);
        }
        // Kept for every number, also one that nobody holds: so an answer takes as long and tells as little.
        self.keep(asker, question, number, None, now)?;
        let record = answering(self.register.as_ref(), number)?;
        let locked = locked_for(record.as_ref(), client, asker, now);
        let today = day_of(now);
        let verdicts = match question {
            Question::Verify(given) => {
                let right = record.as_ref();
                vec![(
                    "matches",
                    right.is_some_and(|record| is_right(record, client, given, today)),
                )]
            }
            Question::MayAct { actor, theme, .. } => {
                self.keep(asker, question, *actor, None, now)?;
                let actor = answering(self.register.as_ref(), *actor)?;
                // Nobody for whom either is hidden from the client learns it.
                let seen = |record: &id_registry::Record| {
                    !is_hidden_from(Viewer::Client(&client.grant), record)
                };
                let both = record.as_ref().zip(actor.as_ref());
                let both = both.filter(|(person, actor)| seen(person) && seen(actor));
                vec![
                    (
                        "mayAct",
                        both.is_some_and(|(person, actor)| may_act(actor, person, *theme, today)),
                    ),
                    (
                        "mayHoldMandate",
                        both.is_some_and(|(person, actor)| may_hold_mandate(actor, person)),
                    ),
                ]
            }
            _ => Vec::new(),
        };
        if !verdicts.is_empty() {
            // That a number is locked is told whatever the verdict is: told only with a yes, it would be the yes.
            let viewer = Viewer::Client(&client.grant);
            let seen = record.as_ref();
            let seen = seen.is_some_and(|record| View::of(viewer, record, today).is_some());
            return match locked.filter(|_| seen) {
                Some(purpose) => Err(Refusal::Locked(purpose)),
                None => Ok(Answer::Record(
                    verdicts
                        .into_iter()
                        .fold(Record::default(), |record, (name, yes)| {
                            record.truth(name, yes)
                        }),
                )),
            };
        }
        let view = record
            .as_ref()
            .and_then(|record| View::of(Viewer::Client(&client.grant), record, today))
            .ok_or(Refusal::NobodyHolds(number))?;
        if let Some(purpose) = locked {
            return Err(Refusal::Locked(purpose));
        }
        let view = view.with_family(|number| self.register.record(number))?;
        self.tell(client, question, &view, today)
            .map(Answer::Record)
    }

    /// What a client sees of somebody.
    fn tell(
        &self,
        client: &PopulationClient,
        question: &Question,
        view: &View<'_>,
        today: time::Date,
    ) -> Result<Record, Refusal> {
        let grant = Viewer::Client(&client.grant);
        match question {
            Question::Relations(_) => {
                let found = view.relations(|number| self.register.record(number))?;
                let relatives: Vec<_> = found
                    .iter()
                    .filter_map(|(kind, record)| Some((*kind, View::of(grant, record, today)?)))
                    .collect();
                Ok(relations(view, &relatives))
            }
            Question::Doubles(_) => {
                let record = Record::default().text("number", view.number().as_str());
                let found = self.candidates_of(client, view.number())?;
                Ok(record.list("candidates", "candidate", found))
            }
            Question::Address(_) => {
                let record = Record::default().text("number", view.number().as_str());
                Ok(addresses(record, view, &self.territory))
            }
            _ => Ok(person(view, &self.territory)),
        }
    }

    /// A picture. That it is released is on the person's record before it leaves.
    fn image(
        &self,
        asker: &Asker,
        client: &PopulationClient,
        question: &Question,
        (number, kind): (PersonalNumber, ImageKind),
        now: OffsetDateTime,
    ) -> Result<Answer, Refusal> {
        let record = answering(self.register.as_ref(), number)?;
        let today = day_of(now);
        let seen = record
            .as_ref()
            .and_then(|record| View::of(Viewer::Client(&client.grant), record, today));
        let found = match (&seen, locked_for(record.as_ref(), client, asker, now)) {
            (None, _) => Err(Refusal::NobodyHolds(number)),
            (_, Some(purpose)) => Err(Refusal::Locked(purpose)),
            (Some(view), None) => {
                let image = match view.image(kind) {
                    Some(id) => self.register.image(id)?,
                    None => self.draw(view.number(), kind, now)?,
                };
                let holder = view.number();
                image
                    .map(|image| (holder, image))
                    .ok_or(Refusal::NoImage(number))
            }
        };
        let released = found.as_ref().ok().map(|(_, image)| image.id());
        self.keep(asker, question, number, released, now)?;
        found.map(|(holder, image)| Answer::Image(holder, image))
    }

    /// In the demonstration, takes the picture of a resident of whom there is none yet: an act like any other.
    fn draw(
        &self,
        number: PersonalNumber,
        kind: ImageKind,
        now: OffsetDateTime,
    ) -> Result<Option<Image>, Refusal> {
        let resident = self.residents.and_then(|all| all.find(&number));
        let Some(resident) = resident else {
            return Ok(None);
        };
        let drawn = match kind {
            ImageKind::Portrait => face::portrait(&resident, day_of(now)),
            ImageKind::Signature => face::signature(&resident),
        };
        let image = drawn
            .map_err(|error| error.to_string())
            .and_then(|file| Image::check(file).map_err(|error| error.to_string()))
            .map_err(StoreError::Unreadable)?;
        let entry = Entry {
            event: Event::ImageTaken {
                person: number,
                kind,
                image: image.id(),
            },
            effective: day_of(now),
            reference: format!("demonstration picture {}", image.id()),
            officer: Officer {
                office: "demonstration".to_owned(),
                name: "seed".to_owned(),
            },
        };
        for _ in 0..ATTEMPTS {
            let entry = entry.clone();
            match decide(entry, now, self.rules(), self.register.as_ref()) {
                Ok(decided) => {
                    self.register.keep_image(&image)?;
                    match self.register.enter(&decided) {
                        Ok(_) => return Ok(Some(image)),
                        Err(StoreError::Conflict(_)) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                // Somebody else asked at the same time.
                Err(DecideError::Refused(id_registry::Refusal::NothingNew)) => {
                    return Ok(Some(image));
                }
                // Of the dead no picture is taken.
                Err(DecideError::Refused(_)) => return Ok(None),
                Err(DecideError::Records(error)) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict(number).into())
    }

    fn keep(
        &self,
        asker: &Asker,
        question: &Question,
        number: PersonalNumber,
        released: Option<ImageId>,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let short = |text: &str| text.chars().take(LONGEST_KEPT).collect::<String>();
        self.register.keep_look_up(&LookUp {
            number,
            at,
            client: asker.client.clone(),
            user: short(&asker.user),
            purpose: short(&asker.issue),
            service: question.service().to_owned(),
            query_id: short(&asker.query_id),
            released,
        })
    }

    fn changes(&self, client: &PopulationClient, after: u64) -> Result<Record, Refusal> {
        let changes = self.changes_after(client, ActId(after))?;
        let items = changes
            .people
            .iter()
            .map(|number| Record::default().text("number", number.as_str()))
            .collect();
        Ok(Record::default()
            .number("last", changes.last.0)
            .truth("more", changes.more)
            .list("changes", "person", items))
    }

    /// Whose records changed, without what changed: that is asked for person by person.
    pub(crate) fn changes_after(
        &self,
        client: &PopulationClient,
        after: ActId,
    ) -> Result<Changes, StoreError> {
        let acts = self.register.acts_after(after, MOST)?;
        let mut changed = BTreeSet::new();
        for act in &acts {
            changed.extend(told_of(act, &client.grant));
        }
        let mut people = Vec::new();
        for number in changed {
            // A number that was given up is told too: whoever knows it asks again and learns the other one.
            if !hides(self.register.as_ref(), &client.grant, number)? {
                people.push(number);
            }
        }
        Ok(Changes {
            last: acts.last().map_or(after, |act| act.id),
            more: acts.len() == MOST,
            people,
        })
    }

    fn notices(&self, client: &PopulationClient, after: u64) -> Result<Record, Refusal> {
        let notices = self.register.notices(&client.client.path(), after, MOST)?;
        let last = notices.last().map_or(after, |notice| notice.id);
        let mut items = Vec::new();
        for notice in notices {
            if !hides(self.register.as_ref(), &client.grant, notice.kept)? {
                items.push(
                    Record::default()
                        .text("givenUp", notice.given_up.as_str())
                        .text("kept", notice.kept.as_str()),
                );
            }
        }
        Ok(Record::default()
            .number("last", last)
            .list("notices", "notice", items))
    }
}

/// The people whose change is told. Of a secret adoption the parents until then are left out: in one list with the
/// child they would give it away.
fn told_of(act: &Act, grant: &Grant) -> BTreeSet<PersonalNumber> {
    let mut people = act.entry.people();
    if let Event::Adoption {
        instead_of,
        secret: true,
        ..
    } = &act.entry.event
        && !grant.adoption_secrets
    {
        for parent in instead_of.iter().flatten() {
            people.remove(parent);
        }
    }
    people
}

/// Whether somebody who is there, perhaps under another number, is nobody to a client.
pub(crate) fn hides(
    register: &dyn Register,
    grant: &Grant,
    number: PersonalNumber,
) -> Result<bool, StoreError> {
    let record = answering(register, number)?;
    Ok(record.is_some_and(|record| is_hidden_from(Viewer::Client(grant), &record)))
}

/// Whether a client may ask such a question at all.
fn is_allowed(client: &PopulationClient, question: &Question) -> bool {
    let details = &client.grant.details;
    match question {
        Question::Verify(_) => client.verify,
        Question::MayAct { .. } => client.may_act,
        Question::Doubles(_) => client.doubles,
        Question::Relations(_) => details.contains(&Detail::Relations),
        Question::Address(_) => {
            details.contains(&Detail::Address) || details.contains(&Detail::ActualAddress)
        }
        Question::Image(_, kind) => details.contains(&detail_of(*kind)),
        _ => !details.is_empty(),
    }
}

/// The purpose for which the person locked the number and this is asked.
fn locked_for(
    record: Option<&id_registry::Record>,
    client: &PopulationClient,
    asker: &Asker,
    now: OffsetDateTime,
) -> Option<Purpose> {
    let record = record?;
    let said = asker.issue.parse::<Purpose>().ok();
    [client.purpose.as_ref(), said.as_ref()]
        .into_iter()
        .flatten()
        .find(|purpose| record.is_locked(purpose, now))
        .cloned()
}

/// Whether all that was given is right. What the client may not see is compared all the same; whoever is hidden from
/// it is not there.
fn is_right(
    record: &id_registry::Record,
    client: &PopulationClient,
    given: &Given,
    today: time::Date,
) -> bool {
    let compared = Grant {
        details: [Detail::Names, Detail::BornOn, Detail::Documents].into(),
        ..client.grant.clone()
    };
    let Some(view) = View::of(Viewer::Client(&compared), record, today) else {
        return false;
    };
    let named = view.names().is_some_and(|names| {
        names.family.is(&given.family_name) && names.given.is(&given.given_name)
    });
    let born = given
        .born_on
        .as_ref()
        .is_none_or(|day| view.born_on().is_some_and(|born| born.to_string() == *day));
    let papers = given.document.as_ref().is_none_or(|number| {
        view.documents()
            .iter()
            .any(|document| document.number == *number)
    });
    named && born && papers
}
