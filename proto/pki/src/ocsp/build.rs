//! The responder's side.

use time::OffsetDateTime;

use super::{BASIC_RESPONSE, CertificateStatus, ResponseStatus, SingleResponse, write_nonce};
use crate::certificate::Certificate;
use crate::der::{self, Writer};
use crate::signer::{SignError, Signer};

/// A response that carries no status: the request was refused.
pub fn build_refusal(status: ResponseStatus) -> Vec<u8> {
    Writer::sequence_of(|writer| writer.primitive(der::ENUMERATED, &[status.number()]))
}

/// Builds a signed response. The responder is named by its subject and its
/// certificate is included, so that a verifier needs nothing but the issuer.
///
/// # Errors
/// If the signer fails.
pub fn build(
    responder: &Certificate,
    signer: &dyn Signer,
    produced_at: OffsetDateTime,
    singles: &[SingleResponse],
    nonce: Option<&[u8]>,
) -> Result<Vec<u8>, SignError> {
    let tbs = Writer::sequence_of(|writer| {
        writer.constructed(der::context(1), |writer| {
            writer.raw(responder.subject().der());
        });
        writer.generalized_time(produced_at);
        writer.sequence(|writer| {
            for single in singles {
                writer.sequence(|writer| write_single(writer, single));
            }
        });
        if let Some(nonce) = nonce {
            writer.constructed(der::context(1), |writer| write_nonce(writer, nonce));
        }
    });
    let signature = signer.sign(&tbs)?;
    Ok(Writer::sequence_of(|writer| {
        writer.primitive(der::ENUMERATED, &[ResponseStatus::Successful.number()]);
        writer.constructed(der::context(0), |writer| {
            writer.sequence(|writer| {
                writer.oid(BASIC_RESPONSE);
                writer.octet_string_of(|writer| {
                    writer.sequence(|writer| {
                        writer.raw(&tbs);
                        signer.algorithm().write(writer);
                        writer.bit_string(&signature);
                        writer.constructed(der::context(0), |writer| {
                            writer.sequence(|writer| writer.raw(responder.der()));
                        });
                    });
                });
            });
        });
    }))
}

fn write_single(writer: &mut Writer, single: &SingleResponse) {
    writer.raw(&single.certificate.der);
    match single.status {
        CertificateStatus::Good => writer.primitive(der::context_primitive(0), &[]),
        CertificateStatus::Revoked { at, reason } => {
            writer.constructed(der::context(1), |writer| {
                writer.generalized_time(at);
                if let Some(reason) = reason {
                    writer.constructed(der::context(0), |writer| {
                        writer.primitive(der::ENUMERATED, &[reason]);
                    });
                }
            });
        }
        CertificateStatus::Unknown => writer.primitive(der::context_primitive(2), &[]),
    }
    writer.generalized_time(single.this_update);
    if let Some(next_update) = single.next_update {
        writer.constructed(der::context(0), |writer| {
            writer.generalized_time(next_update);
        });
    }
}
