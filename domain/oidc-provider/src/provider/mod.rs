//! Every decision: reads items, decides, commits. Each takes the time and, where something is drawn, a [`Seed`].

mod acting;
mod authorize;
mod cases;
mod clients;
mod codes;
mod counter;
mod crossing;
mod desk;
mod following;
mod logout;
mod officers;
mod operator;
mod organisations;
mod own;
mod reading;
mod sign_in;
mod support;
mod takeover;
mod tokens;
mod words;

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;

use crate::account::{Account, Login, LoginName};
use crate::port::{self, Changes, Item, Loaded, Relations, Store, StoreError};
use crate::refusal::{Failure, Refusal};
use crate::secret::AccountId;

pub use acting::{Mandate, MandateForm, MandateStanding, Represented};
pub use authorize::{Answer, Interaction, Step};
pub use cases::{Case, CaseFor, Opened};
pub use clients::Consent;
pub use codes::{CodeSent, Delivery, PasswordCheck};
pub use crossing::{CrossingBegun, CrossingView};
pub use desk::{AtDesk, Ticket};
pub use following::{Fate, Heard};
pub use logout::Logout;
pub use officers::OnDuty;
pub use organisations::{Organisation, OrganisationForm, Representative};
pub use reading::{Declared, Events, Ground, Reference};
pub use sign_in::{Assertion, CardHolder};
pub use support::{Duty, Notice, NoticeKind, Officer};
pub use takeover::Earlier;
pub use tokens::Redemption;
pub use words::{SigningChange, SigningWord, Word};

/// How often a decision is taken anew because something changed under it.
const TRIES: usize = 16;

/// What a decision came to: changes to commit, and the outcome, which may be a refusal that changes something.
pub(crate) struct Decision<T> {
    changes: Changes,
    outcome: Result<T, Refusal>,
}

impl<T> Decision<T> {
    const fn yes(changes: Changes, outcome: T) -> Self {
        Self {
            changes,
            outcome: Ok(outcome),
        }
    }

    const fn no(changes: Changes, refusal: Refusal) -> Self {
        Self {
            changes,
            outcome: Err(refusal),
        }
    }
}

/// The identity provider's decisions over a store.
#[derive(Clone)]
pub struct Provider {
    store: Arc<dyn Store>,
    relations: Arc<dyn Relations>,
    subjects: hmac::Key,
    tells_signing: bool,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").finish_non_exhaustive()
    }
}

impl Provider {
    /// A provider over a store and the register. `subject_key` makes pairwise subjects; who loses it gives every
    /// person a new subject at every relying party, who leaks it lets relying parties be linked by whoever knows
    /// account identifiers.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        relations: Arc<dyn Relations>,
        subject_key: &[u8; 32],
    ) -> Self {
        Self {
            store,
            relations,
            subjects: hmac::Key::new(hmac::HMAC_SHA256, subject_key),
            tells_signing: false,
        }
    }

    /// There is a signing service: word for it waits wherever somebody's account is frozen or recovered, until it is
    /// told ([`Provider::signing_words`]).
    #[must_use]
    pub fn with_signing_service(self) -> Self {
        Self {
            tells_signing: true,
            ..self
        }
    }

    /// Takes a decision, anew if something that it rests on changed before it was committed.
    fn decide<T>(&self, decision: impl Fn() -> Result<Decision<T>, Failure>) -> Result<T, Failure> {
        for _ in 0..TRIES {
            let Decision { changes, outcome } = decision()?;
            if changes.is_empty() {
                return outcome.map_err(Failure::from);
            }
            match self.store.commit(&changes) {
                Ok(()) => return outcome.map_err(Failure::from),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict.into())
    }

    fn load<T: Item<Kind = port::Kind>>(&self, key: &str) -> Result<Option<Loaded<T>>, StoreError> {
        port::load(self.store.as_ref(), key)
    }

    fn account(&self, id: &AccountId) -> Result<Loaded<Account>, Failure> {
        self.load(id.as_str())?
            .ok_or_else(|| StoreError::Unreadable("an account is missing".to_owned()).into())
    }

    fn account_of_login(&self, key: &str) -> Result<Option<Loaded<Account>>, Failure> {
        match self.load::<Login>(key)? {
            Some(login) => Ok(Some(self.account(&login.value.account)?)),
            None => Ok(None),
        }
    }

    fn account_of(&self, name: &LoginName) -> Result<Option<Loaded<Account>>, Failure> {
        self.account_of_login(&name.key())
    }

    /// The subject of an account at the relying parties of a sector (OpenID Connect Core 8.1): nobody can tell from
    /// two subjects whether they are one person.
    fn pairwise(&self, sector: &str, account: &AccountId) -> Result<String, StoreError> {
        if let Some(kept) =
            self.load::<support::Subject>(&support::Subject::key_of(sector, account))?
        {
            return Ok(kept.value.subject);
        }
        let mut context = hmac::Context::with_key(&self.subjects);
        context.update(
            &u64::try_from(sector.len())
                .unwrap_or(u64::MAX)
                .to_be_bytes(),
        );
        context.update(sector.as_bytes());
        context.update(account.as_str().as_bytes());
        Ok(URL_SAFE_NO_PAD.encode(context.sign()))
    }

    /// A key of this issuer for one purpose, the same on every node.
    #[must_use]
    pub fn key_for(&self, purpose: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.subjects);
        // Subjects begin with a length, so with a zero byte: no subject is ever a key.
        context.update(b"key for ");
        context.update(purpose.as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        key
    }

    /// Uses an identifier once: a `jti` of a client assertion or DPoP proof, until it expires anyway. What it is
    /// unique among is part of `space`.
    ///
    /// # Errors
    /// [`Refusal::Replay`] if it was used before.
    pub fn use_once(
        &self,
        space: &str,
        identifier: &str,
        expires: OffsetDateTime,
    ) -> Result<(), Failure> {
        let item = support::UsedOnce::new(space, identifier, expires);
        let mut changes = Changes::default();
        changes.insert(&item)?;
        match self.store.commit(&changes) {
            Ok(()) => Ok(()),
            Err(StoreError::Conflict) => Err(Refusal::Replay.into()),
            Err(error) => Err(error.into()),
        }
    }
}
