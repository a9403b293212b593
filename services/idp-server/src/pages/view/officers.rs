//! Who is an officer.

use askama::Template;
use web_ui::Frame;

use super::Place;

/// An officer.
#[derive(Debug, Clone)]
pub struct OfficerRow {
    /// The number.
    pub number: String,
    /// The office.
    pub office: String,
    /// Keys of the duties.
    pub duties: Vec<&'static str>,
}

/// A duty to choose.
#[derive(Debug, Clone, Copy)]
pub struct DutyField {
    /// Its name in the form.
    pub name: &'static str,
    /// Key of its text.
    pub text: &'static str,
}

/// The officers, and the form that appoints one.
#[derive(Debug, Template)]
#[template(path = "officers.html")]
pub struct OfficersPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// Key of what was just done.
    pub done: Option<&'a str>,
    /// The officers.
    pub officers: &'a [OfficerRow],
    /// Duties.
    pub duties: &'a [DutyField],
}
