//! The token, closed and open.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::hkdf;
use pki::{Certificate, KeyType, Name, Signer, SoftwareKey};
use signer::{KeyDescription, KeyId, KeyUsage};
use xroad_id::ClientId;
use zeroize::Zeroizing;

use crate::attempts::Attempt;
use crate::document::{
    Base64, CertificateRecord, Document, FORMAT, KeyRecord, PinRecord, check_binding, pin_binding,
    unwrap, wrap,
};
use crate::error::TokenError;
use crate::file::Lock;
use crate::pin::{Cost, Pin, PinDerivation};
use crate::sealed::SealedKey;

/// A token that is closed: its public side can be read, and certificates managed, without a PIN.
#[derive(Clone)]
pub struct SoftwareToken {
    path: PathBuf,
    document: Document,
    keys: Vec<KeyDescription>,
}

impl fmt::Debug for SoftwareToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SoftwareToken")
            .field("path", &self.path)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

fn random<const N: usize>() -> Result<[u8; N], TokenError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| TokenError::Engine)?;
    Ok(bytes)
}

fn wrap_under_pin(
    token: &str,
    token_key: &[u8; 32],
    pin: &Pin,
    derivation: &PinDerivation,
) -> Result<PinRecord, TokenError> {
    pin.check_new()?;
    let cost = Cost::DEFAULT;
    let salt = random::<16>()?;
    let derived = derivation.derive(pin, &salt, cost)?;
    Ok(PinRecord {
        kdf: "argon2id".to_owned(),
        memory_kib: cost.memory_kib,
        passes: cost.passes,
        lanes: cost.lanes,
        salt: Base64(salt.to_vec()),
        wrapped: wrap(&derived, &pin_binding(token), token_key)?,
    })
}

impl SoftwareToken {
    /// Creates an empty token with a random token key, and opens it.
    ///
    /// # Errors
    /// [`TokenError::Exists`], [`TokenError::PinLength`], and failures of files or the helper.
    pub fn create(
        path: impl Into<PathBuf>,
        label: &str,
        pin: &Pin,
        derivation: &PinDerivation,
    ) -> Result<OpenToken, TokenError> {
        let path = path.into();
        let lock = Lock::of(&path)?;
        if path.exists() {
            return Err(TokenError::Exists { path });
        }
        let id: String = random::<16>()?
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let token_key = Zeroizing::new(random::<32>()?);
        let document = Document {
            format: FORMAT.to_owned(),
            pin: wrap_under_pin(&id, &token_key, pin, derivation)?,
            check: wrap(&token_key, &check_binding(&id), &[])?,
            id,
            label: label.to_owned(),
            keys: Vec::new(),
        };
        document.write(&path)?;
        drop(lock);
        Ok(OpenToken {
            token: Self {
                path,
                document,
                keys: Vec::new(),
            },
            token_key,
            secrets: HashMap::new(),
        })
    }

