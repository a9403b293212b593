//! A store in memory, for tests and for trying things out: it forgets everything when the program ends.

use crate::event::Event;
use crate::port::Kind;

/// Everything in memory, under one lock.
pub type MemoryStore = items::Memory<Kind, Event>;
