//! What the fuzz targets do with their input, one function for each target.
//!
//! `cargo fuzz run soap` (from the project's root, with a nightly compiler) runs one.
//! The crates replay `corpus/<target>` in their ordinary tests through the same
//! functions, so that an input once found stays a test: add it to that folder.

pub mod asic;
pub mod csc;
pub mod globalconf;
pub mod id_import;
pub mod id_registry;
pub mod jose;
pub mod oauth2;
pub mod pades;
pub mod pki;
pub mod webauthn;
pub mod xmldsig;
pub mod xroad_message;
