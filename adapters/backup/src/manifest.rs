//! What a backup says of itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::BackupError;

/// The manifest's file.
pub const MANIFEST: &str = "manifest.json";
/// The form of manifest and files.
pub const FORM: u32 = 1;
/// Longest manifest that is read, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Which kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// PostgreSQL: `pg_dump` in its custom form.
    Postgres,
    /// An SQLite file.
    Sqlite,
}

/// What is in a table. It says nothing about anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableContents {
    /// Its rows.
    pub rows: u64,
    /// A sum over all rows, whatever their order; none for SQLite, whose file is compared as a whole by its encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<String>,
}

/// What is in a database, by table.
pub type Contents = BTreeMap<String, TableContents>;

/// One database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name in this backup.
    pub name: String,
    /// Which kind of database.
    pub kind: Kind,
    /// The encrypted file beside the manifest.
    pub file: String,
    /// SHA-256 of the encrypted file.
    pub sha256: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// What was in the database at the moment that the copy shows.
    pub contents: Contents,
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form, [`FORM`].
    pub form: u32,
    /// When it was begun.
    #[serde(with = "time::serde::rfc3339")]
    pub begun_at: OffsetDateTime,
    /// The program that made it.
    pub program: String,
    /// The databases.
    pub parts: Vec<Part>,
}

impl Manifest {
    /// Reads the manifest of a backup.
    ///
    /// # Errors
    /// See [`BackupError`].
    pub fn read(folder: &Path) -> Result<Self, BackupError> {
        let path = folder.join(MANIFEST);
        let mut text = String::new();
        File::open(&path)
            .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
            .map_err(|source| BackupError::File {
                path: path.clone(),
                source,
            })?;
        let none = |said: String| BackupError::Manifest {
            path: path.clone(),
            said,
        };
        let manifest: Self =
            serde_json::from_str(&text).map_err(|error| none(error.to_string()))?;
        if manifest.form != FORM {
            return Err(none(format!("its form is {}, not {FORM}", manifest.form)));
        }
        for part in &manifest.parts {
            // A file beside the manifest and nowhere else.
            if !is_plain(&part.file) || !is_plain(&part.name) {
                return Err(none(format!("{:?} is no name", part.file)));
            }
        }
        Ok(manifest)
    }

    /// Writes the manifest, flushed to the disk: only then is it a backup.
    ///
    /// # Errors
    /// See [`BackupError`].
    pub fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let path = folder.join(MANIFEST);
        let failed = |source| BackupError::File {
            path: path.clone(),
            source,
        };
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        File::create_new(&path)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(failed)
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn manifest() -> Manifest {
        let table = TableContents {
            rows: 3,
            sum: Some("12".into()),
        };
        Manifest {
            form: FORM,
            begun_at: datetime!(2026-11-25 12:00 UTC),
            program: "tunduk 0.1.0".into(),
            parts: vec![Part {
                name: "identity".into(),
                kind: Kind::Postgres,
                file: "identity.age".into(),
                sha256: "00".into(),
                bytes: 5,
                contents: [("item".to_owned(), table)].into(),
            }],
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_once() {
        let folder = tempfile::tempdir().unwrap();
        manifest().write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), manifest());
        assert!(manifest().write(folder.path()).is_err(), "nothing is lost");
    }

    #[test]
    fn a_manifest_names_files_beside_it_only() {
        for file in ["../identity.age", "/etc/passwd", "", ".hidden", "a/b"] {
            let folder = tempfile::tempdir().unwrap();
            let mut manifest = manifest();
            manifest.parts[0].file = file.to_owned();
            manifest.write(folder.path()).unwrap();
            let refused = Manifest::read(folder.path());
            assert!(
                matches!(refused, Err(BackupError::Manifest { .. })),
                "{file}"
            );
        }
    }

    #[test]
    fn every_cut_of_a_manifest_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        manifest().write(folder.path()).unwrap();
        let path = folder.path().join(MANIFEST);
        let whole = std::fs::read(&path).unwrap();
        for end in 0..whole.len() - 2 {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert!(Manifest::read(folder.path()).is_err(), "{end}");
        }
    }
}
