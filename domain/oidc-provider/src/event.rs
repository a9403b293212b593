//! What happened: one schema for the person's list of sign-ins, for officers with a ground, and for monitoring.
//!
//! An event holds identifiers that say nothing about the person, and never a number, name, address, secret or text
//! that somebody typed, but for an office and the number of a decision, both typed by officers.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::level::{Factor, Level};
use crate::secret::{AccountId, ClientId, GrantId, MandateId, SessionId};

/// How long events are kept: 12 months.
pub const EVENTS_ARE_KEPT_FOR: Duration = Duration::days(365);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl EventKind {
            /// All.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in the schema.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// An account was opened.
    AccountOpened = "account.opened",
    /// An account was bound to the person it belongs to.
    AccountProofed = "account.proofed",
    /// An account was taken over from an earlier provider.
    AccountTakenOver = "account.taken_over",
    /// An account was frozen.
    AccountFrozen = "account.frozen",
    /// A freeze was lifted.
    AccountUnfrozen = "account.unfrozen",
    /// A way in was added.
    CredentialAdded = "credential.added",
    /// A way in was removed.
    CredentialRemoved = "credential.removed",
    /// A printed list of codes was made.
    CodesPrinted = "credential.codes_printed",
    /// An address for notices and codes was added.
    ChannelAdded = "channel.added",
    /// An address for notices and codes was removed.
    ChannelRemoved = "channel.removed",
    /// The way of recovery was changed.
    RecoveryChanged = "recovery.changed",
    /// An officer opened a recovery.
    RecoveryOpened = "recovery.opened",
    /// A second officer confirmed a recovery.
    RecoveryConfirmed = "recovery.confirmed",
    /// The person recovered the account.
    RecoveryUsed = "recovery.used",
    /// A ticket for the first key was given out.
    TicketIssued = "ticket.issued",
    /// Somebody signed in.
    SignedIn = "signin.succeeded",
    /// Somebody signed in from a device that was not known.
    SignedInFromNewDevice = "signin.new_device",
    /// A session reached a higher level.
    SteppedUp = "signin.stepped_up",
    /// Somebody gave a wrong password, code or key.
    SignInFailed = "signin.failed",
    /// Attempts were held up for their number.
    SignInThrottled = "signin.throttled",
    /// A key was presented whose counter says that it was copied.
    KeyCopied = "signin.key_copied",
    /// A number was chosen that the other screen did not show.
    CrossingMismatched = "signin.number_mismatched",
    /// A session was ended.
    SessionEnded = "session.ended",
    /// A relying party was told that a session ended.
    LogoutSent = "session.logout_sent",
    /// A relying party was registered.
    ClientRegistered = "client.registered",
    /// A relying party was approved.
    ClientApproved = "client.approved",
    /// A relying party was rejected or suspended.
    ClientStopped = "client.stopped",
    /// A person allowed a relying party something.
    ConsentGiven = "consent.given",
    /// A person withdrew what was allowed.
    ConsentWithdrawn = "consent.withdrawn",
    /// A person refused a relying party.
    ConsentRefused = "consent.refused",
    /// Tokens were issued for a code.
    TokensIssued = "token.issued",
    /// Tokens were issued for a refresh token.
    TokensRefreshed = "token.refreshed",
    /// Tokens were revoked.
    TokensRevoked = "token.revoked",
    /// A code was presented again.
    CodeReplayed = "token.code_replayed",
    /// A refresh token was presented again.
    RefreshReplayed = "token.refresh_replayed",
    /// A device was allowed.
    DeviceAllowed = "device.allowed",
    /// A mandate was asked for.
    MandateRequested = "mandate.requested",
    /// A mandate was given.
    MandateGranted = "mandate.granted",
    /// A mandate was refused.
    MandateRefused = "mandate.refused",
    /// A mandate was revoked.
    MandateRevoked = "mandate.revoked",
    /// An organisation was recorded, or got another head or other names.
    OrganisationRecorded = "organisation.recorded",
    /// Somebody became the head of an organisation.
    OrganisationHeaded = "organisation.headed",
    /// An officer was appointed.
    OfficerAppointed = "officer.appointed",
    /// An officer was dismissed.
    OfficerDismissed = "officer.dismissed",
    /// Somebody with a declared ground read an account's events.
    EventsRead = "events.read",
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What.
    pub event: EventKind,
    /// The account that it happened to; for tokens, the person they are about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<AccountId>,
    /// Who did it, if not the holder of the account: the other person who acts, or an officer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<AccountId>,
    /// The officer's office.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub office: Option<String>,
    /// The relying party.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client: Option<ClientId>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<SessionId>,
    /// The family of tokens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grant: Option<GrantId>,
    /// The mandate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mandate: Option<MandateId>,
    /// With what somebody signed in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub factor: Option<Factor>,
    /// The level that was reached.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub level: Option<Level>,
    /// The network it came from: an IPv4 /24 or IPv6 /48.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub network: Option<String>,
    /// Why, in a word that this program has fixed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The number of the decision on which somebody's events were read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<String>,
}

impl Event {
    pub(crate) const fn new(event: EventKind, at: OffsetDateTime) -> Self {
        Self {
            at,
            event,
            account: None,
            actor: None,
            office: None,
            client: None,
            session: None,
            grant: None,
            mandate: None,
            factor: None,
            level: None,
            network: None,
            reason: None,
            reference: None,
        }
    }

    pub(crate) fn account(mut self, account: &AccountId) -> Self {
        self.account = Some(account.clone());
        self
    }

    pub(crate) fn actor(mut self, actor: &AccountId) -> Self {
        self.actor = Some(actor.clone());
        self
    }

    pub(crate) fn client(mut self, client: &ClientId) -> Self {
        self.client = Some(client.clone());
        self
    }

    pub(crate) fn session(mut self, session: &SessionId) -> Self {
        self.session = Some(session.clone());
        self
    }

    pub(crate) fn grant(mut self, grant: &GrantId) -> Self {
        self.grant = Some(grant.clone());
        self
    }

    pub(crate) fn mandate(mut self, mandate: &MandateId) -> Self {
        self.mandate = Some(mandate.clone());
        self
    }

    pub(crate) const fn factor(mut self, factor: Factor) -> Self {
        self.factor = Some(factor);
        self
    }

    pub(crate) const fn level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    pub(crate) fn network(mut self, network: &str) -> Self {
        self.network = Some(network.to_owned());
        self
    }

    pub(crate) fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }
}
