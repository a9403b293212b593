//! The keys of this server: who signs for whom, and who we are in TLS.

use std::path::Path;

use globalconf::GlobalConfiguration;
use keystore::OpenToken;
use pki::issue::{Profile, Template, self_signed};
use pki::{AttributeType, Certificate, KeyType, Name, Signer, SoftwareKey};
use serverconf::ServerConfiguration;
use time::{Duration, OffsetDateTime};
use transport::TlsIdentity;
use xroad_id::ClientId;

use crate::signing::{MemberSigner, Signers};
use crate::start::RunError;
use crate::status::intermediates;

/// Our authentication certificate, ready for TLS.
pub struct Authentication {
    /// The certificate.
    pub certificate: Certificate,
    /// With its key and the authorities between it and the root (T4).
    pub identity: TlsIdentity,
}

/// Chooses the newest active authentication certificate of the token that the
/// configuration knows; before there is a configuration, the newest.
///
/// # Errors
/// There is none, or TLS refuses it.
pub fn authentication(
    token: &OpenToken,
    configuration: Option<&GlobalConfiguration>,
    own: &ServerConfiguration,
    now: OffsetDateTime,
) -> Result<Authentication, RunError> {
    let candidates = signer::authentication_candidates(token.keys(), now);
    let chosen = candidates
        .iter()
        .find(|candidate| {
            configuration
                .and_then(|configuration| {
                    configuration.server_by_auth_certificate(&candidate.certificate)
                })
                .is_some_and(|server| server.id == *own.id())
        })
        .or(candidates.first())
        .ok_or_else(|| {
            RunError::Key("the token has no active authentication certificate".into())
        })?;
    let key = token
        .tls_private_key(&chosen.key)
        .map_err(|error| RunError::Key(error.to_string()))?;
    let mut chain = vec![chosen.certificate.der().to_vec()];
    if let Some(configuration) = configuration {
        let instance = &own.id().instance;
        chain.extend(
            intermediates(configuration, instance, &chosen.certificate)
                .unwrap_or_default()
                .iter()
                .map(|certificate| certificate.der().to_vec()),
        );
    }
    let identity =
        TlsIdentity::new(&chain, &key).map_err(|error| RunError::Key(error.to_string()))?;
    Ok(Authentication {
        certificate: chosen.certificate.clone(),
        identity,
    })
}

/// The members whose messages this server signs: those of its clients, and its owner.
pub fn members(own: &ServerConfiguration) -> Vec<ClientId> {
    let mut members: Vec<ClientId> = own.clients().map(|client| client.id.to_member()).collect();
    members.push(own.id().owner());
    members.sort();
    members.dedup();
    members
}

/// Signers for all members that have a signing certificate in the token; a member
/// without one is told in the log and cannot exchange messages.
///
/// # Errors
/// A key cannot be used.
pub fn signers(
    token: &OpenToken,
    configuration: Option<&GlobalConfiguration>,
    own: &ServerConfiguration,
    batch: bool,
    now: OffsetDateTime,
) -> Result<Signers, RunError> {
    let mut signers = Vec::new();
    for member in members(own) {
        let Some(candidate) = signer::signing_candidates(token.keys(), &member, now)
            .into_iter()
            .next()
        else {
            tracing::warn!(%member, "the token has no active signing certificate of this member");
            continue;
        };
        let key = token
            .signer(&candidate.key)
            .map_err(|error| RunError::Key(error.to_string()))?;
        let between = configuration
            .and_then(|configuration| {
                intermediates(configuration, &member.instance, &candidate.certificate).ok()
            })
            .unwrap_or_default();
        let signer = MemberSigner::new(member, key, candidate.certificate, between, batch)
            .map_err(|error| RunError::Key(error.to_string()))?;
        signers.push(signer);
    }
    Ok(Signers::new(signers))
}

/// The TLS certificate that information systems see on 8443, and that we show to
/// services: made at the first start, valid for 20 years, kept beside the configuration.
///
/// # Errors
/// The files cannot be read or written.
pub fn internal(folder: &Path, host: std::net::IpAddr) -> Result<(Vec<u8>, TlsIdentity), RunError> {
    let certificate_file = folder.join("internal-tls.pem");
    let key_file = folder.join("internal-tls.key");
    if !certificate_file.exists() {
        make_internal(&certificate_file, &key_file, host)?;
    }
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| RunError::Key(format!("{}: {error}", path.display())))
    };
    let pem = read(&certificate_file)?;
    let certificate = Certificate::from_pem(&pem)
        .map_err(|error| RunError::Key(format!("{}: {error}", certificate_file.display())))?;
    let identity = TlsIdentity::from_pem(&pem, &read(&key_file)?)
        .map_err(|error| RunError::Key(format!("{}: {error}", key_file.display())))?;
    Ok((certificate.der().to_vec(), identity))
}

fn make_internal(
    certificate_file: &Path,
    key_file: &Path,
    host: std::net::IpAddr,
) -> Result<(), RunError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let failed =
        |error: &dyn std::fmt::Display| RunError::Key(format!("internal TLS key: {error}"));
    let key = SoftwareKey::generate(KeyType::EcP256).map_err(|error| failed(&error))?;
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|error| failed(&error))?;
    serial[0] &= 0x7f;
    let now = OffsetDateTime::now_utc();
    let template = Template {
        subject: Name::builder()
            .push(AttributeType::CommonName, host.to_string())
            .build()
            .map_err(|error| failed(&error))?,
        public_key: key.public_key().clone(),
        serial: serial.to_vec(),
        not_before: now - Duration::hours(1),
        not_after: now + Duration::days(365 * 20),
        profile: Profile::TlsServer {
            dns_names: Vec::new(),
            addresses: vec![host],
        },
        ocsp_url: None,
    };
    let certificate = self_signed(&template, &key).map_err(|error| failed(&error))?;
    let pkcs8 = key.to_pkcs8_der().map_err(|error| failed(&error))?;
    let pem = pki::pem::encode(&pkcs8, "PRIVATE KEY");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(key_file)
        .map_err(|error| failed(&error))?;
    file.write_all(pem.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| failed(&error))?;
    std::fs::write(certificate_file, certificate.to_pem()).map_err(|error| failed(&error))
}
