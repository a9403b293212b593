//! Containers with any files.

use asic::files::{Files, FilesError};
use pki::Certificate;
use time::OffsetDateTime;
use xmldsig::baseline::{Baseline, StampKind};
use xmldsig::{SignatureError, SignaturePolicyRule};

use crate::judge::{Evidence, Stamp, certificates, judge, ocsp_responses};
use crate::report::{
    Format, Integrity, Level, Refusal, Report, SignatureReport, Signer, Validity, Verdict, When,
};
use crate::trust::Trust;

/// Most bytes that are hashed for one container: a small one can unpack to large files under a thousand signatures.
const MOST_HASHED: u64 = 8 << 30;

pub(crate) fn verify(container: &[u8], trust: Option<&Trust>, now: OffsetDateTime) -> Report {
    let files = match Files::open(container) {
        Ok(files) => files,
        Err(error) => {
            // Many other kinds of files are zips too.
            let refusal = match error {
                FilesError::MimeType => Refusal::OtherKind,
                _ => Refusal::Damaged,
            };
            return Report::refused(Format::Container, refusal, error.to_string());
        }
    };
    let mut report = Report {
        format: Format::Container,
        verdict: Verdict::Valid,
        signatures: Vec::new(),
        files: files
            .files()
            .iter()
            .map(|file| (file.name.clone(), file.bytes.len() as u64))
            .collect(),
        notes: Vec::new(),
        refusal: None,
    };
    let signatures: Vec<_> = files
        .signatures()
        .map(|(place, document)| (place, Baseline::decode(document)))
        .collect();
    // Each signature is compared with all files, and so is each archive time-stamp in it.
    let decoded = signatures.iter().flat_map(|(_, signature)| signature);
    let passes: u64 = decoded
        .map(|signature| 1 + signature.stamps().len() as u64)
        .sum();
    let bytes: u64 = report.files.iter().map(|(_, bytes)| bytes).sum();
    if bytes.saturating_mul(passes) > MOST_HASHED {
        let error = FilesError::TooLarge("signatures over so many bytes");
        return Report::refused(Format::Container, Refusal::Damaged, error.to_string());
    }
    for (place, signature) in signatures {
        report
            .signatures
            .push(one(&files, place, signature, trust, now));
    }
    if report.signatures.is_empty() {
        report.verdict = Verdict::invalid("the container is not signed");
        report.refusal = Some(Refusal::Unsigned);
    }
    report
        .signatures
        .sort_by_key(|signature| (signature.when.proven.is_none(), signature.when.proven));
    report.concluded()
}

fn one(
    files: &Files,
    place: &str,
    signature: Result<Baseline, SignatureError>,
    trust: Option<&Trust>,
    now: OffsetDateTime,
) -> SignatureReport {
    let mut report = SignatureReport {
        place: place.to_owned(),
        verdict: Verdict::Valid,
        signer: None,
        class: None,
        when: When::default(),
        integrity: Integrity::Whole { added: Vec::new() },
        validity: Validity::Unknown {
            reason: "the signature does not hold".to_owned(),
        },
        level: Level::B,
        revoked_later: None,
        renew_before: None,
        reason: None,
    };
    let mut refuse = |error: &SignatureError| {
        report.verdict = Verdict::invalid(error.to_string());
        report.integrity = Integrity::Unknown {
            reason: error.to_string(),
        };
        report.clone()
    };
    let signature = match signature {
        Ok(signature) => signature,
        Err(error) => return refuse(&error),
    };
    let certificate = match Certificate::decode(signature.signature().certificate_der()) {
        Ok(certificate) => certificate,
        Err(error) => return refuse(&SignatureError::Certificates(error.to_string())),
    };
    let rule = SignaturePolicyRule::STRICT.policy_not_required();
    let value = match signature
        .signature()
        .clone()
        .verify_value(&certificate, rule)
    {
        Ok(value) => value,
        Err(error) => return refuse(&error),
    };
    if let Err(error) = files.check_covered(&signature) {
        let mut report = refuse(&error);
        report.integrity = Integrity::Changed {
            reason: error.to_string(),
        };
        report.signer = Some(Signer::of(&certificate));
        report.when.claimed = signature.signature().signing_time();
        return report;
    }
    report.signer = Some(Signer::of(&certificate));
    let stamps = signature
        .stamps()
        .iter()
        .map(|stamp| Stamp {
            token: stamp.token().to_vec(),
            digest: Box::new(move |algorithm| {
                stamp.digest(algorithm, &|uri, hasher| files.hash(uri, hasher))
            }),
            covers_statuses: match stamp.kind() {
                StampKind::Signature => None,
                StampKind::Archive => Some(stamp.covered_ocsp_responses()),
            },
        })
        .collect();
    let judgement = judge(
        &Evidence {
            algorithm: value.signature().algorithm(),
            certificate,
            certificates: certificates(signature.certificates()),
            ocsp_responses: ocsp_responses(signature.ocsp_responses()),
            stamps,
            claimed: signature.signature().signing_time(),
        },
        trust,
        now,
    );
    report.verdict = judgement.verdict;
    report.when = judgement.when;
    report.validity = judgement.validity;
    report.class = judgement.class;
    report.level = judgement.level;
    report.revoked_later = judgement.revoked_later;
    report.renew_before = judgement.renew_before;
    report
}
