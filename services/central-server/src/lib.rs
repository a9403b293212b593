//! central-server
