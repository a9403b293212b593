//! What the identity provider needs of a database, and of the population register. What is kept are items with versions
//! and events, see the crate `items`.

use id_registry::{PersonalNumber, Theme};
use time::{Date, OffsetDateTime};

pub use items::{By, Content, EventPlace, StoreError, Stored, page_of_events};
pub(crate) use items::{Item, Loaded, list, load};

use crate::event::Event;
use crate::secret::AccountId;

/// Kinds of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the type of that name")]
pub enum Kind {
    Account,
    Login,
    Session,
    Client,
    Request,
    Grant,
    Crossing,
    Attempt,
    Ceremony,
    Consent,
    Mandate,
    Ticket,
    Recovery,
    Officer,
    Throttle,
    Notice,
    Logout,
    Subject,
    UsedOnce,
    SigningWord,
    Organisation,
    Representative,
    Place,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 23] = [
        Self::Account,
        Self::Login,
        Self::Session,
        Self::Client,
        Self::Request,
        Self::Grant,
        Self::Crossing,
        Self::Attempt,
        Self::Ceremony,
        Self::Consent,
        Self::Mandate,
        Self::Ticket,
        Self::Recovery,
        Self::Officer,
        Self::Throttle,
        Self::Notice,
        Self::Logout,
        Self::Subject,
        Self::UsedOnce,
        Self::SigningWord,
        Self::Organisation,
        Self::Representative,
        Self::Place,
    ];

    /// Its number in the database; never changed.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::Account => 1,
            Self::Login => 2,
            Self::Session => 3,
            Self::Client => 4,
            Self::Request => 5,
            Self::Grant => 6,
            Self::Crossing => 8,
            Self::Attempt => 9,
            Self::Ceremony => 10,
            Self::Consent => 11,
            Self::Mandate => 12,
            Self::Ticket => 13,
            Self::Recovery => 14,
            Self::Officer => 15,
            Self::Throttle => 16,
            Self::Notice => 17,
            Self::Logout => 18,
            Self::Subject => 19,
            Self::UsedOnce => 20,
            Self::SigningWord => 21,
            Self::Organisation => 22,
            Self::Representative => 23,
            Self::Place => 24,
        }
    }
}

impl items::Kind for Kind {
    fn number(self) -> i16 {
        self.number()
    }
}

impl items::Event for Event {
    fn at(&self) -> OffsetDateTime {
        self.at
    }

    fn people(&self) -> [Option<&str>; 2] {
        [&self.account, &self.actor].map(|account| account.as_ref().map(AccountId::as_str))
    }
}

/// What becomes of one item.
pub type Write = items::Write<Kind>;

/// What a decision changes.
pub type Changes = items::Changes<Kind, Event>;

/// The identity provider's database.
pub trait Store: items::Store<Kind = Kind, Event = Event> {}

impl<S: items::Store<Kind = Kind, Event = Event> + ?Sized> Store for S {}

/// What the population register says of two people. Asked at every decision, so that a right that a court takes is gone
/// with the act that says so.
pub trait Relations: Send + Sync {
    /// Whether one may act for the other in a theme, as parent or guardian, on a day.
    ///
    /// # Errors
    /// The register does not answer.
    fn may_act(
        &self,
        actor: PersonalNumber,
        subject: PersonalNumber,
        theme: Theme,
        on: Date,
    ) -> Result<bool, StoreError>;

    /// Whether a mandate lets one act for the other: not after a death, nor where the one who is represented is protected
    /// from the one who acts. Without a register that says otherwise, it does.
    ///
    /// # Errors
    /// The register does not answer.
    fn may_hold_mandate(
        &self,
        _holder: PersonalNumber,
        _giver: PersonalNumber,
    ) -> Result<bool, StoreError> {
        Ok(true)
    }
}
