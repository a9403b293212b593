//! The signing service's port, fulfilled by SQLite.

#[path = "../../../domain/server-signing/tests/suite/mod.rs"]
mod suite;

use std::sync::Arc;

use server_signing::{Store, StoreError};
use store_sqlite::{SqliteIdentity, SqliteRegister, SqliteSigning};
use suite::Open;

fn in_a_file(test: fn(Open<'_>)) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("signing.sqlite");
    test(&|| Arc::new(SqliteSigning::open(&file).expect("a database")) as Arc<dyn Store>);
}

#[test]
fn what_was_committed_is_kept() {
    in_a_file(suite::what_was_committed_is_kept);
}

#[test]
fn an_authorisation_is_released_once() {
    in_a_file(suite::an_authorisation_is_released_once);
}

#[test]
fn activation_data_is_taken_once() {
    in_a_file(suite::activation_data_is_taken_once);
}

#[test]
fn a_person_is_enrolled_once() {
    in_a_file(suite::a_person_is_enrolled_once);
}

#[test]
fn nothing_is_signed_after_a_freeze() {
    in_a_file(suite::nothing_is_signed_after_a_freeze);
}

#[test]
fn revocations_wait_to_be_told() {
    in_a_file(suite::revocations_wait_to_be_told);
}

#[test]
fn what_expired_is_forgotten() {
    in_a_file(suite::what_expired_is_forgotten);
}

#[test]
fn a_file_that_is_another_or_newer_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let [register, identity, ours] =
        ["register", "identity", "signing"].map(|name| folder.path().join(name));
    drop(SqliteRegister::open(&register).expect("a register"));
    drop(SqliteIdentity::open(&identity).expect("a database"));
    for file in [&register, &identity] {
        let refused = SqliteSigning::open(file).map(|_| ());
        assert!(
            matches!(refused, Err(StoreError::Unreadable(_))),
            "{refused:?}"
        );
    }
    drop(SqliteSigning::open(&ours).expect("a database"));
    let refused = SqliteIdentity::open(&ours).map(|_| ());
    assert!(
        matches!(refused, Err(StoreError::Unreadable(_))),
        "{refused:?}"
    );
    drop(SqliteSigning::open(&ours).expect("it is as it was"));
    let connection = rusqlite::Connection::open(&ours).expect("a database");
    connection
        .pragma_update(None, "user_version", 99)
        .expect("written");
    let refused = SqliteSigning::open(&ours).map(|_| ());
    assert!(
        matches!(refused, Err(StoreError::Unreadable(_))),
        "{refused:?}"
    );
}
