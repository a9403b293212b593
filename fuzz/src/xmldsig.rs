//! Targets of the crate `xmldsig`.

use xmldsig::Signature;
use xmldsig::baseline::{self, Baseline};

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[("baseline", baseline), ("signature", signature)];

/// A signature document.
pub fn signature(data: &[u8]) {
    let _ = Signature::decode(data);
}

/// A signature over any files, with what is added to it; what is added to can be read again.
pub fn baseline(data: &[u8]) {
    if Baseline::decode(data).is_err() {
        return;
    }
    if let Ok(stamped) = baseline::with_time_stamp(data, &[0x30, 0x00]) {
        assert!(Baseline::decode(&stamped).is_ok());
    }
    let file = |_: &str, _: &mut pki::Hasher| true;
    let _ = baseline::archive_digest(data, pki::DigestAlgorithm::Sha256, &file);
}
