//! The message log on files: the journal of the crate `messagelog` with a
//! directory of segment files, a writer thread and an async handle.

mod handle;

pub use handle::{BodyStream, BodyWriter, LogSettings, MessageLog, StampBatch};
