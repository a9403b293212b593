//! The signing service's port, fulfilled by PostgreSQL. `cargo xtask test` starts one and names it in the environment;
//! without it these tests are ignored, and say so.

#[path = "../../../domain/server-signing/tests/suite/mod.rs"]
mod suite;

mod database;

use std::sync::Arc;

use database::with_a_database;
use postgres::{Client, NoTls};
use server_signing::{Store, StoreError};
use store_postgres::{PostgresIdentity, PostgresRegister, PostgresSigning};
use suite::Open;

fn in_a_database(name: &str, test: fn(Open<'_>)) {
    with_a_database(&format!("signing_{name}"), |parameters| {
        test(&|| {
            Arc::new(PostgresSigning::open(parameters).expect("a database")) as Arc<dyn Store>
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
fn an_authorisation_is_released_once() {
    in_a_database(
        "ion_is_released_once",
        suite::an_authorisation_is_released_once,
    );
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn activation_data_is_taken_once() {
    in_a_database("n_data_is_taken_once", suite::activation_data_is_taken_once);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_person_is_enrolled_once() {
    in_a_database("son_is_enrolled_once", suite::a_person_is_enrolled_once);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn nothing_is_signed_after_a_freeze() {
    in_a_database(
        "igned_after_a_freeze",
        suite::nothing_is_signed_after_a_freeze,
    );
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn revocations_wait_to_be_told() {
    in_a_database("ions_wait_to_be_told", suite::revocations_wait_to_be_told);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn what_expired_is_forgotten() {
    in_a_database("expired_is_forgotten", suite::what_expired_is_forgotten);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn all_may_share_one_database() {
    with_a_database("signing_all", |parameters| {
        PostgresRegister::open(parameters).expect("a register");
        PostgresSigning::open(parameters).expect("a database");
        PostgresIdentity::open(parameters).expect("a database");
        PostgresSigning::open(parameters).expect("again");
        let mut client = Client::connect(parameters, NoTls).expect("a connection");
        client
            .execute("UPDATE signing_schema_version SET version = 99", &[])
            .expect("written");
        assert!(matches!(
            PostgresSigning::open(parameters),
            Err(StoreError::Unreadable(_))
        ));
        PostgresIdentity::open(parameters).expect("as it was");
    });
}
