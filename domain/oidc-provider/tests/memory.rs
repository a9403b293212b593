//! The port, fulfilled in memory.

mod suite;

use std::sync::Arc;

use oidc_provider::{MemoryStore, Store};
use suite::Open;

fn in_memory(test: fn(Open<'_>)) {
    let store = Arc::new(MemoryStore::default());
    test(&|| store.clone() as Arc<dyn Store>);
}

#[test]
fn what_was_committed_is_kept() {
    in_memory(suite::what_was_committed_is_kept);
}

#[test]
fn a_code_is_redeemed_once() {
    in_memory(suite::a_code_is_redeemed_once);
}

#[test]
fn a_refresh_token_is_used_once() {
    in_memory(suite::a_refresh_token_is_used_once);
}

#[test]
fn an_identifier_is_used_once() {
    in_memory(suite::an_identifier_is_used_once);
}

#[test]
fn guesses_at_once_are_all_counted() {
    in_memory(suite::guesses_at_once_are_all_counted);
}

#[test]
fn a_freeze_leaves_no_session() {
    in_memory(suite::a_freeze_leaves_no_session);
}

#[test]
fn lists_are_complete() {
    in_memory(suite::lists_are_complete);
}

#[test]
fn events_come_in_order() {
    in_memory(suite::events_come_in_order);
}

#[test]
fn what_expired_is_forgotten() {
    in_memory(suite::what_expired_is_forgotten);
}
