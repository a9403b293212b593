//! The register's port, fulfilled by SQLite.

mod suite;

use std::path::PathBuf;

use id_registry::{Register, StoreError};
use store_sqlite::SqliteRegister;
use suite::Open;

fn in_a_file(test: fn(Open<'_>)) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("register.sqlite");
    test(&|| Box::new(SqliteRegister::open(&file).expect("a register")) as Box<dyn Register>);
}

#[test]
fn acts_are_kept() {
    in_a_file(suite::acts_are_kept);
}

#[test]
fn a_decision_on_an_old_record_is_refused() {
    in_a_file(suite::a_decision_on_an_old_record_is_refused);
}

#[test]
fn writers_take_turns() {
    in_a_file(suite::writers_take_turns);
}

#[test]
fn people_are_found_by_name() {
    in_a_file(suite::people_are_found_by_name);
}

#[test]
fn users_of_a_number_are_told() {
    in_a_file(suite::users_of_a_number_are_told);
}

#[test]
fn pictures_are_kept() {
    in_a_file(suite::pictures_are_kept);
}

#[test]
fn an_office_enters_an_act_once() {
    in_a_file(suite::an_office_enters_an_act_once);
}

#[test]
fn subscribers_are_told_in_turn() {
    in_a_file(suite::subscribers_are_told_in_turn);
}

#[test]
fn many_are_loaded() {
    in_a_file(suite::many_are_loaded);
}

#[test]
fn people_are_taken_over_once() {
    in_a_file(suite::people_are_taken_over_once);
}

#[test]
fn a_file_that_is_none_or_newer_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file: PathBuf = folder.path().join("text.sqlite");
    std::fs::write(
        &file,
        "this is no database, and long enough to be none".repeat(30),
    )
    .expect("written");
    assert!(matches!(
        SqliteRegister::open(&file),
        Err(StoreError::Unavailable(_))
    ));
    let missing = folder.path().join("no/such/folder.sqlite");
    assert!(SqliteRegister::open(&missing).is_err());

    let file = folder.path().join("newer.sqlite");
    drop(SqliteRegister::open(&file).expect("a register"));
    let connection = rusqlite::Connection::open(&file).expect("a database");
    connection
        .pragma_update(None, "user_version", 99)
        .expect("written");
    assert!(matches!(
        SqliteRegister::open(&file),
        Err(StoreError::Unreadable(_))
    ));
}

#[test]
fn a_new_file_is_opened_by_several_at_once() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("register.sqlite");
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| SqliteRegister::open(&file).map(|_| ())))
                .collect();
            for thread in threads {
                thread.join().expect("no panic").expect("a register");
            }
        });
    }
}
