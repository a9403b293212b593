//! security-server
