//! The invented residents of the demonstration country.
//!
//! At most 100,000 people, the driving licences some of them hold and the
//! customers of a bank. Nobody here exists: every resident is computed from a
//! seed and a place in the list, so that the country is the same on every
//! machine and in every run. [`Population::household`] hands them to the
//! register as the act of taking over what an earlier register knew.

mod bank;
mod dirty;
mod licence;
mod names;
mod places;
mod population;
mod scatter;

pub use bank::{Customer, CustomerRegister};
pub use dirty::{DirtySource, Planted};
pub use licence::{Category, Licence, LicenceRegister, LicenceStatus};
pub use places::territory;
pub use population::{
    DEFAULT_SEED, HOUSEHOLD, LARGEST_POPULATION, Population, PopulationError, Resident,
};
