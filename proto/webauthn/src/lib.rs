//! Assertions of passkeys and security keys (W3C Web Authentication level 3), for whoever verifies one over a challenge
//! that it computes itself: a signing service, whose challenge is a digest of what is to be signed.
//!
//! *Decode* reads the JSON that a browser's `PublicKeyCredential.toJSON()` writes and checks only its structure and
//! lengths. *Verify* does what section 7.2 demands of a relying party, and always demands that the authenticator asked
//! its holder (user verification). The public key is the SubjectPublicKeyInfo that a browser gives at registration
//! (`response.publicKey`), so no attestation is read here: whose key it is must be known in another way.

mod assertion;
mod key;
mod software;

pub use assertion::{
    Assertion, AssertionError, Expected, MAX_ASSERTION_LENGTH, MAX_CREDENTIAL_ID_LENGTH, Verified,
};
pub use key::{KeyError, PasskeyKey};
pub use software::SoftwareAuthenticator;
