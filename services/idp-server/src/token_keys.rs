//! The directory of the keys that sign tokens, the same on every node:
//!
//! | file | what |
//! |---|---|
//! | `ring.json` | which key is active, next, old or withdrawn; public keys only |
//! | `KID.pem` | the private key of the active and of the next key, mode 0600 |
//! | `subjects.key` | 32 bytes, in hexadecimal digits, of which subjects are computed; never changed |
//!
//! The ring is replaced as a whole, after the new private key is on the disk and before an old one is deleted; so a
//! server that reads at any moment finds a ring whose keys are there.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{ConfigError, make_secret, read_secret};
use jose::{Jwk, SigningKey};
use oidc_provider::{KeyStanding, NewKey, Ring, RingRefusal};
use pki::{DigestAlgorithm, KeyType, SignatureAlgorithm, SoftwareKey};
use time::OffsetDateTime;

use crate::oauth::Keys;

const RING: &str = "ring.json";
const SUBJECTS: &str = "subjects.key";
/// Most bytes of the ring.
const LONGEST_RING: u64 = 256 * 1024;

/// Why the keys cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenKeysError {
    /// There are none yet.
    #[error("there are no keys in {0}; make them: tunduk idp-server keys create --config FILE")]
    None(PathBuf),
    /// There are keys already.
    #[error("there are keys in {0} already; rotate or withdraw them")]
    There(PathBuf),
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// A file with a secret cannot be read or made.
    #[error(transparent)]
    Secret(#[from] ConfigError),
    /// A file does not hold what it should.
    #[error("{path}: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The ring stays as it is.
    #[error(transparent)]
    Refused(#[from] RingRefusal),
}

/// The directory.
#[derive(Debug, Clone)]
pub struct TokenKeys {
    folder: PathBuf,
}

impl TokenKeys {
    /// The keys in a directory, which need not be there yet.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn private(&self, kid: &str) -> PathBuf {
        self.path(&format!("{kid}.pem"))
    }

    /// Makes the first keys.
    ///
    /// # Errors
    /// There are keys already, or they cannot be written.
    pub fn create(&self, now: OffsetDateTime) -> Result<Ring, TokenKeysError> {
        std::fs::create_dir_all(&self.folder).map_err(|error| file(&self.folder, error))?;
        let _alone = self.alone()?;
        if self.path(RING).exists() || self.path(SUBJECTS).exists() {
            return Err(TokenKeysError::There(self.folder.clone()));
        }
        let (active, next) = (self.new_key()?, self.new_key()?);
        let mut subjects = [0; 32];
        getrandom::fill(&mut subjects)
            .map_err(|error| unusable(&self.path(SUBJECTS), error.to_string()))?;
        let digits: String = subjects.iter().map(|byte| format!("{byte:02x}")).collect();
        make_secret(&self.path(SUBJECTS), digits.as_bytes())?;
        let ring = Ring::new(active, next, now);
        self.write(&ring)?;
        Ok(ring)
    }

    /// The key of which subjects are computed.
    ///
    /// # Errors
    /// It is not there, or is none.
    pub fn subjects(&self) -> Result<[u8; 32], TokenKeysError> {
        let path = self.path(SUBJECTS);
        if !path.exists() {
            return Err(TokenKeysError::None(self.folder.clone()));
        }
        let text = read_secret(&path)?;
        let mut key = [0; 32];
        let digits = std::str::from_utf8(&text).unwrap_or_default().trim();
        let right = digits.len() == 64
            && digits.is_ascii()
            && key.iter_mut().enumerate().all(|(place, byte)| {
                let pair = digits.get(2 * place..2 * place + 2).unwrap_or_default();
                u8::from_str_radix(pair, 16).is_ok_and(|value| {
                    *byte = value;
                    true
                })
            });
        if right {
            Ok(key)
        } else {
            Err(unusable(&path, "it is not 64 hexadecimal digits"))
        }
    }

    /// What tells whether there is anything to read anew: which keys are published, and which signs.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    pub fn state(&self, now: OffsetDateTime) -> Result<Vec<(String, KeyStanding)>, TokenKeysError> {
        let ring = self.ring()?;
        let published = ring.published(now);
        Ok(published
            .map(|key| (key.kid.clone(), key.standing))
            .collect())
    }

    fn text(&self) -> Result<String, TokenKeysError> {
        let path = self.path(RING);
        match std::fs::metadata(&path) {
            Ok(known) if known.len() > LONGEST_RING => Err(unusable(&path, "it is too long")),
            Ok(_) => std::fs::read_to_string(&path).map_err(|error| file(&path, error)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(TokenKeysError::None(self.folder.clone()))
            }
            Err(error) => Err(file(&path, error)),
        }
    }

    /// The ring.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    pub fn ring(&self) -> Result<Ring, TokenKeysError> {
        serde_json::from_str(&self.text()?)
            .map_err(|error| unusable(&self.path(RING), error.to_string()))
    }

    /// The keys as the endpoints need them.
    ///
    /// # Errors
    /// A file cannot be read, or does not hold what it should.
    pub fn load(&self, now: OffsetDateTime) -> Result<Keys, TokenKeysError> {
        let ring = self.ring()?;
        let active = ring.active()?;
        let path = self.private(&active.kid);
        let pem = read_secret(&path)?;
        let der = pki::pem::decode(&pem, "PRIVATE KEY")
            .map_err(|error| unusable(&path, error.to_string()))?;
        let key = SoftwareKey::from_pkcs8_der(&der)
            .map_err(|error| unusable(&path, error.to_string()))
            .and_then(|key| signing(key).map_err(|reason| unusable(&path, reason)))?;
        if key.public().kid() != Some(active.kid.as_str()) {
            return Err(unusable(&path, "it is another key than its name says"));
        }
        let published = ring
            .published(now)
            .map(|key| {
                let jwk = Jwk::decode(&key.public)
                    .map_err(|error| unusable(&self.path(RING), error.to_string()))?;
                Ok(jwk.with_kid(key.kid.clone()))
            })
            .collect::<Result<Vec<Jwk>, TokenKeysError>>()?;
        Ok(Keys {
            active: key,
            published,
        })
    }

    /// The next key signs from now on; a new one is the next.
    ///
    /// # Errors
    /// It is too soon, or a file cannot be read or written.
    pub fn rotate(&self, now: OffsetDateTime) -> Result<Ring, TokenKeysError> {
        self.change(|ring, new| ring.rotate(new, now))
    }

    /// Takes a key out that somebody else may know.
    ///
    /// # Errors
    /// There is no such key, or a file cannot be read or written.
    pub fn withdraw(&self, kid: &str, now: OffsetDateTime) -> Result<Ring, TokenKeysError> {
        self.change(|ring, new| ring.withdraw(kid, new, now))
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Ring, NewKey) -> Result<(), RingRefusal>,
    ) -> Result<Ring, TokenKeysError> {
        let _alone = self.alone()?;
        let mut ring = self.ring()?;
        let new = self.new_key()?;
        let made = self.private(&new.kid);
        if let Err(refusal) = change(&mut ring, new) {
            let _ = std::fs::remove_file(made);
            return Err(refusal.into());
        }
        self.write(&ring)?;
        self.delete_unneeded(&ring)?;
        Ok(ring)
    }

    /// Only one changes the ring at a time.
    fn alone(&self) -> Result<File, TokenKeysError> {
        let path = self.path(".lock");
        let lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| file(&path, error))?;
        lock.lock().map_err(|error| file(&path, error))?;
        Ok(lock)
    }

    fn new_key(&self) -> Result<NewKey, TokenKeysError> {
        let failed = |reason: String| unusable(&self.folder, reason);
        let key =
            SoftwareKey::generate(KeyType::EcP256).map_err(|error| failed(error.to_string()))?;
        let der = key
            .to_pkcs8_der()
            .map_err(|error| failed(error.to_string()))?;
        let public = signing(key).map_err(failed)?.public().clone();
        let kid = public.kid().unwrap_or_default().to_owned();
        let pem = pki::pem::encode(&der, "PRIVATE KEY");
        make_secret(&self.private(&kid), pem.as_bytes())?;
        Ok(NewKey {
            public: public.to_value().to_string(),
            kid,
        })
    }

    fn write(&self, ring: &Ring) -> Result<(), TokenKeysError> {
        let path = self.path(RING);
        let text = serde_json::to_string_pretty(ring)
            .map_err(|error| unusable(&path, error.to_string()))?;
        let passing = self.path(".ring.json.new");
        let written = || {
            let mut new = File::create(&passing)?;
            new.write_all(text.as_bytes())?;
            new.sync_all()?;
            std::fs::rename(&passing, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        written().map_err(|error| file(&path, error))
    }

    /// What never signs again needs no private key.
    fn delete_unneeded(&self, ring: &Ring) -> Result<(), TokenKeysError> {
        let needed = |kid: &str| {
            ring.keys().iter().any(|key| {
                key.kid == kid && matches!(key.standing, KeyStanding::Active | KeyStanding::Next)
            })
        };
        let entries = std::fs::read_dir(&self.folder).map_err(|error| file(&self.folder, error))?;
        for entry in entries {
            let path = entry.map_err(|error| file(&self.folder, error))?.path();
            let kid = path.file_stem().and_then(|stem| stem.to_str());
            let is_key = path.extension().is_some_and(|extension| extension == "pem");
            if is_key && kid.is_some_and(|kid| !needed(kid)) {
                std::fs::remove_file(&path).map_err(|error| file(&path, error))?;
            }
        }
        Ok(())
    }
}

fn signing(key: SoftwareKey) -> Result<SigningKey, String> {
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    let key = key
        .with_algorithm(algorithm)
        .map_err(|error| error.to_string())?;
    SigningKey::new(Arc::new(key)).map_err(|error| error.to_string())
}

fn file(path: &Path, error: std::io::Error) -> TokenKeysError {
    TokenKeysError::File {
        path: path.to_owned(),
        error,
    }
}

fn unusable(path: &Path, reason: impl Into<String>) -> TokenKeysError {
    TokenKeysError::Unusable {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use time::Duration;

    use super::*;

    fn at(hours: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap() + Duration::hours(hours)
    }

    fn pems(keys: &TokenKeys) -> usize {
        std::fs::read_dir(&keys.folder)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().extension() == Some("pem".as_ref()))
            .count()
    }

    #[test]
    fn keys_are_made_once_turned_and_withdrawn() {
        let folder = tempfile::tempdir().unwrap();
        let keys = TokenKeys::at(&folder.path().join("keys"));
        let error = keys.load(at(0)).unwrap_err();
        assert!(error.to_string().contains("keys create"), "{error}");
        let ring = keys.create(at(0)).unwrap();
        let subjects = keys.subjects().unwrap();
        assert!(matches!(
            keys.create(at(0)).unwrap_err(),
            TokenKeysError::There(_)
        ));
        let first = keys.load(at(0)).unwrap();
        assert_eq!(
            first.active.public().kid(),
            Some(ring.keys()[0].kid.as_str())
        );
        assert!(matches!(
            keys.rotate(at(0)).unwrap_err(),
            TokenKeysError::Refused(RingRefusal::TooSoon(_))
        ));
        assert_eq!(pems(&keys), 2, "a refused turn leaves nothing");
        keys.rotate(at(2)).unwrap();
        let second = keys.load(at(2)).unwrap();
        assert_eq!(second.active.public().kid(), first.published[0].kid());
        assert_eq!(second.published.len(), 2);
        assert_eq!(pems(&keys), 2, "what signed needs no private key");
        keys.withdraw(second.active.public().kid().unwrap(), at(2))
            .unwrap();
        let third = keys.load(at(2)).unwrap();
        assert!(
            !third
                .published
                .iter()
                .any(|key| key.kid() == second.active.public().kid())
        );
        assert_eq!(keys.subjects().unwrap(), subjects);
    }

    #[test]
    fn a_private_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let keys = TokenKeys::at(folder.path());
        let ring = keys.create(at(0)).unwrap();
        let path = keys.private(&ring.active().unwrap().kid);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = keys.load(at(0)).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn another_key_under_a_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let keys = TokenKeys::at(folder.path());
        let ring = keys.create(at(0)).unwrap();
        let [active, next] = ring.keys() else {
            unreachable!()
        };
        std::fs::copy(keys.private(&next.kid), keys.private(&active.kid)).unwrap();
        assert!(matches!(
            keys.load(at(0)).unwrap_err(),
            TokenKeysError::Unusable { .. }
        ));
    }
}
