//! An authenticator in memory.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki::{DigestAlgorithm, KeyError, KeyType, SignError, SignatureAlgorithm, Signer, SoftwareKey};

use crate::assertion::Assertion;

/// The flag that says that a new key comes along (section 6.1).
const ATTESTED_CREDENTIAL: u8 = 0x40;

/// An authenticator in memory with one ES256 key, which always says that its holder was asked: for tests and for the
/// invented people of the demonstration. It does not count.
#[derive(Debug)]
pub struct SoftwareAuthenticator {
    relying_party: String,
    credential_id: Vec<u8>,
    key: SoftwareKey,
    synced: bool,
}

impl SoftwareAuthenticator {
    /// A new key for a relying party. `synced`: as if it could be copied between devices.
    ///
    /// # Errors
    /// The library generates no key.
    pub fn generate(
        relying_party: impl Into<String>,
        credential_id: Vec<u8>,
        synced: bool,
    ) -> Result<Self, KeyError> {
        let key = SoftwareKey::generate(KeyType::EcP256)?;
        Self::with_key(relying_party, credential_id, key, synced)
    }

    /// An authenticator with a key that there is already.
    ///
    /// # Errors
    /// The key is none for ES256.
    pub fn with_key(
        relying_party: impl Into<String>,
        credential_id: Vec<u8>,
        key: SoftwareKey,
        synced: bool,
    ) -> Result<Self, KeyError> {
        Ok(Self {
            relying_party: relying_party.into(),
            credential_id,
            key: key.with_algorithm(SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256))?,
            synced,
        })
    }

    /// The credential id in base64url, as browsers give it.
    #[must_use]
    pub fn credential_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.credential_id)
    }

    /// The public key as a browser gives it (`response.publicKey`), in base64url. Its algorithm is -7.
    #[must_use]
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.public_key().spki_der())
    }

    /// The answer to a question for a new key, made on a page of an origin, as a browser would write it
    /// (RegistrationResponseJSON, section 5.1.8): this key, without a word of the maker about the device (attestation
    /// `none`).
    #[must_use]
    pub fn register(&self, origin: &str, challenge: &[u8]) -> String {
        let client_data = client_data("webauthn.create", origin, challenge);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let data = self.new_credential();
        serde_json::json!({
            "id": self.credential_id(),
            "rawId": self.credential_id(),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(&client_data),
                "authenticatorData": encode(&data),
                "attestationObject": encode(&without_attestation(&data)),
                "publicKey": self.public_key(),
                "publicKeyAlgorithm": -7,
                "transports": ["internal"],
            },
        })
        .to_string()
    }

    /// Authenticator data with the new key in it (sections 6.1 and 6.5.1). No model of authenticator is named.
    fn new_credential(&self) -> Vec<u8> {
        let mut data = self.authenticator_data(ATTESTED_CREDENTIAL);
        data.extend_from_slice(&[0; 16]);
        let length = u16::try_from(self.credential_id.len()).unwrap_or(u16::MAX);
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(&self.credential_id);
        // A COSE key (RFC 9053 section 7.1.1): {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
        data.extend_from_slice(&[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01]);
        let point = self.key.public_key().key_octets();
        for (label, coordinate) in [(0x21, point.get(1..33)), (0x22, point.get(33..65))] {
            data.extend_from_slice(&[label, 0x58, 0x20]);
            data.extend_from_slice(coordinate.unwrap_or_default());
        }
        data
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let mut data = DigestAlgorithm::Sha256
            .digest(self.relying_party.as_bytes())
            .as_ref()
            .to_vec();
        // User present and verified; backup eligible and backed up where the key is copied.
        data.push(flags | if self.synced { 0x1d } else { 0x05 });
        data.extend_from_slice(&[0; 4]);
        data
    }

    /// An assertion over a challenge, made on a page of an origin, as a browser would write it.
    ///
    /// # Errors
    /// The library does not sign.
    pub fn assert(&self, origin: &str, challenge: &[u8]) -> Result<String, SignError> {
        let client_data = client_data("webauthn.get", origin, challenge);
        self.sign(self.authenticator_data(0), client_data)
    }

    /// An assertion over these very bytes, right or wrong.
    ///
    /// # Errors
    /// The library does not sign.
    pub fn sign(
        &self,
        authenticator_data: Vec<u8>,
        client_data: Vec<u8>,
    ) -> Result<String, SignError> {
        let mut signed = authenticator_data.clone();
        signed.extend_from_slice(DigestAlgorithm::Sha256.digest(&client_data).as_ref());
        let signature = self.key.sign(&signed)?;
        Ok(Assertion::from_parts(
            self.credential_id.clone(),
            authenticator_data,
            client_data,
            signature,
        )
        .to_json())
    }
}

fn client_data(kind: &str, origin: &str, challenge: &[u8]) -> Vec<u8> {
    serde_json::json!({
        "type": kind,
        "challenge": URL_SAFE_NO_PAD.encode(challenge),
        "origin": origin,
        "crossOrigin": false,
    })
    .to_string()
    .into_bytes()
}

/// An attestation object (section 6.5.4) in CBOR: `{"fmt": "none", "attStmt": {}, "authData": data}`.
fn without_attestation(data: &[u8]) -> Vec<u8> {
    let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    object.extend_from_slice(&length.to_be_bytes());
    object.extend_from_slice(data);
    object
}
