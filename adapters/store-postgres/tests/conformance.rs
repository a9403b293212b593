//! The register's port, fulfilled by PostgreSQL. `cargo xtask test` starts one and names it in the environment; without
//! it these tests are ignored, and say so.

#[path = "../../store-sqlite/tests/suite/mod.rs"]
mod suite;

mod database;

use database::with_a_database;
use id_registry::{Register, StoreError};
use store_postgres::PostgresRegister;
use suite::Open;

fn in_a_database(name: &str, test: fn(Open<'_>)) {
    with_a_database(name, |parameters| {
        test(&|| {
            Box::new(PostgresRegister::open(parameters).expect("a register")) as Box<dyn Register>
        });
    });
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn acts_are_kept() {
    in_a_database("acts", suite::acts_are_kept);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn a_decision_on_an_old_record_is_refused() {
    in_a_database("old", suite::a_decision_on_an_old_record_is_refused);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn writers_take_turns() {
    in_a_database("turns", suite::writers_take_turns);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn people_are_found_by_name() {
    in_a_database("names", suite::people_are_found_by_name);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn users_of_a_number_are_told() {
    in_a_database("users", suite::users_of_a_number_are_told);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn many_are_loaded() {
    in_a_database("many", suite::many_are_loaded);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn people_are_taken_over_once() {
    in_a_database("once", suite::people_are_taken_over_once);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn pictures_are_kept() {
    in_a_database("pictures", suite::pictures_are_kept);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn an_office_enters_an_act_once() {
    in_a_database("office", suite::an_office_enters_an_act_once);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask test"]
fn subscribers_are_told_in_turn() {
    in_a_database("subscribers", suite::subscribers_are_told_in_turn);
}

#[test]
fn a_connection_string_that_is_none_is_not_repeated() {
    let refused = PostgresRegister::open("password=secret nonsense").map(|_| ());
    let Err(StoreError::Unavailable(said)) = refused else {
        panic!("{refused:?}")
    };
    assert!(!said.contains("secret"), "{said}");
}
