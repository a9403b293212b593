//! The identity provider's server: the protocol endpoints in [`oauth`], the pages that people
//! use in [`pages`], the listeners and what happens beside requests in [`server`].
//!
//! The population register is asked over the exchange ([`register`]), messages to people wait as files ([`spool`]), and
//! the keys that sign tokens are files that the operator turns ([`token_keys`]).
//!
//! What is decided is decided in `oidc-provider`; what is signed and checked is in `jose` and `oauth2`. Here requests
//! become calls and refusals become answers.

pub mod card;
mod certificates;
pub mod oauth;
pub mod pages;
pub mod register;
pub mod server;
pub mod signing;
pub mod spool;
pub mod token_keys;
