//! Relying parties.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::account::Tenant;
use crate::certificate_name::CertificateName;
use crate::level::Level;
use crate::port::{Item, Kind};
use crate::refusal::Refusal;
use crate::secret::{AccountId, ClientId};

/// Scopes that exist, with whether one tells who somebody is (and so needs proofing).
pub const SCOPES: &[(&str, bool)] = &[
    ("openid", false),
    ("offline_access", false),
    ("profile", true),
    ("number", true),
    ("address", true),
    ("phone", false),
    ("email", false),
];

/// Whether a scope tells who somebody is.
#[must_use]
pub fn tells_who(scope: &str) -> bool {
    SCOPES.iter().any(|(name, tells)| *name == scope && *tells)
}

/// How a client proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "method")]
pub enum ClientAuthentication {
    /// `private_key_jwt` (RFC 7523, OpenID Connect Core 9): signed with one of the client's keys.
    PrivateKeyJwt,
    /// `tls_client_auth` (RFC 8705 2.1): a certificate of a known authority with this name.
    TlsName {
        /// The name.
        name: CertificateName,
    },
    /// `self_signed_tls_client_auth` (RFC 8705 2.2): a certificate of which the client's keys hold the key.
    TlsKey,
}

/// Which rules hold for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    /// Tokens may be unbound, requests come by PAR or signed.
    Standard,
    /// FAPI 2.0 security profile: PAR only, tokens bound to a key, codes for a minute.
    Fapi2,
}

/// What a client wants, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientForm {
    /// Its name in each language (`ky`, `ru`, `en`).
    pub names: BTreeMap<String, String>,
    /// The organisation that answers for it.
    pub organisation: String,
    /// Where its operators are reached.
    pub contact: String,
    /// Subjects are the same for clients of one sector and different between sectors (OpenID Connect Core 8.1).
    pub sector: String,
    /// Redirect URIs, compared character for character.
    pub redirect_uris: BTreeSet<String>,
    /// Where to after logout, compared character for character.
    pub after_logout_uris: BTreeSet<String>,
    /// Where logout tokens go (OpenID Connect Back-Channel Logout).
    pub logout_uri: Option<String>,
    /// How it proves who it is.
    pub authentication: ClientAuthentication,
    /// Its public keys: a JWK Set (RFC 7517) as JSON.
    pub keys: String,
    /// Which rules hold.
    pub profile: Profile,
    /// Scopes it may ask for, each with the purpose in words, by language.
    pub purposes: BTreeMap<String, BTreeMap<String, String>>,
    /// The level that it asks for where a request says none, and below which it never goes.
    pub level: Level,
    /// Whether it may use the device flow (RFC 8628).
    pub device_flow: bool,
    /// Whether people may act for others at it, and in which theme.
    pub theme: Option<id_registry::Theme>,
}

/// In what state a client is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum ClientStanding {
    /// Waits for approval.
    Registered,
    /// In use.
    Approved {
        /// Who approved it; nobody in the sandbox.
        by: Option<AccountId>,
        /// When.
        at: OffsetDateTime,
    },
    /// Rejected or suspended: its requests are refused and its tokens no longer accepted.
    Stopped {
        /// Who stopped it.
        by: AccountId,
        /// When.
        at: OffsetDateTime,
    },
}

/// A relying party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its identifier (`client_id`).
    pub id: ClientId,
    /// Whose people sign in at it.
    pub tenant: Tenant,
    /// What it wants.
    pub form: ClientForm,
    /// Who registered it.
    pub registered_by: AccountId,
    /// When.
    pub registered_at: OffsetDateTime,
    /// In what state it is.
    pub standing: ClientStanding,
}

impl Client {
    /// Whether requests are taken and tokens accepted.
    #[must_use]
    pub const fn is_approved(&self) -> bool {
        matches!(self.standing, ClientStanding::Approved { .. })
    }

