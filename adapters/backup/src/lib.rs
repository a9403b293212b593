//! Copies of databases, encrypted for whoever keeps the other half of a key.
//!
//! A backup is a folder: one file for each database, encrypted with `age` (age-encryption.org/v1, so that any program
//! of that form opens it in ten years), and `manifest.json` that says what is in them. The machine that makes backups
//! holds public keys only: whoever takes it over, or the backups, reads nothing.

mod manifest;
mod sealed;

use std::path::PathBuf;

pub use manifest::{Contents, FORM, Kind, MANIFEST, Manifest, Part, TableContents};
pub use sealed::{Opening, Seal, check, open, seal};

/// Why a backup is not made or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// A program that does the work is missing or failed.
    #[error("{program}: {said}")]
    Program {
        /// Which.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// A file is not what the manifest says it is: changed, cut off, or another.
    #[error("{0} is not the file that the manifest describes: it was changed, cut off or replaced")]
    Changed(PathBuf),
    /// The manifest is none, or of another form.
    #[error("{path} is not the manifest of a backup that this program knows: {said}")]
    Manifest {
        /// Which.
        path: PathBuf,
        /// Why.
        said: String,
    },
}
