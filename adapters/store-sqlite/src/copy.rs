//! Copying a database file as it is at one moment, while others write, and looking at a copy.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Why a file is not copied, or a copy is not whole. The text names the file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CopyError(String);

fn failed(path: &Path) -> impl Fn(rusqlite::Error) -> CopyError + '_ {
    move |error| CopyError(format!("{}: {error}", path.display()))
}

/// Copies a database into a new file, without what was deleted. The copy is flushed to the disk by whoever needs it so.
///
/// # Errors
/// The database cannot be read, the file is there, or the disk is full.
pub fn copy(path: &Path, to: &Path) -> Result<(), CopyError> {
    let failed = failed(path);
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(&failed)?;
    let target = to.to_string_lossy();
    connection
        .execute("VACUUM INTO ?", [target.as_ref()])
        .map(|_| ())
        .map_err(failed)
}

/// Checks a whole database file, and gives the rows of each table.
///
/// # Errors
/// It is damaged, or cannot be read.
pub fn contents(path: &Path) -> Result<BTreeMap<String, u64>, CopyError> {
    let failed = failed(path);
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(&failed)?;
    let said: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(&failed)?;
    if said != "ok" {
        return Err(CopyError(format!("{}: {said}", path.display())));
    }
    let tables = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
        .and_then(|mut statement| {
            statement
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()
        })
        .map_err(&failed)?;
    let mut found = BTreeMap::new();
    for table in tables {
        let sql = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
        let rows: i64 = connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(&failed)?;
        found.insert(table, u64::try_from(rows).unwrap_or_default());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_whole_and_a_damaged_one_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (
            folder.path().join("a.sqlite"),
            folder.path().join("b.sqlite"),
        );
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER PRIMARY KEY, x TEXT);",
            )
            .unwrap();
        for n in 0..500 {
            connection
                .execute("INSERT INTO t VALUES (?, ?)", (n, "x".repeat(100)))
                .unwrap();
        }
        // Beside one that has written and is still there.
        super::copy(&path, &copy).unwrap();
        assert_eq!(contents(&copy).unwrap(), [("t".to_owned(), 500)].into());
        assert!(super::copy(&path, &copy).is_err(), "nothing is overwritten");
        let mut bytes = std::fs::read(&copy).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0xff);
        std::fs::write(&copy, bytes).unwrap();
        assert!(contents(&copy).is_err());
    }
}
