//! Logs: one line an event on standard error, as text for people or JSON for machines.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text for people; colours only on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// The format of a name as settings spell it: `text` or `json`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Why logging was not set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The filter is not one (`warn`, `info,transport=debug` ...).
    #[error("not a log filter: {0}")]
    Filter(String),
    /// Logging has been set up before.
    #[error("logging is set up already")]
    Twice(#[from] TryInitError),
}

/// Sets up logging for the whole process. `filter` is a list of levels by crate, for example `info` or
/// `warn,security_server=debug`.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(format: Format, filter: &str) -> Result<(), TelemetryError> {
    use std::io::IsTerminal;
    let filter =
        EnvFilter::try_new(filter).map_err(|error| TelemetryError::Filter(error.to_string()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        Format::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .finish()
            .try_init()?,
        Format::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .finish()
            .try_init()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_up_once_and_only_with_a_filter() {
        assert!(matches!(
            init(Format::Text, "a=b=c"),
            Err(TelemetryError::Filter(_))
        ));
        init(Format::Json, "info,transport=debug").unwrap();
        assert!(matches!(
            init(Format::Text, "info"),
            Err(TelemetryError::Twice(_))
        ));
        assert_eq!(Format::from_name("json"), Some(Format::Json));
        assert_eq!(Format::from_name("xml"), None);
    }
}
