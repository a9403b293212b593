//! The register of certificates as a directory: one file a certificate, each
//! replaced as a whole, so that a crash leaves the old or the new entry.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use ca::{Entry, Register, RegisterError, RevocationReason, Serial, Status};
use pki::{Certificate, Name};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const FIRST_LINE: &str = "tunduk certificate 1";
/// Longest entry that is read: a certificate of the greatest length in PEM, and its lines.
const MAX_ENTRY_LENGTH: u64 = 128 * 1024;

/// The register in a directory. An entry is `SERIAL.pem`: lines for people and
/// for us, then the certificate. Every file is written beside, synced and renamed.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The register in `path`, which exists.
    pub fn new(path: PathBuf) -> Self {
        Directory { path }
    }

    fn entry_path(&self, serial: &Serial) -> PathBuf {
        self.path.join(format!("{serial}.pem"))
    }

    /// Every entry, in the order of the serial numbers. Reads all files.
    ///
    /// # Errors
    /// See [`RegisterError`].
    pub fn entries(&self) -> Result<Vec<Entry>, RegisterError> {
        let mut serials = Vec::new();
        for file in fs::read_dir(&self.path).map_err(|error| failed(&self.path, &error))? {
            let file = file.map_err(|error| failed(&self.path, &error))?;
            let name = file.file_name();
            let serial = name
                .to_str()
                .and_then(|name| name.strip_suffix(".pem"))
                .and_then(|hexadecimal| hex::decode(hexadecimal).ok())
                .and_then(|octets| Serial::from_octets(&octets));
            serials.extend(serial);
        }
        serials.sort_unstable();
        let mut entries = Vec::with_capacity(serials.len());
        for serial in serials {
            entries.extend(self.find(&serial)?);
        }
        Ok(entries)
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> RegisterError {
    RegisterError(format!("{}: {error}", path.display()))
}

impl Register for Directory {
    fn find(&self, serial: &Serial) -> Result<Option<Entry>, RegisterError> {
        let path = self.entry_path(serial);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, &error)),
        };
        let mut text = String::new();
        file.take(MAX_ENTRY_LENGTH)
            .read_to_string(&mut text)
            .map_err(|error| failed(&path, &error))?;
        match decode(*serial, &text) {
            Some(entry) => Ok(Some(entry)),
            None => Err(failed(&path, &"the entry is damaged")),
        }
    }

    fn store(&self, entry: &Entry) -> Result<(), RegisterError> {
        let path = self.entry_path(&entry.serial);
        let text = encode(entry).map_err(|error| failed(&path, &error))?;
        write_durably(&path, text.as_bytes(), false).map_err(|error| failed(&path, &error))
    }
}

/// Writes a file so that after a crash it has its old or its new contents, and
/// on return its new ones. `secret`: readable by the owner only.
pub(crate) fn write_durably(path: &Path, contents: &[u8], secret: bool) -> io::Result<()> {
    let parent = path
        .parent()
        .ok_or_else(|| io::Error::other("the path has no directory"))?;
    let temporary = parent.join(format!(".{}", uuid::Uuid::new_v4().simple()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(if secret { 0o600 } else { 0o644 });
    }
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if let Err(error) = written {
        // The old file stands; what was half-written is of no use to anybody.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_directory(parent)
}

/// Makes renames and new names within a directory survive a crash.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

fn encode(entry: &Entry) -> Result<String, time::error::Format> {
    let status = match entry.status {
        Status::Intended => "intended".to_owned(),
        Status::Issued => "issued".to_owned(),
        Status::Revoked { at, reason } => {
            format!("revoked {} {}", at.format(&Rfc3339)?, reason.number())
        }
    };
    let certificate = entry
        .certificate
        .as_ref()
        .map(Certificate::to_pem)
        .unwrap_or_default();
    Ok(format!(
        "{FIRST_LINE}\nstatus: {status}\nsubject: {}\nsubject-der: {}\n{certificate}",
        entry.subject,
        hex::encode(entry.subject.der()),
    ))
}

fn decode(serial: Serial, text: &str) -> Option<Entry> {
    let mut lines = text.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let status = lines.next()?.strip_prefix("status: ")?;
    let _for_people = lines.next()?.strip_prefix("subject: ")?;
    let subject = lines.next()?.strip_prefix("subject-der: ")?;
    let subject = Name::decode(&hex::decode(subject).ok()?).ok()?;
    let mut words = status.split(' ');
    let status = match words.next()? {
        "intended" => Status::Intended,
        "issued" => Status::Issued,
        "revoked" => Status::Revoked {
            at: OffsetDateTime::parse(words.next()?, &Rfc3339).ok()?,
            reason: RevocationReason::from_number(words.next()?.parse().ok()?)?,
        },
        _ => return None,
    };
    let certificate = match status {
        Status::Intended => None,
        Status::Issued | Status::Revoked { .. } => {
            let certificate = Certificate::from_pem(text).ok()?;
            if certificate.serial() != serial.octets() {
                return None;
            }
            Some(certificate)
        }
    };
    Some(Entry {
        serial,
        subject,
        status,
        certificate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pki::AttributeType;
    use time::macros::datetime;

    fn entry(status: Status) -> Entry {
        Entry {
            serial: Serial::from_random([5; 16]),
            subject: Name::builder()
                .push(AttributeType::CommonName, "two\nlines")
                .build()
                .unwrap(),
            status,
            certificate: None,
        }
    }

    #[test]
    fn entries_are_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::new(folder.path().to_owned());
        let entry = entry(Status::Intended);
        assert_eq!(directory.find(&entry.serial).unwrap(), None);
        directory.store(&entry).unwrap();
        directory.store(&entry).unwrap();
        assert_eq!(directory.find(&entry.serial).unwrap(), Some(entry.clone()));
        assert_eq!(directory.entries().unwrap(), std::slice::from_ref(&entry));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // A damaged entry is an error, not an unknown certificate.
        fs::write(directory.entry_path(&entry.serial), FIRST_LINE).unwrap();
        assert!(directory.find(&entry.serial).is_err());
    }

    #[test]
    fn a_revoked_entry_without_its_certificate_is_damaged() {
        let entry = entry(Status::Revoked {
            at: datetime!(2026-11-24 12:00 UTC),
            reason: RevocationReason::Superseded,
        });
        let text = encode(&entry).unwrap();
        assert!(text.contains("status: revoked 2026-11-24T12:00:00Z 4\n"));
        assert_eq!(
            text.lines().count(),
            4,
            "a subject cannot add lines: {text}"
        );
        assert_eq!(decode(entry.serial, &text), None);
    }
}
