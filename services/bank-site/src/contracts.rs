//! The bank's contracts, in a directory: for each a description, the deed as it was drawn up, and the signed deed.
//!
//! A file is there whole or not at all, and what was said to be signed is on the disk.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::loan::{Borrower, Terms};

/// Deeds of one person that wait for a signature at the same time; the oldest gives way.
const MOST_DRAFTS: usize = 3;
/// How long a deed waits for its signature.
pub const DRAFT_LASTS: Duration = Duration::days(7);

/// How far a contract is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Standing {
    /// It waits for the borrower's signature.
    Drawn,
    /// It is signed; what makes the signature last is still to be fetched.
    Signed {
        /// When the bank took the signature.
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    /// It is signed, and verified as it will be kept.
    InForce {
        /// When the bank took the signature.
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
}

/// A contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// Random: part of its address.
    pub id: String,
    /// The number that people read.
    pub number: String,
    /// Whose it is: the subject at the identity provider.
    pub subject: String,
    /// The borrower.
    pub borrower: Borrower,
    /// What was agreed.
    pub terms: Terms,
    /// When it was drawn up.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// How far it is.
    pub standing: Standing,
}

impl Contract {
    /// The name of its file for people.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.pdf", self.number)
    }
}

/// Why contracts cannot be read or kept: the disk, or what somebody did to it.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct ContractsError {
    path: PathBuf,
    reason: String,
}

/// Which of a contract's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deeds {
    /// As it was drawn up.
    Drawn,
    /// Signed.
    Signed,
}

/// All contracts.
#[derive(Debug)]
pub struct Contracts {
    folder: PathBuf,
    known: Mutex<BTreeMap<String, Contract>>,
}

