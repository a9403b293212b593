//! A database in memory, for tests.

use crate::port::{Event, Kind};

/// A database in memory, for tests: it can be copied, changed by a thief, and full.
pub type Memory = items::Memory<Kind, Event>;
