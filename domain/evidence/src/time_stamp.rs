//! Time stamps of a signature: its own (A3), or that of a batch (A4).

use asic::Content;
use asic::hash_chain;
use pki::tsp::{TimeStamp, Token};
use pki::{Certificate, Digest, DigestAlgorithm, LegacyDigests};
use time::OffsetDateTime;
use xmldsig::SignatureError;

/// Proof that a signature existed at a time. Only the checks of this module make one.
#[derive(Debug, Clone)]
pub struct Stamped {
    stamp: TimeStamp,
    batch: bool,
}

impl Stamped {
    /// The time that the authority stamped.
    #[must_use]
    pub fn time(&self) -> OffsetDateTime {
        self.stamp.time()
    }

    /// The certificate of the authority.
    #[must_use]
    pub fn authority(&self) -> &Certificate {
        self.stamp.signer()
    }

    /// Whether the time stamp is that of a batch.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        self.batch
    }
}

fn refused(error: impl std::fmt::Display) -> SignatureError {
    SignatureError::TimeStamp(error.to_string())
}

fn verify_token(
    token: &[u8],
    stamped: &[u8],
    authorities: &[Certificate],
    legacy: LegacyDigests,
) -> Result<TimeStamp, SignatureError> {
    let token = Token::decode(token).map_err(refused)?;
    let Some(algorithm) = token.imprint().0 else {
        return Err(refused("its digest algorithm is not known"));
    };
    token
        .verify_with(algorithm, &algorithm.digest(stamped), authorities, legacy)
        .map_err(refused)
}

/// Verifies a time stamp over one signature: its imprint is the digest of the decoded signature
/// value (A3, T-SIG-3). `authorities` are the approved time-stamping authorities' certificates.
///
/// # Errors
/// [`SignatureError::TimeStamp`].
pub fn verify_single_time_stamp(
    token: &[u8],
    signature_value: &[u8],
    authorities: &[Certificate],
    legacy: LegacyDigests,
) -> Result<Stamped, SignatureError> {
    Ok(Stamped {
        stamp: verify_token(token, signature_value, authorities, legacy)?,
        batch: false,
    })
}

const SIGNATURE_FILE: &str = "/META-INF/signatures.xml";

struct SignatureFile<'a>(&'a [u8]);

impl Content for SignatureFile<'_> {
    fn digest(&self, name: &str, algorithm: DigestAlgorithm) -> Option<Digest> {
        (name == SIGNATURE_FILE).then(|| algorithm.digest(self.0))
    }
}

/// Verifies the time stamp of a batch: the token is over the bytes of the chain's result, and the
/// chain leads from the bytes of the signature document to that result (A4).
///
/// # Errors
/// [`SignatureError::TimeStamp`], for the chain too.
pub fn verify_batch_time_stamp(
    token: &[u8],
    chain: (&[u8], &[u8]),
    signature_document: &[u8],
    authorities: &[Certificate],
    legacy: LegacyDigests,
) -> Result<Stamped, SignatureError> {
    let (result, chain) = chain;
    let usage = hash_chain::verify(
        result,
        chain,
        Some("/ts-hashchain.xml"),
        &SignatureFile(signature_document),
    )
    .and_then(|usage| usage.require(&[SIGNATURE_FILE]).map(|()| usage))
    .map_err(|error| refused(format!("the hash chain of the batch: {error}")))?;
    if !usage.absent.is_empty() {
        return Err(refused("the hash chain of the batch names other files"));
    }
    Ok(Stamped {
        stamp: verify_token(token, result, authorities, legacy)?,
        batch: true,
    })
}
