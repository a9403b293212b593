//! People's certificates: who may order them, orders and revocations, and the record of both.
//!
//! In the directory, `registrars/NAME.pem` holds the public key of a registration authority; a name that is gone orders
//! nothing from the next request on. `orders/SERIAL.jws` is the order that a certificate came of, as it was signed, and
//! `orders/SERIAL.revocation.jws` what ended it: so it can be shown who asked for what.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ca::{AcceptedOrder, AcceptedRevocation, CaError, OrderError, RegistrationAuthority, Serial};
use jose::{Jwk, Jws};
use pki::{Certificate, PublicKey, pem};
use time::OffsetDateTime;

use crate::register::write_durably;
use crate::store::{TrustError, TrustStore, file_error};

/// Longest file of a public key or an order that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// Longest name of a registration authority.
const MAX_NAME: usize = 64;

/// Why an order or a revocation is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// It is not taken; the fault is the sender's.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// This registration authority ordered no certificate of that serial number.
    #[error("this registration authority ordered no certificate with the serial number {0}")]
    NotOrdered(Serial),
    /// The authority refused, or its directory failed.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl From<CaError> for PeopleError {
    fn from(error: CaError) -> Self {
        Self::Trust(error.into())
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte))
}

impl TrustStore {
    fn registrars(&self) -> PathBuf {
        self.path().join("registrars")
    }

    fn registrar_file(&self, name: &str) -> Result<PathBuf, TrustError> {
        if is_name(name) {
            Ok(self.registrars().join(format!("{name}.pem")))
        } else {
            Err(TrustError::RegistrarName(name.to_owned()))
        }
    }

    /// Takes orders of people's certificates from somebody from now on, signed with this key. A running server knows from
    /// its next request on; another key takes the earlier one's place.
    ///
    /// # Errors
    /// The name is not one of small letters, digits, `.` and `-`; the key signs no JWS; see [`TrustError`].
    pub fn admit(&self, name: &str, key: &PublicKey) -> Result<(), TrustError> {
        let path = self.registrar_file(name)?;
        Jwk::from_public_key(key).map_err(|error| TrustError::Key {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let folder = self.registrars();
        fs::create_dir_all(&folder).map_err(file_error(&folder))?;
        let text = pem::encode(key.spki_der(), "PUBLIC KEY");
        write_durably(&path, text.as_bytes(), false).map_err(file_error(&path))
    }

    /// Takes no more orders from somebody. What was ordered stays valid.
    ///
    /// # Errors
    /// There is no such registration authority; see [`TrustError`].
    pub fn dismiss(&self, name: &str) -> Result<(), TrustError> {
        let path = self.registrar_file(name)?;
        fs::remove_file(&path).map_err(file_error(&path))
    }

    /// Who orders people's certificates.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn registration_authorities(&self) -> Result<Vec<RegistrationAuthority>, TrustError> {
        let folder = self.registrars();
        let files = match fs::read_dir(&folder) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(file_error(&folder)(error)),
        };
        let mut listed = Vec::new();
        for file in files {
            let path = file.map_err(file_error(&folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            // What is being written has a name that begins with a dot.
            let Some(name) = name
                .and_then(|name| name.strip_suffix(".pem"))
                .filter(|name| is_name(name))
            else {
                continue;
            };
            let name = name.to_owned();
            let text = read_bounded(&path).map_err(file_error(&path))?;
            let key = pem::decode(&text, "PUBLIC KEY")
                .map_err(|error| error.to_string())
                .and_then(|der| PublicKey::from_spki_der(&der).map_err(|error| error.to_string()))
                .and_then(|key| Jwk::from_public_key(&key).map_err(|error| error.to_string()))
                .map_err(|reason| TrustError::Key { path, reason })?;
            listed.push(RegistrationAuthority { name, key });
        }
        Ok(listed)
    }

    fn order_file(&self, serial: &Serial, what: &str) -> PathBuf {
        self.path()
            .join("orders")
            .join(format!("{serial}{what}.jws"))
    }

    /// Holds the lock under which one order at a time is carried out, by whatever process over this directory.
    fn lock_orders(&self) -> Result<fs::File, TrustError> {
        let folder = self.path().join("orders");
        fs::create_dir_all(&folder).map_err(file_error(&folder))?;
        let path = folder.join("lock");
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .and_then(|file| file.lock().map(|()| file));
        lock.map_err(file_error(&path))
    }

    /// Keeps what was signed, once.
    fn keep(path: &Path, jws: &str) -> Result<(), TrustError> {
        if path.exists() {
            return Ok(());
        }
        write_durably(path, jws.as_bytes(), false).map_err(file_error(path))
    }

    /// Carries out an order: a person's certificate, the same one if the order comes again.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub fn certify(&self, jws: &str, now: OffsetDateTime) -> Result<Certificate, PeopleError> {
        let listed = self.registration_authorities()?;
        let order = AcceptedOrder::check(jws, &listed, self.ca_certificate(), now)?;
        let _one_at_a_time = self.lock_orders()?;
        Self::keep(&self.order_file(&order.serial(), ""), jws)?;
        let (authority, register) = (self.authority(), self.register());
        Ok(authority.certify(&order, now, self.authority_key(), register)?)
    }

    /// Carries out a revocation by whoever ordered the certificate; again changes nothing.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub fn revoke_ordered(&self, jws: &str, now: OffsetDateTime) -> Result<(), PeopleError> {
        let listed = self.registration_authorities()?;
        let revocation = AcceptedRevocation::check(jws, &listed, self.ca_certificate(), now)?;
        let serial = revocation.serial();
        let path = self.order_file(&serial, "");
        let order = match read_bounded(&path) {
            Ok(order) => order,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PeopleError::NotOrdered(serial));
            }
            Err(error) => return Err(file_error(&path)(error).into()),
        };
        // It was verified when it came.
        let by = std::str::from_utf8(&order)
            .ok()
            .and_then(|order| Jws::decode(order).ok())
            .and_then(|order| order.unverified_claims().ok())
            .and_then(|claims| claims.issuer);
        if by.as_deref() != Some(revocation.by()) {
            return Err(PeopleError::NotOrdered(serial));
        }
        let _one_at_a_time = self.lock_orders()?;
        Self::keep(&self.order_file(&serial, ".revocation"), jws)?;
        let (authority, register) = (self.authority(), self.register());
        Ok(authority.revoke(serial, now, revocation.reason(), register)?)
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_end(&mut contents)?;
    Ok(contents)
}
