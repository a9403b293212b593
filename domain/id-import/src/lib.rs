//! Takes an earlier register over: what its rows are worth, which people come in, and what became of every row.
//!
//! | module | what it decides |
//! |---|---|
//! | `source` | the form of a source: columns, rows of CSV or JSON |
//! | `row` | whether a row tells of a person, and what of it can be taken over |
//! | `profile` | what a source is like: filled, distinct and malformed values, contradictions |
//! | `alike` | rows that may be about one person |
//! | `survey` | the whole source: who is in it once, twice, or related to whom |
//! | `import` | the order in which people come into the register, and the account of every row |
//!
//! A source is read twice: once to judge it, and once more, row by row, to enter the people. Nothing is kept of a row in
//! between but what its relations to others need.

mod alike;
mod import;
mod profile;
mod row;
mod source;
mod survey;

pub use alike::{Alike, Likeness};
pub use import::{ImportError, Origin, Reconciliation, import};
pub use profile::{ColumnProfile, Contradictions, Profile};
pub use row::{Finding, Reason};
pub use source::{Cells, Column, LONGEST_ROW, Layout, LayoutError, Place, Quotes};
pub use survey::{Plan, Survey};
