//! Who sees what about whom. One decision for every channel: answers over the exchange, forms that fill themselves,
//! certificates, the list of one's own look-ups, mandates.
//!
//! A [`View`] is the only way from a record to somebody who asks. What is withheld looks like what is not there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::Date;

use crate::days::age_on;
use crate::fact::{Field, Known};
use crate::image::{ImageId, ImageKind};
use crate::number::{PersonalNumber, Sex};
use crate::person::{
    Address, Citizenship, CivilStatus, Document, Names, Parent, ParentalRights, ProtectionKind,
    Residence,
};
use crate::record::{ActOnRecord, Record};

/// From this age a child's confidential services are the child's own (portal rule; Law on health protection: consent
/// to care from 16, counselling from 14).
const CONFIDENTIAL_AGE: i32 = 14;
/// Up to this age parents act for a child.
const ADULT_AGE: i32 = 18;

/// A part of what is known about a person, as access is given to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Detail {
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
    /// Husband or wife, parents, children, guardians and wards.
    Relations,
    /// Registered address.
    Address,
    /// Actual address.
    ActualAddress,
    /// Documents.
    Documents,
    /// The portrait.
    Portrait,
    /// The signature image.
    SignatureImage,
    /// Day of death.
    Death,
    /// Earlier values and the acts they come from.
    History,
    /// Who looked at the record.
    LookUps,
}

impl Detail {
    /// Whether it tells where somebody is, by itself or by who was asked about it.
    const fn is_whereabouts(self) -> bool {
        matches!(
            self,
            Self::Address | Self::ActualAddress | Self::LookUps | Self::History
        )
    }

    const fn theme(self) -> Theme {
        match self {
            Self::Names
            | Self::Sex
            | Self::BornOn
            | Self::BirthPlace
            | Self::Citizenship
            | Self::Portrait
            | Self::SignatureImage
            | Self::Death => Theme::Identity,
            Self::CivilStatus | Self::Relations => Theme::Family,
            Self::Address | Self::ActualAddress => Theme::Residence,
            Self::Documents => Theme::Documents,
            // Which services a child uses is the child's own, as the services are.
            Self::History | Self::LookUps => Theme::Confidential,
        }
    }
}

/// What a service is about, for those who act for somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Theme {
    /// Who somebody is.
    Identity,
    /// Family.
    Family,
    /// Where somebody lives.
    Residence,
    /// Documents.
    Documents,
    /// School and study.
    Education,
    /// Benefits and pensions.
    Benefits,
    /// Health, except what is confidential.
    Health,
    /// What the law lets a child keep to itself: counselling, protection from violence, reproductive health.
    Confidential,
}

/// What a client of the exchange may see. Everything is denied that is not listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The details.
    pub details: BTreeSet<Detail>,
    /// Whether a law gives this client the protected people too (police, courts).
    pub protected: bool,
    /// Whether a law gives this client what the secrecy of adoption covers (courts).
    pub adoption_secrets: bool,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub enum Viewer<'a> {
    /// A person, about himself, herself or somebody else.
    Person(&'a Record),
    /// An information system, by what it was granted.
    Client(&'a Grant),
}

impl Viewer<'_> {
    fn is(&self, number: PersonalNumber) -> bool {
        match self {
            Self::Person(record) => record.number() == number || record.aliases().contains(&number),
            Self::Client(_) => false,
        }
    }

    const fn sees_protected(&self) -> bool {
        matches!(self, Self::Client(grant) if grant.protected)
    }

    const fn sees_adoption_secrets(&self) -> bool {
        matches!(self, Self::Client(grant) if grant.adoption_secrets)
    }
}

/// Whether somebody may act in a theme about a person, or see it: the person himself or herself, a parent with full
/// rights and a guardian until the child is of age, by theme; and the guardian of an adult, if appointed for the adult.
/// Decided on the records as they are now, so that a right that a court takes is gone with the act that says so.
#[must_use]
pub fn may_act(viewer: &Record, subject: &Record, theme: Theme, today: Date) -> bool {
    let viewer_number = viewer.number();
    if Viewer::Person(viewer).is(subject.number()) {
        return true;
    }
    if !viewer.is_held() || viewer.merged_into().is_some() || !viewer.is_alive() {
        return false;
    }
    if is_hidden_from(Viewer::Person(viewer), subject) || !subject.is_alive() {
        return false;
    }
    let Some(born) = subject.born_on() else {
        return false;
    };
    let age = age_on(born, today);
    let is_parent = [Parent::Mother, Parent::Father]
        .into_iter()
        .any(|place| subject.parent(place) == Some(viewer_number))
        && subject.rights_of(viewer_number) == ParentalRights::Full;
    let is_guardian = subject.guardians().contains(&viewer_number);
    let old_enough_to_keep = theme == Theme::Confidential && age >= CONFIDENTIAL_AGE;
    let has_right = if age < ADULT_AGE {
        is_parent || is_guardian
    } else {
        is_guardian && was_appointed_for_adult(viewer_number, subject, born)
    };
    has_right && !old_enough_to_keep
}

