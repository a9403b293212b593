//! Randomness for identifiers and boundaries; nothing secret depends on it.

use xroad_message::multipart::boundary_from;
use xroad_message::rest::uuid;

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without randomness identifiers repeat, which is caught nowhere: stop rather.
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the operating system gives no randomness");
        std::process::abort();
    }
    bytes
}

/// A random UUID in text form.
pub fn new_uuid() -> String {
    uuid(bytes())
}

/// An identifier for a REST message whose client gave none (R4).
pub fn new_message_id(instance: &str) -> String {
    xroad_message::rest::generated_id(instance, bytes())
}

/// Boundaries of a transport message and of its attachments.
pub fn new_boundaries() -> (String, String) {
    let random: [u8; 60] = bytes();
    (
        boundary_from("xtop", &random[..30]),
        boundary_from("xatt", &random[30..]),
    )
}
