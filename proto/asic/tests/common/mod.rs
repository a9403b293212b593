//! Where the shared vectors are.
#![allow(dead_code, clippy::unwrap_used)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]

use std::path::PathBuf;

/// The folder of X-Road's vectors, or `None` (with one line said) where it is absent.
pub fn vectors() -> Option<PathBuf> {
    let folder = std::env::var_os("TUNDUK_XROAD_VECTORS").map_or_else(
        || {
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
        "the X-Road vectors are missing: {}",
        folder.display()
    );
    println!("skipped: no X-Road vectors at {}", folder.display());
    None
}
