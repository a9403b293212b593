//! The authority's side.

use time::OffsetDateTime;

use super::{
    CONTENT_TYPE, MESSAGE_DIGEST, Request, SIGNED_DATA, SIGNING_CERTIFICATE_V2, SIGNING_TIME,
    TST_INFO, write_imprint,
};
use crate::algorithm::{RSA_ENCRYPTION, SignatureAlgorithm};
use crate::certificate::Certificate;
use crate::der::{self, Writer};
use crate::digest::DigestAlgorithm;
use crate::name::Name;
use crate::signer::{SignError, Signer};

/// Why an authority refuses (RFC 3161 section 2.4.2, PKIFailureInfo).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// badAlg: the digest algorithm is not known or refused.
    BadAlgorithm,
    /// badDataFormat: the request does not decode.
    BadDataFormat,
    /// timeNotAvailable.
    TimeNotAvailable,
    /// unacceptedPolicy: we do not stamp under this policy.
    UnacceptedPolicy,
    /// systemFailure.
    SystemFailure,
}

impl Failure {
    const fn bit(self) -> usize {
        match self {
            Failure::BadAlgorithm => 0,
            Failure::BadDataFormat => 5,
            Failure::TimeNotAvailable => 14,
            Failure::UnacceptedPolicy => 15,
            Failure::SystemFailure => 25,
        }
    }
}

/// What an authority puts into a token besides the request's own.
#[derive(Debug, Clone)]
pub struct Stamp<'a> {
    /// Policy, contents octets of the OBJECT IDENTIFIER come from this dotted form.
    pub policy: &'a str,
    /// Serial number, big-endian, never used twice by an authority.
    pub serial: &'a [u8],
    /// The time; written with milliseconds.
    pub time: OffsetDateTime,
    /// How far the clock may be off, in whole seconds; left out if zero.
    pub accuracy_seconds: u64,
}

/// Why an authority made no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The policy of the settings is not an OBJECT IDENTIFIER.
    #[error("the policy of the time-stamping authority is not an object identifier")]
    Policy,
    /// The request's digest algorithm is not known.
    #[error("the digest algorithm of the request is not known")]
    Algorithm,
}

/// Builds a granted TimeStampResp for `request`, signed by `signer` whose certificate is `authority`.
///
/// # Errors
/// See [`StampError`].
pub fn build_response(
    request: &Request,
    stamp: &Stamp<'_>,
    authority: &Certificate,
    signer: &dyn Signer,
) -> Result<Vec<u8>, StampError> {
    let token = build_token(request, stamp, authority, signer)?;
    Ok(Writer::sequence_of(|writer| {
        writer.sequence(|writer| writer.small_integer(0));
        writer.raw(&token);
    }))
}

