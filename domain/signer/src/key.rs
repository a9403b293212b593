//! What is publicly known of a key in a token.

use std::fmt;

use pki::{Certificate, PublicKey};
use xroad_id::ClientId;

/// What a key is for. A key serves one purpose only (PR-GCONF: sign and auth certificates).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyUsage {
    /// Signs messages of a member.
    Sign,
    /// Authenticates the Security Server in TLS.
    Authentication,
}

impl KeyUsage {
    /// The spelling of files and commands.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Authentication => "authentication",
        }
    }

    /// The usage of a name as files and commands spell it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sign, Self::Authentication]
            .into_iter()
            .find(|usage| usage.name() == name)
    }
}

/// Identifies a key within its token: 40 hexadecimal digits, the SHA-1 of its public key as X-Road's
/// signer and PKCS#11 name keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

/// A text is not a key identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key identifier has 40 lower-case hexadecimal digits")]
pub struct KeyIdError;

impl KeyId {
    /// The identifier of a public key.
    pub fn of(public_key: &PublicKey) -> Self {
        use fmt::Write;
        let digest = pki::DigestAlgorithm::Sha1.digest(public_key.spki_der());
        let mut text = String::with_capacity(40);
        for byte in digest.as_ref() {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// Reads an identifier.
    ///
    /// # Errors
    /// [`KeyIdError`].
    pub fn parse(text: &str) -> Result<Self, KeyIdError> {
        let digits = text.len() == 40
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if digits {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyIdError)
        }
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A certificate for a key.
#[derive(Debug, Clone)]
pub struct HeldCertificate {
    /// The certificate.
    pub certificate: Certificate,
    /// False where the operator has taken it out of use.
    pub active: bool,
}

/// A key as its token describes it; nothing of it is secret.
#[derive(Debug, Clone)]
pub struct KeyDescription {
    /// Its identifier.
    pub id: KeyId,
    /// The operator's name for it.
    pub label: String,
    /// What it is for.
    pub usage: KeyUsage,
    /// For a signing key: the member (no subsystem) for whom it signs.
    pub member: Option<ClientId>,
    /// The public key.
    pub public_key: PublicKey,
    /// Its certificates, in the order of their import.
    pub certificates: Vec<HeldCertificate>,
}

/// Why a certificate does not belong to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The token holds no key for this certificate.
    #[error("the token has no key for this certificate")]
    NoKey,
    /// The certificate is there already.
    #[error("the certificate is in the token already")]
    Present,
    /// The key signs, but the certificate lacks contentCommitment (S13), or is a CA's.
    #[error("the certificate does not allow signing (keyUsage contentCommitment is missing)")]
    NotForSigning,
    /// The key authenticates, but the certificate does not (T7), or is one for signing.
    #[error("the certificate is not one for authentication")]
    NotForAuthentication,
}

/// Whether `certificate` may be stored for `key`.
///
/// # Errors
/// [`ImportError`].
pub fn check_import(key: &KeyDescription, certificate: &Certificate) -> Result<(), ImportError> {
    if *certificate.public_key() != key.public_key {
        return Err(ImportError::NoKey);
    }
    if key
        .certificates
        .iter()
        .any(|held| held.certificate.der() == certificate.der())
    {
        return Err(ImportError::Present);
    }
    match key.usage {
        KeyUsage::Sign if !certificate.allows_signing() || certificate.is_ca() => {
            Err(ImportError::NotForSigning)
        }
        KeyUsage::Authentication if !certificate.is_authentication() || certificate.is_ca() => {
            Err(ImportError::NotForAuthentication)
        }
        _ => Ok(()),
    }
}
