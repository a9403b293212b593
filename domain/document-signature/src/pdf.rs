//! PDF files.

use pades::changes::{Addition, Transition, since};
use pades::pdf::Document;
use pades::signature::{Kind, PdfSignature, find};
use pades::store;
use pki::cms::{self, CmsError};
use pki::tsp::Token;
use pki::{Digest, DigestAlgorithm};
use time::OffsetDateTime;

use crate::judge::{Evidence, Stamp, certificates, judge, ocsp_responses};
use crate::report::{
    Format, Integrity, Level, Refusal, Report, SignatureReport, Signer, Validity, Verdict, When,
};
use crate::trust::Trust;

pub(crate) fn verify(file: &[u8], trust: Option<&Trust>, now: OffsetDateTime) -> Report {
    let refused = |error: pades::pdf::PdfError| {
        Report::refused(Format::Pdf, Refusal::Damaged, error.to_string())
    };
    let document = match Document::open(file) {
        Ok(document) => document,
        Err(error) => return refused(error),
    };
    let fields = match find(&document) {
        Ok(fields) => fields,
        Err(error) => return refused(error),
    };
    let first = fields
        .iter()
        .filter_map(|field| field.signature.as_ref().ok())
        .map(PdfSignature::revision)
        .min();
    let history = match first.map(|first| since(&document, first)) {
        Some(Ok(transitions)) => History {
            first: first.unwrap_or(0),
            transitions,
        },
        Some(Err(error)) => return refused(error),
        None => History {
            first: 0,
            transitions: Vec::new(),
        },
    };
    let data = match store::read(&document.newest()) {
        Ok(data) => data,
        Err(error) => return refused(error),
    };
    let found: Vec<(&str, &PdfSignature)> = fields
        .iter()
        .filter_map(|field| Some((field.name.as_str(), field.signature.as_ref().ok()?)))
        .collect();
    let stamps: Vec<&PdfSignature> = found
        .iter()
        .map(|(_, signature)| *signature)
        .filter(|signature| signature.kind() == Kind::TimeStamp)
        .collect();
    let covered: Vec<usize> = stamps
        .iter()
        .map(|stamp| {
            let then = store::read(&document.at(stamp.revision()));
            then.map_or(0, |then| {
                // Only what the store still holds in the same place counts as covered.
                then.ocsp_responses
                    .iter()
                    .zip(&data.ocsp_responses)
                    .take_while(|(then, now)| then == now)
                    .count()
            })
        })
        .collect();

    let mut report = Report {
        format: Format::Pdf,
        verdict: Verdict::Valid,
        signatures: Vec::new(),
        files: Vec::new(),
        notes: Vec::new(),
        refusal: None,
    };
    let context = Context {
        file,
        data,
        history,
        stamps: stamps
            .into_iter()
            .zip(covered)
            .map(|(found, covered)| DocumentStamp {
                found,
                covered,
                digest: digest_stamped(file, found),
            })
            .collect(),
        trust,
        now,
    };
    for field in &fields {
        match &field.signature {
            Err(defect) => report
                .signatures
                .push(unreadable(&field.name, &defect.to_string())),
            Ok(signature) if signature.kind() == Kind::TimeStamp => {
                // Those that follow a signature are judged with it; here only whether they are over this document.
                if let Err(reason) = check_time_stamp(file, signature) {
                    let reason = format!("{}: {reason}", field.name);
                    report.verdict = report.verdict.and(Verdict::invalid(reason));
                }
            }
            Ok(signature) => report
                .signatures
                .push(context.judge(&field.name, signature)),
        }
    }
    if report.signatures.is_empty() {
        return Report::refused(Format::Pdf, Refusal::Unsigned, "the document is not signed");
    }
    let last = found.iter().map(|(_, signature)| signature.end()).max();
    if last.is_some_and(|end| file.len() > end) {
        report.notes.push("the newest additions to the document are not signed; they hold only data for verification".to_owned());
    }
    report.concluded()
}

/// What happened after the first signature.
struct History {
    first: usize,
    transitions: Vec<Transition>,
}

impl History {
    fn since(&self, revision: usize) -> Result<Vec<Addition>, &str> {
        let mut added = Vec::new();
        for transition in self.transitions.iter().skip(revision - self.first) {
            match transition {
                Ok(additions) => added.extend(additions.iter().cloned()),
                Err(change) => return Err(change),
            }
        }
        Ok(added)
    }
}

fn unreadable(place: &str, reason: &str) -> SignatureReport {
    SignatureReport {
        place: place.to_owned(),
        verdict: Verdict::invalid(reason),
        signer: None,
        class: None,
        when: When::default(),
        integrity: Integrity::Unknown {
            reason: reason.to_owned(),
        },
        validity: Validity::Unknown {
            reason: "the signature cannot be read".to_owned(),
        },
        level: Level::B,
        revoked_later: None,
        renew_before: None,
        reason: None,
    }
}

