//! What is the same for signatures of every format: time-stamps, the signer's certificate, its status, its class.

use pki::ocsp::{Freshness, OcspError, Response};
use pki::tsp::{TimeStamp, Token, TspError};
use pki::{
    Certificate, Digest, DigestAlgorithm, KeyPurpose, KeyUsage, SignatureAlgorithm, ValidPath,
    validate_path,
};
use time::OffsetDateTime;

use crate::report::{Class, Level, Validity, Verdict, When};
use crate::trust::Trust;

/// What a time-stamp of a signature covers, whatever the format.
pub(crate) struct Stamp<'a> {
    /// The token, DER.
    pub(crate) token: Vec<u8>,
    /// The digest of what it has to be over; `None` if that cannot be had.
    pub(crate) digest: Box<dyn Fn(DigestAlgorithm) -> Option<Digest> + 'a>,
    /// Whether it is over everything, and if so, how many of the OCSP responses it covers.
    pub(crate) covers_statuses: Option<usize>,
}

/// Everything that a signature brings along for its judgement.
pub(crate) struct Evidence<'a> {
    pub(crate) certificate: Certificate,
    pub(crate) algorithm: SignatureAlgorithm,
    /// Candidates for the chains of signer and time-stampers.
    pub(crate) certificates: Vec<Certificate>,
    /// With their places in the document.
    pub(crate) ocsp_responses: Vec<(usize, Response)>,
    /// In the order in which they were made.
    pub(crate) stamps: Vec<Stamp<'a>>,
    pub(crate) claimed: Option<OffsetDateTime>,
}

/// What was found.
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) when: When,
    pub(crate) validity: Validity,
    pub(crate) revoked_later: Option<OffsetDateTime>,
    pub(crate) class: Option<Class>,
    pub(crate) level: Level,
    pub(crate) renew_before: Option<OffsetDateTime>,
}

/// The latest time in which a certificate may still be judged by an older statement than the signature: as online
/// (reference C4).
const FRESHNESS: Freshness = Freshness {
    max_age_seconds: 3600,
    max_ahead_seconds: 300,
    check_next_update: true,
};

/// Decodes certificates that came along; what is none says nothing.
pub(crate) fn certificates(ders: &[Vec<u8>]) -> Vec<Certificate> {
    ders.iter()
        .filter_map(|der| Certificate::decode(der).ok())
        .collect()
}

/// Decodes OCSP responses that came along, with their places; what is none says nothing.
pub(crate) fn ocsp_responses(ders: &[Vec<u8>]) -> Vec<(usize, Response)> {
    ders.iter()
        .enumerate()
        .filter_map(|(place, der)| Some((place, Response::decode(der).ok()?)))
        .collect()
}

