//! What was found, in the words of the page: keys of texts and values.

use document_signature::{Addition, Class, Integrity, Refusal, SignatureReport, Validity, Verdict};
use evidence::{ContainerFinding, Direction};
use time::OffsetDateTime;

use crate::check::Outcome;

/// Most signatures or messages that a page lists.
const MOST_ROWS: usize = 100;

/// How a finding looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    /// Neither: not confirmed.
    Open,
}

impl Tone {
    /// Its class in the style sheet. The words say it too: nothing is told by colour alone.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Open => "open",
        }
    }

    const fn of_status(status: u8) -> Self {
        match status {
            0 => Self::Good,
            1 => Self::Bad,
            _ => Self::Open,
        }
    }
}

/// One signature.
#[derive(Debug)]
pub(crate) struct SignatureRow {
    pub(crate) tone: Tone,
    pub(crate) verdict: &'static str,
    pub(crate) who: Option<String>,
    /// Whether the name is that of a certificate whose authority is trusted.
    pub(crate) confirmed: bool,
    pub(crate) number: Option<String>,
    /// What a certificate holds that names no personal number.
    pub(crate) identifier: Option<String>,
    pub(crate) proven: Option<String>,
    pub(crate) claimed: Option<String>,
    pub(crate) whole: &'static str,
    pub(crate) added: Vec<&'static str>,
    pub(crate) then: &'static str,
    /// When the certificate was revoked after it signed.
    pub(crate) revoked_later: Option<String>,
    pub(crate) kind: &'static str,
    pub(crate) issuer: Option<String>,
    pub(crate) reason: Option<String>,
}

/// One message of X-Road.
#[derive(Debug)]
pub(crate) struct MessageRow {
    pub(crate) tone: Tone,
    pub(crate) verdict: &'static str,
    pub(crate) name: Option<String>,
    pub(crate) direction: Option<&'static str>,
    pub(crate) client: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) signer: Option<String>,
    pub(crate) confirmed: bool,
    pub(crate) proven: Option<String>,
    pub(crate) claimed: Option<String>,
    pub(crate) parts: usize,
}

/// Everything that the page of a result shows.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) tone: Tone,
    pub(crate) title: &'static str,
    /// The value in the title.
    pub(crate) count: String,
    pub(crate) text: &'static str,
    pub(crate) signatures: Vec<SignatureRow>,
    pub(crate) messages: Vec<MessageRow>,
    /// How many rows are not shown.
    pub(crate) hidden: usize,
    pub(crate) files: Vec<(String, u64)>,
    /// What the command would print.
    pub(crate) details: String,
}

/// A moment as the page shows it: Bishkek's time.
fn shown(at: OffsetDateTime) -> String {
    at.to_offset(time::macros::offset!(+6))
        .format(time::macros::format_description!(
            "[day].[month].[year] [hour]:[minute]:[second]"
        ))
        .unwrap_or_default()
}

/// Foreign text of many lines, without control characters and what turns the direction of writing.
fn lines(text: &str) -> String {
    let clean: Vec<String> = text.lines().map(document_signature::clean).collect();
    clean.join("\n")
}

impl Findings {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Document(report) => Self::of_document(report),
            Outcome::Message(report) => {
                let row = message(None, Ok(report));
                let details = report.to_string();
                Self::of_messages(vec![row], 0, outcome.exit_status(), &details)
            }
            Outcome::Archive(findings) => Self::of_archive(findings, outcome.exit_status()),
        }
    }

    fn of_document(report: &document_signature::Report) -> Self {
        let count = report.signatures.len();
        let changed = report
            .signatures
            .iter()
            .any(|one| matches!(one.integrity, Integrity::Changed { .. }));
        let (tone, title, text) = match (report.refusal, &report.verdict) {
            (Some(Refusal::Unsigned), _) => (Tone::Bad, "result-unsigned", "result-unsigned-text"),
            (Some(Refusal::OtherKind), _) => {
                (Tone::Open, "result-other-kind", "result-other-kind-text")
            }
            (Some(Refusal::TooLarge), _) => (Tone::Open, "result-other-kind", "error-too-large"),
            (Some(Refusal::Damaged), _) => (Tone::Bad, "result-damaged", "result-damaged-text"),
            (None, Verdict::Valid) if count == 1 => {
                (Tone::Good, "result-valid", "result-valid-text")
            }
            (None, Verdict::Valid) => (Tone::Good, "result-valid-many", "result-valid-text"),
            (None, Verdict::Invalid { .. }) if changed => {
                (Tone::Bad, "result-changed", "result-changed-text")
            }
            (None, Verdict::Invalid { .. }) => (Tone::Bad, "result-invalid", "result-invalid-text"),
            (None, Verdict::Incomplete { .. }) => (Tone::Open, "result-open", "result-open-text"),
        };
        let clean = document_signature::clean;
        Self {
            tone,
            title,
            count: count.to_string(),
            text,
            signatures: report
                .signatures
                .iter()
                .take(MOST_ROWS)
                .map(signature)
                .collect(),
            messages: Vec::new(),
            hidden: count.saturating_sub(MOST_ROWS),
            files: report
                .files
                .iter()
                .take(MOST_ROWS)
                .map(|(name, bytes)| (clean(name), *bytes))
                .collect(),
            details: lines(&report.to_string()),
        }
    }

    fn of_archive(findings: &[ContainerFinding], status: u8) -> Self {
        // What does not hold comes first.
        let mut order: Vec<&ContainerFinding> = findings.iter().collect();
        order.sort_by_key(|finding| match finding.exit_status() {
            1 => 0,
            2 => 1,
            _ => 2,
        });
        let shown = || order.iter().take(MOST_ROWS);
        let rows = shown()
            .map(|finding| message(Some(&finding.name), finding.report.as_ref()))
            .collect();
        let mut details = String::new();
        for finding in shown() {
            details.push_str(&finding.name);
            details.push('\n');
            match &finding.report {
                Ok(report) => details.push_str(&report.to_string()),
                Err(error) => {
                    details.push_str("verdict:    invalid: ");
                    details.push_str(error);
                }
            }
            if let Some(reason) = &finding.no_configuration {
                details.push_str("\n            the configuration to judge by: ");
                details.push_str(reason);
            }
            details.push_str("\n\n");
        }
        let hidden = findings.len().saturating_sub(MOST_ROWS);
        Self::of_messages(rows, hidden, status, &details)
    }

    fn of_messages(rows: Vec<MessageRow>, hidden: usize, status: u8, details: &str) -> Self {
        let tone = Tone::of_status(status);
        let (title, text) = match tone {
            Tone::Good if rows.len() == 1 => ("result-message-valid", "result-message-text"),
            Tone::Good => ("result-messages-valid", "result-message-text"),
            Tone::Bad => ("result-message-invalid", "result-invalid-text"),
            Tone::Open => ("result-open", "result-open-text"),
        };
        Self {
            tone,
            title,
            count: (rows.len() + hidden).to_string(),
            text,
            signatures: Vec::new(),
            messages: rows,
            hidden,
            files: Vec::new(),
            details: lines(details),
        }
    }
}

