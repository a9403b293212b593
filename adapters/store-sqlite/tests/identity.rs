//! The identity provider's port, fulfilled by SQLite.

#[path = "../../../domain/oidc-provider/tests/suite/mod.rs"]
mod suite;

use std::sync::Arc;

use oidc_provider::{Store, StoreError};
use store_sqlite::{SqliteIdentity, SqliteRegister};
use suite::Open;

fn in_a_file(test: fn(Open<'_>)) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("identity.sqlite");
    test(&|| Arc::new(SqliteIdentity::open(&file).expect("a database")) as Arc<dyn Store>);
}

#[test]
fn what_was_committed_is_kept() {
    in_a_file(suite::what_was_committed_is_kept);
}

#[test]
fn a_code_is_redeemed_once() {
    in_a_file(suite::a_code_is_redeemed_once);
}

#[test]
fn a_refresh_token_is_used_once() {
    in_a_file(suite::a_refresh_token_is_used_once);
}

#[test]
fn an_identifier_is_used_once() {
    in_a_file(suite::an_identifier_is_used_once);
}

#[test]
fn guesses_at_once_are_all_counted() {
    in_a_file(suite::guesses_at_once_are_all_counted);
}

#[test]
fn a_freeze_leaves_no_session() {
    in_a_file(suite::a_freeze_leaves_no_session);
}

#[test]
fn lists_are_complete() {
    in_a_file(suite::lists_are_complete);
}

#[test]
fn events_come_in_order() {
    in_a_file(suite::events_come_in_order);
}

#[test]
fn what_expired_is_forgotten() {
    in_a_file(suite::what_expired_is_forgotten);
}

#[test]
fn a_file_that_is_another_or_newer_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("register.sqlite");
    drop(SqliteRegister::open(&file).expect("a register"));
    assert!(matches!(
        SqliteIdentity::open(&file),
        Err(StoreError::Unreadable(_))
    ));
    let file = folder.path().join("newer.sqlite");
    drop(SqliteIdentity::open(&file).expect("a database"));
    let connection = rusqlite::Connection::open(&file).expect("a database");
    connection
        .pragma_update(None, "user_version", 99)
        .expect("written");
    assert!(matches!(
        SqliteIdentity::open(&file),
        Err(StoreError::Unreadable(_))
    ));
}