/// Whether somebody was made guardian of a person who was of age on that day. Who cared for a child has no right over
/// the adult, though nobody enters that the child grew up; and a merge of double numbers, which carries guardianship
/// over on its own day, appoints nobody.
fn was_appointed_for_adult(guardian: PersonalNumber, ward: &Record, born: Date) -> bool {
    ward.now(Field::Guardian(guardian)).is_some_and(|known| {
        age_on(born, known.valid_from) >= ADULT_AGE
            && ward
                .acts()
                .iter()
                .any(|act| act.id == known.act && act.kind == "guardianship")
    })
}

/// Whether one person may act for another by a mandate: both live, and the one who is represented is not hidden from the
/// one who acts. So a mandate ends with a death, and with a protection, on the day on which either is entered.
#[must_use]
pub fn may_hold_mandate(holder: &Record, giver: &Record) -> bool {
    [holder, giver]
        .iter()
        .all(|record| record.merged_into().is_none() && record.is_alive())
        && !is_hidden_from(Viewer::Person(holder), giver)
}

/// Whether a person is nobody to a viewer: a protected witness to everybody without a law's ground, and a victim to
/// the one whom the court names.
#[must_use]
pub fn is_hidden_from(viewer: Viewer<'_>, subject: &Record) -> bool {
    if viewer.is(subject.number()) {
        return false;
    }
    subject.protections().any(|(kind, against)| {
        against.is_some_and(|number| viewer.is(number))
            || (kind == ProtectionKind::Witness && !viewer.sees_protected())
    })
}

/// How somebody is related to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// Husband or wife.
    Spouse,
    /// Mother.
    Mother,
    /// Father.
    Father,
    /// Child.
    Child,
    /// Guardian.
    Guardian,
    /// Ward.
    Ward,
}

impl Relation {
    /// The word used in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spouse => "spouse",
            Self::Mother => "mother",
            Self::Father => "father",
            Self::Child => "child",
            Self::Guardian => "guardian",
            Self::Ward => "ward",
        }
    }
}

/// What a viewer sees of a record. Every answer is nothing where access is missing.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    viewer: Viewer<'a>,
    subject: &'a Record,
    today: Date,
    /// Whether a child's whereabouts may be those of somebody who is protected.
    shelters: bool,
}

impl<'a> View<'a> {
    /// What a viewer sees of a record on a day. Nobody there: no record, one that was never held or given up, or a
    /// person who is hidden from the viewer; the three cannot be told apart. Of a child's whereabouts it shows nothing
    /// before [`View::with_family`].
    #[must_use]
    pub fn of(viewer: Viewer<'a>, subject: &'a Record, today: Date) -> Option<Self> {
        let there = subject.is_held()
            && subject.merged_into().is_none()
            && !is_hidden_from(viewer, subject);
        there.then_some(Self {
            viewer,
            subject,
            today,
            shelters: !viewer.is(subject.number())
                && subject
                    .born_on()
                    .is_some_and(|born| age_on(born, today) < ADULT_AGE),
        })
    }

