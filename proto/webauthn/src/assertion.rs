//! One assertion: decoding and verifying.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki::DigestAlgorithm;
use serde::{Deserialize, Serialize};

use crate::key::PasskeyKey;

/// Longest assertion in JSON, in bytes: more is refused before it is parsed.
pub const MAX_ASSERTION_LENGTH: usize = 16 * 1024;
/// Longest credential id, in bytes (section 4: Credential ID).
pub const MAX_CREDENTIAL_ID_LENGTH: usize = 1023;
const MAX_SIGNATURE_LENGTH: usize = 1024;
/// Authenticator data without attested credential and extensions (section 6.1).
const AUTHENTICATOR_DATA_LENGTH: usize = 37;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED_CREDENTIAL: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

/// Why an assertion proves nothing. The fault is with whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// It is not the JSON of an assertion, or a part of it is too long or too short.
    #[error("this is not an assertion of a passkey: {0}")]
    Malformed(&'static str),
    /// It is another ceremony's: a registration, for example.
    #[error("the assertion's type is not webauthn.get")]
    Type,
    /// It answers another challenge: something else was confirmed, or it was replayed.
    #[error("the assertion answers another challenge: what was confirmed is not what is asked for")]
    Challenge,
    /// It was made on another site, or in a frame of another site.
    #[error("the assertion was made on another site")]
    Origin,
    /// It was made for another relying party.
    #[error("the assertion was made for another relying party")]
    RelyingParty,
    /// Nobody touched the authenticator.
    #[error("nobody was present at the authenticator")]
    NotPresent,
    /// The authenticator did not ask who holds it.
    #[error("the authenticator did not ask for a PIN, finger or face")]
    NotVerified,
    /// It was made with another key.
    #[error("the assertion was made with another key")]
    Credential,
    /// The signature is not this key's over these data.
    #[error("the assertion's signature is not this key's over these data")]
    Signature,
}

/// What an assertion must be about.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The relying party's id, a domain name.
    pub relying_party: &'a str,
    /// Origins on which it may be made, character for character (`https://sign.example.kg`).
    pub origins: &'a [String],
    /// The challenge's bytes.
    pub challenge: &'a [u8],
}

/// An assertion that was decoded and not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    credential_id: Vec<u8>,
    authenticator_data: Vec<u8>,
    client_data: Vec<u8>,
    signature: Vec<u8>,
}

/// What a verified assertion says of the authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    counter: u32,
    synced: bool,
}

impl Verified {
    /// The signature counter; 0 for authenticators that do not count.
    #[must_use]
    pub const fn counter(&self) -> u32 {
        self.counter
    }

    /// Whether the key may be copied between devices (backup eligible).
    #[must_use]
    pub const fn synced(&self) -> bool {
        self.synced
    }

