//! The port, fulfilled in memory.

mod suite;

use std::sync::Arc;

use server_signing::{Memory, Store};
use suite::Open;

fn in_memory(test: fn(Open<'_>)) {
    let store = Arc::new(Memory::default());
    test(&|| store.clone() as Arc<dyn Store>);
}

#[test]
fn what_was_committed_is_kept() {
    in_memory(suite::what_was_committed_is_kept);
}

#[test]
fn an_authorisation_is_released_once() {
    in_memory(suite::an_authorisation_is_released_once);
}

#[test]
fn activation_data_is_taken_once() {
    in_memory(suite::activation_data_is_taken_once);
}

#[test]
fn a_person_is_enrolled_once() {
    in_memory(suite::a_person_is_enrolled_once);
}

#[test]
fn nothing_is_signed_after_a_freeze() {
    in_memory(suite::nothing_is_signed_after_a_freeze);
}

#[test]
fn revocations_wait_to_be_told() {
    in_memory(suite::revocations_wait_to_be_told);
}

#[test]
fn what_expired_is_forgotten() {
    in_memory(suite::what_expired_is_forgotten);
}