    /// The same view, after it was looked who cares for a child: where a child is, is where a mother hides. While a
    /// parent who has rights, or a guardian, is protected, the child's whereabouts are withheld like theirs, from
    /// everybody but the one who is protected. `read` reads records.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn with_family<E>(
        mut self,
        read: impl Fn(PersonalNumber) -> Result<Option<Record>, E>,
    ) -> Result<Self, E> {
        if !self.shelters {
            return Ok(self);
        }
        let subject = self.subject;
        let parents = [Parent::Mother, Parent::Father]
            .into_iter()
            .filter_map(|place| subject.parent(place))
            .filter(|parent| subject.rights_of(*parent) != ParentalRights::Lost);
        for number in parents.chain(subject.guardians()) {
            let protected = |record: Record| record.is_alive() && record.is_protected();
            if !self.viewer.is(number) && read(number)?.is_some_and(protected) {
                return Ok(self);
            }
        }
        self.shelters = false;
        Ok(self)
    }

    /// Whether the viewer sees a detail: the decision that every other answer here rests on.
    #[must_use]
    pub fn shows(&self, detail: Detail) -> bool {
        if self.viewer.is(self.subject.number()) {
            return true;
        }
        let protected = self.shelters || self.subject.is_protected();
        if protected && detail.is_whereabouts() && !self.viewer.sees_protected() {
            return false;
        }
        match self.viewer {
            Viewer::Person(person) => may_act(person, self.subject, detail.theme(), self.today),
            Viewer::Client(grant) => grant.details.contains(&detail),
        }
    }

    fn seen<T>(&self, detail: Detail, value: impl FnOnce(&'a Record) -> Option<T>) -> Option<T> {
        self.shows(detail).then(|| value(self.subject)).flatten()
    }

    /// The number that answers.
    #[must_use]
    pub const fn number(&self) -> PersonalNumber {
        self.subject.number()
    }

    /// Name.
    #[must_use]
    pub fn names(&self) -> Option<&'a Names> {
        self.seen(Detail::Names, Record::names)
    }

    /// Sex.
    #[must_use]
    pub fn sex(&self) -> Option<Sex> {
        self.seen(Detail::Sex, |record| Some(record.sex()))
    }

    /// Date of birth.
    #[must_use]
    pub fn born_on(&self) -> Option<Date> {
        self.seen(Detail::BornOn, Record::born_on)
    }

    /// Place of birth.
    #[must_use]
    pub fn birth_place(&self) -> Option<&'a str> {
        self.seen(Detail::BirthPlace, Record::birth_place)
    }

    /// Citizenship.
    #[must_use]
    pub fn citizenship(&self) -> Option<&'a Citizenship> {
        self.seen(Detail::Citizenship, Record::citizenship)
    }

    /// Marital status.
    #[must_use]
    pub fn civil_status(&self) -> Option<CivilStatus> {
        self.seen(Detail::CivilStatus, Record::civil_status)
    }

    /// Day of death.
    #[must_use]
    pub fn died_on(&self) -> Option<Date> {
        self.seen(Detail::Death, Record::died_on)
    }

    /// An address.
    #[must_use]
    pub fn address(&self, residence: Residence) -> Option<&'a Address> {
        let detail = match residence {
            Residence::Registered => Detail::Address,
            Residence::Actual => Detail::ActualAddress,
        };
        self.seen(detail, |record| record.address(residence))
    }

    /// Documents that count.
    #[must_use]
    pub fn documents(&self) -> Vec<&'a Document> {
        self.seen(Detail::Documents, |record| {
            Some(record.documents().collect())
        })
        .unwrap_or_default()
    }

    /// The portrait or signature image.
    #[must_use]
    pub fn image(&self, kind: ImageKind) -> Option<ImageId> {
        let detail = match kind {
            ImageKind::Portrait => Detail::Portrait,
            ImageKind::Signature => Detail::SignatureImage,
        };
        self.seen(detail, |record| record.image(kind))
    }

    /// Relatives whom the viewer may know of. `read` reads their records; who is hidden is left out, and so is, from a
    /// parent whose rights a court took, the child.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn relations<E>(
        &self,
        read: impl Fn(PersonalNumber) -> Result<Option<Record>, E>,
    ) -> Result<Vec<(Relation, Record)>, E> {
        let mut relations = Vec::new();
        if !self.shows(Detail::Relations) {
            return Ok(relations);
        }
        let subject = self.subject;
        let one =
            |relation, number: Option<PersonalNumber>| number.map(|number| (relation, number));
        let many = |relation, numbers: BTreeSet<PersonalNumber>| {
            numbers.into_iter().map(move |number| (relation, number))
        };
        let all = one(Relation::Spouse, subject.spouse())
            .into_iter()
            .chain(one(Relation::Mother, subject.parent(Parent::Mother)))
            .chain(one(Relation::Father, subject.parent(Parent::Father)))
            .chain(many(Relation::Child, subject.children()))
            .chain(many(Relation::Guardian, subject.guardians()))
            .chain(many(Relation::Ward, subject.wards()));
        for (relation, number) in all {
            let Some(relative) = read(number)? else {
                continue;
            };
            let taken = relation == Relation::Child
                && matches!(self.viewer, Viewer::Person(_))
                && relative.rights_of(subject.number()) != ParentalRights::Full;
            if !taken && !is_hidden_from(self.viewer, &relative) {
                relations.push((relation, relative));
            }
        }
        Ok(relations)
    }

    /// The history of a field, without what the secrecy of adoption covers.
    #[must_use]
    pub fn history(&self, field: Field<'_>) -> Vec<&'a Known> {
        let secrets = self.viewer.sees_adoption_secrets();
        self.seen(Detail::History, |record| Some(record.history(field)))
            .unwrap_or_default()
            .into_iter()
            .filter(|known| secrets || known.sealed_by.is_none())
            .collect()
    }

    /// The acts about the person, without secret adoptions and those of which nothing but what they cover is left.
    #[must_use]
    pub fn acts(&self) -> Vec<&'a ActOnRecord> {
        let secrets = self.viewer.sees_adoption_secrets();
        let facts = self.subject.facts();
        let covered = |act: &ActOnRecord| {
            let mut said = facts.iter().filter(|known| known.act == act.id).peekable();
            act.secret || (said.peek().is_some() && said.all(|known| known.sealed_by.is_some()))
        };
        self.seen(Detail::History, |record| Some(record.acts()))
            .unwrap_or_default()
            .iter()
            .filter(|act| secrets || !covered(act))
            .collect()
    }
}
