//! Targets of the crate `pades`.

use pades::pdf::Document;
use pades::{changes, sign, signature, store};

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// The name of each target and its function.
pub const TARGETS: &[(&str, Target)] = &[("pdf", pdf)];

/// A PDF file: its objects, its signatures and what came after them; and what is added to it.
pub fn pdf(data: &[u8]) {
    let Ok(document) = Document::open(data) else {
        return;
    };
    let view = document.newest();
    for number in view.numbers() {
        let _ = view.load(number);
    }
    let _ = store::read(&view);
    let _ = changes::since(&document, 0);
    if let Ok(fields) = signature::find(&document) {
        for found in fields
            .iter()
            .filter_map(|field| field.signature.as_ref().ok())
        {
            assert!(found.gap().end <= found.end() && found.end() <= data.len());
        }
    }
    // Whatever can be read can be read again once something was added to it.
    if let Ok(prepared) = sign::PreparedTimeStamp::new(data) {
        assert!(Document::open(prepared.bytes()).is_ok());
    }
}
