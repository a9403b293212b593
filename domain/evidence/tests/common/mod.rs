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

/// The files of a stored configuration, as paths relative to its folder with their contents.
pub fn stored_configuration(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            for inner in std::fs::read_dir(&path).unwrap() {
                let inner = inner.unwrap().path();
                let file = inner.file_name().unwrap().to_str().unwrap();
                files.push((format!("{name}/{file}"), std::fs::read(&inner).unwrap()));
            }
        } else {
            files.push((name, std::fs::read(&path).unwrap()));
        }
    }
    files
}
