//! id-registry
