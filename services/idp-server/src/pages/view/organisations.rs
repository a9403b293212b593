//! Organisations and who acts for them.

use askama::Template;
use web_ui::Frame;

use super::{Choice, Place};

/// Somebody whom a head appointed.
#[derive(Debug, Clone)]
pub struct RepresentativeRow {
    /// The appointment.
    pub id: String,
    /// The person's number.
    pub number: String,
    /// Keys of the themes.
    pub themes: Vec<String>,
    /// Until when.
    pub until: String,
}

/// An organisation.
#[derive(Debug, Clone)]
pub struct OrganisationRow {
    /// Its number.
    pub number: String,
    /// Its name in the reader's language.
    pub name: String,
    /// For the head all representatives, for a representative the own appointment.
    pub people: Vec<RepresentativeRow>,
}

/// The organisations for which a person acts.
#[derive(Debug, Template)]
#[template(path = "organisations.html")]
pub struct OrganisationsPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// Key of what was just done.
    pub done: Option<&'a str>,
    /// Those that the person heads.
    pub headed: &'a [OrganisationRow],
    /// Those that the person represents.
    pub represented: &'a [OrganisationRow],
    /// The themes.
    pub themes: &'a [Choice],
    /// The first and the last day that may be chosen as the end.
    pub days: (&'a str, &'a str),
}

/// An officer records an organisation.
#[derive(Debug, Template)]
#[template(path = "record.html")]
pub struct RecordPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// Key of what was just done.
    pub done: Option<&'a str>,
}
