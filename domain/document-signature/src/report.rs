//! What the verification of a document found, as data for pages and as text for people.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use pades::changes::Addition;

/// Kinds of signed documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A PDF file.
    Pdf,
    /// An ASiC-E container.
    Container,
    /// Something else.
    Unknown,
}

impl Format {
    /// The kind by the first bytes. That it is sound is not said.
    #[must_use]
    pub fn of(document: &[u8]) -> Format {
        if document.starts_with(b"%PDF-") {
            Format::Pdf
        } else if document.starts_with(b"PK\x03\x04") {
            Format::Container
        } else {
            Format::Unknown
        }
    }
}

/// Why there is no signature to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The file is larger than what is judged.
    TooLarge,
    /// It is neither a PDF file nor a container.
    OtherKind,
    /// It cannot be read, or can be read in two ways.
    Damaged,
    /// Nobody signed it.
    Unsigned,
}

/// The outcome, for a signature or for the whole document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything holds.
    Valid,
    /// Something does not hold.
    Invalid {
        /// What, one plain sentence.
        reason: String,
    },
    /// Nothing is wrong, but not everything that is needed for a verdict is there.
    Incomplete {
        /// What is missing, one plain sentence.
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

    /// The graver of two: invalid outweighs incomplete, for one is a finding and the other the lack of one.
    pub(crate) fn and(self, other: Verdict) -> Verdict {
        match (&self, &other) {
            (Verdict::Invalid { .. }, _) | (Verdict::Incomplete { .. }, Verdict::Valid) => self,
            (_, Verdict::Valid) => self,
            (_, Verdict::Invalid { .. }) | (Verdict::Valid, _) => other,
            (Verdict::Incomplete { .. }, Verdict::Incomplete { .. }) => self,
        }
    }

    pub(crate) fn invalid(reason: impl Into<String>) -> Verdict {
        Verdict::Invalid {
            reason: reason.into(),
        }
    }

    pub(crate) fn incomplete(reason: impl Into<String>) -> Verdict {
        Verdict::Incomplete {
            reason: reason.into(),
        }
    }
}

/// What a signature is worth by law, by the policy of its certificate and what the trust list lets the authority issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A qualified electronic signature.
    Qualified,
    /// A simple electronic signature.
    Simple,
    /// Neither: the certificate names no policy that the trust list knows, or names both.
    Other,
}

impl Class {
    /// The name in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Class::Qualified => "qualified signature",
            Class::Simple => "simple signature",
            Class::Other => "signature of no known class",
        }
    }
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The name in the certificate (CN).
    pub name: String,
    /// The personal number, 14 digits, if the certificate names one ([`ca::person_number`]).
    pub number: Option<String>,
    /// Another identification in the certificate (serialNumber), as it stands there.
    pub identifier: Option<String>,
    /// The certificate's subject, RFC 2253.
    pub subject: String,
    /// Its issuer, RFC 2253.
    pub issuer: String,
    /// Its serial number, decimal.
    pub serial: String,
    /// Its policies, dotted.
    pub policies: Vec<String>,
}

impl Signer {
    pub(crate) fn of(certificate: &pki::Certificate) -> Signer {
        let text = |name: &str| certificate.subject().get(name).map(str::to_owned);
        let subject = certificate.subject().rfc2253();
        let number = ca::person_number(certificate.subject()).map(str::to_owned);
        Signer {
            identifier: text("serialNumber").filter(|_| number.is_none()),
            name: text("CN").unwrap_or_else(|| subject.clone()),
            number,
            subject,
            issuer: certificate.issuer_rfc2253(),
            serial: certificate.serial_decimal(),
            policies: certificate.policies().to_vec(),
        }
    }
}

/// When it was signed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct When {
    /// At the latest, by a time-stamp that holds.
    pub proven: Option<OffsetDateTime>,
    /// Who stamped that: the subject of the authority's certificate, RFC 2253.
    pub authority: Option<String>,
    /// What the signer claims.
    pub claimed: Option<OffsetDateTime>,
}

/// Whether the document is what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// The document is exactly what was signed, up to what later came to it: signatures, time-stamps and validation data.
    Whole {
        /// What came later.
        added: Vec<Addition>,
    },
    /// It was changed, or the signature does not cover it.
    Changed {
        /// How.
        reason: String,
    },
    /// It cannot be said: the signature itself cannot be read, or is no signature.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Whether the signer's certificate was valid when the document was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validity {
    /// It was: issued by a trusted authority, in its time, not revoked.
    Valid,
    /// It was not.
    NotValid {
        /// Why.
        reason: String,
    },
    /// It cannot be said from what is there.
    Unknown {
        /// What is missing.
        reason: String,
    },
}

/// How much evidence a signature brings along (ETSI EN 319 142-1, 319 132-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// B-B: the signature alone.
    B,
    /// B-T: and a time-stamp over it.
    T,
    /// B-LT: and proof that the certificate was not revoked.
    LT,
    /// B-LTA: and a time-stamp over all that.
    LTA,
}

impl Level {
    /// `B-LTA`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::B => "B-B",
            Level::T => "B-T",
            Level::LT => "B-LT",
            Level::LTA => "B-LTA",
        }
    }
}

