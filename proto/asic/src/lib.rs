//! Signed messages as a whole: hash chains over their parts, whether a signature covers them, and
//! the ASiC-E containers that evidence is kept in.

pub mod container;
mod cover;
pub mod files;
pub mod hash_chain;
pub mod layout;

pub use cover::{Content, Coverage, Covered, DigestSource, HASH_CHAIN, cover, cover_available};
