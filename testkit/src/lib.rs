//! What tests over whole programs share: the binary, a country on loopback, addresses of its own.
//!
//! A test starts the real binary and talks to it over its real ports, as a user would.

mod addresses;
mod browser;
mod country;
mod evidence;
pub mod http;
pub mod pair;
mod process;
mod provider;
pub mod soap;
mod takeover;

pub use addresses::Block;
pub use browser::Browser;
pub use country::{Country, Kind};
pub use evidence::Judged;
pub use process::{Running, binary};
pub use provider::Provider;
pub use takeover::{OwnServer, Process, eventually};
