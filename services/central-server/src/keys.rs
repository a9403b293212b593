//! The signing keys of a Central Server, kept in its directory:
//! `internal-signing.key.pem` (PKCS#8, readable by the owner alone),
//! `internal-signing.pem` (the certificate), and, if there is one,
//! `internal-announced.pem` with certificates of keys to come or gone, which the
//! shared parameters announce; `external-...` likewise.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use central::{Audience, SigningKey, SigningKeys};
use pki::{Certificate, KeyType, Signer as _, SoftwareKey};
use time::OffsetDateTime;

use crate::CentralServerError;
use crate::files::{self, Readable};

struct Key {
    signer: SoftwareKey,
    certificate: Certificate,
    announced: Vec<Certificate>,
}

impl Key {
    fn borrow(&self) -> SigningKey<'_> {
        SigningKey {
            signer: &self.signer,
            certificate: &self.certificate,
            announced: &self.announced,
        }
    }
}

/// Both signing keys.
pub(crate) struct Keys {
    internal: Key,
    external: Key,
}

impl Keys {
    /// Reads the keys, making those that are not there.
    pub(crate) fn open(
        folder: &Path,
        key_type: KeyType,
        now: OffsetDateTime,
    ) -> Result<Self, CentralServerError> {
        Ok(Self {
            internal: open(folder, Audience::Internal, "internal", key_type, now)?,
            external: open(folder, Audience::External, "external", key_type, now)?,
        })
    }

    pub(crate) fn borrow(&self) -> SigningKeys<'_> {
        SigningKeys {
            internal: self.internal.borrow(),
            external: self.external.borrow(),
        }
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, CentralServerError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CentralServerError::File {
            path: path.to_owned(),
            error,
        }),
    }
}

fn open(
    folder: &Path,
    audience: Audience,
    name: &str,
    key_type: KeyType,
    now: OffsetDateTime,
) -> Result<Key, CentralServerError> {
    let key_path = folder.join(format!("{name}-signing.key.pem"));
    let certificate_path = folder.join(format!("{name}-signing.pem"));
    let unusable = |path: &PathBuf, reason: String| CentralServerError::Key {
        path: path.clone(),
        reason,
    };
    let wrote = |path: &PathBuf, result: io::Result<()>| {
        result.map_err(|error| CentralServerError::File {
            path: path.clone(),
            error,
        })
    };
    let signer = match read(&key_path)? {
        Some(pem) => {
            let der = pki::pem::decode(&pem, "PRIVATE KEY")
                .map_err(|e| unusable(&key_path, e.to_string()))?;
            SoftwareKey::from_pkcs8_der(&der).map_err(|e| unusable(&key_path, e.to_string()))?
        }
        None => {
            let key =
                SoftwareKey::generate(key_type).map_err(|e| unusable(&key_path, e.to_string()))?;
            let der = key
                .to_pkcs8_der()
                .map_err(|e| unusable(&key_path, e.to_string()))?;
            let pem = pki::pem::encode(&der, "PRIVATE KEY");
            wrote(
                &key_path,
                files::replace(&key_path, pem.as_bytes(), Readable::Secret, true),
            )?;
            key
        }
    };
    let certificate = match read(&certificate_path)? {
        Some(pem) => {
            Certificate::from_pem(&pem).map_err(|e| unusable(&certificate_path, e.to_string()))?
        }
        None => {
            let serial = crate::random().map_err(|e| unusable(&certificate_path, e.to_string()))?;
            let certificate = central::signing_certificate(audience, &signer, serial, now)
                .map_err(|e| unusable(&certificate_path, e.to_string()))?;
            wrote(
                &certificate_path,
                files::replace(
                    &certificate_path,
                    certificate.to_pem().as_bytes(),
                    Readable::Public,
                    true,
                ),
            )?;
            certificate
        }
    };
    if certificate.public_key() != signer.public_key() {
        return Err(unusable(
            &certificate_path,
            "it is not the certificate of the key beside it".to_owned(),
        ));
    }
    let announced_path = folder.join(format!("{name}-announced.pem"));
    let announced = match read(&announced_path)? {
        Some(pem) => {
            Certificate::all_from_pem(&pem).map_err(|e| unusable(&announced_path, e.to_string()))?
        }
        None => Vec::new(),
    };
    Ok(Key {
        signer,
        certificate,
        announced,
    })
}
