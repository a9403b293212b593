//! Why something is not done.

use time::OffsetDateTime;
use webauthn::AssertionError;

use crate::port::StoreError;
use crate::vault::VaultError;

/// Why something is not done. The sentence says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such credential for this client to see.
    #[error("there is no such credential")]
    UnknownCredential,
    /// There is no such person here.
    #[error("this person has no signature here; enrol first")]
    UnknownHolder,
    /// There is no such authorisation, or it is another client's, used or over.
    #[error("there is no such authorisation, or it was used, or its time is over; ask anew")]
    UnknownAuthorisation,
    /// The signature activation data open nothing.
    #[error("the signature activation data are not valid")]
    Sad,
    /// What is to be signed is not what was confirmed.
    #[error("what is to be signed is not what was confirmed")]
    OtherHashes,
    /// Its time is over.
    #[error("the time to confirm is over; ask anew")]
    Expired,
    /// The person said no.
    #[error("the person refused")]
    Denied,
    /// Nobody confirmed it yet.
    #[error("the person has not confirmed yet")]
    Pending,
    /// The proof is none.
    #[error("this proves nothing: {0}")]
    Proof(&'static str),
    /// The passkey's assertion does not verify.
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    /// A passkey was copied.
    #[error("the passkey was copied and is no longer accepted; go to a desk")]
    KeyCopied,
    /// A qualified signature needs a key that stays in its device.
    #[error(
        "a qualified signature needs a security key or a passkey that is not copied between devices"
    )]
    Synced,
    /// A document cannot be shown for what it is.
    #[error("the documents are refused: {0}")]
    Document(&'static str),
    /// There are none or too many.
    #[error("the request is refused: {0}")]
    Request(&'static str),
    /// An authenticator is not one that can be verified.
    #[error("the authenticator is refused: {0}")]
    Authenticator(&'static str),
    /// The account is frozen.
    #[error("the account is frozen; a desk lifts that")]
    Frozen,
    /// A recovery was not long ago.
    #[error("after a recovery nothing is signed until {0}")]
    Careful(OffsetDateTime),
    /// The credential signs no more.
    #[error("this credential was revoked or renewed; use another")]
    NotActive,
    /// The certificate is over, or not yet valid.
    #[error("the certificate of this credential is over; renew it at a desk")]
    CertificateOver,
    /// It is too early to renew.
    #[error("a certificate is renewed in its last 60 days")]
    TooEarly,
    /// The person is here already.
    #[error("this person is enrolled already; renew or replace instead")]
    Enrolled,
    /// A desk is needed, with officers on record.
    #[error("this needs a desk: {0}")]
    Desk(&'static str),
    /// The account is not frozen.
    #[error("the account is not frozen")]
    NotFrozen,
    /// Too many are open.
    #[error(
        "too many authorisations of this client for this person are open; wait until they are over"
    )]
    TooMany,
    /// It is not a ticket of this service for this, or its time is over.
    #[error(
        "what was presented is not of this service, not for this, or its time is over; start anew"
    )]
    Ticket,
    /// There is no such case, or its time is over.
    #[error("there is no such case, or its time is over; ask the officer for another code")]
    UnknownCase,
    /// Another device began it.
    #[error("another device has begun this case; wait five minutes, or ask for another code")]
    CaseBegun,
    /// It was taken before.
    #[error("this was used before; make a new one")]
    Replay,
    /// The certificate that came is not the one that was ordered.
    #[error("the certification authority sent another certificate than was ordered: {0}")]
    Certificate(&'static str),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It is refused; whoever asked is at fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The service's own database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The service's own keys cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<AssertionError> for Failure {
    fn from(error: AssertionError) -> Self {
        Self::Refused(error.into())
    }
}
