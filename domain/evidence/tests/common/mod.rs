//! Where the shared vectors are, and reading of stored configurations.
#![allow(dead_code, clippy::unwrap_used)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros
)]

#[path = "../../../../testkit/vectors.rs"]
mod place;
pub use place::vectors;

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
