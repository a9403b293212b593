//! Certificates that are shown in TLS: whether a named authority issued one, to a client of TLS, for now.

use pki::{Certificate, KeyPurpose, KeyUsage};
use time::OffsetDateTime;

/// A certificate that one of these authorities itself signed, with that authority: both in their time, the one for TLS
/// clients and for signatures, without anything in it that would have to be understood and is not. Whether it was revoked
/// is another question.
///
/// # Errors
/// In words, what is wrong with it. The fault is of whoever shows it.
pub(crate) fn for_clients<'a>(
    der: &[u8],
    authorities: &'a [Certificate],
    now: OffsetDateTime,
) -> Result<(Certificate, &'a Certificate), &'static str> {
    let certificate = Certificate::decode(der).map_err(|_| "it cannot be read")?;
    let issuer = authorities
        .iter()
        .find(|authority| authority.is_ca() && certificate.is_issued_by(authority))
        .ok_or("another authority issued it")?;
    if !certificate.valid_at(now) || !issuer.valid_at(now) {
        return Err("it is not in its time");
    }
    let purposes = certificate.extended_key_usages();
    let signs = certificate
        .key_usage()
        .is_none_or(|usage| usage.contains(KeyUsage::DIGITAL_SIGNATURE));
    if certificate.is_ca()
        || !purposes.contains(&KeyPurpose::ClientAuth)
        || !signs
        || certificate.has_unprocessed_extension()
    {
        return Err("it is for something else");
    }
    Ok((certificate, issuer))
}
