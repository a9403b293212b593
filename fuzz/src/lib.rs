//! What the fuzz targets do with their input, one function for each target.
//!
//! `cargo fuzz run soap` (from the project's root, with a nightly compiler) runs one.
//! Without `cargo-fuzz`, a stable compiler builds all of them, here in this folder; the crates have no `unsafe`, so that
//! nothing is lost without a sanitizer of memory:
//!
//! ```text
//! RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
//!   -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
//!   -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks" \
//!   cargo build --release --bins --target x86_64-unknown-linux-gnu --target-dir ../target/fuzz
//! ../target/fuzz/x86_64-unknown-linux-gnu/release/soap -max_total_time=600 -max_len=65536 NEW_INPUTS corpus/soap
//! ```
//!
//! The crates replay `corpus/<target>` in their ordinary tests through the same
//! functions, so that an input once found stays a test: add it to that folder.

pub mod asic;
pub mod csc;
pub mod globalconf;
pub mod id_import;
pub mod id_registry;
pub mod jose;
pub mod oauth2;
pub mod pades;
pub mod pki;
pub mod webauthn;
pub mod xmldsig;
pub mod xroad_message;
