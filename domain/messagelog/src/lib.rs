//! messagelog
