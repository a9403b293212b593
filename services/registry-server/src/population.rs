//! The population register as a service: who asks what, what of it may be told, and that it was asked.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use config::PopulationClient;
use id_registry::demonstration::HOUSEHOLD;
use id_registry::{
    Act, ActId, Decided, Detail, Event, Grant, LookUp, Nobody, OpaqueSerial, PersonalNumber,
    Population, Purpose, Register, Rules, StoreError, Territory, View, Viewer, answering, day_of,
    decide,
};
use time::OffsetDateTime;
use tokio::sync::OnceCell;

use crate::record::{Record, addresses, person, relations};
use crate::registers::Refusal;

/// Most acts and notices that are told at once.
const MOST: usize = 1000;
/// Longest text of a header that is kept with a look-up, in characters.
const LONGEST_KEPT: usize = 200;

/// Who asks, as the exchange says.
#[derive(Debug)]
pub(crate) struct Asker {
    /// The X-Road client, as a path.
    pub(crate) client: String,
    /// Which of its people.
    pub(crate) user: String,
    /// The matter for which it asks (`issue`).
    pub(crate) issue: String,
    /// The message's id.
    pub(crate) query_id: String,
}

/// What is asked.
#[derive(Debug)]
pub(crate) enum Question {
    /// What is known of a person.
    Person(PersonalNumber),
    /// Whether data are right.
    Verify(Given),
    /// Relatives.
    Relations(PersonalNumber),
    /// Addresses.
    Address(PersonalNumber),
    /// Whose records changed after an act.
    Changes(u64),
    /// Numbers that were given up after a notice.
    Notices(u64),
}

impl Question {
    const fn service(&self) -> &'static str {
        match self {
            Self::Person(_) => "personByNumber",
            Self::Verify(_) => "verifyPerson",
            Self::Relations(_) => "relations",
            Self::Address(_) => "address",
            Self::Changes(_) => "changesSince",
            Self::Notices(_) => "noticesSince",
        }
    }

    const fn subject(&self) -> Option<PersonalNumber> {
        match self {
            Self::Person(number) | Self::Relations(number) | Self::Address(number) => Some(*number),
            Self::Verify(given) => Some(given.number),
            Self::Changes(_) | Self::Notices(_) => None,
        }
    }
}

/// Data that somebody gave and that are to be compared.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) number: PersonalNumber,
    pub(crate) family_name: String,
    pub(crate) given_name: String,
    pub(crate) born_on: Option<String>,
    pub(crate) document: Option<String>,
}

/// The population register with its database, its clients and, in the demonstration, its first residents.
#[derive(Clone)]
pub struct PopulationRegister(Arc<Inner>);

