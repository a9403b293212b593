//! Interoperability with programs that nobody here wrote; the tests are in `tests/`.
