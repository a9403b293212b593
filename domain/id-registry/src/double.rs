//! Double numbers: who may be one person with two of them, and which number answers.
//!
//! This only proposes. Whether two numbers are one person's is decided by an officer, whose act is an
//! [`Event::Merge`](crate::Event::Merge) or an [`Event::Distinct`](crate::Event::Distinct).

use time::{Date, Month};

use crate::decide::Records;
use crate::number::PersonalNumber;
use crate::person::{Name, Parent};
use crate::record::Record;
use crate::spelling::{likeness, skeleton};

/// Least likeness of both names, of 100, below which a common birthday is a coincidence.
const ALIKE: u32 = 75;
/// Longest chain of aliases that is followed: each step was a decision of an officer.
const LONGEST_CHAIN: usize = 32;

/// Why two numbers are thought to be one person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// Family and given name are spelled alike in one of their scripts.
    SameName,
    /// Family and given name are alike across scripts, of 100.
    AlikeName(u32),
    /// The same date of birth.
    SameBirthday,
    /// A date of birth that differs by a slip: day and month swapped, or one digit.
    BirthdaySlip,
    /// The same document.
    SameDocument,
    /// The same mother or father.
    SameParent,
}

impl Ground {
    /// The word used in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SameName => "sameName",
            Self::AlikeName(_) => "alikeName",
            Self::SameBirthday => "sameBirthday",
            Self::BirthdaySlip => "birthdaySlip",
            Self::SameDocument => "sameDocument",
            Self::SameParent => "sameParent",
        }
    }

    const fn weight(self) -> u32 {
        match self {
            Self::SameDocument => 60,
            Self::SameName => 40,
            Self::AlikeName(likeness) => likeness * 35 / 100,
            Self::SameBirthday => 35,
            Self::BirthdaySlip => 20,
            Self::SameParent => 15,
        }
    }
}

/// A number that may be the same person's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The other number.
    pub number: PersonalNumber,
    /// How likely it is, up to 100. It orders the list that an officer works through; it decides nothing.
    pub score: u32,
    /// Why.
    pub grounds: Vec<Ground>,
}

/// The records of a pool that may be the same person as `record`, the likeliest first.
pub fn candidates<'r>(
    record: &Record,
    pool: impl IntoIterator<Item = &'r Record>,
) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = pool
        .into_iter()
        .filter_map(|other| compare(record, other))
        .collect();
    found.sort_by_key(|candidate| (std::cmp::Reverse(candidate.score), candidate.number));
    found
}

/// Whether two records may be one person's, and why.
#[must_use]
pub fn compare(one: &Record, other: &Record) -> Option<Candidate> {
    let open = |record: &Record| record.is_held() && record.merged_into().is_none();
    if one.number() == other.number() || !open(one) || !open(other) {
        return None;
    }
    if one.is_distinct_from(other.number()) {
        return None;
    }
    let mut grounds = Vec::new();
    let (first, second) = (one.names()?, other.names()?);
    let alike = like(&first.family, &second.family).min(like(&first.given, &second.given));
    if shares(&first.family, &second.family) && shares(&first.given, &second.given) {
        grounds.push(Ground::SameName);
    } else if alike >= ALIKE {
        grounds.push(Ground::AlikeName(alike));
    }
    let named = !grounds.is_empty();
    let mut born = false;
    if let (Some(day), Some(other_day)) = (one.born_on(), other.born_on()) {
        if day == other_day {
            grounds.push(Ground::SameBirthday);
            born = true;
        } else if is_slip(day, other_day) {
            grounds.push(Ground::BirthdaySlip);
            born = true;
        }
    }
    let papers = one.documents().any(|document| {
        other
            .documents()
            .any(|paper| paper.number == document.number)
    });
    if papers {
        grounds.push(Ground::SameDocument);
    }
    let parents = [Parent::Mother, Parent::Father].into_iter().any(|place| {
        let parent = one.parent(place);
        parent.is_some() && parent == other.parent(place)
    });
    if parents {
        grounds.push(Ground::SameParent);
    }
    if !(papers || (named && born)) {
        return None;
    }
    let score = grounds.iter().map(|ground| ground.weight()).sum::<u32>();
    Some(Candidate {
        number: other.number(),
        score: score.min(100),
        grounds,
    })
}

/// The record that answers for a number: its own, or, if it was given up, that of the number that took its place.
///
/// # Errors
/// A record cannot be read.
pub fn answering<R: Records + ?Sized>(
    records: &R,
    number: PersonalNumber,
) -> Result<Option<Record>, R::Error> {
    let mut next = number;
    for _ in 0..LONGEST_CHAIN {
        let Some(record) = records.record(next)? else {
            return Ok(None);
        };
        match record.merged_into() {
            Some(kept) => next = kept,
            None => return Ok(record.is_held().then_some(record)),
        }
    }
    Ok(None)
}

fn shares(one: &Name, other: &Name) -> bool {
    one.spellings().any(|spelling| other.is(spelling))
}

fn like(one: &Name, other: &Name) -> u32 {
    let bones = |name: &Name| name.spellings().map(skeleton).collect::<Vec<_>>();
    let (first, second) = (bones(one), bones(other));
    let pairs = first
        .iter()
        .flat_map(|left| second.iter().map(move |right| likeness(left, right)));
    pairs.max().unwrap_or(0)
}

fn is_slip(one: Date, other: Date) -> bool {
    let month = |date: Date| u8::from(date.month());
    let swapped = one.year() == other.year()
        && Month::try_from(one.day()).is_ok_and(|swapped| swapped == other.month())
        && month(one) == other.day();
    let digits = |date: Date| format!("{:02}{:02}{:04}", date.day(), month(date), date.year());
    let (first, second) = (digits(one), digits(other));
    let differing = first
        .bytes()
        .zip(second.bytes())
        .filter(|(left, right)| left != right)
        .count();
    swapped || differing == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn slips_of_a_date() {
        let day = date!(1985 - 05 - 12);
        assert!(is_slip(day, date!(1985 - 12 - 05)));
        assert!(is_slip(day, date!(1986 - 05 - 12)));
        assert!(is_slip(day, date!(1985 - 05 - 22)));
        assert!(!is_slip(day, date!(1986 - 05 - 13)));
        assert!(!is_slip(date!(1985 - 05 - 31), date!(1984 - 05 - 30)));
    }
}
