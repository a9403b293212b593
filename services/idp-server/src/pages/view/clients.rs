//! Relying parties: registered by whoever builds them, approved by an officer.

use askama::Template;
use web_ui::Frame;

use super::{Choice, Place};

/// A relying party of one's own.
#[derive(Debug, Clone)]
pub struct ClientRow {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Key of its state.
    pub state: &'static str,
    /// Whether it is in use.
    pub good: bool,
    /// Whether it can still be changed.
    pub can_change: bool,
}

/// The relying parties that somebody registered.
#[derive(Debug, Template)]
#[template(path = "clients.html")]
pub struct ClientsPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// Key of what was just done.
    pub done: Option<&'a str>,
    /// Whether this is the sandbox, with test people.
    pub sandbox: bool,
    /// The relying parties.
    pub clients: &'a [ClientRow],
}

/// A scope in the form.
#[derive(Debug, Clone)]
pub struct ScopeField {
    /// Its name.
    pub name: String,
    /// Key of its text.
    pub text: String,
    /// Whether it is asked for.
    pub chosen: bool,
    /// What it is wanted for, in the three languages.
    pub purposes: [String; 3],
}

/// The form of a relying party.
#[derive(Debug, Template)]
#[template(path = "client_form.html")]
pub struct ClientFormPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// Its identifier; empty for a new one.
    pub id: &'a str,
    /// Its names in the three languages.
    pub names: [String; 3],
    /// The organisation.
    pub organisation: String,
    /// Where its operators are reached.
    pub contact: String,
    /// Redirect URIs, one a line.
    pub redirect_uris: String,
    /// Where to after logout, one a line.
    pub after_logout_uris: String,
    /// Where logout tokens go.
    pub logout_uri: String,
    /// Its public keys.
    pub keys: String,
    /// Ways to prove who it is.
    pub methods: &'a [Choice],
    /// Kinds of names in certificates, if clients may be known by them.
    pub tls_name_kinds: Option<&'a [Choice]>,
    /// The name in its certificate.
    pub tls_name: String,
    /// Rules.
    pub profiles: [Choice; 2],
    /// Levels.
    pub levels: [Choice; 3],
    /// Scopes.
    pub scopes: &'a [ScopeField],
    /// Themes in which people act for others there.
    pub themes: &'a [Choice],
    /// Whether it may use the device flow.
    pub device_flow: bool,
}

/// A relying party that an officer looks at.
#[derive(Debug, Clone)]
pub struct ApprovalRow {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Key of its state.
    pub state: &'static str,
    /// What stands in its form: key of the text, value.
    pub facts: Vec<(&'static str, String)>,
    /// Digest of the form that the officer sees.
    pub seen: String,
    /// Whether it waits for approval.
    pub waits: bool,
    /// Whether it can be stopped.
    pub lives: bool,
}

/// The officers' list of relying parties.
#[derive(Debug, Template)]
#[template(path = "approvals.html")]
pub struct ApprovalsPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// Key of what was just done.
    pub done: Option<&'a str>,
    /// The relying parties.
    pub clients: &'a [ApprovalRow],
    /// The last identifier on this page, if there are more after it.
    pub more_after: Option<&'a str>,
}