/// What was found about one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureReport {
    /// The name of its form field, or of its file in the container.
    pub place: String,
    /// The outcome for this signature.
    pub verdict: Verdict,
    /// Who signed; `None` if the signature cannot be read. Until the verdict is valid, this is whom it names.
    pub signer: Option<Signer>,
    /// Simple or qualified; `None` until the certificate is known to come from a trusted authority.
    pub class: Option<Class>,
    /// When.
    pub when: When,
    /// Whole or changed.
    pub integrity: Integrity,
    /// Valid when signed.
    pub validity: Validity,
    /// When the certificate was revoked after it signed, as far as the document knows; that changes nothing.
    pub revoked_later: Option<OffsetDateTime>,
    /// How much evidence it brings along, as far as that holds.
    pub level: Level,
    /// Until when its youngest time-stamp can be relied on; it should be renewed before.
    pub renew_before: Option<OffsetDateTime>,
    /// The reason that the signer gives.
    pub reason: Option<String>,
}

impl SignatureReport {
    /// Whether it is a valid signature of this class: what a service asks that accepts only one. A qualified signature
    /// also does where a simple one is enough.
    #[must_use]
    pub fn is(&self, class: Class) -> bool {
        self.verdict == Verdict::Valid
            && match (class, self.class) {
                (_, None) => false,
                (Class::Simple, Some(found)) => found != Class::Other,
                (wanted, Some(found)) => wanted == found,
            }
    }
}

/// What was found about a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The kind of document.
    pub format: Format,
    /// The outcome: of all signatures together.
    pub verdict: Verdict,
    /// The signatures, in the order in which they were made.
    pub signatures: Vec<SignatureReport>,
    /// The signed files of a container, with their sizes in bytes.
    pub files: Vec<(String, u64)>,
    /// What is odd, but does not decide.
    pub notes: Vec<String>,
    /// Why there are no signatures, if there are none.
    pub refusal: Option<Refusal>,
}

impl Report {
    pub(crate) fn refused(format: Format, refusal: Refusal, reason: impl Into<String>) -> Report {
        Report {
            format,
            refusal: Some(refusal),
            verdict: Verdict::invalid(reason),
            signatures: Vec::new(),
            files: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The whole document's verdict from those of its signatures.
    pub(crate) fn concluded(mut self) -> Report {
        for signature in &self.signatures {
            self.verdict = self.verdict.and(signature.verdict.clone());
        }
        self
    }
}

fn written(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

/// Control characters of foreign text never reach a terminal, nor do those that turn its direction.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                '\u{FFFD}'
            }
            c if c.is_control() => '\u{FFFD}',
            c => c,
        })
        .collect()
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Valid => write!(f, "valid"),
            Verdict::Invalid { reason } => write!(f, "invalid: {}", clean(reason)),
            Verdict::Incomplete { reason } => write!(f, "incomplete: {}", clean(reason)),
        }
    }
}

impl fmt::Display for SignatureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.class.map_or("signature", Class::name);
        writeln!(
            f,
            "signature:  {} ({class}, {})",
            clean(&self.place),
            self.level.name()
        )?;
        match &self.signer {
            Some(signer) => {
                let unverified = match self.validity {
                    Validity::Valid => "",
                    _ => " (not verified)",
                };
                write!(f, "who:        {}", clean(&signer.name))?;
                if let Some(number) = &signer.number {
                    write!(f, ", personal number {}", clean(number))?;
                }
                if let Some(identifier) = &signer.identifier {
                    write!(f, ", identified as {}", clean(identifier))?;
                }
                writeln!(f, "{unverified}")?;
                writeln!(
                    f,
                    "            certificate of {}, number {}, issued by {}",
                    clean(&signer.subject),
                    signer.serial,
                    clean(&signer.issuer)
                )?;
            }
            None => writeln!(f, "who:        not established")?,
        }
        match (&self.when.proven, &self.when.authority) {
            (Some(time), Some(authority)) => writeln!(
                f,
                "when:       {} at the latest (stamped by {})",
                written(*time),
                clean(authority)
            )?,
            _ => writeln!(f, "when:       not established")?,
        }
        if let Some(time) = self.when.claimed {
            writeln!(f, "            {} is what the signer claims", written(time))?;
        }
        match &self.integrity {
            Integrity::Whole { added } => {
                writeln!(f, "document:   whole, as it was signed")?;
                for addition in added {
                    match addition {
                        Addition::Signature(field) => {
                            writeln!(f, "            later: the signature {}", clean(field))?;
                        }
                        Addition::TimeStamp(field) => {
                            writeln!(f, "            later: the time-stamp {}", clean(field))?;
                        }
                        Addition::ValidationData => {
                            writeln!(f, "            later: data for verification")?;
                        }
                        Addition::Description => {
                            writeln!(
                                f,
                                "            later: a description of the file, on no page"
                            )?;
                        }
                    }
                }
            }
            Integrity::Changed { reason } => {
                writeln!(f, "document:   changed: {}", clean(reason))?;
            }
            Integrity::Unknown { reason } => {
                writeln!(f, "document:   not established: {}", clean(reason))?;
            }
        }
        match &self.validity {
            Validity::Valid => writeln!(f, "then valid: yes")?,
            Validity::NotValid { reason } => writeln!(f, "then valid: no: {}", clean(reason))?,
            Validity::Unknown { reason } => {
                writeln!(f, "then valid: not established: {}", clean(reason))?;
            }
        }
        if let Some(time) = self.revoked_later {
            writeln!(
                f,
                "            revoked later, {}, which changes nothing",
                written(time)
            )?;
        }
        if let Some(time) = self.renew_before {
            writeln!(
                f,
                "renew:      its time-stamp can be relied on until {}",
                written(time)
            )?;
        }
        writeln!(f, "            {}", self.verdict)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, bytes) in &self.files {
            writeln!(f, "file:       {} ({bytes} bytes)", clean(name))?;
        }
        for signature in &self.signatures {
            write!(f, "{signature}")?;
        }
        for note in &self.notes {
            writeln!(f, "note:       {}", clean(note))?;
        }
        writeln!(f, "verdict:    {}", self.verdict)
    }
}