/// A time-stamp over the document.
struct DocumentStamp<'a> {
    found: &'a PdfSignature,
    /// How many of the OCSP responses it covers.
    covered: usize,
    /// The digest of what it has to be over, in the algorithm of its token: it is the same for every signature before it,
    /// and a file has room for many of both.
    digest: Option<(DigestAlgorithm, Digest)>,
}

fn digest_stamped(file: &[u8], stamp: &PdfSignature) -> Option<(DigestAlgorithm, Digest)> {
    let token = Token::decode(stamp.value()).ok()?;
    let algorithm = token.imprint().0?;
    Some((algorithm, stamp.digest(file, algorithm)))
}

fn check_time_stamp(file: &[u8], stamp: &PdfSignature) -> Result<(), String> {
    let token = Token::decode(stamp.value()).map_err(|error| error.to_string())?;
    match token.imprint() {
        (Some(algorithm), imprint) if stamp.digest(file, algorithm) == *imprint => Ok(()),
        _ => Err("the document was changed after this time-stamp".to_owned()),
    }
}

/// What all signatures of a document are judged by.
struct Context<'a> {
    file: &'a [u8],
    data: store::ValidationData,
    history: History,
    stamps: Vec<DocumentStamp<'a>>,
    trust: Option<&'a Trust>,
    now: OffsetDateTime,
}

impl Context<'_> {
    fn judge(&self, place: &str, found: &PdfSignature) -> SignatureReport {
        let signature = match cms::Signature::decode(found.value()) {
            Ok(signature) => signature,
            Err(error) => return unreadable(place, &error.to_string()),
        };
        let Some(digest) = signature.digest_algorithm() else {
            return unreadable(place, &CmsError::Algorithm.to_string());
        };
        let mut report = unreadable(place, "");
        report.reason = found.reason().map(str::to_owned);
        report.when.claimed = found.claimed_time();
        let verified = match signature.verify(&found.digest(self.file, digest)) {
            Ok(verified) => verified,
            Err(error) => {
                report.verdict = Verdict::invalid(error.to_string());
                let reason = error.to_string();
                report.integrity = match error {
                    CmsError::Changed => Integrity::Changed { reason },
                    _ => Integrity::Unknown { reason },
                };
                report.validity = Validity::Unknown {
                    reason: "the signature does not hold".to_owned(),
                };
                return report;
            }
        };
        report.signer = Some(Signer::of(verified.certificate()));
        let mut own = Verdict::Valid;
        report.integrity = match self.history.since(found.revision()) {
            Ok(added) => {
                let signed_later = added
                    .iter()
                    .any(|addition| matches!(addition, Addition::Signature(_)));
                if found.permission() == Some(1) && signed_later {
                    let reason =
                        "it was certified so that nobody else may sign it, and was signed later";
                    own = Verdict::invalid(reason);
                    Integrity::Changed {
                        reason: reason.to_owned(),
                    }
                } else {
                    Integrity::Whole { added }
                }
            }
            Err(change) => {
                own = Verdict::invalid(format!(
                    "the document was changed after it was signed: {change}"
                ));
                Integrity::Changed {
                    reason: change.to_owned(),
                }
            }
        };
        let value = signature.value().to_vec();
        let mut stamps: Vec<Stamp<'_>> = signature
            .time_stamps()
            .iter()
            .map(|token| {
                let value = value.clone();
                Stamp {
                    token: token.clone(),
                    digest: Box::new(move |algorithm| Some(algorithm.digest(&value))),
                    covers_statuses: None,
                }
            })
            .collect();
        for stamp in &self.stamps {
            if stamp.found.revision() > found.revision() {
                let digest = stamp.digest;
                stamps.push(Stamp {
                    token: stamp.found.value().to_vec(),
                    digest: Box::new(move |wanted| {
                        digest
                            .and_then(|(algorithm, digest)| (algorithm == wanted).then_some(digest))
                    }),
                    covers_statuses: Some(stamp.covered),
                });
            }
        }
        let mut all = signature.certificates().to_vec();
        all.extend(certificates(&self.data.certificates));
        let judgement = judge(
            &Evidence {
                certificate: verified.certificate().clone(),
                algorithm: verified.algorithm(),
                certificates: all,
                ocsp_responses: ocsp_responses(&self.data.ocsp_responses),
                stamps,
                claimed: found.claimed_time().or(verified.claimed_time()),
            },
            self.trust,
            self.now,
        );
        report.verdict = own.and(judgement.verdict);
        report.when = judgement.when;
        report.validity = judgement.validity;
        report.class = judgement.class;
        report.level = judgement.level;
        report.revoked_later = judgement.revoked_later;
        report.renew_before = judgement.renew_before;
        report
    }
}