struct Inner {
    register: Box<dyn Register>,
    clients: HashMap<String, PopulationClient>,
    territory: Territory,
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
    /// The register in a database, for these clients. An empty database is filled with `residents` when it is first
    /// asked, or by [`PopulationRegister::fill`].
    #[must_use]
    pub fn new(
        register: Box<dyn Register>,
        clients: Vec<PopulationClient>,
        territory: Territory,
        residents: Option<Population>,
    ) -> Self {
        let clients = clients
            .into_iter()
            .map(|client| (client.client.path(), client))
            .collect();
        Self(Arc::new(Inner {
            register,
            clients,
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

    /// Answers a question, after it was kept who asked it.
    pub(crate) async fn ask(&self, asker: Asker, question: Question) -> Result<Record, Refusal> {
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
        let rules = Rules {
            numbers: &OpaqueSerial,
            territory: &self.territory,
            cooling_off: time::Duration::DAY,
        };
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

    fn answer(&self, asker: &Asker, question: &Question) -> Result<Record, Refusal> {
        let client = self
            .clients
            .get(&asker.client)
            .ok_or_else(|| Refusal::NotAllowed(asker.client.clone()))?;
        let denied = || Refusal::NotAllowed(asker.client.clone());
        let Some(number) = question.subject() else {
            return match question {
                Question::Changes(after) if client.changes => self.changes(client, *after),
                Question::Notices(after) => self.notices(&asker.client, *after),
                _ => Err(denied()),
            };
        };
        let allowed = match question {
            Question::Verify(_) => client.verify,
            Question::Relations(_) => client.grant.details.contains(&Detail::Relations),
            Question::Address(_) => {
                let details = &client.grant.details;
                details.contains(&Detail::Address) || details.contains(&Detail::ActualAddress)
            }
            _ => !client.grant.details.is_empty(),
        };
        if !allowed {
            return Err(denied());
        }
        let now = OffsetDateTime::now_utc();
        // Kept for every number, also one that nobody holds: so an answer takes as long and tells as little.
        self.keep(asker, question, number, now)?;
        let record = answering(self.register.as_ref(), number)?;
        let locked = record.as_ref().and_then(|record| {
            let said = asker.issue.parse::<Purpose>().ok();
            [client.purpose.as_ref(), said.as_ref()]
                .into_iter()
                .flatten()
                .find(|purpose| record.is_locked(purpose, now))
                .cloned()
        });
        let today = day_of(now);
        if let Question::Verify(given) = question {
            let right = record.is_some_and(|record| is_right(&record, client, given, today));
            return match locked.filter(|_| right) {
                Some(purpose) => Err(Refusal::Locked(purpose)),
                None => Ok(Record::default().truth("matches", right)),
            };
        }
        let grant = Viewer::Client(&client.grant);
        let view = record
            .as_ref()
            .and_then(|record| View::of(grant, record, today))
            .ok_or(Refusal::NobodyHolds(number))?;
        if let Some(purpose) = locked {
            return Err(Refusal::Locked(purpose));
        }
        match question {
            Question::Relations(_) => {
                let found = view.relations(|number| self.register.record(number))?;
                let relatives: Vec<_> = found
                    .iter()
                    .filter_map(|(kind, record)| Some((*kind, View::of(grant, record, today)?)))
                    .collect();
                Ok(relations(&view, &relatives))
            }
            Question::Address(_) => {
                let record = Record::default().text("number", view.number().as_str());
                Ok(addresses(record, &view, &self.territory))
            }
            _ => Ok(person(&view, &self.territory)),
        }
    }

    fn keep(
        &self,
        asker: &Asker,
        question: &Question,
        number: PersonalNumber,
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
        })
    }

    /// Whose records changed, without what changed: that is asked for person by person.
    fn changes(&self, client: &PopulationClient, after: u64) -> Result<Record, Refusal> {
        let acts = self.register.acts_after(ActId(after), MOST)?;
        let last = acts.last().map_or(after, |act| act.id.0);
        let mut changed = BTreeSet::new();
        for act in &acts {
            changed.extend(told_of(act, &client.grant));
        }
        let today = day_of(OffsetDateTime::now_utc());
        let mut items = Vec::new();
        for number in changed {
            let record = self.register.record(number)?;
            // A number that was given up is told too: whoever knows it asks again and learns the other one.
            let hidden = record.is_some_and(|record| {
                record.merged_into().is_none()
                    && record.is_held()
                    && View::of(Viewer::Client(&client.grant), &record, today).is_none()
            });
            if !hidden {
                items.push(Record::default().text("number", number.as_str()));
            }
        }
        Ok(Record::default()
            .number("last", last)
            .truth("more", acts.len() == MOST)
            .list("changes", "person", items))
    }

    fn notices(&self, client: &str, after: u64) -> Result<Record, Refusal> {
        let notices = self.register.notices(client, after, MOST)?;
        let last = notices.last().map_or(after, |notice| notice.id);
        let items = notices
            .iter()
            .map(|notice| {
                Record::default()
                    .text("givenUp", notice.given_up.as_str())
                    .text("kept", notice.kept.as_str())
            })
            .collect();
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
