//! The message log on files: the journal of the crate `messagelog` with a
//! directory of segment files, a writer thread and an async handle.
//!
//! One thread writes: it gathers the records that wait, writes them with one
//! `pwrite`, makes them durable with one `fdatasync`, and only then answers. A
//! helper thread writes the indexes of full segments, prepares the next ones
//! and deletes what is older than the retention period; a third one lives while
//! index tables are merged.

mod export;
mod files;
mod handle;
mod merge;
mod queue;
mod secret_file;

pub use export::{ArchiveSummary, Exported, container_name, write_archive, write_container};
pub use files::{FileDirectory, LogFile};
pub use handle::{
    BodyStream, BodyWriter, LogSettings, MessageLog, open_for_reading, rotate_stopped,
};
