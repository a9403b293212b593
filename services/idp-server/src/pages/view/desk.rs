//! The officers' desk.

use askama::Template;
use web_ui::Frame;

use super::Place;

/// What officers do for a person in front of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeskTask {
    /// A code for a first key.
    Ticket,
    /// Binds an account to the person at the desk.
    Bind,
    /// Admits to a screen of the counter, by a code of the printed list.
    Admit,
    /// Opens a recovery.
    Recovery,
    /// Confirms the recovery that another officer opened.
    Confirm,
    /// Freezes.
    Freeze,
    /// Lifts a freeze that came over another way than a counter.
    Unfreeze,
    /// Asks for a second officer to lift a freeze that came over a counter.
    OpenUnfreeze,
    /// Lifts it, as the second officer.
    ConfirmUnfreeze,
}

impl DeskTask {
    /// All.
    pub const ALL: [Self; 9] = [
        Self::Ticket,
        Self::Bind,
        Self::Admit,
        Self::Recovery,
        Self::Confirm,
        Self::Freeze,
        Self::Unfreeze,
        Self::OpenUnfreeze,
        Self::ConfirmUnfreeze,
    ];

    /// Its name in addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Bind => "bind",
            Self::Admit => "admit",
            Self::Recovery => "recovery",
            Self::Confirm => "confirm",
            Self::Freeze => "freeze",
            Self::Unfreeze => "unfreeze",
            Self::OpenUnfreeze => "open-unfreeze",
            Self::ConfirmUnfreeze => "confirm-unfreeze",
        }
    }

    /// Key of its title.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Ticket => "desk-ticket",
            Self::Bind => "desk-bind",
            Self::Admit => "desk-admit",
            Self::Recovery => "desk-recovery",
            Self::Confirm => "desk-confirm",
            Self::Freeze => "desk-freeze",
            Self::Unfreeze | Self::OpenUnfreeze | Self::ConfirmUnfreeze => "desk-unfreeze",
        }
    }

    /// Key of what it is for.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Ticket => "desk-ticket-hint",
            Self::Bind => "desk-bind-hint",
            Self::Admit => "desk-admit-hint",
            Self::Recovery => "desk-recovery-hint",
            Self::Confirm => "desk-confirm-hint",
            Self::Freeze => "desk-freeze-hint",
            Self::Unfreeze => "desk-unfreeze-hint",
            Self::OpenUnfreeze => "desk-open-unfreeze-hint",
            Self::ConfirmUnfreeze => "desk-confirm-unfreeze-hint",
        }
    }

    /// Whether the code that the person brought is typed.
    #[must_use]
    pub const fn needs_code(self) -> bool {
        matches!(self, Self::Bind | Self::Admit)
    }

    /// Whether the officer says that the person was compared with the portrait.
    #[must_use]
    pub const fn needs_comparison(self) -> bool {
        !matches!(self, Self::Freeze)
    }
}

/// A case that waits for this officer.
#[derive(Debug, Clone)]
pub struct CaseRow {
    /// Its identifier.
    pub id: String,
    /// Key of what it is.
    pub text: &'static str,
    /// The person's number.
    pub number: String,
    /// Since when.
    pub since: String,
}

/// Where the desk begins: who is there?
#[derive(Debug, Template)]
#[template(path = "desk.html")]
pub struct DeskPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// The officer's office.
    pub office: &'a str,
    /// Cases that another officer of the office opened.
    pub cases: &'a [CaseRow],
}

/// A person at the desk, with the portrait and what can be done.
#[derive(Debug, Template)]
#[template(path = "desk_person.html")]
pub struct PersonPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// The number.
    pub number: &'a str,
    /// The name, if the register gives one.
    pub name: Option<&'a str>,
    /// The portrait as a `data:` address, if the register gives one.
    pub portrait: Option<&'a str>,
    /// Key of how the account is.
    pub state: &'static str,
    /// Until when signing and issuing wait.
    pub careful_until: Option<String>,
    /// What can be done.
    pub tasks: &'a [DeskTask],
}

/// A case that another officer opened, for the second one.
#[derive(Debug, Template)]
#[template(path = "desk_case.html")]
pub struct CasePage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Where one goes from here.
    pub places: &'a [Place],
    /// Its identifier.
    pub id: &'a str,
    /// The number.
    pub number: &'a str,
    /// The name, if the register gives one.
    pub name: Option<&'a str>,
    /// The portrait as a `data:` address, if the register gives one.
    pub portrait: Option<&'a str>,
    /// What is to be confirmed.
    pub task: DeskTask,
}