pub(crate) fn judge(
    evidence: &Evidence<'_>,
    trust: Option<&Trust>,
    now: OffsetDateTime,
) -> Judgement {
    let mut judgement = Judgement {
        verdict: Verdict::Valid,
        when: When {
            claimed: evidence.claimed,
            ..When::default()
        },
        validity: Validity::Unknown {
            reason: "there is no trust list to judge the signer by".to_owned(),
        },
        revoked_later: None,
        class: None,
        level: Level::B,
        renew_before: None,
    };
    let Some(trust) = trust else {
        // That each time-stamp is over this document needs no trust.
        for stamp in &evidence.stamps {
            if let Err(reason) = check_imprint(stamp) {
                judgement.verdict = judgement.verdict.and(Verdict::invalid(reason));
            }
        }
        let missing =
            Verdict::incomplete("there is no trust list to judge signer and time-stamp by");
        judgement.verdict = judgement.verdict.and(missing);
        return judgement;
    };
    let chain = match stamps(evidence, trust, now) {
        Ok(chain) => chain,
        Err(verdict) => {
            judgement.verdict = verdict;
            judgement.validity = Validity::Unknown {
                reason: "the time of the signature is not established".to_owned(),
            };
            return judgement;
        }
    };
    judgement.renew_before = chain.relied_until;
    let Some((time, authority)) = chain.signed else {
        judgement.verdict =
            Verdict::incomplete("there is no time-stamp that proves when it was signed");
        judgement.validity = Validity::Unknown {
            reason: "the time of the signature is not established".to_owned(),
        };
        return judgement;
    };
    judgement.when.proven = Some(time);
    judgement.when.authority = Some(authority);
    judgement.level = Level::T;

    let digest = evidence.algorithm.digest();
    let kind = evidence.certificate.public_key().kind();
    if let Some(weakness) = trust.weakness(digest, kind, time) {
        judgement.verdict = Verdict::invalid(format!("when it was signed, {weakness}"));
        return judgement;
    }
    match signer(evidence, trust, time, now) {
        Ok(proven) => {
            judgement.class = Some(proven.class);
            judgement.validity = Validity::Valid;
            judgement.revoked_later = proven.revoked_later;
            judgement.level = if chain.archived.is_some_and(|covered| covered > proven.used) {
                Level::LTA
            } else {
                Level::LT
            };
        }
        Err((class, validity)) => {
            judgement.class = class;
            judgement.verdict = match &validity {
                Validity::NotValid { reason } => Verdict::invalid(reason.clone()),
                Validity::Unknown { reason } => Verdict::incomplete(reason.clone()),
                Validity::Valid => Verdict::Valid,
            };
            judgement.validity = validity;
        }
    }
    judgement
}

fn check_imprint(stamp: &Stamp<'_>) -> Result<(Token, DigestAlgorithm, Digest), String> {
    let token = Token::decode(&stamp.token).map_err(|error| format!("a time-stamp: {error}"))?;
    let (algorithm, imprint) = token.imprint();
    let Some(algorithm) = algorithm else {
        return Err("a time-stamp uses a digest algorithm that is not known".to_owned());
    };
    let digest = (stamp.digest)(algorithm)
        .ok_or("a time-stamp covers something that is not there".to_owned())?;
    if digest != *imprint {
        return Err("a time-stamp is over something else: it was changed after it".to_owned());
    }
    Ok((token, algorithm, digest))
}

struct StampChain {
    /// When it was signed at the latest, and who says so.
    signed: Option<(OffsetDateTime, String)>,
    /// How many OCSP responses the oldest stamp over everything covers.
    archived: Option<usize>,
    /// When the certificate of the youngest stamp's authority ends.
    relied_until: Option<OffsetDateTime>,
}

/// Verifies time-stamps, the youngest first: each has to be reliable at the time that the one after it proves, the
/// youngest today (ETSI EN 319 102-1 section 5.6.2.3).
fn stamps(
    evidence: &Evidence<'_>,
    trust: &Trust,
    now: OffsetDateTime,
) -> Result<StampChain, Verdict> {
    let mut chain = StampChain {
        signed: None,
        archived: None,
        relied_until: None,
    };
    let mut proven = now;
    // Stamps over the value alone are all judged at the time that the oldest stamp over everything proves.
    let (over_all, over_value): (Vec<_>, Vec<_>) = evidence
        .stamps
        .iter()
        .partition(|stamp| stamp.covers_statuses.is_some());
    for stamp in over_all.into_iter().rev() {
        let verified = one_stamp(stamp, evidence, trust, proven)?;
        if chain.relied_until.is_none() {
            chain.relied_until = Some(verified.signer().not_after());
        }
        if verified.time() > proven {
            return Err(Verdict::invalid(
                "a time-stamp is younger than one that covers it",
            ));
        }
        proven = verified.time();
        chain.archived = stamp.covers_statuses;
        chain.signed = Some((proven, verified.signer().subject().rfc2253()));
    }
    for stamp in over_value {
        let verified = one_stamp(stamp, evidence, trust, proven)?;
        if verified.time() > proven {
            return Err(Verdict::invalid(
                "a time-stamp is younger than one that covers it",
            ));
        }
        let end = verified.signer().not_after();
        if chain.archived.is_none() {
            chain.relied_until = Some(chain.relied_until.map_or(end, |known| known.min(end)));
        }
        let is_older = chain
            .signed
            .as_ref()
            .is_none_or(|(known, _)| verified.time() < *known);
        if is_older {
            chain.signed = Some((verified.time(), verified.signer().subject().rfc2253()));
        }
    }
    Ok(chain)
}

