//! Verification of a container, without any network (1.15).

use crate::message::{MessageParties, is_fault};
use crate::report::{PartReport, PartState, Report, SignerReport, TimeStampReport, Verdict};
use crate::signer::verify_signer;
use crate::time_stamp::{Stamped, verify_batch_time_stamp, verify_single_time_stamp};
use asic::container::{Container, ContainerError, ContainerLimits, entry};
use asic::cover_available;
use globalconf::GlobalConfiguration;
use pki::{Certificate, DigestAlgorithm, LegacyDigests};
use std::io::{Read, Seek};
use xmldsig::xml::{Document, Limits};
use xmldsig::{Signature, SignatureError, SignaturePolicyRule, ValueVerified};
use xroad_id::ClientId;

/// What a verifier allows.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The rule for signatures; relaxed only for old archives.
    pub rule: SignaturePolicyRule,
    /// Bounds of the container.
    pub limits: ContainerLimits,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            rule: SignaturePolicyRule::STRICT,
            limits: ContainerLimits::default(),
        }
    }
}

enum Outcome {
    Invalid(String, String),
    ConfigurationMissing(String),
}

impl From<SignatureError> for Outcome {
    fn from(error: SignatureError) -> Self {
        Outcome::Invalid(error.code().to_owned(), sentence(&error))
    }
}

