//! What the verification of a container found, in words and in data.

use crate::message::{Direction, MessageKind, MessageParties};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything named by the signature is there and everything holds.
    Valid,
    /// Something does not hold, or a part without which nothing can hold is missing.
    Invalid {
        /// X-Road's code, spelling of 7.8, without the prefix of a side.
        code: String,
        /// One plain sentence.
        reason: String,
    },
    /// Nothing is wrong, but not everything that is needed for a verdict is there.
    Incomplete {
        /// Names of attachments that are not there; empty if the configuration is missing.
        missing: Vec<String>,
        /// One plain sentence.
        reason: String,
    },
}

impl Verdict {
    /// The exit status of a command that says so: 0, 1, 2.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        match self {
            Verdict::Valid => 0,
            Verdict::Invalid { .. } => 1,
            Verdict::Incomplete { .. } => 2,
        }
    }
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerReport {
    /// The member as identifiers in a path write it: `INST/CLASS/CODE`. Until `verified`, this is
    /// whom the message names.
    pub member: String,
    /// Subject of the signing certificate, RFC 2253.
    pub subject: String,
    /// Issuer of the signing certificate, RFC 2253.
    pub issuer: String,
    /// Serial number, decimal.
    pub serial: String,
    /// Whether chain, subject and status were verified at the time of the stamp.
    pub verified: bool,
}

/// When it was signed at the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeStampReport {
    /// The time that the authority stamped.
    pub time: OffsetDateTime,
    /// Subject of the authority's certificate, RFC 2253.
    pub authority: String,
    /// Whether it is the time stamp of a batch.
    pub batch: bool,
}

/// State of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartState {
    /// There and covered by the signature.
    Signed,
    /// Covered by the signature, but not there.
    Absent,
    /// There; whether it is covered was not established.
    Unverified,
}

/// One part of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartReport {
    /// The name in the container, for instance `message.xml`.
    pub name: String,
    /// Size in bytes, if it is there.
    pub bytes: Option<u64>,
    /// What is known of it.
    pub state: PartState,
}

/// Who, when, what, and the verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The outcome.
    pub verdict: Verdict,
    /// The parties that the message names.
    pub message: Option<MessageParties>,
    /// Who signed.
    pub signer: Option<SignerReport>,
    /// When it was signed at the latest; only a verified time stamp appears here.
    pub time_stamp: Option<TimeStampReport>,
    /// When the signer says to have signed.
    pub signing_time: Option<OffsetDateTime>,
    /// The parts of the message.
    pub parts: Vec<PartReport>,
    /// What is odd, but does not decide.
    pub warnings: Vec<String>,
}

impl Report {
    pub(crate) fn empty() -> Report {
        Report {
            verdict: Verdict::Valid,
            message: None,
            signer: None,
            time_stamp: None,
            signing_time: None,
            parts: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Whether the verdict is [`Verdict::Valid`].
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.verdict == Verdict::Valid
    }
}

fn written(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

/// Control characters of foreign text never reach a terminal.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(message) = &self.message {
            let kind = match message.kind {
                MessageKind::Soap => "SOAP",
                MessageKind::Rest => "REST",
            };
            let direction = match message.direction {
                Direction::Request => "request",
                Direction::Response => "response",
            };
            write!(f, "message:    {kind} {direction}")?;
            if let Some(id) = &message.id {
                write!(f, ", id {}", clean(id))?;
            }
            writeln!(f)?;
            writeln!(f, "client:     {}", message.client.path())?;
            writeln!(f, "service:    {}", message.service.path())?;
        }
        if let Some(signer) = &self.signer {
            let state = if signer.verified {
                ""
            } else {
                " (not verified)"
            };
            writeln!(f, "signed by:  {}{state}", clean(&signer.member))?;
            writeln!(
                f,
                "            certificate of {}, number {}, issued by {}",
                clean(&signer.subject),
                signer.serial,
                clean(&signer.issuer)
            )?;
        }
        match &self.time_stamp {
            Some(stamp) => writeln!(
                f,
                "at latest:  {} ({}stamped by {})",
                written(stamp.time),
                if stamp.batch { "in a batch, " } else { "" },
                clean(&stamp.authority)
            )?,
            None => writeln!(f, "at latest:  not established")?,
        }
        if let Some(time) = self.signing_time {
            writeln!(f, "claimed:    {}", written(time))?;
        }
        for part in &self.parts {
            let state = match part.state {
                PartState::Signed => "signed",
                PartState::Absent => "signed, but not there",
                PartState::Unverified => "not verified",
            };
            match part.bytes {
                Some(bytes) => {
                    writeln!(
                        f,
                        "part:       {} ({bytes} bytes): {state}",
                        clean(&part.name)
                    )?;
                }
                None => writeln!(f, "part:       {}: {state}", clean(&part.name))?,
            }
        }
        for warning in &self.warnings {
            writeln!(f, "note:       {}", clean(warning))?;
        }
        match &self.verdict {
            Verdict::Valid => write!(f, "verdict:    valid"),
            Verdict::Invalid { code, reason } => {
                write!(f, "verdict:    invalid ({code}): {}", clean(reason))
            }
            Verdict::Incomplete { reason, .. } => {
                write!(f, "verdict:    incomplete: {}", clean(reason))
            }
        }
    }
}
