//! The public page that says who signed a file, when, whether it is whole, and whether the signer's certificate was
//! valid then: for PDF files, containers and X-Road evidence.
//!
//! It judges with the code of `tunduk verify`. Nobody signs in, nothing runs in the browser, and nothing is kept: a
//! file is taken into a temporary without a name, bounded in size, and is gone when the answer is.
//!
//! * [`Checker`] judges a file: no sockets.
//! * [`take_file`] reads the file out of a form.
//! * [`Site`] is the pages; [`Site::handle`] the rim.

mod check;
mod findings;
mod site;
mod upload;

pub use check::{Checker, Outcome};
pub use site::{LARGEST_UPLOAD, Site, UPLOAD_LASTS, UPLOADS_AT_ONCE, UPLOADS_OF_ONE};
pub use upload::{Taken, UploadError, take_file};

/// The site's own texts.
pub const TEXTS: web_ui::Sources = web_ui::sources!();
