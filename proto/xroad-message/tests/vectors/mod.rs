//! Where X-Road's test data are.

use std::path::PathBuf;

/// The folder of the vectors, or `None` (said in one line) where they are absent.
/// Under CI they must be there.
pub fn folder() -> Option<PathBuf> {
    let path = std::env::var_os("TUNDUK_XROAD_VECTORS").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/vectors/xroad"
            ))
        },
        PathBuf::from,
    );
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "X-Road's vectors are not at {}",
        path.display()
    );
    println!("X-Road's vectors are absent: nothing compared");
    None
}
