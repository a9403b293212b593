//! Encrypting and decrypting with `age`, as streams.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use aws_lc_rs::digest::{Context, SHA256};

use crate::BackupError;

/// The program; Debian's package has the same name.
const AGE: &str = "age";
/// How much is copied at a time.
const CHUNK: usize = 1024 * 1024;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// SHA-256 of the encrypted file, in hexadecimal.
    pub sha256: String,
    /// Its length, in bytes.
    pub bytes: u64,
}

fn program(error: &dyn std::fmt::Display) -> BackupError {
    BackupError::Program {
        program: AGE,
        said: format!("{error}; install the package age"),
    }
}

fn in_file(path: &Path) -> impl Fn(std::io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File {
        path: path.clone(),
        source,
    }
}

/// Ends with the program: it must have been content.
fn ended(mut child: Child) -> Result<(), BackupError> {
    let mut said = String::new();
    if let Some(mut wrong) = child.stderr.take() {
        // What it says is told only if it failed.
        let _ = wrong.read_to_string(&mut said);
    }
    let status = child.wait().map_err(|error| program(&error))?;
    if status.success() {
        Ok(())
    } else {
        Err(BackupError::Program {
            program: AGE,
            said: said.trim().to_owned(),
        })
    }
}

/// Encrypts what comes for everybody in a file of recipients (`age -R`), into a new file that is flushed to the disk.
/// Whether all of it came, whoever sends it knows.
///
/// # Errors
/// See [`BackupError`].
pub fn seal(recipients: &Path, plain: impl Into<Stdio>, path: &Path) -> Result<Seal, BackupError> {
    let mut age = Command::new(AGE)
        .arg("--encrypt")
        .arg("--recipients-file")
        .arg(recipients)
        .stdin(plain)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| program(&error))?;
    let mut file = File::create_new(path).map_err(in_file(path))?;
    let mut hash = Context::new(&SHA256);
    let mut bytes = 0;
    let mut chunk = vec![0; CHUNK];
    if let Some(mut sealed) = age.stdout.take() {
        loop {
            let length = sealed.read(&mut chunk).map_err(|error| program(&error))?;
            let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else {
                break;
            };
            hash.update(read);
            file.write_all(read).map_err(in_file(path))?;
            bytes += read.len() as u64;
        }
    }
    ended(age)?;
    file.sync_all().map_err(in_file(path))?;
    Ok(Seal {
        sha256: hex::encode(hash.finish().as_ref()),
        bytes,
    })
}

/// Whether a file is the one that was written.
///
/// # Errors
/// [`BackupError::Changed`] if it is not; it cannot be read.
pub fn check(path: &Path, seal: &Seal) -> Result<(), BackupError> {
    let mut file = File::open(path).map_err(in_file(path))?;
    let mut hash = Context::new(&SHA256);
    let mut bytes = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = file.read(&mut chunk).map_err(in_file(path))?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else {
            break;
        };
        hash.update(read);
        bytes += read.len() as u64;
    }
    if bytes == seal.bytes && hex::encode(hash.finish().as_ref()) == seal.sha256 {
        Ok(())
    } else {
        Err(BackupError::Changed(path.to_owned()))
    }
}

/// A file that is being decrypted.
#[derive(Debug)]
pub struct Opening {
    age: Child,
}

impl Opening {
    /// What comes out of it, for whoever takes it in; once.
    #[must_use]
    pub fn plain(&mut self) -> Option<ChildStdout> {
        self.age.stdout.take()
    }

    /// Everything was read: it must have been whole. Whatever was made of it before is of no use otherwise.
    ///
    /// # Errors
    /// The file was made for others, or was changed or cut off.
    pub fn end(self) -> Result<(), BackupError> {
        ended(self.age)
    }
}

/// Begins to decrypt a file with the private key in another (`age -i`).
///
/// # Errors
/// See [`BackupError`].
pub fn open(identity: &Path, path: &Path) -> Result<Opening, BackupError> {
    let file = File::open(path).map_err(in_file(path))?;
    let age = Command::new(AGE)
        .arg("--decrypt")
        .arg("--identity")
        .arg(identity)
        .stdin(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| program(&error))?;
    Ok(Opening { age })
}
