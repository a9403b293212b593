//! Targets of the crate `asic`.

use std::io::Cursor;

use asic::container::{Container, ContainerLimits};

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[("container", container)];

/// An ASiC-E container.
pub fn container(data: &[u8]) {
    let _ = Container::open(Cursor::new(data), &ContainerLimits::default());
}