    /// Whether the counter shows a copy: it must grow, unless the authenticator does not count (section 6.1.1).
    #[must_use]
    pub const fn is_copy(&self, counter_before: u32) -> bool {
        (self.counter != 0 || counter_before != 0) && self.counter <= counter_before
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    id: String,
    raw_id: String,
    #[serde(rename = "type")]
    kind: String,
    response: ResponseJson,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseJson {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

impl Assertion {
    /// Decodes the JSON of an assertion (AuthenticationResponseJSON, section 5.1.6). Members that are not needed are
    /// ignored.
    ///
    /// # Errors
    /// [`AssertionError::Malformed`].
    pub fn from_json(json: &[u8]) -> Result<Self, AssertionError> {
        if json.len() > MAX_ASSERTION_LENGTH {
            return Err(AssertionError::Malformed("it is too long"));
        }
        let json: Json = serde_json::from_slice(json)
            .map_err(|_| AssertionError::Malformed("it is not the JSON of one"))?;
        if json.kind != "public-key" {
            return Err(AssertionError::Malformed("its type is not public-key"));
        }
        let decode = |text: &str| {
            // Some libraries pad.
            URL_SAFE_NO_PAD
                .decode(text.trim_end_matches('='))
                .map_err(|_| AssertionError::Malformed("a part is not base64url"))
        };
        let assertion = Self {
            credential_id: decode(&json.raw_id)?,
            authenticator_data: decode(&json.response.authenticator_data)?,
            client_data: decode(&json.response.client_data)?,
            signature: decode(&json.response.signature)?,
        };
        if assertion.credential_id.is_empty()
            || assertion.credential_id.len() > MAX_CREDENTIAL_ID_LENGTH
        {
            return Err(AssertionError::Malformed(
                "its credential id has no usable length",
            ));
        }
        if assertion.signature.len() > MAX_SIGNATURE_LENGTH {
            return Err(AssertionError::Malformed("its signature is too long"));
        }
        Ok(assertion)
    }

    pub(crate) fn from_parts(
        credential_id: Vec<u8>,
        authenticator_data: Vec<u8>,
        client_data: Vec<u8>,
        signature: Vec<u8>,
    ) -> Self {
        Self {
            credential_id,
            authenticator_data,
            client_data,
            signature,
        }
    }

    /// The same JSON again, with what verifying needs and nothing else.
    #[must_use]
    pub fn to_json(&self) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let json = Json {
            id: encode(&self.credential_id),
            raw_id: encode(&self.credential_id),
            kind: "public-key".to_owned(),
            response: ResponseJson {
                client_data: encode(&self.client_data),
                authenticator_data: encode(&self.authenticator_data),
                signature: encode(&self.signature),
            },
        };
        serde_json::to_string(&json).unwrap_or_default()
    }

    /// Which key made it, as it says: the one to verify it with is looked up by this.
    #[must_use]
    pub fn credential_id(&self) -> &[u8] {
        &self.credential_id
    }

    /// Verifies it (section 7.2, steps 5 to 22, with user verification demanded) with the key that has this
    /// credential id.
    ///
    /// # Errors
    /// See [`AssertionError`].
    pub fn verify(
        &self,
        expected: Expected<'_>,
        credential_id: &[u8],
        key: &PasskeyKey,
    ) -> Result<Verified, AssertionError> {
        if self.credential_id != credential_id {
            return Err(AssertionError::Credential);
        }
        let client: ClientData = serde_json::from_slice(&self.client_data)
            .map_err(|_| AssertionError::Malformed("its client data are not JSON"))?;
        if client.kind != "webauthn.get" {
            return Err(AssertionError::Type);
        }
        if client.challenge != URL_SAFE_NO_PAD.encode(expected.challenge) {
            return Err(AssertionError::Challenge);
        }
        if client.cross_origin || !expected.origins.contains(&client.origin) {
            return Err(AssertionError::Origin);
        }
        let data = &self.authenticator_data;
        let (Some((relying_party, rest)), true) = (
            data.split_first_chunk::<32>(),
            data.len() >= AUTHENTICATOR_DATA_LENGTH,
        ) else {
            return Err(AssertionError::Malformed(
                "its authenticator data are too short",
            ));
        };
        let Some((&[flags, c0, c1, c2, c3], more)) = rest.split_first_chunk::<5>() else {
            return Err(AssertionError::Malformed(
                "its authenticator data are too short",
            ));
        };
        if relying_party
            != DigestAlgorithm::Sha256
                .digest(expected.relying_party.as_bytes())
                .as_ref()
        {
            return Err(AssertionError::RelyingParty);
        }
        if more.is_empty() != (flags & (ATTESTED_CREDENTIAL | EXTENSIONS) == 0) {
            return Err(AssertionError::Malformed(
                "its authenticator data do not have the length that they say",
            ));
        }
        if flags & BACKED_UP != 0 && flags & BACKUP_ELIGIBLE == 0 {
            return Err(AssertionError::Malformed(
                "it is backed up and cannot be backed up",
            ));
        }
        if flags & USER_PRESENT == 0 {
            return Err(AssertionError::NotPresent);
        }
        if flags & USER_VERIFIED == 0 {
            return Err(AssertionError::NotVerified);
        }
        let mut signed = data.clone();
        signed.extend_from_slice(DigestAlgorithm::Sha256.digest(&self.client_data).as_ref());
        key.verify(&signed, &self.signature)
            .map_err(|_| AssertionError::Signature)?;
        Ok(Verified {
            counter: u32::from_be_bytes([c0, c1, c2, c3]),
            synced: flags & BACKUP_ELIGIBLE != 0,
        })
    }
}
