//! Acting for another by a mandate.

use askama::Template;
use web_ui::Frame;

use super::{Choice, Place};

/// A mandate.
#[derive(Debug, Clone)]
pub struct MandateRow {
    /// Its identifier.
    pub id: String,
    /// The other person: a name if it may be told, else the number.
    pub other: String,
    /// Keys of the themes.
    pub themes: Vec<String>,
    /// Until when.
    pub until: String,
    /// Key of its state.
    pub state: &'static str,
    /// Whether this person answers it.
    pub to_answer: bool,
    /// Whether it can be ended.
    pub lives: bool,
    /// Whether it may be passed on.
    pub may_pass_on: bool,
}

/// How a mandate comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActingTask {
    /// It is given.
    Give,
    /// It is asked for.
    Ask,
}

impl ActingTask {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Give, Self::Ask];

    /// Its name in addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Give => "give",
            Self::Ask => "ask",
        }
    }

    /// Key of its title.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Give => "acting-give",
            Self::Ask => "acting-ask",
        }
    }

    /// Key of what it is for.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Give => "acting-give-hint",
            Self::Ask => "acting-ask-hint",
        }
    }
}

/// The mandates of a person.
#[derive(Debug, Template)]
#[template(path = "acting.html")]
pub struct ActingPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// Key of what was just done.
    pub done: Option<&'a str>,
    /// Those by which others act for the person.
    pub given: &'a [MandateRow],
    /// Those by which the person acts for others.
    pub held: &'a [MandateRow],
    /// The themes.
    pub themes: &'a [Choice],
    /// The first and the last day that may be chosen as the end.
    pub days: (&'a str, &'a str),
}
