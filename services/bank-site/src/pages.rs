//! What each page shows.

use askama::Template;
use web_ui::Frame;

use crate::contracts::{Contract, Standing};
use crate::loan::{day, money};

/// Who is signed in, as pages show it.
#[derive(Debug)]
pub struct PersonRow {
    /// Name.
    pub name: String,
    /// Number.
    pub number: String,
}

/// A contract as pages show it.
#[derive(Debug)]
pub struct ContractRow {
    /// Part of its address.
    pub id: String,
    /// Its number.
    pub number: String,
    /// Amount.
    pub amount: String,
    /// Months.
    pub months: String,
    /// Payment each month.
    pub payment: String,
    /// To be paid back in all.
    pub total: String,
    /// When it was drawn up.
    pub day: String,
    /// Key of how far it is.
    pub state: &'static str,
    /// Whether it is signed.
    pub is_signed: bool,
}

impl From<&Contract> for ContractRow {
    fn from(contract: &Contract) -> Self {
        let terms = contract.terms;
        Self {
            id: contract.id.clone(),
            number: contract.number.clone(),
            amount: money(terms.amount()),
            months: terms.months().to_string(),
            payment: money(terms.payment()),
            total: money(terms.total()),
            day: day(contract.at),
            state: match contract.standing {
                Standing::Drawn => "contract-drawn",
                Standing::Signed { .. } => "contract-signed",
                Standing::InForce { .. } => "contract-in-force",
            },
            is_signed: contract.standing != Standing::Drawn,
        }
    }
}

/// Where everything begins.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub struct HomePage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// Who is signed in.
    pub person: Option<PersonRow>,
    /// The largest loan.
    pub most: String,
    /// What was typed as amount.
    pub amount: &'a str,
    /// What was typed as months.
    pub months: &'a str,
    /// The person's contracts.
    pub contracts: &'a [ContractRow],
}

/// Who signed, and when.
#[derive(Debug)]
pub struct SignedRow {
    /// Name in the certificate.
    pub signer: String,
    /// The day that is proven.
    pub at: String,
}

/// One contract.
#[derive(Debug, Template)]
#[template(path = "contract.html")]
pub struct ContractPage<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The contract.
    pub contract: ContractRow,
    /// Its signature.
    pub signed: Option<SignedRow>,
    /// Address of the page that verifies signatures.
    pub verification: &'a str,
}