fn signature(report: &SignatureReport) -> SignatureRow {
    let clean = document_signature::clean;
    let changed = matches!(report.integrity, Integrity::Changed { .. });
    let (tone, verdict) = match &report.verdict {
        Verdict::Valid => (Tone::Good, "signature-valid"),
        Verdict::Invalid { .. } if changed => (Tone::Bad, "signature-changed"),
        Verdict::Invalid { .. } => (Tone::Bad, "signature-invalid"),
        Verdict::Incomplete { .. } => (Tone::Open, "signature-open"),
    };
    let (whole, added) = match &report.integrity {
        Integrity::Whole { added } => {
            let mut keys: Vec<&'static str> = added
                .iter()
                .map(|addition| match addition {
                    Addition::Signature(_) => "added-signature",
                    Addition::TimeStamp(_) => "added-time-stamp",
                    Addition::ValidationData => "added-data",
                    Addition::Description => "added-description",
                })
                .collect();
            keys.sort_unstable();
            keys.dedup();
            ("whole-yes", keys)
        }
        Integrity::Changed { .. } => ("whole-no", Vec::new()),
        Integrity::Unknown { .. } => ("whole-unknown", Vec::new()),
    };
    let confirmed = report.validity == Validity::Valid;
    SignatureRow {
        tone,
        verdict,
        who: report.signer.as_ref().map(|signer| clean(&signer.name)),
        confirmed,
        number: report
            .signer
            .as_ref()
            .and_then(|signer| signer.number.as_deref())
            .map(clean),
        identifier: report
            .signer
            .as_ref()
            .and_then(|signer| signer.identifier.as_deref())
            .map(clean),
        proven: report.when.proven.map(shown),
        claimed: report.when.claimed.map(shown),
        whole,
        added,
        then: match report.validity {
            Validity::Valid => "then-yes",
            Validity::NotValid { .. } => "then-no",
            Validity::Unknown { .. } => "then-unknown",
        },
        revoked_later: report.revoked_later.map(shown),
        kind: match report.class {
            Some(Class::Qualified) => "kind-qualified",
            Some(Class::Simple) => "kind-simple",
            Some(Class::Other) => "kind-other",
            None => "kind-unknown",
        },
        issuer: report.signer.as_ref().map(|signer| clean(&signer.issuer)),
        reason: report.reason.as_deref().map(clean),
    }
}

fn message(name: Option<&str>, report: Result<&evidence::Report, &String>) -> MessageRow {
    let clean = document_signature::clean;
    let name = name.map(clean).filter(|name| !name.is_empty());
    let Ok(report) = report else {
        return MessageRow {
            tone: Tone::Bad,
            verdict: "signature-invalid",
            name,
            direction: None,
            client: None,
            service: None,
            signer: None,
            confirmed: false,
            proven: None,
            claimed: None,
            parts: 0,
        };
    };
    let tone = Tone::of_status(report.verdict.exit_status());
    let parties = report.message.as_ref();
    MessageRow {
        tone,
        verdict: match tone {
            Tone::Good => "signature-valid",
            Tone::Bad => "signature-invalid",
            Tone::Open => "signature-open",
        },
        name,
        direction: parties.map(|parties| match parties.direction {
            Direction::Request => "message-request",
            Direction::Response => "message-response",
        }),
        client: parties.map(|parties| clean(&parties.client.path())),
        service: parties.map(|parties| clean(&parties.service.path())),
        signer: report.signer.as_ref().map(|signer| clean(&signer.member)),
        confirmed: report.signer.as_ref().is_some_and(|signer| signer.verified),
        proven: report.time_stamp.as_ref().map(|stamp| shown(stamp.time)),
        claimed: report.signing_time.map(shown),
        parts: report
            .parts
            .iter()
            .filter(|part| part.state == evidence::PartState::Signed)
            .count(),
    }
}