fn at(path: &Path, reason: impl std::fmt::Display) -> ContractsError {
    ContractsError {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

impl Contracts {
    /// Opens the directory, or makes it.
    ///
    /// # Errors
    /// See [`ContractsError`].
    pub fn open(folder: &Path) -> Result<Self, ContractsError> {
        std::fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
        let mut known = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(|error| at(folder, error))? {
            let path = entry.map_err(|error| at(folder, error))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let text = std::fs::read(&path).map_err(|error| at(&path, error))?;
                let contract: Contract =
                    serde_json::from_slice(&text).map_err(|error| at(&path, error))?;
                known.insert(contract.id.clone(), contract);
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            known: Mutex::new(known),
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Contract>> {
        self.known
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn description(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn deed(&self, id: &str, which: Deeds) -> PathBuf {
        self.folder.join(match which {
            Deeds::Drawn => format!("{id}.pdf"),
            Deeds::Signed => format!("{id}.signed.pdf"),
        })
    }

    /// Writes a file whole or not at all, and returns when it is on the disk.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ContractsError> {
        let mut file =
            tempfile::NamedTempFile::new_in(&self.folder).map_err(|error| at(path, error))?;
        file.write_all(bytes)
            .and_then(|()| file.as_file().sync_all())
            .map_err(|error| at(path, error))?;
        file.persist(path).map_err(|error| at(path, error))?;
        std::fs::File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| at(path, error))
    }

    fn keep(&self, contract: Contract) -> Result<(), ContractsError> {
        let path = self.description(&contract.id);
        let text = serde_json::to_vec(&contract).map_err(|error| at(&path, error))?;
        self.write(&path, &text)?;
        self.known().insert(contract.id.clone(), contract);
        Ok(())
    }

    /// Takes a contract that was drawn up, with its deed. Others of the same person that were never signed give way.
    ///
    /// # Errors
    /// See [`ContractsError`].
    pub fn draw_up(&self, contract: Contract, deed: &[u8]) -> Result<(), ContractsError> {
        let mut drafts: Vec<Contract> = self.of(&contract.subject);
        drafts.retain(|other| other.standing == Standing::Drawn);
        let old = drafts.iter().skip(MOST_DRAFTS - 1);
        for draft in old {
            self.drop_draft(draft)?;
        }
        self.write(&self.deed(&contract.id, Deeds::Drawn), deed)?;
        self.keep(contract)
    }

    fn drop_draft(&self, draft: &Contract) -> Result<(), ContractsError> {
        for path in [
            self.description(&draft.id),
            self.deed(&draft.id, Deeds::Drawn),
        ] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(at(&path, error));
                }
                _ => {}
            }
        }
        self.known().remove(&draft.id);
        Ok(())
    }

    /// Removes deeds that waited too long.
    ///
    /// # Errors
    /// See [`ContractsError`].
    pub fn forget(&self, now: OffsetDateTime) -> Result<(), ContractsError> {
        let old: Vec<Contract> = self
            .known()
            .values()
            .filter(|one| one.standing == Standing::Drawn && one.at + DRAFT_LASTS < now)
            .cloned()
            .collect();
        old.iter().try_for_each(|draft| self.drop_draft(draft))
    }

    /// A person's contract.
    #[must_use]
    pub fn find(&self, id: &str, subject: &str) -> Option<Contract> {
        let known = self.known();
        known.get(id).filter(|one| one.subject == subject).cloned()
    }

    /// A person's contracts, the newest first.
    #[must_use]
    pub fn of(&self, subject: &str) -> Vec<Contract> {
        let mut own: Vec<Contract> = self
            .known()
            .values()
            .filter(|one| one.subject == subject)
            .cloned()
            .collect();
        own.sort_by_key(|one| std::cmp::Reverse(one.at));
        own
    }

    /// Signed contracts whose signatures lack what makes them last.
    #[must_use]
    pub fn unfinished(&self) -> Vec<Contract> {
        self.known()
            .values()
            .filter(|one| matches!(one.standing, Standing::Signed { .. }))
            .cloned()
            .collect()
    }

    /// A contract's deed.
    ///
    /// # Errors
    /// See [`ContractsError`].
    pub fn read(&self, contract: &Contract, which: Deeds) -> Result<Vec<u8>, ContractsError> {
        let path = self.deed(&contract.id, which);
        std::fs::read(&path).map_err(|error| at(&path, error))
    }

    /// Keeps the signed deed and then says so, so that a contract that says it is signed has its deed.
    ///
    /// # Errors
    /// See [`ContractsError`].
    pub fn signed(
        &self,
        contract: &Contract,
        deed: &[u8],
        standing: Standing,
    ) -> Result<(), ContractsError> {
        self.write(&self.deed(&contract.id, Deeds::Signed), deed)?;
        let mut contract = contract.clone();
        contract.standing = standing;
        self.keep(contract)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn contract(id: &str, subject: &str, minute: i64) -> Contract {
        Contract {
            id: id.to_owned(),
            number: format!("2026-{id}"),
            subject: subject.to_owned(),
            borrower: Borrower {
                name: "Асанова Айгүл".to_owned(),
                number: "20101199000011".parse().expect("a number"),
            },
            terms: Terms::new(50_000, 12).expect("terms"),
            at: datetime!(2026-11-25 12:00 UTC) + Duration::minutes(minute),
            standing: Standing::Drawn,
        }
    }

    #[test]
    fn contracts_survive_and_belong_to_somebody() {
        let folder = tempfile::tempdir().expect("a folder");
        let contracts = Contracts::open(folder.path()).expect("opened");
        let one = contract("one", "aida", 0);
        contracts.draw_up(one.clone(), b"deed").expect("drawn up");
        assert!(contracts.find("one", "somebody else").is_none());
        assert!(contracts.find("../one", "aida").is_none());
        let at = one.at;
        contracts
            .signed(&one, b"signed deed", Standing::Signed { at })
            .expect("signed");
        drop(contracts);
        let contracts = Contracts::open(folder.path()).expect("opened again");
        let found = contracts.find("one", "aida").expect("there");
        assert_eq!(found.standing, Standing::Signed { at });
        assert_eq!(contracts.unfinished().len(), 1);
        let read = contracts.read(&found, Deeds::Signed).expect("read");
        assert_eq!(read, b"signed deed");
        assert_eq!(contracts.read(&found, Deeds::Drawn).expect("read"), b"deed");
    }

    #[test]
    fn what_is_never_signed_gives_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let contracts = Contracts::open(folder.path()).expect("opened");
        let signed = contract("signed", "aida", 0);
        contracts.draw_up(signed.clone(), b"d").expect("drawn up");
        let standing = Standing::InForce { at: signed.at };
        contracts.signed(&signed, b"s", standing).expect("signed");
        for minute in 1..10 {
            let next = contract(&format!("d{minute}"), "aida", minute);
            contracts.draw_up(next, b"d").expect("drawn up");
        }
        let ids: Vec<String> = contracts.of("aida").into_iter().map(|one| one.id).collect();
        assert_eq!(ids, ["d9", "d8", "d7", "signed"]);
        let later = signed.at + DRAFT_LASTS + Duration::hours(1);
        contracts.forget(later).expect("forgotten");
        assert_eq!(contracts.of("aida").len(), 1);
        let files = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(files, 3);
    }
}
