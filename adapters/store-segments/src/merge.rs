//! The merging of index tables, on a thread that lives as long as there is something to do.

use std::sync::Arc;
use std::thread::JoinHandle;

use messagelog::{LogError, Store};

use crate::files::FileDirectory;

/// Begins merges when they are due, one at a time.
#[derive(Debug, Default)]
pub struct Merger(Option<JoinHandle<()>>);

impl Merger {
    /// Begins to merge if that is due and not under way. A large table takes seconds,
    /// which the helper does not have: the next segment may be wanted.
    pub fn begin(&mut self, store: &Arc<Store<FileDirectory>>) {
        if self.0.as_ref().is_some_and(|thread| !thread.is_finished()) || !store.wants_merge() {
            return;
        }
        let store = Arc::clone(store);
        let merging = std::thread::Builder::new()
            .name("log-merger".to_owned())
            .spawn(move || {
                loop {
                    match store.merge_tables() {
                        Ok(true) => {}
                        Ok(false) | Err(LogError::Closed) => return,
                        Err(error) => {
                            tracing::warn!(%error, "index tables cannot be merged yet");
                            return;
                        }
                    }
                }
            });
        match merging {
            Ok(thread) => self.0 = Some(thread),
            Err(error) => tracing::warn!(%error, "no thread to merge index tables"),
        }
    }

    /// Ends a merge that is under way, without a result.
    pub fn end(self, store: &Store<FileDirectory>) {
        store.stop_merging();
        if let Some(thread) = self.0 {
            let _ = thread.join();
        }
    }
}
