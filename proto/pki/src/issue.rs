//! Making certificates: the profiles of a test network's authority (RFC 5280 section 4).

use std::net::IpAddr;

use time::OffsetDateTime;

use crate::certificate::{Certificate, CertificateError, KeyPurpose, KeyUsage, extension};
use crate::der::{self, Writer};
use crate::key::PublicKey;
use crate::name::Name;
use crate::signer::{SignError, Signer};

/// What a certificate is for; decides its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// A certification authority: basicConstraints critical, keyCertSign and cRLSign.
    Authority,
    /// A member's signing certificate: keyUsage contentCommitment, critical (S13).
    Signing,
    /// A person's signing certificate: keyUsage contentCommitment, critical, and the certificate policies, dotted,
    /// that say what kind of signature it makes (RFC 5280 section 4.2.1.4).
    Person {
        /// Policies, dotted; not empty.
        policies: Vec<String>,
    },
    /// A Security Server's authentication certificate: keyUsage digitalSignature and
    /// keyEncipherment, EKU clientAuth and serverAuth (T7).
    Authentication,
    /// An OCSP responder that the authority delegates to: EKU OCSPSigning and
    /// id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2).
    OcspResponder,
    /// A time-stamping authority: EKU timeStamping, critical and alone (RFC 3161 section 2.3).
    TimeStamping,
    /// A TLS server with these names.
    TlsServer {
        /// DNS names.
        dns_names: Vec<String>,
        /// Addresses.
        addresses: Vec<IpAddr>,
    },
}

/// Everything of a certificate but its issuer and signature.
#[derive(Debug, Clone)]
pub struct Template {
    /// The subject.
    pub subject: Name,
    /// The subject's key.
    pub public_key: PublicKey,
    /// The serial number: big-endian, positive. 16 random bytes are usual; the first bit is then cleared by the caller or a zero byte is added here.
    pub serial: Vec<u8>,
    /// Start of the validity; written in whole seconds.
    pub not_before: OffsetDateTime,
    /// End of the validity; written in whole seconds.
    pub not_after: OffsetDateTime,
    /// What it is for.
    pub profile: Profile,
    /// Where the issuer answers OCSP requests, for the authorityInfoAccess extension.
    pub ocsp_url: Option<String>,
}

/// Why no certificate was made. The fault is ours or our operator's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// What was written does not decode: a field of the template is not usable.
    #[error("the template does not make a certificate: {0}")]
    Template(#[from] CertificateError),
    /// The signer's key is not the one in the issuer's certificate.
    #[error("the signing key does not belong to the issuer's certificate")]
    WrongKey,
}

/// Makes a self-signed certificate: an authority's root.
///
/// # Errors
/// See [`IssueError`].
pub fn self_signed(template: &Template, signer: &dyn Signer) -> Result<Certificate, IssueError> {
    if signer.public_key() != &template.public_key {
        return Err(IssueError::WrongKey);
    }
    make(template, &template.subject, &template.public_key, signer)
}

/// Makes a certificate issued by `issuer`, whose key `signer` holds.
///
/// # Errors
/// See [`IssueError`].
pub fn issue(
    template: &Template,
    issuer: &Certificate,
    signer: &dyn Signer,
) -> Result<Certificate, IssueError> {
    if signer.public_key() != issuer.public_key() {
        return Err(IssueError::WrongKey);
    }
    make(template, issuer.subject(), issuer.public_key(), signer)
}

fn make(
    template: &Template,
    issuer: &Name,
    issuer_key: &PublicKey,
    signer: &dyn Signer,
) -> Result<Certificate, IssueError> {
    let algorithm = signer.algorithm();
    let tbs = Writer::sequence_of(|writer| {
        // version [0]: v3
        writer.constructed(der::context(0), |writer| writer.small_integer(2));
        writer.unsigned(&template.serial);
        algorithm.write(writer);
        writer.raw(issuer.der());
        writer.sequence(|writer| {
            writer.validity_time(template.not_before);
            writer.validity_time(template.not_after);
        });
        writer.raw(template.subject.der());
        writer.raw(template.public_key.spki_der());
        writer.constructed(der::context(3), |writer| {
            writer.sequence(|writer| write_extensions(writer, template, issuer_key));
        });
    });
    let signature = signer.sign(&tbs)?;
    let certificate = Writer::sequence_of(|writer| {
        writer.raw(&tbs);
        algorithm.write(writer);
        writer.bit_string(&signature);
    });
    Ok(Certificate::decode(&certificate)?)
}