/// Verifies a time-stamp that has to be reliable at the time `at`.
fn one_stamp(
    stamp: &Stamp<'_>,
    evidence: &Evidence<'_>,
    trust: &Trust,
    at: OffsetDateTime,
) -> Result<TimeStamp, Verdict> {
    let (token, algorithm, digest) = check_imprint(stamp).map_err(Verdict::invalid)?;
    let approved = authorities(&token, evidence, trust);
    let verified = token
        .verify(algorithm, &digest, &approved)
        .map_err(|error| match error {
            TspError::UnknownSigner => Verdict::incomplete(
                "a time-stamp is from an authority that the trust list does not know",
            ),
            other => Verdict::invalid(format!("a time-stamp: {other}")),
        })?;
    let signer = verified.signer();
    if verified.time() > at.saturating_add(time::Duration::minutes(5)) {
        return Err(Verdict::invalid("a time-stamp is from the future"));
    }
    if at > signer.not_after() {
        return Err(Verdict::incomplete(format!(
            "the youngest time-stamp could be relied on until {}, when its authority's certificate ended, and was not renewed",
            signer.not_after().date()
        )));
    }
    if let Some(weakness) = trust.weakness(algorithm, signer.public_key().kind(), at) {
        return Err(Verdict::incomplete(format!(
            "a time-stamp was not renewed in time: {weakness}"
        )));
    }
    let revoked = evidence.ocsp_responses.iter().any(|(_, response)| {
        evidence
            .certificates
            .iter()
            .chain(&trust.time_stampers)
            .filter(|issuer| signer.issuer().matches(issuer.subject()))
            .any(|issuer| {
                let answer = status(response, signer, issuer, verified.time());
                matches!(answer, Some(Err(OcspError::Revoked { .. })))
            })
    });
    if revoked {
        return Err(Verdict::invalid(
            "the certificate of a time-stamping authority was revoked",
        ));
    }
    Ok(verified)
}

/// The certificates whose time-stamps count: those that are listed, and those that a listed authority issued for it.
fn authorities(token: &Token, evidence: &Evidence<'_>, trust: &Trust) -> Vec<Certificate> {
    let is_stamper =
        |certificate: &Certificate| certificate.extended_key_usages() == [KeyPurpose::TimeStamping];
    let mut approved: Vec<Certificate> = trust
        .time_stampers
        .iter()
        .filter(|certificate| !certificate.is_ca())
        .cloned()
        .collect();
    let anchors: Vec<Certificate> = trust
        .time_stampers
        .iter()
        .filter(|certificate| certificate.is_ca())
        .cloned()
        .collect();
    let candidates = token.certificates().iter().chain(&evidence.certificates);
    for candidate in candidates.filter(|candidate| is_stamper(candidate)) {
        if !approved.contains(candidate)
            && validate_path(candidate, &evidence.certificates, &anchors, token.time()).is_ok()
        {
            approved.push(candidate.clone());
        }
    }
    approved
}

/// What a response says of a certificate that was used at `time`; `None` if it says nothing that counts.
fn status(
    response: &Response,
    certificate: &Certificate,
    issuer: &Certificate,
    time: OffsetDateTime,
) -> Option<Result<(), OcspError>> {
    let single = response
        .singles()
        .iter()
        .find(|single| single.certificate.names(certificate, issuer))?;
    // After its end nobody has to keep the status of a certificate.
    if single.this_update > certificate.not_after() {
        return None;
    }
    let judged_at = time.max(single.this_update);
    match response.verify(certificate, issuer, &[], judged_at, &FRESHNESS) {
        Ok(_) => Some(Ok(())),
        Err(error @ (OcspError::Revoked { .. } | OcspError::Unknown)) => Some(Err(error)),
        Err(_) => None,
    }
}

