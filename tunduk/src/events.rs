//! `tunduk idp-server events` and `tunduk signing-server events`: security events for monitoring (docs/events.md).

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use oidc_provider::EventPlace;
use serde::Serialize;

/// Events that are read at once.
const ON_A_PAGE: usize = 1000;

/// What these commands take.
#[derive(Debug, Args)]
pub struct EventsArguments {
    /// The settings
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The `place` of the last event that is known already
    #[arg(long, value_name = "PLACE", default_value_t = 0)]
    after: u64,
}

#[derive(Serialize)]
struct Line<'a, E> {
    place: EventPlace,
    #[serde(flatten)]
    event: &'a E,
}

impl EventsArguments {
    /// The settings' file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Prints what happened since, one JSON object a line.
    ///
    /// # Errors
    /// In words; what was printed until then holds.
    pub fn print<E: Serialize>(
        &self,
        page_after: impl Fn(EventPlace, usize) -> Result<Vec<(EventPlace, E)>, String>,
    ) -> Result<(), String> {
        let mut after = EventPlace(self.after);
        let mut output = std::io::stdout().lock();
        loop {
            let page = page_after(after, ON_A_PAGE)?;
            let mut lines = Vec::new();
            for (place, event) in &page {
                let place = *place;
                serde_json::to_writer(&mut lines, &Line { place, event })
                    .map_err(|error| error.to_string())?;
                lines.push(b'\n');
                after = place;
            }
            output
                .write_all(&lines)
                .and_then(|()| output.flush())
                .map_err(|error| format!("the events cannot be written: {error}"))?;
            if page.len() < ON_A_PAGE {
                return Ok(());
            }
        }
    }
}
