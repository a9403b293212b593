//! Who reads what happened: the person, an officer on a declared ground, and monitoring.

use id_registry::PersonalNumber;
use time::OffsetDateTime;

use super::Provider;
use super::officers::OnDuty;
use super::support::Duty;
use crate::account::Tenant;
use crate::event::{EVENTS_ARE_KEPT_FOR, Event, EventKind};
use crate::level::Operation;
use crate::port::{Changes, EventPlace};
use crate::refusal::{Failure, Refusal};
use crate::secret::AccountId;
use crate::session::Authenticated;

/// Longest reference to a decision, in characters.
const LONGEST_REFERENCE: usize = 40;
/// Letters that may follow one another in it: enough for what such numbers begin with, too few for most names.
const LETTERS_TOGETHER: usize = 5;
/// Digits that may follow one another in it: fewer than a person's number has.
const DIGITS_TOGETHER: usize = 12;

/// On what ground somebody else's events are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// The person asked for it, at a desk.
    Asked,
    /// A court's order.
    Court,
    /// A report of a crime.
    Crime,
}

impl Ground {
    /// Its word in events.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Court => "court",
            Self::Crime => "crime",
        }
    }
}

/// The number of the decision, report or application on which somebody's events are read. It is kept in the event, so it
/// has the shape of such numbers, and is neither a name nor a person's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(String);

impl Reference {
    /// Takes it as the officer typed it: letters, digits, spaces and `- / . №`, with a digit.
    ///
    /// # Errors
    /// [`Refusal::Reference`].
    pub fn new(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        let characters = text.chars().count();
        let fits = (1..=LONGEST_REFERENCE).contains(&characters)
            && text
                .chars()
                .all(|c| c.is_alphabetic() || c.is_ascii_digit() || " -/.№".contains(c))
            && text.contains(|c: char| c.is_ascii_digit())
            && text
                .split(|c: char| !c.is_alphabetic())
                .all(|run| run.chars().count() <= LETTERS_TOGETHER)
            && text
                .split(|c: char| !c.is_ascii_digit())
                .all(|run| run.len() <= DIGITS_TOGETHER);
        fits.then(|| Self(text.to_owned()))
            .ok_or(Refusal::Reference)
    }
}

/// Why an officer reads somebody's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The ground.
    pub ground: Ground,
    /// The decision that is it.
    pub reference: Reference,
}

/// Events with their places.
pub type Events = Vec<(EventPlace, Event)>;

impl Provider {
    /// What happened to the account in the last 12 months, or was done by its holder, the latest first; before a place,
    /// or up to now.
    ///
    /// # Errors
    /// The database fails.
    pub fn history(
        &self,
        who: &Authenticated,
        before: Option<EventPlace>,
        most: usize,
    ) -> Result<Events, Failure> {
        who.may(Operation::SeeAccount)?;
        self.past(&who.account.id, who.now, before, most)
    }

    /// What happened to somebody's account, for an officer who declares why; with the account. Each reading is in the person's own list.
    ///
    /// # Errors
    /// [`Refusal::NotOnDuty`], [`Refusal::NoAccount`].
    pub fn history_for(
        &self,
        by: &OnDuty,
        number: PersonalNumber,
        tenant: Tenant,
        why: &Declared,
        before: Option<EventPlace>,
        most: usize,
    ) -> Result<(AccountId, Events), Failure> {
        by.has(Duty::Investigation)?;
        let account = self.person(number, tenant)?.value.id;
        let mut read = by
            .event(EventKind::EventsRead)
            .account(&account)
            .because(why.ground.word());
        read.reference = Some(why.reference.0.clone());
        let mut changes = Changes::default();
        changes.event(read);
        self.store.commit(&changes)?;
        let events = self.past(&account, by.now(), before, most)?;
        Ok((account, events))
    }

    fn past(
        &self,
        account: &AccountId,
        now: OffsetDateTime,
        before: Option<EventPlace>,
        most: usize,
    ) -> Result<Events, Failure> {
        let since = now - EVENTS_ARE_KEPT_FOR;
        let mut events = self.store.events_of(account.as_str(), before, most)?;
        events.retain(|(_, event)| event.at >= since);
        Ok(events)
    }

    /// What happened after a place, in order, for monitoring.
    ///
    /// # Errors
    /// The database fails.
    pub fn events_after(&self, place: EventPlace, most: usize) -> Result<Events, Failure> {
        Ok(self.store.events_after(place, most)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_number_and_names_nobody() {
        for text in ["УД-123/24-06", " 15 ", "№ 05-2026-1234567", "ст. 12 УК"] {
            assert!(Reference::new(text).is_ok(), "{text}");
        }
        let long = "1".repeat(9).repeat(5);
        for text in [
            "",
            "   ",
            "court",
            "Asanova 5",
            "21705199000003",
            "a@b 1",
            "<b>1",
            "1\n2",
            &long,
        ] {
            assert_eq!(Reference::new(text), Err(Refusal::Reference), "{text}");
        }
    }
}