type Unproven = (Option<Class>, Validity);

/// A signer's certificate that was valid when it signed.
struct Proven {
    class: Class,
    /// The place of the last OCSP response that is needed to know it.
    used: usize,
    /// When it was revoked, which does no harm.
    revoked_later: Option<OffsetDateTime>,
}

/// The signer's certificate, if it was valid at `time`.
fn signer(
    evidence: &Evidence<'_>,
    trust: &Trust,
    time: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Proven, Unproven> {
    let certificate = &evidence.certificate;
    let not_valid = |reason: String| Validity::NotValid { reason };
    let usage = certificate.key_usage();
    if certificate.is_ca()
        || !usage.is_some_and(|usage| usage.contains(KeyUsage::CONTENT_COMMITMENT))
    {
        let reason = "the signer's certificate is not one for signatures".to_owned();
        return Err((None, not_valid(reason)));
    }
    let anchors = trust.anchors();
    let path =
        validate_path(certificate, &evidence.certificates, &anchors, time).map_err(|error| {
            (
                None,
                not_valid(format!("the signer's certificate: {error}")),
            )
        })?;
    let class = trust
        .authorities
        .iter()
        .find(|authority| authority.certificate == *path.anchor())
        .map_or(Class::Other, |authority| {
            authority.class(certificate.policies())
        });
    for weak in &path.certificates()[..path.certificates().len() - 1] {
        let issuer = path
            .certificates()
            .iter()
            .find(|issuer| weak.issuer().matches(issuer.subject()));
        if let (Some(algorithm), Some(issuer)) = (weak.signature_algorithm(), issuer)
            && let Some(weakness) =
                trust.weakness(algorithm.digest(), issuer.public_key().kind(), time)
        {
            return Err((
                Some(class),
                not_valid(format!("when it was signed, {weakness}")),
            ));
        }
    }
    match statuses(evidence, &path, time, now) {
        Ok((used, revoked_later)) => Ok(Proven {
            class,
            used,
            revoked_later,
        }),
        Err(validity) => Err((Some(class), validity)),
    }
}

/// Every certificate of the path is proven good; gives the place of the last response that was needed, and when the
/// signer's certificate was revoked later.
fn statuses(
    evidence: &Evidence<'_>,
    path: &ValidPath,
    time: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<(usize, Option<OffsetDateTime>), Validity> {
    let mut last = 0;
    let mut revoked_later = None;
    for pair in path.certificates().windows(2) {
        let [certificate, issuer] = pair else {
            continue;
        };
        let mut good = None;
        for (place, response) in &evidence.ocsp_responses {
            let from_the_future = response
                .produced_at()
                .is_none_or(|at| at > now.saturating_add(time::Duration::minutes(5)));
            if from_the_future {
                continue;
            }
            match status(response, certificate, issuer, time) {
                // Revoked later: it was good when it signed, and a time-stamp proves when that was.
                Some(Err(OcspError::Revoked { at })) if at > time => {
                    if *certificate == evidence.certificate {
                        revoked_later = Some(at);
                    }
                }
                Some(Err(OcspError::Revoked { at })) => {
                    return Err(Validity::NotValid {
                        reason: format!(
                            "the certificate of {} was revoked on {at}, before it signed",
                            certificate.subject()
                        ),
                    });
                }
                Some(Err(_)) => {
                    return Err(Validity::NotValid {
                        reason: format!(
                            "its authority does not know the certificate of {}",
                            certificate.subject()
                        ),
                    });
                }
                None => continue,
                Some(Ok(())) => {}
            }
            good = good.or(Some(*place));
        }
        let Some(place) = good else {
            return Err(Validity::Unknown {
                reason: format!(
                    "the document holds no statement of its authority on whether the certificate of {} was revoked",
                    certificate.subject()
                ),
            });
        };
        last = last.max(place);
    }
    Ok((last, revoked_later))
}