    /// Reads a token's file.
    ///
    /// # Errors
    /// [`TokenError::File`], [`TokenError::Malformed`].
    pub fn load(path: impl Into<PathBuf>) -> Result<Self, TokenError> {
        let path = path.into();
        let (document, keys) = Document::read(&path)?;
        Ok(Self {
            path,
            document,
            keys,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The operator's name for the token.
    pub fn label(&self) -> &str {
        &self.document.label
    }

    /// Its keys with their certificates.
    pub fn keys(&self) -> &[KeyDescription] {
        &self.keys
    }

    /// One key.
    pub fn key(&self, id: &KeyId) -> Option<&KeyDescription> {
        self.keys.iter().find(|key| key.id == *id)
    }

    /// Opens the token with its PIN. A wrong PIN makes the next attempt wait, twice as long each
    /// time, across restarts.
    ///
    /// # Errors
    /// [`TokenError::WrongPin`], [`TokenError::TooSoon`], and failures of files or the helper.
    pub fn open(self, pin: &Pin, derivation: &PinDerivation) -> Result<OpenToken, TokenError> {
        let lock = Lock::of(&self.path)?;
        let token_key = self.token_key(pin, derivation)?;
        drop(lock);
        OpenToken::new(self, token_key)
    }

    fn token_key(
        &self,
        pin: &Pin,
        derivation: &PinDerivation,
    ) -> Result<Zeroizing<[u8; 32]>, TokenError> {
        let attempt = Attempt::begin(&self.path)?;
        let record = &self.document.pin;
        let derived = match derivation.derive(pin, &record.salt.0, record.cost()) {
            Ok(derived) => derived,
            Err(error) => {
                attempt.not_made()?;
                return Err(error);
            }
        };
        let key = unwrap(&derived, &pin_binding(&self.document.id), &record.wrapped)
            .and_then(|key| <[u8; 32]>::try_from(key.as_slice()).ok())
            .map(Zeroizing::new);
        match key {
            Some(key) => {
                attempt.succeeded()?;
                Ok(key)
            }
            None => Err(attempt.wrong_pin()),
        }
    }

    /// Opens the token with its sealed key: no derivation, no pause.
    ///
    /// # Errors
    /// [`TokenError::OtherToken`], [`TokenError::Malformed`].
    pub fn open_sealed(self, sealed: &SealedKey) -> Result<OpenToken, TokenError> {
        if sealed.token != self.document.id {
            return Err(TokenError::OtherToken);
        }
        OpenToken::new(self, sealed.key.clone())
    }

    fn change<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        let _lock = Lock::of(&self.path)?;
        let (document, keys) = Document::read(&self.path)?;
        if document.id != self.document.id {
            return Err(TokenError::OtherToken);
        }
        // Works on a copy: a failure leaves this value as it was.
        let mut changed = Self {
            path: self.path.clone(),
            document,
            keys,
        };
        let result = act(&mut changed)?;
        changed.document.write(&changed.path)?;
        *self = Self::load(std::mem::take(&mut changed.path))?;
        Ok(result)
    }

    fn record(&mut self, id: &KeyId) -> Result<&mut KeyRecord, TokenError> {
        self.document
            .keys
            .iter_mut()
            .find(|key| key.id == id.as_str())
            .ok_or_else(|| TokenError::NoSuchKey(id.to_string()))
    }

    /// Stores a certificate with the key that it belongs to, active at once.
    ///
    /// # Errors
    /// [`TokenError::Import`] where the token has no key for it, has it already, or it is not for the
    /// key's purpose.
    pub fn import_certificate(&mut self, certificate: &Certificate) -> Result<KeyId, TokenError> {
        self.change(|token| {
            let id = KeyId::of(certificate.public_key());
            let key = token.key(&id).ok_or(signer::ImportError::NoKey)?;
            signer::check_import(key, certificate)?;
            token.record(&id)?.certificates.push(CertificateRecord {
                der: Base64(certificate.der().to_vec()),
                active: true,
            });
            Ok(id)
        })
    }

    /// Takes a certificate into or out of use.
    ///
    /// # Errors
    /// [`TokenError::NoSuchCertificate`].
    pub fn set_active(
        &mut self,
        certificate: &Certificate,
        active: bool,
    ) -> Result<(), TokenError> {
        self.change(|token| {
            token
                .record(&KeyId::of(certificate.public_key()))?
                .certificates
                .iter_mut()
                .find(|held| held.der.0 == certificate.der())
                .ok_or(TokenError::NoSuchCertificate)?
                .active = active;
            Ok(())
        })
    }

    /// Removes a certificate; its key stays.
    ///
    /// # Errors
    /// [`TokenError::NoSuchCertificate`].
    pub fn remove_certificate(&mut self, certificate: &Certificate) -> Result<(), TokenError> {
        self.change(|token| {
            let certificates = &mut token
                .record(&KeyId::of(certificate.public_key()))?
                .certificates;
            let before = certificates.len();
            certificates.retain(|held| held.der.0 != certificate.der());
            if certificates.len() == before {
                return Err(TokenError::NoSuchCertificate);
            }
            Ok(())
        })
    }

    /// Deletes a key with its certificates, for good.
    ///
    /// # Errors
    /// [`TokenError::NoSuchKey`].
    pub fn delete_key(&mut self, id: &KeyId) -> Result<(), TokenError> {
        self.change(|token| {
            token.record(id)?;
            token.document.keys.retain(|key| key.id != id.as_str());
            Ok(())
        })
    }

    /// Gives the token another PIN. Only the token key is wrapped anew: private keys, certificates
    /// and sealed keys stay as they are.
    ///
    /// # Errors
    /// As [`SoftwareToken::open`], and [`TokenError::PinLength`].
    pub fn change_pin(
        &mut self,
        old: &Pin,
        new: &Pin,
        derivation: &PinDerivation,
    ) -> Result<(), TokenError> {
        self.change(|token| {
            new.check_new()?;
            let token_key = token.token_key(old, derivation)?;
            token.document.pin = wrap_under_pin(&token.document.id, &token_key, new, derivation)?;
            Ok(())
        })
    }
}

/// An open token: its keys sign until the value is dropped. Private keys are wiped then.
pub struct OpenToken {
    token: SoftwareToken,
    token_key: Zeroizing<[u8; 32]>,
    secrets: HashMap<KeyId, Arc<SoftwareKey>>,
}

impl fmt::Debug for OpenToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OpenToken({:?})", self.token)
    }
}

