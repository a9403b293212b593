//! The population register: one number for everyone, for life.
//!
//! | module | what it decides |
//! |---|---|
//! | `number` | personal numbers: their rule and which one is issued next |
//! | `person`, `territory`, `spelling` | the values of a record: names across scripts, addresses, documents |
//! | `image` | portraits and signature images: which pictures are kept |
//! | `act` | civil events; the only way in which anything about a person changes |
//! | `fact`, `record` | what acts amount to: every field with its history and provenance |
//! | `decide` | whether an entry becomes an act |
//! | `vocabulary` | the different names, and which are like a misspelt one |
//! | `double` | who may have two numbers, and which one answers |
//! | `access` | who sees what about whom |
//! | `port` | what is needed of a database |
//! | `demonstration` | the invented residents of the demonstration country |
//!
//! Acts are the only thing that is stored. A [`Record`] is a pure function of the acts about a number, so nothing can
//! be in it that no act put there, and nothing that an act stated is ever lost: an act is taken back by another act.
//! Each fact says from which day it holds in the world and between which moments the register held it to be true.

mod access;
mod act;
mod days;
mod decide;
pub mod demonstration;
mod double;
mod fact;
mod image;
mod number;
mod person;
mod port;
mod record;
mod spelling;
mod territory;
mod vocabulary;

pub use access::{
    Detail, Grant, Relation, Theme, View, Viewer, is_hidden_from, may_act, may_hold_mandate,
};
pub use act::{Act, ActId, Corrected, Entry, Event, Officer, TakenOver};
pub use days::{age_on, day_of};
pub use decide::{DecideError, Decided, Records, Refusal, Rules, decide};
pub use demonstration::{
    Category, Customer, CustomerRegister, DEFAULT_SEED, LARGEST_POPULATION, Licence,
    LicenceRegister, LicenceStatus, Population, PopulationError, Resident,
};
pub use double::{Candidate, Ground, answering, candidates, compare};
pub use fact::{Fact, Field, Known, LockState, Purpose, PurposeError};
pub use image::{Image, ImageError, ImageId, ImageKind, LARGEST_IMAGE};
pub use number::{
    NoNumberLeft, NumberError, NumberRule, OpaqueSerial, OrganisationNumber, PersonalNumber, Sex,
    next_number,
};
pub use person::{
    Address, Citizenship, CivilStatus, Document, DocumentKind, LONGEST_TEXT, Name, NameError,
    Names, NewPerson, Parent, ParentalRights, ProtectionKind, Residence, is_printable,
};
pub use port::{
    Hit, Issued, LookUp, NameKey, NameQuery, Nobody, Notice, Register, StoreError,
    USERS_ARE_TOLD_FOR, keys_of_record, merge_of, name_keys, stored_image,
};
pub use record::{ActOnRecord, AsOf, Record};
pub use spelling::{likeness, romanise, skeleton};
pub use territory::{Territory, TerritoryError, Unit, UnitCode};
pub use vocabulary::{Meant, Vocabulary};