    /// The client's name in a language, or in another if there is none.
    #[must_use]
    pub fn name(&self, language: &str) -> &str {
        let names = &self.form.names;
        names
            .get(language)
            .or_else(|| names.values().next())
            .map_or("", String::as_str)
    }
}

impl Item for Client {
    type Kind = Kind;

    const KIND: Kind = Kind::Client;

    fn key(&self) -> String {
        self.id.0.clone()
    }

    fn owner(&self) -> Option<String> {
        Some(self.registered_by.0.clone())
    }
}

/// A client that is approved. Only [`crate::Provider::client`] makes one. That it is the client that asks, whoever
/// holds one has checked by its keys.
#[derive(Debug, Clone)]
pub struct ActiveClient(pub(crate) Client);

impl ActiveClient {
    /// The client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.0
    }
}

/// Longest text of a registration, in bytes, and most of a kind.
const LONGEST_TEXT: usize = 500;
const LONGEST_URI: usize = 2000;
const LONGEST_KEYS: usize = 16 * 1024;
const MOST: usize = 20;

impl ClientForm {
    /// Checks lengths, counts and forms.
    ///
    /// # Errors
    /// Says which part is not acceptable.
    pub fn check(&self, tenant: Tenant) -> Result<(), Refusal> {
        let refuse = |why| Err(Refusal::ClientForm(why));
        let text = |text: &String| !text.trim().is_empty() && text.len() <= LONGEST_TEXT;
        if self.names.is_empty()
            || self.names.len() > MOST
            || !self.names.values().all(text)
            || !text(&self.organisation)
            || !text(&self.contact)
            || !text(&self.sector)
        {
            return refuse("names, organisation, contact and sector are 1 to 500 bytes each");
        }
        let uris = self
            .redirect_uris
            .iter()
            .chain(&self.after_logout_uris)
            .chain(&self.logout_uri);
        for uri in uris {
            if !is_web_address(uri, tenant) {
                return refuse(
                    "addresses are https, absolute, without fragment and at most 2000 bytes",
                );
            }
        }
        if self.redirect_uris.len() > MOST || self.after_logout_uris.len() > MOST {
            return refuse("at most 20 addresses of a kind");
        }
        if self.redirect_uris.is_empty() && !self.device_flow {
            return refuse("a client needs a redirect URI or the device flow");
        }
        if self.keys.len() > LONGEST_KEYS {
            return refuse("the keys are larger than 16 KiB");
        }
        match &self.authentication {
            ClientAuthentication::TlsName { name } if !name.is_name() => {
                return refuse("the name in the certificate is none of its kind");
            }
            ClientAuthentication::TlsName { .. } => {}
            _ if self.keys.is_empty() => return refuse("a client needs keys"),
            _ => {}
        }
        if !self.purposes.contains_key("openid") {
            return refuse("the scope openid is always needed");
        }
        for (scope, purpose) in &self.purposes {
            if !SCOPES.iter().any(|(name, _)| name == scope) {
                return refuse("a scope is unknown");
            }
            if purpose.is_empty() || !purpose.values().all(text) {
                return refuse("each scope has a purpose in words, of at most 500 bytes");
            }
        }
        Ok(())
    }
}

/// Whether an address may be registered. Loopback over plain HTTP is for clients that are being built, and for the
/// sandbox only (RFC 8252 8.3).
fn is_web_address(uri: &str, tenant: Tenant) -> bool {
    let loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"]
        .iter()
        .filter_map(|prefix| uri.strip_prefix(prefix))
        .any(|rest| rest.is_empty() || rest.starts_with([':', '/']));
    let secure = uri
        .strip_prefix("https://")
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?']));
    (secure || (loopback && tenant == Tenant::Sandbox))
        && uri.len() <= LONGEST_URI
        && !uri.contains(['#', '*', '\\', '@'])
        && uri.bytes().all(|byte| byte.is_ascii_graphic())
}
