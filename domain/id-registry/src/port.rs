//! What the register needs of a database.

use std::collections::BTreeSet;

use time::{Date, Duration, OffsetDateTime};

use crate::act::{Act, ActId, Entry, Event};
use crate::decide::{Decided, Records};
use crate::fact::{Fact, Field};
use crate::image::{Image, ImageId};
use crate::number::{PersonalNumber, Sex};
use crate::person::{Name, Names};
use crate::record::Record;
use crate::spelling::skeleton;

/// How long an agency that looked somebody up is told when that number is given up.
pub const USERS_ARE_TOLD_FOR: Duration = Duration::days(365);

/// Why a store has no answer. The fault is the server's own, except [`StoreError::Conflict`], after which the entry is
/// decided anew.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or used.
    #[error("the register's database does not answer: {0}")]
    Unavailable(String),
    /// What is stored cannot be read.
    #[error("the register's database holds what this program cannot read: {0}")]
    Unreadable(String),
    /// A record changed since the entry was decided.
    #[error("the record of {0} changed in the meantime; decide again")]
    Conflict(PersonalNumber),
}

/// A look at somebody's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookUp {
    /// The number that was asked for.
    pub number: PersonalNumber,
    /// When.
    pub at: OffsetDateTime,
    /// Who asked: the X-Road client.
    pub client: String,
    /// Which of its people, as it says.
    pub user: String,
    /// For what, as it says.
    pub purpose: String,
    /// Which service was asked.
    pub service: String,
    /// The exchange's id of the message, by which both sides find it in their logs.
    pub query_id: String,
    /// The picture that was released to the one who asked.
    pub released: Option<ImageId>,
}

/// Word to an agency that a number it used was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its place among all notices, from 1.
    pub id: u64,
    /// The act that says so.
    pub act: ActId,
    /// The number that was given up.
    pub given_up: PersonalNumber,
    /// The number that answers for it.
    pub kept: PersonalNumber,
}

/// A name to search for: skeletons of family and given name, either of which may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameQuery {
    /// Skeleton of the family name, empty for any.
    pub family: String,
    /// Skeleton of the given name, empty for any.
    pub given: String,
}

impl NameQuery {
    /// A query in any script and spelling; none if nothing is left to search for.
    #[must_use]
    pub fn new(family: &str, given: &str) -> Option<Self> {
        let query = Self {
            family: skeleton(family),
            given: skeleton(given),
        };
        (!query.family.is_empty() || !query.given.is_empty()).then_some(query)
    }
}

/// Somebody whose name is like the one searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The number.
    pub number: PersonalNumber,
    /// Likeness of the less alike part, of 100.
    pub likeness: u32,
}

/// A number that was issued, as an import meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issued {
    /// The number.
    pub number: PersonalNumber,
    /// The digest of the row that it was taken over from; none if it came into the register otherwise.
    pub digest: Option<u64>,
}

/// The register's database. Everything that returns without an error is durable.
pub trait Register: Records<Error = StoreError> + Send + Sync {
    /// Enters an act, if the records that it was decided on have not changed. Where a number is given up, the agencies
    /// that looked it up in the last year get their notice in the same transaction.
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing was entered.
    fn enter(&self, decided: &Decided) -> Result<Act, StoreError>;

    /// Enters an act as [`Register::enter`] does, if its office has entered none with this reference yet. `digest` tells
    /// what the office sent. None: the reference is used; [`Register::entered`] tells by which act.
    ///
    /// # Errors
    /// As [`Register::enter`].
    fn enter_once(&self, decided: &Decided, digest: [u8; 32]) -> Result<Option<Act>, StoreError>;

