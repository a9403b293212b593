//! Targets of the crate `id-registry`.

use id_registry::{Image, LARGEST_IMAGE};

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[("picture", picture)];

/// A portrait: what is taken keeps to its bounds, is kept as it came and ends with its end.
pub fn picture(data: &[u8]) {
    let Ok(image) = Image::check(data.to_vec()) else {
        return;
    };
    let (wide, high) = image.sides();
    assert!((16..=1200).contains(&wide) && (16..=1200).contains(&high));
    assert!(image.bytes() == data && data.len() <= LARGEST_IMAGE);
    assert!(data.starts_with(&[0xFF, 0xD8]) && data.ends_with(&[0xFF, 0xD9]));
    assert!(Image::check([data, b"\n"].concat()).is_err());
}
