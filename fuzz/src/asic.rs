//! Targets of the crate `asic`.

use std::io::Cursor;

use asic::container::{Container, ContainerLimits};
use asic::files::Files;
use xmldsig::baseline::Baseline;

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[("container", container), ("files", files)];

/// An ASiC-E container.
pub fn container(data: &[u8]) {
    let _ = Container::open(Cursor::new(data), &ContainerLimits::default());
}

/// A container with any files: the files, and the signatures over them.
pub fn files(data: &[u8]) {
    let Ok(files) = Files::open(data) else {
        return;
    };
    for (_, document) in files.signatures() {
        if let Ok(signature) = Baseline::decode(document) {
            let _ = files.check_covered(&signature);
        }
    }
}
