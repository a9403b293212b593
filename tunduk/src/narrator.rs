//! How the demo speaks: sentences for people on standard error, one line per
//! step on standard output, and a sign of life while something takes long.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Tells people what happens.
#[derive(Debug, Clone)]
pub struct Narrator {
    lively: bool,
}

impl Narrator {
    /// A narrator who shows progress if somebody watches.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lively: std::io::stderr().is_terminal(),
        }
    }

    /// A sentence, or several.
    pub fn say(&self, text: &str) {
        eprintln!("{text}");
    }

    /// The line of a step, for programs too.
    pub fn line(&self, text: &str) {
        println!("{text}");
    }

    /// Shows that `what` is being done, until the value is dropped.
    #[must_use]
    pub fn busy(&self, what: &str) -> Busy {
        let bar = if self.lively {
            let bar = ProgressBar::new_spinner().with_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        } else {
            ProgressBar::hidden()
        };
        Busy(bar)
    }

    /// Shows how many of `count` pieces of `what` are done.
    #[must_use]
    pub fn counting(&self, what: &str, count: usize) -> Busy {
        let bar = if self.lively {
            let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(count as u64)
                .with_style(style)
                .with_message(what.to_owned())
        } else {
            ProgressBar::hidden()
        };
        Busy(bar)
    }
}

/// Something under way.
#[derive(Debug)]
pub struct Busy(ProgressBar);

impl Busy {
    /// One more piece is done.
    pub fn one_more(&self) {
        self.0.inc(1);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
