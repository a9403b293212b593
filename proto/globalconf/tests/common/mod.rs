//! Where the vectors are, and reading of directories.
#![allow(dead_code, clippy::disallowed_macros)]

#[path = "../../../../testkit/vectors.rs"]
mod place;
pub use place::vectors;

use std::fs;
use std::path::Path;

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
