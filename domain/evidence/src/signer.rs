//! Whether the holder of a signing certificate is the member who must have signed (1.8, S13, S14).

use globalconf::{ConfigurationId, GlobalConfiguration, Issuer};
use pki::ocsp::{Freshness, OcspError, Response};
use pki::{Certificate, Digest, LegacyDigests, ValidPath};
use time::OffsetDateTime;
use xmldsig::{ChainText, SignatureError, ValueVerified};
use xroad_id::ClientId;

/// The most certificates that a signature may bring along for its chain.
const MAXIMUM_EXTRA_CERTIFICATES: usize = 16;
/// The most OCSP responses that a signature may bring along.
const MAXIMUM_OCSP_RESPONSES: usize = 16;

/// Proof that a signature's certificate belongs to a member, was issued by an approved
/// certification service for signing, and was good at the time asked for. Only [`verify_signer`]
/// makes one.
#[derive(Debug, Clone)]
pub struct SignerVerified {
    member: ClientId,
    certificate: Certificate,
    ocsp_this_update: OffsetDateTime,
    valid_until: OffsetDateTime,
}

impl SignerVerified {
    /// The member who signed, without a subsystem (I6).
    #[must_use]
    pub fn member(&self) -> &ClientId {
        &self.member
    }

    /// The signing certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// When the certificate was known to be good.
    #[must_use]
    pub fn ocsp_this_update(&self) -> OffsetDateTime {
        self.ocsp_this_update
    }

    /// The last moment at which this proof may be used again for another signature with the same
    /// [`SignerKey`].
    #[must_use]
    pub fn valid_until(&self) -> OffsetDateTime {
        self.valid_until
    }
}

/// What a [`SignerVerified`] depends on: configuration, expected member, certificate, OCSP
/// responses and extra certificates. Kept under this key it can be used again until
/// [`SignerVerified::valid_until`].
///
/// Keys are compared in full. That is cheap between signatures that came out of one
/// [`xmldsig::SignatureMemory`], for they share the text of their chain. Keep results of
/// [`verify_signer`] only, and bound their number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SignerKey {
    configuration: ConfigurationId,
    member: ClientId,
    sha1_allowed: bool,
    certificate: Digest,
    chain: ChainText,
}

/// The key of a signature's signer, for a cache.
///
/// The configuration counts by its identity, which is all zeros unless it was read from a stored
/// directory; a cache must not outlive such a configuration.
#[must_use]
pub fn signer_key(
    configuration: &GlobalConfiguration,
    expected: &ClientId,
    signature: &ValueVerified,
) -> SignerKey {
    SignerKey {
        configuration: configuration.identity(),
        member: expected.to_member(),
        sha1_allowed: signature.rule().is_sha1_allowed(),
        certificate: *signature.certificate().sha512(),
        chain: signature.signature().chain(),
    }
}

/// Verifies that the signature was made by `expected` (a subsystem counts as its member): the
/// certificate is one for signing, its subject names the member by the profile of the approved
/// certification service, its chain leads to an approved certification service of the member's
/// instance that is not for authentication only, and every certificate of the chain was good at
/// `now` by the OCSP responses in the signature.
///
/// # Errors
/// [`SignatureError::NotASigningCertificate`], [`SignatureError::UnknownIssuer`],
/// [`SignatureError::Subject`], [`SignatureError::Signer`], [`SignatureError::Certificates`],
/// [`SignatureError::Ocsp`], [`SignatureError::Malformed`]; the signer is at fault unless our
/// configuration is behind.
pub fn verify_signer(
    configuration: &GlobalConfiguration,
    expected: &ClientId,
    signature: &ValueVerified,
    now: OffsetDateTime,
) -> Result<SignerVerified, SignatureError> {
    let freshness = Freshness {
        max_age_seconds: configuration.ocsp_freshness_seconds(),
        check_next_update: configuration.next_update_check(),
        ..Freshness::default()
    };
    verify_signer_with(configuration, expected, signature, now, &freshness)
}

