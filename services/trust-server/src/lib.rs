//! trust-server
