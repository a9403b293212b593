//! Judging a file, as `tunduk verify` does.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use config::{ConfigError, VerificationSettings, load_directory, read_trust_list};
use document_signature::Trust;
use evidence::{
    Archive, ArchiveError, ArchiveLimits, ContainerFinding, EvidenceKind, JudgedBy, Options,
    gravest, verify_container,
};
use globalconf::{Anchor, GlobalConfiguration};
use time::OffsetDateTime;

/// Bounds of evidence that a stranger sends: what is unpacked and held in memory at once.
const ARCHIVE_LIMITS: ArchiveLimits = ArchiveLimits {
    entries: 10_000,
    file_bytes: 16 << 20,
    configuration_bytes: 64 << 20,
    container_bytes: 256 << 20,
    total_bytes: 1 << 30,
};

fn container_options() -> Options {
    let mut options = Options::default();
    options.limits.entries = 1_000;
    options.limits.message = 64 << 20;
    options.limits.attachment = 256 << 20;
    options
}

/// What was found about a file.
#[derive(Debug)]
pub enum Outcome {
    /// It is a document, signed or not, or something else.
    Document(Box<document_signature::Report>),
    /// It is a message of X-Road.
    Message(Box<evidence::Report>),
    /// It is an archive of such messages.
    Archive(Vec<ContainerFinding>),
}

impl Outcome {
    /// The exit status of a command that says so: 0 valid, 1 invalid, 2 not everything is there.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Document(report) => report.verdict.exit_status(),
            Self::Message(report) => report.verdict.exit_status(),
            Self::Archive(findings) => findings
                .iter()
                .map(ContainerFinding::exit_status)
                .fold(0, gravest),
        }
    }

    /// The kind of file, in one word for the log.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Document(_) => "document",
            Self::Message(_) => "message",
            Self::Archive(_) => "archive",
        }
    }
}

/// What files are judged by.
#[derive(Debug)]
pub struct Checker {
    trust: Trust,
    anchor: Option<Anchor>,
    globalconf: Option<PathBuf>,
}

impl Checker {
    /// Reads the trust list and the anchor.
    ///
    /// # Errors
    /// They cannot be read; the administrator is at fault.
    pub fn new(settings: &VerificationSettings) -> Result<Self, ConfigError> {
        let anchor = match &settings.anchor {
            None => None,
            Some(path) => {
                let bytes = std::fs::read(path).map_err(|source| ConfigError::Read {
                    path: path.clone(),
                    source,
                })?;
                let anchor = Anchor::decode(&bytes).map_err(|error| ConfigError::Value {
                    path: path.clone(),
                    message: error.to_string(),
                })?;
                Some(anchor)
            }
        };
        Ok(Self {
            trust: read_trust_list(&settings.trust)?,
            anchor,
            globalconf: settings.globalconf.clone(),
        })
    }

    /// Judges a file as of `now`. Blocks for as long as that takes.
    ///
    /// # Errors
    /// The file cannot be read, or there is no room to unpack it: our fault.
    pub fn check(&self, mut file: File, now: OffsetDateTime) -> io::Result<Outcome> {
        match EvidenceKind::of(&file) {
            None => {
                file.seek(SeekFrom::Start(0))?;
                let mut document = Vec::new();
                file.read_to_end(&mut document)?;
                let report = document_signature::verify(&document, Some(&self.trust), now);
                Ok(Outcome::Document(Box::new(report)))
            }
            Some(EvidenceKind::Container) => {
                file.seek(SeekFrom::Start(0))?;
                let configuration = self.configuration();
                let report = verify_container(file, configuration.as_ref(), &container_options())
                    .map_err(io::Error::other)?;
                Ok(Outcome::Message(Box::new(report)))
            }
            Some(EvidenceKind::Archive) => self.check_archive(&file),
        }
    }

    /// The stored configuration as it is now: a Security Server or `tunduk globalconf fetch` renews it.
    fn configuration(&self) -> Option<GlobalConfiguration> {
        let directory = self.globalconf.as_deref()?;
        match load_directory(directory) {
            Ok(configuration) => Some(configuration),
            Err(error) => {
                tracing::error!(%error, "the stored configuration cannot be used");
                None
            }
        }
    }

    fn check_archive(&self, file: &File) -> io::Result<Outcome> {
        let mut findings = Vec::new();
        let damaged = |name: &str, reason: String| ContainerFinding {
            name: name.to_owned(),
            report: Err(reason),
            no_configuration: None,
        };
        let Some(archive) = Archive::open(file, ARCHIVE_LIMITS) else {
            findings.push(damaged(
                "",
                "the archive is larger than what is judged here".to_owned(),
            ));
            return Ok(Outcome::Archive(findings));
        };
        let configuration = match &self.anchor {
            Some(_) => None,
            None => self.configuration(),
        };
        let by = match (&self.anchor, &configuration) {
            (Some(anchor), _) => JudgedBy::Anchor(anchor),
            (None, Some(configuration)) => JudgedBy::Configuration(configuration),
            (None, None) => JudgedBy::Nothing,
        };
        let judged = archive.judge(by, &container_options(), tempfile::tempfile, |finding| {
            findings.push(finding);
        });
        match judged {
            Ok(()) => Ok(Outcome::Archive(findings)),
            Err(ArchiveError::Scratch { error, .. }) => Err(error),
            Err(ArchiveError::Damaged(reason)) => {
                findings.push(damaged("", reason));
                Ok(Outcome::Archive(findings))
            }
        }
    }
}
