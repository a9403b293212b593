//! An authenticator in memory.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki::{DigestAlgorithm, KeyError, KeyType, SignError, SignatureAlgorithm, Signer, SoftwareKey};

use crate::assertion::Assertion;

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
        let key = SoftwareKey::generate(KeyType::EcP256)?
            .with_algorithm(SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256))?;
        Ok(Self {
            relying_party: relying_party.into(),
            credential_id,
            key,
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

    /// An assertion over a challenge, made on a page of an origin, as a browser would write it.
    ///
    /// # Errors
    /// The library does not sign.
    pub fn assert(&self, origin: &str, challenge: &[u8]) -> Result<String, SignError> {
        let client_data = serde_json::json!({
            "type": "webauthn.get",
            "challenge": URL_SAFE_NO_PAD.encode(challenge),
            "origin": origin,
            "crossOrigin": false,
        })
        .to_string()
        .into_bytes();
        let mut authenticator_data = DigestAlgorithm::Sha256
            .digest(self.relying_party.as_bytes())
            .as_ref()
            .to_vec();
        // User present and verified; backup eligible and backed up where the key is copied.
        authenticator_data.push(if self.synced { 0x1d } else { 0x05 });
        authenticator_data.extend_from_slice(&[0; 4]);
        self.sign(authenticator_data, client_data)
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
