//! Why an entry does not become an act.

use time::Date;

use super::LARGEST_ACT;
use crate::act::ActId;
use crate::number::PersonalNumber;
use crate::person::{LONGEST_TEXT, NameError};

/// Why an entry does not become an act. The fault is that of whoever entered it, and the sentence says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each says what it is in its message")]
pub enum Refusal {
    #[error("nobody holds the number {0}")]
    Unknown(PersonalNumber),
    #[error("the number {0} was merged into {1}; enter the act about {1}")]
    Merged(PersonalNumber, PersonalNumber),
    #[error("the holder of {0} is dead; an act of this kind is about the living")]
    Dead(PersonalNumber),
    #[error("the number {0} was issued before; numbers are never issued twice")]
    Issued(PersonalNumber),
    #[error(
        "the number {0} is not one that the rule in force issues for this sex and date of birth"
    )]
    NotByRule(PersonalNumber),
    #[error(
        "an act needs a reference and an officer with an office, of at most {LONGEST_TEXT} characters that can be shown"
    )]
    Incomplete,
    #[error("the act holds from {0}, which is in the future")]
    Future(Date),
    #[error("the act holds from {0}, before {1} was born")]
    BeforeBirth(Date, PersonalNumber),
    #[error("a name cannot be entered: {0}")]
    Name(#[from] NameError),
    #[error(
        "a text is empty, longer than {LONGEST_TEXT} characters, or has characters that cannot be shown: {0}"
    )]
    Text(&'static str),
    #[error("a citizenship is three capital letters")]
    Citizenship,
    #[error("the administrative tree has no unit {0}")]
    Unit(String),
    #[error("{0} and {1} are the same person")]
    Same(PersonalNumber, PersonalNumber),
    #[error("{0} is too young for it")]
    TooYoung(PersonalNumber),
    #[error("{0} is of age; the act is about a child")]
    OfAge(PersonalNumber),
    #[error("{0} is not old enough to be a parent of {1}")]
    ParentTooYoung(PersonalNumber, PersonalNumber),
    #[error("{0} is married; the marriage must end first")]
    Married(PersonalNumber),
    #[error("{0} and {1} are not married to each other")]
    NotMarried(PersonalNumber, PersonalNumber),
    #[error("{0} and {1} are too closely related to marry")]
    Related(PersonalNumber, PersonalNumber),
    #[error(
        "the marital status of {0} changed on {1}, after the day of this act; reverse that act first"
    )]
    StatusIsLater(PersonalNumber, Date),
    #[error("{0} has a father; a court's decision must say instead of whom another one is")]
    HasFather(PersonalNumber, PersonalNumber),
    #[error("the father of {0} is not the one that the act says")]
    OtherFather(PersonalNumber),
    #[error("{0} is no parent of {1}")]
    NoParent(PersonalNumber, PersonalNumber),
    #[error("the act changes nothing")]
    NothingNew,
    #[error("the document {0} is not one that counts")]
    NoDocument(String),
    #[error("there is no act {0} that stands and is about this person")]
    NoAct(ActId),
    #[error("the act {0} states no such fact about {1}, or a later act stands in its place")]
    NotCorrectable(ActId, PersonalNumber),
    #[error(
        "the act {act} cannot be taken back before the act {later} about {person}, which rests on it"
    )]
    RestedOn {
        act: ActId,
        later: ActId,
        person: PersonalNumber,
    },
    #[error("a reversal is not taken back; enter the act anew")]
    ReversalOfReversal,
    #[error("the records of {0} and {1} contradict each other in: {2}; put one right first")]
    Contradiction(PersonalNumber, PersonalNumber, &'static str),
    #[error("an act is about at most {LARGEST_ACT} people or facts, and at least one")]
    Size,
    #[error("the relation between {0} and {1} is stated on one side only")]
    OneSided(PersonalNumber, PersonalNumber),
    #[error(
        "a record that this office does not see stands against it; the court's office enters it"
    )]
    Unseen,
}

impl Refusal {
    /// The numbers that the sentence names: an office that does not see one of them is told [`Refusal::Unseen`].
    #[must_use]
    pub fn named(&self) -> Vec<PersonalNumber> {
        match self {
            Self::Unknown(one)
            | Self::Dead(one)
            | Self::Issued(one)
            | Self::NotByRule(one)
            | Self::BeforeBirth(_, one)
            | Self::TooYoung(one)
            | Self::OfAge(one)
            | Self::Married(one)
            | Self::StatusIsLater(one, _)
            | Self::OtherFather(one)
            | Self::HasFather(one, _)
            | Self::NotCorrectable(_, one)
            | Self::RestedOn { person: one, .. } => vec![*one],
            Self::Merged(one, other)
            | Self::Same(one, other)
            | Self::ParentTooYoung(one, other)
            | Self::NotMarried(one, other)
            | Self::Related(one, other)
            | Self::NoParent(one, other)
            | Self::Contradiction(one, other, _)
            | Self::OneSided(one, other) => vec![*one, *other],
            Self::Incomplete
            | Self::Future(_)
            | Self::Name(_)
            | Self::Text(_)
            | Self::Citizenship
            | Self::Unit(_)
            | Self::NothingNew
            | Self::NoDocument(_)
            | Self::NoAct(_)
            | Self::ReversalOfReversal
            | Self::Size
            | Self::Unseen => Vec::new(),
        }
    }
}
