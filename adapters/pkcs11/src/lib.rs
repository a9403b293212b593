//! People's keys behind a PKCS#11 token: a hardware security module, or SoftHSM.
//!
//! The token holds two keys that never leave it: one wraps, one authenticates. A person's key is generated in the token
//! and used in it; between two uses it is stored outside, wrapped by the token (`CKM_AES_KEY_WRAP_PAD`) and bound by the
//! token (`CKM_SHA256_HMAC`) to what it was sealed for. So a country's keys need no more room in the token than two, a
//! copy of the database holds no key, and whoever changes the database has a key that does not open. Servers share the
//! keys by the token's own replication.

mod vault;

pub use vault::{Settings, TokenError, TokenVault};
