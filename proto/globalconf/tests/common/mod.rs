//! Where the vectors are, and reading of directories.
#![allow(dead_code, clippy::disallowed_macros)]

use std::fs;
use std::path::{Path, PathBuf};

/// The folder with X-Road's vectors. `None`, with one plain line, where it is absent;
/// under `CI=true` that is a failure.
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
    println!(
        "X-Road's vectors are not at {}: not tested",
        folder.display()
    );
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "CI needs X-Road's vectors"
    );
    None
}

/// All files below a folder with their relative paths.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    let mut pending = vec![folder.to_path_buf()];
    while let Some(current) = pending.pop() {
        for entry in fs::read_dir(&current).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let relative = path.strip_prefix(folder).unwrap();
                out.push((
                    relative.to_str().unwrap().to_owned(),
                    fs::read(&path).unwrap(),
                ));
            }
        }
    }
    out
}
