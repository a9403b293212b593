//! What `tunduk token init|key|csr|import|unlock|seal|list|pin` do; each returns what to print.

use std::fmt::Write;
use std::path::Path;

use pki::{Certificate, KeyType, Name};
use signer::{KeyId, KeyUsage};
use xroad_id::ClientId;

use crate::error::TokenError;
use crate::pin::{Pin, PinDerivation};
use crate::sealed::SealedKey;
use crate::token::{OpenToken, SoftwareToken};

fn open(token: &Path, pin: &Pin, derivation: &PinDerivation) -> Result<OpenToken, TokenError> {
    SoftwareToken::load(token)?.open(pin, derivation)
}

fn key_id(text: &str) -> Result<KeyId, TokenError> {
    KeyId::parse(text).map_err(|_| TokenError::NoSuchKey(text.to_owned()))
}

/// `token init`: creates an empty token.
///
/// # Errors
/// [`TokenError`].
pub fn init(
    token: &Path,
    label: &str,
    pin: &Pin,
    derivation: &PinDerivation,
) -> Result<String, TokenError> {
    SoftwareToken::create(token, label, pin, derivation)?;
    Ok(format!("{} created\n", token.display()))
}

/// `token key`: generates a key and prints its identifier.
///
/// # Errors
/// [`TokenError`].
pub fn key(
    token: &Path,
    pin: &Pin,
    derivation: &PinDerivation,
    label: &str,
    usage: KeyUsage,
    key_type: KeyType,
    member: Option<&ClientId>,
) -> Result<String, TokenError> {
    let mut token = open(token, pin, derivation)?;
    let id = token.generate_key(label, usage, key_type, member)?;
    Ok(format!("{id}\n"))
}

/// `token csr`: prints a certification request in PEM.
///
/// # Errors
/// [`TokenError`].
pub fn csr(
    token: &Path,
    pin: &Pin,
    derivation: &PinDerivation,
    key: &str,
    subject: &Name,
) -> Result<String, TokenError> {
    open(token, pin, derivation)?.csr_pem(&key_id(key)?, subject)
}

/// `token import`: stores a certificate, PEM or DER, with its key.
///
/// # Errors
/// [`TokenError`].
pub fn import(token: &Path, certificate: &[u8]) -> Result<String, TokenError> {
    let certificate = if certificate.starts_with(&[0x30]) {
        Certificate::decode(certificate)?
    } else {
        Certificate::from_pem(certificate)?
    };
    let id = SoftwareToken::load(token)?.import_certificate(&certificate)?;
    Ok(format!("stored with key {id}\n"))
}

/// `token unlock`: checks the PIN and that every private key is sound.
///
/// # Errors
/// [`TokenError`].
pub fn unlock(token: &Path, pin: &Pin, derivation: &PinDerivation) -> Result<String, TokenError> {
    let open = open(token, pin, derivation)?;
    Ok(format!(
        "the token opens, {} keys are sound\n",
        open.keys().len()
    ))
}

/// `token seal`: writes the sealed key for unattended start to `output`.
///
/// # Errors
/// [`TokenError`].
pub fn seal(
    token: &Path,
    pin: &Pin,
    derivation: &PinDerivation,
    output: &Path,
) -> Result<String, TokenError> {
    open(token, pin, derivation)?.seal().write(output)?;
    Ok(format!(
        "{} opens the token without its PIN: keep it as secret as the keys\n",
        output.display()
    ))
}

/// `token pin`: gives the token another PIN.
///
/// # Errors
/// [`TokenError`].
pub fn change_pin(
    token: &Path,
    old: &Pin,
    new: &Pin,
    derivation: &PinDerivation,
) -> Result<String, TokenError> {
    SoftwareToken::load(token)?.change_pin(old, new, derivation)?;
    Ok("the PIN is changed\n".to_owned())
}

/// `token list`: keys and certificates, one a line.
///
/// # Errors
/// [`TokenError`].
pub fn list(token: &Path) -> Result<String, TokenError> {
    let token = SoftwareToken::load(token)?;
    let mut text = format!("{} ({})\n", token.label(), token.path().display());
    for key in token.keys() {
        let member = key
            .member
            .as_ref()
            .map_or_else(String::new, |member| format!(" for {}", member.path()));
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{} {}{member} {:?}",
            key.id,
            key.usage.name(),
            key.label
        );
        for held in &key.certificates {
            let _ = writeln!(
                text,
                "  certificate {} until {}{}",
                held.certificate.subject().rfc2253(),
                held.certificate.not_after(),
                if held.active { "" } else { ", not in use" }
            );
        }
    }
    Ok(text)
}

/// Opens a token for a service: with the sealed key where there is one, else with a PIN that `pin`
/// asks for.
///
/// # Errors
/// [`TokenError`].
pub fn open_for_service(
    token: &Path,
    sealed: Option<&Path>,
    pin: impl FnOnce() -> Result<Pin, TokenError>,
    derivation: &PinDerivation,
) -> Result<OpenToken, TokenError> {
    match sealed {
        Some(sealed) => SoftwareToken::load(token)?.open_sealed(&SealedKey::read(sealed)?),
        None => open(token, &pin()?, derivation),
    }
}
