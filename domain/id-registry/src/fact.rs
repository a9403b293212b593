//! Facts: what an act states about one person.

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use crate::act::ActId;
use crate::image::{ImageId, ImageKind};
use crate::number::{PersonalNumber, Sex};
use crate::person::{
    Address, Citizenship, CivilStatus, Document, Names, Parent, ParentalRights, ProtectionKind,
    Residence,
};

/// A statement about one person. Each belongs to one [`Field`]; a later fact of the same field takes its place without
/// wiping it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fact {
    /// The person lives.
    Lives,
    /// The person is dead, from the day on which the fact holds.
    Dead,
    /// Name.
    Names(Names),
    /// Sex. A correction does not change the number, whose first digit then tells something else.
    Sex(Sex),
    /// Date of birth; the same holds of the number's date.
    BornOn(#[serde(with = "crate::days")] Date),
    /// Place of birth.
    BirthPlace(String),
    /// Citizenship.
    Citizenship(Citizenship),
    /// Marital status.
    CivilStatus(CivilStatus),
    /// Husband or wife, or nobody.
    Spouse(Option<PersonalNumber>),
    /// A parent, or nobody.
    Parent(Parent, Option<PersonalNumber>),
    /// Whether somebody is this person's child.
    Child(PersonalNumber, bool),
    /// Whether somebody is this person's guardian.
    Guardian(PersonalNumber, bool),
    /// Whether somebody is this person's ward.
    Ward(PersonalNumber, bool),
    /// What this person's parent may decide.
    ParentalRights(PersonalNumber, ParentalRights),
    /// An address, or none.
    Residence(Residence, Option<Address>),
    /// A document that was issued.
    Document(Document),
    /// A document, by its number, that counts no longer.
    DocumentVoid(String),
    /// A portrait or signature image.
    Image(ImageKind, ImageId),
    /// Whether a protection is in force, and against whom.
    Protection(ProtectionKind, bool, Option<PersonalNumber>),
    /// Whether the number may be used for a purpose.
    Lock(Purpose, LockState),
    /// The number given up in favour of another one, which answers for it.
    MergedInto(PersonalNumber),
    /// A number that this one answers for.
    Alias(PersonalNumber),
    /// A number that looked like the same person's and is not.
    Distinct(PersonalNumber),
}

/// A purpose for which somebody's number is used, such as `credit`: 1 to 40 small letters and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Purpose(String);

/// A text that is not the name of a purpose. The fault is the sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a purpose is named by 1 to 40 small Latin letters and hyphens, such as credit")]
pub struct PurposeError;

impl Purpose {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Purpose {
    type Err = PurposeError;

    fn from_str(text: &str) -> Result<Self, PurposeError> {
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        if (1..=40).contains(&text.len()) && text.bytes().all(letters) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PurposeError)
        }
    }
}

impl TryFrom<String> for Purpose {
    type Error = PurposeError;

    fn try_from(text: String) -> Result<Self, PurposeError> {
        text.parse()
    }
}

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        purpose.0
    }
}

/// A lock on a number for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LockState {
    /// Locked until the person asks otherwise.
    Locked,
    /// The person asked to unlock; it stays locked until this moment.
    OpensAt(#[serde(with = "time::serde::timestamp")] OffsetDateTime),
}

/// What a fact is about: facts of one field replace one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field<'a> {
    /// Whether the person lives.
    Life,
    /// Name.
    Names,
    /// Sex.
    Sex,
    /// Date of birth.
    BornOn,
    /// Place of birth.
    BirthPlace,
    /// Citizenship.
    Citizenship,
    /// Marital status.
    CivilStatus,
    /// Husband or wife.
    Spouse,
    /// Mother or father.
    Parent(Parent),
    /// One child.
    Child(PersonalNumber),
    /// One guardian.
    Guardian(PersonalNumber),
    /// One ward.
    Ward(PersonalNumber),
    /// The rights of one parent.
    ParentalRights(PersonalNumber),
    /// One of the two addresses.
    Residence(Residence),
    /// One document, by its number.
    Document(&'a str),
    /// The portrait or the signature image.
    Image(ImageKind),
    /// One protection, perhaps against somebody.
    Protection(ProtectionKind, Option<PersonalNumber>),
    /// The lock for one purpose.
    Lock(&'a str),
    /// The number that answers for this one.
    MergedInto,
    /// One number that this one answers for.
    Alias(PersonalNumber),
    /// One number that is somebody else's.
    Distinct(PersonalNumber),
}

impl Fact {
    /// The field that the fact belongs to.
    #[must_use]
    pub fn field(&self) -> Field<'_> {
        match self {
            Self::Lives | Self::Dead => Field::Life,
            Self::Names(_) => Field::Names,
            Self::Sex(_) => Field::Sex,
            Self::BornOn(_) => Field::BornOn,
            Self::BirthPlace(_) => Field::BirthPlace,
            Self::Citizenship(_) => Field::Citizenship,
            Self::CivilStatus(_) => Field::CivilStatus,
            Self::Spouse(_) => Field::Spouse,
            Self::Parent(parent, _) => Field::Parent(*parent),
            Self::Child(number, _) => Field::Child(*number),
            Self::Guardian(number, _) => Field::Guardian(*number),
            Self::Ward(number, _) => Field::Ward(*number),
            Self::ParentalRights(number, _) => Field::ParentalRights(*number),
            Self::Residence(residence, _) => Field::Residence(*residence),
            Self::Document(document) => Field::Document(&document.number),
            Self::DocumentVoid(number) => Field::Document(number),
            Self::Image(kind, _) => Field::Image(*kind),
            Self::Protection(kind, _, against) => Field::Protection(*kind, *against),
            Self::Lock(purpose, _) => Field::Lock(purpose.as_str()),
            Self::MergedInto(_) => Field::MergedInto,
            Self::Alias(number) => Field::Alias(*number),
            Self::Distinct(number) => Field::Distinct(*number),
        }
    }

    /// Whether a court may put another fact of this field in its place: those that concern nobody else.
    pub(crate) const fn is_correctable(&self) -> bool {
        matches!(
            self,
            Self::Names(_)
                | Self::Sex(_)
                | Self::BornOn(_)
                | Self::BirthPlace(_)
                | Self::Citizenship(_)
                | Self::Residence(..)
                | Self::Document(_)
        )
    }
}

/// A fact as the register knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What is known.
    pub fact: Fact,
    /// The first day on which it holds, in the world.
    pub valid_from: Date,
    /// The act it was learnt from.
    pub act: ActId,
    /// When the register learnt it.
    pub entered_at: OffsetDateTime,
    /// The act that took it back, and when; the fact stays on record.
    pub withdrawn: Option<(ActId, OffsetDateTime)>,
    /// The adoption whose secrecy covers it.
    pub sealed_by: Option<ActId>,
}

impl Known {
    /// Whether the register held it to be true at a moment.
    #[must_use]
    pub fn stood_at(&self, moment: OffsetDateTime) -> bool {
        self.entered_at <= moment && self.withdrawn.is_none_or(|(_, at)| moment < at)
    }

    /// Whether the register holds it to be true.
    #[must_use]
    pub const fn stands(&self) -> bool {
        self.withdrawn.is_none()
    }
}
