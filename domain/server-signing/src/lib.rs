//! A signing service that holds people's keys, in the shape of EN 419 241-2 at sole control level 2: nobody but the
//! person can make their key sign, not the portal, not the identity provider, not whoever takes or changes the database.
//!
//! | module | what it decides |
//! |---|---|
//! | `statement` | what is confirmed, as one text; its digest is the challenge |
//! | `authenticator` | with what a person confirms, and whether they did |
//! | `signing` | asking, confirming, and releasing signatures: each authorisation once |
//! | `people` | enrolment, renewal, revocation, recovery, freeze |
//! | `certificates` | what is ordered of the certification authority, and what of it is taken |
//! | `progress` | who must confirm, and confirmations that come one after another |
//! | `case` | what goes from one device to another by a short code: cases of the desk |
//! | `visit` | who looks at what is theirs, or serves at a desk |
//! | `ticket` | what is handed out and comes back unchanged; what is taken once |
//! | `vault` | where the keys are, sealed for their owner |
//! | `record`, `port` | what is kept, and what is needed of a database |
//!
//! The rules that carry it:
//!
//! - A key is sealed for its credential, its owner and the owner's authenticators as they were fixed at enrolment. Whoever
//!   changes those in the database has a key that does not open.
//! - The proof is kept and verified anew when the key is used, over the statement's text as it was confirmed. So a row that
//!   says "confirmed" opens nothing.
//! - Signatures leave only after the database holds them, and it takes them only if the authorisation is as it was read.
//!   So one authorisation gives one set of signatures, also after a kill and with several nodes. Asked again with the same
//!   activation data, the same values come out, because an answer can be lost on its way.

mod authenticator;
mod case;
mod certificates;
#[cfg(any(test, feature = "memory"))]
mod memory;
mod people;
mod port;
mod progress;
mod random;
mod record;
mod refusal;
mod signing;
mod statement;
mod ticket;
mod vault;
mod visit;

pub use authenticator::{Form, MOST_AUTHENTICATORS, Place, Proof};
pub use case::{CASE_CODE_LENGTH, CASE_LASTS, CaseMatter, CaseView, DESK_CLIENT, OpenedCase};
pub use certificates::{Completion, Order, PendingCertificates};
#[cfg(any(test, feature = "memory"))]
pub use memory::Memory;
pub use people::{CARE_AFTER_RECOVERY, Enrolment, OfficerOnRecord, RENEWAL_BEFORE_END, Untold};
pub use port::{
    By, Changes, Content, Event, EventPlace, Kind as ItemKind, Published, Store, StoreError,
    Stored, What, Write, page_of_events,
};
pub use progress::Progress;
pub use random::{Sad, Seed};
pub use refusal::{Failure, Refusal};
pub use signing::{
    Asked, CredentialStatus, CredentialView, MOST_OPEN, PersonView, Shown, ShownState, Signing,
    TIME_TO_CONFIRM,
};
pub use statement::{
    Desk, Document, HASH_LENGTH, Kind, LONGEST_DOCUMENT_NAME, LONGEST_REFERENCE, MOST_DOCUMENTS,
    Matter, Statement, challenge, comparison,
};
pub use ticket::{LONGEST_TICKET, Purpose};
pub use vault::{ALGORITHM, SealedKey, SoftwareVault, Vault, VaultError};
pub use visit::{OfficerView, Question, VISIT_LASTS, Who};
