//! The registers behind the demonstration country.
//!
//! A population of at most 100,000 **synthetic** residents, the driving
//! licences some of them hold and the customers of a bank. Nobody here exists:
//! every record is computed from a seed and the resident's place in the
//! register, whenever it is asked for. Nothing is stored, so a register is
//! ready the moment it is made, costs no memory and is the same on every
//! machine and in every run.
//!
//! The crate decides what is in the registers; serving them is the task of
//! `registry-server`.

mod bank;
mod licence;
mod names;
mod number;
mod places;
mod population;
mod romanise;
mod scatter;

pub use bank::{Customer, CustomerRegister};
pub use licence::{Category, Licence, LicenceRegister, LicenceStatus};
pub use number::{NumberError, PersonalNumber, Sex};
pub use population::{
    Address, DEFAULT_SEED, FamilyStatus, IdentityDocument, LARGEST_POPULATION, Name, Person,
    Population, PopulationError,
};
pub use romanise::romanise;
