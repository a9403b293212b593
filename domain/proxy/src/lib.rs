//! The two pipelines of a Security Server as decisions: what must be true before a
//! message goes on, in types (see [`provider`] and [`consumer`]), why it does not
//! ([`Refusal`]), and what people read then ([`Texts`]).
//!
//! Nothing here reads a clock, a socket or a file: time is an argument.

pub mod consumer;
mod groups;
mod judge;
mod message;
pub mod provider;
mod refusal;
mod signed;
mod texts;

pub use groups::InstanceGroups;
pub use judge::{Judge, Peer, PeerDoubt};
pub use message::{Request, Response};
pub use refusal::{Blame, Refusal, RelayedFault, Side};
pub use signed::SignedParts;
pub use texts::{Language, Texts};