/// As [`verify_signer`], but with another rule for the age of OCSP responses than the
/// configuration's: for old evidence, and for that of responders whose clock was wrong.
///
/// # Errors
/// As [`verify_signer`].
pub fn verify_signer_with(
    configuration: &GlobalConfiguration,
    expected: &ClientId,
    signature: &ValueVerified,
    now: OffsetDateTime,
    freshness: &Freshness,
) -> Result<SignerVerified, SignatureError> {
    let certificate = signature.certificate();
    let decoded = signature.signature();
    let legacy = if signature.rule().is_sha1_allowed() {
        LegacyDigests::AllowSha1
    } else {
        LegacyDigests::Refuse
    };
    if !certificate.allows_signing() {
        return Err(SignatureError::NotASigningCertificate);
    }
    let extra = decoded.certificates()?;
    let responses = decoded.ocsp_responses()?;
    if extra.len() > MAXIMUM_EXTRA_CERTIFICATES || responses.len() > MAXIMUM_OCSP_RESPONSES {
        return Err(SignatureError::Malformed(
            "too many certificates or OCSP responses",
        ));
    }
    let extra = extra
        .iter()
        .map(|der| Certificate::decode(der))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| SignatureError::Certificates(error.to_string()))?;

    let issuer = service_of(configuration, &expected.instance, certificate, &extra)
        .ok_or(SignatureError::UnknownIssuer)?;
    if issuer.ca.authentication_only {
        return Err(SignatureError::Certificates(
            "its certification service is approved for authentication only".to_owned(),
        ));
    }
    let member = member_named(&issuer, certificate, &expected.instance)?;
    if !member.is_same_member(expected) {
        return Err(SignatureError::Signer {
            expected: expected.to_member().path(),
            found: member.path(),
        });
    }

    let anchors: Vec<Certificate> = issuer.ca.certificates().cloned().collect();
    let path = pki::validate_path_with(certificate, &extra, &anchors, now, legacy)
        .map_err(|error| SignatureError::Certificates(error.to_string()))?;
    let responses = responses
        .iter()
        .map(|der| Response::decode(der))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| SignatureError::Ocsp(error.to_string()))?;
    let status = PathStatus {
        issuer: &issuer,
        responses: &responses,
        now,
        freshness: *freshness,
        legacy,
    };
    let (ocsp_this_update, fresh_until) = status.check(&path)?;
    Ok(SignerVerified {
        member,
        certificate: certificate.clone(),
        ocsp_this_update,
        valid_until: fresh_until.min(path.valid_until()),
    })
}

/// The approved service that issued the certificate, directly or over one of the certificates
/// that came with the signature (C1).
fn service_of<'c>(
    configuration: &'c GlobalConfiguration,
    instance: &str,
    certificate: &Certificate,
    extra: &[Certificate],
) -> Option<Issuer<'c>> {
    let mut current = certificate;
    for _ in 0..=extra.len() {
        if let Some(issuer) = configuration.approved_ca_for(instance, current) {
            return Some(issuer);
        }
        current = extra
            .iter()
            .find(|candidate| candidate.subject() == current.issuer())?;
    }
    None
}

fn member_named(
    issuer: &Issuer<'_>,
    certificate: &Certificate,
    instance: &str,
) -> Result<ClientId, SignatureError> {
    let profile = issuer
        .ca
        .profile
        .as_ref()
        .map_err(|error| SignatureError::Subject(error.to_string()))?;
    profile
        .member_of(certificate.subject(), instance)
        .map_err(|error| SignatureError::Subject(error.to_string()))
}

struct PathStatus<'a> {
    issuer: &'a Issuer<'a>,
    responses: &'a [Response],
    now: OffsetDateTime,
    freshness: Freshness,
    legacy: LegacyDigests,
}

impl PathStatus<'_> {
    /// Checks every certificate below the anchor; gives thisUpdate of the end entity's response
    /// and the moment at which the first response is no longer fresh.
    fn check(&self, path: &ValidPath) -> Result<(OffsetDateTime, OffsetDateTime), SignatureError> {
        let mut this_update = None;
        let mut fresh_until = path.valid_until();
        for pair in path.certificates().windows(2) {
            let (certificate, issuer) = (&pair[0], &pair[1]);
            let good = self.good(certificate, issuer)?;
            this_update.get_or_insert(good.this_update());
            fresh_until = fresh_until.min(good.fresh_until(&self.freshness));
        }
        let this_update = this_update
            .ok_or_else(|| SignatureError::Ocsp("there is no certificate to judge".to_owned()))?;
        Ok((this_update, fresh_until))
    }

    fn good(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
    ) -> Result<pki::ocsp::Good, SignatureError> {
        let responders: Vec<Certificate> = self
            .issuer
            .ca
            .authorities
            .iter()
            .filter(|authority| authority.certificate == *issuer)
            .flat_map(|authority| authority.responder_certificates().cloned())
            .collect();
        let mut verdict: Result<pki::ocsp::Good, OcspError> = Err(OcspError::WrongCertificate);
        for response in self.responses {
            if !response.names(certificate, issuer) {
                continue;
            }
            let one = response.verify_with(
                certificate,
                issuer,
                &responders,
                self.now,
                &self.freshness,
                self.legacy,
            );
            match one {
                // A bad status counts, whatever another response says.
                Err(error) if error.is_bad_status() => {
                    return Err(SignatureError::Certificates(error.to_string()));
                }
                Ok(good) => verdict = Ok(good),
                Err(error) if verdict.is_err() => verdict = Err(error),
                Err(_) => {}
            }
        }
        verdict.map_err(|error| match error {
            OcspError::WrongCertificate => SignatureError::Certificates(format!(
                "there is no OCSP response for the certificate of {}",
                certificate.subject().rfc2253()
            )),
            error => SignatureError::Ocsp(error.to_string()),
        })
    }
}
