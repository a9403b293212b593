//! The identity provider's server: the protocol endpoints in [`oauth`], the pages that people
//! use in [`pages`].
//!
//! What is decided is decided in `oidc-provider`; what is signed and checked is in `jose` and `oauth2`. Here requests
//! become calls and refusals become answers.

pub mod oauth;
pub mod pages;
