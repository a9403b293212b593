//! The directory with the keys, certificates and register of the trust services.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ca::{CaError, CertificateAuthority, Entry, Order, RegisterError, RevocationReason, Serial};
use pki::csr::{CertificateRequest, CsrError};
use pki::issue::Profile;
use pki::{
    AttributeType, Certificate, CertificateError, KeyError, KeyType, Name, PublicKey, Signer,
    SoftwareKey, der, pem,
};
use time::{Duration, OffsetDateTime};

use crate::register::{Directory, sync_directory, write_durably};

/// How far notBefore lies back, for peers whose clocks are slow.
const BACKDATING: Duration = Duration::minutes(10);

/// Why the trust services' directory is not usable, or an order is refused.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// There is a directory already; nothing was changed.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// A certificate file is damaged.
    #[error("{path}: {error}")]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: CertificateError,
    },
    /// A key file is damaged, or the key does not belong to the certificate beside it.
    #[error("{path}: {reason}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key cannot be generated.
    #[error(transparent)]
    Generate(#[from] KeyError),
    /// A subject cannot be encoded.
    #[error("a subject cannot be encoded: {0}")]
    Subject(#[from] der::DerError),
    /// The authority refused the order, or failed.
    #[error(transparent)]
    Authority(#[from] CaError),
    /// The register failed.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The certification request is refused; the fault is the requester's.
    #[error(transparent)]
    Request(#[from] CsrError),
    /// The certificate was not issued here.
    #[error("the certificate was not issued by this authority")]
    NotOurs,
    /// A registration authority cannot be called so.
    #[error(
        "{0:?} is no name for a registration authority: small letters, digits, '.' and '-', at most 64"
    )]
    RegistrarName(String),
}

/// How a new directory is made.
#[derive(Debug, Clone)]
pub struct NewTrustStore {
    /// Subject of the certification authority.
    pub authority: Name,
    /// Subject of the OCSP responder.
    pub responder: Name,
    /// Subject of the time-stamping authority.
    pub time_stamping: Name,
    /// Type of the three keys. RSA until every peer is of version 7.6 or later.
    pub key_type: KeyType,
    /// End of the validity of everything.
    pub not_after: OffsetDateTime,
    /// Where statuses are answered (`/ocsp` of the server): every certificate but the authority's own names it.
    pub ocsp_url: Option<String>,
}

impl NewTrustStore {
    /// Names made from the instance's identifier, valid for ten years; certificates name no responder.
    ///
    /// # Errors
    /// If the identifier cannot be part of a name.
    pub fn for_instance(instance: &str, key_type: KeyType) -> Result<Self, TrustError> {
        let name = |role: &str| {
            Name::builder()
                .push(AttributeType::Organization, format!("{instance} test"))
                .push(AttributeType::CommonName, format!("{instance} test {role}"))
                .build()
        };
        Ok(NewTrustStore {
            authority: name("CA")?,
            responder: name("OCSP")?,
            time_stamping: name("TSA")?,
            key_type,
            not_after: OffsetDateTime::now_utc() + Duration::days(3650),
            ocsp_url: None,
        })
    }
}

/// A certificate with its key.
pub(crate) struct Identity {
    pub(crate) certificate: Certificate,
    pub(crate) key: SoftwareKey,
}

/// The trust services' directory. Everything it hands out is on disk first.
/// Several processes may use one directory at the same time.
pub struct TrustStore {
    path: PathBuf,
    authority: CertificateAuthority,
    authority_key: SoftwareKey,
    pub(crate) responder: Identity,
    pub(crate) time_stamping: Identity,
    register: Directory,
}

impl std::fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

pub(crate) fn file_error(path: &Path) -> impl FnOnce(io::Error) -> TrustError {
    let path = path.to_owned();
    move |error| TrustError::File { path, error }
}

impl TrustStore {
    /// Makes a new directory: keys, the self-signed authority, and the
    /// certificates of responder and time-stamping authority issued by it. The
    /// directory appears whole or not at all.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn create(path: &Path, new: &NewTrustStore) -> Result<Self, TrustError> {
        if path.exists() {
            return Err(TrustError::Exists(path.to_owned()));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let building = path.with_file_name(name);
        if building.exists() {
            // Left by an attempt that was cut short: nobody has seen what is in it.
            fs::remove_dir_all(&building).map_err(file_error(&building))?;
        }
        let issued = building.join("issued");
        fs::create_dir_all(&issued).map_err(file_error(&issued))?;

        let authority_key = SoftwareKey::generate(new.key_type)?;
        let certificate = ca::new_root(
            new.authority.clone(),
            new_serial(),
            OffsetDateTime::now_utc() - BACKDATING,
            new.not_after,
            &authority_key,
        )?;
        write_identity(&building, "ca", &certificate, &authority_key)?;
        let authority = CertificateAuthority::new(certificate, new.ocsp_url.clone());
        let register = Directory::new(issued);
        for (file, subject, profile) in [
            ("ocsp", &new.responder, Profile::OcspResponder),
            ("tsa", &new.time_stamping, Profile::TimeStamping),
        ] {
            let key = SoftwareKey::generate(new.key_type)?;
            let certificate = issue(
                &authority,
                &authority_key,
                &register,
                profile,
                subject.clone(),
                key.public_key(),
            )?;
            write_identity(&building, file, &certificate, &key)?;
        }
        sync_directory(&building).map_err(file_error(&building))?;
        fs::rename(&building, path).map_err(file_error(path))?;
        if let Some(parent) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            sync_directory(parent).map_err(file_error(parent))?;
        }
        Self::open(path)
    }

    /// Opens a directory that [`TrustStore::create`] made.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn open(path: &Path) -> Result<Self, TrustError> {
        let Identity { certificate, key } = read_identity(path, "ca")?;
        let time_stamping = read_identity(path, "tsa")?;
        // What is issued later names the same responder as what was issued at the beginning.
        let ocsp_url = time_stamping.certificate.ocsp_url().map(str::to_owned);
        Ok(TrustStore {
            authority: CertificateAuthority::new(certificate, ocsp_url),
            authority_key: key,
            responder: read_identity(path, "ocsp")?,
            time_stamping,
            register: Directory::new(path.join("issued")),
            path: path.to_owned(),
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The authority's certificate; also in `ca.pem`.
    pub fn ca_certificate(&self) -> &Certificate {
        self.authority.certificate()
    }

    /// The OCSP responder's certificate; also in `ocsp.pem`, its key in `ocsp.key` (PKCS#8, PEM).
    pub fn ocsp_certificate(&self) -> &Certificate {
        &self.responder.certificate
    }

    /// The time-stamping authority's certificate; also in `tsa.pem`.
    pub fn tsa_certificate(&self) -> &Certificate {
        &self.time_stamping.certificate
    }

    pub(crate) fn authority(&self) -> &CertificateAuthority {
        &self.authority
    }

    pub(crate) fn authority_key(&self) -> &SoftwareKey {
        &self.authority_key
    }

    pub(crate) fn register(&self) -> &Directory {
        &self.register
    }

    /// Issues a member's signing certificate, valid as long as the authority's.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn issue_sign(&self, subject: Name, key: &PublicKey) -> Result<Certificate, TrustError> {
        self.issue(Profile::Signing, subject, key)
    }

    /// Issues a Security Server's authentication certificate, valid as long as the authority's.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn issue_auth(&self, subject: Name, key: &PublicKey) -> Result<Certificate, TrustError> {
        self.issue(Profile::Authentication, subject, key)
    }

    /// Issues a TLS server's certificate.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn issue_tls_server(
        &self,
        subject: Name,
        key: &PublicKey,
        dns_names: Vec<String>,
        addresses: Vec<IpAddr>,
    ) -> Result<Certificate, TrustError> {
        let profile = Profile::TlsServer {
            dns_names,
            addresses,
        };
        self.issue(profile, subject, key)
    }

    /// Issues a certificate of any profile but an authority's.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn issue(
        &self,
        profile: Profile,
        subject: Name,
        key: &PublicKey,
    ) -> Result<Certificate, TrustError> {
        issue(
            &self.authority,
            &self.authority_key,
            &self.register,
            profile,
            subject,
            key,
        )
    }

    /// Issues a certificate for the key of a certification request (DER or PEM),
    /// whose signature is verified and whose subject is ignored.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn issue_from_csr(
        &self,
        request: &[u8],
        profile: Profile,
        subject: Name,
    ) -> Result<Certificate, TrustError> {
        let request = CertificateRequest::decode(request)?.verify()?;
        self.issue(profile, subject, request.public_key())
    }

    /// Revokes a certificate. A running server says so from its next answer on.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn revoke(
        &self,
        certificate: &Certificate,
        reason: RevocationReason,
    ) -> Result<(), TrustError> {
        let serial = self.serial_of(certificate)?;
        let now = OffsetDateTime::now_utc();
        Ok(self.authority.revoke(serial, now, reason, &self.register)?)
    }

    /// What the register says about a certificate.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn entry(&self, certificate: &Certificate) -> Result<Option<Entry>, TrustError> {
        use ca::Register as _;
        Ok(self.register.find(&self.serial_of(certificate)?)?)
    }

    /// Everything in the register.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn entries(&self) -> Result<Vec<Entry>, TrustError> {
        Ok(self.register.entries()?)
    }

    fn serial_of(&self, certificate: &Certificate) -> Result<Serial, TrustError> {
        Serial::from_octets(certificate.serial())
            .filter(|_| {
                certificate
                    .issuer()
                    .matches(self.ca_certificate().subject())
            })
            .ok_or(TrustError::NotOurs)
    }
}