fn sentence(error: &impl std::fmt::Display) -> String {
    let mut text = error.to_string();
    if let Some(first) = text.get(..1) {
        let upper = first.to_uppercase();
        text.replace_range(..1, &upper);
    }
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

/// Verifies a container against a configuration: every part covered exactly once, the signature
/// and its certificate, the time stamp, and that the signer was the one the message names, all at
/// the time of the stamp (A7, C5).
///
/// Without a configuration, or if it lacks the signer's instance, everything else is still
/// judged, and a container in which nothing is wrong is [`Verdict::Incomplete`].
///
/// # Errors
/// [`ContainerError::Read`] only: the file could not be read. Everything else is a verdict.
pub fn verify_container<R: Read + Seek>(
    reader: R,
    configuration: Option<&GlobalConfiguration>,
    options: &Options,
) -> Result<Report, ContainerError> {
    let mut report = Report::empty();
    let container = match Container::open(reader, &options.limits) {
        Ok(container) => container,
        Err(error @ ContainerError::Read(_)) => return Err(error),
        Err(error) => {
            report.verdict = Verdict::Invalid {
                code: error.code().to_owned(),
                reason: sentence(&error),
            };
            return Ok(report);
        }
    };
    for name in container.unknown_entries() {
        report
            .warnings
            .push(format!("the entry {name} is not signed and was ignored"));
    }
    report.parts.push(PartReport {
        name: entry::MESSAGE.to_owned(),
        bytes: Some(container.message().len() as u64),
        state: PartState::Unverified,
    });
    for (name, bytes) in container.attachments() {
        report.parts.push(PartReport {
            name: name.trim_start_matches('/').to_owned(),
            bytes: Some(bytes),
            state: PartState::Unverified,
        });
    }
    report.verdict = match judge(&container, configuration, options, &mut report) {
        Ok(missing) if missing.is_empty() => Verdict::Valid,
        Ok(missing) => Verdict::Incomplete {
            reason: format!(
                "All that is there is good, but {} signed and not there.",
                match missing.as_slice() {
                    [one] => format!("{one} is"),
                    more => format!("{} are", more.join(", ")),
                }
            ),
            missing,
        },
        Err(Outcome::Invalid(code, reason)) => Verdict::Invalid { code, reason },
        Err(Outcome::ConfigurationMissing(reason)) => Verdict::Incomplete {
            missing: Vec::new(),
            reason,
        },
    };
    Ok(report)
}

/// Names of absent attachments, if all else is good.
fn judge<R: Read + Seek>(
    container: &Container<R>,
    configuration: Option<&GlobalConfiguration>,
    options: &Options,
    report: &mut Report,
) -> Result<Vec<String>, Outcome> {
    let parties = MessageParties::read(container.message());
    report.message = parties.as_ref().ok().cloned();

    let signature = Signature::decode(container.signature())?;
    report.signing_time = signature.signing_time();
    let certificate = Certificate::decode(signature.certificate_der())
        .map_err(|error| SignatureError::Certificates(error.to_string()))?;
    report.signer = Some(SignerReport {
        member: parties
            .as_ref()
            .map(|parties| parties.signer().to_member().path())
            .unwrap_or_default(),
        subject: certificate.subject().rfc2253(),
        issuer: certificate.issuer_rfc2253(),
        serial: certificate.serial_decimal(),
        verified: false,
    });
    let value = signature.verify_value(&certificate, options.rule)?;

    let names = container.parts();
    let coverage = cover_available(&value, &names, container, container.signature_chain());
    if let Some(name) = container.damaged() {
        return Err(Outcome::Invalid(
            "io_error".to_owned(),
            format!("The entry {} is damaged.", name.trim_start_matches('/')),
        ));
    }
    let coverage = coverage?;
    for part in &mut report.parts {
        part.state = PartState::Signed;
    }
    let missing: Vec<String> = coverage
        .absent()
        .iter()
        .map(|name| name.trim_start_matches('/').to_owned())
        .collect();
    report.parts.extend(missing.iter().map(|name| PartReport {
        name: name.clone(),
        bytes: None,
        state: PartState::Absent,
    }));
    if coverage.has_unreferenced_chain() {
        report.warnings.push(
            "there is a hash chain that the signature does not refer to; it was ignored".to_owned(),
        );
    }
    if let Err(error) = &parties
        && !is_fault(container.message())
    {
        return Err(Outcome::Invalid(
            "invalid_message".to_owned(),
            sentence(error),
        ));
    }

    let Some(configuration) = configuration else {
        return Err(Outcome::ConfigurationMissing(
            "There is no global configuration to judge the signer and the time stamp by."
                .to_owned(),
        ));
    };
    let stamped = time_stamp(container, &value, configuration, options, report)?;
    report.time_stamp = Some(TimeStampReport {
        time: stamped.time(),
        authority: stamped.authority().subject().rfc2253(),
        batch: stamped.is_batch(),
    });
    let expected = match &parties {
        Ok(parties) => parties.signer().clone(),
        Err(_) => {
            report.warnings.push(
                "the message is a SOAP fault, which names neither client nor service: it was \
                 signed by the member named above, and the request that was exported with it says who asked"
                    .to_owned(),
            );
            named_by(configuration, &certificate).ok_or(SignatureError::UnknownIssuer)?
        }
    };
    let expected = &expected;
    if !configuration
        .instances()
        .any(|known| known == expected.instance)
    {
        return Err(Outcome::ConfigurationMissing(format!(
            "The global configuration has nothing about the signer's instance {}.",
            expected.instance
        )));
    }
    let signer = verify_signer(configuration, expected, &value, stamped.time())?;
    if let Some(found) = &mut report.signer {
        found.member = signer.member().path();
        found.verified = true;
    }
    Ok(missing)
}

/// The member whom a certificate names, by the profile of the service that issued it.
fn named_by(configuration: &GlobalConfiguration, certificate: &Certificate) -> Option<ClientId> {
    configuration.instances().find_map(|instance| {
        let issuer = configuration.approved_ca_for(instance, certificate)?;
        let profile = issuer.ca.profile.as_ref().ok()?;
        profile.member_of(certificate.subject(), instance).ok()
    })
}

fn time_stamp<R: Read + Seek>(
    container: &Container<R>,
    value: &ValueVerified,
    configuration: &GlobalConfiguration,
    options: &Options,
    report: &mut Report,
) -> Result<Stamped, SignatureError> {
    let authorities: Vec<Certificate> = configuration.tsa_certificates().cloned().collect();
    let legacy = if options.rule.is_sha1_allowed() {
        LegacyDigests::AllowSha1
    } else {
        LegacyDigests::Refuse
    };
    if let Some(token) = container.time_stamp() {
        let chain = container.time_stamp_chain().ok_or_else(|| {
            SignatureError::TimeStamp("the hash chain of the batch is missing".to_owned())
        })?;
        match container.asic_manifest() {
            Some(manifest) => check_manifest(manifest, chain.0)?,
            None => report
                .warnings
                .push(format!("{} is missing", entry::ASIC_MANIFEST)),
        }
        return verify_batch_time_stamp(token, chain, container.signature(), &authorities, legacy);
    }
    let token = value
        .signature()
        .time_stamp()?
        .ok_or_else(|| SignatureError::TimeStamp("there is none".to_owned()))?;
    verify_single_time_stamp(&token, value.signature().value(), &authorities, legacy)
}

const MANIFEST_LIMITS: Limits = Limits {
    bytes: 64 * 1024,
    depth: 8,
    elements: 256,
    attributes: 16,
};
const MANIFEST_NAMESPACES: [&str; 2] = [
    "http://uri.etsi.org/2918/v1.2.1#",
    "http://uri.etsi.org/02918/v1.2.1#",
];
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";

/// The manifest ties the token to the chain result that is in the container (A4).
fn check_manifest(manifest: &[u8], result: &[u8]) -> Result<(), SignatureError> {
    let refused =
        |what: &str| SignatureError::TimeStamp(format!("{}: {what}", entry::ASIC_MANIFEST));
    let document =
        Document::parse(manifest, &MANIFEST_LIMITS).map_err(|error| refused(&error.to_string()))?;
    let root = document.root();
    if root.local_name() != "ASiCManifest" || !MANIFEST_NAMESPACES.contains(&root.namespace()) {
        return Err(refused("another root element"));
    }
    let named = |local: &str| {
        root.children()
            .filter(|e| e.namespace() == root.namespace() && e.local_name() == local)
            .collect::<Vec<_>>()
    };
    let tokens = named("SigReference");
    let is_token = |uri: &str| uri.trim_start_matches('/') == entry::TIME_STAMP;
    if tokens.len() != 1 || !tokens[0].attribute("URI").is_some_and(|uri| is_token(&uri)) {
        return Err(refused("it does not refer to the time stamp"));
    }
    let objects = named("DataObjectReference");
    let [object] = objects.as_slice() else {
        return Err(refused(
            "it must refer to the chain result and nothing else",
        ));
    };
    let uri = object.attribute("URI").unwrap_or_default();
    if uri.trim_start_matches('/') != entry::TIME_STAMP_CHAIN_RESULT {
        return Err(refused(
            "it must refer to the chain result and nothing else",
        ));
    }
    let child = |local: &str| object.children().find(|e| e.is(DS, local));
    let algorithm = child("DigestMethod")
        .and_then(|method| DigestAlgorithm::from_uri(&method.attribute("Algorithm")?));
    let digest = child("DigestValue").and_then(|value| xmldsig::decode_base64(value.raw_content()));
    match (algorithm, digest) {
        (Some(algorithm), Some(digest)) if algorithm.digest(result).as_ref() == digest => Ok(()),
        _ => Err(refused("its digest is not that of the chain result")),
    }
}
