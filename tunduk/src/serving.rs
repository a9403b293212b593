//! What servers for people have in common: certificates and keys from files, whom they trust when they call others.

use std::path::Path;
use std::sync::Arc;

use config::{make_secret, read_certificates, read_secret};
use jose::SigningKey;
use pki::{DigestAlgorithm, KeyType, SignatureAlgorithm, SoftwareKey};
use transport::{
    ClientCertificates, ClientTls, RequestOptions, ServerTls, ServerVerification, TlsIdentity,
};

/// Says of an error in which file it is.
pub fn in_file(path: &Path) -> impl Fn(&dyn std::fmt::Display) -> String + '_ {
    move |error| format!("{}: {error}", path.display())
}

/// A certificate chain and its key, from PEM files.
///
/// # Errors
/// In words, which file cannot be used.
pub fn identity(certificate: &Path, key: &Path) -> Result<TlsIdentity, String> {
    let chain = std::fs::read(certificate).map_err(|error| in_file(certificate)(&error))?;
    let secret = read_secret(key).map_err(|error| error.to_string())?;
    TlsIdentity::from_pem(&chain, &secret).map_err(|error| in_file(certificate)(&error))
}

/// The HTTPS of a server with the certificate chain and key in these files, which are read again when they change.
///
/// # Errors
/// In words, which file cannot be used.
pub fn https(
    certificate: &Path,
    key: &Path,
    clients: ClientCertificates,
) -> Result<ServerTls, String> {
    let tls = ServerTls::new(&identity(certificate, key)?, clients);
    let tls = tls.map_err(|error| error.to_string())?;
    let files = [certificate.to_owned(), key.to_owned()];
    let (certificate, key) = files.clone().into();
    tls.follow(files.to_vec(), move || identity(&certificate, &key));
    Ok(tls)
}

/// How servers of these authorities are called, and no others.
///
/// # Errors
/// In words: the file holds no certificates.
pub fn calls(authorities: &Path) -> Result<RequestOptions, String> {
    let authorities = read_certificates(authorities).map_err(|error| error.to_string())?;
    let verification = ServerVerification::Authorities(authorities);
    let tls = ClientTls::new(&verification, None).map_err(|error| error.to_string())?;
    Ok(RequestOptions::default().with_tls(tls))
}

/// A P-256 key that signs JSON, from a PEM file that nobody else can read.
///
/// # Errors
/// In words, what is wrong with the file.
pub fn signing_key(path: &Path) -> Result<SigningKey, String> {
    let pem = read_secret(path).map_err(|error| error.to_string())?;
    let der = pki::pem::decode(&pem, "PRIVATE KEY").map_err(|error| in_file(path)(&error))?;
    let key = SoftwareKey::from_pkcs8_der(&der).map_err(|error| in_file(path)(&error))?;
    of(key).map_err(|error| in_file(path)(&error))
}

/// A new P-256 key that signs JSON, in memory alone.
///
/// # Errors
/// The library makes no key.
pub fn passing_key() -> Result<SigningKey, String> {
    of(SoftwareKey::generate(KeyType::EcP256).map_err(|error| error.to_string())?)
}

/// Makes a new key and its file, which is not there yet.
///
/// # Errors
/// In words: the file is there, or cannot be written.
pub fn make_signing_key(path: &Path) -> Result<SigningKey, String> {
    let key = SoftwareKey::generate(KeyType::EcP256).map_err(|error| error.to_string())?;
    let der = key.to_pkcs8_der().map_err(|error| error.to_string())?;
    let pem = zeroize::Zeroizing::new(pki::pem::encode(&der, "PRIVATE KEY"));
    make_secret(path, pem.as_bytes()).map_err(|error| error.to_string())?;
    of(key)
}

fn of(key: SoftwareKey) -> Result<SigningKey, String> {
    let algorithm = SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256);
    let key = key
        .with_algorithm(algorithm)
        .map_err(|error| error.to_string())?;
    SigningKey::new(Arc::new(key)).map_err(|error| error.to_string())
}
