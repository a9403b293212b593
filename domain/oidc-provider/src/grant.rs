//! Authorization requests, and the families of tokens that come of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use id_registry::Theme;

use crate::level::Level;
use crate::port::{Item, Kind};
use crate::secret::{AccountId, ClientId, Digest, GrantId, MandateId, Secret, SessionId};

/// How long a pushed request waits for the browser (RFC 9126 2.2; FAPI 2.0: under ten minutes).
pub const REQUEST_WAITS: Duration = Duration::seconds(90);
/// How long a person may take to sign in and consent.
pub const INTERACTION_LASTS: Duration = Duration::minutes(30);
/// How long a code waits (FAPI 2.0 security profile 5.3.2.1: at most 60 seconds).
pub const CODE_WAITS: Duration = Duration::seconds(60);
/// How long an access token is accepted.
pub const ACCESS_LASTS: Duration = Duration::minutes(10);
/// How long one is accepted that lets somebody act for another: rights end within a minute.
pub const ACTING_ACCESS_LASTS: Duration = Duration::minutes(1);
/// How long a family of refresh tokens lasts unused, and at most.
pub const REFRESH_IDLES: Duration = Duration::days(14);
/// At most that long in all.
pub const REFRESH_LASTS: Duration = Duration::days(90);
/// Access tokens of one family that are accepted at one time.
pub(crate) const MOST_ACCESS: usize = 8;

/// Key to which tokens are bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "by")]
pub enum Binding {
    /// DPoP (RFC 9449): the key's thumbprint (RFC 7638), `jkt`.
    Dpop {
        /// The thumbprint in base64url.
        jkt: String,
    },
    /// Mutual TLS (RFC 8705): the certificate's SHA-256, `x5t#S256`.
    Certificate {
        /// The digest in base64url.
        thumbprint: String,
    },
}

/// What a relying party asks for, after its form was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Where the answer goes: one of the registered ones, character for character.
    pub redirect_uri: String,
    /// Scopes, `openid` among them.
    pub scopes: BTreeSet<String>,
    /// Given back as it is.
    pub state: Option<String>,
    /// Into the ID token.
    pub nonce: Option<String>,
    /// Challenge of PKCE by S256 (RFC 7636 4.2): 43 characters.
    pub challenge: String,
    /// The level asked for (the lowest of `acr_values`); never below the client's.
    pub level: Option<Level>,
    /// How long ago the person may have proved to be there.
    pub max_age: Option<Duration>,
    /// `prompt=login`: the person proves again to be there.
    pub prompt_login: bool,
    /// `prompt=consent`: the person is asked again.
    pub prompt_consent: bool,
    /// `prompt=none`: no page is shown.
    pub prompt_none: bool,
    /// The key to which the code is bound already (RFC 9449 10), and then the tokens.
    pub binding: Option<Binding>,
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub(crate) enum RequestState {
    /// Waits for the browser that brings its `request_uri`.
    Pushed,
    /// In one browser, which holds the interaction's secret.
    Under {
        /// Since when.
        since: OffsetDateTime,
    },
}

/// An authorization request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) key: String,
    /// Of the secret that opens it in its state.
    pub(crate) digest: Digest,
    pub(crate) client: ClientId,
    pub(crate) asked: Asked,
    pub(crate) at: OffsetDateTime,
    pub(crate) state: RequestState,
}

impl Request {
    pub(crate) fn ends_at(&self) -> OffsetDateTime {
        match self.state {
            RequestState::Pushed => self.at + REQUEST_WAITS,
            RequestState::Under { since } => since + INTERACTION_LASTS,
        }
    }

    /// From when on proofs of who it is count: the relying party may ask for a new one (`prompt=login`) or for one that
    /// is no older than so much (`max_age`), for which one that the request itself brought about is good enough.
    pub(crate) fn proofs_since(&self, now: OffsetDateTime) -> OffsetDateTime {
        let begun = match self.state {
            RequestState::Under { since } => since,
            RequestState::Pushed => now,
        };
        let by_age = self.asked.max_age.map(|age| (now - age).min(begun));
        let by_prompt = self.asked.prompt_login.then_some(begun);
        by_age.max(by_prompt).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl Item for Request {
    type Kind = Kind;

    const KIND: Kind = Kind::Request;

    fn key(&self) -> String {
        self.key.clone()
    }

    fn other(&self) -> Option<String> {
        Some(self.client.0.clone())
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.ends_at())
    }
}

/// By what right somebody acts for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "by")]
pub enum Right {
    /// As parent or guardian, by the population register.
    Register,
    /// As head of an organisation.
    Head,
    /// As whom the head of an organisation appointed.
    Representative {
        /// By which appointment.
        appointment: MandateId,
    },
    /// By a mandate.
    Mandate {
        /// Which.
        mandate: MandateId,
    },
}

/// That somebody acts for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acting {
    /// The account of the one who acts.
    pub actor: AccountId,
    /// In which theme.
    pub theme: Theme,
    /// By what right.
    pub right: Right,
}

/// Whether the code of a family was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub(crate) enum CodeState {
    /// It waits, until then.
    Waits {
        digest: Digest,
        until: OffsetDateTime,
    },
    /// It was used.
    Used { digest: Digest },
    /// There is none: the device flow.
    None,
}

/// The refresh token of a family that is valid now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefreshState {
    pub(crate) digest: Digest,
    pub(crate) at: OffsetDateTime,
    pub(crate) generation: u64,
}

/// An access token that is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccessState {
    pub(crate) digest: Digest,
    pub(crate) until: OffsetDateTime,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) binding: Option<Binding>,
}

