//! The software token: private keys in one JSON file, opened with a PIN or a sealed key.
//!
//! A random *token key* wraps every private key (AES-256-GCM over PKCS#8). The token key is wrapped
//! under a key that Argon2id derives from the PIN. The derivation needs 64 MiB, so it runs in a
//! short-lived helper process ([`helper_main`]) and leaves no trace in the server's memory. For
//! unattended start the token key is *sealed*: written to a file that only the service can read, or
//! handed over as a systemd credential.
//!
//! Functions block; a server calls them before it serves, or on a blocking thread.

mod attempts;
pub mod commands;
mod document;
mod error;
mod file;
mod pin;
mod sealed;
mod token;

pub use error::TokenError;
pub use pin::{HELPER_SUBCOMMAND, MAX_PIN_LENGTH, MIN_PIN_LENGTH, Pin, PinDerivation, helper_main};
pub use sealed::SealedKey;
pub use signer::{HeldCertificate, ImportError, KeyDescription, KeyId, KeyUsage};
pub use token::{OpenToken, SoftwareToken};
