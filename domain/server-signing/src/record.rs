//! What is kept: people, their credentials, officers, authorisations.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use id_registry::PersonalNumber;
use pki::Certificate;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::authenticator::{Form, Proof};
use crate::port::{Item, Kind as ItemKind, StoreError};
use crate::random::SadDigest;
use crate::statement::{Kind, Statement};
use crate::vault::{SealedKey, Vault};

/// One authenticator of a person. Only its counter changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Authenticator {
    pub(crate) form: Form,
    pub(crate) counter: u32,
}

/// A person who signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Holder {
    pub(crate) number: PersonalNumber,
    pub(crate) surname: String,
    pub(crate) given_name: String,
    pub(crate) authenticators: Vec<Authenticator>,
    /// Which client froze it, if it is frozen.
    pub(crate) frozen_by: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) careful_until: Option<OffsetDateTime>,
}

impl Holder {
    pub(crate) fn forms(&self) -> Vec<Form> {
        self.authenticators
            .iter()
            .map(|authenticator| authenticator.form.clone())
            .collect()
    }
}

impl Item for Holder {
    type Kind = ItemKind;

    const KIND: ItemKind = ItemKind::Holder;

    fn key(&self) -> String {
        self.number.as_str().to_owned()
    }
}

/// A certificate, in base64 where it is stored.
#[derive(Debug, Clone)]
pub(crate) struct StoredCertificate(pub(crate) Certificate);

impl Serialize for StoredCertificate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0.der()))
    }
}

impl<'de> Deserialize<'de> for StoredCertificate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let der = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Certificate::decode(&der)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// What state a credential is in. A key that signs no more is gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum CredentialState {
    /// It signs.
    Active {
        #[serde(with = "sealed")]
        key: SealedKey,
    },
    /// Another has taken its place.
    Retired {},
    /// It was revoked.
    #[serde(rename_all = "camelCase")]
    Revoked {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        /// Whether the certification authority knows.
        told: bool,
    },
}

mod sealed {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::vault::SealedKey;

    pub(super) fn serialize<S: Serializer>(
        key: &SealedKey,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&key.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SealedKey, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(SealedKey)
            .map_err(serde::de::Error::custom)
    }
}

/// A key with its certificate.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Credential {
    pub(crate) id: String,
    pub(crate) holder: PersonalNumber,
    pub(crate) kind: Kind,
    pub(crate) certificate: StoredCertificate,
    pub(crate) state: CredentialState,
}

impl Item for Credential {
    type Kind = ItemKind;

    const KIND: ItemKind = ItemKind::Credential;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn owner(&self) -> Option<String> {
        // Revoked ones of which the authority was not told are found under a name that no person has.
        Some(match self.state {
            CredentialState::Revoked { told: false, .. } => UNTOLD.to_owned(),
            _ => self.holder.as_str().to_owned(),
        })
    }
}

/// The owner of revoked credentials of which the certification authority was not told yet.
pub(crate) const UNTOLD: &str = "revoked, not told";

/// What a sealed key is bound to: whom it belongs to and with what that person confirms.
pub(crate) fn binding(
    credential: &str,
    holder: PersonalNumber,
    kind: Kind,
    forms: &[Form],
) -> Vec<u8> {
    // Nothing in it fails to be written.
    serde_json::to_vec(&("tunduk person key 1", credential, holder, kind, forms))
        .unwrap_or_default()
}

/// Somebody who serves people at a desk. The tag shows that this service wrote the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Officer {
    pub(crate) id: String,
    /// Their own number: nobody decides about themselves.
    pub(crate) number: PersonalNumber,
    pub(crate) office: String,
    pub(crate) form: Form,
    pub(crate) dismissed: bool,
    tag: String,
}

impl Officer {
    pub(crate) fn new(
        id: String,
        number: PersonalNumber,
        office: String,
        form: Form,
        vault: &dyn Vault,
    ) -> Self {
        let mut officer = Self {
            id,
            number,
            office,
            form,
            dismissed: false,
            tag: String::new(),
        };
        officer.seal(vault);
        officer
    }

    pub(crate) fn seal(&mut self, vault: &dyn Vault) {
        self.tag = self.computed(vault);
    }

    /// Whether this service wrote it.
    pub(crate) fn is_ours(&self, vault: &dyn Vault) -> bool {
        self.tag == self.computed(vault)
    }

    fn computed(&self, vault: &dyn Vault) -> String {
        let record = serde_json::to_vec(&(
            "tunduk officer 1",
            &self.id,
            self.number,
            &self.office,
            &self.form,
            self.dismissed,
        ));
        hex::encode(vault.tag(&record.unwrap_or_default()))
    }
}

impl Item for Officer {
    type Kind = ItemKind;

    const KIND: ItemKind = ItemKind::Officer;

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// Whose a passkey is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Owner {
    /// A person's.
    Person(PersonalNumber),
    /// An officer's, by the officer's id.
    Officer(String),
    /// Nobody's any more.
    Nobody {},
}

/// A passkey by its id, so that somebody who signs in is found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KnownPasskey {
    pub(crate) id: String,
    pub(crate) owner: Owner,
}

impl Item for KnownPasskey {
    type Kind = ItemKind;

    const KIND: ItemKind = ItemKind::Passkey;

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// Something that is taken once. Only a digest of it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UsedOnce {
    pub(crate) id: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) expires_at: OffsetDateTime,
}

impl Item for UsedOnce {
    type Kind = ItemKind;

    const KIND: ItemKind = ItemKind::UsedOnce;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        Some(self.expires_at)
    }
}

/// What the values of signatures are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum SignedForm {
    /// The hashes themselves.
    Hash,
    /// The attributes of CMS signatures that hold the hashes.
    Cms,
}

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    /// It waits for the person.
    Asked,
    /// The person confirmed; the client may have the activation data already.
    Confirmed {
        proof: Proof,
        sad: Option<SadDigest>,
    },
    /// The signatures are made. They are the only ones that will ever come of it.
    Released {
        sad: SadDigest,
        form: SignedForm,
        signatures: Vec<String>,
    },
    /// It was done, whatever it was.
    Done,
    /// The person said no.
    Denied,
}

/// A statement with its state. The text is kept as it was confirmed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Authorisation {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) state: State,
    /// Proofs that came while others are awaited, by the place of who made them among those who must.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) proofs: BTreeMap<usize, Proof>,
}

impl Authorisation {
    pub(crate) fn statement(&self) -> Result<Statement, StoreError> {
        Statement::read(&self.text)
            .map_err(|error| StoreError::Unreadable(format!("a statement: {error}")))
    }
}

impl Item for Authorisation {
    type Kind = ItemKind;

    const KIND: ItemKind = ItemKind::Authorisation;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn owner(&self) -> Option<String> {
        self.statement()
            .ok()
            .map(|statement| statement.holder.as_str().to_owned())
    }

    fn expires(&self) -> Option<OffsetDateTime> {
        self.statement().ok().map(|statement| statement.expires_at)
    }
}
