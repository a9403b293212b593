//! The software token of one Security Server of the demo.

use std::path::Path;
use std::sync::Arc;

use keystore::{KeyId, KeyUsage, OpenToken, Pin, PinDerivation, SealedKey, SoftwareToken};
use pki::{Certificate, KeyType, PublicKey, Signer};
use xroad_id::ClientId;

use crate::instance::KeyKind;
use crate::random;

/// File with the PIN, for people who want to look into the token.
pub(super) const PIN_FILE: &str = "pin.txt";
/// File of the token.
pub(super) const TOKEN_FILE: &str = "token.json";
/// File of the sealed key, with which the server starts unattended.
pub(super) const SEALED_FILE: &str = "token.sealed";

/// The type of the instance's keys.
pub(super) const fn key_type(kind: KeyKind) -> KeyType {
    match kind {
        KeyKind::Rsa2048 => KeyType::Rsa2048,
        KeyKind::EcP256 => KeyType::EcP256,
    }
}

/// An open token.
pub(super) struct Token(OpenToken);

impl Token {
    /// Opens the token in a server's folder with its sealed key.
    pub(super) fn open(folder: &Path) -> Result<Self, String> {
        let sealed = SealedKey::read(&folder.join(SEALED_FILE));
        SoftwareToken::load(folder.join(TOKEN_FILE))
            .and_then(|token| token.open_sealed(&sealed?))
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// Opens the token, or makes one with a random PIN.
    pub(super) fn open_or_create(folder: &Path, label: &str) -> Result<Self, String> {
        let sealed = folder.join(SEALED_FILE);
        if sealed.exists() {
            return Self::open(folder);
        }
        let (file, pin_file) = (folder.join(TOKEN_FILE), folder.join(PIN_FILE));
        // Without a sealed key nobody has used them: a start was cut short here.
        for leftover in [&file, &pin_file] {
            if leftover.exists() {
                std::fs::remove_file(leftover).map_err(|error| super::at(leftover, error))?;
            }
        }
        let pin = random::hexadecimal::<8>();
        super::write_secret(&pin_file, pin.as_bytes())?;
        let token = SoftwareToken::create(file, label, &Pin::new(pin), &PinDerivation::default())
            .map_err(|error| error.to_string())?;
        token
            .seal()
            .write(&sealed)
            .map_err(|error| error.to_string())?;
        Ok(Self(token))
    }

    /// The authentication certificate; key and certificate are made if there is none.
    pub(super) fn authentication_certificate(
        &mut self,
        kind: KeyKind,
        issue: impl FnOnce(&PublicKey) -> Result<Certificate, String>,
    ) -> Result<Certificate, String> {
        self.certificate(KeyUsage::Authentication, None, kind, issue)
    }

    /// A member's signing certificate; key and certificate are made if there is none.
    pub(super) fn signing_certificate(
        &mut self,
        member: &ClientId,
        kind: KeyKind,
        issue: impl FnOnce(&PublicKey) -> Result<Certificate, String>,
    ) -> Result<Certificate, String> {
        self.certificate(KeyUsage::Sign, Some(member), kind, issue)
    }

    fn certificate(
        &mut self,
        usage: KeyUsage,
        member: Option<&ClientId>,
        kind: KeyKind,
        issue: impl FnOnce(&PublicKey) -> Result<Certificate, String>,
    ) -> Result<Certificate, String> {
        if let Some((_, certificate)) = self.find(usage, member) {
            return Ok(certificate);
        }
        let failed = |error: keystore::TokenError| error.to_string();
        let id = match self.key(usage, member) {
            Some(id) => id,
            None => {
                let label = member.map_or_else(|| "authentication".to_owned(), ClientId::path);
                self.0
                    .generate_key(&label, usage, key_type(kind), member)
                    .map_err(failed)?
            }
        };
        let key = self
            .0
            .token()
            .key(&id)
            .ok_or("the new key is not in the token")?;
        let certificate = issue(&key.public_key)?;
        self.0.import_certificate(&certificate).map_err(failed)?;
        Ok(certificate)
    }

    fn key(&self, usage: KeyUsage, member: Option<&ClientId>) -> Option<KeyId> {
        let mut keys = self.0.keys().iter();
        keys.find(|key| key.usage == usage && key.member.as_ref() == member)
            .map(|key| key.id.clone())
    }

    fn find(&self, usage: KeyUsage, member: Option<&ClientId>) -> Option<(KeyId, Certificate)> {
        let id = self.key(usage, member)?;
        let held = self
            .0
            .token()
            .key(&id)?
            .certificates
            .iter()
            .rev()
            .find(|held| held.active)?;
        Some((id, held.certificate.clone()))
    }

    /// The authentication certificate and its key as PKCS #8.
    pub(super) fn authentication(&self) -> Result<(Certificate, impl AsRef<[u8]> + use<>), String> {
        let (id, certificate) = self
            .find(KeyUsage::Authentication, None)
            .ok_or("the token has no authentication key")?;
        let key = self
            .0
            .tls_private_key(&id)
            .map_err(|error| error.to_string())?;
        Ok((certificate, Secret(key)))
    }

    /// A member's signing certificate and its key.
    pub(super) fn signing(
        &self,
        member: &ClientId,
    ) -> Result<(Certificate, Arc<dyn Signer>), String> {
        let (id, certificate) = self
            .find(KeyUsage::Sign, Some(member))
            .ok_or_else(|| format!("the token has no signing key of {}", member.path()))?;
        let signer = self.0.signer(&id).map_err(|error| error.to_string())?;
        Ok((certificate, signer))
    }
}

/// Bytes that are wiped when dropped, whatever the key store wraps them in.
struct Secret<B>(B);

impl<B: std::ops::Deref<Target = Vec<u8>>> AsRef<[u8]> for Secret<B> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
