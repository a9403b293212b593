//! The identity provider's port, fulfilled by PostgreSQL. `cargo xtask test` starts one and names it in the environment;
//! without it these tests are ignored, and say so.

#[path = "../../../domain/oidc-provider/tests/suite/mod.rs"]
mod suite;

mod database;

use std::sync::Arc;

use database::with_a_database;
use oidc_provider::{Store, StoreError};
use postgres::{Client, NoTls};
use store_postgres::{PostgresIdentity, PostgresRegister};
use suite::Open;

fn in_a_database(name: &str, test: fn(Open<'_>)) {
    with_a_database(&format!("identity_{name}"), |parameters| {
        test(&|| {
            Arc::new(PostgresIdentity::open(parameters).expect("a database")) as Arc<dyn Store>
        });
    });
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn what_was_committed_is_kept() {
    in_a_database("as_committed_is_kept", suite::what_was_committed_is_kept);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_code_is_redeemed_once() {
    in_a_database("ode_is_redeemed_once", suite::a_code_is_redeemed_once);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_refresh_token_is_used_once() {
    in_a_database("h_token_is_used_once", suite::a_refresh_token_is_used_once);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn an_identifier_is_used_once() {
    in_a_database("ntifier_is_used_once", suite::an_identifier_is_used_once);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn guesses_at_once_are_all_counted() {
    in_a_database(
        "once_are_all_counted",
        suite::guesses_at_once_are_all_counted,
    );
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_freeze_leaves_no_session() {
    in_a_database("ze_leaves_no_session", suite::a_freeze_leaves_no_session);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn lists_are_complete() {
    in_a_database("lists_are_complete", suite::lists_are_complete);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn events_come_in_order() {
    in_a_database("events_come_in_order", suite::events_come_in_order);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn what_expired_is_forgotten() {
    in_a_database("expired_is_forgotten", suite::what_expired_is_forgotten);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn the_register_may_be_in_the_same_database() {
    with_a_database("identity_both", |parameters| {
        PostgresRegister::open(parameters).expect("a register");
        PostgresIdentity::open(parameters).expect("a database");
        PostgresRegister::open(parameters).expect("again");
        let mut client = Client::connect(parameters, NoTls).expect("a connection");
        client
            .execute("UPDATE identity_schema_version SET version = 99", &[])
            .expect("written");
        assert!(matches!(
            PostgresIdentity::open(parameters),
            Err(StoreError::Unreadable(_))
        ));
    });
}

#[test]
fn a_connection_string_that_is_none_is_not_repeated() {
    let refused = PostgresIdentity::open("password=secret nonsense").map(|_| ());
    let Err(StoreError::Unavailable(said)) = refused else {
        panic!("{refused:?}")
    };
    assert!(!said.contains("secret"), "{said}");
}