pub(crate) fn new_serial() -> Serial {
    Serial::from_random(*uuid::Uuid::new_v4().as_bytes())
}

fn issue(
    authority: &CertificateAuthority,
    authority_key: &SoftwareKey,
    register: &Directory,
    profile: Profile,
    subject: Name,
    key: &PublicKey,
) -> Result<Certificate, TrustError> {
    let order = Order {
        profile,
        subject,
        public_key: key.clone(),
        not_before: OffsetDateTime::now_utc() - BACKDATING,
        not_after: authority.certificate().not_after(),
    };
    let prepared = authority.prepare(order, new_serial())?;
    let intended = authority.intend(prepared, register)?;
    Ok(authority.sign(intended, authority_key, register)?)
}

fn write_identity(
    folder: &Path,
    name: &str,
    certificate: &Certificate,
    key: &SoftwareKey,
) -> Result<(), TrustError> {
    let path = folder.join(format!("{name}.key"));
    let text = pem::encode(&key.to_pkcs8_der()?, "PRIVATE KEY");
    write_durably(&path, text.as_bytes(), true).map_err(file_error(&path))?;
    let path = folder.join(format!("{name}.pem"));
    write_durably(&path, certificate.to_pem().as_bytes(), false).map_err(file_error(&path))
}

fn read_identity(folder: &Path, name: &str) -> Result<Identity, TrustError> {
    let path = folder.join(format!("{name}.pem"));
    let text = fs::read(&path).map_err(file_error(&path))?;
    let certificate =
        Certificate::from_pem(text).map_err(|error| TrustError::Certificate { path, error })?;
    let path = folder.join(format!("{name}.key"));
    let text = fs::read(&path).map_err(file_error(&path))?;
    let key = pem::decode(&text, "PRIVATE KEY")
        .map_err(|error| error.to_string())
        .and_then(|pkcs8| SoftwareKey::from_pkcs8_der(&pkcs8).map_err(|error| error.to_string()))
        .and_then(|key| {
            if key.public_key() == certificate.public_key() {
                Ok(key)
            } else {
                Err("the key does not belong to the certificate beside it".to_owned())
            }
        })
        .map_err(|reason| TrustError::Key { path, reason })?;
    Ok(Identity { certificate, key })
}