fn write_extension(
    writer: &mut Writer,
    oid: &[u8],
    critical: bool,
    value: impl FnOnce(&mut Writer),
) {
    writer.sequence(|writer| {
        writer.oid(oid);
        // DER leaves out a value equal to its default.
        if critical {
            writer.boolean(true);
        }
        writer.octet_string_of(value);
    });
}

fn write_extensions(writer: &mut Writer, template: &Template, issuer_key: &PublicKey) {
    let profile = &template.profile;
    write_extension(writer, extension::BASIC_CONSTRAINTS, true, |writer| {
        writer.sequence(|writer| {
            if *profile == Profile::Authority {
                writer.boolean(true);
            }
        });
    });
    let usage = match profile {
        Profile::Authority => KeyUsage::KEY_CERT_SIGN.with(KeyUsage::CRL_SIGN),
        Profile::Signing | Profile::Person { .. } => KeyUsage::CONTENT_COMMITMENT,
        Profile::Authentication | Profile::TlsServer { .. } => {
            KeyUsage::DIGITAL_SIGNATURE.with(KeyUsage::KEY_ENCIPHERMENT)
        }
        Profile::OcspResponder | Profile::TimeStamping => KeyUsage::DIGITAL_SIGNATURE,
    };
    write_extension(writer, extension::KEY_USAGE, true, |writer| {
        writer.primitive(der::BIT_STRING, &usage.contents());
    });
    let purposes: &[KeyPurpose] = match profile {
        Profile::Authority | Profile::Signing | Profile::Person { .. } => &[],
        Profile::Authentication => &[KeyPurpose::ClientAuth, KeyPurpose::ServerAuth],
        Profile::TlsServer { .. } => &[KeyPurpose::ServerAuth],
        Profile::OcspResponder => &[KeyPurpose::OcspSigning],
        Profile::TimeStamping => &[KeyPurpose::TimeStamping],
    };
    if !purposes.is_empty() {
        let critical = *profile == Profile::TimeStamping;
        write_extension(writer, extension::EXTENDED_KEY_USAGE, critical, |writer| {
            writer.sequence(|writer| {
                for purpose in purposes {
                    writer.oid(&purpose.oid());
                }
            });
        });
    }
    write_extension(writer, extension::SUBJECT_KEY_IDENTIFIER, false, |writer| {
        writer.octet_string(template.public_key.key_identifier().as_ref());
    });
    write_extension(
        writer,
        extension::AUTHORITY_KEY_IDENTIFIER,
        false,
        |writer| {
            writer.sequence(|writer| {
                writer.primitive(
                    der::context_primitive(0),
                    issuer_key.key_identifier().as_ref(),
                );
            });
        },
    );
    if let Profile::Person { policies } = profile {
        write_extension(writer, extension::CERTIFICATE_POLICIES, false, |writer| {
            writer.sequence(|writer| {
                for policy in policies {
                    // What is not an identifier stays empty, which no decoder accepts: the certificate is not made.
                    let policy = der::oid_from_text(policy).unwrap_or_default();
                    writer.sequence(|writer| writer.oid(&policy));
                }
            });
        });
    }
    if *profile == Profile::OcspResponder {
        write_extension(writer, extension::OCSP_NO_CHECK, false, Writer::null);
    }
    if let Some(url) = &template.ocsp_url {
        write_extension(
            writer,
            extension::AUTHORITY_INFORMATION_ACCESS,
            false,
            |writer| {
                writer.sequence(|writer| {
                    writer.sequence(|writer| {
                        writer.oid(extension::ACCESS_OCSP);
                        // uniformResourceIdentifier [6]
                        writer.primitive(der::context_primitive(6), url.as_bytes());
                    });
                });
            },
        );
    }
    if let Profile::TlsServer {
        dns_names,
        addresses,
    } = profile
        && !(dns_names.is_empty() && addresses.is_empty())
    {
        write_extension(
            writer,
            extension::SUBJECT_ALTERNATIVE_NAME,
            false,
            |writer| {
                writer.sequence(|writer| {
                    for name in dns_names {
                        writer.primitive(der::context_primitive(2), name.as_bytes());
                    }
                    for address in addresses {
                        match address {
                            IpAddr::V4(address) => {
                                writer.primitive(der::context_primitive(7), &address.octets());
                            }
                            IpAddr::V6(address) => {
                                writer.primitive(der::context_primitive(7), &address.octets());
                            }
                        }
                    }
                });
            },
        );
    }
}
