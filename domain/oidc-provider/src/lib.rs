//! The identity provider's decisions: who is in front of a service, how sure that is, and what a relying party gets.
//!
//! | module | what it decides |
//! |---|---|
//! | `level` | levels of assurance: a published table |
//! | `account`, `session` | who an account belongs to, the ways in, what state it is in; who is signed in and how high |
//! | `client`, `grant` | relying parties; requests and the families of tokens that come of them |
//! | `provider` | every decision over a store: signing in, the desk, one's own account, relying parties, tokens |
//! | `ring` | the keys that sign tokens: which one signs, which are published |
//! | `throttle` | how many attempts are taken |
//! | `event` | what happened, in one schema |
//! | `secret` | identifiers, secrets and what is kept of them |
//! | `port` | what is needed of a database and of the population register |
//! | `memory` | a store in memory |
//!
//! Signatures, certificates, passwords and HTTP are checked outside; what comes in here is their outcome. The time and
//! random bytes are arguments.

mod account;
mod certificate_name;
mod client;
mod event;
mod grant;
mod level;
mod memory;
mod port;
mod provider;
mod refusal;
mod ring;
mod secret;
mod session;
mod throttle;

pub use account::{
    Account, CARE_AFTER_RECOVERY, Channel, ChannelKind, Device, LoginName, MOST_CHANNELS,
    MOST_CREDENTIALS, MOST_DEVICES, NewPasskey, PRINTED_CODES, Passkey, PasswordHash, Standing,
    Tenant, Way,
};
pub use certificate_name::CertificateName;
pub use client::{
    ActiveClient, Client, ClientAuthentication, ClientForm, ClientStanding, Profile, SCOPES,
    tells_who,
};
pub use event::{EVENTS_ARE_KEPT_FOR, Event, EventKind};
pub use grant::{
    ACCESS_LASTS, ACTING_ACCESS_LASTS, About, Access, Acting, Asked, Binding, CODE_WAITS, Grant,
    INTERACTION_LASTS, REFRESH_IDLES, REFRESH_LASTS, REQUEST_WAITS, Right, Tokens,
};
pub use level::{
    Factor, Level, NoLevel, OPERATIONS, Operation, Proofing, Recovery, Row, TABLE, level_of,
};
pub use memory::MemoryStore;
pub use port::{
    By, Changes, Content, EventPlace, Kind, Relations, Store, StoreError, Stored, Write,
    page_of_events,
};
pub use provider::*;
pub use refusal::{Failure, Fault, Refusal};
pub use ring::{
    KeyStanding, NewKey, PUBLISHED_AFTER, PUBLISHED_BEFORE, Ring, RingKey, RingRefusal,
};
pub use secret::{
    AccountId, ClientId, CredentialId, Digest, GrantId, MandateId, RecoveryId, Secret, Seed,
    SessionId,
};
pub use session::{
    Authenticated, Authentication, HIGH_LASTS, Origin, Permitted, SESSION_IDLES, SESSION_LASTS,
    Session, SignedIn, network_of,
};
