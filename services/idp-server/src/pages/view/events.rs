//! What happened to an account, and the list of codes to print.

use askama::Template;
use web_ui::Frame;

use super::{EventRow, Place};

/// The person's own events of the last 12 months, a page of them.
#[derive(Debug, Template)]
#[template(path = "events.html")]
pub struct EventsPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// The events, the latest first.
    pub events: &'a [EventRow],
    /// Whether these are the latest.
    pub latest: bool,
    /// Before which place earlier ones are, if there are any.
    pub older: Option<u64>,
}

/// A ground on which an officer reads somebody's events.
#[derive(Debug, Clone, Copy)]
pub struct GroundField {
    /// Its name in the form.
    pub name: &'static str,
    /// Key of its text.
    pub text: &'static str,
}

/// Somebody's events that an officer reads.
#[derive(Debug, Clone, Copy)]
pub struct FoundEvents<'a> {
    /// Whose.
    pub number: &'a str,
    /// The ground, by its name in the form.
    pub ground: &'a str,
    /// The decision.
    pub reference: &'a str,
    /// The events, the latest first.
    pub events: &'a [EventRow],
    /// Before which place earlier ones are, if there are any.
    pub older: Option<u64>,
}

/// Where an officer reads somebody's events, on a declared ground.
#[derive(Debug, Template)]
#[template(path = "investigation.html")]
pub struct InvestigationPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// Grounds.
    pub grounds: &'a [GroundField],
    /// What was found.
    pub found: Option<FoundEvents<'a>>,
}

/// One-time codes to print.
#[derive(Debug, Template)]
#[template(path = "printed.html")]
pub struct PrintedPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// The codes, in the order in which they are used.
    pub codes: &'a [&'a str],
}