/// What an account allowed a relying party: a family of tokens, from the code to the last refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its identifier.
    pub id: GrantId,
    /// The relying party.
    pub client: ClientId,
    /// The account that it is about.
    pub subject: AccountId,
    /// Who acts, if that is somebody else.
    pub acting: Option<Acting>,
    /// The session in which it was allowed.
    pub session: SessionId,
    /// The scopes that were allowed.
    pub scopes: BTreeSet<String>,
    /// The level at that moment.
    pub level: Level,
    /// `amr` values at that moment.
    pub amr: Vec<String>,
    /// When the person proved to be there (`auth_time`).
    pub proved_at: OffsetDateTime,
    /// When it was allowed.
    pub at: OffsetDateTime,
    pub(crate) nonce: Option<String>,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    pub(crate) binding: Option<Binding>,
    /// The epoch of the account of whoever is signed in.
    pub(crate) epoch: u64,
    pub(crate) code: CodeState,
    pub(crate) refresh: Option<RefreshState>,
    pub(crate) access: Vec<AccessState>,
    /// When it was revoked: nothing of the family is accepted any more. It stays until it expires, so that what is
    /// presented later is recognised.
    pub revoked_at: Option<OffsetDateTime>,
}

impl Grant {
    /// The account of whoever is signed in: the one who acts, or the subject.
    #[must_use]
    pub fn holder(&self) -> &AccountId {
        self.acting
            .as_ref()
            .map_or(&self.subject, |acting| &acting.actor)
    }

    pub(crate) fn lasts(&self) -> Duration {
        if self.acting.is_some() {
            ACTING_ACCESS_LASTS
        } else {
            ACCESS_LASTS
        }
    }

    pub(crate) fn revoke(&mut self, at: OffsetDateTime) {
        self.revoked_at = Some(at);
        self.refresh = None;
        self.access.clear();
        if let CodeState::Waits { digest, .. } = &self.code {
            self.code = CodeState::Used {
                digest: digest.clone(),
            };
        }
    }

    /// Whether anything of it may still be accepted.
    #[must_use]
    pub fn lives(&self, now: OffsetDateTime) -> bool {
        self.revoked_at.is_none() && now < self.ends_at()
    }

    fn ends_at(&self) -> OffsetDateTime {
        let refresh = self
            .refresh
            .as_ref()
            .map(|refresh| (refresh.at + REFRESH_IDLES).min(self.at + REFRESH_LASTS));
        let code = match &self.code {
            CodeState::Waits { until, .. } => Some(*until),
            _ => None,
        };
        let access = self.access.iter().map(|access| access.until).max();
        [refresh, code, access]
            .into_iter()
            .flatten()
            .max()
            .unwrap_or(self.at)
    }
}

impl Item for Grant {
    type Kind = Kind;

    const KIND: Kind = Kind::Grant;

    fn key(&self) -> String {
        self.id.0.clone()
    }

    fn owner(&self) -> Option<String> {
        Some(self.holder().0.clone())
    }

    fn other(&self) -> Option<String> {
        Some(self.client.0.clone())
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        // What is over stays recognisable for a while: a code or token that comes again says that it was stolen.
        Some(self.ends_at() + REFRESH_IDLES)
    }
}

/// What a token is about: the claims of an ID token, of an introspection, of userinfo.
#[derive(Debug, Clone)]
pub struct About {
    /// The subject as this relying party knows it (`sub`).
    pub subject: String,
    /// Who acts for the subject, as this relying party knows that person (`act.sub`, RFC 8693 4.1).
    pub actor: Option<String>,
    /// By what right.
    pub right: Option<Right>,
    /// In which theme.
    pub theme: Option<Theme>,
    /// The subject's number; only with proofing and a scope that tells who somebody is.
    pub person: Option<id_registry::PersonalNumber>,
    /// The subject's number if it is an organisation, under the same conditions.
    pub organisation: Option<id_registry::OrganisationNumber>,
    /// The number of the one who acts, under the same conditions.
    pub acting_person: Option<id_registry::PersonalNumber>,
    /// Confirmed e-mail address, with the scope `email`.
    pub email: Option<String>,
    /// Confirmed phone, with the scope `phone`.
    pub phone: Option<String>,
    /// The level (`acr`).
    pub level: Level,
    /// `amr`.
    pub amr: Vec<String>,
    /// `auth_time`.
    pub proved_at: OffsetDateTime,
    /// `nonce` of the request.
    pub nonce: Option<String>,
    /// The session as this relying party knows it (`sid`).
    pub sid: String,
    /// The scopes.
    pub scopes: BTreeSet<String>,
    /// The family.
    pub grant: GrantId,
    /// The relying party.
    pub client: ClientId,
    /// Whom the account is for.
    pub tenant: crate::account::Tenant,
}

/// Tokens just issued.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The access token.
    pub access: Secret,
    /// How long it is accepted.
    pub access_lasts: Duration,
    /// The refresh token, if `offline_access` was allowed.
    pub refresh: Option<Secret>,
    /// To what they are bound; none: bearer tokens.
    pub binding: Option<Binding>,
    /// What they are about.
    pub about: About,
}

/// An access token that is accepted. Only [`crate::Provider::access`] makes one.
#[derive(Debug, Clone)]
pub struct Access {
    pub(crate) about: About,
    pub(crate) until: OffsetDateTime,
    pub(crate) binding: Option<Binding>,
}

impl Access {
    /// What it is about.
    #[must_use]
    pub const fn about(&self) -> &About {
        &self.about
    }

    /// Until when it is accepted.
    #[must_use]
    pub const fn until(&self) -> OffsetDateTime {
        self.until
    }

    /// To what it is bound.
    #[must_use]
    pub const fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }
}
