//! What each page shows: typed contents for the templates of this crate.

mod acting;
mod clients;
mod desk;
mod events;
mod officers;
mod organisations;

use askama::Template;
use web_ui::Frame;

pub use acting::{ActingPage, ActingTask, MandateRow};
pub use clients::{ApprovalRow, ApprovalsPage, ClientFormPage, ClientRow, ClientsPage, ScopeField};
pub use desk::{CasePage, CaseRow, DeskPage, DeskTask, PersonPage};
pub use events::{EventsPage, FoundEvents, GroundField, InvestigationPage, PrintedPage};
pub use officers::{DutyField, OfficerRow, OfficersPage};
pub use organisations::{OrganisationRow, OrganisationsPage, RecordPage, RepresentativeRow};

/// One of the places that somebody who is signed in goes to.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its address.
    pub path: &'static str,
    /// Key of its name.
    pub text: &'static str,
    /// Whether the page belongs to it.
    pub current: bool,
}

/// One thing to choose, by its name in the form.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Its name.
    pub name: String,
    /// Key of its text.
    pub text: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// Ways to sign in, the safest first.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The relying party that asks, by name.
    pub client: Option<&'a str>,
    /// Key of the level that is needed.
    pub level: Option<&'a str>,
    /// The page that signs in by identity card.
    pub card: Option<&'a str>,
}

/// A one-time code is asked for.
#[derive(Debug, Template)]
#[template(path = "code.html")]
pub struct CodePage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Opens the attempt.
    pub attempt: &'a str,
}

/// One scope.
#[derive(Debug, Clone)]
pub struct ScopeRow {
    /// Its name.
    pub name: String,
    /// Key of its text.
    pub text: String,
    /// What the relying party wants it for, in the person's language.
    pub purpose: Option<String>,
}

/// May a relying party have these?
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub struct ConsentPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The relying party's name.
    pub client: &'a str,
    /// Who answers for it.
    pub organisation: &'a str,
    /// Which request is answered.
    pub request: &'a str,
    /// What it asks for.
    pub scopes: &'a [ScopeRow],
    /// Key of the theme in which people may act for others there.
    pub theme: Option<&'a str>,
    /// Numbers of those who gave the person a mandate in it.
    pub represented: &'a [String],
}

/// A freeze is lifted by a key.
#[derive(Debug, Template)]
#[template(path = "unfreeze.html")]
pub struct UnfreezePage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
}

/// A screen of the counter, for somebody whom a clerk admitted.
#[derive(Debug, Template)]
#[template(path = "counter.html")]
pub struct CounterPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
}

/// A first key with a code from an officer.
#[derive(Debug, Template)]
#[template(path = "first_key.html")]
pub struct FirstKeyPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
}

/// The letters of another screen are asked for.
#[derive(Debug, Template)]
#[template(path = "device.html")]
pub struct DevicePage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
}

/// Who asks from another screen, and which number it shows.
#[derive(Debug, Template)]
#[template(path = "device_choose.html")]
pub struct DeviceChoosePage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The relying party's name; none: our own sign-in page.
    pub client: Option<&'a str>,
    /// The network it asks from.
    pub place: Option<&'a str>,
    /// What the screen calls itself.
    pub browser: Option<&'a str>,
    /// Keys of the scopes' texts.
    pub scopes: &'a [String],
    /// The numbers to choose from.
    pub choices: &'a [u8],
    /// The letters that were typed.
    pub user_code: &'a str,
}

/// The screen that waits for a phone.
#[derive(Debug, Template)]
#[template(path = "screen.html")]
pub struct ScreenPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The address to open on the phone.
    pub address: &'a str,
    /// The letters.
    pub user_code: &'a str,
    /// The number.
    pub number: u8,
    /// Seconds until the script asks again; without a script the person does.
    pub interval: i64,
}

/// One line of a list that can be ended, removed or taken back.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its identifier.
    pub id: String,
    /// What it is called.
    pub label: String,
    /// The date that matters.
    pub since: String,
    /// Whether it is the one in use now.
    pub current: bool,
}

/// One event.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// When.
    pub at: String,
    /// Key of its text.
    pub text: &'static str,
    /// Key of the text that says whose it was, if it is not simply the holder's.
    pub whose: Option<&'static str>,
    /// The relying party, by name.
    pub client: Option<String>,
    /// Key of the way in.
    pub factor: Option<&'static str>,
    /// Key of the level.
    pub level: Option<&'static str>,
    /// The network.
    pub network: Option<String>,
    /// The office of the officer who did it.
    pub office: Option<String>,
    /// Key of the ground on which it was read.
    pub ground: Option<&'static str>,
    /// The decision on which it was read.
    pub reference: Option<String>,
}

/// Everything about one's own account.
#[derive(Debug, Template)]
#[template(path = "account.html")]
pub struct AccountPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// Key of what was just done.
    pub done: Option<&'a str>,
    /// Key of the level now.
    pub level: &'a str,
    /// The person's number, after proofing.
    pub number: Option<&'a str>,
    /// Passkeys.
    pub keys: &'a [Row],
    /// Sessions.
    pub sessions: &'a [Row],
    /// Devices.
    pub devices: &'a [Row],
    /// Relying parties that were allowed something.
    pub consents: &'a [Row],
    /// What happened, the latest first.
    pub events: &'a [EventRow],
}
