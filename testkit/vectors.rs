//! Where X-Road's vectors are. A file rather than part of the crate: tests of `proto/` and `domain/` include it with
//! `#[path]`, because their crates stand below this one.
#![allow(
    dead_code,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]

use std::path::PathBuf;

/// The folder of X-Road's vectors. `None`, with one line said, where it is absent; under `CI=true` that is a failure.
pub fn vectors() -> Option<PathBuf> {
    let folder = std::env::var_os("TUNDUK_XROAD_VECTORS").map_or_else(
        || {
            // Every crate that includes this is two folders below the workspace's.
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/vectors/xroad"
            ))
        },
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none_or(|value| value != "true"),
        "X-Road's vectors are absent: {}",
        folder.display()
    );
    println!(
        "not tested: X-Road's vectors are absent: {}",
        folder.display()
    );
    None
}
