//! Numbers that may be one person's, for officers who decide.

use std::collections::BTreeSet;

use config::PopulationClient;
use id_registry::{
    ActId, Candidate, Event, NameQuery, PersonalNumber, StoreError, View, Viewer, candidates,
    day_of,
};
use time::OffsetDateTime;

use crate::population::Inner;
use crate::record::Record;
use crate::registers::Refusal;

/// Most people with a like name who are compared with somebody.
const MOST_ALIKE: usize = 200;
/// Most candidates that are told of one person, the likeliest first.
const MOST_TOLD: usize = 20;
/// Most people who are compared with the register for one page of the work list.
const MOST_COMPARED: usize = 20;
/// Most acts that are looked through for one page.
const MOST_ACTS: usize = 1000;

impl Inner {
    /// Numbers that may be the same person's as this one: those with a like name or the same birthday.
    fn doubles_of(
        &self,
        client: &PopulationClient,
        number: PersonalNumber,
    ) -> Result<Vec<Candidate>, StoreError> {
        let Some(record) = self.register.record(number)? else {
            return Ok(Vec::new());
        };
        let mut near = BTreeSet::new();
        if let Some(names) = record.names() {
            let query = NameQuery::new(&names.family.cyrillic, &names.given.cyrillic);
            if let Some(query) = query {
                let hits = self.register.search(&query, MOST_ALIKE)?;
                near.extend(hits.into_iter().map(|hit| hit.number));
            }
        }
        if let Some(born) = record.born_on() {
            near.extend(self.register.issued(record.sex(), born)?);
        }
        let today = day_of(OffsetDateTime::now_utc());
        let viewer = Viewer::Client(&client.grant);
        let mut pool = Vec::new();
        for other in near {
            let other = self.register.record(other)?;
            pool.extend(other.filter(|other| View::of(viewer, other, today).is_some()));
        }
        let mut found = candidates(&record, &pool);
        found.truncate(MOST_TOLD);
        Ok(found)
    }

    /// The candidates for one number, as they are told.
    pub(crate) fn candidates_of(
        &self,
        client: &PopulationClient,
        number: PersonalNumber,
    ) -> Result<Vec<Record>, StoreError> {
        let found = self.doubles_of(client, number)?;
        Ok(found.iter().map(told).collect())
    }

    /// The work list: pairs among those who came in or changed their name by an act after `after`.
    pub(crate) fn work_list(
        &self,
        client: &PopulationClient,
        after: u64,
    ) -> Result<Record, Refusal> {
        let acts = self.register.acts_after(ActId(after), MOST_ACTS)?;
        let mut last = after;
        let mut more = acts.len() == MOST_ACTS;
        let mut compared = BTreeSet::new();
        for act in &acts {
            let about: Vec<PersonalNumber> = match &act.entry.event {
                // An import lists its own candidates.
                Event::TakenOver { .. } => Vec::new(),
                Event::NameChange { person, .. } | Event::Correction { person, .. } => {
                    vec![*person]
                }
                event => event.newcomers().map(|new| new.number).collect(),
            };
            if compared.len() + about.len() > MOST_COMPARED {
                more = true;
                break;
            }
            compared.extend(about);
            last = act.id.0;
        }
        let today = day_of(OffsetDateTime::now_utc());
        let mut pairs = Vec::new();
        let mut seen = BTreeSet::new();
        for number in compared {
            let record = self.register.record(number)?;
            let viewer = Viewer::Client(&client.grant);
            if record.is_none_or(|record| View::of(viewer, &record, today).is_none()) {
                continue;
            }
            for candidate in self.doubles_of(client, number)? {
                let pair = (number.min(candidate.number), number.max(candidate.number));
                if seen.insert(pair) {
                    pairs.push(
                        Record::default()
                            .text("number", number.as_str())
                            .group("candidate", told(&candidate)),
                    );
                }
            }
        }
        Ok(Record::default()
            .number("last", last)
            .truth("more", more)
            .list("pairs", "pair", pairs))
    }
}

fn told(candidate: &Candidate) -> Record {
    let grounds = candidate.grounds.iter().map(|ground| ground.as_str());
    Record::default()
        .text("number", candidate.number.as_str())
        .number("score", candidate.score)
        .texts("grounds", "ground", grounds)
}
