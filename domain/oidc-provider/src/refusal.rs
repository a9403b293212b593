//! Why something is not done.

use time::OffsetDateTime;

use crate::level::Level;
use crate::port::StoreError;

/// Whose fault a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The person's, or of whoever pretends to be one.
    Person,
    /// The relying party's.
    Client,
    /// The officer's.
    Officer,
}

/// Why something is not done. The sentence says what to do. None tells whether an account exists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each says what it is in its message")]
pub enum Refusal {
    // Signing in.
    #[error("these do not belong together; check them and try again")]
    WrongCredentials,
    #[error(
        "too many attempts from here; use a passkey, a card or a known device, or wait until {0}"
    )]
    TooManyAttempts(OffsetDateTime),
    #[error("this was used already, or its time is over; start again")]
    Over,
    #[error("the account is frozen; lift the freeze first")]
    Frozen,
    #[error("sign in first")]
    NotSignedIn,
    #[error("this is somebody else's account; sign out first")]
    OtherAccount,
    #[error("the key did not ask who holds it; use one that asks for a PIN, finger or face")]
    NotVerified,
    #[error("the key was copied and is no longer accepted; remove it")]
    KeyCopied,
    #[error("level {needed} is needed, this session has {has}; sign in again with a stronger way")]
    LevelTooLow { needed: Level, has: Level },
    #[error("after a recovery this waits until {0}")]
    Careful(OffsetDateTime),
    #[error("the number is not the one on the other screen; start again there")]
    NumberMismatch,
    // The account.
    #[error("the account has too many {0}; remove one first")]
    TooMany(&'static str),
    #[error("a text or key is empty or too long")]
    TooLong,
    #[error("this key is in use already")]
    KeyInUse,
    #[error("there is no such key, address, session or consent")]
    Nothing,
    #[error("the last way in cannot be removed; add another first")]
    LastWayIn,
    #[error("the account is not frozen")]
    NotFrozen,
    #[error("a freeze is not lifted over the way by which it came; go to a counter")]
    SameWay,
    #[error("who this is was not found out yet; go to a desk or use an identity card")]
    NotProofed,
    // The desk.
    #[error("this is for officers with the right duty")]
    NotOnDuty,
    #[error("the number has an account already; recover it instead")]
    HasAccount,
    #[error("the number has no account; issue a ticket for its first key")]
    NoAccount,
    #[error("the account belongs to somebody else already")]
    Bound,
    #[error("two different officers are needed")]
    SameOfficer,
    #[error("officers do not decide about themselves")]
    OwnCase,
    #[error("a decision is named by its number, without names of people")]
    Reference,
    // Acting for another.
    #[error("this is not available")]
    NotAvailable,
    #[error("a mandate names at least one theme and ends within {0} days")]
    MandateForm(i64),
    // Relying parties.
    #[error("there is no such client, or it is not approved")]
    UnknownClient,
    #[error("the registration is not acceptable: {0}")]
    ClientForm(&'static str),
    #[error("the redirect URI is not one that is registered, character for character")]
    RedirectUri,
    #[error("the client may not ask for the scope {0}")]
    Scope(String),
    #[error("the request is not acceptable: {0}")]
    Request(&'static str),
    #[error("the client must bind its tokens to a key: DPoP or mutual TLS")]
    Unbound,
    #[error("the token is bound to another key")]
    OtherKey,
    #[error(
        "the code is unknown, was used, expired or belongs to another client; ask for a new one"
    )]
    Code,
    #[error("the code verifier does not fit the challenge")]
    Verifier,
    #[error(
        "the refresh token is unknown, was used, expired or belongs to another client; sign in again"
    )]
    Refresh,
    #[error("the access token is unknown, expired or revoked")]
    Access,
    #[error("the person has not decided yet")]
    Pending,
    #[error("the client asks too often; wait five seconds longer each time")]
    SlowDown,
    #[error("the person refused")]
    Denied,
    #[error("the identifier was used before")]
    Replay,
}

impl Refusal {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotOnDuty
            | Self::HasAccount
            | Self::NoAccount
            | Self::Bound
            | Self::SameOfficer
            | Self::OwnCase
            | Self::Reference => Fault::Officer,
            Self::UnknownClient
            | Self::ClientForm(_)
            | Self::RedirectUri
            | Self::Scope(_)
            | Self::Request(_)
            | Self::Unbound
            | Self::OtherKey
            | Self::Code
            | Self::Verifier
            | Self::Refresh
            | Self::Access
            | Self::Pending
            | Self::SlowDown
            | Self::Denied
            | Self::Replay => Fault::Client,
            _ => Fault::Person,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server's own database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure {
    /// The refusal, if it is one.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Store(_) => None,
        }
    }
}
