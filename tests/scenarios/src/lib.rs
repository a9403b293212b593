//! Stories over whole servers; they are in `tests/`.