impl OpenToken {
    fn new(token: SoftwareToken, token_key: Zeroizing<[u8; 32]>) -> Result<Self, TokenError> {
        unwrap(
            &token_key,
            &check_binding(&token.document.id),
            &token.document.check,
        )
        .ok_or(TokenError::OtherToken)?;
        let mut open = Self {
            token,
            token_key,
            secrets: HashMap::new(),
        };
        open.load_secrets()?;
        Ok(open)
    }

    fn load_secrets(&mut self) -> Result<(), TokenError> {
        let token = &self.token;
        let mut secrets = HashMap::with_capacity(token.keys.len());
        for (record, key) in token.document.keys.iter().zip(&token.keys) {
            if let Some(secret) = self.secrets.remove(&key.id) {
                secrets.insert(key.id.clone(), secret);
                continue;
            }
            let damaged = |reason: &str| TokenError::Malformed {
                path: token.path.clone(),
                reason: format!("key {}: {reason}", key.id),
            };
            let pkcs8 = unwrap(
                &self.token_key,
                &record.binding(&token.document.id),
                &record.wrapped,
            )
            .ok_or_else(|| damaged("the private key was changed"))?;
            let secret = SoftwareKey::from_pkcs8_der(&pkcs8)?;
            if *secret.public_key() != key.public_key {
                return Err(damaged("the private key is another one"));
            }
            secrets.insert(key.id.clone(), Arc::new(secret));
        }
        self.secrets = secrets;
        Ok(())
    }

    /// The public side.
    pub fn token(&self) -> &SoftwareToken {
        &self.token
    }

    /// Its keys with their certificates.
    pub fn keys(&self) -> &[KeyDescription] {
        self.token.keys()
    }

    /// Reads the file again: keys and certificates that another process has changed.
    ///
    /// # Errors
    /// As [`SoftwareToken::load`]; the old state stays.
    pub fn reload(&mut self) -> Result<(), TokenError> {
        let token = SoftwareToken::load(self.token.path.clone())?;
        if token.document.id != self.token.document.id {
            return Err(TokenError::OtherToken);
        }
        let before = std::mem::replace(&mut self.token, token);
        self.load_secrets().inspect_err(|_| self.token = before)
    }

    /// Generates a key. A signing key needs the member for whom it signs.
    ///
    /// # Errors
    /// [`TokenError::Member`], failures of the file.
    pub fn generate_key(
        &mut self,
        label: &str,
        usage: KeyUsage,
        key_type: KeyType,
        member: Option<&ClientId>,
    ) -> Result<KeyId, TokenError> {
        self.add_key(label, usage, SoftwareKey::generate(key_type)?, member)
    }

