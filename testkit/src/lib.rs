//! What tests over whole programs share: the binary, a country on loopback, addresses of its own.
//!
//! A test starts the real binary and talks to it over its real ports, as a user would.

mod addresses;
mod country;
mod process;

pub use addresses::Block;
pub use country::{Country, Kind};
pub use process::{Running, binary};
