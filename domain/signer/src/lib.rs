//! Which key signs for which member, with which certificate, and whether a server is ready to sign.
//!
//! Keys live in tokens (`keystore`); what signs is [`pki::Signer`]. This crate decides: it takes what
//! tokens describe of their keys, the time and what is known of certificate status, and returns the
//! choice or says what is missing.

mod choice;
mod key;

pub use choice::{
    Candidate, NotReady, Readiness, authentication_candidates, choose_authentication,
    choose_signing, readiness, signing_candidates,
};
pub use key::{
    HeldCertificate, ImportError, KeyDescription, KeyId, KeyIdError, KeyUsage, check_import,
};