    /// The act that an office entered under a reference, with the digest of what it sent.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn entered(
        &self,
        office: &str,
        reference: &str,
    ) -> Result<Option<(ActId, Vec<u8>)>, StoreError>;

    /// Takes the turn to tell a subscriber, for one of several servers over one database, until a moment; gives the act
    /// up to which it was told. A new subscriber is told what comes after now. None while another server has the turn.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn take_turn(
        &self,
        subscriber: &str,
        server: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Option<ActId>, StoreError>;

    /// Remembers that a subscriber was told everything up to an act; false if another server has the turn.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn told(&self, subscriber: &str, server: &str, up_to: ActId) -> Result<bool, StoreError>;

    /// Enters many acts about newcomers at once: all of them or none. Tells `progress` how many are written.
    ///
    /// # Errors
    /// As [`Register::enter`].
    fn load(
        &self,
        decided: &mut dyn Iterator<Item = Decided>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, StoreError>;

    /// Enters acts that take people over, with the digests of the rows they come from: all of them or none. Gives the
    /// first act's place; the others follow it without a gap.
    ///
    /// # Errors
    /// As [`Register::enter`].
    fn take_over(
        &self,
        decided: &[Decided],
        rows: &[(PersonalNumber, u64)],
    ) -> Result<ActId, StoreError>;

    /// Which of these numbers were issued, and from which rows they were taken over.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn issued_of(&self, numbers: &[PersonalNumber]) -> Result<Vec<Issued>, StoreError>;

    /// The numbers of one sex and day of birth that were ever issued.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn issued(&self, sex: Sex, born: Date) -> Result<BTreeSet<PersonalNumber>, StoreError>;

    /// People whose name, now or earlier, is like the one searched for, the likest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn search(&self, query: &NameQuery, most: usize) -> Result<Vec<Hit>, StoreError>;

    /// Acts after one, in order.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn acts_after(&self, after: ActId, most: usize) -> Result<Vec<Act>, StoreError>;

    /// The last act; 0 for an empty register.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn last_act(&self) -> Result<ActId, StoreError>;

    /// Keeps a look at somebody's record.
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing may be answered.
    fn keep_look_up(&self, look_up: &LookUp) -> Result<(), StoreError>;

    /// The last looks at a record, the latest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn look_ups(&self, number: PersonalNumber, most: usize) -> Result<Vec<LookUp>, StoreError>;

    /// Keeps a picture, to be named by an act that is entered after it. One that is there already stays.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn keep_image(&self, image: &Image) -> Result<(), StoreError>;

    /// A picture; none if it is not there.
    ///
    /// # Errors
    /// See [`StoreError`]; [`StoreError::Unreadable`] if the bytes are not those that the name stands for.
    fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError>;

    /// Notices to a client after one, in order.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn notices(&self, client: &str, after: u64, most: usize) -> Result<Vec<Notice>, StoreError>;
}

/// A picture as it is read back from a database.
///
/// # Errors
/// [`StoreError::Unreadable`] if the bytes are not the picture of this name.
pub fn stored_image(id: ImageId, bytes: Vec<u8>) -> Result<Image, StoreError> {
    let changed = || StoreError::Unreadable(format!("the picture {id} is not what was kept"));
    let image = Image::check(bytes).map_err(|_| changed())?;
    (image.id() == id).then_some(image).ok_or_else(changed)
}

/// A register in which nobody is yet: what the decisions of a first load rest on. The store checks that it is true.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Records for Nobody {
    type Error = std::convert::Infallible;

    fn record(&self, _: PersonalNumber) -> Result<Option<Record>, Self::Error> {
        Ok(None)
    }

    fn act(&self, _: ActId) -> Result<Option<Act>, Self::Error> {
        Ok(None)
    }
}

/// The skeletons of family and given name under which somebody is found.
pub type NameKey = (String, String);

/// The keys of a name: one for each spelling that offices use together.
#[must_use]
pub fn name_keys(names: &Names) -> BTreeSet<NameKey> {
    let key = |spelling: fn(&Name) -> Option<&str>| {
        Some((
            skeleton(spelling(&names.family)?),
            skeleton(spelling(&names.given)?),
        ))
    };
    [
        key(|name| Some(&name.cyrillic)),
        key(|name| Some(name.russian.as_ref().unwrap_or(&name.cyrillic))),
        key(|name| Some(&name.latin)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The keys under which a record is found: names now and earlier, without those that were taken back or that the
/// secrecy of adoption covers.
#[must_use]
pub fn keys_of_record(record: &Record) -> BTreeSet<NameKey> {
    record
        .history(Field::Names)
        .into_iter()
        .filter(|known| known.sealed_by.is_none())
        .filter_map(|known| match &known.fact {
            Fact::Names(names) => Some(name_keys(names)),
            _ => None,
        })
        .flatten()
        .collect()
}

/// The number that a merge keeps and the one it gives up.
#[must_use]
pub fn merge_of(entry: &Entry) -> Option<(PersonalNumber, PersonalNumber)> {
    match entry.event {
        Event::Merge { kept, given_up, .. } => Some((kept, given_up)),
        _ => None,
    }
}