/// Builds the bare token for `request`.
///
/// # Errors
/// See [`StampError`].
pub fn build_token(
    request: &Request,
    stamp: &Stamp<'_>,
    authority: &Certificate,
    signer: &dyn Signer,
) -> Result<Vec<u8>, StampError> {
    let policy = der::oid_from_text(stamp.policy).ok_or(StampError::Policy)?;
    let imprint_algorithm = request.algorithm.ok_or(StampError::Algorithm)?;
    let info = Writer::sequence_of(|writer| {
        writer.small_integer(1);
        writer.oid(&policy);
        write_imprint(writer, Some(imprint_algorithm), &request.imprint);
        writer.unsigned(stamp.serial);
        writer.generalized_time_milliseconds(stamp.time);
        if stamp.accuracy_seconds > 0 {
            writer.sequence(|writer| writer.small_integer(stamp.accuracy_seconds));
        }
        if let Some(nonce) = &request.nonce {
            writer.primitive(der::INTEGER, nonce);
        }
        // tsa [0] GeneralName, directoryName [4]
        writer.constructed(der::context(0), |writer| {
            writer.constructed(der::context(4), |writer| {
                writer.raw(authority.subject().der());
            });
        });
    });
    let digest = signer.algorithm().digest();
    let attributes = signed_attributes(&info, digest, stamp.time, authority);
    let mut signed = Vec::with_capacity(attributes.len() + 4);
    der::write_element(&mut signed, der::SET, &attributes);
    let signature = signer.sign(&signed)?;
    let digest_identifier = |writer: &mut Writer| {
        writer.sequence(|writer| {
            writer.oid(digest.oid());
            writer.null();
        });
    };
    Ok(Writer::sequence_of(|writer| {
        writer.oid(SIGNED_DATA);
        writer.constructed(der::context(0), |writer| {
            writer.sequence(|writer| {
                // Version 3: the content is not id-data (RFC 5652 section 5.1).
                writer.small_integer(3);
                writer.constructed(der::SET, digest_identifier);
                writer.sequence(|writer| {
                    writer.oid(TST_INFO);
                    writer.constructed(der::context(0), |writer| writer.octet_string(&info));
                });
                if request.certificate_wanted {
                    writer.constructed(der::context(0), |writer| writer.raw(authority.der()));
                }
                writer.constructed(der::SET, |writer| {
                    writer.sequence(|writer| {
                        writer.small_integer(1);
                        write_issuer_and_serial(writer, authority.issuer(), authority.serial());
                        digest_identifier(writer);
                        writer.constructed(der::context(0), |writer| writer.raw(&attributes));
                        match signer.algorithm() {
                            // The spelling that every CMS reader knows (RFC 3370 section 3.2).
                            SignatureAlgorithm::RsaPkcs1(_) => writer.sequence(|writer| {
                                writer.oid(RSA_ENCRYPTION);
                                writer.null();
                            }),
                            other => other.write(writer),
                        }
                        writer.octet_string(&signature);
                    });
                });
            });
        });
    }))
}

pub(crate) fn write_issuer_and_serial(writer: &mut Writer, issuer: &Name, serial: &[u8]) {
    writer.sequence(|writer| {
        writer.raw(issuer.der());
        writer.primitive(der::INTEGER, serial);
    });
}

/// The contents of the SET OF signed attributes, in DER's order.
fn signed_attributes(
    info: &[u8],
    digest: DigestAlgorithm,
    time: OffsetDateTime,
    authority: &Certificate,
) -> Vec<u8> {
    let attribute = |oid: &[u8], value: &dyn Fn(&mut Writer)| {
        Writer::sequence_of(|writer| {
            writer.oid(oid);
            writer.constructed(der::SET, |writer| value(writer));
        })
    };
    let mut attributes = [
        attribute(CONTENT_TYPE, &|writer| writer.oid(TST_INFO)),
        attribute(SIGNING_TIME, &|writer| writer.validity_time(time)),
        attribute(MESSAGE_DIGEST, &|writer| {
            writer.octet_string(digest.digest(info).as_ref());
        }),
        attribute(SIGNING_CERTIFICATE_V2, &|writer| {
            // SigningCertificateV2 { certs { ESSCertIDv2 { hashAlgorithm DEFAULT sha256, certHash } } }
            writer.sequence(|writer| {
                writer.sequence(|writer| {
                    writer.sequence(|writer| {
                        writer.octet_string(authority.sha256().as_ref());
                    });
                });
            });
        }),
    ];
    attributes.sort();
    attributes.concat()
}

/// Builds a TimeStampResp that refuses.
pub fn build_refusal(failure: Failure, text: &str) -> Vec<u8> {
    Writer::sequence_of(|writer| {
        writer.sequence(|writer| {
            // rejection
            writer.small_integer(2);
            writer.sequence(|writer| writer.primitive(der::UTF8_STRING, text.as_bytes()));
            let bit = failure.bit();
            let mut contents = vec![0u8; 2 + bit / 8];
            contents[0] = 7 - (bit % 8) as u8;
            contents[1 + bit / 8] = 0x80 >> (bit % 8);
            writer.primitive(der::BIT_STRING, &contents);
        });
    })
}