    /// Takes over a key that was made elsewhere.
    ///
    /// # Errors
    /// As [`OpenToken::generate_key`].
    pub fn add_key(
        &mut self,
        label: &str,
        usage: KeyUsage,
        key: SoftwareKey,
        member: Option<&ClientId>,
    ) -> Result<KeyId, TokenError> {
        if (usage == KeyUsage::Sign) != member.is_some() {
            return Err(TokenError::Member);
        }
        let id = KeyId::of(key.public_key());
        let pkcs8 = key.to_pkcs8_der()?;
        let mut record = KeyRecord {
            id: id.to_string(),
            label: label.to_owned(),
            usage: usage.name().to_owned(),
            member: member.map(|member| member.to_member().path()),
            public: Base64(key.public_key().spki_der().to_vec()),
            wrapped: Base64(Vec::new()),
            certificates: Vec::new(),
        };
        record.wrapped = wrap(
            &self.token_key,
            &record.binding(&self.token.document.id),
            &pkcs8,
        )?;
        self.token.change(|token| {
            token.document.keys.push(record);
            Ok(())
        })?;
        self.secrets.insert(id.clone(), Arc::new(key));
        self.load_secrets()?;
        Ok(id)
    }

    /// A certification request for a key, in DER.
    ///
    /// # Errors
    /// [`TokenError::NoSuchKey`].
    pub fn csr(&self, id: &KeyId, subject: &Name) -> Result<Vec<u8>, TokenError> {
        Ok(pki::csr::build(subject, &self.secret(id)?)?)
    }

    /// As [`OpenToken::csr`], in PEM.
    ///
    /// # Errors
    /// [`TokenError::NoSuchKey`].
    pub fn csr_pem(&self, id: &KeyId, subject: &Name) -> Result<String, TokenError> {
        Ok(pki::csr::build_pem(subject, &self.secret(id)?)?)
    }

    /// As [`SoftwareToken::import_certificate`].
    ///
    /// # Errors
    /// The same.
    pub fn import_certificate(&mut self, certificate: &Certificate) -> Result<KeyId, TokenError> {
        let id = self.token.import_certificate(certificate)?;
        self.load_secrets()?;
        Ok(id)
    }

    fn secret(&self, id: &KeyId) -> Result<Arc<SoftwareKey>, TokenError> {
        self.secrets
            .get(id)
            .cloned()
            .ok_or_else(|| TokenError::NoSuchKey(id.to_string()))
    }

    /// What signs with a key. It goes on signing for as long as it is held, whatever becomes of this
    /// value.
    ///
    /// # Errors
    /// [`TokenError::NoSuchKey`].
    pub fn signer(&self, id: &KeyId) -> Result<Arc<dyn Signer>, TokenError> {
        Ok(self.secret(id)?)
    }

    /// The private key of an authentication key as PKCS#8, for the TLS library.
    ///
    /// # Errors
    /// [`TokenError::NotForTls`] for a signing key: those never leave the token.
    pub fn tls_private_key(&self, id: &KeyId) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        let secret = self.secret(id)?;
        match self.token.key(id) {
            Some(key) if key.usage == KeyUsage::Authentication => Ok(secret.to_pkcs8_der()?),
            _ => Err(TokenError::NotForTls(id.to_string())),
        }
    }

    /// A key of 32 bytes for another purpose (HKDF-SHA-256, RFC 5869), the same for as long as the
    /// token lives: for example what wraps the message log's data keys.
    ///
    /// # Errors
    /// [`TokenError::Engine`].
    pub fn derive_key(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, TokenError> {
        let mut key = Zeroizing::new([0; 32]);
        let info = [b"tunduk ".as_slice(), purpose.as_bytes()];
        hkdf::Salt::new(hkdf::HKDF_SHA256, self.token.document.id.as_bytes())
            .extract(self.token_key.as_ref())
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut()))
            .map_err(|_| TokenError::Engine)?;
        Ok(key)
    }

    /// The sealed key for an unattended start.
    pub fn seal(&self) -> SealedKey {
        SealedKey {
            token: self.token.document.id.clone(),
            key: self.token_key.clone(),
        }
    }

    /// Wipes the keys and returns the closed token.
    pub fn close(self) -> SoftwareToken {
        self.token
    }
}
